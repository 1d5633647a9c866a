//! Audio of a telephone call, without sockets or clocks: SDP offer and answer, RTP and RTCP, G.711, G.722, telephone
//! events, prompts and music, and [`engine::Engine`], the machine that one media thread drives.
//!
//! Everything is 8 kHz mono; of G.722 the lower sub-band, unless two who speak it are bridged. Monotonic time is a [`std::time::Duration`] since an epoch the caller chooses; random
//! numbers come from a seed. Input from the network never panics and costs a bounded amount of work.

pub mod clip;
pub mod codec;
pub mod dtmf;
pub mod engine;
pub mod g711;
pub mod g722;
mod loudness;
pub mod music;
pub mod playout;
mod receive;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod srtp;
pub mod tty;

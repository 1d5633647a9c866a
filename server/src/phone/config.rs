//! How a phone is set up.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use media::codec::Codec;

use super::audio::{PhoneAudio, RingHub};
use super::hearing::Library;
use super::marker::Marker;

/// How a phone is set up.
#[derive(Debug, Clone)]
pub struct PhoneConfig {
    /// Where it listens for SIP; port 0 takes a free one. Its audio is at the same address.
    pub bind: SocketAddr,
    /// Where it sends REGISTER and its calls.
    pub server: SocketAddr,
    /// Its account; none for a phone that only makes calls, or is called at its address.
    pub registration: Option<Registration>,
    /// Its number: the user part of From and Contact.
    pub number: String,
    /// Its display name.
    pub display: Option<String>,
    /// The host part of From, To and the dialled URI; the server's address when none.
    pub domain: Option<String>,
    /// What it speaks, the preferred first. Never empty.
    pub codecs: Vec<Codec>,
    /// How its audio travels.
    pub media: PhoneMedia,
    /// How its keys do.
    pub keys: KeysBy,
    /// What it does with calls that come in.
    pub answer: AnswerPolicy,
    /// What it says once a call is answered.
    pub voice: Voice,
    /// How well it listens.
    pub ears: Ears,
    /// Most calls at a time; others get 486.
    pub calls_max: usize,
    /// The User-Agent header.
    pub product: String,
    /// Seed of its tags, branches and Call-IDs. From the system's random source in earnest, fixed in tests.
    pub seed: u64,
}

impl PhoneConfig {
    /// A phone on a free port of the loopback that knows its server, has no account, answers by hand, says its marker
    /// 0 (440 Hz) and counts packets only.
    pub fn new(number: impl Into<String>, server: SocketAddr, media: PhoneMedia) -> PhoneConfig {
        PhoneConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            server,
            registration: None,
            number: number.into(),
            display: None,
            domain: None,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            media,
            keys: KeysBy::Events,
            answer: AnswerPolicy::Manual,
            voice: Voice::Marker(Marker::new(0)),
            ears: Ears::Counting,
            calls_max: 8,
            product: concat!("Careline phone/", env!("CARGO_PKG_VERSION")).to_owned(),
            seed: 0,
        }
    }
}

/// An account with the server. The secret shows in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// User name, which is also the address of record.
    pub user: String,
    /// Password.
    pub secret: String,
    /// How long a binding is asked for; it is refreshed at half of what is granted.
    pub expires: Duration,
}

impl Registration {
    /// An account with bindings of five minutes.
    pub fn new(user: impl Into<String>, secret: impl Into<String>) -> Registration {
        Registration {
            user: user.into(),
            secret: secret.into(),
            expires: Duration::from_secs(300),
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("user", &self.user)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// How a phone's audio travels.
#[derive(Debug, Clone)]
pub enum PhoneMedia {
    /// As RTP over UDP, through media threads that many phones may share.
    Udp(PhoneAudio),
    /// In the process's own memory.
    Ring(RingHub),
}

/// How a phone sends keys, and hears them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysBy {
    /// As telephone events (RFC 4733).
    Events,
    /// As tones in its audio: it doesn't know events.
    Tones,
}

/// What a phone does with calls that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerPolicy {
    /// Rings, and answers after this time.
    Answer {
        /// How long it rings.
        after: Duration,
    },
    /// Rings and is never answered by itself.
    Ring,
    /// Refuses with this status (486 busy, 603 declined, 503, …).
    Reject(u16),
    /// Rings until told what to do.
    Manual,
    /// Doesn't even send a provisional answer: a peer that is there but dead. (`100` is the transaction's own matter.)
    Ignore,
}

/// What a phone says into a call.
#[derive(Debug, Clone)]
pub enum Voice {
    /// Nothing at all: no packets.
    Silent,
    /// Its marker, over and over.
    Marker(Marker),
    /// A clip, once; then what it said before.
    Once(Arc<Clip>),
    /// A clip, over and over.
    Loop(Arc<Clip>),
}

/// How well a phone listens.
#[derive(Debug, Clone)]
pub enum Ears {
    /// Recognises prompts, music, markers and silence: some microseconds a packet for what is known bit by bit, more for
    /// what isn't.
    Listening(Arc<Library>),
    /// Counts packets and measures their gaps; for load.
    Counting,
}

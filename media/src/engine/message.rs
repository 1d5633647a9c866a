//! What goes into an engine and what comes out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::mix::Mix;
use crate::clip::Clip;
use crate::codec::Format;
use crate::dtmf::Digit;
use crate::sdp::Negotiated;

/// A leg of one engine. The slot is a place in the engine's table, reused after the leg is closed; the generation
/// tells its users apart. The thread says which engine it lives in and means nothing to the engine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId {
    thread: u8,
    slot: u32,
    generation: u32,
}

impl LegId {
    /// Names a leg; whoever opens legs sees to it that no two open ones share thread and slot.
    pub const fn new(thread: u8, slot: u32, generation: u32) -> LegId {
        LegId {
            thread,
            slot,
            generation,
        }
    }

    /// The engine it lives in.
    pub const fn thread(self) -> u8 {
        self.thread
    }

    /// Its place in that engine.
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// The how-manieth user of that place it is.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// One [`Command::Play`], chosen by whoever sends it, so that its end can be told from an earlier one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u64);

/// Which of a leg's two flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Audio and telephone events; RTCP too when multiplexed.
    Rtp,
    /// Reports, on a port of their own.
    Rtcp,
}

/// What an engine is told to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Opens a leg. It sends and accepts nothing until [`Command::Connect`]; what it is told to play waits for that.
    Open {
        /// Its name, not in use.
        leg: LegId,
    },
    /// Tells a leg what was negotiated: at first, and again after every re-INVITE. What it plays goes on.
    Connect {
        /// The leg.
        leg: LegId,
        /// What was negotiated.
        negotiated: Negotiated,
        /// The far side is behind a NAT: the signalled address is likely wrong and may be learnt from its packets. Here
        /// is the host that its signalling comes from, which they are expected from first.
        natted: Option<IpAddr>,
    },
    /// Plays clips back to back instead of whatever the leg hears; ends in silence with [`Event::PlayEnded`].
    Play {
        /// The leg.
        leg: LegId,
        /// Comes back in [`Event::PlayEnded`].
        play: PlayId,
        /// The clips in their order.
        clips: Vec<Arc<Clip>>,
        /// A key pressed stops it at once.
        barge_in: bool,
    },
    /// Repeats a clip (music, ring-back) until told otherwise.
    Loop {
        /// The leg.
        leg: LegId,
        /// The clip.
        clip: Arc<Clip>,
        /// Where to begin, in milliseconds, modulo its length, rounded down to a frame.
        offset_ms: u32,
    },
    /// Ends prompt, loop or bridge towards this leg: silence.
    Stop {
        /// The leg.
        leg: LegId,
    },
    /// Each hears the other from now on. Both legs live in this engine.
    ///
    /// A `Play` on one of them takes the other's place for that leg alone; `Bridge` again restores it.
    Bridge {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Ends a bridge: silence for whichever of the two still hears the other.
    Unbridge {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Lets the members hear each other as the mix says, instead of whatever they heard. All live in this engine.
    ///
    /// The same again with other gains changes them. A `Play` on a member takes the others' place for that leg alone,
    /// until the mix comes again; `Stop`, `Bridge` and `Close` take a leg out.
    Mix(Mix),
    /// Presses keys in place of audio, as telephone events (RFC 4733) or, where none were agreed on, as tones of at
    /// least 80 ms; a second command adds to the first.
    SendDigits {
        /// The leg.
        leg: LegId,
        /// The keys in their order.
        digits: Vec<Digit>,
        /// How long each is held.
        tone_ms: u32,
        /// The pause after each.
        gap_ms: u32,
    },
    /// Has [`Sink::heard`] called with every audio packet accepted from this leg (the test phone, recording).
    Listen {
        /// The leg.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Has [`Event::TextTelephone`] told when a text telephone is heard on this leg.
    FindText {
        /// The leg.
        leg: LegId,
    },
    /// Has [`Event::AudioBegan`] told with the next audio packet accepted from this leg: early media is described before there is any.
    Await {
        /// The leg.
        leg: LegId,
    },
    /// Sets after how much silence from the far side [`Event::RtpLost`] is reported while both sides talk; `None`
    /// never, nor on hold, nor unconnected. The watch begins anew.
    Watch {
        /// The leg.
        leg: LegId,
        /// The time-out.
        timeout: Option<Duration>,
    },
    /// Says goodbye (RTCP BYE) and forgets the leg: [`Event::Closed`]. Who was bridged with it gets silence.
    Close {
        /// The leg.
        leg: LegId,
    },
}

impl Command {
    /// The leg it is about; of a bridge or a mix, the first.
    pub const fn leg(&self) -> LegId {
        match *self {
            Command::Mix(ref mix) => mix.first(),
            Command::Open { leg }
            | Command::Connect { leg, .. }
            | Command::Play { leg, .. }
            | Command::Loop { leg, .. }
            | Command::Stop { leg }
            | Command::Bridge { a: leg, .. }
            | Command::Unbridge { a: leg, .. }
            | Command::SendDigits { leg, .. }
            | Command::Listen { leg, .. }
            | Command::FindText { leg }
            | Command::Await { leg }
            | Command::Watch { leg, .. }
            | Command::Close { leg } => leg,
        }
    }
}

/// How a [`Command::Play`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlayOutcome {
    /// All of it was sent.
    Finished,
    /// The caller pressed a key.
    BargedIn,
    /// Another command took its place, or the leg was closed.
    Stopped,
}

/// Why a far side isn't heard, as far as its packets tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OneWayCause {
    /// Nothing at all comes: a firewall, or a wrong address in its description or ours. (A driver may let the system
    /// drop strangers' packets unread.)
    Nothing,
    /// Its reports come, so that it lives: it is muted, suppresses silence, or only its RTP is held up.
    ReportsOnly,
    /// Its reports count packets that it sends, and none of them comes.
    Withheld,
    /// RTP comes from an address that it didn't name, as from behind a NAT.
    Elsewhere(SocketAddr),
    /// RTP comes with a payload type that wasn't agreed on.
    Payload(u8),
    /// RTP comes that doesn't fit the keys.
    Undecipherable,
    /// The other way round: its reports say that nothing of what we send arrives there.
    Unheard,
}

/// What an engine tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key was pressed: told at the first packet of it that arrives (as a tone, once 30 ms of it were heard), once. Comes before the `PlayEnded` it causes.
    Digit {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
        /// When the packet arrived.
        at: Duration,
    },
    /// The key of the last `Digit` was released (or nothing more was heard of it).
    DigitEnded {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
        /// How long it was held, as far as was heard.
        duration_ms: u32,
        /// When that was known.
        at: Duration,
    },
    /// A [`Command::Play`] is over. Each is told of exactly once.
    PlayEnded {
        /// The leg.
        leg: LegId,
        /// Which.
        play: PlayId,
        /// How.
        outcome: PlayOutcome,
    },
    /// A text telephone (TTY) types. Told once; from then on what it says is neither guessed nor shortened in a mix.
    TextTelephone {
        /// The leg.
        leg: LegId,
    },
    /// All keys of [`Command::SendDigits`] were sent.
    DigitsSent {
        /// The leg.
        leg: LegId,
        /// How many; 0 when the leg wasn't connected, or was closed before all were sent.
        count: usize,
    },
    /// Nothing came from the far side for 8 s, although both sides are to talk: longer than the longest pause between
    /// the reports of one that suppresses silence. RTP and RTCP count alike.
    RtpQuiet {
        /// The leg.
        leg: LegId,
        /// For how long nothing came.
        after: Duration,
    },
    /// Nothing came from the far side for as long as the watch allows: while both sides talk, for longer on hold, and
    /// for another while from the leg's opening when it was never connected. Told again each time as much has passed.
    /// RTP and RTCP count alike.
    RtpLost {
        /// The leg.
        leg: LegId,
        /// For how long nothing came.
        after: Duration,
    },
    /// Both sides are to talk and we do, but nothing of the far side is heard: nothing at all since the last
    /// [`Command::Connect`], or no more although it sends. After 4 s at the earliest; unlike `RtpLost`, reports and stray
    /// packets don't put it off. Or its reports say that it doesn't hear us. Told once a minute at most.
    OneWayAudio {
        /// The leg.
        leg: LegId,
        /// Why, as far as it shows.
        cause: OneWayCause,
        /// For how long it has been so.
        after: Duration,
    },
    /// The first audio since [`Command::Await`].
    AudioBegan {
        /// The leg.
        leg: LegId,
    },
    /// Packets come again after an `RtpQuiet` or `RtpLost`.
    RtpBack {
        /// The leg.
        leg: LegId,
    },
    /// The address of a natted leg was learnt: packets go there from now on.
    Learned {
        /// The leg.
        leg: LegId,
        /// Where its RTP comes from.
        remote: SocketAddr,
    },
    /// The leg is gone.
    Closed {
        /// The leg.
        leg: LegId,
        /// What passed through it.
        stats: LegStats,
    },
}

impl Event {
    /// The leg it is about.
    pub const fn leg(&self) -> LegId {
        match *self {
            Event::Digit { leg, .. }
            | Event::DigitEnded { leg, .. }
            | Event::PlayEnded { leg, .. }
            | Event::TextTelephone { leg }
            | Event::DigitsSent { leg, .. }
            | Event::RtpQuiet { leg, .. }
            | Event::RtpLost { leg, .. }
            | Event::OneWayAudio { leg, .. }
            | Event::RtpBack { leg }
            | Event::AudioBegan { leg }
            | Event::Learned { leg, .. }
            | Event::Closed { leg, .. } => leg,
        }
    }
}

/// What passed through a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LegStats {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets accepted.
    pub packets_received: u64,
    /// RTP packets that never came, by sequence number (RFC 3550 section 6.4.1); packets doubled on the way count
    /// against it, so it can be below zero.
    pub packets_lost: i64,
    /// Packets that weren't accepted: from a stranger, malformed, or of a payload not negotiated.
    pub packets_ignored: u64,
    /// Of these, packets of an encrypted leg whose tag was wrong: forged, damaged, or under another key.
    pub packets_forged: u64,
    /// Interarrival jitter (RFC 3550 section A.8) at the end, in microseconds.
    pub jitter_us: u32,
    /// Jitter of what we sent, as the far side reported last, in microseconds.
    pub remote_jitter_us: Option<u32>,
    /// Loss of what we sent, as the far side reported last.
    pub remote_lost: Option<i32>,
    /// Round trip from the last report that told it, in microseconds.
    pub round_trip_us: Option<u32>,
    /// Longest pause between two packets received while the far side was to send.
    pub gap_max: Duration,
    /// Keys pressed.
    pub digits: u32,
}

/// One audio packet accepted from a leg that is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<'a> {
    /// Extended sequence number: counts on where the packet's 16 bits wrap.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// How the payload is encoded.
    pub codec: Format,
    /// The audio as it came.
    pub payload: &'a [u8],
}

/// Where an engine puts the packets it sends.
pub trait Sink {
    /// Sends a packet. Failure is the network's matter: RTP has no use for it.
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]);

    /// Called for legs under [`Command::Listen`].
    fn heard(&mut self, leg: LegId, heard: Heard<'_>) {
        let _ = (leg, heard);
    }
}

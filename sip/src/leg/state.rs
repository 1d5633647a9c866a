//! What a leg remembers in each of its states.

use std::time::Duration;

use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::echo::Echo;
use crate::endpoint::{Endpoint, Event};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::{EndCause, Invite, LegId};
use crate::timers::Owner;
use crate::transaction::Datagram;
use crate::wire::Uri;

/// A leg. The variants are its life: `Incoming` or `Calling`, then `Up`, then
/// `Closing`; `Cancelling` when we gave up calling.
#[derive(Debug)]
pub(crate) enum Leg {
    Incoming(Box<Incoming>),
    Calling(Box<Calling>),
    Cancelling(Cancelling),
    Up(Box<Up>),
    Closing(Box<Closing>),
}

/// An INVITE came and has no final response yet.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) invite: Key,
    pub(crate) echo: Echo,
    pub(crate) dialog: Dialog,
    pub(crate) dialog_key: Key,
    /// Whether the INVITE carried the offer.
    pub(crate) offered: bool,
}

/// Our INVITE has no final response yet.
#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) tx: Key,
    pub(crate) invite: Invite,
    pub(crate) call_id: Box<str>,
    pub(crate) tag: Box<str>,
    pub(crate) cseq: u32,
    pub(crate) attempts: u8,
    pub(crate) give_up_at: Duration,
}

/// We gave up calling; the final event is out.
#[derive(Debug)]
pub(crate) enum Cancelling {
    /// No provisional response yet, so no CANCEL either (section 9.1).
    Held { reason: Option<Box<str>> },
    /// CANCEL is out. Peers that never answer the INVITE then are given up
    /// after 64*T1.
    Sent { tx: Key, give_up_at: Duration },
}

/// Answered.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) dialog: Dialog,
    pub(crate) dialog_key: Key,
    pub(crate) phase: Phase,
    /// A 200 of ours whose ACK hasn't come.
    pub(crate) ok: Option<Unacked>,
    pub(crate) acks: Vec<SentAck>,
    pub(crate) modify: Modify,
    pub(crate) again: Option<Again>,
    pub(crate) credentials: Option<Credentials>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// We answered and the ACK hasn't come.
    Unconfirmed,
    /// The peer answered with an offer; our ACK waits for the answer to it.
    OwesAck { cseq: u32 },
    /// Both sides agree that there is a call.
    Talking,
    /// We hung up before the ACK came; BYE must wait for it (section 15). The
    /// final event is out.
    ByeAfterAck { reason: Option<Box<str>> },
}

/// A 200 to an INVITE, repeated until its ACK (section 13.3.1.4).
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) bytes: Datagram,
    pub(crate) peer: Peer,
    pub(crate) cseq: u32,
    /// Whether the offer was the peer's; else the ACK brings the answer.
    pub(crate) offered: bool,
    pub(crate) repeat_at: Duration,
    pub(crate) interval: Duration,
    pub(crate) give_up_at: Duration,
}

/// An ACK for a 2xx, to be sent again for each repeat of it until the
/// transaction forgets (timer M).
#[derive(Debug)]
pub(crate) struct SentAck {
    pub(crate) cseq: u32,
    pub(crate) bytes: Datagram,
    pub(crate) peer: Peer,
}

/// Changing the session (section 14).
#[derive(Debug)]
pub(crate) enum Modify {
    /// Nobody is.
    Idle,
    /// The peer asked; we owe the answer.
    Theirs {
        tx: Key,
        echo: Box<Echo>,
        cseq: u32,
        offered: bool,
        target: Option<Uri>,
    },
    /// We asked.
    Ours { sdp: Vec<u8>, attempts: u8 },
}

/// Both sides asked at once; we ask again at that moment (section 14.1),
/// whatever the peer asks meanwhile.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) at: Duration,
    pub(crate) sdp: Vec<u8>,
    pub(crate) attempts: u8,
}

/// BYE is out; the final event too.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) dialog: Dialog,
    pub(crate) dialog_key: Option<Key>,
    pub(crate) acks: Vec<SentAck>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) reason: Option<Box<str>>,
}

impl Leg {
    /// The next moment this leg has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Incoming(_) | Self::Closing(_) => None,
            Self::Calling(calling) => Some(calling.give_up_at),
            Self::Cancelling(Cancelling::Held { .. }) => None,
            Self::Cancelling(Cancelling::Sent { give_up_at, .. }) => Some(*give_up_at),
            Self::Up(up) => {
                let repeat = up.ok.as_ref().map(|ok| ok.repeat_at.min(ok.give_up_at));
                let again = up.again.as_ref().map(|again| again.at);
                match (repeat, again) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                }
            }
        }
    }

    /// What responses to the INVITE of transaction `key` repeat.
    pub(crate) fn echo(&self, key: Key) -> Option<&Echo> {
        match self {
            Self::Incoming(incoming) if incoming.invite == key => Some(&incoming.echo),
            Self::Up(up) => match &up.modify {
                Modify::Theirs { tx, echo, .. } if *tx == key => Some(echo),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Incoming(incoming) => Some(&mut incoming.dialog),
            Self::Up(up) => Some(&mut up.dialog),
            Self::Closing(closing) => Some(&mut closing.dialog),
            Self::Calling(_) | Self::Cancelling(_) => None,
        }
    }

    fn dialog_key(&self) -> Option<Key> {
        match self {
            Self::Incoming(incoming) => Some(incoming.dialog_key),
            Self::Up(up) => Some(up.dialog_key),
            Self::Closing(closing) => closing.dialog_key,
            Self::Calling(_) | Self::Cancelling(_) => None,
        }
    }

    /// True while the layer above still hears of this leg.
    pub(crate) fn is_talking(&self) -> bool {
        match self {
            Self::Up(up) => !matches!(up.phase, Phase::ByeAfterAck { .. }),
            _ => false,
        }
    }
}

impl Endpoint {
    pub(crate) fn insert_leg(&mut self, id: LegId, leg: Leg) {
        self.legs.insert(id.0, leg);
        self.arm_leg(id);
    }

    pub(crate) fn arm_leg(&mut self, id: LegId) {
        if let Some(at) = self.legs.get(&id.0).and_then(Leg::deadline) {
            self.timers.set(at, Owner::Leg(id));
        }
    }

    /// Forgets a leg and its dialog.
    pub(crate) fn remove_leg(&mut self, id: LegId) {
        if let Some(key) = self.legs.remove(&id.0).and_then(|leg| leg.dialog_key()) {
            self.dialogs.remove(&key);
        }
    }

    pub(crate) fn ended(&mut self, leg: LegId, cause: EndCause) {
        self.events.push_back(Event::Ended { leg, cause });
    }

    pub(crate) fn up_mut(&mut self, id: LegId) -> Option<&mut Up> {
        match self.legs.get_mut(&id.0) {
            Some(Leg::Up(up)) => Some(up),
            _ => None,
        }
    }

    /// A leg's deadline has come.
    pub(crate) fn leg_due(&mut self, now: Duration, id: LegId) {
        match self.legs.get_mut(&id.0) {
            Some(Leg::Calling(_)) => {
                self.ended(id, EndCause::TransactionTimeout);
                self.give_up_calling(now, id, None);
            }
            Some(Leg::Cancelling(Cancelling::Sent { tx, .. })) => {
                let tx = *tx;
                self.clients.remove(&tx);
                self.remove_leg(id);
            }
            Some(Leg::Up(up)) => {
                if up.again.as_ref().is_some_and(|again| again.at <= now) {
                    self.reinvite_again(now, id);
                } else {
                    self.repeat_ok(now, id);
                }
                self.arm_leg(id);
            }
            _ => {}
        }
    }
}

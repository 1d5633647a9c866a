//! What a leg remembers in each of its states.

use std::time::Duration;

use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::echo::{Back, Echo};
use crate::endpoint::{Endpoint, Event};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::early::Early;
use crate::leg::reinvite::target_of;
use crate::leg::reliable::{RAck, Reliable};
use crate::leg::session::{Granted, Session};
use crate::leg::transfer::Referring;
use crate::leg::{EndCause, Invite, LegId};
use crate::message::Request;
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
    /// The INVITE's CSeq.
    pub(crate) cseq: u32,
    /// Whether the INVITE carried the offer.
    pub(crate) offered: bool,
    pub(crate) able: Able,
    /// What our 2xx will say of the session's timer.
    pub(crate) granted: Option<Granted>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) reliable: Reliable,
    /// An UPDATE that awaits our answer.
    pub(crate) update: Option<Pending>,
}

/// What a peer says that it can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Able {
    /// UPDATE is in its Allow.
    pub(crate) update: bool,
}

impl Able {
    /// From a request's or response's Allow; what was known before when there
    /// is none.
    pub(crate) fn heard(self, allow: Option<&str>) -> Self {
        match allow {
            Some(allow) => Self {
                update: allow
                    .split(',')
                    .any(|method| method.trim().eq_ignore_ascii_case("UPDATE")),
            },
            None => self,
        }
    }
}

/// A request that changes the session of an early dialog, to be answered by
/// the layer above.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) tx: Key,
    pub(crate) echo: Box<Echo>,
    pub(crate) target: Option<Uri>,
}

impl Pending {
    pub(crate) fn new(tx: Key, request: &Request, peer: Peer) -> Self {
        // A PRACK is no target refresh request (RFC 3262 section 8).
        let refreshes = request.method() == rsip::Method::Update;
        Self {
            tx,
            echo: Box::new(Echo::new(request, peer)),
            target: refreshes.then(|| target_of(request)).flatten(),
        }
    }
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
    /// The session's interval and its floor that we ask for.
    pub(crate) session: Option<(Duration, Duration)>,
    /// Who rings, by the order they were heard of.
    pub(crate) early: Vec<Early>,
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
    /// A provisional response of ours whose PRACK hadn't come before our 200.
    pub(crate) outstanding: Option<RAck>,
    /// A 200 of ours whose ACK hasn't come.
    pub(crate) ok: Option<Unacked>,
    pub(crate) modify: Modify,
    pub(crate) again: Option<Again>,
    pub(crate) probing: Option<Probing>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) able: Able,
    /// A REFER of ours that isn't answered.
    pub(crate) referring: Option<Box<Referring>>,
    pub(crate) session: Option<Session>,
    /// What we last said of our media, as offer or answer.
    pub(crate) local_sdp: Box<[u8]>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// We answered and the ACK hasn't come.
    Unconfirmed,
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
    pub(crate) back: Back,
    pub(crate) cseq: u32,
    /// Whether the offer was the peer's; else the ACK brings the answer.
    pub(crate) offered: bool,
    pub(crate) repeat_at: Duration,
    pub(crate) interval: Duration,
    pub(crate) give_up_at: Duration,
}

/// Changing the session (section 14).
#[derive(Debug)]
pub(crate) enum Modify {
    /// Nobody is.
    Idle,
    /// The peer asked; we owe the answer.
    Theirs {
        /// By UPDATE; by re-INVITE otherwise.
        update: bool,
        tx: Key,
        echo: Box<Echo>,
        cseq: u32,
        offered: bool,
        target: Option<Uri>,
        granted: Option<Granted>,
    },
    /// We asked. A peer that says 100 and no more is asked to let it be, then
    /// forgotten.
    Ours {
        ask: Ask,
        cseq: u32,
        tx: Key,
        cancelled: bool,
        until: Duration,
    },
}

/// A change of the session that we ask for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) sdp: Vec<u8>,
    pub(crate) attempts: u8,
    /// By UPDATE; by re-INVITE otherwise.
    pub(crate) update: bool,
    /// Nothing changes, the timer starts anew: the layer above doesn't wait
    /// for it.
    pub(crate) refresh: bool,
    /// It has answered a challenge.
    pub(crate) authorized: bool,
}

/// Both sides asked at once; we ask again at that moment (section 14.1),
/// whatever the peer asks meanwhile.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) at: Duration,
    pub(crate) ask: Ask,
}

/// The peer is asked whether it is still there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Probing {
    /// Connections that were closed under the question, or couldn't be made.
    pub(crate) closed: u8,
    /// When it is asked on the next.
    pub(crate) again: Option<Duration>,
}

/// BYE is out; the final event too.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) dialog: Dialog,
    pub(crate) dialog_key: Option<Key>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) reason: Option<Box<str>>,
    /// A re-INVITE of ours that had no answer yet.
    pub(crate) asked: Option<Key>,
}

impl Leg {
    /// The next moment this leg has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Incoming(incoming) => incoming.reliable.deadline(),
            Self::Closing(_) => None,
            Self::Calling(calling) => Some(calling.give_up_at),
            Self::Cancelling(Cancelling::Held { .. }) => None,
            Self::Cancelling(Cancelling::Sent { give_up_at, .. }) => Some(*give_up_at),
            Self::Up(up) => {
                let repeat = up.ok.as_ref().map(|ok| ok.repeat_at.min(ok.give_up_at));
                let again = up.again.as_ref().map(|again| again.at);
                let session = up.session.as_ref().map(Session::deadline);
                let asked = match &up.modify {
                    Modify::Ours { until, .. } => Some(*until),
                    Modify::Idle | Modify::Theirs { .. } => None,
                };
                let probe = up.probing.and_then(|probing| probing.again);
                let all = [repeat, again, session, asked, probe];
                all.into_iter().flatten().min()
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

    /// A connection is closed: answers that would have gone by it go where their requests' senders listen. True when
    /// something is to be sent at once.
    pub(crate) fn answers_move(&mut self, lost: Peer, now: Duration) -> bool {
        match self {
            Self::Incoming(incoming) => {
                incoming.echo.back.moves(lost);
                if let Some(update) = &mut incoming.update {
                    update.echo.back.moves(lost);
                }
            }
            Self::Up(up) => {
                if let Modify::Theirs { echo, .. } = &mut up.modify {
                    echo.back.moves(lost);
                }
                if let Some(ok) = &mut up.ok
                    && ok.back.moves(lost)
                {
                    // It may have been written to nobody.
                    ok.repeat_at = now;
                    return true;
                }
            }
            Self::Calling(_) | Self::Cancelling(_) | Self::Closing(_) => {}
        }
        false
    }

    pub(crate) fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Incoming(incoming) => Some(&mut incoming.dialog),
            Self::Up(up) => Some(&mut up.dialog),
            Self::Closing(closing) => Some(&mut closing.dialog),
            Self::Calling(_) | Self::Cancelling(_) => None,
        }
    }

    pub(crate) fn dialog(&self) -> Option<&Dialog> {
        match self {
            Self::Incoming(incoming) => Some(&incoming.dialog),
            Self::Up(up) => Some(&up.dialog),
            Self::Closing(closing) => Some(&closing.dialog),
            Self::Calling(_) | Self::Cancelling(_) => None,
        }
    }

    fn dialog_keys(&self) -> Vec<Key> {
        match self {
            Self::Incoming(incoming) => vec![incoming.dialog_key],
            Self::Up(up) => vec![up.dialog_key],
            Self::Closing(closing) => closing.dialog_key.into_iter().collect(),
            Self::Calling(calling) => calling.early.iter().filter_map(Early::key).collect(),
            Self::Cancelling(_) => Vec::new(),
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
        self.persistent.remove(&id);
        let Some(leg) = self.legs.remove(&id.0) else {
            return;
        };
        for key in leg.dialog_keys() {
            self.dialogs.remove(&key);
        }
        match &leg {
            Leg::Up(up) => {
                self.keep_for_referrals(id, &up.dialog);
                if let Modify::Ours { tx, .. } = up.modify {
                    self.forget_unanswered(tx);
                }
            }
            Leg::Closing(closing) => {
                self.keep_for_referrals(id, &closing.dialog);
                if let Some(asked) = closing.asked {
                    self.forget_unanswered(asked);
                }
            }
            _ => {}
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
                }
                self.probe_again(now, id);
                self.repeat_ok(now, id);
                self.ask_overdue(now, id);
                self.session_due(now, id);
                self.arm_leg(id);
            }
            Some(Leg::Incoming(_)) => {
                self.repeat_reliable(now, id);
                self.arm_leg(id);
            }
            _ => {}
        }
    }
}

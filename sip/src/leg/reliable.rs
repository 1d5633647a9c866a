//! Reliable provisional responses (RFC 3262) to calls that come in. Those of
//! calls we make are acknowledged in [`early`](super::early).

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::state::{Leg, Pending};
use crate::leg::{EndCause, LegId};
use crate::message::Request;
use crate::transaction::{Datagram, timeout};

/// How long a call that persists waits for a PRACK: what follows is worth more.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the caller says of reliable provisional responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It doesn't know them.
    #[default]
    No,
    /// It knows them.
    Supported,
    /// It takes no other.
    Required,
}

impl Wanted {
    pub(crate) fn of(request: &Request) -> Self {
        if request.lists("Require", "100rel") {
            Self::Required
        } else if request.lists("Supported", "100rel") {
            Self::Supported
        } else {
            Self::No
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Reliable {
    pub(crate) wanted: Wanted,
    /// The last RSeq.
    rseq: u32,
    open: Option<Open>,
    /// The last one isn't waited for any more. Its PRACK may come yet.
    late: bool,
    /// Our answer was acknowledged: either side may change the session.
    pub(crate) settled: bool,
    /// Sent as soon as the open one is acknowledged (sections 3 and 5).
    held: Option<Held>,
}

/// A provisional response that awaits its PRACK.
#[derive(Debug)]
struct Open {
    bytes: Datagram,
    answers: bool,
    repeat_at: Duration,
    interval: Duration,
    give_up_at: Duration,
}

/// Which response a PRACK acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RAck {
    rseq: u32,
    cseq: u32,
}

impl RAck {
    fn of(request: &Request) -> Option<Self> {
        let mut parts = request.header("RAck")?.split_whitespace();
        let mut number = || parts.next()?.parse().ok();
        let (rseq, cseq) = (number()?, number()?);
        (parts.next() == Some("INVITE")).then_some(Self { rseq, cseq })
    }
}

#[derive(Debug)]
pub(crate) struct Held {
    /// 200, or 101 to 199.
    pub(crate) code: u16,
    pub(crate) sdp: Option<Vec<u8>>,
    pub(crate) extra: Vec<(String, String)>,
}

impl Held {
    pub(crate) fn new(code: u16, sdp: Option<&[u8]>, extra: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            code,
            sdp: sdp.map(<[u8]>::to_vec),
            extra: extra.iter().map(owned).collect(),
        }
    }
}

impl Reliable {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.open
            .as_ref()
            .map(|open| open.repeat_at.min(open.give_up_at))
    }

    /// Must this response wait? A provisional one while another is open; a 2xx
    /// only while that one holds an answer (section 3).
    pub(crate) fn holds(&self, code: u16) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| code < 200 || open.answers)
    }

    /// What the PRACK says that may come after the answer to the INVITE of this
    /// CSeq (section 3).
    pub(crate) fn outstanding(&self, cseq: u32) -> Option<RAck> {
        let outstanding = self.open.is_some() || self.late;
        let rseq = self.rseq;
        outstanding.then_some(RAck { rseq, cseq })
    }

    /// Keeps a response until the open one is acknowledged; the latest counts,
    /// and a 2xx is the last.
    pub(crate) fn hold(&mut self, held: Held) {
        if self.held.as_ref().is_none_or(|before| before.code < 200) {
            self.held = Some(held);
        }
    }
}

impl Endpoint {
    /// The RSeq of a provisional response that is to be sent reliably; `None`
    /// when it isn't. Reliable is what the caller insists upon, and what
    /// carries media when it knows how.
    pub(crate) fn reliably(&mut self, leg: LegId, with_sdp: bool) -> Option<u32> {
        // The RFC's range for the first one is 1 to 2**31 - 1.
        let first = 1 + self.tokens.below(1 << 30);
        let persists = self.persists(leg);
        let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) else {
            return None;
        };
        let reliable = &mut incoming.reliable;
        let wanted = match reliable.wanted {
            Wanted::No => false,
            // Nothing of a call that ends by nothing else may wait for a PRACK.
            Wanted::Supported => with_sdp && incoming.offered && !persists,
            Wanted::Required => true,
        };
        if !wanted {
            return None;
        }
        reliable.rseq = match reliable.rseq {
            0 => u32::try_from(first).unwrap_or(1),
            last => last.wrapping_add(1),
        };
        Some(reliable.rseq)
    }

    /// A reliable provisional response was sent.
    pub(crate) fn await_prack(
        &mut self,
        now: Duration,
        leg: LegId,
        bytes: Datagram,
        with_sdp: bool,
    ) {
        let timing = self.config.timing;
        let patience = match self.persists(leg) {
            true => PATIENCE,
            false => timeout(&timing),
        };
        if let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) {
            incoming.reliable.late = false;
            incoming.reliable.open = Some(Open {
                bytes,
                answers: with_sdp,
                repeat_at: now + timing.t1,
                interval: timing.t1,
                give_up_at: now + patience,
            });
            self.arm_leg(leg);
        }
    }

    /// Repeats what wasn't acknowledged, or gives the call up (section 3).
    pub(crate) fn repeat_reliable(&mut self, now: Duration, leg: LegId) {
        let persists = self.persists(leg);
        let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) else {
            return;
        };
        let peer = incoming.echo.back.peer;
        let Some(open) = &mut incoming.reliable.open else {
            return;
        };
        if open.give_up_at <= now && persists {
            incoming.reliable.late = true;
            incoming.reliable.open = None;
            self.send_held(now, leg);
        } else if open.give_up_at <= now {
            if self.refuse_incoming(now, leg, 504, None, &[]) {
                self.ended(leg, EndCause::AckTimeout);
            }
        } else if open.repeat_at <= now {
            open.interval *= 2;
            open.repeat_at = now + open.interval;
            let bytes = open.bytes.clone();
            self.send(peer, bytes);
        }
    }

    /// PRACK.
    pub(crate) fn receive_prack(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        let said = RAck::of(request);
        let incoming = match self.legs.get_mut(&leg.0) {
            Some(Leg::Incoming(incoming)) => incoming,
            // It crossed our 200.
            Some(Leg::Up(up)) if said.is_some() && up.outstanding == said => {
                up.outstanding = None;
                return self.answer_plain(now, peer, key, request, 200, |_| {});
            }
            _ => return self.answer_plain(now, peer, key, request, 481, |_| {}),
        };
        let outstanding = incoming.reliable.outstanding(incoming.cseq);
        let reliable = &mut incoming.reliable;
        if said.is_none() || said != outstanding {
            return self.answer_plain(now, peer, key, request, 481, |_| {});
        }
        reliable.late = false;
        let Some(open) = reliable.open.take() else {
            return self.answer_plain(now, peer, key, request, 200, |_| {});
        };
        reliable.settled |= open.answers;
        match request.sdp() {
            // Section 5: an offer in a PRACK is answered in its 200.
            Some(sdp) if reliable.settled && incoming.update.is_none() => {
                let pending = incoming.update.insert(Pending::new(key, request, peer));
                let answers_to = pending.echo.back;
                self.offered_early(now, key, answers_to, leg, 0, sdp);
            }
            _ => self.answer_plain(now, peer, key, request, 200, |_| {}),
        }
        self.send_held(now, leg);
    }

    fn send_held(&mut self, now: Duration, leg: LegId) {
        let Some(Leg::Incoming(incoming)) = self.legs.get_mut(&leg.0) else {
            return;
        };
        let Some(Held { code, sdp, extra }) = incoming.reliable.held.take() else {
            return;
        };
        let extra: Vec<(&str, &str)> = extra.iter().map(|(n, v)| (&**n, &**v)).collect();
        match code {
            ..200 => self.ring(now, leg, code, &extra, sdp.as_deref()),
            _ => self.answer(now, leg, sdp.as_deref().unwrap_or(&[]), &extra),
        }
    }
}

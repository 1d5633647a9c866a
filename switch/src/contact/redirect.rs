//! Who was called by a trunk sends the call on (3xx).
//!
//! Whoever answers so would choose whom we call. A trunk's policy is therefore to refuse it, and where that says
//! otherwise, a redirection leads only to a number that the hospital's dial rules allow by this same trunk, or by
//! another way of this trunk to the number asked for. The host that the answer names is never called, unless it is one
//! of the trunk's gateways. No number is called twice by one way, so that loops end.

use sip::Uri;
use sip::wire::{NameAddr, Scheme};

use super::partner::target_of;
use super::{Contact, Cx, LegEnd, Outside, Side, Stage};
use crate::dial::Destination;
use crate::input::NoteWhat;
use crate::setup::{Gateway, Redirects, Trunk};
use crate::trunks::Way;

/// Addresses of one answer that are looked at.
const CONTACTS_MAX: usize = 5;
/// Numbers and gateways that one call is sent on to, over all its answers.
const TARGETS_MAX: usize = 5;
/// Answers that are followed for one call.
const ANSWERS_MAX: u8 = 3;

/// What became of a call that was sent on.
#[derive(Debug, Default)]
pub(super) struct Redirected {
    /// Whom the call is for now; none: the number asked for.
    number: Option<String>,
    /// Who sent it on, the latest first (RFC 5806).
    diversions: Vec<String>,
    /// Where else it may go, the best last.
    targets: Vec<Onward>,
    /// Answers followed, and targets taken of them.
    answers: u8,
    taken: usize,
    /// Every number that was called, and by which way.
    called: Vec<(String, Way)>,
}

/// Where a call may go on to.
#[derive(Debug)]
struct Onward {
    number: String,
    /// The best last.
    ways: Vec<Way>,
    diversions: Vec<String>,
}

impl Redirected {
    /// A number is called by this way.
    pub(super) fn calls(&mut self, number: &str, way: &Way) {
        self.called.push((number.to_owned(), way.clone()));
    }

    pub(super) fn diversions(&self) -> &[String] {
        &self.diversions
    }
}

impl Outside {
    /// The number being called.
    pub(super) fn dialled(&self) -> &str {
        self.redirected.number.as_deref().unwrap_or(&self.number)
    }

    /// The next of where the call may go on to; false when there is none.
    pub(super) fn go_on(&mut self) -> bool {
        let Some(onward) = self.redirected.targets.pop() else {
            return false;
        };
        self.redirected.number = Some(onward.number);
        self.redirected.diversions = onward.diversions;
        self.untried = onward.ways;
        self.patience.reached();
        true
    }
}

impl Contact {
    /// A call of ours was answered with a redirection. An agent's telephone chooses for nobody where we call; a trunk
    /// may have leave to.
    pub(crate) fn redirected(&mut self, side: Side, response: &sip::Response, cx: &mut Cx<'_>) {
        if side == Side::Agent
            && let Stage::Outside(outside) = &self.stage
        {
            // Its gateway works, whatever it says.
            outside.trunked.alive(cx);
            let followed = outside.trunked.trunk.redirects == Redirects::Follow
                && self.may_go_on(response, cx);
            self.note(cx, NoteWhat::Redirected { followed });
            match followed {
                true => cx.counters.redirects_followed += 1,
                false => cx.counters.redirects_refused += 1,
            }
        }
        self.leg_ended(side, LegEnd::Refused(response.code()), cx);
    }

    /// Notes where the answer may lead; false when that is nowhere.
    fn may_go_on(&mut self, response: &sip::Response, cx: &Cx<'_>) -> bool {
        // 380 is about another service, which its body describes.
        if !matches!(response.code(), 300..=302 | 305) {
            return false;
        }
        let Stage::Outside(outside) = &self.stage else {
            return false;
        };
        if outside.redirected.answers >= ANSWERS_MAX {
            return false;
        }
        let mut onward: Vec<Onward> = Vec::new();
        for uri in sip::redirect::contacts(response, CONTACTS_MAX) {
            if outside.redirected.taken + onward.len() < TARGETS_MAX
                && let Some(next) = self.onward(outside, &uri, response, cx)
                && !onward.iter().any(|known| known.covers(&next))
            {
                onward.push(next);
            }
        }
        let Stage::Outside(outside) = &mut self.stage else {
            return false;
        };
        let redirected = &mut outside.redirected;
        redirected.taken += onward.len();
        redirected.answers += u8::from(!onward.is_empty());
        let any = !onward.is_empty();
        // Before what an earlier answer left.
        redirected.targets.extend(onward.into_iter().rev());
        any
    }

    /// What of an address is followed: the number, the way, or nothing.
    fn onward(
        &self,
        outside: &Outside,
        uri: &Uri,
        response: &sip::Response,
        cx: &Cx<'_>,
    ) -> Option<Onward> {
        let trunk = &*outside.trunked.trunk;
        let encrypted = |way: &Way| match uri.scheme() {
            Scheme::Sips => way
                .peer
                .is_some_and(|peer| peer.transport == sip::Transport::Tls),
            Scheme::Sip | Scheme::Tel => true,
            Scheme::Other => false,
        };
        let mut ways = cx.trunks.ways(cx.now.mono, trunk);
        ways.retain(encrypted);
        let there = ways.iter().filter(|way| leads_to(trunk, way, uri));
        let there: Vec<Way> = there.cloned().collect();
        let current = outside.dialled();
        let number = match uri.user() {
            Some(user) if user != current => match cx.setup.destination(self.tenant, uri)? {
                Destination::Outside { number, trunk: by } if by == trunk.name => number.0,
                _ => return None,
            },
            _ => current.to_owned(),
        };
        let called = &outside.redirected.called;
        if there.is_empty() {
            // By whatever way: not again.
            if called.iter().any(|(known, _)| *known == number) {
                return None;
            }
        } else {
            ways = there;
        }
        ways.retain(|way| !called.iter().any(|(n, w)| *n == number && w == way));
        if ways.is_empty() {
            return None;
        }
        let mut diversions = outside.redirected.diversions.clone();
        if number != current {
            let way = outside.trunked.way.as_ref()?;
            let host = target_of(trunk, way, current, &[], cx.phones, cx.setup)?.uri;
            let why = reason(response, trunk.trusted);
            let diverted = format!("<sip:{current}@{}>;reason={why};counter=1", host.host_str());
            diversions.insert(0, diverted);
        }
        Some(Onward {
            number,
            ways,
            diversions,
        })
    }
}

impl Onward {
    /// Nothing would be called by the next that isn't by this one.
    fn covers(&self, next: &Onward) -> bool {
        self.number == next.number && next.ways.iter().all(|way| self.ways.contains(way))
    }
}

/// Does this way of the trunk lead to the host that an address names? What it leaves open fits.
fn leads_to(trunk: &Trunk, way: &Way, uri: &Uri) -> bool {
    let (Some(peer), Some(host)) = (way.peer, uri.host()) else {
        return false;
    };
    let transport = uri
        .transport()
        .is_none_or(|transport| transport == peer.transport);
    let port = uri.port().is_none_or(|port| port == peer.addr.port());
    let named = match trunk.gateways.get(way.gateway) {
        Some(Gateway::Registered { .. }) | None => false,
        Some(gateway) => {
            let own = gateway.host();
            own.is_some_and(|own| own.eq_ignore_ascii_case(uri.host_str()))
        }
    };
    transport && port && (named || host.ip() == Some(peer.addr.ip()))
}

/// Why the call was sent on, in the words of RFC 5806: as a trunk that we believe says, else as the status code does.
fn reason(response: &sip::Response, believed: bool) -> &'static str {
    const REASONS: [&str; 10] = [
        "user-busy",
        "no-answer",
        "unavailable",
        "unconditional",
        "time-of-day",
        "do-not-disturb",
        "deflection",
        "follow-me",
        "out-of-service",
        "away",
    ];
    let said = response.header("Diversion").filter(|_| believed);
    let said = said.and_then(|value| {
        let diverted = NameAddr::parse(value).ok()?;
        let reason = diverted.params.unquoted("reason")?;
        REASONS
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(&reason))
    });
    said.unwrap_or(match response.code() {
        301 => "unconditional",
        302 => "deflection",
        _ => "unknown",
    })
}

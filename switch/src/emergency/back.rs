//! The emergency service calls back (RFC 7090).
//!
//! For half an hour after a telephone has called for help, a trunk's call to the number that the service was given leads to that
//! very telephone: no line, no hours, no flow, no queue, no admission. The number is the station's own; or the main number,
//! which others call too: then only a call marked `Priority: psap-callback` is meant, and of several telephones the one that
//! called last. It is the emergency call turned round: the telephone's contacts are its ways.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use desk::{EmergencyEnd, PhoneNumber, TenantId};

use super::{Dialled, EmergencyCall, EmergencyNumber};
use crate::contact::Cx;
use crate::input::EmergencyStep;
use crate::phones::Target;
use crate::setup::{Account, Encryption, Setup};

/// How long after a call for help it may be called back.
pub(crate) const BACK_MAX: Duration = Duration::from_secs(30 * 60);
/// What the telephone shows.
const DISPLAY: &str = "Emergency service calls back";
/// Fewer digits are no whole number: with the country code or without, two are the same.
const DIGITS_MIN: usize = 7;

/// A call from an emergency service to a telephone that has called it.
#[derive(Debug)]
pub(crate) struct CallsBack {
    /// The account whose telephone it is.
    pub(crate) account: Arc<str>,
    /// The number that was called.
    pub(crate) number: Arc<str>,
    /// Who calls.
    pub(crate) from: Option<PhoneNumber>,
    /// Headers that go along.
    pub(crate) carried: Vec<(String, String)>,
    /// The trunk one of whose calls it is.
    pub(crate) trunk: Option<Arc<str>>,
    /// What that says of its audio.
    pub(crate) encryption: Option<Encryption>,
}

/// What an [`EmergencyCall`] that comes back is besides.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) from: Option<PhoneNumber>,
    /// Given back with its end.
    pub(super) trunk: Option<Arc<str>>,
    /// What the telephone answered last.
    pub(super) refused: Option<u16>,
}

/// Whose telephones have called for help lately.
#[derive(Debug, Default)]
pub(crate) struct Lately(HashMap<Arc<str>, Duration>);

impl Lately {
    /// A telephone calls for help, or has ended its call.
    pub(crate) fn called(&mut self, now: Duration, account: &Arc<str>) {
        self.0.retain(|_, at| now < *at + BACK_MAX);
        self.0.insert(Arc::clone(account), now);
    }

    /// Whose telephone a call to this number is for, if the service calls back. `marked`: it says that it does. `line`: the
    /// number is one of ours that everybody calls.
    pub(crate) fn meant(
        &self,
        now: Duration,
        setup: &Setup,
        dialled: &str,
        marked: bool,
        line: bool,
    ) -> Option<&Arc<str>> {
        if line && !marked {
            return None;
        }
        let given_this = |name: &str| {
            let account = setup.accounts.get(name);
            let given = account.and_then(|account| number_given(account, account.home, setup));
            given.is_some_and(|given| is_same(&given.0, dialled))
        };
        let lately = self.0.iter();
        lately
            .filter(|(name, at)| now < **at + BACK_MAX && given_this(name))
            .max_by_key(|(name, at)| (**at, Arc::clone(name)))
            .map(|(name, _)| name)
    }
}

/// What an emergency service is told to call back for a telephone of this account.
pub(super) fn number_given<'a>(
    account: &'a Account,
    home: TenantId,
    setup: &'a Setup,
) -> Option<&'a PhoneNumber> {
    let station = account.station.callback.as_ref();
    station
        .or_else(|| setup.emergency.callback(home))
        .or(account.number.as_ref())
}

/// The same number, whether or not both have the country code.
fn is_same(a: &str, b: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let (a, b) = (digits(a), digits(b));
    a.len().min(b.len()) >= DIGITS_MIN && (a.ends_with(&b) || b.ends_with(&a))
}

impl EmergencyCall {
    /// The service calls a telephone of ours back.
    pub(crate) fn begin_back(
        count: u64,
        leg: sip::LegId,
        peer: sip::Peer,
        request: &sip::Request,
        calls: CallsBack,
        cx: &mut Cx<'_>,
    ) -> Self {
        let CallsBack {
            account,
            number,
            from,
            carried,
            trunk,
            encryption,
        } = calls;
        if let Some(trunk) = &trunk {
            cx.trunks.seize_regardless(trunk);
        }
        let of = cx.setup.accounts.get(&*account);
        let agent = of.and_then(|account| account.agent);
        let dialled = Dialled {
            account,
            number: EmergencyNumber {
                dialled: Arc::clone(&number),
                sent: number,
            },
            carried,
        };
        let back = Back {
            from,
            trunk,
            refused: None,
        };
        let from = (leg, peer, request, encryption);
        let mut call = Self::new(count, from, dialled, Some(back), cx);
        cx.counters.emergency_called_back += 1;
        let begun = desk::Emergency::CalledBack {
            agent: agent.map(|agent| desk::AgentId(agent.0)),
        };
        call.report(EmergencyStep::CalledBack, begun, cx);
        call.occupies(agent, cx);
        call
    }

    /// The service's own call is over on its trunk.
    pub(super) fn give_back_trunk(&mut self, cx: &mut Cx<'_>) {
        let trunk = self.back.as_mut().and_then(|back| back.trunk.take());
        if let Some(trunk) = trunk {
            cx.trunks.release(&trunk);
        }
    }

    /// Calls the telephone at one of the places where it is registered.
    pub(super) fn call_telephone(&mut self, target: Target, cx: &mut Cx<'_>) -> Option<()> {
        let account = cx.setup.accounts.get(&*self.dialled.account);
        let own = account.and_then(|account| account.encryption);
        let peer = target.peer;
        let body = self.offer_to(peer, own, &cx.setup.codecs.phones, cx)?;
        let from = self.back.as_ref().and_then(|back| back.from.as_ref());
        let from = sip::Identity {
            display: Some(DISPLAY.to_owned()),
            user: from.map_or_else(|| "anonymous".into(), |number| number.0.clone()),
            host: None,
        };
        let mut invite = sip::Invite::new(target.uri, peer, from, body);
        invite.pinned = target.pinned;
        invite.route = target.route;
        invite.persists = true;
        // RFC 7090 section 5: what a telephone does with other calls (do not disturb, sending on) isn't meant for this one.
        let marked = ("Priority".to_owned(), "psap-callback".to_owned());
        invite.headers.push(marked);
        invite.headers.extend(self.dialled.carried.iter().cloned());
        self.send(invite, cx);
        Some(())
    }

    /// No place takes it: the service hears so.
    pub(super) fn telephone_not_reached(&mut self, cx: &mut Cx<'_>) {
        self.hang_up(Some("SIP;cause=480;text=\"Not reached\""), cx);
        self.over(EmergencyEnd::Us, cx);
    }

    /// How the service's call is refused: busy where the telephone said so.
    pub(super) fn refusal(&self) -> u16 {
        match &self.back {
            None => 503,
            Some(back) if matches!(back.refused, Some(486 | 600 | 603)) => 486,
            Some(_) => 480,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_with_and_without_its_country_code() {
        for (a, b, same) in [
            ("+15550100201", "15550100201", true),
            ("+15550100201", "5550100201", true),
            ("+15550100201", "+15550100202", false),
            ("+15550100201", "0201", false),
            ("0201", "0201", false),
        ] {
            assert_eq!(is_same(a, b), same, "{a} {b}");
        }
    }
}

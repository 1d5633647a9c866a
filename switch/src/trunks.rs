//! Trunks as the calls see them: how many calls each carries, and which of its
//! gateways work.
//!
//! A gateway is asked with OPTIONS now and then, and believed dead when it
//! doesn't answer, or when a call to it found silence or 503. It is called
//! again once it answers. A trunk that isn't asked (`probe_every` is `None`)
//! is believed to have recovered after [`REST`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::setup::{Gateway, Setup, Trunk};

/// How long a gateway may take to answer an OPTIONS.
const PROBE_ANSWER_MAX: Duration = Duration::from_secs(4);
/// How often a dead gateway is asked.
const PROBE_DEAD_EVERY: Duration = Duration::from_secs(5);
/// Unanswered in a row, before one that worked is believed dead: a single
/// request may be lost on the way.
const PROBES_LOST_MAX: u8 = 2;
/// After which time a dead gateway that isn't asked is tried again.
const REST: Duration = Duration::from_secs(60);

/// Why a trunk can't take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is no such trunk.
    Unknown,
    /// It carries as many calls as it may.
    Full,
    /// None of its gateways works.
    Dead,
}

/// A gateway's health.
#[derive(Debug, Clone, Copy)]
struct Health {
    /// Believed dead since then.
    dead_since: Option<Duration>,
    /// Probes lost in a row.
    lost: u8,
    probe: Probe,
}

#[derive(Debug, Clone, Copy)]
enum Probe {
    /// Nothing is under way; the next is due then, if ever.
    Due(Option<Duration>),
    Sent {
        id: sip::RequestId,
        until: Duration,
    },
}

#[derive(Debug)]
struct State {
    calls: u32,
    gateways: Vec<Health>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    states: HashMap<Arc<str>, State>,
}

impl Trunks {
    pub(crate) fn new(setup: &Setup) -> Self {
        let states = setup.trunks.iter().map(|(name, trunk)| {
            let due = trunk.probe_every.map(|_| Duration::ZERO);
            let healthy = Health {
                dead_since: None,
                lost: 0,
                probe: Probe::Due(due),
            };
            let gateways = vec![healthy; trunk.gateways.len()];
            (Arc::clone(name), State { calls: 0, gateways })
        });
        Self {
            states: states.collect(),
        }
    }

    /// Takes one of the trunk's calls, to be given back by
    /// [`release`](Self::release). Says which gateways to try, the best last.
    pub(crate) fn seize(
        &mut self,
        now: Duration,
        trunk: &Trunk,
    ) -> Result<Vec<usize>, Unavailable> {
        let state = self
            .states
            .get_mut(&trunk.name)
            .ok_or(Unavailable::Unknown)?;
        let dead = |health: &Health| {
            health
                .dead_since
                .is_some_and(|since| trunk.probe_every.is_some() || now < since + REST)
        };
        let alive = state.gateways.iter().enumerate();
        let alive: Vec<usize> = alive
            .filter(|(_, health)| !dead(health))
            .map(|(index, _)| index)
            .rev()
            .collect();
        if alive.is_empty() {
            return Err(Unavailable::Dead);
        }
        if state.calls >= trunk.calls_max {
            return Err(Unavailable::Full);
        }
        state.calls += 1;
        Ok(alive)
    }

    /// A call on the trunk is over.
    pub(crate) fn release(&mut self, trunk: &str) {
        if let Some(state) = self.states.get_mut(trunk) {
            state.calls = state.calls.saturating_sub(1);
        }
    }

    /// How many calls a trunk carries, and how many of its gateways work.
    pub(crate) fn load(&self, trunk: &str) -> Option<(u32, usize)> {
        let state = self.states.get(trunk)?;
        let alive = state.gateways.iter().filter(|g| g.dead_since.is_none());
        Some((state.calls, alive.count()))
    }

    /// A call found a gateway dead: silent, or out of service.
    pub(crate) fn found_dead(&mut self, now: Duration, trunk: &str, gateway: usize) {
        if let Some(health) = self.health(trunk, gateway) {
            health.dead_since.get_or_insert(now);
            // It may have been this one call: asked at once, it is back in a moment.
            if let Probe::Due(Some(at)) = &mut health.probe {
                *at = now;
            }
        }
    }

    /// A call found a gateway alive.
    pub(crate) fn found_alive(&mut self, trunk: &str, gateway: usize) {
        if let Some(health) = self.health(trunk, gateway) {
            health.dead_since = None;
            health.lost = 0;
        }
    }

    fn health(&mut self, trunk: &str, gateway: usize) -> Option<&mut Health> {
        self.states.get_mut(trunk)?.gateways.get_mut(gateway)
    }

    /// A request was answered, or not (`None`). False when it was none of ours.
    pub(crate) fn answered(
        &mut self,
        now: Duration,
        setup: &Setup,
        request: sip::RequestId,
        code: Option<u16>,
    ) -> bool {
        for (name, state) in &mut self.states {
            let every = setup.trunks.get(name).and_then(|trunk| trunk.probe_every);
            for health in &mut state.gateways {
                if matches!(health.probe, Probe::Sent { id, .. } if id == request) {
                    // Any answer shows that it lives (RFC 3261 section 11), unless it says otherwise.
                    let alive = code.is_some_and(|code| !matches!(code, 408 | 503));
                    health.settle(now, alive, every);
                    return true;
                }
            }
        }
        false
    }

    /// Sends what probes are due.
    pub(crate) fn on_timeout(
        &mut self,
        now: Duration,
        setup: &Setup,
        ask: &mut impl FnMut(&Trunk, &Gateway) -> Option<sip::RequestId>,
    ) {
        for (name, state) in &mut self.states {
            let Some(trunk) = setup.trunks.get(name) else {
                continue;
            };
            for (gateway, health) in trunk.gateways.iter().zip(&mut state.gateways) {
                match health.probe {
                    Probe::Sent { until, .. } if until <= now => {
                        health.settle(now, false, trunk.probe_every);
                    }
                    Probe::Due(Some(at)) if at <= now => {
                        health.probe = match ask(trunk, gateway) {
                            Some(id) => Probe::Sent {
                                id,
                                until: now + PROBE_ANSWER_MAX,
                            },
                            None => Probe::Due(None),
                        };
                    }
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let gateways = self.states.values().flat_map(|state| &state.gateways);
        gateways
            .filter_map(|health| match health.probe {
                Probe::Sent { until, .. } => Some(until),
                Probe::Due(at) => at,
            })
            .min()
    }
}

impl Health {
    /// A probe is over.
    fn settle(&mut self, now: Duration, alive: bool, every: Option<Duration>) {
        if alive {
            self.lost = 0;
            self.dead_since = None;
        } else {
            self.lost = self.lost.saturating_add(1);
            if self.lost >= PROBES_LOST_MAX {
                self.dead_since.get_or_insert(now);
            }
        }
        let sooner = self.lost > 0 || self.dead_since.is_some();
        let pause = every.map(|every| match sooner {
            true => every.min(PROBE_DEAD_EVERY),
            false => every,
        });
        self.probe = Probe::Due(pause.map(|pause| now + pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "nightline";

    fn trunk(gateways: usize, probe_every: Option<u64>) -> Trunk {
        let gateway = |index: usize| Gateway::Address {
            host: format!("gw{index}.example"),
            peer: sip::Peer::udp(([192, 0, 2, index as u8], 5060).into()),
        };
        Trunk {
            name: NAME.into(),
            gateways: (0..gateways).map(gateway).collect(),
            calls_max: 2,
            credentials: None,
            probe_every: probe_every.map(Duration::from_secs),
            trusted: true,
            encryption: None,
        }
    }

    /// A trunk, and what happened to it.
    struct Story {
        setup: Setup,
        trunk: Trunk,
        trunks: Trunks,
        asked: Vec<String>,
        next: u64,
    }

    impl Story {
        fn new(trunk: Trunk) -> Story {
            let mut setup = crate::setup::tests::empty();
            setup
                .trunks
                .insert(Arc::clone(&trunk.name), Arc::new(trunk.clone()));
            Story {
                trunks: Trunks::new(&setup),
                setup,
                trunk,
                asked: Vec::new(),
                next: 0,
            }
        }

        /// Time passes until `to`; `answer` is what each gateway answers a probe with.
        fn until(&mut self, to: u64, answer: impl Fn(&str) -> Option<u16>) {
            let to = Duration::from_secs(to);
            while let Some(at) = self.trunks.poll_timeout().filter(|&at| at <= to) {
                let mut sent = Vec::new();
                self.trunks
                    .on_timeout(at, &self.setup, &mut |_, gateway: &Gateway| {
                        self.next += 1;
                        let id = sip::RequestId(self.next);
                        if let Gateway::Address { host, .. } = gateway {
                            sent.push((id, host.clone()));
                        }
                        Some(id)
                    });
                for (id, host) in sent {
                    if let Some(code) = answer(&host) {
                        let soon = at + Duration::from_millis(10);
                        assert!(self.trunks.answered(soon, &self.setup, id, Some(code)));
                    }
                    self.asked.push(host);
                }
            }
        }

        fn order(&mut self, at: u64) -> Result<Vec<usize>, Unavailable> {
            let order = self.trunks.seize(Duration::from_secs(at), &self.trunk);
            if order.is_ok() {
                self.trunks.release(NAME);
            }
            order
        }
    }

    #[test]
    fn a_trunk_carries_no_more_than_it_may() {
        let mut story = Story::new(trunk(1, None));
        let now = Duration::ZERO;
        assert_eq!(story.trunks.seize(now, &story.trunk), Ok(vec![0]));
        assert_eq!(story.trunks.seize(now, &story.trunk), Ok(vec![0]));
        assert_eq!(
            story.trunks.seize(now, &story.trunk),
            Err(Unavailable::Full)
        );
        story.trunks.release(NAME);
        assert_eq!(story.trunks.seize(now, &story.trunk), Ok(vec![0]));
        assert_eq!(story.trunks.load(NAME), Some((2, 1)));
    }

    #[test]
    fn a_gateway_that_answers_nothing_is_left_out_until_it_does() {
        let mut story = Story::new(trunk(2, Some(30)));
        let one_dead = |host: &str| (host == "gw1.example").then_some(200);
        story.until(3, one_dead);
        // One lost request proves nothing.
        assert_eq!(story.order(3), Ok(vec![1, 0]));
        story.until(20, one_dead);
        assert_eq!(story.order(20), Ok(vec![1]));
        story.until(40, |_| Some(404));
        assert_eq!(story.order(40), Ok(vec![1, 0]));
    }

    #[test]
    fn out_of_service_is_no_sign_of_life() {
        let mut story = Story::new(trunk(1, Some(30)));
        story.until(12, |_| Some(503));
        assert_eq!(story.order(12), Err(Unavailable::Dead));
    }

    #[test]
    fn what_a_call_found_dead_is_asked_at_once() {
        let mut story = Story::new(trunk(2, Some(30)));
        story.until(10, |_| Some(200));
        story.asked.clear();
        story.trunks.found_dead(Duration::from_secs(11), NAME, 0);
        assert_eq!(story.order(11), Ok(vec![1]));
        story.until(12, |_| Some(200));
        assert_eq!(story.asked, ["gw0.example"]);
        assert_eq!(story.order(12), Ok(vec![1, 0]));
    }

    #[test]
    fn a_gateway_never_asked_is_tried_again_after_a_rest() {
        let mut story = Story::new(trunk(1, None));
        story.trunks.found_dead(Duration::from_secs(1), NAME, 0);
        assert_eq!(story.order(2), Err(Unavailable::Dead));
        assert_eq!(story.order(60), Err(Unavailable::Dead));
        assert_eq!(story.order(61), Ok(vec![0]));
        story.trunks.found_alive(NAME, 0);
        assert_eq!(story.trunks.load(NAME), Some((0, 1)));
    }
}

//! Trunks as the calls see them: how many calls each carries, and which of its
//! gateways work.
//!
//! A trunk's channels are for both directions. Some can be kept for whoever
//! calls us (`reserve_in`). A call that comes when all are taken is refused,
//! but for a clinical number: it has come, so there was a channel for it.
//! Calls to emergency services take what they need.
//!
//! A gateway is asked with OPTIONS now and then, and believed dead when it
//! doesn't answer, or when a call to it found silence or 503 (what else it may answer: [`refusal`]). It is called
//! again once it answers. A trunk that isn't asked (`probe_every` is `None`)
//! is believed to have recovered after [`REST`].

pub(crate) mod refusal;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::registrations::{Change, Registrations};
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
/// Addresses of one named gateway that are tried: each may cost a caller three
/// seconds.
const ADDRESSES_MAX: usize = 4;

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

/// A way to the outside: a gateway, at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// Its place in [`Trunk::gateways`].
    pub(crate) gateway: usize,
    /// Where; `None`: wherever it is registered.
    pub(crate) peer: Option<sip::Peer>,
}

#[derive(Debug)]
struct State {
    /// In both directions.
    calls: u32,
    /// In the order of preference.
    ways: Vec<(Way, Health)>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    states: HashMap<Arc<str>, State>,
    registrations: Registrations,
}

impl Trunks {
    pub(crate) fn new(setup: &Setup) -> Self {
        let states = setup.trunks.iter().map(|(name, trunk)| {
            let ways = ways_of(trunk).map(|way| (way, Health::new(trunk)));
            let ways = ways.collect();
            (Arc::clone(name), State { calls: 0, ways })
        });
        Self {
            states: states.collect(),
            registrations: Registrations::new(setup),
        }
    }

    /// Other trunks from now on. Their calls go on being counted, and of an address that stays it is still known whether it
    /// works. Registrations, and where names lead, stay as they are.
    pub(crate) fn reconfigure(
        &mut self,
        old: &HashMap<Arc<str>, Arc<Trunk>>,
        new: &HashMap<Arc<str>, Arc<Trunk>>,
    ) {
        self.states.retain(|name, _| new.contains_key(name));
        for (name, trunk) in new {
            let before = old.get(name);
            let state = self.states.entry(Arc::clone(name));
            let state = state.or_insert_with(|| State {
                calls: 0,
                ways: Vec::new(),
            });
            if before.is_none_or(|before| before.gateways != trunk.gateways) {
                let known = std::mem::take(&mut state.ways);
                let health = |way: &Way| {
                    let known = known.iter().find(|(known, _)| known.peer == way.peer);
                    known.map_or_else(|| Health::new(trunk), |(_, health)| *health)
                };
                state.ways = ways_of(trunk)
                    .map(|way| (way.clone(), health(&way)))
                    .collect();
            }
            if before.is_some_and(|before| before.probe_every != trunk.probe_every) {
                for (_, health) in &mut state.ways {
                    *health = Health {
                        dead_since: health.dead_since,
                        ..Health::new(trunk)
                    };
                }
            }
        }
    }

    /// Our registrations at providers.
    pub(crate) fn registrations(&mut self) -> &mut Registrations {
        &mut self.registrations
    }

    /// The same, to be looked at.
    pub(crate) fn registered(&self) -> &Registrations {
        &self.registrations
    }

    /// Which registrations came about or were lost since the last look.
    pub(crate) fn changes(&mut self, now: Duration) -> Vec<Change> {
        self.registrations.changes(now)
    }

    /// The DNS says where a named gateway is: the best first, empty when it
    /// isn't known.
    pub(crate) fn located(
        &mut self,
        now: Duration,
        trunk: &Trunk,
        gateway: usize,
        peers: &[sip::Peer],
    ) {
        let peers = peers.get(..ADDRESSES_MAX).unwrap_or(peers);
        if gateway == 0 {
            self.registrations.located(now, &trunk.name, peers);
        }
        let Some(state) = self.states.get_mut(&trunk.name) else {
            return;
        };
        let at = state.ways.partition_point(|(way, _)| way.gateway < gateway);
        let end = state
            .ways
            .partition_point(|(way, _)| way.gateway <= gateway);
        let before: Vec<_> = state.ways.drain(at..end).collect();
        let fresh = peers.iter().map(|&peer| {
            let way = Way {
                gateway,
                peer: Some(peer),
            };
            let known = before.iter().find(|(known, _)| *known == way);
            let health = known.map_or_else(|| Health::new(trunk), |(_, health)| *health);
            (way, health)
        });
        let fresh: Vec<_> = fresh.collect();
        state.ways.splice(at..at, fresh);
    }

    /// Takes one of the trunk's calls, to be given back by
    /// [`release`](Self::release). Says which ways to try, the best last.
    pub(crate) fn seize(&mut self, now: Duration, trunk: &Trunk) -> Result<Vec<Way>, Unavailable> {
        if !self.states.contains_key(&trunk.name) {
            return Err(Unavailable::Unknown);
        }
        let alive = self.ways(now, trunk);
        if alive.is_empty() {
            return Err(Unavailable::Dead);
        }
        let calls_max = trunk.calls_max.saturating_sub(trunk.reserve_in);
        match self.states.get_mut(&trunk.name) {
            Some(state) if state.calls < calls_max => state.calls += 1,
            _ => return Err(Unavailable::Full),
        }
        Ok(alive)
    }

    /// Which trunk has a gateway at this address. Of several the first by name.
    pub(crate) fn at(&self, ip: IpAddr) -> Option<&Arc<str>> {
        let here = |way: &Way| {
            let peer = way.peer.map(|peer| peer.addr.ip().to_canonical());
            peer == Some(ip.to_canonical())
        };
        let states = self.states.iter();
        let theirs = states.filter(|(_, state)| state.ways.iter().any(|(way, _)| here(way)));
        theirs.map(|(name, _)| name).min()
    }

    /// A call comes by the trunk, and takes one of its calls unless all are taken. `clinical`: it does in any case.
    pub(crate) fn take_in(&mut self, trunk: &Trunk, clinical: bool) -> bool {
        let Some(state) = self.states.get_mut(&trunk.name) else {
            return true;
        };
        let room = clinical || state.calls < trunk.calls_max;
        state.calls += u32::from(room);
        room
    }

    /// The ways of a trunk that work, the best last.
    pub(crate) fn ways(&self, now: Duration, trunk: &Trunk) -> Vec<Way> {
        let ways = self.every_way(now, trunk).into_iter().rev();
        ways.filter_map(|(way, works)| works.then_some(way))
            .collect()
    }

    /// Every way of a trunk, in the order of preference, and whether it is
    /// believed to work.
    pub(crate) fn every_way(&self, now: Duration, trunk: &Trunk) -> Vec<(Way, bool)> {
        let registered = self.registrations.hop(now, &trunk.name);
        let ways = self.states.get(&trunk.name).map(|state| state.ways.iter());
        ways.into_iter()
            .flatten()
            .map(|(way, health)| {
                let works = !health.is_dead(now, trunk, way, registered);
                (way.clone(), works)
            })
            .collect()
    }

    /// Takes one of the trunk's calls, whether or not it may carry another. To
    /// be given back by [`release`](Self::release).
    pub(crate) fn seize_regardless(&mut self, trunk: &str) {
        if let Some(state) = self.states.get_mut(trunk) {
            state.calls += 1;
        }
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
        let registrar_out = self.registrations.is_out(trunk);
        let alive = state.ways.iter().filter(|(way, health)| {
            health.dead_since.is_none() && !(registrar_out && way.gateway == 0)
        });
        Some((state.calls, alive.count()))
    }

    /// A call found a gateway dead: silent, or out of service.
    pub(crate) fn found_dead(&mut self, now: Duration, trunk: &str, way: &Way) {
        if let Some(health) = self.health(trunk, way) {
            health.dead_since.get_or_insert(now);
            // It may have been this one call: asked at once, it is back in a moment.
            if let Probe::Due(Some(at)) = &mut health.probe {
                *at = now;
            }
        }
    }

    /// A call found a gateway alive.
    pub(crate) fn found_alive(&mut self, trunk: &str, way: &Way) {
        if let Some(health) = self.health(trunk, way) {
            health.dead_since = None;
            health.lost = 0;
        }
    }

    /// Does this way answer nothing any more, as far as it is asked?
    pub(crate) fn is_silent(&self, trunk: &str, way: &Way) -> bool {
        let ways = self.states.get(trunk).map(|state| state.ways.iter());
        let health = ways.into_iter().flatten().find(|(known, _)| known == way);
        health.is_some_and(|(_, health)| health.lost >= PROBES_LOST_MAX)
    }

    fn health(&mut self, trunk: &str, way: &Way) -> Option<&mut Health> {
        let ways = &mut self.states.get_mut(trunk)?.ways;
        let found = ways.iter_mut().find(|(known, _)| known == way)?;
        Some(&mut found.1)
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
            for (_, health) in &mut state.ways {
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
        ask: &mut impl FnMut(&Trunk, &Gateway, sip::Peer) -> Option<sip::RequestId>,
    ) {
        for (name, state) in &mut self.states {
            let Some(trunk) = setup.trunks.get(name) else {
                continue;
            };
            for (way, health) in &mut state.ways {
                match health.probe {
                    Probe::Sent { until, .. } if until <= now => {
                        health.settle(now, false, trunk.probe_every);
                    }
                    Probe::Due(Some(at)) if at <= now => {
                        // A registration is a sign of life by itself.
                        let asked = way
                            .peer
                            .zip(trunk.gateways.get(way.gateway))
                            .and_then(|(peer, gateway)| ask(trunk, gateway, peer));
                        health.probe = match asked {
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
        let ways = self.states.values().flat_map(|state| &state.ways);
        ways.filter_map(|(_, health)| match health.probe {
            Probe::Sent { until, .. } => Some(until),
            Probe::Due(at) => at,
        })
        .chain(self.registrations.poll_timeout())
        .min()
    }
}

/// The ways of a trunk that needn't be located first.
fn ways_of(trunk: &Trunk) -> impl Iterator<Item = Way> {
    let gateways = trunk.gateways.iter().enumerate();
    gateways.filter_map(|(gateway, at)| {
        let peer = match at {
            Gateway::Address { peer, .. } => Some(*peer),
            Gateway::Registered { .. } => None,
            Gateway::Named { .. } => return None,
        };
        Some(Way { gateway, peer })
    })
}

impl Health {
    fn new(trunk: &Trunk) -> Self {
        Self {
            dead_since: None,
            lost: 0,
            probe: Probe::Due(trunk.probe_every.map(|_| Duration::ZERO)),
        }
    }

    /// Is nobody sent there at the moment? `registered`: by which address a
    /// registrar knows us, where we register.
    fn is_dead(
        &self,
        now: Duration,
        trunk: &Trunk,
        way: &Way,
        registered: Option<Option<sip::Peer>>,
    ) -> bool {
        // A registrar takes calls where it knows us.
        let elsewhere = registered.is_some_and(|hop| way.gateway == 0 && way.peer != hop);
        elsewhere
            || self
                .dead_since
                .is_some_and(|since| trunk.probe_every.is_some() || now < since + REST)
    }

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
mod tests;

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
mod tests {
    use super::*;
    use crate::setup::Redirects;

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
            reserve_in: 0,
            credentials: None,
            probe_every: probe_every.map(Duration::from_secs),
            trusted: true,
            encryption: None,
            register: None,
            location: false,
            identity: None,
            redirects: Redirects::Refuse,
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
                    .on_timeout(at, &self.setup, &mut |_, gateway: &Gateway, _| {
                        self.next += 1;
                        let id = sip::RequestId(self.next);
                        sent.push((id, gateway.host()?.to_owned()));
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

        /// Which gateways would be tried, the best last.
        fn order(&mut self, at: u64) -> Result<Vec<usize>, Unavailable> {
            let ways = self.trunks.seize(Duration::from_secs(at), &self.trunk)?;
            self.trunks.release(NAME);
            Ok(ways.into_iter().map(|way| way.gateway).collect())
        }

        fn way(&self, gateway: usize) -> Way {
            let Gateway::Address { peer, .. } = self.trunk.gateways[gateway] else {
                panic!("it has an address");
            };
            let peer = Some(peer);
            Way { gateway, peer }
        }
    }

    #[test]
    fn a_trunk_carries_no_more_than_it_may() {
        let mut story = Story::new(trunk(1, None));
        let now = Duration::ZERO;
        let way = story.way(0);
        assert_eq!(story.trunks.seize(now, &story.trunk), Ok(vec![way.clone()]));
        assert_eq!(story.trunks.seize(now, &story.trunk), Ok(vec![way.clone()]));
        assert_eq!(
            story.trunks.seize(now, &story.trunk),
            Err(Unavailable::Full)
        );
        story.trunks.release(NAME);
        assert_eq!(story.trunks.seize(now, &story.trunk), Ok(vec![way]));
        assert_eq!(story.trunks.load(NAME), Some((2, 1)));
    }

    /// Both directions share the channels, and some are kept for whoever calls us.
    #[test]
    fn calls_that_come_take_a_trunks_channels_too() {
        let now = Duration::ZERO;
        let mut kept = trunk(2, None);
        (kept.calls_max, kept.reserve_in) = (3, 1);
        let mut story = Story::new(kept);
        let trunk = story.trunk.clone();
        assert!(story.trunks.take_in(&trunk, false));
        assert!(story.trunks.seize(now, &trunk).is_ok());
        assert_eq!(story.trunks.seize(now, &trunk), Err(Unavailable::Full));
        assert!(story.trunks.take_in(&trunk, false), "one was kept for it");
        assert!(!story.trunks.take_in(&trunk, false));
        assert!(story.trunks.take_in(&trunk, true), "a clinician");
        assert_eq!(story.trunks.load(NAME), Some((4, 2)));
        for _ in 0..3 {
            story.trunks.release(NAME);
        }
        assert!(story.trunks.seize(now, &trunk).is_ok());
        let at = |host: u8| {
            story
                .trunks
                .at([192, 0, 2, host].into())
                .map(|name| &**name)
        };
        assert_eq!((at(1), at(2)), (Some(NAME), None));
    }

    #[test]
    fn other_gateways_are_taken_without_forgetting_calls_and_what_is_dead() {
        let mut story = Story::new(trunk(2, None));
        let now = Duration::from_secs(1);
        assert!(story.trunks.seize(now, &story.trunk).is_ok());
        let first = story.way(0);
        story.trunks.found_dead(now, NAME, &first);
        let mut changed = story.trunk.clone();
        let (old, new) = (trunk(2, None), trunk(3, None));
        // The dead one comes second, behind one that is new.
        changed.gateways = [2, 0].map(|n: usize| new.gateways[n].clone()).to_vec();
        changed.calls_max = 1;
        let map = |trunk: &Trunk| HashMap::from([(Arc::from(NAME), Arc::new(trunk.clone()))]);
        story.trunks.reconfigure(&map(&old), &map(&changed));
        let ways = story.trunks.every_way(now, &changed);
        let ways: Vec<_> = ways
            .iter()
            .map(|(way, works)| (way.gateway, *works))
            .collect();
        assert_eq!(ways, [(0, true), (1, false)]);
        assert_eq!(story.trunks.seize(now, &changed), Err(Unavailable::Full));
        story.trunks.release(NAME);
        assert!(story.trunks.seize(now, &changed).is_ok());
        // Gone, with a call that ends later.
        story.trunks.reconfigure(&map(&changed), &HashMap::new());
        assert_eq!(story.trunks.seize(now, &changed), Err(Unavailable::Unknown));
        story.trunks.release(NAME);
    }

    /// An emergency call is carried above the ceiling, and by what is believed dead.
    #[test]
    fn an_emergency_call_takes_any_way() {
        let mut story = Story::new(trunk(2, None));
        let now = Duration::from_secs(10);
        for _ in 0..3 {
            story.trunks.seize_regardless(NAME);
        }
        let (first, second) = (story.way(0), story.way(1));
        story.trunks.found_dead(now, NAME, &first);
        let ways = story.trunks.every_way(now, &story.trunk);
        assert_eq!(ways, [(first, false), (second, true)]);
        assert_eq!(story.trunks.load(NAME), Some((3, 1)));
        assert_eq!(
            story.trunks.seize(now, &story.trunk),
            Err(Unavailable::Full)
        );
        for _ in 0..3 {
            story.trunks.release(NAME);
        }
        assert_eq!(story.trunks.load(NAME), Some((0, 1)));
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
        let first = story.way(0);
        story
            .trunks
            .found_dead(Duration::from_secs(11), NAME, &first);
        assert_eq!(story.order(11), Ok(vec![1]));
        story.until(12, |_| Some(200));
        assert_eq!(story.asked, ["gw0.example"]);
        assert_eq!(story.order(12), Ok(vec![1, 0]));
    }

    #[test]
    fn a_gateway_never_asked_is_tried_again_after_a_rest() {
        let mut story = Story::new(trunk(1, None));
        let first = story.way(0);
        story
            .trunks
            .found_dead(Duration::from_secs(1), NAME, &first);
        assert_eq!(story.order(2), Err(Unavailable::Dead));
        assert_eq!(story.order(60), Err(Unavailable::Dead));
        assert_eq!(story.order(61), Ok(vec![0]));
        story.trunks.found_alive(NAME, &first);
        assert_eq!(story.trunks.load(NAME), Some((0, 1)));
    }

    #[test]
    fn a_name_leads_where_the_dns_says_and_what_is_known_of_an_address_stays() {
        let mut trunk = trunk(2, None);
        trunk.gateways[0] = Gateway::Named {
            uri: sip::Uri::parse("sip:pbx.example").unwrap(),
        };
        let mut story = Story::new(trunk);
        // Not located yet.
        assert_eq!(story.order(1), Ok(vec![1]));
        let at = |host| sip::Peer::udp(([198, 51, 100, host], 5060).into());
        story
            .trunks
            .located(Duration::ZERO, &story.trunk, 0, &[at(1), at(2)]);
        assert_eq!(story.order(1), Ok(vec![1, 0, 0]));
        let dead = Way {
            gateway: 0,
            peer: Some(at(1)),
        };
        story.trunks.found_dead(Duration::from_secs(2), NAME, &dead);
        assert_eq!(story.order(3), Ok(vec![1, 0]));
        // Asked again, the DNS gives them in another order and one more.
        let fresh = [at(2), at(3), at(1)];
        story
            .trunks
            .located(Duration::ZERO, &story.trunk, 0, &fresh);
        let ways = story.trunks.seize(Duration::from_secs(4), &story.trunk);
        let peers: Vec<_> = ways.unwrap().into_iter().map(|way| way.peer).collect();
        let second = Some(sip::Peer::udp(([192, 0, 2, 1], 5060).into()));
        assert_eq!(peers, [second, Some(at(3)), Some(at(2))]);
        // Nothing known any more: the next gateway is what remains.
        story.trunks.located(Duration::ZERO, &story.trunk, 0, &[]);
        assert_eq!(story.order(5), Ok(vec![1]));
    }
}

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

//! Our registrations at providers: trunks whose calls come because we asked
//! for them (RFC 3261 section 10.2). Drives [`sip::registration`].
//!
//! The registrar is the trunk's first gateway. While we aren't registered there
//! it takes no calls either, and it is called at the address where we are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::registration::{Registration, RegistrationConfig, Standing};

use crate::setup::{Gateway, Setup, Trunk, uri_at};

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    by_trunk: BTreeMap<Arc<str>, State>,
}

#[derive(Debug)]
struct State {
    machine: Registration,
    contact_user: Arc<str>,
    /// Where the registrar is, the best first.
    peers: Vec<sip::Peer>,
    /// Which of them is asked.
    at: usize,
    under_way: Option<sip::RequestId>,
    /// Which of them knows us.
    registered_at: Option<sip::Peer>,
    /// Whether we are registered, as last told.
    told: Option<bool>,
}

/// A registration that came about or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) trunk: Arc<str>,
    pub(crate) registered: bool,
    /// What the registrar answered, of one that failed.
    pub(crate) code: Option<u16>,
}

impl Registrations {
    pub(crate) fn new(setup: &Setup) -> Self {
        let states = setup.trunks.values().filter_map(|trunk| {
            let state = State::new(trunk, setup)?;
            Some((Arc::clone(&trunk.name), state))
        });
        Self {
            by_trunk: states.collect(),
        }
    }

    /// The DNS says where the trunk's registrar is.
    pub(crate) fn located(&mut self, now: Duration, trunk: &str, peers: &[sip::Peer]) {
        let Some(state) = self.by_trunk.get_mut(trunk) else {
            return;
        };
        let hop = state.hop();
        state.peers = peers.to_vec();
        match state.peers.iter().position(|peer| Some(*peer) == hop) {
            Some(at) => state.at = at,
            None => {
                state.at = 0;
                state.machine.try_now(now);
            }
        }
    }

    /// Does this trunk's registrar take calls, and where? `None`: this trunk
    /// has none.
    pub(crate) fn hop(&self, now: Duration, trunk: &str) -> Option<Option<sip::Peer>> {
        let state = self.by_trunk.get(trunk)?;
        Some(state.registered_at.filter(|_| state.is_registered(now)))
    }

    /// Is this a trunk whose registrar takes no calls?
    pub(crate) fn is_out(&self, trunk: &str) -> bool {
        let state = self.by_trunk.get(trunk);
        state.is_some_and(|state| state.told != Some(true))
    }

    /// The Route of calls by this trunk's registrar (RFC 3608).
    pub(crate) fn route(&self, trunk: &str) -> &[String] {
        let state = self.by_trunk.get(trunk);
        state.map_or(&[], |state| state.machine.service_route())
    }

    /// Whether we are registered, if this trunk asks for it.
    pub(crate) fn is_registered(&self, now: Duration, trunk: &str) -> Option<bool> {
        Some(self.by_trunk.get(trunk)?.is_registered(now))
    }

    /// The trunk whose registrar is at this address and knows our Contact by
    /// this user.
    pub(crate) fn called_by(&self, from: IpAddr, user: &str) -> Option<&Arc<str>> {
        let mut states = self.by_trunk.iter();
        let meant = |state: &State| {
            *state.contact_user == *user && state.peers.iter().any(|peer| peer.addr.ip() == from)
        };
        Some(states.find(|(_, state)| meant(state))?.0)
    }

    /// A REGISTER was answered, or not (`None`). False when it was none of ours.
    pub(crate) fn answered(
        &mut self,
        now: Duration,
        id: sip::RequestId,
        response: Option<&sip::Response>,
    ) -> bool {
        let mut states = self.by_trunk.values_mut();
        let Some(state) = states.find(|state| state.under_way == Some(id)) else {
            return false;
        };
        state.under_way = None;
        let elsewhere = match response {
            Some(response) => {
                if (200..300).contains(&response.code()) {
                    state.registered_at = state.hop();
                }
                state.machine.answered(now, response)
            }
            None => state.machine.unanswered(now),
        };
        // The next address at once; after the last of them the wait.
        if elsewhere && state.at + 1 < state.peers.len() {
            state.at += 1;
            state.machine.try_now(now);
        } else if elsewhere {
            state.at = 0;
        }
        true
    }

    /// A connection is gone.
    pub(crate) fn peer_lost(&mut self, now: Duration, peer: sip::Peer) {
        for state in self.by_trunk.values_mut() {
            state.machine.flow_lost(now, peer);
        }
    }

    /// The process stops: what is registered is taken back.
    pub(crate) fn stop(&mut self, now: Duration) {
        for state in self.by_trunk.values_mut() {
            state.machine.stop(now);
        }
    }

    /// Is a REGISTER unanswered?
    pub(crate) fn is_busy(&self) -> bool {
        let mut states = self.by_trunk.values();
        states.any(|state| state.under_way.is_some())
    }

    /// Sends what REGISTERs are due.
    pub(crate) fn on_timeout(
        &mut self,
        now: Duration,
        setup: &Setup,
        send: &mut impl FnMut(sip::OutRequest) -> sip::RequestId,
    ) {
        for state in self.by_trunk.values_mut() {
            let Some(hop) = state.hop() else { continue };
            if let Some(request) = state.machine.request(now, hop, &setup.interface) {
                state.under_way = Some(send(request));
            }
        }
    }

    /// What changed since the last look.
    pub(crate) fn changes(&mut self, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        for (trunk, state) in &mut self.by_trunk {
            let (registered, code) = match state.machine.standing(now) {
                Standing::New => continue,
                Standing::Registered { .. } => (true, None),
                Standing::Failed { code } => (false, code),
                Standing::Stopped => (false, None),
            };
            if state.told.replace(registered) != Some(registered) {
                changes.push(Change {
                    trunk: Arc::clone(trunk),
                    registered,
                    code,
                });
            }
        }
        changes
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let states = self.by_trunk.values();
        states
            .flat_map(|state| {
                // Where the registrar isn't known yet nothing can be sent.
                let due = state.hop().and(state.machine.poll_timeout());
                // That it has run out is told once.
                let ends = match state.machine.standing(Duration::ZERO) {
                    Standing::Registered { until } if state.told == Some(true) => Some(until),
                    _ => None,
                };
                [due, ends]
            })
            .flatten()
            .min()
    }
}

impl State {
    fn new(trunk: &Trunk, setup: &Setup) -> Option<Self> {
        let register = trunk.register.as_ref()?;
        let registrar = trunk.gateways.first()?;
        let (uri, peers) = match registrar {
            Gateway::Address { host, peer } => (uri_at(host, *peer, None)?, vec![*peer]),
            Gateway::Named { uri } => (uri.clone(), Vec::new()),
            Gateway::Registered { .. } => return None,
        };
        let call_id = format!("{}-{}", register.contact_user, setup.epoch_ms);
        let aor = register.aor.clone();
        let mut config = RegistrationConfig::new(aor, uri, &register.contact_user, &call_id);
        config.expires = register.expires;
        config.instance = register.instance.as_deref().map(str::to_owned);
        config.credentials = trunk.credentials.clone();
        let seed = setup.seed.first_chunk().copied().unwrap_or_default();
        let seed = u64::from_le_bytes(seed) ^ (trunk.name.len() as u64);
        Some(Self {
            machine: Registration::new(Duration::ZERO, config, seed),
            contact_user: Arc::clone(&register.contact_user),
            peers,
            at: 0,
            under_way: None,
            registered_at: None,
            told: None,
        })
    }

    fn hop(&self) -> Option<sip::Peer> {
        self.peers.get(self.at).copied()
    }

    fn is_registered(&self, now: Duration) -> bool {
        matches!(self.machine.standing(now), Standing::Registered { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{Line, Register};
    use crate::{Input, Now, Output, Switch};

    const REGISTRAR: [u8; 4] = [192, 0, 2, 50];
    const SECOND: [u8; 4] = [192, 0, 2, 51];
    const CONTACT: &str = "c0ffee";

    fn peer(ip: [u8; 4]) -> sip::Peer {
        sip::Peer::udp((ip, 5060).into())
    }

    /// A switch whose trunk registers, and what it sent.
    struct Story {
        switch: Switch,
        now: Duration,
        sent: Vec<(sip::Peer, String)>,
        told: Vec<(bool, Option<u16>)>,
    }

    impl Story {
        fn new() -> Self {
            let mut setup = crate::setup::tests::empty();
            let uri = |text: &str| sip::Uri::parse(text).expect("a URI");
            let trunk = Trunk {
                name: "city".into(),
                gateways: vec![Gateway::Named {
                    uri: uri("sip:provider.example"),
                }],
                calls_max: 10,
                reserve_in: 0,
                credentials: Some(sip::Credentials::new("15550100", "secret")),
                probe_every: None,
                trusted: false,
                encryption: None,
                register: Some(Register {
                    aor: uri("sip:15550100@provider.example"),
                    contact_user: CONTACT.into(),
                    instance: None,
                    expires: Duration::from_secs(600),
                    number: Some("1001".into()),
                }),
                location: false,
                identity: None,
                redirects: crate::setup::Redirects::Refuse,
            };
            setup.trunks.insert("city".into(), Arc::new(trunk));
            let flow = include_str!("../../ivr-flows/flows/location.yaml");
            let line = Line {
                tenant: desk::TenantId(1),
                flow: Arc::new(ivr_flows::Flow::parse("location.yaml", flow).expect("a flow")),
                clinical: false,
            };
            for number in ["1001", "1002"] {
                setup.lines.insert(number.into(), line.clone());
            }
            Self {
                switch: Switch::new(setup),
                now: Duration::ZERO,
                sent: Vec::new(),
                told: Vec::new(),
            }
        }

        fn drain(&mut self) {
            while let Some(output) = self.switch.poll() {
                match output {
                    Output::Transmit(sip::Transmit { peer, bytes }) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        self.sent.push((peer, text));
                    }
                    Output::TrunkRegistered {
                        registered, code, ..
                    } => self.told.push((registered, code)),
                    _ => {}
                }
            }
        }

        fn handle(&mut self, input: Input) {
            let now = Now {
                mono: self.now,
                wall: 0,
            };
            self.switch.handle(now, input);
            self.until(self.now);
        }

        /// Does all that is due until then.
        fn until(&mut self, to: Duration) {
            while let Some(at) = self.switch.poll_timeout().filter(|at| *at <= to) {
                self.now = at.max(self.now);
                let now = Now {
                    mono: self.now,
                    wall: 0,
                };
                self.switch.handle_timeout(now);
                self.drain();
            }
            self.now = to;
            self.drain();
        }

        fn pass(&mut self, seconds: u64) {
            self.until(self.now + Duration::from_secs(seconds));
        }

        fn located(&mut self, ips: &[[u8; 4]]) {
            self.handle(Input::Located {
                trunk: "city".into(),
                gateway: 0,
                peers: ips.iter().copied().map(peer).collect(),
            });
        }

        /// The last request sent, answered with this.
        fn answer(&mut self, code: u16, more: &str) {
            let (from, text) = self.sent.pop().expect("something was sent");
            let header = |name: &str| {
                let mut lines = text.lines();
                lines
                    .find(|line| line.starts_with(name))
                    .unwrap_or_else(|| panic!("{name} in {text}"))
            };
            let copied = ["Via:", "From:", "Call-ID:", "CSeq:"]
                .map(header)
                .join("\r\n");
            let to = header("To:");
            let answer = format!(
                "SIP/2.0 {code} X\r\n{copied}\r\n{to};tag=9\r\n{more}Content-Length: 0\r\n\r\n"
            );
            let message = sip::parse_datagram(answer.as_bytes(), from).expect("well-formed");
            self.sent.clear();
            self.handle(Input::Sip {
                peer: from,
                message,
            });
        }

        /// A call comes; what it is answered first.
        fn call(&mut self, from: [u8; 4], user: &str, to: &str) -> u16 {
            let n = self.now.as_nanos();
            let text = format!(
                "INVITE sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{n}{user}{to}\r\n\
                 From: <sip:+15550177002@provider.example>;tag=1\r\nTo: <sip:{to}@provider.example>\r\n\
                 Call-ID: {n}{user}{to}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
                 Contact: <sip:a@192.0.2.9>\r\nContent-Length: 0\r\n\r\n"
            );
            let peer = peer(from);
            let message = sip::parse_datagram(text.as_bytes(), peer).expect("well-formed");
            self.sent.clear();
            self.handle(Input::Sip { peer, message });
            self.pass(1);
            let answer = self.sent.first().map(|(_, text)| text[8..11].parse());
            answer.expect("an answer").expect("a code")
        }

        fn is_registered(&self) -> bool {
            self.switch.is_registered(self.now, "city") == Some(true)
        }

        /// How many of its gateways work.
        fn alive(&self) -> Option<usize> {
            self.switch.trunks().next().map(|(_, _, alive)| alive)
        }
    }

    const GRANTED: &str = "Contact: <sip:c0ffee@127.0.0.1>;expires=600\r\n";

    fn registered() -> Story {
        let mut story = Story::new();
        story.located(&[REGISTRAR]);
        story.answer(200, GRANTED);
        assert!(story.is_registered());
        story
    }

    #[test]
    fn a_trunk_registers_with_digest_when_its_registrar_is_located() {
        let mut story = Story::new();
        story.pass(60);
        assert!(story.sent.is_empty(), "nobody knows where");
        story.located(&[REGISTRAR]);
        let (to, text) = story.sent.last().expect("a REGISTER").clone();
        assert_eq!(to, peer(REGISTRAR));
        assert!(
            text.starts_with("REGISTER sip:provider.example SIP/2.0"),
            "{text}"
        );
        assert!(
            text.contains("Contact: <sip:c0ffee@127.0.0.1:5060>"),
            "{text}"
        );
        assert_eq!(story.alive(), Some(0));
        let nonce = "WWW-Authenticate: Digest realm=\"p\", nonce=\"n\", qop=\"auth\"\r\n";
        story.answer(401, nonce);
        let (_, text) = story.sent.last().expect("once more");
        assert!(
            text.contains("Authorization: Digest username=\"15550100\""),
            "{text}"
        );
        // Too brief: what it wants is asked for.
        story.answer(423, "Min-Expires: 900\r\n");
        let (_, text) = story.sent.last().expect("longer");
        assert!(text.contains("Expires: 900"), "{text}");
        story.answer(200, GRANTED);
        assert!(story.is_registered());
        assert_eq!(
            (story.told.as_slice(), story.alive()),
            (&[(true, None)][..], Some(1))
        );
    }

    #[test]
    fn it_is_refreshed_and_a_registrar_that_stays_silent_makes_the_way_dead() {
        let mut story = registered();
        while story.sent.is_empty() {
            story.pass(1);
        }
        let seconds = story.now.as_secs();
        assert!((400..=501).contains(&seconds), "{seconds}");
        story.answer(200, GRANTED);
        story.pass(590);
        assert!(story.is_registered(), "the first would have ended");
        story.pass(20);
        assert!(!story.is_registered());
        assert_eq!(story.told, [(true, None), (false, None)]);
        assert_eq!(story.alive(), Some(0));
        // Asked again and again, and back as soon as it answers.
        story.sent.clear();
        while story.sent.is_empty() {
            story.pass(1);
        }
        story.answer(200, GRANTED);
        assert!(story.is_registered());
        assert_eq!(story.alive(), Some(1));
    }

    #[test]
    fn out_of_service_the_next_address_is_asked_at_once() {
        let mut story = Story::new();
        story.located(&[REGISTRAR, SECOND]);
        story.answer(503, "");
        assert_eq!(story.sent.last().map(|(to, _)| *to), Some(peer(SECOND)));
        story.answer(200, GRANTED);
        assert!(story.is_registered());
        // The DNS forgets it: registered anew where it leads now.
        story.sent.clear();
        story.located(&[REGISTRAR]);
        assert_eq!(story.sent.last().map(|(to, _)| *to), Some(peer(REGISTRAR)));
    }

    #[test]
    fn what_is_refused_is_told_with_the_code() {
        let mut story = Story::new();
        story.located(&[REGISTRAR]);
        story.answer(403, "");
        assert_eq!(story.told, [(false, Some(403))]);
    }

    #[test]
    fn its_calls_are_known_by_our_contact_and_its_address_alone() {
        let mut story = registered();
        for (from, user, to, expected) in [
            (REGISTRAR, CONTACT, "1002", 100),
            // No number of ours: the one that is configured.
            (REGISTRAR, CONTACT, "15550100", 100),
            // Anybody can write our number, and forge an address.
            (REGISTRAR, "1002", "1002", 401),
            (SECOND, CONTACT, "1002", 401),
            ([203, 0, 113, 1], CONTACT, "1002", 401),
        ] {
            assert_eq!(story.call(from, user, to), expected, "{from:?} {user} {to}");
        }
        assert_eq!(story.switch.counters().admitted, 2);
    }

    #[test]
    fn stopping_takes_it_back() {
        let mut story = registered();
        story.sent.clear();
        story.handle(Input::HangUpAll);
        let (_, text) = story.sent.last().expect("a REGISTER");
        assert!(text.contains("Expires: 0"), "{text}");
        assert!(story.switch.is_registering());
        story.answer(200, "");
        assert!(!story.switch.is_registering());
        assert_eq!(story.told, [(true, None), (false, None)]);
    }
}

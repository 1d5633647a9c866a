//! A call of ours that a proxy on the way forks: whoever answers, in whatever order their messages and our hang-up come,
//! one of them has the call, everybody else who answered is acknowledged and told goodbye once, and nothing is left.

mod pair;

use std::time::Duration;

use itertools::Itertools as _;
use pair::{ANSWER, CALLEE, CALLER, OFFER, ms, peer, read};
use sip::{Endpoint, EndpointConfig, Event, Identity, Interface, Invite, LegId, Uri};

/// What reaches us, or what we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A response of one of those who are called.
    Says(usize, u16),
    HangUp,
}

/// The caller, and what it has put on the wire.
struct Caller {
    endpoint: Endpoint,
    now: Duration,
    leg: LegId,
    call_id: String,
    tag: String,
    branch: String,
    sent: Vec<String>,
    told: Vec<Event>,
}

impl Caller {
    fn calls() -> Self {
        let interface = Interface::local(pair::addr(CALLER));
        let mut endpoint = Endpoint::new(EndpointConfig::new(interface, 0, [9; 32]));
        let target = Uri::sip("5550100", "198.51.100.20", None).unwrap();
        let offer = OFFER.to_vec();
        let invite = Invite::new(target, peer(CALLEE), Identity::default(), offer);
        let leg = endpoint.invite(ms(0), invite);
        let sent = endpoint.poll_transmit().unwrap();
        let text = String::from_utf8(sent.bytes.to_vec()).unwrap();
        let after = |name: &str, sign: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(sign).next().unwrap().trim().to_owned()
        };
        Self {
            call_id: after("Call-ID", ": "),
            tag: after("From", "tag="),
            branch: after("Via", "branch="),
            endpoint,
            now: ms(0),
            leg,
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    fn hears(&mut self, fork: usize, code: u16) {
        let (call_id, tag, branch) = (&self.call_id, &self.tag, &self.branch);
        let sdp = String::from_utf8(ANSWER.to_vec())
            .unwrap()
            .replace("\r\n", "\n");
        let body = match code {
            180 => "Content-Length: 0\n\n".to_owned(),
            _ => format!(
                "Content-Type: application/sdp\nContent-Length: {}\n\n{sdp}",
                ANSWER.len()
            ),
        };
        let text = format!(
            "SIP/2.0 {code} X\nVia: SIP/2.0/UDP 192.0.2.10;branch={branch}\n\
             From: <sip:192.0.2.10>;tag={tag}\nTo: <sip:5550100@198.51.100.20>;tag=fork{fork}\n\
             Call-ID: {call_id}\nCSeq: 1 INVITE\nContact: <sip:phone{fork}@198.51.100.20>\n{body}"
        );
        self.endpoint
            .receive(self.now, peer(CALLEE), read(&text, CALLEE));
        self.look();
    }

    /// Takes everything out. What needs an answer of its own has it at once.
    fn look(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
            if text.starts_with("BYE") || text.starts_with("CANCEL") {
                let kept = text.lines().skip(1).filter(|line| {
                    ["Via", "From", "To", "Call-ID", "CSeq"]
                        .iter()
                        .any(|name| line.starts_with(name))
                });
                let kept: Vec<_> = kept.collect();
                let answer = format!("SIP/2.0 200 OK\n{}\nContent-Length: 0\n\n", kept.join("\n"));
                let answer = read(&answer, CALLEE);
                self.endpoint.receive(self.now, peer(CALLEE), answer);
            }
            self.sent.push(text);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.told.push(event);
        }
    }

    fn pass(&mut self, until: Duration) {
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.look();
        }
        self.now = until;
    }

    fn hangs_up(&mut self) {
        self.endpoint.hangup(self.now, self.leg, None);
        self.look();
    }

    /// How many requests of this method went to that one.
    fn count(&self, method: &str, fork: usize) -> usize {
        let line = format!("{method} sip:phone{fork}@198.51.100.20 SIP/2.0");
        let tag = format!(";tag=fork{fork}\r\n");
        let to_them = |text: &&String| text.starts_with(&line) && text.contains(&tag);
        self.sent.iter().filter(to_them).count()
    }
}

/// Plays one order; each 200 comes `repeats` times more, at once or in the end.
fn play(acts: &[Act], forks: usize, step: u64, repeats: usize, at_once: bool) {
    let mut caller = Caller::calls();
    let mut oks = vec![0; forks];
    let mut winner = None;
    let mut hung_up = false;
    let mut rung = false;
    for act in acts {
        caller.pass(caller.now + ms(step));
        match *act {
            Act::HangUp => {
                caller.hangs_up();
                hung_up = true;
            }
            Act::Says(fork, code) => {
                let before = caller.told.len();
                caller.hears(fork, code);
                if code == 200 {
                    if oks.iter().all(|n| *n == 0) && !hung_up {
                        winner = Some(fork);
                    }
                    oks[fork] += 1;
                    if at_once {
                        for _ in 0..repeats {
                            caller.hears(fork, 200);
                            oks[fork] += 1;
                        }
                    }
                } else {
                    let news = caller.told.len() - before;
                    let wanted = !hung_up && oks.iter().all(|n| *n == 0);
                    assert_eq!(news, usize::from(wanted), "{acts:?}: {:?}", caller.told);
                    rung |= oks.iter().all(|n| *n == 0);
                }
            }
        }
    }
    if !at_once {
        for (fork, count) in oks.iter_mut().enumerate() {
            for _ in 0..repeats {
                caller.pass(caller.now + ms(step));
                caller.hears(fork, 200);
                *count += 1;
            }
        }
    }
    if !hung_up {
        assert_eq!(caller.endpoint.legs(), 1, "{acts:?}");
        assert_eq!(caller.count("BYE", winner.unwrap()), 0, "{acts:?}");
        caller.hangs_up();
    }
    caller.pass(caller.now + ms(300_000));
    for (fork, oks) in oks.iter().enumerate() {
        assert_eq!(
            caller.count("ACK", fork),
            *oks,
            "{acts:?}: {:#?}",
            caller.sent
        );
        assert_eq!(caller.count("BYE", fork), 1, "{acts:?}: {:#?}", caller.sent);
    }
    let answered = caller.told.iter().filter_map(|event| match event {
        Event::Answered { response, .. } => response.to_tag().map(str::to_owned),
        _ => None,
    });
    let expected = winner.map(|winner| format!("fork{winner}"));
    assert_eq!(
        answered.collect::<Vec<_>>(),
        expected.into_iter().collect::<Vec<_>>()
    );
    let ends = caller.told.iter().filter(|event| {
        matches!(
            event,
            Event::Ended { .. } | Event::Refused { .. } | Event::Cancelled { .. }
        )
    });
    assert_eq!(ends.count(), 1, "{acts:?}: {:?}", caller.told);
    let cancels = caller.sent.iter().filter(|text| text.starts_with("CANCEL"));
    // Nobody is left to cancel once one has answered; and nothing before anybody rings (RFC 3261 section 9.1).
    let cancelled = hung_up && winner.is_none() && rung;
    assert_eq!(cancels.count(), usize::from(cancelled), "{acts:?}");
    assert_eq!(caller.endpoint.legs(), 0, "{acts:?}");
    assert_eq!(caller.endpoint.transactions(), 0, "{acts:?}");
}

/// Every order of these, without a hang-up of ours and with one at every place among them.
fn every_order(says: &[Act], forks: usize) {
    for order in says.iter().copied().permutations(says.len()) {
        for hang_up in 0..=order.len() + 1 {
            let mut acts = order.clone();
            if hang_up <= order.len() {
                acts.insert(hang_up, Act::HangUp);
            }
            play(&acts, forks, 10, 0, true);
            play(&acts, forks, 700, 2, true);
            play(&acts, forks, 10, 1, false);
        }
    }
}

#[test]
fn two_ring_speak_and_answer_in_every_order() {
    let says = [
        Act::Says(0, 180),
        Act::Says(0, 183),
        Act::Says(0, 200),
        Act::Says(1, 180),
        Act::Says(1, 183),
        Act::Says(1, 200),
    ];
    every_order(&says, 2);
}

#[test]
fn three_ring_and_answer_in_every_order() {
    let says = [
        Act::Says(0, 180),
        Act::Says(0, 200),
        Act::Says(1, 183),
        Act::Says(1, 200),
        Act::Says(2, 180),
        Act::Says(2, 200),
    ];
    every_order(&says, 3);
}

//! The races of a call, each at every permutation of its messages: whatever
//! overtakes what, each side is told exactly one end, both agree that it is
//! over, and nothing is left behind. That they do overtake each other is seen by what the two were told: each way that a
//! race can go is there.

mod pair;

use std::time::Duration;

use itertools::Itertools as _;
use pair::{Act, CALLEE, CALLER, Habit, Pair, ms};

/// How many messages of a race change places: 120 orders.
const CROSSING: usize = 5;

/// What the two were told, of every order that was played.
#[derive(Default)]
struct Told(Vec<[Vec<String>; 2]>);

impl Told {
    /// In some orders that side was told so, in others it wasn't.
    #[track_caller]
    fn both(&self, side: usize, what: &str) {
        let told = |told: &&[Vec<String>; 2]| told[side].iter().any(|t| t.starts_with(what));
        let heard = self.0.iter().filter(told).count();
        assert!(heard > 0, "{what} is never told to {side}");
        assert!(heard < self.0.len(), "{what} is always told to {side}");
    }
}

/// Plays `acts`; from the message `first` on, `CROSSING` messages arrive in
/// every order.
fn every_order(
    name: &str,
    habit: Habit,
    acts: &[(u64, Act)],
    first: &str,
    told: &mut Told,
    check: fn(&Pair),
) {
    let play = |fate: pair::Fate| {
        let mut pair = Pair::new(habit, fate);
        for (at, act) in acts {
            pair.at(ms(*at), *act);
        }
        pair.run(Duration::from_secs(900));
        pair
    };
    let perfect = play(Pair::perfect());
    let begins = perfect.sent.iter().position(|(_, l)| l.starts_with(first));
    let begins = begins.unwrap_or_else(|| panic!("{name}: no {first}"));
    for order in (0..CROSSING).permutations(CROSSING) {
        // So far apart that a repetition falls among them, or hardly at all.
        for step in [7, 300] {
            let places = order.clone();
            let fate = Box::new(move |index: usize, _: &str| {
                let place = index.checked_sub(begins).and_then(|n| places.get(n));
                vec![ms(5 + place.map_or(5, |place| *place as u64 * step))]
            });
            let pair = play(fate);
            pair.assert_empty();
            for side in [CALLER, CALLEE] {
                let told = &pair.told[side];
                let ends = told.iter().filter(|t| {
                    ["ended", "cancelled", "refused"]
                        .iter()
                        .any(|end| t.starts_with(end))
                });
                let (ends, legs) = (ends.count(), pair.legs[side].len());
                assert_eq!(ends, legs, "{name} {order:?} {step} side {side}: {told:?}");
                assert!(ends == 0 || told.last().is_some_and(|t| !t.starts_with("reinvite")));
            }
            check(&pair);
            told.0.push(pair.told);
        }
    }
}

fn count(pair: &Pair, side: usize, what: &str) -> usize {
    pair.told[side]
        .iter()
        .filter(|t| t.starts_with(what))
        .count()
}

#[test]
fn cancel_against_200() {
    let mut told = Told::default();
    // The answer leaves 1,000 ms after the INVITE came in.
    for hang_up in [980, 1_000, 1_010, 1_015, 1_025] {
        let acts = [(0, Act::Call), (hang_up, Act::HangUp(CALLER))];
        for first in ["SIP/2.0 200", "CANCEL"] {
            let sends_cancel = hang_up < 1_020;
            if first == "CANCEL" && !sends_cancel {
                continue;
            }
            every_order(
                "CANCEL against 200",
                Habit::Answers,
                &acts,
                first,
                &mut told,
                |pair| {
                    assert_eq!(count(pair, CALLER, "ended Local"), 1);
                },
            );
        }
    }
    told.both(CALLEE, "cancelled");
    told.both(CALLEE, "ended Bye");
    told.both(CALLER, "answered");
}

#[test]
fn bye_against_reinvite() {
    let mut heard = [Told::default(), Told::default()];
    for by in [CALLER, CALLEE] {
        for apart in [0, 5, 15] {
            let acts = [
                (0, Act::Call),
                (5_000, Act::Reinvite(1 - by)),
                (5_000 + apart, Act::HangUp(by)),
            ];
            every_order(
                "BYE against re-INVITE",
                Habit::Answers,
                &acts,
                "INVITE sip:0",
                &mut heard[by],
                |_| {},
            );
            let acts = [
                (0, Act::Call),
                (5_000, Act::Reinvite(by)),
                (5_000 + apart, Act::HangUp(by)),
            ];
            every_order(
                "BYE after one's own re-INVITE",
                Habit::Answers,
                &acts,
                "INVITE sip:0",
                &mut Told::default(),
                |_| {},
            );
        }
    }
    // Who hangs up has heard of the re-INVITE, or hasn't.
    heard[CALLER].both(CALLER, "reinvite");
    heard[CALLEE].both(CALLEE, "reinvite");
}

#[test]
fn reinvite_and_update_against_each_other() {
    for (one, other) in [
        (Act::Reinvite(CALLER), Act::Reinvite(CALLEE)),
        (Act::Update(CALLER), Act::Reinvite(CALLEE)),
        (Act::Update(CALLER), Act::Update(CALLEE)),
    ] {
        let first = match one {
            Act::Update(_) => "UPDATE",
            _ => "INVITE sip:0",
        };
        let acts = [
            (0, Act::Call),
            (5_000, one),
            (5_000, other),
            (60_000, Act::HangUp(CALLER)),
        ];
        every_order(
            "glare",
            Habit::Answers,
            &acts,
            first,
            &mut Told::default(),
            |pair| {
                for side in [CALLER, CALLEE] {
                    assert_eq!(count(pair, side, "reinvite answered"), 1, "{:?}", pair.told);
                }
            },
        );
    }
}

#[test]
fn refer_against_bye() {
    let mut told = Told::default();
    for by in [CALLER, CALLEE] {
        for apart in [0, 5, 15] {
            let acts = [
                (0, Act::Call),
                (5_000, Act::Refer(CALLER)),
                (5_000 + apart, Act::HangUp(by)),
            ];
            every_order(
                "REFER against BYE",
                Habit::Answers,
                &acts,
                "REFER",
                &mut told,
                |pair| {
                    assert!(count(pair, CALLEE, "refer ") <= 1);
                },
            );
        }
    }
    told.both(CALLEE, "refer ");
    told.both(CALLER, "referred 202");
}

#[test]
fn a_late_ack() {
    let mut told = Told::default();
    for by in [CALLER, CALLEE] {
        for hang_up in [1_015, 1_025, 1_045] {
            let acts = [(0, Act::Call), (hang_up, Act::HangUp(by))];
            every_order(
                "late ACK",
                Habit::Answers,
                &acts,
                "SIP/2.0 200",
                &mut told,
                |_| {},
            );
        }
        let acts = [
            (0, Act::Call),
            (1_025, Act::Reinvite(by)),
            (9_000, Act::HangUp(CALLER)),
        ];
        every_order(
            "re-INVITE before the ACK",
            Habit::Answers,
            &acts,
            "SIP/2.0 200",
            &mut told,
            |_| {},
        );
    }
    told.both(CALLEE, "confirmed");
    told.both(CALLER, "reinvite");
}

#[test]
fn early_media_against_cancel_and_answer() {
    let mut told = Told::default();
    for hang_up in [5, 15, 25, 35, 1_025] {
        let acts = [(0, Act::Call), (hang_up, Act::HangUp(CALLER))];
        every_order(
            "PRACK against CANCEL",
            Habit::EarlyMedia,
            &acts,
            "SIP/2.0 183",
            &mut told,
            |_| {},
        );
    }
    told.both(CALLEE, "cancelled");
    told.both(CALLER, "early media");
}

//! Calls over a wire that loses, doubles and reorders at random, with hang-ups,
//! changes, transfers and lost connections at random moments: whatever happens, each leg ends exactly
//! once, both sides are told, and nothing is left behind.

mod pair;

use pair::{Act, CALLEE, CALLER, Fate, Habit, Pair, ms};
use proptest::prelude::*;
use sip::Transport;

fn habit() -> impl Strategy<Value = Habit> {
    prop_oneof![
        4 => Just(Habit::Answers),
        3 => Just(Habit::EarlyMedia),
        1 => Just(Habit::Rings),
        1 => Just(Habit::Busy),
        1 => Just(Habit::Silent),
    ]
}

fn act() -> impl Strategy<Value = (u64, Act)> {
    let side = prop_oneof![Just(CALLER), Just(CALLEE)];
    let act = prop_oneof![
        side.clone().prop_map(Act::HangUp),
        side.clone().prop_map(Act::Reinvite),
        side.clone().prop_map(Act::Update),
        side.clone().prop_map(Act::Refer),
        side.prop_map(Act::Lost),
        Just(Act::Call),
        Just(Act::CallWithoutOffer),
    ];
    (0..6_000_u64, act)
}

/// Loses or doubles by the given numbers in turn, delaying each copy.
fn fate(dice: Vec<(u8, u16, u16)>) -> Fate {
    Box::new(move |index, _| {
        let (kind, first, second) = dice[index % dice.len()];
        match kind {
            0 | 1 => vec![],
            2 | 3 => vec![ms(first.into()), ms(second.into())],
            _ => vec![ms(first.into())],
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_leg_ends_exactly_once(
        habit in habit(),
        transport in prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)],
        acts in prop::collection::vec(act(), 0..6),
        dice in prop::collection::vec((0..10_u8, 1..1500_u16, 1..1500_u16), 7..60),
    ) {
        let mut pair = Pair::new(habit, fate(dice));
        pair.transport = transport;
        pair.at(ms(0), Act::Call);
        for (at, act) in acts {
            pair.at(ms(at), act);
        }
        pair.run(ms(7_000));
        pair.at(ms(300_000), Act::HangUp(CALLER));
        pair.at(ms(300_001), Act::HangUp(CALLEE));
        pair.run(ms(2_000_000));
        pair.assert_empty();
        for side in [CALLER, CALLEE] {
            let is_final = |told: &&String| {
                told.starts_with("ended") || told.starts_with("refused") || told.starts_with("cancelled")
            };
            let finals = pair.told[side].iter().filter(is_final).count();
            prop_assert_eq!(finals, pair.legs[side].len(), "{:?}", pair.told[side]);
        }
    }
}

//! Scene 8 of the product and blind transfers, on virtual time: whoever does
//! what in whatever order, the caller talks or waits with a sound.

use std::time::Duration;

use itertools::Itertools as _;
use sim::{
    CallPlan, CallerEnd, Deed, Door, Heard, Hospital, Leave, MORALES, Reaction, Weather, World,
};

const FIRST: Duration = secs(10);
/// At the service desk; at the second tier.
const SERVICE: usize = 2;
const TIER2: usize = 4;
/// The second tier's number inside.
const NUMBER: &str = "2006";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world_of(signed_in: &[usize], weather: Weather) -> World {
    World::staffed(weather, signed_in)
}

/// Iris of the staff talks with the service desk; the second tier is there.
fn talking() -> (World, usize) {
    let mut world = world_of(&[SERVICE, TIER2], Weather::calm());
    let caller = world.call(CallPlan::new(
        FIRST,
        Hospital::StAnne.number(Door::Staff),
        Some(MORALES),
    ));
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    (world, caller)
}

fn transfer(to: &str) -> Deed {
    Deed::Transfer(to.to_owned())
}

/// Everybody hangs up, and nothing is left over.
fn finish(mut world: World, phone: usize) {
    world.does_now(phone, Deed::HangUp { second: false });
    world.finish();
}

#[test]
fn a_caller_is_sent_on_to_a_queue_by_its_number_with_ticket_and_music() {
    let (mut world, caller) = talking();
    let ticket = world.rung(SERVICE)[0].ticket.clone().expect("a ticket");
    world.does_now(SERVICE, transfer(NUMBER));
    assert_eq!(world.hears(caller), Heard::Music);
    assert_eq!(world.referred(SERVICE), [202, 100, 200]);
    world.wait(secs(4));
    assert_eq!(world.hears(caller), Heard::Phone(TIER2));
    assert_eq!(world.rung(TIER2)[0].ticket, Some(ticket));
    assert!(world.rung(SERVICE)[0].ended_at.is_some());
    let visits = world.facts(caller).expect("in the log").visits;
    assert_eq!((visits.queued, visits.answered), (2, 2));
    finish(world, TIER2);
}

#[test]
fn a_caller_is_sent_on_to_a_colleague_and_the_agent_hears_of_it() {
    let (mut world, caller) = talking();
    world.does_now(SERVICE, transfer("analyst4"));
    assert_eq!(world.hears(caller), Heard::Music);
    assert_eq!(world.referred(SERVICE), [202, 100]);
    world.wait(secs(4));
    assert_eq!(world.hears(caller), Heard::Phone(TIER2));
    assert_eq!(world.referred(SERVICE), [202, 100, 200]);
    assert!(world.rung(SERVICE)[0].ended_at.is_some());
    finish(world, TIER2);
}

#[test]
fn a_colleague_who_is_busy_costs_the_caller_nothing_but_seconds() {
    let (mut world, caller) = talking();
    let busy = Reaction::Refuse {
        after: secs(1),
        code: 486,
    };
    world.script(TIER2, busy);
    world.does_now(SERVICE, transfer("analyst4"));
    world.wait(secs(3));
    assert_eq!(world.hears(caller), Heard::Music);
    assert_eq!(world.referred(SERVICE), [202, 100, 486]);
    // Back in the service desk's queue, whose agent has wrapped up.
    world.wait(secs(10));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    finish(world, SERVICE);
}

#[test]
fn a_queue_where_nobody_is_gives_the_caller_back_to_the_flow() {
    let mut world = world_of(&[SERVICE], Weather::calm());
    let plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES));
    let caller = world.call(plan);
    world.pass(FIRST + secs(15));
    world.does_now(SERVICE, transfer("tier2"));
    assert_eq!(world.referred(SERVICE), [202, 100, 200]);
    world.wait(secs(20));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    finish(world, SERVICE);
}

#[test]
fn nothing_leaves_that_the_rules_dont_allow_and_nobody_else_transfers() {
    let (mut world, caller) = talking();
    for to in [
        "+15551234567",
        "0015551234567",
        "911",
        "nobody",
        "analyst2",
        "clinica1",
    ] {
        world.does_now(SERVICE, transfer(to));
    }
    // Unknown and outside: forbidden; themselves: busy.
    assert_eq!(world.referred(SERVICE), [403, 403, 403, 403, 486, 403]);
    world.does_now(SERVICE, Deed::TransferForged(NUMBER.into()));
    assert_eq!(world.referred(SERVICE).last(), Some(&403));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    assert!(world.rung(TIER2).is_empty());
    finish(world, SERVICE);
}

/// Invariant 12: found by the random world.
#[test]
fn nobody_is_sent_to_an_agent_of_the_other_hospital() {
    const MERCY: usize = 5;
    let mut world = world_of(&[SERVICE, MERCY], Weather::calm());
    let plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES));
    let caller = world.call(plan);
    world.pass(FIRST + secs(15));
    world.does_now(SERVICE, transfer("analyst5"));
    world.does_now(SERVICE, Deed::Consult("analyst5".into()));
    assert_eq!(world.referred(SERVICE), [403]);
    assert!(world.rung(MERCY).is_empty());
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    finish(world, SERVICE);
}

/// A colleague rings for long, and meanwhile somebody else calls the service
/// desk: the telephone of who has sent on is taken until they have heard.
/// Whoever hangs up instead of waiting is free.
#[test]
fn who_waits_to_hear_of_a_transfer_isnt_rung() {
    for hangs_up in [false, true] {
        let (mut world, caller) = talking();
        world.script(TIER2, Reaction::Ignore);
        world.does_now(SERVICE, transfer("analyst4"));
        if hangs_up {
            world.does_now(SERVICE, Deed::HangUp { second: false });
        }
        let now = world.now();
        let number = Hospital::StAnne.number(Door::Staff);
        let second = world
            .call(CallPlan::new(now, number, Some(MORALES)).leaves(Leave::AfterTalking(secs(20))));
        world.wait(secs(18));
        assert_eq!(world.hears(caller), Heard::Music, "it rings");
        let rung = world.rung(SERVICE).len();
        assert_eq!(rung, if hangs_up { 2 } else { 1 });
        let talks = world.hears(second) == Heard::Phone(SERVICE);
        assert_eq!(talks, hangs_up);
        world.wait(secs(60));
        world.does_now(TIER2, Deed::HangUp { second: false });
        finish(world, SERVICE);
    }
}

/// The caller leaves while they are talked about: who asked and who was asked
/// talk on, and nobody is sent to either of them.
#[test]
fn who_asks_a_colleague_is_taken_also_when_their_caller_has_left() {
    let mut world = world_of(&[SERVICE, TIER2], Weather::calm());
    let number = Hospital::StAnne.number(Door::Staff);
    world.call(CallPlan::new(FIRST, number, Some(MORALES)).leaves(Leave::AfterTalking(secs(12))));
    world.does(SERVICE, FIRST + secs(15), Deed::Hold);
    world.does(SERVICE, FIRST + secs(16), Deed::Consult(NUMBER.into()));
    world.pass(FIRST + secs(30));
    assert!(world.rung(SERVICE)[0].ended_at.is_some());
    // Somebody else calls the desk.
    let now = world.now();
    world.call(CallPlan::new(now, number, Some(MORALES)).leaves(Leave::AfterDialling(secs(70))));
    world.wait(secs(20));
    assert_eq!(world.rung(SERVICE).len(), 1, "not while they ask");
    world.does_now(TIER2, Deed::HangUp { second: false });
    world.wait(secs(20));
    assert_eq!(world.rung(SERVICE).len(), 2, "once they are free");
    finish(world, SERVICE);
}

/// The agent holds the caller and talks with the second tier.
fn consulting() -> (World, usize) {
    let (mut world, caller) = talking();
    world.does_now(SERVICE, Deed::Hold);
    assert_eq!(world.hears(caller), Heard::Music);
    world.does_now(SERVICE, Deed::Consult(NUMBER.into()));
    world.wait(secs(4));
    assert!(world.rung(TIER2)[0].answered_at.is_some());
    assert_eq!(world.hears(caller), Heard::Music);
    (world, caller)
}

#[test]
fn an_agent_consults_the_second_tier_and_hands_the_caller_over() {
    for by_second in [false, true] {
        let (mut world, caller) = consulting();
        let ticket = world.rung(SERVICE)[0].ticket.clone();
        assert!(ticket.is_some());
        assert_eq!(world.rung(TIER2)[0].ticket, ticket);
        world.does_now(SERVICE, Deed::TransferAttended { by_second });
        assert_eq!(world.hears(caller), Heard::Phone(TIER2), "{by_second}");
        assert_eq!(world.referred(SERVICE), [202, 100, 200]);
        assert!(world.rung(SERVICE)[0].ended_at.is_some());
        assert_eq!(world.rung(TIER2).len(), 1, "the same call");
        // A hand-over is no new visit, and the consultation was nobody's journey.
        let visits = world.facts(caller).expect("in the log").visits;
        assert_eq!((visits.queued, visits.answered), (1, 1));
        world.wait(secs(40));
        assert_eq!(world.hears(caller), Heard::Phone(TIER2));
        finish(world, TIER2);
    }
}

#[test]
fn the_consulted_may_leave_and_the_agent_comes_back() {
    let (mut world, caller) = consulting();
    world.does_now(TIER2, Deed::HangUp { second: false });
    assert_eq!(world.hears(caller), Heard::Music);
    world.does_now(SERVICE, Deed::Hold);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    finish(world, SERVICE);
}

#[test]
fn who_hands_over_before_an_answer_leaves_the_caller_waiting_there() {
    let (mut world, caller) = talking();
    world.script(
        TIER2,
        Reaction::Answer {
            after: secs(8),
            hang_up_after: None,
        },
    );
    world.does_now(SERVICE, Deed::Hold);
    world.does_now(SERVICE, Deed::Consult(NUMBER.into()));
    world.wait(secs(2));
    world.does_now(SERVICE, Deed::TransferAttended { by_second: false });
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(20));
    assert_eq!(world.hears(caller), Heard::Phone(TIER2));
    finish(world, TIER2);
}

#[test]
fn a_second_consultation_at_once_is_busy() {
    let (mut world, _) = consulting();
    world.does_now(SERVICE, Deed::Consult("tier2".into()));
    assert_eq!(world.rung(TIER2).len(), 1);
    world.does_now(TIER2, Deed::HangUp { second: false });
    finish(world, SERVICE);
}

/// Invariant 10: REFER, BYE, hold and the colleague's hang-up in every order
/// and at several distances; the oracle watches that the caller is never in
/// silence, and that nothing is left of anybody.
#[test]
fn transfer_hang_up_and_hold_in_any_order_leave_the_caller_with_somebody_or_waiting() {
    let deeds = [
        (SERVICE, transfer(NUMBER)),
        (SERVICE, Deed::HangUp { second: false }),
        (SERVICE, Deed::Hold),
    ];
    let direct = [
        (SERVICE, transfer("analyst4")),
        (SERVICE, Deed::HangUp { second: false }),
        (SERVICE, Deed::Hold),
    ];
    for deeds in [deeds, direct] {
        for order in deeds.iter().cloned().permutations(deeds.len()) {
            for apart in [0, 15, 60, 700, 2_500] {
                let (mut world, caller) = talking();
                let now = world.now();
                for (n, (phone, deed)) in order.iter().enumerate() {
                    world.does(*phone, now + ms(apart * n as u64), deed.clone());
                }
                world.wait(secs(10));
                let first = order
                    .iter()
                    .position(|(_, deed)| matches!(deed, Deed::Transfer(_)));
                let hung_up = order
                    .iter()
                    .position(|(_, deed)| matches!(deed, Deed::HangUp { .. }));
                if apart > 0 && first < hung_up {
                    assert_eq!(
                        world.hears(caller),
                        Heard::Phone(TIER2),
                        "{order:?} {apart}"
                    );
                }
                finish(world, TIER2);
            }
        }
    }
}

/// The same for a hand-over after a consultation, with the colleague leaving.
#[test]
fn a_hand_over_crossing_everybodys_hang_up_leaves_nobody_in_silence() {
    let deeds = [
        (SERVICE, Deed::TransferAttended { by_second: false }),
        (SERVICE, Deed::HangUp { second: true }),
        (SERVICE, Deed::HangUp { second: false }),
        (TIER2, Deed::HangUp { second: false }),
    ];
    for order in deeds.iter().cloned().permutations(deeds.len()) {
        for apart in [0, 15, 60, 900] {
            let (mut world, _) = consulting();
            let now = world.now();
            for (n, (phone, deed)) in order.iter().enumerate() {
                world.does(*phone, now + ms(apart * n as u64), deed.clone());
            }
            world.wait(secs(10));
            finish(world, TIER2);
        }
    }
}

/// The caller hangs up at every moment of a transfer.
#[test]
fn a_caller_who_leaves_during_a_transfer_rings_nobody_for_long() {
    for to in [NUMBER, "analyst4"] {
        for at in (0..6_000).step_by(170) {
            let mut world = world_of(&[SERVICE, TIER2], Weather::calm());
            let caller = world.call(
                CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES))
                    .leaves(Leave::AfterTalking(secs(5) + ms(at))),
            );
            world.does(SERVICE, FIRST + secs(12), transfer(to));
            world.pass(FIRST + secs(40));
            assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
            finish(world, TIER2);
        }
    }
}

/// On networks that lose and reorder.
#[test]
fn transfers_survive_bad_networks() {
    for seed in 0..20 {
        let mut weather = Weather::any(&mut sim::Dice::new(seed), secs(60));
        weather.crashes.clear();
        weather.people = 0;
        let mut world = world_of(&[SERVICE, TIER2], weather);
        world.call(
            CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES))
                .leaves(Leave::AfterTalking(secs(90))),
        );
        world.does(SERVICE, FIRST + secs(15), Deed::Hold);
        world.does(SERVICE, FIRST + secs(17), Deed::Consult(NUMBER.into()));
        let hand_over = Deed::TransferAttended { by_second: false };
        world.does(SERVICE, FIRST + secs(27), hand_over);
        world.does(TIER2, FIRST + secs(45), transfer("analyst2"));
        world.pass(FIRST + secs(120));
        finish(world, TIER2);
    }
}

//! Scene 3 of the product: the patient who calls after hours, the partner, and
//! what can go wrong between them, on virtual time.

use std::time::Duration;

use desk::TakenBack;
use sim::{
    BELL, CallPlan, CallerEnd, Cue, Door, Heard, Hospital, Leave, Press, Reaction, STRANGER,
    Weather, World,
};

const FIRST: Duration = secs(10);
/// An analyst at the patients' desk of Saint Anne.
const PATIENTS: usize = 2;
/// The partner's telephones behind the trunk's two gateways.
const PARTNER: [usize; 2] = [7, 8];

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A world in which the patients' desk is signed in, or nobody is.
fn world(staffed: bool) -> World {
    let present: &[usize] = if staffed { &[PATIENTS] } else { &[] };
    World::staffed(Weather::calm(), present)
}

fn patient(at: Duration, door: Door, from: &str) -> CallPlan {
    let mut plan = CallPlan::new(at, Hospital::StAnne.number(door), Some(from))
        .leaves(Leave::AfterTalking(secs(10)));
    plan.presses.push(Press {
        cue: Cue::Answer(secs(1)),
        key: '0',
    });
    plan
}

/// How the log tells that a contact came back.
fn refused(code: u16) -> Reaction {
    Reaction::Refuse {
        after: secs(1),
        code,
    }
}

#[test]
fn after_hours_the_partner_takes_the_call_with_the_ticket() {
    let mut world = world(true);
    let caller = world.call(patient(FIRST, Door::Portal, BELL));
    world.pass(FIRST + secs(60));
    let told = world.told(caller);
    assert!(told.starts_with("If this is an emergency"), "{told}");
    assert!(!told.contains("Rosa"), "a patient is never named: {told}");
    let rung = &world.rung(PARTNER[0])[0];
    let ticket = rung.ticket.as_deref().expect("the ticket goes along");
    assert!(world.ticket_is_durable(caller, ticket));
    assert!(told.contains(ticket), "and was read out: {told}");
    assert!(!rung.from.contains("Rosa") && rung.from.contains(BELL));
    assert!(world.talking_at(caller).is_some());
    assert!(world.rung(PATIENTS).is_empty() && world.rung(PARTNER[1]).is_empty());
    world.finish();
    assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
    let facts = world.facts(caller).expect("in the log");
    assert_eq!(facts.visits.queued, 0);
}

#[test]
fn in_the_day_our_own_desk_does() {
    let mut world = world(true);
    let number = Hospital::Mercy.number(Door::Portal);
    let mut plan = patient(FIRST, Door::Portal, STRANGER);
    plan.dials = number.to_owned();
    let plan = plan.leaves(Leave::AfterDialling(secs(90)));
    let caller = world.call(plan);
    // Nobody at Mercy is signed in: what counts here is that no partner is called.
    world.pass(FIRST + secs(60));
    assert!(world.rung(PARTNER[0]).is_empty());
    assert!(world.told(caller).contains("Please stay on the line"));
    world.finish();
}

#[test]
fn a_busy_partner_costs_seconds_and_not_the_place() {
    for (code, why) in [
        (486, TakenBack::Busy),
        (600, TakenBack::Busy),
        (480, TakenBack::NoAnswer),
        // It rang for too long.
        (408, TakenBack::NoAnswer),
        (404, TakenBack::Failed),
        (410, TakenBack::Failed),
        (482, TakenBack::Failed),
        (484, TakenBack::Failed),
        // They speak for wherever the callee is.
        (603, TakenBack::Busy),
        (604, TakenBack::Failed),
        (606, TakenBack::Failed),
    ] {
        let mut world = world(true);
        world.script(PARTNER[0], refused(code));
        // Somebody who enters the same queue while the partner is being tried.
        let first = world.call(patient(FIRST, Door::Portal, BELL));
        world.pass(FIRST + secs(1));
        let talking = Reaction::Answer {
            after: secs(2),
            hang_up_after: None,
        };
        world.script(PATIENTS, talking);
        world.pass(FIRST + secs(60));
        let told = world.told(first);
        assert!(told.contains("You have kept your place"), "{code}: {told}");
        assert_eq!(world.rung(PARTNER[0]).len(), 1, "{code}");
        // What the callee says of itself isn't asked of another gateway again.
        assert!(world.rung(PARTNER[1]).is_empty(), "{code}");
        assert!(
            world.talking_at(first).is_some(),
            "{code}: with our own desk"
        );
        assert_eq!(world.taken_back(first), [why], "{code}");
        world.finish();
    }
}

#[test]
fn whoever_is_taken_back_goes_before_those_who_came_later() {
    let mut world = world(true);
    // The only analyst talks for a minute with somebody else.
    let mut talker = patient(FIRST, Door::Patient, STRANGER);
    talker.leaves = vec![Leave::AfterTalking(secs(60))];
    let other = world.call(talker);
    world.script(
        PARTNER[0],
        Reaction::Refuse {
            after: secs(20),
            code: 486,
        },
    );
    let first = world.call(patient(FIRST + secs(1), Door::Portal, BELL));
    // In the queue while the partner still rings for the first.
    let second = world.call(patient(FIRST + secs(15), Door::Patient, STRANGER));
    world.pass(FIRST + secs(200));
    assert!(world.talking_at(other).is_some());
    let (first, second) = (world.talking_at(first), world.talking_at(second));
    assert!(first.is_some() && first < second, "{first:?} {second:?}");
    world.finish();
}

/// What a gateway says of itself, or of what this call asks of it, is asked of the next one.
#[test]
fn what_is_only_this_gateways_word_is_asked_of_the_next_within_half_a_second() {
    for code in [
        400, 401, 403, 405, 407, 408, 415, 420, 433, 488, 500, 503, 513,
    ] {
        let mut world = world(false);
        world.script(
            PARTNER[0],
            Reaction::Refuse {
                after: Duration::ZERO,
                code,
            },
        );
        let caller = world.call(patient(FIRST, Door::Portal, BELL));
        world.pass(FIRST + secs(60));
        let (first, second) = (world.rung(PARTNER[0]), world.rung(PARTNER[1]));
        let waited = second[0].at - first[0].at;
        assert!(waited < Duration::from_millis(500), "{code}: {waited:?}");
        assert!(world.talking_at(caller).is_some(), "{code}");
        assert!(world.taken_back(caller).is_empty());
        world.finish();
    }
}

/// A 500 or 408 is about one call, a 503 about the gateway: a caller who comes before it has been asked how it is goes past it.
#[test]
fn only_out_of_service_keeps_the_next_caller_away() {
    // How many of two callers, one shortly after the other, were sent to the first gateway.
    let sent_there = |code: u16, later: u64| {
        let mut world = world(false);
        let refusal = Reaction::Refuse {
            after: Duration::ZERO,
            code,
        };
        world.script(PARTNER[0], refusal);
        world.script(PARTNER[0], refusal);
        for at in [FIRST, FIRST + Duration::from_millis(later)] {
            world.call(patient(at, Door::Portal, BELL));
        }
        world.pass(FIRST + secs(60));
        assert_eq!(world.rung(PARTNER[1]).len(), 2, "{code}");
        let there = world.rung(PARTNER[0]).len();
        world.finish();
        there
    };
    assert!((0..40).all(|later| sent_there(500, later) == 2));
    assert!((0..40).any(|later| sent_there(503, later) == 1));
}

#[test]
fn a_silent_gateway_costs_less_than_four_seconds_and_once() {
    let mut world = world(false);
    world.switch_off(PARTNER[0], secs(45));
    let caller = world.call(patient(FIRST, Door::Portal, BELL));
    world.pass(FIRST + secs(60));
    let mut told = world.heard(caller).iter();
    let called = told.find(|(_, text)| text.contains("being connected"));
    let (called, _) = called.expect("said while the first gateway is called");
    let waited = world.rung(PARTNER[1])[0].at - *called;
    assert!(waited < secs(4), "{waited:?}");
    assert!(world.talking_at(caller).is_some());
    // It would answer now, but the next caller isn't sent there first.
    let next = world.call(patient(world.now(), Door::Portal, BELL));
    world.pass(FIRST + secs(80));
    assert!(world.rung(PARTNER[0]).is_empty());
    assert_eq!(world.rung(PARTNER[1]).len(), 2);
    world.finish();
    assert!(world.talking_at(next).is_some());
}

#[test]
fn with_every_gateway_dead_the_caller_is_taken_back() {
    let mut world = world(true);
    // One without power, the other at work on the call for ever.
    world.switch_off(PARTNER[0], secs(600));
    world.script(PARTNER[1], Reaction::PlayDead);
    let caller = world.call(patient(FIRST, Door::Portal, BELL));
    world.pass(FIRST + secs(60));
    assert_eq!(world.taken_back(caller), [TakenBack::Failed]);
    assert!(world.talking_at(caller).is_some(), "with our own desk");
    world.finish();
}

/// From when it is said that the partner is called, to when it is said that the caller is back.
fn waited_for_nobody(world: &mut World) -> Duration {
    let caller = world.call(patient(FIRST, Door::Portal, BELL));
    world.pass(FIRST + secs(60));
    assert_eq!(world.taken_back(caller), [TakenBack::Failed]);
    let said = |words: &str| {
        let mut heard = world.heard(caller).iter();
        heard.find(|(_, text)| text.contains(words)).expect(words).0
    };
    said("You have kept your place") - said("being connected")
}

#[test]
fn two_silent_gateways_cost_less_than_six_seconds() {
    let mut world = world(true);
    world.switch_off(PARTNER[0], secs(600));
    world.switch_off(PARTNER[1], secs(600));
    // Three for the first, two for the second.
    let waited = waited_for_nobody(&mut world);
    assert!((secs(4)..secs(6)).contains(&waited), "{waited:?}");
    world.finish();
}

#[test]
fn gateways_at_work_for_nothing_cost_twelve_seconds_together() {
    let mut world = world(true);
    world.script(PARTNER[0], Reaction::PlayDead);
    world.script(PARTNER[1], Reaction::PlayDead);
    let waited = waited_for_nobody(&mut world);
    assert!((secs(11)..secs(13)).contains(&waited), "{waited:?}");
    world.finish();
}

#[test]
fn a_partner_who_vanishes_in_mid_talk_gives_the_caller_back() {
    let mut world = world(true);
    world.script(
        PARTNER[0],
        Reaction::VanishTalking {
            after: secs(1),
            into: secs(5),
            back_after: secs(600),
        },
    );
    let mut plan = patient(FIRST, Door::Portal, BELL);
    plan.leaves = vec![Leave::AfterDialling(secs(150))];
    let caller = world.call(plan);
    let heard_at = |world: &mut World, at: u64| {
        world.pass(FIRST + secs(at));
        world.hears(caller)
    };
    // It vanishes at 18 s: music from 26 s on, until the line counts as lost.
    assert_eq!(heard_at(&mut world, 25), Heard::Phone(PARTNER[0]));
    assert_eq!(heard_at(&mut world, 28), Heard::Music);
    assert_eq!(heard_at(&mut world, 38), Heard::Music);
    world.pass(FIRST + secs(120));
    let told = world.told(caller);
    assert!(told.contains("was lost"), "{told}");
    assert_eq!(world.taken_back(caller), [TakenBack::Broken]);
    assert_eq!(world.rung(PATIENTS).len(), 1);
    world.finish();
}

/// Who listens to music may well send nothing, not even reports.
#[test]
fn a_caller_who_is_not_heard_but_there_keeps_their_place() {
    let mut world = world(false);
    world.switch_off(PARTNER[0], secs(600));
    world.switch_off(PARTNER[1], secs(600));
    let mut plan = patient(FIRST, Door::Portal, BELL);
    plan.leaves = vec![Leave::AfterDialling(secs(300))];
    let caller = world.call(plan);
    world.pass(FIRST + secs(1));
    world.mute(caller);
    world.pass(FIRST + secs(290));
    assert!(world.end_of(caller).is_none(), "{}", world.told(caller));
    world.finish();
    assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
}

#[test]
fn a_hang_up_at_any_moment_ends_the_call_to_the_partner() {
    for tenths in 0..400 {
        let mut world = world(true);
        world.script(
            PARTNER[0],
            match tenths % 3 {
                0 => refused(486),
                1 => Reaction::PlayDead,
                _ => Reaction::Answer {
                    after: secs(3),
                    hang_up_after: Some(secs(2)),
                },
            },
        );
        let at = Duration::from_millis(tenths * 100);
        let mut plan = patient(FIRST, Door::Portal, BELL);
        plan.leaves = vec![Leave::AfterDialling(at)];
        let caller = world.call(plan);
        world.finish();
        let ended = world.facts(caller).map(|facts| facts.position);
        assert!(
            ended.is_none_or(|position| position.is_ended()),
            "after {at:?}: {ended:?}"
        );
    }
}

/// The partner refuses, or hangs up, while the caller does: every order of the
/// two and of what follows, a millisecond apart.
#[test]
fn a_hang_up_during_the_take_back_crosses_it_in_every_order() {
    let busy = refused(486);
    let gone = Reaction::Answer {
        after: secs(1),
        hang_up_after: Some(secs(2)),
    };
    for (reaction, happens) in [(busy, secs(1)), (refused(503), secs(1)), (gone, secs(3))] {
        let play = |leave: Option<Duration>| {
            let mut world = world(true);
            world.script(PARTNER[0], reaction);
            let mut plan = patient(FIRST, Door::Portal, BELL);
            plan.leaves = vec![Leave::AfterDialling(leave.unwrap_or(secs(100)))];
            let caller = world.call(plan);
            world.finish();
            (world, caller)
        };
        let (calm, _) = play(None);
        let crossing = calm.rung(PARTNER[0])[0].at + happens - FIRST;
        let mut taken_back = 0;
        for early in 0..60 {
            let leave = crossing + Duration::from_millis(30) - Duration::from_millis(early);
            let (world, caller) = play(Some(leave));
            let end = world.end_of(caller).map(|(_, end)| end);
            // After a talk the partner's hang-up may be the one that counts.
            let either = reaction == gone && end == Some(CallerEnd::HungUpOn);
            assert!(
                either || end == Some(CallerEnd::HungUp),
                "{leave:?}: {end:?}"
            );
            let facts = world.facts(caller).expect("in the log");
            assert!(facts.position.is_ended(), "{leave:?}: {facts:?}");
            taken_back += world.taken_back(caller).len();
        }
        // Both orders were there.
        if happens == secs(1) && reaction == busy {
            assert!((1..60).contains(&taken_back), "{taken_back}");
        }
    }
}

/// The callers of these stories come by the partner's trunk too, which has three channels. One is kept for whoever calls.
fn by_three_channels() -> World {
    let mut world = world(false);
    world.arrange(|setup| {
        let night = setup.trunks.get_mut("night").expect("the partner's");
        let night = std::sync::Arc::make_mut(night);
        (night.calls_max, night.reserve_in) = (3, 1);
        night.gateways.push(switch::Gateway::Address {
            host: "192.0.2.10".into(),
            peer: sip::Peer::udp(([192, 0, 2, 10], 5060).into()),
        });
    });
    world
}

#[test]
fn a_trunks_channels_are_for_both_directions() {
    let mut world = by_three_channels();
    let mut at = FIRST;
    let mut call = |door, stays: u64| {
        at += Duration::from_millis(100);
        let mut plan = patient(at, door, STRANGER);
        plan.leaves = vec![Leave::AfterDialling(secs(stays))];
        world.call(plan)
    };
    let first = call(Door::Portal, 60);
    let (second, third) = (call(Door::Portal, 90), call(Door::Patient, 90));
    let fourth = call(Door::Patient, 90);
    let clinician = call(Door::Clinician, 90);
    world.pass(FIRST + secs(50));
    // Who comes when all are taken is refused, but for a clinician.
    let end = world.end_of(fourth).expect("over");
    assert_eq!(end.1, CallerEnd::Refused(503));
    for caller in [first, second, third, clinician] {
        assert!(world.end_of(caller).is_none());
    }
    // To call out there is none: three have come.
    for caller in [first, second] {
        assert_eq!(world.taken_back(caller), [TakenBack::TrunkFull]);
    }
    assert!(world.rung(PARTNER[0]).is_empty());
    // Two more leave at 100 s: with one who calls there is one to call out by, and one is kept.
    world.pass(FIRST + secs(120));
    let alone = world.call(patient(world.now(), Door::Portal, BELL));
    world.pass(FIRST + secs(160));
    assert!(world.talking_at(alone).is_some(), "with the partner");
    let beside = world.call(patient(world.now(), Door::Portal, STRANGER));
    world.pass(FIRST + secs(165));
    assert!(world.end_of(beside).is_none(), "the one that is kept");
    world.finish();
}

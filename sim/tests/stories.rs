//! Scenes 1 and 2 of the product, and what can go wrong in them, on virtual
//! time. The flows are the shipped ones.

use std::time::Duration;

use desk::{EndCause, Position, Role};
use sim::{
    BELL, CallPlan, CallerEnd, Door, Hospital, Leave, MORALES, OKAFOR, PhonePlan, Reaction,
    STRANGER, THEATRE, WARD, Weather, World,
};

/// When calls are made: the phones have signed in by then.
const FIRST: Duration = secs(10);

/// The analysts by what they do first-hand: see the world's help desk.
const CLINICAL: usize = 1;
const SERVICE: usize = 2;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A world in which only these phones (counted from 1) are signed in.
fn world(signed_in: &[usize]) -> World {
    world_in(Weather::calm(), signed_in)
}

fn world_in(weather: Weather, signed_in: &[usize]) -> World {
    World::staffed(weather, signed_in)
}

fn call(door: Door, from: Option<&str>) -> CallPlan {
    CallPlan::new(FIRST, Hospital::StAnne.number(door), from)
}

/// The ticket number a caller was told.
fn told_ticket(world: &World, caller: usize) -> Option<String> {
    world
        .heard(caller)
        .iter()
        .map(|(_, text)| text)
        .find(|text| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit()))
        .cloned()
}

#[test]
fn doctor_okafor_is_greeted_by_name_and_the_clinical_desk_rings_within_two_seconds() {
    let mut world = world(&[CLINICAL, SERVICE]);
    let plan = call(Door::Staff, Some(OKAFOR)).leaves(Leave::AfterTalking(secs(20)));
    let caller = world.call(plan);
    world.pass(FIRST + secs(15));
    let answered = world.answered_at(caller).expect("answered");
    let rung = &world.rung(CLINICAL)[0];
    assert!(
        rung.at <= answered + secs(2),
        "{:?} after {answered:?}",
        rung.at
    );
    assert!(
        world.told(caller).contains("Hello Doctor Okafor"),
        "{}",
        world.told(caller)
    );
    assert!(!world.told(caller).contains("press 1"));
    let ticket = rung.ticket.clone().expect("the INVITE carries the ticket");
    assert!(world.ticket_is_durable(caller, &ticket));
    assert!(world.talking_at(caller).is_some());
    assert!(world.rung(SERVICE).is_empty());
    world.finish();
    assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
    let facts = world.facts(caller).expect("in the log");
    assert_eq!((facts.visits.queued, facts.visits.answered), (1, 1));
    assert_eq!(facts.role, Some(Role::Clinician));
}

#[test]
fn a_withheld_number_on_the_clinicians_line_rings_the_desk_as_fast() {
    let mut world = world(&[CLINICAL]);
    let caller = world.call(call(Door::Clinician, None).leaves(Leave::AfterTalking(secs(5))));
    world.pass(FIRST + secs(10));
    let answered = world.answered_at(caller).expect("answered");
    assert!(world.rung(CLINICAL)[0].at <= answered + secs(2));
    assert!(!world.told(caller).contains("press 1"));
    world.finish();
}

#[test]
fn a_theatre_needs_no_key_even_with_the_store_down() {
    let mut weather = Weather::calm();
    weather.store.down.push((secs(0), secs(60)));
    let mut world = world_in(weather, &[CLINICAL]);
    let caller =
        world.call(call(Door::Location, Some(THEATRE)).leaves(Leave::AfterTalking(secs(5))));
    world.pass(FIRST + secs(20));
    let answered = world.answered_at(caller).expect("answered");
    let rung = &world.rung(CLINICAL)[0];
    assert!(rung.at <= answered + secs(2), "{:?}", rung.at - answered);
    assert_eq!(rung.ticket, None, "it isn't durable");
    assert_eq!(told_ticket(&world, caller), None);
    assert!(world.talking_at(caller).is_some());
    world.finish();
}

#[test]
fn an_unknown_number_says_with_one_key_who_it_is() {
    let check = |key: char, from: Option<&str>, phone: usize, role: Role, says: &str| {
        let mut world = world(&[phone]);
        let plan = call(Door::Staff, from)
            .presses_at("press 1", ms(2_500), key)
            .leaves(Leave::AfterTalking(secs(10)));
        let caller = world.call(plan);
        world.pass(FIRST + secs(60));
        let all = world.told(caller);
        assert!(
            all.contains("Clinician, press 1; hospital staff, 2; patient, 3."),
            "{all}"
        );
        assert!(all.contains(says), "{all}");
        assert!(world.talking_at(caller).is_some(), "key {key}: {all}");
        let ticket = world.rung(phone)[0].ticket.clone().expect("a ticket");
        assert!(world.ticket_is_durable(caller, &ticket));
        if let Some(told) = told_ticket(&world, caller) {
            assert_eq!(told, ticket);
        }
        world.finish();
        let facts = world.facts(caller).expect("in the log");
        assert_eq!(facts.role, Some(role));
        assert_eq!(facts.visits.answered, 1);
    };
    for from in [Some(STRANGER), None, Some(WARD)] {
        check(
            '1',
            from,
            CLINICAL,
            Role::Clinician,
            "clinical desk is being called",
        );
        check(
            '2',
            from,
            SERVICE,
            Role::Staff,
            "service desk is being called",
        );
        check('3', from, SERVICE, Role::Patient, "Please stay on the line");
    }
}

#[test]
fn a_patients_number_is_never_named() {
    let mut world = world(&[SERVICE]);
    let plan = call(Door::Patient, Some(BELL))
        .presses_at("press 1", ms(4_000), '1')
        .leaves(Leave::AfterTalking(secs(5)));
    let caller = world.call(plan);
    world.finish();
    let all = world.told(caller);
    assert!(all.starts_with("If this is an emergency"), "{all}");
    assert!(!all.contains("Bell"), "{all}");
    let told = told_ticket(&world, caller).expect("a ticket number");
    assert!(world.ticket_is_durable(caller, &told));
    assert!(world.talking_at(caller).is_some());
}

#[test]
fn the_dialled_number_tells_two_hospitals_apart() {
    let mut world = world(&[1, 2, 3, 4, 5, 6]);
    let plan = |hospital: Hospital| {
        CallPlan::new(FIRST, hospital.number(Door::Clinician), Some(MORALES))
            .leaves(Leave::AfterTalking(secs(5)))
    };
    let anne = world.call(plan(Hospital::StAnne));
    let mercy = world.call(plan(Hospital::Mercy));
    world.finish();
    assert!(
        world.told(anne).contains("Hello Iris"),
        "{}",
        world.told(anne)
    );
    assert!(
        world.told(mercy).contains("Hello Doctor Morales"),
        "{}",
        world.told(mercy)
    );
}

#[test]
fn ring_no_answer_goes_to_the_next_agent() {
    for first in [
        Reaction::Ignore,
        Reaction::PlayDead,
        Reaction::Refuse {
            after: secs(2),
            code: 486,
        },
        Reaction::Refuse {
            after: secs(2),
            code: 603,
        },
        Reaction::Refuse {
            after: secs(2),
            code: 480,
        },
        Reaction::Vanish {
            after: secs(1),
            back_after: secs(100),
        },
    ] {
        let mut world = world(&[1, 4]);
        world.script(1, first);
        world.script(4, first);
        // Whoever is called first doesn't take it; the other is told to.
        let caller = world.call(call(Door::Clinician, Some(OKAFOR)));
        world.pass(FIRST + secs(1));
        let (fails, takes) = if world.rung(1).is_empty() {
            (4, 1)
        } else {
            (1, 4)
        };
        world.pass(FIRST + ms(1_500));
        world.unscript(takes);
        world.pass(FIRST + secs(40));
        assert_eq!(world.rung(fails).len(), 1, "{first:?}");
        assert_eq!(world.rung(takes).len(), 1, "{first:?}");
        assert!(world.talking_at(caller).is_some(), "{first:?}");
        let second = world.rung(takes)[0].at;
        assert!(second <= FIRST + secs(18), "{first:?}: {second:?}");
    }
}

#[test]
fn nobody_signed_in_then_somebody_comes() {
    let mut phones: Vec<PhonePlan> = (0..6).map(|_| PhonePlan::absent()).collect();
    phones[3].signs_in = Some(secs(60));
    let mut world = World::story(Weather::calm(), phones);
    let caller =
        world.call(call(Door::Clinician, Some(OKAFOR)).leaves(Leave::AfterTalking(secs(5))));
    world.pass(secs(59));
    assert!(world.answered_at(caller).is_some());
    assert!(world.end_of(caller).is_none(), "nobody is thrown out");
    assert!(
        world
            .told(caller)
            .contains("Nobody is at the clinical desk")
    );
    world.pass(secs(80));
    assert!(world.talking_at(caller).is_some(), "{}", world.told(caller));
    world.finish();
}

#[test]
fn the_caller_may_hang_up_at_any_moment() {
    let mut moments: Vec<Leave> = Vec::new();
    for at in (0..60).map(ms).chain((0..60).map(|n| ms(n * 250))) {
        moments.push(Leave::AfterDialling(at));
    }
    for at in [
        0, 1, 5, 10, 20, 50, 1_000, 1_990, 2_000, 2_005, 2_010, 2_020,
    ] {
        moments.push(Leave::AfterRinging(ms(at)));
        moments.push(Leave::AfterTalking(ms(at)));
        moments.push(Leave::AfterAnswer(ms(at)));
    }
    for leave in moments {
        let mut world = world(&[CLINICAL]);
        let caller = world.call(
            call(Door::Clinician, Some(OKAFOR))
                .leaves(leave)
                .leaves(Leave::AfterTalking(secs(9))),
        );
        if let Err(failure) = world.run() {
            panic!("{leave:?}: at {:?}: {}", failure.at, failure.what);
        }
        if let Some(facts) = world.facts(caller) {
            let Position::Ended { cause, .. } = facts.position else {
                panic!("{leave:?}: {facts:?}");
            };
            assert_eq!(cause, EndCause::CallerHungUp, "{leave:?}");
            assert_eq!(
                facts.visits.queued,
                facts.visits.answered + facts.visits.abandoned
            );
        }
        for rung in world.rung(CLINICAL) {
            assert!(rung.ended_at.is_some(), "{leave:?}");
        }
    }
}

#[test]
fn the_agent_may_hang_up_at_any_moment() {
    for after in [0, 1, 5, 10, 15, 20, 30, 50, 100, 400, 1_000, 5_000] {
        let mut world = world(&[CLINICAL]);
        world.script(
            CLINICAL,
            Reaction::Answer {
                after: secs(2),
                hang_up_after: Some(ms(after)),
            },
        );
        let caller =
            world.call(call(Door::Clinician, Some(OKAFOR)).leaves(Leave::AfterDialling(secs(90))));
        if let Err(failure) = world.run() {
            panic!("{after} ms: at {:?}: {}", failure.at, failure.what);
        }
        // Either they talked and the call is over, or the caller waits on and talks later.
        assert!(
            world.talking_at(caller).is_some(),
            "{after} ms: {}",
            world.told(caller)
        );
    }
}

#[test]
fn an_agent_who_disappears_in_the_middle_of_a_talk_doesnt_take_the_caller_along() {
    let mut world = world(&[1, 4]);
    let vanish = Reaction::VanishTalking {
        after: secs(1),
        into: secs(5),
        back_after: secs(200),
    };
    world.script(1, vanish);
    world.script(4, vanish);
    let caller =
        world.call(call(Door::Clinician, Some(OKAFOR)).leaves(Leave::AfterDialling(secs(100))));
    world.pass(FIRST + secs(3));
    let takes = if world.rung(1).is_empty() { 1 } else { 4 };
    world.unscript(takes);
    world.pass(FIRST + secs(60));
    assert!(
        world.told(caller).contains("connection"),
        "{}",
        world.told(caller)
    );
    assert_eq!(world.rung(takes).len(), 1, "the other agent takes over");
    assert!(world.rung(takes)[0].answered_at.is_some());
    world.finish();
}

/// What a text telephone (TTY) sends isn't coded anew: whoever speaks G.722 is asked to change.
#[test]
fn a_text_telephone_found_in_the_middle_of_a_talk_has_it_go_on_in_g711() {
    let mut world = world(&[1]);
    world.speaks_wide(1);
    let caller =
        world.call(call(Door::Clinician, Some(OKAFOR)).leaves(Leave::AfterDialling(secs(60))));
    world.pass(FIRST + secs(20));
    assert!(world.rung(1)[0].answered_at.is_some());
    assert_eq!(world.offered_again(1).len(), 0);
    world.types(caller);
    world.pass(FIRST + secs(30));
    let [offer] = world.offered_again(1) else {
        panic!("{:?}", world.offered_again(1))
    };
    assert!(
        offer.contains("PCMU/8000") && !offer.contains("G722"),
        "{offer}"
    );
    world.finish();
    assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
}

/// A muted telephone may send nothing at all, not even reports.
#[test]
fn an_agent_who_only_listens_isn_t_cut_off() {
    let mut world = world(&[1]);
    let caller =
        world.call(call(Door::Clinician, Some(OKAFOR)).leaves(Leave::AfterDialling(secs(200))));
    world.pass(FIRST + secs(20));
    assert!(world.rung(1)[0].answered_at.is_some());
    world.mute_phone(1);
    world.pass(FIRST + secs(190));
    assert!(
        !world.told(caller).contains("connection"),
        "{}",
        world.told(caller)
    );
    assert_eq!(world.rung(1).len(), 1);
    world.finish();
    assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
}

#[test]
fn with_the_store_down_everybody_still_reaches_a_person() {
    for door in Door::ALL {
        let mut weather = Weather::calm();
        weather.store.down.push((secs(0), secs(120)));
        let mut world = world_in(weather, &[1, 2, 3, 4, 5, 6]);
        let plan = call(door, Some(STRANGER))
            .presses_at("press 1", secs(3), '2')
            .leaves(Leave::AfterTalking(secs(5)));
        let caller = world.call(plan);
        world.pass(FIRST + secs(60));
        assert!(
            world.talking_at(caller).is_some(),
            "{door:?}: {}",
            world.told(caller)
        );
        assert_eq!(told_ticket(&world, caller), None);
        world.finish();
    }
}

#[test]
fn a_crash_forgets_no_ticket_that_was_spoken() {
    for crash in (0..40).map(|n| FIRST + ms(n * 100)) {
        let mut weather = Weather::calm();
        weather.crashes.push(crash);
        let mut world = world_in(weather, &[CLINICAL, SERVICE]);
        let plan = call(Door::Staff, Some("+15550177004")).leaves(Leave::AfterDialling(secs(100)));
        let caller = world.call(plan);
        if let Err(failure) = world.run() {
            panic!("crash at {crash:?}: at {:?}: {}", failure.at, failure.what);
        }
        if let Some(told) = told_ticket(&world, caller) {
            assert!(world.ticket_is_durable(caller, &told), "crash at {crash:?}");
        }
    }
}

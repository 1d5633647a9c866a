//! Scene 4 of the product: the patient who calls again with a ticket number, on virtual time.

use std::time::Duration;

use sim::{BELL, CallPlan, Cue, Door, Hospital, Leave, Press, Weather, World};

const FIRST: Duration = secs(10);
const AGAIN: Duration = secs(200);
/// Analysts of Saint Anne's patients' desk: the first is rung first, others being equal.
const PATIENTS: [usize; 2] = [2, 6];

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world(crashes: &[Duration]) -> World {
    let weather = Weather {
        crashes: crashes.to_vec(),
        ..Weather::calm()
    };
    World::staffed(weather, &PATIENTS)
}

fn first_call() -> CallPlan {
    let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Patient), Some(BELL))
        .leaves(Leave::AfterTalking(secs(10)));
    plan.presses.push(Press {
        cue: Cue::Answer(secs(8)),
        key: '0',
    });
    plan
}

/// Asks for a ticket of a hospital, from a number.
fn asks(hospital: Hospital, from: Option<&str>, number: &str) -> CallPlan {
    let mut plan = CallPlan::new(AGAIN, hospital.number(Door::Status), from)
        .presses_at("If you have a ticket number", secs(1), '1')
        .leaves(Leave::AfterAnswer(secs(90)));
    let mut cue = Cue::Hearing("key in the ten digits".to_owned(), secs(1));
    for key in number.chars() {
        plan.presses.push(Press { cue, key });
        cue = Cue::Following(Duration::from_millis(300));
    }
    plan
}

/// A world in which Rosa Bell has called, talked with an analyst and been told a
/// number: it, and who the analyst was.
fn yesterday(crashes: &[Duration]) -> (World, String, usize) {
    let mut world = world(crashes);
    let caller = world.call(first_call());
    world.pass(AGAIN - secs(1));
    let facts = world.facts(caller).expect("in the log");
    let (_, number) = facts.ticket.expect("a ticket");
    let owner = PATIENTS
        .into_iter()
        .find(|phone| !world.rung(*phone).is_empty());
    (world, number.to_string(), owner.expect("somebody was rung"))
}

#[test]
fn the_state_is_read_and_the_owner_is_rung() {
    let (mut world, number, owner) = yesterday(&[]);
    let plan = asks(Hospital::StAnne, Some(BELL), &number);
    let caller = world.call(plan.presses_at("If that was all", secs(1), '1'));
    world.pass(AGAIN + secs(80));
    let told = world.told(caller);
    assert!(told.contains("somebody is looking after it"), "{told}");
    assert!(told.contains(&number), "{told}");
    assert!(!told.contains("Rosa"), "a patient is never named: {told}");
    let rung = world.rung(owner);
    assert_eq!(rung.len(), 2, "the owner again: {told}");
    assert_eq!(rung[1].ticket.as_deref(), Some(number.as_str()));
    assert!(world.talking_at(caller).is_some());
    let facts = world.facts(caller).expect("in the log");
    let ticket = facts.ticket.map(|(_, number)| number.to_string());
    assert_eq!(ticket, Some(number));
    world.finish();
}

#[test]
fn a_restart_forgets_no_ticket() {
    let (mut world, number, _) = yesterday(&[AGAIN]);
    let plan = asks(Hospital::StAnne, Some(BELL), &number);
    let mut plan = plan.leaves(Leave::AfterAnswer(secs(60)));
    plan.at += secs(30);
    let caller = world.call(plan);
    world.finish();
    let told = world.told(caller);
    assert!(told.contains("somebody is looking after it"), "{told}");
}

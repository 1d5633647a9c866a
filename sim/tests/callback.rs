//! Callbacks on virtual time: whom a crash cut off in a queue is called back, an agent first, and only a key pressed
//! by a person counts.

use std::time::Duration;

use desk::{Missed, PromiseStage, Proof};
use sim::{CallPlan, Deed, Door, Heard, Hospital, Reaction, Weather, World};

const FIRST: Duration = secs(10);
const CRASH: Duration = secs(40);
/// At the service desk, alone.
const SERVICE: usize = 2;
/// The telephones behind the trunk's two gateways: the customer's.
const CUSTOMER: [usize; 2] = [7, 8];
/// A number that Saint Anne's rules allow.
const NUMBER: &str = "+15559000001";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Somebody waits at the service desk, where nobody answers, when the process is killed.
fn cut_off(from: &str, customer: Reaction) -> World {
    let mut weather = Weather::calm();
    weather.crashes.push(CRASH);
    let mut world = World::staffed(weather, &[SERVICE]);
    world.script(SERVICE, Reaction::Ignore);
    for phone in CUSTOMER {
        world.script(phone, customer);
    }
    let plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(from));
    world.call(plan);
    world.pass(CRASH + secs(1));
    world.script(SERVICE, Reaction::answers(secs(3)));
    world
}

/// Waits until a customer's telephone has been answered.
fn until_answered(world: &mut World) -> usize {
    for _ in 0..300 {
        world.wait(secs(1));
        let answered = CUSTOMER
            .into_iter()
            .find(|phone| world.agent_hears(*phone, false) != Heard::Nothing);
        if let Some(phone) = answered {
            return phone;
        }
    }
    panic!("nobody was called back");
}

#[test]
fn whom_a_crash_cut_off_is_called_back_and_talks() {
    let mut world = cut_off(NUMBER, Reaction::answers(secs(5)));
    let phone = until_answered(&mut world);
    // The agent was found first, and isn't left in silence.
    assert_eq!(world.agent_hears(SERVICE, false), Heard::Music);
    world.wait(secs(2));
    world.presses(phone, false, "1");
    world.wait(secs(2));
    assert_eq!(world.agent_hears(SERVICE, false), Heard::Phone(phone));
    assert_eq!(world.agent_hears(phone, false), Heard::Phone(SERVICE));
    world.does_now(SERVICE, Deed::HangUp { second: false });
    world.wait(secs(20));
    let promises = world.promises();
    assert!(
        matches!(
            promises[..],
            [desk::PromiseFacts {
                stage: PromiseStage::Closed {
                    proof: Proof::Key { .. },
                    ..
                },
                ..
            }]
        ),
        "{promises:?}"
    );
    world.finish();
}

#[test]
fn a_machine_is_no_proof() {
    let mut world = cut_off(NUMBER, Reaction::answers(secs(5)));
    until_answered(&mut world);
    world.wait(secs(90));
    let promises = world.promises();
    assert_eq!(promises.len(), 1);
    assert_eq!(
        (promises[0].stage, promises[0].unanswered),
        (PromiseStage::Due, 1)
    );
    assert_eq!(world.missed(), [Missed::NoKey]);
    assert_eq!(world.agent_hears(SERVICE, false), Heard::Nothing);
}

#[test]
fn nobody_is_called_where_the_rules_say_no() {
    let mut world = cut_off("+15550177005", Reaction::answers(secs(5)));
    world.wait(secs(100));
    assert!(CUSTOMER.iter().all(|phone| world.rung(*phone).is_empty()));
    assert!(world.missed().iter().all(|why| *why == Missed::Failed));
    assert!(world.switch_counters().targets_forbidden > 0);
}

#[test]
fn busy_and_unanswered_are_tried_again_later() {
    for (reaction, why) in [
        (Reaction::refuses(486), Missed::Busy),
        (Reaction::Ignore, Missed::NoAnswer),
        (Reaction::refuses(603), Missed::Refused),
    ] {
        let mut world = cut_off(NUMBER, reaction);
        for (attempt, minutes) in [(1, 4), (2, 6), (3, 21)] {
            for phone in CUSTOMER {
                world.script(phone, reaction);
            }
            world.wait(secs(minutes * 60));
            assert_eq!(world.missed(), vec![why; attempt]);
        }
        assert_eq!(world.promises()[0].stage, PromiseStage::WithPerson);
        world.finish();
    }
}

#[test]
fn an_agent_who_leaves_leaves_nobody_behind() {
    let mut world = cut_off(NUMBER, Reaction::answers(secs(20)));
    for _ in 0..200 {
        world.wait(secs(1));
        if world.agent_hears(SERVICE, false) == Heard::Music {
            break;
        }
    }
    world.wait(secs(3));
    world.does_now(SERVICE, Deed::HangUp { second: false });
    world.wait(secs(5));
    assert!(
        matches!(world.missed()[..], [Missed::NoAgent, ..]),
        "{:?}",
        world.missed()
    );
    // The next attempt is a minute later, and not counted against the customer.
    assert_eq!(world.promises()[0].unanswered, 0);
}

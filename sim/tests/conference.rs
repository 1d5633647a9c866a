//! Three who talk, on virtual time: the agent joins caller and colleague by a code, and whoever leaves, the other two
//! talk on.

use std::time::Duration;

use sim::{CallPlan, Deed, Door, Heard, Hospital, Leave, MORALES, Weather, World};

const FIRST: Duration = secs(10);
/// At the service desk; at the second tier.
const SERVICE: usize = 2;
const TIER2: usize = 4;
const CODE: &str = "*3";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn hang_up(world: &mut World, phone: usize) {
    world.does_now(phone, Deed::HangUp { second: false });
}

/// Nothing is left over.
fn finish(mut world: World) {
    world.finish();
}

/// Iris of the staff is held by the service desk, which talks with the second tier about her.
fn consulting(leaves: Option<Duration>) -> (World, usize) {
    let mut world = World::staffed(Weather::calm(), &[SERVICE, TIER2]);
    let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES));
    if let Some(after) = leaves {
        plan = plan.leaves(Leave::AfterDialling(after));
    }
    let caller = world.call(plan);
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    world.does_now(SERVICE, Deed::Hold);
    world.does_now(SERVICE, Deed::Consult("2006".into()));
    world.wait(secs(4));
    assert_eq!(world.hears(caller), Heard::Music);
    assert_eq!(world.agent_hears(SERVICE, true), Heard::Phone(TIER2));
    (world, caller)
}

/// And now all three talk.
fn conferring(leaves: Option<Duration>) -> (World, usize) {
    let (mut world, caller) = consulting(leaves);
    world.presses(SERVICE, true, CODE);
    world.wait(secs(1));
    assert_eq!(world.hears(caller), Heard::Others(2));
    assert_eq!(world.agent_hears(SERVICE, false), Heard::Others(2));
    assert_eq!(world.agent_hears(TIER2, false), Heard::Others(2));
    // The call that was held is over: there is one left.
    assert!(world.rung(SERVICE)[0].ended_at.is_some());
    (world, caller)
}

#[test]
fn the_colleague_leaves_and_agent_and_caller_talk_on() {
    let (mut world, caller) = conferring(None);
    world.wait(secs(60));
    assert_eq!(world.hears(caller), Heard::Others(2));
    hang_up(&mut world, TIER2);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    assert_eq!(world.agent_hears(SERVICE, false), Heard::Caller);
    world.wait(secs(60));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    // The agent may ask again, and the three talk again.
    world.does_now(SERVICE, Deed::Consult("2006".into()));
    world.wait(secs(4));
    world.presses(SERVICE, true, CODE);
    world.wait(secs(1));
    assert_eq!(world.hears(caller), Heard::Others(2));
    hang_up(&mut world, TIER2);
    hang_up(&mut world, SERVICE);
    let visits = world.facts(caller).expect("in the log").visits;
    assert_eq!((visits.queued, visits.answered), (1, 1));
    finish(world);
}

#[test]
fn the_agent_leaves_and_the_colleague_has_the_caller() {
    let (mut world, caller) = conferring(None);
    hang_up(&mut world, SERVICE);
    assert_eq!(world.hears(caller), Heard::Phone(TIER2));
    assert_eq!(world.agent_hears(TIER2, false), Heard::Caller);
    world.wait(secs(60));
    assert_eq!(world.hears(caller), Heard::Phone(TIER2));
    hang_up(&mut world, TIER2);
    finish(world);
}

#[test]
fn the_caller_leaves_and_the_two_talk_on() {
    let (mut world, _) = conferring(Some(secs(60)));
    world.wait(secs(40));
    assert_eq!(world.agent_hears(SERVICE, false), Heard::Phone(TIER2));
    assert_eq!(world.agent_hears(TIER2, false), Heard::Phone(SERVICE));
    hang_up(&mut world, SERVICE);
    assert!(world.rung(TIER2)[0].ended_at.is_some());
    finish(world);
}

/// Two at the same moment: whoever is left isn't left in silence.
#[test]
fn agent_and_colleague_leave_at_once_and_the_caller_is_told_so() {
    for (first, second) in [(SERVICE, TIER2), (TIER2, SERVICE)] {
        let (mut world, caller) = conferring(None);
        let now = world.now();
        world.does(first, now, Deed::HangUp { second: false });
        world.does(second, now, Deed::HangUp { second: false });
        world.wait(secs(2));
        assert!(
            !matches!(world.hears(caller), Heard::Phone(_) | Heard::Others(_)),
            "{:?}",
            world.hears(caller)
        );
        finish(world);
    }
}

#[test]
fn other_keys_join_nobody_nor_does_the_code_elsewhere() {
    let (mut world, caller) = consulting(None);
    world.presses(SERVICE, true, "*");
    world.wait(secs(4));
    world.presses(SERVICE, true, "3");
    // By the colleague.
    world.presses(TIER2, false, CODE);
    world.wait(secs(1));
    assert_eq!(world.hears(caller), Heard::Music);
    assert_eq!(world.agent_hears(SERVICE, true), Heard::Phone(TIER2));
    // Before it, another key.
    world.presses(SERVICE, true, "1*3");
    world.wait(secs(1));
    assert_eq!(world.hears(caller), Heard::Others(2));
    hang_up(&mut world, TIER2);
    hang_up(&mut world, SERVICE);
    finish(world);
}

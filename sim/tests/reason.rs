//! Why an agent hands a caller over (scene 8), and who had a third one in: as the log tells it.

use std::time::Duration;

use desk::Escalation::{self, NoArticle, NoSkill, NotPermitted};
use sim::{CallPlan, Deed, Door, Heard, Hospital, MORALES, Reaction, Weather, World};

const FIRST: Duration = secs(10);
/// At the service desk; at the second tier.
const SERVICE: usize = 2;
const TIER2: usize = 4;
const OUTSIDE: usize = 7;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Iris of the staff talks with the service desk.
fn talking() -> (World, usize) {
    let mut world = World::staffed(Weather::calm(), &[SERVICE, TIER2]);
    let number = Hospital::StAnne.number(Door::Staff);
    let caller = world.call(CallPlan::new(FIRST, number, Some(MORALES)));
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    (world, caller)
}

/// The agent asks the second tier about her.
fn consulting(to: &str) -> (World, usize) {
    let (mut world, caller) = talking();
    world.does_now(SERVICE, Deed::Hold);
    world.does_now(SERVICE, Deed::Consult(to.into()));
    world.wait(secs(4));
    assert_eq!(world.agent_hears(SERVICE, true), Heard::Phone(TIER2));
    (world, caller)
}

fn finish(mut world: World) {
    for phone in [TIER2, OUTSIDE, SERVICE] {
        world.does_now(phone, Deed::HangUp { second: false });
    }
    world.wait(secs(20));
    world.does_now(SERVICE, Deed::HangUp { second: false });
    world.finish();
}

const AGENT: u32 = SERVICE as u32;

#[test]
fn it_is_dialled_behind_the_number() {
    for (to, why) in [
        ("2006", None),
        ("2006*81", Some(NotPermitted)),
        ("2006*82", Some(NoSkill)),
        ("tier2*83", Some(NoArticle)),
        ("analyst4*82", Some(NoSkill)),
        ("+15559000001*81", Some(NotPermitted)),
    ] {
        let (mut world, caller) = talking();
        world.script(
            OUTSIDE,
            Reaction::Answer {
                after: secs(1),
                hang_up_after: None,
            },
        );
        world.does_now(SERVICE, Deed::Transfer(to.into()));
        world.wait(secs(5));
        let told = world.referred(SERVICE).first();
        assert_eq!(told, Some(&202), "{to}");
        let somebody = [Heard::Phone(TIER2), Heard::Phone(OUTSIDE)];
        assert!(somebody.contains(&world.hears(caller)), "{to}");
        assert_eq!(world.escalated(caller), [(AGENT, why)], "{to}");
        finish(world);
    }
}

/// What stands in the log of a caller for whom this was done.
fn logged(deeds: impl Fn(&mut World), begin: (World, usize)) -> Vec<(u32, Option<Escalation>)> {
    let (mut world, caller) = begin;
    deeds(&mut world);
    world.wait(secs(6));
    let logged = world.escalated(caller);
    finish(world);
    logged
}

#[test]
fn the_log_says_who_and_why() {
    let transfer = |to: &str| {
        let deed = Deed::Transfer(to.to_owned());
        logged(|world| world.does_now(SERVICE, deed.clone()), talking())
    };
    assert_eq!(transfer("2006"), [(AGENT, None)]);
    assert_eq!(transfer("2006*81"), [(AGENT, Some(NotPermitted))]);
    assert_eq!(transfer("analyst4*82"), [(AGENT, Some(NoSkill))]);
    assert_eq!(transfer("+15559000001*83"), [(AGENT, Some(NoArticle))]);
    // No such reason: no such number, and nothing happened.
    assert_eq!(transfer("2006*84"), []);
    assert_eq!(transfer("911*81"), []);
}

#[test]
fn it_is_said_while_a_colleague_is_asked() {
    let hand_over = |world: &mut World| {
        world.does_now(SERVICE, Deed::TransferAttended { by_second: false });
    };
    assert_eq!(logged(hand_over, consulting("2006")), [(AGENT, None)]);
    let dialled = logged(hand_over, consulting("2006*83"));
    assert_eq!(dialled, [(AGENT, Some(NoArticle))]);
    let press = |keys: &'static str| {
        move |world: &mut World| {
            world.presses(SERVICE, true, keys);
            world.wait(secs(1));
            hand_over(world);
        }
    };
    let pressed = logged(press("*81"), consulting("2006"));
    assert_eq!(pressed, [(AGENT, Some(NotPermitted))]);
    // What is said last counts, also over what was dialled.
    let pressed = logged(press("5*81*82"), consulting("2006*83"));
    assert_eq!(pressed, [(AGENT, Some(NoSkill))]);
    assert_eq!(logged(press("81*84"), consulting("2006")), [(AGENT, None)]);
}

#[test]
fn three_who_talk_stand_in_the_log_and_whoever_has_the_caller_then() {
    let (mut world, caller) = consulting("2006*82");
    world.presses(SERVICE, true, "*3");
    world.wait(secs(1));
    assert_eq!(world.hears(caller), Heard::Others(2));
    assert_eq!(world.conferred(caller), [(AGENT, Some(TIER2 as u32))]);
    assert_eq!(world.escalated(caller), []);
    world.does_now(SERVICE, Deed::HangUp { second: false });
    assert_eq!(world.hears(caller), Heard::Phone(TIER2));
    assert_eq!(world.escalated(caller), [(AGENT, Some(NoSkill))]);
    finish(world);
}

#[test]
fn who_is_only_asked_is_nothing_of_the_journey() {
    let (mut world, caller) = consulting("2006*82");
    world.does_now(SERVICE, Deed::HangUp { second: true });
    world.does_now(SERVICE, Deed::Hold);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    assert_eq!(world.escalated(caller), []);
    assert_eq!(world.conferred(caller), []);
    finish(world);
}

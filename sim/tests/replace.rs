//! A telephone takes the place of another (INVITE with Replaces, RFC 3891), on virtual time: an agent's own call goes on
//! at another of their telephones, a colleague answers what rings, nobody else gets anything, and the caller always has
//! somebody or music.

use std::time::Duration;

use itertools::Itertools as _;
use sim::{CallPlan, Deed, Door, Heard, Hospital, Leave, MORALES, Reaction, Weather, World};

const FIRST: Duration = secs(10);
/// Two at the service desk of Saint Anne, and one of Mercy's alone.
const SERVICE: [usize; 2] = [2, 3];
const MERCY: usize = 5;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world_of(present: &[usize]) -> World {
    World::staffed(Weather::calm(), present)
}

fn staff(at: Duration) -> CallPlan {
    CallPlan::new(at, Hospital::StAnne.number(Door::Staff), Some(MORALES))
}

/// Iris of the staff talks with the service desk, where one works.
fn talking() -> (World, usize) {
    let mut world = world_of(&[SERVICE[0]]);
    let caller = world.call(staff(FIRST));
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE[0]));
    (world, caller)
}

/// It rings at one of two, who doesn't answer. The other.
fn ringing(mut world: World, caller: usize) -> (World, usize, usize) {
    for phone in SERVICE {
        world.script(phone, Reaction::Ignore);
    }
    world.pass(FIRST + secs(12));
    let rings = SERVICE
        .into_iter()
        .find(|phone| world.rung(*phone).len() == 1);
    let rings = rings.expect("it rings at one of them");
    let other = SERVICE.into_iter().find(|phone| *phone != rings).unwrap();
    assert_eq!(world.hears(caller), Heard::Music);
    (world, rings, other)
}

fn finish(mut world: World) {
    for phone in [SERVICE[0], SERVICE[1], MERCY] {
        world.unscript(phone);
    }
    for _ in 0..2 {
        for phone in [SERVICE[0], SERVICE[1], MERCY] {
            world.does_now(phone, Deed::HangUp { second: true });
            world.does_now(phone, Deed::HangUp { second: false });
        }
        world.wait(secs(15));
    }
    world.finish();
}

#[test]
fn an_agent_goes_on_at_another_of_their_telephones() {
    let (mut world, caller) = talking();
    world.does_now(SERVICE[0], Deed::TakeOver);
    // The call that it had is ended, and the new one has the caller.
    assert!(world.rung(SERVICE[0])[0].ended_at.is_some());
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE[0]));
    assert_eq!(world.agent_hears(SERVICE[0], false), Heard::Caller);
    assert!(world.refused(SERVICE[0]).is_empty());
    // To everybody else they talk, as before.
    let other = world.call(staff(world.now()));
    world.wait(secs(40));
    assert_eq!(world.rung(SERVICE[0]).len(), 1);
    assert_eq!(world.hears(other), Heard::Music);
    // And again; hold and a transfer work by it as they do by any.
    world.does_now(SERVICE[0], Deed::TakeOver);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE[0]));
    world.does_now(SERVICE[0], Deed::Hold);
    assert_eq!(world.hears(caller), Heard::Music);
    world.does_now(SERVICE[0], Deed::Hold);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE[0]));
    world.does_now(SERVICE[0], Deed::HangUp { second: false });
    world.wait(secs(12));
    assert_eq!(world.hears(other), Heard::Phone(SERVICE[0]), "free again");
    finish(world);
}

#[test]
fn what_rings_is_answered_at_another_telephone_of_ones_own() {
    let mut world = world_of(&[SERVICE[0]]);
    let caller = world.call(staff(FIRST));
    world.script(SERVICE[0], Reaction::Ignore);
    world.pass(FIRST + secs(12));
    assert_eq!(world.hears(caller), Heard::Music);
    world.does_now(SERVICE[0], Deed::TakeOver);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE[0]));
    let rung = &world.rung(SERVICE[0])[0];
    assert!(rung.ended_at.is_some() && rung.answered_at.is_none());
    finish(world);
}

#[test]
fn a_colleague_answers_what_rings_and_who_didnt_is_free() {
    let mut world = world_of(&SERVICE);
    let caller = world.call(staff(FIRST));
    let (mut world, rings, other) = ringing(world, caller);
    let replaces = world.replaces(rings).expect("it rings");
    world.does_now(other, Deed::Replace(replaces));
    assert_eq!(world.hears(caller), Heard::Phone(other));
    assert!(world.rung(rings)[0].ended_at.is_some());
    assert!(world.rung(other).is_empty(), "it called by itself");
    // The next is theirs whose telephone was ringing: they had no part in it.
    world.unscript(rings);
    let next = world.call(CallPlan::new(
        world.now(),
        Hospital::StAnne.number(Door::Staff),
        Some("+15550177004"),
    ));
    world.wait(secs(16));
    assert_eq!(world.hears(next), Heard::Phone(rings));
    assert_eq!(world.hears(caller), Heard::Phone(other));
    finish(world);
}

#[test]
fn nobody_gets_what_isnt_theirs() {
    let mut world = world_of(&[SERVICE[0], SERVICE[1], MERCY]);
    let caller = world.call(staff(FIRST));
    let (mut world, rings, other) = ringing(world, caller);
    let ringing = world.replaces(rings).expect("it rings");
    let tried = |world: &mut World, phone: usize, value: &str, code: u16| {
        let before = world.refused(phone).len();
        world.does_now(phone, Deed::Replace(value.to_owned()));
        assert_eq!(world.refused(phone)[before..], [code], "{value}");
    };
    // Of the other hospital's desk.
    tried(&mut world, MERCY, &ringing, 403);
    let strange = ringing.replace("from-tag=", "from-tag=x");
    tried(&mut world, other, &strange, 481);
    tried(&mut world, other, "no-tags@x", 400);
    world.does_now(other, Deed::Replace(ringing));
    assert_eq!(world.hears(caller), Heard::Phone(other));
    // Answered, it is theirs alone.
    let theirs = world.replaces(other).expect("they talk");
    tried(&mut world, rings, &theirs, 403);
    tried(&mut world, other, &format!("{theirs};early-only"), 486);
    assert_eq!(world.hears(caller), Heard::Phone(other));
    // Over.
    world.does_now(other, Deed::HangUp { second: false });
    world.wait(secs(2));
    tried(&mut world, other, &theirs, 481);
    finish(world);
}

#[test]
fn who_talks_answers_nothing_for_others() {
    let mut world = world_of(&SERVICE);
    let first = world.call(staff(FIRST));
    world.pass(FIRST + secs(15));
    let talks = SERVICE
        .into_iter()
        .find(|phone| world.hears(first) == Heard::Phone(*phone))
        .expect("one of them talks");
    let other = SERVICE.into_iter().find(|phone| *phone != talks).unwrap();
    world.script(other, Reaction::Ignore);
    let number = Hospital::StAnne.number(Door::Staff);
    let second = world.call(CallPlan::new(world.now(), number, Some("+15550177004")));
    world.wait(secs(12));
    let replaces = world.replaces(other).expect("it rings");
    world.does_now(talks, Deed::Replace(replaces));
    assert_eq!(world.refused(talks), [486]);
    assert_eq!(world.hears(second), Heard::Music);
    finish(world);
}

/// The take-over, hang-ups of either telephone, hold and a transfer: every order of them.
#[test]
fn a_take_over_crosses_everything_else_in_every_order() {
    let deeds = [
        Deed::TakeOver,
        Deed::HangUp { second: false },
        Deed::Hold,
        Deed::Transfer("tier2".to_owned()),
    ];
    for order in deeds.iter().cloned().permutations(deeds.len()) {
        for apart in [0, 8, 15, 60, 700] {
            let (mut world, _) = talking();
            let now = world.now();
            for (n, deed) in order.iter().enumerate() {
                world.does(SERVICE[0], now + ms(apart * n as u64), deed.clone());
            }
            world.wait(secs(10));
            finish(world);
        }
    }
}

/// The caller hangs up at every moment of a take-over, and of a pick-up.
#[test]
fn a_caller_who_leaves_meanwhile_leaves_nothing_behind() {
    for at in (0..120).step_by(3) {
        let mut world = world_of(&[SERVICE[0]]);
        world.call(staff(FIRST).leaves(Leave::AfterDialling(secs(15) + ms(at))));
        world.does(SERVICE[0], FIRST + secs(15), Deed::TakeOver);
        world.pass(FIRST + secs(30));
        finish(world);

        let mut world = world_of(&SERVICE);
        let plan = staff(FIRST).leaves(Leave::AfterDialling(secs(12) + ms(at)));
        let caller = world.call(plan);
        let (mut world, rings, other) = ringing(world, caller);
        let replaces = world.replaces(rings).expect("it rings");
        let now = world.now();
        world.does(other, now, Deed::Replace(replaces));
        world.wait(secs(15));
        finish(world);
    }
}

/// The telephone that rings answers, or refuses, while a colleague picks up: every order, a millisecond apart. Somebody
/// has the caller, and only one.
#[test]
fn a_pick_up_crosses_the_answer_in_every_order() {
    for answers in [true, false] {
        let mut had = [0, 0];
        for at in (1_900..2_100).step_by(2) {
            let mut world = world_of(&SERVICE);
            for phone in SERVICE {
                world.script(
                    phone,
                    match answers {
                        true => Reaction::Answer {
                            after: secs(2),
                            hang_up_after: None,
                        },
                        false => Reaction::Refuse {
                            after: secs(2),
                            code: 486,
                        },
                    },
                );
            }
            let caller = world.call(staff(FIRST));
            let rings = loop {
                world.wait(ms(1));
                if let Some(rings) = SERVICE
                    .into_iter()
                    .find(|phone| !world.rung(*phone).is_empty())
                {
                    break rings;
                }
            };
            let other = SERVICE.into_iter().find(|phone| *phone != rings).unwrap();
            world.wait(secs(1));
            let replaces = world.replaces(rings).expect("it rings");
            let begun = world.rung(rings)[0].at;
            world.does(other, begun + ms(at), Deed::Replace(replaces));
            world.pass(begun + secs(4));
            for (n, phone) in [rings, other].into_iter().enumerate() {
                had[n] += usize::from(world.hears(caller) == Heard::Phone(phone));
            }
            finish(world);
        }
        // Both orders were there.
        assert!(had[1] > 0 && had[1] < 100, "{answers} {had:?}");
        assert!(!answers || had[0] + had[1] == 100, "{had:?}");
    }
}

#[test]
fn a_stranger_is_asked_for_a_password() {
    let (mut world, caller) = talking();
    let replaces = world.replaces(SERVICE[0]).expect("they talk");
    // Of no account here: whoever sends it, the answer is a challenge that they can't meet.
    let partner = 7;
    world.does_now(partner, Deed::Replace(replaces));
    assert_eq!(world.refused(partner), [403]);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE[0]));
    finish(world);
}

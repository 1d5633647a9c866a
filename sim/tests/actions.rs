//! Callers for whom a flow calls an HTTP action, on virtual time: whatever
//! becomes of the answer, they hear something and get somewhere.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{Fields, Val};
use sim::{
    BELL, CallPlan, CallerEnd, Deed, Door, Heard, Hospital, Leave, OKAFOR, Reply, STRANGER,
    StoreWeather, Weather, World,
};

const FIRST: Duration = secs(10);
/// At Saint Anne's service desk.
const BEN: usize = 2;
/// Opening a ticket takes this long at most where nothing is wrong.
const TICKET: Duration = Duration::from_millis(100);

const WORKS: &str = "Everything works.";
const BROKEN: &str = "Something is broken.";
const UNKNOWN: &str = "Nobody knows whether everything works.";
const MOMENT: &str = "One moment, please.";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn status(works: bool) -> Option<Fields> {
    let fields = [
        (Arc::from("works"), Val::Truth(works)),
        (Arc::from("minutes"), Val::Number(20)),
    ];
    Some(fields.into_iter().collect())
}

fn asks() -> CallPlan {
    CallPlan::new(FIRST, Hospital::StAnne.number(Door::Systems), Some(BELL))
}

/// What somebody hears whose action is answered so, a minute long.
fn heard(replies: &[Reply]) -> (World, String) {
    let mut world = World::staffed(Weather::calm(), &[BEN]);
    world.answers(replies);
    let caller = world.call(asks());
    world.pass(FIRST + secs(60));
    let told = world.told(caller);
    (world, told)
}

fn finish(mut world: World) {
    world.does_now(BEN, Deed::HangUp { second: false });
    world.wait(secs(10));
    world.finish();
}

#[test]
fn the_answer_is_spoken() {
    let (world, told) = heard(&[(ms(200), status(true))]);
    assert_eq!(told, WORKS);
    assert!(matches!(world.end_of(0), Some((_, CallerEnd::HungUpOn))));
    assert_eq!((world.asked().len(), world.forgotten().len()), (1, 0));
    let query = &world.asked()[0];
    assert_eq!(&*query.action, "system-status");
    assert!(query.key.ends_with("-ask-1"), "{}", query.key);
    assert_eq!(query.with.get("caller"), Some(&Val::Text("unknown".into())));
    let counted = world.switch_counters();
    assert_eq!((counted.actions, counted.actions_failed), (1, 0));
    finish(world);
    // Whom it doesn't help, a person does.
    let (world, told) = heard(&[(ms(200), status(false))]);
    assert!(told.starts_with(BROKEN), "{told}");
    assert_eq!(world.hears(0), Heard::Phone(BEN));
    finish(world);
}

/// Nobody waits longer than the deadline, and nobody in silence.
#[test]
fn an_answer_that_never_comes() {
    let mut world = World::staffed(Weather::calm(), &[BEN]);
    world.answers(&[]);
    let caller = world.call(asks());
    world.pass(FIRST + secs(1) + TICKET);
    let began = world.answered_at(caller).expect("answered");
    let mut heard = Vec::new();
    for _ in 0..30 {
        world.wait(ms(200));
        heard.push((world.now() - began, world.hears(caller)));
    }
    // A moment of nothing, the words, then music, until the next words.
    let music = heard.iter().filter(|(_, what)| *what == Heard::Music);
    assert!(music.count() > 8, "{heard:?}");
    for (at, what) in &heard {
        assert!(*what != Heard::Nothing || *at < ms(1_300), "{heard:?}");
    }
    world.wait(secs(20));
    let told = world.told(caller);
    assert!(told.starts_with(&format!("{MOMENT} | {UNKNOWN}")), "{told}");
    let at = world.heard(caller)[1].0;
    assert!(at < began + secs(5) + TICKET * 2, "{at:?}");
    assert_eq!(world.hears(caller), Heard::Phone(BEN));
    assert_eq!(world.forgotten(), [world.asked()[0].id]);
    assert_eq!(world.switch_counters().actions_timed_out, 1);
    finish(world);
}

/// Late by a little, by a lot, doubled, after another: the first one in time counts.
#[test]
fn answers_late_doubled_and_contrary() {
    let late = |by: u64| (secs(5) + ms(by), status(true));
    let cases: [(&[Reply], &str); 10] = [
        (&[(ms(200), None)], UNKNOWN),
        (&[(ms(200), Some(Fields::default()))], UNKNOWN),
        // At the very moment.
        (&[late(0)], WORKS),
        (&[late(1)], UNKNOWN),
        (&[late(900)], UNKNOWN),
        (&[late(9_000), late(9_000)], UNKNOWN),
        (&[(secs(5) - ms(1), status(true))], WORKS),
        (&[(ms(200), status(true)), (ms(200), status(true))], WORKS),
        (&[(ms(200), status(true)), (ms(300), None)], WORKS),
        (&[(ms(200), None), (ms(300), status(true))], UNKNOWN),
    ];
    for (replies, words) in cases {
        let (world, told) = heard(replies);
        let said = told.replace(&format!("{MOMENT} | "), "");
        assert!(said.starts_with(words), "{replies:?}: {told}");
        let others = [WORKS, BROKEN, UNKNOWN].into_iter();
        let others = others.filter(|other| *other != words && told.contains(other));
        assert_eq!(others.count(), 0, "{replies:?}: {told}");
        if words == UNKNOWN {
            assert_eq!(world.hears(0), Heard::Phone(BEN), "{replies:?}");
        }
        finish(world);
    }
}

/// The caller hangs up at every moment, and the answer comes at every other.
#[test]
fn a_caller_who_leaves_is_asked_for_no_more() {
    let mut taken_back = 0;
    for leaves in (0..7_000).step_by(330) {
        for answers in [0, 700, 1_500, 4_990, 5_010, 8_000] {
            let mut world = World::staffed(Weather::calm(), &[BEN]);
            world.answers(&[(ms(answers), status(true))]);
            let plan = asks().leaves(Leave::AfterAnswer(ms(leaves)));
            let caller = world.call(plan);
            world.pass(FIRST + secs(30));
            assert!(world.end_of(caller).is_some(), "{leaves} {answers}");
            taken_back += world.forgotten().len();
            world.finish();
        }
    }
    assert!(taken_back > 40, "{taken_back}");
}

/// A ticket can't be had: the action is called all the same.
#[test]
fn a_store_that_is_down_is_of_no_matter() {
    let mut weather = Weather::calm();
    weather.store = StoreWeather {
        down: vec![(Duration::ZERO, secs(120))],
        ..weather.store
    };
    let mut world = World::staffed(weather, &[BEN]);
    world.answers(&[(ms(200), status(true))]);
    let caller = world.call(asks());
    world.pass(FIRST + secs(60));
    assert_eq!(world.told(caller), WORKS);
    world.pass(secs(200));
    world.finish();
}

/// A hospital whose system doesn't answer uses up its own share, and no other's.
#[test]
fn one_hospitals_silence_is_not_anothers() {
    let mut world = World::staffed(Weather::calm(), &[BEN]);
    world.answers(&[]);
    let theirs: Vec<usize> = (0..7)
        .map(|n| {
            let mut plan = asks();
            plan.at += ms(n * 40);
            world.call(plan.leaves(Leave::AfterAnswer(secs(12))))
        })
        .collect();
    world.pass(FIRST + ms(1_500));
    let refused = |world: &World| {
        let told = theirs.iter().map(|caller| world.told(*caller));
        told.filter(|told| told.starts_with(UNKNOWN)).count()
    };
    // Four are being called; the others are told at once.
    assert_eq!(world.asked().len(), 4);
    assert_eq!(refused(&world), 3);
    assert_eq!(world.switch_counters().actions_crowded, 3);
    world.answers(&[(ms(100), status(true))]);
    let mut plan = CallPlan::new(
        world.now(),
        Hospital::Mercy.number(Door::Systems),
        Some(OKAFOR),
    );
    let other = world.call(plan.clone());
    world.wait(secs(4));
    assert_eq!(world.told(other), WORKS);
    // What was given back can be had again.
    world.pass(FIRST + secs(20));
    plan = asks();
    (plan.at, plan.from) = (world.now(), Some(STRANGER.to_owned()));
    let next = world.call(plan);
    world.wait(secs(4));
    assert_eq!(world.told(next), WORKS);
    finish(world);
}

#[test]
fn actions_survive_bad_networks() {
    for seed in 0..60 {
        let mut weather = Weather::any(&mut sim::Dice::new(seed), secs(60));
        weather.people = 0;
        let mut world = World::staffed(weather, &[BEN]);
        for n in 0..3 {
            let mut plan = asks().leaves(Leave::AfterTalking(secs(20)));
            plan.at += ms(n * 700);
            world.call(plan);
        }
        world.pass(FIRST + secs(150));
        finish(world);
    }
}

//! Callers who show who they are, on virtual time: whatever becomes of it, they
//! hear something and get somewhere, and nobody sees what they keyed in.

use std::time::Duration;

use desk::Event;
use ivr_flows::{Fields, Val};
use sim::{
    BELL, CallPlan, CallerEnd, Cue, Deed, Door, Fit, Heard, Hospital, Leave, OKAFOR, Press,
    STRANGER, Trace, Weather, World,
};

const FIRST: Duration = secs(10);
/// At Saint Anne's service desk.
const BEN: usize = 2;
const SENT: &str = "A new password was sent.";
const UNSURE: &str = "We can't do that by telephone.";
const LATER: &str = "That can't be done at the moment.";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Calls, and keys this in from five seconds after the answer, a key every 200 ms.
fn keys_in(from: &str, keyed: &str) -> CallPlan {
    let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Password), Some(from));
    for (n, key) in (0..).zip(keyed.chars()) {
        let cue = Cue::Answer(secs(5) + ms(200) * n);
        plan.presses.push(Press { cue, key });
    }
    plan
}

/// A clinician is asked for staff number, PIN and date of birth.
const ONCE: &str = "48151623#342108#12251961";

fn house(weather: Weather, fits: &[Fit]) -> World {
    let mut world = World::staffed(weather, &[BEN]);
    world.set_trace(Trace::Last(usize::MAX, Default::default()));
    world.judges(fits);
    let works = [("works".into(), Val::Truth(true))];
    let fields: Fields = works.into_iter().collect();
    world.answers(&[(ms(200), Some(fields))]);
    world
}

fn verified(world: &World) -> Vec<bool> {
    let events = world.logs().flat_map(|(_, log)| log);
    let passed = events.filter_map(|stamped| match stamped.event {
        Event::ContactVerified { passed, .. } => Some(passed),
        _ => None,
    });
    passed.collect()
}

/// Nothing of it stands in anything that the machines told one another.
fn is_clean(world: &World) {
    for line in world
        .trace()
        .lines()
        .filter(|line| !line.contains(" presses "))
    {
        for secret in ["48151623", "342108", "12251961", "19611225"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

fn finish(mut world: World) {
    world.does_now(BEN, Deed::HangUp { second: false });
    world.wait(secs(10));
    is_clean(&world);
    world.finish();
}

#[test]
fn who_shows_it_gets_what_they_want() {
    let mut world = house(Weather::calm(), &[(ms(100), Some(true))]);
    let caller = world.call(keys_in(OKAFOR, ONCE));
    world.pass(FIRST + secs(40));
    assert!(world.told(caller).ends_with(SENT), "{}", world.told(caller));
    assert!(matches!(world.end_of(0), Some((_, CallerEnd::HungUpOn))));
    assert_eq!(verified(&world), [true]);
    assert_eq!(world.compared(), 1);
    assert!(world.asked()[0].with.get("caller").is_some());
    is_clean(&world);
    world.finish();
}

#[test]
fn three_times_wrong_and_a_person() {
    let mut world = house(Weather::calm(), &[(ms(100), Some(false))]);
    let caller = world.call(keys_in(OKAFOR, &ONCE.repeat(4)));
    world.pass(FIRST + secs(60));
    assert!(
        world.told(caller).contains(UNSURE),
        "{}",
        world.told(caller)
    );
    assert_eq!(verified(&world), [false; 3]);
    assert_eq!(world.compared(), 3);
    assert_eq!(world.hears(0), Heard::Phone(BEN));
    finish(world);
}

/// Whoever calls from a number of nobody's hears the same at the same time as who is wrong.
#[test]
fn no_is_the_same_for_who_does_not_exist() {
    let heard = |from: &str, fits| {
        let mut world = house(Weather::calm(), &[(ms(100), Some(fits))]);
        // A patient and a stranger are asked for the same.
        let caller = world.call(keys_in(from, "12251961048151623#"));
        let mut seen = Vec::new();
        for second in 0..30 {
            world.pass(FIRST + secs(second));
            seen.push(world.told(caller));
        }
        seen
    };
    let wrong = heard(BELL, false);
    assert_eq!(heard(STRANGER, true), wrong);
    assert!(
        wrong.last().expect("heard").contains("can't confirm"),
        "{wrong:?}"
    );
}

/// Every moment at which the store may go down in the middle of it, and come back.
#[test]
fn the_store_is_down_in_the_middle() {
    for lasts in [ms(300), ms(1_400), ms(2_500), secs(60)] {
        for down_at in (0..24).map(|n| FIRST + secs(4) + ms(400) * n) {
            let mut weather = Weather::calm();
            weather.store.down.push((down_at, down_at + lasts));
            let mut world = house(weather, &[(ms(100), Some(true))]);
            let caller = world.call(keys_in(OKAFOR, ONCE));
            world.pass(FIRST + secs(40));
            let told = world.told(caller);
            // Either it was on disk before, or a person helps; never both, never neither.
            let shown = told.contains(SENT);
            assert_ne!(shown, told.contains(LATER), "{down_at:?} {lasts:?}: {told}");
            if shown {
                assert_eq!(verified(&world), [true], "{down_at:?} {lasts:?}");
            } else {
                assert_eq!(world.hears(0), Heard::Phone(BEN), "{down_at:?} {lasts:?}");
            }
            world.pass(FIRST + secs(120));
            finish(world);
        }
    }
}

/// Nobody waits longer than four seconds for a comparison, and late, doubled and missing ones are borne.
#[test]
fn whatever_becomes_of_the_comparison_the_caller_gets_somewhere() {
    for fits in [
        &[][..],
        &[(ms(100), None)],
        &[(ms(3_999), Some(true))],
        &[(ms(4_001), Some(true))],
        &[(ms(50), Some(true)), (ms(60), Some(true))],
        &[(ms(50), Some(true)), (ms(60), Some(false))],
    ] {
        let mut world = house(Weather::calm(), fits);
        let caller = world.call(keys_in(OKAFOR, ONCE));
        world.pass(FIRST + secs(40));
        let told = world.told(caller);
        assert_ne!(
            told.contains(SENT),
            told.contains(LATER),
            "{fits:?}: {told}"
        );
        finish(world);
    }
}

/// Hanging up while it is compared spares nobody a wrong answer.
#[test]
fn who_hangs_up_is_counted_all_the_same() {
    let mut world = house(Weather::calm(), &[(ms(300), Some(false))]);
    for n in 0..8 {
        let mut plan = keys_in(OKAFOR, ONCE);
        plan.at = FIRST + secs(30) * n;
        // The last key comes 9.6 s after the answer.
        let plan = plan.leaves(Leave::AfterAnswer(ms(9_700)));
        world.call(plan);
    }
    world.pass(FIRST + secs(250));
    // Six from one number within an hour; then nobody is asked.
    assert_eq!(world.compared(), 6);
    is_clean(&world);
    world.finish();
}

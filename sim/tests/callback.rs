//! Callbacks on virtual time: who takes one, or was cut off in a queue by a crash, is called back, an agent first, and
//! only a key pressed by a person counts. What crosses what is played at many moments.

use std::time::Duration;

use desk::{Missed, PromiseStage, Proof};
use sim::{
    CallPlan, CallerEnd, Deed, Door, Heard, Hospital, Leave, PhonePlan, Reaction, Weather, World,
};

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
    until_answered_within(world, 300)
}

fn until_answered_within(world: &mut World, seconds: u32) -> usize {
    for _ in 0..seconds {
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

/// At the clinical desk, alone, from two minutes on.
const CLINICAL: usize = 1;
const COMES: Duration = secs(120);

/// A clinician whom nobody is there for takes a callback.
fn takes_one(at: Duration, from: Option<&str>) -> CallPlan {
    CallPlan::new(at, Hospital::StAnne.number(Door::Clinician), from)
        .presses_at("To be called back instead", secs(1), '1')
        .presses_at("your turn, press 1.", secs(1), '1')
        .presses_at("If that is right", secs(1), '1')
}

fn desk(weather: Weather, customer: Reaction) -> World {
    let comes = PhonePlan {
        signs_in: Some(COMES),
        ..PhonePlan::reliable()
    };
    let phones = std::iter::once(comes).chain((0..5).map(|_| PhonePlan::absent()));
    let mut world = World::story(weather, phones.collect());
    for phone in CUSTOMER {
        world.script(phone, customer);
    }
    world
}

/// How the promises stand.
fn stages(world: &World) -> Vec<PromiseStage> {
    let promises = world.promises();
    promises.iter().map(|facts| facts.stage).collect()
}

fn is_kept(stage: &PromiseStage) -> bool {
    matches!(
        stage,
        PromiseStage::Closed {
            proof: Proof::Key { .. } | Proof::CalledIn { .. },
            ..
        }
    )
}

/// Scenes 1 and 5: nobody is there, a callback is taken, and kept when somebody comes.
#[test]
fn who_takes_a_callback_is_called_and_talks() {
    let mut world = desk(Weather::calm(), Reaction::answers(secs(5)));
    let caller = world.call(takes_one(FIRST, Some(NUMBER)));
    world.pass(COMES);
    let told = world.told(caller);
    for words in [
        "This is the number that we would call:",
        "5559000001",
        "You have kept your place. We will call you when it is your turn.",
        "Goodbye.",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert!(matches!(
        world.end_of(caller),
        Some((_, CallerEnd::HungUpOn))
    ));
    let facts = world.facts(caller).expect("recorded");
    assert_eq!(facts.visits.abandoned, 0, "{facts:?}");
    assert_eq!(facts.visits.flow_out, facts.visits.queued);
    let since = world.promises()[0].since;
    assert_eq!(
        Some(since),
        facts.started_at.map(|at| at.max(since)),
        "the place is kept"
    );
    let phone = until_answered(&mut world);
    assert_eq!(world.agent_hears(CLINICAL, false), Heard::Music);
    world.wait(secs(2));
    world.presses(phone, false, "1");
    world.wait(secs(2));
    assert_eq!(world.agent_hears(CLINICAL, false), Heard::Phone(phone));
    assert_eq!(world.agent_hears(phone, false), Heard::Phone(CLINICAL));
    world.does_now(CLINICAL, Deed::HangUp { second: false });
    world.wait(secs(20));
    assert!(matches!(
        stages(&world)[..],
        [PromiseStage::Closed {
            proof: Proof::Key { .. },
            ..
        }]
    ));
    world.finish();
}

#[test]
fn who_withholds_their_number_keys_one_in() {
    let mut world = desk(Weather::calm(), Reaction::Ignore);
    let mut plan = takes_one(FIRST, None);
    let (right, keys) = (plan.presses.pop().expect("it is right"), "15559000002#");
    let mut cue = sim::Cue::Hearing("Please key in the number".to_owned(), secs(1));
    for key in keys.chars() {
        plan.presses.push(sim::Press { cue, key });
        cue = sim::Cue::Following(Duration::from_millis(300));
    }
    plan.presses.push(right);
    let caller = world.call(plan);
    world.wait(secs(200));
    assert!(
        world.told(caller).contains("5559000002"),
        "{}",
        world.told(caller)
    );
    let called = CUSTOMER.iter().flat_map(|phone| world.rung(*phone));
    let to: Vec<_> = called.map(|rung| rung.to.as_str()).collect();
    assert!(
        !to.is_empty() && to.iter().all(|to| *to == "+15559000002"),
        "{to:?}"
    );
    world.finish();
}

/// Whoever calls from a number that the rules don't allow, and keys in no other, gets no promise and stays in the queue.
#[test]
fn nobody_is_promised_a_call_that_cannot_be_made() {
    let mut world = desk(Weather::calm(), Reaction::Ignore);
    let caller =
        world.call(takes_one(FIRST, Some("+15550177005")).leaves(Leave::AfterAnswer(secs(100))));
    world.wait(secs(115));
    let told = world.told(caller);
    assert!(told.contains("Please key in the number"), "{told}");
    assert!(!told.contains("We will call you"), "{told}");
    assert_eq!(world.promises(), []);
    world.finish();
}

/// `kill -9` between the key and the confirmation, and before and after both: whoever was told is owed a call (13, held by
/// the oracle), and a promise that is on disk is kept whether or not they were told.
#[test]
fn a_crash_at_any_moment_around_a_promise() {
    let mut calm = desk(Weather::calm(), Reaction::Ignore);
    let caller = calm.call(takes_one(FIRST, Some(NUMBER)));
    calm.pass(COMES);
    let told = calm
        .heard(caller)
        .iter()
        .find(|(_, text)| text.contains("We will call you"));
    let told = told.expect("a promise").0;
    let (mut promised, mut not) = (0, 0);
    for step in 0..40 {
        let mut weather = Weather::calm();
        weather
            .crashes
            .push(told + Duration::from_millis(50 * step) - secs(1));
        let mut world = desk(weather, Reaction::answers(secs(5)));
        world.call(takes_one(FIRST, Some(NUMBER)));
        world.pass(COMES);
        match world.promises().len() {
            0 => not += 1,
            1 => {
                promised += 1;
                let phone = until_answered(&mut world);
                world.wait(secs(1));
                world.presses(phone, false, "1");
                world.wait(secs(3));
                world.does_now(CLINICAL, Deed::HangUp { second: false });
                world.wait(secs(10));
                assert!(stages(&world).iter().all(is_kept), "{:?}", stages(&world));
            }
            more => panic!("{more} promises"),
        }
        world.finish();
    }
    assert!(promised > 5 && not > 5, "{promised} promised, {not} not");
}

/// A customer calls in while they are called back, at every moment of it: they talk once, are called by one attempt at a
/// time, and the promise is kept by the one call or the other.
#[test]
fn a_customer_calls_in_while_being_called_back() {
    let mut calm = desk(Weather::calm(), Reaction::answers(secs(4)));
    calm.call(takes_one(FIRST, Some(NUMBER)));
    calm.pass(COMES);
    let mut rings = None;
    while rings.is_none() {
        calm.wait(secs(1));
        rings = CUSTOMER
            .iter()
            .find_map(|phone| calm.rung(*phone).first())
            .map(|rung| rung.at);
    }
    let rings = rings.expect("it rings");
    let (mut by_key, mut by_call) = (0, 0);
    for step in 0..36 {
        let mut world = desk(Weather::calm(), Reaction::answers(secs(4)));
        world.call(takes_one(FIRST, Some(NUMBER)));
        let comes = rings + Duration::from_millis(400 * step) - secs(6);
        let plan = CallPlan::new(
            comes,
            Hospital::StAnne.number(Door::Clinician),
            Some(NUMBER),
        );
        let second = world.call(
            plan.leaves(Leave::AfterTalking(secs(10)))
                .leaves(Leave::AfterAnswer(secs(200))),
        );
        world.pass(COMES);
        for _ in 0..140 {
            world.wait(secs(1));
            for phone in CUSTOMER {
                if world.agent_hears(phone, false) == Heard::Prompt {
                    world.presses(phone, false, "1");
                }
                if matches!(world.agent_hears(phone, false), Heard::Phone(_)) {
                    world.does_now(CLINICAL, Deed::HangUp { second: false });
                }
            }
        }
        match stages(&world)[..] {
            [
                PromiseStage::Closed {
                    proof: Proof::Key { .. },
                    ..
                },
            ] => by_key += 1,
            [
                PromiseStage::Closed {
                    proof: Proof::CalledIn { .. },
                    ..
                },
            ] => {
                by_call += 1;
                assert!(world.talking_at(second).is_some());
            }
            ref other => panic!("{step}: {other:?}, {:?}", world.missed()),
        }
        world.finish();
    }
    assert!(
        by_key > 0 && by_call > 0,
        "{by_key} by key, {by_call} by their own call"
    );
}

/// Two promises to one number: one call at a time (7, held by the oracle), and both are kept.
#[test]
fn a_second_callback_to_one_number_waits_for_the_first() {
    for apart in [0, 1, 3, 20] {
        let mut world = desk(Weather::calm(), Reaction::answers(secs(4)));
        world.call(takes_one(FIRST, Some(NUMBER)));
        world.call(takes_one(FIRST + secs(apart), Some(NUMBER)));
        world.pass(COMES);
        assert_eq!(world.promises().len(), 2);
        for _ in 0..200 {
            for phone in CUSTOMER {
                world.script(phone, Reaction::answers(secs(4)));
            }
            world.wait(secs(1));
            for phone in CUSTOMER {
                if world.agent_hears(phone, false) == Heard::Prompt {
                    world.presses(phone, false, "1");
                }
            }
            if matches!(world.agent_hears(CLINICAL, false), Heard::Phone(_)) {
                world.does_now(CLINICAL, Deed::HangUp { second: false });
            }
        }
        assert!(
            stages(&world).iter().all(is_kept),
            "{apart}: {:?}",
            stages(&world)
        );
        world.finish();
    }
}

/// Within the hour that was agreed on, neither before nor after: an agent first at the one hospital, the customer first at
/// the other.
#[test]
fn an_hour_that_was_agreed_on_is_kept_by_whoever_is_called_first() {
    for (hospital, customer_first) in [(Hospital::StAnne, false), (Hospital::Mercy, true)] {
        let mut world = desk(Weather::calm(), Reaction::answers(secs(4)));
        let mut plan = takes_one(FIRST, Some(NUMBER));
        plan.dials = hospital.number(Door::Clinician).to_owned();
        // The second of what is offered: an hour of today.
        plan.presses[1].key = '2';
        let caller = world.call(plan);
        world.pass(COMES);
        let told = world.told(caller);
        assert!(
            told.contains("Thank you. We will call you | today,"),
            "{told}"
        );
        let window = world.promises()[0].window;
        let phone = until_answered_within(&mut world, 7_200);
        let now = world.promises()[0].attempted_at.expect("attempted");
        assert!(
            (window.from..window.to).contains(&now),
            "{now} in {window:?}"
        );
        assert_eq!(world.rung(CLINICAL).is_empty(), customer_first);
        world.wait(secs(1));
        world.presses(phone, false, "1");
        world.wait(secs(8));
        assert_eq!(world.agent_hears(phone, false), Heard::Phone(CLINICAL));
        world.does_now(CLINICAL, Deed::HangUp { second: false });
        world.wait(secs(10));
        assert!(stages(&world).iter().all(is_kept), "{:?}", stages(&world));
        world.finish();
    }
}

//! Callers whom a flow sends on, on virtual time: to an extension that they key
//! in, or to a number outside. Whoever isn't reached is with the flow again.

use std::time::Duration;

use desk::TakenBack;
use sim::{
    BELL, CallPlan, CallerEnd, Cue, Deed, Door, Heard, Hospital, Leave, Press, Reaction, Weather,
    World,
};

const FIRST: Duration = secs(10);
/// Behind extension 2002, at Saint Anne's service desk too.
const BEN: usize = 2;
/// At that desk alone with him.
const CLEO: usize = 3;
/// The second tier, whose extension is 2006.
const TIER2: usize = 4;
/// The telephones behind the trunk's two gateways.
const OUTSIDE: [usize; 2] = [7, 8];

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A world in which these phones are signed in.
fn world(weather: Weather, signed_in: &[usize]) -> World {
    World::staffed(weather, signed_in)
}

/// Rosa Bell keys in an extension.
fn keys_in(extension: &str) -> CallPlan {
    let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Extension), Some(BELL));
    let mut cue = Cue::Hearing("key in the four digits".to_owned(), secs(1));
    for key in extension.chars() {
        plan.presses.push(Press { cue, key });
        cue = Cue::Following(Duration::from_millis(300));
    }
    plan
}

/// Rosa Bell wants the pharmacy.
fn pharmacy() -> CallPlan {
    CallPlan::new(FIRST, Hospital::StAnne.number(Door::Pharmacy), Some(BELL))
}

/// Whoever may talk hangs up, and nothing is left over, on the trunk neither.
fn finish(mut world: World, phones: &[usize]) {
    for phone in phones {
        world.does_now(*phone, Deed::HangUp { second: false });
        world.wait(secs(8));
    }
    world.finish();
}

#[test]
fn an_extension_rings_with_the_ticket_and_music_meanwhile() {
    let mut world = world(Weather::calm(), &[BEN, CLEO]);
    world.script(BEN, Reaction::answers(secs(15)));
    let caller = world.call(keys_in("2002"));
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Music);
    assert!(world.told(caller).ends_with("One moment, please."));
    // Nobody else rings there, and nobody else is rung.
    assert_eq!((world.rung(BEN).len(), world.rung(CLEO).len()), (1, 0));
    world.wait(secs(10));
    assert_eq!(world.hears(caller), Heard::Phone(BEN));
    let rung = &world.rung(BEN)[0];
    let ticket = rung.ticket.as_deref().expect("the ticket goes along");
    assert!(world.ticket_is_durable(caller, ticket));
    world.wait(secs(40));
    assert_eq!(
        world.hears(caller),
        Heard::Phone(BEN),
        "nobody is torn away"
    );
    world.does_now(BEN, Deed::HangUp { second: false });
    assert!(matches!(
        world.end_of(caller),
        Some((_, CallerEnd::HungUpOn))
    ));
    world.finish();
}

#[test]
fn who_isnt_reached_inside_is_told_why_and_helped() {
    let cases: [(&str, &[usize], Reaction, &str); 5] = [
        (
            "2002",
            &[BEN, CLEO],
            Reaction::refuses(486),
            "That line is busy.",
        ),
        (
            "2002",
            &[BEN, CLEO],
            Reaction::Ignore,
            "Nobody answers there.",
        ),
        // Not signed in.
        (
            "2002",
            &[CLEO],
            Reaction::refuses(486),
            "Nobody answers there.",
        ),
        (
            "2999",
            &[BEN, CLEO],
            Reaction::refuses(486),
            "You can't be connected to that extension.",
        ),
        // Agents may dial it; callers of this flow nothing outside.
        (
            "9001",
            &[BEN, CLEO],
            Reaction::refuses(486),
            "You can't be connected to that extension.",
        ),
    ];
    for (extension, signed_in, reaction, words) in cases {
        let mut world = world(Weather::calm(), signed_in);
        world.script(BEN, reaction);
        let caller = world.call(keys_in(extension));
        world.pass(FIRST + secs(60));
        let told = world.told(caller);
        assert!(told.contains(words), "{extension}: {told}");
        assert!(told.contains("The service desk is being called."), "{told}");
        assert!(world.talking_at(caller).is_some(), "{extension}");
        assert!(OUTSIDE.iter().all(|phone| world.rung(*phone).is_empty()));
        let forbidden = u64::from(words.contains("can't be connected"));
        assert_eq!(world.switch_counters().targets_forbidden, forbidden);
        finish(world, &[BEN, CLEO]);
    }
}

#[test]
fn who_talks_already_isnt_rung() {
    let mut world = world(Weather::calm(), &[BEN]);
    let first = world.call(keys_in("2002"));
    world.pass(FIRST + secs(20));
    assert_eq!(world.hears(first), Heard::Phone(BEN));
    let mut plan = keys_in("2002");
    plan.at = world.now();
    let second = world.call(plan);
    world.wait(secs(20));
    assert!(world.told(second).contains("That line is busy."));
    assert_eq!(world.rung(BEN).len(), 1);
    assert_eq!(world.hears(first), Heard::Phone(BEN));
    world.does_now(BEN, Deed::HangUp { second: false });
    world.wait(secs(20));
    // The service desk's only agent is free now.
    assert_eq!(world.hears(second), Heard::Phone(BEN));
    finish(world, &[BEN]);
}

#[test]
fn an_extension_may_be_a_queues() {
    let mut staffed = world(Weather::calm(), &[CLEO, TIER2]);
    let caller = staffed.call(keys_in("2006"));
    staffed.pass(FIRST + secs(30));
    let by = staffed.hears(caller);
    assert!(
        by == Heard::Phone(TIER2) || by == Heard::Phone(CLEO),
        "{by:?}"
    );
    assert_eq!(staffed.facts(caller).expect("in the log").visits.queued, 1);
    finish(staffed, &[TIER2, CLEO]);
    // Nobody of them is there: the flow goes on at once.
    let mut empty = world(Weather::calm(), &[BEN]);
    let caller = empty.call(keys_in("2006"));
    empty.pass(FIRST + secs(30));
    assert!(empty.told(caller).contains("Nobody answers there."));
    let visits = empty.facts(caller).expect("in the log").visits;
    assert_eq!((visits.queued, visits.flow_out), (2, 1), "{visits:?}");
    finish(empty, &[BEN]);
}

#[test]
fn a_number_outside_is_called_with_ticket_and_number() {
    let mut world = world(Weather::calm(), &[BEN]);
    world.script(OUTSIDE[0], Reaction::answers(secs(8)));
    let caller = world.call(pharmacy());
    world.pass(FIRST + secs(6));
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(12));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    let rung = &world.rung(OUTSIDE[0])[0];
    assert_eq!(&*rung.to, "+15559000001");
    assert!(rung.from.contains(BELL) && !rung.from.contains("Rosa"));
    let ticket = rung.ticket.as_deref().expect("the trunk is trusted");
    assert!(world.ticket_is_durable(caller, ticket));
    assert_eq!(rung.referred_by, None);
    assert!(world.rung(BEN).is_empty());
    world.does_now(OUTSIDE[0], Deed::HangUp { second: false });
    world.wait(secs(5));
    let told = world.told(caller);
    assert!(
        told.ends_with("Thank you for calling the pharmacy."),
        "{told}"
    );
    world.finish();
}

#[test]
fn who_isnt_reached_outside_is_told_why_and_helped() {
    for (reaction, words, why) in [
        (
            Reaction::refuses(486),
            "The pharmacy is busy.",
            TakenBack::Busy,
        ),
        (
            Reaction::refuses(480),
            "The pharmacy doesn't answer.",
            TakenBack::NoAnswer,
        ),
        (
            Reaction::Ignore,
            "The pharmacy doesn't answer.",
            TakenBack::NoAnswer,
        ),
        (
            Reaction::refuses(404),
            "The pharmacy can't be reached.",
            TakenBack::Failed,
        ),
        // Sent on elsewhere: we don't follow.
        (
            Reaction::refuses(302),
            "The pharmacy can't be reached.",
            TakenBack::Failed,
        ),
    ] {
        let mut world = world(Weather::calm(), &[BEN]);
        world.script(OUTSIDE[0], reaction);
        let caller = world.call(pharmacy());
        world.pass(FIRST + secs(70));
        let told = world.told(caller);
        assert!(told.contains(words), "{words}: {told}");
        assert_eq!(world.taken_back(caller), [why], "{words}");
        assert_eq!(world.hears(caller), Heard::Phone(BEN), "{words}");
        finish(world, &[BEN]);
    }
}

#[test]
fn who_got_the_caller_may_send_them_on() {
    let mut world = world(Weather::calm(), &[BEN, TIER2]);
    let caller = world.call(keys_in("2002"));
    world.pass(FIRST + secs(20));
    assert_eq!(world.hears(caller), Heard::Phone(BEN));
    world.script(OUTSIDE[0], Reaction::refuses(486));
    world.does_now(BEN, Deed::Transfer("+15559000001".to_owned()));
    world.wait(secs(15));
    // They came from no queue: the flow has them again.
    let told = world.told(caller);
    assert!(told.contains("The connection was lost."), "{told}");
    world.wait(secs(20));
    assert!(matches!(world.hears(caller), Heard::Phone(_)), "{told}");
    finish(world, &[BEN, TIER2]);
}

/// The caller hangs up at every moment of a transfer.
#[test]
fn a_caller_who_leaves_during_it_rings_nobody_for_long() {
    for (plan, phone) in [
        (keys_in("2002"), BEN),
        (keys_in("2006"), TIER2),
        (pharmacy(), OUTSIDE[0]),
    ] {
        for at in (500..16_000).step_by(170) {
            let mut world = world(Weather::calm(), &[BEN, TIER2]);
            world.script(phone, Reaction::answers(secs(3)));
            let leave = Leave::AfterAnswer(Duration::from_millis(at));
            let caller = world.call(plan.clone().leaves(leave));
            world.pass(FIRST + secs(30));
            assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
            finish(world, &[phone]);
        }
    }
}

/// The flow gives up while the other side is about to answer: CANCEL and 200 cross.
#[test]
fn answering_as_the_flow_gives_up_leaves_nobody_in_silence() {
    for late in 0..40 {
        let at = Duration::from_millis(24_000 + 50 * late);
        let mut inside = world(Weather::calm(), &[BEN, CLEO]);
        inside.script(BEN, Reaction::answers(at));
        let caller = inside.call(keys_in("2002"));
        inside.pass(FIRST + secs(70));
        assert!(matches!(inside.hears(caller), Heard::Phone(_)), "{late}");
        finish(inside, &[BEN, CLEO]);
        let mut outside = world(Weather::calm(), &[BEN]);
        outside.script(OUTSIDE[0], Reaction::answers(at + secs(15)));
        let caller = outside.call(pharmacy());
        outside.pass(FIRST + secs(70));
        assert!(matches!(outside.hears(caller), Heard::Phone(_)), "{late}");
        finish(outside, &[BEN, OUTSIDE[0]]);
    }
}

#[test]
fn transfers_by_flows_survive_bad_networks() {
    for seed in 0..40 {
        let mut weather = Weather::any(&mut sim::Dice::new(seed), secs(60));
        weather.crashes.clear();
        weather.people = 0;
        let plan = match seed % 3 {
            0 => keys_in("2002"),
            1 => keys_in("2006"),
            _ => pharmacy(),
        };
        let mut world = world(weather, &[BEN, CLEO, TIER2]);
        world.call(plan.leaves(Leave::AfterTalking(secs(40))));
        world.pass(FIRST + secs(150));
        finish(world, &[BEN, CLEO, TIER2, OUTSIDE[0]]);
    }
}

/// Of a number outside to which the flow sends its caller.
#[test]
fn what_is_said_outside_before_an_answer_is_heard_once_the_flow_has_spoken() {
    let mut world = world(Weather::calm(), &[BEN]);
    let speaks = Reaction::Speaks { after: secs(12) };
    world.script(OUTSIDE[0], speaks);
    let caller = world.call(pharmacy());
    let mut at = FIRST;
    while world.rung(OUTSIDE[0]).is_empty() {
        at += secs(1);
        assert!(at < secs(60));
        world.pass(at);
    }
    world.wait(secs(8));
    assert!(world.rung(OUTSIDE[0])[0].answered_at.is_none());
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    world.wait(secs(6));
    assert!(world.rung(OUTSIDE[0])[0].answered_at.is_some());
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    finish(world, &[OUTSIDE[0]]);
}

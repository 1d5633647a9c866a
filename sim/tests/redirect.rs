//! A trunk that answers with a redirection (3xx), on virtual time: refused unless its policy says otherwise, and then
//! only to numbers that the hospital's dial rules allow by that trunk, or to another of its gateways. (That no INVITE
//! leaves for anybody else's host is watched by the world itself: invariant 14.)

use std::time::Duration;

use desk::TakenBack;
use sim::{
    BELL, CallPlan, Cue, Deed, Door, Heard, Hospital, Leave, MORALES, Press, Reaction, Rung,
    Weather, World,
};

const FIRST: Duration = secs(10);
/// At the service desk, alone.
const SERVICE: usize = 2;
/// The telephones behind the gateways of both trunks: 198.51.100.7 and 198.51.100.8.
const OUTSIDE: [usize; 2] = [7, 8];
/// A number that the rules allow by the trunk that follows redirections.
const NUMBER: &str = "+15559000001";
/// By the one that doesn't.
const BY_DAY: &str = "+15558000001";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const ANSWERS: Reaction = Reaction::Answer {
    after: secs(1),
    hang_up_after: None,
};

fn sends_on(code: u16, to: &'static [&'static str]) -> Reaction {
    Reaction::Redirect {
        after: secs(1),
        code,
        to,
    }
}

/// Iris of the staff talks with the service desk.
fn talking() -> (World, usize) {
    let mut world = World::staffed(Weather::calm(), &[SERVICE]);
    let number = Hospital::StAnne.number(Door::Staff);
    let caller = world.call(CallPlan::new(FIRST, number, Some(MORALES)));
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    (world, caller)
}

/// They are sent to `number`, whose first gateway does this and then that.
fn sent_to(number: &str, reactions: &[Reaction]) -> (World, usize) {
    let (mut world, caller) = talking();
    for reaction in reactions {
        world.script(OUTSIDE[0], *reaction);
    }
    world.does_now(SERVICE, Deed::Transfer(number.to_owned()));
    world.wait(secs(12));
    (world, caller)
}

fn numbers(rung: &[Rung]) -> Vec<&str> {
    rung.iter().map(|rung| rung.to.as_str()).collect()
}

/// Everybody hangs up, and nothing is left over, no call on a trunk either.
fn finish(mut world: World) {
    for phone in [OUTSIDE[0], OUTSIDE[1], SERVICE] {
        world.does_now(phone, Deed::HangUp { second: false });
        world.wait(secs(15));
    }
    world.does_now(SERVICE, Deed::HangUp { second: false });
    world.finish();
}

fn counted(world: &World) -> (u64, u64) {
    let counters = world.switch_counters();
    (counters.redirects_followed, counters.redirects_refused)
}

#[test]
fn it_is_refused_unless_the_trunk_may() {
    let elsewhere = sends_on(302, &["<sip:+15558000002@198.51.100.7>"]);
    let (world, caller) = sent_to(BY_DAY, &[elsewhere, ANSWERS]);
    assert_eq!(numbers(world.rung(OUTSIDE[0])), [BY_DAY]);
    assert!(world.rung(OUTSIDE[1]).is_empty());
    assert_eq!(world.referred(SERVICE), [202, 100, 503]);
    assert_eq!(world.taken_back(caller), [TakenBack::Failed]);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE), "back there");
    assert_eq!(counted(&world), (0, 1));
    finish(world);
}

#[test]
fn a_number_that_the_rules_allow_is_called_by_our_own_gateway_whatever_host_is_named() {
    let elsewhere = sends_on(302, &["<sip:+15559000002@evil.example:5099;transport=tcp>"]);
    let (world, caller) = sent_to(NUMBER, &[elsewhere, ANSWERS]);
    let rung = world.rung(OUTSIDE[0]);
    assert_eq!(numbers(rung), [NUMBER, "+15559000002"]);
    assert_eq!(rung[1].asked_for, NUMBER, "whom it was for stays");
    assert_eq!(rung[0].ticket, rung[1].ticket);
    assert_eq!(rung[1].referred_by, rung[0].referred_by);
    // Who sent it on, and behind it which of our numbers was dialled.
    let diverted = format!("<sip:{NUMBER}@198.51.100.7>;reason=deflection;counter=1");
    assert_eq!(rung[1].diversions[0], diverted);
    assert_eq!(rung[1].diversions[1..], rung[0].diversions[..]);
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    assert_eq!(world.referred(SERVICE), [202, 100, 200]);
    assert!(world.taken_back(caller).is_empty());
    assert_eq!(counted(&world), (1, 0));
    finish(world);
}

#[test]
fn the_trunks_other_gateway_is_called_when_it_is_named() {
    for (code, to) in [
        (302, "<sip:+15559000001@198.51.100.8>"),
        (302, "<sip:+15559000001@198.51.100.8:5060;transport=udp>"),
        // Its host alone.
        (305, "<sip:198.51.100.8>"),
    ] {
        let to: &'static str = to;
        let (world, caller) = sent_to(NUMBER, &[sends_on(code, Vec::leak(vec![to]))]);
        let rung = world.rung(OUTSIDE[1]);
        assert_eq!(numbers(rung), [NUMBER], "{to}");
        // Nobody was sent on to somebody else.
        assert_eq!(rung[0].diversions, world.rung(OUTSIDE[0])[0].diversions);
        assert!(rung[0].answered_at.is_some());
        assert!(matches!(world.hears(caller), Heard::Phone(_)), "{to}");
        finish(world);
    }
}

#[test]
fn what_isnt_allowed_isnt_followed() {
    for (code, to) in [
        // Not in the rules, dear, an emergency number, another trunk's.
        (302, &["<sip:+15551234567@198.51.100.7>"][..]),
        (302, &["<sip:+19005550101@198.51.100.7>"]),
        (302, &["<sip:911@198.51.100.7>"]),
        (302, &["<sip:+15558000002@198.51.100.7>"]),
        // A queue and an agent of ours aren't outside.
        (302, &["<sip:2006@198.51.100.7>", "<sip:analyst2@x>"]),
        // The same number at somebody else's host, or encrypted where nothing is.
        (302, &["<sip:+15559000001@203.0.113.99>"]),
        (302, &["<sips:+15559000002@198.51.100.7>"]),
        (302, &["<sip:+15559000001@198.51.100.8:5099>"]),
        (305, &["<sip:203.0.113.99>"]),
        (302, &["<http://203.0.113.99/+15559000002>"]),
        (302, &["<sip:+15559000002%3Bx@198.51.100.7>"]),
        // Another service, or nothing at all.
        (380, &["<sip:+15559000002@198.51.100.7>"]),
        (302, &[]),
        (302, &["*"]),
    ] {
        let (world, caller) = sent_to(NUMBER, &[sends_on(code, to)]);
        assert_eq!(numbers(world.rung(OUTSIDE[0])), [NUMBER], "{to:?}");
        assert!(world.rung(OUTSIDE[1]).is_empty(), "{to:?}");
        assert_eq!(world.referred(SERVICE), [202, 100, 503], "{to:?}");
        assert_eq!(world.hears(caller), Heard::Phone(SERVICE), "{to:?}");
        assert_eq!(counted(&world), (0, 1), "{to:?}");
        finish(world);
    }
}

#[test]
fn the_preferred_is_called_first_and_then_the_next() {
    let several = sends_on(
        300,
        &[
            "<sip:+15559000004@x>;q=0.2",
            "<sip:911@x>",
            "<sip:+15559000002@x>;q=0.9",
            "<sip:+15559000003@x>;q=0.5",
        ],
    );
    let busy = Reaction::Refuse {
        after: secs(1),
        code: 486,
    };
    let (world, caller) = sent_to(NUMBER, &[several, busy, ANSWERS]);
    let rung = world.rung(OUTSIDE[0]);
    assert_eq!(numbers(rung), [NUMBER, "+15559000002", "+15559000003"]);
    assert!(rung[2].diversions[0].contains(";reason=unknown;"));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    finish(world);
}

#[test]
fn who_declines_everywhere_is_called_nowhere_else() {
    let several = sends_on(302, &["<sip:+15559000002@x>", "<sip:+15559000003@x>"]);
    let declines = Reaction::Refuse {
        after: secs(1),
        code: 603,
    };
    let (world, caller) = sent_to(NUMBER, &[several, declines]);
    let rung = world.rung(OUTSIDE[0]);
    assert_eq!(numbers(rung), [NUMBER, "+15559000002"]);
    assert_eq!(world.taken_back(caller), [TakenBack::Busy]);
    finish(world);
}

/// When nobody takes the call, the last answer counts.
#[test]
fn a_dead_gateway_of_the_followed_call_costs_what_it_does_otherwise() {
    let (mut world, caller) = talking();
    world.script(OUTSIDE[0], sends_on(302, &["<sip:+15559000002@x>"]));
    world.script(
        OUTSIDE[0],
        Reaction::Refuse {
            after: Duration::ZERO,
            code: 503,
        },
    );
    world.script(OUTSIDE[1], ANSWERS);
    world.does_now(SERVICE, Deed::Transfer(NUMBER.to_owned()));
    world.wait(secs(5));
    let rung = world.rung(OUTSIDE[1]);
    assert_eq!(numbers(rung), ["+15559000002"]);
    assert!(rung[0].answered_at.is_some());
    assert!(matches!(world.hears(caller), Heard::Phone(_)));
    finish(world);
}

#[test]
fn loops_end() {
    let back_and_forth = [
        sends_on(302, &["<sip:+15559000002@x>"]),
        sends_on(302, &["<sip:+15559000001@x>", "<sip:+15559000002@x>"]),
    ];
    let (world, _) = sent_to(NUMBER, &back_and_forth);
    assert_eq!(numbers(world.rung(OUTSIDE[0])), [NUMBER, "+15559000002"]);
    assert_eq!(counted(&world), (1, 1));
    finish(world);
    // From gateway to gateway, for ever.
    let (mut world, caller) = talking();
    let first = sends_on(302, &["<sip:+15559000001@198.51.100.8>"]);
    let second = sends_on(302, &["<sip:+15559000001@198.51.100.7>"]);
    for _ in 0..9 {
        world.script(OUTSIDE[0], first);
        world.script(OUTSIDE[1], second);
    }
    world.does_now(SERVICE, Deed::Transfer(NUMBER.to_owned()));
    world.wait(secs(12));
    let rung = OUTSIDE.map(|phone| world.rung(phone).len());
    assert_eq!(rung, [1, 1]);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    for phone in OUTSIDE {
        world.unscript(phone);
    }
    finish(world);
    // Always somebody new: three answers are followed.
    let new = [
        sends_on(302, &["<sip:+15559000002@x>"]),
        sends_on(302, &["<sip:+15559000003@x>"]),
        sends_on(302, &["<sip:+15559000004@x>"]),
        sends_on(302, &["<sip:+15559000005@x>"]),
    ];
    let (world, caller) = sent_to(NUMBER, &new);
    assert_eq!(world.rung(OUTSIDE[0]).len(), 4);
    let chain = &world.rung(OUTSIDE[0])[3].diversions;
    for (said, number) in chain.iter().zip(["3", "2", "1"]) {
        assert!(
            said.starts_with(&format!("<sip:+1555900000{number}@")),
            "{chain:?}"
        );
    }
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    assert_eq!(counted(&world), (3, 1));
    finish(world);
}

#[test]
fn five_are_called_at_most() {
    let many = sends_on(
        300,
        &[
            "<sip:+15559000002@x>",
            "<sip:+15559000003@x>",
            "<sip:+15559000004@x>",
            "<sip:+15559000005@x>",
            "<sip:+15559000006@x>",
            "<sip:+15559000007@x>",
        ],
    );
    let busy = Reaction::Refuse {
        after: Duration::ZERO,
        code: 486,
    };
    let (world, _) = sent_to(NUMBER, &[many, busy, busy, busy, busy, many, busy]);
    assert_eq!(world.rung(OUTSIDE[0]).len(), 6);
    assert_eq!(counted(&world), (1, 1));
    finish(world);
}

/// A flow's partner, whose own number stands in no rule.
#[test]
fn a_partner_sends_a_patient_on() {
    let mut world = World::staffed(Weather::calm(), &[]);
    world.script(OUTSIDE[0], sends_on(302, &["<sip:+15559000002@x>"]));
    world.script(OUTSIDE[0], ANSWERS);
    let number = Hospital::StAnne.number(Door::Portal);
    let mut plan = CallPlan::new(FIRST, number, Some(BELL)).leaves(Leave::AfterTalking(secs(10)));
    plan.presses.push(Press {
        cue: Cue::Answer(secs(1)),
        key: '0',
    });
    let caller = world.call(plan);
    world.pass(FIRST + secs(60));
    let rung = world.rung(OUTSIDE[0]);
    assert_eq!(numbers(rung), ["8000", "+15559000002"]);
    assert_eq!(rung[1].asked_for, "8000");
    assert!(rung[1].ticket.is_some() && rung[1].ticket == rung[0].ticket);
    assert!(world.talking_at(caller).is_some());
    world.finish();
}

/// Whoever registers an agent's telephone would choose whom we call.
#[test]
fn an_agents_telephone_sends_nobody_on() {
    let mut world = World::staffed(Weather::calm(), &[SERVICE]);
    world.script(
        SERVICE,
        sends_on(
            302,
            &["<sip:+15559000002@x>", "<sip:analyst2@198.51.100.2>"],
        ),
    );
    let number = Hospital::StAnne.number(Door::Staff);
    let caller = world.call(CallPlan::new(FIRST, number, Some(MORALES)));
    world.pass(FIRST + secs(12));
    // Unreachable for a moment; then they are offered the caller again, and answer.
    assert_eq!(numbers(world.rung(SERVICE)), ["analyst2", "analyst2"]);
    assert!(OUTSIDE.iter().all(|phone| world.rung(*phone).is_empty()));
    assert_eq!(counted(&world), (0, 0));
    world.wait(secs(8));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    world.does_now(SERVICE, Deed::HangUp { second: false });
    world.finish();
}

/// The caller hangs up at every moment of it.
#[test]
fn a_caller_who_leaves_meanwhile_rings_nobody_for_long() {
    for at in (0..7_000).step_by(230) {
        let leave = Leave::AfterTalking(secs(5) + Duration::from_millis(at));
        let mut world = World::staffed(Weather::calm(), &[SERVICE]);
        let number = Hospital::StAnne.number(Door::Staff);
        world.call(CallPlan::new(FIRST, number, Some(MORALES)).leaves(leave));
        for to in [
            &["<sip:+15559000002@x>", "<sip:+15559000003@x>"][..],
            &["<sip:+15559000004@x>"],
        ] {
            world.script(OUTSIDE[0], sends_on(302, to));
        }
        world.does(SERVICE, FIRST + secs(12), Deed::Transfer(NUMBER.to_owned()));
        world.pass(FIRST + secs(40));
        finish(world);
    }
}

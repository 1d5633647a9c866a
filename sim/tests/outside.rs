//! Transfers to numbers outside and questions there, on virtual time: by the
//! trunk's gateways, as far as the dial rules allow, and the caller is never in
//! silence.

use std::time::Duration;

use desk::TakenBack;
use itertools::Itertools as _;
use sim::{
    CallPlan, CallerEnd, Deed, Door, Heard, Hospital, Leave, MORALES, Reaction, Weather, World,
};
use switch::View;

const FIRST: Duration = secs(10);
/// At the service desk, alone.
const SERVICE: usize = 2;
/// The telephones behind the trunk's two gateways.
const OUTSIDE: [usize; 2] = [7, 8];
/// Somebody else of the staff.
const KEN: &str = "+15550177004";
/// A number that Saint Anne's rules allow.
const NUMBER: &str = "+15559000001";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world_of(weather: Weather, leave: Option<Leave>) -> (World, usize) {
    let mut world = World::staffed(weather, &[SERVICE]);
    let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES));
    if let Some(leave) = leave {
        plan = plan.leaves(leave);
    }
    let caller = world.call(plan);
    (world, caller)
}

/// Iris of the staff talks with the service desk; outside it is done so.
fn talking(outside: Reaction) -> (World, usize) {
    let (mut world, caller) = world_of(Weather::calm(), None);
    for phone in OUTSIDE {
        world.script(phone, outside);
    }
    world.pass(FIRST + secs(15));
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    (world, caller)
}

fn transfer(to: &str) -> Deed {
    Deed::Transfer(to.to_owned())
}

/// Everybody hangs up, and nothing is left over, no call on the trunk either.
fn finish(mut world: World, phone: usize) {
    world.does_now(phone, Deed::HangUp { second: false });
    world.wait(secs(20));
    // Who came back to the desk meanwhile.
    world.does_now(SERVICE, Deed::HangUp { second: false });
    world.finish();
}

#[test]
fn a_caller_is_sent_outside_with_music_and_ticket_and_the_agent_hears_of_it() {
    let (mut world, caller) = talking(Reaction::answers(secs(20)));
    let ticket = world.rung(SERVICE)[0].ticket.clone().expect("a ticket");
    world.does_now(SERVICE, transfer(NUMBER));
    assert_eq!(world.hears(caller), Heard::Music);
    assert_eq!(world.referred(SERVICE), [202, 100]);
    // Their telephone is taken until they have heard: nobody else rings there.
    let other = world.call(CallPlan::new(
        world.now(),
        Hospital::StAnne.number(Door::Staff),
        Some(KEN),
    ));
    world.wait(secs(10));
    assert_eq!(world.rung(SERVICE).len(), 1);
    world.wait(secs(12));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    assert_eq!(world.referred(SERVICE), [202, 100, 200]);
    assert!(world.rung(SERVICE)[0].ended_at.is_some());
    let rung = &world.rung(OUTSIDE[0])[0];
    assert_eq!((&*rung.to, &rung.ticket), (NUMBER, &Some(ticket)));
    assert!(rung.from.contains(MORALES) && !rung.from.contains("Iris"));
    assert_eq!(
        rung.referred_by.as_deref(),
        Some("<sip:analyst2@careline.example>")
    );
    world.wait(secs(20));
    assert_eq!(world.hears(other), Heard::Phone(SERVICE), "free again");
    world.does_now(SERVICE, Deed::HangUp { second: false });
    finish(world, OUTSIDE[0]);
}

#[test]
fn a_dead_gateway_costs_seconds() {
    let (mut world, caller) = talking(Reaction::answers(secs(2)));
    world.switch_off(OUTSIDE[0], secs(60));
    world.does_now(SERVICE, transfer(NUMBER));
    world.wait(secs(6));
    assert!(world.rung(OUTSIDE[1])[0].answered_at.is_some());
    let talks = View::Conversation {
        offer: None,
        held: false,
    };
    assert_eq!(world.view(caller), Some(talks));
    assert_eq!(world.referred(SERVICE), [202, 100, 200]);
    finish(world, OUTSIDE[1]);
}

#[test]
fn who_isnt_reached_outside_waits_where_they_came_from() {
    for (code, told, why) in [
        (486, 486, TakenBack::Busy),
        (480, 480, TakenBack::NoAnswer),
        (404, 503, TakenBack::Failed),
        // Sent on elsewhere: we don't follow.
        (302, 503, TakenBack::Failed),
    ] {
        let (mut world, caller) = talking(Reaction::refuses(code));
        world.does_now(SERVICE, transfer(NUMBER));
        world.wait(secs(2));
        assert_eq!(world.hears(caller), Heard::Music);
        assert_eq!(world.referred(SERVICE), [202, 100, told], "{code}");
        assert_eq!(world.taken_back(caller), [why]);
        // Back in the service desk's queue, whose agent has wrapped up.
        world.wait(secs(10));
        assert_eq!(world.hears(caller), Heard::Phone(SERVICE), "{code}");
        finish(world, SERVICE);
    }
}

#[test]
fn outside_it_rings_for_a_minute() {
    let (mut world, caller) = talking(Reaction::Ignore);
    world.does_now(SERVICE, transfer(NUMBER));
    world.wait(secs(58));
    assert_eq!(world.referred(SERVICE), [202, 100]);
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(15));
    assert_eq!(world.referred(SERVICE), [202, 100, 480]);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    finish(world, SERVICE);
}

#[test]
fn an_agent_who_doesnt_wait_for_the_outcome_is_free() {
    let (mut world, caller) = talking(Reaction::answers(secs(40)));
    world.does_now(SERVICE, transfer(NUMBER));
    world.does_now(SERVICE, Deed::HangUp { second: false });
    let other = world.call(CallPlan::new(
        world.now(),
        Hospital::StAnne.number(Door::Staff),
        Some(KEN),
    ));
    world.wait(secs(25));
    assert_eq!(world.hears(other), Heard::Phone(SERVICE));
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(20));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    world.does_now(SERVICE, Deed::HangUp { second: false });
    finish(world, OUTSIDE[0]);
}

/// The agent holds the caller and talks with somebody outside.
fn consulting() -> (World, usize) {
    let (mut world, caller) = talking(Reaction::answers(secs(2)));
    world.does_now(SERVICE, Deed::Hold);
    world.does_now(SERVICE, Deed::Consult(NUMBER.into()));
    world.wait(secs(4));
    assert!(world.rung(OUTSIDE[0])[0].answered_at.is_some());
    assert_eq!(world.hears(caller), Heard::Music);
    (world, caller)
}

#[test]
fn an_agent_asks_outside_and_hands_the_caller_over() {
    for by_second in [false, true] {
        let (mut world, caller) = consulting();
        let rung = &world.rung(OUTSIDE[0])[0];
        assert_eq!(rung.ticket, world.rung(SERVICE)[0].ticket);
        // Who is asked sees the hospital's number, not whom it is about.
        let number = Hospital::StAnne.number(Door::Staff);
        assert!(
            rung.from.contains(number) && !rung.from.contains(MORALES),
            "{}",
            rung.from
        );
        world.does_now(SERVICE, Deed::TransferAttended { by_second });
        assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]), "{by_second}");
        assert_eq!(world.referred(SERVICE), [202, 100, 200]);
        assert!(world.rung(SERVICE)[0].ended_at.is_some());
        assert_eq!(world.rung(OUTSIDE[0]).len(), 1, "the same call");
        world.wait(secs(40));
        assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
        finish(world, OUTSIDE[0]);
    }
}

#[test]
fn who_hands_over_while_it_rings_outside_leaves_the_caller_waiting_for_them() {
    let (mut world, caller) = talking(Reaction::answers(secs(8)));
    for phone in OUTSIDE {
        world.script(phone, Reaction::answers(secs(8)));
    }
    world.does_now(SERVICE, Deed::Hold);
    world.does_now(SERVICE, Deed::Consult(NUMBER.into()));
    world.wait(secs(2));
    let hand_over = Deed::TransferAttended { by_second: false };
    world.does_now(SERVICE, hand_over);
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(12));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    finish(world, OUTSIDE[0]);
}

#[test]
fn nothing_leaves_that_the_rules_dont_allow() {
    let (mut world, caller) = talking(Reaction::answers(secs(2)));
    let forbidden = [
        "+15551234567",
        "+155590000011",
        "+1555900000",
        "15559000001",
        "+19005550101",
        "01144205550101",
        "911",
        "+15559000001%40evil",
    ];
    for to in forbidden {
        world.does_now(SERVICE, transfer(to));
        // An agent in need may call it; nobody is sent there.
        if to != "911" {
            world.does_now(SERVICE, Deed::Consult(to.into()));
        }
    }
    let told = world.referred(SERVICE);
    assert!(told.iter().all(|code| *code == 403), "{told:?}");
    assert_eq!(world.switch_counters().targets_forbidden, 15);
    assert_eq!(world.hears(caller), Heard::Phone(SERVICE));
    assert!(OUTSIDE.iter().all(|phone| world.rung(*phone).is_empty()));
    finish(world, SERVICE);
}

/// Invariant 10, with somebody outside: REFER, hang-ups and hold in every order.
#[test]
fn transfer_and_hang_ups_in_any_order_leave_the_caller_with_somebody_or_waiting() {
    let deeds = [
        (SERVICE, transfer(NUMBER)),
        (SERVICE, Deed::HangUp { second: false }),
        (SERVICE, Deed::Hold),
        (OUTSIDE[0], Deed::HangUp { second: false }),
    ];
    for order in deeds.iter().cloned().permutations(deeds.len()) {
        for apart in [0, 15, 60, 700, 2_500] {
            let (mut world, _) = talking(Reaction::answers(secs(1)));
            let now = world.now();
            for (n, (phone, deed)) in order.iter().enumerate() {
                world.does(*phone, now + ms(apart * n as u64), deed.clone());
            }
            world.wait(secs(15));
            finish(world, OUTSIDE[0]);
        }
    }
}

/// The caller hangs up at every moment of a transfer.
#[test]
fn a_caller_who_leaves_during_it_rings_nobody_for_long() {
    for at in (0..6_000).step_by(170) {
        let leave = Leave::AfterTalking(secs(5) + ms(at));
        let (mut world, caller) = world_of(Weather::calm(), Some(leave));
        world.script(OUTSIDE[0], Reaction::answers(secs(2)));
        world.does(SERVICE, FIRST + secs(12), transfer(NUMBER));
        world.pass(FIRST + secs(40));
        assert!(matches!(world.end_of(caller), Some((_, CallerEnd::HungUp))));
        finish(world, OUTSIDE[0]);
    }
}

#[test]
fn transfers_outside_survive_bad_networks() {
    for seed in 0..20 {
        let mut weather = Weather::any(&mut sim::Dice::new(seed), secs(60));
        weather.crashes.clear();
        weather.people = 0;
        let (mut world, _) = world_of(weather, Some(Leave::AfterTalking(secs(90))));
        world.does(SERVICE, FIRST + secs(15), Deed::Hold);
        world.does(SERVICE, FIRST + secs(17), Deed::Consult(NUMBER.into()));
        let hand_over = Deed::TransferAttended { by_second: false };
        world.does(SERVICE, FIRST + secs(32), hand_over);
        world.does(SERVICE, FIRST + secs(60), transfer(NUMBER));
        world.pass(FIRST + secs(150));
        finish(world, OUTSIDE[0]);
    }
}

#[test]
fn what_the_far_network_says_is_heard_before_it_answers() {
    let (mut world, caller) = talking(Reaction::Speaks { after: secs(6) });
    world.does_now(SERVICE, transfer(NUMBER));
    world.wait(secs(2));
    let outside = View::Outside { sounding: true };
    assert_eq!(world.view(caller), Some(outside));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    // Nobody is spoken to who hasn't answered.
    assert_eq!(world.agent_hears(OUTSIDE[0], false), Heard::Nothing);
    world.wait(secs(6));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    assert_eq!(world.agent_hears(OUTSIDE[0], false), Heard::Caller);
    finish(world, OUTSIDE[0]);
}

#[test]
fn who_is_told_that_the_number_has_changed_waits_with_music_again() {
    // Of one gateway, which isn't the other's word; and of the number.
    for code in [500, 404] {
        let announces = Reaction::Announces {
            after: secs(4),
            code,
        };
        let (mut world, caller) = talking(announces);
        world.does_now(SERVICE, transfer(NUMBER));
        world.wait(secs(2));
        assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]), "{code}");
        if code == 500 {
            world.wait(secs(4));
            // (A leg is thought its first gateway's, which both share.)
            assert!(world.rung(OUTSIDE[1])[0].ended_at.is_none());
            assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
        }
        world.wait(secs(4));
        assert_eq!(world.hears(caller), Heard::Music, "{code}");
        assert_eq!(world.referred(SERVICE), [202, 100, 503]);
        world.wait(secs(12));
        finish(world, SERVICE);
    }
}

/// What a trunk plays that isn't believed could be anything.
#[test]
fn of_a_trunk_that_is_not_trusted_nothing_is_heard_before_it_answers() {
    let mut world = World::staffed(Weather::calm(), &[SERVICE]);
    world.arrange(|setup| {
        let night = setup.trunks.get_mut("night").expect("it leads there");
        std::sync::Arc::make_mut(night).trusted = false;
    });
    let plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(MORALES));
    let caller = world.call(plan);
    world.script(OUTSIDE[0], Reaction::Speaks { after: secs(6) });
    world.pass(FIRST + secs(15));
    world.does_now(SERVICE, transfer(NUMBER));
    world.wait(secs(3));
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(5));
    assert_eq!(world.hears(caller), Heard::Phone(OUTSIDE[0]));
    finish(world, OUTSIDE[0]);
}

#[test]
fn an_agent_who_asks_outside_hears_what_is_said_there() {
    let (mut world, caller) = talking(Reaction::Speaks { after: secs(6) });
    world.does_now(SERVICE, Deed::Hold);
    world.does_now(SERVICE, Deed::Consult(NUMBER.to_owned()));
    world.wait(secs(2));
    assert_eq!(world.agent_hears(SERVICE, true), Heard::Phone(OUTSIDE[0]));
    assert_eq!(world.hears(caller), Heard::Music);
    world.wait(secs(6));
    assert_eq!(world.agent_hears(OUTSIDE[0], false), Heard::Phone(SERVICE));
    world.does_now(SERVICE, Deed::HangUp { second: true });
    finish(world, SERVICE);
}

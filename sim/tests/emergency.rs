//! Calls to emergency services on virtual time: nothing holds them up, nothing
//! ends them but the caller and the service, and the caller is never in silence.

use std::time::Duration;

use desk::{EmergencyEnd, Event};
use sim::{
    CallPlan, CallerEnd, Deed, Door, Heard, Hospital, Leave, MAIN_NUMBER, OKAFOR, Reaction,
    STATION_NUMBER, STRANGER, Weather, World,
};

/// At the clinical desk; its station is known.
const ANA: usize = 1;
/// At the service desk; nobody wrote down where.
const BEN: usize = 2;
/// An analyst who hasn't signed in.
const CLEO: usize = 3;
/// The gateway of the trunk that is meant for it, and the other one's.
const RESCUE: usize = 8;
const OTHER: usize = 7;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn world_of(weather: Weather) -> World {
    let mut world = World::staffed(weather, &[ANA, BEN]);
    world.pass(secs(5));
    world
}

/// Ana and Ben are signed in; the gateways do this.
fn world(rescue: Reaction, other: Reaction) -> World {
    let mut world = world_of(Weather::calm());
    for _ in 0..3 {
        world.script(RESCUE, rescue);
        world.script(OTHER, other);
    }
    world
}

/// Dials, and gives it a second.
fn dials(world: &mut World, phone: usize, number: &str) {
    world.does_now(phone, Deed::Consult(number.to_owned()));
}

fn hangs_up(world: &mut World, phone: usize) {
    world.does_now(phone, Deed::HangUp { second: false });
}

/// Nobody is called any more, and nothing is left over.
fn finish(mut world: World) {
    for gateway in [RESCUE, OTHER] {
        let ended = world
            .rung(gateway)
            .iter()
            .all(|rung| rung.ended_at.is_some());
        assert!(
            ended,
            "gateway {gateway} is left: {:?}",
            world.rung(gateway)
        );
    }
    world.finish();
}

/// (A leg is thought its first gateway's, which all of them share.)
fn talks_with_other(world: &World) {
    assert!(world.rung(OTHER)[0].answered_at.is_some());
    let heard = world.agent_hears(ANA, false);
    assert!(matches!(heard, Heard::Phone(RESCUE | OTHER)), "{heard:?}");
    assert_eq!(world.agent_hears(OTHER, false), Heard::Phone(ANA));
}

/// The log's words for what happened to calls.
fn steps(world: &World) -> Vec<&'static str> {
    let word = |event: &Event| match event {
        Event::EmergencyBegun { .. } => "begun",
        Event::EmergencyCalledBack { .. } => "called back",
        Event::EmergencyConnected { .. } => "connected",
        Event::EmergencyUnplaced { .. } => "unplaced",
        Event::EmergencyEnded { by, .. } => match by {
            EmergencyEnd::Caller => "ended by the caller",
            EmergencyEnd::Service => "ended by the service",
            EmergencyEnd::Us => "ended by us",
        },
        other => panic!("{other:?}"),
    };
    world.emergencies().iter().map(word).collect()
}

#[test]
fn the_service_is_heard_before_it_answers_and_the_two_talk() {
    let mut world = world(
        Reaction::Speaks { after: secs(4) },
        Reaction::answers(secs(1)),
    );
    let challenged = world.switch_counters().challenged;
    dials(&mut world, ANA, "911");
    // Seconds count: no password is asked for.
    assert_eq!(world.switch_counters().challenged, challenged);
    let talk = |world: &World| {
        assert_eq!(world.agent_hears(ANA, false), Heard::Phone(RESCUE));
        assert_eq!(world.agent_hears(RESCUE, false), Heard::Phone(ANA));
    };
    assert_eq!(world.progress(ANA).last().map(|(_, code)| *code), Some(183));
    talk(&world);
    world.wait(secs(5));
    assert_eq!(world.progress(ANA).last().map(|(_, code)| *code), Some(200));
    talk(&world);
    let invite = world.rung(RESCUE)[0].invite.clone();
    let from = format!("From: \"Saint Anne Medical Center\" <sip:{STATION_NUMBER}@");
    for wanted in [
        "INVITE sip:911@",
        &from,
        &format!("P-Asserted-Identity: <sip:{STATION_NUMBER}@"),
        "Priority: emergency\r\n",
        "Geolocation-Routing: yes\r\n",
        "Content-Type: multipart/mixed;boundary=",
        "Content-Type: application/pidf+xml\r\n",
        "<ca:RD>Oak Street</ca:RD><ca:HNO>400</ca:HNO><ca:FLR>3</ca:FLR><ca:BLD>East</ca:BLD>",
    ] {
        assert!(invite.contains(wanted), "no {wanted:?} in {invite}");
    }
    for unwanted in ["Privacy", "Session-Expires", "X-Careline-Ticket", "analyst"] {
        assert!(!invite.contains(unwanted), "{unwanted:?} in {invite}");
    }
    // The header points at the part.
    let id = invite
        .split("Geolocation: <cid:")
        .nth(1)
        .and_then(|rest| rest.split('>').next());
    let part = format!("Content-ID: <{}>\r\n", id.expect("a location"));
    assert!(invite.contains(&part), "{invite}");
    assert!(world.rung(OTHER).is_empty());
    hangs_up(&mut world, ANA);
    world.wait(secs(2));
    assert_eq!(steps(&world), ["begun", "connected", "ended by the caller"]);
    let begun = world.emergencies()[0];
    assert!(
        matches!(
            begun,
            Event::EmergencyBegun {
                number: 911,
                agent: Some(desk::AgentId(1)),
                ..
            }
        ),
        "{begun:?}"
    );
    finish(world);
}

#[test]
fn a_station_that_nobody_wrote_down_is_known_by_the_main_number() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    dials(&mut world, BEN, "112");
    world.wait(secs(3));
    let invite = &world.rung(RESCUE)[0].invite;
    // As the gateways know it.
    assert!(invite.starts_with("INVITE sip:911@"), "{invite}");
    assert!(invite.contains(&format!("<sip:{MAIN_NUMBER}@")), "{invite}");
    assert!(invite.contains("Content-Type: application/sdp"), "{invite}");
    assert!(!invite.contains("Geolocation"), "{invite}");
    assert_eq!(world.agent_hears(BEN, false), Heard::Phone(RESCUE));
    hangs_up(&mut world, BEN);
    finish(world);
}

#[test]
fn a_gateway_that_refuses_costs_nothing() {
    for code in [503, 486, 404, 603, 302] {
        let refuses = Reaction::Refuse {
            after: Duration::ZERO,
            code,
        };
        let mut world = world(refuses, Reaction::answers(secs(1)));
        dials(&mut world, ANA, "911");
        let (first, second) = (world.rung(RESCUE)[0].at, &world.rung(OTHER)[0]);
        assert!(
            second.at - first < ms(500),
            "{code}: {:?}",
            second.at - first
        );
        // Another trunk is told the place by the number alone.
        assert!(!second.invite.contains("Oak Street") && second.invite.contains(STATION_NUMBER));
        world.wait(secs(2));
        talks_with_other(&world);
        hangs_up(&mut world, ANA);
        finish(world);
    }
}

#[test]
fn a_silent_gateway_costs_less_than_four_seconds() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    world.switch_off(RESCUE, secs(60));
    let at = world.now();
    dials(&mut world, ANA, "911");
    world.wait(secs(5));
    assert!(world.rung(OTHER)[0].at - at < secs(4));
    talks_with_other(&world);
    hangs_up(&mut world, ANA);
    finish(world);
}

/// A gateway that speaks, and then refuses after all: the caller listens by then.
#[test]
fn a_caller_who_listens_already_isnt_left_in_silence() {
    let mut world = world(Reaction::Speaks { after: secs(600) }, Reaction::Ignore);
    dials(&mut world, ANA, "911");
    assert_eq!(world.agent_hears(ANA, false), Heard::Phone(RESCUE));
    world.refuses(RESCUE, 503);
    world.wait(secs(1));
    assert_eq!(world.rung(OTHER).len(), 1);
    assert_eq!(world.agent_hears(ANA, false), Heard::Music, "ringing");
    hangs_up(&mut world, ANA);
    finish(world);
}

#[test]
fn when_nobody_takes_it_the_caller_is_told_and_it_is_tried_until_somebody_does() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    for gateway in [RESCUE, OTHER] {
        world.switch_off(gateway, secs(60));
    }
    dials(&mut world, ANA, "911");
    world.wait(secs(15));
    // All five ways were silent.
    assert_eq!(world.progress(ANA).last().map(|(_, code)| *code), Some(200));
    assert_eq!(world.told_phone(ANA), [switch::EMERGENCY_WORDS]);
    assert_eq!(steps(&world), ["begun", "unplaced"]);
    let mut heard = Vec::new();
    for _ in 0..200 {
        world.wait(ms(200));
        heard.push(world.agent_hears(ANA, false));
    }
    assert!(
        heard
            .iter()
            .all(|heard| matches!(heard, Heard::Prompt | Heard::Music)),
        "{heard:?}"
    );
    assert!(
        world.told_phone(ANA).len() >= 3,
        "{:?}",
        world.told_phone(ANA)
    );
    world.wait(secs(25));
    let Heard::Phone(gateway) = world.agent_hears(ANA, false) else {
        panic!("{:?}", world.agent_hears(ANA, false));
    };
    assert_eq!(world.agent_hears(gateway, false), Heard::Phone(ANA));
    assert_eq!(steps(&world), ["begun", "unplaced", "connected"]);
    let told = world.told_phone(ANA).len();
    world.wait(secs(60));
    assert_eq!(
        world.told_phone(ANA).len(),
        told,
        "nothing is said into the talk"
    );
    hangs_up(&mut world, ANA);
    finish(world);
}

#[test]
fn neither_a_full_trunk_nor_a_drain_keeps_anybody_out() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    dials(&mut world, ANA, "911");
    world.wait(secs(2));
    world.drain();
    let other = world.call(CallPlan::new(
        world.now(),
        Hospital::StAnne.number(Door::Clinician),
        Some(OKAFOR),
    ));
    // The trunk carries one call.
    dials(&mut world, BEN, "988");
    world.wait(secs(2));
    assert_eq!(world.rung(RESCUE).len(), 2);
    assert!(world.rung(RESCUE)[1].invite.starts_with("INVITE sip:988@"));
    assert_eq!(world.agent_hears(BEN, false), Heard::Phone(RESCUE));
    assert!(matches!(
        world.end_of(other),
        Some((_, CallerEnd::Refused(503)))
    ));
    hangs_up(&mut world, ANA);
    hangs_up(&mut world, BEN);
    finish(world);
}

#[test]
fn a_strangers_call_goes_nowhere_and_a_password_does_without_a_registration() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    let caller = world.call(CallPlan::new(world.now(), "911", Some(STRANGER)));
    world.wait(secs(2));
    assert!(matches!(
        world.end_of(caller),
        Some((_, CallerEnd::Refused(401)))
    ));
    assert!(world.rung(RESCUE).is_empty());
    dials(&mut world, CLEO, "911");
    world.wait(secs(3));
    assert_eq!(world.agent_hears(CLEO, false), Heard::Phone(RESCUE));
    hangs_up(&mut world, CLEO);
    finish(world);
}

#[test]
fn a_caller_who_hangs_up_at_any_moment_rings_nobody_for_long() {
    let dead = Reaction::PlayDead;
    for rescue in [
        Reaction::Speaks { after: ms(900) },
        Reaction::answers(ms(900)),
        dead,
    ] {
        for other in [Reaction::answers(ms(900)), dead] {
            for at in (0..12_500).step_by(390) {
                let mut world = world(rescue, other);
                let now = world.now();
                world.does(ANA, now, Deed::Consult("911".into()));
                world.does(ANA, now + ms(at), Deed::HangUp { second: false });
                world.wait(secs(60));
                // One that never gave a sign of life can't be told (RFC 3261 section 9.1).
                let steps = steps(&world);
                assert_eq!(
                    steps.last(),
                    Some(&"ended by the caller"),
                    "{at}: {steps:?}"
                );
                if rescue != dead && other != dead {
                    finish(world);
                } else {
                    world.finish();
                }
            }
        }
    }
}

#[test]
fn the_service_ends_it_too() {
    let mut world = world(
        Reaction::Answer {
            after: secs(1),
            hang_up_after: Some(secs(5)),
        },
        Reaction::answers(secs(1)),
    );
    dials(&mut world, ANA, "911");
    world.wait(secs(3));
    assert_eq!(world.agent_hears(ANA, false), Heard::Phone(RESCUE));
    world.wait(secs(5));
    assert_eq!(world.agent_hears(ANA, false), Heard::Nothing);
    assert_eq!(
        steps(&world),
        ["begun", "connected", "ended by the service"]
    );
    assert!(world.rung(OTHER).is_empty(), "it isn't placed again");
    finish(world);
}

/// Both sides hang up, in any order and crossing.
#[test]
fn hang_ups_that_cross_leave_nothing() {
    for apart in [0, 5, 20, 40, 300] {
        for order in [[ANA, RESCUE], [RESCUE, ANA]] {
            let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
            dials(&mut world, ANA, "911");
            world.wait(secs(3));
            let now = world.now();
            for (n, phone) in order.into_iter().enumerate() {
                world.does(
                    phone,
                    now + ms(apart * n as u64),
                    Deed::HangUp { second: false },
                );
            }
            world.wait(secs(5));
            assert_eq!(steps(&world).len(), 3);
            finish(world);
        }
    }
}

#[test]
fn neither_silence_nor_time_ends_it() {
    let mut world = world(
        Reaction::Speaks { after: secs(600) },
        Reaction::answers(secs(1)),
    );
    dials(&mut world, ANA, "911");
    // It rings for ten minutes, the caller's own telephone for one of them.
    world.wait(secs(40));
    let codes =
        |world: &World| -> Vec<u16> { world.progress(ANA).iter().map(|(_, code)| *code).collect() };
    assert_eq!(codes(&world), [183]);
    world.wait(secs(550));
    assert_eq!(codes(&world), [183, 200]);
    assert_eq!(steps(&world), ["begun"]);
    assert_eq!(world.agent_hears(ANA, false), Heard::Phone(RESCUE));
    world.wait(secs(20));
    assert_eq!(steps(&world), ["begun", "connected"]);
    // She can't speak, or doesn't dare to.
    world.mute_phone(ANA);
    world.wait(secs(3 * 3_600));
    assert_eq!(world.agent_hears(RESCUE, false), Heard::Phone(ANA));
    assert_eq!(steps(&world), ["begun", "connected"]);
    hangs_up(&mut world, ANA);
    finish(world);
}

/// Nobody takes it, and the telephone dies without a word: nobody is called for it for ever.
#[test]
fn a_telephone_that_is_gone_is_forgotten_after_a_while() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    for gateway in [RESCUE, OTHER] {
        world.switch_off(gateway, secs(3_600));
    }
    dials(&mut world, ANA, "911");
    world.wait(secs(20));
    world.mute_phone(ANA);
    world.wait(secs(300));
    assert_eq!(steps(&world), ["begun", "unplaced"]);
    world.wait(secs(30));
    assert_eq!(steps(&world), ["begun", "unplaced", "ended by us"]);
    finish(world);
}

/// The same of a talk, when the gateway is gone too.
#[test]
fn a_talk_that_both_have_left_without_a_word_is_over_after_a_while() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    dials(&mut world, ANA, "911");
    world.wait(secs(5));
    for phone in [ANA, RESCUE] {
        world.mute_phone(phone);
    }
    world.wait(secs(300));
    assert_eq!(steps(&world), ["begun", "connected"]);
    world.wait(secs(60));
    assert_eq!(steps(&world), ["begun", "connected", "ended by us"]);
    finish(world);
}

#[test]
fn an_agent_who_calls_for_help_isnt_rung_meanwhile() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    dials(&mut world, ANA, "911");
    let caller = world.call(CallPlan::new(
        world.now(),
        Hospital::StAnne.number(Door::Clinician),
        Some(OKAFOR),
    ));
    world.wait(secs(30));
    assert!(world.rung(ANA).is_empty());
    hangs_up(&mut world, ANA);
    world.wait(secs(20));
    assert_eq!(world.hears(caller), Heard::Phone(ANA));
    hangs_up(&mut world, ANA);
    finish(world);
}

#[test]
fn emergency_calls_survive_bad_networks() {
    for seed in 0..30 {
        let mut weather = Weather::any(&mut sim::Dice::new(seed), secs(60));
        weather.crashes.clear();
        weather.people = 0;
        let mut world = world_of(weather);
        for gateway in [RESCUE, OTHER] {
            world.script(gateway, Reaction::answers(secs(1)));
        }
        world.wait(secs(30));
        dials(&mut world, ANA, "911");
        world.wait(secs(60));
        assert!(
            steps(&world).contains(&"connected"),
            "{seed}: {:?}",
            steps(&world)
        );
        hangs_up(&mut world, ANA);
        world.wait(secs(60));
        world.finish();
    }
}

/// Somebody calls this number by the trunk, as an emergency service may: no line of the hospital's is dialled.
fn calls_back(world: &mut World, number: &str) -> usize {
    let plan = CallPlan::new(world.now(), number, Some("+15550160911"));
    world.call(plan.leaves(Leave::AfterTalking(secs(10))))
}

/// Ana has called for help, and hung up.
fn has_called_for_help() -> World {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    dials(&mut world, ANA, "911");
    world.wait(secs(3));
    hangs_up(&mut world, ANA);
    world.wait(secs(2));
    world
}

#[test]
fn the_service_calls_back_the_very_telephone() {
    let mut world = has_called_for_help();
    world.script(ANA, Reaction::answers(secs(3)));
    let service = calls_back(&mut world, STATION_NUMBER);
    world.wait(secs(6));
    let rung = &world.rung(ANA)[0];
    for wanted in [
        "Priority: psap-callback\r\n",
        "From: \"Emergency service calls back\" <sip:+15550160911@",
    ] {
        assert!(rung.invite.contains(wanted), "{}", rung.invite);
    }
    assert_eq!(world.agent_hears(ANA, false), Heard::Caller);
    assert_eq!(world.rung(ANA).len(), 1);
    assert!(world.rung(BEN).is_empty());
    // Nobody else rings there meanwhile.
    world.call(CallPlan::new(
        world.now(),
        Hospital::StAnne.number(Door::Clinician),
        Some(OKAFOR),
    ));
    world.wait(secs(3));
    assert_eq!(world.rung(ANA).len(), 1);
    hangs_up(&mut world, ANA);
    world.wait(secs(3));
    assert_eq!(
        world.end_of(service).map(|(_, end)| end),
        Some(CallerEnd::HungUpOn)
    );
    assert_eq!(
        steps(&world)[3..],
        ["called back", "connected", "ended by the caller"]
    );
    world.wait(secs(60));
    hangs_up(&mut world, ANA);
    finish(world);
}

#[test]
fn a_telephone_that_declines_or_is_gone_is_told_of_and_called_half_an_hour_long() {
    let mut world = has_called_for_help();
    let end_of = |world: &mut World, wait: u64| {
        let service = calls_back(world, STATION_NUMBER);
        world.wait(secs(wait));
        world.end_of(service).map(|(_, end)| end)
    };
    world.script(ANA, Reaction::refuses(486));
    assert_eq!(end_of(&mut world, 3), Some(CallerEnd::Refused(486)));
    assert_eq!(steps(&world)[3..], ["called back", "ended by us"]);
    world.switch_off(ANA, secs(30));
    assert_eq!(end_of(&mut world, 10), Some(CallerEnd::Refused(480)));
    world.wait(secs(29 * 60));
    assert_eq!(end_of(&mut world, 20), Some(CallerEnd::HungUp));
    world.wait(secs(60));
    assert_eq!(end_of(&mut world, 3), Some(CallerEnd::Refused(404)));
    finish(world);
}

/// Without a call for help that number is nobody's.
#[test]
fn nobody_is_called_back_who_has_not_called() {
    let mut world = world(Reaction::answers(secs(1)), Reaction::answers(secs(1)));
    let service = calls_back(&mut world, STATION_NUMBER);
    world.wait(secs(3));
    let end = world.end_of(service).map(|(_, end)| end);
    assert_eq!(end, Some(CallerEnd::Refused(404)));
    finish(world);
}

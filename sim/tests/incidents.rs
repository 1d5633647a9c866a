//! Scene 6 on virtual time: what is out of order is told to whom it concerns, before the menu or over the ring, and
//! whoever wants to know of its end is called.

use std::time::Duration;

use desk::{Audience, IncidentDeed, IncidentScope, IncidentStage, PromiseStage, Role};
use sim::{CallPlan, Door, Hospital, Leave, OKAFOR, Reaction, Weather, World};

const FIRST: Duration = secs(10);
const OUTAGE: &str = "The health record can't be reached.";
/// At the clinical desk, and at the service desk.
const CLINICAL: usize = 1;
const SERVICE: usize = 2;
/// The telephones behind the trunk's two gateways: a customer's.
const CUSTOMER: [usize; 2] = [7, 8];
/// A number that Saint Anne's rules allow.
const NUMBER: &str = "+15559000001";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn anne() -> Hospital {
    Hospital::StAnne
}

#[test]
fn callers_it_concerns_and_only_they_hear_of_it() {
    let mut world = World::staffed(Weather::calm(), &[SERVICE]);
    world.pass(secs(2));
    let scope = IncidentScope {
        roles: Audience::of(&[Role::Staff]),
        ..IncidentScope::default()
    };
    world.publishes(anne(), scope, OUTAGE);
    let published = world.now();
    let plan = |door, hospital: Hospital, from| {
        CallPlan::new(published + secs(1), hospital.number(door), from)
            .leaves(Leave::AfterAnswer(secs(40)))
    };
    let staff = world.call(plan(Door::Staff, anne(), Some(NUMBER)));
    let patient = world.call(plan(Door::Patient, anne(), None));
    let other = world.call(plan(Door::Staff, Hospital::Mercy, Some(NUMBER)));
    world.pass(published + secs(60));
    let told = world.told(staff);
    assert!(told.starts_with(OUTAGE), "{told}");
    let (heard, _) = world.heard(staff)[0];
    assert!(heard < published + secs(5), "{heard:?}");
    for caller in [patient, other] {
        let told = world.told(caller);
        assert!(!told.is_empty() && !told.contains(OUTAGE), "{told}");
    }
    let facts = world.incidents(anne())[0];
    assert_eq!(facts.informed, 1);
    world.finish();
}

#[test]
fn a_clinician_hears_it_while_the_phone_rings_until_it_is_answered() {
    let mut world = World::staffed(Weather::calm(), &[CLINICAL]);
    world.script(CLINICAL, Reaction::answers(secs(9)));
    world.pass(secs(2));
    world.publishes(anne(), IncidentScope::default(), OUTAGE);
    let plan = CallPlan::new(FIRST, anne().number(Door::Clinician), Some(OKAFOR));
    let caller = world.call(plan.leaves(Leave::AfterAnswer(secs(40))));
    world.pass(FIRST + secs(20));
    let told = world.told(caller);
    let (greeting, news) = (
        told.find("The clinical desk is being called"),
        told.find(OUTAGE),
    );
    assert!(greeting.is_some() && greeting < news, "{told}");
    assert!(world.talking_at(caller).is_some());
    let rung = world.rung(CLINICAL);
    let answered = world.answered_at(caller).expect("answered");
    assert!(
        rung[0].at < answered + secs(2),
        "nothing holds the phone up"
    );
    world.finish();
}

/// Closed at every moment, from before the call until long after: heard to its end or not at all, and the caller comes
/// to the menu and to a person either way.
#[test]
fn it_closes_while_it_is_told() {
    let mut heard = 0;
    for step in 0..40 {
        let mut world = World::staffed(Weather::calm(), &[SERVICE]);
        world.pass(secs(2));
        let incident = world.publishes(anne(), IncidentScope::default(), OUTAGE);
        let plan = CallPlan::new(FIRST, anne().number(Door::Staff), Some(NUMBER));
        let caller = world.call(plan.leaves(Leave::AfterAnswer(secs(100))));
        world.pass(FIRST - ms(200) + ms(100) * step);
        world.incident(anne(), IncidentDeed::Close(incident));
        world.pass(FIRST + secs(90));
        let told = world.told(caller);
        heard += usize::from(told.contains(OUTAGE));
        assert!(told.contains("Clinician, press 1"), "{step}: {told}");
        assert!(world.talking_at(caller).is_some(), "{step}: {told}");
        world.finish();
    }
    assert!((1..40).contains(&heard), "{heard} of 40 heard of it");
}

/// Somebody presses the key, at every moment from the offer on, while it closes at every moment around that.
#[test]
fn it_closes_around_the_key() {
    let (mut noted, mut over) = (0, 0);
    for step in 0..24 {
        let mut world = World::staffed(Weather::calm(), &[SERVICE]);
        for phone in CUSTOMER {
            world.script(phone, Reaction::answers(secs(3)));
        }
        world.pass(secs(2));
        let incident = world.publishes(anne(), IncidentScope::default(), OUTAGE);
        let plan = CallPlan::new(FIRST, anne().number(Door::Staff), Some(NUMBER))
            .leaves(Leave::AfterAnswer(secs(100)));
        let caller = world.call(plan.presses_at("To be called when it is over", secs(1), '1'));
        world.pass(FIRST + secs(3) + ms(150) * step);
        world.incident(anne(), IncidentDeed::Close(incident));
        world.pass(FIRST + secs(60));
        let told = world.told(caller);
        let promised = told.contains("We will call you when it is over");
        noted += usize::from(promised);
        over += usize::from(told.contains("It is over by now"));
        // Whoever was promised a call is owed one, and nobody else is.
        assert_eq!(
            world.promises().len(),
            usize::from(promised),
            "{step}: {told}"
        );
        let facts = world.incidents(anne())[0];
        assert!(matches!(facts.stage, IncidentStage::Closed { .. }));
        assert_eq!(facts.subscribed, u32::from(promised), "{step}: {told}");
        world.finish();
    }
    assert!(noted > 0 && over > 0, "{noted} noted, {over} over");
}

#[test]
fn told_when_it_is_over_though_the_process_is_killed_in_between() {
    let mut weather = Weather::calm();
    weather.crashes.push(secs(60));
    let mut world = World::staffed(weather, &[SERVICE]);
    for phone in CUSTOMER {
        world.script(phone, Reaction::answers(secs(5)));
    }
    world.pass(secs(2));
    let incident = world.publishes(anne(), IncidentScope::default(), OUTAGE);
    let plan = CallPlan::new(FIRST, anne().number(Door::Staff), Some(NUMBER));
    let caller = world.call(plan.presses_at("To be called when it is over", secs(1), '1'));
    world.pass(secs(90));
    assert!(
        world.told(caller).contains("We will call you"),
        "{}",
        world.told(caller)
    );
    assert_eq!(world.promises(), [], "it isn't over");
    world.incident(anne(), IncidentDeed::Close(incident));
    let mut called = None;
    for _ in 0..60 {
        world.wait(secs(1));
        called = CUSTOMER
            .into_iter()
            .find(|phone| world.agent_hears(*phone, false) != sim::Heard::Nothing);
        if called.is_some() {
            break;
        }
    }
    let phone = called.expect("the customer is called");
    world.wait(secs(2));
    world.presses(phone, false, "1");
    world.wait(secs(30));
    let promises = world.promises();
    assert_eq!(promises.len(), 1);
    assert!(
        matches!(promises[0].stage, PromiseStage::Closed { .. }),
        "{promises:?}"
    );
    world.finish();
}

//! Somebody doesn't answer, or nobody is there.

use super::*;

/// Two are at the clinical desk; whoever is rung first doesn't take the call.
async fn goes_to_the_next(name: &str, first_does: AnswerPolicy, within: Duration) {
    let house = House::open_ringing(name, Some(3)).await;
    let mut ana = house.agent("ana", 1, first_does).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    // Ana alone is there at first, so that hers is the first phone to ring.
    let (call, _) = caller.dial("1001").await;
    house
        .noted("Ana's phone is called", |note| {
            matches!(note.what, NoteWhat::Offered(..)).then_some(())
        })
        .await;
    let called = Instant::now();
    let mut eva = house.agent("eva", 2, answering(300)).await;
    let ring = eva.rings(LATER).await;
    let wait = ring.at.saturating_duration_since(called);
    assert!(wait < within, "the second phone rang after {wait:?}");
    both_talk(&mut caller, &mut eva).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut eva, &ring).await;
    if let Some(number) = numbers(&theirs).first() {
        assert_eq!(Some(*number), ring.ticket);
    }
    let contact = house
        .contact_of(SAINT_ANNE, ring.ticket.expect("a ticket"))
        .expect("recorded");
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    assert_eq!(
        (row.facts.visits.queued, row.facts.visits.answered),
        (1, 1),
        "the caller kept their place: {row:?}"
    );
    // Ana's phone is not left ringing.
    if matches!(first_does, AnswerPolicy::Ring) {
        let ring = ana.rings(SOON).await;
        let report = ana.ended(ring.call, SOON).await;
        assert_eq!(report.hung_up_by, HungUpBy::Cancelled);
        let rang = report.lasted;
        assert_eq!(rang, Duration::ZERO, "it was never answered");
    }
}

#[tokio::test]
async fn a_phone_that_does_not_answer_gives_way_to_the_next() {
    let seconds = Duration::from_secs;
    tokio::join!(
        goes_to_the_next("silent", AnswerPolicy::Ring, seconds(7)),
        goes_to_the_next("busy", AnswerPolicy::Reject(486), seconds(4)),
        goes_to_the_next("dead", AnswerPolicy::Ignore, seconds(7)),
    );
}

pub(super) async fn nobody_signed_in_and_the_caller_waits_with_music() {
    let house = House::open("nobody").await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1001").await;
    house.queued("service").await;
    caller.hears("Nobody is signed in at this moment.").await;
    caller.hears_music().await;
    // Ana signs in, and gets whoever waits.
    let mut ana = house.agent("ana", 1, answering(300)).await;
    let ring = ana.rings(SOON).await;
    both_talk(&mut caller, &mut ana).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut ana, &ring).await;
    assert!(theirs.heard_music() > Duration::from_millis(300));
}

/// The clinical desk is talking: the second tier's phone rings, at once.
pub(super) async fn the_second_tier_takes_over() {
    let house = House::open("tier2").await;
    let mut ana = house.agent("ana", 1, answering(300)).await;
    let mut first = house.caller(UNKNOWN, 2).await;
    let (first_call, _) = first.dial("1001").await;
    let busy = ana.rings(SOON).await;
    both_talk(&mut first, &mut ana).await;
    let mut dov = house.agent("dov", 3, answering(5_000)).await;
    let mut caller = house.caller(OKAFOR, 0).await;
    let (call, _) = caller.dial("1001").await;
    let ring = dov.rings(SOON).await;
    assert!(ring.display.contains("Okafor"), "{}", ring.display);
    both_talk(&mut caller, &mut dov).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut dov, &ring).await;
    in_order(&theirs, &["Hello Doctor Okafor."]);
    caller_ends(&mut first, first_call, &mut ana, &busy).await;
}

/// Nobody of the clinical desk is signed in, nor of the second tier: the service
/// desk's phone rings, for a theatre too.
pub(super) async fn the_service_desk_takes_over() {
    let house = House::open("last").await;
    let mut ben = house.agent("ben", 1, answering(4_000)).await;
    let mut caller = house.caller(WITHHELD, 0).await;
    let (call, _) = caller.dial("1004").await;
    let ring = ben.rings(LATER).await;
    both_talk(&mut caller, &mut ben).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut ben, &ring).await;
    in_order(&theirs, &["The service desk is being called."]);
}

pub(super) async fn two_wait_for_one() {
    let house = House::open("two").await;
    let mut ana = house.agent("ana", 1, answering(300)).await;
    let mut first = house.caller(UNKNOWN, 2).await;
    let (first_call, _) = first.dial("1001").await;
    let ring = ana.rings(SOON).await;
    both_talk(&mut first, &mut ana).await;
    let mut second = house.caller(WITHHELD, 3).await;
    let (second_call, _) = second.dial("1001").await;
    second.hears_music().await;
    // The first hangs up; Ana's after-call work; then the second.
    caller_ends(&mut first, first_call, &mut ana, &ring).await;
    ana.afresh();
    let next = ana.rings(LATER).await;
    assert_ne!(next.ticket, ring.ticket);
    both_talk(&mut second, &mut ana).await;
    let (theirs, ours) = caller_ends(&mut second, second_call, &mut ana, &next).await;
    assert_eq!(ours.heard_marker(first.marker), Duration::ZERO);
    assert_eq!(theirs.heard_marker(first.marker), Duration::ZERO);
    assert!(theirs.heard_music() > Duration::from_millis(300));
}

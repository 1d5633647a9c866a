//! Scene 1: clinicians and places.

use super::*;

pub(super) async fn a_known_clinician_is_greeted_by_name_while_a_phone_rings() {
    let house = House::open("clinician").await;
    let mut ana = house.agent("ana", 1, answering(4_500)).await;
    let mut okafor = house.caller(OKAFOR, 0).await;
    let (call, answered) = okafor.dial("1001").await;
    let ring = ana.rings(SOON).await;
    let wait = ring.at.saturating_duration_since(answered);
    assert!(
        wait < Duration::from_secs(2),
        "the phone rang after {wait:?}"
    );
    // The analyst knows who calls, and with which ticket, before picking up.
    assert_eq!(ring.from, OKAFOR);
    assert_eq!(
        ring.display,
        "Dr. Ada Okafor (unproven) - Saint Anne Medical Center"
    );
    let ticket = ring.ticket.expect("a ticket");
    both_talk(&mut okafor, &mut ana).await;
    // She may press what she likes in the conversation: each key arrives once.
    okafor.phone.press(call, "159#").await.expect("keys");
    let mut keys = String::new();
    ana.until("four keys", SOON, |event| {
        if let server::phone::PhoneEventKind::KeyHeard { key } = event.kind {
            keys.push(key);
        }
        (keys.len() == 4).then_some(())
    })
    .await;
    ana.hang_up(ring.call).await;
    let theirs = okafor.ended(call, SOON).await;
    let ours = ana.ended(ring.call, SOON).await;
    assert_eq!(theirs.hung_up_by, HungUpBy::Them, "the flow hangs up");
    assert_eq!(ours.hung_up_by, HungUpBy::Us);
    sound_of(&theirs, &okafor);
    sound_of(&ours, &ana);
    in_order(
        &theirs,
        &["Hello Doctor Okafor.", "The clinical desk is being called."],
    );
    assert!(!theirs.heard_text("press 1"), "no menu");
    let keys: String = ours.keys_heard.iter().map(|k| k.keys.as_str()).collect();
    assert_eq!(keys, "159#");
    let hex: String = ticket
        .to_string()
        .bytes()
        .map(|digit| format!("{digit:02x}"))
        .collect();
    assert!(
        ours.user_to_user
            .as_deref()
            .is_some_and(|uui| uui.contains(&hex)),
        "User-to-User carries the same number"
    );
    let contact = house
        .contact_of(SAINT_ANNE, ticket)
        .expect("it is recorded");
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    assert_eq!(row.facts.visits.answered, 1, "{row:?}");
}

pub(super) async fn a_withheld_number_on_the_clinicians_line_rings_at_once() {
    let house = House::open("withheld").await;
    let mut ana = house.agent("ana", 1, AnswerPolicy::Manual).await;
    let mut caller = house.caller(WITHHELD, 0).await;
    let (call, answered) = caller.dial("1001").await;
    let ring = ana.rings(SOON).await;
    let wait = ring.at.saturating_duration_since(answered);
    assert!(
        wait < Duration::from_secs(2),
        "the phone rang after {wait:?}"
    );
    assert_eq!(ring.display, "Unknown caller - Saint Anne Medical Center");
    // The number is read out over the ring, and is the agent's.
    let number = caller.hears_number().await;
    assert_eq!(Some(number), ring.ticket);
    ana.phone.answer(ring.call).await.expect("answered");
    both_talk(&mut caller, &mut ana).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut ana, &ring).await;
    in_order(
        &theirs,
        &[
            "Hello. The clinical desk is being called.",
            "Your ticket number is",
        ],
    );
    assert!(!theirs.heard_text("press 1") && !theirs.heard_text("okafor"));
    assert_eq!(theirs.pressed, []);
}

pub(super) async fn location_lines_never_need_a_key() {
    let house = House::open("location").await;
    let mut ana = house.agent("ana", 1, answering(3_500)).await;
    for (number, display, greeting) in [
        (
            THEATRE,
            "Theatre two - Saint Anne Medical Center",
            "Hello Theatre two.",
        ),
        (
            UNKNOWN,
            "Unknown caller - Saint Anne Medical Center",
            "The clinical desk is being called.",
        ),
    ] {
        let mut caller = house.caller(number, 0).await;
        let (call, answered) = caller.dial("1004").await;
        ana.afresh();
        let ring = ana.rings(SOON).await;
        let wait = ring.at.saturating_duration_since(answered);
        // The second call may come within the after-call work of the first.
        assert!(
            wait < Duration::from_secs(4),
            "the phone rang after {wait:?}"
        );
        assert_eq!(ring.display, display);
        both_talk(&mut caller, &mut ana).await;
        let (theirs, _) = caller_ends(&mut caller, call, &mut ana, &ring).await;
        in_order(&theirs, &[greeting]);
        assert!(!theirs.heard_text("press"), "{:?}", theirs.heard);
        assert_eq!(theirs.pressed, []);
    }
}

pub(super) async fn the_same_number_at_the_other_hospital_is_somebody_else() {
    let house = House::open("hospitals").await;
    let mut ana = house.agent("ana", 1, answering(5_000)).await;
    let mut eva = house.agent("eva", 2, answering(5_000)).await;
    let mut here = house.caller(OKAFOR, 3).await;
    let mut there = house.caller(OKAFOR, 4).await;
    let (here_call, _) = here.dial("1001").await;
    let (there_call, _) = there.dial("2001").await;
    let (ring_a, ring_e) = (ana.rings(SOON).await, eva.rings(SOON).await);
    // Who of the two got whom doesn't matter.
    let (mut first, mut second) = ((ana, ring_a), (eva, ring_e));
    if first.1.display.ends_with("Mercy General Hospital") {
        std::mem::swap(&mut first, &mut second);
    }
    assert_eq!(
        first.1.display,
        "Dr. Ada Okafor (unproven) - Saint Anne Medical Center"
    );
    assert_eq!(
        second.1.display,
        "Ada Okafor (unproven) - Mercy General Hospital"
    );
    both_talk(&mut here, &mut first.0).await;
    both_talk(&mut there, &mut second.0).await;
    let (at_anne, at_mercy) = (
        first.1.ticket.expect("a ticket"),
        second.1.ticket.expect("a ticket"),
    );
    assert_ne!(at_anne, at_mercy);
    let (theirs, ours) = caller_ends(&mut here, here_call, &mut first.0, &first.1).await;
    in_order(&theirs, &["Hello Doctor Okafor."]);
    assert!(!theirs.heard_text("Hello Ada"));
    assert_eq!(
        ours.heard_marker(there.marker),
        Duration::ZERO,
        "the other hospital's caller is in nobody else's ear"
    );
    let (theirs, ours) = caller_ends(&mut there, there_call, &mut second.0, &second.1).await;
    in_order(&theirs, &["Hello Ada."]);
    assert!(!theirs.heard_text("Okafor"));
    assert_eq!(ours.heard_marker(here.marker), Duration::ZERO);
    // Each number is known at its own hospital alone.
    assert!(house.contact_of(SAINT_ANNE, at_anne).is_some());
    assert!(house.contact_of(MERCY, at_mercy).is_some());
    assert_eq!(house.contact_of(SAINT_ANNE, at_mercy), None);
    assert_eq!(house.contact_of(MERCY, at_anne), None);
}

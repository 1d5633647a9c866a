//! Scene 4: the same patient, with the ticket number.

use super::*;

/// Keys in a ticket number at the line for it.
async fn keys_in(caller: &mut Party, number: &str) -> CallId {
    let (call, _) = caller.dial("1007").await;
    caller.hears("If you have a ticket number").await;
    caller.phone.press(call, "1").await.expect("a key");
    caller.hears("key in the ten digits").await;
    caller.phone.press(call, number).await.expect("keys");
    call
}

pub(super) async fn the_next_day_with_the_ticket_number() {
    let house = House::open("next-day").await;
    let mut ben = house.agent("ben", 1, answering(300)).await;
    let mut bell = house.caller(BELL, 0).await;
    let (call, _) = bell.dial("1003").await;
    bell.hears("Welcome to the help desk").await;
    bell.phone.press(call, "0").await.expect("a key");
    let number = bell.hears_number().await;
    let ring = ben.rings(LATER).await;
    both_talk(&mut bell, &mut ben).await;
    caller_ends(&mut bell, call, &mut ben, &ring).await;
    // Cleo is free all the time from now on, so that she would be rung first.
    let cleo = house.agent("cleo", 2, AnswerPolicy::Manual).await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    // Somebody else, with the same number and with one that isn't any.
    let mut stranger = house.caller(UNKNOWN, 3).await;
    let digits = number.to_string();
    let strangers_call = keys_in(&mut stranger, &digits).await;
    stranger
        .hears("We can't find a ticket with this number")
        .await;
    stranger.afresh();
    stranger.hears("key in the ten digits").await;
    let wrong = "0000000000";
    stranger
        .phone
        .press(strangers_call, wrong)
        .await
        .expect("keys");
    stranger
        .hears("We can't find a ticket with this number")
        .await;
    stranger.hang_up(strangers_call).await;
    let theirs = stranger.ended(strangers_call, SOON).await;
    assert_eq!(numbers(&theirs), []);
    assert!(!theirs.heard_text("ticket is"), "{:#?}", theirs.heard);

    bell.afresh();
    ben.afresh();
    let call = keys_in(&mut bell, &digits).await;
    bell.hears("somebody is looking after it").await;
    assert_eq!(bell.hears_number().await, number);
    bell.hears("If that was all").await;
    bell.phone.press(call, "1").await.expect("a key");
    let ring = ben.rings(LATER).await;
    assert_eq!(ring.ticket, Some(number), "the same number on every leg");
    both_talk(&mut bell, &mut ben).await;
    let (theirs, _) = caller_ends(&mut bell, call, &mut ben, &ring).await;
    assert!(!theirs.heard_text("Rosa"), "a patient is never named");
    assert!(
        !cleo.has_rung(),
        "the owner is rung, not who is idle longest"
    );
    // One ticket, two contacts.
    let first = house.contact_of(SAINT_ANNE, number).expect("the first");
    let second = house
        .noted("the second contact", |note| {
            let contact = ContactId(note.contact.0);
            let connected = matches!(note.what, NoteWhat::Connected(..));
            (connected && contact != first).then_some(contact)
        })
        .await;
    let row = house
        .recorded(SAINT_ANNE, second, |row| row.facts.position.is_ended())
        .await;
    assert_eq!(row.facts.ticket.map(|(_, number)| number), Some(number));
}

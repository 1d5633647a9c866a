//! Scene 2: the staff line, what is pressed there, and in which language.

use super::*;

/// A caller whom the number doesn't tell chooses by key, hears the ticket
/// number, and talks to somebody of the queue chosen.
async fn chooses(name: &str, from: &str, key: &str, queue: &str, user: &str) {
    let house = House::open(name).await;
    let mut agent = house.agent(user, 1, AnswerPolicy::Manual).await;
    let mut caller = house.caller(from, 0).await;
    let (call, _) = caller.dial("1002").await;
    caller.hears(MENU).await;
    let whole = caller.until("the whole menu", LATER, |event| match &event.kind {
        server::phone::PhoneEventKind::Heard(server::phone::HearingEvent::Ended {
            sound:
                Sound::Prompt {
                    text,
                    frames,
                    of_frames,
                    ..
                },
            ..
        }) if &**text == MENU => Some((*frames, *of_frames)),
        _ => None,
    });
    let (frames, of_frames) = whole.await;
    assert!(
        frames * 100 >= of_frames * 95,
        "{frames} of {of_frames} of the menu's frames arrived as they were rendered"
    );
    caller.phone.press(call, key).await.expect("a key");
    let contact = house.queued(queue).await;
    let ring = agent.rings(LATER).await;
    let number = caller.hears_number().await;
    assert_eq!(Some(number), ring.ticket, "told and shown the same number");
    assert_eq!(ring.display, "Unknown caller - Saint Anne Medical Center");
    assert_eq!(ring.from, from);
    agent.phone.answer(ring.call).await.expect("answered");
    both_talk(&mut caller, &mut agent).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut agent, &ring).await;
    in_order(&theirs, &[MENU, "Your ticket number is"]);
    assert_eq!(theirs.prompts().filter(|text| *text == MENU).count(), 1);
    for name in ["Okafor", "Noor", "Jo."] {
        assert!(!theirs.heard_text(name), "nobody is named");
    }
    assert_eq!(house.contact_of(SAINT_ANNE, number), Some(contact));
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    assert_eq!(
        (row.facts.visits.answered, row.facts.visits.ended()),
        (1, row.facts.visits.queued)
    );
}

#[tokio::test]
async fn a_withheld_number_chooses_by_key() {
    tokio::join!(
        chooses("withheld-1", WITHHELD, "1", "clinical", "ana"),
        chooses("withheld-2", WITHHELD, "2", "service", "ben"),
        chooses("withheld-3", WITHHELD, "3", "patients", "ben"),
    );
}

#[tokio::test]
async fn a_shared_number_chooses_by_key() {
    tokio::join!(
        chooses("shared-1", SHARED, "1", "clinical", "ana"),
        chooses("shared-2", SHARED, "2", "service", "cleo"),
        chooses("shared-3", SHARED, "3", "patients", "cleo"),
    );
}

pub(super) async fn a_key_may_come_before_the_menu() {
    let house = House::open("early").await;
    let mut ben = house.agent("ben", 1, answering(200)).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial_doing("1002", "w0 2").await;
    let ring = ben.rings(LATER).await;
    both_talk(&mut caller, &mut ben).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut ben, &ring).await;
    assert_eq!(
        numbers(&theirs),
        ring.ticket.into_iter().collect::<Vec<_>>()
    );
}

pub(super) async fn star_reads_the_number_again() {
    let house = House::open("star").await;
    let mut ben = house.agent("ben", 1, AnswerPolicy::Manual).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial_doing("1002", "w0 2").await;
    let first = caller.hears_number().await;
    let ring = ben.rings(LATER).await;
    caller.hears_music().await;
    caller.afresh();
    caller.phone.press(call, "*").await.expect("a key");
    let second = caller.hears_number().await;
    assert_eq!(first, second);
    assert_eq!(ring.ticket, Some(first));
    // The music comes back, and it can be asked for once more.
    caller.hears_music().await;
    caller.afresh();
    caller.phone.press(call, "*").await.expect("a key");
    assert_eq!(caller.hears_number().await, first);
    caller.hang_up(call).await;
    let theirs = caller.ended(call, SOON).await;
    sound_of(&theirs, &caller);
    assert_eq!(numbers(&theirs), [first; 3]);
    assert_eq!(
        ben.ended(ring.call, SOON).await.hung_up_by,
        HungUpBy::Cancelled
    );
}

pub(super) async fn patients_hear_the_emergency_sentence_whatever_they_press() {
    let house = House::open("emergency").await;
    let mut ben = house.agent("ben", 1, answering(500)).await;
    let mut caller = house.caller(WITHHELD, 0).await;
    let (call, _) = caller.dial_doing("1003", "w0 0").await;
    let ring = ben.rings(LATER).await;
    both_talk(&mut caller, &mut ben).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut ben, &ring).await;
    let emergency = "If this is an emergency, hang up and dial nine one one.";
    assert_eq!(
        theirs.prompts().next(),
        Some(emergency),
        "before anything else"
    );
    let whole = theirs.heard.iter().any(|heard| {
        matches!(&heard.sound, Sound::Prompt { text, frames, of_frames, .. }
            if &**text == emergency && frames * 100 >= of_frames * 95)
    });
    assert!(whole, "a key doesn't cut it short: {:#?}", theirs.heard);
    assert!(
        !theirs.heard_text("Welcome"),
        "the key counted all the same"
    );
    assert_eq!(
        numbers(&theirs),
        ring.ticket.into_iter().collect::<Vec<_>>()
    );
}

/// Offered in Spanish, chosen by key, spoken by another program than the English: each prompt as that program made it.
pub(super) async fn spanish_is_heard_by_who_chose_it() {
    let house = House::open("spanish").await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1003").await;
    caller.hears("Para español, oprima el nueve.").await;
    caller.phone.press(call, "9").await.expect("a key");
    caller.hears("Bienvenido a la mesa de ayuda").await;
    caller.phone.press(call, "0").await.expect("a key");
    caller.hears("no hay nadie").await;
    caller.hang_up(call).await;
    let report = caller.ended(call, SOON).await;
    sound_of(&report, &caller);
    in_order(
        &report,
        &[
            "If this is an emergency",
            "Para español",
            "Si se trata de una emergencia",
            "Bienvenido a la mesa de ayuda",
            "Su número de caso es",
        ],
    );
    assert!(!report.heard_text("Welcome"), "{:#?}", report.heard);
}

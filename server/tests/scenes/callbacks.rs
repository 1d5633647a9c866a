//! Scene 3's end, and scene 5: a caller takes a callback, hangs up, and is called.

use desk::{Missed, Proof};

use super::*;

/// The trunk's exchange: a partner who is busy, and whoever is called outside.
const OUTSIDE: &str = "nightline";

/// A zone in which it is about noon, whenever this runs: nobody is called at night.
fn noon() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let hour = since.expect("after 1970").as_secs() / 3_600 % 24;
    // POSIX counts west of Greenwich.
    match hour {
        12 => "Etc/GMT".to_owned(),
        13.. => format!("Etc/GMT+{}", hour - 12),
        _ => format!("Etc/GMT-{}", 12 - hour),
    }
}

async fn house(name: &str) -> House {
    let zone = format!("zone: {}", noon());
    House::open_edited(
        name,
        &[("hospitals/st-anne.yaml", "zone: America/Chicago", &zone)],
    )
    .await
}

/// How the promises of Saint Anne ended, and what their attempts came to.
async fn kept(house: &House, count: usize) -> Vec<Result<Proof, Missed>> {
    let pick = |event| match event {
        Event::PromiseClosed { proof, .. } => Some(Ok(proof)),
        Event::PromiseMissed { why, .. } => Some(Err(why)),
        _ => None,
    };
    house.logged(SAINT_ANNE, count, pick).await
}

/// The caller presses this when that has been said, and so on.
async fn presses(caller: &mut Party, call: CallId, steps: &[(&str, &str)]) {
    for (words, key) in steps {
        caller.hears(words).await;
        caller.phone.press(call, key).await.expect("a key");
    }
}

const KEEPS_PLACE: [(&str, &str); 2] = [
    ("To keep your place and be called", "1"),
    ("If that is right, press 1.", "1"),
];

#[tokio::test]
async fn whom_the_partner_cannot_take_is_called_back_and_talks() {
    let house = house("callback").await;
    let mut outside = house.agent(OUTSIDE, 3, AnswerPolicy::Reject(486)).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1005").await;
    presses(&mut caller, call, &[("Welcome to the help desk", "1")]).await;
    let number = caller.hears_number().await;
    outside.rings(LATER).await;
    outside.afresh();
    caller.hears("Our partner can't take your call now.").await;
    presses(&mut caller, call, &KEEPS_PLACE).await;
    let report = caller.ended(call, LATER).await;
    assert_eq!(report.hung_up_by, HungUpBy::Them);
    in_order(
        &report,
        &[
            "Instead of waiting, you can be called back.",
            "This is the number that we would call:",
            "55",
            "50",
            "19",
            "99",
            "99",
            "If that is right, press 1.",
            "You have kept your place. We will call you when it is your turn.",
            "Thank you for calling. Goodbye.",
        ],
    );
    sound_of(&report, &caller);
    let contact = house.contact_of(SAINT_ANNE, number).expect("recorded");
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    let visits = row.facts.visits;
    assert_eq!(
        (visits.abandoned, visits.system_failure),
        (0, 0),
        "{visits:?}"
    );

    // Somebody of the patients' desk comes, and is found first.
    outside.phone.set_policy(answering(500)).await.expect("on");
    let mut ben = house.agent("ben", 1, answering(300)).await;
    let theirs = outside.rings(LATER).await;
    assert_eq!(
        theirs.from, "+15550101002",
        "the label, and no other number"
    );
    let ours = ben.rings(SOON).await;
    assert_eq!(ours.ticket, Some(number), "its ticket goes along");
    presses(&mut outside, theirs.call, &[("Press 1 to take it.", "1")]).await;
    both_talk(&mut outside, &mut ben).await;
    ben.hang_up(ours.call).await;
    let report = outside.ended(theirs.call, SOON).await;
    sound_of(&report, &outside);
    assert!(report.heard_marker(ben.marker) > Duration::from_millis(100));
    assert!(matches!(kept(&house, 1).await[..], [Ok(Proof::Key { .. })]));
}

#[tokio::test]
async fn a_machine_that_answers_is_no_proof() {
    let house = house("machine").await;
    let mut outside = house.agent(OUTSIDE, 3, answering(300)).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1001").await;
    presses(
        &mut caller,
        call,
        &[("To be called back instead, press 1.", "1")],
    )
    .await;
    let contact = house.queued("service").await;
    presses(&mut caller, call, &KEEPS_PLACE).await;
    caller.hears("You have kept your place.").await;
    // They have heard enough.
    caller.hang_up(call).await;
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    let visits = row.facts.visits;
    assert_eq!(
        (visits.abandoned, visits.flow_out),
        (0, visits.queued),
        "an accepted callback is a flow-out: {visits:?}"
    );
    let mut ana = house.agent("ana", 1, answering(300)).await;
    let ours = ana.rings(LATER).await;
    let theirs = outside.rings(SOON).await;
    let report = outside.ended(theirs.call, Duration::from_secs(60)).await;
    in_order(
        &report,
        &["Press 1 to take it.", "We will try again later. Goodbye."],
    );
    assert_eq!(
        report.heard_marker(ana.marker),
        Duration::ZERO,
        "a machine hears no agent"
    );
    ana.ended(ours.call, SOON).await;
    assert_eq!(kept(&house, 1).await, [Err(Missed::NoKey)]);
}

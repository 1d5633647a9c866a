//! Hanging up, at every moment.

use super::*;

/// The caller hangs up, and everything is given back.
async fn gone(house: &House, caller: &mut Party, call: CallId) -> desk::Visits {
    let contact = house
        .noted("a call", |note| {
            (note.what == NoteWhat::Arrived).then_some(note.contact)
        })
        .await;
    caller.hang_up(call).await;
    let report = caller.ended(call, SOON).await;
    assert_eq!(report.hung_up_by, HungUpBy::Us);
    sound_of(&report, caller);
    assert_eq!(house.ended().await, EndCause::CallerHungUp);
    let row = house
        .recorded(SAINT_ANNE, desk::ContactId(contact.0), |row| {
            row.facts.position.is_ended()
        })
        .await;
    assert!(
        matches!(
            row.facts.position,
            Position::Ended {
                cause: EndCause::CallerHungUp,
                ..
            }
        ),
        "{row:?}"
    );
    assert_eq!(row.facts.visits.queued, row.facts.visits.ended(), "{row:?}");
    row.facts.visits
}

pub(super) async fn the_caller_hangs_up_in_a_prompt() {
    let house = House::open("gone-prompt").await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1002").await;
    caller.hears(MENU).await;
    let visits = gone(&house, &mut caller, call).await;
    assert_eq!(visits.queued, 0);
}

pub(super) async fn the_caller_hangs_up_in_the_queue() {
    let house = House::open("gone-queue").await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1004").await;
    caller.hears_music().await;
    let visits = gone(&house, &mut caller, call).await;
    assert_eq!((visits.abandoned, visits.answered), (1, 0), "{visits:?}");
}

/// Careline is told to stop: that is no failure, and the log says so.
pub(super) async fn a_stop_is_told_as_one() {
    let mut house = House::open("stopped").await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1002").await;
    caller.hears(MENU).await;
    house.stop().await;
    let report = caller.ended(call, SOON).await;
    assert_eq!(report.hung_up_by, HungUpBy::Them);
    let ends = |event| match event {
        Event::ContactEnded { cause, .. } => Some(cause),
        _ => None,
    };
    assert_eq!(house.logged(SAINT_ANNE, 1, ends).await, [EndCause::Stopped]);
}

pub(super) async fn the_caller_hangs_up_while_the_phone_rings() {
    let house = House::open("gone-ringing").await;
    let mut ana = house.agent("ana", 1, AnswerPolicy::Ring).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1004").await;
    let ring = ana.rings(SOON).await;
    let at = Instant::now();
    let visits = gone(&house, &mut caller, call).await;
    assert_eq!((visits.abandoned, visits.answered), (1, 0), "{visits:?}");
    let report = ana.ended(ring.call, SOON).await;
    assert_eq!(report.hung_up_by, HungUpBy::Cancelled);
    assert!(at.elapsed() < Duration::from_secs(2), "within a second");
}

pub(super) async fn the_caller_hangs_up_in_the_conversation() {
    let house = House::open("gone-talk").await;
    let mut ana = house.agent("ana", 1, answering(100)).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1004").await;
    let ring = ana.rings(SOON).await;
    both_talk(&mut caller, &mut ana).await;
    let visits = gone(&house, &mut caller, call).await;
    assert_eq!((visits.abandoned, visits.answered), (0, 1), "{visits:?}");
    let report = ana.ended(ring.call, SOON).await;
    assert_eq!(report.hung_up_by, HungUpBy::Them);
    sound_of(&report, &ana);
}

pub(super) async fn the_agent_hangs_up_and_is_free_for_the_next() {
    let house = House::open("agent-gone").await;
    let mut ana = house.agent("ana", 1, answering(100)).await;
    for _ in 0..2 {
        let mut caller = house.caller(UNKNOWN, 0).await;
        let (call, _) = caller.dial("1004").await;
        ana.afresh();
        let ring = ana.rings(SOON).await;
        both_talk(&mut caller, &mut ana).await;
        ana.hang_up(ring.call).await;
        let theirs = caller.ended(call, SOON).await;
        assert_eq!(theirs.hung_up_by, HungUpBy::Them);
        sound_of(&theirs, &caller);
        let ours = ana.ended(ring.call, SOON).await;
        assert_eq!(ours.hung_up_by, HungUpBy::Us);
    }
    let causes: Vec<_> = house
        .notes()
        .iter()
        .filter_map(|(_, note)| match note.what {
            NoteWhat::Ended(cause) => Some(cause),
            _ => None,
        })
        .collect();
    assert!(
        causes.iter().all(|cause| *cause != EndCause::SystemFailure),
        "{causes:?}"
    );
}

pub(super) async fn the_agent_goes_off_before_the_answer() {
    let house = House::open("agent-off").await;
    let mut ana = house.agent("ana", 1, AnswerPolicy::Manual).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1004").await;
    let ring = ana.rings(SOON).await;
    // Should she be tried again, she refuses again.
    let refuse = AnswerPolicy::Reject(603);
    ana.phone.set_policy(refuse).await.expect("the phone is on");
    ana.phone.reject(ring.call, 603).await.expect("refused");
    house
        .noted("the refusal", |note| {
            matches!(note.what, NoteWhat::OfferFailed(_)).then_some(())
        })
        .await;
    // The caller isn't left in silence: music, and whoever comes next.
    caller.hears_music().await;
    let mut eva = house.agent("eva", 2, answering(100)).await;
    let next = eva.rings(SOON).await;
    both_talk(&mut caller, &mut eva).await;
    caller_ends(&mut caller, call, &mut eva, &next).await;
}

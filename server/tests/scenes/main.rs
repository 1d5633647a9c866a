//! Scenes 1, 2 and 4 and what may go wrong in them, with everything but the
//! network's cables: real SIP, the real voice, audio through memory, and the
//! oracle is what each party heard.

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod callbacks;
mod changes;
mod clinicians;
mod full_store;
mod hanging_up;
mod incidents;
mod log;
mod people;
mod postgres;
mod staff_line;
mod ticket_number;
mod verification;
mod waiting;

use std::time::{Duration, Instant};

use actions::{
    what_a_hospitals_system_says_is_heard, who_waits_for_a_system_hears_music_and_then_a_person,
};
use changes::{
    a_desk_is_closed_on_the_spot, a_desk_is_closed_while_a_folder_is_prepared,
    a_folder_is_served_without_a_restart, a_trunk_changes_without_a_restart,
    hours_decide_where_a_call_goes,
};
use clinicians::{
    a_known_clinician_is_greeted_by_name_while_a_phone_rings,
    a_withheld_number_on_the_clinicians_line_rings_at_once, location_lines_never_need_a_key,
    the_same_number_at_the_other_hospital_is_somebody_else,
};
use desk::{ContactId, EndCause, Event, FlowName, Position, TenantId};
use hanging_up::{
    a_stop_is_told_as_one, the_agent_goes_off_before_the_answer,
    the_agent_hangs_up_and_is_free_for_the_next, the_caller_hangs_up_in_a_prompt,
    the_caller_hangs_up_in_the_conversation, the_caller_hangs_up_in_the_queue,
    the_caller_hangs_up_while_the_phone_rings,
};
use server::phone::{AnswerPolicy, CallId, CallOptions, CallReport, HungUpBy, Sound};
use staff_line::{
    a_key_may_come_before_the_menu, patients_hear_the_emergency_sentence_whatever_they_press,
    spanish_is_heard_by_who_chose_it, star_reads_the_number_again,
};
use support::house::{House, LATER, Party, Ring, SOON, numbers};
use switch::NoteWhat;
use ticket_number::the_next_day_with_the_ticket_number;
use waiting::{
    nobody_signed_in_and_the_caller_waits_with_music, the_second_tier_takes_over,
    the_service_desk_takes_over, two_wait_for_one,
};

const SAINT_ANNE: TenantId = TenantId(1);
const MERCY: TenantId = TenantId(2);

const OKAFOR: &str = "+15550177001";
const BELL: &str = "+15550177005";
const SHARED: &str = "+15550177006";
const THEATRE: &str = "+15550178001";
const UNKNOWN: &str = "+15550199999";
const WITHHELD: &str = "anonymous";

const MENU: &str = "Clinician, press 1; hospital staff, 2; patient, 3.";

fn answering(after_ms: u64) -> AnswerPolicy {
    AnswerPolicy::Answer {
        after: Duration::from_millis(after_ms),
    }
}

/// Both talk, and each hears the other.
async fn both_talk(caller: &mut Party, agent: &mut Party) {
    let (caller_marker, agent_marker) = (caller.marker, agent.marker);
    caller.hears_party(agent_marker).await;
    agent.hears_party(caller_marker).await;
}

/// What holds of every call: what was recognised arrived bit by bit, none of
/// it twice at a time, and nobody ever heard themselves.
fn sound_of(report: &CallReport, own: &Party) {
    if let Some(share) = report.identical_share() {
        assert!(
            share >= 0.95,
            "{:.1} % of the prompts arrived bit-identical: {:#?}",
            share * 100.0,
            report.heard
        );
    }
    assert_eq!(report.heard_marker(own.marker), Duration::ZERO, "an echo");
    assert_eq!(report.events_dropped, 0);
}

/// Where each of these is heard for the first time; they come in this order.
fn in_order(report: &CallReport, texts: &[&str]) {
    let mut rest = report.prompts();
    for text in texts {
        assert!(
            rest.any(|prompt| prompt.contains(text)),
            "\"{text}\" isn't heard, or not in its place: {:#?}",
            report.prompts().collect::<Vec<_>>()
        );
    }
}

/// The caller hangs up; both reports, looked at for what holds of every call.
async fn caller_ends(
    caller: &mut Party,
    call: CallId,
    agent: &mut Party,
    ring: &Ring,
) -> (Box<CallReport>, Box<CallReport>) {
    caller.hang_up(call).await;
    let theirs = caller.ended(call, SOON).await;
    let ours = agent.ended(ring.call, SOON).await;
    assert_eq!(theirs.hung_up_by, HungUpBy::Us);
    assert_eq!(ours.hung_up_by, HungUpBy::Them);
    sound_of(&theirs, caller);
    sound_of(&ours, agent);
    assert!(theirs.heard_marker(agent.marker) > Duration::from_millis(100));
    assert!(ours.heard_marker(caller.marker) > Duration::from_millis(100));
    (theirs, ours)
}

// --- several at a time: they take time, but hardly work

#[tokio::test]
async fn clinicians_and_places() {
    tokio::join!(
        a_known_clinician_is_greeted_by_name_while_a_phone_rings(),
        a_withheld_number_on_the_clinicians_line_rings_at_once(),
        location_lines_never_need_a_key(),
        the_same_number_at_the_other_hospital_is_somebody_else(),
        hours_decide_where_a_call_goes(),
    );
}

#[tokio::test]
async fn keys() {
    tokio::join!(
        a_key_may_come_before_the_menu(),
        star_reads_the_number_again(),
        patients_hear_the_emergency_sentence_whatever_they_press(),
        spanish_is_heard_by_who_chose_it(),
        the_next_day_with_the_ticket_number(),
        a_folder_is_served_without_a_restart(),
        a_desk_is_closed_on_the_spot(),
        a_desk_is_closed_while_a_folder_is_prepared(),
        a_trunk_changes_without_a_restart(),
        full_store::a_full_database_is_told_and_callers_reach_people(),
        log::a_log_for_programs_names_nobody(),
        people::who_was_imported_a_second_ago_is_greeted_by_name(),
    );
}

#[tokio::test]
async fn outages() {
    tokio::join!(
        incidents::an_outage_is_heard_by_whom_it_concerns_and_nobody_else(),
        incidents::a_supervisor_hears_the_draft_and_publishes_it_by_key(),
    );
}

#[tokio::test]
async fn a_database_server_that_goes_away() {
    postgres::a_ticket_is_on_the_server_and_without_it_a_person_answers().await;
}

#[tokio::test]
async fn hospitals_own_systems() {
    tokio::join!(
        what_a_hospitals_system_says_is_heard(),
        who_waits_for_a_system_hears_music_and_then_a_person(),
        verification::a_password_is_set_anew_by_who_shows_who_they_are(),
        verification::a_code_goes_to_the_contact_of_record(),
    );
}

#[tokio::test]
async fn waiting() {
    tokio::join!(
        nobody_signed_in_and_the_caller_waits_with_music(),
        the_second_tier_takes_over(),
        the_service_desk_takes_over(),
        two_wait_for_one(),
    );
}

#[tokio::test]
async fn hanging_up_at_every_moment() {
    tokio::join!(
        a_stop_is_told_as_one(),
        the_caller_hangs_up_in_a_prompt(),
        the_caller_hangs_up_in_the_queue(),
        the_caller_hangs_up_while_the_phone_rings(),
        the_caller_hangs_up_in_the_conversation(),
    );
}

#[tokio::test]
async fn agents_hang_up() {
    tokio::join!(
        the_agent_hangs_up_and_is_free_for_the_next(),
        the_agent_goes_off_before_the_answer(),
    );
}

/// The built-in voice, everything it says, beginning at many places between two hops and at many levels, an hour of it:
/// no key is heard in it (ITU-T Q.24's guard against imitation).
#[test]
fn the_voice_presses_no_key() {
    use media::codec::Codec;
    use media::dtmf::{Detector, Press};
    let library = support::house::spoken().book.library();
    let mut detector = Detector::default();
    let mut samples = 0usize;
    let mut round = 0usize;
    while samples < 3_600 * 8_000 {
        round += 1;
        let percent = [25, 50, 100, 150][round % 4];
        for (text, clip) in &library {
            let told = |press| {
                assert!(!matches!(press, Press::Started(_)), "a key in \"{text}\"");
            };
            let shift = std::iter::repeat_n(0, round * 13 % 80);
            let said = clip.bytes(Codec::Pcmu).iter().map(|byte| {
                (i32::from(Codec::Pcmu.decode(*byte)) * percent / 100).clamp(-32_124, 32_124) as i16
            });
            samples += clip.bytes(Codec::Pcmu).len();
            detector.samples(shift.chain(said), told);
        }
    }
}

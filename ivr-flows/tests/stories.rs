//! A session, event by event.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{
    CallerFacts, Facts, Flow, HoursState, Input, Language, PartnerOutcome, Piece, PlayId, Role,
    Session, Step,
};

const HEAD: &str = "flow: story\nstart: a\nnodes:\n";

/// Walks a flow through a script of events, a word each, and gives what the
/// session asked for, a word each, a line for each event.
///
/// Events: `start`, `+5s` (time passes, timers run), `ended`, `closed`, `holiday`, `cut`, `noclip`, a key,
/// `clinician`/`patient`/... (identified, named Dr Okafor), `ticket`,
/// `noticket`, `pos3`, `unstaffed`, `refused`, `answered`, `over`, `broken`, `gone`;
/// of a partner or a transfer: `taken`, `busy`, `failed`, `norespond`.
fn walk(nodes: &str, events: &str) -> String {
    let source = format!("{HEAD}{nodes}");
    let flow = Flow::parse("story.yaml", &source).unwrap_or_else(|errors| {
        panic!(
            "{}",
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    });
    let mut session = Session::new(
        Arc::new(flow),
        Facts {
            dnis: "1000".into(),
            ani_withheld: false,
            hospital: "st-marys".into(),
            hospital_name: "Saint Mary's".into(),
            languages: [Language::ENGLISH].into(),
        },
    );
    let mut now = Duration::ZERO;
    let mut last_play = PlayId(0);
    let mut lines = Vec::new();
    for event in events.split_whitespace() {
        let mut said = Vec::new();
        if let Some(seconds) = event.strip_prefix('+') {
            let until = now
                + Duration::from_millis(
                    (seconds.trim_end_matches('s').parse::<f64>().unwrap() * 1000.0) as u64,
                );
            while let Some(due) = session.poll_timeout().filter(|due| *due <= until) {
                now = now.max(due);
                session.handle_timeout(now);
                drain(&mut session, &mut last_play, &mut said);
            }
            now = until;
        } else {
            let input = match event {
                "start" => None,
                "ended" => Some(Input::PlayEnded { play: last_play }),
                "closed" => Some(Input::Hours(HoursState::Closed)),
                "holiday" => Some(Input::Hours(HoursState::Holiday)),
                "cut" => Some(Input::PlayCut { play: last_play }),
                "noclip" => Some(Input::ClipUnavailable { play: last_play }),
                "ticket" => Some(Input::Ticket("4719203855".into())),
                "noticket" => Some(Input::TicketFailed),
                "badticket" => Some(Input::Ticket("12x".into())),
                "unstaffed" => Some(Input::QueuePosition {
                    position: 1,
                    signed_in: false,
                }),
                "refused" => Some(Input::QueueRefused),
                "answered" => Some(Input::QueueAnswered),
                "taken" => Some(Input::Partner(PartnerOutcome::Answered)),
                "busy" => Some(Input::Partner(PartnerOutcome::Busy)),
                "failed" => Some(Input::Partner(PartnerOutcome::Failed)),
                "norespond" => Some(Input::Partner(PartnerOutcome::NoAnswer)),
                "over" => Some(Input::ConversationEnded),
                "broken" => Some(Input::ConversationBroken),
                "gone" => Some(Input::CallerHungUp),
                _ => Some(if let Some(role) = Role::from_word(event) {
                    Input::Identified(CallerFacts {
                        role,
                        known: role != Role::Unknown,
                        spoken_name: Some("Dr Okafor".into()),
                        ..CallerFacts::UNKNOWN
                    })
                } else if let Some(position) = event.strip_prefix("pos") {
                    Input::QueuePosition {
                        position: position.parse().unwrap(),
                        signed_in: true,
                    }
                } else {
                    Input::Digit(event.chars().next().unwrap())
                }),
            };
            match input {
                None => session.start(now),
                Some(input) => session.handle(now, input),
            }
            drain(&mut session, &mut last_play, &mut said);
        }
        lines.push(format!("{event}: {}", said.join(", ")));
    }
    lines.join("\n")
}

fn drain(session: &mut Session, last_play: &mut PlayId, said: &mut Vec<String>) {
    while let Some(step) = session.poll() {
        let words = |prompt: &[Piece]| {
            prompt
                .iter()
                .map(|piece| match piece {
                    Piece::Text(_, text) => text.to_string(),
                    Piece::TicketPairs(_, digits) => format!("#{digits}"),
                    Piece::NumberPairs(_, number) => format!("#{}", number.digits()),
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        said.push(match step {
            Step::Play {
                play,
                prompt,
                barge_in,
            } => {
                *last_play = play;
                format!(
                    "play{} \"{}\"",
                    if barge_in { "" } else { "!" },
                    words(&prompt)
                )
            }
            Step::Announce { play, prompt } => {
                *last_play = play;
                format!("announce \"{}\"", words(&prompt))
            }
            Step::StopPlay { play } => {
                assert_eq!(play, *last_play, "only what plays is stopped");
                "stop".to_owned()
            }
            Step::AskHours { calendar } => format!("hours:{calendar}"),
            Step::Identify => "identify".to_owned(),
            Step::OpenTicket { role, .. } => format!("ticket for {}", role.word()),
            Step::FindTicket { digits } => format!("find {digits}"),
            Step::AskIncidents { .. } => "incidents".to_owned(),
            Step::Informed => "informed".to_owned(),
            Step::PreviewIncident { .. } => "preview".to_owned(),
            Step::PublishIncident => "publish".to_owned(),
            Step::Subscribe { queue, .. } => format!("subscribe {queue}"),
            Step::SetRole(role) => format!("role {}", role.word()),
            Step::EnterQueue {
                queue,
                class,
                music,
                ..
            } => {
                format!(
                    "queue {queue} {class:?}{}",
                    if music { "" } else { " mute" }
                )
            }
            Step::LeaveQueue => "leave".to_owned(),
            Step::Partner { partner, music } => {
                format!("partner {partner}{}", if music { "" } else { " mute" })
            }
            Step::Transfer { to, outside, music } => format!(
                "transfer {to}{}{}",
                if outside { "" } else { " inside" },
                if music { "" } else { " mute" }
            ),
            Step::LeavePartner => "give up".to_owned(),
            Step::CallAction(call) => format!("action {}", call.action),
            Step::AskCallback { .. } | Step::CheckNumber(_) | Step::Promise(_) => {
                format!("{step:?}")
            }
            Step::Verify { level } => format!("verify {level}"),
            Step::Check => "check".to_owned(),
            Step::ResolveTicket => "ticket resolve".to_owned(),
            Step::HangUp { cause } => format!("hang up {cause:?}"),
        });
    }
}

fn check(nodes: &str, events: &str, expected: &str) {
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let walked = walk(nodes, events);
    let walked: Vec<&str> = walked.lines().map(str::trim).collect();
    assert_eq!(walked, expected, "\n{}\n", walked.join("\n"));
}

const MENU: &str = "
  a: {menu: Press 1., options: {1: {next: one, role: staff}, 2: two}, timeout: desk, invalid: bye, tries: 2, wait: 5s}
  one: {hang_up: One.}
  two: {hang_up: Two.}
  desk: {queue: service, no_agents: stay}
  bye: {hang_up: Goodbye.}
";

#[test]
fn a_menu() {
    check(
        MENU,
        "start ended 1 ended",
        "
        start: play \"Press 1.\"
        ended:
        1: role staff, play! \"One.\"
        ended: hang up Finished",
    );
    check(
        MENU,
        "start 2",
        "
        start: play \"Press 1.\"
        2: stop, play! \"Two.\"",
    );
    check(
        MENU,
        "start ended +5s ended +4.9s +0.1s",
        "
        start: play \"Press 1.\"
        ended:
        +5s: play \"Press 1.\"
        ended:
        +4.9s:
        +0.1s: queue service Patient",
    );
    check(
        MENU,
        "start 9 8",
        "
        start: play \"Press 1.\"
        9: stop, play \"Sorry, that key has no choice behind it. Press 1.\"
        8: stop, play! \"Goodbye.\"",
    );
    // A question nobody could hear isn't asked for ever.
    check(
        MENU,
        "start noclip noclip",
        "
        start: play \"Press 1.\"
        noclip: play \"Press 1.\"
        noclip: queue service Patient",
    );
    // The end of a prompt is lost.
    check(
        MENU,
        "start +119s +1s +5s",
        "
        start: play \"Press 1.\"
        +119s:
        +1s: stop
        +5s: play \"Press 1.\"",
    );
    check(
        MENU,
        "start gone ended 1 +600s",
        "
        start: play \"Press 1.\"
        gone:
        ended:
        1:
        +600s:",
    );
}

const AHEAD: &str = "
  a: {identify: caller, next: hello}
  hello: {play: Hello., next: menu}
  menu: {menu: Press 1., options: {1: number}, timeout: bye, invalid: bye, tries: 1}
  number: {collect: Your number?, digits: 3-5, next: read, timeout: bye, invalid: bye, tries: 2}
  read: {branch: [{when: digits == '123', next: right}], else: wrong}
  right: {hang_up: Right.}
  wrong: {hang_up: Wrong.}
  bye: {hang_up: Goodbye.}
";

#[test]
fn keys_typed_ahead() {
    check(
        AHEAD,
        "start 1 1 2 3 # unknown",
        "
        start: identify
        1:
        1:
        2:
        3:
        #:
        unknown: play! \"Right.\"",
    );
    check(
        AHEAD,
        "start unknown 1 ended 1 2 +3s ended 1 2 3 +3s",
        "
        start: identify
        unknown: play \"Hello.\"
        1: stop, play \"Your number?\"
        ended:
        1:
        2:
        +3s: play \"Sorry, that number isn't complete. Your number?\"
        ended:
        1:
        2:
        3:
        +3s: play! \"Right.\"",
    );
    // A key that means nothing takes what was typed after it along.
    check(
        AHEAD,
        "start 7 1 1 unknown",
        "
        start: identify
        7:
        1:
        1:
        unknown: play! \"Goodbye.\"",
    );
}

#[test]
fn a_number() {
    let number = "
  a: {collect: Your number?, digits: 3-5, next: read, timeout: quiet, invalid: bye, tries: 2}
  read: {branch: [{when: digits == '12345', next: right}], else: wrong}
  right: {hang_up: Right.}
  wrong: {hang_up: Wrong.}
  quiet: {hang_up: Quiet.}
  bye: {hang_up: Goodbye.}
";
    check(
        number,
        "start 1 2 3 4 5",
        "
        start: play \"Your number?\"
        1: stop
        2:
        3:
        4:
        5: play! \"Right.\"",
    );
    check(
        number,
        "start 9 9 * 1 2 3 #",
        "
        start: play \"Your number?\"
        9: stop
        9:
        *:
        1:
        2:
        3:
        #: play! \"Wrong.\"",
    );
    check(
        number,
        "start # # ",
        "
        start: play \"Your number?\"
        #: stop, play \"Sorry, that number isn't complete. Your number?\"
        #: stop, play! \"Goodbye.\"",
    );
    check(
        number,
        "start ended +5s ended +5s",
        "
        start: play \"Your number?\"
        ended:
        +5s: play \"Your number?\"
        ended:
        +5s: play! \"Quiet.\"",
    );
}

const TICKET: &str = "
  a: {identify: caller, clinician: named, next: plain}
  named: {ticket: open, on_ticket: say, on_store_down: desk}
  open: {ticket: open, next: desk}
  say: {play: 'Hello {caller.name}. It is {ticket.number}. Thank you.', next: desk}
  desk: {queue: clinical, greeting: One moment., ticket_text: 'It is {ticket.number}.', no_agents: bye, exit_keys: {0: bye}, max_wait: 10m, on_max_wait: bye}
  plain: {play: 'Hello. This is {hospital.name}.', next: open}
  bye: {hang_up: Goodbye.}
";

#[test]
fn who_calls_and_the_ticket() {
    check(
        TICKET,
        "start clinician ticket ended ended pos1",
        "
        start: identify
        clinician: ticket for clinician
        ticket: play! \"Hello Dr Okafor. It is #4719203855 Thank you.\"
        ended: queue clinical Clinician, announce \"One moment. It is #4719203855\"
        ended:
        pos1: announce \"You are next in line.\"",
    );
    check(
        TICKET,
        "start +0.5s clinician ended +2s ended ticket pos2 ended",
        "
        start: identify
        +0.5s: play! \"Hello. This is Saint Mary's.\"
        clinician:
        ended: ticket for unknown
        +2s: queue clinical Patient, announce \"One moment.\"
        ended:
        ticket: announce \"It is #4719203855\"
        pos2:
        ended: announce \"You are number 2 in the queue.\"",
    );
    check(
        TICKET,
        "start clinician badticket",
        "
        start: identify
        clinician: ticket for clinician
        badticket: queue clinical Clinician, announce \"One moment.\"",
    );
    check(
        TICKET,
        "start clinician noticket",
        "
        start: identify
        clinician: ticket for clinician
        noticket: queue clinical Clinician, announce \"One moment.\"",
    );
}

const DESK: &str = "
  a: {ticket: open, next: desk}
  desk: {queue: service, class: staff, greeting: Hold on., no_agents: second, exit_keys: {0: bye}, announce_every: 60s, max_wait: 10m, on_max_wait: bye}
  second: {queue: tier2, no_agents: stay}
  bye: {hang_up: Goodbye.}
";

#[test]
fn waiting() {
    // The place is spoken once, then when it gets better (not within 20 s), then every minute.
    check(
        DESK,
        "start ticket ended pos5 ended pos4 +16s +4s ended pos6 +59s +1s ended pos1 +20s",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        ended:
        pos5: announce \"You are number 5 in the queue.\"
        ended:
        pos4:
        +16s:
        +4s: announce \"You are number 4 in the queue.\"
        ended:
        pos6:
        +59s:
        +1s: announce \"Thank you for waiting. You are still in the queue.\"
        ended:
        pos1:
        +20s: announce \"You are next in line.\"",
    );
    check(
        DESK,
        "start ticket pos30 ended ended *",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        pos30:
        ended: announce \"Thank you for waiting. You are still in the queue.\"
        ended:
        *: announce \"Your ticket number is #4719203855\"",
    );
    check(
        DESK,
        "start ticket 0 ended",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        0: stop, leave, play! \"Goodbye.\"
        ended: hang up Finished",
    );
    // Nobody at all when entering: at once. A shift that ends: after ten seconds.
    check(
        DESK,
        "start ticket unstaffed",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        unstaffed: stop, leave, queue tier2 Patient",
    );
    check(
        DESK,
        "start ticket ended pos1 ended unstaffed +9s pos1 +2s unstaffed unstaffed +10s",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        ended:
        pos1: announce \"You are next in line.\"
        ended:
        unstaffed:
        +9s:
        pos1:
        +2s:
        unstaffed:
        unstaffed:
        +10s: leave, queue tier2 Patient",
    );
    check(DESK, "start ticket refused refused ended", "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        refused: stop, leave, queue tier2 Patient
        refused: leave, play! \"We are sorry. Your call can't be taken at the moment. Please call again in a few minutes.\"
        ended: hang up Finished");
    // Even when the queue never says a word.
    check(
        DESK,
        "start ticket ended +60s",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        ended:
        +60s: announce \"Thank you for waiting. You are still in the queue.\"",
    );
}

#[test]
fn conversations() {
    check(
        DESK,
        "start ticket answered 0 pos1 ended +3600s over",
        "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        answered: stop
        0:
        pos1:
        ended:
        +3600s:
        over: hang up ConversationOver",
    );
    check(DESK, "start ticket answered broken ended pos1 answered over answered 0", "
        start: ticket for unknown
        ticket: queue service Staff, announce \"Hold on.\"
        answered: stop
        broken: queue service Staff, announce \"The connection to your analyst was lost. Please stay on the line. You will be put through again.\"
        ended:
        pos1: announce \"You are next in line.\"
        answered: stop
        over: hang up ConversationOver
        answered:
        0:");
}

#[test]
fn a_session_is_for_any_thread() {
    fn sendable<T: Send>() {}
    fn shareable<T: Send + Sync>() {}
    sendable::<Session>();
    shareable::<Flow>();
}

/// A ticket number that a key cut short is said again, once, and in another
/// queue only if it was never heard.
#[test]
fn a_ticket_number_cut_short() {
    let nodes = "  a: {ticket: open, next: b}
  b: {queue: first, class: staff, greeting: Hello., ticket_text: 'It is {ticket.number}.', no_agents: c}
  c: {queue: second, class: staff, greeting: Moved., ticket_text: 'It is {ticket.number}.', no_agents: stay}
";
    let told = |events: &str| -> Vec<usize> {
        let lines = walk(nodes, events);
        lines
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("It is"))
            .map(|(index, _)| index)
            .collect()
    };
    assert_eq!(told("start ticket ended pos1 ended"), [1]);
    assert_eq!(told("start ticket cut pos1 ended"), [1, 2]);
    // Not for ever.
    assert_eq!(told("start ticket cut cut cut pos1 ended"), [1, 2]);
    // Nobody signed in there: the next queue says what the first couldn't.
    assert_eq!(told("start ticket unstaffed ended"), [1, 2]);
    assert_eq!(told("start ticket ended unstaffed ended"), [1]);
}

/// Hours decide; without an answer a person is the safer guess, and a day's own
/// hours may have their own way.
#[test]
fn hours() {
    let nodes = "  a: {hours: desk, open: o, closed: c, holiday: h}
  o: {hang_up: Open.}
  c: {hang_up: Closed.}
  h: {hang_up: Holiday.}
";
    for (events, said) in [
        ("start closed", "Closed."),
        ("start holiday", "Holiday."),
        ("start +1s", "Open."),
    ] {
        let lines = walk(nodes, events);
        assert!(
            lines.contains("hours:desk") && lines.contains(said),
            "{lines}"
        );
    }
    let without =
        "  a: {hours: desk, open: o, closed: c}\n  o: {hang_up: Open.}\n  c: {hang_up: Closed.}\n";
    assert!(walk(without, "start holiday").contains("Closed."));
}

const PARTNER: &str = "
  a:
    partner: night-desk
    greeting: You are being put through to the night desk.
    ring_for: 20s
    busy: busy
    failed: desk
    no_answer: tried
  busy: {play: All lines are busy., next: desk}
  tried: {play: Nobody answers., next: desk}
  desk: {queue: service, no_agents: stay}
";

#[test]
fn a_partner_takes_the_caller() {
    check(
        PARTNER,
        "start ended taken +600s over",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        ended:
        taken:
        +600s:
        over: hang up ConversationOver",
    );
    // Answered in mid-sentence; a key is nothing to us; a late word changes nothing.
    check(
        PARTNER,
        "start 1 taken busy norespond 2",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        1:
        taken: stop
        busy:
        norespond:
        2:",
    );
}

#[test]
fn a_partner_that_does_not_take_the_caller_gives_them_back() {
    check(
        PARTNER,
        "start ended busy ended",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        ended:
        busy: play! \"All lines are busy.\"
        ended: queue service Patient",
    );
    check(
        PARTNER,
        "start failed taken",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        failed: stop, queue service Patient
        taken:",
    );
    check(
        PARTNER,
        "start noclip norespond",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        noclip:
        norespond: play! \"Nobody answers.\"",
    );
    // It rings too long; an answer that crosses the giving up comes too late.
    check(
        PARTNER,
        "start ended +19.9s +0.1s taken ended",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        ended:
        +19.9s:
        +0.1s: give up, play! \"Nobody answers.\"
        taken:
        ended: queue service Patient",
    );
}

#[test]
fn a_partner_that_breaks_down_gives_the_caller_back_too() {
    check(
        PARTNER,
        "start ended taken broken ended",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        ended:
        taken:
        broken: play! \"The connection was lost. Please stay on the line.\"
        ended: queue service Patient",
    );
    // The end of the announcement is never told: the guard takes the caller on.
    check(
        PARTNER,
        "start ended taken broken +120s",
        "
        start: partner night-desk, announce \"You are being put through to the night desk.\"
        ended:
        taken:
        broken: play! \"The connection was lost. Please stay on the line.\"
        +120s: stop, queue service Patient",
    );
    check(
        "
  a: {partner: night-desk, next: desk, after: thanks}
  thanks: {hang_up: Thank you for calling.}
  desk: {queue: service, no_agents: stay}
",
        "start taken over ended",
        "
        start: partner night-desk
        taken:
        over: play! \"Thank you for calling.\"
        ended: hang up Finished",
    );
}

const TRANSFER: &str = "
  a: {transfer: \"7004\", greeting: One moment., ring_for: 20s, lost: It was lost., busy: busy, refused: refused, no_answer: nobody, after: bye}
  busy: {hang_up: The line is busy.}
  refused: {hang_up: There is no way there.}
  nobody: {hang_up: Nobody is there.}
  bye: {hang_up: Goodbye.}
";

#[test]
fn a_transfer_gives_back_whom_it_does_not_reach() {
    for (outcome, words) in [
        ("busy", "The line is busy."),
        ("failed", "There is no way there."),
        ("norespond", "Nobody is there."),
    ] {
        check(
            TRANSFER,
            &format!("start ended {outcome}"),
            &format!(
                "
                start: transfer 7004, announce \"One moment.\"
                ended:
                {outcome}: play! \"{words}\""
            ),
        );
    }
    check(
        TRANSFER,
        "start ended +20s ended",
        "
        start: transfer 7004, announce \"One moment.\"
        ended:
        +20s: give up, play! \"Nobody is there.\"
        ended: hang up Finished",
    );
}

#[test]
fn a_transfer_that_is_answered() {
    // By a telephone, or by whoever serves the queue that it led to.
    for answered in ["taken", "answered"] {
        check(
            TRANSFER,
            &format!("start {answered} over ended"),
            &format!(
                "
                start: transfer 7004, announce \"One moment.\"
                {answered}: stop
                over: play! \"Goodbye.\"
                ended: hang up Finished"
            ),
        );
        check(
            TRANSFER,
            &format!("start {answered} broken ended"),
            &format!(
                "
                start: transfer 7004, announce \"One moment.\"
                {answered}: stop
                broken: play! \"It was lost.\"
                ended: play! \"There is no way there.\""
            ),
        );
    }
}

#[test]
fn what_was_keyed_in_is_dialled_as_far_as_the_flow_says() {
    let nodes = |target: &str| {
        format!(
            "
  a: {{collect: Key it in., digits: 1-20, next: b, timeout: desk, invalid: desk}}
  b: {{transfer: {{to: {target}}}, next: desk}}
  desk: {{queue: service, no_agents: stay}}
"
        )
    };
    for (target, told) in [
        ("digits", "transfer 70 inside"),
        ("digits, outside: true", "transfer 70"),
    ] {
        check(
            &nodes(target),
            "start ended 7 0 #",
            &format!(
                "
                start: play \"Key it in.\"
                ended:
                7:
                0:
                #: {told}"
            ),
        );
    }
    // Nothing can't be dialled.
    check(
        &nodes("'\"\"'"),
        "start ended 7 #",
        "
        start: play \"Key it in.\"
        ended:
        7:
        #: queue service Patient",
    );
}

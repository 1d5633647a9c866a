//! Random callers, random desks, random documents.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ivr_flows::{
    CallbackDay, CallbackOffer, CallbackTime, CallerFacts, Expansions, Factor, Facts, Fields, Flow,
    Input, Language, Number, PartnerOutcome, Piece, PlayId, Promised, Role, Session, Step, Val,
    prompts,
};
use proptest::prelude::*;

const SHIPPED: [(&str, &str); 5] = [
    ("clinician.yaml", include_str!("../flows/clinician.yaml")),
    ("staff.yaml", include_str!("../flows/staff.yaml")),
    ("patient.yaml", include_str!("../flows/patient.yaml")),
    ("location.yaml", include_str!("../flows/location.yaml")),
    ("everything", EVERYTHING),
];

/// Every kind of node and exit at once.
const EVERYTHING: &str = "
flow: everything
language: [en, es]
variables: {works: yes-or-no, minutes: number}
start: tongue
nodes:
  tongue: {language: {'9': {speak: es, say: 'Para español, oprima el nueve.'}, '8': {speak: es, say: Ocho., next: menu}}, next: who}
  who: {identify: caller, clinician: named, place: named, next: route}
  named: {play: 'Hello {caller.name}.', next: route}
  route: {branch: [{when: 'ani_withheld && caller.role == \"unknown\"', next: menu}, {when: 'dnis == \"2000\"', next: number}], else: menu}
  menu:
    menu: {en: 'This is {hospital.name}. Press 1.', es: '{hospital.name}. Oprima uno.'}
    options: {1: {next: open, role: staff}, 2: {next: number, role: clinician}, 3: menu, '9': {next: menu, language: es}, '#': hear, '*': open, 7: later}
    timeout: number
    invalid: number
  later: {callback: tier2, promised: bye, declined: first, failed: open}
  status: {http: {action: status, with: {number: digits}, save: {works: works, minutes: in}}, ok: works, failed: first}
  works: {branch: [{when: 'vars.works && vars.minutes > 3', next: hear}], else: open}
  number: {collect: Key in your number., digits: 4-10, next: read, timeout: open, invalid: open, tries: 1}
  read: {branch: [{when: 'digits.startsWith(\"47\") && size(digits) > 5', next: hear}], else: known}
  done: {ticket: resolve, next: first}
  prove: {verify: 2, tries: 2, passed: menu, failed: open, locked: first, unavailable: second}
  known: {branch: [{when: 'digits.startsWith(\"7\")', next: extension}, {when: 'digits.startsWith(\"2\") && caller.level < 2', next: prove}, {when: 'digits.startsWith(\"1\")', next: status}], else: open}
  extension: {transfer: {to: digits}, greeting: It rings., refused: no_such, next: open, after: after}
  no_such: {play: There is no such extension., next: outside}
  outside: {transfer: '+15550142', ring_for: 20s, next: open}
  open: {ticket: open, on_ticket: hear, on_store_down: first}
  hear: {play: 'Thank you. Your ticket is {ticket.number}.', next: done}
  first:
    queue: clinical
    greeting: Hold on.
    ticket_text: 'Your ticket is {ticket.number}.'
    announce_every: 15s
    exit_keys: {1: menu, 2: after}
    no_agents: second
    max_wait: 60s
    on_max_wait: night
    after: after
  night: {partner: night-desk, greeting: One moment., busy: third, next: second, after: after}
  third: {play: The night desk is busy., next: second}
  second: {queue: tier2, class: patient, no_agents: stay, refused: bye}
  after: {collect: 'How was it? Press 1 to 5.', digits: 1, next: menu, timeout: bye, invalid: bye}
  bye: {hang_up: Goodbye.}
";

const HOUR: CallbackTime = CallbackTime {
    day: CallbackDay::Tomorrow,
    hour: 9,
};

fn flow(which: usize) -> Arc<Flow> {
    static FLOWS: OnceLock<Vec<Arc<Flow>>> = OnceLock::new();
    let flows = FLOWS.get_or_init(|| {
        SHIPPED
            .iter()
            .map(|(file, source)| {
                Arc::new(Flow::parse(file, source).unwrap_or_else(|errors| panic!("{}", errors[0])))
            })
            .collect()
    });
    Arc::clone(&flows[which % flows.len()])
}

/// What the driver knows of the session: enough to say whether the caller is
/// in silence, and to answer as a driver would.
#[derive(Debug, Default)]
struct Driver {
    on_air: Option<PlayId>,
    identify: bool,
    ticket: bool,
    ticket_given: bool,
    queue: Option<String>,
    partner: bool,
    action: bool,
    offered: bool,
    promising: bool,
    promised: bool,
    talking: bool,
    hung_up: bool,
    caller: Option<CallerFacts>,
    heard: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Happens {
    Time(u64),
    Timer,
    PlayEnds,
    NoClip,
    StrayPlay(u32),
    Key(char),
    Identified(Role, bool),
    IdentifyFailed,
    Ticket(bool),
    TicketFailed,
    Position(u32, bool),
    Refused,
    Answered,
    Over,
    Broken,
    Partner(PartnerOutcome),
    Action(Option<(bool, i64)>),
    Offer(bool, usize),
    Number(bool),
    Promised(bool),
    Verifies(usize),
}

fn arb_happening() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0_u64..20_000).prop_map(Happens::Time),
        5 => Just(Happens::Timer),
        6 => Just(Happens::PlayEnds),
        1 => Just(Happens::NoClip),
        1 => (0_u32..40).prop_map(Happens::StrayPlay),
        6 => prop::sample::select(vec!['0', '1', '2', '3', '4', '7', '9', '*', '#', 'A', '\u{e9}']).prop_map(Happens::Key),
        3 => (0_usize..5, any::<bool>()).prop_map(|(role, named)| Happens::Identified(Role::ALL[role], named)),
        1 => Just(Happens::IdentifyFailed),
        3 => any::<bool>().prop_map(Happens::Ticket),
        1 => Just(Happens::TicketFailed),
        4 => (0_u32..30, any::<bool>()).prop_map(|(position, signed_in)| Happens::Position(position, signed_in)),
        1 => Just(Happens::Refused),
        1 => Just(Happens::Answered),
        1 => Just(Happens::Over),
        1 => Just(Happens::Broken),
        2 => prop::sample::select(vec![
            PartnerOutcome::Answered,
            PartnerOutcome::Busy,
            PartnerOutcome::Failed,
            PartnerOutcome::NoAnswer,
        ])
        .prop_map(Happens::Partner),
        2 => any::<Option<(bool, i64)>>().prop_map(Happens::Action),
        3 => (any::<bool>(), 0_usize..5).prop_map(|(place, times)| Happens::Offer(place, times)),
        1 => any::<bool>().prop_map(Happens::Number),
        2 => any::<bool>().prop_map(Happens::Promised),
        3 => (0_usize..6).prop_map(Happens::Verifies),
    ]
}

impl Driver {
    fn carry_out(&mut self, session: &mut Session) {
        let mut steps = 0;
        while let Some(step) = session.poll() {
            steps += 1;
            assert!(steps < 20, "one event asks for a bounded number of steps");
            assert!(!self.hung_up, "nothing follows the hang-up: {step:?}");
            match step {
                Step::Play { play, prompt, .. } => {
                    assert!(
                        self.queue.is_none() && !self.partner,
                        "prompts in a queue are announcements"
                    );
                    self.plays(play, prompt);
                }
                Step::Announce { play, prompt } => {
                    assert!((self.queue.is_some() || self.partner || self.action) && !self.talking);
                    assert!(
                        self.on_air.is_none(),
                        "announcements don't cut one another off"
                    );
                    self.plays(play, prompt);
                }
                Step::StopPlay { play } => assert_eq!(self.on_air.take(), Some(play)),
                // Unanswered: the flow goes on by itself.
                Step::AskHours { .. } => {}
                Step::Identify => self.identify = true,
                Step::OpenTicket { .. } => {
                    assert!(!self.ticket_given, "one contact, one ticket");
                    self.ticket = true;
                }
                // Unanswered, it gives up.
                Step::SetRole(_)
                | Step::Verify { .. }
                | Step::FindTicket { .. }
                | Step::AskIncidents { .. }
                | Step::Informed
                | Step::PreviewIncident { .. }
                | Step::PublishIncident
                | Step::Subscribe { .. } => {}
                Step::ResolveTicket => assert!(self.ticket_given),
                Step::Check => {
                    let answers = session.take_answers();
                    assert!(!answers.is_empty() && session.take_answers().is_empty());
                }
                Step::EnterQueue { queue, .. } => {
                    assert!(self.on_air.is_none() && !self.talking);
                    assert!(self.queue.is_none(), "never in two queues");
                    self.queue = Some(queue.to_string());
                }
                Step::LeaveQueue => assert!(self.queue.take().is_some()),
                Step::Partner { .. } | Step::Transfer { .. } => {
                    assert!(self.on_air.is_none() && !self.talking && self.queue.is_none());
                    assert!(!std::mem::replace(&mut self.partner, true));
                }
                Step::CallAction(_) => {
                    assert!(self.on_air.is_none() && !self.talking && self.queue.is_none());
                    self.action = true;
                }
                Step::AskCallback { .. } => self.offered = true,
                Step::CheckNumber(_) => {}
                Step::Promise(_) => {
                    assert!(std::mem::take(&mut self.offered), "promised as offered");
                    self.promising = true;
                }
                Step::LeavePartner => assert!(std::mem::take(&mut self.partner)),
                Step::HangUp { .. } => self.hung_up = true,
            }
        }
    }

    fn plays(&mut self, play: PlayId, prompt: Vec<Piece>) {
        assert!(!prompt.is_empty(), "no empty prompt is played");
        for piece in &prompt {
            match piece {
                Piece::TicketPairs(..) => {
                    assert!(self.ticket_given, "no number is spoken before it is there");
                }
                Piece::Text(_, words) if words.contains("Thank you. We will call you") => {
                    assert!(self.promised, "nothing is promised before it is on disk");
                }
                Piece::Text(..) | Piece::NumberPairs(..) => {}
            }
        }
        self.heard.extend(prompt);
        self.on_air = Some(play);
    }

    /// Product invariant 1, as far as a flow goes: never in silence, always in
    /// exactly one place, and always something to wait for.
    fn check(&self, session: &Session) {
        let waits_for_answer = self.identify || self.ticket;
        let elsewhere = self.queue.is_some() || self.partner || self.talking || self.hung_up;
        assert!(
            session.poll_timeout().is_some() || elsewhere,
            "at {} nothing is waited for",
            session.node()
        );
        assert!(
            self.on_air.is_some()
                || waits_for_answer
                || elsewhere
                || session.poll_timeout().is_some(),
            "at {} the caller is in silence",
            session.node()
        );
        assert_eq!(session.ended(), self.hung_up);
        if (self.queue.is_some() || self.partner) && !self.talking {
            assert!(
                session.poll_timeout().is_some(),
                "a queue that announces has a timer"
            );
        }
        let _ = session.role();
    }
}

fn run(which: usize, happenings: &[Happens], dnis: &str, withheld: bool) -> Driver {
    let mut session = Session::new(
        flow(which),
        Facts {
            dnis: dnis.into(),
            ani_withheld: withheld,
            hospital: "st-marys".into(),
            hospital_name: "Saint Mary's".into(),
            languages: if withheld {
                [Language::ENGLISH].into()
            } else {
                [Language::ENGLISH, Language::from_tag("es").expect("a tag")].into()
            },
        },
    );
    let mut driver = Driver::default();
    let mut now = Duration::from_secs(1000);
    session.start(now);
    driver.carry_out(&mut session);
    driver.check(&session);
    for happening in happenings {
        let input = match happening.clone() {
            Happens::Time(millis) => {
                let until = now + Duration::from_millis(millis);
                let mut fired = 0;
                while let Some(due) = session.poll_timeout().filter(|due| *due <= until) {
                    now = now.max(due);
                    fire(&mut session, &mut driver, now);
                    driver.check(&session);
                    fired += 1;
                    assert!(fired < 100, "timers don't run in circles");
                }
                now = until;
                continue;
            }
            Happens::Timer => {
                if let Some(due) = session.poll_timeout() {
                    now = now.max(due);
                    fire(&mut session, &mut driver, now);
                    driver.check(&session);
                }
                continue;
            }
            Happens::PlayEnds | Happens::NoClip => {
                let Some(play) = driver.on_air.take() else {
                    continue;
                };
                match happening {
                    Happens::NoClip => Input::ClipUnavailable { play },
                    _ => Input::PlayEnded { play },
                }
            }
            Happens::StrayPlay(play) => {
                if driver.on_air == Some(PlayId(play)) {
                    continue;
                }
                Input::PlayEnded { play: PlayId(play) }
            }
            Happens::Key(key) => Input::Digit(key),
            Happens::Identified(role, named) => {
                let facts = CallerFacts {
                    role,
                    known: role != Role::Unknown,
                    spoken_name: named.then(|| "Dr Okafor".into()),
                    ..CallerFacts::UNKNOWN
                };
                if driver.identify {
                    driver.caller = Some(facts.clone());
                }
                driver.identify = false;
                Input::Identified(facts)
            }
            Happens::IdentifyFailed => {
                driver.identify = false;
                Input::IdentifyFailed
            }
            Happens::Ticket(_) if !driver.ticket => continue,
            Happens::Ticket(fine) => {
                driver.ticket = false;
                driver.ticket_given |= fine;
                Input::Ticket(if fine {
                    "4719203855".into()
                } else {
                    "47x".into()
                })
            }
            Happens::TicketFailed => {
                driver.ticket = false;
                Input::TicketFailed
            }
            Happens::Position(position, signed_in) => Input::QueuePosition {
                position,
                signed_in,
            },
            Happens::Refused => Input::QueueRefused,
            Happens::Answered if (driver.queue.is_some() || driver.partner) && !driver.talking => {
                driver.talking = true;
                Input::QueueAnswered
            }
            Happens::Partner(outcome) if driver.partner && !driver.talking => {
                driver.talking = outcome == PartnerOutcome::Answered;
                driver.partner = driver.talking;
                Input::Partner(outcome)
            }
            Happens::Action(answer) => {
                driver.action = false;
                match answer {
                    Some((works, minutes)) => Input::ActionAnswered(Fields::from_iter([
                        ("works".into(), Val::Truth(works)),
                        ("in".into(), Val::Number(minutes)),
                    ])),
                    None => Input::ActionFailed,
                }
            }
            Happens::Offer(place, times) => {
                Input::CallbackOffer((times < 4).then(|| CallbackOffer {
                    number: Number::new("5550177005").filter(|_| place),
                    place,
                    times: vec![HOUR; times],
                }))
            }
            Happens::Number(fine) => Input::Number(Number::new("15550142").filter(|_| fine)),
            Happens::Promised(_) if !std::mem::take(&mut driver.promising) => continue,
            Happens::Promised(true) => {
                driver.promised = true;
                Input::Promised(Promised::At(HOUR))
            }
            Happens::Promised(false) => Input::NotPromised,
            Happens::Verifies(what) => match what {
                0 => Input::VerifyAsks(vec![Factor::BirthDate, Factor::Mrn]),
                1 => Input::VerifyAsks(Vec::new()),
                2 => Input::Verified {
                    level: 2,
                    key: Some("S-17".into()),
                },
                3 => Input::NotVerified,
                4 => Input::CannotVerify { locked: true },
                _ => Input::CannotVerify { locked: false },
            },
            Happens::Over if driver.talking => {
                driver.talking = false;
                driver.partner = false;
                driver.queue = None;
                Input::ConversationEnded
            }
            Happens::Broken if driver.talking => {
                driver.talking = false;
                driver.partner = false;
                driver.queue = None;
                Input::ConversationBroken
            }
            Happens::Answered | Happens::Over | Happens::Broken | Happens::Partner(_) => continue,
        };
        session.handle(now, input);
        driver.carry_out(&mut session);
        driver.check(&session);
    }
    // Whoever does nothing from here on comes to a queue, a conversation or the end.
    for _ in 0..60 {
        if driver.queue.is_some() || driver.talking || driver.hung_up {
            break;
        }
        if let Some(play) = driver.on_air.take() {
            session.handle(now, Input::PlayEnded { play });
        } else if let Some(due) = session.poll_timeout() {
            now = now.max(due);
            session.handle_timeout(now);
        }
        driver.carry_out(&mut session);
        driver.check(&session);
    }
    assert!(
        driver.queue.is_some() || driver.talking || driver.hung_up,
        "stuck at {}",
        session.node()
    );
    driver
}

fn fire(session: &mut Session, driver: &mut Driver, now: Duration) {
    session.handle_timeout(now);
    driver.carry_out(session);
    assert!(
        session.poll_timeout().is_none_or(|due| due > now),
        "a timer that fired is gone, at {}",
        session.node()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_ever_in_silence(
        which in 0_usize..SHIPPED.len(),
        happenings in prop::collection::vec(arb_happening(), 0..60),
        dnis in prop::sample::select(vec!["1000", "2000"]),
        withheld in any::<bool>(),
    ) {
        let driver = run(which, &happenings, dnis, withheld);
        let named = driver.heard.iter().any(|piece| matches!(piece, Piece::Text(_, text) if text.contains("Okafor")));
        let may = driver.caller.is_some_and(|caller| caller.role.may_be_named());
        prop_assert!(may || !named, "somebody was named who may not be");
        // Everything that was spoken could have been rendered ahead.
        let names = ["Dr Okafor"];
        let fill = Expansions { names: &names, hospital_name: "Saint Mary's", positions: 1..=20 };
        let flow = flow(which);
        let known: std::collections::BTreeSet<(Language, String)> = prompts(&flow, &fill).collect();
        for piece in &driver.heard {
            if let Piece::Text(language, text) = piece {
                prop_assert!(known.contains(&(*language, text.to_string())), "\"{}\" wasn't rendered ahead", text);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutilated_document_is_taken_or_refused(
        which in 0_usize..SHIPPED.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[\\PC\n]{0,6}"), 1..6),
    ) {
        let mut source: Vec<char> = SHIPPED[which].1.chars().collect();
        for (at, length, insert) in cuts {
            let at = at.index(source.len());
            let end = (at + length).min(source.len());
            source.splice(at..end, insert.chars());
            if source.is_empty() {
                source.push('x');
            }
        }
        let source: String = source.into_iter().collect();
        match Flow::parse("mutilated", &source) {
            Ok(flow) => {
                let flow = Arc::new(flow);
                let _ = ivr_flows::run_tests(&flow);
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty() && errors.len() <= 50);
                for error in errors {
                    prop_assert!(usize::try_from(error.line).unwrap() <= source.lines().count() + 1);
                }
            }
        }
    }

    #[test]
    fn swapped_lines_are_taken_or_refused(
        which in 0_usize..SHIPPED.len(),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let mut lines: Vec<&str> = SHIPPED[which].1.lines().collect();
        for (a, b) in swaps {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        let _ = Flow::parse("swapped", &lines.join("\n"));
    }
}

//! What is out of order, as a session tells it.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{
    Facts, Flow, IncidentNews, IncidentWords, Input, Language, Piece, PlayId, Role, Session, Step,
    SubscribeOutcome,
};

const BEFORE_THE_MENU: &str = "
flow: front
start: who
nodes:
  who: {identify: caller, next: news}
  news: {incident: tell, unknown: staff, subscribe: 1, called_by: service, told: ask, none: ask, subscribed: bye}
  ask: {menu: What now?, options: {1: first, 2: second}, timeout: second, invalid: second}
  first: {queue: first, no_agents: stay}
  second: {queue: service, no_agents: stay}
  bye: {hang_up: Goodbye.}
";

const OVER_THE_RING: &str = "
flow: front
start: who
nodes:
  who: {identify: caller, next: news}
  news: {incident: over_ring, told: desk, none: desk}
  desk: {queue: clinical, greeting: Hello., no_agents: stay}
";

/// A session and what it is doing.
struct Call {
    session: Session,
    now: Duration,
    on_air: Option<(PlayId, String)>,
    steps: Vec<Step>,
    heard: Vec<String>,
}

impl Call {
    fn new(source: &str, role: Role) -> Self {
        let flow = Flow::parse("front.yaml", source).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let session = Session::new(
            Arc::new(flow),
            Facts {
                dnis: "1000".into(),
                ani_withheld: false,
                hospital: "st-anne".into(),
                hospital_name: "Saint Anne".into(),
                languages: [Language::ENGLISH].into(),
            },
        );
        let mut call = Self {
            session,
            now: Duration::ZERO,
            on_air: None,
            steps: Vec::new(),
            heard: Vec::new(),
        };
        call.session.start(call.now);
        call.drain();
        call.input(Input::Identified(ivr_flows::CallerFacts {
            role,
            known: role != Role::Unknown,
            ..ivr_flows::CallerFacts::UNKNOWN
        }));
        call
    }

    fn input(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(step) = self.session.poll() {
            match &step {
                Step::Play { play, prompt, .. } | Step::Announce { play, prompt } => {
                    let words = |piece: &Piece| match piece {
                        Piece::Text(_, text) => text.to_string(),
                        Piece::TicketPairs(_, digits) => digits.to_string(),
                        Piece::NumberPairs(_, number) => number.digits().to_owned(),
                    };
                    let words: Vec<_> = prompt.iter().map(words).collect();
                    self.on_air = Some((*play, words.join(" ")));
                    self.heard.push(words.join(" "));
                }
                Step::StopPlay { .. } => self.on_air = None,
                _ => {}
            }
            self.steps.push(step);
        }
    }

    fn told_of(&mut self, texts: &[(&str, Option<&str>)]) {
        let news = texts.iter().map(|(text, brief)| IncidentNews {
            texts: vec![IncidentWords {
                language: Language::ENGLISH,
                text: (*text).into(),
                brief: brief.map(Into::into),
            }],
            surge: false,
        });
        let news = news.collect();
        let calls_back = true;
        self.input(Input::Incidents { news, calls_back });
    }

    fn ends(&mut self) {
        let (play, _) = self.on_air.take().expect("something is being said");
        self.input(Input::PlayEnded { play });
    }

    fn passes(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn waits_in(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::EnterQueue { queue, .. } => Some(&**queue),
            _ => None,
        })
    }

    fn asks(&self) -> Option<(&Step, usize)> {
        let asks = |step: &&Step| matches!(step, Step::AskIncidents { .. });
        let first = self.steps.iter().find(asks)?;
        Some((first, self.steps.iter().filter(asks).count()))
    }

    fn did(&self, what: impl Fn(&Step) -> bool) -> bool {
        self.steps.iter().any(what)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn who_is_asked_for() {
    let check = |role: Role, expected: Role| {
        let call = Call::new(BEFORE_THE_MENU, role);
        let ask = Step::AskIncidents {
            about: None,
            role: expected,
        };
        assert_eq!(call.asks(), Some((&ask, 1)), "{role:?}");
    };
    check(Role::Patient, Role::Patient);
    check(Role::Place, Role::Place);
    check(Role::Unknown, Role::Staff);
}

#[test]
fn nothing_is_said_of_nothing() {
    let mut call = Call::new(BEFORE_THE_MENU, Role::Staff);
    call.told_of(&[]);
    assert_eq!(call.heard, ["What now?"]);
    // Nor by a desk that is silent.
    let mut call = Call::new(BEFORE_THE_MENU, Role::Staff);
    call.passes(SECOND);
    assert_eq!(call.heard, ["What now?"]);
    assert!(!call.did(|step| *step == Step::Informed));
}

#[test]
fn told_before_the_menu_and_offered_a_call() {
    let mut call = Call::new(BEFORE_THE_MENU, Role::Staff);
    call.told_of(&[
        ("The record is down.", None),
        ("The doors are stuck.", None),
    ]);
    assert!(call.did(|step| *step == Step::Informed));
    call.ends();
    call.ends();
    call.passes(20 * SECOND);
    let offer = "To be called when it is over, press 1.";
    assert_eq!(
        call.heard[..3],
        [
            "The record is down. The doors are stuck.",
            offer,
            "What now?"
        ]
    );
}

#[test]
fn a_clinician_hears_six_seconds_of_it() {
    let mut call = Call::new(BEFORE_THE_MENU, Role::Clinician);
    let texts = [
        (
            "The record can't be reached, and so on.",
            Some("Record down."),
        ),
        ("The doors are stuck.", None),
    ];
    call.told_of(&texts);
    call.passes(Duration::from_millis(5_900));
    assert_eq!(call.heard, ["Record down."]);
    call.passes(Duration::from_millis(200));
    assert_eq!(
        call.heard,
        ["Record down.", "What now?"],
        "and nothing is offered"
    );
}

#[test]
fn what_cant_be_said_is_said_in_fixed_words() {
    let mut call = Call::new(BEFORE_THE_MENU, Role::Staff);
    call.told_of(&[("The record is down.", None)]);
    let (play, _) = call.on_air.clone().expect("it is said");
    call.input(Input::ClipUnavailable { play });
    assert_eq!(
        call.heard[1],
        "We know of a problem, and we are working on it."
    );
    // Erased, or in no language that is spoken here: the same.
    let mut call = Call::new(BEFORE_THE_MENU, Role::Staff);
    let news = vec![IncidentNews {
        texts: Vec::new(),
        surge: false,
    }];
    let calls_back = false;
    call.input(Input::Incidents { news, calls_back });
    assert_eq!(
        call.heard,
        ["We know of a problem, and we are working on it."]
    );
    call.ends();
    assert_eq!(
        call.heard[1], "What now?",
        "who can't be called isn't offered it"
    );
}

#[test]
fn over_the_ring_behind_the_greeting_until_somebody_answers() {
    let mut call = Call::new(OVER_THE_RING, Role::Clinician);
    call.told_of(&[("The record can't be reached.", Some("Record down."))]);
    // The telephone rings at once.
    assert_eq!(call.waits_in(), Some("clinical"));
    assert_eq!(call.heard, ["Hello."]);
    assert!(!call.did(|step| *step == Step::Informed));
    call.ends();
    assert_eq!(call.heard, ["Hello.", "Record down."]);
    assert!(call.did(|step| *step == Step::Informed));
    call.input(Input::QueueAnswered);
    assert!(matches!(call.steps.last(), Some(Step::StopPlay { .. })));
    // Never longer than six seconds, and what can't be said has fixed words.
    let mut call = Call::new(OVER_THE_RING, Role::Clinician);
    call.told_of(&[("The record can't be reached.", None)]);
    call.ends();
    let (play, _) = call.on_air.clone().expect("it is said");
    call.input(Input::ClipUnavailable { play });
    assert!(call.heard[2].starts_with("We know of a problem"));
    call.passes(Duration::from_millis(6_100));
    assert!(call.did(|step| matches!(step, Step::StopPlay { .. })));
}

/// What may happen to a caller who hears of an incident that closes meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Happens {
    /// What is being said ends.
    Ends,
    /// It is cut off, by whoever plays it.
    Cut,
    /// The key is pressed.
    Key,
    /// The desk says that it is over.
    Over,
    /// Nothing, for ten seconds.
    Time,
}

/// In every order in which these can come, the caller comes to the menu or
/// waits, in no silence, and is promised nothing.
#[test]
fn it_closes_while_it_is_told() {
    use Happens::{Cut, Ends, Key, Over, Time};
    let all = [Ends, Ends, Cut, Key, Over, Time];
    let mut orders = 0;
    permute(&mut all.to_vec(), 0, &mut |order| {
        orders += 1;
        let mut call = Call::new(BEFORE_THE_MENU, Role::Staff);
        call.told_of(&[("The record is down.", None)]);
        for happens in order {
            match happens {
                Ends if call.on_air.is_some() => call.ends(),
                Cut => {
                    if let Some((play, _)) = call.on_air.take() {
                        call.input(Input::PlayCut { play });
                    }
                }
                Ends => {}
                Key => call.input(Input::Digit('1')),
                Over => call.input(Input::Subscribed(SubscribeOutcome::Over)),
                Time => call.passes(10 * SECOND),
            }
        }
        // Whatever is left is said and waited for.
        for _ in 0..6 {
            if call.on_air.is_some() {
                call.ends();
            }
            call.passes(30 * SECOND);
        }
        let queue = call.waits_in();
        assert!(
            matches!(queue, Some("first" | "service")),
            "{order:?}: {:?}",
            call.heard
        );
        let promised = |text: &String| text.contains("We will call you");
        assert!(
            !call.heard.iter().any(promised),
            "{order:?}: {:?}",
            call.heard
        );
        let wished = call.did(|step| matches!(step, Step::Subscribe { .. }));
        let offered = call.heard.iter().any(|text| text.contains("press 1"));
        assert!(
            offered || !wished,
            "a key before the offer is none: {order:?}"
        );
    });
    assert_eq!(orders, 720);
}

fn permute(all: &mut Vec<Happens>, from: usize, each: &mut impl FnMut(&[Happens])) {
    if from == all.len() {
        return each(all);
    }
    for other in from..all.len() {
        all.swap(from, other);
        permute(all, from + 1, each);
        all.swap(from, other);
    }
}

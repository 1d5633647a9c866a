//! A callback that a caller takes, as a session sees it: offered by key, the number confirmed by key, and spoken of as
//! promised when it is on disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{
    CallbackDay, CallbackOffer, CallbackTime, Class, Expansions, Facts, Flow, Input, Language,
    Number, Piece, PlayId, Promised, Session, Step, prompts, run_tests, unvisited,
};

const FLOW: &str = "
flow: later
language: [en, es]
start: wait
nodes:
  wait: {queue: service, greeting: 'To be called back, press 1.', no_agents: nobody, exit_keys: {1: later}}
  nobody: {play: Nobody is here., next: later}
  later: {callback: service, class: staff, promised: bye, declined: person, failed: person}
  bye: {hang_up: {en: Goodbye., es: Adiós.}}
  person: {queue: service, greeting: A person will help you., no_agents: stay}
tests:
  - name: The place is kept
    does: [press 1, press 1, press 1]
    hears: [We can call you back., 'be called when it is your turn, press 1.', 'tomorrow, between nine and ten in the morning. press 2.', 'This is the number that we would call:', '55 50 17 70 05', You have kept your place., Goodbye.]
    never_hears: [A person]
    ends: callback service
  - name: An hour
    does: [press 1, press 3, press 1]
    hears: ['Thank you. We will call you on Tuesday, between two and three in the afternoon.', Goodbye.]
    ends: callback service
  - name: At another number
    does: [press 1, press 2, press 2, press 15550142#, press 1]
    hears: ['55 50 17 70 05', Please key in the number, '15 55 01 42', We will call you]
    ends: callback service
  - name: A number that can't be called
    does: [press 1, press 2, press 2, press 911#, press 5550143#, press 1]
    hears: [\"Sorry, we can't call that number. Please key in\", 'five, 55 01 43']
    ends: callback service
  - name: A withheld number is asked for
    caller: {withheld: true}
    does: [press 1, press 1, press 15550142#, press 1]
    never_hears: [70 05]
    ends: callback service
  - name: Nobody is signed in
    agents: none
    does: [press 2, press 1]
    hears: [Nobody is here., We can call you back.]
    ends: callback service
  - {name: They don't want it, does: [press 1, press 0], hears: A person will help you., ends: queue service}
  - {name: They don't want it at that number, does: [press 1, press 1, press 0], ends: queue service}
  - {name: They press nothing, does: [press 1], hears: [We can call, We can call, A person], ends: queue service}
  - {name: They confirm nothing, does: [press 1, press 1], hears: [that we would call, that we would call, A person], ends: queue service}
  - {name: A key without a choice, does: [press 1, press 9], hears: 'Sorry, that key has no choice behind it. We can call', ends: queue service}
  - {name: Nothing can be promised, callback: none, does: [press 1], never_hears: [call you], ends: queue service}
  - {name: The store is down, store: down, does: [press 1, press 1, press 1], never_hears: [kept, will call], hears: A person, ends: queue service}
  - {name: The store says nothing, store: silent, does: [press 1, press 1, press 1], never_hears: [kept, will call], ends: queue service}
  - {name: The store is late, store: late, does: [press 1, press 1, press 1, wait 10s], never_hears: [kept, will call], ends: queue service}
  - {name: They hang up before, does: [press 1, press 1, hang up], ends: caller hangs up}
  - {name: They hang up after it, does: [press 1, press 1, press 1, wait 1s, hang up], ends: callback service}
";

/// The same, of a caller who comes to the offer at once.
const OFFERED: &str = "
flow: later
language: [en, es]
start: later
nodes:
  later: {callback: service, class: staff, promised: bye, declined: person, failed: person}
  bye: {hang_up: Goodbye.}
  person: {queue: service, greeting: A person will help you., no_agents: stay}
";

fn flow(source: &str) -> Arc<Flow> {
    Arc::new(Flow::parse("callback.yaml", source).unwrap_or_else(|errors| panic!("{errors:#?}")))
}

/// A session, and what it has asked for since somebody looked.
struct Call {
    session: Session,
    now: Duration,
}

impl Call {
    /// In the queue's stead: the caller has just come to the offer.
    fn begin() -> (Self, Vec<Step>) {
        let mut session = Session::new(
            flow(OFFERED),
            Facts {
                dnis: "1000".into(),
                ani_withheld: false,
                hospital: "st-anne".into(),
                hospital_name: "Saint Anne".into(),
                languages: [Language::ENGLISH].into(),
            },
        );
        session.start(Duration::ZERO);
        let mut call = Self {
            session,
            now: Duration::ZERO,
        };
        let steps = call.wants();
        (call, steps)
    }

    fn wants(&mut self) -> Vec<Step> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn tell(&mut self, input: Input) -> Vec<Step> {
        self.session.handle(self.now, input);
        self.wants()
    }

    /// Until nothing has happened for this long.
    fn pass(&mut self, time: Duration) -> Vec<Step> {
        self.now += time;
        let mut steps = Vec::new();
        while self
            .session
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.session.handle_timeout(self.now);
            steps.extend(self.wants());
        }
        steps
    }
}

fn offer() -> CallbackOffer {
    CallbackOffer {
        number: Number::new("5550177005"),
        place: true,
        times: vec![CallbackTime {
            day: CallbackDay::Today,
            hour: 11,
        }],
    }
}

fn said(steps: &[Step]) -> Option<(PlayId, String, bool)> {
    steps.iter().find_map(|step| match step {
        Step::Play {
            play,
            prompt,
            barge_in,
        } => {
            let words = prompt.iter().map(|piece| match piece {
                Piece::Text(_, words) => words.to_string(),
                Piece::NumberPairs(_, number) => number.digits().to_owned(),
                Piece::TicketPairs(..) => panic!("no ticket"),
            });
            Some((*play, words.collect::<Vec<_>>().join(" "), *barge_in))
        }
        _ => None,
    })
}

#[test]
fn the_flows_own_tests_say_it() {
    let flow = flow(FLOW);
    let results = run_tests(&flow);
    for result in &results {
        assert_eq!(result.failure, None, "{}", result.name);
    }
    assert_eq!(unvisited(&flow, &results), Vec::<&str>::new());
}

/// Invariant 13.
#[test]
fn nothing_is_said_before_it_is_on_disk() {
    let (mut call, steps) = Call::begin();
    assert_eq!(steps, [Step::AskCallback { times: true }]);
    // Pressed before anybody asked: no promise comes of it.
    assert!(call.tell(Input::Digit('1')).is_empty());
    let steps = call.tell(Input::CallbackOffer(Some(offer())));
    let (_, words, barge_in) = said(&steps).expect("an offer");
    assert!(words.contains("press 1.") && barge_in, "{words}");
    let steps = call.tell(Input::Digit('2'));
    let (_, words, _) = said(&steps).expect("the number");
    assert!(words.contains("would call: 5550177005 If"), "{words}");
    let steps = call.tell(Input::Digit('1'));
    let asked = steps.iter().find_map(|step| match step {
        Step::Promise(ask) => Some(ask),
        _ => None,
    });
    let asked = asked.expect("a promise is asked for");
    assert_eq!(
        (&*asked.queue, asked.class, &asked.number, asked.time),
        ("service", Class::Staff, &None, Some(0))
    );
    assert_eq!(said(&steps), None, "not yet");
    assert!(call.pass(Duration::from_millis(1_400)).is_empty());
    let steps = call.tell(Input::Promised(Promised::At(offer().times[0])));
    let (_, words, barge_in) = said(&steps).expect("the promise");
    assert_eq!(
        words,
        "Thank you. We will call you today, between eleven and twelve in the morning."
    );
    assert!(!barge_in, "it is heard to its end");
    assert!(call.tell(Input::Digit('0')).is_empty());
}

#[test]
fn a_promise_that_comes_too_late_is_not_said() {
    let (mut call, _) = Call::begin();
    call.tell(Input::CallbackOffer(Some(offer())));
    call.tell(Input::Digit('1'));
    call.tell(Input::Digit('1'));
    let steps = call.pass(Duration::from_millis(1_500));
    let person =
        |step: &Step| matches!(step, Step::EnterQueue { queue, .. } if &**queue == "service");
    assert!(steps.iter().any(person), "{steps:?}");
    assert!(call.tell(Input::Promised(Promised::Turn)).is_empty());
}

#[test]
fn what_is_not_offered_is_not_taken() {
    for (place, times, keys) in [
        (true, 0, "1"),
        (false, 2, "12"),
        (true, 5, "123"),
        (false, 5, "123"),
    ] {
        for key in '1'..='9' {
            let (mut call, _) = Call::begin();
            let offer = CallbackOffer {
                place,
                times: vec![offer().times[0]; times],
                ..offer()
            };
            call.tell(Input::CallbackOffer(Some(offer)));
            let steps = call.tell(Input::Digit(key));
            let (_, words, _) = said(&steps).expect("another question");
            let taken = words.starts_with("This is the number");
            assert_eq!(taken, keys.contains(key), "{place} {times} {key}: {words}");
        }
    }
    for nothing in [
        None,
        Some(CallbackOffer {
            place: false,
            times: Vec::new(),
            ..offer()
        }),
    ] {
        let (mut call, _) = Call::begin();
        let steps = call.tell(Input::CallbackOffer(nothing));
        assert!(said(&steps).is_none(), "{steps:?}");
    }
}

#[test]
fn numbers_are_in_no_log() {
    let (mut call, _) = Call::begin();
    call.tell(Input::CallbackOffer(Some(offer())));
    let steps = call.tell(Input::Digit('1'));
    let mut text = format!("{steps:?}");
    call.tell(Input::Digit('2'));
    for key in "15550142#".chars() {
        text += &format!("{:?}", call.tell(Input::Digit(key)));
    }
    let number = Number::new("15550142").expect("a number");
    text += &format!("{:?}", call.tell(Input::Number(Some(number))));
    text += &format!("{:?}", call.session);
    assert!(text.contains("CheckNumber"));
    for digits in ["5550177005", "15550142", "5550142"] {
        assert!(!text.contains(digits), "{text}");
    }
}

/// Whatever is said was rendered ahead, but for pairs of digits.
#[test]
fn everything_said_is_rendered_ahead() {
    let flow = flow(FLOW);
    let fill = Expansions {
        names: &[],
        hospital_name: "Saint Anne",
        positions: 1..=20,
    };
    let ahead: BTreeSet<(Language, String)> = prompts(&flow, &fill).collect();
    assert!(ahead.len() < 200, "{} prompts", ahead.len());
    let mut steps = Vec::new();
    for (hour, day) in (0..24).zip([0, 1, 2, 3, 4, 5, 6].into_iter().cycle()) {
        let (mut call, _) = Call::begin();
        let time = CallbackTime {
            day: CallbackDay::On(day),
            hour,
        };
        let offer = CallbackOffer {
            number: Number::new("123"),
            times: vec![time; 3],
            place: hour % 2 == 0,
        };
        steps.extend(call.tell(Input::CallbackOffer(Some(offer))));
        steps.extend(call.tell(Input::Digit('2')));
        steps.extend(call.tell(Input::Digit('1')));
        steps.extend(call.tell(Input::Promised(Promised::At(time))));
    }
    let mut count = 0;
    for step in steps {
        let Step::Play { prompt, .. } = step else {
            continue;
        };
        for piece in prompt {
            if let Piece::Text(language, words) = piece {
                count += 1;
                assert!(ahead.contains(&(language, words.to_string())), "{words}");
            }
        }
    }
    assert!(count > 300, "{count}");
}

//! Callers show who they are.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{Factor, Facts, Flow, Input, Language, Session, Step, run_tests};

const FLOW: &str = r#"
flow: reset
pace: standard
start: who
nodes:
  who: {identify: caller, next: prove}
  prove: {verify: 2, passed: which, failed: sorry, locked: person, unavailable: later}
  which:
    branch:
      - {when: 'caller.level >= 2 && caller.key == "S-17"', next: done}
    else: sorry
  done: {play: That was you., next: again}
  again: {verify: 1, passed: code, failed: sorry, locked: person, unavailable: later}
  code: {collect: 'Key in four digits.', digits: 4, next: bye, timeout: bye, invalid: bye, tries: 1}
  sorry: {play: A person will help you., next: person}
  later: {play: That can't be done now., next: person}
  person: {queue: service, no_agents: stay}
  bye: {hang_up: Goodbye.}
tests:
  - name: Of staff number, PIN and date of birth
    caller: {role: staff}
    does: ['press 4711#', 'press 90210#', press 03011980, press 1234]
    hears: [staff number, PIN, date of birth, That was you., Goodbye.]
    never_hears: [Sorry, "can't confirm"]
    ends: hang up
  - name: A date of birth and a record number, begun anew
    caller: {role: patient}
    does: ['press 0301*03011980', 'press 4711#', wait 30s]
    hears: [date of birth, record number, That was you., Goodbye.]
    ends: hang up
  - name: Three times wrong
    caller: {role: patient}
    verification: fails
    does: [press 03011980, 'press 1#', press 03011981, 'press 2#', press 03011982, 'press 3#']
    hears: [date of birth, "can't confirm", date of birth, "can't confirm", date of birth, A person will help you.]
    ends: queue service
  - name: An empty answer is a wrong one
    caller: {role: patient}
    does: ['press #', 'press #', 'press #', 'press #', 'press #', 'press #']
    hears: ["can't confirm", "can't confirm", A person will help you.]
    ends: queue service
  - name: Nobody answers
    caller: {role: patient}
    hears: [date of birth, date of birth, date of birth, A person will help you.]
    never_hears: ["can't confirm"]
    ends: queue service
  - name: Too many wrong answers before
    verification: locked
    never_hears: [date of birth]
    ends: queue service
  - name: The store is down
    verification: unavailable
    hears: [That can't be done now.]
    ends: queue service
  - name: Nobody says anything
    verification: silent
    hears: [That can't be done now.]
    ends: queue service
"#;

fn flow() -> Arc<Flow> {
    Arc::new(Flow::parse("reset.yaml", FLOW).unwrap_or_else(|errors| panic!("{errors:#?}")))
}

#[test]
fn its_own_tests_pass() {
    for result in run_tests(&flow()) {
        assert_eq!(result.failure, None, "{}", result.name);
    }
}

/// A session at its verify node, and the steps so far.
struct Call {
    session: Session,
    now: Duration,
    steps: Vec<Step>,
}

impl Call {
    fn begin(ahead: &str) -> Self {
        let facts = Facts {
            dnis: "1000".into(),
            ani_withheld: false,
            hospital: "test".into(),
            hospital_name: "the hospital".into(),
            languages: [Language::ENGLISH].into(),
        };
        let mut call = Self {
            session: Session::new(flow(), facts),
            now: Duration::ZERO,
            steps: Vec::new(),
        };
        call.session.start(call.now);
        call.keys(ahead);
        call.is_told(Input::IdentifyFailed);
        call
    }

    fn is_told(&mut self, input: Input) {
        self.session.handle(self.now, input);
        while let Some(step) = self.session.poll() {
            self.steps.push(step);
        }
    }

    fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.is_told(Input::Digit(key));
        }
    }

    fn answers(&mut self) -> Vec<(Factor, String)> {
        assert_eq!(self.steps.pop(), Some(Step::Check));
        let answers = self.session.take_answers();
        let answers = answers.into_iter();
        answers
            .map(|(factor, secret)| (factor, secret.digits().collect()))
            .collect()
    }

    fn ask(&mut self, factors: &[Factor]) {
        assert_eq!(self.steps.pop(), Some(Step::Verify { level: 2 }));
        self.is_told(Input::VerifyAsks(factors.to_vec()));
    }
}

#[test]
fn what_was_keyed_in_is_handed_out_once_and_stands_nowhere_else() {
    let mut call = Call::begin("77377");
    call.ask(&[Factor::BirthDate, Factor::Mrn]);
    call.keys("122");
    let shown = format!("{:?}", call.session);
    call.keys("51961");
    // Too much of it: the rest is dropped, not kept for the next question.
    call.keys("48151623#99");
    let expected = [
        (Factor::BirthDate, "12251961".to_owned()),
        (Factor::Mrn, "48151623".to_owned()),
    ];
    assert_eq!(call.answers(), expected);
    assert_eq!(call.session.take_answers().len(), 0, "once");
    let later = format!("{:?} {:?}", call.session, call.steps);
    for secret in ["1225", "1961", "4815", "77377"] {
        assert!(
            !shown.contains(secret) && !later.contains(secret),
            "{shown} {later}"
        );
    }
    // Neither what was keyed in nor what was pressed too early or too late is the next question's.
    let key = Some("S-17".into());
    call.is_told(Input::Verified { level: 2, key });
    let play = |steps: &[Step]| match steps.last() {
        Some(Step::Play { play, .. }) => *play,
        other => panic!("{other:?}"),
    };
    let told = play(&call.steps);
    call.is_told(Input::PlayEnded { play: told });
    assert_eq!(call.session.node(), "code");
    assert_ne!(play(&call.steps), told, "it is asked, not answered");
}

#[test]
fn a_number_ends_by_itself_when_no_more_comes() {
    let mut call = Call::begin("");
    call.ask(&[Factor::Mrn]);
    call.keys("4711");
    let due = call.session.poll_timeout().expect("a pause ends it");
    assert!(due <= Duration::from_secs(4));
    call.now = due;
    call.session.handle_timeout(due);
    call.is_told(Input::Digit('9'));
    assert_eq!(call.answers(), [(Factor::Mrn, "4711".to_owned())]);
}

/// Late, doubled and foreign answers change nothing.
#[test]
fn only_who_is_asked_is_answered() {
    let mut call = Call::begin("");
    call.is_told(Input::NotVerified);
    call.ask(&[Factor::Pin]);
    let steps = call.steps.len();
    for input in [
        Input::VerifyAsks(vec![Factor::Mrn]),
        Input::NotVerified,
        Input::CannotVerify { locked: true },
    ] {
        call.is_told(input);
    }
    assert_eq!(call.steps.len(), steps);
    assert_eq!(call.session.node(), "prove");
}

#[test]
fn faulty_nodes_are_refused() {
    let check = |node: &str, expected: &str| {
        let text = format!(
            "flow: x\nstart: a\nnodes:\n  a: {node}\n  b: {{queue: service, no_agents: stay}}"
        );
        let errors = Flow::parse("x", &text).expect_err(node);
        assert!(
            errors.iter().any(|error| error.message.contains(expected)),
            "{node}: {errors:?}"
        );
    };
    let all = "failed: b, locked: b, unavailable: b";
    check(&format!("{{verify: 0, passed: b, {all}}}"), "from 1 to 3");
    check(
        &format!("{{verify: 3, passed: b, {all}}}"),
        "level 3 isn't available",
    );
    check(&format!("{{verify: 2, {all}}}"), "`passed` is missing");
    check(
        "{verify: 2, passed: b, failed: b, locked: b}",
        "`unavailable` is missing",
    );
    check(
        &format!("{{verify: 2, passed: a, {all}}}"),
        "a loop without a way out",
    );
}

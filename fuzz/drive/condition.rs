//! Conditions: an input is the CEL text of a branch. It is checked within a flow, and a call walks through the branch.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{CallerFacts, Facts, Flow, HangUpCause, Input, Piece, Role, Session, Step};

use super::bounds::within;

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let source = document(&text);
    // At check time: the parser's tree, and every path with some facts unknown.
    let parsed = within(input.len(), 20_000, 2_000_000, || {
        Flow::parse("condition.yaml", &source)
    });
    let flow = match parsed {
        Ok(flow) => Arc::new(flow),
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= 50);
            for error in errors {
                assert!(
                    error.to_string().len() <= 4_000,
                    "a message of bounded size"
                );
            }
            return;
        }
    };
    for (role, dnis) in Role::ALL
        .into_iter()
        .zip(["1000", "+15550100", "", "1001", "2"])
    {
        let withheld = dnis.len() % 2 == 1;
        let first = walk(&flow, role, dnis, withheld);
        let again = walk(&flow, role, dnis, withheld);
        assert_eq!(first, again, "the same call, the same way");
    }
}

/// A flow whose branch asks `condition`, before and behind which a digit is collected.
fn document(condition: &str) -> String {
    let mut source = String::from(
        "flow: asks\nabout: A condition.\npace: standard\nlanguage: en\nstart: who\nnodes:\n  \
         who: {identify: caller, place: ask, clinician: ask, staff: ask, patient: ask, unknown: ask}\n  \
         ask: {collect: Enter a number., digits: 4, next: which, timeout: which, invalid: which}\n  \
         which: {branch: [{when: \"",
    );
    for letter in condition.chars() {
        match letter {
            ' '..='~' if letter != '"' && letter != '\\' => source.push(letter),
            _ => {
                let _ = write!(source, "\\U{:08x}", u32::from(letter));
            }
        }
    }
    source.push_str("\", next: yes_way}], else: no_way}\n  yes_way: {hang_up: Yes.}\n  no_way: {hang_up: No.}\n");
    source
}

/// Walks through the flow; whether the condition held. At run time it costs no more than a few prompts.
fn walk(flow: &Arc<Flow>, role: Role, dnis: &str, ani_withheld: bool) -> bool {
    let facts = Facts {
        dnis: dnis.into(),
        ani_withheld,
        hospital: "st-anne".into(),
        hospital_name: "Saint Anne".into(),
        languages: [ivr_flows::Language::ENGLISH].into(),
    };
    let now = Duration::from_secs(1);
    let mut session = Session::new(Arc::clone(flow), facts);
    within(0, 0, 8_192, || {
        session.start(now);
        session.handle(
            now,
            Input::Identified(CallerFacts {
                role,
                known: role != Role::Unknown,
                ..CallerFacts::UNKNOWN
            }),
        );
        for key in "1234".chars() {
            session.handle(now, Input::Digit(key));
        }
        let mut said = None;
        while let Some(step) = session.poll() {
            match step {
                Step::Play { play, prompt, .. } => {
                    if let Some(Piece::Text(_, text)) = prompt.first() {
                        said = match &**text {
                            "Yes." => Some((play, true)),
                            "No." => Some((play, false)),
                            _ => said,
                        };
                    }
                }
                Step::HangUp { cause } => assert_ne!(cause, HangUpCause::Broken),
                _ => {}
            }
        }
        let (play, yes) = said.expect("one of the two ways");
        session.handle(now, Input::PlayEnded { play });
        yes
    })
}

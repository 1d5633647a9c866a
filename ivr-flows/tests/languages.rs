//! A language chosen in that language, and what is spoken from there on.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{
    Expansions, Facts, Flow, Input, Language, Piece, PlayId, Session, Step, prompts, run_tests,
};

const PORTAL: &str = r#"
flow: portal
pace: patient
language: [en, es]
start: tongue
nodes:
  tongue:
    language:
      "9": {speak: es, say: "Para español, oprima el nueve."}
    next: emergency
  emergency:
    play: {en: "Dial nine one one.", es: "Marque nueve uno uno."}
    barge_in: false
    next: ask
  ask:
    menu: {en: "To sign in, press 1. For a person, press 0.", es: "Para entrar, oprima uno. Para una persona, oprima cero."}
    options:
      "1": ticket
      "2": ticket
      "3": ticket
      "0": ticket
      "9": {next: ask, language: es}
    timeout: ticket
    invalid: ticket
  ticket: {ticket: open, on_ticket: number, on_store_down: person}
  number:
    play: {en: "Your number is {ticket.number}.", es: "Su número es {ticket.number}."}
    next: only
  only: {play: This is said in English alone., next: person}
  person: {queue: patients, no_agents: stay}
tests:
  - name: In English
    does: [wait, wait, press 1]
    hears: ["Para español, oprima el nueve.", Dial nine one one., "To sign in, press 1.", Your number is 47 19 20 38 55, You are next in line.]
    never_hears: [Marque]
    ends: queue patients
  - name: In Spanish
    does: [press 9, press 1]
    hears: ["Para español", Marque nueve uno uno., "Para entrar, oprima uno.", Su número es 47 19 20 38 55, This is said in English alone., Usted es el siguiente en la cola.]
    never_hears: [Dial nine]
    ends: queue patients
  - name: A key for the menu is no language
    does: [press 0 at once]
    hears: ["Para español", Dial nine one one., Your number is]
    never_hears: ["To sign in"]
    ends: queue patients
  - name: The language is asked for late
    does: [wait, wait, press 9, press 1]
    hears: ["To sign in", "Para entrar", Su número es]
    ends: queue patients
"#;

fn flow() -> Arc<Flow> {
    Arc::new(Flow::parse("portal.yaml", PORTAL).unwrap_or_else(|errors| panic!("{}", errors[0])))
}

fn es() -> Language {
    Language::from_tag("es").expect("two letters")
}

#[test]
fn its_own_tests_pass() {
    for result in run_tests(&flow()) {
        assert_eq!(result.failure, None, "{}", result.name);
    }
}

/// Walks to the end of each prompt, pressing `keys` at the questions.
fn heard(languages: &[Language], keys: &str) -> Vec<Piece> {
    let mut session = Session::new(
        flow(),
        Facts {
            dnis: "1003".into(),
            ani_withheld: true,
            hospital: "st-anne".into(),
            hospital_name: "Saint Anne".into(),
            languages: languages.into(),
        },
    );
    let mut keys = keys.chars();
    let mut now = Duration::ZERO;
    let mut heard = Vec::new();
    session.start(now);
    for _ in 0..40 {
        let mut on_air = None;
        let mut ticket = false;
        while let Some(step) = session.poll() {
            match step {
                Step::Play { play, prompt, .. } | Step::Announce { play, prompt } => {
                    heard.extend(prompt);
                    on_air = Some(play);
                }
                Step::OpenTicket { .. } => ticket = true,
                _ => {}
            }
        }
        if ticket {
            session.handle(now, Input::Ticket("4719203855".into()));
        } else if let Some(play) = on_air {
            let play: PlayId = play;
            session.handle(now, Input::PlayEnded { play });
        } else if session.node() == "person" {
            break;
        } else if let Some(key) = keys.next() {
            session.handle(now, Input::Digit(key));
        } else if let Some(due) = session.poll_timeout() {
            now = due;
            session.handle_timeout(now);
        }
    }
    heard
}

#[test]
fn every_piece_says_its_language() {
    let pieces = heard(&[Language::ENGLISH, es()], "91");
    let tags: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(language, _) => format!("{language} "),
            Piece::TicketPairs(language, _) | Piece::NumberPairs(language, _) => {
                format!("#{language} ")
            }
        })
        .collect();
    // Offer, emergency, menu, number, English alone.
    assert_eq!(tags, "es es es es #es en ", "{pieces:?}");
}

/// Without a Spanish voice nobody is offered Spanish, and nobody waits for it.
#[test]
fn a_language_without_a_voice_is_not_offered() {
    let pieces = heard(&[Language::ENGLISH], "91");
    assert!(
        pieces.iter().all(|piece| matches!(
            piece,
            Piece::Text(Language::ENGLISH, _) | Piece::TicketPairs(Language::ENGLISH, _)
        )),
        "{pieces:?}"
    );
    assert!(matches!(&pieces[0], Piece::Text(_, text) if &**text == "Dial nine one one."));
}

#[test]
fn prompts_are_listed_by_language() {
    let flow = flow();
    let fill = Expansions {
        names: &[],
        hospital_name: "Saint Anne",
        positions: 1..=20,
    };
    let known: Vec<(Language, String)> = prompts(&flow, &fill).collect();
    let has = |language: Language, text: &str| known.contains(&(language, text.to_owned()));
    assert!(has(es(), "Para español, oprima el nueve."));
    assert!(has(Language::ENGLISH, "Dial nine one one."));
    assert!(has(es(), "Marque nueve uno uno."));
    assert!(has(es(), "Usted es el número 7 en la cola."));
    assert!(has(Language::ENGLISH, "This is said in English alone."));
    assert!(!has(es(), "This is said in English alone."));
    assert_eq!(
        flow.untranslated().collect::<Vec<_>>(),
        [("only", es())],
        "what isn't translated is told"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let check = |head: &str, node: &str, expected: &str| {
        let source =
            format!("flow: t\n{head}\nstart: a\nnodes:\n  a: {node}\n  b: {{hang_up: Bye.}}\n");
        let errors = Flow::parse("t", &source).expect_err("refused");
        let shown = errors[0].to_string();
        assert!(shown.starts_with(expected), "{shown}");
    };
    check(
        "language: [en, spanish]",
        "{play: Hello., next: b}",
        "t:2:1: `language` names languages by two small letters",
    );
    check(
        "language: [en]",
        "{play: {en: Hello., es: Hola.}, next: b}",
        "t:5:26: a: this flow doesn't speak \"es\"",
    );
    check(
        "language: [en, es]",
        "{language: fr, next: b}",
        "t:5:7: a: this flow doesn't speak \"fr\"",
    );
    check(
        "language: [en, es]",
        "{language: {'9': {speak: es}}, next: b}",
        "t:5:18: a: `say` is missing: a language is offered in that language",
    );
    check(
        "language: [en, es]",
        "{language: {'9': {speak: es, say: 'Hola {caller.name}.'}}, next: b}",
        "t:5:35: a: only {hospital.name} can be said here",
    );
    check(
        "language: [en, es]",
        "{language: {}, next: b}",
        "t:5:7: a: `language` offers nothing",
    );
    check(
        "language: [en, es]\npace: patient",
        "{menu: Press 0., options: {0: q, 1: b, 2: b, 3: b, 4: b}, timeout: b, invalid: b}\n  q: {queue: x, no_agents: stay}",
        "t:6:23: a: the menu has 4 options besides 0",
    );
}

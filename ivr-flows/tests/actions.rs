//! HTTP actions, as a session sees them: what is asked, what is taken of an
//! answer, and what the caller hears meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{
    Facts, Fields, Flow, Input, Language, Piece, PlayId, Rehearsal, Session, Step, Val, run_tests,
    unvisited,
};

const FLOW: &str = "
flow: systems
variables: {system: text, works: yes-or-no, minutes: number, about: text}
start: which
nodes:
  which: {collect: Which system?, digits: 2, next: note, timeout: desk, invalid: desk}
  note: {set: {system: digits, minutes: 7}, next: ask}
  ask:
    http: {action: system-status, with: {system: vars.system, again: 'attempts > 0', count: vars.minutes}, save: {works: works, minutes: in, about: about}}
    ok: told
    failed: desk
  told: {branch: [{when: 'vars.works && vars.minutes == 7', next: as_it_was}, {when: vars.works, next: works}, {when: 'vars.minutes > 20', next: long}], else: soon}
  as_it_was: {hang_up: Nothing new.}
  works: {hang_up: It works.}
  soon: {hang_up: It works again soon.}
  long: {hang_up: It takes a while.}
  desk: {queue: service, no_agents: stay, announce: false}
tests:
  - {name: Works, http: {system-status: {works: true, in: 0, about: Fine.}}, does: [press 12], hears: It works., ends: hang up}
  - {name: Soon, http: {system-status: {works: false, in: 20, about: x}}, does: [press 12], hears: soon, ends: hang up}
  - {name: Long, http: {system-status: {works: false, in: 21, about: x}}, does: [press 12], hears: a while, ends: hang up}
  - {name: Late, does: [press 12, wait 4s, 'action answers works=true, in=0, about=Late but fine'], hears: ['One moment, please.', It works.], ends: hang up}
  - {name: Fails, http: {system-status: fails}, does: [press 12], never_hears: [One moment], ends: queue service}
  - {name: Fails late, does: [press 12, wait 3s, action fails], hears: [One moment], ends: queue service}
  - {name: Never, http: {system-status: never}, does: [press 12], hears: [One moment], ends: queue service}
  - {name: Nobody says what it answers, does: [press 12], ends: queue service}
  - {name: A field is missing, http: {system-status: {works: true, in: 0}}, does: [press 12], ends: queue service}
  - {name: A field is something else, http: {system-status: {works: true, in: soon, about: x}}, does: [press 12], ends: queue service}
  - {name: Gone, does: [press 12, wait 2s, hang up], ends: caller hangs up}
  - {name: As it was, http: {system-status: {works: true, in: 7, about: x}}, does: [press 12], hears: Nothing new., ends: hang up}
";

fn flow(source: &str) -> Arc<Flow> {
    Arc::new(Flow::parse("actions.yaml", source).unwrap_or_else(|errors| panic!("{errors:#?}")))
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn fields(fields: &[(&str, Val)]) -> Fields {
    let fields = fields.iter();
    fields
        .map(|(name, value)| (Arc::from(*name), value.clone()))
        .collect()
}

/// A session in which the system was keyed in, and everything that it wanted since.
fn asked(source: &str) -> (Session, Vec<Step>) {
    let mut session = Session::new(
        flow(source),
        Facts {
            dnis: "1000".into(),
            ani_withheld: false,
            hospital: "st-anne".into(),
            hospital_name: "Saint Anne".into(),
            languages: [Language::ENGLISH].into(),
        },
    );
    session.start(Duration::ZERO);
    while session.poll().is_some() {}
    for key in ['1', '2'] {
        session.handle(Duration::ZERO, Input::Digit(key));
    }
    let steps = wants(&mut session);
    (session, steps)
}

fn wants(session: &mut Session) -> Vec<Step> {
    std::iter::from_fn(|| session.poll()).collect()
}

/// What is said among these, and as what.
fn said(steps: &[Step]) -> Vec<(PlayId, String)> {
    let words = |prompt: &Vec<Piece>| match &prompt[..] {
        [Piece::Text(_, words)] => words.to_string(),
        other => panic!("{other:?}"),
    };
    let said = steps.iter().filter_map(|step| match step {
        Step::Announce { play, prompt } | Step::Play { play, prompt, .. } => {
            Some((*play, words(prompt)))
        }
        _ => None,
    });
    said.collect()
}

fn in_queue(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, Step::EnterQueue { .. }))
}

#[test]
fn the_flows_own_tests_answer_for_the_action() {
    let flow = flow(FLOW);
    let results = run_tests(&flow);
    for result in &results {
        assert_eq!(result.failure, None, "{}", result.name);
    }
    assert_eq!(unvisited(&flow, &results), Vec::<&str>::new());
}

#[test]
fn what_is_asked_is_flat_typed_and_told_apart() {
    let (_, steps) = asked(FLOW);
    let call = steps.iter().find_map(|step| match step {
        Step::CallAction(call) => Some(call),
        _ => None,
    });
    let call = call.expect("an action is called");
    assert_eq!(
        (&*call.action, &*call.node, call.visit, call.music),
        ("system-status", "ask", 1, true)
    );
    let sent = fields(&[
        ("system", Val::Text("12".into())),
        ("again", Val::Truth(false)),
        ("count", Val::Number(7)),
    ]);
    assert_eq!(call.with, sent);
    let wanted: Vec<&str> = call.wanted.iter().map(|name| &**name).collect();
    assert_eq!(wanted, ["works", "in", "about"]);
    let printed = format!("{steps:?}");
    assert!(!printed.contains("12\""), "what was keyed in: {printed}");
}

/// All of it or nothing: a variable never holds half an answer.
#[test]
fn an_answer_that_isnt_whole_changes_nothing() {
    let fine = || {
        vec![
            ("works", Val::Truth(true)),
            ("in", Val::Number(3)),
            ("about", Val::Text("Fine.".into())),
        ]
    };
    let (mut session, _) = asked(FLOW);
    session.handle(secs(0.2), Input::ActionAnswered(fields(&fine())));
    assert_eq!(said(&wants(&mut session))[0].1, "It works.");
    let long = "x".repeat(201);
    let bad = [
        ("works", Val::Text("true".into())),
        ("works", Val::Number(1)),
        ("in", Val::Text("3".into())),
        ("in", Val::Truth(true)),
        ("about", Val::Number(5)),
        ("about", Val::Text(long.as_str().into())),
        ("about", Val::Text("line\nbreak".into())),
        ("about", Val::Text("\u{1b}[2J".into())),
    ];
    for (name, value) in bad {
        let mut answer = fine();
        answer.retain(|(other, _)| *other != name);
        let (mut session, _) = asked(FLOW);
        session.handle(secs(0.2), Input::ActionAnswered(fields(&answer)));
        assert!(in_queue(&wants(&mut session)), "without {name}");
        answer.push((name, value.clone()));
        let (mut session, _) = asked(FLOW);
        session.handle(secs(0.2), Input::ActionAnswered(fields(&answer)));
        assert!(in_queue(&wants(&mut session)), "{name} is {value:?}");
    }
}

#[test]
fn who_waits_hears_something_after_a_second() {
    let (mut session, steps) = asked(FLOW);
    assert_eq!(said(&steps), []);
    assert_eq!(session.poll_timeout(), Some(secs(1.0)));
    session.handle_timeout(secs(1.0));
    let steps = wants(&mut session);
    let (play, words) = &said(&steps)[0];
    assert_eq!(words, "One moment, please.");
    assert!(matches!(steps[0], Step::Announce { .. }), "music behind it");
    // The answer comes in the midst of it: said to its end, then on.
    session.handle(secs(1.4), Input::ActionFailed);
    assert_eq!(wants(&mut session), []);
    session.handle(secs(2.6), Input::PlayEnded { play: *play });
    assert!(in_queue(&wants(&mut session)));
}

#[test]
fn what_the_node_says_is_said_at_once_and_a_key_cuts_it_short() {
    let source = FLOW.replace("    ok: told", "    say: We are looking.\n    ok: told");
    let (mut session, steps) = asked(&source);
    let (play, words) = said(&steps)[0].clone();
    assert_eq!(words, "We are looking.");
    let answer = fields(&[
        ("works", Val::Truth(false)),
        ("in", Val::Number(3)),
        ("about", Val::Text("".into())),
    ]);
    session.handle(secs(0.3), Input::ActionAnswered(answer.clone()));
    // Doubled, and something else behind it: the first answer counts.
    session.handle(secs(0.4), Input::ActionAnswered(answer));
    session.handle(secs(0.4), Input::ActionFailed);
    session.handle(secs(0.5), Input::Digit('5'));
    assert_eq!(wants(&mut session), []);
    session.handle(secs(0.5), Input::PlayCut { play });
    assert_eq!(said(&wants(&mut session))[0].1, "It works again soon.");
}

#[test]
fn an_answer_that_never_comes_is_none() {
    let (mut session, _) = asked(FLOW);
    let mut now = Duration::ZERO;
    let mut queued = false;
    let mut rounds = 0;
    while !queued {
        now = session.poll_timeout().expect("something is waited for");
        assert!(now <= secs(21.0), "longer than any deadline");
        session.handle_timeout(now);
        let steps = wants(&mut session);
        for (play, _) in said(&steps) {
            session.handle(now + secs(1.0), Input::PlayEnded { play });
        }
        queued = in_queue(&steps) || in_queue(&wants(&mut session));
        rounds += 1;
        assert!(rounds < 10, "timers run in circles");
    }
    assert_eq!(now, secs(20.0));
    // It comes all the same: nobody waits for it any more.
    session.handle(now, Input::ActionAnswered(Fields::default()));
    assert_eq!(wants(&mut session), []);
}

#[test]
fn a_trial_call_asks_whoever_types() {
    let flow = flow(FLOW);
    let caller = ivr_flows::CallerFacts::UNKNOWN;
    let mut call = Rehearsal::start(&flow, caller.clone());
    assert!(call.act("action fails").is_err(), "nothing is keyed in");
    let mut call = Rehearsal::start(&flow, caller);
    assert_eq!(call.asked(), None);
    call.act("press 12").expect("it is asked for");
    let asked = call.asked().expect("the action waits");
    assert_eq!(
        asked,
        "system-status is sent {again=false, count=7, system=\"12\"}: \
         action answers works=true, in=3, about=words, or action fails"
    );
    assert!(call.act("action answers works").is_err(), "no value");
    call.act("action answers works=true, in=3, about=a fine day")
        .expect("it waits");
    assert_eq!(call.asked(), None);
    assert_eq!(call.heard().last().map(String::as_str), Some("It works."));
}

#[test]
fn the_checker_refuses_what_cannot_work() {
    let check = |from: &str, to: &str, said: &str| {
        assert!(FLOW.contains(from), "{from}");
        let source = FLOW.replace(from, to);
        let errors = match Flow::parse("t.yaml", &source) {
            Ok(_) => String::new(),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        assert!(errors.contains(said), "{to}: {errors}");
    };
    let node = "{action: system-status,";
    check(node, "{", "the node doesn't say which `action` it calls");
    check(
        node,
        "{action: 'https://evil.example/',",
        "can't be an action's name",
    );
    check(node, "{action: a, url: x,", "`url` isn't a key of `http`");
    check(
        node,
        "{action: a, headers: x,",
        "`headers` isn't a key of `http`",
    );
    check("    ok: told\n", "", "`ok` is missing");
    check("    failed: desk\n", "", "`failed` is missing");
    check(
        "failed: desk\n",
        "failed: ask\n",
        "a loop without a way out: ask → ask",
    );
    check("failed: desk\n", "failed: dsk\n", "there is no such node");
    check(
        "system: vars.system,",
        "'a b': digits,",
        "\"a b\" can't be a field's name",
    );
    check(
        "system: vars.system,",
        "system: [1],",
        "`system` must be an expression",
    );
    check(
        "system: vars.system,",
        "system: vars.sistem,",
        "there is no variable `vars.sistem`",
    );
    check(
        "about: about}}\n    ok",
        "abuot: about}}\n    ok",
        "Is `about` meant?",
    );
    check(
        "about: about}}\n    ok",
        "about: 'a/b'}}\n    ok",
        "\"a/b\" can't be a field's name",
    );
    check(
        "about: about}}\n    ok",
        "about: {a: b}}}\n    ok",
        "is kept from a field of the answer, not from a map",
    );
    check(
        "    ok: told\n",
        "    ok: told\n    music: false\n",
        "waits in silence",
    );
    check(
        "    ok: told\n",
        "    ok: told\n    say: 'Hello {caller.name}.'\n",
        "the caller may hear nothing",
    );
    check(
        "{system-status: fails}",
        "{system-status: perhaps}",
        "`http` can't hold this for `system-status`",
    );
    let many: String = (0..17).map(|n| format!("f{n}: digits, ")).collect();
    check(
        "system: vars.system,",
        &many,
        "`with` has more than 16 entries",
    );
}

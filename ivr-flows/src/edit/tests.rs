use granit_parser::ScalarStyle;

use super::*;

fn path(path: &str) -> Vec<At> {
    let step = |step: &str| match step.parse::<usize>() {
        Ok(n) if !path.contains("options") => At::Item(n),
        _ => At::from(step),
    };
    path.split('.')
        .filter(|step| !step.is_empty())
        .map(step)
        .collect()
}

fn text(words: &str) -> Yaml {
    Yaml::Text(words.to_owned())
}

fn map(entries: &[(&str, Yaml)]) -> Yaml {
    let entry = |(key, value): &(&str, Yaml)| ((*key).to_owned(), value.clone());
    Yaml::Map(entries.iter().map(entry).collect())
}

fn list(items: &[&str]) -> Yaml {
    Yaml::List(items.iter().map(|item| text(item)).collect())
}

fn document(source: &str) -> Document {
    Document::read("t", source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

/// An edit of one text is the other.
fn check(before: &str, edit: impl Fn(&mut Document) -> Result<(), EditError>, after: &str) {
    let mut edited = document(before);
    let done = edit(&mut edited);
    assert_eq!(done, Ok(()), "{before}");
    assert_eq!(edited.text(), after);
    assert_eq!(edited, document(after));
}

fn style(spot: &Spot) -> Option<ScalarStyle> {
    match &spot.shape {
        layout::Shape::Scalar(style) => Some(*style),
        _ => None,
    }
}

fn set(at: &str, value: Yaml) -> impl Fn(&mut Document) -> Result<(), EditError> {
    move |document| document.set(&path(at), value.clone())
}

fn remove(at: &str) -> impl Fn(&mut Document) -> Result<(), EditError> {
    move |document| document.remove(&path(at))
}

#[test]
fn a_scalar_keeps_its_style_and_its_neighbours() {
    for (before, value, after) in [
        ("a:  x  # why\nb: y\n", "z", "a:  z  # why\nb: y\n"),
        ("a: 'x'\n", "it's", "a: 'it''s'\n"),
        ("a: \"x\" # q\n", "y\"z", "a: \"y\\\"z\" # q\n"),
        ("a: x\n", "y: z", "a: \"y: z\"\n"),
        ("a: x\n", "# no comment", "a: \"# no comment\"\n"),
        ("a: x\n", "", "a: \"\"\n"),
        ("a: x", "~", "a: \"~\""),
        ("a: x\n", "007", "a: 007\n"),
        ("a: [x, y]\n", "y", "a: y\n"),
        ("{b: 1, a:   x }\n", "y, z", "{b: 1, a:   \"y, z\" }\n"),
        ("a:\n\nb: 1\n", "x", "a: x\n\nb: 1\n"),
        ("a:  # why\nb: 1\n", "x", "a: x  # why\nb: 1\n"),
        ("a: x\r\nb: y\r\n", "z", "a: z\r\nb: y\r\n"),
        ("é: 1\na: \"ü\" # ö\n", "ß", "é: 1\na: \"ß\" # ö\n"),
    ] {
        check(before, set("a", text(value)), after);
    }
}

#[test]
fn a_folded_text_stays_folded() {
    check(
        "a: >  # said slowly\n  One two\n  three.\n\n# next\nb: 1\n",
        set("a", text("One two three four.\n")),
        "a: >\n  One two three four.\n\n# next\nb: 1\n",
    );
    check(
        "a:\n  - >-\n    One.\n  - b\n",
        set("a.0", text("Two three.")),
        "a:\n  - >-\n    Two three.\n  - b\n",
    );
    // Where lines would say something else.
    check(
        "a: >\n  One.\nb: 1\n",
        set("a", text("Two  blanks.\n")),
        "a: \"Two  blanks.\\n\"\nb: 1\n",
    );
    let long = "word ".repeat(40) + "end.\n";
    let mut edited = document("a: |\n  x\nb: >\n  One.\n");
    assert_eq!(edited.set(&path("b"), text(&long)), Ok(()));
    assert!(edited.text().lines().all(|line| line.len() <= write::WIDTH));
    let layout = layout::layout(edited.text()).expect("it can be laid out");
    let styles = layout
        .pairs()
        .expect("a map")
        .iter()
        .map(|pair| style(&pair.value));
    let expected = [ScalarStyle::Literal, ScalarStyle::Folded].map(Some);
    assert_eq!(styles.collect::<Vec<_>>(), expected);
}

const FLOW: &str = "\
# A flow.
flow: small
start: ask   # here

nodes:
  # The question.
  ask:
    menu: Press 1.
    options:
      \"1\": desk   # the desk
      \"2\": {next: bye, role: staff}
    timeout: desk
    invalid: bye

  # The desk.
  desk: {queue: service, no_agents: bye}

  bye:
    hang_up: Goodbye.  # for good

tests:
  - name: One
    does: [press 1]
    passes: [ask, desk]
    ends: queue service
  # The other.
  - name: Two
    ends: hang up
";

#[test]
fn keys_and_items_are_added_where_they_belong() {
    for (at, value, before, after) in [
        (
            "nodes.more",
            map(&[("play", text("More.")), ("next", text("bye"))]),
            "  # for good\n",
            "  # for good\n\n  more:\n    play: More.\n    next: bye\n",
        ),
        (
            "nodes.desk.after",
            text("bye"),
            "no_agents: bye}",
            "no_agents: bye, after: bye}",
        ),
        (
            "nodes.ask.tries",
            text("2"),
            "    invalid: bye\n",
            "    invalid: bye\n    tries: 2\n",
        ),
        (
            "nodes.ask.options.3",
            map(&[("next", text("bye"))]),
            "role: staff}\n",
            "role: staff}\n      \"3\": {next: bye}\n",
        ),
        (
            "nodes.ask.options.*",
            text("bye"),
            "role: staff}\n",
            "role: staff}\n      \"*\": bye\n",
        ),
        (
            "tests.2",
            map(&[
                ("name", text("Three")),
                ("does", list(&["wait", "press 2"])),
            ]),
            "    ends: hang up\n",
            "    ends: hang up\n  - name: Three\n    does: [wait, press 2]\n",
        ),
        (
            "tests.0.does.1",
            text("answer"),
            "[press 1]",
            "[press 1, answer]",
        ),
        (
            "about",
            text("Small: very."),
            "    ends: hang up\n",
            "    ends: hang up\n\nabout: \"Small: very.\"\n",
        ),
    ] {
        let after = FLOW.replace(before, after);
        assert_ne!(after, FLOW, "{at}");
        check(FLOW, set(at, value.clone()), &after);
    }
    check("a: {}\n", set("a.b", text("c")), "a: {b: c}\n");
    check("a: []  # none\n", set("a.0", text("c")), "a: [c]  # none\n");
    check("a:\n- b # c", set("a.1", text("d")), "a:\n- b # c\n- d");
}

#[test]
fn keys_and_items_are_taken_out_with_their_lines() {
    for (at, before, after) in [
        (
            "nodes.bye",
            "  bye:\n    hang_up: Goodbye.  # for good\n",
            "",
        ),
        (
            "nodes.desk",
            "  desk: {queue: service, no_agents: bye}\n",
            "",
        ),
        ("nodes.desk.queue", "{queue: service, no", "{no"),
        (
            "nodes.desk.no_agents",
            "service, no_agents: bye}",
            "service}",
        ),
        (
            "nodes.ask.options.1",
            "      \"1\": desk   # the desk\n",
            "",
        ),
        ("nodes.ask.options.2.role", ", role: staff", ""),
        ("tests.0.name", "name: One\n    ", ""),
        ("tests.0.does.0", "[press 1]", "[]"),
        ("tests.0.passes.0", "[ask, ", "["),
        ("tests.1", "  - name: Two\n    ends: hang up\n", ""),
        ("start", "start: ask   # here\n", ""),
    ] {
        let after = FLOW.replacen(before, after, 1);
        assert_ne!(after, FLOW, "{at}");
        check(FLOW, remove(at), &after);
    }
    check("a:\n  b: c\nd: e", remove("a.b"), "a: {}\nd: e");
    check("a:\n- b\nd: e", remove("a.0"), "a: []\nd: e");
    check("a: b\nd: e", remove("d"), "a: b");
    check("a: [x, y,]\n", remove("a.1"), "a: [x,]\n");
    check(
        "a: [\n  x, # one\n  y  # two\n]\n",
        remove("a.1"),
        "a: [\n  x, # one\n    # two\n]\n",
    );
}

#[test]
fn a_node_is_written_anew_only_where_it_differs() {
    let mut asked = document(FLOW);
    let mut ask = asked.get(&path("nodes.ask")).cloned().expect("a node");
    ask.set(&path("options.1"), text("bye")).expect("an option");
    ask.set(&path("menu"), text("Press 1: now."))
        .expect("a text");
    ask.remove(&path("invalid")).expect("an exit");
    ask.set(&path("tries"), text("2")).expect("a key");
    assert_eq!(asked.set(&path("nodes.ask"), ask), Ok(()));
    let after = FLOW
        .replace("\"1\": desk   # the desk", "\"1\": bye   # the desk")
        .replace("Press 1.", "\"Press 1: now.\"")
        .replace("    invalid: bye\n", "    tries: 2\n");
    assert_eq!(asked.text(), after);
}

#[test]
fn a_node_is_renamed_everywhere() {
    let renamed = |from: &'static str, to: &'static str| {
        move |document: &mut Document| document.rename_node(from, to)
    };
    check(
        FLOW,
        renamed("desk", "service"),
        &FLOW
            .replace("\"1\": desk ", "\"1\": service ")
            .replace("timeout: desk", "timeout: service")
            .replace("  desk: {", "  service: {")
            .replace("[ask, desk]", "[ask, service]"),
    );
    check(
        FLOW,
        renamed("ask", "question"),
        &FLOW
            .replace("start: ask", "start: question")
            .replace("  ask:", "  question:")
            .replace("[ask,", "[question,"),
    );
    check(
        FLOW,
        renamed("bye", "end"),
        &FLOW.replace("bye", "end").replace("Goodend", "Goodbye"),
    );
    let mut small = document(FLOW);
    for (from, to, expected) in [
        ("nobody", "x", EditError::NoSuchPlace),
        ("ask", "Ask", EditError::BadName),
        ("ask", "stay", EditError::BadName),
        ("ask", "bye", EditError::NameTaken),
    ] {
        assert_eq!(small.rename_node(from, to), Err(expected));
    }
    assert_eq!(small.text(), FLOW);
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let mut small = document(FLOW);
    for at in ["nodes.x.y", "tests.7", "flow.x", ""] {
        assert_eq!(small.remove(&path(at)), Err(EditError::NoSuchPlace), "{at}");
    }
    assert_eq!(
        small.set(&path("tests.4"), text("x")),
        Err(EditError::NoSuchPlace)
    );
    let deep = (0..14).fold(text("x"), |inner, _| Yaml::List(vec![inner]));
    let refused = small.set(&path("about"), deep);
    assert!(
        matches!(refused, Err(EditError::Unreadable(_))),
        "{refused:?}"
    );
    assert_eq!(small.text(), FLOW);
    // Its neighbour would have to move.
    let mut nested = document("a:\n  - - b  # one\n    # two\n    - c\n");
    assert_eq!(nested.remove(&path("a.0.0")), Err(EditError::Entangled));
}

#[test]
fn lines_of_a_piece() {
    let small = document(FLOW);
    for (at, lines) in [
        ("nodes.ask", 7..=13),
        ("nodes.desk", 16..=16),
        ("nodes.desk.queue", 16..=16),
        ("tests.1", 27..=28),
        ("start", 3..=3),
    ] {
        assert_eq!(small.lines(&path(at)), Some(lines), "{at}");
    }
    assert_eq!(small.lines(&path("nodes.nobody")), None);
}

//! Hours, closing on the spot, and what is served changes.

use super::*;

pub(super) async fn hours_decide_where_a_call_goes() {
    let house = House::open("hours").await;
    for (number, words) in [
        ("1006", "The desk is open."),
        ("2006", "The desk is closed."),
    ] {
        let mut caller = house.caller(WITHHELD, 0).await;
        caller.dial(number).await;
        caller.hears(words).await;
    }
}

pub(super) async fn a_desk_is_closed_on_the_spot() {
    let house = House::open("closed").await;
    for (question, words) in [
        (
            "close\tst-anne\tdesk\t30\ta flood",
            "The desk had to close.",
        ),
        ("reopen\tst-anne\tdesk", "The desk is open."),
    ] {
        house.asks(question).await.expect("done");
        let mut caller = house.caller(WITHHELD, 0).await;
        caller.dial("1006").await;
        caller.hears(words).await;
    }
    // What never opens is open for a while; then it keeps its hours again.
    house
        .asks("open\tmercy\tdesk\t30\topen house")
        .await
        .expect("done");
    let mut caller = house.caller(WITHHELD, 0).await;
    caller.dial("2006").await;
    caller.hears("The desk is open.").await;
    house.asks("reopen\tmercy\tdesk").await.expect("done");
    // All of it stands in the log.
    let desk = FlowName::new("desk");
    for (tenant, expected) in [
        (SAINT_ANNE, ["closed", "reopened"]),
        (MERCY, ["opened", "reopened"]),
    ] {
        let pick = |event| match event {
            Event::HoursClosed { hours, .. } => Some(("closed", hours)),
            Event::HoursOpened { hours, .. } => Some(("opened", hours)),
            Event::HoursReopened { hours } => Some(("reopened", hours)),
            _ => None,
        };
        let logged = house.logged(tenant, 2, pick).await;
        assert_eq!(logged, expected.map(|what| (what, desk)), "{tenant:?}");
    }
    for wrong in [
        "close\tst-anne\tdoor\t30\t",
        "close\tst-mary\tdesk\t30\t",
        "close\tst-anne\tdesk\t0\t",
        "close\tst-anne\tdesk\t99999\t",
    ] {
        house.asks(wrong).await.expect_err(wrong);
    }
}

pub(super) async fn a_folder_is_served_without_a_restart() {
    let house = House::open("apply").await;
    let mut ana = house.agent("ana", 1, answering(200)).await;
    let mut early = house.caller(UNKNOWN, 0).await;
    let (early_call, _) = early.dial("1002").await;
    early.hears(MENU).await;

    // A wrong folder changes nothing, and says where.
    let line = "short: \"1002\", flow: staff";
    let anne = "hospitals/st-anne.yaml";
    let wrong = house.folder("wrong", &[(anne, line, "short: \"1002\", flow: stuff")]);
    for word in ["plan", "apply"] {
        let said = house.administrator(word, &wrong).await.expect_err("wrong");
        assert!(
            said.contains("st-anne.yaml") && said.contains("stuff"),
            "{said}"
        );
    }
    let gone = house.folder(
        "gone",
        &[("operator.yaml", "name: patients", "name: portal")],
    );
    house
        .administrator("apply", &gone)
        .await
        .expect_err("a queue is missing");
    let same = house.folder("same", &[]);
    let said = house.administrator("plan", &same).await.expect("right");
    assert!(said.starts_with("No change"), "{said}");

    // Nobody takes a number for help away by a slip.
    let helpless = "emergency:\n  trunks: [nightline]\n  callback: \"+15550100000\"\n";
    let helpless = house.folder("helpless", &[("operator.yaml", helpless, "")]);
    let said = house.administrator("plan", &helpless).await.expect("right");
    assert!(
        said.contains("only with --force: emergency: 911 "),
        "{said}"
    );
    assert!(
        said.contains("no emergency service can be called"),
        "{said}"
    );
    let refused = house.administrator("apply", &helpless).await;
    let refused = refused.expect_err("numbers are lost");
    assert!(
        refused.contains("emergency: 988 could no longer be called"),
        "{refused}"
    );
    let said = house.administrator("plan", &same).await.expect("right");
    assert!(said.starts_with("No change"), "{said}");

    let right = house.folder(
        "right",
        &[
            (anne, line, "short: \"1002\", flow: door"),
            (
                "flows/door.yaml",
                "open: {hang_up: The desk is open.}",
                "open: {hang_up: The desk is closed.}",
            ),
        ],
    );
    let said = house.administrator("plan", &right).await.expect("right");
    // Its own test still expects the words of before: that isn't served unless it is asked for.
    let (changes, failing) = said.split_at(said.find("! ").expect("a test that fails"));
    assert_eq!(
        changes,
        "~ st-anne: line 15550101002: flow\n~ flow door\n  flow door is version 2\n"
    );
    assert!(failing.contains("--force: door:"), "{failing}");
    let refused = house.administrator("apply", &right).await;
    let refused = refused.expect_err("a test fails");
    assert!(refused.contains("Nothing was changed"), "{refused}");
    let said = house.administrator("force", &right).await.expect("applied");
    assert!(said.contains("Applied."), "{said}");
    assert!(said.contains("After a restart"), "{said}");
    let served = house.asks("folder").await.expect("a folder");
    let folder = right.canonicalize().expect("a folder");
    assert_eq!(served, format!("{}\n{}\n", folder.display(), house.address));
    let said = house.administrator("plan", &right).await.expect("right");
    assert!(said.starts_with("No change"), "{said}");

    // In the log of each hospital whose callers walk through it.
    let door = FlowName::new("door").expect("a name");
    let published = |event| match event {
        Event::FlowPublished { flow, version } if flow == door => Some((version, None)),
        Event::FlowRolledBack { flow, version, to } if flow == door => Some((version, Some(to))),
        _ => None,
    };
    for tenant in [SAINT_ANNE, MERCY] {
        let logged = house.logged(tenant, 2, published).await;
        assert_eq!(logged, [(1, None), (2, None)], "{tenant:?}");
    }

    // Who calls now is served by it; who called before finishes as they began.
    let mut late = house.caller(WITHHELD, 3).await;
    let (late_call, _) = late.dial("1002").await;
    late.hears("The desk is closed.").await;
    late.ended(late_call, SOON).await;
    early.phone.press(early_call, "1").await.expect("a key");
    let ring = ana.rings(LATER).await;
    both_talk(&mut early, &mut ana).await;
    caller_ends(&mut early, early_call, &mut ana, &ring).await;

    // A contact begins with the flow that answered it, and its version.
    let begun = |event| match event {
        Event::ContactStarted { flow, version, .. } => Some((flow, version)),
        _ => None,
    };
    let staff = FlowName::new("staff");
    let begun = house.logged(SAINT_ANNE, 2, begun).await;
    assert_eq!(begun, [(staff, Some(1)), (Some(door), Some(2))]);

    // What is served can be had back, byte for byte.
    let exported = right.with_file_name("exported");
    let said = house
        .administrator("export", &exported)
        .await
        .expect("written");
    assert!(said.starts_with("5 files written"), "{said}");
    for file in [
        "careline.toml",
        "operator.yaml",
        anne,
        "hospitals/mercy.yaml",
        "flows/door.yaml",
    ] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(file)).expect(file);
        assert_eq!(read(&exported), read(&right), "{file}");
    }
    house
        .administrator("export", &exported)
        .await
        .expect_err("it isn't empty");

    // The text of before is a version of its own, and the log says which it is.
    let back = house.folder("back", &[]);
    let said = house.administrator("apply", &back).await.expect("applied");
    assert!(
        said.contains("flow door is version 3, the text of version 1 again"),
        "{said}"
    );
    let logged = house.logged(MERCY, 3, published).await;
    assert_eq!(logged[2], (3, Some(1)));
}

/// However long a folder takes (here its file is a pipe that nobody writes to), a desk is closed.
pub(super) async fn a_desk_is_closed_while_a_folder_is_prepared() {
    let house = House::open("meanwhile").await;
    let folder = house.folder("slow", &[]);
    let file = folder.join("hospitals/mercy.yaml");
    let text = std::fs::read(&file).expect("readable");
    std::fs::remove_file(&file).expect("removed");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let (written, goes_on) = tokio::sync::oneshot::channel();
    let closes = async {
        // Opens when the other end has.
        let writer = tokio::task::spawn_blocking({
            let file = file.clone();
            move || std::fs::OpenOptions::new().write(true).open(file)
        });
        let mut pipe = writer.await.expect("a thread").expect("a pipe");
        for question in ["close\tst-anne\tdesk\t30\tfire", "reopen\tst-anne\tdesk"] {
            let said = tokio::time::timeout(SOON, house.asks(question)).await;
            said.expect("it waits behind the folder").expect("done");
        }
        written.send(()).expect("it waits");
        std::io::Write::write_all(&mut pipe, &text).expect("written");
    };
    let applies = async {
        let applied = house.administrator("apply", &folder).await;
        goes_on.await.expect("only then");
        applied.expect("nothing else has changed")
    };
    let (said, ()) = tokio::join!(applies, closes);
    assert!(said.starts_with("No change"), "{said}");
}

/// Trunks change with the folder, whoever calls by them; names that were never looked up do at a restart.
pub(super) async fn a_trunk_changes_without_a_restart() {
    let house = House::open("trunks").await;
    let mut early = house.caller(UNKNOWN, 0).await;
    let (early_call, _) = early.dial("1002").await;
    early.hears(MENU).await;
    let operator = "operator.yaml";
    let named = "trunks:\n  - { name: city, gateways: [\"sip:pbx.example\"] }\n";
    let named = house.folder("named", &[(operator, "trunks:\n", named)]);
    let refused = house.administrator("apply", &named).await;
    let refused = refused.expect_err("nobody looks it up");
    assert!(
        refused.contains("trunk city") && refused.contains("at a restart"),
        "{refused}"
    );
    let status = house.asks("status").await.expect("a status");
    assert!(
        status.contains("nightline") && !status.contains("city"),
        "{status}"
    );

    let city = "trunks:\n  - { name: city, gateways: [\"sip:127.0.0.1:9\"], probe_every_s: 0 }\n";
    let fewer = "calls_max: 3\n    reserve_in: 1\n";
    let right = house.folder(
        "more",
        &[
            (operator, "trunks:\n", city),
            (operator, "calls_max: 20\n", fewer),
        ],
    );
    let said = house.administrator("plan", &right).await.expect("right");
    assert_eq!(said, "~ trunk nightline: settings\n+ trunk city\n");
    let said = house.administrator("apply", &right).await.expect("applied");
    assert!(said.contains("Applied."), "{said}");
    let status = house.asks("status").await.expect("a status");
    let city = status.lines().find(|line| line.starts_with("city "));
    let city: Vec<_> = city.expect("it is there").split_whitespace().collect();
    // Whoever calls from there (it is everybody's address here) is of that trunk; who called before isn't.
    assert_eq!(city[..3], ["city", "0", "1"], "{status}");
    let mut late = house.caller(WITHHELD, 3).await;
    let (late_call, _) = late.dial("1002").await;
    let status = house.asks("status").await.expect("a status");
    let city = status.lines().find(|line| line.starts_with("city "));
    let city: Vec<_> = city.expect("it is there").split_whitespace().collect();
    assert_eq!(city[..3], ["city", "1", "1"], "{status}");
    // The trunk goes, with a call on it, which goes on.
    let back = house.folder("before", &[]);
    house.administrator("apply", &back).await.expect("applied");
    late.hears(MENU).await;
    for (party, call) in [(&mut early, early_call), (&mut late, late_call)] {
        party.hang_up(call).await;
        party.ended(call, SOON).await;
    }
    let status = house.asks("status").await.expect("a status");
    assert!(!status.contains("city"), "{status}");
}

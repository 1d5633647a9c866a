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
    assert_eq!(
        said,
        "~ st-anne: line 15550101002: flow\n~ flow door\n  flow door is version 2\n"
    );
    let said = house.administrator("apply", &right).await.expect("applied");
    assert!(said.contains("Applied."), "{said}");
    let said = house.administrator("plan", &right).await.expect("right");
    assert!(said.starts_with("No change"), "{said}");

    // In the log of each hospital whose callers walk through it.
    let door = FlowName::new("door").expect("a name");
    for tenant in [TenantId(1), TenantId(2)] {
        let published = house.published(tenant).await;
        assert_eq!(published, [(door, 2)], "{tenant:?}");
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
}

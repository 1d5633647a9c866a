//! People who are imported while calls are answered.

use desk::people::import::{Missing, Policy};
use server::serve::publish::Import;

use super::*;

const TABLE: &str = "\
id,role,name,mobile,speciality,language,relay
S-17,clinician,Dr. Rosa Morales,+1 555 019 9999,Cardiology,es,yes
S-18,place,Theatre 2,5551,,,
";

pub(super) async fn who_was_imported_a_second_ago_is_greeted_by_name() {
    let house = House::open("import").await;
    let mut ana = house.agent("ana", 1, answering(4_500)).await;
    let file = house.file("hr.csv", TABLE);
    let mut import = Import {
        hospital: "st-anne".into(),
        source: "hr".into(),
        file,
        policy: Policy::default(),
        apply: false,
        show: false,
    };
    let told = house.asks(&import.question()).await.expect("a dry run");
    assert!(told.starts_with("2 read: 2 new"), "{told}");
    assert!(told.contains("Nothing was changed"), "{told}");
    assert!(
        !told.contains("Morales") && !told.contains("0199999"),
        "{told}"
    );

    // A call that began before knows nobody.
    let mut early = house.caller(UNKNOWN, 0).await;
    let (early_call, _) = early.dial("1002").await;
    early.hears(MENU).await;

    import.apply = true;
    let told = house.asks(&import.question()).await.expect("applied");
    assert!(told.contains("Applied"), "{told}");
    early.hang_up(early_call).await;
    early.ended(early_call, SOON).await;

    let mut morales = house.caller(UNKNOWN, 0).await;
    let (call, _) = morales.dial("1001").await;
    let ring = ana.rings(SOON).await;
    assert_eq!(
        ring.display,
        "Dr. Rosa Morales, Cardiology (unproven), relay call, speaks es - Saint Anne Medical Center"
    );
    both_talk(&mut morales, &mut ana).await;
    let (theirs, _) = caller_ends(&mut morales, call, &mut ana, &ring).await;
    in_order(&theirs, &["Hello Doctor Morales."]);

    // The other hospital knows nothing of her.
    let mut stranger = house.caller(UNKNOWN, 0).await;
    let (call, _) = stranger.dial("2002").await;
    stranger.hears(MENU).await;
    stranger.hang_up(call).await;
    stranger.ended(call, SOON).await;

    let told = house.asks(&import.question()).await.expect("again");
    assert!(told.contains("2 as they were"), "{told}");
    assert!(told.contains("Nothing is to be changed"), "{told}");

    // What is wrong changes nothing; a folder that is served anew keeps who was imported.
    let wrong = TABLE.replace("place", "palace").replace("Rosa", "Ana");
    house.file("hr.csv", &wrong);
    let refused = house.asks(&import.question()).await.expect_err("wrong");
    assert!(refused.contains("row 3, role"), "{refused}");
    let same = house.folder("same", &[]);
    house.administrator("apply", &same).await.expect("applied");
    let mut again = house.caller(UNKNOWN, 0).await;
    let (call, _) = again.dial("1001").await;
    let ring = ana.rings(SOON).await;
    assert!(
        ring.display.starts_with("Dr. Rosa Morales"),
        "{}",
        ring.display
    );
    both_talk(&mut again, &mut ana).await;
    caller_ends(&mut again, call, &mut ana, &ring).await;

    // A file that is everybody, and names nobody of them.
    house.file("hr.csv", "id,role,name\nS-99,staff,Kim\n");
    import.policy.missing = Missing::Remove;
    let told = house.asks(&import.question()).await.expect("applied");
    assert!(
        told.contains("1 new") && told.contains("2 removed"),
        "{told}"
    );
    let mut gone = house.caller(UNKNOWN, 0).await;
    let (call, _) = gone.dial("1002").await;
    gone.hears(MENU).await;
    gone.hang_up(call).await;
    gone.ended(call, SOON).await;
}

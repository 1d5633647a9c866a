//! Scene 7: whoever shows who they are gets a new password, and the ticket is
//! done on first contact; where the hospital's system doesn't know them, a
//! person takes over with the context.

use desk::people::Level;
use desk::people::import::Policy;
use desk::{Actor, Method};
use server::serve::publish::Import;

use super::actions::system;
use super::*;

const TABLE: &str = "\
id,role,name,mobile,of_record,staff_number,pin,birth_date
S-17,staff,Rosa Alder,+1 555 019 9001,mobile,60417,918273,1984-07-19
S-18,staff,Kim Berg,+1 555 019 9002,,60418,918274,1990-01-02
";

/// Says what is asked for: staff number, PIN and date of birth.
const SHOWS: &str = "\"staff number\"! 60417# \"your PIN\"! 918273# \"date of birth\"! 07191984";

pub(super) async fn a_password_is_set_anew_by_who_shows_who_they_are() {
    let (url, asked) = system();
    let url = url.replace("/status", "/password");
    let file = "hospitals/st-anne.yaml";
    let edit = (file, "url: \"http://127.0.0.1:5080/password\"", &*url);
    let house = House::open_edited("password", &[edit]).await;
    let import = Import {
        hospital: "st-anne".into(),
        source: "hr".into(),
        file: house.file("hr.csv", TABLE),
        policy: Policy::default(),
        apply: true,
        show: true,
    };
    let told = house.asks(&import.question()).await.expect("applied");
    assert!(
        told.contains("6 dates of birth, numbers and PINs are sealed"),
        "{told}"
    );
    assert!(
        !told.contains("918273") && !told.contains("60417"),
        "{told}"
    );

    // From a telephone that nobody knows.
    let mut caller = house.caller(UNKNOWN, 0).await;
    let script = format!("\"if you work at the hospital\"! 1 {SHOWS}");
    let (call, _) = caller.dial_doing("1013", &script).await;
    caller.hears("A link for a new password").await;
    let report = caller.ended(call, LATER).await;
    sound_of(&report, &caller);
    assert!(!report.heard_text("can't confirm"), "{:#?}", report.heard);
    {
        let asked = asked.lock().unwrap();
        let bodies: Vec<_> = asked.iter().map(|(_, body)| body.as_str()).collect();
        assert_eq!(bodies, ["{\"user\":\"S-17\"}"]);
    }
    let verified = house
        .logged(SAINT_ANNE, 1, |event| match event {
            Event::ContactVerified {
                passed,
                method,
                level,
                person,
                ..
            } => Some((passed, method, level, person.is_some())),
            _ => None,
        })
        .await;
    assert_eq!(verified, [(true, Method::Factors, Level::Verified, true)]);
    let resolved = house
        .logged(SAINT_ANNE, 1, |event| match event {
            Event::TicketResolved {
                first_contact, by, ..
            } => Some((first_contact, by)),
            _ => None,
        })
        .await;
    assert_eq!(resolved, [(true, Actor::System)]);

    // Wrong once, and somebody whom the hospital's own system doesn't know: a person has the ticket, and sees who it is.
    let mut ben = house.agent("ben", 1, answering(200)).await;
    let mut caller = house.caller("+15550199002", 0).await;
    let script = "\"staff number\"! 60418# \"your PIN\"! 111111# \"date of birth\"! 01021990 \
                  \"staff number\"! 60418# \"your PIN\"! 918274# \"date of birth\"! 01021990";
    let (call, _) = caller.dial_doing("1013", script).await;
    caller.hears("We can't confirm who you are").await;
    caller.hears("That can't be done at the moment.").await;
    let ring = ben.rings(LATER).await;
    assert!(
        ring.display.starts_with("Kim Berg (verified)"),
        "{}",
        ring.display
    );
    assert!(ring.ticket.is_some());
    both_talk(&mut caller, &mut ben).await;
    let (_, ours) = caller_ends(&mut caller, call, &mut ben, &ring).await;
    assert_eq!(ours.keys_heard, []);
    let failed = house
        .logged(SAINT_ANNE, 3, |event| match event {
            Event::ContactVerified { passed, person, .. } => Some((passed, person.is_some())),
            _ => None,
        })
        .await;
    assert_eq!(failed, [(true, true), (false, false), (true, true)]);
}

pub(super) async fn a_code_goes_to_the_contact_of_record() {
    let (url, asked) = system();
    let (password, send) = (
        url.replace("/status", "/password"),
        url.replace("/status", "/code"),
    );
    let file = "hospitals/st-anne.yaml";
    let action = format!("actions:\n  send-code: {{ {send} }}\n");
    let house = House::open_edited(
        "code",
        &[
            (file, "url: \"http://127.0.0.1:5080/password\"", &*password),
            (file, "actions:\n", &*action),
            (
                file,
                "staff: [staff_pin, birth_date]",
                "staff: [code, staff_pin]\n  code: send-code",
            ),
        ],
    )
    .await;
    let import = Import {
        hospital: "st-anne".into(),
        source: "hr".into(),
        file: house.file("hr.csv", TABLE),
        policy: Policy::default(),
        apply: true,
        show: false,
    };
    house.asks(&import.question()).await.expect("applied");
    let mut caller = house.caller("+15550199001", 0).await;
    let script = "\"staff number\"! 60417# \"your PIN\"! 918273#";
    let (call, _) = caller.dial_doing("1013", script).await;
    caller.hears("A code has been sent").await;
    let sent = asked.lock().unwrap()[0].1.clone();
    let sent: serde_json::Value = serde_json::from_str(&sent).expect("JSON");
    let code = sent["code"].as_str().expect("a code").to_owned();
    assert_eq!((code.len(), &sent["person"]), (6, &"S-17".into()));
    assert_eq!(sent["number"], "+1 555 019 9001");
    caller.phone.press(call, &code).await.expect("pressed");
    caller.hears("A link for a new password").await;
    caller.hang_up(call).await;
    caller.ended(call, SOON).await;

    // From a telephone that is nobody's the words are the same, and nothing is sent.
    let before = asked.lock().unwrap().len();
    let mut caller = house.caller(UNKNOWN, 0).await;
    let script = "\"if you work at the hospital\"! 1 \"staff number\"! 60417# \"your PIN\"! 918273# \
                  \"A code has been sent\"! 123456";
    let (call, _) = caller.dial_doing("1013", script).await;
    caller.hears("We can't confirm who you are").await;
    caller.hang_up(call).await;
    caller.ended(call, SOON).await;
    assert_eq!(asked.lock().unwrap().len(), before);
    let passed = house
        .logged(SAINT_ANNE, 2, |event| match event {
            Event::ContactVerified { passed, method, .. } => Some((passed, method)),
            _ => None,
        })
        .await;
    let method = Method::FactorsAndCode;
    assert_eq!(passed, [(true, method), (false, method)]);
}

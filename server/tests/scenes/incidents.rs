//! Scene 6: monitoring tells of an outage, a supervisor publishes it, and whom it concerns hears of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::house::{BRIEF, OUTAGE};

use super::*;

const ALERTS: &str = "/api/v1/hospitals/st-anne/alerts";

/// What the hospital's list says of the alert.
fn agreed() -> String {
    format!(
        "\ntickets:\n  reasons:\n    ehr: {{ words: Health record }}\n\
         incidents:\n  alerts:\n    ehr-down:\n      labels: {{ alertname: EhrDown }}\n      \
         reason: ehr\n      roles: [clinician, staff]\n      minutes: 60\n      \
         text: {{ en: \"{OUTAGE}\" }}\n      brief: {{ en: \"{BRIEF}\" }}\n"
    )
}

/// As Alertmanager's documentation has it (version 4 of the webhook's message).
fn message(status: &str) -> String {
    let labels = r#"{"alertname": "EhrDown", "severity": "page", "site": "anne"}"#;
    format!(
        r#"{{"version": "4", "groupKey": "{{}}:{{alertname=\"EhrDown\"}}", "truncatedAlerts": 0,
        "status": "{status}", "receiver": "careline", "groupLabels": {{"alertname": "EhrDown"}},
        "commonLabels": {labels}, "commonAnnotations": {{"summary": "The record is down"}},
        "externalURL": "http://alerts.example", "alerts": [
          {{"status": "{status}", "labels": {labels}, "annotations": {{"summary": "The record is down"}},
            "startsAt": "2026-11-22T08:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example", "fingerprint": "5ef77f1f8a3ecfd1"}},
          {{"status": "{status}", "labels": {{"alertname": "DiskFull"}}, "annotations": {{}},
            "startsAt": "2026-11-22T08:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "", "fingerprint": "0123456789abcdef"}}]}}"#
    )
}

async fn token(house: &House, scope: &str) -> String {
    let question = format!("token\tcreate\t1\tst-anne\t{scope}\tmonitoring");
    let told = house.asks(&question).await.expect("a token");
    told.lines().nth(1).expect("its secret").to_owned()
}

/// Sends a request, and gives the status and the body of the answer.
async fn posts(at: SocketAddr, token: &str, path: &str, body: String) -> (u16, String) {
    let token = token.to_owned();
    let path = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(at).expect("the API");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: careline\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(body.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), body.to_owned())
    });
    asked.await.expect("asked")
}

/// Calls the staff line, listens until the menu, and hangs up. When the call was answered.
async fn listens(house: &House, number: &str) -> Box<CallReport> {
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial(number).await;
    caller.hears(MENU).await;
    caller.hang_up(call).await;
    caller.ended(call, SOON).await
}

/// The demo, with an API, and what the hospital's list says of the alert.
async fn alerted(name: &str) -> House {
    House::open_prepared(name, |config, _| {
        let append = |file: &str, text: &str| {
            let path = config.join(file);
            let before = std::fs::read_to_string(&path).expect("readable");
            std::fs::write(path, before + text).expect("written");
        };
        append("careline.toml", "\n[api]\nbind = \"127.0.0.1:0\"\n");
        append("hospitals/st-anne.yaml", &agreed());
    })
    .await
}

pub(super) async fn a_supervisor_hears_the_draft_and_publishes_it_by_key() {
    let house = alerted("supervisor").await;
    let api = house.api.expect("an API");
    let monitoring = token(&house, "alerts:write").await;
    let mut ana = house.agent("ana", 1, AnswerPolicy::Ring).await;
    let ben = house.agent("ben", 2, AnswerPolicy::Ring).await;

    let (call, _) = ana.dial("1012").await;
    ana.hears("No incident waits to be published.").await;
    ana.ended(call, SOON).await;
    let (status, told) = posts(api, &monitoring, ALERTS, message("firing")).await;
    assert_eq!(status, 200, "{told}");

    // Neither a colleague nor a caller can call that number.
    for mut party in [ben, house.caller(UNKNOWN, 0).await] {
        let call = party.phone.call_with("1012", CallOptions::default());
        let call = call.await.expect("a call");
        let report = party.ended(call, SOON).await;
        assert_eq!(report.answered_after, None, "{report:?}");
    }

    // One key's call is the preview; without the second nobody hears anything.
    let (call, _) = ana.dial("1012").await;
    ana.hears(OUTAGE).await;
    ana.hears("To have callers hear this").await;
    ana.hang_up(call).await;
    ana.ended(call, SOON).await;
    let quiet = listens(&house, "1002").await;
    assert!(!quiet.heard_text(OUTAGE), "{:#?}", quiet.heard);

    let (call, _) = ana.dial_doing("1012", "w9 5").await;
    ana.hears(OUTAGE).await;
    ana.hears("Callers hear it from now on.").await;
    let published = Instant::now();
    ana.ended(call, SOON).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1002").await;
    caller.hears(OUTAGE).await;
    assert!(published.elapsed() < Duration::from_secs(5));
    caller.hang_up(call).await;
    caller.ended(call, SOON).await;
}

pub(super) async fn an_outage_is_heard_by_whom_it_concerns_and_nobody_else() {
    let house = alerted("outage").await;
    let api = house.api.expect("an API");
    let monitoring = token(&house, "alerts:write").await;
    let mut ana = house.agent("ana", 1, answering(7_000)).await;

    // It fires, again and again: one draft, which nobody hears.
    for _ in 0..3 {
        let (status, told) = posts(api, &monitoring, ALERTS, message("firing")).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(told, r#"{"firing":["1"],"closed":[],"passed_over":1}"#);
    }
    let quiet = listens(&house, "1002").await;
    assert!(!quiet.heard_text(OUTAGE), "{:#?}", quiet.heard);
    // Whoever may send alerts may not publish.
    let publish = "/api/v1/hospitals/st-anne/incidents/1/publish";
    let (status, _) = posts(api, &monitoring, publish, String::new()).await;
    assert_eq!(status, 403);

    let told = house.asks("incident\tst-anne\tpublish\t1").await;
    let published = Instant::now();
    assert!(told.expect("published").contains("incident 1: published"));
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial("1002").await;
    caller.hears(OUTAGE).await;
    let took = published.elapsed();
    assert!(took < Duration::from_secs(5), "heard after {took:?}");
    caller.hears(MENU).await;
    caller.hang_up(call).await;
    let report = caller.ended(call, SOON).await;
    sound_of(&report, &caller);
    in_order(&report, &[OUTAGE, MENU]);

    // Not at the other hospital, and not by a patient.
    let other = listens(&house, "2002").await;
    assert!(!other.heard_text(OUTAGE), "{:#?}", other.heard);
    let mut bell = house.caller(BELL, 0).await;
    let (call, _) = bell.dial("1003").await;
    bell.hears("Welcome to the help desk").await;
    bell.hang_up(call).await;
    let report = bell.ended(call, SOON).await;
    assert!(!report.heard_text(OUTAGE), "{:#?}", report.heard);

    // A clinician hears it in few words while a telephone rings.
    let mut okafor = house.caller(OKAFOR, 2).await;
    let (call, answered) = okafor.dial("1001").await;
    let ring = ana.rings(SOON).await;
    assert!(ring.at - answered < Duration::from_secs(2));
    okafor.hears(BRIEF).await;
    both_talk(&mut okafor, &mut ana).await;
    let (theirs, _) = caller_ends(&mut okafor, call, &mut ana, &ring).await;
    in_order(&theirs, &["Hello Doctor Okafor.", BRIEF]);
    assert!(!theirs.heard_text(OUTAGE), "{:#?}", theirs.heard);

    // It works again: nobody hears of it any more.
    let (status, told) = posts(api, &monitoring, ALERTS, message("resolved")).await;
    assert_eq!(
        (status, &*told),
        (200, r#"{"firing":[],"closed":["1"],"passed_over":1}"#)
    );
    let over = listens(&house, "1002").await;
    assert!(!over.heard_text(OUTAGE), "{:#?}", over.heard);
    let heard = |event| match event {
        Event::ContactInformed { contact, .. } => Some(contact),
        _ => None,
    };
    assert_eq!(house.logged(SAINT_ANNE, 2, heard).await.len(), 2);
    let list = house.asks("incident\tst-anne\tlist").await.expect("a list");
    assert!(
        list.contains("incident 1: closed") && list.contains(OUTAGE),
        "{list}"
    );
}

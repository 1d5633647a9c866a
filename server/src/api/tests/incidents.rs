//! Incidents from outside: what is asked of the desk, and what isn't.

use super::*;

const INCIDENTS: &str = "/api/v1/hospitals/st-anne/incidents";

fn writer(house: &House, scopes: &[Scope]) -> Secret {
    house.token(Some(ST_ANNE), scopes)
}

fn asked(house: &House) -> Vec<IncidentAsk> {
    std::mem::take(&mut *house.demo.asked.lock().unwrap())
}

#[test]
fn a_draft_is_asked_for_once_under_its_key() {
    let house = House::new();
    let token = writer(&house, &[Scope::IncidentsWrite]);
    let body = r#"{"roles": ["staff"], "minutes": 60, "text": {"en": "The record is down."}, "brief": {"en": "Down."}}"#;
    let first = house.post(&token, INCIDENTS, body);
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.json()["stage"], "draft");
    house.post(&token, INCIDENTS, body);
    let asks = asked(&house);
    let [one, two] = &asks[..] else {
        panic!("{asks:?}");
    };
    assert_eq!(one.key, two.key, "the desk takes the second for the first");
    assert!(one.key.is_some());
    assert_eq!(one.by, desk::IncidentBy::Token(1));
    let IncidentDeed::Draft(draft) = &one.deed else {
        panic!("{one:?}");
    };
    assert_eq!(draft.scope.roles, desk::Audience::of(&[desk::Role::Staff]));
    assert!(draft.texts[0].brief.is_some());
    // Another token's key is another key.
    let other = writer(&house, &[Scope::IncidentsWrite]);
    house.post(&other, INCIDENTS, body);
    assert_ne!(asked(&house)[0].key, two.key);
    let actions = house.actions(ST_ANNE);
    let drafts = actions
        .iter()
        .filter(|(_, action, _)| action == "incident.draft");
    assert_eq!(drafts.count(), 3, "each is written down");
}

#[test]
fn what_cannot_be_is_refused_and_asks_nothing() {
    let house = House::new();
    let token = writer(&house, &[Scope::IncidentsWrite, Scope::AlertsWrite]);
    for body in [
        "",
        "[]",
        "{\"minutes\": -1}",
        "{\"minutes\": 60, \"more\": 1}",
        "{\"minutes\": 60, \"text\": {\"english\": \"Hello.\"}}",
        "{\"minutes\": 60, \"text\": {\"en\": \"\"}}",
        "{\"minutes\": 60, \"roles\": [\"nurse\"]}",
        "{\"minutes\": 60, \"places\": [1, 2, 3, 4, 5, 6, 7]}",
    ] {
        let answer = house.post(&token, INCIDENTS, body);
        assert_eq!(answer.problem(), "invalid-request", "{body}");
    }
    let alerts = "/api/v1/hospitals/st-anne/alerts";
    for body in [
        "",
        r#"{"version": "3", "alerts": []}"#,
        r#"{"version": "4", "alerts": [{"status": "firing", "labels": {}, "fingerprint": "1"}]}"#,
        r#"{"version": "4", "alerts": [{"status": "odd", "labels": {}, "fingerprint": "0123456789abcdef"}]}"#,
    ] {
        let answer = house.post(&token, alerts, body);
        assert_eq!(answer.problem(), "invalid-request", "{body}");
    }
    // It may draft, and not publish.
    for deed in ["publish", "update", "close"] {
        let answer = house.post(&token, &format!("{INCIDENTS}/1/{deed}"), "{}");
        assert_eq!(answer.problem(), "scope-missing", "{deed}");
    }
    assert_eq!(asked(&house), []);
    let publisher = writer(&house, &[Scope::IncidentsPublish]);
    let none = house.post(&publisher, &format!("{INCIDENTS}/2/publish"), "");
    assert_eq!(none.problem(), "not-found");
    let one = house.post(&publisher, &format!("{INCIDENTS}/1/close"), "");
    assert_eq!(one.status, 200, "{one:?}");
}

#[test]
fn alerts_that_the_list_does_not_know_are_passed_over() {
    let house = House::new();
    let token = writer(&house, &[Scope::AlertsWrite]);
    let body = r#"{"version": "4", "alerts": [
        {"status": "firing", "labels": {"alertname": "DiskFull"}, "fingerprint": "0123456789abcdef"},
        {"status": "resolved", "labels": {}, "fingerprint": "00000000000000aa"}]}"#;
    let answer = house.post(&token, "/api/v1/hospitals/st-anne/alerts", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["passed_over"], 2);
    let cleared = IncidentDeed::Clear(desk::AlertId(0xaa));
    assert_eq!(
        asked(&house)
            .into_iter()
            .map(|ask| ask.deed)
            .collect::<Vec<_>>(),
        [cleared]
    );
}

//! Two hospitals whose numbers, ids and ticket digits are the same: no endpoint
//! shows anything of the one to a token of the other.

use super::*;

/// Endpoints that name no hospital; what they show each token is looked at below.
const OF_NO_HOSPITAL: [&str; 2] = ["/api/v1/hospitals", "/api/v1/now"];

/// What only Saint Anne's data holds: times, an analyst, and its name.
const MARKS: [&str; 4] = ["1700000000111", "\"agent\":1111", "st-anne", "Saint Anne"];

/// A path with something that exists in the place of its parameters.
fn filled(path: &str, hospital: &str) -> String {
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        let value = match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            None => part.to_owned(),
            Some("hospital") => hospital.to_owned(),
            Some("contact" | "promise") => "7".to_owned(),
            Some("number") => number(7).to_string(),
            Some("incident") => "1".to_owned(),
            Some(new) => panic!("this test has to be told what {{{new}}} of {path} may be"),
        };
        filled = format!("{filled}/{value}");
    }
    filled
}

fn marks(answer: &Answer) -> Vec<&'static str> {
    let marks = MARKS.into_iter();
    marks.filter(|mark| answer.body.contains(mark)).collect()
}

/// What may be sent there.
fn sent(path: &str) -> &'static str {
    match path.rsplit('/').next() {
        Some("alerts") => r#"{"version": "4", "alerts": []}"#,
        Some("incidents") => r#"{"minutes": 60}"#,
        _ => "{}",
    }
}

/// Nothing of a hospital is changed by a token of another's, nor does that tell whether it is there.
fn posted(house: &House, (anne, mercy): (&Secret, &Secret), path: &str) {
    let body = sent(path);
    let asked = || house.demo.asked.lock().unwrap().len();
    let own = house.post(anne, &filled(path, "st-anne"), body);
    assert_eq!(own.status, 200, "{path}: {own:?}");
    let twin = house.post(mercy, &filled(path, "mercy"), body);
    assert_eq!((twin.status, marks(&twin)), (200, vec![]), "{path}");
    let before = asked();
    for body in [body, "", "nonsense"] {
        let foreign = house.post(mercy, &filled(path, "st-anne"), body);
        let nowhere = house.post(mercy, &filled(path, "nowhere"), body);
        assert_eq!(foreign, nowhere, "{path}");
        assert_eq!(foreign.problem(), "not-found", "{path}");
    }
    assert_eq!(asked(), before, "{path}: it was done all the same");
    let asks = house.demo.asked.lock().unwrap();
    let whose = asks.iter().map(|ask| ask.tenant);
    assert!(
        whose
            .clone()
            .all(|tenant| [ST_ANNE, MERCY].contains(&tenant))
    );
}

#[test]
fn no_endpoint_shows_a_hospital_to_anothers_token() {
    let house = House::new();
    house.call(ST_ANNE, 7, 1_111, 1_700_000_000_111);
    house.call(MERCY, 7, 2_222, 1_700_000_000_222);
    house.incident(ST_ANNE, 1_700_000_000_111);
    house.incident(MERCY, 1_700_000_000_222);
    let anne = house.token(Some(ST_ANNE), &ALL);
    let mercy = house.token(Some(MERCY), &ALL);
    let mut all = ALL.to_vec();
    all.push(Scope::QueuesRead);
    let operator = house.token(None, &all);
    let described: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() >= 11, "{paths:?}");
    for (path, item) in paths {
        let methods: Vec<&String> = item.as_object().unwrap().keys().collect();
        let asked = |method: &&String| ["get", "post"].contains(&method.as_str());
        assert!(
            methods.iter().all(asked),
            "this test has to be told how to ask {path}"
        );
        if methods.contains(&&"post".to_owned()) {
            posted(&house, (&anne, &mercy), path);
        }
        if !methods.contains(&&"get".to_owned()) {
            continue;
        }
        if !path.contains("{hospital}") {
            assert!(OF_NO_HOSPITAL.contains(&&**path), "whose is {path}?");
            continue;
        }
        let own = house.get(&anne, &filled(path, "st-anne"));
        assert_eq!(own.status, 200, "{path}: {own:?}");
        // The same thing exists at the other, and is another's.
        let twin = house.get(&mercy, &filled(path, "mercy"));
        assert_eq!(twin.status, 200, "{path}: {twin:?}");
        assert_ne!(own.body, twin.body, "{path}: nothing would be seen to leak");
        assert_eq!(marks(&twin), [""; 0], "{path}");
        if !path.ends_with("/audit") {
            assert_ne!(
                marks(&own),
                [""; 0],
                "{path}: nothing would be seen to leak"
            );
        }
        // To its token this hospital is one that doesn't exist, whatever is asked.
        for query in ["", "?limit=1", "?limit=nonsense"] {
            let theirs = filled(path, "st-anne") + query;
            let foreign = house.get(&mercy, &theirs);
            let nowhere = house.get(&mercy, &(filled(path, "nowhere") + query));
            assert_eq!(foreign, nowhere, "{path}");
            assert!([400, 404].contains(&foreign.status), "{path}: {foreign:?}");
            assert_eq!(marks(&foreign), [""; 0], "{path}");
            if query.is_empty() {
                assert_eq!(foreign.problem(), "not-found");
            }
        }
        // The operator's reads both.
        for hospital in ["st-anne", "mercy"] {
            let answer = house.get(&operator, &filled(path, hospital));
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    let hospitals = house.get(&mercy, "/api/v1/hospitals");
    assert_eq!((hospitals.status, marks(&hospitals)), (200, vec![]));
    assert_eq!(house.get(&mercy, "/api/v1/now").problem(), "not-found");
    assert_eq!(house.get(&operator, "/api/v1/now").status, 200);
    // What was read stands in the chain of the hospital it was read of, and nowhere else.
    let tokens = |tenant| {
        let mut tokens: Vec<u64> = house.actions(tenant).into_iter().map(|row| row.0).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    };
    assert_eq!(tokens(ST_ANNE), [0, 1, 3]);
    assert_eq!(tokens(MERCY), [0, 2, 3]);
    assert_eq!(tokens(OPERATOR), [0, 3]);
}

#[test]
fn a_cursor_of_one_hospital_shows_nothing_of_it_at_another() {
    let house = House::new();
    for contact in 1..=4 {
        house.call(ST_ANNE, contact, 1_111, 1_700_000_000_111);
        house.call(MERCY, contact, 2_222, 1_700_000_000_222);
    }
    let anne = house.token(Some(ST_ANNE), &ALL);
    let mercy = house.token(Some(MERCY), &ALL);
    for list in ["contacts", "tickets", "promises"] {
        let page = house.get(&anne, &format!("/api/v1/hospitals/st-anne/{list}?limit=2"));
        let cursor = page.json()["next"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/hospitals/mercy/{list}?cursor={cursor}");
        let answer = house.get(&mercy, &path);
        assert_eq!((answer.status, marks(&answer)), (200, vec![]));
        assert_eq!(answer.json()[list].as_array().unwrap().len(), 2);
    }
}

//! The API over real connections, with a real database behind it.

mod incidents;
mod isolation;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use desk::{
    AgentId, Commit, CommitId, ContactId, EndCause, Event, First, IncidentDeed, Personal,
    PhoneNumber, PromiseId, PromiseKind, QueueId, Role, Span, Stamped, TenantId, TicketId,
    TicketNumber,
};

use super::tokens::{NewToken, Scope, Secret};
use super::*;
use crate::node::wall;
use crate::serve::{OPERATOR, Options};
use crate::store::{Done, Journal, Settings, Store};

const ST_ANNE: TenantId = TenantId(1);
const MERCY: TenantId = TenantId(2);

const ALL: [Scope; 11] = [
    Scope::ContactsRead,
    Scope::NumbersRead,
    Scope::EventsRead,
    Scope::FiguresRead,
    Scope::TicketsRead,
    Scope::PromisesRead,
    Scope::AuditRead,
    Scope::IncidentsRead,
    Scope::IncidentsWrite,
    Scope::IncidentsPublish,
    Scope::AlertsWrite,
];

/// What the demo's folder serves, with calls that answer when they are let.
struct Demo {
    loaded: Arc<Loaded>,
    silent: Mutex<bool>,
    speaks: Condvar,
    /// What was asked of incidents: it is done.
    asked: Mutex<Vec<IncidentAsk>>,
}

impl Served for Demo {
    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded)
    }

    fn status(&self) -> Option<Status> {
        let silent = self.silent.lock().unwrap();
        drop(self.speaks.wait_while(silent, |silent| *silent).unwrap());
        Some(Status::quiet(Duration::from_secs(60)))
    }

    fn incident(
        &self,
        ask: IncidentAsk,
    ) -> Result<Option<(IncidentId, IncidentFacts)>, PublishError> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(ask.clone());
        // Each hospital has an incident of this number, and of no other.
        let of = match ask.deed {
            IncidentDeed::Publish(of) | IncidentDeed::Close(of) => of,
            IncidentDeed::Update { incident, .. } => incident,
            IncidentDeed::Clear(_) => return Ok(None),
            _ => IncidentId(1),
        };
        if of != IncidentId(1) {
            return Err(PublishError::Incident(desk::IncidentRefusal::NotFound));
        }
        let expires_at = match ask.tenant {
            ST_ANNE => 1_700_000_000_111,
            _ => 1_700_000_000_222,
        };
        let (incident, facts) = drafted(expires_at);
        Ok(Some((incident, facts)))
    }
}

/// An API with a database of its own.
struct House {
    dir: PathBuf,
    store: Option<Store>,
    done: Receiver<Vec<Done>>,
    tokens: Arc<Tokens>,
    demo: Arc<Demo>,
    address: SocketAddr,
}

impl House {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("careline-api-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let (send, done) = channel();
        let opened = Store::open(&dir.join("careline.db"), Settings::default(), 0, move |d| {
            let _ = send.send(d);
        });
        let store = opened.unwrap().0;
        let options = Options {
            config_dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo"),
            data_dir: Some(dir.clone()),
            bind: None,
            speech_dir: None,
        };
        let demo = Arc::new(Demo {
            loaded: Arc::new(Loaded::read(&options).unwrap()),
            silent: Mutex::new(false),
            speaks: Condvar::new(),
            asked: Mutex::default(),
        });
        let tokens = Arc::new(Tokens::open(store.api()).unwrap());
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = start(bind, Arc::clone(&tokens), Arc::clone(&demo) as _).unwrap();
        Self {
            dir,
            store: Some(store),
            done,
            tokens,
            demo,
            address,
        }
    }

    fn write(&self, tenant: TenantId, at: i64, events: &[Event]) {
        let stamped = |event: &Event| Stamped { at, event: *event };
        let personal = |event: &Event| match *event {
            Event::ContactStarted { contact, .. } => Some(Personal {
                contact,
                dnis: PhoneNumber("+15550100".to_owned()),
                ani: Some(PhoneNumber("+15550199".to_owned())),
            }),
            _ => None,
        };
        let commit = Commit {
            id: CommitId(1),
            tenant,
            events: events.iter().map(stamped).collect(),
            personal: events.iter().filter_map(personal).collect(),
            notes: Vec::new(),
            numbers: Vec::new(),
            incidents: desk::IncidentRows::default(),
        };
        self.store.as_ref().unwrap().submit(commit).unwrap();
        let done = self.done.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(done, [Done::Committed(CommitId(1))]);
    }

    /// A contact with a ticket, from its beginning to its end.
    fn call(&self, tenant: TenantId, contact: u64, agent: u32, at: i64) {
        let (contact, ticket) = (ContactId(contact), TicketId(contact));
        let events = [
            Event::ContactStarted {
                contact,
                flow: None,
                version: None,
            },
            Event::TicketOpened {
                ticket,
                number: number(ticket.0),
                contact,
                priority: None,
                clock: None,
            },
            Event::ContactConnected {
                contact,
                agent: AgentId(agent),
            },
            Event::ContactEnded {
                contact,
                cause: EndCause::CallerHungUp,
            },
            Event::PromiseCreated {
                promise: PromiseId(contact.0),
                contact,
                kind: PromiseKind::Hold,
                queue: QueueId(1),
                class: Role::Staff,
                since: at,
                window: Span {
                    from: at,
                    to: at + 1,
                },
                first: First::Agent,
                ticket: Some(ticket),
                person: None,
            },
        ];
        self.write(tenant, at, &events);
    }

    /// Something is out of order.
    fn incident(&self, tenant: TenantId, expires_at: i64) {
        let incident = IncidentId(1);
        let event = Event::IncidentDrafted {
            incident,
            scope: desk::IncidentScope::default(),
            by: desk::IncidentBy::Administrator,
            alert: None,
            expires_at,
        };
        self.write(tenant, 1, &[event]);
    }

    fn post(&self, token: &Secret, path: &str, body: &str) -> Answer {
        let head = format!("Content-Length: {}\r\nIdempotency-Key: k1\r\n", body.len());
        let authorization = format!("Bearer {}", token.show());
        ask_with(self.address, ("POST", path), &authorization, &head, body)
    }

    fn token(&self, tenant: Option<TenantId>, scopes: &[Scope]) -> Secret {
        let new = NewToken {
            tenant,
            name: "test".to_owned(),
            scopes: scopes.to_vec(),
            days: 1,
        };
        self.tokens.create(new, wall()).unwrap().1
    }

    fn get(&self, token: &Secret, path: &str) -> Answer {
        self.ask("GET", &format!("Bearer {}", token.show()), path)
    }

    fn ask(&self, method: &str, authorization: &str, path: &str) -> Answer {
        ask(self.address, method, authorization, path)
    }

    fn actions(&self, tenant: TenantId) -> Vec<(u64, String, String)> {
        let reader = self.tokens.store().reader().unwrap();
        let rows = reader.audit_after(tenant, 0, 1_000).unwrap();
        let told = rows.into_iter().map(|row| row.entry);
        told.map(|entry| (entry.token, entry.action, entry.objects))
            .collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn number(ticket: u64) -> TicketNumber {
    TicketNumber::mint(&[4; 32], TicketId(ticket)).unwrap()
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }

    /// The kind of a problem, which this has to be.
    fn problem(&self) -> String {
        let json = self.json();
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        assert_eq!(json["status"], self.status, "{self:?}");
        let kind = json["type"].as_str().unwrap();
        kind.strip_prefix("urn:careline:problem:")
            .unwrap()
            .to_owned()
    }
}

/// As it would be told.
fn drafted(expires_at: i64) -> (IncidentId, IncidentFacts) {
    let event = Event::IncidentDrafted {
        incident: IncidentId(1),
        scope: desk::IncidentScope::default(),
        by: desk::IncidentBy::Administrator,
        alert: None,
        expires_at,
    };
    IncidentFacts::drafted(&Stamped { at: 1, event }).unwrap()
}

fn ask(address: SocketAddr, method: &str, authorization: &str, path: &str) -> Answer {
    ask_with(address, (method, path), authorization, "", "")
}

fn ask_with(
    address: SocketAddr,
    (method, path): (&str, &str),
    authorization: &str,
    head: &str,
    body: &str,
) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let question = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\nConnection: close\r\n{head}\r\n{body}"
    );
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    // When it was said is no difference.
    let lines = head
        .lines()
        .filter(|line| !line.to_lowercase().starts_with("date:"));
    Answer {
        status: head[9..12].parse().unwrap(),
        head: lines.collect::<Vec<_>>().join("\n"),
        body: body.to_owned(),
    }
}

#[test]
fn a_contact_is_read_and_that_is_written_down() {
    let house = House::new();
    house.call(ST_ANNE, 7, 3, 1_000);
    let plain = house.token(Some(ST_ANNE), &[Scope::ContactsRead]);
    let numbers = house.token(Some(ST_ANNE), &[Scope::ContactsRead, Scope::NumbersRead]);
    let list = house.get(&plain, "/api/v1/hospitals/st-anne/contacts");
    assert_eq!(list.status, 200, "{list:?}");
    let list = list.json();
    assert_eq!(list["contacts"][0]["id"], "7");
    assert_eq!(list["contacts"][0]["started_at_ms"], 1_000);
    assert_eq!(list["contacts"][0]["position"], "ended");
    assert_eq!(list["contacts"][0]["cause"], "caller_hung_up");
    assert_eq!(list["contacts"][0]["ticket"], number(7).to_string());
    assert_eq!(list["next"], serde_json::Value::Null);
    let one = "/api/v1/hospitals/st-anne/contacts/7";
    let journey = house.get(&plain, one).json();
    let seqs: Vec<_> = journey["events"].as_array().unwrap().iter().collect();
    assert_eq!(seqs.len(), 4);
    assert_eq!(seqs[2]["event"]["agent"], 3);
    assert_eq!(journey["numbers"], serde_json::Value::Null);
    let journey = house.get(&numbers, one).json();
    assert_eq!(journey["numbers"]["caller"], "+15550199");
    // Whom nobody knows is looked for, too.
    let nobody = house.get(&plain, "/api/v1/hospitals/st-anne/contacts/8");
    assert_eq!((nobody.status, &*nobody.problem()), (404, "not-found"));
    let row = |token, action: &str, of: &str| (token, action.to_owned(), of.to_owned());
    assert_eq!(
        house.actions(ST_ANNE),
        [
            row(0, "token.create", "1"),
            row(0, "token.create", "2"),
            row(1, "contacts.list", "7"),
            row(1, "contact.read", "7"),
            row(2, "contact.read_with_numbers", "7"),
            row(1, "contact.read", "8"),
        ]
    );
}

#[test]
fn pages_stay_where_they_are_while_more_comes_in() {
    let house = House::new();
    for contact in 1..=5 {
        house.call(ST_ANNE, contact, 3, 1_000);
    }
    let token = house.token(
        Some(ST_ANNE),
        &[
            Scope::ContactsRead,
            Scope::TicketsRead,
            Scope::PromisesRead,
            Scope::EventsRead,
        ],
    );
    let ids = |json: &serde_json::Value, of: &str, key: &str| -> Vec<String> {
        let list = json[of].as_array().unwrap();
        let id = |one: &serde_json::Value| one[key].as_str().unwrap().to_owned();
        list.iter().map(id).collect()
    };
    for (list, key, expected) in [
        ("contacts", "id", ["5", "4", "3", "2", "1"]),
        ("tickets", "contact", ["6", "5", "4", "3", "2"]),
        ("promises", "contact", ["6", "5", "4", "3", "2"]),
    ] {
        let mut seen = Vec::new();
        let mut query = "?limit=2".to_owned();
        for page in 0..3 {
            let path = format!("/api/v1/hospitals/st-anne/{list}{query}");
            let json = house.get(&token, &path).json();
            seen.extend(ids(&json, list, key));
            if let Some(next) = json["next"].as_str() {
                query = format!("?limit=2&cursor={next}");
            }
            if page == 0 && list == "contacts" {
                house.call(ST_ANNE, 6, 3, 1_000);
            }
        }
        assert_eq!(seen[..5], expected);
    }
    // The log, without gaps, and nothing behind its end.
    let mut after = 0;
    let mut seqs = Vec::new();
    loop {
        let path = format!("/api/v1/hospitals/st-anne/events?after={after}&limit=7");
        let json = house.get(&token, &path).json();
        let events = json["events"].as_array().unwrap();
        seqs.extend(events.iter().map(|event| event["seq"].as_u64().unwrap()));
        after = json["next"].as_u64().unwrap();
        if events.is_empty() {
            break;
        }
    }
    assert_eq!(seqs, (1..=30).collect::<Vec<_>>());
}

#[test]
fn what_is_wrong_with_a_token_is_not_told_nor_felt() {
    let house = House::new();
    let good = house.token(Some(ST_ANNE), &[Scope::ContactsRead]);
    let revoked = house.token(Some(ST_ANNE), &[Scope::ContactsRead]);
    assert!(house.tokens.revoke(2, wall()).unwrap());
    assert!(!house.tokens.revoke(2, wall()).unwrap());
    let new = NewToken {
        tenant: None,
        name: String::new(),
        scopes: vec![Scope::ContactsRead],
        days: 1,
    };
    let (_, expired) = house.tokens.create(new, wall() - 2 * 86_400_000).unwrap();
    let path = "/api/v1/hospitals/st-anne/contacts";
    assert_eq!(house.get(&good, path).status, 200);
    let unknown = format!("Bearer careline_{}", "0".repeat(64));
    let mut first = None;
    for authorization in [
        format!("Bearer {}", revoked.show()),
        format!("Bearer {}", expired.show()),
        unknown,
        format!("Basic {}", good.show()),
        "Bearer".to_owned(),
        String::new(),
    ] {
        let began = Instant::now();
        let answer = house.ask("GET", &authorization, path);
        let took = began.elapsed().as_millis();
        assert_eq!((answer.status, &*answer.problem()), (401, "unauthorized"));
        assert!((300..2_000).contains(&took), "{took} ms");
        assert_eq!(*first.get_or_insert(answer.clone()), answer);
    }
    // A token survives a restart, and so does its end.
    let again = Tokens::open(house.tokens.store().clone()).unwrap();
    let bearer = |secret: &Secret| again.bearer(&format!("bearer {}", secret.show()), wall());
    assert_eq!(bearer(&good).map(|bearer| bearer.token), Some(1));
    assert_eq!(bearer(&revoked), None);
    let shown = format!("{good:?} {:?} {again:?}", again.all());
    assert!(!shown.contains(good.show()), "{shown}");
}

#[test]
fn what_cannot_be_written_down_is_not_told() {
    let mut house = House::new();
    house.call(ST_ANNE, 7, 3, 1_000);
    let token = house.token(Some(ST_ANNE), &ALL);
    let path = "/api/v1/hospitals/st-anne/contacts/7";
    assert_eq!(house.get(&token, path).status, 200);
    // The store ends; reading would still work.
    drop(house.store.take());
    let answer = house.get(&token, path);
    assert_eq!((answer.status, &*answer.problem()), (503, "unavailable"));
    assert!(!answer.body.contains("started_at_ms"), "{answer:?}");
}

#[test]
fn every_refusal_is_a_problem() {
    let house = House::new();
    let token = house.token(Some(ST_ANNE), &[Scope::ContactsRead]);
    let at = "/api/v1/hospitals/st-anne";
    for (method, path, status, kind) in [
        ("GET", "/events", 403, "scope-missing"),
        ("GET", "/contacts?limit=0", 400, "invalid-request"),
        ("GET", "/contacts?limit=201", 400, "invalid-request"),
        ("GET", "/contacts?limit=many", 400, "invalid-request"),
        ("GET", "/contacts?colour=red", 400, "invalid-request"),
        (
            "GET",
            "/contacts?cursor=t0000000000000001",
            400,
            "invalid-request",
        ),
        (
            "GET",
            "/contacts?cursor=%F0%9F%98%80",
            400,
            "invalid-request",
        ),
        ("GET", "/contacts/seven", 400, "invalid-request"),
        ("GET", "/nothing", 404, "not-found"),
        ("DELETE", "/contacts", 405, "method-not-allowed"),
    ] {
        let bearer = format!("Bearer {}", token.show());
        let answer = house.ask(method, &bearer, &format!("{at}{path}"));
        assert_eq!(
            (answer.status, &*answer.problem()),
            (status, kind),
            "{path}"
        );
    }
    let bearer = format!("Bearer {}", token.show());
    let wrong = house.ask("PUT", &bearer, &format!("{at}/contacts"));
    assert!(wrong.head.contains("allow: GET,HEAD"), "{wrong:?}");
    // What wasn't told is nobody's view.
    assert_eq!(house.actions(ST_ANNE).len(), 1);
}

#[test]
fn whoever_asks_too_much_is_nobody_elses_trouble() {
    let house = House::new();
    let operator = house.token(None, &[Scope::QueuesRead]);
    let hospital = house.token(Some(ST_ANNE), &[Scope::ContactsRead]);
    *house.demo.silent.lock().unwrap() = true;
    let bearer = format!("Bearer {}", operator.show());
    let askers: Vec<_> = (0..6)
        .map(|_| {
            let (bearer, address) = (bearer.clone(), house.address);
            std::thread::spawn(move || ask(address, "GET", &bearer, "/api/v1/now"))
        })
        .collect();
    // Two are refused after a second's wait, while four are still being answered.
    while askers.iter().filter(|asker| asker.is_finished()).count() < 2 {
        let answer = house.get(&hospital, "/api/v1/hospitals/st-anne/contacts");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    *house.demo.silent.lock().unwrap() = false;
    house.demo.speaks.notify_all();
    let mut statuses: Vec<u16> = askers
        .into_iter()
        .map(|asker| asker.join().unwrap().status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    assert_eq!(house.actions(OPERATOR).len(), 5);
}

#[test]
fn the_description_is_the_one_in_the_documentation() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("CARELINE_WRITE_OPENAPI").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == document(),
        "docs/openapi.json is of other endpoints; CARELINE_WRITE_OPENAPI=1 writes it anew"
    );
    let house = House::new();
    let served = house.ask("GET", "", "/api/v1/openapi.json");
    assert_eq!((served.status, served.body), (200, written));
}

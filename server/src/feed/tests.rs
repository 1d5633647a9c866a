//! The follower against far ends written by hand, with the specification at hand:
//! nothing of the client's types is used to read what came.

mod servicenow;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use desk::{Commit, CommitId, ContactId, EndCause, Event, Stamped};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;
use crate::config::{SecretFrom, WebhookConfig};
use crate::store::{Journal, Settings, Store};

const TENANT: TenantId = TenantId(1);
const KEY: [u8; 32] = [7; 32];
const WAIT: Duration = Duration::from_secs(20);

fn quick() -> Pace {
    Pace {
        remember: Duration::from_millis(20),
        idle: Duration::from_millis(50),
        pauses: [Duration::from_millis(10); 6],
    }
}

/// A far end: answers as it is told to, then 204, and keeps what it was sent.
struct FarEnd {
    address: SocketAddr,
    answers: Arc<Mutex<VecDeque<String>>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

#[derive(Clone)]
struct Heard {
    id: String,
    body: serde_json::Value,
    answered: String,
}

impl FarEnd {
    fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far_end = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(
                answers.iter().map(|a| (*a).to_owned()).collect(),
            )),
            heard: Arc::default(),
        };
        let (answers, heard) = (Arc::clone(&far_end.answers), Arc::clone(&far_end.heard));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = BTreeMap::new();
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                assert_eq!(line, "POST /hook?of=desk HTTP/1.1\r\n");
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    let Some((name, value)) = line.trim_end().split_once(": ") else {
                        break;
                    };
                    head.insert(name.to_ascii_lowercase(), value.to_owned());
                }
                let mut body = vec![0; head["content-length"].parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let (id, at) = (&head["webhook-id"], &head["webhook-timestamp"]);
                let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
                mac.update(format!("{id}.{at}.").as_bytes());
                mac.update(&body);
                let signature = STANDARD.encode(mac.finalize().into_bytes());
                assert_eq!(head["webhook-signature"], format!("v1,{signature}"));
                assert_eq!(head["content-type"], "application/json");
                let answered = answers.lock().unwrap().pop_front();
                let answered = answered.unwrap_or_else(|| "204 No Content\r\n".to_owned());
                heard.lock().unwrap().push(Heard {
                    id: id.clone(),
                    body: serde_json::from_slice(&body).unwrap(),
                    answered: answered.clone(),
                });
                let answer = format!("HTTP/1.1 {answered}content-length: 0\r\n\r\n");
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        far_end
    }

    fn heard(&self, count: usize) -> Vec<Heard> {
        let begun = Instant::now();
        loop {
            let heard = self.heard.lock().unwrap().clone();
            if heard.len() >= count {
                return heard;
            }
            assert!(begun.elapsed() < WAIT, "{} of {count}", heard.len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The events that it took, by their places in the log.
    fn took(&self, count: usize) -> Vec<u64> {
        let begun = Instant::now();
        loop {
            let heard = self.heard.lock().unwrap();
            let took = heard
                .iter()
                .filter(|heard| heard.answered.starts_with("20"));
            let took: Vec<u64> = took
                .map(|heard| heard.body["data"]["seq"].as_u64().unwrap())
                .collect();
            drop(heard);
            if took.len() >= count {
                return took;
            }
            assert!(begun.elapsed() < WAIT, "{took:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A hospital with a log, and somebody who is told it.
struct Desk {
    dir: PathBuf,
    open: Option<(Store, Feed)>,
    told: Arc<Told>,
    next: u64,
}

impl Desk {
    fn new(address: SocketAddr, events: &[&str]) -> Self {
        Self::with(|dir| {
            let secret = format!("whsec_{}\n", STANDARD.encode(KEY));
            std::fs::write(dir.join("secret"), secret).unwrap();
            hook(dir, address, events)
        })
    }

    fn with(connector: impl FnOnce(&Path) -> Connector) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("careline-feed-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let connector = connector(&dir);
        let mut desk = Self {
            dir,
            open: None,
            told: told(connector),
            next: 1,
        };
        desk.restart();
        desk
    }

    fn restart(&mut self) {
        self.stop();
        let key = (TENANT, "itsm".to_owned());
        let book = Book([(key, Arc::clone(&self.told))].into());
        let (wake, committed) = watch::channel(());
        let opened = Store::open(
            &*self.dir.join("careline.db"),
            Settings::default(),
            1,
            move |_| {
                wake.send_replace(());
            },
        );
        let (store, _) = opened.unwrap();
        let now = || 1_700_000_000_500;
        let feed = Feed::start(store.api(), book, committed, now, quick()).unwrap();
        self.open = Some((store, feed));
    }

    fn stop(&mut self) {
        drop(self.open.take());
    }

    fn standing(&self) -> Standing {
        let (_, feed) = self.open.as_ref().unwrap();
        feed.standings().remove(0)
    }

    fn stands(&self, is: impl Fn(&Standing) -> bool) -> Standing {
        let begun = Instant::now();
        loop {
            let standing = self.standing();
            if is(&standing) {
                return standing;
            }
            assert!(begun.elapsed() < WAIT, "{standing:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the follower has looked at the log, so that what comes is new to it.
    fn follows(&self) {
        let (store, _) = self.open.as_ref().unwrap();
        let reader = store.api().reader().unwrap();
        let begun = Instant::now();
        while reader.told(TENANT, "itsm").unwrap().is_none() {
            assert!(begun.elapsed() < WAIT);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes events: two for each contact.
    fn writes(&mut self, contacts: std::ops::Range<u64>) {
        for contact in contacts.map(ContactId) {
            let cause = EndCause::CallerHungUp;
            let role = desk::Role::Staff;
            self.happens(&[
                Event::ContactRoleSet { contact, role },
                Event::ContactEnded { contact, cause },
            ]);
        }
    }

    fn happens(&mut self, events: &[Event]) {
        let (store, _) = self.open.as_ref().unwrap();
        let id = CommitId(self.next);
        self.next += 1;
        let events = events.iter().map(|event| Stamped {
            at: 5,
            event: *event,
        });
        store
            .submit(Commit {
                id,
                tenant: TENANT,
                events: events.collect(),
                personal: Vec::new(),
                notes: Vec::new(),
                numbers: Vec::new(),
                incidents: desk::IncidentRows::default(),
            })
            .unwrap();
    }
}

fn told(connector: Connector) -> Arc<Told> {
    let hospital = "st-anne".to_owned();
    Arc::new(Told {
        hospital,
        connector,
    })
}

fn hook(dir: &Path, address: SocketAddr, events: &[&str]) -> Connector {
    let config = WebhookConfig {
        url: format!("http://{address}/hook?of=desk"),
        secrets: vec![SecretFrom {
            file: Some("secret".into()),
            env: None,
        }],
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        timeout_s: 1,
        authority: None,
    };
    let webhook = Webhook::of("st-anne", &config, dir, &mut Authorities::default());
    Connector::Webhook(Box::new(webhook.unwrap()))
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn what_is_written_is_told_in_its_order_and_signed() {
    let far_end = FarEnd::start(&[]);
    let mut desk = Desk::new(far_end.address, &[]);
    desk.follows();
    desk.writes(0..150);
    assert_eq!(far_end.took(300), (1..=300).collect::<Vec<_>>());
    let heard = &far_end.heard(300)[1];
    assert_eq!(heard.id, "st-anne-2");
    let expected = serde_json::json!({
        "type": "contact.ended",
        "timestamp": "1970-01-01T00:00:00.005Z",
        "data": {
            "hospital": "st-anne",
            "seq": 2,
            "at_ms": 5,
            "event": { "type": "contact.ended", "contact": 0, "cause": "caller_hung_up" },
        },
    });
    assert_eq!(heard.body, expected);
    let standing = desk.stands(|standing| standing.behind == 0);
    assert_eq!((standing.taken, standing.failed), (300, 0));
}

#[test]
fn only_what_is_wanted_is_told() {
    let far_end = FarEnd::start(&[]);
    let mut desk = Desk::new(far_end.address, &["contact.ended", "ticket"]);
    desk.follows();
    desk.writes(0..3);
    assert_eq!(far_end.took(3), [2, 4, 6]);
    desk.stands(|standing| standing.behind == 0);
    assert_eq!(far_end.heard(3).len(), 3);
}

#[test]
fn whoever_was_away_misses_nothing() {
    let far_end = FarEnd::start(&[
        "503 Busy\r\n",
        "500 Oops\r\n",
        "429 Slow\r\nretry-after: 0\r\n",
        "302 There\r\nlocation: /\r\n",
        "401 Who\r\n",
        "404 Not yet\r\n",
        "503 Busy\r\n",
        "503 Busy\r\n",
    ]);
    let mut desk = Desk::new(far_end.address, &[]);
    desk.follows();
    desk.writes(0..2);
    assert_eq!(far_end.took(4), [1, 2, 3, 4]);
    let heard = far_end.heard(12);
    let same = heard[..9].iter().all(|heard| heard.id == "st-anne-1");
    assert!(same, "the same message under the same id");
    assert_eq!(desk.stands(|standing| standing.taken == 4).failed, 8);
}

#[test]
fn what_is_refused_for_good_is_left_out_and_counted() {
    let far_end = FarEnd::start(&["422 No\r\n"; 6]);
    let mut desk = Desk::new(far_end.address, &[]);
    desk.follows();
    desk.writes(0..2);
    assert_eq!(far_end.took(3), [2, 3, 4]);
    assert_eq!(desk.stands(|standing| standing.taken == 3).refused, 1);
}

#[test]
fn whoever_is_gone_is_told_nothing_more_until_somebody_looks_at_it() {
    let far_end = FarEnd::start(&["200 OK\r\n", "410 Gone\r\n"]);
    let mut desk = Desk::new(far_end.address, &[]);
    desk.follows();
    desk.writes(0..3);
    desk.stands(|standing| standing.gone);
    assert_eq!(far_end.heard(2).len(), 2);
    desk.restart();
    assert_eq!(far_end.took(6), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let far_end = FarEnd::start(&[]);
    let mut desk = Desk::new(far_end.address, &[]);
    desk.follows();
    desk.writes(0..20);
    far_end.took(10);
    // Some were told and not remembered yet: those may come twice.
    desk.restart();
    desk.writes(20..40);
    let begun = Instant::now();
    loop {
        let took: std::collections::BTreeSet<u64> = far_end.took(1).into_iter().collect();
        if took == (1..=80).collect() {
            break;
        }
        assert!(begun.elapsed() < WAIT, "{took:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn another_folder_changes_who_is_told() {
    let (first, second) = (FarEnd::start(&[]), FarEnd::start(&[]));
    let mut desk = Desk::new(first.address, &[]);
    desk.follows();
    desk.writes(0..1);
    first.took(2);
    let other = told(hook(&desk.dir, second.address, &[]));
    let (_, feed) = desk.open.as_ref().unwrap();
    feed.serve(Book([((TENANT, "itsm".to_owned()), other)].into()));
    desk.writes(1..2);
    let begun = Instant::now();
    while second.took(2)[..].iter().rev().take(2).ne([4, 3].iter()) {
        assert!(begun.elapsed() < WAIT);
        std::thread::sleep(Duration::from_millis(5));
    }
    let (_, feed) = desk.open.as_ref().unwrap();
    feed.serve(Book::default());
    let begun = Instant::now();
    while !feed.standings().is_empty() {
        assert!(begun.elapsed() < WAIT);
        std::thread::sleep(Duration::from_millis(5));
    }
}

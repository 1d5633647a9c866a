//! A known date of birth and record number, keyed in as telephone events, as
//! tones and in INFO: no byte that is kept, logged or told holds them, and no
//! key of them reaches the analyst's telephone.

mod support;

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use desk::people::import::Policy;
use desk::{Event, TenantId};
use server::config::LogFormat;
use server::phone::AnswerPolicy;
use server::serve::publish::Import;
use server::store::{Database, Reader};
use support::house::{House, LATER, SOON};
use tracing_subscriber::EnvFilter;

const TABLE: &str = "\
id,role,name,mobile,mrn,birth_date
S-17,staff,Rosa Alder,+1 555 019 9001,60417283,1984-07-19
";
/// As they are kept, and as they are keyed in.
const NEEDLES: [&str; 4] = ["60417283", "19840719", "1984-07-19", "07191984"];
const CALLER: &str = "+15550199001";
const SAINT_ANNE: TenantId = TenantId(1);

/// What is logged by everybody in this process.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = EnvFilter::new("debug");
        let log = server::log::to(LogFormat::Json, filter, move || writer.clone());
        tracing::subscriber::set_global_default(log).expect("nobody else has one");
        lines
    })
}

/// A house whose staff show record number and date of birth, and who is known there.
async fn house(name: &str) -> House {
    log();
    let file = "hospitals/st-anne.yaml";
    let edit = (
        file,
        "staff: [staff_pin, birth_date]",
        "staff: [mrn, birth_date]",
    );
    let watched = (
        "careline.toml",
        "[limits]",
        "[http]\nbind = \"127.0.0.1:0\"\n\n[limits]",
    );
    let house = House::open_edited(name, &[edit, watched]).await;
    let file = house.file("hr.csv", TABLE);
    let mut import = Import {
        hospital: "st-anne".into(),
        source: "hr".into(),
        file: file.clone(),
        policy: Policy::default(),
        apply: false,
        show: true,
    };
    let mut told = house.asks(&import.question()).await.expect("a dry run");
    import.apply = true;
    told += &house.asks(&import.question()).await.expect("applied");
    is_clean("what the import tells", told.as_bytes());
    std::fs::remove_file(file).expect("removed");
    house
}

fn is_clean(what: &str, bytes: &[u8]) {
    for needle in NEEDLES {
        let found = bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes());
        assert!(!found, "{needle} stands in {what}");
    }
}

fn are_clean(folder: &Path, files: &mut usize) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            are_clean(&path, files);
        } else if path.is_file() {
            is_clean(
                &path.display().to_string(),
                &std::fs::read(&path).expect("readable"),
            );
            *files += 1;
        }
    }
}

/// Nothing that is kept or told holds them, while everything runs and afterwards.
async fn nothing_is_left(mut house: House) {
    // The comparison was right: it is they that were looked for.
    let passed = house
        .logged(SAINT_ANNE, 1, |event| match event {
            Event::ContactVerified { passed, .. } => Some(passed),
            _ => None,
        })
        .await;
    assert_eq!(passed, [true]);
    let folder = house.folder_of_data().to_owned();
    let mut files = 0;
    are_clean(&folder, &mut files);
    assert!(files > 2, "{files} files");
    let database = Database::File(folder.join("careline.db"));
    let reader = Reader::open(&database).expect("a database");
    let people = reader.people(SAINT_ANNE).expect("people");
    assert_eq!(people.factors.len(), 1, "they are kept, sealed");
    let profiles = people.profiles.iter().map(|profile| &**profile);
    is_clean(
        "the export",
        desk::people::export(profiles, None).as_bytes(),
    );
    drop(reader);
    let http = house.http.expect("health and metrics");
    let metrics = tokio::task::spawn_blocking(move || asked(http, "/metrics"));
    let metrics = metrics.await.expect("an answer");
    assert!(metrics.contains("careline_"), "{metrics}");
    is_clean("the metrics", metrics.as_bytes());
    for (_, note) in house.notes().iter() {
        is_clean("a note", format!("{note:?}").as_bytes());
    }
    house.stop().await;
    are_clean(&folder, &mut files);
    let told = log().0.lock().unwrap().clone();
    assert!(!told.is_empty());
    is_clean("the log", &told);
    // Nor one after the other.
    let text = String::from_utf8(told).expect("text");
    for word in ["Signal=", "digit"] {
        let line = text.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "a key is logged");
    }
}

/// What is told there.
fn asked(at: std::net::SocketAddr, path: &str) -> String {
    use io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(at).expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn answering() -> AnswerPolicy {
    AnswerPolicy::Answer {
        after: Duration::from_millis(200),
    }
}

/// The record number twice over: what is pressed beyond it is dropped.
const KEYED_IN: &str = "\"record number\"! 60417283# \"date of birth\"! 0719198460417283";

async fn keyed_in_by(tones: bool) {
    let house = house(if tones {
        "canary-tones"
    } else {
        "canary-events"
    })
    .await;
    let (mut ben, mut caller) = match tones {
        true => (
            house.agent_by_tones("ben", 1, answering()).await,
            house.caller_by_tones(CALLER, 0).await,
        ),
        false => (
            house.agent("ben", 1, answering()).await,
            house.caller(CALLER, 0).await,
        ),
    };
    // Nobody answers for the hospital's system: a person takes over.
    let (call, _) = caller.dial_doing("1013", KEYED_IN).await;
    caller.hears("That can't be done at the moment.").await;
    let ring = ben.rings(LATER).await;
    let marker = ben.marker;
    caller.hears_party(marker).await;
    // The way is open for keys, and these are the first to go by it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    caller.phone.press(call, "5").await.expect("pressed");
    tokio::time::sleep(Duration::from_millis(800)).await;
    caller.hang_up(call).await;
    let report = ben.ended(ring.call, SOON).await;
    let keys: String = report
        .keys_heard
        .iter()
        .map(|heard| heard.keys.as_str())
        .collect();
    assert_eq!(keys, "5");
    nothing_is_left(house).await;
}

#[tokio::test]
async fn keyed_in_as_telephone_events() {
    keyed_in_by(false).await;
}

#[tokio::test]
async fn keyed_in_as_tones() {
    keyed_in_by(true).await;
}

/// A gateway that sends keys in INFO, by hand.
struct Gateway {
    socket: UdpSocket,
    server: std::net::SocketAddr,
    to: String,
    target: String,
    sequence: u32,
}

impl Gateway {
    fn send(&self, method: &str, sequence: u32, extra: &str, body: &str) {
        let (at, number) = (self.socket.local_addr().expect("bound"), CALLER);
        let (target, to) = (&self.target, &self.to);
        let message = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{sequence}{method}\r\n\
             From: <sip:{number}@{at}>;tag=canary\r\nTo: {to}\r\nCall-ID: canary-{at}\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:{number}@{at}>\r\nMax-Forwards: 70\r\n{extra}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket
            .send_to(message.as_bytes(), self.server)
            .expect("sent");
    }

    /// The final answer to a request; others of ours get 200 meanwhile.
    fn answered(&self, method: &str) -> String {
        let until = Instant::now() + SOON;
        let mut buffer = [0; 8_192];
        loop {
            assert!(Instant::now() < until, "no answer to {method}");
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let is_its = text.contains(&format!("CSeq: {} {method}", self.sequence));
            if is_its && text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
                assert!(text.starts_with("SIP/2.0 200"), "{text}");
                return text;
            }
        }
    }

    fn call(server: std::net::SocketAddr, number: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let patience = Some(Duration::from_millis(100));
        socket.set_read_timeout(patience).expect("a timeout");
        let target = format!("sip:{number}@{server}");
        let mut gateway = Self {
            socket,
            server,
            to: format!("<{target}>"),
            target,
            sequence: 1,
        };
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 9 RTP/AVP 0\r\na=sendrecv\r\n";
        gateway.send("INVITE", 1, "Content-Type: application/sdp\r\n", sdp);
        let answer = gateway.answered("INVITE");
        let header = |name: &str| {
            let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.expect("a header").1.trim().to_owned()
        };
        gateway.to = header("To");
        let contact = header("Contact");
        let inner = contact.split(['<', '>']).nth(1).unwrap_or(&contact);
        gateway.target = inner.to_owned();
        gateway.send("ACK", 1, "", "");
        gateway
    }

    fn press(&mut self, key: char) {
        self.sequence += 1;
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let kind = "Content-Type: application/dtmf-relay\r\n";
        self.send("INFO", self.sequence, kind, &body);
        self.answered("INFO");
    }
}

#[tokio::test]
async fn keyed_in_by_info() {
    let house = house("canary-info").await;
    let mut ben = house.agent("ben", 1, answering()).await;
    let server = house.address;
    // It hears nothing, and keys in what would be asked for, with time enough between.
    let gateway = tokio::task::spawn_blocking(move || {
        let mut gateway = Gateway::call(server, "1013");
        std::thread::sleep(Duration::from_secs(3));
        for keys in ["60417283#", "0719198460417283"] {
            for key in keys.chars() {
                gateway.press(key);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        gateway
    });
    let mut gateway = gateway.await.expect("a call");
    let ring = ben.rings(LATER).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let gateway = tokio::task::spawn_blocking(move || {
        gateway.press('5');
        std::thread::sleep(Duration::from_millis(800));
        gateway.sequence += 1;
        gateway.send("BYE", gateway.sequence, "", "");
        gateway.answered("BYE");
    });
    gateway.await.expect("hung up");
    let report = ben.ended(ring.call, SOON).await;
    let keys: String = report
        .keys_heard
        .iter()
        .map(|heard| heard.keys.as_str())
        .collect();
    assert_eq!(keys, "5");
    nothing_is_left(house).await;
}

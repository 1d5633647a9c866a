//! The client against far ends written by hand, byte by byte.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::JoinHandle;

use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::config::SecretFrom;
use crate::outward::{HEAD_BYTES_MAX, REFUSED_WAIT};

fn action(url: &str) -> ActionConfig {
    ActionConfig {
        url: url.to_owned(),
        method: Method::Post,
        headers: [("X-Source".to_owned(), "desk".to_owned())].into(),
        secret_headers: [].into(),
        timeout_s: 5,
        authority: None,
    }
}

fn query(wanted: &[&str]) -> Query {
    Query {
        id: QueryId(7),
        tenant: TenantId(1),
        action: "status".into(),
        with: [
            (Arc::from("system"), Val::Text("a \"b\"\u{7}".into())),
            (Arc::from("again"), Val::Truth(true)),
            (Arc::from("count"), Val::Number(-3)),
        ]
        .into_iter()
        .collect(),
        wanted: wanted.iter().map(|name| Arc::from(*name)).collect(),
        key: "12-ask-1".to_owned(),
        deadline: Duration::from_millis(1_500),
    }
}

fn asks(action: &ActionConfig, query: &Query) -> Result<Fields, Fault> {
    let target =
        target(action, Path::new("/"), &mut Authorities::default()).expect("a sound action");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(query.deadline, exchange(&target, query))
            .await
            .unwrap_or(Err(Fault::TimedOut))
    })
}

/// Reads a request: its lines, and its body by the length it says.
fn heard(stream: &mut impl BufRead) -> (Vec<String>, String) {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        assert!(line.is_empty() || line.ends_with("\r\n"), "{line:?}");
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    stream.read_exact(&mut body).expect("a body");
    (head, String::from_utf8(body).expect("text"))
}

/// Somebody who hears one request, and answers so; what was heard. `stays`: doesn't hang up.
fn far_end(answer: &[u8], stays: bool) -> (SocketAddr, JoinHandle<(Vec<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let answer = answer.to_vec();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody asks");
        let mut stream = BufReader::new(stream);
        let request = heard(&mut stream);
        // Whoever asked may have heard enough.
        let _ = stream.get_mut().write_all(&answer);
        if stays {
            let _ = stream.read_line(&mut String::new());
        }
        request
    });
    (address, thread)
}

/// What comes of this answer.
fn answered(answer: &str, stays: bool) -> Result<Fields, Fault> {
    let (address, far_end) = far_end(answer.as_bytes(), stays);
    let answer = asks(
        &action(&format!("http://{address}/a?b=c")),
        &query(&["works", "in"]),
    );
    far_end.join().expect("it was asked");
    answer
}

fn fine() -> Fields {
    [
        (Arc::from("works"), Val::Truth(true)),
        (Arc::from("in"), Val::Number(5)),
    ]
    .into_iter()
    .collect()
}

const FINE: &str = "{\"in\": 5, \"works\": true, \"more\": {\"works\": false}}";

#[test]
fn a_request_says_what_it_should() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{FINE}",
        FINE.len()
    );
    let (address, far_end) = far_end(answer.as_bytes(), false);
    let url = format!("http://{address}/a?b=c");
    let said = asks(&action(&url), &query(&["works", "in"])).expect("an answer");
    assert_eq!(said, fine());
    let (head, body) = far_end.join().expect("it was asked");
    assert_eq!(head[0], "post /a?b=c http/1.1");
    for line in [
        &format!("host: {address}"),
        "content-type: application/json",
        "connection: close",
        "idempotency-key: \"12-ask-1\"",
        "x-source: desk",
    ] {
        assert_eq!(
            head.iter().filter(|other| *other == line).count(),
            1,
            "{line}: {head:?}"
        );
    }
    let sent = "{\"again\":true,\"count\":-3,\"system\":\"a \\\"b\\\"\\u0007\"}";
    assert_eq!(body, sent);
}

#[test]
fn answers_in_every_form() {
    let length = FINE.len();
    let (one, two) = FINE.split_at(10);
    for answer in [
        format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{FINE}"),
        // Until the connection's end.
        format!("HTTP/1.0 200 OK\r\n\r\n{FINE}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            two.len()
        ),
        // Not yet, and then.
        format!(
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{FINE}"
        ),
    ] {
        assert_eq!(
            answered(&answer, false).expect("an answer"),
            fine(),
            "{answer}"
        );
    }
}

#[test]
fn whatever_is_no_answer_says_why() {
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let long = format!(
        "{{\"works\": true, \"x\": \"{}\"}}",
        "x".repeat(ANSWER_BYTES_MAX)
    );
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2 * HEAD_BYTES_MAX));
    let moved =
        "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    for (answer, stays, why) in [
        (
            "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}",
            false,
            "5xx",
        ),
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", false, "4xx"),
        (moved, false, "3xx"),
        (&ok("<html>"), false, "the answer isn't a JSON object"),
        (&ok("[true]"), false, "the answer isn't a JSON object"),
        (
            &ok("{\"works\": true"),
            false,
            "the answer isn't a JSON object",
        ),
        (&ok("\u{feff}{}"), false, "the answer isn't a JSON object"),
        (
            &ok(&"[".repeat(60_000)),
            false,
            "the answer isn't a JSON object",
        ),
        (&ok(&long), false, "the answer is too long"),
        (&endless, true, "the connection broke"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
            false,
            "the connection broke",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", false, "the connection broke"),
        ("", false, "the connection broke"),
        ("", true, "no answer in time"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
            true,
            "no answer in time",
        ),
    ] {
        let fault = answered(answer, stays).expect_err(answer);
        let shown: String = answer.chars().take(80).collect();
        assert_eq!(fault.to_string(), why, "{shown}");
    }
}

/// Nobody has seen a request whose connection is refused: it is tried again. One that was seen isn't.
#[test]
fn only_a_refused_connection_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let late = std::thread::spawn(move || {
        std::thread::sleep(REFUSED_WAIT / 2);
        let listener = TcpListener::bind(address).expect("the same port");
        let (stream, _) = listener.accept().expect("somebody asks");
        let mut stream = BufReader::new(stream);
        heard(&mut stream);
        // Without a word.
        drop(stream);
        listener.set_nonblocking(true).expect("a listener");
        std::thread::sleep(REFUSED_WAIT * 2);
        assert!(listener.accept().is_err(), "asked twice");
    });
    let fault = asks(&action(&format!("http://{address}/")), &query(&[])).expect_err("no word");
    assert_eq!(fault.to_string(), "the connection broke");
    late.join().expect("asked once");
    let fault = asks(&action(&format!("http://{address}/")), &query(&[])).expect_err("nobody");
    assert!(
        matches!(fault, Fault::Unreachable(io::ErrorKind::ConnectionRefused)),
        "{fault}"
    );
}

#[test]
fn the_far_end_shows_a_certificate_of_an_authority_we_trust() {
    let dir = scratch("tls");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec![]).expect("names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    std::fs::write(dir.join("ca.pem"), authority.pem()).expect("written");
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    let ours = params.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![ours.der().clone()], key.expect("a key"))
        .expect("they fit");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let stream = rustls::StreamOwned::new(session, stream.expect("a connection"));
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                // Who doesn't trust us says nothing.
                if stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                    heard(&mut stream);
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{FINE}",
                        FINE.len()
                    );
                    let _ = stream.get_mut().write_all(answer.as_bytes());
                }
            });
        }
    });
    let ask = |host: &str, authority: Option<PathBuf>| {
        let action = ActionConfig {
            authority,
            ..action(&format!("https://{host}:{port}/"))
        };
        asks(&action, &query(&["works", "in"]))
    };
    let ca = || Some(dir.join("ca.pem"));
    assert_eq!(ask("localhost", ca()).expect("an answer"), fine());
    // Another name than it shows, or nobody we trust.
    let fault = ask("127.0.0.1", ca()).expect_err("not its name");
    assert!(matches!(fault, Fault::Tls(_)), "{fault}");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let other = other.expect("a certificate").cert.pem();
    std::fs::write(dir.join("other.pem"), other).expect("written");
    let fault = ask("localhost", Some(dir.join("other.pem"))).expect_err("not trusted");
    assert!(matches!(fault, Fault::Tls(_)), "{fault}");
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("careline-actions-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

#[test]
fn secrets_are_sent_and_never_shown() {
    let dir = scratch("secrets");
    std::fs::write(dir.join("token"), "Bearer s3cret-f1le\n").expect("written");
    let from = |file: Option<&str>, env: Option<&str>| SecretFrom {
        file: file.map(PathBuf::from),
        env: env.map(str::to_owned),
    };
    let with = |from: SecretFrom| ActionConfig {
        secret_headers: [("Authorization".to_owned(), from)].into(),
        ..action("http://user.example/t0ken-in-path")
    };
    let good = target(
        &with(from(Some("token"), None)),
        &dir,
        &mut Authorities::default(),
    )
    .expect("a secret");
    assert_eq!(good.headers["authorization"], "Bearer s3cret-f1le");
    let book = Book(HashMap::from([(
        (TenantId(1), Arc::from("status")),
        Arc::new(good),
    )]));
    let printed = format!("{book:?} {:?}", with(from(Some("token"), None)));
    for secret in ["s3cret", "t0ken"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    // Every test process has one.
    let path = target(
        &with(from(None, Some("PATH"))),
        &dir,
        &mut Authorities::default(),
    )
    .expect("a secret");
    let expected = std::env::var("PATH").expect("a path");
    assert_eq!(path.headers["authorization"], expected.as_str());
    assert!(path.headers["authorization"].is_sensitive());
    std::fs::write(dir.join("empty"), "\n").expect("written");
    std::fs::write(dir.join("huge"), "x".repeat(secrets::SECRET_BYTES_MAX + 1)).expect("written");
    std::fs::write(dir.join("lines"), "a\nb").expect("written");
    for (from, why) in [
        (from(Some("nowhere"), None), "nowhere: No such file"),
        (from(Some("empty"), None), "empty holds no secret"),
        (from(Some("huge"), None), "huge holds no secret"),
        (
            from(Some("lines"), None),
            "the value of header \"Authorization\" can't be sent",
        ),
        (
            from(None, Some("CARELINE_NO_SUCH_VARIABLE")),
            "environment variable CARELINE_NO_SUCH_VARIABLE isn't set",
        ),
    ] {
        let fault = target(&with(from), &dir, &mut Authorities::default())
            .err()
            .expect(why);
        assert!(fault.contains(why), "{fault}");
    }
}

/// On its thread: answers come back with their questions' ids, what nobody
/// waits for is dropped, and what can't be asked is answered at once.
#[test]
fn questions_come_back_by_their_ids() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{FINE}",
        FINE.len()
    );
    let (quick, _heard) = far_end(answer.as_bytes(), false);
    let (slow, hung_up) = far_end(b"", true);
    let book = [("quick", quick), ("slow", slow)].map(|(name, address)| {
        let target = target(
            &action(&format!("http://{address}/")),
            Path::new("/"),
            &mut Authorities::default(),
        );
        (
            (TenantId(1), Arc::from(name)),
            Arc::new(target.expect("sound")),
        )
    });
    let (actions, mut answers) = Actions::start(Book(book.into())).expect("a thread");
    let ask = |id: u64, tenant: u32, action: &str| {
        let query = Query {
            id: QueryId(id),
            tenant: TenantId(tenant),
            action: action.into(),
            deadline: Duration::from_secs(60),
            ..query(&["works", "in"])
        };
        actions.ask(query)
    };
    for (tenant, action) in [(2, "quick"), (1, "nowhere")] {
        let told = ask(1, tenant, action);
        assert!(
            matches!(
                told,
                Some(Input::Answer {
                    id: QueryId(1),
                    answer: None
                })
            ),
            "{told:?}"
        );
    }
    assert!(ask(2, 1, "slow").is_none());
    assert!(ask(3, 1, "quick").is_none());
    let told: Input = answers.blocking_recv().expect("an answer").into();
    match told {
        Input::Answer { id, answer } => assert_eq!((id, answer), (QueryId(3), Some(fine()))),
        other => panic!("{other:?}"),
    }
    actions.forget(QueryId(2));
    actions.forget(QueryId(99));
    // The far end sees that nobody listens any more, long before the deadline.
    hung_up.join().expect("it was asked");
    drop(actions);
    assert!(answers.blocking_recv().is_none(), "the thread ends");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the bytes are, what is taken of them was wanted, and is flat.
    #[test]
    fn any_bytes_are_an_answer_or_none(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}\":,0-9eE.+truefalsn\\\\ \n-]{0,80}".prop_map(String::into_bytes),
        "\\{\"(a|b|c)\": ?(true|-?[0-9]{1,25}|\"[a-z\\\\\"\u{0}-\u{20}]{0,9}\"|null|\\[1\\]|1[.]5|1e9)(, ?\"(a|b|c)\": ?(false|7|\"x\"))?\\}"
            .prop_map(String::into_bytes),
    ]) {
        let wanted = ["a", "b"].map(Arc::<str>::from);
        if let Some(fields) = flat(&bytes, &wanted) {
            let json: serde_json::Value = serde_json::from_slice(&bytes).expect("it was read");
            for (name, value) in fields.iter() {
                prop_assert!(name == "a" || name == "b");
                let same = match value {
                    Val::Truth(truth) => json[name] == *truth,
                    Val::Text(text) => json[name] == **text,
                    Val::Number(number) => json[name] == *number,
                };
                prop_assert!(same);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever comes over the wire, there is an answer or none, in time.
    #[test]
    fn any_bytes_may_come(
        head in prop_oneof![
            Just("HTTP/1.1 200 OK\r\n".to_owned()),
            Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
            Just(String::new()),
        ],
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [head.as_bytes(), &rest].concat();
        let (address, far_end) = far_end(&bytes, false);
        let _ = asks(&action(&format!("http://{address}/")), &query(&["works"]));
        far_end.join().expect("it was asked");
    }
}

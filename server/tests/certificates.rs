//! Trunks that are known by what they show rather than by their address: a
//! certificate (RFC 5922), or a registration of ours with them.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use support::ear::Ear;
use support::sipp::caller;
use support::{Server, with_authority};

/// A certificate with these names, of this authority; valid until last year if `expired`.
fn certificate(
    issuer: &rcgen::Issuer<'_, rcgen::KeyPair>,
    names: &[rcgen::SanType],
    expired: bool,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec![]).expect("names");
    params.subject_alt_names = names.to_vec();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
    (certificate.der().clone(), key)
}

/// The status of the first answer to an INVITE; `None`: there is no conversation.
fn invited(
    server: &Server,
    authority: &Path,
    shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> Option<u16> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority).expect("the authority");
    roots.add(root).expect("usable");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match shown {
        Some((certificate, key)) => config
            .with_client_auth_cert(vec![certificate], key)
            .expect("they fit"),
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut line = TcpStream::connect(("127.0.0.1", server.tls_port())).expect("it listens");
    line.set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a socket");
    let mut stream = rustls::Stream::new(&mut session, &mut line);
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 40000 RTP/AVP 0\r\n";
    // Another call each time, not the first once more.
    static CALLS: AtomicU32 = AtomicU32::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let invite = format!(
        "INVITE sip:15550101004@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:7;branch=z9hG4bK{call}\r\n\
         From: <sip:+15550178001@pbx.example>;tag=1\r\nTo: <sip:15550101004@127.0.0.1>\r\n\
         Call-ID: certified{call}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
         Contact: <sip:pbx@127.0.0.1:7;transport=tls>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    stream.write_all(invite.as_bytes()).ok()?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(answer.get(..length)?).into_owned();
    answer.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// What a TLS session is shown as the server's certificate.
fn presented(server: &Server, authority: &Path) -> CertificateDer<'static> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority).expect("the authority");
    roots.add(root).expect("usable");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut line = TcpStream::connect(("127.0.0.1", server.tls_port())).expect("it listens");
    line.set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a socket");
    while session.is_handshaking() {
        session.complete_io(&mut line).expect("a handshake");
    }
    let chain = session.peer_certificates().expect("a certificate");
    chain[0].clone().into_owned()
}

/// A renewed certificate is shown after SIGHUP, by the same process; and whoever speaks nothing newer than TLS 1.1 gets
/// an alert and no session (RFC 8996).
#[test]
fn certificates_are_read_anew_and_old_versions_refused() {
    let (config, authority, issuer) = with_authority("renewed");
    let memory = support::InMemory::new("renewed");
    let server = Server::start_with(&memory.path().join("data"), &config, "127.0.0.1:0", &[]);
    let before = presented(&server, &authority);
    assert_eq!(presented(&server, &authority), before);
    let key = rcgen::KeyPair::generate().expect("a key");
    let ours = rcgen::CertificateParams::new(vec!["127.0.0.1".into()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("a certificate");
    std::fs::write(config.join("ours.pem"), ours.pem()).expect("written");
    std::fs::write(config.join("ours.key"), key.serialize_pem()).expect("written");
    assert_eq!(presented(&server, &authority), before, "nobody said so yet");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    let until = Instant::now() + Duration::from_secs(20);
    while presented(&server, &authority) != *ours.der() {
        assert!(Instant::now() < until, "{}", server.printed());
        std::thread::sleep(Duration::from_millis(50));
    }

    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    // No session; ECDHE and RSA with AES-CBC, as TLS 1.1 has them; no compression; no extensions.
    hello.extend([0, 0, 6, 0xc0, 0x13, 0xc0, 0x09, 0x00, 0x2f, 1, 0]);
    let mut record = vec![22, 0x03, 0x01, 0, hello.len() as u8 + 4];
    record.extend([1, 0, 0, hello.len() as u8]);
    record.extend(&hello);
    let mut line = TcpStream::connect(("127.0.0.1", server.tls_port())).expect("it listens");
    line.set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a socket");
    line.write_all(&record).expect("written");
    let mut alert = [0; 7];
    line.read_exact(&mut alert).expect("an alert");
    // Fatal: handshake_failure or protocol_version.
    assert_eq!((alert[0], alert[5]), (21, 2), "{alert:?}");
    assert!(matches!(alert[6], 40 | 70), "{alert:?}");
}

/// The demo where nobody is trusted for their address, and one trunk for its certificate.
#[test]
fn a_certificate_is_a_trunks_identity_and_no_other_is() {
    let (config, authority, issuer) = with_authority("trunk-certificate");
    let edit = |file: &str, is: &str, shall: &str| {
        let file = config.join(file);
        let text = std::fs::read_to_string(&file).expect("readable");
        assert!(text.contains(is), "the demo has changed: no {is:?}");
        std::fs::write(&file, text.replace(is, shall)).expect("written");
    };
    edit("careline.toml", "trusted = [", "trusted = [] # ");
    edit(
        "operator.yaml",
        "    account: { user: nightline, secret: demo-nightline }",
        "    account: { user: nightline, secret: demo-nightline }\n    identity: pbx.example",
    );
    let memory = support::InMemory::new("trunk-certificate");
    let server = Server::start_with(&memory.path().join("data"), &config, "127.0.0.1:0", &[]);
    let dns = |name: &str| rcgen::SanType::DnsName(name.try_into().expect("a name"));
    let uri = |text: &str| rcgen::SanType::URI(text.try_into().expect("a URI"));
    let show = |names: &[rcgen::SanType], expired: bool| {
        let shown = certificate(&issuer, names, expired);
        invited(&server, &authority, Some(shown))
    };
    assert_eq!(show(&[dns("pbx.example")], false), Some(200));
    assert_eq!(
        show(&[dns("other.example"), dns("PBX.example")], false),
        Some(200)
    );
    assert_eq!(show(&[uri("sip:pbx.example")], false), Some(200));
    // What a URI says counts, and nothing beside it.
    let both = [uri("sip:other.example"), dns("pbx.example")];
    assert_eq!(show(&both, false), Some(401));
    assert_eq!(show(&[uri("sip:ana@pbx.example")], false), Some(401));
    assert_eq!(show(&[dns("*.example")], false), Some(401));
    assert_eq!(show(&[dns("pbx.example.net")], false), Some(401));
    assert_eq!(invited(&server, &authority, None), Some(401));
    // Run out, or of another authority: there is no connection at all.
    assert_eq!(show(&[dns("pbx.example")], true), None);
    let (_, _, stranger) = with_authority("trunk-certificate-stranger");
    let shown = certificate(&stranger, &[dns("pbx.example")], false);
    assert_eq!(invited(&server, &authority, Some(shown)), None);
}

fn metrics(at: &str) -> String {
    let mut line = TcpStream::connect(at).expect("it listens");
    write!(line, "GET /metrics HTTP/1.0\r\n\r\n").expect("sent");
    let mut text = String::new();
    line.read_to_string(&mut text).expect("an answer");
    text
}

/// One Careline is the provider of another: it knows its trunk by a registration.
#[test]
fn a_trunk_registers_and_its_calls_come_by_that() {
    let provider = Server::start("provider");
    let registrar = format!("sip:{}", provider.address);
    let trunk = format!(
        "trunks:\n  - name: city\n    register: {{ registrar: \"{registrar}\", user: nightline, \
         secret: demo-nightline, aor: \"sip:nightline@careline.demo\", number: \"15550101002\" }}\n"
    );
    let ours = Server::start_changed(
        "registers",
        &[
            ("careline.toml", "trusted = [", "trusted = [] # "),
            (
                "careline.toml",
                "[limits]",
                "[http]\nbind = \"127.0.0.1:0\"\n\n[limits]",
            ),
            ("operator.yaml", "trunks:\n", &trunk),
        ],
    );
    let printed = ours.printed();
    let at = printed.split("http://").nth(1).expect("it says where");
    let at = at.split('/').next().expect("an address");
    let until = Instant::now() + Duration::from_secs(10);
    while !metrics(at).contains("careline_trunk_registered{trunk=\"city\"} 1") {
        assert!(Instant::now() < until, "not registered: {}", metrics(at));
        std::thread::sleep(Duration::from_millis(100));
    }
    // Out of hours the provider's patients go to its partner: to us.
    let ear = Ear::open(440.0);
    let patient = caller(&provider, "1005", "+15550177005", &ear, 32);
    let emergency = "If this is an emergency, hang up and dial nine one one.";
    let book = support::book();
    let clip = &book.fixed[&(desk::TenantId(1), emergency.into())];
    ear.wait_for(emergency, clip, 0.95, Duration::from_secs(10));
    ear.press('0');
    ours.wait_for("Saint Anne Medical Center: call", Duration::from_secs(30));
    provider.wait_for("talks with the partner", Duration::from_secs(5));
    patient.succeeded(Duration::from_secs(60));
}

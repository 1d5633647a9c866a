//! What a phone's TLS connection costs: connect, shake hands, one OPTIONS,
//! close; no session is resumed.

use std::io::{self, Read, Write};

use crate::figures::line;
use crate::process::Server;
use crate::{Settings, folder, link};

const CONNECTIONS: usize = 500;

pub(crate) fn measure(settings: &Settings) -> io::Result<()> {
    let config = settings.scratch.join("config-tls");
    let authority = folder::write_tls(&config)?;
    let server = Server::start(&config, &settings.scratch, "handshakes")?;
    let client = link::trusting(&authority)?;
    let to = server.tls()?;
    let before = server.cpu();
    let mut failed = 0;
    for number in 0..CONNECTIONS {
        let options = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKo{number}\r\n\
             From: <sip:load@127.0.0.1>;tag=o{number}\r\nTo: <sip:{to}>\r\nCall-ID: o{number}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let mut answer = [0; 1_024];
        let answered = link::connect(to, &client).and_then(|mut session| {
            session.write_all(options.as_bytes())?;
            session.read(&mut answer)
        });
        let ok = answered.is_ok_and(|length| answer[..length].starts_with(b"SIP/2.0 200"));
        failed += usize::from(!ok);
    }
    let spent = server.cpu().since(before).total();
    line(
        "TLS connection with one request",
        "µs",
        &[spent * 1e6 / CONNECTIONS as f64],
        0,
        None,
        &format!("TLS 1.3, P-256; {failed} of {CONNECTIONS} failed"),
    );
    println!();
    Ok(())
}

//! A caller whose connection is closed before it has been answered (RFC 3261 section 18.2.2).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::Server;
use crate::support::ear::Ear;
use crate::support::house::SOON;

/// One whole message; what it says of its length is believed.
fn message(line: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    let whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))?;
        (body.len() >= length.parse().ok()?).then_some(())
    };
    while whole(&text).is_none() {
        line.read_exact(&mut byte).expect("a whole message");
        text.push(byte[0].into());
    }
    text
}

fn header(message: &str, name: &str) -> String {
    let line = message.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {message}"));
    line[name.len() + 2..].to_owned()
}

/// The 200 comes by a connection that Careline makes, to where Via says that the caller listens. The call goes on by that.
#[test]
fn an_answer_finds_a_caller_whose_connection_is_closed() {
    let server = Server::start("closed-connection");
    let ear = Ear::open(440.0);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let ours = listener.local_addr().expect("bound");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
        ear.port
    );
    let invite = format!(
        "INVITE sip:15550101004@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {ours};branch=z9hG4bK1\r\n\
         From: <sip:+15550178001@pbx.example>;tag=1\r\nTo: <sip:15550101004@127.0.0.1>\r\n\
         Call-ID: closed\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
         Contact: <sip:pbx@{ours};transport=tcp>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let mut first = TcpStream::connect(server.address).expect("it listens");
    first.write_all(invite.as_bytes()).expect("sent");
    drop(first);
    listener.set_nonblocking(true).expect("a socket");
    let until = Instant::now() + SOON;
    let mut line = loop {
        match listener.accept() {
            Ok((line, _)) => break line,
            Err(_) => assert!(Instant::now() < until, "no connection was made"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    line.set_nonblocking(false).expect("a socket");
    line.set_read_timeout(Some(SOON)).expect("a socket");
    let ok = message(&mut line);
    assert!(ok.starts_with("SIP/2.0 200 "), "{ok}");
    let (to, target) = (header(&ok, "To"), header(&ok, "Contact"));
    let target = target.trim_matches(['<', '>']);
    let request = |method: &str, cseq: u32| {
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/TCP {ours};branch=z9hG4bK{method}\r\n\
             From: <sip:+15550178001@pbx.example>;tag=1\r\nTo: {to}\r\nCall-ID: closed\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    };
    line.write_all(request("ACK", 1).as_bytes()).expect("sent");
    server.wait_for("waits in queue clinical", SOON);
    line.write_all(request("BYE", 2).as_bytes()).expect("sent");
    let bye = loop {
        // The 200 may have been repeated before the ACK was there.
        let answer = message(&mut line);
        if header(&answer, "CSeq").ends_with("BYE") {
            break answer;
        }
    };
    assert!(bye.starts_with("SIP/2.0 200 "), "{bye}");
    server.wait_for("ended: the caller hung up", SOON);
}

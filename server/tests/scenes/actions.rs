//! A flow asks a hospital's own system by HTTP, and the caller hears what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use switch::ActionEnd;

use super::*;

/// What a hospital's system is asked: the request's lines, and what was sent.
pub(super) type Asked = Arc<Mutex<Vec<(Vec<String>, String)>>>;

/// A system that answers each system's name in its way. Knows nothing of the
/// client but the wire.
pub(super) fn system() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!(
        "url: \"http://{}/status\"",
        listener.local_addr().expect("bound")
    );
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, kept) = (stream.expect("a connection"), Arc::clone(&kept));
            // Whoever was hung up on isn't listening any more.
            std::thread::spawn(move || drop(answer(stream, &kept)));
        }
    });
    (url, asked)
}

fn answer(stream: TcpStream, asked: &Asked) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is = name.eq_ignore_ascii_case("content-length");
        is.then(|| value.parse().expect("a length"))
    });
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("text");
    let which = body.clone();
    asked.lock().unwrap().push((head, body));
    let mut stream = reader.into_inner();
    let said = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let works = said(
        "200 OK",
        "{\"works\": true, \"minutes\": 0, \"more\": [{}]}",
    );
    let answer = match which.as_str() {
        "{\"system\":\"health-record\"}" => works,
        code if code.starts_with("{\"code\":") => said("200 OK", "{}"),
        // A new password, but for whom nobody knows there.
        "{\"user\":\"S-17\"}" => said("200 OK", "{\"sent\": true}"),
        "{\"user\":\"S-18\"}" => said("404 Not Found", "{}"),
        "{\"system\":\"mail\"}" => said("500 Internal Server Error", &works),
        _ => {
            // Longer than anybody waits.
            std::thread::sleep(Duration::from_secs(8));
            works
        }
    };
    stream.write_all(answer.as_bytes())
}

/// What came of each action, as the server noted it.
fn ends(house: &House) -> Vec<ActionEnd> {
    let notes = house.notes();
    let ends = notes.iter().filter_map(|(_, note)| match &note.what {
        NoteWhat::Action(_, end) => Some(*end),
        _ => None,
    });
    ends.collect()
}

pub(super) async fn what_a_hospitals_system_says_is_heard() {
    let (url, asked) = system();
    let file = "hospitals/st-anne.yaml";
    let edit = (file, "url: \"http://127.0.0.1:5080/status\"", &*url);
    let house = House::open_edited("system", &[edit]).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial_doing("1011", "w0 1").await;
    caller.hears("That system works").await;
    caller.hang_up(call).await;
    let report = caller.ended(call, SOON).await;
    sound_of(&report, &caller);
    assert!(!report.heard_text("One moment"), "{:#?}", report.heard);
    {
        let asked = asked.lock().unwrap();
        let [(head, _)] = &asked[..] else {
            panic!("asked once: {asked:?}");
        };
        assert_eq!(head[0], "POST /status HTTP/1.1");
        let header = |name: &str| {
            let lines = head.iter().filter_map(|line| line.split_once(": "));
            let mut values = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let value = values.next().map(|(_, value)| value.to_owned());
            assert!(values.next().is_none(), "{name} twice: {head:?}");
            value.unwrap_or_else(|| panic!("no {name}: {head:?}"))
        };
        assert_eq!(header("content-type"), "application/json");
        let key = header("idempotency-key");
        assert!(key.ends_with("-ask-1\""), "{key}");
        assert!(!head.concat().contains(UNKNOWN), "nobody's number is sent");
    }
    // It says no, with a body that would have done.
    let mut ben = house.agent("ben", 1, answering(200)).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial_doing("1011", "w0 2").await;
    caller.hears("We can't tell at the moment.").await;
    let ring = ben.rings(LATER).await;
    both_talk(&mut caller, &mut ben).await;
    let (theirs, _) = caller_ends(&mut caller, call, &mut ben, &ring).await;
    assert!(!theirs.heard_text("That system"), "{:#?}", theirs.heard);
    assert_eq!(ends(&house), [ActionEnd::Answered, ActionEnd::Failed]);
    // The system moves: whoever calls from now on asks there, and no address is shown.
    let (elsewhere, asked_there) = system();
    let moved = house.folder("moved", &[(file, &*url, &*elsewhere)]);
    let plan = house.administrator("apply", &moved).await.expect("sound");
    assert!(
        plan.contains("~ st-anne: action system-status: url\n"),
        "{plan}"
    );
    assert!(!plan.contains("127.0.0.1"), "{plan}");
    let mut caller = house.caller(UNKNOWN, 0).await;
    caller.dial_doing("1011", "w0 1").await;
    caller.hears("That system works").await;
    let times = [&asked, &asked_there].map(|asked| asked.lock().unwrap().len());
    assert_eq!(times, [2, 1]);
}

pub(super) async fn who_waits_for_a_system_hears_music_and_then_a_person() {
    let (url, asked) = system();
    let file = "hospitals/st-anne.yaml";
    let edit = (file, "url: \"http://127.0.0.1:5080/status\"", &*url);
    let house = House::open_edited("slow-system", &[edit]).await;
    let mut caller = house.caller(UNKNOWN, 0).await;
    let (call, _) = caller.dial_doing("1011", "w0 3").await;
    caller.hears("One moment, please.").await;
    caller.hears_music().await;
    let before = Instant::now();
    caller.hears("We can't tell at the moment.").await;
    assert!(before.elapsed() < Duration::from_secs(5), "its deadline");
    // Queued: the late answer, when it comes, is nobody's.
    let contact = house.queued("service").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    caller.hears("The service desk is being called.").await;
    caller.hang_up(call).await;
    let report = caller.ended(call, SOON).await;
    sound_of(&report, &caller);
    assert!(!report.heard_text("That system"), "{:#?}", report.heard);
    assert_eq!(ends(&house), [ActionEnd::TimedOut]);
    assert_eq!(asked.lock().unwrap().len(), 1, "never asked twice");
    let row = house
        .recorded(SAINT_ANNE, contact, |row| row.facts.position.is_ended())
        .await;
    let visits = row.facts.visits;
    assert_eq!((visits.queued, visits.ended()), (1, 1), "{row:?}");
}

//! Tickets in a ServiceNow that was written from the vendor's documentation
//! (Table API; Inbound REST API rate limiting; error bodies), by hand, on bytes: it
//! knows nothing of what asks it.

use desk::{Actor, Clock, Priority, TicketId, TicketNumber, TicketStatus, Updated};
use serde_json::{Map, Value, json};

use super::*;
use crate::config::ServiceNowConfig;

type Row = Map<String, Value>;

/// What goes wrong with a request.
#[derive(Clone, Copy)]
enum Trouble {
    /// Done, and the answer never comes.
    AnswerLost,
    /// The rule for this user allows no more in this hour.
    LimitReached,
    /// The instance is asleep.
    Asleep,
    /// A business rule or data policy aborts it.
    Aborted,
}

#[derive(Default)]
struct Instance {
    rows: BTreeMap<String, Row>,
    troubles: VecDeque<(&'static str, Trouble)>,
    asked: Vec<String>,
}

struct Now {
    address: SocketAddr,
    instance: Arc<Mutex<Instance>>,
}

impl Now {
    fn start(troubles: &[(&'static str, Trouble)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let now = Self {
            address: listener.local_addr().unwrap(),
            instance: Arc::default(),
        };
        now.instance.lock().unwrap().troubles = troubles.iter().copied().collect();
        let instance = Arc::clone(&now.instance);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&instance, BufReader::new(stream.unwrap()));
            }
        });
        now
    }

    /// Once it has so many records, and these columns of one.
    fn has(&self, count: usize, correlation: &str, columns: &[(&str, &str)]) -> Row {
        let begun = Instant::now();
        loop {
            let instance = self.instance.lock().unwrap();
            let row = instance
                .rows
                .values()
                .find(|row| row["correlation_id"] == correlation);
            if let Some(row) = row
                && columns.iter().all(|(column, text)| row[*column] == *text)
                && instance.rows.len() == count
            {
                return row.clone();
            }
            assert!(
                begun.elapsed() < WAIT,
                "{:?} {:?}",
                instance.rows,
                instance.asked
            );
            drop(instance);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn asked(&self) -> Vec<String> {
        self.instance.lock().unwrap().asked.clone()
    }
}

fn serve(instance: &Mutex<Instance>, mut stream: BufReader<std::net::TcpStream>) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => value.clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let mut instance = instance.lock().unwrap();
    instance.asked.push(format!("{method} {target}"));
    let trouble = match instance.troubles.front() {
        Some((of, _)) if *of == method => instance.troubles.pop_front().map(|(_, it)| it),
        _ => None,
    };
    let error = |message: &str, detail: &str| json!({ "error": { "message": message, "detail": detail }, "status": "failure" });
    let (status, head, answer) = match trouble {
        Some(Trouble::LimitReached) => (
            "429 Too Many Requests",
            "X-RateLimit-Limit: 100\r\nX-RateLimit-Rule: integration\r\nX-RateLimit-Reset: 1700000000\r\n",
            error("Rate limit exceeded", "Limit of 100 requests per hour"),
        ),
        Some(Trouble::Asleep) => ("503 Service Unavailable", "", json!({})),
        Some(Trouble::Aborted) => (
            "403 Forbidden",
            "",
            error(
                "Operation Failed",
                "Error during insert of incident: Data Policy Exception",
            ),
        ),
        Some(Trouble::AnswerLost) | None
            if authorization != "Basic Y2FyZWxpbmU6b3BlbiBzZXNhbWU=" =>
        {
            (
                "401 Unauthorized",
                "WWW-Authenticate: BASIC realm=\"Service-now\"\r\n",
                error(
                    "User Not Authenticated",
                    "Required to provide Auth information",
                ),
            )
        }
        Some(Trouble::AnswerLost) | None => table(&mut instance, method, target, &body),
    };
    drop(instance);
    if matches!(trouble, Some(Trouble::AnswerLost)) {
        return;
    }
    let answer = answer.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\n{head}Content-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let _ = stream.get_mut().write_all(answer.as_bytes());
}

/// The Table API of `incident`: whole records come back, unless `sysparm_fields` says which columns.
fn table(
    instance: &mut Instance,
    method: &str,
    target: &str,
    body: &[u8],
) -> (&'static str, &'static str, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(value.replace("%3D", "=").replace("%5E", "^"))
    };
    let shown = |row: &Row| -> Value {
        let fields = parameter("sysparm_fields");
        let row = row.iter().filter(|(column, _)| {
            fields
                .as_ref()
                .is_none_or(|fields| fields.split(',').any(|field| field == *column))
        });
        row.map(|(column, value)| (column.clone(), value.clone()))
            .collect()
    };
    let missing = json!({
        "error": { "message": "No Record found", "detail": "Record doesn't exist or ACL restricts the record retrieval" },
        "status": "failure",
    });
    let rest = path.strip_prefix("/api/now/table/incident").unwrap();
    match (method, rest.strip_prefix('/')) {
        ("GET", None) => {
            let wanted = parameter("sysparm_query").unwrap();
            let (column, value) = wanted.split_once('=').unwrap();
            let limit = parameter("sysparm_limit").map_or(10_000, |limit| limit.parse().unwrap());
            let rows = instance.rows.values().filter(|row| row[column] == *value);
            (
                "200 OK",
                "",
                json!({ "result": rows.take(limit).map(shown).collect::<Vec<_>>() }),
            )
        }
        ("POST", None) => {
            let id = format!("{:032x}", 0xabc_0000 + instance.asked.len());
            let mut row: Row = serde_json::from_slice(body).unwrap();
            row.insert("sys_id".to_owned(), id.clone().into());
            let answer = json!({ "result": shown(&row) });
            instance.rows.insert(id, row);
            ("201 Created", "", answer)
        }
        ("PATCH", Some(id)) => match instance.rows.get_mut(id) {
            None => ("404 Not Found", "", missing),
            Some(row) => {
                row.extend(serde_json::from_slice::<Row>(body).unwrap());
                ("200 OK", "", json!({ "result": shown(row) }))
            }
        },
        _ => panic!("{method} {target}"),
    }
}

fn number(ticket: u64) -> TicketNumber {
    TicketNumber::mint(&[4; 32], TicketId(ticket)).unwrap()
}

fn correlation(ticket: u64) -> String {
    format!("st-anne-{}", number(ticket))
}

fn opened(ticket: u64) -> Event {
    Event::TicketOpened {
        ticket: TicketId(ticket),
        number: number(ticket),
        contact: ContactId(ticket),
        priority: Some(Priority::P1),
        clock: Some(Clock { due: 9, warn: 8 }),
    }
}

fn prioritised(ticket: u64, priority: Priority) -> Event {
    Event::TicketUpdated {
        ticket: TicketId(ticket),
        status: TicketStatus::Open,
        next_update: Some(9),
        warn_at: Some(8),
        by: Some(Actor::Administrator),
        change: Some(Updated::Prioritised { priority }),
    }
}

fn resolved(ticket: u64) -> Event {
    Event::TicketResolved {
        ticket: TicketId(ticket),
        first_contact: true,
        by: Actor::Administrator,
    }
}

const MORE: &str = "\
fields:
  short_description: { from: title }
  urgency: { from: priority, values: { p1: \"1\", p4: \"3\" } }
  state: { from: status, values: { open: \"1\", resolved: \"6\" } }
  opened_at: { from: opened }
set: { category: telephone }
set_resolved: { close_code: Solved, close_notes: By telephone. }
";

fn desk(now: &Now) -> Desk {
    let yaml = format!(
        "url: http://{}\nuser: careline\npassword: {{ file: password }}\ntimeout_s: 1\n{MORE}",
        now.address
    );
    let config: ServiceNowConfig = serde_saphyr::from_str(&yaml).unwrap();
    let desk = Desk::with(|dir| {
        std::fs::write(dir.join("password"), "open sesame\n").unwrap();
        let connector = ServiceNow::of("st-anne", &config, dir, &mut Authorities::default());
        Connector::ServiceNow(Box::new(connector.unwrap()))
    });
    desk.follows();
    desk
}

#[test]
fn a_ticket_is_a_record_that_follows_it() {
    let now = Now::start(&[]);
    let mut desk = desk(&now);
    desk.happens(&[opened(1)]);
    let open = now.has(1, &correlation(1), &[("state", "1")]);
    let mut expected: Row = [
        ("correlation_id", &*correlation(1)),
        ("correlation_display", "Careline"),
        (
            "short_description",
            &format!("Careline ticket {}", number(1)),
        ),
        ("urgency", "1"),
        ("state", "1"),
        ("opened_at", "1970-01-01 00:00:00"),
        ("category", "telephone"),
    ]
    .map(|(column, text)| (column.to_owned(), text.into()))
    .into_iter()
    .collect();
    expected.insert("sys_id".to_owned(), open["sys_id"].clone());
    assert_eq!(open, expected, "and nothing else leaves");
    desk.happens(&[prioritised(1, Priority::P4)]);
    now.has(1, &correlation(1), &[("urgency", "3"), ("state", "1")]);
    desk.happens(&[resolved(1)]);
    let closing = [
        ("state", "6"),
        ("close_code", "Solved"),
        ("close_notes", "By telephone."),
    ];
    now.has(1, &correlation(1), &closing);
    // Looked for once, made once, then by its own name.
    let made = now.asked();
    let made: Vec<_> = made
        .iter()
        .map(|asked| asked.split(' ').next().unwrap())
        .collect();
    assert_eq!(made, ["GET", "POST", "PATCH", "PATCH"]);
}

#[test]
fn whatever_goes_wrong_there_is_one_record_for_a_ticket() {
    use Trouble::{AnswerLost, Asleep, LimitReached};
    let now = Now::start(&[
        ("GET", Asleep),
        ("GET", LimitReached),
        ("POST", AnswerLost),
        ("GET", AnswerLost),
        ("PATCH", AnswerLost),
        ("PATCH", LimitReached),
    ]);
    let mut desk = desk(&now);
    desk.happens(&[
        opened(1),
        opened(2),
        prioritised(1, Priority::P4),
        resolved(2),
    ]);
    now.has(2, &correlation(1), &[("urgency", "3"), ("state", "1")]);
    now.has(2, &correlation(2), &[("state", "6")]);
    assert_eq!(now.instance.lock().unwrap().troubles.len(), 0);
    // And after a restart it is still known.
    desk.stands(|standing| standing.taken == 2);
    let asked = now.asked().len();
    desk.restart();
    desk.happens(&[resolved(1)]);
    now.has(2, &correlation(1), &[("state", "6")]);
    assert!(
        now.asked()[asked..]
            .iter()
            .all(|asked| asked.starts_with("PATCH"))
    );
}

#[test]
fn a_record_that_was_removed_there_is_made_again() {
    let now = Now::start(&[]);
    let mut desk = desk(&now);
    desk.happens(&[opened(1)]);
    now.has(1, &correlation(1), &[]);
    now.instance.lock().unwrap().rows.clear();
    desk.happens(&[resolved(1)]);
    now.has(
        1,
        &correlation(1),
        &[("state", "6"), ("category", "telephone")],
    );
}

#[test]
fn what_their_rules_refuse_holds_nobody_up_for_long() {
    let now = Now::start(&[("POST", Trouble::Aborted); 6]);
    let mut desk = desk(&now);
    desk.happens(&[opened(1)]);
    desk.stands(|standing| standing.refused == 1);
    desk.happens(&[opened(2)]);
    now.has(1, &correlation(2), &[("state", "1")]);
    // What comes next tells all of it again.
    desk.happens(&[resolved(1)]);
    now.has(2, &correlation(1), &[("state", "6"), ("urgency", "1")]);
}

//! The help desk that is measured, written as a folder of configuration.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Agents there are.
pub(crate) const AGENTS: usize = 300;
/// People each of the two hospitals knows.
pub(crate) const PEOPLE: usize = 2_000;
/// Every agent's secret.
pub(crate) const SECRET: &str = "bench";
/// How the prompt begins that a caller hears before pressing a key, and after.
pub(crate) const BEFORE_KEY: &str = "While";
pub(crate) const AFTER_KEY: &str = "Thank";

/// Lines of hospital 0 or 1.
pub(crate) fn line(hospital: usize, line: Line) -> String {
    format!("1555030{hospital}00{}", line as u8)
}

/// What answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    /// W1: identify, branch, ticket, a queue without sound.
    Silent = 1,
    /// W2: a long prompt, a key, another long prompt.
    Prompt = 2,
    /// W3: a ticket, a queue with music, an agent.
    Queue = 3,
}

/// The calling number of person `n`: known for the first [`PEOPLE`].
pub(crate) fn caller(n: usize) -> String {
    format!("+1555031{:04}", n % 10_000)
}

const LIMITS: &str = r#"
[sip]
realm = "careline.bench"
trusted = ["127.0.0.0/8"]

[media]
threads = 1
timeout_s = 3600
PRIORITY

[limits]
calls_per_second = 100000.0
burst = 100000.0
calls_per_tenant_max = CALLS
calls_max = CALLS
clinical_reserve = 0
"#;

// Answer, look up, branch, a durable ticket, then wait without a sound until the caller hangs up. Never for people.
const SILENT_FLOW: &str = r#"
flow: bench
about: Measures signalling. Says nothing.
purpose: measurement
start: who

nodes:
  who:
    identify: caller
    next: route

  route:
    branch:
      - when: caller.role == "clinician" && !ani_withheld
        next: ticket
    else: ticket

  ticket:
    ticket: open
    next: hold

  hold:
    queue: bench
    music: false
    announce: false
    no_agents: stay

tests:
  - name: A caller is held
    agents: none
    ends: queue bench
    passes: [who, route, ticket, hold]
"#;

const PROMPT_FLOW: &str = r#"
flow: bench-prompt
about: Measures playing. A long prompt, a key, another long prompt.
start: before

nodes:
  before:
    menu: >
      While you hear this, nothing else happens. This is a long sentence about a quiet morning in a large
      house by the sea, with open windows and a warm wind. The people who live there get up late and have
      their coffee on the terrace. In the distance a boat goes slowly from left to right. Nobody says much.
      Later somebody walks down to the beach and comes back with shells.
      In the afternoon there is a little rain, and the garden smells of grass and earth. Then the sun returns.
    options:
      "1": after
    wait: 60s
    timeout: after
    invalid: after
    sorry: Sorry.
    tries: 2

  after:
    play: >
      Thank you for pressing a key. From here on another story is told. A train leaves a small town in the
      mountains before sunrise. The carriage is almost empty. An old man reads a newspaper from last week,
      and a student looks at the snow that lies on the fields. At every station the doors open with a sigh,
      and cold air comes in. By noon the land is flat and green.
      At the end of the line there is a harbour with red cranes and white ships.
    next: quiet

  quiet:
    queue: silent
    announce: false
    no_agents: stay

tests:
  - name: A key
    does: [press 1]
    ends: queue silent
"#;

const QUEUE_FLOW: &str = r#"
flow: bench-queue
about: Measures waiting and talking. A ticket, then a queue with music.
start: who

nodes:
  who:
    identify: caller
    next: ticket

  ticket:
    ticket: open
    next: hold

  hold:
    queue: talk
    announce: false
    no_agents: stay

tests:
  - name: A caller talks
    does: [answer]
    ends: conversation talk
"#;

/// What is configured where nothing is: the default range of ports carries as many.
const CALLS_MAX: u64 = 4_000;

/// As many calls at once as the system's file descriptors allow: four each, and some for all else.
fn calls_max() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let hard = files.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u64>().ok());
    hard.map_or(CALLS_MAX, |hard| {
        (hard.saturating_sub(2_000) / 4).clamp(100, CALLS_MAX)
    })
}

/// The same, with so many calls a second admitted.
pub(crate) fn write_limited(folder: &Path, calls_per_second: f64) -> io::Result<()> {
    write(folder)?;
    let file = folder.join("careline.toml");
    let limited = fs::read_to_string(&file)?
        .replace(
            "calls_per_second = 100000.0",
            &format!("calls_per_second = {calls_per_second:.1}"),
        )
        .replace(
            "burst = 100000.0",
            &format!("burst = {:.1}", calls_per_second / 10.0),
        );
    fs::write(file, limited)
}

/// The same with TLS; gives the authority's file.
pub(crate) fn write_tls(folder: &Path) -> io::Result<PathBuf> {
    write(folder)?;
    let made = |error: rcgen::Error| io::Error::other(error);
    let mut params = rcgen::CertificateParams::new(vec![]).map_err(made)?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().map_err(made)?;
    let authority = params.self_signed(&key).map_err(made)?;
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().map_err(made)?;
    let ours = rcgen::CertificateParams::new(vec!["127.0.0.1".into()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .map_err(made)?;
    fs::write(folder.join("ours.pem"), ours.pem())?;
    fs::write(folder.join("ours.key"), key.serialize_pem())?;
    let file = folder.join("authority.pem");
    fs::write(&file, authority.pem())?;
    let toml = folder.join("careline.toml");
    let tls = "\n[sip.tls]\nport = 0\ncertificate = \"ours.pem\"\nkey = \"ours.key\"\n";
    let with_tls = fs::read_to_string(&toml)? + tls;
    fs::write(toml, with_tls)?;
    Ok(file)
}

/// Writes everything into `folder`.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.join("hospitals"))?;
    fs::create_dir_all(folder.join("flows"))?;
    let priority: u8 = crate::setting("BENCH_PRIORITY", 0);
    let priority = match priority {
        0 => String::new(),
        priority => format!("realtime_priority = {priority}"),
    };
    fs::write(
        folder.join("careline.toml"),
        LIMITS
            .replace("PRIORITY", &priority)
            .replace("CALLS", &calls_max().to_string()),
    )?;
    fs::write(folder.join("flows/bench.yaml"), SILENT_FLOW)?;
    fs::write(folder.join("flows/bench-prompt.yaml"), PROMPT_FLOW)?;
    fs::write(folder.join("flows/bench-queue.yaml"), QUEUE_FLOW)?;
    fs::write(folder.join("operator.yaml"), operator())?;
    for hospital in 0..2 {
        fs::write(
            folder.join(format!("hospitals/bench-{hospital}.yaml")),
            hospital_file(hospital),
        )?;
    }
    Ok(())
}

// Writing to a String can't fail.

fn operator() -> String {
    let mut text = String::from("operator: Bench\nqueues:\n");
    for queue in ["bench", "silent", "talk"] {
        let _ = writeln!(
            text,
            "  - {{ name: {queue}, ring_for_s: 30, wrap_up_s: 1 }}"
        );
    }
    text.push_str("agents:\n");
    for n in 0..AGENTS {
        let _ = writeln!(
            text,
            "  - {{ id: {}, user: a{n}, secret: {SECRET}, name: Agent {n}, tier: bench, queues: [talk] }}",
            n + 1
        );
    }
    text
}

fn hospital_file(hospital: usize) -> String {
    let mut text = format!(
        "id: {}\nname: Bench Hospital\ncountry_code: \"1\"\nlines:\n",
        hospital + 1
    );
    for (kind, flow) in [
        (Line::Silent, "bench"),
        (Line::Prompt, "bench-prompt"),
        (Line::Queue, "bench-queue"),
    ] {
        let _ = writeln!(
            text,
            "  - {{ number: \"{}\", flow: {flow} }}",
            line(hospital, kind)
        );
    }
    text.push_str("people:\n");
    for n in 0..PEOPLE {
        let role = ["clinician", "staff", "patient"][n % 3];
        let _ = writeln!(
            text,
            "  - {{ id: {}, key: p{hospital}-{n}, role: {role}, name: Person {n}, spoken: Person, \
             numbers: [\"{}\"] }}",
            n + 1,
            caller(n)
        );
    }
    text
}

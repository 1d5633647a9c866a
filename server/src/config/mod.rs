//! Configuration: `careline.toml` says how this process runs, the other files
//! of the folder say what the help desk is.
//!
//! ```text
//! demo/
//!   careline.toml       addresses, ports, data directory, limits
//!   operator.yaml       queues, analysts, trunks
//!   hospitals/*.yaml    lines, hours, people, places, phones, partners, actions, webhooks, ServiceNow of one hospital each
//!   flows/*.yaml        flows of one's own; the shipped ones are built in
//! ```
//!
//! Everything is checked when it is read. An error names the file, the line
//! where there is one, what is wrong and what to do; all are told, not the first alone.

mod actions;
mod callbacks;
mod changes;
mod check;
mod emergency;
mod faults;
mod helpdesk;
mod incidents;
mod outside;
mod process;
mod servicenow;
mod tickets;
mod transfers;
mod verification;
mod webhooks;

use std::fmt;
use std::path::{Path, PathBuf};

use ivr_flows::CheckError;

pub use actions::{ACTIONS_AT_ONCE_MAX, ActionConfig, Method, SecretFrom};
pub use callbacks::CallbackConfig;
pub use changes::{Change, How, changes, obstacles};
pub use emergency::{EmergencyConfig, HospitalEmergency, StationConfig};
pub(crate) use helpdesk::SHIPPED;
pub use helpdesk::{
    Agent, Day, Files, HelpDesk, Hospital, Hours, LineSetup, Person, Phone, Place, QueueConfig,
};
pub use incidents::{
    AlertConfig, IncidentsConfig, SimilarConfig, SurgeConfig, texts as incident_texts,
};
pub use outside::{
    LocationBy, OutsideConfig, PartnerConfig, RegisterConfig, TrunkAccount, TrunkConfig,
};
pub use process::{
    Codec, Digest, Encryption, Http, Limits, Log, LogFormat, Media, Process, Sip, Speech, Store,
    Tls,
};

pub use servicenow::{FieldConfig, SERVICENOW, ServiceNowConfig, TicketWord};
pub use tickets::{
    PauseConfig, PauseName, PriorityName, ReasonConfig, TargetConfig, TicketsConfig,
};
pub use verification::VerificationConfig;
pub use webhooks::WebhookConfig;

/// Largest configuration file read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why the configuration can't be used.
#[derive(Debug)]
pub enum ConfigError {
    /// Something in a file, or the file itself.
    File {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A flow: everything that its checker found.
    Flow(Vec<CheckError>),
    /// Several things.
    Many {
        /// The first of them.
        told: Vec<ConfigError>,
        /// How many there are besides.
        more: usize,
    },
}

impl ConfigError {
    pub(crate) fn new(file: &Path, message: impl Into<String>) -> Self {
        Self::at(file, None, message)
    }

    fn at(file: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self::File {
            file: file.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                file,
                line: Some(line),
                message,
            } => write!(f, "{}:{line}: {message}", file.display()),
            Self::File { file, message, .. } => write!(f, "{}: {message}", file.display()),
            Self::Flow(faults) => {
                for (index, fault) in faults.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(f, "{separator}{fault}")?;
                }
                Ok(())
            }
            Self::Many { told, more } => {
                for (index, fault) in told.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(f, "{separator}{fault}")?;
                }
                match more {
                    0 => Ok(()),
                    more => write!(f, "\nand {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {}

fn read(file: &Path) -> Result<String, ConfigError> {
    let size = std::fs::metadata(file)
        .map_err(|error| ConfigError::new(file, format!("can't be read: {error}")))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(ConfigError::new(
            file,
            format!("is {size} bytes; at most {FILE_BYTES_MAX} are read"),
        ));
    }
    std::fs::read_to_string(file)
        .map_err(|error| ConfigError::new(file, format!("can't be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: &str = "\
operator: Northbridge
queues:
  - { name: clinical, clinical: true, ring_for_s: 15 }
  - { name: service }
  - { name: tier2 }
agents:
  - { id: 1, user: ana, secret: sesame, name: Ana, tier: one, queues: [clinical] }
";
    const HOSPITAL: &str = "\
id: 1
name: Saint Anne
zone: America/Chicago
hours:
  desk: { week: { mon-fri: 08:00-17:00 }, days: { 2026-12-25: { hours: closed, name: Christmas } } }
lines:
  - { number: \"1001\", flow: clinician }
people:
  - { id: 1, key: okafor, role: clinician, name: Okafor, spoken: Doctor Okafor, numbers: [\"+15550177001\"] }
places:
  - { id: 2, key: theatre, name: Theatre 2, spoken: Theatre two, numbers: [] }
";
    const FLOW: &str = "\
flow: own
about: Own.
pace: standard
language: en
start: bye
nodes:
  bye: { hang_up: Goodbye. }
";

    /// What is said of a folder in which `from` stands as `to`.
    fn fault(from: &str, to: &str) -> String {
        faults(&[(from, to)])
    }

    /// The same with several changes.
    fn faults(changes: &[(&str, &str)]) -> String {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("careline-config-{}-{number}", std::process::id()));
        let process = "[media]\nthreads = 1\n\n[limits]\ncalls_max = 10\nclinical_reserve = 2\n";
        let files = [
            ("careline.toml", process),
            ("operator.yaml", OPERATOR),
            ("hospitals/st-anne.yaml", HOSPITAL),
            ("flows/own.yaml", FLOW),
        ];
        for (from, _) in changes {
            let stands = files.iter().any(|(_, text)| text.contains(from));
            assert!(stands, "{from:?} stands nowhere");
        }
        for (name, text) in files {
            let file = dir.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let text = changes
                .iter()
                .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
            std::fs::write(&file, text).unwrap();
        }
        let read = Process::load(&dir.join("careline.toml")).and_then(|_| HelpDesk::load(&dir));
        std::fs::remove_dir_all(&dir).unwrap();
        match read {
            Ok(_) => String::new(),
            Err(error) => error
                .to_string()
                .replace(&format!("{}/", dir.display()), ""),
        }
    }

    #[test]
    fn a_flow_sends_callers_where_the_dial_rules_lead() {
        let rules = "country_code: \"1\"\noutside: [{ prefix: \"+1555\", digits: 11, trunk: city }]\nlines:";
        let trunk = "trunks: [{ name: city, gateways: [\"sip:192.0.2.10\"] }]\nagents:";
        let sends = |to: &str| {
            let bye =
                format!("bye: {{ hang_up: Goodbye. }}\n  on: {{ transfer: {to}, next: bye }}");
            let changes = [
                ("bye: { hang_up: Goodbye. }", &*bye),
                ("start: bye", "start: on"),
                ("flow: clinician", "flow: own"),
                ("agents:", trunk),
                ("lines:", rules),
                ("name: tier2", "name: tier2, extension: \"7000\""),
            ];
            faults(&changes)
        };
        for to in ["ana", "tier2", "\"7000\"", "\"+15550101001\""] {
            assert_eq!(sends(to), "", "{to}");
        }
        for to in ["anna", "\"7001\"", "\"+14440101001\"", "\"911\"", "city"] {
            let told = sends(to);
            let expected = format!(
                "flows/own.yaml:8: on: the dial rules of hospital \"st-anne\" don't lead to \"{}\"",
                to.trim_matches('"')
            );
            assert!(told.starts_with(&expected), "{told}");
            assert!(
                told.contains("`outside` in hospitals/st-anne.yaml"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_flow_calls_actions_that_its_hospital_has() {
        let node =
            "bye: { hang_up: Goodbye. }\n  on: { http: { action: status }, ok: bye, failed: bye }";
        let calls = |action: &str| {
            let lines = format!("actions: {{ {action} }}\nlines:");
            faults(&[
                ("bye: { hang_up: Goodbye. }", node),
                ("start: bye", "start: on"),
                ("flow: clinician", "flow: own"),
                ("lines:", &lines),
            ])
        };
        for action in [
            "status: { url: \"https://api.example/status?a=b\", timeout_s: 15 }",
            "status: { url: \"http://[::1]:8080\", method: put, headers: { X-A: b } }",
            "status: { url: \"https://a.example/\", authority: ca.pem, secret_headers: { X-A: { env: A } } }",
        ] {
            assert_eq!(calls(action), "", "{action}");
        }
        let told = calls("other: { url: \"https://api.example/\" }");
        let expected = "flows/own.yaml:8: on: hospital \"st-anne\" has no action \"status\"";
        assert!(told.starts_with(expected), "{told}");
        assert!(
            told.contains("hospitals/st-anne.yaml; there are: other"),
            "{told}"
        );
        let told = calls("");
        assert!(told.contains("it has none yet"), "{told}");
        for (settings, said) in [
            ("url: \"ftp://a.example/\"", "`url` isn't an HTTP address"),
            ("url: \"/status\"", "`url` isn't an HTTP address"),
            ("url: \"https://\"", "`url` isn't an HTTP address"),
            (
                "url: \"https://me:s3cret@a.example/\"",
                "`url` holds a password; write it under `secret_headers`",
            ),
            (
                "url: \"https://a.example\", timeout_s: 16",
                "timeout_s is 16; a caller waits for 1 to 15 seconds",
            ),
            ("url: \"https://a.example\", timeout_s: 0", "timeout_s is 0"),
            (
                "url: \"http://a.example\", authority: ca.pem",
                "`authority` is of no use with http",
            ),
            (
                "url: \"https://a.example\", headers: { host: b }",
                "header \"host\" is set by Careline",
            ),
            (
                "url: \"https://a.example\", headers: { \"a b\": c }",
                "\"a b\" can't be a header's name",
            ),
            (
                "url: \"https://a.example\", headers: { a: \"b\\nc\" }",
                "the value of header \"a\" can't be sent",
            ),
            (
                "url: \"https://a.example\", secret_headers: { a: {} }",
                "is found in a `file` or in `env`",
            ),
            (
                "url: \"https://a.example\", secret_headers: { a: { env: A, file: a } }",
                "one of them",
            ),
            (
                "url: \"https://a.example\", headers: { a: b }, secret_headers: { A: { env: A } }",
                "is there twice",
            ),
            (
                "url: \"https://a.example\", method: get",
                "unknown variant `get`",
            ),
            (
                "url: \"https://a.example\", redirects: follow",
                "unknown field `redirects`",
            ),
        ] {
            let told = calls(&format!("status: {{ {settings} }}"));
            assert!(
                told.starts_with("hospitals/st-anne.yaml:6: "),
                "{settings}: {told}"
            );
            assert!(told.contains(said), "{settings}: {told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let told = faults(&[
            ("[clinical]", "[surgery, clinical, heart]"),
            (
                "name: tier2",
                "name: tier2, extension: \"911\", ring_for_s: 1",
            ),
            ("Doctor Okafor", "\" \""),
            ("numbers: []", "numbers: [x, \"+15550177009\", y]"),
            ("flow: clinician", "flow: clinic"),
            ("mon-fri: 08:00-17:00", "mon-fri: early"),
            ("start: bye", "start: by"),
        ]);
        let heads: Vec<String> = told
            .lines()
            .filter_map(|line| Some(line.split_once(": ")?.0.to_owned()))
            .collect();
        let expected = [
            "flows/own.yaml:5:1",
            "operator.yaml:5",
            "operator.yaml:5",
            "operator.yaml:7",
            "operator.yaml:7",
            "hospitals/st-anne.yaml:5",
            "hospitals/st-anne.yaml:9",
            "hospitals/st-anne.yaml:11",
            "hospitals/st-anne.yaml:11",
        ];
        assert_eq!(heads, expected, "{told}");
        // Of very many the first ones.
        let queues = (0..80).map(|n| format!("q{n}")).collect::<Vec<_>>();
        let told = fault("[clinical]", &format!("[{}]", queues.join(", ")));
        assert_eq!(told.lines().count(), 51, "{told}");
        assert!(told.ends_with("\nand 30 more"), "{told}");
    }

    #[test]
    fn a_good_folder_is_taken() {
        assert_eq!(fault("1001", "1001"), "");
    }

    #[test]
    fn faults_say_where_they_are_and_what_to_do() {
        for (from, to, said) in [
            (
                "ring_for_s: 15",
                "target_s: 0",
                "operator.yaml:3: queue \"clinical\": target_s is 0; a service level's target is 1 to 3600 seconds",
            ),
            (
                "ring_for_s: 15",
                "target_s: 20, short_s: 21",
                "operator.yaml:3: queue \"clinical\": short_s is 21, more than target_s, 20",
            ),
            (
                "threads = 1",
                "threads = 0",
                "careline.toml: media.threads is 0; ",
            ),
            (
                "threads = 1",
                "threads = \"x\"",
                "careline.toml:2: invalid type: string \"x\"",
            ),
            (
                "threads = 1",
                "encryption = \"perhaps\"",
                "careline.toml:2: unknown variant `perhaps`",
            ),
            (
                "[media]",
                "[http]\nbind = \"localhost\"\n[media]",
                "careline.toml:2: invalid socket address syntax; write an IP address and a port, e.g. \"127.0.0.1:5060\"",
            ),
            (
                "flow: own",
                "flow: owm",
                "flows/own.yaml:1: flow \"owm\" stands in own.yaml, and a flow is called like its file",
            ),
            (
                "calls_max = 10",
                "calls_max = 1",
                "careline.toml: limits.clinical_reserve is a part",
            ),
            (
                "ring_for_s: 15",
                "ring_for_s: 0",
                "operator.yaml:3: queue \"clinical\": ring_for_s is 0; ",
            ),
            (
                "ring_for_s: 15",
                "spacing_s: 601",
                "operator.yaml:3: queue \"clinical\": spacing_s is 601; ",
            ),
            (
                "name: tier2",
                "name: service",
                "operator.yaml:5: queue \"service\" is there twice",
            ),
            (
                "name: tier2",
                "name: tier2, extension: \"12a\"",
                "operator.yaml:5: extension \"12a\": it is written with digits",
            ),
            (
                "name: service",
                "name: service, extension: \"1001\"",
                "st-anne.yaml:7: number 1001 is also in ",
            ),
            (
                "name: service",
                "name: service, extension: \"911\"",
                "operator.yaml:4: extension \"911\": that is an emergency service's",
            ),
            (
                "[clinical]",
                "[surgery]",
                "operator.yaml:7: agent \"ana\" serves queue \"surgery\"",
            ),
            (
                "secret: sesame",
                "secret: \"\"",
                "operator.yaml:7: user \"ana\": a phone account has",
            ),
            (
                "queues:",
                "queue:",
                "operator.yaml:2: unknown field `queue`",
            ),
            (
                "operator: Northbridge",
                "operator: Northbridge\nemergency: { trunks: [city] }",
                "operator.yaml:2: emergency calls go by trunk \"city\"; there is no such trunk",
            ),
            (
                "operator: Northbridge",
                "operator: Northbridge\nemergency: { numbers: [\"1001\"] }",
                "st-anne.yaml:7: number 1001 is also in ",
            ),
            (
                "secret: sesame",
                "secret: sesame, station: { city: Springfield }",
                "operator.yaml:7: user \"ana\": station: an address has country, state, city, street and number; \
                 `country` is missing",
            ),
            ("id: 1, user", "id: one, user", "operator.yaml:7: invalid"),
            (
                "key: theatre",
                "key: okafor",
                "st-anne.yaml:11: key \"okafor\" (id 2) is there twice",
            ),
            (
                "Doctor Okafor",
                "\" \"",
                "st-anne.yaml:9: `spoken` of \"okafor\" is empty",
            ),
            (
                "id: 2, key",
                "id: 1, key",
                "st-anne.yaml:11: id 1 is there twice",
            ),
            (
                "+15550177001",
                "mobile",
                "st-anne.yaml:9: a number of \"okafor\" isn't a telephone number",
            ),
            (
                "\"1001\"",
                "\"10-01\"",
                "st-anne.yaml:7: line \"10-01\": it is written with digits",
            ),
            (
                "flow: clinician",
                "flow: clinic",
                "st-anne.yaml:7: line 1001 is answered by flow \"clinic\"",
            ),
            (
                "zone: America/Chicago",
                "zone: Chicago",
                "st-anne.yaml:5: `hours` \"desk\": \"Chicago\" isn't a time zone",
            ),
            (
                "08:00-17:00",
                "8 to 5",
                "st-anne.yaml:5: `hours` \"desk\": \"8 to 5\" aren't hours; write e.g.",
            ),
            (
                "hours: closed",
                "hours: \"08:00-12:00, 11:00-13:00\"",
                "st-anne.yaml:5: `hours` \"desk\": \"08:00-12:00, 11:00-13:00\": hours overlap",
            ),
            ("start: bye", "start: hello", "flows/own.yaml:5:"),
            ("pace: standard\n", "pace: [\n", "flows/own.yaml:"),
        ] {
            let text = fault(from, to);
            let at = text.strip_prefix("hospitals/").unwrap_or(&text);
            assert!(at.starts_with(said), "{from:?} as {to:?}: {text}");
            assert!(
                !text.contains("struct "),
                "a name of the program's own: {text}"
            );
        }
        let twice = fault("ring_for_s: 15", "ring_for_s: 15, ring_for_s: 15");
        assert!(twice.starts_with("operator.yaml:3: "), "{twice}");
        assert!(twice.contains("is there twice; write it once"), "{twice}");
        assert!(!twice.contains("Policy"), "{twice}");
    }
}

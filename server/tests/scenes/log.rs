//! What the log says of calls, for programs: each line is an object, and none
//! names anybody.

use std::io;
use std::sync::{Arc, Mutex};

use server::config::{HelpDesk, LogFormat};
use tracing_subscriber::EnvFilter;

use super::*;

/// Takes what is logged.
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

/// With the log of all other tests that run meanwhile.
pub(super) async fn a_log_for_programs_names_nobody() {
    let lines = Lines::default();
    let filter = EnvFilter::new("warn,server=debug,switch=debug,sip=debug");
    let writer = lines.clone();
    let log = server::log::to(LogFormat::Json, filter, move || writer.clone());
    tracing::subscriber::set_global_default(log).expect("nobody else has one");

    let house = House::open("log").await;
    let mut ana = house.agent("ana", 1, answering(200)).await;
    let mut okafor = house.caller(OKAFOR, 0).await;
    let (call, _) = okafor.dial("1001").await;
    let ring = ana.rings(LATER).await;
    both_talk(&mut okafor, &mut ana).await;
    caller_ends(&mut okafor, call, &mut ana, &ring).await;
    let number = OKAFOR;
    house.ended().await;

    let told = lines.0.lock().unwrap().clone();
    let told = String::from_utf8(told).expect("text");
    let mut of_calls = 0;
    let demo = HelpDesk::load(&support::root().join("demo")).expect("the demo");
    let people = demo.hospitals.iter().flat_map(|hospital| &hospital.people);
    let mut words: Vec<&str> = Vec::new();
    for person in people {
        words.extend([person.name.as_str(), person.spoken.as_str()]);
        words.extend(
            person
                .numbers
                .iter()
                .map(|number| number.trim_start_matches('+')),
        );
    }
    for agent in &demo.agents {
        words.extend([agent.name.as_str(), agent.secret.as_str()]);
    }
    assert!(words.contains(&number.trim_start_matches('+')), "{words:?}");
    for line in told.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect(line);
        for field in ["timestamp", "level", "target"] {
            assert!(object[field].is_string(), "no {field} in {line}");
        }
        of_calls += usize::from(object["contact"].is_u64());
        for word in &words {
            assert!(!line.contains(word), "{word} stands in {line}");
        }
    }
    assert!(of_calls > 3, "{told}");
}

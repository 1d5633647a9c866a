//! A caller across a network that loses 5 % of the packets, delays each by up to 60 ms and so reorders them. Keys arrive
//! exactly once; of what is said, whatever wasn't lost is played bit by bit and in its place.
//!
//! The measure: what a telephone with a buffer of 100 ms plays, frame by frame, beside what was said. Told are the share
//! of the frames not lost that are identical, and the segmental signal-to-noise ratio (20 ms, -10 to 35 dB).

use std::time::{Duration, Instant};

use crate::support::Server;
use crate::support::ear::Ear;
use crate::support::free_port;
use crate::support::house::said;
use crate::support::lossy::{Lossy, Passed, Played, Quality, Weather};
use crate::support::sipp::{Sipp, agent};

const BUFFER: Duration = Duration::from_millis(100);

pub(crate) fn bad(seed: u64) -> Weather {
    Weather {
        seed,
        loss: 0.05,
        jitter: Duration::from_millis(60),
    }
}

fn calls(server: &Server, number: &str, port: u16, seconds: u64) -> Sipp {
    Sipp::start(
        server,
        "caller.xml",
        free_port(),
        Duration::from_secs(seconds),
        &[
            ("service", number),
            ("caller", "+15550177001"),
            ("audio_port", &port.to_string()),
        ],
    )
}

/// The network was as bad as it should be.
pub(crate) fn was_bad(passed: &Passed) {
    let lost = passed.lost.len() as f64 / passed.sent as f64;
    assert!((0.02..0.09).contains(&lost), "{passed:?}");
    assert!(passed.overtaken * 20 > passed.sent, "{passed:?}");
}

/// Says how good it was, and that hardly anything but the lost is missing. (The test's own threads may be late on a busy
/// machine, and what is late isn't played.)
fn was_heard(what: &str, quality: Quality, before: &Passed, after: &Passed) {
    was_bad(after);
    let lost = after.lost.len() - before.lost.len();
    let left = quality.frames as f64 * (1.0 - lost as f64 / (after.sent - before.sent) as f64);
    let share = quality.identical as f64 / left;
    println!(
        "{what}: {:.1} % of what wasn't lost is identical, segmental SNR {:.1} dB; {quality:?}",
        share * 100.0,
        quality.segmental_snr_db(),
    );
    assert_eq!(
        quality.other, 0,
        "{what}: nothing else is played in between"
    );
    assert!(share > 0.95, "{what}: {quality:?}");
}

/// Twenty keys each, with the same one several times in a row.
const NUMBERS: [&str; 3] = [
    "11122233344455566677",
    "90909090901234567890",
    "00000000005555555555",
];

/// Takes the three numbers, one after the other.
fn flow() -> String {
    let mut nodes = String::new();
    for (at, number) in NUMBERS.iter().enumerate() {
        let next = if at + 1 < NUMBERS.len() {
            format!("number{}", at + 1)
        } else {
            "all".into()
        };
        nodes += &format!(
            "  number{at}:
    collect: This is number {at}.
    digits: 20
    next: is{at}
    timeout: wrong
    invalid: wrong
    tries: 1
  is{at}: {{branch: [{{when: digits == '{number}', next: {next}}}], else: wrong}}
"
        );
    }
    format!(
        "flow: numbers
about: Takes three long numbers.
pace: standard
language: en
start: number0
nodes:
{nodes}  all: {{hang_up: Each key came once.}}
  wrong: {{hang_up: That is another number.}}
tests:
  - {{name: Nothing, does: [wait 60s], hears: [That is another number.], ends: hang up}}
"
    )
}

/// A caller's keys reach the flow, each exactly once, and its prompts reach the caller.
#[test]
fn keys_pressed_across_a_bad_network_count_once() {
    let line = "  - { number: \"15550101005\"";
    let server = Server::start_changed(
        "bad-keys",
        &[
            ("flows/numbers.yaml", "", &flow()),
            (
                "hospitals/st-anne.yaml",
                line,
                &format!(
                    "  - {{ number: \"15550101099\", short: \"1099\", flow: numbers }}\n{line}"
                ),
            ),
        ],
    );
    let ear = Ear::open(440.0);
    let network = Lossy::before(&ear, bad(5));
    let _caller = calls(&server, "1099", network.port, 40);
    let heard = |text: &str| {
        let clip = said(text);
        let until = Instant::now() + Duration::from_secs(15);
        loop {
            let quality = Played::from(&ear.packets(), BUFFER).compare(&clip, false);
            if quality.identical as f64 > 0.75 * quality.frames.max(1) as f64 {
                break quality;
            }
            assert!(
                Instant::now() < until,
                "\"{text}\" was never heard: {quality:?}, {}",
                server.printed()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    for (at, number) in NUMBERS.iter().enumerate() {
        heard(&format!("This is number {at}."));
        number.chars().for_each(|key| ear.press(key));
    }
    heard("Each key came once.");
    was_bad(&network.by_ear());
}

/// Caller and agent talk: both are heard as they speak, and the caller's keys are passed on, each once.
#[test]
fn a_conversation_across_a_bad_network() {
    let server = Server::start("bad-talk");
    let caller_says = said("The quick brown fox jumps over the lazy dog.");
    let agent_says = said("She sells sea shells by the sea shore.");
    let caller_ear = Ear::open_saying(caller_says.clone());
    let agent_ear = Ear::open_saying(agent_says.clone());
    let network = Lossy::before(&caller_ear, bad(60));
    let _ana = agent(&server, "ana", "demo-ana", &agent_ear);
    let _caller = calls(&server, "1001", network.port, 40);
    server.wait_for("talks", Duration::from_secs(8));
    std::thread::sleep(Duration::from_millis(500));
    let (to_caller, to_agent) = (caller_ear.packets().len(), agent_ear.packets().len());
    let before = (network.to_ear(), network.by_ear());
    std::thread::sleep(Duration::from_secs(10));
    let after = (network.to_ear(), network.by_ear());
    let heard = Played::from(&caller_ear.packets()[to_caller..], BUFFER);
    let quality = heard.compare(&agent_says, true);
    was_heard("the agent at the caller", quality, &before.0, &after.0);
    let heard = Played::from(&agent_ear.packets()[to_agent..], BUFFER);
    let quality = heard.compare(&caller_says, true);
    was_heard("the caller at the agent", quality, &before.1, &after.1);
    let numbers = NUMBERS.concat();
    numbers.chars().for_each(|key| caller_ear.press(key));
    let until = Instant::now() + Duration::from_secs(15);
    while agent_ear.keys(101).len() < numbers.len() {
        assert!(Instant::now() < until, "only {}", agent_ear.keys(101));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(agent_ear.keys(101), numbers);
}

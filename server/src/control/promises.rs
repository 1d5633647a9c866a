//! An administrator's word about a promise, until supervisors have a page for it.

use std::fmt::Write as _;

use desk::{
    AgentId, PromiseFacts, PromiseId, PromiseKind, PromiseRisk, PromiseStage, PromiseWord, Proof,
    Span,
};
use hours::{Step, Zone};

use super::tickets::clock;

/// What may be said, for whoever asks.
const VERBS: &str =
    "list, show NUMBER, attest NUMBER AGENT, move NUMBER DATE HH:MM-HH:MM, escalate NUMBER";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// All that is owed.
    List,
    /// One.
    Show(PromiseId),
    /// Something is said of one.
    Say(PromiseId, PromiseWord),
}

/// Reads what is asked: a verb, and what comes behind it. `agent` finds an analyst by user name.
///
/// # Errors
/// What can't be read, and how it is written.
pub(super) fn asked(
    verb: &str,
    rest: &str,
    zone: &Zone,
    agent: impl Fn(&str) -> Option<u32>,
) -> Result<Asked, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |word: &str| {
        let number = word.parse().map(PromiseId);
        number.map_err(|_| format!("\"{word}\" isn't a promise's number; `list` shows them"))
    };
    match (verb, &words[..]) {
        ("list", []) => Ok(Asked::List),
        ("show", [promise]) => Ok(Asked::Show(number(promise)?)),
        ("attest", [promise, name]) => {
            let by = agent(name).ok_or_else(|| format!("there is no agent \"{name}\""))?;
            let word = PromiseWord::Attest(AgentId(by));
            Ok(Asked::Say(number(promise)?, word))
        }
        ("move", [promise, date, times]) => {
            let window = window(zone, date, times).ok_or_else(|| {
                format!("\"{date} {times}\" isn't a window, e.g. 2026-11-23 09:00-10:00")
            })?;
            Ok(Asked::Say(number(promise)?, PromiseWord::Move(window)))
        }
        ("escalate", [promise]) => Ok(Asked::Say(number(promise)?, PromiseWord::Escalate)),
        _ => Err(format!(
            "\"{verb} {rest}\" isn't known; write one of: {VERBS}"
        )),
    }
}

/// `2026-11-23`, `09:00-10:00`, as the hospital's clock shows them.
fn window(zone: &Zone, date: &str, times: &str) -> Option<Span> {
    let (from, to) = times.split_once('-')?;
    let hours = zone.periods(date, date, Step::Hour).ok()?;
    let moment = |time: &str| {
        let (hour, minute) = time.split_once(':')?;
        let minute: i64 = minute
            .parse()
            .ok()
            .filter(|minute| (0..60).contains(minute))?;
        if hour == "24" && minute == 0 {
            return hours.last().map(|last| last.to);
        }
        // Where the clock is set back an hour comes twice: the first.
        let of = hours.iter().find(|of| of.name.get(11..13) == Some(hour))?;
        let at = of.from + minute * 60_000;
        (at < of.to).then_some(at)
    };
    let window = Span {
        from: moment(from)?,
        to: moment(to)?,
    };
    (window.from < window.to).then_some(window)
}

fn stage(facts: &PromiseFacts) -> String {
    match facts.stage {
        PromiseStage::Waiting => "waiting".to_owned(),
        PromiseStage::Due => "due".to_owned(),
        PromiseStage::Attempting { .. } => "being called".to_owned(),
        PromiseStage::Reached { .. } => "reached".to_owned(),
        PromiseStage::WithPerson => "WITH A PERSON".to_owned(),
        PromiseStage::Closed { proof, .. } => match proof {
            Proof::Key { .. } => "kept".to_owned(),
            Proof::Released { .. } => "not wanted any more".to_owned(),
            Proof::CalledIn { .. } => "they called in".to_owned(),
            Proof::Attested { .. } => "attested".to_owned(),
        },
    }
}

fn risk(why: PromiseRisk) -> &'static str {
    match why {
        PromiseRisk::NoWindow => "no moment at which they may be called",
        PromiseRisk::RunningOut => "time runs out",
        PromiseRisk::OwnerGone => "whoever promised it isn't there",
        PromiseRisk::Unanswered => "nobody answered, or a machine",
        PromiseRisk::NumberGone => "the number is gone",
        PromiseRisk::Broken => "BROKEN",
        PromiseRisk::Told => "somebody said so",
    }
}

/// All that is owed, a line each, what needs a person first.
pub(super) fn list(
    owed: &[(PromiseId, PromiseFacts)],
    zone: &Zone,
    queue: impl Fn(u32) -> String,
) -> String {
    if owed.is_empty() {
        return "No call is owed to anybody.\n".to_owned();
    }
    let mut owed: Vec<_> = owed.iter().collect();
    owed.sort_by_key(|(promise, facts)| {
        let person = facts.stage == PromiseStage::WithPerson;
        (!person, facts.window.to, *promise)
    });
    let mut text = String::new();
    for (promise, facts) in owed {
        let why = facts.risk.map_or("", risk);
        let _ = writeln!(
            text,
            "{:>6}  {} until {}  {:<10} {:<14} {why}",
            promise.0,
            clock(zone, facts.window.from),
            clock(zone, facts.window.to),
            queue(facts.queue.0),
            stage(facts),
        );
    }
    text
}

/// How a promise stands, for a terminal. The number is in no answer.
pub(super) fn words(
    promise: PromiseId,
    facts: &PromiseFacts,
    zone: &Zone,
    agent: impl Fn(u32) -> String,
    queue: impl Fn(u32) -> String,
) -> String {
    let clock = |at| clock(zone, at);
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<12} {value}");
    };
    line("promise", promise.0.to_string());
    line("stage", stage(facts));
    let kind = match facts.kind {
        PromiseKind::Hold => "keeps the place in the queue".to_owned(),
        PromiseKind::Scheduled => "within its window".to_owned(),
        PromiseKind::Owned { owner } => format!("within its window, by {}", agent(owner.0)),
    };
    line("kind", kind);
    line("from", clock(facts.window.from));
    line("until", clock(facts.window.to));
    line("queue", queue(facts.queue.0));
    line("since", clock(facts.since));
    if facts.unanswered > 0 {
        line("unanswered", facts.unanswered.to_string());
    }
    if let Some(at) = facts.attempted_at {
        line("attempted", clock(at));
    }
    if let Some(at) = facts.reached_at {
        line("reached", clock(at));
    }
    if let Some(why) = facts.risk {
        line("escalated", risk(why).to_owned());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_people_write_them() {
        let zone = Zone::find("America/Chicago").unwrap();
        let read = |text: &str| {
            let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
            asked(verb, rest, &zone, |name| (name == "ana").then_some(2))
        };
        let seven = PromiseId(7);
        let nine = 1_795_446_000_000;
        let window = Span {
            from: nine,
            to: nine + 90 * 60_000,
        };
        for (text, expected) in [
            ("list", Asked::List),
            ("show 7", Asked::Show(seven)),
            (
                "attest 7 ana",
                Asked::Say(seven, PromiseWord::Attest(AgentId(2))),
            ),
            ("escalate 7", Asked::Say(seven, PromiseWord::Escalate)),
            (
                "move 7 2026-11-23 09:00-10:30",
                Asked::Say(seven, PromiseWord::Move(window)),
            ),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "list all",
            "show",
            "show seven",
            "attest 7",
            "attest 7 ben",
            "move 7 tomorrow 9-10",
            "move 7 2026-11-23 10:00-09:00",
            "move 7 2026-11-23 09:60-10:00",
            "close 7",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
        // Two in the morning isn't there on the day on which summer time begins.
        assert!(read("move 7 2027-03-14 02:00-03:00").is_err());
        assert!(read("move 7 2027-03-14 22:00-24:00").is_ok());
    }
}

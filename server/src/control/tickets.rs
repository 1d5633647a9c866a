//! An administrator's word about a ticket, until analysts have a page for it.

use std::fmt::Write as _;

use desk::{
    AgentId, Escalation, NoteText, Pause, Priority, ReasonCode, Stage, TicketDeed, TicketFacts,
    TicketNumber,
};
use hours::{Step, Zone};

/// What may be done, for whoever asks.
const VERBS: &str = "look, assign AGENT|-, begin, priority p1..p4, reason CODE|-, promise MINUTES|-, \
     pend caller|vendor|change|delivery [MINUTES], resume, escalate not_permitted|no_skill|no_article, \
     resolve, reopen, close, merge NUMBER, note TEXT";

/// Reads a deed: its verb, and what comes behind it. `agent` finds an analyst by user name.
///
/// # Errors
/// What can't be read, and how it is written.
pub(super) fn deed(
    verb: &str,
    rest: &str,
    wall: i64,
    agent: impl Fn(&str) -> Option<u32>,
) -> Result<TicketDeed, String> {
    let minutes = |text: &str| {
        let minutes = text.parse::<u32>().ok().filter(|minutes| *minutes > 0);
        let minutes = minutes.ok_or_else(|| format!("\"{text}\" isn't a number of minutes"))?;
        Ok::<_, String>(wall.saturating_add(i64::from(minutes) * 60_000))
    };
    let place = |of: &[&str], word: &str| {
        let place = of.iter().position(|known| *known == word);
        place.ok_or_else(|| format!("\"{word}\" isn't one of {}", of.join(", ")))
    };
    let simple = match verb {
        "look" => Some(TicketDeed::Look),
        "begin" => Some(TicketDeed::Begin),
        "resume" => Some(TicketDeed::Resume),
        "resolve" => Some(TicketDeed::Resolve),
        "reopen" => Some(TicketDeed::Reopen),
        "close" => Some(TicketDeed::Close),
        _ => None,
    };
    if let Some(deed) = simple {
        return match rest {
            "" => Ok(deed),
            _ => Err(format!("nothing comes behind \"{verb}\"")),
        };
    }
    match verb {
        "assign" => {
            let known = |name| agent(name).ok_or_else(|| format!("there is no agent \"{name}\""));
            let to = match rest {
                "-" => None,
                name => Some(AgentId(known(name)?)),
            };
            Ok(TicketDeed::Assign { to, why: None })
        }
        "priority" => {
            let known = place(&["p1", "p2", "p3", "p4"], rest)?;
            Ok(TicketDeed::Prioritise(Priority::ALL[known]))
        }
        "reason" if rest == "-" => Ok(TicketDeed::Categorise(None)),
        "reason" => {
            let code = ReasonCode::new(rest);
            let code = code.ok_or_else(|| format!("\"{rest}\" isn't a reason's code"))?;
            Ok(TicketDeed::Categorise(Some(code)))
        }
        "promise" => {
            let next_update = match rest {
                "-" => None,
                rest => Some(minutes(rest)?),
            };
            Ok(TicketDeed::Promise { next_update })
        }
        "pend" => {
            let (why, lasts) = rest.split_once(' ').unwrap_or((rest, ""));
            let why = Pause::ALL[place(&["caller", "vendor", "change", "delivery"], why)?];
            let until = match lasts {
                "" => None,
                lasts => Some(minutes(lasts)?),
            };
            Ok(TicketDeed::Pend { why, until })
        }
        "escalate" => {
            let reasons = [
                Escalation::NotPermitted,
                Escalation::NoSkill,
                Escalation::NoArticle,
            ];
            let why = reasons[place(&["not_permitted", "no_skill", "no_article"], rest)?];
            Ok(TicketDeed::Escalate { why, to: None })
        }
        "merge" => match TicketNumber::parse(rest) {
            Ok(into) => Ok(TicketDeed::Merge { into }),
            Err(_) => Err(format!("\"{rest}\" isn't a ticket number")),
        },
        "note" => NoteText::new(rest.to_owned())
            .map(TicketDeed::Note)
            .map_err(|error| error.to_string()),
        _ => Err(format!("\"{verb}\" isn't known; write one of: {VERBS}")),
    }
}

/// A moment as the hospital's clock shows it: `2026-11-22 14:05`.
pub(crate) fn clock(zone: &Zone, at: i64) -> String {
    let date = zone.date(at);
    let hours = zone.periods(&date, &date, Step::Hour).unwrap_or_default();
    let hour = hours.iter().find(|hour| (hour.from..hour.to).contains(&at));
    let shown = hour.and_then(|hour| {
        // `2026-11-22 14:00 -06:00`: an hour that a change of the clock begins may begin at its half.
        let begins: i64 = hour.name.get(14..16)?.parse().ok()?;
        let minute = begins + (at - hour.from) / 60_000;
        Some(format!("{}{minute:02}", hour.name.get(..14)?))
    });
    shown.unwrap_or(date)
}

/// How a ticket stands, for a terminal. Agents and queues are named by what knows their ids.
pub(super) fn words(
    facts: &TicketFacts,
    asked: TicketNumber,
    zone: &Zone,
    agent: impl Fn(u32) -> String,
    queue: impl Fn(u32) -> String,
) -> String {
    let work = &facts.work;
    let clock = |at| clock(zone, at);
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<12} {value}");
    };
    line("ticket", facts.number.to_string());
    if asked != facts.number {
        line("merged", format!("{asked} leads here"));
    }
    let stage = match work.stage {
        Stage::Open => "open".to_owned(),
        Stage::Assigned => "assigned".to_owned(),
        Stage::InProgress => "in progress".to_owned(),
        Stage::Pending { why, until, .. } => {
            let why = format!("{why:?}").to_lowercase();
            format!("pending ({why}) until {}", clock(until))
        }
        Stage::Resolved(how) if how.first_contact => {
            format!("resolved {}, on first contact", clock(how.at))
        }
        Stage::Resolved(how) => format!("resolved {}", clock(how.at)),
        Stage::Closed(how) => format!("closed; resolved {}", clock(how.at)),
        Stage::Merged { .. } => "merged".to_owned(),
    };
    line("stage", stage);
    line("priority", format!("{:?}", work.priority));
    line("tier", work.tier.0.to_string());
    if let Some(who) = facts.owner() {
        line("owner", agent(who.0));
    }
    if let Some(team) = facts.team() {
        line("team", queue(team.0));
    }
    if let Some(reason) = work.reason {
        line("reason", reason.as_str().to_owned());
    }
    if let Some(due) = facts.next_update() {
        line("next update", clock(due));
    }
    if let Some((why, at)) = work.escalated {
        line("escalated", format!("{} ({why:?})", clock(at)));
    }
    if let Some(at) = work.opened_at {
        line("opened", clock(at));
    }
    if work.repeats > 0 {
        line("came again", format!("{} times", work.repeats));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TicketDeed, String> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        deed(verb, rest, 1_000, |name| (name == "ana").then_some(2))
    }

    #[test]
    fn deeds_as_people_write_them() {
        for text in [
            "look",
            "begin",
            "resume",
            "resolve",
            "reopen",
            "close",
            "assign ana",
            "assign -",
            "priority p1",
            "reason password",
            "reason -",
            "promise 30",
            "promise -",
            "pend vendor",
            "escalate no_skill",
            "merge 2963236026",
            "note rang the vendor",
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
        let until = Some(1_000 + 90 * 60_000);
        let why = Pause::Caller;
        assert_eq!(read("pend caller 90"), Ok(TicketDeed::Pend { why, until }));
        for text in [
            "",
            "vanish",
            "look twice",
            "assign ben",
            "priority p5",
            "reason Mrs Bell",
            "promise 0",
            "promise soon",
            "pend weather",
            "pend vendor soon",
            "escalate",
            "merge 1",
            "note ",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("vanish").unwrap_err().contains("assign AGENT"));
    }

    #[test]
    fn moments_as_the_hospitals_clock_shows_them() {
        let zone = Zone::find("America/Chicago").unwrap();
        // A Monday, ten past ten in UTC-6.
        assert_eq!(clock(&zone, 1_795_450_200_000), "2026-11-23 10:10");
        let zone = Zone::find("Asia/Kathmandu").unwrap();
        assert_eq!(clock(&zone, 1_795_450_200_000), "2026-11-23 21:55");
    }
}

//! An administrator's word about an incident, until supervisors have a page for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use desk::{
    Audience, Draft, IncidentDeed, IncidentFacts, IncidentId, IncidentScope, IncidentStage,
    IncidentText, ReasonCode, Role, TicketNumber,
};
use hours::Zone;

use super::tickets::clock;
use crate::config::incident_texts;
use crate::store::IncidentRow;

/// What may be done, for whoever asks.
const VERBS: &str = "list, draft, publish ID, prolong ID MINUTES, attach ID TICKET, close ID";

/// Reads a deed: its verb, and what comes behind it, separated by tabs. A draft
/// has minutes, reason, roles, language, few words, and all of them.
///
/// # Errors
/// What can't be read, and how it is written.
pub(super) fn deed(verb: &str, rest: &str, wall: i64) -> Result<IncidentDeed, String> {
    let words: Vec<&str> = rest.split('\t').collect();
    let id = |text: &str| {
        let id = text.parse().map(IncidentId);
        id.map_err(|_| format!("\"{text}\" isn't an incident's number; `list` shows them"))
    };
    let until = |text: &str| {
        let minutes = text.parse::<u32>().ok().filter(|minutes| *minutes > 0);
        let minutes = minutes.ok_or_else(|| format!("\"{text}\" isn't a number of minutes"))?;
        Ok::<_, String>(wall.saturating_add(i64::from(minutes) * 60_000))
    };
    match (verb, &words[..]) {
        ("surge", ["on" | "rehearse", minutes]) => Ok(IncidentDeed::Surge {
            rehearsal: words[0] == "rehearse",
            expires_at: match *minutes {
                "" => None,
                minutes => Some(until(minutes)?),
            },
        }),
        ("surge", ["off", _]) => Ok(IncidentDeed::SurgeOver),
        ("publish", [of]) => Ok(IncidentDeed::Publish(id(of)?)),
        ("close", [of]) => Ok(IncidentDeed::Close(id(of)?)),
        ("prolong", [of, minutes]) => Ok(IncidentDeed::Update {
            incident: id(of)?,
            scope: None,
            texts: Vec::new(),
            expires_at: Some(until(minutes)?),
        }),
        ("attach", [of, ticket]) => Ok(IncidentDeed::Attach {
            incident: id(of)?,
            ticket: TicketNumber::parse(ticket)
                .map_err(|_| format!("\"{ticket}\" isn't a ticket number"))?,
        }),
        ("draft", [minutes, reason, roles, language, brief, text]) => {
            let given = |word: &str| Some(word.to_owned()).filter(|word| !word.is_empty());
            let one = |words: &str| {
                let words = given(words).map(|words| ((*language).to_owned(), words));
                words.into_iter().collect::<BTreeMap<_, _>>()
            };
            let reason = given(reason).map(|code| {
                let known = ReasonCode::new(&code);
                known.ok_or_else(|| format!("\"{code}\" isn't a reason's code"))
            });
            let roles: Result<Vec<_>, _> = roles
                .split(',')
                .filter(|r| !r.is_empty())
                .map(role)
                .collect();
            Ok(IncidentDeed::Draft(Draft {
                scope: IncidentScope {
                    reason: reason.transpose()?,
                    roles: Audience::of(&roles?),
                    ..IncidentScope::default()
                },
                texts: incident_texts(&one(text), &one(brief))?,
                expires_at: until(minutes)?,
                alert: None,
                publish: false,
            }))
        }
        _ => Err(format!("\"{verb}\" isn't known so; there are: {VERBS}")),
    }
}

fn role(word: &str) -> Result<Role, String> {
    match word.trim() {
        "clinician" => Ok(Role::Clinician),
        "staff" => Ok(Role::Staff),
        "patient" => Ok(Role::Patient),
        other => Err(format!("\"{other}\" isn't clinician, staff or patient")),
    }
}

/// How one stands, in words.
pub(super) fn words(incident: IncidentId, facts: &IncidentFacts, zone: &Zone) -> String {
    let stage = match facts.stage {
        IncidentStage::Draft => "draft, nobody hears of it".to_owned(),
        IncidentStage::Published { at } => format!("published {}", clock(zone, at)),
        IncidentStage::Closed { at, .. } => format!("closed {}", clock(zone, at)),
    };
    let mut text = format!("incident {}: {stage}\n", incident.0);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name}: {value}");
    };
    let scope = facts.scope;
    if scope.surge {
        let whom = match scope.rehearsal {
            true => "rehearsed: only our own telephones hear of it",
            false => "every caller hears of it",
        };
        line("surge", whom.to_owned());
    }
    if let Some(reason) = scope.reason {
        line("about", reason.as_str().to_owned());
    }
    let roles: Vec<String> = scope
        .roles
        .roles()
        .map(|role| format!("{role:?}").to_lowercase())
        .collect();
    if !roles.is_empty() {
        line("for", roles.join(", "));
    }
    let places: Vec<String> = scope
        .places
        .ids()
        .map(|place| place.0.to_string())
        .collect();
    if !places.is_empty() {
        line("at places", places.join(", "));
    }
    if !facts.stage.is_closed() {
        line("ends by itself", clock(zone, facts.expires_at));
    }
    let IncidentFacts {
        informed,
        deflected,
        subscribed,
        tickets,
        ..
    } = facts;
    line(
        "heard by",
        format!(
            "{informed}, of whom {deflected} hung up; {subscribed} want to be called; {tickets} tickets"
        ),
    );
    text
}

/// A list of them, with what is said.
pub(super) fn list(rows: &[IncidentRow], zone: &Zone) -> String {
    if rows.is_empty() {
        return "no incidents\n".to_owned();
    }
    let mut text = String::new();
    for row in rows {
        text.push_str(&words(row.incident, &row.facts, zone));
        for IncidentText {
            language,
            text: all,
            brief,
        } in &row.texts
        {
            let _ = writeln!(text, "  {}: {}", language.tag(), all.as_str());
            if let Some(brief) = brief {
                let _ = writeln!(
                    text,
                    "  {}, in few words: {}",
                    language.tag(),
                    brief.as_str()
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_as_people_write_them() {
        let read = |verb: &str, rest: &str| deed(verb, rest, 1_000);
        assert_eq!(
            read("publish", "3"),
            Ok(IncidentDeed::Publish(IncidentId(3)))
        );
        assert_eq!(read("close", "3"), Ok(IncidentDeed::Close(IncidentId(3))));
        let drafted = read(
            "draft",
            "120\tehr\tclinician,staff\ten\tRecord down.\tThe record is down.",
        );
        let Ok(IncidentDeed::Draft(draft)) = drafted else {
            panic!("{drafted:?}");
        };
        assert_eq!(draft.expires_at, 1_000 + 120 * 60_000);
        assert_eq!(draft.scope.reason, ReasonCode::new("ehr"));
        assert_eq!(
            draft.scope.roles,
            Audience::of(&[Role::Clinician, Role::Staff])
        );
        assert_eq!(
            draft.texts[0].brief.as_ref().map(|words| words.as_str()),
            Some("Record down.")
        );
        assert!(read("draft", "60\t\t\ten\t\tThe record is down.").is_ok());
        assert_eq!(
            read("surge", "rehearse\t"),
            Ok(IncidentDeed::Surge {
                rehearsal: true,
                expires_at: None
            })
        );
        assert!(read("surge", "on\t90").is_ok());
        assert_eq!(read("surge", "off\t"), Ok(IncidentDeed::SurgeOver));
        assert!(read("surge", "up\t").is_err());
        assert!(read("attach", "3\t2963236026").is_ok());
        assert!(read("prolong", "3\t60").is_ok());
        for (verb, rest) in [
            ("publish", "three"),
            ("publish", ""),
            ("prolong", "3\t0"),
            ("attach", "3\t1"),
            ("draft", "60\t\tnurse\ten\t\tThe record is down."),
            ("draft", "0\t\t\ten\t\tThe record is down."),
            ("draft", "60\t\t\tenglish\t\tThe record is down."),
            ("draft", "The record is down."),
            ("vanish", "3"),
        ] {
            assert!(read(verb, rest).is_err(), "{verb} {rest}");
        }
        assert!(
            read("vanish", "")
                .unwrap_err()
                .contains("prolong ID MINUTES")
        );
    }
}

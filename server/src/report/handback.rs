//! What a night leaves to the morning: the callbacks that were promised, by whom they are owed and how far they are, and
//! whom the partners took.

use std::collections::BTreeMap;

use desk::{
    Event, PartnerId, PromiseFacts, PromiseId, PromiseKind, PromiseStage, QueueId, Stamped,
    TenantId,
};
use hours::Zone;

use super::{Column, Figure, ReportError, Row, Table, zone};
use crate::config::{HelpDesk, Hospital};
use crate::store::{History, Reader};

/// Events read in one statement.
const EVENTS_AT_ONCE: usize = 10_000;
const HALF_DAY_MS: i64 = 12 * 3_600_000;

const COLUMNS: [Column; 6] = [
    Column {
        key: "promised",
        head: "promised",
    },
    Column {
        key: "attempted",
        head: "attempted",
    },
    Column {
        key: "reached",
        head: "reached",
    },
    Column {
        key: "closed",
        head: "kept",
    },
    Column {
        key: "with_person",
        head: "with a person",
    },
    Column {
        key: "open",
        head: "owed still",
    },
];

/// A night of one hospital.
#[derive(Debug, Default)]
struct Night {
    made: BTreeMap<PromiseId, PromiseFacts>,
    taken: BTreeMap<PartnerId, u64>,
}

impl Night {
    fn add(&mut self, stamped: &Stamped, until: i64) {
        if let Event::ContactTransferred { partner, .. } = stamped.event
            // An agent's own doing.
            && partner != PartnerId::OUTSIDE
            && stamped.at < until
        {
            *self.taken.entry(partner).or_default() += 1;
        }
        if let Some((promise, facts)) = PromiseFacts::created(&stamped.event) {
            if stamped.at < until {
                self.made.insert(promise, facts);
            }
        } else if let Some(promise) = stamped.event.promise()
            // What was promised before is the night's before.
            && let Some(facts) = self.made.get_mut(&promise)
        {
            facts.apply(stamped);
        }
    }
}

/// By whom something is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owes {
    Queue(QueueId),
    Agent(desk::AgentId),
}

fn figures(promises: &[&PromiseFacts]) -> Vec<Figure> {
    let count = |of: &dyn Fn(&PromiseFacts) -> bool| {
        let count = promises.iter().filter(|facts| of(facts)).count();
        Figure::Count(count as u64)
    };
    vec![
        count(&|_| true),
        count(&|facts| facts.attempted_at.is_some()),
        count(&|facts| facts.reached_at.is_some()),
        count(&|facts| facts.stage.is_closed()),
        count(&|facts| facts.stage == PromiseStage::WithPerson),
        count(&|facts| !facts.stage.is_closed()),
    ]
}

/// The night that ends on a day: from noon of the day before until noon, or until now. Read from the log, as it stands now.
///
/// # Errors
/// The day can't be read, or the database.
pub fn hand_back(
    reader: &Reader,
    helpdesk: &HelpDesk,
    hospital: Option<&Hospital>,
    day: Option<&str>,
    now: i64,
) -> Result<Table, ReportError> {
    let hospitals: Vec<&Hospital> = match hospital {
        Some(hospital) => vec![hospital],
        None => helpdesk.hospitals.iter().collect(),
    };
    let (zone, zone_name) = zone(&hospitals)?;
    let today = zone.date(now);
    let day = day.unwrap_or(&today);
    let (begins, _) = zone.days(day, day)?;
    let (from, until) = (begins - HALF_DAY_MS, (begins + HALF_DAY_MS).min(now));
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for hospital in &hospitals {
        let night = night(reader, TenantId(hospital.id), from, until)?;
        let before = match hospitals.len() {
            1 => String::new(),
            _ => format!("{}: ", hospital.key),
        };
        rows.extend(rows_of(&night, helpdesk, &before));
        for (partner, calls) in &night.taken {
            let mut known = hospital.partners.iter();
            let known = known.find(|(_, config)| config.id == partner.0);
            let name = known.map_or_else(|| partner.0.to_string(), |(name, _)| name.clone());
            notes.push(format!("{before}partner {name} took {calls} contacts."));
        }
        notes.extend(due(&night, &zone, &before));
    }
    Ok(Table {
        about: vec![
            (
                "of",
                hospital.map_or(&helpdesk.operator, |h| &h.name).clone(),
            ),
            ("from", crate::control::clock(&zone, from)),
            ("to", crate::control::clock(&zone, until)),
            ("zone", zone_name),
        ],
        by: "owed_by",
        columns: COLUMNS.to_vec(),
        rows,
        notes,
    })
}

fn night(reader: &Reader, tenant: TenantId, from: i64, until: i64) -> Result<Night, ReportError> {
    let mut after = reader.seq_before(tenant, from)?;
    let mut night = Night::default();
    loop {
        let events = reader.events_after(tenant, after, EVENTS_AT_ONCE)?;
        for logged in &events {
            // A clock that was set back doesn't bring an older night in.
            if logged.stamped.at >= from {
                night.add(&logged.stamped, until);
            }
            after = logged.seq;
        }
        if events.len() < EVENTS_AT_ONCE {
            return Ok(night);
        }
    }
}

fn rows_of(night: &Night, helpdesk: &HelpDesk, before: &str) -> Vec<Row> {
    let mut by: BTreeMap<Owes, Vec<&PromiseFacts>> = BTreeMap::new();
    for facts in night.made.values() {
        let owes = match facts.kind {
            PromiseKind::Owned { owner } => Owes::Agent(owner),
            PromiseKind::Hold | PromiseKind::Scheduled => Owes::Queue(facts.queue),
        };
        by.entry(owes).or_default().push(facts);
    }
    let name = |owes: &Owes| match owes {
        Owes::Queue(queue) => {
            let named = |name: &&str| helpdesk.queue_id(name) == Some(queue.0);
            let mut names = helpdesk.queues.iter().map(|queue| queue.name.as_str());
            names
                .find(named)
                .map_or_else(|| format!("queue {}", queue.0), str::to_owned)
        }
        Owes::Agent(agent) => {
            let known = helpdesk.agents.iter().find(|known| known.id == agent.0);
            known.map_or_else(|| format!("agent {}", agent.0), |known| known.name.clone())
        }
    };
    let row = |(owes, promises): (&Owes, &Vec<&PromiseFacts>)| Row {
        name: format!("{before}{}", name(owes)),
        figures: figures(promises),
        complete: true,
    };
    by.iter().map(row).collect()
}

/// What needs somebody, or is owed next: a line each.
fn due(night: &Night, zone: &Zone, before: &str) -> Vec<String> {
    let open = night
        .made
        .iter()
        .filter(|(_, facts)| !facts.stage.is_closed());
    let mut open: Vec<_> = open.collect();
    open.sort_by_key(|(_, facts)| (facts.stage != PromiseStage::WithPerson, facts.window.to));
    let line = |(promise, facts): (&PromiseId, &PromiseFacts)| {
        let (from, to) = (facts.window.from, facts.window.to);
        let person = match facts.stage {
            PromiseStage::WithPerson => ": a person has to see to it",
            _ => "",
        };
        let [from, to] = [from, to].map(|at| crate::control::clock(zone, at));
        format!(
            "{before}promise {} is owed from {from} until {to}{person}.",
            promise.0
        )
    };
    open.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use desk::{AttemptId, ContactId, First, Missed, PromiseRisk, Proof, Role, Span};

    const UNTIL: i64 = 1_000_000;

    fn made(promise: u64) -> Event {
        Event::PromiseCreated {
            promise: PromiseId(promise),
            contact: ContactId(promise),
            kind: PromiseKind::Hold,
            queue: QueueId(1),
            class: Role::Staff,
            since: 0,
            window: Span { from: 0, to: UNTIL },
            first: First::Agent,
            ticket: None,
            person: None,
        }
    }

    fn night(events: &[Event]) -> Night {
        let mut night = Night::default();
        for (at, event) in (1..).zip(events) {
            night.add(&Stamped { at, event: *event }, UNTIL);
        }
        night
    }

    #[test]
    fn a_night_is_handed_back_with_what_is_owed_still() {
        let promise = PromiseId;
        let attempt = AttemptId(9);
        let attempted = |of| Event::PromiseAttempted {
            promise: promise(of),
            attempt,
            contact: ContactId(of),
        };
        let night = night(&[
            made(1),
            made(2),
            made(3),
            made(4),
            Event::PromiseDue {
                promise: promise(1),
            },
            attempted(1),
            Event::PromiseReached {
                promise: promise(1),
                attempt,
            },
            Event::PromiseClosed {
                promise: promise(1),
                proof: Proof::Key { attempt },
            },
            attempted(2),
            Event::PromiseMissed {
                promise: promise(2),
                attempt,
                why: Missed::NoKey,
            },
            Event::PromiseEscalated {
                promise: promise(2),
                why: PromiseRisk::Unanswered,
            },
            // Of the night before.
            Event::PromiseEscalated {
                promise: promise(77),
                why: PromiseRisk::Broken,
            },
            Event::ContactTransferred {
                contact: ContactId(5),
                partner: PartnerId(1),
            },
            Event::ContactTransferred {
                contact: ContactId(6),
                partner: PartnerId::OUTSIDE,
            },
        ]);
        let promises: Vec<_> = night.made.values().collect();
        let counts = [4, 2, 1, 1, 1, 3].map(Figure::Count);
        assert_eq!(figures(&promises), counts);
        assert_eq!(night.taken, BTreeMap::from([(PartnerId(1), 1)]));
        let due = due(&night, &Zone::UTC, "");
        assert_eq!(due.len(), 3);
        assert!(
            due[0].starts_with("promise 2 ") && due[0].contains("a person"),
            "{due:?}"
        );
        // What happens by day is the next night's, but for what becomes of these.
        let mut later = night;
        let at = UNTIL + 1;
        later.add(&Stamped { at, event: made(5) }, UNTIL);
        let proof = Proof::Attested {
            agent: desk::AgentId(1),
        };
        later.add(
            &Stamped {
                at,
                event: Event::PromiseClosed {
                    promise: promise(2),
                    proof,
                },
            },
            UNTIL,
        );
        assert_eq!(
            figures(&later.made.values().collect::<Vec<_>>())[3],
            Figure::Count(2)
        );
        assert_eq!(later.made.len(), 4);
    }
}

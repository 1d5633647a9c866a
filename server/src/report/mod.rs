//! The service desk's figures of some days, computed from the log alone while
//! the server runs or not.

mod handback;
mod table;

use std::collections::BTreeMap;
use std::ops::Range;

use desk::figures::{
    Arrivals, Figures, PROVISIONAL_MS, Partnership, Quarter, Ratio, Service, TicketCounts, Work,
};
use desk::{AgentId, PartnerId, Role, TenantId};
use hours::{HoursError, Period, Step, Zone};

use crate::config::{HelpDesk, Hospital};
use crate::serve::OPERATOR;
use crate::store::{Reader, StoreError};
pub use handback::hand_back;
pub use table::{Column, Figure, Row, Table};

/// How figures are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Not at all.
    Total,
    /// By hospital.
    Hospital,
    /// By queue.
    Queue,
    /// By what callers are.
    Role,
    /// By analyst.
    Analyst,
    /// By partner.
    Partner,
    /// By hour of the wall clock.
    Hour,
    /// By day.
    Day,
    /// By month.
    Month,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The hospital; all of them if absent.
    pub hospital: Option<&'a Hospital>,
    /// First day: `2026-11-22`. Today if absent.
    pub from: Option<&'a str>,
    /// Last day. The first, or today if that is absent too.
    pub to: Option<&'a str>,
    /// How it is divided.
    pub by: By,
    /// Wall clock, Unix milliseconds.
    pub now: i64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The days, or the zone.
    #[error(transparent)]
    Time(#[from] HoursError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Read before the first day asked for: who was on a call then, and which tickets were open.
/// Of what began earlier only that is missing which nobody waits for any more.
const BEFORE_MS: i64 = 35 * 24 * 3_600_000;

/// Events read in one statement.
const EVENTS_AT_ONCE: usize = 10_000;

/// Folds a tenant's log over a time (Unix milliseconds), from long enough before it.
///
/// # Errors
/// The database can't be read.
pub fn fold(
    reader: &Reader,
    tenant: TenantId,
    settings: desk::figures::Settings,
    from: i64,
) -> Result<Figures, StoreError> {
    let after = reader.seq_before(tenant, from.saturating_sub(BEFORE_MS))?;
    let mut figures = Figures::new(settings, after);
    while reader.read_into(tenant, &mut figures, EVENTS_AT_ONCE)? == EVENTS_AT_ONCE {}
    Ok(figures)
}

/// One hospital's figures.
struct Part<'a> {
    hospital: &'a Hospital,
    figures: Figures,
}

/// Everything that is added up in a row.
#[derive(Default)]
struct Sums {
    service: Service,
    arrivals: Arrivals,
    tickets: TicketCounts,
    provisional: u64,
}

/// Answers from the database.
///
/// # Errors
/// The days can't be read, or the database.
pub fn report(
    reader: &Reader,
    helpdesk: &HelpDesk,
    question: &Question<'_>,
) -> Result<Table, ReportError> {
    let hospitals: Vec<&Hospital> = match question.hospital {
        Some(hospital) => vec![hospital],
        None => helpdesk.hospitals.iter().collect(),
    };
    let (zone, zone_name) = zone(&hospitals)?;
    let today = zone.date(question.now);
    let from = question.from.unwrap_or(&today);
    let to = question.to.unwrap_or(from);
    let step = match question.by {
        By::Hour => Step::Hour,
        By::Month => Step::Month,
        _ => Step::Day,
    };
    let periods = zone.periods(from, to, step)?;
    let (begin, end) = match (periods.first(), periods.last()) {
        (Some(first), Some(last)) => (first.from, last.to),
        _ => (0, 0),
    };
    let mut parts = Vec::new();
    for hospital in hospitals {
        let figures = fold(reader, TenantId(hospital.id), helpdesk.targets(), begin)?;
        parts.push(Part { hospital, figures });
    }
    let asked = Asked {
        helpdesk,
        parts,
        range: Quarter::of(begin)..Quarter::of(end),
        periods,
        now: question.now,
    };
    let mut table = match question.by {
        By::Analyst => {
            // What analysts do altogether is the operator's: who asks for one hospital isn't told.
            let operator = match question.hospital {
                Some(_) => None,
                None => Some(fold(reader, OPERATOR, helpdesk.targets(), begin)?),
            };
            asked.analysts(operator.as_ref())
        }
        By::Partner => asked.partners(),
        by => asked.service(by),
    };
    let whose = question.hospital.map_or(&helpdesk.operator, |h| &h.name);
    table.about = vec![
        ("of", whose.clone()),
        ("from", from.to_owned()),
        ("to", to.to_owned()),
        ("zone", zone_name),
    ];
    if end > question.now {
        table.notes.push(
            "The last day isn't over: who waits or talks is counted when that ends.".to_owned(),
        );
    }
    Ok(table)
}

/// The hospitals' zone, if they have the same one; else UTC.
fn zone(hospitals: &[&Hospital]) -> Result<(Zone, String), HoursError> {
    let mut zones = hospitals.iter().map(|hospital| hospital.zone.as_deref());
    let first = zones.next().flatten();
    match first.filter(|first| zones.all(|zone| zone == Some(*first))) {
        Some(name) => Ok((Zone::find(name)?, name.to_owned())),
        None => Ok((Zone::UTC, "UTC".to_owned())),
    }
}

struct Asked<'a> {
    helpdesk: &'a HelpDesk,
    parts: Vec<Part<'a>>,
    range: Range<Quarter>,
    periods: Vec<Period>,
    now: i64,
}

const ROLES: [(Option<Role>, &str); 4] = [
    (Some(Role::Clinician), "clinician"),
    (Some(Role::Staff), "staff"),
    (Some(Role::Patient), "patient"),
    (None, "not known"),
];

/// What a conversation is filed under that no queue led to.
const NO_QUEUE: &str = "(no queue)";

impl Asked<'_> {
    fn is_incomplete(&self, range: &Range<Quarter>) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| !part.figures.incomplete(range.clone()).is_empty())
    }

    fn period(&self, quarter: Quarter) -> Option<usize> {
        let after = self
            .periods
            .partition_point(|period| period.from <= quarter.start());
        after.checked_sub(1)
    }

    fn service(&self, by: By) -> Table {
        let names: Vec<String> = match by {
            By::Hospital => self
                .parts
                .iter()
                .map(|part| part.hospital.name.clone())
                .collect(),
            By::Queue => {
                let queues = self.helpdesk.queues.iter().map(|queue| queue.name.clone());
                queues.chain([NO_QUEUE.to_owned()]).collect()
            }
            By::Role => ROLES.iter().map(|(_, name)| (*name).to_owned()).collect(),
            By::Hour | By::Day | By::Month => self.periods.iter().map(|p| p.name.clone()).collect(),
            By::Total | By::Analyst | By::Partner => vec!["all".to_owned()],
        };
        let mut sums: Vec<Sums> = names.iter().map(|_| Sums::default()).collect();
        let role_place = |role: Option<Role>| ROLES.iter().position(|(known, _)| *known == role);
        for (index, part) in self.parts.iter().enumerate() {
            // In which row; the last of queues is for those that no folder names any more.
            let row = |quarter,
                       queue: Option<Option<desk::QueueId>>,
                       role: Option<Option<Role>>| match by {
                By::Hospital => Some(index),
                By::Queue => queue.map(|queue| {
                    let place = queue.map_or(names.len(), |queue| queue.0 as usize);
                    place.saturating_sub(1).min(names.len() - 1)
                }),
                By::Role => role.and_then(role_place),
                By::Hour | By::Day | By::Month => self.period(quarter),
                By::Total | By::Analyst | By::Partner => Some(0),
            };
            for (key, cell) in part.figures.service(self.range.clone()) {
                if let Some(row) = row(key.quarter, Some(key.queue), Some(key.role)) {
                    sums[row].service += cell;
                }
            }
            for (key, cell) in part.figures.arrivals(self.range.clone()) {
                if let Some(row) = row(key.quarter, None, Some(key.role)) {
                    sums[row].arrivals += cell;
                }
            }
            for (&quarter, cell) in part.figures.tickets(self.range.clone()) {
                if let Some(row) = row(quarter, None, None) {
                    sums[row].tickets += cell;
                    let quarter = quarter..Quarter(quarter.0 + 1);
                    sums[row].provisional += part.figures.provisional(&quarter, self.now);
                }
            }
        }
        let with_contacts = by != By::Queue;
        let with_tickets = with_contacts && by != By::Role;
        let row = |(place, (name, sums)): (usize, (String, Sums))| {
            let range = match by {
                By::Hour | By::Day | By::Month => {
                    let period = &self.periods[place];
                    Quarter::of(period.from)..Quarter::of(period.to)
                }
                _ => self.range.clone(),
            };
            let complete = match by {
                By::Hospital => self.parts[place].figures.incomplete(range).is_empty(),
                _ => !self.is_incomplete(&range),
            };
            let mut figures = service_figures(&sums.service);
            if with_contacts {
                figures.extend(contact_figures(&sums.arrivals));
            }
            if with_tickets {
                figures.extend(ticket_figures(&sums.tickets, sums.provisional));
            }
            Row {
                name,
                figures,
                complete,
            }
        };
        let rows = names.into_iter().zip(sums).enumerate().map(row).collect();
        let mut columns = columns(&SERVICE);
        if with_contacts {
            columns.extend(self::columns(&CONTACTS));
        }
        let mut notes = Vec::new();
        if with_tickets {
            columns.extend(self::columns(&TICKETS));
            let days = PROVISIONAL_MS / 86_400_000;
            notes.push(format!(
                "FCR is provisional for {days} days after a ticket was resolved; any contact of the same person counts as a repeat, whatever it is about."
            ));
            let unsure = |part: &Part<'_>| part.figures.tickets_incomplete(&self.range);
            if self.parts.iter().any(unsure) {
                notes.push("Tickets and FCR are incomplete: events of these days, or of seven days before or after, are missing in the log.".to_owned());
            }
        }
        Table {
            about: Vec::new(),
            by: by_word(by),
            columns,
            rows,
            notes,
        }
    }

    fn analysts(&self, operator: Option<&Figures>) -> Table {
        let mut sums: BTreeMap<AgentId, Work> = BTreeMap::new();
        let parts = self.parts.iter().map(|part| &part.figures);
        for figures in parts.chain(operator) {
            for (key, cell) in figures.work(self.range.clone()) {
                *sums.entry(key.agent).or_default() += &cell;
            }
        }
        let gone = |figures: &Figures| !figures.incomplete(self.range.clone()).is_empty();
        let complete = !self.is_incomplete(&self.range) && !operator.is_some_and(gone);
        let row = |(agent, work): (AgentId, Work)| {
            let known = self
                .helpdesk
                .agents
                .iter()
                .find(|known| known.id == agent.0);
            let name = known.map_or(format!("agent {}", agent.0), |known| known.name.clone());
            let mut figures = work_figures(&work);
            if operator.is_some() {
                figures.extend(work.state_ms.map(Figure::Time));
                figures.push(Figure::Share(work.occupancy()));
            }
            Row {
                name,
                figures,
                complete,
            }
        };
        let mut columns = columns(&WORK);
        if operator.is_some() {
            columns.extend(self::columns(&STATES));
        }
        Table {
            about: Vec::new(),
            by: by_word(By::Analyst),
            columns,
            rows: sums.into_iter().map(row).collect(),
            notes: Vec::new(),
        }
    }

    fn partners(&self) -> Table {
        let mut rows = Vec::new();
        for part in &self.parts {
            let mut sums: BTreeMap<PartnerId, Partnership> = BTreeMap::new();
            for (key, cell) in part.figures.partners(self.range.clone()) {
                *sums.entry(key.partner).or_default() += cell;
            }
            let complete = part.figures.incomplete(self.range.clone()).is_empty();
            for (partner, sum) in sums {
                let mut known = part.hospital.partners.iter();
                let known = known.find(|(_, known)| known.id == partner.0);
                let name = match known {
                    _ if partner == PartnerId::OUTSIDE => "(outside)".to_owned(),
                    Some((name, _)) => name.clone(),
                    None => format!("partner {}", partner.0),
                };
                rows.push(Row {
                    name: format!("{}: {name}", part.hospital.name),
                    figures: partner_figures(&sum),
                    complete,
                });
            }
        }
        Table {
            about: Vec::new(),
            by: by_word(By::Partner),
            columns: columns(&PARTNERS),
            rows,
            notes: Vec::new(),
        }
    }
}

fn by_word(by: By) -> &'static str {
    match by {
        By::Total => "total",
        By::Hospital => "hospital",
        By::Queue => "queue",
        By::Role => "role",
        By::Analyst => "analyst",
        By::Partner => "partner",
        By::Hour => "hour",
        By::Day => "day",
        By::Month => "month",
    }
}

fn columns(named: &[(&'static str, &'static str)]) -> Vec<Column> {
    let column = |&(key, head)| Column { key, head };
    named.iter().map(column).collect()
}

const SERVICE: [(&str, &str); 17] = [
    ("queued", "offered"),
    ("answered", "answered"),
    ("answered_in_target", "in time"),
    ("abandoned", "abandoned"),
    ("abandoned_short", "short"),
    ("flow_out", "flow-out"),
    ("system_failure", "failed"),
    ("lost", "lost"),
    ("waiting", "waiting"),
    ("service_level", "service level"),
    ("service_level_answered", "answered only"),
    ("service_level_2", "SL2"),
    ("service_level_everything", "everything"),
    ("abandonment", "abandonment"),
    ("asa_s", "ASA"),
    ("conversations", "talks"),
    ("aht_s", "AHT"),
];

fn service_figures(sum: &Service) -> Vec<Figure> {
    vec![
        Figure::Count(sum.queued),
        Figure::Count(sum.answered),
        Figure::Count(sum.answered_in_target),
        Figure::Count(sum.abandoned),
        Figure::Count(sum.abandoned_short),
        Figure::Count(sum.flow_out),
        Figure::Count(sum.system_failure),
        Figure::Count(sum.lost),
        Figure::Count(sum.waiting()),
        Figure::Share(sum.service_level()),
        Figure::Share(sum.service_level_answered()),
        Figure::Share(sum.service_level_2()),
        Figure::Share(sum.service_level_everything()),
        Figure::Share(sum.abandonment()),
        Figure::Mean(sum.speed_of_answer()),
        Figure::Count(sum.conversations),
        Figure::Mean(sum.handle_time()),
    ]
}

const CONTACTS: [(&str, &str); 3] = [
    ("contacts", "contacts"),
    ("hand_overs", "hand-overs"),
    ("handed_over_again", "more than one"),
];

fn contact_figures(sum: &Arrivals) -> Vec<Figure> {
    let counts = [sum.contacts, sum.hand_overs, sum.handed_over_again];
    counts.map(Figure::Count).to_vec()
}

const TICKETS: [(&str, &str); 4] = [
    ("tickets_opened", "tickets"),
    ("tickets_resolved", "resolved"),
    ("fcr", "FCR"),
    ("fcr_provisional", "provisional"),
];

fn ticket_figures(sum: &TicketCounts, provisional: u64) -> Vec<Figure> {
    vec![
        Figure::Count(sum.opened),
        Figure::Count(sum.resolved),
        Figure::Share(sum.first_contact_resolution()),
        Figure::Count(provisional),
    ]
}

const WORK: [(&str, &str); 12] = [
    ("conversations", "talks"),
    ("talk_s", "talk"),
    ("wrap_up_s", "wrap-up"),
    ("aht_s", "AHT"),
    ("offers", "offers"),
    ("offers_declined", "declined"),
    ("offers_timed_out", "no answer"),
    ("offers_rescinded", "withdrawn"),
    ("hand_overs_not_permitted", "not permitted"),
    ("hand_overs_no_skill", "no skill"),
    ("hand_overs_no_article", "no article"),
    ("hand_overs_unsaid", "unsaid"),
];

fn work_figures(sum: &Work) -> Vec<Figure> {
    let mut figures = vec![
        Figure::Count(sum.conversations),
        Figure::Time(sum.talk_ms),
        Figure::Time(sum.wrap_up_ms),
        Figure::Mean(sum.handle_time()),
        Figure::Count(sum.offers),
        Figure::Count(sum.offers_declined),
        Figure::Count(sum.offers_timed_out),
        Figure::Count(sum.offers_rescinded),
    ];
    figures.extend(sum.hand_overs.map(Figure::Count));
    figures
}

const STATES: [(&str, &str); 6] = [
    ("available_s", "available"),
    ("offered_s", "rung"),
    ("talking_s", "talking"),
    ("in_wrap_up_s", "in wrap-up"),
    ("resting_s", "resting"),
    ("occupancy", "occupancy"),
];

const PARTNERS: [(&str, &str); 8] = [
    ("called", "called"),
    ("taken", "taken"),
    ("talk_mean_s", "talk"),
    ("back_busy", "busy"),
    ("back_no_answer", "no answer"),
    ("back_failed", "failed"),
    ("back_trunk_full", "trunk full"),
    ("back_broken", "broken"),
];

fn partner_figures(sum: &Partnership) -> Vec<Figure> {
    let mut figures = vec![
        Figure::Count(sum.called),
        Figure::Count(sum.taken),
        Figure::Mean(Ratio {
            part: sum.talk_ms,
            whole: sum.conversations,
        }),
    ];
    figures.extend(sum.taken_back.map(Figure::Count));
    figures
}

//! Incidents: their rows, written with the events that they follow from, and
//! what a restart finds.

use std::collections::{BTreeMap, HashMap};

use desk::{
    Commit, ContactId, Event, IncidentFacts, IncidentId, IncidentText, KnownIncident, Stamped,
    Subscriber, TenantId,
};

use super::StoreError;
use super::sql::{Conflict, Connection, Insert, Row, values};

type Key = (TenantId, IncidentId);

const INCIDENT_INSERT: Insert = Insert {
    table: "incident",
    columns: "tenant, incident, live, facts",
    conflict: Conflict::Replace("tenant, incident"),
};

const TEXT_INSERT: Insert = Insert {
    table: "incident_text",
    columns: "tenant, incident, language, text",
    conflict: Conflict::Replace("tenant, incident, language"),
};

const CHILD_INSERT: Insert = Insert {
    table: "incident_child",
    columns: "tenant, incident, kind, child, at",
    conflict: Conflict::Replace("tenant, incident, kind, child"),
};

const SUBSCRIBER_INSERT: Insert = Insert {
    table: "incident_subscriber",
    columns: "tenant, incident, contact, subscriber",
    conflict: Conflict::Replace("tenant, incident, contact"),
};

/// The incidents that are written to, so that they needn't be read again for each of their events.
#[derive(Default)]
pub(super) struct Incidents {
    /// Emptied when a transaction fails.
    known: HashMap<Key, IncidentFacts>,
    changed: Vec<Key>,
    children: BTreeMap<(Key, &'static str, u64), i64>,
    /// Whose call is promised: nothing more is kept of them here.
    settled: Vec<(Key, ContactId)>,
}

impl Incidents {
    /// A transaction begins.
    pub(super) fn clear(&mut self) {
        self.changed.clear();
        self.children.clear();
        self.settled.clear();
    }

    /// It has failed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// It is on disk.
    pub(super) fn written(&mut self) {
        for key in &self.changed {
            if self.known.get(key).is_some_and(|of| of.stage.is_closed()) {
                self.known.remove(key);
            }
        }
    }

    /// Folds an event in, if it concerns an incident.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        tenant: TenantId,
        stamped: &Stamped,
    ) -> Result<(), StoreError> {
        let Some(incident) = stamped.event.incident() else {
            return Ok(());
        };
        let key = (tenant, incident);
        if let Some((_, facts)) = IncidentFacts::drafted(stamped) {
            self.known.insert(key, facts);
        } else {
            let mut facts = match self.known.get(&key) {
                Some(facts) => *facts,
                None => read(connection, key)?
                    .ok_or(StoreError::Unreadable("an incident that was never drafted"))?,
            };
            facts.apply(stamped);
            self.known.insert(key, facts);
        }
        self.changed.push(key);
        match stamped.event {
            Event::IncidentAttached { ticket, .. } => {
                self.children.insert((key, "ticket", ticket.0), stamped.at);
            }
            Event::ContactInformed { contact, .. } => {
                self.children
                    .insert((key, "contact", contact.0), stamped.at);
            }
            Event::IncidentOwed { contact, .. } => self.settled.push((key, contact)),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        connection: &Connection,
        commits: &[Commit],
    ) -> Result<(), StoreError> {
        self.changed.sort_unstable();
        self.changed.dedup();
        let mut rows = Vec::new();
        for key in &self.changed {
            if let Some(facts) = self.known.get(key) {
                rows.push((*key, !facts.stage.is_closed(), json(facts)?));
            }
        }
        connection.insert(&INCIDENT_INSERT, rows.iter(), |row, values| {
            let ((tenant, incident), live, facts) = row;
            values.extend(values![tenant.0, incident.0, *live, facts.as_str()]);
        })?;
        connection.insert(&CHILD_INSERT, self.children.iter(), |row, values| {
            let (((tenant, incident), kind, child), at) = row;
            values.extend(values![tenant.0, incident.0, *kind, *child, *at]);
        })?;
        // The latest of a language is the one that counts.
        let mut texts = BTreeMap::new();
        let mut subscribers = BTreeMap::new();
        for commit in commits {
            for (incident, text) in &commit.incidents.texts {
                let key = (commit.tenant, *incident, text.language.tag());
                texts.insert(key, json(text)?);
            }
            for subscriber in &commit.incidents.subscribers {
                let key = (commit.tenant, subscriber.incident, subscriber.contact);
                subscribers.insert(key, json(subscriber)?);
            }
        }
        connection.insert(&TEXT_INSERT, texts.iter(), |row, values| {
            let ((tenant, incident, language), text) = row;
            values.extend(values![tenant.0, incident.0, *language, text.as_str()]);
        })?;
        connection.insert(&SUBSCRIBER_INSERT, subscribers.iter(), |row, values| {
            let ((tenant, incident, contact), text) = row;
            values.extend(values![tenant.0, incident.0, contact.0, text.as_str()]);
        })?;
        for ((tenant, incident), contact) in &self.settled {
            connection.execute(
                "DELETE FROM incident_subscriber \
                 WHERE tenant = ?1 AND incident = ?2 AND contact = ?3",
                &values![tenant.0, incident.0, contact.0],
            )?;
        }
        Ok(())
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable("an incident"))
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let json = row.text(column)?;
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable("an incident"))
}

/// Reads the column `facts`.
pub(super) fn facts(row: &Row<'_>, column: usize) -> Result<IncidentFacts, StoreError> {
    parsed(row, column)
}

fn read(
    connection: &Connection,
    (tenant, incident): Key,
) -> Result<Option<IncidentFacts>, StoreError> {
    let sql = "SELECT facts FROM incident WHERE tenant = ?1 AND incident = ?2";
    connection.row(sql, &values![tenant.0, incident.0], |row| parsed(row, 0))
}

/// Per tenant the incidents that aren't closed, and those of whose end somebody is to be told.
pub(super) fn live(
    connection: &Connection,
) -> Result<BTreeMap<TenantId, Vec<KnownIncident>>, StoreError> {
    let mut texts: HashMap<Key, Vec<IncidentText>> = HashMap::new();
    let key = |row: &Row<'_>| Ok::<_, StoreError>((TenantId(row.get(0)?), IncidentId(row.get(1)?)));
    let sql = "SELECT t.tenant, t.incident, t.text FROM incident_text t \
               JOIN incident i ON i.tenant = t.tenant AND i.incident = t.incident \
               WHERE i.live = 1 ORDER BY t.tenant, t.incident, t.language";
    connection.rows(sql, &[], |row| {
        texts.entry(key(row)?).or_default().push(parsed(row, 2)?);
        Ok(())
    })?;
    let mut subscribers: BTreeMap<Key, Vec<Subscriber>> = BTreeMap::new();
    let sql = "SELECT tenant, incident, subscriber FROM incident_subscriber \
               ORDER BY tenant, incident, contact";
    connection.rows(sql, &[], |row| {
        let of = subscribers.entry(key(row)?).or_default();
        of.push(parsed(row, 2)?);
        Ok(())
    })?;
    let sql = "SELECT tenant, incident, facts FROM incident i WHERE live = 1 OR EXISTS \
               (SELECT 1 FROM incident_subscriber s \
                WHERE s.tenant = i.tenant AND s.incident = i.incident) \
               ORDER BY tenant, incident";
    let mut live: BTreeMap<TenantId, Vec<KnownIncident>> = BTreeMap::new();
    connection.rows(sql, &[], |row| {
        let key = key(row)?;
        live.entry(key.0).or_default().push(KnownIncident {
            incident: key.1,
            facts: parsed(row, 2)?,
            texts: texts.remove(&key).unwrap_or_default(),
            subscribers: subscribers.remove(&key).unwrap_or_default(),
        });
        Ok(())
    })?;
    Ok(live)
}

/// Per tenant the first id that was never given.
pub(super) fn next(connection: &Connection) -> Result<BTreeMap<TenantId, IncidentId>, StoreError> {
    let sql = "SELECT tenant, MAX(incident) FROM incident GROUP BY tenant";
    let next = connection.all(sql, &[], |row| {
        let last: u64 = row.get(1)?;
        Ok((TenantId(row.get(0)?), IncidentId(last + 1)))
    })?;
    Ok(next.into_iter().collect())
}

/// An incident, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Which.
    pub incident: IncidentId,
    /// What its events say.
    pub facts: IncidentFacts,
    /// What is said, unless erased.
    pub texts: Vec<IncidentText>,
}

/// A hospital's latest incidents below this one, the newest first.
pub(super) fn below(
    connection: &Connection,
    tenant: TenantId,
    below: IncidentId,
    count: usize,
) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = "SELECT incident, facts FROM incident WHERE tenant = ?1 AND incident < ?2 \
               ORDER BY incident DESC LIMIT ?3";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let below = i64::try_from(below.0).unwrap_or(i64::MAX);
    let mut rows = connection.all(sql, &values![tenant.0, below, count], |row| {
        Ok(IncidentRow {
            incident: IncidentId(row.get(0)?),
            facts: parsed(row, 1)?,
            texts: Vec::new(),
        })
    })?;
    let sql =
        "SELECT text FROM incident_text WHERE tenant = ?1 AND incident = ?2 ORDER BY language";
    for row in &mut rows {
        row.texts = connection.all(sql, &values![tenant.0, row.incident.0], |text| {
            parsed(text, 0)
        })?;
    }
    Ok(rows)
}

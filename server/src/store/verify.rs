//! Is the database what its log says? Reads everything: for tests, and for an
//! administrator after a bad day.

use std::collections::BTreeMap;

use desk::{
    ContactId, Event, Facts, IncidentFacts, IncidentId, PromiseFacts, PromiseId, TenantId,
    TicketFacts, TicketId,
};

use super::rows::{self, CONTACT_COLUMNS, EVENT_COLUMNS, TICKET_COLUMNS, TICKET_WIDTH};
use super::{ContactRow, Reader, StoreError, TicketRow, incidents, promises};

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Events in all logs.
    pub events: u64,
    /// Contacts in all logs.
    pub contacts: u64,
    /// Tickets in all logs.
    pub tickets: u64,
    /// Promises in all logs.
    pub promises: u64,
    /// Incidents in all logs.
    pub incidents: u64,
    /// What is wrong, the first hundred. Empty: all is well.
    pub faults: Vec<Fault>,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The file itself is damaged.
    File(String),
    /// A tenant's sequence numbers have a hole before this one.
    Hole(TenantId, u64),
    /// A tenant's counter row isn't at its log's end, or gives a ticket id twice.
    Counter(TenantId),
    /// A contact's row isn't the fold of its events.
    Contact(TenantId, ContactId),
    /// A ticket's row isn't what its event says.
    Ticket(TenantId, TicketId),
    /// A promise's row isn't the fold of its events.
    Promise(TenantId, PromiseId),
    /// An incident's row isn't the fold of its events.
    Incident(TenantId, IncidentId),
    /// A contact has more than one ticket.
    SecondTicket(TenantId, ContactId),
}

const FAULTS_MAX: usize = 100;

#[derive(Default)]
struct Expected {
    counters: BTreeMap<TenantId, (u64, u64)>,
    contacts: BTreeMap<(TenantId, ContactId), ContactRow>,
    tickets: BTreeMap<(TenantId, TicketId), TicketRow>,
    promises: BTreeMap<(TenantId, PromiseId), PromiseFacts>,
    incidents: BTreeMap<(TenantId, IncidentId), IncidentFacts>,
}

impl Verified {
    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

impl Reader {
    /// Reads the whole database and compares: numbers without holes, each
    /// projection equal to the fold of its events.
    ///
    /// # Errors
    ///
    /// Something can't even be read.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        self.connection.at_one_moment(|| {
            let mut verified = Verified::default();
            if let Some(damage) = self.connection.damage()? {
                verified.fault(Fault::File(damage));
            }
            let expected = self.fold(&mut verified)?;
            self.compare_counters(&expected, &mut verified)?;
            self.compare_contacts(expected.contacts, &mut verified)?;
            self.compare_tickets(expected.tickets, &mut verified)?;
            self.compare_promises(expected.promises, &mut verified)?;
            self.compare_incidents(expected.incidents, &mut verified)?;
            Ok(verified)
        })
    }

    fn fold(&self, verified: &mut Verified) -> Result<Expected, StoreError> {
        let mut expected = Expected::default();
        let sql =
            format!("SELECT {EVENT_COLUMNS}, tenant, contact FROM event ORDER BY tenant, seq");
        self.connection.rows(&sql, &[], |row| {
            let logged = rows::logged(row)?;
            let (seq, event) = (logged.seq, logged.stamped.event);
            let tenant = TenantId(row.get(4)?);
            let column = row.maybe(5)?.map(ContactId);
            verified.events += 1;
            let (last_seq, next_ticket) = expected.counters.entry(tenant).or_insert((0, 1));
            if seq != *last_seq + 1 {
                verified.fault(Fault::Hole(tenant, seq));
            }
            *last_seq = seq;
            if let Event::TicketOpened {
                ticket,
                number,
                contact,
                ..
            } = event
            {
                *next_ticket = (*next_ticket).max(ticket.0 + 1);
                let opened = TicketRow {
                    ticket,
                    opened_at: logged.stamped.at,
                    facts: TicketFacts::opened(number, contact),
                };
                if expected.tickets.insert((tenant, ticket), opened).is_some() {
                    verified.fault(Fault::Ticket(tenant, ticket));
                }
                if expected
                    .contacts
                    .get(&(tenant, contact))
                    .is_some_and(|row| row.facts.ticket.is_some())
                {
                    verified.fault(Fault::SecondTicket(tenant, contact));
                }
            }
            if let Some((promise, facts)) = PromiseFacts::created(&event) {
                if expected.promises.insert((tenant, promise), facts).is_some() {
                    verified.fault(Fault::Promise(tenant, promise));
                }
            } else if let Some(promise) = event.promise() {
                match expected.promises.get_mut(&(tenant, promise)) {
                    Some(facts) => facts.apply(&logged.stamped),
                    None => verified.fault(Fault::Promise(tenant, promise)),
                }
            }
            if let Some((incident, facts)) = IncidentFacts::drafted(&logged.stamped) {
                if expected
                    .incidents
                    .insert((tenant, incident), facts)
                    .is_some()
                {
                    verified.fault(Fault::Incident(tenant, incident));
                }
            } else if let Some(incident) = event.incident() {
                match expected.incidents.get_mut(&(tenant, incident)) {
                    Some(facts) => facts.apply(&logged.stamped),
                    None => verified.fault(Fault::Incident(tenant, incident)),
                }
            }
            if column != event.contact() {
                verified.fault(Fault::Contact(tenant, column.unwrap_or(ContactId(0))));
            }
            let mut facts = Facts::default();
            if let Some(contact) = event.contact() {
                let of = expected
                    .contacts
                    .entry((tenant, contact))
                    .or_insert(ContactRow {
                        facts: Facts::default(),
                        first_seq: seq,
                        last_seq: seq,
                    });
                of.facts.apply(&logged.stamped);
                of.last_seq = seq;
                facts = of.facts;
            }
            for (ticket, change) in desk::ticket_changes(&facts, &logged.stamped) {
                match expected.tickets.get_mut(&(tenant, ticket)) {
                    Some(row) => row.facts.apply(change),
                    // Such as a contact that was attached to what was never opened.
                    None => verified.fault(Fault::Ticket(tenant, ticket)),
                }
            }
            Ok(())
        })?;
        verified.contacts = expected.contacts.len() as u64;
        verified.tickets = expected.tickets.len() as u64;
        verified.promises = expected.promises.len() as u64;
        verified.incidents = expected.incidents.len() as u64;
        Ok(expected)
    }

    fn compare_counters(
        &self,
        expected: &Expected,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let mut counters = expected.counters.clone();
        let sql = "SELECT tenant, last_seq, next_ticket FROM tenant ORDER BY tenant";
        self.connection.rows(sql, &[], |row| {
            let tenant = TenantId(row.get(0)?);
            if counters.remove(&tenant).unwrap_or((0, 1)) != (row.get(1)?, row.get(2)?) {
                verified.fault(Fault::Counter(tenant));
            }
            Ok(())
        })?;
        for tenant in counters.into_keys() {
            verified.fault(Fault::Counter(tenant));
        }
        Ok(())
    }

    fn compare_contacts(
        &self,
        mut expected: BTreeMap<(TenantId, ContactId), ContactRow>,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT tenant, contact, {CONTACT_COLUMNS} FROM contact");
        self.connection.rows(&sql, &[], |row| {
            let tenant = TenantId(row.get(0)?);
            let contact = ContactId(row.get(1)?);
            if expected.remove(&(tenant, contact)) != Some(rows::contact(row, 2)?) {
                verified.fault(Fault::Contact(tenant, contact));
            }
            Ok(())
        })?;
        for (tenant, contact) in expected.into_keys() {
            verified.fault(Fault::Contact(tenant, contact));
        }
        Ok(())
    }

    fn compare_promises(
        &self,
        mut expected: BTreeMap<(TenantId, PromiseId), PromiseFacts>,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let sql = "SELECT tenant, promise, facts, owed FROM promise";
        self.connection.rows(sql, &[], |row| {
            let (tenant, promise) = (TenantId(row.get(0)?), PromiseId(row.get(1)?));
            let facts = promises::facts(row, 2)?;
            let owed: i64 = row.get(3)?;
            let same = expected.remove(&(tenant, promise)) == Some(facts);
            if !same || (owed == 1) == facts.stage.is_closed() {
                verified.fault(Fault::Promise(tenant, promise));
            }
            Ok(())
        })?;
        for (tenant, promise) in expected.into_keys() {
            verified.fault(Fault::Promise(tenant, promise));
        }
        Ok(())
    }

    fn compare_incidents(
        &self,
        mut expected: BTreeMap<(TenantId, IncidentId), IncidentFacts>,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let sql = "SELECT tenant, incident, facts, live FROM incident";
        self.connection.rows(sql, &[], |row| {
            let (tenant, incident) = (TenantId(row.get(0)?), IncidentId(row.get(1)?));
            let facts = incidents::facts(row, 2)?;
            let live: i64 = row.get(3)?;
            let same = expected.remove(&(tenant, incident)) == Some(facts);
            if !same || (live == 1) == facts.stage.is_closed() {
                verified.fault(Fault::Incident(tenant, incident));
            }
            Ok(())
        })?;
        for (tenant, incident) in expected.into_keys() {
            verified.fault(Fault::Incident(tenant, incident));
        }
        Ok(())
    }

    fn compare_tickets(
        &self,
        mut expected: BTreeMap<(TenantId, TicketId), TicketRow>,
        verified: &mut Verified,
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {TICKET_COLUMNS}, tenant FROM ticket");
        self.connection.rows(&sql, &[], |row| {
            let ticket = rows::ticket(row)?;
            let tenant = TenantId(row.get(TICKET_WIDTH)?);
            if expected.remove(&(tenant, ticket.ticket)) != Some(ticket) {
                verified.fault(Fault::Ticket(tenant, ticket.ticket));
            }
            Ok(())
        })?;
        for (tenant, ticket) in expected.into_keys() {
            verified.fault(Fault::Ticket(tenant, ticket));
        }
        Ok(())
    }
}

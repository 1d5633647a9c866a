//! A contact's caller shows who they are.
//!
//! The calls ask what to ask for; what was keyed in is compared elsewhere, and
//! [`Checked`] comes here by itself, whatever has become of the call: hanging
//! up spares nobody a wrong answer. That somebody has shown who they are
//! counts once it is on disk.

use super::{Desk, Memo, Owner, Reply, Stamped};
use crate::event::Event;
use crate::message::{CommandId, ContactId, PersonId};
use crate::people::Level;
use crate::verification::{CheckOutcome, Checked, Method, VerificationRules, VerifyReply};

/// How far a contact's caller has come.
#[derive(Debug, Default)]
pub(super) struct Showing {
    /// The level that was asked for last.
    asked: Option<Level>,
    /// Wrong answers.
    wrong: u8,
    /// The latest comparison that was judged.
    judged: Option<CommandId>,
    /// Right ones on their way to the disk, and who asked.
    pending: Option<CommandId>,
}

impl Desk {
    /// Replaces what a tenant asks for. False if there is no such tenant.
    pub fn set_verification(&mut self, tenant: crate::TenantId, rules: VerificationRules) -> bool {
        match self.tenant_index.get(&tenant) {
            Some(&index) => {
                self.tenants[index].verification = rules;
                true
            }
            None => false,
        }
    }

    /// How sure it is who this contact's caller is.
    fn level(&self, id: ContactId) -> Level {
        let Some(contact) = self.contacts.get(&id) else {
            return Level::Hint;
        };
        // The number and the ticket match.
        let found = match contact.found {
            Some(_) => Level::Confirmed,
            None => Level::Hint,
        };
        let shown = contact
            .facts
            .verified
            .map_or(Level::Hint, |(_, level)| level);
        shown.max(found)
    }

    /// What is to be asked for?
    pub(super) fn verify(&mut self, id: ContactId, level: Level) -> Memo {
        if self.level(id) >= level {
            return Memo::Verified;
        }
        let now = self.now;
        let Some(contact) = self.contacts.get_mut(&id) else {
            return Memo::VerifyUnavailable;
        };
        let of = &self.tenants[contact.tenant];
        let limits = &self.limits.verification;
        if contact.showing.wrong >= limits.per_contact
            || of.attempts.number_locked(contact.ani, now, limits)
        {
            return Memo::VerifyLocked;
        }
        let nothing = of.verification.asks(level, contact.facts.role).is_empty();
        if nothing || contact.facts.position.is_ended() {
            return Memo::VerifyUnavailable;
        }
        contact.showing.asked = Some(level);
        Memo::VerifyAsk(level)
    }

    pub(super) fn verify_reply(&self, id: ContactId, memo: Memo) -> VerifyReply {
        let Some(contact) = self.contacts.get(&id) else {
            return VerifyReply::Unavailable;
        };
        match memo {
            Memo::VerifyAsk(level) => VerifyReply::Ask {
                factors: self.tenants[contact.tenant]
                    .verification
                    .asks(level, contact.facts.role),
                hint: contact.facts.hint(),
            },
            Memo::VerifyLocked => VerifyReply::Locked,
            Memo::Verified => self.verified_reply(id),
            _ => VerifyReply::Unavailable,
        }
    }

    fn verified_reply(&self, id: ContactId) -> VerifyReply {
        let level = self.level(id);
        let who = self.contacts.get(&id).and_then(|contact| {
            let (person, level) = contact.facts.verified?;
            self.tenants[contact.tenant]
                .directory
                .verified(person, level)
        });
        VerifyReply::Verified { level, who }
    }

    /// What was keyed in was compared.
    pub(super) fn checked(&mut self, checked: Checked) {
        let Checked {
            id,
            tenant,
            contact,
            at,
            outcome,
        } = checked;
        let known = self.contacts.get(&contact);
        let tenant = self.tenant_index.get(&tenant).copied();
        // Told twice: nobody answers for the same thing again.
        if known.is_some_and(|known| known.showing.judged.is_some_and(|judged| id <= judged)) {
            return;
        }
        let asked = known
            .filter(|known| Some(known.tenant) == tenant)
            .and_then(|known| known.showing.asked);
        let reply = match (asked, outcome) {
            (Some(level), Some(outcome)) => self.judge(id, contact, at, level, outcome),
            _ => Some(VerifyReply::Unavailable),
        };
        if let Some(reply) = reply {
            self.answer(id, contact, Reply::Verify(reply));
        }
    }

    /// The answer, unless it waits for the disk.
    fn judge(
        &mut self,
        id: CommandId,
        contact_id: ContactId,
        at: i64,
        level: Level,
        CheckOutcome { person, fits }: CheckOutcome,
    ) -> Option<VerifyReply> {
        let now = self.now;
        let contact = self.contacts.get_mut(&contact_id)?;
        contact.showing.judged = Some(id);
        let (index, number) = (contact.tenant, contact.ani);
        let of = &mut self.tenants[index];
        let limits = &self.limits.verification;
        let locked = contact.showing.wrong >= limits.per_contact
            || of.attempts.number_locked(number, now, limits);
        let method = Method::of(&of.verification.asks(level, contact.facts.role));
        let is_theirs = person.filter(|person| {
            fits && !of.attempts.person_locked(*person, now, limits)
                // Of whom a source no longer tells nothing can be shown.
                && of.directory.knows(*person)
        });
        match is_theirs {
            Some(person) if !locked => {
                if contact.facts.position.is_ended() {
                    return Some(VerifyReply::Unavailable);
                }
                contact.showing.pending = Some(id);
                let event = Event::ContactVerified {
                    contact: contact_id,
                    passed: true,
                    method,
                    level,
                    person: Some(person),
                };
                let until = now + self.limits.ticket_deadline;
                self.timers.ticket_until(until, contact_id, id);
                // Not applied yet: it counts when it is on disk.
                let owner = Owner::Contact(contact_id);
                self.queue(owner, Stamped { at, event });
                self.write(owner);
                None
            }
            _ => {
                contact.showing.wrong = contact.showing.wrong.saturating_add(1);
                of.attempts.wrong(person, number, now, limits);
                let over = locked
                    || contact.showing.wrong >= limits.per_contact
                    || of.attempts.number_locked(number, now, limits);
                let event = Event::ContactVerified {
                    contact: contact_id,
                    passed: false,
                    method,
                    level,
                    person: None,
                };
                if !contact.facts.position.is_ended() {
                    self.record(contact_id, at, event);
                }
                Some(if over {
                    VerifyReply::Locked
                } else {
                    VerifyReply::Again
                })
            }
        }
    }

    /// It is on disk.
    pub(super) fn verified_durable(&mut self, id: ContactId, stamped: &Stamped) {
        let Some(contact) = self.contacts.get_mut(&id) else {
            return;
        };
        contact.facts.apply(stamped);
        let pending = contact.showing.pending.take();
        if let Some((person, _)) = contact.facts.verified {
            let index = contact.tenant;
            self.tenants[index].attempts.right(person);
        }
        if let Some(command) = pending {
            let reply = self.verified_reply(id);
            self.answer(command, id, Reply::Verify(reply));
        }
    }

    /// It won't be on disk, or too late for this call.
    pub(super) fn verified_withdrawn(&mut self, id: ContactId, overdue: Option<CommandId>) {
        if let Some(contact) = self.contacts.get_mut(&id)
            && let Some(pending) = contact.showing.pending
            && overdue.is_none_or(|overdue| overdue == pending)
        {
            contact.showing.pending = None;
            self.answer(pending, id, Reply::Verify(VerifyReply::Unavailable));
        }
    }
}

impl crate::contact::Facts {
    /// Who it may be, by the calling number.
    fn hint(&self) -> Option<PersonId> {
        match self.found {
            Some(crate::event::Found::PossiblePatient { person }) => Some(person),
            _ => self.person(),
        }
    }
}

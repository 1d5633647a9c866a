//! Contacts: who waits, and until when we believe it.

use std::time::Duration;

use crate::offers::{AgentNext, ContactNext};
use crate::order::Seat;
use crate::timers::{Lease, Timer};
use crate::{
    Acd, AgentId, Class, ContactId, FromAcd, OfferId, OfferOutcome, QueueId, TenantId, Visit,
};

/// How long a contact is believed to wait without being heard of.
const WAIT_LEASE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) visit: Visit,
    pub(crate) tenant: TenantId,
    pub(crate) stay: Stay,
}

#[derive(Debug)]
pub(crate) enum Stay {
    Waiting(Waiting),
    /// An offer was confirmed; its conversation lasts.
    Answered {
        offer: OfferId,
    },
}

#[derive(Debug)]
pub(crate) struct Waiting {
    /// By index.
    pub(crate) queue: usize,
    pub(crate) class: Class,
    pub(crate) since: Duration,
    pub(crate) seat: Seat,
    pub(crate) lease: Lease,
    pub(crate) heard_at: Duration,
    pub(crate) turn: Turn,
    /// Who is rung for it first; once only, so that nobody who declines is rung again at once.
    pub(crate) prefer: Option<AgentId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    InLine,
    Offered(OfferId),
    /// An offer wasn't taken notice of, nor was the contact heard of since:
    /// probably its call is gone. Its next `Wait` puts it in line again, at its
    /// old place; until then it occupies no agent.
    Silent,
}

impl Acd {
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(crate) fn wait(
        &mut self,
        id: ContactId,
        visit: Visit,
        tenant: TenantId,
        queue: QueueId,
        class: Class,
        since: Duration,
        prefer: Option<AgentId>,
    ) {
        if self.gone.get(id).is_some_and(|last| visit <= last) {
            return;
        }
        match self.contacts.get_mut(&id) {
            Some(contact) if visit < contact.visit => return,
            Some(contact) if visit == contact.visit => {
                // Answered: the confirmation is still on its way.
                if let Stay::Waiting(waiting) = &mut contact.stay {
                    waiting.heard_at = self.now;
                    let until = self.now + WAIT_LEASE;
                    waiting
                        .lease
                        .renew(until, Timer::WaitLease(id), &mut self.timers);
                    if waiting.turn == Turn::Silent {
                        self.put_in_line(id);
                    }
                    self.tell_standing(id);
                }
                return;
            }
            // It waits anew, so whatever it did before is over.
            Some(_) => self.end_stay(id, AgentNext::Back),
            None => {}
        }
        let index = match self.queue_index.get(&queue) {
            Some(&index)
                if self.waiting < self.limits.waiting_max
                    && self.queues[index].setup.tenant.is_none_or(|t| t == tenant) =>
            {
                index
            }
            _ => {
                self.send(FromAcd::Standing {
                    contact: id,
                    visit,
                    position: 1,
                    signed_in: 0,
                });
                return;
            }
        };
        let since = since.min(self.now);
        let timer = Timer::WaitLease(id);
        let waiting = Waiting {
            queue: index,
            class,
            since,
            seat: Seat::new(&self.queues[index].setup, tenant, class, since, id),
            lease: Lease::new(self.now + WAIT_LEASE, timer, &mut self.timers),
            heard_at: self.now,
            turn: Turn::InLine,
            prefer,
        };
        let stay = Stay::Waiting(waiting);
        self.contacts.insert(
            id,
            Contact {
                visit,
                tenant,
                stay,
            },
        );
        self.waiting += 1;
        self.put_in_line(id);
        self.tell_standing(id);
    }

    pub(crate) fn leave(&mut self, id: ContactId, visit: Visit) {
        self.remember_gone(id, visit);
        // A conversation goes on: its own messages end it. (A call that leaves
        // its queue because it was answered may well say so.)
        if let Some(Contact {
            visit: known,
            stay: Stay::Waiting(_),
            ..
        }) = self.contacts.get(&id)
            && *known <= visit
        {
            self.end_stay(id, AgentNext::Back);
        }
        self.send(FromAcd::Left { contact: id, visit });
    }

    /// Ends whatever a contact is doing; an agent being rung goes on as said.
    pub(crate) fn end_stay(&mut self, id: ContactId, agent_next: AgentNext) {
        match self.contacts.get(&id).map(|contact| &contact.stay) {
            Some(Stay::Waiting(waiting)) => {
                if let Turn::Offered(offer) = waiting.turn {
                    let rescind = true;
                    self.end_offer(
                        offer,
                        OfferOutcome::Rescinded,
                        agent_next,
                        ContactNext::Gone,
                        rescind,
                    );
                }
                self.drop_waiting(id);
            }
            Some(&Stay::Answered { offer }) => self.end_conversation(offer),
            None => {}
        }
    }

    /// Takes a contact that waits (in line or not, but no longer offered) out of the books.
    pub(crate) fn drop_waiting(&mut self, id: ContactId) {
        if let Some(contact) = self.contacts.remove(&id)
            && let Stay::Waiting(waiting) = contact.stay
        {
            self.waiting -= 1;
            if waiting.turn == Turn::InLine {
                self.queues[waiting.queue].line.remove(waiting.seat);
            }
        }
    }

    /// Remembers that this stay and all before it are over.
    pub(crate) fn remember_gone(&mut self, id: ContactId, visit: Visit) {
        // The end of an earlier stay may become known after that of a later one.
        let visit = self.gone.get(id).map_or(visit, |last| last.max(visit));
        let until = self.now.saturating_add(self.limits.remembered_for);
        self.gone
            .insert(id, visit, until, self.limits.remembered_max);
    }

    pub(crate) fn wait_lease_fired(&mut self, at: Duration, id: ContactId) {
        if let Some(Contact {
            stay: Stay::Waiting(waiting),
            ..
        }) = self.contacts.get_mut(&id)
            && waiting
                .lease
                .is_over(at, self.now, Timer::WaitLease(id), &mut self.timers)
        {
            // Not remembered as gone: should the call be alive after all, its
            // next `Wait` gives it back its place.
            self.end_stay(id, AgentNext::Held);
        }
    }

    fn tell_standing(&mut self, id: ContactId) {
        let Some(Contact {
            visit,
            stay: Stay::Waiting(waiting),
            ..
        }) = self.contacts.get(&id)
        else {
            return;
        };
        let queue = &self.queues[waiting.queue];
        let signed_in = queue.crew.signed_in;
        let listening = self
            .born
            .is_none_or(|born| self.now < born.saturating_add(self.rules.listen_first));
        if signed_in == 0 && listening {
            return;
        }
        let standing = FromAcd::Standing {
            contact: id,
            visit: *visit,
            position: queue.line.ahead_of(waiting.seat) as u32 + 1,
            signed_in,
        };
        self.send(standing);
    }
}

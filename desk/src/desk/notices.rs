//! What the distributor reports, and who publishes flows.

use smallvec::SmallVec;

use super::{
    ContactId, Desk, FlowPublished, HoursChanged, Notice, Noticed, OfferId, OfferOutcome, Owner,
    Stamped, TenantId,
};
use crate::event::Event;

/// Agents whose latest state is kept, per tenant, to leave out repetitions.
const AGENTS_MAX: usize = 65_536;

/// The latest offers of a contact, to leave out repetitions.
#[derive(Debug, Default)]
pub(super) struct RecentOffers {
    latest: SmallVec<[(OfferId, Known); 2]>,
}

const OFFERS_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Created,
    Ended,
}

impl RecentOffers {
    /// Is this news? An end that overtook its beginning makes that beginning old.
    fn is_news(&mut self, offer: OfferId, known: Known) -> bool {
        if let Some((_, before)) = self.latest.iter_mut().find(|(id, _)| *id == offer) {
            let news = *before < known;
            *before = known.max(*before);
            return news;
        }
        if self.latest.len() == OFFERS_MAX {
            self.latest.remove(0);
        }
        self.latest.push((offer, known));
        true
    }
}

impl Desk {
    pub(super) fn notice(&mut self, notice: Notice) {
        let Notice { tenant, at, what } = notice;
        let Some(&tenant) = self.tenant_index.get(&tenant) else {
            return;
        };
        match what {
            Noticed::AgentState { agent, state } => {
                let agents = &mut self.tenants[tenant].agents;
                if agents.get(&agent) == Some(&state) {
                    return;
                }
                if agents.len() < AGENTS_MAX || agents.contains_key(&agent) {
                    agents.insert(agent, state);
                }
                let event = Event::AgentStateChanged { agent, state };
                self.queue(Owner::Tenant(tenant), Stamped { at, event });
                self.promise_agent(agent, state, at);
            }
            Noticed::WrappedUp { contact, agent, ms } => {
                let event = Event::ContactWrappedUp { contact, agent, ms };
                match self.contacts.get(&contact) {
                    _ if !contact.is_journey() => {}
                    Some(known) if known.tenant == tenant => self.record(contact, at, event),
                    Some(_) => {}
                    None => self.queue(Owner::Tenant(tenant), Stamped { at, event }),
                }
            }
            Noticed::OfferCreated {
                offer,
                contact,
                agent,
            } => {
                let event = Event::OfferCreated {
                    offer,
                    contact,
                    agent,
                };
                self.offer_event(tenant, contact, offer, Known::Created, at, event);
            }
            Noticed::OfferEnded {
                offer,
                contact,
                agent,
                outcome,
            } => {
                let event = match outcome {
                    OfferOutcome::Accepted => Event::OfferAccepted {
                        offer,
                        contact,
                        agent,
                    },
                    OfferOutcome::Declined => Event::OfferDeclined {
                        offer,
                        contact,
                        agent,
                    },
                    OfferOutcome::TimedOut => Event::OfferTimedOut {
                        offer,
                        contact,
                        agent,
                    },
                    OfferOutcome::Rescinded => Event::OfferRescinded {
                        offer,
                        contact,
                        agent,
                    },
                };
                self.offer_event(tenant, contact, offer, Known::Ended, at, event);
            }
        }
    }

    pub(super) fn service(&mut self, tenant: TenantId, at: i64, begins: bool) {
        if let Some(&tenant) = self.tenant_index.get(&tenant) {
            let event = match begins {
                true => Event::ServiceStarted,
                false => Event::ServiceStopped,
            };
            self.queue(Owner::Tenant(tenant), Stamped { at, event });
        }
    }

    pub(super) fn published(&mut self, published: FlowPublished) {
        let FlowPublished {
            tenant,
            at,
            flow,
            version,
            again,
        } = published;
        let event = match again {
            None => Event::FlowPublished { flow, version },
            Some(to) => Event::FlowRolledBack { flow, version, to },
        };
        self.of_tenant(tenant, Stamped { at, event });
    }

    pub(super) fn hours(&mut self, changed: HoursChanged) {
        let HoursChanged {
            tenant,
            at,
            hours,
            to,
        } = changed;
        let event = match to {
            None => Event::HoursReopened { hours },
            Some((false, until)) => Event::HoursClosed { hours, until },
            Some((true, until)) => Event::HoursOpened { hours, until },
        };
        self.of_tenant(tenant, Stamped { at, event });
    }

    /// Of a hospital that isn't known nothing is written.
    fn of_tenant(&mut self, tenant: TenantId, stamped: Stamped) {
        if let Some(&tenant) = self.tenant_index.get(&tenant) {
            self.queue(Owner::Tenant(tenant), stamped);
        }
    }

    fn offer_event(
        &mut self,
        tenant: usize,
        id: ContactId,
        offer: OfferId,
        known: Known,
        at: i64,
        event: Event,
    ) {
        if !id.is_journey() {
            return;
        }
        match self.contacts.get_mut(&id) {
            Some(contact) if contact.tenant != tenant => {}
            Some(contact) => {
                contact.touched_at = self.now;
                if contact.offers.is_news(offer, known) {
                    self.record(id, at, event);
                }
            }
            // Later than the contact is remembered, or earlier than its start.
            None => self.queue(Owner::Tenant(tenant), Stamped { at, event }),
        }
    }
}

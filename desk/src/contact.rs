//! One contact's state, as a fold over its events, and what a journey command
//! makes of it.
//!
//! [`Facts::apply`] is the only place where an event changes a contact: the
//! desk, the store's projection and the tests all use it, so that they can't
//! disagree. [`Facts::decide`] turns what the calls report into events, and
//! keeps the rule that each visit to a queue ends in exactly one of answered,
//! abandoned, flow-out and system-failure, also when a report is missing.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::event::{Event, Found};
use crate::message::{
    AgentId, ContactId, EndCause, Journey, PartnerId, PersonId, QueueId, Role, Stamped, TicketId,
};
use crate::people::Level;
use crate::ticket::TicketNumber;

/// What the log says about a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// When it came in, Unix milliseconds; `None` if that event was lost in a gap.
    pub started_at: Option<i64>,
    /// What the calling number told; `None` before it was looked up.
    pub found: Option<Found>,
    /// What the caller is: said, or known from the number of a person on the staff.
    pub role: Option<Role>,
    /// Who has shown who they are, and how sure that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<(PersonId, Level)>,
    /// Where it is.
    pub position: Position,
    /// The ticket opened for it, or that it was attached to.
    pub ticket: Option<(TicketId, TicketNumber)>,
    /// How its visits to queues ended.
    pub visits: Visits,
}

/// Where a contact is: always in exactly one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Position {
    /// With the flow.
    #[default]
    Flow,
    /// Waiting.
    Queue {
        /// Where.
        queue: QueueId,
        /// Since when, Unix milliseconds.
        since: i64,
    },
    /// An agent's phone rings for it.
    Offer {
        /// Whose.
        agent: AgentId,
        /// The visit that goes on meanwhile; `None` when it was called without a queue.
        visit: Option<(QueueId, i64)>,
    },
    /// Talks with an agent.
    Conversation {
        /// With whom.
        agent: AgentId,
        /// Since when, Unix milliseconds.
        since: i64,
    },
    /// A partner is being called for it.
    PartnerCalled {
        /// Which.
        partner: PartnerId,
    },
    /// Talks with a partner.
    Transferred {
        /// Which.
        partner: PartnerId,
        /// Since when, Unix milliseconds.
        since: i64,
    },
    /// Over.
    Ended {
        /// How.
        cause: EndCause,
        /// When, Unix milliseconds.
        at: i64,
    },
}

/// How many of a contact's visits to queues ended how. The open one, if any,
/// is in none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Visits {
    /// Began.
    pub queued: u32,
    /// An agent took it.
    pub answered: u32,
    /// The caller hung up.
    pub abandoned: u32,
    /// The flow took it out.
    pub flow_out: u32,
    /// We failed.
    pub system_failure: u32,
}

impl Visits {
    /// How many ended.
    pub fn ended(&self) -> u32 {
        self.answered + self.abandoned + self.flow_out + self.system_failure
    }
}

impl Position {
    /// The open visit to a queue: which, and since when.
    pub fn visit(&self) -> Option<(QueueId, i64)> {
        match *self {
            Self::Queue { queue, since } => Some((queue, since)),
            Self::Offer { visit, .. } => visit,
            Self::Flow
            | Self::Conversation { .. }
            | Self::PartnerCalled { .. }
            | Self::Transferred { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Is the journey over?
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// The events one command gives: seldom more than two.
pub type Events = SmallVec<[Event; 2]>;

impl Facts {
    /// Who it is, as far as the calling number tells. A possible patient is nobody.
    pub fn person(&self) -> Option<PersonId> {
        match self.found {
            Some(Found::Person { person, .. }) => Some(person),
            Some(Found::Unknown | Found::Place { .. } | Found::PossiblePatient { .. }) | None => {
                None
            }
        }
    }

    /// Changes the state by an event of this contact. Any event is possible
    /// in any state, since a gap may have swallowed those between.
    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match stamped.event {
            Event::ContactStarted { .. } => {
                self.started_at.get_or_insert(at);
            }
            Event::ContactIdentified { found, .. } => {
                self.found = Some(found);
                if let Found::Person { role, .. } = found {
                    self.role.get_or_insert(role);
                }
            }
            Event::ContactRoleSet { role, .. } => self.role = Some(role),
            Event::ContactVerified {
                passed: true,
                person: Some(person),
                level,
                ..
            } => {
                if self.verified.is_none_or(|(_, known)| known <= level) {
                    self.verified = Some((person, level));
                }
            }
            Event::ContactQueued { queue, .. } => {
                self.visits.queued += 1;
                self.position = Position::Queue { queue, since: at };
            }
            Event::ContactOffered { agent, .. } => {
                self.position = Position::Offer {
                    agent,
                    visit: self.position.visit(),
                };
            }
            Event::ContactConnected { agent, .. } => {
                if self.position.visit().is_some() {
                    self.visits.answered += 1;
                }
                self.position = Position::Conversation { agent, since: at };
            }
            Event::ContactPartnerCalled { partner, .. } => {
                self.position = Position::PartnerCalled { partner };
            }
            Event::ContactTransferred { partner, .. } => {
                self.position = Position::Transferred { partner, since: at };
            }
            Event::ContactTakenBack { .. } => self.position = Position::Flow,
            Event::ContactAbandoned { .. } => {
                if self.position.visit().is_some() {
                    self.visits.abandoned += 1;
                }
                self.position = Position::Flow;
            }
            Event::ContactFlowOut { .. } => {
                if self.position.visit().is_some() {
                    self.visits.flow_out += 1;
                }
                self.position = Position::Flow;
            }
            Event::ContactEnded { cause, .. } => {
                if self.position.visit().is_some() {
                    self.visits.system_failure += 1;
                }
                self.position = Position::Ended { cause, at };
            }
            // The offer's phone no longer rings: the contact waits on, with
            // its arrival time.
            Event::OfferDeclined { agent, .. }
            | Event::OfferTimedOut { agent, .. }
            | Event::OfferRescinded { agent, .. } => {
                if let Position::Offer {
                    agent: ringing,
                    visit,
                } = self.position
                    && ringing == agent
                {
                    self.position = match visit {
                        Some((queue, since)) => Position::Queue { queue, since },
                        None => Position::Flow,
                    };
                }
            }
            Event::TicketOpened { ticket, number, .. }
            | Event::TicketAttached { ticket, number, .. } => {
                self.ticket.get_or_insert((ticket, number));
            }
            Event::OfferCreated { .. }
            | Event::OfferAccepted { .. }
            | Event::ContactVerified { .. }
            | Event::ContactEscalated { .. }
            | Event::ContactConferred { .. }
            | Event::ContactInformed { .. }
            | Event::ContactDeflected { .. }
            | Event::ContactWrappedUp { .. }
            | Event::ServiceStarted
            | Event::ServiceStopped
            | Event::AgentStateChanged { .. }
            | Event::TicketUpdated { .. }
            | Event::TicketEscalated { .. }
            | Event::TicketResolved { .. }
            | Event::TicketReopened { .. }
            | Event::TicketClosed { .. }
            | Event::TicketMerged { .. }
            | Event::TicketNoted { .. }
            | Event::FlowPublished { .. }
            | Event::FlowRolledBack { .. }
            | Event::HoursClosed { .. }
            | Event::HoursOpened { .. }
            | Event::HoursReopened { .. }
            | Event::EmergencyBegun { .. }
            | Event::EmergencyCalledBack { .. }
            | Event::EmergencyConnected { .. }
            | Event::EmergencyUnplaced { .. }
            | Event::EmergencyEnded { .. }
            | Event::PromiseCreated { .. }
            | Event::PromiseDue { .. }
            | Event::PromiseAttempted { .. }
            | Event::PromiseReached { .. }
            | Event::PromiseMissed { .. }
            | Event::PromiseEscalated { .. }
            | Event::PromiseMoved { .. }
            | Event::PromiseClosed { .. }
            | Event::IncidentDrafted { .. }
            | Event::IncidentPublished { .. }
            | Event::IncidentUpdated { .. }
            | Event::IncidentAttached { .. }
            | Event::IncidentSubscribed { .. }
            | Event::IncidentOwed { .. }
            | Event::IncidentClosed { .. }
            | Event::JournalGap { .. } => {}
        }
    }

    /// What a report of the calls means for the log. Nothing, when it tells
    /// what is known already or what can't be (a late or doubled message);
    /// more than one event when a report in between was lost.
    pub fn decide(&self, contact: ContactId, journey: Journey) -> Events {
        let mut events = Events::new();
        if self.position.is_ended() {
            return events;
        }
        let visit = self.position.visit();
        match journey {
            Journey::Queued { queue } => match visit {
                Some((same, _)) if same == queue => {}
                other => {
                    // Overflow from one queue to another.
                    if other.is_some() {
                        events.push(Event::ContactFlowOut { contact });
                    }
                    events.push(Event::ContactQueued { contact, queue });
                }
            },
            Journey::Offered { agent } => match self.position {
                Position::Offer { agent: ringing, .. } if ringing == agent => {}
                _ => events.push(Event::ContactOffered { contact, agent }),
            },
            Journey::Connected { agent } => match self.position {
                Position::Conversation { agent: talking, .. } if talking == agent => {}
                _ => events.push(Event::ContactConnected { contact, agent }),
            },
            Journey::PartnerCalled { partner } => {
                if visit.is_some() {
                    events.push(Event::ContactFlowOut { contact });
                }
                if !matches!(self.position, Position::PartnerCalled { partner: called } if called == partner)
                {
                    events.push(Event::ContactPartnerCalled { contact, partner });
                }
            }
            Journey::Transferred { partner } => {
                if visit.is_some() {
                    events.push(Event::ContactFlowOut { contact });
                }
                if !matches!(self.position, Position::Transferred { partner: with, .. } if with == partner)
                {
                    events.push(Event::ContactTransferred { contact, partner });
                }
            }
            // Only who talks with it can hand it over, or have somebody in: told late, or twice, it isn't so any more.
            Journey::Escalated { by, why } => {
                if matches!(self.position, Position::Conversation { agent, .. } if agent == by) {
                    events.push(Event::ContactEscalated { contact, by, why });
                }
            }
            Journey::Conferred { by, with } => {
                if matches!(self.position, Position::Conversation { agent, .. } if agent == by) {
                    events.push(Event::ContactConferred { contact, by, with });
                }
            }
            // Told late, it would take the contact out of where it is now.
            Journey::TakenBack { partner, why } => match self.position {
                Position::PartnerCalled { partner: from }
                | Position::Transferred { partner: from, .. }
                    if from == partner =>
                {
                    events.push(Event::ContactTakenBack {
                        contact,
                        partner,
                        why,
                    });
                }
                _ => {}
            },
            Journey::Abandoned if visit.is_some() => {
                events.push(Event::ContactAbandoned { contact });
            }
            Journey::FlowOut if visit.is_some() => events.push(Event::ContactFlowOut { contact }),
            Journey::Abandoned | Journey::FlowOut => {}
            Journey::Ended { cause } => {
                match (visit, cause) {
                    (Some(_), EndCause::CallerHungUp) => {
                        events.push(Event::ContactAbandoned { contact });
                    }
                    (Some(_), EndCause::FlowEnded) => {
                        events.push(Event::ContactFlowOut { contact });
                    }
                    // Whoever was waiting when the journey ended otherwise was failed by us.
                    (
                        Some(_),
                        EndCause::AgentHungUp
                        | EndCause::SystemFailure
                        | EndCause::NotEncrypted
                        | EndCause::Stopped,
                    )
                    | (None, _) => {}
                }
                events.push(Event::ContactEnded { contact, cause });
            }
        }
        events
    }
}

//! One incident's state, as a fold over its events.
//!
//! [`IncidentFacts::apply`] is the only place where an event changes an
//! incident: the desk, the store's projection and the tests all use it.

use serde::{Deserialize, Serialize};

use super::{AlertId, IncidentBy, IncidentScope};
use crate::event::Event;
use crate::message::{IncidentId, Stamped};

/// What the log says about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentFacts {
    /// Whom it concerns.
    pub scope: IncidentScope,
    /// Who drafted it.
    pub by: IncidentBy,
    /// The alert it comes from.
    pub alert: Option<AlertId>,
    /// When it was drafted, Unix milliseconds.
    pub drafted_at: i64,
    /// When it is over by itself, Unix milliseconds.
    pub expires_at: i64,
    /// How it stands.
    pub stage: IncidentStage,
    /// Contacts that heard of it.
    pub informed: u32,
    /// Of those, the ones that hung up without asking for anybody.
    pub deflected: u32,
    /// People who want to be told when it is over.
    pub subscribed: u32,
    /// Tickets that are about it.
    pub tickets: u32,
}

/// How an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum IncidentStage {
    /// Nobody hears of it.
    Draft,
    /// Whom it concerns hears of it.
    Published {
        /// Since when, Unix milliseconds.
        at: i64,
    },
    /// It is over.
    Closed {
        /// Since when, Unix milliseconds.
        at: i64,
        /// Was it ever published?
        published: bool,
    },
}

/// Why an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// Somebody said that it is.
    Resolved,
    /// It was a draft, and nothing comes of it.
    Withdrawn,
    /// Its time was over. Nobody has said that it works again.
    Expired,
}

impl IncidentStage {
    /// Is it over?
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Since when callers hear of it.
    pub fn published(self) -> Option<i64> {
        match self {
            Self::Published { at } => Some(at),
            Self::Draft | Self::Closed { .. } => None,
        }
    }
}

impl IncidentFacts {
    /// Which incident an `incident.drafted` made, and how it stands then;
    /// `None` for every other event.
    pub fn drafted(stamped: &Stamped) -> Option<(IncidentId, Self)> {
        let Event::IncidentDrafted {
            incident,
            scope,
            by,
            alert,
            expires_at,
        } = stamped.event
        else {
            return None;
        };
        let facts = Self {
            scope,
            by,
            alert,
            drafted_at: stamped.at,
            expires_at,
            stage: IncidentStage::Draft,
            informed: 0,
            deflected: 0,
            subscribed: 0,
            tickets: 0,
        };
        Some((incident, facts))
    }

    /// Changes the state by an event that concerns this incident. Nothing opens a closed one.
    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match stamped.event {
            Event::IncidentPublished { .. } if self.stage == IncidentStage::Draft => {
                self.stage = IncidentStage::Published { at };
            }
            Event::IncidentUpdated {
                scope, expires_at, ..
            } => {
                self.scope = scope;
                self.expires_at = expires_at;
            }
            Event::IncidentClosed { .. } if !self.stage.is_closed() => {
                let published = self.stage.published().is_some();
                self.stage = IncidentStage::Closed { at, published };
            }
            Event::IncidentAttached { .. } => self.tickets = self.tickets.saturating_add(1),
            Event::IncidentSubscribed { .. } => {
                self.subscribed = self.subscribed.saturating_add(1);
            }
            Event::ContactInformed { .. } => self.informed = self.informed.saturating_add(1),
            Event::ContactDeflected { .. } => self.deflected = self.deflected.saturating_add(1),
            _ => {}
        }
    }
}

//! What the desk remembers in order to treat a repetition as one.

use std::collections::{HashSet, VecDeque};

use smallvec::SmallVec;

use crate::event::Found;
use crate::message::{CommandId, ContactId, PromiseId, TicketId};
use crate::people::Level;
use crate::promises::Span;

/// What a command was answered, without the names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Memo {
    Started,
    Found(Found),
    Ticket,
    TicketFound(TicketId),
    TicketNotFound,
    Promised(PromiseId, Option<Span>),
    VerifyAsk(Level),
    Verified,
    VerifyLocked,
    VerifyUnavailable,
    /// In this contact.
    Dial,
    CallbackOff,
    Subscribed,
    IncidentOver,
    Failed,
    Noted,
}

/// The latest commands of a contact and what they were answered. Bounded:
/// what has dropped out is harmless when it comes once more, since a report
/// that is known already changes nothing.
#[derive(Debug, Default)]
pub(super) struct Replies {
    latest: SmallVec<[(CommandId, Memo); 8]>,
}

const REPLIES_MAX: usize = 32;

impl Replies {
    pub(super) fn to(&self, id: CommandId) -> Option<Memo> {
        let found = self.latest.iter().rev().find(|(known, _)| *known == id);
        found.map(|(_, memo)| *memo)
    }

    pub(super) fn remember(&mut self, id: CommandId, memo: Memo) {
        if self.latest.len() == REPLIES_MAX {
            self.latest.remove(0);
        }
        self.latest.push((id, memo));
    }
}

/// Contacts that ended and were dropped: the latest of them.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    ids: HashSet<ContactId>,
    order: VecDeque<ContactId>,
}

const FORGOTTEN_MAX: usize = 65_536;

impl Forgotten {
    pub(super) fn insert(&mut self, id: ContactId) {
        if self.order.len() == FORGOTTEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
    }

    pub(super) fn contains(&self, id: ContactId) -> bool {
        self.ids.contains(&id)
    }
}

//! Calls about the same, within minutes: something may be out of order.

use std::collections::VecDeque;

use crate::message::TicketId;
use crate::tickets::ReasonCode;

/// Tickets looked back on.
const TICKETS_MAX: usize = 512;

/// The tickets whose reason was said lately.
#[derive(Debug, Default)]
pub(super) struct Similar {
    lately: VecDeque<(i64, ReasonCode, TicketId)>,
}

impl Similar {
    /// A ticket is about this. Gives all of the tickets about it within the time, when they are
    /// as many as propose an incident.
    pub(super) fn note(
        &mut self,
        (at, reason, ticket): (i64, ReasonCode, TicketId),
        within_ms: i64,
        enough: usize,
    ) -> Option<Vec<TicketId>> {
        // One ticket is one call, however often somebody says what it is about.
        self.lately.retain(|(_, _, known)| *known != ticket);
        self.lately.push_back((at, reason, ticket));
        while self.lately.len() > TICKETS_MAX
            || self
                .lately
                .front()
                .is_some_and(|(then, ..)| *then <= at - within_ms)
        {
            self.lately.pop_front();
        }
        let same = self.lately.iter().filter(|(_, about, _)| *about == reason);
        let tickets: Vec<TicketId> = same.map(|(_, _, ticket)| *ticket).collect();
        (enough > 0 && tickets.len() >= enough).then_some(tickets)
    }
}

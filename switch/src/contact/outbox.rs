//! What a contact has to tell the desk: one command at a time, repeated until
//! it is answered, so that the desk gets a contact's events in their order
//! whatever the messages suffer on the way.

use std::collections::VecDeque;
use std::time::Duration;

use desk::{Command, CommandId, ContactId, Journey, TenantId, What};

use super::Cx;
use crate::input::Output;

/// How often an unanswered command is repeated.
const REPEAT_EVERY: Duration = Duration::from_millis(500);
/// After how many repeats it is given up: the desk is gone.
const REPEATS_MAX: u8 = 40;
/// Commands that may wait. A contact has about ten on a long way; one that is
/// offered again and again while the desk is down has more, and those are what
/// is left out.
const WAITING_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Command>,
    /// When the first of them is repeated, and how often it was.
    head: Option<(Duration, u8)>,
    ticket_given_up: bool,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn repeat_at(&self) -> Option<Duration> {
        self.head.map(|(at, _)| at)
    }

    pub(crate) fn push(
        &mut self,
        contact: ContactId,
        tenant: TenantId,
        what: What,
        cx: &mut Cx<'_>,
    ) {
        if self.waiting.len() >= WAITING_MAX
            && matches!(
                what,
                What::Journey(Journey::Offered { .. } | Journey::Queued { .. } | Journey::FlowOut)
            )
        {
            cx.counters.journey_dropped += 1;
            return;
        }
        *cx.command += 1;
        self.waiting.push_back(Command {
            id: CommandId(*cx.command),
            tenant,
            contact,
            at: cx.now.wall,
            what,
        });
        if self.waiting.len() == 1 {
            self.send_head(cx);
        }
    }

    /// The answer to the first one? Then the next is sent. Late answers to
    /// earlier ones are nothing new.
    pub(crate) fn answered(&mut self, id: CommandId, cx: &mut Cx<'_>) -> Option<What> {
        if self.waiting.front()?.id != id {
            return None;
        }
        let command = self.waiting.pop_front()?;
        self.head = None;
        self.send_head(cx);
        Some(command.what)
    }

    /// The desk never answered an `OpenTicket` or `AttachTicket`: the call goes on without it.
    pub(crate) fn gave_up_on_ticket(&mut self) -> bool {
        std::mem::take(&mut self.ticket_given_up)
    }

    pub(crate) fn timeout(&mut self, cx: &mut Cx<'_>) {
        let Some((at, repeats)) = self.head else {
            return;
        };
        if at > cx.now.mono {
            return;
        }
        if repeats >= REPEATS_MAX {
            cx.counters.desk_unanswered += 1;
            if let Some(lost) = self.waiting.pop_front() {
                self.ticket_given_up |= matches!(lost.what, What::OpenTicket | What::AttachTicket);
            }
            self.head = None;
            self.send_head(cx);
            return;
        }
        if let Some(command) = self.waiting.front() {
            cx.out.push_back(Output::ToDesk(command.clone()));
            self.head = Some((cx.now.mono + REPEAT_EVERY, repeats + 1));
        }
    }

    fn send_head(&mut self, cx: &mut Cx<'_>) {
        if let Some(command) = self.waiting.front() {
            cx.out.push_back(Output::ToDesk(command.clone()));
            self.head = Some((cx.now.mono + REPEAT_EVERY, 0));
        }
    }
}

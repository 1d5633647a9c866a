//! Ticket nodes: open one, find the caller's own by its number, read out how it
//! stands, belong to it, be done with it.

use std::time::Duration;

use super::Surroundings;
use crate::TicketAsk;
use crate::flow::{Find, Kind, NodeIndex, ReadOut, Ticket};
use crate::keys::{Findings, Keys};
use crate::language::{
    TICKET_IN_HAND, TICKET_NUMBER, TICKET_OPEN, TICKET_REPEAT, TICKET_RESOLVED, UPDATES,
};
use crate::text::Text;

#[derive(Debug, Clone, Copy)]
enum Does {
    Keep(TicketAsk),
    Find,
    Read,
    Resolve,
}

impl Surroundings<'_> {
    pub(super) fn ticket(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Kind> {
        let does = keys.choice(
            "ticket",
            &[
                ("open", Does::Keep(TicketAsk::Open)),
                ("attach", Does::Keep(TicketAsk::Attach)),
                ("find", Does::Find),
                ("read", Does::Read),
                ("resolve", Does::Resolve),
            ],
            findings,
        )?;
        match does {
            Does::Keep(ask) => self.keep(ask, keys, findings).map(Kind::Ticket),
            Does::Find => Some(Kind::Find(self.find(keys, findings))),
            Does::Resolve => {
                let why = "after this the caller would be left in silence";
                Some(Kind::Resolve(self.needed(keys, "next", why, findings)))
            }
            Does::Read => self
                .read_out(keys, findings)
                .map(|read| Kind::Read(Box::new(read))),
        }
    }

    /// Opens a ticket, or attaches the contact to the one found.
    fn keep(&self, ask: TicketAsk, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Ticket> {
        let second = Duration::from_secs(1);
        let wait = keys
            .duration("wait", second / 5..=10 * second, findings)
            .unwrap_or(2 * second);
        // Without exits of their own, the call goes on the same way with and
        // without a number: sentences that would speak it are left out.
        let rest = self.target(keys, "next", findings);
        let on_ticket = self.target(keys, "on_ticket", findings).or(rest);
        let on_store_down = self.target(keys, "on_store_down", findings).or(rest);
        let missing = match (on_ticket, on_store_down) {
            (Some(next), Some(on_store_down)) => {
                return Some(Ticket {
                    ask,
                    wait,
                    next,
                    on_store_down,
                });
            }
            (None, Some(_)) => "`on_ticket` is missing: where does the caller go with the number?",
            (Some(_), None) => {
                "`on_store_down` is missing: where does the caller go when no ticket can be kept?"
            }
            (None, None) => "`next` is missing: after this the caller would be left in silence",
        };
        keys.error(
            findings,
            keys.at(),
            missing,
            Some("`next` serves for both."),
        );
        None
    }

    fn find(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Find {
        let mut way = |key, why| self.needed(keys, key, why, findings);
        Find {
            found: way("found", "where does the caller go whose ticket it is?"),
            not_found: way(
                "not_found",
                "where does the caller go who may try again? (Say the same whatever was wrong.)",
            ),
            give_up: way(
                "give_up",
                "after the third wrong number, or when the desk doesn't answer, the caller must get to a person",
            ),
        }
    }

    /// In fixed phrases: what a level 1 caller may hear of their own ticket.
    fn read_out(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<ReadOut> {
        let next: NodeIndex = self.needed(
            keys,
            "next",
            "after this the caller would be left in silence",
            findings,
        );
        let status = [TICKET_OPEN, TICKET_IN_HAND, TICKET_RESOLVED];
        let texts = status.into_iter().chain(UPDATES).map(Text::ours);
        Some(ReadOut {
            phrases: texts.collect::<Option<_>>()?,
            number: Text::ours(TICKET_NUMBER)?,
            repeat: Text::ours(TICKET_REPEAT)?,
            listen: self.pace.next_key(),
            next,
        })
    }
}

//! What is counted, in quarters of an hour, and the ratios made of sums of it.

use std::ops::AddAssign;

use crate::message::{AgentId, PartnerId, QueueId, Role};

/// A quarter of an hour, counted from 1970 in UTC. Every zone's hours and days
/// are made of whole ones, those of Kathmandu (+05:45) too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quarter(pub i64);

impl Quarter {
    /// Its length, milliseconds.
    pub const MS: i64 = 900_000;
    /// The last there is.
    pub const MAX: Self = Self(i64::MAX / Self::MS);

    /// In which a moment (Unix milliseconds) lies.
    pub fn of(at: i64) -> Self {
        Self(at.div_euclid(Self::MS))
    }

    /// Its first moment, Unix milliseconds.
    pub fn start(self) -> i64 {
        self.0.saturating_mul(Self::MS)
    }
}

/// To which sum a visit to a queue, and the conversation it led to, belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// In which the contact was queued; of a conversation without a visit, in which it began.
    pub quarter: Quarter,
    /// `None`: a conversation that no queue led to, such as with a colleague.
    pub queue: Option<QueueId>,
    /// What the caller was known to be when the visit ended.
    pub role: Option<Role>,
}

/// Adds field by field; a sum that would be too large stays at the largest.
macro_rules! sums {
    ($name:ident: $($field:ident),+ $(; $($array:ident),+)?) => {
        impl AddAssign<&$name> for $name {
            fn add_assign(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
                $($(for (sum, more) in self.$array.iter_mut().zip(other.$array) {
                    *sum = sum.saturating_add(more);
                })+)?
            }
        }
    };
}

/// Visits to queues, and conversations. Durations in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Service {
    /// O: offered to the desk, each visit by itself.
    pub queued: u64,
    /// A: an agent took it.
    pub answered: u64,
    /// A_T: of these, within the queue's target.
    pub answered_in_target: u64,
    /// What those answered waited, together.
    pub answered_wait_ms: u64,
    /// B: the caller hung up.
    pub abandoned: u64,
    /// B_s: of these, before it counts as waiting.
    pub abandoned_short: u64,
    /// B_T: of all abandoned, within the target; the short ones are among them.
    pub abandoned_in_target: u64,
    /// F: overflow, exit key, partner.
    pub flow_out: u64,
    /// We failed.
    pub system_failure: u64,
    /// How they ended stands in a gap of the log.
    pub lost: u64,
    /// Conversations with an agent that are over and whose length is known.
    pub conversations: u64,
    /// Their length together, hold included.
    pub talk_ms: u64,
    /// Conversations that a crash ended: nobody knows when.
    pub cut_off: u64,
    /// After-call work that followed them.
    pub wrap_up_ms: u64,
}
sums!(Service: queued, answered, answered_in_target, answered_wait_ms, abandoned, abandoned_short,
    abandoned_in_target, flow_out, system_failure, lost, conversations, talk_ms, cut_off, wrap_up_ms);

/// A ratio of two sums. Over nothing it has no value: neither 0 nor 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// What is counted, or milliseconds.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
}

impl Ratio {
    /// `None` over nothing.
    pub fn value(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
    }
}

impl Service {
    /// Visits that are over, whichever way.
    pub fn ended(&self) -> u64 {
        self.answered + self.abandoned + self.flow_out + self.system_failure + self.lost
    }

    /// Visits that go on: O = A + B + F + failures + lost + these.
    pub fn waiting(&self) -> u64 {
        self.queued.saturating_sub(self.ended())
    }

    /// Service level, strict (the one meant where nothing else is said): A_T / (A + B − B_s).
    pub fn service_level(&self) -> Ratio {
        Ratio {
            part: self.answered_in_target,
            whole: (self.answered + self.abandoned).saturating_sub(self.abandoned_short),
        }
    }

    /// Service level of those answered only: A_T / A.
    pub fn service_level_answered(&self) -> Ratio {
        Ratio {
            part: self.answered_in_target,
            whole: self.answered,
        }
    }

    /// SL2: (A_T + B_T) / (A + B).
    pub fn service_level_2(&self) -> Ratio {
        Ratio {
            part: self.answered_in_target + self.abandoned_in_target,
            whole: self.answered + self.abandoned,
        }
    }

    /// Service level in which everything counts: A_T / (A + B + F).
    pub fn service_level_everything(&self) -> Ratio {
        Ratio {
            part: self.answered_in_target,
            whole: self.answered + self.abandoned + self.flow_out,
        }
    }

    /// ASA: what those answered waited, milliseconds each.
    pub fn speed_of_answer(&self) -> Ratio {
        Ratio {
            part: self.answered_wait_ms,
            whole: self.answered,
        }
    }

    /// AHT: talk, hold and after-call work, milliseconds for each conversation.
    pub fn handle_time(&self) -> Ratio {
        Ratio {
            part: self.talk_ms + self.wrap_up_ms,
            whole: self.conversations,
        }
    }

    /// Abandonment: (B − B_s) / (O − B_s).
    pub fn abandonment(&self) -> Ratio {
        Ratio {
            part: self.abandoned.saturating_sub(self.abandoned_short),
            whole: self.queued.saturating_sub(self.abandoned_short),
        }
    }
}

/// To which sum a contact belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArrivalKey {
    /// In which it came in.
    pub quarter: Quarter,
    /// What the caller is, by what is known last.
    pub role: Option<Role>,
}

/// Contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrivals {
    /// That came in.
    pub contacts: u64,
    /// Hand-overs by agents, of these contacts.
    pub hand_overs: u64,
    /// Contacts that were handed over more than once.
    pub handed_over_again: u64,
}
sums!(Arrivals: contacts, hand_overs, handed_over_again);

/// To which sum an agent's work belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    /// Of conversations that of their [`ServiceKey`]; of everything else that in which it happened.
    pub quarter: Quarter,
    /// Whose.
    pub agent: AgentId,
}

/// An agent's work. Durations in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Conversations that are over and whose length is known.
    pub conversations: u64,
    /// Their length together.
    pub talk_ms: u64,
    /// Conversations that a crash ended.
    pub cut_off: u64,
    /// After-call work that followed them.
    pub wrap_up_ms: u64,
    /// Offers made to them.
    pub offers: u64,
    /// Of these: the two talked.
    pub offers_accepted: u64,
    /// Busy, declined by key, or the phone unreachable.
    pub offers_declined: u64,
    /// Ring-no-answer.
    pub offers_timed_out: u64,
    /// The contact went away first.
    pub offers_rescinded: u64,
    /// Hand-overs: not permitted, no skill, no article, without a reason.
    pub hand_overs: [u64; 4],
    /// Time in the states available, offered, talking, wrap-up, resting, split over the quarters it
    /// lies in.
    pub state_ms: [u64; 5],
}
sums!(Work: conversations, talk_ms, cut_off, wrap_up_ms, offers, offers_accepted, offers_declined,
    offers_timed_out, offers_rescinded; hand_overs, state_ms);

impl Work {
    /// AHT: talk, hold and after-call work, milliseconds for each conversation.
    pub fn handle_time(&self) -> Ratio {
        Ratio {
            part: self.talk_ms + self.wrap_up_ms,
            whole: self.conversations,
        }
    }

    /// Occupancy: busy / (busy + available). Busy is being rung, talking and after-call work: who is
    /// rung is nobody else's. Resting is neither.
    pub fn occupancy(&self) -> Ratio {
        let [available, offered, talking, wrap_up, _] = self.state_ms;
        let busy = offered.saturating_add(talking).saturating_add(wrap_up);
        Ratio {
            part: busy,
            whole: busy.saturating_add(available),
        }
    }
}

/// To which sum a call to a partner belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartnerKey {
    /// In which it was called.
    pub quarter: Quarter,
    /// Which; [`PartnerId::OUTSIDE`]: numbers outside, together.
    pub partner: PartnerId,
}

/// Calls to a partner. Durations in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Partnership {
    /// Called.
    pub called: u64,
    /// The partner took it.
    pub taken: u64,
    /// Conversations with them, together, as far as their length is known.
    pub talk_ms: u64,
    /// Conversations with them that are over and whose length is known.
    pub conversations: u64,
    /// That a crash ended.
    pub cut_off: u64,
    /// Taken back: busy, no answer, failed, trunk full, broken.
    pub taken_back: [u64; 5],
}
sums!(Partnership: called, taken, talk_ms, conversations, cut_off; taken_back);

/// Tickets that are open, by why they went up a tier last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many.
    pub tickets: u64,
    /// Since when the one that has waited longest has: since it went up, else
    /// since it was opened. Unix milliseconds.
    pub since: Option<i64>,
    /// How many have waited so long: see [`Backlog::AGES_H`].
    pub ages: [u64; 5],
}

impl Backlog {
    /// The ages' bounds, hours: less than the first, …, and at least the last.
    pub const AGES_H: [i64; 4] = [4, 24, 72, 168];

    /// Into which of the ages so many milliseconds belong.
    pub(super) fn age(ms: i64) -> usize {
        let hours = ms.div_euclid(3_600_000);
        Self::AGES_H.iter().filter(|bound| hours >= **bound).count()
    }
}

/// Tickets, by the quarter in which each thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TicketCounts {
    /// Opened.
    pub opened: u64,
    /// Resolved; once, however often within seven days.
    pub resolved: u64,
    /// Of these, on first contact, as far as is known.
    pub first_contact: u64,
}
sums!(TicketCounts: opened, resolved, first_contact);

impl TicketCounts {
    /// FCR. Provisional until seven days after: see [`super::Figures::provisional`].
    pub fn first_contact_resolution(&self) -> Ratio {
        Ratio {
            part: self.first_contact,
            whole: self.resolved,
        }
    }
}

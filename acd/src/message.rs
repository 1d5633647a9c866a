//! The messages between the calls (`switch`) and the distributor (`acd`).
//!
//! They may be late, doubled, reordered or lost. Each therefore says a whole
//! fact, is harmless when repeated, and is repeated by its sender until the
//! other side has shown that it knows:
//!
//! | sent | repeated until |
//! |---|---|
//! | [`ToAcd::Wait`] | for as long as the contact waits: it is also its lease |
//! | [`ToAcd::Leave`] | [`FromAcd::Left`] |
//! | [`ToAcd::Accept`] | [`FromAcd::Confirm`] or [`FromAcd::Refuse`] |
//! | [`ToAcd::Decline`], [`ToAcd::Finish`] | [`FromAcd::Finished`] |
//! | [`ToAcd::SignIn`] | for as long as the registration lasts: a lease |
//! | [`ToAcd::Talking`] | for as long as the conversation lasts: a lease |
//! | [`FromAcd::Offer`] | [`ToAcd::Ringing`], [`ToAcd::Accept`] or [`ToAcd::Decline`] |
//! | [`FromAcd::Rescind`] | [`ToAcd::Decline`] (with [`Refusal::Rescinded`]) |
//!
//! What a call's side does with messages that cross:
//!
//! - An [`FromAcd::Offer`] for a contact that no longer waits, or of a stay that is over, is answered
//!   [`ToAcd::Decline`] ([`Refusal::ContactGone`]).
//! - An [`FromAcd::Offer`] known already (rung, answered or over) rings nobody again: the answer given
//!   before is given again.
//! - Two different offers for one contact at once mean that the `acd` was restarted in between: the
//!   one with the later `until` replaces the other, which ends as if rescinded. While an acceptance is
//!   unanswered, a different offer isn't answered either: one of the two is about to be refused.
//! - A [`FromAcd::Confirm`] for a contact that went away meanwhile is answered [`ToAcd::Finish`].
//! - After [`FromAcd::Refuse`] and after a declined offer the contact waits on in the same stay. Once
//!   [`ToAcd::Accept`] was sent and not refused, a contact that has to wait again does so with the next
//!   [`Visit`] and its old `since`.
//!
//! Times named `now`, `since`, `at`, `until` are monotonic [`Duration`]s on the one
//! clock that sender and receiver share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);
    };
}

id!(/// A hospital.
    TenantId(u32));
id!(/// A person's journey; outlives every call leg of it. Unique across tenants and restarts.
    ContactId(u64));
id!(/// An analyst (or the after-hours partner's line, which is offered calls the same way).
    AgentId(u32));
id!(/// A queue, of one tenant or shared by the operator.
    QueueId(u32));
id!(/// A reservation of one agent for one contact. Minted by the `acd`, never reused.
    OfferId(u64));

/// How urgent a waiting contact is. The order of the variants is the order of
/// service before aging: the first is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// "Patient care stopped now": nothing overtakes it, whatever its age.
    CareStopped,
    /// A clinician: never waits because of patients.
    Clinician,
    /// Hospital staff.
    Staff,
    /// A patient, parent or proxy.
    Patient,
}

/// Which stay of a contact in a queue is meant: counts up for each contact,
/// so that a late message about an earlier stay can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Visit(pub u32);

/// From the calls to the distributor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAcd {
    /// The contact waits. Repeated every two seconds; ten seconds without it
    /// end the wait (the call's node is gone).
    Wait {
        /// Who waits.
        contact: ContactId,
        /// Which stay.
        visit: Visit,
        /// The hospital called.
        tenant: TenantId,
        /// Where it waits.
        queue: QueueId,
        /// How urgent.
        class: Class,
        /// When it began to wait: kept across overflow, take-back and restarts of the `acd`.
        since: Duration,
        /// Who is rung first, if free for this queue when the contact's turn comes: whoever had it
        /// before. Nobody is kept free for it, and nobody waits longer because of it.
        prefer: Option<AgentId>,
    },
    /// The contact waits no longer (hung up, left by a key, overflowed).
    Leave {
        /// Who.
        contact: ContactId,
        /// Which stay, and all before it.
        visit: Visit,
    },
    /// The offer arrived and the agent's phone is being rung: sent at once, not only when the phone
    /// says so (180), since it stops the repetition of the offer. An offer without it is taken back
    /// after three seconds. Answered with [`FromAcd::Refuse`] when the offer is not live any more.
    Ringing {
        /// Which offer.
        offer: OfferId,
    },
    /// The agent answered. Nothing is bridged before [`FromAcd::Confirm`].
    Accept {
        /// Which offer.
        offer: OfferId,
    },
    /// The offer came to nothing. Repeated until [`FromAcd::Finished`].
    Decline {
        /// Which offer.
        offer: OfferId,
        /// Why.
        why: Refusal,
    },
    /// The conversation of this offer lasts. Repeated every five seconds;
    /// thirty seconds without it free the agent. It tells the whole
    /// conversation, so that an `acd` that starts empty neither rings the agent
    /// nor offers the contact, whose last `Wait` may still be on its way.
    Talking {
        /// Which offer.
        offer: OfferId,
        /// The hospital called.
        tenant: TenantId,
        /// Who talks.
        contact: ContactId,
        /// The stay that the offer ended.
        visit: Visit,
        /// With whom.
        agent: AgentId,
    },
    /// The conversation of this offer is over: wrap-up begins. Also sent when
    /// the agent answered and was gone before [`FromAcd::Confirm`] came.
    Finish {
        /// Which offer.
        offer: OfferId,
    },
    /// The agent's phone is registered until then: a lease. Repeated every five
    /// seconds while it lasts, with a fresh `at`, so that a lost one is made
    /// good and an `acd` that starts empty knows within seconds who is there.
    SignIn {
        /// Who.
        agent: AgentId,
        /// When this was so. What is older than the last thing heard of this agent is ignored.
        at: Duration,
        /// Lease end.
        until: Duration,
    },
    /// The agent's phone unregistered. When lost, the lease ends it.
    SignOut {
        /// Who.
        agent: AgentId,
        /// When this was so. What is older than the last thing heard of this agent is ignored.
        at: Duration,
    },
}

/// Why an offer came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The phone rang out, or the offer's time was over.
    NoAnswer,
    /// Busy, or declined by key.
    Declined,
    /// No such registration, or the phone didn't answer the signalling at all.
    Unreachable,
    /// The contact no longer waits (hung up meanwhile). Not the agent's fault.
    ContactGone,
    /// The `acd` rescinded it.
    Rescinded,
}

/// From the distributor to the calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAcd {
    /// Where the contact stands; the answer to each [`ToAcd::Wait`]. (In its
    /// first seconds an `acd` doesn't know who is signed in: then it answers
    /// only once it has heard of somebody.)
    Standing {
        /// Who.
        contact: ContactId,
        /// Which stay.
        visit: Visit,
        /// 1 is next.
        position: u32,
        /// How many agents are signed in for this queue, free or not. 0: nobody will answer (also
        /// for a queue that doesn't exist or isn't this hospital's).
        signed_in: u32,
    },
    /// The contact's leaving is known.
    Left {
        /// Who.
        contact: ContactId,
        /// Which stay.
        visit: Visit,
    },
    /// Ring this agent for this contact.
    Offer {
        /// The reservation.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
        /// Which stay.
        visit: Visit,
        /// Whom to ring.
        agent: AgentId,
        /// When ringing ends as ring-no-answer.
        until: Duration,
    },
    /// The offer is taken back: stop ringing.
    Rescind {
        /// Which.
        offer: OfferId,
        /// For whom it was.
        contact: ContactId,
    },
    /// The acceptance stands: bridge.
    Confirm {
        /// Which.
        offer: OfferId,
        /// For whom.
        contact: ContactId,
    },
    /// The offer is not live (any more): hang the agent up, the contact waits on.
    Refuse {
        /// Which.
        offer: OfferId,
    },
    /// The end of the offer or of its conversation is known.
    Finished {
        /// Which.
        offer: OfferId,
    },
}

/// What happened to an agent or an offer, for the event log and the wallboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// An agent's state changed.
    AgentState {
        /// Who.
        agent: AgentId,
        /// To which state.
        state: AgentState,
    },
    /// An agent's after-call work is over: its time went by, or the phone is gone. Told after the
    /// state that follows it.
    WrappedUp {
        /// Who.
        agent: AgentId,
        /// The hospital.
        tenant: TenantId,
        /// For whom it was.
        contact: ContactId,
        /// How long it took.
        lasted: Duration,
    },
    /// An offer began.
    OfferCreated {
        /// Which.
        offer: OfferId,
        /// The hospital.
        tenant: TenantId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
    },
    /// An offer ended.
    OfferEnded {
        /// Which.
        offer: OfferId,
        /// The hospital.
        tenant: TenantId,
        /// For whom.
        contact: ContactId,
        /// To whom.
        agent: AgentId,
        /// How.
        outcome: OfferOutcome,
    },
}

/// How an offer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferOutcome {
    /// Confirmed: the two talk.
    Accepted,
    /// Busy, declined or unreachable.
    Declined,
    /// Ring-no-answer.
    TimedOut,
    /// The contact went away first, or the call's side never took notice of the offer.
    Rescinded,
}

/// What an agent is doing. One owner of this fact: the `acd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AgentState {
    /// No live registration.
    SignedOut,
    /// Waiting for an offer.
    Available,
    /// Being rung.
    Offered,
    /// In a conversation.
    Talking,
    /// After-call work.
    WrapUp,
    /// Taken out of the distribution after ring-no-answer, until the pause ends or they sign in again.
    Resting,
}

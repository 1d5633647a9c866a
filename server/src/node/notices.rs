//! The distributor's reports in the desk's words.

use acd::{AgentState, Notice, OfferOutcome};
use desk::Noticed;
use switch::Now;

/// A report. What an agent does is written in the `operator`'s log.
pub(super) fn translate(now: Now, operator: desk::TenantId, notice: Notice) -> desk::Notice {
    let (tenant, what) = match notice {
        Notice::AgentState { agent, state } => (
            operator,
            Noticed::AgentState {
                agent: desk::AgentId(agent.0),
                state: match state {
                    AgentState::SignedOut => desk::AgentState::SignedOut,
                    AgentState::Available => desk::AgentState::Available,
                    AgentState::Offered => desk::AgentState::Offered,
                    AgentState::Talking => desk::AgentState::Talking,
                    AgentState::WrapUp => desk::AgentState::WrapUp,
                    AgentState::Resting => desk::AgentState::Resting,
                },
            },
        ),
        Notice::WrappedUp {
            agent,
            tenant,
            contact,
            lasted,
        } => (
            desk::TenantId(tenant.0),
            Noticed::WrappedUp {
                contact: desk::ContactId(contact.0),
                agent: desk::AgentId(agent.0),
                ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            },
        ),
        Notice::OfferCreated {
            offer,
            tenant,
            contact,
            agent,
        } => (
            desk::TenantId(tenant.0),
            Noticed::OfferCreated {
                offer: desk::OfferId(offer.0),
                contact: desk::ContactId(contact.0),
                agent: desk::AgentId(agent.0),
            },
        ),
        Notice::OfferEnded {
            offer,
            tenant,
            contact,
            agent,
            outcome,
        } => (
            desk::TenantId(tenant.0),
            Noticed::OfferEnded {
                offer: desk::OfferId(offer.0),
                contact: desk::ContactId(contact.0),
                agent: desk::AgentId(agent.0),
                outcome: match outcome {
                    OfferOutcome::Accepted => desk::OfferOutcome::Accepted,
                    OfferOutcome::Declined => desk::OfferOutcome::Declined,
                    OfferOutcome::TimedOut => desk::OfferOutcome::TimedOut,
                    OfferOutcome::Rescinded => desk::OfferOutcome::Rescinded,
                },
            },
        ),
    };
    desk::Notice {
        tenant,
        at: now.wall,
        what,
    }
}

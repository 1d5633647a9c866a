//! Agents who are taken although no caller is with them: one who has sent a
//! caller on and waits to hear how it goes, and one who asks a colleague, whose
//! own caller may have left meanwhile. The distributor is told that they talk,
//! so that their telephone, which is taken, isn't rung.

use std::time::Duration;

use acd::{AgentId, OfferId, ToAcd, Visit};

use super::{Contact, Cx, Owing, TALKING_EVERY};

/// Beside the contact's own stays in the distributor's books: a contact that is
/// nobody's.
const ASIDE: u64 = 1 << 55;

/// The agent of a contact who is taken aside.
#[derive(Debug)]
pub(super) struct Taken {
    offer: OfferId,
    agent: AgentId,
    /// A later one of the same contact isn't taken for an earlier.
    visit: Visit,
    announce_at: Duration,
}

impl Contact {
    /// Nobody rings this agent until [`Self::free_agent`].
    pub(super) fn take_agent(&mut self, agent: AgentId, cx: &mut Cx<'_>) {
        self.free_agent(cx);
        let offer = cx.direct_offer();
        cx.index.offers.insert(offer, self.id);
        cx.index.direct.insert(agent, offer);
        self.visits += 1;
        self.taken = Some(Taken {
            offer,
            agent,
            visit: Visit(self.visits),
            announce_at: cx.now.mono + TALKING_EVERY,
        });
        self.announce_taken(cx);
    }

    /// The agent taken is as free as they are otherwise.
    pub(super) fn free_agent(&mut self, cx: &mut Cx<'_>) {
        if let Some(taken) = self.taken.take() {
            cx.index.direct_over(taken.offer);
            self.owe(cx, Owing::Finish(taken.offer));
        }
    }

    pub(super) fn has_taken(&self, agent: AgentId) -> bool {
        self.taken
            .as_ref()
            .is_some_and(|taken| taken.agent == agent)
    }

    /// When the distributor is told again.
    pub(super) fn taken_deadline(&self) -> Option<Duration> {
        self.taken.as_ref().map(|taken| taken.announce_at)
    }

    pub(super) fn taken_timeout(&mut self, cx: &mut Cx<'_>) {
        if let Some(taken) = &mut self.taken
            && cx.now.mono >= taken.announce_at
        {
            taken.announce_at = cx.now.mono + TALKING_EVERY;
            self.announce_taken(cx);
        }
    }

    fn announce_taken(&self, cx: &mut Cx<'_>) {
        if let Some(taken) = &self.taken {
            cx.acd(ToAcd::Talking {
                offer: taken.offer,
                tenant: acd::TenantId(self.tenant.0),
                contact: acd::ContactId(self.id.0 | ASIDE),
                visit: taken.visit,
                agent: taken.agent,
            });
        }
    }

    /// Who sent the caller on hung up without waiting to hear.
    pub(crate) fn transferor_left(&mut self, cx: &mut Cx<'_>) {
        self.free_agent(cx);
    }
}

//! What a contact's event means for the figures.
//!
//! Where a contact is, is told by [`Facts`], the one fold of its events; here
//! its state before and after an event are compared.

use super::Figures;
use super::cells::{ArrivalKey, PartnerKey, Quarter, ServiceKey, WorkKey};
use super::tickets::Who;
use crate::contact::{Facts, Position};
use crate::event::Event;
use crate::message::{AgentId, ContactId, EndCause, Escalation, Stamped, TakenBack};

/// Contacts that may be open; beyond it the figures are incomplete.
const OPEN_MAX: usize = 200_000;

/// A contact that isn't over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Open {
    facts: Facts,
    /// Where it counts as come in. `None` when that event is missing.
    arrived: Option<ArrivalKey>,
    /// The visit that goes on.
    visit: Option<ServiceKey>,
    /// Where the conversation that goes on counts.
    talk: Option<ServiceKey>,
    /// Where the call to the partner counts that it is with.
    partner: Option<PartnerKey>,
    hand_overs: u64,
    /// Events of it may be missing.
    unsure: bool,
    /// It was open at a gap and nothing was heard of it since: it may be over.
    unheard: bool,
}

impl Open {
    /// To which quarters it still adds.
    pub(super) fn quarters(&self) -> impl Iterator<Item = Quarter> {
        let arrived = self.arrived.map(|key| key.quarter);
        let visit = self.visit.map(|key| key.quarter);
        let talk = self.talk.map(|key| key.quarter);
        let partner = self.partner.map(|key| key.quarter);
        [arrived, visit, talk, partner].into_iter().flatten()
    }

    /// Events of it may be missing.
    pub(super) fn is_unsure(&self) -> bool {
        self.unsure
    }

    pub(super) fn in_gap(&mut self) {
        self.unsure = true;
        self.unheard = true;
    }

    /// The visit that goes on, and since when, unless a gap may have ended it.
    pub(super) fn waits(&self) -> Option<(ServiceKey, i64)> {
        let (_, since) = self.facts.position.visit()?;
        self.visit.filter(|_| !self.unheard).map(|key| (key, since))
    }

    pub(super) fn is_open_visit(&self) -> bool {
        self.visit.is_some()
    }

    pub(super) fn who(&self) -> Option<Who> {
        self.facts.found.and_then(Who::found)
    }
}

pub(super) fn span(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

fn reason(why: Option<Escalation>) -> usize {
    match why {
        Some(Escalation::NotPermitted) => 0,
        Some(Escalation::NoSkill) => 1,
        Some(Escalation::NoArticle) => 2,
        None => 3,
    }
}

fn cause(why: TakenBack) -> usize {
    match why {
        TakenBack::Busy => 0,
        TakenBack::NoAnswer => 1,
        TakenBack::Failed => 2,
        TakenBack::TrunkFull => 3,
        TakenBack::Broken => 4,
    }
}

impl Figures {
    pub(super) fn contact_event(&mut self, id: ContactId, stamped: &Stamped) {
        let Stamped { at, event } = *stamped;
        let quarter = Quarter::of(at);
        let mut open = match self.contacts.remove(&id) {
            Some(open) => open,
            // The last of a journey of which nothing else is known says nothing.
            None if !event.is_journey() || matches!(event, Event::ContactEnded { .. }) => return,
            None if self.contacts.len() >= OPEN_MAX => return self.gaps.mark(quarter),
            None => Open {
                unsure: !matches!(event, Event::ContactStarted { .. }),
                ..Open::default()
            },
        };
        open.unheard = false;
        if open.unsure {
            self.gaps.mark(quarter);
        }
        let (before, role_before) = (open.facts.position, open.facts.role);
        open.facts.apply(stamped);
        let (after, role) = (open.facts.position, open.facts.role);

        if matches!(event, Event::ContactStarted { .. }) && open.arrived.is_none() {
            let role = role_before;
            let key = ArrivalKey { quarter, role };
            open.arrived = Some(key);
            self.arrivals.entry(key).or_default().contacts += 1;
        }
        if role != role_before {
            self.role_changed(&mut open);
        }
        self.visit_changed(&mut open, before, stamped);
        self.talk_changed(id, &mut open, before, stamped);
        self.partner_changed(&mut open, before, stamped);
        if let Event::ContactEscalated { by, why, .. } = event {
            self.handed_over(&mut open, quarter, by, reason(why));
        }
        if after.is_ended() {
            if let Some(arrived) = open.arrived {
                self.gaps.touch(arrived.quarter, at);
            }
        } else {
            self.contacts.insert(id, open);
        }
    }

    /// What isn't over counts under the role that is known now.
    fn role_changed(&mut self, open: &mut Open) {
        let role = open.facts.role;
        if let Some(key) = &mut open.visit {
            let was = self.service.entry(*key).or_default();
            was.queued = was.queued.saturating_sub(1);
            key.role = role;
            self.service.entry(*key).or_default().queued += 1;
        }
        if let Some(key) = &mut open.arrived {
            let hand_overs = open.hand_overs;
            let again = u64::from(hand_overs > 1);
            let was = self.arrivals.entry(*key).or_default();
            was.contacts = was.contacts.saturating_sub(1);
            was.hand_overs = was.hand_overs.saturating_sub(hand_overs);
            was.handed_over_again = was.handed_over_again.saturating_sub(again);
            key.role = role;
            let is = self.arrivals.entry(*key).or_default();
            is.contacts += 1;
            is.hand_overs += hand_overs;
            is.handed_over_again += again;
        }
    }

    fn handed_over(&mut self, open: &mut Open, quarter: Quarter, agent: AgentId, reason: usize) {
        let key = WorkKey { quarter, agent };
        self.work.entry(key).or_default().hand_overs[reason] += 1;
        if let Some(key) = open.arrived {
            open.hand_overs += 1;
            let cell = self.arrivals.entry(key).or_default();
            cell.hand_overs += 1;
            cell.handed_over_again += u64::from(open.hand_overs == 2);
        }
    }

    fn visit_changed(&mut self, open: &mut Open, before: Position, stamped: &Stamped) {
        let Stamped { at, event } = *stamped;
        let queued = match event {
            Event::ContactQueued { queue, .. } => Some(queue),
            _ => None,
        };
        let goes_on = queued.is_none() && open.facts.position.visit().is_some();
        if let (Some(key), Some((_, since))) = (open.visit, before.visit())
            && !goes_on
        {
            open.visit = None;
            let targets = self.settings.targets(key.queue);
            let waited = span(since, at);
            let in_target = u64::from(waited <= targets.target_ms);
            let cell = self.service.entry(key).or_default();
            match event {
                Event::ContactConnected { .. } => {
                    cell.answered += 1;
                    cell.answered_in_target += in_target;
                    cell.answered_wait_ms += waited;
                }
                Event::ContactAbandoned { .. } => {
                    cell.abandoned += 1;
                    cell.abandoned_short += u64::from(waited < targets.short_ms);
                    cell.abandoned_in_target += in_target;
                }
                Event::ContactFlowOut { .. } => cell.flow_out += 1,
                Event::ContactEnded { .. } => cell.system_failure += 1,
                // Something else goes on: how the visit ended isn't written.
                _ => cell.lost += 1,
            }
            self.gaps.touch(key.quarter, at);
            if matches!(event, Event::ContactConnected { .. }) {
                open.talk = Some(key);
            }
        }
        if queued.is_some() {
            let key = ServiceKey {
                quarter: Quarter::of(at),
                queue: queued,
                role: open.facts.role,
            };
            open.visit = Some(key);
            self.service.entry(key).or_default().queued += 1;
        }
    }

    fn talk_changed(
        &mut self,
        id: ContactId,
        open: &mut Open,
        before: Position,
        stamped: &Stamped,
    ) {
        let Stamped { at, event } = *stamped;
        let after = open.facts.position;
        // Told again, with what was between missing: another one begins.
        if before == after && !matches!(event, Event::ContactConnected { .. }) {
            return;
        }
        // Of a conversation that begins here the place may be known already: the visit's.
        let answered = match (before, after) {
            (Position::Conversation { .. }, _) => None,
            (_, Position::Conversation { .. }) => open.talk,
            _ => None,
        };
        if let Position::Conversation { agent, since } = before
            && let Some(key) = open.talk.take()
        {
            let quarter = key.quarter;
            let work = self.work.entry(WorkKey { quarter, agent }).or_default();
            let cell = self.service.entry(key).or_default();
            if is_crash(&event) {
                work.cut_off += 1;
                cell.cut_off += 1;
            } else {
                let talk_ms = span(since, at);
                work.conversations += 1;
                work.talk_ms += talk_ms;
                cell.conversations += 1;
                cell.talk_ms += talk_ms;
                self.talked(agent, id, key, open.unsure, at);
            }
            self.gaps.touch(quarter, at);
        }
        if let Position::Conversation { .. } = after {
            open.talk = answered.or(Some(ServiceKey {
                quarter: Quarter::of(at),
                queue: None,
                role: open.facts.role,
            }));
        }
    }

    fn partner_changed(&mut self, open: &mut Open, before: Position, stamped: &Stamped) {
        let Stamped { at, event } = *stamped;
        let after = open.facts.position;
        if let Event::ContactTakenBack { partner, why, .. } = event {
            let here = PartnerKey {
                quarter: Quarter::of(at),
                partner,
            };
            let key = open.partner.filter(|key| key.partner == partner);
            let key = key.unwrap_or(here);
            self.partners.entry(key).or_default().taken_back[cause(why)] += 1;
            self.gaps.touch(key.quarter, at);
        }
        let again = matches!(
            event,
            Event::ContactPartnerCalled { .. } | Event::ContactTransferred { .. }
        );
        if before == after && !again {
            return;
        }
        if let Position::Transferred { since, .. } = before
            && let Some(key) = open.partner
        {
            let cell = self.partners.entry(key).or_default();
            if is_crash(&event) {
                cell.cut_off += 1;
            } else {
                cell.conversations += 1;
                cell.talk_ms += span(since, at);
            }
        }
        let (partner, taken) = match after {
            Position::PartnerCalled { partner } => (partner, false),
            Position::Transferred { partner, .. } => (partner, true),
            _ => {
                if let Some(key) = open.partner.take() {
                    self.gaps.touch(key.quarter, at);
                }
                return;
            }
        };
        let was_called = before == Position::PartnerCalled { partner };
        let key = match open.partner.filter(|_| taken && was_called) {
            Some(key) => key,
            None => {
                if let Some(key) = open.partner {
                    self.gaps.touch(key.quarter, at);
                }
                let quarter = Quarter::of(at);
                let key = PartnerKey { quarter, partner };
                self.partners.entry(key).or_default().called += 1;
                key
            }
        };
        open.partner = Some(key);
        self.partners.entry(key).or_default().taken += u64::from(taken);
    }
}

/// Ended, and nobody knows when: what was going on when we failed.
fn is_crash(event: &Event) -> bool {
    matches!(
        event,
        Event::ContactEnded {
            cause: EndCause::SystemFailure,
            ..
        }
    )
}

//! Numbers outside, called because an agent said so: the caller is sent there
//! by a REFER, or the agent asks there about them.
//!
//! It is the call to a partner ([`super::partner`]), and differs in who asked
//! for it: the flow knows nothing of it, and when it comes to nothing the
//! caller waits where they came from. Who sent the caller on is busy until they
//! have heard how it went: their telephone is.

use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, OfferId, Visit};
use desk::{Journey, PartnerId, PhoneNumber, TakenBack};

use super::{Contact, Cx, Other, Owing, Stage, TALKING_EVERY};
use crate::input::NoteWhat;

/// How long a telephone outside rings.
const RING_MAX: Duration = Duration::from_secs(60);

/// What of an [`super::Outside`] an agent is behind.
#[derive(Debug)]
pub(super) struct SentOut {
    /// Who sent the caller on; none of a consultation.
    pub(super) transferor: Option<Transferor>,
    /// It rings no longer.
    pub(super) until: Duration,
}

/// Who has transferred and waits to hear how it goes. To the distributor they
/// talk on.
#[derive(Debug)]
pub(super) struct Transferor {
    pub(super) leg: sip::LegId,
    pub(super) refer: sip::RequestId,
    /// By which they came to the caller; `None` once they have hung up.
    pub(super) talked: Option<(OfferId, AgentId, Visit)>,
    pub(super) announce_at: Duration,
}

impl SentOut {
    /// When something is due.
    pub(super) fn deadline(&self) -> Duration {
        let announce = self.transferor.as_ref().and_then(|who| {
            who.talked?;
            Some(who.announce_at)
        });
        announce.map_or(self.until, |at| at.min(self.until))
    }
}

impl Contact {
    /// The agent sends the caller to a number outside. The rules allow it.
    pub(super) fn send_out(
        &mut self,
        refer: sip::RequestId,
        number: &PhoneNumber,
        trunk: &Arc<str>,
        by: &str,
        cx: &mut Cx<'_>,
    ) {
        let now = cx.now.mono;
        let Ok(seized) = self.seize(trunk, &number.0, cx) else {
            return cx.sip.refuse_refer(now, refer, 503);
        };
        let Some((leg, other)) = self.take_out(cx) else {
            cx.trunks.release(trunk);
            return cx.sip.refuse_refer(now, refer, 403);
        };
        cx.sip.accept_refer(now, refer);
        self.referred_by = Some(by.to_owned());
        let talked = match other {
            Other::Agent {
                offer,
                agent,
                visit,
            } => Some((offer, agent, visit)),
            // Nobody but an agent transfers.
            Other::Partner { trunked, .. } => {
                cx.trunks.release(&trunked.trunk.name);
                None
            }
        };
        let transferor = leg.map(|leg| Transferor {
            leg,
            refer,
            talked,
            announce_at: now + TALKING_EVERY,
        });
        if let Some(who) = &transferor {
            cx.index.transferors.insert(who.leg, self.id);
        } else if let Some((offer, ..)) = talked {
            cx.index.direct_over(offer);
            self.owe(cx, Owing::Finish(offer));
        }
        self.journey(
            cx,
            Journey::PartnerCalled {
                partner: PartnerId::OUTSIDE,
            },
        );
        self.note(cx, NoteWhat::OutsideCalled);
        let sent = SentOut {
            transferor,
            until: now + RING_MAX,
        };
        self.call_by_trunk(PartnerId::OUTSIDE, seized, &number.0, true, Some(sent), cx);
    }

    /// An agent is asking somebody outside.
    pub(super) fn ask_outside(&mut self, number: &PhoneNumber, trunk: &Arc<str>, cx: &mut Cx<'_>) {
        let Ok(seized) = self.seize(trunk, &number.0, cx) else {
            return self.back_to_flow(cx);
        };
        self.note(cx, NoteWhat::OutsideCalled);
        let sent = SentOut {
            transferor: None,
            until: cx.now.mono + RING_MAX,
        };
        self.call_by_trunk(PartnerId::OUTSIDE, seized, &number.0, true, Some(sent), cx);
    }

    /// Nobody outside took the caller: they wait where they came from, with
    /// their time.
    pub(super) fn sent_out_failed(&mut self, sent: SentOut, why: TakenBack, cx: &mut Cx<'_>) {
        self.referred_by = None;
        self.record_taken_back(PartnerId::OUTSIDE, why, cx);
        let code = match why {
            TakenBack::Busy => 486,
            TakenBack::NoAnswer => 480,
            TakenBack::TrunkFull | TakenBack::Failed | TakenBack::Broken => 503,
        };
        self.transferor_hears(sent, code, cx);
        self.direct_failed(cx);
    }

    /// Who sent the caller on hears how it went, and is free.
    pub(super) fn transferor_hears(&mut self, sent: SentOut, code: u16, cx: &mut Cx<'_>) {
        let Some(who) = sent.transferor else { return };
        cx.index.transferors.remove(&who.leg);
        if let Some((offer, ..)) = who.talked {
            cx.index.direct_over(offer);
            self.owe(cx, Owing::Finish(offer));
        }
        self.tell_transferor(Some((who.leg, who.refer)), code, cx);
    }

    /// Who sent the caller on has hung up, without waiting for how it goes.
    pub(crate) fn transferor_left(&mut self, cx: &mut Cx<'_>) {
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        let who = outside.sent.as_mut().and_then(|s| s.transferor.as_mut());
        if let Some((offer, ..)) = who.and_then(|who| who.talked.take()) {
            cx.index.direct_over(offer);
            self.owe(cx, Owing::Finish(offer));
        }
    }

    pub(super) fn sent_out_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let Stage::Outside(outside) = &mut self.stage else {
            return;
        };
        let Some(sent) = &mut outside.sent else {
            return;
        };
        if now >= sent.until {
            return self.give_up_partner(TakenBack::NoAnswer, cx);
        }
        if let Some(who) = &mut sent.transferor
            && who.talked.is_some()
            && now >= who.announce_at
        {
            who.announce_at = now + TALKING_EVERY;
            self.announce_talk(cx);
        }
    }
}

//! Numbers outside, called because an agent said so: the caller is sent there
//! by a REFER, or the agent asks there about them.
//!
//! It is the call to a partner ([`super::partner`]), and differs in who asked
//! for it: the flow knows nothing of it, and when it comes to nothing the
//! caller waits where they came from.

use std::sync::Arc;
use std::time::Duration;

use desk::{Escalation, Journey, PartnerId, PhoneNumber, TakenBack};

use super::{Contact, Cx, Stage};
use crate::input::NoteWhat;

/// How long a telephone outside rings.
const RING_MAX: Duration = Duration::from_secs(60);

/// What of an [`super::Outside`] an agent is behind.
#[derive(Debug)]
pub(super) struct SentOut {
    /// The leg of who sent the caller on, and the REFER whose outcome they
    /// await; none of a consultation.
    pub(super) told: Option<(sip::LegId, sip::RequestId)>,
    /// It rings no longer.
    pub(super) until: Duration,
}

impl Contact {
    /// The agent sends the caller to a number outside. The rules allow it.
    pub(super) fn send_out(
        &mut self,
        refer: sip::RequestId,
        (number, trunk): (&PhoneNumber, &Arc<str>),
        by: &str,
        why: Option<Escalation>,
        cx: &mut Cx<'_>,
    ) {
        let now = cx.now.mono;
        if self.talks_with().is_none() {
            return cx.sip.refuse_refer(now, refer, 403);
        }
        let Ok(seized) = self.seize(trunk, &number.0, cx) else {
            return cx.sip.refuse_refer(now, refer, 503);
        };
        cx.sip.accept_refer(now, refer);
        self.referred_by = Some(by.to_owned());
        self.escalates(why, cx);
        let told = self.let_transferor_go(refer, cx);
        self.journey(
            cx,
            Journey::PartnerCalled {
                partner: PartnerId::OUTSIDE,
            },
        );
        self.note(cx, NoteWhat::OutsideCalled);
        let sent = SentOut {
            told,
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
            told: None,
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
        self.tell_transferor(sent.told, code, cx);
        self.direct_failed(cx);
    }

    pub(super) fn sent_out_timeout(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Outside(outside) = &self.stage
            && let Some(sent) = &outside.sent
            && cx.now.mono >= sent.until
        {
            self.give_up_partner(TakenBack::NoAnswer, cx);
        }
    }
}

//! An INVITE that wants the place of a call of ours (Replaces, RFC 3891): whose may have it? What becomes of the caller is
//! in `contact/replace.rs`.

use acd::AgentId;
use desk::ContactId;
use sip::refer::Replaces;

use super::Switch;
use super::screen::Guesses;
use crate::contact::{Side, Taking};
use crate::dial::Destination;
use crate::input::Now;
use crate::setup::Encryption;

/// A call that may take another's place, on its way through the transaction layer.
#[derive(Debug)]
pub(super) struct Replacing {
    contact: ContactId,
    of: sip::LegId,
    agent: AgentId,
    encryption: Option<Encryption>,
}

impl Switch {
    /// `None`: it is an ordinary call.
    pub(super) fn replaces(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Option<Result<Replacing, sip::Reply>> {
        request.header("Replaces")?;
        Some(
            self.may_replace(now, peer, request)
                .map_err(|refusal| match refusal {
                    Refusal::Challenge(reply) => reply,
                    Refusal::Code(code) => sip::Reply::new(code),
                }),
        )
    }

    fn may_replace(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<Replacing, Refusal> {
        let user = self
            .authenticate(now, peer, request, Guesses::Counted)
            .map_err(Refusal::Challenge)?;
        let mut values = request.header_values("Replaces");
        let value = values.next().and_then(Replaces::parse);
        let (Some(replaces), None) = (value, values.next()) else {
            return Err(Refusal::Code(400));
        };
        // Only agents have calls that somebody may want.
        let account = self.setup.accounts.get(&user);
        let Some((agent, encryption)) =
            account.and_then(|account| Some((account.agent?, account.encryption)))
        else {
            return Err(Refusal::Code(403));
        };
        let Some(of) = self.sip.replaced(&replaces) else {
            return Err(Refusal::Code(481));
        };
        let Some(&(contact, side)) = self.index.legs.get(&of) else {
            // It is over, though its far side hasn't said so yet.
            return Err(Refusal::Code(603));
        };
        let Some(known) = self.contacts.get(&contact).filter(|_| side == Side::Agent) else {
            return Err(Refusal::Code(403));
        };
        known
            .may_take(of, agent, replaces.early_only, &self.setup)
            .map_err(Refusal::Code)?;
        // Who takes somebody else's call has none of their own.
        if !known.engages(agent) && self.is_engaged(&Destination::Agent(agent)) {
            return Err(Refusal::Code(486));
        }
        if request.sdp().is_none() {
            return Err(Refusal::Code(488));
        }
        Ok(Replacing {
            contact,
            of,
            agent,
            encryption,
        })
    }

    /// It got through the transaction layer.
    pub(super) fn replace(
        &mut self,
        now: Now,
        leg: sip::LegId,
        peer: sip::Peer,
        request: &sip::Request,
        replacing: Replacing,
    ) {
        if !self.contacts.contains_key(&replacing.contact) {
            return self.sip.reject(now.mono, leg, 481, None, &[]);
        }
        let taking = Taking {
            leg,
            peer,
            agent: replacing.agent,
            of: replacing.of,
            sdp: request.sdp().unwrap_or_default().to_vec(),
            encryption: replacing.encryption,
        };
        self.with(now, replacing.contact, |contact, cx| {
            contact.take(taking, cx);
        });
    }
}

enum Refusal {
    Challenge(sip::Reply),
    Code(u16),
}

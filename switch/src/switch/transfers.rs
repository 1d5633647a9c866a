//! Agents who ask a colleague, or send a caller on: may they, and whom is it
//! about? What becomes of the caller is in `contact/transfer.rs`.

use acd::AgentId;
use desk::{ContactId, TenantId};

use super::Switch;
use super::screen::Admitted;
use crate::contact::Consulting;
use crate::dial::Destination;
use crate::input::{Note, NoteWhat, Now, Output};

impl Switch {
    /// An agent who is talking with a caller calls a colleague or a queue: to
    /// ask about that caller. `None`: it is an ordinary call.
    pub(super) fn consulting(
        &mut self,
        user: &str,
        request: &sip::Request,
    ) -> Option<Result<Consulting, sip::Reply>> {
        let by = self.setup.accounts.get(user)?.agent?;
        let mut contacts = self.contacts.values();
        let main = contacts
            .find(|contact| contact.talks_with() == Some(by) && contact.consult().is_none())?;
        let told = self
            .setup
            .destination_and_reason(main.tenant(), request.uri());
        let Some((to, why)) = told else {
            if self.line_of(request).is_some() {
                return None;
            }
            let (contact, tenant) = (main.id(), main.tenant());
            self.target_forbidden(contact, tenant, by);
            return Some(Err(sip::Reply::new(403)));
        };
        let asks_already = self
            .contacts
            .values()
            .filter_map(|contact| contact.consult())
            .any(|consult| consult.of == main.id());
        // One at a time, and nobody asks themselves.
        if asks_already || self.is_engaged(&to) {
            return Some(Err(sip::Reply::new(486)));
        }
        Some(Ok(main.consulted(by, to, why)))
    }

    pub(super) fn admit_consulting(
        &mut self,
        now: Now,
        consulting: Consulting,
    ) -> Result<Admitted, sip::Reply> {
        let line = consulting.line.clone();
        match self.admission.admit(now.mono, line.tenant, line.clinical) {
            Ok(permit) => Ok(Admitted {
                permit,
                line,
                dnis: consulting.dnis.clone(),
                ani: None,
                carried: Vec::new(),
                consulting: Some(consulting),
                supervisor: None,
                encryption: None,
                by_trunk: false,
                credentials: None,
            }),
            Err(_) => Err(self.no_room()),
        }
    }

    /// Invariant 14. Which target it was is written nowhere.
    fn target_forbidden(&mut self, contact: ContactId, tenant: TenantId, by: AgentId) {
        self.counters.targets_forbidden += 1;
        self.out.push_back(Output::Note(Note {
            contact,
            tenant,
            what: NoteWhat::TargetForbidden(by),
        }));
    }

    /// An agent who talks or is rung already. (What a telephone would say of
    /// itself isn't waited for: one with two lines would ring.)
    pub(super) fn is_engaged(&self, to: &Destination) -> bool {
        let Destination::Agent(agent) = to else {
            return false;
        };
        let mut contacts = self.contacts.values();
        contacts.any(|contact| contact.engages(*agent))
            || self.emergencies.values().any(|call| call.is_of(*agent))
    }

    /// An agent's phone sends a call elsewhere.
    pub(super) fn refer(
        &mut self,
        now: Now,
        leg: sip::LegId,
        id: sip::RequestId,
        refer: &sip::refer::Refer,
    ) {
        let user = self.referring.take();
        let account = user.as_ref().and_then(|user| self.setup.accounts.get(user));
        let agent = account.and_then(|account| account.agent);
        let here = self.index.legs.get(&leg).copied();
        let (Some(user), Some(agent), Some((contact, _))) = (&user, agent, here) else {
            return self.sip.refuse_refer(now.mono, id, 403);
        };
        let by = format!("<sip:{user}@{}>", self.setup.realm);
        let talks = |id: &ContactId| {
            let contact = self.contacts.get(id);
            contact.is_some_and(|c| c.talks_with() == Some(agent) && c.consult().is_none())
        };
        let Some(replaces) = &refer.replaces else {
            let Some(tenant) = self.contacts.get(&contact).map(|c| c.tenant()) else {
                return self.sip.refuse_refer(now.mono, id, 403);
            };
            let told = self.setup.destination_and_reason(tenant, &refer.target);
            let Some((to, why)) = told.filter(|_| talks(&contact)) else {
                self.target_forbidden(contact, tenant, agent);
                return self.sip.refuse_refer(now.mono, id, 403);
            };
            if self.is_engaged(&to) {
                return self.sip.refuse_refer(now.mono, id, 486);
            }
            return self.with(now, contact, |contact, cx| {
                contact.transfer(id, &to, &by, why, cx);
            });
        };
        let replaced = self.sip.replaced(replaces);
        let Some((other, _)) = replaced.and_then(|leg| self.index.legs.get(&leg).copied()) else {
            return self.sip.refuse_refer(now.mono, id, 481);
        };
        // Phones differ in which of their two calls they ask to replace the other.
        let asks = |consult: &ContactId, main: &ContactId| {
            let consult = self.contacts.get(consult).and_then(|c| c.consult());
            consult.is_some_and(|c| c.of == *main && c.by == agent) && talks(main)
        };
        let (main, consult) = match () {
            () if asks(&other, &contact) => (contact, other),
            () if asks(&contact, &other) => (other, contact),
            () => return self.sip.refuse_refer(now.mono, id, 403),
        };
        let Some(mut asked) = self.contacts.remove(&consult) else {
            return;
        };
        self.with(now, main, |main, cx| {
            main.take_over(id, &by, &mut asked, cx)
        });
        self.contacts.insert(consult, asked);
        self.with(now, consult, |_, _| {});
    }
}

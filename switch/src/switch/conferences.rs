//! What takes more than the contact that asks for it. Conferences of three take two: what becomes of each is in
//! `contact/conference.rs`.

use desk::ContactId;

use super::Switch;
use crate::contact::{Ask, Conference, Cx};
use crate::dial::Destination;
use crate::input::Now;

impl Switch {
    /// A contact wants something that it can't do by itself: a consultation, of the contact it is about.
    pub(super) fn asked(&mut self, now: Now, consult: ContactId, ask: Ask) {
        if let Ask::Ring { agent, music } = ask {
            let engaged = self.is_engaged(&Destination::Agent(agent));
            return self.with(now, consult, |contact, cx| {
                contact.ring_unless(agent, engaged, music, cx);
            });
        }
        let Some(mut asking) = self.contacts.remove(&consult) else {
            return;
        };
        let about = match (ask, asking.conference) {
            (Ask::Conference, _) => asking.consult().map(|consult| consult.of),
            (_, conference) => conference.map(|conference| conference.other),
        };
        let known = about.filter(|id| self.contacts.contains_key(id));
        if let Some(main) = known {
            self.with(now, main, |main, cx| match ask {
                Ask::Conference => main.confer(&mut asking, cx),
                Ask::AgentLeft => main.keep_colleague(&mut asking, cx),
                Ask::ColleagueLeft => main.keep_agent(&mut asking, cx),
                Ask::Ring { .. } => {}
            });
        } else if ask != Ask::Conference {
            let mut cx = cx!(self, now);
            asking.abandoned(&mut cx);
        }
        self.contacts.insert(consult, asking);
        self.with(now, consult, |_, _| {});
    }

    /// One contact of a conference is over.
    pub(super) fn left_alone(&mut self, now: Now, conference: Option<Conference>) {
        if let Some(conference) = conference {
            self.with(now, conference.other, |other, cx| other.three_no_more(cx));
        }
    }
}

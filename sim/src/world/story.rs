//! Looking into a world, for stories and for the oracle.

use std::time::Duration;

use desk::ContactId;
use switch::View;

use super::{Due, World};
use crate::audio::{Audio, Hears, Owner};
use crate::caller::{Caller, CallerEnd};
use crate::dice::Dice;
use crate::hospital;
use crate::node::{self, Node};
use crate::oracle::Oracle;
use crate::phone::{Deed, PhonePlan, Reaction, Rung};
use crate::store::Store;
use crate::weather::Weather;

/// What somebody hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing at all.
    Nothing,
    /// Something said.
    Prompt,
    /// Music on hold.
    Music,
    /// Who holds this phone.
    Phone(usize),
    /// A caller.
    Caller,
    /// So many others at once.
    Others(usize),
}

/// Agents' phones in a story.
const AGENTS: usize = 6;

impl World {
    /// A world for a story: these phones, this weather, and everything that
    /// callers hear is kept.
    #[must_use]
    pub fn story(weather: Weather, phones: Vec<PhonePlan>) -> Self {
        let mut world = Self::with(1, Dice::new(1), weather, phones);
        world.heard = Some(Vec::new());
        world
    }

    /// The same with these agents' phones, which answer, and no others.
    #[must_use]
    pub fn staffed(weather: Weather, present: &[usize]) -> Self {
        let phones = (1..=AGENTS).map(|phone| match present.contains(&phone) {
            true => PhonePlan::reliable(),
            false => PhonePlan::absent(),
        });
        Self::story(weather, phones.collect())
    }

    /// Another configuration of the calls; before anything has happened, and not for a world that crashes.
    pub fn arrange(&mut self, arrange: impl FnOnce(&mut switch::Setup)) {
        let (key, wall) = (node::key(self.seed), node::wall(self.now));
        let (music, chime) = (self.voice.music.clone(), self.voice.chime.clone());
        let mut setup = hospital::switch_setup(&self.analysts, key, wall, music, chime);
        arrange(&mut setup);
        if let Some(node) = &mut self.node {
            node.switch = switch::Switch::new(setup);
            node.switch_wake = node.switch.poll_timeout();
        }
    }

    /// The callbacks that are owed, or were.
    #[must_use]
    pub fn promises(&self) -> Vec<desk::PromiseFacts> {
        let logs = self.store.logs();
        logs.flat_map(|(_, log)| log.promises.values().copied())
            .collect()
    }

    /// Why attempts to keep them came to nothing, in order.
    #[must_use]
    pub fn missed(&self) -> Vec<desk::Missed> {
        let events = self.store.logs().flat_map(|(_, log)| &log.events);
        let missed = events.filter_map(|stamped| match stamped.event {
            desk::Event::PromiseMissed { why, .. } => Some(why),
            _ => None,
        });
        missed.collect()
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets the world go on until then.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn pass(&mut self, until: Duration) {
        if let Err(failure) = self.run_until(until) {
            panic!("at {:?}: {}", failure.at, failure.what);
        }
    }

    /// Lets some time pass.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn wait(&mut self, time: Duration) {
        self.pass(self.now + time);
    }

    /// The story is over: everything comes to its end, and nothing may be left.
    ///
    /// # Panics
    /// When an invariant is broken, or something is left.
    pub fn finish(&mut self) {
        if let Err(failure) = self.run() {
            panic!("at {:?}: {}", failure.at, failure.what);
        }
    }

    /// What a caller was told, one after the other.
    #[must_use]
    pub fn told(&self, caller: usize) -> String {
        let texts = self.heard(caller).iter().map(|(_, text)| text.as_str());
        texts.collect::<Vec<_>>().join(" | ")
    }

    /// What a caller was told, and when. Ticket numbers appear as digits.
    #[must_use]
    pub fn heard(&self, caller: usize) -> &[(Duration, String)] {
        self.heard
            .as_ref()
            .and_then(|heard| heard.get(caller))
            .map_or(&[], Vec::as_slice)
    }

    /// Keys that were pressed towards anybody.
    #[must_use]
    pub fn pressed(&self) -> &str {
        &self.audio.pressed
    }

    /// When a caller was answered.
    #[must_use]
    pub fn answered_at(&self, caller: usize) -> Option<Duration> {
        self.callers[caller].answered_at
    }

    /// When a caller began to talk to somebody.
    #[must_use]
    pub fn talking_at(&self, caller: usize) -> Option<Duration> {
        self.callers[caller].talking_at
    }

    /// How and when the call ended, as the caller saw it.
    #[must_use]
    pub fn end_of(&self, caller: usize) -> Option<(Duration, CallerEnd)> {
        self.callers[caller].end
    }

    /// Which calls a phone got, the first phone being 1.
    #[must_use]
    pub fn rung(&self, phone: usize) -> &[Rung] {
        &self.phones[phone - 1].log
    }

    /// What a phone does with its next call, the first phone being 1.
    pub fn script(&mut self, phone: usize, reaction: Reaction) {
        self.phones[phone - 1].script(reaction);
    }

    /// Somebody at a phone does something then.
    pub fn does(&mut self, phone: usize, at: Duration, deed: Deed) {
        self.phones[phone - 1].plan_deed(at, deed);
        self.phone_timers(phone - 1);
    }

    /// The same at once; gives it a second.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn does_now(&mut self, phone: usize, deed: Deed) {
        self.does(phone, self.now, deed);
        self.wait(Duration::from_secs(1));
    }

    /// What became of a phone's transfers: the answers and what it was told.
    #[must_use]
    pub fn referred(&self, phone: usize) -> &[u16] {
        &self.phones[phone - 1].referred
    }

    /// The first call of a phone, ringing or answered, as somebody writes it who wants its place (RFC 3891).
    #[must_use]
    pub fn replaces(&self, phone: usize) -> Option<String> {
        self.phones[phone - 1].replaces()
    }

    /// What became of a phone's calls: the codes of those that were refused.
    #[must_use]
    pub fn refused(&self, phone: usize) -> &[u16] {
        &self.phones[phone - 1].refused
    }

    /// What the calls that a phone made were told, and when: 180, 200, 486.
    #[must_use]
    pub fn progress(&self, phone: usize) -> &[(Duration, u16)] {
        &self.phones[phone - 1].progress
    }

    /// What a phone was told in words.
    #[must_use]
    pub fn told_phone(&self, phone: usize) -> &[String] {
        &self.phones[phone - 1].told
    }

    /// What the logs say of calls to emergency services.
    #[must_use]
    pub fn emergencies(&self) -> Vec<desk::Event> {
        let logs = self.store.logs();
        logs.flat_map(|(_, log)| log.emergencies.iter().copied())
            .collect()
    }

    /// No new calls from now on.
    pub fn drain(&mut self) {
        if let Some(node) = &mut self.node {
            let now = crate::node::both(self.now);
            node.switch.handle(now, switch::Input::Drain);
            self.switch_says();
        }
    }

    /// Nothing more is heard of whom a phone has called, or been called by.
    pub fn mute_phone(&mut self, phone: usize) {
        if let Some(port) = self.phones[phone - 1].port(false) {
            self.far_side_gone(port);
        }
    }

    /// A phone speaks G.722 from now on, and changes when it is asked to.
    pub fn speaks_wide(&mut self, phone: usize) {
        self.phones[phone - 1].wide = true;
    }

    /// What a phone that speaks G.722 was offered inside its calls.
    #[must_use]
    pub fn offered_again(&self, phone: usize) -> &[String] {
        &self.phones[phone - 1].offered_again
    }

    /// A caller turns out to be a text telephone.
    pub fn types(&mut self, caller: usize) {
        let port = self.callers[caller].port;
        if let Some(leg) = port.and_then(|port| self.audio.leg_at(port))
            && let Some(node) = &mut self.node
        {
            let event = media::engine::Event::TextTelephone { leg };
            node.switch
                .handle(crate::node::both(self.now), switch::Input::Media(event));
            self.switch_says();
        }
    }

    /// What a caller hears at this moment.
    #[must_use]
    pub fn hears(&self, caller: usize) -> Heard {
        let port = self.callers[caller].port;
        self.heard_at(port)
    }

    /// What the agent with this phone hears at the moment, by their first call or the second.
    #[must_use]
    pub fn agent_hears(&self, phone: usize, second: bool) -> Heard {
        self.heard_at(self.phones[phone - 1].port(second))
    }

    /// An agent presses keys during their first call, or the second.
    pub fn presses(&mut self, phone: usize, second: bool, keys: &str) {
        let port = self.phones[phone - 1].port(second);
        if let Some(leg) = port.and_then(|port| self.audio.leg_at(port)) {
            for key in keys.chars() {
                self.audio_does(|audio, now, does| audio.press(now, leg, key, does));
            }
        }
    }

    fn heard_at(&self, port: Option<u16>) -> Heard {
        let leg = port.and_then(|port| self.audio.leg(self.audio.leg_at(port)?));
        match leg.map(|leg| &leg.hears) {
            None | Some(Hears::Silence) => Heard::Nothing,
            Some(Hears::Prompt { .. }) => Heard::Prompt,
            Some(Hears::Loop(_)) => Heard::Music,
            Some(Hears::Mix(others)) => Heard::Others(others.len()),
            Some(Hears::Leg(other)) => match self.audio.leg(*other).map(|leg| leg.owner) {
                Some(Owner::Phone(phone)) => Heard::Phone(phone + 1),
                Some(Owner::Caller(_)) => Heard::Caller,
                _ => Heard::Nothing,
            },
        }
    }

    /// Nothing more is heard of a caller, whose telephone is there all the
    /// same: it suppresses silence.
    pub fn mute(&mut self, caller: usize) {
        if let Some(port) = self.callers[caller].port {
            self.far_side_gone(port);
        }
    }

    /// What the switch has counted since it started.
    #[must_use]
    pub fn switch_counters(&self) -> switch::Counters {
        let node = self.node.as_ref();
        node.map(|node| node.switch.counters()).unwrap_or_default()
    }

    /// A phone is without power from now on, and for so long.
    pub fn switch_off(&mut self, phone: usize, lasts: Duration) {
        self.phones[phone - 1].vanished_until = Some(self.now + lasts);
    }

    /// A phone refuses the call that rings there.
    pub fn refuses(&mut self, phone: usize, code: u16) {
        self.phones[phone - 1].refuses_now(self.now, code);
        self.phone_timers(phone - 1);
    }

    /// A phone forgets what it was to do with its next calls.
    pub fn unscript(&mut self, phone: usize) {
        self.phones[phone - 1].unscript();
    }

    /// Is this ticket on disk, for this caller's contact?
    #[must_use]
    pub fn ticket_is_durable(&self, caller: usize, digits: &str) -> bool {
        let hospital = crate::hospital::dialled(&self.callers[caller].plan.dials);
        let number = desk::TicketNumber::parse(digits).ok();
        match (hospital, number) {
            (Some((hospital, _)), Some(number)) => {
                let tenant = desk::TenantId(hospital.id());
                let contact = self.store.ticket(tenant, number);
                contact.is_some() && contact == self.oracle.contact_of(caller as u32)
            }
            _ => false,
        }
    }

    /// What the log says of a caller's contact.
    #[must_use]
    pub fn facts(&self, caller: usize) -> Option<desk::Facts> {
        let contact = self.oracle.contact_of(caller as u32)?;
        self.store
            .logs()
            .find_map(|(_, log)| log.contacts.get(&contact).copied())
    }

    /// Why a caller was taken back from the partner, as the log tells it.
    #[must_use]
    pub fn taken_back(&self, caller: usize) -> Vec<desk::TakenBack> {
        let contact = self.oracle.contact_of(caller as u32);
        let mut logs = self.store.logs();
        logs.find_map(|(_, log)| log.taken_back.get(&contact?).cloned())
            .unwrap_or_default()
    }

    /// Which agents handed a caller over, and why, as the log tells it.
    #[must_use]
    pub fn escalated(&self, caller: usize) -> Vec<(u32, Option<desk::Escalation>)> {
        let contact = self.oracle.contact_of(caller as u32);
        let mut logs = self.store.logs();
        let found = logs.find_map(|(_, log)| log.escalated.get(&contact?).cloned());
        let found = found.unwrap_or_default().into_iter();
        found.map(|(by, why)| (by.0, why)).collect()
    }

    /// Which agents had a third one in, and whom, as the log tells it.
    #[must_use]
    pub fn conferred(&self, caller: usize) -> Vec<(u32, Option<u32>)> {
        let contact = self.oracle.contact_of(caller as u32);
        let mut logs = self.store.logs();
        let found = logs.find_map(|(_, log)| log.conferred.get(&contact?).cloned());
        let found = found.unwrap_or_default().into_iter();
        found
            .map(|(by, with)| (by.0, with.map(|with| with.0)))
            .collect()
    }

    /// Where the switch has a caller.
    #[must_use]
    pub fn view(&self, caller: usize) -> Option<View> {
        self.contact_view(self.oracle.contact_of(caller as u32)?)
    }

    pub(crate) fn contact_view(&self, contact: ContactId) -> Option<View> {
        self.node.as_ref()?.switch.contact(contact)
    }

    pub(crate) fn callers(&self) -> &[Caller] {
        &self.callers
    }

    pub(crate) fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    pub(crate) fn audio(&self) -> &Audio {
        &self.audio
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    pub(crate) fn enter_check(&mut self, at: Duration, due: Due) {
        self.agenda.enter(at, due);
    }
}

//! What must always hold, checked as the world runs: the invariants of the
//! product by their numbers. Everything here is kept up to date event by
//! event; nothing is searched.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use acd::{Acd, AgentId, AgentState, Class, Notice, OfferId, OfferOutcome, ToAcd};
use desk::ContactId;
use media::engine::LegId as MediaLegId;
use switch::{EmergencyStep, Note, NoteWhat, View};

use crate::hospital::{Analyst, QUEUE_IDS};
use crate::sip_text::Sight;
use crate::world::{Due, World};

/// An answered caller who isn't asked for a key never hears nothing for longer.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// A prompt that has to be made first is heard, or replaced, after this.
const RENDER_MAX: Duration = Duration::from_millis(3_200);
/// A menu waits for a key no longer than this.
const MENU_MAX: Duration = Duration::from_secs(13);
/// A queue with somebody free and somebody waiting doesn't idle for longer.
const IDLE_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Oracle {
    /// The caller whose INVITE is being handed to the switch.
    pub(crate) inviting: Option<u32>,
    pub(crate) same_wake: u32,
    callers: Vec<Known>,
    by_contact: HashMap<ContactId, u32>,
    leases: Vec<Option<Duration>>,
    rings: BTreeMap<(usize, String), Ring>,
    /// Calls that phones have made, to colleagues or for help, and that are answered.
    asking: BTreeMap<(usize, String), Asked>,
    /// Legs whose phone has said goodbye, or was told it.
    pub(crate) parted: Vec<MediaLegId>,
    live_offers: HashMap<AgentId, OfferId>,
    /// Whom each live offer is for.
    offered: HashMap<OfferId, acd::ContactId>,
    states: HashMap<AgentId, AgentState>,
    talks: HashMap<acd::ContactId, (AgentId, OfferId)>,
    /// Who is said to wait: the latest stay, where, how urgently, since when.
    waiting: HashMap<acd::ContactId, (acd::Visit, acd::QueueId, Class, Duration)>,
    queues_of: Vec<Vec<(u32, u8)>>,
    idle_since: [Option<Duration>; QUEUE_IDS.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Colleague,
    Help,
    Over,
}

/// What is known of a caller.
#[derive(Debug, Default, Clone)]
struct Known {
    contact: Option<ContactId>,
    /// The switch has heard that they hung up.
    hung_up: bool,
    /// The node they were connected to crashed.
    orphan: bool,
    ended: bool,
}

/// A phone that is being called.
#[derive(Debug)]
struct Ring {
    caller: Option<u32>,
    leg: Option<MediaLegId>,
    provisional_at: Option<Duration>,
    /// Picked up, and neither side has said goodbye yet.
    talks: bool,
    /// Has sent the caller on.
    refers: bool,
}

impl Oracle {
    pub(crate) fn new(analysts: &[Analyst]) -> Self {
        Self {
            inviting: None,
            same_wake: 0,
            callers: Vec::new(),
            by_contact: HashMap::new(),
            leases: vec![None; analysts.len()],
            rings: BTreeMap::new(),
            asking: BTreeMap::new(),
            parted: Vec::new(),
            live_offers: HashMap::new(),
            offered: HashMap::new(),
            states: HashMap::new(),
            talks: HashMap::new(),
            waiting: HashMap::new(),
            queues_of: analysts.iter().map(|a| a.queues.clone()).collect(),
            idle_since: [None; QUEUE_IDS.len()],
        }
    }

    pub(crate) fn caller(&mut self) {
        self.callers.push(Known::default());
    }

    pub(crate) fn contact_of(&self, caller: u32) -> Option<ContactId> {
        self.callers[caller as usize].contact
    }

    pub(crate) fn orphan(&mut self, caller: usize) {
        self.callers[caller].orphan = true;
    }

    pub(crate) fn crash(&mut self) {
        self.leases.fill(None);
        self.rings.clear();
        self.asking.clear();
        self.live_offers.clear();
        self.offered.clear();
        self.states.clear();
        self.talks.clear();
        self.waiting.clear();
        self.idle_since = [None; QUEUE_IDS.len()];
    }

    /// The switch hears that a caller hung up. False when it knew.
    pub(crate) fn hangs_up(&mut self, caller: u32) -> bool {
        let known = &mut self.callers[caller as usize];
        !std::mem::replace(&mut known.hung_up, true)
    }

    pub(crate) fn note(&mut self, now: Duration, note: &Note) -> Result<(), String> {
        let _ = now;
        match note.what {
            NoteWhat::Arrived => {
                if let Some(caller) = self.inviting {
                    self.callers[caller as usize].contact = Some(note.contact);
                    self.callers[caller as usize].ended = false;
                    if self.by_contact.insert(note.contact, caller).is_some() {
                        return Err(format!("contact {} begins twice", note.contact.0));
                    }
                }
            }
            NoteWhat::Ended(_) => {
                if let Some(&caller) = self.by_contact.get(&note.contact) {
                    let known = &mut self.callers[caller as usize];
                    if known.contact == Some(note.contact)
                        && std::mem::replace(&mut known.ended, true)
                    {
                        return Err(format!("1: contact {} ends twice", note.contact.0));
                    }
                }
            }
            // Over, though a phone that never acknowledged our 200 can't be told yet (RFC 3261 section 15).
            NoteWhat::Emergency {
                ref account,
                step: EmergencyStep::Ended(_),
                ..
            } => {
                let number = account.strip_prefix("analyst");
                let phone = number.and_then(|n| n.parse::<usize>().ok());
                for ((of, _), asked) in &mut self.asking {
                    if Some(*of + 1) == phone && *asked == Asked::Help {
                        *asked = Asked::Over;
                    }
                }
            }
            _ => {
                if let Some(&caller) = self.by_contact.get(&note.contact)
                    && self.callers[caller as usize].ended
                    && self.callers[caller as usize].contact == Some(note.contact)
                    && !matches!(note.what, NoteWhat::OfferFailed(_))
                {
                    return Err(format!(
                        "1: contact {} after its end: {:?}",
                        note.contact.0, note.what
                    ));
                }
            }
        }
        Ok(())
    }

    // --- phones -----------------------------------------------------------

    /// Is this call under way already?
    pub(crate) fn is_calling(&self, call: &str) -> bool {
        self.rings.keys().any(|(_, known)| known == call)
    }

    /// An INVITE leaves for a phone. True when it isn't a repetition.
    pub(crate) fn invites(
        &mut self,
        now: Duration,
        phone: usize,
        caller: Option<u32>,
        leg: Option<MediaLegId>,
        sight: Sight<'_>,
    ) -> Result<bool, String> {
        let key = (phone, sight.header("Call-ID").unwrap_or("").to_owned());
        if self.rings.contains_key(&key) {
            return Ok(false);
        }
        // A second for what was decided just before the end of the lease. A partner's phone has none, and its
        // people answer as many calls as they like.
        match self.leases.get(phone) {
            None => {}
            Some(Some(until)) if now <= *until + Duration::from_secs(1) => {}
            Some(lease) => {
                return Err(format!(
                    "8, 14: phone {} is called though its lease is {lease:?}",
                    phone + 1
                ));
            }
        }
        let (from, to) = ((phone, String::new()), (phone + 1, String::new()));
        let mut asking = self.asking.range(from.clone()..to.clone());
        if asking.any(|(_, asked)| *asked != Asked::Over) {
            return Err(format!(
                "2: phone {} is called while it talks with a colleague",
                phone + 1
            ));
        }
        if phone < self.leases.len()
            && let Some((_, ring)) = self.rings.range(from..to).find(|(_, ring)| ring.talks)
        {
            return Err(format!(
                "2: phone {} is called while it talks with caller {:?}",
                phone + 1,
                ring.caller
            ));
        }
        if let Some(caller) = caller {
            // One that never gave a sign of life can't be cancelled (RFC 3261 section 9.1).
            let twice = self.rings.values().any(|ring| {
                ring.caller == Some(caller) && ring.provisional_at.is_some() && !ring.refers
            });
            if twice {
                return Err(format!(
                    "2: two phones are called at once for caller {caller}"
                ));
            }
        }
        self.rings.insert(
            key,
            Ring {
                caller,
                leg,
                provisional_at: None,
                talks: false,
                refers: false,
            },
        );
        Ok(true)
    }

    /// Another request leaves for a phone.
    pub(crate) fn request_to_phone(&mut self, phone: usize, sight: Sight<'_>) {
        if matches!(sight.method(), "CANCEL" | "BYE") {
            self.ring_over(phone, sight);
        }
    }

    /// A response leaves for a phone: a registration is granted, or a transfer.
    pub(crate) fn response_to_phone(&mut self, now: Duration, phone: usize, sight: Sight<'_>) {
        if sight.code() == Some(202) && sight.cseq_method() == "REFER" {
            // Phones differ in which of their two calls asks to be replaced.
            let (from, to) = ((phone, String::new()), (phone + 1, String::new()));
            for (_, ring) in self.rings.range_mut(from..to) {
                ring.refers = true;
            }
        }
        let key = (phone, sight.header("Call-ID").unwrap_or("").to_owned());
        if sight.code() == Some(200)
            && sight.cseq_method() == "INVITE"
            && !self.rings.contains_key(&key)
        {
            let help = sight.header("To").is_some_and(|to| to.contains("sip:911@"));
            let asked = if help { Asked::Help } else { Asked::Colleague };
            self.asking.entry(key).or_insert(asked);
        }
        if sight.code() != Some(200) || sight.cseq_method() != "REGISTER" {
            return;
        }
        let granted = sight
            .lines("Contact")
            .filter_map(|line| {
                let after = &line[line.to_ascii_lowercase().find("expires=")? + 8..];
                after.split([';', ' ', ',']).next()?.parse::<u64>().ok()
            })
            .max();
        // Without a contact: signed out, the lease ends now.
        if let Some(lease) = self.leases.get_mut(phone) {
            *lease = Some(now + Duration::from_secs(granted.unwrap_or(0)));
        }
    }

    /// Something of a phone reaches the switch.
    pub(crate) fn hears_phone(&mut self, now: Duration, phone: usize, sight: Sight<'_>) {
        match sight.code() {
            Some(code) if sight.cseq_method() == "INVITE" => {
                let key = (phone, sight.header("Call-ID").unwrap_or("").to_owned());
                if let Some(ring) = self.rings.get_mut(&key) {
                    ring.provisional_at.get_or_insert(now);
                    ring.talks |= (200..300).contains(&code);
                    if code >= 300 {
                        self.rings.remove(&key);
                    }
                }
            }
            None if sight.method() == "BYE" => self.ring_over(phone, sight),
            _ => {}
        }
    }

    /// A phone's connection is closed: it is signed out, and of a call that it hasn't answered at all nothing can be
    /// said any more.
    pub(crate) fn connection_closes(&mut self, now: Duration, phone: usize) {
        if let Some(lease) = self.leases.get_mut(phone) {
            *lease = Some(now);
        }
        self.rings
            .retain(|(of, _), ring| *of != phone || ring.provisional_at.is_some());
    }

    fn ring_over(&mut self, phone: usize, sight: Sight<'_>) {
        let key = (phone, sight.header("Call-ID").unwrap_or("").to_owned());
        self.asking.remove(&key);
        self.parted
            .extend(self.rings.remove(&key).and_then(|ring| ring.leg));
    }

    /// This leg's phone has this caller from now on.
    pub(crate) fn joined(&mut self, phone: usize, leg: MediaLegId, caller: u32) {
        let (from, to) = ((phone, String::new()), (phone + 1, String::new()));
        let mut rings = self.rings.range_mut(from..to).map(|(_, ring)| ring);
        if let Some(ring) = rings.find(|ring| ring.leg == Some(leg)) {
            ring.caller = Some(caller);
        }
    }

    // --- the distributor ---------------------------------------------------

    pub(crate) fn acd_hears(&mut self, message: &ToAcd) {
        if let ToAcd::Finish { offer } | ToAcd::Decline { offer, .. } = *message {
            self.talks.retain(|_, (_, by)| *by != offer);
        }
        if let ToAcd::Wait {
            contact,
            visit,
            queue,
            class,
            since,
            ..
        } = *message
        {
            // One of an earlier stay may come late.
            let stay = (visit, queue, class, since);
            let known = self.waiting.entry(contact).or_insert(stay);
            if known.0 < visit {
                self.talks.remove(&contact);
            }
            if known.0 <= visit {
                *known = stay;
            }
        }
    }

    pub(crate) fn notice(
        &mut self,
        now: Duration,
        notice: Notice,
        acd: &Acd,
    ) -> Result<(), String> {
        match notice {
            Notice::AgentState { agent, state } => {
                self.states.insert(agent, state);
                if state != AgentState::Talking {
                    self.talks.retain(|_, (with, _)| *with != agent);
                }
                Ok(())
            }
            Notice::WrappedUp { .. } => Ok(()),
            Notice::OfferCreated {
                offer,
                contact,
                agent,
                ..
            } => {
                if let Some(other) = self.live_offers.insert(agent, offer) {
                    return Err(format!(
                        "2: agent {} has offers {} and {}",
                        agent.0, other.0, offer.0
                    ));
                }
                self.offered.insert(offer, contact);
                self.fair(now, contact, agent, acd)
            }
            Notice::OfferEnded {
                offer,
                contact,
                agent,
                outcome,
                ..
            } => {
                self.offered.remove(&offer);
                if self.live_offers.get(&agent) == Some(&offer) {
                    self.live_offers.remove(&agent);
                }
                if outcome == OfferOutcome::Accepted
                    && let Some((other, _)) = self.talks.insert(contact, (agent, offer))
                    && other != agent
                {
                    return Err(format!(
                        "2: contact {} talks with agents {} and {}",
                        contact.0, other.0, agent.0
                    ));
                }
                Ok(())
            }
        }
    }

    /// 6: nobody who isn't overdue is served before a clinician who waits.
    fn fair(
        &self,
        now: Duration,
        contact: acd::ContactId,
        agent: AgentId,
        acd: &Acd,
    ) -> Result<(), String> {
        let Some(&(_, queue, class, since)) = self.waiting.get(&contact) else {
            return Ok(());
        };
        // A patient who was sent to the clinical desk comes after its own.
        let clinical = |queue, class| {
            class <= Class::Clinician || (queue == QUEUE_IDS[0] && class == Class::Staff)
        };
        if clinical(queue, class) {
            return Ok(());
        }
        let age = now.saturating_sub(since);
        let overdue = match class {
            Class::Patient => Duration::from_secs(300),
            _ => Duration::from_secs(180),
        };
        if age >= overdue {
            return Ok(());
        }
        let queues = &self.queues_of[agent.0 as usize - 1];
        let Some(&(_, rank)) = queues.iter().find(|(id, _)| *id == queue.0) else {
            return Err(format!("agent {} doesn't serve queue {}", agent.0, queue.0));
        };
        for &(other, other_rank) in queues {
            if other_rank > rank {
                continue;
            }
            // One whose offer ends at this very instant was still being offered when this was decided.
            let in_line = |id| !self.offered.values().any(|offered| *offered == id);
            let mut waiting = acd.waiting(acd::QueueId(other));
            if let Some(first) = waiting.find(|waiting| in_line(waiting.contact))
                && clinical(acd::QueueId(other), first.class)
            {
                return Err(format!(
                    "6: agent {} is offered {class:?} {} while clinician {} waits in queue {other}",
                    agent.0, contact.0, first.contact.0
                ));
            }
        }
        Ok(())
    }

    /// 4: nobody waits while somebody is free.
    pub(crate) fn no_idling(&mut self, now: Duration, acd: &Acd) -> Result<(), String> {
        for (queue, idle_since) in QUEUE_IDS.into_iter().zip(&mut self.idle_since) {
            let idle = acd
                .queue(queue)
                .is_some_and(|view| view.waiting > 0 && view.free > 0);
            if !idle {
                *idle_since = None;
                continue;
            }
            let since = *idle_since.get_or_insert(now);
            if now.saturating_sub(since) > IDLE_MAX {
                return Err(format!(
                    "4: queue {} idles since {since:?}: {:?}",
                    queue.0,
                    acd.queue(queue)
                ));
            }
        }
        Ok(())
    }
}

impl World {
    /// A caller's leg hears nothing from now on: is that so for too long?
    pub(crate) fn watch_silence(&mut self, caller: u32, leg: MediaLegId, since: Duration) {
        let at = self.now.max(since) + SILENCE_MAX;
        self.enter_check(at, Due::CheckSilence(caller, leg, since, false));
    }

    /// 1: never in silence. `idle`: a look before this one already found
    /// neither a sound nor a wait for a key.
    pub(crate) fn check_silence(
        &mut self,
        caller: u32,
        leg: MediaLegId,
        since: Duration,
        idle: bool,
    ) {
        let who = &self.callers()[caller as usize];
        let known = &self.oracle().callers[caller as usize];
        if !who.is_up() || known.orphan || known.hung_up || who.plan.never_acks {
            return;
        }
        let Some(answered_at) = who.answered_at else {
            return;
        };
        let Some(found) = self.audio().leg(leg) else {
            // Closed: they are being hung up on.
            return;
        };
        if found.silent_since != Some(since) {
            return;
        }
        let view = known.contact.and_then(|contact| self.contact_view(contact));
        // Whoever goes on pressing keys cuts each question short, and isn't left alone.
        let began = who.pressed_at.map_or(answered_at, |at| at.max(answered_at));
        let began = since.max(began);
        let silent_for = self.now.saturating_sub(began);
        let again = match view {
            None | Some(View::Ended) => return,
            Some(View::Flow { listening: true }) if silent_for < MENU_MAX => {
                Some((began + MENU_MAX, false))
            }
            // After a key a prompt may be under way: it has three seconds.
            Some(View::Flow { listening: false }) if !idle || silent_for < RENDER_MAX => {
                Some((self.now + RENDER_MAX, true))
            }
            Some(_) => None,
        };
        if let Some((at, idle)) = again {
            return self.enter_check(at, Due::CheckSilence(caller, leg, since, idle));
        }
        self.fail(format!(
            "1: caller {caller} hears nothing since {since:?} ({silent_for:?}), being in {view:?}"
        ));
    }

    /// 10: whoever's phone is gone is heard by nobody a second later, whatever
    /// crossed what.
    pub(crate) fn check_parted(&mut self, leg: MediaLegId) {
        // The next phone or gateway is called with the same leg.
        let mut rings = self.oracle().rings.values();
        if rings.any(|ring| ring.leg == Some(leg)) {
            return;
        }
        if let Some(owner) = self.audio().heard_by(leg) {
            self.fail(format!(
                "10: {owner:?} is left with {leg:?}, whose phone is gone"
            ));
        }
    }

    /// 3: whoever hung up rings nobody a second later.
    pub(crate) fn check_rings(&mut self, caller: u32, hung_up_at: Duration) {
        let late = self.oracle().rings.iter().find(|(_, ring)| {
            ring.caller == Some(caller) && ring.provisional_at.is_some_and(|at| at <= hung_up_at)
        });
        if let Some(((phone, _), _)) = late {
            let what = format!(
                "3: phone {} still rings for caller {caller}, who hung up at {hung_up_at:?}",
                phone + 1
            );
            self.fail(what);
        }
    }

    /// Nothing is left of anybody.
    pub(crate) fn check_drained(&mut self) {
        if let Some(what) = self.left_over() {
            self.fail(format!("left over at the end: {what}"));
        }
    }

    fn left_over(&self) -> Option<String> {
        let node = self.node()?;
        if node.switch.calls() > 0 {
            return Some(format!("{} calls", node.switch.calls()));
        }
        let contacts: Vec<_> = node.switch.contacts().collect();
        if !contacts.is_empty() {
            return Some(format!("contacts {contacts:?}"));
        }
        if node.switch.kept() != (0, 0, 0) {
            return Some(format!(
                "SIP legs, transactions, index entries {:?}",
                node.switch.kept()
            ));
        }
        if self.audio().open_legs() > 0 {
            return Some(format!("{} media legs", self.audio().open_legs()));
        }
        if let Some((trunk, calls, _)) = node.switch.trunks().find(|(_, calls, _)| *calls > 0) {
            return Some(format!("{calls} calls on trunk {trunk}"));
        }
        for queue in QUEUE_IDS {
            if let Some(view) = node.acd.queue(queue)
                && view.waiting > 0
            {
                return Some(format!("queue {view:?}"));
            }
        }
        for agent in node.acd.agents() {
            if agent.offer.is_some() || agent.state == AgentState::Talking {
                return Some(format!("agent {agent:?}"));
            }
        }
        if self.store().writing() > 0 {
            return Some(format!("{} writes", self.store().writing()));
        }
        let load = node.desk.load();
        if load.commits_in_flight > 0 || load.events_waiting > 0 {
            return Some(format!("desk {load:?}"));
        }
        if load.events_lost == 0 && self.store().gaps == 0 {
            for (tenant, log) in self.store().logs() {
                for (contact, facts) in &log.contacts {
                    if !facts.position.is_ended() {
                        return Some(format!(
                            "contact {} of tenant {} in the log: {facts:?}",
                            contact.0, tenant.0
                        ));
                    }
                    if facts.started_at.is_none() {
                        return Some(format!("contact {} never started: {facts:?}", contact.0));
                    }
                    let visits = &facts.visits;
                    if visits.ended() != visits.queued {
                        return Some(format!("5: contact {}: {visits:?}", contact.0));
                    }
                }
            }
        }
        None
    }
}

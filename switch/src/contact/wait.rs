//! Waiting in a queue, and the calls to agents' phones that are made for it.

use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, Class, FromAcd, OfferId, Refusal, ToAcd, Visit};
use desk::{Caller, Journey};
use ivr_flows::Input as FlowInput;
use media::engine::Command as MediaCommand;
use media::sdp::{self, Capabilities, LocalMedia};
use media::srtp::Secret;

use super::arrive::{Opened, capabilities};
use super::{
    ACCEPT_EVERY, ACCEPT_MAX, Audio, Contact, Cx, MEDIA_OPEN_MAX, Offer, Owing, PROVISIONAL_MAX,
    Progress, Side, Sound, Stage, Stay, TALKING_EVERY, TRYING_MAX, WAIT_EVERY,
};
use crate::input::{MediaKey, NoteSide, NoteWhat};
use crate::phones::Target;
use crate::setup::EncryptionUnavailable;

/// Reason header towards a phone whose offer is no longer wanted.
const GONE: &str = "SIP;cause=487;text=\"No longer needed\"";

impl Contact {
    /// The contact begins to wait. False when there is no such queue.
    pub(super) fn enter_queue(
        &mut self,
        name: &Arc<str>,
        class: ivr_flows::Class,
        music: bool,
        cx: &mut Cx<'_>,
    ) -> bool {
        let class = match class {
            _ if self.clinical => Class::Clinician,
            ivr_flows::Class::Clinician => Class::Clinician,
            ivr_flows::Class::Staff => Class::Staff,
            ivr_flows::Class::Patient => Class::Patient,
        };
        self.queue_up(name, class, music, cx)
    }

    /// The same, the class decided.
    pub(super) fn queue_up(
        &mut self,
        name: &Arc<str>,
        class: Class,
        music: bool,
        cx: &mut Cx<'_>,
    ) -> bool {
        let Some(queue) = cx.setup.queues.get(&(self.tenant, Arc::clone(name))) else {
            return false;
        };
        let queue = queue.id;
        if matches!(self.stage, Stage::Queue(_) | Stage::Offer(..)) {
            self.leave_queue(Some(Journey::FlowOut), cx);
        }
        self.came = Some((Arc::clone(name), class));
        self.visits += 1;
        let since = *self.waiting_since.get_or_insert(cx.now.mono);
        let stay = Stay {
            visit: Visit(self.visits),
            queue,
            name: Arc::clone(name),
            class,
            since,
            music,
            sent_on: false,
            announce_at: cx.now.mono + WAIT_EVERY,
        };
        self.announce_wait(&stay, cx);
        self.journey(
            cx,
            Journey::Queued {
                queue: desk::QueueId(queue.0),
            },
        );
        self.note(cx, NoteWhat::Queued(Arc::clone(name)));
        self.stage = Stage::Queue(stay);
        if self.sound == Sound::Nothing {
            self.rest_sound(cx);
        }
        true
    }

    fn announce_wait(&self, stay: &Stay, cx: &mut Cx<'_>) {
        cx.acd(ToAcd::Wait {
            contact: acd::ContactId(self.id.0),
            visit: stay.visit,
            tenant: acd::TenantId(self.tenant.0),
            queue: stay.queue,
            class: stay.class,
            since: stay.since,
        });
    }

    /// The contact waits no longer and goes back to the flow. `how` is left out
    /// where the end of the whole contact tells it.
    pub(super) fn leave_queue(&mut self, how: Option<Journey>, cx: &mut Cx<'_>) {
        let (visit, offer) = match std::mem::replace(&mut self.stage, Stage::Flow) {
            Stage::Queue(stay) => (stay.visit, None),
            Stage::Offer(stay, offer) => (stay.visit, Some(offer)),
            other => {
                self.stage = other;
                return;
            }
        };
        if let Some(offer) = offer {
            self.withdraw(*offer, Refusal::ContactGone, Some(GONE), cx);
        }
        self.owe(cx, Owing::Leave(visit));
        if let Some(how) = how {
            self.journey(cx, how);
        }
        match self.sound {
            Sound::Music => self.rest_sound(cx),
            // The prompt under way replaces the music when it is ready; until
            // then the music may go on, but it doesn't come back after it.
            Sound::Rendering { .. } | Sound::Prompt { .. } | Sound::Nothing | Sound::Bridged => {}
        }
    }

    /// The distributor says something about this contact.
    pub(crate) fn acd_says(&mut self, message: FromAcd, cx: &mut Cx<'_>) {
        match message {
            FromAcd::Standing {
                visit,
                position,
                signed_in,
                ..
            } => {
                let (here, sent_on) = match &self.stage {
                    Stage::Queue(stay) => (stay.visit == visit, stay.sent_on),
                    _ => (false, false),
                };
                if here && sent_on {
                    if signed_in == 0 {
                        self.leave_queue(Some(Journey::FlowOut), cx);
                        self.back_to_flow(cx);
                    }
                } else if here {
                    self.session.handle(
                        cx.now.mono,
                        FlowInput::QueuePosition {
                            position,
                            signed_in: signed_in > 0,
                        },
                    );
                    self.carry_out(cx);
                }
            }
            FromAcd::Left { visit, .. } => {
                self.settle(|owing| matches!(owing, Owing::Leave(v) if v <= visit));
            }
            FromAcd::Offer {
                offer,
                visit,
                agent,
                until,
                ..
            } => self.offered(offer, visit, agent, until, cx),
            FromAcd::Rescind { offer, .. } => self.rescinded(offer, cx),
            FromAcd::Confirm { offer, .. } => self.offer_confirmed(offer, cx),
            FromAcd::Refuse { offer } => {
                if self.is_offered(offer) {
                    self.give_up_offer(Refusal::Rescinded, Some(GONE), cx);
                }
            }
            FromAcd::Finished { offer } => {
                self.settle(|owing| match owing {
                    Owing::Finish(over) | Owing::Decline(over, _) => over == offer,
                    Owing::Leave(_) => false,
                });
                if !self.is_talking(offer) && !self.is_offered(offer) {
                    cx.index.offers.remove(&offer);
                }
            }
        }
    }

    fn is_offered(&self, id: OfferId) -> bool {
        matches!(&self.stage, Stage::Offer(_, offer) if offer.id == id)
    }

    /// An agent is reserved for this contact.
    fn offered(
        &mut self,
        id: OfferId,
        visit: Visit,
        agent: AgentId,
        until: Duration,
        cx: &mut Cx<'_>,
    ) {
        let given_up = self.owed.iter().find_map(|owed| match owed.what {
            Owing::Decline(over, why) if over == id => Some(why),
            _ => None,
        });
        if let Some(why) = given_up {
            return cx.acd(ToAcd::Decline { offer: id, why });
        }
        match &self.stage {
            Stage::Queue(stay) if stay.visit == visit => {}
            Stage::Offer(_, offer) if offer.id == id => {
                return match offer.progress {
                    Progress::Accepting { .. } => cx.acd(ToAcd::Accept { offer: id }),
                    _ => cx.acd(ToAcd::Ringing { offer: id }),
                };
            }
            // A later offer of the same stay: the distributor has forgotten
            // the earlier one. Unless somebody has answered it already.
            Stage::Offer(stay, offer)
                if stay.visit == visit && !matches!(offer.progress, Progress::Accepting { .. }) =>
            {
                self.give_up_offer(Refusal::NoAnswer, Some(GONE), cx);
            }
            Stage::Conversation(_) if self.is_talking(id) => {
                return cx.acd(ToAcd::Accept { offer: id });
            }
            _ => {
                return cx.acd(ToAcd::Decline {
                    offer: id,
                    why: Refusal::ContactGone,
                });
            }
        }
        let Stage::Queue(stay) = &self.stage else {
            return;
        };
        if cx.index.direct.contains_key(&agent) {
            // A colleague is calling them. The distributor is about to hear of
            // it, and takes the offer back.
            return;
        }
        if cx.now.mono >= until {
            // The message was late: nobody's phone rings for nothing.
            cx.index.offers.insert(id, self.id);
            return self.owe(cx, Owing::Decline(id, Refusal::NoAnswer));
        }
        let untried = cx.phones.targets(agent);
        let Some(target) = untried.last() else {
            cx.index.offers.insert(id, self.id);
            return self.owe(cx, Owing::Decline(id, Refusal::Unreachable));
        };
        let stay = stay.clone();
        let with = self.audio.leg();
        let peer = target.peer;
        let key = self.wish(cx, Side::Agent, with, peer);
        cx.index.offers.insert(id, self.id);
        cx.acd(ToAcd::Ringing { offer: id });
        self.stage = Stage::Offer(
            stay,
            Box::new(Offer {
                id,
                agent,
                until,
                peer,
                audio: Audio::Opening(key),
                progress: Progress::Opening { since: cx.now.mono },
                untried,
                direct: None,
                secret: None,
            }),
        );
        self.journey(
            cx,
            Journey::Offered {
                agent: desk::AgentId(agent.0),
            },
        );
        self.note(cx, NoteWhat::Offered(id));
    }

    /// The media leg for the agent's side is open, or there is none.
    pub(super) fn agent_media(&mut self, key: MediaKey, opened: Option<Opened>, cx: &mut Cx<'_>) {
        let wanted = matches!(&self.stage, Stage::Offer(_, offer)
            if matches!(offer.audio, Audio::Opening(k) if k == key));
        match opened {
            Some(Opened { leg, .. }) if !wanted => cx.media(MediaCommand::Close { leg }),
            Some(Opened { leg, port, secret }) => {
                cx.index.media.insert(leg, (self.id, Side::Agent));
                let session = self.id.0 ^ (1 << 52);
                if let Stage::Offer(_, offer) = &mut self.stage {
                    offer.secret = Some(secret);
                    offer.audio = Audio::Open {
                        leg,
                        local: LocalMedia::new(cx.setup.media.bind.ip(), port, session),
                        caps: Capabilities::default(),
                        negotiated: None,
                        offered: None,
                    };
                }
                self.call_next_phone(cx);
            }
            // Our shortage, not the agent's phone: they rest no longer than needed to keep this from
            // being tried over and over.
            None if wanted => self.give_up_offer(Refusal::Declined, None, cx),
            None => {}
        }
    }

    /// Calls the best registered contact of the agent that wasn't tried yet.
    fn call_next_phone(&mut self, cx: &mut Cx<'_>) {
        let ticket = self.ticket().map(str::to_owned);
        let referred_by = self.referred_by.clone();
        let carried = self.carried.clone();
        let from = self.shown_to_agent(cx);
        let (contact, hops_left) = (self.id, self.hops_left);
        let spoken = self.audio.codec();
        let Stage::Offer(stay, offer) = &mut self.stage else {
            return;
        };
        let own = cx.phones.encryption_of(offer.agent, cx.setup);
        let mut refused = false;
        let (target, encryption) = loop {
            let Some(target) = offer.untried.pop() else {
                if refused {
                    self.note(cx, NoteWhat::NotEncrypted(NoteSide::Agent));
                }
                return self.give_up_offer(Refusal::Unreachable, None, cx);
            };
            match cx.setup.encryption.towards(target.peer, own) {
                Ok(encryption) => break (target, encryption),
                // Not called rather than called in the clear.
                Err(EncryptionUnavailable) => refused = true,
            }
        };
        let Target {
            uri,
            peer,
            route,
            pinned,
        } = target;
        let Audio::Open {
            local,
            caps,
            offered,
            ..
        } = &mut offer.audio
        else {
            return;
        };
        // Each phone has keys of its own: one that refuses has seen what it was offered.
        let Some(secret) = offer.secret.as_mut().map(Secret::draw) else {
            return;
        };
        *caps = capabilities(encryption, secret);
        // What the caller speaks comes first: then nothing is transcoded, which text telephones (TTY) need.
        caps.codecs.sort_by_key(|codec| Some(*codec) != spoken);
        local.address = cx.setup.media.address_towards(peer.addr.ip());
        offer.peer = peer;
        let body = sdp::offer(local, caps);
        *offered = Some(body.clone());
        let mut invite = sip::Invite::new(uri, peer, from, Some(body));
        invite.pinned = pinned;
        invite.route = route;
        invite.max_forwards = hops_left.map(|left| left.saturating_sub(1));
        if !stay.name.is_empty() {
            invite
                .headers
                .push(("X-Careline-Queue".into(), stay.name.to_string()));
        }
        invite.headers.extend(carried);
        if let Some(by) = referred_by {
            invite.headers.push(("Referred-By".into(), by));
        }
        if let Some(ticket) = ticket {
            invite
                .headers
                .push(("User-to-User".into(), user_to_user(&ticket)));
            invite.headers.push(("X-Careline-Ticket".into(), ticket));
        }
        let leg = cx.sip.invite(cx.now.mono, invite);
        cx.index.legs.insert(leg, (contact, Side::Agent));
        offer.progress = Progress::Calling {
            leg,
            until: cx.now.mono + PROVISIONAL_MAX,
        };
    }

    /// Whom the agent's display shows. Level 0: a clinician's or staff
    /// member's name is marked unproven, a patient's isn't shown at all.
    fn shown_to_agent(&self, cx: &Cx<'_>) -> sip::Identity {
        let hospital = cx
            .setup
            .tenants
            .get(&self.tenant)
            .map_or("", |tenant| &tenant.name);
        let who = match &self.caller {
            Caller::Unknown => "Unknown caller".to_owned(),
            Caller::Person { display_name, .. } => format!("{display_name} (unproven)"),
            Caller::Place { name, .. } => name.clone(),
            Caller::PossiblePatient { .. } => "Patient, possible match".to_owned(),
        };
        sip::Identity {
            display: Some(format!("{who} - {hospital}")),
            user: self
                .ani
                .as_ref()
                .map_or_else(|| "anonymous".to_owned(), |ani| ani.0.clone()),
            host: None,
        }
    }

    /// Something on the way to the agent's phone is at work.
    pub(crate) fn agent_is_tried(&mut self, cx: &Cx<'_>) {
        self.partner_is_tried(cx);
        if let Stage::Offer(_, offer) = &mut self.stage
            && let Progress::Calling { until, .. } = &mut offer.progress
        {
            *until = (*until).max(cx.now.mono + TRYING_MAX);
        }
    }

    /// The agent's phone rings.
    pub(crate) fn agent_rings(&mut self, cx: &mut Cx<'_>) {
        self.partner_rings(cx);
        if let Stage::Offer(_, offer) = &mut self.stage
            && let Progress::Calling { leg, .. } = offer.progress
        {
            offer.progress = Progress::Ringing { leg };
        }
    }

    /// The agent answered: asked is now the distributor.
    pub(crate) fn agent_answered(&mut self, sdp: Option<&[u8]>, cx: &mut Cx<'_>) {
        if matches!(self.stage, Stage::Outside(_)) {
            return self.partner_answered(sdp, cx);
        }
        let Stage::Offer(_, offer) = &mut self.stage else {
            return;
        };
        let Some(leg) = offer.progress.leg() else {
            return;
        };
        let id = offer.id;
        if let Some(answer) = sdp {
            self.take_answer(Side::Agent, answer, cx);
        }
        let usable = matches!(
            self.audio_of(Side::Agent),
            Some(Audio::Open {
                negotiated: Some(_),
                ..
            })
        );
        if !usable {
            return self.give_up_offer(
                Refusal::Unreachable,
                Some("SIP;cause=488;text=\"No common audio\""),
                cx,
            );
        }
        if let Stage::Offer(_, offer) = &mut self.stage {
            offer.progress = Progress::Accepting {
                leg,
                since: cx.now.mono,
                repeat_at: cx.now.mono + ACCEPT_EVERY,
            };
        }
        match &self.stage {
            // Nobody else has a say in it.
            Stage::Offer(_, offer) if offer.direct.is_some() => self.offer_confirmed(id, cx),
            _ => cx.acd(ToAcd::Accept { offer: id }),
        }
    }

    /// The agent's phone refused, or its leg ended before the two talked.
    pub(super) fn phone_failed(&mut self, why: Refusal, cx: &mut Cx<'_>) {
        let Stage::Offer(_, offer) = &mut self.stage else {
            return;
        };
        if let Some(leg) = offer.progress.leg() {
            cx.index.legs.remove(&leg);
        }
        let try_next = why == Refusal::Unreachable && !offer.untried.is_empty();
        if try_next {
            offer.progress = Progress::Opening { since: cx.now.mono };
            self.call_next_phone(cx);
        } else {
            self.give_up_offer(why, None, cx);
        }
    }

    fn rescinded(&mut self, id: OfferId, cx: &mut Cx<'_>) {
        match &self.stage {
            Stage::Offer(_, offer) if offer.id == id => {
                self.give_up_offer(Refusal::Rescinded, Some(GONE), cx);
            }
            // The two talk: the distributor is told so again.
            Stage::Conversation(_) if self.is_talking(id) => self.announce_talk(cx),
            _ => cx.acd(ToAcd::Decline {
                offer: id,
                why: Refusal::Rescinded,
            }),
        }
    }

    /// The offer comes to nothing; the contact keeps its place.
    pub(super) fn give_up_offer(&mut self, why: Refusal, reason: Option<&str>, cx: &mut Cx<'_>) {
        let Stage::Offer(stay, offer) = std::mem::replace(&mut self.stage, Stage::Flow) else {
            return;
        };
        let direct = offer.direct.is_some();
        if !direct {
            self.stage = Stage::Queue(stay);
        }
        self.withdraw(*offer, why, reason, cx);
        self.note(cx, NoteWhat::OfferFailed(why));
        if direct {
            self.direct_failed(cx);
        }
    }

    /// Stops calling the phone and tells the distributor.
    pub(super) fn withdraw(
        &mut self,
        offer: Offer,
        why: Refusal,
        reason: Option<&str>,
        cx: &mut Cx<'_>,
    ) {
        if let Some(leg) = offer.progress.leg()
            && cx.index.legs.remove(&leg).is_some()
        {
            cx.sip.hangup(cx.now.mono, leg, reason);
        }
        self.close_audio(offer.audio, cx);
        let Some(direct) = offer.direct else {
            return self.owe(cx, Owing::Decline(offer.id, why));
        };
        cx.index.direct_over(offer.id);
        self.owe(cx, Owing::Finish(offer.id));
        let code = match why {
            Refusal::Declined => 486,
            Refusal::ContactGone | Refusal::Rescinded => 487,
            Refusal::NoAnswer | Refusal::Unreachable => 480,
        };
        self.tell_transferor(direct.told, code, cx);
    }

    pub(super) fn close_audio(&self, audio: Audio, cx: &mut Cx<'_>) {
        match audio {
            Audio::None => {}
            Audio::Opening(key) => {
                // The leg may come yet; it is closed when it does.
                cx.index.wishes.remove(&key);
            }
            Audio::Open { leg, .. } => {
                cx.index.media.remove(&leg);
                cx.media(MediaCommand::Close { leg });
            }
        }
    }

    pub(super) fn wait_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if let Stage::Offer(stay, offer) = &mut self.stage
            && offer.direct.is_some()
        {
            if now >= stay.announce_at {
                stay.announce_at = now + TALKING_EVERY;
                self.announce_direct(cx);
            }
        } else if let Stage::Queue(stay) | Stage::Offer(stay, _) = &mut self.stage
            && now >= stay.announce_at
        {
            stay.announce_at = now + WAIT_EVERY;
            let stay = stay.clone();
            self.announce_wait(&stay, cx);
        }
        let Stage::Offer(_, offer) = &mut self.stage else {
            return;
        };
        let id = offer.id;
        match &mut offer.progress {
            Progress::Accepting {
                since, repeat_at, ..
            } => {
                if now >= *since + ACCEPT_MAX {
                    self.give_up_offer(Refusal::Unreachable, Some(GONE), cx);
                } else if now >= *repeat_at {
                    *repeat_at = now + ACCEPT_EVERY;
                    cx.acd(ToAcd::Accept { offer: id });
                }
            }
            _ if now >= offer.until => {
                self.give_up_offer(Refusal::NoAnswer, Some(GONE), cx);
            }
            Progress::Opening { since } if now >= *since + MEDIA_OPEN_MAX => {
                self.give_up_offer(Refusal::Unreachable, None, cx);
            }
            Progress::Calling { leg, until } if now >= *until => {
                let leg = *leg;
                cx.index.legs.remove(&leg);
                cx.sip.hangup(now, leg, None);
                self.phone_failed(Refusal::Unreachable, cx);
            }
            _ => {}
        }
    }
}

/// A ticket's number as User-to-User carries it: hex of its digits, and
/// nothing else (RFC 7433).
pub(super) fn user_to_user(ticket: &str) -> String {
    let hex: String = ticket.bytes().map(|b| format!("{b:02x}")).collect();
    format!("{hex};encoding=hex")
}

/// What a phone's final answer says about the agent.
pub(super) fn refusal_of(code: u16) -> Refusal {
    match code {
        486 | 600 | 603 => Refusal::Declined,
        487 => Refusal::NoAnswer,
        _ => Refusal::Unreachable,
    }
}

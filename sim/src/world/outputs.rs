//! What the machines want done is done.

use std::sync::Arc;
use std::time::Duration;

use media::engine::LegId as MediaLegId;
use switch::{Note, NoteWhat, Output};

use super::deliver;
use super::{Due, NodeDue, World, trace};
use crate::audio::{Audio, AudioDoes, Owner};
use crate::caller::caller_of;
use crate::hospital::{Hospital, MAIN_NUMBER};
use crate::node::wall;
use crate::sip_text::Sight;
use crate::voice::Words;

impl World {
    /// Takes everything the switch has to say.
    pub(super) fn switch_says(&mut self) {
        loop {
            let Some(node) = &mut self.node else { return };
            let Some(output) = node.switch.poll() else {
                node.switch_wake = node.switch.poll_timeout();
                return;
            };
            match output {
                Output::Transmit(transmit) => self.transmit(transmit.peer, transmit.bytes),
                Output::OpenMedia { key, with, .. } => {
                    let refused = self.dice.chance(self.weather.media_refused);
                    let delay = self.dice.between(Duration::ZERO, Duration::from_millis(3));
                    self.enter_node(self.now + delay, NodeDue::OpenMedia(key, with, refused));
                }
                Output::Media(command) => {
                    trace!(self, "media <- {}", brief(&command));
                    self.audio_does(|audio, now, does| audio.command(now, command, does));
                }
                Output::Render { id, tenant, pieces } => {
                    trace!(self, "speech <- {id:?} {pieces:?}");
                    let _ = tenant;
                    if self.dice.chance(self.weather.render_fails) {
                        let delay = self.dice.millis(0, 1_200);
                        self.enter_node(self.now + delay, NodeDue::RenderFailed(id));
                    } else {
                        let delay = if self.dice.chance(self.weather.render_fresh) {
                            self.dice.millis(50, 1_200)
                        } else {
                            Duration::ZERO
                        };
                        let clips = self.voice.clips(&pieces, &mut self.audio);
                        self.enter_node(self.now + delay, NodeDue::Rendered(id, clips));
                    }
                }
                Output::Query(query) => self.asks_action(query),
                Output::Forget(id) => self.forgets_action(id),
                Output::Check(check) => self.asks_to_compare(check),
                Output::SendCode(_) => {}
                Output::ToAcd(message) => self.wire(|| NodeDue::ToAcd(message.clone())),
                Output::ToDesk(command) => self.wire(|| NodeDue::ToDesk(command.clone())),
                Output::SignInRefused { .. }
                | Output::TrunkRegistered { .. }
                | Output::Known { .. } => {}
                Output::Note(note) => self.note(note),
            }
        }
    }

    pub(super) fn acd_says(&mut self) {
        loop {
            let Some(node) = &mut self.node else { return };
            let Some(output) = node.acd.poll() else {
                node.acd_wake = node.acd.poll_timeout();
                break;
            };
            match output {
                acd::Output::To(message) => self.wire(|| NodeDue::FromAcd(message.clone())),
                acd::Output::Notice(notice) => {
                    trace!(self, "acd: {notice:?}");
                    if let Some(node) = &self.node
                        && let Err(what) = self.oracle.notice(self.now, notice, &node.acd)
                    {
                        self.fail(what);
                    }
                    self.tell_desk_notice(notice);
                }
            }
        }
        if let Some(node) = &self.node
            && let Err(what) = self.oracle.no_idling(self.now, &node.acd)
        {
            self.fail(what);
        }
    }

    pub(super) fn desk_says(&mut self) {
        loop {
            let Some(node) = &mut self.node else { return };
            let Some(output) = node.desk.poll() else {
                node.desk_wake = node.desk.poll_timeout();
                return;
            };
            match output {
                desk::Output::Commit(commit) => {
                    trace!(self, "store <- {:?} {:?}", commit.id, commit.events);
                    let (at, id, ok) = self.store.write(self.now, commit);
                    self.enter_node(at, NodeDue::Written(id, ok));
                }
                desk::Output::Answer(answer) => self.wire(|| NodeDue::FromDesk(answer.clone())),
                desk::Output::Ticket(answer) => self.ticket_answered(answer),
                desk::Output::Callback(callback) => {
                    self.wire(|| NodeDue::Callback(callback.clone()));
                }
                desk::Output::CallbackOff { attempt, contact } => {
                    self.wire(|| NodeDue::CallbackOff(attempt, contact));
                }
                desk::Output::PromiseUpdated { .. } | desk::Output::Prepare { .. } => {}
                desk::Output::Incident(answer) => self.incident_answered(answer),
            }
        }
    }

    /// A datagram leaves the switch.
    fn transmit(&mut self, peer: sip::Peer, bytes: Arc<[u8]>) {
        trace!(self, "switch -> {} : {}", peer.addr, deliver::brief(&bytes));
        if peer == self.trunk {
            if bytes.starts_with(b"INVITE ") {
                return self.fail("14: an INVITE leaves for the trunk".to_owned());
            }
            self.claim_caller_leg(&bytes);
            return self.network(|| Due::ToTrunk(bytes.clone()));
        }
        let Some(phone) = crate::phone::index_of(peer.addr).filter(|&n| n < self.phones.len())
        else {
            return self.fail(format!("14: a datagram leaves for {}", peer.addr));
        };
        let Some(sight) = Sight::of(&bytes) else {
            return self.fail("a datagram that isn't text leaves".to_owned());
        };
        if sight.code().is_none() {
            if sight.method() == "INVITE" {
                if phone >= self.analysts.len() {
                    self.check_callback(sight);
                }
                self.invites(phone, sight);
            } else {
                self.oracle.request_to_phone(phone, sight);
                self.watch_parted();
            }
        } else {
            self.claim_asking_leg(phone, sight);
            if sight.code() == Some(202) {
                self.figures.transfers += 1;
            }
            self.oracle.response_to_phone(self.now, phone, sight);
        }
        self.along(phone, || Due::ToPhone(phone, bytes.clone()));
    }

    /// The 200 to a caller tells whose leg the port is.
    fn claim_caller_leg(&mut self, bytes: &[u8]) {
        if !bytes.starts_with(b"SIP/2.0 200") {
            return;
        }
        let Some(sight) = Sight::of(bytes) else {
            return;
        };
        if sight.cseq_method() != "INVITE" {
            return;
        }
        if let (Some(caller), Some(port)) = (caller_of(bytes), sight.audio_port())
            && let Some(leg) = self.audio.leg_at(port)
        {
            self.audio.owned(leg, Owner::Caller(caller));
        }
    }

    /// The 200, or 183, to a phone that calls somebody tells the same.
    fn claim_asking_leg(&mut self, phone: usize, sight: Sight<'_>) {
        if sight.code().is_some_and(|code| code < 300)
            && sight.cseq_method() == "INVITE"
            && let Some(leg) = sight.audio_port().and_then(|port| self.audio.leg_at(port))
        {
            self.audio.owned(leg, Owner::Phone(phone));
        }
    }

    /// A phone is called: may it be, for whom, and with which ticket?
    fn invites(&mut self, phone: usize, sight: Sight<'_>) {
        let leg = sight.audio_port().and_then(|port| self.audio.leg_at(port));
        let caller = leg
            .and_then(|leg| self.audio.leg(leg)?.with)
            .and_then(|with| match self.audio.leg(with)?.owner {
                Owner::Caller(caller) => Some(caller),
                _ => None,
            });
        if let Some(leg) = leg {
            self.audio.owned(leg, Owner::Phone(phone));
        }
        match self.oracle.invites(self.now, phone, caller, leg, sight) {
            Err(what) => return self.fail(what),
            Ok(first) => {
                if !first {
                    return;
                }
            }
        }
        let Some(caller) = caller else {
            // The caller's leg is closed already: the INVITE will be cancelled.
            return;
        };
        if let Some((hospital, _)) =
            crate::hospital::dialled(&self.callers[caller as usize].plan.dials)
        {
            let serves = match self.analysts.get(phone) {
                Some(analyst) => {
                    let mut queues = analyst.queues.iter();
                    queues.any(|&(queue, _)| crate::hospital::queue_serves(queue, hospital))
                }
                // The partner takes the calls of both.
                None => true,
            };
            if !serves {
                return self.fail(format!(
                    "12: phone {} rings for a caller of {hospital:?}",
                    phone + 1
                ));
            }
            if let Some(ticket) = sight.header("X-Careline-Ticket") {
                self.check_ticket(caller, hospital, ticket, "sent to an agent");
            }
        }
        self.caller(caller, |who, now, does| who.rings(now, does));
    }

    fn check_ticket(&mut self, caller: u32, hospital: Hospital, digits: &str, how: &str) {
        let tenant = desk::TenantId(hospital.id());
        let number = desk::TicketNumber::parse(digits).ok();
        let contact = self.oracle.contact_of(caller);
        let from = self.callers[caller as usize].plan.from.as_deref();
        let theirs = number
            .zip(contact)
            .is_some_and(|(number, contact)| self.store.may_hear(tenant, number, contact, from));
        if !theirs {
            let durable = number.and_then(|number| self.store.ticket(tenant, number));
            self.fail(format!(
                "13: ticket {digits} is {how} for caller {caller} ({contact:?}), on disk it is {durable:?}'s"
            ));
        }
    }

    /// 13: whoever is told of a promise has one on disk.
    fn check_promise(&mut self, caller: u32, hospital: Hospital) {
        self.figures.promises_told += 1;
        let tenant = desk::TenantId(hospital.id());
        let contact = self.oracle.contact_of(caller);
        if !contact.is_some_and(|contact| self.store.is_promised(tenant, contact)) {
            self.fail(format!(
                "13: caller {caller} ({contact:?}) is told of a promise that isn't on disk"
            ));
        }
    }

    /// 7, 14: a customer is called for one attempt, which is on disk, and nobody else's is under way at that number.
    fn check_callback(&mut self, sight: Sight<'_>) {
        let from = sight.header("From").unwrap_or("");
        let call = sight.header("Call-ID").unwrap_or("");
        if !from.contains(MAIN_NUMBER) || self.oracle.is_calling(call) {
            return;
        }
        let to = sight.header("To").unwrap_or("");
        let number = to.split(['<', '>', ':', '@']).find(|part| {
            let digits = part.strip_prefix('+').unwrap_or(part);
            digits.len() > 6 && digits.bytes().all(|b| b.is_ascii_digit())
        });
        // A telephone without a number of its own calls for help by the same one.
        let Some(number) = number else { return };
        self.figures.called_back += 1;
        let attempts = self.store.attempts_at(number);
        if attempts != 1 {
            self.fail(format!(
                "7, 14: {number} is called back, and {attempts} attempts for it are on disk"
            ));
        }
    }

    /// Does something with the audio, and carries out what follows.
    pub(super) fn audio_does(
        &mut self,
        act: impl FnOnce(&mut Audio, Duration, &mut Vec<AudioDoes>),
    ) {
        let mut does = std::mem::take(&mut self.spare_audio);
        act(&mut self.audio, self.now, &mut does);
        for done in does.drain(..) {
            match done {
                AudioDoes::Tell(event) => {
                    let delay = if self.weather.media_busy {
                        self.dice.millis(0, 300)
                    } else {
                        self.dice.millis(0, 2)
                    };
                    // One channel: events don't overtake each other.
                    self.media_told_at = self.media_told_at.max(self.now + delay);
                    self.enter_node(self.media_told_at, NodeDue::Media(event));
                }
                AudioDoes::EndsAt(at, leg, play) => {
                    self.enter_node(at, NodeDue::PromptEnds(leg, play));
                }
                AudioDoes::DeadFrom(leg, at) => self.enter_node(at, NodeDue::RtpLost(leg)),
                AudioDoes::Spoken(leg, said) => self.spoken(leg, said),
                AudioDoes::Joined(a, b) => self.joined(a, b),
                AudioDoes::Silent(leg) => {
                    if let Some(found) = self.audio.leg(leg)
                        && let Owner::Caller(caller) = found.owner
                        && let Some(since) = found.silent_since
                    {
                        self.watch_silence(caller, leg, since);
                    }
                }
            }
        }
        self.spare_audio = does;
    }

    fn joined(&mut self, a: MediaLegId, b: MediaLegId) {
        for (one, other) in [(a, b), (b, a)] {
            if let (Some(caller), Some(phone)) = (self.audio.leg(one), self.audio.leg(other))
                && let (Owner::Caller(caller), Owner::Phone(phone)) = (caller.owner, phone.owner)
            {
                trace!(
                    self,
                    "caller {caller} and phone {} hear each other",
                    phone + 1
                );
                self.oracle.joined(phone, other, caller);
                self.caller(caller, |who, now, does| who.talks(now, does));
            }
        }
    }

    /// Somebody is told something.
    fn spoken(&mut self, leg: MediaLegId, said: crate::audio::Said) {
        let caller = match self.audio.leg(leg).map(|leg| leg.owner) {
            Some(Owner::Caller(caller)) => caller,
            Some(Owner::Phone(phone)) => {
                if let Words::Text { text, .. } = self.voice.words(said) {
                    // In a story whoever is called does what the story says.
                    let by_chance = self.heard.is_none();
                    let owed = by_chance && text.contains("with the call that we owe you");
                    self.phones[phone].told.push(text.to_string());
                    if owed && let Some(after) = self.phones[phone].takes_callback() {
                        self.agenda.enter(self.now + after, Due::Takes(leg));
                    }
                }
                return;
            }
            _ => return,
        };
        let Some((hospital, _)) =
            crate::hospital::dialled(&self.callers[caller as usize].plan.dials)
        else {
            return self
                .fail("something is said to somebody who dialled no number of ours".to_owned());
        };
        let mut number = None;
        let mut heard_text = None;
        match self.voice.words(said) {
            Words::Music | Words::Chime => {}
            Words::Text { text, foreign } => {
                if foreign[hospital.id() as usize - 1] {
                    let what = format!("12: caller {caller} of {hospital:?} hears {text:?}");
                    return self.fail(what);
                }
                heard_text = Some(text.clone());
            }
            Words::Ticket(ticket) => number = Some(ticket.to_string()),
            Words::Nonsense(digits) => {
                let what = format!("13: {digits:?} is spoken as a ticket number");
                return self.fail(what);
            }
        }
        if let Some(digits) = &number {
            self.figures.tickets_spoken += 1;
            trace!(self, "caller {caller} hears ticket {digits}");
            self.check_ticket(caller, hospital, digits, "spoken");
        }
        if let Some(text) = &heard_text {
            trace!(self, "caller {caller} hears {text:?}");
            if [
                "You have kept your place. We will call you",
                "Thank you. We will call you",
                "We owe you a call",
            ]
            .iter()
            .any(|words| text.contains(words))
            {
                self.check_promise(caller, hospital);
            }
            if self.callers[caller as usize].waits_for_text() {
                self.caller(caller, |who, now, does| who.hears(now, text, does));
            }
        }
        if let Some(heard) = &mut self.heard {
            let text = heard_text.map(|text| text.to_string()).or(number);
            if let Some(text) = text {
                heard[caller as usize].push((self.now, text));
            }
        }
    }

    fn note(&mut self, note: Note) {
        trace!(self, "note: contact {} {:?}", note.contact.0, note.what);
        if note.what == NoteWhat::Arrived {
            self.figures.contacts += 1;
            let Some(caller) = self.oracle.inviting else {
                return self.fail("a contact begins without an INVITE".to_owned());
            };
            let dials = &self.callers[caller as usize].plan.dials;
            let hospital = crate::hospital::dialled(dials).map(|(hospital, _)| hospital);
            if hospital != Hospital::of_id(note.tenant.0) {
                let what = format!("12: {dials} was dialled, tenant {} answers", note.tenant.0);
                return self.fail(what);
            }
        }
        if matches!(note.what, NoteWhat::Consults(_)) {
            self.figures.consultations += 1;
        }
        if note.what == NoteWhat::Panicked {
            return self.fail("a call panicked".to_owned());
        }
        let _ = wall(self.now);
        if let Err(what) = self.oracle.note(self.now, &note) {
            self.fail(what);
        }
    }
}

/// A media command without its clips.
fn brief(command: &media::engine::Command) -> String {
    use media::engine::Command;
    match command {
        Command::Play {
            leg,
            play,
            clips,
            barge_in,
        } => {
            format!(
                "Play {leg:?} {play:?} {} clips, barge-in {barge_in}",
                clips.len()
            )
        }
        Command::Loop { leg, .. } => format!("Loop {leg:?}"),
        Command::Connect { leg, .. } => format!("Connect {leg:?}"),
        other => format!("{other:?}"),
    }
}

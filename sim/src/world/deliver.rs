//! What is due happens: somebody or some machine is told.

use std::time::Duration;

use desk::Input as DeskInput;
use media::engine::Event as MediaEvent;
use switch::Input;

use super::{Due, NodeDue, World, trace};
use crate::audio::Owner;
use crate::caller::{CallerDoes, CallerEnd, CallerTimer, caller_of};
use crate::node::{both, noticed};
use crate::phone::PhoneTimer;
use crate::sip_text::Sight;

impl World {
    pub(super) fn deliver(&mut self, due: Due) {
        match due {
            Due::ToSwitch(peer, bytes) => self.switch_hears(peer, &bytes),
            Due::ToPhone(phone, bytes) => self.phone_hears(phone, &bytes),
            Due::ToTrunk(bytes) => {
                let Some(caller) = caller_of(&bytes) else {
                    return self.fail("14: a datagram to the trunk for nobody".to_owned());
                };
                trace!(self, "caller {caller} <- {}", brief(&bytes));
                self.caller(caller, |who, now, does| who.datagram(now, &bytes, does));
            }
            Due::Caller(caller, timer) => {
                if timer == CallerTimer::Dial {
                    trace!(
                        self,
                        "caller {caller} dials {} from {:?}",
                        self.callers[caller as usize].plan.dials,
                        self.callers[caller as usize].plan.from
                    );
                }
                self.caller(caller, |who, now, does| who.timer(now, timer, does));
            }
            Due::Phone(phone, timer) => self.phone_timer(phone, timer),
            Due::PhoneWake(phone) => {
                if self.phone_wakes[phone].is_some_and(|at| at <= self.now) {
                    self.phone_wakes[phone] = None;
                    self.phones[phone].endpoint.handle_timeout(self.now);
                    self.phone_says(phone);
                }
            }
            Due::Node(life, due) if life == self.life => self.node_due(due),
            Due::Node(..) => {}
            Due::Crash => {
                if self.node.is_some() {
                    self.crash();
                }
            }
            Due::Restart => self.restart(),
            Due::Closing => {
                let phones = 0..self.phones.len();
                let phones = phones.filter(|&phone| self.phones[phone].has_connection());
                let phones: Vec<_> = phones.collect();
                if !phones.is_empty() {
                    let phone = *self.dice.pick(&phones);
                    self.connection_closes(phone);
                }
            }
            Due::CheckSilence(caller, leg, since, idle) => {
                self.check_silence(caller, leg, since, idle);
            }
            Due::CheckRings(caller, hung_up_at) => self.check_rings(caller, hung_up_at),
            Due::CheckParted(leg) => self.check_parted(leg),
            Due::Takes(leg) => self.audio_does(|audio, now, does| audio.press(now, leg, '1', does)),
            Due::TicketWork => self.ticket_deed(),
            Due::IncidentWork => self.incident_deed(),
            Due::TicketAgain(id) => self.ask_of_ticket(id),
        }
    }

    fn switch_hears(&mut self, peer: sip::Peer, bytes: &[u8]) {
        if self.node.is_none() {
            return;
        }
        trace!(self, "switch <- {} : {}", peer.addr, brief(bytes));
        let message = match sip::parse_datagram(bytes, peer) {
            Ok(message) => message,
            Err(error) => {
                return self.fail(format!(
                    "a datagram can't be read: {error:?}: {}",
                    brief(bytes)
                ));
            }
        };
        self.arrives_at_switch(peer, bytes);
        self.tell_switch(Input::Sip { peer, message });
    }

    /// The oracle looks at what reaches the switch.
    fn arrives_at_switch(&mut self, peer: sip::Peer, bytes: &[u8]) {
        if peer == self.trunk {
            let is = |method: &[u8]| bytes.starts_with(method);
            if is(b"INVITE ") {
                self.oracle.inviting = caller_of(bytes);
            } else if (is(b"BYE ") || is(b"CANCEL "))
                && let Some(caller) = caller_of(bytes)
                && self.oracle.hangs_up(caller)
            {
                let check = self.now + Duration::from_secs(1);
                self.agenda.enter(check, Due::CheckRings(caller, self.now));
            }
        } else if let Some(phone) = crate::phone::index_of(peer.addr)
            && let Some(sight) = Sight::of(bytes)
        {
            self.oracle.hears_phone(self.now, phone, sight);
            self.watch_parted();
        }
    }

    /// Whoever talked with a phone that is gone is elsewhere soon.
    pub(super) fn watch_parted(&mut self) {
        while let Some(leg) = self.oracle.parted.pop() {
            let at = self.now + Duration::from_secs(1);
            self.agenda.enter(at, Due::CheckParted(leg));
        }
    }

    fn phone_hears(&mut self, phone: usize, bytes: &[u8]) {
        if self.phones[phone].is_vanished(self.now) {
            return self.answered_nobody(phone, bytes);
        }
        trace!(self, "phone {} <- {}", phone + 1, brief(bytes));
        let switch = self.phones[phone].switch;
        let Ok(message) = sip::parse_datagram(bytes, switch) else {
            return self.fail("a phone can't read what the switch wrote".to_owned());
        };
        let now = self.now;
        self.phones[phone].endpoint.receive(now, switch, message);
        self.phone_says(phone);
        self.answered_nobody(phone, bytes);
    }

    /// A phone's connection is closed, and what is on it lost. It makes another, soon or when it has something to say.
    fn connection_closes(&mut self, phone: usize) {
        trace!(self, "phone {}: the connection is CLOSED", phone + 1);
        self.figures.closings += 1;
        let peer = self.phones[phone].peer;
        self.agenda.retain(|due| match due {
            Due::ToSwitch(from, _) => *from != peer,
            Due::ToPhone(to, _) => *to != phone,
            _ => true,
        });
        self.oracle.connection_closes(self.now, phone);
        if self.node.is_some() {
            self.tell_switch(Input::PeerLost { peer });
        }
        let again = self.dice.millis(0, 5_000);
        self.phones[phone].connection_closes(self.now, again);
        self.phone_says(phone);
    }

    /// Nobody speaks on a call that is answered when its phone knows nothing of it any more.
    fn answered_nobody(&mut self, phone: usize, bytes: &[u8]) {
        let Some(sight) = Sight::of(bytes) else {
            return;
        };
        let answer = sight.code() == Some(200) && sight.cseq_method() == "INVITE";
        if let Some(port) = sight.audio_port().filter(|_| answer)
            && !self.phones[phone].has_port(port)
            && let Some(leg) = self.audio.leg_at(port).and_then(|leg| self.audio.leg(leg))
            && leg.owner == Owner::Phone(phone)
            && !leg.dead
        {
            self.far_side_gone(port);
        }
    }

    fn phone_timer(&mut self, phone: usize, timer: PhoneTimer) {
        if !matches!(timer, PhoneTimer::Renew) {
            trace!(self, "phone {} {timer:?}", phone + 1);
        }
        if self.phones[phone].is_vanished(self.now) && timer != PhoneTimer::Back {
            // Switched off: what was to be done is forgotten, except signing in again.
            return;
        }
        let now = self.now;
        self.phones[phone].timer(now, timer);
        let gone: Vec<u16> = std::mem::take(&mut self.phones[phone].gone_ports);
        for port in gone {
            self.far_side_gone(port);
        }
        self.phone_says(phone);
    }

    /// Takes everything a phone wants done.
    pub(super) fn phone_says(&mut self, phone: usize) {
        let now = self.now;
        let switch = self.phones[phone].switch;
        self.phones[phone].events(now);
        while let Some(transmit) = self.phones[phone].endpoint.poll_transmit() {
            if self.phones[phone].is_vanished(now) {
                continue;
            }
            debug_assert_eq!(transmit.peer, switch);
            let peer = self.phones[phone].peer;
            self.along(phone, || Due::ToSwitch(peer, transmit.bytes.clone()));
        }
        self.phone_timers(phone);
        if let Some(at) = self.phones[phone].endpoint.poll_timeout()
            && self.phone_wakes[phone].is_none_or(|entered| at < entered)
        {
            self.phone_wakes[phone] = Some(at);
            self.agenda.enter(at.max(now), Due::PhoneWake(phone));
        }
    }

    /// Somebody does something; what follows from it is carried out.
    pub(super) fn caller(
        &mut self,
        caller: u32,
        act: impl FnOnce(&mut crate::caller::Caller, Duration, &mut Vec<CallerDoes>),
    ) {
        let now = self.now;
        let Some(who) = self.callers.get_mut(caller as usize) else {
            return self.fail(format!(
                "14: a datagram for caller {caller}, who doesn't exist"
            ));
        };
        let mut does = std::mem::take(&mut self.spare_caller);
        let was_answered = who.answered_at.is_some();
        act(who, now, &mut does);
        let answered = !was_answered && who.answered_at.is_some();
        for done in does.drain(..) {
            match done {
                CallerDoes::Send(bytes) => {
                    trace!(self, "caller {caller} -> {}", brief(&bytes));
                    let trunk = self.trunk;
                    self.network(|| Due::ToSwitch(trunk, bytes.clone()));
                }
                CallerDoes::Wake(at, timer) => self.agenda.enter(at, Due::Caller(caller, timer)),
                CallerDoes::Press(key) => {
                    trace!(self, "caller {caller} presses {key}");
                    let port = self.callers[caller as usize].port;
                    if let Some(leg) = port.and_then(|port| self.audio.leg_at(port))
                        && self.owns(caller, leg)
                    {
                        self.audio_does(|audio, now, does| audio.press(now, leg, key, does));
                    }
                }
                CallerDoes::Left => trace!(self, "caller {caller} hangs up"),
                CallerDoes::Over => self.caller_over(caller),
            }
        }
        self.spare_caller = does;
        if answered {
            self.caller_answered(caller);
        }
    }

    fn caller_answered(&mut self, caller: u32) {
        let leg = self.callers[caller as usize]
            .port
            .and_then(|port| self.audio.leg_at(port))
            .filter(|&leg| self.owns(caller, leg));
        if let Some(leg) = leg
            && let Some(found) = self.audio.leg(leg)
            && found.silent_since.is_some()
        {
            self.watch_silence(caller, leg, found.silent_since.unwrap_or_default());
        }
    }

    fn caller_over(&mut self, caller: u32) {
        let who = &self.callers[caller as usize];
        let end = who.end;
        trace!(
            self,
            "caller {caller} is done: {:?}",
            end.map(|(_, end)| end)
        );
        self.trunk_open -= 1;
        if who.talking_at.is_some() {
            self.figures.talked += 1;
        }
        if matches!(end, Some((_, CallerEnd::Vanished)))
            && let Some(port) = who.port
            && self
                .audio
                .leg_at(port)
                .is_some_and(|leg| self.owns(caller, leg))
        {
            self.far_side_gone(port);
        }
    }

    fn owns(&self, caller: u32, leg: media::engine::LegId) -> bool {
        self.audio
            .leg(leg)
            .is_some_and(|leg| leg.owner == Owner::Caller(caller))
    }

    pub(super) fn far_side_gone(&mut self, port: u16) {
        let Some(leg) = self.audio.leg_at(port) else {
            return;
        };
        let noticed_at = self.audio.falls_silent(self.now, leg);
        trace!(
            self,
            "media: {leg:?} is dead, which is noticed at {noticed_at:?}"
        );
        if let Some(at) = noticed_at {
            let quiet_at = self.now + Duration::from_secs(8);
            self.enter_node(quiet_at, NodeDue::RtpQuiet(leg));
            self.enter_node(at, NodeDue::RtpLost(leg));
        }
    }

    fn node_due(&mut self, due: NodeDue) {
        let now = self.now;
        let Some(node) = &mut self.node else { return };
        match due {
            NodeDue::ToAcd(message) => {
                trace!(self, "acd <- {message:?}");
                self.oracle.acd_hears(&message);
                node.acd.handle(now, message);
                self.acd_says();
            }
            NodeDue::FromAcd(message) => {
                trace!(self, "switch <- acd {message:?}");
                self.tell_switch(Input::Acd(message));
            }
            NodeDue::ToDesk(command) => {
                trace!(
                    self,
                    "desk <- {:?} contact {} {:?}", command.id, command.contact.0, command.what
                );
                node.desk.handle(now, DeskInput::Command(command));
                self.desk_says();
            }
            NodeDue::FromDesk(answer) => {
                trace!(self, "switch <- desk {answer:?}");
                self.tell_switch(Input::Desk(answer));
            }
            NodeDue::ToTicket(command) => {
                trace!(self, "desk <- {command:?}");
                node.desk.handle(now, DeskInput::Ticket(command));
                self.desk_says();
            }
            NodeDue::FromTicket(answer) => self.ticket_heard(&answer),
            NodeDue::Callback(callback) => {
                trace!(self, "switch <- desk {callback:?}");
                self.tell_switch(Input::Callback(callback));
            }
            NodeDue::CallbackOff(attempt, contact) => {
                trace!(self, "switch <- desk {attempt:?} is off");
                self.tell_switch(Input::CallbackOff { attempt, contact });
            }
            NodeDue::OpenMedia(key, with, refused) => {
                if refused {
                    trace!(self, "media: no leg for {key:?}");
                    return self.tell_switch(Input::MediaRefused { key });
                }
                let (leg, port) = self.audio.open(now, with);
                trace!(self, "media: {leg:?} open at {port} for {key:?}");
                let mut secret = [0; 32];
                secret[..8].copy_from_slice(&key.0.to_be_bytes());
                self.tell_switch(Input::MediaOpened {
                    key,
                    leg,
                    port,
                    secret: media::srtp::Secret::new(secret),
                });
            }
            NodeDue::Media(event) => {
                trace!(self, "switch <- media {event:?}");
                self.tell_switch(Input::Media(event));
            }
            NodeDue::PromptEnds(leg, play) => {
                self.audio_does(|audio, now, does| audio.prompt_ends(now, leg, play, does));
            }
            NodeDue::RtpQuiet(leg) => {
                if self.audio.leg(leg).is_some_and(|leg| leg.dead) {
                    let after = Duration::from_secs(8);
                    self.tell_switch(Input::Media(MediaEvent::RtpQuiet { leg, after }));
                }
            }
            NodeDue::RtpLost(leg) => {
                if let Some(found) = self.audio.leg(leg).filter(|leg| leg.dead) {
                    trace!(self, "media: nothing comes from {leg:?} any more");
                    let after = found.watch;
                    self.tell_switch(Input::Media(MediaEvent::RtpLost { leg, after }));
                    self.enter_node(self.now + after, NodeDue::RtpLost(leg));
                }
            }
            NodeDue::Rendered(id, clips) => self.tell_switch(Input::Rendered { id, clips }),
            NodeDue::RenderFailed(id) => {
                trace!(self, "speech: {id:?} can't be rendered");
                self.tell_switch(Input::RenderFailed { id });
            }
            NodeDue::Answer(id, answer) => {
                trace!(self, "action: {id:?} answers {answer:?}");
                self.actions.under_way.remove(&id);
                self.tell_switch(Input::Answer { id, answer });
            }
            NodeDue::Checked(checked) => {
                trace!(self, "verifier: {checked:?}");
                node.desk.handle(now, DeskInput::Checked(checked));
                self.desk_says();
            }
            NodeDue::Written(id, ok) => {
                trace!(
                    self,
                    "store: {id:?} {}",
                    if ok { "committed" } else { "FAILED" }
                );
                if let Err(what) = self.store.written(id, ok) {
                    return self.fail(format!("5: {what}"));
                }
                let delay = self.dice.between(Duration::ZERO, Duration::from_millis(1));
                self.enter_node(now + delay, NodeDue::Answered(id, ok));
            }
            NodeDue::Answered(id, ok) => {
                let input = if ok {
                    DeskInput::Committed { id }
                } else {
                    DeskInput::CommitFailed { id }
                };
                node.desk.handle(now, input);
                self.desk_says();
            }
        }
    }

    fn tell_switch(&mut self, input: Input) {
        if let Some(node) = &mut self.node {
            node.switch.handle(both(self.now), input);
            self.switch_says();
        }
        self.oracle.inviting = None;
    }

    /// The distributor noticed something, for the log.
    pub(super) fn tell_desk_notice(&mut self, notice: acd::Notice) {
        let now = self.now;
        if let Some(node) = &mut self.node {
            node.desk
                .handle(now, DeskInput::Notice(noticed(now, notice)));
            self.desk_says();
        }
    }
}

/// A datagram in a line: its first line and whose it is.
pub(super) fn brief(bytes: &[u8]) -> String {
    let Some(sight) = Sight::of(bytes) else {
        return "(not text)".to_owned();
    };
    format!(
        "{} [{} {}]",
        sight.first_line(),
        sight.header("CSeq").unwrap_or(""),
        sight.header("Call-ID").unwrap_or("")
    )
}

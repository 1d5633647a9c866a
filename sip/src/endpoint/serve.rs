//! Server transactions: opening, answering, and their timers.

use std::sync::Arc;
use std::time::Duration;

use super::{Endpoint, Reply, RequestId, Transmit};
use crate::echo::{Back, Echo};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::LegId;
use crate::message::Request;
use crate::timers::Owner;
use crate::transaction::{Datagram, Due, InviteServer, Server};
use crate::wire::{ALLOW, Writer};

/// Either server machine.
#[derive(Debug)]
pub(crate) enum Machine {
    Invite(InviteServer),
    Plain(Server),
}

/// Whom a server transaction is for.
#[derive(Debug)]
pub(crate) enum Serving {
    /// The INVITE that began a leg.
    Leg(LegId),
    /// A re-INVITE of a leg.
    Reinvite(LegId),
    /// A request handed up and not answered yet.
    Request { id: RequestId, echo: Box<Echo> },
    /// Answered; only repeats are of interest.
    Answered,
}

#[derive(Debug)]
pub(crate) struct ServerEntry {
    pub(crate) machine: Machine,
    pub(crate) serving: Serving,
    merge: Option<Key>,
    /// Where responses go.
    pub(crate) back: Back,
}

impl ServerEntry {
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::Plain(machine) => machine.deadline(),
        }
    }

    pub(crate) fn on_repeat(&self) -> Option<Datagram> {
        match &self.machine {
            Machine::Invite(machine) => machine.on_repeat(),
            Machine::Plain(machine) => machine.on_repeat(),
        }
    }
}

impl Endpoint {
    /// Opens the transaction of an INVITE.
    pub(crate) fn open_invite(
        &mut self,
        now: Duration,
        key: Key,
        back: Back,
        serving: Serving,
        merge: Option<Key>,
    ) {
        let timing = &self.config.timing;
        let machine = InviteServer::new(now, back.peer.transport.is_reliable(), timing);
        self.open(key, Machine::Invite(machine), back, serving, merge);
    }

    /// Opens the transaction of any other request.
    pub(crate) fn open_plain(
        &mut self,
        now: Duration,
        key: Key,
        back: Back,
        serving: Serving,
        merge: Option<Key>,
    ) {
        let timing = &self.config.timing;
        let machine = Server::new(now, back.peer.transport.is_reliable(), timing);
        self.open(key, Machine::Plain(machine), back, serving, merge);
    }

    fn open(
        &mut self,
        key: Key,
        machine: Machine,
        back: Back,
        serving: Serving,
        merge: Option<Key>,
    ) {
        if let Some(merge) = merge {
            self.merges.insert(merge, key);
        }
        let entry = ServerEntry {
            machine,
            serving,
            merge,
            back,
        };
        self.servers.insert(key, entry);
        self.arm_server(key);
    }

    fn arm_server(&mut self, key: Key) {
        if let Some(at) = self.servers.get(&key).and_then(ServerEntry::deadline) {
            self.timers.set(at, Owner::Server(key));
        }
    }

    /// Sends a response through its transaction. False when the transaction is
    /// gone or has sent a final response before.
    pub(crate) fn reply(&mut self, now: Duration, key: Key, code: u16, bytes: Datagram) -> bool {
        let timing = &self.config.timing;
        let Some(entry) = self.servers.get_mut(&key) else {
            return false;
        };
        let taken = match &mut entry.machine {
            Machine::Invite(machine) => match code {
                ..200 => machine.provisional(bytes.clone()),
                200..300 => machine.success(now, timing),
                _ => machine.failure(now, bytes.clone(), timing),
            },
            Machine::Plain(machine) => machine.respond(now, bytes.clone(), timing),
        };
        if taken {
            let peer = entry.back.peer;
            self.send(peer, bytes);
            self.arm_server(key);
        }
        taken
    }

    /// The end every response has.
    pub(crate) fn finish(&self, mut writer: Writer, content_type: &str, body: &[u8]) -> Datagram {
        if let Some(agent) = &self.config.user_agent {
            writer.header("Server", agent);
        }
        Arc::from(writer.finish(content_type, body))
    }

    /// A connection is closed. Answers still to come leave by another, to where the sender of the request listens
    /// (RFC 3261 section 18.2.2); so does a refusal that nobody has acknowledged, which may have been written to nobody.
    pub(crate) fn answers_move(&mut self, now: Duration, lost: Peer) {
        let mut again = Vec::new();
        for (key, entry) in &mut self.servers {
            if entry.back.moves(lost)
                && let Machine::Invite(machine) = &entry.machine
                && let Some(refusal) = machine.unacknowledged()
            {
                again.push((*key, entry.back.peer, refusal));
            }
        }
        again.sort_unstable_by_key(|(key, ..)| *key);
        for (_, peer, refusal) in again {
            self.send(peer, refusal);
        }
        let mut legs: Vec<u64> = self.legs.keys().copied().collect();
        legs.sort_unstable();
        for id in legs {
            if let Some(leg) = self.legs.get_mut(&id)
                && leg.answers_move(lost, now)
            {
                self.arm_leg(LegId(id));
            }
        }
    }

    pub(crate) fn server_due(&mut self, now: Duration, key: Key) {
        let Some(entry) = self.servers.get_mut(&key) else {
            return;
        };
        let due = match &mut entry.machine {
            Machine::Invite(machine) => machine.on_deadline(now, &self.config.timing),
            Machine::Plain(machine) => machine.on_deadline(now),
        };
        let peer = entry.back.peer;
        match due {
            Due::Nothing => {}
            Due::Repeat(bytes) => self.send(peer, bytes),
            // Nobody is there to answer it any more.
            Due::Trying if !self.send_trying(now, key) => {
                self.close_server(key);
                return;
            }
            Due::Trying => {}
            // Nobody acknowledged a refusal, or nobody above answered a
            // request. Neither leaves anything to be done.
            Due::TimedOut | Due::Over => {
                self.close_server(key);
                return;
            }
        }
        self.arm_server(key);
    }

    pub(crate) fn close_server(&mut self, key: Key) {
        let Some(entry) = self.servers.remove(&key) else {
            return;
        };
        if let Some(merge) = entry.merge {
            self.merges.remove(&merge);
        }
        if let Serving::Request { id, .. } = entry.serving {
            self.served.remove(&id.0);
        }
    }

    /// False when the leg that it would be for is gone.
    fn send_trying(&mut self, now: Duration, key: Key) -> bool {
        let Some(entry) = self.servers.get(&key) else {
            return false;
        };
        let leg = match entry.serving {
            Serving::Leg(leg) | Serving::Reinvite(leg) => leg,
            _ => return false,
        };
        let echo = self.legs.get(&leg.0).and_then(|leg| leg.echo(key));
        let Some(writer) = echo.map(|echo| echo.respond(100, None, None)) else {
            return false;
        };
        let bytes = self.finish(writer, "", &[]);
        self.reply(now, key, 100, bytes)
    }

    /// Answers a request that was handed up. An id that is no longer awaited
    /// is ignored.
    pub fn respond(&mut self, now: Duration, id: RequestId, reply: Reply) {
        let Some(key) = self.served.remove(&id.0) else {
            return;
        };
        let Some(entry) = self.servers.get_mut(&key) else {
            return;
        };
        let Serving::Request { echo, .. } =
            std::mem::replace(&mut entry.serving, Serving::Answered)
        else {
            return;
        };
        let tag = self.tokens.token();
        let bytes = self.answer_in_full(&echo, &reply, &tag);
        self.reply(now, key, reply.code.clamp(200, 699), bytes);
    }

    /// A refusal for which nothing is kept (RFC 3261 section 8.2.7): the same
    /// request gets the same To tag. `retry_after` in seconds.
    #[must_use]
    pub fn refuse_stateless(
        &self,
        request: &Request,
        peer: Peer,
        code: u16,
        retry_after: Option<u32>,
    ) -> Transmit {
        self.stateless(request, peer, code, |writer| {
            if let Some(seconds) = retry_after {
                writer.number("Retry-After", u64::from(seconds));
            }
            if code == 405 {
                writer.header("Allow", ALLOW);
            }
        })
    }

    /// The same with any answer: its code, reason, headers and body. Made for a
    /// challenge, so that a request without credentials takes no room.
    #[must_use]
    pub fn refuse_with(&self, request: &Request, peer: Peer, reply: &Reply) -> Transmit {
        let key = self.tokens.server_key(request, request.method());
        let tag = self.tokens.stateless_tag(key);
        let echo = Echo::new(request, peer);
        Transmit {
            peer: echo.back.peer,
            bytes: self.answer_in_full(&echo, reply, &tag),
        }
    }

    fn answer_in_full(&self, echo: &Echo, reply: &Reply, tag: &str) -> Datagram {
        let mut writer = echo.respond(reply.code, reply.reason.as_deref(), Some(tag));
        for (name, value) in &reply.headers {
            writer.header(name, value);
        }
        let (content_type, body) = match &reply.body {
            Some((content_type, body)) => (content_type.as_str(), body.as_slice()),
            None => ("", &[][..]),
        };
        self.finish(writer, content_type, body)
    }

    pub(crate) fn stateless(
        &self,
        request: &Request,
        peer: Peer,
        code: u16,
        extra: impl FnOnce(&mut Writer),
    ) -> Transmit {
        let key = self.tokens.server_key(request, request.method());
        let tag = self.tokens.stateless_tag(key);
        let echo = Echo::new(request, peer);
        let mut writer = echo.respond(code, None, Some(&tag));
        extra(&mut writer);
        Transmit {
            peer: echo.back.peer,
            bytes: self.finish(writer, "", &[]),
        }
    }
}

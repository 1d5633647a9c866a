//! Client transactions: composing requests, sending them, their responses and
//! timers.

use std::sync::Arc;
use std::time::Duration;

use rsip::Method;

use super::{Endpoint, RequestId};
use crate::dialog::{Dialog, Own};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::{Leg, LegId};
use crate::message::Response;
use crate::timers::Owner;
use crate::transaction::{Client, Datagram, Due, InviteClient, Received};
use crate::wire::{Writer, method_name};

#[derive(Debug)]
enum Machine {
    Invite(InviteClient),
    Plain(Client),
}

/// Whose request a client transaction carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The INVITE that makes a leg.
    Invite(LegId),
    /// A re-INVITE of ours.
    Reinvite(LegId),
    /// An UPDATE of ours that changes the session.
    Update(LegId),
    /// An UPDATE of ours that refreshes it.
    Refresh(LegId),
    /// An OPTIONS inside a call: is the peer still there?
    Probe(LegId),
    /// A REFER of ours.
    Refer(LegId),
    /// A leg's BYE.
    Bye(LegId),
    /// Nobody waits for the answer: CANCEL, PRACK, NOTIFY, the BYE of a fork.
    Nobody,
    /// A request outside dialogs.
    Request(RequestId),
}

/// What the ACK of a refusal and a CANCEL repeat of their INVITE (sections
/// 17.1.1.3 and 9.1).
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) uri: Box<str>,
    /// Via, Route, Max-Forwards, From, Call-ID: whole lines.
    pub(crate) lines: Box<[u8]>,
    pub(crate) to: Box<str>,
    pub(crate) cseq: u32,
    /// See [`Dialog::from_response`].
    pub(crate) pinned: bool,
    /// The INVITE's credentials, which its ACKs repeat (section 22.1).
    pub(crate) authorization: Option<Authorization>,
    /// What each who answered has got, by their tags: repeats of their 2xx get it again, until the transaction forgets
    /// (timer M).
    acked: Vec<(Box<str>, Acked)>,
}

/// Name and value of a header that answers a challenge.
pub(crate) type Authorization = (&'static str, String);

/// An ACK for a 2xx, and where it went.
#[derive(Debug)]
pub(crate) struct Acked {
    pub(crate) bytes: Datagram,
    pub(crate) peer: Peer,
}

/// Most of them remembered. Who answers later, of a call that was forked more often, is told goodbye at each repeat.
const ACKED_MAX: usize = 9;

impl Head {
    fn follow_up(&self, method: Method, to: &str) -> Writer {
        let name = method_name(method);
        let mut writer = Writer::request(name, &self.uri);
        writer.lines(&self.lines);
        writer.header("To", to);
        writer.header("CSeq", &format!("{} {name}", self.cseq));
        if method == Method::Ack {
            self.authorize(&mut writer);
        }
        writer
    }

    fn authorize(&self, writer: &mut Writer) {
        if let Some((name, value)) = &self.authorization {
            writer.header(name, value);
        }
    }
}

#[derive(Debug)]
pub(crate) struct ClientEntry {
    machine: Machine,
    pub(crate) purpose: Purpose,
    peer: Peer,
    /// INVITEs only.
    head: Option<Box<Head>>,
}

impl ClientEntry {
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::Plain(machine) => machine.deadline(),
        }
    }

    fn is_open(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_calling(),
            Machine::Plain(machine) => machine.is_open(),
        }
    }
}

/// A request being composed.
pub(crate) struct Compose<'a> {
    pub(crate) method: Method,
    pub(crate) uri: &'a str,
    pub(crate) peer: Peer,
    pub(crate) route: &'a [Box<str>],
    pub(crate) max_forwards: u8,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
}

/// A request to be sent in a transaction of its own.
pub(crate) struct Start<'a> {
    pub(crate) method: Method,
    pub(crate) branch: &'a str,
    pub(crate) peer: Peer,
    pub(crate) bytes: Vec<u8>,
    pub(crate) purpose: Purpose,
    /// INVITEs only.
    pub(crate) head: Option<Box<Head>>,
}

/// A composed request, its body still to be written.
pub(crate) struct Composed {
    pub(crate) writer: Writer,
    pub(crate) branch: String,
}

impl Endpoint {
    /// Writes a request up to its CSeq, with a branch of its own.
    pub(crate) fn compose(&mut self, parts: &Compose<'_>) -> Composed {
        let branch = self.tokens.branch();
        let mut writer = Writer::request(method_name(parts.method), parts.uri);
        self.write_head(parts, &branch, &mut writer);
        writer.header("To", parts.to);
        writer.header(
            "CSeq",
            &format!("{} {}", parts.cseq, method_name(parts.method)),
        );
        if let Some(agent) = &self.config.user_agent {
            writer.header("User-Agent", agent);
        }
        Composed { writer, branch }
    }

    fn write_head(&self, parts: &Compose<'_>, branch: &str, writer: &mut Writer) {
        let peer = parts.peer;
        writer.header_with("Via", |out| {
            out.extend_from_slice(b"SIP/2.0/");
            out.extend_from_slice(peer.transport.via_token().as_bytes());
            out.push(b' ');
            self.config.interface.write_host_port(peer, out);
            out.extend_from_slice(b";rport;branch=");
            out.extend_from_slice(branch.as_bytes());
        });
        for route in parts.route {
            writer.header("Route", route);
        }
        writer.number("Max-Forwards", u64::from(parts.max_forwards));
        writer.header("From", parts.from);
        writer.header("Call-ID", parts.call_id);
    }

    /// What is kept of an INVITE for its ACK and CANCEL.
    pub(crate) fn head_of(&self, parts: &Compose<'_>, branch: &str, pinned: bool) -> Box<Head> {
        let mut lines = Writer::fragment();
        self.write_head(parts, branch, &mut lines);
        Box::new(Head {
            uri: parts.uri.into(),
            lines: lines.into_lines().into(),
            to: parts.to.into(),
            cseq: parts.cseq,
            pinned,
            authorization: None,
            acked: Vec::new(),
        })
    }

    /// Writes the credentials of this INVITE into its ACK.
    pub(crate) fn authorize_ack(&self, invite: Key, writer: &mut Writer) {
        let entry = self.clients.get(&invite);
        if let Some(head) = entry.and_then(|entry| entry.head.as_ref()) {
            head.authorize(writer);
        }
    }

    /// Sends the ACK for a 2xx, and remembers it for repeats of that (section 13.2.2.4).
    pub(crate) fn acknowledged(&mut self, invite: Key, tag: &str, ack: Acked) {
        self.send(ack.peer, ack.bytes.clone());
        let entry = self.clients.get_mut(&invite);
        if let Some(head) = entry.and_then(|entry| entry.head.as_mut())
            && head.acked.len() < ACKED_MAX
        {
            head.acked.push((tag.into(), ack));
        }
    }

    /// Our Contact towards a peer.
    pub(crate) fn write_contact(&self, own: &Own, peer: Peer, writer: &mut Writer) {
        writer.header_with("Contact", |out| {
            out.extend_from_slice(if own.secure { b"<sips:" } else { b"<sip:" });
            out.extend_from_slice(own.user.as_bytes());
            out.push(b'@');
            self.config.interface.write_host_port(peer, out);
            if let Some(transport) = peer.transport.uri_param().filter(|_| !own.secure) {
                out.extend_from_slice(b";transport=");
                out.extend_from_slice(transport.as_bytes());
            }
            out.push(b'>');
        });
    }

    /// Composes a request inside a dialog (section 12.2.1.1). Returns where it
    /// goes and, for an INVITE, what is to be kept.
    pub(crate) fn compose_inside(
        &mut self,
        dialog: &Dialog,
        method: Method,
        cseq: u32,
    ) -> (Composed, Peer, Option<Box<Head>>) {
        let (uri, route) = dialog.routed();
        let parts = Compose {
            method,
            uri: &uri,
            peer: dialog.hop(),
            route: &route,
            max_forwards: 70,
            from: &dialog.local,
            to: &dialog.remote,
            call_id: &dialog.call_id,
            cseq,
        };
        let composed = self.compose(&parts);
        let head =
            (method == Method::Invite).then(|| self.head_of(&parts, &composed.branch, false));
        (composed, parts.peer, head)
    }

    /// Sends a request and opens its transaction.
    pub(crate) fn start_client(&mut self, now: Duration, start: Start<'_>) -> Key {
        let Start {
            method,
            branch,
            peer,
            bytes,
            purpose,
            head,
        } = start;
        let bytes: Datagram = Arc::from(bytes);
        let timing = &self.config.timing;
        let reliable = peer.transport.is_reliable();
        let machine = if method == Method::Invite {
            Machine::Invite(InviteClient::new(now, bytes.clone(), reliable, timing))
        } else {
            Machine::Plain(Client::new(now, bytes.clone(), reliable, timing))
        };
        let key = self.tokens.client_key(branch, method);
        let entry = ClientEntry {
            machine,
            purpose,
            peer,
            head,
        };
        self.clients.insert(key, entry);
        self.arm_client(key);
        self.send(peer, bytes);
        key
    }

    fn arm_client(&mut self, key: Key) {
        if let Some(at) = self.clients.get(&key).and_then(ClientEntry::deadline) {
            self.timers.set(at, Owner::Client(key));
        }
    }

    pub(crate) fn receive_response(&mut self, now: Duration, peer: Peer, response: Response) {
        // Section 8.1.3.3: more than one Via means it was misrouted.
        if response.via_count() != 1 {
            return;
        }
        let Some(branch) = response.via().and_then(|via| via.branch()) else {
            return;
        };
        let key = self.tokens.client_key(branch, response.method());
        let Some(entry) = self.clients.get_mut(&key) else {
            return;
        };
        let timing = &self.config.timing;
        let received = match &mut entry.machine {
            Machine::Invite(machine) => machine.on_response(now, response.code(), timing),
            Machine::Plain(machine) => machine.on_response(now, response.code(), timing),
        };
        let (purpose, hop) = (entry.purpose, entry.peer);
        let pinned = entry.head.as_ref().is_some_and(|head| head.pinned);
        match received {
            Received::Drop => return,
            Received::Repeat(ack) => {
                self.send(hop, ack);
                return;
            }
            Received::AckAndPassUp => {
                let head = entry.head.as_ref();
                let ack = head.map(|h| h.follow_up(Method::Ack, response.fields.recipient_text()));
                if let Some(ack) = ack {
                    let ack: Datagram = Arc::from(ack.finish("", &[]));
                    if let Machine::Invite(machine) = &mut entry.machine {
                        machine.acked(ack.clone());
                    }
                    self.send(hop, ack);
                }
            }
            Received::PassUp => {
                // A repeat of a 2xx concerns nobody above.
                let tag = response.to_tag().unwrap_or("");
                if let (200..=299, Some(head)) = (response.code(), &entry.head)
                    && let Some((_, ack)) = head.acked.iter().find(|(known, _)| **known == *tag)
                {
                    let (peer, bytes) = (ack.peer, ack.bytes.clone());
                    self.send(peer, bytes);
                    return;
                }
            }
        }
        self.arm_client(key);
        let source = if pinned { hop } else { peer };
        match purpose {
            Purpose::Invite(leg) => {
                self.invite_response(now, key, leg, source, pinned, response);
            }
            Purpose::Reinvite(leg) | Purpose::Update(leg) => {
                self.reinvite_response(now, key, leg, &response);
            }
            Purpose::Refresh(leg) => self.refresh_response(now, leg, &response),
            Purpose::Probe(leg) => {
                self.probed(leg);
                // Anything else says that somebody is there.
                if matches!(response.code(), 408 | 481) {
                    self.lose(now, leg, crate::leg::EndCause::DialogLost);
                }
            }
            Purpose::Refer(leg) => self.refer_response(now, leg, &response),
            Purpose::Bye(leg) => self.bye_response(now, leg, &response),
            Purpose::Request(id) => self.request_response(now, id, response),
            Purpose::Nobody => {}
        }
    }

    /// Sends the CANCEL of an INVITE (section 9.1): same hop, same branch.
    pub(crate) fn send_cancel(&mut self, now: Duration, invite: Key, reason: Option<&str>) {
        let Some(entry) = self.clients.get(&invite) else {
            return;
        };
        let Some(head) = &entry.head else {
            return;
        };
        let peer = entry.peer;
        let mut writer = head.follow_up(Method::Cancel, &head.to);
        if let Some(reason) = reason {
            writer.header("Reason", reason);
        }
        let lines = String::from_utf8_lossy(&head.lines);
        let branch = lines
            .lines()
            .next()
            .and_then(|via| via.rsplit_once("branch="))
            .map(|(_, branch)| branch.to_owned())
            .unwrap_or_default();
        let bytes = writer.finish("", &[]);
        self.start_client(
            now,
            Start {
                method: Method::Cancel,
                branch: &branch,
                peer,
                bytes,
                purpose: Purpose::Nobody,
                head: None,
            },
        );
    }

    /// Nobody wants to hear the answer to this INVITE any more, and it may be
    /// one that never comes.
    pub(crate) fn forget_unanswered(&mut self, invite: Key) {
        let machine = self.clients.get(&invite).map(|entry| &entry.machine);
        if matches!(machine, Some(Machine::Invite(machine)) if machine.is_unanswered()) {
            self.clients.remove(&invite);
        }
    }

    /// True while a CANCEL may not be sent yet.
    pub(crate) fn awaits_provisional(&self, invite: Key) -> bool {
        let machine = self.clients.get(&invite).map(|entry| &entry.machine);
        matches!(machine, Some(Machine::Invite(machine)) if machine.is_calling())
    }

    /// Nobody waits for the answer to this INVITE any more, but it can't be
    /// cancelled yet.
    pub(crate) fn give_up_invite(&mut self, now: Duration, invite: Key) {
        if let Some(entry) = self.clients.get_mut(&invite)
            && let Machine::Invite(machine) = &mut entry.machine
        {
            machine.give_up(now, &self.config.timing);
            self.arm_client(invite);
        }
    }

    pub(crate) fn client_due(&mut self, now: Duration, key: Key) {
        let Some(entry) = self.clients.get_mut(&key) else {
            return;
        };
        let due = match &mut entry.machine {
            Machine::Invite(machine) => machine.on_deadline(now),
            Machine::Plain(machine) => machine.on_deadline(now, &self.config.timing),
        };
        let (peer, purpose) = (entry.peer, entry.purpose);
        match due {
            Due::Nothing | Due::Trying => {}
            Due::Repeat(bytes) => self.send(peer, bytes),
            Due::TimedOut => {
                self.clients.remove(&key);
                self.client_failed(now, purpose, crate::leg::EndCause::TransactionTimeout);
                return;
            }
            Due::Over => {
                self.clients.remove(&key);
                return;
            }
        }
        self.arm_client(key);
    }

    /// The transport found `peer` unreachable (for UDP: an ICMP error; for
    /// streams: the connection is closed). Everything sent there and not
    /// answered yet fails. What calls say next goes by another connection, and so do
    /// answers that are still due.
    pub fn transport_error(&mut self, now: Duration, peer: Peer) {
        if peer.transport.is_reliable() {
            let dialogs = self.legs.values_mut().filter_map(Leg::dialog_mut);
            dialogs.for_each(|dialog| dialog.flow_lost(peer));
            self.answers_move(now, peer);
        }
        let mut failed: Vec<Key> = self
            .clients
            .iter()
            .filter(|(_, entry)| entry.peer == peer && entry.is_open())
            .map(|(key, _)| *key)
            .collect();
        failed.sort_unstable();
        for key in failed {
            let Some(entry) = self.clients.remove(&key) else {
                continue;
            };
            // A closed connection ends no call: the next request makes another.
            let goes_on = peer.transport.is_reliable()
                && match entry.purpose {
                    Purpose::Refresh(leg) => self.ask_elsewhere(now, leg, true),
                    Purpose::Probe(leg) => self.probe_elsewhere(now, leg),
                    Purpose::Reinvite(leg) | Purpose::Update(leg) => {
                        self.ask_elsewhere(now, leg, false)
                    }
                    _ => false,
                };
            if !goes_on {
                self.client_failed(now, entry.purpose, crate::leg::EndCause::TransportError);
            }
        }
    }

    fn client_failed(&mut self, now: Duration, purpose: Purpose, cause: crate::leg::EndCause) {
        match purpose {
            Purpose::Invite(leg) => self.invite_failed(leg, cause),
            Purpose::Reinvite(leg)
            | Purpose::Update(leg)
            | Purpose::Refresh(leg)
            | Purpose::Probe(leg) => {
                self.probed(leg);
                self.lose(now, leg, cause);
            }
            Purpose::Refer(leg) => self.refer_failed(leg),
            Purpose::Bye(leg) => self.remove_leg(leg),
            Purpose::Request(id) => self.request_failed(id),
            Purpose::Nobody => {}
        }
    }
}

//! Who may come in, and as whom: decided before anything is remembered of a
//! request.

use std::net::IpAddr;
use std::sync::Arc;

use acd::AgentId;
use desk::PhoneNumber;
use sip::digest::Verdict;

use super::Switch;
use super::said::{carried, digits, trunk_number};
use crate::admission::Permit;
use crate::contact::Consulting;
use crate::emergency::{CallsBack, Dialled, EmergencyNumber};
use crate::input::{Now, Output};
use crate::phones;
use crate::setup::{Account, Encryption, Line, Register, Setup, Trunk};

/// An admitted call: who calls which number, and the right to it.
pub(super) struct Admitted {
    pub(super) permit: Permit,
    pub(super) line: Line,
    pub(super) dnis: PhoneNumber,
    pub(super) ani: Option<PhoneNumber>,
    pub(super) carried: Vec<(String, String)>,
    pub(super) consulting: Option<Consulting>,
    /// It comes from this supervisor's telephone, for a number that is theirs alone.
    pub(super) supervisor: Option<AgentId>,
    /// What the caller's account says of it.
    pub(super) encryption: Option<Encryption>,
    /// It comes by a trunk.
    pub(super) by_trunk: bool,
    /// What that trunk knows us by, should it challenge what we say in the call.
    pub(super) credentials: Option<sip::Credentials>,
}

/// What a new call that may come in is.
pub(super) enum Entry {
    Contact(Box<Admitted>),
    /// To an emergency service, from a telephone of ours.
    Emergency(Dialled),
    /// From one, to a telephone of ours that has called it.
    Back(Box<CallsBack>),
}

/// Whether a wrong password is held against where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guesses {
    /// It is: after too many of them nothing from there is looked at for a while.
    Counted,
    /// It isn't, nor is anybody blocked: a call for help is made by whoever shows the right one, however often others have guessed.
    Uncounted,
}

impl Switch {
    pub(super) fn receive(&mut self, now: Now, peer: sip::Peer, message: sip::Message) {
        if let sip::Message::Request(request) = &message {
            if self.certified.contains_key(&peer) || self.setup.is_trusted(peer.addr.ip()) {
                self.known(peer);
            }
            let screened = match self.sip.classify(request) {
                sip::Class::NewInvite => match self.replaces(now, peer, request) {
                    Some(replacing) => replacing.map(|replacing| {
                        self.replacing = Some(replacing);
                    }),
                    None => self.screen(now, peer, request).map(|admitted| {
                        self.admitted = Some(admitted);
                    }),
                },
                sip::Class::NewOther if request.method() == sip::Method::Register => self
                    .authenticate(now, peer, request, Guesses::Counted)
                    .map(|user| {
                        self.registering = Some(user);
                    }),
                // Knowing a call's tags isn't enough to send its caller elsewhere.
                sip::Class::InDialog if request.method() == sip::Method::Refer => self
                    .authenticate(now, peer, request, Guesses::Counted)
                    .map(|user| {
                        self.referring = Some(user);
                    }),
                _ => Ok(()),
            };
            if let Err(reply) = screened {
                // RFC 3261 section 8.2.7: nothing is remembered of it.
                let refusal = self.sip.refuse_with(request, peer, &reply);
                self.out.push_back(Output::Transmit(refusal));
                return;
            }
        }
        self.sip.receive(now.mono, peer, message);
        self.sip_events(now);
        self.registering = None;
        self.referring = None;
        self.replacing = None;
        // The transaction layer answered it by itself (a loop, a missing
        // extension): it was no call.
        if let Some(Entry::Contact(admitted)) = self.admitted.take() {
            self.release(admitted.permit);
        }
    }

    /// May this new call come in at all?
    fn screen(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Result<Entry, sip::Reply> {
        if let Some(number) = self.setup.emergency.number(request.uri()) {
            let number = number.clone();
            return self.screen_emergency(now, peer, request, number);
        }
        // Who is neither a trunk nor shows a password learns nothing, not even
        // whether there is such an account or number.
        let named = self.trunk_of(peer, request);
        let trunk = named.is_some() || self.is_trunk_by_address(peer, request);
        let mut believed = named.as_ref().map_or(trunk, |trunk| trunk.trusted);
        let mut agent = None;
        // Whose calls it counts among.
        let mut carrier = named.clone();
        let (ani, encryption, by_trunk) = if trunk {
            if named.is_some() {
                self.known(peer);
            } else if let Some(name) = self.trunks.at(peer.addr.ip()) {
                carrier = self.setup.trunks.get(name).cloned();
            }
            let own = named.as_ref().and_then(|trunk| trunk.encryption);
            (trunk_number(request, believed), own, true)
        } else {
            let user = self.authenticate(now, peer, request, Guesses::Counted)?;
            if let Some(consulting) = self.consulting(&user, request) {
                let admitted = self.admit_consulting(now, consulting?)?;
                return Ok(Entry::Contact(Box::new(admitted)));
            }
            let account = self.setup.accounts.get(&user);
            agent = account.and_then(|account| account.agent);
            let number = match account {
                Some(account) if account.trunk => {
                    carrier = self.setup.trunk_of_account(&user).cloned();
                    believed = carrier.as_ref().is_some_and(|trunk| trunk.trusted);
                    trunk_number(request, believed)
                }
                account => account.and_then(|account| account.number.clone()),
            };
            let by_trunk = account.is_some_and(|account| account.trunk);
            let encryption = account.and_then(|account| account.encryption);
            (number, encryption, by_trunk)
        };
        let carried = carried(request, believed);
        let register = named.as_ref().and_then(|trunk| trunk.register.as_ref());
        if by_trunk && let Some((account, number)) = self.called_back(now, request, register) {
            return Ok(Entry::Back(Box::new(CallsBack {
                account,
                number: number.into(),
                from: ani,
                carried,
                trunk: carrier.map(|trunk| Arc::clone(&trunk.name)),
                encryption,
            })));
        }
        let line = self.line_of(request);
        let line = line.or_else(|| self.line_by_registration(register?, request));
        let own = || self.supervisors_line(agent?, request);
        let (line, supervisor) = match line {
            Some(line) => (Some(line), None),
            None => (own(), agent),
        };
        let Some((dnis, line)) = line else {
            self.counters.unknown_numbers += 1;
            return Err(sip::Reply::new(404));
        };
        match self.admission.admit(now.mono, line.tenant, line.clinical) {
            Ok(mut permit) => {
                if let Some(trunk) = carrier {
                    if !self.trunks.take_in(&trunk, line.clinical) {
                        self.release(permit);
                        return Err(self.no_room());
                    }
                    permit.trunk = Some(Arc::clone(&trunk.name));
                }
                self.counters.admitted += 1;
                Ok(Entry::Contact(Box::new(Admitted {
                    permit,
                    line,
                    dnis: PhoneNumber(dnis),
                    ani,
                    carried,
                    consulting: None,
                    supervisor,
                    encryption,
                    by_trunk,
                    credentials: named.and_then(|trunk| trunk.credentials.clone()),
                })))
            }
            Err(_) => Err(self.no_room()),
        }
    }

    /// A telephone of ours may call an emergency service: one that is registered
    /// here and calls from where it registered, at once, since seconds count;
    /// and one that shows its password, whoever else has guessed at one from
    /// there. Nobody else may, a trunk's caller neither: no strange telephone
    /// stands where ours do. That is what a trunk is told which has shown who it
    /// is; by an address it may be a proxy, with a telephone of ours behind it.
    fn screen_emergency(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
        number: EmergencyNumber,
    ) -> Result<Entry, sip::Reply> {
        let user = match self.phones.calls_from(&self.setup, peer, request) {
            Some(user) => user,
            None if self.trunk_of(peer, request).is_some() => {
                self.counters.unknown_numbers += 1;
                return Err(sip::Reply::new(404));
            }
            None => self.authenticate(now, peer, request, Guesses::Uncounted)?,
        };
        let account = self.setup.accounts.get(&user);
        if account.is_none_or(|account| account.trunk) {
            self.counters.unknown_numbers += 1;
            return Err(sip::Reply::new(404));
        }
        Ok(Entry::Emergency(Dialled {
            account: user.into(),
            number,
            carried: carried(request, false),
        }))
    }

    /// Is this call a trunk's because of its address?
    fn is_trunk_by_address(&self, peer: sip::Peer, request: &sip::Request) -> bool {
        self.setup.is_trusted(peer.addr.ip()) && self.account_of(peer, request).is_none()
    }

    /// The number of ours that is dialled, and what it means.
    pub(super) fn line_of(&self, request: &sip::Request) -> Option<(String, Line)> {
        let dnis = digits(&request.uri().user()?);
        let line = self.setup.lines.get(dnis.trim_start_matches('+'))?;
        Some((dnis, line.clone()))
    }

    /// The same of a number that is for supervisors alone.
    fn supervisors_line(&self, agent: AgentId, request: &sip::Request) -> Option<(String, Line)> {
        let dnis = digits(&request.uri().user()?);
        let lines = &self.setup.supervisor_lines;
        let line = lines.get(dnis.trim_start_matches('+'))?;
        let may = self.setup.supervisors.contains(&agent);
        may.then(|| (dnis, line.clone()))
    }

    /// The trunk whose call this is, whatever its address: its connection has
    /// shown its certificate, or we are registered there.
    fn trunk_of(&self, peer: sip::Peer, request: &sip::Request) -> Option<Arc<Trunk>> {
        let named = self.certified.get(&peer).or_else(|| {
            let user = request.uri().user()?;
            let registered = self.trunks.registered();
            registered.called_by(peer.addr.ip(), &user)
        });
        self.setup.trunks.get(named?).cloned()
    }

    /// A TLS connection's far end has shown who it is. Where two trunks have
    /// the same identity the first by name has the calls.
    pub(super) fn certify(&mut self, peer: sip::Peer, names: &[String]) {
        let is = |trunk: &&Arc<Trunk>| {
            let identity = trunk.identity.as_deref();
            identity.is_some_and(|own| names.iter().any(|name| name.eq_ignore_ascii_case(own)))
        };
        let meant = self.setup.trunks.values().filter(is);
        match meant.min_by(|a, b| a.name.cmp(&b.name)) {
            Some(trunk) => {
                self.certified.insert(peer, Arc::clone(&trunk.name));
            }
            // Another connection of the same far end may have been a trunk's.
            None => {
                self.certified.remove(&peer);
            }
        }
    }

    /// Providers call the Contact that we registered: the number dialled stands
    /// elsewhere (RFC 7315 section 4.2, or To), or is the one that is ours there.
    fn line_by_registration(
        &self,
        register: &Register,
        request: &sip::Request,
    ) -> Option<(String, Line)> {
        let mut numbers = said_numbers(request).chain(register.number.clone());
        numbers.find_map(|number| {
            let line = self.setup.lines.get(number.trim_start_matches('+'))?;
            Some((number, line.clone()))
        })
    }

    /// Whose telephone an emergency service calls back with this, and the number it calls.
    fn called_back(
        &self,
        now: Now,
        request: &sip::Request,
        register: Option<&Register>,
    ) -> Option<(Arc<str>, String)> {
        let marked = request.header("Priority");
        let marked = marked.is_some_and(|value| value.trim().eq_ignore_ascii_case("psap-callback"));
        let dialled = request.uri().user().map(|user| digits(&user));
        let said = register.map(|_| said_numbers(request));
        let mut numbers = dialled.into_iter().chain(said.into_iter().flatten());
        numbers.find_map(|number| {
            let line = self
                .setup
                .lines
                .contains_key(number.trim_start_matches('+'));
            let setup = &self.setup;
            let account = self.lately.meant(now.mono, setup, &number, marked, line)?;
            Some((Arc::clone(account), number))
        })
    }

    pub(super) fn no_room(&mut self) -> sip::Reply {
        self.counters.refused += 1;
        let reply = sip::Reply::new(self.setup.sip.refusal_code);
        match self.setup.sip.retry_after_s {
            Some(seconds) => reply.with("Retry-After", seconds.to_string()),
            None => reply,
        }
    }

    /// The user whose password a request shows; the challenge otherwise.
    pub(super) fn authenticate(
        &mut self,
        now: Now,
        peer: sip::Peer,
        request: &sip::Request,
        guesses: Guesses,
    ) -> Result<String, sip::Reply> {
        let accounts = phones::accounts(&self.setup);
        let (realm, source) = (&self.setup.realm, origin(&self.setup, peer, request));
        let claimed = sip::digest::claimed_user(request, realm).unwrap_or_default();
        let counted = guesses == Guesses::Counted;
        if counted && !claimed.is_empty() && !self.throttle.allows(now.mono, source, &claimed) {
            // Right or wrong, known or not: it isn't looked at.
            self.counters.sign_ins_blocked += 1;
            return Err(sip::Reply::new(403));
        }
        let verdict = self
            .authenticator
            .check(now.mono, source, request, realm, &accounts);
        drop(accounts);
        match verdict {
            Verdict::Accepted { username } => {
                if counted {
                    self.throttle.right(now.mono, source, &username);
                }
                self.known(peer);
                Ok(username)
            }
            Verdict::Challenge(reply) => {
                self.counters.challenged += 1;
                Err(reply)
            }
            Verdict::Refused(reply) => {
                self.counters.sign_ins_refused += 1;
                if counted {
                    let blocked = self.throttle.wrong(now.mono, source, &claimed);
                    self.out
                        .push_back(Output::SignInRefused { source, blocked });
                }
                Err(reply)
            }
        }
    }

    /// A stranger's connection may be closed for another's sake: this one's isn't.
    fn known(&mut self, peer: sip::Peer) {
        if peer.transport.is_reliable() {
            self.out.push_back(Output::Known { peer });
        }
    }

    /// The account that a request says it is from. A trunk may well send a
    /// calling number that is also the name of an account here: then the host
    /// has to be ours too, or a password be shown.
    fn account_of(&self, peer: sip::Peer, request: &sip::Request) -> Option<&Account> {
        let from = request.from()?;
        let account = self.setup.accounts.get(from.uri.user()?.as_ref())?;
        let ours = || {
            let host = from.uri.host_str();
            let ip = from.uri.host().and_then(sip::wire::Host::ip);
            let interface = &self.setup.interface;
            host.eq_ignore_ascii_case(&self.setup.realm)
                || interface.advertise.host.as_deref() == Some(host)
                || ip.is_some_and(|ip| ip == interface.bind.ip() || ip == interface.advertise.ip)
        };
        let meant = !self.setup.is_trusted(peer.addr.ip())
            || request.header("Authorization").is_some()
            || ours();
        meant.then_some(account)
    }
}

/// The numbers that a provider where we register says it calls (RFC 7315 section 4.2, or To).
fn said_numbers(request: &sip::Request) -> impl Iterator<Item = String> {
    ["P-Called-Party-ID", "To"].into_iter().filter_map(|name| {
        let named = sip::wire::NameAddr::parse(request.header(name)?).ok()?;
        Some(digits(&named.uri.user()?))
    })
}

/// Where a request began, as far as we believe it: behind a proxy of ours, where
/// that one had it from. Guesses are counted by it, and one guesser behind the
/// proxy must not block everybody who is.
fn origin(setup: &Setup, peer: sip::Peer, request: &sip::Request) -> IpAddr {
    let nearest = peer.addr.ip();
    if !setup.is_trusted(nearest) {
        return nearest;
    }
    // Topmost is the proxy's own, which wrote `received` into the next (RFC 3261 section 18.2.1).
    let before = request.vias().nth(1);
    let before = before.and_then(|via| {
        let received = via.params.get("received");
        received.and_then(|ip| ip.parse().ok()).or(via.host.ip())
    });
    before.unwrap_or(nearest)
}

#[cfg(test)]
mod tests;

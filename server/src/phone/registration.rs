//! Keeping a registration alive: a machine between the phone's task and its endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Credentials, Endpoint, Method, OutRequest, Peer, RequestId, Response, Uri};

use super::config::Registration;
use super::event::PhoneEventKind;

/// When a registration that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Shortest time a binding is refreshed after, whatever was granted.
const REFRESH_MIN: Duration = Duration::from_secs(1);
/// How often a server may ask for longer bindings before it is believed not to mean it.
const TOO_BRIEF_MAX: u32 = 2;

/// Keeps one binding.
pub(super) struct Registrar {
    account: Registration,
    /// Address of record, registrar and our Contact.
    aor: Uri,
    domain: Uri,
    contact: String,
    server: Peer,
    call_id: String,
    cseq: u32,
    expires: Duration,
    too_brief: u32,
    state: State,
}

enum State {
    /// To be sent at this time, for the first time, again, or after a failure.
    Due {
        at: Duration,
    },
    /// A REGISTER is on its way.
    Waiting {
        id: RequestId,
    },
    /// A REGISTER with Expires 0 is on its way.
    Leaving {
        id: RequestId,
    },
    Gone,
}

impl Registrar {
    /// Registers at once. None when account and server make no URI.
    pub(super) fn new(
        account: Registration,
        server: SocketAddr,
        host: &str,
        local: SocketAddr,
        call_id: String,
    ) -> Option<Registrar> {
        let port = (host == server.ip().to_string()).then(|| server.port());
        Some(Registrar {
            aor: Uri::sip(&account.user, host, port).ok()?,
            domain: Uri::sip("", host, port).ok()?,
            contact: format!(
                "<{}>",
                Uri::sip(&account.user, &local.ip().to_string(), Some(local.port())).ok()?
            ),
            server: Peer::udp(server),
            call_id,
            cseq: 1,
            expires: account.expires,
            too_brief: 0,
            state: State::Due { at: Duration::ZERO },
            account,
        })
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        match self.state {
            State::Due { at } => Some(at),
            _ => None,
        }
    }

    /// Sends what is due.
    pub(super) fn poll(&mut self, now: Duration, endpoint: &mut Endpoint) {
        if let State::Due { at } = self.state
            && at <= now
        {
            let id = self.send(now, endpoint, self.expires);
            self.state = State::Waiting { id };
        }
    }

    /// Takes the binding back.
    pub(super) fn leave(&mut self, now: Duration, endpoint: &mut Endpoint) {
        let id = self.send(now, endpoint, Duration::ZERO);
        self.state = State::Leaving { id };
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// The final response to a request, or none. None when the request isn't the registration's, or there is nothing
    /// to tell.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        id: RequestId,
        response: Option<&Response>,
    ) -> Option<PhoneEventKind> {
        match self.state {
            State::Leaving { id: ours } if ours == id => {
                self.state = State::Gone;
                return Some(PhoneEventKind::Unregistered);
            }
            State::Waiting { id: ours } if ours == id => {}
            _ => return None,
        }
        let Some(response) = response else {
            self.state = State::Due {
                at: now + RETRY_AFTER,
            };
            return Some(PhoneEventKind::RegistrationFailed { code: None });
        };
        // A retry with credentials took the next number, whoever counted it.
        self.cseq = self.cseq.max(response.cseq().saturating_add(1));
        match response.code() {
            200..300 => {
                self.too_brief = 0;
                let granted = self.granted(response);
                self.state = State::Due {
                    at: now + (granted / 2).max(REFRESH_MIN),
                };
                Some(PhoneEventKind::Registered { expires: granted })
            }
            // RFC 3261 section 10.2.8.
            423 if self.too_brief < TOO_BRIEF_MAX => {
                self.too_brief += 1;
                let wanted = response
                    .header("Min-Expires")
                    .and_then(|value| value.trim().parse().ok());
                self.expires = wanted.map_or(self.expires * 2, Duration::from_secs);
                self.state = State::Due { at: now };
                None
            }
            code => {
                self.state = State::Due {
                    at: now + RETRY_AFTER,
                };
                Some(PhoneEventKind::RegistrationFailed { code: Some(code) })
            }
        }
    }

    /// How long our binding lasts: what stands at our Contact, else in Expires (RFC 3261 section 10.2.4).
    fn granted(&self, response: &Response) -> Duration {
        let ours = response
            .contacts()
            .filter_map(|contact| sip::wire::NameAddr::parse(contact).ok())
            .find(|contact| self.contact.contains(contact.uri.as_str()));
        let at_contact = ours
            .as_ref()
            .and_then(|contact| contact.params.get("expires")?.parse().ok());
        let in_header = || {
            response
                .header("Expires")
                .and_then(|value| value.trim().parse().ok())
        };
        at_contact
            .or_else(in_header)
            .map_or(self.expires, Duration::from_secs)
    }

    fn send(&mut self, now: Duration, endpoint: &mut Endpoint, expires: Duration) -> RequestId {
        let request = OutRequest {
            method: Method::Register,
            target: self.domain.clone(),
            next_hop: self.server,
            from: self.aor.clone(),
            to: self.aor.clone(),
            call_id: Some(self.call_id.clone()),
            cseq: Some(self.cseq),
            headers: vec![
                ("Contact".to_owned(), self.contact.clone()),
                ("Expires".to_owned(), expires.as_secs().to_string()),
            ],
            body: None,
            credentials: Some(Credentials::new(
                self.account.user.clone(),
                self.account.secret.clone(),
            )),
        };
        // The retry with credentials takes the number after it.
        self.cseq += 2;
        endpoint.request(now, request)
    }
}

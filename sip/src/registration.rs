//! Our own registration at somebody else's registrar: how a trunk gets its
//! calls (RFC 3261 section 10.2, RFC 3327, RFC 3608, RFC 5626). Pure: it says
//! when a REGISTER is due and what is in it; sending is the endpoint's.

use std::time::Duration;

use rsip::Method;

use crate::digest::Credentials;
use crate::endpoint::OutRequest;
use crate::interface::{Interface, Peer};
use crate::message::Response;
use crate::wire::{NameAddr, Uri};

/// Shortest time between two REGISTERs, whatever the registrar grants.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// Longest interval believed or asked for.
const EXPIRES_MAX: Duration = Duration::from_secs(86_400);
/// Longest Retry-After obeyed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Service-Route entries taken.
const ROUTES_MAX: usize = 8;

/// What is registered, and where.
#[derive(Debug, Clone)]
pub struct RegistrationConfig {
    /// Whom calls are for: From and To.
    pub aor: Uri,
    /// The Request-URI: the registrar's domain.
    pub registrar: Uri,
    /// The user part of our Contact.
    pub contact_user: String,
    /// For how long we ask to be registered; 600 s is usual.
    pub expires: Duration,
    /// Answers its challenge.
    pub credentials: Option<Credentials>,
    /// Call-ID of every REGISTER.
    pub call_id: String,
    /// Who we are across restarts, `urn:uuid:…` (RFC 5626 section 4.1). With
    /// it the connection that carried the REGISTER is asked to be the one that
    /// calls come by, where that is a connection.
    pub instance: Option<String>,
    /// RFC 5626's `reg-id`: which of several ways to the registrar this is.
    pub reg_id: u32,
    /// First and longest wait after a failure (RFC 5626 section 4.5); 30 s and
    /// 30 min.
    pub retry: (Duration, Duration),
}

impl RegistrationConfig {
    /// With RFC 5626's waits and without an instance.
    #[must_use]
    pub fn new(aor: Uri, registrar: Uri, contact_user: &str, call_id: &str) -> Self {
        Self {
            aor,
            registrar,
            contact_user: contact_user.to_owned(),
            expires: Duration::from_secs(600),
            credentials: None,
            call_id: call_id.to_owned(),
            instance: None,
            reg_id: 1,
            retry: (Duration::from_secs(30), Duration::from_secs(1_800)),
        }
    }
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Never answered yet.
    New,
    /// Calls come in until then, unless it is refreshed.
    Registered {
        /// The registration's end.
        until: Duration,
    },
    /// It failed, or ran out; tried again at its time.
    Failed {
        /// The last answer; `None`: there was none.
        code: Option<u16>,
    },
    /// Taken back.
    Stopped,
}

/// One registration.
///
/// How to drive it: when [`poll_timeout`](Self::poll_timeout) has come, take
/// [`request`](Self::request), give it to
/// [`Endpoint::request`](crate::Endpoint::request), and hand back what comes of
/// it to [`answered`](Self::answered) or [`unanswered`](Self::unanswered).
#[derive(Debug)]
pub struct Registration {
    config: RegistrationConfig,
    expires: Duration,
    standing: Standing,
    /// `None` while a REGISTER is under way, or nothing is to be done.
    due: Option<Duration>,
    under_way: bool,
    stopping: bool,
    failures: u32,
    cseq: u32,
    /// By which address the registrar was last sought.
    hop: Option<Peer>,
    service_route: Vec<String>,
    outbound: bool,
    /// Somebody on the way doesn't know RFC 5626 (439): it is done without.
    first_hop_lacks_outbound: bool,
    dice: u64,
}

impl Registration {
    /// To be registered from `now` on. `seed` spreads refreshes and retries.
    #[must_use]
    pub fn new(now: Duration, config: RegistrationConfig, seed: u64) -> Self {
        Self {
            expires: config.expires.min(EXPIRES_MAX),
            config,
            standing: Standing::New,
            due: Some(now),
            under_way: false,
            stopping: false,
            failures: 0,
            cseq: 0,
            hop: None,
            service_route: Vec::new(),
            outbound: false,
            first_hop_lacks_outbound: false,
            dice: seed,
        }
    }

    /// How it stands. A registration that ran out is none.
    #[must_use]
    pub fn standing(&self, now: Duration) -> Standing {
        match self.standing {
            Standing::Registered { until } if until <= now => Standing::Failed { code: None },
            standing => standing,
        }
    }

    /// The Route of calls through this registrar (RFC 3608).
    #[must_use]
    pub fn service_route(&self) -> &[String] {
        &self.service_route
    }

    /// Whether the registrar keeps our connection for the calls to us
    /// (RFC 5626): it has to be kept open, and a new one registered on.
    #[must_use]
    pub fn is_outbound(&self) -> bool {
        self.outbound
    }

    /// When a REGISTER is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// The REGISTER that is due, to be sent to `hop`; `None` when none is.
    pub fn request(
        &mut self,
        now: Duration,
        hop: Peer,
        interface: &Interface,
    ) -> Option<OutRequest> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.due = None;
        self.under_way = true;
        self.hop = Some(hop);
        // A challenge takes the number after it.
        self.cseq += 2;
        let expires = match self.stopping {
            true => 0,
            false => self.expires.as_secs(),
        };
        let mut contact = Vec::new();
        interface.write_host_port(hop, &mut contact);
        let host = String::from_utf8_lossy(&contact);
        let mut value = format!("<sip:{}@{host}", self.config.contact_user);
        if let Some(transport) = hop.transport.uri_param() {
            value.push_str(";transport=");
            value.push_str(transport);
        }
        let mut headers = Vec::new();
        // Over UDP a flow would have to be kept by STUN, which we don't speak.
        let outbound = hop.transport.is_reliable() && !self.first_hop_lacks_outbound;
        match self.config.instance.as_ref().filter(|_| outbound) {
            Some(instance) => {
                value.push_str(&format!(
                    ";ob>;+sip.instance=\"<{instance}>\";reg-id={}",
                    self.config.reg_id
                ));
                headers.push(("Supported".to_owned(), "path, outbound".to_owned()));
            }
            None => {
                value.push('>');
                headers.push(("Supported".to_owned(), "path".to_owned()));
            }
        }
        headers.push(("Contact".to_owned(), value));
        headers.push(("Expires".to_owned(), expires.to_string()));
        Some(OutRequest {
            method: Method::Register,
            target: self.config.registrar.clone(),
            next_hop: hop,
            from: self.config.aor.clone(),
            to: self.config.aor.clone(),
            call_id: Some(self.config.call_id.clone()),
            cseq: Some(self.cseq),
            headers,
            body: None,
            credentials: self.config.credentials.clone(),
        })
    }

    /// The final response to the REGISTER. True when it is worth trying the
    /// registrar's next address at once rather than waiting (RFC 3263
    /// section 4.3).
    pub fn answered(&mut self, now: Duration, response: &Response) -> bool {
        if !std::mem::take(&mut self.under_way) {
            return false;
        }
        let code = response.code();
        if self.stopping && (200..300).contains(&code) {
            self.standing = Standing::Stopped;
            self.service_route.clear();
            return false;
        }
        match code {
            200..300 => self.granted(now, response),
            439 if !self.first_hop_lacks_outbound => {
                self.first_hop_lacks_outbound = true;
                self.due = Some(now);
            }
            // Section 10.2.8, once; a registrar that raises it for ever is a failure.
            423 => {
                let min = response.header("Min-Expires");
                let min = min.and_then(|value| value.trim().parse::<u64>().ok());
                let min = min.map(Duration::from_secs);
                match min.filter(|min| *min > self.expires && *min <= EXPIRES_MAX) {
                    Some(min) if self.failures == 0 => {
                        self.expires = min;
                        self.failures = 1;
                        self.due = Some(now);
                    }
                    _ => self.failed(now, Some(code), None),
                }
            }
            _ => {
                let after = response.header("Retry-After").and_then(|value| {
                    let digits = value.trim_start();
                    let end = digits.find(|c: char| !c.is_ascii_digit());
                    digits[..end.unwrap_or(digits.len())].parse().ok()
                });
                self.failed(now, Some(code), after.map(Duration::from_secs));
                return code == 503 || code == 408;
            }
        }
        false
    }

    /// No response came, or its connection broke. True: see
    /// [`answered`](Self::answered).
    pub fn unanswered(&mut self, now: Duration) -> bool {
        let was = std::mem::take(&mut self.under_way);
        if was {
            self.failed(now, None, None);
        }
        was
    }

    /// The next address is to be tried now.
    pub fn try_now(&mut self, now: Duration) {
        if !self.under_way && self.standing != Standing::Stopped {
            self.due = Some(now);
        }
    }

    /// The connection to the registrar is gone: registered anew at once, on
    /// another (RFC 5626 section 4.4), but not in step with everybody else's.
    pub fn flow_lost(&mut self, now: Duration, peer: Peer) {
        if self.hop == Some(peer) && self.standing != Standing::Stopped && !self.under_way {
            let spread = Duration::from_millis(self.below(1_000));
            self.due = Some(now + spread);
        }
    }

    /// To be registered no longer: the last REGISTER is due at once, if there
    /// is anything to take back.
    pub fn stop(&mut self, now: Duration) {
        self.stopping = true;
        match self.standing(now) {
            Standing::Registered { .. } => self.due = Some(now),
            _ => {
                self.due = None;
                self.standing = Standing::Stopped;
            }
        }
    }

    fn granted(&mut self, now: Duration, response: &Response) {
        self.failures = 0;
        let seconds = self.expires_granted(response);
        let granted = Duration::from_secs(seconds.min(EXPIRES_MAX.as_secs()));
        self.service_route = response
            .header_values("Service-Route")
            .take(ROUTES_MAX)
            .map(str::to_owned)
            .collect();
        self.outbound = response.lists("Require", "outbound");
        if granted.is_zero() {
            return self.failed(now, Some(response.code()), None);
        }
        self.standing = Standing::Registered {
            until: now + granted,
        };
        // Between four and five sixths: one lost REGISTER is repeated in time,
        // and a thousand trunks don't come back in step.
        let sixth = granted / 6;
        let spread = u64::try_from(sixth.as_millis()).unwrap_or(0);
        let jitter = Duration::from_millis(self.below(spread + 1));
        self.due = Some(now + (sixth * 4 + jitter).max(PAUSE_MIN));
    }

    /// How long our own contact lives: a registrar lists all of them.
    fn expires_granted(&self, response: &Response) -> u64 {
        let ours = response
            .contacts()
            .filter_map(|contact| NameAddr::parse(contact).ok())
            .find(|contact| contact.uri.user_raw() == Some(self.config.contact_user.as_str()));
        let said = ours
            .and_then(|contact| contact.params.get("expires"))
            .or_else(|| response.header("Expires"));
        said.and_then(|value| value.trim().parse().ok())
            .unwrap_or(self.expires.as_secs())
    }

    fn failed(&mut self, now: Duration, code: Option<u16>, after: Option<Duration>) {
        if self.stopping {
            self.standing = Standing::Stopped;
            return;
        }
        // What was granted before lasts as long as it lasts.
        if !matches!(self.standing(now), Standing::Registered { .. }) {
            self.standing = Standing::Failed { code };
        }
        let (base, most) = self.config.retry;
        let wait = base
            .saturating_mul(1 << self.failures.min(16))
            .min(most)
            .max(PAUSE_MIN);
        self.failures = self.failures.saturating_add(1);
        // Between half of it and all of it (RFC 5626 section 4.5).
        let half = wait / 2;
        let spread = u64::try_from(half.as_millis()).unwrap_or(0);
        let wait = half + Duration::from_millis(self.below(spread + 1));
        let wait = wait.max(after.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.due = Some(now + wait);
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

//! One event as a signed message (Standard Webhooks 1.0.0,
//! github.com/standard-webhooks/standard-webhooks).

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use sha2::Sha256;

use super::{Verdict, seconds};
use crate::config::WebhookConfig;
use crate::outward::{self, Address, Authorities};
use crate::secrets;
use crate::store::Logged;

/// How a secret begins, as it is written down.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret, by the specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// A webhook that can be called. Nothing of it is shown.
pub(super) struct Webhook {
    /// The hospital's key.
    hospital: String,
    address: Address,
    /// Each signs every message.
    keys: Vec<Vec<u8>>,
    events: Vec<String>,
    timeout: Duration,
}

impl Webhook {
    /// With the secrets and certificates that it needs.
    pub(super) fn of(
        hospital: &str,
        config: &WebhookConfig,
        dir: &Path,
        authorities: &mut Authorities,
    ) -> Result<Self, String> {
        let authority = config.authority.as_ref().map(|file| dir.join(file));
        let address = Address::of(&config.uri()?, authority.as_deref(), authorities)?;
        let key = |from| key(&secrets::find(from, dir)?);
        Ok(Self {
            hospital: hospital.to_owned(),
            address,
            keys: config.secrets.iter().map(key).collect::<Result<_, _>>()?,
            events: config.events.clone(),
            timeout: Duration::from_secs(config.timeout_s),
        })
    }

    /// Is it told such events?
    fn wants(&self, kind: &str) -> bool {
        let family = kind.split('.').next().unwrap_or_default();
        self.events.is_empty()
            || self
                .events
                .iter()
                .any(|name| name == kind || name == family)
    }

    /// The message about an event; `None`: it isn't told such.
    pub(super) fn message(&self, logged: &Logged) -> Option<Message> {
        // Enums and numbers: always written.
        let event = serde_json::to_value(logged.stamped.event).ok()?;
        let kind = event.get("type")?.as_str()?.to_owned();
        self.wants(&kind).then(|| {
            let body = serde_json::json!({
                "type": kind,
                "timestamp": hours::written(logged.stamped.at),
                "data": {
                    "hospital": self.hospital,
                    "seq": logged.seq,
                    "at_ms": logged.stamped.at,
                    "event": event,
                },
            });
            Message {
                id: format!("{}-{}", self.hospital, logged.seq),
                body: body.to_string(),
            }
        })
    }

    /// Sends it once. `at`: Unix milliseconds.
    pub(super) async fn send(&self, message: &Message, at: i64) -> Verdict {
        let Some(request) = self.request(message, at) else {
            return Verdict::Refused("it can't be sent".to_owned());
        };
        let sent = outward::exchange(&self.address, request, 0);
        match tokio::time::timeout(self.timeout, sent).await {
            Err(_) => Verdict::Later(outward::Fault::TimedOut.to_string(), None),
            Ok(Err(fault)) => Verdict::Later(fault.to_string(), None),
            Ok(Ok(reply)) => verdict(reply.status, reply.headers.get(RETRY_AFTER)),
        }
    }

    fn request(&self, message: &Message, at: i64) -> Option<Request<String>> {
        let seconds = at / 1_000;
        Request::builder()
            .method(Method::POST)
            .uri(self.address.path())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header(
                "webhook-signature",
                signatures(&self.keys, message, seconds),
            )
            .body(message.body.clone())
            .ok()
    }
}

/// What is sent, and sent again: nothing of it changes.
pub(super) struct Message {
    id: String,
    body: String,
}

/// Reads a secret: `whsec_` and base64.
fn key(secret: &str) -> Result<Vec<u8>, String> {
    let odd = || {
        format!(
            "a webhook's secret is {SECRET_PREFIX} and {} to {} bytes in base64; make one with: echo \
             {SECRET_PREFIX}$(openssl rand -base64 32)",
            SECRET_BYTES.start(),
            SECRET_BYTES.end()
        )
    };
    let bytes = secret.strip_prefix(SECRET_PREFIX).ok_or_else(odd)?;
    let bytes = STANDARD.decode(bytes).map_err(|_| odd())?;
    if SECRET_BYTES.contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(odd())
    }
}

/// One of each key, with spaces between them.
fn signatures(keys: &[Vec<u8>], message: &Message, seconds: i64) -> String {
    let mut all = String::new();
    for key in keys {
        // A key of any length is one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            continue;
        };
        mac.update(format!("{}.{seconds}.", message.id).as_bytes());
        mac.update(message.body.as_bytes());
        let separator = if all.is_empty() { "" } else { " " };
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let _ = write!(all, "{separator}v1,{signature}");
    }
    all
}

/// What an answer means.
fn verdict(status: StatusCode, after: Option<&HeaderValue>) -> Verdict {
    let said = format!("HTTP {}", status.as_u16());
    match status {
        status if status.is_success() => Verdict::Taken,
        // "The sender should disable the endpoint and stop sending messages to it."
        StatusCode::GONE => Verdict::Gone,
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::CONFLICT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        // Whoever lost a secret or moved is mended there, not by leaving events out.
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND => Verdict::Later(said, seconds(after)),
        status if status.is_client_error() => Verdict::Refused(said),
        // A redirection too: the address is the hospital's to change, not its far end's.
        _ => Verdict::Later(said, seconds(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example.
    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            body: "{\"test\": 2432232314}".to_owned(),
        };
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let keys = [key.clone(), key];
        assert_eq!(signatures(&keys[..1], &message, 1_614_265_330), expected);
        assert_eq!(
            signatures(&keys, &message, 1_614_265_330),
            format!("{expected} {expected}")
        );
    }

    #[test]
    fn a_secret_is_long_enough_and_says_what_it_is() {
        for odd in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
            "whsec_no base64",
        ] {
            assert!(key(odd).unwrap_err().contains("openssl rand"), "{odd}");
        }
    }

    #[test]
    fn an_answer_says_whether_to_try_again() {
        let of = |status, after: Option<&str>| {
            let after = after.map(|after| HeaderValue::from_str(after).unwrap());
            verdict(StatusCode::from_u16(status).unwrap(), after.as_ref())
        };
        assert!(matches!(of(204, None), Verdict::Taken));
        assert!(matches!(of(410, None), Verdict::Gone));
        assert!(matches!(of(422, None), Verdict::Refused(_)));
        assert!(matches!(of(302, None), Verdict::Later(_, None)));
        assert!(matches!(of(401, None), Verdict::Later(_, None)));
        let pause = Some(Duration::from_secs(7));
        assert!(matches!(of(429, Some("7")), Verdict::Later(_, asked) if asked == pause));
        assert!(matches!(of(503, Some("soon")), Verdict::Later(_, None)));
    }
}

//! Ways to the outside: trunks in `operator.yaml`, partners in a hospital's file.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use switch::Gateway;

use super::Encryption;

/// Most calls a trunk may be set to carry.
const CALLS_MAX: u32 = 10_000;
/// Longest number outside: fifteen digits (E.164) and what is dialled before them.
const DIGITS_MAX: usize = 20;
/// Most gateways of a trunk: each may cost a caller three seconds.
const GATEWAYS_MAX: usize = 4;
/// How long a registration may last.
const EXPIRES_S: std::ops::RangeInclusive<u64> = 60..=86_400;
const PROBE_EVERY_S: std::ops::RangeInclusive<u64> = 5..=3_600;

/// A trunk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// As partners name it.
    pub name: String,
    /// Where calls go, the preferred first: `sip:192.0.2.10:5060;transport=tcp`, or a name that the
    /// DNS knows (RFC 3263): `sips:pbx.example`.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// It registers here with this account. Tried before the gateways.
    pub account: Option<TrunkAccount>,
    /// Answers the gateways' challenges.
    pub credentials: Option<TrunkAccount>,
    /// Most calls at a time, both ways together; a clinical number is answered beyond them too.
    #[serde(default = "default_calls_max")]
    pub calls_max: u32,
    /// How many of them are kept for calls that come: we call out by the others alone.
    #[serde(default)]
    pub reserve_in: u32,
    /// How often each gateway is asked whether it lives, in seconds; 0: never.
    #[serde(default = "default_probe_every_s")]
    pub probe_every_s: u64,
    /// Whether it may see ticket numbers and calling numbers in headers of their own.
    #[serde(default)]
    pub trusted: bool,
    /// Whether its audio is encrypted: `off`, `offered`, `required`; as `careline.toml` says if absent.
    pub encryption: Option<Encryption>,
    /// How it takes the place of a telephone that calls an emergency service, besides by the calling
    /// number: `pidf-lo` in the body (RFC 6442).
    pub location: Option<LocationBy>,
    /// We register there, and its calls come by that. The registrar is tried before the gateways.
    pub register: Option<RegisterConfig>,
    /// The host name in its certificate, `pbx.example` (RFC 5922). Calls on TLS connections whose far
    /// end shows such a certificate, of one of `sip.tls.authorities`, are this trunk's.
    pub identity: Option<String>,
    /// What becomes of a call that it answers with a redirection (3xx).
    #[serde(default)]
    pub redirects: RedirectsConfig,
}

/// `redirects` of a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectsConfig {
    /// Who is called counts as unreachable.
    #[default]
    Refuse,
    /// The call goes on to a number that the hospital's `outside` rules allow by this trunk, or to another of its
    /// gateways; never elsewhere.
    Follow,
}

/// How a trunk takes a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum LocationBy {
    /// As a location object beside the offer.
    #[serde(rename = "pidf-lo")]
    PidfLo,
}

/// How we register with a provider.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterConfig {
    /// Where: `sip:provider.example`, `sip:192.0.2.10:5060;transport=tls`.
    pub registrar: String,
    /// User name there. Answers its challenges too, unless `credentials` says otherwise.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// Whom calls are for there, where that isn't the user at the registrar's host.
    pub aor: Option<String>,
    /// The number of ours that its calls are for when they don't name one of ours.
    pub number: Option<String>,
    /// For how long we ask to be registered, in seconds.
    #[serde(default = "default_expires_s")]
    pub expires_s: u64,
}

fn default_expires_s() -> u64 {
    600
}

impl std::fmt::Debug for RegisterConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterConfig")
            .field("registrar", &self.registrar)
            .finish_non_exhaustive()
    }
}

impl RegisterConfig {
    /// Without the user of our Contact, which isn't configured.
    fn register(&self) -> Result<switch::Register, String> {
        let aor = match &self.aor {
            Some(aor) => aor.clone(),
            None => {
                let registrar = sip::Uri::parse(&self.registrar).ok();
                let host = registrar.as_ref().map_or("", sip::Uri::host_str);
                format!("sip:{}@{host}", self.user)
            }
        };
        let aor = sip::Uri::parse(&aor)
            .ok()
            .filter(|uri| uri.user().is_some());
        let Some(aor) = aor else {
            return Err(
                "register: the `aor` is a SIP address, e.g. sip:15550100@provider.example".into(),
            );
        };
        if self.user.is_empty() || self.secret.is_empty() {
            return Err("register: a registration has a user and a secret".into());
        }
        if !EXPIRES_S.contains(&self.expires_s) {
            return Err(format!(
                "register: expires_s is {}; {} to {} seconds are asked for",
                self.expires_s,
                EXPIRES_S.start(),
                EXPIRES_S.end()
            ));
        }
        let digits =
            |number: &String| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if !self.number.iter().all(digits) {
            return Err("register: `number` is one of our lines, written with digits only".into());
        }
        Ok(switch::Register {
            aor,
            contact_user: Arc::from(""),
            instance: None,
            expires: Duration::from_secs(self.expires_s),
            number: self.number.clone(),
        })
    }
}

fn default_calls_max() -> u32 {
    30
}

fn default_probe_every_s() -> u64 {
    30
}

/// User and secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkAccount {
    /// User name.
    pub user: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for TrunkAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrunkAccount").finish_non_exhaustive()
    }
}

/// Somebody who takes calls over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerConfig {
    /// Stable number within the hospital.
    pub id: u32,
    /// The trunk that leads there.
    pub trunk: String,
    /// The number to call there.
    pub number: String,
}

/// Numbers outside to which agents may send a hospital's callers, and where
/// they may ask about them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideConfig {
    /// How they begin, as agents dial them: digits, perhaps behind a `+`.
    /// Premium numbers and numbers abroad are meant only by a prefix that says
    /// so: `+1900`, `+44`, not `+1`.
    pub prefix: String,
    /// How many digits they have, the `+` not counted.
    pub digits: usize,
    /// At most, where they differ in length.
    pub digits_max: Option<usize>,
    /// The trunk that takes them there.
    pub trunk: String,
}

impl OutsideConfig {
    /// The rule as the calls use it.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn rule(&self) -> Result<switch::OutsideRule, String> {
        let fault = |message: String| format!("outside \"{}\": {message}", self.prefix);
        let begin = self.prefix.strip_prefix('+').unwrap_or(&self.prefix);
        if begin.is_empty() || !begin.bytes().all(|b| b.is_ascii_digit()) {
            return Err(fault(
                "a prefix is one digit or more, with an optional leading +; write e.g. \"+1555\""
                    .into(),
            ));
        }
        let most = self.digits_max.unwrap_or(self.digits);
        if self.digits < begin.len() || most < self.digits || most > DIGITS_MAX {
            return Err(fault(format!(
                "digits is {} and digits_max {most}; numbers have as many digits as the prefix or \
                 more, and at most {DIGITS_MAX}",
                self.digits
            )));
        }
        Ok(switch::OutsideRule {
            prefix: self.prefix.clone(),
            digits: self.digits..=most,
            trunk: self.trunk.as_str().into(),
        })
    }
}

impl TrunkConfig {
    /// Must the DNS be asked where it is?
    pub(super) fn has_named_gateways(&self) -> bool {
        let mut gateways = self.gateways.iter();
        gateways.any(|text| matches!(gateway(text), Some(Gateway::Named { .. })))
    }

    /// The trunk as the calls use it.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn trunk(&self) -> Result<switch::Trunk, String> {
        let fault = |message: String| format!("trunk \"{}\": {message}", self.name);
        if self.account.is_none()
            && self.gateways.is_empty()
            && self.register.is_none()
            && self.identity.is_none()
        {
            return Err(fault(
                "leads nowhere; write `gateways`, the `account` it registers with, or `register`"
                    .into(),
            ));
        }
        if self.account.is_some() && self.register.is_some() {
            return Err(fault(
                "either it registers here (`account`), or we there (`register`)".into(),
            ));
        }
        if let Some(identity) = &self.identity
            && (identity.starts_with("*.")
                || sip::Uri::parse(&format!("sip:{identity}"))
                    .is_ok_and(|uri| uri.host_str() != identity))
        {
            return Err(fault(format!(
                "identity \"{identity}\" is the host name in its certificate, e.g. pbx.example"
            )));
        }
        if self.gateways.len() + usize::from(self.register.is_some()) > GATEWAYS_MAX {
            return Err(fault(format!("has more than {GATEWAYS_MAX} gateways")));
        }
        if !(1..=CALLS_MAX).contains(&self.calls_max) {
            return Err(fault(format!(
                "calls_max is {}; it carries 1 to {CALLS_MAX} calls",
                self.calls_max
            )));
        }
        if self.reserve_in >= self.calls_max {
            return Err(fault(format!(
                "reserve_in is {} of {} calls; leave one at least that we call by",
                self.reserve_in, self.calls_max
            )));
        }
        if self.probe_every_s != 0 && !PROBE_EVERY_S.contains(&self.probe_every_s) {
            return Err(fault(format!(
                "probe_every_s is {}; gateways are asked every {} to {} seconds, or never (0)",
                self.probe_every_s,
                PROBE_EVERY_S.start(),
                PROBE_EVERY_S.end()
            )));
        }
        let registered = self.account.iter().map(|account| {
            Ok(Gateway::Registered {
                user: account.user.as_str().into(),
            })
        });
        let registrar = self.register.iter().map(|register| &register.registrar);
        let gateways = registrar.chain(&self.gateways).map(|text| {
            gateway(text).ok_or_else(|| {
                fault(format!(
                    "gateway \"{text}\" isn't a SIP address; write e.g. sip:192.0.2.10:5060 or \
                     sip:192.0.2.10;transport=tls"
                ))
            })
        });
        Ok(switch::Trunk {
            name: Arc::from(self.name.as_str()),
            gateways: registered.chain(gateways).collect::<Result<_, _>>()?,
            calls_max: self.calls_max,
            reserve_in: self.reserve_in,
            credentials: match (&self.credentials, &self.register) {
                (Some(TrunkAccount { user, secret }), _)
                | (None, Some(RegisterConfig { user, secret, .. })) => {
                    Some(sip::Credentials::new(user.clone(), secret.clone()))
                }
                (None, None) => None,
            },
            probe_every: (self.probe_every_s != 0).then(|| Duration::from_secs(self.probe_every_s)),
            trusted: self.trusted,
            location: self.location.is_some(),
            encryption: self.encryption.map(Into::into),
            register: self
                .register
                .as_ref()
                .map(RegisterConfig::register)
                .transpose()
                .map_err(fault)?,
            identity: self.identity.as_deref().map(Arc::from),
            redirects: match self.redirects {
                RedirectsConfig::Refuse => switch::Redirects::Refuse,
                RedirectsConfig::Follow => switch::Redirects::Follow,
            },
        })
    }
}

impl PartnerConfig {
    /// Is it well written?
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        let mut digits = self.number.chars();
        let dialled =
            digits.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'));
        if self.number.is_empty() || !dialled {
            return Err(format!(
                "partner \"{name}\": number \"{}\" can't be dialled; write digits with an optional \
                 leading +, or a user name",
                self.number
            ));
        }
        Ok(())
    }
}

fn gateway(text: &str) -> Option<Gateway> {
    let uri = sip::Uri::parse(text).ok()?;
    let host = uri.host_str();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(ip) = literal.parse::<IpAddr>() else {
        uri.host()?;
        return Some(Gateway::Named { uri });
    };
    let transport = uri.transport().unwrap_or(sip::Transport::Udp);
    let port = uri.port().unwrap_or(transport.default_port());
    Some(Gateway::Address {
        host: host.to_owned(),
        peer: sip::Peer {
            addr: SocketAddr::new(ip, port),
            transport,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside() {
        for (prefix, digits, digits_max, expected) in [
            ("+1555", 11, None, Some(11..=11)),
            ("9", 3, Some(5), Some(3..=5)),
            ("", 11, None, None),
            ("+", 11, None, None),
            ("+1x", 11, None, None),
            ("1555", 3, None, None),
            ("1555", 11, Some(10), None),
            ("1555", 11, Some(30), None),
        ] {
            let config = OutsideConfig {
                prefix: prefix.into(),
                digits,
                digits_max,
                trunk: "city".into(),
            };
            let rule = config.rule().ok().map(|rule| rule.digits);
            assert_eq!(rule, expected, "{prefix} {digits} {digits_max:?}");
        }
    }

    #[test]
    fn gateways() {
        for (text, expected) in [
            ("sip:192.0.2.10", Some("192.0.2.10:5060 UDP")),
            ("sip:192.0.2.10:5090", Some("192.0.2.10:5090 UDP")),
            ("sip:192.0.2.10;transport=tcp", Some("192.0.2.10:5060 TCP")),
            ("sip:192.0.2.10;transport=tls", Some("192.0.2.10:5061 TLS")),
            ("sips:192.0.2.10", Some("192.0.2.10:5061 TLS")),
            ("sip:[2001:db8::1]:5070", Some("[2001:db8::1]:5070 UDP")),
            ("sip:pbx.example;transport=tls", Some("by name pbx.example")),
            ("192.0.2.10", None),
            ("tel:+15550100", None),
        ] {
            let told = gateway(text).map(|gateway| match gateway {
                Gateway::Address { peer, .. } => {
                    format!("{} {}", peer.addr, peer.transport.via_token())
                }
                Gateway::Named { uri } => format!("by name {}", uri.host_str()),
                Gateway::Registered { .. } => "registered".into(),
            });
            assert_eq!(told.as_deref(), expected, "{text}");
        }
    }
}

//! Ways to the outside: trunks in `operator.yaml`, partners in a hospital's file.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use switch::Gateway;

use super::Encryption;

/// Most calls a trunk may be set to carry.
const CALLS_MAX: u32 = 10_000;
/// Most gateways of a trunk: each may cost a caller three seconds.
const GATEWAYS_MAX: usize = 4;
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
    /// Most calls at a time.
    #[serde(default = "default_calls_max")]
    pub calls_max: u32,
    /// How often each gateway is asked whether it lives, in seconds; 0: never.
    #[serde(default = "default_probe_every_s")]
    pub probe_every_s: u64,
    /// Whether it may see ticket numbers and calling numbers in headers of their own.
    #[serde(default)]
    pub trusted: bool,
    /// Whether its audio is encrypted: `off`, `offered`, `required`; as `careline.toml` says if absent.
    pub encryption: Option<Encryption>,
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

impl TrunkConfig {
    /// The trunk as the calls use it.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn trunk(&self) -> Result<switch::Trunk, String> {
        let fault = |message: String| format!("trunk \"{}\": {message}", self.name);
        if self.account.is_none() && self.gateways.is_empty() {
            return Err(fault(
                "leads nowhere; write `gateways`, or the `account` it registers with".into(),
            ));
        }
        if self.gateways.len() > GATEWAYS_MAX {
            return Err(fault(format!("has more than {GATEWAYS_MAX} gateways")));
        }
        if !(1..=CALLS_MAX).contains(&self.calls_max) {
            return Err(fault(format!(
                "calls_max is {}; it carries 1 to {CALLS_MAX} calls",
                self.calls_max
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
        let gateways = self.gateways.iter().map(|text| {
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
            credentials: self
                .credentials
                .as_ref()
                .map(|account| sip::Credentials::new(account.user.clone(), account.secret.clone())),
            probe_every: (self.probe_every_s != 0).then(|| Duration::from_secs(self.probe_every_s)),
            trusted: self.trusted,
            encryption: self.encryption.map(Into::into),
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

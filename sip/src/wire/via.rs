//! Via: where a request came through, and where its response goes.

use super::params::{Params, is_token};
use super::uri::{Host, parse_port};

/// RFC 3261 section 8.1.1.7: branches of RFC 3261 elements start with this.
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport token (`UDP`, `TCP`, …).
    pub transport: &'a str,
    /// Host of the sent-by.
    pub host: Host<'a>,
    /// Port of the sent-by, when written.
    pub port: Option<u16>,
    /// Parameters: `branch`, `received`, `rport`, …
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one Via value (`SIP/2.0/UDP host:port;branch=…`, blanks where the
    /// grammar lets them stand). `None` when it isn't one.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (protocol, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !protocol.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" {
            return None;
        }
        let rest = rest.trim_start();
        let end = rest.find([' ', '\t'])?;
        let (transport, rest) = (&rest[..end], rest[end..].trim_start());
        if !is_token(transport) {
            return None;
        }
        let (sent_by, params) = match rest.find(';') {
            Some(at) => (rest[..at].trim_end(), Params::new(&rest[at + 1..])),
            None => (rest.trim_end(), Params::default()),
        };
        let (host, port) = match sent_by.rfind(':') {
            // A colon inside brackets belongs to the address.
            Some(at) if !sent_by[at..].contains(']') => (
                sent_by[..at].trim_end(),
                Some(parse_port(sent_by[at + 1..].trim_start())?),
            ),
            _ => (sent_by, None),
        };
        if !params.is_well_formed() {
            return None;
        }
        Some(Self {
            transport,
            host: Host::parse(host)?,
            port,
            params,
        })
    }

    /// The branch, when it is one of RFC 3261: with the cookie and more behind
    /// it.
    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch").filter(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch
                    .get(..MAGIC_COOKIE.len())
                    .is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vias_are_taken_apart() {
        let check = |text: &str, parts: Option<(&str, &str, Option<u16>, Option<&str>)>| {
            let via = Via::parse(text);
            let host = via.as_ref().map(|v| v.host.to_string());
            let got = via
                .as_ref()
                .map(|v| (v.transport, host.as_deref().unwrap(), v.port, v.branch()));
            assert_eq!(got, parts, "{text}");
        };
        check(
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
            Some(("UDP", "192.0.2.1", None, Some("z9hG4bK1"))),
        );
        check(
            "SIP  / 2.0\t/TCP   spindle.example.com : 5070 ; branch  = z9hG4bK9ikj8 ;rport",
            Some((
                "TCP",
                "spindle.example.com",
                Some(5070),
                Some("z9hG4bK9ikj8"),
            )),
        );
        check(
            "SIP/2.0/UDP [2001:db8::9]:5061",
            Some(("UDP", "[2001:db8::9]", Some(5061), None)),
        );
        check(
            "SIP/2.0/UDP [2001:db8::9]",
            Some(("UDP", "[2001:db8::9]", None, None)),
        );
        check(
            "SIP/2.0/UDP h;branch=z9hG4bK",
            Some(("UDP", "h", None, None)),
        );
        check("SIP/2.0/UDP h;branch=old", Some(("UDP", "h", None, None)));
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0 h",
            "SIP/3.0/UDP h",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h;;a",
            "SIP/2.0/UDP h;,",
            "SIP/2.0/UDP h:99999",
        ] {
            check(bad, None);
        }
    }
}

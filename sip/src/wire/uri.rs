//! SIP, SIPS and tel URIs, kept as they came.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::params::{Params, unescape};
use crate::interface::Transport;

/// A URI's scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Anything else; legal in From, To and Contact (RFC 3261 section 25.1),
    /// answered with 416 in a Request-URI.
    Other,
}

/// Why a text is not a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UriError;

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a URI")
    }
}

impl std::error::Error for UriError {}

/// The host of a URI or Via.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// An address literal; IPv6 stood in brackets.
    Ip(IpAddr),
    /// A name.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host, `[` `]` around IPv6.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']')?;
            return inner.parse::<Ipv6Addr>().ok().map(|ip| Self::Ip(ip.into()));
        }
        if text.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && let Ok(ip) = text.parse::<IpAddr>()
        {
            return Some(Self::Ip(ip));
        }
        // An underscore isn't legal in a host name, yet common inside LANs.
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        (!text.is_empty() && text.bytes().all(legal)).then_some(Self::Name(text))
    }

    /// The address, when it is one.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A URI, held as one text with the places of its parts, so that what came is
/// sent on unchanged (`transport=`, escapes, order of parameters).
///
/// `==` compares the text; [`Uri::same_as`] follows RFC 3261 section 19.1.4.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    text: Box<str>,
    scheme: Scheme,
    /// Start and end of the user part (of the number, for tel).
    user: (u16, u16),
    /// Start and end of the host; empty for tel and unknown schemes.
    host: (u16, u16),
    port: Option<u16>,
    /// Start of the parameters, after the `;`; end of text when none.
    params: u16,
    /// Start of the headers, after the `?`; end of text + 1 when none.
    headers: u16,
}

/// Longest URI taken.
const LENGTH_MAX: usize = 4096;

impl Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// When it has no scheme, or doesn't follow its scheme's grammar, or is
    /// longer than 4096 bytes. Characters beyond ASCII are tolerated in the
    /// user part.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError)?;
        let scheme_ok = scheme
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphabetic)
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let blank = |b: u8| b <= b' ' || b == 0x7f || matches!(b, b'<' | b'>' | b'"');
        if !scheme_ok || rest.is_empty() || text.len() > LENGTH_MAX || text.bytes().any(blank) {
            return Err(UriError);
        }
        if scheme.eq_ignore_ascii_case("sip") {
            Self::parse_sip(text, Scheme::Sip, scheme.len() + 1)
        } else if scheme.eq_ignore_ascii_case("sips") {
            Self::parse_sip(text, Scheme::Sips, scheme.len() + 1)
        } else if scheme.eq_ignore_ascii_case("tel") {
            Self::parse_tel(text, scheme.len() + 1)
        } else {
            let end = offset(text.len());
            Ok(Self {
                text: text.into(),
                scheme: Scheme::Other,
                user: (end, end),
                host: (end, end),
                port: None,
                params: end,
                headers: end + 1,
            })
        }
    }

    fn parse_sip(text: &str, scheme: Scheme, start: usize) -> Result<Self, UriError> {
        // The user part may hold `;`, `?` and `:`, so look for `@` first; it
        // can't stand unescaped elsewhere (RFC 3261 section 25.1).
        let (user, host_start) = match text[start..].find('@') {
            Some(0) => return Err(UriError),
            Some(at) => {
                let userinfo = &text[start..start + at];
                let user_len = userinfo.find(':').unwrap_or(at);
                if user_len == 0 {
                    return Err(UriError);
                }
                ((start, start + user_len), start + at + 1)
            }
            None => ((start, start), start),
        };
        let rest = &text[host_start..];
        let host_len = if rest.starts_with('[') {
            rest.find(']').ok_or(UriError)? + 1
        } else {
            rest.find([':', ';', '?']).unwrap_or(rest.len())
        };
        Host::parse(&rest[..host_len]).ok_or(UriError)?;
        let mut at = host_start + host_len;
        let mut port = None;
        if let Some(tail) = text[at..].strip_prefix(':') {
            let len = tail.find([';', '?']).unwrap_or(tail.len());
            port = Some(parse_port(&tail[..len]).ok_or(UriError)?);
            at += 1 + len;
        }
        let headers = text[at..].find('?').map(|i| at + i);
        let params_end = headers.unwrap_or(text.len());
        let params = match &text[at..params_end] {
            "" => params_end,
            params if params.starts_with(';') => at + 1,
            _ => return Err(UriError),
        };
        Ok(Self {
            text: text.into(),
            scheme,
            user: (offset(user.0), offset(user.1)),
            host: (offset(host_start), offset(host_start + host_len)),
            port,
            params: offset(params),
            headers: offset(headers.unwrap_or(text.len()) + 1),
        })
    }

    fn parse_tel(text: &str, start: usize) -> Result<Self, UriError> {
        let number_len = text[start..].find(';').unwrap_or(text.len() - start);
        let number = &text[start..start + number_len];
        // RFC 3966 section 3: digits, `+`, visual separators; hex digits, `*`
        // and `#` in local numbers.
        let legal = |b: u8| b.is_ascii_hexdigit() || b"+*#-.()%".contains(&b);
        if number.is_empty() || !number.bytes().all(legal) {
            return Err(UriError);
        }
        let end = offset(text.len());
        Ok(Self {
            text: text.into(),
            scheme: Scheme::Tel,
            user: (offset(start), offset(start + number_len)),
            host: (end, end),
            port: None,
            params: offset((start + number_len + 1).min(text.len())),
            headers: end + 1,
        })
    }

    /// A SIP URI from its parts. `user` is escaped as needed; `host` is a name,
    /// an address, or a bracketed IPv6 address.
    ///
    /// # Errors
    /// When `host` is not a host.
    pub fn sip(user: &str, host: &str, port: Option<u16>) -> Result<Self, UriError> {
        let mut text = String::with_capacity(user.len() + host.len() + 12);
        text.push_str("sip:");
        if !user.is_empty() {
            escape_user(user, &mut text);
            text.push('@');
        }
        match host.parse::<Ipv6Addr>() {
            Ok(ip) => text.push_str(&format!("[{ip}]")),
            Err(_) => text.push_str(host),
        }
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        Self::parse(&text)
    }

    /// The URI as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user part (tel: the number) as it stands, escapes included.
    #[must_use]
    pub fn user_raw(&self) -> Option<&str> {
        let user = &self.text[usize::from(self.user.0)..usize::from(self.user.1)];
        (!user.is_empty()).then_some(user)
    }

    /// The user part (tel: the number) without escapes.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.user_raw().map(unescape)
    }

    /// The host; `None` for tel and unknown schemes.
    #[must_use]
    pub fn host(&self) -> Option<Host<'_>> {
        Host::parse(self.host_str())
    }

    /// The host as it stands, with the brackets of an IPv6 address.
    #[must_use]
    pub fn host_str(&self) -> &str {
        &self.text[usize::from(self.host.0)..usize::from(self.host.1)]
    }

    /// The port, when one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// `urn:service:sos` or one of the services beneath it, such as
    /// `urn:service:sos.fire` (RFC 5031 section 4): an emergency service.
    #[must_use]
    pub fn is_emergency_service(&self) -> bool {
        const SOS: &str = "urn:service:sos";
        let begins = self.text.get(..SOS.len());
        begins.is_some_and(|text| text.eq_ignore_ascii_case(SOS))
            && matches!(self.text.as_bytes().get(SOS.len()), None | Some(b'.'))
    }

    /// URI parameters.
    #[must_use]
    pub fn params(&self) -> Params<'_> {
        let end = usize::from(self.headers) - 1;
        Params::new(&self.text[usize::from(self.params).min(end)..end])
    }

    /// What the `transport` parameter or the scheme asks for (RFC 3261 section
    /// 19.1.1); none when neither does, or for what isn't spoken here.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        if self.scheme == Scheme::Sips {
            return Some(Transport::Tls);
        }
        let asked = self.params().get("transport")?;
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find(|known| asked.eq_ignore_ascii_case(known.via_token()))
    }

    /// The `?name=value&…` part without the `?`, if any.
    #[must_use]
    pub fn headers(&self) -> Option<&str> {
        self.text.get(usize::from(self.headers)..)
    }

    /// The URI without headers, which may not stand in a Request-URI, Route or To (RFC 3261
    /// section 19.1.1, table 1), whatever Contact they came in.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.text[..usize::from(self.headers) - 1]
    }

    /// RFC 3261 section 19.1.4: scheme and host in any case, user exactly
    /// (escapes undone), port as written; `transport`, `user`, `ttl`, `method`
    /// and `maddr` must stand in both or neither; other parameters only must
    /// not contradict. tel numbers are compared without visual separators.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => self.text.eq_ignore_ascii_case(&other.text),
            Scheme::Tel => {
                let digits = |uri: &Self| -> String {
                    let separator = |c: &char| !matches!(c, '-' | '.' | '(' | ')');
                    uri.user_raw()
                        .unwrap_or("")
                        .chars()
                        .filter(separator)
                        .collect()
                };
                digits(self).eq_ignore_ascii_case(&digits(other))
            }
            Scheme::Sip | Scheme::Sips => {
                let same_host = match (self.host(), other.host()) {
                    (Some(Host::Ip(a)), Some(Host::Ip(b))) => a == b,
                    (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(b),
                    _ => false,
                };
                let one_sided = |a: &Self, b: &Self| {
                    a.params()
                        .iter()
                        .all(|(name, value)| match b.params().get(name) {
                            Some(theirs) => unescape(value).eq_ignore_ascii_case(&unescape(theirs)),
                            None => !["transport", "user", "ttl", "method", "maddr"]
                                .iter()
                                .any(|must| name.eq_ignore_ascii_case(must)),
                        })
                };
                same_host
                    && self.user() == other.user()
                    && self.port == other.port
                    && self.headers() == other.headers()
                    && one_sided(self, other)
                    && one_sided(other, self)
            }
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

/// Texts are at most `LENGTH_MAX` long, so this never saturates.
fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX - 1)
}

pub(crate) fn parse_port(text: &str) -> Option<u16> {
    (!text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Writes `user` with everything escaped that may not stand in a user part.
pub(crate) fn escape_user(user: &str, out: &mut String) {
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// user, host, port, params, headers
    type Parts<'a> = (&'a str, &'a str, Option<u16>, &'a str, Option<&'a str>);

    fn check(text: &str, parts: Option<Parts<'_>>) {
        let uri = Uri::parse(text);
        let got = uri.as_ref().ok().map(|uri| {
            assert_eq!(uri.as_str(), text);
            let behind = uri.headers().map_or(0, |headers| headers.len() + 1);
            assert_eq!(uri.bare(), &text[..text.len() - behind]);
            (
                uri.user_raw().unwrap_or(""),
                uri.host_str(),
                uri.port(),
                uri.params().as_str(),
                uri.headers(),
            )
        });
        assert_eq!(got, parts, "{text}");
    }

    #[test]
    fn uris_are_taken_apart() {
        check("sip:example.com", Some(("", "example.com", None, "", None)));
        check("sip:a@b:5070", Some(("a", "b", Some(5070), "", None)));
        check(
            "SIP:first.last@host",
            Some(("first.last", "host", None, "", None)),
        );
        check(
            "sips:a@[2001:db8::1]:5061;transport=TCP;lr",
            Some(("a", "[2001:db8::1]", Some(5061), "transport=TCP;lr", None)),
        );
        check(
            "sip:user;par=u%40example.net@example.com",
            Some(("user;par=u%40example.net", "example.com", None, "", None)),
        );
        check("sip:a:secret@b;x", Some(("a", "b", None, "x", None)));
        check("sip:b?Route=x", Some(("", "b", None, "", Some("Route=x"))));
        check(
            "sip:a@b;lr?h=1&g=2",
            Some(("a", "b", None, "lr", Some("h=1&g=2"))),
        );
        check(
            "tel:+1-201-555-0123;ext=5",
            Some(("+1-201-555-0123", "", None, "ext=5", None)),
        );
        check("tel:911", Some(("911", "", None, "", None)));
        check("isbn:2983792873", Some(("", "", None, "", None)));
        for bad in [
            "",
            "sip",
            "sip:",
            "sip:@b",
            "sip:a@",
            "sip:a@b:",
            "sip:a@b:70000",
            "sip:a b@c",
            "sip:a@b:5o",
            "sip:a@[::1",
            "sip:a@[zz]",
            "sip:a@b,c",
            "tel:",
            "tel:hallo!",
            "1sip:a",
            "<sip:a@b>",
            "sip::x@b",
            "sip:a@[::1]x",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn emergency_services() {
        for (text, expected) in [
            ("urn:service:sos", true),
            ("URN:Service:SOS.police", true),
            ("urn:service:sosx", false),
            ("urn:service:counseling", false),
            ("sip:sos@b", false),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!(uri.is_emergency_service(), expected, "{text}");
        }
    }

    #[test]
    fn sameness_follows_the_rfc() {
        let check = |a: &str, b: &str, same: bool| {
            let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
            assert_eq!(a.same_as(&b), same, "{a} {b}");
            assert_eq!(b.same_as(&a), same, "{b} {a}");
        };
        check(
            "sip:%61lice@AtLanTa.CoM;Transport=tcp",
            "sip:alice@atlanta.com;transport=TCP",
            true,
        );
        check(
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;newparam=5",
            true,
        );
        check(
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
            true,
        );
        check(
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
            false,
        );
        check("SIP:ALICE@a.com", "sip:alice@a.com", false);
        check("sip:bob@b.com", "sip:bob@b.com:5060", false);
        check("sip:bob@b.com", "sip:bob@b.com;transport=udp", false);
        check("sip:a@b.com", "sips:a@b.com", false);
        check("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]", true);
        check("tel:+1-201-555-0123", "tel:+12015550123", true);
    }

    #[test]
    fn built_uris_escape_the_user() {
        assert_eq!(
            Uri::sip("a b@c", "h", Some(1)).unwrap().as_str(),
            "sip:a%20b%40c@h:1"
        );
        assert_eq!(
            Uri::sip("", "2001:db8::1", None).unwrap().as_str(),
            "sip:[2001:db8::1]"
        );
        assert!(Uri::sip("a", "h\r\nX: y", None).is_err());
    }
}

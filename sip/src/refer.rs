//! What a REFER asks for (RFC 3515), and which call it means to replace
//! (RFC 3891).

use std::fmt;

use crate::message::Request;
use crate::wire::{NameAddr, Pieces, Scheme, Uri};

/// A REFER, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refer {
    /// Whom to call, without what was hung on for the INVITE.
    pub target: Uri,
    /// The call that the new one takes the place of: an attended transfer.
    pub replaces: Option<Replaces>,
    /// Referred-By (RFC 3892) as it came.
    pub referred_by: Option<String>,
    /// Whether the sender wants to hear how it went (RFC 4488).
    pub subscribes: bool,
}

/// A dialog as its far side knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Call-ID.
    pub call_id: String,
    /// The tag of who gets the INVITE with it.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only while it isn't answered (RFC 3891 section 7.1).
    pub early_only: bool,
}

impl Refer {
    /// Reads a REFER.
    ///
    /// # Errors
    /// The status code to answer with: 400 without exactly one Refer-To that
    /// is an address, 501 when it wants another method than INVITE.
    pub fn parse(request: &Request) -> Result<Self, u16> {
        let mut values = request.header_values("Refer-To");
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(400);
        };
        let uri = NameAddr::parse(value).map_err(|_| 400_u16)?.uri;
        if uri.scheme() == Scheme::Other {
            return Err(400);
        }
        let method = uri.params().get("method");
        if method.is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return Err(501);
        }
        let replaces = uri.headers().and_then(|headers| {
            headers.split('&').find_map(|header| {
                let (name, value) = header.split_once('=')?;
                name.eq_ignore_ascii_case("Replaces")
                    .then(|| unescape(value))
            })
        });
        let replaces = match replaces {
            Some(value) => Some(Replaces::parse(&value).ok_or(400_u16)?),
            None => None,
        };
        Ok(Self {
            target: Uri::parse(uri.bare()).map_err(|_| 400_u16)?,
            replaces,
            referred_by: request.header("Referred-By").map(str::to_owned),
            subscribes: request
                .header("Refer-Sub")
                .is_none_or(|value| !value.trim().eq_ignore_ascii_case("false")),
        })
    }
}

impl Replaces {
    /// Reads a Replaces value. `None` without a Call-ID and both tags.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = Pieces::new(value, b';').map(str::trim);
        let call_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let (mut to_tag, mut from_tag) = (None, None);
        let mut early_only = false;
        for part in parts {
            match part.split_once('=') {
                Some((name, tag)) if name.eq_ignore_ascii_case("to-tag") => {
                    to_tag = Some(tag.to_owned());
                }
                Some((name, tag)) if name.eq_ignore_ascii_case("from-tag") => {
                    from_tag = Some(tag.to_owned());
                }
                None => early_only |= part.eq_ignore_ascii_case("early-only"),
                _ => {}
            }
        }
        Some(Self {
            call_id,
            to_tag: to_tag?,
            from_tag: from_tag?,
            early_only,
        })
    }

    /// As it stands behind `?Replaces=` in a URI.
    #[must_use]
    pub fn escaped(&self) -> String {
        let mut out = String::new();
        for byte in self.to_string().bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call_id,
            to_tag,
            from_tag,
            early_only,
        } = self;
        write!(f, "{call_id};to-tag={to_tag};from-tag={from_tag}")?;
        match early_only {
            true => f.write_str(";early-only"),
            false => Ok(()),
        }
    }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = (byte == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok())
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Peer;
    use crate::message::Message;
    use crate::wire::parse_datagram;

    fn parse(headers: &str) -> Result<Refer, u16> {
        let text = format!(
            "REFER sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
             From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 REFER\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        );
        match parse_datagram(text.as_bytes(), Peer::udp(([192, 0, 2, 9], 5060).into())) {
            Ok(Message::Request(request)) => Refer::parse(&request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_blind_transfer_names_its_target() {
        let refer = parse("Refer-To: <sip:2002@careline.example;user=phone>\r\n").unwrap();
        assert_eq!(refer.target.user().as_deref(), Some("2002"));
        assert_eq!((refer.replaces, refer.subscribes), (None, true));
        let refer = parse("r: sip:2002@x\r\nRefer-Sub: false\r\nb: <sip:a@x>\r\n").unwrap();
        assert!(!refer.subscribes);
        assert_eq!(refer.referred_by.as_deref(), Some("<sip:a@x>"));
    }

    #[test]
    fn an_attended_transfer_names_the_call_it_replaces() {
        let replaces = Replaces {
            call_id: "90a@host;odd".replace(';', "-"),
            to_tag: "12".into(),
            from_tag: "f=1".into(),
            early_only: true,
        };
        let refer = parse(&format!(
            "Refer-To: <sip:7@x?Replaces={}&X=1>\r\n",
            replaces.escaped()
        ))
        .unwrap();
        assert_eq!(refer.replaces, Some(replaces));
        assert_eq!(refer.target.as_str(), "sip:7@x");
    }

    #[test]
    fn what_is_no_transfer_is_refused() {
        for (headers, code) in [
            ("", 400),
            ("Refer-To: <sip:1@x>\r\nRefer-To: <sip:2@x>\r\n", 400),
            ("Refer-To: <http://x>\r\n", 400),
            ("Refer-To: <sip:1@x;method=BYE>\r\n", 501),
            ("Refer-To: <sip:1@x?Replaces=a%3Bto-tag%3D1>\r\n", 400),
            ("Refer-To: <sip:1@x?Replaces=%zz%3B>\r\n", 400),
        ] {
            assert_eq!(parse(headers), Err(code), "{headers}");
        }
    }
}

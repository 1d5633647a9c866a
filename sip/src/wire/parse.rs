//! Bytes to messages, or to the answer malformed ones deserve.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use rsip::{Header, Headers, Method};

use super::headers::{header, is_split_at_commas, set_value};
use super::name_addr::NameAddr;
use super::params::{Pieces, is_token};
use super::split::{Fault, Parts, VALUES_MAX, split, text};
use super::uri::{Scheme, Uri};
use super::via::Via;
use super::write::Writer;
use crate::endpoint::Transmit;
use crate::interface::Peer;
use crate::message::{Fields, Message, Request, Response};

/// Every method this stack acts on; stands in Allow.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, REGISTER";

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireError {
    /// Nothing is to be sent: not SIP, a malformed response or ACK, a
    /// keep-alive, or too broken to answer. The text says which.
    Silence(&'static str),
    /// A request the RFC has an answer for (400, 405, 416, 505 …); here it is.
    Answer(Transmit),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(why) => f.write_str(why),
            Self::Answer(_) => f.write_str("malformed request, answered"),
        }
    }
}

impl std::error::Error for WireError {}

/// Reads one datagram (or one framed message of a stream) that came from
/// `peer`. Content-Length is honoured: a longer datagram is cut (RFC 3261
/// section 18.3), a shorter one refused.
///
/// # Errors
/// [`WireError::Answer`] holds the ready response for a malformed or
/// unsupported request, [`WireError::Silence`] means there is nothing to do.
pub fn parse_datagram(bytes: &[u8], peer: Peer) -> Result<Message, WireError> {
    let Some(parts) = split(bytes) else {
        return Err(WireError::Silence("keep-alive"));
    };
    if parts.start.starts_with(b"SIP/") {
        return response(parts).map(Message::Response);
    }
    let line = text(parts.start).into_owned();
    match request(&line, &parts) {
        Ok(request) => Ok(Message::Request(request)),
        Err(fault) => Err(answer(&line, &parts, fault, peer)),
    }
}

fn response(parts: Parts<'_>) -> Result<Response, WireError> {
    const MALFORMED: WireError = WireError::Silence("malformed response");
    if parts.fault.is_some() {
        return Err(MALFORMED);
    }
    let line = text(parts.start);
    let line = line.strip_prefix("SIP/2.0 ").ok_or(MALFORMED)?;
    let (code, reason) = line.split_once(' ').unwrap_or((line, ""));
    let code = match code.parse::<u16>() {
        Ok(number @ 100..=699) if code.len() == 3 => number,
        _ => return Err(MALFORMED),
    };
    let reason = reason.to_owned();
    let (fields, cseq_method) = fields(&parts).map_err(|_| MALFORMED)?;
    let cseq_method = method(&cseq_method).ok_or(MALFORMED)?;
    Ok(Response {
        code,
        reason,
        cseq_method,
        fields,
    })
}

fn request(line: &str, parts: &Parts<'_>) -> Result<Request, Fault> {
    const BAD_LINE: Fault = Fault::bad("Bad Request Line");
    // Exactly two blanks: neither more of them nor any at the end
    // (RFC 3261 section 7.1).
    let (name, rest) = line.split_once(' ').ok_or(BAD_LINE)?;
    let (target, version) = rest.rsplit_once(' ').ok_or(BAD_LINE)?;
    if !is_token(name) {
        return Err(BAD_LINE);
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let another = version
            .get(..4)
            .is_some_and(|v| v.eq_ignore_ascii_case("SIP/"));
        return Err(if another {
            Fault {
                code: 505,
                reason: "Version Not Supported",
            }
        } else {
            BAD_LINE
        });
    }
    if let Some(fault) = parts.fault {
        return Err(fault);
    }
    let uri = Uri::parse(target).map_err(|_| Fault::bad("Bad Request-URI"))?;
    let (fields, cseq_method) = fields(parts)?;
    if cseq_method != name {
        return Err(Fault::bad("CSeq Method Differs"));
    }
    let method = method(name).ok_or(Fault {
        code: 405,
        reason: "Method Not Allowed",
    })?;
    // RFC 6881: a phone may call an emergency service by its name. CANCEL and ACK repeat what the INVITE said.
    let calls = matches!(method, Method::Invite | Method::Cancel | Method::Ack);
    if uri.scheme() == Scheme::Other && !(calls && uri.is_emergency_service()) {
        return Err(Fault {
            code: 416,
            reason: "Unsupported URI Scheme",
        });
    }
    // Headers may not stand in a Request-URI (section 19.1.1, table 1).
    if uri.headers().is_some() {
        return Err(Fault::bad("Headers In Request-URI"));
    }
    Ok(Request {
        method,
        uri,
        fields,
    })
}

/// Reads the headers and checks those the protocol can't do without
/// (section 8.1.1), each of which may stand once only.
fn fields(parts: &Parts<'_>) -> Result<(Fields, String), Fault> {
    let mut headers = Vec::with_capacity(parts.headers.len() + 4);
    let mut cseq = None;
    let mut from_tag = None;
    let mut to_tag = None;
    let mut call_id = false;
    let mut length: Option<usize> = None;
    let mut max_forwards = false;
    let mut top_via = false;
    for (name, value) in &parts.headers {
        let mut built = header(name, String::new());
        match built {
            Header::Via(_) => {
                for piece in Pieces::new(value, b',') {
                    Via::parse(piece.trim()).ok_or(Fault::bad("Bad Via"))?;
                }
                top_via = true;
            }
            Header::From(_) => {
                let tag = address_tag(value).ok_or(Fault::bad("Bad From"))?;
                if from_tag.replace(tag).is_some() {
                    return Err(Fault::bad("Two From Headers"));
                }
            }
            Header::To(_) => {
                let tag = address_tag(value).ok_or(Fault::bad("Bad To"))?;
                if to_tag.replace(tag).is_some() {
                    return Err(Fault::bad("Two To Headers"));
                }
            }
            Header::CallId(_) => {
                if value.is_empty() || value.contains([' ', '\t']) {
                    return Err(Fault::bad("Bad Call-ID"));
                }
                if std::mem::replace(&mut call_id, true) {
                    return Err(Fault::bad("Two Call-IDs"));
                }
            }
            Header::CSeq(_) => {
                let parsed = parse_cseq(value).ok_or(Fault::bad("Bad CSeq"))?;
                if cseq.replace(parsed).is_some() {
                    return Err(Fault::bad("Two CSeq Headers"));
                }
            }
            Header::MaxForwards(_) => {
                let repeated = std::mem::replace(&mut max_forwards, true);
                if value.parse::<u8>().is_err() || repeated {
                    return Err(Fault::bad("Bad Max-Forwards"));
                }
            }
            Header::ContentLength(_) => {
                let parsed = value
                    .bytes()
                    .all(|b| b.is_ascii_digit())
                    .then(|| value.parse());
                let Some(Ok(parsed)) = parsed else {
                    return Err(Fault::bad("Bad Content-Length"));
                };
                if length.is_some_and(|earlier| earlier != parsed) {
                    return Err(Fault::bad("Two Content-Lengths"));
                }
                length = Some(parsed);
                // The body says it from here on.
                continue;
            }
            _ => {}
        }
        if is_split_at_commas(&built) && value.contains(',') {
            for piece in Pieces::new(value, b',') {
                headers.push(header(name, piece.trim().to_owned()));
                if headers.len() > VALUES_MAX {
                    return Err(Fault::bad("Too Many Headers"));
                }
            }
        } else {
            set_value(&mut built, value.clone().into_owned());
            headers.push(built);
        }
    }
    if !top_via {
        return Err(Fault::bad("Missing Via"));
    }
    let (cseq, cseq_method) = cseq.ok_or(Fault::bad("Missing CSeq"))?;
    let from_tag = from_tag.ok_or(Fault::bad("Missing From"))?;
    let to_tag = to_tag.ok_or(Fault::bad("Missing To"))?;
    if !call_id {
        return Err(Fault::bad("Missing Call-ID"));
    }
    let body = match length {
        Some(length) => parts
            .rest
            .get(..length)
            .ok_or(Fault::bad("Content-Length Too Long"))?,
        None => parts.rest,
    };
    let fields = Fields {
        headers: Headers::from(headers),
        body: body.to_vec(),
        cseq,
        from_tag,
        to_tag,
    };
    Ok((fields, cseq_method))
}

/// `Some(tag)` when `value` is a name-addr or addr-spec.
#[allow(clippy::option_option)]
fn address_tag(value: &str) -> Option<Option<Box<str>>> {
    let address = NameAddr::parse(value).ok()?;
    Some(address.tag().map(Box::from))
}

/// `4711 INVITE`; the number is below 2^31 (RFC 3261 section 8.1.1.5).
fn parse_cseq(value: &str) -> Option<(u32, String)> {
    let (number, method) = value.split_once([' ', '\t'])?;
    let method = method.trim();
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse::<u32>().ok().filter(|n| *n < 1 << 31)?;
    (digits && is_token(method)).then(|| (number, method.to_owned()))
}

/// Methods are compared case-sensitively (RFC 3261 section 7.1).
pub(crate) fn method(name: &str) -> Option<Method> {
    Some(match name {
        "INVITE" => Method::Invite,
        "ACK" => Method::Ack,
        "BYE" => Method::Bye,
        "CANCEL" => Method::Cancel,
        "OPTIONS" => Method::Options,
        "REGISTER" => Method::Register,
        "INFO" => Method::Info,
        "UPDATE" => Method::Update,
        "PRACK" => Method::PRack,
        "REFER" => Method::Refer,
        "NOTIFY" => Method::Notify,
        "SUBSCRIBE" => Method::Subscribe,
        "MESSAGE" => Method::Message,
        "PUBLISH" => Method::Publish,
        _ => return None,
    })
}

/// The method as it stands on the wire.
pub(crate) fn method_name(method: Method) -> &'static str {
    match method {
        Method::Invite => "INVITE",
        Method::Ack => "ACK",
        Method::Bye => "BYE",
        Method::Cancel => "CANCEL",
        Method::Options => "OPTIONS",
        Method::Register => "REGISTER",
        Method::Info => "INFO",
        Method::Update => "UPDATE",
        Method::PRack => "PRACK",
        Method::Refer => "REFER",
        Method::Notify => "NOTIFY",
        Method::Subscribe => "SUBSCRIBE",
        Method::Message => "MESSAGE",
        Method::Publish => "PUBLISH",
    }
}

/// The response to a request that couldn't be taken, made of what could be
/// read. Nothing is sent for an ACK (section 17.1.1.3), nor without a Via.
fn answer(line: &str, parts: &Parts<'_>, fault: Fault, peer: Peer) -> WireError {
    // Only what calls itself SIP is answered, lest we talk to other protocols.
    let is_sip = line
        .trim_end()
        .rsplit(' ')
        .next()
        .and_then(|version| version.get(..4))
        .is_some_and(|version| version.eq_ignore_ascii_case("SIP/"));
    if !is_sip || line.starts_with("ACK ") {
        return WireError::Silence("malformed request");
    }
    let mut writer = Writer::response(fault.code, Some(fault.reason));
    let mut top: Option<&str> = None;
    let mut identity = blake3::Hasher::new();
    for (name, value) in &parts.headers {
        let built = header(name, String::new());
        match built {
            Header::Via(_) if top.is_none() => {
                let first = Pieces::new(value, b',').next().unwrap_or(value).trim();
                top = Some(first);
                identity.update(first.as_bytes());
                writer.header_with("Via", |out| write_top_via(first, peer, out));
                let others = value.get(first.len()..).map(|rest| rest.trim_start());
                if let Some(others) = others.and_then(|rest| rest.strip_prefix(',')) {
                    writer.header("Via", others.trim());
                }
            }
            Header::Via(_) => writer.header("Via", value),
            Header::To(_) => {
                let has_tag = address_tag(value).is_some_and(|tag| tag.is_some());
                if has_tag {
                    writer.header("To", value);
                } else {
                    let tag = identity.finalize().to_hex();
                    writer.header("To", &format!("{value};tag={}", &tag[..16]));
                }
            }
            Header::From(_) | Header::CallId(_) | Header::CSeq(_) | Header::Timestamp(_) => {
                writer.header(super::name_value(&built).0, value);
            }
            _ => {}
        }
    }
    let Some(top) = top else {
        return WireError::Silence("request without Via");
    };
    if fault.code == 405 {
        writer.header("Allow", ALLOW);
    }
    WireError::Answer(Transmit {
        peer: response_target(top, peer),
        bytes: Arc::from(writer.finish("", &[])),
    })
}

/// Where the response to a request with this top Via goes (RFC 3261 section
/// 18.2.2, RFC 3581 section 4): to the source address, and to its port when
/// `rport` was asked for, else to the port of sent-by. `maddr` is not followed:
/// it would let anybody point our answers at a third party.
pub(crate) fn response_target(top_via: &str, peer: Peer) -> Peer {
    let mut target = peer;
    if !peer.transport.is_reliable()
        && let Some(via) = Via::parse(top_via)
        && !via.params.has("rport")
    {
        let port = via.port.unwrap_or(peer.transport.default_port());
        // Port 0 can't be sent to.
        if port != 0 {
            target.addr.set_port(port);
        }
    }
    target
}

/// Writes the top Via of a response: as it came, with `received` when the
/// source is another than sent-by says, and `rport` filled in (RFC 3581
/// section 4).
pub(crate) fn write_top_via(text: &str, peer: Peer, out: &mut Vec<u8>) {
    let Some(via) = Via::parse(text) else {
        out.extend_from_slice(text.as_bytes());
        return;
    };
    let source: IpAddr = peer.addr.ip().to_canonical();
    let wants_rport = via.params.has("rport");
    let head = text.len() - via.params.as_str().len();
    let head = text[..head].trim_end().trim_end_matches(';').trim_end();
    out.extend_from_slice(head.as_bytes());
    for (name, value) in via.params.iter() {
        // A peer has no say in these two.
        if name.eq_ignore_ascii_case("rport") || name.eq_ignore_ascii_case("received") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(name.as_bytes());
        if !value.is_empty() {
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
    }
    // Writing to a Vec can't fail.
    if wants_rport || via.host.ip() != Some(source) {
        let _ = write!(out, ";received={source}");
    }
    if wants_rport {
        let _ = write!(out, ";rport={}", peer.addr.port());
    }
}

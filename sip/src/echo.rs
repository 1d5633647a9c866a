//! What a response repeats of its request (RFC 3261 section 8.2.6), kept in
//! place of the request.

use rsip::headers::UntypedHeader;
use rsip::{Header, Method};

use crate::interface::Peer;
use crate::message::Request;
use crate::wire::{Writer, name_value, response_target, write_top_via};

/// The lines every response to one request begins with.
#[derive(Debug)]
pub(crate) struct Echo {
    /// Via, From, Call-ID, CSeq, Timestamp: whole lines.
    lines: Box<[u8]>,
    /// Record-Route: whole lines, for responses that make a dialog
    /// (section 12.1.1).
    record_route: Box<[u8]>,
    /// The To value as it came.
    to: Box<str>,
    to_has_tag: bool,
    /// Where the responses go.
    pub(crate) peer: Peer,
}

impl Echo {
    pub(crate) fn new(request: &Request, source: Peer) -> Self {
        let mut lines = Writer::fragment();
        let mut record_route = Writer::fragment();
        let mut peer = source;
        let mut top = true;
        for header in request.headers().iter() {
            match header {
                Header::Via(via) if std::mem::take(&mut top) => {
                    peer = response_target(via.value(), source);
                    lines.header_with("Via", |out| write_top_via(via.value(), source, out));
                }
                Header::Via(_)
                | Header::From(_)
                | Header::CallId(_)
                | Header::CSeq(_)
                | Header::Timestamp(_) => {
                    let (name, value) = name_value(header);
                    lines.header(name, value);
                }
                Header::RecordRoute(route) if request.method() == Method::Invite => {
                    record_route.header("Record-Route", route.value());
                }
                _ => {}
            }
        }
        Self {
            lines: lines.into_lines().into(),
            record_route: record_route.into_lines().into(),
            to: request.fields.recipient_text().into(),
            to_has_tag: request.to_tag().is_some(),
            peer,
        }
    }

    /// Begins a response. `tag` is put to a To without one.
    pub(crate) fn respond(&self, code: u16, reason: Option<&str>, tag: Option<&str>) -> Writer {
        let mut writer = Writer::response(code, reason);
        writer.lines(&self.lines);
        writer.header_with("To", |out| {
            out.extend_from_slice(self.to.as_bytes());
            if let Some(tag) = tag.filter(|_| !self.to_has_tag) {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag.as_bytes());
            }
        });
        if matches!(code, 101..=299) {
            writer.lines(&self.record_route);
        }
        writer
    }
}

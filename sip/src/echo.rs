//! What a response repeats of its request (RFC 3261 section 8.2.6), kept in
//! place of the request, and where it goes (section 18.2.2).

use rsip::headers::UntypedHeader;
use rsip::{Header, Method};

use crate::interface::{Peer, is_private};
use crate::message::Request;
use crate::wire::{Via, Writer, name_value, response_target, write_top_via};

/// Where the responses to a request go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Back {
    /// At the moment. On a stream the connection that the request came by.
    pub(crate) peer: Peer,
    /// Where its sender listens, for when that connection is closed: at the same address, whatever host it names.
    port: Option<u16>,
}

impl Back {
    pub(crate) fn new(top_via: &str, source: Peer) -> Self {
        let peer = response_target(top_via, source);
        let via = Via::parse(top_via).filter(|_| source.transport.is_reliable());
        // Who says a private address from a public one is behind NAT, where nothing of theirs listens.
        let natted = |via: &Via<'_>| {
            let said = via.host.ip();
            said.is_some_and(is_private) && !is_private(source.addr.ip())
        };
        let via = via.filter(|via| !natted(via) || source.addr.ip().is_loopback());
        let port = via.map(|via| via.port.unwrap_or(source.transport.default_port()));
        Self {
            peer,
            port: port.filter(|port| *port != 0),
        }
    }

    /// The same for a request.
    pub(crate) fn of(request: &Request, source: Peer) -> Self {
        Self::new(request.fields.via_text().unwrap_or(""), source)
    }

    /// A connection is closed. True when it was this one, and responses go by another from now on. Once: where that
    /// can't be made, or is closed too, nobody is there.
    pub(crate) fn moves(&mut self, lost: Peer) -> bool {
        let port = self.port.take_if(|_| self.peer == lost);
        if let Some(port) = port {
            self.peer.addr.set_port(port);
        }
        port.is_some()
    }
}

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
    pub(crate) back: Back,
}

impl Echo {
    pub(crate) fn new(request: &Request, source: Peer) -> Self {
        let mut lines = Writer::fragment();
        let mut record_route = Writer::fragment();
        let mut back = Back::new("", source);
        let mut top = true;
        for header in request.headers().iter() {
            match header {
                Header::Via(via) if std::mem::take(&mut top) => {
                    back = Back::new(via.value(), source);
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
            back,
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

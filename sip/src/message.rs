//! Messages as the wire gave them: rsip's method, status code and headers,
//! with what the protocol needs at every step read once.

use rsip::headers::UntypedHeader;
use rsip::{Header, Headers, Method, StatusCode};

use crate::wire::{self, NameAddr, Pieces, Uri, Via, Writer, name_value};

/// A parsed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// The message as bytes, for [`parse_datagram`](crate::parse_datagram).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

/// A request whose Via, From, To, Call-ID and CSeq are well-formed. Only the
/// parser makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) fields: Fields,
}

/// A response whose Via, From, To, Call-ID and CSeq are well-formed. Only the
/// parser makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) cseq_method: Method,
    pub(crate) fields: Fields,
}

/// What requests and responses share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) cseq: u32,
    pub(crate) from_tag: Option<Box<str>>,
    pub(crate) to_tag: Option<Box<str>>,
}

macro_rules! accessors {
    () => {
        /// All headers in order; comma lists of Via, Contact, Route,
        /// Record-Route and Path stand as entries of their own.
        /// Content-Length isn't among them: the body's length is its value.
        #[must_use]
        pub fn headers(&self) -> &Headers {
            &self.fields.headers
        }

        /// The first value of any header by its full name (any case).
        #[must_use]
        pub fn header(&self, name: &str) -> Option<&str> {
            self.fields
                .headers
                .iter()
                .map(name_value)
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        }

        /// Every value of a header by its full name (any case).
        pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
            self.fields
                .headers
                .iter()
                .map(name_value)
                .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        }

        /// The topmost Via.
        #[must_use]
        pub fn via(&self) -> Option<Via<'_>> {
            self.fields.via_text().and_then(Via::parse)
        }

        /// Every Via that can be read, the topmost first.
        pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
            let entries = self
                .fields
                .headers
                .iter()
                .filter_map(|header| match header {
                    Header::Via(via) => Some(via.value()),
                    _ => None,
                });
            entries.filter_map(Via::parse)
        }

        /// How many Via entries there are.
        #[must_use]
        pub fn via_count(&self) -> usize {
            let via = |header: &&Header| matches!(header, Header::Via(_));
            self.fields.headers.iter().filter(via).count()
        }

        /// From.
        #[must_use]
        pub fn from(&self) -> Option<NameAddr<'_>> {
            NameAddr::parse(self.fields.sender_text()).ok()
        }

        /// To.
        #[must_use]
        pub fn to(&self) -> Option<NameAddr<'_>> {
            NameAddr::parse(self.fields.recipient_text()).ok()
        }

        /// From's tag. Requests of RFC 2543 elements have none.
        #[must_use]
        pub fn from_tag(&self) -> Option<&str> {
            self.fields.from_tag.as_deref()
        }

        /// To's tag: set inside dialogs.
        #[must_use]
        pub fn to_tag(&self) -> Option<&str> {
            self.fields.to_tag.as_deref()
        }

        /// Call-ID.
        #[must_use]
        pub fn call_id(&self) -> &str {
            self.fields.call_id()
        }

        /// CSeq number.
        #[must_use]
        pub fn cseq(&self) -> u32 {
            self.fields.cseq
        }

        /// Contact values as they came (`*` included).
        pub fn contacts(&self) -> impl Iterator<Item = &str> {
            self.fields.headers.iter().filter_map(|h| match h {
                Header::Contact(contact) => Some(contact.value()),
                _ => None,
            })
        }

        /// Record-Route values in the order they stand.
        pub fn record_routes(&self) -> impl Iterator<Item = &str> {
            self.fields.headers.iter().filter_map(|h| match h {
                Header::RecordRoute(route) => Some(route.value()),
                _ => None,
            })
        }

        /// The body.
        #[must_use]
        pub fn body(&self) -> &[u8] {
            &self.fields.body
        }

        /// The body when it is session description: of type
        /// `application/sdp`, or without a type at all; of a body of several
        /// parts, the part that is.
        #[must_use]
        pub fn sdp(&self) -> Option<&[u8]> {
            self.fields.sdp()
        }

        /// True when a comma list of tokens (`Supported`, `Require`, `Allow`)
        /// holds `token`.
        #[must_use]
        pub fn lists(&self, name: &str, token: &str) -> bool {
            self.header_values(name)
                .flat_map(|value| Pieces::new(value, b','))
                .any(|t| t.trim().eq_ignore_ascii_case(token))
        }
    };
}

impl Request {
    accessors!();

    /// The method. Unknown ones don't get this far.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The Request-URI as it came: sip, sips or tel; of a call also an
    /// [emergency service](Uri::is_emergency_service).
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Max-Forwards, when there.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        self.header("Max-Forwards").and_then(|v| v.parse().ok())
    }

    /// The message as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let writer = Writer::request(wire::method_name(self.method), self.uri.as_str());
        wire::whole(writer, &self.fields.headers, &self.fields.body)
    }
}

impl Response {
    accessors!();

    /// The status code's number, 100 to 699.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The status code.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from(self.code)
    }

    /// The reason phrase as it came.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The method the response is to.
    #[must_use]
    pub fn method(&self) -> Method {
        self.cseq_method
    }

    /// The message as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let writer = Writer::response(self.code, Some(&self.reason));
        wire::whole(writer, &self.fields.headers, &self.fields.body)
    }
}

impl Fields {
    pub(crate) fn via_text(&self) -> Option<&str> {
        self.headers.iter().find_map(|h| match h {
            Header::Via(via) => Some(via.value()),
            _ => None,
        })
    }

    pub(crate) fn sender_text(&self) -> &str {
        let from = self.headers.iter().find_map(|h| match h {
            Header::From(from) => Some(from.value()),
            _ => None,
        });
        from.unwrap_or("")
    }

    pub(crate) fn recipient_text(&self) -> &str {
        let to = self.headers.iter().find_map(|h| match h {
            Header::To(to) => Some(to.value()),
            _ => None,
        });
        to.unwrap_or("")
    }

    pub(crate) fn call_id(&self) -> &str {
        let id = self.headers.iter().find_map(|h| match h {
            Header::CallId(id) => Some(id.value()),
            _ => None,
        });
        id.unwrap_or("")
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.headers.iter().find_map(|h| match h {
            Header::ContentType(kind) => Some(kind.value()),
            _ => None,
        })
    }

    fn sdp(&self) -> Option<&[u8]> {
        if self.body.is_empty() {
            return None;
        }
        let is_sdp = self.content_type().is_none_or(|kind| {
            let essence = kind.split(';').next().unwrap_or("").trim();
            essence.eq_ignore_ascii_case("application/sdp")
        });
        match is_sdp {
            true => Some(&self.body),
            false => wire::part(self.content_type()?, &self.body, "application/sdp"),
        }
    }
}

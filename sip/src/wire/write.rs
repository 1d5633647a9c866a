//! Messages to bytes, straight into one buffer.

use std::io::Write;

use rsip::Headers;

use super::headers::name_value;

/// Writes one message. Header values lose CR and LF, so nothing passed in can
/// begin a line of its own.
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(uri.as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        Self { out }
    }

    pub(crate) fn response(code: u16, reason: Option<&str>) -> Self {
        let mut writer = Self {
            out: Vec::with_capacity(768),
        };
        // Writing to a Vec can't fail, here and below.
        let _ = write!(writer.out, "SIP/2.0 {code} ");
        writer.clean(reason.unwrap_or_else(|| default_reason(code)));
        writer.out.extend_from_slice(b"\r\n");
        writer
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.clean(name);
        self.out.extend_from_slice(b": ");
        self.clean(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A header whose value is written by `value`.
    pub(crate) fn header_with(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        value(&mut self.out);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Whole lines that were written by a `Writer` before.
    pub(crate) fn lines(&mut self, lines: &[u8]) {
        self.out.extend_from_slice(lines);
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.header_with(name, |out| {
            let _ = write!(out, "{value}");
        });
    }

    /// Ends the message with its body and the lengths that go with it.
    pub(crate) fn finish(mut self, content_type: &str, body: &[u8]) -> Vec<u8> {
        if !body.is_empty() {
            self.header("Content-Type", content_type);
        }
        self.number("Content-Length", body.len() as u64);
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
        self.out
    }

    /// What was written so far, for reuse with [`Self::lines`].
    pub(crate) fn fragment() -> Self {
        Self {
            out: Vec::with_capacity(320),
        }
    }

    pub(crate) fn into_lines(self) -> Vec<u8> {
        self.out
    }

    fn clean(&mut self, text: &str) {
        if text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            let clean = |b: u8| {
                if matches!(b, b'\r' | b'\n' | 0) {
                    b' '
                } else {
                    b
                }
            };
            self.out.extend(text.bytes().map(clean));
        } else {
            self.out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Writes a message that was read, with its headers in order.
pub(crate) fn whole(mut writer: Writer, headers: &Headers, body: &[u8]) -> Vec<u8> {
    for header in headers.iter() {
        let (name, value) = name_value(header);
        writer.header(name, value);
    }
    writer.number("Content-Length", body.len() as u64);
    let mut out = writer.into_lines();
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// A display name as it may stand before `<`: quoted and escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(if c.is_control() { ' ' } else { c });
    }
    quoted.push('"');
    quoted
}

/// Reason phrases of RFC 3261 section 21 and later registrations.
pub(crate) fn default_reason(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        _ => match code / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Failure",
        },
    }
}

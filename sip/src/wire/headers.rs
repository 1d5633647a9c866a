//! Header names: full, compact, and as rsip's variants.

use rsip::Header;
use rsip::headers::UntypedHeader;

/// Longest header name taken.
const NAME_MAX: usize = 64;

/// One table for both directions: variant, canonical name, lower-case names
/// (compact form included, RFC 3261 section 7.3.3).
macro_rules! header_names {
    ($($variant:ident => $name:literal, $($lower:literal)|+;)*) => {
        /// The header of this name; unknown names are kept as they came, their
        /// compact forms written out.
        pub(crate) fn header(name: &str, value: String) -> Header {
            let mut lower = [0; NAME_MAX];
            let Some(lower) = lower.get_mut(..name.len()) else {
                return Header::Other(name.to_owned(), value);
            };
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            match &*lower {
                $($($lower)|+ => Header::$variant(value.into()),)*
                _ => Header::Other(extension_name(lower).unwrap_or(name).to_owned(), value),
            }
        }

        /// Gives a header made without a value its value.
        pub(crate) fn set_value(header: &mut Header, text: String) {
            match header {
                $(Header::$variant(header) => header.replace(text),)*
                Header::Other(_, value) => *value = text,
            }
        }

        /// A header's name and value.
        pub(crate) fn name_value(header: &Header) -> (&str, &str) {
            match header {
                $(Header::$variant(header) => ($name, header.value()),)*
                Header::Other(name, value) => (name, value),
            }
        }
    };
}

header_names! {
    Accept => "Accept", b"accept";
    AcceptEncoding => "Accept-Encoding", b"accept-encoding";
    AcceptLanguage => "Accept-Language", b"accept-language";
    AlertInfo => "Alert-Info", b"alert-info";
    Allow => "Allow", b"allow";
    AuthenticationInfo => "Authentication-Info", b"authentication-info";
    Authorization => "Authorization", b"authorization";
    CSeq => "CSeq", b"cseq";
    CallId => "Call-ID", b"call-id" | b"i";
    CallInfo => "Call-Info", b"call-info";
    Contact => "Contact", b"contact" | b"m";
    ContentDisposition => "Content-Disposition", b"content-disposition";
    ContentEncoding => "Content-Encoding", b"content-encoding" | b"e";
    ContentLanguage => "Content-Language", b"content-language";
    ContentLength => "Content-Length", b"content-length" | b"l";
    ContentType => "Content-Type", b"content-type" | b"c";
    Date => "Date", b"date";
    ErrorInfo => "Error-Info", b"error-info";
    Event => "Event", b"event" | b"o";
    Expires => "Expires", b"expires";
    From => "From", b"from" | b"f";
    InReplyTo => "In-Reply-To", b"in-reply-to";
    MaxForwards => "Max-Forwards", b"max-forwards";
    MimeVersion => "MIME-Version", b"mime-version";
    MinExpires => "Min-Expires", b"min-expires";
    Organization => "Organization", b"organization";
    Priority => "Priority", b"priority";
    ProxyAuthenticate => "Proxy-Authenticate", b"proxy-authenticate";
    ProxyAuthorization => "Proxy-Authorization", b"proxy-authorization";
    ProxyRequire => "Proxy-Require", b"proxy-require";
    RecordRoute => "Record-Route", b"record-route";
    ReplyTo => "Reply-To", b"reply-to";
    Require => "Require", b"require";
    RetryAfter => "Retry-After", b"retry-after";
    Route => "Route", b"route";
    Server => "Server", b"server";
    Subject => "Subject", b"subject" | b"s";
    SubscriptionState => "Subscription-State", b"subscription-state";
    Supported => "Supported", b"supported" | b"k";
    Timestamp => "Timestamp", b"timestamp";
    To => "To", b"to" | b"t";
    Unsupported => "Unsupported", b"unsupported";
    UserAgent => "User-Agent", b"user-agent";
    Via => "Via", b"via" | b"v";
    Warning => "Warning", b"warning";
    WwwAuthenticate => "WWW-Authenticate", b"www-authenticate";
}

/// Compact forms of headers rsip has no variant for: RFC 3515, 3892, 4028,
/// 3841, 6665, 8224.
fn extension_name(compact: &[u8]) -> Option<&'static str> {
    Some(match compact {
        b"r" => "Refer-To",
        b"b" => "Referred-By",
        b"x" => "Session-Expires",
        b"a" => "Accept-Contact",
        b"j" => "Reject-Contact",
        b"d" => "Request-Disposition",
        b"u" => "Allow-Events",
        b"y" => "Identity",
        _ => return None,
    })
}

/// Headers whose comma-separated values are entries of their own to us. The
/// other lists (Allow, Supported, …) are read as tokens.
pub(crate) fn is_split_at_commas(header: &Header) -> bool {
    match header {
        Header::Via(_) | Header::Contact(_) | Header::Route(_) | Header::RecordRoute(_) => true,
        Header::Other(name, _) => [
            "Path",
            "Service-Route",
            "P-Asserted-Identity",
            "Diversion",
            "History-Info",
        ]
        .iter()
        .any(|list| name.eq_ignore_ascii_case(list)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_form() {
        let check = |name: &str, canonical: &str| {
            let header = header(name, "x".into());
            assert_eq!(name_value(&header), (canonical, "x"));
        };
        check("v", "Via");
        check("I", "Call-ID");
        check("call-id", "Call-ID");
        check("CONTENT-LENGTH", "Content-Length");
        check("l", "Content-Length");
        check("k", "Supported");
        check("x", "Session-Expires");
        check("X-Careline-Ticket", "X-Careline-Ticket");
        check("mime-version", "MIME-Version");
        check(&"a".repeat(200), &"a".repeat(200));
    }
}

//! What a request says of who calls, as far as it is believed.

use desk::PhoneNumber;
use sip::wire::NameAddr;

/// Longest calling or called number taken from a message.
const NUMBER_MAX: usize = 32;
/// Diversion and History-Info entries passed on, of each, and how long they may be.
const CARRIED_MAX: usize = 5;
const CARRIED_LENGTH_MAX: usize = 512;

/// What goes along on the calls made for this one: its Session-ID (RFC 7989)
/// and, of a trunk that we believe, where it was dialled before it came to us
/// (Diversion, RFC 5806; History-Info, RFC 7044), but for what is private there.
pub(super) fn carried(request: &sip::Request, believed: bool) -> Vec<(String, String)> {
    let mut carried = Vec::new();
    let session = request.header("Session-ID").unwrap_or("");
    let session = session.split(';').next().unwrap_or("").trim();
    let is_id = session.len() == 32 && session.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id && session.bytes().any(|b| b != b'0') {
        let nobody = "0".repeat(32);
        let value = format!("{};remote={nobody}", session.to_ascii_lowercase());
        carried.push(("Session-ID".to_owned(), value));
    }
    type Open = fn(&NameAddr<'_>) -> bool;
    for (name, kinds, open) in [
        ("Diversion", &["id", "user"][..], is_open_diversion as Open),
        (
            "History-Info",
            &["id", "user", "history", "header"][..],
            is_open_history,
        ),
    ] {
        if believed && !asks_privacy(request, kinds) {
            let values = request.header_values(name);
            let values = values.filter(|value| {
                value.len() <= CARRIED_LENGTH_MAX && NameAddr::parse(value).is_ok_and(|v| open(&v))
            });
            let values = values.take(CARRIED_MAX);
            carried.extend(values.map(|value| (name.to_owned(), value.to_owned())));
        }
    }
    carried
}

/// RFC 3323 section 4.2 separates its values by semicolons.
fn asks_privacy(request: &sip::Request, kinds: &[&str]) -> bool {
    let values = request.header_values("Privacy");
    let mut asked = values.flat_map(|value| value.split([';', ',']).map(str::trim));
    asked.any(|asked| kinds.iter().any(|kind| asked.eq_ignore_ascii_case(kind)))
}

/// RFC 5806 section 4: `privacy` is full, name, uri or off.
fn is_open_diversion(value: &NameAddr<'_>) -> bool {
    let privacy = value.params.get("privacy");
    privacy.is_none_or(|privacy| privacy.eq_ignore_ascii_case("off"))
}

/// RFC 7044 section 10.1.2: an entry's own Privacy stands in its URI's headers.
fn is_open_history(value: &NameAddr<'_>) -> bool {
    let headers = value.uri.headers().unwrap_or_default();
    let mut headers = headers.split('&').map(|header| header.split_once('='));
    headers.all(|header| match header {
        Some((name, privacy)) if name.eq_ignore_ascii_case("Privacy") => {
            privacy.eq_ignore_ascii_case("none")
        }
        _ => true,
    })
}

/// The calling number as a trunk says it; `None`: withheld, or not known. What
/// it asserts counts only if it is `believed`, and then nothing else does, even
/// if it can't be read; that a caller wants to be nobody counts always.
pub(super) fn trunk_number(request: &sip::Request, believed: bool) -> Option<PhoneNumber> {
    if asks_privacy(request, &["id", "user"]) {
        return None;
    }
    let number = |named: NameAddr<'_>| {
        let number = digits(&named.uri.user()?);
        let is_one = number.bytes().any(|b| b.is_ascii_digit());
        is_one.then_some(PhoneNumber(number))
    };
    // One is a SIP URI and one a number (RFC 3325 section 9.1), in any order.
    let asserted = request.header_values("P-Asserted-Identity");
    let mut asserted = asserted.filter(|_| believed).peekable();
    match asserted.peek() {
        Some(_) => asserted.find_map(|value| number(NameAddr::parse(value).ok()?)),
        None => number(request.from()?),
    }
}

/// The digits of a number as a peer wrote it, with a leading `+` if it had one.
pub(super) fn digits(text: &str) -> String {
    // Behind a semicolon stand parameters of the user part (`;npdi;rn=…`).
    let number = text.split(';').next().unwrap_or_default();
    number
        .char_indices()
        .filter(|&(index, c)| c.is_ascii_digit() || (c == '+' && index == 0))
        .map(|(_, c)| c)
        .take(NUMBER_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(lines: &str) -> Option<String> {
        trunk_number(&invite(lines), true).map(|number| number.0)
    }

    fn invite(lines: &str) -> sip::Request {
        let text = format!(
            "INVITE sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
             From: <sip:+15550177002@192.0.2.9>;tag=1\r\nTo: <sip:1001@192.0.2.1>\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.9>\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        let peer = sip::Peer::udp(([192, 0, 2, 9], 5060).into());
        match sip::parse_datagram(text.as_bytes(), peer) {
            Ok(sip::Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_calls_is_what_the_trunk_asserts_unless_withheld() {
        for (lines, expected) in [
            ("", Some("+15550177002")),
            (
                "P-Asserted-Identity: \"Ada\" <sip:+15550177001@trunk>\r\n",
                Some("+15550177001"),
            ),
            (
                "P-Asserted-Identity: <sip:+15550177001;isup-oli=00@trunk>\r\n",
                Some("+15550177001"),
            ),
            (
                "P-Asserted-Identity: <tel:+1-555-017-7001;phone-context=x9>\r\n",
                Some("+15550177001"),
            ),
            ("Privacy: none\r\n", Some("+15550177002")),
            ("Privacy: id\r\n", None),
            ("Privacy: user;id\r\n", None),
            ("Privacy: id;critical\r\n", None),
            ("Privacy: critical; ID\r\n", None),
            (
                "P-Asserted-Identity: <sip:ada@trunk>, <tel:+15550177001>\r\n",
                Some("+15550177001"),
            ),
            (
                "P-Asserted-Identity: <sip:ada@trunk>\r\nP-Asserted-Identity: <tel:+15550177001>\r\n",
                Some("+15550177001"),
            ),
            // Then From isn't what it asserts either.
            ("P-Asserted-Identity: <sip:anonymous@trunk>\r\n", None),
            ("P-Asserted-Identity: <<sip:+1555>\r\n", None),
        ] {
            assert_eq!(number(lines).as_deref(), expected, "{lines}");
        }
        // One that isn't believed asserts nothing.
        let said = |lines: &str| trunk_number(&invite(lines), false).map(|number| number.0);
        let from = Some("+15550177002".to_owned());
        assert_eq!(said("P-Asserted-Identity: <tel:+15550177001>\r\n"), from);
        assert_eq!(said("Privacy: id\r\n"), None);
    }

    #[test]
    fn what_a_call_went_through_goes_along_as_far_as_it_may() {
        let id = "47755A9DE7794BA387653F2099600EF2";
        let session = format!("Session-ID: {id};remote={}\r\n", "0".repeat(32));
        let past = "Diversion: <sip:1@x>;reason=no-answer, <sip:2@x>\r\n\
                    History-Info: <sip:3@x>;index=1\r\n";
        let names = |lines: &str, trunk: bool| {
            let carried = carried(&invite(lines), trunk);
            let names: Vec<_> = carried.iter().map(|(name, _)| name.clone()).collect();
            names.join(" ")
        };
        let all = format!("{session}{past}");
        assert_eq!(
            names(&all, true),
            "Session-ID Diversion Diversion History-Info"
        );
        assert_eq!(names(&all, false), "Session-ID", "anybody could write it");
        assert_eq!(
            names(&format!("{all}Privacy: history\r\n"), true),
            "Session-ID Diversion Diversion"
        );
        assert_eq!(names(&format!("{all}Privacy: id\r\n"), true), "Session-ID");
        for (entry, expected) in [
            ("Diversion: <sip:1@x>;privacy=off", "Diversion"),
            ("Diversion: <sip:1@x>;privacy=full", ""),
            ("Diversion: <sip:1@x>;reason=no-answer;privacy=\"uri\"", ""),
            ("Diversion: <sip:1@x>;privacy=name, <sip:2@x>", "Diversion"),
            ("Diversion: <<>", ""),
            (
                "History-Info: <sip:1@x?Reason=a&Privacy=history>;index=1",
                "",
            ),
            (
                "History-Info: <sip:1@x?privacy=None>;index=1",
                "History-Info",
            ),
            (
                "History-Info: <sip:1@x?Reason=Privacy>;index=1",
                "History-Info",
            ),
        ] {
            assert_eq!(names(&format!("{entry}\r\n"), true), expected, "{entry}");
        }
        let (_, value) = carried(&invite(&session), true).remove(0);
        assert_eq!(
            value,
            format!("{};remote={}", id.to_lowercase(), "0".repeat(32))
        );
        for bad in ["", "0000", &"0".repeat(32), &"g".repeat(32)] {
            assert_eq!(names(&format!("Session-ID: {bad}\r\n"), true), "", "{bad}");
        }
        let many = "Diversion: <sip:1@x>\r\n".repeat(40);
        assert_eq!(carried(&invite(&many), true).len(), CARRIED_MAX);
    }
}

//! Bodies of several parts (RFC 2046 section 5.1, RFC 5621).

use crate::leg::Attachment;

/// Most parts looked into.
const PARTS_MAX: usize = 16;

/// The first part of this type in a `multipart/*` body, one level deep. None
/// when the body isn't one, holds no such part, or one that had to be decoded.
pub(crate) fn part<'a>(content_type: &str, body: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let boundary = boundary(content_type)?;
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut found = None;
    // Where the part before began.
    let mut begin: Option<usize> = None;
    let (mut line, mut parts) = (0, 0);
    while line < body.len() && parts <= PARTS_MAX {
        let rest = body.get(line..)?;
        let length = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(rest.len(), |at| at + 1);
        if rest.starts_with(&delimiter) {
            // The line break before a delimiter is the delimiter's.
            let part = begin.and_then(|begin| body.get(begin..line));
            found = part
                .map(without_break)
                .and_then(|part| matching(part, wanted));
            if found.is_some() {
                break;
            }
            begin = Some(line + length);
            parts += 1;
        }
        line += length;
    }
    found
}

/// The boundary that a multipart type names.
fn boundary(content_type: &str) -> Option<&str> {
    let (essence, params) = content_type.split_once(';')?;
    let kind = essence.trim().get(.."multipart/".len())?;
    if !kind.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let boundary = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    })?;
    // Section 5.1.1.
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

fn without_break(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// A part's content, when it is of this type and stands as it is.
fn matching<'a>(part: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let mut rest = part;
    let (mut is_wanted, mut plain) = (false, true);
    loop {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = rest.get(..end)?;
        rest = rest.get(end + 1..)?;
        let line = std::str::from_utf8(line).ok()?.trim();
        if line.is_empty() {
            return (is_wanted && plain).then_some(rest);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("Content-Type") || name.eq_ignore_ascii_case("c") {
            let essence = value.split(';').next().unwrap_or("").trim();
            is_wanted = essence.eq_ignore_ascii_case(wanted);
        }
        if name.eq_ignore_ascii_case("Content-Transfer-Encoding") {
            let encoding = value.trim();
            let as_it_is = ["binary", "8bit", "7bit"];
            plain = as_it_is
                .iter()
                .any(|known| encoding.eq_ignore_ascii_case(known));
        }
    }
}

/// A body of `first` and the attachments, and its Content-Type. The boundary
/// must stand in none of them.
pub(crate) fn write(
    boundary: &str,
    kind: &str,
    first: &[u8],
    attached: &[Attachment],
) -> (String, Vec<u8>) {
    let mut body = Vec::with_capacity(first.len() + 256);
    let mut add = |head: &str, content: &[u8]| {
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    add(&format!("Content-Type: {kind}"), first);
    for Attachment {
        content_type,
        content_id,
        body,
    } in attached
    {
        // RFC 5621 section 9.1: a header points at it, and whoever doesn't know that header may leave it.
        let head = format!(
            "Content-Type: {content_type}\r\nContent-ID: <{content_id}>\r\n\
             Content-Disposition: by-reference;handling=optional"
        );
        add(&head, body);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/mixed;boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "application/sdp";

    fn found(content_type: &str, body: &str) -> Option<String> {
        let part = part(content_type, body.as_bytes(), SDP)?;
        Some(String::from_utf8(part.to_vec()).expect("text"))
    }

    #[test]
    fn the_description_is_found_among_other_parts() {
        let location = "--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n";
        let sdp = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n";
        let wanted = Some("v=0\r\ns=-\r\n".to_owned());
        for body in [
            format!("{location}{sdp}--b1--\r\n"),
            format!("{sdp}{location}--b1--"),
            format!("for old readers\r\n{sdp}--b1--\r\nand behind"),
            format!("{sdp}--b1--\r\n").replace("Content-Type", "c"),
            format!("{sdp}--b1--\r\n").replace("application/sdp", "Application/SDP;charset=utf-8"),
        ] {
            for kind in [
                "multipart/mixed;boundary=b1",
                "Multipart/Related; type=x; Boundary=\"b1\"",
            ] {
                assert_eq!(found(kind, &body), wanted, "{kind} {body}");
            }
        }
    }

    #[test]
    fn what_is_no_description_isnt_taken_for_one() {
        let mixed = "multipart/mixed;boundary=b1";
        let whole = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1--\r\n";
        for (kind, body) in [
            ("multipart/mixed", whole.to_owned()),
            ("multipart/mixed;boundary=", whole.to_owned()),
            ("multipart/mixed;boundary=b2", whole.to_owned()),
            ("text/plain;boundary=b1", whole.to_owned()),
            (mixed, String::new()),
            // Never ended: who knows what is missing.
            (mixed, whole.replace("--b1--", "")),
            (mixed, whole.replace("\r\n\r\n", "\r\n")),
            (
                mixed,
                whole.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
            ),
            (mixed, whole.replace("application/sdp", "text/plain")),
            (mixed, "--b1\r\n".repeat(4_000)),
        ] {
            assert_eq!(found(kind, &body), None, "{kind} {body}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let attached = Attachment {
            content_type: "application/pidf+xml".into(),
            content_id: "1@example".into(),
            body: b"<presence/>".to_vec(),
        };
        let (kind, body) = write("zz", SDP, b"v=0\r\n", &[attached]);
        assert_eq!(part(&kind, &body, SDP), Some(&b"v=0\r\n"[..]));
        let location = part(&kind, &body, "application/pidf+xml");
        assert_eq!(location, Some(&b"<presence/>"[..]));
    }
}

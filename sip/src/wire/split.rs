//! Bytes to lines: start line, header lines, body.

use std::borrow::Cow;

/// Most header lines a message may have.
pub(crate) const LINES_MAX: usize = 192;
/// Most header values after comma lists are taken apart.
pub(crate) const VALUES_MAX: usize = 384;
/// Longest header line, unfolded.
pub(crate) const LINE_MAX: usize = 8192;

/// A message taken apart but not yet understood.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) start: &'a [u8],
    /// Name without blanks, value unfolded and trimmed.
    pub(crate) headers: Vec<(&'a str, Cow<'a, str>)>,
    /// Everything behind the empty line.
    pub(crate) rest: &'a [u8],
    /// Why the message is unfit, although its headers could be told apart.
    pub(crate) fault: Option<Fault>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Fault {
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self { code: 400, reason }
    }
}

/// Length of the header block including the empty line, and whether it is
/// there at all. Lines end in CRLF; a bare LF is tolerated.
pub(crate) fn header_block_len(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    while let Some(at) = find(&bytes[line_start..], b'\n') {
        let line = &bytes[line_start..line_start + at];
        let next = line_start + at + 1;
        if line.is_empty() || line == b"\r" {
            return Some(next);
        }
        line_start = next;
    }
    None
}

fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    bytes.iter().position(|b| *b == byte)
}

/// Takes a message apart. Blank lines before the start line are skipped
/// (RFC 3261 section 7.5). `None` when there is no start line.
pub(crate) fn split(bytes: &[u8]) -> Option<Parts<'_>> {
    let skipped = bytes
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    let bytes = &bytes[skipped..];
    let mut fault = None;
    let (block, rest) = match header_block_len(bytes) {
        Some(len) => bytes.split_at(len),
        None => {
            fault = Some(Fault::bad("No End Of Headers"));
            (bytes, &[][..])
        }
    };
    let mut lines = block
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start = lines.next().filter(|line| !line.is_empty())?;
    let mut headers: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(16);
    for line in lines {
        if line.is_empty() {
            continue;
        }
        if headers.len() == LINES_MAX {
            fault = Some(Fault::bad("Too Many Headers"));
            break;
        }
        if line.len() > LINE_MAX {
            fault = Some(Fault::bad("Header Too Long"));
            continue;
        }
        if matches!(line[0], b' ' | b'\t') {
            // A folded line goes on the one before, the fold being one blank
            // (RFC 3261 section 7.3.1).
            match headers.last_mut() {
                Some((_, value)) if value.len() + line.len() < LINE_MAX => {
                    let more = text(trim(line));
                    let value = value.to_mut();
                    if !value.is_empty() && !more.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(&more);
                }
                _ => fault = Some(Fault::bad("Bad Folding")),
            }
            continue;
        }
        let name_value = find(line, b':').and_then(|colon| {
            let name = std::str::from_utf8(trim(&line[..colon])).ok()?;
            super::params::is_token(name).then(|| (name, text(trim(&line[colon + 1..]))))
        });
        match name_value {
            Some(header) => headers.push(header),
            None => fault = Some(Fault::bad("Bad Header Line")),
        }
    }
    Some(Parts {
        start,
        headers,
        rest,
        fault,
    })
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

/// Text of a header value: UTF-8, else latin-1. A stray CR or NUL becomes a
/// blank, so that no value can break the lines we write.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()),
    };
    if text.contains(['\r', '\0']) {
        Cow::Owned(text.replace(['\r', '\0'], " ").trim().to_owned())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(message: &[u8]) -> (Vec<(String, String)>, bool) {
        let parts = split(message).unwrap();
        let headers = parts
            .headers
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v.into_owned()))
            .collect();
        (headers, parts.fault.is_some())
    }

    #[test]
    fn lines_are_told_apart() {
        let check = |message: &[u8], expected: &[(&str, &str)], faulty: bool| {
            let (got, fault) = headers(message);
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!((got, fault), (expected, faulty));
        };
        check(b"S\r\nA: b\r\n\r\nbody", &[("A", "b")], false);
        check(b"\r\n\r\nS\r\nA  :\tb  \r\n\r\n", &[("A", "b")], false);
        check(b"S\nA: b\nC: d\n\n", &[("A", "b"), ("C", "d")], false);
        check(b"S\r\nA: b\r\n  c\r\n\td\r\n\r\n", &[("A", "b c d")], false);
        check(b"S\r\nA:\r\n c\r\n\r\n", &[("A", "c")], false);
        check(b"S\r\nA:\r\n\r\n", &[("A", "")], false);
        check(b"S\r\nA: \xe9\r\n\r\n", &[("A", "é")], false);
        check("S\r\nA: é\r\n\r\n".as_bytes(), &[("A", "é")], false);
        check(b"S\r\nA: x\ry\r\n\r\n", &[("A", "x y")], false);
        check(b"S\r\nno colon\r\nA: b\r\n\r\n", &[("A", "b")], true);
        check(b"S\r\n folded\r\nA: b\r\n\r\n", &[("A", "b")], true);
        check(b"S\r\nA: b\r\n", &[("A", "b")], true);
        assert!(split(b"\r\n\r\n").is_none());
        assert!(split(b"").is_none());
    }

    #[test]
    fn size_is_bounded() {
        let mut many = b"S\r\n".to_vec();
        for _ in 0..10_000 {
            many.extend_from_slice(b"A: b\r\n");
        }
        let parts = split(&many).unwrap();
        assert_eq!(parts.headers.len(), LINES_MAX);
        assert!(parts.fault.is_some());
        let long = [b"S\r\nA: ".as_slice(), &[b'x'; 60_000], b"\r\n\r\n"].concat();
        assert!(split(&long).unwrap().fault.is_some());
        let folded = [
            b"S\r\nA: b".as_slice(),
            &b"\r\n x".repeat(20_000),
            b"\r\n\r\n",
        ]
        .concat();
        let parts = split(&folded).unwrap();
        assert!(parts.fault.is_some() && parts.headers[0].1.len() <= LINE_MAX);
    }
}

//! `;name=value` parameters of URIs and header fields.

use std::borrow::Cow;

/// A parameter list as it stands in a message, read on demand. The text starts
/// after the first `;` or is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a str,
}

impl<'a> Params<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The list as it stands in the message, without the first `;`.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// Every parameter as `(name, value)`; the value keeps its quotes and is
    /// empty when there is none.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        Pieces::new(self.text, b';').filter_map(|piece| {
            let piece = piece.trim();
            if piece.is_empty() {
                return None;
            }
            Some(match piece.split_once('=') {
                Some((name, value)) => (name.trim_end(), value.trim_start()),
                None => (piece, ""),
            })
        })
    }

    /// The raw value of `name` (any case); `Some("")` for a flag.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of `name` without quotes and escapes.
    #[must_use]
    pub fn unquoted(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(unquote)
    }

    /// True when `name` is there, with or without a value.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// True when every parameter has a token for a name, a token, host or
    /// quoted string for a value, and none is empty (`;;`).
    pub(crate) fn is_well_formed(self) -> bool {
        self.text.is_empty()
            || Pieces::new(self.text, b';').all(|piece| {
                let piece = piece.trim();
                let (name, value) = match piece.split_once('=') {
                    Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                    None => (piece, None),
                };
                is_token(name)
                    && value.is_none_or(|value| {
                        if value.starts_with('"') {
                            quoted_len(value) == Some(value.len())
                        } else {
                            !value.is_empty() && !value.contains([' ', '\t', '"', '<', '>', ','])
                        }
                    })
            })
    }
}

/// Splits at a separator outside quoted strings and `<…>`.
pub(crate) struct Pieces<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(text: &'a str, separator: u8) -> Self {
        Self {
            rest: Some(text),
            separator,
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let bytes = rest.as_bytes();
        let (mut quoted, mut angled, mut i) = (false, false, 0);
        while i < bytes.len() {
            match bytes[i] {
                b'\\' if quoted => i += 1,
                b'"' if !angled => quoted = !quoted,
                b'<' if !quoted => angled = true,
                b'>' if !quoted => angled = false,
                byte if byte == self.separator && !quoted && !angled => {
                    self.rest = Some(&rest[i + 1..]);
                    return Some(&rest[..i]);
                }
                _ => {}
            }
            i += 1;
        }
        self.rest = None;
        Some(rest)
    }
}

/// RFC 3261 section 25.1 `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Length of the quoted string that `text` starts with, quotes included.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut i = 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return Some(i + 1),
            _ => i += 1,
        }
    }
    None
}

/// Takes quotes and backslashes off a quoted string; anything else is
/// returned as it is.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// Undoes `%hh` escapes; bytes that aren't UTF-8 then are read as latin-1.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = |at: usize| {
            bytes
                .get(at)
                .and_then(|b| char::from(*b).to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
        };
        match (bytes[i], hex(i + 1), hex(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high << 4 | low);
                i += 3;
            }
            (byte, _, _) => {
                plain.push(byte);
                i += 1;
            }
        }
    }
    Cow::Owned(match String::from_utf8(plain) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    })
}

/// A qvalue (`0.7`, `1`, `1.000`) in thousandths.
pub(crate) fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if fraction.len() > 3 || !digits(fraction) {
        return None;
    }
    let whole = match whole {
        "0" | "" => 0,
        "1" => 1000,
        _ => return None,
    };
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some((whole + fraction).min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_found_whatever_surrounds_them() {
        let check = |text: &str, name: &str, value: Option<&str>| {
            assert_eq!(Params::new(text).get(name), value, "{text}");
        };
        check("lr", "lr", Some(""));
        check("a=1;LR;b=2", "lr", Some(""));
        check(" tag   =  98asjd8", "Tag", Some("98asjd8"));
        check("+sip.instance=\"<urn:uuid:1;2>\";q=0.5", "q", Some("0.5"));
        check(
            "+sip.instance=\"<urn:uuid:1;2>\";q=0.5",
            "+SIP.instance",
            Some("\"<urn:uuid:1;2>\""),
        );
        check("x=\"a\\\";b\";c=3", "c", Some("3"));
        check("", "lr", None);
        check(";;", "lr", None);
        assert_eq!(Params::new("x=\"a\\\"b\"").unquoted("x").unwrap(), "a\"b");
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape("u%40h"), "u@h");
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%c3%a9"), "é");
        assert_eq!(unescape("%e9"), "é");
        assert_eq!(unescape("%4"), "%4");
    }
}

//! Digits in INFO, as some phones and gateways still send them
//! (`application/dtmf-relay` and `application/dtmf`; never standardised).

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoDigit {
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub digit: char,
    /// How long it was held, if that is said.
    pub duration_ms: Option<u16>,
}

/// Reads the body of an INFO. `None` when it is no key: other contents,
/// a hook flash, several keys at once.
#[must_use]
pub fn digit(content_type: &str, body: &[u8]) -> Option<InfoDigit> {
    let essence = content_type.split(';').next()?.trim();
    let body = std::str::from_utf8(body).ok()?;
    if essence.eq_ignore_ascii_case("application/dtmf") {
        return Some(InfoDigit {
            digit: key(body.trim())?,
            duration_ms: None,
        });
    }
    if !essence.eq_ignore_ascii_case("application/dtmf-relay") {
        return None;
    }
    let (mut digit, mut duration_ms) = (None, None);
    for line in body.lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        if name.trim().eq_ignore_ascii_case("Signal") && digit.is_none() {
            digit = Some(key(value)?);
        } else if name.trim().eq_ignore_ascii_case("Duration") {
            duration_ms = value.parse().ok();
        }
    }
    Some(InfoDigit {
        digit: digit?,
        duration_ms,
    })
}

/// One key by its character, or by its number in RFC 4733 (10 and 11 for star
/// and pound).
fn key(text: &str) -> Option<char> {
    match text {
        "10" => return Some('*'),
        "11" => return Some('#'),
        _ => {}
    }
    let mut chars = text.chars();
    let key = chars.next()?.to_ascii_uppercase();
    (chars.next().is_none() && matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_either_form_and_nothing_else_is_one() {
        for (kind, body, expected) in [
            (
                "application/dtmf-relay",
                "Signal=5\r\nDuration=160\r\n",
                Some(('5', Some(160))),
            ),
            (
                "application/dtmf-relay",
                "signal = *\nduration = 99999\n",
                Some(('*', None)),
            ),
            (
                "Application/DTMF-Relay; charset=x",
                "Duration=1\r\nSignal=11",
                Some(('#', Some(1))),
            ),
            ("application/dtmf", "7", Some(('7', None))),
            ("application/dtmf", " d\r\n", Some(('D', None))),
            ("application/dtmf", "10", Some(('*', None))),
            ("application/dtmf", "42", None),
            ("application/dtmf", "16", None),
            ("application/dtmf", "", None),
            ("application/dtmf-relay", "Signal=hf\r\n", None),
            ("application/dtmf-relay", "Signal=\r\n", None),
            ("application/dtmf-relay", "5", None),
            ("application/sdp", "5", None),
            ("", "5", None),
        ] {
            let read = digit(kind, body.as_bytes());
            let read = read.map(|read| (read.digit, read.duration_ms));
            assert_eq!(read, expected, "{kind} {body:?}");
        }
        assert_eq!(digit("application/dtmf", &[0xff]), None);
    }
}

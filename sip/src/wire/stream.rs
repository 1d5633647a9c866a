//! Messages in a byte stream, told apart by Content-Length (RFC 3261
//! section 18.3).

use super::split::{header_block_len, split};

/// Largest message taken from a stream.
const MESSAGE_MAX: usize = 65_535;

/// What stands at the beginning of a stream's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Not a whole message yet.
    Incomplete,
    /// Blank lines: a keep-alive of this many bytes (RFC 5626 section 3.5.1).
    KeepAlive(usize),
    /// A message of this many bytes, for [`parse_datagram`](super::parse_datagram).
    Message(usize),
    /// No frame can be told any more; the connection is to be closed.
    Broken,
}

/// Looks for the first message in `buffer`.
#[must_use]
pub fn frame(buffer: &[u8]) -> Framing {
    let blank = buffer
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    if blank > 0 {
        return Framing::KeepAlive(blank);
    }
    let Some(block) = header_block_len(buffer) else {
        return if buffer.len() > MESSAGE_MAX {
            Framing::Broken
        } else {
            Framing::Incomplete
        };
    };
    let length = split(&buffer[..block]).and_then(|parts| {
        parts
            .headers
            .iter()
            .find(|(name, _)| {
                name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l")
            })
            .map_or(Some(0), |(_, value)| value.parse::<usize>().ok())
    });
    match length.and_then(|body| block.checked_add(body)) {
        Some(whole) if whole > MESSAGE_MAX => Framing::Broken,
        Some(whole) if whole <= buffer.len() => Framing::Message(whole),
        Some(_) => Framing::Incomplete,
        None => Framing::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let check = |bytes: &[u8], framing: Framing| assert_eq!(frame(bytes), framing);
        check(b"", Framing::Incomplete);
        check(b"\r\n\r\nX", Framing::KeepAlive(4));
        check(b"A b c\r\nl: 3\r\n", Framing::Incomplete);
        check(b"A b c\r\nl: 3\r\n\r\nxy", Framing::Incomplete);
        check(b"A b c\r\nl: 3\r\n\r\nxyzNEXT", Framing::Message(18));
        check(
            b"A b c\r\nContent-Length : 0\r\n\r\nNEXT",
            Framing::Message(29),
        );
        check(b"A b c\r\nX: y\r\n\r\n", Framing::Message(15));
        check(b"A b c\r\nl: -3\r\n\r\n", Framing::Broken);
        check(b"A b c\r\nl: 99999999\r\n\r\n", Framing::Broken);
        check(&[b'x'; 70_000], Framing::Broken);
    }
}

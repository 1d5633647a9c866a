//! Messages in a byte stream, told apart by Content-Length (RFC 3261
//! section 18.3).

use super::split::split;

/// Largest message taken from a stream.
pub const MESSAGE_MAX: usize = 65_535;

/// Most memory kept between messages.
const KEPT_MAX: usize = 4_096;

/// What a stream holds next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed<'a> {
    /// Not a whole message yet; [`Framer::begun`] says whether a part of one.
    Incomplete,
    /// A blank line and another: a ping, to be answered by one (RFC 5626
    /// section 4.4.1).
    Ping,
    /// A message, for [`parse_datagram`](super::parse_datagram).
    Message(&'a [u8]),
    /// No frame can be told any more; the connection is to be closed.
    Broken(&'static str),
}

/// Takes messages out of a byte stream. However slowly its bytes come, each is
/// looked at twice at most, and no more than one message and what came along
/// with its end is kept.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// What was handed out: removed when more is wanted.
    taken: usize,
    /// Where the line at hand begins, and up to where it has no end.
    line: usize,
    searched: usize,
    /// Length of the message that `taken` begins, once its header says so.
    whole: Option<usize>,
    /// Line ends passed over between messages, up to a ping's four.
    blank: usize,
}

impl Framer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.line = self.line.saturating_sub(self.taken);
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
        if self.buffer.is_empty() {
            // What one long message took isn't kept for a connection that idles.
            self.buffer.shrink_to(KEPT_MAX);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// True while a part of a message waits for the rest.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.taken < self.buffer.len()
    }

    /// Was what came since the last message or pong a pong (a blank line alone,
    /// RFC 5626 section 4.4.1)? For whoever sends pings, once there is nothing
    /// more to [`take`](Self::take).
    pub fn take_pong(&mut self) -> bool {
        let pong = self.blank == 2 && !self.begun();
        if pong {
            self.blank = 0;
        }
        pong
    }

    /// The next message. To be called until it says [`Framed::Incomplete`].
    pub fn take(&mut self) -> Framed<'_> {
        if self.whole.is_none() {
            while let Some(b'\r' | b'\n') = self.buffer.get(self.taken) {
                self.taken += 1;
                self.blank += 1;
                if self.blank == 4 {
                    self.blank = 0;
                    return Framed::Ping;
                }
            }
            match self.find_whole() {
                Ok(Some(whole)) => self.whole = Some(whole),
                Ok(None) => return Framed::Incomplete,
                Err(why) => return Framed::Broken(why),
            }
        }
        let Some(whole) = self.whole else {
            return Framed::Incomplete;
        };
        let (from, to) = (self.taken, self.taken + whole);
        let Some(message) = self.buffer.get(from..to) else {
            return Framed::Incomplete;
        };
        self.whole = None;
        self.blank = 0;
        self.taken = to;
        self.line = to;
        self.searched = to;
        Framed::Message(message)
    }

    /// The length of the message at hand, when its header is all there.
    fn find_whole(&mut self) -> Result<Option<usize>, &'static str> {
        self.line = self.line.max(self.taken);
        self.searched = self.searched.max(self.taken);
        let block = loop {
            let unsearched = &self.buffer[self.searched..];
            let Some(end) = unsearched.iter().position(|b| *b == b'\n') else {
                self.searched = self.buffer.len();
                if self.searched - self.taken > MESSAGE_MAX {
                    return Err("header without end");
                }
                return Ok(None);
            };
            let next = self.searched + end + 1;
            let line = &self.buffer[self.line..next - 1];
            self.line = next;
            self.searched = next;
            if line.is_empty() || line == b"\r" {
                break next - self.taken;
            }
        };
        let at_hand = &self.buffer[self.taken..];
        let body = split(&at_hand[..block]).and_then(|parts| {
            let mut lengths = parts.headers.iter().filter(|(name, _)| {
                name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l")
            });
            match (lengths.next(), lengths.next()) {
                // Without one, a stream can't tell where the next message begins; no body is
                // what most who forget it mean.
                (None, _) => Some(0),
                (Some((_, length)), None) => length.trim().parse::<usize>().ok(),
                // Two that differ would have the next message begin in two places.
                (Some((_, one)), Some((_, other))) if one.trim() == other.trim() => {
                    one.trim().parse().ok()
                }
                _ => None,
            }
        });
        match body.and_then(|body| block.checked_add(body)) {
            Some(whole) if whole > MESSAGE_MAX => Err("message too long"),
            Some(whole) => Ok(Some(whole)),
            None => Err("Content-Length can't be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stream holds, its bytes coming `at_a_time`.
    fn frames(stream: &[u8], at_a_time: usize) -> Vec<String> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for bytes in stream.chunks(at_a_time) {
            framer.push(bytes);
            loop {
                match framer.take() {
                    Framed::Incomplete => break,
                    Framed::Ping => found.push("ping".to_owned()),
                    Framed::Message(message) => {
                        found.push(String::from_utf8_lossy(message).into_owned());
                    }
                    Framed::Broken(why) => {
                        found.push(format!("broken: {why}"));
                        return found;
                    }
                }
            }
        }
        if framer.begun() {
            found.push("…".to_owned());
        }
        found
    }

    #[test]
    fn messages_are_told_apart_however_their_bytes_come() {
        let long = vec![b'x'; 70_000];
        for (stream, expected) in [
            (&b""[..], &[][..]),
            (b"\r\n\r\nX", &["ping", "…"]),
            (b"\r\n", &[]),
            (b"A b c\r\nl: 3\r\n", &["…"]),
            (b"A b c\r\nl: 3\r\n\r\nxy", &["…"]),
            (
                b"A b c\r\nl: 3\r\n\r\nxyzNEXT",
                &["A b c\r\nl: 3\r\n\r\nxyz", "…"],
            ),
            (
                b"A b c\nContent-Length : 0\n\nD e f\r\n\r\n\r\n\r\n",
                &["A b c\nContent-Length : 0\n\n", "D e f\r\n\r\n", "ping"],
            ),
            (b"A b c\r\nX: y\r\n\r\n", &["A b c\r\nX: y\r\n\r\n"]),
            (
                b"A b c\r\nl: -3\r\n\r\n",
                &["broken: Content-Length can't be read"],
            ),
            (
                b"A b c\r\nl: 3\r\nContent-Length: 4\r\n\r\nxyz",
                &["broken: Content-Length can't be read"],
            ),
            (
                b"A b c\r\nl: 99999999\r\n\r\n",
                &["broken: message too long"],
            ),
            (&long, &["broken: header without end"]),
        ] {
            for at_a_time in [1, 2, 3, 7, 100_000] {
                assert_eq!(frames(stream, at_a_time), expected, "{at_a_time} at a time");
            }
        }
    }

    #[test]
    fn a_pong_is_told_from_half_a_ping_and_from_what_comes_before_a_message() {
        let mut framer = Framer::default();
        for _ in 0..3 {
            framer.push(b"\r\n");
            assert_eq!(framer.take(), Framed::Incomplete);
            assert!(framer.take_pong());
            assert!(!framer.take_pong(), "once");
        }
        framer.push(b"\r\n\r\n");
        assert_eq!(framer.take(), Framed::Ping);
        assert_eq!(framer.take(), Framed::Incomplete);
        assert!(!framer.take_pong());
        framer.push(b"\r\nA b c\r\n");
        assert_eq!(framer.take(), Framed::Incomplete);
        assert!(!framer.take_pong());
    }

    /// A header of 64 kB that comes byte by byte is searched once, not 64
    /// thousand times: this test would take minutes else.
    #[test]
    fn bytes_that_come_one_by_one_cost_no_more() {
        let mut stream = b"A b c\r\n".to_vec();
        while stream.len() < 60_000 {
            stream.extend_from_slice(b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
        }
        stream.extend_from_slice(b"l: 0\r\n\r\n");
        assert_eq!(frames(&stream, 1).len(), 1);
    }
}

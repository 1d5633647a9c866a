//! RTP packets (RFC 3550 section 5).

/// Bytes of a header without contributing sources or extension.
pub const HEADER_BYTES: usize = 12;

/// A packet received: header fields and payload, padding and extension taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Begin of a talk spurt, or of a telephone event.
    pub marker: bool,
    /// 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in samples.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
    /// What is sent.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; none if it isn't one (RFC 3550 section A.1).
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let (header, mut rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *header;
        if first >> 6 != 2 {
            return None;
        }
        let sources = usize::from(first & 0x0f);
        if sources != 0 {
            rest = rest.get(sources * 4..)?;
        }
        if first & 0x10 != 0 {
            let (extension, after) = rest.split_first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            rest = after.get(words * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            if padding == 0 {
                return None;
            }
            rest = rest.get(..rest.len().checked_sub(padding)?)?;
        }
        Some(Packet {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload: rest,
        })
    }
}

/// A header to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Begin of a talk spurt, or of a telephone event.
    pub marker: bool,
    /// 0–127; the top bit is ignored.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in samples.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// The bytes on the wire.
    #[inline]
    pub const fn bytes(self) -> [u8; HEADER_BYTES] {
        let marker = if self.marker { 0x80 } else { 0 };
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let second = marker | (self.payload_type & 0x7f);
        [0x80, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

/// Whether a packet on a port shared by RTP and RTCP is RTCP (RFC 5761 section 4): packet types 192–223, which as
/// RTP would be payload types 64–95, and those aren't given to RTP.
#[inline]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [_, 192..=223, ..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], expected: Option<&[u8]>) {
        assert_eq!(
            Packet::parse(bytes).map(|packet| packet.payload),
            expected,
            "{bytes:02x?}"
        );
    }

    fn with(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn payload_is_found() {
        check(&with(0x80, b"abc"), Some(b"abc"));
        check(&with(0x80, b""), Some(b""));
        check(&with(0x81, b"SRC1abc"), Some(b"abc"));
        check(&with(0x90, b"\0\0\0\x01EXT1abc"), Some(b"abc"));
        check(&with(0xa0, b"abc\0\x02"), Some(b"abc"));
        check(&with(0xb1, b"SRC1\0\0\0\0abc\x01"), Some(b"abc"));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        check(b"", None);
        check(&[0x80; 11], None);
        check(&with(0x40, b"abc"), None);
        check(&with(0x8f, b"abc"), None);
        check(&with(0x90, b"\0\0\xff\xffabc"), None);
        check(&with(0xa0, b""), None);
        check(&with(0xa0, b"a\0"), None);
        check(&with(0xa0, b"a\xff"), None);
    }

    #[test]
    fn rtcp_is_told_from_rtp() {
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x81, 203, 0]));
        assert!(!is_rtcp(&[0x80, 0x80 | 101]) && !is_rtcp(&[0x80, 8]) && !is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn header_comes_back(marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let bytes = header.bytes();
            let packet = Packet::parse(&bytes).unwrap();
            prop_assert_eq!(
                (packet.marker, packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc),
                (marker, payload_type, sequence, timestamp, ssrc)
            );
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Packet::parse(&bytes);
        }
    }
}

//! RTCP packets (RFC 3550 section 6): sender and receiver reports, the CNAME, goodbye.

/// Most report blocks read of one report; we send one stream, so one block is about us.
const BLOCKS_MAX: usize = 31;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// Room for the largest compound packet that [`write`] makes.
pub const COMPOUND_BYTES_MAX: usize = 128;
/// Length of the CNAMEs we give ourselves.
pub const CNAME_BYTES: usize = 24;

/// A report block: what the reporter heard of one source (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all; 24 bits, signed.
    pub lost: i32,
    /// Extended highest sequence number.
    pub highest: u32,
    /// Interarrival jitter, in samples.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report received; 0 if none.
    pub last_report: u32,
    /// Time since that report came, in 1/65536 s.
    pub delay: u32,
}

/// What a sender report says of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// NTP time, 32.32 bits.
    pub ntp: u64,
    /// The same instant as RTP timestamp.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// One element of a compound packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A sender report's own part.
    Sender {
        /// Who reports.
        ssrc: u32,
        /// Of itself.
        info: SenderInfo,
    },
    /// One block of a sender or receiver report.
    Block {
        /// Who reports.
        ssrc: u32,
        /// On whom and what.
        block: ReportBlock,
    },
    /// A source leaves.
    Bye {
        /// Who leaves.
        ssrc: u32,
    },
}

/// Reads a compound packet, handing each element to `item`. Stops at the first malformation and says whether there
/// was none (RFC 3550 section A.2); SDES, APP and unknown types are skipped.
pub fn parse(mut bytes: &[u8], mut item: impl FnMut(Item)) -> bool {
    if bytes.is_empty() {
        return false;
    }
    while !bytes.is_empty() {
        let Some((&[first, kind, l0, l1], _)) = bytes.split_first_chunk::<4>() else {
            return false;
        };
        let length = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let Some((packet, rest)) = bytes.split_at_checked(length) else {
            return false;
        };
        if first >> 6 != 2 {
            return false;
        }
        let count = usize::from(first & 0x1f);
        let body = &packet[4..];
        let good = match kind {
            SENDER_REPORT => sender_report(body, count, &mut item),
            RECEIVER_REPORT => receiver_report(body, count, &mut item),
            GOODBYE => goodbye(body, count, &mut item),
            _ => true,
        };
        if !good {
            return false;
        }
        bytes = rest;
    }
    true
}

fn sender_report(body: &[u8], count: usize, item: &mut impl FnMut(Item)) -> bool {
    let Some((head, blocks)) = body.split_first_chunk::<24>() else {
        return false;
    };
    let ssrc = word(head, 0);
    let info = SenderInfo {
        ntp: u64::from(word(head, 1)) << 32 | u64::from(word(head, 2)),
        timestamp: word(head, 3),
        packets: word(head, 4),
        octets: word(head, 5),
    };
    item(Item::Sender { ssrc, info });
    report_blocks(ssrc, blocks, count, item)
}

fn receiver_report(body: &[u8], count: usize, item: &mut impl FnMut(Item)) -> bool {
    let Some((head, blocks)) = body.split_first_chunk::<4>() else {
        return false;
    };
    report_blocks(word(head, 0), blocks, count, item)
}

fn report_blocks(ssrc: u32, blocks: &[u8], count: usize, item: &mut impl FnMut(Item)) -> bool {
    let (blocks, _) = blocks.as_chunks::<24>();
    if blocks.len() < count {
        return false;
    }
    for block in blocks.iter().take(count.min(BLOCKS_MAX)) {
        let loss = word(block, 1);
        item(Item::Block {
            ssrc,
            block: ReportBlock {
                ssrc: word(block, 0),
                fraction_lost: (loss >> 24) as u8,
                // 24 bits with a sign: shift it to the top and back.
                lost: ((loss << 8) as i32) >> 8,
                highest: word(block, 2),
                jitter: word(block, 3),
                last_report: word(block, 4),
                delay: word(block, 5),
            },
        });
    }
    true
}

fn goodbye(body: &[u8], count: usize, item: &mut impl FnMut(Item)) -> bool {
    let (sources, _) = body.as_chunks::<4>();
    if sources.len() < count {
        return false;
    }
    for source in sources.iter().take(count) {
        item(Item::Bye {
            ssrc: word(source, 0),
        });
    }
    true
}

/// The big-endian word number `index`; callers know that it is there.
fn word(bytes: &[u8], index: usize) -> u32 {
    bytes
        .get(index * 4..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map_or(0, |word| u32::from_be_bytes(*word))
}

/// What we report.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Ourselves.
    pub ssrc: u32,
    /// Our canonical name (RFC 7022), no longer than [`CNAME_BYTES`].
    pub cname: &'a [u8],
    /// What we sent; none when nothing since the last report: then it is a receiver report.
    pub sender: Option<SenderInfo>,
    /// What we heard; none when nothing yet.
    pub block: Option<ReportBlock>,
    /// Whether we leave.
    pub bye: bool,
}

/// Writes a compound packet and returns its length: a report, the CNAME and, if leaving, a goodbye.
pub fn write(report: &Report<'_>, out: &mut [u8; COMPOUND_BYTES_MAX]) -> usize {
    let mut writer = Writer { out, length: 0 };
    let blocks = u8::from(report.block.is_some());
    match &report.sender {
        Some(info) => {
            writer.header(blocks, SENDER_REPORT, 6 + u16::from(blocks) * 6);
            writer.word(report.ssrc);
            writer.word((info.ntp >> 32) as u32);
            writer.word(info.ntp as u32);
            writer.word(info.timestamp);
            writer.word(info.packets);
            writer.word(info.octets);
        }
        None => {
            writer.header(blocks, RECEIVER_REPORT, 1 + u16::from(blocks) * 6);
            writer.word(report.ssrc);
        }
    }
    if let Some(block) = &report.block {
        writer.word(block.ssrc);
        writer.word(u32::from(block.fraction_lost) << 24 | (block.lost as u32 & 0xff_ffff));
        writer.word(block.highest);
        writer.word(block.jitter);
        writer.word(block.last_report);
        writer.word(block.delay);
    }
    // One chunk: source, item CNAME, and at least one zero byte up to the next word (RFC 3550 section 6.5).
    let cname = report.cname.get(..CNAME_BYTES).unwrap_or(report.cname);
    let words = 1 + (2 + cname.len() + 1).div_ceil(4);
    writer.header(1, SOURCE_DESCRIPTION, words as u16);
    writer.word(report.ssrc);
    let end = writer.length + (words - 1) * 4;
    writer.bytes(&[1, cname.len() as u8]);
    writer.bytes(cname);
    while writer.length < end {
        writer.bytes(&[0]);
    }
    if report.bye {
        writer.header(1, GOODBYE, 1);
        writer.word(report.ssrc);
    }
    writer.length
}

struct Writer<'a> {
    out: &'a mut [u8; COMPOUND_BYTES_MAX],
    length: usize,
}

impl Writer<'_> {
    /// `words` counts the words after the header.
    fn header(&mut self, count: u8, kind: u8, words: u16) {
        let [l0, l1] = words.to_be_bytes();
        self.bytes(&[0x80 | count, kind, l0, l1]);
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // The sizes are known: 52 for the report, 36 for the CNAME, 8 for the goodbye.
        self.out[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(bytes: &[u8]) -> (bool, Vec<Item>) {
        let mut items = Vec::new();
        let good = parse(bytes, |item| items.push(item));
        (good, items)
    }

    fn block() -> impl Strategy<Value = ReportBlock> {
        let numbers = (
            any::<u32>(),
            any::<u8>(),
            -0x80_0000..=0x7f_ffffi32,
            any::<[u32; 4]>(),
        );
        numbers.prop_map(
            |(ssrc, fraction_lost, lost, [highest, jitter, last_report, delay])| ReportBlock {
                ssrc,
                fraction_lost,
                lost,
                highest,
                jitter,
                last_report,
                delay,
            },
        )
    }

    fn info() -> impl Strategy<Value = SenderInfo> {
        any::<(u64, [u32; 3])>().prop_map(|(ntp, [timestamp, packets, octets])| SenderInfo {
            ntp,
            timestamp,
            packets,
            octets,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ssrc: u32,
            sender in proptest::option::of(info()),
            block in proptest::option::of(block()),
            bye: bool,
            cname in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut out = [0; COMPOUND_BYTES_MAX];
            let length = write(&Report { ssrc, cname: &cname, sender, block, bye }, &mut out);
            let mut expected = Vec::new();
            expected.extend(sender.map(|info| Item::Sender { ssrc, info }));
            expected.extend(block.map(|block| Item::Block { ssrc, block }));
            expected.extend(bye.then_some(Item::Bye { ssrc }));
            prop_assert_eq!(items(&out[..length]), (true, expected));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = items(&bytes);
        }
    }

    #[test]
    fn malformed_packets_are_refused() {
        for bytes in [
            &b""[..],
            &[0x80, 201, 0],
            &[0x80, 201, 0, 0],
            &[0x80, 201, 0, 9, 0, 0, 0, 0],
            &[0x40, 201, 0, 1, 0, 0, 0, 0],
            &[0x81, 201, 0, 1, 0, 0, 0, 0],
            &[0x80, 200, 0, 1, 0, 0, 0, 0],
            &[0x82, 203, 0, 1, 0, 0, 0, 0],
        ] {
            assert_eq!(items(bytes), (false, vec![]), "{bytes:?}");
        }
    }
}

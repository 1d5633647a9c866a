//! Telephone events received: each key once, whatever is lost, doubled or out of order.

use std::time::Duration;

use super::Digit;

/// How many recent events are remembered, to tell a late packet of a known event from the first of a new one.
const HISTORY: usize = 16;
/// An event of which nothing is heard for so long has ended. Senders repeat every 50 ms at the slowest (RFC 4733
/// section 2.5.1.2); this bridges four losses in a row.
const SILENCE: Duration = Duration::from_millis(250);
/// Most keys taken in a window of [`WINDOW`]; no one presses faster, and a flood shouldn't reach the signalling.
const KEYS_MAX: u32 = 32;
const WINDOW: Duration = Duration::from_secs(1);
/// Timestamps further back than this aren't late but of another count, so that an event may be new with an "old"
/// timestamp: 8 s.
const LATE_MAX: u32 = 64_000;

/// What a packet, or the lack of packets, means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Press {
    /// A key went down.
    Started(Digit),
    /// A key went up after so many milliseconds, as far as was heard.
    Ended {
        /// The key.
        digit: Digit,
        /// How long it was held.
        duration_ms: u32,
    },
}

/// What one packet can mean at most: the event before it ended, its own started, and ended too.
pub type Presses = [Option<Press>; 3];

/// Watches one leg's telephone events.
///
/// An event is known by its RTP timestamp, which all its packets share (RFC 4733 section 2.2.1). Markers, end bits
/// and sequence numbers, any of which can be lost, decide nothing.
#[derive(Debug, Default)]
pub struct Receiver {
    current: Option<Current>,
    source: Source,
    /// The one before: its last packets may come late.
    former: Source,
    window_began: Duration,
    window_keys: u32,
}

/// What was told of one source.
#[derive(Debug, Default)]
struct Source {
    ssrc: u32,
    /// Timestamps of recent events, the newest at `newest`.
    seen: [Option<u32>; HISTORY],
    newest: usize,
}

#[derive(Debug)]
struct Current {
    digit: Digit,
    timestamp: u32,
    /// Timestamp of the running segment, when the key is held beyond 8 s (RFC 4733 section 2.5.1.3).
    segment: u32,
    /// Samples of segments before the running one.
    segments: u32,
    duration: u16,
    heard_at: Duration,
}

impl Current {
    fn ended(&self) -> Press {
        Press::Ended {
            digit: self.digit,
            duration_ms: (self.segments + u32::from(self.duration)) / 8,
        }
    }

    /// Whether `timestamp` is where the next segment of a long event begins.
    fn continues_at(&self, timestamp: u32) -> bool {
        timestamp.wrapping_sub(self.segment) == u32::from(u16::MAX)
    }
}

impl Receiver {
    /// Takes a packet with the telephone-event payload type.
    pub fn packet(&mut self, now: Duration, ssrc: u32, timestamp: u32, payload: &[u8]) -> Presses {
        let nothing = [None; 3];
        let Some(&[event, flags, d0, d1]) = payload.first_chunk::<4>() else {
            return nothing;
        };
        let Some(digit) = Digit::from_event(event) else {
            return nothing;
        };
        let ended = flags & 0x80 != 0;
        let duration = u16::from_be_bytes([d0, d1]);

        if ssrc != self.source.ssrc {
            if ssrc == self.former.ssrc && self.former.known(timestamp) {
                return nothing;
            }
            // Another sender counts on its own; what is pressed is over.
            let before = self.current.take().map(|current| current.ended());
            std::mem::swap(&mut self.source, &mut self.former);
            if self.source.ssrc != ssrc {
                self.source = Source {
                    ssrc,
                    ..Source::default()
                };
            }
            let [_, started, over] = self.packet(now, ssrc, timestamp, payload);
            return [before, started, over];
        }

        if let Some(current) = self.current.as_mut() {
            if current.segment != timestamp
                && current.digit == digit
                && current.continues_at(timestamp)
            {
                current.segments += u32::from(u16::MAX);
                current.segment = timestamp;
                current.duration = 0;
                self.source.remember(timestamp);
                return self.update(now, duration, ended);
            }
            if current.segment == timestamp {
                return self.update(now, duration, ended);
            }
        }
        if self.source.known(timestamp) || !self.admit(now) {
            return nothing;
        }

        // A new timestamp is a new key. If it is older than the running event, its packets before this were all
        // lost or late: it is told now, and the running one goes on.
        self.source.remember(timestamp);
        let late = self.current.as_ref().is_some_and(|current| {
            let behind = current.timestamp.wrapping_sub(timestamp);
            behind != 0 && behind < LATE_MAX
        });
        let started = Press::Started(digit);
        let over = Press::Ended {
            digit,
            duration_ms: u32::from(duration) / 8,
        };
        if late {
            return [None, Some(started), Some(over)];
        }
        let before = self.current.take().map(|current| current.ended());
        if ended {
            return [before, Some(started), Some(over)];
        }
        self.current = Some(Current {
            digit,
            timestamp,
            segment: timestamp,
            segments: 0,
            duration,
            heard_at: now,
        });
        [before, Some(started), None]
    }

    /// Ends an event whose packets have ceased. Call it every now and then while [`Receiver::pressed`].
    pub fn poll(&mut self, now: Duration) -> Option<Press> {
        let current = self.current.as_ref()?;
        if now.saturating_sub(current.heard_at) < SILENCE {
            return None;
        }
        self.current.take().map(|current| current.ended())
    }

    /// Whether a key is down.
    pub fn pressed(&self) -> bool {
        self.current.is_some()
    }

    fn update(&mut self, now: Duration, duration: u16, ended: bool) -> Presses {
        if let Some(current) = self.current.as_mut() {
            current.heard_at = now;
            // A duration that falls is a packet out of order, or one that wrapped: senders that know no segments let
            // it start over at 8 s. The latter is a fall by nearly the whole range.
            if duration < current.duration && current.duration - duration > 0x8000 {
                current.segments += 0x1_0000;
                current.duration = duration;
            } else {
                current.duration = current.duration.max(duration);
            }
        }
        if ended {
            let over = self.current.take().map(|current| current.ended());
            return [over, None, None];
        }
        [None; 3]
    }

    fn admit(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.window_began) >= WINDOW {
            self.window_began = now;
            self.window_keys = 0;
        }
        self.window_keys += 1;
        self.window_keys <= KEYS_MAX
    }
}

impl Source {
    fn known(&self, timestamp: u32) -> bool {
        // Events older than all that is remembered were told or are too late to matter.
        let oldest = self.seen[(self.newest + 1) % HISTORY];
        let stale = oldest.is_some_and(|oldest| {
            let behind = oldest.wrapping_sub(timestamp);
            behind != 0 && behind < LATE_MAX
        });
        stale || self.seen.contains(&Some(timestamp))
    }

    fn remember(&mut self, timestamp: u32) {
        self.newest = (self.newest + 1) % HISTORY;
        self.seen[self.newest] = Some(timestamp);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One packet: timestamp, key, ended, duration.
    type Told = (u32, char, bool, u16);

    fn payload(key: char, ended: bool, duration: u16) -> [u8; 4] {
        let [d0, d1] = duration.to_be_bytes();
        let event = Digit::from_char(key).unwrap().event();
        [event, if ended { 0x8a } else { 0x0a }, d0, d1]
    }

    /// Feeds packets 20 ms apart and writes down what comes: `5` for a start, `5:100` for an end after 100 ms.
    fn told(packets: &[Told]) -> Vec<String> {
        let mut receiver = Receiver::default();
        let mut now = Duration::ZERO;
        let mut told = Vec::new();
        let write = |press: Press| match press {
            Press::Started(digit) => digit.char().to_string(),
            Press::Ended { digit, duration_ms } => format!("{}:{duration_ms}", digit.char()),
        };
        for &(timestamp, key, ended, duration) in packets {
            now += Duration::from_millis(20);
            let presses = receiver.packet(now, 1, timestamp, &payload(key, ended, duration));
            told.extend(presses.into_iter().flatten().map(write));
        }
        told.extend(receiver.poll(now + SILENCE).map(write));
        told
    }

    #[track_caller]
    fn check(packets: &[Told], expected: &[&str]) {
        assert_eq!(told(packets), expected);
    }

    #[test]
    fn one_key() {
        check(
            &[
                (0, '5', false, 160),
                (0, '5', false, 400),
                (0, '5', true, 800),
            ],
            &["5", "5:100"],
        );
        check(
            &[
                (0, '5', true, 800),
                (0, '5', true, 800),
                (0, '5', true, 800),
            ],
            &["5", "5:100"],
        );
        check(&[(0, '5', false, 400)], &["5", "5:50"]);
        check(
            &[(0, '5', false, 400), (0, '5', false, 160)],
            &["5", "5:50"],
        );
        check(
            &[(0, '5', true, 800), (0, '5', false, 400)],
            &["5", "5:100"],
        );
    }

    #[test]
    fn the_same_key_twice() {
        check(
            &[(0, '5', true, 800), (1_600, '5', true, 800)],
            &["5", "5:100", "5", "5:100"],
        );
        check(
            &[(0, '5', false, 800), (1_600, '5', false, 400)],
            &["5", "5:100", "5", "5:50"],
        );
    }

    #[test]
    fn late_packets_of_an_older_key() {
        check(
            &[
                (0, '1', false, 160),
                (1_600, '2', false, 160),
                (0, '1', true, 800),
                (1_600, '2', true, 800),
            ],
            &["1", "1:20", "2", "2:100"],
        );
        check(
            &[
                (1_600, '2', false, 160),
                (0, '1', true, 800),
                (1_600, '2', true, 800),
            ],
            &["2", "1", "1:100", "2:100"],
        );
    }

    #[test]
    fn a_key_held_for_long_is_one() {
        // In segments (RFC 4733 section 2.5.1.3), and by a sender that lets the duration wrap.
        check(
            &[
                (0, '#', false, 65_000),
                (65_535, '#', false, 400),
                (65_535, '#', true, 8_000),
            ],
            &["#", "#:9191"],
        );
        check(
            &[
                (0, '#', false, 65_000),
                (0, '#', false, 400),
                (0, '#', true, 8_000),
            ],
            &["#", "#:9192"],
        );
    }

    #[test]
    fn timestamps_wrap() {
        check(
            &[(u32::MAX - 100, '1', true, 800), (1_500, '2', true, 800)],
            &["1", "1:100", "2", "2:100"],
        );
    }

    #[test]
    fn what_is_no_key_is_ignored() {
        let mut receiver = Receiver::default();
        for payload in [&b""[..], &[5, 0, 0], &[16, 10, 0, 160], &[255, 10, 0, 160]] {
            assert_eq!(receiver.packet(Duration::ZERO, 1, 7, payload), [None; 3]);
        }
    }

    #[test]
    fn a_flood_is_cut() {
        let flood: Vec<Told> = (0..10_000).map(|n| (n * 8, '1', true, 8)).collect();
        let mut receiver = Receiver::default();
        let started = flood.iter().map(|&(timestamp, key, ended, duration)| {
            let presses =
                receiver.packet(Duration::ZERO, 1, timestamp, &payload(key, ended, duration));
            presses
                .into_iter()
                .flatten()
                .filter(|press| matches!(press, Press::Started(_)))
                .count()
        });
        assert_eq!(started.sum::<usize>(), KEYS_MAX as usize);
    }

    /// A sender that changes its source in the middle of a key, whose last packets of the old one overtake nothing.
    #[test]
    fn a_late_packet_of_the_source_before_tells_no_key_twice() {
        let mut receiver = Receiver::default();
        let mut started = Vec::new();
        for (ssrc, timestamp, key, ended) in [
            (1, 0, '1', false),
            (2, 9_000, '2', false),
            (1, 0, '1', true),
            (2, 9_000, '2', true),
            (1, 0, '1', true),
            // What it hasn't said yet counts.
            (1, 1_600, '3', true),
            (2, 9_000, '2', true),
        ] {
            let told = receiver.packet(Duration::ZERO, ssrc, timestamp, &payload(key, ended, 800));
            started.extend(told.into_iter().flatten().filter_map(|press| match press {
                Press::Started(digit) => Some(digit.char()),
                Press::Ended { .. } => None,
            }));
        }
        assert_eq!(started, ['1', '2', '3']);
    }

    #[test]
    fn another_ssrc_begins_anew() {
        let mut receiver = Receiver::default();
        let one = receiver.packet(Duration::ZERO, 1, 7, &payload('1', false, 160));
        let two = receiver.packet(Duration::ZERO, 2, 7, &payload('2', false, 160));
        let digit = |key| Digit::from_char(key).unwrap();
        assert_eq!(one, [None, Some(Press::Started(digit('1'))), None]);
        assert_eq!(
            two,
            [
                Some(Press::Ended {
                    digit: digit('1'),
                    duration_ms: 20
                }),
                Some(Press::Started(digit('2'))),
                None
            ]
        );
    }

    /// Sixty keys, one directly after the other, across a network that loses 5 % of the packets and delays each by up
    /// to 60 ms: each is told once, and in its order. `late`: from time to time everything under way comes only when
    /// the packets of half a second have gathered, in the order in which it would have come.
    fn across_a_bad_network(seed: u64, late: bool) {
        const KEYS: &[u8; 60] = b"111222333444555666779090909090123456789000000000005555555555";
        let mut state = seed;
        let mut roll = |below: u64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % below
        };
        let mut wire: Vec<(u64, Told)> = Vec::new();
        let mut lost_in_a_row = 0;
        for (n, key) in (0u32..).zip(KEYS) {
            // Five packets 20 ms apart, then the end twice more.
            for step in 1..=7u16 {
                let packet = (n * 1_120, char::from(*key), step > 4, 160 * step.min(5));
                let sent = u64::from(n) * 140 + u64::from(step) * 20;
                // More than four losses in a row would let a later key be known first, whoever listens.
                if lost_in_a_row < 4 && roll(100) < 5 {
                    lost_in_a_row += 1;
                    continue;
                }
                lost_in_a_row = 0;
                wire.push((sent + roll(61), packet));
            }
        }
        wire.sort_by_key(|&(at, _)| at);
        let mut receiver = Receiver::default();
        let mut started = String::new();
        let mut take = |press: Press| {
            if let Press::Started(digit) = press {
                started.push(digit.char());
            }
        };
        for (at, (timestamp, key, over, duration)) in wire {
            let now = Duration::from_millis(if late { at.next_multiple_of(500) } else { at });
            receiver.poll(now).into_iter().for_each(&mut take);
            let presses = receiver.packet(now, 1, timestamp, &payload(key, over, duration));
            presses.into_iter().flatten().for_each(&mut take);
        }
        assert_eq!(started.as_bytes(), KEYS, "seed {seed}");
    }

    #[test]
    fn keys_keep_their_order_across_a_bad_network() {
        for seed in 0..2_000 {
            across_a_bad_network(seed, false);
            across_a_bad_network(seed, true);
        }
    }

    proptest! {
        /// Keys go through a network that loses, doubles and reorders. As long as one packet of each arrives, each
        /// is told once.
        #[test]
        fn each_key_exactly_once(
            keys in proptest::collection::vec((0u8..16, 2u32..40, 2u32..20), 1..12),
            start: u32,
            fate in proptest::collection::vec((0u8..4, 0u32..30), 600),
            survivors in proptest::collection::vec(0usize..64, 12),
        ) {
            // (arrival order, packet), as RFC 4733 has them sent.
            let mut wire: Vec<(u32, Told)> = Vec::new();
            let mut fate = fate.into_iter();
            let mut at = 0;
            for (&(event, tone, gap), survivor) in keys.iter().zip(survivors) {
                let key = Digit::from_event(event).unwrap().char();
                let timestamp = start.wrapping_add(at * 160);
                let mut sent: Vec<(u32, Told)> = (1..=tone)
                    .map(|frame| (at + frame, (timestamp, key, false, (frame * 160) as u16)))
                    .collect();
                sent.extend([(at + tone, (timestamp, key, true, (tone * 160) as u16)); 3]);
                let survivor = survivor % sent.len();
                for (index, (time, packet)) in sent.into_iter().enumerate() {
                    let (copies, delay) = fate.next().unwrap_or((1, 0));
                    // 0 and 3 lose it.
                    let copies = if copies == 3 { 0 } else { copies };
                    let copies = if index == survivor { copies.max(1) } else { copies };
                    for copy in 0..u32::from(copies) {
                        wire.push((time + delay + copy * 7, packet));
                    }
                }
                at += tone + gap;
            }
            wire.sort_by_key(|&(time, _)| time);

            let mut receiver = Receiver::default();
            let mut started = Vec::new();
            let mut ended = 0;
            let mut take = |press: Press| match press {
                Press::Started(digit) => started.push(digit.event()),
                Press::Ended { .. } => ended += 1,
            };
            let mut last = Duration::ZERO;
            for (time, (timestamp, key, over, duration)) in wire {
                last = Duration::from_millis(u64::from(time) * 20);
                receiver.poll(last).into_iter().for_each(&mut take);
                let presses = receiver.packet(last, 1, timestamp, &payload(key, over, duration));
                presses.into_iter().flatten().for_each(&mut take);
            }
            receiver.poll(last + SILENCE).into_iter().for_each(&mut take);
            let mut pressed: Vec<u8> = keys.iter().map(|&(event, _, _)| event).collect();
            pressed.sort_unstable();
            started.sort_unstable();
            prop_assert_eq!(&started, &pressed);
            prop_assert_eq!(ended, pressed.len());
        }
    }
}

//! How a leg's RTP socket is attended to.
//!
//! Being told of each packet costs more than reading it. A telephone sends one every 20 ms by a clock as good as ours:
//! once it has done so for a while its packets are fetched when the next is due, unasked, and whoever is silent, or
//! comes irregularly, is watched by epoll instead.

use media::engine::LegId;

/// Slots (milliseconds) between two packets of a steady talker.
const FRAME: u64 = 20;
/// How far a pause may be from that and still be steady.
const SLACK: u64 = 3;
/// Frames in a row that have to come so.
const STEADY: u8 = 8;
/// Times in a row that a packet may be asked for in vain.
const VAIN_MAX: u8 = 6;
/// One frame in so many is asked for a waking early: whatever waited in its socket for being due too late is found out
/// and comes sooner from then on. Clocks drift far less than that.
const EARLY_EVERY: u8 = 32;
/// The same after a packet that came late, as the next needn't.
const EARLY_AFTER_LATE: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attention {
    /// By epoll. `steady` packets in a row came a frame apart, the last in slot `last`.
    Watched { last: u64, steady: u8 },
    /// Asked in slot `at`, after `vain` times in vain. In `early_in` frames
    /// it is asked early.
    Expected { at: u64, vain: u8, early_in: u8 },
}

impl Attention {
    pub(super) const NEW: Attention = Attention::Watched { last: 0, steady: 0 };

    /// What comes of `packets` read in a slot; `wake`: slots from one waking to the next.
    #[must_use]
    pub(super) fn read(self, slot: u64, packets: u64, wake: u64) -> Attention {
        match self {
            Attention::Watched { last, steady } => {
                let pause = slot.saturating_sub(last);
                let in_step = packets == 1 && pause.abs_diff(FRAME) <= SLACK;
                match steady + 1 {
                    _ if packets == 0 => self,
                    _ if !in_step => Attention::Watched {
                        last: slot,
                        steady: 0,
                    },
                    STEADY => Attention::Expected {
                        at: slot + FRAME,
                        vain: 0,
                        early_in: EARLY_EVERY,
                    },
                    steady => Attention::Watched { last: slot, steady },
                }
            }
            Attention::Expected { vain, early_in, .. } if packets == 0 => {
                if vain == VAIN_MAX {
                    return Attention::NEW;
                }
                Attention::Expected {
                    at: slot + wake,
                    vain: vain + 1,
                    early_in,
                }
            }
            Attention::Expected { vain, early_in, .. } => {
                let early_in = match (packets, vain, early_in) {
                    // It had waited for us.
                    (2.., ..) | (_, 0, 0) => 0,
                    // Asked early, and just in time.
                    (_, 1, 0) => EARLY_EVERY,
                    (_, 1.., _) => EARLY_AFTER_LATE,
                    (_, 0, frames) => frames - 1,
                };
                let early = if early_in == 0 { wake } else { 0 };
                Attention::Expected {
                    at: slot + FRAME - early,
                    vain: 0,
                    early_in,
                }
            }
        }
    }
}

/// Who is to be asked in which slot.
#[derive(Debug, Default)]
pub(super) struct Rota {
    /// By slot, modulo the frame: nobody is due later than that.
    due: [Vec<LegId>; FRAME as usize],
}

impl Rota {
    pub(super) fn add(&mut self, leg: LegId, at: u64) {
        self.due[(at % FRAME) as usize].push(leg);
    }

    /// Exchanges who is due in a slot for an empty list. They may meanwhile have been closed, watched, or put down for
    /// another slot.
    pub(super) fn swap(&mut self, slot: u64, with: &mut Vec<LegId>) {
        with.clear();
        std::mem::swap(&mut self.due[(slot % FRAME) as usize], with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAKE: u64 = 2;

    /// Lets packets come at given slots, and gives for each how long it waited; and how often was asked in vain.
    fn fetched(arrivals: &[u64]) -> (Vec<u64>, usize) {
        let end = arrivals.last().expect("some") + 200;
        let (mut attention, mut waiting) = (Attention::NEW, Vec::new());
        let (mut waits, mut vain, mut coming) = (Vec::new(), 0, arrivals.iter().peekable());
        for slot in 1..end {
            while coming.next_if(|&&at| at <= slot).is_some() {
                waiting.push(slot);
            }
            let asked = match attention {
                Attention::Watched { .. } => !waiting.is_empty(),
                Attention::Expected { at, .. } => at == slot,
            };
            if asked {
                vain += usize::from(waiting.is_empty());
                attention = attention.read(slot, waiting.len() as u64, WAKE);
                waits.extend(waiting.drain(..).map(|since| slot - since));
            }
        }
        assert!(
            matches!(attention, Attention::Watched { .. }),
            "in the end it is silent"
        );
        (waits, vain)
    }

    #[test]
    fn a_steady_talker_is_asked_once_a_frame_and_waits_for_nothing() {
        let arrivals: Vec<u64> = (1..1_000).map(|n| n * 20).collect();
        let (waits, vain) = fetched(&arrivals);
        assert_eq!(waits.len(), arrivals.len());
        assert!(waits.iter().all(|&wait| wait == 0), "{waits:?}");
        assert!(vain < 1_000 / 32 + 10, "one early in 32: {vain}");
    }

    #[test]
    fn clocks_that_drift_cost_a_waking_at_most() {
        // A second in a thousand faster and slower: a hundred times what telephones do.
        for drift in [-1i64, 1] {
            let at = |n: i64| (n * 20 + drift * n * 20 / 1_000) as u64;
            let (waits, _) = fetched(&(1..5_000).map(at).collect::<Vec<_>>());
            assert_eq!(waits.len(), 4_999);
            assert!(waits.iter().all(|&wait| wait <= WAKE), "{drift}");
        }
    }

    #[test]
    fn a_bad_network_adds_no_more_than_its_own_jitter() {
        // 0 to 9 ms late by a fixed pattern.
        let late = |n: u64| n * 7_919 % 10;
        let arrivals: Vec<u64> = (1..2_000).map(|n| n * 20 + late(n)).collect();
        let (waits, vain) = fetched(&arrivals);
        assert_eq!(waits.len(), arrivals.len());
        assert!(waits.iter().all(|&wait| wait <= 9 + WAKE), "{waits:?}");
        assert!(vain < 2 * arrivals.len(), "{vain}");
    }

    #[test]
    fn who_pauses_is_watched_and_who_comes_irregularly_stays_so() {
        let talks = |from: u64| (1..50).map(move |n| from + n * 20);
        let arrivals: Vec<u64> = talks(0).chain(talks(5_003)).collect();
        let (waits, _) = fetched(&arrivals);
        assert_eq!(waits.len(), 98);
        // Ten milliseconds a packet, and thirty.
        for pause in [10, 30] {
            let (waits, vain) = fetched(&(1..500).map(|n| n * pause).collect::<Vec<_>>());
            assert!(waits.iter().all(|&wait| wait == 0));
            assert_eq!(vain, 0);
        }
    }
}

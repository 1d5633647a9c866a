//! What media threads count. Written by one thread each, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use media::engine::LegStats;

/// Upper bounds of the lateness classes, in microseconds; the last class is everything above.
pub const LATENESS_BOUNDS_US: [u64; 9] = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000];

/// Upper bounds of the classes of loss, in 1/1000 of a leg's packets; the last class is everything above.
pub const LOSS_BOUNDS_MILLI: [u64; 8] = [1, 5, 10, 20, 30, 50, 100, 200];

/// Upper bounds of the classes of jitter, in microseconds; the last class is everything above.
pub const JITTER_BOUNDS_US: [u64; 8] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000];

/// Packets from which a leg's loss and jitter are worth a figure: two seconds of audio.
const JUDGED_FROM: u64 = 100;

/// What passed through the legs that are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quality {
    /// Legs by loss of what they received, by class of [`LOSS_BOUNDS_MILLI`].
    pub loss: [u64; LOSS_BOUNDS_MILLI.len() + 1],
    /// The same of what they sent, as the far side reported last.
    pub remote_loss: [u64; LOSS_BOUNDS_MILLI.len() + 1],
    /// Legs by jitter of what they received, at their end, by class of [`JITTER_BOUNDS_US`].
    pub jitter: [u64; JITTER_BOUNDS_US.len() + 1],
    /// Packets with a wrong tag, of encrypted legs.
    pub forged: u64,
    /// Packets that weren't taken: strangers', unreadable, of no use, forged.
    pub ignored: u64,
}

impl Quality {
    /// Another leg is closed.
    pub(super) fn leg(&mut self, stats: &LegStats) {
        self.forged += stats.packets_forged;
        self.ignored += stats.packets_ignored;
        let share = |lost: i64, of: u64| {
            let lost = u64::try_from(lost).unwrap_or(0);
            lost.saturating_mul(1_000).checked_div(of).unwrap_or(0)
        };
        let class = |bounds: &[u64], value: u64| bounds.partition_point(|&bound| bound < value);
        if stats.packets_received >= JUDGED_FROM {
            let expected = stats
                .packets_received
                .saturating_add_signed(stats.packets_lost);
            let lost = share(stats.packets_lost, expected);
            self.loss[class(&LOSS_BOUNDS_MILLI, lost)] += 1;
            self.jitter[class(&JITTER_BOUNDS_US, u64::from(stats.jitter_us))] += 1;
        }
        if let Some(lost) = stats
            .remote_lost
            .filter(|_| stats.packets_sent >= JUDGED_FROM)
        {
            let lost = share(i64::from(lost), stats.packets_sent);
            self.remote_loss[class(&LOSS_BOUNDS_MILLI, lost)] += 1;
        }
    }

    fn add(&mut self, other: &Quality) {
        let add = |to: &mut [u64], from: &[u64]| {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        };
        add(&mut self.loss, &other.loss);
        add(&mut self.remote_loss, &other.remote_loss);
        add(&mut self.jitter, &other.jitter);
        self.forged += other.forged;
        self.ignored += other.ignored;
    }
}

/// What happened so far, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Legs open now.
    pub legs: u64,
    /// Port pairs not in use now, resting ones included.
    pub ports_free: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Packets the system wouldn't send.
    pub packets_unsent: u64,
    /// Slots begun.
    pub slots: u64,
    /// Slots begun more than a millisecond late.
    pub slots_late: u64,
    /// Slots left out because the thread slept for long (a suspended machine).
    pub slots_skipped: u64,
    /// How late slots began: their number by class of [`LATENESS_BOUNDS_US`].
    pub lateness: [u64; LATENESS_BOUNDS_US.len() + 1],
    /// Times the channel of events was full; the events waited.
    pub events_delayed: u64,
    /// Commands refused because too many waited.
    pub commands_refused: u64,
    /// Frames that a listener had no room for, and ring frames overwritten.
    pub frames_dropped: u64,
    /// Processor time of the threads, in microseconds; a second old at most while there are legs.
    pub cpu_us: u64,
    /// What passed through the legs that are closed.
    pub quality: Quality,
}

/// One thread's counts as it keeps them.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) packets_in: u64,
    pub(super) packets_out: u64,
    pub(super) packets_unsent: u64,
    pub(super) slots: u64,
    pub(super) slots_late: u64,
    pub(super) slots_skipped: u64,
    pub(super) lateness: [u64; LATENESS_BOUNDS_US.len() + 1],
    pub(super) events_delayed: u64,
    pub(super) frames_dropped: u64,
    pub(super) cpu_us: u64,
    pub(super) quality: Quality,
    /// It has changed since it was published.
    pub(super) judged: bool,
}

impl Tally {
    pub(super) fn slot(&mut self, late_us: u64) {
        self.slots += 1;
        self.slots_late += u64::from(late_us > 1_000);
        let class = LATENESS_BOUNDS_US.partition_point(|&bound| bound <= late_us);
        self.lateness[class] += 1;
    }
}

/// One thread's counts as others see them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    packets_in: AtomicU64,
    packets_out: AtomicU64,
    packets_unsent: AtomicU64,
    slots: AtomicU64,
    slots_late: AtomicU64,
    slots_skipped: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS_US.len() + 1],
    events_delayed: AtomicU64,
    frames_dropped: AtomicU64,
    cpu_us: AtomicU64,
    /// Locked once for each leg that is closed, and by who reads.
    quality: Mutex<Quality>,
}

impl Counters {
    /// Plain stores: one thread alone writes.
    pub(super) fn publish(&self, tally: &mut Tally) {
        let put = |to: &AtomicU64, value| to.store(value, Ordering::Relaxed);
        put(&self.packets_in, tally.packets_in);
        put(&self.packets_out, tally.packets_out);
        put(&self.packets_unsent, tally.packets_unsent);
        put(&self.slots, tally.slots);
        put(&self.slots_late, tally.slots_late);
        put(&self.slots_skipped, tally.slots_skipped);
        put(&self.events_delayed, tally.events_delayed);
        put(&self.frames_dropped, tally.frames_dropped);
        put(&self.cpu_us, tally.cpu_us);
        for (to, value) in self.lateness.iter().zip(tally.lateness) {
            put(to, value);
        }
        if std::mem::take(&mut tally.judged) {
            *self.quality.lock().unwrap_or_else(PoisonError::into_inner) = tally.quality;
        }
    }

    pub(super) fn add_to(&self, figures: &mut Figures) {
        let get = |from: &AtomicU64| from.load(Ordering::Relaxed);
        figures.packets_in += get(&self.packets_in);
        figures.packets_out += get(&self.packets_out);
        figures.packets_unsent += get(&self.packets_unsent);
        figures.slots += get(&self.slots);
        figures.slots_late += get(&self.slots_late);
        figures.slots_skipped += get(&self.slots_skipped);
        figures.events_delayed += get(&self.events_delayed);
        figures.frames_dropped += get(&self.frames_dropped);
        figures.cpu_us += get(&self.cpu_us);
        for (to, from) in figures.lateness.iter_mut().zip(&self.lateness) {
            *to += get(from);
        }
        let quality = self.quality.lock().unwrap_or_else(PoisonError::into_inner);
        figures.quality.add(&quality);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(stats: LegStats) -> Quality {
        let mut quality = Quality::default();
        quality.leg(&stats);
        quality
    }

    #[test]
    fn legs_are_counted_by_what_was_lost_and_how_unevenly_it_came() {
        let stats = LegStats {
            packets_received: 970,
            packets_lost: 30,
            packets_sent: 1_000,
            remote_lost: Some(0),
            jitter_us: 4_000,
            packets_forged: 2,
            packets_ignored: 7,
            ..LegStats::default()
        };
        let quality = judged(stats);
        // 3 % is no more than 3 %; 4 ms no more than 5 ms.
        assert_eq!(quality.loss, [0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(quality.remote_loss, [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(quality.jitter, [0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!((quality.forged, quality.ignored), (2, 7));
        // Doubled packets are no loss, nearly all lost is above every bound, a leg of a second says nothing.
        let doubled = judged(LegStats {
            packets_lost: -970,
            ..stats
        });
        assert_eq!(doubled.loss[0], 1);
        let lost = judged(LegStats {
            packets_lost: 9_030,
            remote_lost: Some(i32::MAX),
            ..stats
        });
        assert_eq!((lost.loss[8], lost.remote_loss[8]), (1, 1));
        let brief = judged(LegStats {
            packets_received: 50,
            packets_sent: 50,
            ..stats
        });
        assert_eq!((brief.loss, brief.jitter), Default::default());
        // Threads add up.
        let mut both = quality;
        both.add(&quality);
        assert_eq!((both.loss[4], both.forged), (2, 4));
    }
}

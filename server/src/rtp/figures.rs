//! What media threads count. Written by one thread each, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the lateness classes, in microseconds; the last class is everything above.
pub const LATENESS_BOUNDS_US: [u64; 9] = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000];

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
}

impl Counters {
    /// Plain stores: one thread alone writes.
    pub(super) fn publish(&self, tally: &Tally) {
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
    }
}

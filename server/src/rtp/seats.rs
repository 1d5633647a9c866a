//! The names of one thread's legs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use media::engine::LegId;

use super::lock;

/// Places in an engine's table, each with the number of its users so far.
#[derive(Debug)]
pub(super) struct Seats {
    thread: u8,
    seats_max: u32,
    taken: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<u32>,
    /// By place; as long as places were ever used.
    generations: Vec<u32>,
}

impl Seats {
    pub(super) fn new(thread: u8, seats_max: u32) -> Seats {
        Seats {
            thread,
            seats_max,
            taken: AtomicU32::new(0),
            state: Mutex::default(),
        }
    }

    /// A name nobody else has; none when all places are taken.
    pub(super) fn take(&self) -> Option<LegId> {
        let mut state = lock(&self.state);
        let slot = match state.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = state.generations.len() as u32;
                if slot >= self.seats_max {
                    return None;
                }
                state.generations.push(0);
                slot
            }
        };
        let generation = state.generations.get_mut(slot as usize)?;
        *generation = generation.wrapping_add(1);
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(LegId::new(self.thread, slot, *generation))
    }

    /// Gives a place back, once its leg is closed.
    pub(super) fn leave(&self, leg: LegId) {
        lock(&self.state).free.push(leg.slot());
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }
}

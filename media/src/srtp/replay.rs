//! The replay list (RFC 3711 section 3.3.2): each index once, within a window. What we send has one too.

/// How far behind the newest packet another may come. The RFC's least is 64; a second and more of audio is a little
/// over that.
const WINDOW: u64 = 128;

/// The indices accepted of one stream.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// The highest accepted, and which of those below it were: bit n stands for `newest - n`.
    seen: Option<(u64, u128)>,
}

impl Replay {
    /// Whether an index could be accepted: neither seen nor too old.
    pub(super) fn fresh(&self, index: u64) -> bool {
        match self.seen {
            None => true,
            Some((newest, _)) if index > newest => true,
            Some((newest, seen)) => {
                let behind = newest - index;
                behind < WINDOW && seen & (1 << behind) == 0
            }
        }
    }

    /// Notes an index whose packet proved genuine.
    pub(super) fn accept(&mut self, index: u64) {
        self.seen = Some(match self.seen {
            None => (index, 1),
            Some((newest, seen)) if index > newest => {
                let moved = u32::try_from(index - newest).unwrap_or(u32::MAX);
                (index, seen.checked_shl(moved).unwrap_or(0) | 1)
            }
            Some((newest, seen)) => {
                let behind = u32::try_from(newest - index).unwrap_or(u32::MAX);
                (newest, seen | 1u128.checked_shl(behind).unwrap_or(0))
            }
        });
    }

    /// The highest index accepted.
    pub(super) fn newest(&self) -> Option<u64> {
        self.seen.map(|(newest, _)| newest)
    }
}

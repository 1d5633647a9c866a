//! Waiting for the pump to change over, with an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::publish::PublishError;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Between who publishes and the pump: either the pump begins, or whoever
/// waited for it gives up, never both.
#[derive(Debug, Clone, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// True for the first of the two.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }
}

/// Waits for an answer, from a thread that has no runtime of its own. `None`:
/// it hasn't come in time, and won't.
pub(super) fn hear<T>(mut answer: oneshot::Receiver<T>, patience: Duration) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        match answer.try_recv() {
            Ok(answer) => return Some(answer),
            Err(oneshot::error::TryRecvError::Empty) if Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            Err(_) => return None,
        }
    }
}

/// Waits for the pump to change over, from a thread that has no runtime of its own. When it is late it is told
/// not to begin; if it has begun, it has as long again.
pub(super) fn wait(
    mut changed: oneshot::Receiver<()>,
    claim: &Claim,
    patience: Duration,
) -> Result<(), PublishError> {
    let mut until = Instant::now() + patience;
    let mut begun = false;
    loop {
        match changed.try_recv() {
            Ok(()) => return Ok(()),
            Err(oneshot::error::TryRecvError::Empty) if Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            Err(_) if claim.take() => return Err(PublishError::Stopping),
            Err(oneshot::error::TryRecvError::Empty) if !begun => {
                begun = true;
                until += patience;
            }
            Err(_) => return Err(PublishError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Late by a little, or for good.
    #[test]
    fn whoever_gives_up_is_not_served_behind_their_back() {
        let patience = Duration::from_millis(20);
        let (done, changed) = oneshot::channel();
        let claim = Claim::default();
        let waited = wait(changed, &claim, patience);
        assert!(matches!(waited, Err(PublishError::Stopping)), "{waited:?}");
        assert!(!claim.take(), "the pump doesn't begin");
        drop(done);

        // It has begun: it is waited for, and at last nobody knows.
        let (done, changed) = oneshot::channel();
        let claim = Claim::default();
        assert!(claim.take());
        let waiting = claim.clone();
        let waited = std::thread::spawn(move || wait(changed, &waiting, 5 * patience));
        std::thread::sleep(7 * patience);
        done.send(()).unwrap();
        assert!(waited.join().unwrap().is_ok());
        let (_done, changed) = oneshot::channel();
        let waited = wait(changed, &claim, patience);
        assert!(matches!(waited, Err(PublishError::Unknown)), "{waited:?}");
    }
}

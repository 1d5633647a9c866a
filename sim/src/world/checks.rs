//! What callers key in to show who they are is compared: it fits or doesn't,
//! late, twice, not at all, or whoever compares it can't.

use std::time::Duration;

use desk::{CheckOutcome, Checked};
use switch::Check;

use super::{NodeDue, World, trace};
use crate::node::wall;

/// An answer: after how long it is there, and whether it fits; `None`: it couldn't be compared.
pub type Fit = (Duration, Option<bool>);

/// How answers are judged, and which were asked about.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// Every question's answers, in a story; by chance when `None`.
    fits: Option<Vec<Fit>>,
    asked: usize,
}

impl World {
    /// How what callers key in is judged from now on: by all of these, or by nothing.
    pub fn judges(&mut self, fits: &[Fit]) {
        self.checks.fits = Some(fits.to_vec());
    }

    /// How often it was to be compared.
    #[must_use]
    pub fn compared(&self) -> usize {
        self.checks.asked
    }

    pub(super) fn asks_to_compare(&mut self, check: Check) {
        trace!(self, "verifier <- {check:?}");
        self.checks.asked += 1;
        let fits = self.checks.fits.clone();
        for (delay, fits) in fits.unwrap_or_else(|| self.fits()) {
            let at = self.now + delay;
            let person = check.hint;
            let outcome = fits.map(|fits| CheckOutcome {
                person,
                fits: fits && person.is_some(),
            });
            let checked = Checked {
                id: check.id,
                tenant: check.tenant,
                contact: check.contact,
                at: wall(at),
                outcome,
            };
            self.enter_node(at, NodeDue::Checked(checked));
        }
    }

    fn fits(&mut self) -> Vec<Fit> {
        let soon = self.dice.millis(30, 400);
        match self.dice.below(8) {
            0 => Vec::new(),
            1 => vec![(soon, None)],
            2 => vec![(soon, Some(true)), (soon * 2, Some(true))],
            // About when nobody waits any more.
            3 => vec![(Duration::from_millis(3_990) + soon / 10, Some(true))],
            4 | 5 => vec![(soon, Some(false))],
            _ => vec![(soon, Some(true))],
        }
    }
}

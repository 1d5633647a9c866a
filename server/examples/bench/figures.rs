//! Figures: what is printed, and how.

use std::fmt::Write;

/// Values of one kind, for percentiles.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    values: Vec<f64>,
    sorted: bool,
}

impl Sample {
    pub(crate) fn add(&mut self, value: f64) {
        self.values.push(value);
        self.sorted = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The value that `share` of all values don't exceed; NaN without any.
    pub(crate) fn at(&mut self, share: f64) -> f64 {
        if !self.sorted {
            self.values.sort_unstable_by(f64::total_cmp);
            self.sorted = true;
        }
        let last = self.values.len().saturating_sub(1);
        let place = (last as f64 * share).round() as usize;
        self.values.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// What spoils a rate: one of these, and the rate is void.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spoilers {
    /// Calls that weren't answered, or not ended, or ended by the server.
    pub(crate) errors: u64,
    /// Calls refused.
    pub(crate) rejects: u64,
    /// SIP messages that either side sent again.
    pub(crate) retransmissions: u64,
    /// Contacts or tickets not in the database 2 s after the end.
    pub(crate) uncommitted: u64,
    /// Whether the generator itself fell behind by more than 100 ms.
    pub(crate) generator_late: u64,
}

impl Spoilers {
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }

    pub(crate) fn words(self) -> String {
        let void = if self.any() { "VOID: " } else { "" };
        format!(
            "{void}errors {}, rejects {}, retransmissions {}, uncommitted {}, generator late {}",
            self.errors, self.rejects, self.retransmissions, self.uncommitted, self.generator_late
        )
    }
}

/// What a figure is to reach, and what we aim for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) reach: f64,
    pub(crate) goal: f64,
    /// More is better.
    pub(crate) upwards: bool,
}

impl Bar {
    pub(crate) fn at_most(reach: f64, goal: f64) -> Option<Self> {
        let upwards = false;
        Some(Self {
            reach,
            goal,
            upwards,
        })
    }

    pub(crate) fn at_least(reach: f64, goal: f64) -> Option<Self> {
        let upwards = true;
        Some(Self {
            reach,
            goal,
            upwards,
        })
    }

    fn verdict(self, value: f64) -> &'static str {
        let holds = |bar: f64| {
            if self.upwards {
                value >= bar
            } else {
                value <= bar
            }
        };
        if holds(self.goal) {
            "goal met"
        } else if holds(self.reach) {
            "reached"
        } else {
            "NOT reached"
        }
    }
}

/// A line of the report: the middle of the runs' values, and their spread.
pub(crate) fn line(
    name: &str,
    unit: &str,
    runs: &[f64],
    decimals: usize,
    bar: Option<Bar>,
    remark: &str,
) {
    let mut sorted = runs.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(value) = sorted.get(sorted.len() / 2).copied() else {
        println!("{name:<34} not measured  {remark}");
        return;
    };
    let mut text = format!("{name:<34} {value:>9.decimals$} {unit:<16}");
    if let Some(bar) = bar {
        let _ = write!(
            text,
            " (reach {}, goal {}: {})",
            bar.reach,
            bar.goal,
            bar.verdict(value)
        );
    }
    if let (Some(least), Some(most), true) = (sorted.first(), sorted.last(), sorted.len() > 1) {
        let _ = write!(
            text,
            " {} runs, {least:.decimals$} to {most:.decimals$}",
            sorted.len()
        );
    } else {
        text.push_str(" 1 run");
    }
    if !remark.is_empty() {
        let _ = write!(text, "; {remark}");
    }
    println!("{text}");
}

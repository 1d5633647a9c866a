//! Lists, a page at a time.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;

/// Things on a page, unless fewer are asked for, and at most.
const DEFAULT: usize = 50;
pub(super) const MAX: usize = 200;

/// Which page of a list, the newest first.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `next` of the page before. What it says is Careline's business. What is new since doesn't
    /// move anything: no thing comes twice, none is passed over.
    cursor: Option<String>,
    /// How many: 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

impl Page {
    /// Ids below this are asked for. `of`: a letter for the list, so that no cursor leads into another.
    pub(super) fn below(&self, of: char) -> Result<u64, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(u64::MAX);
        };
        let digits = cursor.strip_prefix(of).filter(|digits| digits.len() == 16);
        digits
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| Problem::Invalid("cursor: not one of this list".to_owned()))
    }

    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }
}

/// The cursor of the page behind the one that ends with this id; none behind a page that isn't full.
pub(super) fn next(of: char, last: Option<u64>, full: bool) -> Option<String> {
    last.filter(|_| full).map(|last| format!("{of}{last:016x}"))
}

/// Which part of something that is numbered without gaps.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Those behind this number; `next` of the answer before. 0 if absent: from the first.
    after: Option<u64>,
    /// How many: 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

impl After {
    pub(super) fn after(&self) -> u64 {
        self.after.unwrap_or(0)
    }

    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }
}

fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT) {
        limit @ 1..=MAX => Ok(limit),
        _ => Err(Problem::Invalid(format!("limit: from 1 to {MAX}"))),
    }
}

/// Ids as the audit has them.
pub(super) fn ids(ids: impl Iterator<Item = impl ToString>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    ids.join(" ")
}

/// The same of numbers without gaps.
pub(super) fn range(after: u64, next: u64) -> String {
    match next > after {
        true => format!("{}..{next}", after + 1),
        false => String::new(),
    }
}

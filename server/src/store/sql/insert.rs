//! The text of an insert of many rows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Into which columns of which table rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) struct Insert {
    pub(in crate::store) table: &'static str,
    /// Separated by commas.
    pub(in crate::store) columns: &'static str,
    pub(in crate::store) conflict: Conflict,
}

/// What if a row with the same key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum Conflict {
    /// It is an error.
    Refuse,
    /// The new one takes its place: all columns but those of this key, which
    /// is the primary one. No two rows of one insert may have the same.
    Replace(&'static str),
}

impl Insert {
    pub(super) fn width(&self) -> usize {
        columns(self.columns).count()
    }

    fn text(&self, rows: usize) -> String {
        let width = self.width();
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 1..=width {
                let comma = if column == 1 { "" } else { ", " };
                let _ = write!(sql, "{comma}?{}", row * width + column);
            }
            sql.push(')');
        }
        if let Conflict::Replace(key) = self.conflict {
            let _ = write!(sql, " ON CONFLICT ({key}) DO UPDATE SET ");
            let mut comma = "";
            for column in columns(self.columns) {
                if columns(key).all(|part| part != column) {
                    let _ = write!(sql, "{comma}{column} = excluded.{column}");
                    comma = ", ";
                }
            }
        }
        sql
    }
}

/// The texts made so far: as many as there are tables, times a few sizes.
#[derive(Debug, Default)]
pub(super) struct Texts(RefCell<HashMap<(Insert, usize), Arc<str>>>);

impl Texts {
    /// The text for so many rows at once.
    pub(super) fn get(&self, insert: &Insert, rows: usize) -> Arc<str> {
        let mut texts = self.0.borrow_mut();
        let text = texts.entry((*insert, rows));
        Arc::clone(text.or_insert_with(|| insert.text(rows).into()))
    }
}

fn columns(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(',').map(str::trim)
}

//! What goes into a statement, and what comes out of a row.

use rusqlite::types::{ToSqlOutput, ValueRef};

use super::DatabaseError;
use super::postgres::cell;
use crate::store::StoreError;

/// A parameter. Ids of 64 bits are stored bit for bit in signed integers.
///
/// Its `Debug` shows no text: what is bound is personal data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// The parameters of a statement, each of any type that a [`Value`] is made from.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        [$($crate::store::sql::Value::from($value)),*]
    };
}
pub(in crate::store) use values;

macro_rules! from_int {
    ($($int:ty),*) => {
        $(impl From<$int> for Value<'_> {
            fn from(value: $int) -> Self {
                Self::Int(i64::from(value))
            }
        })*
    };
}
from_int!(i64, i32, u32, u16, u8, bool);

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Int(value.cast_signed())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A row of an answer.
pub(in crate::store) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

/// What can be read from a whole number's column.
pub(in crate::store) trait Column: Sized {
    fn of(value: i64) -> Option<Self>;
}

impl Column for i64 {
    fn of(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl Column for u64 {
    fn of(value: i64) -> Option<Self> {
        Some(value.cast_unsigned())
    }
}

impl Column for u32 {
    fn of(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Column for u16 {
    fn of(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Column for u8 {
    fn of(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Column for bool {
    fn of(value: i64) -> Option<Self> {
        Some(value != 0)
    }
}

impl<'r> Row<'r> {
    /// A whole number.
    pub(in crate::store) fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        self.maybe(column)?
            .ok_or(StoreError::Unreadable("an empty column"))
    }

    /// A whole number, or nothing.
    pub(in crate::store) fn maybe<T: Column>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StoreError> {
        let value = match self {
            Self::Sqlite(row) => match sqlite(row, column)? {
                ValueRef::Null => None,
                ValueRef::Integer(value) => Some(value),
                _ => return Err(StoreError::Unreadable("a number's column")),
            },
            Self::Postgres(row) => cell::int(row, column)?,
        };
        let Some(value) = value else { return Ok(None) };
        let value = T::of(value).ok_or(StoreError::Unreadable("a number out of its range"))?;
        Ok(Some(value))
    }

    /// A text's bytes, or nothing; whether it is UTF-8 is for whoever reads on.
    pub(in crate::store) fn raw(&self, column: usize) -> Result<Option<&'r [u8]>, StoreError> {
        match self {
            Self::Sqlite(row) => match sqlite(row, column)? {
                ValueRef::Null => Ok(None),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Some(bytes)),
                _ => Err(StoreError::Unreadable("a text's column")),
            },
            Self::Postgres(row) => cell::bytes(row, column),
        }
    }

    /// Text, or nothing.
    pub(in crate::store) fn maybe_text(
        &self,
        column: usize,
    ) -> Result<Option<&'r str>, StoreError> {
        let Some(bytes) = self.raw(column)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes).map_err(|_| StoreError::Unreadable("a text"))?;
        Ok(Some(text))
    }

    /// Text.
    pub(in crate::store) fn text(&self, column: usize) -> Result<&'r str, StoreError> {
        self.maybe_text(column)?
            .ok_or(StoreError::Unreadable("an empty column"))
    }

    /// Bytes.
    pub(in crate::store) fn bytes(&self, column: usize) -> Result<&'r [u8], StoreError> {
        self.raw(column)?
            .ok_or(StoreError::Unreadable("an empty column"))
    }
}

fn sqlite<'r>(row: &'r rusqlite::Row<'r>, column: usize) -> Result<ValueRef<'r>, StoreError> {
    Ok(row.get_ref(column).map_err(DatabaseError::from)?)
}

//! Values on PostgreSQL's wire: whole numbers, texts, bytes.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::{DatabaseError, Value};
use crate::store::StoreError;

type Odd = Box<dyn Error + Sync + Send>;

/// A [`Value`] that may be kept until it has been sent.
#[derive(Debug)]
pub(super) enum Owned {
    Null,
    Int(i64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(value) => Self::Int(value),
            Value::Text(text) => Self::Text(text.into()),
            Value::Bytes(bytes) => Self::Bytes(bytes.into()),
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Odd> {
        match *self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int(value) => match *ty {
                Type::INT8 => out.put_i64(value),
                Type::INT4 => out.put_i32(value.try_into()?),
                Type::INT2 => out.put_i16(value.try_into()?),
                Type::BOOL => out.put_u8(u8::from(value != 0)),
                _ => return Err(format!("a number where {ty} is wanted").into()),
            },
            Self::Text(text) => match *ty {
                Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => {
                    out.put_slice(text.as_bytes());
                }
                _ => return Err(format!("text where {ty} is wanted").into()),
            },
            Self::Bytes(bytes) => match *ty {
                Type::BYTEA => out.put_slice(bytes),
                _ => return Err(format!("bytes where {ty} is wanted").into()),
            },
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Owned {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Odd> {
        let value = match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(*value),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        };
        value.to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

struct Int(i64);

impl<'a> FromSql<'a> for Int {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Odd> {
        // Big-endian, of as many bytes as the type has; a flag is one byte.
        Ok(Self(match *raw {
            [flag] => i64::from(flag),
            [a, b] => i64::from(i16::from_be_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
            _ => i64::from_be_bytes(raw.try_into()?),
        }))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::INT2 | Type::BOOL)
    }
}

struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Odd> {
        Ok(Self(raw))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::BYTEA
        )
    }
}

/// A whole number.
pub(in super::super) fn int(
    row: &tokio_postgres::Row,
    column: usize,
) -> Result<Option<i64>, StoreError> {
    let read: Option<Int> = row.try_get(column).map_err(unreadable)?;
    Ok(read.map(|int| int.0))
}

/// The bytes of a text, or of bytes.
pub(in super::super) fn bytes(
    row: &tokio_postgres::Row,
    column: usize,
) -> Result<Option<&[u8]>, StoreError> {
    let read: Option<Raw<'_>> = row.try_get(column).map_err(unreadable)?;
    Ok(read.map(|raw| raw.0))
}

fn unreadable(error: tokio_postgres::Error) -> DatabaseError {
    DatabaseError::Postgres {
        code: "22000".into(),
        message: super::session::chain(&error).into(),
    }
}

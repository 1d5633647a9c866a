//! What a database says went wrong.

use rusqlite::ErrorCode;

/// An error of a database, without anything that was in a row.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite says so.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL says so. Its detail and hint are left out: they quote rows.
    #[error("PostgreSQL says: {message} ({code})")]
    Postgres {
        /// SQLSTATE.
        code: Box<str>,
        /// Its message.
        message: Box<str>,
    },
    /// There is no connection, or nothing is heard on it.
    #[error("no connection to PostgreSQL: {0}")]
    Lost(Box<str>),
    /// A question was asked while the rows of another were read.
    #[error("a question was asked while the rows of another were read")]
    Busy,
}

impl DatabaseError {
    pub(super) fn lost(why: impl std::fmt::Display) -> Self {
        Self::Lost(why.to_string().into())
    }

    /// Does the failure come from what was to be written, rather than from the database?
    pub(in crate::store) fn is_of_one_commit(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::ConstraintViolation
                        | ErrorCode::TypeMismatch
                        | ErrorCode::TooBig
                        | ErrorCode::ApiMisuse
                        | ErrorCode::ParameterOutOfRange
                ) | None
            ),
            // Cardinality, data, integrity, access rule or syntax, program limits, PL/pgSQL.
            Self::Postgres { code, .. } => {
                ["21", "22", "23", "42", "54", "P0"].contains(&code.get(..2).unwrap_or_default())
            }
            Self::Lost(_) => false,
            Self::Busy => true,
        }
    }
}

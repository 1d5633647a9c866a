//! Which database.

use std::fmt;
use std::path::{Path, PathBuf};

pub use super::sql::postgres::Server;
use crate::config::{self, ConfigError};
use crate::secrets;

/// Where everything is kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file.
    File(PathBuf),
    /// A database on a PostgreSQL server.
    Server(Server),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl From<&Path> for Database {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Database {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Database> for Database {
    fn from(database: &Database) -> Self {
        database.clone()
    }
}

impl config::Store {
    /// The database. `file` is `careline.toml`, in the folder that its paths are relative to; a
    /// SQLite file is in `data_dir`.
    ///
    /// # Errors
    /// What is wrong with the settings; the password isn't where they say.
    pub fn database(&self, file: &Path, data_dir: &Path) -> Result<Database, ConfigError> {
        let wrong = |fault: &str| ConfigError::new(file, format!("store: {fault}"));
        let Some(url) = &self.url else {
            return match (&self.password, &self.authority) {
                (None, None) => Ok(Database::File(data_dir.join(&self.file))),
                _ => Err(wrong(
                    "`password` and `authority` are a PostgreSQL server's; write its `url` too",
                )),
            };
        };
        if self.size_max_mb.is_some() {
            return Err(wrong(
                "`size_max_mb` is a SQLite file's; a PostgreSQL server has limits of its own",
            ));
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        let password = match &self.password {
            Some(from) => Some(secrets::find(from, folder).map_err(|fault| wrong(&fault))?),
            None => None,
        };
        let authority = self.authority.as_ref().map(|file| folder.join(file));
        let server = Server::new(
            url,
            password.as_ref().map(String::as_bytes),
            authority.as_deref(),
        )
        .map_err(|fault| wrong(&fault))?;
        Ok(Database::Server(server))
    }
}

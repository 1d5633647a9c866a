//! Who may ask, and what.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use desk::TenantId;
use sha2::{Digest, Sha256};

use crate::secrets;
use crate::store::{ApiStore, ApiStoreError, StoreError, StoredToken};

/// Before the secret's digits, so that one that has strayed is recognised.
const PREFIX: &str = "careline_";
/// Digits of a secret: 32 random bytes.
const DIGITS: usize = 64;
/// Longest time a token is valid, and how many there may ever be.
pub const DAYS_MAX: i64 = 366;
const TOKENS_MAX: usize = 10_000;
const NAME_MAX: usize = 100;

/// What a token may do. Whose data it may do that with is another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scope {
    /// List contacts, and read their journeys.
    #[value(name = "contacts:read")]
    ContactsRead,
    /// See the numbers that a contact called from and dialled. Personal data.
    #[value(name = "numbers:read")]
    NumbersRead,
    /// Read the log from any place on.
    #[value(name = "events:read")]
    EventsRead,
    /// Read the figures of some days.
    #[value(name = "figures:read")]
    FiguresRead,
    /// List tickets, and read one.
    #[value(name = "tickets:read")]
    TicketsRead,
    /// List incidents.
    #[value(name = "incidents:read")]
    IncidentsRead,
    /// Draft incidents.
    #[value(name = "incidents:write")]
    IncidentsWrite,
    /// Publish incidents, change and close them: callers hear it.
    #[value(name = "incidents:publish")]
    IncidentsPublish,
    /// Send alerts, as monitoring does.
    #[value(name = "alerts:write")]
    AlertsWrite,
    /// List promises of callbacks, and read one.
    #[value(name = "promises:read")]
    PromisesRead,
    /// See queues and analysts as they are now: the operator's tokens only, as all hospitals share them.
    #[value(name = "queues:read")]
    QueuesRead,
    /// Read who has looked at what.
    #[value(name = "audit:read")]
    AuditRead,
}

impl Scope {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::ContactsRead => "contacts:read",
            Self::NumbersRead => "numbers:read",
            Self::EventsRead => "events:read",
            Self::FiguresRead => "figures:read",
            Self::TicketsRead => "tickets:read",
            Self::IncidentsRead => "incidents:read",
            Self::IncidentsWrite => "incidents:write",
            Self::IncidentsPublish => "incidents:publish",
            Self::AlertsWrite => "alerts:write",
            Self::PromisesRead => "promises:read",
            Self::QueuesRead => "queues:read",
            Self::AuditRead => "audit:read",
        }
    }

    /// Reads one.
    pub fn read(word: &str) -> Option<Self> {
        <Self as clap::ValueEnum>::from_str(word, false).ok()
    }
}

/// What is new about a token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whose hospital; none: all of them.
    pub tenant: Option<TenantId>,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// For how many days.
    pub days: i64,
}

/// Why there is no new token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It can't be stored.
    #[error(transparent)]
    Store(#[from] ApiStoreError),
    /// No secret can be drawn.
    #[error("random source: {0}")]
    Random(std::io::Error),
    /// It isn't one that is given.
    #[error("{0}")]
    Refused(&'static str),
}

/// A secret, as it is shown once.
pub struct Secret(String);

impl Secret {
    /// The whole of it.
    pub fn show(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Whoever asks, once their token was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The token's id.
    pub token: u64,
    /// Whose hospital it reads; none: all of them.
    pub tenant: Option<TenantId>,
    scopes: Vec<Scope>,
}

impl Bearer {
    /// May it?
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// All tokens, in memory: whoever guesses doesn't trouble the database.
#[derive(Debug)]
pub struct Tokens {
    store: ApiStore,
    /// By the hash of the secret. Held for moments.
    known: Mutex<HashMap<[u8; 32], StoredToken>>,
}

impl Tokens {
    /// Reads them.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn open(store: ApiStore) -> Result<Self, StoreError> {
        let tokens = store.reader()?.tokens()?;
        let known = tokens.into_iter().map(|token| (token.hash, token));
        Ok(Self {
            known: Mutex::new(known.collect()),
            store,
        })
    }

    /// Where the API keeps what it keeps.
    pub fn store(&self) -> &ApiStore {
        &self.store
    }

    /// Makes a token. Gives its id and the secret, which is told nowhere else.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn create(&self, new: NewToken, at: i64) -> Result<(u64, Secret), TokenError> {
        let refused = |why| Err(TokenError::Refused(why));
        if new.scopes.is_empty() {
            return refused("a token without a scope may do nothing");
        }
        if !(1..=DAYS_MAX).contains(&new.days) {
            return refused("a token is valid for a day at least, and 366 at most");
        }
        if new.name.len() > NAME_MAX || new.name.chars().any(char::is_control) {
            return refused("a token's name is a line of at most a hundred letters");
        }
        if new.tenant.is_some() && new.scopes.contains(&Scope::QueuesRead) {
            return refused(
                "queues:read is for tokens of the operator: all hospitals share the queues",
            );
        }
        if self.known().len() >= TOKENS_MAX {
            return refused("there are ten thousand tokens already");
        }
        let bytes: [u8; 32] = secrets::random().map_err(TokenError::Random)?;
        let mut secret = PREFIX.to_owned();
        for byte in bytes {
            let _ = write!(secret, "{byte:02x}");
        }
        let words: Vec<&str> = new.scopes.iter().map(|scope| scope.word()).collect();
        let mut token = StoredToken {
            token: 0,
            tenant: new.tenant,
            name: new.name,
            scopes: words.join(" "),
            hash: hash(&secret),
            created_at: at,
            expires_at: at + new.days * 86_400_000,
            revoked_at: None,
        };
        token.token = self.store.create(token.clone())?;
        let id = token.token;
        self.known().insert(token.hash, token);
        Ok((id, Secret(secret)))
    }

    /// Revokes one, from now on. False: there is none that could be.
    ///
    /// # Errors
    /// It can't be stored: it stays as it was.
    pub fn revoke(&self, id: u64, at: i64) -> Result<bool, TokenError> {
        let revoked = self.store.revoke(id, at)?;
        if revoked && let Some(token) = self.known().values_mut().find(|token| token.token == id) {
            token.revoked_at = Some(at);
        }
        Ok(revoked)
    }

    /// Every token there ever was, by id.
    pub fn all(&self) -> Vec<StoredToken> {
        let mut all: Vec<StoredToken> = self.known().values().cloned().collect();
        all.sort_by_key(|token| token.token);
        all
    }

    /// Who asks, by the header `Authorization`. What is wrong with a token isn't
    /// told, and takes the same work: a hash, and a look for it. (What that look
    /// may tell by its time is about the hash, from which no secret follows.)
    pub fn bearer(&self, authorization: &str, at: i64) -> Option<Bearer> {
        let (scheme, secret) = authorization.split_once(' ')?;
        let hash = hash(secret);
        let known = self.known();
        let token = known.get(&hash)?;
        let good = scheme.eq_ignore_ascii_case("bearer")
            & (secret.len() == PREFIX.len() + DIGITS)
            & token.revoked_at.is_none()
            & (at < token.expires_at);
        good.then(|| Bearer {
            token: token.token,
            tenant: token.tenant,
            // A word that isn't known any more permits nothing.
            scopes: token.scopes.split(' ').filter_map(Scope::read).collect(),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], StoredToken>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

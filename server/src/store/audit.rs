//! Who looked at what, and changed what: a chain of rows for each hospital.
//!
//! Each row's hash is SHA-256 over the hash of the row before and the row
//! itself, so that a row that is changed, removed or put between two others
//! breaks every hash behind it. Who may write to the database can count a whole
//! chain anew, or cut off its end: the head that [`Audited`] tells is to be
//! noted elsewhere.

use desk::TenantId;
use sha2::{Digest, Sha256};

use super::sql::{Connection, values};
use super::{Reader, StoreError};

/// The console of the machine, in place of a token.
pub const CONSOLE: u64 = 0;

/// A row's hash. Before the first row: zeros.
pub type Hash = [u8; 32];

/// What is to be remembered of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// In whose chain.
    pub tenant: TenantId,
    /// Unix milliseconds.
    pub at: i64,
    /// By which token; [`CONSOLE`].
    pub token: u64,
    /// What was done: `contact.read`.
    pub action: String,
    /// Ids of what it was done to, never what stands in it.
    pub objects: String,
}

/// A row of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place: 1, 2, 3, …
    pub seq: u64,
    /// What it says.
    pub entry: AuditEntry,
    /// Of it and all rows before.
    pub hash: Hash,
}

/// What a walk along a chain has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Whose chain.
    pub tenant: TenantId,
    /// Rows that are as they were written.
    pub rows: u64,
    /// The hash of the last of them.
    pub head: Hash,
    /// The first that isn't.
    pub broken: Option<Broken>,
}

/// Where a chain breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// This row isn't there.
    #[error("row {0} is missing")]
    Missing(u64),
    /// This one, or the one before, was changed.
    #[error("row {0} isn't what was written")]
    Changed(u64),
}

/// The hash of a row. Texts stand behind their lengths: no two rows are
/// written alike.
fn hash(before: &Hash, seq: u64, entry: &AuditEntry) -> Hash {
    let mut hash = Sha256::new();
    hash.update(b"careline audit 1");
    hash.update(before);
    hash.update(entry.tenant.0.to_be_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(entry.at.to_be_bytes());
    hash.update(entry.token.to_be_bytes());
    for text in [&entry.action, &entry.objects] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

/// Appends rows within a transaction that has begun.
pub(super) fn append(connection: &Connection, entries: &[AuditEntry]) -> Result<(), StoreError> {
    let mut heads: Vec<(TenantId, u64, Hash)> = Vec::new();
    for entry in entries {
        let tenant = entry.tenant;
        let place = match heads.iter().position(|(known, ..)| *known == tenant) {
            Some(place) => place,
            None => {
                let (seq, hash) = head(connection, tenant)?;
                heads.push((tenant, seq, hash));
                heads.len() - 1
            }
        };
        let (_, seq, head) = &mut heads[place];
        *seq += 1;
        *head = hash(head, *seq, entry);
        connection.execute(
            "INSERT INTO audit (tenant, seq, at, token, action, objects, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            &values![
                tenant.0,
                *seq,
                entry.at,
                entry.token,
                &entry.action,
                &entry.objects,
                &head[..],
            ],
        )?;
    }
    Ok(())
}

fn head(connection: &Connection, tenant: TenantId) -> Result<(u64, Hash), StoreError> {
    let sql = "SELECT seq, hash FROM audit WHERE tenant = ?1 ORDER BY seq DESC LIMIT 1";
    let head = connection.row(sql, &values![tenant.0], |row| {
        Ok((row.get(0)?, read_hash(row.bytes(1)?)?))
    })?;
    Ok(head.unwrap_or((0, Hash::default())))
}

fn read_hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Unreadable("a row's hash"))
}

impl Reader {
    /// The tenants that have a chain.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn audited(&self) -> Result<Vec<TenantId>, StoreError> {
        let sql = "SELECT DISTINCT tenant FROM audit ORDER BY tenant";
        self.connection
            .all(sql, &[], |row| Ok(TenantId(row.get(0)?)))
    }

    /// Up to `limit` rows of a chain after `seq` (0: from the first), in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn audit_after(
        &self,
        tenant: TenantId,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT seq, at, token, action, objects, hash FROM audit \
                   WHERE tenant = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        self.connection
            .all(sql, &values![tenant.0, after, limit], |row| {
                Ok(AuditRow {
                    seq: row.get(0)?,
                    entry: AuditEntry {
                        tenant,
                        at: row.get(1)?,
                        token: row.get(2)?,
                        action: row.text(3)?.to_owned(),
                        objects: row.text(4)?.to_owned(),
                    },
                    hash: read_hash(row.bytes(5)?)?,
                })
            })
    }

    /// Walks along a chain, up to the first row that isn't as it was written.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn verify_audit(&self, tenant: TenantId) -> Result<Audited, StoreError> {
        const AT_ONCE: usize = 1_000;
        let mut walked = Audited {
            tenant,
            rows: 0,
            head: Hash::default(),
            broken: None,
        };
        loop {
            let rows = self.audit_after(tenant, walked.rows, AT_ONCE)?;
            for row in &rows {
                let seq = walked.rows + 1;
                if row.seq != seq {
                    walked.broken = Some(Broken::Missing(seq));
                    return Ok(walked);
                }
                if row.hash != hash(&walked.head, seq, &row.entry) {
                    walked.broken = Some(Broken::Changed(seq));
                    return Ok(walked);
                }
                (walked.rows, walked.head) = (seq, row.hash);
            }
            if rows.len() < AT_ONCE {
                return Ok(walked);
            }
        }
    }
}

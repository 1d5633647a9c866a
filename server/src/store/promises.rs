//! Promises: their rows, written with the events that they follow from, and
//! what a restart finds.

use std::collections::{BTreeMap, HashMap};

use desk::{
    Commit, ContactId, KnownPromise, PhoneNumber, PromiseFacts, PromiseId, PromiseNumber, Stamped,
    TenantId,
};

use super::StoreError;
use super::rows::{PROMISE_INSERT, PROMISE_NUMBER_INSERT};
use super::sql::{Connection, Row, values};

type Key = (TenantId, PromiseId);

/// The promises that are written to, so that they needn't be read again for each of their events.
#[derive(Default)]
pub(super) struct Promises {
    /// Emptied when a transaction fails.
    known: HashMap<Key, PromiseFacts>,
    changed: Vec<Key>,
}

impl Promises {
    /// A transaction begins.
    pub(super) fn clear(&mut self) {
        self.changed.clear();
    }

    /// It has failed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// It is on disk.
    pub(super) fn written(&mut self) {
        for key in &self.changed {
            if self.known.get(key).is_some_and(|of| of.stage.is_closed()) {
                self.known.remove(key);
            }
        }
    }

    /// Folds an event in, if it is a promise's.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        tenant: TenantId,
        stamped: &Stamped,
    ) -> Result<(), StoreError> {
        let Some(promise) = stamped.event.promise() else {
            return Ok(());
        };
        let key = (tenant, promise);
        if let Some((_, facts)) = PromiseFacts::created(&stamped.event) {
            self.known.insert(key, facts);
        } else {
            let mut facts = match self.known.get(&key) {
                Some(facts) => *facts,
                None => read(connection, key)?
                    .ok_or(StoreError::Unreadable("a promise that was never made"))?,
            };
            facts.apply(stamped);
            self.known.insert(key, facts);
        }
        self.changed.push(key);
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        connection: &Connection,
        commits: &[Commit],
    ) -> Result<(), StoreError> {
        self.changed.sort_unstable();
        self.changed.dedup();
        let mut rows = Vec::new();
        for key in &self.changed {
            if let Some(facts) = self.known.get(key) {
                let json = serde_json::to_string(facts)
                    .map_err(|_| StoreError::Unreadable("a promise"))?;
                rows.push((*key, *facts, json));
            }
        }
        connection.insert(&PROMISE_INSERT, rows.iter(), |row, values| {
            let ((tenant, promise), facts, json) = row;
            let owed = i64::from(!facts.stage.is_closed());
            values.extend(values![tenant.0, promise.0, facts.contact.0, owed]);
            values.extend(values![facts.window.from, facts.window.to, json.as_str()]);
        })?;
        let mut numbers = Vec::new();
        for commit in commits {
            numbers.extend(commit.numbers.iter().map(|number| (commit.tenant, number)));
        }
        connection.insert(
            &PROMISE_NUMBER_INSERT,
            numbers.into_iter(),
            |row, values| {
                let (tenant, PromiseNumber { promise, number }) = row;
                values.extend(values![tenant.0, promise.0, &number.0]);
            },
        )
    }
}

fn read(
    connection: &Connection,
    (tenant, promise): Key,
) -> Result<Option<PromiseFacts>, StoreError> {
    let sql = "SELECT facts FROM promise WHERE tenant = ?1 AND promise = ?2";
    connection.row(sql, &values![tenant.0, promise.0], |row| facts(row, 0))
}

/// Reads the column `facts`.
pub(super) fn facts(row: &Row<'_>, column: usize) -> Result<PromiseFacts, StoreError> {
    let json = row.text(column)?;
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable("a promise"))
}

/// Per tenant the promises that aren't closed, with their numbers.
pub(super) fn owed(
    connection: &Connection,
) -> Result<BTreeMap<TenantId, Vec<KnownPromise>>, StoreError> {
    let sql = "SELECT p.tenant, p.promise, p.facts, n.number FROM promise p \
               LEFT JOIN promise_number n ON n.tenant = p.tenant AND n.promise = p.promise \
               WHERE p.owed = 1 ORDER BY p.tenant, p.promise";
    let mut owed: BTreeMap<TenantId, Vec<KnownPromise>> = BTreeMap::new();
    connection.rows(sql, &[], |row| {
        let number = row.maybe_text(3)?;
        let known = KnownPromise {
            promise: PromiseId(row.get(1)?),
            facts: facts(row, 2)?,
            number: number.map(|number| PhoneNumber(number.to_owned())),
        };
        owed.entry(TenantId(row.get(0)?)).or_default().push(known);
        Ok(())
    })?;
    Ok(owed)
}

/// Per tenant the first id that was never given.
pub(super) fn next(connection: &Connection) -> Result<BTreeMap<TenantId, PromiseId>, StoreError> {
    let sql = "SELECT tenant, MAX(promise) FROM promise GROUP BY tenant";
    let next = connection.all(sql, &[], |row| {
        let last: u64 = row.get(1)?;
        Ok((TenantId(row.get(0)?), PromiseId(last + 1)))
    })?;
    Ok(next.into_iter().collect())
}

/// Where a contact called from, unless withheld or erased.
pub(super) fn calling_number(
    connection: &Connection,
    tenant: TenantId,
    contact: ContactId,
) -> Result<Option<PhoneNumber>, StoreError> {
    let sql = "SELECT ani FROM personal WHERE tenant = ?1 AND contact = ?2";
    let found = connection.row(sql, &values![tenant.0, contact.0], |row| {
        Ok(row.maybe_text(0)?.map(|ani| PhoneNumber(ani.to_owned())))
    })?;
    Ok(found.flatten())
}

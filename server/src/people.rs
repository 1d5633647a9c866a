//! The people and places of the hospitals: those of a hospital's file, and
//! those that were imported, which the database owns.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use desk::people::import::Untold;
use desk::people::{
    Change, Cost, Factor, Factors, Keyring, Pepper, Profile, Register, Sealed, SecretDigits,
};
use desk::{Directory, DirectoryFault, PersonId, TenantId};

use crate::config::Hospital;
use crate::secrets::{self, RootKey};
use crate::serve::setup::file_directory;
use crate::store::{PeopleError, PeopleStore, StoreError};

/// Everybody who was imported.
#[derive(Debug)]
pub struct People {
    store: PeopleStore,
    root: RootKey,
    /// Held for moments.
    registers: Mutex<BTreeMap<TenantId, Stored>>,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    register: Arc<Register>,
    /// What some of them know of themselves.
    keyring: Arc<Keyring>,
    /// Versions in the database that aren't the last.
    stale: Vec<(PersonId, u32)>,
}

impl People {
    /// Reads everybody of these hospitals.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn open(
        store: PeopleStore,
        root: RootKey,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<Self, StoreError> {
        let mut registers = BTreeMap::new();
        for tenant in tenants {
            registers.insert(tenant, Stored::load(&store, tenant)?);
        }
        Ok(Self {
            store,
            root,
            registers: Mutex::new(registers),
        })
    }

    /// Everybody who was imported for a hospital; of one that was added since
    /// the start, who is stored.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn register(&self, tenant: TenantId) -> Result<Arc<Register>, StoreError> {
        if let Some(stored) = self.registers().get(&tenant) {
            return Ok(Arc::clone(&stored.register));
        }
        let stored = Stored::load(&self.store, tenant)?;
        let register = Arc::clone(&stored.register);
        self.registers().insert(tenant, stored);
        Ok(register)
    }

    /// What is kept of the people of a hospital, to be compared with; of one that was added since
    /// the start, too.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn keyring(&self, tenant: TenantId) -> Result<Arc<Keyring>, StoreError> {
        self.register(tenant)?;
        let registers = self.registers();
        let stored = registers.get(&tenant);
        Ok(stored.map_or_else(Arc::default, |stored| Arc::clone(&stored.keyring)))
    }

    /// Who calls from which number at a hospital.
    ///
    /// # Errors
    /// The database can't be read, or the hospital's file is wrong.
    pub fn directory(&self, hospital: &Hospital) -> Result<Directory, PeopleFault> {
        let register = self.register(TenantId(hospital.id))?;
        let mut directory = file_directory(hospital)?;
        directory.extend(register.profiles().map(Arc::clone))?;
        Ok(directory)
    }

    /// Makes changes durable, all or none, that were planned with this
    /// hospital's register; then they are known here. One import at a time.
    ///
    /// # Errors
    /// They can't be stored: nothing has changed.
    pub fn import(
        &self,
        tenant: TenantId,
        source: &str,
        at: i64,
        changes: &[Change],
        untold: Untold<PersonId>,
    ) -> Result<(), PeopleError> {
        let known = self.register(tenant)?;
        let kept = self.keyring(tenant)?;
        let factors = self.factors(tenant, changes, &kept, untold)?;
        let mut stale = self.stale(tenant);
        for change in changes {
            let person = match change {
                Change::Put(profile) => profile.id,
                Change::Remove { person, .. } => *person,
            };
            let before = known.get(person);
            stale.extend(before.map(|before| (person, before.version)));
        }
        self.store
            .import(tenant, source, at, changes, &factors, &stale)?;
        let mut register = Register::clone(&known);
        register.apply(changes);
        let stored = Stored {
            keyring: Arc::new(keyring(&register, &kept, &factors)),
            register: Arc::new(register),
            stale: Vec::new(),
        };
        self.registers().insert(tenant, stored);
        Ok(())
    }

    /// What is kept of whoever changes: what it was, and what is told anew.
    fn factors(
        &self,
        tenant: TenantId,
        changes: &[Change],
        kept: &Keyring,
        untold: Untold<PersonId>,
    ) -> Result<BTreeMap<PersonId, Factors>, PeopleError> {
        let puts = changes.iter().filter_map(|change| match change {
            Change::Put(profile) => Some(profile.id),
            Change::Remove { .. } => None,
        });
        let mut factors: BTreeMap<PersonId, Factors> = puts
            .filter_map(|person| Some((person, kept.of(person)?.clone())))
            .collect();
        for (person, sealed) in sealed(&self.root.pepper(tenant), untold)? {
            factors.entry(person).or_default().0.extend(sealed.0);
        }
        Ok(factors)
    }

    fn stale(&self, tenant: TenantId) -> Vec<(PersonId, u32)> {
        let registers = self.registers();
        let stored = registers.get(&tenant);
        stored.map_or_else(Vec::new, |stored| stored.stale.clone())
    }

    fn registers(&self) -> std::sync::MutexGuard<'_, BTreeMap<TenantId, Stored>> {
        self.registers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    fn load(store: &PeopleStore, tenant: TenantId) -> Result<Self, StoreError> {
        let stored = store.load(tenant)?;
        Ok(Self {
            keyring: Arc::new(stored.factors.into_iter().collect()),
            register: Arc::new(Register::new(stored.profiles, PersonId(stored.next))),
            stale: stored.stale,
        })
    }
}

/// Of everybody in a register: what has changed, else what it was.
fn keyring(register: &Register, kept: &Keyring, changed: &BTreeMap<PersonId, Factors>) -> Keyring {
    let of = |person| changed.get(&person).or_else(|| kept.of(person));
    let people = register.profiles();
    people
        .filter_map(|profile| Some((profile.id, of(profile.id)?.clone())))
        .collect()
}

/// Seals what is told, on as many threads as there are cores: each of them takes tens of milliseconds.
fn sealed(
    pepper: &Pepper,
    untold: Untold<PersonId>,
) -> Result<Vec<(PersonId, Factors)>, PeopleError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = untold.0.len().div_ceil(threads).max(1);
    let seal_all = |people: &[(PersonId, Vec<(Factor, SecretDigits)>)]| {
        let mut done = Vec::with_capacity(people.len());
        for (person, told) in people {
            let mut factors = Factors::default();
            for (factor, digits) in told {
                let sealed = match factor.identifies() {
                    true => Sealed::identifier(pepper, *factor, digits),
                    false => {
                        let salt = secrets::random().map_err(|_| PeopleError::Busy)?;
                        let cost = Cost::default();
                        Sealed::new(pepper, *person, *factor, digits, salt, cost)
                    }
                };
                factors.0.insert(*factor, sealed.ok_or(PeopleError::Busy)?);
            }
            done.push((*person, factors));
        }
        Ok(done)
    };
    let done = std::thread::scope(|scope| {
        let shares = untold.0.chunks(share);
        let threads: Vec<_> = shares
            .map(|people| scope.spawn(|| seal_all(people)))
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        let joined = joined.map(|done| done.unwrap_or(Err(PeopleError::Busy)));
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(done.into_iter().flatten().collect())
}

/// Why it isn't known who calls.
#[derive(Debug, thiserror::Error)]
pub enum PeopleFault {
    /// The hospital's file.
    #[error("{0}")]
    File(#[from] DirectoryFault),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whom a person's texts may name.
pub(crate) fn is_greeted(profile: &Profile) -> Option<&str> {
    use desk::people::{Level, Viewer, shown};
    shown(&profile.record, Level::Hint, Viewer::Caller).name
}

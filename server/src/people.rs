//! The people and places of the hospitals: those of a hospital's file, and
//! those that were imported, which the database owns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use desk::people::{Change, Profile, Register};
use desk::{Directory, DirectoryFault, PersonId, TenantId};

use crate::config::Hospital;
use crate::serve::setup::file_directory;
use crate::store::{PeopleError, PeopleStore, StoreError};

/// Everybody who was imported.
#[derive(Debug)]
pub struct People {
    store: PeopleStore,
    /// Held for moments.
    registers: Mutex<BTreeMap<TenantId, Stored>>,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    register: Arc<Register>,
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
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<Self, StoreError> {
        let mut registers = BTreeMap::new();
        for tenant in tenants {
            registers.insert(tenant, Stored::load(&store, tenant)?);
        }
        Ok(Self {
            store,
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
    ) -> Result<(), PeopleError> {
        let known = self.register(tenant)?;
        let mut stale = self.stale(tenant);
        for change in changes {
            let person = match change {
                Change::Put(profile) => profile.id,
                Change::Remove { person, .. } => *person,
            };
            let before = known.get(person);
            stale.extend(before.map(|before| (person, before.version)));
        }
        self.store.import(tenant, source, at, changes, &stale)?;
        let mut register = Register::clone(&known);
        register.apply(changes);
        let stored = Stored {
            register: Arc::new(register),
            stale: Vec::new(),
        };
        self.registers().insert(tenant, stored);
        Ok(())
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
            register: Arc::new(Register::new(stored.profiles, PersonId(stored.next))),
            stale: stored.stale,
        })
    }
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

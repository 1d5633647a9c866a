//! Everybody of one hospital, by id and by where they come from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Origin, Profile};
use crate::message::PersonId;

/// The first id that an import gives: those below are for the hospital's file.
pub const IMPORTED_FIRST: PersonId = PersonId(1_000_000);

/// The people and places that were imported for one hospital.
#[derive(Debug, Clone)]
pub struct Register {
    profiles: BTreeMap<PersonId, Arc<Profile>>,
    by_origin: HashMap<Origin, PersonId>,
    next: u32,
}

/// What an import does to a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This is how somebody is told of from now on; they may be new.
    Put(Arc<Profile>),
    /// Nobody tells of them any more.
    Remove {
        /// Who.
        person: PersonId,
        /// The version in which they are gone.
        version: u32,
    },
}

impl Default for Register {
    fn default() -> Self {
        Self::new([], IMPORTED_FIRST)
    }
}

impl Register {
    /// A register of these, of whom each id and each origin occurs once. `next`:
    /// no id from this on was ever given.
    pub fn new(profiles: impl IntoIterator<Item = Arc<Profile>>, next: PersonId) -> Self {
        let mut register = Self {
            profiles: BTreeMap::new(),
            by_origin: HashMap::new(),
            next: next.0.max(IMPORTED_FIRST.0),
        };
        for profile in profiles {
            register.put(profile);
        }
        register
    }

    /// Everybody, by id.
    pub fn profiles(&self) -> impl ExactSizeIterator<Item = &Arc<Profile>> {
        self.profiles.values()
    }

    /// Somebody.
    pub fn get(&self, person: PersonId) -> Option<&Arc<Profile>> {
        self.profiles.get(&person)
    }

    /// Whom a source calls so.
    pub fn find(&self, origin: &Origin) -> Option<&Arc<Profile>> {
        self.profiles.get(self.by_origin.get(origin)?)
    }

    /// The first id that was never given.
    pub fn next(&self) -> PersonId {
        PersonId(self.next)
    }

    /// Takes changes that were planned with it as it is.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(profile) => self.put(Arc::clone(profile)),
                Change::Remove { person, .. } => {
                    if let Some(profile) = self.profiles.remove(person) {
                        self.by_origin.remove(&profile.origin);
                    }
                }
            }
        }
    }

    fn put(&mut self, profile: Arc<Profile>) {
        self.next = self.next.max(profile.id.0.saturating_add(1));
        self.by_origin.insert(profile.origin.clone(), profile.id);
        self.profiles.insert(profile.id, profile);
    }
}

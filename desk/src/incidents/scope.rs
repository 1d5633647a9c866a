//! Whom an incident concerns.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::{PersonId, Role};
use crate::tickets::ReasonCode;

/// Whom an incident concerns: everybody at the hospital, or fewer. Who hears
/// of it must fit all of what is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IncidentScope {
    /// What it is about, by the hospital's list of reasons; `None`: whatever callers call about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// Which callers.
    #[serde(default, skip_serializing_if = "Audience::is_everybody")]
    pub roles: Audience,
    /// Where from.
    #[serde(default, skip_serializing_if = "Places::is_everywhere")]
    pub places: Places,
    /// A surge: flows lead who hears of it another way, those first whose patient care is stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub surge: bool,
    /// It is rehearsed: only who calls from a telephone of ours hears of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
}

/// A caller as far as incidents are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Concern {
    /// What they are, if that is known. A location line counts as a clinician.
    pub role: Option<Role>,
    /// The location line they call from, if it is one.
    pub place: Option<PersonId>,
    /// What they call about, where the flow asks for that alone.
    pub about: Option<ReasonCode>,
    /// They call from a telephone that registers here.
    pub ours: bool,
}

impl IncidentScope {
    /// Does it concern this caller? Of whom something isn't known is not
    /// told what is for those alone of whom it is.
    pub fn concerns(&self, caller: Concern) -> bool {
        let reason = match (self.reason, caller.about) {
            (Some(reason), Some(about)) => reason == about,
            _ => true,
        };
        let role = self.roles.is_everybody() || caller.role.is_some_and(|r| self.roles.holds(r));
        let place =
            self.places.is_everywhere() || caller.place.is_some_and(|p| self.places.holds(p));
        reason && role && place && (caller.ours || !self.rehearsal)
    }
}

/// Some of the roles; none named: everybody.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Audience(u8);

const ROLES: [Role; 3] = [Role::Clinician, Role::Staff, Role::Patient];

impl Audience {
    /// These; none: everybody.
    pub fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |bits, role| bits | 1 << *role as u8))
    }

    /// Is nobody left out?
    pub fn is_everybody(&self) -> bool {
        self.0 == 0
    }

    fn holds(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Those named.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        ROLES.into_iter().filter(move |role| self.holds(*role))
    }
}

impl std::fmt::Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.roles()).finish()
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.roles())
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Vec::<Role>::deserialize(deserializer)?))
    }
}

/// Some location lines; none named: everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    ids: [u32; Places::MAX],
    count: u8,
}

impl Places {
    /// Most that an incident names. One that concerns more concerns the hospital.
    pub const MAX: usize = 6;

    /// These, each once. `None`: too many.
    pub fn of(places: &[PersonId]) -> Option<Self> {
        let mut all: Vec<u32> = places.iter().map(|place| place.0).collect();
        all.sort_unstable();
        all.dedup();
        let mut ids = [0; Self::MAX];
        ids.get_mut(..all.len())?.copy_from_slice(&all);
        let count = u8::try_from(all.len()).ok()?;
        Some(Self { ids, count })
    }

    /// Is nowhere left out?
    pub fn is_everywhere(&self) -> bool {
        self.count == 0
    }

    /// Those named.
    pub fn ids(&self) -> impl Iterator<Item = PersonId> {
        self.ids
            .iter()
            .take(usize::from(self.count))
            .map(|id| PersonId(*id))
    }

    fn holds(&self, place: PersonId) -> bool {
        self.ids().any(|named| named == place)
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Serialize for Places {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.ids())
    }
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = Vec::<PersonId>::deserialize(deserializer)?;
        Self::of(&ids).ok_or_else(|| serde::de::Error::custom("too many places"))
    }
}

//! What is said and shown of somebody, to whom, at which identity level. All
//! of it is decided by [`shown`], so that one table tests it.

use serde::{Deserialize, Serialize};

use super::{Kind, Pace, Protection, Record, Tongue};

/// How sure it is who is calling.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u8", into = "u8")]
pub enum Level {
    /// The calling number matches: a routing hint, never proof.
    #[default]
    Hint,
    /// They have confirmed by PIN, or their number and ticket match.
    Confirmed,
    /// They have shown the hospital's factors.
    Verified,
    /// They were called back at the number of record.
    CalledBack,
}

impl Level {
    /// By its number, 0 to 3.
    pub fn of(number: u8) -> Option<Self> {
        let levels = [
            Self::Hint,
            Self::Confirmed,
            Self::Verified,
            Self::CalledBack,
        ];
        levels.get(usize::from(number)).copied()
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

impl TryFrom<u8> for Level {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::of(number).ok_or("not a level")
    }
}

/// To whom something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// The caller: what may be spoken.
    Caller,
    /// An analyst.
    Agent {
        /// May see restricted profiles.
        cleared: bool,
    },
    /// A partner who takes calls over.
    Partner,
}

/// What somebody sees, or hears, of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The name: to the caller the spoken one.
    pub name: Option<&'a str>,
    /// The name stands for nothing but the number: to be shown as unproven.
    pub unproven: bool,
    /// Speciality, device, availability and the like.
    pub details: bool,
    /// Their tickets.
    pub tickets: bool,
    /// There is more that this viewer may not see: a cleared colleague may.
    pub withheld: bool,
}

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown")
            .field("named", &self.name.is_some())
            .field("unproven", &self.unproven)
            .field("details", &self.details)
            .field("tickets", &self.tickets)
            .field("withheld", &self.withheld)
            .finish()
    }
}

/// Nothing at all.
const NOTHING: Shown<'static> = Shown {
    name: None,
    unproven: false,
    details: false,
    tickets: false,
    withheld: false,
};

/// What `to` may see of a record, or hear, when its person is sure to `level`.
///
/// | | level 0 | level 1 | levels 2 and 3 |
/// |---|---|---|---|
/// | clinician, staff: caller | greeted by name | and told how their tickets stand | the same |
/// | clinician, staff: analyst | name, unproven; details, tickets | the same | name, details, tickets |
/// | patient, proxy: caller | no name | no name; how their tickets stand | by name |
/// | patient, proxy: analyst | no name, no tickets | name, unproven; tickets | name, details, tickets |
/// | place | its name | the same | the same |
///
/// A partner gets the caller and the ticket, and no name. Of a restricted
/// profile a viewer who isn't cleared sees nothing but that there is more, and
/// the caller hears no name before level 2; who has an alias is that alias to
/// all, and only from level 2 on the true name is shown to who is cleared.
#[must_use]
pub fn shown(record: &Record, level: Level, to: Viewer) -> Shown<'_> {
    if to == Viewer::Partner {
        return NOTHING;
    }
    if let Kind::Place { .. } = record.kind {
        return match to {
            Viewer::Caller => spoken(Some(&record.spoken), level),
            _ => Shown {
                name: Some(&record.name),
                details: true,
                tickets: true,
                ..NOTHING
            },
        };
    }
    let named_from = match (record.kind.is_working(), to) {
        (true, _) => Level::Hint,
        // Nobody is named before verification; an analyst sees whom they confirm.
        (false, Viewer::Caller) => Level::Verified,
        (false, _) => Level::Confirmed,
    };
    let cleared = to == Viewer::Agent { cleared: true };
    let proven = level >= Level::Verified;
    let named = level >= named_from;
    if to == Viewer::Caller {
        let name = match &record.protection {
            Protection::Open => Some(&record.spoken),
            Protection::Restricted => proven.then_some(&record.spoken),
            Protection::Alias { spoken, .. } => Some(spoken),
        };
        return spoken(name.filter(|_| named).map(String::as_str), level);
    }
    let name = match &record.protection {
        Protection::Open => Some(&record.name),
        Protection::Restricted => cleared.then_some(&record.name),
        Protection::Alias { name, .. } => Some(if cleared && proven {
            &record.name
        } else {
            name
        }),
    };
    let name = name.filter(|_| named).map(String::as_str);
    let whole = record.protection == Protection::Open || cleared;
    Shown {
        name,
        unproven: name.is_some() && !proven,
        details: whole && (record.kind.is_working() || proven),
        tickets: whole && named,
        withheld: !whole,
    }
}

/// What a caller hears: of their own tickets, from level 1 on.
fn spoken(name: Option<&str>, level: Level) -> Shown<'_> {
    Shown {
        name,
        tickets: level >= Level::Confirmed,
        ..NOTHING
    }
}

/// What the calls and an analyst's screen may use of somebody before they are
/// verified, besides the name.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traits {
    /// What they speak.
    pub language: Option<Tongue>,
    /// They are spoken to slowly.
    pub slow: bool,
    /// They call through a relay service or a TTY.
    pub relay: bool,
    /// What they do, or where the place is.
    pub speciality: Option<String>,
    /// What an analyst should know of their device.
    pub device: Option<String>,
    /// They call often.
    pub frequent: bool,
}

impl Traits {
    /// Of a record at level 0. How somebody is to be spoken to betrays nobody
    /// and is known of patients too; of a protected one, nothing is.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let agent = Viewer::Agent { cleared: false };
        let seen = shown(record, Level::Hint, agent);
        if seen.withheld {
            return Self::default();
        }
        let detail = |text: Option<&str>| text.filter(|_| seen.details).map(str::to_owned);
        Self {
            language: record.language,
            slow: record.pace == Pace::Slow,
            relay: record.relay,
            speciality: detail(record.kind.detail()),
            device: detail(record.device.as_deref()),
            frequent: record.frequent && seen.details,
        }
    }
}

impl std::fmt::Debug for Traits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traits").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::{Proxy, Scope};

    const AGENT: Viewer = Viewer::Agent { cleared: false };
    const CLEARED: Viewer = Viewer::Agent { cleared: true };

    fn record(kind: Kind, protection: Protection) -> Record {
        let mut record = Record::new(kind, "True Name", "True");
        record.protection = protection;
        record.device = Some("old phone".into());
        record.language = Tongue::read("es");
        record
    }

    fn alias() -> Protection {
        Protection::Alias {
            name: "Alias Name".into(),
            spoken: "Alias".into(),
        }
    }

    /// The name, then: `u`nproven, `d`etails, `t`ickets, `w`ithheld.
    fn told(record: &Record, level: Level, to: Viewer) -> String {
        let shown = shown(record, level, to);
        let mut text = shown.name.unwrap_or("-").to_owned();
        for (flag, letter) in [
            (shown.unproven, " u"),
            (shown.details, " d"),
            (shown.tickets, " t"),
            (shown.withheld, " w"),
        ] {
            if flag {
                text.push_str(letter);
            }
        }
        text
    }

    fn check(kind: Kind, protection: Protection, to: Viewer, expected: [&str; 4]) {
        let record = record(kind, protection);
        let levels = [
            Level::Hint,
            Level::Confirmed,
            Level::Verified,
            Level::CalledBack,
        ];
        let told = levels.map(|level| told(&record, level, to));
        assert_eq!(told, expected, "{record:?} {:?} {to:?}", record.protection);
    }

    #[test]
    fn who_sees_what() {
        use Protection::{Open, Restricted};
        let doctor = || Kind::Clinician { speciality: None };
        let staff = || Kind::Staff { speciality: None };
        let proxy = || {
            Kind::Proxy(Proxy {
                patient: "1".into(),
                scope: vec![Scope::Tickets],
                until: None,
                blocked: false,
            })
        };
        let place = || Kind::Place { site: None };
        let known = "True Name u d t";
        let sure = "True Name d t";
        let kinds: [&dyn Fn() -> Kind; 2] = [&doctor, &staff];
        for kind in kinds {
            check(
                kind(),
                Open,
                Viewer::Caller,
                ["True", "True t", "True t", "True t"],
            );
            check(kind(), Open, AGENT, [known, known, sure, sure]);
            check(kind(), Open, Viewer::Partner, ["-"; 4]);
            check(
                kind(),
                Restricted,
                Viewer::Caller,
                ["-", "- t", "True t", "True t"],
            );
            check(kind(), Restricted, AGENT, ["- w"; 4]);
            check(kind(), Restricted, CLEARED, [known, known, sure, sure]);
            check(
                kind(),
                alias(),
                Viewer::Caller,
                ["Alias", "Alias t", "Alias t", "Alias t"],
            );
            let unsure = "Alias Name u w";
            check(
                kind(),
                alias(),
                AGENT,
                [unsure, unsure, "Alias Name w", "Alias Name w"],
            );
            let cleared = "Alias Name u d t";
            check(kind(), alias(), CLEARED, [cleared, cleared, sure, sure]);
        }
        let patient = || Kind::Patient;
        let kinds: [&dyn Fn() -> Kind; 2] = [&patient, &proxy];
        for kind in kinds {
            check(
                kind(),
                Open,
                Viewer::Caller,
                ["-", "- t", "True t", "True t"],
            );
            check(kind(), Open, AGENT, ["-", "True Name u t", sure, sure]);
            check(kind(), Open, CLEARED, ["-", "True Name u t", sure, sure]);
            check(kind(), Open, Viewer::Partner, ["-"; 4]);
            check(
                kind(),
                Restricted,
                Viewer::Caller,
                ["-", "- t", "True t", "True t"],
            );
            check(kind(), Restricted, AGENT, ["- w"; 4]);
            check(
                kind(),
                Restricted,
                CLEARED,
                ["-", "True Name u t", sure, sure],
            );
            check(
                kind(),
                alias(),
                Viewer::Caller,
                ["-", "- t", "Alias t", "Alias t"],
            );
            check(
                kind(),
                alias(),
                AGENT,
                ["- w", "Alias Name u w", "Alias Name w", "Alias Name w"],
            );
            check(
                kind(),
                alias(),
                CLEARED,
                ["-", "Alias Name u t", sure, sure],
            );
        }
        check(
            place(),
            Open,
            Viewer::Caller,
            ["True", "True t", "True t", "True t"],
        );
        check(place(), Open, AGENT, [sure; 4]);
        check(place(), Open, Viewer::Partner, ["-"; 4]);
    }

    #[test]
    fn how_to_speak_to_somebody_is_known_before_who_they_are() {
        let patient = Traits::of(&record(Kind::Patient, Protection::Open));
        assert_eq!(patient.language, Tongue::read("es"));
        assert_eq!(patient.device, None);
        let protected = Traits::of(&record(Kind::Patient, Protection::Restricted));
        assert_eq!(protected, Traits::default());
        let staff = Traits::of(&record(
            Kind::Staff {
                speciality: Some("Admissions".into()),
            },
            Protection::Open,
        ));
        assert_eq!(staff.speciality.as_deref(), Some("Admissions"));
        assert_eq!(staff.device.as_deref(), Some("old phone"));
    }
}

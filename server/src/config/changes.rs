//! What differs between two folders, object by object, in words for whoever
//! is about to publish one of them. No secret and nobody's number is shown.

use std::collections::BTreeSet;
use std::fmt;

use super::HelpDesk;

/// One object that isn't the same in both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Which: `queue clinical`, `st-anne: line 15550101001`.
    pub what: String,
    /// How it differs.
    pub how: How,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It isn't served yet.
    New,
    /// It is served, and the folder lacks it.
    Gone,
    /// In these of its settings; none where it is one text.
    Changed(Vec<&'static str>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::New => write!(f, "+ {}", self.what),
            How::Gone => write!(f, "- {}", self.what),
            How::Changed(fields) if fields.is_empty() => write!(f, "~ {}", self.what),
            How::Changed(fields) => write!(f, "~ {}: {}", self.what, fields.join(", ")),
        }
    }
}

/// The names of the fields in which two objects differ.
macro_rules! differing {
    ($old:ident, $new:ident: $($field:ident),+) => {{
        let mut fields: Vec<&'static str> = Vec::new();
        $(if $old.$field != $new.$field { fields.push(stringify!($field)); })+
        fields
    }};
}

/// Compares two lists of objects by what identifies each.
fn compare<T>(
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> String,
    differs: impl Fn(&T, &T) -> Vec<&'static str>,
    changes: &mut Vec<Change>,
) {
    for item in old {
        let what = name(item);
        match new.iter().find(|other| name(other) == what) {
            None => changes.push(Change {
                what,
                how: How::Gone,
            }),
            Some(other) => {
                let fields = differs(item, other);
                if !fields.is_empty() {
                    let how = How::Changed(fields);
                    changes.push(Change { what, how });
                }
            }
        }
    }
    for item in new {
        let what = name(item);
        if !old.iter().any(|other| name(other) == what) {
            changes.push(Change {
                what,
                how: How::New,
            });
        }
    }
}

/// What serving `new` in place of `old` would change, in the order of the files.
pub fn changes(old: &HelpDesk, new: &HelpDesk) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.operator != new.operator {
        changes.push(Change {
            what: "operator".to_owned(),
            how: How::Changed(vec!["name"]),
        });
    }
    compare(
        &old.queues,
        &new.queues,
        |queue| format!("queue {}", queue.name),
        |old, new| differing!(old, new: extension, clinical, ring_for_s, wrap_up_s, spacing_s, target_s, short_s),
        &mut changes,
    );
    compare(
        &old.trunks,
        &new.trunks,
        |trunk| format!("trunk {}", trunk.name),
        |old, new| if old == new { vec![] } else { vec!["settings"] },
        &mut changes,
    );
    if old.emergency != new.emergency {
        changes.push(Change {
            what: "emergency".to_owned(),
            how: How::Changed(vec!["settings"]),
        });
    }
    compare(
        &old.agents,
        &new.agents,
        |agent| format!("agent {}", agent.user),
        |old, new| differing!(old, new: id, secret, name, extension, tier, queues, supervisor, encryption, station),
        &mut changes,
    );
    compare(
        &old.hospitals,
        &new.hospitals,
        |hospital| format!("hospital {}", hospital.key),
        |old, new| differing!(old, new: id, name, country_code, zone, emergency, tickets, incidents),
        &mut changes,
    );
    for hospital in &new.hospitals {
        if let Some(before) = old.hospitals.iter().find(|old| old.key == hospital.key) {
            parts(before, hospital, &mut changes);
        }
    }
    let names: BTreeSet<&String> = old.texts.keys().chain(new.texts.keys()).collect();
    for name in names {
        let how = match (old.texts.get(name), new.texts.get(name)) {
            (None, _) => How::New,
            (_, None) => How::Gone,
            (old, new) if old == new => continue,
            _ => How::Changed(Vec::new()),
        };
        let what = format!("flow {name}");
        changes.push(Change { what, how });
    }
    changes
}

/// The lines, people and the rest of one hospital.
fn parts(old: &super::Hospital, new: &super::Hospital, changes: &mut Vec<Change>) {
    let key = &new.key;
    compare(
        &old.lines,
        &new.lines,
        |line| format!("{key}: line {}", line.number),
        |old, new| differing!(old, new: short, flow, clinical, supervisors),
        changes,
    );
    // By key: who they are and where they call from isn't for a terminal.
    compare(
        &old.people,
        &new.people,
        |person| format!("{key}: person {}", person.key),
        |old, new| differing!(old, new: id, role, name, spoken, numbers),
        changes,
    );
    compare(
        &old.places,
        &new.places,
        |place| format!("{key}: place {}", place.key),
        |old, new| differing!(old, new: id, name, spoken, numbers),
        changes,
    );
    compare(
        &old.phones,
        &new.phones,
        |phone| format!("{key}: phone {}", phone.user),
        |old, new| differing!(old, new: secret, number, encryption, station),
        changes,
    );
    compare(
        &old.outside,
        &new.outside,
        |outside| format!("{key}: outside {}", outside.prefix),
        |old, new| differing!(old, new: digits, digits_max, trunk),
        changes,
    );
    let named = |map: &std::collections::BTreeMap<String, super::Hours>| {
        map.clone().into_iter().collect::<Vec<_>>()
    };
    compare(
        &named(&old.hours),
        &named(&new.hours),
        |(name, _)| format!("{key}: hours {name}"),
        |(_, old), (_, new)| differing!(old, new: week, days),
        changes,
    );
    let named = |map: &std::collections::BTreeMap<String, super::PartnerConfig>| {
        map.clone().into_iter().collect::<Vec<_>>()
    };
    compare(
        &named(&old.partners),
        &named(&new.partners),
        |(name, _)| format!("{key}: partner {name}"),
        |(_, old), (_, new)| differing!(old, new: id, trunk, number),
        changes,
    );
    let named = |map: &std::collections::BTreeMap<String, super::ActionConfig>| {
        map.clone().into_iter().collect::<Vec<_>>()
    };
    compare(
        &named(&old.actions),
        &named(&new.actions),
        |(name, _)| format!("{key}: action {name}"),
        |(_, old), (_, new)| differing!(old, new: url, method, headers, secret_headers, timeout_s, authority),
        changes,
    );
    let named = |map: &std::collections::BTreeMap<String, super::WebhookConfig>| {
        map.clone().into_iter().collect::<Vec<_>>()
    };
    compare(
        &named(&old.webhooks),
        &named(&new.webhooks),
        |(name, _)| format!("{key}: webhook {name}"),
        |(_, old), (_, new)| differing!(old, new: url, secrets, events, timeout_s, authority),
        changes,
    );
    let servicenow: fn(&super::Hospital) -> Vec<_> =
        |hospital| hospital.servicenow.iter().cloned().collect();
    compare(
        &servicenow(old),
        &servicenow(new),
        |_| format!("{key}: servicenow"),
        |old, new| differing!(old, new: url, table, user, password, token, fields, set, set_resolved, timeout_s, authority),
        changes,
    );
    compare(
        std::slice::from_ref(&old.verification),
        std::slice::from_ref(&new.verification),
        |_| format!("{key}: verification"),
        |old, new| differing!(old, new: staff, patients, code),
        changes,
    );
    let callbacks: fn(&super::Hospital) -> Vec<_> =
        |hospital| hospital.callbacks.iter().cloned().collect();
    compare(
        &callbacks(old),
        &callbacks(new),
        |_| format!("{key}: callbacks"),
        |old, new| differing!(old, new: label, flow, hours),
        changes,
    );
}

/// What keeps `new` from being served without a restart, and what to do.
pub fn obstacles(old: &HelpDesk, new: &HelpDesk) -> Vec<String> {
    let mut obstacles = Vec::new();
    let ids = |desk: &HelpDesk| -> Vec<(u32, String)> {
        let hospitals = desk.hospitals.iter();
        hospitals.map(|h| (h.id, h.key.clone())).collect()
    };
    if ids(old) != ids(new) {
        obstacles.push(
            "hospitals are added, removed or get another id: restart Careline with this folder"
                .to_owned(),
        );
    }
    // Names are looked up, and we sign in, from the start on.
    let names = old
        .trunks
        .iter()
        .chain(&new.trunks)
        .map(|trunk| &trunk.name);
    for name in names.collect::<BTreeSet<_>>() {
        let of = |desk: &HelpDesk| {
            let mut trunks = desk.trunks.iter();
            let trunk = trunks.find(|trunk| trunk.name == *name)?.clone();
            let follows = trunk.register.is_some() || trunk.has_named_gateways();
            follows.then_some((
                trunk.register,
                trunk.gateways,
                trunk.encryption,
                trunk.credentials,
            ))
        };
        if of(old) != of(new) {
            obstacles.push(format!(
                "operator.yaml: trunk {name}: where we register and whose gateways are written as names, these, \
                 credentials and encryption change at a restart; restart Careline with this folder"
            ));
        }
    }
    // Queues are known to the log by their place in the list.
    let names = |desk: &HelpDesk| {
        desk.queues
            .iter()
            .map(|q| q.name.clone())
            .collect::<Vec<_>>()
    };
    if !names(new).starts_with(&names(old)) {
        obstacles.push(
            "operator.yaml: queues served now must stay in their order; add new ones at the end \
             of `queues`, and leave unused ones in it"
                .to_owned(),
        );
    }
    obstacles
}

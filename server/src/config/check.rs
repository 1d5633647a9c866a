//! What the files of a folder say, held against one another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use desk::people::IMPORTED_FIRST;
use desk::{NumberRule, PhoneNumber};
use ivr_flows::{At, Flow};

use super::actions;
use super::emergency::StationConfig;
use super::faults::{Faults, at};
use super::helpdesk::{Hospital, LineSetup, OperatorFile};
use super::outside::TrunkAccount;
use super::servicenow;
use super::transfers::Reach;
use super::webhooks;

/// Most entries of any list in one file.
const ENTRIES_MAX: usize = 200_000;
/// How long a phone may be set to ring, in seconds: not at once, and less than a caller's patience.
const RING_FOR_S: std::ops::RangeInclusive<u64> = 2..=120;
/// A hospital's callers come no further apart than this on paper, or a few of them would wait for ever.
const SPACING_S_MAX: u64 = 600;

/// Within how many seconds callers are to be answered.
const TARGET_S: std::ops::RangeInclusive<u64> = 1..=3_600;

/// Looks at everything.
pub(super) fn check<'a>(
    (operator_file, operator): (&'a Path, &'a OperatorFile),
    hospitals: &'a [(PathBuf, Hospital)],
    flows: Option<&'a BTreeMap<String, Arc<Flow>>>,
    faults: &mut Faults,
) {
    let mut check = Check {
        file: operator_file,
        operator,
        flows,
        faults,
        queues: HashSet::new(),
        users: HashSet::new(),
        trunks: HashSet::new(),
        hospitals: HashMap::new(),
        numbers: HashMap::new(),
        keys: HashSet::new(),
    };
    check.operator();
    for (file, hospital) in hospitals {
        check.file = file;
        check.hospital(hospital);
    }
}

/// The faults, and what stands once in the whole folder, as far as it has been looked at.
struct Check<'a, 'f> {
    /// The file being looked at.
    file: &'a Path,
    operator: &'a OperatorFile,
    /// None while they are wrong themselves.
    flows: Option<&'a BTreeMap<String, Arc<Flow>>>,
    faults: &'f mut Faults,
    queues: HashSet<&'a str>,
    users: HashSet<&'a str>,
    trunks: HashSet<&'a str>,
    hospitals: HashMap<u32, &'a Path>,
    numbers: HashMap<&'a str, &'a Path>,
    keys: HashSet<&'a str>,
}

impl<'a> Check<'a, '_> {
    fn fault(&mut self, way: Vec<At>, message: impl std::fmt::Display) {
        self.faults.at(self.file, way, message);
    }

    fn operator(&mut self) {
        let operator = self.operator;
        for (n, queue) in operator.queues.iter().enumerate() {
            let name = &queue.name;
            if !self.queues.insert(name) {
                let twice = format!("queue \"{name}\" is there twice; rename one");
                self.fault(at!["queues", n, "name"], twice);
            }
            self.extension(at!["queues", n, "extension"], queue.extension.as_ref());
            if !RING_FOR_S.contains(&queue.ring_for_s) {
                let rings = format!(
                    "queue \"{name}\": ring_for_s is {}; phones ring for {} to {} seconds",
                    queue.ring_for_s,
                    RING_FOR_S.start(),
                    RING_FOR_S.end()
                );
                self.fault(at!["queues", n, "ring_for_s"], rings);
            }
            if queue.spacing_s > SPACING_S_MAX {
                let apart = format!(
                    "queue \"{name}\": spacing_s is {}; a hospital's callers count as having come at most {SPACING_S_MAX} seconds apart",
                    queue.spacing_s
                );
                self.fault(at!["queues", n, "spacing_s"], apart);
            }
        }
        for (n, queue) in operator.queues.iter().enumerate() {
            let (name, target, short) = (&queue.name, queue.target_s, queue.short_s);
            if !TARGET_S.contains(&target) {
                let odd = format!(
                    "queue \"{name}\": target_s is {target}; a service level's target is {} to {} seconds",
                    TARGET_S.start(),
                    TARGET_S.end()
                );
                self.fault(at!["queues", n, "target_s"], odd);
            } else if short > target {
                let odd = format!(
                    "queue \"{name}\": short_s is {short}, more than target_s, {target}: who was not answered in time would not have waited"
                );
                self.fault(at!["queues", n, "short_s"], odd);
            }
        }
        for (n, trunk) in operator.trunks.iter().enumerate() {
            if let Err(fault) = trunk.trunk() {
                self.fault(at!["trunks", n], fault);
            }
            if !self.trunks.insert(&trunk.name) {
                let twice = format!("trunk \"{}\" is there twice; rename one", trunk.name);
                self.fault(at!["trunks", n, "name"], twice);
            }
            if let Some(TrunkAccount { user, secret }) = &trunk.account {
                self.account(at!["trunks", n, "account"], user, secret);
            }
        }
        if let Some(emergency) = &operator.emergency {
            let numbers = emergency.numbers().err();
            for fault in numbers.into_iter().chain(emergency.route().err()) {
                self.fault(at!["emergency"], fault);
            }
            self.carried(&emergency.trunks);
            for (n, number) in emergency.numbers.iter().enumerate() {
                if self.numbers.insert(number, self.file).is_some() {
                    let twice = format!("emergency: number {number} is an extension too");
                    self.fault(at!["emergency", "numbers", n], twice);
                }
            }
        }
        let mut ids = HashSet::new();
        for (n, agent) in operator.agents.iter().enumerate() {
            self.station(at!["agents", n, "station"], &agent.user, &agent.station);
            if !ids.insert(agent.id) {
                let twice = format!("agent id {} is there twice; ids are unique", agent.id);
                self.fault(at!["agents", n, "id"], twice);
            }
            self.account(at!["agents", n, "user"], &agent.user, &agent.secret);
            self.extension(at!["agents", n, "extension"], agent.extension.as_ref());
            for (place, queue) in agent.queues.iter().enumerate() {
                if !self.queues.contains(queue.as_str()) {
                    let missing = format!(
                        "agent \"{}\" serves queue \"{queue}\", which isn't in `queues`",
                        agent.user
                    );
                    self.fault(at!["agents", n, "queues", place], missing);
                }
            }
        }
    }

    fn hospital(&mut self, hospital: &'a Hospital) {
        if hospital.id == 0 {
            self.fault(
                at!["id"],
                "id 0 is the operator's own; hospitals begin at 1",
            );
        }
        if let Some(other) = self.hospitals.insert(hospital.id, self.file) {
            let twice = format!("id {} is also that of {}", hospital.id, other.display());
            self.fault(at!["id"], twice);
        }
        if hospital.name.trim().is_empty() {
            self.fault(at!["name"], "`name` is empty; callers hear it");
        }
        for (list, entries) in [
            ("lines", hospital.lines.len()),
            ("people", hospital.people.len()),
            ("places", hospital.places.len()),
            ("phones", hospital.phones.len()),
            ("outside", hospital.outside.len()),
            ("actions", hospital.actions.len()),
        ] {
            if entries > ENTRIES_MAX {
                let long = format!("`{list}` has more than {ENTRIES_MAX} entries");
                return self.fault(at![list], long);
            }
        }
        self.partners(hospital);
        for (name, action) in &hospital.actions {
            if let Err(fault) = action.check() {
                let way = at!["actions", name.as_str()];
                self.fault(way, format!("action \"{name}\": {fault}"));
            }
        }
        if hospital.webhooks.len() > webhooks::WEBHOOKS_MAX {
            let most = webhooks::WEBHOOKS_MAX;
            self.fault(
                at!["webhooks"],
                format!("there are more than {most} webhooks"),
            );
        }
        for (name, fault) in webhooks::faults(hospital) {
            self.fault(at!["webhooks", name], fault);
        }
        if let Some(fault) = servicenow::fault(hospital) {
            self.fault(at!["servicenow"], format!("`servicenow`: {fault}"));
        }
        if let Some((key, fault)) = hospital.callback_fault(self.flows) {
            self.fault(at!["callbacks", key], format!("`callbacks`: {fault}"));
        }
        if let Some((key, fault)) = hospital
            .verification
            .fault(|name| hospital.actions.contains_key(name))
        {
            self.fault(at!["verification", key], fault);
        }
        if let Err(fault) = hospital.emergency.route() {
            self.fault(at!["emergency"], fault);
        }
        self.carried(&hospital.emergency.trunks);
        for name in hospital.hours.keys() {
            if let Err(fault) = hospital.calendar(name) {
                self.fault(at!["hours", name.as_str()], fault);
            }
        }
        let operator = self.operator;
        if let Err((keys, fault)) = hospital.ticket_rules(&operator.queues) {
            let mut way = at!["tickets"];
            way.extend(keys.iter().map(|key| ivr_flows::At::from(key.as_str())));
            self.fault(way, fault);
        }
        if let Some((keys, fault)) = hospital.incident_fault() {
            let mut way = at!["incidents"];
            way.extend(keys.iter().map(|key| ivr_flows::At::from(key.as_str())));
            self.fault(way, format!("`incidents`: {fault}"));
        }
        let reach = Reach::of(hospital, &operator.queues, &operator.agents);
        for (n, line) in hospital.lines.iter().enumerate() {
            self.line(n, hospital, line, &reach);
        }
        self.people(hospital);
        for (n, phone) in hospital.phones.iter().enumerate() {
            self.account(at!["phones", n, "user"], &phone.user, &phone.secret);
            self.station(at!["phones", n, "station"], &phone.user, &phone.station);
        }
    }

    fn partners(&mut self, hospital: &'a Hospital) {
        let mut ids = HashSet::new();
        for (name, partner) in &hospital.partners {
            let of = |key: &str| at!["partners", name.as_str(), key];
            if let Err(fault) = partner.check(name) {
                self.fault(of("number"), fault);
            }
            if partner.id == desk::PartnerId::OUTSIDE.0 {
                let own = format!("partner \"{name}\": ids of partners begin at 1");
                self.fault(of("id"), own);
            }
            if !ids.insert(partner.id) {
                let twice = format!("id {} is there twice among partners", partner.id);
                self.fault(of("id"), twice);
            }
            if !self.trunks.contains(partner.trunk.as_str()) {
                let missing = format!(
                    "partner \"{name}\" is behind trunk \"{}\"; operator.yaml has no such trunk",
                    partner.trunk
                );
                self.fault(of("trunk"), missing);
            }
        }
        for (n, outside) in hospital.outside.iter().enumerate() {
            if let Err(fault) = outside.rule() {
                self.fault(at!["outside", n], fault);
            }
            if !self.trunks.contains(outside.trunk.as_str()) {
                let missing = format!(
                    "outside \"{}\" is reached by trunk \"{}\"; operator.yaml has no such trunk",
                    outside.prefix, outside.trunk
                );
                self.fault(at!["outside", n, "trunk"], missing);
            }
        }
    }

    fn people(&mut self, hospital: &'a Hospital) {
        let rule = NumberRule {
            country_code: hospital.country_code.clone(),
            ..NumberRule::default()
        };
        if !rule.is_usable() {
            let odd = "`country_code` is a few digits, e.g. \"1\"; or leave it out";
            return self.fault(at!["country_code"], odd);
        }
        let zone = hospital.zone.as_deref().unwrap_or("UTC");
        for (n, person) in hospital.people.iter().enumerate() {
            if person.available.is_empty() {
                continue;
            }
            if hospital.zone.is_none() {
                let where_ = "`available` needs the hospital's `zone`, e.g. zone: America/Chicago";
                self.fault(at!["people", n, "available"], where_);
            } else if let Err(fault) = person.availability(zone) {
                self.fault(at!["people", n, "available"], fault);
            }
        }
        let people = hospital.people.iter().enumerate();
        let people = people.map(|(n, p)| ("people", n, p.id, &p.key, &p.spoken, &p.numbers));
        let places = hospital.places.iter().enumerate();
        let places = places.map(|(n, p)| ("places", n, p.id, &p.key, &p.spoken, &p.numbers));
        let mut ids = HashSet::new();
        for (list, n, id, key, spoken, numbers) in people.chain(places) {
            if !ids.insert(id) {
                let twice = format!("id {id} is there twice among people and places");
                self.fault(at![list, n, "id"], twice);
            }
            if id >= IMPORTED_FIRST.0 {
                let high = format!(
                    "id {id} is one of those that imports give; take one below {}",
                    IMPORTED_FIRST.0
                );
                self.fault(at![list, n, "id"], high);
            }
            if !self.keys.insert(key) {
                let twice = format!(
                    "key \"{key}\" (id {id}) is there twice; keys are unique over all hospitals, since \
                     `careline call --as KEY` knows no other name"
                );
                self.fault(at![list, n, "key"], twice);
            }
            if spoken.trim().is_empty() {
                let silent = format!(
                    "`spoken` of \"{key}\" is empty; write the name as it is said, e.g. Doctor Okafor"
                );
                self.fault(at![list, n, "spoken"], silent);
            }
            for (place, number) in numbers.iter().enumerate() {
                // Whose it is says enough: numbers are nobody else's business.
                if !rule.takes(&PhoneNumber(number.clone())) {
                    let odd = format!(
                        "a number of \"{key}\" isn't a telephone number; write digits with an optional leading +"
                    );
                    self.fault(at![list, n, "numbers", place], odd);
                }
            }
        }
    }

    fn line(&mut self, n: usize, hospital: &'a Hospital, line: &'a LineSetup, reach: &Reach<'_>) {
        for (key, number) in [
            ("number", Some(&line.number)),
            ("short", line.short.as_ref()),
        ] {
            let Some(number) = number else { continue };
            self.dialled(at!["lines", n, key], "line", number);
            if let Some(other) = self.numbers.insert(number, self.file) {
                let twice = format!(
                    "number {number} is also in {}; a dialled number has one hospital",
                    other.display()
                );
                self.fault(at!["lines", n, key], twice);
            }
        }
        let Some(flows) = self.flows else { return };
        let answered = format!("line {} is answered by flow \"{}\"", line.number, line.flow);
        let way = at!["lines", n, "flow"];
        let Some(flow) = flows.get(&line.flow) else {
            let there: Vec<_> = flows.keys().cloned().collect();
            let missing = format!(
                "{answered}, which doesn't exist; there are: {}",
                there.join(", ")
            );
            return self.fault(way, missing);
        };
        for fault in flow
            .actions()
            .filter_map(|named| actions::fault(hospital, &named))
        {
            self.faults.flow(fault);
        }
        if flow.is_part() {
            let part = format!(
                "{answered}, which has exits: it is for other flows to call, and would leave a caller in silence"
            );
            self.fault(way.clone(), part);
        }
        for queue in flow.queues() {
            if !self.queues.contains(queue) {
                let missing = format!(
                    "{answered}, which uses queue \"{queue}\"; operator.yaml has no such queue"
                );
                self.fault(way.clone(), missing);
            }
        }
        for name in once_each(flow.calendars()) {
            if !hospital.hours.contains_key(name) {
                let missing = format!(
                    "{answered}, which asks for hours \"{name}\"; write them under `hours`"
                );
                self.fault(way.clone(), missing);
            }
        }
        for name in once_each(flow.partners()) {
            if !hospital.partners.contains_key(name) {
                let missing = format!(
                    "{answered}, which calls partner \"{name}\"; write it under `partners`"
                );
                self.fault(way.clone(), missing);
            }
        }
        for fault in flow
            .transfers()
            .filter_map(|transfer| reach.fault(&transfer))
        {
            self.faults.flow(fault);
        }
    }

    /// A number that people dial to us.
    fn dialled(&mut self, way: Vec<At>, what: &str, number: &str) {
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            let odd = format!("{what} \"{number}\": it is written with digits only");
            return self.fault(way, odd);
        }
        if switch::EMERGENCY_NUMBERS.contains(&number) {
            let emergency = format!(
                "{what} \"{number}\": that is an emergency service's; whoever dials it must never reach a help desk"
            );
            self.fault(way, emergency);
        }
    }

    /// The number of a queue or agent inside: no line's, nobody else's.
    fn extension(&mut self, way: Vec<At>, extension: Option<&'a String>) {
        let Some(number) = extension else { return };
        self.dialled(way.clone(), "extension", number);
        if self.numbers.insert(number, self.file).is_some() {
            let twice =
                format!("extension {number} is there twice; each queue and agent has its own");
            self.fault(way, twice);
        }
    }

    /// Where a telephone stands.
    fn station(&mut self, way: Vec<At>, user: &str, station: &StationConfig) {
        if let Err(fault) = station.station() {
            self.fault(way, format!("user \"{user}\": station: {fault}"));
        }
    }

    /// Are there such trunks for emergency calls?
    fn carried(&mut self, trunks: &[String]) {
        for (n, name) in trunks.iter().enumerate() {
            if !self.trunks.contains(name.as_str()) {
                let missing = format!(
                    "emergency calls go by trunk \"{name}\"; there is no such trunk in operator.yaml"
                );
                self.fault(at!["emergency", "trunks", n], missing);
            }
        }
    }

    fn account(&mut self, way: Vec<At>, user: &'a str, secret: &str) {
        if user.is_empty() || secret.is_empty() {
            let missing = format!("user \"{user}\": a phone account has a user name and a secret");
            self.fault(way.clone(), missing);
        }
        if !self.users.insert(user) {
            self.fault(
                way,
                format!("user \"{user}\" is there twice; user names are unique"),
            );
        }
    }
}

fn once_each<'n>(names: impl Iterator<Item = &'n str>) -> impl Iterator<Item = &'n str> {
    names.collect::<std::collections::BTreeSet<_>>().into_iter()
}

//! The help desk of the simulated world: one operator, two hospitals whose
//! people, numbers and queue names are deliberately alike.
//!
//! Everybody in here is invented.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acd::{AgentSetup, Membership, QueueSetup};
use desk::{Directory, NumberRule, PersonId, PersonRecord, PhoneNumber, PlaceRecord, Role};
use ivr_flows::Flow;
use media::clip::Clip;
use switch::{
    Account, Action, ActionLimits, CivicAddress, DialRules, Emergency, EmergencyNumber,
    EmergencyRoute, EncryptionPolicy, Gateway, Inside, Limits, Line, OutsideRule, Partner, Queue,
    Redirects, Setup, SipSettings, Sounds, Station, Tenant, Trunk,
};

/// One of the two hospitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hospital {
    /// Saint Anne Medical Center.
    StAnne,
    /// Mercy General Hospital.
    Mercy,
}

/// What a number of a hospital is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Door {
    /// Clinicians.
    Clinician,
    /// Everybody who works there.
    Staff,
    /// Patients.
    Patient,
    /// Theatre, ICU, ED.
    Location,
    /// Patients; a partner covers the evenings and weekends.
    Portal,
    /// Patients who have a ticket number.
    Status,
    /// Whoever knows an extension.
    Extension,
    /// Whoever wants the pharmacy, which is outside.
    Pharmacy,
    /// Whoever wants to know whether everything works: an HTTP action says so.
    Systems,
    /// Whoever wants a new password, and shows who they are.
    Password,
}

impl Hospital {
    /// Both.
    pub const ALL: [Self; 2] = [Self::StAnne, Self::Mercy];

    /// Its id.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::StAnne => 1,
            Self::Mercy => 2,
        }
    }

    /// As it is spoken.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StAnne => "Saint Anne Medical Center",
            Self::Mercy => "Mercy General Hospital",
        }
    }

    /// The number dialled for this door.
    #[must_use]
    pub const fn number(self, door: Door) -> &'static str {
        match (self, door) {
            (Self::StAnne, Door::Clinician) => "15550101001",
            (Self::StAnne, Door::Staff) => "15550101002",
            (Self::StAnne, Door::Patient) => "15550101003",
            (Self::StAnne, Door::Location) => "15550101004",
            (Self::StAnne, Door::Portal) => "15550101005",
            (Self::StAnne, Door::Status) => "15550101007",
            (Self::Mercy, Door::Status) => "15550102007",
            (Self::StAnne, Door::Extension) => "15550101009",
            (Self::Mercy, Door::Extension) => "15550102009",
            (Self::StAnne, Door::Pharmacy) => "15550101010",
            (Self::Mercy, Door::Pharmacy) => "15550102010",
            (Self::StAnne, Door::Systems) => "15550101011",
            (Self::Mercy, Door::Systems) => "15550102011",
            (Self::StAnne, Door::Password) => "15550101012",
            (Self::Mercy, Door::Password) => "15550102012",
            (Self::Mercy, Door::Portal) => "15550102005",
            (Self::Mercy, Door::Clinician) => "15550102001",
            (Self::Mercy, Door::Staff) => "15550102002",
            (Self::Mercy, Door::Patient) => "15550102003",
            (Self::Mercy, Door::Location) => "15550102004",
        }
    }

    /// Names that are spoken at this hospital and not at the other.
    pub(crate) const fn own_words(self) -> &'static [&'static str] {
        match self {
            Self::StAnne => &[
                "Saint Anne",
                "Doctor Okafor",
                "Doctor Lindqvist",
                "Iris",
                "Ken",
            ],
            Self::Mercy => &["Mercy General", "Ada", "Doctor Morales"],
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::StAnne => Self::Mercy,
            Self::Mercy => Self::StAnne,
        }
    }

    pub(crate) fn of_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|hospital| hospital.id() == id)
    }
}

impl Door {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Clinician,
        Self::Staff,
        Self::Patient,
        Self::Location,
        Self::Portal,
        Self::Status,
        Self::Extension,
        Self::Pharmacy,
        Self::Systems,
        Self::Password,
    ];
}

/// Doctor Okafor's mobile at Saint Anne; Ada's of the staff at Mercy.
pub const OKAFOR: &str = "+15550177001";
/// Doctor Lindqvist at Saint Anne; unknown at Mercy.
pub const LINDQVIST: &str = "+15550177002";
/// Iris of the staff at Saint Anne; Doctor Morales at Mercy.
pub const MORALES: &str = "+15550177003";
/// Rosa Bell, a patient of both.
pub const BELL: &str = "+15550177005";
/// A ward's telephone: two people of Saint Anne share it.
pub const WARD: &str = "+15550177006";
/// Theatre 2 of both.
pub const THEATRE: &str = "+15550178001";
/// Nobody knows this one.
pub const STRANGER: &str = "+15550199042";

/// What an emergency service calls back for the first analyst's telephone.
pub const STATION_NUMBER: &str = "+15550101990";
/// And for all others.
pub const MAIN_NUMBER: &str = "+15550101000";

/// An analyst.
#[derive(Debug, Clone)]
pub(crate) struct Analyst {
    pub(crate) user: String,
    pub(crate) secret: String,
    /// Queue and rank.
    pub(crate) queues: Vec<(u32, u8)>,
}

/// Queues: number, name, whose (0: the operator's), clinical.
const QUEUES: [(u32, &str, u32, bool); 6] = [
    (1, "clinical", 0, true),
    (2, "service", 1, false),
    (3, "service", 2, false),
    (4, "patients", 1, false),
    (5, "patients", 2, false),
    (6, "tier2", 0, false),
];

pub(crate) const QUEUE_IDS: [acd::QueueId; 6] = [
    acd::QueueId(1),
    acd::QueueId(2),
    acd::QueueId(3),
    acd::QueueId(4),
    acd::QueueId(5),
    acd::QueueId(6),
];

/// The partner's telephones, behind a trunk: the preferred first.
pub(crate) const PARTNER_PHONES: usize = 2;

/// How long an HTTP action's answer is waited for.
pub(crate) const ACTION_MAX: Duration = Duration::from_secs(5);
/// How many actions one hospital's callers may call at a time.
pub(crate) const ACTIONS_AT_ONCE: usize = 4;

pub(crate) const REALM: &str = "careline.example";
pub(crate) const SWITCH: &str = "203.0.113.5:5060";

/// Who works there: `n` analysts, the tiers mixed.
pub(crate) fn analysts(n: usize) -> Vec<Analyst> {
    let kinds: [&[(u32, u8)]; 6] = [
        &[(1, 0), (2, 1), (3, 1)],
        &[(2, 0), (4, 0)],
        &[(2, 0), (3, 0), (4, 0), (5, 0), (6, 1)],
        &[(6, 0), (1, 0), (2, 1)],
        &[(3, 0), (5, 0)],
        &[(4, 0), (5, 0)],
    ];
    (0..n)
        .map(|i| Analyst {
            user: format!("analyst{}", i + 1),
            secret: format!("secret-{}", i + 1),
            queues: kinds[i % kinds.len()].to_vec(),
        })
        .collect()
}

/// Does this queue take this hospital's callers?
pub(crate) fn queue_serves(queue: u32, hospital: Hospital) -> bool {
    QUEUES
        .iter()
        .any(|&(id, _, whose, _)| id == queue && (whose == 0 || whose == hospital.id()))
}

/// A flow that sends its callers outside.
const PHARMACY: &str = "
flow: pharmacy
start: ticket
nodes:
  ticket: {ticket: open, wait: 1s, next: pharmacy}
  pharmacy:
    transfer: '+15559000001'
    greeting: The pharmacy is being called.
    ring_for: 40s
    lost: The pharmacy was lost.
    busy: busy
    refused: refused
    no_answer: nobody
    after: bye
  busy: {play: The pharmacy is busy., next: desk}
  refused: {play: The pharmacy can't be reached., next: desk}
  nobody: {play: The pharmacy doesn't answer., next: desk}
  desk:
    queue: service
    class: patient
    greeting: Please stay on the line. To be called back instead, press 1.
    no_agents: stay
    exit_keys: {1: later}
  later: {callback: service, promised: bye, declined: desk, failed: desk}
  bye: {hang_up: Thank you for calling the pharmacy.}
";

/// A flow that calls an HTTP action.
const SYSTEMS: &str = "
flow: systems
variables: {works: yes-or-no, minutes: number}
start: ticket
nodes:
  ticket: {ticket: open, wait: 1s, next: ask}
  ask:
    http: {action: system-status, with: {caller: caller.role}, save: {works: works, minutes: minutes}}
    ok: told
    failed: unknown
  told: {branch: [{when: vars.works, next: works}], else: broken}
  works: {hang_up: Everything works.}
  broken: {play: Something is broken., next: desk}
  unknown: {play: Nobody knows whether everything works., next: desk}
  desk:
    queue: service
    class: patient
    greeting: Please stay on the line. To be called back instead, press 1.
    no_agents: stay
    exit_keys: {1: later}
  later: {callback: service, promised: bye, declined: desk, failed: desk}
  bye: {hang_up: Goodbye.}
";

/// A flow that has its callers show who they are.
const PASSWORD: &str = "
flow: password
variables: {works: yes-or-no}
start: who
nodes:
  who: {identify: caller, next: ticket}
  ticket: {ticket: open, wait: 1s, next: prove}
  prove: {verify: 2, passed: reset, failed: unsure, locked: unsure, unavailable: later}
  reset: {http: {action: system-status, with: {caller: caller.key}, save: {works: works}}, ok: done, failed: later}
  done: {ticket: resolve, next: sent}
  sent: {hang_up: A new password was sent.}
  unsure: {play: We can't do that by telephone., next: desk}
  later: {play: That can't be done at the moment., next: desk}
  desk: {queue: service, class: patient, greeting: Please stay on the line., no_agents: stay}
";

fn flows() -> &'static [Arc<Flow>; 10] {
    static FLOWS: OnceLock<[Arc<Flow>; 10]> = OnceLock::new();
    FLOWS.get_or_init(|| {
        [
            (
                "clinician.yaml",
                include_str!("../../ivr-flows/flows/clinician.yaml"),
            ),
            (
                "staff.yaml",
                include_str!("../../ivr-flows/flows/staff.yaml"),
            ),
            (
                "patient.yaml",
                include_str!("../../ivr-flows/flows/patient.yaml"),
            ),
            (
                "location.yaml",
                include_str!("../../ivr-flows/flows/location.yaml"),
            ),
            (
                "portal.yaml",
                include_str!("../../ivr-flows/flows/portal.yaml"),
            ),
            (
                "status.yaml",
                include_str!("../../ivr-flows/flows/status.yaml"),
            ),
            (
                "extension.yaml",
                include_str!("../../ivr-flows/flows/extension.yaml"),
            ),
            ("pharmacy.yaml", PHARMACY),
            ("systems.yaml", SYSTEMS),
            ("password.yaml", PASSWORD),
        ]
        .map(|(file, text)| match Flow::parse(file, text) {
            Ok(flow) => {
                for queue in flow.queues() {
                    assert!(
                        QUEUES.iter().any(|q| q.1 == queue),
                        "{file} names a queue that this world lacks: {queue}"
                    );
                }
                Arc::new(flow)
            }
            Err(errors) => panic!("{file}: {}", errors[0]),
        })
    })
}

/// What customers hear who are called back.
fn callback() -> Arc<Flow> {
    static FLOW: OnceLock<Arc<Flow>> = OnceLock::new();
    let text = include_str!("../../ivr-flows/flows/callback.yaml");
    let parse = || match Flow::parse("callback.yaml", text) {
        Ok(flow) => Arc::new(flow),
        Err(errors) => panic!("callback.yaml: {}", errors[0]),
    };
    Arc::clone(FLOW.get_or_init(parse))
}

/// What the distributor is told. `life` differs at every start.
pub(crate) fn acd_setup(analysts: &[Analyst], life: u64) -> acd::Setup {
    let queues = QUEUES
        .iter()
        .map(|&(id, _, whose, clinical)| {
            let tenant = (whose != 0).then_some(acd::TenantId(whose));
            let mut queue = QueueSetup::new(acd::QueueId(id), tenant, clinical);
            if clinical {
                queue.ring_for = Duration::from_secs(15);
            }
            queue
        })
        .collect();
    let agents = analysts
        .iter()
        .enumerate()
        .map(|(n, analyst)| AgentSetup {
            id: acd::AgentId(n as u32 + 1),
            queues: analyst
                .queues
                .iter()
                .map(|&(queue, rank)| Membership {
                    queue: acd::QueueId(queue),
                    rank,
                })
                .collect(),
            wrap_up: Duration::from_secs(5),
        })
        .collect();
    acd::Setup::new(life, queues, agents)
}

/// What the desk is told; `next_ticket`, `tickets` and `promises` by hospital.
pub(crate) fn desk_setup(
    next_ticket: impl Fn(desk::TenantId) -> desk::TicketId,
    tickets: impl Fn(desk::TenantId) -> Vec<desk::KnownTicket>,
    promises: impl Fn(desk::TenantId) -> desk::PromiseSetup,
    incidents: impl Fn(desk::TenantId) -> desk::IncidentSetup,
) -> desk::Setup {
    let tenants = Hospital::ALL
        .into_iter()
        .map(|hospital| {
            let id = desk::TenantId(hospital.id());
            desk::TenantSetup {
                id,
                ticket_key: [hospital.id() as u8; 32],
                directory: directory(hospital).clone(),
                next_ticket: next_ticket(id),
                tickets: tickets(id),
                rules: crate::tickets::rules(),
                promises: promises(id),
                incidents: incidents(id),
                verification: verification(),
            }
        })
        .collect();
    desk::Setup {
        tenants,
        limits: desk::Limits::default(),
    }
}

/// By what callers show who they are.
fn verification() -> desk::VerificationRules {
    use desk::Evidence::{BirthDate, Mrn, StaffPin};
    desk::VerificationRules {
        staff: vec![StaffPin, BirthDate],
        patients: vec![BirthDate, Mrn],
    }
}

fn directory(hospital: Hospital) -> &'static Directory {
    static DIRECTORIES: OnceLock<[Directory; 2]> = OnceLock::new();
    &DIRECTORIES.get_or_init(|| Hospital::ALL.map(make_directory))[hospital.id() as usize - 1]
}

fn make_directory(hospital: Hospital) -> Directory {
    let person = |id, role, spoken: &str, number: &str| PersonRecord {
        id: PersonId(id),
        role,
        spoken_name: spoken.to_owned(),
        display_name: spoken.to_owned(),
        numbers: vec![PhoneNumber(number.to_owned())],
    };
    let people = match hospital {
        Hospital::StAnne => vec![
            person(1, Role::Clinician, "Doctor Okafor", OKAFOR),
            person(2, Role::Clinician, "Doctor Lindqvist", LINDQVIST),
            person(3, Role::Staff, "Iris", MORALES),
            person(4, Role::Staff, "Ken", "+15550177004"),
            person(5, Role::Patient, "Rosa Bell", BELL),
            person(6, Role::Staff, "Noor", WARD),
            person(7, Role::Staff, "Jo", WARD),
        ],
        Hospital::Mercy => vec![
            person(1, Role::Staff, "Ada", OKAFOR),
            person(2, Role::Clinician, "Doctor Morales", MORALES),
            person(5, Role::Patient, "Rosa Bell", BELL),
        ],
    };
    let places = vec![PlaceRecord {
        id: PersonId(101),
        name: "Theatre two".to_owned(),
        numbers: vec![PhoneNumber(THEATRE.to_owned())],
    }];
    Directory::new(NumberRule::default(), people, places).expect("the directory is well-formed")
}

/// What the switch is told.
pub(crate) fn switch_setup(
    analysts: &[Analyst],
    seed: [u8; 32],
    epoch_ms: i64,
    music: Arc<Clip>,
    chime: Arc<Clip>,
) -> Setup {
    let bind: SocketAddr = SWITCH.parse().expect("our own address");
    let mut lines = HashMap::new();
    for hospital in Hospital::ALL {
        for (door, flow) in Door::ALL.into_iter().zip(flows()) {
            lines.insert(
                hospital.number(door).to_owned(),
                Line {
                    tenant: desk::TenantId(hospital.id()),
                    flow: flow.clone(),
                    clinical: matches!(door, Door::Clinician | Door::Location),
                },
            );
        }
    }
    let accounts = analysts
        .iter()
        .enumerate()
        .map(|(n, analyst)| {
            let account = Account {
                ha1s: sip::digest::Ha1s::derive(&analyst.user, REALM, &analyst.secret),
                agent: Some(acd::AgentId(n as u32 + 1)),
                serves: analyst
                    .queues
                    .iter()
                    .map(|&(queue, _)| acd::QueueId(queue))
                    .collect(),
                number: None,
                trunk: false,
                encryption: None,
                home: desk::TenantId(Hospital::StAnne.id()),
                station: if n == 0 {
                    station()
                } else {
                    Station::default()
                },
            };
            (analyst.user.clone(), account)
        })
        .collect();
    let mut queues = HashMap::new();
    for (id, name, whose, _) in QUEUES {
        for hospital in Hospital::ALL {
            if whose == 0 || whose == hospital.id() {
                queues.insert(
                    (desk::TenantId(hospital.id()), Arc::from(name)),
                    Queue {
                        id: acd::QueueId(id),
                    },
                );
            }
        }
    }
    let trunk = |name: &str, redirects| Trunk {
        name: Arc::from(name),
        gateways: (0..PARTNER_PHONES)
            .map(|n| {
                let addr = crate::phone::address(analysts.len() + n);
                Gateway::Address {
                    host: addr.ip().to_string(),
                    peer: sip::Peer::udp(addr),
                }
            })
            .collect(),
        calls_max: 20,
        reserve_in: 0,
        credentials: None,
        // Asked for ever, they would keep a world from becoming quiet.
        probe_every: None,
        trusted: true,
        encryption: None,
        register: None,
        location: false,
        identity: None,
        redirects,
    };
    let night = trunk("night", Redirects::Follow);
    // Where emergency calls go first: one line, by the second of those gateways.
    let rescue = Trunk {
        name: Arc::from("rescue"),
        gateways: night.gateways[1..].to_vec(),
        calls_max: 1,
        location: true,
        ..night.clone()
    };
    // The same gateways by two trunks: what one of them may answer differs.
    let trunks = [night, trunk("day", Redirects::Refuse), rescue];
    let partner = |hospital: Hospital| {
        let partner = Partner {
            id: desk::PartnerId(1),
            trunk: Arc::from("night"),
            number: "8000".to_owned(),
        };
        let name = Arc::from("portal");
        ((desk::TenantId(hospital.id()), name), partner)
    };
    let partners = Hospital::ALL.into_iter().map(partner).collect();
    Setup {
        shard: 0,
        interface: sip::Interface::local(bind),
        media: sip::Interface::local(bind),
        realm: REALM.to_owned(),
        seed,
        epoch_ms,
        tenants: Hospital::ALL
            .into_iter()
            .map(|hospital| {
                let key = match hospital {
                    Hospital::StAnne => "st-anne",
                    Hospital::Mercy => "mercy",
                };
                (
                    desk::TenantId(hospital.id()),
                    Tenant {
                        key: Arc::from(key),
                        name: Arc::from(hospital.name()),
                        dial: DialRules {
                            inside: HashMap::from([
                                ("2002".to_owned(), Inside::Agent(acd::AgentId(2))),
                                ("2006".to_owned(), Inside::Queue(Arc::from("tier2"))),
                            ]),
                            outside: [
                                ("+15559", 11, "night"),
                                ("+15558", 11, "day"),
                                ("9", 4, "night"),
                            ]
                            .map(|(prefix, digits, trunk)| OutsideRule {
                                prefix: prefix.to_owned(),
                                digits: digits..=digits,
                                trunk: Arc::from(trunk),
                            })
                            .to_vec(),
                            country_code: "1".to_owned(),
                        },
                        calendars: HashMap::from([(Arc::from("portal"), hours_of(hospital))]),
                        days: hours::Days::read("America/Chicago").ok(),
                        callbacks: Some(switch::Callbacks {
                            label: desk::PhoneNumber(MAIN_NUMBER.to_owned()),
                            flow: callback(),
                            times_first: match hospital {
                                Hospital::StAnne => desk::First::Agent,
                                Hospital::Mercy => desk::First::Customer,
                            },
                        }),
                    },
                )
            })
            .collect(),
        lines,
        accounts,
        queues,
        closings: HashMap::new(),
        flow_versions: HashMap::new(),
        trunks: trunks
            .into_iter()
            .map(|trunk| (Arc::clone(&trunk.name), Arc::new(trunk)))
            .collect(),
        partners,
        actions: Hospital::ALL
            .into_iter()
            .map(|hospital| {
                let name = Arc::from("system-status");
                let deadline = ACTION_MAX;
                ((desk::TenantId(hospital.id()), name), Action { deadline })
            })
            .collect(),
        supervisor_lines: HashMap::new(),
        supervisors: Default::default(),
        action_limits: ActionLimits {
            per_tenant: ACTIONS_AT_ONCE,
            all: ACTIONS_AT_ONCE * 3 / 2,
        },
        emergency: emergency(),
        languages: [ivr_flows::Language::ENGLISH].into(),
        trusted: vec!["192.0.2.0/24".parse().expect("a network")],
        sounds: Sounds {
            ringing: Arc::clone(&music),
            music,
            chime,
        },
        limits: Limits::default(),
        codecs: switch::CodecPolicy::default(),
        encryption: EncryptionPolicy::default(),
        sip: SipSettings::default(),
    }
}

fn emergency() -> Emergency {
    let numbers = ["911", "112", "988"].map(|dialled| EmergencyNumber {
        dialled: dialled.into(),
        sent: if dialled == "112" { "911" } else { dialled }.into(),
    });
    Emergency {
        numbers: numbers.into(),
        usual: EmergencyRoute {
            trunks: vec![Arc::from("rescue")],
            callback: Some(PhoneNumber(MAIN_NUMBER.to_owned())),
        },
        hospitals: HashMap::new(),
    }
}

/// Where the first analyst sits.
fn station() -> Station {
    Station {
        callback: Some(PhoneNumber(STATION_NUMBER.to_owned())),
        address: Some(CivicAddress {
            country: "US".into(),
            state: "IL".into(),
            city: "Springfield".into(),
            street: "Oak Street".into(),
            number: "400".into(),
            building: Some("East".into()),
            floor: Some("3".into()),
            room: None,
        }),
    }
}

/// Mercy's own desk is always there, Saint Anne's never.
fn hours_of(hospital: Hospital) -> hours::Calendar {
    let week = match hospital {
        Hospital::StAnne => "closed",
        Hospital::Mercy => "00:00-24:00",
    };
    hours::Calendar::read("America/Chicago", [("mon-sun", week)], []).expect("hours")
}

/// The hospital and door of a number dialled.
pub(crate) fn dialled(number: &str) -> Option<(Hospital, Door)> {
    Hospital::ALL.into_iter().find_map(|hospital| {
        Door::ALL
            .into_iter()
            .find(|&door| hospital.number(door) == number)
            .map(|door| (hospital, door))
    })
}

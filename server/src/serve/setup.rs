//! The configuration as the machines want it: who may call, who serves which
//! queue, where trunks lead.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use acd::{AgentSetup, QueueSetup};
use desk::{Directory, NumberRule, PersonId, PersonRecord, PhoneNumber, PlaceRecord, TenantId};
use switch::{
    Account, Action, CodecPolicy, EncryptionPolicy, Line, Partner, Queue, Setup, SipSettings,
    Sounds, Station, Tenant,
};

use super::versions::Versions;
use super::{Loaded, OPERATOR};
use crate::config::{Codec, ConfigError, HelpDesk, Hospital, Process, StationConfig};
use crate::names;
use crate::node::wall;
use crate::people::People;
use crate::secrets::RootKey;

/// The gateways that have to be looked up.
pub(super) fn names_of(setup: &Setup) -> Vec<names::Name> {
    let mut found = Vec::new();
    for trunk in setup.trunks.values() {
        for (gateway, at) in trunk.gateways.iter().enumerate() {
            if let switch::Gateway::Named { uri } = at {
                found.push(names::Name {
                    trunk: Arc::clone(&trunk.name),
                    gateway,
                    uri: uri.clone(),
                    encrypted: trunk.encryption == Some(switch::Encryption::Required),
                });
            }
        }
    }
    found
}

/// The gateways that are written as addresses.
pub(crate) fn addresses_of(setup: &Setup) -> Vec<sip::Peer> {
    let gateways = setup.trunks.values().flat_map(|trunk| &trunk.gateways);
    let addresses = gateways.filter_map(|gateway| match gateway {
        switch::Gateway::Address { peer, .. } => Some(*peer),
        _ => None,
    });
    addresses.collect()
}

/// What we can send by, the preferred first.
pub(super) fn transports(tcp: bool, tls: bool) -> Vec<sip::Transport> {
    let all = [
        (tls, sip::Transport::Tls),
        (true, sip::Transport::Udp),
        (tcp, sip::Transport::Tcp),
    ];
    let ours = all.into_iter().filter(|(ours, _)| *ours);
    ours.map(|(_, transport)| transport).collect()
}

fn formats(codecs: &[Codec]) -> Vec<::media::codec::Format> {
    codecs.iter().copied().map(Into::into).collect()
}

/// What stands in SDP: the SIP interface's addresses where `[media]` says nothing else.
pub(super) fn audio_interface(
    process: &Process,
    file: &Path,
    sip: sip::Interface,
) -> Result<sip::Interface, ConfigError> {
    let mut audio = sip;
    let bind = process.media.bind.unwrap_or(audio.bind.ip());
    audio.bind.set_ip(bind);
    if let Some(ip) = process.media.advertise {
        audio.advertise.ip = ip;
    } else if process.media.bind.is_some() && process.sip.advertise.is_none() {
        audio.advertise.ip = bind;
    }
    if audio.advertise.ip.is_unspecified() {
        return Err(ConfigError::new(
            file,
            "media is bound to a wildcard, which in SDP means hold; set media.advertise to the address that \
             phones and trunks send audio to",
        ));
    }
    Ok(audio)
}

/// How numbers are written where a hospital is.
pub(crate) fn number_rule(hospital: &Hospital) -> NumberRule {
    NumberRule {
        country_code: hospital.country_code.clone(),
        ..NumberRule::default()
    }
}

/// When a hospital's customers may be called.
pub(super) fn callable(
    hospital: &Hospital,
    people: &People,
) -> Result<desk::Callable, ConfigError> {
    let fault = |fault: String| ConfigError::new(Path::new(&hospital.key), fault);
    let register = people.register(desk::TenantId(hospital.id));
    let register = register.map_err(|error| fault(error.to_string()))?;
    hospital.callable(&register).map_err(fault)
}

/// By which of each hospital's actions codes are sent.
pub(super) fn code_actions(helpdesk: &HelpDesk) -> HashMap<TenantId, Arc<str>> {
    let hospitals = helpdesk.hospitals.iter();
    let actions = hospitals.filter_map(|hospital| {
        let action = hospital.verification.code.as_deref()?;
        Some((TenantId(hospital.id), Arc::from(action)))
    });
    actions.collect()
}

/// The people and places of a hospital's own file.
pub(crate) fn file_directory(hospital: &Hospital) -> Result<Directory, desk::DirectoryFault> {
    let numbers = |texts: &[String]| texts.iter().cloned().map(PhoneNumber).collect();
    Directory::new(
        number_rule(hospital),
        hospital
            .people
            .iter()
            .map(|person| PersonRecord {
                id: PersonId(person.id),
                role: person.role,
                spoken_name: person.spoken.clone(),
                display_name: person.name.clone(),
                numbers: numbers(&person.numbers),
            })
            .collect(),
        hospital
            .places
            .iter()
            .map(|place| PlaceRecord {
                id: PersonId(place.id),
                name: place.spoken.clone(),
                numbers: numbers(&place.numbers),
            })
            .collect(),
    )
}

/// What a hospital has agreed about its tickets.
pub(super) fn ticket_rules(
    hospital: &Hospital,
    helpdesk: &HelpDesk,
) -> Result<desk::TicketRules, ConfigError> {
    let rules = hospital.ticket_rules(&helpdesk.queues);
    rules.map_err(|(_, fault)| ConfigError::new(Path::new(&hospital.key), fault))
}

pub(super) fn acd_setup(helpdesk: &HelpDesk, seed: u64) -> acd::Setup {
    let queue_id = |name: &str| helpdesk.queue_id(name).map(acd::QueueId);
    let queues = helpdesk
        .queues
        .iter()
        .filter_map(|queue| {
            let mut setup = QueueSetup::new(queue_id(&queue.name)?, None, queue.clinical);
            setup.ring_for = Duration::from_secs(queue.ring_for_s);
            setup.aging.spacing = Duration::from_secs(queue.spacing_s);
            Some(setup)
        })
        .collect();
    let wrap_up = |name: &str| {
        helpdesk
            .queues
            .iter()
            .find(|queue| queue.name == name)
            .map(|queue| queue.wrap_up_s)
    };
    let agents = helpdesk
        .agents
        .iter()
        .map(|agent| {
            let served: Vec<_> = agent.queues.iter().filter_map(|q| queue_id(q)).collect();
            let mut setup = AgentSetup::new(acd::AgentId(agent.id), &served);
            for (rank, membership) in setup.queues.iter_mut().enumerate() {
                membership.rank = u8::try_from(rank).unwrap_or(u8::MAX);
            }
            // An agent's after-call work is that of the queue they are there for.
            if let Some(seconds) = agent.queues.first().and_then(|q| wrap_up(q)) {
                setup.wrap_up = Duration::from_secs(seconds);
            }
            setup
        })
        .collect();
    acd::Setup::new(seed, queues, agents)
}

/// Where agents may send callers on to inside: the extensions of queues and of
/// other agents. (Names do without.)
fn dial_rules(helpdesk: &HelpDesk) -> switch::DialRules {
    let queues = helpdesk.queues.iter().filter_map(|queue| {
        let inside = switch::Inside::Queue(queue.name.as_str().into());
        Some((queue.extension.clone()?, inside))
    });
    let agents = helpdesk.agents.iter().filter_map(|agent| {
        let inside = switch::Inside::Agent(acd::AgentId(agent.id));
        Some((agent.extension.clone()?, inside))
    });
    switch::DialRules {
        inside: queues.chain(agents).collect(),
        ..switch::DialRules::default()
    }
}

/// Who carries calls to emergency services.
fn emergency(helpdesk: &HelpDesk) -> Result<switch::Emergency, String> {
    let Some(config) = &helpdesk.emergency else {
        return Ok(switch::Emergency::default());
    };
    let hospitals = helpdesk.hospitals.iter();
    let hospitals =
        hospitals.map(|hospital| Ok((TenantId(hospital.id), hospital.emergency.route()?)));
    Ok(switch::Emergency {
        numbers: config.numbers()?,
        usual: config.route()?,
        hospitals: hospitals.collect::<Result<_, String>>()?,
    })
}

pub(super) fn setup(
    loaded: &Loaded,
    interface: sip::Interface,
    media: sip::Interface,
    seed: [u8; 32],
    root: &RootKey,
    versions: &Versions,
) -> Result<Setup, ConfigError> {
    let process = &loaded.process;
    let helpdesk = &loaded.helpdesk;
    let realm = &process.sip.realm;
    let placed = |user: &str, station: &StationConfig| {
        let fault =
            |fault| ConfigError::new(&loaded.config_dir, format!("user \"{user}\": {fault}"));
        station.station().map_err(fault)
    };
    let mut accounts = HashMap::new();
    for agent in &helpdesk.agents {
        accounts.insert(
            agent.user.clone(),
            Account {
                encryption: agent.encryption.map(Into::into),
                ha1s: sip::digest::Ha1s::derive(&agent.user, realm, &agent.secret),
                agent: Some(acd::AgentId(agent.id)),
                serves: agent
                    .queues
                    .iter()
                    .filter_map(|name| helpdesk.queue_id(name).map(acd::QueueId))
                    .collect(),
                number: None,
                trunk: false,
                home: OPERATOR,
                station: placed(&agent.user, &agent.station)?,
            },
        );
    }
    let mut trunks = HashMap::new();
    for config in &helpdesk.trunks {
        let operator = || loaded.config_dir.join("operator.yaml");
        let mut trunk = config
            .trunk()
            .map_err(|fault| ConfigError::new(&operator(), fault))?;
        let authorities = process
            .sip
            .tls
            .as_ref()
            .and_then(|tls| tls.authorities.as_ref());
        if trunk.identity.is_some() && authorities.is_none() {
            return Err(ConfigError::new(
                &operator(),
                format!(
                    "trunk \"{}\" has an identity, which no certificate shows while careline.toml's \
                     [sip.tls] has no `authorities`",
                    trunk.name
                ),
            ));
        }
        if let Some(register) = &mut trunk.register {
            register.contact_user = root.contact_user(&trunk.name).into();
            register.instance = Some(root.instance().into());
        }
        trunks.insert(Arc::clone(&trunk.name), Arc::new(trunk));
        if let Some(account) = &config.account {
            accounts.insert(
                account.user.clone(),
                Account {
                    encryption: config.encryption.map(Into::into),
                    ha1s: sip::digest::Ha1s::derive(&account.user, realm, &account.secret),
                    agent: None,
                    serves: Vec::new(),
                    number: None,
                    trunk: true,
                    home: OPERATOR,
                    station: Station::default(),
                },
            );
        }
    }
    let dial = dial_rules(helpdesk);
    let mut partners = HashMap::new();
    let mut actions = HashMap::new();
    let mut tenants = HashMap::new();
    let mut lines = HashMap::new();
    let mut supervisor_lines = HashMap::new();
    let mut queues = HashMap::new();
    for hospital in &helpdesk.hospitals {
        let tenant = TenantId(hospital.id);
        tenants.insert(
            tenant,
            Tenant {
                key: hospital.key.as_str().into(),
                name: hospital.name.as_str().into(),
                dial: switch::DialRules {
                    outside: hospital
                        .outside
                        .iter()
                        .map(|outside| outside.rule())
                        .collect::<Result<_, _>>()
                        .map_err(|fault| ConfigError::new(Path::new(&hospital.key), fault))?,
                    country_code: hospital.country_code.clone(),
                    ..dial.clone()
                },
                calendars: hospital
                    .calendars()
                    .map_err(|fault| ConfigError::new(Path::new(&hospital.key), fault))?
                    .into_iter()
                    .map(|(name, calendar)| (name.into(), calendar))
                    .collect(),
                callbacks: helpdesk.callbacks(hospital),
                days: hospital
                    .zone
                    .as_deref()
                    .map(hours::Days::read)
                    .transpose()
                    .map_err(|fault| {
                        ConfigError::new(Path::new(&hospital.key), fault.to_string())
                    })?,
            },
        );
        for line in &hospital.lines {
            let Some(flow) = helpdesk.flows.get(&line.flow) else {
                continue;
            };
            for number in std::iter::once(&line.number).chain(&line.short) {
                let lines = match line.supervisors {
                    true => &mut supervisor_lines,
                    false => &mut lines,
                };
                lines.insert(
                    number.clone(),
                    Line {
                        tenant,
                        flow: Arc::clone(flow),
                        clinical: line.clinical,
                    },
                );
            }
        }
        for queue in &helpdesk.queues {
            if let Some(id) = helpdesk.queue_id(&queue.name) {
                queues.insert(
                    (tenant, queue.name.as_str().into()),
                    Queue {
                        id: acd::QueueId(id),
                    },
                );
            }
        }
        for (name, partner) in &hospital.partners {
            partners.insert(
                (tenant, Arc::from(name.as_str())),
                Partner {
                    id: desk::PartnerId(partner.id),
                    trunk: partner.trunk.as_str().into(),
                    number: partner.number.clone(),
                },
            );
        }
        for (name, action) in &hospital.actions {
            let deadline = Duration::from_secs(action.timeout_s);
            let key = (tenant, Arc::from(name.as_str()));
            actions.insert(key, Action { deadline });
        }
        for phone in &hospital.phones {
            accounts.insert(
                phone.user.clone(),
                Account {
                    encryption: phone.encryption.map(Into::into),
                    ha1s: sip::digest::Ha1s::derive(&phone.user, realm, &phone.secret),
                    agent: None,
                    serves: Vec::new(),
                    number: phone.number.clone().map(PhoneNumber),
                    trunk: false,
                    home: tenant,
                    station: placed(&phone.user, &phone.station)?,
                },
            );
        }
    }
    Ok(Setup {
        shard: 0,
        interface,
        media,
        realm: realm.clone(),
        seed,
        epoch_ms: wall(),
        tenants,
        lines,
        supervisor_lines,
        supervisors: helpdesk
            .agents
            .iter()
            .filter(|agent| agent.supervisor)
            .map(|agent| acd::AgentId(agent.id))
            .collect(),
        accounts,
        queues,
        languages: [ivr_flows::Language::ENGLISH].into(),
        closings: HashMap::new(),
        flow_versions: versions
            .latest()
            .map(|(flow, version)| (flow.to_owned(), version))
            .collect(),
        trusted: process.sip.trusted(&loaded.process_file)?,
        trunks,
        partners,
        actions,
        action_limits: process.limits.actions(),
        emergency: emergency(helpdesk)
            .map_err(|fault| ConfigError::new(&loaded.config_dir, fault))?,
        sounds: Sounds {
            music: ::media::music::on_hold(),
            chime: ::media::music::chime(),
            ringing: ::media::music::ring_back(),
        },
        limits: process.limits.for_switch(),
        codecs: CodecPolicy {
            phones: formats(&process.media.codecs),
            trunks: formats(&process.media.trunk_codecs),
            find_text: process.media.find_text_telephones,
        },
        encryption: EncryptionPolicy {
            usual: process.media.encryption.into(),
            tls: process
                .sip
                .tls
                .as_ref()
                .and_then(|tls| tls.encryption)
                .map(Into::into),
            keys_in_clear: process.media.keys_in_clear,
        },
        sip: SipSettings {
            registration_min: Duration::from_secs(process.sip.registration_min_s),
            registration_max: Duration::from_secs(process.sip.registration_max_s),
            challenges: process.sip.digest.into(),
            refusal_code: process.sip.refusal_code,
            retry_after_s: process.sip.retry_after_s,
            conference_code: process.sip.conference_code.clone(),
            reason_code: process.sip.reason_code.clone(),
            ..SipSettings::default()
        },
    })
}

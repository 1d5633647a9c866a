//! The phones that are registered with us, and which analyst each is.

use std::collections::HashMap;
use std::time::Duration;

use acd::{AgentId, ToAcd};
use sip::registrar::{Change, Registrar, RegistrarConfig};

use crate::setup::{Encryption, Setup};

/// How often every signed-in agent is announced again: a lost message, or a
/// distributor that started anew, is put right by it.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// How often a sign-out is said altogether.
const SIGN_OUTS: u8 = 3;

/// Where to reach a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uri: sip::Uri,
    pub(crate) peer: sip::Peer,
    pub(crate) route: Vec<String>,
    pub(crate) pinned: bool,
}

pub(crate) struct Phones {
    registrar: Registrar,
    /// The address of record of each agent that has a contact.
    agents: HashMap<AgentId, String>,
    /// Sign-outs that are still repeated.
    sign_outs: Vec<(AgentId, u8)>,
    announce_at: Duration,
}

/// What registrations may ask of the set-up.
struct Directory<'a>(&'a Setup);

impl sip::digest::Accounts for Directory<'_> {
    fn ha1s(&self, username: &str, realm: &str) -> Option<sip::digest::Ha1s> {
        (realm == self.0.realm)
            .then(|| self.0.accounts.get(username))
            .flatten()
            .map(|account| account.ha1s.clone())
    }
}

/// The accounts of a set-up, as digest authentication wants them.
pub(crate) fn accounts(setup: &Setup) -> impl sip::digest::Accounts + '_ {
    Directory(setup)
}

impl Phones {
    pub(crate) fn new(setup: &Setup) -> Self {
        let mut config = RegistrarConfig::new(setup.realm.clone());
        config.expires_min = setup.sip.registration_min;
        config.expires_max = setup.sip.registration_max;
        config.expires_default = config
            .expires_default
            .clamp(config.expires_min, config.expires_max);
        Self {
            registrar: Registrar::new(config),
            agents: HashMap::new(),
            sign_outs: Vec::new(),
            announce_at: Duration::ZERO,
        }
    }

    /// Answers a REGISTER whose sender showed the password of `user`.
    pub(crate) fn register(
        &mut self,
        now: Duration,
        setup: &Setup,
        peer: sip::Peer,
        request: &sip::Request,
        user: &str,
        say: &mut impl FnMut(ToAcd),
    ) -> sip::Reply {
        let (reply, changes) = self
            .registrar
            .bind(now, peer, request, user, &Directory(setup));
        self.changed(now, setup, changes, say);
        reply
    }

    /// A phone's connection is closed.
    pub(crate) fn flow_lost(
        &mut self,
        now: Duration,
        setup: &Setup,
        peer: sip::Peer,
        say: &mut impl FnMut(ToAcd),
    ) {
        let changes = self.registrar.flow_lost(peer);
        self.changed(now, setup, changes, say);
    }

    fn changed(
        &mut self,
        now: Duration,
        setup: &Setup,
        changes: Vec<Change>,
        say: &mut impl FnMut(ToAcd),
    ) {
        for change in changes {
            let (aor, live) = match change {
                Change::SignedIn { aor, .. } | Change::Refreshed { aor, .. } => (aor, true),
                Change::SignedOut { aor, left, .. } => (aor, left > 0),
            };
            let Some(agent) = agent_of(setup, &aor) else {
                continue;
            };
            if live {
                self.agents.insert(agent, aor);
            }
            match self.lease(agent) {
                Some(until) => {
                    self.sign_outs.retain(|(gone, _)| *gone != agent);
                    say(ToAcd::SignIn {
                        agent,
                        at: now,
                        until,
                    });
                }
                None => {
                    self.agents.remove(&agent);
                    self.sign_outs.push((agent, SIGN_OUTS - 1));
                    say(ToAcd::SignOut { agent, at: now });
                }
            }
        }
        if self.announce_at == Duration::ZERO {
            self.announce_at = now + ANNOUNCE_EVERY;
        }
    }

    /// Until when the agent's phone is registered.
    fn lease(&self, agent: AgentId) -> Option<Duration> {
        let aor = self.agents.get(&agent)?;
        self.registrar
            .lookup(aor)
            .iter()
            .map(|binding| binding.expires_at)
            .max()
    }

    /// Where the agent can be called, the best last.
    pub(crate) fn targets(&self, agent: AgentId) -> Vec<Target> {
        self.agents
            .get(&agent)
            .map(|aor| self.at(aor))
            .unwrap_or_default()
    }

    /// Can any agent be called by TLS?
    pub(crate) fn somebody_by_tls(&self) -> bool {
        let mut bindings = self
            .agents
            .values()
            .flat_map(|aor| self.registrar.lookup(aor));
        bindings.any(|binding| binding.peer.transport.is_secure())
    }

    /// Where this user is registered, the best last.
    pub(crate) fn registered(&self, setup: &Setup, user: &str) -> Vec<Target> {
        self.at(&format!("sip:{user}@{}", setup.realm))
    }

    /// The account whose telephone this call comes from, known by its
    /// registration alone: it was made from the very address and connection that
    /// the call comes by. Not where a proxy is between: who calls by that can't
    /// be told from anybody else there.
    pub(crate) fn calls_from(
        &self,
        setup: &Setup,
        peer: sip::Peer,
        request: &sip::Request,
    ) -> Option<String> {
        let user = request.from()?.uri.user()?.into_owned();
        let aor = format!("sip:{user}@{}", setup.realm);
        let mut bindings = self.registrar.lookup(&aor).iter();
        bindings
            .any(|binding| binding.peer == peer && binding.path.is_empty())
            .then_some(user)
    }

    fn at(&self, aor: &str) -> Vec<Target> {
        let mut bindings: Vec<_> = self.registrar.lookup(aor).iter().collect();
        // The phone's own preference first, then whichever registered last.
        bindings.sort_by_key(|binding| (binding.q, binding.expires_at));
        bindings
            .into_iter()
            .map(|binding| Target {
                uri: binding.contact.clone(),
                peer: binding.peer,
                route: binding.path.clone(),
                pinned: binding.natted,
            })
            .collect()
    }

    /// Whether the audio of the agent's phone is encrypted, if that is set for it.
    pub(crate) fn encryption_of(&self, agent: AgentId, setup: &Setup) -> Option<Encryption> {
        let user = user_of(self.agents.get(&agent)?)?;
        setup.accounts.get(user)?.encryption
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let announce =
            (!self.agents.is_empty() || !self.sign_outs.is_empty()).then_some(self.announce_at);
        [self.registrar.poll_timeout(), announce]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn on_timeout(&mut self, now: Duration, setup: &Setup, say: &mut impl FnMut(ToAcd)) {
        let changes = self.registrar.handle_timeout(now);
        self.changed(now, setup, changes, say);
        if now < self.announce_at {
            return;
        }
        self.announce_at = now + ANNOUNCE_EVERY;
        let mut agents: Vec<_> = self.agents.keys().copied().collect();
        agents.sort_unstable();
        for agent in agents {
            if let Some(until) = self.lease(agent) {
                say(ToAcd::SignIn {
                    agent,
                    at: now,
                    until,
                });
            }
        }
        self.sign_outs.retain_mut(|(agent, left)| {
            say(ToAcd::SignOut {
                agent: *agent,
                at: now,
            });
            *left = left.saturating_sub(1);
            *left > 0
        });
    }
}

/// The analyst whose phone registers this address of record.
fn agent_of(setup: &Setup, aor: &str) -> Option<AgentId> {
    setup.accounts.get(user_of(aor)?)?.agent
}

fn user_of(aor: &str) -> Option<&str> {
    aor.strip_prefix("sip:")?.split('@').next()
}

//! A random world: calls and agents on one side, the distributor on the other,
//! and between them a wire that loses, doubles, delays and reorders. Virtual
//! time; every failure names its seed. `ACD_SEED=n` replays one.

mod calls;
mod rules;
mod wire;

use std::time::Duration;

use acd::{
    Acd, AgentId, AgentSetup, Class, ContactId, Membership, Output, QueueId, QueueSetup, Setup,
    TenantId, ToAcd,
};
use calls::{Calls, Habits};
use rules::Rulebook;
use wire::{Rng, Weather, Wire};

const S: Duration = Duration::from_secs(1);

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    ToAcd(ToAcd),
    FromAcd(acd::FromAcd),
    /// Something of this contact's call may be due.
    Call(ContactId),
    /// Something of this agent's phone may be due.
    Phone(AgentId),
    Arrival,
    /// The call's node dies: not another word of this call.
    Death(ContactId),
    /// The distributor dies and starts empty.
    Restart,
    /// The same people and queues, handed over once more.
    Reconfigure,
}

struct World {
    seed: u64,
    contacts: u64,
    setup: Setup,
    acd: Acd,
    wire: Wire,
    calls: Calls,
    rules: Rulebook,
    arrivals_left: u64,
    arrival_every_ms: u64,
    tenants: u64,
    deaths: bool,
}

impl World {
    fn new(seed: u64, contacts: u64) -> Self {
        let mut rng = Rng::new(seed);
        let agents = rng.below(6) + 1 + contacts / 40;
        let queues = rng.below(4) + 1;
        let setup = setup(&mut rng, agents, queues);
        let weather = match rng.below(3) {
            0 => Weather::FAIR,
            1 => Weather::RAIN,
            _ => Weather::STORM,
        };
        let mut world = Self {
            seed,
            contacts,
            acd: Acd::new(setup.clone()),
            calls: Calls::new(agents as u32, Habits::random(&mut rng)),
            rules: Rulebook::new(&setup),
            setup,
            arrivals_left: contacts,
            arrival_every_ms: 200 + rng.below(8_000),
            tenants: rng.below(3) + 1,
            deaths: rng.below(3) == 0,
            wire: Wire::new(rng.next(), weather),
        };
        let restarts = if rng.below(2) == 0 { 0 } else { rng.below(3) };
        for _ in 0..restarts {
            let at = Duration::from_millis(rng.below(120_000));
            world.wire.at(at, Event::Restart);
        }
        if rng.below(3) == 0 {
            let at = Duration::from_millis(rng.below(60_000));
            world.wire.at(at, Event::Reconfigure);
        }
        world.calls.strict = weather.is_fair() && restarts == 0 && !world.deaths;
        world.wire.at(Duration::ZERO, Event::Arrival);
        for id in 0..agents {
            let at = Duration::from_millis(rng.below(5_000));
            world.wire.at(at, Event::Phone(AgentId(id as u32)));
        }
        world
    }

    fn run(&mut self) {
        let busy_end = Duration::from_secs(180);
        self.run_until(busy_end);
        // Then everybody is there, picks up and is patient, and the sky is blue:
        // whoever still waits must be served, and everything come to rest.
        self.wire.weather = Weather::FAIR;
        self.calls.habits = Habits::BEST;
        self.deaths = false;
        let calm_end = self.wire.now + 900 * S + S * self.contacts as u32 * 25;
        while self.wire.now < calm_end && !(self.calls.all_over() && self.arrivals_left == 0) {
            let next = self.wire.now + S;
            self.run_until(next);
        }
        assert!(
            self.calls.all_over(),
            "seed {}: {} still wait, the first is {:?}",
            self.seed,
            self.calls.not_over().len(),
            self.calls.not_over().first()
        );
        let end = self.wire.now + 45 * S;
        self.run_until(end);
        self.rules.check_rest(&self.acd);
    }

    fn run_until(&mut self, end: Duration) {
        loop {
            let timeout = self.acd.poll_timeout().filter(|at| *at <= end);
            match self.wire.next(end.min(timeout.unwrap_or(end))) {
                Some(event) => self.happen(event),
                None => match timeout {
                    Some(at) => {
                        self.wire.now = self.wire.now.max(at);
                        self.acd.handle_timeout(self.wire.now);
                        self.collect(None);
                    }
                    None => break,
                },
            }
        }
        self.wire.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToAcd(message) => {
                self.rules.heard(self.wire.now, &message);
                self.acd.handle(self.wire.now, message.clone());
                self.collect(Some(&message));
            }
            Event::FromAcd(message) => self.calls.handle(&mut self.wire, message),
            Event::Call(contact) => self.calls.tick(&mut self.wire, contact),
            Event::Phone(agent) => self.calls.phone_tick(&mut self.wire, agent),
            Event::Death(contact) => self.calls.die(contact),
            Event::Arrival => self.arrive(),
            Event::Restart => {
                self.setup.seed += 1;
                self.acd = Acd::new(self.setup.clone());
                self.rules.restarted(&self.setup);
            }
            Event::Reconfigure => {
                self.acd.reconfigure(self.wire.now, self.setup.clone());
                self.collect(None);
            }
        }
        self.calls.check(self.seed);
    }

    fn arrive(&mut self) {
        if self.arrivals_left == 0 {
            return;
        }
        self.arrivals_left -= 1;
        let contact = ContactId(self.arrivals_left);
        let rng = &mut self.wire.rng;
        let class = match rng.below(10) {
            0 => Class::CareStopped,
            1..4 => Class::Clinician,
            4..7 => Class::Staff,
            _ => Class::Patient,
        };
        let queue = QueueId(rng.below(self.setup.queues.len() as u64) as u32);
        let tenant = TenantId(rng.below(self.tenants) as u32);
        let next = Duration::from_millis(rng.below(self.arrival_every_ms));
        let death = Duration::from_millis(rng.below(60_000));
        if self.deaths && rng.below(6) == 0 {
            self.wire.after(death, Event::Death(contact));
        }
        self.wire.after(next, Event::Arrival);
        self.calls
            .arrive(&mut self.wire, contact, tenant, queue, class);
    }

    fn collect(&mut self, cause: Option<&ToAcd>) {
        let now = self.wire.now;
        let mut offered = Vec::new();
        while let Some(output) = self.acd.poll() {
            match output {
                Output::To(message) => {
                    self.rules.said(&message);
                    self.wire.carry(Event::FromAcd(message));
                }
                Output::Notice(notice) => self.rules.noted(self.seed, notice, &mut offered),
            }
        }
        self.rules.check(self.seed, now, &self.acd, cause, &offered);
    }
}

fn setup(rng: &mut Rng, agents: u64, queues: u64) -> Setup {
    let queues: Vec<_> = (0..queues)
        .map(|id| {
            let mut queue = QueueSetup::new(QueueId(id as u32), None, rng.below(4) == 0);
            queue.ring_for = Duration::from_secs(5 + rng.below(15));
            queue
        })
        .collect();
    let agents = (0..agents)
        .map(|id| AgentSetup {
            id: AgentId(id as u32),
            // Agent 0 serves everything, so that everybody can be served.
            queues: queues
                .iter()
                .filter(|_| id == 0 || rng.below(2) == 0)
                .map(|queue| Membership {
                    queue: queue.id,
                    rank: (id % 2) as u8,
                })
                .collect(),
            wrap_up: Duration::from_secs([0, 3, 10][(id % 3) as usize]),
        })
        .collect();
    Setup::new(rng.next(), queues, agents)
}

fn play(seed: u64, contacts: u64) {
    let mut world = World::new(seed, contacts);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    if result.is_err() {
        panic!("the world of seed {seed} with {contacts} contacts broke a rule");
    }
}

#[test]
fn small_worlds() {
    if let Ok(seed) = std::env::var("ACD_SEED") {
        play(seed.parse().unwrap_or(0), 30);
        return;
    }
    let seeds = std::env::var("ACD_SEEDS").ok();
    let seeds = seeds.and_then(|n| n.parse().ok()).unwrap_or(2_000);
    for seed in 0..seeds {
        play(seed, 30);
    }
}

#[test]
fn large_worlds() {
    for seed in 1_000_000..1_000_006 {
        play(seed, 600);
    }
}

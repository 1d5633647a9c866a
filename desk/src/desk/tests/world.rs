//! Many contacts at once over messages that get lost, doubled, delayed and
//! reordered, and a store that stalls and fails; what must hold, held.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use proptest::prelude::*;

use super::*;
use crate::{PartnerId, TakenBack};

/// How bad the world is.
#[derive(Debug, Clone)]
struct Weather {
    seed: u64,
    /// Of messages between calls and desk, in percent.
    lost: u64,
    doubled: u64,
    /// Of commits, in percent.
    failing: u64,
    /// Of commits, in percent: two seconds late.
    stalling: u64,
    /// Little room, so that gaps occur.
    narrow: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A contact's sender sends what isn't answered yet, or its next command.
    Send(usize),
    /// By index into `sent`.
    Arrive(usize),
    /// By index into `answered`.
    Answered(usize),
    /// The store comes to a commit.
    Store,
    /// By commit, and whether it was written.
    Stored(u64, bool),
}

struct Sender {
    contact: ContactId,
    tenant: u32,
    /// What is still to be said, the next last.
    script: Vec<What>,
    unanswered: Vec<(CommandId, What)>,
    ticket: Option<TicketNumber>,
}

struct World {
    weather: Weather,
    random: u64,
    now_ms: u64,
    order: u64,
    desk: Desk,
    limits: Limits,
    agenda: BinaryHeap<Reverse<(u64, u64, Step)>>,
    senders: Vec<Sender>,
    commands: u64,
    sent: Vec<Command>,
    answered: Vec<Answer>,
    /// First arrival of each ticket command.
    asked: BTreeMap<CommandId, u64>,
    replies: BTreeMap<CommandId, Reply>,
    queue: VecDeque<Commit>,
    store_busy: bool,
    log: BTreeMap<TenantId, Vec<Stamped>>,
}

impl World {
    fn new(weather: Weather) -> Self {
        let limits = if weather.narrow {
            Limits {
                commits_in_flight_max: 3,
                commits_in_flight_per_tenant_max: 2,
                events_waiting_per_tenant_max: 8,
                retries_max: 1,
                ..Limits::default()
            }
        } else {
            Limits {
                retries_max: u8::MAX,
                ..Limits::default()
            }
        };
        let mut world = Self {
            random: weather.seed | 1,
            weather,
            now_ms: 1_000,
            order: 0,
            desk: Desk::new(setup(limits.clone())),
            limits,
            agenda: BinaryHeap::new(),
            senders: Vec::new(),
            commands: 0,
            sent: Vec::new(),
            answered: Vec::new(),
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            queue: VecDeque::new(),
            store_busy: false,
            log: BTreeMap::new(),
        };
        for n in 0..12 {
            let script = world.script();
            world.senders.push(Sender {
                contact: ContactId(100 + n),
                tenant: 1 + (n % 2) as u32,
                script,
                unanswered: Vec::new(),
                ticket: None,
            });
            let at = world.below(500);
            world.later(at, Step::Send(n as usize));
        }
        world
    }

    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A contact's life, cut short at random, told from the end.
    fn script(&mut self) -> Vec<What> {
        let agent = AgentId(1 + self.below(3) as u32);
        let queue = QueueId(1 + self.below(2) as u32);
        let partner = PartnerId(1 + self.below(2) as u32);
        let mut script = vec![
            What::Start {
                dnis: phone("+15035550000"),
                ani: Some(phone("+15035550101")),
                flow: None,
            },
            What::Identify {
                ani: Some(phone("+15035550101")),
            },
            What::OpenTicket,
            What::Journey(Journey::Queued { queue }),
            What::OpenTicket,
            What::Journey(Journey::Offered { agent }),
            What::Journey(Journey::Connected { agent }),
            What::Journey(Journey::Queued { queue: QueueId(9) }),
            What::Journey(Journey::Queued { queue: QueueId(8) }),
            What::Journey(Journey::FlowOut),
            What::OpenTicket,
            What::Journey(Journey::PartnerCalled { partner }),
            What::Journey(Journey::TakenBack {
                partner,
                why: TakenBack::Busy,
            }),
            What::Journey(Journey::Queued { queue }),
            What::Journey(Journey::PartnerCalled { partner }),
            What::Journey(Journey::Transferred { partner }),
        ];
        let length = 1 + self.below(script.len() as u64) as usize;
        script.truncate(length);
        let causes = [
            EndCause::CallerHungUp,
            EndCause::AgentHungUp,
            EndCause::FlowEnded,
            EndCause::SystemFailure,
        ];
        let cause = causes[self.below(4) as usize];
        script.push(What::Journey(Journey::Ended { cause }));
        script.reverse();
        script
    }

    fn later(&mut self, ms: u64, step: Step) {
        self.order += 1;
        let entry = (self.now_ms + ms, self.order, step);
        self.agenda.push(Reverse(entry));
    }

    /// A message on its way: lost, doubled, late.
    fn travel(&mut self, step: impl Fn() -> Step) {
        let copies = match (
            self.percent(self.weather.lost),
            self.percent(self.weather.doubled),
        ) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        for _ in 0..copies {
            let late = if self.percent(5) { 2_000 } else { 60 };
            let ms = self.below(late);
            self.later(ms, step());
        }
    }

    fn send(&mut self, index: usize) {
        let sender = &mut self.senders[index];
        let may_go_on = sender
            .unanswered
            .iter()
            .all(|(_, what)| matches!(what, What::OpenTicket));
        if may_go_on && let Some(what) = sender.script.pop() {
            self.commands += 1;
            sender.unanswered.push((CommandId(self.commands), what));
        }
        let commands: Vec<_> = sender
            .unanswered
            .iter()
            .map(|(id, what)| Command {
                id: *id,
                tenant: TenantId(sender.tenant),
                contact: sender.contact,
                at: self.now_ms as i64,
                what: what.clone(),
            })
            .collect();
        let finished = commands.is_empty() && sender.script.is_empty();
        for command in commands {
            self.sent.push(command);
            let index = self.sent.len() - 1;
            self.travel(|| Step::Arrive(index));
        }
        if !finished {
            let ms = 50 + self.below(300);
            self.later(ms, Step::Send(index));
        }
    }

    fn take(&mut self, step: Step) {
        let now = Duration::from_millis(self.now_ms);
        match step {
            Step::Send(index) => self.send(index),
            Step::Arrive(index) => {
                let command = self.sent[index].clone();
                if command.what == What::OpenTicket {
                    self.asked.entry(command.id).or_insert(self.now_ms);
                }
                self.desk.handle(now, Input::Command(command));
            }
            Step::Answered(index) => {
                let Answer { id, contact, reply } = self.answered[index].clone();
                let sender = &mut self.senders[(contact.0 - 100) as usize];
                sender.unanswered.retain(|(waits, _)| *waits != id);
                if let Reply::Ticket { number } = reply {
                    // One ticket per contact, whoever asks how often.
                    assert_eq!(*sender.ticket.get_or_insert(number), number);
                }
            }
            Step::Store => {
                if let Some(commit) = self.queue.pop_front() {
                    let fails = self.percent(self.weather.failing);
                    if !fails {
                        let log = self.log.entry(commit.tenant).or_default();
                        log.extend(commit.events);
                    }
                    let ms = self.below(5);
                    self.later(ms, Step::Stored(commit.id.0, !fails));
                    if self.percent(self.weather.doubled) {
                        self.later(ms + 1, Step::Stored(commit.id.0, !fails));
                    }
                }
                self.store_busy = false;
            }
            Step::Stored(id, ok) => {
                let id = CommitId(id);
                self.desk.handle(
                    now,
                    if ok {
                        Input::Committed { id }
                    } else {
                        Input::CommitFailed { id }
                    },
                );
            }
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.desk.poll() {
            match output {
                Output::Commit(commit) => self.queue.push_back(commit),
                Output::Answer(answer) => self.heard(answer),
                Output::Ticket(answer) => panic!("nobody asked: {answer:?}"),
                other => panic!("nobody asked for {other:?}"),
            }
        }
        assert!(self.desk.load().commits_in_flight <= self.limits.commits_in_flight_max);
        if !self.store_busy && !self.queue.is_empty() {
            self.store_busy = true;
            let stalls = self.percent(self.weather.stalling);
            let ms = if stalls { 2_000 } else { self.below(20) };
            self.later(ms, Step::Store);
        }
    }

    fn heard(&mut self, answer: Answer) {
        // The same question has the same answer. Only a ticket may be told after it was given up.
        let first = self
            .replies
            .entry(answer.id)
            .or_insert(answer.reply.clone());
        let late = *first == Reply::Failed && matches!(answer.reply, Reply::Ticket { .. });
        assert!(late || *first == answer.reply, "{first:?} {answer:?}");
        if let Reply::Ticket { number } = &answer.reply {
            // Durable before spoken.
            let durable = self.log.values().flatten().any(|stamped| {
                matches!(stamped.event, Event::TicketOpened { number: n, contact: c, .. }
                    if n == *number && c == answer.contact)
            });
            assert!(durable, "spoken before it was on disk");
        }
        if let Some(asked) = self.asked.remove(&answer.id) {
            assert!(self.now_ms <= asked + 1_500, "the caller waited too long");
        }
        self.answered.push(answer);
        let index = self.answered.len() - 1;
        self.travel(|| Step::Answered(index));
    }

    fn run(&mut self) {
        loop {
            let event = self.agenda.peek().map(|Reverse((at, ..))| *at);
            let timer = self.desk.poll_timeout().map(|at| at.as_millis() as u64);
            let load = self.desk.load();
            let quiet = (load.contacts, load.events_waiting, load.commits_in_flight) == (0, 0, 0);
            // Long after everything is said only the housekeeping is left, and tickets that nobody works on.
            let next = match (event, timer) {
                (None, _) if quiet => break,
                (None, None) => break,
                (Some(event), Some(timer)) => event.min(timer),
                (Some(at), None) | (None, Some(at)) => at,
            };
            self.now_ms = self.now_ms.max(next);
            assert!(self.now_ms < 20 * 3_600_000, "never comes to rest");
            if timer.is_some_and(|timer| timer <= next) {
                self.desk.handle_timeout(Duration::from_millis(self.now_ms));
            } else if let Some(Reverse((_, _, step))) = self.agenda.pop() {
                self.take(step);
            }
            self.collect();
        }
    }

    fn check_end(&self) {
        let load = self.desk.load();
        assert_eq!(load.contacts, 0, "all forgotten");
        assert_eq!((load.events_waiting, load.commits_in_flight), (0, 0));
        assert!(self.senders.iter().all(|s| s.unanswered.is_empty()));
        let mut lost = 0;
        let mut facts: BTreeMap<ContactId, Facts> = BTreeMap::new();
        let mut tickets: BTreeMap<(TenantId, TicketId), ContactId> = BTreeMap::new();
        for (tenant, log) in &self.log {
            for stamped in log {
                if let Event::JournalGap { count, .. } = stamped.event {
                    lost += count;
                }
                if let Event::TicketOpened {
                    ticket, contact, ..
                } = stamped.event
                {
                    assert_eq!(tickets.insert((*tenant, ticket), contact), None);
                    assert!(facts.get(&contact).is_none_or(|f| f.ticket.is_none()));
                }
                let Some(contact) = stamped.event.contact() else {
                    continue;
                };
                let of = facts.entry(contact).or_default();
                if !self.weather.narrow {
                    let first = matches!(stamped.event, Event::ContactStarted { .. });
                    assert_eq!(
                        of.started_at.is_none(),
                        first,
                        "the start comes first, once"
                    );
                    let after = of.position.is_ended();
                    let ticket = matches!(stamped.event, Event::TicketOpened { .. });
                    assert!(!after || ticket, "nothing comes after the end");
                    let visit = of.position.visit().is_some();
                    match stamped.event {
                        Event::ContactQueued { .. } => assert!(!visit),
                        Event::ContactAbandoned { .. } | Event::ContactFlowOut { .. } => {
                            assert!(visit);
                        }
                        _ => {}
                    }
                }
                of.apply(stamped);
            }
        }
        assert_eq!(lost, load.events_lost, "every lost event is counted");
        for sender in &self.senders {
            if let Some(number) = sender.ticket {
                let known = facts.get(&sender.contact).and_then(|facts| facts.ticket);
                assert_eq!(known.map(|ticket| ticket.1), Some(number));
            }
        }
        if !self.weather.narrow {
            assert_eq!(lost, 0);
            assert_eq!(facts.len(), self.senders.len());
            for of in facts.values() {
                assert!(of.position.is_ended());
                assert_eq!(of.visits.queued, of.visits.ended());
            }
        }
    }
}

fn weather() -> impl Strategy<Value = Weather> {
    (
        any::<u64>(),
        0_u64..40,
        0_u64..30,
        prop_oneof![Just(0_u64), 0_u64..60],
        prop_oneof![Just(0_u64), 0_u64..20],
        any::<bool>(),
    )
        .prop_map(|(seed, lost, doubled, failing, stalling, narrow)| Weather {
            seed,
            lost,
            doubled,
            failing,
            stalling,
            narrow,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_gets_lost(weather in weather()) {
        let mut world = World::new(weather);
        world.run();
        world.check_end();
    }
}

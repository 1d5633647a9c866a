//! The work on tickets: commands, what is owed, and both at random.

use proptest::prelude::*;

use super::*;
use crate::message::Escalation;
use crate::tickets::{
    Actor, NoteText, Pause, Priority, Refusal, Stage, TicketDeed, TicketEscalation, TicketReply,
    Tier, ticket_changes,
};

const HOUR: u64 = 3_600_000;

impl Story {
    /// Somebody asks something of a ticket, under a new id.
    pub(super) fn asks_of(&mut self, tenant: u32, number: TicketNumber, deed: TicketDeed) -> u64 {
        self.commands += 1;
        self.asks_again(self.commands, tenant, number, deed);
        self.commands
    }

    fn asks_again(&mut self, id: u64, tenant: u32, number: TicketNumber, deed: TicketDeed) {
        self.input(Input::Ticket(TicketCommand {
            id: CommandId(id),
            tenant: TenantId(tenant),
            at: self.now.as_millis() as i64,
            number,
            by: Actor::Agent(AgentId(2)),
            deed,
        }));
    }

    /// The store answers for the tickets' own write that has waited longest.
    pub(super) fn commit_ticket(&mut self, ok: bool) -> Vec<String> {
        let is_own = |commit: &Commit| commit.events.iter().all(|e| e.event.ticket().is_some());
        let place = self
            .commits
            .iter()
            .position(is_own)
            .expect("a ticket's write");
        let commit = self.commits.remove(place).expect("it is there");
        self.commits.push_front(commit);
        self.commit(ok)
    }

    /// A ticket that is on disk, its contact gone.
    fn ticket(&mut self, contact: u64) -> TicketNumber {
        self.commands += 1;
        self.again(self.commands, 1, ContactId(contact), What::OpenTicket);
        self.commit(true);
        self.number()
    }

    fn told(&mut self) -> TicketReply {
        self.told.pop_front().expect("an answer").reply
    }

    fn done(&mut self) -> TicketFacts {
        match self.told() {
            TicketReply::Done(facts) => facts,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, why: Refusal) {
        assert_eq!(self.told(), TicketReply::Refused(why));
    }

    fn quiet(&self) {
        assert_eq!(self.told, []);
    }
}

fn assign(agent: u32) -> TicketDeed {
    TicketDeed::Assign {
        to: Some(AgentId(agent)),
        why: None,
    }
}

#[test]
fn done_is_said_when_it_is_on_disk() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    let id = story.asks_of(1, number, assign(4));
    story.quiet();
    // A repetition while it is on its way is no second one.
    story.asks_again(id, 1, number, assign(4));
    story.quiet();
    story.no_second_commit();
    assert_eq!(story.commit_ticket(true), ["ticket.updated"]);
    assert_eq!(story.done().owner(), Some(AgentId(4)));
    story.quiet();
    // And afterwards the ticket as it stands by then.
    story.asks_of(1, number, TicketDeed::Begin);
    story.commit_ticket(true);
    story.done();
    story.asks_again(id, 1, number, assign(4));
    assert_eq!(story.done().work.stage, Stage::InProgress);
    // What is so already isn't written.
    story.asks_of(1, number, TicketDeed::Begin);
    story.done();
    story.asks_of(1, number, TicketDeed::Look);
    story.done();
    story.no_commit();
}

impl Story {
    fn no_second_commit(&self) {
        assert_eq!(self.commits.len(), 1);
    }
}

#[test]
fn one_after_the_other() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    story.asks_of(1, number, TicketDeed::Resolve);
    story.asks_of(1, number, assign(4));
    story.asks_of(1, number, TicketDeed::Reopen);
    story.asks_of(1, number, assign(5));
    story.no_second_commit();
    assert_eq!(story.commit_ticket(true), ["ticket.resolved"]);
    story.done();
    // Decided when it was resolved.
    story.refused(Refusal::NotOpen);
    assert_eq!(story.commit_ticket(true), ["ticket.reopened"]);
    story.done();
    assert_eq!(story.commit_ticket(true), ["ticket.updated"]);
    assert_eq!(story.done().owner(), Some(AgentId(5)));
    story.no_commit();
}

#[test]
fn what_the_store_doesnt_take_isnt_done() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    let id = story.asks_of(1, number, TicketDeed::Resolve);
    story.asks_of(1, number, assign(4));
    story.commit_ticket(false);
    story.refused(Refusal::NotWritten);
    // What waited behind is done.
    story.commit_ticket(true);
    assert!(story.done().work.stage.is_open());
    story.asks_again(id, 1, number, TicketDeed::Resolve);
    story.refused(Refusal::NotWritten);
    story.no_commit();
}

#[test]
fn too_late_is_said_and_what_comes_of_it_too() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    let first = story.asks_of(1, number, TicketDeed::Resolve);
    story.asks_of(1, number, TicketDeed::Close);
    story.wait(1_499);
    story.quiet();
    story.wait(1);
    story.refused(Refusal::NotDurable);
    // The second wasn't begun, and won't be.
    story.refused(Refusal::NotWritten);
    story.asks_again(first, 1, number, TicketDeed::Resolve);
    story.refused(Refusal::NotDurable);
    story.commit_ticket(true);
    assert!(matches!(story.done().work.stage, Stage::Resolved(_)));
    story.asks_again(first, 1, number, TicketDeed::Resolve);
    story.done();
    story.no_commit();
}

#[test]
fn nobody_learns_of_what_isnt_theirs() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    let never_opened = TicketNumber::mint(&[1; 32], TicketId(2)).expect("a number");
    for (tenant, number) in [(2, number), (1, never_opened), (3, number)] {
        story.asks_of(tenant, number, TicketDeed::Look);
        story.refused(Refusal::NotFound);
        story.asks_of(tenant, number, TicketDeed::Resolve);
        story.refused(Refusal::NotFound);
    }
    let into = never_opened;
    story.asks_of(1, number, TicketDeed::Merge { into });
    story.refused(Refusal::NotFound);
    story.no_commit();
}

#[test]
fn there_is_room_for_so_much() {
    let mut story = Story::new(Limits {
        commits_in_flight_max: 1,
        ..Limits::default()
    });
    let (one, other) = (story.ticket(7), story.ticket(8));
    story.asks_of(1, one, TicketDeed::Resolve);
    story.asks_of(1, other, TicketDeed::Resolve);
    story.refused(Refusal::Busy);
    for _ in 0..16 {
        story.asks_of(1, one, assign(4));
    }
    story.quiet();
    story.asks_of(1, one, assign(4));
    story.refused(Refusal::Busy);
    assert_eq!(story.desk.load().deeds_refused, 2);
    story.commit_ticket(true);
    story.done();
    for _ in 0..16 {
        story.refused(Refusal::NotOpen);
    }
}

#[test]
fn both_numbers_lead_to_the_one_that_is_left() {
    let bell = "+15035550190";
    let mut story = Story::new(Limits::default());
    let mut open = |contact| {
        story.commands += 1;
        let ani = Some(phone(bell));
        let number = None;
        story.again(
            story.commands,
            1,
            ContactId(contact),
            What::FindTicket { number, ani },
        );
        story.expect(Reply::TicketNotFound);
        story.ticket(contact)
    };
    let (first, second, third) = (open(7), open(8), open(9));
    for (from, into) in [(first, second), (second, third)] {
        story.asks_of(1, from, TicketDeed::Merge { into });
        story.no_second_commit();
        assert_eq!(story.commit_ticket(true), ["ticket.merged"]);
        assert_eq!(story.done().number, into);
        // Again: it is so already.
        story.asks_of(1, from, TicketDeed::Merge { into });
        story.done();
    }
    story.asks_of(1, third, TicketDeed::Merge { into: first });
    story.refused(Refusal::Itself);
    story.asks_of(1, first, assign(4));
    story.commit_ticket(true);
    assert_eq!(story.done().number, third);
    // The caller keys in what they were told, hears that number, and how the other stands.
    let ask = |story: &mut Story, what| {
        story.commands += 1;
        story.again(story.commands, 1, ContactId(20), what);
    };
    let (number, ani) = (Some(first), Some(phone(bell)));
    ask(&mut story, What::FindTicket { number, ani });
    let Some(Reply::TicketFound(found)) = story.answers.pop_front().map(|a| a.reply) else {
        panic!("not found");
    };
    assert_eq!((found.number, found.owner), (first, Some(AgentId(4))));
    ask(&mut story, What::AttachTicket);
    story.commit(true);
    assert_eq!(story.number(), first);
    assert_eq!(
        story
            .desk
            .facts(ContactId(20))
            .and_then(|facts| facts.ticket),
        Some((TicketId(3), first))
    );
    story.asks_of(1, second, TicketDeed::Look);
    assert_eq!(
        story.done().work.again.map(|(who, _)| who),
        Some(ContactId(20))
    );
}

#[test]
fn two_that_are_merged_into_each_other_at_once() {
    let mut story = Story::new(Limits::default());
    let (one, other) = (story.ticket(7), story.ticket(8));
    story.asks_of(1, one, TicketDeed::Merge { into: other });
    story.asks_of(1, other, TicketDeed::Merge { into: one });
    story.no_second_commit();
    story.commit_ticket(true);
    assert_eq!(story.done().number, other);
    story.refused(Refusal::Itself);
    story.no_commit();
}

#[test]
fn its_time_comes_and_a_failing_store_is_asked_again() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    story.wait(7 * HOUR - 1);
    story.no_commit();
    story.wait(1);
    assert_eq!(story.commit_ticket(false), ["ticket.escalated"]);
    story.wait(499);
    story.no_commit();
    story.wait(1);
    assert_eq!(story.commit_ticket(true), ["ticket.escalated"]);
    story.wait(HOUR / 2);
    story.no_commit();
    // Whoever comes when the time is over gets behind what that means.
    story.wait(HOUR / 2);
    story.asks_of(1, number, TicketDeed::Promise { next_update: None });
    story.quiet();
    assert_eq!(story.commit_ticket(true), ["ticket.escalated"]);
    assert_eq!(story.commit_ticket(true), ["ticket.updated"]);
    let facts = story.done();
    assert_eq!((facts.work.tier, facts.work.misses), (Tier(3), 0));
    let escalated = facts.work.escalated.map(|(why, _)| why);
    assert_eq!(escalated, Some(TicketEscalation::UpdateMissed));
}

#[test]
fn who_comes_again_within_a_week_opens_it_again() {
    let bell = || Some(phone("+15035550190"));
    let mut story = Story::new(Limits::default());
    let find = |story: &mut Story, contact, number| {
        story.commands += 1;
        let ani = bell();
        story.again(
            story.commands,
            1,
            ContactId(contact),
            What::FindTicket { number, ani },
        );
    };
    find(&mut story, 7, None);
    story.expect(Reply::TicketNotFound);
    let number = story.ticket(7);
    story.asks_of(1, number, TicketDeed::Resolve);
    story.commit_ticket(true);
    story.done();
    story.wait(1_000);
    find(&mut story, 8, Some(number));
    story.answers.pop_front();
    story.commands += 1;
    story.again(story.commands, 1, ContactId(8), What::AttachTicket);
    while !story.commits.is_empty() {
        story.commit(true);
    }
    assert_eq!(story.number(), number);
    story.wait(0);
    assert_eq!(story.commit_ticket(true), ["ticket.reopened"]);
    story.asks_of(1, number, TicketDeed::Look);
    let facts = story.done();
    assert_eq!((facts.work.stage, facts.work.repeats), (Stage::Open, 2));
}

#[test]
fn a_note_stands_in_no_event() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    let text = NoteText::new("Mrs Bell can't sign in".into()).expect("a note");
    let id = story.asks_of(1, number, TicketDeed::Note(text.clone()));
    let commit = &story.commits[0];
    assert_eq!(commit.notes.len(), 1);
    assert_eq!((commit.notes[0].note.0, &commit.notes[0].text), (id, &text));
    assert_eq!(commit.notes[0].ticket, TicketId(1));
    let mut json = Vec::new();
    commit.events[0].event.encode(&mut json);
    assert!(!String::from_utf8_lossy(&json).contains("Bell"));
    assert_eq!(story.commit_ticket(true), ["ticket.noted"]);
    story.done();
}

#[test]
fn the_open_ones_are_kept() {
    let mut story = Story::new(Limits {
        tickets_per_tenant_max: 2,
        ..Limits::default()
    });
    let (first, second) = (story.ticket(7), story.ticket(8));
    story.asks_of(1, second, TicketDeed::Resolve);
    story.commit_ticket(true);
    story.done();
    let third = story.ticket(9);
    story.asks_of(1, second, TicketDeed::Look);
    story.refused(Refusal::NotFound);
    for number in [first, third] {
        story.asks_of(1, number, TicketDeed::Look);
        story.done();
    }
    assert_eq!(story.desk.load().tickets_dropped, 0);
    story.ticket(10);
    assert_eq!(story.desk.load().tickets_dropped, 1);
}

#[test]
fn other_rules_hold_at_once() {
    let mut story = Story::new(Limits::default());
    let number = story.ticket(7);
    story.asks_of(1, number, TicketDeed::Resolve);
    story.commit_ticket(true);
    story.done();
    let rules = TicketRules {
        close_after_ms: 60_000,
        ..TicketRules::default()
    };
    assert!(story.desk.set_ticket_rules(TenantId(1), rules.clone()));
    assert!(!story.desk.set_ticket_rules(TenantId(3), rules));
    story.wait(60_000);
    assert_eq!(story.commit_ticket(true), ["ticket.closed"]);
}

/// After a long time without Careline much is owed at once: not all of it is written at once.
#[test]
fn what_is_owed_to_many_is_written_bit_by_bit() {
    let mut setup = setup(Limits::default());
    let known = |id| {
        let number = TicketNumber::mint(&[1; 32], TicketId(id)).expect("a number");
        KnownTicket {
            ticket: TicketId(id),
            facts: TicketFacts::opened(number, ContactId(id)),
            ani: None,
        }
    };
    setup.tenants[0].tickets = (1..=1_000).map(known).collect();
    setup.tenants[0].next_ticket = TicketId(1_001);
    let mut story = Story::new(Limits::default());
    story.desk = Desk::new(setup);
    assert_eq!(
        story.desk.poll_timeout(),
        None,
        "it doesn't know what time it is"
    );
    story.input(Input::Service(Service {
        tenant: TenantId(1),
        at: 100_000,
        begins: true,
    }));
    story.wait(0);
    assert_eq!(story.commits.len(), 64);
    let mut written = 0;
    while !story.commits.is_empty() {
        assert!(story.commits.len() <= 65);
        // Some fail, and are written a little later.
        let ok = written % 7 != 3;
        for name in story.commit(ok) {
            written += usize::from(name == "ticket.updated");
        }
        if story.commits.is_empty() {
            story.wait(500);
        }
    }
    assert!(written > 1_100, "{written}");
    let open = |id| {
        story
            .desk
            .ticket(TenantId(1), TicketId(id))
            .and_then(TicketFacts::next_update)
    };
    assert!((1..=1_000).all(|id| open(id).is_some()));
}

/// How bad the world is.
#[derive(Debug, Clone)]
struct Weather {
    seed: u64,
    failing: u64,
    doubled: u64,
    slow: u64,
    crash: u64,
}

/// A store that is slow, fails, and answers twice; people who do anything; a
/// Careline that crashes and knows what the store has.
struct Random {
    weather: Weather,
    random: u64,
    story: Story,
    log: Vec<Stamped>,
    tickets: Vec<TicketNumber>,
    /// When the store answers, and what.
    answers: Vec<(Duration, Commit, bool)>,
    /// What was asked: the deed, and what was answered.
    asked: std::collections::BTreeMap<u64, (TicketNumber, TicketDeed, Option<TicketReply>)>,
    rules: TicketRules,
    started: i64,
}

impl Random {
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

    fn new(weather: Weather) -> Self {
        let mut rules = TicketRules {
            close_after_ms: 90_000,
            ..TicketRules::default()
        };
        for target in &mut rules.targets {
            target.update_ms = 20_000;
            target.margin_ms = 5_000;
        }
        for pause in &mut rules.pauses {
            pause.lasts_ms = 30_000;
        }
        rules.pauses[0].stops = false;
        let mut world = Self {
            random: weather.seed | 1,
            weather,
            story: Story::new(Limits::default()),
            log: Vec::new(),
            tickets: Vec::new(),
            answers: Vec::new(),
            asked: std::collections::BTreeMap::new(),
            rules,
            started: 0,
        };
        world.begin();
        world
    }

    /// Careline starts with what the store knows.
    fn begin(&mut self) {
        let mut setup = setup(Limits::default());
        setup.tenants[0].rules = self.rules.clone();
        let known = folded(&self.log);
        let next = known.keys().last().map_or(1, |id| id.0 + 1);
        // Ids that were reserved and never written aren't known; a gap tells them from the next.
        setup.tenants[0].next_ticket = TicketId(next);
        setup.tenants[0].tickets = known
            .iter()
            .map(|(&ticket, &facts)| KnownTicket {
                ticket,
                facts,
                ani: None,
            })
            .collect();
        self.story.desk = Desk::new(setup);
        self.story.commits.clear();
        self.story.told.clear();
        self.story.answers.clear();
        self.answers.clear();
        self.started = self.story.now.as_millis() as i64;
        self.story.input(Input::Service(Service {
            tenant: TenantId(1),
            at: self.started,
            begins: true,
        }));
    }

    fn deed(&mut self) -> TicketDeed {
        let now = self.story.now.as_millis() as i64;
        match self.below(14) {
            0 => assign(1 + self.below(3) as u32),
            1 => TicketDeed::Begin,
            2 => TicketDeed::Prioritise(Priority::ALL[self.below(4) as usize]),
            3 => TicketDeed::Promise {
                next_update: Some(now + self.below(40_000) as i64),
            },
            4 | 5 => TicketDeed::Pend {
                why: Pause::ALL[self.below(4) as usize],
                until: Some(now + self.below(40_000) as i64),
            },
            6 => TicketDeed::Resume,
            7 => TicketDeed::Escalate {
                why: Escalation::NoSkill,
                to: None,
            },
            8 | 9 => TicketDeed::Resolve,
            10 => TicketDeed::Reopen,
            11 => TicketDeed::Close,
            12 => {
                let other = self.below(self.tickets.len() as u64) as usize;
                TicketDeed::Merge {
                    into: self.tickets[other],
                }
            }
            _ => TicketDeed::Look,
        }
    }

    fn step(&mut self) {
        match self.below(10) {
            0 if self.tickets.len() < 12 => {
                self.story.commands += 1;
                let contact = ContactId(1_000 + self.story.commands);
                self.story
                    .again(self.story.commands, 1, contact, What::OpenTicket);
            }
            1..=5 if !self.tickets.is_empty() => {
                let which = self.below(self.tickets.len() as u64) as usize;
                let number = self.tickets[which];
                let deed = self.deed();
                let id = self.story.asks_of(1, number, deed.clone());
                self.asked.insert(id, (number, deed, None));
            }
            6 if !self.asked.is_empty() => {
                // Somebody who hasn't heard asks again.
                let place = self.below(self.asked.len() as u64) as usize;
                let (&id, (number, deed, _)) = self.asked.iter().nth(place).expect("one");
                let (number, deed) = (*number, deed.clone());
                self.story.asks_again(id, 1, number, deed);
            }
            _ => {}
        }
        let ms = match self.below(20) {
            0 => 10_000,
            1..=5 => 2_000,
            _ => 100,
        };
        let until = self.story.now + Duration::from_millis(1 + self.below(ms));
        self.pass(until);
        if self.below(1_000) < self.weather.crash {
            self.crash();
        }
    }

    fn crash(&mut self) {
        let now = self.story.now;
        // What the store was given may be written or not; nobody hears of it.
        for (at, commit, ok) in std::mem::take(&mut self.answers) {
            if ok && at <= now + Duration::from_millis(20) {
                self.log.extend(commit.events);
            }
        }
        // What was answered isn't remembered; what was done is in the log.
        self.asked.clear();
        let away_ms = 1 + self.below(60_000);
        self.story.now += Duration::from_millis(away_ms);
        self.begin();
    }

    /// Time passes, and the store does its work.
    fn pass(&mut self, until: Duration) {
        loop {
            self.collect();
            let store = self.answers.iter().map(|(at, ..)| *at).min();
            let timer = self.story.desk.poll_timeout();
            let next = [store, timer].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.story.now = self.story.now.max(next);
            if timer == Some(next) {
                self.story.desk.handle_timeout(self.story.now);
                self.story.drain();
            } else if let Some(place) = self.answers.iter().position(|(at, ..)| *at == next) {
                let (_, commit, ok) = self.answers.remove(place);
                if ok {
                    self.log.extend(&commit.events);
                }
                let id = commit.id;
                let answer = || match ok {
                    true => Input::Committed { id },
                    false => Input::CommitFailed { id },
                };
                self.story.input(answer());
                if self.percent(self.weather.doubled) {
                    self.story.input(answer());
                }
            }
        }
        self.story.now = until;
    }

    fn collect(&mut self) {
        while let Some(commit) = self.story.commits.pop_front() {
            let ok = !self.percent(self.weather.failing);
            let ms = match self.percent(self.weather.slow) {
                true => self.below(8_000),
                false => self.below(30),
            };
            // One writer: in the order in which it was given them.
            let last = self
                .answers
                .iter()
                .map(|(at, ..)| *at)
                .max()
                .unwrap_or_default();
            let at = last.max(self.story.now + Duration::from_millis(ms));
            self.answers.push((at, commit, ok));
        }
        while let Some(answer) = self.story.answers.pop_front() {
            if let Reply::Ticket { number } = answer.reply
                && !self.tickets.contains(&number)
            {
                self.tickets.push(number);
            }
        }
        while let Some(answer) = self.story.told.pop_front() {
            self.heard(answer);
        }
    }

    fn heard(&mut self, answer: TicketAnswer) {
        let known = folded(&self.log);
        let (number, deed, before) = self.asked.get_mut(&answer.id.0).expect("somebody asked");
        let is_late = *before == Some(TicketReply::Refused(Refusal::NotDurable));
        match (&answer.reply, before.as_ref()) {
            (TicketReply::Done(facts), None | Some(TicketReply::Done(_))) => {
                // Durable before said: it is what the log tells.
                let number = facts.number;
                let found = known.values().find(|known| known.number == number);
                assert_eq!(found.map(|known| known.work), Some(facts.work), "{deed:?}");
            }
            (TicketReply::Done(_), Some(_)) => assert!(is_late, "{number} {deed:?} {answer:?}"),
            (reply, Some(before)) => assert!(is_late || reply == before, "{before:?} {reply:?}"),
            (TicketReply::Refused(Refusal::NotFound), None) => {
                panic!("{number} was told, and isn't there: {deed:?}")
            }
            (TicketReply::Refused(_), None) => {}
        }
        *before = Some(answer.reply);
    }

    fn check(&self) {
        let known = folded(&self.log);
        let settled = self.answers.is_empty();
        for number in &self.tickets {
            assert!(
                known.values().any(|facts| facts.number == *number),
                "a number was told and is lost"
            );
        }
        let mut clocks: std::collections::BTreeMap<TicketId, TicketFacts> = Default::default();
        for stamped in &self.log {
            let (event, at) = (stamped.event, stamped.at);
            if let Event::TicketOpened {
                ticket,
                number,
                contact,
                ..
            } = event
            {
                let mut facts = TicketFacts::opened(number, contact);
                facts.apply(crate::tickets::TicketChange::Own(*stamped));
                clocks.insert(ticket, facts);
            }
            let Some(ticket) = event.ticket() else {
                continue;
            };
            let facts = clocks.get_mut(&ticket).expect("its opening comes first");
            let before = facts.work;
            assert!(
                !matches!(before.stage, Stage::Merged { .. }),
                "after a merge: {event:?}"
            );
            match event {
                Event::TicketUpdated { .. }
                | Event::TicketEscalated { .. }
                | Event::TicketResolved { .. }
                | Event::TicketMerged { .. } => {
                    assert!(before.stage.is_open(), "{event:?}");
                }
                Event::TicketReopened { .. } => assert!(!before.stage.is_open()),
                _ => {}
            }
            if let Event::TicketEscalated { why, unwarned, .. } = event {
                let clock = before.clock.expect("an open ticket has a clock");
                match why {
                    TicketEscalation::UpdateNear => {
                        assert!(at >= clock.warn && at < clock.due && !before.warned)
                    }
                    TicketEscalation::UpdateMissed => {
                        // Escalated before it was broken, or the event says why not.
                        assert!(at >= clock.due);
                        assert_eq!(before.warned, unwarned.is_none());
                    }
                    _ => {}
                }
            } else if let Some(clock) = before.clock.filter(|_| before.stage.is_open()) {
                // Nothing gets round a missed update: but what was decided before the time came.
                let resumed = matches!(
                    event,
                    Event::TicketUpdated {
                        change: Some(crate::tickets::Updated::Resumed),
                        ..
                    }
                );
                assert!(at < clock.due || resumed, "{event:?} after {clock:?}");
            }
            facts.apply(crate::tickets::TicketChange::Own(*stamped));
            assert!(!facts.work.stage.is_open() || facts.work.clock.is_some());
        }
        for (id, facts) in &known {
            let mut at = *id;
            let mut steps = 0;
            while let Stage::Merged { into } = known[&at].work.stage {
                at = into;
                steps += 1;
                assert!(steps <= known.len(), "merged in a circle");
            }
            if settled {
                let here = self.story.desk.ticket(TenantId(1), *id);
                assert_eq!(here, Some(&known[&at]), "memory and log");
            }
            if facts.work.stage.is_open() {
                assert!(facts.next_update().is_some());
            }
        }
    }

    /// Everything is said: after a while nothing is overdue.
    fn settle(&mut self) {
        self.weather.failing = 0;
        self.weather.slow = 0;
        let until = self.story.now + Duration::from_secs(20);
        self.pass(until);
        self.collect();
        let now = self.story.now.as_millis() as i64;
        for facts in folded(&self.log).values() {
            let due = facts.next_update();
            assert!(
                due.is_none_or(|due| due > now - 1_000),
                "{facts:?} at {now}"
            );
        }
        assert!(
            self.asked.values().all(|(_, _, reply)| reply.is_some()),
            "everybody is answered"
        );
    }
}

/// The tickets as the log tells them.
fn folded(log: &[Stamped]) -> std::collections::BTreeMap<TicketId, TicketFacts> {
    let mut tickets = std::collections::BTreeMap::new();
    for stamped in log {
        if let Event::TicketOpened {
            ticket,
            number,
            contact,
            ..
        } = stamped.event
        {
            tickets.insert(ticket, TicketFacts::opened(number, contact));
        }
        for (ticket, change) in ticket_changes(&Facts::default(), stamped) {
            if let Some(facts) = tickets.get_mut(&ticket) {
                facts.apply(change);
            }
        }
    }
    tickets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_done_to_tickets(
        seed: u64,
        failing in prop_oneof![Just(0_u64), 0_u64..60],
        slow in prop_oneof![Just(0_u64), 0_u64..30],
        doubled in 0_u64..30,
        crash in prop_oneof![Just(0_u64), 0_u64..30],
    ) {
        let mut world = Random::new(Weather { seed, failing, doubled, slow, crash });
        for _ in 0..150 {
            world.step();
        }
        world.settle();
        world.check();
    }
}

/// The random world plays everything that can happen to a ticket.
#[test]
fn nothing_is_left_out() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 1..60 {
        let mut world = Random::new(Weather {
            seed: seed * 7_919,
            failing: seed % 4 * 10,
            doubled: 10,
            slow: seed % 3 * 10,
            crash: seed % 5 * 5,
        });
        for _ in 0..150 {
            world.step();
        }
        for stamped in &world.log {
            let what = match stamped.event {
                Event::TicketUpdated {
                    change: Some(change),
                    ..
                } => format!("{change:?}").split(' ').next().map(str::to_owned),
                Event::TicketEscalated { why, unwarned, .. } => {
                    Some(format!("{why:?} {unwarned:?}"))
                }
                event => Some(name(&event)),
            };
            seen.extend(what);
        }
    }
    for what in [
        "Assigned",
        "Begun",
        "Pended",
        "Prioritised",
        "Promised",
        "Resumed",
        "NoSkill None",
        "UpdateNear None",
        "UpdateMissed None",
        "UpdateMissed Some(Down)",
        "UpdateMissed Some(Late)",
        "ticket.resolved",
        "ticket.reopened",
        "ticket.closed",
        "ticket.merged",
    ] {
        assert!(seen.contains(what), "{what} never happens: {seen:?}");
    }
}

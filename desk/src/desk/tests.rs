//! Stories of the desk, one step at a time; `world` plays it at random.

mod found;
mod incidents;
mod promises;
mod verify;
mod work;
mod world;

use super::*;
use crate::directory::{NumberRule, PersonRecord};
use crate::event::{Event, Found};
use crate::message::{Caller, Emergency, EmergencyEnd, PersonId, PhoneNumber, QueueId, Role, What};
use crate::people::Traits;
use crate::verification::Evidence;

const CONTACT: ContactId = ContactId(7);

fn person(id: u32, role: Role, name: &str, number: &str) -> PersonRecord {
    PersonRecord {
        id: PersonId(id),
        role,
        spoken_name: name.into(),
        display_name: name.into(),
        numbers: vec![phone(number)],
    }
}

fn phone(number: &str) -> PhoneNumber {
    PhoneNumber(number.into())
}

/// Two hospitals in which one number belongs to different people.
fn setup(limits: Limits) -> Setup {
    let tenant = |id: u32, people| TenantSetup {
        id: TenantId(id),
        ticket_key: [id as u8; 32],
        directory: Directory::new(NumberRule::default(), people, vec![]).unwrap(),
        next_ticket: TicketId(1),
        tickets: Vec::new(),
        rules: TicketRules::default(),
        promises: PromiseSetup::default(),
        incidents: IncidentSetup::default(),
        verification: VerificationRules {
            staff: vec![Evidence::StaffPin, Evidence::BirthDate],
            patients: vec![Evidence::BirthDate, Evidence::Mrn],
        },
    };
    Setup {
        tenants: vec![
            tenant(
                1,
                vec![person(1, Role::Clinician, "Doctor Okafor", "+15035550101")],
            ),
            tenant(
                2,
                vec![person(1, Role::Patient, "Doctor Okafor", "+15035550101")],
            ),
        ],
        limits,
    }
}

/// A desk, its clock, and what it wanted so far.
struct Story {
    desk: Desk,
    now: Duration,
    commands: u64,
    commits: VecDeque<Commit>,
    answers: VecDeque<Answer>,
    told: VecDeque<TicketAnswer>,
    /// What else it wanted.
    others: VecDeque<Output>,
}

impl Story {
    fn new(limits: Limits) -> Self {
        Self {
            desk: Desk::new(setup(limits)),
            now: Duration::from_secs(100),
            commands: 0,
            commits: VecDeque::new(),
            answers: VecDeque::new(),
            told: VecDeque::new(),
            others: VecDeque::new(),
        }
    }

    fn input(&mut self, input: Input) {
        self.desk.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.desk.poll() {
            match output {
                Output::Commit(commit) => self.commits.push_back(commit),
                Output::Answer(answer) => self.answers.push_back(answer),
                Output::Ticket(answer) => self.told.push_back(answer),
                other => self.others.push_back(other),
            }
        }
    }

    fn again(&mut self, id: u64, tenant: u32, contact: ContactId, what: What) {
        self.input(Input::Command(Command {
            id: CommandId(id),
            tenant: TenantId(tenant),
            contact,
            at: self.now.as_millis() as i64,
            what,
        }));
    }

    /// Sends a command to tenant 1 under a new id.
    fn send(&mut self, what: What) -> u64 {
        self.commands += 1;
        self.again(self.commands, 1, CONTACT, what);
        self.commands
    }

    fn journey(&mut self, journey: Journey) {
        self.send(What::Journey(journey));
        self.expect(Reply::Noted);
    }

    fn start(&mut self) {
        self.send(What::Start {
            dnis: phone("+15035550000"),
            ani: Some(phone("+15035550101")),
            flow: None,
        });
        self.expect(Reply::Started);
    }

    /// The next answer.
    fn expect(&mut self, reply: Reply) {
        assert_eq!(self.answers.pop_front().map(|a| a.reply), Some(reply));
    }

    fn number(&mut self) -> TicketNumber {
        match self.answers.pop_front().map(|a| a.reply) {
            Some(Reply::Ticket { number }) => number,
            other => panic!("{other:?}"),
        }
    }

    fn silence(&self) {
        assert_eq!(self.answers, []);
    }

    /// Lets time pass, waking the desk when it wants.
    fn wait(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(at) = self.desk.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.desk.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// The next commit's event names, answered.
    fn commit(&mut self, ok: bool) -> Vec<String> {
        let commit = self.commits.pop_front().expect("a commit");
        let id = commit.id;
        self.input(if ok {
            Input::Committed { id }
        } else {
            Input::CommitFailed { id }
        });
        commit.events.iter().map(|e| name(&e.event)).collect()
    }

    fn no_commit(&self) {
        assert_eq!(self.commits, []);
    }
}

fn name(event: &Event) -> String {
    let mut json = Vec::new();
    event.encode(&mut json);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    json["type"].as_str().unwrap().to_owned()
}

/// A call to an emergency service is written once, and is no contact.
#[test]
fn emergency_calls_are_written_and_are_nobodys_journey() {
    let mut story = Story::new(Limits::default());
    let begun = Emergency::Begun {
        number: 911,
        agent: None,
    };
    for step in [begun, Emergency::Unplaced, Emergency::Connected] {
        let id = story.send(What::Emergency(step));
        story.expect(Reply::Noted);
        story.again(id, 1, CONTACT, What::Emergency(step));
        story.expect(Reply::Noted);
    }
    let by = EmergencyEnd::Caller;
    story.send(What::Emergency(Emergency::Ended { by }));
    story.expect(Reply::Noted);
    story.wait(1_000);
    let names = [
        "emergency.begun",
        "emergency.unplaced",
        "emergency.connected",
        "emergency.ended",
    ];
    assert_eq!(story.commit(true), names);
    story.no_commit();
    assert_eq!(story.desk.load().contacts, 0);
}

#[test]
fn a_ticket_is_told_when_it_is_on_disk() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.send(What::OpenTicket);
    // At once, and what waited goes along.
    assert_eq!(story.commits.len(), 1);
    assert_eq!(story.commits[0].personal.len(), 1);
    story.silence();
    assert_eq!(story.commit(true), ["contact.started", "ticket.opened"]);
    let number = story.number();
    // Once more, as a repetition and as a new wish.
    story.again(2, 1, CONTACT, What::OpenTicket);
    assert_eq!(story.number(), number);
    story.send(What::OpenTicket);
    assert_eq!(story.number(), number);
    story.wait(60_000);
    story.no_commit();
}

#[test]
fn journey_events_are_written_together() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.send(What::Identify {
        ani: Some(phone("5035550101")),
    });
    story.expect(Reply::Caller(Caller::Person {
        person: PersonId(1),
        role: Role::Clinician,
        spoken_name: Some("Doctor Okafor".into()),
        display_name: Some("Doctor Okafor".into()),
        traits: Traits::default(),
    }));
    story.journey(Journey::Queued { queue: QueueId(1) });
    story.no_commit();
    story.wait(100);
    assert_eq!(
        story.commit(true),
        ["contact.started", "contact.identified", "contact.queued"]
    );
    story.journey(Journey::Ended {
        cause: EndCause::CallerHungUp,
    });
    // The end doesn't wait for company.
    assert_eq!(story.commit(true), ["contact.abandoned", "contact.ended"]);
}

#[test]
fn too_late_is_a_failure_and_the_ticket_exists_all_the_same() {
    let mut story = Story::new(Limits::default());
    story.start();
    let first = story.send(What::OpenTicket);
    story.wait(1_499);
    story.silence();
    story.wait(1);
    story.expect(Reply::Failed);
    // Asked anew while the store still hangs: waits for the same ticket.
    let second = story.send(What::OpenTicket);
    story.silence();
    story.commit(true);
    let number = story.number();
    // Who had given up hears of it too.
    assert_eq!(story.number(), number);
    story.again(second, 1, CONTACT, What::OpenTicket);
    assert_eq!(story.number(), number);
    // What was answered stays answered.
    story.again(first, 1, CONTACT, What::OpenTicket);
    story.expect(Reply::Failed);
    story.no_commit();
}

#[test]
fn a_failed_ticket_is_told_at_once_and_its_id_is_burnt() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.send(What::OpenTicket);
    let Event::TicketOpened { ticket, .. } = story.commits[0].events[1].event else {
        panic!();
    };
    assert_eq!(ticket, TicketId(1));
    story.commit(false);
    story.expect(Reply::Failed);
    story.send(What::OpenTicket);
    let Event::TicketOpened { ticket, .. } = story.commits[0].events[1].event else {
        panic!();
    };
    assert_eq!(ticket, TicketId(2));
    // The events of the failed commit came along, in front, with the personal row.
    assert_eq!(story.commits[0].personal.len(), 1);
    assert_eq!(story.commit(true), ["contact.started", "ticket.opened"]);
    story.number();
    story.wait(10_000);
    story.no_commit();
}

#[test]
fn a_ticket_behind_a_write_in_flight_keeps_the_order() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.wait(100);
    story.send(What::OpenTicket);
    assert_eq!(story.commits.len(), 1);
    // It fails: the ticket isn't to blame, and goes at once.
    assert_eq!(story.commit(false), ["contact.started"]);
    story.silence();
    assert_eq!(story.commit(true), ["contact.started", "ticket.opened"]);
    story.number();
}

#[test]
fn without_room_a_ticket_fails_at_once_and_reports_wait() {
    let mut story = Story::new(Limits {
        commits_in_flight_max: 1,
        ..Limits::default()
    });
    story.start();
    story.wait(100);
    assert_eq!(story.commits.len(), 1);
    let other = ContactId(8);
    story.again(100, 1, other, What::OpenTicket);
    story.expect(Reply::Failed);
    story.again(
        101,
        1,
        other,
        What::Journey(Journey::Queued { queue: QueueId(1) }),
    );
    story.expect(Reply::Noted);
    story.wait(1_000);
    assert_eq!(story.commits.len(), 1);
    assert_eq!(story.commit(true), ["contact.started"]);
    story.wait(100);
    assert_eq!(story.commit(true), ["contact.started", "contact.queued"]);
}

#[test]
fn what_waits_too_long_becomes_a_counted_gap() {
    let mut story = Story::new(Limits {
        commits_in_flight_max: 1,
        events_waiting_per_tenant_max: 3,
        ..Limits::default()
    });
    story.start();
    story.wait(100);
    for contact in 10..16 {
        story.again(contact, 1, ContactId(contact), What::SetRole(Role::Patient));
        story.expect(Reply::Noted);
    }
    assert!(story.desk.load().events_lost > 0);
    let (mut written, mut lost) = (0, 0);
    while !story.commits.is_empty() {
        for stamped in &story.commits[0].events {
            match stamped.event {
                Event::JournalGap { count, .. } => lost += count,
                _ => written += 1,
            }
        }
        story.commit(true);
        story.wait(1_000);
    }
    assert_eq!(lost, story.desk.load().events_lost);
    assert_eq!(written + lost, 13);
}

#[test]
fn a_published_flow_stands_in_its_hospitals_log() {
    let mut story = Story::new(Limits::default());
    let flow = FlowName::new("staff").unwrap();
    for (tenant, version, again) in [(1, 2, None), (1, 3, Some(1)), (7, 2, None)] {
        story.input(Input::Published(FlowPublished {
            tenant: TenantId(tenant),
            at: 5,
            flow,
            version,
            again,
        }));
    }
    story.wait(200);
    // The other hospital isn't known.
    assert_eq!(story.commits.len(), 1);
    let commit = &story.commits[0];
    assert_eq!(commit.tenant, TenantId(1));
    let published = Event::FlowPublished { flow, version: 2 };
    let (version, to) = (3, 1);
    let rolled_back = Event::FlowRolledBack { flow, version, to };
    let stamped = |event| Stamped { at: 5, event };
    assert_eq!(commit.events[..], [published, rolled_back].map(stamped));
    story.commit(true);
}

#[test]
fn a_desk_closed_on_the_spot_stands_in_its_hospitals_log() {
    let mut story = Story::new(Limits::default());
    let hours = FlowName::new("desk");
    for to in [Some((false, 900)), Some((true, 800)), None] {
        story.input(Input::Hours(HoursChanged {
            tenant: TenantId(1),
            at: 5,
            hours,
            to,
        }));
    }
    story.wait(200);
    let expected = [
        Event::HoursClosed { hours, until: 900 },
        Event::HoursOpened { hours, until: 800 },
        Event::HoursReopened { hours },
    ];
    let stamped = |event| Stamped { at: 5, event };
    assert_eq!(story.commits[0].events[..], expected.map(stamped));
    story.commit(true);
}

#[test]
fn a_contact_begins_with_the_flow_that_answers() {
    let mut story = Story::new(Limits::default());
    let flow = FlowName::new("staff");
    story.send(What::Start {
        dnis: phone("+15035550000"),
        ani: None,
        flow: flow.map(|name| (name, 4)),
    });
    story.expect(Reply::Started);
    story.wait(200);
    let started = Event::ContactStarted {
        contact: ContactId(7),
        flow,
        version: Some(4),
    };
    assert_eq!(story.commits[0].events[0].event, started);
    story.commit(true);
}

#[test]
fn how_long_the_store_is_silent_is_known() {
    let mut story = Story::new(Limits::default());
    assert_eq!(story.desk.load().oldest_commit, None);
    let began = story.now;
    story.start();
    story.wait(3_000);
    let since = story.desk.load().oldest_commit.unwrap();
    let handed_over = began + Duration::from_millis(100);
    assert_eq!(since, handed_over, "when it had lingered");
    story.commit(true);
    assert_eq!(story.desk.load().oldest_commit, None);
}

#[test]
fn failing_writes_are_tried_again_and_at_last_counted() {
    let mut story = Story::new(Limits::default());
    story.start();
    let mut failures = 0;
    loop {
        story.wait(500);
        if matches!(story.commits[0].events[0].event, Event::JournalGap { .. }) {
            break;
        }
        assert_eq!(story.commit(false), ["contact.started"]);
        failures += 1;
    }
    assert_eq!(failures, 9);
    // The gap itself is never given up.
    for _ in 0..30 {
        assert_eq!(story.commit(false), ["journal.gap"]);
        story.wait(500);
    }
    let event = story.commits[0].events[0].event;
    assert!(matches!(event, Event::JournalGap { count: 1, .. }));
    story.commit(true);
    story.wait(10_000);
    story.no_commit();
}

#[test]
fn repeated_and_doubled_messages_change_nothing() {
    let mut story = Story::new(Limits::default());
    story.start();
    let queued = What::Journey(Journey::Queued { queue: QueueId(1) });
    let id = story.send(queued.clone());
    for _ in 0..5 {
        story.again(id, 1, CONTACT, queued.clone());
    }
    // Another command that says the same.
    story.send(queued);
    for _ in 0..7 {
        story.expect(Reply::Noted);
    }
    story.wait(100);
    let commit = story.commits[0].id;
    assert_eq!(story.commit(true), ["contact.started", "contact.queued"]);
    story.input(Input::Committed { id: commit });
    story.input(Input::CommitFailed { id: commit });
    story.wait(5_000);
    story.no_commit();
}

#[test]
fn an_overtaken_report_is_not_told() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.again(
        20,
        1,
        CONTACT,
        What::Journey(Journey::Connected { agent: AgentId(3) }),
    );
    story.again(
        19,
        1,
        CONTACT,
        What::Journey(Journey::Queued { queue: QueueId(1) }),
    );
    story.wait(100);
    assert_eq!(story.commit(true), ["contact.started", "contact.connected"]);
    assert_eq!(story.desk.load().reports_overtaken, 1);
}

#[test]
fn after_the_end_nothing_is_written() {
    let mut story = Story::new(Limits::default());
    story.start();
    let end = Journey::Ended {
        cause: EndCause::FlowEnded,
    };
    let id = story.send(What::Journey(end.clone()));
    story.expect(Reply::Noted);
    story.commit(true);
    for pause in [0, 40_000] {
        story.wait(pause);
        story.again(id, 1, CONTACT, What::Journey(end.clone()));
        story.expect(Reply::Noted);
        story.journey(Journey::Queued { queue: QueueId(1) });
        story.start();
        story.send(What::OpenTicket);
        story.expect(Reply::Failed);
    }
    assert_eq!(story.desk.load().contacts, 0);
    story.no_commit();
}

#[test]
fn a_lost_start_is_made_up_for() {
    let mut story = Story::new(Limits::default());
    story.journey(Journey::Queued { queue: QueueId(1) });
    story.wait(100);
    assert_eq!(story.commit(true), ["contact.started", "contact.queued"]);
    // It comes late, with the numbers.
    story.start();
    story.wait(100);
    assert_eq!(story.commits[0].personal.len(), 1);
    assert_eq!(story.commit(true), [""; 0]);
}

#[test]
fn offers_are_logged_once_and_give_the_place_back() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.journey(Journey::Queued { queue: QueueId(1) });
    story.journey(Journey::Offered { agent: AgentId(3) });
    let notice = |what| {
        Input::Notice(Notice {
            tenant: TenantId(1),
            at: 200_000,
            what,
        })
    };
    let created = Noticed::OfferCreated {
        offer: OfferId(5),
        contact: CONTACT,
        agent: AgentId(3),
    };
    let ended = Noticed::OfferEnded {
        offer: OfferId(5),
        contact: CONTACT,
        agent: AgentId(3),
        outcome: OfferOutcome::TimedOut,
    };
    for what in [created, ended, created, ended] {
        story.input(notice(what));
    }
    let facts = story.desk.facts(CONTACT).unwrap();
    assert_eq!(facts.position.visit(), Some((QueueId(1), 100_000)));
    story.wait(100);
    let written = story.commit(true);
    assert_eq!(written[3..], ["offer.created", "offer.timed_out"]);
    for state in [AgentState::Resting, AgentState::Resting] {
        let agent = AgentId(3);
        story.input(notice(Noticed::AgentState { agent, state }));
    }
    story.wait(100);
    assert_eq!(story.commit(true), ["agent.state_changed"]);
    // After-call work belongs to the contact, though that is over.
    let cause = EndCause::AgentHungUp;
    story.journey(Journey::Ended { cause });
    let written = story.commit(true);
    assert_eq!(written.last().map(String::as_str), Some("contact.ended"));
    let (contact, agent, ms) = (CONTACT, AgentId(3), 9_000);
    story.input(notice(Noticed::WrappedUp { contact, agent, ms }));
    let asks = ContactId(ContactId::JOURNEYS_END);
    story.input(notice(Noticed::WrappedUp {
        contact: asks,
        agent,
        ms,
    }));
    story.wait(100);
    assert_eq!(story.commit(true), ["contact.wrapped_up"]);
    for begins in [true, false] {
        let (tenant, at) = (TenantId(1), 300_000);
        story.input(Input::Service(Service { tenant, at, begins }));
    }
    story.wait(100);
    assert_eq!(story.commit(true), ["service.started", "service.stopped"]);
}

#[test]
fn one_tenant_knows_nothing_of_another() {
    let mut story = Story::new(Limits::default());
    let ani = Some(phone("+15035550101"));
    story.start();
    // The other hospital names the same contact: no answer tells it exists.
    story.again(90, 2, CONTACT, What::OpenTicket);
    story.expect(Reply::Failed);
    story.again(91, 2, CONTACT, What::Journey(Journey::Abandoned));
    story.expect(Reply::Failed);
    story.again(92, 3, ContactId(1), What::OpenTicket);
    story.expect(Reply::Failed);
    // The same number is another person there.
    story.again(93, 2, ContactId(9), What::Identify { ani });
    story.expect(Reply::Caller(Caller::PossiblePatient {
        person: PersonId(1),
        traits: Traits::default(),
    }));
    // The same ticket id is another number.
    story.send(What::OpenTicket);
    story.again(94, 2, ContactId(9), What::OpenTicket);
    assert_eq!(story.commit(true).len(), 2);
    assert_eq!(story.commit(true).len(), 3);
    let (one, other) = (story.number(), story.number());
    assert_ne!(one, other);
    assert_eq!(one.ticket(&[1; 32]), other.ticket(&[2; 32]));
}

#[test]
fn one_tenant_leaves_the_others_their_share() {
    let mut story = Story::new(Limits {
        commits_in_flight_per_tenant_max: 4,
        ..Limits::default()
    });
    for contact in 100..110 {
        story.again(contact, 1, ContactId(contact), What::OpenTicket);
    }
    assert_eq!(story.commits.len(), 4);
    story.again(200, 2, ContactId(200), What::OpenTicket);
    assert_eq!(story.commits.len(), 5);
}

#[test]
fn contacts_have_a_bound() {
    let mut story = Story::new(Limits {
        contacts_max: 1,
        ..Limits::default()
    });
    story.start();
    let ani = Some(phone("+15035550101"));
    let dnis = phone("1");
    let other = ContactId(8);
    story.again(
        50,
        1,
        other,
        What::Start {
            dnis,
            ani: None,
            flow: None,
        },
    );
    story.expect(Reply::Failed);
    story.again(51, 1, other, What::OpenTicket);
    story.expect(Reply::Failed);
    story.again(52, 1, other, What::Identify { ani });
    assert!(matches!(
        story.answers.pop_front().unwrap().reply,
        Reply::Caller(Caller::Person { .. })
    ));
    assert_eq!(story.desk.load().contacts, 1);
}

#[test]
fn a_contact_nobody_speaks_of_ends() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.journey(Journey::Queued { queue: QueueId(1) });
    story.wait(100);
    story.commit(true);
    story.wait(11 * 3_600_000);
    story.no_commit();
    story.wait(3 * 3_600_000);
    let at = story.commits[0].events[0].at;
    assert!(at > 12 * 3_600_000, "{at}");
    assert_eq!(story.commit(true), ["contact.ended"]);
    story.wait(3_600_000);
    assert_eq!(story.desk.load().contacts, 0);
    assert_eq!(story.desk.poll_timeout(), None);
}

#[test]
fn the_hundred_million_first_ticket_fails() {
    let mut setup = setup(Limits::default());
    setup.tenants[0].next_ticket = TicketId(TicketNumber::ID_MAX + 1);
    let mut story = Story::new(Limits::default());
    story.desk = Desk::new(setup);
    story.start();
    story.send(What::OpenTicket);
    story.expect(Reply::Failed);
}

#[test]
fn an_unproven_identity_gives_a_role_and_a_said_one_wins() {
    let mut story = Story::new(Limits::default());
    story.start();
    story.send(What::Identify {
        ani: Some(phone("5035550101")),
    });
    assert_eq!(
        story.desk.facts(CONTACT).unwrap().role,
        Some(Role::Clinician)
    );
    story.send(What::SetRole(Role::Patient));
    let facts = story.desk.facts(CONTACT).unwrap();
    assert_eq!(facts.role, Some(Role::Patient));
    assert!(matches!(facts.found, Some(Found::Person { .. })));
}

//! The service desk's figures: told by hand, and against a second computation
//! that shares nothing with the first.

mod naive;
mod random;

use std::collections::BTreeMap;

use desk::figures::{
    Arrivals, Figures, Missing, PROVISIONAL_MS, Partnership, Quarter, Service, Settings, Targets,
    TicketCounts, Waiting, Work,
};
use desk::{
    AgentId, AgentState, ContactId, EndCause, Escalation, Event, Found, OfferId, PartnerId,
    PersonId, QueueId, Role, Stamped, TakenBack, TicketId, TicketNumber, TicketStatus,
};

const MINUTE: i64 = 60_000;
const S: i64 = 1_000;
/// A Monday, at ten.
const TEN: i64 = 1_795_428_000_000;
const CLINICAL: QueueId = QueueId(1);
const SERVICE: QueueId = QueueId(2);
const ANA: AgentId = AgentId(1);
const BEN: AgentId = AgentId(2);
const NIGHTLINE: PartnerId = PartnerId(4);

/// A log that is written by hand.
#[derive(Default)]
struct Log(Vec<Stamped>);

impl Log {
    fn at(&mut self, at: i64, event: Event) -> &mut Self {
        self.0.push(Stamped { at, event });
        self
    }

    fn started(&mut self, at: i64, contact: u64) -> &mut Self {
        let contact = ContactId(contact);
        self.at(
            at,
            Event::ContactStarted {
                contact,
                flow: None,
                version: None,
            },
        )
    }

    fn queued(&mut self, at: i64, contact: u64, queue: QueueId) -> &mut Self {
        let contact = ContactId(contact);
        self.at(at, Event::ContactQueued { contact, queue })
    }

    fn connected(&mut self, at: i64, contact: u64, agent: AgentId) -> &mut Self {
        let contact = ContactId(contact);
        self.at(at, Event::ContactConnected { contact, agent })
    }

    fn abandoned(&mut self, at: i64, contact: u64) -> &mut Self {
        let contact = ContactId(contact);
        self.at(at, Event::ContactAbandoned { contact });
        let cause = EndCause::CallerHungUp;
        self.at(at, Event::ContactEnded { contact, cause })
    }

    fn flow_out(&mut self, at: i64, contact: u64) -> &mut Self {
        let contact = ContactId(contact);
        self.at(at, Event::ContactFlowOut { contact })
    }

    fn ended(&mut self, at: i64, contact: u64, cause: EndCause) -> &mut Self {
        let contact = ContactId(contact);
        self.at(at, Event::ContactEnded { contact, cause })
    }

    fn state(&mut self, at: i64, agent: AgentId, state: AgentState) -> &mut Self {
        self.at(at, Event::AgentStateChanged { agent, state })
    }

    fn gap(&mut self, at: i64, from: i64, to: i64) -> &mut Self {
        self.at(at, Event::JournalGap { count: 3, from, to })
    }

    /// The fold; and the second computation says the same.
    fn figures(&self) -> Figures {
        let figures = fold(&self.0);
        assert_eq!(naive::folded(&figures), naive(&self.0));
        figures
    }
}

fn settings() -> Settings {
    let service = Targets {
        target_ms: 60_000,
        short_ms: 10_000,
    };
    let queues = BTreeMap::from([(SERVICE, service)]);
    Settings { queues }
}

fn fold(log: &[Stamped]) -> Figures {
    let mut figures = Figures::new(settings(), 0);
    for (seq, stamped) in (1..).zip(log) {
        assert_eq!(figures.apply(seq, stamped), Ok(true));
    }
    figures
}

fn naive(log: &[Stamped]) -> naive::Lines {
    let naive = naive::Naive {
        log,
        target_ms: |queue| if queue == 2 { 60_000 } else { 20_000 },
        short_ms: |queue| if queue == 2 { 10_000 } else { 5_000 },
    };
    naive.lines()
}

fn all() -> std::ops::Range<Quarter> {
    Quarter(0)..Quarter::MAX
}

fn quarter(at: i64) -> std::ops::Range<Quarter> {
    let quarter = Quarter::of(at);
    quarter..Quarter(quarter.0 + 1)
}

fn service(figures: &Figures, range: std::ops::Range<Quarter>) -> Service {
    let mut sum = Service::default();
    for (_, cell) in figures.service(range) {
        sum += cell;
    }
    sum
}

fn of_queue(figures: &Figures, queue: QueueId) -> Service {
    let mut sum = Service::default();
    for (_, cell) in figures
        .service(all())
        .filter(|(key, _)| key.queue == Some(queue))
    {
        sum += cell;
    }
    sum
}

fn work(figures: &Figures, agent: AgentId, range: std::ops::Range<Quarter>) -> Work {
    let mut sum = Work::default();
    for (_, cell) in figures.work(range).filter(|(key, _)| key.agent == agent) {
        sum += &cell;
    }
    sum
}

fn partner(figures: &Figures) -> Partnership {
    let mut sum = Partnership::default();
    for (_, cell) in figures.partners(all()) {
        sum += cell;
    }
    sum
}

fn percent(ratio: desk::figures::Ratio) -> String {
    let value = ratio.value();
    value.map_or("none".into(), |value| format!("{:.1} %", value * 100.0))
}

/// T = 20 s, s = 5 s: 80 answered within T, 10 later, 10 abandons (4 before s,
/// 3 more within T, 3 later).
#[test]
fn the_golden_vector() {
    let mut log = Log::default();
    let mut contact = 0;
    let mut come = |count: u64, after: i64, answered: bool| {
        for _ in 0..count {
            contact += 1;
            let at = TEN + contact as i64 * S;
            log.started(at, contact).queued(at, contact, CLINICAL);
            if answered {
                log.connected(at + after, contact, ANA);
                log.ended(at + after + 90 * S, contact, EndCause::AgentHungUp);
            } else {
                log.abandoned(at + after, contact);
            }
        }
    };
    come(40, 2 * S, true);
    come(40, 20 * S, true);
    come(10, 21 * S, true);
    come(4, 4_999, false);
    come(3, 5 * S, false);
    come(3, 20_001, false);
    let figures = log.figures();
    let sum = service(&figures, all());
    assert_eq!(percent(sum.service_level()), "83.3 %");
    assert_eq!(percent(sum.service_level_answered()), "88.9 %");
    assert_eq!(percent(sum.service_level_2()), "87.0 %");
    assert_eq!(percent(sum.service_level_everything()), "80.0 %");
    // (10 − 4) of (100 − 4).
    assert_eq!(percent(sum.abandonment()), "6.2 %");
    let seconds = |ratio: desk::figures::Ratio| ratio.value().unwrap() / 1e3;
    assert_eq!(
        seconds(sum.speed_of_answer()),
        (80 + 800 + 210) as f64 / 90.0
    );
    assert_eq!(seconds(sum.handle_time()), 90.0);
    assert_eq!((sum.queued, sum.waiting()), (100, 0));
}

#[test]
fn a_ratio_over_nothing_is_none() {
    let nothing = Service::default();
    for ratio in [
        nothing.service_level(),
        nothing.service_level_answered(),
        nothing.service_level_2(),
        nothing.service_level_everything(),
        nothing.speed_of_answer(),
        nothing.handle_time(),
        nothing.abandonment(),
        Work::default().occupancy(),
        TicketCounts::default().first_contact_resolution(),
    ] {
        assert_eq!(ratio.value(), None);
    }
    // One who hung up at once has not been failed, nor served.
    let mut log = Log::default();
    log.started(TEN, 1).queued(TEN, 1, CLINICAL);
    log.abandoned(TEN + S, 1);
    let sum = service(&log.figures(), all());
    assert_eq!(percent(sum.service_level()), "none");
    assert_eq!(percent(sum.abandonment()), "none");
    assert_eq!(percent(sum.service_level_2()), "100.0 %");
}

#[test]
fn an_overflow_leaves_one_queue_and_waits_anew_in_the_other() {
    let mut log = Log::default();
    log.started(TEN, 1).queued(TEN, 1, CLINICAL);
    log.flow_out(TEN + 50 * S, 1);
    log.queued(TEN + 50 * S, 1, SERVICE);
    log.connected(TEN + 100 * S, 1, ANA);
    log.ended(TEN + 400 * S, 1, EndCause::CallerHungUp);
    let figures = log.figures();
    let clinical = of_queue(&figures, CLINICAL);
    assert_eq!((clinical.queued, clinical.flow_out), (1, 1));
    assert_eq!(percent(clinical.service_level_everything()), "0.0 %");
    assert_eq!(percent(clinical.service_level()), "none");
    // Fifty seconds there, within that queue's own target.
    let service = of_queue(&figures, SERVICE);
    assert_eq!((service.answered, service.answered_in_target), (1, 1));
    assert_eq!(
        (service.answered_wait_ms, service.talk_ms),
        (50_000, 300_000)
    );
}

#[test]
fn an_offer_that_comes_to_nothing_goes_on_waiting() {
    let mut log = Log::default();
    let contact = ContactId(1);
    log.started(TEN, 1).queued(TEN, 1, CLINICAL);
    for (offer, agent, at) in [(1, ANA, 0), (2, BEN, 20), (3, ANA, 40)] {
        let offer = OfferId(offer);
        let at = TEN + at * S;
        log.at(
            at,
            Event::OfferCreated {
                offer,
                contact,
                agent,
            },
        );
        log.at(at, Event::ContactOffered { contact, agent });
        let end = match offer.0 {
            1 => Event::OfferDeclined {
                offer,
                contact,
                agent,
            },
            2 => Event::OfferTimedOut {
                offer,
                contact,
                agent,
            },
            _ => Event::OfferAccepted {
                offer,
                contact,
                agent,
            },
        };
        log.at(at + 9 * S, end);
    }
    let waits = Waiting {
        contacts: 1,
        since: Some(TEN),
    };
    assert_eq!(log.figures().waiting(), BTreeMap::from([(CLINICAL, waits)]));
    log.connected(TEN + 49 * S, 1, ANA);
    log.ended(TEN + 60 * S, 1, EndCause::CallerHungUp);
    let figures = log.figures();
    let sum = service(&figures, all());
    assert_eq!((sum.answered, sum.answered_wait_ms), (1, 49_000));
    let ana = work(&figures, ANA, all());
    assert_eq!(
        (ana.offers, ana.offers_accepted, ana.offers_declined),
        (2, 1, 1)
    );
    assert_eq!(work(&figures, BEN, all()).offers_timed_out, 1);
    assert!(figures.waiting().is_empty());
}

#[test]
fn a_partner_takes_it_or_gives_it_back() {
    let mut log = Log::default();
    let (contact, partner_id) = (ContactId(1), NIGHTLINE);
    let called = Event::ContactPartnerCalled {
        contact,
        partner: partner_id,
    };
    log.started(TEN, 1).at(TEN, called);
    log.at(
        TEN + 20 * S,
        Event::ContactTakenBack {
            contact,
            partner: partner_id,
            why: TakenBack::NoAnswer,
        },
    );
    log.queued(TEN + 20 * S, 1, SERVICE);
    log.flow_out(TEN + 90 * S, 1).at(TEN + 90 * S, called);
    let partner_took = Event::ContactTransferred {
        contact,
        partner: partner_id,
    };
    log.at(TEN + 95 * S, partner_took);
    log.ended(TEN + 200 * S, 1, EndCause::CallerHungUp);
    let figures = log.figures();
    let with = partner(&figures);
    assert_eq!((with.called, with.taken, with.talk_ms), (2, 1, 105_000));
    assert_eq!(with.taken_back, [0, 1, 0, 0, 0]);
    assert_eq!(service(&figures, all()).flow_out, 1);
}

#[test]
fn a_crash_fails_who_waits_and_cuts_off_who_talks() {
    let mut log = Log::default();
    log.at(TEN - S, Event::ServiceStarted);
    log.state(TEN, ANA, AgentState::Available);
    log.started(TEN, 1).queued(TEN, 1, CLINICAL);
    log.started(TEN, 2).queued(TEN, 2, CLINICAL);
    log.connected(TEN + 5 * S, 2, ANA);
    log.state(TEN + 5 * S, ANA, AgentState::Talking);
    // Two hours later it is started again, and nobody knows when it stopped.
    let again = TEN + 120 * MINUTE;
    log.ended(again, 1, EndCause::SystemFailure);
    log.ended(again, 2, EndCause::SystemFailure);
    log.at(again + S, Event::ServiceStarted);
    log.state(again + 2 * S, ANA, AgentState::Available);
    log.state(again + 62 * S, ANA, AgentState::SignedOut);
    let figures = log.figures();
    let sum = service(&figures, all());
    assert_eq!((sum.queued, sum.answered, sum.system_failure), (2, 1, 1));
    assert_eq!((sum.conversations, sum.talk_ms, sum.cut_off), (0, 0, 1));
    assert_eq!(sum.handle_time().value(), None);
    assert_eq!(figures.open_visits(), 0);
}

#[test]
fn what_agents_do_over_a_crash_is_not_made_up() {
    let mut operator = Log::default();
    operator.at(TEN, Event::ServiceStarted);
    operator.state(TEN + S, ANA, AgentState::Available);
    operator.state(TEN + MINUTE, BEN, AgentState::Available);
    let again = TEN + 120 * MINUTE;
    operator.at(again, Event::ServiceStarted);
    operator.state(again + S, ANA, AgentState::Available);
    operator.at(again + MINUTE, Event::ServiceStopped);
    // Thrown out by the stop: they do nothing any more.
    operator.state(again + MINUTE + S, ANA, AgentState::WrapUp);
    operator.at(again + 300 * MINUTE, Event::ServiceStarted);
    let figures = operator.figures();
    let [available, ..] = work(&figures, ANA, all()).state_ms;
    assert_eq!(available, 59_000 + 59_000);
    // From the last that was heard until it came back nobody knows.
    let unknown: Vec<i64> = figures
        .incomplete(all())
        .into_iter()
        .map(Quarter::start)
        .collect();
    assert_eq!(unknown.first(), Some(&TEN));
    assert_eq!(unknown.last(), Some(&again));
    assert_eq!(unknown.len(), 9);
}

#[test]
fn a_conversation_across_an_intervals_border_belongs_to_where_it_was_queued() {
    let before = TEN - 10 * S;
    let mut log = Log::default();
    log.started(before, 1).queued(before, 1, CLINICAL);
    log.state(before, ANA, AgentState::Available);
    log.connected(TEN - 5 * S, 1, ANA);
    log.state(TEN - 5 * S, ANA, AgentState::Talking);
    log.ended(TEN + 60 * S, 1, EndCause::CallerHungUp);
    log.state(TEN + 60 * S, ANA, AgentState::WrapUp);
    let wrapped_up = Event::ContactWrappedUp {
        contact: ContactId(1),
        agent: ANA,
        ms: 10_000,
    };
    log.state(TEN + 70 * S, ANA, AgentState::Available);
    log.at(TEN + 70 * S, wrapped_up);
    let figures = log.figures();
    let sum = service(&figures, quarter(before));
    assert_eq!(
        (sum.answered, sum.talk_ms, sum.wrap_up_ms),
        (1, 65_000, 10_000)
    );
    assert_eq!(sum.handle_time().value(), Some(75_000.0));
    assert_eq!(service(&figures, quarter(TEN)), Service::default());
    // Her time lies on both sides.
    let [.., talking, wrap_up, _] = work(&figures, ANA, quarter(before)).state_ms;
    assert_eq!((talking, wrap_up), (5_000, 0));
    let ana = work(&figures, ANA, quarter(TEN));
    assert_eq!(ana.state_ms, [0, 0, 60_000, 10_000, 0]);
    assert_eq!(percent(ana.occupancy()), "100.0 %");
    assert_eq!(percent(work(&figures, ANA, all()).occupancy()), "93.8 %");
}

#[test]
fn an_agent_shared_by_hospitals_works_for_each_in_its_own_log() {
    let hospital = |contact: u64, talk: i64| {
        let mut log = Log::default();
        log.started(TEN, contact).queued(TEN, contact, CLINICAL);
        log.connected(TEN + S, contact, ANA);
        log.ended(TEN + S + talk, contact, EndCause::AgentHungUp);
        log.figures()
    };
    let (one, other) = (hospital(1, 30 * S), hospital(2, 50 * S));
    assert_eq!(work(&one, ANA, all()).talk_ms, 30_000);
    assert_eq!(work(&other, ANA, all()).talk_ms, 50_000);
    // In the operator's, what she does altogether; there are no contacts in it.
    let mut operator = Log::default();
    operator.state(TEN, ANA, AgentState::Available);
    operator.state(TEN + S, ANA, AgentState::Talking);
    operator.state(TEN + 81 * S, ANA, AgentState::SignedOut);
    let operator = operator.figures();
    assert_eq!(
        work(&operator, ANA, all()).state_ms,
        [1_000, 0, 80_000, 0, 0]
    );
    assert_eq!(service(&operator, all()), Service::default());
}

#[test]
fn hand_overs_are_counted_with_their_reasons() {
    let mut log = Log::default();
    let contact = ContactId(1);
    let role = Role::Clinician;
    log.started(TEN, 1).queued(TEN, 1, CLINICAL);
    log.connected(TEN + S, 1, ANA);
    let why = Some(Escalation::NoSkill);
    log.at(
        TEN + 30 * S,
        Event::ContactEscalated {
            contact,
            by: ANA,
            why,
        },
    );
    log.connected(TEN + 40 * S, 1, BEN);
    let escalated = Event::ContactEscalated {
        contact,
        by: BEN,
        why: None,
    };
    // Found out late: a contact is one role's, with all that happened to it.
    log.at(TEN + 50 * S, Event::ContactRoleSet { contact, role });
    log.at(TEN + 60 * S, escalated);
    log.ended(TEN + 70 * S, 1, EndCause::CallerHungUp);
    let figures = log.figures();
    assert_eq!(work(&figures, ANA, all()).hand_overs, [0, 1, 0, 0]);
    assert_eq!(work(&figures, BEN, all()).hand_overs, [0, 0, 0, 1]);
    let clinicians = figures
        .arrivals(all())
        .find(|(key, _)| key.role == Some(role));
    let expected = Arrivals {
        contacts: 1,
        hand_overs: 2,
        handed_over_again: 1,
    };
    assert_eq!(clinicians.map(|(_, cell)| *cell), Some(expected));
    // The colleague's conversation has no queue of its own.
    let own = figures.service(all()).find(|(key, _)| key.queue.is_none());
    assert_eq!(own.map(|(_, cell)| cell.talk_ms), Some(30_000));
}

fn opened(ticket: u64, contact: u64) -> Event {
    Event::TicketOpened {
        ticket: TicketId(ticket),
        priority: None,
        clock: None,
        number: TicketNumber::mint(&[7; 32], TicketId(ticket)).unwrap(),
        contact: ContactId(contact),
    }
}

fn updated(ticket: u64, status: TicketStatus) -> Event {
    Event::TicketUpdated {
        ticket: TicketId(ticket),
        status,
        next_update: None,
        warn_at: None,
        by: None,
        change: None,
    }
}

fn first_contact(figures: &Figures) -> (u64, u64) {
    let mut sum = TicketCounts::default();
    for (_, cell) in figures.tickets(all()) {
        sum += cell;
    }
    (sum.first_contact, sum.resolved)
}

#[test]
fn first_contact_is_a_verdict_that_seven_days_can_change() {
    let found = |person| Found::Person {
        person: PersonId(person),
        role: Role::Staff,
    };
    let identified = |contact, person| Event::ContactIdentified {
        contact: ContactId(contact),
        found: found(person),
    };
    let mut log = Log::default();
    for contact in 1..=4 {
        log.started(TEN, contact);
        log.at(TEN, identified(contact, contact as u32));
        log.at(TEN + S, opened(contact, contact));
        log.ended(TEN + MINUTE, contact, EndCause::CallerHungUp);
        log.at(TEN + MINUTE, updated(contact, TicketStatus::Resolved));
    }
    let figures = log.figures();
    assert_eq!(first_contact(&figures), (4, 4));
    assert_eq!(figures.provisional(&all(), TEN + MINUTE), 4);
    assert_eq!(
        figures.provisional(&all(), TEN + 2 * MINUTE + PROVISIONAL_MS),
        0
    );
    // The first one's caller calls again, the second one's ticket is reopened and resolved again, the
    // third one's is keyed in, in time; the fourth one's caller comes when the seven days are over.
    let day = 24 * 60 * MINUTE;
    log.started(TEN + day, 5);
    log.at(TEN + day, identified(5, 1));
    log.at(TEN + 2 * day, updated(2, TicketStatus::Open));
    log.at(TEN + 3 * day, updated(2, TicketStatus::Resolved));
    let attached = Event::TicketAttached {
        ticket: TicketId(3),
        number: TicketNumber::mint(&[7; 32], TicketId(3)).unwrap(),
        contact: ContactId(5),
    };
    log.at(TEN + 4 * day, attached);
    log.started(TEN + 8 * day, 6);
    log.at(TEN + 8 * day, identified(6, 4));
    assert_eq!(first_contact(&log.figures()), (1, 4));
}

/// Who calls about something else doesn't change the verdict; nor does a place, but about the same.
#[test]
fn what_a_contact_is_about_is_part_of_the_verdict() {
    let day = 24 * 60 * MINUTE;
    let person = |contact| Event::ContactIdentified {
        contact: ContactId(contact),
        found: Found::Person {
            person: PersonId(1),
            role: Role::Staff,
        },
    };
    let place = |contact| Event::ContactIdentified {
        contact: ContactId(contact),
        found: Found::Place {
            person: PersonId(2),
        },
    };
    let about = |ticket, reason: &str| Event::TicketUpdated {
        ticket: TicketId(ticket),
        status: TicketStatus::Open,
        next_update: Some(1),
        warn_at: Some(0),
        by: Some(desk::Actor::Agent(ANA)),
        change: Some(desk::Updated::Categorised {
            reason: desk::ReasonCode::new(reason),
            priority: desk::Priority::P3,
            team: None,
        }),
    };
    let resolved = |ticket| Event::TicketResolved {
        ticket: TicketId(ticket),
        first_contact: true,
        by: desk::Actor::Agent(ANA),
    };
    for (who, unknown) in [(&person as &dyn Fn(u64) -> Event, 0), (&place, 1)] {
        let mut log = Log::default();
        log.started(TEN, 1).at(TEN, who(1));
        log.at(TEN, opened(1, 1)).at(TEN, about(1, "password"));
        log.at(TEN + MINUTE, resolved(1));
        log.started(TEN + day, 2).at(TEN + day, who(2));
        // Nobody knows yet what about.
        assert_eq!(first_contact(&log.figures()), (unknown, 1));
        log.at(TEN + day, opened(2, 2));
        log.at(TEN + day + MINUTE, about(2, "badge"));
        assert_eq!(first_contact(&log.figures()), (1, 1));
        log.at(TEN + 2 * day, about(2, "password"));
        assert_eq!(first_contact(&log.figures()), (0, 1));
        // Too late to be said otherwise.
        log.at(TEN + 9 * day, about(2, "badge"));
        assert_eq!(first_contact(&log.figures()), (0, 1));
    }
}

#[test]
fn the_backlog_is_aged_by_why_tickets_went_up() {
    let hour = 60 * MINUTE;
    let up = |ticket, why| Event::TicketEscalated {
        ticket: TicketId(ticket),
        why,
        from: desk::Tier(1),
        to: desk::Tier(2),
        team: None,
        unwarned: None,
        clock: desk::Clock { due: 9, warn: 8 },
        by: desk::Actor::System,
    };
    let mut log = Log::default();
    for ticket in 1..=4 {
        log.at(TEN, opened(ticket, ticket));
    }
    let (near, missed) = (
        desk::TicketEscalation::UpdateNear,
        desk::TicketEscalation::UpdateMissed,
    );
    log.at(TEN + hour, up(1, near)).at(TEN + hour, up(2, near));
    log.at(TEN + 2 * hour, up(1, missed));
    log.at(TEN + 3 * hour, updated(4, TicketStatus::Resolved));
    let backlog = log.figures().backlog(TEN + 27 * hour);
    let told = |why| {
        let of: desk::figures::Backlog = backlog[&why];
        (of.tickets, of.since, of.ages)
    };
    assert_eq!(told(None), (1, Some(TEN), [0, 0, 1, 0, 0]));
    assert_eq!(told(Some(near)), (1, Some(TEN + hour), [0, 0, 1, 0, 0]));
    assert_eq!(
        told(Some(missed)),
        (1, Some(TEN + 2 * hour), [0, 0, 1, 0, 0])
    );
    assert_eq!(backlog.len(), 3);
}

#[test]
fn a_gap_is_said_wherever_it_may_have_changed_something() {
    let half_past = TEN + 30 * MINUTE;
    let mut log = Log::default();
    // Over before: what counts in this quarter is known.
    log.started(TEN - 40 * MINUTE, 1);
    log.queued(TEN - 40 * MINUTE, 1, CLINICAL);
    log.abandoned(TEN - 39 * MINUTE, 1);
    // Queued at ten, and its end is in the gap.
    log.started(TEN, 2).queued(TEN, 2, CLINICAL);
    log.gap(half_past + 2 * S, half_past, half_past + S);
    // Comes after it.
    let later = TEN + 60 * MINUTE;
    log.started(later, 3).queued(later, 3, CLINICAL);
    log.abandoned(later + MINUTE, 3);
    let figures = log.figures();
    let marked: Vec<i64> = figures
        .incomplete(all())
        .into_iter()
        .map(Quarter::start)
        .collect();
    assert_eq!(marked, [TEN, half_past]);
    assert_eq!(figures.events_missing(), 3);
    // It may be over: nobody is said to wait. Yet the sums hold.
    assert!(figures.waiting().is_empty());
    assert_eq!(
        (service(&figures, all()).waiting(), figures.open_visits()),
        (1, 1)
    );
    assert!(figures.tickets_incomplete(&quarter(TEN)));
    assert!(!figures.tickets_incomplete(&quarter(TEN + 5 * PROVISIONAL_MS)));
}

#[test]
fn events_are_applied_once_and_in_order() {
    let mut log = Log::default();
    log.started(TEN, 1).queued(TEN, 1, CLINICAL);
    log.abandoned(TEN + MINUTE, 1);
    let whole = log.figures();
    let mut figures = Figures::new(settings(), 0);
    let applied = |figures: &mut Figures, seq: u64| figures.apply(seq, &log.0[seq as usize - 1]);
    assert_eq!(applied(&mut figures, 1), Ok(true));
    let missing = Missing { after: 1, given: 3 };
    assert_eq!(applied(&mut figures, 3), Err(missing));
    for seq in [2, 1, 2, 3, 3, 4, 1] {
        assert!(applied(&mut figures, seq).is_ok());
    }
    assert_eq!(figures, whole);
    assert_eq!(figures.last_seq(), 4);
}

#[test]
fn absurd_times_are_counted_without_harm() {
    for at in [i64::MIN, i64::MAX] {
        let mut log = Log::default();
        log.started(TEN, 1).queued(TEN, 1, CLINICAL);
        log.state(TEN, ANA, AgentState::Available);
        log.connected(at, 1, ANA);
        log.state(at, ANA, AgentState::Talking);
        log.ended(-at.saturating_add(1), 1, EndCause::CallerHungUp);
        log.gap(at, at, TEN).gap(at, i64::MIN, i64::MAX);
        log.state(-at.saturating_add(1), ANA, AgentState::Available);
        let figures = fold(&log.0);
        assert_eq!(service(&figures, all()).answered, 1);
        assert!(figures.work(all()).count() < 20_000);
    }
}

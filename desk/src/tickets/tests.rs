//! What deeds make of tickets, step by step, on one ticket.

use super::*;
use crate::message::{CommandId, Escalation, TenantId};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const TEN: i64 = 1_000 * DAY;
const TICKET: TicketId = TicketId(3);
const ANA: AgentId = AgentId(2);
const BEN: AgentId = AgentId(9);

/// A ticket, who deals with it, and what is agreed: round the clock, so that sums are plain.
struct Story {
    rules: TicketRules,
    facts: TicketFacts,
    other: TicketFacts,
    at: i64,
    events: Vec<Event>,
}

fn number(id: u64) -> TicketNumber {
    TicketNumber::mint(&[7; 32], TicketId(id)).unwrap()
}

impl Story {
    fn new() -> Self {
        let mut rules = TicketRules {
            tiers: vec![None, Some(QueueId(4)), None],
            ..TicketRules::default()
        };
        let reason = Reason {
            words: "Password".into(),
            destination: Some(Destination::Queue(QueueId(6))),
            priority: Some(Priority::P2),
            ..Reason::default()
        };
        rules.reasons.insert(code("password"), reason);
        let mut story = Self {
            facts: TicketFacts::opened(number(3), ContactId(1)),
            other: TicketFacts::opened(number(4), ContactId(2)),
            at: TEN,
            events: Vec::new(),
            rules,
        };
        let clock = Some(story.rules.clock(Priority::P3, TEN, 0));
        let opened = Event::TicketOpened {
            ticket: TICKET,
            number: number(3),
            contact: ContactId(1),
            priority: Some(Priority::P3),
            clock,
        };
        story.write(opened);
        story.other.apply(TicketChange::Own(Stamped {
            at: TEN,
            event: opened,
        }));
        story
    }

    fn write(&mut self, event: Event) {
        let at = self.at;
        self.facts.apply(TicketChange::Own(Stamped { at, event }));
        self.events.push(event);
    }

    fn asks(&mut self, deed: TicketDeed) -> Result<bool, Refusal> {
        let command = TicketCommand {
            id: CommandId(5),
            tenant: TenantId(1),
            at: self.at,
            number: number(3),
            by: Actor::Agent(ANA),
            deed,
        };
        let merging = Some(Merging {
            into: TicketId(4),
            facts: &self.other,
        });
        let event = decide(TICKET, &self.facts, &command, &self.rules, merging)?;
        if let Some(event) = event {
            self.write(event);
        }
        assert!(
            !self.facts.work.stage.is_open() || self.facts.work.clock.is_some(),
            "an open ticket has a clock"
        );
        Ok(event.is_some())
    }

    /// Done, and again: nothing new.
    fn does(&mut self, deed: TicketDeed) {
        assert_eq!(self.asks(deed.clone()), Ok(true), "{deed:?}");
        assert_eq!(self.asks(deed.clone()), Ok(false), "{deed:?} again");
    }

    fn refused(&mut self, deed: TicketDeed, why: Refusal) {
        assert_eq!(self.asks(deed), Err(why));
    }

    /// What it is owed by then is written, one after the other.
    fn passes(&mut self, ms: i64) {
        let until = self.at + ms;
        while let Some(at) = wake(&self.facts, &self.rules).filter(|at| *at <= until) {
            self.at = self.at.max(at);
            let event =
                owed(TICKET, &self.facts, &self.rules, self.at, TEN).expect("it is its time");
            self.write(event);
        }
        self.at = until;
        assert_eq!(owed(TICKET, &self.facts, &self.rules, until, TEN), None);
    }

    fn stage(&self) -> Stage {
        self.facts.work.stage
    }

    fn clock(&self) -> Clock {
        self.facts.work.clock.expect("a clock")
    }

    fn last(&self) -> Event {
        *self.events.last().expect("an event")
    }
}

fn code(code: &str) -> ReasonCode {
    ReasonCode::new(code).unwrap()
}

fn assign(to: Option<AgentId>) -> TicketDeed {
    let why = Some(Escalation::NoSkill);
    TicketDeed::Assign { to, why }
}

#[test]
fn from_the_call_to_the_close() {
    let mut story = Story::new();
    assert_eq!(story.stage(), Stage::Open);
    assert_eq!(story.clock().due, TEN + 8 * HOUR);
    story.does(assign(Some(BEN)));
    assert_eq!(story.stage(), Stage::Assigned);
    // Who begins has it.
    story.does(TicketDeed::Begin);
    assert_eq!(
        (story.stage(), story.facts.owner()),
        (Stage::InProgress, Some(ANA))
    );
    story.at += HOUR;
    let next_update = Some(TEN + 3 * HOUR);
    story.does(TicketDeed::Promise { next_update });
    assert_eq!(story.clock().due, TEN + 3 * HOUR);
    assert_eq!(story.clock().warn, TEN + 2 * HOUR);
    story.does(TicketDeed::Resolve);
    assert!(
        matches!(story.stage(), Stage::Resolved(how) if how.first_contact && how.at == TEN + HOUR)
    );
    assert_eq!(story.facts.next_update(), None);
    story.refused(assign(None), Refusal::NotOpen);
    story.refused(TicketDeed::Begin, Refusal::NotOpen);
    story.refused(TicketDeed::Resume, Refusal::NotOpen);
    story.passes(5 * DAY - 1);
    assert!(matches!(story.stage(), Stage::Resolved(_)));
    story.passes(1);
    assert!(matches!(story.stage(), Stage::Closed(_)));
    assert!(matches!(
        story.last(),
        Event::TicketClosed {
            by: Actor::System,
            ..
        }
    ));
    story.refused(TicketDeed::Resolve, Refusal::NotOpen);
    story.does(TicketDeed::Reopen);
    assert_eq!(story.stage(), Stage::Assigned);
    assert_eq!(story.clock().due, story.at + 8 * HOUR);
    story.refused(TicketDeed::Close, Refusal::NotResolved);
    // It took two goes.
    story.does(TicketDeed::Resolve);
    assert!(matches!(story.stage(), Stage::Resolved(how) if !how.first_contact));
    story.does(TicketDeed::Close);
}

#[test]
fn nobody_tells_the_caller_and_it_goes_up_before_and_after() {
    let mut story = Story::new();
    story.passes(7 * HOUR);
    let Event::TicketEscalated {
        why,
        from,
        to,
        team,
        clock,
        ..
    } = story.last()
    else {
        panic!("{:?}", story.last());
    };
    assert_eq!(why, TicketEscalation::UpdateNear);
    assert_eq!((from, to, team), (Tier(1), Tier(2), Some(QueueId(4))));
    assert_eq!(clock.due, TEN + 8 * HOUR);
    assert_eq!(story.facts.team(), Some(QueueId(4)));
    story.passes(HOUR);
    let Event::TicketEscalated {
        why,
        to,
        unwarned,
        clock,
        ..
    } = story.last()
    else {
        panic!("{:?}", story.last());
    };
    assert_eq!((why, to), (TicketEscalation::UpdateMissed, Tier(3)));
    assert_eq!((unwarned, clock.due), (None, TEN + 16 * HOUR));
    // At the top there is nobody above, and it is said all the same.
    story.passes(8 * HOUR);
    let Event::TicketEscalated { why, from, to, .. } = story.last() else {
        panic!("{:?}", story.last());
    };
    assert_eq!(
        (why, from, to),
        (TicketEscalation::UpdateMissed, Tier(3), Tier(3))
    );
    // Ever more seldom, until somebody looks after it.
    assert_eq!(story.clock().due, TEN + 32 * HOUR);
    story.does(assign(Some(BEN)));
    assert_eq!(story.facts.work.misses, 0);
    assert_eq!(story.events.len(), 6);
}

#[test]
fn who_wasnt_warned_is_told_why() {
    let mut story = Story::new();
    // Careline begins when both have passed.
    story.at += 9 * HOUR;
    let missed = |running_since| owed(TICKET, &story.facts, &story.rules, story.at, running_since);
    for (running_since, expected) in [(story.at, Unwarned::Down), (TEN, Unwarned::Late)] {
        let Some(Event::TicketEscalated { why, unwarned, .. }) = missed(running_since) else {
            panic!();
        };
        assert_eq!(
            (why, unwarned),
            (TicketEscalation::UpdateMissed, Some(expected))
        );
    }
    // There is still an hour: warned late is better than not.
    story.at = TEN + 7 * HOUR + 30 * MINUTE;
    let warned = owed(TICKET, &story.facts, &story.rules, story.at, story.at);
    assert!(
        matches!(
            warned,
            Some(Event::TicketEscalated {
                why: TicketEscalation::UpdateNear,
                ..
            })
        ),
        "{warned:?}"
    );
}

#[test]
fn a_pause_stops_the_clock() {
    let mut story = Story::new();
    story.does(assign(Some(BEN)));
    story.at += 6 * HOUR;
    let (why, until) = (Pause::Vendor, Some(TEN + 2 * DAY));
    story.does(TicketDeed::Pend { why, until });
    // Two hours are left when it ends.
    assert_eq!(story.clock().due, TEN + 2 * DAY + 2 * HOUR);
    assert_eq!(story.clock().warn, TEN + 2 * DAY + HOUR);
    let next_update = None;
    story.refused(TicketDeed::Promise { next_update }, Refusal::Pending);
    // Longer: what is left stays.
    let until = Some(TEN + 3 * DAY);
    story.does(TicketDeed::Pend { why, until });
    assert_eq!(story.clock().due, TEN + 3 * DAY + 2 * HOUR);
    story.at += HOUR;
    assert_eq!(story.asks(TicketDeed::Resume), Ok(true));
    assert_eq!(story.asks(TicketDeed::Resume), Ok(false));
    assert_eq!(story.clock().due, TEN + 9 * HOUR);
    assert_eq!(story.stage(), Stage::Assigned);
    // It ends by itself too.
    let until = None;
    story.does(TicketDeed::Pend {
        why: Pause::Caller,
        until,
    });
    story.passes(3 * DAY);
    assert!(matches!(
        story.last(),
        Event::TicketUpdated {
            change: Some(Updated::Resumed),
            by: Some(Actor::System),
            ..
        }
    ));
    assert_eq!(story.clock().due, TEN + 7 * HOUR + 3 * DAY + 2 * HOUR);
    // No pause lasts for ever, or backwards.
    let pend = |until| TicketDeed::Pend {
        why,
        until: Some(until),
    };
    story.refused(pend(story.at + 8 * DAY), Refusal::PauseTooLong);
    story.refused(pend(story.at), Refusal::WrongTime);
    // Where the clock runs on the caller hears of it as agreed.
    story.rules.pauses[Pause::Vendor as usize].stops = false;
    let due = story.clock().due;
    let until = None;
    story.does(TicketDeed::Pend { why, until });
    assert_eq!(story.clock().due, due);
    story.passes(2 * HOUR);
    assert!(matches!(
        story.last(),
        Event::TicketEscalated {
            why: TicketEscalation::UpdateMissed,
            ..
        }
    ));
    assert!(matches!(story.stage(), Stage::Pending { .. }));
}

#[test]
fn what_is_warned_of_stays_so_over_a_pause() {
    let mut story = Story::new();
    story.passes(7 * HOUR + 30 * MINUTE);
    let tier = story.facts.work.tier;
    let (why, until) = (Pause::Vendor, None);
    story.does(TicketDeed::Pend { why, until });
    story.at += DAY;
    assert_eq!(story.asks(TicketDeed::Resume), Ok(true));
    story.passes(29 * MINUTE);
    assert_eq!(story.facts.work.tier, tier);
    story.passes(MINUTE);
    assert!(matches!(
        story.last(),
        Event::TicketEscalated {
            why: TicketEscalation::UpdateMissed,
            unwarned: None,
            ..
        }
    ));
}

#[test]
fn more_hangs_on_it_than_was_thought() {
    let mut story = Story::new();
    story.does(TicketDeed::Prioritise(Priority::P1));
    assert_eq!(story.clock().due, TEN + 30 * MINUTE);
    // Less: what the caller was told stays.
    story.does(TicketDeed::Prioritise(Priority::P4));
    assert_eq!(story.clock().due, TEN + 30 * MINUTE);
    let next_update = None;
    story.does(TicketDeed::Promise { next_update });
    assert_eq!(story.clock().due, TEN + 24 * HOUR);
    story.does(TicketDeed::Categorise(Some(code("password"))));
    let work = story.facts.work;
    assert_eq!((work.priority, work.team), (Priority::P2, Some(QueueId(6))));
    assert_eq!(story.clock().due, TEN + 2 * HOUR);
    story.refused(
        TicketDeed::Categorise(Some(code("weather"))),
        Refusal::UnknownReason,
    );
    for next_update in [
        Some(TEN),
        Some(TEN - 1),
        Some(TEN + 93 * DAY),
        Some(i64::MAX),
        Some(i64::MIN),
    ] {
        story.refused(TicketDeed::Promise { next_update }, Refusal::WrongTime);
    }
}

#[test]
fn a_closed_destination_gets_nothing() {
    let mut story = Story::new();
    let closed = hours::Calendar::read("America/Chicago", [], []).unwrap();
    let reason = story.rules.reasons.get_mut(&code("password")).unwrap();
    reason.hours = Some(closed);
    story.does(TicketDeed::Categorise(Some(code("password"))));
    assert_eq!(story.facts.work.team, None);
}

#[test]
fn up_by_word_of_an_agent() {
    let mut story = Story::new();
    story.does(assign(Some(BEN)));
    let why = Escalation::NotPermitted;
    let to = Some(Tier(2));
    story.does(TicketDeed::Escalate { why, to });
    assert_eq!((story.stage(), story.facts.work.owner), (Stage::Open, None));
    assert_eq!(
        story.facts.work.escalated,
        Some((TicketEscalation::NotPermitted, TEN))
    );
    let above = TicketDeed::Escalate { why, to: None };
    assert_eq!(story.asks(above.clone()), Ok(true));
    story.refused(above, Refusal::NoTierAbove);
    for tier in [1, 3, 4, 0] {
        let why = Escalation::NoSkill;
        let to = Some(Tier(tier));
        story.refused(TicketDeed::Escalate { why, to }, Refusal::NoTierAbove);
    }
}

#[test]
fn who_comes_again_opens_it_again() {
    let attached = |contact| Event::TicketAttached {
        ticket: TICKET,
        number: number(3),
        contact: ContactId(contact),
    };
    let mut story = Story::new();
    story.at += HOUR;
    story.write(attached(8));
    story.does(TicketDeed::Resolve);
    assert!(matches!(story.stage(), Stage::Resolved(how) if !how.first_contact));
    // During the contact that had come again: nothing.
    story.passes(DAY);
    assert!(matches!(story.stage(), Stage::Resolved(_)));
    story.write(attached(9));
    story.passes(0);
    assert_eq!(story.stage(), Stage::Open);
    let Event::TicketReopened { again, by, .. } = story.last() else {
        panic!("{:?}", story.last());
    };
    assert_eq!((again, by), (Some(ContactId(9)), Actor::Caller));
    // After seven days it is another matter; closed or not.
    for (days, opens) in [(7, true), (8, false)] {
        let mut story = Story::new();
        story.does(TicketDeed::Resolve);
        story.passes(days * DAY);
        assert!(matches!(story.stage(), Stage::Closed(_)));
        story.write(attached(9));
        story.passes(0);
        assert_eq!(story.stage().is_open(), opens, "{days}");
    }
}

#[test]
fn two_are_the_same() {
    let mut story = Story::new();
    let merge = || TicketDeed::Merge { into: number(4) };
    assert_eq!(story.asks(merge()), Ok(true));
    let into = TicketId(4);
    assert_eq!(story.stage(), Stage::Merged { into });
    assert_eq!(wake(&story.facts, &story.rules), None);
    let mut story = Story::new();
    story.other.work.stage = Stage::Closed(Resolution {
        at: TEN,
        first_contact: true,
    });
    story.refused(merge(), Refusal::NotOpen);
}

#[test]
fn one_from_before_there_were_clocks_gets_one() {
    let mut story = Story::new();
    story.facts = TicketFacts::opened(number(3), ContactId(1));
    assert_eq!(wake(&story.facts, &story.rules), Some(i64::MIN));
    story.passes(0);
    assert_eq!(story.clock().due, TEN + 8 * HOUR);
    // And what was written then means what it meant.
    let updated = |status, next_update| Event::TicketUpdated {
        ticket: TICKET,
        status,
        next_update,
        warn_at: None,
        by: None,
        change: None,
    };
    story.write(updated(TicketStatus::Resolved, Some(TEN + HOUR)));
    assert!(matches!(story.stage(), Stage::Resolved(how) if how.first_contact));
    story.write(updated(TicketStatus::Open, Some(TEN + HOUR)));
    assert_eq!(
        (story.stage(), story.facts.next_update()),
        (Stage::Open, Some(TEN + HOUR))
    );
}

#[test]
fn a_note_is_no_secret_and_no_debug_text() {
    let text = NoteText::new("Mrs Bell's ward".into()).unwrap();
    assert!(!format!("{:?}", TicketDeed::Note(text)).contains("Bell"));
    assert_eq!(NoteText::new(" \n".into()), Err(NotANote));
    assert_eq!(
        NoteText::new("x".repeat(NoteText::BYTES_MAX + 1)),
        Err(NotANote)
    );
    assert!(serde_json::from_str::<NoteText>("\"\"").is_err());
}

//! Tickets asked for by number.

use super::*;
use crate::message::FoundTicket;
use crate::tickets::{TicketDeed, TicketStatus};

const LATER: ContactId = ContactId(8);
const BELL: &str = "+15035550190";

/// A ticket opened for a call from [`BELL`], which talked with an agent of a queue.
fn opened(story: &mut Story) -> TicketNumber {
    story.send(What::Start {
        dnis: phone("+15035550000"),
        ani: Some(phone(BELL)),
        flow: None,
    });
    story.expect(Reply::Started);
    story.send(What::OpenTicket);
    story.commit(true);
    let number = story.number();
    story.journey(Journey::Queued { queue: QueueId(4) });
    story.journey(Journey::Connected { agent: AgentId(9) });
    story.journey(Journey::Ended {
        cause: EndCause::CallerHungUp,
    });
    number
}

impl Story {
    /// Another contact asks.
    fn asks(&mut self, tenant: u32, from: Option<&str>, number: Option<TicketNumber>) -> Reply {
        self.commands += 1;
        let ani = from.map(phone);
        let what = What::FindTicket { number, ani };
        self.again(self.commands, tenant, LATER, what);
        self.answers.pop_front().expect("an answer").reply
    }
}

#[test]
fn it_is_found_from_the_number_it_was_opened_from() {
    let mut story = Story::new(Limits::default());
    let number = opened(&mut story);
    let found = FoundTicket {
        number,
        status: TicketStatus::Open,
        // Eight hours, as P3 asks for.
        next_update: Some(100_000 + 8 * 3_600_000),
        owner: Some(AgentId(9)),
        queue: Some(QueueId(4)),
    };
    // However the trunk writes the number.
    assert_eq!(
        story.asks(1, Some("5035550190"), Some(number)),
        Reply::TicketFound(found)
    );
    story.asks_of(1, number, TicketDeed::Resolve);
    story.commit_ticket(true);
    // A repetition is told how it stands now.
    story.again(
        story.commands,
        1,
        LATER,
        What::FindTicket {
            number: Some(number),
            ani: Some(phone(BELL)),
        },
    );
    story.expect(Reply::TicketFound(FoundTicket {
        status: TicketStatus::Resolved,
        next_update: None,
        ..found
    }));
}

#[test]
fn everybody_else_hears_the_same() {
    let mut story = Story::new(Limits::default());
    let number = opened(&mut story);
    let foreign = TicketNumber::mint(&[2; 32], TicketId(1));
    let never_opened = TicketNumber::mint(&[1; 32], TicketId(2));
    for (tenant, from, asked) in [
        (1, Some("+15035550101"), Some(number)),
        (1, None, Some(number)),
        (2, Some(BELL), Some(number)),
        (1, Some(BELL), foreign),
        (1, Some(BELL), never_opened),
        (1, Some(BELL), None),
    ] {
        let mut story = Story::new(Limits::default());
        assert_eq!(opened(&mut story), number);
        assert_eq!(story.asks(tenant, from, asked), Reply::TicketNotFound);
        story.send(What::AttachTicket);
        story.expect(Reply::Failed);
    }
    // A ticket whose caller withheld their number is nobody's.
    story.commands += 1;
    story.again(story.commands, 1, ContactId(50), What::OpenTicket);
    while !story.commits.is_empty() {
        story.commit(true);
    }
    let hidden = story.number();
    assert_eq!(story.asks(1, None, Some(hidden)), Reply::TicketNotFound);
}

#[test]
fn after_three_wrong_numbers_the_right_one_isnt_told_either() {
    let mut story = Story::new(Limits::default());
    let number = opened(&mut story);
    for _ in 0..3 {
        assert_eq!(story.asks(1, Some(BELL), None), Reply::TicketNotFound);
    }
    assert_eq!(
        story.asks(1, Some(BELL), Some(number)),
        Reply::TicketNotFound
    );
}

#[test]
fn attached_is_as_durable_as_opened() {
    let mut story = Story::new(Limits::default());
    let number = opened(&mut story);
    while !story.commits.is_empty() {
        story.commit(true);
    }
    story.asks(1, Some(BELL), Some(number));
    story.commands += 1;
    story.again(story.commands, 1, LATER, What::AttachTicket);
    story.silence();
    assert_eq!(story.commit(false), ["contact.started", "ticket.attached"]);
    story.expect(Reply::Failed);
    story.commands += 1;
    story.again(story.commands, 1, LATER, What::AttachTicket);
    let written = story.commit(true);
    assert!(
        written.contains(&"ticket.attached".to_owned()),
        "{written:?}"
    );
    assert_eq!(story.number(), number);
    assert_eq!(
        story.desk.facts(LATER).and_then(|facts| facts.ticket),
        Some((TicketId(1), number))
    );
    // It has its ticket: no second one is opened, and who talks to it next owns that one.
    story.commands += 1;
    story.again(story.commands, 1, LATER, What::OpenTicket);
    assert_eq!(story.number(), number);
    story.commands += 1;
    let connected = Journey::Connected { agent: AgentId(3) };
    story.again(story.commands, 1, LATER, What::Journey(connected));
    story.expect(Reply::Noted);
    let Reply::TicketFound(found) = story.asks(1, Some(BELL), Some(number)) else {
        panic!("it was found before");
    };
    assert_eq!(found.owner, Some(AgentId(3)));
}

#[test]
fn what_the_store_knows_is_found_after_a_restart() {
    let number = TicketNumber::mint(&[1; 32], TicketId(5)).expect("a number");
    let known = |ticket, ani: Option<&str>| KnownTicket {
        ticket: TicketId(ticket),
        facts: TicketFacts {
            talked: Some(AgentId(9)),
            ..TicketFacts::opened(number, CONTACT)
        },
        ani: ani.map(phone),
    };
    let mut setup = setup(Limits {
        tickets_per_tenant_max: 1,
        ..Limits::default()
    });
    setup.tenants[0].tickets = vec![known(4, Some(BELL)), known(5, Some(BELL))];
    setup.tenants[0].next_ticket = TicketId(6);
    let mut story = Story::new(Limits::default());
    story.desk = Desk::new(setup);
    let found = story.asks(1, Some(BELL), Some(number));
    assert!(
        matches!(&found, Reply::TicketFound(found) if found.owner == Some(AgentId(9))),
        "{found:?}"
    );
    // The older one is beyond what is kept.
    let older = TicketNumber::mint(&[1; 32], TicketId(4));
    assert_eq!(story.asks(1, Some(BELL), older), Reply::TicketNotFound);
}

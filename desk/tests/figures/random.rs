//! Random days of a help desk: the fold against the second computation, against
//! a fold that was interrupted, and against a log from which a gap has taken something.

use std::collections::BTreeSet;

use desk::{Actor, Clock, Facts, Journey, Priority, ReasonCode, TicketEscalation, Tier, Updated};
use proptest::prelude::*;

use super::*;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }
}

fn report(dice: &mut Dice) -> Journey {
    let queue = dice.one_of(&[CLINICAL, SERVICE]);
    let agent = dice.one_of(&[ANA, BEN]);
    let partner = dice.one_of(&[NIGHTLINE, PartnerId::OUTSIDE]);
    match dice.below(16) {
        0..=3 => Journey::Queued { queue },
        4 => Journey::Offered { agent },
        5..=7 => Journey::Connected { agent },
        8 => Journey::PartnerCalled { partner },
        9 => Journey::Transferred { partner },
        10 => Journey::Escalated {
            by: agent,
            why: dice.one_of(&[None, Some(Escalation::NoArticle)]),
        },
        11 => Journey::TakenBack {
            partner,
            why: dice.one_of(&[TakenBack::Busy, TakenBack::Broken]),
        },
        12 => Journey::Abandoned,
        13 => Journey::FlowOut,
        _ => Journey::Ended {
            cause: dice.one_of(&[
                EndCause::CallerHungUp,
                EndCause::AgentHungUp,
                EndCause::FlowEnded,
                EndCause::SystemFailure,
            ]),
        },
    }
}

/// A log as the desk writes them: contacts' journeys between one another, each
/// in an order that can be, over some hours or some days.
fn log(seed: u64, contacts: u64, pace_ms: u64) -> Vec<Stamped> {
    let mut dice = Dice(seed | 1);
    let mut log = Log::default();
    let mut known: Vec<(u64, Facts)> = Vec::new();
    let mut begun = 0;
    let mut tickets = Vec::new();
    let mut now = TEN;
    log.state(now, ANA, AgentState::SignedOut);
    log.state(now, BEN, AgentState::SignedOut);
    while begun < contacts || !known.is_empty() {
        now += dice.below(pace_ms) as i64;
        let (offer, agent) = (OfferId(dice.below(9)), dice.one_of(&[ANA, BEN]));
        match dice.below(20) {
            0 => {
                let state = dice.one_of(&[
                    AgentState::Available,
                    AgentState::Offered,
                    AgentState::Talking,
                    AgentState::WrapUp,
                    AgentState::Resting,
                    AgentState::SignedOut,
                ]);
                log.state(now, agent, state);
            }
            1 if dice.below(30) == 0 => {
                let event = dice.one_of(&[Event::ServiceStarted, Event::ServiceStopped]);
                log.at(now, event);
            }
            2 => {
                let contact = ContactId(dice.below(contacts));
                let ms = dice.below(30_000);
                log.at(now, Event::ContactWrappedUp { contact, agent, ms });
            }
            3 if !tickets.is_empty() => {
                let ticket = dice.one_of(&tickets);
                let other = dice.one_of(&tickets);
                let event = ticket_work(&mut dice, ticket, other);
                log.at(now, event);
                if let Event::TicketMerged { ticket, .. } = event {
                    // Nothing more is done with it.
                    tickets.retain(|known| *known != ticket.0);
                }
            }
            4..=6 if begun < contacts => {
                let contact = ContactId(begun);
                let from = log.0.len();
                log.started(now, begun);
                let mut facts = Facts::default();
                let found = dice.one_of(&[
                    Found::Unknown,
                    Found::Place {
                        person: PersonId(dice.0 as u32 % 3),
                    },
                    Found::PossiblePatient {
                        person: PersonId(dice.0 as u32 % 5),
                    },
                    Found::Person {
                        person: PersonId(dice.0 as u32 % 5),
                        role: Role::Clinician,
                    },
                ]);
                log.at(now, Event::ContactIdentified { contact, found });
                if dice.below(2) == 0 {
                    log.at(now + 500, opened(1 + begun, begun));
                    tickets.push(1 + begun);
                }
                for stamped in &log.0[from..] {
                    facts.apply(stamped);
                }
                known.push((begun, facts));
                begun += 1;
            }
            _ if known.is_empty() => {}
            chance => {
                let index = dice.below(known.len() as u64) as usize;
                let (id, facts) = &mut known[index];
                let contact = ContactId(*id);
                let events = match chance {
                    7 => vec![Event::OfferCreated {
                        offer,
                        contact,
                        agent,
                    }],
                    8 => vec![Event::OfferDeclined {
                        offer,
                        contact,
                        agent,
                    }],
                    9 => vec![Event::OfferTimedOut {
                        offer,
                        contact,
                        agent,
                    }],
                    10 => vec![Event::ContactRoleSet {
                        contact,
                        role: dice.one_of(&[Role::Staff, Role::Patient]),
                    }],
                    11 if !tickets.is_empty() => vec![Event::TicketAttached {
                        ticket: TicketId(dice.one_of(&tickets)),
                        number: TicketNumber::mint(&[7; 32], TicketId(1)).unwrap(),
                        contact,
                    }],
                    _ => facts.decide(contact, report(&mut dice)).to_vec(),
                };
                for event in events {
                    facts.apply(&Stamped { at: now, event });
                    log.at(now, event);
                }
                if facts.position.is_ended() {
                    known.swap_remove(index);
                }
            }
        }
    }
    log.0
}

/// Something that is done with a ticket, as it was told before there was more to tell, or since.
fn ticket_work(dice: &mut Dice, ticket: u64, other: u64) -> Event {
    let id = TicketId(ticket);
    let by = Actor::System;
    let clock = Clock { due: 9, warn: 8 };
    match dice.below(9) {
        0 => updated(ticket, TicketStatus::Resolved),
        1 => updated(ticket, TicketStatus::Open),
        2 | 3 => Event::TicketResolved {
            ticket: id,
            first_contact: true,
            by,
        },
        4 => Event::TicketReopened {
            ticket: id,
            again: None,
            clock,
            by,
        },
        5 => Event::TicketEscalated {
            ticket: id,
            why: dice.one_of(&[
                TicketEscalation::NoSkill,
                TicketEscalation::UpdateNear,
                TicketEscalation::UpdateMissed,
            ]),
            from: Tier(1),
            to: Tier(2),
            team: None,
            unwarned: None,
            clock,
            by,
        },
        6 if other != ticket && dice.below(4) == 0 => Event::TicketMerged {
            ticket: id,
            into: TicketId(other),
            by,
        },
        _ => Event::TicketUpdated {
            ticket: id,
            status: TicketStatus::Open,
            next_update: Some(9),
            warn_at: Some(8),
            by: Some(by),
            change: Some(Updated::Categorised {
                reason: dice.one_of(&[None, ReasonCode::new("password"), ReasonCode::new("badge")]),
                priority: Priority::P3,
                team: None,
            }),
        },
    }
}

fn sums_hold(figures: &Figures) {
    let mut open = 0;
    for (key, cell) in figures.service(all()) {
        assert!(cell.ended() <= cell.queued, "{key:?} {cell:?}");
        open += cell.waiting();
    }
    // 5: O = A + B + F + failures + lost + still open, which the open contacts tell.
    assert_eq!(open, figures.open_visits());
    // Whatever agents talked and wrapped up, the queues did.
    let sum = service(figures, all());
    let mut agents = Work::default();
    for (_, cell) in figures.work(all()) {
        agents += &cell;
    }
    assert_eq!(
        (sum.conversations, sum.talk_ms, sum.wrap_up_ms, sum.cut_off),
        (
            agents.conversations,
            agents.talk_ms,
            agents.wrap_up_ms,
            agents.cut_off
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn the_second_computation_says_the_same(
        seed: u64,
        contacts in 1_u64..40,
        pace_ms in prop_oneof![Just(2_000_u64), Just(60_000), Just(4_000_000)],
        cut: u64,
        back in 0_u64..20,
    ) {
        let log = log(seed, contacts, pace_ms);
        let whole = fold(&log);
        prop_assert_eq!(naive::folded(&whole), naive(&log));
        let plain = naive::Naive { log: &log, target_ms: |_| 0, short_ms: |_| 0 };
        prop_assert_eq!(naive::folded_backlog(&whole), plain.backlog());
        sums_hold(&whole);
        // At any moment, not only when all is over.
        let cut = cut % (log.len() as u64 + 1);
        let part = &log[..cut as usize];
        let mut figures = fold(part);
        prop_assert_eq!(naive::folded(&figures), naive(part));
        sums_hold(&figures);
        // Read on from a little before.
        let again = cut.saturating_sub(back);
        for (seq, stamped) in (1..).zip(&log).skip(again as usize) {
            figures.apply(seq, stamped).unwrap();
        }
        prop_assert_eq!(figures, whole);
    }

    /// Whatever a gap takes away: where it changes a figure, the quarter says that it is incomplete.
    #[test]
    fn what_a_gap_changes_is_said(
        seed: u64,
        contacts in 1_u64..40,
        pace_ms in prop_oneof![Just(2_000_u64), Just(60_000), Just(4_000_000)],
        first: usize,
        length in 1_usize..12,
        every in 1_usize..4,
        written in 0_usize..30,
    ) {
        let log = log(seed, contacts, pace_ms);
        let whole = fold(&log);
        let first = first % log.len();
        let taken: BTreeSet<usize> = (first..log.len().min(first + length)).step_by(every)
            .filter(|index| !matches!(
                log[*index].event,
                // A ticket that can't be written isn't one.
                Event::TicketOpened { .. } | Event::TicketAttached { .. }
                    | Event::ServiceStarted | Event::ServiceStopped
            ) && *index > 1)
            .collect();
        prop_assume!(!taken.is_empty());
        let times = || taken.iter().map(|index| log[*index].at);
        let gap = Event::JournalGap {
            count: taken.len() as u64,
            from: times().min().unwrap(),
            to: times().max().unwrap(),
        };
        let last = *taken.last().unwrap();
        let at = (last + 1 + written).min(log.len());
        let mut left: Vec<Stamped> = Vec::new();
        for (index, stamped) in log.iter().enumerate() {
            if index == at {
                left.push(Stamped { at: stamped.at, event: gap });
            }
            if !taken.contains(&index) {
                left.push(*stamped);
            }
        }
        if at == log.len() {
            left.push(Stamped { at: log[log.len() - 1].at, event: gap });
        }
        let less = fold(&left);
        prop_assert_eq!(naive::folded(&less), naive(&left));
        sums_hold(&less);
        let incomplete = less.incomplete(all());
        let (left, right) = (naive::folded(&less), naive::folded(&whole));
        for line in left.keys().chain(right.keys()) {
            // Who called again may stand in a gap long before.
            if left.get(line) == right.get(line) || line.ends_with("first contact") {
                continue;
            }
            let quarter = line.split('@').nth(1).and_then(|rest| rest.split(' ').next());
            let quarter = Quarter(quarter.unwrap().parse().unwrap());
            let said = incomplete.contains(&quarter)
                || line.starts_with("tickets")
                    && less.tickets_incomplete(&(quarter..Quarter(quarter.0 + 1)));
            prop_assert!(said, "{line}: {:?}, not {:?}", left.get(line), right.get(line));
        }
    }
}

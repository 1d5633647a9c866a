//! Stories: what is said to the distributor, and what it says.

mod desk;
mod order;

use acd::{AgentState, Class, FromAcd, OfferOutcome, Refusal, ToAcd};
use desk::{Desk, MS, S, agent, queue, setup};
use std::time::Duration;

#[test]
fn a_contact_is_offered_at_once_and_bridged_after_confirmation() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.check("standing c7 position 1 of 1 signed in; offer 0 c7 a1");
    desk.ringing(0);
    desk.check("");
    desk.accept(0);
    desk.check("confirm 0 c7");
    desk.accept(0);
    desk.check("confirm 0 c7");
    desk.check_state(1, AgentState::Talking);
    desk.finish(0);
    desk.finish(0);
    desk.check("finished 0; finished 0");
    desk.check_state(1, AgentState::WrapUp);
    desk.pass(10 * S);
    desk.check_state(1, AgentState::Available);
    desk.check_outcomes(&[(0, OfferOutcome::Accepted)]);
    assert_eq!(desk.wrapped_up, [(1, 7, 10 * S)]);
}

#[test]
fn a_sign_out_ends_after_call_work() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.ringing(0);
    desk.accept(0);
    desk.finish(0);
    desk.pass(4 * S);
    desk.sign_out(1);
    desk.check_state(1, AgentState::SignedOut);
    desk.sign_in(1);
    desk.pass(10 * S);
    // What is left of it when the phone comes back belongs to nobody.
    assert_eq!(desk.wrapped_up, [(1, 7, 4 * S)]);
}

#[test]
fn the_longest_idle_agent_of_the_lowest_rank_is_rung() {
    let mut setup = setup(&[(1, &[1]), (2, &[1]), (3, &[1])], &[queue(1)]);
    setup.agents[0].queues[0].rank = 1;
    let mut desk = Desk::new(setup);
    desk.sign_in(1);
    desk.pass(S);
    desk.sign_in(3);
    desk.pass(S);
    desk.sign_in(2);
    desk.wait(7, 1, 1, Class::Staff);
    desk.wait(8, 1, 1, Class::Staff);
    desk.wait(9, 1, 1, Class::Staff);
    desk.check_offers(&[(0, 7, 3), (1, 8, 2), (2, 9, 1)]);
}

#[test]
fn whoever_has_waited_longest_is_known_whatever_their_place() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1), queue(2)]));
    desk.pass(9 * S);
    assert_eq!(desk.oldest(1), None);
    // A patient stands behind staff who came later.
    desk.wait_since(7, Class::Patient, 2 * S);
    desk.wait_since(8, Class::Staff, 5 * S);
    assert_eq!(desk.waiting(1), [8, 7]);
    assert_eq!((desk.oldest(1), desk.oldest(2)), (Some(2 * S), None));
    // Being rung for is waiting; talking isn't.
    desk.leave(7, 1);
    desk.sign_in(1);
    assert_eq!(desk.oldest(1), Some(5 * S));
    desk.ringing(0);
    desk.accept(0);
    assert_eq!(desk.oldest(1), None);
}

#[test]
fn whoever_knows_a_contact_is_rung_first_and_nobody_waits_for_them() {
    let mut desk = Desk::new(setup(
        &[(1, &[1]), (2, &[1]), (3, &[2])],
        &[queue(1), queue(2)],
    ));
    for agent in [1, 2, 3] {
        desk.sign_in(agent);
        desk.pass(S);
    }
    // 1 has been idle longest, and 2 knows them.
    desk.wait_for(7, 2);
    desk.check_offers(&[(0, 7, 2)]);
    // Now 2 is busy, and 3 serves another queue: the first who is free.
    desk.wait_for(8, 3);
    desk.check_offers(&[(1, 8, 1)]);
    // Declined once, 2 isn't rung for it before anybody else again.
    desk.decline(1, Refusal::ContactGone);
    desk.decline(0, Refusal::Declined);
    desk.check_offers(&[(2, 7, 1)]);
}

#[test]
fn ring_no_answer_rests_the_agent_and_the_contact_keeps_its_place() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.ringing(0);
    desk.wait(8, 1, 1, Class::Staff);
    desk.pass(S);
    desk.sign_in(2);
    desk.check_offers(&[(0, 7, 1), (1, 8, 2)]);
    desk.ringing(1);
    desk.decline(0, Refusal::NoAnswer);
    desk.check("finished 0");
    desk.check_state(1, AgentState::Resting);
    // 2 is merely busy: 1 rests on.
    desk.pass(8 * S);
    desk.check_offers(&[]);
    desk.decline(1, Refusal::NoAnswer);
    // Now everybody rests, and 1 has done so longest. 7 came first.
    desk.check_offers(&[(2, 7, 1)]);
    desk.check_outcomes(&[(0, OfferOutcome::TimedOut), (1, OfferOutcome::TimedOut)]);
}

#[test]
fn alone_and_resting_an_agent_gets_a_breath_only() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.ringing(0);
    desk.decline(0, Refusal::Declined);
    desk.pass(1999 * MS);
    desk.check_offers(&[(0, 7, 1)]);
    desk.pass(MS);
    desk.check_offers(&[(1, 7, 1)]);
}

#[test]
fn a_rest_ends_by_itself_or_by_signing_in_again() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[1])], &[queue(1)]));
    for (again, after) in [(false, 30 * S), (true, S)] {
        desk.sign_in(1);
        let offer = desk.wait_for_offer(1);
        desk.decline(offer, Refusal::Unreachable);
        desk.leave(desk.last_contact(), 1);
        desk.check_state(1, AgentState::Resting);
        // The lease's renewal is no sign-in.
        desk.sign_in(1);
        desk.check_state(1, AgentState::Resting);
        if again {
            desk.sign_out(1);
            desk.pass(after);
            desk.sign_in(1);
        } else {
            desk.pass(after);
        }
        desk.check_state(1, AgentState::Available);
    }
}

#[test]
fn an_offer_is_repeated_until_heard_of_and_then_given_up() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.check_offers(&[(0, 7, 1)]);
    desk.pass(1200 * MS);
    desk.check_offers(&[(0, 7, 1), (0, 7, 1)]);
    desk.pass(1900 * MS);
    desk.check("offer 0 c7 a1; offer 0 c7 a1; offer 0 c7 a1; rescind 0 c7");
    // Nothing was heard of the contact since: it occupies nobody. The agent is
    // kept until the phone has certainly stopped ringing.
    desk.check_state(1, AgentState::Offered);
    desk.ringing(0);
    desk.check("refuse 0");
    desk.decline(0, Refusal::Rescinded);
    desk.check("finished 0");
    desk.check_state(1, AgentState::Available);
    desk.wait(7, 1, 1, Class::Staff);
    desk.check_offers(&[(1, 7, 1)]);
}

#[test]
fn a_lost_decline_ends_with_the_ringing() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.ringing(0);
    desk.sign_in(2);
    desk.outputs.clear();
    desk.pass_waiting(7, 1, 22 * S);
    desk.check_messages("rescind 0 c7; offer 1 c7 a2");
    desk.accept(0);
    desk.check("refuse 0");
    desk.check_state(1, AgentState::Resting);
}

#[test]
fn hanging_up_takes_the_offer_back_at_once() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.ringing(0);
    desk.check_offers(&[(0, 7, 1)]);
    desk.wait(8, 1, 1, Class::Staff);
    desk.leave(7, 1);
    desk.check_messages("rescind 0 c7; left c7; offer 1 c8 a1");
    desk.accept(0);
    desk.check("refuse 0");
    // Late and doubled.
    desk.wait(7, 1, 1, Class::Staff);
    desk.leave(7, 1);
    desk.check("left c7");
}

#[test]
fn a_later_stay_replaces_the_earlier_and_not_the_other_way_round() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[2])], &[queue(1), queue(2)]));
    desk.sign_in(1);
    desk.sign_in(2);
    desk.wait(7, 1, 1, Class::Staff);
    desk.wait(7, 2, 2, Class::Staff);
    desk.check_messages("offer 0 c7 a1; rescind 0 c7; offer 1 c7 a2");
    desk.wait(7, 1, 1, Class::Staff);
    desk.leave(7, 1);
    desk.check_messages("left c7");
    desk.accept(1);
    desk.check("confirm 1 c7");
}

#[test]
fn a_sign_out_takes_the_offer_back_and_lets_a_conversation_go_on() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.ringing(0);
    desk.sign_in(2);
    desk.outputs.clear();
    desk.sign_out(1);
    desk.check_messages("rescind 0 c7; offer 1 c7 a2");
    desk.accept(1);
    desk.sign_out(2);
    desk.check_state(2, AgentState::Talking);
    desk.finish(1);
    desk.check_state(2, AgentState::SignedOut);
    desk.sign_in(2);
    desk.check_state(2, AgentState::WrapUp);
}

#[test]
fn a_late_sign_out_or_sign_in_is_ignored() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.pass(100 * S);
    desk.sign_in(1);
    let at = Duration::from_secs(50);
    let until = Duration::from_secs(500);
    desk.say(ToAcd::SignOut {
        agent: agent(1),
        at,
    });
    desk.check_state(1, AgentState::Available);
    desk.sign_out(1);
    desk.say(ToAcd::SignIn {
        agent: agent(1),
        at,
        until,
    });
    desk.check_state(1, AgentState::SignedOut);
}

#[test]
fn every_lease_expires_by_itself() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.wait(8, 1, 1, Class::Staff);
    desk.accept(0);
    // 8 isn't heard of for ten seconds, the conversation for thirty, the phone for sixty.
    assert_eq!(desk.waiting(1), [8]);
    desk.pass(9999 * MS);
    assert_eq!(desk.waiting(1), [8]);
    desk.pass(MS);
    assert!(desk.waiting(1).is_empty());
    desk.pass(20 * S - MS);
    desk.check_state(1, AgentState::Talking);
    desk.pass(MS);
    desk.check_state(1, AgentState::Available);
    desk.pass(30 * S);
    desk.check_state(1, AgentState::SignedOut);
    // The conversation lives after all.
    desk.talking(0, 7, 1, 1);
    desk.check_state(1, AgentState::Talking);
    desk.finish(0);
    desk.talking(0, 7, 1, 1);
    desk.check_state(1, AgentState::SignedOut);
}

#[test]
fn an_empty_distributor_learns_of_conversations() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.sign_in(2);
    // A late `Wait` overtook the news that 7 is answered.
    desk.wait(7, 1, 1, Class::Staff);
    desk.check_offers(&[(0, 7, 1)]);
    desk.talking(1000, 7, 1, 2);
    desk.check_messages("rescind 0 c7");
    desk.check_state(2, AgentState::Talking);
    desk.wait(7, 1, 1, Class::Staff);
    desk.accept(0);
    desk.check("refuse 0");
    desk.finish(1000);
    desk.check_messages("finished 1000");
    desk.check_state(2, AgentState::WrapUp);
}

#[test]
fn whoever_talks_is_not_rung() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.check_offers(&[(0, 7, 1)]);
    desk.talking(1000, 9, 1, 1);
    desk.check_messages("rescind 0 c7");
    desk.check_state(1, AgentState::Talking);
    desk.finish(1000);
    desk.pass(8 * S);
    desk.wait(7, 1, 1, Class::Staff);
    desk.outputs.clear();
    desk.pass(2 * S);
    desk.check_offers(&[(1, 7, 1)]);
}

#[test]
fn a_new_distributor_listens_before_it_says_that_nobody_is_there() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.wait(7, 1, 1, Class::Staff);
    desk.check("");
    desk.pass(6 * S);
    desk.wait(7, 1, 1, Class::Staff);
    desk.check("standing c7 position 1 of 0 signed in");
}

#[test]
fn unknown_queues_and_other_tenants_queues_have_nobody_signed_in() {
    let mut setup = setup(&[(1, &[1])], &[queue(1)]);
    setup.queues[0].tenant = Some(acd::TenantId(2));
    let mut desk = Desk::new(setup);
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.wait(7, 1, 99, Class::Staff);
    desk.check("standing c7 position 1 of 0 signed in; standing c7 position 1 of 0 signed in");
}

#[test]
fn positions_follow_the_order_of_service() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(1, 1, 1, Class::Staff);
    for (contact, class) in [
        (2, Class::Patient),
        (3, Class::Staff),
        (4, Class::Clinician),
        (5, Class::Clinician),
        (6, Class::CareStopped),
    ] {
        desk.wait(contact, 1, 1, class);
    }
    assert_eq!(desk.waiting(1), [6, 4, 5, 3, 2]);
    desk.outputs.clear();
    desk.wait(3, 1, 1, Class::Staff);
    desk.check("standing c3 position 4 of 1 signed in");
    // A patient who has waited two minutes longer goes before staff. (Meanwhile
    // the agent's lease has ended, so 1 is back in line.)
    desk.pass_all_waiting(121 * S);
    desk.wait(9, 1, 1, Class::Staff);
    assert_eq!(desk.waiting(1), [6, 4, 5, 1, 3, 2, 9]);
}

#[test]
fn after_four_clinicians_the_overdue_have_a_turn() {
    let mut setup = setup(&[(1, &[1])], &[queue(1)]);
    setup.agents[0].wrap_up = Duration::ZERO;
    let mut desk = Desk::new(setup);
    for contact in 1..=3 {
        desk.wait(contact, 1, 1, Class::Patient);
    }
    desk.pass_all_waiting(301 * S);
    for contact in 11..=20 {
        desk.wait(contact, 1, 1, Class::Clinician);
    }
    desk.wait(30, 1, 1, Class::CareStopped);
    desk.sign_in(1);
    let served = desk.serve_all();
    assert_eq!(
        served,
        [30, 11, 12, 13, 14, 1, 15, 16, 17, 18, 2, 19, 20, 3]
    );
}

#[test]
fn reconfiguring_keeps_who_waits_and_who_talks() {
    let people: &[(u32, &[u32])] = &[(1, &[1]), (2, &[1, 2])];
    let mut desk = Desk::new(setup(people, &[queue(1), queue(2)]));
    desk.sign_in(1);
    desk.sign_in(2);
    desk.wait(7, 1, 1, Class::Staff);
    desk.accept(0);
    desk.wait(8, 1, 1, Class::Staff);
    desk.ringing(1);
    desk.wait(9, 1, 1, Class::Staff);
    desk.wait(10, 1, 2, Class::Staff);
    desk.outputs.clear();
    // Queue 2 closes, agent 2 leaves, agent 3 comes, and the indices move.
    let people: &[(u32, &[u32])] = &[(0, &[0]), (1, &[1]), (3, &[1])];
    desk.reconfigure(setup(people, &[queue(0), queue(1)]));
    desk.check_messages("rescind 1 c8");
    desk.check_state(1, AgentState::Talking);
    assert_eq!(desk.waiting(1), [8, 9]);
    desk.sign_in(3);
    desk.check_offers(&[(2, 8, 3)]);
    desk.ringing(2);
    desk.finish(0);
    desk.pass_waiting(9, 1, 10 * S);
    assert!(desk.messages().iter().any(|m| matches!(
        m,
        FromAcd::Offer { contact, agent: a, .. } if contact.0 == 9 && *a == agent(1)
    )));
    desk.outputs.clear();
    desk.wait(10, 1, 2, Class::Staff);
    desk.check("standing c10 position 1 of 0 signed in");
}

#[test]
fn a_decline_after_the_confirmation_lets_the_contact_wait_on() {
    let mut desk = Desk::new(setup(&[(1, &[1]), (2, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.accept(0);
    desk.check_messages("offer 0 c7 a1; confirm 0 c7");
    desk.decline(0, Refusal::Unreachable);
    desk.wait(7, 1, 1, Class::Staff);
    desk.check_messages("finished 0; offer 1 c7 a1");
}

#[test]
fn limits_hold() {
    let mut setup = setup(&[(1, &[1])], &[queue(1)]);
    setup.limits.waiting_max = 2;
    let mut desk = Desk::new(setup);
    desk.sign_in(1);
    for contact in 1..=3 {
        desk.wait(contact, 1, 1, Class::Staff);
    }
    assert_eq!(desk.waiting(1), [2]);
    desk.check(
        "standing c1 position 1 of 1 signed in; offer 0 c1 a1; \
         standing c2 position 1 of 1 signed in; standing c3 position 1 of 0 signed in",
    );
}

#[test]
fn what_is_told_late_of_a_conversation_does_not_bring_it_back() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    // Both were made by an earlier life; the end overtook the lease.
    desk.finish(1000);
    desk.talking(1000, 7, 1, 1);
    desk.check_state(1, AgentState::Available);
    // The contact waits anew, so its earlier conversation is over.
    desk.wait(8, 2, 1, Class::Staff);
    desk.talking(1001, 8, 1, 1);
    desk.check_state(1, AgentState::Offered);
    desk.accept(0);
    desk.check_messages("finished 1000; offer 0 c8 a1; confirm 0 c8");
}

#[test]
fn an_agent_of_two_announced_conversations_talks_until_both_are_over() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.talking(1000, 7, 1, 1);
    desk.talking(1001, 8, 1, 1);
    desk.finish(1000);
    desk.check_state(1, AgentState::Talking);
    desk.finish(1001);
    desk.check_state(1, AgentState::WrapUp);
}

#[test]
fn who_comes_while_everybody_rests_is_offered_at_once() {
    let mut desk = Desk::new(setup(&[(1, &[1])], &[queue(1)]));
    desk.sign_in(1);
    desk.wait(7, 1, 1, Class::Staff);
    desk.decline(0, Refusal::NoAnswer);
    desk.leave(7, 1);
    desk.pass(5 * S);
    desk.outputs.clear();
    desk.wait(8, 1, 1, Class::Staff);
    desk.check_offers(&[(1, 8, 1)]);
}

#[test]
fn a_turn_of_the_overdue_goes_to_the_longest_overdue_and_waits_for_care_stopped() {
    let mut setup = setup(&[(1, &[1, 2])], &[queue(1), queue(2)]);
    setup.agents[0].wrap_up = Duration::ZERO;
    let mut desk = Desk::new(setup);
    desk.wait(1, 1, 2, Class::Patient);
    desk.pass(S);
    desk.wait(2, 1, 1, Class::Patient);
    desk.pass_all_waiting(400 * S);
    for contact in 11..=16 {
        desk.wait(contact, 1, 1, Class::Clinician);
    }
    desk.sign_in(1);
    let mut served: Vec<_> = (0..3).filter_map(|_| desk.serve_next()).collect();
    // The fourth clinician is being offered; the next turn is due.
    desk.wait(30, 1, 1, Class::CareStopped);
    served.extend(desk.serve_all());
    assert_eq!(served, [11, 12, 13, 14, 30, 1, 15, 16, 2]);
}

//! The order of service, for every mixture of callers: what invariant 6 asks.

use std::time::Duration;

use acd::{Class, TenantId};
use proptest::prelude::*;

use crate::desk::{Desk, S, queue, setup};

const IN_A_ROW: usize = 4;

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        1 => Just(Class::CareStopped),
        3 => Just(Class::Clinician),
        3 => Just(Class::Staff),
        4 => Just(Class::Patient),
    ]
}

/// Who is served when all of these wait (in the order of their coming, one a
/// second) for a while, and then one agent takes them all.
fn served(classes: &[Class], wait: Duration) -> Vec<(usize, Class)> {
    let mut setup = setup(&[(1, &[1])], &[queue(1)]);
    setup.agents[0].wrap_up = Duration::ZERO;
    let mut desk = Desk::new(setup);
    for (index, class) in classes.iter().enumerate() {
        desk.wait_since(index as u64, *class, S * index as u32);
    }
    desk.pass(wait.max(S * classes.len() as u32));
    for (index, class) in classes.iter().enumerate() {
        desk.wait_since(index as u64, *class, S * index as u32);
    }
    desk.sign_in(1);
    let served = desk.serve_all();
    assert_eq!(served.len(), classes.len());
    let class = |&contact: &u64| (contact as usize, classes[contact as usize]);
    served.iter().map(class).collect()
}

fn places_of(served: &[(usize, Class)], class: Class) -> Vec<usize> {
    let places = served.iter().enumerate();
    let places = places.filter(|(_, (_, c))| *c == class);
    places.map(|(place, _)| place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overtakes_care_stopped(
        classes in prop::collection::vec(class(), 1..60),
        wait in 0..2000_u32,
    ) {
        let served = served(&classes, S * wait);
        let care = places_of(&served, Class::CareStopped);
        prop_assert_eq!(&care, &(0..care.len()).collect::<Vec<_>>());
    }

    #[test]
    fn each_class_is_served_in_the_order_of_coming(
        classes in prop::collection::vec(class(), 1..60),
        wait in 0..2000_u32,
    ) {
        let served = served(&classes, S * wait);
        for class in [Class::CareStopped, Class::Clinician, Class::Staff, Class::Patient] {
            let order: Vec<_> = served.iter().filter(|(_, c)| *c == class).collect();
            prop_assert!(order.is_sorted());
        }
    }

    #[test]
    fn a_clinicians_place_does_not_depend_on_how_many_patients_wait(
        clinicians in 1..20_usize,
        few in 5..10_usize,
        many in 10..300_usize,
        wait in 0..2000_u32,
    ) {
        let places = |patients: usize| {
            let mut classes = vec![Class::Patient; patients];
            classes.extend(vec![Class::Clinician; clinicians]);
            // Equally overdue: what differs is their number alone.
            let wait = S * (1000 + wait);
            places_of(&served(&classes, wait), Class::Clinician)
        };
        let many = places(many);
        prop_assert_eq!(places(few), many.clone());
        for (n, place) in many.iter().enumerate() {
            prop_assert!(*place <= n + n / IN_A_ROW);
        }
    }

    #[test]
    fn nobody_starves_while_clinicians_keep_coming(
        patients in 1..12_usize,
        row in 0..5_usize,
    ) {
        let mut setup = setup(&[(1, &[1])], &[queue(1)]);
        setup.agents[0].wrap_up = Duration::ZERO;
        let mut desk = Desk::new(setup);
        for patient in 0..patients {
            desk.wait_since(patient as u64, Class::Patient, Duration::ZERO);
        }
        desk.pass(9 * S);
        // Overdue after five minutes; from then on each has a turn within five.
        let mut served = Vec::new();
        let mut clinician = 1000;
        for _ in 0..row {
            clinician += 1;
            desk.wait_since(clinician, Class::Clinician, Duration::ZERO);
        }
        desk.sign_in(1);
        let mut turns_since_overdue = 0;
        while served.iter().filter(|c| **c < 1000).count() < patients {
            // There are always clinicians waiting.
            for _ in 0..2 {
                clinician += 1;
                desk.wait_since(clinician, Class::Clinician, desk.now());
            }
            served.extend(desk.serve_next());
            desk.pass_all_waiting(2 * S);
            desk.sign_in(1);
            if desk.now() > 302 * S {
                turns_since_overdue += 1;
            }
            prop_assert!(turns_since_overdue <= (IN_A_ROW + 1) * (patients + 1));
        }
    }

    #[test]
    fn staff_and_patients_age_alike(
        patient_first_by in 0..300_u32,
        wait in 0..100_u32,
    ) {
        let mut setup = setup(&[(1, &[1])], &[queue(1)]);
        setup.agents[0].wrap_up = Duration::ZERO;
        let mut desk = Desk::new(setup);
        desk.pass(S * 300);
        desk.wait_since(1, Class::Patient, S * (300 - patient_first_by));
        desk.wait_since(2, Class::Staff, S * 300);
        desk.pass(S * wait);
        desk.wait_since(1, Class::Patient, S * (300 - patient_first_by));
        desk.wait_since(2, Class::Staff, S * 300);
        desk.sign_in(1);
        let expected = if patient_first_by >= 120 { [1, 2] } else { [2, 1] };
        prop_assert_eq!(desk.serve_all(), expected);
    }
}

/// In which order one agent serves callers of two hospitals, given as (hospital, class, came at second), numbered from 0
/// and announced in the order of `announced`.
fn served_of(callers: &[(u32, Class, u32)], announced: &[usize]) -> Vec<u64> {
    let mut setup = setup(&[(1, &[1])], &[queue(1)]);
    setup.agents[0].wrap_up = Duration::ZERO;
    let mut desk = Desk::new(setup);
    desk.pass(S * 2_000);
    for &index in announced {
        let (tenant, class, came) = callers[index];
        desk.wait_from(tenant, index as u64, class, S * came);
    }
    desk.sign_in(1);
    desk.serve_all()
}

fn served_in_turn(callers: &[(u32, Class, u32)]) -> Vec<u64> {
    served_of(callers, &(0..callers.len()).collect::<Vec<_>>())
}

#[test]
fn a_surge_at_one_hospital_is_that_hospitals_wait() {
    // Sixty at hospital 1 within a minute, then one at hospital 2 every two minutes.
    let mut callers: Vec<_> = (0..60).map(|second| (1, Class::Staff, second)).collect();
    callers.extend((0..5).map(|n| (2, Class::Staff, 60 + 120 * n)));
    let order = served_in_turn(&callers);
    let places: Vec<_> = (60..65)
        .map(|c| order.iter().position(|o| *o == c))
        .collect();
    // Half a minute apart: three of hospital 1 count as having come within the first 60 s, four more within each 120 s.
    assert_eq!(places, [Some(3), Some(8), Some(13), Some(18), Some(23)]);
    let firsts: Vec<_> = order.iter().filter(|c| **c < 60).collect();
    assert!(firsts.is_sorted(), "{order:?}");
}

#[test]
fn who_waits_alone_loses_nothing_and_owes_nothing() {
    let mut setup = setup(&[(1, &[1])], &[queue(1)]);
    setup.agents[0].wrap_up = Duration::ZERO;
    let mut desk = Desk::new(setup);
    desk.pass(S * 100);
    for contact in 0..10 {
        desk.wait_from(1, contact, Class::Staff, desk.now());
    }
    desk.sign_in(1);
    assert_eq!(desk.serve_all(), (0..10).collect::<Vec<_>>());
    // All served: the next one of the same hospital comes when it comes.
    desk.sign_out(1);
    desk.pass(S);
    desk.wait_from(1, 20, Class::Staff, desk.now());
    desk.pass(S);
    desk.wait_from(2, 21, Class::Staff, desk.now());
    desk.sign_in(1);
    assert_eq!(desk.serve_all(), [20, 21]);
}

#[test]
fn a_hospitals_own_queue_and_stopped_care_keep_the_order_of_coming() {
    let mut own = queue(1);
    own.tenant = Some(TenantId(1));
    let mut desk = Desk::new(setup(&[(1, &[1])], &[own]));
    desk.pass(S * 100);
    desk.wait_from(1, 1, Class::Patient, Duration::ZERO);
    desk.wait_from(1, 2, Class::Patient, S);
    desk.wait_from(1, 3, Class::Staff, S * 130);
    assert_eq!(desk.waiting(1), [3, 1, 2]);

    let care = |tenant, came| (tenant, Class::CareStopped, came);
    assert_eq!(
        served_in_turn(&[care(1, 0), care(1, 1), care(2, 2), care(1, 3)]),
        [0, 1, 2, 3]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a distributor that starts empty hears in any order gives the order in which they came.
    #[test]
    fn places_do_not_depend_on_who_is_announced_first(
        callers in prop::collection::vec((1..4_u32, class(), 0..200_u32), 1..30),
        shuffle in any::<prop::sample::Index>(),
        rotate in any::<prop::sample::Index>(),
    ) {
        let mut callers = callers;
        callers.sort_by_key(|(_, _, came)| *came);
        let mut announced: Vec<usize> = (0..callers.len()).collect();
        let expected = served_of(&callers, &announced);
        announced.rotate_left(rotate.index(callers.len()));
        announced.swap(0, shuffle.index(callers.len()));
        let half = callers.len() / 2;
        announced[half..].reverse();
        prop_assert_eq!(served_of(&callers, &announced), expected);
    }

    /// A hospital's caller is behind at most so many of another's, however many those are.
    #[test]
    fn a_hospitals_share_is_bounded(surge in 1..300_usize, after in 0..600_u32) {
        let mut callers = vec![(1, Class::Clinician, 0); surge];
        callers.push((2, Class::Clinician, after));
        let order = served_in_turn(&callers);
        let place = order.iter().position(|c| *c == surge as u64);
        let ahead = (after as usize / 30 + 1).min(surge);
        prop_assert_eq!(place, Some(ahead));
    }
}

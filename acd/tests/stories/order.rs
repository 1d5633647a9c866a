//! The order of service, for every mixture of callers: what invariant 6 asks.

use std::time::Duration;

use acd::Class;
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

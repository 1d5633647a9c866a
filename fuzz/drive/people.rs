//! Imports of people: an input is a file, behind a byte that says of which kind. What comes of it is taken twice: the
//! second time nothing changes.

use std::sync::Arc;

use desk::people::import::{
    Batch, Context, FAULTS_TOLD_MAX, Missing, Policy, Told, csv, fhir, plan,
};
use desk::people::{IMPORTED_FIRST, Register};
use desk::{Directory, NumberRule};

use super::bounds::within;

const NOW: i64 = 1_795_348_800_000;

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let (kind, file) = input
        .split_first()
        .map_or((0, input), |(kind, file)| (*kind, file));
    let rule = NumberRule::default();
    let context = Context {
        rule: &rule,
        now: NOW,
        zone: (kind & 2 == 0).then_some("America/Chicago"),
    };
    let read = || match kind & 1 {
        0 => csv(file, context),
        _ => fhir(file, context),
    };
    // A fault of some hundred bytes is made of a few.
    let batch = within(file.len(), 1_000, 2_000_000, read);
    is_sound(&batch);
    let policy = Policy {
        missing: if kind & 4 == 0 {
            Missing::Keep
        } else {
            Missing::Remove
        },
        skip_bad_rows: true,
        remove_many: true,
    };
    let mut register = Register::default();
    let first = plan(&register, "hr", batch, policy, NOW);
    register.apply(&first.changes);
    assert_eq!(register.profiles().len(), first.report.added);
    assert!(register.next().0 as usize >= IMPORTED_FIRST.0 as usize + first.report.added);
    let second = plan(&register, "hr", read(), policy, NOW + 1);
    assert_eq!(
        second.changes.len(),
        second.untold.0.len(),
        "the second import changes something, and not only what is sealed anew"
    );
    let text = first.report.text(Some(&first.changes));
    assert!(text.len() < 1_000_000, "a report of {} bytes", text.len());
    for profile in register.profiles() {
        let text = serde_json::to_string(profile).expect("a profile can be written");
        let again: desk::people::Profile = serde_json::from_str(&text).expect("and read");
        assert!(again == **profile, "and is the same");
        if let Some(availability) = &profile.record.availability {
            let windows = availability.windows(NOW, NOW + 30 * 86_400_000);
            assert!(windows.iter().all(|window| window.from < window.to));
            assert!(windows.windows(2).all(|pair| pair[0].to < pair[1].from));
        }
    }
    let mut directory = Directory::new(rule, Vec::new(), Vec::new()).expect("an empty one");
    directory
        .extend(register.profiles().map(Arc::clone))
        .expect("ids are given once");
    for number in register
        .profiles()
        .flat_map(|profile| &profile.record.numbers)
    {
        let found = directory.find(Some(&number.number));
        let _ = directory.caller(found);
    }
}

fn is_sound(batch: &Batch) {
    assert!(batch.faults.kept().len() <= FAULTS_TOLD_MAX.min(batch.faults.count()));
    for fault in batch.faults.kept() {
        assert!(!fault.what.is_empty() && fault.what.len() < 2_000);
    }
    for row in &batch.rows {
        assert!(!row.external.is_empty());
        if let Told::Here { record, .. } = &row.told {
            assert!(!record.name.is_empty() && !record.spoken.is_empty());
        }
    }
}

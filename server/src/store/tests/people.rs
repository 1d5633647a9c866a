//! People: all of an import or nothing of it, on both databases.

use std::collections::BTreeMap;

use desk::people::{Change, Kind, Profile, Record};

use super::*;

on_both!(
    people_come_back_as_they_were,
    an_import_that_was_cut_off_means_nothing,
    hospitals_with_equal_ids_do_not_mix,
    people_do_not_keep_a_store_open,
);

fn profile(id: u32, version: u32, name: &str) -> Arc<Profile> {
    Arc::new(Profile {
        id: PersonId(id),
        version,
        origin: desk::people::Origin {
            source: "hr".into(),
            external: id.to_string(),
        },
        record: Record::new(Kind::Patient, name, name),
    })
}

fn put(id: u32, version: u32, name: &str) -> Change {
    Change::Put(profile(id, version, name))
}

fn names(people: &StoredPeople) -> Vec<(u32, u32, &str)> {
    let told = |p: &Arc<Profile>| (p.id.0, p.version);
    let profiles = people.profiles.iter();
    profiles
        .map(|p| (told(p).0, told(p).1, p.record.name.as_str()))
        .collect()
}

fn open(place: &Place) -> Store {
    Store::open(&place.database, Settings::default(), 0, |_| {})
        .expect("a store")
        .0
}

fn people_come_back_as_they_were(place: &Place) {
    let store = open(place);
    let people = store.people();
    assert_eq!(people.load(TENANT).unwrap().next, 0);
    let many: Vec<_> = (0..1_200)
        .map(|n| put(1_000_000 + n, 1, "It's \u{e9}\""))
        .collect();
    people
        .import(TENANT, "hr", 7, &many, &BTreeMap::new(), &[])
        .unwrap();
    assert_eq!(people.load(TENANT).unwrap().profiles.len(), 1_200);
    let changes = [
        put(1_000_000, 2, "Anna"),
        Change::Remove {
            person: PersonId(1_001_199),
            version: 2,
        },
    ];
    // The versions of before are still there: who reads is told of them.
    people
        .import(TENANT, "hr", 8, &changes, &BTreeMap::new(), &[])
        .unwrap();
    drop(store);
    let store = open(place);
    let people = store.people();
    let found = people.load(TENANT).unwrap();
    assert_eq!(found.profiles.len(), 1_199);
    assert_eq!(names(&found)[0], (1_000_000, 2, "Anna"));
    // The id of somebody who is gone is never given again.
    assert_eq!(found.next, 1_001_200);
    let stale = [(PersonId(1_000_000), 1), (PersonId(1_001_199), 1)];
    assert_eq!(found.stale, stale);
    let more = [put(1_000_001, 2, "Ben")];
    people
        .import(TENANT, "hr", 9, &more, &BTreeMap::new(), &found.stale)
        .unwrap();
    let found = people.load(TENANT).unwrap();
    assert_eq!(found.stale, [(PersonId(1_000_001), 1)]);
    assert_eq!(found.profiles.len(), 1_199);
}

fn an_import_that_was_cut_off_means_nothing(place: &Place) {
    let store = open(place);
    let people = store.people();
    let many = |version, name: &str| -> Vec<_> {
        let ids = 1_000_000..1_000_700;
        ids.map(|id| put(id, version, name)).collect()
    };
    people
        .import(TENANT, "hr", 1, &many(1, "Anna"), &BTreeMap::new(), &[])
        .unwrap();
    // Hundreds of rows are on disk when one can't be written: it is there already.
    let mut cut_off = many(2, "Bella");
    cut_off.push(put(1_000_000, 1, "Anna"));
    assert!(
        people
            .import(TENANT, "hr", 2, &cut_off, &BTreeMap::new(), &[])
            .is_err()
    );
    let is_anna = |people: &StoredPeople| {
        let mut names = names(people).into_iter();
        assert!(names.all(|(_, version, name)| version == 1 && name == "Anna"));
        assert_eq!((people.profiles.len(), people.stale.len()), (700, 0));
    };
    is_anna(&people.load(TENANT).unwrap());
    drop(store);
    let store = open(place);
    let people = store.people();
    is_anna(&people.load(TENANT).unwrap());
    // The same versions are free again.
    let stale: Vec<_> = (1_000_000..1_000_700).map(|id| (PersonId(id), 1)).collect();
    people
        .import(TENANT, "hr", 3, &many(2, "Clara"), &BTreeMap::new(), &stale)
        .unwrap();
    let found = people.load(TENANT).unwrap();
    assert_eq!((found.profiles.len(), found.stale.len()), (700, 0));
    assert_eq!(names(&found)[699], (1_000_699, 2, "Clara"));
}

fn hospitals_with_equal_ids_do_not_mix(place: &Place) {
    let store = open(place);
    let people = store.people();
    let other = TenantId(2);
    people
        .import(
            TENANT,
            "hr",
            1,
            &[put(1_000_000, 1, "Anna")],
            &BTreeMap::new(),
            &[],
        )
        .unwrap();
    people
        .import(
            other,
            "hr",
            1,
            &[put(1_000_000, 1, "Berta")],
            &BTreeMap::new(),
            &[],
        )
        .unwrap();
    let gone = Change::Remove {
        person: PersonId(1_000_000),
        version: 2,
    };
    people
        .import(
            TENANT,
            "hr",
            2,
            &[gone],
            &BTreeMap::new(),
            &[(PersonId(1_000_000), 1)],
        )
        .unwrap();
    assert_eq!(names(&people.load(TENANT).unwrap()), []);
    assert_eq!(
        names(&people.load(other).unwrap()),
        [(1_000_000, 1, "Berta")]
    );
}

fn people_do_not_keep_a_store_open(place: &Place) {
    let store = open(place);
    let people = store.people();
    drop(store);
    let refused = people.import(
        TENANT,
        "hr",
        1,
        &[put(1_000_000, 1, "Anna")],
        &BTreeMap::new(),
        &[],
    );
    assert!(matches!(refused, Err(PeopleError::Busy)), "{refused:?}");
}

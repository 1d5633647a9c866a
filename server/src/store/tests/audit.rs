//! The audit's chain, and the tokens, on both databases.

use super::*;

on_both!(
    rows_are_a_chain_for_each_tenant,
    a_row_changed_behind_our_back_is_found,
    tokens_come_back_as_they_were,
);

fn entry(tenant: u32, action: &str) -> AuditEntry {
    AuditEntry {
        tenant: TenantId(tenant),
        at: 5,
        token: 9,
        action: action.to_owned(),
        objects: "7 8".to_owned(),
    }
}

fn rows(place: &Place, tenant: u32) -> Vec<(u64, String)> {
    let rows = place.reader().audit_after(TenantId(tenant), 0, 100);
    let rows = rows.unwrap().into_iter();
    rows.map(|row| (row.seq, row.entry.action)).collect()
}

fn rows_are_a_chain_for_each_tenant(place: &Place) {
    for start in 0..2 {
        let bench = Bench::open(place, Settings::default());
        let api = bench.store.api();
        api.audit(vec![entry(1, "a"), entry(2, "a"), entry(1, "b")])
            .unwrap();
        api.audit(vec![entry(1, "c")]).unwrap();
        assert_eq!(rows(place, 1).len(), 3 * (start + 1));
    }
    let told = ["a", "b", "c", "a", "b", "c"].map(str::to_owned);
    assert_eq!(rows(place, 1), (1..).zip(told).collect::<Vec<_>>());
    let reader = place.reader();
    assert_eq!(reader.audited().unwrap(), [TenantId(1), TenantId(2)]);
    let one = reader.verify_audit(TenantId(1)).unwrap();
    assert_eq!((one.rows, one.broken), (6, None));
    let two = reader.verify_audit(TenantId(2)).unwrap();
    assert_eq!((two.rows, two.broken), (2, None));
    // The same rows in another chain are other rows.
    assert_ne!(one.head, two.head);
}

fn a_row_changed_behind_our_back_is_found(place: &Place) {
    let bench = Bench::open(place, Settings::default());
    let api = bench.store.api();
    api.audit(["a", "b", "c", "d"].map(|action| entry(1, action)).into())
        .unwrap();
    drop(bench);
    let other = place.other();
    assert!(
        other.batch("UPDATE audit SET token = 1").is_err(),
        "append-only"
    );
    assert!(other.batch("DELETE FROM audit").is_err(), "append-only");
    let on = match place.is_postgres() {
        true => " ON audit",
        false => "",
    };
    for way in ["update", "delete"] {
        let sql = format!("DROP TRIGGER audit_is_append_only_{way}{on}");
        other.batch(&sql).unwrap();
    }
    let found = |sql: &str| {
        other.batch(sql).unwrap();
        let walked = place.reader().verify_audit(TenantId(1)).unwrap();
        (walked.rows, walked.broken)
    };
    assert_eq!(
        found("UPDATE audit SET token = 1 WHERE seq = 3"),
        (2, Some(Broken::Changed(3)))
    );
    assert_eq!(found("UPDATE audit SET token = 9 WHERE seq = 3"), (4, None));
    assert_eq!(
        found("UPDATE audit SET objects = '7 ', action = '8' || action WHERE seq = 4"),
        (3, Some(Broken::Changed(4)))
    );
    assert_eq!(
        found("DELETE FROM audit WHERE seq = 2"),
        (1, Some(Broken::Missing(2)))
    );
}

fn tokens_come_back_as_they_were(place: &Place) {
    let bench = Bench::open(place, Settings::default());
    let api = bench.store.api();
    let token = |tenant: Option<u32>, hash: u8| StoredToken {
        token: 0,
        tenant: tenant.map(TenantId),
        name: "It's a wallboard".to_owned(),
        scopes: "events:read".to_owned(),
        hash: [hash; 32],
        created_at: 5,
        expires_at: 50,
        revoked_at: None,
    };
    assert_eq!(api.create(token(Some(1), 1)).unwrap(), 1);
    assert_eq!(api.create(token(None, 2)).unwrap(), 2);
    assert!(api.revoke(1, 6).unwrap());
    assert!(!api.revoke(1, 7).unwrap() && !api.revoke(3, 7).unwrap());
    drop(bench);
    let expected = [
        StoredToken {
            token: 1,
            revoked_at: Some(6),
            ..token(Some(1), 1)
        },
        StoredToken {
            token: 2,
            ..token(None, 2)
        },
    ];
    assert_eq!(place.reader().tokens().unwrap(), expected);
    let told = ["token.create", "token.revoke"].map(str::to_owned);
    assert_eq!(rows(place, 1), (1..).zip(told).collect::<Vec<_>>());
    assert_eq!(rows(place, 0), [(1, "token.create".to_owned())]);
    let refused = api.audit(vec![entry(1, "a")]);
    assert!(matches!(refused, Err(ApiStoreError::Busy)), "{refused:?}");
}

//! Whom one concerns, and how it is written.

use super::*;
use crate::event::Event;
use crate::message::{ContactId, PromiseId};
use crate::tickets::ReasonCode;

fn check(event: Event, json: &str) {
    let mut out = Vec::new();
    event.encode(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), json);
    assert_eq!(
        Event::decode(Event::VERSION, json.as_bytes()).unwrap(),
        event
    );
}

/// The stored form is a promise to every log ever written: a failure here
/// means a new version, not a new expectation.
#[test]
fn stored_form() {
    let incident = IncidentId(5);
    let contact = ContactId(7);
    check(
        Event::IncidentDrafted {
            incident,
            scope: IncidentScope {
                reason: ReasonCode::new("ehr"),
                roles: Audience::of(&[Role::Staff, Role::Clinician]),
                places: Places::of(&[PersonId(9), PersonId(2), PersonId(9)]).unwrap(),
                ..IncidentScope::default()
            },
            by: IncidentBy::Alert,
            alert: Some(AlertId(0x00ab_cdef_0123_4567)),
            expires_at: 30,
        },
        r#"{"type":"incident.drafted","incident":5,"reason":"ehr","roles":["clinician","staff"],"places":[2,9],"by":"alert","alert":"00abcdef01234567","expires_at":30}"#,
    );
    check(
        Event::IncidentDrafted {
            incident,
            scope: IncidentScope::default(),
            by: IncidentBy::Calls,
            alert: None,
            expires_at: 30,
        },
        r#"{"type":"incident.drafted","incident":5,"by":"calls","expires_at":30}"#,
    );
    check(
        Event::IncidentDrafted {
            incident,
            scope: IncidentScope {
                surge: true,
                rehearsal: true,
                ..IncidentScope::default()
            },
            by: IncidentBy::Administrator,
            alert: None,
            expires_at: 30,
        },
        r#"{"type":"incident.drafted","incident":5,"surge":true,"rehearsal":true,"by":"administrator","expires_at":30}"#,
    );
    check(
        Event::IncidentPublished {
            incident,
            by: IncidentBy::Agent(AgentId(3)),
        },
        r#"{"type":"incident.published","incident":5,"by":{"agent":3}}"#,
    );
    check(
        Event::IncidentUpdated {
            incident,
            by: IncidentBy::Token(4),
            scope: IncidentScope::default(),
            expires_at: 40,
        },
        r#"{"type":"incident.updated","incident":5,"by":{"token":4},"expires_at":40}"#,
    );
    check(
        Event::IncidentAttached {
            incident,
            ticket: TicketId(1),
        },
        r#"{"type":"incident.attached","incident":5,"ticket":1}"#,
    );
    check(
        Event::IncidentSubscribed { incident, contact },
        r#"{"type":"incident.subscribed","incident":5,"contact":7}"#,
    );
    check(
        Event::IncidentOwed {
            incident,
            contact,
            promise: PromiseId(2),
        },
        r#"{"type":"incident.owed","incident":5,"contact":7,"promise":2}"#,
    );
    check(
        Event::IncidentClosed {
            incident,
            by: IncidentBy::System,
            why: Closing::Expired,
        },
        r#"{"type":"incident.closed","incident":5,"by":"system","why":"expired"}"#,
    );
    check(
        Event::ContactInformed { contact, incident },
        r#"{"type":"contact.informed","contact":7,"incident":5}"#,
    );
    check(
        Event::ContactDeflected { contact, incident },
        r#"{"type":"contact.deflected","contact":7,"incident":5}"#,
    );
}

#[test]
fn whom_it_concerns() {
    let ehr = ReasonCode::new("ehr");
    let theatre = PersonId(9);
    let scope = |roles: &[Role], places: &[PersonId], reason| IncidentScope {
        reason,
        roles: Audience::of(roles),
        places: Places::of(places).unwrap(),
        ..IncidentScope::default()
    };
    let caller = |role, place, about| Concern {
        role,
        place,
        about,
        ours: false,
    };
    let check = |scope: IncidentScope, of: Concern, expected: bool| {
        assert_eq!(scope.concerns(of), expected, "{scope:?} {of:?}");
    };
    let everybody = scope(&[], &[], None);
    check(everybody, Concern::default(), true);
    check(everybody, caller(None, None, ehr), true);
    let about = scope(&[], &[], ehr);
    check(about, Concern::default(), true);
    check(about, caller(None, None, ehr), true);
    check(about, caller(None, None, ReasonCode::new("wifi")), false);
    let staff = scope(&[Role::Staff], &[], None);
    check(staff, caller(Some(Role::Staff), None, None), true);
    check(staff, caller(Some(Role::Patient), None, None), false);
    check(staff, Concern::default(), false);
    let there = scope(&[], &[theatre], None);
    check(there, caller(None, Some(theatre), None), true);
    check(there, caller(Some(Role::Clinician), None, None), false);
    check(there, caller(None, Some(PersonId(8)), None), false);
    let rehearsed = IncidentScope {
        surge: true,
        rehearsal: true,
        ..IncidentScope::default()
    };
    check(rehearsed, Concern::default(), false);
    let ours = Concern {
        ours: true,
        ..Concern::default()
    };
    check(rehearsed, ours, true);
    let too_many: Vec<_> = (0..7).map(PersonId).collect();
    assert_eq!(Places::of(&too_many), None);
}

#[test]
fn words_are_a_line() {
    let words = |text: &str| Words::new(text).map(|words| words.as_str().to_owned());
    assert_eq!(
        words("  The record\n is down. "),
        Ok("The record is down.".to_owned())
    );
    assert_eq!(words(" \n"), Err(NotWords));
    assert_eq!(words("\u{7}"), Err(NotWords));
    assert_eq!(words(&"a".repeat(601)), Err(NotWords));
}

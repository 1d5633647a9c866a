//! Callers show who they are.

use super::*;
use crate::people::{Factor, Level};
use crate::verification::{CheckOutcome, Method, PersonKey, VerifyReply};

const OKAFOR: PersonId = PersonId(1);

const STAFF: [Factor; 3] = [Factor::StaffNumber, Factor::Pin, Factor::BirthDate];

impl Story {
    /// The clinician calls and is identified.
    fn calls(&mut self, contact: ContactId) {
        let ani = Some(phone("+15035550101"));
        let start = What::Start {
            dnis: phone("+15035550000"),
            ani: ani.clone(),
            flow: None,
        };
        for what in [start, What::Identify { ani }] {
            self.commands += 1;
            self.again(self.commands, 1, contact, what);
            self.answers.pop_front().expect("an answer");
        }
    }

    fn asks_to_show(&mut self, contact: ContactId, level: Level) -> VerifyReply {
        self.commands += 1;
        self.again(self.commands, 1, contact, What::Verify { level });
        self.verify_answer().expect("an answer")
    }

    fn verify_answer(&mut self) -> Option<VerifyReply> {
        match self.answers.pop_front()?.reply {
            Reply::Verify(reply) => Some(reply),
            other => panic!("{other:?}"),
        }
    }

    fn checked(
        &mut self,
        tenant: u32,
        contact: ContactId,
        person: Option<PersonId>,
        fits: bool,
    ) -> Option<VerifyReply> {
        self.commands += 1;
        self.input(Input::Checked(Checked {
            id: CommandId(self.commands),
            tenant: TenantId(tenant),
            contact,
            at: self.now.as_millis() as i64,
            outcome: Some(CheckOutcome { person, fits }),
        }));
        self.verify_answer()
    }

    fn wrong(&mut self, contact: ContactId, person: Option<PersonId>) -> VerifyReply {
        self.checked(1, contact, person, false).expect("at once")
    }

    /// All that is to be written, as JSON.
    fn written(&mut self) -> Vec<String> {
        self.wait(1_000);
        let mut written = Vec::new();
        while let Some(commit) = self.commits.front() {
            for event in &commit.events {
                let mut json = Vec::new();
                event.event.encode(&mut json);
                written.push(String::from_utf8(json).unwrap());
            }
            self.commit(true);
        }
        written
    }
}

fn ask() -> VerifyReply {
    VerifyReply::Ask {
        factors: STAFF.to_vec(),
        hint: Some(OKAFOR),
    }
}

#[test]
fn who_has_shown_it_is_told_so_when_it_is_on_disk_and_keeps_it() {
    let mut story = Story::new(Limits::default());
    story.calls(CONTACT);
    assert_eq!(story.asks_to_show(CONTACT, Level::Verified), ask());
    assert_eq!(story.checked(1, CONTACT, Some(OKAFOR), true), None);
    let names = ["contact.started", "contact.identified", "contact.verified"];
    assert_eq!(story.commit(true), names);
    let verified = VerifyReply::Verified {
        level: Level::Verified,
        who: Some((
            Caller::Person {
                person: OKAFOR,
                role: Role::Clinician,
                spoken_name: Some("Doctor Okafor".into()),
                display_name: Some("Doctor Okafor".into()),
                traits: Traits::default(),
            },
            PersonKey("1".into()),
        )),
    };
    assert_eq!(story.verify_answer(), Some(verified.clone()));
    // Nothing is asked again, not after a hand-over either.
    story.journey(Journey::Queued { queue: QueueId(1) });
    story.journey(Journey::Connected { agent: AgentId(9) });
    let (by, why) = (AgentId(9), None);
    story.journey(Journey::Escalated { by, why });
    assert_eq!(story.asks_to_show(CONTACT, Level::Verified), verified);
    assert_eq!(story.asks_to_show(CONTACT, Level::Confirmed), verified);
    let facts = story.desk.facts(CONTACT).expect("known");
    assert_eq!(facts.verified, Some((OKAFOR, Level::Verified)));
}

#[test]
fn three_wrong_answers_and_a_person() {
    for person in [Some(OKAFOR), None, Some(PersonId(99))] {
        let mut story = Story::new(Limits::default());
        story.calls(CONTACT);
        assert_eq!(story.asks_to_show(CONTACT, Level::Verified), ask());
        assert_eq!(story.wrong(CONTACT, person), VerifyReply::Again);
        assert_eq!(story.wrong(CONTACT, person), VerifyReply::Again);
        assert_eq!(story.wrong(CONTACT, person), VerifyReply::Locked);
        // The right answer comes too late, whoever asks.
        let late = story.checked(1, CONTACT, Some(OKAFOR), true);
        assert_eq!(late, Some(VerifyReply::Locked));
        assert_eq!(
            story.asks_to_show(CONTACT, Level::Verified),
            VerifyReply::Locked
        );
        // Whether there is such a person makes no difference to what is kept.
        let failed = r#"{"type":"contact.verified","contact":7,"passed":false,"method":"factors","level":2}"#;
        let written = story.written();
        assert_eq!(written[2..], [failed; 4], "{written:?}");
        assert_eq!(story.desk.facts(CONTACT).expect("known").verified, None);
    }
}

#[test]
fn what_is_told_twice_counts_once() {
    let mut story = Story::new(Limits::default());
    story.calls(CONTACT);
    story.asks_to_show(CONTACT, Level::Verified);
    let person = Some(OKAFOR);
    for _ in 0..2 {
        assert_eq!(story.wrong(CONTACT, person), VerifyReply::Again);
        story.commands -= 1;
        assert_eq!(story.checked(1, CONTACT, person, false), None);
        story.commands -= 1;
        assert_eq!(story.checked(1, CONTACT, person, true), None);
    }
    assert_eq!(story.checked(1, CONTACT, person, true), None);
    story.commit(true);
    let last = story.verify_answer();
    assert!(
        matches!(last, Some(VerifyReply::Verified { .. })),
        "{last:?}"
    );
}

/// What is answered, and when, is the same for who exists and who doesn't.
#[test]
fn no_is_one_answer() {
    let play = |person, fits| {
        let mut story = Story::new(Limits::default());
        story.calls(CONTACT);
        story.asks_to_show(CONTACT, Level::Confirmed);
        story.checked(1, CONTACT, person, fits)
    };
    assert_eq!(play(None, false), Some(VerifyReply::Again));
    assert_eq!(play(Some(OKAFOR), false), Some(VerifyReply::Again));
    // Somebody who isn't in the directory any more.
    assert_eq!(play(Some(PersonId(99)), true), Some(VerifyReply::Again));
}

#[test]
fn hanging_up_spares_nobody_a_wrong_answer() {
    let mut story = Story::new(Limits::default());
    for n in 0..6 {
        let contact = ContactId(100 + n);
        story.calls(contact);
        assert_eq!(story.asks_to_show(contact, Level::Verified), ask());
        story.commands += 1;
        let cause = EndCause::CallerHungUp;
        let ended = What::Journey(Journey::Ended { cause });
        story.again(story.commands, 1, contact, ended);
        story.expect(Reply::Noted);
        // Told after the end, and counted.
        story.wrong(contact, Some(OKAFOR));
    }
    story.calls(CONTACT);
    assert_eq!(
        story.asks_to_show(CONTACT, Level::Verified),
        VerifyReply::Locked
    );
    story.wait(3_600_000);
    assert_eq!(story.asks_to_show(CONTACT, Level::Verified), ask());
    // The person is locked for longer: the same words as for a wrong answer.
    let right = story.checked(1, CONTACT, Some(OKAFOR), true);
    assert_eq!(right, Some(VerifyReply::Again));
    story.wait(24 * 3_600_000);
    story.calls(ContactId(8));
    story.asks_to_show(ContactId(8), Level::Verified);
    assert_eq!(story.checked(1, ContactId(8), Some(OKAFOR), true), None);
}

#[test]
fn the_store_is_down_in_the_middle() {
    // It says so.
    let mut story = Story::new(Limits::default());
    story.calls(CONTACT);
    story.asks_to_show(CONTACT, Level::Verified);
    assert_eq!(story.checked(1, CONTACT, Some(OKAFOR), true), None);
    story.commit(false);
    assert_eq!(story.verify_answer(), Some(VerifyReply::Unavailable));
    assert_eq!(story.desk.facts(CONTACT).expect("known").verified, None);
    // What isn't on disk isn't tried again by itself; the rest is.
    assert_eq!(story.asks_to_show(CONTACT, Level::Verified), ask());
    story.wait(1_000);
    assert_eq!(
        story.commit(true),
        ["contact.started", "contact.identified"]
    );
    // It says nothing in time.
    assert_eq!(story.checked(1, CONTACT, Some(OKAFOR), true), None);
    story.wait(1_500);
    assert_eq!(story.verify_answer(), Some(VerifyReply::Unavailable));
    assert_eq!(story.desk.facts(CONTACT).expect("known").verified, None);
    story.commit(true);
    story.silence();
    assert!(story.desk.facts(CONTACT).expect("known").verified.is_some());
}

/// A ticket and a verification wait for writes of their own.
#[test]
fn a_failed_write_takes_along_only_what_was_in_it() {
    let mut story = Story::new(Limits::default());
    story.calls(CONTACT);
    story.asks_to_show(CONTACT, Level::Verified);
    assert_eq!(story.checked(1, CONTACT, Some(OKAFOR), true), None);
    story.send(What::OpenTicket);
    story.commit(false);
    assert_eq!(story.verify_answer(), Some(VerifyReply::Unavailable));
    let names = ["contact.started", "contact.identified", "ticket.opened"];
    assert_eq!(story.commit(true), names);
    story.number();
}

#[test]
fn what_cannot_be_shown_is_a_persons_business() {
    let mut story = Story::new(Limits::default());
    // Nobody was asked; another hospital's; nobody known.
    story.calls(CONTACT);
    let unasked = story.checked(1, CONTACT, Some(OKAFOR), true);
    assert_eq!(unasked, Some(VerifyReply::Unavailable));
    story.asks_to_show(CONTACT, Level::Verified);
    let foreign = story.checked(2, CONTACT, Some(OKAFOR), true);
    assert_eq!(foreign, Some(VerifyReply::Unavailable));
    let unknown = story.checked(1, ContactId(55), Some(OKAFOR), true);
    assert_eq!(unknown, Some(VerifyReply::Unavailable));
    assert_eq!(
        story.asks_to_show(CONTACT, Level::CalledBack),
        VerifyReply::Unavailable
    );
    story
        .desk
        .set_verification(TenantId(1), VerificationRules::default());
    assert_eq!(
        story.asks_to_show(CONTACT, Level::Verified),
        VerifyReply::Unavailable
    );
}

#[test]
fn number_and_ticket_are_level_one() {
    let mut story = Story::new(Limits::default());
    story.calls(CONTACT);
    story.send(What::OpenTicket);
    story.commit(true);
    let number = story.number();
    let later = ContactId(8);
    story.calls(later);
    story.commands += 1;
    let what = What::FindTicket {
        number: Some(number),
        ani: Some(phone("+15035550101")),
    };
    story.again(story.commands, 1, later, what);
    story.answers.pop_front().expect("found");
    let level = Level::Confirmed;
    assert_eq!(
        story.asks_to_show(later, level),
        VerifyReply::Verified { level, who: None }
    );
    assert_eq!(story.asks_to_show(later, Level::Verified), ask());
    assert_eq!(Method::of(&STAFF), Method::Factors);
}

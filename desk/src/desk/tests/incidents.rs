//! Incidents: who hears of them and when, and who is told that they are over.

use super::*;
use crate::PromiseId;
use crate::incidents::{
    AlertId, Draft, IncidentAnswer, IncidentBy, IncidentDeed, IncidentFacts, IncidentRefusal,
    IncidentReply, IncidentScope, IncidentStage, IncidentText, Subscriber, Words,
};
use crate::message::IncidentId;
use crate::people::Tongue;
use crate::promises::{Callable, Callee, PromiseKind, PromiseNumber, decent_hours};
use crate::tickets::{Reason, ReasonCode, TicketDeed};

const MINUTE: i64 = 60_000;
const WARD: &str = "+15035550142";

fn ehr() -> ReasonCode {
    ReasonCode::new("ehr").unwrap()
}

fn says(text: &str) -> Vec<IncidentText> {
    vec![IncidentText {
        language: Tongue::read("en").unwrap(),
        text: Words::new(text).unwrap(),
        brief: None,
    }]
}

impl Story {
    /// Tickets can be about two things here.
    fn with_reasons(limits: Limits) -> Self {
        let mut story = Self::new(limits);
        let mut rules = TicketRules::default();
        for code in ["ehr", "wifi"] {
            let code = ReasonCode::new(code).unwrap();
            rules.reasons.insert(code, Reason::default());
        }
        assert!(story.desk.set_ticket_rules(TenantId(1), rules));
        story
    }

    fn at(&self) -> i64 {
        self.now.as_millis() as i64
    }

    fn incident(&mut self, by: IncidentBy, deed: IncidentDeed) -> u64 {
        self.commands += 1;
        self.incident_again(self.commands, by, deed);
        self.commands
    }

    fn incident_again(&mut self, id: u64, by: IncidentBy, deed: IncidentDeed) {
        let at = self.at();
        self.input(Input::Incident(IncidentCommand {
            id: CommandId(id),
            tenant: TenantId(1),
            at,
            by,
            deed,
        }));
    }

    fn draft(&self) -> Draft {
        Draft {
            scope: IncidentScope::default(),
            texts: says("The health record is down."),
            expires_at: self.at() + 60 * MINUTE,
            alert: None,
            publish: false,
        }
    }

    /// What was said of incidents, in order.
    fn said(&mut self) -> Vec<IncidentReply> {
        let said = |output: &Output| match output {
            Output::Incident(IncidentAnswer { reply, .. }) => Some(*reply),
            _ => None,
        };
        let all = self.others.iter().filter_map(said).collect();
        self.others
            .retain(|output| !matches!(output, Output::Incident(_)));
        all
    }

    #[track_caller]
    fn stands(&mut self) -> (IncidentId, IncidentFacts) {
        match self.said()[..] {
            [IncidentReply::Done(incident, facts)] => (incident, facts),
            ref other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn declined(&mut self, why: IncidentRefusal) {
        assert_eq!(self.said(), [IncidentReply::Refused(why)]);
    }

    /// One that callers hear of.
    fn published(&mut self) -> IncidentId {
        self.published_as(self.draft())
    }

    fn published_as(&mut self, draft: Draft) -> IncidentId {
        self.incident(IncidentBy::Administrator, IncidentDeed::Draft(draft));
        self.commit_all();
        let (incident, _) = self.stands();
        self.incident(
            IncidentBy::Agent(AgentId(3)),
            IncidentDeed::Publish(incident),
        );
        self.commit_all();
        self.stands();
        incident
    }

    /// Everything that is to be written is; the names of it.
    fn commit_all(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        self.wait(200);
        while !self.commits.is_empty() {
            names.extend(self.commit(true));
            self.wait(200);
        }
        names
    }

    fn caller(&mut self, contact: ContactId, number: &str) {
        self.commands += 1;
        let what = What::Start {
            dnis: phone("+15035550000"),
            ani: Some(phone(number)),
            flow: None,
        };
        self.again(self.commands, 1, contact, what);
        self.expect(Reply::Started);
    }

    fn tells(&mut self, contact: ContactId, what: What) -> u64 {
        self.commands += 1;
        self.again(self.commands, 1, contact, what);
        self.commands
    }

    /// The incidents that a caller of this hospital hears of.
    fn hears(&mut self, tenant: u32, contact: ContactId, role: Option<Role>) -> Vec<IncidentId> {
        self.commands += 1;
        let what = What::Incidents {
            role,
            about: None,
            ours: false,
        };
        self.again(self.commands, tenant, contact, what);
        match self.answers.pop_front().map(|answer| answer.reply) {
            Some(Reply::Incidents(news)) => news.iter().map(|news| news.incident).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn presses_the_key(&mut self, contact: ContactId) -> u64 {
        self.tells(contact, What::Informed);
        self.expect(Reply::Noted);
        self.tells(
            contact,
            What::Subscribe {
                queue: QueueId(4),
                class: Role::Staff,
                number: phone(WARD),
            },
        )
    }

    /// A ticket of a call of its own, about this.
    fn ticket_about(&mut self, contact: u64, reason: ReasonCode) {
        let contact = ContactId(contact);
        self.caller(contact, WARD);
        self.tells(contact, What::OpenTicket);
        self.commit_all();
        let number = self.number();
        self.asks_of(1, number, TicketDeed::Categorise(Some(reason)));
        self.wait(200);
    }
}

#[test]
fn it_is_heard_when_it_is_published_and_on_disk() {
    let mut story = Story::new(Limits::default());
    story.caller(CONTACT, WARD);
    story.commit_all();
    let id = story.incident(
        IncidentBy::Administrator,
        IncidentDeed::Draft(story.draft()),
    );
    assert_eq!(story.said(), []);
    assert_eq!(story.commits[0].incidents.texts.len(), 1);
    let text = format!("{:?}", story.commits[0]);
    assert!(
        !text.contains("record"),
        "what is said stands in no log: {text}"
    );
    assert_eq!(story.commit(true), ["incident.drafted"]);
    // It is rendered before anybody hears it.
    assert!(matches!(
        story.others[0],
        Output::Prepare {
            tenant: TenantId(1),
            ..
        }
    ));
    let (incident, facts) = story.stands();
    assert_eq!(facts.stage, IncidentStage::Draft);
    // A repetition makes no second one.
    story.incident_again(
        id,
        IncidentBy::Administrator,
        IncidentDeed::Draft(story.draft()),
    );
    story.no_commit();
    assert_eq!(story.stands().0, incident);
    assert_eq!(story.hears(1, CONTACT, None), [], "a draft");
    story.incident(
        IncidentBy::Agent(AgentId(3)),
        IncidentDeed::Publish(incident),
    );
    assert_eq!(story.hears(1, CONTACT, None), [], "not on disk");
    assert_eq!(story.commit(true), ["incident.published"]);
    assert_eq!(story.hears(1, CONTACT, None), [incident]);
    assert_eq!(story.hears(2, ContactId(8), None), [], "another hospital");
    // What wasn't written didn't happen.
    story.said();
    story.incident(IncidentBy::Administrator, IncidentDeed::Close(incident));
    story
        .commits
        .retain(|commit| commit.events.iter().any(|e| e.event.incident().is_some()));
    assert_eq!(story.commit(false), ["incident.closed"]);
    story.declined(IncidentRefusal::NotWritten);
    assert_eq!(story.hears(1, CONTACT, None), [incident]);
    story.incident(IncidentBy::Administrator, IncidentDeed::Close(incident));
    story.commit_all();
    assert!(story.stands().1.stage.is_closed());
    assert_eq!(story.hears(1, CONTACT, None), []);
    // Closed twice is closed.
    story.incident(IncidentBy::Administrator, IncidentDeed::Close(incident));
    assert!(story.stands().1.stage.is_closed());
    story.no_commit();
}

#[test]
fn a_source_that_may_publishes_at_once() {
    let mut story = Story::new(Limits::default());
    let rules = IncidentRules {
        at_once: vec![IncidentBy::Alert],
        ..IncidentRules::default()
    };
    story.desk.set_incident_rules(TenantId(1), rules);
    let draft = Draft {
        publish: true,
        ..story.draft()
    };
    story.incident(IncidentBy::Token(4), IncidentDeed::Draft(draft.clone()));
    assert_eq!(story.commit_all(), ["incident.drafted"]);
    story.incident(IncidentBy::Alert, IncidentDeed::Draft(draft));
    assert_eq!(
        story.commit_all(),
        ["incident.drafted", "incident.published"]
    );
}

#[test]
fn an_alert_is_one_incident_however_often_it_fires() {
    let mut story = Story::new(Limits::default());
    let alert = Some(AlertId(0xfeed));
    let fires = |story: &mut Story, minutes: i64| {
        let draft = Draft {
            alert,
            expires_at: story.at() + minutes * MINUTE,
            ..story.draft()
        };
        story.incident(IncidentBy::Alert, IncidentDeed::Draft(draft));
    };
    fires(&mut story, 60);
    assert_eq!(story.commit_all(), ["incident.drafted"]);
    let (incident, first) = story.stands();
    fires(&mut story, 60);
    assert_eq!(
        story.commit_all(),
        [""; 0],
        "a moment later nothing is written"
    );
    assert_eq!(story.stands(), (incident, first));
    story.wait(30 * MINUTE as u64);
    fires(&mut story, 60);
    assert_eq!(story.commit_all(), ["incident.updated"]);
    let (same, later) = story.stands();
    assert_eq!(same, incident);
    assert!(later.expires_at >= first.expires_at + 30 * MINUTE);
    story.incident(IncidentBy::Alert, IncidentDeed::Clear(AlertId(0xfeed)));
    assert_eq!(story.commit_all(), ["incident.closed"]);
    story.stands();
    // It is over for good: over once more is nothing, and firing again another incident.
    story.incident(IncidentBy::Alert, IncidentDeed::Clear(AlertId(0xfeed)));
    assert_eq!(story.said(), [IncidentReply::Nothing]);
    fires(&mut story, 60);
    story.commit_all();
    assert_ne!(story.stands().0, incident);
}

#[test]
fn its_time_is_over_though_nobody_says_so() {
    let mut story = Story::new(Limits::default());
    let incident = story.published();
    story.wait(59 * MINUTE as u64);
    story.no_commit();
    story.wait(2 * MINUTE as u64);
    // What fails is tried again, and nobody hears of it as closed before.
    story.caller(CONTACT, WARD);
    assert_eq!(story.hears(1, CONTACT, None), [incident]);
    assert_eq!(story.commit(false), ["incident.closed"]);
    story.wait(1_000);
    story.commit_all();
    assert_eq!(story.hears(1, CONTACT, None), []);
    let draft = Draft {
        expires_at: story.at(),
        ..story.draft()
    };
    story.incident(IncidentBy::Administrator, IncidentDeed::Draft(draft));
    story.declined(IncidentRefusal::WrongTime);
}

#[test]
fn only_whom_it_concerns() {
    let mut story = Story::with_reasons(Limits::default());
    let clinicians = Draft {
        scope: IncidentScope {
            roles: crate::Audience::of(&[Role::Clinician]),
            reason: Some(ehr()),
            ..IncidentScope::default()
        },
        ..story.draft()
    };
    let incident = story.published_as(clinicians);
    story.caller(CONTACT, WARD);
    assert_eq!(story.hears(1, CONTACT, Some(Role::Clinician)), [incident]);
    assert_eq!(story.hears(1, CONTACT, Some(Role::Patient)), []);
    assert_eq!(
        story.hears(1, CONTACT, None),
        [],
        "of whom nothing is known"
    );
    let wifi = ReasonCode::new("wifi");
    story.tells(
        CONTACT,
        What::Incidents {
            role: Some(Role::Clinician),
            about: wifi,
            ours: false,
        },
    );
    story.expect(Reply::Incidents(Vec::new()));
    // Who has heard of it doesn't hear it again.
    story.hears(1, CONTACT, Some(Role::Clinician));
    story.tells(CONTACT, What::Informed);
    story.expect(Reply::Noted);
    assert_eq!(story.hears(1, CONTACT, Some(Role::Clinician)), []);
    // And none are about what the hospital doesn't know.
    let draft = Draft {
        scope: IncidentScope {
            reason: ReasonCode::new("radio"),
            ..IncidentScope::default()
        },
        ..story.draft()
    };
    story.incident(IncidentBy::Administrator, IncidentDeed::Draft(draft));
    story.declined(IncidentRefusal::UnknownReason);
}

#[test]
fn who_heard_enough_is_counted_and_who_goes_on_is_not() {
    let mut story = Story::new(Limits::default());
    story.published();
    let ended = |cause| What::Journey(Journey::Ended { cause });
    for (contact, queued, cause) in [
        (21, false, EndCause::CallerHungUp),
        (22, true, EndCause::CallerHungUp),
        (23, false, EndCause::FlowEnded),
    ] {
        let contact = ContactId(contact);
        story.caller(contact, WARD);
        story.hears(1, contact, None);
        story.tells(contact, What::Informed);
        if queued {
            story.tells(
                contact,
                What::Journey(Journey::Queued { queue: QueueId(4) }),
            );
        }
        story.tells(contact, ended(cause));
        story.answers.clear();
    }
    let names = story.commit_all();
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!(
        (count("contact.informed"), count("contact.deflected")),
        (3, 1)
    );
    let (_, facts, _) = story.desk.incidents(TenantId(1)).next().unwrap();
    assert_eq!((facts.informed, facts.deflected), (3, 1));
}

/// At a quarter to three on a winter's night, in Chicago.
const NIGHT: i64 = 1_796_028_300_000;

fn by_day() -> Callable {
    Callable {
        anybody: Some(Callee {
            decent: decent_hours("America/Chicago").unwrap(),
            available: None,
            away: Vec::new(),
        }),
        ..Callable::default()
    }
}

#[test]
fn told_that_it_is_over_at_a_decent_hour() {
    let mut story = Story::new(Limits::default());
    story.now = Duration::from_millis(NIGHT as u64);
    story.desk.set_callable(TenantId(1), by_day());
    let incident = story.published();
    story.caller(CONTACT, WARD);
    story.hears(1, CONTACT, None);
    let id = story.presses_the_key(CONTACT);
    // Nothing is promised before it is on disk.
    story.silence();
    let subscribed = |commit: &Commit| !commit.incidents.subscribers.is_empty();
    let commit = story.commits.iter().find(|commit| subscribed(commit));
    let subscriber = commit.expect("who wants to be told").incidents.subscribers[0].clone();
    assert_eq!(subscriber.number, phone(WARD));
    let again = What::Subscribe {
        queue: QueueId(4),
        class: Role::Staff,
        number: phone(WARD),
    };
    story.again(id, 1, CONTACT, again);
    story.silence();
    story.commit_all();
    story.expect(Reply::Subscribed);
    story.tells(
        CONTACT,
        What::Journey(Journey::Ended {
            cause: EndCause::CallerHungUp,
        }),
    );
    story.commit_all();
    story.incident(IncidentBy::Administrator, IncidentDeed::Close(incident));
    assert_eq!(story.commit(true), ["incident.closed"]);
    // The promise and that it is this one's stand in one write.
    let commit = story.commits[0].clone();
    assert_eq!(story.commit(true), ["promise.created", "incident.owed"]);
    assert_eq!(commit.numbers.len(), 1);
    let Event::PromiseCreated {
        kind,
        window,
        contact,
        ..
    } = commit.events[0].event
    else {
        panic!("{:?}", commit.events);
    };
    assert_eq!((kind, contact), (PromiseKind::Scheduled, CONTACT));
    // At eight in the morning, and not before.
    assert_eq!(window.from, NIGHT + 5 * 60 * MINUTE + 15 * MINUTE);
    story.commit_all();
    let called = |output: &Output| matches!(output, Output::Callback(_));
    assert!(!story.others.iter().any(called));
    story.wait(5 * 60 * MINUTE as u64);
    assert!(!story.others.iter().any(called), "it is before eight");
    story.wait(30 * MINUTE as u64);
    assert!(story.others.iter().any(called));
}

#[test]
fn it_closes_between_hearing_of_it_and_the_key() {
    let mut story = Story::new(Limits::default());
    let incident = story.published();
    story.caller(CONTACT, WARD);
    story.hears(1, CONTACT, None);
    story.incident(IncidentBy::Administrator, IncidentDeed::Close(incident));
    story.commit_all();
    story.presses_the_key(CONTACT);
    story.expect(Reply::IncidentOver);
    assert!(
        !story
            .commit_all()
            .contains(&"incident.subscribed".to_owned())
    );
}

#[test]
fn the_store_doesnt_take_who_wants_to_be_told() {
    let mut story = Story::new(Limits::default());
    story.published();
    story.caller(CONTACT, WARD);
    story.hears(1, CONTACT, None);
    story.commit_all();
    story.presses_the_key(CONTACT);
    let subscribed = |commit: &Commit| !commit.incidents.subscribers.is_empty();
    let place = story.commits.iter().position(subscribed).unwrap();
    story.commits.swap(0, place);
    assert_eq!(story.commit(false), ["incident.subscribed"]);
    story.expect(Reply::Failed);
    // Nor does one that is silent keep anybody waiting.
    story.presses_the_key(CONTACT);
    story.wait(1_500);
    story.expect(Reply::Failed);
}

#[test]
fn a_crash_between_its_end_and_the_promise_forgets_nobody() {
    let mut story = Story::new(Limits::default());
    let incident = story.published();
    let (_, facts, texts) = story.desk.incidents(TenantId(1)).next().unwrap();
    let mut closed = *facts;
    closed.stage = IncidentStage::Closed {
        at: story.at(),
        published: true,
    };
    let known = KnownIncident {
        incident,
        facts: closed,
        texts: texts.to_vec(),
        subscribers: vec![Subscriber {
            incident,
            contact: CONTACT,
            number: phone(WARD),
            queue: QueueId(4),
            class: Role::Staff,
            ticket: None,
            person: None,
        }],
    };
    let mut setup = setup(Limits::default());
    setup.tenants[0].incidents.known = vec![known];
    story.desk = Desk::new(setup);
    story.caller(ContactId(90), "+15035550177");
    let owed = story
        .commits
        .iter()
        .position(|commit| matches!(commit.events[0].event, Event::PromiseCreated { .. }));
    let commit = story.commits.remove(owed.expect("the promise")).unwrap();
    assert_eq!(
        commit.numbers,
        [PromiseNumber {
            promise: PromiseId(1),
            number: phone(WARD),
        }]
    );
    // The store doesn't take it: it is owed still, and once.
    story.input(Input::CommitFailed { id: commit.id });
    story.commit_all();
    story.wait(61_000);
    let names = story.commit_all();
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!((count("promise.created"), count("incident.owed")), (1, 1));
    story.wait(300_000);
    assert!(!story.commit_all().contains(&"incident.owed".to_owned()));
}

#[test]
fn four_calls_about_the_same_propose_one() {
    let mut story = Story::with_reasons(Limits::default());
    for contact in 31..34 {
        story.ticket_about(contact, ehr());
        story.commit_all();
    }
    story.ticket_about(40, ReasonCode::new("wifi").unwrap());
    story.commit_all();
    assert_eq!(story.desk.incidents(TenantId(1)).count(), 0);
    story.ticket_about(34, ehr());
    let names = story.commit_all();
    let proposed = names.iter().filter(|name| name.starts_with("incident."));
    let proposed: Vec<_> = proposed.map(String::as_str).collect();
    let attached = "incident.attached";
    assert_eq!(
        proposed,
        ["incident.drafted", attached, attached, attached, attached]
    );
    let (incident, facts, _) = story.desk.incidents(TenantId(1)).next().unwrap();
    assert_eq!((facts.by, facts.tickets), (IncidentBy::Calls, 4));
    assert_eq!(facts.scope.reason, Some(ehr()));
    assert_eq!(
        facts.stage,
        IncidentStage::Draft,
        "somebody else publishes it"
    );
    // The fifth is one of its children, and no second incident.
    story.ticket_about(35, ehr());
    assert!(story.commit_all().contains(&attached.to_owned()));
    let all: Vec<_> = story.desk.incidents(TenantId(1)).collect();
    assert_eq!((all.len(), all[0].0, all[0].1.tickets), (1, incident, 5));
}

#[test]
fn calls_that_are_far_apart_propose_nothing() {
    let mut story = Story::with_reasons(Limits::default());
    for contact in 31..37 {
        story.ticket_about(contact, ehr());
        story.commit_all();
        story.wait(4 * MINUTE as u64);
    }
    assert_eq!(story.desk.incidents(TenantId(1)).count(), 0);
}

#[test]
fn a_supervisor_publishes_what_they_have_heard() {
    let mut story = Story::new(Limits::default());
    story.caller(CONTACT, WARD);
    let by = AgentId(3);
    // Nothing waits, and nothing was heard.
    story.tells(CONTACT, What::Preview { surge: false });
    story.expect(Reply::Incidents(Vec::new()));
    story.tells(CONTACT, What::Publish { by });
    story.expect(Reply::Failed);
    let draft = story.draft();
    story.incident(IncidentBy::Alert, IncidentDeed::Draft(draft.clone()));
    story.commit_all();
    let (first, _) = story.stands();
    story.tells(CONTACT, What::Preview { surge: false });
    let heard = match story.answers.pop_front().map(|answer| answer.reply) {
        Some(Reply::Incidents(news)) => news,
        other => panic!("{other:?}"),
    };
    assert_eq!(heard[0].incident, first);
    // A later draft isn't published unheard.
    story.incident(IncidentBy::Alert, IncidentDeed::Draft(draft));
    story.commit_all();
    story.said();
    let id = story.tells(CONTACT, What::Publish { by });
    story.silence();
    story.again(id, 1, CONTACT, What::Publish { by });
    story.silence();
    assert_eq!(story.commit_all(), ["incident.published"]);
    story.expect(Reply::Subscribed);
    story.again(id, 1, CONTACT, What::Publish { by });
    story.expect(Reply::Subscribed);
    let published = |(_, facts, _): &(IncidentId, &IncidentFacts, &[IncidentText])| {
        facts.stage.published().is_some()
    };
    let live: Vec<_> = story
        .desk
        .incidents(TenantId(1))
        .filter(published)
        .collect();
    assert_eq!((live.len(), live[0].0), (1, first));
    // Closed in the meantime, it can't be.
    story.tells(CONTACT, What::Preview { surge: false });
    story.answers.clear();
    let (second, ..) = story
        .desk
        .incidents(TenantId(1))
        .find(|of| !published(of))
        .unwrap();
    story.incident(IncidentBy::Administrator, IncidentDeed::Close(second));
    story.commit_all();
    story.tells(CONTACT, What::Publish { by });
    story.expect(Reply::IncidentOver);
}

#[test]
fn a_surge_is_one_key_and_expires_by_itself() {
    let mut story = Story::new(Limits::default());
    let rules = IncidentRules {
        surge_texts: says("A major outage. We take urgent calls first."),
        ..IncidentRules::default()
    };
    story.desk.set_incident_rules(TenantId(1), rules);
    story.caller(CONTACT, WARD);
    story.commit_all();
    let hears = |story: &mut Story, ours: bool| {
        let what = What::Incidents {
            role: None,
            about: None,
            ours,
        };
        story.tells(CONTACT, what);
        match story.answers.pop_front().map(|answer| answer.reply) {
            Some(Reply::Incidents(news)) => news.len(),
            other => panic!("{other:?}"),
        }
    };
    // Rehearsed, only our own telephones hear of it.
    let rehearse = IncidentDeed::Surge {
        rehearsal: true,
        expires_at: None,
    };
    story.incident(IncidentBy::Administrator, rehearse.clone());
    assert_eq!(
        story.commit_all(),
        ["incident.drafted", "incident.published"]
    );
    let (surge, _) = story.stands();
    assert_eq!((hears(&mut story, false), hears(&mut story, true)), (0, 1));
    // A supervisor's key makes it the real thing: the same one.
    story.tells(CONTACT, What::Preview { surge: true });
    assert!(matches!(
        story.answers.pop_front().map(|answer| answer.reply),
        Some(Reply::Incidents(news)) if news[0].surge && news[0].texts.len() == 1
    ));
    story.tells(CONTACT, What::Publish { by: AgentId(3) });
    assert_eq!(story.commit_all(), ["incident.updated"]);
    story.expect(Reply::Subscribed);
    assert_eq!(hears(&mut story, false), 1);
    // A rehearsal doesn't end it; saying so does, or its time.
    story.incident(IncidentBy::Administrator, rehearse);
    story.commit_all();
    let (same, facts) = story.stands();
    assert_eq!((same, facts.scope.rehearsal), (surge, false));
    story.incident(IncidentBy::Administrator, IncidentDeed::SurgeOver);
    story.commit_all();
    assert!(story.stands().1.stage.is_closed());
    story.incident(IncidentBy::Administrator, IncidentDeed::SurgeOver);
    assert_eq!(story.said(), [IncidentReply::Nothing]);
    let real = IncidentDeed::Surge {
        rehearsal: false,
        expires_at: None,
    };
    story.incident(IncidentBy::Administrator, real);
    story.commit_all();
    story.said();
    story.wait(2 * 60 * MINUTE as u64 + 1_000);
    assert_eq!(story.commit_all(), ["incident.closed"]);
}

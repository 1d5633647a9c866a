//! What is out of order: drafted, published and closed, by a story or at random.

use desk::people::Tongue;
use desk::{
    CommandId, Draft, IncidentAnswer, IncidentBy, IncidentCommand, IncidentDeed, IncidentId,
    IncidentReply, IncidentScope, IncidentText, TenantId, Words,
};

use super::{Due, World, trace};
use crate::dice::Dice;
use crate::hospital::Hospital;
use crate::node::wall;

/// Pause between two things that happen to incidents.
const PACE_MAX_MS: u64 = 40_000;
/// Incidents of a hospital at a time.
const LIVE_MAX: usize = 3;

/// Who looks after incidents.
#[derive(Debug, Default)]
pub(crate) struct IncidentWork {
    dice: Option<Dice>,
    commands: u64,
    /// What the desk answered last.
    answered: Option<IncidentAnswer>,
}

impl World {
    /// Things break from now on.
    pub(super) fn break_things(&mut self, seed: u64) {
        self.incident_work.dice = Some(Dice::new(seed ^ 0x0b40_4e11));
        self.agenda.enter(self.now, Due::IncidentWork);
    }

    pub(super) fn incident_deed(&mut self) {
        let Some(mut dice) = self.incident_work.dice.take() else {
            return;
        };
        let hospital = *dice.pick(&Hospital::ALL);
        let live = self.live_incidents(hospital);
        let deed = match (dice.below(4), live.is_empty()) {
            (0, _) | (_, true) if live.len() < LIVE_MAX => {
                IncidentDeed::Draft(self.broken(hospital, dice.millis(5_000, 120_000)))
            }
            (0 | 1, _) => IncidentDeed::Publish(*dice.pick(&live)),
            (2, _) => IncidentDeed::Close(*dice.pick(&live)),
            _ => IncidentDeed::Publish(*dice.pick(&live)),
        };
        self.incident(hospital, deed);
        let pause = dice.millis(100, PACE_MAX_MS);
        self.incident_work.dice = Some(dice);
        if self.trunk_open > 0 {
            self.agenda.enter(self.now + pause, Due::IncidentWork);
        }
    }

    fn live_incidents(&self, hospital: Hospital) -> Vec<IncidentId> {
        let desk = self.node.as_ref().map(|node| &node.desk);
        let live = desk
            .into_iter()
            .flat_map(|desk| desk.incidents(TenantId(hospital.id())));
        live.map(|(incident, ..)| incident).collect()
    }

    /// Names its hospital, so that it is seen when another's caller hears it.
    fn broken(&self, hospital: Hospital, lasts: std::time::Duration) -> Draft {
        let text = format!("The health record of {} can't be reached.", hospital.name());
        Draft {
            scope: IncidentScope::default(),
            texts: said(&text, Some("The health record is down.")),
            expires_at: wall(self.now + lasts),
            alert: None,
            publish: false,
        }
    }

    /// Somebody asks something of a hospital's incidents. Lost while the node is down.
    pub fn incident(&mut self, hospital: Hospital, deed: IncidentDeed) {
        self.incident_work.commands += 1;
        let command = IncidentCommand {
            // The calls' commands count from elsewhere.
            id: CommandId(1 << 61 | self.incident_work.commands),
            tenant: TenantId(hospital.id()),
            at: wall(self.now),
            by: IncidentBy::Administrator,
            deed,
        };
        trace!(self, "somebody asks {command:?}");
        if let Some(node) = &mut self.node {
            node.desk.handle(self.now, desk::Input::Incident(command));
            self.desk_says();
        }
    }

    /// For a story: it is published from a moment on.
    ///
    /// # Panics
    /// The desk doesn't do it.
    pub fn publishes(
        &mut self,
        hospital: Hospital,
        scope: IncidentScope,
        text: &str,
    ) -> IncidentId {
        let draft = Draft {
            scope,
            texts: said(text, None),
            expires_at: wall(self.now) + 3_600_000,
            alert: None,
            publish: false,
        };
        self.incident(hospital, IncidentDeed::Draft(draft));
        self.wait(std::time::Duration::from_secs(1));
        let drafted = self.incident_work.answered.map(|answer| answer.reply);
        let Some(IncidentReply::Done(incident, _)) = drafted else {
            panic!("{drafted:?}");
        };
        self.incident(hospital, IncidentDeed::Publish(incident));
        incident
    }

    pub(super) fn incident_answered(&mut self, answer: IncidentAnswer) {
        trace!(self, "the desk answers {answer:?}");
        if let IncidentReply::Done(incident, facts) = answer.reply {
            let stored = self.store.incident_facts(answer.tenant, incident);
            let stage = |facts: &desk::IncidentFacts| (facts.stage, facts.scope, facts.expires_at);
            if stored.as_ref().map(stage) != Some(stage(&facts)) {
                self.fail(format!("13: {answer:?} is said, and on disk is {stored:?}"));
            }
        }
        self.incident_work.answered = Some(answer);
    }

    /// How a hospital's incidents stand on disk.
    #[must_use]
    pub fn incidents(&self, hospital: Hospital) -> Vec<desk::IncidentFacts> {
        let logs = self.store.logs();
        let theirs = logs.filter(|(tenant, _)| tenant.0 == hospital.id());
        theirs
            .flat_map(|(_, log)| log.incidents.values().copied())
            .collect()
    }
}

fn said(text: &str, brief: Option<&str>) -> Vec<IncidentText> {
    let language = Tongue::read("en");
    let words = |text| Words::new(text).ok();
    let text = language
        .zip(words(text))
        .map(|(language, text)| IncidentText {
            language,
            text,
            brief: brief.and_then(words),
        });
    text.into_iter().collect()
}

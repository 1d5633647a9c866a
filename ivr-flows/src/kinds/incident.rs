//! Incident nodes: what is out of order is told before the menu, or over the
//! ring; a supervisor hears what waits to be published, and publishes it.

use std::sync::Arc;

use super::{Surroundings, one_key_of};
use crate::Role;
use crate::flow::{Incident, Kind, Preview, Publish, Subscribe};
use crate::keys::{Findings, Keys};
use crate::language::{INCIDENT, INCIDENT_FAILED, INCIDENT_NOTED, INCIDENT_OFFER, INCIDENT_OVER};

/// The key that the shipped offer names.
const KEY: char = '1';

#[derive(Debug, Clone, Copy)]
enum Does {
    Tell { over_ring: bool },
    Preview,
    Publish,
}

impl Surroundings<'_> {
    pub(super) fn incident(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Kind> {
        let does = keys.choice(
            "incident",
            &[
                ("tell", Does::Tell { over_ring: false }),
                ("over_ring", Does::Tell { over_ring: true }),
                ("preview", Does::Preview),
                ("publish", Does::Publish),
            ],
            findings,
        )?;
        match does {
            Does::Tell { over_ring } => self
                .tell(over_ring, keys, findings)
                .map(|incident| Kind::Incident(Box::new(incident))),
            Does::Preview => self
                .preview(keys, findings)
                .map(|preview| Kind::Preview(Box::new(preview))),
            Does::Publish => Some(Kind::Publish(self.publish(keys, findings))),
        }
    }

    fn preview(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Preview> {
        let of = [("draft", false), ("surge", true)];
        let surge = keys.choice("of", &of, findings).unwrap_or(false);
        let fallback = self.always(keys, "fallback", INCIDENT, findings);
        let told = self.needed(
            keys,
            "told",
            "where does the supervisor go who has heard the draft?",
            findings,
        );
        let none = self.needed(
            keys,
            "none",
            "where does the supervisor go when none waits?",
            findings,
        );
        Some(Preview {
            surge,
            fallback: fallback?,
            told,
            none,
        })
    }

    fn publish(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Publish {
        let published = self.needed(
            keys,
            "published",
            "where does the supervisor go when callers hear it?",
            findings,
        );
        let failed = self.needed(
            keys,
            "failed",
            "where does the supervisor go when nothing was published?",
            findings,
        );
        Publish { published, failed }
    }

    fn tell(
        &self,
        over_ring: bool,
        keys: &mut Keys<'_>,
        findings: &mut Findings,
    ) -> Option<Incident> {
        let about = self.named(
            keys,
            "about",
            "a reason's code",
            "tickets.reasons` of the hospital's",
            findings,
        );
        let unknown = keys.choice(
            "unknown",
            &[Role::Clinician, Role::Staff, Role::Patient].map(|role| (role.word(), role)),
            findings,
        );
        let fallback = self.always(keys, "fallback", INCIDENT, findings);
        let offered = keys.has("subscribe");
        let subscribe = self.subscribe(keys, findings);
        if over_ring && offered {
            keys.error(
                findings,
                keys.place_of("subscribe"),
                "nothing is offered over the ring: somebody is about to answer",
                Some("Leave `subscribe` out, or write `incident: tell`."),
            );
        }
        let told = self.needed(
            keys,
            "told",
            "where does the caller go who has heard of an incident?",
            findings,
        );
        let none = self.needed(
            keys,
            "none",
            "where does the caller go whom none concerns?",
            findings,
        );
        Some(Incident {
            over_ring,
            about,
            unknown,
            fallback: fallback?,
            surge: self.target(keys, "surge", findings),
            subscribe: match offered {
                true => Some(Box::new(subscribe?)),
                false => None,
            },
            told,
            none,
        })
    }

    /// The key by which a caller asks to be told when it is over, and all that belongs to it.
    fn subscribe(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Subscribe> {
        let key = keys.word("subscribe", findings);
        let key = key.and_then(|(word, at)| one_key_of(word, at, keys.node(), findings));
        let wanted = keys.has("subscribe");
        let own_words = keys.has("offer");
        let queue = self.named(
            keys,
            "called_by",
            "the name of a queue",
            "queues` of the operator's",
            findings,
        );
        if wanted && !keys.has("called_by") {
            keys.error(
                findings,
                keys.at(),
                "`called_by` is missing: which queue calls back when it is over?",
                Some("For example: called_by: service"),
            );
        }
        if key.is_some_and(|key| key != KEY) && !own_words {
            keys.error(
                findings,
                keys.place_of("subscribe"),
                "the caller isn't told of this key",
                Some("Write `offer`, the sentence that names it; without one it is 1."),
            );
        }
        let offer = self.always(keys, "offer", INCIDENT_OFFER, findings);
        let noted = self.always(keys, "noted", INCIDENT_NOTED, findings);
        let over = self.always(keys, "over", INCIDENT_OVER, findings);
        let failed = self.always(keys, "not_noted", INCIDENT_FAILED, findings);
        let next = self.target(keys, "subscribed", findings);
        if wanted && next.is_none() && !keys.has("subscribed") {
            keys.error(
                findings,
                keys.at(),
                "`subscribed` is missing: where does the caller go who will be told?",
                None,
            );
        }
        Some(Subscribe {
            key: key?,
            queue: queue.unwrap_or_else(|| Arc::from("")),
            offer: offer?,
            noted: noted?,
            over: over?,
            failed: failed?,
            listen: self.pace.next_key(),
            next: next?,
        })
    }
}

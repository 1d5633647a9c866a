//! Verify nodes: the caller shows who they are.

use super::Surroundings;
use crate::flow::{Verify, VerifyWays};
use crate::keys::{Findings, Keys};
use crate::language::{ASK_BIRTH_DATE, ASK_CODE, ASK_MRN, ASK_PIN, ASK_STAFF_NUMBER, NOT_SHOWN};
use crate::text::Text;

impl Surroundings<'_> {
    pub(super) fn verify(&self, keys: &mut Keys<'_>, findings: &mut Findings) -> Option<Verify> {
        let level = keys.number("verify", 1..=3, findings);
        if level == Some(3) {
            keys.error(
                findings,
                keys.place_of("verify"),
                "level 3 isn't available in this release",
                Some("It takes a callback to the number of record: lead the caller to a person."),
            );
        }
        let tries = keys.number("tries", 1..=3, findings).unwrap_or(3);
        let wrong = self.always(keys, "wrong", NOT_SHOWN, findings);
        let mut way = |key, why| self.needed(keys, key, why, findings);
        let passed = way(
            "passed",
            "where does the caller go who has shown who they are?",
        );
        let failed = way(
            "failed",
            "where does the caller go who can't show it? (Say the same whatever was wrong.)",
        );
        let locked = way("locked", "who has tried too often must get to a person");
        let unavailable = way(
            "unavailable",
            "when nothing can be compared or kept, the caller must get to a person",
        );
        // In the order of `Factor::ALL`.
        let asks = [ASK_BIRTH_DATE, ASK_MRN, ASK_STAFF_NUMBER, ASK_PIN, ASK_CODE];
        Some(Verify {
            asks: asks.into_iter().map(Text::ours).collect::<Option<_>>()?,
            wrong: wrong?,
            tries: u8::try_from(tries).unwrap_or(1),
            ways: VerifyWays {
                level: u8::try_from(level?).unwrap_or(u8::MAX),
                first_key: self.pace.first_key(),
                next_key: self.pace.next_key(),
                passed,
                failed,
                locked,
                unavailable,
            },
        })
    }
}

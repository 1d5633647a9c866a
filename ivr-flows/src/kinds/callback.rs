//! Callback nodes: what is offered, by whom it is kept, and the ways out.

use super::Surroundings;
use crate::Class;
use crate::flow::{Callback, CallbackWords};
use crate::keys::{Findings, Keys};
use crate::language::{
    CALLBACK_AGREED, CALLBACK_BY_PERSON, CALLBACK_DAYS, CALLBACK_KEY_IN, CALLBACK_KEYS,
    CALLBACK_NO, CALLBACK_NOT_THERE, CALLBACK_NUMBER, CALLBACK_OFFER, CALLBACK_PLACE,
    CALLBACK_RIGHT, CALLBACK_TIME, CALLBACK_TURN, DIGITS, SORRY_MENU, Said, hour_said,
};
use crate::text::Text;

impl Surroundings<'_> {
    pub(super) fn callback(
        &self,
        keys: &mut Keys<'_>,
        findings: &mut Findings,
    ) -> Option<Callback> {
        let queue = self.named(
            keys,
            "callback",
            "a queue's name",
            "queues` in the operator's",
            findings,
        );
        let class = keys.choice(
            "class",
            &[
                ("caller", None),
                ("clinician", Some(Class::Clinician)),
                ("staff", Some(Class::Staff)),
                ("patient", Some(Class::Patient)),
            ],
            findings,
        );
        let offers = keys.choice(
            "offers",
            &[
                ("both", (true, true)),
                ("place", (true, false)),
                ("times", (false, true)),
            ],
            findings,
        );
        let say = self.always(keys, "say", CALLBACK_OFFER, findings);
        let promised = self.needed(
            keys,
            "promised",
            "where does the caller go who was promised a call? To a goodbye, rather",
            findings,
        );
        let declined = self.needed(
            keys,
            "declined",
            "where does the caller go who doesn't want it, or doesn't say so?",
            findings,
        );
        let failed = self.needed(
            keys,
            "failed",
            "when nothing can be promised, the caller must get to a person",
            findings,
        );
        Some(Callback {
            queue: queue?,
            class: class.flatten(),
            offers: offers.unwrap_or((true, true)),
            words: words(say?)?,
            first_key: self.pace.first_key(),
            next_key: self.pace.next_key(),
            promised,
            declined,
            failed,
        })
    }
}

fn words(say: Text) -> Option<CallbackWords> {
    let list = |all: &[&Said]| {
        let texts = all.iter().map(|said| Text::ours(said));
        texts.collect::<Option<Box<[Text]>>>()
    };
    let hours = (0..24).map(|hour| {
        let said = hour_said(hour);
        Text::said(said.iter().map(|(tag, words)| (*tag, words.as_str())))
    });
    Some(CallbackWords {
        say,
        place: Text::ours(CALLBACK_PLACE)?,
        time: Text::ours(CALLBACK_TIME)?,
        days: list(&CALLBACK_DAYS)?,
        hours: hours.collect::<Option<_>>()?,
        keys: list(&CALLBACK_KEYS)?,
        no: Text::ours(CALLBACK_NO)?,
        number: Text::ours(CALLBACK_NUMBER)?,
        digits: list(&DIGITS)?,
        right: Text::ours(CALLBACK_RIGHT)?,
        key_in: Text::ours(CALLBACK_KEY_IN)?,
        not_there: Text::ours(CALLBACK_NOT_THERE)?,
        sorry: Text::ours(SORRY_MENU)?,
        turn: Text::ours(CALLBACK_TURN)?,
        agreed: Text::ours(CALLBACK_AGREED)?,
        by_person: Text::ours(CALLBACK_BY_PERSON)?,
    })
}

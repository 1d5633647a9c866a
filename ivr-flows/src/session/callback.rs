//! A callback is offered: when, at which number, and then that it is promised,
//! once that is on disk and not before.
//!
//! Two keys of the caller's make a promise: what they want, and that the number
//! is right. Keys pressed before they were asked count for neither.

use std::sync::Arc;
use std::time::Duration;

use super::asking::Keyed;
use super::{OnAir, Session, State};
use crate::flow::{Callback, CallbackWords, Kind, NodeIndex};
use crate::language::Language;
use crate::text::{Fill, Text};
use crate::{
    CallbackAsk, CallbackOffer, CallbackTime, Class, Number, Piece, PlayId, Promised, Step,
};

/// How long the desk may take, to say what can be promised and to promise it.
const DESK_WAIT: Duration = Duration::from_millis(1_500);
/// Whether a number may be called is answered at once.
const CHECK_WAIT: Duration = Duration::from_millis(500);
/// What may be chosen from, the way out aside.
const CHOICES_MAX: usize = 3;
/// How often each is asked.
const TRIES: u8 = 2;

/// A callback being agreed on.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) at: NodeIndex,
    phase: Phase,
    offer: CallbackOffer,
    /// What was chosen: one of the hours, or none of them.
    time: Option<usize>,
    /// Keyed in, in place of the number that is called from.
    other: Option<Number>,
    keyed: Keyed,
    /// Tries after this one.
    tries_left: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// When?
    When,
    /// Is the number right?
    Right,
    /// Which number?
    Which,
}

#[derive(Debug)]
enum Phase {
    /// What can be promised?
    Offered { until: Duration },
    /// A question is being spoken.
    Speaking(Question, OnAir),
    /// A key is waited for.
    Listening(Question, Duration),
    /// May the number be called?
    Checking { until: Duration },
    /// On its way to the disk.
    Promising { until: Duration },
    /// Being confirmed.
    Confirming(OnAir),
}

impl Offering {
    pub(super) fn due(&self) -> Duration {
        match self.phase {
            Phase::Offered { until }
            | Phase::Listening(_, until)
            | Phase::Checking { until }
            | Phase::Promising { until } => until,
            Phase::Speaking(_, on_air) | Phase::Confirming(on_air) => on_air.until,
        }
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        matches!(self.phase, Phase::Speaking(_, on_air) | Phase::Confirming(on_air) if on_air.play == play)
    }

    /// Is a key being asked for?
    pub(super) fn asks(&self) -> bool {
        matches!(self.phase, Phase::Speaking(..) | Phase::Listening(..))
    }

    fn question(&self) -> Option<(Question, Option<PlayId>)> {
        match self.phase {
            Phase::Speaking(question, on_air) => Some((question, Some(on_air.play))),
            Phase::Listening(question, _) => Some((question, None)),
            _ => None,
        }
    }

    /// The number as it is read out.
    fn number(&self) -> Option<&Number> {
        self.other.as_ref().or(self.offer.number.as_ref())
    }

    fn times(&self) -> &[CallbackTime] {
        let most = CHOICES_MAX - usize::from(self.offer.place);
        &self.offer.times[..self.offer.times.len().min(most)]
    }

    /// What this key chooses: one of the hours, or that the place is kept.
    fn chosen(&self, key: char) -> Option<Option<usize>> {
        let key = usize::try_from(key.to_digit(10)?).ok()?.checked_sub(1)?;
        match key.checked_sub(usize::from(self.offer.place)) {
            None => Some(None),
            Some(time) => (time < self.times().len()).then_some(Some(time)),
        }
    }
}

impl Session {
    pub(super) fn offer_callback(&mut self, now: Duration, at: NodeIndex, back: &Callback) {
        self.ahead.clear();
        self.push(Step::AskCallback {
            times: back.offers.1,
        });
        self.state = State::Offering(Box::new(Offering {
            at,
            phase: Phase::Offered {
                until: now + DESK_WAIT,
            },
            offer: CallbackOffer {
                number: None,
                place: false,
                times: Vec::new(),
            },
            time: None,
            other: None,
            keyed: Keyed::default(),
            tries_left: 0,
        }));
    }

    /// The node that the caller is at, as it is written, and how far they have come.
    fn offering(&mut self) -> Option<(&mut Offering, Arc<crate::Flow>)> {
        match &mut self.state {
            State::Offering(offering) => Some((offering, Arc::clone(&self.flow))),
            _ => None,
        }
    }

    /// What can be promised; `None`: nothing.
    pub(super) fn callback_offered(&mut self, now: Duration, offer: Option<CallbackOffer>) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        let Some(back) = callback_of(&flow, offering.at) else {
            return;
        };
        if !matches!(offering.phase, Phase::Offered { .. }) {
            return;
        }
        let (place, times) = back.offers;
        let offer = offer.map(|mut offer| {
            offer.place &= place;
            if !times {
                offer.times.clear();
            }
            offer
        });
        match offer.filter(|offer| offer.place || !offer.times.is_empty()) {
            Some(offer) => {
                offering.offer = offer;
                self.put(now, Question::When, None);
            }
            None => self.walk(now, back.failed),
        }
    }

    /// Asks a question anew.
    fn put(&mut self, now: Duration, question: Question, before: Option<&Text>) {
        if let Some((offering, _)) = self.offering() {
            offering.tries_left = TRIES - 1;
        }
        self.put_again(now, question, before);
    }

    fn put_again(&mut self, now: Duration, question: Question, before: Option<&Text>) {
        let flow = Arc::clone(&self.flow);
        let State::Offering(offering) = &self.state else {
            return;
        };
        let Some(back) = callback_of(&flow, offering.at) else {
            return;
        };
        let words = &back.words;
        let mut prompt = Vec::new();
        let fill = self.fill(None);
        let mut say = |text: &Text| text.speak(&fill, &mut prompt);
        if let Some(before) = before {
            say(before);
        }
        match question {
            Question::When => {
                say(&words.say);
                if offering.offer.place {
                    say(&words.place);
                }
                let keys = words.keys.iter().skip(usize::from(offering.offer.place));
                for (time, key) in offering.times().iter().zip(keys) {
                    say(&words.time);
                    hour(words, *time, &mut say);
                    say(key);
                }
                say(&words.no);
            }
            Question::Right => {
                say(&words.number);
                if let Some(number) = offering.number() {
                    let language = words.number.language(&fill);
                    read(words, number, language, &fill, &mut prompt);
                }
                words.right.speak(&fill, &mut prompt);
            }
            Question::Which => say(&words.key_in),
        }
        let on_air = self.play(now, prompt, true);
        if let Some((offering, _)) = self.offering() {
            offering.keyed.clear();
            offering.phase = Phase::Speaking(question, on_air);
        }
    }

    /// No answer, or none that is any good: once more, or nothing comes of it.
    fn not_answered(&mut self, now: Duration, question: Question, before: Option<&Text>) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        match offering.tries_left.checked_sub(1) {
            Some(left) => {
                offering.tries_left = left;
                self.put_again(now, question, before);
            }
            None => {
                if let Some(back) = callback_of(&flow, offering.at) {
                    self.walk(now, back.declined);
                }
            }
        }
    }

    pub(super) fn callback_key(&mut self, now: Duration, key: char) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        let Some(back) = callback_of(&flow, offering.at) else {
            return;
        };
        let Some((question, playing)) = offering.question() else {
            return;
        };
        offering.phase = Phase::Listening(question, now + back.next_key);
        if let Some(play) = playing {
            self.push(Step::StopPlay { play });
        }
        match question {
            Question::Which => self.number_key(now, key, back),
            _ if key == '0' => self.walk(now, back.declined),
            Question::When => self.when_key(now, key, back),
            Question::Right if key == '1' => self.promise(now, back),
            Question::Right if key == '2' => self.put(now, Question::Which, None),
            Question::Right => self.not_answered(now, question, Some(&back.words.sorry)),
        }
    }

    fn when_key(&mut self, now: Duration, key: char, back: &Callback) {
        let Some((offering, _)) = self.offering() else {
            return;
        };
        match offering.chosen(key) {
            Some(time) => {
                offering.time = time;
                let next = match offering.number() {
                    Some(_) => Question::Right,
                    None => Question::Which,
                };
                self.put(now, next, None);
            }
            None => self.not_answered(now, Question::When, Some(&back.words.sorry)),
        }
    }

    fn number_key(&mut self, now: Duration, key: char, back: &Callback) {
        let Some((offering, _)) = self.offering() else {
            return;
        };
        match key {
            '#' => return self.number_keyed(now),
            '*' => {
                offering.keyed.clear();
                offering.phase = Phase::Listening(Question::Which, now + back.first_key);
            }
            digit => offering.keyed.push(digit),
        }
        if offering.keyed.as_str().len() >= Number::MAX {
            self.number_keyed(now);
        }
    }

    /// A number is complete, or should be.
    fn number_keyed(&mut self, now: Duration) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        match Number::new(offering.keyed.as_str()) {
            Some(number) => {
                offering.phase = Phase::Checking {
                    until: now + CHECK_WAIT,
                };
                self.push(Step::CheckNumber(number));
            }
            None => {
                let back = callback_of(&flow, offering.at);
                let sorry = back.map(|back| &back.words.not_there);
                self.not_answered(now, Question::Which, sorry);
            }
        }
    }

    /// Whether the number may be called.
    pub(super) fn number_checked(&mut self, now: Duration, number: Option<Number>) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        if !matches!(offering.phase, Phase::Checking { .. }) {
            return;
        }
        match number {
            Some(number) => {
                offering.other = Some(number);
                self.put(now, Question::Right, None);
            }
            None => {
                let back = callback_of(&flow, offering.at);
                let sorry = back.map(|back| &back.words.not_there);
                self.not_answered(now, Question::Which, sorry);
            }
        }
    }

    fn promise(&mut self, now: Duration, back: &Callback) {
        let class = back.class.unwrap_or(Class::of(self.role()));
        let Some((offering, _)) = self.offering() else {
            return;
        };
        offering.phase = Phase::Promising {
            until: now + DESK_WAIT,
        };
        let ask = CallbackAsk {
            queue: Arc::clone(&back.queue),
            class,
            number: offering.other.clone(),
            time: offering.time,
        };
        self.push(Step::Promise(ask));
    }

    /// It is on disk, and may be said; `None`: it isn't.
    pub(super) fn promised(&mut self, now: Duration, promised: Option<Promised>) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        let Some(back) = callback_of(&flow, offering.at) else {
            return;
        };
        if !matches!(offering.phase, Phase::Promising { .. }) {
            return;
        }
        let Some(promised) = promised else {
            return self.walk(now, back.failed);
        };
        let words = &back.words;
        let mut prompt = Vec::new();
        let fill = self.fill(None);
        let mut say = |text: &Text| text.speak(&fill, &mut prompt);
        match promised {
            Promised::Turn => say(&words.turn),
            Promised::At(time) => {
                say(&words.agreed);
                hour(words, time, &mut say);
            }
            Promised::ByPerson => say(&words.by_person),
        }
        let on_air = self.play(now, prompt, false);
        if let Some((offering, _)) = self.offering() {
            offering.phase = Phase::Confirming(on_air);
        }
    }

    /// What was being said is over.
    pub(super) fn callback_said(&mut self, now: Duration) {
        let Some((offering, flow)) = self.offering() else {
            return;
        };
        let Some(back) = callback_of(&flow, offering.at) else {
            return;
        };
        match offering.phase {
            Phase::Speaking(question, _) => {
                offering.phase = Phase::Listening(question, now + back.first_key);
            }
            Phase::Confirming(_) => self.walk(now, back.promised),
            _ => {}
        }
    }

    pub(super) fn callback_timeout(&mut self, now: Duration) {
        let Some((offering, _)) = self.offering() else {
            return;
        };
        match offering.phase {
            Phase::Offered { .. } => self.callback_offered(now, None),
            Phase::Speaking(_, on_air) | Phase::Confirming(on_air) => {
                self.push(Step::StopPlay { play: on_air.play });
                self.callback_said(now);
            }
            Phase::Listening(Question::Which, _) if !offering.keyed.is_empty() => {
                self.number_keyed(now);
            }
            Phase::Listening(question, _) => self.not_answered(now, question, None),
            Phase::Checking { .. } => self.number_checked(now, None),
            Phase::Promising { .. } => self.promised(now, None),
        }
    }
}

fn callback_of(flow: &crate::Flow, at: NodeIndex) -> Option<&Callback> {
    match &flow.node(at).kind {
        Kind::Callback(back) => Some(back),
        _ => None,
    }
}

fn hour(words: &CallbackWords, time: CallbackTime, say: &mut impl FnMut(&Text)) {
    let day = words.days.get(time.day.place());
    let hour = words.hours.get(usize::from(time.hour) % 24);
    day.into_iter().chain(hour).for_each(say);
}

/// A number, digit by digit: the first alone where the pairs don't come out even.
fn read(
    words: &CallbackWords,
    number: &Number,
    language: Language,
    fill: &Fill<'_>,
    prompt: &mut Vec<Piece>,
) {
    let digits = number.digits();
    let (alone, pairs) = digits.split_at(digits.len() % 2);
    let alone = alone.chars().next().and_then(|digit| digit.to_digit(10));
    if let Some(text) = alone.and_then(|digit| words.digits.get(digit as usize)) {
        text.speak(fill, prompt);
    }
    prompt.push(Piece::NumberPairs(language, Number::part(pairs)));
}

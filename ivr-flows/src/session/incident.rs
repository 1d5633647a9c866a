//! What is out of order, told before the menu or over the ring.
//!
//! Clinicians hear six seconds of it at most. Any key goes on; only once the
//! offer is being spoken is a key the answer to it, since whoever knows the
//! menu presses its keys before.

use std::sync::Arc;
use std::time::Duration;

use super::{OnAir, Session, State};
use crate::flow::{Incident, Kind, NodeIndex, Subscribe};
use crate::text::Text;
use crate::{Class, IncidentNews, Piece, PlayId, Role, Step, SubscribeOutcome};

/// How long the desk may take to say what concerns the caller; then nothing does.
const ASK_WAIT: Duration = Duration::from_millis(500);
/// How long it may take to write that the caller wants to be told.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(2);
/// The longest that a clinician hears of it.
const BRIEF_MAX: Duration = Duration::from_secs(6);

/// A caller hears what is out of order.
#[derive(Debug)]
pub(super) struct Informing {
    pub(super) at: NodeIndex,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
struct How {
    /// In few words, for six seconds.
    brief: bool,
    /// They may ask to be called when it is over.
    offer: bool,
    /// It is a surge, and the flow has a way for it.
    surge: Option<NodeIndex>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The desk looks what concerns them.
    Asking {
        until: Duration,
    },
    /// It is being said.
    Telling {
        on_air: OnAir,
        how: How,
    },
    /// What was written can't be said: fixed words instead.
    FallingBack {
        on_air: OnAir,
        how: How,
    },
    /// They may be told when it is over.
    Offering(OnAir),
    Listening {
        until: Duration,
    },
    /// That they want to is being written.
    Subscribing {
        until: Duration,
    },
    /// What came of it is being said.
    Confirming {
        on_air: OnAir,
        to: NodeIndex,
    },
}

impl Informing {
    pub(super) fn due(&self) -> Duration {
        match self.phase {
            Phase::Asking { until } | Phase::Listening { until } | Phase::Subscribing { until } => {
                until
            }
            Phase::Telling { on_air, .. }
            | Phase::FallingBack { on_air, .. }
            | Phase::Offering(on_air)
            | Phase::Confirming { on_air, .. } => on_air.until,
        }
    }

    fn on_air(&self) -> Option<PlayId> {
        match self.phase {
            Phase::Telling { on_air, .. }
            | Phase::FallingBack { on_air, .. }
            | Phase::Offering(on_air)
            | Phase::Confirming { on_air, .. } => Some(on_air.play),
            Phase::Asking { .. } | Phase::Listening { .. } | Phase::Subscribing { .. } => None,
        }
    }

    pub(super) fn speaks(&self, play: PlayId) -> bool {
        self.on_air() == Some(play)
    }

    /// Whether a key would answer the offer.
    pub(super) fn offers(&self) -> bool {
        matches!(self.phase, Phase::Offering(_) | Phase::Listening { .. })
    }
}

/// What a node that tells does with what it is told.
struct Tells<'f> {
    fallback: &'f Text,
    told: NodeIndex,
    none: NodeIndex,
    over_ring: bool,
    subscribe: Option<&'f Subscribe>,
    surge: Option<NodeIndex>,
}

impl<'f> Tells<'f> {
    fn of(kind: &'f Kind) -> Option<Self> {
        match kind {
            Kind::Incident(incident) => Some(Self {
                fallback: &incident.fallback,
                told: incident.told,
                none: incident.none,
                over_ring: incident.over_ring,
                subscribe: incident.subscribe.as_deref(),
                surge: incident.surge,
            }),
            Kind::Preview(preview) => Some(Self {
                fallback: &preview.fallback,
                told: preview.told,
                none: preview.none,
                over_ring: false,
                subscribe: None,
                surge: None,
            }),
            _ => None,
        }
    }
}

/// What is to be said over the ring.
#[derive(Debug)]
pub(super) struct RingNews {
    pieces: Vec<Piece>,
    fallback: Vec<Piece>,
    brief: bool,
}

impl Session {
    /// Comes to a node that tells of incidents.
    pub(super) fn ask_incidents(&mut self, now: Duration, at: NodeIndex, incident: &Incident) {
        let role = match self.role() {
            Role::Unknown => incident.unknown.unwrap_or(Role::Unknown),
            role => role,
        };
        self.push(Step::AskIncidents {
            about: incident.about.clone(),
            role,
        });
        self.state = State::Informing(Informing {
            at,
            phase: Phase::Asking {
                until: now + ASK_WAIT,
            },
        });
    }

    /// Comes to a node that says the latest draft.
    pub(super) fn ask_draft(&mut self, now: Duration, at: NodeIndex) {
        let surge = matches!(&self.flow.node(at).kind, Kind::Preview(preview) if preview.surge);
        self.push(Step::PreviewIncident { surge });
        let until = now + ASK_WAIT;
        self.inform(at, Phase::Asking { until });
    }

    /// Comes to a node that publishes it.
    pub(super) fn publish_draft(&mut self, now: Duration, at: NodeIndex) {
        self.push(Step::PublishIncident);
        let until = now + SUBSCRIBE_WAIT;
        self.inform(at, Phase::Subscribing { until });
    }

    fn informing(&self) -> Option<(NodeIndex, Phase)> {
        match &self.state {
            State::Informing(informing) => Some((informing.at, informing.phase)),
            _ => None,
        }
    }

    fn inform(&mut self, at: NodeIndex, phase: Phase) {
        self.state = State::Informing(Informing { at, phase });
    }

    /// The desk's answer.
    pub(super) fn incidents_are(&mut self, now: Duration, news: &[IncidentNews], calls_back: bool) {
        let Some((at, Phase::Asking { .. })) = self.informing() else {
            return;
        };
        let flow = Arc::clone(&self.flow);
        let kind = &flow.node(at).kind;
        let Some(tells) = Tells::of(kind) else {
            return;
        };
        if news.is_empty() {
            return self.walk(now, tells.none);
        }
        let to_caller = matches!(kind, Kind::Incident(_));
        let brief = to_caller && matches!(self.role(), Role::Clinician | Role::Place);
        let fallback = self.spoken(tells.fallback);
        let mut pieces = self.news(news, brief);
        if pieces.is_empty() {
            pieces.clone_from(&fallback);
        }
        // What leads another way is told before anything rings.
        let surge = tells.surge.filter(|_| news.iter().any(|news| news.surge));
        if tells.over_ring && surge.is_none() {
            self.ring_news = Some(RingNews {
                pieces,
                fallback,
                brief,
            });
            return self.walk(now, tells.told);
        }
        if to_caller {
            self.push(Step::Informed);
        }
        let on_air = self.tell(now, pieces, brief);
        let how = How {
            brief,
            offer: calls_back && !brief && surge.is_none(),
            surge,
        };
        self.inform(at, Phase::Telling { on_air, how });
    }

    fn tell(&mut self, now: Duration, pieces: Vec<Piece>, brief: bool) -> OnAir {
        let mut on_air = self.play(now, pieces, true);
        if brief {
            on_air.until = now + BRIEF_MAX;
        }
        on_air
    }

    /// What has been written of them, as far as there is something in a language that is spoken
    /// here; in few words the latest alone.
    fn news(&self, news: &[IncidentNews], brief: bool) -> Vec<Piece> {
        let languages = [self.language, self.flow.first_language()];
        let count = if brief { 1 } else { news.len() };
        let mut pieces = Vec::new();
        for news in news.iter().take(count) {
            let written = languages.iter().find_map(|language| {
                let spoken = self.facts.languages.contains(language);
                let mut texts = news.texts.iter();
                texts.find(|text| text.language == *language && spoken)
            });
            if let Some(text) = written {
                let words = text.brief.as_ref().filter(|_| brief);
                let words = Arc::clone(words.unwrap_or(&text.text));
                pieces.push(Piece::Text(text.language, words));
            }
        }
        pieces
    }

    /// What was being said is over; not `heard`: it couldn't be said.
    pub(super) fn news_told(&mut self, now: Duration, heard: bool) {
        let Some((at, phase)) = self.informing() else {
            return;
        };
        let flow = Arc::clone(&self.flow);
        let Some(tells) = Tells::of(&flow.node(at).kind) else {
            return;
        };
        match phase {
            Phase::Telling { how, .. } if !heard => {
                let pieces = self.spoken(tells.fallback);
                let on_air = self.tell(now, pieces, how.brief);
                self.inform(at, Phase::FallingBack { on_air, how });
            }
            Phase::Telling { how, .. } | Phase::FallingBack { how, .. } => match tells.subscribe {
                // Whoever has pressed a key already means the menu.
                Some(subscribe) if how.offer && self.ahead.is_empty() => {
                    let offer = self.spoken(&subscribe.offer);
                    let on_air = self.play(now, offer, true);
                    self.inform(at, Phase::Offering(on_air));
                }
                _ => self.walk(now, how.surge.unwrap_or(tells.told)),
            },
            Phase::Offering(_) => {
                let listen = tells.subscribe.map(|of| of.listen);
                let until = now + listen.unwrap_or_default();
                self.inform(at, Phase::Listening { until });
            }
            Phase::Confirming { to, .. } => self.walk(now, to),
            Phase::Asking { .. } | Phase::Listening { .. } | Phase::Subscribing { .. } => {}
        }
    }

    /// It was cut short, by a key most likely: that is meant for what comes next.
    pub(super) fn news_cut(&mut self, now: Duration) {
        let Some((at, phase)) = self.informing() else {
            return;
        };
        match phase {
            Phase::Telling { how, .. } | Phase::FallingBack { how, .. } => match how.surge {
                Some(to) => self.walk(now, to),
                None => self.told(now, at),
            },
            _ => self.news_told(now, true),
        }
    }

    fn told(&mut self, now: Duration, at: NodeIndex) {
        if let Some(tells) = Tells::of(&self.flow.node(at).kind) {
            let to = tells.told;
            self.walk(now, to);
        }
    }

    pub(super) fn news_key(&mut self, now: Duration, key: char) {
        let Some((at, phase)) = self.informing() else {
            return;
        };
        let flow = Arc::clone(&self.flow);
        let Some(tells) = Tells::of(&flow.node(at).kind) else {
            // What is being published is awaited.
            return self.ahead.push(key);
        };
        let answers = match (&phase, tells.subscribe) {
            (Phase::Offering(_) | Phase::Listening { .. }, Some(subscribe)) => {
                Some(subscribe).filter(|subscribe| subscribe.key == key)
            }
            _ => None,
        };
        match phase {
            // What is promised is heard to its end.
            Phase::Asking { .. } | Phase::Subscribing { .. } | Phase::Confirming { .. } => {
                return self.ahead.push(key);
            }
            Phase::Telling { on_air, .. }
            | Phase::FallingBack { on_air, .. }
            | Phase::Offering(on_air) => {
                self.push(Step::StopPlay { play: on_air.play });
            }
            Phase::Listening { .. } => {}
        }
        match answers {
            Some(subscribe) => self.subscribe(now, at, subscribe),
            None => {
                let surge = match phase {
                    Phase::Telling { how, .. } | Phase::FallingBack { how, .. } => how.surge,
                    _ => None,
                };
                self.ahead.push(key);
                self.walk(now, surge.unwrap_or(tells.told));
            }
        }
    }

    fn subscribe(&mut self, now: Duration, at: NodeIndex, subscribe: &Subscribe) {
        self.push(Step::Subscribe {
            queue: Arc::clone(&subscribe.queue),
            class: Class::of(self.role()),
        });
        self.inform(
            at,
            Phase::Subscribing {
                until: now + SUBSCRIBE_WAIT,
            },
        );
    }

    /// What came of it: said only now, when it is on disk.
    pub(super) fn subscribed(&mut self, now: Duration, outcome: SubscribeOutcome) {
        let Some((at, Phase::Subscribing { .. })) = self.informing() else {
            return;
        };
        let flow = Arc::clone(&self.flow);
        if let Kind::Publish(publish) = &flow.node(at).kind {
            return match outcome {
                SubscribeOutcome::Noted => self.walk(now, publish.published),
                SubscribeOutcome::Over | SubscribeOutcome::Failed => self.walk(now, publish.failed),
            };
        }
        let Kind::Incident(incident) = &flow.node(at).kind else {
            return;
        };
        let Some(subscribe) = &incident.subscribe else {
            return;
        };
        let (text, to) = match outcome {
            SubscribeOutcome::Noted => (&subscribe.noted, subscribe.next),
            SubscribeOutcome::Over => (&subscribe.over, incident.told),
            SubscribeOutcome::Failed => (&subscribe.failed, incident.told),
        };
        let words = self.spoken(text);
        let on_air = self.play(now, words, false);
        self.inform(at, Phase::Confirming { on_air, to });
    }

    pub(super) fn news_timeout(&mut self, now: Duration) {
        let Some((at, phase)) = self.informing() else {
            return;
        };
        match phase {
            Phase::Asking { .. } => self.incidents_are(now, &[], false),
            Phase::Listening { .. } => self.told(now, at),
            Phase::Subscribing { .. } => self.subscribed(now, SubscribeOutcome::Failed),
            Phase::Telling { on_air, .. }
            | Phase::FallingBack { on_air, .. }
            | Phase::Offering(on_air)
            | Phase::Confirming { on_air, .. } => {
                self.push(Step::StopPlay { play: on_air.play });
                self.news_told(now, true);
            }
        }
    }

    /// Says over the ring what is to be said there: the words for when that can't be, in its place.
    pub(super) fn say_over_ring(&mut self, now: Duration) -> Option<(OnAir, RingNews)> {
        let news = self.ring_news.take()?;
        if news.pieces.is_empty() {
            return None;
        }
        let mut on_air = self.on_air(now);
        if news.brief {
            on_air.until = now + BRIEF_MAX;
        }
        self.push(Step::Informed);
        self.push(Step::Announce {
            play: on_air.play,
            prompt: news.pieces,
        });
        let instead = RingNews {
            pieces: news.fallback,
            fallback: Vec::new(),
            brief: news.brief,
        };
        Some((on_air, instead))
    }
}

//! A hospital's incidents that are live: what a command makes of them, and
//! which of them concern a caller.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::{SmallVec, smallvec};

use super::similar::Similar;
use super::{
    AlertId, Closing, Concern, Draft, IncidentBy, IncidentDeed, IncidentFacts, IncidentRefusal,
    IncidentRules, IncidentScope, IncidentStage, IncidentText, KnownIncident, News, Subscriber,
};
use crate::event::Event;
use crate::message::{ContactId, IncidentId, PromiseId, Stamped, TicketId};
use crate::people::Tongue;
use crate::tickets::{ReasonCode, TicketRules};

/// Languages of one incident.
const TEXTS_MAX: usize = 8;
/// Incidents that one caller hears of at a time, the latest first.
const NEWS_MAX: usize = 3;
/// Closed ones that are remembered, for whoever closes one twice.
const CLOSED_MAX: usize = 64;
/// People who are owed a call and for whom it is being written, at a time.
const OWING_MAX: usize = 32;

/// See the module's description. `at` is always the wall clock, Unix milliseconds.
#[derive(Debug)]
pub(crate) struct Board {
    rules: IncidentRules,
    next: IncidentId,
    live: BTreeMap<IncidentId, Live>,
    closed: VecDeque<(IncidentId, IncidentFacts)>,
    similar: Similar,
    /// Subscribers whose call is being written.
    owing: BTreeSet<(IncidentId, ContactId)>,
}

#[derive(Debug)]
struct Live {
    facts: IncidentFacts,
    texts: Vec<IncidentText>,
    subscribers: BTreeMap<ContactId, Subscriber>,
    tickets: BTreeSet<TicketId>,
}

/// What is to be written, and for which incident. Without events it is done already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) incident: IncidentId,
    pub(crate) events: SmallVec<[Event; 6]>,
    pub(crate) texts: Vec<IncidentText>,
}

impl Decided {
    fn nothing(incident: IncidentId) -> Self {
        Self::of(incident, SmallVec::new())
    }

    fn of(incident: IncidentId, events: SmallVec<[Event; 6]>) -> Self {
        Self {
            incident,
            events,
            texts: Vec::new(),
        }
    }
}

impl Board {
    /// `next`: the first id never given, as the store knows.
    pub(crate) fn new(rules: IncidentRules, next: IncidentId, known: Vec<KnownIncident>) -> Self {
        let mut board = Self {
            rules,
            next,
            live: BTreeMap::new(),
            closed: VecDeque::new(),
            similar: Similar::default(),
            owing: BTreeSet::new(),
        };
        for known in known {
            board.next = board.next.max(IncidentId(known.incident.0 + 1));
            let subscribers = known.subscribers.into_iter();
            let live = Live {
                facts: known.facts,
                texts: known.texts,
                subscribers: subscribers.map(|of| (of.contact, of)).collect(),
                tickets: BTreeSet::new(),
            };
            board.live.insert(known.incident, live);
        }
        board
    }

    pub(crate) fn set_rules(&mut self, rules: IncidentRules) {
        self.rules = rules;
    }

    /// How one stands; `None` when it was closed a while ago, or never was.
    pub(crate) fn facts(&self, incident: IncidentId) -> Option<&IncidentFacts> {
        let closed = || self.closed.iter().find(|(id, _)| *id == incident);
        let live = self.live.get(&incident).map(|live| &live.facts);
        live.or_else(|| closed().map(|(_, facts)| facts))
    }

    /// Those that aren't closed.
    pub(crate) fn live(&self) -> impl Iterator<Item = (IncidentId, &IncidentFacts)> {
        let all = self.live.iter().map(|(id, live)| (*id, &live.facts));
        all.filter(|(_, facts)| !facts.stage.is_closed())
    }

    /// What is said of one.
    pub(crate) fn texts(&self, incident: IncidentId) -> &[IncidentText] {
        self.live.get(&incident).map_or(&[], |live| &live.texts)
    }

    // ---- commands ----

    /// `Ok(None)`: there is nothing to be done.
    pub(crate) fn decide(
        &mut self,
        at: i64,
        by: IncidentBy,
        deed: &IncidentDeed,
        tickets: &TicketRules,
        ticket: Option<TicketId>,
    ) -> Result<Option<Decided>, IncidentRefusal> {
        match deed {
            IncidentDeed::Draft(draft) => self.draft(at, by, draft, tickets).map(Some),
            IncidentDeed::Publish(incident) => {
                let live = self.open(*incident)?;
                let mut events = SmallVec::new();
                if live.facts.stage == IncidentStage::Draft {
                    let incident = *incident;
                    events.push(Event::IncidentPublished { incident, by });
                }
                Ok(Some(Decided::of(*incident, events)))
            }
            IncidentDeed::Update {
                incident,
                scope,
                texts,
                expires_at,
            } => {
                let facts = self.open(*incident)?.facts;
                let scope = scope.unwrap_or(facts.scope);
                let expires_at = expires_at.unwrap_or(facts.expires_at);
                if expires_at != facts.expires_at {
                    self.check_time(at, expires_at)?;
                }
                check_reason(scope.reason, tickets)?;
                check_texts(texts, self.texts(*incident))?;
                let incident = *incident;
                let same = texts.iter().all(|text| self.texts(incident).contains(text));
                if same && scope == facts.scope && expires_at == facts.expires_at {
                    return Ok(Some(Decided::nothing(incident)));
                }
                let event = Event::IncidentUpdated {
                    incident,
                    by,
                    scope,
                    expires_at,
                };
                Ok(Some(Decided {
                    incident,
                    events: smallvec![event],
                    texts: texts.clone(),
                }))
            }
            IncidentDeed::Attach { incident, .. } => {
                let live = self.open(*incident)?;
                let ticket = ticket.ok_or(IncidentRefusal::NoTicket)?;
                let mut events = SmallVec::new();
                if !live.tickets.contains(&ticket) {
                    let incident = *incident;
                    events.push(Event::IncidentAttached { incident, ticket });
                }
                Ok(Some(Decided::of(*incident, events)))
            }
            IncidentDeed::Surge {
                rehearsal,
                expires_at,
            } => self.surge(at, by, *rehearsal, *expires_at).map(Some),
            IncidentDeed::SurgeOver => {
                let found = self.live().find(|(_, facts)| facts.scope.surge);
                Ok(found.map(|(incident, facts)| closed(incident, facts, by)))
            }
            IncidentDeed::Close(incident) => {
                if self.closed.iter().any(|(id, _)| id == incident) {
                    return Ok(Some(Decided::nothing(*incident)));
                }
                let live = self.live.get(incident).ok_or(IncidentRefusal::NotFound)?;
                Ok(Some(closed(*incident, &live.facts, by)))
            }
            IncidentDeed::Clear(alert) => {
                let found = self.of_alert(*alert);
                Ok(found.map(|(incident, facts)| closed(incident, facts, by)))
            }
        }
    }

    fn draft(
        &mut self,
        at: i64,
        by: IncidentBy,
        draft: &Draft,
        tickets: &TicketRules,
    ) -> Result<Decided, IncidentRefusal> {
        self.check_time(at, draft.expires_at)?;
        check_reason(draft.scope.reason, tickets)?;
        check_texts(&draft.texts, &[])?;
        let again = draft.alert.and_then(|alert| self.of_alert(alert));
        if let Some((incident, facts)) = again {
            return Ok(prolonged(incident, facts, by, at, draft.expires_at));
        }
        if self.live().count() >= self.rules.live_max {
            return Err(IncidentRefusal::TooMany);
        }
        let incident = self.next;
        // Given for good: if the write fails, the id stays unused.
        self.next.0 += 1;
        let mut events = smallvec![Event::IncidentDrafted {
            incident,
            scope: draft.scope,
            by,
            alert: draft.alert,
            expires_at: draft.expires_at,
        }];
        if draft.publish && self.rules.at_once.contains(&by) {
            events.push(Event::IncidentPublished { incident, by });
        }
        Ok(Decided {
            incident,
            events,
            texts: draft.texts.clone(),
        })
    }

    /// There is one at a time; begun again it lasts longer.
    fn surge(
        &mut self,
        at: i64,
        by: IncidentBy,
        rehearsal: bool,
        expires_at: Option<i64>,
    ) -> Result<Decided, IncidentRefusal> {
        let expires_at = expires_at.unwrap_or(at.saturating_add(self.rules.surge_lasts_ms));
        self.check_time(at, expires_at)?;
        let scope = IncidentScope {
            surge: true,
            rehearsal,
            ..IncidentScope::default()
        };
        if let Some((incident, facts)) = self.live().find(|(_, facts)| facts.scope.surge) {
            // A rehearsal becomes the real thing, and never the other way round.
            let scope = IncidentScope {
                rehearsal: facts.scope.rehearsal && rehearsal,
                ..scope
            };
            let expires_at = expires_at.max(facts.expires_at);
            let event = Event::IncidentUpdated {
                incident,
                by,
                scope,
                expires_at,
            };
            let same = (scope, expires_at) == (facts.scope, facts.expires_at);
            let events = if same {
                SmallVec::new()
            } else {
                smallvec![event]
            };
            return Ok(Decided::of(incident, events));
        }
        let incident = self.next;
        self.next.0 += 1;
        let drafted = Event::IncidentDrafted {
            incident,
            scope,
            by,
            alert: None,
            expires_at,
        };
        Ok(Decided {
            incident,
            events: smallvec![drafted, Event::IncidentPublished { incident, by }],
            texts: self.rules.surge_texts.clone(),
        })
    }

    /// What callers would hear in a surge.
    pub(crate) fn surge_news(&self) -> News {
        News {
            incident: self.next,
            texts: self.rules.surge_texts.clone(),
            surge: true,
        }
    }

    fn open(&self, incident: IncidentId) -> Result<&Live, IncidentRefusal> {
        let live = self.live.get(&incident);
        live.filter(|live| !live.facts.stage.is_closed())
            .ok_or(IncidentRefusal::NotFound)
    }

    fn of_alert(&self, alert: AlertId) -> Option<(IncidentId, &IncidentFacts)> {
        self.live().find(|(_, facts)| facts.alert == Some(alert))
    }

    fn check_time(&self, at: i64, expires_at: i64) -> Result<(), IncidentRefusal> {
        let last = at.saturating_add(self.rules.lasts_max_ms);
        let fine = expires_at > at && expires_at <= last;
        fine.then_some(()).ok_or(IncidentRefusal::WrongTime)
    }

    // ---- what else happens ----

    /// A ticket's reason was said. Gives what is to be written: it is about an incident of that
    /// reason, or it is one call too many to be chance.
    pub(crate) fn categorised(
        &mut self,
        at: i64,
        ticket: TicketId,
        reason: ReasonCode,
    ) -> Option<Decided> {
        let about = |facts: &IncidentFacts| facts.scope.reason == Some(reason);
        let known = self.live().find(|(_, facts)| about(facts));
        let within = self.rules.similar_ms;
        let similar = (at, reason, ticket);
        if let Some((incident, _)) = known {
            self.similar.note(similar, within, 0);
            let attached = &self.live.get(&incident)?.tickets;
            let event = Event::IncidentAttached { incident, ticket };
            let new = !attached.contains(&ticket);
            return new.then(|| Decided::of(incident, smallvec![event]));
        }
        let tickets = self
            .similar
            .note(similar, within, self.rules.similar_calls)?;
        if self.live().count() >= self.rules.live_max {
            return None;
        }
        let incident = self.next;
        self.next.0 += 1;
        let scope = IncidentScope {
            reason: Some(reason),
            ..Default::default()
        };
        let mut events: SmallVec<[Event; 6]> = smallvec![Event::IncidentDrafted {
            incident,
            scope,
            by: IncidentBy::Calls,
            alert: None,
            expires_at: at.saturating_add(self.rules.similar_lasts_ms),
        }];
        let attached = tickets.into_iter();
        events.extend(attached.map(|ticket| Event::IncidentAttached { incident, ticket }));
        Some(Decided::of(incident, events))
    }

    /// One whose time is over.
    pub(crate) fn expired(&self, at: i64) -> Option<Decided> {
        let (incident, facts) = self.live().find(|(_, facts)| facts.expires_at <= at)?;
        let event = Event::IncidentClosed {
            incident,
            by: IncidentBy::System,
            why: match facts.stage {
                IncidentStage::Draft => Closing::Withdrawn,
                _ => Closing::Expired,
            },
        };
        Some(Decided::of(incident, smallvec![event]))
    }

    /// When [`Self::expired`] is to be asked next.
    pub(crate) fn next_wake(&self) -> Option<i64> {
        self.live().map(|(_, facts)| facts.expires_at).min()
    }

    /// Somebody wants to be told. `None`: it is over by now, or was never said.
    pub(crate) fn subscribe(&self, of: &Subscriber) -> Option<Decided> {
        let incident = of.incident;
        let live = self.live.get(&incident)?;
        live.facts.stage.published()?;
        let same = |known: &Subscriber| known.number == of.number || known.contact == of.contact;
        if live.subscribers.values().any(same) {
            return Some(Decided::nothing(incident));
        }
        let event = Event::IncidentSubscribed {
            incident,
            contact: of.contact,
        };
        Some(Decided::of(incident, smallvec![event]))
    }

    /// May one more be taken?
    pub(crate) fn has_room(&self) -> bool {
        let all: usize = self.live.values().map(|live| live.subscribers.len()).sum();
        all < self.rules.subscribers_max
    }

    /// It is on disk.
    pub(crate) fn subscribed(&mut self, of: Subscriber) {
        if let Some(live) = self.live.get_mut(&of.incident) {
            live.subscribers.insert(of.contact, of);
        }
    }

    /// An event is on disk. `texts` replace those of the same language.
    pub(crate) fn apply(&mut self, stamped: &Stamped, texts: &[IncidentText]) {
        if let Some((incident, facts)) = IncidentFacts::drafted(stamped) {
            self.next = self.next.max(IncidentId(incident.0 + 1));
            let live = Live {
                facts,
                texts: texts.to_vec(),
                subscribers: BTreeMap::new(),
                tickets: BTreeSet::new(),
            };
            self.live.insert(incident, live);
            return;
        }
        let Some(incident) = stamped.event.incident() else {
            return;
        };
        let Some(live) = self.live.get_mut(&incident) else {
            return;
        };
        live.facts.apply(stamped);
        match stamped.event {
            Event::IncidentUpdated { .. } => {
                for text in texts {
                    live.texts.retain(|known| known.language != text.language);
                    live.texts.push(text.clone());
                }
            }
            Event::IncidentAttached { ticket, .. } => {
                live.tickets.insert(ticket);
            }
            Event::IncidentClosed { .. } => self.bury(incident),
            Event::IncidentOwed { contact, .. } => {
                live.subscribers.remove(&contact);
                self.owing.remove(&(incident, contact));
                self.bury(incident);
            }
            _ => {}
        }
    }

    /// Lets go of one that is closed, when nobody waits to be told.
    fn bury(&mut self, incident: IncidentId) {
        let over = |live: &Live| live.facts.stage.is_closed() && live.subscribers.is_empty();
        if self.live.get(&incident).is_some_and(over)
            && let Some(live) = self.live.remove(&incident)
        {
            if self.closed.len() == CLOSED_MAX {
                self.closed.pop_front();
            }
            self.closed.push_back((incident, live.facts));
        }
    }

    // ---- callers ----

    /// What a caller is to hear, the latest first. `told`: what they have heard of already.
    pub(crate) fn news(&self, caller: Concern, told: &[IncidentId]) -> Vec<News> {
        let mut concerning: Vec<_> = self
            .live
            .iter()
            .filter(|(incident, live)| {
                !told.contains(incident) && live.facts.scope.concerns(caller)
            })
            .filter_map(|(incident, live)| Some((live.facts.stage.published()?, *incident, live)))
            .collect();
        // A surge before all else.
        concerning.sort_unstable_by_key(|(at, incident, live)| {
            std::cmp::Reverse((live.facts.scope.surge, *at, *incident))
        });
        concerning.truncate(NEWS_MAX);
        let news = concerning.into_iter().map(|(_, incident, live)| News {
            incident,
            texts: live.texts.clone(),
            surge: live.facts.scope.surge,
        });
        news.collect()
    }

    /// The latest draft, to be heard by whoever may publish it.
    pub(crate) fn draft_news(&self) -> Option<News> {
        let drafts = self.live.iter().rev();
        let (incident, live) = drafts
            .into_iter()
            .find(|(_, live)| live.facts.stage == IncidentStage::Draft)?;
        Some(News {
            incident: *incident,
            texts: live.texts.clone(),
            surge: false,
        })
    }

    /// Somebody who is owed a call now, as what they asked about is over. Each is named once,
    /// until [`Self::not_owed`].
    pub(crate) fn owed(&mut self) -> Option<Subscriber> {
        if self.owing.len() >= OWING_MAX {
            return None;
        }
        let closed = self
            .live
            .values()
            .filter(|live| live.facts.stage.is_closed());
        let mut waiting = closed.flat_map(|live| live.subscribers.values());
        let next = waiting.find(|of| !self.owing.contains(&(of.incident, of.contact)))?;
        let next = next.clone();
        self.owing.insert((next.incident, next.contact));
        Some(next)
    }

    /// It couldn't be written.
    pub(crate) fn not_owed(&mut self, incident: IncidentId, contact: ContactId) {
        self.owing.remove(&(incident, contact));
    }

    /// Is anybody owed a call for whom it isn't being written?
    pub(crate) fn owes(&self) -> bool {
        let closed = self
            .live
            .values()
            .filter(|live| live.facts.stage.is_closed());
        let all: usize = closed.map(|live| live.subscribers.len()).sum();
        all > self.owing.len()
    }
}

/// The event by which a subscriber's call becomes the ledger's.
pub(crate) fn owed_event(of: &Subscriber, promise: PromiseId) -> Event {
    Event::IncidentOwed {
        incident: of.incident,
        contact: of.contact,
        promise,
    }
}

/// An alert that fires on. Told often, it is written seldom: when a quarter of the time is gone.
fn prolonged(
    incident: IncidentId,
    facts: &IncidentFacts,
    by: IncidentBy,
    at: i64,
    expires_at: i64,
) -> Decided {
    let gained = expires_at.saturating_sub(facts.expires_at);
    if gained <= expires_at.saturating_sub(at) / 4 {
        return Decided::nothing(incident);
    }
    let event = Event::IncidentUpdated {
        incident,
        by,
        scope: facts.scope,
        expires_at,
    };
    Decided::of(incident, smallvec![event])
}

fn closed(incident: IncidentId, facts: &IncidentFacts, by: IncidentBy) -> Decided {
    let why = match facts.stage {
        IncidentStage::Draft => Closing::Withdrawn,
        IncidentStage::Published { .. } => Closing::Resolved,
        IncidentStage::Closed { .. } => return Decided::nothing(incident),
    };
    let event = Event::IncidentClosed { incident, by, why };
    Decided::of(incident, smallvec![event])
}

fn check_reason(reason: Option<ReasonCode>, rules: &TicketRules) -> Result<(), IncidentRefusal> {
    match reason {
        Some(reason) if !rules.reasons.contains_key(&reason) => Err(IncidentRefusal::UnknownReason),
        _ => Ok(()),
    }
}

/// Each language once, and not too many with those that are there.
fn check_texts(new: &[IncidentText], known: &[IncidentText]) -> Result<(), IncidentRefusal> {
    let languages: BTreeSet<Tongue> = new.iter().map(|text| text.language).collect();
    let once = languages.len() == new.len();
    let others = known
        .iter()
        .filter(|text| !languages.contains(&text.language));
    if once && new.len() + others.count() <= TEXTS_MAX {
        Ok(())
    } else {
        Err(IncidentRefusal::WrongTexts)
    }
}

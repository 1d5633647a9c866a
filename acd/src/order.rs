//! The order of service: who is next in a queue, and whom a free agent takes.
//!
//! A contact's place is a lane by its class, and within it a time at which it
//! counts as having come: when it did, a fixed handicap later for some classes,
//! and in a queue that hospitals share, [`Aging::spacing`](crate::Aging::spacing)
//! or more behind the one before it of the same hospital and class. A hospital
//! whose callers come all at once thereby lines them up in its own time, and
//! another's single caller goes between them instead of behind them all; a
//! hospital that waits alone is served in the order of coming. Nobody who comes
//! later changes a place: lanes are sorted once, and aging needs no re-sorting.
//!
//! | lane | who | order |
//! |---|---|---|
//! | care | `CareStopped` | by arrival; always first |
//! | clinical | clinicians; staff in a clinical queue | by arrival |
//! | general | staff, patients | by arrival, a patient counted as having come `patient_behind_staff` later |
//!
//! An agent takes the first of the first lane that isn't empty, over all
//! queues served. The one exception keeps the general lane from starving: an
//! agent who has taken `clinicians_in_a_row` clinicians and nobody else takes
//! one from where somebody is overdue longest. This is a share of turns, not a
//! priority that grows: however many patients wait, of any n + 1 contacts that
//! an agent takes while clinicians wait, at most one isn't a clinician. And
//! since the share goes to the line in which somebody is overdue longest, and
//! there to its first, everybody's turn comes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::{Class, ContactId, QueueSetup, TenantId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Care,
    Clinical,
    General,
}

/// Where in the order a contact stands; the smaller is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) lane: Lane,
    /// When it counts as having come.
    pub(crate) at: Duration,
    pub(crate) contact: ContactId,
}

/// Who waits, as far as the order depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    lane: Lane,
    share: (TenantId, Class),
    /// When it came, later by its class's handicap.
    came: Duration,
    contact: ContactId,
}

impl Seat {
    pub(crate) fn new(
        queue: &QueueSetup,
        tenant: TenantId,
        class: Class,
        since: Duration,
        contact: ContactId,
    ) -> Self {
        let lane = match class {
            Class::CareStopped => Lane::Care,
            Class::Clinician => Lane::Clinical,
            Class::Staff if queue.clinical => Lane::Clinical,
            Class::Staff | Class::Patient => Lane::General,
        };
        let came = match (lane, class) {
            (Lane::General, Class::Patient) => {
                since.saturating_add(queue.aging.patient_behind_staff)
            }
            _ => since,
        };
        Self {
            lane,
            share: (tenant, class),
            came,
            contact,
        }
    }
}

/// Those who wait in one queue and aren't being offered.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// How far apart those of one share count as having come, at least.
    spacing: Duration,
    lanes: [Members; 3],
}

/// Those of one lane.
#[derive(Debug, Default)]
struct Members {
    /// Sorted by (`at`, contact). Mostly used at both ends; an insertion in
    /// the middle of 5,000 moves some 60 kB at worst.
    order: VecDeque<(Duration, ContactId)>,
    /// A hospital's of one class, sorted by (`came`, contact).
    shares: HashMap<(TenantId, Class), VecDeque<Member>>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    came: Duration,
    contact: ContactId,
    at: Duration,
}

const LANES: [Lane; 3] = [Lane::Care, Lane::Clinical, Lane::General];

impl Line {
    pub(crate) fn new(setup: &QueueSetup) -> Self {
        Self {
            // A hospital's own queue is nobody else's to have a share of.
            spacing: match setup.tenant {
                Some(_) => Duration::ZERO,
                None => setup.aging.spacing,
            },
            ..Self::default()
        }
    }

    pub(crate) fn insert(&mut self, seat: Seat) {
        let spacing = match seat.lane {
            // Nothing goes before it, not even in the name of fairness.
            Lane::Care => Duration::ZERO,
            Lane::Clinical | Lane::General => self.spacing,
        };
        self.lanes[seat.lane as usize].insert(seat, spacing);
    }

    pub(crate) fn remove(&mut self, seat: Seat) {
        self.lanes[seat.lane as usize].remove(seat);
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.order.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.order.is_empty())
    }

    /// How many are served before this one (aging turns aside).
    pub(crate) fn ahead_of(&self, seat: Seat) -> usize {
        let lane = seat.lane as usize;
        let before: usize = self.lanes[..lane].iter().map(|l| l.order.len()).sum();
        before + self.lanes[lane].ahead_of(seat)
    }

    pub(crate) fn contacts(&self) -> impl Iterator<Item = ContactId> + '_ {
        let order = self.lanes.iter().flat_map(|lane| &lane.order);
        order.map(|&(_, contact)| contact)
    }

    /// Who is served next.
    pub(crate) fn first(&self) -> Option<Place> {
        LANES.into_iter().find_map(|lane| self.first_of(lane))
    }

    fn first_of(&self, lane: Lane) -> Option<Place> {
        let (at, contact) = *self.lanes[lane as usize].order.front()?;
        Some(Place { lane, at, contact })
    }

    /// When the one of this lane came who came first, whoever is served next.
    fn oldest_of(&self, lane: Lane) -> Option<Duration> {
        let shares = self.lanes[lane as usize].shares.values();
        shares.filter_map(|share| Some(share.front()?.came)).min()
    }
}

impl Members {
    fn insert(&mut self, seat: Seat, spacing: Duration) {
        let share = self.shares.entry(seat.share).or_default();
        let Err(index) = share.binary_search_by_key(&(seat.came, seat.contact), Member::key) else {
            return;
        };
        let behind = |before: Option<&Member>, at: Duration| {
            at.max(before.map_or(Duration::ZERO, |m| m.at.saturating_add(spacing)))
        };
        let before = index.checked_sub(1).and_then(|before| share.get(before));
        let member = Member {
            came: seat.came,
            contact: seat.contact,
            at: behind(before, seat.came),
        };
        share.insert(index, member);
        enter(&mut self.order, (member.at, member.contact));
        // Nobody, as a rule: only after a restart does who came first announce itself last.
        for index in index + 1..share.len() {
            let before = share[index - 1];
            let member = &mut share[index];
            let at = behind(Some(&before), member.at);
            if at == member.at {
                break;
            }
            quit(&mut self.order, (member.at, member.contact));
            member.at = at;
            enter(&mut self.order, (at, member.contact));
        }
    }

    fn remove(&mut self, seat: Seat) {
        let Some(share) = self.shares.get_mut(&seat.share) else {
            return;
        };
        // Those behind keep their place: what was taken on credit is paid back.
        if let Ok(index) = share.binary_search_by_key(&(seat.came, seat.contact), Member::key)
            && let Some(member) = share.remove(index)
        {
            quit(&mut self.order, (member.at, member.contact));
        }
        if share.is_empty() {
            self.shares.remove(&seat.share);
        }
    }

    /// Of one that isn't in line: how many came before it.
    fn ahead_of(&self, seat: Seat) -> usize {
        let member = self.shares.get(&seat.share).and_then(|share| {
            let index = share.binary_search_by_key(&(seat.came, seat.contact), Member::key);
            share.get(index.ok()?)
        });
        let at = member.map_or(seat.came, |member| member.at);
        self.order.partition_point(|&key| key < (at, seat.contact))
    }
}

impl Member {
    fn key(&self) -> (Duration, ContactId) {
        (self.came, self.contact)
    }
}

fn enter(order: &mut VecDeque<(Duration, ContactId)>, place: (Duration, ContactId)) {
    if let Err(index) = order.binary_search(&place) {
        order.insert(index, place);
    }
}

fn quit(order: &mut VecDeque<(Duration, ContactId)>, place: (Duration, ContactId)) {
    if let Ok(index) = order.binary_search(&place) {
        order.remove(index);
    }
}

/// One of the queues from which an agent may take the next contact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) queue: usize,
    pub(crate) line: &'a Line,
    pub(crate) overdue_after: Duration,
    /// How much later its contacts count as having come, for this agent.
    pub(crate) behind: Duration,
}

/// Whom an agent takes next. `turn_due`: has taken enough clinicians in a row.
pub(crate) fn choose<'a>(
    choices: impl Iterator<Item = Choice<'a>>,
    now: Duration,
    turn_due: bool,
) -> Option<(usize, Place)> {
    // Compared by what counts for this agent; the contact itself breaks ties.
    let mut best: Option<(Place, usize, Place)> = None;
    let mut overdue: Option<(Duration, ContactId, usize, Place)> = None;
    for choice in choices {
        let Some(first) = choice.line.first() else {
            continue;
        };
        let counted = Place {
            at: match first.lane {
                // Nothing overtakes it, not even by an agent's preference.
                Lane::Care => first.at,
                Lane::Clinical | Lane::General => first.at.saturating_add(choice.behind),
            },
            ..first
        };
        if best.is_none_or(|(least, ..)| counted < least) {
            best = Some((counted, choice.queue, first));
        }
        if turn_due
            && let Some(first) = choice.line.first_of(Lane::General)
            && let Some(oldest) = choice.line.oldest_of(Lane::General)
            && let claim = oldest.saturating_add(choice.overdue_after)
            && claim <= now
            && overdue.is_none_or(|(c, contact, ..)| (claim, first.contact) < (c, contact))
        {
            overdue = Some((claim, first.contact, choice.queue, first));
        }
    }
    match (best, overdue) {
        (Some((counted, ..)), Some((_, _, queue, place))) if counted.lane == Lane::Clinical => {
            Some((queue, place))
        }
        (best, _) => best.map(|(_, queue, place)| (queue, place)),
    }
}

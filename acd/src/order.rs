//! The order of service: who is next in a queue, and whom a free agent takes.
//!
//! A contact's place never changes while it waits: a lane by class, and within
//! it a time that grows with each member of a class by a fixed handicap. So
//! lanes are sorted once, and aging needs no re-sorting.
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
//! the contact that is overdue longest. This is a share of turns, not a
//! priority that grows: however many patients wait, of any n + 1 contacts that
//! an agent takes while clinicians wait, at most one isn't a clinician. And
//! since the share goes to who is overdue longest, everybody's turn comes.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Class, ContactId, QueueSetup};

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

impl Place {
    pub(crate) fn new(
        queue: &QueueSetup,
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
        let at = match (lane, class) {
            (Lane::General, Class::Patient) => {
                since.saturating_add(queue.aging.patient_behind_staff)
            }
            _ => since,
        };
        Self { lane, at, contact }
    }
}

/// Those who wait in one queue and aren't being offered.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Sorted by (`at`, contact). Mostly used at both ends; an insertion in
    /// the middle of 5,000 moves some 60 kB at worst.
    lanes: [VecDeque<(Duration, ContactId)>; 3],
}

const LANES: [Lane; 3] = [Lane::Care, Lane::Clinical, Lane::General];

impl Line {
    pub(crate) fn insert(&mut self, place: Place) {
        let lane = &mut self.lanes[place.lane as usize];
        if let Err(index) = lane.binary_search(&(place.at, place.contact)) {
            lane.insert(index, (place.at, place.contact));
        }
    }

    pub(crate) fn remove(&mut self, place: Place) {
        let lane = &mut self.lanes[place.lane as usize];
        if let Ok(index) = lane.binary_search(&(place.at, place.contact)) {
            lane.remove(index);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// How many are served before this place (aging turns aside).
    pub(crate) fn ahead_of(&self, place: Place) -> usize {
        let lane = place.lane as usize;
        let before: usize = self.lanes[..lane].iter().map(VecDeque::len).sum();
        before + self.lanes[lane].partition_point(|&key| key < (place.at, place.contact))
    }

    pub(crate) fn contacts(&self) -> impl Iterator<Item = ContactId> + '_ {
        self.lanes.iter().flatten().map(|&(_, contact)| contact)
    }

    /// Who is served next.
    pub(crate) fn first(&self) -> Option<Place> {
        LANES.into_iter().find_map(|lane| self.first_of(lane))
    }

    fn first_of(&self, lane: Lane) -> Option<Place> {
        self.lanes[lane as usize]
            .front()
            .map(|&(at, contact)| Place { lane, at, contact })
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
            && let claim = first.at.saturating_add(choice.overdue_after)
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

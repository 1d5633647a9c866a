//! A caller is promised a call: what can be offered to them, and what they have chosen.
//!
//! Nobody is promised a call that couldn't be made: the number is held against the hospital's dial rules before it is
//! read out, and again when it is called. The hours are the desk's answer, cut into whole ones where the hospital is.

use std::sync::Arc;

use desk::{First, PhoneNumber, PromiseAsk, PromiseKind, Reply, Role, Span, What};
use hours::{Day, Days};
use ivr_flows::{
    CallbackAsk, CallbackDay, CallbackOffer, CallbackTime, Class, Input as FlowInput, Number,
    Promised,
};

use super::{Contact, Cx};
use crate::dial::Destination;
use crate::setup::Setup;

const HOUR_MS: i64 = 3_600_000;
/// How far ahead hours are offered: a day of the week is named once.
const AHEAD_MS: i64 = 6 * 24 * HOUR_MS;
/// Nothing is offered that begins sooner.
const SOONEST_MS: i64 = HOUR_MS / 2;
/// Stretches asked for, and hours offered.
const STRETCHES_MAX: u8 = 32;
const HOURS_MAX: usize = 3;

/// What was offered to a caller.
#[derive(Debug, Default)]
pub(super) struct Offered {
    hours: Vec<(CallbackTime, Span)>,
    /// A number keyed in, as it will be called.
    other: Option<PhoneNumber>,
}

impl Contact {
    /// What may this caller be promised?
    pub(super) fn ask_callback(&mut self, cx: &mut Cx<'_>) {
        let tenant = cx.setup.tenants.get(&self.tenant);
        // Whom we call is on the line already.
        let calls_back = tenant.is_some_and(|tenant| tenant.callbacks.is_some());
        if !calls_back || self.calling_back.is_some() {
            let nothing = FlowInput::CallbackOffer(None);
            return self.session.handle(cx.now.mono, nothing);
        }
        let within = Span {
            from: cx.now.wall,
            to: cx.now.wall.saturating_add(AHEAD_MS),
        };
        self.tell_desk(
            cx,
            What::PromiseWindows {
                within,
                least_ms: 1,
                count: STRETCHES_MAX,
            },
        );
    }

    /// When the desk can call.
    pub(super) fn callback_offer(&mut self, reply: Reply, cx: &Cx<'_>) -> FlowInput {
        let Reply::Windows(stretches) = reply else {
            return FlowInput::CallbackOffer(None);
        };
        let tenant = cx.setup.tenants.get(&self.tenant);
        let days = tenant.and_then(|tenant| tenant.days.as_ref());
        let now = cx.now.wall;
        let place = stretches.first().is_some_and(|first| first.from <= now);
        let hours = days.map_or_else(Vec::new, |days| whole_hours(days, now, &stretches));
        let times = hours.iter().map(|(time, _)| *time).collect();
        self.offered = Offered { hours, other: None };
        let ani = self.ani.as_ref();
        let number = ani.and_then(|ani| cx.setup.callable(self.tenant, &ani.0));
        FlowInput::CallbackOffer(Some(CallbackOffer {
            number: number.and_then(|number| cx.setup.read_out(self.tenant, &number)),
            place,
            times,
        }))
    }

    /// May the number that was keyed in be called?
    pub(super) fn check_number(&mut self, keyed: &Number, cx: &mut Cx<'_>) {
        self.offered.other = cx.setup.callable(self.tenant, keyed.digits());
        let other = self.offered.other.as_ref();
        let number = other.and_then(|other| cx.setup.read_out(self.tenant, other));
        self.session.handle(cx.now.mono, FlowInput::Number(number));
    }

    pub(super) fn promise(&mut self, wanted: &CallbackAsk, cx: &mut Cx<'_>) {
        match self.promise_ask(wanted, cx) {
            Some(ask) => self.tell_desk(cx, What::Promise(ask)),
            None => self.session.handle(cx.now.mono, FlowInput::NotPromised),
        }
    }

    fn promise_ask(&self, wanted: &CallbackAsk, cx: &Cx<'_>) -> Option<PromiseAsk> {
        let callbacks = cx.setup.tenants.get(&self.tenant)?.callbacks.as_ref()?;
        let name = (self.tenant, Arc::clone(&wanted.queue));
        let queue = cx.setup.queues.get(&name)?.id;
        let number = match &wanted.number {
            Some(_) => self.offered.other.clone()?,
            None => cx.setup.callable(self.tenant, &self.ani.as_ref()?.0)?,
        };
        let (kind, window, first) = match wanted.time {
            Some(time) => {
                let (_, window) = self.offered.hours.get(time)?;
                (PromiseKind::Scheduled, Some(*window), callbacks.times_first)
            }
            None => (PromiseKind::Hold, None, First::Agent),
        };
        let waited = self.waiting_since.map(|since| {
            let waited = cx.now.mono.saturating_sub(since);
            cx.now.wall - i64::try_from(waited.as_millis()).unwrap_or(0)
        });
        Some(PromiseAsk {
            number,
            kind,
            queue: desk::QueueId(queue.0),
            class: match wanted.class {
                _ if self.clinical => Role::Clinician,
                Class::Clinician | Class::CareStopped => Role::Clinician,
                Class::Staff => Role::Staff,
                Class::Patient => Role::Patient,
            },
            since: waited,
            window,
            first,
        })
    }

    /// What the caller was promised, as they hear of it.
    pub(super) fn promised(&self, ask: &PromiseAsk, reply: &Reply, cx: &Cx<'_>) -> FlowInput {
        let Reply::Promised { window, .. } = reply else {
            return FlowInput::NotPromised;
        };
        let tenant = cx.setup.tenants.get(&self.tenant);
        let days = tenant.and_then(|tenant| tenant.days.as_ref());
        FlowInput::Promised(match (ask.kind, window) {
            (_, None) => Promised::ByPerson,
            (PromiseKind::Hold, Some(_)) => Promised::Turn,
            (PromiseKind::Scheduled | PromiseKind::Owned { .. }, Some(window)) => {
                let time = days.and_then(|days| time_of(days, cx.now.wall, window.from));
                time.map_or(Promised::ByPerson, Promised::At)
            }
        })
    }
}

impl Setup {
    /// How a number is called that somebody calls from, or has keyed in as they would dial it: the first way of writing
    /// it that leads outside by the hospital's rules (invariant 14).
    pub(crate) fn callable(&self, tenant: desk::TenantId, number: &str) -> Option<PhoneNumber> {
        let country = &self.tenants.get(&tenant)?.dial.country_code;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let own = format!("+{country}");
        let national = digits.strip_prefix('0').unwrap_or(digits);
        let written = [
            number.to_owned(),
            format!("+{digits}"),
            format!("{own}{national}"),
            format!("{country}{national}"),
        ];
        // Of whom it isn't known where they are nothing is put before the number.
        let ways = if country.is_empty() { 2 } else { written.len() };
        written
            .into_iter()
            .take(ways)
            .find_map(|written| match self.reached(tenant, &written) {
                Some(Destination::Outside { number, .. }) => Some(number),
                _ => None,
            })
    }

    /// The number as it is read out: as people say it where the hospital is.
    fn read_out(&self, tenant: desk::TenantId, number: &PhoneNumber) -> Option<Number> {
        let country = &self.tenants.get(&tenant)?.dial.country_code;
        let digits = number.0.strip_prefix('+').unwrap_or(&number.0);
        // Ten digits without the 1; elsewhere there is no such rule.
        let short = digits.strip_prefix('1').filter(|short| short.len() == 10);
        Number::new(short.filter(|_| country == "1").unwrap_or(digits))
    }
}

fn time_of(days: &Days, now: i64, at: i64) -> Option<CallbackTime> {
    let day = match days.of(now, at.max(now)) {
        Day::Today => CallbackDay::Today,
        Day::Tomorrow => CallbackDay::Tomorrow,
        Day::Weekday(day) => CallbackDay::On(day),
        Day::Past | Day::Later => return None,
    };
    let (hour, _) = days.clock(at)?;
    Some(CallbackTime { day, hour })
}

/// Hours to choose from: the first of each of the next days, and where there are fewer such days, of those what follows.
fn whole_hours(days: &Days, now: i64, stretches: &[Span]) -> Vec<(CallbackTime, Span)> {
    let mut all = Vec::new();
    for stretch in stretches {
        let mut from = stretch.from.max(now + SOONEST_MS);
        match days.clock(from) {
            Some((_, 0)) => {}
            Some((_, into)) => from += HOUR_MS - into,
            None => continue,
        }
        while from + HOUR_MS <= stretch.to {
            let span = Span {
                from,
                to: from + HOUR_MS,
            };
            all.extend(time_of(days, now, from).map(|time| (time, span)));
            from += HOUR_MS;
        }
    }
    let mut chosen: Vec<(CallbackTime, Span)> = Vec::new();
    for first in [true, false] {
        for (time, span) in &all {
            let taken = |(other, there): &(CallbackTime, Span)| {
                there == span || (first && other.day == time.day)
            };
            if chosen.len() < HOURS_MAX && !chosen.iter().any(taken) {
                chosen.push((*time, *span));
            }
        }
    }
    chosen.sort_by_key(|(_, span)| span.from);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> i64 {
        hours::instant(text).expect("a moment")
    }

    /// What is offered at a moment, of stretches, where the hospital is.
    fn offered(zone: &str, now: &str, stretches: &[(&str, &str)]) -> Vec<(CallbackDay, u8)> {
        let days = Days::read(zone).expect("a zone");
        let stretches: Vec<_> = stretches
            .iter()
            .map(|(from, to)| Span {
                from: moment(from),
                to: moment(to),
            })
            .collect();
        let offered = whole_hours(&days, moment(now), &stretches);
        for (_, span) in &offered {
            let within = |of: &Span| of.from <= span.from && span.to <= of.to;
            assert!(stretches.iter().any(within), "{span:?}");
        }
        let times = offered.iter().map(|(time, _)| (time.day, time.hour));
        times.collect()
    }

    #[test]
    fn hours_are_whole_and_spread_over_the_days() {
        use CallbackDay::{On, Today, Tomorrow};
        // Monday; her mornings are those of Tuesday and Thursday.
        assert_eq!(
            offered(
                "America/Chicago",
                "2026-11-23T10:10:00-06:00",
                &[
                    ("2026-11-24T08:00:00-06:00", "2026-11-24T12:00:00-06:00"),
                    ("2026-11-26T08:00:00-06:00", "2026-11-26T12:00:00-06:00"),
                ],
            ),
            [(Tomorrow, 8), (Tomorrow, 9), (On(3), 8)]
        );
        assert_eq!(
            offered(
                "America/Chicago",
                "2026-11-23T10:40:00-06:00",
                &[
                    ("2026-11-23T10:40:00-06:00", "2026-11-23T20:00:00-06:00"),
                    ("2026-11-24T08:00:00-06:00", "2026-11-24T20:00:00-06:00"),
                    ("2026-11-25T08:30:00-06:00", "2026-11-25T20:00:00-06:00"),
                ],
            ),
            [(Today, 12), (Tomorrow, 8), (On(2), 9)]
        );
        // Too short for an hour.
        assert_eq!(
            offered(
                "America/Chicago",
                "2026-11-23T10:00:00-06:00",
                &[("2026-11-24T08:10:00-06:00", "2026-11-24T09:50:00-06:00")],
            ),
            []
        );
    }

    #[test]
    fn hours_are_those_of_the_wall_clock_where_it_changes_and_where_it_is_half_past() {
        use CallbackDay::{Today, Tomorrow};
        // Summer time ends in the night: eight is nine hours after midnight there.
        for (zone, now, from, to, expected) in [
            (
                "America/Chicago",
                "2026-10-31T21:00:00-05:00",
                "2026-11-01T08:00:00-06:00",
                "2026-11-01T09:00:00-06:00",
                (Tomorrow, 8),
            ),
            (
                "Europe/Berlin",
                "2026-10-25T01:00:00+02:00",
                "2026-10-25T08:00:00+01:00",
                "2026-10-25T09:00:00+01:00",
                (Today, 8),
            ),
            (
                "Asia/Kolkata",
                "2026-11-23T10:00:00+05:30",
                "2026-11-23T15:00:00+05:30",
                "2026-11-23T16:00:00+05:30",
                (Today, 15),
            ),
            (
                "Australia/Lord_Howe",
                "2026-10-04T01:00:00+10:30",
                "2026-10-04T08:00:00+11:00",
                "2026-10-04T09:00:00+11:00",
                (Today, 8),
            ),
        ] {
            assert_eq!(offered(zone, now, &[(from, to)]), [expected], "{zone}");
        }
    }
}

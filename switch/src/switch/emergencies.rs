//! Whose business it is, of what belongs to calls to emergency services.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use desk::ContactId;

use super::Switch;
use crate::contact::{Cx, LegEnd, Opened, Side};
use crate::emergency::{CallsBack, Dialled, EmergencyCall, is_emergency};
use crate::input::{Input, Now};

/// Emergency calls of one account at a time.
const CALLS_MAX: usize = 2;

impl Switch {
    /// A call to an emergency service got through the transaction layer.
    pub(super) fn emergency_begins(
        &mut self,
        now: Now,
        leg: sip::LegId,
        peer: sip::Peer,
        request: &sip::Request,
        dialled: Dialled,
    ) {
        if !self.makes_room(now, &dialled.account) {
            return self.sip.reject(now.mono, leg, 486, None, &[]);
        }
        self.lately.called(now.mono, &dialled.account);
        self.emergency_call(now, leg, |count, cx| {
            EmergencyCall::begin(count, leg, peer, request, dialled, cx)
        });
    }

    /// A call from an emergency service, to a telephone that has called it, did.
    pub(super) fn emergency_calls_back(
        &mut self,
        now: Now,
        leg: sip::LegId,
        peer: sip::Peer,
        request: &sip::Request,
        calls: CallsBack,
    ) {
        let live = self.emergencies.values().filter(|call| {
            call.is_live() && call.calls_for_help().is_none() && call.is_by(&calls.account)
        });
        if live.count() >= CALLS_MAX {
            return self.sip.reject(now.mono, leg, 486, None, &[]);
        }
        self.emergency_call(now, leg, |count, cx| {
            EmergencyCall::begin_back(count, leg, peer, request, calls, cx)
        });
    }

    fn emergency_call(
        &mut self,
        now: Now,
        leg: sip::LegId,
        begin: impl FnOnce(u64, &mut Cx<'_>) -> EmergencyCall,
    ) {
        self.contact += 1;
        let count = self.contact;
        let begun = {
            let mut cx = cx!(self, now);
            catch_unwind(AssertUnwindSafe(|| begin(count, &mut cx)))
        };
        let Ok(call) = begun else {
            self.counters.panics += 1;
            self.index.legs.remove(&leg);
            self.sip.reject(now.mono, leg, 500, None, &[]);
            return;
        };
        let id = call.id();
        self.emergencies.insert(id, Box::new(call));
        self.schedule_emergency(now, id);
    }

    /// Of one account's calls the oldest that nobody has answered makes room for
    /// another; false when all are.
    fn makes_room(&mut self, now: Now, account: &str) -> bool {
        let calls = self.emergencies.values();
        let own = calls.filter(|call| {
            call.is_live() && call.is_by(account) && call.calls_for_help().is_some()
        });
        let mut own: Vec<_> = own.map(|call| (call.id(), call.is_connected())).collect();
        if own.len() < CALLS_MAX {
            return true;
        }
        own.sort_unstable_by_key(|(id, _)| *id);
        let waits = own.iter().find(|(_, connected)| !connected);
        if let Some((id, _)) = waits {
            self.with_emergency(now, *id, EmergencyCall::replaced);
        }
        waits.is_some()
    }

    /// Lets a call work. A panic in it is the end of that call alone.
    fn with_emergency(
        &mut self,
        now: Now,
        id: ContactId,
        f: impl FnOnce(&mut EmergencyCall, &mut Cx<'_>),
    ) {
        let Some(mut call) = self.emergencies.remove(&id) else {
            return;
        };
        let was_live = call.is_live();
        let mut cx = cx!(self, now);
        if catch_unwind(AssertUnwindSafe(|| f(&mut call, &mut cx))).is_err() {
            cx.counters.panics += 1;
            return call.bury(&mut cx);
        }
        if let Some(account) = call.calls_for_help()
            && was_live
            && !call.is_live()
        {
            self.lately.called(now.mono, account);
        }
        if !call.is_done(now.mono) {
            self.emergencies.insert(id, call);
            self.schedule_emergency(now, id);
        }
    }

    fn schedule_emergency(&mut self, now: Now, id: ContactId) {
        let Some(call) = self.emergencies.get_mut(&id) else {
            return;
        };
        let Some(at) = call.next_deadline() else {
            return;
        };
        let at = at.max(now.mono);
        if call.wake.is_none_or(|wake| at < wake) {
            call.wake = Some(at);
            self.timers.push(Reverse((at, id)));
        }
    }

    /// A moment that a call wanted to be woken at has come.
    pub(super) fn emergency_due(&mut self, now: Now, at: Duration, id: ContactId) {
        if self
            .emergencies
            .get(&id)
            .is_some_and(|call| call.wake == Some(at))
        {
            self.with_emergency(now, id, |call, cx| {
                call.wake = None;
                call.on_timeout(cx);
            });
        }
    }

    /// The process stops.
    pub(super) fn stop_emergencies(&mut self, now: Now) {
        self.every_emergency(now, EmergencyCall::stopped);
    }

    /// A connection is closed.
    pub(super) fn emergency_connection_lost(&mut self, now: Now, peer: sip::Peer) {
        self.every_emergency(now, |call, cx| call.connection_lost(peer, cx));
    }

    fn every_emergency(&mut self, now: Now, f: impl Fn(&mut EmergencyCall, &mut Cx<'_>)) {
        let mut all: Vec<_> = self.emergencies.keys().copied().collect();
        all.sort_unstable();
        for id in all {
            self.with_emergency(now, id, &f);
        }
    }

    /// Gives back what is somebody else's.
    pub(super) fn emergency_input(&mut self, now: Now, input: Input) -> Option<Input> {
        if self.emergencies.is_empty() {
            return Some(input);
        }
        let index = &self.index;
        let owner = match &input {
            Input::MediaOpened { key, .. } | Input::MediaRefused { key } => {
                index.wishes.get(key).copied()
            }
            Input::Media(event) => index.media.get(&event.leg()).copied(),
            Input::Rendered { id, .. } | Input::RenderFailed { id } => {
                index.renders.get(id).map(|owner| (*owner, Side::Caller))
            }
            Input::Desk(answer) => {
                let call = EmergencyCall::of_report(answer.contact);
                self.emergencies
                    .contains_key(&call)
                    .then_some((call, Side::Caller))
            }
            _ => None,
        };
        let Some((id, side)) = owner.filter(|(id, _)| is_emergency(*id)) else {
            return Some(input);
        };
        match input {
            Input::MediaOpened {
                key,
                leg,
                port,
                secret,
            } => {
                self.index.wishes.remove(&key);
                let opened = Some(Opened { leg, port, secret });
                self.with_emergency(now, id, |call, cx| call.media_opened(side, key, opened, cx));
            }
            Input::MediaRefused { key } => {
                self.index.wishes.remove(&key);
                self.with_emergency(now, id, |call, cx| call.media_opened(side, key, None, cx));
            }
            Input::Media(event) => {
                self.with_emergency(now, id, |call, cx| call.media_event(side, &event, cx));
            }
            Input::Rendered { id: render, clips } => {
                self.index.renders.remove(&render);
                self.with_emergency(now, id, |call, cx| call.rendered(render, clips, cx));
            }
            Input::RenderFailed { id: render } => {
                self.index.renders.remove(&render);
                self.with_emergency(now, id, |call, cx| call.render_failed(render, cx));
            }
            Input::Desk(answer) => {
                self.with_emergency(now, id, |call, cx| call.desk_answer(&answer, cx));
            }
            _ => {}
        }
        None
    }

    /// Gives back what is somebody else's.
    pub(super) fn emergency_event(&mut self, now: Now, event: sip::Event) -> Option<sip::Event> {
        use sip::Event;
        let leg = match &event {
            Event::Trying { leg }
            | Event::Ringing { leg, .. }
            | Event::Answered { leg, .. }
            | Event::Confirmed { leg, .. }
            | Event::Refused { leg, .. }
            | Event::Cancelled { leg, .. }
            | Event::Reinvite { leg, .. }
            | Event::EarlyUpdate { leg, .. }
            | Event::Info { leg, .. }
            | Event::Ended { leg, .. } => *leg,
            _ => return Some(event),
        };
        let owner = self.index.legs.get(&leg).copied();
        let Some((id, side)) = owner.filter(|(id, _)| is_emergency(*id)) else {
            return Some(event);
        };
        let ended = match &event {
            Event::Refused { code, .. } => Some(LegEnd::Refused(*code)),
            Event::Cancelled { .. } => Some(LegEnd::HungUp),
            Event::Ended {
                cause: sip::EndCause::Bye(_),
                ..
            } => Some(LegEnd::HungUp),
            Event::Ended { .. } => Some(LegEnd::Broken),
            _ => None,
        };
        if ended.is_some() {
            self.index.legs.remove(&leg);
        }
        self.with_emergency(now, id, |call, cx| match (event, ended) {
            (_, Some(how)) => call.leg_ended(side, how, cx),
            (Event::Trying { .. }, _) => call.call_is_tried(cx),
            (Event::Ringing { sdp, .. }, _) => call.call_rings(sdp.as_deref(), cx),
            (Event::Answered { sdp, .. }, _) => call.call_answered(sdp.as_deref(), cx),
            (Event::Confirmed { sdp, .. }, _) => call.confirmed(side, sdp.as_deref(), cx),
            (Event::Reinvite { sdp, .. }, _) => call.reinvited(side, sdp.as_deref(), cx),
            (Event::EarlyUpdate { sdp, .. }, _) => call.reinvited(side, Some(&sdp), cx),
            (
                Event::Info {
                    content_type, body, ..
                },
                _,
            ) => call.info(side, &content_type, &body, cx),
            _ => {}
        });
        None
    }
}

#[cfg(test)]
mod tests;

//! The peer's BYE.

use std::time::Duration;

use crate::endpoint::{Endpoint, Event};
use crate::ids::Key;
use crate::interface::Peer;
use crate::leg::state::Leg;
use crate::leg::{Bye, EndCause, LegId};
use crate::message::Request;

impl Endpoint {
    /// RFC 3261 section 15.1.2.
    pub(crate) fn receive_bye(
        &mut self,
        now: Duration,
        peer: Peer,
        key: Key,
        leg: LegId,
        request: &Request,
    ) {
        self.answer_plain(now, peer, key, request, 200, |_| {});
        let reason = request.header("Reason").map(str::to_owned);
        match self.legs.get(&leg.0) {
            // A caller may end its early dialog so; the INVITE gets 487.
            Some(Leg::Incoming(_)) => {
                self.refuse_incoming(now, leg, 487, None, &[]);
                self.events.push_back(Event::Cancelled { leg, reason });
            }
            Some(Leg::Up(up)) => {
                let announced = up.is_announced();
                self.end_theirs(now, leg);
                self.remove_leg(leg);
                if announced {
                    self.ended(leg, EndCause::Bye(Bye { reason }));
                }
            }
            // Our BYE and theirs met: both are answered, ours still waits for
            // its answer.
            _ => {}
        }
    }
}

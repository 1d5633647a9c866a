//! Calls that end by nothing but their parties' words: to emergency services.

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::leg::LegId;
use crate::leg::session::{self, Granted};
use crate::leg::state::Leg;
use crate::message::Request;

/// How long such a call may ring: nobody waits for as long.
pub(crate) const RINGING_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Endpoint {
    /// This leg has no session timer from now on (RFC 4028 lets us decline
    /// one), and outlives an ACK that never comes and requests of ours inside
    /// it that nobody answers. It ends by a peer's BYE or CANCEL, by a peer
    /// that doesn't know it any more, or by us.
    pub fn persist(&mut self, leg: LegId) {
        match self.legs.get_mut(&leg.0) {
            Some(Leg::Incoming(incoming)) => incoming.granted = None,
            Some(Leg::Up(up)) => up.session = None,
            Some(Leg::Calling(_)) => {}
            Some(Leg::Cancelling(_) | Leg::Closing(_)) | None => return,
        }
        self.persistent.insert(leg);
    }

    pub(crate) fn persists(&self, leg: LegId) -> bool {
        self.persistent.contains(&leg)
    }

    /// What we grant a request inside an answered call; see [`session::grant`].
    pub(crate) fn grant_inside(
        &self,
        leg: LegId,
        request: &Request,
    ) -> Result<Option<Granted>, Duration> {
        match self.persists(leg) {
            true => Ok(None),
            false => session::grant(&self.config.session, self.refreshes(leg), request),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointConfig;
    use crate::interface::{Interface, Peer};
    use crate::leg::{Identity, Invite};
    use crate::wire::Uri;

    /// The 200 that crosses our CANCEL can't be acknowledged: it has no Contact.
    #[test]
    fn nothing_is_kept_of_a_call_that_is_over() {
        let peer = Peer::udp(([192, 0, 2, 10], 5060).into());
        let here = Interface::local(([198, 51, 100, 20], 5060).into());
        let mut endpoint = Endpoint::new(EndpointConfig::new(here, 0, [7; 32]));
        let target = Uri::parse("sip:911@192.0.2.10").expect("a URI");
        let mut invite = Invite::new(target, peer, Identity::default(), b"v=0\r\n".to_vec());
        invite.persists = true;
        let now = Duration::ZERO;
        let leg = endpoint.invite(now, invite);
        let sent = endpoint.poll_transmit().expect("an INVITE");
        let sent = String::from_utf8_lossy(&sent.bytes).into_owned();
        let hears = |endpoint: &mut Endpoint, code: u16| {
            let names = ["Via", "From", "To", "Call-ID", "CSeq"];
            let kept = sent.lines().filter(|line| {
                let begins = |name: &&str| line.starts_with(&format!("{name}:"));
                names.iter().any(begins)
            });
            let kept: Vec<_> = kept.collect();
            let text = format!(
                "SIP/2.0 {code} X\r\n{}\r\nContent-Length: 0\r\n\r\n",
                kept.join("\r\n")
                    .replace("\r\nCall-ID", ";tag=t\r\nCall-ID")
            );
            let message = crate::wire::parse_datagram(text.as_bytes(), peer).expect("a response");
            endpoint.receive(now, peer, message);
        };
        hears(&mut endpoint, 180);
        endpoint.hangup(now, leg, None);
        assert!(endpoint.persists(leg));
        hears(&mut endpoint, 200);
        assert!(!endpoint.persists(leg));
        assert_eq!(endpoint.legs(), 0);
    }
}

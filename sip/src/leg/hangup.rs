//! Ending a leg from our side.

use std::time::Duration;

use rsip::Method;

use crate::digest;
use crate::endpoint::{Endpoint, Purpose, Start};
use crate::leg::state::{Closing, Leg, Modify, Phase};
use crate::leg::{EndCause, LegId};
use crate::message::Response;

impl Endpoint {
    /// Ends a leg, doing what its state asks for: CANCEL (held back until a
    /// provisional response came, RFC 3261 section 9.1), BYE, or a final
    /// refusal (603) of an incoming call. `reason` becomes the Reason header
    /// (RFC 3326). The leg's final event, `Ended(Local)`, comes at once;
    /// whatever the protocol still needs is done inside.
    pub fn hangup(&mut self, now: Duration, leg: LegId, reason: Option<&str>) {
        match self.legs.get_mut(&leg.0) {
            Some(Leg::Incoming(_)) => {
                let header = reason.map(|reason| ("Reason", reason));
                self.refuse_incoming(now, leg, 603, None, header.as_slice());
            }
            Some(Leg::Calling(_)) => self.give_up_calling(now, leg, reason),
            Some(Leg::Up(up)) => {
                if let Phase::ByeAfterAck { .. } = up.phase {
                    return;
                }
                let before_ack = matches!(up.phase, Phase::Unconfirmed);
                up.phase = Phase::ByeAfterAck {
                    reason: reason.map(Box::from),
                };
                self.end_theirs(now, leg);
                // A 200 to a re-INVITE needs no waiting: the dialog was
                // confirmed long ago.
                if !before_ack {
                    self.send_bye(now, leg);
                }
            }
            Some(Leg::Cancelling(_) | Leg::Closing(_)) | None => return,
        }
        self.ended(leg, EndCause::Local);
    }

    /// Sends BYE for an answered leg, whose final event is out.
    pub(crate) fn send_bye(&mut self, now: Duration, leg: LegId) {
        self.end_theirs(now, leg);
        let Some(Leg::Up(up)) = self.legs.remove(&leg.0) else {
            return;
        };
        let reason = match up.phase {
            Phase::ByeAfterAck { reason } => reason,
            _ => None,
        };
        let closing = Closing {
            dialog: up.dialog,
            dialog_key: Some(up.dialog_key),
            credentials: up.credentials,
            reason,
            asked: match up.modify {
                Modify::Ours { tx, .. } => Some(tx),
                Modify::Idle | Modify::Theirs { .. } => None,
            },
        };
        self.send_closing_bye(now, leg, closing, None);
    }

    pub(crate) fn send_closing_bye(
        &mut self,
        now: Duration,
        leg: LegId,
        mut closing: Closing,
        authorization: Option<(&'static str, String)>,
    ) {
        let cseq = closing.dialog.next_cseq();
        let (mut composed, peer, _) = self.compose_inside(&closing.dialog, Method::Bye, cseq);
        if let Some((name, value)) = &authorization {
            composed.writer.header(name, value);
            // One attempt is enough for somebody who is leaving.
            closing.credentials = None;
        }
        if let Some(reason) = &closing.reason {
            composed.writer.header("Reason", reason);
        }
        let bytes = composed.writer.finish("", &[]);
        self.insert_leg(leg, Leg::Closing(Box::new(closing)));
        let (branch, purpose) = (composed.branch, Purpose::Bye(leg));
        self.start_client(
            now,
            Start {
                method: Method::Bye,
                branch: &branch,
                peer,
                bytes,
                purpose,
                head: None,
            },
        );
    }

    /// The answer to our BYE. Whatever it says, the call is over
    /// (section 15.1.1); only a challenge is worth another try.
    pub(crate) fn bye_response(&mut self, now: Duration, leg: LegId, response: &Response) {
        if response.code() < 200 {
            return;
        }
        let Some(Leg::Closing(closing)) = self.legs.get(&leg.0) else {
            return;
        };
        let authorization = closing.credentials.as_ref().and_then(|credentials| {
            let uri = closing.dialog.routed().0;
            let cnonce = self.tokens.token();
            digest::answer(response, credentials, "BYE", &uri, &cnonce)
        });
        match authorization {
            Some(authorization) => {
                if let Some(Leg::Closing(closing)) = self.legs.remove(&leg.0) {
                    self.send_closing_bye(now, leg, *closing, Some(authorization));
                }
            }
            None => self.remove_leg(leg),
        }
    }
}

//! What the endpoint tells the phone's task.

use std::time::Duration;

use media::sdp;
use sip::{EndCause, Event, LegId, Request, Response};

use super::call::{Call, Offer, State};
use super::config::AnswerPolicy;
use super::event::{CallId, PhoneEventKind};
use super::report::{Direction, HungUpBy};
use super::script::{Runner, Script};
use super::task::Task;

impl Task {
    pub(super) fn signalling(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Incoming { leg, request, .. } => self.incoming(now, leg, &request),
            Event::Response { id, response } => self.registered(now, id, Some(&response)),
            Event::RequestTimeout { id } => self.registered(now, id, None),
            Event::Register { id, .. } | Event::Other { id, .. } => {
                self.endpoint.respond(now, id, sip::Reply::new(405));
            }
            // Whoever dials hears nothing of it.
            Event::Trying { .. } => {}
            Event::Ringing { leg, code, sdp, .. } => self.with_call(leg, |task, at| {
                task.calls[at].code(code);
                if let (State::Dialling { offer }, Some(sdp)) = (&task.calls[at].state, sdp)
                    && let Ok(negotiated) = sdp::accept(&offer.sdp, &sdp)
                {
                    task.calls[at].early_media(now, negotiated, &task.config.media);
                }
                let id = task.calls[at].id;
                task.emit(Some(id), PhoneEventKind::Ringing { code });
            }),
            Event::Answered { leg, sdp, response } => self.with_call(leg, |task, at| {
                let call = &mut task.calls[at];
                call.code(response.code());
                call.note_response(&response);
                if let State::Dialling { offer } = &call.state {
                    let offer = offer.clone();
                    task.accepted(now, at, &offer, sdp.as_deref());
                }
            }),
            Event::Confirmed { leg, sdp } => self.with_call(leg, |task, at| {
                if let State::Confirming { offer } = &task.calls[at].state {
                    let offer = offer.clone();
                    task.accepted(now, at, &offer, sdp.as_deref());
                }
            }),
            Event::Refused {
                leg,
                code,
                response,
            } => self.with_call(leg, |task, at| {
                let call = &mut task.calls[at];
                call.code(code);
                call.note_response(&response);
                let id = call.id;
                task.over(id, HungUpBy::Refused(code));
            }),
            Event::Cancelled { leg, reason } => self.with_call(leg, |task, at| {
                task.calls[at].note_reason(reason);
                let id = task.calls[at].id;
                task.over(id, HungUpBy::Cancelled);
            }),
            Event::Reinvite { leg, sdp } => self.reinvited(now, leg, sdp),
            Event::Ended { leg, cause } => self.with_call(leg, |task, at| {
                let by = match cause {
                    EndCause::Bye(bye) => {
                        task.calls[at].note_reason(bye.reason);
                        HungUpBy::Them
                    }
                    EndCause::Local => HungUpBy::Us,
                    EndCause::AckTimeout => HungUpBy::Failed("no ACK came"),
                    EndCause::TransactionTimeout => HungUpBy::Failed("no answer came"),
                    EndCause::TransportError => HungUpBy::Failed("the server can't be reached"),
                    EndCause::DialogLost => {
                        HungUpBy::Failed("the other side no longer knows the call")
                    }
                    EndCause::SessionExpired => HungUpBy::Failed("nobody refreshed the session"),
                    EndCause::ProtocolError => {
                        HungUpBy::Failed("the other side broke the protocol")
                    }
                };
                let id = task.calls[at].id;
                task.over(id, by);
            }),
            Event::EarlyUpdate { leg, .. } => self.endpoint.reject_reinvite(now, leg, 488),
            Event::ReinviteAnswered { .. }
            | Event::ReinviteRefused { .. }
            | Event::Refer { .. }
            | Event::Referred { .. }
            | Event::Notify { .. }
            | Event::Info { .. } => {}
        }
    }

    fn with_call(&mut self, leg: LegId, act: impl FnOnce(&mut Task, usize)) {
        if let Some(at) = self.calls.iter().position(|call| call.leg == leg) {
            act(self, at);
        }
    }

    fn registered(&mut self, now: Duration, id: sip::RequestId, response: Option<&Response>) {
        let told = self
            .registrar
            .as_mut()
            .and_then(|registrar| registrar.answered(now, id, response));
        if let Some(kind) = told {
            self.emit(None, kind);
        }
    }

    /// Our offer was answered.
    fn accepted(&mut self, now: Duration, at: usize, offer: &Offer, answer: Option<&[u8]>) {
        let id = self.calls[at].id;
        match sdp::accept(&offer.sdp, answer.unwrap_or_default()) {
            Ok(negotiated) => {
                self.calls[at].answered(now, offer.local, negotiated, &self.config.media);
                self.emit(Some(id), PhoneEventKind::Answered);
            }
            Err(error) => {
                tracing::debug!(%error, "the answer to a telephone's offer can't be used");
                self.endpoint
                    .hangup(now, self.calls[at].leg, Some("SIP;cause=488"));
                self.over(id, HungUpBy::Failed("no common way to speak"));
            }
        }
    }

    fn reinvited(&mut self, now: Duration, leg: LegId, offer: Option<Vec<u8>>) {
        let caps = self.capabilities();
        self.with_call(leg, |task, at| {
            let call = &mut task.calls[at];
            let (id, audio) = (call.id, call.audio());
            let State::Talking { local, .. } = &mut call.state else {
                task.endpoint.reject_reinvite(now, leg, 488);
                return;
            };
            local.session_version += 1;
            let Some(offer) = offer else {
                // Our offer is what it was; its answer changes nothing we care about.
                let sdp = sdp::offer(local, &caps);
                task.endpoint.answer_reinvite(now, leg, &sdp);
                return;
            };
            match sdp::answer(&offer, local, &caps) {
                Ok((negotiated, sdp)) => {
                    let on_hold = negotiated.on_hold();
                    if let Some(audio) = audio {
                        let _ = task.config.media.connect(audio, negotiated);
                    }
                    task.endpoint.answer_reinvite(now, leg, &sdp);
                    task.emit(Some(id), PhoneEventKind::Changed { on_hold });
                }
                Err(error) => task.endpoint.reject_reinvite(now, leg, error.status()),
            }
        });
    }

    fn incoming(&mut self, now: Duration, leg: LegId, request: &Request) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let from = request.from();
        let number = from
            .as_ref()
            .and_then(|from| from.uri.user())
            .map(|user| user.into_owned())
            .unwrap_or_default();
        let display = from
            .as_ref()
            .and_then(|from| from.display())
            .map(|name| name.into_owned());
        let answer_at = match self.policy {
            AnswerPolicy::Answer { after } => Some(now + after),
            _ => None,
        };
        let state = State::Ringing {
            offer: request.sdp().map(<[u8]>::to_vec),
            answer_at,
        };
        let voice = self.config.voice.clone();
        let mut call = Call::new(id, leg, Direction::In, number.clone(), state, voice, now);
        call.runner = Some(Runner::new(Script::default(), Duration::ZERO));
        call.note_request(request);
        let ticket = call.ticket();
        let busy = self.stopping.is_some()
            || self.calls.iter().filter(|call| !call.is_over()).count() >= self.config.calls_max;
        self.calls.push(call);
        self.emit(
            Some(id),
            PhoneEventKind::Incoming {
                from: number,
                display,
                ticket,
            },
        );
        match self.policy {
            _ if busy => self.reject(now, id, 486),
            AnswerPolicy::Reject(code) => self.reject(now, id, code),
            AnswerPolicy::Ignore => {}
            AnswerPolicy::Answer { after } if after.is_zero() => self.answer(now, id),
            _ => {
                self.endpoint.ring(now, leg, 180, &[], None);
                if let Some(call) = self.calls.last_mut() {
                    call.code(180);
                }
            }
        }
    }
}

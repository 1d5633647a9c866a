//! Requests of ours outside dialogs: REGISTER, OPTIONS.

use std::time::Duration;

use rsip::Method;

use super::{Compose, Endpoint, Event, OutRequest, Purpose, RequestId, Start};
use crate::dialog::Own;
use crate::digest;
use crate::message::Response;
use crate::wire::method_name;

/// A request that may have to be sent again with credentials.
#[derive(Debug)]
pub(crate) struct Outstanding {
    request: OutRequest,
    call_id: String,
    tag: String,
    cseq: u32,
    attempts: u8,
}

impl Endpoint {
    /// Sends a request outside any dialog; its end is [`Event::Response`] or
    /// [`Event::RequestTimeout`].
    pub fn request(&mut self, now: Duration, request: OutRequest) -> RequestId {
        let id = self.mint_request();
        let call_id = match &request.call_id {
            Some(call_id) => call_id.clone(),
            None => self.tokens.token(),
        };
        let outstanding = Outstanding {
            call_id,
            tag: self.tokens.token(),
            cseq: request.cseq.unwrap_or(1),
            attempts: 0,
            request,
        };
        self.send_outstanding(now, id, outstanding, None);
        id
    }

    fn send_outstanding(
        &mut self,
        now: Duration,
        id: RequestId,
        outstanding: Outstanding,
        authorization: Option<(&'static str, String)>,
    ) {
        let request = &outstanding.request;
        let from = format!("<{}>;tag={}", request.from, outstanding.tag);
        let to = format!("<{}>", request.to);
        let mut composed = self.compose(&Compose {
            method: request.method,
            uri: request.target.as_str(),
            peer: request.next_hop,
            route: &[],
            max_forwards: 70,
            from: &from,
            to: &to,
            call_id: &outstanding.call_id,
            cseq: outstanding.cseq,
        });
        let has_contact = request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Contact"));
        if request.method == Method::Register && !has_contact {
            let own = Own {
                user: request.from.user_raw().unwrap_or("careline").into(),
                secure: false,
            };
            self.write_contact(&own, request.next_hop, &mut composed.writer);
        }
        if let Some((name, value)) = &authorization {
            composed.writer.header(name, value);
        }
        for (name, value) in &request.headers {
            composed.writer.header(name, value);
        }
        let bytes = match &request.body {
            Some((content_type, body)) => composed.writer.finish(content_type, body),
            None => composed.writer.finish("", &[]),
        };
        let (method, peer) = (request.method, request.next_hop);
        self.requests.insert(id.0, Box::new(outstanding));
        let purpose = Purpose::Request(id);
        self.start_client(
            now,
            Start {
                method,
                branch: &composed.branch,
                peer,
                bytes,
                purpose,
                head: None,
            },
        );
    }

    pub(crate) fn request_response(&mut self, now: Duration, id: RequestId, response: Response) {
        if response.code() < 200 {
            return;
        }
        let Some(mut outstanding) = self.requests.remove(&id.0) else {
            return;
        };
        let request = &outstanding.request;
        // A second challenge is only worth answering when the nonce was stale.
        let retry = (outstanding.attempts == 0
            || outstanding.attempts == 1 && digest::is_stale(&response))
        .then(|| {
            let credentials = request.credentials.as_ref()?;
            let cnonce = self.tokens.token();
            let method = method_name(request.method);
            digest::answer(
                &response,
                credentials,
                method,
                request.target.as_str(),
                &cnonce,
            )
        })
        .flatten();
        match retry {
            Some(authorization) => {
                outstanding.attempts += 1;
                outstanding.cseq += 1;
                self.send_outstanding(now, id, *outstanding, Some(authorization));
            }
            None => self.events.push_back(Event::Response {
                id,
                response: Box::new(response),
            }),
        }
    }

    pub(crate) fn request_failed(&mut self, id: RequestId) {
        if self.requests.remove(&id.0).is_some() {
            self.events.push_back(Event::RequestTimeout { id });
        }
    }
}

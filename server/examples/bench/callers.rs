//! The callers: as many as wanted behind one socket or a few connections, as a trunk's are.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::figures::{Sample, Spoilers};
use crate::link::Link;
use crate::wire::{Request, Seen, sdp};

/// RFC 3261's T1: when a request is sent again for the first time.
const T1: Duration = Duration::from_millis(500);
/// T1 times 64: when a call is given up.
const GIVE_UP: Duration = Duration::from_secs(32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Calling,
    Up,
    Leaving,
    Over,
}

/// A call.
#[derive(Debug)]
struct Call {
    stage: Stage,
    caller: String,
    dialled: String,
    began: Instant,
    /// To with the server's tag, and where requests go: known with the 200.
    to: String,
    uri: String,
    rtp_port: u16,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    due: Instant,
    again: Duration,
    call: usize,
    stage: Stage,
}

/// All of them.
pub(crate) struct Callers {
    link: Link,
    local: SocketAddr,
    server: SocketAddr,
    body: String,
    calls: Vec<Call>,
    waiting: VecDeque<Waiting>,
    answered: Vec<usize>,
    over: usize,
    up: usize,
    /// From INVITE to 200, in milliseconds.
    pub(crate) answer_ms: Sample,
    pub(crate) spoilers: Spoilers,
}

impl Callers {
    pub(crate) fn new(server: SocketAddr, link: Link, audio_port: u16) -> io::Result<Self> {
        Ok(Self {
            local: link.local()?,
            link,
            server,
            body: sdp(audio_port),
            calls: Vec::new(),
            waiting: VecDeque::new(),
            answered: Vec::new(),
            over: 0,
            up: 0,
            answer_ms: Sample::default(),
            spoilers: Spoilers::default(),
        })
    }

    pub(crate) fn dial(&mut self, caller: String, dialled: String) {
        self.calls.push(Call {
            stage: Stage::Calling,
            caller,
            to: format!("<sip:{dialled}@{}>", self.server),
            dialled,
            began: Instant::now(),
            uri: String::new(),
            rtp_port: 0,
        });
        let call = self.calls.len() - 1;
        self.request(call, Stage::Calling);
    }

    /// Hangs up, if the call is up.
    pub(crate) fn hang_up(&mut self, call: usize) {
        if self.calls.get(call).is_some_and(|c| c.stage == Stage::Up) {
            self.calls[call].stage = Stage::Leaving;
            self.up -= 1;
            self.request(call, Stage::Leaving);
        }
    }

    /// Calls answered since this was asked before, with the server's RTP port.
    pub(crate) fn answered(&mut self) -> Vec<(usize, u16)> {
        let answered = std::mem::take(&mut self.answered);
        let port = |call: usize| self.calls.get(call).map(|c| (call, c.rtp_port));
        answered.into_iter().filter_map(port).collect()
    }

    pub(crate) fn dialled(&self) -> usize {
        self.calls.len()
    }

    /// How many are up.
    pub(crate) fn up(&self) -> usize {
        self.up
    }

    pub(crate) fn all_over(&self) -> bool {
        self.over == self.calls.len()
    }

    /// What went wrong, with those that are neither up nor over.
    pub(crate) fn spoilers(&self) -> Spoilers {
        let pending = self.calls.len() - self.over - self.up;
        Spoilers {
            errors: self.spoilers.errors + pending as u64,
            ..self.spoilers
        }
    }

    /// Reads what came, repeats what wasn't answered.
    pub(crate) fn work(&mut self) {
        let mut buffer = [0; 4_096];
        while let Some(length) = self.link.receive(&mut buffer) {
            if let Some(seen) = buffer.get(..length).and_then(Seen::read) {
                match seen.code() {
                    Some(code) => self.response(code, &seen),
                    None => self.told(&seen),
                }
            }
        }
        let now = Instant::now();
        while self.waiting.front().is_some_and(|w| w.due <= now) {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            let Some(call) = self.calls.get_mut(waiting.call) else {
                continue;
            };
            if call.stage != waiting.stage {
                continue;
            }
            if self.link.is_reliable() || now.duration_since(call.began) > GIVE_UP {
                self.spoilers.errors += 1;
                call.stage = Stage::Over;
                self.over += 1;
                continue;
            }
            self.spoilers.retransmissions += 1;
            self.send(waiting.call, waiting.stage);
            self.waiting.push_back(Waiting {
                due: now + waiting.again,
                again: waiting.again * 2,
                ..waiting
            });
        }
    }

    fn request(&mut self, call: usize, stage: Stage) {
        self.send(call, stage);
        let after = if self.link.is_reliable() { GIVE_UP } else { T1 };
        self.waiting.push_back(Waiting {
            due: Instant::now() + after,
            again: 2 * T1,
            call,
            stage,
        });
    }

    /// INVITE, ACK or BYE, as the stage has it.
    fn send(&mut self, number: usize, stage: Stage) {
        let Some(call) = self.calls.get(number) else {
            return;
        };
        let uri = format!("sip:{}@{}", call.dialled, self.server);
        let (method, cseq, uri, body) = match stage {
            Stage::Calling => ("INVITE", 1, uri.as_str(), self.body.as_str()),
            Stage::Up => ("ACK", 1, call.uri.as_str(), ""),
            Stage::Leaving => ("BYE", 2, call.uri.as_str(), ""),
            Stage::Over => ("ACK", 1, uri.as_str(), ""),
        };
        let request = Request {
            method,
            uri,
            number,
            cseq,
            from: &call.caller,
            to: &call.to,
            local: self.local,
            transport: self.link.transport(),
        };
        let message = request.write("", body);
        self.link.send(number, message.as_bytes());
    }

    fn response(&mut self, code: u16, seen: &Seen<'_>) {
        let Some(number) = seen.number() else { return };
        let Some(call) = self.calls.get_mut(number) else {
            return;
        };
        match (seen.method(), code, call.stage) {
            (_, 100..200, _) => {}
            ("INVITE", 200..300, Stage::Calling) => {
                call.stage = Stage::Up;
                call.to = seen.header("To").unwrap_or_default().to_owned();
                call.uri = seen.contact().unwrap_or_default().to_owned();
                call.rtp_port = seen.audio_port().unwrap_or_default();
                self.answer_ms.add(call.began.elapsed().as_secs_f64() * 1e3);
                self.up += 1;
                self.answered.push(number);
                self.send(number, Stage::Up);
            }
            ("INVITE", 200..300, _) => {
                self.spoilers.retransmissions += 1;
                self.send(number, Stage::Up);
            }
            ("INVITE", _, Stage::Calling) => {
                call.stage = Stage::Over;
                self.over += 1;
                self.spoilers.rejects += 1;
                // Its branch is the INVITE's (RFC 3261 section 17.1.1.3), which our ACK's differs from; the
                // server repeats the refusal for a while, and the rate is void anyway.
                self.send(number, Stage::Over);
            }
            ("BYE", _, Stage::Leaving) => {
                call.stage = Stage::Over;
                self.over += 1;
                self.spoilers.errors += u64::from(code >= 300);
            }
            _ => self.spoilers.retransmissions += 1,
        }
    }

    /// A request from the server: it hung up, which no measurement wants.
    fn told(&mut self, seen: &Seen<'_>) {
        let answer = seen.answer("200 OK", 0, "", "");
        self.link
            .send(seen.number().unwrap_or(0), answer.as_bytes());
        self.spoilers.errors += 1;
        if let Some(call) = seen.number().and_then(|n| self.calls.get_mut(n))
            && call.stage == Stage::Up
        {
            call.stage = Stage::Over;
            self.up -= 1;
            self.over += 1;
        }
    }
}

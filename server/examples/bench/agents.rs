//! The agents' phones: they sign in and answer at once.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use sip::Credentials;
use sip::digest::authorize;
use sip::wire::AuthParams;

use crate::figures::Spoilers;
use crate::folder::SECRET;
use crate::wire::{Request, Seen, sdp};

/// All of them, behind one socket.
pub(crate) struct Agents {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    body: String,
    signed_in: usize,
    /// Calls by Call-ID: how often their INVITE came.
    calls: HashMap<String, u32>,
    answered: Vec<u16>,
    pub(crate) spoilers: Spoilers,
}

impl Agents {
    pub(crate) fn new(server: SocketAddr, audio_port: u16) -> io::Result<Self> {
        let socket = crate::audio::bound(0)?;
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            server,
            body: sdp(audio_port),
            signed_in: 0,
            calls: HashMap::new(),
            answered: Vec::new(),
            spoilers: Spoilers::default(),
        })
    }

    pub(crate) fn signed_in(&self) -> usize {
        self.signed_in
    }

    /// The server's RTP ports of calls answered since this was asked before.
    pub(crate) fn answered(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.answered)
    }

    pub(crate) fn sign_in(&self, agent: usize) {
        self.register(agent, 1, "");
    }

    fn register(&self, agent: usize, cseq: u32, authorization: &str) {
        let user = format!("a{agent}");
        let request = Request {
            method: "REGISTER",
            uri: &format!("sip:{}", self.server),
            number: agent,
            cseq,
            from: &user,
            to: &format!("<sip:{user}@{}>", self.server),
            local: self.local,
            transport: "UDP",
        };
        let more = format!("Expires: 600\r\n{authorization}");
        let _ = self
            .socket
            .send_to(request.write(&more, "").as_bytes(), self.server);
    }

    /// Reads what came.
    pub(crate) fn work(&mut self) {
        let mut buffer = [0; 4_096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            if let Some(seen) = buffer.get(..length).and_then(Seen::read) {
                match seen.code() {
                    Some(code) => self.response(code, &seen),
                    None => self.request(&seen),
                }
            }
        }
    }

    fn response(&mut self, code: u16, seen: &Seen<'_>) {
        match (code, seen.number()) {
            (200, Some(_)) => self.signed_in += 1,
            (401, Some(agent)) => {
                let uri = format!("sip:{}", self.server);
                let credentials = Credentials::new(format!("a{agent}"), SECRET);
                let value = seen
                    .header("WWW-Authenticate")
                    .and_then(AuthParams::parse)
                    .and_then(|c| authorize(&c, &credentials, "REGISTER", &uri, "bench", 1));
                match value {
                    Some(value) => {
                        self.register(agent, 2, &format!("Authorization: {value}\r\n"));
                    }
                    None => self.spoilers.errors += 1,
                }
            }
            _ => self.spoilers.errors += 1,
        }
    }

    fn request(&mut self, seen: &Seen<'_>) {
        let call = seen.header("Call-ID").unwrap_or_default();
        let tag = self.calls.len();
        match seen.method() {
            "INVITE" => {
                let times = self.calls.entry(call.to_owned()).or_insert(0);
                *times += 1;
                if *times > 1 {
                    self.spoilers.retransmissions += 1;
                }
                let contact = format!("Contact: <sip:agent@{}>\r\n", self.local);
                let answer = seen.answer("200 OK", tag, &contact, &self.body);
                if *times == 1 {
                    self.answered.extend(seen.audio_port());
                }
                self.send(&answer);
            }
            "ACK" => {}
            "BYE" => self.send(&seen.answer("200 OK", tag, "", "")),
            _ => {
                self.spoilers.errors += 1;
                self.send(&seen.answer("200 OK", tag, "", ""));
            }
        }
    }

    fn send(&self, text: &str) {
        // A full buffer loses it, and the repetition shows that.
        let _ = self.socket.send_to(text.as_bytes(), self.server);
    }
}

//! The load's one loop: a millisecond's work at a time, on one thread.

use std::io;
use std::time::{Duration, Instant};

use crate::agents::Agents;
use crate::audio::{Frames, Party};
use crate::callers::Callers;
use crate::figures::Spoilers;
use crate::link::Link;
use crate::process::Server;

/// What callers and agents say, a byte over and over.
const CALLERS_SAY: u8 = 0x21;
const AGENTS_SAY: u8 = 0x42;
/// A load later than this has disturbed what it measures.
const LATE_MAX: Duration = Duration::from_millis(100);

/// Callers, agents and their audio.
pub(crate) struct Load {
    pub(crate) callers: Callers,
    pub(crate) agents: Agents,
    pub(crate) callers_audio: Party,
    pub(crate) agents_audio: Party,
    /// Whether audio is sent and read at all.
    audio: bool,
    began: Instant,
    /// Milliseconds worked so far.
    ms: u64,
    late: u64,
}

impl Load {
    pub(crate) fn new(server: &Server, audio: bool, frames: Frames) -> io::Result<Self> {
        Self::over(server, Link::udp(server.address)?, audio, frames)
    }

    /// The same with callers by a link of their own.
    pub(crate) fn over(
        server: &Server,
        link: Link,
        audio: bool,
        frames: Frames,
    ) -> io::Result<Self> {
        let callers_audio = Party::new(CALLERS_SAY, frames)?;
        let agents_audio = Party::new(AGENTS_SAY, Frames::new())?;
        Ok(Self {
            callers: Callers::new(server.address, link, callers_audio.port)?,
            agents: Agents::new(server.address, agents_audio.port)?,
            callers_audio,
            agents_audio,
            audio,
            began: Instant::now(),
            ms: 0,
            late: 0,
        })
    }

    /// Works until `over` says so, at most for `at_most`; `each` is done every
    /// millisecond, and told which it is, from 0.
    pub(crate) fn until(
        &mut self,
        at_most: Duration,
        mut each: impl FnMut(&mut Self, u64),
        over: impl Fn(&Self) -> bool,
    ) {
        let first = self.ms;
        let last = first + at_most.as_millis() as u64;
        // The time in between was somebody else's.
        self.began = Instant::now() - Duration::from_millis(self.ms);
        while self.ms < last && !over(self) {
            let due = self.began + Duration::from_millis(self.ms);
            let now = Instant::now();
            if now < due {
                std::thread::sleep(due - now);
            } else if now - due > LATE_MAX {
                self.late += 1;
                self.began = now - Duration::from_millis(self.ms);
            }
            each(self, self.ms - first);
            self.callers.work();
            self.agents.work();
            if self.audio {
                self.sound();
            }
            self.ms += 1;
        }
    }

    /// Works for so long.
    pub(crate) fn run(&mut self, length: Duration) {
        self.until(length, |_, _| {}, |_| false);
    }

    fn sound(&mut self) {
        for (_, port) in self.callers.answered() {
            self.callers_audio.talk(port);
        }
        for port in self.agents.answered() {
            self.agents_audio.talk(port);
            self.agents_audio.await_voice(port, CALLERS_SAY);
        }
        let phase = (self.ms % 20) as usize;
        self.callers_audio.slot(phase);
        self.agents_audio.slot(phase);
        self.callers_audio.receive();
        self.agents_audio.receive();
    }

    /// From now on gaps are noted, or no longer.
    pub(crate) fn measure(&mut self, on: bool) {
        self.callers_audio.measuring = on;
        self.agents_audio.measuring = on;
    }

    pub(crate) fn spoilers(&self) -> Spoilers {
        let (callers, agents) = (self.callers.spoilers(), self.agents.spoilers);
        Spoilers {
            errors: callers.errors + agents.errors,
            rejects: callers.rejects + agents.rejects,
            retransmissions: callers.retransmissions + agents.retransmissions,
            uncommitted: 0,
            generator_late: self.late,
        }
    }
}

//! One media thread.

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::engine::{Channel, Command, Engine, EngineConfig, Event, LegId, PHASES};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
};
use tokio::sync::mpsc;

use super::MediaError;
use super::attention::Attention;
use super::figures::Counters;
use super::io::{Io, mark, unmark};
use super::mailbox::{Mailbox, Message};
use super::port::LegPort;
use super::ports::PortPool;
use super::reader::Reader;
use super::ring::RING_PACKET_BYTES;
use super::seats::Seats;

/// How often that is done before the other sockets get their turn.
const BATCHES_MAX: usize = 4;
/// Sockets told ready at a time.
const READY: usize = 256;
/// Most rounds of [`READY`] before slots are looked at again, lest a flood stop the prompts.
const ROUNDS_MAX: usize = 8;
/// A thread later than this has slept (a suspended machine): the slots between are left out.
const BEHIND_MAX: Duration = Duration::from_millis(500);
/// Slots between two looks at the thread's processor time.
const CPU_EVERY: u64 = 500;

const SLOT_NS: i64 = 1_000_000;
/// Slots done at each waking. Waking costs as much as five packets; every other millisecond is often enough for those
/// who talk (half of it is added to the way of what they say) and keeps each leg's pace all the same.
pub(super) const SLOTS_A_WAKE: i64 = 2;
/// The mailbox's mark among the sockets.
const WAKE: u64 = u64::MAX;

/// What a media thread works with.
pub(super) struct Worker {
    engine: Engine,
    io: Io,
    epoch: Instant,
    mailbox: Arc<Mailbox>,
    seats: Arc<Seats>,
    counters: Arc<Counters>,
    events: mpsc::Sender<Event>,
    /// Events that didn't fit into the channel. Bounded in practice by what legs can cause: keys are rationed, all
    /// else follows commands.
    waiting: VecDeque<Event>,
    messages: VecDeque<Message>,
    /// Marks of sockets that were left with packets in them.
    unread: Vec<u64>,
    /// Whose packets are due in a slot, kept for its room.
    due: Vec<LegId>,
}

impl Worker {
    pub(super) fn new(
        engine: EngineConfig,
        epoch: Instant,
        mailbox: Arc<Mailbox>,
        seats: Arc<Seats>,
        counters: Arc<Counters>,
        ports: Arc<PortPool>,
        events: mpsc::Sender<Event>,
    ) -> Result<Worker, MediaError> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(MediaError::system("epoll"))?;
        epoll
            .add(mailbox.wake(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))
            .map_err(MediaError::system("epoll"))?;
        Ok(Worker {
            engine: Engine::new(engine),
            io: Io::new(epoll, ports),
            epoch,
            mailbox,
            seats,
            counters,
            events,
            waiting: VecDeque::new(),
            messages: VecDeque::new(),
            unread: Vec::new(),
            due: Vec::new(),
        })
    }

    /// Runs until the mailbox is stopped.
    pub(super) fn run(mut self, realtime_priority: Option<u8>) {
        // The kernel may otherwise delay every wake-up by 50 µs to spare energy.
        if let Err(error) = nix::sys::prctl::set_timerslack(1_000) {
            tracing::debug!(%error, "timer slack left as it was");
        }
        if let Some(priority) = realtime_priority {
            raise(priority);
        }
        let mut reader = Reader::new();
        let mut due_ns = clock_ns();
        let mut slot = 0u64;
        let mut cpu_due = 0u64;
        while !self.mailbox.stopped() {
            if self.engine.legs() == 0 && self.waiting.is_empty() {
                self.idle();
                due_ns = clock_ns();
            }
            sleep_until(due_ns);
            self.take_messages();

            let woke_ns = clock_ns();
            let behind = Duration::from_nanos(u64::try_from(woke_ns - due_ns).unwrap_or(0));
            if behind > BEHIND_MAX {
                let skipped = (woke_ns - due_ns) / SLOT_NS;
                self.io.tally.slots_skipped += skipped as u64;
                due_ns += skipped * SLOT_NS;
                slot += skipped as u64;
            }
            let now = self.epoch.elapsed();
            let end_ns = woke_ns + (SLOTS_A_WAKE - 1) * SLOT_NS;
            while due_ns <= end_ns {
                let phase = (slot % u64::from(PHASES)) as u32;
                self.fetch(now, slot, &mut reader);
                self.engine.slot(now, phase, &mut self.io);
                self.io.tally.slot((woke_ns - due_ns).max(0) as u64 / 1_000);
                slot += 1;
                due_ns += SLOT_NS;
            }

            self.read(slot.saturating_sub(1), &mut reader);
            self.tell();
            if slot >= cpu_due {
                self.io.tally.cpu_us = cpu_us();
                cpu_due = slot + CPU_EVERY;
            }
            self.counters.publish(&mut self.io.tally);
        }
    }

    /// Sleeps until there is something to do.
    fn idle(&mut self) {
        self.io.tally.cpu_us = cpu_us();
        self.counters.publish(&mut self.io.tally);
        let epoll = &self.io.epoll;
        self.mailbox.sleep(|| {
            let mut ready = [EpollEvent::empty(); 1];
            // Interrupted or not: the loop looks for itself.
            let _ = epoll.wait(&mut ready, EpollTimeout::NONE);
        });
    }

    fn take_messages(&mut self) {
        self.mailbox.take(&mut self.messages);
        if self.messages.is_empty() {
            return;
        }
        let now = self.epoch.elapsed();
        while let Some(message) = self.messages.pop_front() {
            match message {
                Message::Open { leg, port } => {
                    if let Err(error) = self.io.open(leg, port) {
                        // Out of kernel memory. The leg is deaf, which its watch will tell.
                        tracing::error!(%error, "a leg's socket can't be watched");
                    }
                    self.command(now, Command::Open { leg });
                }
                Message::Command(command) => self.command(now, command),
                Message::Listen { leg, listener } => {
                    if let Some(place) = self.io.place(leg) {
                        place.listener = Some(listener);
                        self.command(now, Command::Listen { leg, on: true });
                    }
                }
            }
        }
        self.tell();
    }

    fn command(&mut self, now: Duration, command: Command) {
        if let Command::Connect {
            leg,
            negotiated,
            natted,
        } = &command
        {
            match self.io.place(*leg).map(|place| &mut place.port) {
                Some(LegPort::Ring { rtp, rtcp, .. }) => {
                    *rtp = negotiated.remote_rtp;
                    *rtcp = negotiated.remote_rtcp;
                }
                Some(LegPort::Udp { .. }) => {
                    if let Err(error) = self.io.tie(*leg, negotiated.remote_rtp, natted.is_some()) {
                        // The watch will tell that nothing comes.
                        tracing::error!(%error, "a leg's RTP socket is lost");
                    }
                }
                None => {}
            }
        }
        self.engine.command(now, command, &mut self.io);
    }

    /// Passes events on; a closed leg's sockets and name are given back.
    fn tell(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            if let Event::Closed { leg, stats } = &event {
                let leg = *leg;
                self.io.tally.quality.leg(stats);
                self.io.tally.judged = true;
                self.io.close(leg);
                self.seats.leave(leg);
            }
            self.waiting.push_back(event);
        }
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.io.tally.events_delayed += 1;
                    self.waiting.push_front(event);
                    return;
                }
                // Nobody wants to know any more.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
    }

    /// Reads what came; `slot`: the last one done.
    fn read(&mut self, slot: u64, reader: &mut Reader) {
        let mut ready = [EpollEvent::empty(); READY];
        if !self.unread.is_empty() {
            let now = self.epoch.elapsed();
            for mark in std::mem::take(&mut self.unread) {
                self.read_one(now, slot, mark, reader);
            }
        }
        for _ in 0..ROUNDS_MAX {
            let count = match self.io.epoll.wait(&mut ready, EpollTimeout::ZERO) {
                Ok(count) => count,
                Err(_) => return,
            };
            let now = self.epoch.elapsed();
            for event in &ready[..count] {
                if event.data() != WAKE {
                    self.read_one(now, slot, event.data(), reader);
                }
            }
            if count < READY {
                return;
            }
        }
    }

    /// Reads the legs whose packets are due.
    fn fetch(&mut self, now: Duration, slot: u64, reader: &mut Reader) {
        let mut due = std::mem::take(&mut self.due);
        self.io.rota.swap(slot, &mut due);
        for &leg in &due {
            let expected = self.io.place(leg).map(|place| place.rtp);
            if matches!(expected, Some(Attention::Expected { at, .. }) if at <= slot) {
                self.read_one(now, slot, mark(leg.slot() as usize, Channel::Rtp), reader);
            }
        }
        self.due = due;
    }

    fn read_one(&mut self, now: Duration, slot: u64, mark: u64, reader: &mut Reader) {
        let before = self.io.tally.packets_in;
        self.read_all(now, mark, reader);
        let (index, channel) = unmark(mark);
        if channel == Channel::Rtcp {
            return;
        }
        let packets = self.io.tally.packets_in - before;
        if let Err(error) = self.io.attend(index, slot, packets) {
            // Out of kernel memory. The leg is deaf, which its watch will tell.
            tracing::error!(%error, "a leg's socket can't be watched");
        }
    }

    fn read_all(&mut self, now: Duration, mark: u64, reader: &mut Reader) {
        let (index, channel) = unmark(mark);
        let Some(Some(place)) = self.io.places.get(index) else {
            return;
        };
        let leg = place.leg;
        match &place.port {
            LegPort::Udp {
                rtp, rtcp, bind, ..
            } => {
                let socket = match channel {
                    Channel::Rtp => rtp.as_raw_fd(),
                    Channel::Rtcp => rtcp.as_raw_fd(),
                };
                let v6 = bind.is_ipv6();
                let (engine, io) = (&mut self.engine, &mut self.io);
                for _ in 0..BATCHES_MAX {
                    let emptied = reader.datagrams(socket, v6, |source, bytes| {
                        io.tally.packets_in += 1;
                        engine.packet(now, leg, channel, source, bytes, io);
                    });
                    if emptied {
                        return;
                    }
                }
                // From the last round and from epoll, the same socket may come twice.
                if !self.unread.contains(&mark) {
                    self.unread.push(mark);
                }
            }
            LegPort::Ring { .. } => {
                let mut buffer = [0; RING_PACKET_BYTES];
                while let Some((channel, length, source)) = self.io.receive(leg, &mut buffer) {
                    self.io.tally.packets_in += 1;
                    let bytes = &buffer[..length];
                    self.engine
                        .packet(now, leg, channel, source, bytes, &mut self.io);
                }
            }
        }
    }
}

fn clock_ns() -> i64 {
    // The monotonic clock is always there.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// Sleeps until an instant of the monotonic clock, not at all if it is past.
fn sleep_until(instant_ns: i64) {
    let until = TimeSpec::new(instant_ns / 1_000_000_000, instant_ns % 1_000_000_000);
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    // A signal may end it early; the slots look at the clock themselves.
    let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &until);
}

/// This thread's processor time.
fn cpu_us() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1_000
    })
}

/// Asks for real-time scheduling of this thread.
fn raise(priority: u8) {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let set = ThreadPriorityValue::try_from(priority)
        .map_err(|_| "no such priority".to_owned())
        .and_then(|value| {
            let priority = ThreadPriority::Crossplatform(value);
            let thread = thread_priority::thread_native_id();
            thread_priority::set_thread_priority_and_policy(thread, priority, policy)
                .map_err(|error| error.to_string())
        });
    match set {
        Ok(()) => tracing::info!(priority, "media thread runs with SCHED_FIFO"),
        Err(reason) => {
            tracing::warn!(priority, reason, "media thread runs without SCHED_FIFO");
        }
    }
}

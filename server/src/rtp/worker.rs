//! One media thread.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::engine::{Channel, Command, Engine, EngineConfig, Event, Heard, LegId, PHASES, Sink};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    self, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmmsg, sendto,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
};
use tokio::sync::mpsc;

use super::figures::{Counters, Tally};
use super::mailbox::{Mailbox, Message};
use super::port::{HeardFrame, LegPort};
use super::ports::PortPool;
use super::ring::RING_PACKET_BYTES;
use super::seats::Seats;
use super::{MediaError, udp};

/// Packets read from one socket at a time.
const BATCH: usize = 8;
/// How often that is done before the other sockets get their turn.
const BATCHES_MAX: usize = 4;
/// Longest datagram read; longer ones are cut and then refused by whoever parses them.
const DATAGRAM_BYTES: usize = 1_500;
/// Sockets told ready at a time.
const READY: usize = 256;
/// Most rounds of [`READY`] before slots are looked at again, lest a flood stop the prompts.
const ROUNDS_MAX: usize = 8;
/// A thread later than this has slept (a suspended machine): the slots between are left out.
const BEHIND_MAX: Duration = Duration::from_millis(500);
/// Slots between two looks at the thread's processor time.
const CPU_EVERY: u64 = 500;

const SLOT_NS: i64 = 1_000_000;
/// Frames in a row that have to come before a leg is asked once a frame instead of being watched, and that have to be
/// missing before it is watched again.
const STEADY: u8 = 4;
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
}

/// The engine's outside: sockets, rings and listeners, by slot.
struct Io {
    epoll: Epoll,
    places: Vec<Option<Place>>,
    ports: Arc<PortPool>,
    tally: Tally,
}

struct Place {
    leg: LegId,
    port: LegPort,
    listener: Option<mpsc::Sender<HeardFrame>>,
    rtp: Attention,
}

/// How a leg's RTP socket is attended to.
///
/// Being told of each packet costs more than reading it. Nobody waits for the audio of a leg that isn't bridged, so as
/// long as it comes steadily it is fetched in the leg's own slot, unasked. Whoever is silent, or heard by somebody, is
/// watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attention {
    /// By epoll. `steady` frames in a row brought a packet; `came`: the running one did.
    Watched { steady: u8, came: bool },
    /// Once a frame; the last `missing` times in vain.
    Fetched { missing: u8 },
}

impl Attention {
    const NEW: Attention = Attention::Watched {
        steady: 0,
        came: false,
    };
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
            io: Io {
                epoll,
                places: Vec::new(),
                ports,
                tally: Tally::default(),
            },
            epoch,
            mailbox,
            seats,
            counters,
            events,
            waiting: VecDeque::new(),
            messages: VecDeque::new(),
            unread: Vec::new(),
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
            while due_ns <= woke_ns {
                let phase = (slot % u64::from(PHASES)) as u32;
                self.fetch(now, phase, &mut reader);
                self.engine.slot(now, phase, &mut self.io);
                self.io.tally.slot((woke_ns - due_ns) as u64 / 1_000);
                slot += 1;
                due_ns += SLOT_NS;
            }

            self.read(&mut reader);
            self.tell();
            if slot >= cpu_due {
                self.io.tally.cpu_us = cpu_us();
                cpu_due = slot + CPU_EVERY;
            }
            self.counters.publish(&self.io.tally);
        }
    }

    /// Sleeps until there is something to do.
    fn idle(&mut self) {
        self.io.tally.cpu_us = cpu_us();
        self.counters.publish(&self.io.tally);
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
                    if let Err(error) = self.io.tie(*leg, negotiated.remote_rtp, *natted) {
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
            if let Event::Closed { leg, .. } = event {
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

    /// Reads what came.
    fn read(&mut self, reader: &mut Reader) {
        let mut ready = [EpollEvent::empty(); READY];
        if !self.unread.is_empty() {
            let now = self.epoch.elapsed();
            for mark in std::mem::take(&mut self.unread) {
                self.read_one(now, mark, reader);
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
                    self.read_one(now, event.data(), reader);
                }
            }
            if count < READY {
                return;
            }
        }
    }

    /// Reads the legs whose slot has come, of those that aren't watched; decides anew which are.
    fn fetch(&mut self, now: Duration, phase: u32, reader: &mut Reader) {
        for index in 0.. {
            let Some((slot, heard)) = self.engine.in_phase(phase, index) else {
                return;
            };
            let Some(attention) = self.io.attention(slot as usize) else {
                continue;
            };
            let next = match attention {
                Attention::Watched { steady, came: true } if !heard && steady + 1 < STEADY => {
                    Attention::Watched {
                        steady: steady + 1,
                        came: false,
                    }
                }
                Attention::Watched { came: true, .. } if !heard => {
                    Attention::Fetched { missing: 0 }
                }
                Attention::Watched { .. } => Attention::NEW,
                Attention::Fetched { .. } if heard => Attention::NEW,
                Attention::Fetched { missing } => {
                    let before = self.io.tally.packets_in;
                    self.read_one(now, mark(slot as usize, Channel::Rtp), reader);
                    match self.io.tally.packets_in - before {
                        0 if missing + 1 == STEADY => Attention::NEW,
                        0 => Attention::Fetched {
                            missing: missing + 1,
                        },
                        _ => Attention::Fetched { missing: 0 },
                    }
                }
            };
            if let Err(error) = self.io.attend(slot as usize, next) {
                // Out of kernel memory. The leg is deaf, which its watch will tell.
                tracing::error!(%error, "a leg's socket can't be watched");
            }
        }
    }

    fn read_one(&mut self, now: Duration, mark: u64, reader: &mut Reader) {
        let (slot, channel) = unmark(mark);
        let Some(Some(place)) = self.io.places.get_mut(slot) else {
            return;
        };
        let leg = place.leg;
        if let (Channel::Rtp, Attention::Watched { came, .. }) = (channel, &mut place.rtp) {
            *came = true;
        }
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

impl Io {
    fn place(&mut self, leg: LegId) -> Option<&mut Place> {
        let place = self.places.get_mut(leg.slot() as usize)?.as_mut()?;
        (place.leg == leg).then_some(place)
    }

    fn open(&mut self, leg: LegId, port: LegPort) -> Result<(), Errno> {
        let slot = leg.slot() as usize;
        if self.places.len() <= slot {
            self.places.resize_with(slot + 1, || None);
        }
        let watched = match &port {
            LegPort::Udp { rtp, rtcp, .. } => self
                .epoll
                .add(rtp, watch(slot, Channel::Rtp))
                .and_then(|()| self.epoll.add(rtcp, watch(slot, Channel::Rtcp))),
            LegPort::Ring { end, .. } => {
                let ring = EpollEvent::new(EpollFlags::EPOLLIN, mark(slot, Channel::Rtp));
                self.epoll.add(end.as_fd(), ring)
            }
        };
        self.places[slot] = Some(Place {
            leg,
            port,
            listener: None,
            rtp: Attention::NEW,
        });
        watched
    }

    /// How a leg's RTP is attended to; none for a ring, which is always watched.
    fn attention(&self, slot: usize) -> Option<Attention> {
        let place = self.places.get(slot)?.as_ref()?;
        matches!(place.port, LegPort::Udp { .. }).then_some(place.rtp)
    }

    fn attend(&mut self, slot: usize, next: Attention) -> Result<(), Errno> {
        let Some(Some(Place {
            port: LegPort::Udp { rtp: socket, .. },
            rtp,
            ..
        })) = self.places.get_mut(slot)
        else {
            return Ok(());
        };
        match (std::mem::replace(rtp, next), next) {
            (Attention::Watched { .. }, Attention::Fetched { .. }) => self.epoll.delete(socket),
            (Attention::Fetched { .. }, Attention::Watched { .. }) => {
                self.epoll.add(&*socket, watch(slot, Channel::Rtp))
            }
            _ => Ok(()),
        }
    }

    /// Ties a leg's RTP socket to its far side; unties it where the address is to be learnt.
    fn tie(&mut self, leg: LegId, remote: SocketAddr, natted: bool) -> io::Result<()> {
        let Io { epoll, places, .. } = self;
        let Some(Some(Place {
            leg: open,
            port:
                LegPort::Udp {
                    rtp,
                    port,
                    bind,
                    tied,
                    ..
                },
            rtp: attention,
            ..
        })) = places.get_mut(leg.slot() as usize)
        else {
            return Ok(());
        };
        if *open != leg {
            return Ok(());
        }
        if natted {
            return Io::untie(epoll, leg, rtp, *port, *bind, tied, attention);
        }
        // On hold the old way (RFC 2543) it has no address, and the tie stays as it was.
        let somewhere = remote.port() != 0 && !remote.ip().is_unspecified();
        // Tied, a socket of all addresses would hear only the one its route begins at, which
        // needn't be the one that was advertised.
        if !somewhere || bind.is_unspecified() || *tied == Some(remote) {
            return Ok(());
        }
        if rtp.connect(remote).is_ok() {
            *tied = Some(remote);
            return Ok(());
        }
        // Not reachable now, it may be later: untied, it is tried for every packet.
        Io::untie(epoll, leg, rtp, *port, *bind, tied, attention)
    }

    /// No safe call dissolves a tie, so another socket takes the port.
    fn untie(
        epoll: &Epoll,
        leg: LegId,
        rtp: &mut UdpSocket,
        port: u16,
        bind: IpAddr,
        tied: &mut Option<SocketAddr>,
        attention: &mut Attention,
    ) -> io::Result<()> {
        if tied.take().is_some() {
            *attention = Attention::NEW;
            drop(std::mem::replace(rtp, udp(bind, 0)?));
            *rtp = udp(bind, port)?;
            epoll.add(&*rtp, watch(leg.slot() as usize, Channel::Rtp))?;
        }
        Ok(())
    }

    fn close(&mut self, leg: LegId) {
        if self.place(leg).is_none() {
            return;
        }
        let Some(place) = self.places[leg.slot() as usize].take() else {
            return;
        };
        match place.port {
            // Closing a socket ends its watch: nobody else holds it.
            LegPort::Udp { port, .. } => self.ports.release(port),
            // The ring's other end holds the eventfd too.
            LegPort::Ring { end, .. } => {
                let _ = self.epoll.delete(end.as_fd());
            }
        }
    }

    fn receive(
        &mut self,
        leg: LegId,
        buffer: &mut [u8; RING_PACKET_BYTES],
    ) -> Option<(Channel, usize, SocketAddr)> {
        let LegPort::Ring { end, rtp, rtcp } = &self.place(leg)?.port else {
            return None;
        };
        let (channel, length) = end.receive(buffer)?;
        let source = match channel {
            Channel::Rtp => *rtp,
            Channel::Rtcp => *rtcp,
        };
        Some((channel, length, source))
    }
}

impl Sink for Io {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        let Some(place) = self.place(leg) else { return };
        let sent = match &place.port {
            LegPort::Udp { rtp, tied, .. } if channel == Channel::Rtp && *tied == Some(to) => {
                socket::send(rtp.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT)
            }
            LegPort::Udp { rtp, rtcp, .. } => {
                let socket = match channel {
                    Channel::Rtp => rtp,
                    Channel::Rtcp => rtcp,
                };
                datagram(socket.as_raw_fd(), to, packet)
            }
            LegPort::Ring { end, .. } => {
                end.send(channel, packet);
                Ok(packet.len())
            }
        };
        match sent {
            Ok(_) => self.tally.packets_out += 1,
            // A full buffer, no route, or the far side's port closed: the next packet may fare better.
            Err(_) => self.tally.packets_unsent += 1,
        }
    }

    fn heard(&mut self, leg: LegId, heard: Heard<'_>) {
        let Some(place) = self.place(leg) else { return };
        let Some(listener) = &place.listener else {
            return;
        };
        let frame = HeardFrame {
            leg,
            sequence: heard.sequence,
            timestamp: heard.timestamp,
            codec: heard.codec,
            payload: heard.payload.to_vec(),
        };
        if listener.try_send(frame).is_err() {
            self.tally.frames_dropped += 1;
        }
    }
}

/// Buffers for reading.
struct Reader {
    buffers: Box<[[u8; DATAGRAM_BYTES]; BATCH]>,
    /// The kernel shortens the room for addresses to what it last wrote there, so each family has its own.
    headers_v4: MultiHeaders<SockaddrStorage>,
    headers_v6: MultiHeaders<SockaddrStorage>,
}

impl Reader {
    fn new() -> Reader {
        Reader {
            buffers: Box::new([[0; DATAGRAM_BYTES]; BATCH]),
            headers_v4: MultiHeaders::preallocate(BATCH, None),
            headers_v6: MultiHeaders::preallocate(BATCH, None),
        }
    }
}

impl Reader {
    /// Hands over what waits in a socket, at most [`BATCH`] datagrams. True when none is left.
    fn datagrams(
        &mut self,
        socket: RawFd,
        v6: bool,
        mut each: impl FnMut(SocketAddr, &[u8]),
    ) -> bool {
        let headers = if v6 {
            &mut self.headers_v6
        } else {
            &mut self.headers_v4
        };
        let mut slices = self
            .buffers
            .each_mut()
            .map(|buffer| [IoSliceMut::new(buffer)]);
        let received = match recvmmsg(
            socket,
            headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return true,
            // An old ICMP message, which has no consequence; packets may lie behind it.
            Err(_) => return false,
        };
        let mut count = 0;
        for message in received {
            count += 1;
            let source = message.address.as_ref().and_then(address);
            if let (Some(source), Some(bytes)) = (source, message.iovs().next()) {
                each(source, bytes);
            }
        }
        count < BATCH
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4(SocketAddrV4::from(*v4)));
    }
    // On a socket of both families an IPv4 host comes as `::ffff:a.b.c.d`; SDP says `a.b.c.d`.
    let v6 = SocketAddrV6::from(*storage.as_sockaddr_in6()?);
    Some(match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, v6.port())),
        None => SocketAddr::V6(v6),
    })
}

fn datagram(socket: RawFd, to: SocketAddr, packet: &[u8]) -> Result<usize, Errno> {
    let flags = MsgFlags::MSG_DONTWAIT;
    match to {
        SocketAddr::V4(to) => sendto(socket, packet, &SockaddrIn::from(to), flags),
        SocketAddr::V6(to) => sendto(socket, packet, &SockaddrIn6::from(to), flags),
    }
}

/// How a leg's socket is watched: told once for each arrival. A level would have the kernel ask every socket that had
/// a packet once more in the next millisecond. In return whoever reads must empty the socket, or remember it.
fn watch(slot: usize, channel: Channel) -> EpollEvent {
    EpollEvent::new(
        EpollFlags::EPOLLIN | EpollFlags::EPOLLET,
        mark(slot, channel),
    )
}

/// A socket's mark in the epoll set.
fn mark(slot: usize, channel: Channel) -> u64 {
    (slot as u64) << 1 | u64::from(channel == Channel::Rtcp)
}

fn unmark(mark: u64) -> (usize, Channel) {
    let channel = if mark & 1 == 0 {
        Channel::Rtp
    } else {
        Channel::Rtcp
    };
    ((mark >> 1) as usize, channel)
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

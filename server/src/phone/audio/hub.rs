//! Audio in memory: one thread with an engine for all phones' legs, whose packets never meet a network.
//!
//! A phone's leg has an address of [`RingHub::ip`], which it puts into its SDP. Packets for such an address go to that
//! leg. A server in the same process that finds such an address in an SDP ([`RingHub::owns`]) opens a ring leg
//! ([`crate::rtp::Media::open_ring`]) and gives the ring's far end to [`RingHub::attach`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::engine::{Channel, Command, Engine, EngineConfig, Event, Heard, LegId, PHASES, Sink};

use super::{Ear, Line, TICK};
use crate::rtp::{MediaError, RING_PACKET_BYTES, RingPhone};

/// Most legs at a time.
const LEGS_MAX: u32 = 4_096;
/// Most orders that wait for the thread.
const ORDERS_MAX: usize = 16_384;
/// Most packets on their way between two legs.
const PACKETS_MAX: usize = 16_384;
/// The first RTP port; each leg has two.
const PORT_FIRST: u16 = 10_000;

const SLOT: Duration = Duration::from_millis(1);
/// A thread later than this doesn't make up for it.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// A network in memory for phones' audio. Cheap to clone; its thread ends with the last clone.
#[derive(Clone)]
pub struct RingHub {
    ip: IpAddr,
    orders: SyncSender<Order>,
    seats: Arc<Mutex<Seats>>,
}

/// Which legs' places are free.
#[derive(Debug, Default)]
struct Seats {
    free: Vec<u32>,
    next: u32,
    generation: u32,
}

enum Order {
    Open {
        leg: LegId,
        address: SocketAddr,
        ear: Box<Ear>,
    },
    Command(Command),
    Attach {
        address: SocketAddr,
        ring: RingPhone,
    },
}

impl RingHub {
    /// Starts the thread. Up to 250 hubs of one process have different addresses.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn start(seed: u64) -> Result<RingHub, MediaError> {
        static HUBS: AtomicU8 = AtomicU8::new(0);
        let number = HUBS.fetch_add(1, Ordering::Relaxed) % 250;
        let ip = IpAddr::V4(Ipv4Addr::new(127, 77, number, 1));
        let (orders, orders_rx) = sync_channel(ORDERS_MAX);
        let seats = Arc::new(Mutex::new(Seats::default()));
        let hub = Hub {
            engine: Engine::new(EngineConfig {
                seed,
                legs_max: LEGS_MAX,
                ..EngineConfig::default()
            }),
            wires: Wires {
                now: Duration::ZERO,
                legs: HashMap::new(),
                addresses: HashMap::new(),
                on_the_way: VecDeque::new(),
            },
            orders: orders_rx,
            seats: Arc::clone(&seats),
        };
        std::thread::Builder::new()
            .name("phone-ring".to_owned())
            .spawn(move || hub.run())
            .map_err(|source| MediaError::System {
                what: "starting the ring hub's thread",
                source,
            })?;
        Ok(RingHub { ip, orders, seats })
    }

    /// The address all its legs have.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether an address found in an SDP is that of a leg here, to be reached through a ring.
    pub fn owns(&self, address: SocketAddr) -> bool {
        address.ip() == self.ip
    }

    /// Connects the phone's leg at `address` with the far end of a server's ring leg. All it sends goes there.
    ///
    /// # Errors
    /// [`MediaError::Busy`].
    pub fn attach(&self, address: SocketAddr, ring: RingPhone) -> Result<(), MediaError> {
        self.order(Order::Attach { address, ring })
    }

    pub(super) fn open(&self, ear: Ear) -> Result<Line, MediaError> {
        let leg = {
            let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = match seats.free.pop() {
                Some(slot) => slot,
                None if seats.next < LEGS_MAX => {
                    seats.next += 1;
                    seats.next - 1
                }
                None => return Err(MediaError::LegsExhausted),
            };
            seats.generation = seats.generation.wrapping_add(1);
            LegId::new(0, slot, seats.generation)
        };
        let address = SocketAddr::new(self.ip, PORT_FIRST + 2 * leg.slot() as u16);
        self.order(Order::Open {
            leg,
            address,
            ear: Box::new(ear),
        })?;
        Ok(Line { leg, address })
    }

    pub(super) fn command(&self, command: Command) -> Result<(), MediaError> {
        self.order(Order::Command(command))
    }

    fn order(&self, order: Order) -> Result<(), MediaError> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => MediaError::Busy,
        })
    }
}

impl fmt::Debug for RingHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingHub")
            .field("ip", &self.ip)
            .finish_non_exhaustive()
    }
}

/// What the thread owns.
struct Hub {
    engine: Engine,
    wires: Wires,
    orders: Receiver<Order>,
    seats: Arc<Mutex<Seats>>,
}

/// All but the engine: what the engine sends through.
struct Wires {
    now: Duration,
    legs: HashMap<LegId, Leg>,
    addresses: HashMap<SocketAddr, (LegId, Channel)>,
    on_the_way: VecDeque<Packet>,
}

struct Leg {
    address: SocketAddr,
    ear: Box<Ear>,
    /// Where its far side's packets come from, once connected.
    remote: Option<(SocketAddr, SocketAddr)>,
    ring: Option<RingPhone>,
}

struct Packet {
    leg: LegId,
    channel: Channel,
    source: SocketAddr,
    bytes: Vec<u8>,
}

/// RTCP is at the port after RTP's.
fn rtcp_of(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port() + 1)
}

impl Hub {
    /// Runs until the last handle is gone.
    fn run(mut self) {
        let epoch = Instant::now();
        let mut due = Duration::ZERO;
        let mut slot = 0u32;
        let mut ticked = Duration::ZERO;
        loop {
            let idle = self.engine.legs() == 0 && self.wires.legs.is_empty();
            let wait = if idle {
                Duration::from_secs(3_600)
            } else {
                due.saturating_sub(epoch.elapsed())
            };
            match self.orders.recv_timeout(wait) {
                Ok(order) => {
                    self.wires.now = epoch.elapsed();
                    if idle {
                        due = self.wires.now;
                    }
                    self.carry_out(order);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.carry_out(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let now = epoch.elapsed();
            self.wires.now = now;
            if now.saturating_sub(due) > BEHIND_MAX {
                due = now;
            }
            while due <= now {
                self.engine.slot(now, slot % PHASES, &mut self.wires);
                slot = slot.wrapping_add(1) % PHASES;
                due += SLOT;
            }
            self.deliver();
            if now.saturating_sub(ticked) >= TICK {
                ticked = now;
                self.wires
                    .legs
                    .values_mut()
                    .for_each(|leg| leg.ear.tick(now));
            }
            self.tell();
        }
    }

    fn carry_out(&mut self, order: Order) {
        let now = self.wires.now;
        match order {
            Order::Open { leg, address, ear } => {
                self.wires.addresses.insert(address, (leg, Channel::Rtp));
                self.wires
                    .addresses
                    .insert(rtcp_of(address), (leg, Channel::Rtcp));
                self.wires.legs.insert(
                    leg,
                    Leg {
                        address,
                        ear,
                        remote: None,
                        ring: None,
                    },
                );
                self.engine
                    .command(now, Command::Open { leg }, &mut self.wires);
                self.engine
                    .command(now, Command::Listen { leg, on: true }, &mut self.wires);
            }
            Order::Attach { address, ring } => {
                if let Some(&(leg, _)) = self.wires.addresses.get(&address)
                    && let Some(leg) = self.wires.legs.get_mut(&leg)
                {
                    leg.ring = Some(ring);
                }
            }
            Order::Command(command) => {
                if let Command::Connect {
                    leg, negotiated, ..
                } = &command
                    && let Some(leg) = self.wires.legs.get_mut(leg)
                {
                    leg.remote = Some((negotiated.remote_rtp, negotiated.remote_rtcp));
                    leg.ear.connected(now);
                }
                self.engine.command(now, command, &mut self.wires);
            }
        }
    }

    /// Hands over what is on its way, from rings too.
    fn deliver(&mut self) {
        let mut buffer = [0; RING_PACKET_BYTES];
        let attached: Vec<LegId> = self
            .wires
            .legs
            .iter()
            .filter(|(_, leg)| leg.ring.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in attached {
            while let Some((channel, length, source)) = self.wires.take_from_ring(id, &mut buffer) {
                self.engine.packet(
                    self.wires.now,
                    id,
                    channel,
                    source,
                    &buffer[..length],
                    &mut self.wires,
                );
            }
        }
        // What a packet causes (a report, say) goes with the next slot.
        for _ in 0..self.wires.on_the_way.len() {
            if let Some(packet) = self.wires.on_the_way.pop_front() {
                let Packet {
                    leg,
                    channel,
                    source,
                    bytes,
                } = packet;
                self.engine.packet(
                    self.wires.now,
                    leg,
                    channel,
                    source,
                    &bytes,
                    &mut self.wires,
                );
            }
        }
    }

    fn tell(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            let id = event.leg();
            let closed = matches!(event, Event::Closed { .. });
            if let Some(leg) = self.wires.legs.get_mut(&id) {
                leg.ear.media(self.wires.now, event);
            }
            if closed && let Some(leg) = self.wires.legs.remove(&id) {
                self.wires.addresses.remove(&leg.address);
                self.wires.addresses.remove(&rtcp_of(leg.address));
                self.seats
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .free
                    .push(id.slot());
            }
        }
    }
}

impl Wires {
    fn take_from_ring(
        &self,
        id: LegId,
        buffer: &mut [u8; RING_PACKET_BYTES],
    ) -> Option<(Channel, usize, SocketAddr)> {
        let leg = self.legs.get(&id)?;
        let (channel, length) = leg.ring.as_ref()?.receive(buffer)?;
        let (rtp, rtcp) = leg.remote?;
        Some((
            channel,
            length,
            if channel == Channel::Rtp { rtp } else { rtcp },
        ))
    }
}

impl Sink for Wires {
    fn send(&mut self, leg: LegId, channel: Channel, to: SocketAddr, packet: &[u8]) {
        let Some(sender) = self.legs.get(&leg) else {
            return;
        };
        if let Some(ring) = &sender.ring {
            ring.send(channel, packet);
            return;
        }
        let source = if channel == Channel::Rtp {
            sender.address
        } else {
            rtcp_of(sender.address)
        };
        if let Some(&(leg, channel)) = self.addresses.get(&to)
            && self.on_the_way.len() < PACKETS_MAX
        {
            self.on_the_way.push_back(Packet {
                leg,
                channel,
                source,
                bytes: packet.to_vec(),
            });
        }
    }

    fn heard(&mut self, leg: LegId, heard: Heard<'_>) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.ear.packet(self.now, &heard);
        }
    }
}

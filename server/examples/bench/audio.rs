//! RTP of callers and agents: one socket for each kind, every stream known by
//! the server's port. Arrival times are the kernel's, so that the load's own
//! lateness doesn't show.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use media::codec::FRAME_SAMPLES;
use media::rtp::{Header, Packet};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::figures::Sample;

const BATCH: usize = 64;
const DATAGRAM_BYTES: usize = 256;
/// Frames a key is held: 100 ms.
const KEY_FRAMES: u16 = 5;
const EVENT_PAYLOAD_TYPE: u8 = 101;

/// The first frames of a prompt, to recognise when it began.
pub(crate) type Frames = HashMap<[u8; FRAME_SAMPLES], u32>;

/// Binds a non-blocking socket of loopback with a large buffer.
pub(crate) fn bound(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    // The system may allow less; what is lost then is counted.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &(8 * 1024 * 1024));
    let _ = setsockopt(&socket, sockopt::SndBuf, &(4 * 1024 * 1024));
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Now, on the clock of the kernel's timestamps, in nanoseconds.
pub(crate) fn clock_ns() -> i64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, nanoseconds)
}

pub(crate) fn nanoseconds(time: TimeSpec) -> i64 {
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

/// Somebody who talks without a pause.
struct Talker {
    port: u16,
    sequence: u16,
    timestamp: u32,
    /// Frames of the key being pressed that were sent.
    key: Option<u16>,
}

#[derive(Clone, Copy, Default)]
struct Stream {
    last_ns: i64,
    timestamp: u32,
    sequence: u16,
}

/// What is waited for from a port, and since when.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    /// A prompt that starts after a key: when the key went down, and up.
    Prompt { down_ns: i64, up_ns: i64 },
    /// What somebody says, by their pattern.
    Voice { since_ns: i64, pattern: u8 },
}

/// All callers, or all agents.
pub(crate) struct Party {
    socket: Arc<UdpSocket>,
    /// RTCP comes here; it is read and forgotten.
    rtcp: UdpSocket,
    pub(crate) port: u16,
    /// What all of them say, a byte over and over.
    pattern: u8,
    talkers: Vec<Talker>,
    pub(crate) muted: bool,
    streams: Vec<Stream>,
    awaited: HashMap<u16, Awaited>,
    frames: Frames,
    reader: Reader,
    /// Whether gaps are noted.
    pub(crate) measuring: bool,
    /// Between packets of one stream that follow each other, in milliseconds.
    pub(crate) gaps_ms: Sample,
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) key_down_to_prompt_ms: Sample,
    pub(crate) key_up_to_prompt_ms: Sample,
    pub(crate) voice_ms: Sample,
}

impl Party {
    pub(crate) fn new(pattern: u8, frames: Frames) -> io::Result<Self> {
        // An even port with the next one free.
        let (port, socket, rtcp) = loop {
            let socket = bound(0)?;
            let port = socket.local_addr()?.port();
            if port.is_multiple_of(2)
                && let Ok(rtcp) = bound(port + 1)
            {
                break (port, socket, rtcp);
            }
        };
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(Self {
            socket: Arc::new(socket),
            rtcp,
            port,
            pattern,
            talkers: Vec::new(),
            muted: false,
            streams: vec![Stream::default(); 1 << 16],
            awaited: HashMap::new(),
            frames,
            reader: Reader::new(),
            measuring: false,
            gaps_ms: Sample::default(),
            packets: 0,
            lost: 0,
            key_down_to_prompt_ms: Sample::default(),
            key_up_to_prompt_ms: Sample::default(),
            voice_ms: Sample::default(),
        })
    }

    /// Talks to a port of the server from now on.
    pub(crate) fn talk(&mut self, port: u16) {
        self.talkers.push(Talker {
            port,
            sequence: port,
            timestamp: u32::from(port) << 8,
            key: None,
        });
    }

    /// The `n`th who talks presses 1.
    pub(crate) fn press(&mut self, n: usize) {
        if let Some(talker) = self.talkers.get_mut(n) {
            talker.key = Some(0);
        }
    }

    /// How long until the voice of this pattern comes from the port?
    pub(crate) fn await_voice(&mut self, port: u16, pattern: u8) {
        let since_ns = clock_ns();
        self.awaited
            .insert(port, Awaited::Voice { since_ns, pattern });
    }

    /// How many still wait for what they were to hear.
    pub(crate) fn awaiting(&self) -> usize {
        self.awaited.len()
    }

    /// A twentieth of them send their frame.
    pub(crate) fn slot(&mut self, phase: usize) {
        for talker in self.talkers.iter_mut().skip(phase).step_by(20) {
            talker.timestamp = talker.timestamp.wrapping_add(FRAME_SAMPLES as u32);
            let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, talker.port);
            let ssrc = u32::from(talker.port);
            if let Some(frame) = &mut talker.key {
                let now = clock_ns();
                *frame += 1;
                let last = *frame == KEY_FRAMES;
                if *frame == 1 {
                    let (down_ns, up_ns) = (now, 0);
                    self.awaited
                        .insert(talker.port, Awaited::Prompt { down_ns, up_ns });
                }
                if last
                    && let Some(Awaited::Prompt { up_ns, .. }) = self.awaited.get_mut(&talker.port)
                {
                    *up_ns = now;
                }
                // The last packet three times (RFC 4733 section 2.5.1.4).
                for _ in 0..if last { 3 } else { 1 } {
                    let header = Header {
                        marker: *frame == 1,
                        payload_type: EVENT_PAYLOAD_TYPE,
                        sequence: talker.sequence,
                        timestamp: talker
                            .timestamp
                            .wrapping_sub(u32::from(*frame - 1) * FRAME_SAMPLES as u32),
                        ssrc,
                    };
                    talker.sequence = talker.sequence.wrapping_add(1);
                    let [d0, d1] = (*frame * FRAME_SAMPLES as u16).to_be_bytes();
                    let mut packet = [0; 16];
                    packet[..12].copy_from_slice(&header.bytes());
                    packet[12..].copy_from_slice(&[1, 0x0a | u8::from(last) << 7, d0, d1]);
                    let _ = self.socket.send_to(&packet, to);
                }
                if last {
                    talker.key = None;
                }
                continue;
            }
            if self.muted {
                continue;
            }
            let header = Header {
                marker: false,
                payload_type: 0,
                sequence: talker.sequence,
                timestamp: talker.timestamp,
                ssrc,
            };
            talker.sequence = talker.sequence.wrapping_add(1);
            let mut packet = [self.pattern; 12 + FRAME_SAMPLES];
            packet[..12].copy_from_slice(&header.bytes());
            // A full buffer loses it, as a network would.
            let _ = self.socket.send_to(&packet, to);
        }
    }

    /// Reads everything that came.
    pub(crate) fn receive(&mut self) {
        let mut buffer = [0; 1_500];
        while self.rtcp.recv(&mut buffer).is_ok() {}
        let mut reader = std::mem::replace(&mut self.reader, Reader::empty());
        let socket = Arc::clone(&self.socket);
        while reader.batch(&socket, |port, at_ns, bytes| {
            self.packet(port, at_ns, bytes);
        }) {}
        self.reader = reader;
    }

    fn packet(&mut self, port: u16, at_ns: i64, bytes: &[u8]) {
        let Some(packet) = Packet::parse(bytes) else {
            return;
        };
        if packet.payload.len() != FRAME_SAMPLES {
            return;
        }
        self.packets += u64::from(self.measuring);
        let stream = &mut self.streams[usize::from(port)];
        let follows = packet.timestamp.wrapping_sub(stream.timestamp) == FRAME_SAMPLES as u32;
        let jump = packet.sequence.wrapping_sub(stream.sequence);
        if self.measuring && stream.last_ns != 0 {
            if jump == 1 && follows {
                self.gaps_ms.add((at_ns - stream.last_ns) as f64 / 1e6);
            } else if jump > 1 && jump < 1_000 {
                self.lost += u64::from(jump) - 1;
            }
        }
        *stream = Stream {
            last_ns: at_ns,
            timestamp: packet.timestamp,
            sequence: packet.sequence,
        };
        if self.awaited.is_empty() {
            return;
        }
        match self.awaited.get(&port).copied() {
            Some(Awaited::Voice { since_ns, pattern })
                if packet.payload.iter().all(|byte| *byte == pattern) =>
            {
                self.awaited.remove(&port);
                self.voice_ms.add((at_ns - since_ns) as f64 / 1e6);
            }
            Some(Awaited::Prompt { down_ns, up_ns }) => {
                let frame = <&[u8; FRAME_SAMPLES]>::try_from(packet.payload)
                    .ok()
                    .and_then(|payload| self.frames.get(payload));
                // Only when the key is up, or `up_ns` isn't known; the frame's number says when the first one came.
                if let (Some(frame), true) = (frame, up_ns != 0) {
                    let began_ns = at_ns - i64::from(*frame) * 20_000_000;
                    self.awaited.remove(&port);
                    self.key_down_to_prompt_ms
                        .add((began_ns - down_ns) as f64 / 1e6);
                    self.key_up_to_prompt_ms
                        .add((began_ns - up_ns) as f64 / 1e6);
                }
            }
            Some(Awaited::Voice { .. }) | None => {}
        }
    }
}

struct Reader {
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Reader {
    fn new() -> Self {
        Self {
            buffers: vec![[0; DATAGRAM_BYTES]; BATCH],
            headers: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec))),
        }
    }

    fn empty() -> Self {
        Self {
            buffers: Vec::new(),
            headers: MultiHeaders::preallocate(0, None),
        }
    }

    /// Reads some; says whether there may be more.
    fn batch(&mut self, socket: &UdpSocket, mut each: impl FnMut(u16, i64, &[u8])) -> bool {
        let mut slices: Vec<_> = self
            .buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let Ok(received) = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        ) else {
            return false;
        };
        let mut count = 0;
        for message in received {
            count += 1;
            let port = message.address.map(|address| address.port());
            let at_ns = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(time) => Some(nanoseconds(time)),
                    _ => None,
                })
            });
            if let (Some(port), Some(bytes)) = (port, message.iovs().next()) {
                each(port, at_ns.unwrap_or_else(clock_ns), bytes);
            }
        }
        count == BATCH
    }
}

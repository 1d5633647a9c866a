//! A media socket of a party that isn't ours: what arrives is kept packet by
//! packet, what is said is a tone, or a clip over and over. Written from RFC
//! 3550 and RFC 4733 without the crate under test.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use media::clip::Clip;
use media::codec::Codec;

/// One RTP packet that arrived.
#[derive(Debug, Clone)]
pub struct Packet {
    pub at: Instant,
    pub from: SocketAddr,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

/// What a socket says.
enum Says {
    Tone(f64),
    Clip(Arc<Clip>),
}

impl Says {
    /// The frame that begins with this sample.
    fn frame(&self, timestamp: u32) -> Vec<u8> {
        match self {
            Self::Tone(hertz) => (0..160)
                .map(|i| {
                    let t = f64::from(timestamp + i) / 8000.0;
                    let sample = (t * hertz * std::f64::consts::TAU).sin() * 8000.0;
                    Codec::Pcmu.encode(sample as i16)
                })
                .collect(),
            Self::Clip(clip) => {
                let index = timestamp as usize / 160 % clip.frames();
                clip.frame(Codec::Pcmu, index).expect("a frame").to_vec()
            }
        }
    }
}

/// On a free even port of the loopback.
pub fn media_socket() -> UdpSocket {
    let socket = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        if socket.local_addr().expect("bound").port().is_multiple_of(2) {
            break socket;
        }
    };
    socket
        .set_read_timeout(Some(Duration::from_millis(2)))
        .expect("a timeout");
    socket
}

/// A socket that listens, and hums at its own pitch.
pub struct Ear {
    pub port: u16,
    packets: Arc<Mutex<Vec<Packet>>>,
    keys: Arc<Mutex<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Listens on a free even port. Speaks a tone of `hertz` to wherever
    /// packets come from, as soon as one has come.
    pub fn open(hertz: f64) -> Self {
        Self::saying(Says::Tone(hertz))
    }

    /// The same, but that it says this over and over.
    pub fn open_saying(clip: Arc<Clip>) -> Self {
        Self::saying(Says::Clip(clip))
    }

    fn saying(says: Says) -> Self {
        let socket = media_socket();
        let port = socket.local_addr().expect("bound").port();
        let packets = Arc::new(Mutex::new(Vec::<Packet>::new()));
        let keys = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (packets, keys, stop) = (packets.clone(), keys.clone(), stop.clone());
            std::thread::spawn(move || {
                Self::live(&socket, &says, &packets, &keys, &stop);
            })
        };
        Self {
            port,
            packets,
            keys,
            stop,
            thread: Some(thread),
        }
    }

    fn live(
        socket: &UdpSocket,
        says: &Says,
        packets: &Mutex<Vec<Packet>>,
        keys: &Mutex<Vec<u8>>,
        stop: &AtomicBool,
    ) {
        let mut buffer = [0; 2048];
        let mut peer = None;
        let ssrc = 0xfeed_0000 | u32::from(socket.local_addr().expect("bound").port());
        let started = Instant::now();
        let mut sent = 0u32;
        let mut sequence = 1000u16;
        while !stop.load(Ordering::Relaxed) {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let bytes = &buffer[..length];
                if length >= 12 && bytes[0] >> 6 == 2 {
                    if peer.replace(from).is_none() {
                        // What would have been said before is left out.
                        sent = (started.elapsed().as_millis() / 20) as u32;
                    }
                    packets.lock().unwrap().push(Packet {
                        at: Instant::now(),
                        from,
                        payload_type: bytes[1] & 0x7f,
                        sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
                        timestamp: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
                        payload: bytes[12..].to_vec(),
                    });
                }
            }
            let Some(to) = peer else { continue };
            while started.elapsed() >= Duration::from_millis(20 * u64::from(sent)) {
                let timestamp = sent * 160;
                let mut header = |kind: u8, timestamp: u32| {
                    sequence = sequence.wrapping_add(1);
                    let mut packet = vec![0x80, kind];
                    packet.extend(sequence.to_be_bytes());
                    packet.extend(timestamp.to_be_bytes());
                    packet.extend(ssrc.to_be_bytes());
                    packet
                };
                let key = {
                    let mut keys = keys.lock().unwrap();
                    if keys.is_empty() {
                        None
                    } else {
                        Some(keys.remove(0))
                    }
                };
                if let Some(event) = key {
                    // A key of 100 ms: five packets, then the end three times.
                    for step in 1..=7u16 {
                        let mut packet =
                            header(if step == 1 { 0x80 | 101 } else { 101 }, timestamp);
                        let duration = 160 * step.min(5);
                        packet.extend([event, if step > 4 { 0x8a } else { 0x0a }]);
                        packet.extend(duration.to_be_bytes());
                        let _ = socket.send_to(&packet, to);
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    sent += 7;
                    continue;
                }
                let mut packet = header(0, timestamp);
                packet.extend(says.frame(timestamp));
                let _ = socket.send_to(&packet, to);
                sent += 1;
            }
        }
    }

    /// Presses a key.
    pub fn press(&self, key: char) {
        let event = match key {
            '0'..='9' => key as u8 - b'0',
            '*' => 10,
            _ => 11,
        };
        self.keys.lock().unwrap().push(event);
    }

    /// Audio packets so far.
    pub fn packets(&self) -> Vec<Packet> {
        self.packets
            .lock()
            .unwrap()
            .iter()
            .filter(|p| p.payload_type == 0)
            .cloned()
            .collect()
    }

    /// The keys that came as telephone events of this payload type: each event once, by its timestamp, in their order.
    pub fn keys(&self, payload_type: u8) -> String {
        let packets = self.packets.lock().unwrap();
        let events = packets.iter().filter(|p| p.payload_type == payload_type);
        let mut keys: Vec<(u32, u8)> = events.map(|p| (p.timestamp, p.payload[0])).collect();
        let first = keys.first().map_or(0, |(timestamp, _)| *timestamp);
        keys.sort_by_key(|(timestamp, _)| timestamp.wrapping_sub(first) as i32);
        keys.dedup();
        let key =
            |event: &u8| char::from(*b"0123456789*#".get(usize::from(*event)).unwrap_or(&b'?'));
        keys.iter().map(|(_, event)| key(event)).collect()
    }

    /// The longest share of a clip's frames that arrived bit-identical and in
    /// order, and when the first of them arrived.
    pub fn share_of(&self, clip: &Clip) -> (f64, Option<Instant>) {
        let packets = self.packets();
        let mut best = (0.0, None);
        let first: Vec<usize> = {
            // Every place where the clip's first loud frame arrived.
            let anchor = loud_frame(clip);
            let frame = clip.frame(Codec::Pcmu, anchor).expect("a frame");
            packets
                .iter()
                .enumerate()
                .filter(|(_, p)| p.payload == frame)
                .map(|(place, _)| place.saturating_sub(anchor))
                .collect()
        };
        for start in first {
            let mut matched = 0;
            let mut next = start;
            for index in 0..clip.frames() {
                let frame = clip.frame(Codec::Pcmu, index).expect("a frame");
                // In order: each frame is looked for behind the one before.
                if let Some(place) = packets
                    .iter()
                    .enumerate()
                    .skip(next)
                    .take(4)
                    .find(|(_, p)| p.payload == frame)
                    .map(|(place, _)| place)
                {
                    matched += 1;
                    next = place + 1;
                }
            }
            let share = f64::from(matched) / clip.frames() as f64;
            if share > best.0 {
                best = (share, packets.get(start).map(|p| p.at));
            }
        }
        best
    }

    /// Waits until at least `share` of the clip has been heard.
    pub fn wait_for(&self, what: &str, clip: &Clip, share: f64, within: Duration) -> Instant {
        let until = Instant::now() + within;
        loop {
            let (heard, at) = self.share_of(clip);
            if heard >= share {
                return at.expect("heard");
            }
            assert!(
                Instant::now() < until,
                "only {:.0} % of \"{what}\" was heard ({} packets in all)",
                heard * 100.0,
                self.packets().len()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Share of the energy of the last second at a pitch (Goertzel).
    pub fn tone_share(&self, hertz: f64) -> f64 {
        let packets = self.packets();
        let samples: Vec<f64> = packets
            .iter()
            .rev()
            .take(50)
            .rev()
            .flat_map(|p| p.payload.iter().map(|b| f64::from(Codec::Pcmu.decode(*b))))
            .collect();
        if samples.len() < 4000 {
            return 0.0;
        }
        pitch_share(&samples, hertz)
    }

    /// Waits until this pitch is what is heard.
    pub fn wait_for_tone(&self, hertz: f64, within: Duration) {
        let until = Instant::now() + within;
        while self.tone_share(hertz) < 0.8 {
            assert!(
                Instant::now() < until,
                "the tone of {hertz} Hz never came: {:.2} of the energy, {} packets",
                self.tone_share(hertz),
                self.packets().len()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Share of the energy at a pitch (Goertzel), of samples 8,000 times a second.
pub fn pitch_share(samples: &[f64], hertz: f64) -> f64 {
    let energy: f64 = samples.iter().map(|s| s * s).sum();
    let w = std::f64::consts::TAU * hertz / 8000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        re += sample * (w * n as f64).cos();
        im += sample * (w * n as f64).sin();
    }
    2.0 * (re * re + im * im) / (samples.len() as f64 * energy.max(1.0))
}

/// The index of the clip's loudest frame: one that is like no other.
pub fn loud_frame(clip: &Clip) -> usize {
    (0..clip.frames())
        .max_by_key(|&index| {
            clip.frame(Codec::Pcmu, index)
                .unwrap_or_default()
                .iter()
                .map(|b| i64::from(Codec::Pcmu.decode(*b)).pow(2))
                .sum::<i64>()
        })
        .unwrap_or(0)
}

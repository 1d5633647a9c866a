//! A bad stretch of network between a media socket and Careline: it loses, delays and so reorders packets, each as its
//! seed says. And what a telephone plays of what comes through.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use media::clip::Clip;
use media::codec::{Codec, FRAME_SAMPLES};

use super::ear::{Ear, Packet, loud_frame, media_socket};

/// How bad it is.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub seed: u64,
    /// Share of packets lost.
    pub loss: f64,
    /// Each packet is delayed by so much at most, evenly spread.
    pub jitter: Duration,
}

/// What became of the RTP packets of one direction.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    pub sent: usize,
    /// Sequence numbers of those lost.
    pub lost: HashSet<u16>,
    /// How many came out behind one that was sent later.
    pub overtaken: usize,
    newest: Option<u16>,
}

impl Passed {
    fn came_out(&mut self, sequence: u16) {
        match self.newest {
            Some(newest) if (sequence.wrapping_sub(newest) as i16) < 0 => self.overtaken += 1,
            _ => self.newest = Some(sequence),
        }
    }
}

/// The stretch: what is sent to `port` reaches the ear, and what the ear sends comes from there.
pub struct Lossy {
    pub port: u16,
    to_ear: Arc<Mutex<Passed>>,
    by_ear: Arc<Mutex<Passed>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Lossy {
    pub fn before(ear: &Ear, weather: Weather) -> Self {
        let ear = SocketAddr::from(([127, 0, 0, 1], ear.port));
        Self::between(media_socket(), ear, weather)
    }

    /// The same between whoever sends to this socket and this address: "the ear" is what is there.
    pub fn between(outer: UdpSocket, ear: SocketAddr, weather: Weather) -> Self {
        let inner = media_socket();
        let port = outer.local_addr().expect("bound").port();
        let stop = Arc::new(AtomicBool::new(false));
        // Where the other side is, is known by its first packet.
        let careline = Arc::new(Mutex::new(None));
        let ear = Arc::new(Mutex::new(Some(ear)));
        let way = |from: &UdpSocket, by: &UdpSocket, to: &Address, seed| Way {
            from: from.try_clone().expect("a socket"),
            by: by.try_clone().expect("a socket"),
            to: Arc::clone(to),
            passed: Arc::default(),
            weather: Weather { seed, ..weather },
            stop: Arc::clone(&stop),
        };
        let there = way(&outer, &inner, &ear, weather.seed);
        let back = way(&inner, &outer, &careline, !weather.seed);
        Self {
            port,
            to_ear: Arc::clone(&there.passed),
            by_ear: Arc::clone(&back.passed),
            stop,
            threads: vec![
                std::thread::spawn(move || there.live(&careline)),
                std::thread::spawn(move || back.live(&ear)),
            ],
        }
    }

    /// What went to the ear.
    pub fn to_ear(&self) -> Passed {
        self.to_ear.lock().unwrap().clone()
    }

    /// What came from the ear.
    pub fn by_ear(&self) -> Passed {
        self.by_ear.lock().unwrap().clone()
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Address = Arc<Mutex<Option<SocketAddr>>>;

/// One direction.
struct Way {
    from: UdpSocket,
    by: UdpSocket,
    to: Address,
    passed: Arc<Mutex<Passed>>,
    weather: Weather,
    stop: Arc<AtomicBool>,
}

impl Way {
    /// Carries packets, and notes where they come from.
    fn live(&self, source: &Mutex<Option<SocketAddr>>) {
        let mut dice = self.weather.seed;
        let mut under_way = BinaryHeap::new();
        let mut buffer = [0; 2048];
        let mut count = 0u64;
        let mut pace = Pace::default();
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok((length, from)) = self.from.recv_from(&mut buffer) {
                *source.lock().unwrap() = Some(from);
                let bytes = buffer[..length].to_vec();
                let lost = roll(&mut dice) < self.weather.loss;
                let delay = self.weather.jitter.mul_f64(roll(&mut dice));
                let mut sent_at = Instant::now();
                if let Some(sequence) = sequence(&bytes) {
                    sent_at = pace.sent_at(sequence, sent_at);
                    let mut passed = self.passed.lock().unwrap();
                    passed.sent += 1;
                    if lost {
                        passed.lost.insert(sequence);
                    }
                }
                if !lost {
                    count += 1;
                    under_way.push(Reverse((sent_at + delay, count, bytes)));
                    // What waits to be read may have to go before it.
                    if self.from.peek(&mut [0; 1]).is_ok() {
                        continue;
                    }
                }
            }
            while let Some(Reverse((at, ..))) = under_way.peek()
                && *at <= Instant::now()
            {
                let Some(Reverse((_, _, bytes))) = under_way.pop() else {
                    break;
                };
                if let Some(sequence) = sequence(&bytes) {
                    self.passed.lock().unwrap().came_out(sequence);
                }
                if let Some(to) = *self.to.lock().unwrap() {
                    let _ = self.by.send_to(&bytes, to);
                }
            }
        }
    }
}

/// When packets were sent: every 20 ms. On a busy machine they are read late and many at once, and delays counted from
/// then on would let them overtake each other by far more than the network is said to.
#[derive(Default)]
struct Pace {
    newest: Option<(u16, Instant)>,
}

impl Pace {
    /// Late by more is a pause of the sender's.
    const LATE_MAX: Duration = Duration::from_millis(800);

    fn sent_at(&mut self, sequence: u16, read_at: Instant) -> Instant {
        let expected = self.newest.map(|(newest, at)| {
            let ahead = u32::from(sequence.wrapping_sub(newest));
            at + Duration::from_millis(20) * ahead.min(1_000)
        });
        let sent_at = match expected {
            Some(at) if at <= read_at && read_at - at <= Self::LATE_MAX => at,
            _ => read_at,
        };
        self.newest = Some((sequence, sent_at));
        sent_at
    }
}

/// An RTP packet's sequence number. RTCP, whose types are 192 to 223 (RFC 5761 section 4), has none.
fn sequence(bytes: &[u8]) -> Option<u16> {
    let rtp = bytes.len() >= 12 && !(192..=223).contains(&bytes[1]);
    rtp.then(|| u16::from_be_bytes([bytes[2], bytes[3]]))
}

/// The next of a row of numbers from 0 to 1 (SplitMix64).
fn roll(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

/// What a telephone with a fixed buffer plays: a frame for each 20 ms from the first packet on, silence where none came
/// in time.
#[derive(Debug)]
pub struct Played {
    frames: Vec<Option<Vec<u8>>>,
    /// Packets that came after their turn.
    pub late: usize,
}

impl Played {
    /// With a buffer of so much beyond the packet that came fastest.
    pub fn from(packets: &[Packet], buffer: Duration) -> Self {
        let mut played = Self {
            frames: Vec::new(),
            late: 0,
        };
        let Some(first) = packets.first() else {
            return played;
        };
        // Samples since the first packet; a later one may belong before it.
        let since =
            |packet: &Packet| i64::from(packet.timestamp.wrapping_sub(first.timestamp) as i32);
        let ahead = |packet: &Packet| {
            let came = packet.at.duration_since(first.at).as_secs_f64();
            came - since(packet) as f64 / 8000.0
        };
        let fastest = packets.iter().map(ahead).fold(0.0, f64::min);
        let mut frames = BTreeMap::new();
        for packet in packets {
            if ahead(packet) - fastest <= buffer.as_secs_f64() {
                frames.insert(
                    since(packet).div_euclid(FRAME_SAMPLES as i64),
                    &packet.payload,
                );
            } else {
                played.late += 1;
            }
        }
        let (begin, end) = match (frames.first_key_value(), frames.last_key_value()) {
            (Some((begin, _)), Some((end, _))) => (*begin, *end),
            _ => return played,
        };
        played.frames = (begin..=end)
            .map(|at| frames.get(&at).map(|payload| (*payload).clone()))
            .collect();
        played
    }

    /// Compares with a clip, said once or over and over: where it fits best.
    pub fn compare(&self, clip: &Clip, over_and_over: bool) -> Quality {
        let said = |index: usize| clip.frame(Codec::Pcmu, index % clip.frames());
        let anchor = loud_frame(clip);
        let loud = said(anchor);
        let places = (0..self.frames.len()).filter(|&at| self.frames[at].as_deref() == loud);
        let compared = places.map(|at| {
            let begin = at as i64 - anchor as i64;
            let whole = begin..begin + clip.frames() as i64;
            let range = if over_and_over {
                0..self.frames.len() as i64
            } else {
                whole
            };
            let mut quality = Quality::default();
            for at in range {
                let index = (at - begin).rem_euclid(clip.frames() as i64) as usize;
                let heard = usize::try_from(at).ok().and_then(|at| self.frames.get(at));
                let heard = heard.and_then(Option::as_deref);
                quality.take(said(index).expect("a frame"), heard);
            }
            quality
        });
        compared
            .max_by_key(|quality| quality.identical)
            .unwrap_or_default()
    }
}

/// How what was played differs from what was said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quality {
    pub frames: usize,
    /// Bit by bit, and in their place.
    pub identical: usize,
    /// Silence was played in their place.
    pub missing: usize,
    /// Something else was.
    pub other: usize,
    snr_sum: f64,
}

impl Quality {
    /// Most that a frame's signal-to-noise ratio counts for, and least, in dB.
    const SNR: (f64, f64) = (-10.0, 35.0);

    fn take(&mut self, said: &[u8], heard: Option<&[u8]>) {
        self.frames += 1;
        match heard {
            Some(heard) if heard == said => self.identical += 1,
            Some(_) => self.other += 1,
            None => self.missing += 1,
        }
        let level = |bytes: &[u8], at: usize| f64::from(Codec::Pcmu.decode(bytes[at]));
        let (mut signal, mut noise) = (0.0, 0.0);
        for at in 0..FRAME_SAMPLES {
            let wanted = level(said, at);
            let got = heard.filter(|heard| heard.len() == FRAME_SAMPLES);
            let got = got.map_or(0.0, |heard| level(heard, at));
            signal += wanted * wanted;
            noise += (wanted - got) * (wanted - got);
        }
        let ratio: f64 = 10.0 * ((signal + 1.0) / (noise + 1.0)).log10();
        self.snr_sum += if noise == 0.0 {
            Self::SNR.1
        } else {
            ratio.clamp(Self::SNR.0, Self::SNR.1)
        };
    }

    /// Segmental signal-to-noise ratio: the mean of each frame's, in dB.
    pub fn segmental_snr_db(&self) -> f64 {
        self.snr_sum / self.frames.max(1) as f64
    }
}

//! Audio received, made into one frame every 20 ms whatever the network does to it: an adaptive jitter buffer with
//! concealment of what is lost. For legs that are mixed; a bridge of two relays packets as they come, without delay.

mod conceal;
mod noise;

use std::time::Duration;

pub use conceal::Concealer;
pub(crate) use noise::Noise;

use crate::codec::{FRAME_SAMPLES, SAMPLE_RATE_HZ};

/// Samples held, 512 ms; a power of two.
const RING: usize = 4_096;
/// Samples to one mark of presence.
const BLOCK: usize = 8;
/// Least and most audio that waits before it is played: a frame, and what a conversation can just bear.
const DELAY_MIN: u64 = 160;
const DELAY_MAX: u64 = 1_920;
/// Frames without a packet after which the stream has paused, and whatever comes begins anew.
const PAUSE_FRAMES: u32 = 10;
/// More than the wanted delay by this for [`DEEP_FRAMES`] on end, and 10 ms are taken out.
const DEEP: u64 = 400;
const DEEP_FRAMES: u32 = 50;
/// How much is taken out at a time.
const CUT: usize = 80;
/// How fast the measured jitter is forgotten: to a half in 3 s of packets.
const FORGET: u64 = 256;
/// After how many packets the quickest of them is the measure, and older ones are forgotten: clocks drift.
const QUICKEST_OF: u32 = 250;
const MICROS_A_SAMPLE: u128 = 125;

/// What a frame played is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// What was sent, at least in part.
    Audio,
    /// A guess at what was lost.
    Concealed,
    /// Nothing: the stream hasn't begun, or pauses.
    Silence,
    /// The stream pauses, and its sender asked for comfort noise.
    Noise,
}

/// One stream's jitter buffer. Times are the caller's; timestamps those of the packets, at 8 kHz.
#[derive(Debug)]
pub struct Playout {
    ring: Box<[i16; RING]>,
    /// Which blocks of the ring hold audio that wasn't played yet.
    present: [u64; RING / BLOCK / 64],
    stream: Option<Stream>,
    concealer: Concealer,
    /// What the far side asked for.
    noise: Noise,
    /// Nothing is guessed and nothing shortened.
    alone: bool,
}

#[derive(Debug)]
struct Stream {
    /// The packet timestamp that `first` stands for.
    timestamp: u32,
    /// Positions count samples since a ring's length before the first packet.
    play: u64,
    end: u64,
    /// Transit (arrival minus timestamp) of the quickest packet lately, and how much longer others took: the jitter.
    quickest: i64,
    spread: u64,
    /// The quickest of those counted towards the next measure.
    lately: i64,
    counted: u32,
    /// Frames guessed since anything waited.
    starved: u32,
    deep: u32,
}

impl Default for Playout {
    fn default() -> Self {
        Playout {
            ring: Box::new([0; RING]),
            present: [0; RING / BLOCK / 64],
            stream: None,
            concealer: Concealer::default(),
            noise: Noise::default(),
            alone: false,
        }
    }
}

impl Playout {
    /// Takes a packet's audio.
    pub fn packet(&mut self, now: Duration, timestamp: u32, audio: impl Iterator<Item = i16>) {
        let arrival = i64::try_from(now.as_micros() / MICROS_A_SAMPLE).unwrap_or(i64::MAX);
        self.noise.end();
        let stream = self.stream.get_or_insert_with(|| {
            self.present = [0; RING / BLOCK / 64];
            Stream {
                timestamp,
                play: RING as u64 - DELAY_MIN,
                end: RING as u64,
                quickest: arrival - RING as i64,
                spread: 0,
                lately: i64::MAX,
                counted: 0,
                starved: 0,
                deep: 0,
            }
        });
        let ahead = timestamp.wrapping_sub(stream.timestamp) as i32;
        let at = RING as i64 + i64::from(ahead);
        let transit = arrival - at;
        // Far off in time: another clock, or the same one after a long pause.
        let off = at < stream.play as i64 - RING as i64 || at > stream.play as i64 + RING as i64;
        if off {
            self.stream = None;
            self.packet_again(now, timestamp, audio);
            return;
        }
        stream.measure(transit);
        // What lies before this packet was lost rather than late, and has been guessed already.
        let guessed = u64::from(stream.starved) * FRAME_SAMPLES as u64;
        let hole = u64::try_from(at - stream.play as i64).unwrap_or(0);
        stream.play += hole.min(guessed);
        let mut position = at;
        for sample in audio.take(RING / 2) {
            if position >= stream.play as i64 && position < (stream.play + RING as u64) as i64 {
                let place = position as usize % RING;
                self.ring[place] = sample;
                let block = place / BLOCK;
                self.present[block / 64] |= 1 << (block % 64);
            }
            position += 1;
        }
        stream.end = stream.end.max(u64::try_from(position).unwrap_or(0));
        if stream.starved > 0 && stream.end > stream.play {
            stream.starved = 0;
        }
    }

    fn packet_again(&mut self, now: Duration, timestamp: u32, audio: impl Iterator<Item = i16>) {
        let mut frame = [0; RING / 2];
        let mut length = 0;
        for (place, sample) in frame.iter_mut().zip(audio) {
            *place = sample;
            length += 1;
        }
        // A stream that begins takes its first packet as its measure, so that this ends here.
        self.packet(now, timestamp, frame.into_iter().take(length));
    }

    /// The far side pauses and asks for noise at so many dB below full scale (RFC 3389 section 3).
    pub fn comfort_noise(&mut self, level: u8) {
        self.noise.set(level);
    }

    /// What comes isn't speech: what is lost is silence from now on, and nothing is taken out.
    pub fn leave_alone(&mut self) {
        self.alone = true;
    }

    /// A frame of a stream that pauses.
    fn pause(&mut self) -> ([i16; FRAME_SAMPLES], Played) {
        let played = if self.noise.sounds() {
            Played::Noise
        } else {
            Played::Silence
        };
        (self.noise.frame(), played)
    }

    /// A guess at a frame that is missing.
    fn guess(&mut self) -> [i16; FRAME_SAMPLES] {
        if self.alone {
            [0; FRAME_SAMPLES]
        } else {
            self.concealer.conceal()
        }
    }

    /// The next frame. Call it every 20 ms.
    pub fn frame(&mut self) -> ([i16; FRAME_SAMPLES], Played) {
        let Some(stream) = &mut self.stream else {
            return self.pause();
        };
        let waiting = stream.end.saturating_sub(stream.play);
        if waiting < FRAME_SAMPLES as u64 {
            // Late rather than lost, as nothing newer came: it is waited for, and the delay grows by that.
            stream.starved += 1;
            if stream.starved > PAUSE_FRAMES {
                self.stream = None;
                self.concealer = Concealer::default();
                return self.pause();
            }
            if self.noise.sounds() {
                return self.pause();
            }
            return (self.guess(), Played::Concealed);
        }
        let wanted = stream.wanted();
        stream.deep = if waiting > wanted + DEEP {
            stream.deep + 1
        } else {
            0
        };
        let cut =
            !self.alone && stream.deep >= DEEP_FRAMES && waiting > (FRAME_SAMPLES + CUT) as u64;
        let play = stream.play;
        stream.play += FRAME_SAMPLES as u64;
        if cut {
            stream.deep = DEEP_FRAMES / 2;
            stream.play += CUT as u64;
        }
        let (mut frame, found) = self.taken(play);
        if found == 0 {
            if cut {
                self.taken(play + FRAME_SAMPLES as u64);
            }
            return (self.guess(), Played::Concealed);
        }
        if cut {
            // From here to what lies 10 ms on, by and by.
            let (later, _) = self.taken(play + FRAME_SAMPLES as u64);
            let joined = |n: usize| {
                if n + CUT < FRAME_SAMPLES {
                    frame[n + CUT]
                } else {
                    later[n + CUT - FRAME_SAMPLES]
                }
            };
            frame = std::array::from_fn(|n| {
                let share = (n as i32).min(CUT as i32);
                let sum = i32::from(frame[n]) * (CUT as i32 - share) + i32::from(joined(n)) * share;
                (sum / CUT as i32) as i16
            });
        }
        self.concealer.good(&mut frame);
        (frame, Played::Audio)
    }

    /// How long audio waits now, in samples.
    pub fn delay(&self) -> u64 {
        self.stream
            .as_ref()
            .map_or(0, |stream| stream.end.saturating_sub(stream.play))
    }

    /// Takes a frame out of the ring, zero where nothing came, and says how many samples did.
    fn taken(&mut self, from: u64) -> ([i16; FRAME_SAMPLES], usize) {
        let mut found = 0;
        let frame = std::array::from_fn(|n| {
            let place = (from as usize + n) % RING;
            let block = place / BLOCK;
            let mark = 1u64 << (block % 64);
            if self.present[block / 64] & mark == 0 {
                return 0;
            }
            found += 1;
            if place % BLOCK == BLOCK - 1 {
                self.present[block / 64] &= !mark;
            }
            self.ring[place]
        });
        (frame, found)
    }
}

impl Stream {
    fn measure(&mut self, transit: i64) {
        self.lately = self.lately.min(transit);
        self.counted += 1;
        if self.counted == QUICKEST_OF {
            self.spread = self
                .spread
                .saturating_sub((self.lately - self.quickest) as u64);
            self.quickest = self.lately;
            self.lately = i64::MAX;
            self.counted = 0;
        }
        if transit < self.quickest {
            self.spread += (self.quickest - transit) as u64;
            self.quickest = transit;
        }
        let longer = (transit - self.quickest) as u64;
        self.spread = if longer > self.spread {
            longer
        } else {
            self.spread - (self.spread - longer) / FORGET
        };
        self.spread = self.spread.min(u64::from(SAMPLE_RATE_HZ));
    }

    /// How much audio should wait.
    fn wanted(&self) -> u64 {
        (self.spread + DELAY_MIN).clamp(DELAY_MIN, DELAY_MAX)
    }
}

#[cfg(test)]
mod tests;

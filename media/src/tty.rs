//! Text telephones (TTY, Baudot: TIA-825-A): found by what they send, so that their calls can be left alone.
//!
//! A character is a start bit, five more and a stop bit of 22 ms each, 1,800 Hz for 0 and 1,400 Hz for 1. They are half
//! duplex and have no carrier: silence lies between what is typed.

use std::sync::LazyLock;

use crate::codec::SAMPLE_RATE_HZ;

/// A quarter of a bit.
const BLOCK: usize = 44;
/// A block with what makes it whole lanes, which is zero.
const ROOM: usize = 48;
/// Samples that are multiplied at once.
const LANES: usize = 8;
const BLOCKS_A_BIT: u32 = 4;
const MARK_HZ: f32 = 1_400.0;
const SPACE_HZ: f32 = 1_800.0;
/// Share of a block's energy that must be at the two; where one passes to the other it is at both.
const SHARE_MIN: f32 = 0.4;
/// And at one of them in the middle of a bit.
const PURE_MIN: f32 = 0.6;
/// Mean square below which nothing is looked for: 40 dB below full scale.
const ENERGY_MIN: f32 = 107_000.0;
/// Characters in a row, each within a second of the one before.
const CHARACTERS: u32 = 3;
const APART_MAX: u32 = 180;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Mark,
    Space,
    Neither,
}

/// Looks for characters in one stream.
#[derive(Debug, Clone)]
pub struct Detector {
    /// The samples of the block that isn't full yet.
    block: [f32; ROOM],
    samples: usize,
    /// Blocks of 1 in a row.
    marks: u32,
    /// Blocks since a character began.
    character: Option<u32>,
    /// Characters seen, and blocks since the last.
    characters: u32,
    since: u32,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            block: [0.0; ROOM],
            samples: 0,
            marks: 0,
            character: None,
            characters: 0,
            since: 0,
        }
    }
}

/// A tone's cosine and sine over a block. Correlating with both costs less than a Goertzel filter here: its steps wait for
/// one another, these are taken four at a time.
struct Wave {
    cosine: [f32; ROOM],
    sine: [f32; ROOM],
}

impl Wave {
    fn new(hertz: f32) -> Self {
        let angle =
            |n: usize| std::f32::consts::TAU * (hertz / SAMPLE_RATE_HZ as f32 * n as f32).fract();
        Self {
            cosine: std::array::from_fn(|n| angle(n).cos()),
            sine: std::array::from_fn(|n| angle(n).sin()),
        }
    }

    /// The block's power at this tone.
    fn power(&self, block: &[f32; ROOM]) -> f32 {
        let (real, imaginary) = (dot(block, &self.cosine), dot(block, &self.sine));
        real * real + imaginary * imaginary
    }
}

static MARK: LazyLock<Wave> = LazyLock::new(|| Wave::new(MARK_HZ));
static SPACE: LazyLock<Wave> = LazyLock::new(|| Wave::new(SPACE_HZ));

fn dot(a: &[f32; ROOM], b: &[f32; ROOM]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks().0.iter().zip(b.as_chunks().0) {
        let (a, b): (&[f32; LANES], &[f32; LANES]) = (a, b);
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

impl Detector {
    /// Takes samples; true once a text telephone has been heard in these.
    pub fn samples(&mut self, mut samples: impl Iterator<Item = i16>) -> bool {
        let mut found = false;
        loop {
            let mut filled = self.samples;
            for (place, sample) in self.block[filled..BLOCK].iter_mut().zip(&mut samples) {
                *place = f32::from(sample);
                filled += 1;
            }
            self.samples = filled % BLOCK;
            if filled < BLOCK {
                return found;
            }
            let (tone, pure) = self.tone();
            found |= self.block(tone, pure);
        }
    }

    /// What a block was, and whether it was that alone.
    fn tone(&self) -> (Tone, bool) {
        let energy = dot(&self.block, &self.block);
        if energy < ENERGY_MIN * BLOCK as f32 {
            return (Tone::Neither, false);
        }
        let (mark, space) = (MARK.power(&self.block), SPACE.power(&self.block));
        // All of a tone's energy would be half of this.
        let whole = energy * BLOCK as f32 / 2.0;
        if mark + space < whole * SHARE_MIN {
            return (Tone::Neither, false);
        }
        let tone = if mark > space {
            Tone::Mark
        } else {
            Tone::Space
        };
        (tone, mark.max(space) >= whole * PURE_MIN)
    }

    fn block(&mut self, tone: Tone, pure: bool) -> bool {
        self.since = self.since.saturating_add(1);
        let Some(at) = self.character else {
            match tone {
                Tone::Mark => self.marks += 1,
                Tone::Space if self.marks >= BLOCKS_A_BIT - 1 => {
                    self.character = Some(1);
                    self.marks = 0;
                }
                Tone::Space | Tone::Neither => self.marks = 0,
            }
            return false;
        };
        self.character = Some(at + 1);
        // Each bit is judged in its middle, which is its third block.
        if at % BLOCKS_A_BIT != 2 {
            return false;
        }
        let fits = match at / BLOCKS_A_BIT {
            0 => pure && tone == Tone::Space,
            1..=5 => pure,
            _ => pure && tone == Tone::Mark,
        };
        let complete = at / BLOCKS_A_BIT == 6;
        if !fits || complete {
            self.character = None;
        }
        if !(fits && complete) {
            return false;
        }
        // The stop bit goes on.
        self.marks = BLOCKS_A_BIT / 2;
        if self.since > APART_MAX {
            self.characters = 0;
        }
        self.since = 0;
        self.characters += 1;
        self.characters == CHARACTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::dtmf;

    /// What is typed, as a text telephone sends it: 150 ms of 1, then the characters, with so much of a bit between.
    fn typed(codes: &[u8], amplitude: f64, baud: f64, stop_bits: f64) -> Vec<i16> {
        let mut samples = Vec::new();
        let mut phase = 0.0f64;
        let mut send = |one: bool, seconds: f64| {
            for _ in 0..(seconds * 8_000.0).round() as usize {
                phase += if one { 1_400.0 } else { 1_800.0 } / 8_000.0 * std::f64::consts::TAU;
                samples.push((phase.sin() * amplitude) as i16);
            }
        };
        send(true, 0.15);
        for code in codes {
            send(false, 1.0 / baud);
            for bit in 0..5 {
                send(code >> bit & 1 == 1, 1.0 / baud);
            }
            send(true, stop_bits / baud);
        }
        samples
    }

    const HELLO: [u8; 6] = [0x14, 0x01, 0x12, 0x12, 0x18, 0x04];

    fn found(samples: &[i16]) -> bool {
        let mut detector = Detector::default();
        samples
            .chunks(160)
            .any(|frame| detector.samples(frame.iter().copied()))
    }

    #[test]
    fn text_is_found_however_it_is_typed() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for amplitude in [600.0, 3_000.0, 15_000.0] {
                for (baud, stop_bits) in [(45.45, 1.5), (45.45, 2.0), (45.6, 1.42)] {
                    for shift in [0, 7, 23, 40] {
                        let mut samples = vec![0; shift];
                        samples.extend(typed(&HELLO, amplitude, baud, stop_bits));
                        let heard: Vec<i16> = samples
                            .iter()
                            .map(|sample| codec.decode(codec.encode(*sample)))
                            .collect();
                        assert!(
                            found(&heard),
                            "{codec} {amplitude} {baud} {stop_bits} {shift}"
                        );
                    }
                }
            }
        }
        // One character may be anything.
        assert!(!found(&typed(&HELLO[..2], 3_000.0, 45.45, 1.5)));
    }

    #[test]
    fn text_is_no_key() {
        let all: Vec<u8> = (0..32).cycle().take(400).collect();
        for amplitude in [600.0, 3_000.0, 15_000.0] {
            let mut detector = dtmf::Detector::default();
            let mut keys = 0;
            detector.samples(typed(&all, amplitude, 45.45, 1.5), |_| keys += 1);
            assert_eq!(keys, 0, "{amplitude}");
        }
    }

    #[test]
    fn music_keys_and_noise_are_no_text() {
        let music = crate::music::on_hold();
        let music: Vec<i16> = music
            .bytes(Codec::Pcmu)
            .iter()
            .map(|byte| Codec::Pcmu.decode(*byte))
            .collect();
        assert!(!found(&music));
        let mut state = 1u32;
        let noise: Vec<i16> = (0..8_000 * 60)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / 4
            })
            .collect();
        assert!(!found(&noise));
        for hertz in [1_400.0, 1_800.0] {
            let tone: Vec<i16> = (0..80_000)
                .map(|n| {
                    ((f64::from(n) / 8_000.0 * hertz * std::f64::consts::TAU).sin() * 9e3) as i16
                })
                .collect();
            assert!(!found(&tone));
        }
        let mut keys = Vec::new();
        for key in "0123456789*#ABCD"
            .chars()
            .filter_map(dtmf::Digit::from_char)
        {
            let mut tones = dtmf::Tones::new(key);
            for n in 0..5 {
                keys.extend(tones.frame(n == 4));
            }
            keys.extend([0; 480]);
        }
        assert!(!found(&keys.repeat(5)));
    }
}

//! Keys heard as tones (ITU-T Q.23), found as Q.24 asks of receivers: for calls whose far side doesn't send telephone
//! events.
//!
//! Audio is taken in hops of 10 ms. In each, the energy at the eight frequencies is compared with all there is, and the
//! turn of each tone's phase from hop to hop tells how far it lies from its nominal frequency. A key is told when three
//! hops in a row agree, and is over when four in a row don't: a press of 40 ms holds three whole hops wherever it
//! begins, one of 23 ms never does, and a drop-out of 20 ms spoils three at most.

use std::sync::LazyLock;

use super::{Digit, Press};

/// Samples in a hop.
const HOP: usize = 80;
/// Good hops in a row that make a press.
const HOPS_TO_START: usize = 3;
/// Hops in a row without the key that end it.
const HOPS_TO_END: u32 = 4;
const FREQUENCIES_HZ: [f32; 8] = [
    697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0,
];
/// Keys by row and column.
const KEYS: [[u8; 4]; 4] = [*b"123A", *b"456B", *b"789C", *b"*0#D"];
const SAMPLE_RATE_HZ: f32 = 8_000.0;
/// Least energy of a tone in a hop: −30 dBm0, between what must be heard (−25) and what must not (−36). 0 dBm0 is a
/// tone 3.17 dB below the loudest that µ-law carries.
const ENERGY_MIN: f32 = {
    let amplitude = 22_300.0 * 0.0316;
    amplitude * amplitude * HOP as f32 / 2.0
};
/// Of all energy in each hop of a press's begin, what the two tones must have at least.
const SHARE_MIN: f32 = 0.94;
/// The same for a hop to count at all, before it is known how far the tones lie beside their frequencies. Above a half, so
/// that of the two hops in which a pause begins and ends one at least is part of it.
const SHARE_HOP_MIN: f32 = 0.64;
/// How much the energy of those hops may differ (1.8 dB): speech rises and falls.
const EVEN_MAX: f32 = 1.5;
/// How much weaker the high tone may be (8 dB), and the low one (4 dB), with two for what measuring adds.
const TWIST_MAX: f32 = 10.0;
const REVERSE_TWIST_MAX: f32 = 3.98;
/// Share of its nominal frequency that a tone may lie off: between the 1.5 % that must pass and the 3.5 % that must
/// not.
const DEVIATION_MAX: f32 = 0.024;
/// The same for one hop alone, which is measured less exactly.
const DEVIATION_HOP_MAX: f32 = 0.031;
/// Energy of a tone may change so much from hop to hop within a press (6 dB): speech does more.
const STEADY_MAX: f32 = 4.0;

/// What the frequencies make of it.
struct Bank {
    twice_cosines: [f32; 8],
    /// Sine and cosine of the phase that passes in a sample, and in a hop.
    turns_a_sample: [(f32, f32); 8],
    turns_a_hop: [(f32, f32); 8],
}

static BANK: LazyLock<Bank> = LazyLock::new(|| {
    let turns = |samples: f32| {
        FREQUENCIES_HZ
            .map(|hertz| (std::f32::consts::TAU * hertz / SAMPLE_RATE_HZ * samples).sin_cos())
    };
    Bank {
        twice_cosines: turns(1.0).map(|(_, cosine)| 2.0 * cosine),
        turns_a_sample: turns(1.0),
        turns_a_hop: turns(HOP as f32),
    }
});

/// Watches one side's audio.
#[derive(Debug)]
pub struct Detector {
    /// The recursion's last number for each frequency (G. Goertzel, 1958), and the one before.
    last: [f32; 8],
    before: [f32; 8],
    energy: f32,
    filled: usize,
    /// What the last hop was; the run it stands in.
    run: Run,
    pressed: Option<Pressed>,
}

/// Hops in a row that sound like one key.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    length: usize,
    hops: [Hop; HOPS_TO_START],
}

/// The strongest row and column of a hop: which, and their complex amplitudes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Hop {
    row: usize,
    column: usize,
    low: [f32; 2],
    high: [f32; 2],
    /// Of everything that was heard in it.
    energy: f32,
}

#[derive(Debug, Clone, Copy)]
struct Pressed {
    digit: Digit,
    hops: u32,
    missing: u32,
}

impl Default for Detector {
    fn default() -> Self {
        Detector {
            last: [0.0; 8],
            before: [0.0; 8],
            energy: 0.0,
            filled: 0,
            run: Run::default(),
            pressed: None,
        }
    }
}

impl Detector {
    /// Takes samples at 8 kHz and hands over what they mean.
    pub fn samples(&mut self, samples: impl IntoIterator<Item = i16>, mut told: impl FnMut(Press)) {
        let twice_cosines = BANK.twice_cosines;
        for sample in samples {
            let sample = f32::from(sample);
            self.energy += sample * sample;
            let states = self.last.iter_mut().zip(&mut self.before);
            for ((last, before), twice_cosine) in states.zip(twice_cosines) {
                let next = sample + twice_cosine * *last - *before;
                *before = *last;
                *last = next;
            }
            self.filled += 1;
            if self.filled == HOP {
                self.hop(&mut told);
            }
        }
    }

    /// Audio is missing here. A key that is down stays so: what isn't heard is no pause.
    pub fn lost(&mut self) {
        self.begin_hop();
        self.run = Run::default();
    }

    /// Whether a key is down.
    pub fn pressed(&self) -> bool {
        self.pressed.is_some()
    }

    /// Nothing more comes: whatever is down is up.
    pub fn stop(&mut self) -> Option<Press> {
        *self = Detector {
            pressed: self.pressed,
            ..Detector::default()
        };
        self.pressed.take().map(Pressed::ended)
    }

    fn begin_hop(&mut self) {
        self.last = [0.0; 8];
        self.before = [0.0; 8];
        self.energy = 0.0;
        self.filled = 0;
    }

    fn hop(&mut self, told: &mut impl FnMut(Press)) {
        let heard = self.loudest();
        self.begin_hop();
        self.run.take(heard);
        let steady = (self.run.length == HOPS_TO_START)
            .then(|| self.run.digit())
            .flatten();
        if let Some(pressed) = &mut self.pressed {
            let same = heard.is_some_and(|hop| hop.digit() == pressed.digit);
            pressed.hops += 1;
            pressed.missing = if same { 0 } else { pressed.missing + 1 };
            let another = steady.is_some_and(|digit| digit != pressed.digit);
            if pressed.missing < HOPS_TO_END && !another {
                return;
            }
            let over = pressed.ended();
            self.pressed = None;
            told(over);
        }
        if let Some(digit) = steady {
            self.pressed = Some(Pressed {
                digit,
                hops: HOPS_TO_START as u32,
                missing: 0,
            });
            told(Press::Started(digit));
        }
    }

    /// The pair of tones that this hop consists of, if it does.
    fn loudest(&self) -> Option<Hop> {
        if self.energy < 2.0 * ENERGY_MIN {
            return None;
        }
        let amplitudes: [[f32; 2]; 8] = std::array::from_fn(|place| {
            let (sine, cosine) = BANK.turns_a_sample[place];
            let before = self.before[place];
            [self.last[place] - cosine * before, sine * before]
        });
        let strongest = |places: std::ops::Range<usize>| {
            places.max_by(|a, b| power(amplitudes[*a]).total_cmp(&power(amplitudes[*b])))
        };
        let (row, column) = (strongest(0..4)?, strongest(4..8)?);
        let (low, high) = (amplitudes[row], amplitudes[column]);
        let energy = |amplitude| 2.0 * power(amplitude) / HOP as f32;
        let loud = power(low) > 0.0 && power(high) > 0.0;
        // Not yet the share asked for: beside its nominal frequency a tone seems weaker than it is.
        let share = (energy(low) + energy(high)) / self.energy;
        (loud && share >= SHARE_HOP_MIN).then_some(Hop {
            row,
            column: column - 4,
            low,
            high,
            energy: self.energy,
        })
    }
}

impl Pressed {
    fn ended(self) -> Press {
        Press::Ended {
            digit: self.digit,
            duration_ms: self.hops.saturating_sub(self.missing) * (HOP as u32 / 8),
        }
    }
}

impl Run {
    fn take(&mut self, heard: Option<Hop>) {
        let Some(hop) = heard else {
            *self = Run::default();
            return;
        };
        let goes_on = self.length > 0 && self.hops[HOPS_TO_START - 1].goes_on_with(hop);
        self.hops.rotate_left(1);
        self.hops[HOPS_TO_START - 1] = hop;
        self.length = if goes_on {
            (self.length + 1).min(HOPS_TO_START)
        } else {
            1
        };
    }

    /// The key of a whole run, if its tones have the right frequencies and levels.
    fn digit(&self) -> Option<Digit> {
        let [first, second, third] = self.hops;
        // Over two hops twice as exact as over one.
        let turned = |place, [one, two, three]: [[f32; 2]; 3]| {
            (turn(place, one, two) + turn(place, two, three)) / 2.0
        };
        let low = turned(third.row, [first.low, second.low, third.low]);
        let high = turned(third.column + 4, [first.high, second.high, third.high]);
        let near = |place, turned| deviation(place, turned).abs() <= DEVIATION_MAX;
        if !near(third.row, low) || !near(third.column + 4, high) {
            return None;
        }
        let hertz = [(third.row, low), (third.column + 4, high)]
            .map(|(place, turned)| FREQUENCIES_HZ[place] * (1.0 + deviation(place, turned)));
        let fits = self.hops.map(|hop| hop.fit(hertz));
        let clear = fits
            .iter()
            .zip(&self.hops)
            .all(|(fit, hop)| fit.explained >= SHARE_MIN * hop.energy);
        let energies = self.hops.map(|hop| hop.energy);
        let most = energies.into_iter().fold(f32::MIN, f32::max);
        let even = energies.into_iter().all(|energy| energy * EVEN_MAX >= most);
        let low: f32 = fits.iter().map(|fit| fit.low).sum::<f32>() / 3.0;
        let high: f32 = fits.iter().map(|fit| fit.high).sum::<f32>() / 3.0;
        let loud = low.min(high) >= ENERGY_MIN;
        let balanced = low <= high * TWIST_MAX && high <= low * REVERSE_TWIST_MAX;
        (clear && even && loud && balanced).then(|| third.digit())
    }
}

impl Hop {
    fn digit(self) -> Digit {
        let key = KEYS[self.row & 3][self.column & 3];
        Digit::from_char(char::from(key)).unwrap_or(Digit(0))
    }

    /// The two tones of these frequencies that explain best what was measured at the nominal ones: so close together,
    /// and in so short a time, each shows in the other's place.
    fn fit(self, hertz: [f32; 2]) -> Fit {
        let places = [self.row, self.column + 4];
        let nominal = places.map(|place| FREQUENCIES_HZ[place]);
        // Measured as a sum that ends at phase 0; wanted is one that begins there.
        let back = nominal.map(|hertz| phasor(-hertz, HOP as f32 - 1.0));
        let [low, high] = [times(self.low, back[0]), times(self.high, back[1])];
        let seen = |of: usize, at: usize| seen_at(hertz[of] - nominal[at]);
        let (ll, hl, lh, hh) = (seen(0, 0), seen(1, 0), seen(0, 1), seen(1, 1));
        let determinant = minus(times(ll, hh), times(hl, lh));
        let a = over(minus(times(low, hh), times(hl, high)), determinant);
        let b = over(minus(times(ll, high), times(low, lh)), determinant);
        let both = times(times(a, [b[0], -b[1]]), seen_at(hertz[0] - hertz[1]));
        let energy = |amplitude| 2.0 * HOP as f32 * power(amplitude);
        Fit {
            low: energy(a),
            high: energy(b),
            explained: energy(a) + energy(b) + 4.0 * both[0],
        }
    }

    /// Whether another hop is the same two tones, on.
    fn goes_on_with(self, next: Hop) -> bool {
        let steady = |one, two| {
            let ratio = power(one) / power(two);
            (1.0 / STEADY_MAX..STEADY_MAX).contains(&ratio)
        };
        let near =
            |place, one, two| deviation(place, turn(place, one, two)).abs() <= DEVIATION_HOP_MAX;
        self.row == next.row
            && self.column == next.column
            && steady(self.low, next.low)
            && steady(self.high, next.high)
            && near(self.row, self.low, next.low)
            && near(self.column + 4, self.high, next.high)
    }
}

/// Energies of two tones, and of their sum.
struct Fit {
    low: f32,
    high: f32,
    explained: f32,
}

/// What a hop of a tone of amplitude 1 adds up to when it is looked at so many hertz beside it.
fn seen_at(hertz: f32) -> [f32; 2] {
    let half = std::f32::consts::PI * hertz / SAMPLE_RATE_HZ;
    let length = if half.abs() < 1e-6 {
        HOP as f32
    } else {
        (half * HOP as f32).sin() / half.sin()
    };
    let [re, im] = phasor(hertz, (HOP as f32 - 1.0) / 2.0);
    [re * length, im * length]
}

/// The phase that a frequency passes in so many samples.
fn phasor(hertz: f32, samples: f32) -> [f32; 2] {
    let (sine, cosine) = (std::f32::consts::TAU * hertz / SAMPLE_RATE_HZ * samples).sin_cos();
    [cosine, sine]
}

fn times([a, b]: [f32; 2], [c, d]: [f32; 2]) -> [f32; 2] {
    [a * c - b * d, a * d + b * c]
}

fn minus([a, b]: [f32; 2], [c, d]: [f32; 2]) -> [f32; 2] {
    [a - c, b - d]
}

fn over(one: [f32; 2], other: [f32; 2]) -> [f32; 2] {
    let [re, im] = times(one, [other[0], -other[1]]);
    [re / power(other), im / power(other)]
}

fn power([re, im]: [f32; 2]) -> f32 {
    re * re + im * im
}

/// How much further a phase turned in a hop than the nominal frequency's does; radians.
fn turn(place: usize, one: [f32; 2], two: [f32; 2]) -> f32 {
    let (re, im) = (
        two[0] * one[0] + two[1] * one[1],
        two[1] * one[0] - two[0] * one[1],
    );
    let (sine, cosine) = BANK.turns_a_hop[place];
    (im * cosine - re * sine).atan2(re * cosine + im * sine)
}

/// The share of its nominal frequency that such a turn a hop means.
fn deviation(place: usize, turned: f32) -> f32 {
    let hertz = turned / std::f32::consts::TAU * SAMPLE_RATE_HZ / HOP as f32;
    hertz / FREQUENCIES_HZ[place]
}

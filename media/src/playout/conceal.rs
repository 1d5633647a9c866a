//! Concealment of lost frames after the idea of G.711 Appendix I: what was said last goes on with its own pitch, fades, and
//! what comes next is blended in.

use crate::codec::FRAME_SAMPLES;

/// What was played, for finding the pitch: 48 ms.
const HISTORY: usize = 384;
/// Pitches looked for: 200 to 66 Hz.
const PERIOD_MIN: usize = 40;
const PERIOD_MAX: usize = 120;
/// How much of the past a period is compared over.
const COMPARED: usize = 160;
/// Full strength for 10 ms; then a fifth less each 10 ms, until there is silence after 60.
const FULL: usize = 80;
const FADED: usize = 480;
/// Blending back: 4 ms, and 4 more for each 10 that were lost, at most 10.
const BLEND: usize = 32;
const BLEND_MAX: usize = 80;

/// Guesses what was lost of one stream.
#[derive(Debug)]
pub struct Concealer {
    history: [i16; HISTORY],
    /// Samples guessed since the last good frame.
    guessed: usize,
    /// One period of what is repeated.
    period: [i16; PERIOD_MAX],
    length: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Concealer {
            history: [0; HISTORY],
            guessed: 0,
            period: [0; PERIOD_MAX],
            length: PERIOD_MIN,
        }
    }
}

impl Concealer {
    /// Takes a frame that came, and blends its begin with what was guessed before it.
    pub fn good(&mut self, frame: &mut [i16; FRAME_SAMPLES]) {
        if self.guessed > 0 {
            let blend = (BLEND + self.guessed / 80 * BLEND).min(BLEND_MAX);
            for (n, sample) in frame.iter_mut().take(blend).enumerate() {
                let guess = i32::from(self.guess(self.guessed + n));
                let real = i32::from(*sample);
                let share = (n + 1) as i32;
                let whole = blend as i32 + 1;
                *sample = ((guess * (whole - share) + real * share) / whole) as i16;
            }
            self.guessed = 0;
        }
        self.remember(frame);
    }

    /// The guess at the next frame, which didn't come.
    pub fn conceal(&mut self) -> [i16; FRAME_SAMPLES] {
        if self.guessed == 0 {
            self.begin();
        }
        let frame = std::array::from_fn(|n| self.guess(self.guessed + n));
        self.guessed = (self.guessed + FRAME_SAMPLES).min(FADED);
        self.remember(&frame);
        frame
    }

    fn remember(&mut self, frame: &[i16; FRAME_SAMPLES]) {
        self.history.rotate_left(FRAME_SAMPLES);
        self.history[HISTORY - FRAME_SAMPLES..].copy_from_slice(frame);
    }

    /// Cuts out the last period, its end blended so that it can be repeated without a click.
    fn begin(&mut self) {
        let length = self.pitch();
        let last = HISTORY - length;
        let blended = length / 4;
        for (n, place) in self.period.iter_mut().take(length).enumerate() {
            let mut sample = i32::from(self.history[last + n]);
            if let Some(into) = (n + blended).checked_sub(length) {
                let before = i32::from(self.history[last + n - length]);
                let share = (into + 1) as i32;
                let whole = blended as i32 + 1;
                sample = (sample * (whole - share) + before * share) / whole;
            }
            *place = sample as i16;
        }
        self.length = length;
    }

    /// The lag at which the past is most like itself.
    fn pitch(&self) -> usize {
        let recent = &self.history[HISTORY - COMPARED..];
        let likeness = |lag: usize| {
            let before = &self.history[HISTORY - COMPARED - lag..HISTORY - lag];
            let mut product = 0.0f32;
            let mut energy = 1.0f32;
            for (one, other) in recent.iter().zip(before) {
                product += f32::from(*one) * f32::from(*other);
                energy += f32::from(*other) * f32::from(*other);
            }
            product / energy.sqrt()
        };
        let mut best = (PERIOD_MIN, f32::MIN);
        for lag in PERIOD_MIN..=PERIOD_MAX {
            let like = likeness(lag);
            if like > best.1 {
                best = (lag, like);
            }
        }
        best.0
    }

    fn guess(&self, n: usize) -> i16 {
        if n >= FADED {
            return 0;
        }
        let faded = n.saturating_sub(FULL) as i32;
        let strength = (FADED - FULL) as i32;
        (i32::from(self.period[n % self.length]) * (strength - faded) / strength) as i16
    }
}

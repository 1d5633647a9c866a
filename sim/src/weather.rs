//! How hostile a world is: what gets lost, late, doubled or broken.

use std::time::Duration;

use crate::dice::Dice;

/// A way along which things travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Lost, per million.
    pub lost: u32,
    /// Delivered twice, per million.
    pub doubled: u32,
    /// Shortest time under way.
    pub delay_min: Duration,
    /// Longest time under way. When it differs from the shortest, things overtake each other.
    pub delay_max: Duration,
}

impl Path {
    /// Everything arrives, in order, after `delay`.
    #[must_use]
    pub const fn perfect(delay: Duration) -> Self {
        Self {
            lost: 0,
            doubled: 0,
            delay_min: delay,
            delay_max: delay,
        }
    }

    /// Nothing is ever lost on it.
    #[must_use]
    pub const fn is_lossless(&self) -> bool {
        self.lost == 0
    }

    /// When the copies of one thing sent now arrive: none, one or two.
    pub(crate) fn travel(&self, dice: &mut Dice) -> Travel {
        if dice.chance(self.lost) {
            return Travel {
                first: None,
                second: None,
            };
        }
        let first = Some(self.delay(dice));
        let second = dice.chance(self.doubled).then(|| self.delay(dice));
        Travel { first, second }
    }

    fn delay(&self, dice: &mut Dice) -> Duration {
        if self.delay_min == self.delay_max {
            self.delay_min
        } else {
            dice.between(self.delay_min, self.delay_max)
        }
    }
}

/// See [`Path::travel`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Travel {
    pub(crate) first: Option<Duration>,
    pub(crate) second: Option<Duration>,
}

/// How the store behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreWeather {
    /// Longest time an ordinary commit takes.
    pub commit_max: Duration,
    /// Commits that take seconds, per million.
    pub slow: u32,
    /// Commits that fail, per million.
    pub fails: u32,
    /// Spans in which nothing is committed at all; what comes then is
    /// committed or fails when the span is over.
    pub down: Vec<(Duration, Duration)>,
}

/// Everything that chance decides about a world's surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// SIP datagrams, either way.
    pub datagrams: Path,
    /// Messages between the calls, the distributor and the desk.
    pub messages: Path,
    /// The store.
    pub store: StoreWeather,
    /// Prompts that can't be rendered, per million.
    pub render_fails: u32,
    /// Prompts that have to be rendered (the others are in the cache), per million.
    pub render_fresh: u32,
    /// Media legs refused, per million.
    pub media_refused: u32,
    /// Media events come late because the thread is busy.
    pub media_busy: bool,
    /// How patient, polite and well-made callers and phones are: 0 is perfect, 3 is dreadful.
    pub people: u8,
    /// When the whole node crashes and is started again.
    pub crashes: Vec<Duration>,
    /// Every other agent's phone speaks by a connection: nothing is lost on the way, until that is closed.
    pub streams: bool,
    /// When one of those connections is closed.
    pub closings: Vec<Duration>,
}

impl Weather {
    /// Nothing goes wrong: for stories.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            datagrams: Path::perfect(Duration::from_millis(5)),
            messages: Path::perfect(Duration::ZERO),
            store: StoreWeather {
                commit_max: Duration::from_millis(20),
                slow: 0,
                fails: 0,
                down: Vec::new(),
            },
            render_fails: 0,
            render_fresh: 0,
            media_refused: 0,
            media_busy: false,
            people: 0,
            crashes: Vec::new(),
            streams: false,
            closings: Vec::new(),
        }
    }

    /// Somewhere between calm and dreadful.
    #[must_use]
    pub fn any(dice: &mut Dice, span: Duration) -> Self {
        let ms = Duration::from_millis;
        let datagrams = match dice.below(4) {
            0 => Path::perfect(dice.millis(0, 20)),
            1 => Path {
                lost: 2_000,
                doubled: 2_000,
                delay_min: ms(1),
                delay_max: ms(15),
            },
            2 => Path {
                lost: 10_000,
                doubled: 20_000,
                delay_min: ms(1),
                delay_max: ms(60),
            },
            _ => Path {
                lost: 50_000,
                doubled: 30_000,
                delay_min: ms(1),
                delay_max: ms(300),
            },
        };
        let messages = match dice.below(4) {
            0 | 1 => Path::perfect(Duration::ZERO),
            2 => Path {
                lost: 0,
                doubled: 20_000,
                delay_min: ms(0),
                delay_max: ms(50),
            },
            _ => Path {
                lost: 20_000,
                doubled: 20_000,
                delay_min: ms(0),
                delay_max: ms(150),
            },
        };
        let mut store = Self::calm().store;
        store.commit_max = ms(50);
        match dice.below(6) {
            0 => store.slow = 100_000,
            1 => store.fails = 50_000,
            2 => {
                let from = dice.between(Duration::ZERO, span);
                store.down.push((from, from + dice.millis(500, 20_000)));
            }
            _ => {}
        }
        let crashes = if dice.chance(200_000) {
            vec![dice.between(Duration::ZERO, span)]
        } else {
            Vec::new()
        };
        let mut weather = Self {
            datagrams,
            messages,
            store,
            render_fails: *dice.pick(&[0, 0, 0, 20_000]),
            render_fresh: *dice.pick(&[0, 50_000, 500_000]),
            media_refused: *dice.pick(&[0, 0, 0, 10_000]),
            media_busy: dice.chance(200_000),
            people: dice.below(4) as u8,
            crashes,
            streams: dice.chance(400_000),
            closings: Vec::new(),
        };
        if weather.streams {
            let closings = dice.below(12);
            let closing = |_| dice.between(Duration::ZERO, span);
            weather.closings = (0..closings).map(closing).collect();
        }
        weather
    }
}

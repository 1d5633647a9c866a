//! What everybody hears: a model of the media threads. No packet is ever made;
//! a leg hears silence, a prompt, a loop or another leg.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use media::clip::Clip;
use media::engine::{Command, Event, LegId, LegStats, PlayId, PlayOutcome};

/// What a leg hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hears {
    Silence,
    Prompt {
        play: PlayId,
        barge_in: bool,
        said: Vec<Said>,
    },
    Loop(Said),
    Leg(LegId),
    /// Others, in a mix.
    Mix(Vec<LegId>),
}

/// Names what a clip holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Said(pub(crate) u32);

/// Whose leg it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Unknown,
    Caller(u32),
    Phone(usize),
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) port: u16,
    pub(crate) owner: Owner,
    pub(crate) hears: Hears,
    pub(crate) connected: bool,
    /// Since when it hears nothing.
    pub(crate) silent_since: Option<Duration>,
    /// The leg it was opened to be bridged with.
    pub(crate) with: Option<LegId>,
    pub(crate) watch: Duration,
    /// Nothing comes from the far side any more.
    pub(crate) dead: bool,
}

#[derive(Debug)]
pub(crate) enum AudioDoes {
    Tell(Event),
    /// The prompt will be over then.
    EndsAt(Duration, LegId, PlayId),
    Spoken(LegId, Said),
    Joined(LegId, LegId),
    Silent(LegId),
    /// Connected only now, though the far side is gone already: when that is noticed.
    DeadFrom(LegId, Duration),
}

#[derive(Debug)]
pub(crate) struct Audio {
    legs: HashMap<LegId, Leg>,
    by_port: HashMap<u16, LegId>,
    free_ports: Vec<u16>,
    free_slots: Vec<u32>,
    slots: u32,
    generation: u32,
    /// By address: the clips themselves are kept, so that no address is used twice.
    said: HashMap<usize, Said>,
    clips: Vec<(Arc<Clip>, Duration)>,
    /// Keys pressed by us.
    pub(crate) pressed: String,
}

const FIRST_PORT: u16 = 10_000;

impl Audio {
    pub(crate) fn new() -> Self {
        Self {
            legs: HashMap::new(),
            by_port: HashMap::new(),
            free_ports: Vec::new(),
            free_slots: Vec::new(),
            slots: 0,
            generation: 0,
            said: HashMap::new(),
            clips: Vec::new(),
            pressed: String::new(),
        }
    }

    /// A clip that stands for something said, so long.
    pub(crate) fn clip(&mut self, length: Duration) -> (Said, Arc<Clip>) {
        let clip = Clip::silence(Duration::ZERO);
        let said = Said(self.clips.len() as u32);
        self.said.insert(Arc::as_ptr(&clip) as usize, said);
        self.clips.push((clip.clone(), length));
        (said, clip)
    }

    pub(crate) fn said(&self, clip: &Arc<Clip>) -> Option<Said> {
        self.said.get(&(Arc::as_ptr(clip) as usize)).copied()
    }

    pub(crate) fn open(&mut self, now: Duration, with: Option<LegId>) -> (LegId, u16) {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots
        });
        self.generation += 1;
        let leg = LegId::new(0, slot, self.generation);
        let port = self
            .free_ports
            .pop()
            .unwrap_or(FIRST_PORT + 2 * (self.slots as u16));
        self.by_port.insert(port, leg);
        self.legs.insert(
            leg,
            Leg {
                port,
                owner: Owner::Unknown,
                hears: Hears::Silence,
                connected: false,
                silent_since: Some(now),
                with,
                watch: Duration::from_secs(20),
                dead: false,
            },
        );
        (leg, port)
    }

    pub(crate) fn leg(&self, leg: LegId) -> Option<&Leg> {
        self.legs.get(&leg)
    }

    /// Who hears this leg.
    pub(crate) fn heard_by(&self, leg: LegId) -> Option<Owner> {
        let mut legs = self.legs.values();
        let by = legs.find(|other| other.hears == Hears::Leg(leg))?;
        Some(by.owner)
    }

    pub(crate) fn leg_at(&self, port: u16) -> Option<LegId> {
        self.by_port.get(&port).copied()
    }

    pub(crate) fn open_legs(&self) -> usize {
        self.legs.len()
    }

    /// Who was told this leg's port first is its owner: a 200 that is repeated
    /// after its call has ended may name a port that somebody else has by now.
    pub(crate) fn owned(&mut self, leg: LegId, owner: Owner) {
        if let Some(leg) = self.legs.get_mut(&leg)
            && leg.owner == Owner::Unknown
        {
            leg.owner = owner;
        }
    }

    /// Nothing more comes from the far side; gives when that will be noticed.
    pub(crate) fn falls_silent(&mut self, now: Duration, leg: LegId) -> Option<Duration> {
        let leg = self.legs.get_mut(&leg)?;
        leg.dead = true;
        leg.connected.then_some(now + leg.watch)
    }

    /// The node is gone, and every leg with it.
    pub(crate) fn crash(&mut self) {
        self.legs.clear();
        self.by_port.clear();
        self.free_ports.clear();
        self.free_slots.clear();
        self.slots = 0;
    }

    pub(crate) fn command(&mut self, now: Duration, command: Command, does: &mut Vec<AudioDoes>) {
        match command {
            Command::Connect { leg, .. } => {
                if let Some(found) = self.legs.get_mut(&leg) {
                    if !found.connected && found.dead {
                        does.push(AudioDoes::DeadFrom(leg, now + found.watch));
                    }
                    found.connected = true;
                }
            }
            Command::Play {
                leg,
                play,
                clips,
                barge_in,
            } => {
                if !self.legs.contains_key(&leg) {
                    return;
                }
                let mut length = Duration::ZERO;
                let mut said = Vec::with_capacity(clips.len());
                for clip in &clips {
                    if let Some(what) = self.said(clip) {
                        length += self.clips[what.0 as usize].1;
                        said.push(what);
                        does.push(AudioDoes::Spoken(leg, what));
                    }
                }
                self.set(
                    now,
                    leg,
                    Hears::Prompt {
                        play,
                        barge_in,
                        said,
                    },
                    does,
                );
                does.push(AudioDoes::EndsAt(now + length, leg, play));
            }
            Command::Loop { leg, clip, .. } => {
                let said = self.said(&clip).unwrap_or(Said(0));
                self.set(now, leg, Hears::Loop(said), does);
            }
            Command::Stop { leg } => self.set(now, leg, Hears::Silence, does),
            Command::Bridge { a, b } => {
                if self.legs.contains_key(&a) && self.legs.contains_key(&b) {
                    self.set(now, a, Hears::Leg(b), does);
                    self.set(now, b, Hears::Leg(a), does);
                    does.push(AudioDoes::Joined(a, b));
                }
            }
            Command::Unbridge { a, b } => {
                self.unhear(now, a, b, does);
                self.unhear(now, b, a, does);
            }
            Command::Watch { leg, timeout } => {
                if let Some(leg) = self.legs.get_mut(&leg) {
                    leg.watch = timeout.unwrap_or(Duration::from_secs(1_000_000));
                }
            }
            Command::Close { leg } => self.close(now, leg, does),
            Command::Mix(mix) => {
                for hearer in mix.members() {
                    let others = mix.members().iter().filter(|member| *member != hearer);
                    self.set(now, *hearer, Hears::Mix(others.copied().collect()), does);
                }
            }
            Command::SendDigits { digits, .. } => {
                self.pressed.extend(digits.iter().map(|digit| digit.char()));
            }
            // Whoever describes what is to be heard speaks.
            Command::Await { leg } => {
                let speaks = self.legs.get(&leg).is_some_and(|leg| !leg.dead);
                if speaks {
                    does.push(AudioDoes::Tell(Event::AudioBegan { leg }));
                }
            }
            Command::Open { .. } | Command::Listen { .. } | Command::FindText { .. } => {}
        }
    }

    /// A prompt has been played to its end, if it still plays.
    pub(crate) fn prompt_ends(
        &mut self,
        now: Duration,
        leg: LegId,
        play: PlayId,
        does: &mut Vec<AudioDoes>,
    ) {
        let Some(found) = self.legs.get_mut(&leg) else {
            return;
        };
        if matches!(found.hears, Hears::Prompt { play: current, .. } if current == play) {
            found.hears = Hears::Silence;
            found.silent_since = Some(now);
            does.push(AudioDoes::Silent(leg));
            does.push(AudioDoes::Tell(Event::PlayEnded {
                leg,
                play,
                outcome: PlayOutcome::Finished,
            }));
        }
    }

    /// The far side presses a key.
    pub(crate) fn press(
        &mut self,
        now: Duration,
        leg: LegId,
        key: char,
        does: &mut Vec<AudioDoes>,
    ) {
        let Some(digit) = media::dtmf::Digit::from_char(key) else {
            return;
        };
        let Some(found) = self.legs.get_mut(&leg) else {
            return;
        };
        if !found.connected || found.dead {
            return;
        }
        does.push(AudioDoes::Tell(Event::Digit {
            leg,
            digit,
            at: now,
        }));
        if let Hears::Prompt {
            play,
            barge_in: true,
            ..
        } = found.hears
        {
            found.hears = Hears::Silence;
            found.silent_since = Some(now);
            does.push(AudioDoes::Silent(leg));
            does.push(AudioDoes::Tell(Event::PlayEnded {
                leg,
                play,
                outcome: PlayOutcome::BargedIn,
            }));
        }
        does.push(AudioDoes::Tell(Event::DigitEnded {
            leg,
            digit,
            duration_ms: 100,
            at: now,
        }));
    }

    fn set(&mut self, now: Duration, leg: LegId, hears: Hears, does: &mut Vec<AudioDoes>) {
        let Some(found) = self.legs.get_mut(&leg) else {
            return;
        };
        let silent = hears == Hears::Silence;
        let before = std::mem::replace(&mut found.hears, hears);
        if silent {
            if found.silent_since.is_none() {
                found.silent_since = Some(now);
                does.push(AudioDoes::Silent(leg));
            }
        } else {
            found.silent_since = None;
        }
        if let Hears::Prompt { play, .. } = before {
            does.push(AudioDoes::Tell(Event::PlayEnded {
                leg,
                play,
                outcome: PlayOutcome::Stopped,
            }));
        }
    }

    fn unhear(&mut self, now: Duration, leg: LegId, other: LegId, does: &mut Vec<AudioDoes>) {
        if self
            .legs
            .get(&leg)
            .is_some_and(|l| l.hears == Hears::Leg(other))
        {
            self.set(now, leg, Hears::Silence, does);
        }
    }

    /// `other` doesn't hear `gone` in a mix any more.
    fn leave_mix(&mut self, now: Duration, other: LegId, gone: LegId, does: &mut Vec<AudioDoes>) {
        let Some(Hears::Mix(heard)) = self.legs.get_mut(&other).map(|leg| &mut leg.hears) else {
            return;
        };
        heard.retain(|leg| *leg != gone);
        if heard.is_empty() {
            self.set(now, other, Hears::Silence, does);
        }
    }

    fn close(&mut self, now: Duration, leg: LegId, does: &mut Vec<AudioDoes>) {
        let Some(closed) = self.legs.remove(&leg) else {
            return;
        };
        self.by_port.remove(&closed.port);
        self.free_ports.push(closed.port);
        self.free_slots.push(leg.slot());
        match closed.hears {
            Hears::Prompt { play, .. } => does.push(AudioDoes::Tell(Event::PlayEnded {
                leg,
                play,
                outcome: PlayOutcome::Stopped,
            })),
            Hears::Leg(other) => self.unhear(now, other, leg, does),
            Hears::Mix(others) => {
                for other in others {
                    self.leave_mix(now, other, leg, does);
                }
            }
            Hears::Silence | Hears::Loop(_) => {}
        }
        does.push(AudioDoes::Tell(Event::Closed {
            leg,
            stats: LegStats::default(),
        }));
    }
}

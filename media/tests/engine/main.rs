//! The engine on a virtual wire: what is played arrives, keys are told, bridges carry, strangers don't.

mod addresses;
mod bridging;
mod encryption;
mod hush;
mod keys;
mod mix;
mod net;
mod one_way;
mod playing;
mod reports;
mod text;
mod tones;
mod watching;
mod wideband;

use std::sync::Arc;

use media::clip::Clip;
use media::codec::Codec;
use media::dtmf::Digit;
use media::engine::{Command, Event, LegId, LegStats, PlayId, PlayOutcome};
use net::{Net, leg};

/// A clip in which no two frames are alike.
pub(crate) fn clip(frames: usize, seed: i32) -> Arc<Clip> {
    let sample = |n: usize| ((n as i32 * 7_919 + seed * 104_729) % 30_000 - 15_000) as i16;
    Clip::from_samples(&(0..frames * 160).map(sample).collect::<Vec<_>>())
}

pub(crate) fn play(leg: LegId, play: u64, clips: &[&Arc<Clip>], barge_in: bool) -> Command {
    let clips = clips.iter().map(|&clip| clip.clone()).collect();
    Command::Play {
        leg,
        play: PlayId(play),
        clips,
        barge_in,
    }
}

pub(crate) fn press(leg: LegId, keys: &str) -> Command {
    let digits = keys.chars().filter_map(Digit::from_char).collect();
    Command::SendDigits {
        leg,
        digits,
        tone_ms: 100,
        gap_ms: 60,
    }
}

pub(crate) fn contains(heard: &[u8], wanted: &[u8]) -> bool {
    heard.windows(wanted.len()).any(|window| window == wanted)
}

pub(crate) fn ended(net: &Net) -> Vec<(u64, PlayId, PlayOutcome)> {
    net.events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::PlayEnded { play, outcome, .. } => Some((*at, *play, *outcome)),
            _ => None,
        })
        .collect()
}

pub(crate) fn stats(net: &Net, of: LegId) -> LegStats {
    net.events
        .iter()
        .find_map(|(_, event)| match event {
            Event::Closed { leg, stats } if *leg == of => Some(*stats),
            _ => None,
        })
        .expect("the leg was closed")
}

/// Two phones on two engines, bridged by a third between them.
pub(crate) fn bridged(left: Codec, right: Codec) -> Net {
    let mut net = Net::new(3);
    net.join(leg(0, 0), leg(1, 0), left);
    net.join(leg(0, 1), leg(2, 0), right);
    net.command(Command::Bridge {
        a: leg(0, 0),
        b: leg(0, 1),
    });
    net.command(Command::Listen {
        leg: leg(1, 0),
        on: true,
    });
    net.command(Command::Listen {
        leg: leg(2, 0),
        on: true,
    });
    net
}

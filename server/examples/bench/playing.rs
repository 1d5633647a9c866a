//! W2: 500 calls that hear a prompt, press a key half-way and hear another.
//! Memory of a held call.

use std::error::Error;
use std::time::{Duration, Instant};

use media::codec::{Codec, FRAME_SAMPLES};
use server::serve::{Loaded, Options};

use crate::audio::Frames;
use crate::figures::{Bar, line};
use crate::folder::{self, AFTER_KEY, BEFORE_KEY, Line};
use crate::load::Load;
use crate::process::Server;
use crate::{Settings, setting};

const WINDOW: Duration = Duration::from_secs(6);
/// A prompt is recognised by its first second.
const KNOWN_FRAMES: usize = 50;

/// Renders the prompts (the server finds them in the cache then) and returns
/// the frames by which the one after the key is recognised.
pub(crate) fn render(settings: &Settings) -> Result<Frames, Box<dyn Error>> {
    let loaded = Loaded::read(&Options {
        config_dir: settings.config.clone(),
        data_dir: Some(settings.scratch.join("render")),
        bind: None,
        speech_dir: Some(settings.scratch.join("speech")),
    })?;
    let (_studio, book) = loaded.speak(|_, _| {})?;
    let clip = |begin: &str| {
        let mut clips = book.fixed.iter();
        clips
            .find(|((_, text), _)| text.starts_with(begin))
            .map(|(_, clip)| clip)
            .ok_or_else(|| format!("no prompt \"{begin}\""))
    };
    let (before, after) = (clip(BEFORE_KEY)?, clip(AFTER_KEY)?);
    let mut frames = Frames::new();
    for n in 0..after.frames().min(KNOWN_FRAMES) {
        let frame = after.frame(Codec::Pcmu, n).and_then(|f| f.try_into().ok());
        if let Some(frame) = frame {
            let frame: &[u8; FRAME_SAMPLES] = frame;
            // A frame that stands twice tells nothing.
            if let Some(twice) = frames.get_mut(frame) {
                *twice = u32::MAX;
            } else {
                frames.insert(*frame, n as u32);
            }
        }
    }
    for n in 0..before.frames() {
        if let Some(Ok(frame)) = before
            .frame(Codec::Pcmu, n)
            .map(<&[u8; FRAME_SAMPLES]>::try_from)
        {
            frames.remove(frame);
        }
    }
    frames.retain(|_, n| *n != u32::MAX);
    Ok(frames)
}

pub(crate) fn measure(settings: &Settings, frames: Frames) -> Result<(), Box<dyn Error>> {
    let calls: usize = setting("W2_CALLS", 500);
    println!("W2: {calls} calls hear a prompt and talk all the while; each presses a key half-way");
    let server = Server::start(&settings.config, &settings.scratch, "w2")?;
    let mut load = Load::new(&server, true, frames)?;
    let (memory_before, kernel_before) = (server.memory_kb(), Server::kernel_kb());
    load.until(
        Duration::from_secs(30),
        |load, ms| {
            if ms.is_multiple_of(10) && load.callers.dialled() < calls {
                let n = load.callers.dialled();
                load.callers
                    .dial(folder::caller(n), folder::line(n % 2, Line::Prompt));
            }
        },
        |load| load.callers.up() == calls,
    );
    load.run(Duration::from_secs(1));
    let memory = (server.memory_kb() - memory_before) / calls as f64;
    let kernel = (Server::kernel_kb() - kernel_before) / calls as f64;

    load.measure(true);
    let mut windows = Vec::new();
    let (mut media, mut signalling) = (Vec::new(), Vec::new());
    for part in 0..3 {
        let (before, began) = (server.cpu(), Instant::now());
        // Keys in the second part, spread over five seconds.
        load.until(
            WINDOW,
            |load, ms| {
                let due = |ms: u64| (ms as usize * calls).div_ceil(5_000).min(calls);
                if part == 1 {
                    for n in due(ms)..due(ms + 1) {
                        load.callers_audio.press(n);
                    }
                }
            },
            |_| false,
        );
        let spent = server.cpu().since(before);
        let percent = |spent: f64| spent * 100.0 / began.elapsed().as_secs_f64() / calls as f64;
        windows.push(percent(spent.total()));
        media.push(percent(spent.media));
        signalling.push(percent(spent.total() - spent.media));
    }
    load.measure(false);
    let unheard = load.callers_audio.awaiting();

    load.callers_audio.muted = true;
    load.run(Duration::from_millis(500));
    let (before, began) = (server.cpu(), Instant::now());
    load.run(Duration::from_secs(4));
    let quiet =
        server.cpu().since(before).total() * 100.0 / began.elapsed().as_secs_f64() / calls as f64;
    load.callers_audio.muted = false;

    for call in 0..calls {
        load.callers.hang_up(call);
        load.run(Duration::from_millis(2));
    }
    load.until(
        Duration::from_secs(3),
        |_, _| {},
        |load| load.callers.all_over(),
    );
    let audio = &mut load.callers_audio;
    let remark = format!(
        "{} packets heard, {} lost, {unheard} keys without a prompt; {}",
        audio.packets,
        audio.lost,
        load.callers.spoilers().words()
    );
    line(
        "W2 playing call, talking",
        "%core/call",
        &windows,
        4,
        Bar::at_most(0.05, 0.03),
        &remark,
    );
    line("W2   media thread alone", "%core/call", &media, 4, None, "");
    line(
        "W2   all other threads",
        "%core/call",
        &signalling,
        4,
        None,
        "keys in one of three",
    );
    line(
        "W2 playing call, caller silent",
        "%core/call",
        &[quiet],
        4,
        None,
        "nothing received",
    );
    gaps("W2", &mut audio.gaps_ms);
    let keys = audio.key_up_to_prompt_ms.len();
    for share in [0.5, 0.99] {
        let name = format!("W2 key end to prompt, p{}", share * 100.0);
        let down = audio.key_down_to_prompt_ms.at(share);
        line(
            &name,
            "ms",
            &[audio.key_up_to_prompt_ms.at(share)],
            1,
            None,
            &format!(
                "{keys} keys of 100 ms; from the key's beginning {down:.1} ms: it acts at once"
            ),
        );
    }
    line(
        "W2 memory of a held call",
        "kB/call",
        &[memory],
        1,
        Bar::at_most(100.0, 60.0),
        &format!(
            "resident: {:.0} MB before, {calls} calls; the kernel {kernel:.1} kB/call besides, load included",
            memory_before / 1e3
        ),
    );
    println!();
    Ok(())
}

/// The lines on gaps between packets.
pub(crate) fn gaps(which: &str, gaps_ms: &mut crate::figures::Sample) {
    let count = gaps_ms.len();
    for (share, bar) in [(0.5, None), (0.99, Bar::at_most(22.0, 20.5)), (0.999, None)] {
        let name = format!(
            "{which} gap between packets, p{}",
            (share * 1e3_f64).round() / 10.0
        );
        line(
            &name,
            "ms",
            &[gaps_ms.at(share)],
            3,
            bar,
            &format!("{count} gaps"),
        );
    }
}

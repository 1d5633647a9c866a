//! W3: 300 calls that wait with music, then talk with an agent each.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::audio::Frames;
use crate::figures::{Bar, line};
use crate::folder::{self, AGENTS, Line};
use crate::load::Load;
use crate::process::Server;
use crate::{Settings, setting};

const WINDOW: Duration = Duration::from_secs(5);
const WINDOWS: usize = 3;

pub(crate) fn measure(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let calls: usize = setting("W3_CALLS", AGENTS).min(AGENTS);
    println!(
        "W3: {calls} calls wait with music, then talk with an agent each; everybody talks all the while"
    );
    let server = Server::start(&settings.config, &settings.scratch, "w3")?;
    let mut load = Load::new(&server, true, Frames::new())?;
    load.until(
        Duration::from_secs(30),
        |load, ms| {
            if ms.is_multiple_of(10) && load.callers.dialled() < calls {
                let n = load.callers.dialled();
                load.callers
                    .dial(folder::caller(n), folder::line(n % 2, Line::Queue));
            }
        },
        |load| load.callers.up() == calls,
    );
    load.run(Duration::from_secs(2));
    let queued = windows(&server, &mut load, calls);
    gaps_of(&mut load, "W3 queued");

    let mut signed = 0;
    load.until(
        Duration::from_secs(40),
        |load, ms| {
            if ms.is_multiple_of(20) && signed < calls {
                load.agents.sign_in(signed);
                signed += 1;
            }
        },
        |load| load.agents_audio.voice_ms.len() >= calls,
    );
    let talking = load.agents_audio.voice_ms.len();
    load.run(Duration::from_secs(1));
    let bridged = windows(&server, &mut load, calls);
    let lost = load.callers_audio.lost + load.agents_audio.lost;
    let heard = load.callers_audio.packets + load.agents_audio.packets;
    for call in 0..calls {
        load.callers.hang_up(call);
        load.run(Duration::from_millis(2));
    }
    load.until(
        Duration::from_secs(3),
        |_, _| {},
        |load| load.callers.all_over(),
    );
    let mut spoilers = load.spoilers();
    spoilers.errors += (calls - talking) as u64;
    let remark = format!(
        "{} agents signed in, {talking} talk; {heard} packets heard, {lost} lost; {}",
        load.agents.signed_in(),
        spoilers.words()
    );
    let bar = Bar::at_most(0.08, 0.05);
    line(
        "W3 call queued with music, talking",
        "%core/call",
        &queued.0,
        4,
        bar,
        "",
    );
    line(
        "W3   media thread alone",
        "%core/call",
        &queued.1,
        4,
        None,
        "",
    );
    line(
        "W3 call bridged, both talking",
        "%core/call",
        &bridged.0,
        4,
        bar,
        &remark,
    );
    line(
        "W3   media thread alone",
        "%core/call",
        &bridged.1,
        4,
        None,
        "",
    );
    gaps_of(&mut load, "W3 bridged");
    let voice = &mut load.agents_audio.voice_ms;
    for share in [0.5, 0.99] {
        let name = format!("W3 agent's 200 to caller's voice, p{}", share * 100.0);
        line(
            &name,
            "ms",
            &[voice.at(share)],
            1,
            None,
            &format!("{talking} agents"),
        );
    }
    println!();
    Ok(())
}

/// Processor time per call, all threads and the media thread's.
fn windows(server: &Server, load: &mut Load, calls: usize) -> (Vec<f64>, Vec<f64>) {
    load.measure(true);
    let (mut all, mut media) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let (before, began) = (server.cpu(), Instant::now());
        load.run(WINDOW);
        let spent = server.cpu().since(before);
        let percent = |spent: f64| spent * 100.0 / began.elapsed().as_secs_f64() / calls as f64;
        all.push(percent(spent.total()));
        media.push(percent(spent.media));
    }
    load.measure(false);
    (all, media)
}

fn gaps_of(load: &mut Load, which: &str) {
    crate::playing::gaps(which, &mut load.callers_audio.gaps_ms);
    load.callers_audio.gaps_ms = crate::figures::Sample::default();
}

//! `careline flow try`: a trial call typed in the terminal. Time is virtual, so
//! that the same lines always give the same call, typed or piped in.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use ivr_flows::{CallerFacts, Flow, Rehearsal, Role};

/// Runs one call until it ends, or there are no more lines.
pub(super) fn run(
    flow: &Arc<Flow>,
    role: Role,
    name: Option<&str>,
    lines: impl BufRead,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut call = Rehearsal::start(
        flow,
        CallerFacts {
            role,
            known: role != Role::Unknown,
            spoken_name: name.map(Arc::from),
            ..CallerFacts::UNKNOWN
        },
    );
    tell(&mut call, out)?;
    for line in lines.lines() {
        let line = line?;
        let line = match line.trim() {
            // The way on: let happen what happens by itself.
            "" => "wait",
            comment if comment.starts_with('#') => continue,
            line => line,
        };
        if let Err(refused) = call.act(line) {
            writeln!(out, "  ! {}", refused.lines().next().unwrap_or_default())?;
        }
        tell(&mut call, out)?;
        if call.over() {
            break;
        }
    }
    Ok(())
}

fn tell(call: &mut Rehearsal, out: &mut impl Write) -> io::Result<()> {
    for words in call.heard() {
        writeln!(out, "  \"{words}\"")?;
    }
    if let Some(asked) = call.asked() {
        writeln!(out, "  ? {asked}")?;
    }
    let place = call
        .place()
        .map_or(String::new(), |place| format!(": {place}"));
    let lasted = call.lasted().as_secs_f64();
    writeln!(out, "[{lasted:.1} s, {}{place}]", call.node())?;
    out.flush()
}

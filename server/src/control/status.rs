//! How things are, in words: what `careline status` prints.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use acd::AgentState;

use crate::node::Status;

/// The names of queues in the order of their ids, from 1, and what doesn't
/// keep its hours.
pub(super) fn words(status: &Status, queues: &[String], closed: &str) -> String {
    let mut text = String::new();
    // Writing into memory can't fail.
    let _ = write(&mut text, status, queues);
    text.push('\n');
    text.push_str(closed);
    text
}

fn write(text: &mut String, status: &Status, queues: &[String]) -> fmt::Result {
    let taking = match status.draining {
        false => "takes calls",
        true => "takes no new calls: it is stopping",
    };
    let emergency = match status.emergency_calls {
        0 => String::new(),
        some => format!(", {some} of them to emergency services"),
    };
    writeln!(
        text,
        "Careline {taking}. Calls: {}{emergency}.",
        status.calls
    )?;
    match (status.store_failing, status.oldest_write()) {
        (true, _) => writeln!(
            text,
            "The store FAILS to write: callers get no ticket; see the log."
        )?,
        (false, late) if late > Duration::from_millis(1_500) => writeln!(
            text,
            "The store is LATE: the oldest write has waited {}.",
            Lasted(late)
        )?,
        (false, _) => writeln!(text, "The store writes.")?,
    }
    let waiting = |queue: &acd::QueueView| {
        let longest = queue.oldest.map(|since| status.at.saturating_sub(since));
        [
            queues
                .get((queue.queue.0 as usize).wrapping_sub(1))
                .cloned()
                .unwrap_or_else(|| queue.queue.0.to_string()),
            queue.waiting.to_string(),
            longest.map_or_else(|| "-".to_owned(), |longest| Lasted(longest).to_string()),
            queue.signed_in.to_string(),
            queue.free.to_string(),
        ]
    };
    table(
        text,
        ["queue", "waiting", "longest", "signed in", "free"],
        status.queues.iter().map(waiting),
    )?;
    let doing = [
        (AgentState::Available, "available"),
        (AgentState::Offered, "being rung"),
        (AgentState::Talking, "talking"),
        (AgentState::WrapUp, "in wrap-up"),
        (AgentState::Resting, "resting"),
        (AgentState::SignedOut, "signed out"),
    ];
    let counts = doing.map(|(state, word)| {
        let count = status.agents.iter().filter(|agent| agent.state == state);
        format!("{} {word}", count.count())
    });
    writeln!(text, "\nAnalysts: {}.", counts.join(", "))?;
    let trunk = |trunk: &crate::node::TrunkStatus| {
        [
            trunk.name.clone(),
            trunk.calls.to_string(),
            trunk.gateways_alive.to_string(),
            match trunk.registered {
                None => "-",
                Some(true) => "yes",
                Some(false) => "NO",
            }
            .to_owned(),
        ]
    };
    if !status.trunks.is_empty() {
        table(
            text,
            ["trunk", "calls", "gateways alive", "registered"],
            status.trunks.iter().map(trunk),
        )?;
    }
    Ok(())
}

/// A table with a blank line before it: words on the left, the rest on the right.
fn table<const N: usize>(
    text: &mut String,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.fold(head[column].len(), usize::max)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    writeln!(text)?;
    for row in std::iter::once(head.map(str::to_owned)).chain(rows.iter().cloned()) {
        let [first, rest @ ..] = &row[..] else {
            continue;
        };
        write!(text, "{first:<0$}", widths[0])?;
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            write!(text, "  {cell:>width$}")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// `12 s`, `3 min`, `2 h`.
struct Lasted(Duration);

impl Display for Lasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..120 => write!(f, "{seconds} s"),
            seconds @ 120..7_200 => write!(f, "{} min", seconds / 60),
            seconds => write!(f, "{} h", seconds / 3_600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::TrunkStatus;

    #[test]
    fn what_an_administrator_reads() {
        let minute = Duration::from_secs(60);
        let mut status = Status::quiet(10 * minute);
        let queues = ["clinical".to_owned(), "portal".to_owned()];
        status.calls = 4;
        status.emergency_calls = 1;
        status.queues = (1..=2)
            .map(|queue| acd::QueueView {
                queue: acd::QueueId(queue),
                waiting: queue - 1,
                signed_in: 12,
                free: 0,
                oldest: (queue == 2).then_some(5 * minute),
            })
            .collect();
        status.agents = vec![acd::AgentView {
            agent: acd::AgentId(1),
            state: AgentState::Talking,
            since: minute,
            offer: None,
        }];
        status.trunks = vec![TrunkStatus {
            name: "city".into(),
            calls: 3,
            gateways_alive: 2,
            registered: Some(false),
        }];
        assert_eq!(
            words(&status, &queues, "Every desk keeps its hours.\n"),
            "Careline takes calls. Calls: 4, 1 of them to emergency services.
The store writes.

queue     waiting  longest  signed in  free
clinical        0        -         12     0
portal          1    5 min         12     0

Analysts: 0 available, 0 being rung, 1 talking, 0 in wrap-up, 0 resting, 0 signed out.

trunk  calls  gateways alive  registered
city       3               2          NO

Every desk keeps its hours.
"
        );
        status.desk.oldest_commit = Some(9 * minute);
        let late = words(&status, &queues, "");
        assert!(late.contains("the oldest write has waited 60 s"), "{late}");
        status.store_failing = true;
        assert!(words(&status, &queues, "").contains("FAILS"));
    }
}

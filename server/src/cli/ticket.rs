//! `careline ticket`: how a ticket stands, and what is done with it, at a terminal.

use std::process::ExitCode;

use crate::serve::Options;

/// Arguments of `careline ticket`.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "What may be done: look (the default), assign AGENT|-, begin, priority p1..p4, reason CODE|-, ",
    "promise MINUTES|-, pend caller|vendor|change|delivery [MINUTES], resume, ",
    "escalate not_permitted|no_skill|no_article, resolve, reopen, close, merge NUMBER, note TEXT"
))]
pub(super) struct Args {
    /// The hospital: its file's name without .yaml.
    hospital: String,
    /// The ticket's number; one that was merged leads to the other.
    number: String,
    /// What is done, and with what.
    deed: Vec<String>,
}

pub(super) fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let Args {
        hospital,
        number,
        deed,
    } = args;
    let (verb, rest) = match deed.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest.join(" ")),
        None => ("look", String::new()),
    };
    // A tab ends an argument, a line the question.
    let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    super::publish::say(
        options,
        &format!("ticket\t{hospital}\t{number}\t{verb}\t{rest}"),
    )
}

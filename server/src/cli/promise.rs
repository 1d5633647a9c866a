//! `careline promise`: what is owed to a hospital's customers, and what is said of it, at a terminal.

use std::process::ExitCode;

use crate::serve::Options;

/// Arguments of `careline promise`.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "What may be said: list (the default), show NUMBER, attest NUMBER AGENT (they vouch that it was kept), ",
    "move NUMBER 2026-11-23 09:00-10:00 (agreed on with the customer), escalate NUMBER (nobody is called any more)"
))]
pub(super) struct Args {
    /// The hospital: its file's name without .yaml.
    hospital: String,
    /// What is said, and of which.
    says: Vec<String>,
}

pub(super) fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let (verb, rest) = match args.says.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest.join(" ")),
        None => ("list", String::new()),
    };
    // A tab ends an argument, a line the question.
    let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    let hospital = &args.hospital;
    super::publish::say(options, &format!("promise\t{hospital}\t{verb}\t{rest}"))
}

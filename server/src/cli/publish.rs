//! `careline plan`, `apply` and `export`: what is served, and what would be;
//! `close`, `open` and `reopen`: a desk that can't keep its hours.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Process;
use crate::control;
use crate::serve::Options;

/// Arguments of `careline plan` and `careline apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Folder {
    /// The folder; if absent, that of --config.
    dir: Option<PathBuf>,
}

/// Arguments of `careline export`.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// A folder that is empty or doesn't exist.
    dir: PathBuf,
}

/// Arguments of `careline close` and `careline open`.
#[derive(Debug, clap::Args)]
pub(super) struct Close {
    /// The hospital: its file's name without .yaml.
    hospital: String,
    /// Which of its hours.
    hours: String,
    /// How long, in minutes; at most a week.
    #[arg(long = "for", value_name = "MINUTES", default_value_t = 60)]
    minutes: u32,
    /// Why, for whoever asks. Where a desk is closed callers hear what the flow says at `emergency`.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Arguments of `careline reopen`.
#[derive(Debug, clap::Args)]
pub(super) struct Reopen {
    /// The hospital: its file's name without .yaml.
    hospital: String,
    /// Which of its hours.
    hours: String,
}

pub(super) fn close(verb: &str, options: &Options, args: &Close) -> anyhow::Result<ExitCode> {
    let Close {
        hospital,
        hours,
        minutes,
        reason,
    } = args;
    // A tab ends an argument, a line the question.
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    say(
        options,
        &format!("{verb}\t{hospital}\t{hours}\t{minutes}\t{reason}"),
    )
}

pub(super) fn reopen(options: &Options, args: &Reopen) -> anyhow::Result<ExitCode> {
    say(
        options,
        &format!("reopen\t{}\t{}", args.hospital, args.hours),
    )
}

pub(super) fn folder(verb: &str, options: &Options, args: &Folder) -> anyhow::Result<ExitCode> {
    ask(
        verb,
        options,
        args.dir.as_deref().unwrap_or(&options.config_dir),
    )
}

pub(super) fn export(options: &Options, args: &Export) -> anyhow::Result<ExitCode> {
    ask("export", options, &args.dir)
}

fn ask(verb: &str, options: &Options, dir: &Path) -> anyhow::Result<ExitCode> {
    // The server has another working directory.
    let dir = std::path::absolute(dir)?;
    say(options, &format!("{verb}\t{}", dir.display()))
}

fn say(options: &Options, question: &str) -> anyhow::Result<ExitCode> {
    let data_dir = match &options.data_dir {
        Some(dir) => dir.clone(),
        None => {
            let process = Process::load(&options.config_dir.join("careline.toml"))?;
            options.config_dir.join(process.store.dir)
        }
    };
    match control::ask(&data_dir, question) {
        Ok(text) => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Err(text) => Err(anyhow::Error::msg(text)),
    }
}

//! `careline plan`, `apply` and `export`: what is served, and what would be;
//! `close`, `open` and `reopen`: a desk that can't keep its hours.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Process;
use crate::control;
use crate::serve::Options;
use crate::store::Database;

/// What `careline plan` ends with where `apply` would refuse.
const REFUSED: u8 = 2;

/// Arguments of `careline apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    #[command(flatten)]
    folder: Folder,
    /// Serve it though tests of its flows fail.
    #[arg(long)]
    force: bool,
}

/// Arguments of `careline plan`.
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

/// Says how things are.
pub(super) fn status(options: &Options) -> anyhow::Result<ExitCode> {
    say(options, "status\t")
}

/// Shows what a folder would change; [`REFUSED`] if it can't be applied as it is.
pub(super) fn plan(options: &Options, args: &Folder) -> anyhow::Result<ExitCode> {
    let text = ask("plan", options, args.dir.as_deref())?;
    super::print(&text);
    let refused = text.lines().any(|line| {
        line.starts_with("! can't be applied") || line.starts_with("! only with --force")
    });
    Ok(if refused {
        ExitCode::from(REFUSED)
    } else {
        ExitCode::SUCCESS
    })
}

pub(super) fn apply(options: &Options, args: &Apply) -> anyhow::Result<ExitCode> {
    let verb = if args.force { "force" } else { "apply" };
    super::print(&ask(verb, options, args.folder.dir.as_deref())?);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn export(options: &Options, args: &Export) -> anyhow::Result<ExitCode> {
    super::print(&ask("export", options, Some(&args.dir))?);
    Ok(ExitCode::SUCCESS)
}

/// The folder that the server of these options serves, and where it listens; none if there is no such server.
pub(super) fn served(options: &Options) -> Option<(PathBuf, SocketAddr)> {
    let answer = control::ask(&data_dir(options).ok()?, "folder").ok()?;
    let mut lines = answer.lines();
    Some((PathBuf::from(lines.next()?), lines.next()?.parse().ok()?))
}

fn ask(verb: &str, options: &Options, dir: Option<&Path>) -> anyhow::Result<String> {
    // The server has another working directory.
    let dir = std::path::absolute(dir.unwrap_or(&options.config_dir))?;
    control::ask(&data_dir(options)?, &format!("{verb}\t{}", dir.display()))
        .map_err(anyhow::Error::msg)
}

pub(super) fn say(options: &Options, question: &str) -> anyhow::Result<ExitCode> {
    let text = control::ask(&data_dir(options)?, question).map_err(anyhow::Error::msg)?;
    super::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Where the store is.
pub(super) fn database(options: &Options) -> anyhow::Result<Database> {
    let file = options.config_dir.join("careline.toml");
    let process = Process::load(&file)?;
    Ok(process.store.database(&file, &data_dir(options)?)?)
}

pub(super) fn data_dir(options: &Options) -> anyhow::Result<PathBuf> {
    Ok(match &options.data_dir {
        Some(dir) => dir.clone(),
        None => {
            let process = Process::load(&options.config_dir.join("careline.toml"))?;
            options.config_dir.join(process.store.dir)
        }
    })
}

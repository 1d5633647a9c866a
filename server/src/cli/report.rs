//! `careline report`: the service desk's figures, read from the log.

use std::process::ExitCode;

use crate::config::HelpDesk;
use crate::node::wall;
use crate::report::{By, Question, hand_back, report};
use crate::serve::Options;
use crate::store::Reader;

/// Arguments of `careline report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The hospital: its file's name without .yaml; all of them if absent.
    #[arg(long, value_name = "KEY")]
    hospital: Option<String>,
    /// First day, in the hospital's zone: 2026-11-22. Today if absent.
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Last day. The first if absent.
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// How the figures are divided.
    #[arg(long, value_enum, default_value = "queue")]
    by: By,
    /// What the night has left to the morning: callbacks promised, by whom they are owed and how far they are, and whom
    /// the partners took. `--from`: the day on whose morning it ended, today if absent.
    #[arg(long, conflicts_with_all = ["to", "by"])]
    hand_back: bool,
    /// For whom: people, a spreadsheet, a program.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

pub(super) fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let helpdesk = HelpDesk::load(&options.config_dir)?;
    let hospital = match &args.hospital {
        None => None,
        Some(key) => {
            let known = helpdesk
                .hospitals
                .iter()
                .find(|hospital| hospital.key == *key);
            let Some(known) = known else {
                let keys: Vec<&str> = helpdesk.hospitals.iter().map(|h| h.key.as_str()).collect();
                anyhow::bail!(
                    "there is no hospital \"{key}\"; there are: {}",
                    keys.join(", ")
                );
            };
            Some(known)
        }
    };
    let database = super::publish::database(options)?;
    let reader = Reader::open(&database)
        .map_err(|error| anyhow::anyhow!("no log can be read at {database}: {error}"))?;
    let question = Question {
        hospital,
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        by: args.by,
        now: wall(),
    };
    let table = match args.hand_back {
        true => hand_back(&reader, &helpdesk, hospital, question.from, question.now)?,
        false => report(&reader, &helpdesk, &question)?,
    };
    let text = match args.format {
        Format::Table => table.text(),
        Format::Csv => table.csv(),
        Format::Json => table.json(),
    };
    super::say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

//! `careline incident`: what is out of order, at a terminal.

use std::process::ExitCode;

use crate::serve::Options;

/// Arguments of `careline incident`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The hospital: its file's name without .yaml.
    hospital: String,
    #[command(subcommand)]
    deed: Option<Deed>,
}

#[derive(Debug, clap::Subcommand)]
enum Deed {
    /// Those that are live, and the latest that are over.
    List,
    /// Write one down. Nobody hears of it until it is published.
    Draft {
        /// After how many minutes it is over by itself.
        #[arg(long = "for", default_value_t = 240)]
        minutes: u32,
        /// What it is about: the code of one of the hospital's reasons.
        #[arg(long)]
        reason: Option<String>,
        /// Whom it concerns, separated by commas: clinician, staff, patient. Everybody if absent.
        #[arg(long)]
        roles: Option<String>,
        /// The language of what is said.
        #[arg(long, default_value = "en")]
        language: String,
        /// The same in few words, for clinicians, who hear six seconds at most.
        #[arg(long)]
        brief: Option<String>,
        /// What callers hear.
        text: Vec<String>,
    },
    /// Have the callers whom it concerns hear of it, from now on.
    Publish {
        /// Its number.
        incident: u64,
    },
    /// Have it last so many minutes from now.
    Prolong {
        /// Its number.
        incident: u64,
        /// How many.
        minutes: u32,
    },
    /// Say that a ticket is about it.
    Attach {
        /// Its number.
        incident: u64,
        /// The ticket's number.
        ticket: String,
    },
    /// It is over; of a draft: it was none.
    Close {
        /// Its number.
        incident: u64,
    },
}

pub(super) fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let deed = match &args.deed {
        None | Some(Deed::List) => "list".to_owned(),
        Some(Deed::Publish { incident }) => format!("publish\t{incident}"),
        Some(Deed::Close { incident }) => format!("close\t{incident}"),
        Some(Deed::Prolong { incident, minutes }) => format!("prolong\t{incident}\t{minutes}"),
        Some(Deed::Attach { incident, ticket }) => format!("attach\t{incident}\t{}", line(ticket)),
        Some(Deed::Draft {
            minutes,
            reason,
            roles,
            language,
            brief,
            text,
        }) => {
            let word = |word: &Option<String>| word.as_deref().map(line).unwrap_or_default();
            let (reason, roles, brief) = (word(reason), word(roles), word(brief));
            let (language, text) = (line(language), line(&text.join(" ")));
            format!("draft\t{minutes}\t{reason}\t{roles}\t{language}\t{brief}\t{text}")
        }
    };
    super::publish::say(options, &format!("incident\t{}\t{deed}", args.hospital))
}

/// A tab ends an argument, a line the question.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Arguments of `careline surge`.
#[derive(Debug, clap::Args)]
pub(super) struct Surge {
    /// The hospital: its file's name without .yaml.
    hospital: String,
    /// What is done.
    #[arg(value_enum)]
    to: Switch,
    /// After how many minutes it is over by itself; as its file says if absent.
    #[arg(long = "for")]
    minutes: Option<u32>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Switch {
    /// It begins: callers hear of it, and whoever says that patient care is stopped goes first.
    On,
    /// It is over, and its rehearsal.
    Off,
    /// Only who calls from a telephone that registers here hears of it.
    Rehearse,
}

pub(super) fn surge(options: &Options, args: &Surge) -> anyhow::Result<ExitCode> {
    let to = match args.to {
        Switch::On => "on",
        Switch::Off => "off",
        Switch::Rehearse => "rehearse",
    };
    let minutes = args
        .minutes
        .map_or(String::new(), |minutes| minutes.to_string());
    super::publish::say(
        options,
        &format!("incident\t{}\tsurge\t{to}\t{minutes}", args.hospital),
    )
}

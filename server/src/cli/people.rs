//! `careline people`: who the hospitals' people are, and files of them.

use std::path::PathBuf;
use std::process::ExitCode;

use desk::people::Register;
use desk::people::import::{COLUMNS, Missing, Policy};
use desk::{PersonId, TenantId};

use super::publish::{data_dir, database};
use crate::config::{HelpDesk, Hospital};
use crate::control;
use crate::serve::Options;
use crate::serve::publish::Import;
use crate::store::{Database, Reader, StoreError};

/// What a dry run ends with where `--apply` would refuse.
const REFUSED: u8 = 2;

/// Arguments of `careline people`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Say what a file of people would change (CSV, or FHIR R4 as JSON or NDJSON), or take it.
    Import(ImportArgs),
    /// Everybody who was imported, a line each.
    List(List),
    /// One of them.
    Show(Show),
    /// Everybody who was imported, as a table that can be imported. Personal data.
    Export(Whose),
    /// The columns of a table of people.
    Columns,
}

/// Arguments of `careline people import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    whose: Whose,
    /// Who tells of these people: rows are matched by this and their ids, never by names.
    #[arg(long, default_value = "hr")]
    source: String,
    /// Change nothing, and say what would change. So it is without --apply.
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Change it, all of it or nothing, for calls from now on.
    #[arg(long)]
    apply: bool,
    /// The file is everybody: whom of this source it doesn't name is forgotten.
    #[arg(long)]
    remove_missing: bool,
    /// Forget even more than a third of the source's people.
    #[arg(long, requires = "remove_missing")]
    remove_many: bool,
    /// Take the other rows though some are wrong.
    #[arg(long)]
    skip_bad_rows: bool,
    /// Show what stands in fields that change. Personal data.
    #[arg(long)]
    show: bool,
}

/// Which hospital.
#[derive(Debug, clap::Args)]
pub(super) struct Whose {
    /// The hospital: its file's name without .yaml.
    #[arg(long)]
    hospital: String,
}

/// Arguments of `careline people list`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    whose: Whose,
    /// Show names. Personal data.
    #[arg(long)]
    show: bool,
}

/// Arguments of `careline people show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Their id.
    person: u32,
    #[command(flatten)]
    whose: Whose,
}

pub(super) fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::Import(args) => return import(options, args),
        Args::List(List { whose, show }) => {
            let (_, register) = stored(options, whose)?;
            for profile in register.profiles() {
                let (id, record) = (profile.id.0, &profile.record);
                let (kind, source) = (record.kind.word(), &profile.origin.source);
                let name = if *show { record.name.as_str() } else { "" };
                let version = profile.version;
                super::say(format!("{id}  {kind:<9}  {source:<8}  v{version}  {name}").trim_end());
            }
        }
        Args::Show(Show { person, whose }) => {
            let (_, register) = stored(options, whose)?;
            let Some(profile) = register.get(PersonId(*person)) else {
                anyhow::bail!(
                    "nobody with the id {person} was imported at {}",
                    whose.hospital
                );
            };
            super::say(&serde_json::to_string_pretty(&**profile)?);
        }
        Args::Export(whose) => {
            let (hospital, register) = stored(options, whose)?;
            let profiles = register.profiles().map(|profile| &**profile);
            super::print(&desk::people::export(profiles, hospital.zone.as_deref()));
        }
        Args::Columns => {
            for column in COLUMNS {
                super::say(&format!("{:<16}  {}", column.name, column.about));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn import(options: &Options, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let import = Import {
        hospital: args.whose.hospital.clone(),
        source: args.source.clone(),
        // The server has another working directory.
        file: std::path::absolute(&args.file)?,
        policy: Policy {
            missing: match args.remove_missing {
                true => Missing::Remove,
                false => Missing::Keep,
            },
            skip_bad_rows: args.skip_bad_rows,
            remove_many: args.remove_many,
        },
        apply: args.apply,
        show: args.show,
    };
    let tabs = |text: &str| text.contains(['\t', '\n']);
    if tabs(&import.hospital) || tabs(&import.source) || tabs(&import.file.to_string_lossy()) {
        anyhow::bail!("names can't hold tabs and line ends; call the file otherwise");
    }
    if args.apply {
        let told = control::ask(&data_dir(options)?, &import.question());
        super::print(&told.map_err(anyhow::Error::msg)?);
        return Ok(ExitCode::SUCCESS);
    }
    // A dry run needs no server.
    let (hospital, register) = stored(options, &args.whose)?;
    let plan = import
        .plan(&register, &hospital)
        .map_err(anyhow::Error::msg)?;
    super::print(&import.told(&plan));
    super::say("Nothing was changed; --apply does it.");
    Ok(match plan.report.refused {
        Some(_) => ExitCode::from(REFUSED),
        None => ExitCode::SUCCESS,
    })
}

/// A hospital, and who was imported for it, whether a server runs or not.
fn stored(options: &Options, whose: &Whose) -> anyhow::Result<(Hospital, Register)> {
    let helpdesk = HelpDesk::load(&options.config_dir)?;
    let known: Vec<_> = helpdesk.hospitals.iter().map(|h| h.key.as_str()).collect();
    let known = known.join(", ");
    let mut hospitals = helpdesk.hospitals.into_iter();
    let Some(hospital) = hospitals.find(|hospital| hospital.key == whose.hospital) else {
        anyhow::bail!(
            "there is no hospital \"{}\"; there are: {known}",
            whose.hospital
        );
    };
    let database = database(options)?;
    // Nothing was ever served from here.
    let nothing = Ok((hospital.clone(), Register::default()));
    let reader = match &database {
        Database::File(path) if !path.exists() => return nothing,
        database => match Reader::open(database) {
            Ok(reader) => reader,
            Err(StoreError::Newer { found: 0, .. }) => return nothing,
            Err(error) => anyhow::bail!("nothing can be read at {database}: {error}"),
        },
    };
    let people = reader.people(TenantId(hospital.id))?;
    Ok((
        hospital,
        Register::new(people.profiles, PersonId(people.next)),
    ))
}

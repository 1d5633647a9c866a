//! `careline token`: who may ask the API; `careline audit`: who has.

use std::process::ExitCode;

use desk::TenantId;

use super::publish::{data_dir, database};
use crate::api::audit::digits;
use crate::api::tokens::{DAYS_MAX, Scope};
use crate::config::HelpDesk;
use crate::control;
use crate::serve::{OPERATOR, Options};
use crate::store::Reader;

/// Arguments of `careline token`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Make a token. Its secret is shown now and never again.
    Create(Create),
    /// Every token there ever was, without its secret.
    List,
    /// Make a token worthless at once.
    Revoke {
        /// Its id.
        id: u64,
    },
}

/// Arguments of `careline token create`.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The hospital it reads: its file's name without .yaml. If absent, all of them.
    #[arg(long, value_name = "KEY")]
    hospital: Option<String>,
    /// What it may do; several times for several.
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    /// For how many days; at most 366.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=DAYS_MAX))]
    days: i64,
    /// What it is for, in words.
    #[arg(long, default_value = "")]
    name: String,
}

pub(super) fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let question = match args {
        Args::Create(args) => {
            let words: Vec<&str> = args.scopes.iter().map(|scope| scope.word()).collect();
            let hospital = args.hospital.as_deref().unwrap_or_default();
            let name = &args.name;
            if [hospital, name]
                .iter()
                .any(|text| text.chars().any(char::is_control))
            {
                anyhow::bail!("names are a line each, without tabs");
            }
            let (days, scopes) = (args.days, words.join(" "));
            format!("token\tcreate\t{days}\t{hospital}\t{scopes}\t{name}")
        }
        Args::List => "token\tlist".to_owned(),
        Args::Revoke { id } => format!("token\trevoke\t{id}"),
    };
    let answer = control::ask(&data_dir(options)?, &question);
    let answer = answer.map_err(|error| anyhow::anyhow!(error))?;
    match (args, answer.split_once('\n')) {
        // The secret alone goes where a script takes it from.
        (Args::Create(_), Some((id, secret))) => {
            eprintln!("Token {id}. What follows is shown only now:");
            super::print(secret);
        }
        _ => super::print(&answer),
    }
    Ok(ExitCode::SUCCESS)
}

/// Arguments of `careline audit`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Audit {
    /// Walk along the audit and say whether every row is as it was written. The server may run or not.
    Verify {
        /// The hospital; all of them, and the operator, if absent.
        #[arg(long, value_name = "KEY")]
        hospital: Option<String>,
    },
}

pub(super) fn audit(options: &Options, args: &Audit) -> anyhow::Result<ExitCode> {
    let Audit::Verify { hospital } = args;
    let helpdesk = HelpDesk::load(&options.config_dir)?;
    let database = database(options)?;
    let reader = Reader::open(&database)
        .map_err(|error| anyhow::anyhow!("no audit can be read at {database}: {error}"))?;
    let name = |tenant: TenantId| {
        let mut hospitals = helpdesk.hospitals.iter();
        match hospitals.find(|hospital| hospital.id == tenant.0) {
            Some(hospital) => hospital.key.clone(),
            None if tenant == OPERATOR => "(operator)".to_owned(),
            None => format!("({})", tenant.0),
        }
    };
    let mut tenants = reader.audited()?;
    if let Some(key) = hospital {
        let mut hospitals = helpdesk.hospitals.iter();
        let known = hospitals.find(|hospital| hospital.key == *key);
        let Some(known) = known else {
            anyhow::bail!("there is no hospital \"{key}\"");
        };
        tenants = vec![TenantId(known.id)];
    }
    let mut sound = true;
    for tenant in tenants {
        let walked = reader.verify_audit(tenant)?;
        let (name, rows, head) = (name(tenant), walked.rows, digits(&walked.head));
        match walked.broken {
            None => super::say(&format!(
                "{name}: {rows} rows as they were written, head {head}"
            )),
            Some(broken) => {
                sound = false;
                super::say(&format!(
                    "{name}: broken: {broken}; the {rows} before it are as they were written, head {head}"
                ));
            }
        }
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

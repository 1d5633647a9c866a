//! `careline flow`: an administrator's tools for flows. None of them needs a
//! running Careline, a voice or a telephone.

mod draw;
mod trial;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use ivr_flows::{CheckError, Drafts, Flow, Role, run_tests, unvisited};

/// The published schema of a flow's file, for editors.
const SCHEMA: &str = include_str!("../../../ivr-flows/flow.schema.json");

/// Arguments of `careline flow`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check flow files: what is wrong, where, and what to do about it.
    Check {
        /// Flow files; those that call one another are given together.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Check flow files and run their own tests; with no file, the shipped flows'.
    Test {
        /// Flow files.
        files: Vec<PathBuf>,
    },
    /// Try a flow: type what the caller does, read what they would hear. Same
    /// words as in a flow's tests: press 1, wait 10s, answer, hang up.
    Try {
        /// The flow's file, and those of the flows it calls.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Who calls by their number: clinician, staff, patient, place, unknown.
        #[arg(long = "as", value_name = "ROLE", default_value = "unknown", value_parser = role)]
        role: Role,
        /// How the caller is addressed.
        #[arg(long)]
        name: Option<String>,
    },
    /// Draw a flow as a picture, on standard output.
    Draw {
        /// The flow's file, and those of the flows it calls.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// As Mermaid text, for documents that render it, rather than SVG.
        #[arg(long)]
        mermaid: bool,
    },
    /// Print the JSON Schema of a flow's file.
    Schema,
    /// Print a shipped flow, to change it: `careline flow show staff > my-folder/flows/staff.yaml`.
    Show {
        /// Its name.
        name: String,
    },
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word)
        .ok_or_else(|| format!("there are {}", Role::ALL.map(Role::word).join(", ")))
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Schema => {
            super::say(SCHEMA.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { name } => {
            let mut shipped = crate::config::SHIPPED.iter();
            let Some((_, text)) = shipped.find(|(known, _)| known == name) else {
                let known: Vec<_> = crate::config::SHIPPED
                    .iter()
                    .map(|(name, _)| *name)
                    .collect();
                bail!(
                    "no flow \"{name}\" is shipped; there are {}",
                    known.join(", ")
                );
            };
            super::say(text.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { files } => Ok(match read(files)? {
            Ok(read) => {
                for (_, flow) in read.given() {
                    super::say(&format!(
                        "flow {}: sound, {} nodes",
                        flow.name(),
                        flow.nodes().count()
                    ));
                    for (node, language) in flow.untranslated() {
                        super::say(&format!(
                            "flow {}: {node}: not written in \"{language}\"; spoken in another language",
                            flow.name()
                        ));
                    }
                }
                ExitCode::SUCCESS
            }
            Err(errors) => refused(&errors),
        }),
        Command::Test { files } => Ok(match read(files)? {
            Ok(read) => test(&read),
            Err(errors) => refused(&errors),
        }),
        Command::Try { files, role, name } => Ok(match read(files)? {
            Ok(read) => {
                let stdin = std::io::stdin();
                let mut out = std::io::stdout();
                trial::run(
                    read.first()?,
                    *role,
                    name.as_deref(),
                    stdin.lock(),
                    &mut out,
                )?;
                ExitCode::SUCCESS
            }
            Err(errors) => refused(&errors),
        }),
        Command::Draw { files, mermaid } => Ok(match read(files)? {
            Ok(read) => {
                let graph = ivr_flows::graph(read.first()?);
                let drawn = if *mermaid {
                    draw::mermaid(&graph)
                } else {
                    draw::svg(&graph)
                };
                super::say(drawn.trim_end());
                ExitCode::SUCCESS
            }
            Err(errors) => refused(&errors),
        }),
    }
}

/// Flows as read, and the names of those whose files were given.
struct Read {
    flows: BTreeMap<String, Arc<Flow>>,
    given: Vec<(String, String)>,
}

impl Read {
    /// File and flow, in the order given.
    fn given(&self) -> impl Iterator<Item = (&str, &Arc<Flow>)> {
        self.given
            .iter()
            .filter_map(|(file, name)| Some((file.as_str(), self.flows.get(name)?)))
    }

    fn first(&self) -> anyhow::Result<&Arc<Flow>> {
        let (_, flow) = self.given().next().context("no flow was given")?;
        Ok(flow)
    }
}

/// Reads files, with the shipped flows for them to call; all of the errors of all of them.
fn read(files: &[PathBuf]) -> anyhow::Result<Result<Read, Vec<CheckError>>> {
    let mut drafts = Drafts::default();
    let mut given = Vec::new();
    let mut errors = Vec::new();
    for (name, text) in crate::config::SHIPPED {
        let file = format!("{name}.yaml (shipped)");
        match drafts.add(&file, text) {
            Ok(name) if files.is_empty() => given.push((file, name)),
            Ok(_) => {}
            Err(more) => errors.extend(more),
        }
    }
    for file in files {
        let text = text_of(file)?;
        let file = file.display().to_string();
        match drafts.add(&file, &text) {
            Ok(name) => given.push((file, name)),
            Err(more) => errors.extend(more),
        }
    }
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    Ok(drafts.link().map(|flows| Read { flows, given }))
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))
}

fn refused(errors: &[CheckError]) -> ExitCode {
    for error in errors {
        super::say(&error.to_string());
    }
    ExitCode::FAILURE
}

fn test(read: &Read) -> ExitCode {
    let mut failed = 0;
    for (file, flow) in read.given() {
        let results = run_tests(flow);
        let before = failed;
        for result in &results {
            if let Some(failure) = &result.failure {
                failed += 1;
                super::say(&format!(
                    "{file}:{}: {}: {failure}",
                    result.line, result.name
                ));
            }
        }
        super::say(&format!(
            "flow {}: {} tests, {} failed",
            flow.name(),
            results.len(),
            failed - before
        ));
        let untried = unvisited(flow, &results);
        if !untried.is_empty() {
            super::say(&format!(
                "flow {}: no test walks through {}",
                flow.name(),
                untried.join(", ")
            ));
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

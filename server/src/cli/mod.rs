//! The commands.

mod agent;
mod call;
mod flow;
mod incident;
mod people;
mod promise;
mod publish;
mod report;
mod serve;
mod stand_in;
mod ticket;
mod token;
mod transcript;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::LogFormat;
use crate::log;

/// The telephone front door of a hospital help desk.
#[derive(Debug, Parser)]
#[command(name = "careline", version, about, disable_help_subcommand = true)]
struct Cli {
    /// Folder with careline.toml, operator.yaml and hospitals/.
    #[arg(long, global = true, default_value = "demo")]
    config: PathBuf,
    /// Where everything is kept; if absent, what careline.toml says ([store] dir), else the folder
    /// "data" in that of the configuration.
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    /// Where rendered prompts are kept; "speech" in the data directory if absent.
    #[arg(long, global = true)]
    speech: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls.
    Serve(serve::Args),
    /// Place a real call and tell live what was heard, pressed and where it went.
    Call(call::Args),
    /// Be an analyst's phone (or several): register, and answer what is offered.
    Agent(agent::Args),
    /// Check, test, try and draw flows.
    Flow(flow::Args),
    /// Read and check the configuration and its flows.
    Check,
    /// Say how things are: calls, queues, analysts, trunks, the store, closed desks.
    Status,
    /// Show what serving a folder would change, and change nothing.
    Plan(publish::Folder),
    /// Serve a folder from now on, without a restart; calls in progress finish as they began.
    Apply(publish::Apply),
    /// Write what is served into an empty folder.
    Export(publish::Export),
    /// Close a desk on the spot, whatever its hours say.
    Close(publish::Close),
    /// Open a desk on the spot, whatever its hours say.
    Open(publish::Close),
    /// Let a desk keep its hours again.
    Reopen(publish::Reopen),
    /// The people of the hospitals: import them from a file, list, show and export them.
    #[command(subcommand)]
    People(people::Args),
    /// Say how a ticket stands, or do something with it.
    Ticket(ticket::Args),
    /// What is out of order: list it, draft it, publish it, close it.
    Incident(incident::Args),
    /// What is owed to a hospital's customers: list it, or say something of one of the calls.
    Promise(promise::Args),
    /// A surge: begin it, rehearse it, end it.
    Surge(incident::Surge),
    /// The API's tokens: make, list and revoke them.
    #[command(subcommand)]
    Token(token::Args),
    /// Who has looked at what through the API.
    #[command(subcommand)]
    Audit(token::Audit),
    /// Say how the desk has served: the figures of some days, while the server runs or not.
    Report(report::Args),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match &cli.command {
        Command::Serve(_) => log::format(&cli.config),
        _ => LogFormat::Text,
    };
    log::start(format);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("careline: can't start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut options = crate::serve::Options {
        config_dir: cli.config,
        data_dir: cli.data,
        bind: None,
        speech_dir: cli.speech,
    };
    let result = match cli.command {
        Command::Serve(args) => {
            options.bind = args.bind;
            runtime.block_on(serve::run(&options, &args))
        }
        Command::Call(args) => runtime.block_on(call::run(&options, &args)),
        Command::Agent(args) => runtime.block_on(agent::run(&options, &args)),
        Command::Flow(args) => flow::run(&args),
        Command::Check => check(&options),
        Command::Status => publish::status(&options),
        Command::Plan(args) => publish::plan(&options, &args),
        Command::Apply(args) => publish::apply(&options, &args),
        Command::Export(args) => publish::export(&options, &args),
        Command::Close(args) => publish::close("close", &options, &args),
        Command::Open(args) => publish::close("open", &options, &args),
        Command::Reopen(args) => publish::reopen(&options, &args),
        Command::People(args) => people::run(&options, &args),
        Command::Ticket(args) => ticket::run(&options, &args),
        Command::Incident(args) => incident::run(&options, &args),
        Command::Promise(args) => promise::run(&options, &args),
        Command::Surge(args) => incident::surge(&options, &args),
        Command::Token(args) => token::run(&options, &args),
        Command::Audit(args) => token::audit(&options, &args),
        Command::Report(args) => report::run(&options, &args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("careline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line; whoever has stopped reading (`| head`) doesn't want more.
fn say(line: &str) {
    print(&format!("{line}\n"));
}

/// The same with text that has its own line ends.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout();
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}

fn check(options: &crate::serve::Options) -> anyhow::Result<ExitCode> {
    let loaded = crate::serve::Loaded::read(options)?;
    let helpdesk = &loaded.helpdesk;
    say(&format!(
        "{}: {} hospitals, {} queues, {} analysts, {} flows",
        helpdesk.operator,
        helpdesk.hospitals.len(),
        helpdesk.queues.len(),
        helpdesk.agents.len(),
        helpdesk.flows.len(),
    ));
    for gap in helpdesk.emergency_gaps() {
        say(&format!("! {gap}"));
    }
    let mut failed = 0;
    for (name, flow) in &helpdesk.flows {
        let results = ivr_flows::run_tests(flow);
        let mut bad = 0;
        for result in &results {
            if let Some(failure) = &result.failure {
                bad += 1;
                say(&format!(
                    "  {name}:{}: {}: {failure}",
                    result.line, result.name
                ));
            }
        }
        failed += bad;
        say(&format!(
            "flow {name}: {} tests, {bad} failed",
            results.len()
        ));
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An address of an argument.
fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address and a port, e.g. 127.0.0.1:5060".to_owned())
}

/// Starts the voice with a line of progress on a terminal.
fn speak(
    loaded: &crate::serve::Loaded,
) -> Result<(std::sync::Arc<speech::Studio>, crate::prompts::Book), crate::prompts::PromptError> {
    use std::io::{IsTerminal, Write};
    let terminal = std::io::stderr().is_terminal();
    let started = std::time::Instant::now();
    let mut said = false;
    let spoken = loaded.speak(|done, total| {
        // From the cache it takes no time and needs no word.
        let long = started.elapsed().as_millis() > 500;
        if long && !said {
            said = true;
            eprintln!("Preparing the voice (the first time this takes a minute)");
        }
        if long && terminal {
            eprint!("\rrendering prompts: {done} of {total} ");
            let _ = std::io::stderr().flush();
        }
    });
    if said && terminal {
        eprintln!();
    }
    spoken
}

//! The log: lines on standard error, for people or for programs.

use std::io::IsTerminal;
use std::path::Path;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Process};

/// What is shown where `RUST_LOG` says nothing. `operator`: what a server tells whoever runs it.
const USUAL: &str = "warn,operator=info";

/// How a server's folder wants it. What is wrong with the folder is told by whoever reads it for good.
pub fn format(config_dir: &Path) -> LogFormat {
    let process = Process::load(&config_dir.join("careline.toml"));
    process.map_or(LogFormat::Text, |process| process.log.format)
}

/// Begins, for the whole process.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    to(format, filter, std::io::stderr).init();
}

/// A log into any writer.
pub fn to<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        LogFormat::Text => Box::new(log.with_ansi(std::io::stderr().is_terminal()).finish()),
        LogFormat::Json => Box::new(log.json().flatten_event(true).finish()),
    }
}

/// What a server tells its operator: on standard output, or as a line of the log.
pub fn tell(format: LogFormat, text: &str) {
    match format {
        LogFormat::Text => println!("{text}"),
        LogFormat::Json => tracing::info!(target: "operator", "{text}"),
    }
}

/// What went wrong without ending the server: on standard error, or as a line of the log.
pub fn complain(format: LogFormat, text: &str) {
    match format {
        LogFormat::Text => eprintln!("careline: {text}"),
        LogFormat::Json => tracing::error!(target: "operator", "{text}"),
    }
}

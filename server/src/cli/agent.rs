//! `careline agent`: analysts' phones, and the stand-ins of the demo.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use super::transcript::Transcript;
use crate::config::HelpDesk;
use crate::phone::{
    AnswerPolicy, CallReport, Ears, Library, Marker, Phone, PhoneAudio, PhoneConfig,
    PhoneEventKind, PhoneEvents, PhoneMedia, Printer, Registration, Voice,
};
use crate::prompts::{self, Book};
use crate::rtp::MediaConfig;
use crate::serve::{Loaded, Options};

/// Most calls of a phone that are kept for whoever asks after them.
const REPORTS_MAX: usize = 64;

/// Arguments of `careline agent`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Users of the accounts to sign in, e.g. ana.
    #[arg(required = true)]
    users: Vec<String>,
    /// Where Careline is.
    #[arg(long, default_value = "127.0.0.1:5060", value_parser = super::address)]
    server: SocketAddr,
    /// Answer after so many seconds.
    #[arg(long, default_value_t = 2.0)]
    answer_after: f64,
}

pub(super) async fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = Loaded::read(options)?;
    let library = library(options, &loaded, args.server)?;
    let audio = audio(args.server)?;
    let (transcript, written) = Transcript::begin();
    let policy = AnswerPolicy::Answer {
        after: Duration::try_from_secs_f64(args.answer_after).unwrap_or(Duration::from_secs(2)),
    };
    let mut tasks = Vec::new();
    for user in &args.users {
        let config = account_phone(
            &loaded.helpdesk,
            user,
            args.server,
            audio.clone(),
            policy,
            Ears::Listening(Arc::clone(&library)),
        )?;
        let (phone, events) = Phone::start(config).await?;
        let shown = show(user.clone(), phone.started(), events, transcript.clone());
        tasks.push((phone, tokio::spawn(shown)));
    }
    drop(transcript);
    tokio::signal::ctrl_c().await?;
    for (phone, task) in tasks {
        phone.stop().await;
        let _ = task.await;
    }
    let _ = written.await;
    Ok(ExitCode::SUCCESS)
}

/// Tells what happens to a phone. Gives the calls it has had.
pub(super) async fn show(
    user: String,
    started: Instant,
    mut events: PhoneEvents,
    transcript: Transcript,
) -> Vec<CallReport> {
    let mut printer = Printer::default();
    let mut reports = Vec::new();
    while let Some(event) = events.next().await {
        if let Some((at, told)) = printer.told(&event) {
            transcript.tell(&user, started, at, &told).await;
        }
        if let PhoneEventKind::Ended(report) = event.kind
            && reports.len() < REPORTS_MAX
        {
            reports.push(*report);
        }
    }
    reports
}

/// What a phone knows by ear: the prompts that the server says, in all its languages. Those of its own folder, if it
/// serves another and that can be had; else those of ours.
pub(super) fn library(
    options: &Options,
    loaded: &Loaded,
    server: SocketAddr,
) -> anyhow::Result<Arc<Library>> {
    let served = super::publish::served(options)
        .filter(|(_, address)| address.port() == server.port())
        .map(|(folder, _)| folder)
        .filter(|folder| options.config_dir.canonicalize().ok().as_ref() != Some(folder));
    let theirs = served.and_then(|folder| {
        let theirs = Loaded::read(&Options {
            config_dir: folder.clone(),
            data_dir: Some(loaded.data_dir.clone()),
            bind: options.bind,
            speech_dir: Some(loaded.speech_dir.clone()),
        });
        let (at, own) = (folder.display(), options.config_dir.display());
        match theirs {
            Ok(theirs) => {
                eprintln!("The server serves {at}, not {own}: its prompts are listened for");
                Some(theirs)
            }
            Err(error) => {
                eprintln!(
                    "The server serves {at}, not {own}, and that can't be read: what {own} doesn't say is heard as                      unknown words ({error})"
                );
                None
            }
        }
    });
    let loaded = theirs.as_ref().unwrap_or(loaded);
    let (studio, book) = super::speak(loaded)?;
    let mut clips = book.library_with_names(&studio);
    let (tongues, _) =
        prompts::tongues(&loaded.process.speech, &loaded.speech_dir, &loaded.helpdesk)?;
    for tongue in &tongues {
        clips.extend(tongue.book.library_with_names(&tongue.studio));
    }
    Ok(Arc::new(Library::new(clips.into_iter())))
}

/// Media threads for phones of this process.
pub(super) fn audio(server: SocketAddr) -> anyhow::Result<PhoneAudio> {
    let bind = local_address(server)?;
    PhoneAudio::start(MediaConfig {
        bind: vec![bind.ip()],
        // Apart from the server's own range.
        ports: 40_000..=49_999,
        ..MediaConfig::default()
    })
    .context("can't start the phone's audio")
}

/// The address of this machine from which the server is reached.
fn local_address(server: SocketAddr) -> anyhow::Result<SocketAddr> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = std::net::UdpSocket::bind(any)?;
    // Connecting a UDP socket sends nothing; it asks the routing table.
    socket.connect(server)?;
    Ok(SocketAddr::new(socket.local_addr()?.ip(), 0))
}

/// The phone of an account of the configuration.
pub(super) fn account_phone(
    helpdesk: &HelpDesk,
    user: &str,
    server: SocketAddr,
    audio: PhoneAudio,
    answer: AnswerPolicy,
    ears: Ears,
) -> anyhow::Result<PhoneConfig> {
    let (user, secret, name) = helpdesk.account(user).with_context(|| {
        let known: Vec<_> = helpdesk.agents.iter().map(|a| a.user.as_str()).collect();
        format!(
            "there is no analyst \"{user}\"; there are: {}",
            known.join(", ")
        )
    })?;
    // Each sounds different; those that aren't an analyst's come last.
    let mut agents = helpdesk.agents.iter();
    let place = agents
        .position(|agent| agent.user == user)
        .unwrap_or(helpdesk.agents.len());
    let mut config = PhoneConfig::new(user, server, PhoneMedia::Udp(audio));
    config.bind = local_address(server)?;
    config.registration = Some(Registration::new(user, secret));
    config.display = Some(name.to_owned());
    config.answer = answer;
    config.ears = ears;
    config.voice = Voice::Marker(Marker::new(place + 1));
    config.seed = seed()?;
    Ok(config)
}

/// A seed that can't be guessed.
pub(super) fn seed() -> anyhow::Result<u64> {
    Ok(u64::from_le_bytes(crate::secrets::random()?))
}

/// Starts stand-ins on a thread of their own: the pump keeps its own.
pub(super) fn stand_in(
    loaded: &Loaded,
    _book: &Book,
    server: SocketAddr,
    users: &[String],
) -> anyhow::Result<()> {
    let audio = audio(server)?;
    let policy = AnswerPolicy::Answer {
        after: Duration::from_secs(2),
    };
    let mut configs = Vec::new();
    for user in users {
        configs.push(account_phone(
            &loaded.helpdesk,
            user,
            server,
            audio.clone(),
            policy,
            Ears::Counting,
        )?);
    }
    std::thread::Builder::new()
        .name("stand-ins".into())
        .spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let mut phones = Vec::new();
                for config in configs {
                    let user = config.number.clone();
                    match Phone::start(config).await {
                        Ok((phone, mut events)) => {
                            phones.push(phone);
                            tokio::spawn(async move { while events.next().await.is_some() {} });
                            println!("Stand-in {user} is signed in");
                        }
                        Err(error) => tracing::error!(%error, user, "no stand-in"),
                    }
                }
                std::future::pending::<()>().await;
            });
        })?;
    Ok(())
}

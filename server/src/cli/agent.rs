//! `careline agent`: analysts' phones, and the stand-ins of the demo.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::config::HelpDesk;
use crate::phone::{
    AnswerPolicy, Ears, Library, Marker, Phone, PhoneAudio, PhoneConfig, PhoneEvents, PhoneMedia,
    Printer, Registration, Voice,
};
use crate::prompts::Book;
use crate::rtp::MediaConfig;
use crate::serve::{Loaded, Options};

/// Arguments of `careline agent`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Users of the accounts to sign in, e.g. ana.
    #[arg(required = true)]
    users: Vec<String>,
    /// Where Careline is.
    #[arg(long, default_value = "127.0.0.1:5060")]
    server: SocketAddr,
    /// Answer after so many seconds.
    #[arg(long, default_value_t = 2.0)]
    answer_after: f64,
}

pub(super) async fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = Loaded::read(options)?;
    let (studio, book) = super::speak(&loaded)?;
    let library = Arc::new(Library::new(book.library_with_names(&studio).into_iter()));
    let audio = audio(args.server)?;
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
        tasks.push((phone, tokio::spawn(show(user.clone(), events))));
    }
    tokio::signal::ctrl_c().await?;
    for (phone, task) in tasks {
        phone.stop().await;
        let _ = task.await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what happens to a phone.
pub(super) async fn show(user: String, mut events: PhoneEvents) {
    let mut printer = Printer::default();
    while let Some(event) = events.next().await {
        if let Some(line) = printer.line(&event) {
            super::say(&format!("{user:<10} {line}"));
        }
    }
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

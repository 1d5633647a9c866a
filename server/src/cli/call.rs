//! `careline call`: the built-in test caller, which is also an administrator's
//! tool: "what does somebody hear who dials this?"

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::transcript::Transcript;
use crate::config::HelpDesk;
use crate::phone::{
    AnswerPolicy, CallOptions, CallReport, Ears, HungUpBy, Marker, Phone, PhoneConfig,
    PhoneEventKind, PhoneMedia, Printer, Script, Sound, Voice, details,
};
use crate::serve::{Loaded, Options};

/// What the caller sounds like.
const CALLER: Marker = Marker::new(0);
/// A caller nobody knows.
const UNKNOWN: &str = "+15550199999";

/// Arguments of `careline call`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number to dial, e.g. 1001.
    number: String,
    /// Who calls: a key of the directory (okafor), a number, "unknown" or "withheld".
    #[arg(long = "as", value_name = "PERSON", default_value = "unknown")]
    person: String,
    /// What the caller does, step by step: keys (1), pauses in seconds (w2), what to wait for
    /// ("words of a prompt", music, ringing, voice, silence, tone; at most 20 s: music/20), hangup.
    /// Example: '"patient, 3" 1 music/20 w5 hangup'.
    #[arg(long, default_value = "")]
    keys: String,
    /// Where Careline is.
    #[arg(long, default_value = "127.0.0.1:5060", value_parser = super::address)]
    server: SocketAddr,
    /// Also sign in this analyst for the time of the call, and answer. May be repeated.
    #[arg(long, value_name = "USER")]
    with_agent: Vec<String>,
    /// Hang up after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Afterwards tell the figures of its audio: frames, packets, pauses.
    #[arg(long)]
    details: bool,
}

pub(super) async fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = Loaded::read(options)?;
    let script: Script = args.keys.parse().context("--keys")?;
    let from = number_of(&loaded.helpdesk, &args.person)?;
    let library = super::agent::library(options, &loaded, args.server)?;
    let audio = super::agent::audio(args.server)?;
    let (transcript, written) = Transcript::begin();

    let mut agents = Vec::new();
    for user in &args.with_agent {
        let config = super::agent::account_phone(
            &loaded.helpdesk,
            user,
            args.server,
            audio.clone(),
            AnswerPolicy::Answer {
                after: Duration::from_secs(2),
            },
            Ears::Listening(Arc::clone(&library)),
        )?;
        let (phone, mut events) = Phone::start(config).await?;
        events
            .until(Duration::from_secs(5), |event| match event.kind {
                PhoneEventKind::Registered { .. } => Some(Ok(())),
                PhoneEventKind::RegistrationFailed { code } => Some(Err(code)),
                _ => None,
            })
            .await
            .with_context(|| format!("nobody at {} answers REGISTER", args.server))?
            .map_err(|code| anyhow::anyhow!("{user} can't sign in: {code:?}"))?;
        let started = phone.started();
        let shown = super::agent::show(user.clone(), started, events, transcript.clone());
        agents.push((phone, tokio::spawn(shown)));
    }

    let mut config = PhoneConfig::new(from, args.server, PhoneMedia::Udp(audio));
    config.ears = Ears::Listening(library);
    config.voice = Voice::Marker(CALLER);
    config.answer = AnswerPolicy::Reject(486);
    config.bind.set_ip(config.server.ip());
    config.seed = super::agent::seed()?;
    let (phone, mut events) = Phone::start(config).await?;
    let call = phone
        .call_with(
            &args.number,
            CallOptions {
                script,
                ..CallOptions::default()
            },
        )
        .await?;
    let mut printer = Printer::naming(voices(&loaded.helpdesk));
    let mut over = None;
    let mut code = ExitCode::FAILURE;
    let mut undone = !args.keys.trim().is_empty();
    let mut terminate = signal(SignalKind::terminate())?;
    let limit = tokio::time::sleep(Duration::from_secs(args.seconds));
    tokio::pin!(limit);
    let mut hung_up = false;
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { break };
                if let Some((at, told)) = printer.told(&event) {
                    transcript.tell("caller", phone.started(), at, &told).await;
                }
                undone &= !matches!(event.kind, PhoneEventKind::ScriptEnded);
                if let PhoneEventKind::Ended(report) = &event.kind {
                    over = Some(report.clone());
                    match report.hung_up_by {
                        HungUpBy::Refused(_) if is_emergency(&loaded.helpdesk, &args.number) => eprintln!(
                            "{} may only be dialled by a telephone that is registered here (see README)",
                            args.number
                        ),
                        HungUpBy::Refused(401 | 407) => eprintln!(
                            "Callers without a password come from networks in `sip.trusted` of careline.toml; \
                             {} sees another address",
                            args.server
                        ),
                        HungUpBy::Refused(404) => eprintln!("There are: {}", numbers(&loaded.helpdesk)),
                        HungUpBy::Refused(_) | HungUpBy::Failed(_) => {}
                        HungUpBy::Us if hung_up && undone => {
                            eprintln!("Not all of --keys was done before the call ended");
                        }
                        _ if report.answered_after.is_some() => code = ExitCode::SUCCESS,
                        HungUpBy::Us => {}
                        _ => eprintln!("Nobody at {} answered", args.server),
                    }
                    break;
                }
            }
            () = &mut limit, if !hung_up => {
                hung_up = true;
                let at = phone.started().elapsed();
                let told = format!("time was up (--for {})", args.seconds);
                transcript.tell("caller", phone.started(), at, &told).await;
                phone.hang_up(call).await?;
            }
            _ = tokio::signal::ctrl_c() => phone.hang_up(call).await?,
            _ = terminate.recv() => phone.hang_up(call).await?,
        }
    }
    phone.stop().await;
    let mut taken = Vec::new();
    for (phone, task) in agents {
        phone.stop().await;
        taken.extend(task.await.unwrap_or_default());
    }
    drop(transcript);
    let _ = written.await;
    if let Some(report) = over {
        super::say(&outcome(&report, &taken, &voices(&loaded.helpdesk)));
        let figures = details(&report);
        for line in figures.iter().filter(|_| args.details) {
            super::say(&format!("{:<10} {line}", ""));
        }
    }
    Ok(code)
}

/// Whose telephone sounds like what. The demo's partner comes after the analysts.
fn voices(helpdesk: &HelpDesk) -> Vec<(Marker, String)> {
    let users = helpdesk.agents.iter().map(|agent| agent.user.clone());
    users
        .chain(["the partner".to_owned()])
        .enumerate()
        .map(|(place, user)| (Marker::new(place + 1), user))
        .collect()
}

/// What came of the call, in a line: `ticket 0185197154, queue service, answered by ana after 15.6 s`. Ticket and
/// queue are those that the analyst's phone was told who heard this caller.
fn outcome(report: &CallReport, taken: &[CallReport], voices: &[(Marker, String)]) -> String {
    let Some(answered) = report.answered_after else {
        return "nobody answered".to_owned();
    };
    let theirs = taken
        .iter()
        .find(|theirs| !theirs.heard_marker(CALLER).is_zero());
    let mut told = Vec::new();
    let ticket = theirs.and_then(|theirs| theirs.ticket.as_ref());
    if let Some(ticket) = ticket.or(report.ticket.as_ref()) {
        told.push(format!("ticket {ticket}"));
    }
    if let Some(queue) = theirs.and_then(|theirs| theirs.queue.as_ref()) {
        told.push(format!("queue {queue}"));
    }
    let person = report.heard.iter().find_map(|heard| match heard.sound {
        Sound::Tone(marker) => Some((marker, heard.from)),
        _ => None,
    });
    let asked_for = report.heard.iter().any(|heard| {
        matches!(
            heard.sound,
            Sound::Music { .. } | Sound::RingBack | Sound::Voice
        )
    });
    told.push(match person {
        Some((marker, from)) => {
            let known = voices.iter().find(|(voice, _)| *voice == marker);
            let name = known.map_or("an unknown phone", |(_, name)| name.as_str());
            format!(
                "answered by {name} after {:.1} s",
                (answered + from).as_secs_f64()
            )
        }
        None if asked_for => "no telephone of this program answered".to_owned(),
        None if report.hung_up_by == HungUpBy::Us => {
            "hung up in the menu: nobody was asked for".to_owned()
        }
        None => "nobody was asked for".to_owned(),
    });
    told.join(", ")
}

/// Whether a number is an emergency service's.
fn is_emergency(helpdesk: &HelpDesk, number: &str) -> bool {
    let emergency = helpdesk.emergency.as_ref();
    emergency.is_some_and(|emergency| emergency.numbers.iter().any(|known| known == number))
}

/// What can be dialled, the short forms where there are any.
fn numbers(helpdesk: &HelpDesk) -> String {
    let lines = helpdesk
        .hospitals
        .iter()
        .flat_map(|hospital| &hospital.lines);
    let numbers: Vec<&str> = lines
        .map(|line| line.short.as_deref().unwrap_or(&line.number))
        .collect();
    numbers.join(", ")
}

/// The calling number of whoever is meant.
fn number_of(helpdesk: &HelpDesk, person: &str) -> anyhow::Result<String> {
    if person == "unknown" {
        return Ok(UNKNOWN.into());
    }
    if person == "withheld" {
        return Ok("anonymous".into());
    }
    if let Some((_, number)) = helpdesk.number_of(person) {
        return Ok(number.to_owned());
    }
    let digits = person.strip_prefix('+').unwrap_or(person);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(person.to_owned());
    }
    let keys: Vec<&str> = helpdesk
        .hospitals
        .iter()
        .flat_map(|h| {
            let people = h.people.iter().map(|p| p.key.as_str());
            people.chain(h.places.iter().map(|p| p.key.as_str()))
        })
        .collect();
    bail!(
        "nobody is called \"{person}\"; there are: {}, unknown, withheld, or any number",
        keys.join(", ")
    )
}

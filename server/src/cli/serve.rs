//! `careline serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use desk::EndCause;
use switch::{NoteSide, NoteWhat, OneWay};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::HelpDesk;
use crate::log;
use crate::node::wall;
use crate::serve::{Loaded, Options, Server};

/// Notes that may wait for the terminal.
const NOTES_MAX: usize = 1_024;

/// Arguments of `careline serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port for SIP, in place of sip.bind.
    #[arg(long, value_parser = super::address)]
    pub(super) bind: Option<SocketAddr>,
    /// Print a line for every station of every call.
    #[arg(long)]
    show_calls: bool,
    /// Also play the after-hours partner: a phone that signs in as this user and answers; or, with
    /// http://ADDRESS, the hospital's system that HTTP actions call.
    #[arg(long, value_name = "USER")]
    stand_in: Vec<String>,
    /// Print what to dial, and with which accounts. For demos: it shows secrets.
    #[arg(long)]
    welcome: bool,
}

pub(super) async fn run(options: &Options, args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = Loaded::read(options)?;
    let format = loaded.process.log.format;
    let tell = |text: &str| log::tell(format, text);
    // A port that is taken is told before the prompts are rendered, which may take a minute.
    crate::serve::is_free(&loaded)?;
    let (studio, book) = super::speak(&loaded)?;
    let (notes, mut shown) = mpsc::channel(NOTES_MAX);
    let mut server = Server::start(
        &loaded,
        studio,
        &book,
        args.show_calls.then_some(notes),
        None,
    )?;
    // Before anybody is told that we are there: a signal in the midst of this would be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    if server.left_open > 0 {
        tell(&format!(
            "{} calls were cut off by the last stop; they are recorded as system failures",
            server.left_open
        ));
    }
    for unvoiced in &server.unvoiced {
        tell(&unvoiced.to_string());
    }
    if args.welcome {
        super::print(&welcome(&loaded.helpdesk, server.address));
    }
    let tcp = if loaded.process.sip.tcp { ", TCP" } else { "" };
    let tls = server
        .tls_port
        .map_or(String::new(), |port| format!("; TLS on port {port}"));
    if let Some(api) = server.api {
        tell(&format!("API on http://{api}/api/v1"));
    }
    if let Some(http) = server.http {
        tell(&format!("Health and metrics on http://{http}/metrics"));
    }
    tell(&format!(
        "Careline answers on {} (UDP{tcp}){tls}",
        server.address
    ));
    if !args.stand_in.is_empty() {
        let (systems, users): (Vec<_>, Vec<_>) = args
            .stand_in
            .iter()
            .cloned()
            .partition(|name| name.starts_with("http://"));
        super::agent::stand_in(&loaded, &book, server.address, &users)?;
        for system in &systems {
            // Another demo on this machine may play it already.
            if let Err(error) = super::stand_in::start(system) {
                eprintln!("careline: {error:#}");
            }
        }
    }

    loop {
        tokio::select! {
                    Some(note) = shown.recv() => {
                        tell(&line(&loaded.helpdesk, &note));
                    }
                    _ = terminate.recv() => {
                        let patience = Duration::from_secs(loaded.process.limits.drain_s);
                        let ended = drain(&server, tell, patience, &mut terminate, &mut interrupt);
                        tokio::pin!(ended);
                        loop {
                            tokio::select! {
                                Some(note) = shown.recv() => tell(&line(&loaded.helpdesk, &note)),
                                () = &mut ended => break,
                            }
                        }
                        break;
                    }
                    _ = interrupt.recv() => {
                        let calls = server.status().await.map_or(0, |status| status.calls);
                        tell(&format!(
        "Stopping: {calls} calls in progress are hung up on (SIGTERM would let them end)"
        ));
                        break;
                    }
                    _ = hang_up.recv() => {
                        match server.reload_certificates() {
                            Ok(()) if server.tls_port.is_some() => tell("Certificates read anew"),
                            Ok(()) => {}
                            Err(error) => log::complain(
                                format,
                                &format!("the old certificate stays in use: {error}"),
                            ),
                        }
                        let publisher = std::sync::Arc::clone(&server.publisher);
                        let dir = loaded.config_dir.clone();
                        // Prompts may have to be rendered: meanwhile notes are shown.
                        tokio::task::spawn_blocking(move || match publisher.apply(&dir, false) {
                            Ok(plan) => log::tell(format, plan.to_string().trim_end()),
                            Err(error) => {
                                log::complain(format, &format!("what was served stays: {error}"));
                            }
                        });
                    }
                    // Better no Careline, which its supervisor starts anew, than a deaf one.
                    error = server.failed() => return Err(error.into()),
                }
    }
    server.stop().await;
    let _ = std::fs::remove_file(crate::control::socket(&loaded.data_dir));
    while let Ok(note) = shown.try_recv() {
        tell(&line(&loaded.helpdesk, &note));
    }
    tell("Stopped");
    Ok(ExitCode::SUCCESS)
}

/// No new calls; those in progress may end by themselves.
async fn drain(
    server: &Server,
    tell: impl Fn(&str),
    patience: Duration,
    terminate: &mut tokio::signal::unix::Signal,
    interrupt: &mut tokio::signal::unix::Signal,
) {
    server.drain().await;
    if let Some(status) = server.status().await
        && status.calls > 0
    {
        tell(&format!(
            "Stopping: no new calls; {} in progress may go on for {} s (another signal ends them now)",
            status.calls,
            patience.as_secs()
        ));
    }
    let left = async |what: fn(&crate::node::Status) -> u32| {
        while server
            .status()
            .await
            .is_some_and(|status| what(&status) > 0)
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let patiently = async {
        tokio::time::sleep(patience).await;
        // Who has called for help isn't hung up on, however long it takes.
        left(|status| status.emergency_calls).await;
    };
    tokio::select! {
        () = left(|status| status.calls) => {}
        () = patiently => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// A station of a call, for the terminal. No personal data.
fn line(helpdesk: &HelpDesk, note: &switch::Note) -> String {
    let hospital = helpdesk
        .hospitals
        .iter()
        .find(|hospital| hospital.id == note.tenant.0)
        .map_or(helpdesk.operator.as_str(), |hospital| {
            hospital.name.as_str()
        });
    let name = |id: &desk::AgentId| {
        let known = helpdesk.agents.iter().find(|agent| agent.id == id.0);
        known.map_or_else(|| format!("agent {}", id.0), |agent| agent.user.clone())
    };
    let what = match &note.what {
        NoteWhat::Consults(about) => format!("asks a colleague about contact {}", about.0),
        NoteWhat::Arrived => "call".to_owned(),
        NoteWhat::Answered => "answered".to_owned(),
        NoteWhat::Queued(queue) => format!("waits in queue {queue}"),
        NoteWhat::Dialled(number) => {
            let mut lines = helpdesk
                .hospitals
                .iter()
                .flat_map(|hospital| &hospital.lines);
            let line = lines.find(|line| line.number == number.trim_start_matches('+'));
            let short = line.and_then(|line| line.short.as_deref());
            format!("dialled {}", short.unwrap_or(number))
        }
        NoteWhat::Ticket(number) => format!("ticket {number}"),
        NoteWhat::Offered(_, agent) => format!("{}'s phone rings", name(agent)),
        NoteWhat::OfferFailed(why) => format!("not taken: {}", refusal(*why)),
        NoteWhat::Connected(_, agent) => format!("talks with {}", name(agent)),
        NoteWhat::Broken => "agent's side lost; waits again".to_owned(),
        NoteWhat::PartnerCalled(partner) => format!("partner {partner} is called"),
        NoteWhat::CallsBack => "somebody is called back".to_owned(),
        NoteWhat::OutsideCalled => "a number outside is called".to_owned(),
        NoteWhat::TargetForbidden(agent) => {
            let agent = name(&desk::AgentId(agent.0));
            format!("{agent} may not send it there: dial rules")
        }
        NoteWhat::Redirected { followed: true } => "sent on by the trunk".to_owned(),
        NoteWhat::Redirected { followed: false } => {
            "the trunk would send it on: not followed".to_owned()
        }
        NoteWhat::Action(action, how) => format!("action {action}: {how:?}"),
        NoteWhat::FlowTargetForbidden => {
            "the flow sends it where the dial rules don't lead: refused".to_owned()
        }
        NoteWhat::Transferred => "talks with the partner or outside".to_owned(),
        NoteWhat::TakenBack(why) => format!("taken back: {why:?}"),
        NoteWhat::OneWayAudio(NoteSide::Caller, OneWay::Unheard) => {
            "the caller hears nothing".to_owned()
        }
        NoteWhat::OneWayAudio(NoteSide::Agent, OneWay::Unheard) => {
            "the agent hears nothing".to_owned()
        }
        NoteWhat::OneWayAudio(NoteSide::Caller, why) => format!("the caller isn't heard: {why:?}"),
        NoteWhat::OneWayAudio(NoteSide::Agent, why) => format!("the agent isn't heard: {why:?}"),
        NoteWhat::NotEncrypted(NoteSide::Caller) => {
            "refused: encryption is required, and the caller's phone can't".to_owned()
        }
        NoteWhat::NotEncrypted(NoteSide::Agent) => {
            "encryption is required, and the agent's phone can't".to_owned()
        }
        NoteWhat::NowInClear(side) => format!("encrypted no longer: {side:?}"),
        NoteWhat::AnswerUnusable(side) => format!("an answer that can't be used: {side:?}"),
        NoteWhat::TextTelephone => "the caller types (TTY)".to_owned(),
        NoteWhat::Emergency {
            account,
            number,
            step,
        } => format!("EMERGENCY CALL to {number} from {account}: {step:?}"),
        NoteWhat::Panicked => "ended by a bug: see the log".to_owned(),
        NoteWhat::Ended(cause) => format!("ended: {}", ending(*cause)),
    };
    format!(
        "{} {:>16}  {hospital}: {what}",
        time_of_day(wall()),
        note.contact.0
    )
}

/// The time of day of a moment (Unix milliseconds), in UTC as in the log.
fn time_of_day(at: i64) -> String {
    let second = at.div_euclid(1_000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Why a call ended, in words.
fn ending(cause: EndCause) -> &'static str {
    match cause {
        EndCause::CallerHungUp => "the caller hung up",
        EndCause::AgentHungUp => "the other side hung up",
        EndCause::FlowEnded => "the flow was through",
        EndCause::SystemFailure => "a failure of ours, or a connection lost",
        EndCause::NotEncrypted => "encryption is required, and the caller's phone can't",
        EndCause::Stopped => "Careline was stopped",
    }
}

/// Why an agent's phone wasn't answered, in words.
fn refusal(why: acd::Refusal) -> &'static str {
    match why {
        acd::Refusal::NoAnswer => "nobody answered",
        acd::Refusal::Declined => "busy or declined",
        acd::Refusal::Unreachable => "the phone can't be reached",
        acd::Refusal::ContactGone => "the caller no longer waits",
        acd::Refusal::Rescinded => "it goes to somebody else",
    }
}

/// What to dial and as whom to register.
fn welcome(helpdesk: &HelpDesk, address: SocketAddr) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let _ = writeln!(text, "\n{}\n", helpdesk.operator);
    let _ = writeln!(text, "  Dial           what answers");
    for hospital in &helpdesk.hospitals {
        for line in &hospital.lines {
            let short = line.short.as_deref().unwrap_or(&line.number);
            let what = match line.flow.as_str() {
                "clinician" => "clinicians: no menu, straight to a person",
                "staff" => "staff line: clinician 1, hospital staff 2, patient 3",
                "patient" => "patient portal: 0 for a person",
                "portal" => {
                    "patient portal after hours: 2, and the partner takes the call or gives it back"
                }
                "status" => "patients with a ticket number: how it stands, and whoever has it",
                "systems" => "whether a system works, as the hospital's own status page knows it",
                "extension" => "whoever has the extension that is keyed in: 7004 in the demo",
                "location" => "theatre, ICU, ED: no key is ever needed",
                other => other,
            };
            let _ = writeln!(
                text,
                "  {short:<6} {:<13} {}: {what}",
                line.number, hospital.name
            );
        }
    }
    let _ = writeln!(
        text,
        "\n  SIP accounts   register at {address}, user / secret"
    );
    for agent in &helpdesk.agents {
        let _ = writeln!(
            text,
            "  {:<14} {:<16} {} ({}): takes calls from {}",
            agent.user,
            agent.secret,
            agent.name,
            agent.tier,
            agent.queues.join(", ")
        );
    }
    for hospital in &helpdesk.hospitals {
        for phone in &hospital.phones {
            let _ = writeln!(
                text,
                "  {:<14} {:<16} a caller's phone at {}",
                phone.user, phone.secret, hospital.name
            );
        }
    }
    let _ = writeln!(
        text,
        "\n  Register an analyst (ana) on one phone and a caller (okafor) on another, dial 1001 from\n  \
         the caller. In the queue: * hears the ticket number again.\n  \
         No phone at hand? In another terminal: make call\n"
    );
    text
}

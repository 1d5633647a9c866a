//! A call told on the terminal, line by line.

use std::time::Duration;

use super::event::{PhoneEvent, PhoneEventKind};
use super::hearing::{HearingEvent, Sound};
use super::report::{CallReport, HungUpBy};

/// Most characters of a prompt that are printed.
const TEXT_MAX: usize = 90;
/// Shorter stretches of silence or unknown voice are not worth a line.
const WORTH_TELLING: Duration = Duration::from_millis(1_500);

/// Writes one line an event, with the time since the call was placed: `00:01.2  heard     "Welcome." (…)`.
///
/// Everything is told when it begins, unknown words and silence when they end, a prompt once more at its end if it
/// didn't arrive whole and as it was sent. With
/// [`Printer::naming`], markers are told by the name of whom they belong to.
#[derive(Debug, Default)]
pub struct Printer {
    names: Vec<(super::Marker, String)>,
    /// When the call began.
    began: Option<Duration>,
    /// When it was answered: what is heard counts from there.
    answered: Option<Duration>,
}

impl Printer {
    /// A printer that knows whose marker is whose.
    pub fn naming(names: Vec<(super::Marker, String)>) -> Printer {
        Printer {
            names,
            ..Printer::default()
        }
    }

    /// The line for an event, with the time since its call began; none for those nobody would miss.
    pub fn line(&mut self, event: &PhoneEvent) -> Option<String> {
        let (at, told) = self.told(event)?;
        let since = at.saturating_sub(self.began.unwrap_or_default());
        Some(format!("{}  {told}", moment(since)))
    }

    /// The same without a time, and when it happened, since the phone started.
    pub fn told(&mut self, event: &PhoneEvent) -> Option<(Duration, String)> {
        let mut at = event.at;
        let (what, detail) = match &event.kind {
            PhoneEventKind::Registered { expires } => {
                ("registered", format!("for {} s", expires.as_secs()))
            }
            PhoneEventKind::RegistrationFailed { code: Some(403) } => (
                "refused",
                "registration: 403, a wrong secret, or too many of them from this address (for 5 minutes)".to_owned(),
            ),
            PhoneEventKind::RegistrationFailed { code: Some(code) } => {
                ("refused", format!("registration: {code}"))
            }
            PhoneEventKind::RegistrationFailed { code: None } => (
                "refused",
                "registration: no answer; does Careline run there?".to_owned(),
            ),
            PhoneEventKind::Unregistered => ("left", "registration taken back".to_owned()),
            PhoneEventKind::Dialling { number } => {
                self.began = Some(event.at);
                self.answered = None;
                ("calling", number.clone())
            }
            PhoneEventKind::Incoming {
                from,
                display,
                ticket,
            } => {
                self.began = Some(event.at);
                self.answered = None;
                let name = display
                    .as_ref()
                    .map(|name| format!("{name}, "))
                    .unwrap_or_default();
                let ticket = ticket
                    .as_ref()
                    .map(|ticket| format!(" (ticket {ticket})"))
                    .unwrap_or_default();
                ("call from", format!("{name}{from}{ticket}"))
            }
            PhoneEventKind::Ringing { code: 180 } => ("ringing", String::new()),
            PhoneEventKind::Ringing { code } => ("progress", code.to_string()),
            PhoneEventKind::Answered => {
                self.answered = Some(event.at);
                ("answered", String::new())
            }
            PhoneEventKind::Heard(heard) => {
                let (what, detail, since_answer) = self.heard(heard)?;
                at = self.answered.unwrap_or_default() + since_answer;
                (what, detail)
            }
            PhoneEventKind::KeyHeard { key } => ("key heard", key.to_string()),
            PhoneEventKind::Pressed { keys } => ("pressed", keys.clone()),
            PhoneEventKind::Changed { on_hold: true } => ("on hold", String::new()),
            PhoneEventKind::Changed { on_hold: false } => ("session", "changed".to_owned()),
            PhoneEventKind::ScriptGaveUp { step } => ("waited", format!("in vain for {step}")),
            PhoneEventKind::ScriptEnded => return None,
            PhoneEventKind::Ended(report) => ("ended", ending(report)),
        };
        let told = format!("{what:<11}{detail}");
        Some((at, told.trim_end().to_owned()))
    }

    /// What is said of something heard, and when it happened.
    fn heard(&self, event: &HearingEvent) -> Option<(&'static str, String, Duration)> {
        match event {
            HearingEvent::Began { sound, from } => {
                let (what, detail) = match sound {
                    Sound::Prompt { text, .. } => ("heard", format!("\"{}\"", short(text))),
                    Sound::Voice | Sound::Silence => return None,
                    Sound::Music { identical: true } => ("music", String::new()),
                    Sound::Music { identical: false } => ("music", "(transcoded)".to_owned()),
                    Sound::RingBack => ("ringing", "(ring-back tone)".to_owned()),
                    Sound::Tone(marker) => {
                        let name = self.names.iter().find(|(known, _)| known == marker);
                        let detail = match name {
                            Some((_, name)) => format!("with {name} (tone {marker})"),
                            None => format!("with tone {marker}"),
                        };
                        ("speaking", detail)
                    }
                };
                Some((what, detail, *from))
            }
            HearingEvent::Ended { sound, from, to } => match sound {
                Sound::Prompt {
                    text,
                    from_ms,
                    frames,
                    span_frames,
                    of_frames,
                    identical,
                } => {
                    let how = match identical {
                        true if frames == of_frames => return None,
                        true if frames < span_frames => {
                            format!("{} frames lost", span_frames - frames)
                        }
                        true => "cut short".to_owned(),
                        false => "recognised by its sound, not its bits".to_owned(),
                    };
                    let start = if *from_ms > 0 {
                        format!(", from {:.1} s in", f64::from(*from_ms) / 1_000.0)
                    } else {
                        String::new()
                    };
                    Some((
                        "",
                        format!(
                            "\"{}\": {how}, {frames} of {of_frames} frames{start}",
                            short(text)
                        ),
                        *to,
                    ))
                }
                Sound::Voice if to.saturating_sub(*from) > WORTH_TELLING => Some((
                    "heard",
                    format!(
                        "unknown words for {:.1} s",
                        to.saturating_sub(*from).as_secs_f64()
                    ),
                    *to,
                )),
                Sound::Silence if to.saturating_sub(*from) > WORTH_TELLING => Some((
                    "silence",
                    format!("for {:.1} s", to.saturating_sub(*from).as_secs_f64()),
                    *to,
                )),
                _ => None,
            },
        }
    }
}

/// A time as it stands before a line: `01:02.3`.
pub fn moment(since: Duration) -> String {
    let tenths = since.as_millis() / 100;
    format!(
        "{:02}:{:02}.{}",
        tenths / 600,
        tenths / 10 % 60,
        tenths % 10
    )
}

fn short(text: &str) -> String {
    if text.chars().count() <= TEXT_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(TEXT_MAX - 1).collect();
    short.push('…');
    short
}

fn ending(report: &CallReport) -> String {
    let mut line = match &report.hung_up_by {
        HungUpBy::Us => "hung up: by us".to_owned(),
        HungUpBy::Them => "hung up: by the other side".to_owned(),
        HungUpBy::Cancelled => "the caller gave up".to_owned(),
        HungUpBy::Refused(code) => format!("refused: {code}{}", meaning(*code)),
        HungUpBy::Failed(why) => format!("failed: {why}"),
    };
    if let Some(reason) = &report.reason {
        line.push_str(&format!(" ({reason})"));
    }
    line
}

/// What an answer code means to whoever dialled.
fn meaning(code: u16) -> &'static str {
    match code {
        401 | 403 | 407 => " (not allowed: a phone here needs a user and a secret)",
        404 => " (no such number)",
        480 => " (nobody there)",
        486 | 600 => " (busy)",
        603 => " (declined)",
        500..=599 => " (the other side can't take calls now)",
        _ => "",
    }
}

/// The figures of a call, for whoever looks into its audio: some lines for after its end.
pub fn details(report: &CallReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(share) = report.identical_share() {
        lines.push(format!(
            "prompts    {} heard, {:.1} % of their frames bit-identical and in order",
            report.prompts().count(),
            share * 100.0
        ));
    }
    if report.gaps.count() > 0 {
        let ms = |share| report.gaps.percentile(share).as_secs_f64() * 1_000.0;
        lines.push(format!(
            "packets    {} received, {} lost, {} sent; pauses p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}, longest {:.1}",
            report.rtp.packets_received,
            report.rtp.packets_lost,
            report.rtp.packets_sent,
            ms(0.5),
            ms(0.99),
            ms(0.999),
            report.gaps.max().as_secs_f64() * 1_000.0
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{CallId, Marker};
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_call_reads_like_a_story() {
        let mut printer = Printer::naming(vec![(Marker::new(0), "Ana Reyes".to_owned())]);
        let mut check = |at: u64, kind: PhoneEventKind, expected: Option<&str>| {
            let line = printer.line(&PhoneEvent {
                at: ms(at),
                call: Some(CallId(1)),
                kind,
            });
            assert_eq!(line.as_deref(), expected);
        };
        let prompt = |from_ms, frames, span_frames, identical| Sound::Prompt {
            text: "Welcome.".into(),
            from_ms,
            frames,
            span_frames,
            of_frames: 98,
            identical,
        };
        let ended = |sound, from, to| {
            PhoneEventKind::Heard(HearingEvent::Ended {
                sound,
                from: ms(from),
                to: ms(to),
            })
        };
        let began = |sound, from| {
            PhoneEventKind::Heard(HearingEvent::Began {
                sound,
                from: ms(from),
            })
        };
        check(
            5_000,
            PhoneEventKind::Dialling {
                number: "1001".into(),
            },
            Some("00:00.0  calling    1001"),
        );
        check(
            5_100,
            PhoneEventKind::Ringing { code: 180 },
            Some("00:00.1  ringing"),
        );
        check(5_200, PhoneEventKind::Answered, Some("00:00.2  answered"));
        check(
            5_900,
            began(prompt(0, 5, 5, true), 100),
            Some("00:00.3  heard      \"Welcome.\""),
        );
        check(8_000, ended(prompt(0, 98, 98, true), 1_000, 2_960), None);
        check(
            8_000,
            ended(prompt(0, 96, 98, true), 1_000, 2_960),
            Some("00:03.1             \"Welcome.\": 2 frames lost, 96 of 98 frames"),
        );
        check(
            8_000,
            ended(prompt(0, 50, 50, true), 1_000, 2_000),
            Some("00:02.2             \"Welcome.\": cut short, 50 of 98 frames"),
        );
        check(
            8_000,
            ended(prompt(600, 60, 68, false), 1_000, 2_000),
            Some(
                "00:02.2             \"Welcome.\": recognised by its sound, not its bits, 60 of 98 frames, from 0.6 s in",
            ),
        );
        check(
            8_000,
            PhoneEventKind::Pressed { keys: "1".into() },
            Some("00:03.0  pressed    1"),
        );
        check(
            9_500,
            began(Sound::Music { identical: true }, 4_200),
            Some("00:04.4  music"),
        );
        check(
            11_500,
            began(Sound::Tone(Marker::new(0)), 5_900),
            Some("00:06.1  speaking   with Ana Reyes (tone 440)"),
        );
        check(
            11_500,
            began(Sound::Tone(Marker::new(1)), 5_900),
            Some("00:06.1  speaking   with tone 620"),
        );
        check(11_500, ended(Sound::Silence, 1_000, 2_100), None);
        check(
            11_500,
            ended(Sound::Silence, 65_000, 67_100),
            Some("01:07.3  silence    for 2.1 s"),
        );
        check(
            11_500,
            ended(Sound::Voice, 65_000, 66_600),
            Some("01:06.8  heard      unknown words for 1.6 s"),
        );
    }
}

//! A voice that is somebody else's program: piper, espeak-ng, flite, a script.
//!
//! The program gets normalised text and writes a WAV file to its standard
//! output. Nothing of it is trusted: it has a time limit and an output limit,
//! runs in a process group of its own that is killed as a whole, and what it
//! writes is parsed with bounds.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::resample::Resampler;
use crate::{Pcm, SpeechError};

/// A command that speaks: text in, WAV on its standard output.
#[derive(Clone, Debug)]
pub struct CommandVoice {
    /// The program.
    pub program: PathBuf,
    /// Its arguments. An argument `{text}` is replaced by the text (after a
    /// blank if it begins with `-`, or it would be read as an option); without
    /// one, the text is written to the standard input.
    pub args: Vec<OsString>,
    /// It is killed after this long.
    pub timeout: Duration,
    /// It is killed when it writes more than this.
    pub output_bytes_max: usize,
}

impl CommandVoice {
    /// A command with the usual limits: 10 s, 32 MiB.
    pub fn new(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            timeout: Duration::from_secs(10),
            output_bytes_max: 32 * 1024 * 1024,
        }
    }

    /// Names this voice in the cache: the command line.
    pub fn identity(&self) -> String {
        let mut line = format!("command\0{}", self.program.display());
        for arg in &self.args {
            line.push('\0');
            line.push_str(&arg.to_string_lossy());
        }
        line
    }

    /// Speaks normalised text.
    ///
    /// # Errors
    /// The program can't be started, fails, takes too long, writes too much
    /// or something else than WAV.
    pub fn say(&self, text: &str) -> Result<Pcm, SpeechError> {
        let wav = self.run(text)?;
        decode(&wav)
            .map_err(|reason| SpeechError::Backend(format!("{}: {reason}", self.program.display())))
    }

    fn run(&self, text: &str) -> Result<Vec<u8>, SpeechError> {
        let failed =
            |what: String| SpeechError::Backend(format!("{}: {what}", self.program.display()));
        let deadline = Instant::now() + self.timeout;
        let as_argument = self.args.iter().any(|arg| arg == "{text}");
        let mut command = Command::new(&self.program);
        let argument = match text.starts_with('-') {
            true => format!(" {text}"),
            false => text.to_owned(),
        };
        for arg in &self.args {
            command.arg(if arg == "{text}" {
                argument.as_ref()
            } else {
                arg.as_os_str()
            });
        }
        let mut child = command
            .stdin(if as_argument {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;

        // The text is far smaller than a pipe's buffer; a program that closes
        // its input early is its own affair.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(text.as_bytes());
            let _ = stdin.write_all(b"\n");
        }
        let Some(stdout) = child.stdout.take() else {
            stop(&mut child);
            return Err(failed("no output".to_owned()));
        };
        let limit = self.output_bytes_max;
        let (tx, rx) = mpsc::sync_channel(1);
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let result = stdout.take(limit as u64 + 1).read_to_end(&mut bytes);
            let _ = tx.send(result.map(|_| bytes));
        });
        let output = rx.recv_timeout(self.timeout);
        let mut ended = false;
        if output.is_ok() {
            // Output is complete: the program is as good as gone.
            while !ended && Instant::now() < deadline {
                ended = has_ended(&child);
                if !ended {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
        let status = stop(&mut child).filter(|_| ended);
        let _ = reader.join();
        let Ok(output) = output else {
            return Err(SpeechError::Timeout {
                limit_ms: self.timeout.as_millis() as u64,
            });
        };
        let bytes = output.map_err(|error| failed(error.to_string()))?;
        if bytes.len() > limit {
            return Err(failed(format!("more than {limit} bytes of output")));
        }
        match status {
            Some(status) if status.success() => Ok(bytes),
            Some(status) => Err(failed(status.to_string())),
            None => Err(SpeechError::Timeout {
                limit_ms: self.timeout.as_millis() as u64,
            }),
        }
    }
}

/// Whether it has ended. Its exit status is left where it is: until that is
/// taken, nobody else can have its id, nor that of its group.
fn has_ended(child: &Child) -> bool {
    let Ok(id) = i32::try_from(child.id()) else {
        return false;
    };
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let state = waitid(Id::Pid(Pid::from_raw(id)), flags);
    state.is_ok_and(|state| state != WaitStatus::StillAlive)
}

/// Kills the program with everything it started, and then takes its exit status.
fn stop(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    child.wait().ok()
}

/// 16-bit PCM WAV → 24 kHz mono. Programs that write to a pipe don't know the
/// length in advance: the data goes to the end of what there is.
fn decode(wav: &[u8]) -> Result<Pcm, &'static str> {
    if wav.len() < 12 || &wav[..4] != b"RIFF" || &wav[8..12] != b"WAVE" {
        return Err("not a WAV file");
    }
    let u16_at = |at: usize| {
        wav.get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    let u32_at = |at: usize| {
        wav.get(at..at + 4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    };
    let mut at = 12;
    let mut format = None;
    while let (Some(name), Some(size)) = (wav.get(at..at + 4), u32_at(at + 4)) {
        let body = at + 8;
        let size = size as usize;
        match name {
            b"fmt " => {
                let (Some(kind), Some(channels), Some(rate), Some(bits)) = (
                    u16_at(body),
                    u16_at(body + 2),
                    u32_at(body + 4),
                    u16_at(body + 14),
                ) else {
                    return Err("broken WAV header");
                };
                // 0xFFFE is the extensible format; its 16 bits are PCM too.
                if !matches!(kind, 1 | 0xFFFE) || bits != 16 || !(1..=2).contains(&channels) {
                    return Err("not 16-bit PCM with one or two channels");
                }
                if !(8_000..=48_000).contains(&rate) {
                    return Err("sampling rate outside 8 to 48 kHz");
                }
                format = Some((usize::from(channels), rate));
            }
            b"data" => {
                let Some((channels, rate)) = format else {
                    return Err("data before format");
                };
                let end = body.saturating_add(size).min(wav.len());
                let mut mono: Vec<f32> = Vec::with_capacity((end - body) / 2 / channels);
                for frame in wav[body..end].chunks_exact(2 * channels) {
                    let sum: i32 = frame
                        .chunks_exact(2)
                        .map(|b| i32::from(i16::from_le_bytes([b[0], b[1]])))
                        .sum();
                    mono.push(sum as f32 / channels as f32);
                }
                return Ok(to_24k(&mono, rate));
            }
            _ => {}
        }
        at = body.saturating_add(size).saturating_add(size & 1);
    }
    Err("no audio in the WAV file")
}

fn to_24k(mono: &[f32], rate: u32) -> Pcm {
    let round = |s: &f32| s.round().clamp(-32_768.0, 32_767.0) as i16;
    if rate == Pcm::RATE_HZ {
        return Pcm {
            samples: mono.iter().map(round).collect(),
        };
    }
    // Odd rates would need a huge filter bank; the telephone hears 4 kHz, so
    // the nearest multiple of 50 Hz (0.3 % at most) is the same to it.
    let rate = (rate + 25) / 50 * 50;
    let narrower = f64::from(rate.min(Pcm::RATE_HZ)) / 2.0;
    let resampler = Resampler::new(rate, Pcm::RATE_HZ, narrower * 0.85, narrower);
    Pcm {
        samples: resampler.run(mono).iter().map(round).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate: u32, channels: u16, frames: u32, data_size: u32) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0");
        out.extend_from_slice(&channels.to_le_bytes());
        out.extend_from_slice(&rate.to_le_bytes());
        out.extend_from_slice(&(rate * 2).to_le_bytes());
        out.extend_from_slice(&[2, 0, 16, 0]);
        out.extend_from_slice(b"data");
        out.extend_from_slice(&data_size.to_le_bytes());
        for n in 0..frames * u32::from(channels) {
            out.extend_from_slice(&((n % 100) as i16 * 50).to_le_bytes());
        }
        out
    }

    fn shell(script: &str, timeout_ms: u64, output_bytes_max: usize) -> CommandVoice {
        CommandVoice {
            timeout: Duration::from_millis(timeout_ms),
            output_bytes_max,
            ..CommandVoice::new("/bin/sh", ["-c", script])
        }
    }

    #[test]
    fn wav_of_any_usual_shape_is_read() {
        for (rate, channels) in [
            (24_000, 1),
            (22_050, 1),
            (8_000, 1),
            (44_100, 2),
            (11_025, 1),
        ] {
            for data_size in [rate * 2 * u32::from(channels), 0x7FFF_F000, u32::MAX] {
                let pcm = decode(&wav(rate, channels, rate, data_size)).unwrap();
                let length = pcm.samples.len() as i64;
                assert!((length - 24_000).abs() <= 60, "{rate} {channels}: {length}");
            }
        }
    }

    #[test]
    fn anything_else_is_refused_without_panic() {
        let good = wav(8_000, 1, 100, 200);
        for cut in 0..good.len() {
            let _ = decode(&good[..cut]);
        }
        for at in 0..44 {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = decode(&bad);
            }
        }
        assert!(decode(b"").is_err());
        assert!(decode(&wav(96_000, 1, 10, 20)).is_err());
    }

    #[test]
    fn a_program_speaks() {
        let path =
            std::env::temp_dir().join(format!("careline-command-{}.wav", std::process::id()));
        std::fs::write(&path, wav(8_000, 1, 8_000, 16_000)).unwrap();
        let script = format!(
            "read text; test \"$text\" = Hello. && cat {}",
            path.display()
        );
        let pcm = shell(&script, 5_000, 1 << 20).say("Hello.");
        let other = shell(&script, 5_000, 1 << 20).say("Bye.");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(pcm.unwrap().samples.len(), 24_000);
        assert!(matches!(other, Err(SpeechError::Backend(_))));
    }

    #[test]
    fn a_text_is_no_option() {
        let voice = |text: &str| {
            let script = "test \"$1\" = \" -v\" || exit 3; exit 4";
            let args = ["-c", script, "sh", "{text}"];
            CommandVoice::new("/bin/sh", args).say(text)
        };
        let said = |text| voice(text).unwrap_err().to_string();
        assert!(said("-v").contains('4'), "{}", said("-v"));
        assert!(said("v").contains('3'), "{}", said("v"));
    }

    #[test]
    fn whoever_has_ended_keeps_its_id_until_its_group_is_gone() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "exit 7"])
            .process_group(0)
            .spawn()
            .unwrap();
        while !has_ended(&child) {
            thread::yield_now();
        }
        // Still ours: to a process that was waited for, nothing can be sent.
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert_eq!(killpg(id, None), Ok(()));
        assert_eq!(stop(&mut child).and_then(|status| status.code()), Some(7));
        assert!(killpg(id, None).is_err());
    }

    #[test]
    fn a_program_that_hangs_or_floods_is_stopped() {
        let start = Instant::now();
        let hung = shell("sleep 60", 200, 1_000).say("Hello.");
        assert_eq!(hung, Err(SpeechError::Timeout { limit_ms: 200 }));
        // A grandchild that keeps the pipe open is killed as well.
        let forked = shell("sleep 60 & exit 0", 200, 1_000).say("Hello.");
        assert_eq!(forked, Err(SpeechError::Timeout { limit_ms: 200 }));
        let flood = shell("exec cat /dev/zero", 5_000, 10_000).say("Hello.");
        assert!(
            matches!(
                flood,
                Err(SpeechError::Backend(_) | SpeechError::Timeout { .. })
            ),
            "{flood:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
        let missing = CommandVoice::new("/nonexistent/voice", [""]).say("Hello.");
        assert!(matches!(missing, Err(SpeechError::Backend(_))));
    }
}

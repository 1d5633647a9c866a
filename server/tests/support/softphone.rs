//! baresip, somebody else's telephone: driven by its control port, known by the SIP it traced and by what it recorded
//! of what it heard.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use desk::TicketNumber;
use media::clip::Clip;
use media::codec::{Codec, FRAME_SAMPLES};

use super::ear::{loud_frame, pitch_share};
use super::house::SOON;
use super::{Server, free_port, scratch};

/// What the caller, the agent and a colleague hum.
pub const CALLER_HZ: f64 = 440.0;
pub const AGENT_HZ: f64 = 620.0;
pub const COLLEAGUE_HZ: f64 = 880.0;

/// A baresip of its own folder and ports; killed when dropped.
pub struct Baresip {
    child: Child,
    dir: PathBuf,
    control: TcpStream,
    keys: u16,
    /// Everything it told through its control port.
    told: Arc<Mutex<String>>,
}

/// How a phone reaches the server.
#[derive(Debug, Clone)]
pub enum By {
    Udp,
    Tcp,
    /// With the authority whose certificates it takes.
    Tls(PathBuf),
    /// The same, and how it encrypts audio: `srtp` may, `srtp-mand` must.
    Srtp(PathBuf, &'static str),
    /// The same, always encrypted; and its description names another address than it sends from.
    Away(PathBuf),
    /// By UDP, and it speaks G.722 alone. What it records has twice the samples.
    Wide,
    /// By UDP, all of it through the proxy at this address.
    Proxy(SocketAddr),
    /// By IPv6, signalling and audio: UDP, or TCP.
    V6 {
        tcp: bool,
    },
}

impl By {
    /// What stands behind the `@` of a URI.
    pub fn host(&self, server: &Server) -> String {
        match self {
            By::Udp | By::Wide | By::Proxy(_) | By::V6 { tcp: false } => server.address.to_string(),
            By::Tcp | By::V6 { tcp: true } => format!("{};transport=tcp", server.address),
            By::Tls(_) | By::Srtp(..) | By::Away(_) => {
                format!("127.0.0.1:{};transport=tls", server.tls_port())
            }
        }
    }
}

impl Baresip {
    /// Starts with one account: `user`, with a secret it registers.
    pub fn start(
        server: &Server,
        test: &str,
        user: &str,
        secret: Option<&str>,
        hertz: f64,
    ) -> Self {
        Self::start_by(&By::Udp, server, test, user, secret, hertz)
    }

    pub fn start_by(
        by: &By,
        server: &Server,
        test: &str,
        user: &str,
        secret: Option<&str>,
        hertz: f64,
    ) -> Self {
        // Somebody else may take a port between our asking and its use.
        for _ in 0..5 {
            if let Some(baresip) = Self::try_start(by, server, test, user, secret, hertz) {
                return baresip;
            }
        }
        panic!("baresip doesn't start; run `tools/needs.sh test`");
    }

    fn try_start(
        by: &By,
        server: &Server,
        test: &str,
        user: &str,
        secret: Option<&str>,
        hertz: f64,
    ) -> Option<Self> {
        let dir = scratch(&format!("baresip-{test}")).join(user);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a folder");
        let tone = dir.join("tone.wav");
        let (codec, rate) = match by {
            By::Wide => ("G722/16000/1", 16_000),
            _ => ("PCMU", 8_000),
        };
        std::fs::write(&tone, hum(hertz, 90, rate)).expect("written");
        let (control, keys) = (free_port(), free_port());
        let mut config = String::new();
        // One of them as it comes: where there is a network it says an address of that in its SDP,
        // and sends from loopback.
        let v6 = matches!(by, By::V6 { .. });
        if v6 {
            let _ = writeln!(config, "net_interface ::1");
        } else if matches!(by, By::Away(_)) {
            let _ = writeln!(config, "net_interface 127.0.0.3");
        } else if user != "okafor" {
            let _ = writeln!(config, "net_interface 127.0.0.1");
        }
        for line in [
            format!("sip_listen {}:0", if v6 { "[::1]" } else { "127.0.0.1" }),
            "module_path /usr/lib/baresip/modules".into(),
            "module g711.so".into(),
            "module g722.so".into(),
            "module aufile.so".into(),
            "module sndfile.so".into(),
            "module_app account.so".into(),
            "module_app menu.so".into(),
            "module ctrl_tcp.so".into(),
            "module cons.so".into(),
            format!("ctrl_tcp_listen 127.0.0.1:{control}"),
            format!("cons_listen 127.0.0.1:{keys}"),
            format!("audio_source aufile,{}", tone.display()),
            // Where it records what it says and hears.
            format!("snd_path {}", dir.display()),
            "statmode_default off".into(),
        ] {
            let _ = writeln!(config, "{line}");
        }
        if let By::Tls(authority) | By::Srtp(authority, _) | By::Away(authority) = by {
            let _ = writeln!(config, "sip_cafile {}", authority.display());
        }
        let mut settings = format!(";audio_codecs={codec}");
        let encrypts = match by {
            By::Srtp(_, how) => Some(*how),
            By::Away(_) => Some("srtp-mand"),
            _ => None,
        };
        if let Some(how) = encrypts {
            let _ = writeln!(config, "module srtp.so");
            let _ = write!(settings, ";mediaenc={how}");
        }
        std::fs::write(dir.join("config"), config).expect("written");
        let host = by.host(server);
        let account = match secret {
            Some(secret) => format!("<sip:{user}@{host}>;auth_pass={secret}"),
            None => format!("<sip:{user}@{host}>;regint=0"),
        };
        if let By::Proxy(address) = by {
            let _ = write!(settings, ";outbound=\"sip:{address}\"");
        }
        std::fs::write(dir.join("accounts"), account + &settings + "\n").expect("written");
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let child = Command::new("baresip")
            .arg("-s")
            .arg("-f")
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("baresip: run `tools/needs.sh test`");
        let mut child = Kill(Some(child));
        let until = Instant::now() + SOON;
        let control = loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", control)) {
                break stream;
            }
            let ended = child.0.as_mut()?.try_wait().ok()?.is_some();
            if ended || Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let told = Arc::new(Mutex::new(String::new()));
        let (mut reader, copy) = (control.try_clone().ok()?, Arc::clone(&told));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                copy.lock().unwrap().push_str(&text);
            }
        });
        let baresip = Self {
            child: child.0.take()?,
            dir,
            control,
            keys,
            told,
        };
        if secret.is_some() {
            baresip.registered();
        }
        Some(baresip)
    }

    /// Waits until its first request was answered with 200. (It may have told
    /// so before anybody listened.)
    fn registered(&self) {
        let until = Instant::now() + SOON;
        while !self.log().contains("SIP/2.0 200 OK") {
            assert!(Instant::now() < until, "can't sign in: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A command with its parameter, in a netstring (the module `ctrl_tcp`).
    pub fn command(&self, command: &str, parameter: &str) {
        let json = format!("{{\"command\":\"{command}\",\"params\":\"{parameter}\"}}");
        let netstring = format!("{}:{json},", json.len());
        (&self.control)
            .write_all(netstring.as_bytes())
            .expect("baresip listens");
    }

    /// A key of its menu (the module `cons`).
    pub fn menu(&self, key: char) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket
            .send_to(key.to_string().as_bytes(), ("127.0.0.1", self.keys))
            .expect("sent");
    }

    /// Presses a key of the telephone: an event of RFC 4733.
    pub fn press(&self, key: &str) {
        self.command("sndcode", key);
    }

    pub fn dial(&self, server: &Server, number: &str) {
        self.dial_by(&By::Udp, server, number);
    }

    pub fn dial_by(&self, by: &By, server: &Server, number: &str) {
        self.command("dial", &format!("sip:{number}@{}", by.host(server)));
    }

    /// How often it told of such an event.
    pub fn count(&self, event: &str) -> usize {
        self.told
            .lock()
            .unwrap()
            .matches(&format!("\"type\":\"{event}\""))
            .count()
    }

    /// Waits for an event.
    pub fn wait_for(&self, event: &str, within: Duration) {
        self.wait_for_more(event, 0, within);
    }

    /// Waits for one more of an event than so many.
    pub fn wait_for_more(&self, event: &str, than: usize, within: Duration) {
        let until = Instant::now() + within;
        while self.count(event) <= than {
            assert!(
                Instant::now() < until,
                "{} never told of {event}, but: {}\nand logged: {}",
                self.dir.display(),
                self.told.lock().unwrap(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it printed: every SIP message it sent and received.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The first header line of this name in its trace.
    pub fn header(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}: ");
        self.log().lines().find_map(|line| {
            line.strip_prefix(&prefix)
                .map(|value| value.trim().to_owned())
        })
    }

    /// What it has heard so far in its latest call. (Nobody has written the length into the file's header while the call
    /// goes on: everything behind it counts.)
    pub fn heard(&self) -> Vec<i16> {
        self.recording().map_or_else(Vec::new, |path| wav(&path))
    }

    /// Named by the time at which the call's audio began.
    fn recording(&self) -> Option<PathBuf> {
        std::fs::read_dir(&self.dir)
            .expect("its folder")
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .max()
    }

    /// Waits until something is heard from now on: `heard` gets this many samples, all of them new.
    fn hears_now(&self, what: &str, count: usize, heard: impl Fn(&[i16]) -> bool) {
        let (file, before) = (self.recording(), self.heard().len());
        self.hears(what, SOON, |samples| {
            let old = if self.recording() == file { before } else { 0 };
            let from = samples.len().checked_sub(count);
            from.is_some_and(|from| from >= old && heard(&samples[from..]))
        });
    }

    /// Waits until this has been heard.
    pub fn hears(&self, what: &str, within: Duration, heard: impl Fn(&[i16]) -> bool) {
        self.hears_what(&|| what.to_owned(), within, heard);
    }

    fn hears_what(
        &self,
        what: &dyn Fn() -> String,
        within: Duration,
        heard: impl Fn(&[i16]) -> bool,
    ) {
        let until = Instant::now() + within;
        loop {
            let samples = self.heard();
            if heard(&samples) {
                return;
            }
            assert!(
                Instant::now() < until,
                "{} never heard {}, in {:.1} s of sound",
                self.dir.display(),
                what(),
                samples.len() as f64 / 8000.0
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The same of one that records 16,000 samples a second.
    pub fn hears_wide_tone(&self, hertz: f64) {
        self.hears_tone(hertz / 2.0);
    }

    /// Waits until what it hears from now on is this pitch.
    pub fn hears_tone(&self, hertz: f64) {
        self.hears_now(&format!("a tone of {hertz} Hz"), 4_000, |samples| {
            is_tone(samples, hertz)
        });
    }

    /// Waits until what it hears from now on is music on hold.
    pub fn hears_music(&self) {
        let music = media::music::on_hold();
        self.hears_now("music", 8_000, |samples| has_music(samples, &music));
    }

    /// Waits until this pitch reaches it: after it has held a call, it records nothing. Of encrypted audio only that it
    /// comes is seen.
    pub fn is_reached_by_tone(&self, by: &By, hertz: f64) {
        let log = self.log();
        // It says so in its own descriptions.
        let own = log.rsplit("a=tool:baresip").next();
        let port = own.and_then(|own| {
            own.split("m=audio ")
                .nth(1)?
                .split(' ')
                .next()?
                .parse()
                .ok()
        });
        let port = port.expect("its port");
        let what = format!("a tone of {hertz} Hz");
        super::wire::reaches(port, &what, SOON, |packets| {
            matches!(by, By::Srtp(..) | By::Away(_)) || super::wire::is_tone(packets, hertz)
        });
    }

    /// Waits until a clip has been heard whole.
    pub fn hears_clip(&self, text: &str, clip: &Clip, within: Duration) {
        let best = Mutex::new(None);
        let what = || format!("\"{text}\" (but {:?})", best.lock().unwrap());
        self.hears_what(&what, within, |samples| {
            let heard = Heard::of(samples, clip, 0);
            *best.lock().unwrap() = heard;
            heard.is_some_and(|heard| heard.share >= 0.95)
        });
    }
}

struct Kill(Option<Child>);

impl Drop for Kill {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A WAV file of a tone: mono, 16 bits.
fn hum(hertz: f64, seconds: u32, rate: u32) -> Vec<u8> {
    let count = rate * seconds;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + 2 * count).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend(2u16.to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend((2 * count).to_le_bytes());
    for n in 0..count {
        let angle = f64::from(n) / f64::from(rate) * hertz * std::f64::consts::TAU;
        file.extend(((angle.sin() * 8000.0) as i16).to_le_bytes());
    }
    file
}

/// The samples of a WAV file that may still be written. Its decoder makes ±2 of
/// µ-law's two zeros; they are made 0 again, and the levels beside are ±8.
fn wav(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let Some(data) = bytes.windows(4).position(|four| four == b"data") else {
        return Vec::new();
    };
    bytes[data + 8..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .map(|sample| if sample.abs() <= 2 { 0 } else { sample })
        .collect()
}

/// Was the last half second this pitch?
fn is_tone(samples: &[i16], hertz: f64) -> bool {
    let Some(last) = samples.len().checked_sub(4_000) else {
        return false;
    };
    let samples: Vec<f64> = samples[last..].iter().map(|s| f64::from(*s)).collect();
    pitch_share(&samples, hertz) > 0.8
}

/// Where a clip was heard.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// The sample with which it ends.
    pub end: usize,
    /// Share of its frames that arrived in order and bit by bit: decoded, but a
    /// µ-law sample's value tells its byte.
    pub share: f64,
}

impl Heard {
    /// Looks for the clip from this sample on: the first place where its
    /// loudest frame is heard.
    pub fn of(samples: &[i16], clip: &Clip, from: usize) -> Option<Self> {
        let frame = |index: usize| -> Vec<i16> {
            clip.frame(Codec::Pcmu, index)
                .expect("a frame")
                .iter()
                .map(|byte| Codec::Pcmu.decode(*byte))
                .collect()
        };
        let anchor = loud_frame(clip);
        let loud = frame(anchor);
        let at = from
            + samples
                .get(from..)?
                .windows(FRAME_SAMPLES)
                .position(|window| window[0] == loud[0] && window == loud)?;
        let mut matched = 0;
        // Where the last frame that matched begins, and which it was. Packets
        // may be missing on the way, or something else may be in between.
        let mut last = (at, anchor);
        let mut end = at;
        let expected = |(at, of): (usize, usize), index: usize, shift: i64| {
            let at = at as i64 + (index as i64 - of as i64 + shift) * FRAME_SAMPLES as i64;
            usize::try_from(at).ok()
        };
        for index in 0..clip.frames() {
            let wanted = frame(index);
            let found = [0, -1, 1, -2, 2, -3, 3]
                .into_iter()
                .filter_map(|shift| expected(last, index, shift))
                .find(|&at| {
                    (matched == 0 || at >= end)
                        && samples.get(at..at + FRAME_SAMPLES) == Some(&wanted)
                });
            if let Some(at) = found {
                matched += 1;
                last = (at, index);
                end = at + FRAME_SAMPLES;
            }
        }
        Some(Self {
            end,
            share: f64::from(matched) / clip.frames() as f64,
        })
    }
}

/// `from` has sent the caller to `to`: it rings there while the caller hears music, then the two hear each other's tones,
/// the ticket went along, and `from` is let go.
pub fn is_sent_on(caller: (&Baresip, f64), from: &Baresip, to: (&Baresip, f64)) {
    let ((caller, callers_hertz), (to, hertz)) = (caller, to);
    to.wait_for("CALL_INCOMING", SOON);
    caller.hears_music();
    to.command("accept", "");
    caller.hears_tone(hertz);
    to.hears_tone(callers_hertz);
    from.wait_for("CALL_CLOSED", SOON);
    assert_eq!(ticket(to), ticket(from), "the ticket goes along");
}

/// The ticket number that the agent's INVITE carried, in both headers.
pub fn ticket(agent: &Baresip) -> TicketNumber {
    let text = agent
        .header("X-Careline-Ticket")
        .unwrap_or_else(|| panic!("no ticket in {}", agent.log()));
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let uui = agent.header("User-to-User").expect("User-to-User");
    assert!(uui.contains(&hex), "{uui} isn't {text}");
    TicketNumber::parse(&text).expect("a ticket number")
}

/// Is a whole second of the music on hold in it, from wherever in its loop?
pub fn has_music(samples: &[i16], music: &Clip) -> bool {
    let frames: std::collections::HashSet<Vec<i16>> = (0..music.frames())
        .filter_map(|index| music.frame(Codec::Pcmu, index))
        .map(|frame| frame.iter().map(|b| Codec::Pcmu.decode(*b)).collect())
        .collect();
    let sounding = |frame: &[i16]| frame.iter().any(|s| s.unsigned_abs() > 64);
    // Packets are whole frames, but the recording's beginning need not be.
    (0..FRAME_SAMPLES).step_by(80).any(|phase| {
        let played = samples
            .get(phase..)
            .unwrap_or_default()
            .chunks_exact(FRAME_SAMPLES)
            .filter(|frame| sounding(frame) && frames.contains(*frame))
            .count();
        played >= 25
    })
}

/// The caller talks with Ana; Dov of the second tier is signed in.
pub fn three(by: &By, server: &Server, test: &str) -> (Baresip, Baresip, Baresip) {
    let start = |user: &str, secret: &str, hertz| {
        Baresip::start_by(by, server, test, user, Some(secret), hertz)
    };
    let ana = start("ana", "demo-ana", AGENT_HZ);
    let okafor = start("okafor", "demo-okafor", CALLER_HZ);
    okafor.dial_by(by, server, "1001");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    let dov = start("dov", "demo-dov", COLLEAGUE_HZ);
    (ana, okafor, dov)
}

/// Ana holds the caller, asks the second tier from the same phone, and hands the caller over. (This phone has no key for
/// the last step, but sends on whatever its transfer command is given.)
pub fn hand_over(by: &By, server: &Server, test: &str) {
    let (ana, okafor, dov) = three(by, server, test);
    ana.menu('x');
    okafor.hears_music();
    ana.dial_by(by, server, "tier2");
    dov.wait_for("CALL_INCOMING", SOON);
    dov.command("accept", "");
    dov.hears_tone(AGENT_HZ);
    ana.hears_tone(COLLEAGUE_HZ);
    assert_eq!(ticket(&dov), ticket(&ana), "the ticket goes along");
    let log = ana.log();
    // Her second call, by the 200 to its INVITE.
    let second = log
        .rfind("INVITE sip:tier2@")
        .map(|at| &log[at..])
        .expect("it was made");
    let field = |name: &str| {
        let lines = second
            .split("SIP/2.0 200 OK")
            .nth(1)
            .expect("answered")
            .lines();
        let prefix = format!("{name}: ");
        let mut values = lines.filter_map(|line| line.strip_prefix(&*prefix));
        values.next().expect("there").trim().to_owned()
    };
    let tag = |name: &str| field(name).split("tag=").nth(1).expect("a tag").to_owned();
    let (to_tag, from_tag) = (tag("To"), tag("From"));
    let call_id = field("Call-ID");
    ana.command("line", "1");
    let to = format!(
        "<sip:tier2@{}?Replaces={call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}>",
        by.host(server)
    );
    ana.command("transfer", &to);
    okafor.hears_tone(COLLEAGUE_HZ);
    dov.hears_tone(CALLER_HZ);
    ana.wait_for_more("CALL_CLOSED", 1, SOON);
    assert_eq!(dov.count("CALL_INCOMING"), 1, "the same call");
    dov.command("hangup", "");
    okafor.wait_for("CALL_CLOSED", SOON);
}

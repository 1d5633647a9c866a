//! Scenes 1 and 2 with baresip as caller and as agent: somebody else's
//! telephone, and what it recorded of what it heard.

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use desk::TicketNumber;
use media::clip::Clip;
use media::codec::{Codec, FRAME_SAMPLES};
use support::ear::{loud_frame, pitch_share};
use support::house::spoken;
use support::{Server, scratch};

/// What the caller and the agent hum.
const CALLER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 620.0;

const MENU: &str = "Clinician, press 1; hospital staff, 2; patient, 3.";
const SOON: Duration = Duration::from_secs(8);
const LATER: Duration = Duration::from_secs(30);

/// A baresip of its own folder and ports; killed when dropped.
struct Baresip {
    child: Child,
    dir: PathBuf,
    control: TcpStream,
    keys: u16,
    /// Everything it told through its control port.
    told: Arc<Mutex<String>>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port()
}

/// How a phone reaches the server.
#[derive(Debug, Clone)]
enum By {
    Udp,
    Tcp,
    /// With the authority whose certificates it takes.
    Tls(PathBuf),
    /// The same, and how it encrypts audio: `srtp` may, `srtp-mand` must.
    Srtp(PathBuf, &'static str),
}

impl By {
    /// What stands behind the `@` of a URI.
    fn host(&self, server: &Server) -> String {
        match self {
            By::Udp => server.address.to_string(),
            By::Tcp => format!("{};transport=tcp", server.address),
            By::Tls(_) | By::Srtp(..) => {
                format!("127.0.0.1:{};transport=tls", server.tls_port())
            }
        }
    }
}

impl Baresip {
    /// Starts with one account: `user`, with a secret it registers.
    fn start(server: &Server, test: &str, user: &str, secret: Option<&str>, hertz: f64) -> Self {
        Self::start_by(&By::Udp, server, test, user, secret, hertz)
    }

    fn start_by(
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
        std::fs::write(&tone, hum(hertz, 90)).expect("written");
        let (control, keys) = (free_port(), free_port());
        let mut config = String::new();
        // One of them as it comes: where there is a network it says an address of that in its SDP,
        // and sends from loopback.
        if user != "okafor" {
            let _ = writeln!(config, "net_interface 127.0.0.1");
        }
        for line in [
            "sip_listen 127.0.0.1:0".to_owned(),
            "module_path /usr/lib/baresip/modules".into(),
            "module g711.so".into(),
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
        if let By::Tls(authority) | By::Srtp(authority, _) = by {
            let _ = writeln!(config, "sip_cafile {}", authority.display());
        }
        let mut settings = ";audio_codecs=PCMU".to_owned();
        if let By::Srtp(_, how) = by {
            let _ = writeln!(config, "module srtp.so");
            let _ = write!(settings, ";mediaenc={how}");
        }
        std::fs::write(dir.join("config"), config).expect("written");
        let host = by.host(server);
        let account = match secret {
            Some(secret) => format!("<sip:{user}@{host}>;auth_pass={secret}"),
            None => format!("<sip:{user}@{host}>;regint=0"),
        };
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
    fn command(&self, command: &str, parameter: &str) {
        let json = format!("{{\"command\":\"{command}\",\"params\":\"{parameter}\"}}");
        let netstring = format!("{}:{json},", json.len());
        (&self.control)
            .write_all(netstring.as_bytes())
            .expect("baresip listens");
    }

    /// A key of its menu (the module `cons`).
    fn menu(&self, key: char) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket
            .send_to(key.to_string().as_bytes(), ("127.0.0.1", self.keys))
            .expect("sent");
    }

    /// Presses a key of the telephone: an event of RFC 4733.
    fn press(&self, key: &str) {
        self.command("sndcode", key);
    }

    fn dial(&self, server: &Server, number: &str) {
        self.dial_by(&By::Udp, server, number);
    }

    fn dial_by(&self, by: &By, server: &Server, number: &str) {
        self.command("dial", &format!("sip:{number}@{}", by.host(server)));
    }

    /// How often it told of such an event.
    fn count(&self, event: &str) -> usize {
        self.told
            .lock()
            .unwrap()
            .matches(&format!("\"type\":\"{event}\""))
            .count()
    }

    /// Waits for an event.
    fn wait_for(&self, event: &str, within: Duration) {
        let until = Instant::now() + within;
        while self.count(event) == 0 {
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
    fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The first header line of this name in its trace.
    fn header(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}: ");
        self.log().lines().find_map(|line| {
            line.strip_prefix(&prefix)
                .map(|value| value.trim().to_owned())
        })
    }

    /// What it has heard so far. (Nobody has written the length into the file's
    /// header while the call goes on: everything behind it counts.)
    fn heard(&self) -> Vec<i16> {
        let recording = std::fs::read_dir(&self.dir)
            .expect("its folder")
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-dec.wav"));
        recording.map_or_else(Vec::new, |path| wav(&path))
    }

    /// Waits until this has been heard.
    fn hears(&self, what: &str, within: Duration, heard: impl Fn(&[i16]) -> bool) {
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

    /// Waits until what it hears now is this pitch.
    fn hears_tone(&self, hertz: f64) {
        self.hears(&format!("a tone of {hertz} Hz"), SOON, |samples| {
            is_tone(samples, hertz)
        });
    }

    /// Waits until a clip has been heard whole.
    fn hears_clip(&self, text: &str, clip: &Clip, within: Duration) {
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

/// A WAV file of a tone: 8,000 samples a second, mono, 16 bits.
fn hum(hertz: f64, seconds: u32) -> Vec<u8> {
    let count = 8000 * seconds;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + 2 * count).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(8000u32.to_le_bytes());
    file.extend(16_000u32.to_le_bytes());
    file.extend(2u16.to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend((2 * count).to_le_bytes());
    for n in 0..count {
        let angle = f64::from(n) / 8000.0 * hertz * std::f64::consts::TAU;
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
struct Heard {
    /// The sample with which it ends.
    end: usize,
    /// Share of its frames that arrived in order and bit by bit: decoded, but a
    /// µ-law sample's value tells its byte.
    share: f64,
}

impl Heard {
    /// Looks for the clip from this sample on: the first place where its
    /// loudest frame is heard.
    fn of(samples: &[i16], clip: &Clip, from: usize) -> Option<Self> {
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

/// The ticket number that the agent's INVITE carried, in both headers.
fn ticket(agent: &Baresip) -> TicketNumber {
    let text = agent
        .header("X-Careline-Ticket")
        .unwrap_or_else(|| panic!("no ticket in {}", agent.log()));
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let uui = agent.header("User-to-User").expect("User-to-User");
    assert!(uui.contains(&hex), "{uui} isn't {text}");
    TicketNumber::parse(&text).expect("a ticket number")
}

/// The agent's phone signed in by digest.
fn signed_in(agent: &Baresip) {
    let log = agent.log();
    assert!(log.contains("401 Unauthorized"), "{log}");
    assert!(
        log.lines()
            .any(|line| line.starts_with("Authorization: Digest")),
        "{log}"
    );
}

/// Where, from a sample on, a ticket number was read out whole: where it ends.
fn number_read(samples: &[i16], number: TicketNumber, from: usize) -> Option<usize> {
    let clips = spoken().book.tickets.of(&number.to_string())?;
    let mut at = from;
    for clip in clips {
        let heard = Heard::of(samples, &clip, at)?;
        (heard.share >= 0.95).then_some(())?;
        at = heard.end;
    }
    Some(at)
}

/// Scene 1: Dr Okafor calls from a registered phone, is greeted by name, and a
/// phone of the clinical desk rings at once.
#[test]
fn a_clinician_is_greeted_by_name_and_talks() {
    let server = Server::start("baresip-clinician");
    let ana = Baresip::start(&server, "clinician", "ana", Some("demo-ana"), AGENT_HZ);
    let okafor = Baresip::start(
        &server,
        "clinician",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial(&server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    let answered = Instant::now();
    ana.wait_for("CALL_INCOMING", SOON);
    let wait = answered.elapsed();
    assert!(
        wait < Duration::from_secs(2),
        "the phone rang after {wait:?}"
    );
    // What there is to say is said while it rings.
    for text in ["Hello Doctor Okafor.", "The clinical desk is being called."] {
        okafor.hears_clip(text, spoken().clip(text), SOON);
    }
    ana.command("accept", "");
    ana.wait_for("CALL_ESTABLISHED", SOON);
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
    okafor.wait_for("CALL_CLOSED", SOON);
    ticket(&ana);
    signed_in(&ana);
    let from = ana
        .log()
        .lines()
        .find(|line| line.starts_with("From: \"Dr. Ada Okafor (unproven)"))
        .map(str::to_owned);
    assert!(from.is_some(), "the agent sees who calls: {}", ana.log());
    let menu = Heard::of(&okafor.heard(), spoken().clip(MENU), 0);
    assert!(menu.is_none(), "a clinician hears no menu");
}

/// Scene 2: a withheld number says "patient" by key, hears the ticket number,
/// asks for it again, waits with music, talks, and is put on hold.
#[test]
fn a_withheld_number_chooses_by_key_and_talks() {
    let server = Server::start("baresip-staff");
    let ben = Baresip::start(&server, "staff", "ben", Some("demo-ben"), AGENT_HZ);
    let someone = Baresip::start(&server, "staff", "anonymous", None, CALLER_HZ);
    someone.dial(&server, "1002");
    someone.wait_for("CALL_ESTABLISHED", SOON);
    someone.hears_clip(MENU, spoken().clip(MENU), SOON);
    someone.press("3");
    server.wait_for("waits in queue patients", LATER);
    ben.wait_for("CALL_INCOMING", LATER);
    let number = ticket(&ben);
    let once = |samples: &[i16]| number_read(samples, number, 0);
    someone.hears("the ticket number", LATER, |samples| {
        once(samples).is_some()
    });
    let music = media::music::on_hold();
    someone.hears("music", LATER, |samples| has_music(samples, &music));
    someone.press("*");
    someone.hears("the ticket number again", LATER, |samples| {
        once(samples).is_some_and(|end| number_read(samples, number, end).is_some())
    });
    ben.command("accept", "");
    someone.hears_tone(AGENT_HZ);
    ben.hears_tone(CALLER_HZ);
    // The caller holds the line: the agent hears music. And takes it up again.
    someone.menu('x');
    ben.hears("music while held", SOON, |samples| {
        let last = samples.len().saturating_sub(8_000);
        has_music(&samples[last..], &music)
    });
    someone.menu('X');
    ben.hears_tone(CALLER_HZ);
    someone.hears_tone(AGENT_HZ);
    // This time the agent hangs up.
    ben.command("hangup", "");
    someone.wait_for("CALL_CLOSED", SOON);
    signed_in(&ben);
    let heard = someone.heard();
    let menu = Heard::of(&heard, spoken().clip(MENU), 0).expect("heard");
    println!(
        "{:.1} % of the menu's frames arrived bit-identical and in order",
        menu.share * 100.0
    );
    assert!(
        Heard::of(&heard, spoken().clip(MENU), menu.end).is_none(),
        "the menu once, for the key counted once"
    );
    assert!(
        ben.log()
            .contains("\"Unknown caller - Saint Anne Medical Center\""),
        "nobody is named: {}",
        ben.log()
    );
}

/// Phones that reach us by streams: both sides hear each other, keys arrive, a
/// line is held and taken up, and whoever is gone is noticed.
fn talks_by(by: &By, server: &Server, test: &str) {
    let ana = Baresip::start_by(by, server, test, "ana", Some("demo-ana"), AGENT_HZ);
    let okafor = Baresip::start_by(by, server, test, "okafor", Some("demo-okafor"), CALLER_HZ);
    okafor.dial_by(by, server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    ana.wait_for("CALL_ESTABLISHED", SOON);
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    okafor.menu('x');
    let music = media::music::on_hold();
    ana.hears("music while held", SOON, |samples| {
        let last = samples.len().saturating_sub(8_000);
        has_music(&samples[last..], &music)
    });
    okafor.menu('X');
    ana.hears_tone(CALLER_HZ);
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
    ticket(&ana);
    signed_in(&ana);
    let via = match by {
        By::Udp => "Via: SIP/2.0/UDP",
        By::Tcp => "Via: SIP/2.0/TCP",
        By::Tls(_) | By::Srtp(..) => "Via: SIP/2.0/TLS",
    };
    for phone in [&ana, &okafor] {
        let log = phone.log();
        let vias = log.lines().filter(|line| line.starts_with("Via: "));
        assert!(vias.clone().count() > 4, "{log}");
        assert!(vias.clone().all(|line| line.starts_with(via)), "{log}");
    }
    // Its connection is closed without a word; the next call doesn't ring in the void.
    drop(ana);
    let ben = Baresip::start_by(by, server, test, "dov", Some("demo-dov"), AGENT_HZ);
    okafor.dial_by(by, server, "1001");
    ben.wait_for("CALL_INCOMING", SOON);
}

#[test]
fn phones_talk_by_tcp() {
    let server = Server::start("baresip-tcp");
    talks_by(&By::Tcp, &server, "tcp");
}

#[test]
fn phones_talk_by_tls() {
    let (config, authority) = support::with_tls("baresip-tls");
    let server = Server::start_with(&config.join("data"), &config, "127.0.0.1:0", &[]);
    talks_by(&By::Tls(authority), &server, "tls");
}

/// A server that answers by TLS too, with this said of its encryption.
fn with_encryption(test: &str, setting: &str) -> (Server, PathBuf) {
    let (config, authority) = support::with_tls(test);
    let file = config.join("careline.toml");
    let toml = std::fs::read_to_string(&file).expect("readable");
    std::fs::write(&file, toml + setting).expect("written");
    let server = Server::start_with(&config.join("data"), &config, "127.0.0.1:0", &[]);
    (server, authority)
}

/// How many of the descriptions that a phone saw have keys, and how many have none.
fn descriptions(phone: &Baresip) -> (usize, usize) {
    let log = phone.log();
    let all = log.matches("m=audio ").count();
    let with = log
        .split("m=audio ")
        .skip(1)
        .filter(|rest| {
            rest.split("SIP/2.0")
                .next()
                .is_some_and(|own| own.contains("a=crypto:"))
        })
        .count();
    (with, all - with)
}

/// Both legs encrypted, by policy; the phones take nothing else either.
#[test]
fn phones_talk_encrypted() {
    let (server, authority) = with_encryption("baresip-srtp", "encryption = \"required\"\n");
    talks_by(&By::Srtp(authority, "srtp-mand"), &server, "srtp");
}

/// Phones whose audio may be encrypted are: nothing is set for that.
#[test]
fn phones_that_can_talk_encrypted() {
    let (server, authority) = with_encryption("baresip-srtp-may", "");
    let by = By::Srtp(authority, "srtp");
    let ana = Baresip::start_by(&by, &server, "may", "ana", Some("demo-ana"), AGENT_HZ);
    let okafor = Baresip::start_by(
        &by,
        &server,
        "may",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial_by(&by, &server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    for phone in [&ana, &okafor] {
        let (with, without) = descriptions(phone);
        assert!(
            with >= 2 && without == 0,
            "{with} {without}: {}",
            phone.log()
        );
    }
    okafor.command("hangup", "");
    ana.wait_for("CALL_CLOSED", SOON);
}

/// Where encryption is required, nobody talks in the clear: neither a caller who can't encrypt, nor an agent whose
/// phone can't.
#[test]
fn required_encryption_is_never_given_up() {
    let (server, authority) = with_encryption("baresip-srtp-must", "encryption = \"required\"\n");
    let tls = By::Tls(authority.clone());
    let okafor = Baresip::start_by(
        &tls,
        &server,
        "must",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial_by(&tls, &server, "1001");
    okafor.wait_for("CALL_CLOSED", SOON);
    let log = okafor.log();
    assert!(log.contains("SIP/2.0 488 Not Acceptable Here"), "{log}");
    assert!(
        log.contains("Warning: 399 careline.demo \"encryption is required\""),
        "{log}"
    );
    assert_eq!(okafor.count("CALL_ESTABLISHED"), 0);
    server.wait_for("refused: encryption is required", SOON);
    server.wait_for("ended: NotEncrypted", SOON);
    drop(okafor);
    let ana = Baresip::start_by(&tls, &server, "must", "ana", Some("demo-ana"), AGENT_HZ);
    let srtp = By::Srtp(authority, "srtp-mand");
    let okafor = Baresip::start_by(
        &srtp,
        &server,
        "must",
        "okafor",
        Some("demo-okafor"),
        CALLER_HZ,
    );
    okafor.dial_by(&srtp, &server, "1001");
    okafor.wait_for("CALL_ESTABLISHED", SOON);
    server.wait_for("not taken: Unreachable", SOON);
    assert_eq!(ana.count("CALL_ESTABLISHED"), 0);
    let music = media::music::on_hold();
    okafor.hears("music", LATER, |samples| has_music(samples, &music));
}

/// Is a whole second of the music on hold in it, from wherever in its loop?
fn has_music(samples: &[i16], music: &Clip) -> bool {
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

/// The caller gives up while the agent's phone rings, and it stops.
#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let server = Server::start("baresip-gone");
    let ana = Baresip::start(&server, "gone", "ana", Some("demo-ana"), AGENT_HZ);
    let someone = Baresip::start(&server, "gone", "anonymous", None, CALLER_HZ);
    someone.dial(&server, "1004");
    someone.wait_for("CALL_ESTABLISHED", SOON);
    ana.wait_for("CALL_INCOMING", SOON);
    someone.command("hangup", "");
    let at = Instant::now();
    ana.wait_for("CALL_CLOSED", SOON);
    assert!(at.elapsed() < Duration::from_secs(2), "within a second");
    assert_eq!(ana.count("CALL_ESTABLISHED"), 0);
    server.wait_for("ended: CallerHungUp", SOON);
    assert!(
        ana.log().contains("487 Request Terminated"),
        "{}",
        ana.log()
    );
}

/// The agent's phone refuses; the caller isn't left in silence, and is rung for
/// again.
#[test]
fn a_call_that_is_refused_is_offered_again() {
    let server = Server::start("baresip-refused");
    let ana = Baresip::start(&server, "refused", "ana", Some("demo-ana"), AGENT_HZ);
    let someone = Baresip::start(&server, "refused", "anonymous", None, CALLER_HZ);
    someone.dial(&server, "1004");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("hangup", "");
    server.wait_for("not taken: Declined", SOON);
    let music = media::music::on_hold();
    someone.hears("music", LATER, |samples| has_music(samples, &music));
    let until = Instant::now() + LATER;
    while ana.count("CALL_INCOMING") < 2 {
        assert!(
            Instant::now() < until,
            "never rung again: {}",
            server.printed()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    ana.command("accept", "");
    someone.hears_tone(AGENT_HZ);
    ana.command("hangup", "");
    someone.wait_for("CALL_CLOSED", SOON);
    assert_eq!(someone.count("CALL_CLOSED"), 1);
}

/// The caller talks with Ana; Dov of the second tier is signed in.
fn three(test: &str) -> (Server, Baresip, Baresip, Baresip) {
    let server = Server::start(&format!("baresip-{test}"));
    let ana = Baresip::start(&server, test, "ana", Some("demo-ana"), AGENT_HZ);
    let okafor = Baresip::start(&server, test, "okafor", Some("demo-okafor"), CALLER_HZ);
    okafor.dial(&server, "1001");
    ana.wait_for("CALL_INCOMING", SOON);
    ana.command("accept", "");
    okafor.hears_tone(AGENT_HZ);
    ana.hears_tone(CALLER_HZ);
    let dov = Baresip::start(&server, test, "dov", Some("demo-dov"), COLLEAGUE_HZ);
    (server, ana, okafor, dov)
}

const COLLEAGUE_HZ: f64 = 880.0;

/// A blind transfer, to a colleague's name and to a queue's.
#[test]
fn an_agent_sends_the_caller_on() {
    for (test, to) in [("blind-agent", "dov"), ("blind-queue", "7000")] {
        let (server, ana, okafor, dov) = three(test);
        let to = format!("sip:{to}@{}", server.address);
        ana.command("transfer", &to);
        dov.wait_for("CALL_INCOMING", SOON);
        let music = media::music::on_hold();
        okafor.hears("music meanwhile", SOON, |samples| {
            let last = samples.len().saturating_sub(16_000);
            has_music(&samples[last..], &music)
        });
        dov.command("accept", "");
        okafor.hears_tone(COLLEAGUE_HZ);
        dov.hears_tone(CALLER_HZ);
        ana.wait_for("CALL_CLOSED", SOON);
        assert_eq!(ticket(&dov), ticket(&ana), "the ticket goes along");
        assert!(
            dov.header("Referred-By")
                .is_some_and(|by| by.contains("sip:ana@"))
        );
        let log = ana.log();
        assert!(log.contains("SIP/2.0 202 Accepted"), "{log}");
        assert!(log.contains("message/sipfrag"), "{log}");
        okafor.command("hangup", "");
        dov.wait_for("CALL_CLOSED", SOON);
    }
}

/// Nobody is called who isn't of the help desk, and the talk goes on.
#[test]
fn an_outside_number_is_no_target() {
    let (server, ana, okafor, dov) = three("fraud");
    ana.command("transfer", &format!("sip:+19005551234@{}", server.address));
    let until = Instant::now() + SOON;
    while !ana.log().contains("SIP/2.0 403 Forbidden") {
        assert!(Instant::now() < until, "{}", ana.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    okafor.hears_tone(AGENT_HZ);
    assert_eq!(dov.count("CALL_INCOMING"), 0);
}

/// Scene 8: Ana holds the caller, asks the second tier from the same phone,
/// and hands the caller over. (This phone has no key for the last step, but
/// sends on whatever its transfer command is given.)
#[test]
fn an_agent_consults_and_hands_the_caller_over() {
    let (server, ana, okafor, dov) = three("consult");
    ana.menu('x');
    let music = media::music::on_hold();
    okafor.hears("music while held", SOON, |samples| {
        let last = samples.len().saturating_sub(8_000);
        has_music(&samples[last..], &music)
    });
    ana.dial(&server, "tier2");
    dov.wait_for("CALL_INCOMING", SOON);
    dov.command("accept", "");
    dov.hears_tone(AGENT_HZ);
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
        server.address
    );
    ana.command("transfer", &to);
    okafor.hears_tone(COLLEAGUE_HZ);
    dov.hears_tone(CALLER_HZ);
    let until = Instant::now() + SOON;
    while ana.count("CALL_CLOSED") < 2 {
        assert!(Instant::now() < until, "{}", ana.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(dov.count("CALL_INCOMING"), 1, "the same call");
    dov.command("hangup", "");
    okafor.wait_for("CALL_CLOSED", SOON);
}

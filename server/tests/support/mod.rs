//! A real server process on a free port, with a copy of the demo, and the
//! media sockets of callers and agents that aren't ours.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

pub mod ear;
pub mod house;
pub mod kamailio;
pub mod lossy;
pub mod sipp;
pub mod softphone;
pub mod wire;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use server::prompts::Book;
use server::serve::{Loaded, Options};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// A folder for this test run, beneath cargo's target folder.
pub fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("scratch folder");
    dir
}

/// A folder in memory, for data whose durability isn't what is tested. (A disk
/// may take seconds for a flush while something is being built, and the call
/// then rightly goes on without a ticket.) Removed when dropped.
#[derive(Debug)]
pub struct InMemory(PathBuf);

impl InMemory {
    pub fn new(name: &str) -> Self {
        let name = format!("careline-{name}-{}", std::process::id());
        let dir = Path::new("/dev/shm").join(&name);
        let _ = std::fs::remove_dir_all(&dir);
        match std::fs::create_dir_all(&dir) {
            Ok(()) => Self(dir),
            Err(_) => Self(scratch(&name)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Rendered prompts are shared by all tests: a prompt is rendered once.
pub fn speech_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("speech")
}

/// What the demo's flows can say, as the server under test says it.
pub fn book() -> Book {
    book_of(&root().join("demo"))
}

/// What the flows of this configuration can say.
pub fn book_of(config: &Path) -> Book {
    std::env::set_current_dir(root()).expect("the workspace");
    let scratch = scratch("book");
    let loaded = Loaded::read(&Options {
        config_dir: config.to_owned(),
        data_dir: Some(scratch),
        bind: None,
        speech_dir: Some(speech_dir()),
    })
    .expect("a sound configuration");
    let (_studio, book) = loaded
        .speak(|_, _| {})
        .expect("the voice: run `make voices` first");
    book
}

/// A port of the loopback that nobody uses, neither by UDP nor by TCP.
pub fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running `careline serve`, killed when dropped.
pub struct Server {
    child: Child,
    /// Where it hears SIP.
    pub address: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
    /// Everything it printed.
    pub printed: Arc<Mutex<String>>,
    memory: Option<InMemory>,
}

impl Server {
    /// Starts on a free port with an empty data directory in memory.
    pub fn start(name: &str) -> Self {
        let memory = InMemory::new(name);
        let mut server = Self::start_in(&memory.path().join("data"));
        server.memory = Some(memory);
        server
    }

    /// Starts like [`Self::start`], with some of the demo's configuration changed: in this file this
    /// text is replaced by that. Where there is no text to replace, the file is made.
    pub fn start_changed(name: &str, changes: &[(&str, &str, &str)]) -> Self {
        let memory = InMemory::new(name);
        let config = memory.path().join("config");
        let demo = root().join("demo");
        for folder in ["", "hospitals"] {
            std::fs::create_dir_all(config.join(folder)).expect("a folder");
            for entry in std::fs::read_dir(demo.join(folder)).expect("the demo") {
                let path = entry.expect("an entry").path();
                if path.is_file() {
                    let to = config.join(folder).join(path.file_name().expect("a name"));
                    std::fs::copy(&path, to).expect("copied");
                }
            }
        }
        for (file, is, shall) in changes {
            let file = config.join(file);
            if is.is_empty() {
                std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                std::fs::write(&file, shall).expect("written");
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("readable");
            assert!(text.contains(is), "the demo has changed: no {is:?}");
            std::fs::write(&file, text.replace(is, shall)).expect("written");
        }
        let data = memory.path().join("data");
        let mut server = Self::start_with(&data, &config, "127.0.0.1:0", &[]);
        server.memory = Some(memory);
        server
    }

    /// Starts on a free port with this data directory.
    pub fn start_in(data: &Path) -> Self {
        Self::start_with(data, &root().join("demo"), "127.0.0.1:0", &[])
    }

    /// Starts as told.
    pub fn start_with(data: &Path, config: &Path, bind: &str, extra: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_careline"))
            .current_dir(root())
            .arg("serve")
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(data)
            .arg("--speech")
            .arg(speech_dir())
            .args(["--bind", bind, "--show-calls"])
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("careline starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let printed = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let line = lines
                .next()
                .expect("careline says where it answers")
                .expect("readable");
            printed.lock().unwrap().push_str(&line);
            printed.lock().unwrap().push('\n');
            if let Some(rest) = line.strip_prefix("Careline answers on ") {
                break rest
                    .split(' ')
                    .next()
                    .and_then(|text| text.parse().ok())
                    .expect("an address");
            }
        };
        let copy = Arc::clone(&printed);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut printed = copy.lock().unwrap();
                printed.push_str(&line);
                printed.push('\n');
            }
        });
        Self {
            child,
            address,
            data: data.to_owned(),
            printed,
            memory: None,
        }
    }

    /// The port for TLS.
    pub fn tls_port(&self) -> u16 {
        let printed = self.printed();
        let port = printed.split("TLS on port ").nth(1).expect("it has TLS");
        port.split_whitespace()
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port")
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("it runs");
    }

    /// SIGKILL, at once.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGINT, and waits for the orderly end.
    pub fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGINT,
        );
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("careline doesn't stop");
    }

    /// What it printed so far.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Waits until it has printed this.
    pub fn wait_for(&self, text: &str, within: Duration) {
        let until = Instant::now() + within;
        while !self.printed().contains(text) {
            assert!(
                Instant::now() < until,
                "careline never printed \"{text}\"; it printed:\n{}",
                self.printed()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The demo with TLS, by a certificate made for it; and the authority that made it.
pub fn with_tls(name: &str) -> (PathBuf, PathBuf) {
    let (dir, file, _) = with_authority(name);
    (dir, file)
}

/// The same, and the authority can make more.
pub fn with_authority(name: &str) -> (PathBuf, PathBuf, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let dir = scratch(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("hospitals")).expect("a folder");
    let demo = root().join("demo");
    for file in [
        "operator.yaml",
        "hospitals/st-anne.yaml",
        "hospitals/mercy.yaml",
    ] {
        std::fs::copy(demo.join(file), dir.join(file)).expect("copied");
    }
    let toml = std::fs::read_to_string(demo.join("careline.toml")).expect("readable");
    let tls = "[sip.tls]\nport = 0\ncertificate = \"ours.pem\"\nkey = \"ours.key\"\nauthorities = \"authority.pem\"\n";
    std::fs::write(dir.join("careline.toml"), toml + "\n" + tls).expect("written");
    let mut params = rcgen::CertificateParams::new(vec![]).expect("names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(params, authority_key);
    let ours_key = rcgen::KeyPair::generate().expect("a key");
    let ours = rcgen::CertificateParams::new(vec!["127.0.0.1".into()])
        .and_then(|params| params.signed_by(&ours_key, &issuer))
        .expect("a certificate");
    let file = dir.join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("written");
    std::fs::write(dir.join("ours.pem"), ours.pem()).expect("written");
    std::fs::write(dir.join("ours.key"), ours_key.serialize_pem()).expect("written");
    (dir, file, issuer)
}

/// Runs a program to its end.
pub fn run(program: &str, args: &[&str], within: Duration) -> (bool, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; run `tools/needs.sh test`"));
    let mut out = child.stdout.take().expect("piped");
    let mut err = child.stderr.take().expect("piped");
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.read_to_string(&mut text);
        text
    });
    let output = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    let until = Instant::now() + within;
    let success = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status.success();
        }
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = output.join().unwrap_or_default() + &errors.join().unwrap_or_default();
    (success, text)
}

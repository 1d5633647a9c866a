//! The server under test: a process of its own, on a core of its own.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The core the server may use; the load has another.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// Processor time by what it was spent for, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) signalling: f64,
    pub(crate) media: f64,
    pub(crate) store: f64,
    pub(crate) other: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.signalling + self.media + self.store + self.other
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            signalling: self.signalling - before.signalling,
            media: self.media - before.media,
            store: self.store - before.store,
            other: self.other - before.other,
        }
    }
}

/// A running `careline serve`, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it takes TLS, if it does.
    tls: Option<SocketAddr>,
    pub(crate) database: PathBuf,
}

impl Server {
    /// Starts with an empty data directory.
    pub(crate) fn start(config: &Path, scratch: &Path, name: &str) -> io::Result<Self> {
        let data = scratch.join(name);
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data)?;
        let program = std::env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .map(|dir| dir.join("careline"))
            .ok_or_else(|| io::Error::other("where is careline?"))?;
        let mut child = Command::new("taskset")
            .args(["-c", &SERVER_CORE.to_string()])
            .arg(program)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(&data)
            .arg("--speech")
            .arg(scratch.join("speech"))
            .args(["--bind", "127.0.0.1:0"])
            // What starting needed and freed goes back to the system, so that resident memory
            // shows what calls take.
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(data.join("stderr.log"))?)
            .spawn()?;
        let mut lines = BufReader::new(
            child
                .stdout
                .take()
                .ok_or_else(|| io::Error::other("no pipe"))?,
        )
        .lines();
        let (address, tls) = loop {
            let line = lines
                .next()
                .ok_or_else(|| io::Error::other("careline stopped while starting"))??;
            if let Some(rest) = line.strip_prefix("Careline answers on ") {
                let text = rest.split(' ').next().unwrap_or_default();
                let address: SocketAddr = text.parse().map_err(io::Error::other)?;
                let port = rest
                    .split("TLS on port ")
                    .nth(1)
                    .and_then(|p| p.parse().ok());
                break (
                    address,
                    port.map(|port| SocketAddr::new(address.ip(), port)),
                );
            }
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let server = Self {
            child,
            address,
            tls,
            database: data.join("careline.db"),
        };
        server.quiet();
        Ok(server)
    }

    pub(crate) fn tls(&self) -> io::Result<SocketAddr> {
        self.tls.ok_or_else(|| io::Error::other("it takes no TLS"))
    }

    /// Waits until what is done after starting (names rendered ahead) is over.
    fn quiet(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        let mut before = self.cpu().total();
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.cpu().total();
            if now - before < 0.015 {
                return;
            }
            before = now;
        }
    }

    /// User and system time of each thread so far. A thread that ended takes
    /// its time along; none of ours does.
    pub(crate) fn cpu(&self) -> Cpu {
        let pid = self.child.id();
        let mut cpu = Cpu::default();
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            return cpu;
        };
        for task in tasks.flatten() {
            let dir = task.path();
            let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
            let spent = spent(&dir).unwrap_or_default();
            let place = match name.trim() {
                "signalling" => &mut cpu.signalling,
                name if name.starts_with("media") => &mut cpu.media,
                "store" => &mut cpu.store,
                _ => &mut cpu.other,
            };
            *place += spent;
        }
        cpu
    }

    /// The kernel's memory for sockets and the like, of the whole machine, in kB.
    pub(crate) fn kernel_kb() -> f64 {
        fs::read_to_string("/proc/meminfo")
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("SUnreclaim:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(f64::NAN)
    }

    /// Memory in use, in kB.
    pub(crate) fn memory_kb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        status
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(f64::NAN)
    }
}

/// A thread's processor time in seconds: to the nanosecond where the kernel
/// says it so, else in its ticks. Both are user and system time together.
fn spent(task: &Path) -> Option<f64> {
    if let Ok(text) = fs::read_to_string(task.join("schedstat")) {
        let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
        return Some(nanoseconds / 1e9);
    }
    let text = fs::read_to_string(task.join("stat")).ok()?;
    // The name in parentheses may hold blanks; what follows doesn't.
    let mut fields = text.rsplit(") ").next()?.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves the load to its core, out of the server's way, and before everything
/// else that wants to run there: it uses a fraction of it, at its own times.
pub(crate) fn step_aside() {
    let priority = ThreadPriorityValue::try_from(5u8).map(ThreadPriority::Crossplatform);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let raised = priority.is_ok_and(|priority| {
        set_thread_priority_and_policy(thread_native_id(), priority, policy).is_ok()
    });
    if !raised {
        println!("(the load may not run in real time: other work on its core shows as gaps)");
    }
    if pin(LOAD_CORE).is_err() {
        println!("(one core only: the load runs where the server runs, and disturbs it)");
    }
}

/// Moves this thread to the core the server may use.
pub(crate) fn on_servers_core() {
    if pin(SERVER_CORE).is_err() {
        println!("(one core only: the floor is that of a shared core)");
    }
}

fn pin(core: usize) -> nix::Result<()> {
    let mut cores = nix::sched::CpuSet::new();
    cores.set(core)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cores)
}

/// What this was measured on.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

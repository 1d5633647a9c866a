//! A PostgreSQL server of our own: Debian's, in a temporary folder, heard on a
//! Unix socket there, with everything on that a durable one has.
//!
//! A shell keeps it. It is told by a pipe what to do, and when the pipe closes,
//! however this process ends, it stops the server and removes the folder.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const KEEPER: &str = r#"
dir=$1
cd /tmp
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ ! -x "$bin/initdb" ]; then
  echo "PostgreSQL is missing (package postgresql): sudo apt-get install -y postgresql"
  exit 1
fi
# It doesn't run as root.
as=
[ "$(id -u)" != 0 ] || as="setpriv --reuid=postgres --regid=postgres --clear-groups"
mkdir -m 700 "$dir" || exit 1
[ -z "$as" ] || chown postgres "$dir"
up() {
  $as "$bin/pg_ctl" -D "$dir/data" -w -s -l "$dir/log" \
    -o "-k $dir -c listen_addresses= -c max_connections=200 $*" start </dev/null >&2 && echo up || cat "$dir/log"
}
down() { $as "$bin/pg_ctl" -D "$dir/data" -w -s -m immediate stop </dev/null >&2; }
trap 'down 2>/dev/null; rm -rf "$dir"' EXIT
trap '' INT TERM HUP
$as "$bin/initdb" -D "$dir/data" -U careline -A trust -E UTF8 --no-locale --no-sync >/dev/null || exit 1
up
while read -r what options; do
  case $what in
    up) up "$options" ;;
    down) down; echo down ;;
    standby) $as touch "$dir/data/standby.signal"; echo standby ;;
  esac
done
"#;

/// A server with any number of databases.
pub struct Cluster {
    dir: PathBuf,
    keeper: Mutex<Keeper>,
    databases: AtomicU32,
}

struct Keeper {
    shell: Child,
    /// `None` only while being dropped.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Cluster {
    /// The one for all tests of this process that don't harm it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of its own.
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("careline-postgres-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let mut shell = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let keeper = Keeper {
            to: shell.stdin.take(),
            from: BufReader::new(shell.stdout.take().expect("piped")),
            shell,
        };
        let cluster = Self {
            dir,
            keeper: Mutex::new(keeper),
            databases: AtomicU32::new(0),
        };
        cluster.hears("up");
        cluster
    }

    /// Where its socket is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The address of a new database.
    pub fn database(&self) -> String {
        let count = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{count}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        address(&self.dir, &name)
    }

    /// Runs SQL as its administrator; what it answers, bare.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "careline",
                "-d",
                database,
                "-c",
                sql,
            ])
            .arg("-h")
            .arg(&self.dir)
            .output()
            .expect("psql");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Stops it as a power cut does.
    pub fn crash(&self) {
        self.tells("down");
        self.hears("down");
    }

    /// Starts it again, with further options.
    pub fn again(&self, options: &str) {
        self.tells(&format!("up {options}"));
        self.hears("up");
    }

    /// Puts a file into its data directory, for it alone to read.
    pub fn keeps(&self, name: &str, content: &str) -> PathBuf {
        let data = self.dir.join("data");
        let owner = std::fs::metadata(&data).expect("its data directory");
        let file = data.join(name);
        std::fs::write(&file, content).expect("written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("made its own");
        chown(&file, Some(owner.uid()), Some(owner.gid())).expect("made its own");
        file
    }

    /// Stops all of its processes where they are; what comes meanwhile waits.
    pub fn hangs(&self) {
        self.signals(Signal::SIGSTOP);
    }

    /// They go on.
    pub fn goes_on(&self) {
        self.signals(Signal::SIGCONT);
    }

    fn signals(&self, signal: Signal) {
        for pid in self.processes() {
            // One may just have ended.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Its processes, the one that makes the others first.
    pub fn processes(&self) -> Vec<i32> {
        let file = self.dir.join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).expect("it runs");
        let first = text.lines().next().expect("its process");
        let children = format!("/proc/{first}/task/{first}/children");
        let children = std::fs::read_to_string(children).expect("its children");
        let all = [first].into_iter().chain(children.split_whitespace());
        all.map(|pid| pid.parse().expect("a number")).collect()
    }

    /// From the next start on it is a standby, of nobody.
    pub fn becomes_standby(&self) {
        self.tells("standby");
        self.hears("standby");
    }

    fn tells(&self, line: &str) {
        let mut keeper = self.keeper.lock().expect("nobody panicked");
        let to = keeper.to.as_mut().expect("open");
        writeln!(to, "{line}").expect("the keeper listens");
    }

    fn hears(&self, expected: &str) {
        let mut keeper = self.keeper.lock().expect("nobody panicked");
        let mut line = String::new();
        keeper.from.read_line(&mut line).expect("the keeper speaks");
        assert_eq!(line.trim(), expected, "PostgreSQL for the tests");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // One that hangs wouldn't stop.
        if self.dir.join("data/postmaster.pid").exists() {
            self.goes_on();
        }
        let Ok(keeper) = self.keeper.get_mut() else {
            return;
        };
        drop(keeper.to.take());
        let _ = keeper.shell.wait();
    }
}

/// The address of a database behind a socket in this folder.
pub fn address(dir: &Path, database: &str) -> String {
    let dir = dir.display().to_string().replace('/', "%2F");
    format!("postgres://careline@{dir}/{database}")
}

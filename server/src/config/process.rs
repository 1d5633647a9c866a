//! `careline.toml`: how this process runs. One small struct per concern; every
//! setting has a default.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ACTIONS_AT_ONCE_MAX, ConfigError, SecretFrom, read};

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// Where calls come in.
    pub sip: Sip,
    /// Audio.
    pub media: Media,
    /// What is kept.
    pub store: Store,
    /// The voice.
    pub speech: Speech,
    /// How much may come in.
    pub limits: Limits,
    /// Health and metrics.
    pub http: Http,
    /// The API.
    pub api: Api,
    /// Lines on standard error.
    pub log: Log,
}

/// `[http]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where `/health`, `/ready` and `/metrics` are served, e.g. `127.0.0.1:9464`; nowhere by
    /// default. They ask for no password: an address that only those who watch can reach.
    pub bind: Option<SocketAddr>,
}

/// `[api]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Where `/api/v1` is served, e.g. `127.0.0.1:8088`; nowhere by default. It speaks plain HTTP:
    /// something that ends TLS stands before it.
    pub bind: Option<SocketAddr>,
    /// Whether another address than this machine's own (127.0.0.0/8, ::1) is meant: whoever sees the
    /// packets reads tokens and answers then; false.
    pub plaintext: bool,
}

/// `[sip]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Address and port listened on, by UDP and TCP; `127.0.0.1:5060`.
    pub bind: SocketAddr,
    /// Whether streams are accepted on it too; true (RFC 3261 section 18.2.1 asks for it).
    pub tcp: bool,
    /// TLS, on a port of its own; none by default.
    pub tls: Option<Tls>,
    /// The address told to peers outside `local_nets`; the bound one if absent.
    pub advertise: Option<IpAddr>,
    /// Networks whose hosts reach `bind` directly, e.g. `10.0.0.0/8`.
    pub local_nets: Vec<String>,
    /// Digest realm of the phone accounts; `careline`.
    pub realm: String,
    /// Peers whose calls come without a password (trunks), by network.
    pub trusted: Vec<String>,
    /// Digest algorithms offered to phones: `sha256-first` (default, RFC 8760), `md5-first` for
    /// phones that read the first challenge alone, `md5-only` for phones that give up at any
    /// challenge they don't know, or `sha256-only`.
    pub digest: Digest,
    /// Name servers asked for gateways that are written as names, e.g. `192.0.2.53:53`; the system's
    /// by default.
    pub dns: Vec<SocketAddr>,
    /// Shortest registration accepted, in seconds; 30.
    pub registration_min_s: u64,
    /// Longest registration given, in seconds; 120. Registrations are kept in memory: after a
    /// restart a phone is back within this time.
    pub registration_max_s: u64,
    /// What a call hears that isn't admitted: 503 (default), 480 or 486.
    pub refusal_code: u16,
    /// Retry-After sent with it, in seconds; none by default, because some
    /// peers then take the whole trunk out of service.
    pub retry_after_s: Option<u32>,
    /// What an agent presses while talking with a colleague about a caller, to have all three talk; `*3`. Empty: nothing
    /// does.
    pub conference_code: String,
    /// What stands before the key (1: not permitted, 2: no skill, 3: no article) by which an agent says why they hand a
    /// caller over; `*8`. Dialled behind the number, `7000*82`, or pressed while they ask a colleague. Empty: none is
    /// looked for.
    pub reason_code: String,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 5060)),
            tcp: true,
            tls: None,
            advertise: None,
            local_nets: Vec::new(),
            realm: "careline".into(),
            trusted: Vec::new(),
            digest: Digest::default(),
            dns: Vec::new(),
            registration_min_s: 30,
            registration_max_s: 120,
            refusal_code: 503,
            retry_after_s: None,
            conference_code: "*3".into(),
            reason_code: "*8".into(),
        }
    }
}

/// `[sip.tls]`. Files are PEM; their paths are relative to the configuration's folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Port, at the address of `sip.bind`; 5061.
    #[serde(default = "default_tls_port")]
    pub port: u16,
    /// Our certificate, then those of the authorities between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities whose certificates we take: of those we call, and of callers that show one.
    pub authorities: Option<PathBuf>,
    /// Whether audio of calls that come or go by TLS is encrypted; as `media.encryption` if absent.
    pub encryption: Option<Encryption>,
}

fn default_tls_port() -> u16 {
    sip::Transport::Tls.default_port()
}

/// Whether audio is encrypted: `media.encryption`, `sip.tls.encryption`, and of a phone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Never.
    Off,
    /// When the peer can.
    #[default]
    Offered,
    /// Always: a call that can't be is refused.
    Required,
}

impl From<Encryption> for switch::Encryption {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Off => Self::Off,
            Encryption::Offered => Self::Offered,
            Encryption::Required => Self::Required,
        }
    }
}

/// `sip.digest`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    /// SHA-256, then MD5.
    #[default]
    Sha256First,
    /// MD5, then SHA-256.
    Md5First,
    /// SHA-256 alone.
    Sha256Only,
    /// MD5 alone.
    Md5Only,
}

impl From<Digest> for sip::digest::Challenges {
    fn from(digest: Digest) -> Self {
        match digest {
            Digest::Sha256First => Self::Sha256First,
            Digest::Md5First => Self::Md5First,
            Digest::Sha256Only => Self::Sha256Only,
            Digest::Md5Only => Self::Md5Only,
        }
    }
}

impl Sip {
    /// The interface this makes.
    ///
    /// # Errors
    /// When a network isn't one, or a wildcard address is bound without an
    /// address to advertise.
    pub fn interface(&self, file: &Path) -> Result<sip::Interface, ConfigError> {
        if self.advertise.is_some_and(|ip| ip.is_unspecified()) {
            return Err(ConfigError::new(
                file,
                "sip.advertise is a wildcard; it is the address that phones and trunks reach this machine by",
            ));
        }
        if self.bind.ip().is_unspecified() && self.advertise.is_none() {
            return Err(ConfigError::new(
                file,
                "sip.bind is a wildcard, which no peer can call back; set sip.advertise to the \
                 address that phones and trunks reach this machine by",
            ));
        }
        let mut interface = sip::Interface::local(self.bind);
        if let Some(ip) = self.advertise {
            interface.advertise.ip = ip;
        }
        if let Some(tls) = &self.tls {
            interface.tls_port = tls.port;
            interface.advertise.tls_port = tls.port;
        }
        interface.local_nets = nets(file, "sip.local_nets", &self.local_nets)?;
        Ok(interface)
    }

    /// The trusted networks.
    ///
    /// # Errors
    /// When one isn't a network.
    pub fn trusted(&self, file: &Path) -> Result<Vec<sip::Net>, ConfigError> {
        nets(file, "sip.trusted", &self.trusted)
    }
}

fn nets(file: &Path, name: &str, texts: &[String]) -> Result<Vec<sip::Net>, ConfigError> {
    texts
        .iter()
        .map(|text| {
            text.parse().map_err(|_| {
                ConfigError::new(
                    file,
                    format!("{name}: \"{text}\" isn't a network; write e.g. \"10.0.0.0/8\""),
                )
            })
        })
        .collect()
}

/// `[media]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Address RTP is bound to; that of `[sip]` if absent.
    pub bind: Option<IpAddr>,
    /// The address told to peers outside `sip.local_nets` in SDP; that of `[sip]` if absent.
    pub advertise: Option<IpAddr>,
    /// UDP ports, two per leg; `16384-32767`.
    pub ports: String,
    /// Threads; one carries about 2,000 playing calls; 1.
    pub threads: u8,
    /// Seconds without any packet, RTCP included, after which a leg's audio counts as lost and its
    /// call as over; 30.
    pub timeout_s: u64,
    /// SCHED_FIFO priority of the media threads, where the system permits it; none.
    pub realtime_priority: Option<u8>,
    /// Whether audio is encrypted (SRTP): `off`, `offered` (default: where the peer can and its
    /// signalling is TLS) or `required` (calls that can't be are refused). A phone's own setting
    /// comes first, then that of `[sip.tls]`.
    pub encryption: Encryption,
    /// Whether keys may travel in SIP that isn't encrypted too; false. Whoever sees them there
    /// hears the calls: for networks where something else protects the signalling.
    pub keys_in_clear: bool,
    /// What phones are offered, the preferred first: `pcmu`, `pcma`, `g722`; all three in this order by default. Of an
    /// offer its own order counts. G.722 costs about as much again as all else of a call, unless both sides speak it.
    pub codecs: Vec<Codec>,
    /// The same of trunks; `pcmu`, `pcma`.
    pub trunk_codecs: Vec<Codec>,
    /// Whether text telephones (TTY) are looked for in what callers send; true. The phones called for one are offered
    /// G.711 alone, and one found in the middle of a call has both sides of it asked to change to G.711.
    pub find_text_telephones: bool,
}

/// `media.codecs`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
}

impl From<Codec> for media::codec::Format {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => media::codec::Codec::Pcmu.into(),
            Codec::Pcma => media::codec::Codec::Pcma.into(),
            Codec::G722 => Self::G722,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            bind: None,
            advertise: None,
            ports: "16384-32767".into(),
            threads: 1,
            timeout_s: 30,
            realtime_priority: None,
            encryption: Encryption::Offered,
            keys_in_clear: false,
            codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::G722],
            trunk_codecs: vec![Codec::Pcmu, Codec::Pcma],
            find_text_telephones: true,
        }
    }
}

impl Media {
    /// The port range.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn port_range(&self, file: &Path) -> Result<RangeInclusive<u16>, ConfigError> {
        let wrong = || {
            ConfigError::new(
                file,
                format!(
                    "media.ports: \"{}\" isn't a range of ports; write e.g. \"16384-32767\"",
                    self.ports
                ),
            )
        };
        let (first, last) = self.ports.split_once('-').ok_or_else(wrong)?;
        let first: u16 = first.trim().parse().map_err(|_| wrong())?;
        let last: u16 = last.trim().parse().map_err(|_| wrong())?;
        // An even port and the odd one after it.
        if first.next_multiple_of(2).max(2) >= last {
            return Err(wrong());
        }
        Ok(first..=last)
    }
}

/// `[store]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Where everything is kept; `data`, beside the configuration. Overridden by `--data`.
    pub dir: PathBuf,
    /// The SQLite file in it; `careline.db`.
    pub file: PathBuf,
    /// Its largest size in MiB; no limit. Beyond it nothing more is recorded and callers get no
    /// tickets, but the disk isn't full for everybody else.
    pub size_max_mb: Option<u64>,
    /// A PostgreSQL database in its place, `postgres://careline@db.example/careline?sslmode=verify-full`.
    /// `sslmode` is that, `require` (encrypted, whoever answers) or `disable`; on this machine none is needed.
    pub url: Option<String>,
    /// Its password: where that is found, `{ file = "db.password" }` or `{ env = "NAME" }`.
    pub password: Option<SecretFrom>,
    /// The authorities (PEM) that the certificate of its server must be of; those of this machine if absent.
    pub authority: Option<PathBuf>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            dir: "data".into(),
            file: "careline.db".into(),
            size_max_mb: None,
            url: None,
            password: None,
            authority: None,
        }
    }
}

/// Without the address: somebody may have written a password into it.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// `[speech]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Speech {
    /// Folder with the built-in voice; found beside the working directory or the program if absent.
    pub voices: Option<PathBuf>,
    /// A program in place of the built-in voice: text on standard input, WAV on standard output.
    pub command: Option<Vec<String>>,
    /// Programs that speak other languages, by the two letters of each: text on standard input, WAV
    /// on standard output. What has no program here, or one that fails, isn't offered to callers.
    pub languages: BTreeMap<String, Vec<String>>,
    /// Rendering threads, at low priority; 1.
    pub threads: u8,
    /// How long a caller waits for a prompt that isn't ready, in milliseconds; 1000.
    pub deadline_ms: u64,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            voices: None,
            command: None,
            languages: BTreeMap::new(),
            threads: 1,
            deadline_ms: 1000,
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How lines are written to standard error: `text` (default), or `json`, an object each; then
    /// what `careline serve` tells its operator stands there too.
    pub format: LogFormat,
}

/// `log.format`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: `timestamp`, `level`, `target`, `message`, and the fields of each line.
    Json,
}

/// `[limits]`: see [`switch::Limits`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// New calls a second that a hospital may sustain.
    pub calls_per_second: f64,
    /// How many may come at once after a quiet time.
    pub burst: f64,
    /// Calls in progress, per hospital.
    pub calls_per_tenant_max: u32,
    /// Calls in progress altogether.
    pub calls_max: u32,
    /// Of these, how many only clinical numbers may use.
    pub clinical_reserve: u32,
    /// HTTP actions called at a time, per hospital.
    pub actions_per_tenant_max: usize,
    /// HTTP actions called at a time altogether.
    pub actions_max: usize,
    /// How long calls in progress may go on after SIGTERM, in seconds.
    pub drain_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = switch::Limits::default();
        let actions = switch::ActionLimits::default();
        Self {
            calls_per_second: limits.calls_per_second,
            burst: limits.burst,
            calls_per_tenant_max: limits.calls_per_tenant_max,
            calls_max: limits.calls_max,
            clinical_reserve: limits.clinical_reserve,
            actions_per_tenant_max: actions.per_tenant,
            actions_max: actions.all,
            drain_s: 30,
        }
    }
}

impl Limits {
    /// Those of HTTP actions; more than [`ACTIONS_AT_ONCE_MAX`] are never called at a time.
    pub fn actions(&self) -> switch::ActionLimits {
        switch::ActionLimits {
            per_tenant: self.actions_per_tenant_max,
            all: self.actions_max.min(ACTIONS_AT_ONCE_MAX),
        }
    }

    /// As the switch wants them.
    pub fn for_switch(&self) -> switch::Limits {
        switch::Limits {
            calls_per_second: self.calls_per_second,
            burst: self.burst,
            calls_per_tenant_max: self.calls_per_tenant_max,
            calls_max: self.calls_max,
            clinical_reserve: self.clinical_reserve,
        }
    }
}

impl Process {
    /// Reads the file; without one, everything is at its default.
    ///
    /// # Errors
    /// With the line, when it isn't what this program understands.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = read(file)?;
        let process: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map(|span| 1 + text.get(..span.start).unwrap_or("").matches('\n').count());
            let message = error.message();
            let help = if message.contains("socket address") {
                "; write an IP address and a port, e.g. \"127.0.0.1:5060\""
            } else {
                ""
            };
            ConfigError::at(file, line, format!("{message}{help}"))
        })?;
        process.check(file)?;
        Ok(process)
    }
    /// Refuses numbers that parse and can't work.
    fn check(&self, file: &Path) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let (min_s, max_s) = (self.sip.registration_min_s, self.sip.registration_max_s);
        let faults = [
            (
                self.media.threads == 0,
                "media.threads is 0; 1 carries about 2,000 playing calls",
            ),
            (
                self.media.timeout_s == 0,
                "media.timeout_s is 0, which would end every call; 30 suits most networks",
            ),
            (
                ![&self.media.codecs, &self.media.trunk_codecs]
                    .iter()
                    .all(|codecs| codecs.iter().any(|codec| *codec != Codec::G722)),
                "media.codecs and media.trunk_codecs need pcmu or pcma, which every telephone speaks",
            ),
            (
                self.speech.threads == 0,
                "speech.threads is 0, and nothing could be said; write at least 1",
            ),
            (
                self.speech.command.as_ref().is_some_and(Vec::is_empty),
                "speech.command is an empty list; write the program and its arguments, or leave it out",
            ),
            (
                min_s == 0 || min_s > max_s,
                "sip.registration_min_s must lie between 1 and sip.registration_max_s",
            ),
            (
                ![480, 486, 503].contains(&self.sip.refusal_code),
                "sip.refusal_code is one of 503, 480 and 486",
            ),
            (
                [&self.sip.conference_code, &self.sip.reason_code]
                    .into_iter()
                    .any(|code| {
                        code.len() > 8 || !code.chars().all(|key| "0123456789*#ABCD".contains(key))
                    }),
                "sip.conference_code and sip.reason_code are made of keys of a telephone, at most eight: 0 to 9, *, # and A to D",
            ),
            (
                !(limits.calls_per_second > 0.0 && limits.burst >= 1.0),
                "limits.calls_per_second must be above 0 and limits.burst at least 1, or no call comes in",
            ),
            (
                limits.calls_max == 0 || limits.calls_per_tenant_max == 0,
                "limits.calls_max and limits.calls_per_tenant_max must be at least 1",
            ),
            (
                self.api.bind.is_some_and(|at| !at.ip().is_loopback()) && !self.api.plaintext,
                "api.bind is an address that others reach, and the API speaks plain HTTP: bind it to 127.0.0.1 and let \
                 something that ends TLS stand before it, or write api.plaintext = true where the network is trusted",
            ),
            (
                limits.clinical_reserve > limits.calls_max,
                "limits.clinical_reserve is a part of limits.calls_max and can't be more",
            ),
        ];
        match faults.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, message)) => Err(ConfigError::new(file, message)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;

    fn database(dir: &Path, store: &str) -> Result<Database, String> {
        let process: Process = toml::from_str(&format!("[store]\n{store}")).unwrap();
        assert!(!format!("{process:?}").contains("s3cret"));
        let database = process
            .store
            .database(&dir.join("careline.toml"), &dir.join("data"))
            .map_err(|fault| fault.to_string());
        let told = format!("{database:?}");
        assert!(!told.contains("s3cret"), "{told}");
        database
    }

    #[test]
    fn a_database_is_named_and_its_password_found_elsewhere() {
        let dir = std::env::temp_dir().join(format!("careline-url-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("password"), "s3cret\n").unwrap();
        std::fs::write(dir.join("empty"), "\n").unwrap();
        let named = |store: &str| database(&dir, store).unwrap().to_string();
        let file = dir.join("data").join("careline.db");
        assert_eq!(named(""), file.display().to_string());
        let url = r#"url = "postgres://ca@localhost/desk""#;
        assert_eq!(named(url), "postgres://localhost/desk");
        for from in [r#"file = "password""#, r#"env = "PATH""#] {
            named(&format!("{url}\npassword = {{ {from} }}"));
        }
        for (store, why) in [
            (r#"password = { file = "password" }"#, "write its `url` too"),
            (r#"authority = "ca.pem""#, "write its `url` too"),
            (
                &format!("{url}\nsize_max_mb = 5"),
                "`size_max_mb` is a SQLite",
            ),
            (
                &format!("{url}\nauthority = \"ca.pem\""),
                "sslmode=verify-full",
            ),
            (
                &format!("{url}\npassword = {{ file = \"empty\" }}"),
                "empty holds no secret",
            ),
            (
                &format!("{url}\npassword = {{ file = \"empty\", env = \"PATH\" }}"),
                "one of them",
            ),
            (
                r#"url = "postgres://c@db.example/d?sslmode=verify-full"
authority = "none.pem""#,
                "none.pem",
            ),
            (r#"url = "postgres://c@db.example/d""#, "another machine"),
            (r#"url = "postgres://c:s3cret@localhost/d""#, "password = {"),
        ] {
            let told = database(&dir, store).unwrap_err();
            assert!(told.contains(why), "{store}: {told}");
            assert!(
                told.contains("careline.toml") && told.contains("store: "),
                "{told}"
            );
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

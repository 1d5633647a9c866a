//! Where a PostgreSQL server is, and how it is called.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};

use super::super::DatabaseError;
use super::session::said;
use super::tls::{Encrypted, Encryption};

/// How long one of several hosts may take to let us in.
const HOST_WAIT: Duration = Duration::from_secs(2);
/// Hosts in one address.
const HOSTS_MAX: usize = 4;
/// What may stand behind the `?`, besides `sslmode`.
const PARAMETERS: [&str; 5] = ["host", "port", "user", "dbname", "password"];
const ODD: &str = "`url` isn't a database's address; write e.g. postgres://careline@db.example/careline?sslmode=verify-full";

/// A database on a PostgreSQL server, or on whichever of several is the
/// primary. Neither `Debug` nor `Display` shows the user or the password.
#[derive(Clone)]
pub struct Server {
    /// One for each host, in their order.
    hosts: Arc<[Config]>,
    tls: Option<Arc<ClientConfig>>,
    name: Arc<str>,
}

/// What serves the session's socket until it is over.
pub(super) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Server {
    /// Reads `postgres://user@host:port/database?sslmode=verify-full`; `host`
    /// may be an encoded folder of a Unix socket (`%2Frun%2Fpostgresql`), or
    /// several hosts with commas between them.
    ///
    /// `sslmode` is `disable`, `require` (encrypted, whoever answers) or
    /// `verify-full` (and the server shows a certificate for its name, of one
    /// of the authorities in the file `authority`, PEM, or else of this
    /// machine's). It may be left out where the server is on this machine.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn new(
        url: &str,
        password: Option<&[u8]>,
        authority: Option<&Path>,
    ) -> Result<Self, String> {
        let (address, encryption) = split(url)?;
        // The library's words may quote what stands there.
        let mut config: Config = address.parse().map_err(|_| ODD.to_owned())?;
        if config.get_password().is_some() {
            return Err(
                "`url` holds a password; write `password = { file = \"db.password\" }` or `{ env = \"NAME\" }`".into(),
            );
        }
        if let Some(password) = password {
            config.password(password);
        }
        let hosts = one_by_one(&config)?;
        let name = name(&config);
        let tls = encryption_of(encryption, config.get_hosts())?.client(authority)?;
        Ok(Self {
            hosts: hosts.into(),
            tls,
            name: name.into(),
        })
    }

    /// How long [`Self::connect`] takes at most.
    pub(super) fn patience(&self) -> Duration {
        HOST_WAIT * u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)
    }

    /// The first of the hosts that lets us in; of several, that takes writes.
    pub(super) async fn connect(&self) -> Result<(Client, Serving), DatabaseError> {
        let mut why = Vec::new();
        for config in &*self.hosts {
            let connected = tokio::time::timeout(HOST_WAIT, self.connect_to(config)).await;
            let error = match connected {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => match said(&error) {
                    DatabaseError::Lost(why) => why,
                    error => error.to_string().into(),
                },
                Err(_) => format!("nobody answers within {HOST_WAIT:?}").into(),
            };
            why.push(match self.hosts.len() {
                1 => error.into_string(),
                _ => format!("{}: {error}", host(config.get_hosts())),
            });
        }
        Err(DatabaseError::lost(why.join("; ")))
    }

    async fn connect_to(
        &self,
        config: &Config,
    ) -> Result<(Client, Serving), tokio_postgres::Error> {
        let mut config = config.clone();
        // Whoever waits for an answer is told of the end; nobody else needs to know.
        Ok(match &self.tls {
            None => {
                let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
                (client, Box::pin(async move { drop(connection.await) }))
            }
            Some(tls) => {
                let tls = Encrypted::new(Arc::clone(tls));
                let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await?;
                (client, Box::pin(async move { drop(connection.await) }))
            }
        })
    }
}

/// The address without its `sslmode`, and that. What isn't ours to read is
/// refused, and never quoted: it may be half a password.
fn split(url: &str) -> Result<(String, Option<Encryption>), String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(ODD.into());
    }
    let (mut address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address.to_owned(), parameters),
        None => (url.to_owned(), ""),
    };
    let mut encryption = None;
    let mut between = '?';
    for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
        let (key, value) = parameter.split_once('=').ok_or(ODD)?;
        if key == "sslmode" {
            encryption = Some(match value {
                "disable" => Encryption::None,
                "require" => Encryption::WithWhomever,
                "verify-full" => Encryption::Verified,
                _ => {
                    return Err(
                        "`url`: sslmode is `verify-full` (encrypted, and the server shows who it is), `require` \
                         (encrypted) or `disable`; nothing else is known here"
                            .into(),
                    );
                }
            });
        } else if PARAMETERS.contains(&key) {
            address.push(between);
            address.push_str(parameter);
            between = '&';
        } else {
            return Err(
                "`url` has a parameter that isn't known here: only sslmode, host, port, user and dbname are; the \
                 authorities of its certificate are named with `authority`"
                    .into(),
            );
        }
    }
    Ok((address, encryption))
}

fn encryption_of(written: Option<Encryption>, hosts: &[Host]) -> Result<Encryption, String> {
    let socket = hosts.iter().any(|host| matches!(host, Host::Unix(_)));
    match written {
        Some(Encryption::Verified | Encryption::WithWhomever) if socket => {
            Err("`url`: nothing is encrypted on a Unix socket; leave sslmode away".into())
        }
        Some(written) => Ok(written),
        None if hosts.iter().all(is_here) => Ok(Encryption::None),
        None => Err(
            "`url` leads to another machine, and doesn't say whether calls' numbers travel there encrypted; write \
             ?sslmode=verify-full behind it (or ?sslmode=disable, where the network in between is protected)"
                .into(),
        ),
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
    }
}

/// A configuration for each host: how long each may take is ours to say.
fn one_by_one(config: &Config) -> Result<Vec<Config>, String> {
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    if hosts.is_empty() || hosts.len() > HOSTS_MAX {
        return Err(format!("`url` names one to {HOSTS_MAX} hosts"));
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err("`url` names another number of ports than of hosts".into());
    }
    let mut configs = Vec::with_capacity(hosts.len());
    for (n, host) in hosts.iter().enumerate() {
        let mut one = Config::new();
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(path) => one.host_path(path),
        };
        if let Some(port) = ports.get(n).or(ports.first()) {
            one.port(*port);
        }
        if let Some(user) = config.get_user() {
            one.user(user);
        }
        if let Some(password) = config.get_password() {
            one.password(password);
        }
        if let Some(database) = config.get_dbname() {
            one.dbname(database);
        }
        // Of one alone we say ourselves what is wrong with it.
        if hosts.len() > 1 {
            one.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        one.application_name("careline")
            .connect_timeout(Duration::from_secs(1))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        configs.push(one);
    }
    Ok(configs)
}

fn name(config: &Config) -> String {
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{}/{database}", host(config.get_hosts()))
}

fn host(hosts: &[Host]) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    hosts.iter().map(host).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(url: &str) -> String {
        let fault = Server::new(url, None, None).expect_err(url);
        assert!(!fault.contains("s3cret"), "{fault}");
        fault
    }

    #[test]
    fn an_address_says_whether_it_is_encrypted() {
        let is_encrypted = |url: &str| {
            let server = Server::new(url, None, None).unwrap_or_else(|why| panic!("{url}: {why}"));
            server.tls.is_some()
        };
        for here in [
            "postgres://c@%2Frun%2Fpostgresql/careline",
            "postgres:///careline?host=/run/postgresql&user=c",
            "postgres://c@localhost/careline",
            "postgres://c@127.0.0.9:5433/careline",
            "postgres://c@[::1]/careline",
            "postgres://c@db.example/careline?sslmode=disable",
        ] {
            assert!(!is_encrypted(here), "{here}");
        }
        for encrypted in [
            "postgresql://c@db.example/careline?sslmode=require",
            "postgres://c@127.0.0.1/careline?sslmode=require",
        ] {
            assert!(is_encrypted(encrypted), "{encrypted}");
        }
        for remote in [
            "postgres://c@db.example/careline",
            "postgres://c@127.0.0.1,192.0.2.1/careline",
        ] {
            assert!(fault(remote).contains("?sslmode=verify-full"));
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_shown() {
        for mode in ["prefer", "allow", "verify-ca", "s3cret", ""] {
            let told = fault(&format!("postgres://c@db.example/careline?sslmode={mode}"));
            assert!(told.contains("verify-full"), "{told}");
        }
        for (url, why) in [
            ("postgres://c:s3cret@localhost/d", "holds a password"),
            ("postgres://localhost/d?password=s3cret", "holds a password"),
            ("postgres://c:half?s3cret=x@localhost/d", "isn't known here"),
            ("postgres://c@localhost/d?sslrootcert=s3cret", "`authority`"),
            ("postgres://c@localhost/d?options=s3cret", "isn't known"),
            ("postgres://c@localhost:s3cret/d", "isn't a database's"),
            ("mysql://c@localhost/s3cret", "isn't a database's"),
            ("s3cret", "isn't a database's"),
            ("postgres:///d", "one to 4 hosts"),
            ("postgres://a,b,c,d,e/d?sslmode=require", "one to 4 hosts"),
            ("postgres://a:1,b:2,c:3/d?port=4&sslmode=require", "ports"),
            (
                "postgres://c@%2Frun%2Fpostgresql/d?sslmode=verify-full",
                "Unix socket",
            ),
        ] {
            let told = fault(url);
            assert!(told.contains(why), "{url}: {told}");
        }
        let server = Server::new("postgres://ca@localhost/d", Some(b"s3cret"), None).unwrap();
        assert_eq!(
            format!("{server} {server:?}"),
            r#"postgres://localhost/d Server("postgres://localhost/d")"#
        );
    }
}

//! Where a PostgreSQL server is, and how it is called.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

/// A database on a PostgreSQL server. Neither `Debug` nor `Display` shows the
/// user or the password.
#[derive(Clone)]
pub struct Server {
    config: Arc<Config>,
    name: Arc<str>,
}

/// What serves the session's socket until it is over.
pub(super) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Server {
    /// Reads `postgres://user@host:port/database`; `host` may be an encoded
    /// folder of a Unix socket (`%2Frun%2Fpostgresql`).
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn new(url: &str, password: Option<&[u8]>) -> Result<Self, String> {
        let odd =
            "`url` isn't a database's address; write e.g. postgres://careline@db.example/careline";
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(odd.into());
        }
        // The library's words may quote what stands there.
        let mut config: Config = url.parse().map_err(|_| odd.to_owned())?;
        if config.get_password().is_some() {
            return Err(
                "`url` holds a password; write `password = { file = \"db.password\" }` or `{ env = \"NAME\" }`".into(),
            );
        }
        if config.get_hosts().is_empty() {
            return Err(odd.into());
        }
        if let Some(password) = password {
            config.password(password);
        }
        config
            .application_name("careline")
            .connect_timeout(Duration::from_secs(1))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        let name = name(&config);
        Ok(Self {
            config: config.into(),
            name: name.into(),
        })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Serving), tokio_postgres::Error> {
        let mut config = Config::clone(&self.config);
        config.ssl_mode(SslMode::Disable);
        let (client, connection) = config.connect(NoTls).await?;
        let serving = Box::pin(async move {
            // Whoever waits for an answer is told; nobody else needs to know.
            let _ = connection.await;
        });
        Ok((client, serving))
    }
}

fn name(config: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{}/{database}", hosts.join(","))
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

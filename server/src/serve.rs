//! Starting everything, in the order in which each needs the other.

mod claim;
pub mod closings;
mod data;
mod descriptors;
pub mod publish;
pub(crate) mod setup;
mod versions;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use acd::Acd;
use desk::{Desk, Directory, TenantId, TenantSetup};
use sip::locate::{Families, Policy};
use switch::Switch;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use crate::actions::{self, Actions};
use crate::api::{self, tokens::Tokens};
use crate::config::{self, ConfigError, HelpDesk, Process};
use crate::control;
use crate::feed::{self, Feed};
use crate::figures::{self, Live};
use crate::http;
use crate::names;
use crate::node::{Clock, Control, Counters, Deeds, MediaSide, Node, Status, wall};
use crate::people::People;
use crate::phone::RingHub;
use crate::prompter::Prompter;
use crate::prompts::{self, Book, PromptError};
use crate::rtp::{Media, MediaConfig, MediaError};
use crate::secrets::{self, Entropy};
use crate::store::{Database, Settings, Store, StoreError};
use crate::streams::{self, Certificates, Streams, TlsError};
use crate::verifier::{Keyrings, Verifier};
use closings::Closings;
use publish::{Means, Publisher};
use setup::{acd_setup, addresses_of, audio_interface, file_directory, names_of, transports};
use versions::Versions;

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder with `careline.toml`, `operator.yaml` and `hospitals/`.
    pub config_dir: PathBuf,
    /// In place of `store.dir`.
    pub data_dir: Option<PathBuf>,
    /// In place of `sip.bind`.
    pub bind: Option<SocketAddr>,
    /// Where rendered prompts are kept; `speech` in the data directory if absent.
    pub speech_dir: Option<PathBuf>,
}

/// Why Careline can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The voice.
    #[error(transparent)]
    Prompts(#[from] PromptError),
    /// The store.
    #[error("store {database}: {error}")]
    Store {
        /// Which.
        database: String,
        /// Why.
        error: StoreError,
    },
    /// The key that the database was written with is gone.
    #[error(
        "{dir}/root.key is missing, and the database was written with one: put it back from a backup of the same \
         directory (a new key would lead callers' ticket numbers nowhere; to give those up, move the \
         database away too)"
    )]
    RootKeyMissing {
        /// The data directory.
        dir: PathBuf,
    },
    /// The media threads.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system allows too few sockets.
    #[error(
        "limits.calls_max = {calls_max} needs {needed} file descriptors and the system allows {allowed}; allow more \
         (LimitNOFILE= in a systemd unit, `ulimit -Hn`) or lower limits.calls_max"
    )]
    Descriptors {
        /// As configured.
        calls_max: u32,
        /// For that.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// A file or socket.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |error| StartError::Io { what, error }
}

/// The configuration, read and checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// How the process runs.
    pub process: Process,
    /// The folder.
    pub config_dir: PathBuf,
    /// `careline.toml`, for messages about it.
    pub process_file: PathBuf,
    /// What the help desk is.
    pub helpdesk: HelpDesk,
    /// Where its HTTP actions lead.
    pub actions: actions::Book,
    /// Who is told its log.
    pub webhooks: feed::Book,
    /// The database.
    pub database: Database,
    /// Where everything else is kept.
    pub data_dir: PathBuf,
    /// Where rendered prompts are kept.
    pub speech_dir: PathBuf,
}

impl Loaded {
    /// Reads and checks the folder.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(options: &Options) -> Result<Self, StartError> {
        let process_file = options.config_dir.join("careline.toml");
        let mut process = Process::load(&process_file)?;
        if let Some(bind) = options.bind {
            process.sip.bind = bind;
        }
        // Everything that starting would refuse is refused here, so that `careline check` and
        // `careline serve` never disagree.
        let interface = process.sip.interface(&process_file)?;
        process.sip.trusted(&process_file)?;
        audio_interface(&process, &process_file, interface)?;
        let ports = process.media.port_range(&process_file)?;
        let first = ports.start().next_multiple_of(2).max(2);
        let pairs = (u32::from(*ports.end()) + 1 - u32::from(first)) / 2;
        let legs = process.limits.calls_max.saturating_mul(2);
        if pairs < legs {
            let message = format!(
                "media.ports has {pairs} pairs of ports, and limits.calls_max calls need {legs}: a caller's \
                 and an analyst's each; widen the one or lower the other"
            );
            return Err(ConfigError::new(&process_file, message).into());
        }
        certificates(&process.sip, &options.config_dir)?;
        let helpdesk = HelpDesk::load(&options.config_dir)?;
        for hospital in &helpdesk.hospitals {
            let file = options
                .config_dir
                .join("hospitals")
                .join(format!("{}.yaml", hospital.key));
            file_directory(hospital).map_err(|fault| {
                let help = "numbers are digits with an optional leading +, ids stand once";
                ConfigError::new(&file, format!("{fault}; {help}"))
            })?;
        }
        let actions = actions::Book::read(&helpdesk, &options.config_dir)?;
        let webhooks = feed::Book::read(&helpdesk, &options.config_dir)?;
        let data_dir = match &options.data_dir {
            Some(dir) => dir.clone(),
            None => options.config_dir.join(&process.store.dir),
        };
        let database = process.store.database(&process_file, &data_dir)?;
        // Calling numbers are in it: nobody else on this machine reads them. (See `data::own`.)
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data_dir)
            .map_err(io_error(format!("data directory {}", data_dir.display())))?;
        let speech_dir = options
            .speech_dir
            .clone()
            .unwrap_or_else(|| data_dir.join("speech"));
        Ok(Self {
            process,
            config_dir: options.config_dir.clone(),
            process_file,
            helpdesk,
            actions,
            webhooks,
            database,
            data_dir,
            speech_dir,
        })
    }

    /// Starts the voice and renders every fixed prompt.
    ///
    /// # Errors
    /// See [`PromptError`].
    pub fn speak(
        &self,
        progress: impl FnMut(usize, usize),
    ) -> Result<(Arc<speech::Studio>, Book), PromptError> {
        let studio = Arc::new(prompts::studio(&self.process.speech, &self.speech_dir)?);
        let book = Book::render(&studio, &self.helpdesk, progress)?;
        for (tenant, names) in &book.later {
            studio.render_ahead(tenant.0, names);
        }
        Ok((studio, book))
    }
}

/// A running Careline.
pub struct Server {
    /// Where SIP is heard.
    pub address: SocketAddr,
    /// The port for TLS, at the same address.
    pub tls_port: Option<u16>,
    /// Where health and metrics are served.
    pub http: Option<SocketAddr>,
    /// Where the API is.
    pub api: Option<SocketAddr>,
    certificates: Option<Arc<Certificates>>,
    /// Contacts that a crash had left open.
    pub left_open: usize,
    /// Languages that callers aren't offered, since nobody can speak them here.
    pub unvoiced: Vec<prompts::Unvoiced>,
    /// Changes what is served.
    pub publisher: Arc<Publisher>,
    media: Media,
    control: mpsc::Sender<Control>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Server {
    /// Starts the pump on a thread of its own, where no terminal and no log can
    /// hold it up. With `rings`, audio goes through memory to phones of
    /// this process.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        loaded: &Loaded,
        studio: Arc<speech::Studio>,
        book: &Book,
        notes: Option<mpsc::Sender<switch::Note>>,
        rings: Option<RingHub>,
    ) -> Result<Self, StartError> {
        let clock = Clock::start();
        let process = &loaded.process;
        let file = &loaded.process_file;
        let connections_max = descriptors::allow(process.limits.calls_max)?;
        data::own(&loaded.data_dir).map_err(io_error(format!(
            "data directory {}: it must be this user's, and nobody else's to read",
            loaded.data_dir.display()
        )))?;
        let (socket, tcp) = bind(process.sip.bind, process.sip.tcp)
            .map_err(|error| not_bound(process.sip.bind, error))?;
        let address = socket.local_addr().map_err(io_error("SIP socket"))?;
        let mut interface_settings = process.sip.clone();
        interface_settings.bind = address;
        let certificates = certificates(&process.sip, &loaded.config_dir)?.map(Arc::new);
        let tls = match &mut interface_settings.tls {
            None => None,
            Some(tls) => {
                let at = SocketAddr::new(address.ip(), tls.port);
                let listener =
                    streams::bind(at).map_err(io_error(format!("SIP over TLS on {at}")))?;
                // Port 0 has become some port.
                tls.port = listener.local_addr().map_or(tls.port, |at| at.port());
                Some(listener)
            }
        };
        let tls_port = interface_settings.tls.as_ref().map(|tls| tls.port);
        let interface = interface_settings.interface(file)?;

        let database = &loaded.database;
        let root = data::root_key(&loaded.data_dir, database)?;
        let (done_sender, done) = mpsc::unbounded_channel();
        let size_max = process.store.size_max_mb;
        let settings = Settings {
            size_max_bytes: size_max.map(|mb| mb.saturating_mul(1 << 20)),
            root_key: Some(root.check()),
            ..Settings::default()
        };
        let waker = figures::Waker::default();
        let wake = waker.committed();
        let (tell, committed) = watch::channel(());
        let store_error = |error| StartError::Store {
            database: database.to_string(),
            error,
        };
        let (store, mut recovered) = Store::open(database, settings, wall(), move |batch| {
            // Unbounded, but never longer than what the desk has in flight.
            let _ = done_sender.send(batch);
            wake();
            tell.send_replace(());
        })
        .map_err(store_error)?;
        let start = recovered.start;
        let live = Live::start(database, &loaded.helpdesk, waker, wall).map_err(store_error)?;

        let seed: [u8; 32] = secrets::random().map_err(io_error("random source"))?;
        let number = u64::from_le_bytes(seed[..8].try_into().unwrap_or_default());
        let media_bind = process.media.bind.unwrap_or(address.ip());
        let threads = process.media.threads.max(1);
        // All legs of a call are on one thread, so that threads fill unevenly.
        let legs_max = 2 * process.limits.calls_max / u32::from(threads) * 5 / 4 + 64;
        let (media, media_events) = Media::start(MediaConfig {
            threads,
            legs_max,
            bind: vec![media_bind],
            ports: process.media.port_range(file)?,
            rtp_timeout: Duration::from_secs(process.media.timeout_s),
            realtime_priority: process.media.realtime_priority,
            seed: number.rotate_left(17),
            epoch: clock.epoch(),
            ..MediaConfig::default()
        })?;

        let voice = Arc::clone(&studio);
        let (mut prompter, ready) = Prompter::new(
            studio,
            book.tickets.clone(),
            book.fixed.clone(),
            Duration::from_millis(process.speech.deadline_ms),
        );
        let mut languages = vec![ivr_flows::Language::ENGLISH];
        let mut voices = vec![(ivr_flows::Language::ENGLISH, voice)];
        let (tongues, unvoiced) =
            prompts::tongues(&process.speech, &loaded.speech_dir, &loaded.helpdesk)?;
        for tongue in tongues {
            for (tenant, names) in &tongue.book.later {
                tongue.studio.render_ahead(tenant.0, names);
            }
            languages.push(tongue.language);
            voices.push((tongue.language, Arc::clone(&tongue.studio)));
            let (tickets, fixed) = (tongue.book.tickets, tongue.book.fixed);
            prompter.speaks(tongue.language, tongue.studio, tickets, fixed);
        }
        let told = loaded.webhooks.clone();
        let feed = Feed::start(store.api(), told, committed, wall, feed::Pace::default())
            .map_err(io_error("thread for webhooks"))?;
        let tokens = Arc::new(Tokens::open(store.api()).map_err(store_error)?);
        let known = loaded.helpdesk.hospitals.iter().map(|h| TenantId(h.id));
        let people = People::open(store.people(), root.clone(), known).map_err(store_error)?;
        let people = Arc::new(people);
        let keyrings = Keyrings::default();
        let mut tenants = vec![TenantSetup {
            id: OPERATOR,
            ticket_key: root.ticket_key(OPERATOR),
            directory: Directory::default(),
            next_ticket: recovered.next_ticket(OPERATOR),
            tickets: Vec::new(),
            rules: desk::TicketRules::default(),
            promises: desk::PromiseSetup::default(),
            incidents: desk::IncidentSetup::default(),
            verification: desk::VerificationRules::default(),
        }];
        for hospital in &loaded.helpdesk.hospitals {
            let id = TenantId(hospital.id);
            keyrings.set(id, people.keyring(id).map_err(store_error)?);
            tenants.push(TenantSetup {
                id,
                ticket_key: root.ticket_key(id),
                directory: people.directory(hospital).map_err(|fault| {
                    ConfigError::new(Path::new(&hospital.key), fault.to_string())
                })?,
                next_ticket: recovered.next_ticket(id),
                tickets: recovered.tickets.remove(&id).unwrap_or_default(),
                rules: setup::ticket_rules(hospital, &loaded.helpdesk)?,
                promises: desk::PromiseSetup {
                    next: recovered.next_promise(id),
                    known: recovered.promises.remove(&id).unwrap_or_default(),
                    callable: setup::callable(hospital, &people)?,
                    ..desk::PromiseSetup::default()
                },
                incidents: desk::IncidentSetup {
                    rules: hospital.incident_rules(),
                    next: recovered.next_incident(id),
                    known: recovered.incidents.remove(&id).unwrap_or_default(),
                },
                verification: hospital.verification.rules(),
            });
        }
        // An address that isn't ours is found out now, not by the first caller.
        std::net::UdpSocket::bind((media_bind, 0))
            .map_err(io_error(format!("media on {media_bind}")))?;
        let audio = audio_interface(process, file, interface.clone())?;
        let mut versions =
            Versions::read(&loaded.data_dir).map_err(io_error("published versions"))?;
        versions.raise(&loaded.helpdesk.texts);
        versions
            .write(&loaded.data_dir)
            .map_err(io_error("published versions"))?;
        let published = publish::published(&loaded.helpdesk, &versions.untold());
        let mut switch_setup = setup::setup(
            loaded,
            interface.clone(),
            audio.clone(),
            seed,
            &root,
            &versions,
        )?;
        switch_setup.languages = languages.into();
        let closings = Closings::open(&loaded.data_dir, wall());
        for (key, calendar, closing) in closings.all() {
            let mut hospitals = loaded.helpdesk.hospitals.iter();
            if let Some(hospital) = hospitals.find(|hospital| hospital.key == key) {
                let at = (TenantId(hospital.id), Arc::from(calendar));
                switch_setup.closings.insert(at, closing.exception());
            }
        }
        for gap in loaded.helpdesk.emergency_gaps() {
            tracing::warn!("{gap}");
        }
        let names = names_of(&switch_setup);
        let threads = media.clone();
        let distributor = acd_setup(&loaded.helpdesk, number);
        let (control, control_receiver) = mpsc::channel(16);
        let mut streams = Streams::new(certificates.clone(), connections_max);
        for gateway in addresses_of(&switch_setup) {
            streams.gateway(gateway, None);
        }
        let (asking, answers) =
            Actions::start(loaded.actions.clone()).map_err(io_error("thread for HTTP actions"))?;
        let (mut verifier, checked) = Verifier::start(keyrings.clone(), &root, Arc::clone(&people))
            .map_err(io_error("threads for verification"))?;
        verifier.send_by(setup::code_actions(&loaded.helpdesk));
        let entropy = Entropy::open().map_err(io_error("the system's random source".to_owned()))?;
        let mut desk = Desk::new(desk::Setup {
            tenants,
            limits: desk::Limits::default(),
        });
        // What changed while nothing ran, or was cut off before it was written.
        for published in published {
            let input = desk::Input::Published(published.at(wall()));
            desk.handle(clock.now().mono, input);
        }
        let node = move |socket, streams| Node {
            clock,
            switch: Switch::new(switch_setup),
            acd: Acd::new(distributor),
            desk,
            operator: OPERATOR,
            socket,
            streams,
            media: threads,
            entropy,
            media_side: rings.map_or(MediaSide::Udp(media_bind), |hub| MediaSide::Ring {
                hub,
                loose: HashMap::new(),
            }),
            prompter,
            store: Arc::new(store),
            done,
            media_events,
            ready,
            actions: asking,
            answers,
            verifier,
            checked,
            deeds: Deeds::new(start),
            control: control_receiver,
            notes,
            counters: Counters::default(),
            store_failing: false,
            refused_lately: HashMap::new(),
        };
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("signalling".into())
            .spawn(move || {
                let result = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .and_then(|runtime| {
                        runtime.block_on(async {
                            let socket = Arc::new(UdpSocket::from_std(socket)?);
                            for (listener, by) in
                                [(tcp, sip::Transport::Tcp), (tls, sip::Transport::Tls)]
                            {
                                if let Some(listener) = listener {
                                    streams.listen(listener, by)?;
                                }
                            }
                            node(socket, streams).run().await
                        })
                    });
                // Not sent when this thread panics: the receiver sees that too.
                let _ = end.send(result);
            })
            .map_err(io_error("signalling thread"))?;
        let policy = Policy {
            transports: transports(process.sip.tcp, certificates.is_some()),
            families: match address.ip() {
                IpAddr::V4(_) => Families::V4,
                IpAddr::V6(_) => Families::V6,
            },
            ..Policy::default()
        };
        names::start(names, &process.sip.dns, policy, &control)
            .map_err(io_error("name servers"))?;
        let queues = loaded.helpdesk.queues.iter();
        let queues = queues.map(|queue| queue.name.clone()).collect();
        let means = Means {
            voices,
            interface,
            audio,
            seed,
            root,
            control: control.downgrade(),
            live: live.clone(),
            feed: feed.clone(),
            people,
            keyrings,
        };
        // The desk has them.
        versions.told();
        versions
            .write(&loaded.data_dir)
            .map_err(io_error("published versions"))?;
        let publisher = Arc::new(Publisher::new(loaded, versions, closings, means));
        // Calls can do without: a path that is too long for a socket keeps nobody from calling.
        let asked = control::start(
            &loaded.data_dir,
            Arc::clone(&publisher),
            Arc::clone(&tokens),
        );
        if let Err(error) = asked {
            tracing::warn!(%error, "no `careline plan|apply|export`: no socket in the data directory");
        }
        let http = match process.http.bind {
            None => None,
            Some(bind) => {
                let at = http::start(bind, &control, media.clone(), live, feed, queues);
                Some(at.map_err(io_error(format!("HTTP on {bind}")))?)
            }
        };
        let api = match process.api.bind {
            None => None,
            Some(bind) => {
                let at = api::start(bind, tokens, Arc::clone(&publisher) as _);
                Some(at.map_err(io_error(format!("API on {bind}")))?)
            }
        };
        Ok(Self {
            address,
            tls_port,
            http,
            api,
            certificates,
            left_open: recovered.left_open.len(),
            unvoiced,
            publisher,
            media,
            control,
            ended,
        })
    }

    /// How are things? None when the server has stopped.
    pub async fn status(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::Status(reply)).await.ok()?;
        answer.await.ok()
    }

    /// The media threads' figures.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// Reads our certificate anew, for connections from now on.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays in use.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.certificates
            .as_ref()
            .map_or(Ok(()), |ours| ours.reload())
    }

    /// Takes no new calls from now on.
    pub async fn drain(&self) {
        let _ = self.control.send(Control::Drain).await;
    }

    /// Comes to an end when the pump does, which it doesn't unless it fails.
    pub async fn failed(&mut self) -> io::Error {
        match (&mut self.ended).await {
            Ok(Ok(())) => io::Error::other("the pump ended by itself"),
            Ok(Err(error)) => error,
            Err(_) => io::Error::other("the pump panicked"),
        }
    }

    /// Stops: everybody is hung up on, what is queued for the store is written.
    pub async fn stop(self) {
        drop(self.control);
        match self.ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the SIP socket failed"),
            Err(_) => tracing::error!("the pump panicked"),
        }
        self.media.stop();
    }
}

/// The operator's own log: hospitals' ids begin at 1.
pub(crate) const OPERATOR: TenantId = TenantId(0);

/// A free port may be somebody's for the other kind of socket: then another is tried.
const BIND_ATTEMPTS: usize = 8;

/// A SIP socket with room for a burst (a call a millisecond for a quarter of a
/// second, while the pump is busy elsewhere), and a listener on the same port.
fn bind(
    address: SocketAddr,
    tcp: bool,
) -> io::Result<(std::net::UdpSocket, Option<std::net::TcpListener>)> {
    use nix::sys::socket::{setsockopt, sockopt};
    let mut attempt = 0;
    let (socket, listener) = loop {
        let socket = std::net::UdpSocket::bind(address)?;
        if !tcp {
            break (socket, None);
        }
        attempt += 1;
        match streams::bind(socket.local_addr()?) {
            Ok(listener) => break (socket, Some(listener)),
            Err(error) if address.port() != 0 || attempt == BIND_ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    };
    // The system may allow less; a smaller buffer only means earlier loss.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &(4 * 1024 * 1024));
    let _ = setsockopt(&socket, sockopt::SndBuf, &(4 * 1024 * 1024));
    socket.set_nonblocking(true)?;
    Ok((socket, listener))
}

fn not_bound(address: SocketAddr, error: io::Error) -> StartError {
    let help = if error.kind() == io::ErrorKind::AddrInUse {
        " (another Careline? A second one needs an address and a data folder of its own: --bind, --data)"
    } else {
        ""
    };
    io_error(format!("SIP on {address}{help}"))(error)
}

/// Whether SIP can be heard where it is to be, before anything is done that takes time.
///
/// # Errors
/// What [`Server::start`] would say.
pub fn is_free(loaded: &Loaded) -> Result<(), StartError> {
    let sip = &loaded.process.sip;
    bind(sip.bind, sip.tcp)
        .map(drop)
        .map_err(|error| not_bound(sip.bind, error))
}

fn certificates(sip: &config::Sip, dir: &Path) -> Result<Option<Certificates>, TlsError> {
    let Some(tls) = &sip.tls else {
        return Ok(None);
    };
    let authorities = tls.authorities.as_ref().map(|file| dir.join(file));
    Certificates::load(
        &dir.join(&tls.certificate),
        &dir.join(&tls.key),
        authorities.as_deref(),
    )
    .map(Some)
}

/// Is the folder's configuration sound?
///
/// # Errors
/// The first thing that is wrong.
pub fn check(config_dir: &Path) -> Result<Loaded, StartError> {
    Loaded::read(&Options {
        config_dir: config_dir.to_owned(),
        data_dir: None,
        bind: None,
        speech_dir: None,
    })
}

//! A whole Careline within the test's process: SIP over the loopback, audio
//! through memory, phones that know by ear what they hear.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use desk::{ContactId, Event, TenantId, TicketNumber};
use media::clip::Clip;
use server::phone::{
    AnswerPolicy, CallId, CallOptions, CallReport, Ears, HearingEvent, KeysBy, Library, Marker,
    Phone, PhoneConfig, PhoneEvent, PhoneEventKind, PhoneEvents, PhoneMedia, Registration, RingHub,
    Sound, Voice,
};
use server::prompts::Book;
use server::serve::{Loaded, Options};
use server::store::{ContactRow, Database, History, Reader};
use switch::{Note, NoteWhat};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};

use super::{InMemory, root, scratch, speech_dir};

/// For whatever should happen at once, on a machine that has other things to do.
pub const SOON: Duration = Duration::from_secs(8);
/// For whatever takes several prompts.
pub const LATER: Duration = Duration::from_secs(30);

/// The voice, what it has rendered, and every prompt as a listener knows it,
/// names included: made once for all tests of a program.
pub struct Spoken {
    pub studio: Arc<speech::Studio>,
    pub book: Book,
    pub library: Arc<Library>,
    /// Every prompt but the ticket digits, by its text.
    clips: HashMap<String, Arc<Clip>>,
}

impl Spoken {
    /// The clip of a prompt.
    pub fn clip(&self, text: &str) -> &Clip {
        self.clips
            .get(text)
            .unwrap_or_else(|| panic!("no prompt \"{text}\"; there are {:#?}", self.clips.keys()))
    }
}

/// What callers hear of an outage, and clinicians.
pub const OUTAGE: &str = "The health record can't be reached. We are working on it.";
pub const BRIEF: &str = "The health record is down.";

/// Any text, in the voice of the server under test.
pub fn said(text: &str) -> Arc<Clip> {
    let pcm = spoken().studio.request(1, text).recv();
    let pcm = pcm.expect("the studio answers").expect("it can be spoken");
    Clip::from_samples(&pcm.samples)
}

/// See [`Spoken`].
pub fn spoken() -> &'static Spoken {
    static SPOKEN: OnceLock<Spoken> = OnceLock::new();
    SPOKEN.get_or_init(|| {
        std::env::set_current_dir(root()).expect("the workspace");
        let loaded = Loaded::read(&Options {
            config_dir: config(&scratch("spoken")),
            data_dir: Some(scratch("spoken").join("data")),
            bind: None,
            speech_dir: Some(speech_dir()),
        })
        .expect("the demo's configuration");
        let (studio, book) = loaded
            .speak(|_, _| {})
            .expect("the voice: run `make voices` first");
        let mut clips = book.library();
        let (tongues, unvoiced) =
            server::prompts::tongues(&loaded.process.speech, &loaded.speech_dir, &loaded.helpdesk)
                .expect("the demo's configuration");
        assert_eq!(unvoiced, [], "run `tools/needs.sh test` first");
        for tongue in &tongues {
            // Its ticket digits would be taken for the English ones, which have the same names.
            let words = tongue.book.library().into_iter();
            clips.extend(words.filter(|(text, _)| !is_pair(text)));
        }
        for text in [OUTAGE, BRIEF] {
            let pcm = studio.request(1, text).recv();
            let pcm = pcm.expect("the studio answers").expect("it can be spoken");
            clips.push((text.to_owned(), Clip::from_samples(&pcm.samples)));
        }
        for (tenant, texts) in &book.later {
            for text in texts {
                let pcm = studio
                    .request(tenant.0, text)
                    .recv()
                    .expect("the studio answers")
                    .expect("a name that can be spoken");
                clips.push((text.clone(), Clip::from_samples(&pcm.samples)));
            }
        }
        let library = Arc::new(Library::new(clips.iter().cloned()));
        Spoken {
            studio,
            book,
            library,
            clips: clips
                .into_iter()
                .filter(|(text, _)| !is_pair(text))
                .collect(),
        }
    })
}

/// Calls in real time want a share of the machine: this many houses at once.
const AT_ONCE: usize = 8;

static ROOM: Semaphore = Semaphore::const_new(AT_ONCE);

/// A running Careline with the demo's two hospitals.
pub struct House {
    pub address: SocketAddr,
    /// Where health and metrics are, if the configuration has them.
    pub http: Option<SocketAddr>,
    /// Where the API is, if the configuration has one.
    pub api: Option<SocketAddr>,
    hub: RingHub,
    config: PathBuf,
    data: PathBuf,
    database: Database,
    notes: Arc<Mutex<Vec<(Instant, Note)>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    seed: std::cell::Cell<u64>,
    _memory: InMemory,
    _room: SemaphorePermit<'static>,
}

/// Says whether the desk is open.
const DOOR: &str = "
flow: door
about: Says whether the desk is open.
pace: standard
language: en
start: door
nodes:
  door: {hours: desk, open: open, closed: closed, holiday: holiday, emergency: emergency}
  open: {hang_up: The desk is open.}
  closed: {hang_up: The desk is closed.}
  holiday: {hang_up: Today is a holiday.}
  emergency: {hang_up: The desk had to close.}
tests:
  - {name: Open, hears: [The desk is open.], ends: hang up}
  - {name: Closed, hours: closed, hears: [The desk is closed.], ends: hang up}
  - {name: Holiday, hours: holiday, hears: [Today is a holiday.], ends: hang up}
";

/// The demo, but that phones ring shorter, after-call work is shorter, a
/// second analyst (eva) sits at the clinical desk, and 1006 and 2006 say whether
/// the desk is open.
fn config(dir: &Path) -> PathBuf {
    let config = dir.join("config");
    std::fs::create_dir_all(config.join("hospitals")).expect("a folder");
    let demo = root().join("demo");
    std::fs::copy(demo.join("careline.toml"), config.join("careline.toml")).expect("copied");
    std::fs::create_dir_all(config.join("flows")).expect("a folder");
    std::fs::write(config.join("flows/door.yaml"), DOOR).expect("written");
    // One desk that is always open, one that never is: what time it is doesn't matter.
    for (hospital, number, week) in [
        ("st-anne.yaml", 1006, "mon-sun: 00:00-24:00"),
        ("mercy.yaml", 2006, "mon: closed"),
    ] {
        let name = Path::new("hospitals").join(hospital);
        let text = std::fs::read_to_string(demo.join(&name)).expect("readable");
        let line = format!(
            "lines:\n  - {{ number: \"1555010{number}\", short: \"{number}\", flow: door }}\n"
        );
        let desk = format!("hours:\n  desk: {{ week: {{ {week} }} }}\n");
        let text = replace(&text, "lines:\n", &line);
        std::fs::write(config.join(&name), replace(&text, "hours:\n", &desk)).expect("written");
    }
    let mut operator = std::fs::read_to_string(demo.join("operator.yaml")).expect("readable");
    for (is, shall) in [
        ("wrap_up_s: 10", "wrap_up_s: 1"),
        ("wrap_up_s: 5", "wrap_up_s: 1"),
    ] {
        assert!(operator.contains(is), "the demo has changed");
        operator = operator.replace(is, shall);
    }
    operator.push_str(
        "\n  - { id: 21, user: eva, secret: demo-eva, name: Eva Holm, tier: clinical desk, queues: [clinical] }\n",
    );
    std::fs::write(config.join("operator.yaml"), operator).expect("written");
    config
}

/// Replaces a text that stands in a file, wherever it does.
pub fn edit(file: &Path, is: &str, shall: &str) {
    let text = std::fs::read_to_string(file).expect("readable");
    assert!(text.contains(is), "the demo has changed: no {is:?}");
    std::fs::write(file, text.replace(is, shall)).expect("written");
}

fn replace(text: &str, is: &str, shall: &str) -> String {
    assert!(text.contains(is), "the demo has changed: no {is:?}");
    text.replacen(is, shall, 1)
}

impl House {
    /// Opens: everything is up when this returns.
    pub async fn open(name: &str) -> Self {
        Self::open_ringing(name, None).await
    }

    /// Opens; phones of the clinical desk ring for so many seconds.
    pub async fn open_ringing(name: &str, ring_for_s: Option<u64>) -> Self {
        match ring_for_s {
            None => Self::open_edited(name, &[]).await,
            Some(seconds) => {
                let shall = format!("ring_for_s: {seconds}");
                Self::open_edited(name, &[("operator.yaml", "ring_for_s: 15", &shall)]).await
            }
        }
    }

    /// Opens with a text of a file replaced: the file, what stands there, what shall.
    pub async fn open_edited(name: &str, edits: &[(&str, &str, &str)]) -> Self {
        let edits = |config: &Path, _: &Path| {
            for (file, is, shall) in edits {
                edit(&config.join(file), is, shall);
            }
        };
        Self::open_prepared(name, edits).await
    }

    /// Opens, after something was done to the configuration and the data directory.
    pub async fn open_prepared(name: &str, prepare: impl FnOnce(&Path, &Path)) -> Self {
        let room = ROOM.acquire().await.expect("never closed");
        let spoken = spoken();
        let memory = InMemory::new(&format!("house-{name}"));
        let data = memory.path().join("data");
        let config = config(memory.path());
        std::fs::create_dir_all(&data).expect("a folder");
        prepare(&config, &data);
        let loaded = Loaded::read(&Options {
            config_dir: config.clone(),
            data_dir: Some(data.clone()),
            bind: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            speech_dir: Some(speech_dir()),
        })
        .expect("a sound configuration");
        let database = loaded.database.clone();
        let hub = RingHub::start(7).expect("a hub");
        let (stop, stopped) = oneshot::channel();
        let (opened, address) = oneshot::channel();
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (rings, kept) = (hub.clone(), Arc::clone(&notes));
        // The pump has its thread for itself, as in the program.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let (tell, mut told) = mpsc::channel(1_024);
                let studio = Arc::clone(&spoken.studio);
                let server = server::serve::Server::start(
                    &loaded,
                    studio,
                    &spoken.book,
                    Some(tell),
                    Some(rings),
                )
                .expect("Careline starts");
                let at = (server.address, server.http, server.api);
                opened.send(at).expect("the test waits");
                let listen = async {
                    while let Some(note) = told.recv().await {
                        kept.lock().unwrap().push((Instant::now(), note));
                    }
                };
                tokio::select! {
                    _ = stopped => {}
                    () = listen => {}
                }
                server.stop().await;
            });
        });
        let (address, http, api) = address.await.expect("Careline starts");
        Self {
            address,
            http,
            api,
            hub,
            config,
            data,
            database,
            notes,
            stop: Some(stop),
            thread: Some(thread),
            seed: std::cell::Cell::new(1),
            _memory: memory,
            _room: room,
        }
    }

    /// A copy of the folder that is served, with a text of a file replaced.
    pub fn folder(&self, name: &str, edits: &[(&str, &str, &str)]) -> PathBuf {
        let folder = self.config.with_file_name(name);
        for part in ["", "hospitals", "flows"] {
            let to = folder.join(part);
            std::fs::create_dir_all(&to).expect("a folder");
            for entry in std::fs::read_dir(self.config.join(part)).expect("readable") {
                let file = entry.expect("an entry").path();
                if file.is_file() {
                    let name = file.file_name().expect("a name");
                    std::fs::copy(&file, to.join(name)).expect("copied");
                }
            }
        }
        for (file, is, shall) in edits {
            let file = folder.join(file);
            let text = std::fs::read_to_string(&file).expect("readable");
            std::fs::write(&file, replace(&text, is, shall)).expect("written");
        }
        folder
    }

    /// Writes a file that an administrator may name.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.config.with_file_name(name);
        std::fs::write(&file, text).expect("written");
        file
    }

    /// Says something to the server as an administrator does: `plan`, `apply`, `export`.
    pub async fn administrator(&self, word: &str, folder: &Path) -> Result<String, String> {
        self.asks(&format!("{word}\t{}", folder.display())).await
    }

    /// The same, in the socket's own words.
    pub async fn asks(&self, question: &str) -> Result<String, String> {
        let data = self.data.clone();
        let question = question.to_owned();
        tokio::task::spawn_blocking(move || server::control::ask(&data, &question))
            .await
            .expect("an answer")
    }

    fn phone(&self, number: &str, marker: usize) -> PhoneConfig {
        let seed = self.seed.get();
        self.seed.set(seed + 1);
        PhoneConfig {
            ears: Ears::Listening(Arc::clone(&spoken().library)),
            voice: Voice::Marker(Marker::new(marker)),
            seed,
            ..PhoneConfig::new(number, self.address, PhoneMedia::Ring(self.hub.clone()))
        }
    }

    /// Where everything that is kept of this house is.
    pub fn folder_of_data(&self) -> &Path {
        &self.data
    }

    /// Somebody whose phone doesn't know telephone events: its keys are tones.
    pub async fn caller_by_tones(&self, number: &str, marker: usize) -> Party {
        let mut config = self.phone(number, marker);
        config.keys = KeysBy::Tones;
        Party::start(config, marker).await
    }

    /// An analyst whose phone hears keys as tones.
    pub async fn agent_by_tones(&self, user: &str, marker: usize, answer: AnswerPolicy) -> Party {
        self.sign_in(user, marker, answer, KeysBy::Tones).await
    }

    /// Somebody with a phone and this number; "anonymous" withholds it.
    pub async fn caller(&self, number: &str, marker: usize) -> Party {
        Party::start(self.phone(number, marker), marker).await
    }

    /// An analyst signs in, and does with calls what the policy says.
    pub async fn agent(&self, user: &str, marker: usize, answer: AnswerPolicy) -> Party {
        self.sign_in(user, marker, answer, KeysBy::Events).await
    }

    async fn sign_in(
        &self,
        user: &str,
        marker: usize,
        answer: AnswerPolicy,
        keys: KeysBy,
    ) -> Party {
        let mut config = self.phone(user, marker);
        config.keys = keys;
        config.registration = Some(Registration::new(user, format!("demo-{user}")));
        config.answer = answer;
        let mut party = Party::start(config, marker).await;
        party
            .until("the phone is registered", SOON, |event| {
                assert!(
                    !matches!(event.kind, PhoneEventKind::RegistrationFailed { .. }),
                    "{event:?}"
                );
                matches!(event.kind, PhoneEventKind::Registered { .. }).then_some(())
            })
            .await;
        party
    }

    /// Everything that happened to contacts, in order.
    pub fn notes(&self) -> MutexGuard<'_, Vec<(Instant, Note)>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has happened to a contact.
    pub async fn noted<T>(&self, what: &str, pick: impl Fn(&Note) -> Option<T>) -> T {
        let until = Instant::now() + LATER;
        loop {
            if let Some(found) = self.notes().iter().find_map(|(_, note)| pick(note)) {
                return found;
            }
            assert!(
                Instant::now() < until,
                "waited in vain: {what}; there was only {:#?}",
                self.notes()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a contact is in this queue.
    pub async fn queued(&self, queue: &str) -> ContactId {
        self.noted(&format!("somebody in queue {queue}"), |note| {
            matches!(&note.what, NoteWhat::Queued(name) if &**name == queue)
                .then_some(ContactId(note.contact.0))
        })
        .await
    }

    /// Waits until a contact has ended, and how.
    pub async fn ended(&self) -> desk::EndCause {
        self.noted("the contact's end", |note| match note.what {
            NoteWhat::Ended(cause) => Some(cause),
            _ => None,
        })
        .await
    }

    /// What the database says, once it says what is wanted of it.
    pub async fn recorded(
        &self,
        tenant: TenantId,
        contact: ContactId,
        wanted: impl Fn(&ContactRow) -> bool,
    ) -> ContactRow {
        let until = Instant::now() + SOON;
        loop {
            let row = Reader::open(&self.database)
                .and_then(|reader| reader.contact(tenant, contact))
                .expect("a database");
            if let Some(row) = row
                && wanted(&row)
            {
                return row;
            }
            assert!(Instant::now() < until, "the database says {row:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is picked from a hospital's log, once there are so many.
    pub async fn logged<T>(
        &self,
        tenant: TenantId,
        count: usize,
        pick: impl Fn(Event) -> Option<T>,
    ) -> Vec<T> {
        let until = Instant::now() + SOON;
        loop {
            let events = Reader::open(&self.database)
                .and_then(|reader| reader.events_after(tenant, 0, 10_000))
                .expect("a database");
            let picked = events
                .iter()
                .filter_map(|logged| pick(logged.stamped.event));
            let picked: Vec<_> = picked.collect();
            if picked.len() >= count || Instant::now() > until {
                return picked;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Careline is told to stop, and everything is written.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let stopped = tokio::task::spawn_blocking(move || thread.join());
            stopped.await.expect("a thread").expect("Careline stops");
        }
    }

    /// For which contact a ticket number was given, if it was, at a hospital.
    pub fn contact_of(&self, tenant: TenantId, number: TicketNumber) -> Option<ContactId> {
        Reader::open(&self.database)
            .and_then(|reader| reader.ticket(tenant, number))
            .expect("a database")
            .map(|row| row.facts.contact)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let outcome = thread.join();
            if !std::thread::panicking() {
                outcome.expect("Careline stops");
            }
        }
    }
}

/// A phone with everything that ever happened to it.
pub struct Party {
    pub phone: Phone,
    pub marker: Marker,
    started: Instant,
    events: PhoneEvents,
    seen: Vec<PhoneEvent>,
    from: usize,
}

/// A call that came in.
#[derive(Debug, Clone)]
pub struct Ring {
    pub call: CallId,
    pub at: Instant,
    pub from: String,
    pub display: String,
    pub ticket: Option<TicketNumber>,
}

impl Party {
    async fn start(config: PhoneConfig, marker: usize) -> Self {
        let started = Instant::now();
        let (phone, events) = Phone::start(config).await.expect("a phone");
        Self {
            phone,
            marker: Marker::new(marker),
            started,
            events,
            seen: Vec::new(),
            from: 0,
        }
    }

    /// When something happened.
    pub fn instant(&self, at: Duration) -> Instant {
        self.started + at
    }

    /// Waits for something that has happened since the last [`Self::afresh`],
    /// or will.
    pub async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut pick: impl FnMut(&PhoneEvent) -> Option<T>,
    ) -> T {
        if let Some(found) = self.seen[self.from..].iter().find_map(&mut pick) {
            return found;
        }
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let Ok(Some(event)) = tokio::time::timeout_at(deadline, self.events.next()).await
            else {
                panic!("waited in vain: {what}; there was only {}", self.told());
            };
            let found = pick(&event);
            self.seen.push(event);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// All that happened, a line each.
    fn told(&self) -> String {
        self.seen.iter().fold(String::new(), |mut text, event| {
            let _ = write!(text, "\n  {:>12.3?} {:?}", event.at, event.kind);
            text
        })
    }

    /// What happened until now counts no more.
    pub fn afresh(&mut self) {
        self.from = self.seen.len();
    }

    /// Dials, and waits for the answer. When that was.
    pub async fn dial(&mut self, number: &str) -> (CallId, Instant) {
        self.dial_doing(number, "").await
    }

    /// Dials; does what the script says once answered.
    pub async fn dial_doing(&mut self, number: &str, script: &str) -> (CallId, Instant) {
        let options = CallOptions {
            script: script.parse().expect("a script"),
            ..CallOptions::default()
        };
        let call = self.phone.call_with(number, options).await.expect("a call");
        let at = self
            .until("the answer", SOON, |event| {
                matches!(event.kind, PhoneEventKind::Answered).then_some(event.at)
            })
            .await;
        (call, self.instant(at))
    }

    /// Waits until the phone rings.
    pub async fn rings(&mut self, within: Duration) -> Ring {
        let (call, at, from, display, ticket) = self
            .until("the phone rings", within, |event| match &event.kind {
                PhoneEventKind::Incoming {
                    from,
                    display,
                    ticket,
                } => Some((
                    event.call.expect("a call's event"),
                    event.at,
                    from.clone(),
                    display.clone().unwrap_or_default(),
                    ticket.clone(),
                )),
                _ => None,
            })
            .await;
        Ring {
            call,
            at: self.instant(at),
            from,
            display,
            ticket: ticket.map(|text| TicketNumber::parse(&text).expect("a ticket number")),
        }
    }

    /// Whether the phone has rung so far.
    pub fn has_rung(&self) -> bool {
        self.seen
            .iter()
            .any(|event| matches!(event.kind, PhoneEventKind::Incoming { .. }))
    }

    /// Waits until this prompt is being spoken.
    pub async fn hears(&mut self, words: &str) {
        let wanted = words.to_lowercase();
        self.until(
            &format!("\"{words}\" is heard"),
            LATER,
            |event| match &event.kind {
                PhoneEventKind::Heard(HearingEvent::Began {
                    sound: Sound::Prompt { text, .. },
                    ..
                }) => text.to_lowercase().contains(&wanted).then_some(()),
                _ => None,
            },
        )
        .await;
    }

    /// Waits until music plays.
    pub async fn hears_music(&mut self) {
        self.until("music", LATER, |event| match &event.kind {
            PhoneEventKind::Heard(HearingEvent::Began {
                sound: Sound::Music { .. },
                ..
            }) => Some(()),
            _ => None,
        })
        .await;
    }

    /// Waits until somebody else's marker is heard.
    pub async fn hears_party(&mut self, marker: Marker) {
        self.until(&format!("marker {marker}"), SOON, |event| {
            match event.kind {
                PhoneEventKind::Heard(HearingEvent::Began {
                    sound: Sound::Tone(tone),
                    ..
                }) => (tone == marker).then_some(()),
                _ => None,
            }
        })
        .await;
    }

    /// Waits until a whole ticket number has been read out.
    pub async fn hears_number(&mut self) -> TicketNumber {
        let mut pairs = Vec::new();
        self.until("a ticket number is read out", LATER, |event| {
            match &event.kind {
                PhoneEventKind::Heard(HearingEvent::Ended {
                    sound: Sound::Prompt { text, .. },
                    ..
                }) if is_pair(text) => pairs.push(text.to_string()),
                PhoneEventKind::Heard(HearingEvent::Began {
                    sound: Sound::Prompt { text, .. },
                    ..
                }) if !is_pair(text) => pairs.clear(),
                _ => {}
            }
            (pairs.len() == 5)
                .then(|| TicketNumber::parse(&pairs.concat()).expect("a ticket number"))
        })
        .await
    }

    /// Hangs up.
    pub async fn hang_up(&self, call: CallId) {
        self.phone.hang_up(call).await.expect("the phone is on");
    }

    /// Waits for a call's end, and its report.
    pub async fn ended(&mut self, call: CallId, within: Duration) -> Box<CallReport> {
        self.until("the call's end", within, |event| match &event.kind {
            PhoneEventKind::Ended(report) if report.call == call => Some(report.clone()),
            _ => None,
        })
        .await
    }
}

/// Is this prompt a pair of a ticket number's digits?
pub fn is_pair(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Every ticket number that a call heard in full, in order.
pub fn numbers(report: &CallReport) -> Vec<TicketNumber> {
    let mut found = Vec::new();
    let mut pairs = Vec::new();
    for text in report.prompts() {
        if !is_pair(text) {
            pairs.clear();
            continue;
        }
        pairs.push(text);
        if pairs.len() == 5 {
            found.push(TicketNumber::parse(&pairs.concat()).expect("a ticket number"));
            pairs.clear();
        }
    }
    found
}

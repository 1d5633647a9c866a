//! `kill -9` at random instants under load. The oracle is what callers heard
//! and what analysts' phones were shown: nothing of it may be missing from the
//! database afterwards.
//!
//! A caller need not have heard a whole number: from its first pair on, the
//! ticket exists, at the right hospital, for this very caller.
//!
//! `CARELINE_KILL_ROUNDS` and `CARELINE_KILL_SEED` change what is done.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use desk::{ContactId, EndCause, Event, Facts, Position, TenantId, TicketNumber};
use media::clip::Clip;
use server::phone::{
    AnswerPolicy, CallOptions, CallReport, Ears, Library, Marker, Phone, PhoneAudio, PhoneConfig,
    PhoneEventKind, PhoneEvents, PhoneMedia, Registration, Sound, Voice,
};
use server::prompts::Book;
use server::rtp::MediaConfig;
use server::store::{History, Reader};
use support::{Server, book_of, root, scratch};
use tokio::time::{Instant, timeout};

/// Rounds in all, and how many servers live (and die) at a time.
const ROUNDS: usize = 100;
const LANES: usize = 6;
/// Callers of one round, and over what time they dial.
const CALLERS: usize = 20;
const DIALLING: Duration = Duration::from_millis(1_500);
/// When the kill comes, after the first answer: while tickets are being opened,
/// while their numbers are being read out, or when many have been heard in full.
const LIVES_MS: [(u64, u64); 4] = [(0, 1_800), (0, 1_800), (1_500, 5_000), (5_000, 8_500)];
/// Analysts at the clinical desk, besides the demo's.
const ANALYSTS: usize = 10;
const SOON: Duration = Duration::from_secs(15);

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn within(&mut self, time: Duration) -> Duration {
        time.mul_f64((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// What somebody was told of a ticket: by voice, pair by pair, or by header.
#[derive(Debug, Clone)]
struct Told {
    tenant: TenantId,
    /// The caller's number, which nobody else has in any round.
    caller: String,
    /// As many digits of the number as were heard, at their places.
    digits: Vec<(usize, String)>,
    by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Voice,
    Header,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    rounds: usize,
    calls: usize,
    answered: usize,
    begun: usize,
    in_full: usize,
    shown: usize,
    cut_off: usize,
    tickets: usize,
    missing: usize,
}

/// Clips of ticket digits that say in which place they are spoken.
fn library(book: &Book) -> Arc<Library> {
    let prompts = book
        .library()
        .into_iter()
        .filter(|(text, _)| !is_pair(text));
    let pairs = book.tickets.all().enumerate().map(
        |(index, (text, clip)): (usize, (String, Arc<Clip>))| {
            let place = ["opening", "continuing", "final"][index / 100];
            (format!("{place} {text}"), clip)
        },
    );
    Arc::new(Library::new(prompts.chain(pairs)))
}

fn is_pair(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The pairs of ticket digits in what a call heard, with the place (0 to 4) of
/// each in its number; and how many numbers were heard in full.
fn pairs_heard(report: &CallReport) -> (Vec<(usize, String)>, usize) {
    let mut heard = Vec::new();
    let mut in_full = 0;
    let mut place = 0;
    for sound in &report.heard {
        let Sound::Prompt {
            text,
            frames,
            of_frames,
            identical,
            ..
        } = &sound.sound
        else {
            continue;
        };
        let Some((kind, pair)) = text.split_once(' ').filter(|(_, pair)| is_pair(pair)) else {
            place = 0;
            continue;
        };
        place = match kind {
            "opening" => 0,
            "continuing" => (place + 1).min(3),
            _ => 4,
        };
        if !identical {
            continue;
        }
        heard.push((place, pair.to_owned()));
        if place == 4 && frames * 10 >= of_frames * 9 {
            let last: Vec<usize> = heard
                .iter()
                .rev()
                .take(5)
                .map(|(place, _)| *place)
                .collect();
            in_full += usize::from(last == [4, 3, 2, 1, 0]);
        }
    }
    (heard, in_full)
}

/// One database and everything ever told from it.
struct Lane {
    number: usize,
    config: PathBuf,
    data: PathBuf,
    dice: Dice,
    audio: PhoneAudio,
    library: Arc<Library>,
    told: Vec<Told>,
    sums: Sums,
    round: usize,
    /// The log as folded so far, per tenant.
    logs: BTreeMap<TenantId, Log>,
}

#[derive(Default)]
struct Log {
    last_seq: u64,
    contacts: BTreeMap<ContactId, Facts>,
    by_caller: BTreeMap<String, ContactId>,
    numbers: BTreeSet<TicketNumber>,
}

/// The lines called, with what is pressed. 1008 and 2008 read the number out
/// at once; clinicians' numbers show it on an analyst's phone at once.
const LINES: [(&str, &str); 12] = [
    ("1008", ""),
    ("1008", ""),
    ("2008", ""),
    ("2008", ""),
    ("1001", ""),
    ("2001", ""),
    ("1004", ""),
    ("2004", ""),
    ("1002", "w0 1"),
    ("1002", "w0 2"),
    ("2002", "w0 3"),
    ("1003", "w0 0"),
];

/// A line that says the ticket number and nothing else.
const FLOW: &str = "
flow: told
about: Opens a ticket, reads its number out, and waits with music.
pace: standard
language: en
start: ticket
nodes:
  ticket:
    ticket: open
    on_ticket: number
    on_store_down: desk
  number:
    play: Ticket {ticket.number}.
    next: desk
  desk:
    queue: patients
    class: patient
    greeting: Please stay on the line.
    no_agents: stay
";

/// The demo with that line at both hospitals, and more analysts.
fn config(dir: &Path) -> PathBuf {
    let (demo, config) = (root().join("demo"), dir.join("config"));
    let write = |name: &str, text: &str| {
        let file = config.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, text).expect("written");
    };
    let read = |name: &str| std::fs::read_to_string(demo.join(name)).expect("readable");
    write("flows/told.yaml", FLOW);
    write("careline.toml", &read("careline.toml"));
    for (name, number) in [("st-anne", "1008"), ("mercy", "2008")] {
        let name = format!("hospitals/{name}.yaml");
        let line = format!(
            "\nlines:\n  - {{ number: \"1555010{number}\", short: \"{number}\", flow: told }}\n"
        );
        let text = read(&name);
        assert!(text.contains("\nlines:\n"), "the demo has changed");
        write(&name, &text.replacen("\nlines:\n", &line, 1));
    }
    let mut operator = read("operator.yaml").trim_end().to_owned();
    for index in 0..ANALYSTS {
        use std::fmt::Write;
        let _ = write!(
            operator,
            "\n  - {{ id: {}, user: a{index:02}, secret: demo-a{index:02}, name: Analyst, \
             tier: clinical desk, queues: [clinical] }}",
            100 + index
        );
    }
    write("operator.yaml", &operator);
    config
}

fn tenant_of(line: &str) -> TenantId {
    TenantId(if line.starts_with('1') { 1 } else { 2 })
}

impl Lane {
    fn phone(&mut self, number: &str, server: &Server) -> PhoneConfig {
        PhoneConfig {
            ears: Ears::Listening(Arc::clone(&self.library)),
            voice: Voice::Marker(Marker::new(self.number)),
            calls_max: 64,
            seed: self.dice.next(),
            ..PhoneConfig::new(number, server.address, PhoneMedia::Udp(self.audio.clone()))
        }
    }

    /// Analysts' phones sign in; some answer soon, some never.
    async fn agents(&mut self, server: &Server) -> Vec<(Phone, PhoneEvents)> {
        let mut agents = Vec::new();
        let analysts = (0..ANALYSTS).map(|index| format!("a{index:02}"));
        for user in ["ana", "ben", "cleo", "dov"]
            .map(str::to_owned)
            .into_iter()
            .chain(analysts)
        {
            if self.dice.below(6) == 0 {
                continue;
            }
            let mut config = self.phone(&user, server);
            config.ears = Ears::Counting;
            config.registration = Some(Registration::new(&user, format!("demo-{user}")));
            config.answer = match self.dice.below(3) {
                0 => AnswerPolicy::Ring,
                _ => AnswerPolicy::Answer {
                    after: self.dice.within(Duration::from_secs(6)),
                },
            };
            agents.push(Phone::start(config).await.expect("a phone"));
        }
        for (_, events) in &mut agents {
            events
                .until(SOON, |event| {
                    matches!(event.kind, PhoneEventKind::Registered { .. }).then_some(())
                })
                .await
                .expect("the analyst is signed in");
        }
        agents
    }

    /// Starts, is called, is killed; collects what was told.
    async fn round(&mut self) {
        let server = Server::start_with(&self.data, &self.config, "127.0.0.1:0", &[]);
        self.check(true);
        let agents = self.agents(&server).await;
        let config = self.phone("caller", &server);
        let (callers, mut events) = Phone::start(config).await.expect("a phone");
        let mut plan: Vec<(Duration, usize)> = (0..CALLERS)
            .map(|index| (self.dice.within(DIALLING), index))
            .collect();
        plan.sort();
        plan[0].0 = Duration::ZERO;
        let (from, to) = LIVES_MS[self.round % LIVES_MS.len()];
        let life = Duration::from_millis(from) + self.dice.within(Duration::from_millis(to - from));
        let started = Instant::now();
        let mut who = BTreeMap::new();
        let mut kill_at = None;
        let mut answered = 0;
        let mut plan = plan.into_iter().peekable();
        loop {
            let dial_at = plan.peek().map(|(after, _)| started + *after);
            let give_up = started + SOON;
            tokio::select! {
                () = tokio::time::sleep_until(kill_at.unwrap_or(give_up)) => {
                    assert!(kill_at.is_some(), "nobody was answered");
                    break;
                }
                () = tokio::time::sleep_until(dial_at.unwrap_or(give_up)), if dial_at.is_some() => {
                    let (_, index) = plan.next().expect("peeked");
                    let caller = format!("+1777{}{:03}{index:03}", self.number, self.round);
                    let (line, keys) = LINES[self.dice.below(LINES.len())];
                    let options = CallOptions {
                        script: keys.parse().expect("keys"),
                        from: Some(caller.clone()),
                        ..CallOptions::default()
                    };
                    let call = callers.call_with(line, options).await.expect("a call");
                    who.insert(call, (tenant_of(line), caller));
                }
                event = events.next() => {
                    if matches!(event.expect("the phone is on").kind, PhoneEventKind::Answered) {
                        answered += 1;
                        kill_at.get_or_insert(Instant::now() + life);
                    }
                }
            }
        }
        server.kill();
        self.sums.rounds += 1;
        self.sums.calls += who.len();
        self.sums.answered += answered;
        self.collect(&callers, &mut events, &who).await;
        self.collect_shown(agents, &who).await;
        self.round += 1;
        // The phones end by themselves when dropped.
    }

    /// What callers heard.
    async fn collect(
        &mut self,
        callers: &Phone,
        events: &mut PhoneEvents,
        who: &BTreeMap<server::phone::CallId, (TenantId, String)>,
    ) {
        let mut open: BTreeSet<_> = who.keys().copied().collect();
        for call in who.keys() {
            callers.hang_up(*call).await.expect("the phone is on");
        }
        while !open.is_empty() {
            let event = timeout(SOON, events.next())
                .await
                .expect("a phone hangs up by itself")
                .expect("the phone is on");
            let PhoneEventKind::Ended(report) = event.kind else {
                continue;
            };
            open.remove(&report.call);
            let (digits, in_full) = pairs_heard(&report);
            self.sums.in_full += in_full;
            if !digits.is_empty() {
                let (tenant, caller) = who[&report.call].clone();
                self.sums.begun += 1;
                self.told.push(Told {
                    tenant,
                    caller,
                    digits,
                    by: By::Voice,
                });
            }
        }
    }

    /// What analysts' phones showed.
    async fn collect_shown(
        &mut self,
        agents: Vec<(Phone, PhoneEvents)>,
        who: &BTreeMap<server::phone::CallId, (TenantId, String)>,
    ) {
        for (phone, mut events) in agents {
            // Everything that came is in the channel; nothing more will come.
            while let Ok(Some(event)) = timeout(Duration::from_millis(1), events.next()).await {
                let PhoneEventKind::Incoming {
                    from,
                    ticket: Some(ticket),
                    ..
                } = event.kind
                else {
                    continue;
                };
                // Who was cut off before is called back: that ticket was told to them then.
                if from == "anonymous" {
                    continue;
                }
                let (tenant, caller) = who
                    .values()
                    .find(|(_, caller)| *caller == from)
                    .unwrap_or_else(|| panic!("nobody called from {from}"))
                    .clone();
                self.sums.shown += 1;
                self.told.push(Told {
                    tenant,
                    caller,
                    digits: (0..5)
                        .map(|place| (place, ticket[place * 2..place * 2 + 2].to_owned()))
                        .collect(),
                    by: By::Header,
                });
            }
            drop(phone);
        }
    }

    /// Reads what is new in the database; all that was told must be in it. With
    /// a new server just started, whatever the old one left open has ended.
    fn check(&mut self, restarted: bool) {
        let Ok(reader) = Reader::open(&self.data.join("careline.db")) else {
            assert!(self.told.is_empty(), "the database is gone");
            return;
        };
        let verified = reader.verify().expect("a readable database");
        assert!(
            verified.faults.is_empty(),
            "lane {} before round {}: {:?}",
            self.number,
            self.round,
            verified.faults
        );
        for tenant in [TenantId(1), TenantId(2)] {
            let log = self.logs.entry(tenant).or_default();
            let open: Vec<ContactId> = log
                .contacts
                .iter()
                .filter(|(_, facts)| !facts.position.is_ended())
                .map(|(contact, _)| *contact)
                .collect();
            let mut fresh = log.read(&reader, tenant);
            fresh.extend(open);
            for contact in fresh {
                let facts = &log.contacts[&contact];
                if !restarted {
                    continue;
                }
                let Position::Ended { cause, .. } = facts.position else {
                    panic!("contact {contact:?} is still open after a restart: {facts:?}");
                };
                self.sums.cut_off += usize::from(cause == EndCause::SystemFailure);
                assert_eq!(
                    facts.visits.queued,
                    facts.visits.ended(),
                    "each visit ends once: {facts:?}"
                );
            }
        }
        let told = std::mem::take(&mut self.told);
        for told in &told {
            self.look_up(told);
        }
        self.sums.tickets = self.logs.values().map(|log| log.numbers.len()).sum();
    }

    fn look_up(&mut self, told: &Told) {
        let log = &self.logs[&told.tenant];
        let number = log
            .by_caller
            .get(&told.caller)
            .and_then(|contact| log.contacts[contact].ticket)
            .map(|(_, number)| number.to_string());
        let Some(number) = number else {
            self.lost(told, "there is no ticket");
            return;
        };
        let same = told
            .digits
            .iter()
            .all(|(place, pair)| number[place * 2..place * 2 + 2] == **pair);
        if !same {
            self.lost(told, &format!("the ticket is {number}"));
        }
    }

    fn lost(&mut self, told: &Told, but: &str) {
        self.sums.missing += 1;
        let how = match told.by {
            By::Voice => "heard",
            By::Header => "shown",
        };
        eprintln!(
            "lane {} before round {}: {} called, {:?} was {how}, but {but}",
            self.number, self.round, told.caller, told.digits
        );
    }
}

impl Log {
    /// Folds what is new; the contacts it is about that are new.
    fn read(&mut self, reader: &Reader, tenant: TenantId) -> Vec<ContactId> {
        let mut fresh = Vec::new();
        loop {
            let events = reader
                .events_after(tenant, self.last_seq, 1_000)
                .expect("a readable log");
            if events.is_empty() {
                return fresh;
            }
            for logged in events {
                self.last_seq += 1;
                assert_eq!(logged.seq, self.last_seq, "the log has no holes");
                let event = logged.stamped.event;
                let Some(contact) = event.contact() else {
                    continue;
                };
                self.contacts.entry(contact).or_insert_with(|| {
                    let personal = reader
                        .personal(tenant, contact)
                        .expect("a readable database")
                        .expect("a contact knows its numbers");
                    // Nobody withholds: without a number it is who was cut off and is called back.
                    if let Some(caller) = personal.ani {
                        fresh.push(contact);
                        let before = self.by_caller.insert(caller.0, contact);
                        assert_eq!(before, None, "a call is one contact");
                    }
                    Facts::default()
                });
                if let Event::TicketOpened { number, .. } = event {
                    assert!(self.numbers.insert(number), "{number} was given twice");
                }
                if let Some(facts) = self.contacts.get_mut(&contact) {
                    facts.apply(&logged.stamped);
                }
            }
        }
    }
}

/// One database through its rounds, on a thread of its own.
fn lane(
    number: usize,
    rounds: usize,
    seed: u64,
    config: &Path,
    data: &Path,
    audio: &PhoneAudio,
    library: &Arc<Library>,
) -> Sums {
    let mut lane = Lane {
        number,
        config: config.to_owned(),
        data: data.to_owned(),
        dice: Dice(seed ^ (number as u64) << 32),
        audio: audio.clone(),
        library: Arc::clone(library),
        told: Vec::new(),
        sums: Sums::default(),
        round: 0,
        logs: BTreeMap::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for _ in 0..rounds {
            lane.round().await;
        }
        // As the last one left it; and once more in order.
        lane.check(false);
        let server = Server::start_with(&lane.data, &lane.config, "127.0.0.1:0", &[]);
        lane.check(true);
        server.stop();
        lane.check(true);
    });
    lane.sums
}

#[test]
fn nothing_that_was_told_is_lost_when_the_power_goes() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let rounds = number("CARELINE_KILL_ROUNDS", ROUNDS as u64) as usize;
    let seed = number("CARELINE_KILL_SEED", 1);
    let dir = scratch("kill");
    let config = config(&dir);
    let library = library(&book_of(&config));
    let audio = PhoneAudio::start(MediaConfig {
        bind: vec![std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)],
        ports: 44_000..=49_999,
        port_rest: Duration::from_secs(2),
        ..MediaConfig::default()
    })
    .expect("audio");
    let began = std::time::Instant::now();
    let sums: Vec<Sums> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane_number| {
                let data = dir.join(format!("lane-{lane_number}"));
                let _ = std::fs::remove_dir_all(&data);
                let (config, audio, library) = (&config, &audio, &library);
                let share = rounds / LANES + usize::from(lane_number < rounds % LANES);
                scope.spawn(move || lane(lane_number, share, seed, config, &data, audio, library))
            })
            .collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().expect("a lane comes to its end"))
            .collect()
    });
    let sum = |of: fn(&Sums) -> usize| sums.iter().map(of).sum::<usize>();
    let missing = sum(|s| s.missing);
    println!(
        "killed {} times in {:.0} s: {} calls, {} answered, {} cut off and recorded as such; {} tickets; \
         {} numbers begun to be read out, {} heard in full, {} shown to analysts; {missing} missing",
        sum(|s| s.rounds),
        began.elapsed().as_secs_f64(),
        sum(|s| s.calls),
        sum(|s| s.answered),
        sum(|s| s.cut_off),
        sum(|s| s.tickets),
        sum(|s| s.begun),
        sum(|s| s.in_full),
        sum(|s| s.shown),
    );
    assert_eq!(missing, 0);
    assert_eq!(sum(|s| s.rounds), rounds);
    // A test that tells nobody anything would prove nothing.
    assert!(sum(|s| s.begun) >= rounds, "too few numbers were heard");
    assert!(sum(|s| s.in_full) >= rounds / 4 && sum(|s| s.shown) >= rounds / 4);
}

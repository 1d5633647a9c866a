use super::*;
use crate::CacheConfig;
use std::sync::mpsc::{Sender, channel};

/// A voice that says what it is told to, when it is told to.
struct Fake {
    said: Mutex<Vec<String>>,
    gate: Mutex<Option<Receiver<()>>>,
}

impl Fake {
    fn new(gate: Option<Receiver<()>>) -> Arc<Self> {
        Arc::new(Self {
            said: Mutex::default(),
            gate: Mutex::new(gate),
        })
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Speaker for Fake {
    fn identity(&self) -> String {
        "fake".to_owned()
    }

    fn speak(&self, text: &str) -> Result<Pcm, SpeechError> {
        self.said.lock().unwrap().push(text.to_owned());
        if let Some(gate) = &*self.gate.lock().unwrap() {
            let _ = gate.recv();
        }
        match text {
            "Fail." => Err(SpeechError::Backend("told to".to_owned())),
            "Panic." => panic!("told to"),
            _ => Ok(Pcm {
                samples: (0..24_000).map(|n| ((n % 48) * 200) as i16).collect(),
            }),
        }
    }
}

struct World {
    studio: Studio,
    fake: Arc<Fake>,
    open: Sender<()>,
}

/// One worker that waits before every prompt until `open` lets it pass.
fn gated(config: StudioConfig) -> World {
    let (open, gate) = channel();
    let fake = Fake::new(Some(gate));
    let studio = Studio::start(config, Backend::Other(fake.clone()), None).unwrap();
    World { studio, fake, open }
}

fn free(cache: Option<Cache>) -> (Studio, Arc<Fake>) {
    let fake = Fake::new(None);
    (
        Studio::start(StudioConfig::default(), Backend::Other(fake.clone()), cache).unwrap(),
        fake,
    )
}

const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    /// Waits until the worker holds its first prompt.
    fn worker_is_busy(&self) {
        while self.fake.said().is_empty() {
            thread::yield_now();
        }
    }
}

#[test]
fn the_same_prompt_is_rendered_once_for_all() {
    let world = gated(StudioConfig::default());
    let answers: Vec<_> = (0..5)
        .map(|tenant| world.studio.request(tenant, "Hello there."))
        .collect();
    world.open.send(()).unwrap();
    let prompts: Vec<_> = answers
        .iter()
        .map(|rx| rx.recv_timeout(PATIENCE).unwrap().unwrap())
        .collect();
    assert!(prompts.iter().all(|pcm| Arc::ptr_eq(pcm, &prompts[0])));
    assert_eq!(world.fake.said(), ["Hello there."]);
    let counters = world.studio.counters();
    assert_eq!(
        (counters.requested, counters.rendered, counters.joined),
        (5, 1, 4)
    );
    // And now from memory.
    assert!(world.studio.ready(9, "Hello  there").is_some());
    assert!(
        world
            .studio
            .request(9, "Hello there.")
            .try_recv()
            .unwrap()
            .is_ok()
    );
    assert_eq!(world.studio.counters().from_memory, 1);
}

#[test]
fn tenants_take_turns_and_calls_come_before_rendering_ahead() {
    let world = gated(StudioConfig::default());
    let mut answers = vec![world.studio.request(1, "first")];
    world.worker_is_busy();
    assert_eq!(world.studio.render_ahead(1, ["later a", "later b"]), 2);
    for text in ["a one", "a two", "a three"] {
        answers.push(world.studio.request(1, text));
    }
    answers.push(world.studio.request(2, "b one"));
    // A call asks for what was to be rendered later.
    answers.push(world.studio.request(2, "later b"));
    for _ in 0..7 {
        world.open.send(()).unwrap();
    }
    assert!(world.studio.wait_idle(PATIENCE));
    assert_eq!(
        world.fake.said(),
        [
            "first.", "a one.", "b one.", "a two.", "later b.", "a three.", "later a."
        ]
    );
    assert!(answers.iter().all(|rx| rx.try_recv().unwrap().is_ok()));
    let counters = world.studio.counters();
    assert_eq!((counters.waiting, counters.waiting_ahead), (0, 0));
}

#[test]
fn queues_are_bounded_per_tenant() {
    let config = StudioConfig {
        waiting_per_tenant_max: 2,
        ahead_max: 3,
        ..StudioConfig::default()
    };
    let world = gated(config);
    let held = [
        world.studio.request(1, "one"),
        world.studio.request(1, "two"),
    ];
    assert_eq!(
        world.studio.request(1, "three").recv().unwrap(),
        Err(SpeechError::Busy)
    );
    // Joining a prompt that is waited for costs nothing; others have room.
    let joined = world.studio.request(1, "two");
    let other = world.studio.request(2, "three");
    assert_eq!(world.studio.render_ahead(1, ["p", "q", "r", "s", "t"]), 3);
    assert_eq!(world.studio.counters().refused, 3);
    for _ in 0..6 {
        world.open.send(()).unwrap();
    }
    for rx in held.iter().chain([&joined, &other]) {
        assert!(rx.recv_timeout(PATIENCE).unwrap().is_ok());
    }
    assert!(world.studio.wait_idle(PATIENCE));
    // There is room again.
    world.open.send(()).unwrap();
    assert!(
        world
            .studio
            .request(1, "three four")
            .recv_timeout(PATIENCE)
            .unwrap()
            .is_ok()
    );
}

#[test]
fn a_caller_that_gives_up_loses_nothing() {
    let world = gated(StudioConfig::default());
    drop(world.studio.request(1, "Hello."));
    world.studio.count_timeout();
    world.studio.count_fallback();
    world.open.send(()).unwrap();
    assert!(world.studio.wait_idle(PATIENCE));
    assert!(world.studio.ready(1, "Hello.").is_some());
    let counters = world.studio.counters();
    assert_eq!((counters.timeouts, counters.fallbacks), (1, 1));
}

#[test]
fn failures_reach_the_caller_and_the_worker_lives_on() {
    let (studio, _) = free(None);
    let ask = |text: &str| studio.request(1, text).recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        ask("Fail."),
        Err(SpeechError::Backend("told to".to_owned()))
    );
    assert_eq!(
        ask("Panic."),
        Err(SpeechError::Backend("the voice panicked".to_owned()))
    );
    assert!(matches!(
        ask("[x]"),
        Err(SpeechError::Unreadable {
            character: '[',
            position: 0
        })
    ));
    assert!(ask("Hello.").is_ok());
    assert_eq!(studio.counters().failed, 3);
    // A failure isn't remembered.
    assert!(studio.ready(1, "Fail.").is_none());
}

#[test]
fn closing_answers_everybody() {
    let World { studio, fake, open } = gated(StudioConfig::default());
    let running = studio.request(1, "one");
    while fake.said().is_empty() {
        thread::yield_now();
    }
    let waiting = studio.request(1, "two");
    open.send(()).unwrap();
    drop(open);
    drop(studio);
    assert!(running.recv().unwrap().is_ok());
    assert!(matches!(
        waiting.recv().unwrap(),
        Err(SpeechError::Closed) | Ok(_)
    ));
}

#[test]
fn prompts_come_from_disk_the_second_time() {
    let folder = std::env::temp_dir().join(format!("careline-studio-{}", std::process::id()));
    let open = || Some(Cache::open(CacheConfig::new(&folder)).unwrap());
    let first = {
        let (studio, fake) = free(open());
        let pcm = studio
            .request(1, "Hello.")
            .recv_timeout(PATIENCE)
            .unwrap()
            .unwrap();
        assert_eq!(fake.said().len(), 1);
        pcm
    };
    let (studio, fake) = free(open());
    assert_eq!(studio.render_ahead(1, ["Hello."]), 1);
    assert!(studio.wait_idle(PATIENCE));
    let second = studio.ready(1, "Hello.");
    let counters = studio.counters();
    drop(studio);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(second, Some(first));
    assert!(fake.said().is_empty());
    assert_eq!(counters.from_disk, 1);
}

#[test]
fn workers_are_nice() {
    let nice = thread::spawn(|| {
        lower_priority(10);
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // After the name in parentheses: state is field 3, nice is field 19.
        let after = stat.rsplit(')').next().unwrap().to_owned();
        after
            .split_whitespace()
            .nth(16)
            .unwrap()
            .parse::<i32>()
            .unwrap()
    });
    let nice = nice.join().unwrap();
    assert!((9..=11).contains(&nice), "{nice}");
}

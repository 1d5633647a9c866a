//! What callers key in to show who they are is compared here, on threads of
//! its own: each look costs tens of milliseconds, by design.
//!
//! The digits come in by value and are erased with the question. What leaves
//! is whose they are and whether they fit; nothing is logged.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use desk::people::{Factor, Keyring, SentCode};
use desk::{CheckOutcome, Checked, ContactId, TenantId};
use ivr_flows::{Fields, Val};
use switch::{Check, Query, QueryId, SendCode};
use tokio::sync::mpsc;

use crate::node::wall;
use crate::people::People;
use crate::secrets::RootKey;

/// Threads: what this costs a machine at most, in cores and times 19 MiB.
const THREADS: usize = 2;
/// Questions that may wait: callers wait four seconds at most.
const WAITING_MAX: usize = 128;
/// Codes that are good at a time. Beyond it none is sent.
const CODES_MAX: usize = 4_096;
/// How long the action may take that sends one.
const SEND_MAX: Duration = Duration::from_secs(10);
/// The calls' own questions are counted from 1.
const OURS: u64 = 1 << 63;

/// The codes that were sent, by the call in which each is good.
type Codes = Arc<Mutex<HashMap<ContactId, SentCode>>>;

/// What is kept of every hospital's people; changed when people are imported.
#[derive(Debug, Clone, Default)]
pub struct Keyrings(Arc<RwLock<HashMap<TenantId, Arc<Keyring>>>>);

impl Keyrings {
    /// This is a hospital's from now on.
    pub fn set(&self, tenant: TenantId, keyring: Arc<Keyring>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(tenant, keyring);
    }

    fn of(&self, tenant: TenantId) -> Option<Arc<Keyring>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&tenant).cloned()
    }
}

/// The way to whoever compares.
#[derive(Debug)]
pub struct Verifier {
    questions: SyncSender<Check>,
    codes: Codes,
    root: RootKey,
    people: Arc<People>,
    /// By which action codes are sent.
    senders: HashMap<TenantId, Arc<str>>,
    /// How many were.
    sent: u64,
}

impl Verifier {
    /// Starts the threads. Answers come out of the receiver; they end when this is dropped.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(
        keyrings: Keyrings,
        root: &RootKey,
        people: Arc<People>,
    ) -> io::Result<(Self, mpsc::Receiver<Checked>)> {
        let (questions, asked) = sync_channel(WAITING_MAX);
        // As many as can be under way: an answer always has room.
        let (tell, answers) = mpsc::channel(WAITING_MAX + THREADS);
        let asked = Arc::new(Mutex::new(asked));
        let codes = Codes::default();
        let began = began();
        for _ in 0..THREADS {
            let (asked, tell) = (Arc::clone(&asked), tell.clone());
            let (keyrings, root, codes) = (keyrings.clone(), root.clone(), Arc::clone(&codes));
            std::thread::Builder::new()
                .name("verifier".into())
                .spawn(move || {
                    while let Some(check) = next(&asked) {
                        let now = began.elapsed();
                        let checked = compare(&keyrings, &root, &codes, now, check);
                        if tell.blocking_send(checked).is_err() {
                            return;
                        }
                    }
                })?;
        }
        let verifier = Self {
            questions,
            codes,
            root: root.clone(),
            people,
            senders: HashMap::new(),
            sent: 0,
        };
        Ok((verifier, answers))
    }

    /// Codes are sent by these actions from now on.
    pub fn send_by(&mut self, senders: HashMap<TenantId, Arc<str>>) {
        self.senders = senders;
    }

    /// A code for a call, and the question to the hospital's action that sends it to the contact
    /// of record. `entropy`: for this code alone. None where there is nobody to send it to.
    pub fn code(&mut self, wanted: SendCode, entropy: [u8; 16]) -> Option<Query> {
        let SendCode {
            tenant,
            contact,
            person,
        } = wanted;
        let action = Arc::clone(self.senders.get(&tenant)?);
        let register = self.people.register(tenant).ok()?;
        let profile = register.get(person)?;
        let now = began().elapsed();
        let pepper = self.root.pepper(tenant);
        let (code, digits) = SentCode::new(&pepper, contact, person, entropy, now)?;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() >= CODES_MAX {
            codes.retain(|_, code| !code.is_over(now));
        }
        if codes.len() >= CODES_MAX {
            return None;
        }
        codes.insert(contact, code);
        let of_record = profile.record.of_record();
        let number = of_record.map(|(number, _)| number.number.0.as_str());
        let fields = [
            ("person", Some(profile.origin.external.as_str())),
            ("number", number),
            ("code", Some(digits.as_str())),
        ];
        let with = fields.into_iter().filter_map(|(name, value)| {
            let value = Val::Text(Arc::from(value?));
            Some((Arc::from(name), value))
        });
        self.sent += 1;
        Some(Query {
            id: QueryId(OURS | self.sent),
            tenant,
            action,
            with: with.collect::<Fields>(),
            wanted: Vec::new(),
            key: format!("{}-code-{}", contact.0, self.sent),
            deadline: SEND_MAX,
        })
    }

    /// Has it compared. What can't even be asked is answered at once.
    pub fn check(&self, check: Check) -> Option<Checked> {
        let refused = Checked {
            id: check.id,
            tenant: check.tenant,
            contact: check.contact,
            at: wall(),
            outcome: None,
        };
        self.questions.try_send(check).err().map(|_| refused)
    }
}

fn next(asked: &Mutex<Receiver<Check>>) -> Option<Check> {
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

/// Since when codes are dated.
fn began() -> Instant {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    *BEGAN.get_or_init(Instant::now)
}

fn compare(
    keyrings: &Keyrings,
    root: &RootKey,
    codes: &Codes,
    now: Duration,
    mut check: Check,
) -> Checked {
    let outcome = keyrings.of(check.tenant).map(|keyring| {
        let pepper = root.pepper(check.tenant);
        let is_code = |(factor, _): &(Factor, _)| *factor == Factor::Code;
        let asked = check.answers.iter().position(is_code);
        let keyed = asked.map(|place| check.answers.swap_remove(place).1);
        let (person, mut fits) = keyring.fits(&pepper, check.hint, &check.answers);
        if let Some(keyed) = keyed {
            let mut codes = codes.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = codes.get_mut(&check.contact);
            fits &= sent.is_some_and(|sent| sent.opens(&pepper, person, &keyed, now));
            if fits {
                codes.remove(&check.contact);
            }
        }
        CheckOutcome { person, fits }
    });
    Checked {
        id: check.id,
        tenant: check.tenant,
        contact: check.contact,
        at: wall(),
        outcome,
    }
}

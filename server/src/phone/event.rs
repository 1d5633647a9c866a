//! What a phone tells.

use std::time::Duration;

use super::hearing::HearingEvent;
use super::report::CallReport;

/// One call of one phone. Counts up from 1; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u32);

/// Something that happened to a phone.
#[derive(Debug, Clone)]
pub struct PhoneEvent {
    /// When, since the phone started.
    pub at: Duration,
    /// The call it is about; none for the registration.
    pub call: Option<CallId>,
    /// What.
    pub kind: PhoneEventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum PhoneEventKind {
    /// The server took the registration.
    Registered {
        /// For how long.
        expires: Duration,
    },
    /// The server refused the registration (`code`), or didn't answer (none). It is tried again later.
    RegistrationFailed {
        /// The status.
        code: Option<u16>,
    },
    /// The registration was taken back.
    Unregistered,
    /// A call was placed.
    Dialling {
        /// What was dialled.
        number: String,
    },
    /// A call comes in.
    Incoming {
        /// User part of the From URI.
        from: String,
        /// Display name of From.
        display: Option<String>,
        /// `X-Careline-Ticket`.
        ticket: Option<String>,
    },
    /// The far side rings (180) or speaks before the answer (183).
    Ringing {
        /// The status.
        code: u16,
    },
    /// The call was answered, by either side.
    Answered,
    /// Something was heard.
    Heard(HearingEvent),
    /// The far side pressed a key.
    KeyHeard {
        /// The key.
        key: char,
    },
    /// Keys were pressed.
    Pressed {
        /// The keys.
        keys: String,
    },
    /// The far side changed the session.
    Changed {
        /// It has put us on hold.
        on_hold: bool,
    },
    /// A step of the script waited in vain; the script goes on with the next.
    ScriptGaveUp {
        /// The step as it is written.
        step: String,
    },
    /// All steps of the script are done.
    ScriptEnded,
    /// The call is over. Always the last event of a call.
    Ended(Box<CallReport>),
}

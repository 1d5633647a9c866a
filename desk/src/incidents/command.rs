//! What somebody asks of a hospital's incidents, and what they are answered.
//!
//! A command carries its own id and may be repeated: the answer is the same.
//! `Done` is said when what was done is on disk, and not before.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{IncidentBy, IncidentFacts, IncidentScope, IncidentText};
use crate::message::{CommandId, IncidentId, TenantId};
use crate::ticket::TicketNumber;

/// Something to be done with an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentCommand {
    /// For telling repetitions apart and matching answers. Unique across restarts.
    pub id: CommandId,
    /// The hospital.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// Who asks. That they may is their sender's to know.
    pub by: IncidentBy,
    /// What.
    pub deed: IncidentDeed,
}

/// What is to be done. One that changes nothing is done, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentDeed {
    /// There may be something out of order.
    Draft(Draft),
    /// Callers are to hear of it from now on.
    Publish(IncidentId),
    /// Something about it is another. What isn't named stays.
    Update {
        /// Which.
        incident: IncidentId,
        /// Whom it concerns.
        scope: Option<IncidentScope>,
        /// What is said, language by language.
        texts: Vec<IncidentText>,
        /// Until when, Unix milliseconds.
        expires_at: Option<i64>,
    },
    /// This ticket is about it.
    Attach {
        /// Which.
        incident: IncidentId,
        /// The ticket's number.
        ticket: TicketNumber,
    },
    /// A surge begins, or its rehearsal: it is heard of at once, in the words that are agreed.
    Surge {
        /// Only who calls from a telephone of ours hears of it.
        rehearsal: bool,
        /// Until when, Unix milliseconds; `None`: as long as is agreed.
        expires_at: Option<i64>,
    },
    /// The surge is over, and its rehearsal. Done, whether or not there was one.
    SurgeOver,
    /// It is over; a draft: it was none.
    Close(IncidentId),
    /// Monitoring says that this alert is over. Done, whether or not it was known.
    Clear(AlertId),
}

/// A new incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Whom it concerns.
    pub scope: IncidentScope,
    /// What is said, language by language. None: fixed words of the flow's.
    pub texts: Vec<IncidentText>,
    /// When it is over by itself, Unix milliseconds: no incident lasts for ever.
    pub expires_at: i64,
    /// The alert it comes from. One that is live already is the same incident: its time is
    /// prolonged, and nothing else.
    pub alert: Option<AlertId>,
    /// Publish it at once, where that is allowed to whoever asks ([`super::IncidentRules::at_once`]).
    pub publish: bool,
}

/// An alert of monitoring's: the fingerprint that Alertmanager gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(pub u64);

impl AlertId {
    /// Reads one, sixteen hexadecimal digits as Alertmanager writes them.
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = digits.then(|| u64::from_str_radix(text, 16).ok())?;
        value.map(Self)
    }
}

/// In JSON a text: many readers of JSON take numbers for 53 bits.
impl Serialize for AlertId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for AlertId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| serde::de::Error::custom("not a fingerprint"))
    }
}

/// The answer to an [`IncidentCommand`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentAnswer {
    /// To which command.
    pub id: CommandId,
    /// Of which hospital.
    pub tenant: TenantId,
    /// What.
    pub reply: IncidentReply,
}

/// What somebody is told who asked something of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentReply {
    /// It is done, and on disk: so the incident stands now.
    Done(IncidentId, IncidentFacts),
    /// There is nothing to be done: nobody knows of that alert.
    Nothing,
    /// It isn't done. After [`IncidentRefusal::NotDurable`] alone it may still be.
    Refused(IncidentRefusal),
}

/// Why something wasn't done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum IncidentRefusal {
    /// There is no such incident at this hospital, or it was closed.
    #[error("there is no such incident, or it is over")]
    NotFound,
    /// There is no such ticket at this hospital.
    #[error("there is no such ticket")]
    NoTicket,
    /// The store couldn't write it in time.
    #[error("it couldn't be written in time; it may still be, look before you try again")]
    NotDurable,
    /// The store didn't write it.
    #[error("it couldn't be written; nothing has changed")]
    NotWritten,
    /// Too much waits to be written.
    #[error("too much is asked at a time; ask again in a moment")]
    Busy,
    /// The time is over, or further ahead than an incident may last.
    #[error("an incident ends in the future, and no later than in a week")]
    WrongTime,
    /// The hospital has no such reason.
    #[error("the hospital's list has no such reason")]
    UnknownReason,
    /// A text for each language, and no more than eight.
    #[error("an incident has a text for each of at most eight languages")]
    WrongTexts,
    /// There are too many that aren't closed.
    #[error("too many incidents are live; close one first")]
    TooMany,
}

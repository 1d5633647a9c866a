//! What somebody asks of a ticket, and what they are answered.
//!
//! A command carries its own id and may be repeated: the answer is the same,
//! with the ticket as it is by then. `Done` is said when what was done is on
//! disk, and not before.

use serde::{Deserialize, Serialize};

use super::{Actor, Pause, Priority, ReasonCode, TicketFacts, Tier};
use crate::message::{AgentId, CommandId, Escalation, TenantId, TicketId};
use crate::ticket::TicketNumber;

/// Something to be done with a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketCommand {
    /// For telling repetitions apart and matching answers. Unique across restarts.
    pub id: CommandId,
    /// The hospital.
    pub tenant: TenantId,
    /// Wall clock, Unix milliseconds.
    pub at: i64,
    /// Which ticket. The number of one that was merged leads to the one it was merged into.
    pub number: TicketNumber,
    /// Who asks. That they may is their sender's to know.
    pub by: Actor,
    /// What.
    pub deed: TicketDeed,
}

/// What is to be done. One that changes nothing is done, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TicketDeed {
    /// Nothing: how does it stand?
    Look,
    /// Somebody takes it, is given it, or gives it back to its team.
    Assign {
        /// To whom.
        to: Option<AgentId>,
        /// Why it is handed over.
        why: Option<Escalation>,
    },
    /// Work on it begins. An agent who begins has it from then on.
    Begin,
    /// So much hangs on it. Its caller hears of it no later than that priority asks for.
    Prioritise(Priority),
    /// It is about this. The reason's team and priority become the ticket's.
    Categorise(Option<ReasonCode>),
    /// Its caller was told something, and hears again at this moment (Unix
    /// milliseconds); `None`: as its priority asks for.
    Promise {
        /// When.
        next_update: Option<i64>,
    },
    /// It waits for something.
    Pend {
        /// What for.
        why: Pause,
        /// Until when at the latest, Unix milliseconds; `None`: as long as that may last.
        until: Option<i64>,
    },
    /// It waits no longer.
    Resume,
    /// It goes up a tier.
    Escalate {
        /// Why.
        why: Escalation,
        /// To which, above its own; `None`: the next. Told, a repetition after a restart does nothing.
        to: Option<Tier>,
    },
    /// It is done.
    Resolve,
    /// It isn't done after all.
    Reopen,
    /// It is done for good.
    Close,
    /// It is the same as another one, which is worked on in its place.
    Merge {
        /// Which.
        into: TicketNumber,
    },
    /// Somebody writes something down about it.
    Note(NoteText),
}

/// A note about a ticket: the command's id that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoteId(pub u64);

/// What somebody writes down. It may be anything, personal data too: it stands
/// in a row of its own that can be erased, and in no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoteText(String);

/// A note is empty, or longer than [`NoteText::BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a note has a text, of at most {} bytes", NoteText::BYTES_MAX)]
pub struct NotANote;

impl NoteText {
    /// Longest note, in bytes of UTF-8.
    pub const BYTES_MAX: usize = 16_384;

    /// A text that may be kept.
    ///
    /// # Errors
    /// It says nothing, or too much.
    pub fn new(text: String) -> Result<Self, NotANote> {
        if text.trim().is_empty() || text.len() > Self::BYTES_MAX {
            return Err(NotANote);
        }
        Ok(Self(text))
    }

    /// What it says.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NoteText {
    type Error = NotANote;

    fn try_from(text: String) -> Result<Self, NotANote> {
        Self::new(text)
    }
}

impl From<NoteText> for String {
    fn from(text: NoteText) -> Self {
        text.0
    }
}

impl std::fmt::Debug for NoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NoteText({} bytes)", self.0.len())
    }
}

/// A note as it is handed to the store: a row that can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketNote {
    /// Which.
    pub note: NoteId,
    /// About which ticket.
    pub ticket: TicketId,
    /// What it says.
    pub text: NoteText,
}

/// The answer to a [`TicketCommand`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketAnswer {
    /// To which command.
    pub id: CommandId,
    /// Of which hospital.
    pub tenant: TenantId,
    /// What.
    pub reply: TicketReply,
}

/// What somebody is told who asked something of a ticket.
#[expect(
    clippy::large_enum_variant,
    reason = "few at a time, each read once; a box would make them no longer Copy"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TicketReply {
    /// It is done, and on disk: so the ticket stands now.
    Done(TicketFacts),
    /// It isn't done. After [`Refusal::NotDurable`] alone, `Done` may still follow.
    Refused(Refusal),
}

/// Why something wasn't done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such ticket at this hospital, or it is older than those that are kept.
    #[error("there is no such ticket")]
    NotFound,
    /// The store couldn't write it in time.
    #[error("it couldn't be written in time; it may still be, look before you try again")]
    NotDurable,
    /// The store didn't write it.
    #[error("it couldn't be written; nothing has changed")]
    NotWritten,
    /// Too much waits to be written, or for this ticket.
    #[error("too much is asked at a time; ask again in a moment")]
    Busy,
    /// That is done with open tickets.
    #[error("the ticket is resolved or closed; reopen it first")]
    NotOpen,
    /// That is done with resolved ones.
    #[error("the ticket isn't resolved")]
    NotResolved,
    /// The ticket waits.
    #[error("the ticket is pending; resume it first, or say until when it waits")]
    Pending,
    /// The hospital has no such reason.
    #[error("the hospital's list has no such reason")]
    UnknownReason,
    /// The time is over, or more than a quarter ahead.
    #[error("the time is past, or more than 92 days ahead")]
    WrongTime,
    /// Longer than such a pause may last.
    #[error("such a pause doesn't last so long")]
    PauseTooLong,
    /// It is there already, or there is no such tier.
    #[error("there is no such tier above the ticket's")]
    NoTierAbove,
    /// A ticket isn't merged into itself.
    #[error("that is the same ticket")]
    Itself,
}

//! The desk: the durable facts about contacts, tickets and people.
//!
//! Pure and deterministic: time is an argument, randomness doesn't occur, the
//! store is spoken to by messages. [`Desk`] decides (a command and the state
//! give events), applies (an event changes the state) and asks the store to
//! write; nothing is told to a caller before the store has answered.
//!
//! | file | what |
//! |---|---|
//! | `message.rs` | what the calls and the store are told, and answer |
//! | `event.rs` | what is written to the log, and its JSON |
//! | `ticket.rs` | ticket numbers: sparse, keyed, with check digits |
//! | `tickets/` | a ticket's life as a fold over the events; what is agreed, asked and owed |
//! | `people/` | the people and places of a hospital, what is shown of them, and their import |
//! | `directory.rs` | who calls from which number |
//! | `contact.rs` | a contact's state as a fold over its events, and what a command makes of it |
//! | `verification/` | who a caller is, and how sure that is |
//! | `promises/` | the callbacks we owe: a ledger, and when somebody may be called |
//! | `incidents/` | what is out of order, whom it concerns, and who is told when it is over |
//! | `figures/` | the service desk's figures, as a fold over the events of one log |
//! | `desk.rs` | the machine: repetitions, deadlines, commits, overload |

mod contact;
mod desk;
mod directory;
mod event;
pub mod figures;
mod incidents;
mod message;
pub mod people;
mod promises;
mod ticket;
mod tickets;
mod verification;

pub use contact::*;
pub use desk::*;
pub use directory::*;
pub use event::*;
pub use incidents::*;
pub use message::*;
pub use promises::*;
pub use ticket::*;
pub use tickets::*;
pub use verification::*;

//! The flows a hospital's callers walk through: a YAML document becomes a
//! checked [`Flow`], and a [`Flow`] is walked by one [`Session`] for each call.
//!
//! Pure: no clock, no socket, no speech. A session is told what happened
//! ([`Input`]) and asked what to do ([`Step`]); whoever drives it owns the
//! media, the directory, the ticket store and the queues.
//!
//! ```text
//! YAML ── document ──▶ tree with positions
//!                        │ build: keys, texts, expressions, targets
//!                        ▼
//!                      nodes by index ── link: sub-flows put in ── reach: every path ──▶ Flow ──▶ Session
//! ```
//!
//! | file | does |
//! |---|---|
//! | `document` | YAML to a tree that knows its lines; limits |
//! | `text` | sentences and their placeholders |
//! | `language` | languages, and what is said in each by default |
//! | `expression` | CEL, bounded, type-checked, three-valued for the checker |
//! | `fields` | what goes to an HTTP action and comes back |
//! | `secret` | what somebody keys in to show who they are |
//! | `keys` | one map's keys, each taken once, the rest refused |
//! | `kinds` | one node: everything a single node can get wrong |
//! | `script` | a flow's own tests as they are written |
//! | `build` | the whole document |
//! | `edit` | a document changed, every other byte of it left alone |
//! | `link` | sub-flows in place of the nodes that call them |
//! | `flow` | the checked flow |
//! | `reach` | what only the whole graph shows: dead nodes, loops, names spoken too early |
//! | `session` | one caller's walk |
//! | `trial` | the flow's own tests, run on virtual time |
//! | `graph` | nodes and ways, to be drawn |
//! | `prompts` | everything that can be rendered ahead |

mod build;
mod document;
mod edit;
mod error;
mod expression;
mod fields;
mod flow;
mod graph;
mod keys;
mod kinds;
mod language;
mod link;
mod prompts;
mod reach;
mod script;
mod secret;
mod session;
mod step;
mod text;
mod trial;

pub use edit::{At, Document, EditError, Yaml};
pub use error::CheckError;
pub use fields::{Fields, Val};
pub use flow::{FixedTransfer, Flow, NamedAction, Pace, Purpose};
pub use graph::{Graph, GraphEdge, GraphNode, graph};
pub use language::Language;
pub use link::Drafts;
pub use prompts::{Expansions, prompts};
pub use secret::{Factor, Secret};
pub use session::Session;
pub use step::{
    ActionCall, CallbackAsk, CallbackDay, CallbackOffer, CallbackTime, CallerFacts, Class, Facts,
    FoundTicket, HangUpCause, HoursState, IncidentNews, IncidentWords, Input, NextUpdate, Number,
    PartnerOutcome, Piece, PlayId, Promised, Role, Step, SubscribeOutcome, TicketAsk, TicketStatus,
};
pub use trial::{Rehearsal, TestResult, run_tests, unvisited};

//! Careline's program: sockets, threads, files and the terminal around the
//! pure machines.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the commands |
//! | [`log`] | lines on standard error, for people or for programs |
//! | [`config`] | what an administrator writes |
//! | [`serve`] | starting everything, and changing what is served |
//! | [`control`] | how an administrator speaks to the server that is running |
//! | [`report`] | the service desk's figures of some days |
//! | [`figures`] | the same of today, as it goes |
//! | [`node`] | the pump between the machines |
//! | [`prompts`], [`prompter`] | from a flow's words to clips |
//! | [`rtp`] | media threads |
//! | [`store`] | what is durable: the database |
//! | [`durable`] | what is durable: small files beside it |
//! | [`api`] | what programs of the hospitals ask |
//! | [`feed`] | what programs of the hospitals are told |
//! | [`verifier`] | what callers key in to show who they are, compared |
//! | [`streams`] | SIP over TCP and TLS |
//! | [`secrets`] | keys of this installation |
//! | [`phone`] | the built-in test phone |

pub mod actions;
pub mod api;
mod authorities;
pub mod cli;
pub mod config;
pub mod control;
pub mod durable;
pub mod feed;
pub mod figures;
pub mod http;
pub mod log;
pub mod names;
pub mod node;
mod outward;
pub mod people;
pub mod phone;
pub mod prompter;
pub mod prompts;
pub mod report;
pub mod rtp;
pub mod secrets;
pub mod serve;
pub mod store;
pub mod streams;
pub mod verifier;

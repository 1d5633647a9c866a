//! The wire: bytes to messages and back.
//!
//! rsip's types hold the result; the reading is ours, byte by byte, because
//! real SIP is folded, abbreviated, listed with commas, quoted, latin-1, and
//! sometimes hostile. Size and count are bounded before anything is allocated
//! in proportion to them.

mod auth;
mod headers;
mod multipart;
mod name_addr;
mod params;
mod parse;
mod split;
mod stream;
mod uri;
mod via;
mod write;

pub use auth::{AuthParams, Challenge};
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::{WireError, parse_datagram};
pub use stream::{Framed, Framer, MESSAGE_MAX};
pub use uri::{Host, Scheme, Uri, UriError};
pub use via::Via;

pub(crate) use headers::name_value;
pub(crate) use multipart::{part, write as write_parts};
pub(crate) use params::{Pieces, thousandths};
pub(crate) use parse::{ALLOW, method_name, response_target, write_top_via};
pub(crate) use uri::escape_user;
pub(crate) use via::MAGIC_COOKIE;
pub(crate) use write::{Writer, default_reason, quote, whole};

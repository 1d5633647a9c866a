//! SRTP and SRTCP (RFC 3711, RFC 7714) with keys from session descriptions (RFC 4568).
//!
//! [`Secret`] is what the shell hands in for a leg; our own keys of every suite follow from it. [`Keys`] is what an
//! offer and its answer made of it, both directions; [`Outbound`] and [`Inbound`] are the cryptographic contexts an
//! engine makes of that. Key material is erased when dropped and never shown.
//!
//! Left out: key derivation rates (always 0), unencrypted and unauthenticated sessions, and sending an MKI; a
//! description that asks for one of these is not agreed to. An MKI that the far side sends is accepted.

mod base64;
mod inbound;
mod keys;
mod outbound;
mod replay;
mod transform;

pub use inbound::{Inbound, Refusal};
pub use keys::{Keys, MasterKey, Secret, Suite};
pub use outbound::Outbound;

/// Bytes that protection can add to a packet of ours: SRTCP's index and the longest tag.
pub const OVERHEAD_BYTES_MAX: usize = 4 + TAG_BYTES_MAX;
/// The longest authentication tag, that of AES-GCM.
const TAG_BYTES_MAX: usize = 16;
/// The longest MKI accepted (RFC 4568 section 6.1 allows 128; what telephones send are 1 to 4).
pub const MKI_BYTES_MAX: usize = 16;

#[cfg(test)]
mod tests;

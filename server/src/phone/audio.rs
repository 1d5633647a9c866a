//! A phone's audio: media threads that many phones share.

use std::net::IpAddr;

use crate::rtp::{Media, MediaConfig, MediaError};

/// Media threads for phones, apart from the server's own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PhoneAudio {
    media: Media,
    bind: IpAddr,
}

impl PhoneAudio {
    /// Starts media threads on the first of `config`'s addresses.
    ///
    /// # Errors
    /// See [`Media::start`].
    pub fn start(config: MediaConfig) -> Result<PhoneAudio, MediaError> {
        let bind = config.bind.first().copied().unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let (media, _events) = Media::start(config)?;
        Ok(PhoneAudio { media, bind })
    }
}

//! What a dialog's descriptions have laid down so far, and an offer made in it must repeat (RFC 3264 section 8).

use super::parse::Description;

/// The streams of a description of ours: how many, which of them is spoken, and by which profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streams {
    /// The refused ones before the spoken one and behind it, as they stand in a description.
    pub(super) before: Vec<u8>,
    pub(super) behind: Vec<u8>,
    /// The spoken one's; none before there is any.
    pub(super) protocol: Option<String>,
}

impl Streams {
    /// Those of `description`, which we have sent.
    pub fn of(description: &[u8]) -> Streams {
        let mut streams = Streams::default();
        let Ok(description) = Description::parse(description) else {
            return streams;
        };
        for media in &description.media {
            if media.port != 0 && streams.protocol.is_none() {
                let protocol = String::from_utf8_lossy(media.protocol);
                streams.protocol = Some(protocol.into_owned());
            } else if streams.protocol.is_none() {
                media.refuse(&mut streams.before);
            } else {
                media.refuse(&mut streams.behind);
            }
        }
        streams
    }
}

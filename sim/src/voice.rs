//! Speech: pieces of text become clips, mostly at once, sometimes after a
//! while, sometimes not at all. What each clip says is remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use desk::TicketNumber;
use ivr_flows::Piece;
use media::clip::Clip;

use crate::audio::{Audio, Said};
use crate::hospital::Hospital;

/// What a clip says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Words {
    Music,
    Chime,
    Text {
        text: Arc<str>,
        /// At which hospitals it must not be heard.
        foreign: [bool; 2],
    },
    Ticket(TicketNumber),
    /// A ticket number that isn't one.
    Nonsense(Arc<str>),
}

#[derive(Debug)]
pub(crate) struct Voice {
    texts: HashMap<Arc<str>, (Said, Arc<Clip>)>,
    tickets: HashMap<Arc<str>, (Said, Arc<Clip>)>,
    words: Vec<Words>,
    pub(crate) music: Arc<Clip>,
    pub(crate) chime: Arc<Clip>,
}

impl Voice {
    pub(crate) fn new(audio: &mut Audio) -> Self {
        let (_, music) = audio.clip(Duration::from_secs(60));
        let (_, chime) = audio.clip(Duration::from_millis(800));
        Self {
            texts: HashMap::new(),
            tickets: HashMap::new(),
            words: vec![Words::Music, Words::Chime],
            music,
            chime,
        }
    }

    pub(crate) fn words(&self, said: Said) -> &Words {
        &self.words[said.0 as usize]
    }

    pub(crate) fn clips(&mut self, pieces: &[Piece], audio: &mut Audio) -> Vec<Arc<Clip>> {
        pieces
            .iter()
            .map(|piece| self.piece(piece, audio))
            .collect()
    }

    fn piece(&mut self, piece: &Piece, audio: &mut Audio) -> Arc<Clip> {
        let (known, text) = match piece {
            Piece::Text(_, text) => (&mut self.texts, text.clone()),
            Piece::TicketPairs(_, digits) => (&mut self.tickets, digits.clone()),
            Piece::NumberPairs(_, number) => (&mut self.texts, Arc::from(number.digits())),
        };
        if let Some((_, clip)) = known.get(&text) {
            return clip.clone();
        }
        let (words, length) = match piece {
            Piece::NumberPairs(..) => (
                Words::Text {
                    text: text.clone(),
                    foreign: [false; 2],
                },
                Duration::from_millis(3_500),
            ),
            Piece::Text(_, text) => {
                let foreign = Hospital::ALL.map(|hospital| {
                    let theirs = hospital.other().own_words();
                    theirs.iter().any(|word| text.contains(word))
                });
                let length = Duration::from_millis(60 * text.len().clamp(7, 400) as u64);
                (
                    Words::Text {
                        text: text.clone(),
                        foreign,
                    },
                    length,
                )
            }
            Piece::TicketPairs(_, digits) => {
                let words = match TicketNumber::parse(digits) {
                    Ok(number) => Words::Ticket(number),
                    Err(_) => Words::Nonsense(digits.clone()),
                };
                (words, Duration::from_millis(3_500))
            }
        };
        let (said, clip) = audio.clip(length);
        debug_assert_eq!(said.0 as usize, self.words.len());
        self.words.push(words);
        known.insert(text, (said, clip.clone()));
        clip
    }
}

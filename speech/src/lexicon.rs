//! How names are said.
//!
//! Dictionaries know few names, and a caller forgives much but not their own
//! name read wrongly. A lexicon is a text file, one word a line, with its
//! pronunciation after it, as an English reader would respell it or in
//! phonemes:
//!
//! ```text
//! # word      how it is said
//! Okafor      oh-KAH-for
//! Nguyen      win
//! Siobhan     shi-VAWN
//! Xhosa       /kˈOzə/
//! ```
//!
//! Respelling: syllables joined by hyphens, the stressed one in capitals.
//! Vowels: `a` (cat), `ah` (spa), `aw` (law), `ay` (day), `e`, `eh` (bed),
//! `ee` (see), `i`, `ih` (sit), `y`, `eye`, `igh` (my; `y` at the end of a
//! syllable), `o` (hot), `oh`, `ow` (go, how), `oo` (too), `oy` (boy), `u`,
//! `uh` (cut; unstressed a murmur), `ur`, `er` (her), `ar`, `or`, `air`,
//! `eer`. Consonants as in English, with `ch`, `sh`, `th` (thin), `dh`
//! (this), `zh` (measure), `ng`, `j`, `y`. Between slashes stand the voice's
//! own phonemes.
//!
//! Words match whatever their capitals, and with `'s` behind them.

use std::collections::HashMap;

use crate::phonemes::possessive_after;

/// Entries a lexicon may hold; a hospital's names fit many times over.
pub const ENTRIES_MAX: usize = 100_000;
/// Longest pronunciation, in characters.
const PRONUNCIATION_MAX: usize = 80;

/// Pronunciations by word.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    /// Lower-case word → phonemes.
    entries: HashMap<String, String>,
}

/// A line of a lexicon file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LexiconError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Lexicon {
    /// Reads a lexicon file: one `Word  pronunciation` a line; empty lines
    /// and what follows a `#` are skipped.
    ///
    /// # Errors
    /// The first line that can't be used.
    pub fn parse(text: &str) -> Result<Self, LexiconError> {
        let mut lexicon = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let error = |reason: String| LexiconError {
                line: index + 1,
                reason,
            };
            let (word, said) = line
                .split_once(char::is_whitespace)
                .ok_or_else(|| error("no pronunciation".to_owned()))?;
            lexicon.insert(word, said.trim()).map_err(error)?;
        }
        Ok(lexicon)
    }

    /// Adds one word; `said` is a respelling or `/phonemes/`.
    ///
    /// # Errors
    /// What is wrong with the word or its pronunciation.
    pub fn insert(&mut self, word: &str, said: &str) -> Result<(), String> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(format!("more than {ENTRIES_MAX} entries"));
        }
        if word.is_empty()
            || !word
                .chars()
                .all(|c| c.is_alphabetic() || matches!(c, '\'' | '-'))
        {
            return Err(format!("{word:?} isn't one word"));
        }
        if said.chars().count() > PRONUNCIATION_MAX {
            return Err(format!(
                "the pronunciation is longer than {PRONUNCIATION_MAX} characters"
            ));
        }
        let phonemes = match said
            .strip_prefix('/')
            .and_then(|said| said.strip_suffix('/'))
        {
            Some(phonemes) => checked(phonemes)?,
            None => respelled(said)?,
        };
        self.entries.insert(word.to_lowercase(), phonemes);
        Ok(())
    }

    /// How many words it knows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it knows none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Phonemes of `word`, whatever its capitals.
    pub fn get(&self, word: &str) -> Option<String> {
        let lower = word.to_lowercase();
        if let Some(phonemes) = self.entries.get(&lower) {
            return Some(phonemes.clone());
        }
        let stem = lower.strip_suffix("'s")?;
        let phonemes = self.entries.get(stem)?;
        Some(format!("{phonemes}{}", possessive_after(phonemes)))
    }

    /// Writes the pronunciations into normalised `text`:
    /// `Doctor [Okafor](/OkˈɑfOɹ/).` Only the built-in voice reads this.
    pub fn mark(&self, text: &str) -> String {
        if self.entries.is_empty() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len() + 32);
        for (i, token) in text.split(' ').enumerate() {
            if i > 0 {
                out.push(' ');
            }
            let word = token.trim_end_matches(|c: char| ",.;:?!".contains(c));
            match self.get(word) {
                Some(phonemes) => {
                    out.push('[');
                    out.push_str(word);
                    out.push_str("](/");
                    out.push_str(&phonemes);
                    out.push_str("/)");
                    out.push_str(&token[word.len()..]);
                }
                None => out.push_str(token),
            }
        }
        out
    }
}

/// The voice's phonemes that a word can be made of.
const PHONEMES: &str = "AIOWYbdfhijklmnpstuvwzæðŋɐɑɒɔəɚɛɜɡɪɹɾʃʊʌʒʤʧθᵊᵻTɨaeorˈˌː";

fn checked(phonemes: &str) -> Result<String, String> {
    let phonemes: String = phonemes
        .chars()
        .map(|c| if c == 'g' { 'ɡ' } else { c })
        .collect();
    if phonemes.is_empty() {
        return Err("no pronunciation".to_owned());
    }
    match phonemes.chars().find(|c| !PHONEMES.contains(*c)) {
        Some(strange) => Err(format!("{strange:?} is none of the voice's phonemes")),
        None => Ok(phonemes),
    }
}

/// Spelling → phonemes, longest first where one begins like another.
/// `true` marks vowels.
const SOUNDS: [(&str, &str, bool); 55] = [
    ("air", "ɛɹ", true),
    ("eer", "ɪɹ", true),
    ("eye", "I", true),
    ("igh", "I", true),
    ("ah", "ɑ", true),
    ("ar", "ɑɹ", true),
    ("aw", "ɔ", true),
    ("ay", "A", true),
    ("ee", "i", true),
    ("eh", "ɛ", true),
    ("er", "əɹ", true),
    ("ih", "ɪ", true),
    ("oh", "O", true),
    ("oo", "u", true),
    ("or", "ɔɹ", true),
    ("ow", "W", true),
    ("oy", "Y", true),
    ("uh", "ʌ", true),
    ("ur", "ɜɹ", true),
    ("a", "æ", true),
    ("e", "ɛ", true),
    ("i", "ɪ", true),
    ("o", "ɑ", true),
    ("u", "ʌ", true),
    ("ch", "ʧ", false),
    ("sh", "ʃ", false),
    ("th", "θ", false),
    ("dh", "ð", false),
    ("zh", "ʒ", false),
    ("ng", "ŋ", false),
    ("ck", "k", false),
    ("kh", "k", false),
    ("ph", "f", false),
    ("qu", "kw", false),
    ("x", "ks", false),
    ("b", "b", false),
    ("c", "k", false),
    ("d", "d", false),
    ("f", "f", false),
    ("g", "ɡ", false),
    ("h", "h", false),
    ("j", "ʤ", false),
    ("k", "k", false),
    ("l", "l", false),
    ("m", "m", false),
    ("n", "n", false),
    ("p", "p", false),
    ("q", "k", false),
    ("r", "ɹ", false),
    ("s", "s", false),
    ("t", "t", false),
    ("v", "v", false),
    ("w", "w", false),
    ("y", "j", false),
    ("z", "z", false),
];

/// `oh-KAH-for` → phonemes.
fn respelled(said: &str) -> Result<String, String> {
    let syllables: Vec<&str> = said.split('-').collect();
    let stressed = |syllable: &str| syllable.chars().any(char::is_uppercase);
    let any_stressed = syllables.iter().any(|syllable| stressed(syllable));
    let mut out = String::new();
    for (index, syllable) in syllables.iter().enumerate() {
        let lower = syllable.to_lowercase();
        // Without capitals the first syllable is the stressed one.
        let stress = stressed(syllable) || !any_stressed && index == 0;
        let mut rest = lower.as_str();
        let mut vowel = false;
        let mut before = String::new();
        while !rest.is_empty() {
            let y_is_vowel = rest.starts_with('y')
                && !vowel
                && !rest[1..].starts_with(['a', 'e', 'i', 'o', 'u']);
            let (phoneme, is_vowel, length) = if y_is_vowel {
                // "my", but "lyn"
                (if rest == "y" { "I" } else { "ɪ" }, true, 1)
            } else {
                let (spelling, phoneme, is_vowel) = SOUNDS
                    .iter()
                    .find(|(spelling, _, _)| rest.starts_with(spelling))
                    .ok_or_else(|| format!("can't read {rest:?} in {syllable:?}"))?;
                (*phoneme, *is_vowel, spelling.len())
            };
            if is_vowel && vowel {
                return Err(format!(
                    "{syllable:?} has two vowels; put a hyphen between syllables"
                ));
            }
            if is_vowel {
                vowel = true;
                if stress {
                    before.push('ˈ');
                }
            }
            before.push_str(match phoneme {
                "ʌ" if !stress => "ə",
                "əɹ" if stress => "ɜɹ",
                phoneme => phoneme,
            });
            // A doubled consonant is one.
            let doubled =
                !is_vowel && length == 1 && rest.as_bytes().get(1) == rest.as_bytes().first();
            rest = &rest[length + usize::from(doubled)..];
        }
        if !vowel {
            return Err(format!("{syllable:?} has no vowel"));
        }
        out.push_str(&before);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn respellings_become_phonemes() {
        let check = |said: &str, expected: &str| {
            assert_eq!(respelled(said).as_deref(), Ok(expected), "{said}")
        };
        check("oh-KAH-for", "Okˈɑfɔɹ");
        check("win", "wˈɪn");
        check("shi-VAWN", "ʃɪvˈɔn");
        check("KAIR-lyn", "kˈɛɹlɪn");
        check("mah-LY-kuh", "mɑlˈIkə");
        check("yoo-SOOF", "jusˈuf");
    }

    #[test]
    fn bad_respellings_are_refused() {
        for said in ["", "brr", "oh--for", "oh KAH", "päh", "ohoh"] {
            assert!(respelled(said).is_err(), "{said}");
        }
    }

    #[test]
    fn files_are_read_line_by_line() {
        let lexicon =
            Lexicon::parse("# names\nOkafor  oh-KAH-for\n\nNguyen win # short\nXhosa /kˈOzə/\n")
                .unwrap();
        assert_eq!(lexicon.len(), 3);
        assert_eq!(lexicon.get("OKAFOR").as_deref(), Some("Okˈɑfɔɹ"));
        assert_eq!(lexicon.get("Nguyen's").as_deref(), Some("wˈɪnz"));
        assert_eq!(lexicon.get("Lee"), None);
        let error = Lexicon::parse("Okafor\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1: no pronunciation");
        assert_eq!(Lexicon::parse("a b\nOk4 win").unwrap_err().line, 1);
        assert!(Lexicon::parse("Okafor /a)b/").is_err());
    }

    #[test]
    fn pronunciations_are_written_into_the_text() {
        let lexicon = Lexicon::parse("Okafor oh-KAH-for").unwrap();
        assert_eq!(
            lexicon.mark("Hello, Doctor Okafor, it is you."),
            "Hello, Doctor [Okafor](/Okˈɑfɔɹ/), it is you."
        );
        assert_eq!(
            lexicon.mark("Okafor's desk."),
            "[Okafor's](/Okˈɑfɔɹz/) desk."
        );
        assert_eq!(lexicon.mark("Nobody."), "Nobody.");
    }
}

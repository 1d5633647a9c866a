//! Words → phonemes → the network's symbol numbers.
//!
//! Dictionary and grammar come from `misaki-rs`; what it doesn't know is read
//! by the small network for unknown words that belongs to the voice. What
//! neither can read is an error: never a hole in the sentence.

use std::collections::HashMap;
use std::sync::Arc;

use misaki_rs::fallback::FallbackError;
use misaki_rs::lexicon::PhonemeEntry;
use misaki_rs::{Fallback, G2P};
use rten::{Model, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use crate::SpeechError;

/// Stands for a word that nobody can read; never reaches the voice.
const UNREAD: &str = "❓";

/// Phonemes the network takes at once. Longer sentences are split.
const PHONEMES_MAX: usize = 400;

pub(crate) struct Phonemiser {
    g2p: G2P,
    symbols: HashMap<char, i32>,
}

impl Phonemiser {
    /// Takes about 0.3 s and 60 MB: dictionaries and the grammar's weights.
    pub(crate) fn new(unknown: UnknownWords, symbols: HashMap<char, i32>) -> Self {
        let mut g2p = G2P::with_fallback(misaki_rs::Language::EnglishUS, Some(Box::new(unknown)));
        g2p.unk = UNREAD.to_owned();
        for (word, sound) in [BEFORE_VOWEL, BEFORE_CONSONANT] {
            g2p.lexicon
                .golds
                .insert(word.to_owned(), PhonemeEntry::Simple(sound.to_owned()));
        }
        Self { g2p, symbols }
    }

    /// Phonemes of one sentence. `sentence` is normalised text in which a
    /// word may carry its pronunciation: `[Okafor](/ˈOkəfɔɹ/)`.
    pub(crate) fn read(&self, sentence: &str) -> Result<String, SpeechError> {
        let marked = mark_letters(sentence);
        let (plain, pronunciations) = take_marks(&marked);
        let (phonemes, tokens) = self
            .g2p
            .g2p(&plain)
            .map_err(|error| SpeechError::Backend(error.to_string()))?;
        for token in &tokens {
            let read = token.phonemes.as_deref().unwrap_or(UNREAD);
            let silent = read.chars().all(|c| !c.is_alphabetic());
            if read.contains(UNREAD) || (silent && token.text.chars().any(char::is_alphanumeric)) {
                return Err(SpeechError::UnknownWord {
                    word: token.text.clone(),
                });
            }
        }
        let phonemes = phonemes.trim();
        if phonemes.contains(UNREAD) {
            return Err(SpeechError::UnknownWord {
                word: sentence.to_owned(),
            });
        }
        let phonemes = put_pronunciations(phonemes, &pronunciations)?;
        // Flap and glottal stop as the voice was taught them.
        let phonemes: String = phonemes
            .chars()
            .map(|c| match c {
                'ɾ' => 'T',
                'ʔ' => 't',
                'g' => 'ɡ',
                c => c,
            })
            .collect();
        if let Some(strange) = phonemes.chars().find(|c| !self.symbols.contains_key(c)) {
            return Err(SpeechError::Backend(format!(
                "the voice has no symbol {strange:?}"
            )));
        }
        Ok(phonemes)
    }

    /// Symbol numbers of `phonemes`, with the silence (0) at both ends.
    pub(crate) fn ids(&self, phonemes: &str) -> Vec<i32> {
        let known = phonemes
            .chars()
            .filter_map(|c| self.symbols.get(&c).copied());
        std::iter::once(0)
            .chain(known)
            .chain(std::iter::once(0))
            .collect()
    }
}

/// Words that stand for one with a pronunciation of its own, and what the
/// dictionary is told they sound like. `misaki-rs` has a notation for
/// pronunciations, but loses them again for letters and possessives. Two,
/// because "the" and "a" sound different before a vowel.
const BEFORE_VOWEL: (&str, &str) = ("zqvow", "ə\u{E000}");
const BEFORE_CONSONANT: (&str, &str) = ("zqcon", "k\u{E000}");
const MARKER: char = '\u{E000}';

/// Takes the pronunciations out of the text, in order, and leaves a stand-in
/// word for each.
fn take_marks(marked: &str) -> (String, Vec<&str>) {
    let mut plain = String::with_capacity(marked.len());
    let mut pronunciations = Vec::new();
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((said, after)) = after
            .split_once("](/")
            .and_then(|(_, said)| said.split_once("/)"))
        else {
            break;
        };
        plain.push_str(before);
        let vowel = said
            .chars()
            .find(|c| !matches!(c, 'ˈ' | 'ˌ'))
            .is_some_and(is_vowel);
        plain.push_str(if vowel {
            BEFORE_VOWEL.0
        } else {
            BEFORE_CONSONANT.0
        });
        pronunciations.push(said);
        rest = after;
    }
    plain.push_str(rest);
    (plain, pronunciations)
}

fn is_vowel(phoneme: char) -> bool {
    "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ".contains(phoneme)
}

/// Puts the pronunciations where their stand-ins were read.
fn put_pronunciations(phonemes: &str, pronunciations: &[&str]) -> Result<String, SpeechError> {
    if phonemes.matches(MARKER).count() != pronunciations.len() {
        return Err(SpeechError::Backend("a pronunciation got lost".to_owned()));
    }
    let mut out = String::with_capacity(phonemes.len() + 16);
    for (n, part) in phonemes.split(MARKER).enumerate() {
        match pronunciations.get(n) {
            Some(said) => {
                // Without the sound that stood for it.
                let kept = part.char_indices().last().map_or(0, |(at, _)| at);
                out.push_str(&part[..kept]);
                out.push_str(said);
            }
            None => out.push_str(part),
        }
    }
    Ok(out)
}

/// Splits phonemes that are too long for the network: after punctuation when
/// there is any, else between words.
pub(crate) fn split(phonemes: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = phonemes;
    while rest.chars().count() > PHONEMES_MAX {
        let limit = rest
            .char_indices()
            .nth(PHONEMES_MAX)
            .map_or(rest.len(), |(at, _)| at);
        let head = &rest[..limit];
        let cut = [", ", "; ", ": ", "— "]
            .iter()
            .filter_map(|mark| head.rfind(mark).map(|at| at + mark.len()))
            .max()
            .or_else(|| head.rfind(' ').map(|at| at + 1))
            .unwrap_or(limit);
        parts.push(rest[..cut].trim_end());
        rest = &rest[cut..];
    }
    if !rest.trim().is_empty() {
        parts.push(rest.trim());
    }
    parts
}

/// How the letters are called. The dictionary would read a lone "A" as the
/// article and "I" as the pronoun.
const LETTERS: [&str; 26] = [
    "A",
    "bi",
    "si",
    "di",
    "i",
    "ɛf",
    "ʤi",
    "Aʧ",
    "I",
    "ʤA",
    "kA",
    "ɛl",
    "ɛm",
    "ɛn",
    "O",
    "pi",
    "kju",
    "ɑɹ",
    "ɛs",
    "ti",
    "ju",
    "vi",
    "dˈʌbᵊlju",
    "ɛks",
    "wI",
    "zi",
];

/// A letter's name with the stress before its vowel.
fn stressed(name: &str, stress: char) -> String {
    if name.contains('ˈ') {
        return name.to_owned();
    }
    let vowel = name.find(|p: char| "AIOiuɛɑ".contains(p)).unwrap_or(0);
    format!("{}{stress}{}", &name[..vowel], &name[vowel..])
}

/// Gives single capital letters that stand together ("M R N") their names;
/// the last one carries the stress, as people say it.
fn mark_letters(sentence: &str) -> String {
    let words: Vec<&str> = sentence.split(' ').collect();
    let letter = |word: &str| -> Option<char> {
        let bare = word.trim_end_matches(|c: char| ",.;:?!".contains(c));
        let mut chars = bare.chars();
        match (chars.next(), chars.next()) {
            (Some(c @ 'A'..='Z'), None) => Some(c),
            _ => None,
        }
    };
    let mut out = String::with_capacity(sentence.len() + 16);
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let Some(c) = letter(word) else {
            // The plural of an acronym: the "Cs" of "P Cs".
            let bare = word.trim_end_matches(|c: char| ",.;:?!".contains(c));
            let joined = i > 0 && words[i - 1].len() == 1 && letter(words[i - 1]).is_some();
            match bare.strip_suffix('s').and_then(letter).filter(|_| joined) {
                Some(c) => {
                    let name = LETTERS[(c as u8 - b'A') as usize];
                    out.push_str(&format!(
                        "[{bare}](/{}{}/){}",
                        stressed(name, 'ˈ'),
                        possessive_after(name),
                        &word[bare.len()..]
                    ));
                }
                None => out.push_str(word),
            }
            continue;
        };
        let ends_clause = word.len() > 1;
        let joined_left = i > 0 && words[i - 1].len() == 1 && letter(words[i - 1]).is_some();
        let next_is_letter =
            !ends_clause && words.get(i + 1).is_some_and(|next| letter(next).is_some());
        // A lone "A" or "I" before a word is no letter.
        if matches!(c, 'A' | 'I') && !joined_left && !next_is_letter && (c == 'I' || !ends_clause) {
            out.push_str(word);
            continue;
        }
        let name = LETTERS[(c as u8 - b'A') as usize];
        let stress = if next_is_letter { 'ˌ' } else { 'ˈ' };
        out.push_str(&format!("[{c}](/{}/)", stressed(name, stress)));
        out.push_str(&word[1..]);
    }
    out
}

/// The network that reads words no dictionary has.
pub(crate) struct UnknownWords {
    model: Arc<Model>,
    input: NodeId,
    output: NodeId,
    characters: HashMap<char, i32>,
    phonemes: Vec<char>,
    characters_max: usize,
}

impl UnknownWords {
    /// `description` is the voice's `oov.json`: the characters it reads, the
    /// phonemes it writes, the longest word.
    pub(crate) fn new(model: Model, description: &[u8]) -> Result<Self, String> {
        let json: serde_json::Value =
            serde_json::from_slice(description).map_err(|e| e.to_string())?;
        let letters = |name: &str| -> Option<Vec<char>> {
            json.get(name)?
                .as_array()?
                .iter()
                .map(|v| v.as_str()?.chars().next())
                .collect()
        };
        let characters = letters("in").ok_or("no list of characters")?;
        let phonemes = letters("out").ok_or("no list of phonemes")?;
        let characters_max = json
            .get("maxlen")
            .and_then(serde_json::Value::as_u64)
            .ok_or("no longest word")? as usize;
        let input = model.node_id("chars").map_err(|e| e.to_string())?;
        let output = *model.output_ids().first().ok_or("no output")?;
        Ok(Self {
            model: Arc::new(model),
            input,
            output,
            characters: characters.into_iter().zip(1..).collect(),
            phonemes,
            characters_max,
        })
    }

    /// Phonemes of one word, or nothing when it holds a character the network
    /// doesn't know or is too long.
    fn read(&self, word: &str) -> Option<String> {
        let ids: Option<Vec<i32>> = word
            .chars()
            .map(|c| self.characters.get(&c).copied())
            .collect();
        let ids = ids?;
        if ids.is_empty() || ids.len() > self.characters_max {
            return None;
        }
        let input: Tensor<i32> = Tensor::from_data(&[1, ids.len()], ids);
        let output = self
            .model
            .run(
                vec![(self.input, input.into())],
                &[self.output],
                Some(run_options()),
            )
            .ok()?
            .into_iter()
            .next()?;
        let output: NdTensor<i32, 2> = match output {
            Value::Int32Tensor(tensor) => tensor.try_into().ok()?,
            _ => return None,
        };
        // Connectionist temporal classification: equal neighbours are one,
        // 0 is nothing.
        let mut read = String::new();
        let mut before = 0;
        for &id in output.iter() {
            if id != before && id > 0 {
                read.push(*self.phonemes.get(id as usize - 1)?);
            }
            before = id;
        }
        read.chars().any(char::is_alphabetic).then_some(read)
    }

    /// The letter itself if the network knows it, else without its accents.
    fn folded(&self, c: char) -> char {
        if self.characters.contains_key(&c) {
            return c;
        }
        let small = c.to_lowercase().next().unwrap_or(c);
        FOLDED
            .iter()
            .find(|(_, accented)| accented.contains(small))
            .map_or(c, |(plain, _)| *plain)
    }

    fn read_compound(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        for part in text.split(['-', '_', '/']).filter(|part| !part.is_empty()) {
            let (stem, possessive) =
                match part.strip_suffix("'s").or_else(|| part.strip_suffix("’s")) {
                    Some(stem) => (stem, true),
                    None => (part, false),
                };
            let stem: String = stem
                .chars()
                .map(|c| self.folded(c))
                .filter(|c| !matches!(c, '\'' | '’'))
                .collect();
            let mut read = self.read(&stem)?;
            if possessive {
                read.push_str(possessive_after(&read));
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&read);
        }
        (!out.is_empty()).then_some(out)
    }
}

/// Letters with accents that the network doesn't know, by their plain letter.
const FOLDED: [(char, &str); 25] = [
    ('a', "ǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ"),
    ('b', "ḃḅḇƀ"),
    ('c', "ĉċḉ"),
    ('d', "ḋḍḏḑḓ"),
    ('e', "ȅȇȩḕḗḙḛḝẹẻẽếềểễệ"),
    ('f', "ḟ"),
    ('g', "ǧǵḡ"),
    ('h', "ĥȟḣḥḧḩḫẖħ"),
    ('i', "ĩįȉȋḭḯỉị"),
    ('j', "ĵǰ"),
    ('k', "ǩḱḳḵ"),
    ('l', "ĺḷḹḻḽ"),
    ('m', "ḿṁṃ"),
    ('n', "ǹṅṇṉṋ"),
    ('o', "ǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ"),
    ('p', "ṕṗ"),
    ('r', "ŕŗȑȓṙṝṟ"),
    ('s', "ŝṡṣṥṧṩſ"),
    ('t', "ṫṭṯṱẗŧ"),
    ('u', "ũűǖǘǜȕȗṳṵṷṹṻụủứừửữự"),
    ('v', "ṽṿ"),
    ('w', "ẁẃẅẇẉẘ"),
    ('x', "ẋẍ"),
    ('y', "ŷȳẏẙỳỵỷỹ"),
    ('z', "ẑẓẕ"),
];

/// The sound of 's after `phonemes`.
pub(crate) fn possessive_after(phonemes: &str) -> &'static str {
    match phonemes.chars().last() {
        Some('s' | 'z' | 'ʃ' | 'ʒ' | 'ʧ' | 'ʤ') => "ᵻz",
        Some('p' | 't' | 'k' | 'f' | 'θ') => "s",
        _ => "z",
    }
}

impl Fallback for UnknownWords {
    /// Answers the mark for "unread" where others would fail: the caller of
    /// this trait writes failed words to the log, and they may be names.
    fn phonemize(&self, word: &str) -> Result<String, FallbackError> {
        Ok(self
            .read_compound(word)
            .unwrap_or_else(|| UNREAD.to_owned()))
    }
}

/// One thread per caller: several prompts are rendered side by side, and a
/// worker's low priority is inherited by the pool thread it starts here.
pub(crate) fn run_options() -> RunOptions {
    thread_local! {
        static POOL: Arc<ThreadPool> = Arc::new(ThreadPool::with_num_threads(1));
    }
    let mut options = RunOptions::default();
    options.thread_pool = Some(POOL.with(Arc::clone));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_stand_together_are_spelled() {
        let check = |given: &str, expected: &str| assert_eq!(mark_letters(given), expected);
        check("I have a plan.", "I have a plan.");
        check("A nurse and I.", "A nurse and I.");
        check("Call I T now.", "Call [I](/ˌI/) [T](/tˈi/) now.");
        check("the E R, please", "the [E](/ˌi/) [R](/ˈɑɹ/), please");
        check("Plan B is on.", "Plan [B](/bˈi/) is on.");
        check("Vitamin A.", "Vitamin [A](/ˈA/).");
        check("two P Cs.", "two [P](/pˈi/) [Cs](/sˈiz/).");
    }

    #[test]
    fn pronunciations_keep_their_places() {
        let (plain, said) = take_marks("Call [Okafor's](/Okˈɑfɔɹz/), [Lee](/lˈi/).");
        assert_eq!(plain, "Call zqvow, zqcon.");
        assert_eq!(said, ["Okˈɑfɔɹz", "lˈi"]);
        let phonemes = put_pronunciations("kˈɔl ə\u{E000}, k\u{E000}.", &said);
        assert_eq!(phonemes.as_deref(), Ok("kˈɔl Okˈɑfɔɹz, lˈi."));
        assert!(put_pronunciations("kˈɔl", &said).is_err());
    }

    #[test]
    fn long_phonemes_are_split_at_commas() {
        let long = "wˈʌn tˈu, ".repeat(80);
        let parts = split(&long);
        assert!(parts.len() > 1);
        assert!(
            parts
                .iter()
                .all(|part| part.chars().count() <= PHONEMES_MAX)
        );
        assert!(parts[0].ends_with(','));
        let seamless = "a".repeat(1_000);
        assert_eq!(split(&seamless).concat(), seamless);
    }
}

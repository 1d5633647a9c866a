//! Languages, and what is said in each where a flow says nothing itself.

use std::fmt;

/// A language by its two letters (ISO 639-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language([u8; 2]);

impl Language {
    /// English: spoken where nothing else is said.
    pub const ENGLISH: Language = Language(*b"en");

    /// The language of these two small letters.
    pub fn from_tag(tag: &str) -> Option<Language> {
        match *tag.as_bytes() {
            [a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => Some(Language([a, b])),
            _ => None,
        }
    }

    /// Its two letters.
    pub fn tag(&self) -> &str {
        // Only ASCII letters are ever taken.
        std::str::from_utf8(&self.0).unwrap_or("en")
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// The same in several languages, English first.
pub(crate) type Said = [(&'static str, &'static str)];

pub(crate) const SORRY_MENU: &Said = &[
    ("en", "Sorry, that key has no choice behind it."),
    (
        "es",
        "Lo sentimos, esa tecla no corresponde a ninguna opción.",
    ),
];
pub(crate) const SORRY_COLLECT: &Said = &[
    ("en", "Sorry, that number isn't complete."),
    ("es", "Lo sentimos, ese número no está completo."),
];
pub(crate) const REPEAT: &Said = &[
    ("en", "Your ticket number is {ticket.number}."),
    ("es", "Su número de caso es {ticket.number}."),
];
pub(crate) const POSITION: &Said = &[
    ("en", "You are number {queue.position} in the queue."),
    ("es", "Usted es el número {queue.position} en la cola."),
];
pub(crate) const NEXT_IN_LINE: &Said = &[
    ("en", "You are next in line."),
    ("es", "Usted es el siguiente en la cola."),
];
pub(crate) const COMFORT: &Said = &[
    ("en", "Thank you for waiting. You are still in the queue."),
    ("es", "Gracias por esperar. Usted sigue en la cola."),
];
pub(crate) const LOST: &Said = &[
    (
        "en",
        "The connection to your analyst was lost. Please stay on the line. You will be put through again.",
    ),
    (
        "es",
        "Se perdió la conexión con la persona que le atendía. No cuelgue, por favor. Le comunicaremos de nuevo.",
    ),
];
pub(crate) const PARTNER_LOST: &Said = &[
    ("en", "The connection was lost. Please stay on the line."),
    ("es", "Se perdió la conexión. No cuelgue, por favor."),
];
/// Said before a call that can't go on is ended.
pub(crate) const LAST_WORDS: &Said = &[
    (
        "en",
        "We are sorry. Your call can't be taken at the moment. Please call again in a few minutes.",
    ),
    (
        "es",
        "Lo sentimos. En este momento no podemos atender su llamada. Por favor, llame de nuevo en unos minutos.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let check = |tag: &str, expected: Option<&str>| {
            let language = Language::from_tag(tag);
            assert_eq!(language.as_ref().map(Language::tag), expected, "{tag}");
        };
        check("en", Some("en"));
        check("es", Some("es"));
        check("ES", None);
        check("spa", None);
        check("e", None);
        check("é", None);
    }
}

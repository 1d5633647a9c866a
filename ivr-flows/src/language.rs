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
pub(crate) const ASK_BIRTH_DATE: &Said = &[
    (
        "en",
        "Please key in your date of birth, as two digits for the month, two for the day, and four for the year.",
    ),
    (
        "es",
        "Marque su fecha de nacimiento: dos dígitos para el mes, dos para el día y cuatro para el año.",
    ),
];
pub(crate) const ASK_MRN: &Said = &[
    (
        "en",
        "Please key in the digits of your medical record number, and then press the pound key.",
    ),
    (
        "es",
        "Marque los dígitos de su número de expediente médico y después oprima la tecla numeral.",
    ),
];
pub(crate) const ASK_STAFF_NUMBER: &Said = &[
    (
        "en",
        "Please key in your staff number, and then press the pound key.",
    ),
    (
        "es",
        "Marque su número de empleado y después oprima la tecla numeral.",
    ),
];
pub(crate) const ASK_PIN: &Said = &[
    (
        "en",
        "Please key in your PIN, and then press the pound key.",
    ),
    (
        "es",
        "Marque su número secreto y después oprima la tecla numeral.",
    ),
];
pub(crate) const ASK_CODE: &Said = &[
    (
        "en",
        "A code has been sent to the contact that we have on record for you. Please key in its six digits.",
    ),
    (
        "es",
        "Hemos enviado un código al contacto que tenemos registrado. Marque sus seis dígitos.",
    ),
];
/// Whatever was wrong, and whether or not there is such a person.
pub(crate) const NOT_SHOWN: &Said = &[
    ("en", "We can't confirm who you are with what you keyed in."),
    (
        "es",
        "No podemos confirmar quién es usted con lo que ha marcado.",
    ),
];
pub(crate) const ONE_MOMENT: &Said = &[
    ("en", "One moment, please."),
    ("es", "Un momento, por favor."),
];
/// How a ticket stands: level 1, so that nothing of its matter is told.
pub(crate) const TICKET_OPEN: &Said = &[
    ("en", "Your ticket is open. Nobody has taken it up yet."),
    ("es", "Su caso está abierto. Todavía nadie lo ha tomado."),
];
pub(crate) const TICKET_IN_HAND: &Said = &[
    (
        "en",
        "Your ticket is open, and somebody is looking after it.",
    ),
    ("es", "Su caso está abierto y alguien se ocupa de él."),
];
pub(crate) const TICKET_RESOLVED: &Said = &[
    ("en", "Your ticket is closed as resolved."),
    ("es", "Su caso está cerrado como resuelto."),
];
pub(crate) const TICKET_NUMBER: &Said = &[
    (
        "en",
        "Your ticket number is {ticket.number}. To hear it again, press star.",
    ),
    (
        "es",
        "Su número de caso es {ticket.number}. Para oírlo de nuevo, oprima asterisco.",
    ),
];
/// The number once more.
pub(crate) const TICKET_REPEAT: &Said = &[
    ("en", "Your ticket number is {ticket.number}."),
    ("es", "Su número de caso es {ticket.number}."),
];
/// When the caller hears of it next: not said, then one for each
/// [`NextUpdate`](crate::NextUpdate), in its order.
pub(crate) const UPDATES: [&Said; 11] = [
    &[
        ("en", "No time has been set for the next update."),
        ("es", "Aún no hay fecha para la próxima noticia."),
    ],
    &[
        (
            "en",
            "The next update is overdue. A person will tell you more.",
        ),
        (
            "es",
            "La próxima noticia está retrasada. Una persona le dirá más.",
        ),
    ],
    &[
        ("en", "The next update is due today."),
        ("es", "La próxima noticia será hoy."),
    ],
    &[
        ("en", "The next update is due tomorrow."),
        ("es", "La próxima noticia será mañana."),
    ],
    &[
        ("en", "The next update is due on Monday."),
        ("es", "La próxima noticia será el lunes."),
    ],
    &[
        ("en", "The next update is due on Tuesday."),
        ("es", "La próxima noticia será el martes."),
    ],
    &[
        ("en", "The next update is due on Wednesday."),
        ("es", "La próxima noticia será el miércoles."),
    ],
    &[
        ("en", "The next update is due on Thursday."),
        ("es", "La próxima noticia será el jueves."),
    ],
    &[
        ("en", "The next update is due on Friday."),
        ("es", "La próxima noticia será el viernes."),
    ],
    &[
        ("en", "The next update is due on the weekend."),
        ("es", "La próxima noticia será el fin de semana."),
    ],
    &[
        ("en", "The next update is due next week or later."),
        (
            "es",
            "La próxima noticia será la semana próxima o más tarde.",
        ),
    ],
];
/// Said of an incident where what was written of it can't be.
pub(crate) const INCIDENT: &Said = &[
    ("en", "We know of a problem, and we are working on it."),
    ("es", "Conocemos un problema y estamos trabajando en él."),
];
pub(crate) const INCIDENT_OFFER: &Said = &[
    ("en", "To be called when it is over, press 1."),
    ("es", "Para que le llamemos cuando se resuelva, oprima uno."),
];
pub(crate) const INCIDENT_NOTED: &Said = &[
    ("en", "We will call you when it is over."),
    ("es", "Le llamaremos cuando se resuelva."),
];
pub(crate) const INCIDENT_OVER: &Said =
    &[("en", "It is over by now."), ("es", "Ya está resuelto.")];
pub(crate) const INCIDENT_FAILED: &Said = &[
    ("en", "We couldn't note that. Please ask whoever answers."),
    (
        "es",
        "No pudimos anotarlo. Por favor, dígalo a quien le atienda.",
    ),
];
/// A callback is offered, and promised.
pub(crate) const CALLBACK_OFFER: &Said = &[
    ("en", "We can call you back."),
    ("es", "Podemos devolverle la llamada."),
];
pub(crate) const CALLBACK_PLACE: &Said = &[
    (
        "en",
        "To keep your place and be called when it is your turn, press 1.",
    ),
    (
        "es",
        "Para conservar su turno y recibir la llamada cuando le toque, oprima uno.",
    ),
];
/// Before a day and an hour, and after them: by which key.
pub(crate) const CALLBACK_TIME: &Said = &[("en", "To be called,"), ("es", "Para recibirla,")];
pub(crate) const CALLBACK_KEYS: [&Said; 3] = [
    &[("en", "press 1."), ("es", "oprima uno.")],
    &[("en", "press 2."), ("es", "oprima dos.")],
    &[("en", "press 3."), ("es", "oprima tres.")],
];
pub(crate) const CALLBACK_NO: &Said = &[
    ("en", "If you don't want that, press 0."),
    ("es", "Si no lo desea, oprima cero."),
];
/// Before the number.
pub(crate) const CALLBACK_NUMBER: &Said = &[
    ("en", "This is the number that we would call:"),
    ("es", "Este es el número al que llamaríamos:"),
];
pub(crate) const CALLBACK_RIGHT: &Said = &[
    (
        "en",
        "If that is right, press 1. For another number, press 2.",
    ),
    (
        "es",
        "Si es correcto, oprima uno. Para otro número, oprima dos.",
    ),
];
pub(crate) const CALLBACK_KEY_IN: &Said = &[
    (
        "en",
        "Please key in the number that we should call, and end with the pound key.",
    ),
    (
        "es",
        "Marque el número al que debemos llamar y termine con la tecla numeral.",
    ),
];
pub(crate) const CALLBACK_NOT_THERE: &Said = &[
    ("en", "Sorry, we can't call that number."),
    ("es", "Lo sentimos, no podemos llamar a ese número."),
];
pub(crate) const CALLBACK_TURN: &Said = &[
    (
        "en",
        "You have kept your place. We will call you when it is your turn.",
    ),
    (
        "es",
        "Usted conserva su turno. Le llamaremos cuando le toque.",
    ),
];
/// Before a day and an hour.
pub(crate) const CALLBACK_AGREED: &Said = &[
    ("en", "Thank you. We will call you"),
    ("es", "Gracias. Le llamaremos"),
];
pub(crate) const CALLBACK_BY_PERSON: &Said = &[
    (
        "en",
        "Thank you. We owe you a call, and a person will see to it.",
    ),
    (
        "es",
        "Gracias. Le debemos una llamada y una persona se ocupará de ella.",
    ),
];
/// Today, tomorrow, then the days of the week from Monday.
pub(crate) const CALLBACK_DAYS: [&Said; 9] = [
    &[("en", "today,"), ("es", "hoy,")],
    &[("en", "tomorrow,"), ("es", "mañana,")],
    &[("en", "on Monday,"), ("es", "el lunes,")],
    &[("en", "on Tuesday,"), ("es", "el martes,")],
    &[("en", "on Wednesday,"), ("es", "el miércoles,")],
    &[("en", "on Thursday,"), ("es", "el jueves,")],
    &[("en", "on Friday,"), ("es", "el viernes,")],
    &[("en", "on Saturday,"), ("es", "el sábado,")],
    &[("en", "on Sunday,"), ("es", "el domingo,")],
];
/// One of them stands alone where the digits of a number aren't of an even count.
pub(crate) const DIGITS: [&Said; 10] = [
    &[("en", "zero,"), ("es", "cero,")],
    &[("en", "one,"), ("es", "uno,")],
    &[("en", "two,"), ("es", "dos,")],
    &[("en", "three,"), ("es", "tres,")],
    &[("en", "four,"), ("es", "cuatro,")],
    &[("en", "five,"), ("es", "cinco,")],
    &[("en", "six,"), ("es", "seis,")],
    &[("en", "seven,"), ("es", "siete,")],
    &[("en", "eight,"), ("es", "ocho,")],
    &[("en", "nine,"), ("es", "nueve,")],
];
/// Twelve first.
const HOURS: [(&str, &str); 12] = [
    ("twelve", "las doce"),
    ("one", "la una"),
    ("two", "las dos"),
    ("three", "las tres"),
    ("four", "las cuatro"),
    ("five", "las cinco"),
    ("six", "las seis"),
    ("seven", "las siete"),
    ("eight", "las ocho"),
    ("nine", "las nueve"),
    ("ten", "las diez"),
    ("eleven", "las once"),
];

/// The hour from this one (0 to 23) until the next, as it is said.
pub(crate) fn hour_said(hour: usize) -> [(&'static str, String); 2] {
    let (part, parte) = match hour % 24 {
        ..12 => ("in the morning", "de la mañana"),
        12..18 => ("in the afternoon", "de la tarde"),
        _ => ("in the evening", "de la noche"),
    };
    let ((from, de), (to, a)) = (HOURS[hour % 12], HOURS[(hour + 1) % 12]);
    [
        ("en", format!("between {from} and {to} {part}.")),
        ("es", format!("entre {de} y {a} {parte}.")),
    ]
}

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

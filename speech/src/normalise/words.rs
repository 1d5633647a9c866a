//! Tables: abbreviations, acronyms, units, months.

/// Abbreviations that always mean the same, without their full stop and in
/// lower case.
pub(crate) fn abbreviation(word: &str) -> Option<&'static str> {
    Some(match word {
        "mr" => "Mister",
        "mrs" => "Missus",
        "ms" => "Miz",
        "prof" => "Professor",
        "rev" => "Reverend",
        "sgt" => "Sergeant",
        "capt" => "Captain",
        "jr" => "Junior",
        "sr" => "Senior",
        "dept" => "department",
        "ext" => "extension",
        "appt" => "appointment",
        "apt" => "apartment",
        "approx" => "approximately",
        "ave" => "Avenue",
        "blvd" => "Boulevard",
        "rd" => "Road",
        "bldg" => "building",
        "fl" => "floor",
        "rm" => "room",
        "hosp" => "hospital",
        "med" => "medical",
        "pt" => "patient",
        "pts" => "patients",
        "tel" => "telephone",
        "vs" => "versus",
        "etc" => "et cetera",
        "e.g" | "eg" => "for example",
        "i.e" | "ie" => "that is",
        "min" => "minutes",
        "mins" => "minutes",
        "hr" => "hour",
        "hrs" => "hours",
        "sec" | "secs" => "seconds",
        "tues" | "tue" => "Tuesday",
        "mon" => "Monday",
        "wed" => "Wednesday",
        "thu" | "thur" | "thurs" => "Thursday",
        "fri" => "Friday",
        _ => return None,
    })
}

/// True for abbreviations that are words of their own without the full stop
/// ("fl" isn't, "min" isn't, "fri" isn't; "med" and "rev" are).
pub(crate) fn needs_full_stop(word: &str) -> bool {
    matches!(
        word,
        "rev"
            | "med"
            | "fl"
            | "rd"
            | "ave"
            | "hosp"
            | "eg"
            | "ie"
            | "sr"
            | "jr"
            | "pt"
            | "pts"
            | "ms"
    )
}

/// True for abbreviations that stand before something, so that their full
/// stop never ends a sentence.
pub(crate) fn never_ends(word: &str) -> bool {
    matches!(
        word,
        "mr" | "mrs"
            | "ms"
            | "prof"
            | "rev"
            | "sgt"
            | "capt"
            | "vs"
            | "eg"
            | "e.g"
            | "ie"
            | "i.e"
            | "approx"
            | "ext"
    )
}

/// Acronyms and shouted words that are said as a word, in lower case, with
/// how they are written for a voice.
pub(crate) fn said_as_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "PIN" => "pin",
        "PINS" => "pins",
        "SIM" => "sim",
        "RAM" => "ram",
        "LAN" => "lan",
        "WAN" => "wan",
        "VLAN" => "vee lan",
        "STAT" => "stat",
        "COVID" => "covid",
        "NICU" => "nick you",
        "PICU" => "pick you",
        "PACU" => "pack you",
        "PACS" => "packs",
        "HIPAA" => "hippa",
        "CPAP" => "see pap",
        "MRSA" => "mursa",
        "FAQ" => return None,
        "JPEG" => "jay peg",
        "NASA" => "nassa",
        "SOAP" => "soap",
        "CAPTCHA" => "captcha",
        "OKTA" => "okta",
        "EPIC" => "epic",
        "DUO" => "duo",
        "CITRIX" => "citrix",
        "ASAP" => "as soon as possible",
        "TBD" => "to be determined",
        "FYI" => "for your information",
        "VOIP" | "VoIP" => "voyp",
        "WIFI" | "WiFi" | "Wi-Fi" | "wi-fi" | "Wifi" => "why fy",
        "OK" => "okay",
        _ => {
            return SHOUTED
                .iter()
                .find(|(caps, _)| *caps == word)
                .map(|(_, small)| *small);
        }
    })
}

/// Words that are written in capitals for emphasis.
const SHOUTED: [(&str, &str); 46] = [
    ("NOT", "not"),
    ("NO", "no"),
    ("YES", "yes"),
    ("DO", "do"),
    ("AND", "and"),
    ("ALL", "all"),
    ("NEVER", "never"),
    ("ALWAYS", "always"),
    ("ONLY", "only"),
    ("MUST", "must"),
    ("NOW", "now"),
    ("ANY", "any"),
    ("THE", "the"),
    ("YOU", "you"),
    ("YOUR", "your"),
    ("FOR", "for"),
    ("TO", "to"),
    ("OF", "of"),
    ("ON", "on"),
    ("OFF", "off"),
    ("IN", "in"),
    ("OUT", "out"),
    ("BE", "be"),
    ("IF", "if"),
    ("WE", "we"),
    ("CALL", "call"),
    ("STOP", "stop"),
    ("PRESS", "press"),
    ("HOLD", "hold"),
    ("HELP", "help"),
    ("DOWN", "down"),
    ("OPEN", "open"),
    ("CLOSED", "closed"),
    ("TEST", "test"),
    ("TESTS", "tests"),
    ("THIS", "this"),
    ("THAT", "that"),
    ("WITH", "with"),
    ("FROM", "from"),
    ("WILL", "will"),
    ("HAVE", "have"),
    ("ARE", "are"),
    ("CAN", "can"),
    ("HANG", "hang"),
    ("UP", "up"),
    ("WAIT", "wait"),
];

/// A unit after a number: (one, many). `attached` units count only without a
/// space, since alone they are letters or words.
pub(crate) fn unit(word: &str, attached: bool) -> Option<(&'static str, &'static str)> {
    Some(match word {
        "mg" => ("milligram", "milligrams"),
        "mcg" | "µg" | "μg" => ("microgram", "micrograms"),
        "kg" => ("kilogram", "kilograms"),
        "ml" | "mL" => ("milliliter", "milliliters"),
        "dl" | "dL" => ("deciliter", "deciliters"),
        "lb" | "lbs" => ("pound", "pounds"),
        "oz" => ("ounce", "ounces"),
        "mm" => ("millimeter", "millimeters"),
        "cm" => ("centimeter", "centimeters"),
        "km" => ("kilometer", "kilometers"),
        "ft" => ("foot", "feet"),
        "mph" => ("mile per hour", "miles per hour"),
        "min" | "mins" => ("minute", "minutes"),
        "hr" | "hrs" => ("hour", "hours"),
        "sec" | "secs" => ("second", "seconds"),
        "ms" => ("millisecond", "milliseconds"),
        "KB" | "kB" => ("kilobyte", "kilobytes"),
        "MB" => ("megabyte", "megabytes"),
        "GB" => ("gigabyte", "gigabytes"),
        "TB" => ("terabyte", "terabytes"),
        "Mbps" => ("megabit per second", "megabits per second"),
        "Gbps" => ("gigabit per second", "gigabits per second"),
        "Hz" => ("hertz", "hertz"),
        "kHz" => ("kilohertz", "kilohertz"),
        "MHz" => ("megahertz", "megahertz"),
        "GHz" => ("gigahertz", "gigahertz"),
        "bpm" => ("beat per minute", "beats per minute"),
        "mmHg" => ("millimeter of mercury", "millimeters of mercury"),
        "kW" => ("kilowatt", "kilowatts"),
        "g" if attached => ("gram", "grams"),
        "h" if attached => ("hour", "hours"),
        "s" if attached => ("second", "seconds"),
        "m" if attached => ("meter", "meters"),
        "L" if attached => ("liter", "liters"),
        "V" if attached => ("volt", "volts"),
        "W" if attached => ("watt", "watts"),
        _ => return None,
    })
}

/// The month of a capitalised name or abbreviation (without full stop), from
/// 1.
pub(crate) fn month(word: &str) -> Option<usize> {
    MONTHS
        .iter()
        .position(|month| *month == word)
        .map(|at| at + 1)
        .or_else(|| {
            Some(match word {
                "Jan" => 1,
                "Feb" => 2,
                "Mar" => 3,
                "Apr" => 4,
                "Jun" => 6,
                "Jul" => 7,
                "Aug" => 8,
                "Sep" | "Sept" => 9,
                "Oct" => 10,
                "Nov" => 11,
                "Dec" => 12,
                _ => return None,
            })
        })
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// After one of these, digits are said one by one.
pub(crate) fn announces_digits(word: &str) -> bool {
    matches!(
        word,
        "extension"
            | "pin"
            | "code"
            | "pager"
            | "mrn"
            | "id"
            | "account"
            | "badge"
            | "zip"
            | "dial"
            | "ticket"
            | "x"
    )
}

/// After one of these, four digits are a year.
pub(crate) fn announces_year(word: &str) -> bool {
    matches!(
        word,
        "in" | "since" | "year" | "until" | "before" | "after" | "during" | "by" | "of" | "from"
    ) || MONTHS.iter().any(|month| month.eq_ignore_ascii_case(word))
}

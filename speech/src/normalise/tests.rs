use proptest::prelude::*;

use super::*;

fn check(written: &str, said: &str) {
    assert_eq!(
        normalise(Language::English, written).as_deref(),
        Ok(said),
        "{written}"
    );
}

fn refuse(written: &str, character: char, position: usize) {
    assert_eq!(
        normalise(Language::English, written),
        Err(SpeechError::Unreadable {
            character,
            position
        }),
        "{written}"
    );
}

#[test]
fn tickets() {
    check(
        "Your ticket number is 4719203855.",
        "Your ticket number is four seven, one nine, two zero, three eight, five five.",
    );
    check(
        "47 19 20 38 55",
        "four seven, one nine, two zero, three eight, five five.",
    );
    check(
        "Ticket HD-47192 is open.",
        "Ticket H D, four seven, one nine two is open.",
    );
    check("ticket #12", "ticket number twelve.");
    check("Ticket 4471.", "Ticket four four, seven one.");
    check("INC0012345", "I N C, zero zero, one two, three four five.");
}

#[test]
fn telephone_numbers() {
    let said = "five five five, zero one zero, four four, seven seven";
    check("Call 555-010-4477.", &format!("Call {said}."));
    check("Call (555) 010-4477 now", &format!("Call {said} now."));
    check("555.010.4477", &format!("{said}."));
    check("1-555-010-4477", &format!("one, {said}."));
    check("+1 555 010 4477", &format!("plus one, {said}."));
    check("010-4477", "zero one zero, four four, seven seven.");
    check("Dial 911.", "Dial nine one one.");
    check("extension 4512", "extension four five, one two.");
    check("ext. 4512", "extension four five, one two.");
    check("Press 1 or 2.", "Press one or two.");
    check("Your PIN is 4471.", "Your pin is four four, seven one.");
}

#[test]
fn times() {
    check("14:15", "two fifteen P M.");
    check("at 17:05", "at five oh five P M.");
    check("09:00", "nine A M.");
    check("9:00", "nine o'clock.");
    check("9:30", "nine thirty.");
    check("9:30am.", "nine thirty A M.");
    check("5 p.m. today", "five P M today.");
    check("until 5 p.m. Then wait.", "until five P M. Then wait.");
    check("5PM", "five P M.");
    check("12:00", "noon.");
    check("00:00", "midnight.");
    check("00:30", "twelve thirty A M.");
    check("12:30", "twelve thirty P M.");
    check("between 9 and 10", "between nine and ten.");
    check("from 9:00 am - 5:00 pm", "from nine A M, five P M.");
    check("open 24/7", "open twenty four seven.");
    check("9-10 am", "nine to ten A M.");
}

#[test]
fn dates() {
    check("on 2026-03-12.", "on March twelfth, twenty twenty six.");
    check("on 3/12/2026", "on March twelfth, twenty twenty six.");
    check("on 3/12", "on March twelfth.");
    check("March 12, 2026", "March twelfth, twenty twenty six.");
    check("March 12 at 9:00", "March twelfth at nine o'clock.");
    check("Mar 12", "March twelfth.");
    check(
        "on Dec. 3 or in Sept. or so",
        "on December third or in September or so.",
    );
    check("Jan. 5", "January fifth.");
    check("Thurs. at noon", "Thursday at noon.");
    check("since 2019", "since twenty nineteen.");
    check("2019 callers", "two thousand nineteen callers.");
    check("May I help?", "May I help?");
    check("in March", "in March.");
}

#[test]
fn numbers() {
    check(
        "You are number 3 in the queue.",
        "You are number three in the queue.",
    );
    check("the 21st caller", "the twenty first caller.");
    check("1,250 users", "one thousand two hundred fifty users.");
    check("3.5 hours", "three point five hours.");
    check("40% done", "forty percent done.");
    check("-5", "minus five.");
    check("2-3 days", "two to three days.");
    check("$12.50", "twelve dollars and fifty cents.");
    check("$1", "one dollar.");
    check("$0.01", "one cent.");
    check("$3.2 million", "three point two million dollars.");
    check("5 mg of it", "five milligrams of it.");
    check("1 min left", "one minute left.");
    check("98.6°F", "ninety eight point six degrees Fahrenheit.");
    check("10GB", "ten gigabytes.");
    check("room 4B", "room four B.");
    check("COVID-19", "covid nineteen.");
    check("Office 365", "Office three sixty five.");
    check("007", "zero zero seven.");
    check("1/2 hour", "one half hour.");
}

#[test]
fn abbreviations() {
    check("Dr. Okafor", "Doctor Okafor.");
    check("Dr Okafor is in.", "Doctor Okafor is in.");
    check("Thanks, Dr. Lee. Goodbye.", "Thanks, Doctor Lee. Goodbye.");
    check("Oak Dr.", "Oak Drive.");
    check("St. Mary's", "Saint Mary's.");
    check("12 Oak St. is near.", "twelve Oak Street is near.");
    check("Mrs. Patel vs. Mr. Lee", "Missus Patel versus Mister Lee.");
    check("e.g. this", "for example this.");
    check("No. 5", "number five.");
    check("No. Not now.", "No. Not now.");
    check("about 5 min. or so", "about five minutes or so.");
    check("and/or", "and or.");
    check("w/ care", "with care.");
}

#[test]
fn acronyms() {
    check("your MRN", "your M R N.");
    check("the EHR is down", "the E H R is down.");
    check("ICU, ED and IT", "I C U, E D and I T.");
    check("it is", "it is.");
    check("MFA for the VPN", "M F A for the V P N.");
    check("three PCs", "three P Cs.");
    check("the OR or the ER", "the O R or the E R.");
    check("Press 1 OR 2", "Press one or two.");
    check("Do NOT hang up", "Do not hang up.");
    check("STAT", "stat.");
    check("THE EHR IS DOWN", "the E H R is down.");
    check("U.S. law", "U S law.");
    check("MyChart", "MyChart.");
}

#[test]
fn marks() {
    check("Press * or #.", "Press star or pound.");
    check("Hello — it's me", "Hello, it's me.");
    check("One (or two) things", "One, or two, things.");
    check("Wait... now", "Wait. now.");
    check("Really?!", "Really?");
    check("“Quoted”", "Quoted.");
    check("R&D", "R and D.");
    check("help.example.org", "help dot example dot org.");
    check("on-call", "on-call.");
    check("José García’s", "José García's.");
    check("  spaces \n everywhere ", "spaces everywhere.");
}

#[test]
fn what_cannot_be_read_is_refused() {
    refuse("a [b](/c/)", '[', 2);
    refuse("x < y", '<', 2);
    refuse("Hello 😀", '😀', 6);
    refuse("привет", 'п', 0);
    refuse("٣ calls", '٣', 0);
    refuse("a\u{0}b", '\u{0}', 1);
    assert_eq!(normalise(Language::English, ""), Err(SpeechError::Empty));
    assert_eq!(
        normalise(Language::English, " ... "),
        Err(SpeechError::Empty)
    );
    let long = "a".repeat(CHARACTERS_MAX + 1);
    assert!(matches!(
        normalise(Language::English, &long),
        Err(SpeechError::TooLong { .. })
    ));
}

proptest! {
    /// Whatever comes in: no panic, and nothing but words and marks comes out.
    #[test]
    fn only_words_come_out(text in "[ -~àéñ°£€–—’…A-Z0-9]{0,80}") {
        if let Ok(said) = normalise(Language::English, &text) {
            for c in said.chars() {
                prop_assert!(is_letter(c) || "' -.,;:?!".contains(c), "{c:?} in {said:?}");
            }
            prop_assert!(said.ends_with(['.', '?', '!']));
        }
    }

    #[test]
    fn any_text_at_all_is_survived(text in "\\PC{0,60}") {
        let _ = normalise(Language::English, &text);
    }

    /// Ten digits are always five pairs, wherever they stand.
    #[test]
    fn ten_digits_are_a_ticket(digits in "[0-9]{10}") {
        let said = normalise(Language::English, &format!("Ticket {digits}, please.")).unwrap();
        prop_assert_eq!(said.matches(',').count(), 5);
        prop_assert!(said.starts_with("Ticket "));
    }
}

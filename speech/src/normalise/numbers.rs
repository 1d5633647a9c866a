//! Numbers in words.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [(u64, &str); 4] = [
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];

/// "one thousand two hundred five". Below 10^15.
pub(crate) fn cardinal(number: u64) -> String {
    let mut words = Vec::new();
    push_cardinal(number, &mut words);
    words.join(" ")
}

fn push_cardinal(number: u64, words: &mut Vec<&'static str>) {
    if number < 20 {
        words.push(ONES[number as usize]);
        return;
    }
    if number < 100 {
        words.push(TENS[(number / 10) as usize]);
        if !number.is_multiple_of(10) {
            words.push(ONES[(number % 10) as usize]);
        }
        return;
    }
    let (unit, name) = SCALES
        .into_iter()
        .find(|(unit, _)| number >= *unit)
        .unwrap_or((100, "hundred"));
    push_cardinal(number / unit, words);
    words.push(name);
    if !number.is_multiple_of(unit) {
        push_cardinal(number % unit, words);
    }
}

/// "twenty first".
pub(crate) fn ordinal(number: u64) -> String {
    let words = cardinal(number);
    let (head, last) = match words.rsplit_once(' ') {
        Some((head, last)) => (format!("{head} "), last),
        None => (String::new(), words.as_str()),
    };
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        word => match word.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{word}th"),
        },
    };
    head + &last
}

/// "twenty twenty six", "nineteen oh five", "two thousand".
pub(crate) fn year(number: u64) -> String {
    let (century, rest) = (number / 100, number % 100);
    match (century, rest) {
        (20, 0..=9) => cardinal(number),
        (_, 0) => format!("{} hundred", cardinal(century)),
        (_, 1..=9) => format!("{} oh {}", cardinal(century), cardinal(rest)),
        _ => format!("{} {}", cardinal(century), cardinal(rest)),
    }
}

/// The name of one ASCII digit.
pub(crate) fn digit(digit: char) -> &'static str {
    ONES[digit.to_digit(10).unwrap_or(0) as usize]
}

/// Digits one by one, with a pause after each group: "four seven, one nine".
/// `groups` are sizes; the last one repeats.
pub(crate) fn digits_in_groups(digits: &str, groups: &[usize]) -> String {
    let mut out = String::new();
    let mut sizes = groups
        .iter()
        .copied()
        .chain(std::iter::repeat(groups.last().copied().unwrap_or(2)));
    let mut left = 0;
    for c in digits.chars() {
        if left == 0 {
            left = sizes.next().unwrap_or(1).max(1);
            if !out.is_empty() {
                out.push(',');
            }
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(digit(c));
        left -= 1;
    }
    out
}

/// The groups people say an identifier of `count` digits in: pairs, with the
/// odd one at the end (47192 is four seven, one nine two).
pub(crate) fn identifier_groups(count: usize) -> Vec<usize> {
    match count {
        0..=3 => vec![3],
        n if n % 2 == 0 => vec![2],
        n => {
            let mut groups = vec![2; n / 2 - 1];
            groups.push(3);
            groups
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        let check = |number: u64, expected: &str| assert_eq!(cardinal(number), expected);
        check(0, "zero");
        check(13, "thirteen");
        check(40, "forty");
        check(105, "one hundred five");
        check(1_250, "one thousand two hundred fifty");
        check(2_000_001, "two million one");
        check(999_999_999_999_999, &cardinal(999_999_999_999_999));
    }

    #[test]
    fn ordinals_and_years() {
        let check = |number: u64, expected: &str| assert_eq!(ordinal(number), expected);
        check(1, "first");
        check(12, "twelfth");
        check(20, "twentieth");
        check(23, "twenty third");
        check(100, "one hundredth");
        let check = |number: u64, expected: &str| assert_eq!(year(number), expected);
        check(2026, "twenty twenty six");
        check(2000, "two thousand");
        check(2009, "two thousand nine");
        check(1905, "nineteen oh five");
        check(1900, "nineteen hundred");
    }

    #[test]
    fn digits_come_in_groups() {
        let check = |digits: &str, expected: &str| {
            assert_eq!(
                digits_in_groups(digits, &identifier_groups(digits.len())),
                expected
            );
        };
        check(
            "4719203855",
            "four seven, one nine, two zero, three eight, five five",
        );
        check("47192", "four seven, one nine two");
        check("907", "nine zero seven");
        check("4", "four");
    }
}

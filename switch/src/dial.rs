//! Where agents and flows may send callers on to, and whom agents may ask (invariant 14).

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use acd::AgentId;
use desk::{Escalation, PhoneNumber, TenantId};

use crate::setup::Setup;

/// Where a hospital's callers may be sent on to by an agent or a flow. By default
/// nowhere but to the help desk's own people and queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialRules {
    /// Numbers that mean a queue or an agent. An agent's account name and a
    /// queue's name do without one.
    pub inside: HashMap<String, Inside>,
    /// Numbers outside that may be called: the first rule that fits says how.
    pub outside: Vec<OutsideRule>,
    /// The hospital's country code (`1`), by which numbers abroad are told; may be empty.
    pub country_code: String,
}

/// Numbers outside that may be called.
///
/// What is dear is never meant by the way: a number abroad, a premium one, or
/// one of the North American plan that lies abroad is allowed only by a prefix
/// that says so itself (`+1900`, not `+1`; `91900` behind an access code, not `9`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideRule {
    /// How they begin, as agents dial them: digits, perhaps behind a `+`.
    pub prefix: String,
    /// How many digits they have, the `+` not counted.
    pub digits: RangeInclusive<usize>,
    /// The trunk that takes them there.
    pub trunk: Arc<str>,
}

/// What an inside number means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// A queue, by the name flows use.
    Queue(Arc<str>),
    /// An agent's phone.
    Agent(AgentId),
}

/// Where a call is sent on to, allowed by the [`DialRules`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A queue of the hospital's.
    Queue(Arc<str>),
    /// An agent's phone.
    Agent(AgentId),
    /// A number outside.
    Outside {
        /// As it was dialled.
        number: PhoneNumber,
        /// The trunk that takes it there.
        trunk: Arc<str>,
    },
}

/// Area codes of the North American plan (country code 1) that cost like calls
/// abroad: premium numbers, and the islands that share the plan.
const DEAR_AREAS: [&str; 24] = [
    "900", "976", "242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664",
    "721", "758", "767", "784", "809", "829", "849", "868", "869", "876", "500",
];

/// Numbers of emergency services and of the suicide and crisis line (988), and 933 by which the first are tried out.
/// They are no line of a help desk's, and nobody is transferred there: who answers has to be told where the station is
/// that calls.
pub const EMERGENCY_NUMBERS: [&str; 6] = ["911", "112", "999", "000", "988", "933"];

impl DialRules {
    /// Whether a number outside may be called.
    pub fn allows_outside(&self, number: &str) -> bool {
        self.outside(number).is_some()
    }

    /// The rule by which a number outside may be called.
    fn outside(&self, number: &str) -> Option<&OutsideRule> {
        // Digits and nothing else: what a gateway makes of the rest isn't ours to guess.
        let digits = number.strip_prefix('+').unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if EMERGENCY_NUMBERS.contains(&digits) {
            return None;
        }
        let said = said_itself(number, &self.country_code).max(1);
        self.outside.iter().find(|rule| {
            rule.digits.contains(&digits.len())
                && rule.prefix.len() >= said
                && number.starts_with(&rule.prefix)
                && self.fits_behind_access(rule, number)
        })
    }

    /// What a prefix begins with may be what a gateway takes for itself (`9` for
    /// a line outside): then what stands behind that is what is called, and the
    /// rest of the prefix has to say what makes it dear.
    fn fits_behind_access(&self, rule: &OutsideRule, number: &str) -> bool {
        if number.starts_with('+') {
            return true;
        }
        let public = *rule.digits.end() >= LOCAL_DIGITS || matches!(&*rule.prefix, "9" | "0");
        (1..=rule.prefix.len()).all(|access| {
            let (code, called) = number.split_at(access);
            let emergency = public && EMERGENCY_NUMBERS.contains(&called);
            let whole = is_whole(code, called, &self.country_code);
            let said = rule.prefix.len() - access;
            let dear = whole && said_itself(called, &self.country_code) > said;
            !(emergency || dear)
        })
    }
}

/// Fewest digits of a number of the public network, others than emergency numbers.
const LOCAL_DIGITS: usize = 7;

/// Is this a whole number of the public network, behind an access code, rather
/// than the end of one?
fn is_whole(access: &str, called: &str, country_code: &str) -> bool {
    let abroad = ["011", "00"]
        .iter()
        .any(|begins| called.starts_with(begins));
    if abroad && called.len() > 10 {
        return true;
    }
    match country_code {
        // Or longer: an exchange drops what is dialled behind a whole number.
        "" | "1" => called.len() >= 10,
        // Behind the national 0; what stands before it is no part of the number.
        _ => called.starts_with('0') && !access.starts_with('0'),
    }
}

/// How much of the number's beginning a rule's prefix has to say itself, in
/// bytes: all that makes it dear.
fn said_itself(number: &str, country_code: &str) -> usize {
    for (abroad, length) in [("011", 4), ("00", 3)] {
        if number.starts_with(abroad) {
            return length;
        }
    }
    let digits = number.strip_prefix('+').unwrap_or(number);
    let plus = number.len() - digits.len();
    // A carrier's code (101 and four digits), and whatever is called by that carrier.
    if matches!(country_code, "" | "1") && plus == 0 && digits.starts_with("101") {
        return 3;
    }
    let own = match country_code {
        "" => "1",
        own => own,
    };
    // The number as dialled within its country, and how much stands before it.
    let (country, rest) = match digits.strip_prefix(own) {
        Some(rest) if plus == 1 => (own.len() + 1, rest),
        // Of the North American plan with its 1.
        Some(rest) if own == "1" && rest.len() >= 10 => (1, rest),
        _ if plus == 1 && digits.starts_with('1') => (2, digits.get(1..).unwrap_or_default()),
        // Somewhere abroad: at least its country's first digit.
        _ if plus == 1 => return 2,
        _ => (0, digits),
    };
    let american = own == "1" || (plus == 1 && digits.starts_with('1'));
    if american {
        let dear = DEAR_AREAS.iter().any(|area| rest.starts_with(area));
        return if dear { country + 3 } else { 0 };
    }
    // Elsewhere premium numbers begin with a 9 behind the national 0.
    let national = rest.strip_prefix('0').unwrap_or(rest);
    if national.starts_with('9') {
        return country + (rest.len() - national.len()) + 1;
    }
    0
}

impl Setup {
    /// What an agent's phone means by this address, for a caller of this
    /// hospital; `None` when its rules don't allow it.
    pub fn destination(&self, tenant: TenantId, uri: &sip::Uri) -> Option<Destination> {
        self.reached(tenant, &uri.user()?)
    }

    /// The same, with why the caller is sent on, if the agent has dialled that behind it: `7000*82`.
    pub fn destination_and_reason(
        &self,
        tenant: TenantId,
        uri: &sip::Uri,
    ) -> Option<(Destination, Option<Escalation>)> {
        let user = uri.user()?;
        if let Some(destination) = self.reached(tenant, &user) {
            return Some((destination, None));
        }
        let code = Some(&self.sip.reason_code).filter(|code| !code.is_empty())?;
        let (number, key) = user.rsplit_once(code.as_str())?;
        let mut keys = key.chars();
        let why = Escalation::keyed(keys.next()?)?;
        let alone = keys.next().is_none();
        let destination = self.reached(tenant, number).filter(|_| alone)?;
        Some((destination, Some(why)))
    }

    /// The same of what is dialled: a number, an account or a queue.
    pub fn reached(&self, tenant: TenantId, user: &str) -> Option<Destination> {
        if self.emergency.dialled(user).is_some() {
            return None;
        }
        let rules = &self.tenants.get(&tenant)?.dial;
        match rules.inside.get(user) {
            Some(Inside::Queue(name)) => return Some(Destination::Queue(Arc::clone(name))),
            Some(Inside::Agent(agent)) => return self.colleague(tenant, *agent),
            None => {}
        }
        let account = self.accounts.get(user);
        if let Some(agent) = account.and_then(|account| account.agent) {
            return self.colleague(tenant, agent);
        }
        let name: Arc<str> = Arc::from(user);
        if self.queues.contains_key(&(tenant, Arc::clone(&name))) {
            return Some(Destination::Queue(name));
        }
        let rule = rules.outside(user)?;
        Some(Destination::Outside {
            trunk: Arc::clone(&rule.trunk),
            number: PhoneNumber(user.to_owned()),
        })
    }

    /// An agent who may have callers of this hospital.
    fn colleague(&self, tenant: TenantId, agent: AgentId) -> Option<Destination> {
        let mut accounts = self.accounts.values();
        let account = accounts.find(|account| account.agent == Some(agent))?;
        let mut queues = self.queues.iter();
        queues
            .any(|((of, _), queue)| *of == tenant && account.serves.contains(&queue.id))
            .then_some(Destination::Agent(agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(country_code: &str, rules: &[(&str, RangeInclusive<usize>)], number: &str) -> bool {
        let rule = |(prefix, digits): &(&str, RangeInclusive<usize>)| OutsideRule {
            prefix: (*prefix).to_owned(),
            digits: digits.clone(),
            trunk: "city".into(),
        };
        let rules = DialRules {
            outside: rules.iter().map(rule).collect(),
            country_code: country_code.to_owned(),
            ..DialRules::default()
        };
        rules.outside(number).is_some()
    }

    #[test]
    fn numbers_outside_are_allowed_by_prefix_and_length() {
        let rules = [("+1555", 11..=11), ("1", 11..=11), ("7", 4..=4)];
        for (number, expected) in [
            ("+15550101001", true),
            ("15550101001", true),
            ("7123", true),
            ("71234", false),
            ("+155501010011", false),
            ("+14440101001", false),
            ("+1555010100x", false),
            ("+1555;ext=1", false),
            ("+", false),
            ("", false),
            ("++15550101001", false),
        ] {
            assert_eq!(allowed("1", &rules, number), expected, "{number}");
        }
        assert!(!allowed("1", &[], "+15550101001"), "nothing by default");
        assert!(!allowed("1", &[("", 1..=15)], "15550101001"));
    }

    #[test]
    fn why_a_caller_is_sent_on_stands_behind_the_number() {
        use Escalation::{NoArticle, NoSkill, NotPermitted};
        let mut setup = crate::setup::tests::empty();
        let tenant = TenantId(1);
        let inside = [("7000".to_owned(), Inside::Queue("tier2".into()))];
        let outside = OutsideRule {
            prefix: "+1555".to_owned(),
            digits: 11..=11,
            trunk: "city".into(),
        };
        let hospital = crate::setup::Tenant {
            key: "".into(),
            name: "".into(),
            dial: DialRules {
                inside: inside.into(),
                outside: vec![outside],
                country_code: "1".into(),
            },
            calendars: HashMap::new(),
            days: None,
            callbacks: None,
        };
        setup.tenants.insert(tenant, hospital);
        let told = |setup: &Setup, user: &str| {
            let uri = sip::Uri::parse(&format!("sip:{user}@desk.example")).unwrap();
            let told = setup.destination_and_reason(tenant, &uri)?;
            Some(match told {
                (Destination::Outside { number, .. }, why) => (number.0, why),
                (_, why) => ("inside".to_owned(), why),
            })
        };
        let inside = |why| Some(("inside".to_owned(), why));
        assert_eq!(told(&setup, "7000"), inside(None));
        assert_eq!(told(&setup, "7000*81"), inside(Some(NotPermitted)));
        assert_eq!(told(&setup, "7000%2A82"), inside(Some(NoSkill)));
        let outside = ("+15550101001".to_owned(), Some(NoArticle));
        assert_eq!(told(&setup, "+15550101001*83"), Some(outside));
        for wrong in ["7000*84", "7000*8", "7000*811", "*81", "7001*81", "911*81"] {
            assert_eq!(told(&setup, wrong), None, "{wrong}");
        }
        setup.sip.reason_code = String::new();
        assert_eq!(told(&setup, "7000*81"), None);
    }

    #[test]
    fn nobody_is_sent_on_to_an_emergency_service() {
        for number in EMERGENCY_NUMBERS {
            assert!(!allowed("1", &[("9", 1..=20), (number, 1..=20)], number));
        }
        assert!(allowed("1", &[("91", 4..=4)], "9115"));
        for number in EMERGENCY_NUMBERS {
            for prefix in ["9", "0", "8", "99"] {
                let dialled = format!("{prefix}{number}");
                assert!(!allowed("1", &[(prefix, 3..=12)], &dialled), "{dialled}");
            }
            // Extensions of an exchange.
            let extension = format!("7{number}");
            assert!(allowed("1", &[("7", 4..=4)], &extension), "{extension}");
        }
        assert!(!allowed("1", &[("9", 4..=4)], "9911"));
    }

    #[test]
    fn an_access_code_hides_nothing_dear() {
        for (country, prefix, number, expected) in [
            ("1", "9", "919005550101", false),
            ("1", "9", "99005550101", false),
            ("1", "91", "919005550101", false),
            ("1", "91900", "919005550101", true),
            ("1", "9900", "99005550101", true),
            ("1", "99", "9918765550101", false),
            ("1", "9", "912175550101", true),
            ("1", "9", "92175550101", true),
            ("1", "9", "901144205550101", false),
            ("1", "9011", "901144205550101", false),
            ("1", "90114", "901144205550101", true),
            ("1", "8", "80044205550101", false),
            ("", "9", "919005550101", false),
            // What is dialled behind a whole number is dropped on the way.
            ("1", "9", "9190055501011", false),
            ("1", "9", "99005550101123", false),
            ("1", "9", "9121755501011", true),
            ("1", "1", "190055501011", false),
            ("1", "1", "12175550101123", true),
            // By a carrier.
            ("1", "9", "9101022219005550101", false),
            ("1", "1", "101022219005550101", false),
            ("1", "9101", "9101022219005550101", true),
            // The end of a number isn't one.
            ("1", "+1555", "+15559005550", true),
            ("1", "1555", "15559005550", true),
            ("1", "1217", "12170011555", true),
            ("44", "9", "90905550101", false),
            ("44", "9", "90205550101", true),
            ("44", "909", "90905550101", true),
            ("44", "9", "900332055501", false),
            ("44", "02", "02090905550", true),
            ("49", "0", "00905550101", false),
        ] {
            let rules = [(prefix, 3..=20)];
            let told = allowed(country, &rules, number);
            assert_eq!(told, expected, "{country} {prefix} {number}");
        }
    }

    #[test]
    fn what_is_dear_has_to_be_said() {
        let all = 3..=20;
        for (country, prefix, number, expected) in [
            ("1", "+1", "+15550101001", true),
            ("1", "+1", "+19005550101", false),
            ("1", "+1900", "+19005550101", true),
            ("1", "1", "19005550101", false),
            ("1", "9", "9005550101", false),
            ("1", "900", "9005550101", true),
            ("1", "9", "9195550101", true),
            ("1", "+1", "+18765550101", false),
            ("1", "+1876", "+18765550101", true),
            ("1", "8", "8765550101", false),
            ("1", "0", "01144205550101", false),
            ("1", "011", "01144205550101", false),
            ("1", "01144", "01144205550101", true),
            ("1", "00", "0044205550101", false),
            ("1", "+44", "+44205550101", true),
            ("1", "+", "+44205550101", false),
            ("", "+1", "+19005550101", false),
            ("", "1", "19005550101", false),
            ("44", "+44", "+44205550101", true),
            ("44", "+44", "+44905550101", false),
            ("44", "+449", "+44905550101", true),
            ("44", "0", "0905550101", false),
            ("44", "0", "0205550101", true),
            ("44", "0", "00332055501", false),
            ("44", "+1", "+19005550101", false),
            ("44", "+1", "+15550101001", true),
        ] {
            let rules = [(prefix, all.clone())];
            assert_eq!(
                allowed(country, &rules, number),
                expected,
                "{country} {prefix} {number}"
            );
        }
    }
}

use std::collections::HashMap;

use cel::{Context, Program, Value};
use proptest::prelude::*;

use super::*;
use crate::Role;

fn known() -> Known<'static> {
    Known {
        role: Some("clinician"),
        stated: Some(""),
        known: Some(true),
        language: Some("es"),
        slow: Some(false),
        relay: Some(true),
        dnis: Some("+15550100"),
        ani_withheld: Some(false),
        hospital: Some("st-marys"),
        digits: Some("4719"),
        attempts: Some(2),
        has_ticket: Some(false),
        level: Some(1),
        key: Some("S-17"),
        vars: None,
    }
}

/// The crate's own interpreter on the same facts.
fn interpreted(source: &str, known: &Known<'_>) -> Option<bool> {
    let mut context = Context::default();
    let caller: HashMap<String, Value> = HashMap::from([
        ("language".to_owned(), known.language?.into()),
        ("slow".to_owned(), known.slow?.into()),
        ("relay".to_owned(), known.relay?.into()),
        ("role".to_owned(), known.role?.into()),
        ("stated".to_owned(), known.stated?.into()),
        ("known".to_owned(), known.known?.into()),
        ("level".to_owned(), known.level?.into()),
        ("key".to_owned(), known.key?.into()),
    ]);
    context.add_variable_from_value("caller", caller);
    context.add_variable_from_value("dnis", known.dnis?);
    context.add_variable_from_value("ani_withheld", known.ani_withheld?);
    context.add_variable_from_value("hospital", known.hospital?);
    context.add_variable_from_value("digits", known.digits?);
    context.add_variable_from_value("attempts", known.attempts?);
    context.add_variable_from_value("has_ticket", known.has_ticket?);
    match Program::compile(source).ok()?.execute(&context).ok()? {
        Value::Bool(truth) => Some(truth),
        _ => None,
    }
}

#[test]
fn conditions_hold_as_cel_says() {
    let check = |source: &str, expected: bool| {
        let condition =
            Condition::parse(source, &[]).unwrap_or_else(|fault| panic!("{source}: {fault:?}"));
        assert_eq!(condition.holds(&known()), Some(expected), "{source}");
        assert_eq!(
            interpreted(source, &known()),
            Some(expected),
            "{source}, interpreted"
        );
    };
    check("true", true);
    check("caller.known", true);
    check("caller.relay && !caller.slow", true);
    check("caller.language in ['es', 'pt']", true);
    check("caller.role == \"clinician\"", true);
    check(
        "caller.role == 'staff' || caller.known && !ani_withheld",
        true,
    );
    check("caller.role != 'clinician'", false);
    check("caller.role in ['staff', 'place']", false);
    check("'clinician' == caller.role", true);
    check("dnis.startsWith('+1555') && dnis.endsWith(\"00\")", true);
    check("dnis.contains('999')", false);
    check("size(digits) == 4 && digits.size() < 5", true);
    check(
        "attempts >= 2 && attempts <= 2 && attempts > 1 && attempts < 3",
        true,
    );
    check("attempts in [1, 3]", false);
    check("attempts == -1", false);
    check("attempts + 3 - 1 == 4 && -attempts < 0 - 1", true);
    check("ani_withheld ? has_ticket : caller.known", true);
    check("caller.known == has_ticket", false);
    check("caller.stated == ''", true);
    check("caller.level >= 1 && caller.level < 2", true);
    check("caller.key == 'S-17'", true);
    check("(((caller.known)))", true);
    check("!!caller.known", true);
    check(
        "hospital == 'st-marys' && hospital != 'x-y-z-a-b-c-d'",
        true,
    );
}

#[test]
fn faulty_conditions() {
    let check = |source: &str, expected: &str| {
        let fault = Condition::parse(source, &[]).expect_err(source);
        assert!(
            fault.message.starts_with(expected),
            "{source}: {}",
            fault.message
        );
    };
    check("", "the expression is empty");
    check("caller.role ==", "the expression can't be read");
    check("caller.role = 'staff'", "the expression can't be read");
    check("caller.rol == 'staff'", "there is no variable `caller.rol`");
    check("foo", "there is no variable `foo`");
    check("caller.role == 'clinican'", "there is no role \"clinican\"");
    check("caller.role in ['doctor']", "there is no role \"doctor\"");
    check("caller.role", "a text stands where a yes-or-no");
    check("attempts", "a number stands where a yes-or-no");
    check(
        "caller.known == 'true'",
        "a yes-or-no is compared with a text",
    );
    check("digits < 'b'", "only numbers are larger");
    check("digits + '1' == '11'", "only numbers are added");
    check("attempts / 0 == 1", "only + and - are calculated");
    check("-digits == 1", "only numbers have a minus");
    check("[1, 2].exists(x, x == attempts)", "macros");
    check("has(caller.role)", "only variables have parts");
    check("digits.matches('a*')", "`matches` isn't known");
    check("{'a': 1}", "maps aren't allowed");
    check("caller['role'] == 'staff'", "`[");
    check("digits == 1.5", "only texts, whole numbers");
    check("caller.language == 'english'", "\"english\" is no language");
    check("digits in digits", "`in` needs a list");
    check(
        "attempts == 99999999999999999999",
        "the expression can't be read",
    );
    check(&"(".repeat(100), "the expression is nested too deeply");
    check(&"true && ".repeat(49), "the expression can't be read");
    check(
        &format!("{}true", "true && ".repeat(48)),
        "the expression has more than 64 parts",
    );
    check(&"a".repeat(500), "the expression is longer");
}

#[test]
fn what_is_unknown_leaves_a_condition_open_only_where_it_matters() {
    let check = |source: &str, expected: Option<bool>| {
        let facts = Known {
            role: Some("patient"),
            known: Some(true),
            ..Known::default()
        };
        assert_eq!(
            Condition::parse(source, &[]).unwrap().holds(&facts),
            expected,
            "{source}"
        );
    };
    check("caller.role == 'patient'", Some(true));
    check("ani_withheld", None);
    check("ani_withheld || caller.known", Some(true));
    check("ani_withheld && caller.role == 'staff'", Some(false));
    check("!(ani_withheld && caller.known)", None);
    check(
        "ani_withheld ? caller.known : caller.role == 'patient'",
        Some(true),
    );
    check("ani_withheld ? caller.known : caller.role == 'staff'", None);
}

fn arb_condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("caller.known".to_owned()),
        Just("caller.relay || caller.slow".to_owned()),
        "(es|en|)".prop_map(|language| format!("caller.language == '{language}'")),
        Just("ani_withheld".to_owned()),
        Just("has_ticket".to_owned()),
        Just("true".to_owned()),
        "(clinician|staff|patient|place|unknown)"
            .prop_map(|role| format!("caller.role == '{role}'")),
        "(staff|patient)".prop_map(|role| format!("caller.role in ['{role}', 'place']")),
        "[0-9]{0,4}".prop_map(|digits| format!("digits == '{digits}'")),
        "[0-9]{1,2}".prop_map(|digits| format!("digits.startsWith('{digits}')")),
        (0_i64..5).prop_map(|n| format!("attempts < {n}")),
        (0_i64..5).prop_map(|n| format!("size(digits) >= {n}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
    .prop_filter("short enough", |source| source.len() <= SOURCE_BYTES_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn our_evaluation_is_the_interpreters(
        source in arb_condition(),
        role in 0_usize..5,
        known in any::<bool>(),
        ani_withheld in any::<bool>(),
        has_ticket in any::<bool>(),
        digits in "[0-9]{0,5}",
        attempts in 0_i64..5,
    ) {
        let facts = Known {
            role: Some(Role::ALL[role].word()),
            stated: Some(""),
            known: Some(known),
            language: Some(if known { "es" } else { "" }),
            slow: Some(known),
            relay: Some(known && role == 2),
            dnis: Some("1000"),
            ani_withheld: Some(ani_withheld),
            hospital: Some("st-marys"),
            digits: Some(&digits),
            attempts: Some(attempts),
            level: Some(attempts % 4),
            key: Some(&digits),
            has_ticket: Some(has_ticket),
            vars: None,
        };
        let ours = Condition::parse(&source, &[]).ok().and_then(|condition| condition.holds(&facts));
        // Only the bound on parts may refuse what the generator makes.
        if let Some(ours) = ours {
            prop_assert_eq!(Some(ours), interpreted(&source, &facts), "{}", source);
            // Whatever is decided with less known stays decided so.
            let less = Known { digits: None, ani_withheld: None, attempts: None, has_ticket: None, ..facts };
            let early = Condition::parse(&source, &[]).ok().and_then(|condition| condition.holds(&less));
            prop_assert!(early.is_none() || early == Some(ours), "{}", source);
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(source in "[a-z.()\\[\\]{}!&|=<>?:'\"\\\\0-9 +*/%,`@#-]{0,80}") {
        let _ = Condition::parse(&source, &[]);
    }

    #[test]
    fn any_unicode_is_taken_or_refused(source in "\\PC{0,40}") {
        let _ = Condition::parse(&source, &[]);
    }
}

fn variables() -> Vec<(String, ValKind)> {
    vec![
        ("urgent".to_owned(), ValKind::Truth),
        ("app".to_owned(), ValKind::Text),
        ("times".to_owned(), ValKind::Number),
    ]
}

#[test]
fn a_flows_own_variables() {
    let values = [
        Val::Truth(true),
        Val::Text("records".into()),
        Val::Number(3),
    ];
    let check = |source: &str, expected: Option<Val>| {
        let facts = Known {
            vars: Some(&values),
            ..known()
        };
        let expression =
            Expression::parse(source, &variables()).unwrap_or_else(|f| panic!("{source}: {f:?}"));
        assert_eq!(expression.value(&facts), expected, "{source}");
        assert_eq!(expression.value(&Known::default()), None, "{source}");
    };
    check("vars.urgent && vars.times > 2", Some(Val::Truth(true)));
    check(
        "vars.app == 'records' ? vars.urgent : has_ticket",
        Some(Val::Truth(true)),
    );
    check("vars.times + 1", Some(Val::Number(4)));
    check("vars.times - size(vars.app) - 1", Some(Val::Number(-5)));
    check("vars.app", Some(Val::Text("records".into())));
    check(
        "9223372036854775807 + vars.times",
        Some(Val::Number(i64::MAX)),
    );
    check(
        "-9223372036854775807 - vars.times",
        Some(Val::Number(i64::MIN)),
    );
    let fault = Expression::parse("vars.time + 1", &variables()).unwrap_err();
    assert_eq!(fault.message, "there is no variable `vars.time`");
    let fault = Condition::parse("vars.times", &variables()).unwrap_err();
    assert_eq!(fault.message, "a number stands where a yes-or-no is needed");
}

/// What was written to cost much: each is refused, or taken and cheap, within
/// what a busy machine needs for a thousandth of a call.
#[test]
fn hostile_expressions_cost_little() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let hostile = [
        nested("(", "true", ")", 190),
        nested("[", "1", "]", 190),
        nested("!", "true", "", 390),
        nested("-", "1 == 1", "", 390),
        nested("size(", "digits", ")", 60),
        nested("digits.contains(", "digits", ")", 24),
        nested("true ? (", "true", ") : false", 24),
        "true ? ".repeat(57),
        "{".repeat(400),
        "\"".repeat(399),
        "'\\".repeat(199),
        "r'''".repeat(99),
        "true&&".repeat(66),
        "true||false&&".repeat(30),
        "a.".repeat(199),
        "digits.contains('').size().".repeat(14),
        "[1,2,3].map(x, [1,2,3].map(y, [1,2,3].map(z, x * y * z)))".to_owned(),
        "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, true))".to_owned(),
        "digits.matches('(a+)+$')".to_owned(),
        "'aaaaaaaaaaaaaaaaaaaaaaaa'.contains('aaaaaaaaaaaaaaaaaaaab')".to_owned(),
        format!("attempts in [{}1]", "1,".repeat(190)),
        format!("digits in ['{}']", "a".repeat(380)),
        format!("attempts{}", "+attempts".repeat(40)),
        "9".repeat(400),
        "\u{0}\u{1}\u{fffd}".repeat(80),
        "// ".repeat(133),
        "dnis == \"\\x\"".to_owned(),
        "{'a': {'a': {'a': {'a': 1}}}}.a.a.a.a == 1".to_owned(),
        "optional.none() == optional.of(1)".to_owned(),
    ];
    for source in hostile {
        assert!(source.len() <= 4 * SOURCE_BYTES_MAX);
        if let Ok(expression) = Expression::parse(&source, &variables()) {
            // What is taken is a tree of bounded size, walked once.
            assert!(
                format!("{expression:?}").len() < 64 * 1024,
                "{source}: the tree is large"
            );
            let _ = expression.value(&known());
        }
    }
}

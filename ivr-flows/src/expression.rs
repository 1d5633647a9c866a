//! Conditions of branches: a bounded, typed part of CEL.
//!
//! The `cel` crate parses, so the grammar is CEL's. What it parsed is then
//! lowered to a small typed tree that this module evaluates itself, for three
//! reasons: a condition that passed the check can't fail in a call (no missing
//! key, no wrong type, no overflow); it can be evaluated with some facts
//! unknown, which is how the checker follows every path; and it costs well
//! under a microsecond and no allocation, where the general interpreter needs
//! 4 µs for a short condition and 190 µs for the context of a call (measured
//! with cel 0.15). A test holds this evaluation against the crate's own.
//!
//! Taken: the variables below, text, whole-number, boolean and list literals,
//! `== != < <= > >= in && || ! ?:`, `size(text)`, `startsWith`, `endsWith`,
//! `contains`. Left out: macros, arithmetic, maps, regular expressions.

use cel::common::ast::{CallExpr, Expr as Ast, LiteralValue, operators};
use cel::{IdedExpr, parser::Parser};

use crate::Role;

/// Longest expression, in bytes.
pub(crate) const SOURCE_BYTES_MAX: usize = 400;
/// Deepest nesting.
const DEPTH_MAX: usize = 16;
/// Most parts, list elements included.
const PARTS_MAX: usize = 64;

/// What a condition can ask about; `None`: not known (to the checker).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    pub(crate) role: Option<&'a str>,
    pub(crate) stated: Option<&'a str>,
    pub(crate) known: Option<bool>,
    pub(crate) dnis: Option<&'a str>,
    pub(crate) ani_withheld: Option<bool>,
    pub(crate) hospital: Option<&'a str>,
    pub(crate) digits: Option<&'a str>,
    pub(crate) attempts: Option<i64>,
    pub(crate) has_ticket: Option<bool>,
}

/// The variables, as an administrator writes them.
const VARIABLES: [(&str, Variable); 9] = [
    ("caller.role", Variable::Text(TextVariable::Role)),
    ("caller.stated", Variable::Text(TextVariable::Stated)),
    ("caller.known", Variable::Truth(TruthVariable::Known)),
    ("dnis", Variable::Text(TextVariable::Dnis)),
    ("ani_withheld", Variable::Truth(TruthVariable::AniWithheld)),
    ("hospital", Variable::Text(TextVariable::Hospital)),
    ("digits", Variable::Text(TextVariable::Digits)),
    ("attempts", Variable::Attempts),
    ("has_ticket", Variable::Truth(TruthVariable::HasTicket)),
];

#[derive(Debug, Clone, Copy)]
enum Variable {
    Text(TextVariable),
    Truth(TruthVariable),
    Attempts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextVariable {
    Role,
    Stated,
    Dnis,
    Hospital,
    Digits,
}

#[derive(Debug, Clone, Copy)]
enum TruthVariable {
    Known,
    AniWithheld,
    HasTicket,
}

/// A condition that passed the check.
#[derive(Debug, Clone)]
pub(crate) struct Condition(Truth);

/// An expression of type bool.
#[derive(Debug, Clone)]
enum Truth {
    Literal(bool),
    Variable(TruthVariable),
    Not(Box<Truth>),
    And(Box<Truth>, Box<Truth>),
    Or(Box<Truth>, Box<Truth>),
    If(Box<Truth>, Box<Truth>, Box<Truth>),
    Same(Box<Truth>, Box<Truth>),
    Words(WordTest, Words, Words),
    WordIn(Words, Box<[Box<str>]>),
    Numbers(NumberTest, Number, Number),
    NumberIn(Number, Box<[i64]>),
}

/// An expression of type string.
#[derive(Debug, Clone)]
enum Words {
    Literal(Box<str>),
    Variable(TextVariable),
}

/// An expression of type int.
#[derive(Debug, Clone)]
enum Number {
    Literal(i64),
    Attempts,
    Size(Words),
}

#[derive(Debug, Clone, Copy)]
enum WordTest {
    Same,
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy)]
enum NumberTest {
    Same,
    Less,
    LessOrSame,
}

/// What is wrong with an expression: the fault and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExpressionFault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

type Lowered<T> = Result<T, ExpressionFault>;

fn fault<T>(message: impl Into<String>) -> Lowered<T> {
    Err(ExpressionFault {
        message: message.into(),
        help: None,
    })
}

fn fault_with<T>(message: impl Into<String>, help: impl Into<String>) -> Lowered<T> {
    Err(ExpressionFault {
        message: message.into(),
        help: Some(help.into()),
    })
}

impl Condition {
    /// Parses and type-checks.
    pub(crate) fn parse(source: &str) -> Result<Condition, ExpressionFault> {
        bounded(source)?;
        let tree = Parser::new()
            .max_recursion_depth(48)
            .error_recovery_limit(4)
            .parse(source)
            .map_err(|errors| ExpressionFault {
                message: format!(
                    "the condition can't be read: {}",
                    errors.errors.first().map_or_else(
                        || "unknown fault".to_owned(),
                        |error| first_line(&error.msg)
                    )
                ),
                help: Some("For example: caller.role == \"clinician\" && !ani_withheld".to_owned()),
            })?;
        let mut lowering = Lowering { parts: 0 };
        lowering.truth(&tree, 0).map(Condition)
    }

    /// Whether it holds; `None` when that hangs on something unknown.
    pub(crate) fn holds(&self, known: &Known<'_>) -> Option<bool> {
        self.0.eval(known)
    }
}

fn first_line(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect()
}

/// What is checked before the parser sees it: its cost grows with size and
/// nesting, so both are bounded here.
fn bounded(source: &str) -> Lowered<()> {
    if source.trim().is_empty() {
        return fault("the condition is empty");
    }
    if source.len() > SOURCE_BYTES_MAX {
        return fault_with(
            format!("the condition is longer than {SOURCE_BYTES_MAX} bytes"),
            "Split it over several branch nodes.",
        );
    }
    let mut depth = 0_usize;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 2 * DEPTH_MAX {
            return fault("the condition is nested too deeply");
        }
    }
    Ok(())
}

struct Lowering {
    parts: usize,
}

/// An operand before it is known which side decides the type.
enum Operand {
    Truth(Truth),
    Words(Words),
    Number(Number),
}

impl Operand {
    fn kind(&self) -> &'static str {
        match self {
            Operand::Truth(_) => "a yes-or-no",
            Operand::Words(_) => "a text",
            Operand::Number(_) => "a number",
        }
    }
}

impl Lowering {
    fn count(&mut self, depth: usize) -> Lowered<()> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return fault_with(
                format!("the condition has more than {PARTS_MAX} parts"),
                "Split it over several branch nodes.",
            );
        }
        if depth > DEPTH_MAX {
            return fault("the condition is nested too deeply");
        }
        Ok(())
    }

    fn truth(&mut self, tree: &IdedExpr, depth: usize) -> Lowered<Truth> {
        match self.operand(tree, depth)? {
            Operand::Truth(truth) => Ok(truth),
            other => fault_with(
                format!("{} stands where a yes-or-no is needed", other.kind()),
                "Compare it with something: digits == \"1234\"",
            ),
        }
    }

    fn words(&mut self, tree: &IdedExpr, depth: usize) -> Lowered<Words> {
        match self.operand(tree, depth)? {
            Operand::Words(words) => Ok(words),
            other => fault(format!("{} stands where a text is needed", other.kind())),
        }
    }

    fn operand(&mut self, tree: &IdedExpr, depth: usize) -> Lowered<Operand> {
        self.count(depth)?;
        match &tree.expr {
            Ast::Literal(LiteralValue::Boolean(value)) => {
                Ok(Operand::Truth(Truth::Literal(*value.inner())))
            }
            Ast::Literal(LiteralValue::Int(value)) => {
                Ok(Operand::Number(Number::Literal(*value.inner())))
            }
            Ast::Literal(LiteralValue::String(value)) => {
                Ok(Operand::Words(Words::Literal(value.inner().into())))
            }
            Ast::Ident(_) | Ast::Select(_) => self.variable(tree),
            Ast::Call(call) => self.call(call, depth + 1),
            Ast::List(_) => fault_with(
                "a list may only stand after `in`",
                "For example: caller.role in [\"clinician\", \"place\"]",
            ),
            Ast::Comprehension(_) => {
                fault("macros (has, all, exists, map, filter) aren't allowed in conditions")
            }
            Ast::Map(_) | Ast::Struct(_) => fault("maps aren't allowed in conditions"),
            Ast::Literal(_) | Ast::Unspecified => {
                fault("only texts, whole numbers, true and false can be compared with")
            }
        }
    }

    fn variable(&mut self, tree: &IdedExpr) -> Lowered<Operand> {
        let mut name = String::new();
        spell(tree, &mut name)?;
        let found = VARIABLES.iter().find(|(word, _)| *word == name);
        match found {
            Some((_, Variable::Text(variable))) => Ok(Operand::Words(Words::Variable(*variable))),
            Some((_, Variable::Truth(variable))) => Ok(Operand::Truth(Truth::Variable(*variable))),
            Some((_, Variable::Attempts)) => Ok(Operand::Number(Number::Attempts)),
            None => fault_with(
                format!("there is no variable `{name}`"),
                format!("There are {}.", VARIABLES.map(|(word, _)| word).join(", ")),
            ),
        }
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Lowered<Operand> {
        let truth = |truth| Ok(Operand::Truth(truth));
        match (call.func_name.as_str(), &call.target, &call.args[..]) {
            (operators::LOGICAL_NOT, None, [a]) => truth(Truth::Not(self.truth(a, depth)?.into())),
            (operators::LOGICAL_AND, None, [a, b]) => truth(Truth::And(
                self.truth(a, depth)?.into(),
                self.truth(b, depth)?.into(),
            )),
            (operators::LOGICAL_OR, None, [a, b]) => truth(Truth::Or(
                self.truth(a, depth)?.into(),
                self.truth(b, depth)?.into(),
            )),
            (operators::CONDITIONAL, None, [a, b, c]) => truth(Truth::If(
                self.truth(a, depth)?.into(),
                self.truth(b, depth)?.into(),
                self.truth(c, depth)?.into(),
            )),
            (operators::EQUALS, None, [a, b]) => truth(self.same(a, b, depth)?),
            (operators::NOT_EQUALS, None, [a, b]) => {
                truth(Truth::Not(self.same(a, b, depth)?.into()))
            }
            (operators::LESS, None, [a, b]) => truth(self.order(NumberTest::Less, a, b, depth)?),
            (operators::GREATER, None, [a, b]) => {
                truth(self.order(NumberTest::Less, b, a, depth)?)
            }
            (operators::LESS_EQUALS, None, [a, b]) => {
                truth(self.order(NumberTest::LessOrSame, a, b, depth)?)
            }
            (operators::GREATER_EQUALS, None, [a, b]) => {
                truth(self.order(NumberTest::LessOrSame, b, a, depth)?)
            }
            (operators::IN, None, [item, list]) => truth(self.one_of(item, list, depth)?),
            ("size", None, [a]) => Ok(Operand::Number(Number::Size(self.words(a, depth)?))),
            ("size", Some(a), []) => Ok(Operand::Number(Number::Size(self.words(a, depth)?))),
            (name @ ("startsWith" | "endsWith" | "contains"), Some(a), [b]) => {
                let test = match name {
                    "startsWith" => WordTest::StartsWith,
                    "endsWith" => WordTest::EndsWith,
                    _ => WordTest::Contains,
                };
                truth(Truth::Words(
                    test,
                    self.words(a, depth)?,
                    self.words(b, depth)?,
                ))
            }
            (operators::NEGATE, None, [a]) => match self.operand(a, depth)? {
                Operand::Number(Number::Literal(value)) => {
                    Ok(Operand::Number(Number::Literal(value.saturating_neg())))
                }
                _ => fault("calculating isn't possible in conditions"),
            },
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                ..,
            ) => fault("calculating isn't possible in conditions"),
            (name, ..) => fault_with(
                format!("`{}` isn't known in conditions", name.trim_matches('_')),
                "There are == != < <= > >= in && || ! ?: size() startsWith() endsWith() contains().",
            ),
        }
    }

    fn same(&mut self, a: &IdedExpr, b: &IdedExpr, depth: usize) -> Lowered<Truth> {
        match (self.operand(a, depth)?, self.operand(b, depth)?) {
            (Operand::Words(a), Operand::Words(b)) => {
                role_word(&a, &b)?;
                role_word(&b, &a)?;
                Ok(Truth::Words(WordTest::Same, a, b))
            }
            (Operand::Number(a), Operand::Number(b)) => Ok(Truth::Numbers(NumberTest::Same, a, b)),
            (Operand::Truth(a), Operand::Truth(b)) => Ok(Truth::Same(a.into(), b.into())),
            (a, b) => fault(format!("{} is compared with {}", a.kind(), b.kind())),
        }
    }

    fn order(
        &mut self,
        test: NumberTest,
        a: &IdedExpr,
        b: &IdedExpr,
        depth: usize,
    ) -> Lowered<Truth> {
        match (self.operand(a, depth)?, self.operand(b, depth)?) {
            (Operand::Number(a), Operand::Number(b)) => Ok(Truth::Numbers(test, a, b)),
            _ => fault("only numbers are larger or smaller than one another"),
        }
    }

    fn one_of(&mut self, item: &IdedExpr, list: &IdedExpr, depth: usize) -> Lowered<Truth> {
        let Ast::List(list) = &list.expr else {
            return fault_with(
                "`in` needs a list after it",
                "For example: caller.role in [\"clinician\", \"place\"]",
            );
        };
        if !list.optional_indices.is_empty() {
            return fault("optional list elements aren't allowed in conditions");
        }
        match self.operand(item, depth)? {
            Operand::Words(item) => {
                let mut items = Vec::new();
                for element in &list.elements {
                    match self.words(element, depth)? {
                        Words::Literal(word) => {
                            role_word(&item, &Words::Literal(word.clone()))?;
                            items.push(word);
                        }
                        Words::Variable(_) => {
                            return fault("a list after `in` holds literals only");
                        }
                    }
                }
                Ok(Truth::WordIn(item, items.into()))
            }
            Operand::Number(item) => {
                let mut items = Vec::new();
                for element in &list.elements {
                    match self.operand(element, depth)? {
                        Operand::Number(Number::Literal(number)) => items.push(number),
                        _ => return fault("this list after `in` must hold numbers only"),
                    }
                }
                Ok(Truth::NumberIn(item, items.into()))
            }
            Operand::Truth(_) => fault("a yes-or-no can't be looked for in a list"),
        }
    }
}

/// A misspelt role would be a condition that silently never holds.
fn role_word(variable: &Words, literal: &Words) -> Lowered<()> {
    let (Words::Variable(variable), Words::Literal(word)) = (variable, literal) else {
        return Ok(());
    };
    let fits = match variable {
        TextVariable::Role => Role::from_word(word).is_some(),
        TextVariable::Stated => word.is_empty() || Role::from_word(word).is_some(),
        TextVariable::Dnis | TextVariable::Hospital | TextVariable::Digits => true,
    };
    if fits {
        Ok(())
    } else {
        fault_with(
            format!("there is no role \"{word}\""),
            format!("There are {}.", Role::ALL.map(Role::word).join(", ")),
        )
    }
}

/// The dotted name an identifier or selection spells.
fn spell(tree: &IdedExpr, name: &mut String) -> Lowered<()> {
    match &tree.expr {
        Ast::Ident(word) => {
            name.push_str(word);
            Ok(())
        }
        Ast::Select(select) if !select.test => {
            spell(&select.operand, name)?;
            name.push('.');
            name.push_str(&select.field);
            Ok(())
        }
        _ => fault("only variables have parts (caller.role)"),
    }
}

impl Truth {
    fn eval(&self, known: &Known<'_>) -> Option<bool> {
        match self {
            Truth::Literal(value) => Some(*value),
            Truth::Variable(TruthVariable::Known) => known.known,
            Truth::Variable(TruthVariable::AniWithheld) => known.ani_withheld,
            Truth::Variable(TruthVariable::HasTicket) => known.has_ticket,
            Truth::Not(a) => a.eval(known).map(|a| !a),
            Truth::And(a, b) => match a.eval(known) {
                Some(false) => Some(false),
                Some(true) => b.eval(known),
                None => b.eval(known).filter(|b| !b),
            },
            Truth::Or(a, b) => match a.eval(known) {
                Some(true) => Some(true),
                Some(false) => b.eval(known),
                None => b.eval(known).filter(|b| *b),
            },
            Truth::If(a, b, c) => match a.eval(known) {
                Some(true) => b.eval(known),
                Some(false) => c.eval(known),
                None => {
                    let b = b.eval(known)?;
                    (c.eval(known)? == b).then_some(b)
                }
            },
            Truth::Same(a, b) => Some(a.eval(known)? == b.eval(known)?),
            Truth::Words(test, a, b) => {
                let (a, b) = (a.eval(known)?, b.eval(known)?);
                Some(match test {
                    WordTest::Same => a == b,
                    WordTest::StartsWith => a.starts_with(b),
                    WordTest::EndsWith => a.ends_with(b),
                    WordTest::Contains => a.contains(b),
                })
            }
            Truth::WordIn(item, list) => {
                let item = item.eval(known)?;
                Some(list.iter().any(|word| **word == *item))
            }
            Truth::Numbers(test, a, b) => {
                let (a, b) = (a.eval(known)?, b.eval(known)?);
                Some(match test {
                    NumberTest::Same => a == b,
                    NumberTest::Less => a < b,
                    NumberTest::LessOrSame => a <= b,
                })
            }
            Truth::NumberIn(item, list) => Some(list.contains(&item.eval(known)?)),
        }
    }
}

impl Words {
    fn eval<'a>(&'a self, known: &Known<'a>) -> Option<&'a str> {
        match self {
            Words::Literal(word) => Some(word),
            Words::Variable(TextVariable::Role) => known.role,
            Words::Variable(TextVariable::Stated) => known.stated,
            Words::Variable(TextVariable::Dnis) => known.dnis,
            Words::Variable(TextVariable::Hospital) => known.hospital,
            Words::Variable(TextVariable::Digits) => known.digits,
        }
    }
}

impl Number {
    fn eval(&self, known: &Known<'_>) -> Option<i64> {
        match self {
            Number::Literal(value) => Some(*value),
            Number::Attempts => known.attempts,
            Number::Size(words) => i64::try_from(words.eval(known)?.chars().count()).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use cel::{Context, Program, Value};
    use proptest::prelude::*;

    use super::*;

    fn known() -> Known<'static> {
        Known {
            role: Some("clinician"),
            stated: Some(""),
            known: Some(true),
            dnis: Some("+15550100"),
            ani_withheld: Some(false),
            hospital: Some("st-marys"),
            digits: Some("4719"),
            attempts: Some(2),
            has_ticket: Some(false),
        }
    }

    /// The crate's own interpreter on the same facts.
    fn interpreted(source: &str, known: &Known<'_>) -> Option<bool> {
        let mut context = Context::default();
        let caller: HashMap<String, Value> = HashMap::from([
            ("role".to_owned(), known.role?.into()),
            ("stated".to_owned(), known.stated?.into()),
            ("known".to_owned(), known.known?.into()),
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
                Condition::parse(source).unwrap_or_else(|fault| panic!("{source}: {fault:?}"));
            assert_eq!(condition.holds(&known()), Some(expected), "{source}");
            assert_eq!(
                interpreted(source, &known()),
                Some(expected),
                "{source}, interpreted"
            );
        };
        check("true", true);
        check("caller.known", true);
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
        check("ani_withheld ? has_ticket : caller.known", true);
        check("caller.known == has_ticket", false);
        check("caller.stated == ''", true);
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
            let fault = Condition::parse(source).expect_err(source);
            assert!(
                fault.message.starts_with(expected),
                "{source}: {}",
                fault.message
            );
        };
        check("", "the condition is empty");
        check("caller.role ==", "the condition can't be read");
        check("caller.role = 'staff'", "the condition can't be read");
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
        check("digits + '1' == '11'", "calculating isn't possible");
        check("attempts / 0 == 1", "calculating isn't possible");
        check("[1, 2].exists(x, x == attempts)", "macros");
        check("has(caller.role)", "only variables have parts");
        check("digits.matches('a*')", "`matches` isn't known");
        check("{'a': 1}", "maps aren't allowed");
        check("caller['role'] == 'staff'", "`[");
        check("digits == 1.5", "only texts, whole numbers");
        check("digits in digits", "`in` needs a list");
        check(
            "attempts == 99999999999999999999",
            "the condition can't be read",
        );
        check(&"(".repeat(100), "the condition is nested too deeply");
        check(&"true && ".repeat(49), "the condition can't be read");
        check(
            &format!("{}true", "true && ".repeat(48)),
            "the condition has more than 64 parts",
        );
        check(&"a".repeat(500), "the condition is longer");
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
                Condition::parse(source).unwrap().holds(&facts),
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
                dnis: Some("1000"),
                ani_withheld: Some(ani_withheld),
                hospital: Some("st-marys"),
                digits: Some(&digits),
                attempts: Some(attempts),
                has_ticket: Some(has_ticket),
            };
            let ours = Condition::parse(&source).ok().and_then(|condition| condition.holds(&facts));
            // Only the bound on parts may refuse what the generator makes.
            if let Some(ours) = ours {
                prop_assert_eq!(Some(ours), interpreted(&source, &facts), "{}", source);
                // Whatever is decided with less known stays decided so.
                let less = Known { digits: None, ani_withheld: None, attempts: None, has_ticket: None, ..facts };
                let early = Condition::parse(&source).ok().and_then(|condition| condition.holds(&less));
                prop_assert!(early.is_none() || early == Some(ours), "{}", source);
            }
        }

        #[test]
        fn any_text_is_taken_or_refused(source in "[a-z.()\\[\\]{}!&|=<>?:'\"\\\\0-9 +*/%,`@#-]{0,80}") {
            let _ = Condition::parse(&source);
        }

        #[test]
        fn any_unicode_is_taken_or_refused(source in "\\PC{0,40}") {
            let _ = Condition::parse(&source);
        }
    }
}

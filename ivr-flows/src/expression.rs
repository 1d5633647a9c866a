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
//! Taken: the variables below, the flow's own as `vars.NAME`, text, whole-number, boolean and list literals,
//! `== != < <= > >= in && || ! ?:`, `size(text)`, `startsWith`, `endsWith`,
//! `contains`, and `+` and `-` on numbers, which stop at the largest number
//! where CEL would fail. Left out: macros, other arithmetic, maps, regular
//! expressions. Every step is counted when it is checked, so that nothing can
//! cost more in a call than its bounded size.

mod lower;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use cel::{IdedExpr, parser::Parser};

use lower::{Lowering, Operand};

pub(crate) use crate::fields::Val;

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
    pub(crate) language: Option<&'a str>,
    pub(crate) slow: Option<bool>,
    pub(crate) relay: Option<bool>,
    pub(crate) dnis: Option<&'a str>,
    pub(crate) ani_withheld: Option<bool>,
    pub(crate) hospital: Option<&'a str>,
    pub(crate) digits: Option<&'a str>,
    pub(crate) attempts: Option<i64>,
    pub(crate) has_ticket: Option<bool>,
    pub(crate) level: Option<i64>,
    pub(crate) key: Option<&'a str>,
    /// The flow's own.
    pub(crate) vars: Option<&'a [Val]>,
}

/// What a variable of a flow may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValKind {
    Truth,
    Text,
    Number,
}

impl ValKind {
    /// The words by which variables are declared.
    pub(crate) const WORDS: [(&'static str, ValKind); 3] = [
        ("yes-or-no", ValKind::Truth),
        ("text", ValKind::Text),
        ("number", ValKind::Number),
    ];

    /// What a variable begins with.
    pub(crate) fn start(self) -> Val {
        match self {
            ValKind::Truth => Val::Truth(false),
            ValKind::Text => Val::Text(Arc::from("")),
            ValKind::Number => Val::Number(0),
        }
    }

    /// As somebody might write one.
    pub(crate) fn example(self) -> &'static str {
        match self {
            ValKind::Truth => "true",
            ValKind::Text => "words",
            ValKind::Number => "3",
        }
    }

    /// In the words of the messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            ValKind::Truth => "a yes-or-no",
            ValKind::Text => "a text",
            ValKind::Number => "a number",
        }
    }
}

/// A flow's own variables by name, each with its place.
pub(crate) type Variables = [(String, ValKind)];

/// The variables, as an administrator writes them.
const VARIABLES: [(&str, Variable); 14] = [
    ("caller.role", Variable::Text(TextVariable::Role)),
    ("caller.stated", Variable::Text(TextVariable::Stated)),
    ("caller.known", Variable::Truth(TruthVariable::Known)),
    ("caller.language", Variable::Text(TextVariable::Language)),
    ("caller.slow", Variable::Truth(TruthVariable::Slow)),
    ("caller.relay", Variable::Truth(TruthVariable::Relay)),
    ("dnis", Variable::Text(TextVariable::Dnis)),
    ("ani_withheld", Variable::Truth(TruthVariable::AniWithheld)),
    ("hospital", Variable::Text(TextVariable::Hospital)),
    ("digits", Variable::Text(TextVariable::Digits)),
    ("caller.level", Variable::Level),
    ("caller.key", Variable::Text(TextVariable::Key)),
    ("attempts", Variable::Attempts),
    ("has_ticket", Variable::Truth(TruthVariable::HasTicket)),
];

#[derive(Debug, Clone, Copy)]
enum Variable {
    Text(TextVariable),
    Truth(TruthVariable),
    Attempts,
    Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextVariable {
    Role,
    Stated,
    Language,
    Dnis,
    Hospital,
    Digits,
    Key,
    /// The flow's own.
    Slot(u16),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TruthVariable {
    Known,
    Slow,
    Relay,
    AniWithheld,
    HasTicket,
    /// The flow's own.
    Slot(u16),
}

/// Something of a known type that passed the check: what a variable is set to.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    Truth(Truth),
    Words(Words),
    Number(Number),
}

/// A condition that passed the check.
#[derive(Debug, Clone)]
pub(crate) struct Condition(Truth);

/// An expression of type bool.
#[derive(Debug, Clone)]
pub(crate) enum Truth {
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
pub(crate) enum Words {
    Literal(Box<str>),
    Variable(TextVariable),
}

/// An expression of type int.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    Literal(i64),
    Attempts,
    Level,
    Slot(u16),
    Size(Words),
    Sum(Box<Number>, Box<Number>),
    Difference(Box<Number>, Box<Number>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum WordTest {
    Same,
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum NumberTest {
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
    /// Parses and type-checks. `variables`: the flow's own.
    pub(crate) fn parse(source: &str, variables: &Variables) -> Result<Condition, ExpressionFault> {
        let tree = parsed(source)?;
        Lowering {
            parts: 0,
            variables,
        }
        .truth(&tree, 0)
        .map(Condition)
    }

    /// Whether it holds; `None` when that hangs on something unknown.
    pub(crate) fn holds(&self, known: &Known<'_>) -> Option<bool> {
        self.0.eval(known)
    }
}

impl Expression {
    /// Parses and type-checks. `variables`: the flow's own.
    pub(crate) fn parse(
        source: &str,
        variables: &Variables,
    ) -> Result<Expression, ExpressionFault> {
        let tree = parsed(source)?;
        let mut lowering = Lowering {
            parts: 0,
            variables,
        };
        Ok(match lowering.operand(&tree, 0)? {
            Operand::Truth(truth) => Expression::Truth(truth),
            Operand::Words(words) => Expression::Words(words),
            Operand::Number(number) => Expression::Number(number),
        })
    }

    /// What it gives.
    pub(crate) fn kind(&self) -> ValKind {
        match self {
            Expression::Truth(_) => ValKind::Truth,
            Expression::Words(_) => ValKind::Text,
            Expression::Number(_) => ValKind::Number,
        }
    }

    /// What it gives now; `None` when that hangs on something unknown.
    pub(crate) fn value(&self, known: &Known<'_>) -> Option<Val> {
        Some(match self {
            Expression::Truth(truth) => Val::Truth(truth.eval(known)?),
            Expression::Words(words) => Val::Text(Arc::from(words.eval(known)?)),
            Expression::Number(number) => Val::Number(number.eval(known)?),
        })
    }
}

fn parsed(source: &str) -> Lowered<IdedExpr> {
    bounded(source)?;
    Parser::new()
        .max_recursion_depth(48)
        .error_recovery_limit(4)
        .parse(source)
        .map_err(|errors| ExpressionFault {
            message: format!(
                "the expression can't be read: {}",
                errors.errors.first().map_or_else(
                    || "unknown fault".to_owned(),
                    |error| first_line(&error.msg)
                )
            ),
            help: Some("For example: caller.role == \"clinician\" && !ani_withheld".to_owned()),
        })
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
        return fault("the expression is empty");
    }
    if source.len() > SOURCE_BYTES_MAX {
        return fault_with(
            format!("the expression is longer than {SOURCE_BYTES_MAX} bytes"),
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
            return fault("the expression is nested too deeply");
        }
    }
    Ok(())
}

impl<'a> Known<'a> {
    fn slot(&self, slot: u16) -> Option<&'a Val> {
        self.vars?.get(usize::from(slot))
    }
}

impl Truth {
    fn eval(&self, known: &Known<'_>) -> Option<bool> {
        match self {
            Truth::Literal(value) => Some(*value),
            Truth::Variable(TruthVariable::Known) => known.known,
            Truth::Variable(TruthVariable::Slow) => known.slow,
            Truth::Variable(TruthVariable::Relay) => known.relay,
            Truth::Variable(TruthVariable::AniWithheld) => known.ani_withheld,
            Truth::Variable(TruthVariable::HasTicket) => known.has_ticket,
            Truth::Variable(TruthVariable::Slot(slot)) => match known.slot(*slot)? {
                Val::Truth(truth) => Some(*truth),
                _ => None,
            },
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
    pub(crate) fn eval<'a>(&'a self, known: &Known<'a>) -> Option<&'a str> {
        match self {
            Words::Literal(word) => Some(word),
            Words::Variable(TextVariable::Role) => known.role,
            Words::Variable(TextVariable::Stated) => known.stated,
            Words::Variable(TextVariable::Language) => known.language,
            Words::Variable(TextVariable::Dnis) => known.dnis,
            Words::Variable(TextVariable::Hospital) => known.hospital,
            Words::Variable(TextVariable::Digits) => known.digits,
            Words::Variable(TextVariable::Key) => known.key,
            Words::Variable(TextVariable::Slot(slot)) => match known.slot(*slot)? {
                Val::Text(text) => Some(text),
                _ => None,
            },
        }
    }
}

impl Number {
    fn eval(&self, known: &Known<'_>) -> Option<i64> {
        match self {
            Number::Literal(value) => Some(*value),
            Number::Attempts => known.attempts,
            Number::Level => known.level,
            Number::Slot(slot) => match known.slot(*slot)? {
                Val::Number(number) => Some(*number),
                _ => None,
            },
            Number::Sum(a, b) => Some(a.eval(known)?.saturating_add(b.eval(known)?)),
            Number::Difference(a, b) => Some(a.eval(known)?.saturating_sub(b.eval(known)?)),
            Number::Size(words) => i64::try_from(words.eval(known)?.chars().count()).ok(),
        }
    }
}

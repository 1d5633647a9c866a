//! CEL's tree to the typed one: everything an expression can get wrong.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr as Ast, LiteralValue, operators};

use super::{
    DEPTH_MAX, Lowered, Number, NumberTest, PARTS_MAX, TextVariable, Truth, TruthVariable,
    VARIABLES, ValKind, Variable, Variables, WordTest, Words, fault, fault_with,
};
use crate::{Language, Role};

/// One expression being lowered.
pub(super) struct Lowering<'v> {
    /// How many parts it has so far.
    pub(super) parts: usize,
    pub(super) variables: &'v Variables,
}

/// An operand before it is known which side decides the type.
pub(super) enum Operand {
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

impl Lowering<'_> {
    fn count(&mut self, depth: usize) -> Lowered<()> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return fault_with(
                format!("the expression has more than {PARTS_MAX} parts"),
                "Split it over several branch nodes.",
            );
        }
        if depth > DEPTH_MAX {
            return fault("the expression is nested too deeply");
        }
        Ok(())
    }

    pub(super) fn truth(&mut self, tree: &IdedExpr, depth: usize) -> Lowered<Truth> {
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

    pub(super) fn operand(&mut self, tree: &IdedExpr, depth: usize) -> Lowered<Operand> {
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
        if let Some(own) = name.strip_prefix("vars.") {
            let found = self
                .variables
                .iter()
                .zip(0..)
                .find(|((word, _), _)| word == own);
            return match found {
                Some(((_, ValKind::Truth), slot)) => {
                    Ok(Operand::Truth(Truth::Variable(TruthVariable::Slot(slot))))
                }
                Some(((_, ValKind::Text), slot)) => {
                    Ok(Operand::Words(Words::Variable(TextVariable::Slot(slot))))
                }
                Some(((_, ValKind::Number), slot)) => Ok(Operand::Number(Number::Slot(slot))),
                None => fault_with(
                    format!("there is no variable `{name}`"),
                    "The flow's own stand under `variables` and `inputs`.",
                ),
            };
        }
        let found = VARIABLES.iter().find(|(word, _)| *word == name);
        match found {
            Some((_, Variable::Text(variable))) => Ok(Operand::Words(Words::Variable(*variable))),
            Some((_, Variable::Truth(variable))) => Ok(Operand::Truth(Truth::Variable(*variable))),
            Some((_, Variable::Attempts)) => Ok(Operand::Number(Number::Attempts)),
            Some((_, Variable::Level)) => Ok(Operand::Number(Number::Level)),
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
                Operand::Number(number) => Ok(Operand::Number(Number::Difference(
                    Number::Literal(0).into(),
                    number.into(),
                ))),
                _ => fault("only numbers have a minus before them"),
            },
            (operators::ADD, None, [a, b]) => {
                let (a, b) = self.numbers(a, b, depth)?;
                Ok(Operand::Number(Number::Sum(a.into(), b.into())))
            }
            (operators::SUBSTRACT, None, [a, b]) => {
                let (a, b) = self.numbers(a, b, depth)?;
                Ok(Operand::Number(Number::Difference(a.into(), b.into())))
            }
            (operators::MULTIPLY | operators::DIVIDE | operators::MODULO, ..) => {
                fault("only + and - are calculated")
            }
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

    fn numbers(&mut self, a: &IdedExpr, b: &IdedExpr, depth: usize) -> Lowered<(Number, Number)> {
        match (self.operand(a, depth)?, self.operand(b, depth)?) {
            (Operand::Number(a), Operand::Number(b)) => Ok((a, b)),
            _ => fault("only numbers are added and subtracted"),
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
        TextVariable::Language if word.is_empty() || Language::from_tag(word).is_some() => true,
        TextVariable::Language => {
            return fault_with(
                format!("\"{word}\" is no language"),
                "Two small letters, e.g. caller.language == \"es\"; \"\" where none is known.",
            );
        }
        TextVariable::Dnis
        | TextVariable::Hospital
        | TextVariable::Digits
        | TextVariable::Key
        | TextVariable::Slot(_) => true,
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

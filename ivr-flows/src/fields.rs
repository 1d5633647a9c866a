//! What goes to an HTTP action and comes back from it: one flat object.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::expression::ValKind;

/// Longest text taken of an action's answer, in characters.
pub(crate) const SAVED_CHARS_MAX: usize = 200;

/// What a variable of a flow, or a field of an action, holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    /// A yes-or-no: JSON's `true` and `false`.
    Truth(bool),
    /// A text.
    Text(Arc<str>),
    /// A whole number.
    Number(i64),
}

impl Val {
    pub(crate) fn kind(&self) -> ValKind {
        match self {
            Val::Truth(_) => ValKind::Truth,
            Val::Text(_) => ValKind::Text,
            Val::Number(_) => ValKind::Number,
        }
    }

    /// Whether it may come from outside into a variable of this kind.
    pub(crate) fn may_be_saved_as(&self, kind: ValKind) -> bool {
        self.kind() == kind
            && match self {
                Val::Text(text) => {
                    text.chars().take(SAVED_CHARS_MAX + 1).count() <= SAVED_CHARS_MAX
                        && !text.chars().any(char::is_control)
                }
                Val::Truth(_) | Val::Number(_) => true,
            }
    }
}

/// Values by name. What callers keyed in may be among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<Arc<str>, Val>);

impl Fields {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Val> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Val)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl FromIterator<(Arc<str>, Val)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Val)>>(fields: I) -> Self {
        Fields(fields.into_iter().collect())
    }
}

/// The names alone: what is printed ends up in logs.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_short_and_printable() {
        let text = |text: &str| Val::Text(text.into()).may_be_saved_as(ValKind::Text);
        assert!(text("") && text("Ünïcode 47") && text(&"é".repeat(SAVED_CHARS_MAX)));
        assert!(!text(&"x".repeat(SAVED_CHARS_MAX + 1)));
        assert!(!text("bell \u{7}") && !text("two\nlines") && !text("\u{85}"));
        assert!(!Val::Number(1).may_be_saved_as(ValKind::Truth));
        assert!(!Val::Text("1".into()).may_be_saved_as(ValKind::Number));
    }

    #[test]
    fn values_are_not_printed() {
        let fields: Fields = [(Arc::from("pin"), Val::Text("4711".into()))]
            .into_iter()
            .collect();
        assert_eq!(format!("{fields:?}"), "{\"pin\"}");
    }
}

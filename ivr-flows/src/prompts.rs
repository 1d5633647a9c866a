//! Everything a flow can say, for rendering ahead.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::Flow;
use crate::session::LAST_WORDS;

/// What fills the placeholders of a flow's texts, as far as it is finite.
#[derive(Debug, Clone)]
pub struct Expansions<'a> {
    /// Spoken names of those who may be greeted by name.
    pub names: &'a [&'a str],
    /// The hospital's spoken name.
    pub hospital_name: &'a str,
    /// Places in a queue that are spoken as numbers; a session never speaks
    /// one beyond 20.
    pub positions: RangeInclusive<u32>,
}

/// Every text a session of this flow can hand out as
/// [`Piece::Text`](crate::Piece::Text), character for character, each once;
/// fixed texts first, those with a caller's name last, node by node as the
/// document has them.
pub fn prompts<'a>(flow: &'a Flow, fill: &'a Expansions<'a>) -> impl Iterator<Item = String> + 'a {
    let mut seen = BTreeSet::new();
    std::iter::once(LAST_WORDS.to_owned())
        .chain([false, true].into_iter().flat_map(move |named| {
            flow.nodes.iter().flat_map(move |node| {
                let mut texts = Vec::new();
                for text in node.kind.texts() {
                    text.expand(fill, named, &mut |words| texts.push(words));
                }
                texts
            })
        }))
        .filter(move |words| seen.insert(words.clone()))
}

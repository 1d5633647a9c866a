//! Everything a flow can say, for rendering ahead.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::language::LAST_WORDS;
use crate::text::Text;
use crate::{Flow, Language};

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
/// [`Piece::Text`](crate::Piece::Text), with its language, character for character, each once;
/// fixed texts first, those with a caller's name last, node by node as the
/// document has them.
pub fn prompts<'a>(
    flow: &'a Flow,
    fill: &'a Expansions<'a>,
) -> impl Iterator<Item = (Language, String)> + 'a {
    let mut seen = BTreeSet::new();
    let mut texts = Vec::new();
    if let Some(last) = Text::ours(LAST_WORDS) {
        last.expand(&flow.languages, fill, false, &mut |language, words| {
            texts.push((language, words));
        });
    }
    texts
        .into_iter()
        .chain([false, true].into_iter().flat_map(move |named| {
            flow.nodes.iter().flat_map(move |node| {
                let mut texts = Vec::new();
                for text in node.kind.texts() {
                    text.expand(&flow.languages, fill, named, &mut |language, words| {
                        texts.push((language, words));
                    });
                }
                texts
            })
        }))
        .filter(move |text| seen.insert(text.clone()))
}

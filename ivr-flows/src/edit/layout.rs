//! Where everything of a document stands, to the byte: what its parser says of
//! spans, with the few places it doesn't name (a colon, a dash, the head of a
//! folded text).

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// A value and the bytes it takes.
#[derive(Debug)]
pub(super) struct Spot {
    /// Without the line end behind it. Of nothing at all: empty, where it would stand.
    pub(super) span: Range<usize>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Scalar(ScalarStyle),
    /// `[a, b]`
    FlowList(Vec<Spot>),
    /// Dashes.
    List(Vec<Spot>),
    /// `{a: b}`
    FlowMap(Vec<Pair>),
    /// Lines.
    Map(Vec<Pair>),
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Range<usize>,
    pub(super) style: ScalarStyle,
    pub(super) name: String,
    /// Behind its colon, or behind the key where there is none.
    pub(super) colon: Option<usize>,
    pub(super) value: Spot,
}

impl Spot {
    /// In braces or brackets: what is added stands in a row.
    pub(super) fn is_flow(&self) -> bool {
        matches!(self.shape, Shape::FlowList(_) | Shape::FlowMap(_))
    }

    pub(super) fn is_block(&self) -> bool {
        matches!(self.shape, Shape::List(_) | Shape::Map(_))
    }

    /// The entries of a map.
    pub(super) fn pairs(&self) -> Option<&[Pair]> {
        match &self.shape {
            Shape::Map(pairs) | Shape::FlowMap(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Option<&[Spot]> {
        match &self.shape {
            Shape::List(items) | Shape::FlowList(items) => Some(items),
            _ => None,
        }
    }
}

/// The layout of a document that was read before; `None` for what can't be
/// laid out (keys that aren't texts).
pub(super) fn layout(text: &str) -> Option<Spot> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        match event {
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Comment(..) => {}
            event => events.push((event, span)),
        }
    }
    let mut reading = Reading {
        text,
        events: events.into_iter(),
    };
    let first = reading.events.next()?;
    reading.spot(first)
}

struct Reading<'t> {
    text: &'t str,
    events: std::vec::IntoIter<(Event<'t>, Span)>,
}

impl<'t> Reading<'t> {
    fn spot(&mut self, (event, span): (Event<'t>, Span)) -> Option<Spot> {
        let range = span.byte_range()?;
        match event {
            Event::Scalar(_, style, ..) => Some(Spot {
                span: match style {
                    ScalarStyle::Folded | ScalarStyle::Literal => self.block_scalar(range)?,
                    _ => range,
                },
                shape: Shape::Scalar(style),
            }),
            Event::SequenceStart(style, ..) => {
                let (items, end) = self.items()?;
                Some(match style {
                    StructureStyle::Flow => Spot {
                        span: range.start..end,
                        shape: Shape::FlowList(items),
                    },
                    StructureStyle::Block => {
                        let start = dash_before(self.text, items.first()?.span.start)?;
                        Spot {
                            span: start..items.last()?.span.end,
                            shape: Shape::List(items),
                        }
                    }
                })
            }
            Event::MappingStart(style, ..) => {
                let (pairs, end) = self.pairs()?;
                Some(match style {
                    StructureStyle::Flow => Spot {
                        span: range.start..end,
                        shape: Shape::FlowMap(pairs),
                    },
                    StructureStyle::Block => Spot {
                        span: pairs.first()?.key.start..pairs.last()?.value.span.end,
                        shape: Shape::Map(pairs),
                    },
                })
            }
            _ => None,
        }
    }

    /// Items, and where what closes them ends.
    fn items(&mut self) -> Option<(Vec<Spot>, usize)> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.events.next()?;
            if event == Event::SequenceEnd {
                return Some((items, span.byte_range()?.end));
            }
            items.push(self.spot((event, span))?);
        }
    }

    fn pairs(&mut self) -> Option<(Vec<Pair>, usize)> {
        let mut pairs = Vec::new();
        loop {
            let (event, span) = self.events.next()?;
            let range = span.byte_range()?;
            let (name, style) = match event {
                Event::MappingEnd => return Some((pairs, range.end)),
                Event::Scalar(name, style, ..) => (name.into_owned(), style),
                _ => return None,
            };
            let value = self.events.next()?;
            let mut value = self.spot(value)?;
            let behind = &self.text[range.end..];
            let colon = behind
                .trim_start()
                .starts_with(':')
                .then(|| self.text.len() - behind.trim_start().len() + 1);
            if value.span.is_empty() {
                let at = colon.unwrap_or(range.end);
                value.span = at..at;
            }
            pairs.push(Pair {
                key: range,
                style,
                name,
                colon,
                value,
            });
        }
    }

    /// From its head (`>`, `|-`) to its last line's end. The parser names the
    /// lines only, and with them blank ones that follow.
    fn block_scalar(&self, lines: Range<usize>) -> Option<Range<usize>> {
        let before = self.text[..lines.start].trim_end();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = &before[line_start..];
        let head = line.char_indices().find_map(|(at, c)| {
            let free = at == 0 || line[..at].ends_with([' ', '\t']);
            let rest = line[at..]
                .trim_start_matches(['|', '>'])
                .trim_start_matches(|c: char| matches!(c, '+' | '-') || c.is_ascii_digit());
            let alone = rest.trim_start().is_empty()
                || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'));
            (matches!(c, '|' | '>') && free && alone).then_some(at)
        })?;
        let keeps = line[head + 1..].split('#').next()?.contains('+');
        let content = &self.text[lines.clone()];
        let end = if keeps {
            let whole = content.rfind('\n').map_or(content.len(), |at| at);
            lines.start + whole
        } else {
            lines.start + content.trim_end().len()
        };
        Some(line_start + head..end)
    }
}

/// The dash of an item that begins here. Comments may stand between the two.
pub(super) fn dash_before(text: &str, item: usize) -> Option<usize> {
    let mut before = text[..item].trim_end();
    while !before.ends_with('-') {
        let line = line_start(before, before.len());
        let comment = before[line..].char_indices().find(|(at, c)| {
            *c == '#' && (*at == 0 || before[line..line + at].ends_with([' ', '\t']))
        });
        before = before[..line + comment?.0].trim_end();
    }
    Some(before.len() - 1)
}

/// Where the line begins that this byte is in.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |at| at + 1)
}

/// Where the line ends that this byte is in, its line end not counted.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// How far in a byte's line it stands, in characters.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

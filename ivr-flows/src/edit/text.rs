//! One change, made in the text.

use std::ops::Range;

use super::layout::{Pair, Shape, Spot, column, dash_before, line_end, line_start};
use super::write::{behind_colon, block, folded, in_list, key, row, scalar};
use super::{At, Step, Yaml};

/// Takes one step. `None`: it can't be taken without touching what stands around.
pub(super) fn take(text: &str, layout: &Spot, step: &Step) -> Option<String> {
    let (range, written) = match step {
        Step::Set(path, value) => set(text, layout, path, value)?,
        Step::Add(path, value) => add(text, layout, path, value)?,
        Step::Remove(path) => remove(text, layout, path)?,
        Step::Rename(path, name) => {
            let (last, way) = path.split_last()?;
            let pair = pair(find(layout, way)?, last)?;
            let in_row = find(layout, way)?.is_flow();
            (pair.key.clone(), scalar(name, pair.style, in_row))
        }
    };
    let mut new = String::with_capacity(text.len() + written.len());
    new.push_str(text.get(..range.start)?);
    new.push_str(&written);
    new.push_str(text.get(range.end..)?);
    Some(new)
}

fn pair<'l>(map: &'l Spot, step: &At) -> Option<&'l Pair> {
    let At::Key(key) = step else {
        return None;
    };
    map.pairs()?.iter().find(|pair| pair.name == *key)
}

fn find<'l>(layout: &'l Spot, path: &[At]) -> Option<&'l Spot> {
    path.iter().try_fold(layout, |spot, step| match step {
        At::Key(_) => pair(spot, step).map(|pair| &pair.value),
        At::Item(n) => spot.items()?.get(*n),
    })
}

/// From where to where a piece goes, its key or its dash included.
pub(super) fn extent(text: &str, layout: &Spot, path: &[At]) -> Option<(usize, usize)> {
    let Some((last, way)) = path.split_last() else {
        return Some((layout.span.start, layout.span.end));
    };
    let spot = find(layout, path)?;
    let holder = find(layout, way)?;
    let start = match pair(holder, last) {
        Some(pair) => pair.key.start,
        None if holder.is_flow() => spot.span.start,
        None => dash_before(text, spot.span.start)?,
    };
    Some((start, spot.span.end))
}

/// The pieces whose key, or which themselves, begin at one of these bytes.
pub(super) fn paths_at(layout: &Spot, offsets: &[usize]) -> Vec<Vec<At>> {
    fn walk(spot: &Spot, offsets: &[usize], path: &mut Vec<At>, found: &mut Vec<Vec<At>>) {
        for pair in spot.pairs().unwrap_or_default() {
            path.push(At::Key(pair.name.clone()));
            let here = [pair.key.start, pair.value.span.start];
            if here.iter().any(|at| offsets.contains(at)) {
                found.push(path.clone());
            }
            walk(&pair.value, offsets, path, found);
            path.pop();
        }
        for (n, item) in spot.items().unwrap_or_default().iter().enumerate() {
            path.push(At::Item(n));
            if offsets.contains(&item.span.start) {
                found.push(path.clone());
            }
            walk(item, offsets, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(layout, offsets, &mut Vec::new(), &mut found);
    found
}

/// Whether a piece stands within braces or brackets.
fn in_row(layout: &Spot, path: &[At]) -> bool {
    (0..path.len()).any(|n| find(layout, &path[..n]).is_some_and(Spot::is_flow))
}

fn has_comment(gap: &str) -> bool {
    gap.contains('#')
}

fn set(text: &str, layout: &Spot, path: &[At], value: &Yaml) -> Option<(Range<usize>, String)> {
    let old = find(layout, path)?;
    let flow = in_row(layout, path);
    let Some((last, way)) = path.split_last() else {
        return Some((old.span.clone(), block(value, 0)));
    };
    let holder = find(layout, way)?;
    if let (Yaml::Text(words), Shape::Scalar(style)) = (value, &old.shape)
        && !old.span.is_empty()
    {
        let indent = match text[old.span.clone()].split_once('\n') {
            Some((_, lines)) => lines.len() - lines.trim_start().len(),
            None => 0,
        };
        let lines = (!flow && indent > 0)
            .then(|| folded(words, *style, indent))
            .flatten();
        let written = lines.unwrap_or_else(|| scalar(words, *style, flow));
        return Some((old.span.clone(), written));
    }
    let Some(pair) = pair(holder, last) else {
        // An item: behind its dash, or between its commas.
        let written = match flow {
            true => row(value, true),
            false => in_list(value, column(text, old.span.start)),
        };
        let blank = if old.span.is_empty() { " " } else { "" };
        return Some((old.span.clone(), format!("{blank}{written}")));
    };
    let colon = pair.colon?;
    let gap = &text[colon..old.span.start];
    if flow {
        let blank = if gap.is_empty() { " " } else { "" };
        return Some((old.span.clone(), format!("{blank}{}", row(value, true))));
    }
    if has_comment(gap) {
        // The comment stays where it is, and the value below it.
        let indent = column(text, old.span.start);
        return Some((old.span.clone(), block(value, indent)));
    }
    let at = column(text, pair.key.start);
    let written = behind_colon(value, at, pair.name.chars().count(), old.is_block());
    Some((colon..old.span.end, written))
}

fn add(text: &str, layout: &Spot, path: &[At], value: &Yaml) -> Option<(Range<usize>, String)> {
    let (last, way) = path.split_last()?;
    let holder = find(layout, way)?;
    match (&holder.shape, last) {
        (Shape::Map(pairs), At::Key(name)) => {
            let (first, newest) = (pairs.first()?, pairs.last()?);
            let indent = column(text, first.key.start);
            let lines = pairs
                .iter()
                .any(|pair| matches!(pair.value.shape, Shape::Map(_)));
            let end = end_of(text, &newest.value);
            let before = pairs.len().checked_sub(2).map(|n| pairs[n].value.span.end);
            let apart = before.is_some_and(|before| is_apart(&text[before..newest.key.start]));
            let blank = if apart { "\n" } else { "" };
            let written = behind_colon(value, indent, name.chars().count(), lines);
            let name = key(name, false);
            Some((end..end, format!("{blank}\n{:indent$}{name}:{written}", "")))
        }
        (Shape::List(items), At::Item(_)) => {
            let (first, newest) = (items.first()?, items.last()?);
            let indent = column(text, dash_before(text, first.span.start)?);
            let end = end_of(text, newest);
            let before = items.len().checked_sub(2).map(|n| items[n].span.end);
            let dash = dash_before(text, newest.span.start)?;
            let apart = before.is_some_and(|before| is_apart(&text[before..dash]));
            let blank = if apart { "\n" } else { "" };
            let lines = items.iter().any(|item| matches!(item.shape, Shape::Map(_)));
            let written = match value {
                Yaml::Map(_) if lines => block(value, indent + 2),
                value => in_list(value, indent + 2),
            };
            Some((end..end, format!("{blank}\n{:indent$}- {written}", "")))
        }
        (Shape::FlowMap(pairs), At::Key(name)) => {
            let written = format!("{}: {}", key(name, true), row(value, true));
            in_braces(
                holder,
                pairs.last().map(|pair| pair.value.span.end),
                &written,
            )
        }
        (Shape::FlowList(items), At::Item(_)) => {
            let written = row(value, true);
            in_braces(holder, items.last().map(|item| item.span.end), &written)
        }
        _ => None,
    }
}

/// Behind the last one, or as the first.
fn in_braces(holder: &Spot, last: Option<usize>, written: &str) -> Option<(Range<usize>, String)> {
    Some(match last {
        Some(end) => (end..end, format!(", {written}")),
        None => (
            holder.span.start + 1..holder.span.end - 1,
            written.to_owned(),
        ),
    })
}

/// The end of the last line of a value, the comment behind it included.
fn end_of(text: &str, value: &Spot) -> usize {
    line_end(text, value.span.end)
}

/// Whether a blank line stands between two neighbours.
fn is_apart(gap: &str) -> bool {
    // The line on which the second one begins isn't between them.
    let between = gap.rsplit_once('\n').map_or("", |(between, _)| between);
    between
        .split('\n')
        .skip(1)
        .any(|line| line.trim().is_empty())
}

fn remove(text: &str, layout: &Spot, path: &[At]) -> Option<(Range<usize>, String)> {
    let (last, way) = path.split_last()?;
    let holder = find(layout, way)?;
    let starts_and_ends: Vec<(usize, usize)> = match &holder.shape {
        Shape::Map(pairs) | Shape::FlowMap(pairs) => pairs
            .iter()
            .map(|pair| (pair.key.start, pair.value.span.end))
            .collect(),
        Shape::List(items) => items
            .iter()
            .map(|item| Some((dash_before(text, item.span.start)?, item.span.end)))
            .collect::<Option<_>>()?,
        Shape::FlowList(items) => items
            .iter()
            .map(|item| (item.span.start, item.span.end))
            .collect(),
        Shape::Scalar(_) => return None,
    };
    let n = match last {
        At::Item(n) => *n,
        At::Key(key) => holder.pairs()?.iter().position(|pair| pair.name == *key)?,
    };
    let (start, end) = *starts_and_ends.get(n)?;
    if starts_and_ends.len() == 1 {
        let empty = match &holder.shape {
            Shape::Map(_) | Shape::FlowMap(_) => Yaml::Map(Vec::new()),
            _ => Yaml::List(Vec::new()),
        };
        return set(text, layout, way, &empty);
    }
    let next = starts_and_ends.get(n + 1).map(|(start, _)| *start);
    let previous = n.checked_sub(1).map(|n| starts_and_ends[n].1);
    if holder.is_flow() {
        return Some((
            in_row_without(text, previous, start, end, next),
            String::new(),
        ));
    }
    let line = line_start(text, start);
    if text[line..start].trim().is_empty() {
        // Whole lines, with the comment behind.
        let eol = line_end(text, end);
        let range = match text[eol..].is_empty() && line > 0 {
            true => line - 1..eol,
            false => line..(eol + 1).min(text.len()),
        };
        return Some((range, String::new()));
    }
    // Behind the dash of an item: the next one takes its place.
    let next = next.filter(|next| !has_comment(&text[end..*next]))?;
    Some((start..next, String::new()))
}

/// One of a row, with one of the commas beside it.
fn in_row_without(
    text: &str,
    previous: Option<usize>,
    start: usize,
    end: usize,
    next: Option<usize>,
) -> Range<usize> {
    match (previous, next) {
        (_, Some(next)) if !has_comment(&text[end..next]) => start..next,
        (Some(previous), None) if !has_comment(&text[previous..start]) => previous..end,
        // A comma may be the last thing in a row.
        _ => {
            let behind = &text[end..];
            let comma = behind.trim_start().starts_with(',');
            let length = behind.len() - behind.trim_start().len() + 1;
            start..if comma { end + length } else { end }
        }
    }
}

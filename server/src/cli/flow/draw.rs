//! Flows as pictures: Mermaid text, or an SVG that needs nothing else.

use std::collections::VecDeque;
use std::fmt::Write as _;

use ivr_flows::{Graph, GraphNode};

const BOX_WIDTH: usize = 190;
const BOX_HEIGHT: usize = 44;
const GAP_X: usize = 50;
const GAP_Y: usize = 76;
const MARGIN: usize = 30;

fn title(node: &GraphNode) -> String {
    match &node.of {
        Some(of) => format!("{} {of}", node.kind),
        None => node.kind.to_owned(),
    }
}

/// Mermaid's flowchart.
pub(super) fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart TD\n");
    for (n, node) in graph.nodes.iter().enumerate() {
        let (open, close) = match node.kind {
            "menu" | "collect" | "branch" | "hours" | "identify" | "language" => ("{{", "}}"),
            "queue" | "partner" | "transfer" => ("([", "])"),
            "http" => ("[[", "]]"),
            _ => ("[", "]"),
        };
        // Names and kinds hold no character that means something to Mermaid.
        let _ = writeln!(
            text,
            "  n{n}{open}\"{}<br/>{}\"{close}",
            node.name,
            title(node)
        );
    }
    let _ = writeln!(text, "  start((call)) --> n{}", graph.start);
    for edge in &graph.edges {
        let _ = if edge.label.is_empty() {
            writeln!(text, "  n{} --> n{}", edge.from, edge.to)
        } else {
            writeln!(
                text,
                "  n{} -- \"{}\" --> n{}",
                edge.from,
                edge.label.replace('#', "hash").replace('*', "star"),
                edge.to
            )
        };
    }
    text
}

/// Rows by the distance from the start; in a row, by where the ways come from.
fn rows(graph: &Graph) -> Vec<Vec<usize>> {
    let mut row_of = vec![usize::MAX; graph.nodes.len()];
    let mut ahead = VecDeque::from([graph.start]);
    row_of[graph.start] = 0;
    let mut rows: Vec<Vec<usize>> = Vec::new();
    while let Some(at) = ahead.pop_front() {
        let row = row_of[at];
        if rows.len() <= row {
            rows.push(Vec::new());
        }
        rows[row].push(at);
        for edge in graph.edges.iter().filter(|edge| edge.from == at) {
            if row_of[edge.to] == usize::MAX {
                row_of[edge.to] = row + 1;
                ahead.push_back(edge.to);
            }
        }
    }
    rows
}

/// A picture without scripts, fonts or anything from elsewhere.
pub(super) fn svg(graph: &Graph) -> String {
    let rows = rows(graph);
    let widest = rows.iter().map(Vec::len).max().unwrap_or(1);
    let width = 2 * MARGIN + widest * (BOX_WIDTH + GAP_X);
    let height = 2 * MARGIN + rows.len() * (BOX_HEIGHT + GAP_Y);
    let mut at = vec![(0, 0); graph.nodes.len()];
    for (y, row) in rows.iter().enumerate() {
        let indent = (widest - row.len()) * (BOX_WIDTH + GAP_X) / 2;
        for (x, node) in row.iter().enumerate() {
            at[*node] = (
                MARGIN + indent + x * (BOX_WIDTH + GAP_X),
                MARGIN + y * (BOX_HEIGHT + GAP_Y),
            );
        }
    }
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\"><title>{}</title>\
         <defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0 0 L8 4 L0 8 z\" fill=\"#567\"/></marker></defs>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        escaped(&graph.name)
    );
    for (n, edge) in graph.edges.iter().enumerate() {
        let (fx, fy) = at[edge.from];
        let (tx, ty) = at[edge.to];
        let (x1, y1) = (fx + BOX_WIDTH / 2, fy + BOX_HEIGHT);
        // A way back, or to the same row, arrives from the side.
        let down = ty > fy;
        let (x2, y2) = if down {
            (tx + BOX_WIDTH / 2, ty)
        } else {
            (tx + BOX_WIDTH, ty + BOX_HEIGHT / 2)
        };
        let bend = if down {
            format!(
                "C {x1} {}, {x2} {}, {x2} {y2}",
                y1 + GAP_Y / 2,
                y2.saturating_sub(GAP_Y / 2)
            )
        } else {
            let side = x1.max(x2) + BOX_WIDTH;
            format!("C {side} {}, {side} {y2}, {x2} {y2}", y1 + GAP_Y / 2)
        };
        let _ = writeln!(
            text,
            "<path d=\"M {x1} {y1} {bend}\" fill=\"none\" stroke=\"#567\" marker-end=\"url(#to)\"/>"
        );
        if !edge.label.is_empty() {
            // Labels of neighbouring ways stand at different heights.
            let y = y1 + 14 + (n % 3) * 14;
            let x = if down { (3 * x1 + x2) / 4 } else { x1 + 40 };
            let _ = writeln!(
                text,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#234\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
                escaped(&edge.label)
            );
        }
    }
    for row in rows {
        for n in row {
            let (node, (x, y)) = (&graph.nodes[n], at[n]);
            let fill = match node.kind {
                "queue" | "partner" | "transfer" => "#d9efdc",
                "menu" | "collect" | "language" => "#fdf0cf",
                "hang up" | "exit" => "#f6dada",
                "http" => "#e6def5",
                _ => "#e3ecf7",
            };
            let edge = if n == graph.start { 3 } else { 1 };
            let middle = x + BOX_WIDTH / 2;
            let _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\" fill=\"{fill}\" stroke=\"#345\" stroke-width=\"{edge}\"/>\
                 <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>\
                 <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                y + 18,
                escaped(&node.name),
                y + 35,
                escaped(&title(node))
            );
        }
    }
    text.push_str("</svg>\n");
    text
}

fn escaped(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

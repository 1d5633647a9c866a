//! A table of figures: for people, for a spreadsheet, for a program.

use std::fmt::Write as _;

use desk::figures::Ratio;
use serde_json::{Map, Value, json};

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// How many.
    Count(u64),
    /// A share; none over nothing.
    Share(Ratio),
    /// Milliseconds for each; none over nothing.
    Mean(Ratio),
    /// Milliseconds together.
    Time(u64),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// For programs; its unit stands at the end.
    pub key: &'static str,
    /// For people.
    pub head: &'static str,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub name: String,
    /// As many as there are columns.
    pub figures: Vec<Figure>,
    /// No event is missing of it.
    pub complete: bool,
}

/// Figures of one time, divided in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Facts about it, each with a word for programs: whose, from when, in which zone.
    pub about: Vec<(&'static str, String)>,
    /// What the rows are: `queue`, `day`.
    pub by: &'static str,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// What has to be known to read it, in sentences.
    pub notes: Vec<String>,
}

/// Shares to a millionth, times to a millisecond: what floating point adds is nobody's figure.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

impl Figure {
    fn number(self) -> Option<Value> {
        Some(match self {
            Self::Count(count) => json!(count),
            Self::Share(ratio) => json!(rounded(ratio.value()?, 6)),
            Self::Mean(ratio) => json!(rounded(ratio.value()? / 1e3, 3)),
            Self::Time(ms) => json!(rounded(ms as f64 / 1e3, 3)),
        })
    }

    fn shown(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Share(ratio) => ratio
                .value()
                .map_or("-".to_owned(), |value| format!("{:.1} %", value * 100.0)),
            Self::Mean(ratio) => ratio.value().map_or("-".to_owned(), |ms| clock(ms as u64)),
            Self::Time(ms) => clock(ms),
        }
    }
}

/// `0:07`, `12:30`, `3:05:00`.
fn clock(ms: u64) -> String {
    let s = (ms + 500) / 1_000;
    match s / 3_600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// A field of a CSV file (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

impl Table {
    /// For people. An incomplete row has a mark behind its name.
    pub fn text(&self) -> String {
        let mut lines = vec![vec![self.by.to_owned()]];
        lines[0].extend(self.columns.iter().map(|column| column.head.to_owned()));
        for row in &self.rows {
            let mark = if row.complete { "" } else { " *" };
            let mut line = vec![format!("{}{mark}", row.name)];
            line.extend(row.figures.iter().map(|figure| figure.shown()));
            lines.push(line);
        }
        let width = |place: usize| {
            let widths = lines.iter().filter_map(|line| line.get(place));
            widths.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..=self.columns.len()).map(width).collect();
        let mut text = String::new();
        for (what, how) in &self.about {
            let _ = writeln!(text, "{what}: {how}");
        }
        text.push('\n');
        for line in &lines {
            let mut shown = String::new();
            for (place, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                let _ = match place {
                    0 => write!(shown, "{cell:<width$}"),
                    _ => write!(shown, "  {cell:>width$}"),
                };
            }
            let _ = writeln!(text, "{}", shown.trim_end());
        }
        if self.rows.iter().any(|row| !row.complete) {
            text.push_str("\n* incomplete: events are missing in the log\n");
        }
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// For a spreadsheet: a line of keys, then the rows; nothing where a ratio has no value.
    pub fn csv(&self) -> String {
        let mut text = field(self.by);
        for column in &self.columns {
            let _ = write!(text, ",{}", column.key);
        }
        text.push_str(",complete\r\n");
        for row in &self.rows {
            text.push_str(&field(&row.name));
            for figure in &row.figures {
                let number = figure.number();
                let _ = write!(text, ",{}", number.map_or(String::new(), |n| n.to_string()));
            }
            let _ = write!(text, ",{}\r\n", row.complete);
        }
        text
    }

    /// For a program: null where a ratio has no value.
    pub fn json(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let mut object = Map::new();
            object.insert(self.by.to_owned(), json!(row.name));
            for (column, figure) in self.columns.iter().zip(&row.figures) {
                let number = figure.number().unwrap_or(Value::Null);
                object.insert(column.key.to_owned(), number);
            }
            object.insert("complete".to_owned(), json!(row.complete));
            Value::Object(object)
        });
        let rows: Vec<Value> = rows.collect();
        let mut whole = Map::new();
        for (what, how) in &self.about {
            whole.insert((*what).to_owned(), json!(how));
        }
        whole.insert("by".to_owned(), json!(self.by));
        whole.insert("notes".to_owned(), json!(self.notes));
        whole.insert("rows".to_owned(), json!(rows));
        format!("{:#}\n", Value::Object(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let share = |part, whole| Figure::Share(Ratio { part, whole });
        let mean = |part, whole| Figure::Mean(Ratio { part, whole });
        let row = |name: &str, figures: [Figure; 3], complete| Row {
            name: name.to_owned(),
            figures: figures.to_vec(),
            complete,
        };
        Table {
            about: vec![("hospital", "Saint Anne".to_owned())],
            by: "queue",
            columns: vec![
                Column {
                    key: "queued",
                    head: "offered",
                },
                Column {
                    key: "service_level",
                    head: "service level",
                },
                Column {
                    key: "asa_s",
                    head: "ASA",
                },
            ],
            rows: vec![
                row(
                    "clinical",
                    [Figure::Count(96), share(80, 96), mean(600_000, 90)],
                    true,
                ),
                row(
                    "a, \"b\"",
                    [Figure::Count(0), share(0, 0), mean(0, 0)],
                    false,
                ),
            ],
            notes: vec!["The day isn't over.".to_owned()],
        }
    }

    #[test]
    fn people_read_a_table() {
        let text = "hospital: Saint Anne\n\n\
             queue     offered  service level   ASA\n\
             clinical       96         83.3 %  0:07\n\
             a, \"b\" *        0              -     -\n\n\
             * incomplete: events are missing in the log\n\
             The day isn't over.\n";
        assert_eq!(table().text(), text);
        assert_eq!(
            (clock(7_400), clock(750_000), clock(11_100_000)),
            ("0:07".to_owned(), "12:30".to_owned(), "3:05:00".to_owned())
        );
    }

    #[test]
    fn programs_read_numbers_and_nothing_where_there_is_none() {
        let csv = "queue,queued,service_level,asa_s,complete\r\n\
             clinical,96,0.833333,6.667,true\r\n\
             \"a, \"\"b\"\"\",0,,,false\r\n";
        assert_eq!(table().csv(), csv);
        let json: Value = serde_json::from_str(&table().json()).unwrap();
        assert_eq!(json["hospital"], "Saint Anne");
        assert_eq!(json["rows"][0]["service_level"], 0.833333);
        assert_eq!(json["rows"][1]["service_level"], Value::Null);
        assert_eq!(json["rows"][1]["complete"], false);
    }
}

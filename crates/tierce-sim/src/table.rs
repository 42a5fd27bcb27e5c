//! The figures as text.

use std::fmt::Write as _;

use crate::{Format, Outcome};

/// One replay.
#[derive(Clone, Debug)]
pub struct Row {
    /// The trace's name.
    pub trace: String,
    /// The policy's name.
    pub policy: &'static str,
    /// In entries or bytes.
    pub capacity: u64,
    /// What was counted.
    pub outcome: Outcome,
}

/// The rows as a table.
#[must_use]
pub fn render(rows: &[Row], format: Format) -> String {
    let (head, between, edge) = match format {
        Format::Markdown => (
            "| trace | policy | capacity | requests | misses | miss ratio | byte miss ratio |\n|---|---|---:|---:|---:|---:|---:|\n",
            " | ",
            "|",
        ),
        Format::Csv => ("trace,policy,capacity,requests,misses,miss_ratio,byte_miss_ratio\n", ",", ""),
    };
    let mut text = head.to_owned();
    for Row { trace, policy, capacity, outcome } in rows {
        let cells = [
            trace.clone(),
            (*policy).to_owned(),
            capacity.to_string(),
            outcome.requests.to_string(),
            outcome.misses.to_string(),
            format!("{:.6}", outcome.miss_ratio()),
            format!("{:.6}", outcome.byte_miss_ratio()),
        ];
        let gap = if edge.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{edge}{gap}{}{gap}{edge}", cells.join(between));
    }
    text
}

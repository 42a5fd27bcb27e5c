//! `tierce-sim`: replays access traces against eviction policies.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tierce_sim::{Curve, HELP, Options, Row, Trace, TraceError, UsageError, draw, render, replay};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}\n\n{HELP}")]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("{path}: {source}")]
    Chart { path: PathBuf, source: std::io::Error },
}

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            // Who has closed the other end, as `head` does, wants no more.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "tierce-sim: {failure}");
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run() -> Result<String, Failure> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else { return Ok(HELP.to_owned()) };
    let mut rows = Vec::new();
    for path in &options.traces {
        let trace = Trace::read(path)?;
        let of_trace = replay_all(&trace, &options);
        if let Some(chart) = &options.chart {
            let path = chart_path(chart, &trace.name, options.traces.len() > 1);
            let picture =
                draw(&trace.name, if options.bytes { "bytes" } else { "entries" }, &curves(&of_trace));
            std::fs::write(&path, picture).map_err(|source| Failure::Chart { path, source })?;
        }
        rows.extend(of_trace);
    }
    Ok(render(&rows, options.format))
}

fn replay_all(trace: &Trace, options: &Options) -> Vec<Row> {
    let whole = if options.bytes { trace.distinct_bytes() } else { trace.distinct() as u64 };
    let sizes = || options.sizes.iter().map(|size| size.of(whole));
    let pairs = options.policies.iter().flat_map(|&policy| sizes().map(move |capacity| (policy, capacity)));
    pairs
        .map(|(policy, capacity)| Row {
            trace: trace.name.clone(),
            policy: policy.name(),
            capacity,
            outcome: replay(trace, policy, capacity, options.bytes),
        })
        .collect()
}

fn curves(rows: &[Row]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let point = (row.capacity as f64, row.outcome.miss_ratio());
        match curves.last_mut().filter(|curve| curve.name == row.policy) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name: row.policy.to_owned(), points: vec![point] }),
        }
    }
    curves
}

fn chart_path(chart: &Path, trace: &str, several: bool) -> PathBuf {
    if !several {
        return chart.to_owned();
    }
    let stem = chart.file_stem().unwrap_or_default().to_string_lossy();
    chart.with_file_name(format!("{stem}-{trace}.svg"))
}

//! Coverage of ranges: plain numbers in, plain numbers out.

use napi::Env;
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;
use tierce::coverage::{Freshness, Interval, Piece, Shape, Volatile, compact, covered, fetches, gaps, union};
use tierce_napi::guard;

/// How long what was fetched is fresh, and how gaps become fetches. Times are milliseconds, lengths positions.
#[napi(object, object_to_js = false)]
pub struct NativeCoverageRules {
    /// `undefined` for ever.
    pub ttl: Option<f64>,
    /// How far back the volatile tail reaches.
    pub volatile_last: Option<f64>,
    /// For how long it is fresh.
    pub volatile_ttl: Option<f64>,
    /// Milliseconds of a position.
    pub unit: Option<f64>,
    /// At most so many gaps.
    pub max_gaps: Option<u32>,
    /// At most so many positions a fetch.
    pub chunk: Option<f64>,
    /// So many positions more at each end of a gap.
    pub padding: Option<f64>,
    /// The first position there is.
    pub low: f64,
    /// The position after the last there is.
    pub high: f64,
}

/// What is missing, and what to fetch for it: start and end of each interval, half-open.
#[napi(object, object_from_js = false)]
pub struct NativePlan {
    /// What no fresh piece covers.
    pub missing: Float64Array,
    /// What to fetch, beside what is under way.
    pub fetches: Float64Array,
}

impl NativeCoverageRules {
    fn freshness(&self) -> Freshness {
        let tail = |last: f64| Volatile {
            last: last as i64,
            ttl: self.volatile_ttl.unwrap_or(0.0) as i64,
            unit: self.unit.unwrap_or(1.0) as i64,
        };
        Freshness { ttl: self.ttl.map(|ttl| ttl as i64), volatile: self.volatile_last.map(tail) }
    }

    fn shape(&self) -> Shape {
        Shape {
            max_gaps: self.max_gaps.map(|most| most as usize),
            chunk: self.chunk.map(|chunk| chunk as i64),
            padding: self.padding.unwrap_or(0.0) as i64,
            bounds: Interval::new(self.low as i64, self.high as i64),
        }
    }
}

/// Plans the fetches for `[start, end)`. `pieces` has start, end and time of each stored fetch, `flying` start and end of those
/// under way.
#[napi]
pub fn plan_fetches(
    env: &Env,
    pieces: Float64Array,
    flying: Float64Array,
    start: f64,
    end: f64,
    now: f64,
    rules: NativeCoverageRules,
) -> napi::Result<NativePlan> {
    guard(env, || {
        let asked = Interval::new(start as i64, end as i64);
        let stored = covered(&pieces_of(&pieces), now as i64, &rules.freshness());
        let missing = gaps(asked, &stored);
        let known = union(intervals_of(&flying).chain(stored).collect());
        let fetches = fetches(&gaps(asked, &known), &known, &rules.shape())?;
        Ok(NativePlan { missing: flat(&missing), fetches: flat(&fetches) })
    })
}

/// What is fresh of the pieces: start and end of each interval, half-open.
#[napi]
pub fn covered_ranges(
    env: &Env,
    pieces: Float64Array,
    now: f64,
    rules: NativeCoverageRules,
) -> napi::Result<Float64Array> {
    guard(env, || Ok(flat(&covered(&pieces_of(&pieces), now as i64, &rules.freshness()))))
}

/// The same coverage in as few pieces as can be.
#[napi]
pub fn compact_coverage(
    env: &Env,
    pieces: Float64Array,
    rules: NativeCoverageRules,
) -> napi::Result<Float64Array> {
    guard(env, || {
        let compacted = compact(&pieces_of(&pieces), &rules.freshness());
        let numbers = compacted
            .iter()
            .flat_map(|piece| [piece.interval.start as f64, piece.interval.end as f64, piece.fetched as f64]);
        Ok(Float64Array::new(numbers.collect()))
    })
}

fn pieces_of(numbers: &[f64]) -> Vec<Piece> {
    let piece =
        |of: &[f64]| Piece { interval: Interval::new(of[0] as i64, of[1] as i64), fetched: of[2] as i64 };
    numbers.chunks_exact(3).map(piece).collect()
}

fn intervals_of(numbers: &[f64]) -> impl Iterator<Item = Interval> {
    numbers.chunks_exact(2).map(|of| Interval::new(of[0] as i64, of[1] as i64))
}

fn flat(intervals: &[Interval]) -> Float64Array {
    Float64Array::new(intervals.iter().flat_map(|one| [one.start as f64, one.end as f64]).collect())
}

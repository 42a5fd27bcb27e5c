//! Interval arithmetic: what of a range is cached, what is missing, and in which fetches it comes.
//!
//! Pure: no IO and no clock. Positions are integers of any unit (days, milliseconds, row numbers); intervals are
//! half-open. A [`Piece`] is one fetch that was stored; pieces may overlap, as each is only ever added, and a point counts
//! as covered while any piece over it is fresh. (Of two, the later one is fresh for longer, and its rows are the stored ones.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::{Code, Error, Result};

/// Fetches for one request, at most: a `chunk` that is far too small must not fill the memory.
const MOST_FETCHES: u64 = 10_000;

/// `start <= position < end`. Empty where `start >= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// The first position.
    pub start: i64,
    /// The position after the last.
    pub end: i64,
}

impl Interval {
    /// From `start` up to, not including, `end`.
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// One fetch that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What was fetched.
    pub interval: Interval,
    /// When the fetch began, in milliseconds since the Unix epoch.
    pub fetched: i64,
}

/// The part of a range that may still change at its source when it is fetched: the newest, such as the last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volatile {
    /// How far the tail reaches back from the time of a fetch, in milliseconds.
    pub last: i64,
    /// How long what was fetched of it is fresh, in milliseconds.
    pub ttl: i64,
    /// Milliseconds of one position: 86,400,000 where positions are days.
    pub unit: i64,
}

/// For how long pieces are fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Milliseconds; `None` for ever.
    pub ttl: Option<i64>,
    /// The tail with a shorter time of its own. What was fetched as part of it is never fresh for longer, also when the tail
    /// has moved on: it may have been fetched half done.
    pub volatile: Option<Volatile>,
}

impl Freshness {
    /// The first position that was volatile at a fetch: whatever of it lies later than `last` before the fetch.
    fn horizon(&self, fetched: i64) -> i64 {
        self.volatile.map_or(i64::MAX, |tail| fetched.saturating_sub(tail.last).div_euclid(tail.unit.max(1)))
    }

    /// The part of a piece that is fresh.
    fn fresh(&self, piece: &Piece, now: i64) -> Interval {
        let age = now.saturating_sub(piece.fetched);
        let Interval { start, end } = piece.interval;
        if self.ttl.is_some_and(|ttl| age >= ttl) {
            return Interval::new(start, start);
        }
        let settled = self.volatile.is_some_and(|tail| age >= tail.ttl);
        Interval::new(start, if settled { end.min(self.horizon(piece.fetched)) } else { end })
    }

    /// Whether all of a piece is fresh for ever.
    fn is_permanent(&self, piece: &Piece) -> bool {
        self.ttl.is_none() && piece.interval.end <= self.horizon(piece.fetched)
    }
}

/// How gaps become fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// At most so many gaps: the closest are joined, with what lies between.
    pub max_gaps: Option<usize>,
    /// At most so many positions a fetch.
    pub chunk: Option<i64>,
    /// So many positions more at each end of a gap, as far as nothing there is covered.
    pub padding: i64,
    /// No padding goes beyond.
    pub bounds: Interval,
}

impl Default for Shape {
    fn default() -> Self {
        Self { max_gaps: None, chunk: None, padding: 0, bounds: Interval::new(i64::MIN, i64::MAX) }
    }
}

/// What is covered by fresh pieces: sorted, disjoint, and not adjacent.
pub fn covered(pieces: &[Piece], now: i64, freshness: &Freshness) -> Vec<Interval> {
    union(pieces.iter().map(|piece| freshness.fresh(piece, now)).collect())
}

/// The union of intervals: sorted, disjoint, and not adjacent.
pub fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|interval| !interval.is_empty());
    intervals.sort_unstable();
    let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match joined.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => joined.push(next),
        }
    }
    joined
}

/// `asked` without `covered`, which is a [`union`]: the fewest and smallest intervals.
pub fn gaps(asked: Interval, covered: &[Interval]) -> Vec<Interval> {
    let mut gaps = Vec::new();
    let mut from = asked.start;
    let first = covered.partition_point(|interval| interval.end <= asked.start);
    for interval in covered[first..].iter().take_while(|interval| interval.start < asked.end) {
        if from < interval.start {
            gaps.push(Interval::new(from, interval.start));
        }
        from = interval.end;
    }
    if from < asked.end {
        gaps.push(Interval::new(from, asked.end));
    }
    gaps
}

/// The fetches that fill `gaps`, which are sorted and disjoint and touch nothing of `covered`.
///
/// # Errors
/// `E_INVALID_OPTION` where `chunk` would make more than 10,000 of them.
pub fn fetches(gaps: &[Interval], covered: &[Interval], shape: &Shape) -> Result<Vec<Interval>> {
    let joined = shape.max_gaps.map_or_else(|| gaps.to_vec(), |most| join_closest(gaps, most.max(1)));
    let padded = union(joined.into_iter().map(|gap| pad(gap, covered, shape)).collect());
    let Some(chunk) = shape.chunk.filter(|&chunk| chunk > 0) else { return Ok(padded) };
    let count = padded.iter().map(|whole| whole.end.abs_diff(whole.start).div_ceil(chunk.unsigned_abs()));
    let count = count.fold(0_u64, u64::saturating_add);
    if count > MOST_FETCHES {
        let message = format!(
            "what is missing would take {count} fetches of the given chunk: give a larger chunk, or ask for less at once (at most {MOST_FETCHES})"
        );
        return Err(Error::new(Code::InvalidOption, message).with("name", "chunk"));
    }
    Ok(padded.into_iter().flat_map(|whole| cut(whole, chunk)).collect())
}

/// Joins neighbours over the shortest distances, until no more than `most` are left.
fn join_closest(gaps: &[Interval], most: usize) -> Vec<Interval> {
    if gaps.len() <= most {
        return gaps.to_vec();
    }
    let mut seams: Vec<usize> = (1..gaps.len()).collect();
    seams.sort_by_key(|&at| gaps[at].start.abs_diff(gaps[at - 1].end));
    // The longest distances stay.
    let mut kept = seams.split_off(gaps.len() - most);
    kept.sort_unstable();
    let starts = std::iter::once(0).chain(kept.iter().copied());
    let ends = kept.iter().copied().chain(std::iter::once(gaps.len()));
    starts.zip(ends).map(|(from, to)| Interval::new(gaps[from].start, gaps[to - 1].end)).collect()
}

fn pad(gap: Interval, covered: &[Interval], shape: &Shape) -> Interval {
    let before = covered.partition_point(|interval| interval.end <= gap.start);
    let after = covered.partition_point(|interval| interval.start < gap.end);
    let low = before.checked_sub(1).map_or(i64::MIN, |at| covered[at].end).max(shape.bounds.start);
    let high = covered.get(after).map_or(i64::MAX, |next| next.start).min(shape.bounds.end);
    Interval::new(
        gap.start.saturating_sub(shape.padding).max(low).min(gap.start),
        gap.end.saturating_add(shape.padding).min(high).max(gap.end),
    )
}

fn cut(whole: Interval, chunk: i64) -> impl Iterator<Item = Interval> {
    let starts = std::iter::successors(Some(whole.start), move |&at| at.checked_add(chunk));
    starts
        .take_while(move |&at| at < whole.end)
        .map(move |at| Interval::new(at, at.saturating_add(chunk).min(whole.end)))
}

/// The same coverage in fewer pieces: disjoint, of overlapping ones the latest, and adjacent ones as one where that changes
/// nothing: both of one fetch time, or both fresh for ever. The earlier time is kept then, so that a TTL set later errs
/// towards fetching.
pub fn compact(pieces: &[Piece], freshness: &Freshness) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::new();
    for piece in latest(pieces) {
        if let Some(last) = merged.last_mut() {
            let both = Piece {
                interval: Interval::new(last.interval.start, piece.interval.end),
                fetched: last.fetched.min(piece.fetched),
            };
            let adjacent = last.interval.end == piece.interval.start;
            let alike = last.fetched == piece.fetched
                || (freshness.is_permanent(last)
                    && freshness.is_permanent(&piece)
                    && freshness.is_permanent(&both));
            if adjacent && alike {
                *last = both;
                continue;
            }
        }
        merged.push(piece);
    }
    merged
}

/// Disjoint pieces in order: at each position the latest of those over it. A sweep from bound to bound.
fn latest(pieces: &[Piece]) -> Vec<Piece> {
    let mut coming: Vec<&Piece> = pieces.iter().filter(|piece| !piece.interval.is_empty()).collect();
    coming.sort_unstable_by_key(|piece| Reverse(piece.interval.start));
    let mut bounds: Vec<i64> =
        coming.iter().flat_map(|piece| [piece.interval.start, piece.interval.end]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    // By time of fetch, then by end.
    let mut open: BinaryHeap<(i64, i64)> = BinaryHeap::new();
    let mut disjoint = Vec::new();
    for bound in bounds.windows(2) {
        let (start, end) = (bound[0], bound[1]);
        while let Some(piece) = coming.pop_if(|piece| piece.interval.start <= start) {
            open.push((piece.fetched, piece.interval.end));
        }
        while open.peek().is_some_and(|&(_, until)| until <= start) {
            open.pop();
        }
        if let Some(&(fetched, _)) = open.peek() {
            disjoint.push(Piece { interval: Interval::new(start, end), fetched });
        }
    }
    disjoint
}

#[cfg(test)]
mod tests;

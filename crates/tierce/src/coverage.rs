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
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A naive model: the set of positions.
    fn set(intervals: &[Interval]) -> BTreeSet<i64> {
        intervals.iter().flat_map(|interval| interval.start..interval.end).collect()
    }

    fn is_fresh(piece: &Piece, at: i64, now: i64, freshness: &Freshness) -> bool {
        let age = now - piece.fetched;
        let was_volatile =
            freshness.volatile.is_some_and(|tail| (at + 1) * tail.unit > piece.fetched - tail.last);
        (piece.interval.start..piece.interval.end).contains(&at)
            && freshness.ttl.is_none_or(|ttl| age < ttl)
            && (!was_volatile || freshness.volatile.is_some_and(|tail| age < tail.ttl))
    }

    fn interval() -> impl Strategy<Value = Interval> {
        (-40i64..40, 0i64..25).prop_map(|(start, length)| Interval::new(start, start + length))
    }

    fn piece() -> impl Strategy<Value = Piece> {
        (interval(), 0i64..200).prop_map(|(interval, fetched)| Piece { interval, fetched })
    }

    fn freshness() -> impl Strategy<Value = Freshness> {
        let volatile =
            (0i64..60, 1i64..40, 1i64..8).prop_map(|(last, ttl, unit)| Volatile { last, ttl, unit });
        (proptest::option::of(1i64..150), proptest::option::of(volatile))
            .prop_map(|(ttl, volatile)| Freshness { ttl, volatile })
    }

    fn is_canonical(intervals: &[Interval]) -> bool {
        intervals.iter().all(|one| one.start < one.end)
            && intervals.windows(2).all(|two| two[0].end < two[1].start)
    }

    proptest! {
        #[test]
        fn gaps_are_exactly_what_was_asked_and_is_not_covered_by_anything_fresh(
            pieces in vec(piece(), 0..12), asked in interval(), now in 0i64..260, freshness in freshness(),
        ) {
            let covered = covered(&pieces, now, &freshness);
            prop_assert!(is_canonical(&covered));
            let gaps = gaps(asked, &covered);
            prop_assert!(is_canonical(&gaps));
            let missing: BTreeSet<i64> = (asked.start..asked.end)
                .filter(|&at| !pieces.iter().any(|piece| is_fresh(piece, at, now, &freshness)))
                .collect();
            prop_assert_eq!(set(&gaps), missing);
        }

        #[test]
        fn shaped_fetches_fill_every_gap_and_no_more_than_they_may(
            spans in vec(interval(), 0..12), asked in interval(), max in proptest::option::of(1usize..4),
            chunk in proptest::option::of(1i64..9), padding in 0i64..6,
        ) {
            let covered = union(spans);
            let gaps = gaps(asked, &covered);
            let bounds = Interval::new(asked.start - 3, asked.end + 3);
            let shape = Shape { max_gaps: max, chunk, padding, bounds };
            let fetches = fetches(&gaps, &covered, &shape).unwrap();
            prop_assert!(set(&gaps).is_subset(&set(&fetches)));
            prop_assert!(fetches.windows(2).all(|two| two[0].end <= two[1].start));
            if let Some(chunk) = chunk {
                prop_assert!(fetches.iter().all(|one| one.end - one.start <= chunk));
            } else if let Some(max) = max {
                prop_assert!(fetches.len() <= max);
            }
            if max.is_none() {
                prop_assert!(set(&fetches).is_disjoint(&set(&covered)), "nothing covered is fetched again");
            }
            for at in set(&fetches).difference(&set(&gaps)) {
                let outside = *at < asked.start || *at >= asked.end;
                prop_assert!(!outside || (padding > 0 && bounds.start <= *at && *at < bounds.end));
            }
            if max.is_none() && chunk.is_none() && padding == 0 {
                prop_assert_eq!(fetches, gaps);
            }
        }

        #[test]
        fn compacting_changes_nothing_now_and_later(
            pieces in vec(piece(), 0..12), now in 0i64..600, freshness in freshness(),
        ) {
            let compacted = compact(&pieces, &freshness);
            prop_assert!(compacted.windows(2).all(|two| two[0].interval.end <= two[1].interval.start));
            // The latest fetch decides, as it does of rows.
            prop_assert_eq!(covered(&compacted, now, &freshness), covered(&pieces, now, &freshness));
            prop_assert!(compact(&compacted, &freshness).len() <= compacted.len());
            if freshness == Freshness::default() {
                prop_assert_eq!(compacted.len(), covered(&pieces, now, &freshness).len());
            }
        }
    }

    #[test]
    fn january_with_a_hole_has_one_gap_of_ten_days() {
        let days = |from: i64, to: i64| Interval::new(from, to + 1);
        let covered = union(vec![days(21, 31), days(1, 10)]);
        assert_eq!(gaps(days(5, 25), &covered), [days(11, 20)]);
        assert_eq!(gaps(days(1, 10), &covered), []);
        assert_eq!(gaps(days(30, 33), &covered), [days(32, 33)], "an extension fetches no day twice");
    }

    #[test]
    fn the_closest_gaps_are_joined() {
        let gaps =
            vec![Interval::new(0, 1), Interval::new(10, 11), Interval::new(12, 13), Interval::new(40, 41)];
        let shape = Shape { max_gaps: Some(3), ..Shape::default() };
        let joined = [Interval::new(0, 1), Interval::new(10, 13), Interval::new(40, 41)];
        assert_eq!(fetches(&gaps, &[], &shape).unwrap(), joined);
        let shape = Shape { max_gaps: Some(1), ..Shape::default() };
        assert_eq!(fetches(&gaps, &[], &shape).unwrap(), [Interval::new(0, 41)]);
    }

    #[test]
    fn positions_at_the_ends_of_i64_do_not_overflow() {
        let all = Interval::new(i64::MIN, i64::MAX);
        let shape = Shape { padding: i64::MAX, chunk: Some(i64::MAX), ..Shape::default() };
        assert_eq!(set_size(&fetches(&gaps(all, &[]), &[], &shape).unwrap()), u128::from(u64::MAX));
        let shape = Shape { chunk: Some(1), ..Shape::default() };
        assert_eq!(fetches(&[all], &[], &shape).unwrap_err().code(), Code::InvalidOption);
        let piece = Piece { interval: all, fetched: i64::MIN };
        let tail = Volatile { last: i64::MAX, ttl: 1, unit: 1 };
        let freshness = Freshness { ttl: None, volatile: Some(tail) };
        assert_eq!(covered(&[piece], i64::MAX, &freshness), []);
    }

    fn set_size(intervals: &[Interval]) -> u128 {
        intervals.iter().map(|one| u128::from(one.end.abs_diff(one.start))).sum()
    }
}

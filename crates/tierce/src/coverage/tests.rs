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
    let volatile = (0i64..60, 1i64..40, 1i64..8).prop_map(|(last, ttl, unit)| Volatile { last, ttl, unit });
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
    let gaps = vec![Interval::new(0, 1), Interval::new(10, 11), Interval::new(12, 13), Interval::new(40, 41)];
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

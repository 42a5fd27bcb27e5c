//! Intervals as a damaged database may hold them: arithmetic that neither panics nor hangs, and gaps that are gaps.
#![no_main]

use tierce::coverage::{Freshness, Interval, Piece, Shape, Volatile, compact, covered, fetches, gaps};
use tierce_fuzz::take;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let mut number = || i64::from_le_bytes(take(&mut rest));
    let flags = number();
    let (asked, bounds) = (Interval::new(number(), number()), Interval::new(number(), number()));
    let volatile = Volatile { last: number(), ttl: number(), unit: number() };
    let (now, ttl, padding) = (number(), number(), number());
    let freshness =
        Freshness { ttl: (flags & 1 != 0).then_some(ttl), volatile: (flags & 2 != 0).then_some(volatile) };
    // Short enough that a fetch a position is still a short list.
    let chunk = (flags & 4 != 0).then_some(i64::MAX >> (flags as u8 >> 4));
    let shape = Shape { max_gaps: (flags & 8 != 0).then_some(2), chunk, padding, bounds };
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let mut number = || i64::from_le_bytes(take(&mut rest));
        pieces.push(Piece { interval: Interval::new(number(), number()), fetched: number() });
    }
    let known = covered(&pieces, now, &freshness);
    assert!(known.windows(2).all(|two| two[0].end < two[1].start), "sorted, disjoint and not adjacent");
    assert_eq!(covered(&compact(&pieces, &freshness), now, &freshness), known, "compacting changes nothing");
    let missing = gaps(asked, &known);
    for gap in &missing {
        assert!(gap.start < gap.end && gap.start >= asked.start && gap.end <= asked.end);
        assert!(known.iter().all(|known| known.end <= gap.start || gap.end <= known.start));
    }
    let _ = fetches(&missing, &known, &shape);
});

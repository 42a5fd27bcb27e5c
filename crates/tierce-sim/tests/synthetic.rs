//! `auto` on traces that nothing was chosen by: other seeds than those of the survey.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use tierce::policy::{POLICIES, PolicyKind};
use tierce_sim::replay;
use tierce_sim::synthetic::{SHAPES, shape};

/// By how many points `auto` may be worse than the best.
fn limit(shape: &str) -> f64 {
    match shape {
        // The best policy changes with every loop, faster than any evidence comes in.
        "loops-and-scans" => 6.0,
        // w-tinylfu, with which it starts, is 45 points worse than the best: learning that costs more than a point of a
        // trace that is only 20 times as long as the cache.
        "twice" => 2.0,
        _ => 1.0,
    }
}

#[test]
fn auto_is_near_the_best_on_shapes_it_was_not_tuned_to() {
    let (mut sums, mut pairs) = (vec![0.0; POLICIES.len()], 0);
    for (name, seed) in SHAPES.iter().flat_map(|&name| [(name, 101), (name, 102)]) {
        let trace = shape(name, seed, 200_000);
        for capacity in [150, 1500, 9000] {
            let ratios: Vec<f64> = POLICIES
                .iter()
                .map(|row| 100.0 * replay(&trace, row.0, capacity, false).miss_ratio())
                .collect();
            let auto = POLICIES.iter().position(|row| row.0 == PolicyKind::Auto).unwrap();
            let best =
                (0..ratios.len()).filter(|&row| row != auto).map(|row| ratios[row]).fold(100.0, f64::min);
            assert!(
                ratios[auto] <= best + limit(name),
                "{name} at {capacity}: {:.2} %, best {best:.2} %",
                ratios[auto]
            );
            sums.iter_mut().zip(&ratios).for_each(|(sum, ratio)| *sum += ratio);
            pairs += 1;
        }
    }
    let auto = POLICIES.iter().zip(&sums).find(|row| row.0.0 == PolicyKind::Auto).unwrap().1;
    assert!(sums.iter().all(|sum| auto <= sum), "sums over {pairs} pairs: {sums:?}");
}

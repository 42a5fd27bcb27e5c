//! Prints how far `auto` is from the best single policy on synthetic traces: `survey [SEED...]`.

use tierce::policy::{POLICIES, PolicyKind};
use tierce_sim::replay;
use tierce_sim::synthetic::{SHAPES, shape};

fn main() {
    let seeds: Vec<u64> = std::env::args().skip(1).filter_map(|seed| seed.parse().ok()).collect();
    let mut sums = vec![0.0; POLICIES.len()];
    let mut pairs = 0;
    println!(
        "| trace | capacity | best | its miss ratio | w-tinylfu | auto | auto is worse by (points) |\n|---|---:|---|---:|---:|---:|---:|"
    );
    for (name, seed) in SHAPES.iter().flat_map(|name| seeds.iter().map(move |&seed| (name, seed))) {
        let trace = shape(name, seed, 300_000);
        for capacity in [120, 500, 1000, 2500, 6000, 15_000] {
            let ratios: Vec<f64> =
                POLICIES.iter().map(|row| replay(&trace, row.0, capacity, false).miss_ratio()).collect();
            let ratio_of =
                |kind| POLICIES.iter().position(|row| row.0 == kind).map_or(1.0, |row| ratios[row]);
            let (auto, tiny) = (ratio_of(PolicyKind::Auto), ratio_of(PolicyKind::WTinyLfu));
            let singles = || POLICIES.iter().zip(&ratios).filter(|row| row.0.0 != PolicyKind::Auto);
            let Some((best, ratio)) = singles().min_by(|a, b| a.1.total_cmp(b.1)) else { continue };
            let worse = 100.0 * (auto - ratio);
            println!(
                "| {} | {capacity} | {} | {ratio:.4} | {tiny:.4} | {auto:.4} | {worse:+.2} |",
                trace.name, best.1
            );
            sums.iter_mut().zip(&ratios).for_each(|(sum, ratio)| *sum += ratio);
            pairs += 1;
        }
    }
    for (row, sum) in POLICIES.iter().zip(sums) {
        println!("mean of {pairs}: {} {:.4}", row.1, sum / f64::from(pairs));
    }
}

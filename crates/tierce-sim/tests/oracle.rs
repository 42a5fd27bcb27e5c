//! The policies against the miss counts that reference implementations give on recorded traces.
//!
//! The traces are outside the repository: in `$TIERCE_SHARED`, or in `../shared/data` beside its root. Without them these
//! tests pass without having tested anything, and say so. `TIERCE_ALL_TRACES=1` replays the large ones too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use tierce::policy::{POLICIES, PolicyKind};
use tierce_sim::{Trace, replay};

const EXACT: [(PolicyKind, &str); 6] = [
    (PolicyKind::Fifo, "ref:FIFO"),
    (PolicyKind::Lru, "ref:LRU"),
    (PolicyKind::Lfu, "ref:LFU-lru-tie"),
    (PolicyKind::Mru, "ref:MRU"),
    (PolicyKind::Lifo, "ref:LIFO"),
    (PolicyKind::Sieve, "ref:SIEVE"),
];
const SMALL: [&str; 6] =
    ["adaptsize_sized", "cp_io_sized", "lirs_2pools", "lirs_glimpse", "lirs_loop", "lirs_sprite"];

/// A trace, a capacity, and whether it counts bytes.
type Pair = (String, u64, bool);

struct Oracle {
    folder: PathBuf,
    misses: BTreeMap<Pair, BTreeMap<String, u64>>,
}

impl Oracle {
    fn load() -> Option<Self> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
        let folder = std::env::var_os("TIERCE_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
        let Ok(table) = std::fs::read_to_string(folder.join("oracle.csv")) else {
            eprintln!("not tested: there is no oracle.csv in {}", folder.display());
            return None;
        };
        let all = std::env::var_os("TIERCE_ALL_TRACES").is_some();
        let mut misses: BTreeMap<Pair, BTreeMap<String, u64>> = BTreeMap::new();
        for row in table.lines().skip(1) {
            let cells: Vec<&str> = row.split(',').collect();
            if all || SMALL.contains(&cells[0]) {
                let pair = (cells[0].to_owned(), cells[2].parse().unwrap(), cells[6] == "1");
                misses.entry(pair).or_default().insert(cells[1].to_owned(), cells[4].parse().unwrap());
            }
        }
        Some(Self { folder, misses })
    }

    /// Calls `visit` with each pair, its trace, and the references' misses.
    fn each(&self, mut visit: impl FnMut(&Pair, &Trace, &BTreeMap<String, u64>)) {
        let mut trace = Trace::default();
        for (pair, misses) in &self.misses {
            if trace.name != pair.0 {
                trace = Trace::read(&self.folder.join(format!("traces/{}.tsv.gz", pair.0))).unwrap();
            }
            visit(pair, &trace, misses);
        }
    }
}

#[test]
fn exact_policies_miss_as_often_as_the_references() {
    let Some(oracle) = Oracle::load() else { return };
    let mut compared = 0;
    oracle.each(|(name, capacity, by_size), trace, misses| {
        for (kind, reference) in EXACT {
            let ours = replay(trace, kind, *capacity, *by_size).misses;
            assert_eq!(ours, misses[reference], "{kind:?} on {name} at {capacity}, by size: {by_size}");
            compared += 1;
        }
    });
    assert!(compared > 100);
}

/// The policy is within half a point of the worse reference everywhere, and on average no worse than the better one.
fn keeps_up_with(kind: PolicyKind, references: [&str; 2]) {
    let Some(oracle) = Oracle::load() else { return };
    let mut sums = [0.0; 3];
    oracle.each(|(name, capacity, by_size), trace, misses| {
        let both = references.map(|reference| misses.get(reference));
        let ([Some(&first), Some(&second)], false, 100..) = (both, *by_size, *capacity) else { return };
        let outcome = replay(trace, kind, *capacity, false);
        let points = |misses: u64| 100.0 * misses as f64 / outcome.requests as f64;
        let (ours, worse) = (outcome.miss_ratio() * 100.0, points(first.max(second)));
        assert!(
            ours <= worse + 0.5,
            "{kind:?} on {name} at {capacity}: {ours:.2} %, references up to {worse:.2} %"
        );
        for (sum, part) in sums.iter_mut().zip([ours, points(first), points(second)]) {
            *sum += part;
        }
    });
    // The mean over pairs of a reference's ratio in percent adds rounding of its own.
    assert!(sums[0] <= sums[1].min(sums[2]) + 1e-6, "{kind:?}: {sums:?}");
}

#[test]
fn s3_fifo_keeps_up_with_its_references() {
    keeps_up_with(PolicyKind::S3Fifo, ["lcs:S3FIFO-mtm1", "caffeine:S3FIFO-mtm1"]);
}

#[test]
fn w_tinylfu_keeps_up_with_its_references() {
    keeps_up_with(
        PolicyKind::WTinyLfu,
        ["caffeine:HillClimberWTinyLFU-simple", "caffeine:WTinyLFU-w1-sketch"],
    );
}

#[test]
fn auto_is_near_the_best_on_each_pair_and_better_than_any_single_policy_on_average() {
    let Some(oracle) = Oracle::load() else { return };
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    oracle.each(|(name, capacity, by_size), trace, _| {
        if *by_size || *capacity < 100 || (trace.requests.len() as u64) < 20 * capacity {
            return;
        }
        let ratio = |kind| 100.0 * replay(trace, kind, *capacity, false).miss_ratio();
        let ratios: Vec<(&str, f64)> = POLICIES.iter().map(|row| (row.1, ratio(row.0))).collect();
        let best = ratios.iter().filter(|row| row.0 != "auto").map(|row| row.1).fold(100.0, f64::min);
        for (policy, ratio) in ratios {
            *sums.entry(policy).or_default() += ratio;
            assert!(
                policy != "auto" || ratio <= best + 1.0,
                "{name} at {capacity}: {ratio:.2} %, best {best:.2} %"
            );
        }
    });
    assert!(sums.values().all(|&sum| sums["auto"] <= sum), "{sums:?}");
}

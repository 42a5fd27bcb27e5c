//! Traces of known shapes, made from a seed.

use crate::Trace;

/// A small generator of random numbers (S. Vigna: SplitMix64), so that a seed means the same trace everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that a seed determines.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In [low, high).
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + (self.unit() * (high - low) as f64) as u64
    }

    /// Geometric with the given mean.
    fn geometric(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.unit()).ln() * mean) as u64
    }

    /// `length` keys of 0..`keys` with the frequencies of Zipf's law.
    pub fn zipf(&mut self, length: usize, keys: usize, exponent: f64) -> Vec<u64> {
        let mut sums = Vec::with_capacity(keys);
        let mut sum = 0.0;
        for rank in 1..=keys {
            sum += (rank as f64).powf(-exponent);
            sums.push(sum);
        }
        (0..length)
            .map(|_| self.unit() * sum)
            .map(|at| sums.partition_point(|&below| below < at) as u64)
            .collect()
    }
}

/// The shapes that [`shape`] makes.
pub const SHAPES: &[&str] = &[
    "zipf-flat",
    "zipf-steep",
    "loop",
    "loops-and-scans",
    "zipf-and-scans",
    "shifting",
    "phases",
    "recent",
    "two-classes",
    "twice",
    "zipf-and-loop",
];

const COLD: u64 = 1 << 32;

/// A trace of about `length` requests of one of the [`SHAPES`]; the seed sets its sizes too.
#[must_use]
pub fn shape(name: &str, seed: u64, length: usize) -> Trace {
    let random = &mut Random::new(seed);
    let keys = match name {
        "zipf-flat" => random.zipf(length, 30_000, 0.7),
        "zipf-steep" => random.zipf(length, 60_000, 1.1),
        "loop" => around(random.range(700, 4000), length),
        "loops-and-scans" => loops_and_scans(random, length),
        "zipf-and-scans" => zipf_and_scans(random, length),
        "shifting" => {
            let pace = random.range(20, 60);
            let offset = |(at, key): (usize, u64)| key + at as u64 / pace;
            random.zipf(length, 8000, 0.8).into_iter().enumerate().map(offset).collect()
        }
        "phases" => (0..6).flat_map(|number| phase(random, number, length / 6)).collect(),
        "recent" => {
            let mean = random.range(500, 4000) as f64;
            recent(random, length, 4, mean)
        }
        "two-classes" => (0..length)
            .map(|_| if random.unit() < 0.6 { random.range(0, 1000) } else { COLD + random.range(0, 50_000) })
            .collect(),
        "twice" => twice(random, length),
        _ => {
            let zipf = random.zipf(length, 10_000, 0.9);
            let rounds = around(3000, length).into_iter().zip(zipf);
            rounds.map(|(round, key)| if random.unit() < 0.5 { key } else { COLD + round }).collect()
        }
    };
    Trace::of_keys(&format!("{name}-{seed}"), keys)
}

fn around(keys: u64, length: usize) -> Vec<u64> {
    (0..length as u64).map(|at| at % keys).collect()
}

/// Loops of several lengths, three rounds each, with one-time scans between.
fn loops_and_scans(random: &mut Random, length: usize) -> Vec<u64> {
    let (mut keys, mut scanned) = (Vec::new(), COLD);
    while keys.len() < length {
        let (from, count) = (random.range(0, 6) * 2000, random.range(200, 1500));
        keys.extend((0..3 * count).map(|at| from + at % count));
        keys.extend(scanned..scanned + 800);
        scanned += 800;
    }
    keys
}

fn zipf_and_scans(random: &mut Random, length: usize) -> Vec<u64> {
    let (mut keys, mut scanned) = (Vec::new(), COLD);
    for run in random.zipf(length * 2 / 3, 20_000, 0.9).chunks(10_000) {
        keys.extend_from_slice(run);
        let scan = random.range(1000, 8000);
        keys.extend(scanned..scanned + scan);
        scanned += scan;
    }
    keys
}

/// Keys that come in one after another, and are asked for again by their recency.
fn recent(random: &mut Random, length: usize, again: u64, mean: f64) -> Vec<u64> {
    (0..length as u64).map(|at| (at / again).saturating_sub(random.geometric(mean))).collect()
}

fn phase(random: &mut Random, number: u64, length: usize) -> Vec<u64> {
    let keys = match random.range(0, 4) {
        0 => random.zipf(length, 20_000, 0.9),
        1 => around(random.range(1500, 6000), length),
        2 => random
            .zipf(length, 5000, 0.7)
            .into_iter()
            .enumerate()
            .map(|(at, key)| key + at as u64 / 10)
            .collect(),
        _ => recent(random, length, 2, 800.0),
    };
    keys.into_iter().map(|key| key + number * COLD).collect()
}

/// Each key is used twice, a short while apart.
fn twice(random: &mut Random, length: usize) -> Vec<u64> {
    let half = length as u64 / 2;
    let mut uses: Vec<(u64, u64)> = (0..half).map(|key| (2 * key, key)).collect();
    uses.extend((0..half).map(|key| (2 * key + 2 * random.range(1, 3000), key)));
    uses.sort_unstable();
    uses.into_iter().map(|(_, key)| key).collect()
}

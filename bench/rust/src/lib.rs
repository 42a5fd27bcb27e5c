//! Get-or-insert on Zipf 0.9: 1 M keys, capacity 100 k, u64 to u64, and the caches that are compared.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tierce::memory::MemoryCache;
use tierce::policy::PolicyKind;

const KEYS: usize = 1_000_000;
const CAPACITY: usize = 100_000;
/// Requests of a thread in one turn.
pub const SLICE: usize = 500_000;

/// A cache of 100 k entries.
pub trait Peer: Send + Sync {
    /// True on a hit; a miss inserts.
    fn get_or_insert(&self, key: u64) -> bool;
}

struct Ours(MemoryCache<u64, u64>);

impl Peer for Ours {
    fn get_or_insert(&self, key: u64) -> bool {
        let hit = self.0.get(&key).is_some();
        if !hit {
            self.0.insert(key, key);
        }
        hit
    }
}

struct QuickCache(quick_cache::sync::Cache<u64, u64>);

impl Peer for QuickCache {
    fn get_or_insert(&self, key: u64) -> bool {
        let hit = self.0.get(&key).is_some();
        if !hit {
            self.0.insert(key, key);
        }
        hit
    }
}

struct Moka(moka::sync::Cache<u64, u64>);

impl Peer for Moka {
    fn get_or_insert(&self, key: u64) -> bool {
        let hit = self.0.get(&key).is_some();
        if !hit {
            self.0.insert(key, key);
        }
        hit
    }
}

struct Foyer(foyer::Cache<u64, u64>);

impl Peer for Foyer {
    fn get_or_insert(&self, key: u64) -> bool {
        let hit = self.0.get(&key).is_some();
        if !hit {
            self.0.insert(key, key);
        }
        hit
    }
}

fn ours(kind: PolicyKind) -> Arc<dyn Peer> {
    Arc::new(Ours(MemoryCache::with_max_entries(CAPACITY as u64).policy(kind).build()))
}

/// All caches, empty, by name.
#[must_use]
pub fn peers() -> Vec<(&'static str, Arc<dyn Peer>)> {
    let s3 =
        || foyer::CacheBuilder::new(CAPACITY).with_eviction_config(foyer::S3FifoConfig::default()).build();
    vec![
        ("tierce sieve", ours(PolicyKind::Sieve)),
        ("tierce s3-fifo", ours(PolicyKind::S3Fifo)),
        ("tierce lru", ours(PolicyKind::Lru)),
        ("tierce w-tinylfu", ours(PolicyKind::WTinyLfu)),
        ("tierce auto", ours(PolicyKind::Auto)),
        ("quick_cache", Arc::new(QuickCache(quick_cache::sync::Cache::new(CAPACITY)))),
        ("foyer s3fifo", Arc::new(Foyer(s3()))),
        ("moka", Arc::new(Moka(moka::sync::Cache::new(CAPACITY as u64)))),
    ]
}

/// Zipf's law by a table of its sums, from a seed.
#[must_use]
pub fn zipf(length: usize) -> Vec<u64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += (rank as f64).powf(-0.9);
            sum
        })
        .collect();
    let mut state = 42u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let at: Vec<f64> = (0..length).map(|_| unit() * sum).collect();
    at.into_iter().map(|at| sums.partition_point(|&below| below < at) as u64).collect()
}

/// Nanoseconds an operation, and hits by requests; each slice is a thread's.
pub fn run(peer: &Arc<dyn Peer>, slices: &[&[u64]]) -> (f64, f64) {
    let start = Instant::now();
    let count = |slice: &[u64]| slice.iter().filter(|&&key| black_box(peer.get_or_insert(key))).count();
    let hits: usize = if let [only] = slices {
        count(only)
    } else {
        std::thread::scope(|scope| {
            let threads: Vec<_> = slices.iter().map(|slice| scope.spawn(move || count(slice))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
        })
    };
    let requests: usize = slices.iter().map(|slice| slice.len()).sum();
    (start.elapsed().as_nanos() as f64 / requests as f64, hits as f64 / requests as f64)
}

//! A cache of keys alone, driven by a trace.

use tierce::policy::{AnyPolicy, Policy, PolicyKind};

use crate::Trace;

/// What a replay counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All requests.
    pub requests: u64,
    /// Those whose key was not in the cache.
    pub misses: u64,
    /// The sizes of all requests, in bytes.
    pub bytes: u64,
    /// The sizes of the requests that missed, in bytes.
    pub missed_bytes: u64,
}

impl Outcome {
    /// Misses by requests.
    #[must_use]
    pub fn miss_ratio(&self) -> f64 {
        self.misses as f64 / self.requests.max(1) as f64
    }

    /// Missed bytes by requested bytes.
    #[must_use]
    pub fn byte_miss_ratio(&self) -> f64 {
        self.missed_bytes as f64 / self.bytes.max(1) as f64
    }
}

const NONE: u32 = u32::MAX;

/// Each request is a get and, on a miss, an insert, into a cache that is empty at first. `capacity` is in entries, or
/// in bytes if `by_size`; an object larger than the capacity is not inserted.
#[must_use]
pub fn replay(trace: &Trace, kind: PolicyKind, capacity: u64, by_size: bool) -> Outcome {
    let mut policy = AnyPolicy::new(kind, capacity);
    let mut slot_of = vec![NONE; trace.distinct()];
    let mut key_of: Vec<u32> = Vec::new();
    let mut free: Vec<u32> = Vec::new();
    let mut victims = Vec::new();
    let mut outcome = Outcome { requests: trace.requests.len() as u64, ..Outcome::default() };
    for &key in &trace.requests {
        let size = trace.sizes[key as usize];
        outcome.bytes += u64::from(size);
        let slot = slot_of[key as usize];
        if slot != NONE {
            policy.hit(slot);
            continue;
        }
        outcome.misses += 1;
        outcome.missed_bytes += u64::from(size);
        let slot = free.pop().unwrap_or_else(|| {
            key_of.push(NONE);
            key_of.len() as u32 - 1
        });
        (slot_of[key as usize], key_of[slot as usize]) = (slot, key);
        policy.insert(slot, trace.hashes[key as usize], if by_size { size } else { 1 }, &mut victims);
        for victim in victims.drain(..) {
            slot_of[key_of[victim as usize] as usize] = NONE;
            free.push(victim);
        }
    }
    debug_assert_eq!(policy.check(), Ok(()));
    outcome
}

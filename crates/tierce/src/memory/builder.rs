//! How a [`MemoryCache`] is set up.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::DefaultHashBuilder;

use super::cache::MemoryCache;
use crate::clock::{Clock, SystemClock};
use crate::policy::PolicyKind;

pub(super) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// A shard is not worth a lock of its own below this many entries ...
const LEAST_ENTRIES: u64 = 256;
/// ... or this weight. An object can't be heavier than its shard's share.
const LEAST_WEIGHT: u64 = 1 << 22;

/// Sets up a [`MemoryCache`].
pub struct Builder<K, V, S = DefaultHashBuilder> {
    pub(super) capacity: u64,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) policy: PolicyKind,
    pub(super) ttl: Option<Duration>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: S,
    shards: Option<usize>,
}

impl<K, V> Builder<K, V> {
    pub(super) fn new(capacity: u64, weigher: Option<Weigher<K, V>>) -> Self {
        Self {
            capacity,
            weigher,
            policy: PolicyKind::S3Fifo,
            ttl: None,
            clock: Arc::new(SystemClock),
            hasher: DefaultHashBuilder::default(),
            shards: None,
        }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// The eviction policy; s3-fifo by default. Names parse into a [`PolicyKind`].
    #[must_use]
    pub fn policy(mut self, policy: PolicyKind) -> Self {
        self.policy = policy;
        self
    }

    /// How long a value may be given out, if its insert does not say; for ever by default.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The clock by which values expire; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Into how many parts, with a lock each, the cache is divided; rounded up to a power of two. The capacity is divided
    /// too, and with it the order of eviction: one shard makes the exact policies exact. By default as many as the cores
    /// can use, but none smaller than 256 entries or 4 Mi units of weight.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// The hasher of the keys, whose 64 bits must be well mixed.
    #[must_use]
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> Builder<K, V, T> {
        Builder {
            capacity: self.capacity,
            weigher: self.weigher,
            policy: self.policy,
            ttl: self.ttl,
            clock: self.clock,
            hasher,
            shards: self.shards,
        }
    }

    pub(super) fn shard_count(&self) -> usize {
        let share = if self.weigher.is_some() { LEAST_WEIGHT } else { LEAST_ENTRIES };
        let most = usize::try_from(self.capacity / share).unwrap_or(usize::MAX).max(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = self.shards.unwrap_or_else(|| (4 * cores).min(most));
        wanted.clamp(1, 1 << 16).next_power_of_two()
    }
}

impl<K: Hash + Eq, V: Clone, S: BuildHasher> Builder<K, V, S> {
    /// Builds the cache.
    #[must_use]
    pub fn build(self) -> MemoryCache<K, V, S> {
        MemoryCache::new(self)
    }
}

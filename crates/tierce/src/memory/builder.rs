//! How a [`MemoryCache`] is set up.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::cache::{Lease, MemoryCache};
use super::listener::{Cause, Listener};
use crate::clock::{Clock, SystemClock};
use crate::policy::PolicyKind;

/// The hasher of the keys where none is given: fast, well mixed and seeded, but not made against keys that are chosen to collide.
#[derive(Clone, Debug, Default)]
pub struct RandomState(hashbrown::DefaultHashBuilder);

impl BuildHasher for RandomState {
    type Hasher = <hashbrown::DefaultHashBuilder as BuildHasher>::Hasher;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }

    #[inline]
    fn hash_one<T: Hash>(&self, value: T) -> u64 {
        self.0.hash_one(value)
    }
}

pub(super) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// A shard is not worth a lock of its own below this many entries ...
const LEAST_ENTRIES: u64 = 256;
/// ... or this weight. An object can't be heavier than its shard's share.
const LEAST_WEIGHT: u64 = 1 << 22;

/// Sets up a [`MemoryCache`].
#[must_use = "nothing is made before `build`"]
pub struct Builder<K, V, S = RandomState> {
    pub(super) capacity: u64,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) policy: PolicyKind,
    pub(super) listener: Option<Listener<K, V>>,
    pub(super) lease: Lease,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: S,
    shards: Option<usize>,
}

impl<K, V, S> std::fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("policy", &self.policy)
            .field("lease", &self.lease)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl<K, V> Builder<K, V> {
    pub(super) fn new(capacity: u64, weigher: Option<Weigher<K, V>>) -> Self {
        Self {
            capacity,
            weigher,
            policy: PolicyKind::S3Fifo,
            listener: None,
            lease: Lease::default(),
            clock: Arc::new(SystemClock),
            hasher: RandomState::default(),
            shards: None,
        }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// The eviction policy; s3-fifo by default. Names parse into a [`PolicyKind`].
    pub fn policy(mut self, policy: PolicyKind) -> Self {
        self.policy = policy;
        self
    }

    /// How long a value may be given out, if its insert does not say; for ever by default.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.lease.ttl = Some(ttl);
        self
    }

    /// Whether that time starts again with each use: time to idle. Not by default.
    pub fn sliding(mut self, slides: bool) -> Self {
        self.lease.slides = slides;
        self
    }

    /// Is told of each entry that leaves, and why: on the thread whose call took it out, after that call's work and outside of all
    /// locks, so that it may use the cache. Of an expired entry it is told when somebody asks for it, or [`MemoryCache::cleanup`]
    /// finds it; not of those that are there when the cache is dropped.
    ///
    /// ```
    /// use tierce::memory::{Cause, MemoryCache};
    /// let cache = MemoryCache::with_max_entries(1)
    ///     .on_remove(|key: u32, value: &str, cause| println!("{key} ({value}) went: {cause:?}"))
    ///     .build();
    /// cache.insert(1, "one");
    /// cache.insert(2, "two"); // 1 (one) went: Evicted
    /// # assert_eq!(cache.len(), 1);
    /// # let _ = Cause::Evicted;
    /// ```
    pub fn on_remove(mut self, listener: impl Fn(K, V, Cause) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The clock by which values expire; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Into how many parts, with a lock each, the cache is divided; rounded up to a power of two. The capacity is divided
    /// too, and with it the order of eviction: one shard makes the exact policies exact. By default as many as the cores
    /// can use, but none smaller than 256 entries or 4 Mi units of weight.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// The hasher of the keys, whose 64 bits must be well mixed.
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> Builder<K, V, T> {
        Builder {
            capacity: self.capacity,
            weigher: self.weigher,
            policy: self.policy,
            listener: self.listener,
            lease: self.lease,
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

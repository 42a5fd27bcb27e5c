//! The cache: shards, and the verbs.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::builder::{Builder, RandomState, Weigher};
use super::listener::{Cause, Listener};
use super::shard::{Entry, NEVER, Shard, Stats};
use crate::clock::Clock;

/// What an insert asks of what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    #[default]
    Always,
    /// There is no live entry.
    Absent,
    /// There is a live entry.
    Present,
}

/// How long an entry is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// In whole milliseconds, of which it has at least one; `None` is for ever.
    pub ttl: Option<Duration>,
    /// Whether each use starts the time again.
    pub slides: bool,
}

/// A shard on cache lines of its own, so that two locks never share one.
///
/// The lock is the standard library's: without contention it is one atomic exchange, as any other, and it is held for a
/// look-up only; the loaders, weighers and drops of the user run outside it.
#[repr(align(128))]
struct Guarded<K, V>(Mutex<Shard<K, V>>);

/// A cache in memory, for many threads at once.
///
/// After every call at most as many entries (or as much weight) are held as the capacity says. Values are handed out as
/// clones: put what is costly to clone into an [`Arc`].
pub struct MemoryCache<K, V, S = RandomState> {
    shards: Box<[Guarded<K, V>]>,
    /// How far a hash is shifted to leave its shard's number.
    shift: u32,
    hasher: S,
    weigher: Option<Weigher<K, V>>,
    pub(super) listener: Option<Listener<K, V>>,
    lease: Lease,
    pub(super) clock: Arc<dyn Clock>,
}

impl<K, V, S> std::fmt::Debug for MemoryCache<K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryCache").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

impl<K, V> MemoryCache<K, V> {
    /// A cache of at most `max` entries.
    pub fn with_max_entries(max: u64) -> Builder<K, V> {
        Builder::new(max, None)
    }

    /// A cache whose entries weigh at most `max` together, by `weigher`, in units of its own (mostly bytes). An entry that
    /// is heavier than its shard's share of that is not held.
    pub fn with_max_weight(
        max: u64,
        weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static,
    ) -> Builder<K, V> {
        Builder::new(max, Some(Arc::new(weigher)))
    }
}

impl<K: Hash + Eq, V: Clone, S: BuildHasher> MemoryCache<K, V, S> {
    pub(super) fn new(builder: Builder<K, V, S>) -> Self {
        let count = builder.shard_count();
        // What does not divide goes to the first shards, one unit each.
        let (share, over) = (builder.capacity / count as u64, builder.capacity % count as u64);
        let shard = |number: usize| Shard::new(builder.policy, share + u64::from((number as u64) < over));
        Self {
            shards: (0..count).map(|number| Guarded(Mutex::new(shard(number)))).collect(),
            shift: 64 - count.trailing_zeros(),
            hasher: builder.hasher,
            weigher: builder.weigher,
            listener: builder.listener,
            lease: builder.lease,
            clock: builder.clock,
        }
    }

    /// The table in a shard uses the lowest bits of a hash and the highest seven, the sketches and ghosts the upper half:
    /// the shard's number is taken from the middle.
    #[inline]
    pub(super) fn locate<Q: Hash + ?Sized>(&self, key: &Q) -> (u64, MutexGuard<'_, Shard<K, V>>) {
        let hash = self.hasher.hash_one(key);
        (hash, self.lock(hash))
    }

    #[inline]
    fn lock(&self, hash: u64) -> MutexGuard<'_, Shard<K, V>> {
        let number = hash.rotate_left(32).checked_shr(self.shift).unwrap_or(0) as usize;
        self.shards[number].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key, unless it is not there or its time is over.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (hash, mut shard) = self.locate(key);
        let (value, expired) = shard.get(hash, key, || self.clock.now_ms());
        let value = value.cloned();
        drop(shard);
        self.gone(expired, Cause::Expired);
        value
    }

    /// Puts a value in, for the default time.
    #[inline]
    pub fn insert(&self, key: K, value: V) {
        self.insert_when(key, value, self.lease, When::Always);
    }

    /// Puts a value in for so long.
    #[inline]
    pub fn insert_for(&self, key: K, value: V, ttl: Duration) {
        self.insert_when(key, value, Lease { ttl: Some(ttl), slides: false }, When::Always);
    }

    /// Puts a value in, for as long as `lease` says, if what there is of its key is as `when` says; looks and
    /// acts as one. Whether it did.
    #[inline]
    pub fn insert_when(&self, key: K, value: V, lease: Lease, when: When) -> bool {
        let weight = self.weigher.as_ref().map_or(1, |weigher| weigher(&key, &value));
        let ttl_ms = lease.ttl.map(whole_ms);
        let slide_ms = if lease.slides { ttl_ms.unwrap_or(0) } else { 0 };
        let times = (ttl_ms.map_or(NEVER, |ttl| self.clock.now_ms().saturating_add(ttl)), slide_ms);
        let (hash, mut shard) = self.locate(&key);
        if when != When::Always {
            let is_there = shard.peek(hash, &key, || self.clock.now_ms()).is_some();
            if is_there != (when == When::Present) {
                return false;
            }
        }
        let dropped = shard.insert(hash, key, value, weight, times);
        drop(shard);
        self.dropped(dropped);
        true
    }

    /// A use of a key that nobody reads: the policy notes it, and a time that slides starts again. Whether it is there.
    pub fn touch<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let (hash, mut shard) = self.locate(key);
        shard.touch(hash, key, || self.clock.now_ms())
    }

    /// The value of a key, as [`MemoryCache::get`] gives it, but without a use: neither the policy nor the counts notice.
    pub fn peek<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (hash, shard) = self.locate(key);
        shard.peek(hash, key, || self.clock.now_ms()).map(|entry| entry.value.clone())
    }

    /// Whether a key has an entry whose time is not over. Not a use.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let (hash, shard) = self.locate(key);
        shard.peek(hash, key, || self.clock.now_ms()).is_some()
    }

    /// How long a key has still, [`Duration::MAX`] for ever; `None` if it is not there.
    pub fn ttl<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
    {
        let now_ms = self.clock.now_ms();
        let (hash, shard) = self.locate(key);
        let expires_ms = shard.peek(hash, key, || now_ms)?.expires_ms;
        let left = || Duration::from_millis(expires_ms.saturating_sub(now_ms));
        Some(if expires_ms == NEVER { Duration::MAX } else { left() })
    }

    /// Gives a key another time, from now on, which slides where the old one did; `None` is for ever. Whether it is there.
    pub fn expire<Q: Hash + Eq + ?Sized>(&self, key: &Q, ttl: Option<Duration>) -> bool
    where
        K: Borrow<Q>,
    {
        let now_ms = self.clock.now_ms();
        let (hash, mut shard) = self.locate(key);
        shard.expire(hash, key, ttl.map(whole_ms), now_ms)
    }

    /// Removes the entries whose time is over, and returns how many. Looks at all entries, a shard at a time.
    pub fn cleanup(&self) -> usize {
        let now_ms = self.clock.now_ms();
        self.take_out(Cause::Expired, |shard| shard.cleanup(now_ms))
    }

    /// Removes the entries for which `keeps` is false, and returns how many. Looks at all entries, a shard at a time, whose lock is
    /// held meanwhile: `keeps` must not use the cache.
    ///
    /// ```
    /// let cache = tierce::MemoryCache::with_max_entries(100).build();
    /// cache.extend([("user:1", "Ada"), ("page:1", "<html>")]);
    /// assert_eq!(cache.retain(|key, _| !key.starts_with("user:")), 1);
    /// ```
    pub fn retain(&self, mut keeps: impl FnMut(&K, &V) -> bool) -> usize {
        self.take_out(Cause::Removed, |shard| shard.retain(&mut keeps))
    }

    fn take_out(&self, cause: Cause, mut take: impl FnMut(&mut Shard<K, V>) -> Vec<Entry<K, V>>) -> usize {
        let gone: Vec<_> = self.each(&mut take).flatten().collect();
        let count = gone.len();
        gone.into_iter().for_each(|entry| self.gone(Some(entry), cause));
        count
    }

    /// Puts in what comes, for the default time.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) {
        entries.into_iter().for_each(|(key, value)| self.insert(key, value));
    }

    /// Takes a key out and returns its value, unless its time was over.
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (hash, mut shard) = self.locate(key);
        let entry = shard.remove(hash, key);
        drop(shard);
        let entry = entry?;
        if !entry.is_live(|| self.clock.now_ms()) {
            self.gone(Some(entry), Cause::Expired);
            return None;
        }
        if self.listener.is_none() {
            return Some(entry.value);
        }
        let value = entry.value.clone();
        self.gone(Some(entry), Cause::Removed);
        Some(value)
    }

    /// How many entries are held, those included whose time is over and that nobody has asked for since.
    pub fn len(&self) -> usize {
        self.each(|shard| shard.len()).sum()
    }

    /// How many entries are held whose time is not over. Looks at all entries, a shard at a time.
    pub fn live_len(&self) -> usize {
        let now_ms = self.clock.now_ms();
        self.each(|shard| shard.live_len(now_ms)).sum()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the entries weigh together; without a weigher their number.
    pub fn weight(&self) -> u64 {
        self.each(|shard| shard.weight()).sum()
    }

    /// Takes everything out.
    pub fn clear(&self) {
        self.take_out(Cause::Removed, Shard::clear);
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        self.each(|shard| shard.stats).for_each(|stats| sum += stats);
        sum
    }

    /// Starts all counts again.
    pub fn reset_stats(&self) {
        self.each(|shard| shard.stats = Stats::default()).for_each(drop);
    }

    /// The most entries, or the most weight, that are held.
    pub fn capacity(&self) -> u64 {
        self.each(|shard| shard.capacity()).sum()
    }

    /// Into how many parts the cache is divided.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The weight of the heaviest entry that is held at all: the smallest share of a shard.
    pub fn heaviest(&self) -> u64 {
        self.each(|shard| shard.capacity()).min().unwrap_or(0)
    }

    /// The keys of one part that have not expired, in the order in which they would be evicted.
    pub fn keys_of(&self, shard: usize) -> Vec<K>
    where
        K: Clone,
    {
        let now_ms = self.clock.now_ms();
        let Some(guarded) = self.shards.get(shard) else { return Vec::new() };
        let shard = guarded.0.lock().unwrap_or_else(PoisonError::into_inner);
        shard.in_order(now_ms).map(|entry| entry.key.clone()).collect()
    }

    /// All entries that have not expired: shard by shard, and in each in the order in which they would be evicted.
    pub fn entries(&self) -> Vec<(K, V)>
    where
        K: Clone,
    {
        let now_ms = self.clock.now_ms();
        let copy = |shard: &mut Shard<K, V>| -> Vec<(K, V)> {
            shard.in_order(now_ms).map(|entry| (entry.key.clone(), entry.value.clone())).collect()
        };
        self.each(copy).flatten().collect()
    }

    /// Checks its own invariants, for tests.
    ///
    /// # Errors
    /// Says what is broken.
    pub fn check(&self) -> Result<(), String> {
        self.each(|shard| shard.check()).collect()
    }

    fn each<'a, T: 'a>(
        &'a self,
        mut visit: impl FnMut(&mut Shard<K, V>) -> T + 'a,
    ) -> impl Iterator<Item = T> + 'a {
        let lock = move |guarded: &Guarded<K, V>| {
            let mut shard = guarded.0.lock().unwrap_or_else(PoisonError::into_inner);
            visit(&mut shard)
        };
        self.shards.iter().map(lock)
    }
}

impl<K: Hash + Eq, V: Clone, S: BuildHasher> Extend<(K, V)> for MemoryCache<K, V, S> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        Self::extend(self, entries);
    }
}

/// Milliseconds, at least one.
fn whole_ms(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

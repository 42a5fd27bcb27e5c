//! Loading: of all callers that miss a key, one makes the value.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, Hash};

use super::cache::MemoryCache;
use super::flight::Flight;
use super::listener::Cause;

/// What a caller that wants a value has to do.
enum Turn<'a, Q, K, V, S>
where
    Q: Hash + Eq + ?Sized,
    K: Hash + Eq + Borrow<Q>,
    V: Clone,
    S: BuildHasher,
{
    Take(V),
    Make(Landing<'a, Q, K, V, S>),
    Wait(Flight<V>),
}

impl<K: Hash + Eq, V: Clone, S: BuildHasher> MemoryCache<K, V, S> {
    /// The value of a key, made by `make` if there is none. Callers that miss the same key at the same time wait for one
    /// of them to make it; should that one panic, the next one tries. `make` must not ask for the same key.
    ///
    /// ```
    /// let cache = tierce::MemoryCache::<String, usize>::with_max_entries(100).build();
    /// assert_eq!(cache.get_or_insert_with("tierce", || 6), 6);
    /// ```
    pub fn get_or_insert_with<Q>(&self, key: &Q, make: impl FnOnce() -> V) -> V
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        match self.try_get_or_insert_with(key, || Ok::<_, Infallible>(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`MemoryCache::get_or_insert_with`], where making may fail: the error goes to the caller whose `make` it was, nothing is
    /// put in, and the next of those that wait tries.
    ///
    /// ```
    /// let cache = tierce::MemoryCache::<String, u32>::with_max_entries(100).build();
    /// assert!(cache.try_get_or_insert_with("port", || "eighty".parse()).is_err());
    /// assert_eq!(cache.try_get_or_insert_with("port", || "80".parse()), Ok(80));
    /// ```
    ///
    /// # Errors
    /// What `make` returns.
    pub fn try_get_or_insert_with<Q, E>(&self, key: &Q, make: impl FnOnce() -> Result<V, E>) -> Result<V, E>
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        loop {
            match self.turn(key) {
                Turn::Take(value) => return Ok(value),
                Turn::Make(landing) => return make().map(|value| landing.land(value)),
                Turn::Wait(flight) => {
                    if let Some(value) = flight.wait() {
                        return Ok(value);
                    }
                }
            }
        }
    }

    /// As [`MemoryCache::get_or_insert_with`], for tasks: waits without holding a thread, on any executor. `make` is polled only
    /// where the value is missing and nobody else makes it; where the future is dropped before its end, the next of those that
    /// wait tries. A thread that waits in [`MemoryCache::get_or_insert_with`] for a task of its own executor waits for ever.
    pub async fn get_or_insert_async<Q>(&self, key: &Q, make: impl Future<Output = V>) -> V
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        match self.try_get_or_insert_async(key, async { Ok::<_, Infallible>(make.await) }).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`MemoryCache::get_or_insert_async`], where making may fail, as in [`MemoryCache::try_get_or_insert_with`].
    ///
    /// ```
    /// # async fn answer() -> Result<(), std::num::ParseIntError> {
    /// let cache = tierce::MemoryCache::<String, u32>::with_max_entries(100).build();
    /// let port = cache.try_get_or_insert_async("port", async { "80".parse() }).await?;
    /// # assert_eq!(port, 80);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What `make` returns.
    pub async fn try_get_or_insert_async<Q, E>(
        &self,
        key: &Q,
        make: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E>
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        loop {
            match self.turn(key) {
                Turn::Take(value) => return Ok(value),
                Turn::Make(landing) => return make.await.map(|value| landing.land(value)),
                Turn::Wait(flight) => {
                    if let Some(value) = flight.landed().await {
                        return Ok(value);
                    }
                }
            }
        }
    }

    fn turn<'a, Q>(&'a self, key: &'a Q) -> Turn<'a, Q, K, V, S>
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        let (hash, mut shard) = self.locate(key);
        let (value, expired) = shard.get(hash, key, || self.clock.now_ms());
        if let Some(value) = value.cloned() {
            return Turn::Take(value);
        }
        if let Some(flight) = shard.flights.get(key).filter(|flight| !flight.is_over()).cloned() {
            drop(shard);
            self.gone(expired, Cause::Expired);
            return Turn::Wait(flight);
        }
        let flight = Flight::new();
        // One that is over is here for a moment, or for good where the key's code panicked when it was to go.
        let over = match shard.flights.get_mut(key) {
            Some(over) => Some(std::mem::replace(over, flight.clone())),
            None => shard.flights.insert(key.to_owned(), flight.clone()),
        };
        drop(shard);
        // Before any code of the user's can panic.
        let landing = Landing { cache: self, key, flight, value: None };
        drop(over);
        self.gone(expired, Cause::Expired);
        Turn::Make(landing)
    }
}

/// Ends a flight also when its maker panics, fails or is dropped.
struct Landing<'a, Q, K, V, S>
where
    Q: Hash + Eq + ?Sized,
    K: Hash + Eq + Borrow<Q>,
    V: Clone,
    S: BuildHasher,
{
    cache: &'a MemoryCache<K, V, S>,
    key: &'a Q,
    flight: Flight<V>,
    value: Option<V>,
}

impl<Q, K, V, S> Landing<'_, Q, K, V, S>
where
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    K: Hash + Eq + Borrow<Q>,
    V: Clone,
    S: BuildHasher,
{
    fn land(mut self, value: V) -> V {
        self.cache.insert(self.key.to_owned(), value.clone());
        self.value = Some(value.clone());
        value
    }
}

impl<Q, K, V, S> Drop for Landing<'_, Q, K, V, S>
where
    Q: Hash + Eq + ?Sized,
    K: Hash + Eq + Borrow<Q>,
    V: Clone,
    S: BuildHasher,
{
    fn drop(&mut self) {
        // First: whatever the key's code does, nobody waits for good.
        self.flight.end(self.value.take());
        let (_, mut shard) = self.cache.locate(self.key);
        let is_held = shard.flights.get(self.key).is_some_and(|held| held.is(&self.flight));
        let gone = if is_held { shard.flights.remove_entry(self.key) } else { None };
        drop(shard);
        drop(gone);
    }
}

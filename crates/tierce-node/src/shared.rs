//! The shared memory cache as a class: `src/shared/channel.ts` packs keys and values for it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::memory::{Lease, Shared, SharedMemory, SharedOptions, When};
use tierce::policy::PolicyKind;
use tierce::{Code, Error, Result};
use tierce_napi::guard;

use crate::scratch::Scratch;

/// A value's bytes in the scratch buffer start here, behind its kind: aligned for every element of a typed array.
const VALUE_AT: usize = 8;
const MISS: i32 = -1;
const LARGE: i32 = -2;

/// One thread's handle of a cache. Keys, and values that fit, cross in a scratch buffer: a fresh one for each value costs
/// several times the rest.
#[napi]
pub struct NativeShared {
    cache: RefCell<Option<Arc<SharedMemory>>>,
    scratch: RefCell<Scratch>,
    /// The value that `find` had no room for.
    large: RefCell<Option<Shared>>,
}

/// `ttl` is `Infinity` for ever, and negative where it slides.
fn lease_of(ttl: f64) -> Lease {
    Lease { ttl: ttl_of(ttl.abs()), slides: ttl < 0.0 }
}

fn ttl_of(ttl: f64) -> Option<Duration> {
    ttl.is_finite().then_some(Duration::from_millis(ttl as u64))
}

fn when_of(when: u32) -> When {
    [When::Always, When::Absent, When::Present].get(when as usize).copied().unwrap_or(When::Always)
}

#[napi]
impl NativeShared {
    /// Opens the cache of that name. A `ttl` of `Infinity` is for ever, a negative one slides; so of all entries.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        name: String,
        max_size: f64,
        policy: String,
        ttl: f64,
        scratch: Uint8Array,
    ) -> napi::Result<Self> {
        guard(env, || {
            let policy: PolicyKind =
                policy.parse().map_err(|error| Error::new(Code::InvalidOption, format!("{error}")))?;
            let options = SharedOptions { max_size: max_size as u64, policy, lease: lease_of(ttl) };
            let cache = RefCell::new(Some(SharedMemory::open(&name, options)?));
            let scratch = RefCell::new(Scratch::new(scratch));
            Ok(Self { cache, scratch, large: RefCell::new(None) })
        })
    }

    /// Takes another scratch buffer, for longer keys.
    #[napi]
    pub fn use_scratch(&self, env: &Env, scratch: Uint8Array) -> napi::Result<()> {
        guard(env, || {
            self.scratch.replace(Scratch::new(scratch));
            Ok(())
        })
    }

    /// Reads the value of the key in the first `key` bytes of the scratch buffer, without a use where `is_peek`. Writes its
    /// kind and its bytes there and gives their number; -1 is a miss, -2 that it has no room there: `take` gives it.
    #[napi]
    pub fn find(&self, env: &Env, key: u32, is_peek: bool) -> napi::Result<i32> {
        guard(env, || {
            let cache = self.cache()?;
            self.scratch.borrow().with(|bytes| {
                let key = key_in(bytes, key)?;
                let found = if is_peek { cache.peek(key) } else { cache.get(key) };
                let Some(value) = found else { return Ok(MISS) };
                bytes[..4].copy_from_slice(&value.kind.to_le_bytes());
                let Some(room) = bytes.get_mut(VALUE_AT..VALUE_AT + value.bytes.len()) else {
                    self.large.replace(Some(value));
                    return Ok(LARGE);
                };
                room.copy_from_slice(&value.bytes);
                Ok(value.bytes.len() as i32)
            })
        })
    }

    /// The bytes of the value that `find` had no room for.
    #[napi]
    pub fn take(&self, env: &Env) -> napi::Result<Buffer> {
        guard(env, || Ok(self.large.take().map_or_else(Vec::new, |value| value.bytes.to_vec()).into()))
    }

    /// Stores the value that follows the key in the scratch buffer. `when`: 0 always, 1 where there is none, 2 where there is
    /// one. Gives whether it was stored.
    #[napi]
    pub fn put(&self, env: &Env, key: u32, value: u32, kind: u32, ttl: f64, when: u32) -> napi::Result<bool> {
        guard(env, || {
            let cache = self.cache()?;
            self.scratch.borrow().with(|bytes| {
                let end = key as usize + value as usize;
                let value = bytes.get(key as usize..end).ok_or_else(too_long)?;
                store(&cache, key_in(bytes, key)?, value, kind, ttl, when)
            })
        })
    }

    /// As `put`, with a value that is apart.
    #[napi]
    pub fn put_large(
        &self,
        env: &Env,
        key: u32,
        value: Uint8Array,
        kind: u32,
        ttl: f64,
        when: u32,
    ) -> napi::Result<bool> {
        guard(env, || {
            let cache = self.cache()?;
            self.scratch.borrow().with(|bytes| store(&cache, key_in(bytes, key)?, &value, kind, ttl, when))
        })
    }

    /// Throws where an entry of these lengths can't be held.
    #[napi]
    pub fn check_size(&self, env: &Env, key: u32, value: u32) -> napi::Result<()> {
        guard(env, || self.cache()?.check_size(key as usize, value as usize))
    }

    /// Removes the key in the scratch buffer; whether it was there.
    #[napi]
    pub fn remove(&self, env: &Env, key: u32) -> napi::Result<bool> {
        guard(env, || self.with_key(key, |cache, key| cache.remove(key).is_some()))
    }

    /// Milliseconds that the key in the scratch buffer has still; `Infinity` for ever, -1 where it is not there.
    #[napi]
    pub fn ttl(&self, env: &Env, key: u32) -> napi::Result<f64> {
        guard(env, || {
            self.with_key(key, |cache, key| match cache.ttl(key) {
                None => -1.0,
                Some(Duration::MAX) => f64::INFINITY,
                Some(ttl) => ttl.as_millis() as f64,
            })
        })
    }

    /// Gives the key in the scratch buffer another time; whether it is there.
    #[napi]
    pub fn expire(&self, env: &Env, key: u32, ttl: f64) -> napi::Result<bool> {
        guard(env, || self.with_key(key, |cache, key| cache.expire(key, ttl_of(ttl))))
    }

    /// A use of the key in the scratch buffer that nobody reads; whether it is there.
    #[napi]
    pub fn touch(&self, env: &Env, key: u32) -> napi::Result<bool> {
        guard(env, || self.with_key(key, |cache, key| cache.touch(key)))
    }

    /// How many entries are live. Looks at all.
    #[napi]
    pub fn live_size(&self, env: &Env) -> napi::Result<u32> {
        guard(env, || Ok(self.cache()?.live_len() as u32))
    }

    /// The live keys of one part, each behind its length (`u32`); `null` behind the last part.
    #[napi]
    pub fn keys(&self, env: &Env, part: u32) -> napi::Result<Option<Buffer>> {
        guard(env, || {
            let cache = self.cache()?;
            if part as usize >= cache.shard_count() {
                return Ok(None);
            }
            let mut packed = Vec::new();
            for key in cache.keys_of(part as usize) {
                packed.extend((key.len() as u32).to_le_bytes());
                packed.extend(&key);
            }
            Ok(Some(packed.into()))
        })
    }

    /// Removes all entries.
    #[napi]
    pub fn clear(&self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.cache()?.clear();
            Ok(())
        })
    }

    /// Removes the entries whose time is over; gives how many.
    #[napi]
    pub fn cleanup(&self, env: &Env) -> napi::Result<u32> {
        guard(env, || Ok(self.cache()?.cleanup() as u32))
    }

    /// `[entries, bytes, hits, misses, sets, expired, evicted]`.
    #[napi]
    pub fn figures(&self, env: &Env) -> napi::Result<Vec<f64>> {
        guard(env, || {
            let cache = self.cache()?;
            let stats = cache.stats();
            let counts = [stats.hits, stats.misses, stats.inserts, stats.expired, stats.evicted];
            let held = [cache.len() as u64, cache.weight()];
            Ok(held.iter().chain(&counts).map(|&number| number as f64).collect())
        })
    }

    /// Starts all counts again.
    #[napi]
    pub fn reset_figures(&self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.cache()?.reset_stats();
            Ok(())
        })
    }

    /// What is wrong with the cache's own account, for tests; empty when nothing is.
    #[napi]
    pub fn check(&self, env: &Env) -> napi::Result<String> {
        guard(env, || Ok(self.cache()?.check().err().unwrap_or_default()))
    }

    /// Lets go of the cache: it is freed when nobody has it any more.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.cache.take();
            self.large.take();
            Ok(())
        })
    }
}

impl NativeShared {
    fn cache(&self) -> Result<Arc<SharedMemory>> {
        let cache = self.cache.borrow();
        cache
            .clone()
            .ok_or_else(|| Error::new(Code::Closed, "this SharedMemoryCache is closed: make a new one"))
    }

    fn with_key<T>(&self, key: u32, run: impl FnOnce(&SharedMemory, &[u8]) -> T) -> Result<T> {
        let cache = self.cache()?;
        self.scratch.borrow().with(|bytes| Ok(run(&cache, key_in(bytes, key)?)))
    }
}

fn too_long() -> Error {
    Error::new(Code::Internal, "a key or a value is longer than the buffer")
}

fn key_in(bytes: &[u8], length: u32) -> Result<&[u8]> {
    bytes.get(..length as usize).ok_or_else(too_long)
}

fn store(cache: &SharedMemory, key: &[u8], value: &[u8], kind: u32, ttl: f64, when: u32) -> Result<bool> {
    cache.check_size(key.len(), value.len())?;
    let value = Shared { kind, bytes: value.into() };
    Ok(cache.insert_when(key.into(), value, lease_of(ttl), when_of(when)))
}

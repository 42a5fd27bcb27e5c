//! Caches of bytes that all threads of a process find by name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::{Lease, MemoryCache};
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Error, Result};
use crate::policy::PolicyKind;

/// What an entry takes beside its key and value: its place in the table, in the policy and in the slots, and what the
/// allocator adds to two blocks.
pub const OVERHEAD: usize = 160;
/// The fewest bytes of a shard: a value may be as large as that, less its key.
const LEAST_SHARD: u64 = 16 << 20;
const MOST_SHARDS: u64 = 16;

/// A stored value, and what its owner has to know to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The caller's own.
    pub kind: u32,
    /// The value. Whoever got it keeps it, also when it has been replaced or evicted.
    pub bytes: Arc<[u8]>,
}

/// How a [`SharedMemory`] is set up. All who open it by its name give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedOptions {
    /// Bytes of keys, values and what holds them, at most.
    pub max_size: u64,
    /// Who goes first.
    pub policy: PolicyKind,
    /// The time of entries that are put in without one.
    pub lease: Lease,
}

impl std::fmt::Display for SharedOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "maxSize {} bytes, policy '{}', ttl ", self.max_size, self.policy.name())?;
        match self.lease.ttl {
            Some(ttl) => write!(f, "{} ms", ttl.as_millis())?,
            None => f.write_str("never")?,
        }
        f.write_str(if self.lease.slides { ", sliding" } else { "" })
    }
}

/// The open ones, by name.
static OPEN: LazyLock<Mutex<HashMap<String, Weak<SharedMemory>>>> = LazyLock::new(Mutex::default);

/// A [`MemoryCache`] of bytes with a name: one for all threads that open it, freed with the last handle.
pub struct SharedMemory {
    name: String,
    options: SharedOptions,
    heaviest: u64,
    cache: MemoryCache<Box<[u8]>, Shared>,
}

impl SharedMemory {
    /// The cache of that name, made if it is not open.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] if it is open with other options.
    pub fn open(name: &str, options: SharedOptions) -> Result<Arc<Self>> {
        Self::open_with(name, options, Arc::new(SystemClock))
    }

    /// As [`SharedMemory::open`], with a clock of the caller's if it is made.
    ///
    /// # Errors
    /// As [`SharedMemory::open`].
    pub fn open_with(name: &str, options: SharedOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.get(name).and_then(Weak::upgrade) {
            if found.options == options {
                return Ok(found);
            }
            let given = format!(
                "the shared cache {name:?} is open with {}; got {options}. Give the same options, or another name",
                found.options
            );
            return Err(Error::new(Code::InvalidOption, given).with("name", name));
        }
        let made = Arc::new(Self::new(name, options, clock));
        open.insert(name.to_owned(), Arc::downgrade(&made));
        Ok(made)
    }

    fn new(name: &str, options: SharedOptions, clock: Arc<dyn Clock>) -> Self {
        #[expect(clippy::borrowed_box, reason = "a weigher is given the key as the cache keeps it")]
        let weigh = |key: &Box<[u8]>, value: &Shared| Self::weight_of(key, &value.bytes);
        let shards = (options.max_size / LEAST_SHARD).clamp(1, MOST_SHARDS);
        // Rounded up to a power of two, they must not be smaller than that.
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        let builder = MemoryCache::with_max_weight(options.max_size, weigh)
            .policy(options.policy)
            .shards(shards as usize)
            .clock(clock);
        let cache = builder.build();
        Self { name: name.to_owned(), options, heaviest: cache.heaviest().min(u64::from(u32::MAX)), cache }
    }

    fn weight_of(key: &[u8], value: &[u8]) -> u32 {
        u32::try_from(key.len() + value.len() + OVERHEAD).unwrap_or(u32::MAX)
    }

    /// Whether an entry of these lengths is held at all.
    ///
    /// # Errors
    /// [`Code::ValueTooLarge`] if not.
    pub fn check_size(&self, key: usize, value: usize) -> Result<()> {
        let size = (key + value + OVERHEAD) as u64;
        if size <= self.heaviest {
            return Ok(());
        }
        let text = format!(
            "the entry takes {size} bytes, and the shared cache {:?} of {} bytes holds none over {}. Nothing was changed",
            self.name, self.options.max_size, self.heaviest
        );
        Err(Error::new(Code::ValueTooLarge, text).with("size", size))
    }
}

impl std::ops::Deref for SharedMemory {
    type Target = MemoryCache<Box<[u8]>, Shared>;

    fn deref(&self) -> &Self::Target {
        &self.cache
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may have been opened by the same name since this one's last handle went.
        if open.get(&self.name).is_some_and(|weak| weak.strong_count() == 0) {
            open.remove(&self.name);
        }
    }
}

//! The handle on a cache: what it writes and removes, the loads it makes only once, and how it is closed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Wait;
use super::db::LogEnd;
use super::engine::Engine;
use super::epoch::EpochTable;
use super::extras::{Extras, MetaRow};
use super::lock;
use super::maintenance::{self, Maintenance};
use super::verbs::State;
use super::write::{SetWrite, Write, Written};
use crate::error::{Code, Error, Result};
use crate::key::{Digest, Key};

/// A cache in a directory: crash-safe, bounded, shared by threads and processes.
///
/// All methods take `&self` and may block on the disk; share it in an [`Arc`].
///
/// ```
/// # fn main() -> tierce::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let dir = temp.path().join("cache");
/// let cache = tierce::Cache::builder().max_size(64 << 20).open(&dir)?;
/// cache.set("user:1", b"Ada")?;
/// assert_eq!(cache.get("user:1")?.as_deref(), Some(&b"Ada"[..]));
/// # Ok(()) }
/// ```
pub struct Cache {
    pub(super) engine: Arc<Engine>,
    pub(super) maintenance: Maintenance,
    /// Loads under way in this process, by row.
    loads: Mutex<HashMap<i64, Arc<Mutex<()>>>>,
}

/// What an entry is stored with: see [`Cache::set_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SetOptions<'a> {
    /// The time to live, where it is not the cache's.
    pub ttl: Option<Duration>,
    /// Names under which entries are invalidated together: 1 to 1024 bytes each.
    pub tags: &'a [&'a str],
    /// For people.
    pub description: Option<&'a str>,
    /// Rows of custom metadata, one a declared table at most.
    pub meta: &'a [MetaRow<'a>],
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("dir", &self.engine.paths.dir).finish_non_exhaustive()
    }
}

impl Cache {
    pub(super) fn new(engine: Engine) -> Self {
        let cache =
            Self { engine: Arc::new(engine), maintenance: Maintenance::default(), loads: Mutex::default() };
        cache.maintenance.damage_met(&cache.engine); // where the open left a large file to be examined
        cache
    }

    /// The directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.engine.paths.dir
    }

    /// The bound in bytes.
    pub fn max_size(&self) -> Option<u64> {
        self.engine.bound.limit()
    }

    /// The digest by which this cache finds a key. Where keys are hashed or the directory is encrypted, it is not
    /// [`Key::digest`].
    pub fn digest(&self, key: &Key<'_>) -> Digest {
        self.engine.keeping.digest(key)
    }

    /// The counters by which other processes' writes are noticed.
    pub fn epochs(&self) -> &Arc<EpochTable> {
        &self.engine.epochs
    }

    /// Stores a value with the cache's time to live.
    ///
    /// # Errors
    /// [`Code::ValueTooLarge`] when it cannot fit; [`Code::StorageFull`], [`Code::ReadOnly`], [`Code::Unavailable`]
    /// for what the disk says; [`Code::LockTimeout`] when other writers hold the lock for too long. Nothing changed.
    pub fn set<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_with(key, value, &SetOptions::default())
    }

    /// Stores a value with a time to live of its own.
    ///
    /// # Errors
    /// As [`Cache::set`]; [`Code::InvalidTtl`] when it is zero.
    pub fn set_for<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>, ttl: Duration) -> Result<()> {
        self.set_with(key, value, &SetOptions { ttl: Some(ttl), ..SetOptions::default() })
    }

    /// Stores a value with tags, a description and metadata, which are kept in the same transaction and go with it.
    ///
    /// ```
    /// # fn main() -> tierce::Result<()> {
    /// # let temp = tempfile::tempdir().unwrap();
    /// # let cache = tierce::Cache::builder().open(temp.path().join("cache"))?;
    /// let users = tierce::SetOptions { tags: &["users"], ..Default::default() };
    /// cache.set_with("user:1", b"Ada", &users)?;
    /// assert_eq!(cache.invalidate_tags(&["users"])?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Cache::set_for`]; [`Code::InvalidOption`] for a tag that is empty or too long.
    pub fn set_with<'a>(
        &self,
        key: impl Into<Key<'a>>,
        value: impl AsRef<[u8]>,
        options: &SetOptions<'_>,
    ) -> Result<()> {
        let extras = Extras {
            tags: options.tags.iter().map(|tag| (*tag).into()).collect(),
            description: options.description.map(Into::into),
            meta: options.meta.to_vec(),
        };
        let expires_at = self.expiry(options.ttl.or(self.engine.default_ttl))?;
        let write =
            SetWrite { expires_at, extras: Some(extras), ..SetWrite::new(key.into(), value.as_ref()) };
        self.apply(&[Write::Set(write)], Wait::Yes).map(|_| ())
    }

    pub(super) fn expiry(&self, ttl: Option<Duration>) -> Result<Option<u64>> {
        expiry(self.engine.now(), ttl)
    }

    /// Applies writes in one transaction: all of them, or none. Of many, a few MiB at a time are encoded in memory, and as many of the pages
    /// that they change.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn apply(&self, writes: &[Write<'_>], wait: Wait) -> Result<Vec<Written>> {
        let written = self.engine.apply(writes, wait)?;
        self.maintenance.committed(&self.engine);
        self.maintenance.journal_filled(&self.engine);
        if writes.iter().any(|write| matches!(write, Write::Clear)) {
            self.maintenance.emptied(&self.engine);
        }
        Ok(written)
    }

    /// Removes a key. True when it had a live entry.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn delete<'a>(&self, key: impl Into<Key<'a>>) -> Result<bool> {
        let written = self.apply(&[Write::Delete { key: key.into() }], Wait::Yes)?;
        Ok(written.first().is_some_and(|written| written.existed))
    }

    /// Removes every entry that has one of these tags, in one transaction, and gives how many were live. Memory tiers of
    /// other processes see it.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn invalidate_tags(&self, tags: &[&str]) -> Result<u64> {
        let written = self.apply(&[Write::InvalidateTags { tags: tags.to_vec() }], Wait::Yes)?;
        Ok(written.first().map_or(0, |written| written.invalidated))
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn clear(&self) -> Result<()> {
        self.apply(&[Write::Clear], Wait::Yes).map(|_| ())
    }

    /// Whether a key has a live entry. Does not read its value and does not count as an access.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn has<'a>(&self, key: impl Into<Key<'a>>) -> Result<bool> {
        Ok(matches!(self.state(key)?, State::Live(_)))
    }

    /// The value of a key, or what `load` makes, which is stored. Of the threads that ask for one key at a time, one
    /// loads and the others wait for it. A fault of the cache is kept for [`Cache::take_faults`] and does not keep
    /// the loaded value from the caller.
    ///
    /// # Errors
    /// What `load` returns.
    pub fn get_or_set<'a, E>(
        &self,
        key: impl Into<Key<'a>>,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let key = key.into();
        let id = self.digest(&key).id();
        let flight = Arc::clone(lock(&self.loads).entry(id).or_default());
        let outcome = {
            let _turn = lock(&flight);
            match self.get(key.clone()) {
                Ok(Some(value)) => Ok(value),
                missing => {
                    missing.map_or_else(|fault| self.engine.report(fault), |_| ());
                    load().inspect(|value| {
                        self.set(key, value).unwrap_or_else(|fault| self.engine.report(fault));
                    })
                }
            }
        };
        let mut loads = lock(&self.loads);
        if Arc::strong_count(&flight) == 2 {
            loads.remove(&id); // the map's and ours: nobody waits
        }
        outcome
    }

    /// Notes accesses that happened in a memory tier in front of this one: [`Meta::id`](crate::Meta::id) and how many there were, the
    /// least recent first.
    pub fn note(&self, accesses: impl IntoIterator<Item = (i64, u32)>) {
        let due = accesses.into_iter().fold(false, |due, (id, hits)| self.engine.note(id, hits).1 | due);
        if due {
            self.maintenance.accesses_due(&self.engine);
        }
    }

    /// Faults since the last call that no caller was told of: entries that were damaged, checkpoints that failed.
    pub fn take_faults(&self) -> Vec<Error> {
        self.engine.take_faults()
    }

    /// Whether [`Cache::take_faults`] would give some.
    pub fn has_faults(&self) -> bool {
        self.engine.has_faults()
    }

    /// Writes the accesses that are still in memory.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn flush(&self) -> Result<()> {
        self.engine.settled()?;
        maintenance::flush(&self.engine, None)
    }

    /// Flushes, copies the log into the database and closes. Dropping a cache without it closes the files just as well, and loses
    /// nothing but the accesses since the last flush; what the log and the journal hold goes into the database when the directory
    /// is opened next, and errors are told to nobody. Where the directory was removed meanwhile, there is nothing left to do, and
    /// that is no error.
    ///
    /// # Errors
    /// As [`Cache::set`]; the cache is closed all the same.
    pub fn close(self) -> Result<()> {
        self.settle_down()
    }

    /// What [`Cache::close`] does before the connections go, for a host that shares the cache. That the directory was removed is
    /// told by [`Cache::take_faults`].
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn settle_down(&self) -> Result<()> {
        self.engine.closing.store(true, Ordering::Relaxed);
        self.engine.log.close();
        self.maintenance.stop();
        let end = || self.engine.copy_log(None, Some(LogEnd::Cut));
        match self.flush().and_then(|()| end()) {
            Err(why) if self.engine.is_gone() => {
                let message = "the directory was removed or replaced while the cache was open: what was stored went with it";
                self.engine.report(Error::new(Code::Unavailable, message).at(self.dir()).because(why));
                Ok(())
            }
            outcome => outcome.map(|_| ()),
        }
    }
}

/// No thread of the cache lives and no file in the directory is open afterwards, but for those of streams, of mapped values and of
/// [`Cache::epochs`] that are kept. The job that the thread is at is waited for, and as long as that one waits for a lock: at most
/// [`Builder::lock_timeout`](crate::Builder::lock_timeout).
impl Drop for Cache {
    fn drop(&mut self) {
        self.engine.dropped.store(true, Ordering::Relaxed);
        self.engine.closing.store(true, Ordering::Relaxed);
        self.engine.log.close();
        self.maintenance.stop();
    }
}

/// When an entry expires that is stored now.
pub(super) fn expiry(now: u64, ttl: Option<Duration>) -> Result<Option<u64>> {
    match ttl {
        Some(ttl) if ttl.is_zero() => Err(Error::new(
            Code::InvalidTtl,
            "ttl is zero; a time to live is positive: delete the key instead",
        )),
        // Anything below a millisecond lives for one.
        Some(ttl) => {
            let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            Ok(Some(now.saturating_add(ms.max(1))))
        }
        None => Ok(None),
    }
}

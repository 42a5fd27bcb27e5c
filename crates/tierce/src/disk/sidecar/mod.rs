//! A cache in a directory whose file system has no locks to rely on: network mounts, some mounts of containers.
//!
//! Every entry is one self-checking file ([`head`]), which takes its name when it is whole ([`folder`]). There is no database, no
//! lock and no memory that processes share, so whoever writes last is right, and nothing spans two entries: what needs that
//! ([`Cache::transaction`](super::Cache), increments, queries) is not here.

mod bound;
mod folder;
mod head;
mod head_json;
mod json;
mod listing;
mod maker;
mod manage;
mod read;
mod shared;
mod stream;
mod turns;
mod walk;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Durability;
use super::cache::SetOptions;
use super::extras::Extras;
use super::lock;
use super::open::Paths;
use super::options::Options;
use super::row::Freshness;
use super::rules;
use super::verbs::State;
use super::write::{SetWrite, When, Write, Written};
use super::{Entry, Wait};
use crate::error::{Code, Error, Result};
use crate::key::{Digest, Key};
use bound::Bound;
use folder::Folder;
use shared::Shared;
use turns::Turns;

pub use stream::{SidecarReader, SidecarWriter};

/// A cache in a directory without a database: one self-checking file an entry.
///
/// For file systems without a working lock manager. [`Builder::open_sidecar`](super::Builder::open_sidecar) opens it. All methods take `&self` and may block
/// on the disk. What needs more than one file to change at once is not here: transactions, increments, queries, unique columns.
/// Statistics, tags and searches read the head of every entry.
///
/// ```
/// # fn main() -> tierce::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let dir = temp.path().join("cache");
/// let cache = tierce::Cache::builder().max_size(64 << 20).open_sidecar(&dir)?;
/// cache.set("user:1", b"Ada")?;
/// assert_eq!(cache.get("user:1")?.as_deref(), Some(&b"Ada"[..]));
/// # Ok(()) }
/// ```
pub struct SidecarCache {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for SidecarCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SidecarCache").field("dir", &self.shared.folder.dir).finish_non_exhaustive()
    }
}

impl SidecarCache {
    /// `rules`: what the record of the directory says of how it is kept.
    pub(super) fn open(options: &Options, paths: Paths, rules: Vec<u8>) -> Result<Self> {
        let keeping = rules::settle_recorded(&paths.dir, options, &rules)?;
        let folder = Folder::new(paths.dir, options.durability == Durability::Power, keeping, rules)?;
        Ok(Self {
            shared: Arc::new(Shared {
                turns: Turns::of(&folder.dir),
                bound: Bound::new(options),
                folder,
                clock: Arc::clone(&options.clock),
                codec: options.codec,
                default_ttl: options.ttl,
                tick: AtomicU64::new(0),
                faults: Mutex::default(),
                behind: Mutex::default(),
                dropped: AtomicBool::new(false),
                hits: AtomicU64::new(0),
                misses: AtomicU64::new(0),
            }),
        })
    }

    /// The digest by which this cache finds a key.
    pub fn digest(&self, key: &Key<'_>) -> Digest {
        self.shared.digest(key)
    }

    /// The directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.shared.folder.dir
    }

    /// Stores a value with the cache's time to live.
    ///
    /// # Errors
    /// [`Code::ValueTooLarge`] when it cannot fit; [`Code::StorageFull`], [`Code::ReadOnly`], [`Code::Unavailable`]
    /// for what the disk says: nothing changed.
    pub fn set<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_with(key, value, &SetOptions::default())
    }

    /// Stores a value with a time to live, tags, a description and metadata of its own, as
    /// [`Cache::set_with`](super::Cache::set_with).
    ///
    /// # Errors
    /// As [`SidecarCache::set`]; [`Code::InvalidTtl`] for a time to live of zero; [`Code::InvalidOption`] for a tag that is
    /// empty or too long.
    pub fn set_with<'a>(
        &self,
        key: impl Into<Key<'a>>,
        value: impl AsRef<[u8]>,
        options: &SetOptions<'_>,
    ) -> Result<()> {
        self.put(key.into(), value.as_ref(), options, When::Always).map(|_| ())
    }

    /// Stores a value if the key has no live entry. Whether it did. One step between all processes where the file system has
    /// links.
    ///
    /// # Errors
    /// As [`SidecarCache::set`].
    pub fn add<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<bool> {
        Ok(!self.put(key.into(), value.as_ref(), &SetOptions::default(), When::Absent)?.existed)
    }

    /// Stores a value if the key has a live entry. Whether it did. Another process may remove the entry between the look and
    /// the step.
    ///
    /// # Errors
    /// As [`SidecarCache::set`].
    pub fn update<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.put(key.into(), value.as_ref(), &SetOptions::default(), When::Present)?.existed)
    }

    fn put(&self, key: Key<'_>, value: &[u8], options: &SetOptions<'_>, when: When) -> Result<Written> {
        let extras = Extras {
            tags: options.tags.iter().map(|tag| (*tag).into()).collect(),
            description: options.description.map(Into::into),
            meta: options.meta.to_vec(),
        };
        self.one(Write::Set(SetWrite {
            expires_at: self.expiry(options.ttl.or(self.shared.default_ttl))?,
            when,
            extras: Some(extras),
            ..SetWrite::new(key, value)
        }))
    }

    /// Gives a live entry another time to live from now on; `None` never expires. Whether there was one. The file is written
    /// again: what another process stores at the same moment may be the older value afterwards.
    ///
    /// # Errors
    /// As [`SidecarCache::set_with`].
    pub fn expire<'a>(&self, key: impl Into<Key<'a>>, ttl: Option<Duration>) -> Result<bool> {
        let (key, expires_at) = (key.into(), self.expiry(ttl)?);
        Ok(self.one(Write::Renew { key, expires_at, fresh_until: None, stale: false })?.existed)
    }

    /// How long a live entry has to live, [`Duration::MAX`] for ever; `None` where there is none.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn ttl<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Duration>> {
        let State::Live(meta) = self.state(key)? else { return Ok(None) };
        let left = |at: u64| Duration::from_millis(at.saturating_sub(self.shared.now()));
        Ok(Some(meta.expires_at.map_or(Duration::MAX, left)))
    }

    /// Counts as an access of a live entry. Whether there is one.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn touch<'a>(&self, key: impl Into<Key<'a>>) -> Result<bool> {
        let State::Live(meta) = self.state(key)? else { return Ok(false) };
        self.note([(meta.id, 1)]);
        Ok(true)
    }

    /// Removes a key. True when it had a live entry.
    ///
    /// # Errors
    /// As [`SidecarCache::set`].
    pub fn delete<'a>(&self, key: impl Into<Key<'a>>) -> Result<bool> {
        Ok(self.one(Write::Delete { key: key.into() })?.existed)
    }

    /// Removes every entry that has one of these tags, and gives how many were live. Reads the head of every entry.
    ///
    /// # Errors
    /// As [`SidecarCache::set`].
    pub fn invalidate_tags(&self, tags: &[&str]) -> Result<u64> {
        Ok(self.one(Write::InvalidateTags { tags: tags.to_vec() })?.invalidated)
    }

    /// Removes every entry. What others write meanwhile may stay.
    ///
    /// # Errors
    /// As [`SidecarCache::set`].
    pub fn clear(&self) -> Result<()> {
        self.one(Write::Clear).map(|_| ())
    }

    fn one(&self, write: Write<'_>) -> Result<Written> {
        let written = self.apply(&[write], Wait::Yes)?;
        written.first().copied().ok_or_else(|| Error::new(Code::Internal, "a write had no outcome"))
    }

    fn expiry(&self, ttl: Option<Duration>) -> Result<Option<u64>> {
        super::cache::expiry(self.shared.now(), ttl)
    }

    /// The value of a key. `None` when there is none, it expired, or it was damaged: then it is removed and reported
    /// by [`SidecarCache::take_faults`].
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the disk fails.
    pub fn get<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Vec<u8>>> {
        Ok(self.entry(key)?.map(|entry| entry.value))
    }

    /// The value of a key and what is known beside it.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn entry<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Entry>> {
        self.read(&key.into(), false)
    }

    /// As [`SidecarCache::entry`], and also gives a stale one: see [`Freshness`].
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn kept<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Entry>> {
        self.read(&key.into(), true)
    }

    /// As [`SidecarCache::entry`] for many keys, in their order: each as it was at some moment.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry>>> {
        keys.iter().map(|key| self.read(key, false)).collect()
    }

    /// Whether a key has a live entry. Does not read its value and does not count as an access.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn has<'a>(&self, key: impl Into<Key<'a>>) -> Result<bool> {
        Ok(matches!(self.state(key)?, State::Live(_)))
    }

    /// Faults since the last call that no caller was told of: entries that were damaged.
    pub fn take_faults(&self) -> Vec<Error> {
        std::mem::take(&mut lock(&self.shared.faults))
    }

    /// Whether [`SidecarCache::take_faults`] would give some.
    pub fn has_faults(&self) -> bool {
        !lock(&self.shared.faults).is_empty()
    }

    /// Writes the times of accesses that are still in memory, and closes.
    ///
    /// # Errors
    /// None today.
    pub fn close(self) -> Result<()> {
        self.settle_down()
    }

    /// What [`SidecarCache::close`] does, for a host that shares the cache.
    ///
    /// # Errors
    /// None today.
    pub fn settle_down(&self) -> Result<()> {
        self.shared.wait_for_flush();
        self.shared.flush();
        Ok(())
    }
}

/// Times of accesses that are not written yet are lost; no thread of the cache lives afterwards.
impl Drop for SidecarCache {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::Relaxed);
        self.shared.wait_for_flush();
    }
}

/// What is not to be had without a database.
fn unavailable(what: &str, instead: &str) -> Error {
    let message =
        format!("{what} needs a database, and this directory has none (metadata 'json'): {instead}");
    Error::new(Code::Unavailable, message)
}

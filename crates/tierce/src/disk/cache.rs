//! The verbs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Wait;
use super::access::Access;
use super::db::{Db, LogEnd, PAGE_SIZE};
use super::engine::Engine;
use super::epoch::EpochTable;
use super::extras::{Extras, MetaRow};
use super::lock;
use super::maintenance::{self, Maintenance};
use super::read::{Beside, Lookup, Meta};
use super::row::Sums;
use super::verbs::State;
use super::write::{SetWrite, Write, Written};
use crate::error::{Code, Error, Result};
use crate::frame::Header;
use crate::key::{Digest, Key};

/// Pages of a database that is counted on a thread that must not wait: 4 MiB.
const FEW_PAGES: u64 = 1024;

/// Times that a read looks again when the value's file was replaced under it.
pub(super) const LOOKS: usize = 8;

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

/// An entry with its value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The value's bytes.
    pub value: Vec<u8>,
    /// What is known beside them.
    pub meta: Meta,
    /// Tags, description and metadata.
    pub extras: Extras<'static>,
}

/// A value that [`Cache::mapped`] gives.
#[derive(Debug)]
pub struct Mapped {
    /// What is known beside it.
    pub meta: Meta,
    /// Its bytes.
    pub value: MappedValue,
}

/// Where the bytes of a value are. Both can be written to, and neither reaches the file.
#[derive(Debug)]
pub enum MappedValue {
    /// In a private map of the file.
    Map(memmap2::MmapMut),
    /// In memory.
    Read(Vec<u8>),
}

impl Mapped {
    fn read(entry: Entry) -> Self {
        Self { meta: entry.meta, value: MappedValue::Read(entry.value) }
    }
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

/// Outcome of [`Cache::fetch_into`].
#[derive(Clone, Copy, Debug)]
pub enum Fetched {
    /// No live entry.
    Miss,
    /// The value is in the first `meta.size` bytes of the buffer.
    Filled(Meta),
    /// The value is in a file or longer than the buffer, or there is more than the value: use [`Cache::entry`].
    TooLarge(Meta),
}

/// What is stored. Expired entries count until they are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Entries.
    pub entries: u64,
    /// Bytes of the values.
    pub size: u64,
    /// Bytes of the values as stored, after compression.
    pub stored_size: u64,
    /// Bytes in use: database pages that hold something, value files in blocks, and the log.
    pub disk_size: u64,
    /// Bytes of the log, a part of these.
    pub log_size: u64,
    /// Whether the log is longer than this cache lets it get: a reader elsewhere stays on an old snapshot, and as long as it
    /// does, real use may be above the bound.
    pub log_is_pinned: bool,
    /// Reads of this handle that found an entry.
    pub hits: u64,
    /// Reads of this handle that did not.
    pub misses: u64,
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
    pub fn set<'a>(&self, key: impl Into<Key<'a>>, value: &[u8]) -> Result<()> {
        self.set_with(key, value, &SetOptions::default())
    }

    /// Stores a value with a time to live of its own.
    ///
    /// # Errors
    /// As [`Cache::set`]; [`Code::InvalidTtl`] when it is zero.
    pub fn set_for<'a>(&self, key: impl Into<Key<'a>>, value: &[u8], ttl: Duration) -> Result<()> {
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
        value: &[u8],
        options: &SetOptions<'_>,
    ) -> Result<()> {
        let extras = Extras {
            tags: options.tags.iter().map(|tag| (*tag).into()).collect(),
            description: options.description.map(Into::into),
            meta: options.meta.to_vec(),
        };
        let expires_at = self.expiry(options.ttl.or(self.engine.default_ttl))?;
        let write = SetWrite { expires_at, extras: Some(extras), ..SetWrite::new(key.into(), value) };
        self.apply(&[Write::Set(write)], Wait::Yes).map(|_| ())
    }

    pub(super) fn expiry(&self, ttl: Option<Duration>) -> Result<Option<u64>> {
        expiry(self.engine.now(), ttl)
    }

    /// Applies writes in one transaction: all of them, or none.
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

    /// The value of a key. `None` when there is none, it expired, or it was damaged: then it is removed and reported
    /// by [`Cache::take_faults`].
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the disk fails; [`Code::LockTimeout`] when the database recovers for too long.
    pub fn get<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Vec<u8>>> {
        Ok(self.value(&key.into())?.map(|entry| entry.value))
    }

    /// The value of a key and what is known beside it.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn entry<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Entry>> {
        let key = key.into();
        self.whole(&key, |cache, key| cache.value(key))
    }

    /// As [`Cache::entry`], and also gives a stale one: see [`Freshness`].
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn kept<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Entry>> {
        let key = key.into();
        self.whole(&key, |cache, key| cache.finish(key, cache.stored(key)?))
    }

    /// An entry with its extras.
    fn whole<'a>(
        &self,
        key: &Key<'a>,
        read: impl Fn(&Self, &Key<'a>) -> Result<Option<Entry>>,
    ) -> Result<Option<Entry>> {
        for _ in 0..LOOKS {
            let Some(mut entry) = read(self, key)? else { return Ok(None) };
            if !entry.meta.has_extras {
                return Ok(Some(entry));
            }
            match self.engine.beside(&entry.meta)? {
                Beside::Found(extras) => {
                    entry.extras = extras;
                    return Ok(Some(entry));
                }
                Beside::Damaged => return Ok(None),
                Beside::Outdated => {}
            }
        }
        Ok(None) // replaced again and again while it was read
    }

    /// A live entry without its extras.
    fn value(&self, key: &Key<'_>) -> Result<Option<Entry>> {
        self.finish(key, self.live(self.stored(key)?))
    }

    fn stored(&self, key: &Key<'_>) -> Result<Lookup<Vec<u8>>> {
        self.engine.look(key, false, |header, _, payload| header.decode(payload))
    }

    /// A stale entry is a miss.
    pub(super) fn live<T>(&self, found: Lookup<T>) -> Lookup<T> {
        match &found {
            Lookup::Inline(_, meta) | Lookup::File(_, meta) if meta.freshness.is_stale(self.engine.now()) => {
                Lookup::Miss
            }
            _ => found,
        }
    }

    /// Reads a value's file where that is where it is, and counts.
    pub(super) fn finish(&self, key: &Key<'_>, found: Lookup<Vec<u8>>) -> Result<Option<Entry>> {
        let mut found = found;
        for _ in 0..LOOKS {
            let (header, meta) = match self.engine.sound(key, found) {
                Lookup::Miss | Lookup::Damaged(..) => return Ok(self.counted(None)),
                Lookup::Inline(value, meta) => return Ok(self.counted(Some(bare(value, meta)))),
                Lookup::File(header, meta) => (header, meta),
            };
            match self.engine.read_file(key, header) {
                Ok(Some(value)) => return Ok(self.counted(Some(bare(value, meta)))),
                Ok(None) => {}
                Err(fault) if fault.code() == Code::Corrupt => {
                    self.lost_file(key, header, fault);
                    return Ok(self.counted(None));
                }
                Err(fault) => return Err(fault),
            }
            found = self.engine.look(key, false, |header, _, payload| header.decode(payload))?;
            if let Lookup::File(again, _) = &found
                && again.write_id == header.write_id
            {
                let fault = Error::new(
                    Code::Corrupt,
                    format!("the file of value {:016x} is missing", header.write_id),
                );
                self.lost_file(key, header, fault.at(self.dir()));
                return Ok(self.counted(None));
            }
        }
        Ok(self.counted(None)) // replaced again and again while it was read
    }

    /// As [`Cache::entry`] without its extras, but a value that is in a file as it is, uncompressed, is mapped into memory
    /// rather than read. It is verified first, and writes to it stay in memory. A process that cuts the file while it is
    /// mapped kills this one: only for directories that nobody else truncates files in.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn mapped<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Mapped>> {
        let key = key.into();
        let found = self.live(self.stored(&key)?);
        let Lookup::File(header, meta) = found else {
            return Ok(self.finish(&key, found)?.map(Mapped::read));
        };
        if header.codec != 0 || header.encrypted || self.engine.keeping.is_encrypted() {
            return Ok(self.finish(&key, Lookup::File(header, meta))?.map(Mapped::read));
        }
        {
            let map = self.engine.blobs.map(header).and_then(|map| match map {
                Some(map) => {
                    let digest = self.engine.keeping.digest(&key);
                    self.engine.keeping.payload(header, digest, &map).map(|_| ())?;
                    Ok(Some(map))
                }
                None => Ok(None),
            });
            match map {
                Ok(Some(map)) => {
                    self.count(Some(&meta));
                    Ok(Some(Mapped { meta, value: MappedValue::Map(map) }))
                }
                // Replaced meanwhile, or gone: the plain read tells.
                Ok(None) => Ok(self.value(&key)?.map(Mapped::read)),
                Err(fault) if fault.code() == Code::Corrupt => {
                    self.lost_file(&key, header, fault);
                    Ok(self.counted(None).map(Mapped::read))
                }
                Err(fault) => Err(fault),
            }
        }
    }

    /// Removes an entry whose file is damaged or gone, if it is still the one that points to it.
    pub(super) fn lost_file(&self, key: &Key<'_>, header: Header, fault: Error) {
        let id = self.engine.keeping.digest(key).id();
        let seal = self.engine.read(|db| {
            db.find(id, |row| Header::parse(row.frame).is_ok_and(|now| now == header).then_some(row.seal))
        });
        if let Ok(Some(Some(seal))) = seal {
            self.engine.discard(id, seal, fault);
        }
    }

    fn counted(&self, entry: Option<Entry>) -> Option<Entry> {
        self.count(entry.as_ref().map(|entry| &entry.meta));
        entry
    }

    /// Counts a read, and notes a hit. Gives what was noted of the entry before.
    pub(super) fn count(&self, hit: Option<&Meta>) -> Option<Access> {
        let (before, due) = self.engine.count(hit);
        if due {
            self.maintenance.accesses_due(&self.engine);
        }
        if self.engine.suspicion.load(Ordering::Relaxed) {
            self.maintenance.damage_met(&self.engine);
        }
        before
    }

    /// Reads a small value into a buffer of the caller's: no allocation. Gives stale entries too: see [`Freshness`]. With `hold`, the snapshot stays open for the
    /// next such read, as long as nobody writes: the caller ends it with [`Cache::release`] soon, as the log cannot
    /// start again before. With `whole`, an entry that has extras is left to [`Cache::entry`].
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn fetch_into(&self, key: &Key<'_>, buffer: &mut [u8], hold: bool, whole: bool) -> Result<Fetched> {
        let found = self.engine.look(key, hold, |header, meta, payload| {
            match buffer.get_mut(..meta.size as usize) {
                Some(room) if !(whole && meta.has_extras) => header.decode_into(payload, room).map(|()| true),
                _ => Ok(false),
            }
        })?;
        Ok(match found {
            Lookup::Miss | Lookup::Damaged(..) => {
                self.count(None);
                Fetched::Miss
            }
            Lookup::Inline(true, meta) => Fetched::Filled(meta.with(self.count(Some(&meta)))),
            Lookup::Inline(false, meta) | Lookup::File(_, meta) => Fetched::TooLarge(meta),
        })
    }

    /// Ends the snapshots that [`Cache::fetch_into`] and [`Cache::query_into`] held.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn release(&self) -> Result<()> {
        self.engine.release().and_then(|()| self.engine.release_queries())
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

    /// Notes accesses that happened in a memory tier in front of this one: [`Meta::id`] and how many there were, the
    /// least recent first.
    pub fn note(&self, accesses: impl IntoIterator<Item = (i64, u32)>) {
        let due = accesses.into_iter().fold(false, |due, (id, hits)| self.engine.note(id, hits).1 | due);
        if due {
            self.maintenance.accesses_due(&self.engine);
        }
    }

    /// Entries, expired ones included until they are removed.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn len(&self) -> Result<u64> {
        Ok(self.engine.read_mending(false, Db::sums)?.entries)
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What is stored and how this handle's reads fared.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn stats(&self) -> Result<Stats> {
        let found = self.engine.read_mending(false, |db| Ok((db.sums()?, db.bytes_in_use()?)))?;
        Ok(self.stats_of(found))
    }

    /// As [`Cache::stats`], where counting takes about a millisecond: for a thread that must not wait.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn stats_if_small(&self) -> Result<Option<Stats>> {
        let found = self.engine.read_mending(false, |db| {
            let is_quick = db.known_sums()?.is_some() || db.pages()? <= FEW_PAGES;
            if is_quick { Ok(Some((db.sums()?, db.bytes_in_use()?))) } else { Ok(None) }
        })?;
        Ok(found.map(|found| self.stats_of(found)))
    }

    /// Whether a look at every row takes about a millisecond: for a thread that must not wait.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn is_small(&self) -> Result<bool> {
        self.engine.read_mending(false, |db| Ok(db.pages()? <= FEW_PAGES))
    }

    fn stats_of(&self, (sums, disk_size): (Sums, u64)) -> Stats {
        let log_size = self.engine.paths.log_size();
        Stats {
            entries: sums.entries,
            size: sums.size,
            stored_size: sums.stored,
            disk_size: disk_size + log_size + self.engine.journaling.bytes(),
            log_size,
            log_is_pinned: self.engine.log.is_pinned(log_size),
            hits: self.engine.hits.load(Ordering::Relaxed),
            misses: self.engine.misses.load(Ordering::Relaxed),
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
        maintenance::flush(&self.engine, &*self.engine.primary(Wait::Yes)?)
    }

    /// Flushes, copies the log into the database and closes. Dropping a cache loses nothing but the accesses since
    /// the last flush.
    ///
    /// # Errors
    /// As [`Cache::set`]; the cache is closed all the same.
    pub fn close(self) -> Result<()> {
        self.settle_down()
    }

    /// What [`Cache::close`] does before the connections go, for a host that shares the cache.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn settle_down(&self) -> Result<()> {
        self.engine.closing.store(true, Ordering::Relaxed);
        self.engine.log.close();
        self.maintenance.stop();
        self.flush()?;
        self.engine.copy_log(&*self.engine.primary(Wait::Yes)?, Some(LogEnd::Cut)).map(|_| ())
    }

    /// Bytes of a database page: the grain of [`Stats::disk_size`].
    pub const PAGE_SIZE: u64 = PAGE_SIZE;
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

fn bare(value: Vec<u8>, meta: Meta) -> Entry {
    Entry { value, meta, extras: Extras::default() }
}

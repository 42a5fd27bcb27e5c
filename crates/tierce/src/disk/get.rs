//! The verbs that read values.

use std::sync::atomic::Ordering;

use super::access::Access;
use super::cache::Cache;
use super::extras::Extras;
use super::read::{Beside, Lookup, Meta};
use crate::error::{Code, Error, Result};
use crate::frame::Header;
use crate::key::Key;

/// Times that a read looks again when the value's file was replaced under it.
pub(super) const LOOKS: usize = 8;

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

impl Cache {
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

    /// As [`Cache::entry`], and also gives a stale one: see [`Freshness`](crate::Freshness).
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
        match self.map(&key, header) {
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

    /// Maps a value's file and verifies it. `None` when it is not there.
    fn map(&self, key: &Key<'_>, header: Header) -> Result<Option<memmap2::MmapMut>> {
        let Some(map) = self.engine.blobs.map(header)? else { return Ok(None) };
        self.engine.keeping.payload(header, self.digest(key), &map)?;
        Ok(Some(map))
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
        if self.engine.suspicion.load(Ordering::Relaxed) || self.engine.journaling.is_suspected() {
            self.maintenance.damage_met(&self.engine);
        }
        before
    }

    /// Reads a small value into a buffer of the caller's: no allocation. Gives stale entries too: see [`Freshness`](crate::Freshness). With `hold`, the snapshot stays open for the
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
}

fn bare(value: Vec<u8>, meta: Meta) -> Entry {
    Entry { value, meta, extras: Extras::default() }
}

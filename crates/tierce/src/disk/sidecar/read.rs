//! Reading: the head, then every check, then the value.

use std::borrow::Cow;
use std::io::Read as _;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use super::super::get::{Mapped, MappedValue};
use super::super::{Entry, Meta, State, lock};
use super::SidecarCache;
use super::folder::Found;
use super::head::Opened;
use super::shared::{Shared, meta_of, place_of};
use crate::error::{Code, Error, Result};
use crate::key::Key;

impl SidecarCache {
    pub(super) fn read(&self, key: &Key<'_>, stale_too: bool) -> Result<Option<Entry>> {
        let Some(mut opened) = self.shared.live(key, stale_too)? else { return Ok(self.counted(None)) };
        let meta = self.shared.meta(&opened);
        let value = opened.payload().and_then(|payload| {
            let header = opened.head.header;
            let keeping = self.shared.keeping();
            match keeping.payload(header, keeping.digest(key), &payload)? {
                plain if header.codec != 0 => header.decode(&plain),
                Cow::Owned(plain) => Ok(plain),
                Cow::Borrowed(_) => Ok(payload),
            }
        });
        match value {
            Ok(value) => Ok(self.counted(Some(Entry { value, meta, extras: opened.head.extras }))),
            Err(fault) if fault.code() == Code::Corrupt => {
                self.shared.lost(meta.id, opened.stamp, fault);
                Ok(self.counted(None))
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn counted(&self, entry: Option<Entry>) -> Option<Entry> {
        self.count(entry.as_ref().map(|entry| entry.meta.id));
        entry
    }

    pub(super) fn count(&self, hit: Option<i64>) {
        let Shared { hits, misses, .. } = &*self.shared;
        match hit {
            Some(id) => {
                hits.fetch_add(1, Ordering::Relaxed);
                self.note([(id, 1)]);
            }
            None => drop(misses.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// As [`SidecarCache::entry`] without its extras. Nothing is mapped: a file that another machine holds can be cut there.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn mapped<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Mapped>> {
        let entry = self.read(&key.into(), false)?;
        Ok(entry.map(|Entry { meta, value, .. }| Mapped { meta, value: MappedValue::Read(value) }))
    }

    /// Whether a key has an entry, and what is known of it. Not an access.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn state<'a>(&self, key: impl Into<Key<'a>>) -> Result<State> {
        let key = key.into();
        Ok(match self.shared.entry(&key)? {
            Some(opened) if opened.head.is_live(self.shared.now()) => State::Live(self.shared.meta(&opened)),
            Some(_) => State::Expired,
            None => State::Missing,
        })
    }

    /// Whether the entry of a key is still the one with this slot and epoch ([`Meta::slot`](Meta::slot)): for memory tiers. One short read.
    pub fn is_current<'a>(&self, key: impl Into<Key<'a>>, slot: u32, epoch: u32) -> bool {
        let found = self.shared.folder.stamp(self.digest(&key.into()).id());
        matches!(found, Ok(Found::Read(stamp)) if place_of(stamp) == (slot, epoch))
    }

    /// Notes accesses that happened in a memory tier in front of this one: [`Meta::id`](Meta::id) and how many there
    /// were, the least recent first.
    pub fn note(&self, accesses: impl IntoIterator<Item = (i64, u32)>) {
        let shared = &self.shared;
        let due = accesses.into_iter().fold(false, |due, (id, _)| shared.bound.note(id, shared.tick()) | due);
        if due {
            shared.flush_behind();
        }
    }
}

impl Shared {
    /// Writes the times of accesses on a thread of its own: it may take long, and nobody waits for it.
    fn flush_behind(self: &std::sync::Arc<Self>) {
        let shared = std::sync::Arc::clone(self);
        let mut behind = lock(&self.behind);
        let before = behind.take();
        let flush = move || {
            join(before);
            shared.flush();
        };
        // Without one they stay noted, and the next batch tries again.
        *behind = thread::Builder::new().name("tierce-accesses".into()).spawn(flush).ok();
    }

    pub fn flush(&self) {
        self.bound.flush(&self.folder, &self.dropped);
    }

    pub fn wait_for_flush(&self) {
        let running = lock(&self.behind).take();
        join(running);
    }

    /// The entry of a key, expired or not. What is damaged is removed and reported.
    pub fn entry(&self, key: &Key<'_>) -> Result<Option<Opened>> {
        let id = self.digest(key).id();
        match self.folder.open(id)? {
            Found::Read(opened) if self.is_of(&opened.head, key) => Ok(Some(opened)),
            Found::Read(opened) => {
                // Another key with the same upper half of its digest, or a file that somebody gave another name.
                if self.digest_of(&opened.head).id() != id {
                    let fault = Error::new(Code::Corrupt, "the file of an entry has the name of another");
                    self.lost(id, opened.stamp, fault.at(&self.folder.path(id)));
                }
                Ok(None)
            }
            Found::Missing => Ok(None),
            Found::Bad(fault) => {
                if fault.code() == Code::Corrupt {
                    self.removed(
                        id,
                        &|found| matches!(found, Found::Bad(why) if why.code() == Code::Corrupt),
                    );
                }
                self.report(fault);
                Ok(None)
            }
        }
    }

    pub fn live(&self, key: &Key<'_>, stale_too: bool) -> Result<Option<Opened>> {
        let now = self.now();
        let is_wanted = |opened: &Opened| {
            !opened.head.is_expired(now) && (stale_too || !opened.head.freshness.is_stale(now))
        };
        Ok(self.entry(key)?.filter(is_wanted))
    }

    pub fn meta(&self, opened: &Opened) -> Meta {
        let id = self.digest_of(&opened.head).id();
        let used = self.bound.used(id).or_else(|| self.folder.used(id)).unwrap_or_default();
        meta_of(&opened.head, id, opened.stamp, used)
    }

    /// Removes an entry whose payload is damaged, if it is still the same.
    pub fn lost(&self, id: i64, stamp: u64, fault: Error) {
        self.removed(id, &|found| matches!(found, Found::Read(opened) if opened.stamp == stamp));
        self.report(fault);
    }

    /// Removes the file of an entry if it is still what `is_due` says, and counts that. It stays a miss where that fails.
    pub fn removed(&self, id: i64, is_due: &dyn Fn(&Found<Opened>) -> bool) -> bool {
        let _turn = self.turns.take(id);
        let taken = self.folder.take(id, is_due).unwrap_or_default();
        taken.inspect(|length| self.bound.left(id, *length)).is_some()
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = thread.join(); // a panic there was reported on its own thread
    }
}

impl Opened {
    /// The payload. Its length was compared with the file's before anything is allocated for it.
    pub fn payload(&mut self) -> Result<Vec<u8>> {
        let length = usize::try_from(self.head.header.stored_size).unwrap_or(usize::MAX);
        let mut payload = std::mem::take(&mut self.first);
        payload.truncate(length);
        payload.try_reserve_exact(length - payload.len()).map_err(|why| {
            Error::new(Code::ValueTooLarge, format!("no memory for a value of {length} bytes")).because(why)
        })?;
        let rest = (length - payload.len()) as u64;
        (&mut self.file).take(rest).read_to_end(&mut payload).map_err(|why| {
            Error::new(
                Code::Unavailable,
                format!("cannot read the entry: {why}; check the disk and the path"),
            )
            .because(why)
        })?;
        Ok(payload)
    }
}

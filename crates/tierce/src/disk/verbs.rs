//! The verbs that depend on what is there: each is one write, decided inside its transaction.

use std::time::Duration;

use super::Wait;
use super::cache::Cache;
use super::get::LOOKS;
use super::number::Number;
use super::read::{Lookup, Meta};
use super::write::{SetWrite, When, Write, Written};
use crate::error::{Code, Error, Result};
use crate::key::Key;

/// What is known of a key without reading its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// No entry.
    Missing,
    /// An entry whose time has passed, or that is stale, and that was not removed yet.
    Expired,
    /// A live entry.
    Live(Meta),
}

impl Cache {
    /// Stores a value with the cache's time to live, if the key has no live entry. Whether it did.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn add<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<bool> {
        Ok(!self.set_when(key.into(), value.as_ref(), When::Absent)?.existed)
    }

    /// Stores a value if the key has a live entry, in its place and with the cache's time to live, as [`Cache::set`]
    /// does. Whether it did.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn update<'a>(&self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.set_when(key.into(), value.as_ref(), When::Present)?.existed)
    }

    fn set_when(&self, key: Key<'_>, value: &[u8], when: When) -> Result<Written> {
        let expires_at = self.expiry(self.engine.default_ttl)?;
        self.one(Write::Set(SetWrite { expires_at, when, ..SetWrite::new(key, value) }))
    }

    /// Gives a live entry another time to live from now on; `None` never expires. Whether there was one.
    ///
    /// # Errors
    /// As [`Cache::set_for`].
    pub fn expire<'a>(&self, key: impl Into<Key<'a>>, ttl: Option<Duration>) -> Result<bool> {
        let (key, expires_at) = (key.into(), self.expiry(ttl)?);
        Ok(self.one(Write::Renew { key, expires_at, fresh_until: None, stale: false })?.existed)
    }

    /// How long a live entry has to live, [`Duration::MAX`] for ever; `None` where there is none.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn ttl<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<Duration>> {
        let State::Live(meta) = self.state(key)? else { return Ok(None) };
        let left = |at: u64| Duration::from_millis(at.saturating_sub(self.engine.now()));
        Ok(Some(meta.expires_at.map_or(Duration::MAX, left)))
    }

    /// Counts as an access of a live entry, without reading it. Whether there is one.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn touch<'a>(&self, key: impl Into<Key<'a>>) -> Result<bool> {
        let State::Live(meta) = self.state(key)? else { return Ok(false) };
        self.note([(meta.id, 1)]);
        Ok(true)
    }

    /// Adds to the integer that a key holds in decimal text, and gives the sum. A key without a live entry holds 0, and gets
    /// the cache's time to live; an entry that is there keeps its own. Atomic between threads and processes.
    ///
    /// ```
    /// # fn main() -> tierce::Result<()> {
    /// # let temp = tempfile::tempdir().unwrap();
    /// # let cache = tierce::Cache::builder().open(temp.path().join("cache"))?;
    /// assert_eq!(cache.increment("visits", 1)?, 1);
    /// assert_eq!(cache.increment("visits", 10)?, 11);
    /// assert_eq!(cache.get("visits")?.as_deref(), Some(&b"11"[..]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Cache::set`]; [`Code::InvalidOption`] where the key holds something else, or the sum is no `i64`.
    pub fn increment<'a>(&self, key: impl Into<Key<'a>>, by: i64) -> Result<i64> {
        let expires_at = self.expiry(self.engine.default_ttl)?;
        let write = Write::Increment { key: key.into(), by: Number::Integer(by), expires_at };
        match self.one(write)?.number {
            Some(Number::Integer(sum)) => Ok(sum),
            _ => Err(Error::new(Code::Internal, "an increment gave no integer")),
        }
    }

    /// As [`Cache::get`], but a miss is an error.
    ///
    /// # Errors
    /// [`Code::KeyExpired`] where there is an entry whose time has passed and that was not removed yet,
    /// [`Code::KeyNotFound`] where there is none; as [`Cache::get`].
    pub fn get_or_fail<'a>(&self, key: impl Into<Key<'a>>) -> Result<Vec<u8>> {
        let key = key.into();
        if let Some(value) = self.get(key.clone())? {
            return Ok(value);
        }
        Err(match self.state(key)? {
            State::Expired => Error::new(Code::KeyExpired, "the entry of the key has expired"),
            _ => Error::new(Code::KeyNotFound, "the key has no entry"),
        })
    }

    /// Whether a key has an entry, and what is known of it. Not an access.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn state<'a>(&self, key: impl Into<Key<'a>>) -> Result<State> {
        let key = key.into();
        for _ in 0..LOOKS {
            match self.live(self.engine.look(&key, false, |_, _, _| Ok(()))?) {
                Lookup::Miss | Lookup::Damaged(..) => break,
                Lookup::Inline((), meta) => return Ok(State::Live(meta)),
                // Looked at again when it is not there: it may have been replaced meanwhile.
                Lookup::File(header, meta) if self.engine.blobs.has(header) => return Ok(State::Live(meta)),
                Lookup::File(..) => {}
            }
        }
        let (now, keeping) = (self.engine.now(), &self.engine.keeping);
        let id = keeping.digest(&key).id();
        let is_over =
            self.engine.read(|db| db.find(id, |row| keeping.is_of(row.key, &key) && !row.is_live(now)))?;
        Ok(if is_over == Some(true) { State::Expired } else { State::Missing })
    }

    fn one(&self, write: Write<'_>) -> Result<Written> {
        let written = self.apply(&[write], Wait::Yes)?;
        written.first().copied().ok_or_else(|| Error::new(Code::Internal, "a write had no outcome"))
    }
}

//! What is stored, counted.

use std::sync::atomic::Ordering;

use super::cache::Cache;
use super::db::{Db, PAGE_SIZE};
use super::row::Sums;
use crate::error::Result;

/// Pages of a database that is counted on a thread that must not wait: 4 MiB.
const FEW_PAGES: u64 = 1024;

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

impl Cache {
    /// Bytes of a database page: the grain of [`Stats::disk_size`].
    pub const PAGE_SIZE: u64 = PAGE_SIZE;

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
}

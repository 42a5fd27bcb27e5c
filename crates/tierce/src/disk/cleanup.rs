//! Removing what has expired.

use super::Wait;
use super::cache::Cache;
use super::db::Db;
use super::engine::Engine;
use super::victims::Scene;
use crate::error::Result;

/// Entries removed in one transaction: short enough that a writer beside it barely waits.
const BATCH: u64 = 2_000;
/// Removals after which free pages are looked for.
const MANY: u64 = 1_000;

/// How much of what is stored has expired, and how much plain reads find: neither is what has gone stale and is kept for loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validity {
    /// Entries whose time has passed and which are still there.
    pub expired: u64,
    /// Entries that plain reads find.
    pub valid: u64,
    /// Bytes of their values.
    pub valid_size: u64,
}

/// Expired rows that follow each other.
#[derive(Debug)]
pub(super) struct Stretch {
    pub first: i64,
    pub last: i64,
    /// Whether nearly all rows from `first` to `last` have expired.
    pub is_dense: bool,
    /// Those that have more than a row.
    pub special: Vec<i64>,
    /// All of them, where they are not dense.
    pub ids: Vec<i64>,
}

impl Cache {
    /// Removes up to `limit` entries that have expired, in short transactions beside other writers. Gives how many.
    ///
    /// # Errors
    /// As [`Cache::set`]; what was removed by then is gone.
    pub fn cleanup(&self, limit: u64) -> Result<u64> {
        let removed = self.engine.cleanup(limit);
        self.maintenance.committed(&self.engine);
        if removed.as_ref().is_ok_and(|removed| *removed >= MANY) {
            self.maintenance.emptied(&self.engine);
        }
        removed
    }

    /// How much has expired, and how much plain reads find.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn validity(&self) -> Result<Validity> {
        let now = self.engine.now();
        self.engine.read_mending(false, |db| db.validity(now))
    }

    /// Entries whose time has passed and which are still there.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn expired_count(&self) -> Result<u64> {
        Ok(self.validity()?.expired)
    }

    /// Bytes of the values that plain reads find.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn valid_size(&self) -> Result<u64> {
        Ok(self.validity()?.valid_size)
    }
}

impl Engine {
    fn cleanup(&self, limit: u64) -> Result<u64> {
        let now = self.now();
        let mut removed = 0;
        let mut after = Some(i64::MIN);
        while let Some(from) = after.filter(|_| removed < limit) {
            let batch = BATCH.min(limit - removed);
            let Some(stretch) = self.read_mending(false, |db: &Db| db.expired(from, now, batch))? else {
                break;
            };
            removed += self.remove_expired(&stretch, now)?;
            after = stretch.last.checked_add(1);
        }
        Ok(removed)
    }

    fn remove_expired(&self, stretch: &Stretch, now: u64) -> Result<u64> {
        self.keep_log_short(Wait::Yes)?;
        let (removed, files) = self.write(Wait::Yes, |transaction| {
            let scene = Scene::new(transaction, &self.accesses, &self.epochs, now, Wait::Yes);
            let (mut count, mut files) = (0, Vec::new());
            let one_by_one = if stretch.is_dense { &stretch.special } else { &stretch.ids };
            for id in one_by_one {
                let Some(removed) = transaction.expire(*id, now)? else { continue };
                count += 1;
                self.bound.removed(scene, &removed)?;
                if let Some(file) = removed.file {
                    transaction.condemn(file, self.owner.id()?)?;
                    files.push(file);
                }
            }
            if stretch.is_dense {
                count += transaction.expire_plain(stretch.first, stretch.last, now)?;
                self.bound.many_removed();
            }
            Ok((count, files))
        })?;
        self.unlink(&files);
        Ok(removed)
    }
}

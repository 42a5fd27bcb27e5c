//! Removing what has expired.

use super::Wait;
use super::cache::Cache;
use super::db::Db;
use super::db::Transaction;
use super::engine::Engine;
use super::victims::Scene;
use crate::error::Result;

/// Entries removed in one transaction: short enough that a writer beside it barely waits.
const BATCH: u64 = 2_000;
/// The same where they are not looked for before, and how many tell whether that can be.
const SWEEP: u64 = 4_000;
const SAMPLE: u64 = 100;
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

impl Stretch {
    /// How far about so many rows reach from its first one: ids are hashes, so rows are as dense everywhere.
    fn reach(&self, rows: u64) -> u64 {
        let wide =
            u128::from(self.last.abs_diff(self.first)) * u128::from(rows) / self.ids.len().max(1) as u128;
        u64::try_from(wide).unwrap_or(u64::MAX)
    }
}

impl Engine {
    fn cleanup(&self, limit: u64) -> Result<u64> {
        let now = self.now();
        let mut removed = 0;
        let mut after = Some(i64::MIN);
        if limit == u64::MAX {
            let counted = self.read(|db| Ok(db.sums.get().is_some()))?;
            (removed, after) = self.sweep(now)?;
            if counted && removed > 0 {
                self.read(Db::sums)?; // of the little that is left, before there is much again
            }
        }
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

    /// Removes what has expired as long as that is nearly everything: then rows are not looked for before they are deleted.
    /// Gives how many went, and where to go on.
    fn sweep(&self, now: u64) -> Result<(u64, Option<i64>)> {
        let sample = self.read_mending(false, |db: &Db| db.expired(i64::MIN, now, SAMPLE))?;
        let Some(sample) = sample else { return Ok((0, None)) };
        let (mut removed, mut after) = (0, Some(sample.first));
        if !sample.is_dense || (sample.ids.len() as u64) < SAMPLE {
            return Ok((removed, after));
        }
        let reach = sample.reach(SWEEP);
        while let Some(first) = after {
            let last = first.saturating_add_unsigned(reach);
            let gone = self.removing(|transaction, files| {
                let special = match transaction.has_special()? {
                    true => transaction.db.special(first, last, now)?,
                    false => Vec::new(),
                };
                let gone = self.expire_each(transaction, &special, now, files)?;
                self.bound.many_removed();
                Ok(gone + transaction.expire_all(first, last, now)?)
            })?;
            removed += gone;
            after = last.checked_add(1);
            if gone < SWEEP / 2 {
                break;
            }
        }
        Ok((removed, after))
    }

    fn remove_expired(&self, stretch: &Stretch, now: u64) -> Result<u64> {
        self.removing(|transaction, files| {
            if !stretch.is_dense {
                return self.expire_each(transaction, &stretch.ids, now, files);
            }
            let gone = self.expire_each(transaction, &stretch.special, now, files)?;
            self.bound.many_removed();
            Ok(gone + transaction.expire_plain(stretch.first, stretch.last, now)?)
        })
    }

    /// Runs a transaction that gives how many it removed, and then unlinks their files.
    fn removing(&self, run: impl Fn(&Transaction<'_>, &mut Vec<u64>) -> Result<u64>) -> Result<u64> {
        self.keep_log_short(Wait::Yes)?;
        let (removed, files) = self.write(Wait::Yes, |transaction| {
            let mut files = Vec::new();
            run(transaction, &mut files).map(|count| (count, files))
        })?;
        self.unlink(&files);
        Ok(removed)
    }

    /// One by one, with all that they have beside their rows.
    fn expire_each(
        &self,
        transaction: &Transaction<'_>,
        ids: &[i64],
        now: u64,
        files: &mut Vec<u64>,
    ) -> Result<u64> {
        let scene = Scene::new(transaction, &self.accesses, &self.epochs, now, Wait::Yes);
        let mut count = 0;
        for id in ids {
            let Some(removed) = transaction.delete_expired(*id, now)? else { continue };
            count += 1;
            self.bound.removed(scene, &removed)?;
            if let Some(file) = removed.file {
                transaction.condemn(file, self.owner.id()?)?;
                files.push(file);
            }
        }
        Ok(count)
    }
}

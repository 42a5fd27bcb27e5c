//! Removing what has expired.

use super::Wait;
use super::cache::Cache;
use super::engine::Engine;
use super::victims::Scene;
use crate::error::Result;

/// Entries removed in one transaction: short enough that a writer beside it barely waits.
const BATCH: u64 = 2_000;

/// How much of what is stored has expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validity {
    /// Entries whose time has passed and which are still there.
    pub expired: u64,
    /// Bytes of the values of all others.
    pub valid_size: u64,
}

impl Cache {
    /// Removes up to `limit` entries that have expired, in short transactions beside other writers. Gives how many.
    ///
    /// # Errors
    /// As [`Cache::set`]; what was removed by then is gone.
    pub fn cleanup(&self, limit: u64) -> Result<u64> {
        self.engine.cleanup(limit)
    }

    /// How much has expired, and how much has not.
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

    /// Bytes of the values that have not expired.
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
        let (mut removed, mut after) = (0, i64::MIN);
        while removed < limit {
            let batch = BATCH.min(limit - removed);
            let ids = self.read_mending(false, |db| db.expired(after, now, batch))?;
            let Some(last) = ids.last() else { break };
            after = *last;
            removed += self.remove_expired(&ids, now)?;
        }
        Ok(removed)
    }

    fn remove_expired(&self, ids: &[i64], now: u64) -> Result<u64> {
        let ((removed, files), _) = self.write(Wait::Yes, |transaction| {
            let scene = Scene {
                transaction,
                log: &self.accesses,
                epochs: &self.epochs,
                now,
                wait: Wait::Yes,
                newest: 0,
                entered: false,
            };
            let (mut count, mut files) = (0, Vec::new());
            for id in ids {
                let Some(removed) = transaction.expire(*id, now)? else { continue };
                count += 1;
                self.bound.removed(scene, &removed)?;
                if let Some(file) = removed.file {
                    transaction.condemn(file, self.owner.id()?)?;
                    files.push(file);
                }
            }
            Ok((count, files))
        })?;
        self.unlink(&files);
        Ok(removed)
    }
}

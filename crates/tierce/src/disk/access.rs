//! Accesses that are not in the database yet.
//!
//! Reading must not write. Each access gets a tick and stays here, over the column `accessed`, until a batch is due or
//! an eviction asks about its entry: so the order of eviction is exact, and a hot entry costs one update a batch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard};

use super::lock;

/// Distinct entries after which a batch is due.
const DUE: usize = 1 << 16;

/// Row ids are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_i64(&mut self, id: i64) {
        self.0 = id as u64;
    }
}

/// The newest access of one entry and how many there were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub tick: i64,
    pub hits: u32,
}

type Pending = HashMap<i64, Access, BuildHasherDefault<IdHasher>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AccessLog {
    pending: Mutex<Pending>,
    /// Entries in the order of their accesses, where a policy evicts the newest first.
    recent: Option<Mutex<Vec<i64>>>,
}

impl AccessLog {
    /// A log that also keeps the order of the newest accesses.
    pub fn with_recent() -> Self {
        Self { recent: Some(Mutex::default()), ..Self::default() }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    /// The entries that were read since the last call; of very many, the newest.
    pub fn take_recent(&self) -> Vec<i64> {
        self.recent.as_ref().map(|recent| std::mem::take(&mut *lock(recent))).unwrap_or_default()
    }

    /// Notes hits. Gives what was noted before, and whether a batch is due.
    pub fn hit(&self, id: i64, hits: u32, tick: i64) -> (Option<Access>, bool) {
        let mut pending = self.pending();
        let mut before = None;
        let access = match pending.entry(id) {
            Entry::Occupied(noted) => {
                before = Some(*noted.get());
                noted.into_mut()
            }
            Entry::Vacant(place) => place.insert(Access { tick, hits: 0 }),
        };
        access.tick = access.tick.max(tick);
        access.hits = access.hits.saturating_add(hits);
        let due = pending.len() >= DUE;
        drop(pending);
        if let Some(recent) = &self.recent {
            let mut recent = lock(recent);
            if recent.len() == DUE {
                recent.drain(..DUE / 2);
            }
            recent.push(id);
        }
        (before, due)
    }

    /// What is noted of an entry.
    pub fn get(&self, id: i64) -> Option<Access> {
        self.pending().get(&id).copied()
    }

    /// Drops what is noted of an entry that is gone or written again.
    pub fn forget(&self, id: i64) {
        self.take(id);
    }

    /// As [`AccessLog::forget`], and gives it.
    pub fn take(&self, id: i64) -> Option<Access> {
        self.pending().remove(&id)
    }

    /// Every note, in the order of the rows on their pages.
    pub fn all(&self) -> Vec<(i64, Access)> {
        let mut all: Vec<_> = self.pending().iter().map(|(id, access)| (*id, *access)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Drops notes that are in the database now; of those that have changed meanwhile, what is new stays. Until then
    /// they count, so that an eviction beside a flush takes no hot entry for a cold one.
    pub fn flushed(&self, batch: &[(i64, Access)]) {
        let mut pending = self.pending();
        for (id, flushed) in batch {
            if let Entry::Occupied(mut noted) = pending.entry(*id) {
                if noted.get().tick == flushed.tick {
                    noted.remove();
                } else {
                    noted.get_mut().hits = noted.get().hits.saturating_sub(flushed.hits);
                }
            }
        }
    }

    /// Drops every note.
    pub fn clear(&self) {
        self.pending().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_one_entry_are_one_note() {
        let log = AccessLog::default();
        log.hit(7, 1, 1);
        log.hit(7, 1, 2);
        let batch = log.all();
        assert_eq!((batch.len(), batch[0].1.hits), (1, 2));
        log.hit(7, 1, 3);
        log.flushed(&batch);
        assert_eq!(log.get(7).map(|access| access.hits), Some(1), "what came during the flush is still due");
        log.flushed(&log.all());
        assert!(log.get(7).is_none());
    }
}

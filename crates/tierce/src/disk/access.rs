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
/// Ticks a millisecond.
const TICKS: i64 = 1 << 12;
/// No clock gets there.
const LAST: i64 = i64::MAX / 2;

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

#[derive(Debug, Default)]
struct State {
    last_tick: i64,
    pending: HashMap<i64, Access, BuildHasherDefault<IdHasher>>,
}

impl State {
    /// Strictly increasing, also when the clock is not.
    fn tick(&mut self, now: u64) -> i64 {
        self.last_tick = (self.last_tick + 1).max((now as i64).saturating_mul(TICKS));
        self.last_tick
    }
}

/// The milliseconds of a tick.
pub(super) fn millis(tick: i64) -> u64 {
    (tick / TICKS).max(0) as u64
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AccessLog(Mutex<State>);

impl AccessLog {
    /// A log whose ticks come after `last_tick`.
    pub fn starting_after(last_tick: i64) -> Self {
        let last_tick = last_tick.min(LAST); // the column is not sealed: damage must not use the ticks up
        Self(Mutex::new(State { last_tick, ..State::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// A tick for an entry that is being written: what was noted of its predecessor is void.
    pub fn written(&self, id: i64, now: u64) -> i64 {
        let mut state = self.state();
        state.pending.remove(&id);
        state.tick(now)
    }

    /// Notes a hit. True when a batch is due.
    pub fn hit(&self, id: i64, now: u64) -> bool {
        let mut state = self.state();
        let tick = state.tick(now);
        let access = state.pending.entry(id).or_insert(Access { tick, hits: 0 });
        access.tick = tick;
        access.hits = access.hits.saturating_add(1);
        state.pending.len() >= DUE
    }

    /// What is noted of an entry.
    pub fn get(&self, id: i64) -> Option<Access> {
        self.state().pending.get(&id).copied()
    }

    /// Takes what is noted of an entry.
    pub fn take(&self, id: i64) -> Option<Access> {
        self.state().pending.remove(&id)
    }

    /// Every note, in the order of the rows on their pages.
    pub fn all(&self) -> Vec<(i64, Access)> {
        let mut all: Vec<_> = self.state().pending.iter().map(|(id, access)| (*id, *access)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Drops notes that are in the database now; of those that have changed meanwhile, what is new stays. Until then
    /// they count, so that an eviction beside a flush takes no hot entry for a cold one.
    pub fn flushed(&self, batch: &[(i64, Access)]) {
        let mut state = self.state();
        for (id, flushed) in batch {
            if let Entry::Occupied(mut noted) = state.pending.entry(*id) {
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
        self.state().pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_rise_when_the_clock_stands_or_goes_back() {
        let log = AccessLog::starting_after(5_000 * TICKS);
        let ticks = [log.written(1, 1_000), log.written(1, 6_000), log.written(1, 6_000), log.written(1, 10)];
        assert!(ticks.is_sorted_by(|a, b| a < b), "{ticks:?}");
        assert_eq!(millis(ticks[1]), 6_000);
    }

    #[test]
    fn hits_of_one_entry_are_one_note() {
        let log = AccessLog::default();
        log.hit(7, 1);
        log.hit(7, 2);
        let batch = log.all();
        assert_eq!((batch.len(), batch[0].1.hits), (1, 2));
        log.hit(7, 3);
        log.flushed(&batch);
        assert_eq!(log.get(7).map(|access| access.hits), Some(1), "what came during the flush is still due");
        log.flushed(&log.all());
        assert!(log.get(7).is_none());
    }
}

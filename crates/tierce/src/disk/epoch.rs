//! Memory that all processes on a directory share: epochs for coherence, and one clock of accesses.
//!
//! Every write adds one to the epoch of its key's slot after its commit. A memory tier keeps, with each entry, the
//! epoch it saw *before* it read the entry, and trusts the entry as long as the epoch has not moved: a hit costs one
//! load. Two keys in one slot cost a needless miss, never a stale hit.
//!
//! The tick orders accesses over all processes: strictly increasing, whatever the clocks do.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::MmapRaw;

use crate::error::{Error, Result};

/// Slots are `2^BITS`.
pub const BITS: u32 = 16;
const SLOTS: usize = 1 << BITS;
/// Behind the slots, each on a cache line of its own: a flag that is not zero while a damaged database is mended, the
/// tick, what the database's file was like when its log was last copied into it, and the moves of all epochs.
const MENDING_AT: usize = SLOTS * 4;
const TICK_AT: usize = MENDING_AT + 64;
const LEFT_AT: usize = TICK_AT + 64;
const MOVES_AT: usize = LEFT_AT + 64;
/// Words of the eviction policies, all changed by writers only: the hand of `sieve`, the weight of the small queue of
/// `s3-fifo`, whether that has evicted yet, and by which token entries are counted. Then whether there is a journal, and how often the
/// reserve was given up.
const POLICY_AT: usize = MOVES_AT + 64;
const BYTES: u64 = POLICY_AT as u64 + 64;

/// Ticks a millisecond.
const TICKS: u64 = 1 << 12;
/// A stored tick this far ahead of the clock is damage, not time: ten years.
const FAR: u64 = 10 * 366 * 86_400_000 * TICKS;

/// The mapped table.
#[derive(Debug)]
pub struct EpochTable {
    map: MmapRaw,
}

impl EpochTable {
    /// Maps the table, and makes it first where it is missing or cut.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |why| Error::io("map", path, why);
        let mut options = OpenOptions::new();
        super::blob::owner_only(&mut options);
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        fill(&mut file).map_err(failed)?;
        let map = MmapRaw::map_raw(&file).map_err(failed)?;
        if (map.len() as u64) < BYTES {
            return Err(failed(ErrorKind::UnexpectedEof.into())); // cut since
        }
        Ok(Self { map })
    }

    /// The epochs, the flag, and the words behind it. The mapping lives as long as `self`.
    #[allow(
        unsafe_code,
        reason = "the one view of the shared mapping; other processes change it only atomically"
    )]
    fn parts(&self) -> (&[AtomicU32], &AtomicU32, [&AtomicU64; 9]) {
        let start = self.map.as_ptr();
        // SAFETY: the map is at least `BYTES` long (checked when it was mapped) and aligned to a page, flag and
        // words are at multiples of 8, and the atomics have the layout of their integers. Truncating the file from
        // outside would be as fatal as it is to SQLite's own `-shm`.
        unsafe {
            (
                std::slice::from_raw_parts(start.cast::<AtomicU32>(), SLOTS),
                &*start.add(MENDING_AT).cast::<AtomicU32>(),
                [
                    TICK_AT,
                    LEFT_AT,
                    MOVES_AT,
                    POLICY_AT,
                    POLICY_AT + 8,
                    POLICY_AT + 16,
                    POLICY_AT + 24,
                    POLICY_AT + 32,
                    POLICY_AT + 40,
                ]
                .map(|at| &*start.add(at).cast::<AtomicU64>()),
            )
        }
    }

    /// Says that a damaged database is being mended: writers wait, so that nothing is acknowledged that mending loses.
    pub(super) fn set_mending(&self, mending: bool) {
        self.parts().1.store(mending.into(), Ordering::SeqCst);
    }

    /// Whether somebody is mending, or was killed at it.
    pub(super) fn is_mending(&self) -> bool {
        self.parts().1.load(Ordering::SeqCst) != 0
    }

    fn slot(&self, slot: u32) -> &AtomicU32 {
        &self.parts().0[slot as usize % SLOTS]
    }

    /// The epoch of a slot.
    pub fn load(&self, slot: u32) -> u32 {
        self.slot(slot).load(Ordering::Acquire)
    }

    /// Moves a slot's epoch on and gives the new one.
    pub(super) fn bump(&self, slot: u32) -> u32 {
        self.move_on();
        self.slot(slot).fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// As [`EpochTable::bump`], for a write that leaves the database as it is: snapshots of it stay good.
    pub(super) fn bump_apart(&self, slot: u32) -> u32 {
        self.slot(slot).fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// Moves the epochs of these slots on.
    pub(super) fn bump_each(&self, slots: &[u32]) {
        for slot in slots {
            self.bump(*slot);
        }
    }

    /// Moves every epoch on.
    pub(super) fn bump_all(&self) {
        self.move_on();
        for slot in self.parts().0 {
            slot.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The tick of an access at `now`: after every other, in this process and elsewhere.
    pub(super) fn tick(&self, now: u64) -> i64 {
        let by_clock = now.saturating_mul(TICKS);
        let next =
            |last: u64| if last > by_clock.saturating_add(FAR) { by_clock } else { by_clock.max(last + 1) };
        let [tick, ..] = self.parts().2;
        let mut last = tick.load(Ordering::Relaxed);
        loop {
            match tick.compare_exchange_weak(last, next(last), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next(last) as i64,
                Err(now) => last = now,
            }
        }
    }

    /// Before an epoch moves: who sees the epoch moved must see this moved.
    pub(super) fn move_on(&self) {
        self.parts().2[2].fetch_add(1, Ordering::AcqRel);
    }

    /// Counts the moves of all epochs: while it stands still, no write was acknowledged.
    pub(super) fn moves(&self) -> u64 {
        self.parts().2[2].load(Ordering::Acquire)
    }

    /// What the database's file was like when it was last left, as [`EpochTable::leave`] was told.
    pub(super) fn left(&self) -> u64 {
        self.parts().2[1].load(Ordering::Relaxed)
    }

    /// Keeps what the database's file is like now.
    pub(super) fn leave(&self, fingerprint: u64) {
        self.parts().2[1].store(fingerprint, Ordering::Relaxed);
    }

    /// The place at which the hand of `sieve` stands; 0 for the oldest entry.
    pub(super) fn hand(&self) -> &AtomicU64 {
        self.parts().2[3]
    }

    /// What the small queue of `s3-fifo` weighs, as far as is known.
    pub(super) fn small_weight(&self) -> &AtomicU64 {
        self.parts().2[4]
    }

    /// Not zero once `s3-fifo` has evicted.
    pub(super) fn was_full(&self) -> &AtomicU64 {
        self.parts().2[5]
    }

    /// The token by which every writer keeps the number of entries as a fact; 0 while nobody asks for it.
    pub(super) fn counting(&self) -> &AtomicU64 {
        self.parts().2[6]
    }

    /// Not zero once the directory has a journal.
    pub(super) fn journaled(&self) -> &AtomicU64 {
        self.parts().2[7]
    }

    /// Counts how often the reserve was made shorter: who counted on it looks again.
    pub(super) fn given(&self) -> &AtomicU64 {
        self.parts().2[8]
    }

    /// Where the epochs are, for a host language that reads them without a call: `2^BITS` `u32`s that stay mapped as
    /// long as this table is kept alive.
    pub fn as_ptr(&self) -> *mut u32 {
        self.map.as_mut_ptr().cast()
    }
}

/// The milliseconds of a tick.
pub(super) fn millis(tick: i64) -> u64 {
    tick.max(0) as u64 / TICKS
}

/// Gives the file its length with real blocks: a store to a hole on a full disk would be a fatal signal. One process
/// at a time, so that no counter that another already moved is written over.
fn fill(file: &mut File) -> std::io::Result<()> {
    if file.metadata()?.len() >= BYTES {
        return Ok(());
    }
    file.lock()?;
    let mut lengthen = || {
        let length = file.metadata()?.len();
        if length < BYTES {
            file.seek(SeekFrom::Start(length))?;
            file.write_all(&vec![0; (BYTES - length) as usize])?;
        }
        Ok(())
    };
    let outcome = lengthen();
    // Not left to the closing of the file: a mapping keeps an open file, and with it the lock, for as long as it lasts.
    file.unlock().and(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_of_one_file_see_each_others_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epochs");
        let (a, b) = (EpochTable::open(&path).unwrap(), EpochTable::open(&path).unwrap());
        assert_eq!(a.load(7), 0);
        assert_eq!(b.bump(7), 1);
        assert_eq!(a.load(7), 1);
        a.bump_all();
        assert_eq!((b.load(7), b.load(8)), (2, 1));
    }

    #[test]
    fn a_table_that_is_mapped_keeps_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epochs");
        let _made = EpochTable::open(&path).unwrap();
        assert!(File::open(&path).unwrap().try_lock().is_ok());
    }

    #[test]
    fn ticks_rise_when_the_clock_stands_or_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epochs");
        let (a, b) = (EpochTable::open(&path).unwrap(), EpochTable::open(&path).unwrap());
        let ticks = [a.tick(1_000), b.tick(6_000), a.tick(6_000), b.tick(10)];
        assert!(ticks.is_sorted_by(|a, b| a < b), "{ticks:?}");
        assert_eq!(millis(ticks[1]), 6_000);
    }

    #[test]
    fn a_damaged_table_is_filled_up_and_its_tick_set_right() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epochs");
        std::fs::write(&path, [9; 10]).unwrap();
        let table = EpochTable::open(&path).unwrap();
        table.bump(u32::MAX);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), BYTES);
        table.parts().2[0].store(u64::MAX - 1, Ordering::Relaxed);
        assert_eq!(millis(table.tick(5_000)), 5_000);
    }
}

//! Coherence between processes: a small table of counters that all of them map.
//!
//! Every write adds one to the counter of its key's slot after its commit. A memory tier keeps, with each entry, the
//! counter it saw *before* it read the entry, and trusts the entry as long as the counter has not moved: a hit costs
//! one load. Two keys in one slot cost a needless miss, never a stale hit.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;

use crate::error::{Error, Result};

/// Slots are `2^BITS`.
pub const BITS: u32 = 16;
const SLOTS: usize = 1 << BITS;
/// After the counters: not zero while a damaged database is mended.
const MENDING: usize = SLOTS;
/// With the words after the counters; all but the first are kept for later.
const WORDS: usize = SLOTS + 16;
const BYTES: u64 = WORDS as u64 * 4;

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
        Ok(Self { map })
    }

    /// The words. The mapping is page-aligned, has at least `WORDS` of them and lives as long as `self`.
    #[allow(
        unsafe_code,
        reason = "the one view of the shared mapping; other processes change it only atomically"
    )]
    fn words(&self) -> &[AtomicU32] {
        // SAFETY: the map is `BYTES` long (checked by `fill` before mapping), aligned to a page, and AtomicU32 has
        // the layout of u32. Truncating the file from outside would be as fatal as it is to SQLite's own `-shm`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU32>(), WORDS) }
    }

    fn slots(&self) -> &[AtomicU32] {
        &self.words()[..SLOTS]
    }

    /// Says that a damaged database is being mended: writers wait, so that nothing is acknowledged that mending loses.
    pub(super) fn set_mending(&self, mending: bool) {
        self.words()[MENDING].store(mending.into(), Ordering::SeqCst);
    }

    /// Whether somebody is mending, or was killed at it.
    pub(super) fn is_mending(&self) -> bool {
        self.words()[MENDING].load(Ordering::SeqCst) != 0
    }

    /// The counter of a slot.
    pub fn load(&self, slot: u32) -> u32 {
        self.slots()[slot as usize % SLOTS].load(Ordering::Acquire)
    }

    /// Moves a slot's counter on and gives the new value.
    pub(super) fn bump(&self, slot: u32) -> u32 {
        self.slots()[slot as usize % SLOTS].fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// Moves every counter on.
    pub(super) fn bump_all(&self) {
        for slot in self.slots() {
            slot.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Where the counters are, for a host language that reads them without a call: `2^BITS` little `u32`s that stay
    /// mapped as long as this table is kept alive.
    pub fn as_ptr(&self) -> *mut u32 {
        self.map.as_mut_ptr().cast()
    }
}

/// Gives the file its length with real blocks: a store to a hole on a full disk would be a fatal signal. One process
/// at a time, so that no counter that another already moved is written over.
fn fill(file: &mut File) -> std::io::Result<()> {
    if file.metadata()?.len() >= BYTES {
        return Ok(());
    }
    file.lock()?; // until the file is closed, after the mapping
    let length = file.metadata()?.len();
    if length < BYTES {
        file.seek(SeekFrom::Start(length))?;
        file.write_all(&vec![0; (BYTES - length) as usize])?;
    }
    Ok(())
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
    fn a_cut_table_is_filled_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epochs");
        std::fs::write(&path, [9; 10]).unwrap();
        let table = EpochTable::open(&path).unwrap();
        table.bump(u32::MAX);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), BYTES);
    }
}

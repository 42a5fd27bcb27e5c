//! The mapped file: some words, two positions among them, and a ring of bytes, which every process on the directory sees.
//!
//! Positions only rise. What is between `head` and `tail` stands still; who copies something out looks at `head` again
//! behind it, and knows whether the place was given up meanwhile. All access is by atomic words, as others write.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::MmapRaw;

use crate::disk::blob::{lengthen, new_file};

const MAGIC: u64 = u64::from_le_bytes(*b"TRCEJRNL");
const VERSION: u64 = 1;
/// Bytes before the ring.
pub const HEAD: u64 = 4096;
/// Where the words are, all in one sector of a disk; the positions on cache lines of their own.
const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 8;
const CAPACITY_AT: usize = 16;
const LIFE_AT: usize = 24;
const BOOT_AT: usize = 32;
const TURNED_AT: usize = 40;
const CALLED_OFF_AT: usize = 48;
const TURNING_AT: usize = 56;
const HEAD_AT: usize = 64;
const TAIL_AT: usize = 128;
/// Positions stay below this: five years of 100 MB a second.
pub const LAST: u64 = 1 << 54;
/// Bits of a position's word that are a check.
const CHECK: u32 = 12;
/// What a ring may hold.
const CAPACITIES: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 26;

/// A position as it is kept: its eighth, and behind that a check by which a damaged word is no other position; any single bit shows. In the order
/// of positions.
pub fn coded(position: u64) -> u64 {
    let eighth = position / 8;
    let folded = eighth ^ eighth >> 12 ^ eighth >> 24 ^ eighth >> 36 ^ eighth >> 48;
    eighth << CHECK | (folded.wrapping_mul(0x9e5) ^ 0xa5a) & 0xfff
}

pub fn decoded(word: u64) -> Option<u64> {
    let position = (word >> CHECK) * 8;
    (coded(position) == word).then_some(position)
}

/// See the module.
#[derive(Debug)]
pub struct Ring {
    map: MmapRaw,
    pub capacity: u64,
}

impl Ring {
    /// Makes a new file.
    pub fn create(path: &Path, capacity: u64) -> std::io::Result<()> {
        let mut file = new_file(path)?;
        let mut page = vec![0; HEAD as usize];
        let positions = [CALLED_OFF_AT, HEAD_AT, TAIL_AT].map(|at| (at, coded(0)));
        for (at, word) in
            [(MAGIC_AT, MAGIC), (VERSION_AT, VERSION), (CAPACITY_AT, capacity)].into_iter().chain(positions)
        {
            page[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        file.write_all(&page)?;
        lengthen(&mut file, capacity)
    }

    /// Maps a file. `None` where it has not the length of one.
    pub fn map(file: &File) -> std::io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let capacity =
            length.checked_sub(HEAD).filter(|bytes| CAPACITIES.contains(bytes) && bytes % (1 << 16) == 0);
        let Some(capacity) = capacity else { return Ok(None) };
        let map = MmapRaw::map_raw(file)?;
        // Cut since it was asked for its length, it would end before its words do.
        Ok((map.len() as u64 == length).then_some(Self { map, capacity }))
    }

    /// Whether the first words are those of a ring of this size.
    pub fn is_stamped(&self) -> bool {
        let words = [MAGIC_AT, VERSION_AT, CAPACITY_AT].map(|at| self.word(at).load(Ordering::Relaxed));
        words == [MAGIC, VERSION, self.capacity]
    }

    /// All of the file. The mapping lives as long as `self`.
    #[allow(
        unsafe_code,
        reason = "the one view of the shared mapping; all processes change it only atomically"
    )]
    fn words(&self) -> &[AtomicU64] {
        let count = ((HEAD + self.capacity) / 8) as usize;
        // SAFETY: the mapping is that long (`Ring::map` compared), a mapping starts at a page, and atomics have the
        // layout of their integers. Truncating the file from outside would be as fatal as it is to SQLite's own `-shm`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), count) }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words()[at / 8]
    }

    fn data(&self) -> &[AtomicU64] {
        &self.words()[HEAD as usize / 8..]
    }

    /// What records are sealed with, and by which the database knows this ring; 0 before the first.
    pub fn life(&self) -> u64 {
        self.word(LIFE_AT).load(Ordering::Acquire)
    }

    /// The start of the machine in which records may be added; 0 for none.
    pub fn boot(&self) -> &AtomicU64 {
        self.word(BOOT_AT)
    }

    /// Transactions that did more than apply what was pending.
    pub fn turned(&self) -> &AtomicU64 {
        self.word(TURNED_AT)
    }

    /// Not zero while such a transaction is under way, or was when somebody was killed.
    pub fn turning(&self) -> &AtomicU64 {
        self.word(TURNING_AT)
    }

    /// Some entries before this position may be called off. `None` where the word is damaged.
    pub fn called_off(&self) -> Option<u64> {
        decoded(self.word(CALLED_OFF_AT).load(Ordering::Acquire))
    }

    /// With the database's write lock.
    pub fn set_called_off(&self, position: u64) {
        self.word(CALLED_OFF_AT).store(coded(position), Ordering::Release);
    }

    /// Up to here, all is in the database. `None` where the word is damaged.
    pub fn head(&self) -> Option<u64> {
        decoded(self.word(HEAD_AT).load(Ordering::Acquire))
    }

    /// What is pending. `None` where the words make no sense.
    pub fn span(&self) -> Option<std::ops::Range<u64>> {
        let mut head = self.head()?;
        loop {
            let tail = decoded(self.word(TAIL_AT).load(Ordering::Acquire))?;
            let again = self.head()?;
            if again == head {
                return (head <= tail && tail - head <= self.capacity).then_some(head..tail);
            }
            head = again;
        }
    }

    /// Everything before `head` is in the database.
    pub fn advance(&self, head: u64) {
        self.word(HEAD_AT).fetch_max(coded(head), Ordering::AcqRel);
    }

    /// What was written before `tail` is there for everybody.
    pub fn publish(&self, tail: u64) {
        self.word(TAIL_AT).store(coded(tail), Ordering::Release);
    }

    /// From now on this is pending. With the turn.
    pub fn set_span(&self, span: std::ops::Range<u64>) {
        for (place, word) in [(MAGIC_AT, MAGIC), (VERSION_AT, VERSION), (CAPACITY_AT, self.capacity)] {
            self.word(place).store(word, Ordering::Relaxed);
        }
        // No other span is there meanwhile.
        self.word(HEAD_AT).store(0, Ordering::SeqCst);
        self.word(TAIL_AT).store(coded(span.end), Ordering::SeqCst);
        self.word(HEAD_AT).store(coded(span.start), Ordering::SeqCst);
    }

    /// Gives it another life: records of the one before no longer verify. With the turn, while nothing is pending.
    pub fn begin_life(&self, file: &File, life: u64, boot: u64) -> std::io::Result<()> {
        let before = self.word(LIFE_AT).swap(life, Ordering::AcqRel);
        if before != 0 {
            // On the disk before a record is: else one of the life before could stand where a new one should.
            self.map.flush_range(0, HEAD as usize)?;
            if cfg!(target_os = "macos") {
                file.sync_all()?; // the other leaves it in the memory of the disk
            }
        }
        self.boot().store(boot, Ordering::Release);
        Ok(())
    }

    /// Nobody adds a record to this life any more. With the turn.
    pub fn end_life(&self, life: u64) {
        self.boot().store(0, Ordering::Release);
        self.word(LIFE_AT).store(life, Ordering::Release);
    }

    /// Bytes from `pos` to where the ring starts again.
    pub fn straight(&self, pos: u64) -> u64 {
        self.capacity - pos % self.capacity
    }

    fn slice(&self, pos: u64, length: u64) -> &[AtomicU64] {
        let from = (pos % self.capacity / 8) as usize;
        &self.data()[from..][..(length / 8) as usize]
    }

    /// Adds a copy of what is at `pos` to `into`: a multiple of 8 bytes, within the straight rest. False where the place was
    /// given up meanwhile.
    pub fn copy(&self, pos: u64, length: u64, into: &mut Vec<u8>) -> bool {
        into.reserve(length as usize);
        for word in self.slice(pos, length) {
            into.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        fence(Ordering::Acquire);
        self.head().is_some_and(|head| head <= pos)
    }

    /// Writes behind the tail, with the turn held and room known.
    pub fn write(&self, pos: u64, bytes: &[u8]) {
        fence(Ordering::Release); // behind the look at the head that showed the room: see `copy`
        for (word, bytes) in self.slice(pos, bytes.len() as u64).iter().zip(bytes.chunks_exact(8)) {
            let mut one = [0; 8];
            one.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(one), Ordering::Relaxed);
        }
    }
}

/// The start of the machine, another one each time, never 0. `None` where the system does not say: there, nothing is
/// added to a journal, as nobody could tell what a power cut left of it.
pub fn boot() -> Option<u64> {
    static BOOT: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();
    *BOOT.get_or_init(|| boot_id().map(|id| xxhash_rust::xxh3::xxh3_64(id.trim_ascii()) | 1))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_id() -> Option<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id").ok().filter(|id| id.len() >= 32)
}

#[cfg(target_vendor = "apple")]
#[allow(unsafe_code, reason = "the system's only way to say it")]
fn boot_id() -> Option<Vec<u8>> {
    let mut id = vec![0_u8; 64];
    let mut length = id.len();
    // SAFETY: the name ends with a zero, and `length` says how much there is room for.
    let status = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            id.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    id.truncate(length);
    Some(id).filter(|id| status == 0 && id.len() >= 32)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn boot_id() -> Option<Vec<u8>> {
    None
}

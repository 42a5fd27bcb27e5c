//! The mapped file: two positions and a ring of bytes, which every process on the directory sees.
//!
//! Positions only rise. What is between `head` and `tail` stands still; who copies something out looks at `head` again
//! behind it, and knows whether the place was given up meanwhile. All access is by atomic words, as others write.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::MmapRaw;

use crate::disk::blob::new_file;

const MAGIC: u64 = u64::from_le_bytes(*b"TRCEJRNL");
const VERSION: u64 = 1;
/// Bytes before the ring.
pub const HEAD: u64 = 4096;
/// Where the words are: each position on a cache line of its own.
const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 8;
const CAPACITY_AT: usize = 16;
const HEAD_AT: usize = 64;
const TAIL_AT: usize = 128;
/// What a ring may hold.
const CAPACITIES: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 26;

/// See the module.
#[derive(Debug)]
pub struct Ring {
    map: MmapRaw,
    pub capacity: u64,
}

impl Ring {
    /// Writes a new file, every block of it: a store to a hole on a full disk would be a fatal signal.
    pub fn create(path: &Path, capacity: u64, start: u64) -> std::io::Result<()> {
        let mut file = new_file(path)?;
        let mut page = vec![0; HEAD as usize];
        for (at, word) in [
            (MAGIC_AT, MAGIC),
            (VERSION_AT, VERSION),
            (CAPACITY_AT, capacity),
            (HEAD_AT, start),
            (TAIL_AT, start),
        ] {
            page[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        let zeros = vec![0; 1 << 16];
        file.write_all(&page)?;
        for _ in 0..capacity >> 16 {
            file.write_all(&zeros)?;
        }
        Ok(())
    }

    /// Maps a file. `None` where it is no ring.
    pub fn map(file: &File) -> std::io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let Some(capacity) = length.checked_sub(HEAD).filter(|bytes| CAPACITIES.contains(bytes)) else {
            return Ok(None);
        };
        let map = MmapRaw::map_raw(file)?;
        Ok((capacity % (1 << 16) == 0).then_some(Self { map, capacity }))
    }

    /// Whether the head is of a ring of this size.
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
        // SAFETY: the file was that long when it was mapped (`Ring::map`), a mapping starts at a page, and atomics have the
        // layout of their integers. Truncating the file from outside would be as fatal as it is to SQLite's own `-shm`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), count) }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words()[at / 8]
    }

    fn data(&self) -> &[AtomicU64] {
        &self.words()[HEAD as usize / 8..]
    }

    /// Up to here, all is in the database.
    pub fn head(&self) -> u64 {
        self.word(HEAD_AT).load(Ordering::Acquire)
    }

    /// What is pending. `None` where the words make no sense.
    pub fn span(&self) -> Option<std::ops::Range<u64>> {
        let mut head = self.head();
        loop {
            let tail = self.word(TAIL_AT).load(Ordering::Acquire);
            let again = self.head();
            if again == head {
                let sane = head <= tail && tail - head <= self.capacity && (head | tail).is_multiple_of(8);
                return sane.then_some(head..tail);
            }
            head = again;
        }
    }

    /// Everything before `head` is in the database.
    pub fn advance(&self, head: u64) {
        self.word(HEAD_AT).fetch_max(head, Ordering::AcqRel);
    }

    /// What was written before `tail` is there for everybody.
    pub fn publish(&self, tail: u64) {
        self.word(TAIL_AT).store(tail, Ordering::Release);
    }

    /// Forgets all that is in it.
    pub fn restart(&self, at: u64) {
        for (place, word) in [(MAGIC_AT, MAGIC), (VERSION_AT, VERSION), (CAPACITY_AT, self.capacity)] {
            self.word(place).store(word, Ordering::Relaxed);
        }
        // The head first would make all of the ring pending.
        let first = self.word(TAIL_AT);
        if first.load(Ordering::Relaxed) > at {
            self.word(HEAD_AT).store(at, Ordering::SeqCst);
            first.store(at, Ordering::SeqCst);
        } else {
            first.store(at, Ordering::SeqCst);
            self.word(HEAD_AT).store(at, Ordering::SeqCst);
        }
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
        self.head() <= pos
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

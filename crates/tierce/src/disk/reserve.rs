//! Room on the disk for what frees room. A deletion writes to the log first, and the log is only cut when the database takes in
//! what it holds: a full disk has nothing left for either. So a file of zeros is kept that is as large as what both need, and given up then.
//!
//! It is given up by who holds the database's lock for writers, in the transaction that needs the room or while the log is copied, and every
//! other transaction looks that it is whole before it commits ([`Reserve::cover`]): so nobody else's pages take that room, whatever thread or
//! process they are of.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::blob::{lengthen, owner_only};
use super::db::PAGE_SIZE;
use super::epoch::EpochTable;
use crate::error::{Code, Error};

/// Bytes: the log of a removal, or of clearing some ten thousand pages.
const SIZE: u64 = 128 << 10;
/// In such steps it follows what the log holds.
const STEP: u64 = 256 << 10;
/// Bytes of the database for each of the journal: a row may have a page for itself that it fills by half.
const OF_JOURNAL: u64 = 2;
/// With less free than this, sets go to the database at once: the longest log (48 MiB) and what it takes to move a journal. So a disk that
/// fills up is met without one.
const SCARCE: u64 = 64 << 20;
/// What an open may take of it: the log's index, which is gone when a cache is closed.
const LENT: u64 = 40 << 10;
/// Sets between looks whether there is room again.
const LOOKS: u32 = 64;

/// The file that keeps them.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    epochs: Arc<EpochTable>,
    /// Bytes for what is in the journal.
    journal: AtomicU64,
    /// Bytes by which the database grows when the log is copied.
    growth: AtomicU64,
    /// Pages that the database may have before it is looked at again.
    covered: AtomicU64,
    /// How often it had been given up then, by whomever.
    seen: AtomicU64,
    room: RwLock<()>,
    /// The length at which it may be kept from the next transaction with a right to the room on.
    offered: AtomicU64,
    is_given: AtomicBool,
    is_short: AtomicBool,
    is_scarce: AtomicBool,
    looks: AtomicU32,
}

/// The right to the room that a full disk has left: nobody else of this handle takes it. What was given up is kept again behind it.
/// Taken before the database is.
pub(super) struct Room<'a> {
    reserve: &'a Reserve,
    _turn: RwLockWriteGuard<'a, ()>,
}

/// Nobody can plant a link to another file.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    owner_only(&mut options);
    options
}

/// Opens a cache with room that its reserve had. `None` where it has not as much.
pub(super) fn lend<T>(path: &Path, open: impl FnOnce() -> Result<T, Error>) -> Option<Result<T, Error>> {
    let mut file = options().write(true).open(path).ok()?; // Windows cuts no file that is open for appending
    file.set_len(file.metadata().ok()?.len().checked_sub(LENT)?).ok()?;
    Some(open().inspect_err(|_| drop(lengthen(&mut file, LENT))))
}

impl Reserve {
    /// Keeps the room, unless it is kept or the disk has none.
    pub fn new(path: PathBuf, epochs: Arc<EpochTable>) -> Self {
        let reserve = Self {
            path,
            epochs,
            journal: AtomicU64::default(),
            growth: AtomicU64::default(),
            covered: AtomicU64::default(),
            seen: AtomicU64::default(),
            room: RwLock::default(),
            offered: AtomicU64::new(u64::MAX),
            is_given: AtomicBool::default(),
            is_short: AtomicBool::default(),
            is_scarce: AtomicBool::default(),
            looks: AtomicU32::default(),
        };
        reserve.keep();
        reserve
    }

    /// Keeps room for a journal of so many bytes too. False where the disk has none.
    pub fn keep_for(&self, journal: u64) -> bool {
        self.journal.store(journal * OF_JOURNAL, Ordering::Relaxed);
        self.look();
        // Where somebody has the right to it, it is kept behind that.
        self.room.try_read().is_ok_and(|_shared| self.keep())
    }

    /// Bytes that it has for a journal.
    pub fn bytes_of_journal(&self) -> u64 {
        self.journal.load(Ordering::Relaxed)
    }

    /// Keeps the room again, or as much of it as there is. Without it, only what frees room on a full disk may fail.
    fn keep(&self) -> bool {
        let [journal, growth] = [&self.journal, &self.growth].map(|bytes| bytes.load(Ordering::Relaxed));
        let whole = SIZE + growth + journal;
        if self.fill(whole).is_ok() {
            return true;
        }
        let parts = (1..=SIZE / PAGE_SIZE).rev().map(|pages| pages * PAGE_SIZE);
        let kept = std::iter::once(SIZE + growth).chain(parts).find(|bytes| self.fill(*bytes).is_ok());
        self.is_short.store(kept.is_none_or(|bytes| bytes < SIZE), Ordering::Relaxed);
        self.epochs.given().fetch_add(1, Ordering::AcqRel); // it may have been lent
        false
    }

    /// Makes the file as long as that, or longer.
    fn fill(&self, bytes: u64) -> std::io::Result<u64> {
        let mut file = options().append(true).create(true).open(&self.path)?;
        let length = file.metadata()?.len();
        lengthen(&mut file, bytes.saturating_sub(length))?;
        Ok(length.max(bytes))
    }

    /// Makes the file no longer than that.
    fn cut(&self, bytes: u64) {
        self.epochs.given().fetch_add(1, Ordering::AcqRel); // before: who looks from now on finds less, or will look again
        if bytes == 0 {
            let _ = fs::remove_file(&self.path); // when it is gone, somebody else has given it up
        } else if let Ok(file) = options().write(true).open(&self.path)
            && file.metadata().is_ok_and(|about| about.len() > bytes)
        {
            let _ = file.set_len(bytes);
        }
    }

    /// Whether a database of so many pages can be taken in, as far as was looked.
    pub fn covers(&self, pages: u64) -> bool {
        pages <= self.covered.load(Ordering::Relaxed)
            && self.seen.load(Ordering::Relaxed) == self.epochs.given().load(Ordering::Acquire)
    }

    /// Before a commit after which the database has so many pages, of which its file has `in_file`: keeps room for the others.
    ///
    /// # Errors
    /// [`Code::StorageFull`] where there is none.
    pub fn cover(&self, pages: u64, in_file: u64) -> Result<(), Error> {
        let given = self.epochs.given().load(Ordering::Acquire);
        let growth = pages.saturating_sub(in_file) * PAGE_SIZE;
        let ahead = growth.next_multiple_of(STEP);
        self.growth.store(growth, Ordering::Relaxed);
        let journal = self.bytes_of_journal();
        let kept = [SIZE + journal + ahead, SIZE + ahead].into_iter().find_map(|bytes| self.fill(bytes).ok());
        if kept.is_some() {
            self.covered.store(in_file + ahead / PAGE_SIZE, Ordering::Relaxed);
            self.seen.store(given, Ordering::Relaxed);
            return Ok(());
        }
        match self.fill(SIZE + growth) {
            Err(why) if matches!(why.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                Err(self.none())
            }
            _ => Ok(()), // a directory that is gone, say: the commit tells
        }
    }

    /// As [`Reserve::cover`], behind a copy of the log, in a transaction that changes nothing: gives back what is not needed any more.
    pub fn shrink(&self, pages: u64, in_file: u64) {
        let growth = pages.saturating_sub(in_file) * PAGE_SIZE;
        self.growth.store(growth, Ordering::Relaxed);
        self.cut(SIZE + self.bytes_of_journal() + growth);
    }

    /// Whether it holds more than what is always kept.
    pub fn is_grown(&self) -> bool {
        self.growth.load(Ordering::Relaxed) > 0
    }

    /// The right to the room that there is; waits for who has it or [shares](Reserve::share) it. Not with a connection in hand that others
    /// wait for.
    pub fn room(&self) -> Room<'_> {
        Room { reserve: self, _turn: self.room.write().unwrap_or_else(PoisonError::into_inner) }
    }

    /// As [`Reserve::room`]; `None` where somebody has it.
    pub fn try_room(&self) -> Option<Room<'_>> {
        let turn = match self.room.try_write() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Room { reserve: self, _turn: turn })
    }

    /// For what takes room without the database's lock for writers: keeps the room from being given up meanwhile.
    pub fn share(&self) -> RwLockReadGuard<'_, ()> {
        self.room.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// In a transaction with a right to the room: gives up what was [offered](Room::offer).
    pub fn give_offered(&self) {
        let rest = self.offered.load(Ordering::Relaxed);
        if rest < u64::MAX {
            self.is_given.store(true, Ordering::Relaxed);
            self.cut(rest);
        }
    }

    /// The error of who would take the room that is to be kept.
    fn none(&self) -> Error {
        let message = "the disk is full: free some space, or give the cache a smaller max size";
        Error::new(Code::StorageFull, message).at(&self.path)
    }

    /// Looks how much is free.
    pub fn look(&self) {
        let free = self.path.parent().and_then(free);
        self.is_scarce.store(free.is_some_and(|bytes| bytes < SCARCE), Ordering::Relaxed);
    }

    /// Whether little was free at the last look.
    pub fn is_scarce(&self) -> bool {
        if self.is_scarce.load(Ordering::Relaxed)
            && self.looks.fetch_add(1, Ordering::Relaxed) % LOOKS == LOOKS - 1
        {
            self.look();
        }
        self.is_scarce.load(Ordering::Relaxed)
    }
}

impl Room<'_> {
    /// Transactions with a right to the room may have what the database needs to take in the log and the journal.
    pub fn offer(&self) {
        self.reserve.offered.fetch_min(SIZE, Ordering::Relaxed);
    }

    /// They may have all.
    pub fn offer_all(&self) {
        self.reserve.offered.store(0, Ordering::Relaxed);
    }

    /// The log is in the database.
    pub fn taken_in(&self) {
        self.reserve.growth.store(0, Ordering::Relaxed);
    }
}

/// Behind the connections: what they gave back is kept again.
impl Drop for Reserve {
    fn drop(&mut self) {
        if self.is_short.load(Ordering::Relaxed) {
            self.keep();
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.reserve.offered.store(u64::MAX, Ordering::Relaxed);
        if self.reserve.is_given.swap(false, Ordering::Relaxed) {
            self.reserve.keep();
        }
    }
}

/// Bytes that this user may still take on the file system of a directory.
#[cfg(unix)]
#[allow(unsafe_code, reason = "the standard library has no call for it")]
#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
fn free(dir: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: zeros are a valid `statvfs`, which the call fills in; the path ends with a zero.
    let about = unsafe {
        let mut about: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(dir.as_ptr(), &raw mut about) == 0).then_some(about)
    }?;
    Some((about.f_bavail as u64).saturating_mul(about.f_frsize as u64))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None // there is no journal there
}

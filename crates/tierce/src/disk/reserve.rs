//! Room on the disk for what frees room: a deletion writes to the log first, and a full disk has nothing left for that.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::blob::{lengthen, owner_only};
use crate::error::{Code, Error};

/// Bytes: the log of a removal, or of clearing some ten thousand pages.
const SIZE: u64 = 128 * 1024;
/// Bytes more for each 8 of a journal: whatever is in it can be called off.
const OF_JOURNAL: u64 = 5;

/// The file that keeps them.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: AtomicU64,
}

impl Reserve {
    /// Keeps the room, unless it is kept or the disk has none.
    pub fn new(path: PathBuf) -> Self {
        let reserve = Self { path, bytes: AtomicU64::new(SIZE) };
        reserve.keep();
        reserve
    }

    /// Keeps room for a journal of so many bytes too. False where the disk has none.
    pub fn keep_for(&self, journal: u64) -> bool {
        self.bytes.store(SIZE + journal / 8 * OF_JOURNAL, Ordering::Relaxed);
        self.keep()
    }

    /// Keeps the room again. Without it, only what frees room on a full disk may fail.
    pub fn keep(&self) -> bool {
        let fill = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            #[cfg(unix)] // nobody can plant a link to another file
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
            let mut file = owner_only(&mut options).append(true).create(true).open(&self.path)?;
            let missing = self.bytes.load(Ordering::Relaxed).saturating_sub(file.metadata()?.len());
            lengthen(&mut file, missing)
        };
        let kept = fill().is_ok();
        if !kept {
            self.spend();
        }
        kept
    }

    /// The error of who would take the room that is to be kept.
    pub fn none(&self) -> Error {
        let message = "the disk is full: free some space, or give the cache a smaller max size";
        Error::new(Code::StorageFull, message).at(&self.path)
    }

    /// Gives the room up.
    pub fn spend(&self) {
        let _ = fs::remove_file(&self.path); // when it is gone, somebody else has given it up
    }
}

//! Room on the disk for what frees room: a deletion writes to the log first, and a full disk has nothing left for that.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use super::blob::owner_only;

/// Bytes: the log of a removal, or of clearing some ten thousand pages.
const SIZE: usize = 128 * 1024;

/// The file that keeps them.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// Keeps the room, unless it is kept or the disk has none.
    pub fn new(path: PathBuf) -> Self {
        let reserve = Self(path);
        reserve.keep();
        reserve
    }

    /// Keeps the room again. Without it, only what frees room on a full disk may fail.
    pub fn keep(&self) {
        let mut options = OpenOptions::new();
        let Ok(mut file) = owner_only(&mut options).write(true).create_new(true).open(&self.0) else {
            return;
        };
        if file.write_all(&[0; SIZE]).is_err() {
            self.spend();
        }
    }

    /// Gives the room up.
    pub fn spend(&self) {
        let _ = fs::remove_file(&self.0); // when it is gone, somebody else has given it up
    }
}

//! Who answers for files that are announced or condemned.
//!
//! Each open cache that writes files holds a locked file named after it. The system drops the lock when the process
//! dies, however it dies: so an owner whose lock can be taken is dead, and what it left can be settled.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::blob::{make_dir, owner_only, rename};
use super::lock;
use crate::error::{Error, Result};

/// This cache as an owner. The lock is taken when it is first needed.
#[derive(Debug)]
pub(super) struct Owner {
    folder: PathBuf,
    id: i64,
    seed: u64,
    held: Mutex<Option<File>>,
}

fn lock_path(folder: &Path, id: i64) -> PathBuf {
    folder.join(format!("{:016x}", id as u64))
}

/// 64 random bits from the standard library's hash keys.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(std::thread::current().id())
}

impl Owner {
    pub fn new(cache_dir: &Path) -> Self {
        Self { folder: cache_dir.join("owners"), id: random() as i64, seed: random(), held: Mutex::new(None) }
    }

    /// The id for the column `owner`, with the lock held from now on.
    pub fn id(&self) -> Result<i64> {
        let mut held = lock(&self.held);
        if held.is_none() {
            make_dir(&self.folder)?;
            let path = lock_path(&self.folder, self.id);
            let failed = |why| Error::io("lock", &path, why);
            // Locked before it has its name: whoever finds it under its name must not take its owner for dead.
            let early = self.folder.join(format!(".{:016x}", self.id as u64));
            let _ = fs::remove_file(&early); // of a try that failed
            let file = owner_only(&mut OpenOptions::new())
                .write(true)
                .create_new(true)
                .open(&early)
                .map_err(failed)?;
            file.try_lock().map_err(|why| failed(why.into()))?;
            rename(&early, &path).map_err(failed)?;
            *held = Some(file);
        }
        Ok(self.id)
    }

    /// A secret of this handle, for names that nobody can guess.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Everybody who has a lock, dead or alive.
    pub fn all(&self) -> Vec<i64> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name());
        names.filter_map(|name| u64::from_str_radix(name.to_str()?, 16).ok().map(|id| id as i64)).collect()
    }

    /// Whether an owner's process has ended without settling what it left.
    pub fn is_dead(&self, other: i64) -> bool {
        other != self.id
            && match File::open(lock_path(&self.folder, other)) {
                Ok(file) => file.try_lock().is_ok(), // dropped, and with it the lock
                Err(why) => why.kind() == ErrorKind::NotFound,
            }
    }

    /// Runs `settle` for a dead owner's leavings. A living owner's are left alone.
    pub fn settle_if_dead(&self, other: i64, settle: impl FnOnce() -> Result<()>) -> Result<()> {
        if other == self.id {
            return Ok(());
        }
        let path = lock_path(&self.folder, other);
        let failed = |why| Error::io("lock", &path, why);
        // Held until the settling is done, so that two opens do not settle at once.
        let _claim = match File::open(&path) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => return Ok(()),
                Err(TryLockError::Error(why)) => return Err(failed(why)),
            },
            Err(why) if why.kind() == ErrorKind::NotFound => None,
            Err(why) => return Err(failed(why)),
        };
        settle()?;
        let _ = fs::remove_file(&path); // an empty file with a name that is never used again
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if lock(&self.held).take().is_some() {
            let _ = fs::remove_file(lock_path(&self.folder, self.id)); // a later open would remove it too
        }
    }
}

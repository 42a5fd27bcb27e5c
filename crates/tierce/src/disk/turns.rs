//! Turns: of all processes on a directory, one makes the value of a key.
//!
//! A turn is a lock of one byte of a file that stays empty, at an offset that the key's digest gives. The system drops it
//! when the process dies, however it dies, and keys do not wait for each other. Locks belong to the open file (`F_OFD_SETLK`,
//! `LockFileEx`), so that two caches in one process are as far apart as two processes are.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::blob::owner_only;
use super::lock;
use crate::error::{Error, Result};
use crate::key::Key;

/// Who makes the value of a key: see the module.
#[derive(Debug)]
pub struct Turns {
    file: File,
    path: PathBuf,
    held: Mutex<HashSet<u64>>,
}

impl Turns {
    /// Opens the file of a cache's directory, and makes it if it is missing.
    ///
    /// # Errors
    /// [`Code::ReadOnly`](crate::Code::ReadOnly), [`Code::Unavailable`](crate::Code::Unavailable),
    /// [`Code::StorageFull`](crate::Code::StorageFull): what the disk says.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("tierce.turns");
        let file = owner_only(&mut OpenOptions::new())
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|why| Error::io("open", &path, why))?;
        Ok(Self { file, path, held: Mutex::default() })
    }

    /// Takes the turn of a key without waiting. False when somebody has it, also through this handle.
    ///
    /// # Errors
    /// [`Code::Unavailable`](crate::Code::Unavailable) where the file system has no such locks.
    pub fn try_take(&self, key: &Key<'_>) -> Result<bool> {
        let at = offset(key);
        let mut held = lock(&self.held);
        if held.contains(&at) {
            return Ok(false);
        }
        let taken = system::try_lock(&self.file, at).map_err(|why| Error::io("lock", &self.path, why))?;
        if taken {
            held.insert(at);
        }
        Ok(taken)
    }

    /// Ends a turn that was taken.
    ///
    /// # Errors
    /// As [`Turns::try_take`].
    pub fn give_back(&self, key: &Key<'_>) -> Result<()> {
        let at = offset(key);
        let mut held = lock(&self.held);
        if held.remove(&at) {
            system::unlock(&self.file, at).map_err(|why| Error::io("unlock", &self.path, why))?;
        }
        Ok(())
    }
}

/// Two keys of one offset, one pair in 2^62, wait for each other.
fn offset(key: &Key<'_>) -> u64 {
    key.digest().id() as u64 >> 2
}

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::io::{Error, ErrorKind, Result};
    use std::os::fd::AsRawFd as _;

    fn set(file: &File, at: u64, kind: libc::c_int) -> Result<()> {
        #[allow(unsafe_code, reason = "the standard library locks whole files only; zeros are a valid flock")]
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as _;
        range.l_whence = libc::SEEK_SET as _;
        range.l_start = at as _;
        range.l_len = 1;
        loop {
            // SAFETY: the descriptor is open as long as `file` is, and `range` outlives the call.
            #[allow(unsafe_code, reason = "the standard library locks whole files only")]
            let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) };
            match Error::last_os_error() {
                _ if outcome == 0 => return Ok(()),
                why if why.kind() == ErrorKind::Interrupted => {}
                why => return Err(why),
            }
        }
    }

    pub fn try_lock(file: &File, at: u64) -> Result<bool> {
        match set(file, at, libc::F_WRLCK as _) {
            Ok(()) => Ok(true),
            Err(why) if matches!(why.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(why) => Err(why),
        }
    }

    pub fn unlock(file: &File, at: u64) -> Result<()> {
        set(file, at, libc::F_UNLCK as _)
    }
}

#[cfg(windows)]
mod system {
    use std::fs::File;
    use std::io::{Error, Result};
    use std::os::windows::io::AsRawHandle as _;

    use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;
    use windows_sys::Win32::Storage::FileSystem::{
        LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
    };
    use windows_sys::Win32::System::IO::OVERLAPPED;

    fn range(at: u64) -> OVERLAPPED {
        let mut range = OVERLAPPED::default();
        range.Anonymous.Anonymous.Offset = at as u32;
        range.Anonymous.Anonymous.OffsetHigh = (at >> 32) as u32;
        range
    }

    pub fn try_lock(file: &File, at: u64) -> Result<bool> {
        let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
        // SAFETY: the handle is open as long as `file` is, and the range outlives the call, which does not wait.
        #[allow(unsafe_code, reason = "the standard library locks whole files only")]
        let locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &mut range(at)) };
        match Error::last_os_error() {
            _ if locked != 0 => Ok(true),
            why if why.raw_os_error() == Some(ERROR_LOCK_VIOLATION as i32) => Ok(false),
            why => Err(why),
        }
    }

    pub fn unlock(file: &File, at: u64) -> Result<()> {
        // SAFETY: as above.
        #[allow(unsafe_code, reason = "the standard library locks whole files only")]
        let unlocked = unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &mut range(at)) };
        if unlocked == 0 { Err(Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_had_once_over_all_handles_and_keys_do_not_wait_for_each_other() {
        let temp = tempfile::tempdir().unwrap();
        let [one, other] = [Turns::open(temp.path()).unwrap(), Turns::open(temp.path()).unwrap()];
        let [a, b] = [Key::from("a"), Key::from("b")];
        assert!(one.try_take(&a).unwrap());
        assert!(!one.try_take(&a).unwrap());
        assert!(!other.try_take(&a).unwrap());
        assert!(other.try_take(&b).unwrap());
        other.give_back(&a).unwrap(); // it has no such turn
        assert!(!other.try_take(&a).unwrap());
        one.give_back(&a).unwrap();
        assert!(other.try_take(&a).unwrap());
        drop(other);
        assert!(one.try_take(&a).unwrap() && one.try_take(&b).unwrap());
        assert_eq!(std::fs::metadata(temp.path().join("tierce.turns")).unwrap().len(), 0);
    }
}

//! Small disks that are filled.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; a failure is a panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tierce::{Cache, Error};

use super::common::{telling, temp};

/// A small file system in memory; nothing where this user may not mount.
pub struct Mount(tempfile::TempDir);

impl Mount {
    pub fn new(size: &str) -> Option<Self> {
        let temp = temp();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(temp.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: this user may not mount");
        }
        mounted.then_some(Self(temp))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Somebody else fills the disk up to so many bytes.
    pub fn take(&self, bytes: usize) {
        fs::write(self.ballast(), vec![1; bytes]).unwrap();
    }

    /// Somebody else takes all that is free. While a handle makes room on a full disk behind, that may be what it has given up for it.
    pub fn take_all(&self) {
        let mut ballast = fs::OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        for piece in [1 << 20, 4096, 1] {
            while std::io::Write::write(&mut ballast, &vec![1; piece]).is_ok() {}
        }
    }

    /// And leaves it.
    pub fn leave(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        let stat = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(self.path()).output().unwrap();
        let numbers = String::from_utf8(stat.stdout).unwrap();
        numbers.split_whitespace().map(|number| number.parse::<u64>().unwrap()).product()
    }

    pub fn read_only(&self) {
        let outcome = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status();
        assert!(outcome.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status(); // the folder goes after it
    }
}

/// Fills the disk with values of `size`; gives how many were acknowledged, and the error.
pub fn fill(cache: &Cache, size: usize) -> (u64, Error) {
    for key in 0.. {
        if let Err(why) = cache.set(format!("{key}"), &telling(key, 1, size)) {
            return (key, why);
        }
    }
    unreachable!()
}

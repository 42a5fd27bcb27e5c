//! One file: what identifies its state, and its digest.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Algorithm, ContentDigest, Hasher, unusable};
use crate::error::Result;

/// Bytes that are read at once: large enough that the calls cost nothing, small enough to stay in the cache.
const BUFFER: usize = 1 << 17;
const PAGE: usize = 4096;

/// What a file may have beyond twice the size that `stat` gives: some of the kernel's say 0 and give text, others never end.
const SLACK: u64 = 1 << 26;

const NO_FILE: &str = "it is neither a file nor a directory";

/// Times of a file system that keeps whole seconds, or pairs of them (FAT).
const COARSE_MS: u64 = 2_000;
/// Any other: kernels stamp files with a clock that moves once a tick, at worst every 10 ms; some keep 10 ms steps.
const FINE_MS: u64 = 50;

/// What `stat` says of a file: the same stamp means the same content, once it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub size: u64,
    /// Nanoseconds since the Unix epoch.
    modified: i128,
    /// Unix: the time of the last change of content or attributes, which no program can set.
    changed: i128,
    device: u64,
    inode: u64,
}

impl Stamp {
    /// # Errors
    /// [`Code::InvalidKey`](crate::Code::InvalidKey): it is missing, may not be looked at, or is no file.
    pub fn of_path(path: &Path) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(|why| unusable(path, explain(&why)))?;
        if found.is_dir() {
            return Err(unusable(
                path,
                "it is a directory: name it with directory() rather than with file()",
            ));
        }
        // Reading a pipe or a device may never end.
        if !found.is_file() {
            return Err(unusable(path, NO_FILE));
        }
        Ok(Self::of(&found))
    }

    fn of(found: &Metadata) -> Self {
        let modified = found.modified().map_or(0, nanos);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Self {
                size: found.len(),
                modified,
                changed: i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec()),
                device: found.dev(),
                inode: found.ino(),
            }
        }
        #[cfg(not(unix))]
        Self { size: found.len(), modified, changed: found.created().map_or(0, nanos), device: 0, inode: 0 }
    }

    /// Whether a change after `read_at_ms` is bound to give another stamp: it is not while the clock that stamps files
    /// may still show the same time (the "racy" entries of git's index).
    pub fn is_settled(self, read_at_ms: u64) -> bool {
        let newest = self.modified.max(self.changed);
        let grain = if newest % 1_000_000_000 == 0 { COARSE_MS } else { FINE_MS };
        newest < i128::from(read_at_ms.saturating_sub(grain)) * 1_000_000
    }
}

fn nanos(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

pub(super) fn explain(why: &std::io::Error) -> String {
    match why.kind() {
        ErrorKind::NotFound => "it does not exist".into(),
        ErrorKind::PermissionDenied => "this user may not read it".into(),
        _ => why.to_string(),
    }
}

/// The digest of a file's bytes, from memory if it is remembered. A file that changes while it is read is hashed as read,
/// which matches no whole state of it, and is not remembered.
pub(super) fn digest(
    hasher: &Hasher,
    path: &Path,
    stamp: Stamp,
    algorithm: Algorithm,
    buffer: &mut Vec<u8>,
) -> Result<ContentDigest> {
    if let Some(known) = hasher.recall(path, stamp, algorithm) {
        return Ok(known);
    }
    let failed = |why: std::io::Error| unusable(path, explain(&why));
    let read_at = hasher.clock.now_ms();
    let mut file = open(path).map_err(failed)?;
    let piece = piece(buffer, stamp.size);
    let mut hashing = algorithm.hasher();
    let mut left = stamp.size.saturating_mul(2).saturating_add(SLACK);
    loop {
        match file.read(piece) {
            Ok(0) => break,
            Ok(read) if read as u64 > left => return Err(unusable(path, "it grows while it is read")),
            Ok(read) => {
                left -= read as u64;
                hashing.update(&piece[..read]);
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(failed(why)),
        }
    }
    let digest = hashing.finish();
    // Of the open file, so that what is remembered is what was read, also when the name has moved to another file.
    let after = file.metadata().map_err(failed)?;
    if !after.is_file() {
        return Err(unusable(path, NO_FILE));
    }
    if Stamp::of(&after) == stamp {
        hasher.remember(path, stamp, read_at, digest);
    }
    Ok(digest)
}

/// Where a file of this size is read to. It starts with a page of memory: the kernel's copy of a page takes a twentieth more time to
/// where an allocator's large blocks start, 16 bytes into one.
fn piece(buffer: &mut Vec<u8>, size: u64) -> &mut [u8] {
    let wanted = usize::try_from(size).unwrap_or(BUFFER).saturating_add(1).min(BUFFER).next_multiple_of(PAGE);
    buffer.resize(buffer.len().max(wanted + PAGE), 0);
    let start = buffer.as_ptr().align_offset(PAGE).min(PAGE);
    let length = buffer.len() - PAGE;
    &mut buffer[start..start + length]
}

/// Without waiting, should the name lead to a pipe by now: neither for who writes to it nor for what is written.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.read(true).open(path)
}

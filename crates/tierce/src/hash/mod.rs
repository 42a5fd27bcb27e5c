//! Content of files and folders as a part of a key: hashed in parallel, and remembered while the file stays as it is.
//!
//! A file's digest is that of its bytes alone. A folder's is that of its names, its structure and the digests of its files
//! (`tree.rs` has the layout): neither paths outside the folder nor times are part of it.

mod file;
mod memo;
mod pool;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Error, Result};
use crate::key::KeyItem;
use crate::xxh3::Xxh3;
use file::Stamp;
use memo::Memo;

/// How content is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// XXH3-128: as fast as reading. Equal digests can be made on purpose: for input that nobody else controls.
    Xxh3,
    /// BLAKE3-256: cryptographic.
    Blake3,
}

impl Algorithm {
    /// The algorithm with this name: `xxh3` or `blake3`.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] names what is accepted.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "xxh3" => Ok(Self::Xxh3),
            "blake3" => Ok(Self::Blake3),
            _ => Err(Error::new(
                Code::InvalidOption,
                format!("hash is '{name}'; accepted are xxh3 and blake3"),
            )
            .with("name", "hash")),
        }
    }

    /// Bytes of a digest.
    const fn size(self) -> usize {
        match self {
            Self::Xxh3 => 16,
            Self::Blake3 => 32,
        }
    }

    fn hasher(self) -> Hashing {
        match self {
            Self::Xxh3 => Hashing::Xxh3(Xxh3::with_seed(0)),
            Self::Blake3 => Hashing::Blake3(Box::new(blake3::Hasher::new())),
        }
    }

    /// The digest of bytes in memory.
    pub fn of(self, bytes: &[u8]) -> ContentDigest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// A hash under way.
enum Hashing {
    Xxh3(Xxh3),
    Blake3(Box<blake3::Hasher>),
}

impl Hashing {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Xxh3(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    fn finish(&self) -> ContentDigest {
        let mut bytes = [0; 32];
        let algorithm = match self {
            Self::Xxh3(hasher) => {
                bytes[..16].copy_from_slice(&hasher.hash128().to_be_bytes());
                Algorithm::Xxh3
            }
            Self::Blake3(hasher) => {
                bytes = *hasher.finalize().as_bytes();
                Algorithm::Blake3
            }
        };
        ContentDigest { algorithm, bytes }
    }
}

/// The digest of some content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentDigest {
    algorithm: Algorithm,
    /// The first [`Algorithm::size`] bytes count, the others are zero.
    bytes: [u8; 32],
}

impl ContentDigest {
    /// 16 bytes (XXH3, in its canonical big-endian form) or 32 (BLAKE3).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// The same as lowercase hex digits.
    pub fn to_hex(&self) -> String {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        self.as_bytes().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

/// What is to be hashed: a part of a key that stands for the content of a file or of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Where it is.
    pub path: PathBuf,
    /// A folder with all that is in it, rather than a file.
    pub is_directory: bool,
    /// How it is hashed.
    pub algorithm: Algorithm,
}

/// The item of a key that a [`Content`] becomes: its kind, algorithm and digest, and nothing of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentItem {
    is_directory: bool,
    digest: ContentDigest,
}

impl KeyItem for ContentItem {
    fn write_item(&self, text: &mut String) {
        text.push(if self.is_directory { 'T' } else { 'F' });
        text.push(match self.digest.algorithm {
            Algorithm::Xxh3 => 'x',
            Algorithm::Blake3 => 'b',
        });
        text.push_str(&self.digest.to_hex());
    }
}

/// Hashes content, and remembers the digests of files that have not changed since. Share one between all threads.
pub struct Hasher {
    clock: Arc<dyn Clock>,
    memo: Mutex<Memo>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Hasher {
    /// `clock` is compared with the times of files: it has to be the one that the file system uses.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, memo: Mutex::default() }
    }

    /// The digest of a file that is remembered and has not changed: one `stat`, nothing is read.
    pub fn known(&self, path: &Path, algorithm: Algorithm) -> Option<ContentDigest> {
        let path = std::path::absolute(path).ok()?;
        let stamp = Stamp::of_path(&path).ok()?;
        self.recall(&path, stamp, algorithm)
    }

    /// The digests of files and folders, in their order. Works on several threads from 80 files or 256 MB on.
    ///
    /// # Errors
    /// [`Code::InvalidKey`] with the path of what is missing, cannot be read, or is neither a file nor a folder.
    pub fn hash(&self, contents: &[Content]) -> Result<Vec<ContentDigest>> {
        let mut files = Vec::new();
        let mut plans = Vec::with_capacity(contents.len());
        let looked_at_by_all = contents.len() >= pool::PARALLEL_FILES;
        for content in contents {
            plans.push(tree::plan(content, looked_at_by_all, &mut files)?);
        }
        let digests = pool::hash_files(self, &files)?;
        Ok(plans
            .iter()
            .zip(contents)
            .map(|(plan, content)| plan.digest(content.algorithm, &digests))
            .collect())
    }

    /// As [`Hasher::hash`], as items of a key.
    ///
    /// # Errors
    /// As [`Hasher::hash`].
    pub fn items(&self, contents: &[Content]) -> Result<Vec<ContentItem>> {
        let digests = self.hash(contents)?;
        let item =
            |(content, digest): (&Content, _)| ContentItem { is_directory: content.is_directory, digest };
        Ok(contents.iter().zip(digests).map(item).collect())
    }

    fn recall(&self, path: &Path, stamp: Stamp, algorithm: Algorithm) -> Option<ContentDigest> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).get(path, stamp, algorithm)
    }

    /// Remembers a digest, unless the file's times are so young that a later change might leave them as they are.
    fn remember(&self, path: &Path, stamp: Stamp, read_at_ms: u64, digest: ContentDigest) {
        if stamp.is_settled(read_at_ms) {
            self.memo.lock().unwrap_or_else(PoisonError::into_inner).put(path, stamp, digest);
        }
    }
}

/// An error about content that a key names.
fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    let shown = path.display();
    Error::new(Code::InvalidKey, format!("cannot make a key of the content of {shown}: {why}")).at(path)
}

#[cfg(test)]
mod tests;

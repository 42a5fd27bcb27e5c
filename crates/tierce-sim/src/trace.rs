//! Traces: gzip text, one request a line, `key` or `key<TAB>size`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of any gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a trace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file can't be opened or read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is not gzip: a trace is gzip text, so compress it with gzip first")]
    NotGzip {
        /// The file.
        path: PathBuf,
    },
    /// The gzip stream breaks off or is damaged, or what it holds is no text.
    #[error("{path} is damaged, or no text, after line {line}: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The last sound line, from 1.
        line: usize,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// A size is not a number of bytes below 2^32.
    #[error("{path}, line {line}: {text:?} is not a size in bytes below 2^32")]
    BadSize {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stood there.
        text: String,
    },
    /// There is no request in the file.
    #[error("{path}: no request in it")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A trace in memory, its keys numbered in the order in which they first occur.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The file's name up to its first dot.
    pub name: String,
    /// The key of each request.
    pub requests: Vec<u32>,
    /// The 64-bit hash of each key.
    pub hashes: Vec<u64>,
    /// The size of each key in bytes, as it first occurs; 1 where the trace has none.
    pub sizes: Vec<u32>,
}

impl Trace {
    /// Reads a trace. Keys may be any text; what parses as an `i64` or `u64` is hashed as that number.
    ///
    /// # Errors
    /// [`TraceError`], which names the file and the line.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let failed = |source| TraceError::Read { path: path.to_owned(), source };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        if !file.fill_buf().map_err(failed)?.starts_with(&GZIP) {
            return Err(TraceError::NotGzip { path: path.to_owned() });
        }
        let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
        let mut builder = Builder::default();
        for (number, line) in lines.enumerate() {
            let damaged = |source| TraceError::Damaged { path: path.to_owned(), line: number, source };
            let line = line.map_err(damaged)?;
            let (key, size) = line.split_once('\t').unwrap_or((&line, "1"));
            if key.is_empty() {
                continue;
            }
            let size = size.trim_end().parse().map_err(|_| TraceError::BadSize {
                path: path.to_owned(),
                line: number + 1,
                text: size.to_owned(),
            })?;
            builder.add(hash_text(key.trim_end()), size);
        }
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        builder.trace.name = name.split('.').next().unwrap_or_default().to_owned();
        if builder.trace.requests.is_empty() {
            return Err(TraceError::Empty { path: path.to_owned() });
        }
        Ok(builder.trace)
    }

    /// A trace of the given keys, each of size 1.
    #[must_use]
    pub fn of_keys(name: &str, keys: impl IntoIterator<Item = u64>) -> Self {
        let mut builder = Builder::default();
        for key in keys {
            builder.add(xxh3_64(&key.to_le_bytes()), 1);
        }
        builder.trace.name = name.to_owned();
        builder.trace
    }

    /// The number of distinct keys.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.hashes.len()
    }

    /// The bytes of all distinct keys together.
    #[must_use]
    pub fn distinct_bytes(&self) -> u64 {
        self.sizes.iter().map(|&size| u64::from(size)).sum()
    }
}

fn hash_text(key: &str) -> u64 {
    let number = key.parse::<i64>().map(i64::cast_unsigned).or_else(|_| key.parse::<u64>());
    number.map_or_else(|_| xxh3_64(key.as_bytes()), |number| xxh3_64(&number.to_le_bytes()))
}

#[derive(Default)]
struct Builder {
    numbers: HashMap<u64, u32>,
    trace: Trace,
}

impl Builder {
    fn add(&mut self, hash: u64, size: u32) {
        let number = match self.numbers.entry(hash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.trace.hashes.push(hash);
                self.trace.sizes.push(size);
                *new.insert(self.trace.hashes.len() as u32 - 1)
            }
        };
        self.trace.requests.push(number);
    }
}

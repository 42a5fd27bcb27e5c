//! Arrays of numbers: what their elements are, and the frame of chunks that the numeric codecs share.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | bytes of a chunk before coding, a multiple of the element's width; the last chunk may be shorter |
//! | 4 | bytes at the end of the value that are no elements |
//! | 4 a chunk | coded bytes of the chunk; as many as it has uncoded: it is stored as it is |
//! | | the chunks, one behind the other |
//! | | the bytes that are no elements, as they are |
//!
//! All numbers are little-endian. How many chunks there are follows from the value's size, which the frame gives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::damaged;
use super::kept::Stash;
use crate::error::{Code, Error, Result};

/// Bytes of a chunk: large enough for its tables not to count, small enough for the second-level cache. Not a power of two:
/// then the planes of a shuffled chunk would all want the same lines of the first-level cache.
pub(super) const CHUNK: usize = (1 << 20) - 8 * 448;
/// More threads than this wait for memory rather than for the processor.
const MOST_THREADS: usize = 8;

/// What the elements of an array are. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Element {
    I8 = 0,
    U8 = 1,
    I16 = 2,
    U16 = 3,
    F16 = 4,
    I32 = 5,
    U32 = 6,
    F32 = 7,
    I64 = 8,
    U64 = 9,
    F64 = 10,
}

impl Element {
    /// By number.
    pub const ALL: [Self; 11] = [
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::F16,
        Self::I32,
        Self::U32,
        Self::F32,
        Self::I64,
        Self::U64,
        Self::F64,
    ];

    /// The binary logarithm of its bytes.
    pub(super) const fn width_log(self) -> u8 {
        match self {
            Self::I8 | Self::U8 => 0,
            Self::I16 | Self::U16 | Self::F16 => 1,
            Self::I32 | Self::U32 | Self::F32 => 2,
            Self::I64 | Self::U64 | Self::F64 => 3,
        }
    }
}

/// What is known of a value that is an array of numbers: its elements, and how many bytes at its end are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The elements.
    pub element: Element,
    /// Bytes at the end of the value that belong to no element: a shape, a name.
    pub tail: u32,
}

impl Numbers {
    /// The elements of a value, and what follows them.
    pub(super) fn split(self, raw: &[u8]) -> Option<(&[u8], &[u8])> {
        let body = raw.len().checked_sub(self.tail as usize)?;
        let width = 1 << self.element.width_log();
        (body > 0 && body.is_multiple_of(width)).then(|| raw.split_at(body))
    }
}

/// Codes one chunk at the end of the buffer. What is not smaller than the chunk is thrown away.
pub(super) type EncodeChunk<'a> = &'a (dyn Fn(&[u8], &mut Vec<u8>) -> Result<()> + Sync);
/// Fills one chunk.
pub(super) type DecodeChunk<'a> = &'a (dyn Fn(&[u8], &mut [u8]) -> Result<()> + Sync);

/// Each chunk has a length of four bytes, and stands for [`CHUNK`] bytes at most; what follows the chunks stands as it is.
pub(super) fn limit(coded: &[u8]) -> u64 {
    let coded = coded.len() as u64;
    (coded / 4).saturating_mul(CHUNK as u64).saturating_add(coded)
}

/// Codes the chunks of an array, on several threads if there are several.
pub(super) fn encode(body: &[u8], tail: &[u8], chunk: EncodeChunk<'_>, out: &mut Vec<u8>) -> Result<()> {
    let chunks: Vec<&[u8]> = body.chunks(CHUNK).collect();
    out.extend_from_slice(&(CHUNK as u32).to_le_bytes());
    out.extend_from_slice(&(tail.len() as u32).to_le_bytes());
    let at_lengths = out.len();
    out.resize(at_lengths + 4 * chunks.len(), 0);
    let coded = Mutex::new(InOrder { out, written: 0, waiting: BTreeMap::new() });
    in_parallel(chunks.len(), &|at| {
        let mut buffer = locked(&BUFFERS).pop().unwrap_or_default();
        chunk(chunks[at], &mut buffer)?;
        if buffer.len() >= chunks[at].len() {
            buffer.clear();
            buffer.extend_from_slice(chunks[at]);
        }
        locked(&coded).put(at, buffer, at_lengths);
        Ok(())
    })?;
    out.extend_from_slice(tail);
    Ok(())
}

/// Coded chunks come in any order and are written in theirs, so that no more than a few are in memory twice.
struct InOrder<'a> {
    out: &'a mut Vec<u8>,
    written: usize,
    waiting: BTreeMap<usize, Vec<u8>>,
}

/// What chunks are coded into, to be used again.
static BUFFERS: Stash<Vec<u8>> = Stash::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InOrder<'_> {
    fn put(&mut self, at: usize, coded: Vec<u8>, at_lengths: usize) {
        self.waiting.insert(at, coded);
        while let Some(mut coded) = self.waiting.remove(&self.written) {
            let length = at_lengths + 4 * self.written;
            self.out[length..length + 4].copy_from_slice(&(coded.len() as u32).to_le_bytes());
            self.out.extend_from_slice(&coded);
            self.written += 1;
            coded.clear();
            let mut kept = locked(&BUFFERS);
            if kept.len() < MOST_THREADS {
                kept.push(coded);
            }
        }
    }
}

/// Fills `raw` from coded chunks, on several threads if there are several.
pub(super) fn decode(coded: &[u8], raw: &mut [u8], width_log: u8, chunk: DecodeChunk<'_>) -> Result<()> {
    let mut rest = coded;
    let size = word(&mut rest)? as usize;
    let tail = word(&mut rest)? as usize;
    let body = raw.len().checked_sub(tail).ok_or_else(|| broken("its end is longer than it"))?;
    let width = 1 << width_log;
    if size == 0 || !size.is_multiple_of(width) || !body.is_multiple_of(width) {
        return Err(broken("its chunks are no whole elements"));
    }
    let count = body.div_ceil(size);
    if rest.len() / 4 < count {
        return Err(broken("it is cut"));
    }
    let (mut lengths, mut rest) = rest.split_at(4 * count);
    let (body, end) = raw.split_at_mut(body);
    let mut work = Vec::with_capacity(count);
    for raw in body.chunks_mut(size) {
        let length = word(&mut lengths)? as usize;
        let (coded, after) = rest.split_at_checked(length).ok_or_else(|| broken("a chunk is cut"))?;
        rest = after;
        work.push(Mutex::new((coded, raw)));
    }
    if rest.len() != end.len() {
        return Err(broken("its end is cut or too long"));
    }
    end.copy_from_slice(rest);
    in_parallel(count, &|at| {
        let mut work = work[at].lock().unwrap_or_else(PoisonError::into_inner);
        let (coded, raw) = &mut *work;
        if coded.len() == raw.len() {
            raw.copy_from_slice(coded);
            return Ok(());
        }
        chunk(coded, raw)
    })
}

/// Runs `work` for each number below `count`, on as many threads as are worth it. The error of the lowest number counts.
fn in_parallel(count: usize, work: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<()> {
    if count < 2 {
        return (0..count).try_for_each(work);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS).min(count);
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let turns = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            if let Err(why) = work(at) {
                next.store(count, Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| at < *first) {
                    *failed = Some((at, why));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be started, this one does its work.
            let _ = thread::Builder::new().spawn_scoped(scope, turns);
        }
        turns();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, why)) => Err(why),
        None => Ok(()),
    }
}

/// The next `u32`.
pub(super) fn word(bytes: &mut &[u8]) -> Result<u32> {
    let (head, rest) = bytes.split_first_chunk().ok_or_else(|| broken("it is cut"))?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*head))
}

fn broken(why: &str) -> Error {
    damaged("numeric", why)
}

/// What cannot happen with elements of these widths.
pub(super) fn no_such_element(number: u8) -> Error {
    Error::new(Code::Corrupt, format!("unknown element number {number}"))
}

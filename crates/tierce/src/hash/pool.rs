//! Many files on several threads.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::file::{self, Stamp};
use super::{Algorithm, ContentDigest, Hasher};
use crate::error::{Code, Error, Result};

/// Below both, starting threads costs more than they save.
pub(super) const PARALLEL_FILES: usize = 80;
const PARALLEL_BYTES: u64 = 256_000_000;
/// More do not make a disk faster, and each has a buffer.
const MOST_THREADS: usize = 8;

/// A file to be hashed.
#[derive(Debug)]
pub(super) struct Task {
    pub path: PathBuf,
    /// Nothing: it is looked at when its turn comes.
    pub stamp: Option<Stamp>,
    pub algorithm: Algorithm,
}

/// The digests of files, in their order. Of several errors, that of the first file.
pub(super) fn hash_files(hasher: &Hasher, tasks: &[Task]) -> Result<Vec<ContentDigest>> {
    let recall = |task: &Task| hasher.recall(&task.path, task.stamp?, task.algorithm);
    let mut digests: Vec<Option<ContentDigest>> = tasks.iter().map(recall).collect();
    let unread: Vec<usize> = (0..tasks.len()).filter(|&at| digests[at].is_none()).collect();
    for (at, digest) in read(hasher, tasks, &unread)? {
        digests[at] = Some(digest);
    }
    let complete: Option<Vec<ContentDigest>> = digests.into_iter().collect();
    complete.ok_or_else(|| Error::new(Code::Internal, "a file was not hashed"))
}

fn read(hasher: &Hasher, tasks: &[Task], unread: &[usize]) -> Result<Vec<(usize, ContentDigest)>> {
    let bytes: u64 =
        unread.iter().filter_map(|&at| tasks[at].stamp).fold(0, |sum, stamp| stamp.size.saturating_add(sum));
    let parallel = unread.len() >= PARALLEL_FILES || bytes >= PARALLEL_BYTES;
    let threads = if parallel { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let threads = threads.min(MOST_THREADS).min(unread.len());
    let next = AtomicUsize::new(0);
    let work = || take_turns(hasher, tasks, unread, &next);
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            // Where no thread can be started, the others do its work.
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(at, digest)| Ok((at, digest?))).collect()
}

/// One thread: takes the next file until there is none, or until one fails.
fn take_turns(
    hasher: &Hasher,
    tasks: &[Task],
    unread: &[usize],
    next: &AtomicUsize,
) -> Vec<(usize, Result<ContentDigest>)> {
    let mut buffer = Vec::new();
    let mut done = Vec::new();
    while let Some(&at) = unread.get(next.fetch_add(1, Ordering::Relaxed)) {
        let Task { path, stamp, algorithm } = &tasks[at];
        let stamp = stamp.map_or_else(|| Stamp::of_path(path), Ok);
        let digest = stamp.and_then(|stamp| file::digest(hasher, path, stamp, *algorithm, &mut buffer));
        if digest.is_err() {
            next.store(unread.len(), Ordering::Relaxed);
        }
        done.push((at, digest));
    }
    done
}

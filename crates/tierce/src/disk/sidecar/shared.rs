//! What a cache without a database and its streams share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::keeping::Keeping;
use super::super::lock;
use super::super::read::Meta;
use super::bound::Bound;
use super::folder::Folder;
use super::head::Head;
use super::turns::Turns;
use crate::clock::Clock;
use crate::codec::CodecChoice;
use crate::error::Error;
use crate::key::{Digest, Key};

/// Faults kept for the host to collect; the oldest go first.
const FAULTS_KEPT: usize = 64;

/// All that is open of a directory.
pub(super) struct Shared {
    pub folder: Folder,
    pub clock: Arc<dyn Clock>,
    pub codec: CodecChoice,
    pub default_ttl: Option<Duration>,
    pub bound: Bound,
    /// Whose turn it is to change an entry, among the threads of this process.
    pub turns: Arc<Turns>,
    /// The newest tick.
    pub tick: AtomicU64,
    pub faults: Mutex<Vec<Error>>,
    /// The thread that writes the times of accesses, if there was one.
    pub behind: Mutex<Option<JoinHandle<()>>>,
    /// The handle is gone: nobody needs those times any more.
    pub dropped: AtomicBool,
    pub hits: AtomicU64,
    pub misses: AtomicU64,
}

impl Shared {
    pub fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    pub fn keeping(&self) -> &Keeping {
        &self.folder.keeping
    }

    pub fn digest(&self, key: &Key<'_>) -> Digest {
        self.keeping().digest(key)
    }

    pub fn digest_of(&self, head: &Head) -> Digest {
        self.keeping().digest_of_text(&head.key)
    }

    /// Whether an entry is of this key.
    pub fn is_of(&self, head: &Head, key: &Key<'_>) -> bool {
        head.key == *self.keeping().text(key)
    }

    /// A time that no other write or access of this handle has: nanoseconds since the Unix epoch. In steps that file systems keep.
    pub fn tick(&self) -> u64 {
        const STEP: u64 = 1000;
        let now = self.now().saturating_mul(1_000_000);
        let next = |last: u64| Some(now.max(last.saturating_add(STEP)));
        let last = self.tick.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        next(last.unwrap_or_default()).unwrap_or(now)
    }

    /// From now on later than a tick of somebody else's, whose clock may be ahead; within reason.
    pub fn follow(&self, tick: u64) {
        const FAR: u64 = 3600 * 1_000_000_000;
        if tick <= self.now().saturating_mul(1_000_000).saturating_add(FAR) {
            self.tick.fetch_max(tick, Ordering::Relaxed);
        }
    }

    pub fn report(&self, fault: Error) {
        let mut faults = lock(&self.faults);
        if faults.len() == FAULTS_KEPT {
            faults.remove(0);
        }
        faults.push(fault);
    }
}

/// Splits the stamp of a head over the two numbers by which memory tiers tell that an entry is the same.
pub(super) const fn place_of(stamp: u64) -> (u32, u32) {
    ((stamp >> 32) as u32, stamp as u32)
}

/// What is known of an entry.
pub(super) fn meta_of(head: &Head, id: i64, stamp: u64, used: u64) -> Meta {
    let (slot, epoch) = place_of(stamp);
    Meta {
        kind: head.header.kind,
        codec: head.header.codec,
        created_at: head.created,
        expires_at: head.expires,
        freshness: head.freshness,
        accessed_at: used / 1_000_000,
        hits: 0,
        size: head.header.raw_size,
        stored_size: head.header.stored_size,
        has_extras: head.header.has_extras,
        id,
        slot,
        epoch,
        version: stamp,
        write_id: head.header.write_id,
    }
}

//! Who goes next, by the policy of this handle.
//!
//! A scan of the table fills a queue with those that go first; what happens to them later is looked up when their turn
//! comes. So no index is kept on the way of every write (`docs/design-decisions.md`, D7), and the order is that of the
//! policy in memory (`crate::policy`), exact for what this process does. What another one writes is seen by the next scan.

#[cfg(test)]
mod model;
mod order;
mod s3_fifo;
mod sieve;

use std::collections::VecDeque;

use super::Wait;
use super::access::AccessLog;
use super::db::Transaction;
use super::epoch::EpochTable;
use super::row::{Removed, Standing};
use crate::error::{Code, Error, Result};
use crate::policy::PolicyKind;

use order::Ordered;
use s3_fifo::S3Fifo;
use sieve::Sieve;

/// Entries that one scan keeps: 4 MiB of memory, and a scan for each so many evictions.
const QUEUE: usize = if cfg!(test) { 16 } else { 1 << 16 };
/// Rows up to which a scan is short enough for a thread that must not wait.
const SHORT: u64 = 2_000;
/// What others wrote, or what has expired since, is looked for once in so many rows' worth of evictions.
const RENEWAL: u64 = 64;

/// What an eviction happens in.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub transaction: &'a Transaction<'a>,
    pub log: &'a AccessLog,
    pub epochs: &'a EpochTable,
    pub now: u64,
    pub wait: Wait,
    /// The row written last: it stays, or a write would be acknowledged that is not there.
    pub newest: i64,
    /// Whether that row is where its policy puts it: not while room is made for it.
    pub entered: bool,
}

impl<'a> Scene<'a> {
    pub fn new(
        transaction: &'a Transaction<'a>,
        log: &'a AccessLog,
        epochs: &'a EpochTable,
        now: u64,
        wait: Wait,
    ) -> Self {
        Self { transaction, log, epochs, now, wait, newest: 0, entered: false }
    }

    /// With the accesses that are not in the database yet.
    fn current(&self, mut standing: Standing) -> Standing {
        if let Some(noted) = self.log.get(standing.id) {
            standing.accessed = standing.accessed.max(noted.tick);
            standing.hits += i64::from(noted.hits);
        }
        standing
    }

    /// Where a row stands now.
    fn look(&self, id: i64) -> Result<Option<Standing>> {
        Ok(self.transaction.standing(id)?.map(|found| self.current(found)))
    }

    /// Deletes a row that was looked at just now.
    fn evict(&self, found: &Standing) -> Result<Option<Removed>> {
        self.log.forget(found.id);
        self.transaction.remove(found.id)
    }
}

/// In what unit `s3-fifo` sizes its queues.
#[derive(Clone, Copy, Debug)]
pub(super) enum Capacity {
    Entries(u64),
    Bytes(u64),
}

/// How a policy finds its next victim.
#[derive(Debug)]
enum Way {
    Ordered(Ordered),
    Sieve(Sieve),
    S3Fifo(Box<S3Fifo>),
}

/// The queue of one handle.
#[derive(Debug)]
pub(super) struct Victims {
    way: Way,
    expired: VecDeque<i64>,
    /// When the next entry expires that had not when it was looked for.
    next_expiry: Option<u64>,
    scan: Option<Scan>,
}

/// What is known of the last scan.
#[derive(Clone, Copy, Debug)]
struct Scan {
    rows: u64,
    evicted: u64,
    /// See [`super::db::Db::version`].
    version: i64,
}

impl Victims {
    pub fn new(policy: PolicyKind, capacity: Capacity) -> Self {
        let way = match policy {
            PolicyKind::Sieve => Way::Sieve(Sieve::default()),
            PolicyKind::S3Fifo => Way::S3Fifo(Box::new(S3Fifo::new(capacity))),
            policy => Way::Ordered(Ordered::new(policy)),
        };
        Self { way, expired: VecDeque::new(), next_expiry: None, scan: None }
    }

    /// Forgets what is queued: the next eviction scans.
    pub fn reset(&mut self) {
        self.scan = None;
    }

    /// Removes the next victim. `None` when nobody is left to go.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] when victims have to be looked for, which takes a thread that may wait.
    pub fn next(&mut self, scene: Scene<'_>) -> Result<Option<Removed>> {
        if self.is_outdated(scene)? {
            self.look_for_victims(scene)?;
        }
        while let Some(id) = self.expired.pop_front() {
            if id != scene.newest
                && let Some(removed) = scene.transaction.delete_expired(id, scene.now)?
            {
                scene.log.forget(id);
                self.removed(scene, &removed)?;
                return Ok(Some(self.counted(removed)));
            }
        }
        let mut scans = 0;
        loop {
            let next = match &mut self.way {
                Way::Ordered(ordered) => ordered.next(scene)?,
                Way::Sieve(sieve) => sieve.next(scene)?,
                Way::S3Fifo(s3) => s3.next(scene)?,
            };
            match next {
                Next::Victim(removed) => return Ok(Some(self.counted(removed))),
                // Twice, as a hand goes round twice: once to look for uses, once more where all had some.
                Next::Scan if scans < 3 => {
                    scans += 1;
                    self.look_for_victims(scene)?;
                }
                Next::Scan | Next::Nobody => return Ok(None),
            }
        }
    }

    fn counted(&mut self, removed: Removed) -> Removed {
        if let Some(scan) = &mut self.scan {
            scan.evicted += 1;
        }
        removed
    }

    fn is_outdated(&self, scene: Scene<'_>) -> Result<bool> {
        let Some(scan) = self.scan else { return Ok(true) };
        if scan.evicted * RENEWAL < scan.rows {
            return Ok(false);
        }
        let expiry = self.expired.is_empty() && self.next_expiry.is_some_and(|at| at <= scene.now);
        let others = match &self.way {
            Way::Ordered(ordered) => ordered.depends_on_others(),
            Way::Sieve(_) | Way::S3Fifo(_) => false,
        };
        Ok(expiry || (others && scene.transaction.db.version()? != scan.version))
    }

    fn look_for_victims(&mut self, scene: Scene<'_>) -> Result<()> {
        if scene.wait == Wait::No && self.scan.is_none_or(|scan| scan.rows > SHORT) {
            return Err(Error::new(Code::LockTimeout, "victims have to be looked for"));
        }
        let version = scene.transaction.db.version()?;
        self.expired.clear();
        self.next_expiry = None;
        match &mut self.way {
            Way::Ordered(ordered) => ordered.begin(scene),
            Way::Sieve(sieve) => sieve.begin(scene),
            Way::S3Fifo(s3) => s3.begin(),
        }
        let mut rows = 0;
        scene.transaction.standings(|found| {
            rows += 1;
            if found.id == scene.newest && !scene.entered {
                return;
            }
            if found.is_expired(scene.now) && self.expired.len() < QUEUE {
                self.expired.push_back(found.id);
            } else if let Some(at) = found.expires {
                self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
            }
            match &mut self.way {
                Way::Ordered(ordered) => ordered.add(scene.current(found), found),
                Way::Sieve(sieve) => sieve.add(&found),
                Way::S3Fifo(s3) => s3.add(&found),
            }
        })?;
        match &mut self.way {
            Way::Ordered(ordered) => ordered.end(),
            Way::Sieve(sieve) => sieve.end(),
            Way::S3Fifo(s3) => s3.end(scene.epochs),
        }
        self.scan = Some(Scan { rows, evicted: 0, version });
        Ok(())
    }

    /// Before room is made for a row that was just inserted. True where the policy puts it into its main queue.
    pub fn admit(&mut self, scene: Scene<'_>, row: &Standing) -> bool {
        match &mut self.way {
            Way::S3Fifo(s3) => s3.admit(scene.epochs, row),
            Way::Ordered(_) | Way::Sieve(_) => false,
        }
    }

    /// After room was made for it.
    pub fn entered(&mut self, scene: Scene<'_>, row: &Standing) {
        if let Some(at) = row.expires {
            self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
        }
        if let Way::S3Fifo(s3) = &mut self.way {
            s3.weigh(scene.epochs, row.place.main, 0, row.weight);
        }
        if self.scan.is_some() {
            match &mut self.way {
                Way::Ordered(ordered) => ordered.push(*row),
                Way::Sieve(sieve) => sieve.push(row),
                Way::S3Fifo(s3) => s3.push(row),
            }
        }
    }

    /// A value was written over, which is a use of its entry.
    pub fn overwritten(&mut self, scene: Scene<'_>, old_weight: u64, row: &Standing) {
        if let Some(at) = row.expires {
            self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
        }
        match &mut self.way {
            Way::S3Fifo(s3) => s3.weigh(scene.epochs, row.place.main, old_weight, row.weight),
            Way::Ordered(ordered) if self.scan.is_some() && ordered.renews() => ordered.push(*row),
            Way::Ordered(_) | Way::Sieve(_) => {}
        }
    }

    /// A row has gone, and not by [`Victims::next`].
    pub fn removed(&mut self, scene: Scene<'_>, removed: &Removed) -> Result<()> {
        match &mut self.way {
            Way::S3Fifo(s3) => {
                s3.weigh(scene.epochs, removed.main, removed.weight(), 0);
                Ok(())
            }
            Way::Sieve(sieve) if self.scan.is_some() => sieve.removed(scene, removed.id),
            Way::Sieve(_) | Way::Ordered(_) => Ok(()),
        }
    }

    /// Every row has gone.
    pub fn cleared(&mut self, epochs: &EpochTable) {
        self.reset();
        self.expired.clear();
        self.next_expiry = None;
        match &mut self.way {
            Way::S3Fifo(s3) => s3.clear(epochs),
            Way::Sieve(_) => epochs.hand().store(0, std::sync::atomic::Ordering::Relaxed),
            Way::Ordered(_) => {}
        }
    }
}

/// Outcome of a policy's search.
enum Next {
    Victim(Removed),
    /// The queue is at its end, and there may be more in the table.
    Scan,
    Nobody,
}

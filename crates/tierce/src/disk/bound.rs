//! The bound on real use: pages in use and value files.
//!
//! Deleting small rows seldom frees a page: the room is used by the next insert instead. So a page above the limit
//! that an eviction did not free is *tolerated*, and from then on each write evicts as much as it brings. Only growth
//! beyond what is tolerated evicts more. What is tolerated stays within half of the promised slack.
//!
//! Victims come from a queue: the oldest entries of one scan, in order. An entry that was written or read since only
//! looks old, and is passed over when its turn comes; one that came since is younger than all of the queue. So the
//! order is exact, and no index has to be kept on the way of every write (`docs/design-decisions.md`, D7).

use std::collections::{BinaryHeap, VecDeque};
use std::sync::Mutex;

use super::Wait;
use super::access::AccessLog;
use super::lock;
use super::meta::Transaction;
use super::row::{Age, Removed};
use crate::error::{Code, Error, Result};

/// The bound that a cache may not be given less than: an empty database with its log has its own needs.
pub(super) const FLOOR: u64 = 1 << 20;
/// Real use stays within this of the limit, or within a tenth of it.
const SLACK: u64 = 8 << 20;
/// Bytes between looks at the page count, far from the limit.
const STRIDE: u64 = 256 << 10;
/// What a row takes beside its key and frame: record header, columns, its cell on the page.
const ROW_OVERHEAD: u64 = 72;
/// Victims that one scan finds: 2 MiB of memory, and a scan for each so many evictions.
const QUEUE: usize = 1 << 16;

#[derive(Debug, Default)]
struct State {
    /// Bytes that may be written before the page count is looked at again.
    unchecked: u64,
    /// Use above the limit that the last eviction could not free.
    tolerated: u64,
    queue: VecDeque<Victim>,
    /// Taken from the queue by the transaction that is open.
    taken: Vec<Victim>,
}

/// An entry as a scan saw it. The order is that of eviction: expired first, then the least recently used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Victim {
    order: i64,
    id: i64,
    accessed: i64,
}

/// The limit, and how this handle keeps it.
#[derive(Debug)]
pub(super) struct Bound {
    limit: Option<u64>,
    state: Mutex<State>,
}

/// What a transaction brought before the bound is enforced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brought {
    /// Bytes of everything written.
    pub written: u64,
    /// Growth of the rows: what was overwritten counts against it.
    pub row_growth: i64,
    /// The row written last.
    pub newest: i64,
}

/// What a row counts for.
pub(super) fn weight(row_bytes: u64) -> u64 {
    row_bytes + ROW_OVERHEAD
}

impl Bound {
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Refuses a value that would push out everything else and still not fit.
    pub fn admit(&self, bytes: u64) -> Result<()> {
        match self.limit {
            Some(limit) if bytes > limit => Err(Error::new(
                Code::ValueTooLarge,
                format!("the value takes {bytes} bytes when stored, and the cache holds {limit}: store less, or raise the max size"),
            )
            .with("bytes", bytes)
            .with("limit", limit)),
            _ => Ok(()),
        }
    }

    /// Evicts what no longer fits, in the transaction that wrote.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] when victims have to be looked for, which takes a thread that may wait.
    pub fn enforce(
        &self,
        transaction: &Transaction<'_>,
        log: &AccessLog,
        now: u64,
        brought: Brought,
        wait: Wait,
    ) -> Result<Vec<Removed>> {
        let Some(limit) = self.limit else { return Ok(Vec::new()) };
        let mut state = lock(&self.state);
        if let Some(rest) = state.unchecked.checked_sub(brought.written) {
            state.unchecked = rest;
            return Ok(Vec::new());
        }
        let slack = SLACK.max(limit / 10) / 2;
        let mut used = transaction.bytes_in_use()?;
        if used > limit + 2 * slack {
            transaction.recount_files()?; // before much is thrown away, make sure that it is too much
            used = transaction.bytes_in_use()?;
        }
        let Some(mut over) = used.checked_sub(limit) else {
            state.unchecked = ((limit - used) / 4).min(STRIDE);
            state.tolerated = 0;
            return Ok(Vec::new());
        };
        let growth = u64::try_from(brought.row_growth).unwrap_or(0);
        let mut need = growth.max(over.saturating_sub(state.tolerated));
        let mut eviction = Eviction {
            transaction,
            log,
            now,
            wait,
            newest: brought.newest,
            state: &mut state,
            victims: Vec::new(),
            files: 0,
            scanned: false,
        };
        // In steps, with a look at what each gave back: half-empty pages are merged, so rows free more than they weigh.
        while eviction.free(need.min(STRIDE.max(growth)))? {
            over = transaction.bytes_in_use()?.saturating_sub(eviction.files).saturating_sub(limit);
            if over <= slack {
                break;
            }
            need = over - slack;
        }
        let victims = eviction.victims;
        state.tolerated = over.min(slack);
        Ok(victims)
    }

    /// The transaction that evicted is done; when it was rolled back, its victims are still the oldest.
    pub fn done(&self, committed: bool) {
        let State { queue, taken, .. } = &mut *lock(&self.state);
        if !committed {
            taken.iter().rev().for_each(|victim| queue.push_front(*victim));
        }
        taken.clear();
    }
}

/// Rows on their way out, in one transaction.
struct Eviction<'a> {
    transaction: &'a Transaction<'a>,
    log: &'a AccessLog,
    now: u64,
    wait: Wait,
    /// The row written last: it stays, or a write would be acknowledged that is not there.
    newest: i64,
    state: &'a mut State,
    victims: Vec<Removed>,
    /// Bytes of the victims' files.
    files: u64,
    scanned: bool,
}

impl Eviction<'_> {
    /// Removes the next in order until so much is freed. False when none is left to go.
    fn free(&mut self, need: u64) -> Result<bool> {
        let mut freed = 0;
        while freed < need {
            let Some(next) = self.next()? else { return Ok(false) };
            let read_since =
                next.order != i64::MIN && self.log.get(next.id).is_some_and(|noted| noted.tick > next.order);
            if read_since || next.id == self.newest {
                continue;
            }
            self.state.taken.push(next);
            if let Some(victim) = self.transaction.evict(next.id, next.accessed)? {
                freed += weight(victim.bytes) + victim.file_bytes;
                self.files += victim.file_bytes;
                self.log.forget(victim.id);
                self.victims.push(victim);
            }
        }
        Ok(true)
    }

    fn next(&mut self) -> Result<Option<Victim>> {
        if self.state.queue.is_empty() && !self.scanned {
            if self.wait == Wait::No {
                return Err(Error::new(Code::LockTimeout, "victims have to be looked for"));
            }
            self.state.queue = scan(self.transaction, self.log, self.now)?;
            self.scanned = true;
        }
        Ok(self.state.queue.pop_front())
    }
}

/// The entries that go first, in order: all that expired, and the oldest.
fn scan(transaction: &Transaction<'_>, log: &AccessLog, now: u64) -> Result<VecDeque<Victim>> {
    let mut oldest = BinaryHeap::with_capacity(QUEUE);
    transaction.ages(|Age { id, accessed, expires }| {
        let expired = expires.is_some_and(|at| at <= now);
        let read = log.get(id).map_or(accessed, |noted| noted.tick.max(accessed));
        let victim = Victim { order: if expired { i64::MIN } else { read }, id, accessed };
        if oldest.len() < QUEUE {
            oldest.push(victim);
        } else if oldest.peek().is_some_and(|youngest| victim < *youngest) {
            oldest.pop();
            oldest.push(victim);
        }
    })?;
    Ok(oldest.into_sorted_vec().into())
}

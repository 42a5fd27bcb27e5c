//! The bound on real use: pages in use and value files.
//!
//! Deleting small rows seldom frees a page: the room is used by the next insert instead. So a page above the limit
//! that an eviction did not free is *tolerated*, and from then on each write evicts as much as it brings. Only growth
//! beyond what is tolerated evicts more. What is tolerated stays within half of the promised slack.

use std::sync::Mutex;

use super::access::AccessLog;
use super::lock;
use super::meta::Transaction;
use super::row::Removed;
use crate::error::{Code, Error, Result};

/// The bound that a cache may not be given less than: an empty database with its log has its own needs.
pub(super) const FLOOR: u64 = 1 << 20;
/// Real use stays within this of the limit, or within a tenth of it.
const SLACK: u64 = 8 << 20;
/// Bytes between looks at the page count, far from the limit.
const STRIDE: u64 = 256 << 10;
/// What a row takes beside its key and frame: record header, columns, index entries.
const ROW_OVERHEAD: u64 = 96;
/// Rows looked at a time.
const BATCH: u32 = 64;

#[derive(Debug, Default)]
struct State {
    /// Bytes that may be written before the page count is looked at again.
    unchecked: u64,
    /// Use above the limit that the last eviction could not free.
    tolerated: u64,
}

/// The limit, and how this handle keeps it.
#[derive(Debug)]
pub(super) struct Bound {
    limit: Option<u64>,
    state: Mutex<State>,
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

    /// Evicts what no longer fits, in the transaction that wrote. Expired entries go first, then the least recently
    /// used.
    pub fn enforce(
        &self,
        transaction: &Transaction<'_>,
        log: &AccessLog,
        now: u64,
        brought: Brought,
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
            *state = State { unchecked: ((limit - used) / 4).min(STRIDE), tolerated: 0 };
            return Ok(Vec::new());
        };
        let growth = u64::try_from(brought.row_growth).unwrap_or(0);
        let mut need = growth.max(over.saturating_sub(state.tolerated));
        let mut eviction = Eviction::new(transaction, log, brought.newest);
        eviction.expired(now)?;
        need = need.saturating_sub(eviction.freed);
        // In steps, with a look at what each gave back: half-empty pages are merged, so rows free more than they weigh.
        while eviction.free(need.min(STRIDE.max(growth)))? {
            over = transaction.bytes_in_use()?.saturating_sub(eviction.files).saturating_sub(limit);
            if over <= slack {
                break;
            }
            need = over - slack;
        }
        *state = State { unchecked: 0, tolerated: over.min(slack) };
        Ok(eviction.victims)
    }
}

/// What a transaction brought before the bound is enforced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brought {
    /// Bytes of everything written.
    pub written: u64,
    /// Growth of the rows: what was overwritten counts against it.
    pub row_growth: i64,
    /// The row written last: it stays, or a write would be acknowledged that is not there.
    pub newest: i64,
}

/// Rows on their way out, in one transaction.
struct Eviction<'a> {
    transaction: &'a Transaction<'a>,
    log: &'a AccessLog,
    kept: i64,
    victims: Vec<Removed>,
    /// Bytes of rows and files.
    freed: u64,
    /// Of which files.
    files: u64,
}

impl<'a> Eviction<'a> {
    fn new(transaction: &'a Transaction<'a>, log: &'a AccessLog, kept: i64) -> Self {
        Self { transaction, log, kept, victims: Vec::new(), freed: 0, files: 0 }
    }

    fn remove(&mut self, victim: Removed) -> Result<bool> {
        let goes = victim.id != self.kept && self.transaction.evict(victim.id)?;
        if goes {
            self.freed += weight(victim.bytes) + victim.file_bytes;
            self.files += victim.file_bytes;
            self.log.take(victim.id);
            self.victims.push(victim);
        }
        Ok(goes)
    }

    fn expired(&mut self, now: u64) -> Result<()> {
        for victim in self.transaction.expired(now, BATCH)? {
            self.remove(victim)?;
        }
        Ok(())
    }

    /// Removes the least recently used until so much is freed. False when none is left to go.
    fn free(&mut self, need: u64) -> Result<bool> {
        let goal = self.freed + need;
        while self.freed < goal {
            // A row that was read since its column was written only looks old: it gets its true tick, and the rows
            // behind it are asked for again.
            let (mut rescued, mut removed) = (false, false);
            for (accessed, victim) in self.transaction.oldest(BATCH)? {
                if self.freed >= goal {
                    return Ok(true);
                }
                match self.log.take(victim.id) {
                    Some(access) if access.tick > accessed => {
                        self.transaction.touch(victim.id, access.tick, access.hits)?;
                        rescued = true;
                    }
                    _ if rescued => break,
                    _ => removed |= self.remove(victim)?,
                }
            }
            if !rescued && !removed {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

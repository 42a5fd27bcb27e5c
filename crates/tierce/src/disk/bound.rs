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
        let used = transaction.bytes_in_use()?;
        let Some(over) = used.checked_sub(limit) else {
            *state = State { unchecked: ((limit - used) / 4).min(STRIDE), tolerated: 0 };
            return Ok(Vec::new());
        };
        let need = u64::try_from(brought.row_growth).unwrap_or(0).max(over.saturating_sub(state.tolerated));
        let (victims, freed) = evict(transaction, log, now, need)?;
        let slack = SLACK.max(limit / 10) / 2;
        *state = State { unchecked: 0, tolerated: over.saturating_sub(freed.files).min(slack) };
        Ok(victims)
    }
}

/// What a transaction brought before the bound is enforced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brought {
    /// Bytes of everything written.
    pub written: u64,
    /// Growth of the rows: what was overwritten counts against it.
    pub row_growth: i64,
}

#[derive(Default)]
struct Freed {
    all: u64,
    /// Of which surely given back at once.
    files: u64,
}

fn evict(
    transaction: &Transaction<'_>,
    log: &AccessLog,
    now: u64,
    need: u64,
) -> Result<(Vec<Removed>, Freed)> {
    let mut victims = Vec::new();
    let mut freed = Freed::default();
    let mut remove = |victim: Removed, freed: &mut Freed| -> Result<()> {
        if transaction.evict(victim.id)? {
            freed.all += weight(victim.bytes) + victim.file_bytes;
            freed.files += victim.file_bytes;
            log.take(victim.id);
            victims.push(victim);
        }
        Ok(())
    };
    for victim in transaction.expired(now, BATCH)? {
        remove(victim, &mut freed)?;
    }
    while freed.all < need {
        let oldest = transaction.oldest(BATCH)?;
        if oldest.is_empty() {
            break;
        }
        // A row that was read since its column was written only looks old: it gets its true tick, and the rows
        // behind it are asked for again.
        let mut rescued = false;
        for (accessed, victim) in oldest {
            if freed.all >= need {
                break;
            }
            match log.take(victim.id) {
                Some(access) if access.tick > accessed => {
                    transaction.touch(victim.id, access.tick, access.hits)?;
                    rescued = true;
                }
                _ if rescued => break,
                _ => remove(victim, &mut freed)?,
            }
        }
    }
    Ok((victims, freed))
}

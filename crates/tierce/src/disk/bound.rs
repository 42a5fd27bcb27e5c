//! The bounds: on real use, which is pages in use and value files, and on the number of entries.
//!
//! Deleting small rows seldom frees a page: the room is used by the next insert instead. So a page above the limit
//! that an eviction did not free is *tolerated*, and from then on each write evicts as much as it brings. Only growth
//! beyond what is tolerated evicts more. What is tolerated stays within a quarter of the promised slack; the rest is for the log and
//! for free pages (`log.rs`).
//!
//! Who goes first is up to [`Victims`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::access::AccessLog;
use super::lock;
use super::row::{Removed, Standing};
use super::victims::{Capacity, Scene, Victims};
use super::{Wait, owner};
use crate::error::{Code, Error, Result};
use crate::policy::PolicyKind;

/// The bound that a cache may not be given less than: an empty database with its log has its own needs.
pub(super) const FLOOR: u64 = 1 << 20;
/// Real use stays within this of the limit, or within a tenth of it.
const SLACK: u64 = 8 << 20;
/// How far real use may be above a limit.
pub(super) fn slack(limit: u64) -> u64 {
    SLACK.max(limit / 10)
}

/// What one transaction evicts at most, in bytes and in entries: all that it changes is in memory until it commits. Where a
/// bound was lowered by more, the next ones go on.
const AT_ONCE: u64 = 16 << 20;
const MOST_AT_ONCE: u64 = 50_000;
/// Bytes between looks at the page count, far from the limit.
const STRIDE: u64 = 256 << 10;

#[derive(Debug)]
struct State {
    /// Bytes that may be written before the page count is looked at again.
    unchecked: u64,
    /// Use above the limit that the last eviction could not free.
    tolerated: u64,
    victims: Victims,
    /// The transaction that is open has evicted.
    evicting: bool,
}

/// The limits, and how this handle keeps them.
#[derive(Debug)]
pub(super) struct Bound {
    limit: Option<u64>,
    max: Option<u64>,
    policy: PolicyKind,
    state: Mutex<State>,
    /// Bytes that are used beside pages and files: the journal's.
    beside: AtomicU64,
}

/// What a transaction brought before the bound on bytes is enforced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brought {
    /// Bytes of everything written.
    pub written: u64,
    /// Growth of the rows: what was overwritten counts against it.
    pub row_growth: i64,
    /// The row written last.
    pub newest: i64,
}

impl Bound {
    pub fn new(limit: Option<u64>, max: Option<u64>, policy: PolicyKind) -> Self {
        let capacity = max.map_or_else(|| Capacity::Bytes(limit.unwrap_or(u64::MAX)), Capacity::Entries);
        let victims = Victims::new(policy, capacity);
        Self {
            limit,
            max,
            policy,
            state: Mutex::new(State { unchecked: 0, tolerated: 0, victims, evicting: false }),
            beside: AtomicU64::new(0),
        }
    }

    /// So much is used beside pages and files.
    pub fn uses(&self, bytes: u64) {
        self.beside.store(bytes, Ordering::Relaxed);
    }

    /// The limit in bytes.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The log of accesses that the policy needs.
    pub fn access_log(&self) -> AccessLog {
        if self.policy == PolicyKind::Mru { AccessLog::with_recent() } else { AccessLog::default() }
    }

    fn is_unbounded(&self) -> bool {
        self.limit.is_none() && self.max.is_none()
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

    /// A row was inserted, or written over where there was an `old` one: makes room where there are too many entries.
    /// `row` is changed where its policy gives it another place.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] when that takes a thread that may wait.
    pub fn entered(
        &self,
        scene: Scene<'_>,
        row: &mut Standing,
        old: Option<Removed>,
    ) -> Result<Vec<Removed>> {
        if self.is_unbounded() {
            return Ok(Vec::new());
        }
        let mut state = lock(&self.state);
        if let Some(old) = old {
            state.victims.overwritten(scene, old.weight(), row);
            return Ok(Vec::new());
        }
        let main = state.victims.admit(scene, row);
        let gone = self.make_room(scene, &mut state)?;
        if main {
            // Behind all that were moved there meanwhile.
            row.place.entered = scene.epochs.tick(scene.now);
            row.place.main = true;
            scene.transaction.replace(row.id, row.place)?;
        }
        state.victims.entered(scene, row);
        Ok(gone)
    }

    /// Evicts what is above the number of entries.
    fn make_room(&self, scene: Scene<'_>, state: &mut State) -> Result<Vec<Removed>> {
        let mut gone = Vec::new();
        let Some(max) = self.max else { return Ok(gone) };
        let token = scene.epochs.counting().load(Ordering::Relaxed) as i64;
        let count = match scene.transaction.count(token)? {
            Some(count) => count,
            None if scene.wait == Wait::No => {
                return Err(Error::new(Code::LockTimeout, "the entries have to be counted"));
            }
            None => {
                let token = owner::random() | 1;
                let count = scene.transaction.recount(token as i64)?;
                scene.epochs.counting().store(token, Ordering::Relaxed);
                count
            }
        };
        for _ in 0..count.saturating_sub(max).min(MOST_AT_ONCE) {
            state.evicting = true;
            let Some(removed) = state.victims.next(scene)? else { break };
            gone.push(removed);
        }
        Ok(gone)
    }

    /// A row has gone, and not by eviction.
    pub fn removed(&self, scene: Scene<'_>, removed: &Removed) -> Result<()> {
        if self.is_unbounded() { Ok(()) } else { lock(&self.state).victims.removed(scene, removed) }
    }

    /// Rows have gone, and nobody looked which.
    pub fn many_removed(&self) {
        lock(&self.state).victims.reset();
    }

    /// Every row has gone.
    pub fn cleared(&self, scene: Scene<'_>) {
        lock(&self.state).victims.cleared(scene.epochs);
    }

    /// Evicts what no longer fits, in the transaction that wrote.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] when victims have to be looked for, which takes a thread that may wait.
    pub fn enforce(&self, scene: Scene<'_>, brought: Brought) -> Result<Vec<Removed>> {
        let Some(limit) = self.limit else { return Ok(Vec::new()) };
        let pages = limit.saturating_sub(self.beside.load(Ordering::Relaxed));
        let scene = Scene { entered: true, newest: brought.newest, ..scene };
        let mut state = lock(&self.state);
        if let Some(rest) = state.unchecked.checked_sub(brought.written) {
            state.unchecked = rest;
            return Ok(Vec::new());
        }
        let transaction = scene.transaction;
        let slack = slack(limit) / 4;
        let limit = pages; // the log has three eighths of it, free pages one
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
        let mut gone = Vec::new();
        state.evicting = true;
        // In steps, with a look at what each gave back: half-empty pages are merged, so rows free more than they weigh.
        let mut freed = 0;
        while free(&mut state.victims, scene, need.min(STRIDE.max(growth)), &mut gone)? {
            let files: u64 = gone.iter().map(|removed| removed.file_bytes).sum();
            over = transaction.bytes_in_use()?.saturating_sub(files).saturating_sub(limit);
            freed += need.min(STRIDE.max(growth));
            if over <= slack || freed >= AT_ONCE {
                break;
            }
            need = over - slack;
        }
        state.tolerated = over.min(slack);
        Ok(gone)
    }

    /// The transaction is done; when it was rolled back, its victims are there still.
    pub fn done(&self, committed: bool) {
        let state = &mut *lock(&self.state);
        if std::mem::take(&mut state.evicting) && !committed {
            state.victims.reset();
        }
    }
}

/// Removes the next in order until so much is freed. False when none is left to go.
fn free(victims: &mut Victims, scene: Scene<'_>, need: u64, gone: &mut Vec<Removed>) -> Result<bool> {
    let mut freed = 0;
    while freed < need {
        let Some(victim) = victims.next(scene)? else { return Ok(false) };
        freed += victim.weight();
        gone.push(victim);
    }
    Ok(true)
}

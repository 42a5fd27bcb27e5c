//! How much is stored, and who goes first when it is too much.
//!
//! Nothing tells how much other processes store but a look at every file. A handle looks once, keeps the account of what it
//! writes itself, and looks again when it has written a [`SHARE`] of the bound: by so much each process may go beyond it. A look
//! also gives the files that go first, so that the next evictions need none.
//!
//! The order is that of the times of the files: the last write, and with `lru` the last access, whose time is kept here and
//! written in batches.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::lock;
use super::super::options::Options;
use super::folder::{Folder, Found, tick_of};
use super::head::Opened;
use super::shared::Shared;
use super::walk::Met;
use crate::error::{Code, Error, Result};
use crate::policy::PolicyKind;

/// Accesses that are written at once.
const DUE: usize = 4096;
/// The part of a bound after which a handle looks again.
const SHARE: u64 = 32;
/// The part of all entries that one look finds to evict, and the least.
const QUEUED: (usize, usize) = (16, 64);
/// Space is handed out in blocks of this many bytes.
const BLOCK: u64 = 4096;

/// Bounds, and the account of them.
pub(super) struct Bound {
    max_size: Option<u64>,
    max: Option<u64>,
    /// Whether accesses count for the order.
    records: bool,
    account: Mutex<Account>,
    /// Held while entries are evicted: two at once would evict twice as many.
    evicting: Mutex<()>,
    /// Accesses whose times are not in the files yet.
    pending: Mutex<HashMap<i64, u64>>,
}

#[derive(Default)]
struct Account {
    /// Entries and bytes as of the last look and what this handle did since; nothing before the first.
    known: Option<(u64, u64)>,
    /// Entries and bytes that this handle wrote since.
    written: (u64, u64),
    /// Who goes first, as of the last look.
    first: VecDeque<Met>,
    /// The entry that came last. It stays, whatever the clocks of other machines say.
    newest: Option<i64>,
}

fn size_on_disk(length: u64) -> u64 {
    length.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl Bound {
    pub fn new(options: &Options) -> Self {
        Self {
            max_size: options.max_size,
            max: options.max,
            records: options.policy == PolicyKind::Lru,
            account: Mutex::default(),
            evicting: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// Whether a file fits at all.
    pub fn admit(&self, length: u64) -> Result<()> {
        match self.max_size {
            Some(limit) if length > limit => Err(Error::new(
                Code::ValueTooLarge,
                format!("the value takes {length} bytes when stored, and the cache holds {limit}: store less, or raise the max size"),
            )
            .with("bytes", length)
            .with("limit", limit)),
            _ => Ok(()),
        }
    }

    /// An entry was stored, in the place of a file of `replaced` bytes.
    pub fn entered(&self, id: i64, length: u64, replaced: Option<u64>) {
        lock(&self.pending).remove(&id);
        let mut account = lock(&self.account);
        let bytes = size_on_disk(length);
        account.newest = Some(id);
        account.written = (account.written.0 + 1, account.written.1 + bytes);
        if let Some((entries, stored)) = &mut account.known {
            *entries += u64::from(replaced.is_none());
            *stored = (*stored + bytes).saturating_sub(replaced.map_or(0, size_on_disk));
        }
    }

    /// A file was removed.
    pub fn left(&self, id: i64, length: u64) {
        lock(&self.pending).remove(&id);
        if let Some((entries, stored)) = &mut lock(&self.account).known {
            *entries = entries.saturating_sub(1);
            *stored = stored.saturating_sub(size_on_disk(length));
        }
    }

    /// Everything was removed; what others store is found by the next look.
    pub fn cleared(&self) {
        lock(&self.pending).clear();
        *lock(&self.account) = Account::default();
    }

    /// Notes an access. True when a batch is due.
    pub fn note(&self, id: i64, tick: u64) -> bool {
        if !self.records {
            return false;
        }
        let mut pending = lock(&self.pending);
        pending.insert(id, tick);
        pending.len().is_multiple_of(DUE)
    }

    /// When an entry was used last, where that is not in its file yet.
    pub fn used(&self, id: i64) -> Option<u64> {
        lock(&self.pending).get(&id).copied()
    }

    /// Writes the times of accesses, unless they are given up meanwhile.
    pub fn flush(&self, folder: &Folder, give_up: &AtomicBool) {
        let noted: Vec<(i64, u64)> = lock(&self.pending).iter().map(|(id, tick)| (*id, *tick)).collect();
        for (id, tick) in noted {
            if give_up.load(Ordering::Relaxed) {
                return;
            }
            if self.used(id) == Some(tick) {
                folder.note(id, tick);
                let mut pending = lock(&self.pending);
                if pending.get(&id) == Some(&tick) {
                    pending.remove(&id);
                }
            }
        }
    }

    /// Makes room. After it the bounds hold for all that this handle knows of.
    pub fn enforce(&self, shared: &Shared) -> Result<()> {
        if self.max_size.is_none() && self.max.is_none() {
            return Ok(());
        }
        let _alone = lock(&self.evicting);
        if self.is_look_due() {
            self.look(shared)?;
        }
        let mut looked = false;
        while self.is_over() {
            let Some(victim) = lock(&self.account).first.pop_front() else {
                if std::mem::replace(&mut looked, true) {
                    return Ok(()); // all that is there was used since the look: the next batch tries again
                }
                self.look(shared)?;
                continue;
            };
            looked = false;
            if self.used(victim.id).is_none() && lock(&self.account).newest != Some(victim.id) {
                shared.removed(victim.id, &|found| is_unused(found, victim.used));
            }
        }
        Ok(())
    }

    fn is_look_due(&self) -> bool {
        let Account { known, written, .. } = &*lock(&self.account);
        let is_first = known.is_none() && self.max.is_some();
        let is_much =
            |written: u64, bound: Option<u64>| bound.is_some_and(|bound| written >= (bound / SHARE).max(1));
        is_first || is_much(written.0, self.max) || is_much(written.1, self.max_size)
    }

    fn is_over(&self) -> bool {
        let over = |is: u64, bound: Option<u64>| bound.is_some_and(|bound| is > bound);
        lock(&self.account)
            .known
            .is_some_and(|(entries, bytes)| over(entries, self.max) || over(bytes, self.max_size))
    }

    /// Counts all files, and finds those that go first.
    fn look(&self, shared: &Shared) -> Result<()> {
        self.flush(&shared.folder, &shared.dropped);
        let mut all = shared.folder.all()?;
        shared.follow(all.iter().map(|met| met.used).max().unwrap_or_default());
        let known = (all.len() as u64, all.iter().map(|met| size_on_disk(met.length)).sum());
        let count = (all.len() / QUEUED.0).max(QUEUED.1).min(all.len());
        if count > 0 {
            all.select_nth_unstable_by_key(count - 1, |met| met.used);
            all.truncate(count);
            all.sort_unstable_by_key(|met| met.used);
        }
        let mut account = lock(&self.account);
        *account =
            Account { known: Some(known), first: all.into(), newest: account.newest, ..Account::default() };
        Ok(())
    }
}

/// Whether a file has not been used since its time was looked at.
fn is_unused(found: &Found<Opened>, used: u64) -> bool {
    match found {
        Found::Read(opened) => opened.file.metadata().is_ok_and(|about| tick_of(&about) == used),
        Found::Bad(_) => true,
        Found::Missing => false,
    }
}

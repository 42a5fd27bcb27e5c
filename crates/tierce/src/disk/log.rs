//! How long the log may get, and how what is free goes back to the file system.
//!
//! Both are shares of the slack that the bound on real use leaves: a log of an eighth is copied in the background, one of a
//! quarter is ended while writers wait for a moment, and one of three eighths is ended by the next writer itself, so that
//! it cannot outrun the copying. Only a reader that stays on an old snapshot can keep it from ending: then it grows.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::bound::slack;
use super::db::{Db, LogEnd, PAGE_SIZE};
use super::engine::Engine;
use super::transact::Alone;
use super::{Wait, patiently};
use crate::error::{Code, Error, Result};

/// Pages of log that are worth a copy, and the most that wait for one: a page that is written often is copied once.
const DUE: std::ops::RangeInclusive<u64> = 256..=4000;
/// How long a writer waits for others who use the log.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);
/// Free pages given back in one transaction: short enough that a writer beside it barely waits.
const STEP: u32 = 128;

/// What is known of the log of this handle's directory.
#[derive(Debug)]
pub(super) struct Log {
    /// Pages after which it is copied.
    due: u32,
    /// Free pages that stay, for the next inserts.
    spare: u64,
    /// Pages after the last commit.
    pages: AtomicU32,
    /// Those of them that were there when it was last copied.
    copied: AtomicU32,
    /// Pages at which a writer tries again to end it, where a reader was in the way.
    retry: AtomicU32,
    /// The handle closes: what can wait is left.
    closing: AtomicBool,
}

impl Log {
    /// For a bound in bytes.
    pub fn new(limit: Option<u64>) -> Self {
        let share = limit.map_or(u64::MAX, slack) / 8 / PAGE_SIZE;
        let due = share.clamp(*DUE.start(), *DUE.end());
        Self {
            due: due as u32,
            spare: due,
            pages: AtomicU32::new(0),
            copied: AtomicU32::new(0),
            retry: AtomicU32::new(0),
            closing: AtomicBool::new(false),
        }
    }

    /// Bytes that stay allocated when the log starts again.
    pub fn kept(&self) -> u64 {
        u64::from(self.due) * PAGE_SIZE
    }

    /// Whether a log of so many bytes is longer than writers let it get.
    pub fn is_pinned(&self, bytes: u64) -> bool {
        bytes > u64::from(4 * self.due) * PAGE_SIZE
    }

    /// After a commit that left so many pages in it.
    pub fn grew(&self, pages: u32) {
        if pages < self.pages.swap(pages, Ordering::Relaxed) {
            self.copied.store(0, Ordering::Relaxed); // it has begun anew
        }
    }

    /// After a copy, or a try that readers have cut short, that found so many pages in it. `None` where another process is at it.
    pub fn was_copied(&self, pages: Option<u32>) {
        let pages = pages.unwrap_or_else(|| self.pages.load(Ordering::Relaxed));
        self.copied.store(pages, Ordering::Relaxed);
    }

    /// Whether it is to be copied, and what happens to it then. Beside a writer that never pauses it goes on to grow where it is, as
    /// there is always something that is not copied: so what counts is what came since the last copy.
    pub fn is_due(&self) -> Option<Option<LogEnd>> {
        let pages = self.pages.load(Ordering::Relaxed);
        let since = pages.saturating_sub(self.copied.load(Ordering::Relaxed));
        (since >= self.due).then(|| (pages >= 2 * self.due).then_some(LogEnd::Restart))
    }

    /// Lets go of what can wait.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

/// Ends the log; false where others use it for longer than that.
pub(super) fn insist(patience: Duration, mut end: impl FnMut() -> Result<bool>) -> Result<bool> {
    let ended = patiently(patience, || match end() {
        Ok(false) => Err(Error::new(Code::LockTimeout, "somebody uses the log")),
        outcome => outcome,
    });
    match ended {
        Err(why) if why.code() == Code::LockTimeout => Ok(false),
        outcome => outcome,
    }
}

impl Engine {
    /// Before a write: ends a log that has outrun the copying.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] on a thread that must not wait.
    pub fn keep_log_short(&self, wait: Wait) -> Result<()> {
        let pages = self.log.pages.load(Ordering::Relaxed);
        if pages < 3 * self.log.due || pages < self.log.retry.load(Ordering::Relaxed) {
            return Ok(());
        }
        if wait == Wait::No {
            return Err(Error::new(Code::LockTimeout, "the log has to be copied first"));
        }
        // Another process may be copying it, or reading; who stays for longer keeps it.
        let ended = insist(PATIENCE.min(self.lock_timeout), || self.copy_log(None, Some(LogEnd::Restart)))?;
        let (pages, retry) = if ended { (0, 0) } else { (pages, pages + self.log.due) };
        self.log.grew(pages);
        self.log.retry.store(retry, Ordering::Relaxed);
        Ok(())
    }

    /// Gives free pages back to the file system, in short transactions, and shortens the file.
    pub fn give_back(&self, db: &Db) -> Result<()> {
        if db.free_pages()? <= self.log.spare {
            return Ok(());
        }
        while db.free_pages()? > self.log.spare / 2 && !self.log.closing.load(Ordering::Relaxed) {
            let transaction = patiently(self.lock_timeout, || db.begin())?;
            transaction.vacuum(STEP)?;
            self.cover(db, Alone::No)?;
            transaction.commit()?;
            self.log.grew(db.wal_pages());
            if self.log.is_due().is_some() {
                self.copy_log(Some(db), None)?;
            }
        }
        self.copy_log(Some(db), Some(LogEnd::Restart)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_begin_anew_is_copied_once_for_each_share_that_comes() {
        let log = Log::new(None);
        let due = log.due;
        let mut copies = Vec::new();
        for pages in 1..4 * due {
            log.grew(pages);
            if let Some(end) = log.is_due() {
                copies.push((pages, end));
                log.was_copied(Some(pages));
            }
        }
        let restart = Some(LogEnd::Restart);
        assert_eq!(copies, [(due, None), (2 * due, restart), (3 * due, restart)]);
        for _ in 0..3 {
            log.grew(10); // begun anew by whoever wrote
            assert_eq!(log.is_due(), None);
            log.grew(due);
            assert_eq!(log.is_due(), Some(None), "what was copied before is not in it any more");
            log.was_copied(None);
        }
    }
}

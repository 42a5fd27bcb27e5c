//! Whose turn it is to add, between the threads of a handle and between handles.

use std::fs::TryLockError;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Journal;
use crate::disk::{lock, patiently};
use crate::error::{Code, Error, Result};

/// Times that a call which must not wait looks whether it is its turn.
const LOOKS: usize = 32;

/// The right to add to a journal, or to keep others from it. The system takes it back from who dies.
pub struct Turn<'a> {
    journal: &'a Journal,
    _threads: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Before a transaction that does more than apply what is pending: what is added behind it counts only where it is in the
    /// database. Gives whether somebody was killed in one.
    pub fn begin(&self) -> bool {
        self.journal.ring.turned().fetch_add(1, Ordering::AcqRel);
        self.journal.ring.turning().swap(1, Ordering::AcqRel) != 0
    }

    /// Behind it. `left`: somebody was killed in another one, and that is not dealt with.
    pub fn end(&self, committed: bool, left: bool) {
        self.journal.ring.turning().store(left.into(), Ordering::Release);
        if !committed {
            self.journal.ring.turned().fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = self.journal.file.unlock();
    }
}

impl Journal {
    /// Keeps all others from adding.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] where others have it for too long.
    pub fn turn(&self, timeout: Duration) -> Result<Turn<'_>> {
        let threads = match self.threads.try_lock() {
            Ok(threads) => threads,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) if timeout.is_zero() => {
                return Err(Error::new(Code::LockTimeout, "another thread is writing to this cache"));
            }
            Err(std::sync::TryLockError::WouldBlock) => lock(&self.threads),
        };
        let busy =
            || Error::new(Code::LockTimeout, "another process is writing to this cache").at(&self.path);
        let take = || match self.file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(busy()),
            Err(TryLockError::Error(why)) => Err(Error::io("lock", &self.path, why)),
        };
        let mut looks = 0;
        let at_once = loop {
            match take() {
                Err(why) if why.code() == Code::LockTimeout && looks < LOOKS => {
                    looks += 1;
                    std::thread::yield_now();
                }
                outcome => break outcome,
            }
        };
        match at_once {
            Err(why) if why.code() == Code::LockTimeout => patiently(timeout, take)?,
            outcome => outcome?,
        }
        Ok(Turn { journal: self, _threads: threads })
    }

    /// Whether somebody was killed in a transaction that did more than apply what was pending.
    pub fn was_left(&self) -> bool {
        let is_turning = || self.ring.turning().load(Ordering::Acquire) != 0;
        is_turning() && self.turn(Duration::ZERO).is_ok_and(|_turn| is_turning())
    }

    /// That is dealt with.
    pub fn forget_left(&self) {
        let _ = self.turn(Duration::ZERO).map(|_turn| self.ring.turning().store(0, Ordering::Release));
    }
}

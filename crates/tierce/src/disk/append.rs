//! Plain sets into the journal.

use std::time::Duration;

use super::Wait;
use super::engine::Engine;
use super::journal::{Journal, Pending};
use super::ready::Ready;
use super::row::{EntryRow, Place};
use super::write::Written;
use crate::error::{Code, Error, Result};

impl Engine {
    /// Adds plain sets to the journal. `None` where they have to go to the database.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] when it is full, or others write, on a thread that must not wait.
    pub fn append(&self, ready: &[Ready<'_>], wait: Wait) -> Result<Option<Vec<Written>>> {
        let adds = self.journaling.adds() && !self.journaling.is_stuck() && !self.reserve.is_scarce();
        if !adds || !ready.iter().all(Ready::is_plain) || ready.is_empty() {
            return Ok(None);
        }
        let Some(journal) = self.journal_to_add(wait)? else { return Ok(None) };
        let parts = ready.iter().filter_map(Ready::parts);
        let parts = parts.map(|(key, frame)| Ok((self.keeping.stored_key(key)?, frame.len())));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let sizes = || parts.iter().map(|(key, frame)| key.len() + frame);
        if Journal::length_of(sizes()) > journal.longest() {
            return Ok(None);
        }
        let timeout = if wait == Wait::Yes { self.lock_timeout } else { Duration::ZERO };
        loop {
            if self.epochs.is_mending() || self.journaling.is_stuck() {
                return Ok(None);
            }
            let turn = journal.turn(timeout)?;
            if !journal.is_current() {
                return Ok(None);
            }
            let added = journal.append(&turn, sizes(), || {
                let now = self.now();
                let keyed = ready.iter().zip(&parts);
                let rows = keyed.filter_map(|(set, (key, _))| self.pending_row(set, key, now)).collect();
                (rows, self.announce_apart(ready))
            })?;
            if let Some(announced) = added {
                return Ok(Some(self.publish_apart(ready, &announced)));
            }
            drop(turn);
            if wait == Wait::No {
                return Err(Error::new(Code::LockTimeout, "the journal is full"));
            }
            self.keep_log_short(wait)?;
            self.drain()?;
        }
    }

    fn pending_row<'r>(&self, set: &'r Ready<'_>, key: &'r [u8], now: u64) -> Option<Pending<'r>> {
        let Ready::Set { digest, header, frame, times, .. } = set else { return None };
        let mut row = EntryRow {
            id: digest.id(),
            seal: 0,
            accessed: self.epochs.tick(now),
            hits: 0,
            created: now,
            expires: times.expires,
            freshness: times.freshness,
            place: Place::default(),
            key,
            frame,
        };
        row.seal = self.keeping.seal(&row, *digest, header.checksum);
        let noted = self.accesses.take(row.id).map_or(0, |noted| noted.hits);
        Some(Pending { row, noted })
    }
}

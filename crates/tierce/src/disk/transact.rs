//! One write transaction: with what is in the journal, and again where the disk was full or the database damaged.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::db::{Db, Transaction};
use super::engine::Engine;
use super::{Wait, not_run, patiently};
use crate::error::{Code, Error, Result};

/// How often a write makes room on a full disk: another thread's removal may have it.
const ROOM: usize = 3;

/// Whether a transaction keeps others from adding to the journal until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    /// It only moves what is in there into the database.
    No,
    /// As [`Alone::No`], a little at a time, by who has the right to the room of a full disk.
    Least,
    Yes,
    /// It removes everything, what is in there too.
    Clearing,
    /// It leaves in there what is in there, for want of room.
    Beside,
    /// It is followed by another life of the journal.
    Renewing,
}

impl Alone {
    /// Whether others may add to the journal meanwhile.
    pub fn lets_add(self) -> bool {
        matches!(self, Self::No | Self::Least)
    }
}

/// What a transaction does. Not a type parameter, or all of this would be compiled once for each.
type Run<'r> = dyn FnMut(&Transaction<'_>) -> Result<()> + 'r;

/// Hands on what the last run gave.
fn giving<T>(
    mut run: impl FnMut(&Transaction<'_>) -> Result<T>,
    write: impl FnOnce(&mut Run<'_>) -> Result<()>,
) -> Result<T> {
    let mut given = None;
    write(&mut |transaction| {
        given = Some(run(transaction)?);
        Ok(())
    })?;
    given.ok_or_else(not_run)
}

impl Engine {
    /// Runs one write transaction and commits it. A damaged database is rebuilt and the write tried again: twice,
    /// where another process rebuilt it before and it was damaged again.
    pub fn write<T>(&self, wait: Wait, run: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        giving(run, |run| self.write_roomy(wait, run))
    }

    /// As [`Engine::write`]; what is not alone lets others add to the journal meanwhile.
    pub fn write_as<T>(
        &self,
        wait: Wait,
        alone: Alone,
        run: impl FnMut(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        giving(run, |run| self.write_sound(wait, alone, run))
    }

    fn write_roomy(&self, wait: Wait, run: &mut Run<'_>) -> Result<()> {
        if wait == Wait::Yes {
            self.settled()?; // in transactions that keep nobody from adding more
        }
        for _ in 0..ROOM {
            match self.write_sound(wait, Alone::Yes, run) {
                Err(why) if why.code() == Code::StorageFull => {
                    if !self.make_room(wait)? {
                        break;
                    }
                }
                outcome => return outcome,
            }
        }
        let _room = (wait == Wait::Yes).then(|| self.reserve.room());
        self.write_sound(wait, Alone::Yes, run)
    }

    fn write_sound(&self, wait: Wait, alone: Alone, run: &mut Run<'_>) -> Result<()> {
        let mut db = self.primary(wait)?;
        for _ in 0..2 {
            match self.transact(&db, wait, alone, run) {
                Err(why) if why.code() == Code::Corrupt && wait == Wait::No => {
                    let message = "the database is damaged, and mending it takes a thread that may wait";
                    return Err(Error::new(Code::LockTimeout, message).at(&self.paths.database).because(why));
                }
                Err(why) if why.code() == Code::Corrupt => self.rebuild(&mut db, why)?,
                outcome => return outcome,
            }
        }
        self.transact(&db, wait, alone, run)
    }

    fn transact(&self, db: &Db, wait: Wait, alone: Alone, run: &mut Run<'_>) -> Result<()> {
        let timeout = if wait == Wait::Yes { self.lock_timeout } else { Duration::ZERO };
        let transaction = patiently(timeout, || {
            let transaction = db.begin()?;
            self.paths.wait_for_mending(&self.epochs)?;
            Ok(transaction)
        })?;
        let journal = self.journal_as_is()?;
        let turn = match journal.filter(|_| !alone.lets_add()) {
            Some(journal) if journal.is_replaced() => return Err(journal.replaced()),
            Some(journal) => Some(journal.turn(timeout)?),
            None => None,
        };
        let was_left = match (&turn, journal) {
            (Some(turn), _) => turn.begin(),
            (None, Some(journal)) => journal.was_left(),
            (None, None) => false,
        };
        let outcome = self.absorb(&transaction, journal, wait, alone).and_then(|absorbed| {
            run(&transaction)?;
            if self.epochs.counting().load(Ordering::Relaxed) != 0 {
                transaction.keep_count()?;
            }
            self.cover(db, alone)?;
            transaction.commit().map(|()| absorbed)
        });
        self.bound.done(outcome.is_ok());
        self.log.grew(db.wal_pages());
        let _ = db.grew(); // at the next turn of the log, else
        let committed = outcome.is_ok();
        let outcome = outcome.and_then(|absorbed| self.absorbed(&absorbed));
        if was_left && committed {
            self.epochs.bump_all(); // reads found in the journal what that transaction had removed
        }
        match (&turn, journal) {
            (Some(turn), _) => turn.end(committed, was_left && !committed),
            (None, Some(journal)) if was_left && committed => journal.forget_left(),
            _ => {}
        }
        outcome
    }
}

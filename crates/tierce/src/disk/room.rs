//! What is done on a full disk, with what the [reserve](super::reserve) has: the database takes in the log, whose room is free then, and what is in
//! the journal.

use super::Wait;
use super::db::{Db, LogEnd};
use super::engine::Engine;
use super::reserve::Room;
use super::transact::Alone;
use super::write::{Write, Written};
use crate::error::{Code, Error, Result};

/// Bytes of log that are worth it: less is what one set may have failed to add.
const WORTH: u64 = 32 << 10;

impl Engine {
    /// Before a commit: keeps room for what the log will hold.
    pub fn cover(&self, db: &Db, alone: Alone) -> Result<()> {
        let has_room = match alone {
            Alone::Beside | Alone::Clearing => true, // with the right to what was given up
            Alone::No => self.journaling.is_stuck(),
            Alone::Yes | Alone::Renewing => false,
        };
        let pages = db.pages()?;
        if has_room || self.reserve.covers(pages) {
            return Ok(());
        }
        self.reserve.cover(pages, self.paths.pages())
    }

    /// Gives back what was kept for a log that is copied, unless somebody writes, who does.
    pub fn uncover(&self, db: &Db) {
        if self.reserve.is_grown()
            && let Ok(_alone) = db.begin()
            && let Ok(pages) = db.pages()
        {
            self.reserve.shrink(pages, self.paths.pages());
        }
    }

    /// Whether there is something to be taken in.
    fn is_worth_it(&self) -> bool {
        self.paths.log_size() >= WORTH || self.journaling.is_filled()
    }

    /// After a transaction for which there was no room: makes some. False where there is none to be made.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] on a thread that must not wait. [`Code::StorageFull`] where what is in the journal has no room.
    pub fn make_room(&self, wait: Wait) -> Result<bool> {
        if wait == Wait::No {
            let message = "the disk is full, and making room takes a thread that may wait";
            return if self.is_worth_it() { Err(Error::new(Code::LockTimeout, message)) } else { Ok(false) };
        }
        let at_once = self.reserve.try_room();
        let had_to_wait = at_once.is_none();
        let room = at_once.unwrap_or_else(|| self.reserve.room());
        if !self.is_worth_it() {
            return Ok(had_to_wait); // somebody has made it
        }
        self.take_in(&room).map(|()| true)
    }

    /// Cuts the log, and moves what is in the journal in batches so small that the log of each has room.
    pub fn take_in(&self, room: &Room<'_>) -> Result<()> {
        self.journaling.set_stuck(true);
        self.cut_log(room)?;
        if let Some(journal) = self.journal()? {
            while journal.end().is_some() {
                let before = journal.head();
                let batch = || self.write_as(Wait::Yes, Alone::No, |_| Ok(()));
                match batch() {
                    Err(why) if why.code() == Code::StorageFull => {
                        self.cut_log(room)?; // a batch that failed has taken all that there was
                        room.give();
                        batch()?;
                    }
                    outcome => outcome?,
                }
                self.cut_log(room)?;
                if journal.head() == before {
                    break; // its positions are damaged
                }
            }
        }
        self.journaling.set_stuck(self.journaling.is_filled());
        Ok(())
    }

    fn cut_log(&self, room: &Room<'_>) -> Result<()> {
        let cut = || self.copy_log_as_is(&*self.primary(Wait::Yes)?, Some(LogEnd::Cut));
        match cut() {
            Err(why) if why.code() == Code::StorageFull => {
                room.give();
                cut()?;
            }
            outcome => drop(outcome?),
        }
        room.taken_in();
        self.log.grew(0);
        Ok(())
    }

    /// Removals for which there was no room: what has no room in the journal stays there, or goes with all. Then the files of values go
    /// before their rows: a kill in between leaves misses.
    pub fn apply_on_full_disk(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let room = self.reserve.room();
        let clears = writes.iter().any(|write| matches!(write, Write::Clear));
        let alone = if clears { Alone::Clearing } else { Alone::Beside };
        let end = |how| self.copy_log_as_is(&*self.primary(Wait::Yes)?, Some(how));
        let retry = || self.apply_once(writes, Wait::Yes, alone);
        let _ = if clears { self.cut_log(&room) } else { self.take_in(&room) };
        room.give_all();
        let mut retried = retry();
        if retried.is_err() && clears {
            self.blobs.remove(&self.read_holding(false, Db::entry_files)?);
            retried = retry();
        }
        for how in [LogEnd::Restart, LogEnd::Cut] {
            if retried.is_err() {
                // Started again, the log has the room that it took; cut, the database may have it.
                retried = end(how).and_then(|_| retry());
            }
        }
        let _ = self.cut_log(&room); // so that the next one finds a reserve
        retried
    }
}

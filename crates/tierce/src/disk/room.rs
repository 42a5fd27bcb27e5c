//! What is done on a full disk, with what the [reserve](super::reserve) has: the database takes in the log, whose room is free then, and what is in
//! the journal.

use std::time::Duration;

use super::db::{Db, LogEnd};
use super::engine::Engine;
use super::log::{PATIENCE, insist};
use super::reserve::Room;
use super::transact::Alone;
use super::write::{Write, Written};
use super::{Wait, patiently};
use crate::error::{Code, Error, Result};

/// Bytes of log that are worth it: less is what one set may have failed to add.
const WORTH: u64 = 32 << 10;
/// Free pages that go back to a full disk, in steps: the log of each has room in the reserve, and in what the ones before gave.
const STEPS: [u32; 5] = [8, 16, 32, 64, 128];

impl Engine {
    /// Before a commit: keeps room for what the log will hold.
    pub fn cover(&self, db: &Db, alone: Alone) -> Result<()> {
        if matches!(alone, Alone::Least | Alone::Beside | Alone::Clearing) {
            self.reserve.give_offered();
            return Ok(());
        }
        let pages = db.pages()?;
        if self.reserve.covers(pages) {
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
            return Err(Error::new(Code::LockTimeout, message));
        }
        let at_once = self.reserve.try_room();
        let had_to_wait = at_once.is_none();
        let room = at_once.unwrap_or_else(|| self.reserve.room());
        let is_worth_it = self.is_worth_it();
        if is_worth_it {
            self.take_in(&room)?;
        }
        Ok(self.give_pages(&room)? || is_worth_it || had_to_wait) // somebody has made it
    }

    /// Gives some free pages of the database back to the disk. False where there are none.
    fn give_pages(&self, room: &Room<'_>) -> Result<bool> {
        let mut has_given = false;
        for step in STEPS {
            let db = self.primary(Wait::Yes)?;
            if db.free_pages()? == 0 {
                break;
            }
            room.offer_all();
            let transaction = patiently(self.lock_timeout, || db.begin())?;
            transaction.vacuum(step)?;
            self.cover(&db, Alone::Least)?;
            let outcome = transaction.commit();
            drop(db);
            let is_cut = self.cut_log(room, PATIENCE)?;
            match outcome {
                Err(why) if why.code() == Code::StorageFull => break,
                outcome => outcome?,
            }
            if !is_cut {
                break;
            }
            has_given = true;
        }
        Ok(has_given)
    }

    /// Cuts the log, and moves what is in the journal in batches so small that the log of each has room.
    pub fn take_in(&self, room: &Room<'_>) -> Result<()> {
        self.journaling.set_stuck(true);
        self.cut_log(room, PATIENCE)?;
        if let Some(journal) = self.journal()? {
            while journal.end().is_some() {
                let before = journal.head();
                let batch = || self.write_as(Wait::Yes, Alone::Least, |_| Ok(()));
                match batch() {
                    Err(why) if why.code() == Code::StorageFull => {
                        self.cut_log(room, PATIENCE)?; // a batch that failed has taken all that there was
                        room.offer();
                        batch()?;
                    }
                    outcome => outcome?,
                }
                self.cut_log(room, PATIENCE)?;
                if journal.head() == before {
                    break; // its positions are damaged
                }
            }
        }
        self.journaling.set_stuck(self.journaling.is_filled());
        Ok(())
    }

    /// Waits so long for others who use the log; who stays for longer keeps it.
    fn cut_log(&self, room: &Room<'_>, patience: Duration) -> Result<bool> {
        let cut = || insist(patience, || self.copy_log_as_is(&*self.primary(Wait::Yes)?, Some(LogEnd::Cut)));
        let is_cut = match cut() {
            Err(why) if why.code() == Code::StorageFull => {
                self.copy_in_reserve(room)?;
                cut()?
            }
            outcome => outcome?,
        };
        if is_cut {
            room.taken_in();
            self.log.grew(0);
        }
        Ok(is_cut)
    }

    /// Copies the log while nobody writes, with the room that was kept for it.
    pub fn copy_in_reserve(&self, room: &Room<'_>) -> Result<()> {
        room.offer();
        let db = self.primary(Wait::Yes)?;
        let _nobody_writes = patiently(self.lock_timeout, || db.begin())?;
        self.release_queries()?; // what they read would stay in the log
        self.reserve.give_offered();
        self.copy_log_as_is(&self.connect()?, None).map(|_| ())
    }

    /// Removals for which there was no room: what has no room in the journal stays there, or goes with all. Then the files of values go
    /// before their rows: a kill in between leaves misses. Waits so long for others who read the log.
    pub fn apply_on_full_disk(&self, writes: &[Write<'_>], patience: Duration) -> Result<Vec<Written>> {
        let room = self.reserve.room();
        let clears = writes.iter().any(|write| matches!(write, Write::Clear));
        let alone = if clears { Alone::Clearing } else { Alone::Beside };
        let retry = || self.apply_once(writes, Wait::Yes, alone);
        let taken_in = if clears { self.cut_log(&room, PATIENCE).map(drop) } else { self.take_in(&room) };
        if !clears && writes.iter().any(|write| matches!(write, Write::InvalidateTags { .. })) {
            taken_in?; // what is pending may have replaced what has the tag
        }
        room.offer_all();
        let mut retried = retry();
        if retried.is_err() && clears {
            self.blobs.remove(&self.read_holding(false, Db::entry_files)?);
            retried = retry();
        }
        if retried.is_err() {
            // What failed has taken all room for the log, which others may be reading.
            retried = self.cut_log(&room, patience).and_then(|_| retry());
        }
        let _ = self.cut_log(&room, PATIENCE); // so that the next one finds a reserve
        retried
    }
}

//! Sets into the journal, and out of it into the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::db::{Db, Durability, LogEnd};
use super::engine::{Alone, Engine};
use super::journal::{Journal, Pending};
use super::meta::Transaction;
use super::options::Options;
use super::row::{EntryRow, Place};
use super::victims::Scene;
use super::write::{Progress, Ready, Written};
use super::{Wait, lock};
use crate::error::{Code, Error, Result};
use crate::frame::Header;

/// Bytes of a journal, and the share of a bound that it may take.
const LARGEST: u64 = 4 << 20;
const SMALLEST: u64 = 256 << 10;
const SHARE: u64 = 64;
/// What one transaction applies in the background: a writer beside it waits for so long.
const BATCH: u64 = 1 << 20;
/// What a thread that must not wait applies.
const AT_ONCE: u64 = 64 << 10;
/// How long the background waits for more, in so many looks.
const PAUSE: (Duration, u32) = (Duration::from_millis(2), 10);

/// What this handle has of the journal.
#[derive(Debug)]
pub(super) struct Journaling {
    mapped: OnceLock<Journal>,
    making: Mutex<()>,
    /// Bytes of one that is made; `None` where this handle adds nothing to one.
    capacity: Option<u64>,
    /// It could not be made.
    off: AtomicBool,
    /// What is in it could not be moved.
    stuck: AtomicBool,
}

impl Journaling {
    /// `shared`: whether all who use the directory know of journals.
    pub fn new(options: &Options, shared: bool) -> Self {
        let share = options.max_size.map_or(u64::MAX, |limit| limit / SHARE) & !0xffff;
        // A bound on entries is exact after each write.
        let adds = cfg!(unix) && options.journal && shared && options.durability == Durability::Process && options.max.is_none();
        let capacity = Some(share.min(LARGEST)).filter(|bytes| adds && *bytes >= SMALLEST);
        Self {
            mapped: OnceLock::new(),
            making: Mutex::default(),
            capacity,
            off: AtomicBool::default(),
            stuck: AtomicBool::default(),
        }
    }

    /// Whether this handle adds to it.
    pub fn adds(&self) -> bool {
        self.capacity.is_some()
    }

    /// Whether something is in it.
    pub fn is_filled(&self) -> bool {
        self.mapped.get().is_some_and(|journal| journal.end().is_some())
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> u64 {
        self.mapped.get().map_or(0, Journal::bytes)
    }
}

/// What a transaction has moved out of the journal.
#[derive(Debug, Default)]
pub(super) struct Absorbed {
    upto: Option<u64>,
    condemned: Vec<u64>,
    is_cut: bool,
    /// Somebody was killed between a commit and saying so.
    was_late: bool,
}

impl Db {
    /// Up to which position the journal is in the database.
    pub fn applied(&self) -> Result<u64> {
        let value =
            self.one("SELECT value FROM facts WHERE name = 'journal'", [], |row| row.get::<_, i64>(0))?;
        Ok(value.unwrap_or(0) as u64)
    }
}

impl Transaction<'_> {
    fn keep_applied(&self, upto: u64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO facts (name, value) VALUES ('journal', ?1)";
        self.db.change(sql, [upto as i64]).map(|_| ())
    }
}

impl Engine {
    /// The directory's journal, where there is one.
    pub fn journal(&self) -> Result<Option<&Journal>> {
        match self.journaling.mapped.get() {
            Some(journal) => Ok(Some(journal)),
            None if self.epochs.journaled().load(Ordering::Acquire) == 0 => Ok(None),
            None => self.map_journal(),
        }
    }

    fn map_journal(&self) -> Result<Option<&Journal>> {
        let _one = lock(&self.journaling.making);
        if self.journaling.mapped.get().is_none() {
            if !self.paths.journal.exists() {
                return Ok(None);
            }
            let applied = self.read_holding(false, Db::applied)?;
            let Some((journal, is_sound)) = Journal::open(&self.paths.journal, applied)? else {
                return self.remove_journal().map(|()| None);
            };
            if !is_sound {
                self.report(self.cut());
            }
            self.bound.uses(journal.bytes());
            let _ = self.journaling.mapped.set(journal);
        }
        Ok(self.journaling.mapped.get())
    }

    /// When the directory is opened: what somebody left in the journal goes into the database.
    pub fn recover_journal(&self) -> Result<()> {
        if self.paths.journal.exists() {
            self.epochs.journaled().store(1, Ordering::Release);
        }
        match self.settled() {
            // A full disk must not keep a cache from being opened and emptied; keys are found where they are.
            Err(why) if !matches!(why.code(), Code::StorageFull | Code::LockTimeout) => return Err(why),
            _ => {}
        }
        if lock(&self.unlinked).is_empty() {
            return Ok(());
        }
        self.drain() // as every transaction that moves something: forgets the files that have gone
    }

    /// The journal to add to; made where there is none.
    fn journal_to_add(&self) -> Result<Option<&Journal>> {
        let Some(capacity) = self.journaling.capacity else { return Ok(None) };
        if let Some(journal) = self.journal()? {
            return Ok(Some(journal));
        }
        if self.journaling.off.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.make_journal(capacity) {
            Ok(()) => self.journal(),
            Err(why) => {
                // Sets go to the database: for good, where nobody else is at it just now.
                self.journaling.off.store(why.code() != Code::LockTimeout, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    fn make_journal(&self, capacity: u64) -> Result<()> {
        let _lock = self.paths.lock(Duration::ZERO)?;
        if !self.paths.journal.exists() {
            Journal::create(&self.paths.journal, capacity, self.read_holding(false, Db::applied)?)?;
        }
        self.epochs.journaled().store(1, Ordering::Release);
        Ok(())
    }

    /// Removes a file that was cut: nobody can have it mapped. The next set makes another.
    fn remove_journal(&self) -> Result<()> {
        let _lock = self.paths.lock(self.lock_timeout)?;
        match std::fs::remove_file(&self.paths.journal) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.paths.journal, why))
            }
            _ => {
                self.report(self.cut());
                Ok(())
            }
        }
    }

    fn cut(&self) -> Error {
        let message = "the journal is damaged: the newest writes in it are lost";
        Error::new(Code::Corrupt, message).at(&self.paths.journal)
    }

    /// Adds plain sets to the journal. `None` where they have to go to the database.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] when it is full, or others write, on a thread that must not wait.
    pub fn append(&self, ready: &[Ready<'_>], wait: Wait) -> Result<Option<Vec<Written>>> {
        if self.journaling.capacity.is_none() || !ready.iter().all(Ready::is_plain) || ready.is_empty() {
            return Ok(None);
        }
        let Some(journal) = self.journal_to_add()? else { return Ok(None) };
        let parts = ready.iter().filter_map(Ready::parts);
        let parts = parts.map(|(key, frame)| Ok((self.keeping.stored_key(key)?, frame.len())));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let sizes = || parts.iter().map(|(key, frame)| key.len() + frame);
        if Journal::length_of(sizes()) > journal.longest() {
            return Ok(None);
        }
        let timeout = if wait == Wait::Yes { self.lock_timeout } else { Duration::ZERO };
        loop {
            if self.epochs.is_mending() || self.journaling.stuck.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let turn = journal.turn(timeout)?;
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

    /// As `announce_epochs`: the database stays as it is, and snapshots of it are good.
    fn announce_apart(&self, ready: &[Ready<'_>]) -> Vec<(u32, u32)> {
        let mut slots: Vec<u32> = ready.iter().filter_map(Ready::slot).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.into_iter().map(|slot| (slot, self.epochs.bump_apart(slot))).collect()
    }

    fn publish_apart(&self, ready: &[Ready<'_>], announced: &[(u32, u32)]) -> Vec<Written> {
        let moved: Vec<_> = announced
            .iter()
            .map(|(slot, before)| {
                let now = self.epochs.bump_apart(*slot);
                (*slot, Some(now).filter(|now| *now == before.wrapping_add(1)))
            })
            .collect();
        ready
            .iter()
            .map(|set| {
                set.written(|slot| {
                    let found = moved.binary_search_by_key(&slot, |(slot, _)| *slot);
                    found.ok().and_then(|at| moved[at].1)
                })
            })
            .collect()
    }

    /// Returns when all that was in the journal is in the database.
    pub fn settled(&self) -> Result<()> {
        let Some(journal) = self.journal()? else { return Ok(()) };
        let Some(end) = journal.end() else { return Ok(()) };
        while journal.head() < end && journal.end().is_some() {
            self.drain()?;
        }
        Ok(())
    }

    /// As [`Engine::settled`], on a thread that nobody waits for: also keeps the log short.
    pub fn settle_behind(&self) -> Result<()> {
        let Some(journal) = self.journal()? else { return Ok(()) };
        for _ in 0..PAUSE.1 {
            if journal.is_due() || self.closing.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(PAUSE.0);
        }
        while journal.end().is_some() {
            self.drain()?;
            if let Some(end) = self.log.is_due() {
                let db = self.connect()?;
                self.copy_log(&db, end)?;
                self.give_back(&db)?;
            }
            if !journal.is_due() {
                break;
            }
        }
        self.settled()
    }

    /// Moves a batch out of the journal. Where that fails, sets go to the database, whose error they get, until all of it
    /// is moved. On a full disk, a log that was cut leaves room for a small batch.
    fn drain(&self) -> Result<()> {
        let batch = || self.write_as(Wait::Yes, Alone::No, |_| Ok(()));
        let cut = || self.copy_log(&*self.primary(Wait::Yes)?, Some(LogEnd::Cut));
        if self.journaling.stuck.load(Ordering::Relaxed) {
            let _ = cut(); // before the log takes what the database needs
        }
        let outcome = match batch() {
            Err(why) if why.code() == Code::StorageFull => {
                self.journaling.stuck.store(true, Ordering::Relaxed);
                cut().and_then(|_| batch()).map_err(|_| why)
            }
            outcome => outcome,
        };
        if outcome.is_err() || !self.journaling.is_filled() {
            self.journaling.stuck.store(outcome.is_err(), Ordering::Relaxed);
        }
        outcome
    }

    /// Moves what is pending into the transaction.
    pub fn absorb(&self, transaction: &Transaction<'_>, wait: Wait, alone: Alone) -> Result<Absorbed> {
        let Some(journal) = self.journal()? else { return Ok(Absorbed::default()) };
        if alone == Alone::No {
            self.forget_unlinked(transaction)?;
        }
        let pending = journal.pending();
        if pending == 0 {
            return Ok(Absorbed::default());
        }
        if alone == Alone::Clearing {
            let upto = journal.end();
            upto.map_or(Ok(()), |upto| transaction.keep_applied(upto))?;
            return Ok(Absorbed { upto, ..Absorbed::default() });
        }
        if wait == Wait::No && pending > AT_ONCE {
            return Err(Error::new(Code::LockTimeout, "what is in the journal has to be applied first"));
        }
        let most = match (alone, self.journaling.stuck.load(Ordering::Relaxed)) {
            (Alone::No, false) => BATCH,
            (Alone::No, true) => AT_ONCE,
            _ => u64::MAX,
        };
        let applied = transaction.db.applied()?;
        let Some(stretch) = journal.stretch(applied, most) else {
            return Ok(Absorbed::default());
        };
        let mut rows: Vec<_> = stretch.entries().collect();
        rows.sort_by_key(|pending| pending.row.id); // stable: of one key, the order in which they were set
        let scene = Scene::new(transaction, &self.accesses, &self.epochs, self.now(), wait);
        let mut progress = Progress::default();
        for Pending { row, noted } in rows {
            if let Ok(header) = Header::parse(row.frame) {
                self.place(scene, row, header, i64::from(noted), None, &mut progress)?;
            }
        }
        let condemned = self.leave(scene, progress)?;
        transaction.keep_applied(stretch.end)?;
        let was_late = applied > journal.head();
        Ok(Absorbed { upto: Some(stretch.end), condemned, is_cut: stretch.is_cut, was_late })
    }

    /// After the commit. Who sees the journal without an entry must not use an older snapshot.
    pub fn absorbed(&self, absorbed: &Absorbed) {
        let Some(upto) = absorbed.upto else { return };
        self.epochs.move_on();
        if let Some(journal) = self.journaling.mapped.get() {
            journal.advance(upto);
        }
        self.unlink(&absorbed.condemned);
        if absorbed.was_late {
            self.epochs.bump_all(); // until now, reads found what that transaction had removed
        }
        if absorbed.is_cut {
            self.report(self.cut());
        }
    }
}

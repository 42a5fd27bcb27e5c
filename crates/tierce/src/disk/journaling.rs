//! The journal of an open cache: how it is found, made, given its next life, and removed.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::db::Db;
use super::durability::Durability;
use super::engine::Engine;
use super::journal::{Facts, Journal, boot};
use super::options::Options;
use super::transact::Alone;
use super::{Wait, lock};
use crate::error::{Code, Error, Result};

/// Bytes of a journal, and the share of a bound that it may take.
const LARGEST: u64 = 2 << 20;
const SMALLEST: u64 = 256 << 10;
const SHARE: u64 = 64;

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
    /// A read met damage.
    suspicion: AtomicBool,
}

impl Journaling {
    pub fn new(options: &Options) -> Self {
        let share = options.max_size.map_or(u64::MAX, |limit| limit / SHARE) & !0xffff;
        // A bound on entries is exact after each write.
        let adds = cfg!(unix)
            && options.journal
            && options.durability == Durability::Process
            && options.max.is_none()
            && boot().is_some();
        Self {
            mapped: OnceLock::new(),
            making: Mutex::default(),
            capacity: Some(share.min(LARGEST)).filter(|bytes| adds && *bytes >= SMALLEST),
            off: AtomicBool::default(),
            stuck: AtomicBool::default(),
            suspicion: AtomicBool::default(),
        }
    }

    /// Whether this handle adds to one.
    pub fn adds(&self) -> bool {
        self.capacity.is_some()
    }

    /// The one that is mapped.
    pub fn mapped(&self) -> Option<&Journal> {
        self.mapped.get()
    }

    /// Whether something is in it, or it has to be mended.
    pub fn is_filled(&self) -> bool {
        self.mapped().is_some_and(|journal| journal.end().is_some() || !journal.is_sound())
    }

    /// Has what a read found damaged moved, or mended.
    pub fn suspect(&self) {
        self.suspicion.store(true, Ordering::Relaxed);
    }

    /// Whether a read met damage since that was last [taken up](Journaling::take_suspicion).
    pub fn is_suspected(&self) -> bool {
        self.suspicion.load(Ordering::Relaxed)
    }

    pub fn take_suspicion(&self) -> bool {
        self.suspicion.swap(false, Ordering::Relaxed)
    }

    /// Whether what is in it could not be moved: sets go to the database then, whose error they get.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> u64 {
        self.mapped().map_or(0, Journal::bytes)
    }
}

impl Engine {
    /// The directory's journal, where there is one. Not to be called with the connection that writes in hand: mends a database whose
    /// facts are damaged.
    pub fn journal(&self) -> Result<Option<&Journal>> {
        match self.journal_as_is() {
            Err(fault) if fault.code() == Code::Corrupt => {
                self.rebuild(&mut *self.primary(Wait::Yes)?, fault)?;
                self.journal_as_is()
            }
            outcome => outcome,
        }
    }

    /// As [`Engine::journal`], in a transaction too.
    pub fn journal_as_is(&self) -> Result<Option<&Journal>> {
        match self.journaling.mapped() {
            Some(journal) if journal.is_known() => Ok(Some(journal)),
            Some(journal) => {
                // Another handle has begun the next life; or the word for it is damaged.
                journal.meet(|| self.read_holding(false, Db::journal_facts).map(|facts| facts.life))?;
                Ok(Some(journal))
            }
            None if self.epochs.journaled().load(Ordering::Acquire) == 0 => Ok(None),
            None => self.map_journal(),
        }
    }

    fn map_journal(&self) -> Result<Option<&Journal>> {
        let _one = lock(&self.journaling.making);
        if self.journaling.mapped().is_none() {
            if !self.paths.journal.exists() {
                return Ok(None);
            }
            let Some(journal) = Journal::open(&self.paths.journal)? else {
                return self.remove_journal().map(|()| None);
            };
            if journal.vet(self.lock_timeout, || self.read_holding(false, Db::journal_facts))? {
                self.lost();
            }
            self.reserve.keep_for(journal.capacity());
            self.bound.uses(journal.bytes() + self.reserve.bytes_of_journal());
            let _ = self.journaling.mapped.set(journal);
        }
        Ok(self.journaling.mapped())
    }

    /// When the directory is opened: what somebody left in the journal goes into the database.
    pub fn recover_journal(&self) -> Result<()> {
        if self.paths.journal.exists() {
            self.epochs.journaled().store(1, Ordering::Release);
        }
        let recover = || match self.journal()? {
            Some(journal) if self.journaling.adds() => self.renew_journal(journal),
            _ => self.settled(),
        };
        match recover() {
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
    pub fn journal_to_add(&self, wait: Wait) -> Result<Option<&Journal>> {
        let Some(capacity) = self.journaling.capacity else { return Ok(None) };
        if let Some(journal) = self.journal()? {
            if !journal.is_current() {
                match self.renew_as(journal, wait) {
                    Err(why) if why.code() == Code::LockTimeout => return Err(why),
                    _ => {}
                }
            }
            return Ok(Some(journal).filter(|journal| journal.is_current()));
        }
        self.reserve.look(); // a small disk is not to lose room to one that nothing is added to
        if self.journaling.off.load(Ordering::Relaxed) || self.reserve.is_scarce() {
            return Ok(None);
        }
        match self.make_journal(capacity) {
            Ok(()) => self.journal_to_add(wait),
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
            if !self.reserve.keep_for(capacity) {
                return Err(Error::new(Code::StorageFull, "the disk has no room for a journal")
                    .at(&self.paths.journal));
            }
            Journal::create(&self.paths.journal, capacity)?;
        }
        self.epochs.journaled().store(1, Ordering::Release);
        Ok(())
    }

    /// Moves what is pending, and gives a journal of an earlier start of the machine, or a new one, its next life.
    fn renew_journal(&self, journal: &Journal) -> Result<()> {
        self.settled()?;
        if journal.is_current() { Ok(()) } else { self.renew_as(journal, Wait::Yes) }
    }

    fn renew_as(&self, journal: &Journal, wait: Wait) -> Result<()> {
        if wait == Wait::Yes {
            self.settled()?;
        }
        self.write_as(wait, Alone::Renewing, |_| Ok(()))?;
        match journal.is_current() {
            true => Ok(()),
            false => Err(journal.replaced()),
        }
    }

    /// Removes a file that was cut: nobody can have it mapped. The next set makes another.
    fn remove_journal(&self) -> Result<()> {
        let _lock = self.paths.lock(self.lock_timeout)?;
        match std::fs::remove_file(&self.paths.journal) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.paths.journal, why))
            }
            _ => {
                self.lost();
                Ok(())
            }
        }
    }

    /// In a transaction: sets right what the front of the journal says, where the database says otherwise. Gives what is pending.
    pub fn mended(&self, journal: &Journal, known: &Facts, wait: Wait, alone: Alone) -> Result<Range<u64>> {
        let timeout = if wait == Wait::Yes { self.lock_timeout } else { Duration::ZERO };
        let (is_lost, pending) = journal.mended(timeout, !alone.lets_add(), known)?;
        if is_lost {
            self.lost();
        }
        Ok(pending)
    }

    /// What was pending is lost, and what it replaced is back.
    pub fn lost(&self) {
        self.epochs.bump_all();
        let message =
            "the journal is damaged, or does not continue the database: the newest writes in it may be lost";
        self.report(Error::new(Code::Corrupt, message).at(&self.paths.journal));
    }
}

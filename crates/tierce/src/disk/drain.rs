//! What is in the journal into the database.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Wait;
use super::commit::Progress;
use super::db::{Db, Transaction};
use super::engine::Engine;
use super::journal::{Facts, Found, Journal, Pending, Stretch};
use super::row::EntryRow;
use super::transact::Alone;
use super::victims::Scene;
use crate::error::{Code, Error, Result};
use crate::frame::Header;
use crate::key::{Digest, Key};

/// What one transaction applies in the background: a writer beside it waits for so long, and all pages that it changes are in memory.
const BATCH: u64 = 512 << 10;
/// What a thread that must not wait applies.
const AT_ONCE: u64 = 64 << 10;
/// What a transaction applies where there is hardly any room: each row may be on a page of its own.
const SMALL: u64 = 16 << 10;
/// How long the background waits for more, in so many looks.
const PAUSE: (Duration, u32) = (Duration::from_millis(2), 10);

/// What a transaction has moved out of the journal.
#[derive(Debug, Default)]
pub(super) struct Absorbed {
    upto: Option<u64>,
    condemned: Vec<u64>,
    /// Slots of victims that no tag would find any more.
    untraced: Vec<u32>,
    is_cut: bool,
    /// The next life of the journal.
    life: Option<u64>,
}

impl Engine {
    /// Returns when all that was in the journal is in the database.
    pub fn settled(&self) -> Result<()> {
        let Some(journal) = self.journal()? else { return Ok(()) };
        if !journal.is_sound() {
            self.drain()?; // mends it
        }
        let Some(end) = journal.end() else { return Ok(()) };
        while journal.end().is_some() && journal.head().is_some_and(|head| head < end) {
            self.drain()?;
        }
        Ok(())
    }

    /// Reads by `plainly` what is there once the journal is in the database. On a full disk, in a transaction that is rolled back.
    pub fn reading<T, R: FnMut(&Db) -> Result<T>>(
        &self,
        mut run: R,
        plainly: impl FnOnce(R) -> Result<T>,
    ) -> Result<T> {
        match self.settled() {
            Ok(()) => plainly(run),
            Err(why) if why.code() == Code::StorageFull => {
                let mut found = None;
                let rolled_back = self.write_as(Wait::Yes, Alone::Yes, |transaction| {
                    transaction.db.sums.set(None); // those of what is committed, and then those of what is not
                    found = Some(run(transaction.db));
                    transaction.db.sums.set(None);
                    Err::<(), _>(Error::new(Code::StorageFull, "this is only read"))
                });
                found.unwrap_or_else(|| rolled_back.and(Err(why)))
            }
            Err(why) => Err(why),
        }
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
        while self.journaling.is_filled() {
            self.drain()?;
            if let Some(end) = self.log.is_due() {
                let db = self.connect()?;
                self.copy_log(Some(&db), end)?;
                self.give_back(&db)?;
            }
            if !journal.is_due() {
                break;
            }
        }
        self.settled()
    }

    /// Moves a batch out of the journal. Where that fails for want of room, sets go to the database, whose error they get,
    /// until all of it is moved.
    pub fn drain(&self) -> Result<()> {
        self.reserve.look();
        let mut outcome = match self.journaling.is_stuck() {
            true => self.take_in(&self.reserve.room()),
            false => self.write_as(Wait::Yes, Alone::No, |_| Ok(())),
        };
        if !self.journaling.is_stuck() && outcome.as_ref().is_err_and(|why| why.code() == Code::StorageFull) {
            outcome = self.take_in(&self.reserve.room());
        }
        match &outcome {
            Err(why) if why.code() == Code::LockTimeout => {}
            Err(_) => self.journaling.set_stuck(true),
            Ok(()) if self.journaling.is_filled() => {}
            Ok(()) => self.journaling.set_stuck(false),
        }
        outcome
    }

    /// Moves what is pending into the transaction.
    pub fn absorb(
        &self,
        transaction: &Transaction<'_>,
        journal: Option<&Journal>,
        wait: Wait,
        alone: Alone,
    ) -> Result<Absorbed> {
        let Some(journal) = journal else { return Ok(Absorbed::default()) };
        if alone.lets_add() {
            self.forget_unlinked(transaction)?;
        }
        let asks = alone == Alone::Renewing || journal.end().is_some() || !journal.is_sound();
        let known = if asks { transaction.db.journal_facts()? } else { Facts::default() };
        let span = if asks { self.mended(journal, &known, wait, alone)? } else { 0..0 };
        let pending = span.end - span.start;
        let renews = alone == Alone::Renewing && !journal.is_current();
        if alone == Alone::Beside || pending == 0 && !renews {
            if !alone.lets_add() && journal.is_current() {
                transaction.keep_turned(journal.turned())?;
            }
            return Ok(Absorbed::default());
        }
        if alone != Alone::Clearing && wait == Wait::No && pending > AT_ONCE {
            return Err(Error::new(Code::LockTimeout, "what is in the journal has to be applied first"));
        }
        let most = match alone {
            Alone::Clearing => 0,
            Alone::No => BATCH,
            Alone::Least => SMALL,
            _ => u64::MAX,
        };
        let mut absorbed = Absorbed::default();
        let end = if most > 0 && pending > 0 {
            let stretch = journal.stretch(known.applied, span.end, most);
            let applied = self.apply_stretch(transaction, journal, &stretch, wait)?;
            (absorbed.condemned, absorbed.untraced) = applied;
            self.epochs.bump_each(&absorbed.untraced);
            absorbed.is_cut = stretch.is_cut;
            stretch.end
        } else {
            span.end
        };
        absorbed.upto = Some(end);
        absorbed.life = renews.then(|| super::owner::random() | 1);
        if known.called_off > 0 {
            transaction.forget_called_off(if renews { u64::MAX } else { end })?;
        }
        let life = absorbed.life.unwrap_or(known.life);
        transaction.keep_journal(Facts { life, applied: end, turned: journal.turned(), called_off: 0 })?;
        Ok(absorbed)
    }

    fn apply_stretch(
        &self,
        transaction: &Transaction<'_>,
        journal: &Journal,
        stretch: &Stretch,
        wait: Wait,
    ) -> Result<(Vec<u64>, Vec<u32>)> {
        let mut rows: Vec<_> = stretch.entries().collect();
        rows.sort_by_key(|(_, pending)| pending.row.id); // stable: of one key, the order in which they were set
        let scene = Scene::new(transaction, &self.accesses, &self.epochs, self.now(), wait);
        let mut progress = Progress::default();
        for (at, Pending { row, noted }) in rows {
            if self.is_called_off(transaction.db, journal, row.id, at)? {
                continue;
            }
            if let Ok(header) = Header::parse(row.frame) {
                self.place(scene, row, header, i64::from(noted), None, &mut progress)?;
            }
        }
        self.leave(scene, progress)
    }

    /// Whether the pending entry at this position was removed on a full disk, by a transaction that moved nothing.
    pub fn is_called_off(&self, db: &Db, journal: &Journal, id: i64, at: u64) -> Result<bool> {
        Ok(journal.may_be_called_off(at) && at < db.called_off(id)?)
    }

    /// After the commit. Who sees the journal without an entry must not use an older snapshot.
    pub fn absorbed(&self, absorbed: &Absorbed) -> Result<()> {
        let (Some(upto), Some(journal)) = (absorbed.upto, self.journaling.mapped()) else { return Ok(()) };
        self.epochs.move_on();
        journal.advance(upto);
        self.epochs.bump_each(&absorbed.untraced);
        self.unlink(&absorbed.condemned);
        if absorbed.is_cut {
            self.lost();
        }
        absorbed.life.map_or(Ok(()), |life| journal.begin_life(life))
    }

    /// On a full disk: what is pending of a key is never applied. Gives whether a live value was pending; `None` where nothing was.
    pub fn call_off(
        &self,
        transaction: &Transaction<'_>,
        key: &Key<'_>,
        digest: Digest,
        now: u64,
    ) -> Result<Option<bool>> {
        let Some(journal) = self.journaling.mapped() else { return Ok(None) };
        let look = |row: EntryRow<'_>, at| (at, self.keeping.is_of(row.key, key) && row.is_live(now));
        let is_live = match journal.find(digest.id(), look) {
            Found::Nothing => return Ok(None),
            Found::Damaged => false,
            Found::Entry((at, _)) if self.is_called_off(transaction.db, journal, digest.id(), at)? => {
                return Ok(None);
            }
            Found::Entry((_, is_live)) => is_live,
        };
        let tail = journal.tail()?;
        journal.calls_off(tail);
        transaction.call_off(digest.id(), tail)?;
        Ok(Some(is_live))
    }
}

//! What the database says of its journal, and how the words at the front are made to agree with it.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Journal;
use super::ring::{LAST, boot};
use crate::error::{Error, Result};

/// What the database can keep of the count of turns, which has no check at the front of the journal.
pub const TURNS: u64 = LAST / 8;

/// What a database says of its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The life of the ring; 0 for none.
    pub life: u64,
    /// All before this position is in the database.
    pub applied: u64,
    /// Transactions that had done more than that, when this was written: all of them are in the database.
    pub turned: u64,
    /// Some entries before this position may be called off.
    pub called_off: u64,
}

impl Journal {
    /// What a database that is made anew in the place of a damaged one is to say of the journal in `path`: all that is pending goes on, but for
    /// what comes before a deletion that nobody remembers any more.
    pub fn claims(path: &Path) -> Option<Facts> {
        let ring = Self::open(path).ok()??.ring;
        let span = ring.span()?;
        let facts = Facts {
            life: ring.life(),
            applied: ring.called_off().unwrap_or(span.end).clamp(span.start, span.end),
            turned: ring.turned().load(Ordering::Acquire) % TURNS,
            called_off: 0,
        };
        (ring.is_stamped() && facts.life != 0).then_some(facts)
    }

    /// Once the database says so: what comes before is not pending.
    pub fn give_up(path: &Path, applied: u64) {
        if let Ok(Some(journal)) = Self::open(path) {
            journal.advance(applied);
        }
    }

    /// Makes sure that what is pending continues what the database has. `facts` asks it. True where something is lost: because the
    /// journal is damaged, or is another directory's, or because a power cut took commits of the database, on which the newest records stand.
    pub fn vet(&self, timeout: Duration, facts: impl Fn() -> Result<Facts>) -> Result<bool> {
        let look = || {
            let head = self.ring.head(); // first: the database can only be further
            facts().map(|facts| (self.agrees(head, &facts).filter(|_| self.is_current()), facts))
        };
        if look()?.0.is_some() {
            return Ok(false);
        }
        let _turn = self.turn(timeout)?;
        let (sound, facts) = look()?;
        Ok(sound.is_none() && self.mend(&facts, facts.turned).0)
    }

    /// What is pending, if it is the one that the database knows, and has lost nothing. `head` is of before the database was asked.
    fn agrees(&self, head: Option<u64>, facts: &Facts) -> Option<Range<u64>> {
        self.meet(|| Ok(facts.life)).ok()?;
        let span = self.ring.span().filter(|_| self.ring.life() == facts.life && self.ring.is_stamped())?;
        (head? <= facts.applied && facts.applied <= span.end).then_some(span)
    }

    /// Believes the life that the database says, if it is this one, and no thread has met a later one meanwhile.
    pub fn meet(&self, life: impl FnOnce() -> Result<u64>) -> Result<()> {
        let before = self.known.load(Ordering::Acquire);
        let life = life()?;
        if self.ring.life() == life {
            let _ = self.known.compare_exchange(before, life, Ordering::AcqRel, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The life that the database was last heard to say.
    pub(super) fn life(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    /// Whether it is the one at the front.
    pub fn is_known(&self) -> bool {
        self.ring.life() == self.life()
    }

    /// Whether the words at the front can be believed.
    pub fn is_sound(&self) -> bool {
        self.is_known() && self.ring.is_stamped() && self.ring.span().is_some()
    }

    /// With the database's write lock: mends what contradicts the database, or itself. Gives whether something is lost, or may be, and what
    /// is pending.
    pub fn mended(&self, timeout: Duration, has_turn: bool, facts: &Facts) -> Result<(bool, Range<u64>)> {
        let sound = || self.agrees(self.ring.head(), facts).map(|span| (false, span));
        if let Some(sound) = sound() {
            return Ok(sound);
        }
        let _turn = if has_turn { None } else { Some(self.turn(timeout)?) };
        Ok(sound().unwrap_or_else(|| self.mend(facts, u64::MAX)))
    }

    /// Makes the words at the front what the database says: pending is what follows, as an unbroken row of records that verify and
    /// stand on no more than `turned` transactions. Nothing is added before the next life. With the turn. Gives what
    /// [`Journal::mended`] does.
    fn mend(&self, facts: &Facts, turned: u64) -> (bool, Range<u64>) {
        let is_ours = self.ring.life() == facts.life;
        let claimed = self.ring.span().filter(|span| is_ours || span.is_empty());
        self.known.store(facts.life, Ordering::Release);
        self.ring.end_life(facts.life);
        let start = (facts.applied % LAST) & !7;
        let end = match facts.life {
            0 => start,
            _ => self.walk(start, start + self.ring.capacity, u64::MAX, turned).end,
        };
        self.ring.turned().fetch_max(facts.turned, Ordering::AcqRel);
        self.ring.set_called_off(facts.called_off);
        self.ring.set_span(start..end);
        (claimed.is_none_or(|span| span.end > end && !span.is_empty()), start..end)
    }

    /// Whether records may be added.
    pub fn is_current(&self) -> bool {
        boot() == Some(self.ring.boot().load(Ordering::Acquire)) && self.is_sound()
    }

    /// After the commit by which the database knows it as `life`. With the turn, while nothing is pending.
    pub fn begin_life(&self, life: u64) -> Result<()> {
        let Some(boot) = boot() else { return Ok(()) };
        self.known.store(life, Ordering::Release);
        self.ring.begin_life(&self.file, life, boot).map_err(|why| Error::io("write", &self.path, why))
    }
}

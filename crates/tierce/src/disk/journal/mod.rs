//! A journal in front of the database, in memory that all processes share: a set is done when it is in here.
//!
//! `tierce.journal` is mapped by every open cache of a directory where somebody has set something. A plain small set adds a
//! record, which survives a kill of any process as the mapped pages are the system's, and which every process sees at once. Reads of keys
//! look here first. Every write transaction moves what is pending into the database before it does anything else, and the
//! maintenance thread does so in the background, a batch a transaction. Each such transaction keeps the position up to which the
//! journal is in the database: what a kill leaves behind is never applied twice.
//!
//! A power cut may take back commits of the database, and leaves of each page of this file any of its states. So what is
//! pending is looked through when the machine has started since ([`Journal::vet`]), and only a sound continuation of what the database has counts.

mod index;
mod record;
mod ring;

use std::fs::{File, OpenOptions, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::{lock, patiently};
use crate::error::{Code, Error, Result};
use index::Index;
pub(super) use record::Pending;
use record::RECORD;
#[cfg(fuzzing)]
pub(crate) use record::fuzz;
use ring::Ring;
pub(super) use ring::{LAST, boot, coded, decoded};

/// Times that a call which must not wait looks whether it is its turn.
const LOOKS: usize = 32;

/// What the database can keep of the count of turns, which has no check at the front of the journal.
pub(super) const TURNS: u64 = LAST / 8;

/// A mapped journal.
#[derive(Debug)]
pub(super) struct Journal {
    ring: Ring,
    file: File,
    path: PathBuf,
    place: (u64, u64),
    /// Its life, as the database says.
    known: AtomicU64,
    /// Threads of this handle; the lock of the file is between handles.
    threads: Mutex<()>,
    index: Mutex<Index>,
}

/// What a database says of its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The life of the ring; 0 for none.
    pub life: u64,
    /// All before this position is in the database.
    pub applied: u64,
    /// Transactions that had done more than that, when this was written: all of them are in the database.
    pub turned: u64,
    /// Some entries before this position may be called off.
    pub called_off: u64,
}

/// The right to add to a journal, or to keep others from it. The system takes it back from who dies.
pub(super) struct Turn<'a> {
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

/// What the journal has of a row.
pub(super) enum Found<T> {
    Nothing,
    Damaged,
    Entry(T),
}

/// What there is to apply.
pub(super) struct Stretch {
    /// Whole records, one after the other.
    bytes: Vec<u8>,
    /// Where in `bytes` each is, and its position.
    records: Vec<(Range<usize>, u64)>,
    /// Where the next one begins.
    pub end: u64,
    /// A record did not verify: it and what is behind it are lost.
    pub is_cut: bool,
}

impl Stretch {
    /// The entries in the order in which they were set, with their positions.
    pub fn entries(&self) -> impl Iterator<Item = (u64, Pending<'_>)> {
        let records = self.records.iter().map(|(range, at)| (&self.bytes[range.clone()], at));
        records
            .flat_map(|(record, at)| record::entries(record).map(move |(from, pending)| (at + from, pending)))
    }
}

fn place(path: &Path) -> std::io::Result<(u64, u64)> {
    let about = std::fs::metadata(path)?;
    #[cfg(unix)]
    return Ok({
        use std::os::unix::fs::MetadataExt as _;
        (about.dev(), about.ino())
    });
    #[cfg(not(unix))]
    return Ok((0, about.len()));
}

impl Journal {
    /// Maps the journal of a directory, which is then to be [vetted](Journal::vet). `None` for what has not the length of one.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let failed = |why| Error::io("map", path, why);
        let mut options = OpenOptions::new();
        #[cfg(unix)] // nobody can plant a link to another file, which would be written to
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        let file = options.read(true).write(true).open(path).map_err(failed)?;
        let Some(ring) = Ring::map(&file).map_err(failed)? else { return Ok(None) };
        Ok(Some(Self {
            ring,
            file,
            path: path.to_owned(),
            place: place(path).map_err(failed)?,
            known: AtomicU64::new(0),
            threads: Mutex::default(),
            index: Mutex::default(),
        }))
    }

    /// Makes the file whole before it has its name. Nothing is added to it before its first [life](Journal::begin_life).
    pub fn create(path: &Path, capacity: u64) -> Result<()> {
        let early = path.with_extension("journal-new");
        let _ = std::fs::remove_file(&early); // of somebody who was killed
        Ring::create(&early, capacity).and_then(|()| std::fs::rename(&early, path)).map_err(|why| {
            let _ = std::fs::remove_file(&early);
            Error::io("make", path, why)
        })
    }

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
    fn life(&self) -> u64 {
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
        self.ring.begin_life(life, boot).map_err(|why| Error::io("write", &self.path, why))
    }

    /// Bytes of a record of sets, of each given the bytes of key and frame.
    pub fn length_of(sizes: impl Iterator<Item = usize>) -> u64 {
        record::length_of(sizes) as u64
    }

    /// Bytes that it holds.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.ring.capacity + ring::HEAD
    }

    /// What a record may take at most: a longer one goes to the database.
    pub fn longest(&self) -> u64 {
        self.ring.capacity / 2
    }

    /// Bytes that are pending.
    pub fn pending(&self) -> u64 {
        self.ring.span().map_or(0, |span| span.end - span.start)
    }

    /// Where what is pending ends. `None` where nothing is.
    pub fn end(&self) -> Option<u64> {
        self.ring.span().filter(|span| !span.is_empty()).map(|span| span.end)
    }

    /// Where the next record is added.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] where a word is damaged: whoever tries again mends it.
    pub fn tail(&self) -> Result<u64> {
        let damaged = || Error::new(Code::LockTimeout, "the journal has to be mended first").at(&self.path);
        self.ring.span().map(|span| span.end).ok_or_else(damaged)
    }

    /// Up to where all is in the database; `None` where the word is damaged.
    pub fn head(&self) -> Option<u64> {
        self.ring.head()
    }

    /// Transactions that did more than apply what was pending.
    pub fn turned(&self) -> u64 {
        self.ring.turned().load(Ordering::Acquire) % TURNS
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

    /// Whether the database has to be asked whether the entry at this position is called off.
    pub fn may_be_called_off(&self, at: u64) -> bool {
        self.ring.called_off().is_none_or(|end| at < end)
    }

    /// Entries before this position are called off, once the database says so. With the database's write lock, before the commit.
    pub fn calls_off(&self, end: u64) {
        if self.ring.called_off().is_none_or(|before| before < end) {
            self.ring.set_called_off(end);
        }
    }

    /// Whether a quarter of it is pending.
    pub fn is_due(&self) -> bool {
        self.pending() >= self.ring.capacity / 4
    }

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

    /// Fails when the file under the path is no longer the one that is mapped: records would go nowhere.
    fn check_place(&self) -> Result<()> {
        if place(&self.path).is_ok_and(|place| place == self.place) { Ok(()) } else { Err(self.replaced()) }
    }

    /// The file is not the one that is mapped.
    pub fn replaced(&self) -> Error {
        let message =
            format!("{} was deleted or replaced while it was open: open it again", self.path.display());
        Error::new(Code::Unavailable, message).at(&self.path)
    }

    /// Adds rows as one record; `make` makes them when nothing can fail any more. `None` where there is no room.
    pub fn append<'r, T>(
        &self,
        _turn: &Turn<'_>,
        sizes: impl Iterator<Item = usize>,
        make: impl FnOnce() -> (Vec<Pending<'r>>, T),
    ) -> Result<Option<T>> {
        let length = record::length_of(sizes) as u64;
        let Some(span) = self.ring.span() else { return Ok(None) };
        let straight = self.ring.straight(span.end);
        let skipped = if straight < length { straight } else { 0 };
        if span.end + skipped + length - span.start > self.ring.capacity {
            return Ok(None);
        }
        self.check_place()?;
        let life = self.life();
        let (rows, made) = make();
        if skipped >= RECORD as u64 {
            self.ring.write(span.end, &record::filler(life, span.end, skipped));
        }
        let at = span.end + skipped;
        let mut record = Vec::with_capacity(length as usize);
        record.resize(RECORD, 0);
        let mut places = Vec::with_capacity(rows.len());
        for pending in &rows {
            places.push((pending.row.id, at + record.len() as u64));
            record::put(&mut record, *pending);
        }
        record::seal(&mut record, life, at, rows.len(), self.turned());
        self.ring.write(at, &record);
        let end = at + record.len() as u64;
        self.ring.publish(end);
        self.know(&span, places, end);
        Ok(Some(made))
    }

    /// Adds the record at `at`, verified, to `into`, and gives where the next one is. `None` where it does not verify.
    fn record(&self, at: u64, end: u64, into: &mut Vec<u8>) -> Option<u64> {
        let (life, whole) = (self.life(), self.ring.straight(at));
        let straight = whole.min(end - at);
        if whole < RECORD as u64 {
            return Some(at + whole);
        }
        if straight < RECORD as u64 {
            return None;
        }
        let start = into.len();
        self.ring.copy(at, RECORD as u64, into);
        if let Some(skipped) = record::skipped(&into[start..], life, at) {
            into.truncate(start);
            return (skipped == whole).then_some(at + skipped);
        }
        let claimed = record::claimed(&into[start..], at);
        if let Some(length) = claimed.filter(|length| *length <= straight.min(self.longest())) {
            self.ring.copy(at + RECORD as u64, length - RECORD as u64, into);
            if record::is_sound(&into[start..], life) {
                return Some(at + length);
            }
        }
        into.truncate(start);
        None
    }

    /// What is pending from `applied` to `end`, up to about `most` bytes. With the database's write lock, as only who has it
    /// gives places up.
    pub fn stretch(&self, applied: u64, end: u64, most: u64) -> Stretch {
        let mut stretch = self.walk(applied, end, most, u64::MAX);
        if stretch.is_cut {
            stretch.end = end; // what is behind may stand on what is lost
        }
        stretch
    }

    /// The sound records from `at` on, of those that stand on no more than `turned` transactions.
    fn walk(&self, mut at: u64, end: u64, most: u64, turned: u64) -> Stretch {
        let mut stretch = Stretch { bytes: Vec::new(), records: Vec::new(), end: at, is_cut: false };
        while at < end && (stretch.bytes.len() as u64) < most {
            let from = stretch.bytes.len();
            let next = self.record(at, end, &mut stretch.bytes);
            let record = from..stretch.bytes.len();
            match next
                .filter(|_| record.is_empty() || record::turned(&stretch.bytes[record.clone()]) <= turned)
            {
                Some(next) => {
                    if !record.is_empty() {
                        stretch.records.push((record, at));
                    }
                    at = next;
                }
                None => {
                    stretch.is_cut = true;
                    break;
                }
            }
        }
        stretch.end = at;
        stretch
    }

    /// After the commit that brought all before `head` into the database.
    pub fn advance(&self, head: u64) {
        self.ring.advance(head);
    }
}

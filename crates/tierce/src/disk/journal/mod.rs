//! A journal in front of the database, in memory that all processes share: a set is done when it is in here.
//!
//! `tierce.journal` is mapped by every open cache of a directory where somebody has set something. A plain small set adds a
//! record, which survives a kill of any process as the mapped pages are the system's, and which every process sees at once. Reads of keys
//! look here first. Every write transaction moves what is pending into the database before it does anything else, and the
//! maintenance thread does so in the background, a batch a transaction. Each such transaction keeps the position up to which the
//! journal is in the database: what a kill leaves behind is never applied twice.

mod record;
mod ring;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::row::EntryRow;
use super::{lock, patiently};
use crate::error::{Code, Error, Result};
pub(super) use record::Pending;
use record::{ENTRY, RECORD};
use ring::Ring;

/// Times that a call which must not wait looks whether it is its turn.
const LOOKS: usize = 32;

/// A mapped journal.
#[derive(Debug)]
pub(super) struct Journal {
    ring: Ring,
    file: File,
    path: PathBuf,
    place: (u64, u64),
    /// Threads of this handle; the lock of the file is between handles.
    threads: Mutex<()>,
    index: Mutex<Index>,
}

/// Where the newest pending entry of each row is, as far as was looked.
#[derive(Debug, Default)]
struct Index {
    seen: u64,
    entries: HashMap<i64, u64>,
    /// Nothing before this is in `entries`.
    pruned: u64,
}

/// The right to add to a journal, or to keep others from it. The system takes it back from who dies.
pub(super) struct Turn<'a> {
    journal: &'a Journal,
    _threads: MutexGuard<'a, ()>,
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
    pub bytes: Vec<u8>,
    records: Vec<std::ops::Range<usize>>,
    /// Where the next one begins.
    pub end: u64,
    /// A record did not verify: it and what is behind it are lost.
    pub is_cut: bool,
}

impl Stretch {
    /// The entries in the order in which they were set.
    pub fn entries(&self) -> impl Iterator<Item = Pending<'_>> {
        let records = self.records.iter().map(|range| &self.bytes[range.clone()]);
        records.flat_map(|record| record::entries(record).map(|(_, pending)| pending))
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
    /// Maps the journal of a directory. `applied` is what its database says.
    /// Gives it, and whether its head was sound: where it was not, what was pending is lost. `None` for what has not the length of one.
    pub fn open(path: &Path, applied: u64) -> Result<Option<(Self, bool)>> {
        let failed = |why| Error::io("map", path, why);
        let mut options = OpenOptions::new();
        #[cfg(unix)] // nobody can plant a link to another file, which would be written to
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        let file = options.read(true).write(true).open(path).map_err(failed)?;
        let Some(ring) = Ring::map(&file).map_err(failed)? else { return Ok(None) };
        let place = place(path).map_err(failed)?;
        let journal = Self {
            ring,
            file,
            path: path.to_owned(),
            place,
            threads: Mutex::default(),
            index: Mutex::default(),
        };
        // Damaged, another directory's, or older than the database: nothing in it is pending.
        let is_sound = || journal.ring.is_stamped() && journal.ring.span().is_some();
        let is_usable = || is_sound() && journal.ring.span().is_some_and(|span| span.end >= applied);
        let was_sound = is_sound();
        if !is_usable() {
            let _turn = journal.turn(Duration::from_secs(1))?;
            if !is_usable() {
                journal.ring.restart(applied.next_multiple_of(8));
            }
        }
        Ok(Some((journal, was_sound)))
    }

    /// Makes the file whole before it has its name.
    pub fn create(path: &Path, capacity: u64, applied: u64) -> Result<()> {
        let early = path.with_extension("journal-new");
        let failed = |why| Error::io("make", path, why);
        let _ = std::fs::remove_file(&early); // of somebody who was killed
        Ring::create(&early, capacity, applied.next_multiple_of(8))
            .and_then(|()| std::fs::rename(&early, path))
            .map_err(|why| {
                let _ = std::fs::remove_file(&early);
                failed(why)
            })
    }

    /// Bytes of a record of sets, of each given the bytes of key and frame.
    pub fn length_of(sizes: impl Iterator<Item = usize>) -> u64 {
        record::length_of(sizes) as u64
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

    /// Up to where all is in the database.
    pub fn head(&self) -> u64 {
        self.ring.head()
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
        if place(&self.path).is_ok_and(|place| place == self.place) {
            return Ok(());
        }
        let message =
            format!("{} was deleted or replaced while it was open: open it again", self.path.display());
        Err(Error::new(Code::Unavailable, message).at(&self.path))
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
        let (rows, made) = make();
        if skipped >= RECORD as u64 {
            let mut filler = vec![0; RECORD];
            record::seal_filler(&mut filler, span.end, skipped);
            self.ring.write(span.end, &filler);
        }
        let at = span.end + skipped;
        let mut record = Vec::with_capacity(length as usize);
        record.resize(RECORD, 0);
        let mut places = Vec::with_capacity(rows.len());
        for pending in &rows {
            places.push((pending.row.id, at + record.len() as u64));
            record::put(&mut record, *pending);
        }
        record::seal(&mut record, at, rows.len());
        self.ring.write(at, &record);
        let end = at + record.len() as u64;
        self.ring.publish(end);
        self.know(span.start, span.end, places, end);
        Ok(Some(made))
    }

    /// Adds what this handle wrote to what it knows, if it knows all before it.
    fn know(&self, head: u64, from: u64, places: Vec<(i64, u64)>, end: u64) {
        let mut index = lock(&self.index);
        if index.seen == from || from == head {
            index.entries.extend(places);
            index.seen = end;
        }
        self.prune(&mut index, head);
    }

    fn prune(&self, index: &mut Index, head: u64) {
        if head < index.pruned || head - index.pruned > self.ring.capacity / 8 {
            index.entries.retain(|_, at| *at >= head);
            index.pruned = head;
        }
    }

    /// The newest pending entry of a row.
    pub fn find<T>(&self, id: i64, read: impl FnOnce(EntryRow<'_>) -> T) -> Found<T> {
        let Some(span) = self.ring.span().filter(|span| !span.is_empty()) else { return Found::Nothing };
        let at = {
            let mut index = lock(&self.index);
            self.catch_up(&mut index, &span);
            index.entries.get(&id).copied()
        };
        let Some(at) = at.filter(|at| *at >= span.start) else { return Found::Nothing };
        let mut bytes = Vec::new();
        let whole = self.copy_entry(at, &mut bytes);
        if self.ring.head() > at {
            return Found::Nothing; // in the database by now
        }
        match record::entry(&bytes).filter(|pending| whole && pending.row.id == id) {
            Some(pending) => Found::Entry(read(pending.row)),
            None => Found::Damaged,
        }
    }

    fn copy_entry(&self, at: u64, bytes: &mut Vec<u8>) -> bool {
        let straight = self.ring.straight(at);
        if straight < ENTRY as u64 || !self.ring.copy(at, ENTRY as u64, bytes) {
            return false;
        }
        let Some(length) = record::entry_length(bytes).map(|length| length as u64) else { return false };
        let rest = length - ENTRY as u64;
        length <= straight.min(self.longest()) && self.ring.copy(at + ENTRY as u64, rest, bytes)
    }

    /// Looks at the records that others have added.
    fn catch_up(&self, index: &mut Index, span: &std::ops::Range<u64>) {
        if index.seen >= span.end {
            return;
        }
        let mut at = index.seen.max(span.start);
        let mut bytes = Vec::new();
        while at < span.end {
            bytes.clear();
            match self.record(at, span.end, &mut bytes) {
                Some(next) => {
                    let entries = record::entries(&bytes);
                    index.entries.extend(entries.map(|(from, pending)| (pending.row.id, at + from)));
                    at = next;
                }
                None => {
                    // Given up meanwhile: what is behind is still to be seen. Or cut: whoever applies it tells.
                    let head = self.ring.head();
                    at = if head > at { head } else { span.end };
                }
            }
        }
        index.seen = span.end;
        self.prune(index, span.start);
    }

    /// Adds the record at `at`, verified, to `into`, and gives where the next one is. `None` where it does not verify.
    fn record(&self, at: u64, end: u64, into: &mut Vec<u8>) -> Option<u64> {
        let straight = self.ring.straight(at).min(end - at);
        if self.ring.straight(at) < RECORD as u64 {
            return Some(at + self.ring.straight(at));
        }
        let start = into.len();
        if straight < RECORD as u64 {
            return None;
        }
        self.ring.copy(at, RECORD as u64, into);
        if let Some(skipped) = record::filler(&into[start..], at) {
            into.truncate(start);
            return (skipped == straight || skipped == self.ring.straight(at)).then_some(at + skipped);
        }
        let claimed = record::claimed(&into[start..], at);
        let Some((length, _)) = claimed.filter(|(length, _)| *length <= straight.min(self.longest())) else {
            into.truncate(start);
            return None;
        };
        self.ring.copy(at + RECORD as u64, length - RECORD as u64, into);
        if record::is_sound(&into[start..]) {
            return Some(at + length);
        }
        into.truncate(start);
        None
    }

    /// What is pending behind `applied`, up to about `most` bytes. With the database's write lock, as only who has it
    /// gives places up.
    pub fn stretch(&self, applied: u64, most: u64) -> Option<Stretch> {
        let span = self.ring.span().filter(|span| !span.is_empty())?;
        let mut at = span.start.max(applied.min(span.end));
        let mut stretch = Stretch { bytes: Vec::new(), records: Vec::new(), end: at, is_cut: false };
        while at < span.end && (stretch.bytes.len() as u64) < most {
            let from = stretch.bytes.len();
            match self.record(at, span.end, &mut stretch.bytes) {
                Some(next) => {
                    if stretch.bytes.len() > from {
                        stretch.records.push(from..stretch.bytes.len());
                    }
                    at = next;
                }
                None => {
                    stretch.is_cut = true;
                    at = span.end;
                }
            }
        }
        stretch.end = at;
        Some(stretch)
    }

    /// After the commit that brought all before `head` into the database.
    pub fn advance(&self, head: u64) {
        self.ring.advance(head);
    }
}

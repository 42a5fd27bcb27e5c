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
mod stretch;
mod turn;
mod vet;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::blob::rename;
use crate::error::{Code, Error, Result};
use index::Index;
pub(super) use record::Pending;
#[cfg(fuzzing)]
pub(crate) use record::fuzz;
use ring::Ring;
pub(super) use ring::{LAST, boot, coded, decoded};
pub(super) use stretch::Stretch;
pub(super) use turn::Turn;
pub(super) use vet::{Facts, TURNS};

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

/// What the journal has of a row.
pub(super) enum Found<T> {
    Nothing,
    Damaged,
    Entry(T),
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
        Ring::create(&early, capacity).and_then(|()| rename(&early, path)).map_err(|why| {
            let _ = std::fs::remove_file(&early);
            Error::io("make", path, why)
        })
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

    /// Fails when the file under the path is no longer the one that is mapped: records would go nowhere.
    fn check_place(&self) -> Result<()> {
        if place(&self.path).is_ok_and(|place| place == self.place) { Ok(()) } else { Err(self.replaced()) }
    }

    /// Whether another file is under the path by now: what is pending there must not come after what a transaction changes that does not
    /// see it.
    pub fn is_replaced(&self) -> bool {
        place(&self.path).is_ok_and(|place| place != self.place)
    }

    /// The file is not the one that is mapped.
    pub fn replaced(&self) -> Error {
        let message =
            format!("{} was deleted or replaced while it was open: open it again", self.path.display());
        Error::new(Code::Unavailable, message).at(&self.path)
    }

    /// After the commit that brought all before `head` into the database.
    pub fn advance(&self, head: u64) {
        self.ring.advance(head);
    }
}

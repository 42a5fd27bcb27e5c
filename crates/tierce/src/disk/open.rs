//! Opening a directory: making it, recognising what is in it, and starting again from damage.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::blob::{Blobs, make_dir, owner_only};
use super::db::{APPLICATION_ID, Db, PAGE_SIZE, SCHEMA, Stamp};
use super::durability::Durability;
use super::epoch::EpochTable;
use super::journal::Journal;
use super::keeping::Keeping;
use super::salvage::Salvage;
use super::{patiently, rules};
use crate::error::{Code, Error, Result};

/// The format that this release writes.
const FORMAT: u16 = 1;

/// `user_version` of a format: the number twice, once inverted, so that a flipped bit is no newer format.
const fn stamp_of(format: u16) -> i32 {
    (((!format as u32) << 16) | format as u32) as i32
}

/// The marker of a backup that is not finished.
pub(super) const UNFINISHED: &str = "tierce.unfinished";

/// What holds for every cache on a directory.
pub(super) const RULES: &str = "tierce.rules";

/// The files of a cache directory.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub dir: PathBuf,
    pub database: PathBuf,
    pub rules: PathBuf,
    pub epochs: PathBuf,
    lock: PathBuf,
    pub reserve: PathBuf,
    pub journal: PathBuf,
}

impl Paths {
    /// Makes the directory if it is missing; its parent must be there. The path is absolute from here on, so that a
    /// change of the working directory moves nothing.
    pub fn new(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).map_err(|why| Error::io("find the directory", dir, why))?;
        make_dir(&dir)?;
        // SQLite is told to follow no link, so that nobody can plant one for the database: those above are followed here.
        #[cfg(unix)]
        let dir = dir.canonicalize().map_err(|why| Error::io("find the directory", &dir, why))?;
        if dir.join(UNFINISHED).exists() {
            let message = format!(
                "{} holds a backup that was not finished: remove the directory, and make the backup again",
                dir.display()
            );
            return Err(Error::new(Code::Format, message).at(&dir));
        }
        Ok(Self {
            database: dir.join("tierce.db"),
            rules: dir.join(RULES),
            epochs: dir.join("tierce.epochs"),
            lock: dir.join("tierce.lock"),
            reserve: dir.join("tierce.reserve"),
            journal: dir.join("tierce.journal"),
            dir,
        })
    }

    /// Held while a database is made or rebuilt.
    pub fn lock(&self, timeout: Duration) -> Result<File> {
        let failed = |why| Error::io("lock", &self.lock, why);
        let mut options = OpenOptions::new();
        let file = owner_only(&mut options)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.lock)
            .map_err(failed)?;
        patiently(timeout, || match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                Code::LockTimeout,
                format!(
                    "another process is making or mending the database in {}: try again",
                    self.dir.display()
                ),
            )
            .at(&self.lock)),
            Err(TryLockError::Error(why)) => Err(failed(why)),
        })?;
        Ok(file)
    }

    /// Fails with [`Code::LockTimeout`] while another process is mending the database. One that was killed at it has
    /// left a word behind and no lock.
    pub fn wait_for_mending(&self, epochs: &EpochTable) -> Result<()> {
        if epochs.is_mending() {
            let _lock = self.lock(Duration::ZERO)?;
            epochs.set_mending(false);
        }
        Ok(())
    }

    /// Size and time of the database's file, in one number. It is not opened for that: see `create_database`.
    pub fn fingerprint(&self) -> Result<(u64, u64)> {
        let failed = |why| Error::io("look at", &self.database, why);
        let about = fs::metadata(&self.database).map_err(failed)?;
        let changed = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let mut known = [0; 24];
        known[..8].copy_from_slice(&about.len().to_le_bytes());
        known[8..].copy_from_slice(&changed.unwrap_or_default().as_nanos().to_le_bytes());
        Ok((xxhash_rust::xxh3::xxh3_64(&known), about.len()))
    }

    /// Pages of the database's file; what is in the log alone is not among them.
    pub fn pages(&self) -> u64 {
        fs::metadata(&self.database).map_or(0, |database| database.len() / PAGE_SIZE)
    }

    /// Bytes of the log's file. Its metadata only: see `create_database`.
    pub fn log_size(&self) -> u64 {
        let mut name = self.database.clone().into_os_string();
        name.push("-wal");
        fs::metadata(PathBuf::from(name)).map_or(0, |log| log.len())
    }

    /// Makes the empty file for its owner alone. An existing one is not even opened: closing a file drops every lock
    /// that this process has on it, SQLite's included.
    fn create_database(&self) -> Result<()> {
        match owner_only(&mut OpenOptions::new()).write(true).create_new(true).open(&self.database) {
            Err(why) if why.kind() != ErrorKind::AlreadyExists => {
                Err(Error::io("create the database", &self.database, why))
            }
            _ => Ok(()),
        }
    }
}

/// Keeps writers waiting while it lasts.
struct Mending<'a>(&'a EpochTable);

impl<'a> Mending<'a> {
    fn start(epochs: &'a EpochTable) -> Self {
        epochs.set_mending(true);
        Self(epochs)
    }
}

impl Drop for Mending<'_> {
    fn drop(&mut self) {
        self.0.set_mending(false);
    }
}

/// An open database, and what went wrong on the way.
pub(super) struct Opened {
    pub db: Db,
    /// Random, new each time the database is made: tells whether another process rebuilt it.
    pub generation: i64,
    pub faults: Vec<Error>,
}

/// What is in a database file.
enum Found {
    Ours,
    Empty,
    /// Ours, but for damaged stamps.
    Unstamped,
    Damaged(Error),
}

/// How a directory is opened.
#[derive(Clone, Copy)]
pub(super) struct Opener<'a> {
    pub paths: &'a Paths,
    pub epochs: &'a EpochTable,
    pub lock_timeout: Duration,
    pub cache_kib: u32,
    pub durability: Durability,
    pub keeping: &'a Keeping,
}

impl Opener<'_> {
    /// Opens the database: makes it where there is none, rebuilds it where it is damaged.
    pub fn open(self) -> Result<Opened> {
        if self.paths.database.exists() {
            let db = Db::connect(&self.paths.database)?;
            if let Found::Ours = self.recognise(&db)? {
                match self.finish(db, Vec::new()) {
                    Err(why) if why.code() == Code::Corrupt => {} // looked at again below
                    outcome => return outcome,
                }
            }
        }
        let _lock = self.paths.lock(self.lock_timeout)?;
        self.start(None)
    }

    /// Starts again from a database that turned out to be damaged, unless another process did so since `generation`.
    pub fn rebuild(self, generation: i64) -> Result<Opened> {
        let _lock = self.paths.lock(self.lock_timeout)?;
        self.start(Some(generation))
    }

    /// With the lock held: looks again, then makes, mends or empties the database.
    fn start(self, damaged_generation: Option<i64>) -> Result<Opened> {
        self.paths.create_database()?;
        let db = Db::connect(&self.paths.database)?;
        match self.recognise(&db)? {
            Found::Ours => {
                let known = |damaged| db.fact("generation").map_or(true, |now| now == damaged);
                if damaged_generation.is_some_and(known) {
                    return self.empty(db, Vec::new());
                }
            }
            Found::Unstamped => patiently(self.lock_timeout, || {
                db.log_writes()?;
                db.restamp(stamp_of(FORMAT))
            })?,
            Found::Empty => {
                rules::expect_none_new(self.paths, self.keeping)?;
                // Nothing was there that could be damaged: SQLite says so too when the disk failed while it wrote.
                self.create(&db, false, None).map_err(|why| match why.code() {
                    Code::Corrupt => self.unmade(why),
                    _ => why,
                })?;
                Blobs::new(&self.paths.dir).sweep(&db, self.lock_timeout)?;
            }
            Found::Damaged(why) => return self.empty(db, vec![why]),
        }
        match self.finish(db, Vec::new()) {
            Err(why) if why.code() == Code::Corrupt => {
                self.empty(Db::connect(&self.paths.database)?, vec![why])
            }
            outcome => outcome,
        }
    }

    fn create(self, db: &Db, replaces: bool, salvage: Option<&Salvage>) -> Result<()> {
        let generation = super::owner::random() as i64;
        let claimed = Cell::new(None);
        patiently(self.lock_timeout, || {
            db.create(stamp_of(FORMAT), generation, |transaction| {
                // What is pending behind a damaged database is as good as it was.
                claimed.set(if replaces { Journal::claims(&self.paths.journal) } else { None });
                claimed.get().map_or(Ok(()), |facts| transaction.keep_journal(facts))?;
                salvage.map_or(Ok(()), |salvage| salvage.put_back(transaction))
            })
        })?;
        if let Some(facts) = claimed.get() {
            self.epochs.move_on();
            Journal::give_up(&self.paths.journal, facts.applied);
        }
        Ok(())
    }

    /// Empties the database in place, where that fails replaces its files, and puts back what could be saved.
    fn empty(self, mut db: Db, faults: Vec<Error>) -> Result<Opened> {
        let blobs = Blobs::new(&self.paths.dir);
        let _mending = Mending::start(self.epochs);
        let salvage = patiently(self.lock_timeout, || Salvage::take(&db, &blobs, self.keeping))?;
        let emptied = patiently(self.lock_timeout, || db.reset())
            .and_then(|()| self.create(&db, true, salvage.as_ref()));
        if let Err(why) = emptied {
            if why.code() != Code::Corrupt && !(why.code() == Code::ReadOnly && self.may_write()) {
                return Err(why);
            }
            drop(db);
            for suffix in ["", "-wal", "-shm"] {
                let mut name = self.paths.database.clone().into_os_string();
                name.push(suffix);
                let _ = fs::remove_file(PathBuf::from(name)); // creating it below tells if it could not go
            }
            self.paths.create_database()?;
            db = Db::connect(&self.paths.database)?;
            self.create(&db, true, salvage.as_ref())?;
        }
        blobs.sweep(&db, self.lock_timeout)?;
        self.epochs.bump_all();
        self.finish(db, faults)
    }

    fn finish(self, mut db: Db, faults: Vec<Error>) -> Result<Opened> {
        db.tune(self.cache_kib, self.durability)?;
        let generation = db.fact("generation")?;
        Ok(Opened { db, generation, faults })
    }

    fn recognise(self, db: &Db) -> Result<Found> {
        match patiently(self.lock_timeout, || db.stamp()) {
            // A header that asks for a later version of SQLite; a file that may not be written is no damage.
            Ok(stamp) if stamp.read_only && self.may_write() => {
                Ok(Found::Damaged(self.damage("its header forbids writing")))
            }
            Ok(stamp) => self.judge(&stamp),
            Err(why) if why.code() == Code::Corrupt => Ok(Found::Damaged(why)),
            Err(why) => Err(why),
        }
    }

    /// Whether the system lets this user write to the file, whatever its header says.
    fn may_write(self) -> bool {
        OpenOptions::new().append(true).open(&self.paths.database).is_ok()
    }

    fn unmade(self, why: Error) -> Error {
        let path = &self.paths.database;
        let message =
            format!("the disk failed while {} was made: check the disk and its file system", path.display());
        Error::new(Code::Unavailable, message).at(path).because(why)
    }

    fn damage(self, why: &str) -> Error {
        let path = &self.paths.database;
        Error::new(Code::Corrupt, format!("the database {} is damaged: {why}", path.display())).at(path)
    }

    fn judge(self, stamp: &Stamp) -> Result<Found> {
        let path = &self.paths.database;
        let shown = path.display();
        let format = stamp.user_version as u16;
        let stamped = stamp.user_version == stamp_of(format);
        let ours = stamp.application_id == APPLICATION_ID;
        if ours && stamped && format > FORMAT {
            let message = format!(
                "{shown} has format {format}, this release reads up to {FORMAT}: update tierce, or give the cache another directory"
            );
            return Err(Error::new(Code::Format, message).at(path));
        }
        if stamp.schema == SCHEMA {
            let whole = ours && stamped && format == FORMAT && stamp.logged;
            return Ok(if whole { Found::Ours } else { Found::Unstamped });
        }
        if stamp.schema.is_empty() && stamp.application_id == 0 {
            return Ok(Found::Empty);
        }
        if ours || stamped || stamp.schema.iter().any(|sql| SCHEMA.contains(&sql.as_str())) {
            return Ok(Found::Damaged(self.damage("its schema is not the one that was written")));
        }
        let message =
            format!("{shown} is a database of something else: give the cache a directory of its own");
        Err(Error::new(Code::Format, message).at(path))
    }
}

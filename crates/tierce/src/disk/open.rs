//! Opening a directory: making it, recognising what is in it, and starting again from damage.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::blob::{Blobs, make_dir, owner_only};
use super::epoch::EpochTable;
use super::meta::{APPLICATION_ID, Db, Durability, SCHEMA, Stamp};
use super::patiently;
use crate::error::{Code, Error, Result};

/// The format that this release writes.
const FORMAT: u16 = 1;

/// `user_version` of a format: the number twice, once inverted, so that a flipped bit is no newer format.
const fn stamp_of(format: u16) -> i32 {
    (((!format as u32) << 16) | format as u32) as i32
}

/// The files of a cache directory.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub dir: PathBuf,
    pub database: PathBuf,
    pub epochs: PathBuf,
    lock: PathBuf,
}

impl Paths {
    /// Makes the directory if it is missing; its parent must be there. The path is absolute from here on, so that a
    /// change of the working directory moves nothing.
    pub fn new(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).map_err(|why| Error::io("find the directory", dir, why))?;
        make_dir(&dir)?;
        Ok(Self {
            database: dir.join("tierce.db"),
            epochs: dir.join("tierce.epochs"),
            lock: dir.join("tierce.lock"),
            dir,
        })
    }

    /// Held while a database is made or rebuilt.
    fn lock(&self) -> Result<File> {
        let failed = |why| Error::io("lock", &self.lock, why);
        let mut options = OpenOptions::new();
        let file = owner_only(&mut options)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.lock)
            .map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
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
}

impl Opener<'_> {
    /// Opens the database: makes it where there is none, rebuilds it where it is damaged.
    pub fn open(self) -> Result<Opened> {
        if self.paths.database.exists() {
            let db = Db::connect(&self.paths.database)?;
            if let Found::Ours = self.recognise(&db)? {
                return self.finish(db, Vec::new());
            }
        }
        let _lock = self.paths.lock()?;
        self.start(None)
    }

    /// Starts again from a database that turned out to be damaged, unless another process did so since `generation`.
    pub fn rebuild(self, generation: i64) -> Result<Opened> {
        let _lock = self.paths.lock()?;
        self.start(Some(generation))
    }

    /// With the lock held: looks again, then makes, mends or empties the database.
    fn start(self, damaged_generation: Option<i64>) -> Result<Opened> {
        self.paths.create_database()?;
        let db = Db::connect(&self.paths.database)?;
        match self.recognise(&db)? {
            Found::Ours => {
                if damaged_generation
                    .is_some_and(|damaged| db.fact("generation").map_or(true, |now| now == damaged))
                {
                    return self.empty(db, Vec::new());
                }
            }
            Found::Unstamped => patiently(self.lock_timeout, || db.restamp(stamp_of(FORMAT)))?,
            Found::Empty => self.create(&db)?,
            Found::Damaged(why) => return self.empty(db, vec![why]),
        }
        self.finish(db, Vec::new())
    }

    fn create(self, db: &Db) -> Result<()> {
        let generation = super::owner::random() as i64;
        patiently(self.lock_timeout, || db.create(stamp_of(FORMAT), generation))
    }

    /// Empties the database in place; where even that fails, replaces its files.
    fn empty(self, mut db: Db, faults: Vec<Error>) -> Result<Opened> {
        let emptied = patiently(self.lock_timeout, || db.reset()).and_then(|()| self.create(&db));
        if let Err(why) = emptied {
            if why.code() != Code::Corrupt {
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
            self.create(&db)?;
        }
        Blobs::new(&self.paths.dir).remove_all();
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
            Ok(stamp) => self.judge(&stamp),
            Err(why) if why.code() == Code::Corrupt => Ok(Found::Damaged(why)),
            Err(why) => Err(why),
        }
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
            return Ok(if ours && stamped && format == FORMAT { Found::Ours } else { Found::Unstamped });
        }
        if stamp.schema.is_empty() && stamp.application_id == 0 {
            return Ok(Found::Empty);
        }
        if ours {
            let message =
                format!("the database {shown} is damaged: its schema is not the one that was written");
            return Ok(Found::Damaged(Error::new(Code::Corrupt, message).at(path)));
        }
        let message =
            format!("{shown} is a database of something else: give the cache a directory of its own");
        Err(Error::new(Code::Format, message).at(path))
    }
}

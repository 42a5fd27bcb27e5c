//! A copy of a directory that is in use.
//!
//! The copy is of one moment. Value files never change, so most are copied beside writers. Then, with writers kept out,
//! what came meanwhile is linked (a link takes no time, and keeps the file when its entry goes), and a reader takes its
//! snapshot; writers go on while the database is copied from that snapshot.
//!
//! A directory is a backup only once a marker in it is gone, which is the last thing that happens.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup as Pages, StepResult};

use super::blob::{Blobs, make_dir, new_file, rename};
use super::db::{Db, LogEnd};
use super::engine::Engine;
use super::open::{RULES, UNFINISHED};
use super::patiently;
use crate::Cache;
use crate::error::{Code, Error, Result};

/// Pages of the database that are copied at once.
const STEP: i32 = 2048;

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Entries, expired ones included.
    pub entries: u64,
    /// Value files.
    pub files: u64,
    /// Bytes on the disk: the database and the value files.
    pub bytes: u64,
}

impl Cache {
    /// Copies the cache, as it is at one moment, into a directory that is empty or not there; its parent must exist.
    /// Others read and write meanwhile. The copy is a cache directory: opening it is restoring it.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] when something is in the directory, or it is inside the cache's own;
    /// [`Code::StorageFull`], [`Code::ReadOnly`], [`Code::Unavailable`] for what the disk says, and then nothing is left of
    /// the copy. After a kill the rest of it is refused by an open, with [`Code::Format`].
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<Backup> {
        self.flush()?;
        let target = Target::prepare(to.as_ref(), self.dir())?;
        let outcome = copy(&self.engine, &target).and_then(|backup| target.finish().map(|()| backup));
        outcome.inspect_err(|_| target.remove())
    }
}

/// Where a backup goes.
pub(super) struct Target {
    pub dir: PathBuf,
    blobs: Blobs,
    made: bool,
}

impl Target {
    pub fn prepare(to: &Path, cache: &Path) -> Result<Self> {
        let dir = std::path::absolute(to).map_err(|why| Error::io("find the directory", to, why))?;
        let made = !dir.exists();
        make_dir(&dir)?;
        let dir = dir.canonicalize().map_err(|why| Error::io("find the directory", &dir, why))?;
        let refused = |why: &str| {
            let message = format!(
                "cannot back up into {}: {why}; give a directory that is empty or not there",
                dir.display()
            );
            Error::new(Code::InvalidOption, message).at(&dir)
        };
        let mut names = fs::read_dir(&dir).map_err(|why| Error::io("read the folder", &dir, why))?;
        if dir.join(UNFINISHED).exists() {
            return Err(refused("it holds a backup that was not finished"));
        }
        if names.next().is_some() {
            return Err(refused("it is not empty"));
        }
        if dir.starts_with(cache) {
            if made {
                let _ = fs::remove_dir(&dir); // it is empty
            }
            return Err(refused("it is inside the directory of the cache"));
        }
        let target = Self { blobs: Blobs::new(&dir), dir, made };
        new_file(&target.marker()).map_err(|why| Error::io("create", &target.marker(), why))?;
        Ok(target)
    }

    fn marker(&self) -> PathBuf {
        self.dir.join(UNFINISHED)
    }

    fn database(&self) -> PathBuf {
        self.dir.join("tierce.db")
    }

    /// From now on it is a backup.
    pub fn finish(&self) -> Result<()> {
        for folder in [self.blobs.root(), &self.dir] {
            sync_dir(folder);
        }
        fs::remove_file(self.marker()).map_err(|why| Error::io("remove", &self.marker(), why))?;
        sync_dir(&self.dir);
        Ok(())
    }

    /// Removes what was made. The marker goes last: until then nobody takes the rest for a cache.
    pub fn remove(&self) {
        for folder in [self.blobs.root(), &self.dir.join("entries"), &self.dir.join("temp")] {
            let _ = fs::remove_dir_all(folder);
        }
        let _ = fs::remove_file(self.dir.join(super::metadata::NAME));
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(self.dir.join(format!("tierce.db{suffix}")));
        }
        let _ = fs::remove_file(self.dir.join(RULES));
        let _ = fs::remove_file(self.marker());
        if self.made {
            let _ = fs::remove_dir(&self.dir); // stays where somebody put something into it
        }
    }
}

fn copy(engine: &Engine, target: &Target) -> Result<Backup> {
    engine.settled()?;
    if engine.paths.rules.exists() {
        copy_file(&engine.paths.rules, &target.dir.join(RULES))?;
    }
    let listing = engine.connect()?;
    let mut copied = HashSet::new();
    for write_id in patiently(engine.lock_timeout, || listing.adopted())? {
        if copy_file(&engine.blobs.path(write_id), &target.blobs.path(write_id))? {
            copied.insert(write_id);
        }
    }
    let (snapshot, linked) = freeze(engine, target, &copied)?;
    for write_id in &linked {
        unlink_from_source(&target.blobs.path(*write_id))?;
    }
    copied.extend(linked);
    copy_pages(&snapshot, &target.database())?;
    let db = Db::connect(&target.database())?;
    let backup = tidy(&db, target, &copied)?;
    db.checkpoint(Some(LogEnd::Cut))?;
    drop(db);
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(target.dir.join(format!("tierce.db{suffix}"))); // empty, both
    }
    let failed = |why| Error::io("write", &target.database(), why);
    let database = File::options().write(true).open(target.database()).map_err(failed)?; // Windows syncs none that is read only
    database.sync_all().map_err(failed)?;
    let pages = database.metadata().map_err(failed)?.len();
    Ok(Backup { bytes: backup.bytes + pages, ..backup })
}

/// With writers kept out: links the files that came since, and takes the snapshot. Gives a connection that reads it.
fn freeze(engine: &Engine, target: &Target, copied: &HashSet<u64>) -> Result<(Db, Vec<u64>)> {
    engine.settled()?;
    let (keeper, snapshot) = (engine.connect()?, engine.connect()?);
    let _writers_wait = patiently(engine.lock_timeout, || {
        let transaction = keeper.begin()?;
        engine.paths.wait_for_mending(&engine.epochs)?;
        Ok(transaction)
    })?;
    let mut linked = Vec::new();
    for write_id in keeper.adopted()?.into_iter().filter(|write_id| !copied.contains(write_id)) {
        let (from, to) = (engine.blobs.path(write_id), target.blobs.path(write_id));
        target.blobs.make_folder(write_id)?;
        match fs::hard_link(&from, &to) {
            Ok(()) => linked.push(write_id),
            Err(why) if why.kind() == ErrorKind::NotFound => {} // a miss here as there
            Err(_) => {
                copy_file(&from, &to)?; // another file system
            }
        }
    }
    snapshot.run("BEGIN")?;
    snapshot.fact("generation")?; // a snapshot is taken by the first read
    Ok((snapshot, linked))
}

/// Copies a value file, durably. False when it is not there any more.
fn copy_file(from: &Path, to: &Path) -> Result<bool> {
    let failed = |why| Error::io("copy the value file to", to, why);
    let mut source = match File::open(from) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(false),
        source => source.map_err(|why| Error::io("read the value file", from, why))?,
    };
    if let (Some(folder), Some(root)) = (to.parent(), to.parent().and_then(Path::parent)) {
        make_dir(root)?;
        make_dir(folder)?;
    }
    let mut file = new_file(to).map_err(failed)?;
    std::io::copy(&mut source, &mut file).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(true)
}

/// Makes a copy of its own of what is a link to the cache's file.
fn unlink_from_source(link: &Path) -> Result<()> {
    let copy = link.with_extension("copy");
    copy_file(link, &copy)?;
    rename(&copy, link).map_err(|why| Error::io("rename to", link, why))
}

/// Copies the database as the snapshot has it: within its transaction, no write of another connection starts it anew.
fn copy_pages(snapshot: &Db, to: &Path) -> Result<()> {
    new_file(to).map_err(|why| Error::io("create the database", to, why))?;
    let mut target = Db::connect(to)?;
    {
        let pages = Pages::new(&snapshot.conn, &mut target.conn);
        let pages = snapshot.wrap(pages)?;
        while snapshot.wrap(pages.step(STEP))? != StepResult::Done {}
    }
    snapshot.run("COMMIT")
}

/// What is of the running cache and not of the copy goes.
fn tidy(db: &Db, target: &Target, copied: &HashSet<u64>) -> Result<Backup> {
    let transaction = db.begin()?;
    transaction.disown(super::owner::random() as i64)?;
    transaction.commit()?;
    let listed: HashSet<u64> = db.adopted()?.into_iter().collect();
    let surplus: Vec<u64> = copied.difference(&listed).copied().collect();
    target.blobs.remove(&surplus);
    let (file_bytes, _) = db.file_account()?;
    Ok(Backup { entries: db.sums()?.entries, files: listed.len() as u64, bytes: file_bytes as u64 })
}

/// Not every system lets a directory be opened; the files in it are whole all the same.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

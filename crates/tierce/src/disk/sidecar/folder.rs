//! The files of a cache without a database: one an entry, and those that are on their way to be one.
//!
//! No lock guards them. A file is written under a name of its own in `temp`, and takes the name of its entry in one step, so
//! that a reader has the old file or the new one, whole. What is to be removed because of what it is (damaged, expired, an
//! eviction's victim) is moved aside first and looked at there: a newer one that came in between goes back.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::super::blob::{make_dir, new_file, rename};
use super::super::keeping::Keeping;
use super::super::metadata::{self, Kind};
use super::super::owner::random;
use super::head::{self, Opened};
use super::maker::Maker;
use crate::error::{Code, Error, Result};

/// Times that a file is looked for again when it was replaced just then.
const LOOKS: usize = 8;
pub(super) const SUFFIX: &str = ".entry";

/// Where everything is.
#[derive(Debug)]
pub(super) struct Folder {
    pub dir: PathBuf,
    pub entries: PathBuf,
    pub temp: PathBuf,
    pub maker: Maker,
    sync: bool,
    pub keeping: Keeping,
    /// What the record of the directory says of it.
    pub rules: Vec<u8>,
}

/// A file on its way.
pub(super) struct Staged {
    pub file: File,
    whole: Whole,
}

/// A file on its way that has all it is to have. It is closed: as many may wait for their names as there are in a batch.
/// Dropped before it is published, it leaves nothing.
pub(super) struct Whole {
    path: PathBuf,
    is_published: bool,
}

/// What became of a file under an entry's name.
pub(super) enum Found<T> {
    Missing,
    Read(T),
    /// It does not verify, or a newer release wrote it.
    Bad(Error),
}

impl Folder {
    pub fn new(dir: PathBuf, sync: bool, keeping: Keeping, rules: Vec<u8>) -> Result<Self> {
        let (entries, temp) = (dir.join("entries"), dir.join("temp"));
        let folder = Self { entries, temp, dir, maker: Maker::new(), sync, keeping, rules };
        make_dir(&folder.entries)?;
        make_dir(&folder.temp)?;
        Ok(folder)
    }

    /// The file of an entry.
    pub fn path(&self, id: i64) -> PathBuf {
        let name = format!("{:016x}{SUFFIX}", id as u64);
        self.entries.join(&name[..2]).join(name)
    }

    /// Creates a file on its way.
    pub fn stage(&self) -> Result<Staged> {
        let path = self.temp.join(self.maker.name(random()));
        let mut file = new_file(&path);
        if file.as_ref().is_err_and(|why| why.kind() == ErrorKind::NotFound) {
            self.make_again()?;
            file = new_file(&path);
        }
        let file = file.map_err(|why| Error::io("create the file of an entry", &path, why))?;
        Ok(Staged { file, whole: Whole { path, is_published: false } })
    }

    /// A directory that was deleted is what it was, unless somebody has made it anew meanwhile.
    fn make_again(&self) -> Result<()> {
        make_dir(&self.dir)?;
        let (kind, rules) = metadata::record(&self.dir, Kind::Json, self.rules.clone())?;
        if kind != Kind::Json || rules != self.rules {
            let message = format!("{} was replaced while it was open: open it again", self.dir.display());
            return Err(Error::new(Code::Unavailable, message).at(&self.dir));
        }
        make_dir(&self.temp)
    }

    /// Gives a whole file the name of its entry, in the place of any other.
    pub fn publish(&self, mut whole: Whole, id: i64) -> Result<()> {
        let path = self.path(id);
        self.in_folder(&path, |path| rename(&whole.path, path))
            .map_err(|why| Error::io("store an entry as", &path, why))?;
        whole.is_published = true;
        self.sync_folder(&path)
    }

    /// The same where there is no file of that name, in one step; else gives false. File systems without links take two steps.
    pub fn publish_new(&self, mut whole: Whole, id: i64) -> Result<bool> {
        let path = self.path(id);
        let linked = self.in_folder(&path, |path| fs::hard_link(&whole.path, path));
        match linked {
            Ok(()) => {} // the drop removes the other name
            Err(why) if why.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(_) if path.exists() => return Ok(false),
            Err(_) => {
                rename(&whole.path, &path).map_err(|why| Error::io("store an entry as", &path, why))?;
                whole.is_published = true;
            }
        }
        self.sync_folder(&path)?;
        Ok(true)
    }

    /// Ends the writing of a file.
    pub fn finish(&self, staged: Staged, used: u64) -> Result<Whole> {
        let failed = |why| Error::io("write the file of an entry", staged.path(), why);
        let _ = staged.file.set_times(times(used)); // where a file system keeps no times, the order of eviction is its own
        if self.sync {
            staged.file.sync_all().map_err(failed)?;
        }
        Ok(staged.whole)
    }

    /// Runs a step into the folder of an entry, and makes that where it is missing.
    fn in_folder(&self, path: &Path, run: impl Fn(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
        match run(path) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                let make = || {
                    make_dir(&self.entries)?;
                    path.parent().map_or(Ok(()), make_dir)
                };
                make().map_err(std::io::Error::other)?;
                run(path)
            }
            outcome => outcome,
        }
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        if !self.sync || cfg!(windows) {
            return Ok(()); // there the folder of a renamed file is not ours to sync
        }
        for folder in path.ancestors().skip(1).take(2) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|why| Error::io("sync the folder", folder, why))?;
        }
        Ok(())
    }

    /// Reads the head of an entry's file.
    pub fn open(&self, id: i64) -> Result<Found<Opened>> {
        self.read(&self.path(id), |file| head::read(file, &self.keeping, id))
    }

    /// What tells the file of an entry from any other before and after it: one short read.
    pub fn stamp(&self, id: i64) -> Result<Found<u64>> {
        self.read(&self.path(id), |mut file| {
            let mut line = [0; head::LINE];
            match std::io::Read::read_exact(&mut file, &mut line) {
                Err(why) if why.kind() == ErrorKind::UnexpectedEof => {
                    Ok(Err(Error::new(Code::Corrupt, "an entry file is damaged: it is cut")))
                }
                outcome => outcome.map(|()| head::parse_line(&line).map(|(_, stamp)| stamp)),
            }
        })
    }

    /// A file that another machine replaced is looked for again: its handle may have gone with it.
    fn read<T>(
        &self,
        path: &Path,
        read: impl Fn(File) -> std::io::Result<std::result::Result<T, Error>>,
    ) -> Result<Found<T>> {
        let mut looks = 0;
        loop {
            looks += 1;
            return match File::open(path).and_then(&read) {
                Ok(Ok(found)) => Ok(Found::Read(found)),
                Ok(Err(why)) => Ok(Found::Bad(why.at(path))),
                // A directory of that name is somebody else's.
                Err(why)
                    if matches!(
                        why.kind(),
                        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
                    ) =>
                {
                    Ok(Found::Missing)
                }
                Err(why) if why.kind() == ErrorKind::StaleNetworkFileHandle && looks < LOOKS => continue,
                Err(why) => Err(Error::io("read the entry", path, why)),
            };
        }
    }

    /// Removes the file of an entry if it is still what `is_due` says. Gives its length where it did.
    pub fn take(&self, id: i64, is_due: impl Fn(&Found<Opened>) -> bool) -> Result<Option<u64>> {
        let path = self.path(id);
        if !is_due(&self.open(id)?) {
            return Ok(None);
        }
        let aside = self.temp.join(self.maker.name(random()));
        match rename(&path, &aside) {
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            outcome => outcome.map_err(|why| Error::io("remove the entry", &path, why))?,
        }
        let found = self.read(&aside, |file| head::read(file, &self.keeping, id))?;
        if is_due(&found) {
            let length = fs::metadata(&aside).map_or(0, |about| about.len());
            drop(found);
            return match fs::remove_file(&aside) {
                Ok(()) => Ok(Some(length)),
                Err(why) => Err(Error::io("remove", &aside, why)),
            };
        }
        // Somebody replaced it between the look and the step: it goes back, unless a newer one is there by now.
        match fs::hard_link(&aside, &path) {
            Err(why) if why.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                let _ = rename(&aside, &path);
            }
            _ => {}
        }
        let _ = fs::remove_file(&aside);
        Ok(None)
    }

    /// Removes the file of an entry, whatever it is. Gives its length where there was one.
    pub fn remove(&self, id: i64) -> Result<Option<u64>> {
        let path = self.path(id);
        let length = self.length(id);
        match fs::remove_file(&path) {
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
            outcome => {
                outcome.map(|()| length.or(Some(0))).map_err(|why| Error::io("remove the entry", &path, why))
            }
        }
    }

    /// The length of the file of an entry.
    pub fn length(&self, id: i64) -> Option<u64> {
        fs::metadata(self.path(id)).ok().map(|about| about.len())
    }

    /// When the file of an entry was used last.
    pub fn used(&self, id: i64) -> Option<u64> {
        fs::metadata(self.path(id)).ok().map(|about| tick_of(&about))
    }

    /// Notes when the file of an entry was used last. Nothing is lost where it is gone.
    pub fn note(&self, id: i64, used: u64) {
        if let Ok(file) = OpenOptions::new().append(true).open(self.path(id)) {
            let _ = file.set_times(times(used));
        }
    }
}

impl Staged {
    /// Appends bytes.
    pub fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        let written = parts.iter().try_for_each(|part| self.file.write_all(part));
        written.map_err(|why| Error::io("write the file of an entry", self.path(), why))
    }

    pub fn path(&self) -> &Path {
        &self.whole.path
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = fs::remove_file(&self.path); // a check removes it later
        }
    }
}

/// Nanoseconds since the Unix epoch.
pub(super) fn tick_of(about: &fs::Metadata) -> u64 {
    let since = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn times(used: u64) -> FileTimes {
    FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_nanos(used))
}

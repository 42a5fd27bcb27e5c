//! What stands in the folder of a cache without a database: entries, what is on its way, and what is not of this library.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::{Folder, SUFFIX, tick_of};
use super::maker::Maker;
use crate::error::{Error, Result};

/// A file of an entry, met on a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub id: i64,
    /// When it was used last, as a tick.
    pub used: u64,
    pub length: u64,
}

impl Folder {
    /// The entries behind an id, in rising order, a folder at a time: `see` gives false to end.
    pub fn walk(&self, after: Option<i64>, mut see: impl FnMut(i64) -> Result<bool>) -> Result<()> {
        for folder in (0x80..=0xff).chain(0..=0x7f_u8) {
            let last = i64::from_be_bytes([folder, 255, 255, 255, 255, 255, 255, 255]);
            if after.is_some_and(|after| last <= after) {
                continue;
            }
            let mut ids: Vec<i64> = self.ids_in(folder)?;
            ids.retain(|id| after.is_none_or(|after| *id > after));
            ids.sort_unstable();
            for id in ids {
                if !see(id)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn ids_in(&self, folder: u8) -> Result<Vec<i64>> {
        let path = self.entries.join(format!("{folder:02x}"));
        let names = match fs::read_dir(&path) {
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            outcome => outcome.map_err(|why| Error::io("read the folder", &path, why))?,
        };
        let id = |name: std::ffi::OsString| id_of(name.to_str()?).filter(|id| id.to_be_bytes()[0] == folder);
        let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
        Ok(names.flatten().filter(is_file).filter_map(|entry| id(entry.file_name())).collect())
    }

    /// Every file of an entry, with what the file system knows of it.
    pub fn all(&self) -> Result<Vec<Met>> {
        let mut all = Vec::new();
        self.walk(None, |id| {
            if let Ok(about) = fs::metadata(self.path(id)) {
                all.push(Met { id, used: tick_of(&about), length: about.len() });
            }
            Ok(true)
        })?;
        Ok(all)
    }

    /// What stands among the entries, and in `temp`, and is not of this library.
    pub fn foreign(&self) -> Vec<PathBuf> {
        let mut foreign = Vec::new();
        for entry in list(&self.entries) {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let folder = u8::from_str_radix(name, 16).ok().filter(|byte| format!("{byte:02x}") == name);
            let Some(folder) = folder.filter(|_| entry.is_dir()) else {
                foreign.push(entry.clone());
                continue;
            };
            foreign.extend(list(&entry).into_iter().filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let id = name.and_then(id_of).filter(|id| id.to_be_bytes()[0] == folder);
                id.is_none() || !path.is_file()
            }));
        }
        foreign.extend(list(&self.temp).into_iter().filter(|path| !Maker::made(path)));
        foreign
    }

    /// Files on their way whose makers are gone.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let files: Vec<_> = list(&self.temp).into_iter().filter(|path| Maker::made(path)).collect();
        if files.is_empty() {
            return files;
        }
        let now = self.time_there();
        files.into_iter().filter(|path| self.maker.is_gone(path, now)).collect()
    }

    /// The time of the machine that keeps the files, which may be another one.
    fn time_there(&self) -> Option<SystemTime> {
        let probe = self.stage().ok()?;
        probe.file.metadata().and_then(|about| about.modified()).ok()
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|names| names.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn id_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 16)?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (format!("{id:016x}") == digits).then_some(id as i64)
}

//! The value files, against what the database says of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Check;
use super::report::ProblemKind;
use crate::disk::Wait;
use crate::error::{Error, Result};

impl Check<'_> {
    /// Files that are listed as entries' and no entry points to. An entry that went while it was looked for has its file
    /// given to an owner in the same transaction.
    pub(super) fn unclaimed_files(&mut self) -> Result<()> {
        let mut unclaimed: Vec<u64> = self.unclaimed.drain().collect();
        unclaimed.sort_unstable();
        for write_id in unclaimed {
            let listed = self.read(|db| db.listed(write_id..=write_id))?;
            if listed.first().is_none_or(|file| file.owner.is_some()) {
                continue;
            }
            if self.fix {
                let owner = self.engine.owner.id()?;
                self.engine.write(Wait::Yes, |transaction| transaction.condemn(write_id, owner))?;
                self.engine.unlink(&[write_id]);
            }
            let message = "a file is listed as an entry's, and no entry points to it".to_owned();
            self.found(ProblemKind::OrphanFile, message, self.engine.blobs.path(write_id), self.fix);
        }
        Ok(())
    }

    /// What lies in the folders of values. A file is announced before it is created and a name is never used twice: so
    /// one that was seen first and is not listed afterwards is nobody's.
    pub(super) fn folders(&mut self) -> Result<()> {
        for folder in names(self.engine.blobs.root())? {
            let path = self.engine.blobs.root().join(&folder);
            let prefix = u64::from_str_radix(&folder, 16).ok().filter(|_| is_hex(&folder, 2));
            let Some(prefix) = prefix.filter(|_| path.is_dir()) else {
                self.foreign(path);
                continue;
            };
            let files = names(&path)?;
            let range = prefix << 56..=prefix << 56 | u64::MAX >> 8;
            let listed = self.read(|db| db.listed(range.clone()))?;
            for name in files {
                let write_id = u64::from_str_radix(&name, 16).ok();
                match write_id.filter(|write_id| is_hex(&name, 16) && range.contains(write_id)) {
                    None => self.foreign(path.join(name)),
                    Some(write_id) => {
                        let known = listed.iter().find(|file| file.write_id == write_id);
                        self.file(write_id, known.map(|file| file.owner), path.join(name));
                    }
                }
            }
        }
        Ok(())
    }

    /// One file that is there; `listed` is what the database says of it, if it knows it.
    fn file(&mut self, write_id: u64, listed: Option<Option<i64>>, path: PathBuf) {
        let message = match listed {
            Some(None) => return, // an entry's
            Some(Some(owner)) if !self.engine.owner.is_dead(owner) => return,
            Some(Some(_)) => "a process that was killed left a file behind: the next open removes it",
            None if !path.exists() => return, // it went meanwhile
            None => "no entry points to a file, and the database does not list it",
        };
        let fixed = self.fix && listed.is_none() && self.engine.blobs.remove(&[write_id]).len() == 1;
        self.found(ProblemKind::OrphanFile, message.to_owned(), path, fixed);
    }

    fn foreign(&mut self, path: PathBuf) {
        let message = "this was not made by the cache, and is left alone".to_owned();
        self.found(ProblemKind::ForeignFile, message, path, false);
    }
}

/// The names in a folder; none where there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |why| Error::io("read the folder", folder, why);
    let entries = match fs::read_dir(folder) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(failed)?;
    names.sort_unstable();
    Ok(names)
}

fn is_hex(name: &str, length: usize) -> bool {
    name.len() == length && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

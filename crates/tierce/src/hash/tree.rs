//! A folder as one digest.
//!
//! The digest is that of the folder's *list*: for each of its entries, by the bytes of their names, a tag, the length of
//! the name (`u32`), the name, and what the entry is:
//!
//! | tag | entry | what follows the name |
//! |---|---|---|
//! | `f` | a file, or a link to one | its digest |
//! | `d` | a folder, or a link to one | the digest of its list |
//! | `l` | a folder that was met before, through a link | its number (`u32`), in the order of their coming |
//!
//! So names and structure count, and what a link points to counts as if it were there. Each folder is read once: a loop of
//! links ends, and folders that link to each other in all ways take no more than their number. Lengths and numbers are
//! little-endian.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::file::{Stamp, explain};
use super::pool::Task;
use super::{Algorithm, Content, ContentDigest, unusable};
use crate::error::Result;

/// Deeper ones would overflow the stack of a small thread; file systems end before.
const MAX_DEPTH: usize = 500;

/// What is to be put together when the files are hashed. Files are numbers into the list of tasks.
#[derive(Debug)]
pub(super) enum Plan {
    File(usize),
    Folder(Vec<(Vec<u8>, Plan)>),
    Again(u32),
}

impl Plan {
    /// The digest, from those of the files.
    pub fn digest(&self, algorithm: Algorithm, files: &[ContentDigest]) -> ContentDigest {
        let mut list = Vec::new();
        match self {
            Plan::File(at) => return files[*at],
            Plan::Again(_) => {} // never at the top
            Plan::Folder(entries) => {
                for (name, entry) in entries {
                    entry.append(name, algorithm, files, &mut list);
                }
            }
        }
        algorithm.of(&list)
    }

    fn append(&self, name: &[u8], algorithm: Algorithm, files: &[ContentDigest], list: &mut Vec<u8>) {
        list.push(match self {
            Plan::File(_) => b'f',
            Plan::Folder(_) => b'd',
            Plan::Again(_) => b'l',
        });
        list.extend_from_slice(&(name.len() as u32).to_le_bytes());
        list.extend_from_slice(name);
        match self {
            Plan::Again(number) => list.extend_from_slice(&number.to_le_bytes()),
            _ => list.extend_from_slice(self.digest(algorithm, files).as_bytes()),
        }
    }
}

/// Looks at a file, or at all that is in a folder, and adds the files to `tasks`; with `later`, a file is looked at when its turn comes.
pub(super) fn plan(content: &Content, later: bool, tasks: &mut Vec<Task>) -> Result<Plan> {
    let path = std::path::absolute(&content.path).map_err(|why| unusable(&content.path, explain(&why)))?;
    let mut walk = Walk { algorithm: content.algorithm, tasks, folders: HashMap::new() };
    if !content.is_directory {
        let stamp = if later { None } else { Some(Stamp::of_path(&path)?) };
        return Ok(walk.file(path, stamp));
    }
    let found = fs::metadata(&path).map_err(|why| unusable(&path, explain(&why)))?;
    if !found.is_dir() {
        return Err(unusable(&path, "it is no directory: name it with file() rather than with directory()"));
    }
    walk.folder(&path, 0)
}

struct Walk<'a> {
    algorithm: Algorithm,
    tasks: &'a mut Vec<Task>,
    /// Folders by what they are, whatever their path: numbered in the order of their coming.
    folders: HashMap<PathBuf, u32>,
}

impl Walk<'_> {
    fn file(&mut self, path: PathBuf, stamp: Option<Stamp>) -> Plan {
        self.tasks.push(Task { path, stamp, algorithm: self.algorithm });
        Plan::File(self.tasks.len() - 1)
    }

    fn folder(&mut self, path: &Path, depth: usize) -> Result<Plan> {
        if depth > MAX_DEPTH {
            return Err(unusable(path, format_args!("it is nested deeper than {MAX_DEPTH}")));
        }
        let failed = |why: std::io::Error| unusable(path, explain(&why));
        let number = self.folders.len() as u32;
        let known = *self.folders.entry(fs::canonicalize(path).map_err(failed)?).or_insert(number);
        if known != number {
            return Ok(Plan::Again(known));
        }
        let mut found = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        found.sort_by_cached_key(|entry| entry.file_name().as_encoded_bytes().to_vec());
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            let path = entry.path();
            // A link counts as what it points to.
            let is_folder = match entry.file_type().map_err(failed)? {
                kind if kind.is_symlink() => {
                    fs::metadata(&path).map_err(|why| unusable(&path, explain(&why)))?.is_dir()
                }
                kind => kind.is_dir(),
            };
            let plan = if is_folder {
                self.folder(&path, depth + 1)?
            } else {
                let stamp = Stamp::of_path(&path)?;
                self.file(path, Some(stamp))
            };
            entries.push((entry.file_name().as_encoded_bytes().to_vec(), plan));
        }
        Ok(Plan::Folder(entries))
    }
}

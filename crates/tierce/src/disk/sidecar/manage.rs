//! Whole caches: checked, copied, and into a file and back.

use std::fs;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use super::super::Meta;
use super::super::Wait;
use super::super::backup::{Backup, Target};
use super::super::blob::{make_dir, new_file};
use super::super::check::{CheckReport, Problem, ProblemKind};
use super::super::chunked::verify_payload;
use super::super::metadata;
use super::super::transfer::{AtomicFile, Loaded, next_batch, open_snapshot};
use super::super::write::Write;
use super::SidecarCache;
use super::folder::{Folder, Found};
use super::head::Opened;
use super::shared::Shared;
use super::write::database_tick;
use crate::cipher::EncryptionKey;
use crate::error::{Code, Error, Result};
use crate::snapshot::{Record, SnapshotWriter};

impl SidecarCache {
    /// Reads everything in the directory and compares it with its checksums. With `fix`, removes damaged entries and the
    /// files that dead processes left. Others may use the directory meanwhile.
    ///
    /// # Errors
    /// [`Code::Unavailable`], [`Code::ReadOnly`] when the disk fails.
    pub fn check(&self, fix: bool) -> Result<CheckReport> {
        let now = self.shared.now();
        let folder = &self.shared.folder;
        let mut report = CheckReport::default();
        folder.walk(None, |id| {
            let sound = match folder.open(id)? {
                Found::Missing => return Ok(true),
                Found::Bad(why) => Err((why, None)),
                Found::Read(opened) => {
                    let stamp = opened.stamp;
                    self.shared.verified(id, opened).map_err(|why| (why, Some(stamp)))
                }
            };
            report.entries += 1;
            match sound {
                Ok((bytes, expires)) => {
                    report.files += 1;
                    report.bytes += bytes;
                    report.expired += u64::from(expires.is_some_and(|at| at <= now));
                }
                Err((why, _)) if why.code() != Code::Corrupt => {
                    report.add(problem(ProblemKind::ForeignFile, why.to_string(), &folder.path(id), false));
                }
                Err((why, stamp)) => {
                    let is_due = |found: &Found<Opened>| match found {
                        Found::Read(opened) => Some(opened.stamp) == stamp,
                        Found::Bad(why) => stamp.is_none() && why.code() == Code::Corrupt,
                        Found::Missing => false,
                    };
                    let fixed = fix && self.shared.removed(id, &is_due);
                    report.add(problem(ProblemKind::DamagedFile, why.to_string(), &folder.path(id), fixed));
                }
            }
            Ok(true)
        })?;
        for path in folder.leftovers() {
            let fixed = fix && fs::remove_file(&path).is_ok();
            let message = format!("{} was left by a process that has ended", path.display());
            report.add(problem(ProblemKind::OrphanFile, message, &path, fixed));
        }
        for path in folder.foreign() {
            let message = format!("{} is no file of this cache", path.display());
            report.add(problem(ProblemKind::ForeignFile, message, &path, false));
        }
        Ok(report)
    }

    /// Copies the cache into a directory that is empty or not there; its parent must exist. Each entry is as it was at some
    /// moment of the copy. The copy is a cache directory: opening it is restoring it.
    ///
    /// # Errors
    /// As [`Cache::backup`](crate::Cache::backup).
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<Backup> {
        let target = Target::prepare(to.as_ref(), self.dir())?;
        let outcome = self.copy(&target.dir).and_then(|backup| target.finish().map(|()| backup));
        outcome.inspect_err(|_| target.remove())
    }

    fn copy(&self, to: &Path) -> Result<Backup> {
        let rules = &self.shared.folder.rules;
        metadata::record(to, metadata::Kind::Json, rules.clone())?;
        let copy = Folder::new(to.to_owned(), false, self.shared.keeping().clone(), rules.clone())?;
        let mut backup = Backup::default();
        self.shared.folder.walk(None, |id| {
            let Found::Read(mut opened) = self.shared.folder.open(id)? else { return Ok(true) };
            let path = copy.path(id);
            path.parent().map_or(Ok(()), make_dir)?;
            let failed = |why| Error::io("copy the entry to", &path, why);
            opened.file.rewind().map_err(failed)?;
            let mut file = new_file(&path).map_err(failed)?;
            let bytes = std::io::copy(&mut opened.file, &mut file).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            if let Some(used) = self.shared.folder.used(id) {
                copy.note(id, used);
            }
            backup.entries += 1;
            backup.files += 1;
            backup.bytes += bytes.next_multiple_of(4096);
            Ok(true)
        })?;
        Ok(backup)
    }

    /// Writes every live entry into one file, as [`Cache::save`](crate::Cache::save). Gives entries and bytes.
    ///
    /// # Errors
    /// [`Code::StorageFull`], [`Code::ReadOnly`], [`Code::Unavailable`] for what the disk says; an old file stays.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(u64, u64)> {
        let path = path.as_ref();
        let now = self.shared.now();
        let mut writer =
            SnapshotWriter::new(AtomicFile::create(path)?, path, now, self.shared.keeping().key.as_ref())?;
        self.shared.folder.walk(None, |id| {
            let Found::Read(mut opened) = self.shared.folder.open(id)? else { return Ok(true) };
            if opened.head.is_expired(now) {
                return Ok(true);
            }
            let meta = self.shared.meta(&opened);
            if let Some(record) = self.shared.record(&mut opened, &meta)? {
                writer.add(&record)?;
            }
            Ok(true)
        })?;
        let (file, entries) = writer.finish()?;
        Ok((entries, file.commit()?))
    }

    /// Stores the entries of a file, as [`Cache::load`](crate::Cache::load); others see them come one after the other.
    ///
    /// # Errors
    /// As [`Cache::load`](crate::Cache::load).
    pub fn load(&self, path: impl AsRef<Path>, merge: bool) -> Result<Loaded> {
        self.load_with(path.as_ref(), merge, self.shared.keeping().key.as_ref())
    }

    /// As [`SidecarCache::load`], of a file that was saved by a cache with another key: for a new key, or none.
    ///
    /// # Errors
    /// As [`Cache::load_encrypted`](crate::Cache::load_encrypted).
    pub fn load_encrypted(&self, path: impl AsRef<Path>, merge: bool, key: &EncryptionKey) -> Result<Loaded> {
        self.load_with(path.as_ref(), merge, Some(key))
    }

    fn load_with(&self, path: &Path, merge: bool, key: Option<&EncryptionKey>) -> Result<Loaded> {
        let mut probe = open_snapshot(path, key)?;
        while probe.next()?.is_some() {}
        let mut reader = open_snapshot(path, key)?;
        if !merge {
            self.clear()?;
        }
        let mut loaded = Loaded::default();
        loop {
            let admits = |record: &Record| self.shared.admits(record).is_ok();
            let (batch, ended) = next_batch(&mut reader, self.shared.now(), admits, &mut loaded)?;
            let writes: Vec<_> = batch.iter().map(Write::Restore).collect();
            self.apply(&writes, Wait::Yes)?;
            loaded.entries += batch.len() as u64;
            if ended {
                return Ok(loaded);
            }
        }
    }
}

impl Shared {
    /// Reads all of an entry. Gives the bytes of its payload, and when it expires.
    fn verified(&self, id: i64, opened: Opened) -> Result<(u64, Option<u64>)> {
        let Opened { mut file, head, start, .. } = opened;
        let (digest, path) = (self.digest_of(&head), self.folder.path(id));
        if digest.id() != id {
            return Err(Error::new(Code::Corrupt, "the file of an entry has the name of another"));
        }
        file.seek(SeekFrom::Start(start)).map_err(|why| Error::io("read the entry", &path, why))?;
        verify_payload(self.keeping(), file, &path, head.header, digest)?;
        Ok((head.header.stored_size, head.expires))
    }

    /// An entry apart from its directory. `None` where it does not verify: a read of it would be a miss.
    fn record(&self, opened: &mut Opened, meta: &Meta) -> Result<Option<Record>> {
        let stored = opened.payload()?;
        let head = &opened.head;
        let Ok(payload) = self.keeping().strict().payload(head.header, self.digest_of(head), &stored) else {
            return Ok(None);
        };
        Ok(Some(Record {
            key: head.key.clone(),
            kind: head.header.kind,
            codec: head.header.codec,
            size: head.header.raw_size,
            created: head.created,
            expires: head.expires,
            freshness: head.freshness,
            extras: if head.extras.is_empty() { Vec::new() } else { head.extras.to_bytes()? },
            accessed: database_tick(meta),
            hits: 0,
            payload: payload.into_owned(),
            fields: Vec::new(),
        }))
    }
}

fn problem(kind: ProblemKind, message: String, path: &Path, fixed: bool) -> Problem {
    Problem { kind, message, key: None, path: Some(path.to_owned()), fixed }
}

//! The whole cache into one file, and back.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use super::Wait;
use super::blob::{new_file, rename};
use super::db::Db;
use super::engine::Engine;
use super::get::LOOKS;
use super::keeping::Keeping;
use super::patiently;
use super::row::EntryRow;
use super::write::Write;
use crate::Cache;
use crate::cipher::EncryptionKey;
use crate::error::{Code, Error, Result};
use crate::frame::{HEADER, Header};
use crate::snapshot::{Record, SnapshotReader, SnapshotWriter};

/// Rows of a page, and bytes of rows after which it ends early.
const PAGE: (usize, usize) = (512, 4 << 20);

/// What [`Cache::load`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Entries that are in the cache now, or were until newer ones of the file needed their room.
    pub entries: u64,
    /// Entries of the file that had expired.
    pub expired: u64,
    /// Entries of the file that do not fit into the cache at all.
    pub refused: u64,
}

/// A file that takes its name when it is whole.
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// A new file beside `path`, for its owner alone.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|why| Error::io("find", path, why))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.tmp", super::owner::random()));
        let temporary = path.with_file_name(name);
        let file = new_file(&temporary).map_err(|why| Error::io("write", &temporary, why))?;
        Ok(Self { path, temporary, file: Some(BufWriter::with_capacity(1 << 16, file)) })
    }

    /// Puts it in the place of whatever has its name: whoever reads that sees the old bytes or the new ones, also after
    /// a power cut. Gives its length.
    ///
    /// # Errors
    /// What the disk says; the old file stays.
    pub fn commit(mut self) -> Result<u64> {
        let failed = |why| Error::io("write", &self.path, why);
        let file =
            self.file.take().ok_or_else(|| Error::new(Code::Internal, "a file was committed twice"))?;
        let file = file.into_inner().map_err(|why| failed(why.into_error()))?;
        file.sync_all().map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        rename(&self.temporary, &self.path).map_err(failed)?;
        if let Some(dir) = self.path.parent().and_then(|dir| File::open(dir).ok()) {
            let _ = dir.sync_all(); // not every system can
        }
        Ok(length)
    }
}

impl std::io::Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.as_mut().map_or(Err(ErrorKind::BrokenPipe.into()), |file| file.write(bytes))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), std::io::Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary); // gone already where it was committed
    }
}

/// Opens a snapshot for reading; `key` is for one that is encrypted.
///
/// # Errors
/// As [`Cache::load`].
pub fn open_snapshot(path: &Path, key: Option<&EncryptionKey>) -> Result<SnapshotReader<BufReader<File>>> {
    let file = File::open(path).map_err(|why| {
        if why.kind() == ErrorKind::NotFound {
            let message = format!("cannot load {}: there is no such file", path.display());
            return Error::new(Code::Unavailable, message).at(path);
        }
        Error::io("load", path, why)
    })?;
    SnapshotReader::new(BufReader::with_capacity(1 << 16, file), path, key)
}

impl Cache {
    /// Writes every live entry into one file, in the place of whatever has its name, when it is whole. Others read and
    /// write meanwhile: each entry is as it was at some moment, [`Cache::backup`] is of one moment. Of an encrypted cache, the file is encrypted
    /// with the same key. Gives entries and bytes.
    ///
    /// # Errors
    /// [`Code::StorageFull`], [`Code::ReadOnly`], [`Code::Unavailable`] for what the disk says; an old file stays.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(u64, u64)> {
        self.flush()?;
        let path = path.as_ref();
        let engine = &*self.engine;
        let db = engine.connect()?;
        let mut writer =
            SnapshotWriter::new(AtomicFile::create(path)?, path, engine.now(), engine.keeping.key.as_ref())?;
        let mut from = Some(i64::MIN);
        while let Some(start) = from {
            let (page, next) = patiently(engine.lock_timeout, || page(engine, &db, start))?;
            for entry in page {
                let record = match entry {
                    Paged::Whole(record) => Some(record),
                    Paged::Apart(id) => engine.record(&db, id)?,
                };
                record.map_or(Ok(()), |record| writer.add(&record))?;
            }
            from = next;
        }
        let (file, entries) = writer.finish()?;
        Ok((entries, file.commit()?))
    }

    /// Stores the entries of a file: in the place of all that is in the cache, or with `merge` beside it, where the
    /// file's entry counts for a key that is in both. Times to live go on while an entry lies in a file. The whole file
    /// is checked before anything changes. An encrypted one is opened with the key of this cache.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when there is no such file; [`Code::Format`] for a file of something else, or of a newer
    /// release; [`Code::Encryption`] for one that is encrypted with another key; [`Code::Corrupt`] for a damaged one: the
    /// cache is as it was. As [`Cache::set`] when the disk fails on the way.
    pub fn load(&self, path: impl AsRef<Path>, merge: bool) -> Result<Loaded> {
        self.load_from(path.as_ref(), merge, self.engine.keeping.key.as_ref())
    }

    /// As [`Cache::load`], of a file that was saved by a cache with another key: for a new key, or none.
    ///
    /// # Errors
    /// As [`Cache::load`].
    pub fn load_encrypted(&self, path: impl AsRef<Path>, merge: bool, key: &EncryptionKey) -> Result<Loaded> {
        self.load_from(path.as_ref(), merge, Some(key))
    }

    fn load_from(&self, path: &Path, merge: bool, key: Option<&EncryptionKey>) -> Result<Loaded> {
        let mut probe = open_snapshot(path, key)?;
        while probe.next()?.is_some() {}
        let mut reader = open_snapshot(path, key)?;
        let mut loaded = Loaded::default();
        let mut clears = !merge;
        loop {
            let admits = |record: &Record| self.engine.admits(record).is_ok();
            let (batch, ended) = next_batch(&mut reader, self.engine.now(), admits, &mut loaded)?;
            let clear = clears.then_some(Write::Clear);
            let writes: Vec<_> = clear.into_iter().chain(batch.iter().map(Write::Restore)).collect();
            if !writes.is_empty() {
                self.apply(&writes, Wait::Yes)?;
            }
            clears = false;
            loaded.entries += batch.len() as u64;
            if ended {
                return Ok(loaded);
            }
        }
    }
}

/// Live entries of a file that `admits` takes, up to what one transaction takes; and whether the file is at its end.
pub(super) fn next_batch(
    reader: &mut SnapshotReader<BufReader<File>>,
    now: u64,
    admits: impl Fn(&Record) -> bool,
    loaded: &mut Loaded,
) -> Result<(Vec<Record>, bool)> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < PAGE.0 && bytes < PAGE.1 {
        let Some(record) = reader.next()? else { return Ok((batch, true)) };
        if record.expires.is_some_and(|at| at <= now) {
            loaded.expired += 1;
        } else if !admits(&record) {
            loaded.refused += 1;
        } else {
            bytes += record.payload.len();
            batch.push(record);
        }
    }
    Ok((batch, false))
}

enum Paged {
    Whole(Record),
    /// The row of an entry that is not all in it.
    Apart(i64),
}

/// A page of live entries, and where the next one starts. What does not verify is left out: a read of it would be a miss.
fn page(engine: &Engine, db: &Db, from: i64) -> Result<(Vec<Paged>, Option<i64>)> {
    let (mut found, mut rows, mut bytes, mut next) = (Vec::new(), 0, 0, None);
    let (now, keeping) = (engine.now(), &engine.keeping.strict());
    db.audit(from, |row, _| {
        if rows == PAGE.0 || bytes >= PAGE.1 {
            next = Some(row.id);
            return false;
        }
        rows += 1;
        bytes += row.frame.len();
        found.extend(match sound(keeping, &row, now) {
            Some((header, _)) if header.in_file || header.has_extras => Some(Paged::Apart(row.id)),
            Some((header, payload)) => record(keeping, &row, header, payload.into_owned()).map(Paged::Whole),
            None => None,
        });
        true
    })?;
    Ok((found, next))
}

/// The header of a row that a read would give, and the coded value where it is in the row.
fn sound<'r>(keeping: &Keeping, row: &EntryRow<'r>, now: u64) -> Option<(Header, Cow<'r, [u8]>)> {
    let digest = keeping.digest_of(row.key);
    let header = Header::parse(row.frame).ok()?;
    if digest.id() != row.id || row.seal != keeping.seal(row, digest, header.checksum) || row.is_expired(now)
    {
        return None;
    }
    let payload = match header.in_file {
        true => Cow::Borrowed(&[][..]),
        false => keeping.payload(header, digest, &row.frame[HEADER..]).ok()?,
    };
    Some((header, payload))
}

fn record(keeping: &Keeping, row: &EntryRow<'_>, header: Header, payload: Vec<u8>) -> Option<Record> {
    Some(Record {
        key: keeping.open_key(row.key).ok()?.into_owned(),
        kind: header.kind,
        codec: header.codec,
        size: header.raw_size,
        created: row.created,
        expires: row.expires,
        freshness: row.freshness,
        extras: Vec::new(),
        accessed: row.accessed,
        hits: row.hits,
        payload,
        fields: Vec::new(),
    })
}

impl Engine {
    /// The entry in a row, with its value's file. `None` where it is gone, or its file does not verify.
    fn record(&self, db: &Db, id: i64) -> Result<Option<Record>> {
        let (now, keeping) = (self.now(), &self.keeping.strict());
        for _ in 0..LOOKS {
            let look = || {
                let found = db.find(id, |row| {
                    let (header, payload) = sound(keeping, &row, now)?;
                    let record = record(keeping, &row, header, payload.into_owned())?;
                    Some((header, keeping.digest_of(row.key), record))
                })?;
                Ok((found.flatten(), db.body(id)?))
            };
            let (found, body) = patiently(self.lock_timeout, || db.snapshot(look))?;
            let Some((header, digest, mut record)) = found else { return Ok(None) };
            if header.has_extras {
                let known = body.as_ref().and_then(|body| keeping.open_extras(body, id, header.write_id));
                match known {
                    Some(extras) => record.extras = extras.to_bytes()?,
                    None => return Ok(None),
                }
            }
            if !header.in_file {
                return Ok(Some(record));
            }
            match self.blobs.read(header) {
                Ok(Some(payload)) => {
                    let opened = match keeping.payload(header, digest, &payload) {
                        Ok(Cow::Owned(opened)) => Some(opened),
                        Ok(Cow::Borrowed(_)) => None,
                        Err(_) => return Ok(None),
                    };
                    record.payload = opened.unwrap_or(payload);
                    return Ok(Some(record));
                }
                Ok(None) => {} // replaced meanwhile
                Err(why) if why.code() == Code::Corrupt => return Ok(None),
                Err(why) => return Err(why),
            }
        }
        Ok(None)
    }
}

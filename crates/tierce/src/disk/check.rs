//! The full check: every page, every entry, every file, and the account of them; and the repair.
//!
//! It walks in pages on a connection of its own. No read transaction lasts longer than a page of rows, but for the one
//! that examines the trees; the write lock is taken only to repair, a page at a time. So caches stay in use meanwhile:
//! what is written again between a look and the next is looked at again before it is called damaged.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::db::Db;
use super::db::Sizes;
use super::engine::Engine;
use super::keeping::Keeping;
use super::row::EntryRow;
use super::salvage::walk;
use super::{Wait, patiently};
use crate::Cache;
use crate::error::{Code, Error, Result};
use crate::frame::{HEADER, Header, size_on_disk};
use crate::key::Digest;

/// Rows of a page, and bytes of rows after which it ends early.
const PAGE: (usize, usize) = (512, 4 << 20);
/// Problems that a report describes; of more it has the count.
const DESCRIBED: usize = 1000;

/// What sort of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The trees of the database are out of order, or pages of it cannot be read.
    DamagedDatabase,
    /// A row does not verify: it is a miss.
    DamagedEntry,
    /// The file of an entry is not the one that was written: the entry is a miss.
    DamagedFile,
    /// The file of an entry is gone: the entry is a miss.
    MissingFile,
    /// A value file that no entry points to and no living process answers for.
    OrphanFile,
    /// Something in the folder of values that this library did not put there. It is left alone.
    ForeignFile,
    /// An account differs from what it is of: sizes that are shown, or that the bound counts.
    WrongAccount,
}

impl ProblemKind {
    /// The name that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DamagedDatabase => "damaged-database",
            Self::DamagedEntry => "damaged-entry",
            Self::DamagedFile => "damaged-file",
            Self::MissingFile => "missing-file",
            Self::OrphanFile => "orphan-file",
            Self::ForeignFile => "foreign-file",
            Self::WrongAccount => "wrong-account",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What sort of thing.
    pub kind: ProblemKind,
    /// What was found.
    pub message: String,
    /// The stored key of the entry, where it is about one whose key can be read.
    pub key: Option<Vec<u8>>,
    /// The file.
    pub path: Option<PathBuf>,
    /// Whether it is set right.
    pub fixed: bool,
}

/// What [`Cache::check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Entries that were looked at, expired ones included.
    pub entries: u64,
    /// Of these, those that have expired.
    pub expired: u64,
    /// Entries that cannot be reached any more, about: of those on pages that cannot be read nobody knows more than how many there are
    /// elsewhere. Where nothing can be reached, 1.
    pub unreachable: u64,
    /// Value files of entries that were read.
    pub files: u64,
    /// Bytes of values as stored that were read.
    pub bytes: u64,
    /// Problems.
    pub found: u64,
    /// Of these, those that are set right.
    pub fixed: u64,
    /// Descriptions of the first 1000.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Counts a problem, and describes it where there are not too many.
    pub(super) fn add(&mut self, problem: Problem) {
        self.found += 1;
        self.fixed += u64::from(problem.fixed);
        if self.problems.len() < DESCRIBED {
            self.problems.push(problem);
        }
    }
}

impl Cache {
    /// Reads everything in the directory and compares it with its checksums and with each other. With `fix`, removes
    /// damaged entries and the files that are nobody's, mends the database, and counts anew. Other processes may use
    /// the directory meanwhile.
    ///
    /// # Errors
    /// [`Code::Unavailable`], [`Code::StorageFull`], [`Code::ReadOnly`] when the disk fails; [`Code::LockTimeout`] when
    /// others keep the lock for too long.
    pub fn check(&self, fix: bool) -> Result<CheckReport> {
        let engine = &*self.engine;
        engine.settled()?;
        let mut report = CheckReport::default();
        let db = match engine.connect() {
            Err(why) if why.code() == Code::Corrupt => {
                let (kind, message) =
                    (ProblemKind::DamagedDatabase, format!("{why}; no entry can be reached"));
                let path = Some(engine.paths.database.clone());
                report.unreachable = 1;
                report.add(Problem { kind, message, key: None, path, fixed: fix });
                if !fix {
                    return Ok(report);
                }
                engine.rebuild(&mut *engine.primary(Wait::Yes)?, why)?;
                engine.connect()?
            }
            db => db?,
        };
        let mut check = Check { engine, db, fix, report, unclaimed: HashSet::new(), runs: None };
        check.run()?;
        Ok(check.report)
    }
}

/// A check under way.
struct Check<'a> {
    engine: &'a Engine,
    db: Db,
    fix: bool,
    report: CheckReport,
    /// Files that were an entry's when the walk began, less those whose entry was met.
    unclaimed: HashSet<u64>,
    /// Of a damaged database: the stretches of rows that can be read.
    runs: Option<Vec<(i64, u64)>>,
}

/// A row that needs a second look: not all of its entry is in it, or something is wrong with it.
struct Noticed {
    id: i64,
    seal: u64,
    key: Vec<u8>,
    digest: Digest,
    finding: Finding,
}

enum Finding {
    /// With what the row should say of its sizes, where it says something else.
    Apart(Header, Option<Sizes>),
    Sizes(Sizes),
    Damage(Error),
}

/// What a second look found.
struct Found {
    kind: ProblemKind,
    message: String,
    path: PathBuf,
    repair: Repair,
}

/// What is to be done to a row.
enum Repair {
    Discard { id: i64, seal: u64 },
    Resize { id: i64, seal: u64, sizes: Sizes },
    List { id: i64, seal: u64, write_id: u64, bytes: u64 },
    Carry { id: i64, seal: u64, write_id: u64 },
}

impl Check<'_> {
    fn run(&mut self) -> Result<()> {
        self.trees()?;
        if self.fix {
            self.engine.settle()?;
        }
        if self.runs.is_none() {
            self.unclaimed = self.read(Db::adopted)?.into_iter().collect();
        }
        self.entries()?;
        if self.runs.is_some() {
            return Ok(()); // what belongs to whom shows when all entries do
        }
        self.surplus()?;
        self.unclaimed_files()?;
        self.folders()?;
        self.account()
    }

    fn read<T>(&self, mut run: impl FnMut(&Db) -> Result<T>) -> Result<T> {
        patiently(self.engine.lock_timeout, || run(&self.db))
    }

    fn found(&mut self, problem: Problem) {
        self.report.add(problem);
    }

    /// The database as a whole. Mended at once, so that the walk meets no page that cannot be read.
    fn trees(&mut self) -> Result<()> {
        let Some(disorder) = self.read(Db::disorder)? else { return Ok(()) };
        let message = format!("the database is damaged: {disorder}");
        self.damaged_database(&message)
    }

    fn damaged_database(&mut self, message: &str) -> Result<()> {
        let path = self.engine.paths.database.clone();
        let walked = walk(&self.db, |_| true);
        let unreachable = walked.unreachable();
        self.report.unreachable += unreachable.unwrap_or(1);
        let cost = match unreachable {
            Some(0) => "all entries can be reached".to_owned(),
            Some(entries) => format!("about {entries} entries cannot be reached"),
            None => "no entry can be reached".to_owned(),
        };
        let message = format!("{message}; {cost}");
        self.runs = (!self.fix).then_some(walked.runs);
        if self.fix {
            let fault = Error::new(Code::Corrupt, message.clone()).at(&path);
            self.engine.rebuild(&mut *self.engine.primary(Wait::Yes)?, fault)?;
            self.db = self.engine.connect()?;
        }
        let kind = ProblemKind::DamagedDatabase;
        self.found(Problem { kind, message, key: None, path: Some(path), fixed: self.fix });
        Ok(())
    }

    fn entries(&mut self) -> Result<()> {
        for (first, rows) in self.runs.clone().unwrap_or_else(|| vec![(i64::MIN, u64::MAX)]) {
            let (mut from, mut left) = (Some(first), rows);
            while let Some(start) = from.filter(|_| left > 0) {
                match self.page(start, left) {
                    Ok((noticed, rows, next)) => {
                        self.judge(noticed)?;
                        left -= rows;
                        from = next;
                    }
                    Err(why) if why.code() == Code::Corrupt && (self.fix || self.runs.is_none()) => {
                        self.damaged_database(&why.to_string())?; // it came since the trees were looked at
                        if !self.fix {
                            return Ok(());
                        }
                    }
                    Err(why) if why.code() == Code::Corrupt => break,
                    Err(why) => return Err(why),
                }
            }
        }
        Ok(())
    }

    /// Looks at a page of up to `most` rows. Gives what needs a second look, how many rows there were, and where the next page starts.
    fn page(&mut self, from: i64, most: u64) -> Result<(Vec<Noticed>, u64, Option<i64>)> {
        let (now, keeping) = (self.engine.now(), &self.engine.keeping.strict());
        let (mut rows, mut bytes, mut expired) = (0, 0, 0);
        let (mut noticed, mut next) = (Vec::new(), None);
        self.read(|db| {
            (rows, bytes, expired, next) = (0, 0, 0, None);
            noticed.clear();
            db.audit(from, |row, sizes| {
                if rows == PAGE.0 || bytes >= PAGE.1 {
                    next = Some(row.id);
                    return false;
                }
                rows += 1;
                bytes += row.frame.len();
                expired += u64::from(row.is_expired(now));
                noticed.extend(look(keeping, &row, sizes));
                rows as u64 != most // no step behind the last: that page may be damaged
            })
        })?;
        self.report.entries += rows as u64;
        self.report.expired += expired;
        self.report.bytes += bytes.saturating_sub(rows * HEADER) as u64;
        Ok((noticed, rows as u64, next))
    }

    fn judge(&mut self, noticed: Vec<Noticed>) -> Result<()> {
        let mut repairs = Vec::new();
        let mut problems = Vec::new();
        for row in noticed {
            let found = match self.second_look(&row) {
                // What it has beside its row is on a page that cannot be read, which is told of already.
                Err(why) if why.code() == Code::Corrupt && self.runs.is_some() => None,
                found => found?,
            };
            if let Some(Found { kind, message, path, repair }) = found {
                repairs.push(repair);
                problems.push(Problem {
                    kind,
                    message,
                    key: Some(row.key),
                    path: Some(path),
                    fixed: self.fix,
                });
            }
        }
        if self.fix && !repairs.is_empty() {
            self.repair(&repairs)?;
        }
        problems.into_iter().for_each(|problem| self.found(problem));
        Ok(())
    }

    /// What is wrong with a row, if it is still there as it was.
    fn second_look(&mut self, row: &Noticed) -> Result<Option<Found>> {
        let Noticed { id, seal, .. } = *row;
        let path = self.engine.paths.database.clone();
        let found = match &row.finding {
            Finding::Damage(fault) => Some(Found {
                kind: ProblemKind::DamagedEntry,
                message: fault.to_string(),
                path,
                repair: Repair::Discard { id, seal },
            }),
            Finding::Sizes(sizes) => Some(wrong_sizes(row, *sizes, path)),
            Finding::Apart(header, sizes) => {
                let in_file = if header.in_file { self.look_at_file(row, *header)? } else { None };
                let beside = if header.has_extras { self.look_at_extras(row, *header)? } else { None };
                in_file.or(beside).or_else(|| sizes.map(|sizes| wrong_sizes(row, sizes, path)))
            }
        };
        let Some(found) = found else { return Ok(None) };
        let stays = self.read(|db| db.find(id, |now| now.seal == seal))?;
        Ok((stays == Some(true)).then_some(found))
    }

    fn look_at_file(&mut self, row: &Noticed, header: Header) -> Result<Option<Found>> {
        let Noticed { id, seal, .. } = *row;
        let write_id = header.write_id;
        let path = self.engine.blobs.path(write_id);
        self.unclaimed.remove(&write_id);
        let (kind, message) = match self.engine.verify_file(header, row.digest) {
            Ok(true) => {
                self.report.files += 1;
                self.report.bytes += header.stored_size;
                return self.look_at_account(row, header, path);
            }
            Ok(false) => (ProblemKind::MissingFile, "the file of an entry's value is missing".to_owned()),
            Err(fault) if fault.code() == Code::Corrupt => (ProblemKind::DamagedFile, fault.to_string()),
            Err(fault) => return Err(fault),
        };
        Ok(Some(Found { kind, message, path, repair: Repair::Discard { id, seal } }))
    }

    /// What the entry carries has to be there, and be found by its tags.
    fn look_at_extras(&self, row: &Noticed, header: Header) -> Result<Option<Found>> {
        let Noticed { id, seal, .. } = *row;
        let path = self.engine.paths.database.clone();
        let body = self.read(|db| db.body(id))?;
        let known = body.as_ref().and_then(|body| self.engine.keeping.open_extras(body, id, header.write_id));
        let Some(extras) = known else {
            let message = "the tags and metadata of an entry are damaged".to_owned();
            let repair = Repair::Discard { id, seal };
            return Ok(Some(Found { kind: ProblemKind::DamagedEntry, message, path, repair }));
        };
        for tag in &extras.tags {
            if !self.read(|db| db.is_tagged(&self.engine.keeping.tag(tag), id))? {
                let message = "an entry is not listed under one of its tags".to_owned();
                let repair = Repair::Carry { id, seal, write_id: header.write_id };
                return Ok(Some(Found { kind: ProblemKind::WrongAccount, message, path, repair }));
            }
        }
        Ok(None)
    }

    fn look_at_account(&self, row: &Noticed, header: Header, path: PathBuf) -> Result<Option<Found>> {
        let Noticed { id, seal, .. } = *row;
        let write_id = header.write_id;
        let bytes = size_on_disk(header.stored_size);
        let listed = self.read(|db| db.listed(write_id..=write_id))?;
        if listed.first().is_some_and(|file| file.owner.is_none() && file.bytes == bytes) {
            return Ok(None);
        }
        let message = "the file of an entry's value is not accounted for as such".to_owned();
        let repair = Repair::List { id, seal, write_id, bytes };
        Ok(Some(Found { kind: ProblemKind::WrongAccount, message, path, repair }))
    }

    /// Sets rows right in one transaction, unless they were written again since.
    fn repair(&self, repairs: &[Repair]) -> Result<()> {
        let files = self.engine.write(Wait::Yes, |transaction| {
            let mut files = Vec::new();
            for repair in repairs {
                match *repair {
                    Repair::Discard { id, seal } => {
                        let file = transaction.discard(id, seal)?.and_then(|removed| removed.file);
                        if let Some(file) = file {
                            transaction.condemn(file, self.engine.owner.id()?)?;
                            files.push(file);
                        }
                    }
                    Repair::Resize { id, seal, sizes } => transaction.resize(id, seal, sizes)?,
                    Repair::Carry { id, seal, write_id } => {
                        let body = transaction.db.body(id)?;
                        let known = body.as_ref().and_then(|body| Some((body, body.open(write_id)?)));
                        if let Some((body, extras)) = known
                            && transaction.db.find(id, |row| row.seal == seal)? == Some(true)
                        {
                            transaction.put_extras(id, write_id, &extras, &body.bytes)?;
                        }
                    }
                    Repair::List { id, seal, write_id, bytes } => {
                        if transaction.db.find(id, |row| row.seal == seal)? == Some(true) {
                            transaction.list(write_id, bytes)?;
                        }
                    }
                }
            }
            if !transaction.untraceable.take().is_empty() {
                self.engine.epochs.bump_all(); // the damage may be in the key
            }
            Ok(files)
        })?;
        self.engine.unlink(&files);
        Ok(())
    }

    /// What the side tables have of entries that are gone.
    fn surplus(&mut self) -> Result<()> {
        let rows = self.read(Db::surplus_extras)?;
        if rows == 0 {
            return Ok(());
        }
        if self.fix {
            self.engine.write(Wait::Yes, |transaction| transaction.drop_surplus_extras())?;
        }
        let message = format!("{rows} rows of tags and metadata belong to no entry");
        let path = Some(self.engine.paths.database.clone());
        let kind = ProblemKind::WrongAccount;
        self.found(Problem { kind, message, key: None, path, fixed: self.fix });
        Ok(())
    }

    /// Files that are listed as entries' and no entry points to. An entry that went while it was looked for has its file
    /// given to an owner in the same transaction.
    fn unclaimed_files(&mut self) -> Result<()> {
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
            let path = Some(self.engine.blobs.path(write_id));
            self.found(Problem { kind: ProblemKind::OrphanFile, message, key: None, path, fixed: self.fix });
        }
        Ok(())
    }

    /// What lies in the folders of values. A file is announced before it is created and a name is never used twice: so
    /// one that was seen first and is not listed afterwards is nobody's.
    fn folders(&mut self) -> Result<()> {
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
        let kind = ProblemKind::OrphanFile;
        self.found(Problem { kind, message: message.to_owned(), key: None, path: Some(path), fixed });
    }

    fn foreign(&mut self, path: PathBuf) {
        let message = "this was not made by the cache, and is left alone".to_owned();
        let kind = ProblemKind::ForeignFile;
        self.found(Problem { kind, message, key: None, path: Some(path), fixed: false });
    }

    fn account(&mut self) -> Result<()> {
        let (sum, accounted) = self.read(Db::file_account)?;
        if sum == accounted {
            return Ok(());
        }
        if self.fix {
            self.engine.write(Wait::Yes, |transaction| transaction.recount_files())?;
        }
        let message = format!("value files take {sum} bytes, and {accounted} are accounted for");
        let path = Some(self.engine.paths.database.clone());
        let kind = ProblemKind::WrongAccount;
        self.found(Problem { kind, message, key: None, path, fixed: self.fix });
        Ok(())
    }
}

/// Verifies a row as a read would. Nothing for one that is sound and whole by itself; a frame of a newer release is sound.
fn look(keeping: &Keeping, row: &EntryRow<'_>, listed: Sizes) -> Option<Noticed> {
    let digest = keeping.digest_of(row.key);
    let key = keeping.open_key(row.key).map(Cow::into_owned);
    let readable = key.is_ok();
    let key = key.unwrap_or_default();
    let noticed = |finding| Some(Noticed { id: row.id, seal: row.seal, key: key.clone(), digest, finding });
    let header = match Header::parse(row.frame) {
        Ok(header) => header,
        Err(newer) if newer.code() == Code::Format => return None,
        Err(fault) => return noticed(Finding::Damage(fault)),
    };
    let damage = |why: &str| noticed(Finding::Damage(Error::new(Code::Corrupt, why)));
    if digest.id() != row.id || !readable {
        return damage("an entry is not where its key belongs");
    }
    if row.seal != keeping.seal(row, digest, header.checksum) {
        return damage("the seal of an entry differs");
    }
    let sizes = Sizes { size: header.raw_size, stored: header.stored_size };
    let payload = &row.frame[HEADER..];
    let apart = || noticed(Finding::Apart(header, (sizes != listed).then_some(sizes)));
    if header.in_file {
        return if payload.is_empty() { apart() } else { damage("an entry has its value twice") };
    }
    let opened = match keeping.payload(header, digest, payload) {
        Ok(opened) => opened,
        Err(fault) => return noticed(Finding::Damage(fault)),
    };
    if !header.is_plausible(&opened) {
        return damage("an entry announces more than its payload can hold, or an unknown codec");
    }
    if header.has_extras {
        return apart();
    }
    if sizes == listed { None } else { noticed(Finding::Sizes(sizes)) }
}

fn wrong_sizes(row: &Noticed, sizes: Sizes, path: PathBuf) -> Found {
    let message = "the sizes that are listed of an entry are not those of its value".to_owned();
    let repair = Repair::Resize { id: row.id, seal: row.seal, sizes };
    Found { kind: ProblemKind::WrongAccount, message, path, repair }
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

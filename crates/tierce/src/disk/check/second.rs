//! The second look at a row, with what it has beside it, and its repair.

use std::path::PathBuf;

use super::Check;
use super::look::{Finding, Noticed};
use super::report::{Problem, ProblemKind};
use crate::disk::Wait;
use crate::disk::db::Sizes;
use crate::error::{Code, Result};
use crate::frame::{Header, size_on_disk};

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
    pub(super) fn judge(&mut self, noticed: Vec<Noticed>) -> Result<()> {
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
        problems.into_iter().for_each(|problem| self.report.add(problem));
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
}

fn wrong_sizes(row: &Noticed, sizes: Sizes, path: PathBuf) -> Found {
    let message = "the sizes that are listed of an entry are not those of its value".to_owned();
    let repair = Repair::Resize { id: row.id, seal: row.seal, sizes };
    Found { kind: ProblemKind::WrongAccount, message, path, repair }
}

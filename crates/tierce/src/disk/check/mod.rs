//! The full check: every page, every entry, every file, and the account of them; and the repair.
//!
//! It walks in pages on a connection of its own. No read transaction lasts longer than a page of rows, but for the one
//! that examines the trees; the write lock is taken only to repair, a page at a time. So caches stay in use meanwhile:
//! what is written again between a look and the next is looked at again before it is called damaged.

mod files;
mod look;
mod report;
mod second;

use std::collections::HashSet;
use std::path::PathBuf;

use look::{Noticed, look};
pub use report::{CheckReport, Problem, ProblemKind};

use super::db::Db;
use super::engine::Engine;
use super::salvage::walk;
use super::{Wait, patiently};
use crate::Cache;
use crate::error::{Code, Error, Result};
use crate::frame::HEADER;

/// Rows of a page, and bytes of rows after which it ends early.
const PAGE: (usize, usize) = (512, 4 << 20);

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

    /// Reports what is about no entry, or about one whose key is not known.
    fn found(&mut self, kind: ProblemKind, message: String, path: PathBuf, fixed: bool) {
        self.report.add(Problem { kind, message, key: None, path: Some(path), fixed });
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
        self.found(ProblemKind::DamagedDatabase, message, path, self.fix);
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
        let path = self.engine.paths.database.clone();
        self.found(ProblemKind::WrongAccount, message, path, self.fix);
        Ok(())
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
        let path = self.engine.paths.database.clone();
        self.found(ProblemKind::WrongAccount, message, path, self.fix);
        Ok(())
    }
}

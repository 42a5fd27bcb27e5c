//! A write transaction on the metadata database: its statements on entries and value files, and what it counts of them.

use std::cell::{Cell, RefCell};

use rusqlite::{Row, params};

use super::super::row::{EntryRow, Growth, Place, Removed, Standing, weight};
use super::columns::{blob, removed};
use super::{Db, SPILL, wal_file};
use crate::error::{Code, Error, Result};
use crate::frame::{Header, size_on_disk};

impl Db {
    /// Starts a write transaction, or fails at once with [`Code::LockTimeout`].
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.release()?;
        self.run("BEGIN IMMEDIATE")?;
        Ok(Transaction::new(self))
    }

    /// Runs several reads on one snapshot.
    pub fn snapshot<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.release()?;
        if !self.conn.is_autocommit() {
            return run(); // in a transaction: its own snapshot
        }
        self.run("BEGIN")?;
        let _ends = Transaction::new(self); // also when `run` panics
        run()
    }
}

/// An open write transaction: rolled back unless committed, also when a panic unwinds through it.
pub(in crate::disk) struct Transaction<'db> {
    pub(in crate::disk) db: &'db Db,
    open: bool,
    spills: Cell<bool>,
    /// Rows that came, less those that went.
    pub(in crate::disk) grown: Cell<i64>,
    /// The same with their sizes, for [`Db::sums`]; `None` once something changed that is not known row by row.
    sized: Cell<Option<Growth>>,
    /// Keys, as their rows had them, of victims and of damaged entries that may have had tags: no invalidation finds them any
    /// more, so no memory tier may keep them.
    pub(in crate::disk) untraceable: RefCell<Vec<Vec<u8>>>,
    /// Entries whose rows of metadata went for the unique values of others, with what they were brought by and what is wrong if
    /// they stay; `None` where none may.
    pub(super) displaced: RefCell<Option<Vec<Displaced>>>,
}

pub(super) type Displaced = (i64, Option<i64>, Error);

impl<'db> Transaction<'db> {
    pub(super) fn new(db: &'db Db) -> Self {
        let sized = Cell::new(Some(Growth::default()));
        Self {
            db,
            open: true,
            spills: Cell::default(),
            grown: Cell::new(0),
            sized,
            untraceable: RefCell::default(),
            displaced: RefCell::default(),
        }
    }
}

impl Transaction<'_> {
    /// From now on it writes what it changes into the log before it commits, where that is much: not all of it is in memory then.
    pub fn spill(&self) -> Result<()> {
        self.spills.set(true);
        self.db.spill(SPILL.0)
    }

    /// Makes everything visible at once.
    pub fn commit(mut self) -> Result<()> {
        #[cfg(unix)] // elsewhere an open file cannot be removed
        self.db.check_place()?;
        self.db.run("COMMIT")?;
        self.open = false;
        let known = self.db.sums.take().zip(self.sized.get());
        self.db.sums.set(known.map(|((version, sums), grown)| (version, sums.and(grown))));
        Ok(())
    }

    /// Counts a row that came, or one that went.
    pub(in crate::disk) fn tally(&self, by: i64, sizes: Option<(u64, u64)>) {
        self.tally_all(sizes.map(|sizes| Growth::row(by, sizes)));
    }

    /// Counts many; `None` where that is not known.
    pub(in crate::disk) fn tally_all(&self, more: Option<Growth>) {
        self.sized.set(self.sized.get().zip(more).map(|(grown, more)| grown.and(more)));
    }

    /// Writes a row. One of its id that lives at `now` gives it its place, and `noted` uses more. Gives where the row
    /// stands, and what stood there before.
    pub fn put(
        &self,
        row: &mut EntryRow<'_>,
        header: Header,
        noted: i64,
        now: u64,
    ) -> Result<(Standing, Option<(Standing, Removed)>)> {
        let old = match self.look(row.id)? {
            Some((standing, removed)) => self.gone(Some(removed))?.map(|removed| (standing, removed)),
            None => None,
        };
        row.place = match &old {
            Some((old, _)) if !old.is_expired(now) => {
                Place { earlier: old.uses().saturating_add(noted).saturating_add(1), ..old.place }
            }
            _ => Place { entered: row.accessed, ..Place::default() },
        };
        self.db.insert(row, header.raw_size, header.stored_size)?;
        self.grown.set(self.grown.get() + 1);
        self.tally(1, Some((header.raw_size, header.stored_size)));
        let bytes = (row.key.len() + row.frame.len()) as u64;
        let file = if header.in_file { size_on_disk(header.stored_size) } else { 0 };
        let standing = Standing {
            id: row.id,
            accessed: row.accessed,
            hits: row.hits as i64,
            expires: row.expires,
            place: row.place,
            weight: weight(bytes) + file,
        };
        Ok((standing, old))
    }

    /// Gives a row another frame, with the seal that belongs to it: everything else stays.
    pub fn amend(&self, id: i64, seal: u64, frame: &[u8], header: Header) -> Result<()> {
        self.tally(0, None);
        let sql = "UPDATE entries SET seal = ?2, frame = ?3, size = ?4, stored = ?5 WHERE id = ?1";
        let (size, stored) = (header.raw_size as i64, header.stored_size as i64);
        self.db.change(sql, params![id, seal as i64, frame, size, stored]).map(|_| ())
    }

    /// Puts an entry back that was salvaged, with its file.
    pub fn restore(&self, row: &EntryRow<'_>, header: Header) -> Result<()> {
        self.tally(0, None);
        self.db.insert(row, header.raw_size, header.stored_size)?;
        if header.in_file {
            let bytes = size_on_disk(header.stored_size);
            let sql = "INSERT INTO files (write_id, bytes, owner) VALUES (?1, ?2, NULL)";
            self.db.change(sql, [header.write_id as i64, bytes as i64])?;
            self.add_file_bytes(bytes as i64)?;
        }
        Ok(())
    }

    /// Whether the database knows a value file, whoever answers for it.
    pub fn lists(&self, write_id: u64) -> Result<bool> {
        let listed = self.db.one("SELECT 1 FROM files WHERE write_id = ?1", [write_id as i64], |_| Ok(()))?;
        Ok(listed.is_some())
    }

    /// Deletes the row of a key; gives what left, and whether it had not expired at `now`.
    pub fn delete(&self, id: i64, key: &[u8], now: u64) -> Result<Option<(Removed, bool)>> {
        let deleted = self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND key = ?2 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40), mark, \
             (expires IS NULL OR expires > ?3) AND (fresh IS NULL OR fresh > ?3)",
            params![id, key, now as i64],
            |row| Ok((removed(row)?, row.get(4)?)),
        )?;
        let Some((removed, was_live)) = deleted else { return Ok(None) };
        Ok(self.gone(Some(removed))?.map(|removed| (removed, was_live)))
    }

    /// Gives a row new times, with the seal that belongs to them.
    pub fn renew(&self, row: &EntryRow<'_>) -> Result<()> {
        let times = params![
            row.id,
            row.seal as i64,
            row.expires.map(|ms| ms as i64),
            row.freshness.until.map(|ms| ms as i64)
        ];
        self.db
            .change("UPDATE entries SET seal = ?2, expires = ?3, fresh = ?4 WHERE id = ?1", times)
            .map(|_| ())
    }

    /// As [`Db::find`].
    pub fn find<T>(&self, id: i64, read: impl FnOnce(EntryRow<'_>) -> T) -> Result<Option<T>> {
        self.db.find(id, read)
    }

    /// [`removed`], with the key behind it, of a row that nobody asked to remove.
    pub(in crate::disk) fn untraced(&self, row: &Row<'_>) -> rusqlite::Result<Removed> {
        let gone = removed(row)?;
        if gone.has_extras {
            self.untraceable.borrow_mut().push(blob(row, 4)?.to_vec());
        }
        Ok(gone)
    }

    /// Deletes a damaged row, unless it was written again since.
    pub fn discard(&self, id: i64, seal: u64) -> Result<Option<Removed>> {
        let damaged = self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND seal = ?2 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40), mark, key",
            params![id, seal as i64],
            |row| self.untraced(row),
        )?;
        self.tally(0, None); // what it says of its sizes may be the damage
        self.gone(damaged)
    }

    /// Bytes of the pages that hold something and of the value files.
    pub fn bytes_in_use(&self) -> Result<u64> {
        self.db.bytes_in_use()
    }

    /// Deletes every entry, condemns every file to `owner`, names the files, and counts the entries.
    pub fn clear(&self, owner: i64) -> Result<(Vec<u64>, u64)> {
        let files = self.db.entry_files()?;
        let gone = self.db.change("DELETE FROM entries", [])?;
        self.forget_count()?;
        self.tally(0, None);
        self.clear_extras()?;
        self.db.change("UPDATE files SET owner = ?1 WHERE owner IS NULL", [owner])?;
        self.db.change("UPDATE facts SET value = 0 WHERE name = 'file_bytes'", [])?;
        Ok((files, gone as u64))
    }

    /// Records accesses: the tick of the newest, and how many there were.
    pub fn touch(&self, id: i64, accessed: i64, hits: u32) -> Result<()> {
        self.db
            .change(
                "UPDATE entries SET accessed = ?2, hits = hits + ?3 WHERE id = ?1 AND accessed < ?2",
                params![id, accessed, hits],
            )
            .map(|_| ())
    }

    /// Announces a file that is going to be written by `owner`.
    pub fn announce(&self, write_id: u64, bytes: u64, owner: i64) -> Result<()> {
        self.db
            .change(
                "INSERT INTO files (write_id, bytes, owner) VALUES (?1, ?2, ?3)",
                params![write_id as i64, bytes as i64, owner],
            )
            .map(|_| ())
    }

    /// The announced file belongs to an entry from now on.
    pub fn adopt(&self, write_id: u64, bytes: u64) -> Result<()> {
        if self.db.change("UPDATE files SET owner = NULL WHERE write_id = ?1", [write_id as i64])? != 1 {
            let why = "the database was rebuilt since a value file was announced: try again";
            return Err(Error::new(Code::Transaction, why).at(&self.db.path));
        }
        self.add_file_bytes(bytes as i64)
    }

    /// The file's entry is gone: `owner` will unlink it after the commit.
    pub fn condemn(&self, write_id: u64, owner: i64) -> Result<()> {
        let sql = "UPDATE files SET owner = ?2 WHERE write_id = ?1 AND owner IS NULL RETURNING bytes";
        match self.db.one(sql, params![write_id as i64, owner], |row| row.get::<_, i64>(0))? {
            Some(bytes) => self.add_file_bytes(-bytes),
            None => Ok(()),
        }
    }

    /// Forgets files that are unlinked.
    pub fn forget(&self, write_ids: &[u64]) -> Result<()> {
        for write_id in write_ids {
            self.db
                .change("DELETE FROM files WHERE write_id = ?1 AND owner IS NOT NULL", [*write_id as i64])?;
        }
        Ok(())
    }

    /// Takes up to so many free pages off the end of the file.
    pub fn vacuum(&self, pages: u32) -> Result<()> {
        self.db.wrap(self.db.conn.execute_batch(&format!("PRAGMA incremental_vacuum({pages})")))
    }

    /// Counts the files that belong to entries anew.
    pub fn recount_files(&self) -> Result<()> {
        let sql = "UPDATE facts SET value = (SELECT CAST(total(bytes) AS INTEGER) FROM files WHERE owner IS NULL) \
                   WHERE name = 'file_bytes'";
        self.db.change(sql, []).map(|_| ())
    }

    fn add_file_bytes(&self, bytes: i64) -> Result<()> {
        self.db
            .change("UPDATE facts SET value = max(0, value + ?1) WHERE name = 'file_bytes'", [bytes])
            .map(|_| ())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            if !self.db.conn.is_autocommit() {
                let _ = self.db.run("ROLLBACK"); // nothing was acknowledged
            }
            wal_file::forget(&self.db.conn);
        }
        if self.spills.get() {
            let _ = self.db.spill(SPILL.1);
        }
    }
}

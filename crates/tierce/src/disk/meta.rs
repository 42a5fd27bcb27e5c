//! The statements on the metadata database: rows in, rows out. Nothing here decides anything.
//!
//! Here and in `db.rs` is all SQL of the crate; `docs/on-disk-format.md` explains every column.

use std::cell::{Cell, RefCell};

use rusqlite::types::ValueRef;
use rusqlite::{Row, Rows, params};

use super::db::{Db, PAGE_SIZE, SCHEMA, damaged, settings};
use super::finder::{Finder, Found};
use super::listing::{Listing, end_of};
use super::row::{EntryRow, Freshness, Growth, Place, Removed, Standing, Sums, weight};
use crate::error::{Code, Error, Result};
use crate::frame::{Header, size_on_disk};

/// `hits` is stored with this added, so that its width never changes and an access overwrites its cell in place.
pub(super) const HITS_BIAS: i64 = 1 << 40;

impl Db {
    /// Makes an empty database: settings that only an empty file takes, then schema, stamps and what `fill` puts
    /// into it in one transaction.
    pub fn create(
        &self,
        user_version: i32,
        generation: i64,
        fill: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        self.wrap(self.conn.execute_batch(&settings()))?;
        self.log_writes()?;
        self.run("BEGIN EXCLUSIVE")?;
        let transaction = Transaction::new(self);
        self.wrap(self.conn.execute_batch(&format!(
            "{}; INSERT INTO facts VALUES ('generation', {generation}), ('file_bytes', 0), ('entries', 0), ('counted', 0)",
            SCHEMA.join("; ")
        )))?;
        self.restamp(user_version)?;
        fill(&transaction)?;
        transaction.commit()
    }

    /// Starts a write transaction, or fails at once with [`Code::LockTimeout`].
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.release()?;
        self.run("BEGIN IMMEDIATE")?;
        Ok(Transaction::new(self))
    }

    /// Writes a row in the place of any other of its id.
    pub fn insert(&self, row: &EntryRow<'_>, size: u64, stored: u64) -> Result<()> {
        self.insert_by(
            "INSERT OR REPLACE INTO entries (id, seal, accessed, hits, created, expires, fresh, cost, size, stored, \
             entered, earlier, mark, key, frame) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            row,
            size,
            stored,
        )
    }

    /// Writes a row unless a newer one of its id is there: a damaged tree can hold both.
    pub fn insert_newest(&self, row: &EntryRow<'_>, size: u64, stored: u64) -> Result<()> {
        self.insert_by(
            "INSERT INTO entries (id, seal, accessed, hits, created, expires, fresh, cost, size, stored, \
             entered, earlier, mark, key, frame) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
             ON CONFLICT (id) DO UPDATE SET seal = excluded.seal, accessed = excluded.accessed, hits = excluded.hits, \
             created = excluded.created, expires = excluded.expires, fresh = excluded.fresh, cost = excluded.cost, \
             size = excluded.size, stored = excluded.stored, entered = excluded.entered, earlier = excluded.earlier, \
             mark = excluded.mark, key = excluded.key, frame = excluded.frame \
             WHERE (excluded.created, excluded.accessed) > (entries.created, entries.accessed)",
            row,
            size,
            stored,
        )
    }

    fn insert_by(&self, sql: &str, row: &EntryRow<'_>, size: u64, stored: u64) -> Result<()> {
        self.change(
            sql,
            params![
                row.id,
                row.seal as i64,
                row.accessed,
                row.hits as i64 + HITS_BIAS,
                row.created as i64,
                row.expires.map(|ms| ms as i64),
                row.freshness.until.map(|ms| ms as i64),
                Some(row.freshness.cost).filter(|ms| *ms > 0),
                size as i64,
                stored as i64,
                row.place.entered,
                row.place.earlier,
                row.place.mark(),
                row.key,
                row.frame
            ],
        )
        .map(|_| ())
    }

    /// Hands the row with this id to `read`, borrowed from the page it is on.
    pub fn find<T>(&self, id: i64, read: impl FnOnce(EntryRow<'_>) -> T) -> Result<Option<T>> {
        if let Some(finder) = self.finder.get_or_init(|| Finder::new(&self.conn)) {
            match finder.find(id) {
                Found::Row(held) => return Ok(Some(read(held.row()))),
                Found::Nothing => return Ok(None),
                Found::Failed => {}
            }
        }
        self.one(
            "SELECT id, seal, accessed, hits, created, expires, fresh, cost, key, frame FROM entries WHERE id = ?1",
            [id],
            |row| Ok(read(entry_row(row)?)),
        )
    }

    /// Hands a page of rows to `each`, in the order of ids.
    pub fn page(&self, listing: &Listing<'_>, mut each: impl FnMut(EntryRow<'_>)) -> Result<()> {
        const ROWS: &str = "SELECT id, seal, accessed, hits, created, expires, fresh, cost, key, frame FROM entries WHERE id > ?1";
        let Listing { after, limit, prefixes, expiring } = *listing;
        let [first, second] = prefixes.map_or([None, None], |two| two.map(Some));
        let mut walk = || {
            if prefixes.is_none() && !expiring {
                let mut statement = self.conn.prepare_cached(&format!("{ROWS} ORDER BY id LIMIT ?2"))?;
                return hand(statement.query(params![after, limit])?, &mut each);
            }
            let mut statement = self.conn.prepare_cached(&format!(
                "{ROWS} AND (?3 IS NULL OR (key >= ?3 AND (?4 IS NULL OR key < ?4)) \
                 OR (key >= ?5 AND (?6 IS NULL OR key < ?6))) AND (?7 = 0 OR coalesce(fresh, expires) IS NOT NULL) ORDER BY id LIMIT ?2"
            ))?;
            let (end, second_end) = (first.and_then(end_of), second.and_then(end_of));
            hand(statement.query(params![after, limit, first, end, second, second_end, expiring])?, &mut each)
        };
        self.wrap(walk())
    }

    /// Hands the rows with ids from `low` to `high` to `each`, in the order of ids, until it is false.
    pub fn range(&self, low: i64, high: i64, mut each: impl FnMut(EntryRow<'_>) -> bool) -> Result<()> {
        let mut walk = || {
            let mut statement = self.conn.prepare_cached(
                "SELECT id, seal, accessed, hits, created, expires, fresh, cost, key, frame, entered, earlier, mark \
                 FROM entries WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )?;
            let mut rows = statement.query([low, high])?;
            while let Some(row) = rows.next()? {
                let place =
                    Place { entered: integer(row, 10)?, earlier: integer(row, 11)?, ..Place::default() };
                if !each(EntryRow { place: place.with_mark(integer(row, 12)?), ..entry_row(row)? }) {
                    break;
                }
            }
            Ok(())
        };
        self.wrap(walk())
    }

    /// Whether the trees of the database are in order. Reads all of it.
    pub fn is_whole(&self) -> Result<bool> {
        match self.verdict("PRAGMA quick_check(1)") {
            Ok(verdict) => Ok(verdict.is_some_and(|verdict| verdict == "ok")),
            Err(why) if why.code() == Code::Corrupt => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// What a check of the whole database finds first; fails where the disk could not be read, which it takes for damage.
    pub fn verdict(&self, check: &str) -> Result<Option<String>> {
        let failed = super::honest::failed_reads();
        let verdict = self.one(check, [], |row| row.get(0))?;
        if super::honest::failed_reads() == failed {
            return Ok(verdict);
        }
        let shown = self.path.display();
        let message = format!("the disk failed while reading {shown}: check the disk and its file system");
        Err(Error::new(Code::Unavailable, message).at(&self.path))
    }

    /// Pages of the file.
    pub fn pages(&self) -> Result<u64> {
        self.one("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map(|count| count.unwrap_or(0) as u64)
    }

    /// What is stored, expired entries included. Counted once: then what this connection commits is added, until another one
    /// commits something.
    pub fn sums(&self) -> Result<Sums> {
        if let Some(sums) = self.known_sums()? {
            return Ok(sums);
        }
        let (version, sums) = self.snapshot(|| Ok((self.version()?, self.count()?)))?;
        self.sums.set(Some((version, sums)));
        Ok(sums)
    }

    /// What is stored, where that is known without counting.
    pub fn known_sums(&self) -> Result<Option<Sums>> {
        let Some((version, sums)) = self.sums.get() else { return Ok(None) };
        Ok((self.version()? == version).then_some(sums))
    }

    fn count(&self) -> Result<Sums> {
        self.sums_of("FROM entries", [])
    }

    /// The sums of some rows.
    pub fn sums_of(&self, rows: &str, params: impl rusqlite::Params) -> Result<Sums> {
        let row =
            self.one(&format!("SELECT count(*), total(size), total(stored) {rows}"), params, |row| {
                Ok(Sums {
                    entries: row.get::<_, i64>(0)? as u64,
                    size: row.get::<_, f64>(1)? as u64,
                    stored: row.get::<_, f64>(2)? as u64,
                })
            })?;
        row.ok_or_else(|| damaged(&self.path, "a count gave no row"))
    }

    /// Bytes of the pages that hold something and of the value files.
    pub fn bytes_in_use(&self) -> Result<u64> {
        let free = self.free_pages()?;
        let files = self.fact("file_bytes")?.max(0) as u64;
        Ok((self.pages()?.saturating_sub(free) * PAGE_SIZE).saturating_add(files))
    }

    /// Pages of the file that hold nothing.
    pub fn free_pages(&self) -> Result<u64> {
        self.one("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)).map(|free| free.unwrap_or(0) as u64)
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

    /// A number kept for the whole cache: `generation` or `file_bytes`.
    pub fn fact(&self, name: &str) -> Result<i64> {
        let value = self.one("SELECT value FROM facts WHERE name = ?1", [name], |row| row.get(0))?;
        value.ok_or_else(|| damaged(&self.path, "a fact is missing"))
    }

    /// Owners of files that are announced or condemned.
    pub fn file_owners(&self) -> Result<Vec<i64>> {
        self.all("SELECT DISTINCT owner FROM files WHERE owner IS NOT NULL", [], |row| row.get(0))
    }

    /// The files that entries point to.
    pub fn entry_files(&self) -> Result<Vec<u64>> {
        let sql = "SELECT write_id FROM files WHERE owner IS NULL";
        self.all(sql, [], |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// The announced and condemned files of one owner.
    pub fn files_of(&self, owner: i64) -> Result<Vec<u64>> {
        self.all("SELECT write_id FROM files WHERE owner = ?1", [owner], |row| {
            Ok(row.get::<_, i64>(0)? as u64)
        })
    }
}

/// An open write transaction: rolled back unless committed, also when a panic unwinds through it.
pub(super) struct Transaction<'db> {
    pub(super) db: &'db Db,
    open: bool,
    /// Rows that came, less those that went.
    pub(super) grown: Cell<i64>,
    /// The same with their sizes, for [`Db::sums`]; `None` once something changed that is not known row by row.
    sized: Cell<Option<Growth>>,
    /// Keys, as their rows had them, of victims and of damaged entries that may have had tags: no invalidation finds them any
    /// more, so no memory tier may keep them.
    pub(super) untraceable: RefCell<Vec<Vec<u8>>>,
}

impl<'db> Transaction<'db> {
    fn new(db: &'db Db) -> Self {
        let sized = Cell::new(Some(Growth::default()));
        Self { db, open: true, grown: Cell::new(0), sized, untraceable: RefCell::default() }
    }
}

impl Transaction<'_> {
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
    pub(super) fn tally(&self, by: i64, sizes: Option<(u64, u64)>) {
        self.tally_all(sizes.map(|sizes| Growth::row(by, sizes)));
    }

    /// Counts many; `None` where that is not known.
    pub(super) fn tally_all(&self, more: Option<Growth>) {
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
    pub(super) fn untraced(&self, row: &Row<'_>) -> rusqlite::Result<Removed> {
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
        if self.open && !self.db.conn.is_autocommit() {
            let _ = self.db.run("ROLLBACK"); // nothing was acknowledged
        }
    }
}

fn hand(mut rows: Rows<'_>, each: &mut impl FnMut(EntryRow<'_>)) -> rusqlite::Result<()> {
    while let Some(row) = rows.next()? {
        each(entry_row(row)?);
    }
    Ok(())
}

pub(super) fn entry_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<EntryRow<'r>> {
    Ok(EntryRow {
        id: row.get(0)?,
        seal: integer(row, 1)? as u64,
        accessed: integer(row, 2)?,
        hits: integer(row, 3)?.saturating_sub(HITS_BIAS).max(0) as u64,
        created: integer(row, 4)? as u64,
        expires: moment(row, 5)?,
        freshness: Freshness { until: moment(row, 6)?, cost: u32::try_from(integer(row, 7)?).unwrap_or(0) },
        place: Place::default(),
        key: blob(row, 8)?,
        frame: blob(row, 9)?,
    })
}

/// A time, or none.
pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => Ok(Some(integer(row, column)? as u64)),
    }
}

/// What leaves: id, bytes of key and frame, the frame's header, mark. A row that is deleted goes through
/// [`Transaction::gone`], so that nothing of it stays in the side tables and the number of entries is right.
pub(super) fn removed(row: &Row<'_>) -> rusqlite::Result<Removed> {
    Ok(leaving(row.get(0)?, integer(row, 1)? as u64, blob(row, 2)?, integer(row, 3)? & 1 == 1))
}

/// What leaves with a row of so many bytes.
pub(super) fn leaving(id: i64, bytes: u64, header: &[u8], main: bool) -> Removed {
    let header = Header::parse(header).ok();
    let file = header.filter(|header| header.in_file);
    Removed {
        id,
        bytes,
        has_extras: header.is_none_or(|header| header.has_extras),
        file: file.map(|header| header.write_id),
        file_bytes: file.map_or(0, |header| size_on_disk(header.stored_size)),
        main,
        sizes: header.map(|header| (header.raw_size, header.stored_size)),
    }
}

/// A damaged row can hold any type in any column: its seal tells.
pub(super) fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    match row.get_ref(column)? {
        ValueRef::Integer(number) => Ok(number),
        _ => Ok(0),
    }
}

/// As [`integer`].
pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
        _ => Ok(&[]),
    }
}

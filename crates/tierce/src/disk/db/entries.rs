//! The statements on entries: rows in and out, what they sum up to, and which files are theirs. Nothing here decides anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Rows, params};

use super::super::listing::{Listing, end_of};
use super::super::row::{EntryRow, Place, Sums};
use super::Db;
use super::columns::{HITS_BIAS, entry_row, integer};
use super::error::damaged;
use super::finder::{Finder, Found};
use super::schema::PAGE_SIZE;
use crate::error::{Code, Error, Result};

/// Steps of a statement after which it looks whether it is to be given up.
const STEPS: i32 = 10_000;

impl Db {
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

    /// Statements of this connection fail once that is so, however long they take.
    pub fn give_up_when(&mut self, is_so: &Arc<AtomicBool>) -> Result<()> {
        let is_so = Arc::clone(is_so);
        let told = self.conn.progress_handler(STEPS, Some(move || is_so.load(Ordering::Relaxed)));
        self.wrap(told)
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

fn hand(mut rows: Rows<'_>, each: &mut impl FnMut(EntryRow<'_>)) -> rusqlite::Result<()> {
    while let Some(row) = rows.next()? {
        each(entry_row(row)?);
    }
    Ok(())
}

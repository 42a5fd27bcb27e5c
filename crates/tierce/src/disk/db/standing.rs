//! The statements that eviction policies need: who stands where, who goes, and how many there are.

use rusqlite::{Row, StatementStatus, params};

use super::super::cleanup::{Stretch, Validity};
use super::super::row::{Place, Removed, Standing, weight};
use super::Db;
use super::columns::{HITS_BIAS, blob, integer, leaving, moment};
use super::transaction::Transaction;
use crate::error::Result;
use crate::frame::{HEADER, size_on_disk};

/// Steps of SQLite's machine for each row found, below which nearly every row was one.
const STEPS_A_HIT: u64 = 24;
/// Columns of [`standing`], in its order.
const STANDING: &str =
    "id, accessed, hits, expires, entered, earlier, mark, length(key), length(frame), stored";

impl Db {
    /// Changes when another connection has committed.
    pub fn version(&self) -> Result<i64> {
        self.one("PRAGMA data_version", [], |row| row.get(0)).map(Option::unwrap_or_default)
    }
}

impl Db {
    /// Up to `most` rows from `from` on whose time has passed. `None` where there are none.
    pub fn expired(&self, from: i64, now: u64, most: u64) -> Result<Option<Stretch>> {
        let find = || {
            let mut statement = self.conn.prepare_cached(
                "SELECT id, substr(frame, 8, 1) NOT IN (x'00', x'04') FROM entries \
                 WHERE id >= ?1 AND expires <= ?2 ORDER BY id LIMIT ?3",
            )?;
            statement.reset_status(StatementStatus::VmStep);
            let (mut ids, mut special) = (Vec::new(), Vec::new());
            let mut rows = statement.query(params![from, now as i64, most as i64])?;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                ids.push(id);
                if integer(row, 1)? != 0 {
                    special.push(id);
                }
            }
            drop(rows);
            let steps = u64::from(statement.get_status(StatementStatus::VmStep).unsigned_abs());
            Ok((ids, special, steps))
        };
        let (ids, special, steps) = self.wrap(find())?;
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(None) };
        let count = ids.len() as u64;
        let (first, last, is_dense) = (*first, *last, steps < count * STEPS_A_HIT);
        Ok(Some(Stretch { first, last, is_dense, special, ids }))
    }

    /// The rows from `first` to `last` whose time has passed and which have something beside them: their frames' flags say so.
    pub fn special(&self, first: i64, last: i64, now: u64) -> Result<Vec<i64>> {
        let sql = "SELECT id FROM entries WHERE id BETWEEN ?1 AND ?2 AND expires <= ?3 \
                   AND substr(frame, 8, 1) NOT IN (x'00', x'04')";
        self.all(sql, params![first, last, now as i64], |row| row.get(0))
    }

    /// What has expired, and what plain reads find.
    pub fn validity(&self, now: u64) -> Result<Validity> {
        let sql = "SELECT count(*) FILTER (WHERE expires <= ?1), count(*) FILTER (WHERE live), total(size) FILTER (WHERE live) FROM \
                   (SELECT expires, size, ifnull(expires > ?1, TRUE) AND ifnull(fresh > ?1, TRUE) AS live FROM entries)";
        let found = self.one(sql, [now as i64], |row| {
            let (expired, valid) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
            Ok(Validity { expired, valid, valid_size: row.get::<_, f64>(2)? as u64 })
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Transaction<'_> {
    /// Deletes the rows from `first` to `last` whose time has passed and which have nothing beside them.
    pub fn expire_plain(&self, first: i64, last: i64, now: u64) -> Result<u64> {
        const ROWS: &str = "FROM entries WHERE id BETWEEN ?1 AND ?2 AND expires <= ?3 AND substr(frame, 8, 1) IN (x'00', x'04')";
        let bounds = params![first, last, now as i64];
        // A look at rows takes a tenth of deleting them, and spares the next stats a look at all that are left.
        let going = match self.db.sums.get() {
            Some(_) => Some(self.db.sums_of(ROWS, bounds)?),
            None => None,
        };
        let count = self.db.change(&format!("DELETE {ROWS}"), bounds)?;
        self.grown.set(self.grown.get() - count as i64);
        self.tally_all(going.map(|sums| sums.gone()));
        Ok(count as u64)
    }

    /// Whether any row can have something beside it.
    pub fn has_special(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM files) OR EXISTS (SELECT 1 FROM extras) OR EXISTS (SELECT 1 FROM tags) \
                   OR EXISTS (SELECT 1 FROM declared)";
        Ok(self.db.one(sql, [], |row| row.get(0))?.unwrap_or(true))
    }

    /// Deletes the rows from `first` to `last` whose time has passed, where nothing is beside them any more. So many go that
    /// what is left is counted sooner than they are.
    pub fn expire_all(&self, first: i64, last: i64, now: u64) -> Result<u64> {
        let sql = "DELETE FROM entries WHERE id BETWEEN ?1 AND ?2 AND expires <= ?3";
        let count = self.db.change(sql, params![first, last, now as i64])?;
        self.grown.set(self.grown.get() - count as i64);
        self.tally_all(None);
        Ok(count as u64)
    }

    /// Shows where every row stands.
    pub fn standings(&self, mut look: impl FnMut(Standing)) -> Result<()> {
        let mut scan = || {
            let mut statement = self.db.conn.prepare_cached(&format!("SELECT {STANDING} FROM entries"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                look(standing(row)?);
            }
            Ok(())
        };
        self.db.wrap(scan())
    }

    /// Where one row stands.
    pub fn standing(&self, id: i64) -> Result<Option<Standing>> {
        // The text is spelt out: this runs for each eviction.
        let sql = "SELECT id, accessed, hits, expires, entered, earlier, mark, length(key), length(frame), stored \
                   FROM entries WHERE id = ?1";
        self.db.one(sql, [id], standing)
    }

    /// As [`Transaction::standing`], with what leaves when the row goes.
    pub fn look(&self, id: i64) -> Result<Option<(Standing, Removed)>> {
        let sql = "SELECT id, accessed, hits, expires, entered, earlier, mark, length(key), length(frame), stored, \
                   substr(frame, 1, 40) FROM entries WHERE id = ?1";
        self.db.one(sql, [id], |row| {
            let standing = standing(row)?;
            let bytes = (integer(row, 7)? as u64).saturating_add(integer(row, 8)? as u64);
            Ok((standing, leaving(id, bytes, blob(row, 10)?, standing.place.main)))
        })
    }

    /// Changes where a row stands.
    pub fn replace(&self, id: i64, place: Place) -> Result<()> {
        let sql = "UPDATE entries SET entered = ?2, earlier = ?3, mark = ?4 WHERE id = ?1";
        self.db.change(sql, params![id, place.entered, place.earlier, place.mark()]).map(|_| ())
    }

    /// Deletes a victim's row, if it still stands as it did.
    pub fn evict(&self, known: &Standing) -> Result<Option<Removed>> {
        let gone = self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND accessed = ?2 AND entered = ?3 AND hits + earlier = ?4 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40), mark, key",
            params![known.id, known.accessed, known.place.entered, known.uses() + HITS_BIAS],
            |row| self.untraced(row),
        )?;
        self.gone(gone)
    }

    /// Deletes a victim's row.
    pub fn remove(&self, id: i64) -> Result<Option<Removed>> {
        let sql = "DELETE FROM entries WHERE id = ?1 \
                   RETURNING id, length(key) + length(frame), substr(frame, 1, 40), mark, key";
        let gone = self.db.one(sql, [id], |row| self.untraced(row))?;
        self.gone(gone)
    }

    /// The number of entries with what this transaction changed, where it is kept under `token`.
    pub fn count(&self, token: i64) -> Result<Option<u64>> {
        let sql =
            "SELECT a.value, b.value FROM facts a, facts b WHERE a.name = 'entries' AND b.name = 'counted'";
        let kept = self.db.one(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let kept = kept.filter(|(_, counted)| *counted == token && token != 0);
        Ok(kept.map(|(entries, _)| entries.saturating_add(self.grown.get()).max(0) as u64))
    }

    /// Counts the entries, and keeps their number under `token` from now on.
    pub fn recount(&self, token: i64) -> Result<u64> {
        let count: i64 = self.db.one("SELECT count(*) FROM entries", [], |row| row.get(0))?.unwrap_or(0);
        let sql = "UPDATE facts SET value = ?2 WHERE name = ?1";
        self.db.change(sql, params!["entries", count - self.grown.get()])?;
        self.db.change(sql, params!["counted", token])?;
        Ok(count as u64)
    }

    /// Before the commit: adds what has changed to the number that is kept.
    pub fn keep_count(&self) -> Result<()> {
        match self.grown.take() {
            0 => Ok(()),
            grown => {
                let sql = "UPDATE facts SET value = value + ?1 WHERE name = 'entries'";
                self.db.change(sql, [grown]).map(|_| ())
            }
        }
    }

    /// After every row was deleted.
    pub fn forget_count(&self) -> Result<()> {
        self.grown.set(0);
        self.db.change("UPDATE facts SET value = 0 WHERE name = 'entries'", []).map(|_| ())
    }
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let (key, frame, stored) = (integer(row, 7)? as u64, integer(row, 8)? as u64, integer(row, 9)? as u64);
    // A frame that is shorter than its payload is a header alone.
    let file = if frame < stored.saturating_add(HEADER as u64) { size_on_disk(stored) } else { 0 };
    let place = Place { entered: integer(row, 4)?, earlier: integer(row, 5)?, ..Place::default() };
    Ok(Standing {
        id: row.get(0)?,
        accessed: integer(row, 1)?,
        hits: integer(row, 2)?.saturating_sub(HITS_BIAS),
        expires: moment(row, 3)?,
        place: place.with_mark(integer(row, 6)?),
        weight: weight(key.saturating_add(frame)).saturating_add(file),
    })
}

//! The statements of the full check and of the backup: what the database says of itself, and how it is set right.

use rusqlite::params;

use super::super::row::EntryRow;
use super::Db;
use super::columns::{entry_row, integer};
use super::error::damaged;
use super::transaction::Transaction;
use crate::error::{Code, Result};

/// A row of `files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::disk) struct ListedFile {
    pub write_id: u64,
    pub bytes: u64,
    /// `None` when it is an entry's.
    pub owner: Option<i64>,
}

/// What a row says of its value's size, beside its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::disk) struct Sizes {
    pub size: u64,
    pub stored: u64,
}

impl Db {
    /// What is wrong with the trees of the database, if anything is. Reads all of it.
    pub fn disorder(&self) -> Result<Option<String>> {
        match self.verdict("PRAGMA integrity_check(1)") {
            Ok(verdict) => Ok(verdict.filter(|verdict| verdict != "ok")),
            Err(why) if why.code() == Code::Corrupt => Ok(Some(why.to_string())),
            Err(why) => Err(why),
        }
    }

    /// Hands rows from `from` on to `each`, in the order of ids, until it is false.
    pub fn audit(&self, from: i64, mut each: impl FnMut(EntryRow<'_>, Sizes) -> bool) -> Result<()> {
        let mut walk = || {
            let mut statement = self.conn.prepare_cached(
                "SELECT id, seal, accessed, hits, created, expires, fresh, cost, key, frame, size, stored FROM entries \
                 WHERE id >= ?1 ORDER BY id",
            )?;
            let mut rows = statement.query([from])?;
            while let Some(row) = rows.next()? {
                let sizes = Sizes { size: integer(row, 10)? as u64, stored: integer(row, 11)? as u64 };
                if !each(entry_row(row)?, sizes) {
                    break;
                }
            }
            Ok(())
        };
        self.wrap(walk())
    }

    /// The files with these write ids, or all that are entries'.
    pub fn listed(&self, write_ids: std::ops::RangeInclusive<u64>) -> Result<Vec<ListedFile>> {
        let (low, high) = (*write_ids.start() as i64, *write_ids.end() as i64);
        self.all(
            "SELECT write_id, bytes, owner FROM files WHERE write_id BETWEEN ?1 AND ?2",
            [low, high],
            |row| {
                Ok(ListedFile {
                    write_id: row.get::<_, i64>(0)? as u64,
                    bytes: integer(row, 1)? as u64,
                    owner: row.get(2)?,
                })
            },
        )
    }

    /// Whether an entry is listed under a tag.
    pub fn is_tagged(&self, tag: &str, id: i64) -> Result<bool> {
        let listed =
            self.one("SELECT 1 FROM tags WHERE tag = ?1 AND id = ?2", params![tag, id], |_| Ok(()))?;
        Ok(listed.is_some())
    }

    /// How many rows of the side tables belong to no entry.
    pub fn surplus_extras(&self) -> Result<u64> {
        let sql = "SELECT (SELECT count(*) FROM extras WHERE id NOT IN (SELECT id FROM entries)) \
                   + (SELECT count(*) FROM tags WHERE id NOT IN (SELECT id FROM extras))";
        Ok(self.one(sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
    }

    /// The files that are entries'.
    pub fn adopted(&self) -> Result<Vec<u64>> {
        self.all("SELECT write_id FROM files WHERE owner IS NULL", [], |row| {
            row.get::<_, i64>(0).map(|id| id as u64)
        })
    }

    /// Bytes of the files that are entries': as they sum up, and as they are accounted for.
    pub fn file_account(&self) -> Result<(i64, i64)> {
        let sql = "SELECT (SELECT CAST(total(bytes) AS INTEGER) FROM files WHERE owner IS NULL), \
                   (SELECT value FROM facts WHERE name = 'file_bytes')";
        let account = self.one(sql, [], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))?;
        match account {
            Some((sum, Some(accounted))) => Ok((sum, accounted)),
            _ => Err(damaged(&self.path, "a fact is missing")),
        }
    }
}

impl Transaction<'_> {
    /// Lists a file as an entry's, whatever was said of it before.
    pub fn list(&self, write_id: u64, bytes: u64) -> Result<()> {
        self.db
            .change(
                "INSERT OR REPLACE INTO files (write_id, bytes, owner) VALUES (?1, ?2, NULL)",
                params![write_id as i64, bytes as i64],
            )
            .map(|_| ())
    }

    /// The bytes of an announced file, once they are known.
    pub fn resize_file(&self, write_id: u64, bytes: u64) -> Result<()> {
        let sql = "UPDATE files SET bytes = ?2 WHERE write_id = ?1 AND owner IS NOT NULL";
        self.db.change(sql, [write_id as i64, bytes as i64]).map(|_| ())
    }

    /// Drops the rows of the side tables that belong to no entry.
    pub fn drop_surplus_extras(&self) -> Result<()> {
        self.db.change("DELETE FROM extras WHERE id NOT IN (SELECT id FROM entries)", [])?;
        self.db.change("DELETE FROM tags WHERE id NOT IN (SELECT id FROM extras)", []).map(|_| ())
    }

    /// Forgets the files that are no entry's, and makes it another database.
    pub fn disown(&self, generation: i64) -> Result<()> {
        self.db.change("DELETE FROM files WHERE owner IS NOT NULL", [])?;
        self.db.change("UPDATE facts SET value = ?1 WHERE name = 'generation'", [generation]).map(|_| ())
    }

    /// Sets right what a row says of its value's size, unless it was written again since.
    pub fn resize(&self, id: i64, seal: u64, sizes: Sizes) -> Result<()> {
        self.tally(0, None);
        self.db
            .change(
                "UPDATE entries SET size = ?3, stored = ?4 WHERE id = ?1 AND seal = ?2",
                params![id, seal as i64, sizes.size as i64, sizes.stored as i64],
            )
            .map(|_| ())
    }
}

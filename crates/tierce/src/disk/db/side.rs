//! The statements on the side tables: what `extras.rs` describes.
//!
//! Every row that leaves `entries` passes [`Transaction::gone`], in the transaction that deletes it.

use rusqlite::params;

use super::super::extras::{self, Extras};
use super::super::row::Removed;
use super::Db;
use super::columns::{blob, integer, removed};
use super::meta_rows::Holder;
use super::transaction::Transaction;
use crate::error::Result;

/// A body, and the seal that was stored with it.
pub(in crate::disk) struct Body {
    pub seal: u64,
    pub bytes: Vec<u8>,
}

impl Body {
    /// What it says, if it is what this write brought.
    pub fn open(&self, write_id: u64) -> Option<Extras<'_>> {
        let sealed = self.seal == extras::seal(&self.bytes, write_id);
        Extras::parse(&self.bytes).ok().filter(|_| sealed)
    }
}

/// An entry that left with its tag.
pub(in crate::disk) struct Untagged {
    pub removed: Removed,
    pub key: Vec<u8>,
    pub was_live: bool,
}

fn body(row: &rusqlite::Row<'_>) -> rusqlite::Result<Body> {
    Ok(Body { seal: integer(row, 0)? as u64, bytes: blob(row, 1)?.to_vec() })
}

impl Db {
    /// What the side tables have of a row.
    pub fn body(&self, id: i64) -> Result<Option<Body>> {
        self.one("SELECT seal, body FROM extras WHERE id = ?1", [id], body)
    }

    /// Hands every body to `each` with the id, key and times of its entry, until it is false.
    pub fn bodies(&self, mut each: impl FnMut(Holder<'_>, &[u8]) -> bool) -> Result<()> {
        let mut walk = || {
            let mut statement = self.conn.prepare(
                "SELECT id, key, coalesce(min(expires, fresh), expires, fresh), body FROM extras JOIN entries USING (id)",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let until = row.get::<_, Option<i64>>(2)?.unwrap_or(i64::MAX);
                if !each(Holder { id: row.get(0)?, key: blob(row, 1)?, until }, blob(row, 3)?) {
                    break;
                }
            }
            Ok(())
        };
        self.wrap(walk())
    }

    /// Keeps a body in the place of any other of its row.
    pub fn put_body(&self, id: i64, seal: u64, body: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO extras (id, seal, body) VALUES (?1, ?2, ?3)";
        self.change(sql, params![id, seal as i64, body]).map(|_| ())
    }
}

impl Transaction<'_> {
    /// Stores what an entry carries: the body and its tags.
    pub fn put_extras(&self, id: i64, write_id: u64, extras: &Extras<'_>, body: &[u8]) -> Result<()> {
        self.db.put_body(id, extras::seal(body, write_id), body)?;
        for tag in &extras.tags {
            self.db.change("INSERT OR IGNORE INTO tags (tag, id) VALUES (?1, ?2)", params![tag, id])?;
        }
        Ok(())
    }

    /// Removes a row if it has expired.
    pub fn delete_expired(&self, id: i64, now: u64) -> Result<Option<Removed>> {
        let expired = self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND expires <= ?2 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40), mark",
            params![id, now as i64],
            removed,
        )?;
        self.gone(expired)
    }

    /// Takes what the side tables have of a row that leaves, counts its bytes, and one entry less.
    pub fn gone(&self, leaving: Option<Removed>) -> Result<Option<Removed>> {
        self.grown.set(self.grown.get() - i64::from(leaving.is_some()));
        if let Some(row) = &leaving {
            self.tally(-1, row.sizes);
        }
        let Some(mut leaving) = leaving.filter(|row| row.has_extras) else { return Ok(leaving) };
        let sql = "DELETE FROM extras WHERE id = ?1 RETURNING seal, body";
        let body = self.db.one(sql, [leaving.id], body)?;
        let known = body.as_ref().and_then(|body| Extras::parse(&body.bytes).ok());
        match known {
            Some(known) => {
                for tag in &known.tags {
                    self.db
                        .change("DELETE FROM tags WHERE tag = ?1 AND id = ?2", params![tag, leaving.id])?;
                }
                self.drop_meta(leaving.id, &known.meta)?;
            }
            // Damage took the list: without it, every row is looked at.
            None => {
                self.db.change("DELETE FROM tags WHERE id = ?1", [leaving.id])?;
                self.drop_all_meta(Some(leaving.id))?;
            }
        }
        leaving.bytes += body.map_or(0, |body| body.bytes.len() as u64);
        Ok(Some(leaving))
    }

    /// How many entries have a tag.
    pub fn tagged(&self, tag: &str) -> Result<Vec<i64>> {
        self.db.all("SELECT id FROM tags WHERE tag = ?1", [tag], |row| row.get(0))
    }

    /// Deletes the row of an id that is listed under a tag.
    pub fn untag(&self, tag: &str, id: i64, now: u64) -> Result<Option<Untagged>> {
        let deleted = self.db.one(
            "DELETE FROM entries WHERE id = ?1 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40), mark, \
             (expires IS NULL OR expires > ?2) AND (fresh IS NULL OR fresh > ?2), key",
            params![id, now as i64],
            |row| Ok((removed(row)?, row.get(4)?, blob(row, 5)?.to_vec())),
        )?;
        let Some((left, was_live, key)) = deleted else {
            self.db.change("DELETE FROM tags WHERE tag = ?1 AND id = ?2", params![tag, id])?; // left by damage
            return Ok(None);
        };
        Ok(self.gone(Some(left))?.map(|removed| Untagged { removed, key, was_live }))
    }

    /// Empties the side tables.
    pub fn clear_extras(&self) -> Result<()> {
        self.db.change("DELETE FROM extras", [])?;
        self.db.change("DELETE FROM tags", [])?;
        self.drop_all_meta(None)
    }
}

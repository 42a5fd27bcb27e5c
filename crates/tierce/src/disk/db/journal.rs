//! The statements on what the database says of the journal: up to where it is applied, and which of its entries are called off.

use super::super::journal::Facts;
use super::Db;
use super::transaction::Transaction;
use crate::error::Result;

/// Names of facts: one for each entry that is called off is this and its id.
const CALLED_OFF: &str = "off ";

impl Db {
    /// What the database says of its journal.
    pub fn journal_facts(&self) -> Result<Facts> {
        let sql = "SELECT name, value FROM facts WHERE name BETWEEN 'journal' AND 'journal~' \
                   UNION ALL SELECT 'off', max(value) FROM facts WHERE name BETWEEN 'off ' AND 'off ~'";
        let mut facts = Facts::default();
        let rows = self.all(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?)))?;
        for (name, value) in rows {
            let value = value.unwrap_or(0) as u64;
            match &*name {
                "journal" => facts.applied = value,
                "journal life" => facts.life = value,
                "journal turned" => facts.turned = value,
                "off" => facts.called_off = value,
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Before which position pending entries of a row are called off.
    pub fn called_off(&self, id: i64) -> Result<u64> {
        let sql = "SELECT value FROM facts WHERE name = ?1";
        let position = self.one(sql, [format!("{CALLED_OFF}{id}")], |row| row.get::<_, i64>(0))?;
        Ok(position.unwrap_or(0) as u64)
    }
}

impl Transaction<'_> {
    /// Keeps what the journal is and up to where it is in the database.
    pub fn keep_journal(&self, facts: Facts) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO facts (name, value) VALUES \
                   ('journal', ?1), ('journal life', ?2), ('journal turned', ?3)";
        let values = [facts.applied, facts.life, facts.turned].map(|value| value as i64);
        self.db.change(sql, values).map(|_| ())
    }

    /// Keeps that this transaction is one of so many that did more than apply what was pending.
    pub fn keep_turned(&self, turned: u64) -> Result<()> {
        let sql = "UPDATE facts SET value = ?1 WHERE name = 'journal turned'";
        self.db.change(sql, [turned as i64]).map(|_| ())
    }

    /// Pending entries of a row before a position are never applied.
    pub fn call_off(&self, id: i64, before: u64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)";
        self.db.change(sql, rusqlite::params![format!("{CALLED_OFF}{id}"), before as i64]).map(|_| ())
    }

    /// What was called off before a position is over.
    pub fn forget_called_off(&self, before: u64) -> Result<()> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let sql = "DELETE FROM facts WHERE name BETWEEN 'off ' AND 'off ~' AND value <= ?1";
        self.db.change(sql, [before]).map(|_| ())
    }
}

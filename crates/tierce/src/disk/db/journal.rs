//! The statements on what the database says of the journal: up to where it is applied, and which of its entries are called off.
//!
//! A page of the database has no checksum, and a position that is another one would lose what was set, or bring back what was
//! removed. So each of these numbers says itself when it is damaged.

use xxhash_rust::xxh3::xxh3_64;

use super::super::journal::{Facts, LAST, TURNS, coded, decoded};
use super::Db;
use super::error::damaged;
use super::transaction::Transaction;
use crate::error::Result;

/// Names of facts: one for each entry that is called off is this and its id.
const CALLED_OFF: &str = "off ";

/// A position as it is kept, and as it was kept before it had a check: that is not negative.
fn kept(position: u64) -> i64 {
    !coded(position) as i64
}

fn position(value: i64) -> Option<u64> {
    match u64::try_from(value) {
        Ok(unchecked) => Some(unchecked).filter(|position| *position < LAST && position % 8 == 0),
        Err(_) => decoded(!value as u64),
    }
}

/// A count of turns, in the same form.
fn count(value: i64) -> Option<u64> {
    match u64::try_from(value) {
        Ok(unchecked) => Some(unchecked).filter(|count| *count < TURNS),
        Err(_) => decoded(!value as u64).map(|eighths| eighths / 8),
    }
}

/// A life has all 64 bits for itself, and its check beside it.
fn check_of(life: u64) -> i64 {
    xxh3_64(&life.to_le_bytes()) as i64
}

impl Db {
    /// What the database says of its journal.
    pub fn journal_facts(&self) -> Result<Facts> {
        let sql = "SELECT name, value FROM facts WHERE name BETWEEN 'journal' AND 'journal~' \
                   OR name BETWEEN 'off ' AND 'off ~'";
        let (mut applied, mut life, mut check, mut turned) = (None, None, None, None);
        let mut facts = Facts::default();
        let rows = self.all(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        for (name, value) in &rows {
            match &**name {
                "journal" => applied = position(*value),
                "journal life" => life = Some(*value as u64),
                "journal check" => check = Some(*value),
                "journal turned" => turned = count(*value),
                name if name.starts_with(CALLED_OFF) => {
                    facts.called_off = facts.called_off.max(self.sound(position(*value))?);
                }
                _ => return self.sound(None).map(|()| facts),
            }
        }
        if rows.is_empty() {
            return Ok(facts);
        }
        life = life.filter(|life| check.is_none_or(|check| check == check_of(*life)));
        facts.applied = self.sound(applied)?;
        facts.life = self.sound(life)?;
        facts.turned = self.sound(turned)?;
        Ok(facts)
    }

    fn sound<T>(&self, number: Option<T>) -> Result<T> {
        number.ok_or_else(|| damaged(&self.path, "what it says of its journal does not verify"))
    }

    /// Before which position pending entries of a row are called off.
    pub fn called_off(&self, id: i64) -> Result<u64> {
        let sql = "SELECT value FROM facts WHERE name = ?1";
        let kept = self.one(sql, [format!("{CALLED_OFF}{id}")], |row| row.get::<_, i64>(0))?;
        kept.map_or(Ok(0), |kept| self.sound(position(kept)))
    }
}

impl Transaction<'_> {
    /// Keeps what the journal is and up to where it is in the database.
    pub fn keep_journal(&self, facts: Facts) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO facts (name, value) VALUES \
                   ('journal', ?1), ('journal life', ?2), ('journal check', ?3), ('journal turned', ?4)";
        let Facts { life, applied, turned, .. } = facts;
        let values = [kept(applied), life as i64, check_of(life), kept(turned * 8)];
        self.db.change(sql, values).map(|_| ())
    }

    /// Keeps that this transaction is one of so many that did more than apply what was pending.
    pub fn keep_turned(&self, turned: u64) -> Result<()> {
        let sql = "UPDATE facts SET value = ?1 WHERE name = 'journal turned'";
        let is_there = self.db.change(sql, [kept(turned * 8)])? == 1;
        self.db.sound(is_there.then_some(()))
    }

    /// Pending entries of a row before a position are never applied.
    pub fn call_off(&self, id: i64, before: u64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)";
        self.db.change(sql, rusqlite::params![format!("{CALLED_OFF}{id}"), kept(before)]).map(|_| ())
    }

    /// What was called off before a position is over.
    pub fn forget_called_off(&self, before: u64) -> Result<()> {
        let before = before.min(LAST - 8);
        let sql = "DELETE FROM facts WHERE name BETWEEN 'off ' AND 'off ~' AND value BETWEEN ?1 AND ?2";
        self.db.change(sql, [kept(before), before as i64]).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_with_its_check_is_told_from_one_without_and_from_one_that_is_damaged() {
        let positions = (0..50).flat_map(|bit| [8_u64 << bit, (8 << bit) - 8]);
        for at in positions {
            assert_eq!((position(kept(at)), position(at as i64)), (Some(at), Some(at)));
            assert!(kept(at) < 0);
            for bit in 0..64 {
                assert_eq!(position(kept(at) ^ 1 << bit), None, "bit {bit} of {at}");
            }
        }
        for turned in [0, 1, 7, 8, 1000, TURNS / 2] {
            assert_eq!((count(kept(turned * 8)), count(turned as i64)), (Some(turned), Some(turned)));
            assert!((0..64).all(|bit| count(kept(turned * 8) ^ 1 << bit).is_none()));
        }
        assert_eq!((position(LAST as i64), position(12), count(TURNS as i64)), (None, None, None));
        let order: Vec<_> = (0..4096).map(|at| kept(at * 8)).collect();
        assert!(order.is_sorted_by(|a, b| a > b), "what is forgotten is a range of them");
    }
}

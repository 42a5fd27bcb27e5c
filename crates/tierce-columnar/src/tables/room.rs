//! The bound of size: what does not fit is refused before anything changes, and other tables make room for what does. How large rows are in
//! the file is known only after a checkpoint: so they are written beside the table first.

use std::sync::PoisonError;

use super::Tables;
use super::catalog::{self, STAGE};
use super::write::{Mode, Rows, count, key_of, names, replace};
use crate::duck::{Name, identifier};
use crate::{Error, Kind, Result};

/// Bytes of a block. A column takes one at least.
const BLOCK: u64 = 256 * 1024;

fn stage_of(name: &Name) -> Name {
    Name::new(&name.schema, format!("{STAGE}{}", name.table))
}

fn too_large(name: &Name, bytes: u64, max: u64) -> Error {
    let text = format!(
        "The table {name} would be {bytes} bytes, and the cache holds {max}: give it a larger maxSize. Nothing changed."
    );
    Error::new(Kind::TooLarge, text).with("bytes", bytes).with("max", max)
}

impl Tables {
    /// Writes a table beside the old one, whose place it takes where it fits.
    pub(super) fn replace_within(&self, max: u64, rows: &Rows<'_>) -> Result<u64> {
        let &Rows { name, from, spec, now, .. } = rows;
        let stage = stage_of(name);
        let count = self.transaction(now, |transaction| replace(transaction, &stage, from, spec))?;
        let outcome = self.measured(&stage).and_then(|bytes| {
            if bytes > max {
                return Err(too_large(name, bytes, max));
            }
            self.transaction(now, |transaction| {
                catalog::drop_table_only(transaction, name)?;
                let (stage, table) = (stage.sql()?, identifier(&name.table)?);
                transaction.run(&format!("ALTER TABLE {stage} RENAME TO {table}"))?;
                catalog::written(transaction, name, spec.expires, now)
            })
        });
        if outcome.is_err() {
            let _ = self.transaction(now, |transaction| catalog::drop_table(transaction, &stage));
            let _ = self.connection.run("CHECKPOINT");
        }
        outcome.map(|()| count)
    }

    fn measured(&self, table: &Name) -> Result<u64> {
        let _ = self.connection.run("CHECKPOINT");
        catalog::bytes(&self.connection, table)
    }

    /// Refuses rows with which a table that keeps its own would be over the bound.
    pub(super) fn check_room(&self, max: u64, rows: &Rows<'_>) -> Result<()> {
        let &Rows { name, known, now, .. } = rows;
        let exists = catalog::exists(&self.connection, name)?;
        let columns = if exists { catalog::columns(&self.connection, name)?.len() as u64 } else { 1 };
        // In the file they are hardly more than in memory.
        let all = catalog::size(&self.connection)?;
        if known.is_some_and(|bytes| all + bytes as u64 + columns * BLOCK <= max) {
            return Ok(());
        }
        let stage = stage_of(name);
        let added = self.staged_bytes(&stage, rows, exists);
        let _ = self.transaction(now, |transaction| catalog::drop_table(transaction, &stage));
        let bytes = added? + if exists { catalog::bytes(&self.connection, name)? } else { 0 };
        if bytes <= max {
            return Ok(());
        }
        let _ = self.connection.run("CHECKPOINT");
        Err(too_large(name, bytes, max))
    }

    /// Bytes that new rows take in the file, written into a table of their own.
    fn staged_bytes(&self, stage: &Name, rows: &Rows<'_>, exists: bool) -> Result<u64> {
        let &Rows { name, from, mode, spec, now, .. } = rows;
        let fresh = if mode == Mode::Upsert && exists {
            // Rows that are there already take no more room.
            let key = names(&key_of(&self.connection, name, spec)?)?;
            format!("(FROM {from} ANTI JOIN {} USING ({key}))", name.sql()?)
        } else {
            from.to_owned()
        };
        let count = self.transaction(now, |transaction| {
            transaction.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(&name.schema)?))?;
            transaction.run(&format!("CREATE OR REPLACE TABLE {} AS FROM {fresh}", stage.sql()?))?;
            count(transaction, &stage.sql()?)
        })?;
        let bytes = self.measured(stage)?;
        Ok(if count == 0 { 0 } else { bytes })
    }

    /// Removes tables until the database is within its bound.
    pub(super) fn shrink(&self, newest: &Name, now: i64) -> Result<()> {
        let Some(max) = self.options.max_size else { return Ok(()) };
        if catalog::size(&self.connection)? <= max {
            return Ok(());
        }
        self.write_reads(&self.connection)?;
        loop {
            // Blocks become free at a checkpoint.
            let _ = self.connection.run("CHECKPOINT");
            if catalog::size(&self.connection)? <= max {
                return Ok(());
            }
            let mut tables = catalog::list(&self.connection)?;
            tables.retain(|table| !table.name.is(newest) && table.created.is_some());
            let victim = {
                let mut memory = self.state()?.policy.lock().unwrap_or_else(PoisonError::into_inner);
                self.options.policy.victim(&tables, &mut memory)
            };
            let Some(victim) = victim else { return Ok(()) };
            self.transaction(now, |transaction| catalog::drop_table(transaction, &tables[victim].name))?;
        }
    }
}

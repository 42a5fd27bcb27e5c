//! Tables as a cache: written as a whole, with a time to live, a bound of size, and backups.
//!
//! What is known of each table is in the schema `__tierce` of the same file, and changes in the transaction that changes
//! the table. Reads of tables are counted in memory, and written with the next change.

mod backup;
mod catalog;
mod policy;
mod room;
mod source;
mod write;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use backup::{BACKUP, erase_backup};
pub use catalog::{Column, TableInfo};
pub use policy::Policy;
pub use source::Source;
pub use write::{Mode, Spec};

use crate::duck::{Connection, Engine, Name};
use crate::{Error, Kind, Result};

/// Options of a cache of tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Bytes of the database; `None` for no bound.
    pub max_size: Option<u64>,
    /// Which table goes first.
    pub policy: Policy,
}

/// Reads of a table that are not yet written.
#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    last: i64,
    count: i64,
}

/// What all users of a database in this process share.
#[derive(Debug, Default)]
pub(crate) struct State {
    reads: Mutex<HashMap<Name, Reads>>,
    policy: Mutex<policy::Memory>,
}

/// The tables of a database as a cache. Times are milliseconds since the Unix epoch, from the caller's clock.
pub struct Tables {
    engine: Engine,
    /// For what is done here; statements of users have connections of their own.
    connection: Arc<Connection>,
    options: Options,
}

impl Tables {
    /// Takes over a database: makes what it keeps of tables, if it is not there.
    ///
    /// # Errors
    /// `Format`: a newer release wrote it; `Query`: something else is in the place of what this release keeps
    pub fn new(engine: Engine, options: Options) -> Result<Self> {
        let connection = Arc::new(engine.connect()?);
        let tables = Self { engine, connection, options };
        tables.alone(|| catalog::prepare(&tables.connection))?;
        Ok(tables)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The connection that this cache's own work goes through, to interrupt it.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.engine.alone(work)
    }

    fn state(&self) -> Result<&State> {
        self.engine.state()
    }

    /// Notes that a statement reads its tables.
    ///
    /// # Errors
    /// `TableExpired`: the time to live of one of them has passed; it is removed
    pub fn reading(&self, connection: &Connection, sql: &str, schema: &str, now: i64) -> Result<()> {
        // A statement that cannot be parsed fails by itself, and says more.
        let Ok(names) = connection.table_names(sql) else { return Ok(()) };
        for text in names {
            let name = name_of(&text, schema);
            if self.expired(&name, now)? {
                self.remove_expired(now)?;
                let text = format!("The time to live of the table {name} has passed: update it.");
                return Err(Error::new(Kind::TableExpired, text).with("table", &name.table));
            }
            self.note(name, now)?;
        }
        Ok(())
    }

    fn note(&self, name: Name, now: i64) -> Result<()> {
        let mut reads = self.state()?.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = reads.entry(name).or_default();
        entry.last = entry.last.max(now);
        entry.count += 1;
        Ok(())
    }

    /// Whether there is a table whose time to live has not passed.
    ///
    /// # Errors
    /// What the database says
    pub fn has(&self, name: &Name, now: i64) -> Result<bool> {
        Ok(catalog::exists(&self.connection, name)? && !self.expired(name, now)?)
    }

    fn expired(&self, name: &Name, now: i64) -> Result<bool> {
        Ok(catalog::expires(&self.connection, name)?.is_some_and(|at| at <= now))
    }

    /// Removes the tables whose time to live has passed. Gives their names.
    ///
    /// # Errors
    /// `ReadOnly`, `StorageFull`
    pub fn remove_expired(&self, now: i64) -> Result<Vec<Name>> {
        self.alone(|| self.connection.transaction(|transaction| catalog::remove_expired(transaction, now)))
    }

    /// All that is known of the tables. Bytes are those of blocks in the file: so the log is written into it first.
    ///
    /// # Errors
    /// What the database says
    pub fn info(&self, now: i64) -> Result<Vec<TableInfo>> {
        self.settle()?;
        let mut tables = catalog::list(&self.connection)?;
        tables.retain(|table| table.expires.is_none_or(|at| at > now));
        for table in &mut tables {
            catalog::measure(&self.connection, table)?;
        }
        Ok(tables)
    }

    /// The tables, without their sizes and columns.
    ///
    /// # Errors
    /// What the database says
    pub fn list(&self, now: i64) -> Result<Vec<TableInfo>> {
        let mut tables = catalog::list(&self.connection)?;
        tables.retain(|table| table.expires.is_none_or(|at| at > now));
        Ok(tables)
    }

    /// Writes down the reads that were counted.
    ///
    /// # Errors
    /// What the database says
    pub fn flush(&self) -> Result<()> {
        if self.engine.access()? == crate::duck::Access::ReadOnly {
            return Ok(());
        }
        self.alone(|| self.connection.transaction(|transaction| self.write_reads(transaction)))
    }

    fn write_reads(&self, connection: &Connection) -> Result<()> {
        let reads = std::mem::take(&mut *self.state()?.reads.lock().unwrap_or_else(PoisonError::into_inner));
        reads.into_iter().try_for_each(|(name, reads)| catalog::add_reads(connection, &name, reads))
    }

    /// Removes a table, or all of a schema, or all tables. Gives how many there were.
    ///
    /// # Errors
    /// `ReadOnly`, `StorageFull`
    pub fn clear(&self, schema: Option<&str>, table: Option<&str>) -> Result<usize> {
        self.alone(|| {
            self.connection.transaction(|transaction| {
                let all = catalog::list(transaction)?;
                let wanted = all.into_iter().map(|each| each.name).filter(|name| {
                    schema.is_none_or(|schema| schema == name.schema)
                        && table.is_none_or(|table| table == name.table)
                });
                let names: Vec<Name> = wanted.collect();
                names.iter().try_for_each(|name| catalog::drop_table(transaction, name))?;
                Ok(names.len())
            })
        })
    }

    /// Bytes of the file that are in use, its log included.
    ///
    /// # Errors
    /// What the database says
    pub fn size(&self) -> Result<u64> {
        catalog::size(&self.connection)
    }

    /// Writes down what was counted, and the log into the file.
    ///
    /// # Errors
    /// `StorageFull`
    pub fn settle(&self) -> Result<()> {
        self.flush()?;
        if self.engine.access()? == crate::duck::Access::ReadWrite {
            // Where a transaction of somebody's is open it stays in the log.
            let _ = self.connection.run("CHECKPOINT");
        }
        Ok(())
    }
}

/// A table as it is written in a statement: `a`, `s.a`, `d.s.a`, each perhaps quoted.
fn name_of(text: &str, schema: &str) -> Name {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                parts.last_mut().into_iter().for_each(|part| part.push('"'));
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            other => parts.last_mut().into_iter().for_each(|part| part.push(other)),
        }
    }
    let table = parts.pop().unwrap_or_default();
    Name::new(parts.pop().unwrap_or_else(|| schema.to_owned()), table)
}

/// Removes the file of a database and what belongs to it. It must not be open.
///
/// # Errors
/// `Locked`: it is open in this process; what the disk says
pub fn erase(path: &Path) -> Result<()> {
    Engine::remove(path)
}

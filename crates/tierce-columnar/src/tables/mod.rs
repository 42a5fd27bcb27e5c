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
    /// For what is changed here, under `alone`; statements of users have connections of their own.
    connection: Arc<Connection>,
    /// For looks at what is there: on the other one they would wait for a write, and be part of its transaction.
    looks: Connection,
    /// Whether this library's tables are there: a database that is read only may have none.
    kept: bool,
    options: Options,
}

impl Tables {
    /// Takes over a database: makes what it keeps of tables, if it is not there.
    ///
    /// # Errors
    /// `Format`: a newer release wrote it; `Query`: something else is in the place of what this release keeps
    pub fn new(engine: Engine, options: Options) -> Result<Self> {
        let connection = Arc::new(engine.connect()?);
        engine.alone(|| catalog::prepare(&connection))?;
        let looks = engine.connect()?;
        let kept = catalog::is_kept(&looks)?;
        Ok(Self { engine, connection, looks, kept, options })
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

    /// Notes that a statement reads its tables. `schema` is where names without one are looked for, before `main`.
    ///
    /// # Errors
    /// `TableExpired`: the time to live of one of them has passed
    pub fn reading(&self, sql: &str, schema: &str, now: i64) -> Result<()> {
        // A statement that cannot be parsed fails by itself, and says more.
        let Ok(names) = self.looks.table_names(sql) else { return Ok(()) };
        for text in names.into_iter().filter(|_| self.kept) {
            let name = self.meant(&text, schema)?;
            if self.expired(&name, now)? {
                let text = format!("The time to live of the table {name} has passed: update it.");
                return Err(Error::new(Kind::TableExpired, text).with("table", &name.table));
            }
            self.note(name, now)?;
        }
        Ok(())
    }

    /// The table that a name in a statement means.
    fn meant(&self, text: &str, schema: &str) -> Result<Name> {
        let (given, table) = split(text);
        let is_bare = given.is_none();
        let own = Name::new(given.unwrap_or_else(|| schema.to_owned()), table);
        let main = Name::new("main", &*own.table);
        let is_main = is_bare
            && !catalog::is_known(&self.looks, &own)?
            && catalog::is_known(&self.looks, &main)?
            && !catalog::exists(&self.looks, &own)?;
        Ok(if is_main { main } else { own })
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
        Ok(catalog::exists(&self.looks, name)? && !self.expired(name, now)?)
    }

    fn expired(&self, name: &Name, now: i64) -> Result<bool> {
        Ok(self.kept && catalog::expires(&self.looks, name)?.is_some_and(|at| at <= now))
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
        // All of one moment, beside writes: so it takes a connection of its own.
        self.engine.connect()?.transaction(|moment| {
            let mut tables = listed(moment, now)?;
            tables.iter_mut().try_for_each(|table| catalog::measure(moment, table))?;
            Ok(tables)
        })
    }

    /// The tables, without their sizes and columns.
    ///
    /// # Errors
    /// What the database says
    pub fn list(&self, now: i64) -> Result<Vec<TableInfo>> {
        listed(&self.looks, now)
    }

    /// Writes down the reads that were counted.
    ///
    /// # Errors
    /// What the database says
    pub fn flush(&self) -> Result<()> {
        self.flush_and(|| {})
    }

    /// Writes down the reads that were counted, and then runs `work` before any other write.
    fn flush_and(&self, work: impl FnOnce()) -> Result<()> {
        if self.engine.access()? == crate::duck::Access::ReadOnly {
            return Ok(());
        }
        self.alone(|| {
            self.connection.transaction(|transaction| self.write_reads(transaction))?;
            work();
            Ok(())
        })
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
                    schema.is_none_or(|schema| schema.eq_ignore_ascii_case(&name.schema))
                        && table.is_none_or(|table| table.eq_ignore_ascii_case(&name.table))
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
        catalog::size(&self.looks)
    }

    /// Writes down what was counted, and the log into the file.
    ///
    /// # Errors
    /// `StorageFull`
    pub fn settle(&self) -> Result<()> {
        self.flush_and(|| {
            // Where a transaction of somebody's is open it stays in the log.
            let _ = self.connection.run("CHECKPOINT");
        })
    }
}

/// The tables whose time to live has not passed.
fn listed(connection: &Connection, now: i64) -> Result<Vec<TableInfo>> {
    let mut tables = catalog::list(connection)?;
    tables.retain(|table| table.expires.is_none_or(|at| at > now));
    Ok(tables)
}

/// Schema and table as they are written in a statement: `a`, `s.a`, `d.s.a`, each perhaps quoted.
fn split(text: &str) -> (Option<String>, String) {
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
    (parts.pop(), table)
}

/// Removes the file of a database and what belongs to it. It must not be open.
///
/// # Errors
/// `Locked`: it is open in this process; what the disk says
pub fn erase(path: &Path) -> Result<()> {
    Engine::remove(path)
}

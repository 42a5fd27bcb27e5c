//! A database file of the user's, through this crate's SQLite: writes in one transaction, queries on connections that
//! cannot write, columns in and out.
//!
//! Not the cache's own file. The statements are the caller's; what is theirs to decide (tables, coverage) is not known here.
//! Any number of threads and processes may use one file: the log (WAL) lets readers go on beside the one writer, and a
//! writer waits for the others up to the lock timeout.

mod cells;
mod connect;
mod table;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, Statement, TransactionBehavior, params_from_iter};

pub use cells::{Cells, Value};
pub use table::{Batch, Column, Table};

use crate::error::{Code, Error, Result};
use connect::{explain, reader, writer};

/// Connections for reading that are kept for the next query.
const READERS_KEPT: usize = 8;

/// One step of a transaction.
#[derive(Debug)]
pub enum Step {
    /// Runs a statement once.
    Run {
        /// One statement.
        sql: String,
        /// The values of its parameters, in their order.
        params: Vec<Value>,
        /// The transaction fails unless so many rows change.
        expect: Option<u64>,
    },
    /// Runs a statement once a row of `columns`, which give its parameters.
    Each {
        /// One statement.
        sql: String,
        /// All of the same length.
        columns: Vec<Cells>,
    },
}

/// Ends a query from another thread.
#[derive(Default)]
pub struct Cancel {
    cancelled: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl Cancel {
    /// Ends the query, or the next one that is given this: it fails with `E_TIMEOUT`.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if let Some(handle) = &*lock(&self.running) {
            handle.interrupt();
        }
    }

    /// Runs `query` so that [`Cancel::cancel`] reaches it.
    fn guard<T>(&self, conn: &Connection, query: impl FnOnce() -> Result<T>) -> Result<T> {
        *lock(&self.running) = Some(conn.get_interrupt_handle());
        // After the handle is there: whoever cancels from now on interrupts.
        let outcome = if self.cancelled.load(Ordering::SeqCst) { Err(cancelled()) } else { query() };
        *lock(&self.running) = None;
        outcome
    }
}

fn cancelled() -> Error {
    Error::new(Code::Timeout, "the query was cancelled")
}

/// An open database file.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    lock_timeout: Duration,
    /// `None` once it is closed.
    writer: Mutex<Option<Connection>>,
    readers: Mutex<Vec<Connection>>,
    closed: AtomicBool,
}

impl Database {
    /// Opens the file, or makes it. Its folder must exist.
    ///
    /// # Errors
    /// `E_UNAVAILABLE`, `E_READ_ONLY`, `E_FORMAT` for what is no SQLite database or a cache's own, `E_CORRUPT`,
    /// `E_LOCK_TIMEOUT`.
    pub fn open(path: &Path, lock_timeout: Duration) -> Result<Self> {
        let connection = writer(path, lock_timeout)?;
        Ok(Self {
            path: path.to_owned(),
            lock_timeout,
            writer: Mutex::new(Some(connection)),
            readers: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Runs the steps in one transaction: all of them, or none. Gives the number of rows that each changed.
    ///
    /// # Errors
    /// `E_TRANSACTION` where a step changed another number of rows than it expects; `E_LOCK_TIMEOUT`, `E_STORAGE_FULL`,
    /// `E_QUERY` for SQL that is not valid, `E_CLOSED`.
    pub fn write(&self, steps: &[Step]) -> Result<Vec<u64>> {
        let mut writer = lock(&self.writer);
        let conn = writer.as_mut().ok_or_else(|| self.gone())?;
        let wrap = |why| explain(why, &self.path);
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrap)?;
        let mut changes = Vec::with_capacity(steps.len());
        for step in steps {
            changes.push(self.step(&transaction, step)?); // dropping the transaction rolls it back
        }
        transaction.commit().map_err(wrap)?;
        Ok(changes)
    }

    fn step(&self, conn: &Connection, step: &Step) -> Result<u64> {
        let wrap = |why| explain(why, &self.path);
        match step {
            Step::Run { sql, params, expect } => {
                let mut statement = conn.prepare_cached(sql).map_err(wrap)?;
                let changed = run(&mut statement, params).map_err(wrap)?;
                match expect {
                    Some(expected) if changed != *expected => Err(conflict(changed, *expected)),
                    _ => Ok(changed),
                }
            }
            Step::Each { sql, columns } => {
                let rows = columns.first().map_or(0, Cells::len);
                if columns.iter().any(|column| column.len() != rows) {
                    return Err(Error::new(Code::Internal, "columns of different lengths"));
                }
                let mut statement = conn.prepare_cached(sql).map_err(wrap)?;
                let mut changed = 0;
                for row in 0..rows {
                    for (at, column) in columns.iter().enumerate() {
                        statement.raw_bind_parameter(at + 1, column.get(row)).map_err(wrap)?;
                    }
                    changed += statement.raw_execute().map_err(wrap)? as u64;
                }
                Ok(changed)
            }
        }
    }

    /// Runs one statement that only reads, on a connection that cannot write, and gives all it finds.
    ///
    /// # Errors
    /// `E_QUERY` for SQL that is not valid or parameters that do not fit it, `E_READ_ONLY` for a statement that
    /// writes, `E_TIMEOUT` where it was cancelled, `E_CLOSED`.
    pub fn query(&self, sql: &str, params: &[Value], cancel: Option<&Cancel>) -> Result<Table> {
        let conn = self.take_reader()?;
        let read = || {
            let mut statement = conn.prepare_cached(sql)?;
            Table::read(&mut statement, params)
        };
        let read = || {
            read().map_err(|why| match why.sqlite_error_code() {
                Some(rusqlite::ErrorCode::OperationInterrupted) => cancelled(),
                _ => explain(why, &self.path),
            })
        };
        let table = match cancel {
            Some(cancel) => cancel.guard(&conn, read),
            None => read(),
        };
        self.keep_reader(conn);
        table
    }

    fn take_reader(&self) -> Result<Connection> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(self.gone());
        }
        let kept = lock(&self.readers).pop();
        kept.map_or_else(|| reader(&self.path, self.lock_timeout), Ok)
    }

    fn keep_reader(&self, conn: Connection) {
        let mut readers = lock(&self.readers);
        if readers.len() < READERS_KEPT && !self.closed.load(Ordering::SeqCst) {
            readers.push(conn);
        }
    }

    /// Lets go of the file; the last one to do so copies the log into it. Queries that are under way finish.
    ///
    /// # Errors
    /// None that a caller could do something about: what was committed is in the log.
    pub fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        lock(&self.readers).clear();
        drop(lock(&self.writer).take());
        Ok(())
    }

    fn gone(&self) -> Error {
        let message = format!("the database {} is closed: open it again", self.path.display());
        Error::new(Code::Closed, message).at(&self.path)
    }
}

fn run(statement: &mut Statement<'_>, params: &[Value]) -> rusqlite::Result<u64> {
    // Some statements give a row that nobody asked for, such as pragmas.
    if statement.column_count() > 0 {
        let mut rows = statement.query(params_from_iter(params))?;
        while rows.next()?.is_some() {}
        return Ok(0);
    }
    Ok(statement.execute(params_from_iter(params))? as u64)
}

fn conflict(changed: u64, expected: u64) -> Error {
    let message = format!(
        "a statement changed {changed} rows where {expected} were expected: somebody else wrote meanwhile, and nothing was changed"
    );
    Error::new(Code::Transaction, message)
}

/// A panic while the lock was held leaves a connection whose transaction was rolled back: still sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

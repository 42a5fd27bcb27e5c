//! Connections: statements with bound parameters, transactions, interruption, progress.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use libduckdb_sys as ffi;

use super::engine::Engine;
use super::failure::failure;
use super::result::{Batches, QueryResult, Raw, interrupted};
use super::text::{c_text, copied};
use super::value::Value;
use crate::{Error, Kind, Result};

/// How far a statement is, as DuckDB guesses it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// 0 to 100; -1 where nothing is known.
    pub percentage: f64,
    /// Rows read so far.
    pub rows: u64,
    /// Rows to read.
    pub total: u64,
}

/// Attempts at streaming a statement whose tables are replaced between its preparation and its start.
const REPLACED: usize = 20;

/// DuckDB prepares such a statement anew by itself, but not where its result is streamed. Nothing of it has run.
fn is_outdated(error: &Error) -> bool {
    error.to_string().contains("closed pending query result")
}

/// A connection. Statements of several threads wait for each other.
pub struct Connection {
    raw: ffi::duckdb_connection,
    busy: Mutex<()>,
    stopped: AtomicBool,
    // After `raw` in `drop`: it keeps the database open.
    engine: Engine,
}

// DuckDB locks a connection for each call, and `busy` is held over those that belong together. Interrupting and asking for
// progress are meant for other threads.
unsafe impl Send for Connection {}
unsafe impl Sync for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_disconnect(&raw mut self.raw) };
    }
}

impl Connection {
    pub(super) fn new(raw: ffi::duckdb_connection, engine: Engine) -> Result<Self> {
        let connection = Self { raw, busy: Mutex::new(()), stopped: AtomicBool::new(false), engine };
        // Progress is counted only where a bar could be shown.
        connection.run("SET enable_progress_bar = true; SET enable_progress_bar_print = false")?;
        Ok(connection)
    }

    pub(super) fn raw(&self) -> ffi::duckdb_connection {
        self.raw
    }

    /// The engine that it belongs to.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs statements that need no parameters. Gives the rows that the last one changed.
    ///
    /// # Errors
    /// As [`Self::query`]
    pub fn run(&self, sql: &str) -> Result<u64> {
        Ok(self.query(sql, None)?.changed)
    }

    /// Runs the statements of `sql`. The parameters are those of the last one, whose result is given: the columns of one row, by the
    /// names of the parameters (`1`, `2` … for `?`).
    ///
    /// # Errors
    /// `Query`: a statement fails, or the parameters are not those it has. `Interrupted`. `Transaction`: a conflict
    pub fn query(&self, sql: &str, parameters: Option<&RecordBatch>) -> Result<QueryResult> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        self.first(sql)?.last(parameters)?.execute()?.collect()
    }

    /// As [`Self::query`], but computed while it is read. Only for a connection that is used for nothing else meanwhile.
    ///
    /// # Errors
    /// As [`Self::query`]
    pub fn stream(self: &Arc<Self>, sql: &str, parameters: Option<&RecordBatch>) -> Result<Batches> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let extracted = self.first(sql)?;
        let mut left = REPLACED;
        loop {
            left -= 1;
            match extracted.last(parameters)?.stream() {
                Err(error) if left > 0 && is_outdated(&error) => {}
                outcome => return Ok(Batches::new(outcome?, Arc::clone(self))),
            }
        }
    }

    /// Runs all statements but the last.
    fn first(&self, sql: &str) -> Result<Extracted<'_>> {
        let extracted = Extracted::new(self, sql)?;
        for at in 0..extracted.count - 1 {
            self.check_running()?;
            extracted.prepare(at)?.execute()?;
        }
        self.check_running()?;
        Ok(extracted)
    }

    fn check_running(&self) -> Result<()> {
        if self.stopped.load(Ordering::SeqCst) { Err(interrupted()) } else { Ok(()) }
    }

    /// Runs `work` in a transaction: committed where it succeeds, else rolled back.
    ///
    /// # Errors
    /// What `work` gives; `Transaction`: a conflict at commit
    pub fn transaction<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.run("BEGIN TRANSACTION")?;
        let outcome = work(&Transaction { connection: self });
        match outcome {
            Ok(value) => self.run("COMMIT").map(|_| value),
            Err(error) => {
                // After a fatal error there may be none left; the first error is the one to tell.
                let _ = self.run("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Interrupts what runs now, if anything does.
    pub fn interrupt(&self) {
        unsafe { ffi::duckdb_interrupt(self.raw) };
    }

    /// Interrupts what runs now and refuses what comes: for a connection that is to be closed.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.interrupt();
    }

    /// How far the running statement is.
    pub fn progress(&self) -> Progress {
        let raw = unsafe { ffi::duckdb_query_progress(self.raw) };
        Progress { percentage: raw.percentage, rows: raw.rows_processed, total: raw.total_rows_to_process }
    }

    /// The tables that a statement reads or writes, as they are written in it.
    ///
    /// # Errors
    /// `Query`: it cannot be parsed
    pub fn table_names(&self, sql: &str) -> Result<Vec<String>> {
        let sql = c_text(sql)?;
        let mut list = unsafe { ffi::duckdb_get_table_names(self.raw, sql.as_ptr(), true) };
        if list.is_null() {
            return Ok(Vec::new());
        }
        let names = unsafe { (0..ffi::duckdb_get_list_size(list)).map(|at| text_at(list, at)).collect() };
        unsafe { ffi::duckdb_destroy_value(&raw mut list) };
        Ok(names)
    }
}

unsafe fn text_at(list: ffi::duckdb_value, at: u64) -> String {
    unsafe {
        let mut child = ffi::duckdb_get_list_child(list, at);
        let text = super::text::taken(ffi::duckdb_get_varchar(child));
        ffi::duckdb_destroy_value(&raw mut child);
        text
    }
}

/// A transaction under way: what is done on its connection.
pub struct Transaction<'a> {
    connection: &'a Connection,
}

impl std::ops::Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

struct Extracted<'a> {
    connection: &'a Connection,
    raw: ffi::duckdb_extracted_statements,
    count: u64,
}

impl Drop for Extracted<'_> {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_destroy_extracted(&raw mut self.raw) };
    }
}

impl<'a> Extracted<'a> {
    fn new(connection: &'a Connection, sql: &str) -> Result<Self> {
        let sql = c_text(sql)?;
        let mut raw = ptr::null_mut();
        let count = unsafe { ffi::duckdb_extract_statements(connection.raw, sql.as_ptr(), &raw mut raw) };
        let extracted = Self { connection, raw, count };
        if count > 0 {
            return Ok(extracted);
        }
        let why = unsafe { copied(ffi::duckdb_extract_statements_error(raw)) };
        Err(if why.is_empty() {
            Error::new(Kind::Query, "There is no statement in the text: give one.")
        } else {
            failure(&why)
        })
    }

    fn last(&self, parameters: Option<&RecordBatch>) -> Result<Prepared<'a>> {
        let mut last = self.prepare(self.count - 1)?;
        last.bind(parameters)?;
        Ok(last)
    }

    fn prepare(&self, at: u64) -> Result<Prepared<'a>> {
        let mut raw = ptr::null_mut();
        let state = unsafe {
            ffi::duckdb_prepare_extracted_statement(self.connection.raw, self.raw, at, &raw mut raw)
        };
        let prepared = Prepared { raw, _connection: self.connection };
        if state != ffi::DuckDBSuccess {
            return Err(failure(&unsafe { copied(ffi::duckdb_prepare_error(raw)) }));
        }
        Ok(prepared)
    }
}

struct Prepared<'a> {
    raw: ffi::duckdb_prepared_statement,
    _connection: &'a Connection,
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_destroy_prepare(&raw mut self.raw) };
    }
}

impl Prepared<'_> {
    fn bind(&mut self, parameters: Option<&RecordBatch>) -> Result<()> {
        let wanted = unsafe { ffi::duckdb_nparams(self.raw) };
        let given = parameters.map_or(0, RecordBatch::num_columns) as u64;
        if wanted != given {
            let text = format!("The statement has {wanted} parameters, and {given} were given.");
            return Err(Error::new(Kind::Query, text));
        }
        let Some(row) = parameters else { return Ok(()) };
        if row.num_rows() != 1 {
            return Err(Error::new(Kind::Invalid, "Parameters are one row."));
        }
        for (field, column) in row.schema().fields().iter().zip(row.columns()) {
            let name = c_text(field.name())?;
            let mut index = 0;
            let found = unsafe { ffi::duckdb_bind_parameter_index(self.raw, &raw mut index, name.as_ptr()) };
            if found != ffi::DuckDBSuccess {
                return Err(Error::new(
                    Kind::Query,
                    format!("The statement has no parameter ${}.", field.name()),
                ));
            }
            let value = Value::of(column, 0)?;
            if unsafe { ffi::duckdb_bind_value(self.raw, index, value.raw()) } != ffi::DuckDBSuccess {
                return Err(failure(&unsafe { copied(ffi::duckdb_prepare_error(self.raw)) }));
            }
        }
        Ok(())
    }

    fn execute(&self) -> Result<Raw> {
        Raw::new(|result| unsafe { ffi::duckdb_execute_prepared(self.raw, result) })
    }

    fn stream(&self) -> Result<Raw> {
        Raw::new(|result| unsafe { ffi::duckdb_execute_prepared_streaming(self.raw, result) })
    }
}

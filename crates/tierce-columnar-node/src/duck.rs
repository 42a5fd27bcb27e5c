//! DuckDB as classes: a handful of lines a method.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use tierce_columnar::duck::{Access, Batches, Connection, Engine, Options, Progress, QueryResult};
use tierce_columnar::layout::Layout;
use tierce_columnar::{Error, Kind, Result, ipc};
use tierce_napi::Work;

use crate::errors::{guard, job};
use crate::tables::NativeSource;
use crate::wire::{NativeColumns, NativeColumnsOut, bytes, columns};

/// Options of a database, checked by the TypeScript layer.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeDatabaseOptions {
    pub read_only: Option<bool>,
    pub threads: Option<u32>,
    /// Bytes.
    pub memory_limit: Option<f64>,
    /// Milliseconds.
    pub lock_timeout: Option<f64>,
}

impl From<NativeDatabaseOptions> for Options {
    fn from(given: NativeDatabaseOptions) -> Self {
        let read_only = given.read_only.unwrap_or(false);
        Self {
            access: if read_only { Access::ReadOnly } else { Access::ReadWrite },
            threads: given.threads,
            memory_limit: given.memory_limit.map(|bytes| bytes as u64),
            lock_timeout: Duration::from_millis(given.lock_timeout.unwrap_or(0.0) as u64),
        }
    }
}

/// An open database file, shared by all that open it in this process.
#[napi]
pub struct NativeDatabase {
    engine: RefCell<Option<Engine>>,
}

impl NativeDatabase {
    pub fn engine(&self) -> Result<Engine> {
        let engine = self.engine.borrow().clone();
        engine.ok_or_else(|| Error::new(Kind::Closed, "The database is closed: open it again."))
    }
}

#[napi]
impl NativeDatabase {
    /// Opens a file; without a path, a database in memory.
    #[napi(ts_return_type = "Promise<NativeDatabase>")]
    pub fn open(path: Option<String>, options: NativeDatabaseOptions) -> Work<Engine, NativeDatabase> {
        let options = Options::from(options);
        let open = move || match path {
            Some(path) => Engine::open(path, &options),
            None => Engine::in_memory(&options),
        };
        job(open, |_, engine| Ok(NativeDatabase { engine: RefCell::new(Some(engine)) }))
    }

    /// A new connection.
    #[napi]
    pub fn connect(&self, env: &Env) -> napi::Result<NativeConnection> {
        guard(env, || {
            let connection = self.engine()?.connect()?;
            Ok(NativeConnection::of(Arc::new(connection)))
        })
    }

    /// Lets go of the database. Connections keep it open until they are closed too.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> Work<(), ()> {
        let engine = self.engine.borrow_mut().take();
        // The last one to go writes a checkpoint.
        job(
            move || {
                drop(engine);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}

/// A connection: one statement at a time.
#[napi]
pub struct NativeConnection {
    connection: RefCell<Option<Arc<Connection>>>,
}

impl NativeConnection {
    pub fn of(connection: Arc<Connection>) -> Self {
        Self { connection: RefCell::new(Some(connection)) }
    }

    pub fn get(&self) -> Result<Arc<Connection>> {
        let connection = self.connection.borrow().clone();
        connection.ok_or_else(|| Error::new(Kind::Closed, "The connection is closed: open another one."))
    }
}

/// How far a statement is.
#[napi(object, object_from_js = false)]
pub struct NativeProgress {
    pub percentage: f64,
    pub rows: f64,
    pub total: f64,
}

impl From<Progress> for NativeProgress {
    fn from(progress: Progress) -> Self {
        let Progress { percentage, rows, total } = progress;
        Self { percentage, rows: rows as f64, total: total as f64 }
    }
}

#[napi]
impl NativeConnection {
    /// Runs statements; the parameters, one row of columns, are those of the last one. They can read `given` as a table, once.
    #[napi(ts_return_type = "Promise<NativeResult>")]
    pub fn query(
        &self,
        sql: String,
        parameters: Option<NativeColumns>,
        given: Option<NativeSource>,
    ) -> Work<QueryResult, NativeResult> {
        let connection = self.get();
        let run = move || {
            let row = parameters.map(NativeColumns::into_batch).transpose()?;
            let connection = connection?;
            let query = || connection.query(&sql, row.as_ref());
            let Some(given) = given else { return query() };
            let (schema, batches) = given.into_batches()?;
            connection.with_batches("given", schema, batches, query)
        };
        job(run, |_, result| Ok(NativeResult::of(result)))
    }

    /// As `query`, for a result that is computed while it is read.
    #[napi(ts_return_type = "Promise<NativeStream>")]
    pub fn stream(&self, sql: String, parameters: Option<NativeColumns>) -> Work<Batches, NativeStream> {
        let connection = self.get();
        let run = move || {
            let row = parameters.map(NativeColumns::into_batch).transpose()?;
            connection?.stream(&sql, row.as_ref())
        };
        job(run, |_, batches| Ok(NativeStream { batches: Arc::new(Mutex::new(Some(batches))) }))
    }

    /// Interrupts what runs now.
    #[napi]
    pub fn interrupt(&self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.get()?.interrupt();
            Ok(())
        })
    }

    /// How far the running statement is.
    #[napi]
    pub fn progress(&self, env: &Env) -> napi::Result<NativeProgress> {
        guard(env, || Ok(NativeProgress::from(self.get()?.progress())))
    }

    /// Interrupts what runs now and lets go of the connection.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> Work<(), ()> {
        let connection = self.connection.borrow_mut().take();
        if let Some(connection) = &connection {
            connection.stop();
        }
        job(
            move || {
                drop(connection);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}

/// A result in memory. Each of its forms can be asked for once.
#[napi]
pub struct NativeResult {
    result: Mutex<Option<QueryResult>>,
}

impl NativeResult {
    pub fn of(result: QueryResult) -> Self {
        Self { result: Mutex::new(Some(result)) }
    }

    fn get(&self) -> Result<QueryResult> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| Error::new(Kind::Closed, "The result was taken already."))
    }
}

#[napi]
impl NativeResult {
    /// Rows that the statement inserted, changed or removed.
    #[napi]
    pub fn changed(&self, env: &Env) -> napi::Result<f64> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        guard(env, || Ok(result.as_ref().map_or(0.0, |result| result.changed as f64)))
    }

    /// The rows as columns. Takes them.
    #[napi(ts_return_type = "Promise<NativeColumnsOut>")]
    pub fn columns(&self) -> Work<Layout, NativeColumnsOut> {
        let result = self.get();
        job(
            move || {
                let result = result?;
                Layout::of(&result.schema, &result.batches)
            },
            columns,
        )
    }

    /// The rows as a stream of Arrow's IPC format. Takes them.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn ipc(&self) -> Work<Vec<u8>, Buffer> {
        let result = self.get();
        job(
            move || {
                let result = result?;
                ipc::write(&result.schema, &result.batches)
            },
            bytes,
        )
    }
}

/// A result that is computed while it is read.
#[napi]
pub struct NativeStream {
    batches: Arc<Mutex<Option<Batches>>>,
}

#[napi]
impl NativeStream {
    /// The next rows, about as many as asked for; none at the end.
    #[napi(ts_return_type = "Promise<NativeResult>")]
    pub fn next(&self, rows: u32) -> Work<QueryResult, NativeResult> {
        let batches = Arc::clone(&self.batches);
        let run = move || {
            let mut open = batches.lock().unwrap_or_else(PoisonError::into_inner);
            let stream = open.as_mut().ok_or_else(|| Error::new(Kind::Closed, "The result is closed."))?;
            Ok(QueryResult { schema: stream.schema(), batches: stream.next(rows as usize)?, changed: 0 })
        };
        job(run, |_, result| Ok(NativeResult::of(result)))
    }

    /// Lets go of the result, before its end too.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> Work<(), ()> {
        let batches = Arc::clone(&self.batches);
        let run = move || {
            drop(batches.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        };
        job(run, |_, ()| Ok(()))
    }
}

//! Cached tables as a class: a handful of lines a method.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use tierce_columnar::arrow::{RecordBatch, SchemaRef};
use tierce_columnar::duck::Name;
use tierce_columnar::tables::{self, Column, Mode, Options, Policy, Source, Spec, TableInfo, Tables};
use tierce_columnar::{Error, Kind, Result, ipc};
use tierce_napi::Work;

use crate::duck::{NativeDatabase, NativeProgress};
use crate::errors::{guard, job};
use crate::wire::{NativeColumns, into_batches};

/// Options of cached tables, checked by the TypeScript layer.
#[napi(object, object_to_js = false)]
pub struct NativeTablesOptions {
    /// Bytes; `undefined` for no bound.
    pub max_size: Option<f64>,
    pub policy: Option<String>,
}

/// Where rows come from: one of these.
#[napi(object, object_to_js = false)]
pub struct NativeSource {
    pub batches: Option<Vec<NativeColumns>>,
    pub ipc: Option<Uint8Array>,
    pub file: Option<String>,
    /// Of the file: `parquet`, `csv` or `json`.
    pub format: Option<String>,
    pub sql: Option<String>,
    pub parameters: Option<NativeColumns>,
}

impl NativeSource {
    fn into_source(self) -> Result<Source> {
        if self.batches.is_some() || self.ipc.is_some() {
            let (schema, batches) = self.into_batches()?;
            return Ok(Source::Batches(schema, batches));
        }
        if let (Some(path), Some(format)) = (self.file, self.format) {
            return Ok(Source::File { path, format });
        }
        let sql = self
            .sql
            .ok_or_else(|| Error::new(Kind::Invalid, "There is no source: give rows, a file or a query."))?;
        Ok(Source::Query(sql, self.parameters.map(NativeColumns::into_batch).transpose()?))
    }

    pub fn into_batches(self) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        if let Some(bytes) = self.ipc {
            return ipc::read(&bytes);
        }
        let batches = into_batches(self.batches.unwrap_or_default())?;
        let schema = batches.first().map(RecordBatch::schema);
        let schema =
            schema.ok_or_else(|| Error::new(Kind::Invalid, "There are no columns: give at least one."))?;
        Ok((schema, batches))
    }
}

/// A table as it is to be.
#[napi(object, object_to_js = false)]
pub struct NativeSpec {
    /// `replace`, `append` or `upsert`.
    pub mode: String,
    /// Names of columns whose types are told, and their types with constraints.
    pub names: Vec<String>,
    pub types: Vec<String>,
    pub key: Vec<String>,
    /// Milliseconds since the Unix epoch; `undefined` never.
    pub expires: Option<f64>,
    pub renew: bool,
}

impl NativeSpec {
    fn parts(self) -> Result<(Mode, Spec)> {
        let mode = match self.mode.as_str() {
            "replace" => Mode::Replace,
            "append" => Mode::Append,
            "upsert" => Mode::Upsert,
            other => return Err(Error::new(Kind::Invalid, format!("Invalid mode: {other:?}."))),
        };
        let columns = self.names.into_iter().zip(self.types);
        let columns = columns.map(|(name, kind)| Column { name, kind, nullable: true }).collect();
        let expires = self.expires.map(|at| at as i64);
        Ok((mode, Spec { columns, key: self.key, expires, renew: self.renew }))
    }
}

/// A column of a table.
#[napi(object, object_from_js = false)]
pub struct NativeColumn {
    pub name: String,
    #[napi(js_name = "type")]
    pub kind: String,
    pub nullable: bool,
}

/// What is known of a table. Times are milliseconds since the Unix epoch.
#[napi(object, object_from_js = false)]
pub struct NativeTableInfo {
    pub schema: String,
    pub table: String,
    pub rows: f64,
    pub bytes: f64,
    pub created: Option<f64>,
    pub updated: Option<f64>,
    pub expires: Option<f64>,
    pub accessed: Option<f64>,
    pub hits: f64,
    pub columns: Vec<NativeColumn>,
}

impl From<TableInfo> for NativeTableInfo {
    fn from(info: TableInfo) -> Self {
        let ms = |at: Option<i64>| at.map(|at| at as f64);
        let column =
            |column: Column| NativeColumn { name: column.name, kind: column.kind, nullable: column.nullable };
        Self {
            schema: info.name.schema,
            table: info.name.table,
            rows: info.rows as f64,
            bytes: info.bytes as f64,
            created: ms(info.created),
            updated: ms(info.updated),
            expires: ms(info.expires),
            accessed: ms(info.accessed),
            hits: info.hits as f64,
            columns: info.columns.into_iter().map(column).collect(),
        }
    }
}

type Infos = Vec<NativeTableInfo>;

fn infos(_: &Env, infos: Vec<TableInfo>) -> napi::Result<Infos> {
    Ok(infos.into_iter().map(NativeTableInfo::from).collect())
}

/// The tables of a database as a cache.
#[napi]
pub struct NativeTables {
    tables: RefCell<Option<Arc<Tables>>>,
}

impl NativeTables {
    fn get(&self) -> Result<Arc<Tables>> {
        let tables = self.tables.borrow().clone();
        tables.ok_or_else(|| Error::new(Kind::Closed, "The tables are closed: open them again."))
    }

    /// Runs `run` on the thread pool.
    fn run<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Tables) -> Result<T> + Send + 'static,
    ) -> impl FnOnce() -> Result<T> + Send + 'static {
        let tables = self.get();
        move || run(&*tables?)
    }
}

#[napi]
impl NativeTables {
    /// Takes over a database.
    #[napi(ts_return_type = "Promise<NativeTables>")]
    pub fn open(database: &NativeDatabase, options: NativeTablesOptions) -> Work<Tables, NativeTables> {
        let engine = database.engine();
        let open = move || {
            let policy = options.policy.as_deref().map_or(Ok(Policy::default()), Policy::named)?;
            Tables::new(engine?, Options { max_size: options.max_size.map(|bytes| bytes as u64), policy })
        };
        job(open, |_, tables| Ok(NativeTables { tables: RefCell::new(Some(Arc::new(tables))) }))
    }

    /// Writes a table. Gives how many rows came.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn write(
        &self,
        schema: String,
        table: String,
        source: NativeSource,
        spec: NativeSpec,
        now: f64,
    ) -> Work<f64, f64> {
        let run = self.run(move |tables| {
            let (mode, spec) = spec.parts()?;
            let rows =
                tables.write(&Name::new(schema, table), source.into_source()?, mode, &spec, now as i64)?;
            Ok(rows as f64)
        });
        job(run, |_, rows| Ok(rows))
    }

    /// Interrupts the cache's own work that runs now.
    #[napi]
    pub fn interrupt(&self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.get()?.connection().interrupt();
            Ok(())
        })
    }

    /// How far that work is.
    #[napi]
    pub fn progress(&self, env: &Env) -> napi::Result<NativeProgress> {
        guard(env, || Ok(NativeProgress::from(self.get()?.connection().progress())))
    }

    /// Notes that a statement reads its tables; fails where one of them has expired.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn reading(&self, sql: String, schema: String, now: f64) -> Work<(), ()> {
        let run = self.run(move |tables| tables.reading(&sql, &schema, now as i64));
        job(run, |_, ()| Ok(()))
    }

    /// Whether there is such a table.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn has(&self, schema: String, table: String, now: f64) -> Work<bool, bool> {
        job(self.run(move |tables| tables.has(&Name::new(schema, table), now as i64)), |_, found| Ok(found))
    }

    /// All that is known of the tables; without `measure`, without columns and sizes.
    #[napi(ts_return_type = "Promise<Array<NativeTableInfo>>")]
    pub fn list(&self, measure: bool, now: f64) -> Work<Vec<TableInfo>, Infos> {
        let run =
            self.run(move |tables| if measure { tables.info(now as i64) } else { tables.list(now as i64) });
        job(run, infos)
    }

    /// Bytes of the database in use.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn size(&self) -> Work<f64, f64> {
        job(self.run(|tables| Ok(tables.size()? as f64)), |_, size| Ok(size))
    }

    /// Removes tables. Gives how many there were.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn clear(&self, schema: Option<String>, table: Option<String>) -> Work<u32, u32> {
        let run = self.run(move |tables| Ok(tables.clear(schema.as_deref(), table.as_deref())? as u32));
        job(run, |_, count| Ok(count))
    }

    /// Removes tables whose time to live has passed. Gives how many there were.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn cleanup(&self, now: f64) -> Work<u32, u32> {
        job(self.run(move |tables| Ok(tables.remove_expired(now as i64)?.len() as u32)), |_, count| Ok(count))
    }

    /// Makes a backup in a folder. Gives its bytes.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn backup(&self, dir: String) -> Work<f64, f64> {
        job(self.run(move |tables| Ok(tables.backup(&PathBuf::from(dir))? as f64)), |_, bytes| Ok(bytes))
    }

    /// Makes the database what the backup in a folder says.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn restore(&self, dir: String) -> Work<(), ()> {
        job(self.run(move |tables| tables.restore(&PathBuf::from(dir))), |_, ()| Ok(()))
    }

    /// Writes down what is in memory, and lets go of the database.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> Work<(), ()> {
        let tables = self.tables.borrow_mut().take();
        job(move || tables.map_or(Ok(()), |tables| tables.settle()), |_, ()| Ok(()))
    }
}

/// Removes the backup in a folder, and nothing else. Gives whether there was one.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn erase_backup(dir: String) -> Work<bool, bool> {
    job(move || tables::erase_backup(&PathBuf::from(dir)), |_, existed| Ok(existed))
}

/// Removes the file of a database that nobody in this process has open.
#[napi(ts_return_type = "Promise<void>")]
pub fn erase_database(path: String) -> Work<(), ()> {
    job(move || tables::erase(&PathBuf::from(path)), |_, ()| Ok(()))
}

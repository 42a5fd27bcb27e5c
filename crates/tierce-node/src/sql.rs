//! A database file as a class: statements in, columns out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{BigInt, Buffer, Either, Either4, Float64Array, Null, Uint8Array, Uint32Array};
use napi_derive::napi;
use tierce::sql::{Batch, Cancel, Cells, Column, Database, Step, Table, Value};
use tierce::{Code, Error, Result};
use tierce_napi::{Work, guard, job};

/// A parameter of a statement.
type Param = Either<Either4<f64, String, BigInt, Uint8Array>, Null>;

/// A column of parameters: numbers, NaN for null, or texts.
#[napi(object, object_to_js = false)]
pub struct NativeCells {
    /// NaN is null.
    pub numbers: Option<Float64Array>,
    /// Whether the numbers are whole ones.
    pub whole: Option<bool>,
    /// Texts, joined by NUL characters.
    pub text: Option<String>,
    /// Not 0 where a text is null.
    pub nulls: Option<Uint8Array>,
    /// The number of texts.
    pub rows: u32,
}

/// A step of a transaction: a statement that runs once with `params`, or once a row of `columns`.
#[napi(object, object_to_js = false)]
pub struct NativeStep {
    /// One statement.
    pub sql: String,
    /// The values of its parameters.
    #[napi(ts_type = "Array<number | string | bigint | Uint8Array | null>")]
    pub params: Option<Vec<Param>>,
    /// Columns of parameters.
    pub columns: Option<Vec<NativeCells>>,
    /// The rows that must change, or nothing is done.
    pub expect: Option<f64>,
}

/// A column of a result: one of the three.
#[napi(object, object_from_js = false)]
pub struct NativeColumn {
    /// NaN is null.
    pub numbers: Option<Float64Array>,
    /// Texts, one after the other.
    pub text: Option<String>,
    /// Start and end of each text; those of null are 1 and 0.
    pub spans: Option<Uint32Array>,
    /// Values of any type.
    #[napi(ts_type = "Array<number | string | bigint | Buffer | null>")]
    pub values: Option<Vec<Output>>,
}

/// A value of a result.
type Output = Either<Either4<f64, String, BigInt, Buffer>, Null>;

/// Some rows of a result.
#[napi(object, object_from_js = false)]
pub struct NativeBatch {
    /// Their number.
    pub rows: u32,
    /// One for each name.
    pub columns: Vec<NativeColumn>,
}

/// The result of a query.
#[napi(object, object_from_js = false)]
pub struct NativeTable {
    /// The names of the columns.
    pub names: Vec<String>,
    /// The rows, in parts.
    pub batches: Vec<NativeBatch>,
}

/// Ends a query that is under way.
#[napi]
#[derive(Default)]
pub struct NativeCancel {
    cancel: Arc<Cancel>,
}

#[napi]
impl NativeCancel {
    /// For one query.
    #[napi(constructor)]
    pub fn new(env: &Env) -> napi::Result<Self> {
        guard(env, || Ok(Self::default()))
    }

    /// Ends the query that was given this, now or when it begins: it fails with `E_TIMEOUT`.
    #[napi]
    pub fn cancel(&self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.cancel.cancel();
            Ok(())
        })
    }
}

/// An open database file. Every call runs on the thread pool.
#[napi]
pub struct NativeDatabase {
    database: Arc<Database>,
}

/// Opens a database file, or makes it. `lockTimeout` in milliseconds.
#[napi(ts_return_type = "Promise<NativeDatabase>")]
pub fn open_database(
    env: &Env,
    path: String,
    lock_timeout: f64,
) -> napi::Result<Work<Database, NativeDatabase>> {
    guard(env, || Ok(()))?;
    let timeout = Duration::from_millis(lock_timeout as u64);
    let convert = |_: &Env, database| Ok(NativeDatabase { database: Arc::new(database) });
    Ok(job(move || Database::open(&PathBuf::from(path), timeout), convert))
}

#[napi]
impl NativeDatabase {
    /// Runs the steps in one transaction: all of them, or none. Gives the number of rows that each changed.
    #[napi(ts_return_type = "Promise<Array<number>>")]
    pub fn write(&self, env: &Env, steps: Vec<NativeStep>) -> napi::Result<Work<Vec<u64>, Vec<f64>>> {
        let steps = guard(env, || steps.into_iter().map(step).collect::<Result<Vec<_>>>())?;
        let database = Arc::clone(&self.database);
        let convert =
            |_: &Env, changes: Vec<u64>| Ok(changes.into_iter().map(|count| count as f64).collect());
        Ok(job(move || database.write(&steps), convert))
    }

    /// Runs a statement that only reads.
    #[napi(ts_return_type = "Promise<NativeTable>")]
    pub fn query(
        &self,
        env: &Env,
        sql: String,
        #[napi(ts_arg_type = "Array<number | string | bigint | Uint8Array | null>")] params: Vec<Param>,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Work<Table, NativeTable>> {
        let params = guard(env, || params.into_iter().map(value).collect::<Result<Vec<_>>>())?;
        let database = Arc::clone(&self.database);
        let cancel = cancel.map(|one| Arc::clone(&one.cancel));
        Ok(job(move || database.query(&sql, &params, cancel.as_deref()), |_, table| Ok(native_table(table))))
    }

    /// Lets go of the file.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self, env: &Env) -> napi::Result<Work<(), ()>> {
        guard(env, || Ok(()))?;
        let database = Arc::clone(&self.database);
        Ok(job(move || database.close(), |_, ()| Ok(())))
    }
}

/// 2^53 - 1: whole numbers up to here go to SQLite as such, as they do in JavaScript's `Number.isSafeInteger`.
const SAFE: f64 = 9_007_199_254_740_991.0;

fn value(param: Param) -> Result<Value> {
    Ok(match param {
        Either::B(Null) => Value::Null,
        Either::A(Either4::A(number)) if number.fract() == 0.0 && number.abs() <= SAFE => {
            Value::Integer(number as i64)
        }
        Either::A(Either4::A(number)) => Value::Real(number),
        Either::A(Either4::B(text)) => Value::Text(text),
        Either::A(Either4::C(big)) => match big.get_i64() {
            (number, true) => Value::Integer(number),
            _ => return Err(Error::new(Code::InvalidOption, "a bigint parameter is beyond 64 bits")),
        },
        Either::A(Either4::D(bytes)) => Value::Blob(bytes.to_vec()),
    })
}

fn step(step: NativeStep) -> Result<Step> {
    let NativeStep { sql, params, columns, expect } = step;
    if let Some(columns) = columns {
        return Ok(Step::Each { sql, columns: columns.into_iter().map(cells).collect() });
    }
    let params = params.unwrap_or_default().into_iter().map(value).collect::<Result<_>>()?;
    Ok(Step::Run { sql, params, expect: expect.map(|rows| rows as u64) })
}

fn cells(cells: NativeCells) -> Cells {
    match cells {
        NativeCells { numbers: Some(numbers), whole: Some(true), .. } => Cells::Integers(numbers.to_vec()),
        NativeCells { numbers: Some(numbers), .. } => Cells::Reals(numbers.to_vec()),
        NativeCells { text, nulls, rows, .. } => {
            let nulls = nulls.map_or_else(Vec::new, |nulls| nulls.to_vec());
            Cells::joined(text.unwrap_or_default(), rows as usize, nulls)
        }
    }
}

fn native_table(Table { names, batches }: Table) -> NativeTable {
    let batch = |Batch { rows, columns }| NativeBatch {
        rows: rows as u32,
        columns: columns.into_iter().map(native_column).collect(),
    };
    NativeTable { names, batches: batches.into_iter().map(batch).collect() }
}

fn native_column(column: Column) -> NativeColumn {
    let mut native = NativeColumn { numbers: None, text: None, spans: None, values: None };
    match column {
        Column::Numbers(numbers) => native.numbers = Some(Float64Array::new(numbers)),
        Column::Text { text, spans } => {
            native.text = Some(text);
            native.spans = Some(Uint32Array::new(spans));
        }
        Column::Mixed(values) => native.values = Some(values.into_iter().map(native_value).collect()),
    }
    native
}

fn native_value(value: Value) -> Output {
    match value {
        Value::Null => Either::B(Null),
        Value::Integer(number) if number.unsigned_abs() <= SAFE as u64 => {
            Either::A(Either4::A(number as f64))
        }
        Value::Integer(number) => Either::A(Either4::C(BigInt::from(number))),
        Value::Real(number) => Either::A(Either4::A(number)),
        Value::Text(text) => Either::A(Either4::B(text)),
        Value::Blob(bytes) => Either::A(Either4::D(bytes.into())),
    }
}

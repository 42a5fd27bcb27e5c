//! Frames: to Parquet and back on the calling thread, for the synchronous verbs and small ones, or on the thread pool; scans on the pool.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce_columnar::duck::QueryResult;
use tierce_columnar::frames::{self, Compare, Filter, Scan};
use tierce_columnar::{Error, Kind, Result};
use tierce_napi::Work;

use crate::duck::NativeResult;
use crate::errors::{guard, job};
use crate::tables::NativeSource;
use crate::wire::{NativeColumns, bytes as buffer};

/// A condition on a column: the values are one column.
#[napi(object, object_to_js = false)]
pub struct NativeFilter {
    pub column: String,
    pub compare: String,
    pub values: NativeColumns,
}

/// What is read of a frame.
#[napi(object, object_to_js = false)]
pub struct NativeScan {
    pub columns: Option<Vec<String>>,
    pub filters: Vec<NativeFilter>,
    pub limit: Option<f64>,
}

impl NativeScan {
    fn into_scan(self) -> Result<Scan> {
        let filter = |filter: NativeFilter| {
            let values = filter.values.into_batch()?;
            let values = values.columns().first().cloned();
            let values = values.ok_or_else(|| Error::new(Kind::Invalid, "A filter has no value."))?;
            Ok(Filter { column: filter.column, compare: Compare::named(&filter.compare)?, values })
        };
        let filters = self.filters.into_iter().map(filter).collect::<Result<_>>()?;
        Ok(Scan { columns: self.columns, filters, limit: self.limit.map(|limit| limit as usize) })
    }
}

/// JavaScript's bytes as Parquet's reader takes them.
struct Held(Uint8Array);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn parquet_of(source: NativeSource) -> Result<Vec<u8>> {
    let (schema, batches) = source.into_batches()?;
    frames::to_parquet(schema, &batches)
}

fn ipc_of(parquet: Uint8Array) -> Result<Vec<u8>> {
    let read = frames::scan(bytes::Bytes::from_owner(Held(parquet)), &Scan::default())?;
    tierce_columnar::ipc::write(&read.schema, &read.batches)
}

/// Writes a frame as Parquet, with LZ4.
#[napi]
pub fn frame_to_parquet_sync(env: &Env, source: NativeSource) -> napi::Result<Buffer> {
    let written = guard(env, || parquet_of(source))?;
    buffer(env, written)
}

/// The same on the thread pool.
#[napi(ts_return_type = "Promise<Buffer>")]
pub fn frame_to_parquet(source: NativeSource) -> Work<Vec<u8>, Buffer> {
    job(move || parquet_of(source), buffer)
}

/// Reads a frame from Parquet as a stream of Arrow's IPC format.
#[napi]
pub fn frame_to_ipc_sync(env: &Env, parquet: Uint8Array) -> napi::Result<Buffer> {
    let written = guard(env, || ipc_of(parquet))?;
    buffer(env, written)
}

/// The same on the thread pool.
#[napi(ts_return_type = "Promise<Buffer>")]
pub fn frame_to_ipc(parquet: Uint8Array) -> Work<Vec<u8>, Buffer> {
    job(move || ipc_of(parquet), buffer)
}

/// Reads a part of a frame.
#[napi(ts_return_type = "Promise<NativeResult>")]
pub fn scan_frame(parquet: Uint8Array, scan: NativeScan) -> Work<QueryResult, NativeResult> {
    let run = move || {
        let read = frames::scan(bytes::Bytes::from_owner(Held(parquet)), &scan.into_scan()?)?;
        Ok(QueryResult { schema: read.schema, batches: read.batches, changed: 0 })
    };
    job(run, |_, result| Ok(NativeResult::of(result)))
}

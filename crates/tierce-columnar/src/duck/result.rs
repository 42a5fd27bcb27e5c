//! Results: chunks of DuckDB's as Arrow batches.

use std::ptr;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::{RecordBatch, StructArray};
use arrow_schema::{DataType, Schema, SchemaRef};
use libduckdb_sys as ffi;

use super::connection::Connection;
use super::direct::Columns;
use super::failure::{checked, failure};
use super::text::copied;
use crate::{Error, Kind, Result};

/// A result that is in memory as a whole.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// How many rows the statement inserted, changed or removed.
    pub changed: u64,
}

impl QueryResult {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Owner of a result of DuckDB's.
pub(super) struct Raw {
    result: ffi::duckdb_result,
    options: ffi::duckdb_arrow_options,
    schema: SchemaRef,
}

// A result is used by one thread at a time: its owner is never shared.
unsafe impl Send for Raw {}

impl Drop for Raw {
    fn drop(&mut self) {
        unsafe {
            ffi::duckdb_destroy_arrow_options(&raw mut self.options);
            ffi::duckdb_destroy_result(&raw mut self.result);
        }
    }
}

impl Raw {
    /// Runs `execute`, which fills the result.
    pub(super) fn new(execute: impl FnOnce(*mut ffi::duckdb_result) -> ffi::duckdb_state) -> Result<Self> {
        let result = unsafe { std::mem::zeroed() };
        let mut raw = Self { result, options: ptr::null_mut(), schema: Arc::new(Schema::empty()) };
        let state = execute(&raw mut raw.result);
        if state != ffi::DuckDBSuccess {
            return Err(failure(&unsafe { copied(ffi::duckdb_result_error(&raw mut raw.result)) }));
        }
        raw.options = unsafe { ffi::duckdb_result_get_arrow_options(&raw mut raw.result) };
        raw.schema = raw.arrow_schema()?;
        Ok(raw)
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether it has rows to read, or only says what was done.
    fn has_rows(&self) -> bool {
        let kind = unsafe { ffi::duckdb_result_return_type(self.result) };
        kind == ffi::duckdb_result_type_DUCKDB_RESULT_TYPE_QUERY_RESULT
    }

    fn arrow_schema(&mut self) -> Result<SchemaRef> {
        if !self.has_rows() {
            return Ok(self.schema());
        }
        unsafe {
            let count = ffi::duckdb_column_count(&raw mut self.result);
            let mut types = Types(
                (0..count).map(|at| ffi::duckdb_column_logical_type(&raw mut self.result, at)).collect(),
            );
            let mut names: Vec<_> =
                (0..count).map(|at| ffi::duckdb_column_name(&raw mut self.result, at)).collect();
            let mut schema = FFI_ArrowSchema::empty();
            checked(ffi::duckdb_to_arrow_schema(
                self.options,
                types.0.as_mut_ptr(),
                names.as_mut_ptr(),
                count,
                (&raw mut schema).cast(),
            ))?;
            Ok(Arc::new(Schema::try_from(&schema)?))
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(chunk) = self.chunk()? else { return Ok(None) };
        let mut array = FFI_ArrowArray::empty();
        unsafe {
            checked(ffi::duckdb_data_chunk_to_arrow(self.options, chunk.0, (&raw mut array).cast()))?;
            let data = from_ffi_and_data_type(array, DataType::Struct(self.schema.fields().clone()))?;
            let (_, columns, _) = StructArray::from(data).into_parts();
            Ok(Some(RecordBatch::try_new(self.schema(), columns)?))
        }
    }

    fn chunk(&mut self) -> Result<Option<Chunk>> {
        if !self.has_rows() {
            return Ok(None);
        }
        let chunk = unsafe { ffi::duckdb_fetch_chunk(self.result) };
        if !chunk.is_null() {
            return Ok(Some(Chunk(chunk)));
        }
        // The end, or a failure while streaming.
        let why = unsafe { copied(ffi::duckdb_result_error(&raw mut self.result)) };
        if why.is_empty() { Ok(None) } else { Err(failure(&why)) }
    }

    /// The short way, where the columns have one.
    fn direct(&mut self) -> Option<Columns> {
        if !self.has_rows() {
            return None;
        }
        let result = &raw mut self.result;
        let (rows, count) = unsafe { (ffi::duckdb_row_count(result), ffi::duckdb_column_count(result)) };
        let types: Vec<_> = (0..count).map(|at| unsafe { ffi::duckdb_column_type(result, at) }).collect();
        Columns::new(&self.schema, &types, rows as usize)
    }

    pub(super) fn collect(mut self) -> Result<QueryResult> {
        let changed = unsafe { ffi::duckdb_rows_changed(&raw mut self.result) };
        let mut batches = Vec::new();
        if let Some(mut columns) = self.direct() {
            while let Some(chunk) = self.chunk()? {
                unsafe { columns.add(chunk.0) };
                if columns.is_full() {
                    batches.push(columns.take()?);
                }
            }
            batches.push(columns.take()?);
        } else {
            while let Some(batch) = self.next()? {
                batches.push(batch);
            }
        }
        batches.retain(|batch| batch.num_rows() > 0);
        Ok(QueryResult { schema: self.schema(), batches, changed })
    }
}

/// Owner of a chunk.
struct Chunk(ffi::duckdb_data_chunk);

impl Drop for Chunk {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_destroy_data_chunk(&raw mut self.0) };
    }
}

struct Types(Vec<ffi::duckdb_logical_type>);

impl Drop for Types {
    fn drop(&mut self) {
        for raw in &mut self.0 {
            unsafe { ffi::duckdb_destroy_logical_type(raw) };
        }
    }
}

/// A result that is computed while it is read. It has a connection of its own.
pub struct Batches {
    raw: Option<Raw>,
    schema: SchemaRef,
    // After `raw`, which lives in it.
    connection: Arc<Connection>,
}

impl Batches {
    pub(super) fn new(raw: Raw, connection: Arc<Connection>) -> Self {
        Self { schema: raw.schema(), raw: Some(raw), connection }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Its connection, to interrupt it.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The next `rows` rows or a few more, fewer at the end; none after it.
    ///
    /// # Errors
    /// `Interrupted`, `Query`: as the statement fails
    pub fn next(&mut self, rows: usize) -> Result<Vec<RecordBatch>> {
        let Some(raw) = &mut self.raw else { return Ok(Vec::new()) };
        let (mut batches, mut count) = (Vec::new(), 0);
        while count < rows {
            match raw.next() {
                Ok(Some(batch)) => {
                    count += batch.num_rows();
                    batches.push(batch);
                }
                Ok(None) => {
                    self.raw = None;
                    break;
                }
                Err(error) => {
                    self.raw = None;
                    return Err(error);
                }
            }
        }
        Ok(batches)
    }
}

/// The error for a stopped statement.
pub(super) fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "The statement was interrupted.")
}

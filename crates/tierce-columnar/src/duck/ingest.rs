//! Arrow batches as a table that statements of one connection can read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array as _, RecordBatch, StructArray};
use arrow_schema::SchemaRef;
use libduckdb_sys as ffi;

use super::Connection;
use super::sql::identifier;
use super::text::c_text;
use crate::{Error, Kind, Result};

/// The struct of Arrow's C stream interface.
#[repr(C)]
struct Stream {
    get_schema: unsafe extern "C" fn(*mut Stream, *mut FFI_ArrowSchema) -> c_int,
    get_next: unsafe extern "C" fn(*mut Stream, *mut FFI_ArrowArray) -> c_int,
    get_last_error: unsafe extern "C" fn(*mut Stream) -> *const c_char,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private_data: *mut c_void,
}

/// What the stream's callbacks work on. DuckDB copies the stream's struct and releases its copy, at a time that depends on
/// how the statement ended; so the state is freed by its owner here, and releasing only marks the struct.
struct State {
    schema: SchemaRef,
    batches: RefCell<VecDeque<RecordBatch>>,
    error: RefCell<CString>,
}

unsafe extern "C" fn get_schema(stream: *mut Stream, out: *mut FFI_ArrowSchema) -> c_int {
    let state = unsafe { &*(*stream).private_data.cast::<State>() };
    match FFI_ArrowSchema::try_from(state.schema.as_ref()) {
        Ok(schema) => {
            unsafe { ptr::write(out, schema) };
            0
        }
        Err(error) => state.failed(&error),
    }
}

unsafe extern "C" fn get_next(stream: *mut Stream, out: *mut FFI_ArrowArray) -> c_int {
    let state = unsafe { &*(*stream).private_data.cast::<State>() };
    let array = match state.batches.borrow_mut().pop_front() {
        Some(batch) => FFI_ArrowArray::new(&StructArray::from(batch).into_data()),
        None => FFI_ArrowArray::empty(),
    };
    unsafe { ptr::write(out, array) };
    0
}

unsafe extern "C" fn get_last_error(stream: *mut Stream) -> *const c_char {
    let state = unsafe { &*(*stream).private_data.cast::<State>() };
    state.error.borrow().as_ptr()
}

unsafe extern "C" fn release(stream: *mut Stream) {
    unsafe { (*stream).release = None };
}

impl State {
    fn failed(&self, error: &dyn std::fmt::Display) -> c_int {
        *self.error.borrow_mut() = CString::new(error.to_string().replace('\0', " ")).unwrap_or_default();
        22 // EINVAL
    }
}

/// What the names of streams' views start with. DuckDB makes these views in the database, where all connections see them: each has a
/// name of its own, and what a killed process left is dropped when the file is opened.
pub(super) const STREAM: &str = "__tierce_stream_";

fn stream_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{STREAM}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Connection {
    /// Runs `work` while the batches can be read as the temporary table `name`.
    ///
    /// # Errors
    /// `Invalid`: a type that DuckDB does not read; what `work` gives
    pub fn with_batches<T>(
        &self,
        name: &str,
        schema: SchemaRef,
        batches: impl IntoIterator<Item = RecordBatch>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let name = identifier(name)?;
        self.with_stream(schema, batches, |stream| {
            self.run(&format!("CREATE OR REPLACE TEMP TABLE {name} AS FROM {stream}"))
        })?;
        let outcome = work();
        // In a transaction that has failed it goes with it.
        let _ = self.run(&format!("DROP TABLE IF EXISTS temp.{name}"));
        outcome
    }

    /// Runs `work` while the batches can be read, without a copy, under the name that it is given: once, as a whole, and in the order
    /// of their columns. DuckDB tells its scan of Arrow which columns and rows a statement needs, and a stream of C cannot be told:
    /// with fewer columns than it has, the scan reads the wrong memory.
    pub(crate) fn with_stream<T>(
        &self,
        schema: SchemaRef,
        batches: impl IntoIterator<Item = RecordBatch>,
        work: impl FnOnce(&str) -> Result<T>,
    ) -> Result<T> {
        let batches = RefCell::new(batches.into_iter().filter(|batch| batch.num_rows() > 0).collect());
        let state = Box::new(State { schema, batches, error: RefCell::default() });
        let mut stream = Stream {
            get_schema,
            get_next,
            get_last_error,
            release: Some(release),
            private_data: (&raw const *state).cast_mut().cast::<c_void>(),
        };
        let name = stream_name();
        let text = c_text(&name)?;
        let given = unsafe { ffi::duckdb_arrow_scan(self.raw(), text.as_ptr(), (&raw mut stream).cast()) };
        if given != ffi::DuckDBSuccess {
            return Err(Error::new(Kind::Invalid, "DuckDB does not read columns of these types."));
        }
        let outcome = work(&name);
        // In a transaction that has failed it goes with it.
        let _ = self.run(&format!("DROP VIEW IF EXISTS {name}"));
        outcome
    }
}

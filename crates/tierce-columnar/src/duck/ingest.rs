//! Arrow batches as a table that statements of one connection can read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

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

impl Connection {
    /// Runs `work` while the batches can be read, once, as the temporary view `name`. They are not copied.
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
        let batches = RefCell::new(batches.into_iter().filter(|batch| batch.num_rows() > 0).collect());
        let state = Box::new(State { schema, batches, error: RefCell::default() });
        let mut stream = Stream {
            get_schema,
            get_next,
            get_last_error,
            release: Some(release),
            private_data: (&raw const *state).cast_mut().cast::<c_void>(),
        };
        let text = c_text(name)?;
        let given = unsafe { ffi::duckdb_arrow_scan(self.raw(), text.as_ptr(), (&raw mut stream).cast()) };
        if given != ffi::DuckDBSuccess {
            return Err(Error::new(Kind::Invalid, "DuckDB does not read columns of these types."));
        }
        let outcome = work();
        // In a transaction that has failed it goes with it.
        let _ = self.run(&format!("DROP VIEW IF EXISTS {}", identifier(name)?));
        outcome
    }
}

//! Columns between JavaScript and Rust: a schema as JSON, lengths, and buffers that neither side copies.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Buffer, BufferSlice, Uint8Array};
use napi_derive::napi;
use tierce_columnar::arrow::{self, RecordBatch, Schema};
use tierce_columnar::layout::Layout;
use tierce_columnar::{Error, Kind, Result};

use crate::errors::guard;

/// Columns of one length. `layout.rs` of the crate `tierce-columnar` says in which order lengths and buffers stand.
#[napi(object, object_to_js = false)]
pub struct NativeColumns {
    /// The schema as JSON, in the form that the crate `arrow-schema` gives it.
    pub schema: String,
    pub rows: f64,
    pub lengths: Vec<f64>,
    pub buffers: Vec<Option<Uint8Array>>,
}

/// JavaScript's memory. It stays in place and in use while this lives; changing it meanwhile is the caller's fault, and said
/// so in the docs.
struct Held(#[allow(dead_code, reason = "held, not read")] Uint8Array);

impl UnwindSafe for Held {}
impl RefUnwindSafe for Held {}

fn borrowed(array: Uint8Array) -> Option<arrow::Buffer> {
    let (start, length) = (NonNull::new(array.as_ptr().cast_mut())?, array.len());
    // The bytes belong to `array`, which the buffer owns.
    (length > 0)
        .then(|| unsafe { arrow::Buffer::from_custom_allocation(start, length, Arc::new(Held(array))) })
}

impl NativeColumns {
    pub fn into_batch(self) -> Result<RecordBatch> {
        let schema: Schema = arrow::schema_of_json(&self.schema)?;
        let layout = Layout {
            schema: Arc::new(schema),
            rows: self.rows as usize,
            lengths: self.lengths.into_iter().map(|length| length as usize).collect(),
            buffers: self.buffers.into_iter().map(|buffer| buffer.and_then(borrowed)).collect(),
        };
        layout.into_batch()
    }
}

/// Batches of one schema.
pub fn into_batches(given: Vec<NativeColumns>) -> Result<Vec<RecordBatch>> {
    let batches: Vec<_> = given.into_iter().map(NativeColumns::into_batch).collect::<Result<_>>()?;
    match batches.windows(2).any(|pair| pair[0].schema() != pair[1].schema()) {
        true => Err(Error::new(Kind::Invalid, "The batches have different schemas.")),
        false => Ok(batches),
    }
}

/// Columns on their way to JavaScript.
#[napi(object, object_from_js = false)]
pub struct NativeColumnsOut {
    pub schema: String,
    pub rows: f64,
    pub lengths: Vec<f64>,
    pub buffers: Vec<Option<Buffer>>,
}

/// The JavaScript side of columns, on the JavaScript thread.
pub fn columns(env: &Env, layout: Layout) -> napi::Result<NativeColumnsOut> {
    let schema = guard(env, || arrow::schema_to_json(&layout.schema))?;
    let buffers =
        layout.buffers.into_iter().map(|buffer| buffer.map(|bytes| external(env, bytes)).transpose());
    Ok(NativeColumnsOut {
        schema,
        rows: layout.rows as f64,
        lengths: layout.lengths.into_iter().map(|length| length as f64).collect(),
        buffers: buffers.collect::<napi::Result<_>>()?,
    })
}

/// Memory that nobody else has is handed over; V8 takes each address once, so what is shared is copied.
fn external(env: &Env, bytes: arrow::Buffer) -> napi::Result<Buffer> {
    if bytes.strong_count() > 1 {
        return BufferSlice::copy_from(env, bytes.as_slice())?.into_buffer(env);
    }
    let (start, length) = (bytes.as_ptr().cast_mut(), bytes.len());
    // It lives until V8 is done with it: the finalizer drops it.
    let slice = unsafe { BufferSlice::from_external(env, start, length, bytes, |_, bytes| drop(bytes)) }?;
    slice.into_buffer(env)
}

/// Bytes that Rust has written.
pub fn bytes(env: &Env, bytes: Vec<u8>) -> napi::Result<Buffer> {
    BufferSlice::from_data(env, bytes)?.into_buffer(env)
}

//! Results of numbers, times and text alone, copied out of DuckDB's vectors once: the way over Arrow's chunks copies them three times.

use std::mem;
use std::sync::Arc;

use arrow_array::{RecordBatch, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, NullBufferBuilder};
use arrow_data::ArrayDataBuilder;
use arrow_schema::{DataType, SchemaRef};
use libduckdb_sys as ffi;

use crate::Result;

/// Bytes of text in one batch: offsets have 32 bits, and a chunk's text comes on top.
const FULL: usize = 1 << 30;

/// Columns under construction.
pub(super) struct Columns {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    values: Values,
    nulls: NullBufferBuilder,
}

enum Values {
    /// So many bytes each.
    Fixed(usize, Vec<u8>),
    /// Where each ends, after a 0; and all of them.
    Text(Vec<i32>, Vec<u8>),
}

impl Columns {
    /// None where a column's values are not laid out in DuckDB as they are in Arrow. Some that are text to Arrow are none to DuckDB (UUID):
    /// `types` are DuckDB's.
    pub(super) fn new(schema: &SchemaRef, types: &[ffi::duckdb_type], rows: usize) -> Option<Self> {
        let columns = schema.fields().iter().zip(types).map(|(field, of)| {
            let values = match (field.data_type(), *of) {
                (DataType::Utf8, ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR) => {
                    let mut ends = Vec::with_capacity(rows + 1);
                    ends.push(0);
                    Values::Text(ends, Vec::new())
                }
                (kind, _) => {
                    let width = width(kind)?;
                    Values::Fixed(width, Vec::with_capacity(rows * width))
                }
            };
            Some(Column { values, nulls: NullBufferBuilder::new(0) })
        });
        Some(Self { columns: columns.collect::<Option<_>>()?, schema: Arc::clone(schema), rows: 0 })
    }

    /// Adds the rows of a chunk.
    ///
    /// # Safety
    /// The chunk is of this schema.
    pub(super) unsafe fn add(&mut self, chunk: ffi::duckdb_data_chunk) {
        let rows = unsafe { ffi::duckdb_data_chunk_get_size(chunk) } as usize;
        for (at, column) in self.columns.iter_mut().enumerate() {
            unsafe { column.add(ffi::duckdb_data_chunk_get_vector(chunk, at as u64), rows) };
        }
        self.rows += rows;
    }

    /// Whether a batch can take no more text.
    pub(super) fn is_full(&self) -> bool {
        self.columns
            .iter()
            .any(|column| matches!(&column.values, Values::Text(_, bytes) if bytes.len() > FULL))
    }

    /// The rows since the last time as one batch.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let rows = mem::take(&mut self.rows);
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            let data = ArrayDataBuilder::new(field.data_type().clone())
                .len(rows)
                .nulls(column.nulls.finish())
                .align_buffers(true);
            let data = match &mut column.values {
                Values::Fixed(_, bytes) => data.add_buffer(Buffer::from_vec(mem::take(bytes))),
                Values::Text(ends, bytes) => data
                    .add_buffer(Buffer::from_vec(mem::replace(ends, vec![0])))
                    .add_buffer(Buffer::from_vec(mem::take(bytes))),
            };
            // One value or end for each row; and DuckDB's text is UTF-8.
            arrays.push(make_array(unsafe { data.build_unchecked() }));
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }
}

impl Column {
    unsafe fn add(&mut self, vector: ffi::duckdb_vector, rows: usize) {
        let (data, validity) = unsafe {
            (ffi::duckdb_vector_get_data(vector).cast::<u8>(), ffi::duckdb_vector_get_validity(vector))
        };
        let valid = (!validity.is_null()).then(|| {
            let words = unsafe { std::slice::from_raw_parts(validity, rows.div_ceil(64)) };
            BooleanBuffer::new(Buffer::from_slice_ref(words), 0, rows)
        });
        match &mut self.values {
            Values::Fixed(width, bytes) => {
                bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(data, rows * *width) });
            }
            Values::Text(ends, bytes) => {
                for row in 0..rows {
                    // The text of a null is anything.
                    if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                        bytes.extend_from_slice(unsafe { text(data, row) });
                    }
                    ends.push(bytes.len() as i32);
                }
            }
        }
        match valid {
            Some(valid) => self.nulls.append_buffer(&NullBuffer::new(valid)),
            None => self.nulls.append_n_non_nulls(rows),
        }
    }
}

/// A text of a vector: its length, then up to twelve bytes of it, or four and where all of them are.
unsafe fn text<'a>(data: *const u8, row: usize) -> &'a [u8] {
    const INLINE: u32 = 12;
    unsafe {
        let start = data.add(row * size_of::<ffi::duckdb_string_t>());
        let length = start.cast::<u32>().read();
        let bytes = if length <= INLINE { start.add(4) } else { start.add(8).cast::<*const u8>().read() };
        std::slice::from_raw_parts(bytes, length as usize)
    }
}

fn width(kind: &DataType) -> Option<usize> {
    let same = kind.is_integer()
        || matches!(kind, DataType::Float32 | DataType::Float64 | DataType::Date32 | DataType::Timestamp(..));
    if same { kind.primitive_width() } else { None }
}

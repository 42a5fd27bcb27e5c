//! Results of numbers and times alone, copied out of DuckDB's vectors once: the way over Arrow's chunks copies them three times.

use std::sync::Arc;

use arrow_array::{RecordBatch, make_array};
use arrow_buffer::{Buffer, NullBufferBuilder};
use arrow_data::ArrayDataBuilder;
use arrow_schema::{DataType, SchemaRef};
use libduckdb_sys as ffi;

use crate::Result;

/// Columns under construction.
pub(super) struct Columns {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    width: usize,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Columns {
    /// None where a column's values are not laid out in DuckDB as they are in Arrow.
    pub(super) fn new(schema: &SchemaRef) -> Option<Self> {
        let column = |kind: &DataType| {
            Some(Column { width: width(kind)?, bytes: Vec::new(), nulls: NullBufferBuilder::new(0) })
        };
        let columns =
            schema.fields().iter().map(|field| column(field.data_type())).collect::<Option<Vec<_>>>()?;
        Some(Self { schema: Arc::clone(schema), columns, rows: 0 })
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

    /// All rows as one batch.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (mut column, field) in self.columns.into_iter().zip(self.schema.fields()) {
            let data = ArrayDataBuilder::new(field.data_type().clone())
                .len(self.rows)
                .nulls(column.nulls.finish())
                .add_buffer(Buffer::from_vec(column.bytes))
                .align_buffers(true);
            arrays.push(make_array(data.build()?));
        }
        Ok(RecordBatch::try_new(self.schema, arrays)?)
    }
}

impl Column {
    unsafe fn add(&mut self, vector: ffi::duckdb_vector, rows: usize) {
        unsafe {
            let data = ffi::duckdb_vector_get_data(vector).cast::<u8>();
            self.bytes.extend_from_slice(std::slice::from_raw_parts(data, rows * self.width));
            let validity = ffi::duckdb_vector_get_validity(vector);
            if validity.is_null() {
                self.nulls.append_n_non_nulls(rows);
            } else {
                (0..rows).for_each(|row| self.nulls.append(*validity.add(row / 64) >> (row % 64) & 1 == 1));
            }
        }
    }
}

fn width(kind: &DataType) -> Option<usize> {
    let same = kind.is_integer()
        || matches!(kind, DataType::Float32 | DataType::Float64 | DataType::Date32 | DataType::Timestamp(..));
    if same { kind.primitive_width() } else { None }
}

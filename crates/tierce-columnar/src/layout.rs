//! Columns taken apart into plain buffers, as Arrow lays them out: how they pass between languages without copies.
//!
//! A walk through the columns' trees, parents first, gives one length an array, and its buffers: validity (one bit a row,
//! absent where nothing is null), then what the type has: offsets, values. A null array has no buffers, a union no validity; the
//! values of a dictionary are its child.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::Buffer;
use arrow_data::transform::MutableArrayData;
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_schema::{DataType, Schema, SchemaRef, UnionMode};
use arrow_select::concat::concat;

use crate::{Error, Kind, Result, dictionary};

/// Columns of one length, in parts.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The columns.
    pub schema: SchemaRef,
    /// Rows of each.
    pub rows: usize,
    /// The length of each array of the walk.
    pub lengths: Vec<usize>,
    /// The buffers of the walk. Absent: no validity, or no bytes.
    pub buffers: Vec<Option<Buffer>>,
}

/// How many buffers an array has besides its validity; whether it has one; the types of its children.
fn shape(kind: &DataType) -> Result<(bool, usize, Vec<&DataType>)> {
    use DataType as T;
    Ok(match kind {
        T::Null => (false, 0, vec![]),
        T::Utf8 | T::Binary | T::LargeUtf8 | T::LargeBinary => (true, 2, vec![]),
        T::List(item) | T::LargeList(item) | T::Map(item, _) => (true, 1, vec![item.data_type()]),
        T::FixedSizeList(item, _) => (true, 0, vec![item.data_type()]),
        T::Struct(fields) => (true, 0, fields.iter().map(|field| field.data_type()).collect()),
        T::Dictionary(_, values) => (true, 1, vec![values]),
        T::Union(fields, mode) => {
            let buffers = if *mode == UnionMode::Dense { 2 } else { 1 };
            (false, buffers, fields.iter().map(|(_, field)| field.data_type()).collect())
        }
        T::Utf8View | T::BinaryView | T::ListView(_) | T::LargeListView(_) | T::RunEndEncoded(..) => {
            let text = format!("Columns of type {kind} are not accepted: give them without views and runs.");
            return Err(Error::new(Kind::Invalid, text));
        }
        _ => (true, 1, vec![]),
    })
}

impl Layout {
    /// Takes batches apart, all as one. Text that repeats is a dictionary then: each text is made once on the other side.
    ///
    /// # Errors
    /// `TooLarge`: the text of a column is over 2 GiB; `Invalid`: a type without plain buffers
    pub fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let mut layout = Self { schema: Arc::clone(schema), rows, lengths: Vec::new(), buffers: Vec::new() };
        let mut fields = Vec::with_capacity(schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            let parts: Vec<_> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
            let whole = match parts.as_slice() {
                [] => arrow_array::new_empty_array(field.data_type()),
                parts => concat(parts)?,
            };
            match whole.as_string_opt::<i32>().and_then(dictionary::of) {
                Some(short) => {
                    fields.push(Arc::new(field.as_ref().clone().with_data_type(short.data_type().clone())));
                    layout.add(&short.into_data())?;
                }
                None => {
                    fields.push(Arc::clone(field));
                    layout.add(&whole.to_data())?;
                }
            }
        }
        layout.schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(layout)
    }

    fn add(&mut self, data: &ArrayData) -> Result<()> {
        if data.offset() != 0 {
            return self.add(&copied(data)?);
        }
        let (validity, count, _) = shape(data.data_type())?;
        self.lengths.push(data.len());
        if validity {
            let nulls = data.nulls().filter(|nulls| nulls.null_count() > 0);
            self.buffers.push(nulls.map(|nulls| nulls.inner().sliced()));
        }
        for buffer in &data.buffers()[..count] {
            self.buffers.push((!buffer.is_empty()).then(|| buffer.clone()));
        }
        data.child_data().iter().try_for_each(|child| self.add(child))
    }

    /// Puts the columns together again. Everything is checked: offsets, text, lengths.
    ///
    /// # Errors
    /// `Invalid`: the parts do not fit together
    pub fn into_batch(self) -> Result<RecordBatch> {
        let mut parts = Parts { lengths: self.lengths.into_iter(), buffers: self.buffers.into_iter() };
        let columns = self.schema.fields().iter().map(|field| Ok(make_array(parts.take(field.data_type())?)));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        if parts.lengths.next().is_some() || parts.buffers.next().is_some() {
            return Err(Error::new(Kind::Invalid, "There are more buffers than the schema's columns have."));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        Ok(RecordBatch::try_new_with_options(self.schema, columns, &options)?)
    }
}

/// An array whose buffers start at its first element.
fn copied(data: &ArrayData) -> Result<ArrayData> {
    let mut copy = MutableArrayData::new(vec![data], false, data.len());
    copy.try_extend(0, 0, data.len())?;
    Ok(copy.freeze())
}

struct Parts<L, B> {
    lengths: L,
    buffers: B,
}

impl<L: Iterator<Item = usize>, B: Iterator<Item = Option<Buffer>>> Parts<L, B> {
    fn buffer(&mut self) -> Result<Option<Buffer>> {
        self.buffers.next().ok_or_else(|| {
            Error::new(Kind::Invalid, "There are fewer buffers than the schema's columns have.")
        })
    }

    fn take(&mut self, kind: &DataType) -> Result<ArrayData> {
        let (validity, count, children) = shape(kind)?;
        let length = self.lengths.next();
        let length = length.ok_or_else(|| Error::new(Kind::Invalid, "An array has no length."))?;
        let mut array = ArrayDataBuilder::new(kind.clone()).len(length).align_buffers(true);
        if validity {
            array = array.null_bit_buffer(self.buffer()?);
        }
        for _ in 0..count {
            array = array.add_buffer(self.buffer()?.unwrap_or_default());
        }
        for child in children {
            array = array.add_child_data(self.take(child)?);
        }
        Ok(array.build()?)
    }
}

//! Frames as Parquet: written with LZ4, and read back whole or in part.
//!
//! A scan reads what it must: groups of rows whose statistics rule a filter out are skipped, the columns of filters are
//! decoded first, and the other columns only for the rows that are left.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, Scalar, make_array};
use arrow_buffer::BooleanBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions,
    ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;

use crate::error::caught;
use crate::{Error, Kind, Result};

/// Rows of a group: what statistics let a scan skip.
const GROUP: usize = 64 * 1024;

/// Writes batches as Parquet.
///
/// # Errors
/// `Invalid`: a type that Parquet does not have
pub fn to_parquet(schema: SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(GROUP))
        .build();
    let write = || {
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
        for batch in batches {
            writer.write(batch)?;
        }
        writer.into_inner()
    };
    write().map_err(|error| {
        Error::new(Kind::Invalid, format!("The frame cannot be written as Parquet: {error}.")).because(error)
    })
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Equal to the value.
    Eq,
    /// Other than the value.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Equal to one of the values.
    In,
    /// Null.
    IsNull,
    /// Not null.
    NotNull,
}

impl Compare {
    /// A comparison by its name.
    ///
    /// # Errors
    /// `Invalid`
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "lte" => Self::Le,
            "gt" => Self::Gt,
            "gte" => Self::Ge,
            "in" => Self::In,
            "isNull" => Self::IsNull,
            "notNull" => Self::NotNull,
            _ => return Err(Error::new(Kind::Invalid, format!("Invalid comparison: {name:?}."))),
        })
    }
}

/// A condition on a column. A null meets none but `IsNull`.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The column.
    pub column: String,
    /// The comparison.
    pub compare: Compare,
    /// What it is compared with: one value, or several for `In`.
    pub values: ArrayRef,
}

/// What is read of a frame.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The columns, in this order; all where none is named.
    pub columns: Option<Vec<String>>,
    /// Conditions, all of which a row meets.
    pub filters: Vec<Filter>,
    /// At most so many rows.
    pub limit: Option<usize>,
}

/// The rows that a scan gives, and what it did not need to read.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Groups of rows that were read.
    pub groups_read: usize,
    /// Groups of rows there are.
    pub groups: usize,
}

/// Reads Parquet.
///
/// # Errors
/// `Corrupt`: it is damaged; `Query`: there is no such column, or it cannot be compared with such a value
pub fn scan(bytes: impl ChunkReader + Clone + 'static, scan: &Scan) -> Result<Scanned> {
    let impossible =
        || Error::new(Kind::Corrupt, "The frame cannot be read: what it says of itself is impossible.");
    caught(impossible, || read(bytes, scan))
}

fn read(bytes: impl ChunkReader + Clone + 'static, scan: &Scan) -> Result<Scanned> {
    let builder = open(bytes)?;
    let schema = Arc::clone(builder.schema());
    let index = |name: &str| {
        schema.index_of(name).map_err(|_| {
            let has: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let text = format!("The frame has no column {name:?}: it has {}.", has.join(", "));
            Error::new(Kind::Query, text).with("column", name)
        })
    };
    let wanted =
        scan.columns.as_ref().map(|names| names.iter().map(|name| index(name)).collect::<Result<Vec<_>>>());
    let wanted = wanted.transpose()?;
    let conditions: Vec<(usize, Condition)> = scan
        .filters
        .iter()
        .map(|filter| {
            let at = index(&filter.column)?;
            Ok((at, Condition::new(filter, schema.field(at).data_type())?))
        })
        .collect::<Result<_>>()?;

    let groups = builder.metadata().num_row_groups();
    let mut read = vec![true; groups];
    for (at, condition) in &conditions {
        let metadata = builder.metadata().row_groups();
        let name = schema.field(*at).name();
        let Ok(statistics) = StatisticsConverter::try_new(name, &schema, builder.parquet_schema()) else {
            continue;
        };
        let (Ok(low), Ok(high)) = (statistics.row_group_mins(metadata), statistics.row_group_maxes(metadata))
        else {
            continue;
        };
        condition.rule_out(&low, &high, &mut read);
    }
    let left: Vec<usize> = (0..groups).filter(|at| read[*at]).collect();
    let parquet_schema = builder.parquet_schema().clone();
    let mask = |roots: &[usize]| ProjectionMask::roots(&parquet_schema, roots.iter().copied());
    let predicates = conditions.into_iter().map(|(at, condition)| {
        let test = move |batch: RecordBatch| condition.test(batch.column(0));
        Box::new(ArrowPredicateFn::new(mask(&[at]), test)) as Box<dyn ArrowPredicate>
    });
    let predicates = predicates.collect();
    let groups_read = left.len();
    let mut builder =
        builder.with_row_groups(left).with_row_filter(RowFilter::new(predicates)).with_batch_size(GROUP);
    if let Some(wanted) = &wanted {
        builder = builder.with_projection(mask(wanted));
    }
    if let Some(limit) = scan.limit {
        builder = builder.with_limit(limit);
    }
    let batches = builder.build()?.collect::<Result<Vec<_>, ArrowError>>().map_err(|error| {
        Error::new(Kind::Corrupt, format!("The frame cannot be read: {error}.")).because(error)
    })?;
    let (schema, batches) = ordered(&schema, wanted.as_deref(), batches)?;
    Ok(Scanned { schema, batches, groups_read, groups })
}

/// Views, as Polars writes them, are read as plain text and bytes.
fn open<R: ChunkReader + 'static>(bytes: R) -> Result<ParquetRecordBatchReaderBuilder<R>> {
    let stored = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())?;
    let fields: Fields = stored.schema().fields().iter().map(plain).collect();
    if &fields == stored.schema().fields() {
        return Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, stored));
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, stored.schema().metadata().clone()));
    let options = ArrowReaderOptions::new().with_schema(schema);
    Ok(ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)?)
}

fn plain(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(plain(item)),
        DataType::LargeList(item) => DataType::LargeList(plain(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(kind))
}

/// Columns as they were asked for: Parquet gives them in its own order.
fn ordered(
    schema: &SchemaRef,
    wanted: Option<&[usize]>,
    batches: Vec<RecordBatch>,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let Some(wanted) = wanted else { return Ok((Arc::clone(schema), batches)) };
    let mut stored = wanted.to_vec();
    stored.sort_unstable();
    stored.dedup();
    let places: Vec<usize> = wanted.iter().filter_map(|at| stored.binary_search(at).ok()).collect();
    let batches = batches.iter().map(|batch| Ok(batch.project(&places)?)).collect::<Result<Vec<_>>>()?;
    Ok((Arc::new(schema.project(wanted)?), batches))
}

/// A filter whose values are of the type that is compared.
struct Condition {
    compare: Compare,
    /// Both sides are of this type.
    kind: DataType,
    values: Vec<Scalar<ArrayRef>>,
}

const STRICT: CastOptions<'_> =
    CastOptions { safe: false, format_options: arrow_cast::display::FormatOptions::new() };

/// The type in which a column's values and given ones are compared, so that neither is rounded: a fraction with whole numbers as
/// a fraction, a day with an instant as an instant, instants in the finer unit. Else it is the column's.
fn common(stored: &DataType, given: &DataType) -> DataType {
    match (stored, given) {
        (column, value) if column.is_integer() && value.is_floating() => DataType::Float64,
        (DataType::Date32 | DataType::Date64, DataType::Timestamp(unit, _)) => {
            DataType::Timestamp(*unit, None)
        }
        (DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _), DataType::Timestamp(unit, _)) => {
            DataType::Timestamp(*unit, None)
        }
        (DataType::Timestamp(unit, _), _) => DataType::Timestamp(*unit, None),
        _ => stored.clone(),
    }
}

/// Instants without their zone: what is stored counts from one moment in every zone.
fn instants(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(unit, Some(_)) = array.data_type() else { return Ok(Arc::clone(array)) };
    let data = array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None)).build()?;
    Ok(make_array(data))
}

impl Condition {
    fn new(filter: &Filter, column: &DataType) -> Result<Self> {
        let stored = match column {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let given = filter.values.data_type();
        let kind = common(stored, given);
        let cast = |array: &ArrayRef| cast_with_options(&instants(array)?, &kind, &STRICT);
        let values = if matches!(filter.compare, Compare::IsNull | Compare::NotNull) {
            Vec::new()
        } else {
            let cast = cast(&filter.values).map_err(|error| {
                let text = format!("The column {} is of type {column}, and cannot be compared with a value of type {given}: {error}.", filter.column);
                Error::new(Kind::Query, text).with("column", &filter.column)
            })?;
            (0..cast.len()).map(|at| Scalar::new(cast.slice(at, 1))).collect()
        };
        Ok(Self { compare: filter.compare, kind, values })
    }

    fn comparable(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let column = instants(column)?;
        if column.data_type() == &self.kind {
            Ok(column)
        } else {
            cast_with_options(&column, &self.kind, &STRICT)
        }
    }

    fn test(&self, column: &ArrayRef) -> Result<BooleanArray, ArrowError> {
        let nulls = || column.logical_nulls();
        let constant = |value| BooleanBuffer::collect_bool(column.len(), |_| value);
        match self.compare {
            Compare::IsNull => {
                let bits = nulls().map_or_else(|| constant(false), |nulls| !nulls.inner());
                return Ok(BooleanArray::new(bits, None));
            }
            Compare::NotNull => {
                let bits = nulls().map_or_else(|| constant(true), |nulls| nulls.inner().clone());
                return Ok(BooleanArray::new(bits, None));
            }
            _ => {}
        }
        let column = self.comparable(column)?;
        let mut found = constant(false);
        for value in &self.values {
            let met = match self.compare {
                Compare::Ne => cmp::neq(&column, value),
                Compare::Lt => cmp::lt(&column, value),
                Compare::Le => cmp::lt_eq(&column, value),
                Compare::Gt => cmp::gt(&column, value),
                Compare::Ge => cmp::gt_eq(&column, value),
                _ => cmp::eq(&column, value),
            }?;
            found = &found | &certain(&met);
        }
        Ok(BooleanArray::new(found, None))
    }

    /// Marks groups of rows that have no row for this condition. What is not known stays.
    fn rule_out(&self, low: &ArrayRef, high: &ArrayRef, read: &mut [bool]) {
        let (Ok(low), Ok(high)) = (self.comparable(low), self.comparable(high)) else { return };
        let mut out = BooleanBuffer::collect_bool(read.len(), |_| !self.values.is_empty());
        for value in &self.values {
            let outside = match self.compare {
                Compare::Eq | Compare::In => cmp::lt(&high, value)
                    .and_then(|above| Ok(&certain(&above) | &certain(&cmp::gt(&low, value)?))),
                Compare::Lt => cmp::gt_eq(&low, value).map(|met| certain(&met)),
                Compare::Le => cmp::gt(&low, value).map(|met| certain(&met)),
                Compare::Gt => cmp::lt_eq(&high, value).map(|met| certain(&met)),
                Compare::Ge => cmp::lt(&high, value).map(|met| certain(&met)),
                Compare::Ne | Compare::IsNull | Compare::NotNull => return,
            };
            let Ok(outside) = outside else { return };
            out = &out & &outside;
        }
        for (group, out) in read.iter_mut().zip(out.iter()) {
            *group &= !out;
        }
    }
}

/// Where a comparison is true, and not null.
fn certain(met: &BooleanArray) -> BooleanBuffer {
    match met.nulls() {
        Some(nulls) => met.values() & nulls.inner(),
        None => met.values().clone(),
    }
}

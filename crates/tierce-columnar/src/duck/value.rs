//! One value of an Arrow array as a parameter of DuckDB's.

use std::ptr;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use libduckdb_sys as ffi;

use super::text::c_text;
use crate::{Error, Kind, Result};

/// Owner of a value.
pub(super) struct Value(ffi::duckdb_value);

impl Drop for Value {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_destroy_value(&raw mut self.0) };
    }
}

impl Value {
    pub(super) fn raw(&self) -> ffi::duckdb_value {
        self.0
    }

    /// The value at `row`.
    pub(super) fn of(array: &dyn Array, row: usize) -> Result<Self> {
        if array.is_null(row) || array.data_type() == &DataType::Null {
            return Ok(Self(unsafe { ffi::duckdb_create_null_value() }));
        }
        let value = Self(
            unsafe { scalar(array, row).or_else(|| nested(array, row).transpose()).transpose()? }
                .unwrap_or(ptr::null_mut()),
        );
        if value.0.is_null() {
            let text = format!("A parameter of type {} is not accepted.", array.data_type());
            return Err(Error::new(Kind::Invalid, text));
        }
        Ok(value)
    }
}

unsafe fn scalar(array: &dyn Array, row: usize) -> Option<Result<ffi::duckdb_value>> {
    macro_rules! value {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    let micros = |micros| ffi::duckdb_timestamp { micros };
    let raw = unsafe {
        match array.data_type() {
            DataType::Boolean => ffi::duckdb_create_bool(array.as_boolean().value(row)),
            DataType::Int8 => ffi::duckdb_create_int8(value!(Int8Type)),
            DataType::Int16 => ffi::duckdb_create_int16(value!(Int16Type)),
            DataType::Int32 => ffi::duckdb_create_int32(value!(Int32Type)),
            DataType::Int64 => ffi::duckdb_create_int64(value!(Int64Type)),
            DataType::UInt8 => ffi::duckdb_create_uint8(value!(UInt8Type)),
            DataType::UInt16 => ffi::duckdb_create_uint16(value!(UInt16Type)),
            DataType::UInt32 => ffi::duckdb_create_uint32(value!(UInt32Type)),
            DataType::UInt64 => ffi::duckdb_create_uint64(value!(UInt64Type)),
            DataType::Float32 => ffi::duckdb_create_float(value!(Float32Type)),
            DataType::Float64 => ffi::duckdb_create_double(value!(Float64Type)),
            DataType::Utf8 => text(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => text(array.as_string::<i64>().value(row)),
            DataType::Binary => blob(array.as_binary::<i32>().value(row)),
            DataType::LargeBinary => blob(array.as_binary::<i64>().value(row)),
            DataType::Date32 => ffi::duckdb_create_date(ffi::duckdb_date { days: value!(Date32Type) }),
            DataType::Time64(TimeUnit::Microsecond) => {
                ffi::duckdb_create_time(ffi::duckdb_time { micros: value!(Time64MicrosecondType) })
            }
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                ffi::duckdb_create_timestamp(micros(value!(TimestampMicrosecondType)))
            }
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                ffi::duckdb_create_timestamp_tz(micros(value!(TimestampMicrosecondType)))
            }
            DataType::Timestamp(TimeUnit::Millisecond, Some(_)) => {
                ffi::duckdb_create_timestamp_tz(micros(value!(TimestampMillisecondType).saturating_mul(1000)))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let span = value!(IntervalMonthDayNanoType);
                let (months, days, micros) = (span.months, span.days, span.nanoseconds / 1000);
                ffi::duckdb_create_interval(ffi::duckdb_interval { months, days, micros })
            }
            DataType::Decimal128(width, scale) => decimal(*width, *scale, value!(Decimal128Type)),
            _ => return None,
        }
    };
    Some(Ok(raw))
}

unsafe fn text(text: &str) -> ffi::duckdb_value {
    unsafe { ffi::duckdb_create_varchar_length(text.as_ptr().cast(), text.len() as u64) }
}

unsafe fn blob(bytes: &[u8]) -> ffi::duckdb_value {
    unsafe { ffi::duckdb_create_blob(bytes.as_ptr(), bytes.len() as u64) }
}

fn huge(value: i128) -> ffi::duckdb_hugeint {
    ffi::duckdb_hugeint { lower: value as u64, upper: (value >> 64) as i64 }
}

/// Whole numbers of 38 digits are what a HUGEINT is in Arrow.
unsafe fn decimal(width: u8, scale: i8, value: i128) -> ffi::duckdb_value {
    match u8::try_from(scale) {
        Ok(0) if width == 38 => unsafe { ffi::duckdb_create_hugeint(huge(value)) },
        Ok(scale) => unsafe {
            ffi::duckdb_create_decimal(ffi::duckdb_decimal { width, scale, value: huge(value) })
        },
        Err(_) => ptr::null_mut(),
    }
}

fn all(array: &dyn Array) -> Result<Vec<Value>> {
    (0..array.len()).map(|row| Value::of(array, row)).collect()
}

fn raws(values: &[Value]) -> Vec<ffi::duckdb_value> {
    values.iter().map(Value::raw).collect()
}

unsafe fn nested(array: &dyn Array, row: usize) -> Result<Option<ffi::duckdb_value>> {
    let list = |items: ArrayRef| -> Result<ffi::duckdb_value> {
        let kind = Logical::of(items.data_type())?;
        let values = all(&items)?;
        let mut raw = raws(&values);
        Ok(unsafe { ffi::duckdb_create_list_value(kind.0, raw.as_mut_ptr(), raw.len() as u64) })
    };
    Ok(Some(match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(row))?,
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row))?,
        DataType::Struct(_) => structure(array.as_struct(), row)?,
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let kind = Logical::of(array.data_type())?;
            let (keys, values) = (all(entries.column(0))?, all(entries.column(1))?);
            let (mut keys, mut values) = (raws(&keys), raws(&values));
            unsafe {
                ffi::duckdb_create_map_value(
                    kind.0,
                    keys.as_mut_ptr(),
                    values.as_mut_ptr(),
                    keys.len() as u64,
                )
            }
        }
        _ => return Ok(None),
    }))
}

fn structure(array: &StructArray, row: usize) -> Result<ffi::duckdb_value> {
    let kind = Logical::of(array.data_type())?;
    let values: Vec<Value> =
        array.columns().iter().map(|column| Value::of(column, row)).collect::<Result<_>>()?;
    let mut raw = raws(&values);
    Ok(unsafe { ffi::duckdb_create_struct_value(kind.0, raw.as_mut_ptr()) })
}

/// Owner of a type.
struct Logical(ffi::duckdb_logical_type);

impl Drop for Logical {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_destroy_logical_type(&raw mut self.0) };
    }
}

impl Logical {
    fn of(kind: &DataType) -> Result<Self> {
        let plain = |raw| Ok(Self(unsafe { ffi::duckdb_create_logical_type(raw) }));
        let micros = |zone: bool| {
            if zone {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ
            } else {
                ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP
            }
        };
        match kind {
            DataType::Null => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL),
            DataType::Boolean => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN),
            DataType::Int8 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT),
            DataType::Int16 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT),
            DataType::Int32 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER),
            DataType::Int64 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT),
            DataType::UInt8 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT),
            DataType::UInt16 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT),
            DataType::UInt32 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER),
            DataType::UInt64 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT),
            DataType::Float32 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT),
            DataType::Float64 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE),
            DataType::Utf8 | DataType::LargeUtf8 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR),
            DataType::Binary | DataType::LargeBinary => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB),
            DataType::Date32 => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE),
            DataType::Time64(_) => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME),
            DataType::Timestamp(_, zone) => plain(micros(zone.is_some())),
            DataType::Interval(_) => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL),
            DataType::Decimal128(38, 0) => plain(ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT),
            DataType::Decimal128(width, scale) => {
                Ok(Self(unsafe { ffi::duckdb_create_decimal_type(*width, (*scale).unsigned_abs()) }))
            }
            DataType::List(item) | DataType::FixedSizeList(item, _) => {
                let item = Self::of(item.data_type())?;
                Ok(Self(unsafe { ffi::duckdb_create_list_type(item.0) }))
            }
            DataType::Struct(fields) => Self::structure(fields),
            DataType::Map(entries, _) => Self::map(entries),
            _ => Err(Error::new(Kind::Invalid, format!("A parameter of type {kind} is not accepted."))),
        }
    }

    fn structure(fields: &Fields) -> Result<Self> {
        let owned: Vec<Self> =
            fields.iter().map(|field| Self::of(field.data_type())).collect::<Result<_>>()?;
        let texts = fields.iter().map(|field| c_text(field.name())).collect::<Result<Vec<_>>>()?;
        let mut kinds: Vec<_> = owned.iter().map(|kind| kind.0).collect();
        let mut names: Vec<_> = texts.iter().map(|name| name.as_ptr()).collect();
        let count = names.len() as u64;
        Ok(Self(unsafe { ffi::duckdb_create_struct_type(kinds.as_mut_ptr(), names.as_mut_ptr(), count) }))
    }

    fn map(entries: &Field) -> Result<Self> {
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(Error::new(Kind::Invalid, "A map without entries is not accepted."));
        };
        let (key, value) = (Self::of(fields[0].data_type())?, Self::of(fields[1].data_type())?);
        Ok(Self(unsafe { ffi::duckdb_create_map_type(key.0, value.0) }))
    }
}

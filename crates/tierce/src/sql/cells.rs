//! What goes into a statement: single values, and columns of them.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A value of SQLite's.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// 64 bits.
    Integer(i64),
    /// 64 bits.
    Real(f64),
    /// UTF-8.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A column of values.
#[derive(Debug)]
pub enum Cells {
    /// NaN is `NULL`, as SQLite holds no NaN.
    Reals(Vec<f64>),
    /// Whole numbers; NaN is `NULL`.
    Integers(Vec<f64>),
    /// Texts.
    Text {
        /// One after the other.
        text: String,
        /// Where each ends in `text`, in bytes.
        ends: Vec<usize>,
        /// Not 0 where it is `NULL`; empty where none is.
        nulls: Vec<u8>,
    },
}

impl Cells {
    /// A column of texts, which come joined by NUL characters. `rows` tells no text from an empty one.
    pub fn joined(text: String, rows: usize, nulls: Vec<u8>) -> Self {
        let mut ends: Vec<usize> = text.match_indices('\0').map(|(at, _)| at).collect();
        if rows > 0 {
            ends.push(text.len());
        }
        Self::Text { text, ends, nulls }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Reals(numbers) | Self::Integers(numbers) => numbers.len(),
            Self::Text { ends, .. } => ends.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row that exists.
    pub(super) fn get(&self, row: usize) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(match self {
            Self::Reals(numbers) | Self::Integers(numbers) if numbers[row].is_nan() => ValueRef::Null,
            Self::Reals(numbers) => ValueRef::Real(numbers[row]),
            Self::Integers(numbers) => ValueRef::Integer(numbers[row] as i64),
            Self::Text { nulls, .. } if nulls.get(row).is_some_and(|&null| null != 0) => ValueRef::Null,
            Self::Text { text, ends, .. } => {
                let start = row.checked_sub(1).map_or(0, |before| ends[before] + 1); // behind the NUL
                ValueRef::Text(&text.as_bytes()[start..ends[row]])
            }
        })
    }
}

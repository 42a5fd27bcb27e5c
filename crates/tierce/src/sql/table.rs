//! What comes out of a query, in columns: most of what makes a value of a row dear is then done once a column.

use rusqlite::types::ValueRef;
use rusqlite::{Statement, params_from_iter};

use super::Value;

/// Rows of one batch, and bytes of its largest text: what JavaScript can hold in one string is limited.
const BATCH_ROWS: usize = 1 << 16;
const BATCH_BYTES: usize = 64 << 20;
/// The largest whole number of which a double holds every smaller one.
const SAFE: i64 = (1 << 53) - 1;

/// The rows of a query.
#[derive(Debug)]
pub struct Table {
    /// The names of the columns.
    pub names: Vec<String>,
    /// The rows, in parts.
    pub batches: Vec<Batch>,
}

/// Some rows of a query.
#[derive(Debug)]
pub struct Batch {
    /// The number of rows.
    pub rows: usize,
    /// One for each name.
    pub columns: Vec<Column>,
}

/// A column of a batch.
#[derive(Debug, PartialEq)]
pub enum Column {
    /// Doubles, and integers that doubles hold exactly. `NULL` is NaN, which SQLite has not.
    Numbers(Vec<f64>),
    /// Texts.
    Text {
        /// One after the other; a text that repeats the one before is there once.
        text: String,
        /// Where each begins and ends, in UTF-16 units; `NULL` begins after it ends.
        spans: Vec<u32>,
    },
    /// Anything.
    Mixed(Vec<Value>),
}

impl Table {
    pub(super) fn read(statement: &mut Statement<'_>, params: &[Value]) -> rusqlite::Result<Self> {
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut batches = Vec::new();
        let mut part = Builder::new(names.len());
        let mut rows = statement.query(params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            for (at, column) in part.columns.iter_mut().enumerate() {
                column.push(row.get_ref(at)?);
            }
            part.rows += 1;
            if part.rows == BATCH_ROWS || part.columns.iter().any(|column| column.bytes() >= BATCH_BYTES) {
                batches.push(std::mem::replace(&mut part, Builder::new(names.len())).finish());
            }
        }
        if part.rows > 0 {
            batches.push(part.finish());
        }
        Ok(Self { names, batches })
    }
}

struct Builder {
    rows: usize,
    columns: Vec<Growing>,
}

impl Builder {
    fn new(columns: usize) -> Self {
        Self { rows: 0, columns: (0..columns).map(|_| Growing::Nulls(0)).collect() }
    }

    fn finish(self) -> Batch {
        Batch { rows: self.rows, columns: self.columns.into_iter().map(Growing::finish).collect() }
    }
}

/// A column whose type is known with its first value that is not `NULL`.
enum Growing {
    Nulls(usize),
    Numbers(Vec<f64>),
    Text(Texts),
    Mixed(Vec<Value>),
}

#[derive(Default)]
struct Texts {
    text: String,
    /// Units of UTF-16 in `text`.
    units: u32,
    /// Where the last text begins in `text`, in bytes.
    last: usize,
    spans: Vec<u32>,
}

const NULL_SPAN: [u32; 2] = [1, 0];

impl Texts {
    fn push(&mut self, text: &str) {
        let repeats = self.spans.len() >= 2 && self.text[self.last..] == *text;
        if let (true, &[.., start, end]) = (repeats && start_is_known(&self.spans), &self.spans[..]) {
            self.spans.extend([start, end]);
            return;
        }
        let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
        self.last = self.text.len();
        self.text.push_str(text);
        let start = self.units;
        self.units += units as u32;
        self.spans.extend([start, self.units]);
    }
}

/// Whether the last span is a text and not `NULL`.
fn start_is_known(spans: &[u32]) -> bool {
    !spans.ends_with(&NULL_SPAN)
}

impl Growing {
    fn push(&mut self, value: ValueRef<'_>) {
        match (&mut *self, value) {
            (Self::Nulls(rows), ValueRef::Null) => *rows += 1,
            (Self::Numbers(numbers), ValueRef::Real(number)) => numbers.push(number),
            (Self::Numbers(numbers), ValueRef::Integer(number)) if is_safe(number) => {
                numbers.push(number as f64);
            }
            (Self::Numbers(numbers), ValueRef::Null) => numbers.push(f64::NAN),
            (Self::Text(texts), ValueRef::Null) => texts.spans.extend(NULL_SPAN),
            (Self::Text(texts), ValueRef::Text(bytes)) => texts.push(&String::from_utf8_lossy(bytes)),
            (Self::Mixed(values), value) => values.push(owned(value)),
            (Self::Nulls(rows), value) => {
                *self = begin(*rows, value);
                self.push(value);
            }
            (_, value) => {
                let mut values = std::mem::replace(self, Self::Nulls(0)).values();
                values.push(owned(value));
                *self = Self::Mixed(values);
            }
        }
    }

    fn bytes(&self) -> usize {
        if let Self::Text(texts) = self { texts.text.len() } else { 0 }
    }

    fn values(self) -> Vec<Value> {
        match self {
            Self::Nulls(rows) => vec![Value::Null; rows],
            Self::Numbers(numbers) => numbers.into_iter().map(number).collect(),
            Self::Text(texts) => {
                let units: Vec<u16> = texts.text.encode_utf16().collect();
                let text = |span: &[u32]| match *span {
                    [start, end] if start <= end => {
                        Value::Text(String::from_utf16_lossy(&units[start as usize..end as usize]))
                    }
                    _ => Value::Null,
                };
                texts.spans.chunks_exact(2).map(text).collect()
            }
            Self::Mixed(values) => values,
        }
    }

    fn finish(self) -> Column {
        match self {
            Self::Nulls(rows) => Column::Numbers(vec![f64::NAN; rows]),
            Self::Numbers(numbers) => Column::Numbers(numbers),
            Self::Text(Texts { text, spans, .. }) => Column::Text { text, spans },
            Self::Mixed(values) => Column::Mixed(values),
        }
    }
}

/// An empty column for values such as this one, behind `rows` times `NULL`.
fn begin(rows: usize, value: ValueRef<'_>) -> Growing {
    match value {
        ValueRef::Text(_) => Growing::Text(Texts { spans: NULL_SPAN.repeat(rows), ..Texts::default() }),
        ValueRef::Real(_) => Growing::Numbers(vec![f64::NAN; rows]),
        ValueRef::Integer(number) if is_safe(number) => Growing::Numbers(vec![f64::NAN; rows]),
        _ => Growing::Mixed(vec![Value::Null; rows]),
    }
}

fn is_safe(number: i64) -> bool {
    (-SAFE..=SAFE).contains(&number)
}

fn number(number: f64) -> Value {
    if number.is_nan() {
        Value::Null
    } else if number.fract() == 0.0 && number.abs() <= SAFE as f64 {
        Value::Integer(number as i64)
    } else {
        Value::Real(number)
    }
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

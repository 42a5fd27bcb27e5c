//! Tables of custom metadata that a cache declares, and what becomes of a declaration that differs from an earlier one.
//!
//! What is declared is in the database (`declared`); a table of it is called `meta_` and its name, its columns have their
//! own names, and its rows have the ids of their entries. All of its rows can be made again from `extras`.

use std::collections::HashSet;

use super::extras::{Cell, MetaRow};
use crate::error::{Code, Error, Result};

/// Names of what a query sees beside the declared tables.
const RESERVED: [&str; 2] = ["entries", "tags"];
/// The column of a query that has the key.
const KEY: &str = "key";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Double,
    /// 0 or 1.
    Boolean,
    /// A day, as text: `2024-01-31`.
    Date,
    /// An instant, in milliseconds since the Unix epoch.
    Timestamp,
    /// JSON, as text.
    Json,
}

impl ColumnType {
    /// Every type: its name, and the SQL type that says which it is and has the affinity of its stored form.
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Text, "text", "TEXT"),
        (Self::Integer, "integer", "INTEGER"),
        (Self::Double, "double", "DOUBLE"),
        (Self::Boolean, "boolean", "BOOLEAN_INT"),
        (Self::Date, "date", "DATE_TEXT"),
        (Self::Timestamp, "timestamp", "TIMESTAMP_INT"),
        (Self::Json, "json", "JSON_TEXT"),
    ];

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|known| known.1 == name).map(|known| known.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    pub(super) fn sql(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        Self::ALL.iter().find(|known| known.0 == self).unwrap_or(&Self::ALL[0])
    }

    /// The type that a column of a query's answer has, where it is one of a declared table.
    pub(super) fn declared_as(sql: Option<&str>) -> Option<Self> {
        Self::ALL.iter().find(|known| Some(known.2) == sql).map(|known| known.0)
    }

    /// A cell as the column stores it; `None` where the column does not hold such.
    fn stored<'a>(self, cell: &'a Cell<'_>) -> Option<Cell<'a>> {
        match (self, cell) {
            (_, Cell::Null) => Some(Cell::Null),
            (Self::Text | Self::Date | Self::Json, Cell::Text(text)) => {
                Some(Cell::Text(text.as_ref().into()))
            }
            (Self::Integer | Self::Timestamp, Cell::Integer(number)) => Some(Cell::Integer(*number)),
            (Self::Boolean, Cell::Integer(number @ (0 | 1))) => Some(Cell::Integer(*number)),
            (Self::Double, Cell::Real(number)) if !number.is_nan() => Some(Cell::Real(*number)),
            (Self::Double, Cell::Integer(number)) => Some(Cell::Real(*number as f64)),
            _ => None,
        }
    }
}

/// A column of a declared table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaColumn {
    /// 1 to 63 bytes.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether each row has a value.
    pub is_not_null: bool,
    /// Whether no two rows have one value.
    pub is_unique: bool,
    /// Whether it is searched by.
    pub is_indexed: bool,
}

/// A table that entries may have a row in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaTable {
    /// 1 to 63 bytes; not `entries` or `tags`.
    pub name: String,
    /// Its columns; none is called `key`.
    pub columns: Vec<MetaColumn>,
}

pub(super) fn invalid(table: &str, why: impl Into<String>) -> Error {
    Error::new(Code::InvalidOption, why).with("table", table)
}

pub(super) fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase() // more than SQL takes for one
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl MetaTable {
    /// Refuses what SQL or a query could not tell apart.
    pub(super) fn check_all(tables: &[Self]) -> Result<()> {
        let mut names = HashSet::new();
        for Self { name, columns } in tables {
            check_name(name, name)?;
            if RESERVED.iter().any(|reserved| same(reserved, name)) || !names.insert(name.to_lowercase()) {
                let why =
                    format!("the table {name:?} cannot be declared: its name is taken; give it another");
                return Err(invalid(name, why));
            }
            if columns.is_empty() {
                return Err(invalid(name, format!("the table {name:?} is declared without columns")));
            }
            let mut known = HashSet::from([KEY.to_owned()]);
            for column in columns {
                check_name(name, &column.name)?;
                if !known.insert(column.name.to_lowercase()) {
                    let why = format!(
                        "the column {:?} of the table {name:?} cannot be declared: its name is taken; give it another",
                        column.name
                    );
                    return Err(invalid(name, why).with("column", &column.name));
                }
            }
        }
        Ok(())
    }

    pub(super) fn sql_name(&self) -> String {
        quoted(&format!("meta_{}", self.name))
    }

    /// What a query's view of it selects: live rows, with their keys.
    pub(super) fn live_rows(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        format!("key, {} FROM main.{} WHERE tierce_until > tierce_now()", columns.join(", "), self.sql_name())
    }

    pub(super) fn column(&self, name: &str) -> Option<&MetaColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// What is stored of a row: a cell for each column.
    pub(super) fn cells<'a>(&self, row: &'a MetaRow<'_>) -> Result<Vec<Cell<'a>>> {
        let mut cells = vec![Cell::Null; self.columns.len()];
        for (name, cell) in &row.cells {
            let at = self.columns.iter().position(|column| column.name == *name).ok_or_else(|| {
                let known: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let why =
                    format!("the table {:?} has no column {name:?}; it has {}", self.name, known.join(", "));
                invalid(&self.name, why).with("column", name)
            })?;
            let column_type = self.columns[at].column_type;
            cells[at] = column_type.stored(cell).ok_or_else(|| {
                let why = format!(
                    "the column {name:?} of the table {:?} does not hold {}; it is of type {}",
                    self.name,
                    shown(cell),
                    column_type.name()
                );
                invalid(&self.name, why).with("column", name)
            })?;
        }
        for (column, cell) in self.columns.iter().zip(&cells) {
            if column.is_not_null && *cell == Cell::Null {
                let why = format!(
                    "the column {:?} of the table {:?} needs a value: give one, or declare it without notNull",
                    column.name, self.name
                );
                return Err(violation(&self.name, &column.name, cell, why));
            }
        }
        Ok(cells)
    }
}

/// What a live entry `e` is, in SQL.
pub(super) const LIVE: &str =
    "(e.expires IS NULL OR e.expires > tierce_now()) AND (e.fresh IS NULL OR e.fresh > tierce_now())";

fn check_name(table: &str, name: &str) -> Result<()> {
    let fits = (1..=63).contains(&name.len()) && !name.contains('\0');
    let folded = name.to_lowercase();
    if fits && !["sqlite_", "tierce_"].iter().any(|taken| folded.starts_with(taken)) {
        return Ok(());
    }
    let why = format!(
        "{name:?} is no name: give text of 1 to 63 bytes without NUL that does not start with sqlite_ or tierce_"
    );
    Err(invalid(table, why))
}

pub(super) fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".into(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => format!("{:?}", text.chars().take(100).collect::<String>()),
        Cell::Bytes(bytes) => format!("{} bytes", bytes.len()),
    }
}

pub(super) fn violation(table: &str, column: &str, cell: &Cell<'_>, why: String) -> Error {
    let given = match cell {
        Cell::Text(text) => text.clone().into_owned(),
        cell => shown(cell),
    };
    Error::new(Code::Constraint, why).with("table", table).with("column", column).with("value", given)
}

/// What is there and what is wanted, as one table; the columns that are there come first.
pub(super) fn merged(known: &MetaTable, wanted: &MetaTable) -> Result<MetaTable> {
    if known.name != wanted.name {
        let why = format!("the table {:?} is declared as {:?} already", wanted.name, known.name);
        return Err(invalid(&wanted.name, why));
    }
    let mut merged = known.clone();
    for column in &wanted.columns {
        match merged.columns.iter_mut().find(|known| same(&known.name, &column.name)) {
            None => merged.columns.push(column.clone()),
            Some(known) => {
                let conflict = if known.name != column.name {
                    Some(format!("is called {:?} there", known.name))
                } else if known.column_type != column.column_type {
                    Some(format!(
                        "is {} there and {} here",
                        known.column_type.name(),
                        column.column_type.name()
                    ))
                } else if known.is_not_null != column.is_not_null {
                    Some(either("notNull", known.is_not_null))
                } else if known.is_unique != column.is_unique {
                    Some(either("unique", known.is_unique))
                } else {
                    None
                };
                if let Some(why) = conflict {
                    return Err(differs(&wanted.name, &column.name, &why));
                }
                known.is_indexed |= column.is_indexed;
            }
        }
    }
    let missing =
        known.columns.iter().find(|known| known.is_not_null && wanted.column(&known.name).is_none());
    match missing {
        Some(column) => Err(differs(&wanted.name, &column.name, "is notNull there and missing here")),
        None => Ok(merged),
    }
}

fn either(what: &str, there: bool) -> String {
    if there { format!("is {what} there and not here") } else { format!("is {what} here and not there") }
}

pub(super) fn differs(table: &str, column: &str, why: &str) -> Error {
    let message = format!(
        "the table {table:?} was declared in another way by an earlier cache in this directory: its column {column:?} {why}; \
         declare it as it was, give the table another name, or the cache another directory"
    );
    invalid(table, message).with("column", column)
}

//! Names and texts as they stand in SQL. Whatever is not bound as a parameter goes through here.

use std::fmt;

use crate::{Error, Kind, Result};

/// A quoted identifier: any name is one, except an empty one and one with a NUL.
///
/// # Errors
/// `Invalid`
pub fn identifier(name: &str) -> Result<String> {
    if name.is_empty() || name.contains('\0') {
        let shown: String = name.chars().take(60).collect();
        return Err(Error::new(
            Kind::Invalid,
            format!("Invalid name: {shown:?}. Give a text that is not empty and has no NUL characters."),
        ));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A quoted text, for the places where SQL takes no parameter.
///
/// # Errors
/// `Invalid`: it has a NUL
pub fn literal(text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err(Error::new(
            Kind::Invalid,
            "Text with a NUL character is not accepted here: take it out.",
        ));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

/// The name of a table in its schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl Name {
    /// The name of a table in a schema.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// Whether it is the same table to DuckDB, to which ASCII letters are the same in either case.
    pub fn is(&self, other: &Self) -> bool {
        self.schema.eq_ignore_ascii_case(&other.schema) && self.table.eq_ignore_ascii_case(&other.table)
    }

    /// Quoted, for SQL.
    ///
    /// # Errors
    /// `Invalid`
    pub fn sql(&self) -> Result<String> {
        Ok(format!("{}.{}", identifier(&self.schema)?, identifier(&self.table)?))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

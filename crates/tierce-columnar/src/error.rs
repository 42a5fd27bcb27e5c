//! The one error type of the crate.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: what callers match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An argument is not accepted.
    Invalid,
    /// The statement failed: syntax, an unknown column, a value that does not fit, a constraint.
    Query,
    /// There is no such table.
    TableNotFound,
    /// The table's time to live has passed.
    TableExpired,
    /// The data does not fit into the cache at all.
    TooLarge,
    /// The statement was interrupted.
    Interrupted,
    /// Transactions were in conflict, or the connection has none.
    Transaction,
    /// The file is not a database, or it is damaged.
    Corrupt,
    /// The file was written by a newer release.
    Format,
    /// Another process, or another engine in this one, has the file open.
    Locked,
    /// The database is open for reading only.
    ReadOnly,
    /// The disk is full.
    StorageFull,
    /// A file or folder cannot be reached.
    Unavailable,
    /// Memory ran out.
    OutOfMemory,
    /// The engine or connection is closed.
    Closed,
    /// A defect of this library or of DuckDB.
    Internal,
}

/// An error: its [`Kind`], a message for people, facts for programs and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that says what was given, what is accepted and what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), context: Vec::new(), source: None }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((name, value.to_string()));
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The facts of the error by name.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    /// An error of the file system.
    pub fn io(doing: &str, path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match source.kind() {
            K::StorageFull | K::QuotaExceeded => Kind::StorageFull,
            K::PermissionDenied | K::ReadOnlyFilesystem => Kind::ReadOnly,
            _ => Kind::Unavailable,
        };
        let shown = path.display();
        Self::new(kind, format!("Cannot {doing} {shown}: {source}. Check the path and the disk."))
            .with("path", shown)
            .because(source)
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        use arrow_schema::ArrowError as A;
        let kind = match &error {
            A::OffsetOverflowError(_) => Kind::TooLarge,
            A::MemoryError(_) => Kind::OutOfMemory,
            _ => Kind::Invalid,
        };
        Self::new(kind, format!("The columns cannot be read as Arrow: {error}.")).because(error)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::new(Kind::Corrupt, format!("The Parquet data cannot be read: {error}.")).because(error)
    }
}

/// Runs a reader of bytes that may be damaged. Those of Arrow and Parquet panic where some of what the bytes say of themselves is
/// impossible, such as a negative length.
pub(crate) fn caught<T>(impossible: impl FnOnce() -> Error, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(impossible()))
}

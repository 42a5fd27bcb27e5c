//! Where the rows of a table come from.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::duck::{Connection, literal};
use crate::{Error, Kind, Result};

/// Rows on their way into a table.
pub enum Source {
    /// Arrow batches, which are not copied.
    Batches(SchemaRef, Vec<RecordBatch>),
    /// A file: `parquet`, `csv` or `json` (an array of objects, or one object a line).
    File {
        /// Its path; DuckDB's globs work.
        path: String,
        /// Its format.
        format: String,
    },
    /// A query, with one row of parameters. It is run on a connection of the cache's own.
    Query(String, Option<RecordBatch>),
}

impl Source {
    /// Their bytes in memory, where they are there already.
    pub(super) fn bytes(&self) -> Option<usize> {
        let Self::Batches(_, batches) = self else { return None };
        Some(batches.iter().map(RecordBatch::get_array_memory_size).sum())
    }

    /// Runs `work` with what stands after FROM for these rows. It can be read once, and only as a whole (`with_stream`).
    pub(super) fn with<T>(self, connection: &Connection, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        match self {
            Self::Batches(schema, batches) => connection.with_stream(schema, batches, work),
            Self::File { path, format } => {
                let reader = match format.as_str() {
                    "parquet" => "read_parquet",
                    "csv" => "read_csv",
                    "json" => "read_json",
                    _ => {
                        let text = format!("Invalid format: {format:?}. Give parquet, csv or json.");
                        return Err(Error::new(Kind::Invalid, text));
                    }
                };
                work(&format!("{reader}({})", literal(&path)?))
            }
            Self::Query(sql, parameters) => {
                let result = connection.query(&sql, parameters.as_ref());
                // Writes have transactions of their own: none that the query began may be open.
                let _ = connection.run("ROLLBACK");
                let result = result?;
                connection.with_stream(result.schema, result.batches, work)
            }
        }
    }
}

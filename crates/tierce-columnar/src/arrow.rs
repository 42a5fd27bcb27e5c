//! The Arrow types that this crate's functions take and give, and schemas as JSON.

pub use arrow_array::RecordBatch;
pub use arrow_buffer::Buffer;
pub use arrow_schema::{Schema, SchemaRef};

use crate::{Error, Kind, Result};

/// A schema in the JSON form of the crate `arrow-schema`.
///
/// # Errors
/// `Invalid`
pub fn schema_of_json(json: &str) -> Result<Schema> {
    serde_json::from_str(json)
        .map_err(|error| Error::new(Kind::Invalid, format!("Not a schema of Arrow: {error}.")).because(error))
}

/// The same, written.
///
/// # Errors
/// `Internal`
pub fn schema_to_json(schema: &Schema) -> Result<String> {
    serde_json::to_string(schema)
        .map_err(|error| Error::new(Kind::Internal, "A schema cannot be written.").because(error))
}

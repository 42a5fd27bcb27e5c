//! Arrow's IPC formats: stream and file, read and written.

use std::io::Cursor;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Schema, SchemaRef};

use crate::error::caught;
use crate::{Error, Kind, Result};

/// What an IPC file starts with; a stream does not.
const FILE_MAGIC: &[u8] = b"ARROW1";

/// Reads a stream or a file of Arrow's IPC format.
///
/// # Errors
/// `Invalid`: it is neither
pub fn read(bytes: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let impossible = || {
        Error::new(Kind::Invalid, "The bytes are none of Arrow: what they say of themselves is impossible.")
    };
    caught(impossible, || {
        if bytes.starts_with(FILE_MAGIC) {
            let reader = FileReader::try_new(Cursor::new(bytes), None)?;
            return Ok((reader.schema(), reader.collect::<Result<_, _>>()?));
        }
        let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
        Ok((reader.schema(), reader.collect::<Result<_, _>>()?))
    })
}

/// Writes batches as a stream of Arrow's IPC format.
///
/// # Errors
/// `Invalid`: a batch is of another schema
pub fn write(schema: &Schema, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(writer.into_inner()?)
}

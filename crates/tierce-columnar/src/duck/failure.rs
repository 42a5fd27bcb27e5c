//! What DuckDB's error messages mean.

use libduckdb_sys as ffi;

use super::text::copied;
use crate::{Error, Kind, Result};

/// The error of a message of DuckDB's. It starts with its type ("Binder Error: …"): statements that cannot be prepared
/// carry it nowhere else.
pub(super) fn failure(message: &str) -> Error {
    let (prefix, _) = message.split_once(" Error:").unwrap_or(("", message));
    let kind = kind_of(prefix, message);
    let error = match kind {
        Kind::Locked => return locked(message),
        Kind::Internal => Error::new(kind, format!("A defect of DuckDB or of this library: {message}")),
        _ => Error::new(kind, message),
    };
    if prefix.is_empty() { error } else { error.with("type", prefix) }
}

fn kind_of(prefix: &str, message: &str) -> Kind {
    let says = |part: &str| message.contains(part);
    match prefix {
        "INTERRUPT" => Kind::Interrupted,
        "TransactionContext" | "Transaction" => Kind::Transaction,
        "Out of Memory" => Kind::OutOfMemory,
        "INTERNAL" | "FATAL" => Kind::Internal,
        "Serialization" => Kind::Corrupt,
        "Permission" => Kind::ReadOnly,
        "IO" if says("set lock on file") => Kind::Locked,
        "IO" if says("No space left") || says("Disk quota") => Kind::StorageFull,
        "IO" if says("Permission denied") || says("Read-only file system") => Kind::ReadOnly,
        "IO" if says("not a valid DuckDB database") || says("Corrupt") || says("checksum") => Kind::Corrupt,
        "IO" if says("database file with version") || says("newer version") => Kind::Format,
        "IO" => Kind::Unavailable,
        "Catalog" if says("Table with name") && says("does not exist") => Kind::TableNotFound,
        _ if says("attached in read-only mode") || says("in read-only transaction") => Kind::ReadOnly,
        _ => Kind::Query,
    }
}

/// DuckDB names the process that holds its lock.
fn locked(message: &str) -> Error {
    let pid: String = message
        .split_once("(PID ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    let holder = if pid.is_empty() { "another process".to_owned() } else { format!("the process {pid}") };
    let text = format!(
        "The database is in use by {holder}. Close it there, wait longer (lockTimeout), or read the last backup (snapshot: true)."
    );
    let error = Error::new(Kind::Locked, text).because(message.to_owned());
    if pid.is_empty() { error } else { error.with("pid", pid) }
}

/// The outcome of a call that gives error data, which is freed here.
///
/// # Safety
/// `data` was just given by DuckDB.
pub(super) unsafe fn checked(mut data: ffi::duckdb_error_data) -> Result<()> {
    let outcome = unsafe {
        if data.is_null() || !ffi::duckdb_error_data_has_error(data) {
            Ok(())
        } else {
            Err(failure(&copied(ffi::duckdb_error_data_message(data))))
        }
    };
    unsafe { ffi::duckdb_destroy_error_data(&raw mut data) };
    outcome
}

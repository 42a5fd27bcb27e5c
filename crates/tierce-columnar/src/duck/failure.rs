//! What DuckDB's error messages mean.

use std::borrow::Cow;

use libduckdb_sys as ffi;

use super::text::copied;
use crate::{Error, Kind, Result};

/// The error of a message of DuckDB's. It starts with its type ("Binder Error: …"): statements that cannot be prepared
/// carry it nowhere else.
pub(super) fn failure(message: &str) -> Error {
    let message = &*plain(message);
    let (prefix, _) = message.split_once(" Error:").unwrap_or(("", message));
    let kind = kind_of(prefix, message);
    let error = match kind {
        Kind::Locked => return locked(message),
        Kind::Internal => Error::new(kind, format!("A defect of DuckDB or of this library: {message}")),
        Kind::Corrupt => Error::new(
            kind,
            format!("{message} The file is damaged: restore a backup, or remove it and write it anew."),
        ),
        Kind::Format if message.contains(SQLITE) => {
            Error::new(kind, "The file is a database of SQLite and none of DuckDB: give another path.")
                .because(message.to_owned())
        }
        _ => Error::new(kind, message),
    };
    if prefix.is_empty() { error } else { error.with("type", prefix) }
}

/// DuckDB gives some messages as JSON: here is what they say, put as all others are.
fn plain(message: &str) -> Cow<'_, str> {
    let parts: Option<serde_json::Value> =
        message.starts_with('{').then(|| serde_json::from_str(message).ok()).flatten();
    let part = |name: &str| parts.as_ref().and_then(|parts| parts[name].as_str());
    match (part("exception_type"), part("exception_message")) {
        (Some(kind), Some(text)) => format!("{kind} Error: {text}").into(),
        _ => message.into(),
    }
}

/// What DuckDB would open a file of SQLite with.
const SQLITE: &str = "sqlite_scanner";

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
        "IO" if says("Could not read enough bytes") => Kind::Corrupt,
        "IO" if says(SQLITE) => Kind::Format,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_went_wrong_and_what_to_do() {
        for (message, kind, says) in [
            ("IO Error: Could not read enough bytes from file \"a\"", Kind::Corrupt, "restore a backup"),
            ("IO Error: Extension \"sqlite_scanner.duckdb_extension\" not found", Kind::Format, "of SQLite"),
            (
                r#"{"exception_type":"Not implemented","exception_message":"Arrow type X"}"#,
                Kind::Query,
                "Not implemented Error: Arrow type X",
            ),
            ("{\"odd", Kind::Query, "{\"odd"),
        ] {
            let error = failure(message);
            assert_eq!(error.kind(), kind, "{message}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

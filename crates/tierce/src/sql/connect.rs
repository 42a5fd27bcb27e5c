//! Connections to a file of the user's, and what SQLite's errors mean for it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::disk::APPLICATION_ID;
use crate::error::{Code, Error, Result};

/// The connection that writes. Makes the file where there is none.
pub(super) fn writer(path: &Path, lock_timeout: Duration) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = connect(path, flags, lock_timeout)?;
        let id: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        if id != APPLICATION_ID {
            conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
            conn.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864")?;
        }
        Ok((conn, id))
    };
    #[allow(clippy::disallowed_methods, reason = "how long a lock is waited for is no time of an entry")]
    let started = Instant::now();
    let opened = loop {
        match open().map_err(|why| explain(why, path)) {
            // SQLite does not wait for another connection that makes the log of a new file at the same moment.
            Err(why) if why.code() == Code::LockTimeout && started.elapsed() < lock_timeout => {
                std::thread::sleep(Duration::from_millis(1));
            }
            outcome => break outcome?,
        }
    };
    match opened {
        (_, APPLICATION_ID) => Err(Error::new(
            Code::Format,
            format!("{} is the database of a cache: give tables a file of their own", path.display()),
        )
        .at(path)),
        (conn, _) => Ok(conn),
    }
}

/// A connection that cannot write, nor reach another file.
pub(super) fn reader(path: &Path, lock_timeout: Duration) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = connect(path, flags, lock_timeout)?;
        conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        conn.execute_batch("PRAGMA query_only = ON")?;
        Ok(conn)
    };
    open().map_err(|why| explain(why, path))
}

fn connect(path: &Path, flags: OpenFlags, lock_timeout: Duration) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(lock_timeout)?;
    conn.set_prepared_statement_cache_capacity(32);
    // Nothing that a hostile file contains may run.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.execute_batch(
        "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384",
    )?;
    Ok(conn)
}

pub(super) fn explain(why: rusqlite::Error, path: &Path) -> Error {
    let shown = path.display();
    let (code, message) = match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => (
            Code::LockTimeout,
            format!("another process is writing to {shown}: try again, or raise the lock timeout"),
        ),
        Some(ErrorCode::DiskFull) => {
            (Code::StorageFull, format!("the disk is full while writing {shown}: free some space"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            Code::ReadOnly,
            format!(
                "{shown} may not be written here ({why}): queries only read; for the rest, make it writable for this user"
            ),
        ),
        Some(ErrorCode::CannotOpen) => (
            Code::Unavailable,
            format!("cannot open {shown}: its folder must exist, and this user must be able to write to it"),
        ),
        Some(ErrorCode::NotADatabase) => {
            (Code::Format, format!("{shown} is no SQLite database: give the path of one, or of a new file"))
        }
        Some(ErrorCode::DatabaseCorrupt) => (
            Code::Corrupt,
            format!("{shown} is damaged ({why}): delete it, and what it held is fetched again"),
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (Code::Unavailable, format!("the disk failed while using {shown} ({why}): check it"))
        }
        Some(ErrorCode::TooBig) => (Code::ValueTooLarge, format!("a value is too large for {shown} ({why})")),
        Some(ErrorCode::OutOfMemory | ErrorCode::ApiMisuse) => {
            (Code::Internal, format!("SQLite failed while using {shown}: {why}"))
        }
        // Errors in a statement, wrong counts of parameters, constraints of the user's own.
        _ => (Code::Query, format!("SQLite refused a statement for {shown}: {why}")),
    };
    Error::new(code, message).at(path).because(why)
}

//! What SQLite's errors mean.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::error::{Code, Error};

pub(super) fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::Corrupt, format!("the database {} is damaged: {why}", path.display())).at(path)
}

/// Turns an error of SQLite into ours. Whatever a healthy file cannot cause counts as damage.
pub(in crate::disk) fn explain(why: rusqlite::Error, path: &Path) -> Error {
    let shown = path.display();
    let extended = why.sqlite_error().map_or(0, |error| error.extended_code);
    let error = match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            Error::new(
                Code::LockTimeout,
                format!("another process is writing to {shown}: try again, or raise the lock timeout"),
            )
        }
        Some(ErrorCode::DiskFull) => full(path),
        Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_SHMSIZE => full(path),
        Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_SHORT_READ => {
            damaged(path, "it is shorter than it should be")
        }
        Some(ErrorCode::SystemIoFailure) => Error::new(
            Code::Unavailable,
            format!("the disk failed while using {shown} ({why}): check the disk and its file system"),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => read_only(path),
        Some(ErrorCode::CannotOpen) => Error::new(
            Code::Unavailable,
            format!(
                "cannot open {shown}: check that it is a file and that this user may write to it, or give the cache another directory"
            ),
        ),
        // Nothing that a file can be the cause of: it must not be given up for them.
        Some(
            ErrorCode::OutOfMemory
            | ErrorCode::ApiMisuse
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::TooBig
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::AuthorizationForStatementDenied,
        ) => Error::new(Code::Internal, format!("SQLite failed while using {shown}: {why}")),
        _ => damaged(path, &why.to_string()),
    };
    error.at(path).because(why)
}

pub(super) fn full(path: &Path) -> Error {
    Error::new(
        Code::StorageFull,
        format!(
            "the disk is full while writing {}: free some space, or give the cache a smaller max size",
            path.display()
        ),
    )
}

fn read_only(path: &Path) -> Error {
    Error::new(
        Code::ReadOnly,
        format!(
            "{} may not be written: make it writable for this user, or give the cache another directory",
            path.display()
        ),
    )
}

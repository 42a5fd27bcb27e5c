//! A database's file whose errors are told as what they are. SQLite takes a read that fails with `EIO` for a damaged
//! database, which would be rebuilt; and where a file cannot be opened for writing, for whatever reason, it goes on with one that
//! is for reading, so that one failure leaves a connection that never writes again.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use rusqlite::ffi;

/// The methods of SQLite's own file, and those with ours in their place.
struct Methods {
    own: &'static ffi::sqlite3_io_methods,
    ours: ffi::sqlite3_io_methods,
}

static METHODS: OnceLock<Methods> = OnceLock::new();

thread_local! {
    static FAILED: Cell<u64> = const { Cell::new(0) };
}

/// Reads of this thread that the disk failed: a check of the whole database gives them as findings.
pub(in crate::disk) fn failed_reads() -> u64 {
    FAILED.get()
}

/// A disk that cannot be read is not a damaged database.
pub(in crate::disk) fn told(outcome: c_int) -> c_int {
    if !matches!(outcome, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_READ) {
        return outcome;
    }
    FAILED.set(FAILED.get() + 1);
    ffi::SQLITE_IOERR_READ
}

/// Whether a file that was opened just now is for reading only, although it was asked for more and more is allowed.
///
/// # Safety
/// As for [`opened`].
#[allow(unsafe_code, reason = "the interface of SQLite's file systems is in C")]
pub(in crate::disk) unsafe fn is_crippled(
    own: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out_flags: *const c_int,
) -> bool {
    let mut could = 0;
    // SAFETY: the caller's promises.
    unsafe {
        let is_less = !out_flags.is_null() && *out_flags & ffi::SQLITE_OPEN_READONLY != 0;
        if flags & ffi::SQLITE_OPEN_READWRITE == 0 || !is_less {
            return false;
        }
        if let Some(access) = (*own).xAccess {
            access(own, name, ffi::SQLITE_ACCESS_READWRITE, &raw mut could);
        }
    }
    could != 0
}

/// Puts our methods into a database's file that was opened just now, or closes it where it is for reading only and need not be.
///
/// # Safety
/// `own` is SQLite's file system and `file` a file that it opened with the other arguments.
#[allow(unsafe_code, reason = "the interface of SQLite's file systems is in C")]
pub(in crate::disk) unsafe fn opened(
    own: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *const c_int,
) -> c_int {
    // SAFETY: the caller's promises; a table of methods lives as long as the process.
    unsafe {
        let methods = (*file).pMethods;
        if is_crippled(own, name, flags, out_flags) {
            if let Some(close) = (*methods).xClose {
                close(file);
            }
            (*file).pMethods = std::ptr::null(); // nothing to close
            return ffi::SQLITE_CANTOPEN;
        }
        if !out_flags.is_null() && *out_flags & ffi::SQLITE_OPEN_READONLY != 0 {
            return ffi::SQLITE_OK;
        }
        let known = METHODS.get_or_init(|| {
            let own = &*methods;
            let mut ours = std::ptr::read(methods);
            ours.xRead = Some(read);
            if ours.xShmMap.is_some() {
                ours.xShmMap = Some(shm_map);
            }
            Methods { own, ours }
        });
        // Another table than the first one's is left as it is.
        if std::ptr::eq(methods, known.own) {
            (*file).pMethods = &raw const known.ours;
        }
        ffi::SQLITE_OK
    }
}

#[allow(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, bytes: *mut c_void, length: c_int, at: i64) -> c_int {
    match METHODS.get().and_then(|methods| methods.own.xRead) {
        // SAFETY: the file is one of SQLite's own, and the arguments are SQLite's.
        Some(own) => told(unsafe { own(file, bytes, length, at) }),
        None => ffi::SQLITE_MISUSE,
    }
}

#[allow(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extends: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let Some((own, unmap)) = METHODS.get().and_then(|known| known.own.xShmMap.zip(known.own.xShmUnmap))
    else {
        return ffi::SQLITE_MISUSE;
    };
    // SAFETY: as for `read`. What is for reading only is so from its first region on, so SQLite has no pointer into it.
    unsafe {
        let outcome = own(file, region, size, extends, out);
        if region > 0 || !matches!(outcome, ffi::SQLITE_READONLY | ffi::SQLITE_READONLY_CANTINIT) {
            return outcome;
        }
        *out = std::ptr::null_mut();
        unmap(file, 0); // the next one opens it again
        ffi::SQLITE_IOERR_SHMOPEN
    }
}

//! A log that is written in one go: SQLite's own file system, but for the file of the log.
//!
//! SQLite writes a commit frame by frame, and each as a header and a page: two calls of the system a page, which are a
//! good part of what a small set costs. Here the frames of a transaction are gathered and written when the last of them
//! comes, which says so in its header. SQLite shows a commit to others only after that write has returned, and gets its
//! error. What a rollback leaves of them, where a large transaction writes pages before it commits ([`Transaction::spill`](super::Transaction::spill)) or fails amid
//! its commit, would be written over what others have committed since. So whoever rolls back has them [forgotten](forget).

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use rusqlite::ffi;

use super::honest;

/// The name that a connection asks for.
pub(in crate::disk) const NAME: &std::ffi::CStr = c"tierce";
/// Bytes of a frame's header; the page follows.
const FRAME: c_int = 24;
/// Bytes of one call: SQLite's own file system takes no more than 128 KiB.
const PIECE: usize = 64 << 10;
/// Bytes that are gathered at most.
const MOST: usize = 1 << 20;

/// From now on, the frames of a transaction are written together, where the log is open and one of these files. Whoever rolls one
/// back has to call [`forget`].
pub(in crate::disk) fn gather(conn: &rusqlite::Connection) {
    with_log(conn, |log| log.gathers = true);
}

/// After a rollback: what was gathered belongs to nothing, and its place to whoever writes next.
pub(in crate::disk) fn forget(conn: &rusqlite::Connection) {
    with_log(conn, |log| {
        if !log.gathered.is_empty() {
            log.gathered.clear();
            log.end = -1;
        }
    });
}

#[allow(unsafe_code, reason = "the interface of SQLite's file systems is in C")]
fn with_log(conn: &rusqlite::Connection, run: impl FnOnce(&mut WalFile)) {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: the handle is open, and this call stores a pointer to the file of its log, which stays open with it. Its
    // methods tell whether it is one of ours. SQLite is not using it meanwhile, as a connection is on one thread at a time.
    unsafe {
        let asked = ffi::SQLITE_FCNTL_JOURNAL_POINTER;
        let out = (&raw mut file).cast::<c_void>();
        let outcome = ffi::sqlite3_file_control(conn.handle(), c"main".as_ptr(), asked, out);
        if outcome == ffi::SQLITE_OK && !file.is_null() && std::ptr::eq((*file).pMethods, &raw const METHODS)
        {
            run(wal(file));
        }
    }
}

/// What SQLite has in its hands for an open log; the file of its own file system follows in the same memory.
#[repr(C)]
struct WalFile {
    base: ffi::sqlite3_file,
    inner: *mut ffi::sqlite3_file,
    gathers: bool,
    gathered: Vec<u8>,
    /// Where in the file that belongs.
    start: i64,
    /// Where the next frame is expected; one elsewhere is no new one.
    end: i64,
    /// Whether the page that is expected next ends a transaction.
    commits: bool,
}

/// Bytes from the beginning of a [`WalFile`] to its inner file.
const INNER_AT: usize = size_of::<WalFile>().next_multiple_of(16);

/// Registers the file system once. False where SQLite has none of its own to stand on.
pub(in crate::disk) fn register() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(register_now)
}

#[allow(unsafe_code, reason = "the interface of SQLite's file systems is in C")]
fn register_now() -> bool {
    // SAFETY: SQLite gives a pointer to its default file system, which lives as long as the process, or null. What is
    // registered is a copy that is never freed.
    unsafe {
        let own = ffi::sqlite3_vfs_find(std::ptr::null());
        if own.is_null() {
            return false;
        }
        let mut vfs = std::ptr::read(own);
        vfs.zName = NAME.as_ptr();
        vfs.szOsFile += INNER_AT as c_int;
        vfs.xOpen = Some(open);
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) == ffi::SQLITE_OK
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Calls a method of the inner file.
macro_rules! inner {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let inner = $file.inner;
        match (*(*inner).pMethods).$method {
            Some(method) => method(inner $(, $argument)*),
            None => ffi::SQLITE_MISUSE,
        }
    }};
}

#[allow(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: `file` is memory of `szOsFile` bytes, aligned to 8, which is enough for a `WalFile` and what follows it; the
    // default file system was there when this one was registered.
    unsafe {
        let own = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(own_open) = (*own).xOpen else { return ffi::SQLITE_CANTOPEN };
        if flags & ffi::SQLITE_OPEN_WAL == 0 {
            let outcome = own_open(own, name, file, flags, out_flags);
            let is_database = outcome == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
            return if is_database { honest::opened(own, name, file, flags, out_flags) } else { outcome };
        }
        let inner = file.byte_add(INNER_AT);
        let outcome = own_open(own, name, inner, flags, out_flags);
        if outcome != ffi::SQLITE_OK {
            (*file).pMethods = std::ptr::null(); // nothing to close
            return outcome;
        }
        if honest::is_crippled(own, name, flags, out_flags) {
            if let Some(close) = (*(*inner).pMethods).xClose {
                close(inner);
            }
            (*file).pMethods = std::ptr::null();
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::write(
            file.cast::<WalFile>(),
            WalFile {
                base: ffi::sqlite3_file { pMethods: &raw const METHODS },
                inner,
                gathers: false,
                gathered: Vec::new(),
                start: 0,
                end: -1,
                commits: false,
            },
        );
        outcome
    }
}

impl WalFile {
    /// Writes what was gathered.
    #[allow(unsafe_code, reason = "calls the inner file")]
    fn flush(&mut self) -> c_int {
        if self.gathered.is_empty() {
            return ffi::SQLITE_OK;
        }
        let mut outcome = ffi::SQLITE_OK;
        let mut at = self.start;
        for piece in self.gathered.chunks(PIECE) {
            let length = piece.len() as c_int;
            // SAFETY: the inner file is open as long as this one, and the bytes are there during the call.
            outcome = unsafe { inner!(self, xWrite, piece.as_ptr().cast(), length, at) };
            if outcome != ffi::SQLITE_OK {
                break;
            }
            at += i64::from(length);
        }
        self.gathered.clear();
        outcome
    }

    /// Takes a piece of a frame, or says that it is none to be gathered.
    fn gather(&mut self, bytes: &[u8], at: i64) -> Option<c_int> {
        if !self.gathers || at != self.end {
            return None;
        }
        let is_header = bytes.len() == FRAME as usize;
        if is_header {
            self.commits = bytes[4..8] != [0; 4];
        } else if self.gathered.is_empty() {
            return None; // the page of a header that was written as it came
        }
        if self.gathered.is_empty() {
            self.start = at;
        }
        self.gathered.extend_from_slice(bytes);
        self.end = at + bytes.len() as i64;
        let is_due = !is_header && (self.commits || self.gathered.len() >= MOST);
        Some(if is_due { self.flush() } else { ffi::SQLITE_OK })
    }
}

/// The file that SQLite hands back.
#[allow(unsafe_code, reason = "called by SQLite")]
unsafe fn wal<'a>(file: *mut ffi::sqlite3_file) -> &'a mut WalFile {
    // SAFETY: these methods are those of files that `open` made, and SQLite uses a file on one thread at a time.
    unsafe { &mut *file.cast::<WalFile>() }
}

/// A method that flushes and then asks the inner file.
macro_rules! flushing {
    ($($name:ident => $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[allow(unsafe_code, reason = "called by SQLite")]
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            // SAFETY: as for `wal`; the arguments are SQLite's.
            unsafe {
                let file = wal(file);
                match file.flush() {
                    ffi::SQLITE_OK => inner!(file, $method $(, $argument)*),
                    failed => failed,
                }
            }
        }
    )*};
}

/// A method of the inner file alone.
macro_rules! passing {
    ($($name:ident => $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[allow(unsafe_code, reason = "called by SQLite")]
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            // SAFETY: as for `wal`; the arguments are SQLite's.
            unsafe { inner!(wal(file), $method $(, $argument)*) }
        }
    )*};
}

flushing! {
    read_inner => xRead(bytes: *mut c_void, length: c_int, at: i64);
    truncate => xTruncate(size: i64);
    sync => xSync(flags: c_int);
    file_size => xFileSize(size: *mut i64);
}

#[allow(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, bytes: *mut c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: the arguments are SQLite's.
    honest::told(unsafe { read_inner(file, bytes, length, at) })
}

passing! {
    lock => xLock(level: c_int);
    unlock => xUnlock(level: c_int);
    check_reserved_lock => xCheckReservedLock(out: *mut c_int);
    file_control => xFileControl(operation: c_int, argument: *mut c_void);
    sector_size => xSectorSize();
    device_characteristics => xDeviceCharacteristics();
}

#[allow(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: as for `wal`; SQLite hands over `length` bytes.
    unsafe {
        let file = wal(file);
        let given = std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize);
        if let Some(outcome) = file.gather(given, at) {
            return outcome;
        }
        match file.flush() {
            ffi::SQLITE_OK => {}
            failed => return failed,
        }
        file.end = at + i64::from(length);
        inner!(file, xWrite, bytes, length, at)
    }
}

#[allow(unsafe_code, reason = "called by SQLite")]
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as for `wal`; SQLite does not use the file after this.
    unsafe {
        let closing = wal(file);
        let flushed = closing.flush();
        let closed = inner!(closing, xClose);
        std::ptr::drop_in_place(file.cast::<WalFile>());
        (*file).pMethods = std::ptr::null();
        if flushed == ffi::SQLITE_OK { closed } else { flushed }
    }
}

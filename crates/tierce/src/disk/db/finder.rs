//! The statement that every read asks, kept ready: looking it up by its text and giving it back took as long as it runs.

use rusqlite::{Connection, ffi};

use super::super::row::{EntryRow, Freshness, Place};
use super::columns::HITS_BIAS;

const SQL: &std::ffi::CStr =
    c"SELECT seal, accessed, hits, created, expires, fresh, cost, key, frame FROM entries WHERE id = ?1";

/// The statement. It must go before its connection does.
#[derive(Debug)]
pub(in crate::disk) struct Finder(*mut ffi::sqlite3_stmt);

/// What a look found.
pub(in crate::disk) enum Found<'a> {
    Row(Held<'a>),
    Nothing,
    /// SQLite says no: ask it in the way that also tells why.
    Failed,
}

/// A row under the statement: given back when this is dropped.
pub(in crate::disk) struct Held<'a> {
    finder: &'a Finder,
    id: i64,
}

#[allow(unsafe_code, reason = "rusqlite keeps no statement beside its connection")]
// SAFETY: SQLite ties no statement to a thread, and a `Finder` is used by the one that has its connection.
unsafe impl Send for Finder {}

#[allow(unsafe_code, reason = "rusqlite keeps no statement beside its connection")]
impl Finder {
    /// Prepares it. `None` where that fails.
    pub fn new(conn: &Connection) -> Option<Self> {
        let mut statement = std::ptr::null_mut();
        // SAFETY: the handle is open, the text ends with NUL, and the statement is stored where the pointer says.
        let outcome = unsafe {
            let (text, keep) = (SQL.as_ptr(), ffi::SQLITE_PREPARE_PERSISTENT);
            ffi::sqlite3_prepare_v3(conn.handle(), text, -1, keep, &raw mut statement, std::ptr::null_mut())
        };
        (outcome == ffi::SQLITE_OK && !statement.is_null()).then_some(Self(statement))
    }

    /// Looks an id up.
    pub fn find(&self, id: i64) -> Found<'_> {
        // SAFETY: the statement is prepared and has one parameter, which SQLite refuses to bind while a row is out.
        if unsafe { ffi::sqlite3_bind_int64(self.0, 1, id) } != ffi::SQLITE_OK {
            return Found::Failed;
        }
        let held = Held { finder: self, id };
        // SAFETY: as above.
        match unsafe { ffi::sqlite3_step(self.0) } {
            ffi::SQLITE_ROW => Found::Row(held),
            ffi::SQLITE_DONE => Found::Nothing,
            _ => Found::Failed,
        }
    }

    /// A damaged row can hold any type in any column: its seal tells.
    fn integer(&self, column: i32) -> Option<i64> {
        // SAFETY: the statement stands on a row, and has this column.
        unsafe {
            let is_integer = ffi::sqlite3_column_type(self.0, column) == ffi::SQLITE_INTEGER;
            is_integer.then(|| ffi::sqlite3_column_int64(self.0, column))
        }
    }

    fn is_null(&self, column: i32) -> bool {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_column_type(self.0, column) == ffi::SQLITE_NULL }
    }

    fn moment(&self, column: i32) -> Option<u64> {
        match self.integer(column) {
            None if self.is_null(column) => None,
            ms => Some(ms.unwrap_or(0) as u64),
        }
    }

    fn blob(&self, column: i32) -> &[u8] {
        // SAFETY: as above. The bytes stay until the statement is given back, which a `Held` does when nothing borrows
        // from it any more; no column of a row is read as another type, which would move them.
        unsafe {
            if !matches!(ffi::sqlite3_column_type(self.0, column), ffi::SQLITE_BLOB | ffi::SQLITE_TEXT) {
                return &[];
            }
            let start = ffi::sqlite3_column_blob(self.0, column);
            let length = ffi::sqlite3_column_bytes(self.0, column);
            if start.is_null() { &[] } else { std::slice::from_raw_parts(start.cast(), length as usize) }
        }
    }
}

impl Held<'_> {
    /// The row, borrowed from the page it is on.
    pub fn row(&self) -> EntryRow<'_> {
        let finder = self.finder;
        let integer = |column| finder.integer(column).unwrap_or(0);
        EntryRow {
            id: self.id,
            seal: integer(0) as u64,
            accessed: integer(1),
            hits: integer(2).saturating_sub(HITS_BIAS).max(0) as u64,
            created: integer(3) as u64,
            expires: finder.moment(4),
            freshness: Freshness { until: finder.moment(5), cost: u32::try_from(integer(6)).unwrap_or(0) },
            place: Place::default(),
            key: finder.blob(7),
            frame: finder.blob(8),
        }
    }
}

#[allow(unsafe_code, reason = "rusqlite keeps no statement beside its connection")]
impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement is prepared, and nothing borrows from its row any more.
        unsafe { ffi::sqlite3_reset(self.finder.0) };
    }
}

#[allow(unsafe_code, reason = "rusqlite keeps no statement beside its connection")]
impl Drop for Finder {
    fn drop(&mut self) {
        // SAFETY: the statement was prepared by `new`, and its connection is still open.
        unsafe { ffi::sqlite3_finalize(self.0) };
    }
}

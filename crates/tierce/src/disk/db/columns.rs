//! Columns of rows of `entries`, as SQLite hands them, in the types of `row.rs`.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::super::row::{EntryRow, Freshness, Place, Removed};
use crate::frame::{Header, size_on_disk};

/// `hits` is stored with this added, so that its width never changes and an access overwrites its cell in place.
pub(in crate::disk) const HITS_BIAS: i64 = 1 << 40;

pub(in crate::disk) fn entry_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<EntryRow<'r>> {
    Ok(EntryRow {
        id: row.get(0)?,
        seal: integer(row, 1)? as u64,
        accessed: integer(row, 2)?,
        hits: integer(row, 3)?.saturating_sub(HITS_BIAS).max(0) as u64,
        created: integer(row, 4)? as u64,
        expires: moment(row, 5)?,
        freshness: Freshness { until: moment(row, 6)?, cost: u32::try_from(integer(row, 7)?).unwrap_or(0) },
        place: Place::default(),
        key: blob(row, 8)?,
        frame: blob(row, 9)?,
    })
}

/// A time, or none.
pub(in crate::disk) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => Ok(Some(integer(row, column)? as u64)),
    }
}

/// What leaves: id, bytes of key and frame, the frame's header, mark. A row that is deleted goes through
/// [`Transaction::gone`], so that nothing of it stays in the side tables and the number of entries is right.
pub(in crate::disk) fn removed(row: &Row<'_>) -> rusqlite::Result<Removed> {
    Ok(leaving(row.get(0)?, integer(row, 1)? as u64, blob(row, 2)?, integer(row, 3)? & 1 == 1))
}

/// What leaves with a row of so many bytes.
pub(in crate::disk) fn leaving(id: i64, bytes: u64, header: &[u8], main: bool) -> Removed {
    let header = Header::parse(header).ok();
    let file = header.filter(|header| header.in_file);
    Removed {
        id,
        bytes,
        has_extras: header.is_none_or(|header| header.has_extras),
        file: file.map(|header| header.write_id),
        file_bytes: file.map_or(0, |header| size_on_disk(header.stored_size)),
        main,
        sizes: header.map(|header| (header.raw_size, header.stored_size)),
    }
}

/// A damaged row can hold any type in any column: its seal tells.
pub(in crate::disk) fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    match row.get_ref(column)? {
        ValueRef::Integer(number) => Ok(number),
        _ => Ok(0),
    }
}

/// As [`integer`].
pub(in crate::disk) fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
        _ => Ok(&[]),
    }
}

//! The form of a record: the sets of one call, which are there together or not at all.
//!
//! checksum `u64`, position `u64`, length `u32`, entries `u32`; of each entry 64 bytes, key, frame, zeros up to a multiple of 8.

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::row::{EntryRow, Freshness, Place};

/// Bytes of a record before its entries.
pub const RECORD: usize = 24;
/// Bytes of an entry before its key.
pub const ENTRY: usize = 64;

/// A row on its way, and the uses of its predecessor that nobody has written.
#[derive(Clone, Copy, Debug)]
pub struct Pending<'a> {
    pub row: EntryRow<'a>,
    pub noted: u32,
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

/// Bytes of a record of such rows: of each, those of key and frame.
pub fn length_of(rows: impl Iterator<Item = usize>) -> usize {
    RECORD + rows.map(|bytes| padded(ENTRY + bytes)).sum::<usize>()
}

/// Puts an entry behind the others.
pub fn put(record: &mut Vec<u8>, Pending { row, noted }: Pending<'_>) {
    let optional = |at: Option<u64>| at.unwrap_or(u64::MAX);
    for word in [
        row.id as u64,
        row.seal,
        row.accessed as u64,
        row.created,
        optional(row.expires),
        optional(row.freshness.until),
        u64::from(row.freshness.cost) | u64::from(noted) << 32,
        row.key.len() as u64 | (row.frame.len() as u64) << 32,
    ] {
        record.extend_from_slice(&word.to_le_bytes());
    }
    record.extend_from_slice(row.key);
    record.extend_from_slice(row.frame);
    record.resize(padded(record.len()), 0);
}

/// Fills in what stands before the entries.
pub fn seal(record: &mut [u8], position: u64, count: usize) {
    let length = record.len() as u64;
    record[8..16].copy_from_slice(&position.to_le_bytes());
    record[16..24].copy_from_slice(&(length | (count as u64) << 32).to_le_bytes());
    let sum = xxh3_64(&record[8..]);
    record[..8].copy_from_slice(&sum.to_le_bytes());
}

/// A record of nothing, up to where the ring starts again.
pub fn seal_filler(head: &mut [u8], position: u64, skipped: u64) {
    head[8..16].copy_from_slice(&position.to_le_bytes());
    head[16..24].copy_from_slice(&skipped.to_le_bytes());
    let sum = !xxh3_64(&head[8..]);
    head[..8].copy_from_slice(&sum.to_le_bytes());
}

/// The bytes that a filler at this position skips.
pub fn filler(head: &[u8], position: u64) -> Option<u64> {
    let is_one = word(head, 8)? == position && word(head, 0)? == !xxh3_64(head.get(8..RECORD)?);
    word(head, 16).filter(|_| is_one)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The length that the head of a record at this position says, and its entries.
pub fn claimed(head: &[u8], position: u64) -> Option<(u64, usize)> {
    let sizes = word(head, 16)?;
    let (length, count) = (sizes & u64::from(u32::MAX), (sizes >> 32) as usize);
    let fits = length as usize >= RECORD + count.saturating_mul(ENTRY) && length % 8 == 0;
    (word(head, 8)? == position && fits).then_some((length, count))
}

/// Whether a whole record is as it was written.
pub fn is_sound(record: &[u8]) -> bool {
    record.get(8..).is_some_and(|rest| word(record, 0) == Some(xxh3_64(rest)))
}

/// Bytes of the entry that starts here, and the entry as far as it is there.
fn sizes(bytes: &[u8]) -> Option<(usize, usize)> {
    let sizes = word(bytes, 56)?;
    Some(((sizes & u64::from(u32::MAX)) as usize, (sizes >> 32) as usize))
}

/// Bytes that the entry whose head this is takes, padded.
pub fn entry_length(head: &[u8]) -> Option<usize> {
    let (key, frame) = sizes(head)?;
    Some(padded(ENTRY.checked_add(key)?.checked_add(frame)?))
}

/// The entry at the front of `bytes`.
pub fn entry(bytes: &[u8]) -> Option<Pending<'_>> {
    let (key, frame) = sizes(bytes)?;
    let key_end = ENTRY.checked_add(key)?;
    let number = |at: usize| word(bytes, at);
    let optional = |at: usize| number(at).map(|ms| Some(ms).filter(|ms| *ms != u64::MAX));
    let both = number(48)?;
    Some(Pending {
        row: EntryRow {
            id: number(0)? as i64,
            seal: number(8)?,
            accessed: number(16)? as i64,
            hits: 0,
            created: number(24)?,
            expires: optional(32)?,
            freshness: Freshness { until: optional(40)?, cost: both as u32 },
            place: Place::default(),
            key: bytes.get(ENTRY..key_end)?,
            frame: bytes.get(key_end..key_end.checked_add(frame)?)?,
        },
        noted: (both >> 32) as u32,
    })
}

/// The entries of a sound record, each with its distance from the start.
pub fn entries(record: &[u8]) -> impl Iterator<Item = (u64, Pending<'_>)> {
    let mut at = RECORD;
    std::iter::from_fn(move || {
        let bytes = record.get(at..).filter(|rest| !rest.is_empty())?;
        let found = (at as u64, entry(bytes)?);
        at += entry_length(bytes)?;
        Some(found)
    })
}

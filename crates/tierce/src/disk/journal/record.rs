//! The form of a record: the sets of one call, which are there together or not at all.
//!
//! checksum `u64`, position `u64`, length `u32`, entries `u32`, turned `u64`; of each entry 64 bytes, key, frame, zeros up to a
//! multiple of 8. The checksum is seeded with the life of the ring, which no value that somebody stores can know.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::disk::row::{EntryRow, Freshness, Place};
use crate::xxh3::hash64;

/// Bytes of a record before its entries.
pub const RECORD: usize = 32;
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
pub fn seal(record: &mut [u8], life: u64, position: u64, count: usize, turned: u64) {
    let length = record.len() as u64;
    record[8..16].copy_from_slice(&position.to_le_bytes());
    record[16..24].copy_from_slice(&(length | (count as u64) << 32).to_le_bytes());
    record[24..32].copy_from_slice(&turned.to_le_bytes());
    let sum = hash64(&record[8..], life);
    record[..8].copy_from_slice(&sum.to_le_bytes());
}

/// A record of nothing, up to where the ring starts again.
pub fn filler(life: u64, position: u64, skipped: u64) -> [u8; RECORD] {
    let mut head = [0; RECORD];
    head[8..16].copy_from_slice(&position.to_le_bytes());
    head[16..24].copy_from_slice(&skipped.to_le_bytes());
    let sum = !xxh3_64_with_seed(&head[8..], life);
    head[..8].copy_from_slice(&sum.to_le_bytes());
    head
}

/// The bytes that a filler at this position skips.
pub fn skipped(head: &[u8], life: u64, position: u64) -> Option<u64> {
    let is_one =
        word(head, 8)? == position && word(head, 0)? == !xxh3_64_with_seed(head.get(8..RECORD)?, life);
    word(head, 16).filter(|_| is_one)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The length that the head of a record at this position says.
pub fn claimed(head: &[u8], position: u64) -> Option<u64> {
    let sizes = word(head, 16)?;
    let (length, count) = (sizes & u64::from(u32::MAX), sizes >> 32);
    let fits = length >= RECORD as u64 + count * ENTRY as u64 && length % 8 == 0;
    (word(head, 8)? == position && fits).then_some(length)
}

/// Whether a whole record is as it was written.
pub fn is_sound(record: &[u8], life: u64) -> bool {
    record.get(8..).is_some_and(|rest| word(record, 0) == Some(hash64(rest, life)))
}

/// What had been done when the record was added: see `Ring::turned`.
pub fn turned(record: &[u8]) -> u64 {
    word(record, 24).unwrap_or(u64::MAX)
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

/// Any bytes as a record, for the fuzz targets: refused, or read as what comes out when it is written again.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let mut record = bytes.to_vec();
    record.resize(padded(bytes.len().max(RECORD)), 0);
    let [life, position, turned] = [1, 2, 3].map(|at| word(&record, at * 8).unwrap_or(0));
    let _ = (is_sound(&record, life), skipped(&record, life, position));
    let _ = claimed(&record, position);
    seal(&mut record, life, position, bytes.len() % 4, turned);
    assert!(is_sound(&record, life) && !is_sound(&record, life ^ 1));
    for (_, pending) in entries(&record) {
        let mut again = vec![0; RECORD];
        put(&mut again, pending);
        assert!(again.len() <= record.len(), "more was read than there is");
        let read = entries(&again).next().map(|(_, pending)| format!("{pending:?}"));
        assert_eq!(read, Some(format!("{pending:?}")), "an entry was read as another one");
    }
}

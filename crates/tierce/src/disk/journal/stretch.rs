//! Records, added behind the last one and read one after the other.

use std::ops::Range;

use super::record::{self, Pending, RECORD};
use super::{Journal, Turn};
use crate::error::Result;

/// What there is to apply.
pub struct Stretch {
    /// Whole records, one after the other.
    bytes: Vec<u8>,
    /// Where in `bytes` each is, and its position.
    records: Vec<(Range<usize>, u64)>,
    /// Where the next one begins.
    pub end: u64,
    /// A record did not verify: it and what is behind it are lost.
    pub is_cut: bool,
}

impl Stretch {
    /// The entries in the order in which they were set, with their positions.
    pub fn entries(&self) -> impl Iterator<Item = (u64, Pending<'_>)> {
        let records = self.records.iter().map(|(range, at)| (&self.bytes[range.clone()], at));
        records
            .flat_map(|(record, at)| record::entries(record).map(move |(from, pending)| (at + from, pending)))
    }
}

impl Journal {
    /// Bytes of a record of sets, of each given the bytes of key and frame.
    pub fn length_of(sizes: impl Iterator<Item = usize>) -> u64 {
        record::length_of(sizes) as u64
    }

    /// Adds rows as one record; `make` makes them when nothing can fail any more. `None` where there is no room.
    pub fn append<'r, T>(
        &self,
        _turn: &Turn<'_>,
        sizes: impl Iterator<Item = usize>,
        make: impl FnOnce() -> (Vec<Pending<'r>>, T),
    ) -> Result<Option<T>> {
        let length = record::length_of(sizes) as u64;
        let Some(span) = self.ring.span() else { return Ok(None) };
        let straight = self.ring.straight(span.end);
        let skipped = if straight < length { straight } else { 0 };
        if span.end + skipped + length - span.start > self.ring.capacity {
            return Ok(None);
        }
        self.check_place()?;
        let life = self.life();
        let (rows, made) = make();
        if skipped >= RECORD as u64 {
            self.ring.write(span.end, &record::filler(life, span.end, skipped));
        }
        let at = span.end + skipped;
        let mut record = Vec::with_capacity(length as usize);
        record.resize(RECORD, 0);
        let mut places = Vec::with_capacity(rows.len());
        for pending in &rows {
            places.push((pending.row.id, at + record.len() as u64));
            record::put(&mut record, *pending);
        }
        record::seal(&mut record, life, at, rows.len(), self.turned());
        self.ring.write(at, &record);
        let end = at + record.len() as u64;
        self.ring.publish(end);
        self.know(&span, places, end);
        Ok(Some(made))
    }

    /// Adds the record at `at`, verified, to `into`, and gives where the next one is. `None` where it does not verify.
    pub(super) fn record(&self, at: u64, end: u64, into: &mut Vec<u8>) -> Option<u64> {
        let (life, whole) = (self.life(), self.ring.straight(at));
        let straight = whole.min(end - at);
        if whole < RECORD as u64 {
            return Some(at + whole);
        }
        if straight < RECORD as u64 {
            return None;
        }
        let start = into.len();
        self.ring.copy(at, RECORD as u64, into);
        if let Some(skipped) = record::skipped(&into[start..], life, at) {
            into.truncate(start);
            return (skipped == whole).then_some(at + skipped);
        }
        let claimed = record::claimed(&into[start..], at);
        if let Some(length) = claimed.filter(|length| *length <= straight.min(self.longest())) {
            self.ring.copy(at + RECORD as u64, length - RECORD as u64, into);
            if record::is_sound(&into[start..], life) {
                return Some(at + length);
            }
        }
        into.truncate(start);
        None
    }

    /// What is pending from `applied` to `end`, up to about `most` bytes. With the database's write lock, as only who has it
    /// gives places up.
    pub fn stretch(&self, applied: u64, end: u64, most: u64) -> Stretch {
        let mut stretch = self.walk(applied, end, most, u64::MAX);
        if stretch.is_cut {
            stretch.end = end; // what is behind may stand on what is lost
        }
        stretch
    }

    /// The sound records from `at` on, of those that stand on no more than `turned` transactions.
    pub(super) fn walk(&self, mut at: u64, end: u64, most: u64, turned: u64) -> Stretch {
        let mut stretch = Stretch { bytes: Vec::new(), records: Vec::new(), end: at, is_cut: false };
        while at < end && (stretch.bytes.len() as u64) < most {
            let from = stretch.bytes.len();
            let next = self.record(at, end, &mut stretch.bytes);
            let record = from..stretch.bytes.len();
            match next
                .filter(|_| record.is_empty() || record::turned(&stretch.bytes[record.clone()]) <= turned)
            {
                Some(next) => {
                    if !record.is_empty() {
                        stretch.records.push((record, at));
                    }
                    at = next;
                }
                None => {
                    stretch.is_cut = true;
                    break;
                }
            }
        }
        stretch.end = at;
        stretch
    }
}

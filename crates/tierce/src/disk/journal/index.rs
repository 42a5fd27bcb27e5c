//! Where the newest pending entry of each row is. Each handle has an index of its own, made of records that verify: one in
//! shared memory, a power cut or a flipped bit would turn against its readers.

use std::collections::HashMap;
use std::ops::Range;

use super::record::{self, ENTRY};
use super::{Found, Journal};
use crate::disk::lock;
use crate::disk::row::EntryRow;

#[derive(Debug, Default)]
pub(super) struct Index {
    life: u64,
    /// All before this was looked at.
    seen: u64,
    entries: HashMap<i64, u64>,
    /// Nothing before this is in `entries`.
    pruned: u64,
}

impl Journal {
    /// The newest pending entry of a row, with its position.
    pub fn find<T>(&self, id: i64, read: impl FnOnce(EntryRow<'_>, u64) -> T) -> Found<T> {
        let span = match self.ring.span().filter(|_| self.is_known()) {
            None => return Found::Damaged,
            Some(span) if span.is_empty() => return Found::Nothing,
            Some(span) => span,
        };
        let at = {
            let mut index = lock(&self.index);
            self.catch_up(&mut index, &span);
            index.entries.get(&id).copied()
        };
        let Some(at) = at.filter(|at| *at >= span.start) else {
            // What was added to a life that began meanwhile would not have verified.
            return if self.is_known() { Found::Nothing } else { Found::Damaged };
        };
        let mut bytes = Vec::new();
        let whole = self.copy_entry(at, &mut bytes);
        if self.ring.head().is_some_and(|head| head > at) {
            return Found::Nothing; // in the database by now
        }
        match record::entry(&bytes).filter(|pending| whole && pending.row.id == id) {
            Some(pending) => Found::Entry(read(pending.row, at)),
            None => Found::Damaged,
        }
    }

    fn copy_entry(&self, at: u64, bytes: &mut Vec<u8>) -> bool {
        let straight = self.ring.straight(at);
        if straight < ENTRY as u64 || !self.ring.copy(at, ENTRY as u64, bytes) {
            return false;
        }
        let Some(length) = record::entry_length(bytes).map(|length| length as u64) else { return false };
        let rest = length - ENTRY as u64;
        length <= straight.min(self.longest()) && self.ring.copy(at + ENTRY as u64, rest, bytes)
    }

    /// Adds what this handle wrote from `from` to `end` to what it knows, if it knows all before it.
    pub(super) fn know(&self, span: &Range<u64>, places: Vec<(i64, u64)>, end: u64) {
        let mut index = lock(&self.index);
        self.begin(&mut index);
        if index.seen == span.end || span.is_empty() {
            index.entries.extend(places);
            index.seen = end;
        }
        self.prune(&mut index, span.start);
    }

    fn begin(&self, index: &mut Index) {
        let life = self.life();
        if index.life != life {
            *index = Index { life, ..Index::default() };
        }
    }

    fn prune(&self, index: &mut Index, head: u64) {
        if head < index.pruned || head - index.pruned > self.ring.capacity / 8 {
            index.entries.retain(|_, at| *at >= head);
            index.pruned = head;
        }
    }

    /// Looks at the records that others have added.
    fn catch_up(&self, index: &mut Index, span: &Range<u64>) {
        self.begin(index);
        if index.seen > span.end && self.ring.span().is_some_and(|now| index.seen > now.end) {
            *index = Index { life: index.life, ..Index::default() }; // damage took records back
        }
        if index.seen >= span.end {
            return;
        }
        let mut at = index.seen.max(span.start);
        let mut bytes = Vec::new();
        while at < span.end {
            bytes.clear();
            match self.record(at, span.end, &mut bytes) {
                Some(next) => {
                    let entries = record::entries(&bytes);
                    index.entries.extend(entries.map(|(from, pending)| (pending.row.id, at + from)));
                    at = next;
                }
                None => {
                    // Given up meanwhile: what is behind is still to be seen. Or cut: whoever applies it tells.
                    at = self.ring.head().filter(|head| *head > at).unwrap_or(span.end);
                }
            }
        }
        index.seen = span.end;
        self.prune(index, span.start);
    }
}

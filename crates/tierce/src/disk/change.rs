//! Writes that depend on what is there, and those that change an entry where it is. Each looks inside the transaction
//! that changes, so that nobody comes between.

use super::engine::Engine;
use super::meta::Transaction;
use super::number::{LONGEST, Number};
use super::read::{Lookup, Meta};
use super::row::EntryRow;
use super::write::{Entering, Progress};
use crate::error::Result;
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};

impl Engine {
    /// The version of a key's live entry. A damaged one counts as none: a read would remove it.
    pub(super) fn version(&self, transaction: &Transaction<'_>, key: &Key<'_>) -> Result<Option<u64>> {
        Ok(match self.lookup(transaction.db, key, false, |_, _, _| Ok(()))? {
            Lookup::Miss | Lookup::Damaged(..) => None,
            Lookup::Inline((), meta) | Lookup::File(_, meta) => Some(meta.version),
        })
    }

    /// Gives a live entry another time to live. False where there is none.
    pub(super) fn expire(
        &self,
        transaction: &Transaction<'_>,
        key: &Key<'_>,
        digest: Digest,
        expires_at: Option<u64>,
    ) -> Result<bool> {
        let (header, meta) = match self.lookup(transaction.db, key, false, |header, _, _| Ok(header))? {
            Lookup::Miss | Lookup::Damaged(..) => return Ok(false),
            Lookup::Inline(header, meta) | Lookup::File(header, meta) => (header, meta),
        };
        let seal = seal(digest, &meta, expires_at, header);
        transaction.amend(meta.id, seal, expires_at, None)?;
        Ok(true)
    }

    /// Adds to the number that a key holds. Gives whether there was a live entry, and the sum.
    pub(super) fn increment(
        &self,
        transaction: &Transaction<'_>,
        (key, digest): (&Key<'_>, Digest),
        by: Number,
        expires_at: Option<u64>,
        progress: &mut Progress,
    ) -> Result<(bool, Number)> {
        let found = self.lookup(transaction.db, key, false, |header, meta, payload| {
            let decoded = if meta.size > LONGEST { None } else { Some(header.decode(payload)?) };
            Ok((header, decoded.and_then(|bytes| Number::read(header.kind, &bytes))))
        })?;
        let (old, held) = match found {
            Lookup::Miss | Lookup::Damaged(..) => (None, by.zero()),
            Lookup::Inline((header, Some(number)), meta) => (Some((header, meta)), number),
            Lookup::Inline((_, None), _) | Lookup::File(..) => return Err(by.none()),
        };
        let sum = held.plus(by)?;
        let payload = sum.to_bytes();
        let size = payload.len() as u64;
        // In place, also under the write id that it had: what else belongs to the entry is bound to that.
        let header = Header {
            kind: sum.kind(),
            codec: 0,
            raw_size: size,
            stored_size: size,
            checksum: 0,
            ..old.as_ref().map_or_else(|| self.fresh_header(), |(header, _)| *header)
        }
        .sealed(digest, &payload);
        let frame = [&header.to_bytes()[..], &payload].concat();
        match old {
            Some((_, meta)) => {
                let seal = seal(digest, &meta, meta.expires_at, header);
                transaction.amend(meta.id, seal, meta.expires_at, Some((&frame, size)))?;
                progress.brought.newest = meta.id;
                self.note(meta.id, 1);
            }
            None => {
                let entry = Entering { key, digest, header, frame: &frame, expires_at };
                self.put(transaction, &entry, self.now(), progress)?;
            }
        }
        Ok((old.is_some(), sum))
    }

    fn fresh_header(&self) -> Header {
        Header {
            kind: 0,
            codec: 0,
            in_file: false,
            raw_size: 0,
            stored_size: 0,
            write_id: self.next_write_id(),
            checksum: 0,
        }
    }
}

/// The seal of an entry whose time to live or frame changes.
fn seal(digest: Digest, meta: &Meta, expires: Option<u64>, header: Header) -> u64 {
    let row = EntryRow {
        id: meta.id,
        seal: 0,
        accessed: 0,
        hits: 0,
        created: meta.created_at,
        expires,
        key: &[],
        frame: &[],
    };
    row.expected_seal(digest, header.checksum)
}

const _: () = assert!(HEADER as u64 + LONGEST < 4096, "a number stays in its row");

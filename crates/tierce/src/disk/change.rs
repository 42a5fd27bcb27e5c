//! Writes that depend on what is there, and those that change an entry where it is. Each looks inside the transaction
//! that changes, so that nobody comes between.

use super::commit::{Entering, Progress};
use super::db::Holder;
use super::db::Transaction;
use super::engine::Engine;
use super::keeping::Keeping;
use super::number::{LONGEST, Number};
use super::read::{Lookup, Meta};
use super::ready::Times;
use super::row::{EntryRow, Freshness, Place};
use super::victims::Scene;
use crate::cipher::sealed_len;
use crate::error::Result;
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};

impl Engine {
    fn is_live(&self, meta: &Meta) -> bool {
        !meta.freshness.is_stale(self.now())
    }

    /// The version of a key's live entry. A damaged one counts as none: a read would remove it.
    pub(super) fn version(&self, transaction: &Transaction<'_>, key: &Key<'_>) -> Result<Option<u64>> {
        Ok(match self.lookup(transaction.db, &self.asked(key), false, |_, _, _| Ok(()))? {
            Lookup::Miss | Lookup::Damaged(..) => None,
            Lookup::File(header, _) if !self.blobs.has(header) => None,
            Lookup::Inline((), meta) | Lookup::File(_, meta) => self.is_live(&meta).then_some(meta.version),
        })
    }

    /// Adds to the number that a key holds. Gives whether there was a live entry, and the sum.
    pub(super) fn increment(
        &self,
        scene: Scene<'_>,
        (key, digest): (&Key<'_>, Digest),
        by: Number,
        times: Times,
        progress: &mut Progress,
    ) -> Result<(bool, Number)> {
        let transaction = scene.transaction;
        let found = self.lookup(transaction.db, &self.asked(key), false, |header, meta, payload| {
            let decoded = if meta.size > LONGEST { None } else { Some(header.decode(payload)?) };
            Ok((header, decoded.and_then(|bytes| Number::read(header.kind, &bytes))))
        })?;
        let (old, held) = match found {
            Lookup::Miss | Lookup::Damaged(..) => (None, by.zero()),
            Lookup::Inline(_, meta) | Lookup::File(_, meta) if !self.is_live(&meta) => (None, by.zero()),
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
            ..old.as_ref().map_or_else(|| self.fresh_header(), |(header, _)| *header)
        };
        let frame = [&[0; HEADER][..], &payload].concat();
        let (header, frame) = self.keeping.frame(header, digest, self.inline_max, frame)?;
        match old {
            Some((_, meta)) => {
                transaction.amend(meta.id, self.seal_of(digest, &meta, header), &frame, header)?;
                progress.brought.newest = meta.id;
                self.note(meta.id, 1);
            }
            None => {
                let entry = Entering { key, digest, header, frame: &frame, times, extras: None };
                self.put(scene, &entry, progress)?;
            }
        }
        Ok((old.is_some(), sum))
    }

    /// Of a write that has a new name, and nothing else yet.
    pub(super) fn fresh_header(&self) -> Header {
        Header {
            kind: 0,
            codec: 0,
            in_file: false,
            has_extras: false,
            encrypted: false,
            raw_size: 0,
            stored_size: 0,
            write_id: self.next_write_id(),
            checksum: 0,
        }
    }

    /// The seal of an entry whose frame changes.
    fn seal_of(&self, digest: Digest, meta: &Meta, header: Header) -> u64 {
        let row = EntryRow {
            id: meta.id,
            seal: 0,
            accessed: 0,
            hits: 0,
            created: meta.created_at,
            expires: meta.expires_at,
            freshness: meta.freshness,
            place: Place::default(),
            key: &[],
            frame: &[],
        };
        self.keeping.seal(&row, digest, header.checksum)
    }
}

/// New times for the row of a key, if there is one that is sound and not expired.
pub(super) fn renew(
    keeping: &Keeping,
    transaction: &Transaction<'_>,
    key: &Key<'_>,
    digest: Digest,
    times: Times,
    stale: bool,
    now: u64,
) -> Result<bool> {
    let renewed = transaction.find(digest.id(), |row| {
        let kept = if stale { !row.is_expired(now) } else { row.is_live(now) };
        let Header { checksum, has_extras, .. } = Header::parse(row.frame).ok()?;
        if !keeping.is_of(row.key, key) || !kept || row.seal != keeping.seal(&row, digest, checksum) {
            return None;
        }
        let freshness = Freshness { until: times.freshness.until, ..row.freshness };
        let mut renewed = EntryRow { key: &[], frame: &[], expires: times.expires, freshness, ..row };
        renewed.seal = keeping.seal(&renewed, digest, checksum);
        Some((renewed, has_extras))
    })?;
    let Some((renewed, has_extras)) = renewed.flatten() else { return Ok(false) };
    transaction.renew(&renewed)?;
    if has_extras {
        transaction.retime(Holder::of(&renewed))?;
    }
    Ok(true)
}

const _: () = assert!(HEADER as u64 + sealed_len(LONGEST) < 4096, "a number stays in its row");

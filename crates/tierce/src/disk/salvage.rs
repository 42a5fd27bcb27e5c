//! What survives when a damaged database is emptied: every row that still verifies.
//!
//! Ids are hashes, so pages cover even stretches of them. A stretch that cannot be read is halved until it is far
//! narrower than a page: one bad page costs its own rows and no others. The rows wait in a scratch database, so that
//! memory stays small, and go back in the transaction that makes the new one. Writers wait meanwhile: nothing that is
//! acknowledged is lost to the mending.

use super::blob::Blobs;
use super::db::Body;
use super::db::Db;
use super::db::Transaction;
use super::declared::MetaTable;
use super::keeping::Keeping;
use super::row::EntryRow;
use crate::error::{Code, Result};
use crate::frame::{HEADER, Header};

/// Stretches per page below which nothing is halved any more: where what cannot be read ends, and within it, where a page that is
/// sound covers one of them at least.
const PER_PAGE: (u64, u64) = (64, 4);
/// Unreadable stretches after which the rest is given up: a file that is all noise must not take forever.
const GIVE_UP: u32 = 20_000;

/// Rows on their way from a damaged database into the one that takes its place.
pub(super) struct Salvage {
    rows: Db,
    declared: Vec<MetaTable>,
}

impl Salvage {
    /// Copies what verifies. `None` when not even the first page can be read.
    pub fn take(damaged: &Db, blobs: &Blobs, keeping: &Keeping) -> Result<Option<Self>> {
        // A write that began before writers were told to wait is done once this begins.
        let _last_write_is_done = match damaged.begin() {
            Ok(transaction) => transaction,
            Err(why) if why.code() == Code::LockTimeout => return Err(why),
            Err(_) => return Ok(None),
        };
        let Ok(rows) = Db::scratch() else { return Ok(None) };
        // Where it cannot be read, those who declare it make it again, with its rows.
        let declared = damaged.declared().unwrap_or_default();
        let salvage = Self { rows, declared };
        walk(damaged, |row| {
            let Some(header) = sound(row, blobs, keeping) else { return true };
            // A tree out of order can hold an entry twice: the later one is the one that was acknowledged last.
            let age = |row: &EntryRow<'_>| (row.created, row.accessed);
            if salvage
                .rows
                .find(row.id, |known| age(&known) > age(row))
                .is_ok_and(|known| known == Some(true))
            {
                return true;
            }
            // What could no longer be invalidated by its tags is better lost.
            let body = header.has_extras.then(|| damaged.body(row.id).ok().flatten());
            let body = body.map(|body| body.filter(|body| body.open(header.write_id).is_some()));
            let Some(body) = body.map_or(Some(None), |body| body.map(Some)) else { return true };
            let stored = salvage.rows.insert_newest(row, header.raw_size, header.stored_size);
            let keep = |body: Body| salvage.rows.put_body(row.id, body.seal, &body.bytes);
            stored.and_then(|()| body.map_or(Ok(()), keep)).is_ok()
        });
        Ok(Some(salvage))
    }

    /// Puts the rows into the new database.
    pub fn put_back(&self, transaction: &Transaction<'_>) -> Result<()> {
        let mut outcome = Ok(());
        self.rows.range(i64::MIN, i64::MAX, |row| {
            outcome = self.restore(transaction, &row);
            outcome.is_ok()
        })?;
        outcome?;
        transaction.declare(&self.declared)
    }

    fn restore(&self, transaction: &Transaction<'_>, row: &EntryRow<'_>) -> Result<()> {
        let header = Header::parse(row.frame)?;
        let body = if header.has_extras { self.rows.body(row.id)? } else { None };
        transaction.restore(row, header)?;
        match body.as_ref().and_then(|body| Some((body, body.open(header.write_id)?))) {
            Some((body, extras)) => transaction.put_extras(row.id, header.write_id, &extras, &body.bytes),
            None => Ok(()),
        }
    }
}

/// What can be read of the rows, and what cannot.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Stretches of rows that can be read: the first id, and how many.
    pub runs: Vec<(i64, u64)>,
    /// Ids of which nobody can tell whether they have rows.
    lost: u128,
}

impl Walked {
    /// How many rows cannot be read: as many as in other stretches of this width, since ids are hashes. `None` where no row can be read.
    pub fn unreachable(&self) -> Option<u64> {
        let read: u64 = self.runs.iter().map(|(_, rows)| rows).sum();
        let reached = (1 << 64) - self.lost;
        match (self.lost, read) {
            (0, _) => Some(0),
            (_, 0) => None,
            // What was lost was a page, and no page is empty.
            _ => Some(((u128::from(read) * self.lost).div_ceil(reached.max(1)) as u64).max(1)),
        }
    }
}

/// Reads every stretch that can be read, until `keep` is false.
pub(super) fn walk(damaged: &Db, mut keep: impl FnMut(&EntryRow<'_>) -> bool) -> Walked {
    let width = |per_page| u64::MAX / damaged.pages().unwrap_or(1).max(1) / per_page;
    let mut walked = Walked::default();
    let all = vec![(i64::MIN, i64::MAX)];
    let Some(dead) = halve(damaged, all, width(PER_PAGE.1), &mut walked.runs, &mut keep) else {
        return walked;
    };
    // Rows are read upwards: more of them may be only where the next stretch can be read.
    let is_inside =
        |at: usize| dead.get(at + 1).is_some_and(|next| dead[at].1.checked_add(1) == Some(next.0));
    let (inside, ends): (Vec<_>, Vec<_>) = (0..dead.len()).partition(|at| is_inside(*at));
    let ends = ends.into_iter().rev().map(|at| dead[at]).collect();
    let rest = halve(damaged, ends, width(PER_PAGE.0), &mut walked.runs, &mut keep).unwrap_or_default();
    let lost = inside.into_iter().map(|at| dead[at]).chain(rest);
    walked.lost = lost.map(|(low, high)| u128::from(high.abs_diff(low)) + 1).sum();
    walked
}

/// Reads stretches, the last one first, and halves what cannot be read until it is that narrow: gives the rest in rising order. `None` where
/// `keep` was false.
fn halve(
    damaged: &Db,
    mut unread: Vec<(i64, i64)>,
    narrowest: u64,
    runs: &mut Vec<(i64, u64)>,
    keep: &mut impl FnMut(&EntryRow<'_>) -> bool,
) -> Option<Vec<(i64, i64)>> {
    let mut dead = Vec::new();
    let mut failures = 0;
    let mut room = true;
    while let Some((low, high)) = unread.pop() {
        let mut next = Some(low);
        let mut run: Option<(i64, u64)> = None;
        let outcome = damaged.range(low, high, |row| {
            room = keep(&row);
            next = row.id.checked_add(1);
            run = Some(run.map_or((row.id, 1), |(first, rows)| (first, rows + 1)));
            room
        });
        runs.extend(run);
        if !room {
            return None;
        }
        if let (Err(_), Some(next)) = (outcome, next.filter(|next| *next <= high)) {
            failures += 1;
            let width = high.abs_diff(next);
            if width > narrowest && failures < GIVE_UP {
                let middle = next.wrapping_add_unsigned(width / 2);
                unread.extend([(middle + 1, high), (next, middle)]);
            } else {
                dead.push((next, high));
            }
        }
    }
    Some(dead)
}

/// The header of a row that would be served. Of a value in a file only the length is looked at: reading it checks it.
fn sound(row: &EntryRow<'_>, blobs: &Blobs, keeping: &Keeping) -> Option<Header> {
    let digest = keeping.digest_of(row.key);
    let header = Header::parse(row.frame).ok()?;
    let sealed = digest.id() == row.id && row.seal == keeping.seal(row, digest, header.checksum);
    let whole = if header.in_file {
        row.frame.len() == HEADER && blobs.has(header)
    } else {
        header.verify(digest, &row.frame[HEADER..]).is_ok()
    };
    (sealed && whole).then_some(header)
}

//! The read path: a row by digest, then every check, then the value.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use super::access::Access;
use super::db::Db;
use super::engine::Engine;
use super::extras::Extras;
use super::journal::{Found, Journal};
use super::row::{EntryRow, Freshness};
use super::{Wait, epoch};
use crate::error::{Code, Error, Result};
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};

/// What is known of an entry beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// What the value is; the meaning of the number belongs to the writer.
    pub kind: u8,
    /// Number of the codec that it is stored with; [`codec_names`](crate::codec_names) has its name.
    pub codec: u8,
    /// Milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires_at: Option<u64>,
    /// When the value is due to be made anew.
    pub freshness: Freshness,
    /// Milliseconds since the Unix epoch, before this access.
    pub accessed_at: u64,
    /// Reads before this one.
    pub hits: u64,
    /// Bytes of the value.
    pub size: u64,
    /// Bytes that it takes when coded.
    pub stored_size: u64,
    /// Whether it carries tags, a description or metadata: [`Entry::extras`](super::Entry::extras).
    pub has_extras: bool,
    /// The row of the entry, for [`Cache::note`](super::Cache::note).
    pub id: i64,
    /// The key's slot in the epoch table.
    pub slot: u32,
    /// The slot's epoch before the entry was read.
    pub epoch: u32,
    /// Another one for each change of the entry: what [`Write::Check`](super::Write::Check) takes.
    pub version: u64,
    /// Of this write alone.
    pub(super) write_id: u64,
}

impl Meta {
    /// What the row says.
    fn of(row: &EntryRow<'_>, header: Header, slot: u32, epoch: u32) -> Self {
        Self {
            kind: header.kind,
            codec: header.codec,
            created_at: row.created,
            expires_at: row.expires,
            freshness: row.freshness,
            accessed_at: epoch::millis(row.accessed),
            hits: row.hits,
            size: header.raw_size,
            stored_size: header.stored_size,
            has_extras: header.has_extras,
            id: row.id,
            slot,
            epoch,
            version: row.seal,
            write_id: header.write_id,
        }
    }

    /// With accesses that are not written yet.
    pub(super) fn with(mut self, noted: Option<Access>) -> Self {
        if let Some(noted) = noted {
            self.accessed_at = self.accessed_at.max(epoch::millis(noted.tick));
            self.hits += u64::from(noted.hits);
        }
        self
    }
}

/// What the side tables have of an entry that was read.
pub(super) enum Beside {
    Found(Extras<'static>),
    /// The entry was replaced or removed since.
    Outdated,
    /// It was damaged, and is removed.
    Damaged,
}

/// A key that is looked up. Its epoch is from before the look, or an old value could be kept under a new epoch.
pub(super) struct Asked<'a> {
    key: &'a Key<'a>,
    digest: Digest,
    slot: u32,
    epoch: u32,
}

/// What a look at one key found.
pub(super) enum Lookup<T> {
    Miss,
    /// The value is in the row; `take` made `T` of it.
    Inline(T, Meta),
    /// The value is in a file.
    File(Header, Meta),
    /// The row with this seal does not verify.
    Damaged(u64, Error),
}

impl Engine {
    /// What a look at a key needs, as of now.
    pub fn asked<'a>(&self, key: &'a Key<'a>) -> Asked<'a> {
        let digest = self.keeping.digest(key);
        let slot = digest.slot(epoch::BITS);
        Asked { key, digest, slot, epoch: self.epochs.load(slot) }
    }

    /// Looks a key up. `take` gets the verified payload of a value that is in the row. A damaged entry is removed,
    /// reported, and is a miss. With `hold`, the snapshot stays for the next read.
    pub fn look<T>(
        &self,
        key: &Key<'_>,
        hold: bool,
        mut take: impl FnMut(Header, &Meta, &[u8]) -> Result<T>,
    ) -> Result<Lookup<T>> {
        let asked = self.asked(key);
        let pending = match self.journal()? {
            Some(journal) => {
                let is_gone = |id, at| {
                    let asked = self.read_holding(false, |db| self.is_called_off(db, journal, id, at));
                    match asked {
                        Err(why) if why.code() == Code::Corrupt => {
                            self.journaling.suspect(); // who moves it mends the database
                            Ok(true)
                        }
                        asked => asked,
                    }
                };
                self.pending(journal, &asked, hold, is_gone, &mut take)?
            }
            None => None,
        };
        let found = match pending {
            Some(found) => found,
            None => self.mending(hold, |db| {
                if hold {
                    db.hold(self.epochs.moves())?;
                }
                self.lookup(db, &asked, hold, &mut take)
            })?,
        };
        Ok(self.sound(key, found))
    }

    /// A look at what is on its way into the database. `None` where there is nothing of the key. `is_gone`: whether the entry of
    /// this row at this position [was called off](Engine::is_called_off).
    pub fn pending<T>(
        &self,
        journal: &Journal,
        asked: &Asked<'_>,
        hold: bool,
        is_gone: impl FnOnce(i64, u64) -> Result<bool>,
        take: impl FnOnce(Header, &Meta, &[u8]) -> Result<T>,
    ) -> Result<Option<Lookup<T>>> {
        let id = asked.digest.id();
        let look = |row: EntryRow<'_>, place| (place, self.check(row, asked, self.now(), take));
        Ok(match journal.find(id, look) {
            Found::Nothing => None,
            Found::Damaged => {
                self.journaling.suspect();
                Some(Lookup::Miss)
            }
            Found::Entry((place, found)) => {
                let is_gone = journal.may_be_called_off(place) && is_gone(id, place)?;
                Some(if is_gone { Lookup::Miss } else { self.noted(found, hold) })
            }
        })
    }

    /// As [`Engine::read`], but mends a database that cannot be read, at once: what is written to a damaged page is lost
    /// with it.
    pub fn read_mending<T>(&self, hold: bool, run: impl FnMut(&Db) -> Result<T>) -> Result<T> {
        self.reading(run, |run| self.mending(hold, run))
    }

    pub fn mending<T>(&self, hold: bool, mut run: impl FnMut(&Db) -> Result<T>) -> Result<T> {
        match self.read_holding(hold, &mut run) {
            Err(fault) if fault.code() == Code::Corrupt => {
                self.rebuild(&mut *self.primary(Wait::Yes)?, fault)?;
                self.read(run)
            }
            outcome => outcome,
        }
    }

    /// Removes what was found damaged. Not to be called with a connection in hand: a removal needs the one that writes.
    pub fn sound<T>(&self, key: &Key<'_>, found: Lookup<T>) -> Lookup<T> {
        match found {
            Lookup::Damaged(seal, fault) => {
                self.suspicion.store(true, Ordering::Relaxed);
                self.discard(self.keeping.digest(key).id(), seal, fault);
                Lookup::Miss
            }
            found => found,
        }
    }

    /// As [`Engine::look`], on `db` alone, and leaves damage where it is. With `hold`, the facts are those of the row: whoever notes
    /// the access knows those that are not written yet.
    pub fn lookup<T>(
        &self,
        db: &Db,
        asked: &Asked<'_>,
        hold: bool,
        take: impl FnOnce(Header, &Meta, &[u8]) -> Result<T>,
    ) -> Result<Lookup<T>> {
        let now = self.now();
        let found = db.find(asked.digest.id(), |row| self.check(row, asked, now, take))?;
        Ok(self.noted(found.unwrap_or(Lookup::Miss), hold))
    }

    /// With the accesses that are not written yet, unless who asked knows them.
    fn noted<T>(&self, found: Lookup<T>, known: bool) -> Lookup<T> {
        match found {
            Lookup::Inline(value, meta) if !known => {
                Lookup::Inline(value, meta.with(self.accesses.get(meta.id)))
            }
            Lookup::File(header, meta) if !known => {
                Lookup::File(header, meta.with(self.accesses.get(meta.id)))
            }
            found => found,
        }
    }

    fn check<T>(
        &self,
        row: EntryRow<'_>,
        asked: &Asked<'_>,
        now: u64,
        take: impl FnOnce(Header, &Meta, &[u8]) -> Result<T>,
    ) -> Lookup<T> {
        let Asked { key, digest, slot, epoch } = *asked;
        if !self.keeping.is_of(row.key, key) {
            return Lookup::Miss; // another key with this digest
        }
        let header = match Header::parse(row.frame) {
            Ok(header) => header,
            Err(newer) if newer.code() == Code::Format => return Lookup::Miss,
            Err(fault) => return Lookup::Damaged(row.seal, fault),
        };
        if row.seal != self.keeping.seal(&row, digest, header.checksum) {
            return Lookup::Damaged(row.seal, Error::new(Code::Corrupt, "the seal of an entry differs"));
        }
        if row.is_expired(now) {
            return Lookup::Miss;
        }
        let meta = Meta::of(&row, header, slot, epoch);
        if header.in_file {
            return Lookup::File(header, meta);
        }
        let payload = &row.frame[HEADER..];
        let opened = self.keeping.payload(header, digest, payload);
        match opened.and_then(|payload| take(header, &meta, &payload)) {
            Ok(value) => Lookup::Inline(value, meta),
            Err(fault) => Lookup::Damaged(row.seal, fault),
        }
    }

    /// The row's facts, with the accesses that are not written yet.
    pub fn meta_of(&self, row: &EntryRow<'_>, header: Header, slot: u32, epoch: u32) -> Meta {
        Meta::of(row, header, slot, epoch).with(self.accesses.get(row.id))
    }

    /// The value in a file. `None` when the entry was replaced meanwhile, so that the caller looks again.
    pub fn read_file(&self, key: &Key<'_>, header: Header) -> Result<Option<Vec<u8>>> {
        let digest = self.keeping.digest(key);
        let value = match self.blobs.read(header) {
            Ok(None) => return Ok(None),
            Ok(Some(payload)) => {
                let opened = match self.keeping.payload(header, digest, &payload)? {
                    Cow::Owned(opened) => Some(opened),
                    Cow::Borrowed(_) => None,
                };
                let coded = opened.unwrap_or(payload);
                // What is stored as it is needs no second copy.
                if header.codec == 0 { Ok(coded) } else { header.decode(&coded) }
            }
            Err(fault) => Err(fault),
        };
        value.map(Some)
    }

    /// What an entry carries beside its value. Without it the entry is damaged: it could not be invalidated by its tags.
    pub fn beside(&self, meta: &Meta) -> Result<Beside> {
        let look = |db: &Db| {
            let body = db.body(meta.id)?;
            let known = body
                .as_ref()
                .and_then(|body| self.keeping.open_extras(body, meta.id, meta.write_id))
                .map(Extras::into_owned);
            let same = |row: EntryRow<'_>| {
                let written = Header::parse(row.frame).map(|header| header.write_id);
                (written.ok() == Some(meta.write_id)).then_some(row.seal)
            };
            Ok((known, db.find(meta.id, same)?.flatten()))
        };
        match self.read_mending(false, |db| db.snapshot(|| look(db)))? {
            (Some(extras), _) => Ok(Beside::Found(extras)),
            (None, None) => Ok(Beside::Outdated),
            (None, Some(seal)) => {
                let fault = Error::new(Code::Corrupt, "the tags and metadata of an entry are damaged");
                self.discard(meta.id, seal, fault.at(&self.paths.database));
                Ok(Beside::Damaged)
            }
        }
    }

    /// Removes a damaged entry, when nobody is writing just now: the next read would try again.
    pub fn discard(&self, id: i64, seal: u64, fault: Error) {
        let removal = || -> Result<()> {
            let file = self.write(Wait::No, |transaction| {
                let file = transaction.discard(id, seal)?.and_then(|removed| removed.file);
                if !transaction.untraceable.take().is_empty() {
                    self.epochs.bump_all(); // the damage may be in the key
                }
                file.map_or(Ok(()), |file| transaction.condemn(file, self.owner.id()?))?;
                Ok(file)
            })?;
            self.unlink(file.as_slice());
            Ok(())
        };
        let _ = removal(); // the entry stays a miss either way
        self.report(fault);
    }

    /// Counts a read, and notes a hit. Gives what was noted before, and whether a batch of accesses is due.
    pub fn count(&self, hit: Option<&Meta>) -> (Option<Access>, bool) {
        match hit {
            Some(meta) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                self.note(meta.id, 1)
            }
            None => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                (None, false)
            }
        }
    }
}

//! Writing: every file of a batch is written before the first takes its name, so that what fails changes nothing. Only a kill
//! between two names leaves a part of a batch.

use super::super::extras::Extras;
use super::super::owner::random;
use super::super::ready::Times;
use super::super::write::{SetWrite, When, Write, Written};
use super::super::{Meta, Wait};
use super::folder::{Found, Whole};
use super::head::Head;
use super::shared::{Shared, place_of};
use super::{SidecarCache, unavailable};
use crate::error::{Code, Error, Result};
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};
use crate::snapshot::Record;

/// A write whose file is written.
enum Ready<'a> {
    Set { entry: Entering, when: When },
    Renew { key: &'a Key<'a>, times: Times, stale: bool },
    Delete { key: &'a Key<'a> },
    InvalidateTags { tags: &'a [&'a str] },
    Clear,
}

/// An entry that has its file and not its name.
pub(super) struct Entering {
    pub whole: Whole,
    pub digest: Digest,
    pub stamp: u64,
    pub length: u64,
}

impl SidecarCache {
    /// Applies writes in their order. Where one cannot be written, none is; but they are no transaction: others see them one
    /// after the other.
    ///
    /// # Errors
    /// As [`SidecarCache::set`]; [`Code::Unavailable`] for an increment and a check of a version; [`Code::LockTimeout`] where it
    /// must not wait: files take a thread that may.
    pub fn apply(&self, writes: &[Write<'_>], wait: Wait) -> Result<Vec<Written>> {
        if wait == Wait::No {
            return Err(Error::new(
                Code::LockTimeout,
                "files are written, which takes a thread that may wait",
            ));
        }
        let shared = &self.shared;
        let ready = writes.iter().map(|write| shared.prepare(write)).collect::<Result<Vec<_>>>()?;
        let written = ready.into_iter().map(|ready| shared.apply_one(ready)).collect();
        shared.bound.enforce(shared)?;
        written
    }
}

impl Shared {
    fn prepare<'a>(&self, write: &'a Write<'a>) -> Result<Ready<'a>> {
        Ok(match write {
            Write::Set(set) => {
                let SetWrite { key, value, kind, expires_at, freshness, codec, numbers, when, extras } = set;
                let codec = codec.unwrap_or(self.codec);
                let codec = numbers.map_or(codec, |numbers| codec.numbers(numbers));
                let mut frame = Vec::with_capacity(HEADER + value.len());
                frame.resize(HEADER, 0);
                let codec = codec.encode(value, &mut frame)?;
                let extras = extras.clone().map(Extras::into_owned).unwrap_or_default();
                if !extras.is_empty() {
                    extras.to_bytes()?; // as long as it may be with a database
                }
                let times = Times::new(*expires_at, *freshness);
                let head = Head {
                    key: self.keeping().text(key).into_owned(),
                    header: Self::header(*kind, codec, value.len(), &extras),
                    created: self.now(),
                    expires: times.expires,
                    freshness: times.freshness,
                    extras,
                };
                Ready::Set { entry: self.stage(head, frame, None)?, when: *when }
            }
            Write::Restore(record) => Ready::Set { entry: self.restored(record)?, when: When::Always },
            Write::Renew { key, expires_at, fresh_until, stale } => {
                let freshness = super::Freshness { until: *fresh_until, cost: 0 };
                Ready::Renew { key, times: Times::new(*expires_at, freshness), stale: *stale }
            }
            Write::Delete { key } => Ready::Delete { key },
            Write::InvalidateTags { tags } => Ready::InvalidateTags { tags },
            Write::Clear => Ready::Clear,
            Write::Increment { .. } => {
                return Err(unavailable(
                    "increment",
                    "get and set the number, where the last writer may win",
                ));
            }
            Write::Check { .. } => {
                return Err(unavailable(
                    "a transaction",
                    "use add, update and setMany, or a directory with locks",
                ));
            }
        })
    }

    pub fn header(kind: u8, codec: u8, size: usize, extras: &Extras<'_>) -> Header {
        Header {
            kind,
            codec,
            in_file: true,
            has_extras: !extras.is_empty(),
            encrypted: false,
            raw_size: size as u64,
            stored_size: 0,
            write_id: random(), // so that no two processes need to agree
            checksum: 0,
        }
    }

    /// Takes the value as it is coded. What it decodes to is checked when it is read.
    fn restored(&self, record: &Record) -> Result<Entering> {
        let extras = match &record.extras[..] {
            [] => Extras::default(),
            body => Extras::parse(body)?.into_owned(),
        };
        let times = Times::new(record.expires, record.freshness);
        let head = Head {
            key: self.keeping().text(&Key::from_text(&record.key[..])).into_owned(),
            header: Header { raw_size: record.size, ..Self::header(record.kind, record.codec, 0, &extras) },
            created: record.created,
            expires: times.expires,
            freshness: times.freshness,
            extras,
        };
        self.stage(head, [&[0; HEADER], &record.payload[..]].concat(), Some(record.accessed))
    }

    /// Whether it fits.
    pub fn admits(&self, record: &Record) -> Result<()> {
        self.bound.admit((record.key.len() + record.payload.len() + record.extras.len()) as u64)
    }

    /// Writes the file of an entry. The tick of a database is milliseconds times 4096.
    fn stage(&self, mut head: Head, frame: Vec<u8>, accessed: Option<i64>) -> Result<Entering> {
        let digest = self.digest_of(&head);
        let (header, frame) = self.keeping().frame_in(head.header, digest, frame)?;
        head.header = header;
        let payload = &frame[HEADER..];
        let bytes = head.to_bytes(self.keeping(), digest.id(), 0)?;
        let length = (bytes.bytes.len() + payload.len()) as u64;
        self.bound.admit(length)?;
        let mut staged = self.folder.stage()?;
        staged.write(&[&bytes.bytes, payload])?;
        let tick = self.tick();
        let used = accessed.map_or(tick, |at| (at.max(0) as u64 / 4096).saturating_mul(1_000_000).min(tick));
        let whole = self.folder.finish(staged, used)?;
        Ok(Entering { whole, digest, stamp: bytes.stamp, length })
    }

    fn apply_one(&self, ready: Ready<'_>) -> Result<Written> {
        let mut written = Written::default();
        match ready {
            Ready::Set { entry, when } => return self.enter(entry, when),
            Ready::Renew { key, times, stale } => return self.renew(key, times, stale),
            Ready::Delete { key } => {
                let id = self.digest(key).id();
                let _turn = self.turns.take(id);
                written.existed = self.folder_live(id, key)?;
                if let Some(length) = self.folder.remove(id)? {
                    self.bound.left(id, length);
                }
            }
            Ready::InvalidateTags { tags } => written.invalidated = self.untag(tags)?,
            Ready::Clear => {
                let mut fault = None;
                self.folder.walk(None, |id| {
                    match self.folder.remove(id) {
                        Ok(Some(_)) => written.invalidated += 1,
                        Ok(None) => {}
                        Err(why) => fault = Some(why),
                    }
                    Ok(true)
                })?;
                self.bound.cleared();
                fault.map_or(Ok(()), Err)?;
            }
        }
        Ok(written)
    }

    /// Whether a key has a live entry. A damaged one counts as none.
    fn folder_live(&self, id: i64, key: &Key<'_>) -> Result<bool> {
        Ok(match self.folder.open(id)? {
            Found::Read(opened) => self.is_of(&opened.head, key) && opened.head.is_live(self.now()),
            Found::Missing | Found::Bad(_) => false,
        })
    }

    /// Gives a written file its name, where `when` holds.
    pub fn enter(&self, entry: Entering, when: When) -> Result<Written> {
        let Entering { whole, digest, stamp, length } = entry;
        let id = digest.id();
        let _turn = self.turns.take(id);
        let mut outcome = self.outcome(id, stamp);
        let now = self.now();
        let is_live = || match self.folder.open(id) {
            Ok(Found::Read(opened)) => Ok(self.digest_of(&opened.head) == digest && opened.head.is_live(now)),
            Ok(_) => Ok(false),
            Err(why) => Err(why),
        };
        match when {
            When::Always => {}
            When::Present => {
                outcome.existed = is_live()?;
                if !outcome.existed {
                    return Ok(outcome);
                }
            }
            When::Absent => return self.enter_new(whole, (id, length), is_live, outcome),
        }
        let replaced = self.folder.length(id);
        self.folder.publish(whole, id)?;
        self.bound.entered(id, length, replaced);
        Ok(outcome)
    }

    /// What is there and not live is removed first; who comes between is live then.
    fn enter_new(
        &self,
        whole: Whole,
        (id, length): (i64, u64),
        is_live: impl Fn() -> Result<bool>,
        mut outcome: Written,
    ) -> Result<Written> {
        let now = self.now();
        if is_live()? {
            outcome.existed = true;
            return Ok(outcome);
        }
        let is_due = |found: &Found<super::head::Opened>| match found {
            Found::Read(opened) => !opened.head.is_live(now),
            Found::Bad(_) => true,
            Found::Missing => false,
        };
        if let Some(gone) = self.folder.take(id, is_due)? {
            self.bound.left(id, gone);
        }
        outcome.existed = !self.folder.publish_new(whole, id)?;
        if !outcome.existed {
            self.bound.entered(id, length, None);
        }
        Ok(outcome)
    }

    fn outcome(&self, id: i64, stamp: u64) -> Written {
        let (slot, epoch) = place_of(stamp);
        Written { id, slot, epoch: Some(epoch), ..Written::default() }
    }

    /// Writes the file again with another head. Whoever stored another value since the look is not overwritten but for the
    /// moment between a second look and the step.
    fn renew(&self, key: &Key<'_>, times: Times, stale: bool) -> Result<Written> {
        let id = self.digest(key).id();
        let _turn = self.turns.take(id);
        loop {
            let now = self.now();
            let Some(mut opened) = self.entry_in_turn(key)? else { return Ok(Written::default()) };
            let head = &opened.head;
            if head.is_expired(now) || !(stale || head.is_live(now)) {
                return Ok(Written::default());
            }
            let freshness = super::Freshness { until: times.freshness.until, ..head.freshness };
            let head = Head { expires: times.expires, freshness, ..head.clone() };
            let bytes = head.to_bytes(self.keeping(), id, 0)?;
            let used = self.bound.used(id).or_else(|| self.folder.used(id)).unwrap_or_default();
            let mut staged = self.folder.stage()?;
            staged.write(&[&bytes.bytes])?;
            let failed = |why| Error::io("write the file of an entry", staged.path(), why);
            std::io::Seek::seek(&mut opened.file, std::io::SeekFrom::Start(opened.start)).map_err(failed)?;
            let copied = std::io::copy(&mut opened.file, &mut &staged.file).map_err(failed)?;
            if copied != head.header.stored_size {
                return Err(Error::new(
                    Code::Unavailable,
                    "the file of an entry was cut while it was copied",
                ));
            }
            if !matches!(self.folder.stamp(id)?, Found::Read(stamp) if stamp == opened.stamp) {
                continue;
            }
            let replaced = self.folder.length(id);
            self.folder.publish(self.folder.finish(staged, used)?, id)?;
            self.bound.entered(id, bytes.bytes.len() as u64 + copied, replaced);
            return Ok(Written { existed: true, ..self.outcome(id, bytes.stamp) });
        }
    }

    /// As [`Shared::entry`], for who has the turn: what is damaged stays for the next read.
    fn entry_in_turn(&self, key: &Key<'_>) -> Result<Option<super::head::Opened>> {
        Ok(match self.folder.open(self.digest(key).id())? {
            Found::Read(opened) if self.is_of(&opened.head, key) => Some(opened),
            _ => None,
        })
    }

    /// Removes all that have one of these tags; gives how many were live.
    fn untag(&self, tags: &[&str]) -> Result<u64> {
        let now = self.now();
        let has = |head: &Head| head.extras.tags.iter().any(|tag| tags.contains(&&**tag));
        let mut live = 0;
        self.folder.walk(None, |id| {
            let Ok(Found::Read(opened)) = self.folder.open(id) else { return Ok(true) };
            if has(&opened.head)
                && self.removed(id, &|found| matches!(found, Found::Read(opened) if has(&opened.head)))
            {
                live += u64::from(opened.head.is_live(now));
            }
            Ok(true)
        })?;
        Ok(live)
    }
}

/// The tick of a database for a time of use.
pub(super) fn database_tick(meta: &Meta) -> i64 {
    i64::try_from(meta.accessed_at.saturating_mul(4096)).unwrap_or(i64::MAX)
}

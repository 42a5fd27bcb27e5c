//! The write path: encode outside every lock, announce and write files, then one transaction.

use std::borrow::Cow;

use super::Wait;
use super::bound::Brought;
use super::change::renew;
use super::db::{Db, Durability, LogEnd};
use super::engine::Engine;
use super::epoch;
use super::extras::Extras;
use super::lock;
use super::meta::Transaction;
use super::meta_rows::Holder;
use super::number::Number;
use super::restore::Past;
use super::row::{EntryRow, Freshness, Place, Removed, weight};
use super::side::Untagged;
use super::victims::Scene;
use crate::codec::{CodecChoice, Numbers};
use crate::error::{Code, Error, Result};
use crate::frame::size_on_disk;
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};
use crate::snapshot::Record;

/// One change to the cache.
#[derive(Clone, Debug)]
pub enum Write<'a> {
    /// Stores a value under a key.
    Set(SetWrite<'a>),
    /// Gives an entry new times and leaves its value alone. An expired one stays expired.
    Renew {
        /// The key.
        key: Key<'a>,
        /// Milliseconds since the Unix epoch; `None` never expires.
        expires_at: Option<u64>,
        /// As [`Freshness::until`].
        fresh_until: Option<u64>,
        /// Whether a stale entry is renewed too.
        stale: bool,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Key<'a>,
    },
    /// Removes every entry that has one of these tags.
    InvalidateTags {
        /// The tags.
        tags: Vec<&'a str>,
    },
    /// Removes everything.
    Clear,
    /// Adds to the number that a key holds; what has no live entry holds 0. An entry that is there keeps its time to live.
    Increment {
        /// The key.
        key: Key<'a>,
        /// What to add.
        by: Number,
        /// Of an entry that is made. Milliseconds since the Unix epoch; `None` never expires.
        expires_at: Option<u64>,
    },
    /// Changes nothing, and fails the whole batch with [`Code::Transaction`] where the key was written since it was read.
    Check {
        /// The key.
        key: Key<'a>,
        /// The [`Meta::version`](super::Meta::version) that was read; `None` where there was no live entry.
        version: Option<u64>,
    },
    /// Stores an entry as it was in another cache: with its times, its hits, and its value as it is coded.
    Restore(&'a Record),
}

impl<'a> Write<'a> {
    /// As [`SetWrite::new`].
    pub fn set(key: impl Into<Key<'a>>, value: &'a [u8]) -> Self {
        Self::Set(SetWrite::new(key, value))
    }
}

/// A value on its way to a key, and what it gets.
#[derive(Clone, Debug)]
pub struct SetWrite<'a> {
    /// The key.
    pub key: Key<'a>,
    /// The value's bytes.
    pub value: &'a [u8],
    /// What the value is, kept beside it.
    pub kind: u8,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires_at: Option<u64>,
    /// When the value is due to be made anew, where that is before it expires.
    pub freshness: Freshness,
    /// Overrides the cache's codec.
    pub codec: Option<CodecChoice>,
    /// Where the value is an array of numbers: what they are, so that they are coded as such.
    pub numbers: Option<Numbers>,
    /// Whether it depends on a live entry of the key.
    pub when: When,
    /// Tags, description and metadata.
    pub extras: Option<Extras<'a>>,
}

impl<'a> SetWrite<'a> {
    /// Bytes that never expire, whatever is there. For more: `SetWrite { kind, ..SetWrite::new(key, value) }`.
    pub fn new(key: impl Into<Key<'a>>, value: &'a [u8]) -> Self {
        Self {
            key: key.into(),
            value,
            kind: 0,
            expires_at: None,
            freshness: Freshness::default(),
            codec: None,
            numbers: None,
            when: When::Always,
            extras: None,
        }
    }
}

/// When a [`Write::Set`] stores its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Whatever is there.
    #[default]
    Always,
    /// Where the key has no live entry.
    Absent,
    /// Where the key has a live entry.
    Present,
}

/// Entries that one call on a thread that must not wait invalidates by their tags.
const FEW: usize = 256;

/// What became of one [`Write`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// Whether the key had a live entry before. A set that is not conditional does not look.
    pub existed: bool,
    /// The sum of an increment.
    pub number: Option<Number>,
    /// For tags: how many live entries were removed; for a clear, how many entries at all.
    pub invalidated: u64,
    /// The row of the key, for [`Cache::note`](super::Cache::note).
    pub id: i64,
    /// The key's slot in the epoch table.
    pub slot: u32,
    /// The slot's epoch as of this write, or `None` when another write came close to it: then the value may be stale
    /// already and must not be kept in a memory tier.
    pub epoch: Option<u32>,
}

/// Slots of the epoch table in rising order, each with its counter.
type Slots = Vec<(u32, u32)>;

/// The times of an entry, as its row can hold them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub expires: Option<u64>,
    pub freshness: Freshness,
    /// Of an entry that is not new.
    pub past: Option<Past>,
}

impl Times {
    pub fn new(expires: Option<u64>, freshness: Freshness) -> Self {
        let most = |at: u64| at.min(i64::MAX as u64); // the column's last millisecond
        let freshness = Freshness { until: freshness.until.map(most), ..freshness };
        Self { expires: expires.map(most), freshness, past: None }
    }
}

/// A write that is ready for its transaction.
pub(super) enum Ready<'a> {
    Set {
        key: Cow<'a, Key<'a>>,
        digest: Digest,
        header: Header,
        frame: Vec<u8>,
        times: Times,
        extras: Beside<'a>,
        when: When,
    },
    Renew {
        key: &'a Key<'a>,
        digest: Digest,
        times: Times,
        stale: bool,
    },
    Delete {
        key: &'a Key<'a>,
        digest: Digest,
    },
    InvalidateTags {
        tags: &'a [&'a str],
    },
    Clear,
    Increment {
        key: &'a Key<'a>,
        digest: Digest,
        by: Number,
        times: Times,
    },
    Check {
        key: &'a Key<'a>,
        version: Option<u64>,
    },
}

/// What a batch in its transaction has done so far.
#[derive(Default)]
pub(super) struct Progress {
    /// Rows that were replaced or removed.
    pub left: Vec<Removed>,
    pub brought: Brought,
    /// Files to unlink after the commit.
    pub condemned: Vec<u64>,
    /// Slots of entries that went with a tag, or that no tag would find any more.
    pub invalidated: Vec<u32>,
}

impl Ready<'_> {
    /// The digest of a key whose entry this write changed.
    fn changed(&self, outcome: &Written) -> Option<Digest> {
        match self {
            Ready::Set { digest, when, .. } => when.holds(outcome.existed).then_some(*digest),
            Ready::Delete { digest, .. } | Ready::Increment { digest, .. } => Some(*digest),
            Ready::Renew { digest, .. } => outcome.existed.then_some(*digest),
            Ready::InvalidateTags { .. } | Ready::Clear | Ready::Check { .. } => None,
        }
    }

    /// The header of a value that goes to a file, and its payload.
    fn file(&self) -> Option<(Header, &[u8])> {
        match self {
            Ready::Set { header, frame, .. } if header.in_file => Some((*header, &frame[HEADER..])),
            _ => None,
        }
    }
}

/// An entry on its way into the database.
pub(super) struct Entering<'a> {
    pub key: &'a Key<'a>,
    pub digest: Digest,
    pub header: Header,
    pub frame: &'a [u8],
    pub times: Times,
    pub extras: Option<(&'a Extras<'a>, &'a [u8])>,
}

/// What an entry carries beside its value, and its stored form.
pub(super) type Beside<'a> = Option<(Cow<'a, Extras<'a>>, Vec<u8>)>;

impl When {
    fn holds(self, existed: bool) -> bool {
        match self {
            When::Always => true,
            When::Absent => !existed,
            When::Present => existed,
        }
    }
}

fn only_removes(writes: &[Write<'_>]) -> bool {
    writes.iter().all(|write| matches!(write, Write::Delete { .. } | Write::Clear))
}

impl Engine {
    /// Applies writes in one transaction: all or none. Gives what became of each.
    pub fn apply(&self, writes: &[Write<'_>], wait: Wait) -> Result<Vec<Written>> {
        self.keep_log_short(wait)?;
        match self.apply_once(writes, wait) {
            // The announcements were in a database that was rebuilt. Names of files are never used twice.
            Err(why) if why.code() == Code::Transaction => self.apply_once(writes, wait),
            // What frees room must not fail for want of it.
            Err(why) if why.code() == Code::StorageFull && only_removes(writes) => {
                if wait == Wait::No {
                    let message = "the disk is full, and making room takes a thread that may wait";
                    return Err(Error::new(Code::LockTimeout, message).because(why));
                }
                self.apply_on_full_disk(writes).map_err(|_| why)
            }
            outcome => outcome,
        }
    }

    /// Removals for which there was no room. Where all is to go, the files of values go before their rows: a kill in
    /// between leaves misses.
    fn apply_on_full_disk(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let end = |how| self.copy_log(&*self.primary(Wait::Yes)?, Some(how));
        self.reserve.spend();
        let mut retried = self.apply_once(writes, Wait::Yes);
        if retried.is_err() && writes.iter().any(|write| matches!(write, Write::Clear)) {
            self.blobs.remove(&self.read(Db::entry_files)?);
            retried = self.apply_once(writes, Wait::Yes);
        }
        for how in [LogEnd::Restart, LogEnd::Cut] {
            if retried.is_err() {
                // Started again, the log has the room that it took; cut, the database may have it.
                retried = end(how).and_then(|_| self.apply_once(writes, Wait::Yes));
            }
        }
        self.reserve.keep();
        retried
    }

    fn apply_once(&self, writes: &[Write<'_>], wait: Wait) -> Result<Vec<Written>> {
        let ready = writes.iter().map(|write| self.prepare(write)).collect::<Result<Vec<_>>>()?;
        let has_files = ready.iter().any(|ready| ready.file().is_some());
        if has_files && wait == Wait::No {
            let why = "a value goes to a file, which takes a thread that may wait";
            return Err(Error::new(Code::LockTimeout, why).at(&self.paths.dir));
        }
        self.apply_ready(&ready, wait)
    }

    fn prepare<'a>(&self, write: &'a Write<'a>) -> Result<Ready<'a>> {
        let (key, value, kind, times, codec, extras, when) = match write {
            Write::Set(SetWrite {
                key,
                value,
                kind,
                expires_at,
                freshness,
                codec,
                numbers,
                extras,
                when,
            }) => {
                let codec = codec.unwrap_or(self.codec);
                let codec = numbers.map_or(codec, |numbers| codec.numbers(numbers));
                let extras = extras.as_ref().filter(|extras| !extras.is_empty());
                (key, *value, *kind, Times::new(*expires_at, *freshness), codec, extras, *when)
            }
            Write::Renew { key, expires_at, fresh_until, stale } => {
                let times = Times::new(*expires_at, Freshness { until: *fresh_until, cost: 0 });
                return Ok(Ready::Renew { key, digest: self.keeping.digest(key), times, stale: *stale });
            }
            Write::Delete { key } => return Ok(Ready::Delete { key, digest: self.keeping.digest(key) }),
            Write::InvalidateTags { tags } => return Ok(Ready::InvalidateTags { tags }),
            Write::Clear => return Ok(Ready::Clear),
            Write::Increment { key, by, expires_at } => {
                let times = Times::new(*expires_at, Freshness::default());
                return Ok(Ready::Increment { key, digest: self.keeping.digest(key), by: *by, times });
            }
            Write::Check { key, version } => return Ok(Ready::Check { key, version: *version }),
            Write::Restore(record) => return self.restored(record),
        };
        let extras = extras.map(|extras| Ok((Cow::Borrowed(extras), extras.to_bytes()?))).transpose()?;
        let mut frame = Vec::with_capacity(HEADER + value.len());
        frame.resize(HEADER, 0);
        let codec = codec.encode(value, &mut frame)?;
        let about = (kind, codec, value.len() as u64);
        self.framed(Cow::Borrowed(key), frame, about, (times, extras, when))
    }

    /// An entry whose value is in a file that is written already.
    pub fn streamed<'a>(
        &self,
        key: &'a Key<'a>,
        header: Header,
        frame: Vec<u8>,
        times: Times,
        extras: Option<&'a Extras<'a>>,
    ) -> Result<Ready<'a>> {
        let carried = extras.filter(|extras| !extras.is_empty());
        let extras = carried.map(|extras| Ok((Cow::Borrowed(extras), extras.to_bytes()?))).transpose()?;
        let digest = self.keeping.digest(key);
        let extras = self.keeping.extras(extras, digest, header.write_id)?;
        let when = When::Always;
        Ok(Ready::Set { key: Cow::Borrowed(key), digest, header, frame, times, extras, when })
    }

    /// Puts the header before a payload: kind, codec and size of the value are given.
    pub fn framed<'a>(
        &self,
        key: Cow<'a, Key<'a>>,
        frame: Vec<u8>,
        (kind, codec, raw_size): (u8, u8, u64),
        (times, extras, when): (Times, Beside<'a>, When),
    ) -> Result<Ready<'a>> {
        let digest = self.keeping.digest(&key);
        let header = Header { kind, codec, has_extras: extras.is_some(), raw_size, ..self.fresh_header() };
        let (header, frame) = self.keeping.frame(header, digest, self.inline_max, frame)?;
        let extras = self.keeping.extras(extras, digest, header.write_id)?;
        let beside = extras.as_ref().map_or(0, |(_, body)| body.len() as u64);
        self.bound.admit(weight(key.as_bytes().len() as u64 + header.stored_size + beside))?;
        Ok(Ready::Set { key, digest, header, frame, times, extras, when })
    }

    fn apply_ready(&self, ready: &[Ready<'_>], wait: Wait) -> Result<Vec<Written>> {
        let files: Vec<_> = ready.iter().filter_map(Ready::file).collect();
        self.write_files(&files)?;
        self.commit_ready(ready, wait)
    }

    /// One transaction, once all files are written.
    pub fn commit_ready(&self, ready: &[Ready<'_>], wait: Wait) -> Result<Vec<Written>> {
        let files = ready.iter().filter_map(Ready::file);
        let applied = self.write(wait, |transaction| self.apply_in(transaction, ready, wait));
        let (mut written, condemned, before) = applied.inspect_err(|_| {
            self.unlink(&files.map(|(header, _)| header.write_id).collect::<Vec<_>>());
        })?;
        self.publish(ready, &mut written, before);
        self.unlink(&condemned);
        Ok(written)
    }

    /// Announces files in a transaction of their own, then writes them.
    fn write_files(&self, files: &[(Header, &[u8])]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let owner = self.owner.id()?;
        self.write(Wait::Yes, |transaction| {
            files.iter().try_for_each(|(header, _)| {
                transaction.announce(header.write_id, size_on_disk(header.stored_size), owner)
            })
        })?;
        let sync = self.durability == Durability::Power;
        let mut written = Vec::new();
        for (header, payload) in files {
            written.push(header.write_id);
            if let Err(why) = self.blobs.write(*header, payload, sync) {
                self.unlink(&written);
                return Err(why);
            }
        }
        Ok(())
    }

    /// All rows of a batch. Gives the outcomes, the files to unlink, and the epochs just before the commit.
    fn apply_in(
        &self,
        transaction: &Transaction<'_>,
        ready: &[Ready<'_>],
        wait: Wait,
    ) -> Result<(Vec<Written>, Vec<u64>, Slots)> {
        let now = self.now();
        let unlinked = lock(&self.unlinked).clone();
        transaction.forget(&unlinked)?;
        let mut progress = Progress::default();
        let scene = Scene::new(transaction, &self.accesses, &self.epochs, now, wait);
        let mut written = Vec::with_capacity(ready.len());
        for write in ready {
            written.push(self.apply_one(scene, write, &mut progress)?);
        }
        let Progress { mut left, brought, mut condemned, mut invalidated } = progress;
        left.extend(self.bound.enforce(scene, brought)?);
        let untraceable = transaction.untraceable.take();
        invalidated.extend(untraceable.iter().map(|key| self.keeping.digest_of(key).slot(epoch::BITS)));
        for file in left.iter().filter_map(|removed| removed.file) {
            transaction.condemn(file, self.owner.id()?)?;
            condemned.push(file);
        }
        lock(&self.unlinked).retain(|file| !unlinked.contains(file));
        let announced = self.announce_epochs(ready, &written, &invalidated);
        Ok((written, condemned, announced))
    }

    fn apply_one(&self, scene: Scene<'_>, write: &Ready<'_>, progress: &mut Progress) -> Result<Written> {
        let mut outcome = Written::default();
        let Scene { transaction, now, wait, .. } = scene;
        match write {
            Ready::Set { key, digest, header, frame, times, extras, when } => {
                outcome.existed = *when != When::Always && self.version(transaction, key)?.is_some();
                if when.holds(outcome.existed) {
                    let extras = extras.as_ref().map(|(extras, body)| (&**extras, &body[..]));
                    let entry =
                        Entering { key, digest: *digest, header: *header, frame, times: *times, extras };
                    self.put(scene, &entry, progress)?;
                } else if header.in_file {
                    progress.condemned.push(header.write_id); // announced, and adopted by no entry
                }
            }
            Ready::Delete { key, digest } => {
                let removed = transaction.delete(digest.id(), &self.keeping.stored_key(key)?, now)?;
                outcome.existed = removed.is_some_and(|(_, live)| live);
                if let Some((removed, _)) = removed {
                    self.bound.removed(scene, &removed)?;
                    progress.left.push(removed);
                }
            }
            Ready::InvalidateTags { tags } => {
                let untagged = self.untag(transaction, tags, now, wait)?;
                outcome.invalidated = untagged.iter().filter(|untagged| untagged.was_live).count() as u64;
                let slots =
                    untagged.iter().map(|untagged| self.keeping.digest_of(&untagged.key).slot(epoch::BITS));
                progress.invalidated.extend(slots);
                for Untagged { removed, .. } in untagged {
                    self.bound.removed(scene, &removed)?;
                    progress.left.push(removed);
                }
            }
            Ready::Clear => {
                let (files, gone) = transaction.clear(self.owner.id()?)?;
                outcome.invalidated = gone;
                progress.condemned.extend(files);
                self.bound.cleared(scene);
            }
            Ready::Renew { key, digest, times, stale } => {
                outcome.existed = renew(&self.keeping, transaction, key, *digest, *times, *stale, now)?;
            }
            Ready::Increment { key, digest, by, times } => {
                let (existed, sum) = self.increment(scene, (key, *digest), *by, *times, progress)?;
                (outcome.existed, outcome.number) = (existed, Some(sum));
            }
            Ready::Check { key, version } => {
                let found = self.version(transaction, key)?;
                if found != *version {
                    let why = "a key that the transaction read was written since: try again";
                    return Err(Error::new(Code::Transaction, why));
                }
                outcome.existed = found.is_some();
            }
        }
        Ok(outcome)
    }

    /// Removes all that have one of these tags.
    fn untag(
        &self,
        transaction: &Transaction<'_>,
        tags: &[&str],
        now: u64,
        wait: Wait,
    ) -> Result<Vec<Untagged>> {
        let mut untagged = Vec::new();
        for tag in tags {
            let tag = &*self.keeping.tag(tag);
            let ids = transaction.tagged(tag)?;
            if wait == Wait::No && ids.len() > FEW {
                let why = "many entries have this tag, which takes a thread that may wait";
                return Err(Error::new(Code::LockTimeout, why));
            }
            for id in ids {
                untagged.extend(transaction.untag(tag, id, now)?);
                self.accesses.forget(id);
            }
        }
        Ok(untagged)
    }

    /// Stores an entry in the place of any other of its key, and makes room for it where there are too many.
    pub(super) fn put(&self, scene: Scene<'_>, entry: &Entering<'_>, progress: &mut Progress) -> Result<()> {
        let Scene { transaction, now, .. } = scene;
        let Entering { key, digest, header, frame, times, extras } = *entry;
        let tick = self.epochs.tick(now);
        let past = times.past.unwrap_or(Past { created: now, accessed: tick, hits: 0 });
        let stored_key = self.keeping.stored_key(key)?;
        let mut row = EntryRow {
            id: digest.id(),
            seal: 0,
            accessed: past.accessed.min(tick),
            hits: past.hits,
            created: past.created,
            expires: times.expires,
            freshness: times.freshness,
            place: Place::default(),
            key: &stored_key,
            frame: if header.in_file { &frame[..HEADER] } else { frame },
        };
        let noted = self.accesses.take(row.id).map_or(0, |noted| i64::from(noted.hits)); // its predecessor's
        row.seal = self.keeping.seal(&row, digest, header.checksum);
        let (mut standing, old) = transaction.put(&mut row, header, noted, now)?;
        if header.in_file {
            transaction.adopt(header.write_id, size_on_disk(header.stored_size))?;
        }
        let replaced = old.map(|(_, removed)| removed);
        if let Some((extras, body)) = extras {
            transaction.put_extras(row.id, header.write_id, extras, body)?;
            for expired in transaction.put_meta(&self.declared, Holder::of(&row), &extras.meta, now)? {
                self.bound.removed(scene, &expired)?;
                progress.left.push(expired);
            }
        }
        let beside = extras.map_or(0, |(_, body)| body.len());
        let row_weight = weight((row.key.len() + row.frame.len() + beside) as u64);
        let brought = &mut progress.brought;
        brought.newest = row.id;
        let in_file = if header.in_file { header.stored_size } else { 0 };
        brought.written += row_weight + in_file.max(frame.len() as u64);
        brought.row_growth += row_weight as i64 - replaced.map_or(0, |old| weight(old.bytes) as i64);
        progress.left.extend(replaced);
        let expired = old.filter(|(old, _)| old.is_expired(now));
        if let Some((_, removed)) = expired {
            self.bound.removed(scene, &removed)?; // its place is not passed on
        }
        let scene = Scene { newest: row.id, ..scene };
        let predecessor = replaced.filter(|_| expired.is_none());
        progress.left.extend(self.bound.entered(scene, &mut standing, predecessor)?);
        Ok(())
    }

    /// Before the commit: moves the epochs on, so that a kill between the commit and [`Engine::publish`] leaves no
    /// memory tier with what was replaced. Gives where they are.
    fn announce_epochs(&self, ready: &[Ready<'_>], written: &[Written], invalidated: &[u32]) -> Slots {
        if ready.iter().any(|write| matches!(write, Ready::Clear)) {
            self.epochs.bump_all();
        }
        let changed = ready.iter().zip(written).filter_map(|(write, outcome)| write.changed(outcome));
        let known = changed.map(|digest| digest.slot(epoch::BITS));
        let mut slots: Vec<u32> = known.chain(invalidated.iter().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        let announced = slots.into_iter().map(|slot| (slot, self.epochs.bump(slot))).collect();
        // What was invalidated may have been set by this batch: one step more than `publish` expects keeps such a value
        // out of every memory tier.
        for slot in invalidated {
            self.epochs.bump(*slot);
        }
        announced
    }

    /// After the commit: moves the epochs on, so that no memory tier keeps what it read before it.
    fn publish(&self, ready: &[Ready<'_>], written: &mut [Written], announced: Slots) {
        if ready.iter().any(|write| matches!(write, Ready::Clear)) {
            self.accesses.clear();
            self.epochs.bump_all();
            return;
        }
        // One step is ours. More means that another write of this slot was published around this one.
        let moved: Vec<(u32, Option<u32>)> = announced
            .into_iter()
            .map(|(slot, before)| {
                (slot, Some(self.epochs.bump(slot)).filter(|now| *now == before.wrapping_add(1)))
            })
            .collect();
        for (write, outcome) in ready.iter().zip(written) {
            let Some(digest) = write.changed(outcome) else { continue };
            outcome.id = digest.id();
            outcome.slot = digest.slot(epoch::BITS);
            let found = moved.binary_search_by_key(&outcome.slot, |(slot, _)| *slot);
            outcome.epoch = found.ok().and_then(|at| moved[at].1);
        }
    }

    /// Unlinks files that this owner answers for; the next transaction forgets those that are gone.
    pub fn unlink(&self, files: &[u64]) {
        if !files.is_empty() {
            lock(&self.unlinked).extend(self.blobs.remove(files));
        }
    }
}

//! One transaction of writes that are ready: their files before it, their rows in it, what they replaced behind it.

use super::Wait;
use super::announce::Slots;
use super::bound::Brought;
use super::change::renew;
use super::db::Holder;
use super::db::Transaction;
use super::db::Untagged;
use super::durability::Durability;
use super::engine::Engine;
use super::epoch;
use super::extras::Extras;
use super::ready::{Ready, Times};
use super::restore::Past;
use super::row::{EntryRow, Place, Removed, weight};
use super::transact::Alone;
use super::victims::Scene;
use super::write::{When, Written};
use super::{lock, not_run};
use crate::error::{Code, Error, Result};
use crate::frame::size_on_disk;
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};

/// Entries that one call on a thread that must not wait invalidates by their tags.
const FEW: usize = 256;

/// Writes from which on a batch may change many pages.
const MANY: usize = 1024;

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

/// An entry on its way into the database.
pub(super) struct Entering<'a> {
    pub key: &'a Key<'a>,
    pub digest: Digest,
    pub header: Header,
    pub frame: &'a [u8],
    pub times: Times,
    pub extras: Option<(&'a Extras<'a>, &'a [u8])>,
}

impl Engine {
    /// One transaction, once all files are written.
    pub fn commit_ready(&self, ready: &[Ready<'_>], wait: Wait, alone: Alone) -> Result<Vec<Written>> {
        let files = ready.iter().filter_map(Ready::file);
        let apply = |transaction: &Transaction<'_>| self.apply_in(transaction, ready, wait, alone);
        let applied =
            if alone == Alone::Yes { self.write(wait, apply) } else { self.write_as(wait, alone, apply) };
        let (mut written, condemned, before) = applied.inspect_err(|_| {
            self.unlink(&files.map(|(header, _)| header.write_id).collect::<Vec<_>>());
        })?;
        self.publish(ready, &mut written, &before);
        self.unlink(&condemned);
        Ok(written)
    }

    /// Announces files in a transaction of their own, then writes them.
    pub fn write_files(&self, files: &[(Header, &[u8])]) -> Result<()> {
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
            let write = || {
                let _shared = self.reserve.share();
                self.blobs.write(*header, payload, sync)
            };
            let outcome = match write() {
                Err(why) if why.code() == Code::StorageFull && self.make_room(Wait::Yes)? => write(),
                outcome => outcome,
            };
            if let Err(why) = outcome {
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
        alone: Alone,
    ) -> Result<(Vec<Written>, Vec<u64>, Slots)> {
        let now = self.now();
        self.forget_unlinked(transaction)?;
        // On a full disk, the room for the log is given up at the end alone.
        if alone == Alone::Yes && (ready.len() >= MANY || ready.iter().any(Ready::is_later)) {
            transaction.spill()?;
        }
        let mut progress = Progress::default();
        let scene = Scene::new(transaction, &self.accesses, &self.epochs, now, wait);
        let mut written = Vec::with_capacity(ready.len());
        if ready.len() > 1 {
            transaction.defer_unique();
        }
        for write in ready {
            let prepared;
            let write = match write {
                Ready::Later { write, .. } => {
                    prepared = self.prepare(write)?;
                    &prepared
                }
                write => write,
            };
            let mut outcome = self.apply_one(scene, write, &mut progress)?;
            if let (Ready::Delete { key, digest }, Alone::Beside) = (write, alone) {
                let was_pending = self.call_off(transaction, key, *digest, now)?;
                outcome.existed = was_pending.unwrap_or(outcome.existed);
            }
            written.push(outcome);
        }
        transaction.settle_unique()?;
        let mut invalidated = std::mem::take(&mut progress.invalidated);
        let (condemned, untraced) = self.leave(scene, progress)?;
        invalidated.extend(untraced);
        let announced = self.announce_epochs(ready, &written, &invalidated);
        Ok((written, condemned, announced))
    }

    /// At the end of a batch: makes room, and condemns the files of what left. Gives those to unlink after the commit, and the slots
    /// of victims that no tag would find any more.
    pub fn leave(&self, scene: Scene<'_>, progress: Progress) -> Result<(Vec<u64>, Vec<u32>)> {
        let Progress { mut left, brought, mut condemned, .. } = progress;
        left.extend(self.bound.enforce(scene, brought)?);
        for file in left.iter().filter_map(|removed| removed.file) {
            scene.transaction.condemn(file, self.owner.id()?)?;
            condemned.push(file);
        }
        let untraceable = scene.transaction.untraceable.take();
        let slots = untraceable.iter().map(|key| self.keeping.digest_of(key).slot(epoch::BITS));
        Ok((condemned, slots.collect()))
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
            Ready::Later { .. } => return Err(not_run()), // was prepared
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
        let now = scene.now;
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
        self.place(scene, row, header, noted, extras, progress)
    }

    /// As [`Engine::put`], with the row as it is to be, and the uses of its predecessor that are not written.
    pub(super) fn place(
        &self,
        scene: Scene<'_>,
        mut row: EntryRow<'_>,
        header: Header,
        noted: i64,
        extras: Option<(&Extras<'_>, &[u8])>,
        progress: &mut Progress,
    ) -> Result<()> {
        let Scene { transaction, now, .. } = scene;
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
        brought.written += row_weight + in_file.max(row.frame.len() as u64);
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

    /// Takes files that are gone off the database's list.
    pub fn forget_unlinked(&self, transaction: &Transaction<'_>) -> Result<()> {
        let unlinked = lock(&self.unlinked).clone();
        transaction.forget(&unlinked)?;
        lock(&self.unlinked).retain(|file| !unlinked.contains(file));
        Ok(())
    }

    /// Unlinks files that this owner answers for; the next transaction forgets those that are gone.
    pub fn unlink(&self, files: &[u64]) {
        if !files.is_empty() {
            lock(&self.unlinked).extend(self.blobs.remove(files));
        }
    }
}

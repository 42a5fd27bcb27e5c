//! The write path: encode outside every lock, then one record of the journal, or files and one transaction.

use std::time::Duration;

use super::Wait;
use super::engine::Engine;
use super::extras::Extras;
use super::log::PATIENCE;
use super::number::Number;
use super::ready::Ready;
use super::row::Freshness;
use super::transact::Alone;
use crate::codec::{CodecChoice, Numbers};
use crate::error::{Code, Error, Result};
use crate::key::Key;
use crate::snapshot::Record;

/// How often a removal tries again on a full disk, and the pause that grows by itself with each: another process may have taken the room for
/// the file of a value, which goes again, as it cannot be stored.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

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

/// Bytes of encoded values of one batch that are in memory at a time, of those for files and of all others.
const HELD: u64 = 4 << 20;
/// What a value may take more when it is stored: its seal.
const SEALED: usize = 4096;

/// The files of values.
fn names(ready: &[Ready<'_>]) -> Vec<u64> {
    ready.iter().filter_map(Ready::file).map(|(header, _)| header.write_id).collect()
}

fn only_removes(writes: &[Write<'_>]) -> bool {
    writes
        .iter()
        .all(|write| matches!(write, Write::Delete { .. } | Write::InvalidateTags { .. } | Write::Clear))
}

impl Engine {
    /// Applies writes in one transaction: all or none. Gives what became of each.
    pub fn apply(&self, writes: &[Write<'_>], wait: Wait) -> Result<Vec<Written>> {
        let is_stuck = wait == Wait::Yes && self.journaling.is_stuck() && only_removes(writes);
        let applied = if is_stuck {
            self.apply_on_full_disk(writes, self.lock_timeout) // another try to move what is pending would take the room that there is
        } else {
            self.apply_once(writes, wait, Alone::Yes)
        };
        match applied {
            // The announcements were in a database that was rebuilt. Names of files are never used twice.
            Err(why) if why.code() == Code::Transaction => self.apply_once(writes, wait, Alone::Yes),
            // What frees room must not fail for want of it.
            Err(why) if why.code() == Code::StorageFull && only_removes(writes) => {
                if wait == Wait::No {
                    let message = "the disk is full, and making room takes a thread that may wait";
                    return Err(Error::new(Code::LockTimeout, message).because(why));
                }
                let mut patience = self.lock_timeout;
                for tried in 1..TRIES {
                    match self.apply_on_full_disk(writes, patience) {
                        Err(last) if last.code() == Code::StorageFull => patience = PATIENCE,
                        outcome => return outcome,
                    }
                    std::thread::sleep(PAUSE * tried);
                }
                self.apply_on_full_disk(writes, patience).map_err(|last| why.because(last))
            }
            outcome => outcome,
        }
    }

    pub fn apply_once(&self, writes: &[Write<'_>], wait: Wait, alone: Alone) -> Result<Vec<Written>> {
        let mut ready = Vec::with_capacity(writes.len());
        let mut in_files = 0; // of `ready`, those before this are in their files, or have none
        if let Err(why) = self.make_ready(writes, wait, &mut ready, &mut in_files) {
            self.unlink(&names(&ready[..in_files]));
            return Err(why);
        }
        if let Some(written) = self.append(&ready, wait)? {
            return Ok(written);
        }
        let room = if alone == Alone::Yes { self.keep_log_short(wait) } else { Ok(()) };
        let written = room.and_then(|()| self.write_out(&mut ready[in_files..], wait));
        if let Err(why) = written {
            self.unlink(&names(&ready[..in_files]));
            return Err(why);
        }
        self.commit_ready(&ready, wait, alone)
    }

    /// Encodes writes. Of a large batch, values that go to files are written on the way, and those that stay in rows are left to their
    /// transaction.
    fn make_ready<'w>(
        &self,
        writes: &'w [Write<'w>],
        wait: Wait,
        ready: &mut Vec<Ready<'w>>,
        in_files: &mut usize,
    ) -> Result<()> {
        let (mut of_files, mut of_rows) = (0, 0);
        for write in writes {
            let next = match write {
                Write::Set(set) if of_rows >= HELD && set.value.len() + SEALED <= self.inline_max => {
                    Ready::Later { write, digest: self.keeping.digest(&set.key), when: set.when }
                }
                write => self.prepare(write)?,
            };
            let held = next.held();
            (of_files, of_rows) = (of_files + held.0, of_rows + held.1);
            ready.push(next);
            if of_files >= HELD && wait == Wait::Yes {
                self.write_out(&mut ready[*in_files..], wait)?;
                (*in_files, of_files) = (ready.len(), 0);
            }
        }
        Ok(())
    }

    /// Writes values into their files.
    fn write_out(&self, ready: &mut [Ready<'_>], wait: Wait) -> Result<()> {
        let files: Vec<_> = ready.iter().filter_map(Ready::file).collect();
        if !files.is_empty() && wait == Wait::No {
            let why = "a value goes to a file, which takes a thread that may wait";
            return Err(Error::new(Code::LockTimeout, why).at(&self.paths.dir));
        }
        self.write_files(&files)?;
        ready.iter_mut().for_each(Ready::was_written);
        Ok(())
    }
}

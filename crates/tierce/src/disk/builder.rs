//! How a cache is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::declared::MetaTable;
use super::durability::Durability;
use super::engine::Engine;
use super::metadata::{self, Kind, Metadata};
use super::open::Paths;
use super::options::Options;
use super::rules;
use super::sidecar::SidecarCache;
use crate::cipher::EncryptionKey;
use crate::clock::Clock;
use crate::codec::CodecChoice;
use crate::error::{Code, Error, Result};
use crate::policy::PolicyKind;

/// Options of a [`Cache`]; [`Builder::open`] opens it.
#[derive(Clone, Default)]
#[must_use]
pub struct Builder(Options);

impl Cache {
    /// Options, then [`Builder::open`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens a directory with the options as they are by default: nothing bounds it and nothing expires.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(dir)
    }
}

impl Builder {
    /// Bytes that the directory may use: pages that hold something and value files rounded to blocks. Entries are
    /// evicted in the order of the policy. No bound by default; at least 1 MiB.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.0.max_size = Some(bytes);
        self
    }

    /// The most entries that are kept. No bound by default. After each batch of writes there are no more than these, and
    /// those that the policy lets go have gone.
    pub fn max(mut self, entries: u64) -> Self {
        self.0.max = Some(entries);
        self
    }

    /// Which entries are evicted first: [`PolicyKind::Lru`] by default; `lfu`, `fifo`, `lifo`, `mru`, `sieve` and
    /// `s3-fifo` too. It is this handle's: what all of them need is kept in the directory, so that it may be another one
    /// each time the directory is opened.
    pub fn policy(mut self, policy: PolicyKind) -> Self {
        self.0.policy = policy;
        self
    }

    /// The time to live of entries that are set without one of their own. No expiry by default.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.0.ttl = Some(ttl);
        self
    }

    /// How values are compressed. [`CodecChoice::AUTO`] by default.
    pub fn codec(mut self, codec: CodecChoice) -> Self {
        self.0.codec = codec;
        self
    }

    /// When a write counts as done. [`Durability::Process`] by default. There is no `relaxed` here, which the Node package has:
    /// it acknowledges a set that is only queued, so that an event loop need not wait for a commit. A caller with threads
    /// hands its sets to one of them, or gives many to [`Cache::apply`], which commits them at once.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.0.durability = durability;
        self
    }

    /// How long a write waits for other writers before it fails with [`Code::LockTimeout`](crate::Code::LockTimeout). 10 s by default.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.0.lock_timeout = timeout;
        self
    }

    /// Tables that entries may have rows in. What is declared is kept in the directory: columns that may be null, and
    /// indexes, are added to what was declared before.
    pub fn meta(mut self, tables: impl IntoIterator<Item = MetaTable>) -> Self {
        self.0.meta = tables.into_iter().collect();
        self
    }

    /// Encrypts what is stored, with XChaCha20-Poly1305: values, descriptions and the texts of keys; tags and keys are found by
    /// keyed hashes. In the clear are times, uses, kinds, codecs and sizes; without a database the length of an entry and the time
    /// of its last use alone. The key is one of this directory alone, is needed at
    /// each opening, and cannot be changed: [`Cache::save`] and [`Cache::load_encrypted`] bring entries into another one. No [`Builder::meta`] beside it where there is a database. Whoever can write to the
    /// directory can still remove entries, and put a whole older one back in its place: `docs/on-disk-format.md`.
    pub fn encryption(mut self, key: EncryptionKey) -> Self {
        self.0.encryption = Some(key);
        self
    }

    /// Whether the texts of keys are stored: true by default. Where it is false, a BLAKE3-256 hash stands for each, which is
    /// compared in their place; entries are listed with it, and a listing by a prefix is refused with
    /// [`Code::InvalidOption`](crate::Code::InvalidOption). It holds for the directory: each opening has to give the same.
    pub fn store_keys(mut self, store: bool) -> Self {
        self.0.store_keys = store;
        self
    }

    /// Whether the checksum of a value is looked at when it is read: true by default. Where it is false, a value whose bytes were
    /// damaged on the disk may come out, changed or as [`Code::Corrupt`](crate::Code::Corrupt); lengths, keys and the row's seal are compared all the same, and
    /// what is encrypted is always verified.
    pub fn integrity(mut self, verify: bool) -> Self {
        self.0.integrity = verify;
        self
    }

    /// Whether plain small sets of this handle go into a journal in memory that all processes share, and from there into the database in
    /// batches: true by default. A set is several times as fast with it, and survives a kill of any process as without it. The price: up to 6.1 MiB
    /// of disk, less under a [`Builder::max_size`] below 128 MiB, and a listing right after many sets moves them first.
    /// Without effect where less than 64 MiB are free, under [`Durability::Power`](crate::Durability::Power), with [`Builder::max`], with a `max_size` below 16 MiB, and
    /// on systems other than Linux, Android and those of Apple. What others have put there is read and moved all the same.
    pub fn journal(mut self, journal: bool) -> Self {
        self.0.journal = journal;
        self
    }

    /// Where the time comes from. The system's clock by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// Opens the directory, and makes it if it is missing; its parent must exist.
    ///
    /// # Errors
    /// [`Code::InvalidOption`](crate::Code::InvalidOption) for an option out of range, for tables that were declared in another way before, and for a
    /// directory without a database ([`Builder::open_sidecar`]); [`Code::Unavailable`](crate::Code::Unavailable) when the parent is missing or a file
    /// is in the way; [`Code::ReadOnly`](crate::Code::ReadOnly), [`Code::StorageFull`](crate::Code::StorageFull) as they say; [`Code::Format`](crate::Code::Format) when a newer release, or
    /// something else, wrote the directory; [`Code::Encryption`](crate::Code::Encryption) when it is encrypted with another key, or not with the one given, and nothing in it is changed then; [`Code::LockTimeout`](crate::Code::LockTimeout) when another process holds it for too long.
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Cache> {
        match self.open_as(dir, Some(Metadata::Sqlite))? {
            Tier::Sqlite(cache) => Ok(cache),
            Tier::Json(_) => Err(Error::new(Code::Internal, "a directory changed its kind")),
        }
    }

    /// As [`Builder::open`], a directory without a database: for file systems without a working lock manager.
    ///
    /// # Errors
    /// As [`Builder::open`]; [`Code::InvalidOption`](crate::Code::InvalidOption) for a directory with a database, for a policy but `lru` and `fifo`, and for
    /// unique columns.
    pub fn open_sidecar(self, dir: impl AsRef<Path>) -> Result<SidecarCache> {
        match self.open_as(dir, Some(Metadata::Json))? {
            Tier::Json(cache) => Ok(cache),
            Tier::Sqlite(_) => Err(Error::new(Code::Internal, "a directory changed its kind")),
        }
    }

    /// Opens a directory as what it was chosen to be when it was made. `metadata` is what it becomes where it is new, and what it
    /// must be where it is not; `None` takes it as it is, and makes a database.
    ///
    /// # Errors
    /// As [`Builder::open`] and [`Builder::open_sidecar`].
    pub fn open_as(self, dir: impl AsRef<Path>, metadata: Option<Metadata>) -> Result<Tier> {
        self.0.check()?;
        let paths = Paths::new(dir.as_ref())?;
        let fits = |kind| match kind {
            Kind::Sqlite => self.0.check_database(),
            Kind::Json => self.0.check_sidecar(),
        };
        let rules = || rules::recorded_for(&self.0);
        Ok(match metadata::choose(&paths.dir, metadata, fits, rules)? {
            (Kind::Sqlite, _) => Tier::Sqlite(Cache::new(Engine::open(&self.0, &paths)?)),
            (Kind::Json, rules) => Tier::Json(SidecarCache::open(&self.0, paths, rules)?),
        })
    }
}

/// A cache in a directory, of either kind: see [`Builder::open_as`].
#[derive(Debug)]
pub enum Tier {
    /// With a database.
    Sqlite(Cache),
    /// Without one.
    Json(SidecarCache),
}

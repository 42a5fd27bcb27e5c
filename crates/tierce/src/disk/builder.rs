//! Options of the disk tier, checked once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::bound;
use super::cache::Cache;
use super::engine::Engine;
use super::meta::Durability;
use crate::clock::{Clock, SystemClock};
use crate::codec::CodecChoice;
use crate::error::{Code, Error, Result};

/// Stored payloads up to this many bytes live in a row, larger ones in a file. Measured: `docs/design-decisions.md`, D7.
pub(super) const INLINE_MAX: usize = 32 * 1024;

/// Options of a [`Cache`]; [`Builder::open`] opens it.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    pub(super) max_size: Option<u64>,
    pub(super) ttl: Option<Duration>,
    pub(super) codec: CodecChoice,
    pub(super) durability: Durability,
    pub(super) lock_timeout: Duration,
    pub(super) inline_max: usize,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            max_size: None,
            ttl: None,
            codec: CodecChoice::AUTO,
            durability: Durability::Process,
            lock_timeout: Duration::from_secs(10),
            inline_max: INLINE_MAX,
            clock: Arc::new(SystemClock),
        }
    }
}

impl Builder {
    /// Bytes that the directory may use: pages that hold something and value files rounded to blocks. The least
    /// recently used entries are evicted first. No bound by default; at least 1 MiB.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// The time to live of entries that are set without one of their own. No expiry by default.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How values are compressed. [`CodecChoice::AUTO`] by default.
    pub fn codec(mut self, codec: CodecChoice) -> Self {
        self.codec = codec;
        self
    }

    /// When a write counts as done. [`Durability::Process`] by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a write waits for other writers before it fails with [`Code::LockTimeout`]. 10 s by default.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Where the time comes from. The system's clock by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the directory, and makes it if it is missing; its parent must exist.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] for an option out of range; [`Code::Unavailable`] when the parent is missing or a file
    /// is in the way; [`Code::ReadOnly`], [`Code::StorageFull`] as they say; [`Code::Format`] when a newer release, or
    /// something else, wrote the directory; [`Code::LockTimeout`] when another process holds it for too long.
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Cache> {
        if let Some(given) = self.max_size.filter(|bytes| *bytes < bound::FLOOR) {
            let floor = bound::FLOOR;
            return Err(Error::new(
                Code::InvalidOption,
                format!("max_size is {given} bytes; accepted are {floor} (1 MiB) and more"),
            )
            .with("option", "max_size"));
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(Error::new(
                Code::InvalidTtl,
                "ttl is zero; leave it out for entries that never expire",
            ));
        }
        Ok(Cache::new(Engine::open(&self, dir.as_ref())?))
    }
}

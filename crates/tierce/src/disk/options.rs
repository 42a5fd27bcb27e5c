//! Options of the disk tier, as the engine takes them.

use std::sync::Arc;
use std::time::Duration;

use super::bound;
use super::db::Durability;
use super::declared::MetaTable;
use crate::clock::{Clock, SystemClock};
use crate::codec::CodecChoice;
use crate::error::{Code, Error, Result};

/// Stored payloads up to this many bytes live in a row, larger ones in a file. Measured: `docs/design-decisions.md`, D15.
const INLINE_MAX: usize = 32 * 1024;

/// What [`Builder`](super::Builder) fills in.
#[derive(Clone)]
pub(super) struct Options {
    pub max_size: Option<u64>,
    pub ttl: Option<Duration>,
    pub codec: CodecChoice,
    pub durability: Durability,
    pub lock_timeout: Duration,
    pub inline_max: usize,
    pub meta: Vec<MetaTable>,
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_size: None,
            ttl: None,
            codec: CodecChoice::AUTO,
            durability: Durability::Process,
            lock_timeout: Duration::from_secs(10),
            inline_max: INLINE_MAX,
            meta: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl Options {
    /// Refuses what is out of range.
    pub fn check(&self) -> Result<()> {
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
        MetaTable::check_all(&self.meta)
    }
}

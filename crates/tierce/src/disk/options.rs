//! Options of the disk tier, as the engine takes them.

use std::sync::Arc;
use std::time::Duration;

use super::bound;
use super::declared::MetaTable;
use super::durability::Durability;
use crate::cipher::EncryptionKey;
use crate::clock::{Clock, SystemClock};
use crate::codec::CodecChoice;
use crate::error::{Code, Error, Result};
use crate::policy::PolicyKind;

/// Stored payloads up to this many bytes live in a row, larger ones in a file. Measured: `docs/design-decisions.md`, D15.
const INLINE_MAX: usize = 32 * 1024;

/// The policies whose order can be kept in rows: the others need sketches and histories of every key.
pub(super) const POLICIES: [PolicyKind; 7] = [
    PolicyKind::Lru,
    PolicyKind::Lfu,
    PolicyKind::Fifo,
    PolicyKind::Lifo,
    PolicyKind::Mru,
    PolicyKind::Sieve,
    PolicyKind::S3Fifo,
];

/// Those whose order is in the times of files.
const SIDECAR_POLICIES: [PolicyKind; 2] = [PolicyKind::Lru, PolicyKind::Fifo];

/// What [`Builder`](super::Builder) fills in.
#[derive(Clone)]
pub(super) struct Options {
    pub max_size: Option<u64>,
    pub max: Option<u64>,
    pub policy: PolicyKind,
    pub ttl: Option<Duration>,
    pub codec: CodecChoice,
    pub durability: Durability,
    pub lock_timeout: Duration,
    pub inline_max: usize,
    pub meta: Vec<MetaTable>,
    pub encryption: Option<EncryptionKey>,
    pub store_keys: bool,
    pub integrity: bool,
    pub journal: bool,
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_size: None,
            max: None,
            policy: PolicyKind::Lru,
            ttl: None,
            codec: CodecChoice::AUTO,
            durability: Durability::Process,
            lock_timeout: Duration::from_secs(10),
            inline_max: INLINE_MAX,
            meta: Vec::new(),
            encryption: None,
            store_keys: true,
            integrity: true,
            journal: true,
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
                format!(
                    "a maximum size of {given} bytes is too small; accepted are {floor} (1 MiB) and more"
                ),
            )
            .with("name", "maxSize"));
        }
        if self.max == Some(0) {
            return Err(Error::new(Code::InvalidOption, "max is 0 entries; accepted are 1 and more")
                .with("name", "max"));
        }
        if !POLICIES.contains(&self.policy) {
            let names: Vec<_> = POLICIES.iter().map(|policy| policy.name()).collect();
            let message = format!(
                "policy is {:?}, which is for memory; on disk give one of {}",
                self.policy.name(),
                names.join(", ")
            );
            return Err(Error::new(Code::InvalidOption, message).with("name", "policy"));
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(Error::new(
                Code::InvalidTtl,
                "ttl is zero; leave it out for entries that never expire",
            ));
        }
        MetaTable::check_all(&self.meta)
    }

    /// Refuses what a database cannot have.
    pub fn check_database(&self) -> Result<()> {
        if self.encryption.is_some() && !self.meta.is_empty() {
            let message = "meta is given with encryption; its columns are searched by SQL and would be stored as they are: \
                           leave one of the two out";
            return Err(Error::new(Code::InvalidOption, message).with("name", "meta"));
        }
        Ok(())
    }

    /// Refuses what takes a database.
    pub fn check_sidecar(&self) -> Result<()> {
        if !SIDECAR_POLICIES.contains(&self.policy) {
            let names: Vec<_> = SIDECAR_POLICIES.iter().map(|policy| policy.name()).collect();
            let message = format!(
                "policy is {:?}, which takes a database; with metadata 'json' give one of {}",
                self.policy.name(),
                names.join(", ")
            );
            return Err(Error::new(Code::InvalidOption, message).with("name", "policy"));
        }
        let unique = |table: &&MetaTable| table.columns.iter().any(|column| column.is_unique);
        if let Some(table) = self.meta.iter().find(unique) {
            let message = format!(
                "meta.{} has a unique column, which takes a database; with metadata 'json' leave unique() out",
                table.name
            );
            return Err(Error::new(Code::InvalidOption, message).with("name", "meta"));
        }
        Ok(())
    }
}

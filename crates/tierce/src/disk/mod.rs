//! The disk tier: metadata and small values in SQLite, large values in files beside it.

mod access;
mod announce;
mod append;
mod backup;
mod blob;
mod bound;
mod builder;
mod cache;
mod change;
mod check;
mod chunked;
mod cleanup;
mod commit;
mod db;
mod declared;
mod drain;
mod durability;
mod engine;
mod epoch;
mod extras;
mod get;
mod journal;
mod journaling;
mod keeping;
mod listing;
mod log;
mod maintenance;
mod many;
mod metadata;
mod number;
mod open;
mod optimistic;
mod options;
mod owner;
mod query;
mod read;
mod ready;
mod reserve;
mod restore;
mod room;
mod row;
mod rules;
mod salvage;
mod sidecar;
mod stats;
mod stream;
mod transact;
mod transfer;
mod turns;
mod verbs;
mod victims;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Code, Error, Result};

pub use backup::Backup;
pub use builder::{Builder, Tier};
pub use cache::{Cache, SetOptions};
pub use check::{CheckReport, Problem, ProblemKind};
pub use cleanup::Validity;
pub(crate) use db::APPLICATION_ID;
pub use declared::{ColumnType, MetaColumn, MetaTable};
pub use durability::Durability;
pub use epoch::{BITS as EPOCH_BITS, EpochTable};
pub use extras::{Cell, Extras, MetaRow};
pub use get::{Entry, Fetched, Mapped, MappedValue};
#[cfg(fuzzing)]
pub(crate) use journal::fuzz as journal_of;
pub use listing::{KeyPage, Listed, Listing, ListingSink};
pub use metadata::Metadata;
pub use number::Number;
pub use optimistic::Transaction;
pub use query::{Answer, AnswerColumn, AnswerSink};
pub use read::Meta;
pub use row::Freshness;
#[cfg(fuzzing)]
pub(crate) use rules::rules_of;
pub use sidecar::{SidecarCache, SidecarReader, SidecarWriter};
pub use stats::Stats;
pub use stream::{StreamOptions, ValueReader, ValueWriter};
pub use transfer::{AtomicFile, Loaded, open_snapshot};
pub use turns::Turns;
pub use verbs::State;
pub use write::{SetWrite, When, Write, Written};

/// Whether a write may wait for another writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Fail at once with [`Code::LockTimeout`]: for a thread that must not block.
    No,
    /// Wait up to the lock timeout.
    Yes,
}

/// Locks, also after a panic elsewhere: what these mutexes guard is whole between statements, and a transaction that
/// unwound was rolled back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of what was to be given by something that did not run: nobody sees it.
fn not_run() -> Error {
    Error::new(Code::Unavailable, "the call did not run")
}

/// Tries again, with short pauses that double, while another process holds the lock and the timeout lasts.
fn patiently<T>(timeout: Duration, mut run: impl FnMut() -> Result<T>) -> Result<T> {
    const LONGEST: Duration = Duration::from_millis(2);
    let mut pause = Duration::from_micros(50);
    let mut waited = Duration::ZERO;
    loop {
        match run() {
            Err(why) if why.code() == Code::LockTimeout && waited < timeout => {
                std::thread::sleep(pause);
                waited += pause;
                pause = (pause * 2).min(LONGEST);
            }
            outcome => return outcome,
        }
    }
}

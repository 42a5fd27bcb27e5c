//! The in-process tier: live values in memory, at most so many or so heavy.

mod builder;
mod cache;
mod flight;
mod ledger;
mod shard;

pub use builder::Builder;
pub use cache::MemoryCache;
pub use ledger::{Ledger, LedgerError, Op};
pub use shard::Stats;

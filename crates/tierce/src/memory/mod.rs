//! The in-process tier: live values in memory, at most so many or so heavy.

mod builder;
mod cache;
mod flight;
mod ledger;
mod listener;
mod load;
mod shard;
mod shared;

pub use builder::{Builder, RandomState};
pub use cache::{Lease, MemoryCache, When};
pub use ledger::{Ledger, LedgerError, Op};
pub use listener::Cause;
pub use shard::Stats;
pub use shared::{Shared, SharedMemory, SharedOptions};

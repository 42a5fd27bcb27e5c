//! The in-process tier: live values in memory, at most so many or so heavy.

mod builder;
mod cache;
mod flight;
mod ledger;
mod shard;
mod shared;

pub use builder::Builder;
pub use cache::{Lease, MemoryCache, When};
pub use ledger::{Ledger, LedgerError, Op};
pub use shard::Stats;
pub use shared::{Shared, SharedMemory, SharedOptions};

//! Most recently used, exact: the best choice for a loop that is longer than the cache.
//!
//! H.-T. Chou, D. J. DeWitt: An evaluation of buffer management strategies for relational database systems, VLDB 1985.

use super::queue::{Order, Queue};

/// The order of [`Mru`].
#[derive(Clone)]
pub struct MostRecent;

impl Order for MostRecent {
    const HIT_RENEWS: bool = true;
    const NEWEST_FIRST: bool = true;
}

/// Evicts the entry that was used last. 8 bytes a slot.
pub type Mru = Queue<MostRecent>;

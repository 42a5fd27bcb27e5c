//! Least recently used, exact.
//!
//! R. L. Mattson, J. Gecsei, D. R. Slutz, I. L. Traiger: Evaluation techniques for storage hierarchies, IBM Systems
//! Journal 9(2), 1970.

use super::queue::{Order, Queue};

/// The order of [`Lru`].
#[derive(Clone)]
pub struct LeastRecent;

impl Order for LeastRecent {
    const HIT_RENEWS: bool = true;
    const NEWEST_FIRST: bool = false;
}

/// Evicts the entry whose last use is the longest ago. 8 bytes a slot.
pub type Lru = Queue<LeastRecent>;

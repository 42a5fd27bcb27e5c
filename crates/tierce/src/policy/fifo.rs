//! First in, first out, exact.
//!
//! L. A. Belady: A study of replacement algorithms for a virtual-storage computer, IBM Systems Journal 5(2), 1966.

use super::queue::{Order, Queue};

/// The order of [`Fifo`].
#[derive(Clone)]
pub struct FirstIn;

impl Order for FirstIn {
    const HIT_RENEWS: bool = false;
    const NEWEST_FIRST: bool = false;
}

/// Evicts the entry that was inserted the longest ago. 8 bytes a slot.
pub type Fifo = Queue<FirstIn>;

//! Last in, first out, exact.
//!
//! E. G. Coffman, P. J. Denning: Operating Systems Theory, Prentice-Hall, 1973, chapter 6.

use super::queue::{Order, Queue};

/// The order of [`Lifo`].
#[derive(Clone)]
pub struct LastIn;

impl Order for LastIn {
    const HIT_RENEWS: bool = false;
    const NEWEST_FIRST: bool = true;
}

/// Evicts the entry that was inserted last, and so keeps the first that came. 8 bytes a slot.
pub type Lifo = Queue<LastIn>;

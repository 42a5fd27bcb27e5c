//! Eviction policies: which entry goes when room is needed. One file a policy, one table ([`POLICIES`]).
//!
//! A policy sees *slots*, small integers that its caller gives to entries and may reuse as soon as the policy has
//! named them as victims. It does no IO, reads no clock, and holds no keys or values.

mod auto;
mod budget;
mod chain;
mod climber;
mod fifo;
mod ghost;
mod kind;
mod lfu;
mod lifo;
mod lru;
mod mru;
mod queue;
mod s3_fifo;
mod sieve;
mod sketch;
mod w_tinylfu;

use budget::Budget;

pub use auto::Auto;
pub use fifo::Fifo;
#[cfg(feature = "disk")]
pub(crate) use ghost::Ghost;
pub use kind::{AnyPolicy, POLICIES, PolicyKind, UnknownPolicy};
pub use lfu::Lfu;
pub use lifo::Lifo;
pub use lru::Lru;
pub use mru::Mru;
pub use s3_fifo::S3Fifo;
pub use sieve::Sieve;
pub use w_tinylfu::WTinyLfu;

/// The greatest slot a policy takes.
pub const MAX_SLOT: u32 = u32::MAX - 16;

/// Decides the victims among slots that have weights.
///
/// After every call the weights of the resident slots add up to at most the capacity. Memory grows with the greatest
/// slot seen, so callers should reuse the slots that are free. Slots are at most [`MAX_SLOT`].
pub trait Policy: Clone {
    /// Takes `slot`, which is not resident, for the key with the 64-bit `hash` (well mixed in all its bits), and
    /// appends the slots evicted for it to `victims`. A policy may name `slot` itself; it always does, and nothing
    /// else, when `weight` is above the capacity.
    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>);

    /// Notes a use of a resident slot.
    fn hit(&mut self, slot: u32);

    /// Changes the weight of a resident slot (no use is noted) and appends the slots evicted to `victims`: `slot` may
    /// be among them, and is when `weight` is above the capacity.
    fn update(&mut self, slot: u32, weight: u32, victims: &mut Vec<u32>) {
        if !self.budget().admits(weight) {
            self.remove(slot);
            return victims.push(slot);
        }
        let from = self.budget_mut().reweigh(slot, weight);
        self.reweighed(slot, from, weight);
        self.make_room(victims);
    }

    /// Forgets `slot`; false if it was not resident.
    fn remove(&mut self, slot: u32) -> bool;

    /// Evicts the next victim.
    fn evict(&mut self) -> Option<u32>;

    /// Changes the capacity, in units of weight, and appends the slots evicted to `victims`.
    fn set_capacity(&mut self, capacity: u64, victims: &mut Vec<u32>) {
        let from = self.capacity();
        self.budget_mut().set_capacity(capacity);
        self.resized(from);
        self.make_room(victims);
    }

    /// The capacity, in units of weight.
    fn capacity(&self) -> u64 {
        self.budget().capacity()
    }

    /// What the resident slots weigh together.
    fn weight(&self) -> u64 {
        self.budget().total()
    }

    /// The number of resident slots.
    fn len(&self) -> usize {
        self.budget().entries() as usize
    }

    /// Whether no slot is resident.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `slot` is resident.
    fn contains(&self, slot: u32) -> bool;

    /// The resident slots in the order in which [`Policy::evict`] would name them from here on.
    fn order(&self) -> Vec<u32> {
        let mut rest = self.clone();
        std::iter::from_fn(|| rest.evict()).collect()
    }

    /// At most `count` of the next victims, as far as they are certain: as long as only hits and inserts follow, each
    /// insert that needs room takes the first of them that is left, where a hit to one of them takes it off the list (not
    /// for fifo and lifo). Empty where nothing is certain before the insert is known.
    fn candidates(&self, _count: usize) -> Vec<u32> {
        Vec::new()
    }

    /// The uses of a slot, its insert included, where they are what the policy goes by; 0 elsewhere, and where it is not
    /// resident.
    fn uses(&self, _slot: u32) -> u32 {
        0
    }

    /// Sets the uses of a resident slot: with [`Policy::order`] what is needed to build a policy again.
    fn restore_uses(&mut self, _slot: u32, _uses: u32) {}

    /// Forgets every slot and all history; the capacity stays.
    fn clear(&mut self);

    /// The bytes of memory it holds, without its own size: for figures, not for accounts.
    fn memory(&self) -> usize;

    /// Checks its own invariants, for tests.
    ///
    /// # Errors
    /// Says what is broken.
    fn check(&self) -> Result<(), String>;

    /// The account that most of these methods answer from.
    #[doc(hidden)]
    fn budget(&self) -> &Budget;

    #[doc(hidden)]
    fn budget_mut(&mut self) -> &mut Budget;

    /// A resident slot weighs `to` now.
    #[doc(hidden)]
    fn reweighed(&mut self, _slot: u32, _from: u32, _to: u32) {}

    /// The capacity is another one now.
    #[doc(hidden)]
    fn resized(&mut self, _from: u64) {}

    /// Makes room for `weight` more. False where that is above the capacity: then the victim is `slot` itself.
    #[doc(hidden)]
    #[inline]
    fn admit(&mut self, slot: u32, weight: u32, victims: &mut Vec<u32>) -> bool {
        if !self.budget().admits(weight) {
            victims.push(slot);
            return false;
        }
        while !self.budget().fits(weight) {
            let Some(victim) = self.evict() else { break };
            victims.push(victim);
        }
        true
    }

    /// Evicts until the weights are within the capacity.
    #[doc(hidden)]
    fn make_room(&mut self, victims: &mut Vec<u32>) {
        while self.budget().is_over() {
            let Some(victim) = self.evict() else { return };
            victims.push(victim);
        }
    }
}

//! What fifo, lru, lifo and mru share: one list, and two questions.

use std::marker::PhantomData;

use super::Policy;
use super::budget::Budget;
use super::chain::Chains;

/// The two decisions in which these policies differ.
pub trait Order: Clone {
    /// A hit moves the entry to the newest end.
    const HIT_RENEWS: bool;
    /// The victim is the newest entry, not the oldest.
    const NEWEST_FIRST: bool;
}

/// A policy with one list, oldest in front.
#[derive(Clone)]
pub struct Queue<O> {
    list: Chains<1>,
    budget: Budget,
    order: PhantomData<O>,
}

impl<O: Order> Queue<O> {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { list: Chains::new(), budget: Budget::new(capacity), order: PhantomData }
    }
}

impl<O: Order> Policy for Queue<O> {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    #[inline]
    fn insert(&mut self, slot: u32, _hash: u64, weight: u32, victims: &mut Vec<u32>) {
        if !self.admit(slot, weight, victims) {
            return;
        }
        self.list.push_back(0, slot);
        self.budget.add(slot, weight);
    }

    #[inline]
    fn hit(&mut self, slot: u32) {
        if O::HIT_RENEWS {
            self.list.move_to_back(0, slot);
        }
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.list.contains(slot);
        if resident {
            self.list.unlink(slot);
            self.budget.sub(slot);
        }
        resident
    }

    #[inline]
    fn evict(&mut self) -> Option<u32> {
        let victim = if O::NEWEST_FIRST { self.list.back(0) } else { self.list.front(0) }?;
        self.list.unlink(victim);
        self.budget.sub(victim);
        Some(victim)
    }

    #[inline]
    fn contains(&self, slot: u32) -> bool {
        self.list.contains(slot)
    }

    fn order(&self) -> Vec<u32> {
        if O::NEWEST_FIRST { self.list.iter_back(0).collect() } else { self.list.iter(0).collect() }
    }

    fn candidates(&self, count: usize) -> Vec<u32> {
        // For lifo the next insert is newer than all that are here; for mru a hit to any entry makes that one the next.
        match (O::NEWEST_FIRST, O::HIT_RENEWS) {
            (false, _) => self.list.iter(0).take(count).collect(),
            (true, false) => self.list.iter_back(0).take(count.min(1)).collect(),
            (true, true) => Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.budget.clear();
    }

    fn memory(&self) -> usize {
        self.list.memory() + self.budget.memory()
    }

    fn check(&self) -> Result<(), String> {
        self.list.check(0)?;
        self.budget.check(self.list.iter(0))
    }
}

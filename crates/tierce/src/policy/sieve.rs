//! SIEVE, exact.
//!
//! Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi: SIEVE is simpler than LRU, NSDI 2024.

use super::Policy;
use super::budget::Budget;
use super::chain::Chains;

/// A hand moves from the oldest entry to the newest, spares the entries that were hit since it last passed, and evicts
/// the first that was not. 9 bytes a slot; a hit stores one byte.
#[derive(Clone)]
pub struct Sieve {
    list: Chains<1>,
    /// 1 since a hit, 0 at insert and when the hand has passed.
    visited: Vec<u8>,
    /// Where the hand stands; none stands for the oldest.
    hand: Option<u32>,
    budget: Budget,
}

impl Sieve {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { list: Chains::new(), visited: Vec::new(), hand: None, budget: Budget::new(capacity) }
    }
}

impl Policy for Sieve {
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
        if slot as usize >= self.visited.len() {
            self.visited.resize(slot as usize + 1, 0);
        }
        self.visited[slot as usize] = 0;
        self.budget.add(slot, weight);
    }

    #[inline]
    fn hit(&mut self, slot: u32) {
        self.visited[slot as usize] = 1;
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.list.contains(slot);
        if resident {
            if self.hand == Some(slot) {
                self.hand = self.list.after(slot);
            }
            self.list.unlink(slot);
            self.budget.sub(slot);
        }
        resident
    }

    #[inline]
    fn evict(&mut self) -> Option<u32> {
        let oldest = self.list.front(0)?;
        let mut at = self.hand.unwrap_or(oldest);
        while std::mem::replace(&mut self.visited[at as usize], 0) != 0 {
            at = self.list.after(at).unwrap_or(oldest);
        }
        self.hand = self.list.after(at);
        self.list.unlink(at);
        self.budget.sub(at);
        Some(at)
    }

    #[inline]
    fn contains(&self, slot: u32) -> bool {
        self.list.contains(slot)
    }

    fn candidates(&self, count: usize) -> Vec<u32> {
        // Until the hand turns round, hits to others only spare them, and inserts come behind.
        let hand = self.hand.or(self.list.front(0));
        let is_due = |slot: &u32| self.visited[*slot as usize] == 0;
        let ahead = std::iter::successors(hand, |&slot| self.list.after(slot));
        let mut certain: Vec<u32> = ahead.filter(is_due).take(count).collect();
        if certain.is_empty() && count > 0 {
            // After the turn the next one is certain, but no other.
            certain.extend(self.list.iter(0).find(is_due).or(hand));
        }
        certain
    }

    fn clear(&mut self) {
        *self = Self::new(self.budget.capacity());
    }

    fn memory(&self) -> usize {
        self.list.memory() + self.visited.capacity() + self.budget.memory()
    }

    fn check(&self) -> Result<(), String> {
        self.list.check(0)?;
        if self.hand.is_some_and(|hand| !self.list.contains(hand)) {
            return Err(format!("the hand stands on {:?}, which is gone", self.hand));
        }
        self.budget.check(self.list.iter(0))
    }
}

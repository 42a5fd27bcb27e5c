//! S3-FIFO.
//!
//! J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023.

use super::Policy;
use super::budget::Budget;
use super::chain::Chains;
use super::ghost::Ghost;

const SMALL: usize = 0;
const MAIN: usize = 1;
/// The bit of `meta` that says an entry is in the main queue; the others count its hits.
const IN_MAIN: u8 = 0x80;
const MAX_HITS: u8 = 3;

/// New entries pass through a small queue (a tenth of the capacity); those that were hit there go on to the main
/// queue, the others leave a ghost (as many as nine tenths of the capacity, or the entries), and a key whose ghost is still there goes
/// to the main queue at once. The main queue gives an entry one more round for each hit, at most three.
///
/// 13 bytes a slot and about 20 for each ghost; a hit changes one byte.
#[derive(Clone)]
pub struct S3Fifo {
    lists: Chains<2>,
    meta: Vec<u8>,
    prints: Vec<u32>,
    small: u64,
    /// Nothing was evicted so far: what the small queue has no room for goes to the main queue.
    filling: bool,
    ghost: Ghost,
    budget: Budget,
}

fn small_share(capacity: u64) -> u64 {
    (capacity / 10).max(1)
}

fn ghost_share(capacity: u64) -> u64 {
    capacity - capacity.div_ceil(10)
}

#[inline]
fn fingerprint(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl S3Fifo {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            lists: Chains::new(),
            meta: Vec::new(),
            prints: Vec::new(),
            small: 0,
            filling: true,
            ghost: Ghost::new(ghost_share(capacity)),
            budget: Budget::new(capacity),
        }
    }

    fn forget(&mut self, slot: u32) {
        let weight = self.budget.sub(slot);
        if self.meta[slot as usize] & IN_MAIN == 0 {
            self.small -= u64::from(weight);
        }
        self.lists.unlink(slot);
    }

    /// The oldest small entry without a hit; those before it move to the main queue.
    fn evict_small(&mut self) -> Option<u32> {
        while let Some(slot) = self.lists.front(SMALL) {
            if self.meta[slot as usize] == 0 {
                let weight = self.budget.weight(slot);
                self.ghost.push(self.prints[slot as usize], weight, self.budget.entries() as usize);
                self.forget(slot);
                return Some(slot);
            }
            self.meta[slot as usize] = IN_MAIN;
            self.small -= u64::from(self.budget.weight(slot));
            self.lists.unlink(slot);
            self.lists.push_back(MAIN, slot);
        }
        None
    }

    /// The oldest main entry without a hit; those before it lose one and go round again.
    fn evict_main(&mut self) -> Option<u32> {
        while let Some(slot) = self.lists.front(MAIN) {
            if self.meta[slot as usize] == IN_MAIN {
                self.forget(slot);
                return Some(slot);
            }
            self.meta[slot as usize] -= 1;
            self.lists.move_to_back(MAIN, slot);
        }
        None
    }
}

impl Policy for S3Fifo {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn reweighed(&mut self, slot: u32, from: u32, to: u32) {
        if self.meta[slot as usize] & IN_MAIN == 0 {
            self.small = self.small - u64::from(from) + u64::from(to);
        }
    }

    fn resized(&mut self, _from: u64) {
        self.ghost.set_capacity(ghost_share(self.budget.capacity()));
    }

    #[inline]
    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        if !self.budget.admits(weight) {
            return victims.push(slot);
        }
        let print = fingerprint(hash);
        let small_is_full = self.small + u64::from(weight) > small_share(self.budget.capacity());
        let to_main = self.ghost.remove(print) || (self.filling && small_is_full);
        while !self.budget.fits(weight) {
            self.filling = false;
            let Some(victim) = self.evict() else { break };
            victims.push(victim);
        }
        if slot as usize >= self.meta.len() {
            self.meta.resize(slot as usize + 1, 0);
            self.prints.resize(slot as usize + 1, 0);
        }
        self.prints[slot as usize] = print;
        self.budget.add(slot, weight);
        if to_main {
            self.meta[slot as usize] = IN_MAIN;
            self.lists.push_back(MAIN, slot);
        } else {
            self.meta[slot as usize] = 0;
            self.small += u64::from(weight);
            self.lists.push_back(SMALL, slot);
        }
    }

    #[inline]
    fn hit(&mut self, slot: u32) {
        let meta = &mut self.meta[slot as usize];
        *meta += u8::from(*meta & !IN_MAIN < MAX_HITS);
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.lists.contains(slot);
        if resident {
            self.forget(slot);
        }
        resident
    }

    #[inline]
    fn evict(&mut self) -> Option<u32> {
        let small_is_full = self.small >= small_share(self.budget.capacity());
        let from_small =
            if small_is_full || self.lists.front(MAIN).is_none() { self.evict_small() } else { None };
        from_small.or_else(|| self.evict_main()).or_else(|| self.evict_small())
    }

    #[inline]
    fn contains(&self, slot: u32) -> bool {
        self.lists.contains(slot)
    }

    fn clear(&mut self) {
        *self = Self::new(self.budget.capacity());
    }

    fn memory(&self) -> usize {
        self.lists.memory()
            + self.meta.capacity()
            + self.prints.capacity() * size_of::<u32>()
            + self.ghost.memory()
            + self.budget.memory()
    }

    fn check(&self) -> Result<(), String> {
        self.lists.check(SMALL)?;
        self.lists.check(MAIN)?;
        self.ghost.check()?;
        let small: u64 = self.lists.iter(SMALL).map(|slot| u64::from(self.budget.weight(slot))).sum();
        if small != self.small {
            return Err(format!("the small queue weighs {small}, the account says {}", self.small));
        }
        let in_main = |slot: u32| self.meta[slot as usize] & IN_MAIN != 0;
        if self.lists.iter(SMALL).any(in_main) || !self.lists.iter(MAIN).all(in_main) {
            return Err("an entry is in one queue and marked for the other".into());
        }
        self.budget.check(self.lists.iter(SMALL).chain(self.lists.iter(MAIN)))
    }
}

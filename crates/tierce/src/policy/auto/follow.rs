//! A small cache that does what the leading shadow does.

use crate::policy::Policy;
use crate::policy::budget::Budget;
use crate::policy::chain::{Chains, NONE};

use super::shadows::Shadows;

/// Evicts what the leading shadow does not hold.
///
/// R. Subramanian, Y. Smaragdakis, G. H. Loh: Adaptive caches: effective shaping of cache behavior to workloads, MICRO
/// 2006. As long as the leader stays, the content converges to the leader's, which has seen every request from the
/// start, with its counts, ghosts and sketch.
///
/// The *strays* are the live slots that the leader does not hold. There is one whenever the cache is over its capacity,
/// because the leader is within it.
#[derive(Clone)]
pub(crate) struct Follow {
    pub(crate) shadows: Shadows,
    /// The node of a live slot; `NONE` for a key whose hash is another live key's.
    node_of: Vec<u32>,
    strays: Chains<1>,
    budget: Budget,
    resident: Vec<bool>,
}

impl Follow {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            shadows: Shadows::new(capacity),
            node_of: Vec::new(),
            strays: Chains::new(),
            budget: Budget::new(capacity),
            resident: Vec::new(),
        }
    }

    fn request(&mut self, slot: u32, weight: u32) {
        let node = self.node_of[slot as usize];
        if node != NONE && self.shadows.request(node, weight) {
            self.sort_all();
        }
        self.sort_moved();
    }

    fn is_stray(&self, slot: u32) -> bool {
        let node = self.node_of[slot as usize];
        node == NONE || !self.shadows.leads(node)
    }

    fn sort(&mut self, slot: u32) {
        match (self.is_stray(slot), self.strays.contains(slot)) {
            (true, false) => self.strays.push_back(0, slot),
            (false, true) => self.strays.unlink(slot),
            _ => {}
        }
    }

    /// Sorts the slots again that the leader has moved.
    fn sort_moved(&mut self) {
        while let Some(slot) = self.shadows.moved.pop() {
            if self.resident[slot as usize] {
                self.sort(slot);
            }
        }
    }

    /// Sorts every slot again, under a new leader.
    #[cold]
    fn sort_all(&mut self) {
        for slot in 0..self.resident.len() as u32 {
            if self.resident[slot as usize] {
                self.sort(slot);
            }
        }
    }

    fn forget(&mut self, slot: u32) {
        if self.strays.contains(slot) {
            self.strays.unlink(slot);
        }
        self.resident[slot as usize] = false;
        self.budget.sub(slot);
    }
}

impl Policy for Follow {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn reweighed(&mut self, slot: u32, _from: u32, to: u32) {
        let node = self.node_of[slot as usize];
        if node != NONE {
            self.shadows.reweigh(node, to);
        }
    }

    fn resized(&mut self, _from: u64) {
        self.shadows.set_capacity(self.budget.capacity());
    }

    fn make_room(&mut self, victims: &mut Vec<u32>) {
        self.sort_moved();
        while self.budget.is_over() {
            let Some(victim) = self.evict() else { return };
            victims.push(victim);
        }
    }

    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        if !self.budget.admits(weight) {
            return victims.push(slot);
        }
        if slot as usize >= self.node_of.len() {
            self.node_of.resize(slot as usize + 1, NONE);
            self.resident.resize(slot as usize + 1, false);
        }
        self.node_of[slot as usize] = self.shadows.enter(hash, slot).unwrap_or(NONE);
        self.resident[slot as usize] = true;
        self.budget.add(slot, weight);
        self.request(slot, weight);
        self.sort(slot);
        self.make_room(victims);
    }

    fn hit(&mut self, slot: u32) {
        self.request(slot, self.budget.weight(slot));
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.contains(slot);
        if resident {
            let node = self.node_of[slot as usize];
            if node != NONE {
                self.shadows.remove(node);
            }
            self.forget(slot);
        }
        resident
    }

    fn evict(&mut self) -> Option<u32> {
        while self.strays.front(0).is_none() && self.shadows.evict() {
            self.sort_moved();
        }
        let victim = self.strays.front(0)?;
        let node = self.node_of[victim as usize];
        if node != NONE {
            self.shadows.leave(node);
        }
        self.forget(victim);
        Some(victim)
    }

    fn contains(&self, slot: u32) -> bool {
        self.resident.get(slot as usize).is_some_and(|&resident| resident)
    }

    fn order(&self) -> Vec<u32> {
        let mut slots: Vec<u32> = self.strays.iter(0).collect();
        slots.extend(self.shadows.order());
        slots
    }

    fn clear(&mut self) {
        *self = Self::new(self.budget.capacity());
    }

    fn memory(&self) -> usize {
        self.shadows.memory()
            + self.node_of.capacity() * size_of::<u32>()
            + self.strays.memory()
            + self.budget.memory()
            + self.resident.capacity()
    }

    fn check(&self) -> Result<(), String> {
        self.shadows.check()?;
        self.strays.check(0)?;
        let residents = || (0..self.resident.len() as u32).filter(|&slot| self.resident[slot as usize]);
        if let Some(slot) = residents().find(|&slot| self.is_stray(slot) != self.strays.contains(slot)) {
            return Err(format!("slot {slot} is in the wrong camp"));
        }
        self.budget.check(residents())
    }
}

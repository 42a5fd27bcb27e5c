//! A large cache that runs the policy whose sampled shadow leads.

use crate::policy::budget::Budget;
use crate::policy::chain::NONE;
use crate::policy::{AnyPolicy, Policy};

use super::UNSAMPLED;
use super::shadows::{CANDIDATES, Shadows};

/// Runs one policy, and rebuilds it as another, in the order of the old one, when a shadow has proved better.
///
/// The shadows see the keys whose hash ends in `shift` zeros, and have that part of the capacity: C. Waldspurger,
/// T. Saemundsson, I. Ahmad, N. Park: Cache modeling and optimization using miniature simulations, ATC 2017. The sample
/// is halved whenever the entries outgrow it, so the shadows hold about [`UNSAMPLED`] keys each, at most.
#[derive(Clone)]
pub(crate) struct Sampled {
    pub(crate) shadows: Shadows,
    live: AnyPolicy,
    hashes: Vec<u64>,
    /// The node of a live slot; `NONE` for a key outside the sample.
    node_of: Vec<u32>,
    weights: Vec<u32>,
    shift: u32,
}

impl Sampled {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            shadows: Shadows::new(capacity),
            live: AnyPolicy::new(CANDIDATES[0], capacity),
            hashes: Vec::new(),
            node_of: Vec::new(),
            weights: Vec::new(),
            shift: 0,
        }
    }

    fn is_sampled(hash: u64, shift: u32) -> bool {
        hash & ((1 << shift) - 1) == 0
    }

    fn request(&mut self, slot: u32) {
        let node = self.node_of[slot as usize];
        if node != NONE && self.shadows.request(node, self.weights[slot as usize]) {
            self.rebuild();
        }
        self.shadows.moved.clear();
    }

    /// Takes the residents over into the leader's policy.
    #[cold]
    fn rebuild(&mut self) {
        let slots = self.live.order();
        let mut live = AnyPolicy::new(self.shadows.leader(), self.live.capacity());
        if let (AnyPolicy::WTinyLfu(live), AnyPolicy::WTinyLfu(shadow)) = (&mut live, self.shadows.shadow()) {
            live.share_as(shadow);
        }
        let mut victims = Vec::new();
        for slot in slots {
            live.insert(slot, self.hashes[slot as usize], self.weights[slot as usize], &mut victims);
        }
        debug_assert!(victims.is_empty(), "what fitted before fits again");
        self.live = live;
    }

    /// Halves the sample until it is small enough.
    fn thin(&mut self) {
        while self.live.len() as u64 > UNSAMPLED << self.shift {
            self.shift += 1;
            let shift = self.shift;
            for slot in self.shadows.retain(|hash| Self::is_sampled(hash, shift)) {
                self.node_of[slot as usize] = NONE;
            }
            self.shadows.set_capacity(self.live.capacity() >> shift);
            self.shadows.moved.clear();
        }
    }

    fn leave(&mut self, slot: u32) {
        let node = std::mem::replace(&mut self.node_of[slot as usize], NONE);
        if node != NONE {
            self.shadows.leave(node);
        }
    }

    fn leave_all(&mut self, victims: &[u32]) {
        for &victim in victims {
            self.leave(victim);
        }
    }
}

impl Policy for Sampled {
    fn budget(&self) -> &Budget {
        self.live.budget()
    }

    fn budget_mut(&mut self) -> &mut Budget {
        self.live.budget_mut()
    }

    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        if u64::from(weight) > self.live.capacity() {
            return victims.push(slot);
        }
        if slot as usize >= self.hashes.len() {
            self.hashes.resize(slot as usize + 1, 0);
            self.node_of.resize(slot as usize + 1, NONE);
            self.weights.resize(slot as usize + 1, 0);
        }
        self.hashes[slot as usize] = hash;
        self.weights[slot as usize] = weight;
        let named = victims.len();
        self.live.insert(slot, hash, weight, victims);
        self.leave_all(&victims[named..]);
        if Self::is_sampled(hash, self.shift) {
            self.node_of[slot as usize] = self.shadows.enter(hash, slot).unwrap_or(NONE);
            self.request(slot);
            if victims[named..].contains(&slot) {
                self.leave(slot);
            }
        }
        self.thin();
    }

    #[inline]
    fn hit(&mut self, slot: u32) {
        self.live.hit(slot);
        self.request(slot);
    }

    fn update(&mut self, slot: u32, weight: u32, victims: &mut Vec<u32>) {
        let named = victims.len();
        self.weights[slot as usize] = weight;
        self.live.update(slot, weight, victims);
        let node = self.node_of[slot as usize];
        if node != NONE {
            self.shadows.reweigh(node, weight);
            self.shadows.moved.clear();
        }
        self.leave_all(&victims[named..]);
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.live.remove(slot);
        if resident {
            let node = std::mem::replace(&mut self.node_of[slot as usize], NONE);
            if node != NONE {
                self.shadows.remove(node);
            }
        }
        resident
    }

    fn evict(&mut self) -> Option<u32> {
        let victim = self.live.evict()?;
        self.leave(victim);
        Some(victim)
    }

    fn set_capacity(&mut self, capacity: u64, victims: &mut Vec<u32>) {
        let named = victims.len();
        self.live.set_capacity(capacity, victims);
        self.leave_all(&victims[named..]);
        self.shadows.set_capacity(capacity >> self.shift);
        self.shadows.moved.clear();
    }

    fn contains(&self, slot: u32) -> bool {
        self.live.contains(slot)
    }

    fn order(&self) -> Vec<u32> {
        self.live.order()
    }

    fn clear(&mut self) {
        *self = Self::new(self.live.capacity());
    }

    fn memory(&self) -> usize {
        self.shadows.memory()
            + self.live.memory()
            + self.hashes.capacity() * size_of::<u64>()
            + (self.node_of.capacity() + self.weights.capacity()) * size_of::<u32>()
    }

    fn check(&self) -> Result<(), String> {
        self.shadows.check()?;
        if self.shadows.capacity() != self.live.capacity() >> self.shift {
            return Err(format!("shadows of {} for {}", self.shadows.capacity(), self.live.capacity()));
        }
        self.live.check()
    }
}

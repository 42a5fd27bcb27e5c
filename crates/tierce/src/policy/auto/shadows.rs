//! What each policy would hold: caches of keys only, fed with the requests (or a sample of them) that the real one sees.

use hashbrown::HashTable;

use crate::policy::chain::NONE;
use crate::policy::{AnyPolicy, Policy, PolicyKind};

/// The policies that are shadowed; the first leads at the start.
pub(crate) const CANDIDATES: [PolicyKind; 8] = [
    PolicyKind::WTinyLfu,
    PolicyKind::S3Fifo,
    PolicyKind::Sieve,
    PolicyKind::Lfu,
    PolicyKind::Lru,
    PolicyKind::Mru,
    PolicyKind::Lifo,
    PolicyKind::Fifo,
];
const COUNT: usize = CANDIDATES.len();

/// The share of what a change of leader would cost that must have been lost by not changing: at first, and at most.
const PATIENCE: [f64; 2] = [0.1, 1.6];
/// A lead counts from this many standard deviations of a lead by chance, and this many misses.
const DEVIATIONS: f64 = 2.2;
const LEAST: f64 = 8.0;

/// A key that is held by the real cache, or by any shadow.
#[derive(Clone, Copy)]
struct Node {
    hash: u64,
    /// The slot of the real cache, or `NONE`.
    live: u32,
    /// Which shadows hold it, a bit each.
    held: u8,
}

/// All shadows over one directory of keys, whose places serve them as slots.
///
/// `lag[i]` is by how many misses the leader has done worse than `i` since it last did better (Page's cumulative sum,
/// E. S. Page: Continuous inspection schemes, Biometrika 41, 1954). The leader changes once the lag outweighs a share
/// of what the newcomer holds and the real cache does not, and what chance explains: rent or buy, as in metrical task systems (A. Borodin,
/// N. Linial, M. Saks: An optimal on-line algorithm for metrical task system, JACM 39(4), 1992).
#[derive(Clone)]
pub(crate) struct Shadows {
    nodes: Vec<Node>,
    free: Vec<u32>,
    directory: HashTable<u32>,
    policies: Vec<AnyPolicy>,
    leader: usize,
    lag: [f64; COUNT],
    /// On how many requests they differed meanwhile: a lead by chance grows with its root.
    differ: [f64; COUNT],
    /// Doubled at each change of leader, so that policies that take turns in being lucky are not run after for long.
    patience: f64,
    /// How many keys each shadow holds that the real cache does not.
    missing: [u32; COUNT],
    victims: Vec<u32>,
    /// The live slots that the leader may have taken in or let go since the caller last cleared this.
    pub(crate) moved: Vec<u32>,
}

impl Shadows {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            directory: HashTable::new(),
            policies: CANDIDATES.iter().map(|&kind| AnyPolicy::new(kind, capacity)).collect(),
            leader: 0,
            lag: [0.0; COUNT],
            differ: [0.0; COUNT],
            patience: PATIENCE[0],
            missing: [0; COUNT],
            victims: Vec::new(),
            moved: Vec::new(),
        }
    }

    pub(crate) fn leader(&self) -> PolicyKind {
        CANDIDATES[self.leader]
    }

    /// The leading shadow.
    pub(crate) fn shadow(&self) -> &AnyPolicy {
        &self.policies[self.leader]
    }

    /// Whether the leader holds the key of a node.
    #[inline]
    pub(crate) fn leads(&self, node: u32) -> bool {
        self.nodes[node as usize].held >> self.leader & 1 == 1
    }

    /// The node for a key that takes `slot` in the real cache; none if a live key with the same hash has it.
    pub(crate) fn enter(&mut self, hash: u64, slot: u32) -> Option<u32> {
        let found = self.directory.find(hash, |&node| self.nodes[node as usize].hash == hash).copied();
        let node = match found {
            Some(node) if self.nodes[node as usize].live != NONE => return None,
            Some(node) => node,
            None => self.open(hash),
        };
        self.set_live(node, slot);
        Some(node)
    }

    fn open(&mut self, hash: u64) -> u32 {
        let new = Node { hash, live: NONE, held: 0 };
        let node = match self.free.pop() {
            Some(node) => {
                self.nodes[node as usize] = new;
                node
            }
            None => {
                self.nodes.push(new);
                self.nodes.len() as u32 - 1
            }
        };
        let nodes = &self.nodes;
        self.directory.insert_unique(hash, node, |&node| nodes[node as usize].hash);
        node
    }

    fn set_live(&mut self, node: u32, slot: u32) {
        let Node { held, .. } = self.nodes[node as usize];
        self.nodes[node as usize].live = slot;
        for (policy, missing) in self.missing.iter_mut().enumerate() {
            let holds = u32::from(held >> policy & 1);
            *missing = if slot == NONE { *missing + holds } else { *missing - holds };
        }
    }

    /// The real cache no longer has the key of a node.
    pub(crate) fn leave(&mut self, node: u32) {
        self.set_live(node, NONE);
        self.release(node);
    }

    fn release(&mut self, node: u32) {
        let Node { hash, live, held } = self.nodes[node as usize];
        if live == NONE && held == 0 {
            if let Ok(place) = self.directory.find_entry(hash, |&other| other == node) {
                place.remove();
            }
            self.free.push(node);
        }
    }

    fn let_go(&mut self, policy: usize, node: u32) {
        let Node { live, .. } = self.nodes[node as usize];
        self.nodes[node as usize].held &= !(1 << policy);
        if live == NONE {
            self.missing[policy] -= 1;
            self.release(node);
        } else if policy == self.leader {
            self.moved.push(live);
        }
    }

    /// Shows a request for a live node to every shadow; true if the leader has changed by it.
    pub(crate) fn request(&mut self, node: u32, weight: u32) -> bool {
        let Node { hash, held, live } = self.nodes[node as usize];
        let mut victims = std::mem::take(&mut self.victims);
        for policy in 0..COUNT {
            if held >> policy & 1 == 1 {
                self.policies[policy].hit(node);
                continue;
            }
            self.nodes[node as usize].held |= 1 << policy;
            self.policies[policy].insert(node, hash, weight, &mut victims);
            for victim in victims.drain(..) {
                self.let_go(policy, victim);
            }
        }
        self.victims = victims;
        if held >> self.leader & 1 == 1 {
            for (policy, lag) in self.lag.iter_mut().enumerate() {
                let missed = f64::from(!held >> policy & 1);
                *lag = (*lag - missed).max(0.0);
                self.differ[policy] = if *lag > 0.0 { self.differ[policy] + missed } else { 0.0 };
            }
            return false;
        }
        self.moved.push(live);
        for (policy, lag) in self.lag.iter_mut().enumerate() {
            *lag += f64::from(held >> policy & 1);
            self.differ[policy] += f64::from(held >> policy & 1);
        }
        self.elect()
    }

    fn elect(&mut self) -> bool {
        let lead = |policy: usize| {
            let chance = DEVIATIONS * self.differ[policy].sqrt();
            self.lag[policy] - self.patience * f64::from(self.missing[policy]) - chance - LEAST
        };
        let best = (0..COUNT).max_by(|&a, &b| lead(a).total_cmp(&lead(b))).unwrap_or(self.leader);
        if best == self.leader || lead(best) <= 0.0 {
            return false;
        }
        self.leader = best;
        self.lag = [0.0; COUNT];
        self.differ = [0.0; COUNT];
        self.patience = (self.patience * 2.0).min(PATIENCE[1]);
        true
    }

    /// The weight of a live key changes in every shadow that holds it.
    pub(crate) fn reweigh(&mut self, node: u32, weight: u32) {
        let held = self.nodes[node as usize].held;
        let mut victims = std::mem::take(&mut self.victims);
        for policy in (0..COUNT).filter(|policy| held >> policy & 1 == 1) {
            self.policies[policy].update(node, weight, &mut victims);
            for victim in victims.drain(..) {
                self.let_go(policy, victim);
            }
        }
        self.victims = victims;
    }

    /// Forgets a live key everywhere.
    pub(crate) fn remove(&mut self, node: u32) {
        let held = std::mem::replace(&mut self.nodes[node as usize].held, 0);
        for policy in (0..COUNT).filter(|policy| held >> policy & 1 == 1) {
            self.policies[policy].remove(node);
        }
        // No shadow holds it any more, so no count of missing keys changes.
        self.leave(node);
    }

    pub(crate) fn set_capacity(&mut self, capacity: u64) {
        let mut victims = std::mem::take(&mut self.victims);
        for policy in 0..COUNT {
            self.policies[policy].set_capacity(capacity, &mut victims);
            for victim in victims.drain(..) {
                self.let_go(policy, victim);
            }
        }
        self.victims = victims;
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.policies[0].capacity()
    }

    /// Evicts the leader's victim; true if there was one. `moved` says whether it was live.
    pub(crate) fn evict(&mut self) -> bool {
        let victim = self.policies[self.leader].evict();
        victim.map(|node| self.let_go(self.leader, node)).is_some()
    }

    /// The live slots among what the leader holds, next victim first.
    pub(crate) fn order(&self) -> Vec<u32> {
        let nodes = self.policies[self.leader].order().into_iter();
        nodes.map(|node| self.nodes[node as usize].live).filter(|&live| live != NONE).collect()
    }

    /// Drops the keys whose hash `keep` rejects, from every shadow; returns the slots of those that were live.
    pub(crate) fn retain(&mut self, keep: impl Fn(u64) -> bool) -> Vec<u32> {
        let all: Vec<u32> = self.directory.iter().copied().collect();
        let mut dropped = Vec::new();
        for node in all {
            let Node { hash, live, held } = self.nodes[node as usize];
            if keep(hash) {
                continue;
            }
            if live == NONE {
                for policy in (0..COUNT).filter(|policy| held >> policy & 1 == 1) {
                    self.policies[policy].remove(node);
                    self.missing[policy] -= 1;
                }
                self.nodes[node as usize].held = 0;
                self.release(node);
            } else {
                dropped.push(live);
                self.remove(node);
            }
        }
        dropped
    }

    pub(crate) fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.free.capacity() * size_of::<u32>()
            + self.directory.allocation_size()
            + self.policies.iter().map(Policy::memory).sum::<usize>()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let mut missing = [0; COUNT];
        for &node in &self.directory {
            let Node { live, held, .. } = self.nodes[node as usize];
            if live == NONE && held == 0 {
                return Err(format!("node {node} is held by nobody"));
            }
            for (policy, shadow) in self.policies.iter().enumerate() {
                let holds = held >> policy & 1 == 1;
                if shadow.contains(node) != holds {
                    return Err(format!("{:?} and node {node} differ on who holds it", CANDIDATES[policy]));
                }
                missing[policy] += u32::from(holds && live == NONE);
            }
        }
        if missing != self.missing {
            return Err(format!("shadows miss {missing:?}, account {:?}", self.missing));
        }
        self.policies.iter().try_for_each(Policy::check)
    }
}

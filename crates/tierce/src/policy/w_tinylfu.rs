//! W-TinyLFU with a window that adapts.
//!
//! G. Einziger, R. Friedman, B. Manes: TinyLFU: a highly efficient cache admission policy, ACM Transactions on Storage
//! 13(4), 2017; for the adaptive window see `climber`.

use super::Policy;
use super::budget::Budget;
use super::chain::Chains;
use super::climber::Climber;
use super::sketch::Sketch;

const WINDOW: u8 = 0;
const PROBATION: u8 = 1;
const PROTECTED: u8 = 2;
/// A candidate this warm that is no warmer than the victim is let in once in a while: an attacker who makes keys collide
/// in the sketch can't pin the victim for good.
const WARM: u8 = 6;
const WARM_LUCK: u32 = 128;

/// What is known of a slot: side by side, as a use needs both.
#[derive(Clone, Copy)]
struct Known {
    print: u32,
    region: u8,
}

/// New entries live in a window (at first 1 % of the capacity, LRU). What leaves the window replaces the victim of the
/// main part (segmented LRU, 80 % protected) only if a sketch says that it was used more often of late; else it is the
/// victim itself.
///
/// 16 bytes a slot, and 8 to 16 for the sketch.
#[derive(Clone)]
pub struct WTinyLfu {
    lists: Chains<3>,
    known: Vec<Known>,
    sketch: Sketch,
    climber: Climber,
    /// What the regions weigh, by number.
    held: [u64; 3],
    /// What the window may weigh; the fraction is carried from step to step.
    max_window: f64,
    max_protected: f64,
    /// Whether the cache has ever had to evict: before that the window has nothing to learn.
    full: bool,
    luck: u32,
    budget: Budget,
}

/// Below this capacity the shares are rounded too much to be scaled.
const LEAST_SCALED: u64 = 100;

/// What the window and the protected region may weigh at first.
fn shares(capacity: u64) -> (f64, f64) {
    let main = capacity * 99 / 100;
    ((capacity - main) as f64, (main * 8 / 10) as f64)
}

impl WTinyLfu {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let (max_window, max_protected) = shares(capacity);
        Self {
            lists: Chains::new(),
            known: Vec::new(),
            sketch: Sketch::new(),
            climber: Climber::new(),
            held: [0; 3],
            max_window,
            max_protected,
            full: false,
            luck: 0x9e37_79b9,
            budget: Budget::new(capacity),
        }
    }

    /// Gives the window the share of the capacity that it has in `other`.
    pub(crate) fn share_as(&mut self, other: &Self) {
        let scale = self.budget.capacity() as f64 / other.budget.capacity().max(1) as f64;
        self.max_window = other.max_window * scale;
        self.max_protected = other.max_protected * scale;
        self.demote_protected();
    }

    #[inline]
    fn is_wider(&self, region: u8, max: f64) -> bool {
        self.held[region as usize] > max as u64
    }

    /// Moves a resident slot to the newest end (or, if `next_victim`, to the oldest) of a region.
    fn transfer(&mut self, slot: u32, to: u8, next_victim: bool) {
        let weight = u64::from(self.budget.weight(slot));
        self.held[self.known[slot as usize].region as usize] -= weight;
        self.held[to as usize] += weight;
        self.known[slot as usize].region = to;
        self.lists.unlink(slot);
        if next_victim {
            self.lists.push_front(to as usize, slot);
        } else {
            self.lists.push_back(to as usize, slot);
        }
    }

    fn demote_protected(&mut self) {
        while self.is_wider(PROTECTED, self.max_protected) {
            let Some(slot) = self.lists.front(PROTECTED as usize) else { return };
            self.transfer(slot, PROBATION, false);
        }
    }

    fn forget(&mut self, slot: u32) {
        let weight = self.budget.sub(slot);
        self.held[self.known[slot as usize].region as usize] -= u64::from(weight);
        self.lists.unlink(slot);
    }

    /// Whether the sketch prefers `candidate` to `victim`.
    fn prefers(&mut self, candidate: u32, victim: u32) -> bool {
        let new = self.sketch.estimate(self.known[candidate as usize].print);
        let old = self.sketch.estimate(self.known[victim as usize].print);
        new > old || (new >= WARM && self.draw())
    }

    /// True once in [`WARM_LUCK`] calls, on average (xorshift).
    fn draw(&mut self) -> bool {
        self.luck ^= self.luck << 13;
        self.luck ^= self.luck >> 17;
        self.luck ^= self.luck << 5;
        self.luck.is_multiple_of(WARM_LUCK)
    }

    /// After each request to a full cache: ages the sketch and moves the window when it is time to. (A sketch that ages
    /// while the cache still fills would forget before it is ever asked.)
    #[inline]
    fn learn(&mut self) {
        if self.sketch.is_due() {
            self.sketch.age();
        }
        let entries = self.budget.entries();
        if let Some(by) = self.climber.step(entries as usize) {
            self.resize_window(by * self.budget.total() as f64 / f64::from(entries.max(1)));
        }
    }

    #[cold]
    fn resize_window(&mut self, by: f64) {
        let by = by.clamp(-self.max_window, self.max_protected);
        self.max_window += by;
        self.max_protected -= by;
        if by < 0.0 {
            while self.is_wider(WINDOW, self.max_window) {
                let Some(slot) = self.lists.front(WINDOW as usize) else { return };
                self.transfer(slot, PROBATION, true);
            }
            return;
        }
        self.demote_protected();
        while let Some(slot) = self.lists.front(PROBATION as usize) {
            if self.held[WINDOW as usize] + u64::from(self.budget.weight(slot)) > self.max_window as u64 {
                return;
            }
            self.transfer(slot, WINDOW, false);
        }
    }
}

impl Policy for WTinyLfu {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn reweighed(&mut self, slot: u32, from: u32, to: u32) {
        let held = &mut self.held[self.known[slot as usize].region as usize];
        *held = *held - u64::from(from) + u64::from(to);
        self.demote_protected();
    }

    fn resized(&mut self, from: u64) {
        if from < LEAST_SCALED {
            (self.max_window, self.max_protected) = shares(self.budget.capacity());
        } else {
            let scale = self.budget.capacity() as f64 / from as f64;
            self.max_window = (self.max_window * scale).max(1.0);
            self.max_protected *= scale;
        }
        self.demote_protected();
    }

    // Passes what the window has too much to probation, then evicts until all fits: of each candidate and the main
    // victim the one that was used less.
    fn make_room(&mut self, victims: &mut Vec<u32>) {
        let mut candidate = None;
        while self.is_wider(WINDOW, self.max_window) {
            let Some(slot) = self.lists.front(WINDOW as usize) else { break };
            self.transfer(slot, PROBATION, false);
            candidate = candidate.or(Some(slot));
        }
        while self.budget.is_over() {
            self.full = true;
            let victim = self.lists.front(PROBATION as usize);
            let (Some(new), Some(old)) = (candidate, victim) else {
                let Some(victim) = self.evict() else { return };
                victims.push(victim);
                continue;
            };
            let loser = if new != old && self.prefers(new, old) { old } else { new };
            if loser == new {
                candidate = self.lists.after(new);
            }
            self.forget(loser);
            victims.push(loser);
        }
    }

    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        let print = (hash >> 32) as u32;
        self.sketch.count(print);
        if !self.budget.admits(weight) {
            return victims.push(slot);
        }
        if slot as usize >= self.known.len() {
            self.known.resize(slot as usize + 1, Known { print: 0, region: WINDOW });
        }
        self.known[slot as usize] = Known { print, region: WINDOW };
        self.lists.push_back(WINDOW as usize, slot);
        self.budget.add(slot, weight);
        self.held[WINDOW as usize] += u64::from(weight);
        self.make_room(victims);
        if self.sketch.is_small_for(self.len()) {
            let residents = (0..3).flat_map(|region| self.lists.iter(region));
            self.sketch.grow(residents.map(|slot| self.known[slot as usize].print));
        }
        if self.full {
            self.climber.miss();
            self.learn();
        }
    }

    fn hit(&mut self, slot: u32) {
        self.sketch.count(self.known[slot as usize].print);
        match self.known[slot as usize].region {
            PROBATION if f64::from(self.budget.weight(slot)) <= self.max_protected => {
                self.transfer(slot, PROTECTED, false);
                self.demote_protected();
            }
            region => self.lists.move_to_back(region as usize, slot),
        }
        if self.full {
            self.climber.hit();
            self.learn();
        }
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.lists.contains(slot);
        if resident {
            self.forget(slot);
        }
        resident
    }

    fn evict(&mut self) -> Option<u32> {
        let front = |region: u8| self.lists.front(region as usize);
        let victim = front(PROBATION).or_else(|| front(PROTECTED)).or_else(|| front(WINDOW))?;
        self.forget(victim);
        Some(victim)
    }

    fn contains(&self, slot: u32) -> bool {
        self.lists.contains(slot)
    }

    fn order(&self) -> Vec<u32> {
        [PROBATION, PROTECTED, WINDOW].iter().flat_map(|&region| self.lists.iter(region as usize)).collect()
    }

    fn clear(&mut self) {
        *self = Self::new(self.budget.capacity());
    }

    fn memory(&self) -> usize {
        self.lists.memory()
            + self.known.capacity() * size_of::<Known>()
            + self.sketch.memory()
            + self.budget.memory()
    }

    fn check(&self) -> Result<(), String> {
        for region in [WINDOW, PROBATION, PROTECTED] {
            self.lists.check(region as usize)?;
            let mut held = 0;
            for slot in self.lists.iter(region as usize) {
                held += u64::from(self.budget.weight(slot));
                if self.known[slot as usize].region != region {
                    return Err(format!("slot {slot} is in region {region} and marked for another"));
                }
            }
            if held != self.held[region as usize] {
                return Err(format!("region {region} weighs {held}, not {:?}", self.held));
            }
        }
        if self.is_wider(PROTECTED, self.max_protected) {
            return Err(format!("the protected region weighs {:?}, over {}", self.held, self.max_protected));
        }
        self.budget.check((0..3).flat_map(|region| self.lists.iter(region)))
    }
}

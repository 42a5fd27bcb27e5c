//! W-TinyLFU with a window that adapts. The same, decision by decision, is in `src/memory/tinylfu.ts`.
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
// What is known of a slot, in one byte: its region, whether it was used since it was moved, and its uses of late.
const REGION: u8 = 3;
const USED: u8 = 4;
const USE: u8 = 16;
const USES_SHIFT: u8 = 4;
const MOST_USES: u8 = 15;
/// From here on a byte has the most uses.
const FULL: u8 = MOST_USES << USES_SHIFT;
/// All uses are halved once there were this many to each entry that the sketch has room for.
const AGE: usize = 10;
/// A candidate this warm that is no warmer than the victim is let in once in a while: an attacker who makes keys collide
/// in the sketch can't pin the victim for good.
const WARM: u8 = 6;
const WARM_LUCK: u32 = 128;

/// New entries live in a window (at first 1 % of the capacity). What leaves the window replaces the victim of the main
/// part, 80 % of which are protected, only if it was used more often of late; else it goes itself.
///
/// A use changes one byte. Entries are moved when their turn to leave has come: what was used meanwhile goes to the other
/// end of the window or into the protected region, as in CLOCK. The sketch knows only of keys that have left: an entry
/// that is held counts its uses itself, which it takes with it when it goes and finds again when it comes back.
///
/// A newcomer is never the victim of its own insert. If it is wider than the window, and was used less than the victim,
/// it is the next one to go.
///
/// 13 bytes a slot, and 8 to 16 for the sketch, or twice that in a small cache.
#[derive(Clone)]
pub struct WTinyLfu {
    lists: Chains<3>,
    /// By slot: fingerprints of the keys, and what is known of them.
    prints: Vec<u32>,
    known: Vec<u8>,
    /// Once something had to go.
    sketch: Option<Sketch>,
    climber: Climber,
    /// What the regions weigh, by number.
    held: [u64; 3],
    /// Uses since they were halved.
    uses: usize,
    /// What the window may weigh; the fraction is carried from step to step.
    max_window: f64,
    max_protected: f64,
    luck: u32,
    budget: Budget,
}

/// Below this capacity the shares are rounded too much to be scaled.
const LEAST_SCALED: u64 = 100;

/// What the window and the protected region may weigh at first.
fn shares(capacity: u64) -> (f64, f64) {
    // Not `part * capacity`, which may be more than there are numbers.
    let main = capacity - capacity.div_ceil(100);
    ((capacity - main) as f64, (main - main.div_ceil(5)) as f64)
}

impl WTinyLfu {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let (max_window, max_protected) = shares(capacity);
        Self {
            lists: Chains::new(),
            prints: Vec::new(),
            known: Vec::new(),
            sketch: None,
            climber: Climber::new(),
            held: [0; 3],
            uses: 0,
            max_window,
            max_protected,
            luck: 0x9e37_79b9,
            budget: Budget::new(capacity),
        }
    }

    /// Gives the window the share of the capacity that it has in `other`.
    pub(crate) fn share_as(&mut self, other: &Self) {
        let scale = self.budget.capacity() as f64 / other.budget.capacity().max(1) as f64;
        self.max_window = other.max_window * scale;
        self.max_protected = other.max_protected * scale;
        self.demote();
    }

    #[inline]
    fn oldest(&self, region: u8) -> Option<u32> {
        self.lists.front(region as usize)
    }

    #[inline]
    fn warmth(&self, slot: u32) -> u8 {
        self.known[slot as usize] >> USES_SHIFT
    }

    #[inline]
    fn is_used(&self, slot: u32) -> bool {
        self.known[slot as usize] & USED != 0
    }

    /// Whether the window is too wide for `weight` more.
    #[inline]
    fn is_narrow(&self, weight: u64) -> bool {
        self.held[WINDOW as usize] + weight > self.max_window as u64
    }

    /// A key comes to a full cache: how warm it is, and what is to be learned now and then.
    fn meet(&mut self, print: u32) -> u8 {
        let entries = self.budget.entries() as usize;
        if self.sketch.is_none() {
            self.climber = Climber::new();
        }
        let sketch = self.sketch.get_or_insert_with(|| Sketch::new(entries));
        let warmth = (sketch.estimate(print) + 1).min(MOST_USES);
        self.uses += 1;
        self.climber.miss();
        if self.uses >= AGE * sketch.room() {
            sketch.age();
            self.age();
        }
        if let Some(by) = self.climber.step(entries) {
            self.move_window(by);
        }
        warmth
    }

    /// Halves the uses of what is held, rounded up: at 0 the first newcomer would do as well as an entry that waits for
    /// its next use.
    #[cold]
    fn age(&mut self) {
        for byte in &mut self.known {
            let uses = (*byte >> USES_SHIFT).div_ceil(2);
            *byte = uses << USES_SHIFT | *byte & (REGION | USED);
        }
        self.uses /= 2;
    }

    fn enter(&mut self, slot: u32, print: u32, warmth: u8, weight: u32) {
        if slot as usize >= self.known.len() {
            self.known.resize(slot as usize + 1, 0);
            self.prints.resize(slot as usize + 1, 0);
        }
        self.prints[slot as usize] = print;
        self.known[slot as usize] = WINDOW | warmth << USES_SHIFT;
        self.lists.push_back(WINDOW as usize, slot);
        self.budget.add(slot, weight);
        self.held[WINDOW as usize] += u64::from(weight);
    }

    fn forget(&mut self, slot: u32) {
        let weight = self.budget.sub(slot);
        self.held[(self.known[slot as usize] & REGION) as usize] -= u64::from(weight);
        self.lists.unlink(slot);
    }

    /// As `forget`, but its uses are remembered.
    fn leave(&mut self, slot: u32) {
        if let Some(sketch) = &mut self.sketch {
            sketch.raise(self.prints[slot as usize], self.known[slot as usize] >> USES_SHIFT);
        }
        self.forget(slot);
    }

    /// Makes a resident slot the newest (or, if `is_next`, the oldest) of a region.
    fn transfer(&mut self, slot: u32, to: u8, is_next: bool) {
        let weight = u64::from(self.budget.weight(slot));
        let known = &mut self.known[slot as usize];
        self.held[(*known & REGION) as usize] -= weight;
        self.held[to as usize] += weight;
        *known = *known & FULL | to;
        self.lists.unlink(slot);
        if is_next {
            self.lists.push_front(to as usize, slot);
        } else {
            self.lists.push_back(to as usize, slot);
        }
    }

    fn demote(&mut self) {
        while self.held[PROTECTED as usize] > self.max_protected as u64 {
            let Some(slot) = self.oldest(PROTECTED) else { return };
            self.transfer(slot, if self.is_used(slot) { PROTECTED } else { PROBATION }, false);
        }
    }

    /// Passes what the window has too much to probation, so that `weight` more fits; the first of it.
    fn narrow(&mut self, weight: u32) -> Option<u32> {
        let mut candidate = None;
        while self.is_narrow(u64::from(weight)) {
            let Some(slot) = self.oldest(WINDOW) else { break };
            if self.is_used(slot) {
                self.transfer(slot, WINDOW, false);
                continue;
            }
            self.transfer(slot, PROBATION, false);
            candidate = candidate.or(Some(slot));
        }
        candidate
    }

    /// Where the window is full of entries of weight 1: the victim for which its oldest leaves it.
    fn pushed(&mut self) -> Option<u32> {
        let mut candidate = self.oldest(WINDOW)?;
        while self.is_used(candidate) {
            self.known[candidate as usize] ^= USED;
            self.lists.move_to_back(WINDOW as usize, candidate);
            candidate = self.oldest(WINDOW)?;
        }
        let Some(victim) = self.main_victim() else { return Some(candidate) };
        if !self.is_warmer(self.warmth(candidate), victim) {
            return Some(candidate);
        }
        self.transfer(candidate, PROBATION, false);
        Some(victim)
    }

    /// The oldest slot of probation that was not used; those before it become protected.
    fn main_victim(&mut self) -> Option<u32> {
        loop {
            let slot = self.oldest(PROBATION)?;
            if !self.is_used(slot) || u64::from(self.budget.weight(slot)) > self.max_protected as u64 {
                return Some(slot);
            }
            self.transfer(slot, PROTECTED, false);
            self.demote();
        }
    }

    /// Which of a candidate, if there is one, and the main victim goes.
    fn loser(&mut self, candidate: Option<u32>) -> Option<u32> {
        let victim = self.main_victim();
        let (Some(new), Some(old)) = (candidate, victim) else { return victim.or_else(|| self.first()) };
        let gets_in = new != old && self.is_warmer(self.warmth(new), old);
        Some(if gets_in { old } else { new })
    }

    /// Evicts until all is within the capacity less `weight`.
    fn fit(&mut self, weight: u32, mut candidate: Option<u32>, victims: &mut Vec<u32>) {
        while self.budget.total() + u64::from(weight) > self.budget.capacity() {
            let Some(victim) = self.loser(candidate) else { return };
            if candidate == Some(victim) {
                candidate = self.lists.after(victim);
            }
            self.leave(victim);
            victims.push(victim);
        }
    }

    /// The first in the order.
    fn first(&self) -> Option<u32> {
        self.oldest(PROBATION).or_else(|| self.oldest(PROTECTED)).or_else(|| self.oldest(WINDOW))
    }

    /// Whether so many uses are more than those of a slot.
    fn is_warmer(&mut self, warmth: u8, victim: u32) -> bool {
        warmth > self.warmth(victim) || (warmth >= WARM && self.draw())
    }

    /// True once in [`WARM_LUCK`] calls, on average (xorshift).
    fn draw(&mut self) -> bool {
        self.luck ^= self.luck << 13;
        self.luck ^= self.luck >> 17;
        self.luck ^= self.luck << 5;
        self.luck.is_multiple_of(WARM_LUCK)
    }

    #[cold]
    fn move_window(&mut self, entries: f64) {
        let weight = entries * self.budget.total() as f64 / f64::from(self.budget.entries().max(1));
        let most = (self.max_window - 1.0).max(0.0);
        let by = weight.max(-most).min(self.max_protected);
        self.max_window += by;
        self.max_protected -= by;
        if by < 0.0 {
            while self.is_narrow(0) {
                let Some(slot) = self.oldest(WINDOW) else { return };
                self.transfer(slot, PROBATION, true);
            }
            return;
        }
        self.demote();
        while let Some(slot) = self.oldest(PROBATION) {
            if self.is_narrow(u64::from(self.budget.weight(slot))) {
                return;
            }
            self.transfer(slot, WINDOW, false);
        }
    }

    /// Makes room for a newcomer; its warmth, and whether it is to be the next to go.
    fn welcome(&mut self, print: u32, weight: u32, victims: &mut Vec<u32>) -> (u8, bool) {
        if self.budget.fits(weight) {
            self.uses += 1;
            return (1, false);
        }
        let warmth = self.meet(print);
        let candidate = self.narrow(weight);
        self.fit(weight, candidate, victims);
        let victim = self.oldest(PROBATION).filter(|_| u64::from(weight) > self.max_window as u64);
        (warmth, victim.is_some_and(|victim| !self.is_warmer(warmth, victim)))
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
        let held = &mut self.held[(self.known[slot as usize] & REGION) as usize];
        *held = *held - u64::from(from) + u64::from(to);
        self.demote();
    }

    fn resized(&mut self, from: u64) {
        if from < LEAST_SCALED {
            (self.max_window, self.max_protected) = shares(self.budget.capacity());
        } else {
            let scale = self.budget.capacity() as f64 / from as f64;
            self.max_window = (self.max_window * scale).max(1.0);
            self.max_protected *= scale;
        }
        self.demote();
    }

    fn make_room(&mut self, victims: &mut Vec<u32>) {
        let candidate = self.narrow(0);
        self.fit(0, candidate, victims);
    }

    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        if !self.budget.admits(weight) {
            return victims.push(slot);
        }
        let print = (hash >> 32) as u32;
        if weight == 1 && self.budget.is_plain() && !self.budget.fits(1) {
            // What most inserts are: fewer moves than below.
            let warmth = self.meet(print);
            let victim = if self.is_narrow(1) { self.pushed() } else { self.loser(None) };
            if let Some(victim) = victim {
                self.leave(victim);
                victims.push(victim);
            }
            return self.enter(slot, print, warmth, 1);
        }
        let (warmth, is_guest) = self.welcome(print, weight, victims);
        self.enter(slot, print, warmth, weight);
        if is_guest {
            self.transfer(slot, PROBATION, true);
        } else {
            self.narrow(0);
        }
        let entries = self.len();
        if let Some(sketch) = self.sketch.as_mut().filter(|sketch| entries > sketch.room()) {
            sketch.grow();
        }
    }

    #[inline]
    fn hit(&mut self, slot: u32) {
        let known = &mut self.known[slot as usize];
        if *known < FULL {
            *known += USE;
            self.uses += 1;
        }
        *known |= USED;
        self.climber.hit();
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.lists.contains(slot);
        if resident {
            self.forget(slot);
        }
        resident
    }

    fn evict(&mut self) -> Option<u32> {
        let victim = self.first()?;
        self.leave(victim);
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
            + self.prints.capacity() * size_of::<u32>()
            + self.known.capacity()
            + self.sketch.as_ref().map_or(0, Sketch::memory)
            + self.budget.memory()
    }

    fn check(&self) -> Result<(), String> {
        for region in [WINDOW, PROBATION, PROTECTED] {
            self.lists.check(region as usize)?;
            let mut held = 0;
            for slot in self.lists.iter(region as usize) {
                held += u64::from(self.budget.weight(slot));
                if self.known[slot as usize] & REGION != region {
                    return Err(format!("slot {slot} is in region {region} and marked for another"));
                }
            }
            if held != self.held[region as usize] {
                return Err(format!("region {region} weighs {held}, not {:?}", self.held));
            }
        }
        if self.held[PROTECTED as usize] > self.max_protected as u64 {
            return Err(format!("the protected region weighs {:?}, over {}", self.held, self.max_protected));
        }
        self.budget.check((0..3).flat_map(|region| self.lists.iter(region)))
    }
}

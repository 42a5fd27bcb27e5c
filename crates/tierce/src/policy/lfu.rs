//! Least frequently used, exact and O(1).
//!
//! D. Matani, K. Shah, A. Mitra: An O(1) algorithm for implementing the LFU cache eviction scheme, 2010
//! (arXiv 2110.11602).

use super::Policy;
use super::budget::Budget;
use super::chain::{Chains, NONE};

/// The entries that have been used `count` times: a run of the list that ends with `last`.
#[derive(Clone, Copy)]
struct Bucket {
    count: u32,
    entries: u32,
    last: u32,
    prev: u32,
    next: u32,
}

/// Evicts the entry with the fewest uses since its insert (which counts as one), and among equals the one whose last
/// use is the longest ago. The count is forgotten on eviction. 12 bytes a slot, and 20 for each count in use.
///
/// One list holds all entries in the order of eviction; a bucket knows where its run ends, so an entry that gains a
/// use goes behind the last one of the next bucket.
#[derive(Clone)]
pub struct Lfu {
    list: Chains<1>,
    bucket_of: Vec<u32>,
    buckets: Vec<Bucket>,
    free: Vec<u32>,
    lowest: u32,
    budget: Budget,
}

impl Lfu {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            list: Chains::new(),
            bucket_of: Vec::new(),
            buckets: Vec::new(),
            free: Vec::new(),
            lowest: NONE,
            budget: Budget::new(capacity),
        }
    }

    /// A new, empty bucket behind `prev` (`NONE`: the lowest).
    fn open(&mut self, count: u32, prev: u32) -> u32 {
        let next = if prev == NONE { self.lowest } else { self.buckets[prev as usize].next };
        let bucket = Bucket { count, entries: 0, last: NONE, prev, next };
        let id = match self.free.pop() {
            Some(id) => {
                self.buckets[id as usize] = bucket;
                id
            }
            None => {
                self.buckets.push(bucket);
                self.buckets.len() as u32 - 1
            }
        };
        if prev == NONE {
            self.lowest = id;
        } else {
            self.buckets[prev as usize].next = id;
        }
        if next != NONE {
            self.buckets[next as usize].prev = id;
        }
        id
    }

    /// Takes `slot` out of its bucket's account, and the bucket away if that was the last. The list still has it.
    fn leave(&mut self, slot: u32) {
        let id = self.bucket_of[slot as usize];
        let bucket = &mut self.buckets[id as usize];
        bucket.entries -= 1;
        if bucket.entries > 0 {
            if bucket.last == slot {
                bucket.last = self.list.before(slot).unwrap_or(NONE);
            }
            return;
        }
        let Bucket { prev, next, .. } = *bucket;
        if prev == NONE {
            self.lowest = next;
        } else {
            self.buckets[prev as usize].next = next;
        }
        if next != NONE {
            self.buckets[next as usize].prev = prev;
        }
        self.free.push(id);
    }

    /// Puts an unlinked `slot` last in bucket `id`; an empty bucket's run starts behind the bucket before it.
    fn join(&mut self, id: u32, slot: u32) {
        let Bucket { last, prev, .. } = self.buckets[id as usize];
        let behind = if last != NONE || prev == NONE { last } else { self.buckets[prev as usize].last };
        if behind == NONE {
            self.list.push_front(0, slot);
        } else {
            self.list.push_after(behind, slot);
        }
        let bucket = &mut self.buckets[id as usize];
        bucket.last = slot;
        bucket.entries += 1;
        self.bucket_of[slot as usize] = id;
    }

    /// The bucket of the most uses; `NONE` where there is none.
    fn highest(&self) -> u32 {
        self.list.back(0).map_or(NONE, |slot| self.bucket_of[slot as usize])
    }

    fn forget(&mut self, slot: u32) {
        self.leave(slot);
        self.list.unlink(slot);
        self.budget.sub(slot);
    }
}

impl Policy for Lfu {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn insert(&mut self, slot: u32, _hash: u64, weight: u32, victims: &mut Vec<u32>) {
        if !self.admit(slot, weight, victims) {
            return;
        }
        if slot as usize >= self.bucket_of.len() {
            self.bucket_of.resize(slot as usize + 1, NONE);
        }
        let ones = if self.lowest != NONE && self.buckets[self.lowest as usize].count == 1 {
            self.lowest
        } else {
            self.open(1, NONE)
        };
        self.join(ones, slot);
        self.budget.add(slot, weight);
    }

    fn hit(&mut self, slot: u32) {
        let id = self.bucket_of[slot as usize];
        let Bucket { count, next, entries, .. } = self.buckets[id as usize];
        let wanted = count.saturating_add(1);
        let next_fits = next != NONE && self.buckets[next as usize].count == wanted;
        if entries == 1 && !next_fits {
            self.buckets[id as usize].count = wanted;
            return;
        }
        let to = if next_fits { next } else { self.open(wanted, id) };
        self.leave(slot);
        self.list.unlink(slot);
        self.join(to, slot);
    }

    fn remove(&mut self, slot: u32) -> bool {
        let resident = self.list.contains(slot);
        if resident {
            self.forget(slot);
        }
        resident
    }

    fn evict(&mut self) -> Option<u32> {
        let victim = self.list.front(0)?;
        self.forget(victim);
        Some(victim)
    }

    fn contains(&self, slot: u32) -> bool {
        self.list.contains(slot)
    }

    fn order(&self) -> Vec<u32> {
        self.list.iter(0).collect()
    }

    fn candidates(&self, count: usize) -> Vec<u32> {
        // An insert goes behind those of count 1, and before all others.
        let ones = self.buckets.get(self.lowest as usize).filter(|bucket| bucket.count == 1);
        self.list.iter(0).take(count.min(ones.map_or(1, |bucket| bucket.entries as usize))).collect()
    }

    fn uses(&self, slot: u32) -> u32 {
        if !self.contains(slot) {
            return 0;
        }
        self.buckets[self.bucket_of[slot as usize] as usize].count
    }

    fn restore_uses(&mut self, slot: u32, uses: u32) {
        if !self.contains(slot) {
            return;
        }
        self.leave(slot);
        self.list.unlink(slot);
        // From the top: slots are restored in the order of eviction, each behind those before it.
        let mut below = self.highest();
        while below != NONE && self.buckets[below as usize].count > uses {
            below = self.buckets[below as usize].prev;
        }
        let fits = below != NONE && self.buckets[below as usize].count == uses;
        let to = if fits { below } else { self.open(uses.max(1), below) };
        self.join(to, slot);
    }

    fn clear(&mut self) {
        *self = Self::new(self.budget.capacity());
    }

    fn memory(&self) -> usize {
        self.list.memory()
            + (self.bucket_of.capacity() + self.free.capacity()) * size_of::<u32>()
            + self.buckets.capacity() * size_of::<Bucket>()
            + self.budget.memory()
    }

    fn check(&self) -> Result<(), String> {
        self.list.check(0)?;
        let mut slots = self.list.iter(0);
        let (mut id, mut below) = (self.lowest, 0);
        while id != NONE {
            let bucket = self.buckets[id as usize];
            if bucket.count <= below || bucket.entries == 0 {
                return Err(format!(
                    "bucket {id} of count {} comes after {below}, or is empty",
                    bucket.count
                ));
            }
            let run: Vec<u32> = slots.by_ref().take(bucket.entries as usize).collect();
            if run.last() != Some(&bucket.last) || run.iter().any(|&slot| self.bucket_of[slot as usize] != id)
            {
                return Err(format!("bucket {id} and its run {run:?} differ"));
            }
            (below, id) = (bucket.count, bucket.next);
        }
        if slots.next().is_some() {
            return Err("an entry is in no bucket".into());
        }
        self.budget.check(self.list.iter(0))
    }
}

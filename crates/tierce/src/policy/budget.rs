//! What the entries weigh, and what they may.

/// The weights of the resident slots against a capacity, both in the caller's unit (1 an entry, or bytes).
///
/// Nothing is stored for a slot while every weight has been 1.
#[derive(Clone)]
pub struct Budget {
    each: Vec<u32>,
    total: u64,
    capacity: u64,
    entries: u32,
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { each: Vec::new(), total: 0, capacity, entries: 0 }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    #[inline]
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    #[inline]
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// Whether an object of `weight` can be held at all.
    #[inline]
    pub(crate) fn admits(&self, weight: u32) -> bool {
        u64::from(weight) <= self.capacity
    }

    /// Whether `weight` more can be held without an eviction.
    #[inline]
    pub(crate) fn fits(&self, weight: u32) -> bool {
        self.total + u64::from(weight) <= self.capacity
    }

    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.total > self.capacity
    }

    /// Whether every weight has been 1.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.each.is_empty()
    }

    #[inline]
    pub(crate) fn weight(&self, slot: u32) -> u32 {
        self.each.get(slot as usize).copied().unwrap_or(1)
    }

    #[inline]
    pub(crate) fn add(&mut self, slot: u32, weight: u32) {
        self.total += u64::from(weight);
        self.entries += 1;
        if weight != 1 || (slot as usize) < self.each.len() {
            self.store(slot, weight);
        }
    }

    fn store(&mut self, slot: u32, weight: u32) {
        if slot as usize >= self.each.len() {
            self.each.resize(slot as usize + 1, 1);
        }
        self.each[slot as usize] = weight;
    }

    /// Forgets a resident slot and returns what it weighed.
    #[inline]
    pub(crate) fn sub(&mut self, slot: u32) -> u32 {
        let weight = self.weight(slot);
        self.total -= u64::from(weight);
        self.entries -= 1;
        weight
    }

    /// Reweighs a resident slot and returns what it weighed.
    pub(crate) fn reweigh(&mut self, slot: u32, weight: u32) -> u32 {
        let old = self.sub(slot);
        self.add(slot, weight);
        old
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    pub(crate) fn memory(&self) -> usize {
        self.each.capacity() * size_of::<u32>()
    }

    /// `slots` are all the residents, they weigh what the total says, and the total is within the capacity.
    pub(crate) fn check(&self, slots: impl Iterator<Item = u32>) -> Result<(), String> {
        let (mut entries, mut total) = (0u32, 0u64);
        for slot in slots {
            entries += 1;
            total += u64::from(self.weight(slot));
        }
        if (entries, total) != (self.entries, self.total) {
            return Err(format!(
                "{entries} slots weigh {total}; the account says {} weigh {}",
                self.entries, self.total
            ));
        }
        if self.is_over() {
            return Err(format!("{total} is over the capacity of {}", self.capacity));
        }
        Ok(())
    }
}

//! Keys that were evicted a short while ago.

use std::collections::VecDeque;

use hashbrown::HashTable;

#[derive(Clone, Copy)]
struct Gone {
    print: u32,
    weight: u32,
}

/// A FIFO of the 32-bit fingerprints of evicted keys, bounded by their weights.
///
/// The table maps a fingerprint to its number in the queue; a place in the queue that the table does not point to is
/// dead. Two keys with one fingerprint pass for one: at worst an entry goes into the wrong queue.
#[derive(Clone)]
pub(crate) struct Ghost {
    queue: VecDeque<Gone>,
    table: HashTable<u32>,
    /// The number of the first place in the queue; numbers wrap.
    first: u32,
    weight: u64,
    capacity: u64,
}

#[inline]
fn spread(print: u32) -> u64 {
    u64::from(print).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Ghost {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { queue: VecDeque::new(), table: HashTable::new(), first: 0, weight: 0, capacity }
    }

    fn find(&self, print: u32) -> Option<u32> {
        let (queue, first) = (&self.queue, self.first);
        let is_it = |number: &u32| queue[number.wrapping_sub(first) as usize].print == print;
        self.table.find(spread(print), is_it).copied()
    }

    /// Forgets a key; false if it was not known.
    #[inline]
    pub(crate) fn remove(&mut self, print: u32) -> bool {
        let (queue, first) = (&self.queue, self.first);
        let is_it = |number: &u32| queue[number.wrapping_sub(first) as usize].print == print;
        let Ok(place) = self.table.find_entry(spread(print), is_it) else { return false };
        let (number, _) = place.remove();
        self.weight -= u64::from(self.queue[number.wrapping_sub(first) as usize].weight);
        true
    }

    /// Remembers an evicted key, and forgets the oldest ones that no longer fit, or are more than `most`: what weighs
    /// little, or nothing, takes memory here too.
    pub(crate) fn push(&mut self, print: u32, weight: u32, most: usize) {
        if u64::from(weight) > self.capacity {
            return;
        }
        self.remove(print);
        let is_over = |ghost: &Self| {
            ghost.weight + u64::from(weight) > ghost.capacity || ghost.table.len() >= most.max(1)
        };
        while is_over(self) && self.pop() {}
        if self.queue.len() > 2 * self.table.len() + 64 {
            self.compact();
        }
        self.append(Gone { print, weight });
    }

    fn append(&mut self, gone: Gone) {
        let number = self.first.wrapping_add(self.queue.len() as u32);
        self.queue.push_back(gone);
        self.weight += u64::from(gone.weight);
        let (queue, first) = (&self.queue, self.first);
        let rehash = |number: &u32| spread(queue[number.wrapping_sub(first) as usize].print);
        self.table.insert_unique(spread(gone.print), number, rehash);
    }

    fn pop(&mut self) -> bool {
        let Some(&Gone { print, .. }) = self.queue.front() else { return false };
        if self.find(print) == Some(self.first) {
            self.remove(print);
        }
        self.queue.pop_front();
        self.first = self.first.wrapping_add(1);
        true
    }

    /// Drops the dead places, which only leave by themselves once they are the oldest.
    fn compact(&mut self) {
        let old = std::mem::take(&mut self.queue);
        let table = std::mem::take(&mut self.table);
        let mut numbers: Vec<u32> = table.iter().map(|number| number.wrapping_sub(self.first)).collect();
        numbers.sort_unstable();
        (self.first, self.weight) = (0, 0);
        for number in numbers {
            self.append(old[number as usize]);
        }
    }

    pub(crate) fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
        while self.weight > capacity && self.pop() {}
    }

    pub(crate) fn memory(&self) -> usize {
        self.queue.capacity() * size_of::<Gone>() + self.table.allocation_size()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let place = |number: &u32| self.queue.get(number.wrapping_sub(self.first) as usize);
        let weight: Option<u64> =
            self.table.iter().map(|number| place(number).map(|gone| u64::from(gone.weight))).sum();
        if weight != Some(self.weight) || self.weight > self.capacity {
            return Err(format!(
                "ghosts weigh {weight:?}, account {}, capacity {}",
                self.weight, self.capacity
            ));
        }
        Ok(())
    }
}

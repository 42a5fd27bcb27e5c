//! `s3-fifo`: a small queue, a main queue, and a memory of who has left; see `crate::policy::S3Fifo`.
//!
//! The queues are the column `entered`, and `mark` says which one. What the small queue weighs is in shared memory, and
//! each scan sets it right. Who has left is known to the handle that evicted it, until it closes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use super::{Capacity, Next, QUEUE, Scene};
use crate::disk::epoch::EpochTable;
use crate::disk::row::{Place, Standing};
use crate::error::Result;
use crate::policy::Ghost;

/// Uses that count at most.
const MAX_USES: i64 = 3;

/// The front of one queue.
#[derive(Debug, Default)]
struct Front {
    /// Place and id.
    queue: VecDeque<(i64, i64)>,
    /// Whether all of it is here.
    is_all: bool,
    found: BTreeSet<(i64, i64)>,
}

impl Front {
    fn add(&mut self, found: (i64, i64)) {
        self.found.insert(found);
        if self.found.len() > QUEUE {
            self.is_all = false;
            self.found.pop_last();
        }
    }

    fn end(&mut self) {
        self.queue = std::mem::take(&mut self.found).into_iter().collect();
    }

    fn push(&mut self, found: (i64, i64)) {
        self.is_all &= self.queue.len() < 2 * QUEUE;
        if self.is_all {
            self.queue.push_back(found);
        }
    }

    /// The first that is still there. `None` when the queue is at its end.
    fn peek(&mut self, scene: Scene<'_>, main: bool) -> Result<Option<Standing>> {
        while let Some(&(entered, id)) = self.queue.front() {
            let found = scene.look(id)?;
            let found = found.filter(|found| found.place.entered == entered && found.place.main == main);
            if found.is_some() {
                return Ok(found);
            }
            self.queue.pop_front();
        }
        Ok(None)
    }
}

/// Both queues, as far as they are known.
pub(super) struct S3Fifo {
    small: Front,
    main: Front,
    /// Found by the scan that is under way.
    small_weight: u64,
    ghost: Ghost,
    capacity: Capacity,
}

impl std::fmt::Debug for S3Fifo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Fifo").field("small", &self.small).field("main", &self.main).finish_non_exhaustive()
    }
}

fn print(id: i64) -> u32 {
    (id as u64 >> 32) as u32
}

impl S3Fifo {
    pub fn new(capacity: Capacity) -> Self {
        let (Capacity::Entries(units) | Capacity::Bytes(units)) = capacity;
        Self {
            small: Front::default(),
            main: Front::default(),
            small_weight: 0,
            ghost: Ghost::new(units - units.div_ceil(10)),
            capacity,
        }
    }

    fn small_share(&self) -> u64 {
        let (Capacity::Entries(units) | Capacity::Bytes(units)) = self.capacity;
        (units / 10).max(1)
    }

    /// What an entry of so many bytes weighs.
    fn units(&self, bytes: u64) -> u64 {
        match self.capacity {
            Capacity::Entries(_) => bytes.min(1),
            Capacity::Bytes(_) => bytes,
        }
    }

    /// Corrects what the small queue weighs: an entry of `old` bytes has `new` ones now.
    pub fn weigh(&self, epochs: &EpochTable, main: bool, old: u64, new: u64) {
        if !main {
            let (old, new) = (self.units(old), self.units(new));
            let word = epochs.small_weight();
            word.store(
                word.load(Ordering::Relaxed).saturating_add(new).saturating_sub(old),
                Ordering::Relaxed,
            );
        }
    }

    pub fn begin(&mut self) {
        let front = || Front { is_all: true, ..Front::default() };
        (self.small, self.main, self.small_weight) = (front(), front(), 0);
    }

    pub fn add(&mut self, found: &Standing) {
        let place = (found.place.entered, found.id);
        if found.place.main {
            self.main.add(place);
        } else {
            self.small_weight += self.units(found.weight);
            self.small.add(place);
        }
    }

    pub fn end(&mut self, epochs: &EpochTable) {
        self.small.end();
        self.main.end();
        epochs.small_weight().store(self.small_weight, Ordering::Relaxed);
    }

    /// Whether a new entry goes to the main queue at once: it was here a short while ago, or the small queue has no room
    /// while the cache still has.
    pub fn admit(&mut self, epochs: &EpochTable, row: &Standing) -> bool {
        let full =
            epochs.small_weight().load(Ordering::Relaxed) + self.units(row.weight) > self.small_share();
        let filling = epochs.was_full().load(Ordering::Relaxed) == 0;
        self.ghost.remove(print(row.id)) || (filling && full)
    }

    pub fn push(&mut self, row: &Standing) {
        let queue = if row.place.main { &mut self.main } else { &mut self.small };
        queue.push((row.place.entered, row.id));
    }

    pub fn clear(&mut self, epochs: &EpochTable) {
        *self = Self::new(self.capacity);
        epochs.small_weight().store(0, Ordering::Relaxed);
        epochs.was_full().store(0, Ordering::Relaxed);
    }

    pub fn next(&mut self, scene: Scene<'_>) -> Result<Next> {
        scene.epochs.was_full().store(1, Ordering::Relaxed);
        let small_is_full = scene.epochs.small_weight().load(Ordering::Relaxed) >= self.small_share();
        if small_is_full || (self.main.peek(scene, true)?.is_none() && self.main.is_all) {
            match self.next_small(scene)? {
                Next::Nobody => {}
                found => return Ok(found),
            }
        }
        match self.next_main(scene)? {
            Next::Nobody => self.next_small(scene),
            found => Ok(found),
        }
    }

    fn next_small(&mut self, scene: Scene<'_>) -> Result<Next> {
        while let Some(found) = self.small.peek(scene, false)? {
            self.small.queue.pop_front();
            if found.fresh_uses() > 0 || found.id == scene.newest {
                self.weigh(scene.epochs, false, found.weight, 0);
                self.move_to_main(scene, &found, 0)?;
            } else if let Some(removed) = scene.evict(&found)? {
                self.weigh(scene.epochs, false, removed.weight(), 0);
                let weight = u32::try_from(self.units(removed.weight())).unwrap_or(u32::MAX);
                self.ghost.push(print(removed.id), weight, usize::MAX);
                return Ok(Next::Victim(removed));
            }
        }
        Ok(if self.small.is_all { Next::Nobody } else { Next::Scan })
    }

    fn next_main(&mut self, scene: Scene<'_>) -> Result<Next> {
        let mut spared = false;
        while let Some(found) = self.main.peek(scene, true)? {
            self.main.queue.pop_front();
            let uses = found.fresh_uses().min(MAX_USES);
            if uses > 0 {
                self.move_to_main(scene, &found, uses - 1)?;
            } else if found.id == scene.newest {
                if std::mem::replace(&mut spared, true) {
                    break; // nobody else is left
                }
                self.move_to_main(scene, &found, 0)?;
            } else if let Some(removed) = scene.evict(&found)? {
                return Ok(Next::Victim(removed));
            }
        }
        Ok(if self.main.is_all { Next::Nobody } else { Next::Scan })
    }

    /// Puts an entry behind the others of the main queue, with so many uses left.
    fn move_to_main(&mut self, scene: Scene<'_>, found: &Standing, uses: i64) -> Result<()> {
        let place = Place {
            entered: scene.epochs.tick(scene.now),
            counted: found.uses() - uses,
            main: true,
            ..found.place
        };
        scene.transaction.replace(found.id, place)?;
        self.main.push((place.entered, found.id));
        Ok(())
    }
}

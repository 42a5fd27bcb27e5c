//! `sieve`: a hand goes from the oldest entry to the newest; see `crate::policy::Sieve`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use super::{Next, QUEUE, Scene};
use crate::disk::row::{Place, Standing};
use crate::error::Result;

/// What is before the hand.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    /// Place and id, the hand stands at the first.
    ahead: VecDeque<(i64, i64)>,
    /// Whether everything between the hand and the newest entry is in it.
    is_all: bool,
    /// During a scan: where the hand stands, and the first that are found from there and from the oldest on.
    hand: i64,
    from_hand: BTreeSet<(i64, i64)>,
    from_oldest: BTreeSet<(i64, i64)>,
    cut: (bool, bool),
}

fn keep(set: &mut BTreeSet<(i64, i64)>, cut: &mut bool, found: (i64, i64)) {
    if set.len() == QUEUE {
        *cut = true;
        if set.last().is_some_and(|last| found > *last) {
            return;
        }
        set.pop_last();
    }
    set.insert(found);
}

impl Sieve {
    pub fn begin(&mut self, scene: Scene<'_>) {
        *self = Self { hand: scene.epochs.hand().load(Ordering::Relaxed) as i64, ..Self::default() };
    }

    pub fn add(&mut self, found: &Standing) {
        let found = (found.place.entered, found.id);
        if found.0 >= self.hand && self.hand != 0 {
            keep(&mut self.from_hand, &mut self.cut.0, found);
        }
        keep(&mut self.from_oldest, &mut self.cut.1, found);
    }

    pub fn end(&mut self) {
        let (from_hand, from_oldest) =
            (std::mem::take(&mut self.from_hand), std::mem::take(&mut self.from_oldest));
        let (ahead, cut) =
            if from_hand.is_empty() { (from_oldest, self.cut.1) } else { (from_hand, self.cut.0) };
        self.ahead = ahead.into_iter().collect();
        self.is_all = !cut;
    }

    pub fn push(&mut self, row: &Standing) {
        if self.is_all && !self.ahead.is_empty() {
            self.is_all = self.ahead.len() < 2 * QUEUE;
            if self.is_all {
                self.ahead.push_back((row.place.entered, row.id));
            }
        }
    }

    /// An entry has gone; where the hand stood at it, it moves on.
    pub fn removed(&mut self, scene: Scene<'_>, id: i64) -> Result<()> {
        if self.ahead.front().is_some_and(|front| front.1 == id) {
            self.step(scene)?;
        }
        Ok(())
    }

    /// Moves the hand on, to the next that is there.
    fn step(&mut self, scene: Scene<'_>) -> Result<()> {
        let mut last = 0;
        if let Some((entered, _)) = self.ahead.pop_front() {
            last = entered;
        }
        while let Some(&(entered, id)) = self.ahead.front() {
            if scene.transaction.standing(id)?.is_some_and(|found| found.place.entered == entered) {
                break;
            }
            last = entered;
            self.ahead.pop_front();
        }
        // Past the newest, it is at the oldest again, whoever comes meanwhile.
        let rest = if self.is_all { 0 } else { last + 1 };
        let hand = self.ahead.front().map_or(rest, |front| front.0);
        scene.epochs.hand().store(hand as u64, Ordering::Relaxed);
        Ok(())
    }

    pub fn next(&mut self, scene: Scene<'_>) -> Result<Next> {
        loop {
            let Some(&(entered, id)) = self.ahead.front() else { return Ok(Next::Scan) };
            let found = scene.look(id)?.filter(|found| found.place.entered == entered);
            let Some(found) = found else {
                self.step(scene)?;
                continue;
            };
            if found.fresh_uses() > 0 {
                scene.transaction.replace(id, Place { counted: found.uses(), ..found.place })?;
            } else if id != scene.newest {
                self.step(scene)?;
                if let Some(removed) = scene.evict(&found)? {
                    return Ok(Next::Victim(removed));
                }
                continue;
            }
            self.step(scene)?;
        }
    }
}

//! Epochs around a write: moved on before it counts and again behind it, so that no memory tier keeps what it replaced.

use super::engine::Engine;
use super::epoch;
use super::ready::Ready;
use super::write::Written;

/// Slots of the epoch table in rising order, each with its counter.
pub(super) type Slots = Vec<(u32, u32)>;

impl Engine {
    /// Before the commit: moves the epochs on, so that a kill between the commit and [`Engine::publish`] leaves no
    /// memory tier with what was replaced. Gives where they are.
    pub fn announce_epochs(&self, ready: &[Ready<'_>], written: &[Written], invalidated: &[u32]) -> Slots {
        if ready.iter().any(|write| matches!(write, Ready::Clear)) {
            self.epochs.bump_all();
        }
        let changed = ready.iter().zip(written).filter_map(|(write, outcome)| write.changed(outcome));
        let known = changed.map(|digest| digest.slot(epoch::BITS));
        let mut slots: Vec<u32> = known.chain(invalidated.iter().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        let announced = slots.into_iter().map(|slot| (slot, self.epochs.bump(slot))).collect();
        // What was invalidated may have been set by this batch: one step more than `publish` expects keeps such a value
        // out of every memory tier.
        for slot in invalidated {
            self.epochs.bump(*slot);
        }
        announced
    }

    /// After the commit: moves the epochs on, so that no memory tier keeps what it read before it.
    pub fn publish(&self, ready: &[Ready<'_>], written: &mut [Written], announced: Slots) {
        if ready.iter().any(|write| matches!(write, Ready::Clear)) {
            self.accesses.clear();
            self.epochs.bump_all();
            return;
        }
        // One step is ours. More means that another write of this slot was published around this one.
        let moved: Vec<(u32, Option<u32>)> = announced
            .into_iter()
            .map(|(slot, before)| {
                (slot, Some(self.epochs.bump(slot)).filter(|now| *now == before.wrapping_add(1)))
            })
            .collect();
        for (write, outcome) in ready.iter().zip(written) {
            let Some(digest) = write.changed(outcome) else { continue };
            outcome.id = digest.id();
            outcome.slot = digest.slot(epoch::BITS);
            let found = moved.binary_search_by_key(&outcome.slot, |(slot, _)| *slot);
            outcome.epoch = found.ok().and_then(|at| moved[at].1);
        }
    }

    /// As `announce_epochs`: the database stays as it is, and snapshots of it are good.
    pub fn announce_apart(&self, ready: &[Ready<'_>]) -> Slots {
        let mut slots: Vec<u32> = ready.iter().filter_map(Ready::slot).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.into_iter().map(|slot| (slot, self.epochs.bump_apart(slot))).collect()
    }

    pub fn publish_apart(&self, ready: &[Ready<'_>], announced: &[(u32, u32)]) -> Vec<Written> {
        let moved: Vec<_> = announced
            .iter()
            .map(|(slot, before)| {
                let now = self.epochs.bump_apart(*slot);
                (*slot, Some(now).filter(|now| *now == before.wrapping_add(1)))
            })
            .collect();
        ready
            .iter()
            .map(|set| {
                set.written(|slot| {
                    let found = moved.binary_search_by_key(&slot, |(slot, _)| *slot);
                    found.ok().and_then(|at| moved[at].1)
                })
            })
            .collect()
    }
}

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
        let announced = announce(known.chain(invalidated.iter().copied()), |slot| self.epochs.bump(slot));
        // What was invalidated may have been set by this batch: one step more than `publish` expects keeps such a value
        // out of every memory tier.
        for slot in invalidated {
            self.epochs.bump(*slot);
        }
        announced
    }

    /// After the commit: moves the epochs on, so that no memory tier keeps what it read before it.
    pub fn publish(&self, ready: &[Ready<'_>], written: &mut [Written], announced: &[(u32, u32)]) {
        if ready.iter().any(|write| matches!(write, Ready::Clear)) {
            self.accesses.clear();
            self.epochs.bump_all();
            return;
        }
        tell(ready, written, announced, |slot| self.epochs.bump(slot));
    }

    /// As `announce_epochs`, of plain sets: the database stays as it is, and snapshots of it are good.
    pub fn announce_apart(&self, ready: &[Ready<'_>]) -> Slots {
        let changed = ready.iter().filter_map(|write| write.changed(&Written::default()));
        announce(changed.map(|digest| digest.slot(epoch::BITS)), |slot| self.epochs.bump_apart(slot))
    }

    /// As `publish`, of plain sets.
    pub fn publish_apart(&self, ready: &[Ready<'_>], announced: &[(u32, u32)]) -> Vec<Written> {
        let mut written = vec![Written::default(); ready.len()];
        tell(ready, &mut written, announced, |slot| self.epochs.bump_apart(slot));
        written
    }
}

/// Moves the epochs of slots on, each once.
fn announce(slots: impl Iterator<Item = u32>, bump: impl Fn(u32) -> u32) -> Slots {
    let mut slots: Vec<u32> = slots.collect();
    slots.sort_unstable();
    slots.dedup();
    slots.into_iter().map(|slot| (slot, bump(slot))).collect()
}

/// Moves the announced epochs on once more, and fills in where each changed entry is.
fn tell(ready: &[Ready<'_>], written: &mut [Written], announced: &[(u32, u32)], bump: impl Fn(u32) -> u32) {
    // One step is ours. More means that another write of this slot was published around this one.
    let only_ours = |before: u32, now: u32| Some(now).filter(|now| *now == before.wrapping_add(1));
    let moved: Vec<_> =
        announced.iter().map(|(slot, before)| (*slot, only_ours(*before, bump(*slot)))).collect();
    for (write, outcome) in ready.iter().zip(written) {
        let Some(digest) = write.changed(outcome) else { continue };
        outcome.id = digest.id();
        outcome.slot = digest.slot(epoch::BITS);
        let found = moved.binary_search_by_key(&outcome.slot, |(slot, _)| *slot);
        outcome.epoch = found.ok().and_then(|at| moved[at].1);
    }
}

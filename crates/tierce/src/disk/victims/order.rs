//! Policies that are an order: `lru`, `lfu`, `fifo`, and the other way round `mru`, `lifo`.

use std::collections::BinaryHeap;

use super::{Next, QUEUE, Scene};
use crate::disk::row::Standing;
use crate::policy::PolicyKind;

/// The smallest goes first.
type Rank = (i64, i64);
const LAST: Rank = (i64::MAX, i64::MAX);

/// An entry as it was when it was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    rank: Rank,
    /// As in the database.
    known: Standing,
}

/// The other way round, as the heap gives the greatest first.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.rank.cmp(&self.rank).then_with(|| other.known.id.cmp(&self.known.id))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Those that go first. Whoever is not in the heap has a rank beyond the horizon, or is in it with an older one.
#[derive(Debug)]
pub(super) struct Ordered {
    policy: PolicyKind,
    heap: BinaryHeap<Candidate>,
    horizon: Rank,
    /// During a scan: those kept so far, the last to go on top.
    kept: BinaryHeap<std::cmp::Reverse<Candidate>>,
}

impl Ordered {
    pub fn new(policy: PolicyKind) -> Self {
        Self { policy, heap: BinaryHeap::new(), horizon: LAST, kept: BinaryHeap::new() }
    }

    fn rank(&self, row: &Standing) -> Rank {
        match self.policy {
            PolicyKind::Lfu => (row.uses(), row.accessed),
            PolicyKind::Fifo => (row.place.entered, row.id),
            PolicyKind::Lifo => (-row.place.entered, row.id),
            PolicyKind::Mru => (-row.accessed, row.id),
            _ => (row.accessed, row.id),
        }
    }

    /// Whether a use brings an entry nearer to its end.
    pub fn renews(&self) -> bool {
        self.policy == PolicyKind::Mru
    }

    /// Whether what others write can go before all that is queued.
    pub fn depends_on_others(&self) -> bool {
        matches!(self.policy, PolicyKind::Mru | PolicyKind::Lifo | PolicyKind::Lfu)
    }

    pub fn begin(&mut self, scene: Scene<'_>) {
        self.heap.clear();
        self.horizon = LAST;
        if self.renews() {
            scene.log.take_recent(); // the scan sees them
        }
    }

    pub fn add(&mut self, current: Standing, known: Standing) {
        let candidate = Candidate { rank: self.rank(&current), known };
        if self.kept.len() < QUEUE {
            self.kept.push(std::cmp::Reverse(candidate));
        } else if let Some(mut last) = self.kept.peek_mut() {
            self.horizon = self.horizon.min(last.0.rank.max(candidate.rank));
            if candidate.rank < last.0.rank {
                *last = std::cmp::Reverse(candidate);
            }
        }
    }

    pub fn end(&mut self) {
        self.heap = std::mem::take(&mut self.kept).into_iter().map(|kept| kept.0).collect();
    }

    /// Queues an entry, unless it is beyond what is known.
    pub fn push(&mut self, known: Standing) {
        self.push_as(self.rank(&known), known);
    }

    fn push_as(&mut self, rank: Rank, known: Standing) {
        if rank >= self.horizon {
            return;
        }
        self.heap.push(Candidate { rank, known });
        if self.heap.len() > 2 * QUEUE {
            let mut all = std::mem::take(&mut self.heap).into_sorted_vec();
            // Sorted upwards by an order that is turned round: the first to go are at the end.
            let rest = all.split_off(all.len() - QUEUE);
            self.horizon = all.last().map_or(self.horizon, |first_dropped| first_dropped.rank);
            self.heap = rest.into();
        }
    }

    pub fn next(&mut self, scene: Scene<'_>) -> crate::error::Result<Next> {
        if self.renews() {
            for id in scene.log.take_recent() {
                if let Some(known) = scene.transaction.standing(id)? {
                    self.push_as(self.rank(&scene.current(known)), known);
                }
            }
        }
        let mut aside = None;
        let outcome = loop {
            let Some(Candidate { rank, known }) = self.heap.pop() else {
                break if self.horizon == LAST && aside.is_some() { Next::Nobody } else { Next::Scan };
            };
            if known.id == scene.newest {
                aside = Some(known);
                continue;
            }
            let now = self.rank(&scene.current(known));
            if now == rank {
                if let Some(removed) = scene.transaction.evict(&known)? {
                    scene.log.forget(known.id);
                    break Next::Victim(removed);
                }
                // Changed since, or gone.
                match scene.transaction.standing(known.id)? {
                    // No value of a damaged row equals what was read of it, so it would be asked for again for ever.
                    Some(found) if found == known => {
                        if let Some(removed) = scene.evict(&found)? {
                            break Next::Victim(removed);
                        }
                    }
                    Some(found) => self.push_as(self.rank(&scene.current(found)), found),
                    None => {}
                }
            } else {
                self.push_as(now, known);
            }
        };
        if let Some(known) = aside
            && let Some(known) = scene.transaction.standing(known.id)?
        {
            self.push(known);
        }
        Ok(outcome)
    }
}

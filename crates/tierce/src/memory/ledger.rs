//! What a tier in another language drives: it holds keys and values, and this says which slots go.

use crate::policy::{AnyPolicy, Policy, PolicyKind};

/// What a word of the log says; its number is in the three highest bits, and the slot in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    /// A use of the slot.
    Hit = 0,
    /// A new entry in the slot; three words follow: the lower and the upper half of its hash, and its weight.
    Insert = 1,
    /// The entry is gone.
    Remove = 2,
    /// The entry weighs something else; one word follows, the weight.
    Update = 3,
    /// The caller has given up the first of the [candidates](Ledger::candidates) that were left.
    Evict = 4,
    /// As `Evict`, and a new entry in its slot: hash 0, weight 1.
    Replace = 5,
}

const SHIFT: u32 = 29;

impl Op {
    /// The first word of an entry in the log.
    #[must_use]
    pub fn word(self, slot: u32) -> u32 {
        (self as u32) << SHIFT | slot
    }
}

/// A log that can't be read, or does not fit what is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerError {
    /// The log ends within an entry, or has an unknown operation.
    Damaged {
        /// The word, from 0.
        at: usize,
    },
    /// An insert into a slot that is taken.
    Taken {
        /// The slot.
        slot: u32,
    },
}

impl std::error::Error for LedgerError {}

impl std::fmt::Display for LedgerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged { at } => write!(f, "the log is damaged at word {at}"),
            Self::Taken { slot } => write!(f, "slot {slot} is taken already"),
        }
    }
}

/// A policy that is told of what happened in batches.
#[derive(Clone)]
pub struct Ledger {
    policy: AnyPolicy,
}

impl Ledger {
    /// The greatest slot that fits into a word of the log.
    pub const MAX_SLOT: u32 = (1 << SHIFT) - 1;

    /// An empty ledger for `capacity` units of weight.
    #[must_use]
    pub fn new(kind: PolicyKind, capacity: u64) -> Self {
        Self { policy: AnyPolicy::new(kind, capacity) }
    }

    /// Reads a log of [`Op`] words, oldest first, and appends the slots to give up to `victims`, in order.
    ///
    /// A hit, removal or new weight of a slot that is not held is passed over: a use may be logged after the insert whose
    /// victim its slot is.
    ///
    /// # Errors
    /// [`LedgerError`]; what came before it in the log has been done, and its victims are named.
    pub fn drain(&mut self, log: &[u32], victims: &mut Vec<u32>) -> Result<(), LedgerError> {
        let mut at = 0;
        while let Some(&word) = log.get(at) {
            let slot = word & Self::MAX_SLOT;
            at += match (word >> SHIFT, &log[at + 1..]) {
                (0, _) => {
                    if self.policy.contains(slot) {
                        self.policy.hit(slot);
                    }
                    1
                }
                (1, &[low, high, weight, ..]) => {
                    if self.policy.contains(slot) {
                        return Err(LedgerError::Taken { slot });
                    }
                    self.policy.insert(slot, u64::from(high) << 32 | u64::from(low), weight, victims);
                    4
                }
                (2, _) => {
                    self.policy.remove(slot);
                    1
                }
                (3, &[weight, ..]) => {
                    if self.policy.contains(slot) {
                        self.policy.update(slot, weight, victims);
                    }
                    2
                }
                (4, _) => {
                    self.evict(slot, victims);
                    1
                }
                (5, _) => {
                    self.evict(slot, victims);
                    self.policy.insert(slot, 0, 1, victims);
                    1
                }
                _ => return Err(LedgerError::Damaged { at }),
            };
        }
        Ok(())
    }

    /// The policy evicts too, so that its hand or its counts move as if it had been asked; should it name another slot,
    /// the caller has not kept to the candidates, and both are gone.
    fn evict(&mut self, slot: u32, victims: &mut Vec<u32>) {
        if self.policy.contains(slot) {
            let named = self.policy.evict();
            if named != Some(slot) {
                victims.extend(named);
                self.policy.remove(slot);
            }
        }
    }

    /// Slots that the caller may give up by itself, first to last, when it needs room before it drains the log: see
    /// [`Policy::candidates`]. It logs each as evicted, before the insert.
    #[must_use]
    pub fn candidates(&self, count: usize) -> Vec<u32> {
        self.policy.candidates(count)
    }

    /// Whether a hit takes a slot off the list of candidates.
    #[must_use]
    pub fn hit_rescues(&self) -> bool {
        !matches!(self.policy.kind(), PolicyKind::Fifo | PolicyKind::Lifo)
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &AnyPolicy {
        &self.policy
    }

    /// The policy, for a change of capacity and the like.
    pub fn policy_mut(&mut self) -> &mut AnyPolicy {
        &mut self.policy
    }
}

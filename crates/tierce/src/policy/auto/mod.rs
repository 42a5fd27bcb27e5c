//! Follows, while it runs, whichever of the other policies misses least.
//!
//! Every other policy is simulated on keys alone ([`shadows`]). Up to `UNSAMPLED` units of capacity the cache does
//! what the leading shadow does ([`follow`]); above, the shadows see a sample of the keys, and the cache runs the
//! leader's policy itself ([`sampled`]).

mod follow;
mod sampled;
mod shadows;

use follow::Follow;
use sampled::Sampled;

use super::budget::Budget;
use super::{Policy, PolicyKind};

/// The shadows are unsampled as long as a cache holds no more entries than this.
pub const UNSAMPLED: u64 = 8192;

#[derive(Clone)]
enum Form {
    Follow(Box<Follow>),
    Sampled(Box<Sampled>),
}

/// Starts as w-tinylfu, and changes to the policy that has missed less on the requests seen, when the gain outweighs
/// the cost of the change.
///
/// Costs about 100 bytes for each entry of the shadows, which hold at most `UNSAMPLED` entries each, and above that
/// capacity 16 bytes a slot on top of the running policy.
#[derive(Clone)]
pub struct Auto {
    form: Form,
}

macro_rules! either {
    ($self:ident, $form:ident => $call:expr) => {
        match &$self.form {
            Form::Follow($form) => $call,
            Form::Sampled($form) => $call,
        }
    };
    (mut $self:ident, $form:ident => $call:expr) => {
        match &mut $self.form {
            Form::Follow($form) => $call,
            Form::Sampled($form) => $call,
        }
    };
}

impl Auto {
    /// An empty policy for `capacity` units of weight.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let form = if capacity <= UNSAMPLED {
            Form::Follow(Box::new(Follow::new(capacity)))
        } else {
            Form::Sampled(Box::new(Sampled::new(capacity)))
        };
        Self { form }
    }

    /// The policy it follows at the moment.
    #[must_use]
    pub fn leader(&self) -> PolicyKind {
        either!(self, form => form.shadows.leader())
    }
}

impl Policy for Auto {
    fn budget(&self) -> &Budget {
        either!(self, form => form.budget())
    }

    fn budget_mut(&mut self) -> &mut Budget {
        either!(mut self, form => form.budget_mut())
    }

    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        either!(mut self, form => form.insert(slot, hash, weight, victims));
    }

    fn hit(&mut self, slot: u32) {
        either!(mut self, form => form.hit(slot));
    }

    fn update(&mut self, slot: u32, weight: u32, victims: &mut Vec<u32>) {
        either!(mut self, form => form.update(slot, weight, victims));
    }

    fn remove(&mut self, slot: u32) -> bool {
        either!(mut self, form => form.remove(slot))
    }

    fn evict(&mut self) -> Option<u32> {
        either!(mut self, form => form.evict())
    }

    fn set_capacity(&mut self, capacity: u64, victims: &mut Vec<u32>) {
        either!(mut self, form => form.set_capacity(capacity, victims));
    }

    fn contains(&self, slot: u32) -> bool {
        either!(self, form => form.contains(slot))
    }

    fn order(&self) -> Vec<u32> {
        either!(self, form => form.order())
    }

    fn clear(&mut self) {
        *self = Self::new(self.capacity());
    }

    fn memory(&self) -> usize {
        either!(self, form => form.memory())
    }

    fn check(&self) -> Result<(), String> {
        either!(self, form => form.check())
    }
}

//! The table of policies, and one type that is any of them.

use super::budget::Budget;
use super::{Auto, Fifo, Lfu, Lifo, Lru, Mru, Policy, S3Fifo, Sieve, WTinyLfu};

macro_rules! policies {
    ($($kind:ident, $name:literal, $type:ty, $new:expr;)*) => {
        /// Which policy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum PolicyKind {
            $(#[doc = concat!("\"", $name, "\"")] $kind,)*
        }

        /// Every policy and its public name.
        pub const POLICIES: &[(PolicyKind, &str)] = &[$((PolicyKind::$kind, $name)),*];

        /// Any policy of the table.
        #[derive(Clone)]
        pub enum AnyPolicy {
            $(#[doc = concat!("\"", $name, "\"")] $kind($type),)*
        }

        impl AnyPolicy {
            /// An empty policy for `capacity` units of weight.
            #[must_use]
            pub fn new(kind: PolicyKind, capacity: u64) -> Self {
                match kind { $(PolicyKind::$kind => Self::$kind($new(capacity)),)* }
            }

            /// Which policy it is.
            #[must_use]
            pub fn kind(&self) -> PolicyKind {
                match self { $(Self::$kind(_) => PolicyKind::$kind,)* }
            }
        }

        macro_rules! dispatch {
            ($self:ident, $policy:ident => $call:expr) => {
                match $self { $(AnyPolicy::$kind($policy) => $call,)* }
            };
        }
    };
}

policies! {
    Lru, "lru", Lru, Lru::new;
    Lfu, "lfu", Lfu, Lfu::new;
    Fifo, "fifo", Fifo, Fifo::new;
    Lifo, "lifo", Lifo, Lifo::new;
    Mru, "mru", Mru, Mru::new;
    Sieve, "sieve", Sieve, Sieve::new;
    S3Fifo, "s3-fifo", S3Fifo, S3Fifo::new;
    WTinyLfu, "w-tinylfu", WTinyLfu, WTinyLfu::new;
    Auto, "auto", Box<Auto>, |capacity| Box::new(Auto::new(capacity));
}

impl PolicyKind {
    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        POLICIES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// A name that no policy has; its text lists the names there are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownPolicy {
    /// The name that was asked for.
    pub name: String,
}

impl std::error::Error for UnknownPolicy {}

impl std::fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known: Vec<_> = POLICIES.iter().map(|row| row.1).collect();
        write!(f, "unknown policy {:?}: expected one of {}", self.name, known.join(", "))
    }
}

impl std::fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for PolicyKind {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let row = POLICIES.iter().find(|row| row.1 == name);
        row.map(|row| row.0).ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

impl Policy for AnyPolicy {
    #[inline]
    fn budget(&self) -> &Budget {
        dispatch!(self, policy => policy.budget())
    }

    fn budget_mut(&mut self) -> &mut Budget {
        dispatch!(self, policy => policy.budget_mut())
    }

    #[inline]
    fn insert(&mut self, slot: u32, hash: u64, weight: u32, victims: &mut Vec<u32>) {
        dispatch!(self, policy => policy.insert(slot, hash, weight, victims));
    }

    #[inline]
    fn hit(&mut self, slot: u32) {
        dispatch!(self, policy => policy.hit(slot));
    }

    fn update(&mut self, slot: u32, weight: u32, victims: &mut Vec<u32>) {
        dispatch!(self, policy => policy.update(slot, weight, victims));
    }

    fn remove(&mut self, slot: u32) -> bool {
        dispatch!(self, policy => policy.remove(slot))
    }

    #[inline]
    fn evict(&mut self) -> Option<u32> {
        dispatch!(self, policy => policy.evict())
    }

    fn set_capacity(&mut self, capacity: u64, victims: &mut Vec<u32>) {
        dispatch!(self, policy => policy.set_capacity(capacity, victims));
    }

    #[inline]
    fn contains(&self, slot: u32) -> bool {
        dispatch!(self, policy => policy.contains(slot))
    }

    fn order(&self) -> Vec<u32> {
        dispatch!(self, policy => policy.order())
    }

    fn candidates(&self, count: usize) -> Vec<u32> {
        dispatch!(self, policy => policy.candidates(count))
    }

    fn uses(&self, slot: u32) -> u32 {
        dispatch!(self, policy => policy.uses(slot))
    }

    fn restore_uses(&mut self, slot: u32, uses: u32) {
        dispatch!(self, policy => policy.restore_uses(slot, uses));
    }

    fn clear(&mut self) {
        dispatch!(self, policy => policy.clear());
    }

    fn memory(&self) -> usize {
        dispatch!(self, policy => policy.memory())
    }

    fn check(&self) -> Result<(), String> {
        dispatch!(self, policy => policy.check())
    }
}

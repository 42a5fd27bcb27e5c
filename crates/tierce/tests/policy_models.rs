//! Every exact policy against a naive model of it, and every policy against its own invariants.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tierce::policy::{AnyPolicy, POLICIES, Policy, PolicyKind};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A hit if the key is there, an insert if not.
    Request {
        key: u32,
        weight: u32,
    },
    Reweigh {
        key: u32,
        weight: u32,
    },
    Remove {
        key: u32,
    },
    Evict,
    Resize {
        capacity: u64,
    },
    Clear,
}

fn steps(weighted: bool) -> impl Strategy<Value = Vec<Step>> {
    let weight = if weighted { 0..12u32 } else { 1..2 };
    let key = || (0..40u32).prop_map(|key| key * key / 40);
    let step = prop_oneof![
        30 => (key(), weight.clone()).prop_map(|(key, weight)| Step::Request { key, weight }),
        2 => (key(), weight).prop_map(|(key, weight)| Step::Reweigh { key, weight }),
        2 => key().prop_map(|key| Step::Remove { key }),
        1 => Just(Step::Evict),
        1 => (0..30u64).prop_map(|capacity| Step::Resize { capacity }),
    ];
    prop::collection::vec(prop_oneof![400 => step, 1 => Just(Step::Clear)], 1..400)
}

/// An entry of the model; `stamp` is when it was inserted, `used` when it was last used.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: u32,
    weight: u32,
    count: u32,
    stamp: u32,
    used: u32,
    visited: bool,
}

/// A list searched from end to end at each step, in the order of insertion.
struct Model {
    kind: PolicyKind,
    capacity: u64,
    entries: Vec<Known>,
    hand: usize,
    now: u32,
}

impl Model {
    fn new(kind: PolicyKind, capacity: u64) -> Self {
        Self { kind, capacity, entries: Vec::new(), hand: 0, now: 0 }
    }

    fn weight(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.weight)).sum()
    }

    fn place(&self, key: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key)
    }

    fn forget(&mut self, place: usize) -> u32 {
        if place < self.hand {
            self.hand -= 1;
        }
        self.entries.remove(place).key
    }

    fn victim(&mut self) -> Option<usize> {
        let places = 0..self.entries.len();
        let of = |place: &usize| self.entries[*place];
        match self.kind {
            PolicyKind::Lru => places.min_by_key(|place| of(place).used),
            PolicyKind::Mru => places.max_by_key(|place| of(place).used),
            PolicyKind::Fifo => places.min_by_key(|place| of(place).stamp),
            PolicyKind::Lifo => places.max_by_key(|place| of(place).stamp),
            PolicyKind::Lfu => places.min_by_key(|place| (of(place).count, of(place).used)),
            _ => {
                while !self.entries.is_empty() {
                    self.hand %= self.entries.len();
                    if !std::mem::take(&mut self.entries[self.hand].visited) {
                        return Some(self.hand);
                    }
                    self.hand += 1;
                }
                None
            }
        }
    }

    fn shrink_to(&mut self, limit: u64) -> Vec<u32> {
        let mut victims = Vec::new();
        while self.weight() > limit {
            let victim = self.victim().expect("what weighs something is there");
            victims.push(self.forget(victim));
        }
        victims
    }

    fn step(&mut self, step: Step) -> Vec<u32> {
        self.now += 1;
        match step {
            Step::Request { key, weight } => {
                if let Some(place) = self.place(key) {
                    let entry = &mut self.entries[place];
                    (entry.used, entry.count, entry.visited) = (self.now, entry.count + 1, true);
                    return Vec::new();
                }
                let Some(limit) = self.capacity.checked_sub(u64::from(weight)) else { return vec![key] };
                let victims = self.shrink_to(limit);
                // A hand at the end waits for the next turn, not for the newcomer.
                if self.hand >= self.entries.len() {
                    self.hand = 0;
                }
                let (stamp, used) = (self.now, self.now);
                self.entries.push(Known { key, weight, count: 1, stamp, used, visited: false });
                victims
            }
            Step::Reweigh { key, weight } => {
                let Some(place) = self.place(key) else { return Vec::new() };
                if u64::from(weight) > self.capacity {
                    return vec![self.forget(place)];
                }
                self.entries[place].weight = weight;
                self.shrink_to(self.capacity)
            }
            Step::Remove { key } => {
                if let Some(place) = self.place(key) {
                    self.forget(place);
                }
                Vec::new()
            }
            Step::Evict => self.victim().map(|place| self.forget(place)).into_iter().collect(),
            Step::Resize { capacity } => {
                self.capacity = capacity;
                self.shrink_to(capacity)
            }
            Step::Clear => {
                self.entries.clear();
                self.hand = 0;
                Vec::new()
            }
        }
    }
}

/// The same step of the real policy, whose slots are the keys.
fn apply(policy: &mut AnyPolicy, step: Step) -> Vec<u32> {
    let mut victims = Vec::new();
    match step {
        Step::Request { key, .. } if policy.contains(key) => policy.hit(key),
        Step::Request { key, weight } => policy.insert(key, hash(key), weight, &mut victims),
        Step::Reweigh { key, weight } if policy.contains(key) => policy.update(key, weight, &mut victims),
        Step::Reweigh { .. } => {}
        Step::Remove { key } => {
            policy.remove(key);
        }
        Step::Evict => victims.extend(policy.evict()),
        Step::Resize { capacity } => policy.set_capacity(capacity, &mut victims),
        Step::Clear => policy.clear(),
    }
    victims
}

fn hash(key: u32) -> u64 {
    (u64::from(key) + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn equals_its_model(kind: PolicyKind, steps: &[Step], capacity: u64) {
    let mut policy = AnyPolicy::new(kind, capacity);
    let mut model = Model::new(kind, capacity);
    for &step in steps {
        assert_eq!(apply(&mut policy, step), model.step(step), "{kind:?} after {step:?}");
        assert_eq!(policy.check(), Ok(()), "{kind:?} after {step:?}");
        assert_eq!((policy.len(), policy.weight()), (model.entries.len(), model.weight()));
    }
    let order = policy.order();
    let evicted: Vec<u32> = std::iter::from_fn(|| policy.evict()).collect();
    assert_eq!(order, evicted, "{kind:?}: the order is that of eviction");
}

const EXACT: [PolicyKind; 6] = [
    PolicyKind::Lru,
    PolicyKind::Lfu,
    PolicyKind::Fifo,
    PolicyKind::Lifo,
    PolicyKind::Mru,
    PolicyKind::Sieve,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exact_policies_equal_their_models_on_entries(steps in steps(false), capacity in 0..25u64) {
        EXACT.iter().for_each(|&kind| equals_its_model(kind, &steps, capacity));
    }

    #[test]
    fn exact_policies_equal_their_models_on_weights(steps in steps(true), capacity in 0..60u64) {
        EXACT.iter().for_each(|&kind| equals_its_model(kind, &steps, capacity));
    }

    #[test]
    fn every_policy_accounts_for_every_slot(steps in steps(true), capacity in 0..60u64) {
        for &(kind, _) in POLICIES {
            let mut policy = AnyPolicy::new(kind, capacity);
            let mut resident = std::collections::BTreeSet::new();
            for &step in &steps {
                if let Step::Request { key, .. } = step {
                    resident.insert(key);
                }
                match step {
                    Step::Remove { key } => { resident.remove(&key); }
                    Step::Clear => resident.clear(),
                    _ => {}
                }
                for victim in apply(&mut policy, step) {
                    prop_assert!(resident.remove(&victim), "{kind:?} named {victim}, which is not there");
                }
                prop_assert_eq!(policy.check(), Ok(()), "{:?} after {:?}", kind, step);
                prop_assert!(policy.weight() <= policy.capacity());
                let mut order = policy.order();
                order.sort_unstable();
                prop_assert_eq!(order, resident.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_policy_that_counts_is_built_again_from_order_and_uses(
        steps in steps(false),
        more in steps(false),
        capacity in 1..25u64,
    ) {
        let mut policy = AnyPolicy::new(PolicyKind::Lfu, capacity);
        for &step in &steps {
            apply(&mut policy, step);
        }
        let mut again = AnyPolicy::new(PolicyKind::Lfu, policy.capacity());
        for slot in policy.order() {
            again.insert(slot, 0, 1, &mut Vec::new());
            again.restore_uses(slot, policy.uses(slot));
            prop_assert_eq!(again.check(), Ok(()));
        }
        for step in more {
            if !matches!(step, Step::Reweigh { .. }) {
                prop_assert_eq!(apply(&mut again, step), apply(&mut policy, step));
            }
        }
        prop_assert_eq!(again.order(), policy.order());
    }

    #[test]
    fn the_first_in_order_is_the_next_victim(steps in steps(false), capacity in 1..25u64) {
        for &(kind, _) in POLICIES {
            let mut policy = AnyPolicy::new(kind, capacity);
            for &step in &steps {
                apply(&mut policy, step);
            }
            let order = policy.order();
            let evicted: Vec<u32> = std::iter::from_fn(|| policy.evict()).collect();
            prop_assert_eq!(order, evicted, "{:?}", kind);
        }
    }
}

#[test]
fn names_parse_back_and_an_unknown_one_lists_them_all() {
    for &(kind, name) in POLICIES {
        assert_eq!(name.parse(), Ok(kind));
        assert_eq!(kind.name(), name);
    }
    let error = "clock".parse::<PolicyKind>().expect_err("there is no such policy");
    assert_eq!(
        error.to_string(),
        "unknown policy \"clock\": expected one of lru, lfu, fifo, lifo, mru, sieve, s3-fifo, w-tinylfu, auto"
    );
}

#[test]
fn a_policy_takes_few_bytes_an_entry() {
    let entries = 65_000;
    for &(kind, name) in POLICIES.iter().filter(|row| row.0 != PolicyKind::Auto) {
        let mut policy = AnyPolicy::new(kind, entries);
        let mut victims = Vec::new();
        let mut slot = 0;
        for key in 0..4 * entries as u32 {
            policy.insert(slot, hash(key), 1, &mut victims);
            slot = victims.pop().unwrap_or(slot + 1);
        }
        let each = policy.memory() as f64 / entries as f64;
        println!("{name}: {each:.1} bytes an entry");
        assert!(each < 32.0, "{name} takes {each} bytes an entry");
    }
}

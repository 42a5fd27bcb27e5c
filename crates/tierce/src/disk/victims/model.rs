//! Eviction on disk against the policies in memory: the same entries stay, after every batch. Queues are so short here
//! that most of these caches do not fit into one.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::disk::{Cache, Listing, Wait, Write};
use crate::key::Key;
use crate::policy::{AnyPolicy, Policy, PolicyKind};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn open(dir: &Path, policy: PolicyKind, max: u64) -> Cache {
    Cache::builder().policy(policy).max(max).open(dir).unwrap()
}

fn set<'a>(key: &'a str, value: &'a [u8]) -> Write<'a> {
    Write::set(key, value)
}

/// The policy in memory, told of the same.
struct Oracle {
    policy: AnyPolicy,
    slots: HashMap<u64, u32>,
    next: u32,
}

impl Oracle {
    fn new(kind: PolicyKind, max: u64) -> Self {
        Self { policy: AnyPolicy::new(kind, max), slots: HashMap::new(), next: 0 }
    }

    fn set(&mut self, key: u64) {
        if let Some(slot) = self.slots.get(&key) {
            return self.policy.hit(*slot);
        }
        let hash = Key::from(key.to_string()).digest().id() as u64;
        let mut gone = Vec::new();
        self.policy.insert(self.next, hash, 1, &mut gone);
        self.slots.insert(key, self.next);
        self.next += 1;
        self.slots.retain(|_, slot| !gone.contains(slot));
    }

    fn hit(&mut self, key: u64) {
        self.policy.hit(self.slots[&key]);
    }

    fn delete(&mut self, key: u64) {
        if let Some(slot) = self.slots.remove(&key) {
            self.policy.remove(slot);
        }
    }

    fn keys(&self) -> BTreeSet<String> {
        self.slots.keys().map(u64::to_string).collect()
    }
}

fn keys(cache: &Cache) -> BTreeSet<String> {
    let page = cache.page(&Listing::default()).unwrap();
    page.entries.into_iter().map(|listed| String::from_utf8(listed.key).unwrap()).collect()
}

#[test]
fn every_policy_keeps_the_entries_that_it_keeps_in_memory() {
    let seeds = std::env::var("TIERCE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    for kind in crate::disk::options::POLICIES {
        for seed in 0..seeds {
            let temp = tempfile::tempdir().unwrap();
            let mut dice = Dice(seed * 31 + 7);
            let max = [1, 2, 5, 20, 60][dice.below(5) as usize];
            let (mut cache, mut oracle) = (open(temp.path(), kind, max), Oracle::new(kind, max));
            for step in 0..400 {
                let skewed = |dice: &mut Dice| dice.below(max * 3) * dice.below(max * 3) / (max * 3);
                match dice.below(100) {
                    0..45 => {
                        let key = skewed(&mut dice);
                        cache.set(key.to_string(), b"v").unwrap();
                        oracle.set(key);
                    }
                    45..80 => {
                        let key = skewed(&mut dice);
                        let found = cache.get(key.to_string()).unwrap().is_some();
                        assert_eq!(
                            found,
                            oracle.slots.contains_key(&key),
                            "{kind:?} {seed} {step}: get {key}"
                        );
                        if found {
                            oracle.hit(key);
                        }
                    }
                    80..88 => {
                        let batch: Vec<u64> = (0..=dice.below(6)).map(|_| skewed(&mut dice)).collect();
                        let names: Vec<String> = batch.iter().map(u64::to_string).collect();
                        let writes: Vec<_> = names.iter().map(|name| set(name, b"w")).collect();
                        cache.apply(&writes, Wait::Yes).unwrap();
                        batch.into_iter().for_each(|key| oracle.set(key));
                    }
                    88..94 => {
                        let key = skewed(&mut dice);
                        cache.delete(key.to_string()).unwrap();
                        oracle.delete(key);
                    }
                    94..97 => cache.flush().unwrap(),
                    97 if dice.below(10) == 0 => {
                        cache.clear().unwrap();
                        oracle = Oracle::new(kind, max);
                    }
                    // Who has left is forgotten with the handle.
                    98 if kind != PolicyKind::S3Fifo => {
                        cache.close().unwrap();
                        cache = open(temp.path(), kind, max);
                    }
                    _ => {}
                }
                assert_eq!(keys(&cache), oracle.keys(), "{kind:?}, seed {seed}, max {max}, step {step}");
            }
        }
    }
}

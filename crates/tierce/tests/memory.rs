//! The in-process tier and the slot ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tierce::ManualClock;
use tierce::memory::{Ledger, LedgerError, MemoryCache, Op};
use tierce::policy::{POLICIES, Policy, PolicyKind};

#[test]
fn max_holds_after_every_insert_under_every_policy() {
    for &(kind, name) in POLICIES {
        let cache = MemoryCache::with_max_entries(1000).policy(kind).shards(4).build();
        for key in 0..5000u32 {
            cache.insert(key * key % 3571, key);
            assert!(cache.len() <= 1000, "{name} holds {}", cache.len());
        }
        assert_eq!(cache.check(), Ok(()), "{name}");
        assert_eq!(cache.len() as u64, cache.weight());
    }
}

#[test]
fn weights_hold_and_an_object_over_the_limit_is_not_kept() {
    let cache = MemoryCache::with_max_weight(100, |_: &u32, value: &Vec<u8>| value.len() as u32).build();
    cache.insert(1, vec![0; 60]);
    cache.insert(2, vec![0; 60]);
    assert!(cache.weight() <= 100);
    let held = cache.weight();
    cache.insert(3, vec![0; 101]);
    assert_eq!(cache.get(&3), None);
    assert_eq!(cache.weight(), held, "an object too large evicts nothing");
    cache.insert(2, vec![0; 101]);
    assert_eq!(cache.get(&2), None, "nor does the old value stay under a key that was set anew");
    assert_eq!(cache.check(), Ok(()));
}

#[test]
fn overwrites_do_not_inflate_the_account() {
    let cache = MemoryCache::with_max_weight(100, |_: &u32, value: &u32| *value).build();
    cache.insert(1, 10);
    for size in 1..=50 {
        cache.insert(2, size);
    }
    assert_eq!((cache.get(&1), cache.get(&2), cache.weight()), (Some(10), Some(50), 60));
}

#[test]
fn an_entry_lives_for_its_time_and_not_a_millisecond_longer() {
    let clock = Arc::new(ManualClock::new(1000));
    let cache =
        MemoryCache::with_max_entries(10).ttl(Duration::from_millis(100)).clock(clock.clone()).build();
    cache.insert("default", 1);
    cache.insert_for("longer", 2, Duration::from_millis(200));
    cache.insert_for("ever", 3, Duration::MAX);
    clock.advance(99);
    assert_eq!(cache.get("default"), Some(1));
    clock.advance(1);
    assert_eq!((cache.get("default"), cache.get("longer")), (None, Some(2)));
    clock.advance(100);
    assert_eq!((cache.remove("longer"), cache.get("ever")), (None, Some(3)));
    assert_eq!(cache.entries(), vec![("ever", 3)]);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.expired, stats.inserts), (3, 1, 1, 3));
}

#[test]
fn entries_come_in_the_order_of_eviction() {
    let cache = MemoryCache::with_max_entries(3).policy(PolicyKind::Lru).build();
    for key in ["a", "b", "c"] {
        cache.insert(key, ());
    }
    cache.get("a");
    assert_eq!(cache.entries().iter().map(|entry| entry.0).collect::<Vec<_>>(), ["b", "c", "a"]);
    cache.insert("d", ());
    assert_eq!(cache.get("b"), None);
    cache.clear();
    assert!(cache.is_empty());
    cache.insert("e", ());
    assert_eq!(cache.len(), 1);
}

#[test]
fn eight_threads_on_a_cold_key_make_it_once() {
    let cache = MemoryCache::with_max_entries(100).build();
    let made = AtomicU32::new(0);
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let value = cache.get_or_insert_with(&1, || {
                    std::thread::yield_now();
                    made.fetch_add(1, Ordering::SeqCst) + 41
                });
                assert_eq!(value, 41);
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_in_a_maker_leaves_the_key_free_for_the_next() {
    let cache = MemoryCache::with_max_entries(100).build();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.get_or_insert_with(&1, || panic!("on purpose"));
    }));
    assert!(failed.is_err());
    assert_eq!(cache.get_or_insert_with(&1, || 2), 2);
}

#[test]
fn threads_leave_a_sound_cache_behind() {
    for &(kind, name) in POLICIES {
        let cache = MemoryCache::with_max_entries(2000).policy(kind).shards(4).build();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for at in 0..20_000u64 {
                        let key = at.wrapping_mul(2_654_435_761).wrapping_add(thread) % 6000;
                        match at % 7 {
                            0 => drop(cache.remove(&key)),
                            1 | 2 => cache.insert(key, key),
                            _ => assert!(cache.get(&key).is_none_or(|value| value == key)),
                        }
                    }
                });
            }
        });
        assert_eq!(cache.check(), Ok(()), "{name}");
    }
}

fn log_insert(log: &mut Vec<u32>, slot: u32, hash: u64, weight: u32) {
    log.extend([Op::Insert.word(slot), hash as u32, (hash >> 32) as u32, weight]);
}

#[test]
fn a_damaged_log_is_an_error_and_not_a_panic() {
    let mut ledger = Ledger::new(PolicyKind::Lru, 10);
    let mut victims = Vec::new();
    assert_eq!(ledger.drain(&[Op::Insert.word(1), 0], &mut victims), Err(LedgerError::Damaged { at: 0 }));
    assert_eq!(ledger.drain(&[7 << 29], &mut victims), Err(LedgerError::Damaged { at: 0 }));
    let mut log = Vec::new();
    log_insert(&mut log, 1, 1, 1);
    log_insert(&mut log, 1, 1, 1);
    assert_eq!(ledger.drain(&log, &mut victims), Err(LedgerError::Taken { slot: 1 }));
    assert_eq!(
        ledger.drain(&[Op::Hit.word(9), Op::Remove.word(9), Op::Update.word(9), 1], &mut victims),
        Ok(())
    );
}

/// A caller that gives up candidates by itself, and drains its log when it has none left.
struct Caller {
    ledger: Ledger,
    slot_of: std::collections::BTreeMap<u32, u32>,
    log: Vec<u32>,
    candidates: std::collections::VecDeque<u32>,
    free: Vec<u32>,
}

impl Caller {
    fn victim(&mut self) -> u32 {
        if self.candidates.is_empty() {
            self.drain();
            self.candidates = self.ledger.candidates(8).into();
        }
        match self.candidates.pop_front() {
            Some(slot) => {
                self.log.push(Op::Evict.word(slot));
                slot
            }
            // Where nothing is certain ahead of time, the ledger evicts.
            None => self.ledger.policy_mut().evict().expect("a full cache has a victim"),
        }
    }

    fn drain(&mut self) {
        let mut victims = Vec::new();
        self.ledger.drain(&self.log, &mut victims).expect("the log is sound");
        assert_eq!(victims, [], "the caller has made room for all");
        self.log.clear();
    }

    fn request(&mut self, key: u32) -> Option<u32> {
        if let Some(&slot) = self.slot_of.get(&key) {
            self.log.push(Op::Hit.word(slot));
            if self.ledger.hit_rescues() {
                self.candidates.retain(|&candidate| candidate != slot);
            }
            return None;
        }
        let mut evicted = None;
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.victim();
            evicted = self.slot_of.iter().find(|entry| *entry.1 == slot).map(|entry| *entry.0);
            self.slot_of.retain(|_, held| *held != slot);
            slot
        });
        log_insert(&mut self.log, slot, u64::from(key), 1);
        self.slot_of.insert(key, slot);
        evicted
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exact_policies_stay_exact_when_victims_are_handed_over_in_batches(keys in prop::collection::vec(0..40u32, 1..500)) {
        use PolicyKind::{Fifo, Lfu, Lifo, Lru, Mru, Sieve};
        for kind in [Lru, Lfu, Fifo, Sieve, Lifo, Mru] {
            let mut caller = Caller {
                ledger: Ledger::new(kind, 12),
                slot_of: Default::default(),
                log: Vec::new(),
                candidates: Default::default(),
                free: (0..12).collect(),
            };
            let mut policy = tierce::policy::AnyPolicy::new(kind, 12);
            let batched = !matches!(kind, Lifo | Mru);
            for &key in &keys {
                let mut victims = Vec::new();
                if policy.contains(key) {
                    policy.hit(key);
                } else {
                    policy.insert(key, 0, 1, &mut victims);
                }
                if !batched {
                    // Every use changes who is next: such a caller asks each time.
                    caller.candidates.clear();
                }
                prop_assert_eq!(caller.request(key), victims.first().copied(), "{:?}", kind);
            }
        }
    }
}

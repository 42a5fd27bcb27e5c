//! Caches that threads find by name: one a name, whole values, and the bound.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tierce::memory::{Lease, Shared, SharedMemory, SharedOptions, When};
use tierce::policy::{POLICIES, PolicyKind};
use tierce::{Code, ManualClock};

const FOR_EVER: Lease = Lease { ttl: None, slides: false };
const OPTIONS: SharedOptions = SharedOptions { max_size: 1 << 20, policy: PolicyKind::Lru, lease: FOR_EVER };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn lease(ttl_ms: u64, slides: bool) -> Lease {
    Lease { ttl: Some(ms(ttl_ms)), slides }
}

fn value(length: usize, tag: u8) -> Shared {
    Shared { kind: u32::from(tag), bytes: vec![tag; length].into() }
}

fn key(number: u64) -> Box<[u8]> {
    format!("key {number}").into_bytes().into()
}

fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

#[test]
fn a_name_is_one_cache_until_its_last_handle_is_dropped() {
    let one = SharedMemory::open("same", OPTIONS).unwrap();
    let two = SharedMemory::open("same", OPTIONS).unwrap();
    let other = SharedMemory::open("other", OPTIONS).unwrap();
    one.insert(key(1), value(10, 1));
    assert_eq!(two.get(&*key(1)), Some(value(10, 1)));
    assert_eq!(other.get(&*key(1)), None);
    let refused = SharedMemory::open("same", SharedOptions { lease: lease(5, false), ..OPTIONS });
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::InvalidOption));
    drop(one);
    assert_eq!(two.len(), 1);
    drop(two);
    let new = SharedMemory::open("same", SharedOptions { max_size: 1 << 21, ..OPTIONS }).unwrap();
    assert!(new.is_empty());
}

#[test]
fn a_value_that_was_read_stays_whole_when_it_is_replaced_or_evicted() {
    let cache = SharedMemory::open("whole", OPTIONS).unwrap();
    cache.insert(key(1), value(1000, 1));
    let read = cache.get(&*key(1)).unwrap();
    cache.clear();
    cache.insert(key(1), value(1000, 2));
    assert_eq!(read, value(1000, 1));
}

#[test]
fn what_was_put_in_is_there_under_every_policy_and_the_bound_holds() {
    for &(policy, name) in POLICIES {
        let options = SharedOptions { max_size: 100_000, policy, lease: FOR_EVER };
        let cache = SharedMemory::open(name, options).unwrap();
        let mut state = 7;
        for step in 0..2000 {
            let key = key(random(&mut state, 500));
            let most = if step % 50 == 0 { 99_000 } else { 900 };
            let value = value(random(&mut state, most) as usize, step as u8);
            cache.check_size(key.len(), value.bytes.len()).unwrap();
            cache.insert(key.clone(), value.clone());
            assert_eq!(cache.get(&key), Some(value), "{name}, step {step}");
            assert!(cache.weight() <= 100_000, "{name}, step {step}");
        }
        assert_eq!(cache.check(), Ok(()), "{name}");
        assert_eq!(cache.check_size(10, 100_000).unwrap_err().code(), Code::ValueTooLarge);
    }
}

#[test]
fn threads_see_whole_values_and_never_more_than_the_bound() {
    let steps = std::env::var("TIERCE_SHARED_STEPS").map_or(6000, |steps| steps.parse().unwrap());
    for policy in [PolicyKind::WTinyLfu, PolicyKind::Auto, PolicyKind::Sieve] {
        let options = SharedOptions { max_size: 64 << 20, policy, lease: FOR_EVER };
        let cache = SharedMemory::open("threads", options).unwrap();
        assert!(cache.shard_count() > 1);
        let done = AtomicBool::new(false);
        let won: u64 = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(cache.weight() <= 64 << 20);
                }
            });
            let worker = |me: u64| {
                let cache = SharedMemory::open("threads", options).unwrap();
                let mut state = me;
                let won = (0..500).filter(|&id| {
                    cache.insert_when(key(1_000_000 + id), value(1, 0), FOR_EVER, When::Absent)
                });
                let won = won.count() as u64;
                for step in 0..steps {
                    let (id, tag) = (random(&mut state, 3000), (step % 251) as u8);
                    match random(&mut state, 8) {
                        0 => drop(cache.remove(&*key(id))),
                        1..4 => cache.insert(key(id), value(random(&mut state, 100_000) as usize, tag)),
                        _ => {
                            if let Some(read) = cache.get(&*key(id)) {
                                assert!(read.bytes.iter().all(|&byte| u32::from(byte) == read.kind));
                            }
                        }
                    }
                }
                won
            };
            let workers: Vec<_> = (1..9).map(|me| scope.spawn(move || worker(me))).collect();
            let won = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
            done.store(true, Ordering::Relaxed);
            watcher.join().unwrap();
            won
        });
        // The first one of all that try to add a key does, and nobody again as long as it is held.
        assert!((500..4000).contains(&won), "{won}");
        assert_eq!(cache.check(), Ok(()));
    }
}

#[test]
fn a_time_that_slides_starts_again_with_each_use_and_with_no_other_look() {
    let clock = Arc::new(ManualClock::new(1000));
    let cache = SharedMemory::open_with("slides", OPTIONS, clock.clone()).unwrap();
    for id in 1..=4 {
        assert!(cache.insert_when(key(id), value(1, 1), lease(10, id != 4), When::Always));
    }
    clock.advance(6);
    assert!(cache.get(&*key(1)).is_some() && cache.touch(&*key(2)) && cache.touch(&*key(4)));
    assert!(cache.peek(&*key(3)).is_some() && cache.ttl(&*key(3)) == Some(ms(4)));
    clock.advance(6);
    let live = [1, 2, 3, 4].map(|id| cache.peek(&*key(id)).is_some());
    assert_eq!((live, cache.live_len(), cache.len()), ([true, true, false, false], 2, 4));
    assert!(!cache.touch(&*key(3)) && !cache.touch(&*key(9)));
    // Another time slides too, and none does not.
    assert!(cache.expire(&*key(1), Some(ms(20))) && cache.expire(&*key(2), None));
    clock.advance(15);
    assert!(cache.touch(&*key(1)) && cache.touch(&*key(2)));
    assert_eq!([1, 2].map(|id| cache.ttl(&*key(id))), [Some(ms(20)), Some(Duration::MAX)]);
    assert_eq!(cache.stats().hits, 1);
}

#[test]
fn times_pass_for_every_verb() {
    let clock = Arc::new(ManualClock::new(1000));
    let cache = SharedMemory::open_with("times", OPTIONS, clock.clone()).unwrap();
    cache.insert_for(key(1), value(1, 1), ms(100));
    cache.insert(key(2), value(1, 2));
    assert_eq!([1, 2, 3].map(|id| cache.ttl(&*key(id))), [Some(ms(100)), Some(Duration::MAX), None]);
    clock.advance(100);
    assert_eq!(cache.peek(&*key(1)), None);
    assert!(!cache.expire(&*key(1), None));
    assert!(!cache.insert_when(key(1), value(1, 3), FOR_EVER, When::Present));
    assert_eq!(cache.keys_of(0), [key(2)]);
    assert_eq!((cache.len(), cache.cleanup(), cache.len()), (2, 1, 1));
    assert!(cache.insert_when(key(1), value(1, 3), lease(10, false), When::Absent));
    assert!(cache.expire(&*key(1), None));
    clock.advance(1000);
    assert_eq!(cache.get(&*key(1)), Some(value(1, 3)));
    assert_eq!(cache.stats().expired, 1);
    cache.reset_stats();
    assert_eq!(cache.stats().hits, 0);
}

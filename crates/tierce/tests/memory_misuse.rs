//! What callers of the in-process tier can do wrong: types that panic, call back or weigh nothing, bounds of nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tierce::memory::{Lease, MemoryCache, When};
use tierce::policy::{POLICIES, PolicyKind};

/// Counts down with each call of the kind that it is for, and panics at 0.
static FUSE: AtomicU32 = AtomicU32::new(0);

fn burn() {
    if FUSE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
        && !std::thread::panicking()
    {
        // Without the message of each.
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

/// A key or a value, all of whose code panics when the fuse has burnt down.
struct Mine(u32);

impl Clone for Mine {
    fn clone(&self) -> Self {
        burn();
        Self(self.0)
    }
}

impl PartialEq for Mine {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Mine {}

impl Hash for Mine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        self.0.hash(state);
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        burn();
    }
}

fn act(cache: &MemoryCache<Mine, Mine>, at: u32) {
    let id = at.wrapping_mul(2_654_435_761) % 37;
    match at % 9 {
        0 => drop(cache.get(&Mine(id))),
        1 => drop(cache.remove(&Mine(id))),
        2 => drop(cache.get_or_insert_with(&Mine(id), || Mine(id))),
        3 => {
            let lease = Lease { ttl: Some(Duration::from_secs(60)), slides: true };
            cache.insert_when(Mine(id), Mine(id), lease, When::Present);
        }
        4 => drop(cache.entries()),
        5 => drop(cache.peek(&Mine(id))),
        6 if at % 54 == 6 => cache.clear(),
        _ => cache.insert(Mine(id), Mine(id % 7 + at % 11)),
    }
}

#[test]
fn a_panic_in_the_code_of_a_key_or_a_value_leaves_a_sound_cache_that_nobody_waits_for() {
    for &(kind, name) in POLICIES {
        let weigher = |_: &Mine, value: &Mine| {
            burn();
            value.0 + 1
        };
        for cache in [
            MemoryCache::with_max_entries(20).policy(kind).shards(1).build(),
            MemoryCache::with_max_weight(60, weigher).policy(kind).shards(1).build(),
        ] {
            let mut panics = 0;
            for at in 0..3000 {
                FUSE.store(at % 13, Ordering::SeqCst);
                panics += u32::from(catch_unwind(AssertUnwindSafe(|| act(&cache, at))).is_err());
                FUSE.store(0, Ordering::SeqCst);
                assert_eq!(cache.check(), Ok(()), "{name} after step {at}");
            }
            assert!(panics > 500, "{panics}");
            assert!(cache.len() <= 60);
            cache.insert(Mine(1), Mine(2));
            assert_eq!(cache.get(&Mine(1)).unwrap().0, 2, "{name}");
        }
    }
}

/// Uses the cache when it is dropped.
struct Caller(u32);

static CALLED: OnceLock<MemoryCache<u32, Arc<Caller>>> = OnceLock::new();

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(cache) = CALLED.get() {
            drop(cache.get(&self.0));
            assert!(cache.len() <= 4);
        }
    }
}

#[test]
fn a_value_that_uses_the_cache_while_it_is_dropped_waits_for_no_lock() {
    let cache = CALLED.get_or_init(|| MemoryCache::with_max_entries(4).shards(1).build());
    for at in 0..100 {
        cache.insert(at % 9, Arc::new(Caller(at)));
        if at % 7 == 0 {
            cache.remove(&(at % 9));
        }
        if at % 31 == 0 {
            cache.clear();
        }
    }
    assert_eq!(cache.check(), Ok(()));
}

/// As `Caller`, for keys.
#[derive(Clone, PartialEq, Eq, Hash)]
struct CallingKey(u32);

static KEYED: OnceLock<MemoryCache<CallingKey, u32>> = OnceLock::new();

impl Drop for CallingKey {
    fn drop(&mut self) {
        if self.0 < 1000
            && let Some(cache) = KEYED.get()
        {
            cache.get(&CallingKey(self.0 + 1000));
        }
    }
}

#[test]
fn a_key_that_uses_the_cache_while_it_is_dropped_waits_for_no_lock() {
    let cache = KEYED.get_or_init(|| MemoryCache::with_max_entries(4).shards(1).build());
    for at in 0..100 {
        cache.insert(CallingKey(at % 9), at);
        cache.insert(CallingKey(at % 9), at + 1);
        cache.get_or_insert_with(&CallingKey(at % 11), || at);
        if at % 7 == 0 {
            cache.remove(&CallingKey(at % 9));
        }
        if at % 31 == 0 {
            cache.clear();
        }
    }
    assert_eq!(cache.check(), Ok(()));
}

#[test]
fn a_capacity_of_nothing_holds_nothing_and_gives_what_is_made() {
    for &(kind, name) in POLICIES {
        for cache in [
            MemoryCache::with_max_entries(0).policy(kind).build(),
            MemoryCache::with_max_entries(0).policy(kind).shards(8).build(),
            MemoryCache::with_max_weight(0, |_: &u32, _: &u32| 1).policy(kind).build(),
        ] {
            for at in 0..100 {
                cache.insert(at % 7, at);
                assert_eq!(cache.get_or_insert_with(&(at % 5), || at), at, "{name}");
                assert_eq!((cache.len(), cache.get(&(at % 7))), (0, None), "{name}");
            }
            assert_eq!(cache.check(), Ok(()), "{name}");
        }
    }
}

#[test]
fn entries_that_weigh_nothing_never_make_another_go() {
    for &(kind, name) in POLICIES {
        let cache =
            MemoryCache::with_max_weight(10, |_: &u32, value: &u32| *value).policy(kind).shards(1).build();
        cache.insert(1000, 10);
        for at in 0..500 {
            cache.insert(at, 0);
            cache.get(&(at / 2));
        }
        assert_eq!((cache.len(), cache.weight()), (501, 10), "{name}");
        cache.insert(1000, 0);
        cache.insert(7, 10);
        cache.insert(8, 10);
        assert!(cache.weight() <= 10, "{name}");
        assert_eq!(cache.get(&8), Some(10), "{name}");
        assert_eq!(cache.check(), Ok(()), "{name}");
    }
}

#[test]
fn more_shards_than_entries_keep_the_bound() {
    let cache = MemoryCache::with_max_entries(3).policy(PolicyKind::Lru).shards(64).build();
    for at in 0..1000 {
        cache.insert(at, at);
        assert!(cache.len() <= 3);
    }
    assert_eq!(cache.check(), Ok(()));
}

//! Freshness and renewal: what is stale is kept, and seen by those alone who ask for it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

use std::sync::Arc;

use tierce::{Cache, Fetched, Freshness, Key, ManualClock, SetWrite, Wait, Write};

const NOW: u64 = 1_800_000_000_000;

fn set<'a>(key: &'a str, value: &'a [u8], fresh: u64, expires: u64) -> Write<'a> {
    Write::Set(SetWrite {
        expires_at: Some(NOW + expires),
        freshness: Freshness { until: Some(NOW + fresh), cost: 7 },
        ..SetWrite::new(key, value)
    })
}

fn renew(key: &str, fresh: Option<u64>, expires: u64, stale: bool) -> Write<'_> {
    let fresh_until = fresh.map(|ms| NOW + ms);
    Write::Renew { key: Key::from(key), expires_at: Some(NOW + expires), fresh_until, stale }
}

fn at(cache: &Cache, clock: &ManualClock, ms: u64, key: &str) -> (bool, bool) {
    clock.set(NOW + ms);
    let live = cache.get(key).unwrap().is_some();
    assert_eq!(live, cache.has(key).unwrap());
    assert_eq!(live, cache.get_many(&[Key::from(key)]).unwrap()[0].is_some());
    let listed = cache.page(&tierce::Listing::default()).unwrap().entries;
    assert_eq!(live, listed.iter().any(|listed| listed.key == key.as_bytes()));
    let kept = cache.kept(key).unwrap();
    let mut buffer = [0; 16];
    let fetched = cache.fetch_into(&Key::from(key), &mut buffer, false, false).unwrap();
    assert_eq!(kept.is_some(), matches!(fetched, Fetched::Filled(_)));
    (live, kept.is_some())
}

#[test]
fn a_stale_entry_is_expired_for_plain_reads_and_kept_for_those_who_ask() {
    let temp = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let open = || Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    let cache = open();
    cache.apply(&[set("k", b"value", 100, 500)], Wait::Yes).unwrap();
    let meta = cache.kept("k").unwrap().unwrap().meta;
    assert_eq!(meta.freshness, Freshness { until: Some(NOW + 100), cost: 7 });
    drop(cache);
    let cache = open();
    assert_eq!(at(&cache, &clock, 99, "k"), (true, true));
    assert_eq!(at(&cache, &clock, 100, "k"), (false, true));
    assert_eq!(at(&cache, &clock, 499, "k"), (false, true));
    assert!(!cache.delete("k").unwrap(), "a stale entry does not count as one");
    assert_eq!(at(&cache, &clock, 499, "k"), (false, false));
    cache.apply(&[set("k", b"value", 600, 700)], Wait::Yes).unwrap();
    assert_eq!(at(&cache, &clock, 700, "k"), (false, false));
    assert!(cache.take_faults().is_empty());
}

#[test]
fn a_renewal_moves_the_times_and_nothing_else_and_raises_nothing_from_the_dead() {
    let temp = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    let large = vec![7; 100_000];
    let apply = |write: Write<'_>| cache.apply(&[write], Wait::Yes).unwrap()[0];
    apply(set("k", &large, 100, 200));
    apply(set("old", b"v", 100, 120));
    clock.set(NOW + 150);
    assert!(!apply(renew("k", None, 900, false)).existed, "a stale one is no live one");
    assert!(!apply(renew("old", None, 900, true)).existed, "it is gone");
    assert!(!apply(renew("never", None, 900, true)).existed);
    let renewed = apply(renew("k", Some(300), 400, true));
    assert!(renewed.existed);
    assert_eq!(renewed.epoch, Some(cache.epochs().load(renewed.slot)));
    let entry = cache.entry("k").unwrap().unwrap();
    assert_eq!(entry.value, large);
    assert_eq!(entry.meta.created_at, NOW);
    assert_eq!(entry.meta.freshness, Freshness { until: Some(NOW + 300), cost: 7 });
    assert!(apply(renew("k", None, 1000, false)).existed);
    clock.set(NOW + 999);
    assert_eq!(cache.get("k").unwrap().unwrap(), large);
    clock.set(NOW + 1000);
    assert!(cache.kept("k").unwrap().is_none());
    assert!(cache.take_faults().is_empty());
}

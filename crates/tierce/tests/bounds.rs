//! The bound on real use: never far over it, never far under it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Dice, noise, open, temp, uncoded, value_files};
use tierce::{Cache, Code, Key, ManualClock, SetWrite, Wait, Write};

const MIB: u64 = 1 << 20;

fn bounded(dir: &std::path::Path, max_size: u64) -> Cache {
    Cache::builder().max_size(max_size).codec(uncoded("none")).open(dir).unwrap()
}

#[test]
fn use_stays_near_the_bound_under_small_large_and_mixed_values() {
    for sizes in [&[60][..], &[2_000], &[60, 2_000, 12_000, 40_000, 200_000], &[32_768, 32_769]] {
        let temp = temp();
        let limit = 6 * MIB;
        let cache = bounded(temp.path(), limit);
        let mut dice = Dice::new(5);
        let (mut brought, mut looked, mut filled) = (0, 0, false);
        while brought < 3 * limit {
            let batch: Vec<_> = (0..20)
                .map(|_| {
                    let size = sizes[dice.below(sizes.len() as u64) as usize];
                    (format!("{}", dice.below(1 << 20)), noise(dice.roll(), size))
                })
                .collect();
            let writes: Vec<_> = batch.iter().map(|(key, value)| Write::set(key.as_str(), value)).collect();
            cache.apply(&writes, Wait::Yes).unwrap();
            brought += batch.iter().map(|(_, value)| value.len() as u64 + 100).sum::<u64>();
            if brought < looked + limit / 16 {
                continue;
            }
            looked = brought;
            let stats = cache.stats().unwrap();
            assert!(stats.disk_size < limit + 8 * MIB, "{sizes:?}: {stats:?}");
            let used = stats.disk_size - stats.log_size;
            filled |= used > limit * 9 / 10;
            assert!(
                !filled || used > limit * 8 / 10,
                "{sizes:?}: only {used} bytes are used after {brought}"
            );
        }
        assert!(filled, "{sizes:?}");
    }
}

#[test]
fn a_lower_bound_evicts_what_is_over_it_and_not_the_rest() {
    for size in [60, 1_000, 40_000] {
        let temp = temp();
        let cache = bounded(temp.path(), 400 * MIB);
        let count = 12 * MIB / (size + 100);
        for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
            let batch: Vec<_> = chunk.iter().map(|n| (format!("{n}"), noise(*n, size as usize))).collect();
            let set = |(key, value): &'static (String, Vec<u8>)| Write::set(key.as_str(), value);
            let batch: &'static [_] = batch.leak();
            cache.apply(&batch.iter().map(set).collect::<Vec<_>>(), Wait::Yes).unwrap();
        }
        cache.close().unwrap();
        let limit = 3 * MIB;
        let cache = bounded(temp.path(), limit);
        for n in 0..20 {
            cache.set(format!("new:{n}"), &noise(n, 3_000)).unwrap();
        }
        let stats = cache.stats().unwrap();
        let used = stats.disk_size - stats.log_size; // the log of that much takes a moment to end
        assert!(used <= limit + 4 * MIB && used >= limit * 8 / 10, "values of {size}: {stats:?}");
        assert!(cache.has(format!("{}", count - 1)).unwrap(), "the newest of the old stays");
        assert!(!cache.has("0").unwrap(), "the oldest goes");
    }
}

#[test]
fn a_value_that_is_accepted_is_there_afterwards() {
    let temp = temp();
    let cache = bounded(temp.path(), MIB);
    for n in 0..40 {
        cache.set(format!("{n}"), &noise(n, 40_000)).unwrap();
    }
    for size in [MIB - 20_000, MIB - 5_000, MIB - 500] {
        match cache.set("large", &noise(size, size as usize)) {
            Ok(()) => assert_eq!(cache.get("large").unwrap().unwrap(), noise(size, size as usize)),
            Err(why) => assert_eq!(why.code(), Code::ValueTooLarge),
        }
    }
    assert_eq!(value_files(temp.path()).len() as u64, cache.len().unwrap());
}

#[test]
fn a_time_to_live_of_any_length_is_kept() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(1_800_000_000_000));
    let cache = Cache::builder().clock(clock.clone()).max_size(MIB).open(temp.path()).unwrap();
    let long = [Duration::MAX, Duration::from_secs(1 << 60), Duration::from_secs(u64::MAX / 1000)];
    for (n, ttl) in long.into_iter().enumerate() {
        cache.set_for(format!("{n}"), b"v", ttl).unwrap();
    }
    let write = Write::Set(SetWrite { expires_at: Some(u64::MAX), ..SetWrite::new("3", b"v") });
    cache.apply(&[write], Wait::Yes).unwrap();
    for n in 0..800 {
        cache.set(format!("other:{n}"), &noise(n, 1_000)).unwrap(); // evictions look for what has expired
        cache.get_many(&["0", "1", "2", "3"].map(Key::from)).unwrap(); // and must find these in use
    }
    for n in 0..4 {
        assert!(cache.get(format!("{n}")).unwrap().is_some(), "{n}");
    }
    clock.set(9_000_000_000_000);
    assert!(cache.get("0").unwrap().is_some());
}

#[test]
fn a_clock_that_goes_back_keeps_entries_and_order() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(1_800_000_000_000));
    let cache = Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    cache.set_for("short", b"v", Duration::from_secs(10)).unwrap();
    clock.set(0);
    cache.set_for("epoch", b"v", Duration::from_secs(10)).unwrap();
    assert!(cache.has("short").unwrap() && cache.has("epoch").unwrap());
    clock.set(u64::MAX);
    cache.set("end", b"v").unwrap();
    assert!(cache.has("end").unwrap() && !cache.has("short").unwrap());
    drop(cache);
    let cache = open(temp.path());
    cache.set("after", b"v").unwrap();
    assert!(cache.has("end").unwrap() && cache.has("after").unwrap());
}

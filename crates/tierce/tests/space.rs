//! What a directory really takes, what goes back to the file system, and what has expired.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{
    Dice, assert_settled, assert_settled_files, builder, database, encrypted, noise, temp, uncoded,
};
use tierce::{Cache, ManualClock, SetOptions};

const MIB: u64 = 1 << 20;
const NOW: u64 = 1_800_000_000_000;

/// Bytes that the file system has given to what is in a folder.
fn real_size(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => real_size(&entry.path()),
        Ok(about) => about.len().div_ceil(4096) * 4096,
        Err(_) => 0, // it went meanwhile
    };
    entries.flatten().map(size).sum()
}

/// Looks again until it is so; what is done in the background is done soon.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    (0..2_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        is_so()
    })
}

#[test]
fn the_directory_stays_near_the_bound_during_churn() {
    for sizes in [&[100][..], &[100, 3_000, 20_000, 100_000]] {
        for limit in [MIB, 3 * MIB] {
            let temp = temp();
            let cache = Cache::builder().max_size(limit).codec(uncoded("none")).open(temp.path()).unwrap();
            let mut dice = Dice::new(limit);
            let (mut brought, mut looked, mut greatest) = (0, 0, 0);
            while brought < 6 * limit {
                let size = sizes[dice.below(sizes.len() as u64) as usize];
                cache.set(dice.below(1 << 20).to_string(), &noise(dice.roll(), size)).unwrap();
                brought += size as u64 + 100;
                if brought > looked + limit / 40 {
                    looked = brought;
                    greatest = greatest.max(real_size(temp.path()));
                }
            }
            assert!(greatest <= limit + 8 * MIB, "{sizes:?}: {greatest} bytes for a bound of {limit}");
            let stats = cache.stats().unwrap();
            assert!(stats.disk_size >= limit / 2 && stats.log_size < 8 * MIB, "{stats:?}");
            assert!(!stats.log_is_pinned);
        }
    }
}

#[test]
fn a_reader_outside_may_hold_the_log_and_stats_say_so() {
    let temp = temp();
    let cache = Cache::builder().max_size(MIB).codec(uncoded("none")).open(temp.path()).unwrap();
    cache.set("k", b"v").unwrap();
    let outside = database(temp.path());
    outside.execute_batch("BEGIN; SELECT count(*) FROM entries").unwrap();
    for key in 0..3_000 {
        cache.set(format!("{}", key % 100), &noise(key, 5_000)).unwrap();
    }
    let stats = cache.stats().unwrap();
    assert!(stats.log_is_pinned && stats.log_size > 4 * MIB, "{stats:?}");
    outside.execute_batch("COMMIT").unwrap();
    let mut key = 0;
    let ends = soon(|| {
        key += 1;
        cache.set("more", &noise(key, 5_000)).unwrap();
        !cache.stats().unwrap().log_is_pinned
    });
    assert!(ends, "{:?}", cache.stats());
}

#[test]
fn what_is_cleared_goes_back_to_the_file_system() {
    let temp = temp();
    let cache = Cache::builder().codec(uncoded("none")).open(temp.path()).unwrap();
    let writes: Vec<_> = (0..3_000).map(|key| (key.to_string(), noise(key, 8_000))).collect();
    for (key, value) in &writes {
        cache.set(key.as_str(), value).unwrap();
    }
    cache.flush().unwrap();
    assert!(real_size(temp.path()) > 20 * MIB);
    cache.clear().unwrap();
    cache.set("after", b"v").unwrap();
    let shrunk = || std::fs::metadata(temp.path().join("tierce.db")).unwrap().len() < 18 * MIB;
    assert!(soon(shrunk), "{} bytes of nothing", real_size(temp.path()));
    assert_eq!(cache.get("after").unwrap().unwrap(), b"v");
    assert!(cache.take_faults().is_empty());
}

#[test]
fn cleanup_removes_what_has_expired_and_nothing_else() {
    for (dense, plain) in [(true, true), (true, false), (false, false)] {
        cleanup_removes_all_but_what_lives(dense, plain);
        encrypted(|| cleanup_removes_all_but_what_lives(dense, plain));
    }
}

/// `dense`: nearly all have expired. `plain`: none of them has more than a row.
fn cleanup_removes_all_but_what_lives(dense: bool, plain: bool) {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = builder().codec(uncoded("none")).clock(clock.clone()).max(100_000);
    let cache = cache.open(temp.path()).unwrap();
    let short = SetOptions { ttl: Some(Duration::from_secs(1)), ..SetOptions::default() };
    let tagged = SetOptions { tags: &["tag"], ..short };
    for key in 0..5_400_u64 {
        if !dense && key % 60 != 0 {
            cache.set(format!("long {key}"), b"v").unwrap();
            continue;
        }
        let name = format!("short {key}");
        match key % 900 {
            0 if !plain => cache.set_with(name, &noise(key, 50_000), &short),
            60 if !plain => cache.set_with(name, b"v", &tagged),
            _ => cache.set_with(name, &noise(key, 20), &short),
        }
        .unwrap();
    }
    let tags: &[&str] = if plain { &[] } else { &["tag"] };
    cache.set_with("stays", &noise(1, 100), &SetOptions { tags, ..SetOptions::default() }).unwrap();
    if !plain {
        cache.set("stays too", &noise(1, 40_000)).unwrap();
    }
    let live = if plain { 1 } else { 2 };
    let before = cache.validity().unwrap();
    assert_eq!(before.expired, 0);
    assert_eq!(before.valid_size, cache.stats().unwrap().size);
    assert_eq!(cache.cleanup(u64::MAX).unwrap(), 0);
    clock.set(NOW + 5_000);
    let expired = if dense { 5_400 } else { 90 };
    assert_eq!(cache.expired_count().unwrap(), expired);
    assert!(cache.valid_size().unwrap() < before.valid_size);
    assert_eq!(cache.cleanup(7).unwrap(), 7, "no more than was asked for");
    assert_eq!(cache.cleanup(u64::MAX).unwrap(), expired - 7);
    assert_eq!(cache.validity().unwrap().expired, 0);
    assert_eq!(cache.len().unwrap(), 5_400 - expired + live);
    assert_eq!(cache.stats().unwrap().size, cache.valid_size().unwrap());
    assert_eq!(cache.get("stays").unwrap().unwrap(), noise(1, 100));
    assert_eq!(cache.check(false).unwrap().problems.len(), 0, "nothing is left in the side tables");
    cache.set("next", b"v").unwrap(); // forgets the files that are unlinked
    assert_settled(temp.path());
    assert_settled_files(temp.path(), usize::from(!plain));
    assert_eq!(cache.invalidate_tags(&["tag"]).unwrap(), u64::from(!plain));
    assert_eq!(cache.cleanup(u64::MAX).unwrap(), 0);
}

#[test]
fn cleanup_beside_writers_takes_nothing_that_lives() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let open = || Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    let (cache, other) = (open(), open());
    for key in 0..2_000 {
        cache.set_for(key.to_string(), b"old", Duration::from_secs(1)).unwrap();
    }
    clock.set(NOW + 5_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for key in 0..2_000 {
                other.set_for(key.to_string(), b"new", Duration::from_secs(60)).unwrap();
            }
        });
        scope.spawn(|| {
            while cache.expired_count().unwrap() > 0 {
                cache.cleanup(100).unwrap();
            }
        });
    });
    for key in 0..2_000 {
        assert_eq!(cache.get(key.to_string()).unwrap().unwrap(), b"new", "{key}");
    }
}

/// Bytes that this thread has read from files.
#[cfg(target_os = "linux")]
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// An open that walked the entries or the files would take seconds for a million of them.
#[cfg(target_os = "linux")]
#[test]
fn what_an_open_and_a_read_look_at_does_not_grow_with_the_entries() {
    let cost = |entries: u64| {
        let temp = temp();
        let cache = Cache::builder().codec(uncoded("none")).open(temp.path()).unwrap();
        for key in 0..entries {
            cache.set(key.to_string(), &noise(key, 100)).unwrap();
        }
        for key in 0..entries / 50 {
            cache.set(format!("large {key}"), &noise(key, 20_000)).unwrap();
        }
        cache.close().unwrap();
        let before = bytes_read();
        let cache = Cache::builder().max_size(1 << 30).open(temp.path()).unwrap();
        let opened = bytes_read() - before;
        assert!(cache.get((entries / 2).to_string()).unwrap().is_some());
        cache.set("new", b"value").unwrap();
        (opened, bytes_read() - before - opened)
    };
    let (few, many) = (cost(100), cost(20_000));
    let page = Cache::PAGE_SIZE;
    assert!(many.0 <= few.0 + 4 * page, "an open read {} bytes, {} of few entries", many.0, few.0);
    assert!(many.1 <= few.1 + 24 * page, "a read and a set read {} bytes, {} of few", many.1, few.1);
}

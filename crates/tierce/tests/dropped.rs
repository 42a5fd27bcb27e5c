//! What is left of a cache when its handle is dropped: nothing but the directory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use tierce::{Builder, Cache};

/// Files in a directory that this process has open or mapped.
fn held(dir: &Path) -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|fd| fs::read_link(fd.path()).ok()).map(|path| path.display().to_string());
    let mapped = fs::read_to_string("/proc/self/maps").unwrap();
    let all = open.chain(mapped.lines().map(str::to_owned));
    all.filter(|line| line.contains(dir.to_str().unwrap())).collect()
}

/// A thread that was joined is in the list for a moment still.
fn no_thread_lives() -> bool {
    let names = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect::<Vec<_>>()
    };
    (0..1000).any(|_| {
        let lives = names().iter().any(|name| matches!(name.trim_end(), "tierce" | "tierce-accesses"));
        if lives {
            std::thread::sleep(Duration::from_millis(10));
        }
        !lives
    })
}

fn fill(cache: &Cache, round: u32) {
    for key in 0..400 {
        cache.set(format!("{round}:{key}"), vec![key as u8; 10 + 200 * key as usize]).unwrap();
    }
    // Batches of accesses come due, and with them what the thread behind does.
    for key in (0..400).cycle().take(2000) {
        assert!(cache.touch(format!("{round}:{key}")).unwrap());
    }
}

fn check_rounds(name: &str, builder: &Builder) {
    let temp = common::temp();
    let dir = fs::canonicalize(temp.path()).unwrap().join("cache");
    for round in 0..4 {
        let cache = builder.clone().open(&dir).unwrap();
        for key in (0..400).step_by(7).filter(|_| round > 0) {
            let before = cache.get(format!("{}:{key}", round - 1)).unwrap();
            assert_eq!(before, Some(vec![key as u8; 10 + 200 * key]), "{name}: {round}, {key}");
        }
        fill(&cache, round);
        assert!(!held(&dir).is_empty(), "{name}: the test sees what is open");
        drop(cache);
        assert_eq!(held(&dir), [""; 0], "{name}: {round}");
        assert!(no_thread_lives(), "{name}: {round}");
    }
    let cache = builder.clone().open(&dir).unwrap();
    fill(&cache, 9);
    drop(cache);
    fs::remove_dir_all(&dir).unwrap();
    Cache::open(&dir).unwrap();
    assert_eq!(held(&dir), [""; 0], "{name}: one that did nothing");
}

// One test, as the threads and files of another would be seen.
#[test]
fn a_dropped_cache_keeps_no_file_open_and_no_thread_alive_and_has_lost_nothing() {
    check_rounds("journal", &Cache::builder());
    check_rounds("no journal", &Cache::builder().journal(false));
    check_rounds("bound", &Cache::builder().max_size(1 << 30));

    let temp = common::temp();
    let dir = fs::canonicalize(temp.path()).unwrap().join("sidecar");
    let cache = Cache::builder().max(1_000_000).open_sidecar(&dir).unwrap();
    for key in 0..5000 {
        cache.set(key, b"small").unwrap();
        cache.touch(key).unwrap();
    }
    drop(cache);
    assert_eq!(held(&dir), [""; 0], "sidecar");
    assert!(no_thread_lives(), "sidecar");
}

//! What a cache of a million entries needs resident: all of a process, which is this test binary started again. One builds the
//! cache, and another opens it and reads, writes and lists.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Dice, temp};
use tierce::{Cache, Key, Listing, Wait, Write};

const DIR: &str = "TIERCE_RESIDENT_DIR";
const ROLE: &str = "TIERCE_RESIDENT_ROLE";
const ENTRIES: u64 = 1_000_000;
const BATCH: usize = 10_000;
const MIB: u64 = 1024;

fn key(at: u64) -> String {
    format!("key:{at}")
}

/// In kibibytes: `VmRSS:` or `VmHWM:`, which is the most so far.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn assert_less_than(mib: u64, when: &str) {
    let (now, most) = (resident("VmRSS:"), resident("VmHWM:"));
    println!("{when}: {now} KiB, at most {most}");
    assert!(now < mib * MIB, "{when}: {now} KiB are resident, where {mib} MiB would be right");
    let bound = if cfg!(target_env = "gnu") { 48 } else { 64 };
    assert!(most < bound * MIB, "{when}: {most} KiB were resident");
}

fn set_many(cache: &Cache, keys: &[String], value: &[u8]) {
    let writes: Vec<_> = keys.iter().map(|key| Write::set(key.as_str(), value)).collect();
    cache.apply(&writes, Wait::Yes).unwrap();
}

/// In the order of rows, which takes a third of the time.
fn fill(cache: &Cache) {
    let id = |at: u64| cache.digest(&Key::from(key(at).as_str())).id();
    let mut order: Vec<_> = (0..ENTRIES).map(|at| (id(at), at as u32)).collect();
    order.sort_unstable();
    for some in order.chunks(BATCH) {
        let keys: Vec<_> = some.iter().map(|(_, at)| key(u64::from(*at))).collect();
        set_many(cache, &keys, &[7; 100]);
    }
}

fn work(cache: &Cache) {
    let mut dice = Dice::new(7);
    let mut any = |count: usize| -> Vec<_> { (0..count).map(|_| key(dice.below(ENTRIES))).collect() };
    for _ in 0..3 {
        for key in any(10_000) {
            assert!(cache.get(key.as_str()).unwrap().is_some());
        }
        for key in any(2_000) {
            cache.set(key.as_str(), &[9; 100]).unwrap();
        }
        for _ in 0..20 {
            set_many(cache, &any(256), &[8; 100]);
        }
        let mut after = i64::MIN;
        for _ in 0..100 {
            let page = cache.page(&Listing { after, limit: 100, ..Listing::default() }).unwrap();
            after = page.next.unwrap();
        }
        assert_eq!(cache.stats().unwrap().entries, ENTRIES);
    }
    assert_goes_back(cache, "in use");
    // One transaction that changes ten thousand pages, of which some are in memory until it ends; then they go back.
    set_many(cache, &any(BATCH), &[8; 100]);
    assert_goes_back(cache, "after ten thousand at once");
}

/// What is freed goes back to the system when the cache is idle for a moment behind a write; how much that is until then depends on the machine.
fn assert_goes_back(cache: &Cache, when: &str) {
    if cfg!(target_env = "gnu") {
        cache.set(key(0), &[9; 100]).unwrap();
        for _ in 0..200 {
            if resident("VmRSS:") < 24 * MIB {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    assert_less_than(if cfg!(target_env = "gnu") { 24 } else { 64 }, when);
}

/// Not a test of its own.
#[test]
fn process_that_is_measured() {
    let (Ok(dir), Ok(role)) = (std::env::var(DIR), std::env::var(ROLE)) else { return };
    let cache = Cache::builder().max_size(8 << 30).open(dir).unwrap();
    match role.as_str() {
        "fill" => fill(&cache),
        _ => {
            assert_less_than(12, "opened");
            work(&cache);
        }
    }
    cache.close().unwrap();
}

fn run(role: &str, dir: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["process_that_is_measured", "--exact", "--nocapture"]).env(DIR, dir).env(ROLE, role);
    assert!(child.status().unwrap().success());
}

#[test]
fn a_process_with_a_cache_of_a_million_entries_needs_less_than_64_mb_and_24_in_steady_use() {
    let temp = temp();
    let dir = temp.path().join("cache");
    run("fill", &dir);
    run("use", &dir);
}

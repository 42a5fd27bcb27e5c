//! Several processes and threads on one directory. A process is this test binary, started again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use common::{Dice, assert_settled, noise, open, telling, temp, uncoded, version_in};
use tierce::{Cache, Wait, Write};

const DIR: &str = "TIERCE_SHARING_DIR";
const NUMBER: &str = "TIERCE_SHARING_NUMBER";
const ROLE: &str = "TIERCE_SHARING_ROLE";

fn start(role: &str, dir: &Path, number: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process", "--nocapture"]);
    command.env(ROLE, role).env(DIR, dir).env(NUMBER, number.to_string());
    command.spawn().unwrap()
}

/// Runs `count` processes to their end; each must have been content.
fn processes(role: &str, dir: &Path, count: u64) {
    let children: Vec<Child> = (0..count).map(|number| start(role, dir, number)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a process of role '{role}' failed");
    }
}

/// What such a process does. Not a test of its own.
#[test]
fn process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let dir = std::env::var(DIR).unwrap();
    let number: u64 = std::env::var(NUMBER).unwrap().parse().unwrap();
    match role.as_str() {
        "share" => share(Path::new(&dir), number),
        "open" => open_and_write(Path::new(&dir), number),
        "mend" => mend(Path::new(&dir), number),
        "stress" => stress(Path::new(&dir), number),
        other => panic!("{other}"),
    }
}

const ROUNDS: u64 = 250;
const OWN: u64 = 40;

/// Threads that each have keys of their own, which nobody else may lose, and keys that all fight for.
fn share(dir: &Path, process: u64) {
    let cache = Cache::builder().codec(uncoded("none")).open(dir).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let cache = &cache;
            scope.spawn(move || {
                let me = process * 3 + thread;
                let mut dice = Dice::new(me);
                let mut newest = vec![0; OWN as usize];
                for version in 1..=ROUNDS {
                    let size = [30, 2_000, 40_000][dice.below(3) as usize];
                    let own = dice.below(OWN);
                    let key = 1_000 * (me + 1) + own;
                    cache.set(format!("{key}"), &telling(key, version, size)).unwrap();
                    newest[own as usize] = version;

                    let contested = dice.below(10);
                    match dice.below(8) {
                        0 => drop(cache.delete(format!("{contested}")).unwrap()),
                        1..4 => {
                            cache.set(format!("{contested}"), &telling(contested, version, size)).unwrap();
                        }
                        _ => {
                            let value = cache.get(format!("{contested}")).unwrap();
                            value.inspect(|value| assert!(version_in(contested, value) > 0));
                        }
                    }
                    let own = dice.below(OWN);
                    let key = 1_000 * (me + 1) + own;
                    let found =
                        cache.get(format!("{key}")).unwrap().map_or(0, |value| version_in(key, &value));
                    assert_eq!(found, newest[own as usize], "thread {me} lost a write of key {key}");
                }
            });
        }
    });
    let faults = cache.take_faults();
    assert!(faults.is_empty(), "{faults:?}");
    cache.close().unwrap();
}

#[test]
fn four_processes_of_three_threads_lose_no_write_and_see_no_wrong_value() {
    let temp = temp();
    processes("share", temp.path(), 4);
    let cache = open(temp.path());
    let per_thread = cache.entries("").collect::<tierce::Result<Vec<_>>>().unwrap();
    assert!(per_thread.len() > 12 * 30, "{} entries", per_thread.len());
    assert_settled(temp.path());
}

const STRESSED: &str = "TIERCE_SHARE_SECONDS";

/// How long [`stress`] lasts.
fn stress_time() -> Duration {
    let given = std::env::var(STRESSED).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(2))
}

/// Four threads that do all there is to do until the time is over: to keys of their own, which must be as they left them, and
/// to keys that all have. Leaves the number of its increments and of its rounds.
#[allow(clippy::disallowed_methods, reason = "as long as it was asked to, in real time")]
fn stress(dir: &Path, process: u64) {
    const THREADS: u64 = 4;
    let cache = Cache::builder().codec(uncoded("none")).open(dir).unwrap();
    let end = Instant::now() + stress_time();
    let (counted, rounds) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (cache, counted, rounds) = (&cache, &counted, &rounds);
            scope.spawn(move || {
                let me = process * THREADS + thread;
                let mut dice = Dice::new(me);
                let mut newest = vec![None; OWN as usize];
                let mut version = 0;
                while version == 0 || Instant::now() < end {
                    version += 1;
                    let own = dice.below(OWN);
                    let key = 1_000 * (me + 1) + own;
                    let size = [30, 2_000, 40_000][dice.below(3) as usize];
                    let found = cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value));
                    assert_eq!(found, newest[own as usize], "key {key} of thread {me}");
                    newest[own as usize] = match dice.below(6) {
                        0 => {
                            let existed = cache.delete(format!("{key}")).unwrap();
                            assert_eq!(existed, found.is_some());
                            None
                        }
                        _ => {
                            cache.set(format!("{key}"), &telling(key, version, size)).unwrap();
                            Some(version)
                        }
                    };
                    let contested = dice.below(10);
                    match dice.below(12) {
                        0 => drop(cache.delete(format!("{contested}")).unwrap()),
                        1..4 => {
                            cache.set(format!("{contested}"), &telling(contested, version, size)).unwrap();
                        }
                        4..7 => {
                            let now = cache.increment("counter", 1).unwrap();
                            assert!(now as u64 > counted.fetch_add(1, Ordering::Relaxed), "{now}");
                        }
                        7 => {
                            let page = cache.entries("").take(50).collect::<tierce::Result<Vec<_>>>();
                            assert!(page.unwrap().len() <= 50);
                        }
                        8 => drop(cache.stats().unwrap()),
                        _ => {
                            let value = cache.get(format!("{contested}")).unwrap();
                            value.inspect(|value| assert!(version_in(contested, value) > 0));
                        }
                    }
                }
                rounds.fetch_add(version, Ordering::Relaxed);
                for (own, newest) in (0..).zip(newest) {
                    let key = 1_000 * (me + 1) + own;
                    let found = cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value));
                    assert_eq!(found, newest, "key {key} of thread {me}, at the end");
                }
            });
        }
    });
    let faults = cache.take_faults();
    assert!(faults.is_empty(), "{faults:?}");
    cache.close().unwrap();
    let (counted, rounds) = (counted.into_inner(), rounds.into_inner());
    fs::write(dir.join(format!("done.{process}")), format!("{counted} {rounds}")).unwrap();
}

#[test]
fn eight_processes_of_four_threads_share_a_directory_for_a_while() {
    let temp = temp();
    processes("stress", temp.path(), 8);
    let done: Vec<(u64, u64)> = (0..8)
        .map(|process| {
            let said = fs::read_to_string(temp.path().join(format!("done.{process}"))).unwrap();
            let (counted, rounds) = said.split_once(' ').unwrap();
            (counted.parse().unwrap(), rounds.parse().unwrap())
        })
        .collect();
    let counted: u64 = done.iter().map(|(counted, _)| counted).sum();
    println!("{} rounds, {counted} increments", done.iter().map(|(_, rounds)| rounds).sum::<u64>());
    let cache = open(temp.path());
    assert_eq!(cache.increment("counter", 0).unwrap() as u64, counted, "increments");
    let report = cache.check(false).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_settled(temp.path());
}

fn open_and_write(dir: &Path, process: u64) {
    let barrier = Barrier::new(20);
    std::thread::scope(|scope| {
        for thread in 0..20 {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let cache = open(dir);
                let key = process * 20 + thread;
                cache.set(format!("{key}"), &telling(key, 1, 20 + key as usize % 2 * 40_000)).unwrap();
                assert!(cache.take_faults().is_empty());
            });
        }
    });
}

#[test]
fn twenty_threads_in_each_of_eight_processes_make_one_cache_of_a_missing_directory() {
    let temp = temp();
    let dir = temp.path().join("new");
    processes("open", &dir, 8);
    let cache = open(&dir);
    for key in 0..160 {
        assert_eq!(
            version_in(key, &cache.get(format!("{key}")).unwrap().expect("a write after the first open")),
            1
        );
    }
    assert_settled(&dir);
}

/// Waits until all are open, meets the damage with the others, and goes on.
fn mend(dir: &Path, process: u64) {
    let cache = open(dir);
    fs::write(dir.join(format!("ready.{process}")), b"").unwrap();
    while !dir.join("damaged").exists() {
        std::thread::yield_now();
    }
    let mut dice = Dice::new(process);
    for version in 1..=150 {
        let key = 1_000 * (process + 1) + dice.below(50);
        let value = telling(key, version, [30, 40_000][dice.below(2) as usize]);
        cache.set(format!("{key}"), &value).unwrap();
        let other = dice.below(600);
        let found = cache.get(format!("{other}")).unwrap();
        found.inspect(|value| assert!(version_in(other, value) > 0));
    }
    // Once all damage is met, nothing more is lost.
    for key in 1_000 * (process + 1)..1_000 * (process + 1) + 50 {
        cache.set(format!("{key}"), &telling(key, 200, 40_000)).unwrap();
    }
    for key in 1_000 * (process + 1)..1_000 * (process + 1) + 50 {
        let value = cache.get(format!("{key}")).unwrap().expect("a write after the damage was mended");
        assert_eq!(version_in(key, &value), 200);
    }
}

#[test]
fn processes_that_meet_damage_at_once_mend_it_once_and_go_on() {
    for round in 0..4 {
        let temp = temp();
        let cache = open(temp.path());
        for key in 0..600 {
            cache.set(format!("{key}"), &telling(key, 1, 400)).unwrap();
        }
        cache.close().unwrap();
        let children: Vec<Child> = (0..3).map(|number| start("mend", temp.path(), number)).collect();
        while (0..3).any(|process| !temp.path().join(format!("ready.{process}")).exists()) {
            std::thread::yield_now();
        }
        let path = temp.path().join("tierce.db");
        let pages = fs::metadata(&path).unwrap().len() / Cache::PAGE_SIZE;
        let mut dice = Dice::new(round);
        for _ in 0..3 {
            use std::io::{Seek as _, SeekFrom, Write as _};
            let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            let page = if round == 0 { 2 } else { 2 + dice.below(pages - 2) };
            file.seek(SeekFrom::Start(page * Cache::PAGE_SIZE)).unwrap();
            file.write_all(&noise(page, Cache::PAGE_SIZE as usize)).unwrap();
        }
        fs::write(temp.path().join("damaged"), b"").unwrap();
        for mut child in children {
            assert!(child.wait().unwrap().success(), "round {round}");
        }
        let cache = open(temp.path());
        for key in 0..600 {
            cache.get(format!("{key}")).unwrap().inspect(|value| assert!(version_in(key, value) > 0));
        }
        for key in (1..4).flat_map(|process| 1_000 * process..1_000 * process + 50) {
            let value = cache.get(format!("{key}")).unwrap();
            assert_eq!(version_in(key, &value.expect("what was written last")), 200, "round {round}");
        }
    }
}

#[test]
fn a_close_while_another_handle_writes_disturbs_neither() {
    let temp = temp();
    let stop = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let cache = open(temp.path());
            let mut version = 0;
            while !stop.load(Ordering::Relaxed) {
                version += 1;
                cache.set("k", &telling(1, version, if version % 2 == 0 { 50 } else { 40_000 })).unwrap();
                written.store(version, Ordering::Relaxed);
            }
            assert_eq!(version_in(1, &cache.get("k").unwrap().unwrap()), version);
        });
        for round in 0..40 {
            let cache = open(temp.path());
            cache.set(format!("mine:{round}"), b"v").unwrap();
            cache.get("k").unwrap().inspect(|value| assert!(version_in(1, value) > 0));
            cache.close().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let cache = open(temp.path());
    assert_eq!(version_in(1, &cache.get("k").unwrap().unwrap()), written.into_inner());
    assert!((0..40).all(|round| cache.has(format!("mine:{round}")).unwrap()));
}

#[test]
fn a_cache_can_be_dropped_while_its_maintenance_is_at_work() {
    let temp = temp();
    for round in 0..10 {
        let cache = open(temp.path());
        let values: Vec<_> = (0..400).map(|n| (format!("{n}"), noise(n + round, 14_000))).collect();
        let set = |(key, value): &'static (String, Vec<u8>)| Write::set(key.as_str(), value);
        let values: &'static [_] = values.leak();
        cache.apply(&values.iter().map(set).collect::<Vec<_>>(), Wait::Yes).unwrap(); // the log is due
        drop(cache);
        let cache = open(temp.path());
        for (key, value) in values {
            assert!(cache.get(key.as_str()).unwrap().as_ref() == Some(value), "round {round}, key {key}");
        }
    }
}

#[test]
fn a_panic_in_a_loader_leaves_the_cache_usable() {
    let temp = temp();
    let cache = Arc::new(open(temp.path()));
    for _ in 0..3 {
        let cache = Arc::clone(&cache);
        let panicked = std::thread::spawn(move || {
            let _: Result<_, ()> = cache.get_or_set("k", || panic!("a loader's own"));
        });
        assert!(panicked.join().is_err());
    }
    let loaded: Result<_, ()> = cache.get_or_set("k", || Ok(b"loaded".to_vec()));
    assert_eq!(loaded.unwrap(), b"loaded");
}

#[test]
fn clears_beside_writes_lose_only_what_came_before_them() {
    let temp = temp();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let dir = temp.path();
            scope.spawn(move || {
                let cache = open(dir);
                for version in 0..200 {
                    let size = if version % 3 == 0 { 40_000 } else { 100 };
                    cache.set(format!("{writer}"), &telling(writer, version, size)).unwrap();
                    let found = cache.get(format!("{writer}")).unwrap();
                    found.inspect(|value| assert_eq!(version_in(writer, value), version));
                    if version % 20 == 0 {
                        cache.clear().unwrap();
                    }
                }
                assert!(cache.take_faults().is_empty());
                cache.close().unwrap();
            });
        }
    });
    let cache = open(temp.path());
    cache.clear().unwrap();
    assert!(cache.is_empty().unwrap());
    cache.close().unwrap();
    drop(open(temp.path()));
    assert_settled(temp.path());
    assert!(common::value_files(temp.path()).is_empty());
}

//! A cache without a database under processes that write at once, and that are killed.
//!
//! A writer is this test binary, started again with what it is to do in environment variables.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Dice, telling, temp, uncoded, version_in};
use tierce::{Cache, Clock as _, SidecarCache, StreamOptions, SystemClock};

const DIR: &str = "TIERCE_SIDECAR_DIR";
const SEED: &str = "TIERCE_SIDECAR_SEED";
const MILLIS: &str = "TIERCE_SIDECAR_MILLIS";
const KEYS: u64 = 40;

fn open(dir: &Path) -> SidecarCache {
    Cache::builder().codec(uncoded("none")).max_size(64 << 20).open_sidecar(dir).unwrap()
}

fn number(name: &str) -> u64 {
    std::env::var(name).unwrap().parse().unwrap()
}

/// Writes, reads and deletes until its time is over, or until it is killed. Not a test of its own.
#[test]
fn writer_beside_others() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (cache, seed) = (open(Path::new(&dir)), number(SEED));
    let end = SystemClock.now_ms() + number(MILLIS);
    let mut dice = Dice::new(seed);
    let mut version = seed << 32;
    let mut out = std::io::stdout().lock();
    while SystemClock.now_ms() < end {
        version += 1;
        let key = dice.below(KEYS);
        let name = format!("{key}");
        let length = [20, 3_000, 40_000, 400_000][dice.below(4) as usize];
        match dice.below(10) {
            0 => drop(cache.delete(&name).unwrap()),
            1 => drop(cache.add(&name, &telling(key, version, length)).unwrap()),
            2 => drop(cache.expire(&name, Some(Duration::from_secs(1000))).unwrap()),
            3 => {
                let mut writer = cache.write_stream(&name, StreamOptions::default());
                writer.write(&telling(key, version, length)).unwrap();
                cache.finish_stream(writer).unwrap();
            }
            4 => drop(cache.update(&name, &telling(key, version, length)).unwrap()),
            5 | 6 => {
                cache.set(&name, &telling(key, version, length)).unwrap();
                out.write_all(format!("ack {key} {version}\n").as_bytes()).unwrap();
            }
            _ => {
                if let Some(value) = cache.get(&name).unwrap() {
                    version_in(key, &value);
                }
            }
        }
        let faults = cache.take_faults();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

fn writer(dir: &Path, seed: u64, millis: u64, out: Stdio) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["writer_beside_others", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(SEED, seed.to_string())
        .env(MILLIS, millis.to_string())
        .stdout(out)
        .spawn()
        .unwrap()
}

fn assert_whole(cache: &SidecarCache) {
    let report = cache.check(true).unwrap();
    let wrong: Vec<_> =
        report.problems.iter().filter(|problem| problem.kind.as_str() != "orphan-file").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(report.found, report.fixed);
    assert_eq!(std::fs::read_dir(cache.dir().join("temp")).unwrap().count(), 0, "what the dead left is gone");
    for key in 0..KEYS {
        if let Some(value) = cache.get(format!("{key}")).unwrap() {
            version_in(key, &value);
        }
    }
    assert!(cache.take_faults().is_empty());
}

#[test]
fn eight_processes_at_once_tear_no_value() {
    let dir = temp();
    let cache = open(dir.path());
    let start = |seed| writer(dir.path(), seed, 3_000, Stdio::null());
    let mut writers: Vec<_> = (1..=8).map(start).collect();
    let mut rounds = 0;
    while writers.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        for key in 0..KEYS {
            if let Some(value) = cache.get(format!("{key}")).unwrap() {
                version_in(key, &value);
            }
        }
        if rounds % 20 == 0 {
            cache.check(true).unwrap(); // takes nothing from a living writer
            cache.cleanup(u64::MAX).unwrap();
        }
        rounds += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    for mut child in writers {
        assert!(child.wait().unwrap().success());
    }
    assert_whole(&cache);
}

#[test]
fn a_kill_at_any_moment_leaves_no_part_of_a_value_and_loses_nothing_acknowledged() {
    let dir = temp();
    let mut dice = Dice::new(7);
    let mut acknowledged: HashMap<u64, u64> = HashMap::new();
    for round in 1..=25 {
        let mut child = writer(dir.path(), round, 60_000, Stdio::piped());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first = lines.find(|line| line.starts_with("ack"));
        std::thread::sleep(Duration::from_millis(30 + dice.below(150)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in first.into_iter().chain(lines) {
            let words: Vec<_> = line.split(' ').collect();
            if let ["ack", key, version] = words[..] {
                acknowledged.insert(key.parse().unwrap(), version.parse().unwrap());
            }
        }
        let cache = open(dir.path());
        assert_whole(&cache);
        for (key, version) in &acknowledged {
            // What was set after it, or deleted, was so without a word.
            if let Some(value) = cache.get(format!("{key}")).unwrap() {
                assert!(version_in(*key, &value) >= *version, "key {key}: older than what was acknowledged");
            }
        }
    }
    assert!(acknowledged.len() > 10, "the writer was killed before it wrote anything");
}

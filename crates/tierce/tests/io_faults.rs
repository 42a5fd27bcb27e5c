//! Every call that changes a file fails once, and every one from it on: a full disk, and one that is broken. Each
//! failure has its code, nothing acknowledged is lost, and the handle works again when the disk does.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;
#[path = "common/failing.rs"]
mod failing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use common::{assert_settled, noise, temp, uncoded};
use failing::{FAULTS, Fault, arm, lift, syncs, unsynced, watch};
use tierce::{Builder, Cache, Code, Durability, Error, Result, Wait, Write};

const INLINE: usize = 300;
const IN_FILE: usize = 40_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Set(u8, usize),
    /// In one transaction: a small value and one in a file.
    Batch(u8, u8),
    Delete(u8),
    Increment,
    Clear,
    Checkpoint,
    Get(u8),
}

use Step::{Batch, Checkpoint, Clear, Delete, Get, Increment, Set};

/// One of each sort at least, over what the ones before have left.
const SCRIPT: [Step; 24] = [
    Set(1, INLINE),
    Set(2, IN_FILE),
    Increment,
    Batch(3, 4),
    Get(2),
    Set(2, IN_FILE),
    Set(1, INLINE),
    Checkpoint,
    Set(2, INLINE),
    Set(1, IN_FILE),
    Get(1),
    Delete(2),
    Delete(4),
    Increment,
    Checkpoint,
    Set(5, INLINE),
    Batch(6, 7),
    Clear,
    Set(1, INLINE),
    Set(2, IN_FILE),
    Increment,
    Set(2, IN_FILE),
    Delete(1),
    Checkpoint,
];

fn builder(max: Option<u64>, durability: Durability) -> Builder {
    let builder = Cache::builder().codec(uncoded("none")).durability(durability);
    let builder = builder.lock_timeout(Duration::from_millis(300));
    max.map_or(builder.clone(), |max| builder.max(max))
}

fn name(key: u8) -> String {
    format!("key {key}")
}

/// What a key may hold: each is a value, or nothing. More than one after a write that failed.
type Held = BTreeSet<Option<Vec<u8>>>;

#[derive(Default)]
struct Model {
    held: BTreeMap<u8, Held>,
    counter: BTreeSet<i64>,
    version: u64,
    evicts: bool,
}

impl Model {
    fn new(evicts: bool) -> Self {
        Self { evicts, counter: BTreeSet::from([0]), ..Self::default() }
    }

    /// After a write of `value`: it, and what was there before where the write failed.
    fn wrote(&mut self, key: u8, value: Option<Vec<u8>>, succeeded: bool) {
        let held = self.held.entry(key).or_insert_with(|| BTreeSet::from([None]));
        if succeeded {
            held.clear();
        }
        held.insert(value);
    }

    fn value(&mut self, key: u8, size: usize) -> Vec<u8> {
        self.version += 1;
        noise(self.version << 8 | u64::from(key), size)
    }

    fn step(&mut self, cache: &Cache, step: Step) -> Result<()> {
        match step {
            Set(key, size) => {
                let value = self.value(key, size);
                let outcome = cache.set(name(key), &value);
                self.wrote(key, Some(value), outcome.is_ok());
                outcome
            }
            Batch(small, large) => {
                let values = [(small, self.value(small, INLINE)), (large, self.value(large, IN_FILE))];
                let names = [name(small), name(large)];
                let write = |at: usize| Write::set(names[at].as_str(), &values[at].1);
                let outcome = cache.apply(&[write(0), write(1)], Wait::Yes).map(|_| ());
                for (key, value) in values.clone() {
                    self.wrote(key, Some(value), outcome.is_ok());
                }
                outcome
            }
            Delete(key) => {
                let outcome = cache.delete(name(key)).map(|_| ());
                self.wrote(key, None, outcome.is_ok());
                outcome
            }
            Increment => {
                let outcome = cache.increment("counter", 1);
                match &outcome {
                    Ok(now) if self.evicts => self.counter = BTreeSet::from([*now]),
                    Ok(now) => {
                        assert!(self.counter.contains(&(now - 1)), "{now} after one of {:?}", self.counter);
                        self.counter = BTreeSet::from([*now]);
                    }
                    Err(_) => self.counter.extend(self.counter.clone().iter().map(|count| count + 1)),
                }
                outcome.map(|_| ())
            }
            Clear => {
                let outcome = cache.clear();
                for key in self.held.keys().copied().collect::<Vec<_>>() {
                    self.wrote(key, None, outcome.is_ok());
                }
                if outcome.is_ok() {
                    self.counter.clear();
                }
                self.counter.insert(0);
                outcome
            }
            Checkpoint => cache.settle_down(),
            Get(key) => {
                let found = cache.get(name(key))?;
                self.compare(key, found, "beside the fault");
                Ok(())
            }
        }
    }

    fn compare(&self, key: u8, found: Option<Vec<u8>>, when: &str) {
        let Some(held) = self.held.get(&key) else { return assert_eq!(found, None) };
        let may_be = held.contains(&found) || (self.evicts && found.is_none());
        let sizes: Vec<_> = held.iter().map(|value| value.as_ref().map(Vec::len)).collect();
        assert!(
            may_be,
            "{when}, key {key} has {:?} bytes, not one of {sizes:?}",
            found.map(|found| found.len())
        );
    }

    /// Everything is there; from here on, what was found is what it is.
    fn verify(&mut self, cache: &Cache, when: &str) {
        for key in self.held.keys().copied().collect::<Vec<_>>() {
            let found = cache.get(name(key)).unwrap();
            self.compare(key, found.clone(), when);
            self.wrote(key, found, true);
        }
        let count = cache.get("counter").unwrap().is_some();
        assert!(count || self.evicts || self.counter.contains(&0), "{when}, the counter is lost");
    }
}

fn assert_typed(error: &Error, fault: Fault, at: &str) {
    // Of the log's index, SQLite does not say why it could not be made longer.
    let unsaid =
        format!("{error:?}").contains(&format!("extended_code: {}", rusqlite::ffi::SQLITE_IOERR_SHMSIZE));
    let expected: &[Code] = match fault.errno {
        libc::EIO if unsaid => &[Code::StorageFull],
        libc::ENOSPC => &[Code::StorageFull, Code::Unavailable],
        // One that fails under a lock of the log looks like somebody else's.
        _ if !fault.lasts => &[Code::Unavailable, Code::LockTimeout],
        _ => &[Code::Unavailable],
    };
    assert!(expected.contains(&error.code()), "{at}: {error:?}");
    assert!(error.context().iter().any(|(name, _)| *name == "path"), "{at}: {error:?} names no path");
}

/// The script with a fault at the `nth` call. Gives how many calls failed.
fn run(dir: &Path, nth: u64, fault: Fault, max: Option<u64>, durability: Durability) -> u64 {
    let mut model = Model::new(max.is_some());
    let at = |what: &str| format!("{what}, call {nth}, {fault:?}");
    arm(nth, fault);
    let cache = match builder(max, durability).open(dir) {
        Ok(cache) => cache,
        Err(why) => {
            assert_typed(&why, fault, &at("open"));
            let failed = lift();
            let cache = builder(max, durability)
                .open(dir)
                .unwrap_or_else(|why| panic!("{}: {why}", at("open again")));
            cache.set("k", b"v").unwrap();
            return failed;
        }
    };
    for step in SCRIPT {
        if let Err(why) = model.step(&cache, step) {
            assert_typed(&why, fault, &at(&format!("{step:?}")));
        }
    }
    let failed = lift();
    for why in cache.take_faults() {
        assert_typed(&why, fault, &at("a fault that was kept"));
    }
    model.verify(&cache, &at("once the disk works"));
    for step in [Set(1, INLINE), Set(2, IN_FILE), Increment, Delete(1), Set(8, IN_FILE), Checkpoint] {
        model.step(&cache, step).unwrap_or_else(|why| panic!("{}: {why}", at(&format!("{step:?} again"))));
    }
    model.verify(&cache, &at("after writing again"));
    cache.close().unwrap();
    let cache = builder(max, durability).open(dir).unwrap();
    assert!(cache.take_faults().is_empty(), "{}", at("reopened"));
    model.verify(&cache, &at("reopened"));
    assert_settled(dir);
    failed
}

/// Each call fails in turn, until a run gets through without.
fn every_call(max: Option<u64>, durability: Durability) {
    for fault in FAULTS {
        let mut runs = 0;
        for nth in 1.. {
            let temp = temp();
            let _turn = watch(temp.path());
            let failed = run(&temp.path().join("cache"), nth, fault, max, durability);
            runs += 1;
            if failed == 0 {
                break;
            }
        }
        println!("{fault:?}: {runs} runs");
        assert!(runs > 100, "only {runs} calls were seen");
    }
}

#[test]
fn whatever_call_fails_nothing_acknowledged_is_lost_and_the_handle_recovers() {
    every_call(None, Durability::Process);
}

#[test]
fn whatever_call_fails_while_entries_are_evicted_the_bound_and_the_values_hold() {
    every_call(Some(3), Durability::Process);
}

#[test]
fn whatever_call_fails_under_power_nothing_acknowledged_is_lost() {
    every_call(None, Durability::Power);
}

/// Opens a directory with a log that a dead writer left, beside the fault.
fn open_beside(dir: &Path, nth: u64, fault: Fault) -> u64 {
    let at = format!("open, call {nth}, {fault:?}");
    let mut model = Model::new(false);
    let cache = builder(None, Durability::Process).open(dir).unwrap();
    for key in 0..10 {
        model.step(&cache, Set(key, INLINE)).unwrap();
    }
    model.step(&cache, Checkpoint).unwrap();
    for step in [Set(2, IN_FILE), Set(3, INLINE), Set(11, INLINE)] {
        model.step(&cache, step).unwrap();
    }
    drop(cache);
    arm(nth, fault);
    let opened = builder(None, Durability::Process).open(dir);
    let failed = lift();
    let cache = opened.unwrap_or_else(|why| {
        assert_typed(&why, fault, &at);
        builder(None, Durability::Process).open(dir).unwrap()
    });
    for why in cache.take_faults() {
        assert_typed(&why, fault, &at);
    }
    model.verify(&cache, &at);
    model.step(&cache, Set(2, IN_FILE)).unwrap();
    cache.close().unwrap();
    drop(builder(None, Durability::Process).open(dir).unwrap());
    assert_settled(dir);
    failed
}

#[test]
fn whatever_call_fails_in_an_open_what_is_there_stays() {
    for fault in FAULTS {
        for nth in 1.. {
            let temp = temp();
            let _turn = watch(temp.path());
            if open_beside(&temp.path().join("cache"), nth, fault) == 0 {
                assert!(nth > 5, "{nth} calls");
                break;
            }
        }
    }
}

#[test]
fn under_power_all_is_on_the_disk_before_a_write_is_acknowledged() {
    let temp = temp();
    let _turn = watch(temp.path());
    let cache = builder(None, Durability::Power).open(temp.path().join("cache")).unwrap();
    let mut model = Model::new(false);
    for step in SCRIPT {
        model.step(&cache, step).unwrap();
        assert_eq!(unsynced(), 0, "files with bytes that a power cut would lose after {step:?}");
    }
    drop(cache);
    // A journal is no file that is written to.
    let cache = builder(None, Durability::Process).journal(false).open(temp.path().join("cache")).unwrap();
    cache.set("k", b"v").unwrap();
    assert!(unsynced() > 0, "under 'process' nobody waits for the disk");
}

/// Beside a writer that never pauses, something is always left to be copied, so that SQLite cannot begin the log anew by itself.
#[test]
fn a_log_is_copied_for_what_came_since_and_not_for_each_few_sets() {
    const SETS: u64 = 60_000;
    const DUE: u64 = 16 << 20; // bytes of log, where nothing is bounded
    let temp = temp();
    let dir = temp.path().join("syncs of a writer");
    let _turn = watch(&dir);
    let cache = builder(None, Durability::Process).journal(false).open(&dir).unwrap();
    let mut longest = 0;
    for key in 0..SETS {
        cache.set(format!("{key}"), &noise(key, 100)).unwrap();
        if key % 64 == 0 {
            let log = std::fs::metadata(dir.join("tierce.db-wal")).unwrap().len();
            longest = longest.max(log);
        }
    }
    // Each set changes four pages at most. Of each share, one copy; two more where the log is ended: each syncs both files.
    let shares = SETS * 4 * 4096 / DUE;
    let count = syncs();
    println!("{count} syncs for {shares} shares, the log was {longest} B long");
    assert!(
        count <= 8 * shares + 20,
        "{count} syncs for {SETS} sets, which are {shares} shares of log at most"
    );
    assert!(longest <= 3 * DUE + (2 << 20), "the log was {longest} B long");
    drop(cache);
}

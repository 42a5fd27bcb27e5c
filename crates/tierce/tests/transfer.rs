//! `save` and `load`: everything comes back, and a bad file changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{Dice, assert_settled, noise, open, telling, temp, version_in};
use tierce::{Cache, Code, ManualClock, SetOptions};

const KEYS: u64 = 40;
const DIR: &str = "TIERCE_SAVE_DIR";

fn size_of(key: u64) -> usize {
    [40, 900, 6_000, 40_000][key as usize % 4]
}

fn fill(dir: &Path, version: u64) -> Cache {
    let cache = open(dir);
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, version, size_of(key))).unwrap();
    }
    cache
}

fn assert_version(cache: &Cache, version: u64) {
    for key in 0..KEYS {
        assert_eq!(version_in(key, &cache.get(format!("{key}")).unwrap().unwrap()), version);
    }
}

#[test]
fn what_was_saved_comes_back_with_its_times_and_hits() {
    let (a, b) = (temp(), temp());
    let clock = Arc::new(ManualClock::new(1_000_000));
    let at = |dir: &Path| Cache::builder().clock(clock.clone()).open(dir).unwrap();
    let source = at(a.path());
    source.set_for("short", b"1", Duration::from_millis(50)).unwrap();
    source.set_for("long", &[5; 5000], Duration::from_millis(500)).unwrap();
    let carried = SetOptions { tags: &["t"], description: Some("about it"), ..SetOptions::default() };
    source.set_with("ever", &noise(1, 50_000), &carried).unwrap();
    source.get("long").unwrap();
    clock.advance(10);
    let file = a.path().join("saved");
    let (entries, bytes) = source.save(&file).unwrap();
    assert_eq!((entries, bytes), (3, fs::metadata(&file).unwrap().len()));
    let before = source.entry("long").unwrap().unwrap();
    clock.advance(50);
    let target = at(b.path());
    target.set("mine", b"goes").unwrap();
    let loaded = target.load(&file, false).unwrap();
    assert_eq!((loaded.entries, loaded.expired, loaded.refused), (2, 1, 0));
    let after = target.entry("long").unwrap().unwrap();
    assert_eq!(after.value, before.value);
    let facts = |entry: &tierce::Entry| {
        let meta = &entry.meta;
        (meta.created_at, meta.expires_at, meta.hits, meta.kind, meta.codec, meta.size, meta.stored_size)
    };
    assert_eq!(facts(&after), facts(&before));
    assert_eq!(target.get("ever").unwrap().unwrap(), noise(1, 50_000));
    assert_eq!(target.entry("ever").unwrap().unwrap().extras, source.entry("ever").unwrap().unwrap().extras);
    assert_eq!(target.check(false).unwrap().found, 0);
    assert!(!target.has("mine").unwrap() && !target.has("short").unwrap());
    assert_settled(b.path());
    assert_eq!(target.invalidate_tags(&["t"]).unwrap(), 1);
}

#[test]
fn a_merge_keeps_what_is_not_in_the_file() {
    let (a, b) = (temp(), temp());
    let file = a.path().join("saved");
    fill(a.path(), 7).save(&file).unwrap();
    let target = fill(b.path(), 1);
    target.set("mine", b"stays").unwrap();
    target.load(&file, true).unwrap();
    assert_version(&target, 7);
    assert!(target.has("mine").unwrap());
    target.load(&file, false).unwrap();
    assert_eq!(target.len().unwrap(), KEYS);
    assert_eq!(target.check(false).unwrap().found, 0);
}

#[test]
fn a_missing_a_foreign_and_a_damaged_file_change_nothing() {
    let (a, b) = (temp(), temp());
    let file = a.path().join("saved");
    fill(a.path(), 7).save(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let target = fill(b.path(), 1);
    let missing = target.load(a.path().join("nothing"), false).unwrap_err();
    assert_eq!(missing.code(), Code::Unavailable);
    fs::write(&file, b"{\"json\": true}").unwrap();
    assert_eq!(target.load(&file, false).unwrap_err().code(), Code::Format);
    let mut dice = Dice::new(9);
    for _ in 0..40 {
        let mut bytes = whole.clone();
        if dice.below(2) == 0 {
            bytes.truncate(28 + dice.below(whole.len() as u64 - 28) as usize);
        } else {
            bytes[28 + dice.below(whole.len() as u64 - 28) as usize] ^= 1 << dice.below(8);
        }
        fs::write(&file, &bytes).unwrap();
        assert_eq!(target.load(&file, false).unwrap_err().code(), Code::Corrupt);
    }
    assert_version(&target, 1);
    assert_eq!(target.len().unwrap(), KEYS);
}

#[test]
fn what_does_not_fit_is_left_out_and_the_bound_holds() {
    let (a, b) = (temp(), temp());
    let file = a.path().join("saved");
    let source = open(a.path());
    for key in 0..200 {
        source.set(format!("{key}"), &telling(key, 1, 40_000)).unwrap();
    }
    source.set("giant", &noise(1, 3 << 20)).unwrap();
    source.save(&file).unwrap();
    let target = Cache::builder().max_size(2 << 20).open(b.path()).unwrap();
    let loaded = target.load(&file, false).unwrap();
    assert_eq!((loaded.entries, loaded.refused), (200, 1));
    assert!(target.stats().unwrap().disk_size < (2 << 20) + (8 << 20));
    assert!(target.has("199").unwrap() && !target.has("giant").unwrap(), "the most recently used stay");
}

/// Saves until it is killed. Not a test of its own.
#[test]
fn process_that_is_killed_at_a_save() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let cache = open(&Path::new(&dir).join("source"));
    for version in 2.. {
        for key in 0..KEYS {
            cache.set(format!("{key}"), &telling(key, version, size_of(key))).unwrap();
        }
        cache.save(Path::new(&dir).join("saved")).unwrap();
    }
}

#[test]
fn a_kill_during_a_save_leaves_the_old_file_whole() {
    let temp = temp();
    let file = temp.path().join("saved");
    fill(&temp.path().join("source"), 1).save(&file).unwrap();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_that_is_killed_at_a_save"])
            .env(DIR, temp.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(30 + round * 11));
        child.kill().unwrap();
        child.wait().unwrap();
        let target = open(&temp.path().join("target"));
        assert_eq!(target.load(&file, false).unwrap().entries, KEYS);
        let version = version_in(0, &target.get("0").unwrap().unwrap());
        assert_version(&target, version);
    }
}

#[test]
fn a_value_that_came_as_a_stream_is_one_after_it_was_loaded() {
    let temp = temp();
    let value = noise(1, 700_000);
    let cache = open(&temp.path().join("from"));
    let mut writer = cache.write_stream("s", tierce::StreamOptions::default());
    writer.write(&value).unwrap();
    cache.finish_stream(writer).unwrap();
    cache.save(temp.path().join("saved")).unwrap();
    let loaded = open(&temp.path().join("to"));
    loaded.load(temp.path().join("saved"), false).unwrap();
    let mut reader = loaded.read_stream("s").unwrap().unwrap();
    let mut read = Vec::new();
    while let Some(piece) = loaded.next_piece(&mut reader).unwrap() {
        read.extend(piece);
    }
    assert!(read == value);
}

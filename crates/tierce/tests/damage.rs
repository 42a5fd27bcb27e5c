//! Damage of every sort: never a wrong value, never a crash, and the next `set` works.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::Path;

use common::{Dice, assert_no_orphans, copy, database, noise, open, telling, temp, value_files, version_in};
use proptest::prelude::*;
use tierce::{Cache, Code};

const KEYS: u64 = 48;

/// Sizes around every way of storing: in one cell, over several pages, in a file.
fn size_of(key: u64) -> usize {
    [40, 900, 6_000, 40_000][key as usize % 4]
}

/// A closed cache with a little of everything.
fn sample(dir: &Path) {
    let cache = open(dir);
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, 1, size_of(key))).unwrap();
    }
    cache.close().unwrap();
}

/// Everything that is there is right, and everything can be written again. Gives how many entries were left.
fn assert_serves(dir: &Path) -> u64 {
    let cache = open(dir);
    let mut left = 0;
    for key in 0..KEYS {
        if let Some(value) = cache.get(format!("{key}")).unwrap() {
            assert_eq!(version_in(key, &value), 1);
            left += 1;
        }
    }
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, 2, size_of(key))).unwrap();
        assert_eq!(version_in(key, &cache.get(format!("{key}")).unwrap().unwrap()), 2);
    }
    cache.close().unwrap();
    let cache = open(dir);
    for key in 0..KEYS {
        let value = cache.get(format!("{key}")).unwrap();
        let value =
            value.unwrap_or_else(|| panic!("{key} was written after the damage: {:?}", cache.take_faults()));
        assert_eq!(version_in(key, &value), 2);
    }
    left
}

fn flip(path: &Path, at: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= mask;
    fs::write(path, bytes).unwrap();
}

#[test]
fn any_flipped_byte_of_the_header_costs_entries_at_most() {
    let original = temp();
    sample(original.path());
    for at in 0..100 {
        for mask in [0x01, 0xff] {
            let temp = temp();
            copy(original.path(), temp.path());
            flip(&temp.path().join("tierce.db"), at, mask);
            println!("byte {at} ^ {mask:02x}");
            assert_serves(temp.path());
        }
    }
}

#[test]
fn any_flipped_byte_of_the_database_costs_entries_at_most() {
    let original = temp();
    sample(original.path());
    let length = fs::metadata(original.path().join("tierce.db")).unwrap().len();
    let mut dice = Dice::new(1);
    let mut lost = 0;
    for _ in 0..100 {
        let temp = temp();
        copy(original.path(), temp.path());
        let (at, mask) = (dice.below(length) as usize, 1 << dice.below(8));
        flip(&temp.path().join("tierce.db"), at, mask);
        println!("byte {at} ^ {mask:02x}");
        let left = assert_serves(temp.path());
        assert_no_orphans(temp.path());
        lost += KEYS - left;
    }
    assert!(lost < 100 * KEYS / 10, "{lost} entries were lost to 100 flipped bits");
}

#[test]
fn a_database_cut_anywhere_costs_entries_at_most() {
    let original = temp();
    sample(original.path());
    let length = fs::metadata(original.path().join("tierce.db")).unwrap().len();
    let mut dice = Dice::new(2);
    let cuts = [0, 1, 16, 99, 4095, 4096, 8192, length - 4096, length - 1];
    for cut in cuts.into_iter().chain(std::iter::repeat_with(|| dice.below(length)).take(20)) {
        let temp = temp();
        copy(original.path(), temp.path());
        let file = fs::OpenOptions::new().write(true).open(temp.path().join("tierce.db")).unwrap();
        file.set_len(cut).unwrap();
        drop(file);
        println!("cut at {cut}");
        assert_serves(temp.path());
        assert_no_orphans(temp.path());
    }
}

#[test]
fn a_damaged_log_costs_the_newest_entries_at_most() {
    let original = temp();
    let cache = open(original.path());
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, 1, size_of(key))).unwrap();
    }
    let copied = temp();
    copy(original.path(), copied.path()); // as a kill leaves it: everything is in the log
    drop(cache);
    let length = fs::metadata(copied.path().join("tierce.db-wal")).unwrap().len();
    let mut dice = Dice::new(3);
    for round in 0..40 {
        let temp = temp();
        copy(copied.path(), temp.path());
        let log = temp.path().join("tierce.db-wal");
        let at = if round < 8 { round * 4 } else { dice.below(length) };
        if round % 2 == 0 {
            flip(&log, at as usize, 1 << dice.below(8));
        } else {
            fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(at).unwrap();
        }
        println!("round {round}, byte {at}");
        assert_serves(temp.path());
    }
}

#[test]
fn a_damaged_cut_deleted_or_swapped_value_file_is_a_miss_and_goes() {
    type Attack = fn(&[std::path::PathBuf]);
    let attacks: [Attack; 6] = [
        |files| flip(&files[0], 70, 1),
        |files| flip(&files[0], 9, 1),
        |files| fs::OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(50).unwrap(),
        |files| fs::write(&files[0], b"").unwrap(),
        |files| fs::remove_file(&files[0]).unwrap(),
        |files| {
            let first = fs::read(&files[0]).unwrap();
            fs::copy(&files[1], &files[0]).unwrap();
            fs::write(&files[1], first).unwrap();
        },
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let temp = temp();
        let cache = open(temp.path());
        for key in 0..3 {
            cache.set(format!("{key}"), &telling(key, 1, 40_000)).unwrap();
        }
        attack(&value_files(temp.path()));
        let missing = (0..3).filter(|key| cache.get(format!("{key}")).unwrap().is_none()).count();
        assert_eq!(missing, if number == 5 { 2 } else { 1 }, "attack {number}");
        assert_eq!(cache.take_faults().len(), missing, "attack {number}: each is reported once");
        assert_eq!(cache.len().unwrap(), 3 - missing as u64, "attack {number}: and removed");
        assert_eq!(value_files(temp.path()).len(), 3 - missing, "attack {number}: with its file");
        for key in 0..3 {
            cache.set(format!("{key}"), &telling(key, 2, 40_000)).unwrap();
            assert_eq!(version_in(key, &cache.get(format!("{key}")).unwrap().unwrap()), 2);
        }
    }
}

#[test]
fn a_damaged_row_is_removed_and_reported_once() {
    let temp = temp();
    let cache = open(temp.path());
    cache.set("k", b"value").unwrap();
    cache.set("other", b"value").unwrap();
    assert_eq!(cache.len().unwrap(), 2); // moves both out of the journal
    let conn = database(temp.path());
    conn.execute("UPDATE entries SET frame = x'00' WHERE key = CAST('k' AS BLOB)", []).unwrap();
    assert_eq!(cache.get("k").unwrap(), None);
    assert_eq!(cache.take_faults().len(), 1);
    assert_eq!(cache.len().unwrap(), 1, "the row is gone");
    assert_eq!(cache.get("k").unwrap(), None);
    assert!(cache.take_faults().is_empty());
    conn.execute("UPDATE entries SET expires = 9e15", []).unwrap();
    assert_eq!(cache.get("other").unwrap(), None, "a time to live that nobody gave is damage too");
}

#[test]
fn one_damaged_page_costs_only_what_was_on_it() {
    let original = temp();
    let cache = open(original.path());
    for key in 0..3_000 {
        cache.set(format!("{key}"), &telling(key, 1, 200)).unwrap();
    }
    for key in 3_000..3_020 {
        cache.set(format!("{key}"), &telling(key, 1, 40_000)).unwrap();
    }
    cache.close().unwrap();
    let conn = database(original.path());
    let pages: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let pages = pages as u64;
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'entries'";
    let root: i64 = conn.query_row(root, [], |row| row.get(0)).unwrap();
    drop(conn);
    let mut dice = Dice::new(4);
    for _ in 0..12 {
        let temp = temp();
        copy(original.path(), temp.path());
        let page = 1 + dice.below(pages - 1);
        if page + 1 == root as u64 {
            continue; // all entries are found through it
        }
        let path = temp.path().join("tierce.db");
        let mut bytes = fs::read(&path).unwrap();
        let size = Cache::PAGE_SIZE as usize;
        bytes[page as usize * size..][..size].copy_from_slice(&noise(page, size));
        fs::write(&path, bytes).unwrap();
        let left = survivors(temp.path());
        assert!(left > 2_950, "noise on page {page} of {pages} left {left} of 3,020 entries");
        assert_no_orphans(temp.path());
    }
}

fn survivors(dir: &Path) -> usize {
    let cache = open(dir);
    for key in 0..3_020 {
        cache.get(format!("{key}")).unwrap();
    }
    for key in 0..200 {
        cache.set(format!("new:{key}"), &noise(key, 3_000)).unwrap();
    }
    let found = |key: &u64| {
        let value = cache.get(format!("{key}")).unwrap();
        value.inspect(|value| assert_eq!(version_in(*key, value), 1)).is_some()
    };
    (0..3_020).filter(found).count()
}

#[test]
fn garbage_in_place_of_the_database_is_replaced_and_files_are_not_orphaned() {
    for garbage in [Vec::new(), b"x".to_vec(), noise(1, 100), noise(2, 100_000), vec![0; 8192]] {
        let temp = temp();
        sample(temp.path());
        fs::write(temp.path().join("tierce.db"), &garbage).unwrap();
        assert_eq!(assert_serves(temp.path()), 0, "{} bytes", garbage.len());
        assert_no_orphans(temp.path());
        let conn = database(temp.path());
        let pragma =
            |name: &str| -> i64 { conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap() };
        assert_eq!((pragma("auto_vacuum"), pragma("page_size")), (2, Cache::PAGE_SIZE as i64));
    }
}

#[test]
fn a_deleted_database_starts_empty_and_its_files_go() {
    let temp = temp();
    sample(temp.path());
    fs::remove_file(temp.path().join("tierce.db")).unwrap();
    assert_eq!(assert_serves(temp.path()), 0);
    assert_no_orphans(temp.path());
}

#[test]
fn a_damaged_cut_or_deleted_table_of_epochs_costs_nothing() {
    let attacks: [fn(&Path); 3] = [
        |path| fs::write(path, noise(1, 262_208)).unwrap(),
        |path| fs::write(path, b"abc").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for attack in attacks {
        let temp = temp();
        sample(temp.path());
        attack(&temp.path().join("tierce.epochs"));
        assert_eq!(assert_serves(temp.path()), KEYS);
    }
}

#[test]
fn somebody_elses_database_and_a_newer_format_are_refused_and_left_alone() {
    let foreign =
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO accounts VALUES (1, 'Ada');";
    let newer =
        "PRAGMA application_id = 0x54524345; PRAGMA user_version = 0xfffd0002; CREATE TABLE things (id);";
    for sql in [foreign, newer] {
        let temp = temp();
        let conn = database(temp.path());
        // SQLite reads a pragma's number as signed.
        conn.execute_batch(&sql.replace("0xfffd0002", &(0xfffd_0002_u32 as i32).to_string())).unwrap();
        drop(conn);
        let before = fs::read(temp.path().join("tierce.db")).unwrap();
        let error = Cache::builder().open(temp.path()).unwrap_err();
        assert_eq!(error.code(), Code::Format, "{error}");
        let path = temp.path().join("tierce.db").canonicalize().unwrap().display().to_string();
        assert!(error.context().iter().any(|(name, value)| *name == "path" && *value == path), "{error:?}");
        assert_eq!(fs::read(temp.path().join("tierce.db")).unwrap(), before);
        assert!(!temp.path().join("values").exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_written_anywhere_cost_entries_at_most(
        file in 0usize..3,
        patches in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..200)), 1..4),
    ) {
        let temp = temp();
        sample(temp.path());
        let values = value_files(temp.path());
        let path = match file {
            0 => temp.path().join("tierce.db"),
            1 => temp.path().join("tierce.epochs"),
            _ => values[values.len() / 2].clone(),
        };
        let mut bytes = fs::read(&path).unwrap();
        for (at, patch) in patches {
            let at = at.index(bytes.len());
            println!("{} bytes at {at} of {}", patch.len(), path.display());
            let end = bytes.len().min(at + patch.len());
            bytes[at..end].copy_from_slice(&patch[..end - at]);
        }
        fs::write(&path, bytes).unwrap();
        assert_serves(temp.path());
        assert_no_orphans(temp.path());
    }
}

#[test]
fn reads_mend_a_page_before_what_is_written_to_it_is_lost_with_it() {
    let original = temp();
    sample(original.path());
    let pages = fs::metadata(original.path().join("tierce.db")).unwrap().len() / Cache::PAGE_SIZE;
    for page in 2..pages {
        let temp = temp();
        copy(original.path(), temp.path());
        let path = temp.path().join("tierce.db");
        let mut bytes = fs::read(&path).unwrap();
        bytes[(page * Cache::PAGE_SIZE) as usize + 3_800..][..120].fill(0); // where the cells of a leaf are
        fs::write(&path, bytes).unwrap();
        assert_serves(temp.path());
    }
}

#[test]
fn damage_costs_entries_of_an_encrypted_directory_at_most() {
    common::encrypted(|| {
        any_flipped_byte_of_the_database_costs_entries_at_most();
        a_damaged_log_costs_the_newest_entries_at_most();
        a_damaged_cut_deleted_or_swapped_value_file_is_a_miss_and_goes();
        garbage_in_place_of_the_database_is_replaced_and_files_are_not_orphaned();
        a_deleted_database_starts_empty_and_its_files_go();
        a_damaged_cut_or_deleted_table_of_epochs_costs_nothing();
    });
}

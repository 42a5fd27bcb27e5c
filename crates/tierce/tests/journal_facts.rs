//! What the database says of its journal, damaged: nothing that was removed comes back, and what is lost is said.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use common::{copy, database, keep_database, telling, temp, version_in};
use tierce::Cache;

const KEYS: u64 = 6;
const REMOVED: u64 = KEYS;

fn open(dir: &Path) -> Cache {
    Cache::builder().max_size(16 << 20).open(dir).unwrap() // a small journal
}

fn set(cache: &Cache, key: u64, version: u64) {
    cache.set(format!("{key}"), &telling(key, version, 20)).unwrap();
}

fn version(cache: &Cache, key: u64) -> Option<u64> {
    cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value))
}

/// A directory as a kill leaves it: version 1 of all keys is in the database, one was removed, version 2 is pending. All facts are in
/// the file of the database.
fn make(dir: &Path) {
    let temp = temp();
    let cache = open(temp.path());
    for key in 0..=REMOVED {
        set(&cache, key, 1);
        cache.len().unwrap();
    }
    assert!(cache.delete(format!("{REMOVED}")).unwrap());
    cache.close().unwrap();
    let cache = open(temp.path());
    let keeper = keep_database(temp.path());
    for key in 0..KEYS {
        set(&cache, key, 2);
    }
    copy(temp.path(), dir);
    drop(keeper);
}

/// Where in the database's file the facts are: the page, and the cells in it.
fn facts(dir: &Path) -> (u64, Range<u64>) {
    let conn = database(dir);
    let root: i64 = conn
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'facts'", [], |row| row.get(0))
        .unwrap();
    drop(conn);
    let page = (root as u64 - 1) * 4096;
    let bytes = fs::read(dir.join("tierce.db")).unwrap();
    let start = page as usize + 5; // of the cells
    let cells = u64::from(u16::from_be_bytes([bytes[start], bytes[start + 1]]));
    (page, page + cells..page + 4096)
}

/// Opens what was damaged; nothing may be wrong, or missing without a word.
fn check(dir: &Path, what: &str) -> bool {
    let cache = open(dir);
    let found: Vec<_> = (0..KEYS).map(|key| version(&cache, key)).collect();
    assert_eq!(version(&cache, REMOVED), None, "{what}");
    let is_whole = found.iter().all(|version| *version == Some(2));
    let faults = cache.take_faults();
    assert!(is_whole || !faults.is_empty(), "{what}: {found:?}, and nothing was said");
    assert!(found.iter().all(|version| version.is_none_or(|version| version == 1 || version == 2)), "{what}");
    for key in 0..=KEYS {
        set(&cache, key, 3);
    }
    assert!((0..=KEYS).all(|key| version(&cache, key) == Some(3)), "{what}");
    assert_eq!(cache.len().unwrap(), KEYS + 1, "{what}");
    is_whole
}

#[test]
fn no_damaged_fact_of_the_journal_brings_back_or_loses_anything_unsaid() {
    let (sound, broken) = (temp(), temp());
    make(sound.path());
    let (page, cells) = facts(sound.path());
    assert!(check_copy(sound.path(), broken.path(), "nothing", |_| ()));
    let header = page..page + 8 + 2 * 8;
    // All of them take minutes: see the document on design decisions.
    let bits = header.chain(cells).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let (mut tried, mut whole) = (0, 0);
    for (at, bit) in bits.step_by(7) {
        let flip = |file: &fs::File| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
        };
        let what = format!("bit {bit} of byte {} of the page", at - page);
        whole += u32::from(check_copy(sound.path(), broken.path(), &what, flip));
        tried += 1;
    }
    println!("{whole} of {tried} cost nothing");
    let zero = |file: &fs::File| file.write_all_at(&[0; 4096], page).unwrap();
    assert!(check_copy(sound.path(), broken.path(), "a page of zeros", zero), "the journal itself is sound");
}

fn check_copy(sound: &Path, broken: &Path, what: &str, damage: impl FnOnce(&fs::File)) -> bool {
    let _ = fs::remove_dir_all(broken);
    copy(sound, broken);
    damage(&OpenOptions::new().read(true).write(true).open(broken.join("tierce.db")).unwrap());
    check(broken, what)
}

/// Has the pending value of the first key called off, as its removal on a full disk does. Gives the name of the fact.
fn call_off(dir: &Path, kept: impl FnOnce(u64) -> i64) -> String {
    let journal = OpenOptions::new().read(true).write(true).open(dir.join("tierce.journal")).unwrap();
    let mut tail = [0; 8];
    journal.read_exact_at(&mut tail, 128).unwrap();
    journal.write_all_at(&tail, 48).unwrap(); // before this, something may be called off
    let conn = database(dir);
    let rows = "SELECT id FROM entries WHERE substr(key, -1) = CAST('0' AS BLOB)";
    let id: i64 = conn.query_row(rows, [], |row| row.get(0)).unwrap();
    conn.execute("DELETE FROM entries WHERE id = ?1", [id]).unwrap();
    let name = format!("off {id}");
    conn.execute("INSERT INTO facts VALUES (?1, ?2)", (&name, kept(u64::from_le_bytes(tail)))).unwrap();
    name
}

fn versions(cache: &Cache) -> Vec<Option<u64>> {
    (0..=REMOVED).map(|key| version(cache, key)).collect()
}

#[test]
fn facts_of_the_journal_that_were_kept_without_checks_are_read_and_kept_with_them() {
    let temp = temp();
    make(temp.path());
    call_off(temp.path(), |tail| (tail >> 12) as i64 * 8);
    let conn = database(temp.path());
    let coded = "UPDATE facts SET value = (~value >> 12) * ?2 WHERE name = ?1 AND value < 0";
    assert_eq!(conn.execute(coded, ("journal", 8)).unwrap(), 1);
    assert_eq!(conn.execute(coded, ("journal turned", 1)).unwrap(), 1);
    assert_eq!(conn.execute("DELETE FROM facts WHERE name = 'journal check'", []).unwrap(), 1);
    drop(conn);
    let cache = open(temp.path());
    assert_eq!(versions(&cache), [None, Some(2), Some(2), Some(2), Some(2), Some(2), None]);
    assert_eq!(cache.take_faults().len(), 0);
    set(&cache, 0, 3);
    cache.delete("1").unwrap();
    cache.close().unwrap();
    let conn = database(temp.path());
    let names = "SELECT group_concat(name, ', ') FROM (SELECT name FROM facts WHERE name BETWEEN 'journal' AND 'journal~' AND \
                 (value < 0 OR name IN ('journal check', 'journal life')) OR name LIKE 'off %' ORDER BY name)";
    let names: String = conn.query_row(names, [], |row| row.get(0)).unwrap();
    assert_eq!(names, "journal, journal check, journal life, journal turned");
    drop(conn);
    let cache = open(temp.path());
    assert_eq!(versions(&cache), [Some(3), None, Some(2), Some(2), Some(2), Some(2), None]);
    assert_eq!(cache.take_faults().len(), 0);
}

#[test]
fn a_damaged_note_of_what_was_removed_on_a_full_disk_brings_it_not_back() {
    let (sound, broken) = (temp(), temp());
    make(sound.path());
    let name = call_off(sound.path(), |tail| !tail as i64);
    for bit in 0..65 {
        let _ = fs::remove_dir_all(broken.path());
        copy(sound.path(), broken.path());
        let flip = if bit < 64 { 1_i64 << bit } else { 0 };
        let flipped = "UPDATE facts SET value = (value | ?2) - (value & ?2) WHERE name = ?1";
        assert_eq!(database(broken.path()).execute(flipped, (&name, flip)).unwrap(), 1);
        let cache = open(broken.path());
        let found = versions(&cache);
        let faults = cache.take_faults();
        assert_eq!((found[0], found[KEYS as usize]), (None, None), "bit {bit}");
        let lost = found[1..KEYS as usize].iter().filter(|version| **version != Some(2)).count();
        assert_eq!(bit == 64, faults.is_empty(), "bit {bit}: {faults:?}");
        assert!(lost == 0 || bit < 64, "bit {bit}: {found:?}");
        set(&cache, 0, 3);
        assert_eq!(version(&cache, 0), Some(3), "bit {bit}");
    }
}

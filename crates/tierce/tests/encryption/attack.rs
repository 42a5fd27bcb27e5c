//! What somebody without the key achieves who can write to the directory, and what damage does: misses that are told, nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::params;
use tierce::{Cache, Code, SetOptions, StreamOptions};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::common::{Dice, all_files, copy, database, noise, temp, value_files};
use super::{Row, assert_tampered, encrypted, open, put_frame, row};

/// What an attacker without the key can compute of a frame: its checksum is no secret.
fn forge_checksum(digest: &[u8], frame: &mut [u8]) {
    let seed = xxh3_64(&[digest, &frame[..32]].concat());
    let checksum = xxh3_64_with_seed(&frame[40..], seed);
    frame[32..40].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn two_rows_whose_bodies_are_swapped_are_both_misses() {
    let temp = temp();
    let cache = open(temp.path());
    for with_checksum in [false, true] {
        cache.set("one", b"the first").unwrap();
        cache.set("two", b"the other").unwrap();
        let (mut one, mut two) = (row(temp.path(), &cache, "one"), row(temp.path(), &cache, "two"));
        std::mem::swap(&mut one.frame, &mut two.frame);
        for row in [&mut one, &mut two] {
            if with_checksum {
                forge_checksum(&row.key.clone()[..16], &mut row.frame);
            }
            put_frame(temp.path(), row.id, &row.frame);
        }
        assert_tampered(&cache, "one");
        assert_tampered(&cache, "two");
    }
}

#[test]
fn an_older_body_in_the_place_of_a_newer_one_is_a_miss() {
    let temp = temp();
    let cache = open(temp.path());
    cache.set("k", b"old").unwrap();
    let old = row(temp.path(), &cache, "k");
    cache.set("k", b"new").unwrap();
    assert_ne!(row(temp.path(), &cache, "k").frame, old.frame);
    put_frame(temp.path(), old.id, &old.frame);
    assert_tampered(&cache, "k");
    // Under the newer write id, with a checksum that fits.
    cache.set("k", b"new").unwrap();
    let new = row(temp.path(), &cache, "k");
    let mut forged = [&new.frame[..40], &old.frame[40..]].concat();
    forge_checksum(&new.key[..16], &mut forged);
    put_frame(temp.path(), old.id, &forged);
    assert_tampered(&cache, "k");
    // An increment keeps the write id: the row's seal is of one sum alone.
    cache.increment("n", 1).unwrap();
    let old = row(temp.path(), &cache, "n");
    cache.increment("n", 1).unwrap();
    put_frame(temp.path(), old.id, &old.frame);
    assert_tampered(&cache, "n");
}

#[test]
fn a_plain_frame_that_is_planted_is_a_miss() {
    let temp = temp();
    let cache = open(temp.path());
    cache.set("k", b"sealed").unwrap();
    let Row { id, key, frame, created, .. } = row(temp.path(), &cache, "k");
    let mut planted = [&frame[..40], b"planted"].concat();
    planted[7] = 0;
    planted[8..16].copy_from_slice(&7u64.to_le_bytes());
    planted[16..24].copy_from_slice(&7u64.to_le_bytes());
    forge_checksum(&key[..16], &mut planted);
    let checksum = &planted[32..40];
    let times = [created.to_le_bytes(), [0xff; 8], [0xff; 8]].concat();
    let seal = xxh3_64(&[&key[..16], &times, checksum].concat()) as i64;
    database(temp.path())
        .execute("UPDATE entries SET frame = ?2, seal = ?3 WHERE id = ?1", params![id, planted, seal])
        .unwrap();
    assert_tampered(&cache, "k");
}

#[test]
fn times_keys_tags_and_descriptions_cannot_be_changed_unseen() {
    let temp = temp();
    let cache = encrypted().ttl(Duration::from_secs(60)).open(temp.path()).unwrap();
    let dir = temp.path();
    cache.set("k", b"v").unwrap();
    let Row { id, .. } = row(dir, &cache, "k");
    database(dir).execute("UPDATE entries SET expires = expires + 1000000 WHERE id = ?1", [id]).unwrap();
    assert_tampered(&cache, "k");

    let tagged = |tag, text| SetOptions { tags: tag, description: Some(text), ..SetOptions::default() };
    cache.set_with("one", b"1", &tagged(&["t"], "the first")).unwrap();
    cache.set_with("two", b"2", &tagged(&["t"], "the other")).unwrap();
    let (one, two) = (row(dir, &cache, "one"), row(dir, &cache, "two"));
    let body = |id| -> Vec<u8> {
        database(dir).query_row("SELECT body FROM extras WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    };
    let write_id = u64::from_le_bytes(one.frame[24..32].try_into().unwrap());
    let moved = body(two.id);
    let seal = xxh3_64_with_seed(&moved, write_id) as i64;
    database(dir)
        .execute("UPDATE extras SET body = ?2, seal = ?3 WHERE id = ?1", params![one.id, moved, seal])
        .unwrap();
    assert!(cache.entry("one").unwrap().is_none());
    assert!(cache.take_faults().iter().any(|fault| fault.code() == Code::Corrupt));

    // The text of another key behind the right name: its row answers for its key, and is not listed under another.
    cache.set("other", b"3").unwrap();
    let other = row(dir, &cache, "other");
    let forged = [&two.key[..32], &other.key[32..]].concat();
    database(dir).execute("UPDATE entries SET key = ?2 WHERE id = ?1", params![two.id, forged]).unwrap();
    let listed: Vec<_> = cache.entries("").map(|listed| listed.unwrap().key).collect();
    assert_eq!(listed, [b"other"]);
    let report = cache.check(true).unwrap();
    assert_eq!(report.fixed, 1, "{:?}", report.problems);
}

#[test]
fn value_files_that_are_changed_cut_moved_or_rolled_back_are_misses() {
    let temp = temp();
    let cache = open(temp.path());
    let large = |byte: u8| vec![byte; 200_000];
    let attack = |name: &str, tamper: &dyn Fn(&Path)| {
        cache.clear().unwrap();
        cache.set("k", &large(1)).unwrap();
        let files = value_files(temp.path());
        tamper(&files[0]);
        println!("{name}");
        assert_tampered(&cache, "k");
        cache.set("k", &large(2)).unwrap();
        assert_eq!(cache.get("k").unwrap().unwrap(), large(2));
    };
    for at in [0, 7, 39, 64, 70, 100_000] {
        attack("a flipped byte", &|file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[at] ^= 1;
            fs::write(file, bytes).unwrap();
        });
    }
    attack("a cut", &|file| fs::write(file, &fs::read(file).unwrap()[..150_000]).unwrap());
    attack("the file of another entry", &|file| {
        cache.set("other", &large(9)).unwrap();
        let other = value_files(temp.path()).into_iter().find(|other| other != file).unwrap();
        let (start, rest) = (fs::read(file).unwrap(), fs::read(other).unwrap());
        fs::write(file, [&start[..64], &rest[64..]].concat()).unwrap();
    });
}

#[test]
fn a_stream_that_is_changed_fails_where_it_was_changed_and_gives_nothing_wrong() {
    let temp = temp();
    for at in [64, 90, 70_000, 400_000, 699_000] {
        let cache = open(temp.path());
        let value = noise(5, 700_000);
        let mut writer = cache.write_stream("s", StreamOptions::default());
        writer.write(&value).unwrap();
        cache.finish_stream(writer).unwrap();
        let file = value_files(temp.path()).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let mut reader = cache.read_stream("s").unwrap().unwrap();
        let mut read = Vec::new();
        let failed = loop {
            match cache.next_piece(&mut reader) {
                Ok(Some(piece)) => read.extend(piece),
                Ok(None) => panic!("byte {at}: it ended well"),
                Err(why) => break why,
            }
        };
        assert_eq!(failed.code(), Code::Corrupt);
        assert!(read.len() < value.len() && value.starts_with(&read));
        assert!(!cache.has("s").unwrap());
    }
}

#[test]
fn check_finds_what_was_tampered_with_checksums_that_fit_and_removes_it() {
    let temp = temp();
    let cache = open(temp.path());
    for name in ["a", "b", "c"] {
        cache.set(name, name.as_bytes()).unwrap();
    }
    let Row { id, key, mut frame, .. } = row(temp.path(), &cache, "b");
    let last = frame.len() - 1;
    frame[last] ^= 1;
    forge_checksum(&key[..16], &mut frame);
    put_frame(temp.path(), id, &frame);
    let report = cache.check(false).unwrap();
    assert_eq!((report.entries, report.found), (3, 1));
    assert_eq!(report.problems[0].key.as_deref(), Some(&b"b"[..]), "told by its text");
    assert_eq!(cache.check(true).unwrap().fixed, 1);
    assert_eq!(cache.check(true).unwrap().found, 0);
    assert_eq!(cache.len().unwrap(), 2);
}

#[test]
fn a_damaged_database_is_mended_with_what_verifies() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    for number in 0..2000 {
        let options = SetOptions { tags: &["all"], ..SetOptions::default() };
        cache.set_with(format!("{number}"), &noise(number, 200), &options).unwrap();
    }
    cache.close().unwrap();
    let file = dir.join("tierce.db");
    let mut bytes = fs::read(&file).unwrap();
    // Where rows are differs in each run: a page of them, and none that leads to others.
    let is_leaf = |page: &usize| bytes[page * 4096] == 0x0d;
    let page = (bytes.len() / 8192..bytes.len() / 4096).find(is_leaf).unwrap();
    bytes[page * 4096..(page + 1) * 4096].fill(0xaa);
    fs::write(&file, bytes).unwrap();
    let cache = open(&dir);
    let left = (0..2000).filter(|number| {
        let value = cache.get(format!("{number}")).unwrap();
        value.inspect(|value| assert_eq!(*value, noise(*number, 200))).is_some()
    });
    let left = left.count() as u64;
    assert!(left > 1500, "{left}");
    assert_eq!(cache.invalidate_tags(&["all"]).unwrap(), left);
    assert_eq!(Cache::builder().open(&dir).unwrap_err().code(), Code::Encryption);
}

#[test]
fn any_flipped_byte_of_any_file_of_a_killed_cache_costs_entries_at_most() {
    let original = temp();
    let cache = open(original.path());
    let value = |number: u64| noise(number, [50, 300, 5_000, 50_000][number as usize % 4]);
    for number in 0..24 {
        cache.set(format!("{number}"), &value(number)).unwrap();
    }
    let copied = temp();
    copy(original.path(), copied.path()); // as a kill leaves it
    drop(cache);
    let mut dice = Dice::new(5);
    let mut lost = 0;
    for file in all_files(copied.path()) {
        let name = file.strip_prefix(copied.path()).unwrap();
        let length = fs::metadata(&file).unwrap().len();
        for _ in 0..if length == 0 { 0 } else { 8 } {
            let damaged = temp();
            copy(copied.path(), damaged.path());
            let mut bytes = fs::read(&file).unwrap();
            let at = dice.below(length) as usize;
            bytes[at] ^= 1 << dice.below(8);
            fs::write(damaged.path().join(name), bytes).unwrap();
            println!("byte {at} of {}", name.display());
            let cache = match encrypted().open(damaged.path()) {
                Ok(cache) => cache,
                // What says which store the directory has is believed, or nothing is touched.
                Err(why) => {
                    assert_eq!((name, why.code()), (Path::new("tierce.metadata"), Code::Format));
                    continue;
                }
            };
            for number in 0..24 {
                match cache.get(format!("{number}")).unwrap() {
                    Some(found) => assert!(found == value(number), "a wrong value"),
                    None => lost += 1,
                }
            }
        }
    }
    assert!(lost > 0, "the damage met something");
}

#[test]
fn two_directories_with_one_key_do_not_take_each_others_rows() {
    let temp = temp();
    let (one, other) = (temp.path().join("one"), temp.path().join("other"));
    let cache = open(&one);
    cache.set("k", b"of one").unwrap();
    let moved = row(&one, &cache, "k");
    let cache = open(&other);
    cache.set("k", b"of the other").unwrap();
    let here = row(&other, &cache, "k");
    assert_ne!(moved.id, here.id);
    database(&other)
        .execute(
            "UPDATE entries SET frame = ?2, seal = ?3, created = ?4 WHERE id = ?1",
            params![here.id, moved.frame, moved.seal, moved.created],
        )
        .unwrap();
    assert_tampered(&cache, "k");
}

//! Encryption at rest: what comes back, what the directory shows, and what an attacker who can write to it achieves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{Dice, all_files, copy, database, noise, temp, uncoded, value_files};
use rusqlite::params;
use tierce::{
    Builder, Cache, Cell, Code, Durability, EncryptionKey, Key, Listing, MetaColumn, MetaTable, SetOptions,
    StreamOptions, Wait,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::from([byte; 32])
}

fn encrypted() -> Builder {
    Cache::builder().encryption(key(7)).codec(uncoded("none"))
}

fn open(dir: &Path) -> Cache {
    encrypted().open(dir).unwrap()
}

const SECRETS: [&str; 5] = [
    "a-value-that-is-secret",
    "a-key-that-is-secret",
    "a-tag-that-is-secret",
    "a-description-that-is-secret",
    "a-stream-that-is-secret",
];

fn secret(what: usize, times: usize) -> Vec<u8> {
    SECRETS[what].as_bytes().repeat(times)
}

/// One entry of every sort.
fn fill(cache: &Cache) {
    let options = SetOptions { tags: &[SECRETS[2]], description: Some(SECRETS[3]), ..SetOptions::default() };
    cache.set_with(SECRETS[1], &secret(0, 3), &options).unwrap();
    cache.set(format!("{}:file", SECRETS[1]), &secret(0, 4000)).unwrap();
    cache.set(format!("{}:empty", SECRETS[1]), b"").unwrap();
    cache.set("x".repeat(2000), &secret(0, 1)).unwrap();
    cache.increment(format!("{}:count", SECRETS[1]), 41).unwrap();
    cache.increment(format!("{}:count", SECRETS[1]), 1).unwrap();
    let mut writer = cache.write_stream(format!("{}:stream", SECRETS[1]), StreamOptions::default());
    for _ in 0..30_000 {
        writer.write(&secret(4, 1)).unwrap();
    }
    cache.finish_stream(writer).unwrap();
    cache.len().unwrap();
}

fn streamed(cache: &Cache, name: &str) -> Option<Vec<u8>> {
    let mut reader = cache.read_stream(name).unwrap()?;
    let mut all = Vec::new();
    while let Some(piece) = cache.next_piece(&mut reader).unwrap() {
        all.extend(piece);
    }
    Some(all)
}

fn assert_filled(cache: &Cache) {
    let entry = cache.entry(SECRETS[1]).unwrap().unwrap();
    assert_eq!(entry.value, secret(0, 3));
    assert_eq!(
        (&entry.extras.tags[0][..], entry.extras.description.as_deref()),
        (SECRETS[2], Some(SECRETS[3]))
    );
    assert_eq!(cache.get(format!("{}:file", SECRETS[1])).unwrap().unwrap(), secret(0, 4000));
    assert_eq!(streamed(cache, &format!("{}:file", SECRETS[1])).unwrap(), secret(0, 4000));
    assert_eq!(cache.get(format!("{}:empty", SECRETS[1])).unwrap().unwrap(), b"");
    assert_eq!(cache.get("x".repeat(2000)).unwrap().unwrap(), secret(0, 1));
    assert_eq!(cache.get(format!("{}:count", SECRETS[1])).unwrap().unwrap(), b"42");
    assert_eq!(streamed(cache, &format!("{}:stream", SECRETS[1])).unwrap(), secret(4, 30_000));
    assert_eq!(cache.get(format!("{}:stream", SECRETS[1])).unwrap().unwrap(), secret(4, 30_000));
}

#[test]
fn entries_of_every_sort_come_back_also_after_reopening() {
    let temp = temp();
    let cache = open(temp.path());
    fill(&cache);
    assert_filled(&cache);
    cache.close().unwrap();
    let cache = open(temp.path());
    assert_filled(&cache);
    assert!(cache.take_faults().is_empty());
    let report = cache.check(true).unwrap();
    assert_eq!((report.found, report.entries), (0, 6), "{:?}", report.problems);
    assert_filled(&cache);
}

#[test]
fn every_verb_finds_keys_and_tags_that_are_stored_as_hashes() {
    let temp = temp();
    let cache = encrypted().max(100).open(temp.path()).unwrap();
    fill(&cache);
    let prefix = format!("{}:", SECRETS[1]);
    let mut listed: Vec<_> = cache.entries(&prefix).map(|listed| listed.unwrap().key).collect();
    listed.sort();
    let names = ["count", "empty", "file", "stream"];
    assert_eq!(listed, names.map(|name| format!("{prefix}{name}").into_bytes()));
    let mut paged = Vec::new();
    let (prefixes, mut after) = (Some([prefix.as_bytes(), prefix.as_bytes()]), Some(i64::MIN));
    while let Some(start) = after {
        let page = cache.page(&Listing { after: start, limit: 1, prefixes, ..Listing::default() }).unwrap();
        paged.extend(page.entries.into_iter().map(|listed| listed.key));
        after = page.next;
    }
    paged.sort();
    assert_eq!(paged, listed, "a page of one at a time");
    assert_eq!(cache.entries("").count(), 6);
    let tagged = cache.entries("").map(Result::unwrap).find(|listed| !listed.extras.is_empty()).unwrap();
    assert_eq!((tagged.key, &tagged.extras.tags[0][..]), (SECRETS[1].as_bytes().to_vec(), SECRETS[2]));

    let ask = |sql: &str, params: &[Cell<'_>]| cache.query(sql, params, Wait::Yes).unwrap().unwrap().cells;
    let text = |text: &str| Cell::Text(text.to_owned().into());
    assert_eq!(ask("SELECT key FROM tags WHERE tag = ?1", &[text(SECRETS[2])]), [text(SECRETS[1])]);
    assert_eq!(
        ask("SELECT key FROM entries WHERE key LIKE '%:empty'", &[]),
        [text(&format!("{prefix}empty"))]
    );

    assert!(cache.add("new", b"1").unwrap() && !cache.add("new", b"2").unwrap());
    assert!(cache.update("new", b"3").unwrap() && cache.has("new").unwrap());
    assert!(cache.expire("new", Some(Duration::from_secs(100))).unwrap());
    assert!(cache.ttl("new").unwrap().unwrap() <= Duration::from_secs(100));
    assert!(cache.touch("new").unwrap());
    let keys = [Key::from("new"), Key::from("none")];
    let found = cache.get_many(&keys).unwrap();
    assert_eq!((found[0].as_ref().unwrap().value.as_slice(), found[1].is_none()), (&b"3"[..], true));
    assert!(
        matches!(cache.mapped("new").unwrap().unwrap().value, tierce::MappedValue::Read(value) if value == b"3")
    );
    cache
        .transaction(3, |tx| {
            assert_eq!(tx.get("new")?.as_deref(), Some(&b"3"[..]));
            tx.set("other", b"4")?;
            tx.increment("new", 5)
        })
        .unwrap();
    assert_eq!(cache.get("new").unwrap().unwrap(), b"8");
    assert_eq!(cache.get_or_set("made", || Ok::<_, tierce::Error>(b"5".to_vec())).unwrap(), b"5");
    assert!(cache.delete("new").unwrap() && !cache.delete("new").unwrap());
    assert_eq!(cache.invalidate_tags(&[SECRETS[2]]).unwrap(), 1);
    assert!(!cache.has(SECRETS[1]).unwrap());
    for number in 0..300 {
        cache.set(format!("{number}"), &noise(number, 100)).unwrap();
    }
    assert_eq!(cache.len().unwrap(), 100, "it evicts as any other");
    cache.clear().unwrap();
    assert!(cache.is_empty().unwrap());
    let left: i64 = database(temp.path())
        .query_row("SELECT (SELECT count(*) FROM tags) + (SELECT count(*) FROM extras)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

fn assert_shows_nothing(dir: &Path) {
    let mut looked_at = 0;
    for file in all_files(dir) {
        let mut bytes = Vec::new();
        fs::File::open(&file).unwrap().read_to_end(&mut bytes).unwrap();
        looked_at += 1;
        for secret in SECRETS {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for shown in [secret, &secret[..10], &hex] {
                let found = bytes.windows(shown.len()).any(|part| part == shown.as_bytes());
                assert!(!found, "{shown:?} is in {}", file.display());
            }
        }
        for key in [SECRETS[1], &format!("{}:file", SECRETS[1])] {
            let digest = Key::from(key).digest();
            for hash in [
                &digest.id().to_be_bytes()[..],
                &digest.to_bytes()[..],
                &blake3::hash(key.as_bytes()).as_bytes()[..8],
            ] {
                assert!(
                    !bytes.windows(hash.len()).any(|part| part == hash),
                    "a hash of a key in {}",
                    file.display()
                );
            }
        }
        assert!(!bytes.windows(32).any(|part| part == [7; 32]), "the key itself is in {}", file.display());
    }
    assert!(looked_at > 0);
}

#[test]
fn nothing_in_the_directory_in_a_file_or_in_a_backup_shows_what_is_stored() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    fill(&cache);
    assert!(all_files(&dir).iter().any(|file| file.ends_with("tierce.db-wal")));
    assert_shows_nothing(&dir); // with the log and its index
    cache.set(SECRETS[1], b"overwritten").unwrap();
    cache.delete(format!("{}:file", SECRETS[1])).unwrap();
    cache.save(temp.path().join("saved")).unwrap();
    cache.backup(temp.path().join("backup")).unwrap();
    cache.close().unwrap();
    assert_shows_nothing(temp.path());
}

#[test]
fn the_same_grep_finds_all_of_it_without_a_key() {
    let temp = temp();
    let cache = Cache::builder().codec(uncoded("none")).open(temp.path()).unwrap();
    fill(&cache);
    let all: Vec<u8> = all_files(temp.path()).iter().flat_map(|file| fs::read(file).unwrap()).collect();
    for secret in SECRETS {
        assert!(all.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}

fn state(dir: &Path) -> BTreeMap<std::path::PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let about = |path: std::path::PathBuf| {
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        (path.clone(), (fs::read(path).unwrap(), changed))
    };
    all_files(dir).into_iter().map(about).collect()
}

#[test]
fn a_wrong_key_a_missing_one_and_one_too_many_are_told_and_change_nothing() {
    let temp = temp();
    let (secret, plain) = (temp.path().join("secret"), temp.path().join("plain"));
    // Dropped, not closed: with a log. Without a journal, as what is in one is moved behind us.
    fill(&encrypted().journal(false).open(&secret).unwrap());
    let cache = Cache::builder().journal(false).open(&plain).unwrap();
    cache.set("k", b"v").unwrap();
    drop(cache);
    let before = [state(&secret), state(&plain)];
    for (dir, builder) in [
        (&secret, Cache::builder().encryption(key(8))),
        (&secret, Cache::builder()),
        (&plain, Cache::builder().encryption(key(7))),
    ] {
        let refused = builder.open(dir).unwrap_err();
        assert_eq!(refused.code(), Code::Encryption);
        assert!(refused.to_string().contains(&*dir.display().to_string()), "{refused}");
        assert!(!format!("{refused:?}").contains("7, 7"), "{refused:?}");
    }
    let refused = Cache::builder().store_keys(false).open(&plain).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidOption);
    assert_eq!([state(&secret), state(&plain)], before);
    assert_filled(&open(&secret));
    assert_eq!(Cache::builder().open(&plain).unwrap().get("k").unwrap().unwrap(), b"v");
}

#[test]
fn metadata_is_refused_with_encryption_and_a_key_is_32_bytes() {
    let temp = temp();
    let column = MetaColumn {
        name: "n".into(),
        column_type: tierce::ColumnType::Integer,
        is_not_null: false,
        is_unique: false,
        is_indexed: false,
    };
    let refused = encrypted()
        .meta([MetaTable { name: "t".into(), columns: vec![column] }])
        .open(temp.path())
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidOption);
    for length in [0, 16, 31, 33, 64] {
        assert_eq!(EncryptionKey::try_from(&vec![1; length][..]).unwrap_err().code(), Code::InvalidOption);
    }
}

#[test]
fn of_many_who_make_a_directory_at_once_all_agree_on_how_it_is_kept() {
    for round in 0..30 {
        let temp = temp();
        let dir = temp.path().join("cache");
        fs::create_dir(&dir).unwrap();
        let start = Arc::new(Barrier::new(6));
        let threads: Vec<_> = (0..6u8)
            .map(|thread| {
                let (dir, start) = (dir.clone(), Arc::clone(&start));
                std::thread::spawn(move || {
                    let builder = match thread % 3 {
                        0 => Cache::builder(),
                        1 => Cache::builder().encryption(key(1)),
                        _ => Cache::builder().encryption(key(2)),
                    };
                    start.wait();
                    let cache =
                        builder.open(dir).map_err(|why| assert_eq!(why.code(), Code::Encryption, "{why}"));
                    cache.is_ok_and(|cache| {
                        cache.set(format!("{thread}"), b"v").unwrap();
                        true
                    })
                })
            })
            .collect();
        let opened: Vec<usize> = threads
            .into_iter()
            .enumerate()
            .filter_map(|(at, thread)| thread.join().unwrap().then_some(at % 3))
            .collect();
        assert!(!opened.is_empty(), "round {round}: somebody opened it");
        assert!(opened.iter().all(|sort| *sort == opened[0]), "round {round}: {opened:?}");
    }
}

#[test]
fn two_handles_with_the_key_share_the_directory() {
    let temp = temp();
    let (one, other) = (open(temp.path()), open(temp.path()));
    one.set("k", b"1").unwrap();
    assert_eq!(other.get("k").unwrap().unwrap(), b"1");
    let slot = one.digest(&Key::from("k")).slot(tierce::EPOCH_BITS);
    let before = one.epochs().load(slot);
    other.set("k", b"2").unwrap();
    assert_ne!(one.epochs().load(slot), before, "memory in front of the other handle is told");
    assert_eq!(one.get("k").unwrap().unwrap(), b"2");
}

/// What an attacker without the key can compute of a frame: its checksum is no secret.
fn forge_checksum(digest: &[u8], frame: &mut [u8]) {
    let seed = xxh3_64(&[digest, &frame[..32]].concat());
    let checksum = xxh3_64_with_seed(&frame[40..], seed);
    frame[32..40].copy_from_slice(&checksum.to_le_bytes());
}

struct Row {
    id: i64,
    key: Vec<u8>,
    frame: Vec<u8>,
    seal: i64,
    created: i64,
}

fn row(dir: &Path, cache: &Cache, key: &str) -> Row {
    cache.len().unwrap(); // moves what is in the journal into its rows
    let id = cache.digest(&Key::from(key)).id();
    database(dir)
        .query_row("SELECT key, frame, seal, created FROM entries WHERE id = ?1", [id], |row| {
            Ok(Row { id, key: row.get(0)?, frame: row.get(1)?, seal: row.get(2)?, created: row.get(3)? })
        })
        .unwrap()
}

fn put_frame(dir: &Path, id: i64, frame: &[u8]) {
    database(dir).execute("UPDATE entries SET frame = ?2 WHERE id = ?1", params![id, frame]).unwrap();
}

/// A miss that is told, and the entry is gone.
fn assert_tampered(cache: &Cache, key: &str) {
    assert!(cache.get(key).unwrap().is_none(), "{key}");
    let faults = cache.take_faults();
    assert!(faults.iter().any(|fault| fault.code() == Code::Corrupt), "{key}: {faults:?}");
    assert!(!cache.has(key).unwrap());
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
fn a_backup_opens_with_the_key_and_a_saved_file_brings_entries_to_a_new_key_or_to_none() {
    let temp = temp();
    let at = |name: &str| temp.path().join(name);
    let cache = open(&at("cache"));
    fill(&cache);
    cache.backup(at("backup")).unwrap();
    assert_eq!(Cache::builder().open(at("backup")).unwrap_err().code(), Code::Encryption);
    assert_filled(&open(&at("backup")));
    cache.save(at("saved")).unwrap();
    for (name, to) in [("rotated", encrypted().encryption(key(9))), ("plain", Cache::builder())] {
        let to = to.open(at(name)).unwrap();
        to.set("before", b"stays").unwrap();
        assert_eq!(to.load(at("saved"), false).unwrap_err().code(), Code::Encryption);
        assert_eq!(to.load_encrypted(at("saved"), false, &key(8)).unwrap_err().code(), Code::Encryption);
        assert!(to.has("before").unwrap(), "nothing was changed");
        assert_eq!(to.load_encrypted(at("saved"), false, &key(7)).unwrap().entries, 6);
        assert_filled(&to);
        assert_eq!(to.check(false).unwrap().found, 0);
    }
    let again = open(&at("again"));
    again.load(at("saved"), false).unwrap();
    assert_filled(&again);
    // From plain to encrypted.
    Cache::builder().open(at("plain")).unwrap().save(at("plain.saved")).unwrap();
    let secret = open(&at("secret"));
    secret.load(at("plain.saved"), true).unwrap();
    assert_filled(&secret);
    secret.close().unwrap();
    assert_shows_nothing(&at("secret"));
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

#[test]
fn a_lost_or_damaged_file_of_rules_opens_nothing_and_changes_nothing() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    fill(&cache);
    cache.close().unwrap();
    let rules = dir.join("tierce.rules");
    let whole = fs::read(&rules).unwrap();
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    fs::write(&rules, &flipped).unwrap();
    assert_filled(&open(&dir)); // the other copy
    flipped[92] ^= 1;
    fs::write(&rules, &flipped).unwrap();
    let before = state(&dir);
    assert_eq!(encrypted().open(&dir).unwrap_err().code(), Code::Corrupt);
    assert_eq!(state(&dir), before);
    fs::remove_file(&rules).unwrap();
    assert_eq!(encrypted().open(&dir).unwrap_err().code(), Code::Encryption);
    fs::write(&rules, whole).unwrap();
    assert_filled(&open(&dir));
}

#[test]
fn a_relaxed_and_unknown_durability_is_refused_with_what_there_is() {
    assert_eq!("power".parse::<Durability>().unwrap(), Durability::Power);
    assert_eq!("process".parse::<Durability>().unwrap(), Durability::Process);
    for name in ["relaxed", "x"] {
        let refused = name.parse::<Durability>().unwrap_err();
        assert_eq!(refused.code(), Code::InvalidOption);
        assert!(refused.to_string().contains("process"), "{refused}");
    }
}

fn hashed(dir: &Path) -> Cache {
    Cache::builder().store_keys(false).codec(uncoded("none")).open(dir).unwrap()
}

#[test]
fn without_stored_keys_no_text_of_one_is_in_the_directory_and_every_verb_works() {
    for builder in [Cache::builder(), encrypted()] {
        let temp = temp();
        let cache = builder.clone().store_keys(false).open(temp.path()).unwrap();
        fill(&cache);
        assert_filled(&cache);
        assert!(cache.delete("x".repeat(2000)).unwrap());
        assert_eq!(cache.increment(SECRETS[4], 2).unwrap(), 2);
        assert!(cache.expire(SECRETS[4], None).unwrap() && cache.has(SECRETS[4]).unwrap());
        for listed in cache.entries("").map(Result::unwrap) {
            assert!(listed.key.starts_with(b"\0#") && listed.key.len() == 66, "{:?}", listed.key);
            let key = Key::from_text(listed.key);
            assert_eq!(
                cache.entry(key.clone()).unwrap().unwrap().meta.id,
                listed.meta.id,
                "its hash stands for it"
            );
        }
        for prefix in [SECRETS[1], "\0#"] {
            let refused = cache.entries(prefix).next().unwrap().unwrap_err();
            assert_eq!(refused.code(), Code::InvalidOption);
        }
        assert_eq!(cache.invalidate_tags(&[SECRETS[2]]).unwrap(), 1);
        assert_eq!(cache.check(true).unwrap().found, 0);
        cache.close().unwrap();
        for file in all_files(temp.path()) {
            let bytes = fs::read(&file).unwrap();
            assert!(
                !bytes.windows(10).any(|part| part == &SECRETS[1].as_bytes()[..10]),
                "{}",
                file.display()
            );
        }
        assert_eq!(
            builder.open(temp.path()).unwrap_err().code(),
            Code::InvalidOption,
            "with keys it is another cache"
        );
    }
}

#[test]
fn without_stored_keys_two_keys_of_one_digest_do_not_share_an_entry() {
    let temp = temp();
    let cache = hashed(temp.path());
    let keys = common::colliding_keys().map(Key::from_text);
    assert_eq!(keys[0].digest(), keys[1].digest());
    cache.set(keys[0].clone(), b"first").unwrap();
    cache.set(keys[1].clone(), b"other").unwrap();
    assert_eq!(cache.get(keys[0].clone()).unwrap().unwrap(), b"first");
    assert_eq!(cache.get(keys[1].clone()).unwrap().unwrap(), b"other");
}

#[test]
fn a_saved_file_brings_keys_under_their_hashes() {
    let temp = temp();
    let with = Cache::builder().open(temp.path().join("with")).unwrap();
    with.set("k", b"v").unwrap();
    with.save(temp.path().join("saved")).unwrap();
    let without = hashed(&temp.path().join("without"));
    without.load(temp.path().join("saved"), false).unwrap();
    assert_eq!(without.get("k").unwrap().unwrap(), b"v");
}

/// Flips the last byte of a payload where it is.
fn damage_payload(dir: &Path, cache: &Cache, key: &str) {
    let Row { id, mut frame, .. } = row(dir, cache, key);
    if frame.len() > 40 {
        let last = frame.len() - 1;
        frame[last] ^= 1;
        put_frame(dir, id, &frame);
    }
}

#[test]
fn checksums_are_looked_at_unless_integrity_is_off_and_always_where_it_is_encrypted() {
    for (verifies, is_encrypted) in [(true, false), (false, false), (true, true), (false, true)] {
        let temp = temp();
        let builder = if is_encrypted { encrypted() } else { Cache::builder().codec(uncoded("none")) };
        let builder = if verifies { builder } else { builder.integrity(false) };
        let cache = builder.open(temp.path()).unwrap();
        cache.set("row", b"in a row").unwrap();
        cache.set("file", &vec![b'f'; 100_000]).unwrap();
        damage_payload(temp.path(), &cache, "row");
        let file = value_files(temp.path()).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let skips = !verifies && !is_encrypted;
        let expected = skips.then(|| b"in a rov".to_vec());
        assert_eq!(cache.get("row").unwrap(), expected, "{verifies} {is_encrypted}");
        let read = streamed_or_none(&cache, "file");
        assert_eq!(read.is_some_and(|value| value.ends_with(b"fg")), skips, "{verifies} {is_encrypted}");
        assert_eq!(cache.take_faults().is_empty(), skips);
    }
}

fn streamed_or_none(cache: &Cache, name: &str) -> Option<Vec<u8>> {
    let mut reader = cache.read_stream(name).unwrap()?;
    let mut all = Vec::new();
    while let Some(piece) = cache.next_piece(&mut reader).ok()? {
        all.extend(piece);
    }
    Some(all)
}

#[test]
fn what_integrity_leaves_out_check_still_finds() {
    let temp = temp();
    let cache = Cache::builder().integrity(false).codec(uncoded("none")).open(temp.path()).unwrap();
    cache.set("k", b"value").unwrap();
    damage_payload(temp.path(), &cache, "k");
    assert!(cache.get("k").unwrap().is_some());
    assert_eq!(cache.check(true).unwrap().fixed, 1);
    assert!(cache.get("k").unwrap().is_none());
}

#[test]
fn a_copied_directory_opens_with_its_key() {
    let temp = temp();
    let cache = open(&temp.path().join("cache"));
    fill(&cache);
    cache.close().unwrap();
    copy(&temp.path().join("cache"), &temp.path().join("copy"));
    assert_filled(&open(&temp.path().join("copy")));
}

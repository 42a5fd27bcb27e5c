//! Encryption at rest: what comes back, and what the directory shows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod attack;
#[path = "../common/mod.rs"]
mod common;
mod kept_less;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{all_files, copy, database, noise, temp, uncoded};
use rusqlite::params;
use tierce::{
    Builder, Cache, Cell, Code, EncryptionKey, Key, Listing, MetaColumn, MetaTable, SetOptions,
    StreamOptions, Wait,
};

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
    assert_eq!(ask("SELECT DISTINCT key FROM tags", &[]), [text(SECRETS[1])]);
    let count = "SELECT count(*) FROM entries JOIN tags USING (key) WHERE key = ?1";
    assert_eq!(ask(count, &[text(SECRETS[1])]), ask("SELECT count(*) FROM tags", &[]));
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
fn a_copied_directory_opens_with_its_key() {
    let temp = temp();
    let cache = open(&temp.path().join("cache"));
    fill(&cache);
    cache.close().unwrap();
    copy(&temp.path().join("cache"), &temp.path().join("copy"));
    assert_filled(&open(&temp.path().join("copy")));
}

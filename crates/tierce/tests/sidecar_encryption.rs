//! Encryption at rest without a database: what comes back, what the folders show, and what an attacker who can write to them
//! achieves. `tests/sidecar.rs` has its verbs, streams, bounds and damage with a key too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use common::{all_files, noise, temp, uncoded};
use tierce::{
    Builder, Cache, Cell, Code, ColumnType, EncryptionKey, Key, Listing, MetaColumn, MetaRow, MetaTable,
    SetOptions, SidecarCache, StreamOptions,
};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the first line of an entry's file.
const LINE: usize = 64;
const SECRETS: [&str; 6] = [
    "a-value-that-is-secret",
    "a-key-that-is-secret",
    "a-tag-that-is-secret",
    "a-description-that-is-secret",
    "a-stream-that-is-secret",
    "a-cell-that-is-secret",
];

fn with_key(byte: u8) -> Builder {
    let column = MetaColumn {
        name: "c".into(),
        column_type: ColumnType::Text,
        is_not_null: false,
        is_unique: false,
        is_indexed: false,
    };
    let table = MetaTable { name: "t".into(), columns: vec![column] };
    Cache::builder().encryption(EncryptionKey::from([byte; 32])).codec(uncoded("none")).meta([table])
}

fn open(dir: &Path) -> SidecarCache {
    with_key(7).open_sidecar(dir).unwrap()
}

fn fill(cache: &SidecarCache) {
    let row = MetaRow { table: "t".into(), cells: vec![("c".into(), Cell::Text(SECRETS[5].into()))] };
    let options =
        SetOptions { tags: &[SECRETS[2]], description: Some(SECRETS[3]), meta: &[row], ..Default::default() };
    cache.set_with(SECRETS[1], &SECRETS[0].repeat(3).into_bytes(), &options).unwrap();
    cache.set(format!("{}:large", SECRETS[1]), &SECRETS[0].repeat(9000).into_bytes()).unwrap();
    cache.set(format!("{}:empty", SECRETS[1]), b"").unwrap();
    let mut writer = cache.write_stream(format!("{}:stream", SECRETS[1]), StreamOptions::default());
    (0..30_000).for_each(|_| writer.write(SECRETS[4].as_bytes()).unwrap());
    cache.finish_stream(writer).unwrap();
}

fn assert_filled(cache: &SidecarCache) {
    let entry = cache.entry(SECRETS[1]).unwrap().unwrap();
    assert_eq!(entry.value, SECRETS[0].repeat(3).into_bytes());
    assert_eq!(
        (&entry.extras.tags[0][..], entry.extras.description.as_deref()),
        (SECRETS[2], Some(SECRETS[3]))
    );
    assert_eq!(entry.extras.meta[0].cells[0].1, Cell::Text(SECRETS[5].into()));
    let get = |name: &str| cache.get(format!("{}:{name}", SECRETS[1])).unwrap().unwrap();
    assert_eq!(get("large"), SECRETS[0].repeat(9000).into_bytes());
    assert_eq!(get("empty"), b"");
    assert_eq!(get("stream"), SECRETS[4].repeat(30_000).into_bytes());
    let mut listed: Vec<_> =
        cache.page(&Listing::default()).unwrap().entries.into_iter().map(|entry| entry.key).collect();
    listed.sort();
    let names = ["", ":empty", ":large", ":stream"];
    assert_eq!(listed, names.map(|name| format!("{}{name}", SECRETS[1]).into_bytes()));
    assert_eq!(cache.check(false).unwrap().problems, []);
    assert!(cache.take_faults().is_empty());
}

fn entry_files(dir: &Path) -> Vec<PathBuf> {
    all_files(&dir.join("entries"))
}

/// The file of a key.
fn file_of(cache: &SidecarCache, key: &str) -> PathBuf {
    let name = format!("{:016x}.entry", cache.digest(&Key::from(key)).id() as u64);
    cache.dir().join("entries").join(&name[..2]).join(name)
}

/// Bytes of the head.
fn head_of(bytes: &[u8]) -> usize {
    usize::from_str_radix(std::str::from_utf8(&bytes[20..28]).unwrap(), 16).unwrap()
}

/// With the checksum that belongs to what was changed: anybody can compute it.
fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = head_of(&bytes);
    let first = format!(
        "{{\"tierce\":1,\"head\":\"{length:08x}\",\"xxh3\":\"{:016x}\"}}",
        xxh3_64(&bytes[LINE..length])
    );
    bytes[..LINE].copy_from_slice(format!("{first:<63}\n").as_bytes());
    bytes
}

#[test]
fn entries_come_back_after_reopening_and_the_directory_shows_none_of_them() {
    let temp = temp();
    let cache = open(temp.path());
    fill(&cache);
    assert_filled(&cache);
    cache.close().unwrap();
    assert_filled(&open(temp.path()));
    for path in all_files(temp.path()) {
        let bytes = [path.to_string_lossy().as_bytes(), &fs::read(&path).unwrap()].concat();
        for secret in SECRETS {
            let shown = bytes.windows(12).any(|part| part == &secret.as_bytes()[..12]);
            assert!(!shown, "{} shows {secret}", path.display());
        }
        let plain = format!("{:016x}", Key::from(SECRETS[1]).digest().id() as u64);
        assert!(!path.to_string_lossy().contains(&plain), "the name is a hash without a key");
    }
    let [one, other] = [7, 8].map(|_| {
        let dir = common::temp();
        let cache = open(dir.path());
        cache.digest(&Key::from("k"))
    });
    assert_ne!(one, other, "another directory with the same key has other names");
}

#[test]
fn a_wrong_key_a_missing_one_and_one_too_many_are_told_and_change_nothing() {
    let temp = temp();
    let [secret, plain, hashed] = ["secret", "plain", "hashed"].map(|name| temp.path().join(name));
    fill(&open(&secret));
    Cache::builder().open_sidecar(&plain).unwrap().set("k", b"v").unwrap();
    Cache::builder().store_keys(false).open_sidecar(&hashed).unwrap().set("k", b"v").unwrap();
    let state = || -> Vec<_> {
        all_files(temp.path()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect()
    };
    let before = state();
    for (dir, builder, code) in [
        (&secret, with_key(8), Code::Encryption),
        (&secret, Cache::builder(), Code::Encryption),
        (&secret, with_key(7).store_keys(false), Code::InvalidOption),
        (&plain, with_key(7), Code::Encryption),
        (&plain, Cache::builder().store_keys(false), Code::InvalidOption),
        (&hashed, Cache::builder(), Code::InvalidOption),
        (&hashed, with_key(7), Code::Encryption),
    ] {
        let refused = builder.open_sidecar(dir).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.to_string().contains(&*dir.display().to_string()), "{refused}");
    }
    assert_eq!(state(), before);
    assert_filled(&open(&secret));
}

#[test]
fn without_the_texts_of_keys_entries_are_found_by_them_and_not_listed_by_them() {
    let temp = temp();
    for builder in [Cache::builder(), with_key(7)] {
        let dir = temp.path().join(format!("{}", all_files(temp.path()).len()));
        let cache = builder.store_keys(false).open_sidecar(&dir).unwrap();
        cache.set(SECRETS[1], b"v").unwrap();
        assert_eq!(cache.get(SECRETS[1]).unwrap().unwrap(), b"v");
        assert!(cache.add("other", b"v").unwrap() && !cache.add(SECRETS[1], b"w").unwrap());
        let page = cache.page(&Listing::default()).unwrap();
        assert!(page.entries.iter().all(|entry| entry.key.starts_with(b"\0#")), "hashes");
        let refused = cache.page(&Listing { prefixes: Some([b"a", b"a"]), ..Listing::default() });
        assert_eq!(refused.unwrap_err().code(), Code::InvalidOption);
        assert!(entry_files(&dir).iter().all(|path| {
            !fs::read(path).unwrap().windows(20).any(|part| part == &SECRETS[1].as_bytes()[..20])
        }));
    }
}

#[test]
fn what_is_changed_moved_or_put_together_is_a_miss_and_told_also_with_sound_checksums() {
    let temp = temp();
    let cache = open(temp.path());
    let missed = |key: &str, bytes: &[u8], what: &str| {
        let path = file_of(&cache, key);
        fs::write(&path, bytes).unwrap();
        assert_eq!(cache.get(key).unwrap(), None, "{what}");
        assert!(cache.take_faults().iter().all(|fault| fault.code() == Code::Corrupt), "{what}");
        assert!(!path.exists(), "{what}");
    };
    cache.set("k", &noise(1, 100)).unwrap();
    let sound = fs::read(file_of(&cache, "k")).unwrap();
    let end = head_of(&sound);
    for at in LINE..sound.len() {
        if sound[at] == b' ' || at == end - 1 {
            continue; // between the object and the newline, which say nothing
        }
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        missed("k", &mended(bytes), &format!("byte {at}"));
    }
    cache.set("other", &noise(2, 100)).unwrap();
    let other = fs::read(file_of(&cache, "other")).unwrap();
    missed("k", &other, "the file of another");
    missed("k", &[&sound[..end], &other[head_of(&other)..]].concat(), "the payload of another");
    cache.set("k", &noise(3, 100)).unwrap();
    let newer = fs::read(file_of(&cache, "k")).unwrap();
    missed("k", &[&newer[..head_of(&newer)], &sound[end..]].concat(), "the payload of an older write");
    let [json, twin] = [common::temp(), common::temp()];
    let plain = Cache::builder().open_sidecar(json.path()).unwrap();
    plain.set("k", b"forged").unwrap();
    missed("k", &fs::read(file_of(&plain, "k")).unwrap(), "a file in the clear");
    let same_key = open(twin.path());
    same_key.set("k", b"of the other directory").unwrap();
    missed("k", &fs::read(file_of(&same_key, "k")).unwrap(), "a file of another directory");
    fs::write(file_of(&cache, "k"), &newer).unwrap();
    assert_eq!(cache.get("k").unwrap().unwrap(), noise(3, 100), "an older whole file is what it was");
}

#[test]
fn one_damaged_byte_of_the_record_costs_nothing_and_a_lost_one_is_told() {
    let temp = temp();
    fill(&open(temp.path()));
    let record = temp.path().join("tierce.metadata");
    let sound = fs::read(&record).unwrap();
    assert_eq!(sound.len(), 5 + 144);
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        fs::write(&record, &bytes).unwrap();
        assert!(open(temp.path()).has(SECRETS[1]).unwrap(), "byte {at}");
    }
    let mut bytes = sound.clone();
    (bytes[20], bytes[100]) = (!bytes[20], !bytes[100]);
    for (damaged, code) in
        [(&bytes[..], Code::Corrupt), (&sound[..148], Code::Format), (&sound[..77], Code::Format)]
    {
        fs::write(&record, damaged).unwrap();
        assert_eq!(with_key(7).open_sidecar(temp.path()).unwrap_err().code(), code);
    }
    fs::write(&record, &sound).unwrap();
    assert_filled(&open(temp.path()));
}

#[test]
fn of_many_who_make_a_directory_at_once_all_agree_on_how_it_is_kept() {
    for _ in 0..20 {
        let dir = temp();
        let start = Barrier::new(6);
        std::thread::scope(|scope| {
            let open = |thread: u8| {
                let builder = if thread.is_multiple_of(3) { Cache::builder() } else { with_key(thread % 3) };
                start.wait();
                let opened = builder.open_sidecar(dir.path());
                let opened = opened.map_err(|why| assert_eq!(why.code(), Code::Encryption, "{why}"));
                opened.is_ok_and(|cache| cache.set(format!("{thread}"), b"v").is_ok())
            };
            let threads: Vec<_> = (0..6).map(|thread| scope.spawn(move || open(thread))).collect();
            let opened: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            let winner = (0..3).find(|kind| opened[*kind]).expect("one of them made it");
            for (thread, was_opened) in opened.iter().enumerate() {
                assert_eq!(*was_opened, thread % 3 == winner, "{opened:?}");
            }
            let builder = if winner == 0 { Cache::builder() } else { with_key(winner as u8) };
            let cache = builder.open_sidecar(dir.path()).unwrap();
            assert_eq!(cache.len().unwrap(), 2);
            assert!((0..6).all(|at| cache.has(format!("{at}")).unwrap() == (at % 3 == winner)));
        });
    }
}

#[test]
fn a_new_key_is_had_by_saving_and_loading_and_a_database_takes_the_same_file() {
    let [old, new, database, copies] = [temp(), temp(), temp(), temp()];
    let cache = open(old.path());
    fill(&cache);
    let saved = copies.path().join("saved");
    assert_eq!(cache.save(&saved).unwrap().0, 4);
    let bytes = fs::read(&saved).unwrap();
    assert!(!bytes.windows(12).any(|part| part == &SECRETS[1].as_bytes()[..12]), "saved as it is kept");
    let rotated = with_key(9).open_sidecar(new.path()).unwrap();
    assert_eq!(rotated.load(&saved, false).unwrap_err().code(), Code::Encryption);
    assert_eq!(rotated.load_encrypted(&saved, false, &EncryptionKey::from([7; 32])).unwrap().entries, 4);
    assert_filled(&rotated);
    let sqlite = Cache::builder().encryption(EncryptionKey::from([7; 32])).open(database.path()).unwrap();
    assert_eq!(sqlite.load(&saved, false).unwrap().entries, 4);
    sqlite.save(&saved).unwrap();
    assert_eq!(cache.load(&saved, false).unwrap().entries, 4);
    assert_filled(&cache);
    let copy = copies.path().join("copy");
    cache.backup(&copy).unwrap();
    assert_filled(&open(&copy));
    assert_eq!(Cache::builder().open_sidecar(&copy).unwrap_err().code(), Code::Encryption);
}

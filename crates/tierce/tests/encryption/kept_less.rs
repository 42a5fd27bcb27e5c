//! Directories that keep less: hashes in the place of keys, and values whose checksums are not looked at.

use std::fs;
use std::path::Path;

use tierce::{Cache, Code, Key};

use super::common::{all_files, temp, uncoded, value_files};
use super::{Row, SECRETS, assert_filled, encrypted, fill, put_frame, row};

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
    let keys = super::common::colliding_keys().map(Key::from_text);
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

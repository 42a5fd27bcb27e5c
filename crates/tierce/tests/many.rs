//! Many keys are read as they were at one time, into whatever room there is.
#![allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{builder, copy, database, noise, telling, temp, version_in};
use tierce::{Cache, Code, Key, Wait, Write};

const GAP: usize = 3;

fn filled(journal: bool) -> (tempfile::TempDir, Cache) {
    let temp = temp();
    let cache = builder().journal(journal).open(temp.path()).unwrap();
    cache.set("a", b"one").unwrap();
    cache.set("empty", b"").unwrap();
    cache.set("b", b"three").unwrap();
    (temp, cache)
}

fn keys<'a>(names: &[&'a str]) -> Vec<Key<'a>> {
    names.iter().map(|name| Key::from(*name)).collect()
}

#[test]
fn values_stand_in_the_buffer_in_the_order_of_their_keys_with_a_gap_before_each() {
    for journal in [false, true] {
        let (_temp, cache) = filled(journal);
        let mut buffer = [b'.'; 40];
        let asked = keys(&["b", "none", "empty", "a", "b"]);
        // What is in the journal may be moved just now, twice.
        let found = (0..100).find_map(|_| cache.fetch_many_into(&asked, &mut buffer, GAP).unwrap());
        let sizes: Vec<_> = found.unwrap().iter().map(|meta| meta.map(|meta| meta.size)).collect();
        assert_eq!(sizes, [Some(5), None, Some(0), Some(3), Some(5)]);
        assert_eq!(&buffer[..32], b"...three.........one...three....");
        let stats = cache.stats().unwrap();
        assert_eq!((stats.hits, stats.misses), (4, 1));
        cache.release().unwrap();
    }
}

#[test]
fn what_does_not_fit_and_what_is_in_a_file_is_left_to_get_many() {
    let (_temp, cache) = filled(false);
    cache.set("large", &noise(1, 200_000)).unwrap();
    let fetch = |names: &[&str], room: usize| {
        let found = cache.fetch_many_into(&keys(names), &mut vec![0; room], GAP).unwrap();
        cache.release().unwrap();
        found.is_some()
    };
    assert!(fetch(&["a", "b"], 14));
    assert!(!fetch(&["a", "b"], 13));
    assert!(!fetch(&["none", "none"], 5), "gaps take room too");
    assert!(!fetch(&["a", "large"], 1 << 20));
    assert!(!fetch(&["b"; 100], 799), "which shows before all are read");
    let found = cache.get_many(&keys(&["large", "a", "none"])).unwrap();
    let values: Vec<_> = found.into_iter().map(|entry| entry.map(|entry| entry.value.len())).collect();
    assert_eq!(values, [Some(200_000), Some(3), None]);
}

#[test]
fn a_damaged_entry_among_many_is_a_miss_and_is_told_of() {
    let (temp, cache) = filled(false);
    database(temp.path())
        .execute("UPDATE entries SET created = created + 1 WHERE key = CAST('a' AS BLOB)", [])
        .unwrap();
    let mut buffer = [0; 64];
    let found = cache.fetch_many_into(&keys(&["a", "b"]), &mut buffer, 0).unwrap().unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    assert_eq!(cache.take_faults().len(), 1);
    assert_eq!(cache.len().unwrap(), 2);
}

/// Two keys that are always set together are always the same, whichever way they are read, and whether they are in the journal or
/// on their way out of it.
#[test]
fn many_keys_are_of_one_time_while_others_write() {
    for journal in [false, true] {
        let temp = temp();
        let reader = builder().journal(journal).open(temp.path()).unwrap();
        let both = keys(&["left", "right"]);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = builder().journal(journal).open(temp.path()).unwrap();
                for round in 0..400_u64 {
                    let value = round.to_le_bytes();
                    let writes = [Write::set("left", &value), Write::set("right", &value)];
                    writer.apply(&writes, Wait::Yes).unwrap();
                    if round % 16 == 0 {
                        writer.len().unwrap(); // moves what is in the journal
                    }
                }
                done.store(true, Ordering::Release);
            });
            let mut buffer = [0; 16];
            while !done.load(Ordering::Acquire) {
                let found = reader.get_many(&both).unwrap();
                let values: Vec<_> = found.into_iter().map(|entry| entry.map(|entry| entry.value)).collect();
                assert_eq!(values[0], values[1]);
                if let Some(found) = reader.fetch_many_into(&both, &mut buffer, 0).unwrap()
                    && found[0].is_some()
                {
                    assert_eq!(buffer[..8], buffer[8..]);
                    assert!(found[1].is_some());
                }
                reader.release().unwrap();
            }
        });
        let found = reader.get_many(&both).unwrap();
        assert!(
            found.iter().flatten().all(|entry| entry.value == 399_u64.to_le_bytes()),
            "the last are seen at once"
        );
    }
}

/// More than is held in memory before it commits.
const LARGE: u64 = 5_000;
const BYTES: usize = 8_000;

fn large(cache: &Cache, version: u64, expected: Option<u64>) -> tierce::Result<()> {
    let values: Vec<_> = (0..LARGE).map(|key| telling(key, version, BYTES)).collect();
    let sets = values.iter().enumerate().map(|(key, value)| Write::set(format!("{key}"), value));
    let last = expected.map(|version| Write::Check { key: Key::from("checked"), version: Some(version) });
    let writes: Vec<_> = sets.chain(last).collect();
    cache.apply(&writes, Wait::Yes).map(|_| ())
}

#[test]
fn a_large_batch_is_there_as_a_whole_or_not_at_all_and_one_that_fails_harms_no_other() {
    for journal in [false, true] {
        let temp = temp();
        let open = || builder().journal(journal).max_size(1 << 30).open(temp.path()).unwrap();
        let (a, b) = (open(), open());
        a.set("checked", b"1").unwrap();
        let failed = large(&a, 1, Some(0)).unwrap_err();
        assert_eq!(failed.code(), Code::Transaction);
        assert_eq!((a.len().unwrap(), b.len().unwrap()), (1, 1));
        large(&b, 2, None).unwrap(); // where pages of the one that failed were
        a.set("small", b"1").unwrap();
        assert!(large(&a, 3, Some(0)).is_err());
        a.set("small", b"2").unwrap();
        b.set("small", b"3").unwrap();
        assert_eq!(a.len().unwrap(), LARGE + 2);
        let image = common::temp();
        copy(temp.path(), image.path()); // as a kill leaves it
        for cache in [&a, &b, &builder().open(image.path()).unwrap()] {
            for key in 0..LARGE {
                let value = cache.get(format!("{key}")).unwrap();
                assert_eq!(value.map(|value| version_in(key, &value)), Some(2));
            }
            assert_eq!(cache.get("small").unwrap().as_deref(), Some(&b"3"[..]));
            assert_eq!(cache.check(false).unwrap().problems.len(), 0);
        }
    }
}

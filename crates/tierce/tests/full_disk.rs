//! What can be done on a disk that is full, and on one that others fill: all that is there is read, and what removes works at once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;
#[path = "common/mount.rs"]
mod mount;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Dice, open, telling, uncoded, version_in, with_key};
use mount::{Mount, fill};
use tierce::{Cache, Code, SetOptions, Wait, Write};

#[test]
fn a_full_disk_can_be_emptied_by_deleting() {
    let Some(mount) = Mount::new("8m") else { return };
    let dir = mount.path().join("cache");
    let cache = Cache::builder().codec(uncoded("none")).open(&dir).unwrap();
    let (acknowledged, _) = fill(&cache, 100_000);
    for key in 0..acknowledged {
        assert!(cache.delete(format!("{key}")).unwrap(), "{key}");
    }
    for key in 0..acknowledged / 2 {
        cache.set(format!("{key}"), &telling(key, 2, 100_000)).unwrap();
    }
}

#[test]
fn entries_go_by_their_tags_on_a_full_disk() {
    let Some(mount) = Mount::new("6m") else { return };
    let cache = Cache::builder().codec(uncoded("none")).open(mount.path().join("cache")).unwrap();
    let tags: Vec<String> = (0..50).map(|tag| format!("tag {tag}")).collect();
    let set = |key: u64| {
        let options = SetOptions { tags: &[&tags[key as usize % 50]], ..SetOptions::default() };
        cache.set_with(format!("{key}"), &telling(key, 1, 2_000), &options)
    };
    let count = (0..).take_while(|key| set(*key).is_ok()).count() as u64;
    mount.take_all();
    let gone: u64 = tags.iter().map(|tag| cache.invalidate_tags(&[tag]).unwrap()).sum();
    assert_eq!(gone, count);
    set(0).unwrap();
}

#[test]
fn a_full_disk_can_be_cleared_whatever_is_in_the_journal() {
    for (size, sudden) in [(100, false), (3_000, false), (100, true), (3_000, true)] {
        let Some(mount) = Mount::new(if sudden { "80m" } else { "18m" }) else { return };
        let dir = mount.path().join("cache");
        let cache = Cache::builder().journal(true).codec(uncoded("none")).open(&dir).unwrap();
        let acknowledged =
            if sudden { fill_suddenly(&mount, &cache, 1_000, size) } else { fill(&cache, size).0 };
        cache.clear().unwrap();
        cache.set("k", b"v").unwrap(); // in the room of what was removed
        assert_eq!(cache.len().unwrap(), 1);
        assert!((0..acknowledged).all(|key| !cache.has(format!("{key}")).unwrap()));
        drop(cache);
        let cache = open(&dir);
        assert_eq!(cache.len().unwrap(), 1);
    }
}

/// Pages of such a batch are written to the log before it commits.
#[test]
fn a_large_batch_for_which_there_is_no_room_leaves_what_was_there_and_what_is_there_can_be_removed() {
    for journal in [false, true] {
        let Some(mount) = Mount::new("40m") else { return };
        let cache = Cache::builder()
            .journal(journal)
            .codec(uncoded("none"))
            .open(mount.path().join("cache"))
            .unwrap();
        for key in 0..200 {
            cache.set(format!("{key}"), &telling(key, 1, 1_000)).unwrap();
        }
        let batch = |version: u64, count: u64| {
            let values: Vec<_> = (0..count).map(|key| telling(key, version, 16_000)).collect();
            let keyed = values.iter().enumerate();
            let writes: Vec<_> = keyed.map(|(key, value)| Write::set(format!("{key}"), value)).collect();
            cache.apply(&writes, Wait::Yes).map(|_| ())
        };
        assert_eq!(batch(2, 4_000).unwrap_err().code(), Code::StorageFull);
        assert_eq!(cache.len().unwrap(), 200);
        assert!((0..200).all(|key| held(&cache, key) == Some(1)));
        batch(3, 400).unwrap(); // in the room that the first one gave back
        assert_eq!(batch(4, 4_000).unwrap_err().code(), Code::StorageFull);
        for key in 0..400 {
            assert_eq!(held(&cache, key), Some(3));
            assert!(cache.delete(format!("{key}")).unwrap(), "{key}");
        }
        assert_eq!(cache.len().unwrap(), 0);
    }
}

/// So many values, then nothing is free any more, and some more: with a journal, they are in there. Gives how many were acknowledged.
fn fill_suddenly(mount: &Mount, cache: &Cache, count: u64, size: usize) -> u64 {
    let set = |key: u64| cache.set(format!("{key}"), &telling(key, 1, size));
    (0..count).for_each(|key| set(key).unwrap());
    cache.len().unwrap(); // moves what is in the journal, so that nothing is done behind
    mount.take_all();
    count + (count..count + 300).take_while(|key| set(*key).is_ok()).count() as u64
}

#[test]
fn a_disk_that_others_fill_suddenly_can_be_emptied_key_by_key_with_a_journal_or_without() {
    for (journal, size) in [(true, 100), (true, 3_000), (false, 100)] {
        let Some(mount) = Mount::new("80m") else { return };
        let dir = mount.path().join("cache");
        let cache = Cache::builder().journal(journal).codec(uncoded("none")).open(&dir).unwrap();
        let count = fill_suddenly(&mount, &cache, 1_000_000 / (size as u64 + 400), size);
        for key in 0..count {
            let value = cache.get(format!("{key}")).unwrap().unwrap_or_else(|| panic!("{key} is lost"));
            assert_eq!(version_in(key, &value), 1);
            let gone = cache.delete(format!("{key}"));
            assert!(gone.as_ref().is_ok_and(|gone| *gone), "{key} of {count}, {size}, {journal}: {gone:?}");
        }
        assert_eq!(cache.len().unwrap(), 0);
        cache.set("k", b"v").unwrap(); // in the room of what was removed
        drop(cache);
        assert_eq!(open(&dir).len().unwrap(), 1);
    }
}

/// The version that a key holds.
fn held(cache: &Cache, key: u64) -> Option<u64> {
    cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value))
}

/// Sets, deletions, reads, listings and opens in any order, on a disk that others fill and leave again.
#[test]
fn whatever_is_done_on_full_disks_loses_nothing_that_was_acknowledged() {
    for seed in 0..6 {
        let mut dice = Dice::new(seed + 1);
        let is_large = seed % 2 == 0; // so that there is a journal
        let Some(mount) = Mount::new(if is_large { "80m" } else { "6m" }) else { return };
        let dir = mount.path().join("cache");
        let open = || {
            let builder = Cache::builder().journal(true).codec(uncoded("none"));
            if seed % 3 == 0 { with_key(builder) } else { builder }.open(&dir)
        };
        let mut cache = open().unwrap();
        let mut known = std::collections::HashMap::new();
        let size = [10, 1_000, 8_000][seed as usize % 3];
        for step in 0..1_500 {
            let key = dice.below(1_000);
            let name = format!("{key}");
            match dice.below(1_000) {
                0..550 => {
                    let size = dice.below(size) as usize;
                    match cache.set(name.as_str(), &telling(key, step, size)) {
                        Ok(()) => drop(known.insert(key, step)),
                        Err(why) => {
                            assert_eq!(why.code(), Code::StorageFull, "{why:?}");
                            assert_eq!(
                                held(&cache, key),
                                known.get(&key).copied(),
                                "what is refused is not there"
                            );
                        }
                    }
                }
                550..700 => assert_eq!(held(&cache, key), known.get(&key).copied()),
                700..985 => {
                    let gone = cache.delete(name.as_str());
                    assert_eq!(gone.unwrap(), known.remove(&key).is_some(), "{key} in step {step} of {seed}");
                }
                985..988 if mount.free() > 2 << 20 => {
                    cache.len().unwrap(); // as above
                    mount.take_all();
                }
                985..988 => {}
                988..991 => mount.leave(),
                991..998 => assert_eq!(cache.stats().unwrap().entries, known.len() as u64),
                998 => {
                    cache.clear().unwrap();
                    known.clear();
                }
                _ => {
                    drop(cache);
                    cache = open().unwrap();
                }
            }
        }
        assert_eq!(cache.len().unwrap(), known.len() as u64);
        for (key, step) in &known {
            assert_eq!(held(&cache, *key), Some(*step));
            assert!(cache.delete(format!("{key}")).unwrap());
        }
        assert_eq!(cache.len().unwrap(), 0);
        mount.leave();
        cache.set("k", b"v").unwrap();
        cache.close().unwrap();
    }
}

#[test]
fn a_cache_on_a_disk_without_a_free_block_is_opened_read_and_emptied() {
    for journal in [true, false] {
        let Some(mount) = Mount::new("80m") else { return };
        let dir = mount.path().join("cache");
        let open = || Cache::builder().journal(journal).codec(uncoded("none")).open(&dir);
        let cache = open().unwrap();
        let size = |key| if key % 5 == 0 { 40_000 } else { 500 };
        for key in 0..100 {
            cache.set(format!("{key}"), &telling(key, 1, size(key))).unwrap();
        }
        cache.close().unwrap();
        mount.take_all();
        for opened in 0..3 {
            let cache = open().unwrap_or_else(|why| panic!("opened {opened} times, then {why:?}"));
            assert!((0..100).all(|key| held(&cache, key) == Some(1)));
            assert_eq!((cache.len().unwrap(), cache.stats().unwrap().entries), (100, 100));
            drop(cache); // the index of the log goes with the last handle
            mount.take_all();
        }
        let cache = open().unwrap();
        for key in 0..100 {
            assert!(cache.delete(format!("{key}")).unwrap(), "{key}");
        }
        cache.set("k", b"v").unwrap();
        cache.close().unwrap();
        assert_eq!(open().unwrap().len().unwrap(), 1);
    }
}

/// One deletes what it has set; another fills what that gives; a third reads, and writes down what was read.
fn beside_each_other(deleting: &Cache, filling: &Cache, reading: &Cache) {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| {
            let (mut key, mut refused) = (10_000, 0);
            while !is_done.load(Ordering::Relaxed) {
                match filling.set(format!("{key}"), &telling(key, 1, 2_000)) {
                    Ok(()) => key += 1,
                    Err(why) => {
                        assert_eq!(why.code(), Code::StorageFull, "{why:?}");
                        refused += 1;
                    }
                }
            }
            (key, refused)
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                assert!((0..50).all(|key| held(reading, key).is_none_or(|version| version == 1)));
                match reading.flush() {
                    Err(why) if why.code() != Code::StorageFull => panic!("{why:?}"),
                    _ => {}
                }
            }
        });
        let outcomes: Vec<_> = (0..300).map(|key| (key, deleting.delete(format!("{key}")))).collect();
        is_done.store(true, Ordering::Relaxed);
        let (end, refused) = filling.join().unwrap();
        println!("{} set, {refused} refused", end - 10_000);
        for (key, gone) in outcomes {
            assert!(gone.as_ref().is_ok_and(|gone| *gone), "{key}: {gone:?}");
        }
        assert!((10_000..end).all(|key| held(deleting, key) == Some(1)));
    });
}

fn filled(mount: &Mount) -> Cache {
    let cache = Cache::builder().codec(uncoded("none")).open(mount.path().join("cache")).unwrap();
    assert!(fill(&cache, 2_000).0 > 300);
    cache
}

#[test]
fn a_thread_that_deletes_on_a_full_disk_is_kept_from_it_by_none_that_fills_it() {
    let Some(mount) = Mount::new("6m") else { return };
    let cache = filled(&mount);
    beside_each_other(&cache, &cache, &cache);
}

#[test]
fn a_handle_that_deletes_on_a_full_disk_is_kept_from_it_by_none_that_fills_it() {
    let Some(mount) = Mount::new("6m") else { return };
    let cache = filled(&mount);
    let [filling, reading] = [(); 2].map(|()| open(cache.dir()));
    beside_each_other(&cache, &filling, &reading);
}

//! Tags, descriptions and metadata: kept with their entry, gone with it, found by their tags.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{database, noise, open, temp, uncoded};
use tierce::{Cache, Code, Entry, Extras, ManualClock, SetOptions, SetWrite, Wait, Write};

fn tagged<'a>(tags: &'a [&'a str]) -> SetOptions<'a> {
    SetOptions { tags, ..SetOptions::default() }
}

/// Rows of the side tables.
fn beside(dir: &std::path::Path) -> (i64, i64) {
    let count = |sql| database(dir).query_row(sql, [], |row| row.get(0)).unwrap();
    (count("SELECT count(*) FROM extras"), count("SELECT count(*) FROM tags"))
}

fn set<'a>(key: &'a str, value: &'a [u8], tags: &[&'a str]) -> Write<'a> {
    Write::Set(SetWrite {
        extras: Some(Extras { tags: tags.iter().map(|tag| (*tag).into()).collect(), ..Extras::default() }),
        ..SetWrite::new(key, value)
    })
}

#[test]
fn an_entry_comes_back_with_its_tags_and_description_also_after_reopening() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let large = noise(1, 100_000); // in a file
    let options =
        SetOptions { tags: &["users", "ünïcode"], description: Some("who"), ..Default::default() };
    let cache = open(&dir);
    cache.set_with("small", b"v", &options).unwrap();
    cache.set_with("large", &large, &options).unwrap();
    cache.set("plain", b"v").unwrap();
    cache.close().unwrap();
    let cache = open(&dir);
    for (key, value) in [("small", &b"v"[..]), ("large", &large)] {
        let Entry { value: found, extras, meta, .. } = cache.entry(key).unwrap().unwrap();
        assert_eq!(found, value);
        assert_eq!((extras.tags.len(), extras.description.as_deref()), (2, Some("who")));
        assert!(meta.has_extras);
    }
    let plain = cache.entry("plain").unwrap().unwrap();
    assert!(plain.extras.is_empty() && !plain.meta.has_extras);
    assert_eq!(beside(&dir), (2, 4));
}

#[test]
fn whatever_removes_an_entry_removes_what_it_carries() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    let (one, two) = (tagged(&["a", "b"]), tagged(&["b"]));
    cache.set_with("deleted", b"v", &one).unwrap();
    cache.delete("deleted").unwrap();
    cache.set_with("replaced", b"v", &one).unwrap();
    cache.set("replaced", b"w").unwrap();
    assert_eq!(cache.len().unwrap(), 1); // moves it out of the journal
    assert_eq!(beside(&dir), (0, 0));
    cache.set_with("retagged", b"v", &one).unwrap();
    cache.set_with("retagged", b"v", &two).unwrap();
    assert_eq!(beside(&dir), (1, 1));
    cache.set_with("cleared", b"v", &two).unwrap();
    cache.clear().unwrap();
    assert_eq!(beside(&dir), (0, 0));
}

#[test]
fn a_victim_leaves_nothing_behind_and_what_it_carries_counts() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = Cache::builder().max_size(1 << 20).codec(uncoded("none")).open(&dir).unwrap();
    let description = "d".repeat(20_000);
    let options = SetOptions { tags: &["t"], description: Some(&description), ..Default::default() };
    for i in 0..2000 {
        cache.set_with(format!("key {i}").as_str(), b"v", &options).unwrap();
    }
    let stats = cache.stats().unwrap();
    assert!(stats.entries < 700, "{} entries of 20 kB", stats.entries);
    assert_eq!(beside(&dir), (stats.entries as i64, stats.entries as i64));
}

#[test]
fn invalidation_takes_the_tagged_entries_and_no_others() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    let large = noise(2, 100_000);
    cache.set_with("a", b"v", &tagged(&["x", "y"])).unwrap();
    cache.set_with("b", &large, &tagged(&["y"])).unwrap();
    cache.set_with("c", b"v", &tagged(&["z"])).unwrap();
    cache.set("d", b"v").unwrap();
    assert_eq!(cache.invalidate_tags(&["nobody's"]).unwrap(), 0);
    assert_eq!(cache.invalidate_tags(&["x", "y"]).unwrap(), 2);
    let has: Vec<bool> = ["a", "b", "c", "d"].iter().map(|key| cache.has(*key).unwrap()).collect();
    assert_eq!(has, [false, false, true, true]);
    assert_eq!(beside(&dir), (1, 1));
    common::assert_settled_files(&dir, 0);
}

#[test]
fn an_expired_entry_is_removed_by_its_tag_and_not_counted() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(1_000));
    let cache = Cache::builder().clock(clock.clone()).open(temp.path().join("cache")).unwrap();
    let ttl = Some(Duration::from_millis(10));
    cache.set_with("a", b"v", &SetOptions { ttl, tags: &["t"], ..Default::default() }).unwrap();
    clock.set(2_000);
    assert_eq!(cache.invalidate_tags(&["t"]).unwrap(), 0);
    assert_eq!(cache.len().unwrap(), 0);
}

#[test]
fn memory_tiers_elsewhere_see_an_invalidation() {
    let temp = temp();
    let (here, there) = (open(&temp.path().join("cache")), open(&temp.path().join("cache")));
    here.set_with("a", b"v", &tagged(&["t"])).unwrap();
    let meta = there.entry("a").unwrap().unwrap().meta;
    assert_eq!(there.epochs().load(meta.slot), meta.epoch);
    here.invalidate_tags(&["t"]).unwrap();
    assert_ne!(there.epochs().load(meta.slot), meta.epoch);
}

#[test]
fn what_a_batch_sets_and_invalidates_may_not_be_kept_in_memory() {
    let temp = temp();
    let cache = open(&temp.path().join("cache"));
    let writes = [set("a", b"v", &["t"]), Write::InvalidateTags { tags: vec!["t"] }, set("b", b"v", &["t"])];
    let written = cache.apply(&writes, Wait::No).unwrap();
    assert_eq!((written[0].epoch, written[1].invalidated), (None, 1));
    assert!(written[2].epoch.is_some() && !cache.has("a").unwrap() && cache.has("b").unwrap());
}

#[test]
fn many_tagged_entries_take_a_thread_that_may_wait() {
    let temp = temp();
    let cache = open(&temp.path().join("cache"));
    let keys: Vec<String> = (0..1000).map(|i| format!("key {i}")).collect();
    let writes: Vec<_> = keys.iter().map(|key| set(key, b"v", &["t"])).collect();
    cache.apply(&writes, Wait::Yes).unwrap();
    let all = [Write::InvalidateTags { tags: vec!["t"] }];
    assert_eq!(cache.apply(&all, Wait::No).unwrap_err().code(), Code::LockTimeout);
    assert_eq!(cache.len().unwrap(), 1000);
    assert_eq!(cache.apply(&all, Wait::Yes).unwrap()[0].invalidated, 1000);
    assert_eq!(beside(&temp.path().join("cache")), (0, 0));
}

#[test]
fn a_refused_tag_stores_nothing_of_its_batch() {
    let temp = temp();
    let cache = open(&temp.path().join("cache"));
    let long = "x".repeat(1025);
    for tag in ["", &long] {
        let writes = [set("good", b"v", &["t"]), set("bad", b"v", &[tag])];
        assert_eq!(cache.apply(&writes, Wait::Yes).unwrap_err().code(), Code::InvalidOption);
    }
    assert!(cache.is_empty().unwrap());
    assert_eq!(beside(&temp.path().join("cache")), (0, 0));
}

#[test]
fn an_entry_whose_tags_are_damaged_or_gone_is_a_miss_and_is_removed() {
    let temp = temp();
    let dir = temp.path().join("cache");
    for damage in
        ["DELETE FROM extras", "UPDATE extras SET body = x'00'", "UPDATE extras SET seal = seal + 1"]
    {
        let cache = open(&dir);
        cache.set_with("a", b"v", &tagged(&["t"])).unwrap();
        cache.set("b", b"v").unwrap();
        database(&dir).execute_batch(damage).unwrap();
        assert!(cache.entry("a").unwrap().is_none(), "{damage}");
        assert_eq!(cache.take_faults().len(), 1);
        assert!(!cache.has("a").unwrap() && cache.entry("b").unwrap().is_some());
        assert_eq!(beside(&dir), (0, 0), "{damage}");
    }
}

#[test]
fn a_tag_that_points_to_nothing_is_forgotten() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    database(&dir).execute_batch("INSERT INTO tags VALUES ('t', 7)").unwrap();
    assert_eq!(cache.invalidate_tags(&["t"]).unwrap(), 0);
    assert_eq!(beside(&dir), (0, 0));
}

#[test]
fn what_is_mended_keeps_its_tags() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    for i in 0..500 {
        cache.set_with(format!("key {i}").as_str(), &noise(i, 500), &tagged(&["t", "u"])).unwrap();
    }
    cache.close().unwrap();
    // A page in the middle of the file, of entries in all likelihood.
    let path = dir.join("tierce.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let cache = open(&dir);
    let kept = cache.len().unwrap();
    assert!((300..500).contains(&kept), "{kept} of 500 entries");
    for i in 0..500 {
        let entry = cache.entry(format!("key {i}").as_str()).unwrap();
        assert!(entry.is_none_or(|entry| entry.extras.tags == ["t", "u"]));
    }
    assert_eq!(beside(&dir), (kept as i64, 2 * kept as i64));
    assert_eq!(cache.invalidate_tags(&["u"]).unwrap(), kept);
    assert_eq!(beside(&dir), (0, 0));
}

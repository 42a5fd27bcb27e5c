//! Policies and the number of entries, on disk. Their model test is in `src/disk/victims/model.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Dice, ON_DISK, noise, temp, uncoded};
use tierce::policy::PolicyKind;
use tierce::{Cache, Code, Extras, Listing, ManualClock, SetWrite, Wait, Write};

fn open(dir: &Path, policy: PolicyKind, max: u64) -> Cache {
    Cache::builder().policy(policy).max(max).codec(uncoded("none")).open(dir).unwrap()
}

fn keys(cache: &Cache) -> BTreeSet<String> {
    let page = cache.page(&Listing::default()).unwrap();
    page.entries.into_iter().map(|listed| String::from_utf8(listed.key).unwrap()).collect()
}

#[test]
fn policies_that_are_for_memory_are_refused_with_the_names_of_the_others() {
    let temp = temp();
    for kind in [PolicyKind::WTinyLfu, PolicyKind::Auto] {
        let error = Cache::builder().policy(kind).open(temp.path().join("cache")).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption);
        let says = error.to_string();
        for other in ON_DISK {
            assert!(says.contains(other.name()) && says.contains(kind.name()), "{says}");
        }
    }
    let error = Cache::builder().max(0).open(temp.path().join("cache")).unwrap_err();
    assert_eq!(error.code(), Code::InvalidOption);
    assert!(!temp.path().join("cache").exists());
}

#[test]
fn a_number_of_entries_holds_for_several_handles_and_after_one_that_did_not_count() {
    let temp = temp();
    let uncounted = common::open(temp.path());
    for key in 0..300 {
        uncounted.set(key.to_string(), b"v").unwrap();
    }
    let (a, b) = (open(temp.path(), PolicyKind::Lru, 100), open(temp.path(), PolicyKind::Lru, 120));
    a.set("first", b"v").unwrap();
    assert_eq!(a.len().unwrap(), 100, "what was there before is counted");
    for key in 0..50 {
        uncounted.set(format!("more {key}"), b"v").unwrap();
        uncounted.delete(format!("more {}", key / 2)).unwrap();
    }
    b.set("second", b"v").unwrap();
    assert!(b.len().unwrap() <= 120);
    uncounted.clear().unwrap();
    for key in 0..130 {
        b.set(key.to_string(), b"v").unwrap();
        assert_eq!(b.len().unwrap(), (key + 1).min(120));
    }
    a.delete("129").unwrap();
    a.set("third", b"v").unwrap();
    assert_eq!(b.len().unwrap(), 100);
    drop((a, b, uncounted));
    // The counters go: whoever needs the number counts again.
    std::fs::remove_file(temp.path().join("tierce.epochs")).unwrap();
    let cache = open(temp.path(), PolicyKind::Lru, 90);
    cache.set("fourth", b"v").unwrap();
    assert_eq!(cache.len().unwrap(), 90);
}

#[test]
fn both_bounds_hold_under_every_policy() {
    for kind in ON_DISK {
        let temp = temp();
        let (limit, max) = (2 << 20, 700);
        let cache = Cache::builder().policy(kind).max(max).max_size(limit).codec(uncoded("none"));
        let cache = cache.open(temp.path()).unwrap();
        let mut dice = Dice::new(3);
        for step in 0..4_000 {
            let size = if step < 2_000 { 200 } else { 12_000 };
            cache.set(dice.below(3_000).to_string(), &noise(step, size)).unwrap();
            cache.get(dice.below(3_000).to_string()).unwrap();
            if step % 200 == 0 {
                let stats = cache.stats().unwrap();
                assert!(stats.entries <= max, "{kind:?}: {} entries", stats.entries);
                assert!(stats.disk_size <= limit + (8 << 20), "{kind:?}: {} bytes", stats.disk_size);
            }
        }
        assert!(cache.stats().unwrap().entries > 50, "{kind:?}");
    }
}

#[test]
fn what_has_expired_goes_before_what_the_policy_would_name() {
    for kind in ON_DISK {
        let temp = temp();
        let clock = Arc::new(ManualClock::new(1_800_000_000_000));
        let cache = Cache::builder().policy(kind).max(100).clock(clock.clone()).open(temp.path()).unwrap();
        for key in 0..50 {
            cache.set(format!("live {key}"), b"v").unwrap();
            cache.set_for(format!("short {key}"), b"v", Duration::from_secs(1)).unwrap();
        }
        clock.set(1_800_000_002_000);
        for key in 0..50 {
            cache.set(format!("new {key}"), b"v").unwrap();
        }
        let kept = keys(&cache);
        let live = kept.iter().filter(|key| key.starts_with("live")).count();
        assert!(live >= 48, "{kind:?} keeps {live} of those that live");
        assert_eq!(cache.len().unwrap(), 100);
    }
}

#[test]
fn a_policy_may_be_another_one_each_time() {
    let temp = temp();
    let mut dice = Dice::new(9);
    for (round, kind) in ON_DISK.into_iter().cycle().take(14).enumerate() {
        let cache = open(temp.path(), kind, 50);
        for _ in 0..100 {
            let key = dice.below(90).to_string();
            if dice.below(2) == 0 { cache.set(key, b"v").unwrap() } else { drop(cache.get(key).unwrap()) }
        }
        assert!(cache.len().unwrap() == 50 || round == 0, "round {round}");
        cache.close().unwrap();
    }
}

/// No invalidation finds a victim by its tags: a memory tier that kept it would give it for ever.
#[test]
fn memory_tiers_let_go_of_victims_that_had_tags() {
    for (policy, encrypted) in ON_DISK.into_iter().flat_map(|policy| [(policy, false), (policy, true)]) {
        let temp = temp();
        let mut builder = Cache::builder().policy(policy).max(30);
        if encrypted {
            builder = builder.encryption([7; 32].into());
        }
        let cache = builder.open(temp.path().join("cache")).unwrap();
        let keys: Vec<String> = (0..120).map(|number| format!("key {number}")).collect();
        let extras = || Some(Extras { tags: vec!["t".into()], ..Extras::default() });
        let mut places = Vec::new();
        for some in keys.chunks(40) {
            let writes: Vec<Write<'_>> = some
                .iter()
                .map(|key| Write::Set(SetWrite { extras: extras(), ..SetWrite::new(key.as_str(), b"v") }))
                .collect();
            places.extend(cache.apply(&writes, Wait::Yes).unwrap());
        }
        let kept = keys
            .iter()
            .zip(&places)
            .filter(|(_, place)| place.epoch.is_some_and(|epoch| cache.epochs().load(place.slot) == epoch));
        let kept: BTreeSet<String> = kept.map(|(key, _)| key.clone()).collect();
        let stored: BTreeSet<String> =
            keys.iter().filter(|key| cache.has(key.as_str()).unwrap()).cloned().collect();
        assert!(kept.is_subset(&stored), "{policy:?}: {:?}", kept.difference(&stored));
        assert!(kept.len() > 20, "{policy:?} lets go of what is there: {} of {}", kept.len(), stored.len());
    }
}

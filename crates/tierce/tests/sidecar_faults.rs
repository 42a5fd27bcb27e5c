//! A cache without a database on a disk that fails: every call that changes a file fails once, and every one from it on.
//! Each failure has its code, nothing acknowledged is lost, nothing is left on the way, and the handle works when the disk does.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;
#[path = "common/failing.rs"]
mod failing;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::{builder, encrypted, noise, temp, uncoded};
use failing::{FAULTS, arm, lift, unsynced, watch};
use tierce::{Code, Durability, Result, SidecarCache, StreamOptions, Wait, Write};

type Model = BTreeMap<u8, Vec<u8>>;

fn open(dir: &Path, durability: Durability) -> Result<SidecarCache> {
    builder().codec(uncoded("none")).max(50).durability(durability).open_sidecar(dir)
}

/// One step; the model has what is acknowledged.
fn step(cache: &SidecarCache, number: u8, model: &mut Model) -> Result<()> {
    let key = number % 5;
    let name = format!("k{key}");
    let value = noise(number.into(), if number % 7 == 5 { 270_000 } else { 5_000 });
    match number % 7 {
        0 | 1 => {
            cache.set(&name, &value)?;
            model.insert(key, value);
        }
        2 => {
            if cache.add(&name, &value)? {
                model.insert(key, value);
            }
        }
        3 => drop(cache.expire(&name, Some(Duration::from_secs(1000)))?),
        4 => {
            cache.delete(&name)?;
            model.remove(&key);
        }
        5 => {
            let mut writer = cache.write_stream(&name, StreamOptions::default());
            writer.write(&value)?;
            cache.finish_stream(writer)?;
            model.insert(key, value);
        }
        _ => {
            let names = [format!("k{key}"), format!("k{}", (key + 1) % 5)];
            cache.apply(&[Write::set(&names[0], &value), Write::set(&names[1], &value)], Wait::Yes)?;
            model.insert(key, value.clone());
            model.insert((key + 1) % 5, value);
        }
    }
    Ok(())
}

/// Each key has what was acknowledged last, or what a step that failed half-way brought, or nothing where such a step removed.
fn compare(cache: &SidecarCache, model: &Model, unsure: &[u8], what: &str) {
    for key in 0..5 {
        let found = cache.get(format!("k{key}")).unwrap();
        if !unsure.contains(&key) {
            assert!(found.as_ref() == model.get(&key), "key {key}, {what}");
        }
    }
    let faults = cache.take_faults();
    assert!(faults.iter().all(|fault| fault.code() != Code::Corrupt), "{what}: {faults:?}");
}

#[test]
fn every_call_that_fails_is_told_also_where_entries_are_encrypted() {
    encrypted(every_call_that_fails_is_told_and_leaves_nothing_wrong);
}

#[test]
fn every_call_that_fails_is_told_and_leaves_nothing_wrong() {
    for (durability, faults) in [(Durability::Process, &FAULTS[..]), (Durability::Power, &FAULTS[2..])] {
        for &fault in faults {
            let mut nth = 1;
            loop {
                let dir = temp();
                let _alone = watch(dir.path());
                let cache = open(dir.path(), durability).unwrap();
                let what = format!("{durability:?}, {fault:?}, call {nth}");
                let (mut model, mut unsure) = (Model::new(), Vec::new());
                arm(nth, fault);
                for number in 0..21 {
                    if let Err(why) = step(&cache, number, &mut model) {
                        let codes = [Code::StorageFull, Code::Unavailable];
                        assert!(codes.contains(&why.code()), "{what}: {why}");
                        // It may have taken its name before what failed; a batch may have one of its names.
                        unsure.extend([number % 5, (number % 5 + 1) % 5]);
                    } else {
                        unsure.retain(|key| *key != number % 5 || !matches!(number % 7, 0 | 1 | 4 | 5 | 6));
                    }
                }
                let failed = lift();
                compare(&cache, &model, &unsure, &what);
                for number in 0..21 {
                    step(&cache, number, &mut model)
                        .unwrap_or_else(|why| panic!("{what}, and then it works: {why}"));
                }
                cache.clear().unwrap();
                model.clear();
                for number in [0, 1, 5, 6, 7, 8] {
                    step(&cache, number, &mut model).unwrap();
                }
                compare(&cache, &model, &[], &what);
                drop(cache);
                let again = open(dir.path(), durability).unwrap();
                compare(&again, &model, &[], &what);
                let report = again.check(true).unwrap();
                assert_eq!(report.found, report.fixed, "{what}: {report:?}");
                if failed == 0 {
                    assert!(nth > 40, "the script makes {nth} calls");
                    break;
                }
                nth += if nth < 60 { 1 } else { 7 }; // the script has gone round
            }
        }
    }
}

#[test]
fn under_power_all_is_on_the_disk_before_a_write_is_acknowledged() {
    let dir = temp();
    let _alone = watch(dir.path());
    let cache = open(dir.path(), Durability::Power).unwrap();
    cache.set("a", &noise(1, 10_000)).unwrap();
    assert!(cache.add("b", b"1").unwrap() && cache.update("b", b"2").unwrap());
    assert!(cache.expire("a", Some(Duration::from_secs(1))).unwrap());
    let mut writer = cache.write_stream("s", StreamOptions::default());
    writer.write(&noise(2, 600_000)).unwrap();
    cache.finish_stream(writer).unwrap();
    cache.apply(&[Write::set("c", b"1"), Write::set("d", b"2")], Wait::Yes).unwrap();
    assert_eq!(unsynced(), 0);
    let relaxed = open(dir.path(), Durability::Process).unwrap();
    relaxed.set("a", b"1").unwrap();
    assert_eq!(unsynced(), 1, "the count sees what is not synced");
}

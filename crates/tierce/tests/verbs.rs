//! Verbs that depend on what a key holds, through the public API.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{noise, temp, uncoded, value_files};
use proptest::prelude::*;
use tierce::{Cache, Code, Key, ManualClock, Number, State, Wait, Write};

const NOW: u64 = 1_800_000_000_000;

fn open(dir: &std::path::Path) -> (Arc<ManualClock>, Cache) {
    let clock = Arc::new(ManualClock::new(NOW));
    (Arc::clone(&clock), Cache::builder().clock(clock).codec(uncoded("none")).open(dir).unwrap())
}

#[test]
fn add_and_update_look_before_they_store() {
    let temp = temp();
    let (clock, cache) = open(temp.path());
    assert!(!cache.update("k", b"1").unwrap());
    assert!(cache.add("k", b"2").unwrap());
    assert!(!cache.add("k", b"3").unwrap());
    assert_eq!(cache.get("k").unwrap().unwrap(), b"2");
    assert!(cache.update("k", b"4").unwrap());
    assert_eq!(cache.get("k").unwrap().unwrap(), b"4");
    assert!(cache.expire("k", Some(Duration::from_millis(5))).unwrap());
    clock.advance(5);
    assert!(!cache.update("k", b"5").unwrap());
    assert!(cache.add("k", b"6").unwrap());
    assert_eq!(cache.ttl("k").unwrap(), Some(Duration::MAX));
}

#[test]
fn a_refused_value_leaves_no_file() {
    let temp = temp();
    let (_, cache) = open(temp.path());
    assert!(cache.add("k", &noise(1, 100_000)).unwrap());
    for seed in 0..5 {
        assert!(!cache.add("k", &noise(seed, 100_000)).unwrap());
        assert!(!cache.update(format!("other{seed}"), &noise(seed, 100_000)).unwrap());
    }
    assert_eq!(value_files(temp.path()).len(), 1);
    assert_eq!(cache.get("k").unwrap().unwrap(), noise(1, 100_000));
    cache.close().unwrap();
    let (_, cache) = open(temp.path());
    assert_eq!(cache.get("k").unwrap().unwrap(), noise(1, 100_000));
}

#[test]
fn expire_and_ttl_and_state_agree() {
    let temp = temp();
    let (clock, cache) = open(temp.path());
    assert_eq!(cache.state("k").unwrap(), State::Missing);
    assert!(!cache.expire("k", None).unwrap());
    let file = noise(3, 50_000);
    for value in [&b"short"[..], &file] {
        cache.set("k", value).unwrap();
        assert!(cache.expire("k", Some(Duration::from_millis(100))).unwrap());
        clock.advance(40);
        assert_eq!(cache.ttl("k").unwrap(), Some(Duration::from_millis(60)));
        assert!(matches!(cache.state("k").unwrap(), State::Live(_)));
        assert_eq!(cache.get("k").unwrap().unwrap(), value);
        clock.advance(60);
        assert_eq!(cache.state("k").unwrap(), State::Expired);
        assert_eq!(cache.ttl("k").unwrap(), None);
        assert_eq!(cache.get_or_fail("k").unwrap_err().code(), Code::KeyExpired);
        assert!(!cache.expire("k", None).unwrap());
    }
    cache.delete("k").unwrap();
    assert_eq!(cache.get_or_fail("k").unwrap_err().code(), Code::KeyNotFound);
    assert_eq!(cache.expire("k", Some(Duration::ZERO)).unwrap_err().code(), Code::InvalidTtl);
}

#[test]
fn touch_counts_as_a_read() {
    let temp = temp();
    let (clock, cache) = open(temp.path());
    assert!(!cache.touch("k").unwrap());
    cache.set("k", b"v").unwrap();
    clock.advance(1_000);
    assert!(cache.touch("k").unwrap());
    let meta = cache.entry("k").unwrap().unwrap().meta;
    assert_eq!((meta.hits, meta.accessed_at), (1, NOW + 1_000));
}

#[test]
fn increments_of_threads_and_handles_are_all_counted() {
    let temp = temp();
    let (_, a) = open(temp.path());
    let (_, b) = open(temp.path());
    std::thread::scope(|scope| {
        for cache in [&a, &b, &a, &b] {
            scope.spawn(move || {
                for _ in 0..250 {
                    cache.increment("n", 1).unwrap();
                }
            });
        }
    });
    assert_eq!(a.get("n").unwrap().unwrap(), b"1000");
    assert_eq!(b.increment("n", -1_001).unwrap(), -1);
    a.set("n", &i64::MAX.to_string().into_bytes()).unwrap();
    assert_eq!(a.increment("n", 1).unwrap_err().code(), Code::InvalidOption);
    a.set("n", b"seven").unwrap();
    assert_eq!(a.increment("n", 1).unwrap_err().code(), Code::InvalidOption);
    assert_eq!(a.get("n").unwrap().unwrap(), b"seven");
}

#[test]
fn an_increment_changes_the_entry_where_it_is() {
    let temp = temp();
    let (clock, cache) = open(temp.path());
    cache.set_for("n", b"1", Duration::from_millis(100)).unwrap();
    cache.get("n").unwrap();
    clock.advance(10);
    cache.increment("n", 1).unwrap();
    let meta = cache.entry("n").unwrap().unwrap().meta;
    assert_eq!((meta.created_at, meta.expires_at, meta.hits), (NOW, Some(NOW + 100), 2));
    clock.advance(90);
    assert_eq!(cache.increment("n", 1).unwrap(), 1);
}

#[test]
fn a_batch_that_fails_a_check_changes_nothing() {
    let temp = temp();
    let (clock, cache) = open(temp.path());
    let version = |key: &str| match cache.state(key).unwrap() {
        State::Live(meta) => Some(meta.version),
        _ => None,
    };
    let store = |checked: &str, seen: Option<u64>| {
        let set = Write::set("out", b"v");
        cache.apply(&[set, Write::Check { key: Key::from(checked), version: seen }], Wait::Yes)
    };
    cache.set_for("in", b"1", Duration::from_millis(100)).unwrap();
    let seen = version("in");
    let changes: [&dyn Fn(); 5] = [
        &|| cache.set("in", b"1").unwrap(), // the same value, and another write
        &|| assert!(cache.expire("in", Some(Duration::from_millis(50))).unwrap()),
        &|| assert_eq!(cache.increment("in", 1).unwrap(), 2),
        &|| clock.advance(50),
        &|| assert!(!cache.delete("in").unwrap()),
    ];
    let mut before = seen;
    for (at, change) in changes.iter().enumerate() {
        let epoch = cache.epochs().load(Key::from("in").digest().slot(tierce::EPOCH_BITS));
        assert!(store("in", before).is_ok(), "change {at}");
        let after = cache.epochs().load(Key::from("in").digest().slot(tierce::EPOCH_BITS));
        assert_eq!(epoch, after, "a check moves no epoch");
        cache.delete("out").unwrap();
        change();
        let now = version("in");
        if now != before {
            assert_eq!(store("in", before).unwrap_err().code(), Code::Transaction, "change {at}");
            assert!(!cache.has("out").unwrap());
        }
        before = now;
    }
    assert!(before.is_none() && store("in", seen).is_err());
    assert!(store("in", None).is_ok());
}

#[test]
fn a_set_that_is_refused_moves_no_epoch() {
    let temp = temp();
    let (_, cache) = open(temp.path());
    cache.set("k", b"v").unwrap();
    let slot = Key::from("k").digest().slot(tierce::EPOCH_BITS);
    let before = cache.epochs().load(slot);
    assert!(!cache.add("k", b"w").unwrap());
    assert_eq!(cache.epochs().load(slot), before);
    cache.increment("n", 1).unwrap();
    assert!(cache.expire("k", None).unwrap());
    assert_ne!(cache.epochs().load(slot), before);
}

#[test]
fn numbers_of_other_hosts_stay_what_they_are() {
    let temp = temp();
    let (_, cache) = open(temp.path());
    let add = |by| {
        let written =
            cache.apply(&[Write::Increment { key: Key::from("n"), by, expires_at: None }], Wait::Yes);
        written.map(|written| written[0].number.unwrap())
    };
    assert_eq!(add(Number::Double(0.5)).unwrap(), Number::Double(0.5));
    assert_eq!(cache.entry("n").unwrap().unwrap().meta.kind, 6);
    assert_eq!(add(Number::Big(1)).unwrap_err().code(), Code::InvalidOption);
    assert_eq!(cache.increment("n", 1).unwrap_err().code(), Code::InvalidOption);
    assert_eq!(add(Number::Double(1.0)).unwrap(), Number::Double(1.5));
    assert_eq!(cache.get("n").unwrap().unwrap(), b"1.5");
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, i64, Option<u64>),
    Add(u8, i64),
    Update(u8, i64),
    Delete(u8),
    Expire(u8, Option<u64>),
    Increment(u8, i64),
    Advance(u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0u8..4;
    let number = || -3i64..4;
    let ttl = || proptest::option::of(1u64..6);
    let step = prop_oneof![
        3 => (key(), number(), ttl()).prop_map(|(k, v, t)| Step::Set(k, v, t)),
        3 => (key(), number()).prop_map(|(k, v)| Step::Add(k, v)),
        3 => (key(), number()).prop_map(|(k, v)| Step::Update(k, v)),
        2 => key().prop_map(Step::Delete),
        3 => (key(), ttl()).prop_map(|(k, t)| Step::Expire(k, t)),
        4 => (key(), number()).prop_map(|(k, v)| Step::Increment(k, v)),
        4 => (1u64..4).prop_map(Step::Advance),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn two_handles_do_what_a_map_does(steps in steps()) {
        let temp = temp();
        let clock = Arc::new(ManualClock::new(NOW));
        let open = || Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
        let mut caches = [open(), open()];
        let mut model: std::collections::HashMap<u8, (i64, Option<u64>)> = Default::default();
        let mut now = NOW;
        for (at, step) in steps.into_iter().enumerate() {
            let cache = &caches[at % 2];
            let text = |number: i64| number.to_string().into_bytes();
            model.retain(|_, (_, at)| at.is_none_or(|at| at > now));
            match step {
                Step::Set(k, v, ttl) => {
                    match ttl {
                        Some(ms) => cache.set_for(k.to_string(), &text(v), Duration::from_millis(ms)).unwrap(),
                        None => cache.set(k.to_string(), &text(v)).unwrap(),
                    }
                    model.insert(k, (v, ttl.map(|ms| now + ms)));
                }
                Step::Add(k, v) => {
                    prop_assert_eq!(cache.add(k.to_string(), &text(v)).unwrap(), !model.contains_key(&k));
                    model.entry(k).or_insert((v, None));
                }
                Step::Update(k, v) => {
                    prop_assert_eq!(cache.update(k.to_string(), &text(v)).unwrap(), model.contains_key(&k));
                    model.entry(k).and_modify(|entry| *entry = (v, None));
                }
                Step::Delete(k) => {
                    prop_assert_eq!(cache.delete(k.to_string()).unwrap(), model.remove(&k).is_some());
                }
                Step::Expire(k, ttl) => {
                    let done = cache.expire(k.to_string(), ttl.map(Duration::from_millis)).unwrap();
                    prop_assert_eq!(done, model.contains_key(&k));
                    model.entry(k).and_modify(|entry| entry.1 = ttl.map(|ms| now + ms));
                }
                Step::Increment(k, by) => {
                    let entry = model.entry(k).or_insert((0, None));
                    entry.0 += by;
                    prop_assert_eq!(cache.increment(k.to_string(), by).unwrap(), entry.0);
                }
                Step::Advance(ms) => {
                    clock.advance(ms);
                    now += ms;
                }
                Step::Reopen => caches[at % 2] = open(),
            }
            model.retain(|_, (_, at)| at.is_none_or(|at| at > now));
            let cache = &caches[(at + 1) % 2];
            for k in 0u8..4 {
                let expected = model.get(&k);
                prop_assert_eq!(cache.get(k.to_string()).unwrap(), expected.map(|(v, _)| text(*v)));
                let left = expected.map(|(_, at)| at.map_or(Duration::MAX, |at| Duration::from_millis(at - now)));
                prop_assert_eq!(cache.ttl(k.to_string()).unwrap(), left);
            }
        }
        prop_assert!(caches[0].take_faults().is_empty());
    }
}

#[test]
fn a_transaction_commits_all_or_nothing() {
    let temp = temp();
    let (_, cache) = open(temp.path());
    cache.set("a", b"1").unwrap();
    let result: tierce::Result<&str> = cache.transaction(0, |tx| {
        assert_eq!(tx.get("a")?.unwrap(), b"1");
        tx.set("a", b"2")?;
        assert_eq!(tx.get("a")?.unwrap(), b"2");
        assert_eq!(tx.increment("a", 5)?, 7);
        assert!(tx.delete("a")? && !tx.delete("a")? && !tx.has("a")?);
        assert_eq!(tx.increment("n", 3)?, 3);
        tx.set_for("b", &noise(1, 50_000), Duration::from_secs(1))?;
        assert!(!cache.has("n")?, "nobody else sees it yet");
        Ok("done")
    });
    assert_eq!(result.unwrap(), "done");
    assert!(!cache.has("a").unwrap() && cache.has("b").unwrap());
    assert_eq!(cache.get("n").unwrap().unwrap(), b"3");

    #[derive(Debug, PartialEq)]
    struct Mine;
    impl From<tierce::Error> for Mine {
        fn from(why: tierce::Error) -> Self {
            panic!("{why}")
        }
    }
    let failed: Result<(), Mine> = cache.transaction(5, |tx| {
        tx.set("n", b"0")?;
        Err(Mine)
    });
    assert_eq!(failed, Err(Mine));
    assert_eq!(cache.get("n").unwrap().unwrap(), b"3");
}

#[test]
fn a_transaction_sees_one_state_or_ends_with_the_conflict() {
    let temp = temp();
    let (_, cache) = open(temp.path());
    cache.set("a", b"1").unwrap();
    cache.set("b", b"1").unwrap();
    let mut seen = Vec::new();
    let outcome: tierce::Result<()> = cache.transaction(0, |tx| {
        seen.push(tx.get("a")?);
        cache.set("a", b"2")?;
        cache.set("b", b"2")?;
        seen.push(tx.get("b")?);
        Ok(())
    });
    assert_eq!(outcome.unwrap_err().code(), Code::Transaction);
    assert_eq!(seen.len(), 1);
    let mut runs = 0;
    let outcome: tierce::Result<i64> = cache.transaction(3, |tx| {
        runs += 1;
        let sum = tx.increment("a", 1)?;
        if runs < 3 {
            cache.set("a", format!("{}", 10 * runs).as_bytes())?;
        }
        Ok(sum)
    });
    assert_eq!((outcome.unwrap(), runs), (21, 3));
    assert_eq!(cache.get("a").unwrap().unwrap(), b"21");
}

#[test]
fn transactions_of_threads_and_handles_lose_nothing() {
    let temp = temp();
    let (_, a) = open(temp.path());
    let (_, b) = open(temp.path());
    a.set("from", b"400").unwrap();
    std::thread::scope(|scope| {
        for cache in [&a, &b, &a, &b] {
            scope.spawn(move || {
                for _ in 0..50 {
                    let moved: tierce::Result<()> = cache.transaction(u32::MAX, |tx| {
                        let from = tx.increment("from", -1)?;
                        let to = tx.increment("to", 1)?;
                        assert_eq!(from + to, 400, "two states at once");
                        Ok(())
                    });
                    moved.unwrap();
                }
            });
        }
    });
    assert_eq!(a.get("from").unwrap().unwrap(), b"200");
    assert_eq!(b.get("to").unwrap().unwrap(), b"200");
}

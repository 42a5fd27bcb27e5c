//! The disk tier through its public API.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tierce::{Cache, Code, CodecChoice, Fetched, Key, Listing, ManualClock, SetWrite, Wait, Write};

const NOW: u64 = 1_800_000_000_000;

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &Path) -> Cache {
    Cache::builder().open(dir).unwrap()
}

/// Bytes that do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2).wrapping_add(1);
    std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    })
    .take(len)
    .collect()
}

#[test]
fn what_goes_in_comes_out_after_reopening_inline_and_in_files() {
    let temp = temp();
    let sizes = [0, 1, 100, 1_000, 32_768, 32_769, 100_000, 3_000_000];
    let cache = open(temp.path());
    for size in sizes {
        cache.set(format!("noise:{size}"), &noise(size as u64, size)).unwrap();
        cache.set(format!("zeros:{size}"), &vec![0; size]).unwrap();
    }
    cache.close().unwrap();
    let cache = open(temp.path());
    for size in sizes {
        assert_eq!(cache.get(format!("noise:{size}")).unwrap().unwrap(), noise(size as u64, size));
        assert_eq!(cache.get(format!("zeros:{size}")).unwrap().unwrap(), vec![0; size]);
    }
    assert_eq!(cache.len().unwrap(), 2 * sizes.len() as u64);
    assert!(cache.take_faults().is_empty());
}

#[test]
fn a_set_replaces_value_time_to_live_and_file() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    cache.set_for("k", &noise(1, 50_000), Duration::from_secs(1)).unwrap();
    cache.set("k", b"short").unwrap();
    clock.advance(5_000);
    assert_eq!(cache.get("k").unwrap().unwrap(), b"short");
    assert_eq!(cache.len().unwrap(), 1); // moves the short value out of the journal
    assert_eq!(value_files(temp.path()), 0, "the replaced file is unlinked");
    cache.set("k", &noise(2, 60_000)).unwrap();
    assert_eq!(value_files(temp.path()), 1);
    assert!(cache.delete("k").unwrap());
    assert!(!cache.delete("k").unwrap());
    assert_eq!((value_files(temp.path()), cache.len().unwrap()), (0, 0));
}

fn value_files(dir: &Path) -> usize {
    walk(&dir.join("values")).len()
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}

#[test]
fn an_entry_lives_exactly_as_long_as_it_was_told() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let cache =
        Cache::builder().clock(clock.clone()).ttl(Duration::from_millis(1_500)).open(temp.path()).unwrap();
    cache.set("default", b"1").unwrap();
    cache.set_for("own", b"2", Duration::from_millis(500)).unwrap();
    clock.advance(499);
    assert!(cache.has("own").unwrap() && cache.has("default").unwrap());
    clock.advance(1);
    assert_eq!(cache.get("own").unwrap(), None);
    assert!(!cache.delete("own").unwrap(), "an expired entry is not there to be deleted");
    clock.advance(999);
    assert!(cache.has("default").unwrap());
    clock.advance(1);
    assert!(!cache.has("default").unwrap());
    let error = cache.set_for("k", b"", Duration::ZERO).unwrap_err();
    assert_eq!(error.code(), Code::InvalidTtl);
}

#[test]
fn a_clock_that_was_set_back_does_not_make_new_entries_the_first_to_go() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let bounded = || {
        Cache::builder()
            .max_size(1 << 20)
            .codec(CodecChoice::named("none", None).unwrap())
            .clock(clock.clone())
    };
    let cache = bounded().open(temp.path()).unwrap();
    for n in 0..10 {
        cache.set(format!("old:{n}"), &noise(n, 90_000)).unwrap();
    }
    cache.close().unwrap();
    clock.set(NOW - 86_400_000);
    let cache = bounded().open(temp.path()).unwrap();
    for n in 0..5 {
        cache.set(format!("new:{n}"), &noise(n, 90_000)).unwrap();
    }
    for n in 0..5 {
        assert!(cache.has(format!("new:{n}")).unwrap(), "new:{n} was evicted before older ones");
    }
    assert!(!cache.has("old:0").unwrap());
}

/// The bound is kept by evicting the least recently used, exactly: a model decides what must be left.
#[test]
fn the_least_recently_used_go_first_and_reads_count() {
    for size in [300usize, 40_000] {
        let temp = temp();
        let clock = Arc::new(ManualClock::new(NOW));
        let cache = Cache::builder()
            .max_size(2 << 20)
            .codec(CodecChoice::named("none", None).unwrap())
            .clock(clock.clone())
            .open(temp.path())
            .unwrap();
        let mut order: Vec<u64> = Vec::new(); // least recently used first
        let mut x = 7u64;
        for step in 0..(40_000_000 / size as u64).min(12_000) {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (x >> 33) % 12_000;
            if (x >> 20) & 3 == 0 && !order.is_empty() {
                let known = order[(x >> 40) as usize % order.len()];
                if cache.get(format!("{known}")).unwrap().is_some() {
                    order.retain(|key| *key != known);
                    order.push(known);
                }
            } else {
                cache.set(format!("{key}"), &noise(key, size)).unwrap();
                order.retain(|known| *known != key);
                order.push(key);
            }
            if step % 1_000 == 999 {
                clock.advance(1);
                let left = order.iter().position(|key| cache.has(format!("{key}")).unwrap()).unwrap();
                for key in &order[left..] {
                    assert!(
                        cache.has(format!("{key}")).unwrap(),
                        "{key} went before an older one, at step {step}"
                    );
                }
                order.drain(..left);
            }
        }
        let used = cache.stats().unwrap().disk_size;
        assert!(used <= (2 << 20) + (8 << 20), "{used} bytes in use");
        assert!(used >= 1 << 20, "only {used} bytes of 2 MiB are used: too much was evicted");
        assert!(order.len() as u64 * size as u64 > 1 << 20, "{} entries are left", order.len());
    }
}

#[test]
fn overwriting_one_key_evicts_no_other() {
    let temp = temp();
    let cache = Cache::builder()
        .max_size(1 << 20)
        .codec(CodecChoice::named("none", None).unwrap())
        .open(temp.path())
        .unwrap();
    for n in 0..200 {
        cache.set(format!("other:{n}"), &noise(n, 2_000)).unwrap();
    }
    for n in 0..3_000 {
        cache.set("same", &noise(n, 3_000)).unwrap();
    }
    for n in 0..200 {
        assert!(cache.has(format!("other:{n}")).unwrap(), "other:{n} was evicted by overwrites of one key");
    }
}

#[test]
fn a_value_over_the_bound_is_refused_and_nothing_else_is_lost() {
    let temp = temp();
    let cache = Cache::builder().max_size(1 << 20).open(temp.path()).unwrap();
    cache.set("small", b"kept").unwrap();
    let error = cache.set("huge", &noise(1, 2 << 20)).unwrap_err();
    assert_eq!(error.code(), Code::ValueTooLarge);
    assert_eq!(cache.get("small").unwrap().unwrap(), b"kept");
    assert_eq!(cache.get("huge").unwrap(), None);
    let error = Cache::builder().max_size(1000).open(temp.path()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidOption);
}

#[test]
fn two_handles_on_one_directory_see_each_other_at_once() {
    let temp = temp();
    let (a, b) = (open(temp.path()), open(temp.path()));
    let slot = Key::from("k").digest().slot(tierce::EPOCH_BITS);
    for n in 0..200u32 {
        let (writer, reader) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let before = reader.epochs().load(slot);
        let value = noise(u64::from(n), if n % 3 == 0 { 40_000 } else { 50 });
        writer.set("k", &value).unwrap();
        assert_ne!(reader.epochs().load(slot), before);
        assert_eq!(reader.get("k").unwrap().unwrap(), value);
    }
    a.clear().unwrap();
    assert_eq!(b.get("k").unwrap(), None);
    assert_eq!(value_files(temp.path()), 0);
}

#[test]
fn a_batch_is_stored_whole_and_tells_what_became_of_each_write() {
    let temp = temp();
    let cache = open(temp.path());
    cache.set("gone", b"x").unwrap();
    let big = noise(1, 40_000);
    let set = |key: &'static str, value| Write::Set(SetWrite { kind: 3, ..SetWrite::new(key, value) });
    let written = cache
        .apply(
            &[
                set("a", b"1"),
                set("b", &big),
                Write::Delete { key: Key::from("gone") },
                Write::Delete { key: Key::from("never") },
                set("a", b"2"),
            ],
            Wait::Yes,
        )
        .unwrap();
    assert_eq!(written.iter().map(|one| one.existed).collect::<Vec<_>>(), [false, false, true, false, false]);
    assert_eq!(written[4].epoch, Some(cache.epochs().load(written[4].slot)));
    let found = cache.get_many(&[Key::from("b"), Key::from("gone"), Key::from("a")]).unwrap();
    assert_eq!(found[0].as_ref().unwrap().value, big);
    assert!(found[1].is_none());
    assert_eq!(
        (found[2].as_ref().unwrap().value.as_slice(), found[2].as_ref().unwrap().meta.kind),
        (&b"2"[..], 3)
    );
    let refused = cache.apply(&[set("c", &big)], Wait::No).unwrap_err();
    assert_eq!(refused.code(), Code::LockTimeout, "a file is not written on a thread that must not block");
}

#[test]
fn a_fetch_fills_the_callers_buffer_or_says_why_not() {
    let temp = temp();
    let cache = open(temp.path());
    cache.set("small", b"abc").unwrap();
    cache.set("large", &noise(1, 50_000)).unwrap();
    let mut buffer = [0; 1000];
    assert!(
        matches!(cache.fetch_into(&Key::from("small"), &mut buffer, false, false).unwrap(), Fetched::Filled(meta) if meta.size == 3)
    );
    assert_eq!(&buffer[..3], b"abc");
    assert!(matches!(
        cache.fetch_into(&Key::from("large"), &mut buffer, false, false).unwrap(),
        Fetched::TooLarge(_)
    ));
    assert!(matches!(
        cache.fetch_into(&Key::from("none"), &mut buffer, false, false).unwrap(),
        Fetched::Miss
    ));
    let stats = cache.stats().unwrap();
    assert_eq!((stats.entries, stats.size, stats.hits, stats.misses), (2, 50_003, 1, 1));
}

#[test]
fn a_held_snapshot_hides_no_write_that_was_acknowledged() {
    let temp = temp();
    let (reader, writer) = (open(temp.path()), open(temp.path()));
    let mut buffer = [0; 1000];
    let mut held =
        |key: &'static str| match reader.fetch_into(&Key::from(key), &mut buffer, true, false).unwrap() {
            Fetched::Filled(meta) => buffer[0] + meta.size as u8 - 1,
            _ => 0,
        };
    for version in 1..100u8 {
        let by = if version % 3 == 0 { &reader } else { &writer };
        by.set("k", &[version]).unwrap();
        assert_eq!((held("k"), held("other")), (version, 0));
    }
    writer.delete("k").unwrap();
    assert_eq!(held("k"), 0);
    writer.set("k", &[7]).unwrap();
    assert_eq!(held("k"), 7);
    writer.clear().unwrap();
    assert_eq!((held("k"), reader.len().unwrap()), (0, 0));
    reader.release().unwrap();
}

#[test]
fn accesses_are_counted_and_survive_a_close() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    cache.set("k", b"v").unwrap();
    clock.advance(10);
    for _ in 0..3 {
        cache.get("k").unwrap();
    }
    assert_eq!(cache.entry("k").unwrap().unwrap().meta.hits, 3);
    cache.close().unwrap();
    let cache = open(temp.path());
    let meta = cache.entry("k").unwrap().unwrap().meta;
    assert_eq!((meta.hits, meta.accessed_at, meta.created_at), (4, NOW + 10, NOW));
}

#[test]
fn pages_of_keys_give_every_live_entry_once() {
    let temp = temp();
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = Cache::builder().clock(clock.clone()).open(temp.path()).unwrap();
    for n in 0..250 {
        cache.set(format!("key:{n}"), b"v").unwrap();
    }
    cache.set_for("expired", b"v", Duration::from_millis(1)).unwrap();
    cache.set("x".repeat(5_000), b"long").unwrap();
    clock.advance(1);
    let mut seen = HashMap::new();
    let mut after = i64::MIN;
    loop {
        let page = cache.page(&Listing { after, limit: 100, ..Listing::default() }).unwrap();
        for listed in page.entries {
            *seen.entry(listed.key).or_insert(0) += 1;
        }
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(seen.len(), 251);
    assert!(seen.values().all(|times| *times == 1) && seen.contains_key(&b"key:7"[..]));
    assert!(!seen.contains_key(&b"expired"[..]));
    let long = seen.keys().find(|key| key.starts_with(b"\0#")).unwrap();
    assert_eq!(cache.get(Key::from_text(long.clone())).unwrap().unwrap(), b"long");
}

#[test]
fn one_thread_loads_and_the_others_wait_for_it() {
    let temp = temp();
    let cache = open(temp.path());
    let loads = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let value = cache.get_or_set("k", || {
                    loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    Ok::<_, Code>(b"loaded".to_vec())
                });
                assert_eq!(value.unwrap(), b"loaded");
            });
        }
    });
    assert_eq!(loads.into_inner(), 1);
    assert_eq!(
        cache.get_or_set("bad", || Err(Code::Internal)),
        Err(Code::Internal),
        "the loader's error passes through"
    );
    assert_eq!(cache.get("bad").unwrap(), None);
}

#[test]
fn the_log_stays_short_under_a_steady_stream_of_writes() {
    let temp = temp();
    let cache = open(temp.path());
    let mut longest = 0;
    for n in 0..20_000u64 {
        cache.set(format!("{}", n % 500), &noise(n, 2_000)).unwrap();
        longest = longest.max(std::fs::metadata(temp.path().join("tierce.db-wal")).unwrap().len());
    }
    assert!(longest < 64 << 20, "the log grew to {longest} bytes");
    assert!(cache.take_faults().is_empty());
}

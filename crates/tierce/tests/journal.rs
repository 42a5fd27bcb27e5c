//! The journal in front of the database: what is in it is there for everybody, once, and in order, whoever is killed when.
#![cfg(unix)] // elsewhere nothing is added to a journal
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::{Dice, copy, keep_database, telling, temp, version_in};
use proptest::prelude::*;
use tierce::{Cache, Code};

const JOURNAL: &str = "tierce.journal";
/// Where the positions of the journal's file are.
const HEAD_AT: usize = 64;
const TAIL_AT: usize = 128;

fn open(dir: &Path) -> Cache {
    common::builder().journal(true).open(dir).unwrap()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// What a word of the journal's file says: its low bits are a check.
fn position(bytes: &[u8], at: usize) -> u64 {
    (word(bytes, at) >> 12) * 8
}

fn pending(dir: &Path) -> u64 {
    let bytes = fs::read(dir.join(JOURNAL)).unwrap();
    position(&bytes, TAIL_AT) - position(&bytes, HEAD_AT)
}

fn set(cache: &Cache, key: u64, version: u64, len: usize) {
    cache.set(format!("{key}"), &telling(key, version, len)).unwrap();
}

fn version(cache: &Cache, key: u64) -> Option<u64> {
    cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value))
}

/// A copy of a directory in use, as a kill of all processes at this moment would leave it.
fn image(dir: &Path) -> tempfile::TempDir {
    let image = temp();
    copy(dir, image.path());
    image
}

#[test]
fn a_set_is_there_for_every_handle_before_it_is_in_the_database() {
    let temp = temp();
    let (a, b) = (open(temp.path()), open(temp.path()));
    set(&a, 1, 1, 10);
    a.len().unwrap();
    let keeper = keep_database(temp.path());
    for round in 2..50 {
        set(if round % 2 == 0 { &a } else { &b }, 1, round, 100);
        assert_eq!((version(&a, 1), version(&b, 1)), (Some(round), Some(round)));
        assert!(a.has("1").unwrap());
    }
    assert!(pending(temp.path()) > 0);
    let rows: i64 = keeper.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    drop(keeper);
    assert_eq!((a.len().unwrap(), b.len().unwrap()), (1, 1));
    assert_eq!(pending(temp.path()), 0);
    assert_eq!(version(&b, 1), Some(49));
}

#[test]
fn whoever_is_killed_leaves_what_was_set_to_the_next_open() {
    let temp = temp();
    let cache = open(temp.path());
    set(&cache, 0, 1, 10);
    cache.len().unwrap();
    let keeper = keep_database(temp.path());
    for key in 0..200 {
        set(&cache, key, 2, [10, 900, 9_000][key as usize % 3]);
    }
    let image = image(temp.path());
    drop(keeper);
    assert!(pending(image.path()) > 0);
    let heir = open(image.path());
    assert_eq!(pending(image.path()), 0, "an open applies what is pending");
    assert_eq!(heir.len().unwrap(), 200);
    for key in 0..200 {
        assert_eq!(version(&heir, key), Some(2));
    }
    assert!(heir.take_faults().is_empty());
    assert!(heir.check(false).unwrap().problems.is_empty());
}

#[test]
fn another_handle_begins_no_other_life_of_a_sound_journal() {
    let temp = temp();
    let life = || fs::read(temp.path().join(JOURNAL)).unwrap()[24..40].to_vec(); // and the start of the machine
    let first = open(temp.path());
    set(&first, 1, 1, 10);
    let began = life();
    for others in
        [0, 1].map(|_| [open(temp.path()), Cache::builder().journal(false).open(temp.path()).unwrap()])
    {
        for cache in others.iter().chain([&first]) {
            set(cache, 1, 2, 10);
            cache.delete("1").unwrap();
        }
    }
    assert_eq!(life(), began);
    drop(first);
    set(&open(temp.path()), 1, 3, 10);
    assert_eq!(life(), began);
}

/// A kill behind the commit of what was applied, and before the journal's head moved.
#[test]
fn what_was_applied_before_a_kill_is_never_applied_again() {
    let temp = temp();
    let cache = open(temp.path());
    set(&cache, 0, 1, 10);
    cache.len().unwrap();
    let keeper = keep_database(temp.path());
    for key in 0..20 {
        set(&cache, key, 2, 100);
    }
    let before = fs::read(temp.path().join(JOURNAL)).unwrap();
    drop(keeper);
    cache.len().unwrap();
    let moved = image(temp.path());
    fs::write(moved.path().join(JOURNAL), &before).unwrap();
    let heir = open(moved.path());
    assert_eq!((heir.len().unwrap(), pending(moved.path())), (20, 0), "the head moves on");
    assert!(heir.take_faults().is_empty());
    for key in 0..10 {
        assert!(cache.delete(format!("{key}")).unwrap());
    }
    drop(cache);
    let after = image(temp.path());
    fs::write(after.path().join(JOURNAL), &before).unwrap();
    let cache = open(after.path());
    for key in 0..20 {
        assert_eq!(version(&cache, key), (key >= 10).then_some(2));
    }
    assert_eq!(cache.len().unwrap(), 10);
    // And what is set from now on is behind what was applied.
    for key in 0..20 {
        set(&cache, key, 3, 100);
    }
    drop(cache);
    let cache = open(after.path());
    assert!((0..20).all(|key| version(&cache, key) == Some(3)));
}

#[test]
fn a_journal_that_is_missing_or_of_another_directory_brings_nothing_back() {
    let (temp, other) = (temp(), temp());
    let cache = open(temp.path());
    for round in 0..50 {
        set(&cache, round % 5, round, 1_000);
    }
    cache.close().unwrap();
    let stranger = open(other.path());
    set(&stranger, 1, 1_000, 10);
    stranger.close().unwrap();
    fs::copy(other.path().join(JOURNAL), temp.path().join(JOURNAL)).unwrap();
    for _ in 0..2 {
        let cache = open(temp.path());
        for key in 0..5 {
            assert_eq!(version(&cache, key), Some(45 + key));
        }
        set(&cache, 7, 1, 10);
        drop(cache);
        let cache = open(temp.path());
        assert_eq!(version(&cache, 7), Some(1));
        cache.close().unwrap();
        fs::remove_file(temp.path().join(JOURNAL)).unwrap();
    }
}

#[test]
fn a_batch_is_there_as_a_whole_or_not_at_all() {
    let temp = temp();
    let cache = open(temp.path());
    set(&cache, 0, 1, 10);
    cache.len().unwrap();
    let keeper = keep_database(temp.path());
    let batch = |version: u64| -> Vec<_> { (0..20).map(|key| (key, telling(key, version, 500))).collect() };
    let apply = |version| {
        let batch = batch(version);
        let writes: Vec<_> = batch
            .iter()
            .map(|(key, value)| tierce::Write::Set(tierce::SetWrite::new(format!("{key}"), value)))
            .collect();
        cache.apply(&writes, tierce::Wait::Yes).unwrap();
    };
    apply(1);
    apply(2);
    let image = image(temp.path());
    drop(keeper);
    let path = image.path().join(JOURNAL);
    let sound = fs::read(&path).unwrap();
    // Torn anywhere: the second batch is there or is not.
    let (head, tail) = (position(&sound, HEAD_AT) as usize, position(&sound, TAIL_AT) as usize);
    let middle = (head + tail) / 2 + 200;
    for at in (middle..tail).step_by(997) {
        let torn = self::image(image.path());
        let mut bytes = sound.clone();
        bytes[4096 + at] ^= 0xff;
        fs::write(torn.path().join(JOURNAL), bytes).unwrap();
        let cache = open(torn.path());
        assert!((0..20).all(|key| version(&cache, key) == Some(1)), "byte {at}");
        assert_eq!(cache.take_faults().len(), 1, "what is lost is said");
    }
}

#[test]
fn more_than_fits_goes_into_the_database_while_it_is_written() {
    let temp = temp();
    let handles = [open(temp.path()), open(temp.path())];
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let cache = &handles[thread as usize % 2];
            scope.spawn(move || {
                for n in 0..3_000 {
                    set(cache, thread * 10_000 + n % 1_500, n, 900);
                    if n % 100 == 7 {
                        assert_eq!(version(cache, thread * 10_000 + n % 1_500), Some(n));
                    }
                }
            });
        }
    });
    for thread in 0..4_u64 {
        for n in 0..1_500 {
            assert_eq!(version(&handles[(thread as usize + 1) % 2], thread * 10_000 + n), Some(n + 1_500));
        }
    }
    assert_eq!(handles[0].len().unwrap(), 6_000);
    assert!(handles[0].check(false).unwrap().problems.is_empty());
}

#[test]
fn whatever_byte_of_the_journal_is_damaged_no_value_is_wrong_and_it_works_on() {
    let temp = temp();
    let cache = open(temp.path());
    set(&cache, 0, 1, 10);
    cache.len().unwrap();
    let keeper = keep_database(temp.path());
    for key in 0..40 {
        set(&cache, key, 1, 300);
    }
    let image = image(temp.path());
    drop(keeper);
    let sound = fs::read(image.path().join(JOURNAL)).unwrap();
    let end = 4096 + position(&sound, TAIL_AT);
    let mut dice = Dice::new(5);
    for round in 0..160_u64 {
        let damaged = self::image(image.path());
        let mut bytes = sound.clone();
        let at = match round {
            0..24 => round as usize,
            24..48 => HEAD_AT + round as usize - 24,
            48..72 => TAIL_AT + round as usize - 48,
            _ => 4096 + dice.below(end - 4096) as usize,
        };
        bytes[at] ^= 1 << dice.below(8);
        if round % 10 == 9 {
            bytes[at..][..8].copy_from_slice(&dice.roll().to_le_bytes());
        }
        fs::write(damaged.path().join(JOURNAL), bytes).unwrap();
        let cache = open(damaged.path());
        for key in 0..40 {
            assert!(version(&cache, key).is_none_or(|version| version == 1), "byte {at}");
            set(&cache, key, 2, 100);
            assert_eq!(version(&cache, key), Some(2), "byte {at}");
        }
        drop(cache);
        let cache = open(damaged.path());
        assert!((0..40).all(|key| version(&cache, key) == Some(2)), "byte {at}");
    }
}

#[test]
fn a_journal_that_was_cut_or_is_something_else_is_made_anew() {
    for left in [&b""[..], b"TRCEJRNL", &[7; 70_000], &[0; 4096 + (1 << 16)]] {
        let temp = temp();
        let cache = open(temp.path());
        set(&cache, 1, 1, 10);
        cache.close().unwrap();
        fs::write(temp.path().join(JOURNAL), left).unwrap();
        let cache = open(temp.path());
        assert_eq!(version(&cache, 1), Some(1));
        assert_eq!(cache.take_faults().len(), 1, "what is lost is said");
        set(&cache, 1, 2, 10);
        drop(cache);
        assert_eq!(version(&open(temp.path()), 1), Some(2));
    }
}

#[test]
fn a_directory_that_is_deleted_takes_no_more() {
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    set(&cache, 1, 1, 10);
    fs::remove_dir_all(&dir).unwrap();
    let why = cache.set("1", b"lost").unwrap_err();
    assert_eq!(why.code(), Code::Unavailable, "{why}");
}

#[test]
fn who_has_a_journal_that_was_deleted_and_made_anew_writes_nothing_past_it() {
    let temp = temp();
    let old = open(temp.path());
    set(&old, 1, 1, 10);
    old.len().unwrap();
    fs::remove_file(temp.path().join(JOURNAL)).unwrap();
    let why = old.set("1", b"to nowhere").unwrap_err();
    assert_eq!(why.code(), Code::Unavailable, "{why}");
    assert!(old.delete("none").is_ok(), "what does not go through a journal does not need one");
    let new = open(temp.path());
    set(&new, 1, 2, 10);
    for round in 3..30 {
        set(&new, 1, round, 10);
        assert_eq!(old.delete("1").unwrap_err().code(), Code::Unavailable);
        assert_eq!(old.increment("sum", 1).unwrap_err().code(), Code::Unavailable);
        assert_eq!(old.set("1", b"to nowhere").unwrap_err().code(), Code::Unavailable);
        assert_eq!(version(&new, 1), Some(round));
        new.len().unwrap();
        assert_eq!(version(&old, 1), Some(round), "what is in the database is read");
    }
    old.close().unwrap();
    let again = open(temp.path());
    assert!(again.delete("1").unwrap());
    assert_eq!((version(&new, 1), version(&again, 1)), (None, None));
    assert_eq!(again.increment("sum", 1).unwrap(), 1);
    assert_eq!((new.take_faults().len(), again.take_faults().len()), (0, 0));
}

#[test]
fn what_is_pending_in_a_journal_that_is_deleted_is_moved_or_its_loss_is_said() {
    for round in 0..20 {
        let temp = temp();
        let old = open(temp.path());
        set(&old, 1, 1, 10);
        old.len().unwrap();
        let keeper = keep_database(temp.path());
        set(&old, 1, 2, 10);
        fs::remove_file(temp.path().join(JOURNAL)).unwrap();
        drop(keeper);
        if round % 2 == 0 {
            old.len().unwrap(); // else the newcomer may be first
        }
        let new = open(temp.path());
        set(&new, 2, 1, 10);
        old.len().unwrap();
        let found = version(&new, 1);
        let said = old.take_faults().iter().any(|fault| fault.code() == Code::Corrupt);
        assert!(
            found == Some(2) || found == Some(1) && said && round % 2 == 1,
            "{round}: {found:?}, said: {said}"
        );
        assert_eq!(version(&new, 2), Some(1));
    }
}

/// What the model does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Set {
        key: u64,
        len: usize,
        second: bool,
    },
    Delete {
        key: u64,
        second: bool,
    },
    Increment,
    Add {
        key: u64,
    },
    Apply,
    Hold,
    Release,
    Clear,
    /// Everybody is killed; the directory is opened as it is.
    Kill,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![Just(5_usize), Just(300), Just(5_000), Just(31_000), Just(40_000)];
    prop_oneof![
        12 => (0..12_u64, len, any::<bool>()).prop_map(|(key, len, second)| Step::Set { key, len, second }),
        3 => (0..12_u64, any::<bool>()).prop_map(|(key, second)| Step::Delete { key, second }),
        1 => Just(Step::Increment),
        1 => (0..12_u64).prop_map(|key| Step::Add { key }),
        1 => Just(Step::Apply),
        2 => Just(Step::Hold),
        2 => Just(Step::Release),
        1 => Just(Step::Clear),
        2 => Just(Step::Kill),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Two handles, a naive map, and kills of everybody between any two steps.
    #[test]
    fn two_handles_and_any_kills_are_one_map(steps in proptest::collection::vec(step(), 1..60)) {
        let mut home = temp();
        let mut handles = [open(home.path()), open(home.path())];
        set(&handles[0], 100, 1, 10); // begins the journal's life, which needs the database
        prop_assert!(handles[0].delete("100").unwrap());
        let mut keeper = None;
        let mut model: HashMap<u64, u64> = HashMap::new();
        let mut count = 0;
        for (at, step) in steps.into_iter().enumerate() {
            let now = at as u64 + 1;
            if matches!(step, Step::Delete { .. } | Step::Increment | Step::Add { .. } | Step::Apply | Step::Clear | Step::Reopen)
                || matches!(step, Step::Set { len: 40_000, .. })
            {
                keeper = None; // these need the database
            }
            match step {
                Step::Set { key, len, second } => {
                    set(&handles[usize::from(second)], key, now, len);
                    model.insert(key, now);
                }
                Step::Delete { key, second } => {
                    let was = handles[usize::from(second)].delete(format!("{key}")).unwrap();
                    prop_assert_eq!(was, model.remove(&key).is_some());
                }
                Step::Increment => {
                    count += 1;
                    let sum = handles[at % 2].increment("count", 1).unwrap();
                    prop_assert_eq!(sum, count);
                }
                Step::Add { key } => {
                    let added = handles[at % 2].add(format!("{key}"), &telling(key, now, 20)).unwrap();
                    prop_assert_eq!(added, !model.contains_key(&key));
                    model.entry(key).or_insert(now);
                }
                Step::Apply => {
                    prop_assert_eq!(handles[at % 2].len().unwrap(), model.len() as u64 + u64::from(count > 0));
                }
                Step::Hold if keeper.is_none() => {
                    handles[0].len().unwrap();
                    keeper = Some(keep_database(home.path()));
                }
                Step::Hold => {}
                Step::Release => keeper = None,
                Step::Clear => {
                    handles[at % 2].clear().unwrap();
                    model.clear();
                    count = 0;
                }
                Step::Kill => {
                    let still = keeper.take().unwrap_or_else(|| keep_database(home.path()));
                    let left = image(home.path());
                    drop(still);
                    handles = [open(left.path()), open(left.path())];
                    home = left;
                }
                Step::Reopen => handles = [open(home.path()), open(home.path())],
            }
            for key in 0..12 {
                for cache in &handles {
                    prop_assert_eq!(version(cache, key), model.get(&key).copied(), "key {} at step {}", key, at);
                }
            }
        }
        drop(keeper);
        prop_assert!(handles[0].take_faults().is_empty() && handles[1].take_faults().is_empty());
    }
}

#[test]
fn nothing_in_the_journal_can_be_read_without_the_key() {
    let plain = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    let hashed = || Cache::builder().store_keys(false);
    for (builder, secrets) in [
        (common::with_key(Cache::builder()), &[&b"a secret key"[..], b"a secret value"][..]),
        (common::with_key(hashed()), &[b"a secret key", b"a secret value"]),
        (hashed(), &[b"a secret key"]),
        (Cache::builder(), &[]),
    ] {
        let temp = temp();
        let cache = builder.journal(true).codec(common::uncoded("none")).open(temp.path()).unwrap();
        cache.set("first", b"v").unwrap();
        cache.len().unwrap();
        let keeper = keep_database(temp.path());
        cache.set("a secret key", b"a secret value").unwrap();
        let bytes = fs::read(temp.path().join(JOURNAL)).unwrap();
        assert!(pending(temp.path()) > 0);
        assert_eq!(secrets.is_empty(), plain(&bytes, b"a secret key"), "the search would find it");
        assert!(secrets.iter().all(|secret| !plain(&bytes, secret)));
        assert_eq!(cache.get("a secret key").unwrap().unwrap(), b"a secret value");
        drop(keeper);
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(temp.path().join(JOURNAL)).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// One that was stopped, say, while it added something.
#[test]
fn whoever_keeps_the_journal_stops_writers_and_no_reader_of_keys() {
    let temp = temp();
    let cache = Cache::builder()
        .journal(true)
        .lock_timeout(std::time::Duration::from_millis(50))
        .open(temp.path())
        .unwrap();
    set(&cache, 1, 1, 10);
    let stopped = fs::File::open(temp.path().join(JOURNAL)).unwrap();
    stopped.lock().unwrap();
    for _ in 0..3 {
        assert_eq!(cache.set("1", b"lost").unwrap_err().code(), Code::LockTimeout);
        assert_eq!(cache.delete("1").unwrap_err().code(), Code::LockTimeout);
        assert_eq!(version(&cache, 1), Some(1));
        assert_eq!(cache.len().unwrap(), 1, "what is pending is moved beside it");
    }
    stopped.unlock().unwrap();
    set(&cache, 1, 2, 10);
    assert_eq!(version(&cache, 1), Some(2));
}

#[test]
fn whoever_adds_nothing_to_the_journal_sees_what_others_do() {
    let temp = temp();
    let adds = open(temp.path());
    let others = [
        Cache::builder().journal(false).open(temp.path()).unwrap(),
        Cache::builder().max(1_000).open(temp.path()).unwrap(),
        Cache::builder().durability(tierce::Durability::Power).open(temp.path()).unwrap(),
    ];
    for round in 1..20 {
        for (key, other) in others.iter().enumerate() {
            set(&adds, key as u64, 2 * round, 50);
            assert_eq!(version(other, key as u64), Some(2 * round));
            set(other, key as u64, 2 * round + 1, 50);
            assert_eq!(version(&adds, key as u64), Some(2 * round + 1));
        }
    }
    assert!(others.iter().all(|other| other.len().unwrap() == 3));
}

#[test]
fn a_cache_without_a_journal_makes_none() {
    let temp = temp();
    let cache = Cache::builder().journal(false).open(temp.path()).unwrap();
    set(&cache, 1, 1, 10);
    assert!(!temp.path().join(JOURNAL).exists());
    drop(cache);
    let cache = open(temp.path());
    assert_eq!(version(&cache, 1), Some(1));
    set(&cache, 1, 2, 10);
    assert!(temp.path().join(JOURNAL).exists());
}

/// As it is when the database's file is damaged by a crash, and nobody has closed.
#[test]
fn what_is_pending_behind_a_damaged_database_is_there_when_it_is_mended() {
    let temp = temp();
    let cache = open(temp.path());
    for key in 0..2_000 {
        set(&cache, key, 1, 300);
    }
    cache.close().unwrap();
    let cache = open(temp.path());
    set(&cache, 2_000, 1, 10);
    cache.len().unwrap();
    let keeper = keep_database(temp.path());
    for key in (0..2_000).step_by(20) {
        set(&cache, key, 2, 300);
    }
    let image = image(temp.path());
    drop(keeper);
    let path = image.path().join("tierce.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 8192].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let cache = open(image.path());
    cache.check(true).unwrap();
    for key in 0..2_000 {
        let found = version(&cache, key);
        if key % 20 == 0 {
            assert_eq!(found, Some(2), "{key}");
        } else {
            assert!(found.is_none_or(|version| version == 1), "{key}");
        }
    }
}

//! The journal damaged under handles that are open: at most something is lost, which is said, and all of them work on.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use common::{Dice, keep_database, telling, temp, version_in};
use tierce::{Cache, Code};

/// Where the words at the front of the file are, in the order of `docs/on-disk-format.md`.
const WORDS: [u64; 10] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 128];
/// Where the ring begins.
const RING: u64 = 4096;
const KEYS: u64 = 8;

/// Two handles that add to the journal, and one that does not.
struct Handles {
    open: [Cache; 3],
    file: File,
}

impl Handles {
    fn new(dir: &Path) -> Self {
        let [a, b, c] = [true, true, false].map(|adds| common::builder().journal(adds).open(dir).unwrap());
        a.set("first", b"1").unwrap(); // makes the file
        let file = OpenOptions::new().read(true).write(true).open(dir.join("tierce.journal")).unwrap();
        Self { open: [a, b, c], file }
    }

    fn set(&self, by: usize, key: u64, version: u64) {
        self.open[by].set(format!("{key}"), &telling(key, version, 150)).unwrap();
    }

    /// Leaves nothing pending, and a journal to add to: another life of it takes the database.
    fn begin(&self) {
        self.open[0].set("first", b"1").unwrap();
        self.open[0].len().unwrap();
    }

    fn get(&self, by: usize, key: u64) -> Option<u64> {
        self.open[by].get(format!("{key}")).unwrap().map(|value| version_in(key, &value))
    }

    fn flip(&self, at: u64, bit: u64) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at + bit / 8).unwrap();
        self.file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], at + bit / 8).unwrap();
    }

    /// What was said since; nothing else than damage.
    fn faults(&self) -> usize {
        let faults: Vec<_> = self.open.iter().flat_map(Cache::take_faults).collect();
        assert!(faults.iter().all(|fault| fault.code() == Code::Corrupt), "{faults:?}");
        faults.len()
    }
}

/// Every bit of every word, with something pending and with nothing.
#[test]
fn a_flipped_bit_at_the_front_of_an_open_journal_costs_nothing() {
    let temp = temp();
    let handles = Handles::new(temp.path());
    let mut said = 0;
    for round in 0..WORDS.len() as u64 * 64 {
        let (at, bit) = (WORDS[round as usize / 64], round % 64);
        let what = format!("bit {bit} of the word at {at}");
        handles.begin();
        let keeper = (round % 3 != 0).then(|| keep_database(temp.path())); // what is set stays pending
        for key in 0..KEYS {
            handles.set(key as usize % 2, key, 2 * round);
        }
        handles.flip(at, bit);
        for (by, key) in (0..3).flat_map(|by| (0..KEYS).map(move |key| (by, key))) {
            let found = handles.get(by, key);
            assert!(found.is_none_or(|version| version == 2 * round), "{what}: {found:?}");
        }
        drop(keeper);
        let first = (round as usize + 1) % 3;
        match round % 4 {
            0 => handles.set(first, 0, 2 * round + 1),
            1 => assert!(handles.open[first].delete("0").unwrap(), "{what}"),
            2 => assert_eq!(handles.open[first].increment("sum", 1).unwrap(), round as i64 / 4 + 1, "{what}"),
            _ => assert_eq!(handles.open[first].len().unwrap(), KEYS + 2, "{what}"),
        }
        for by in 0..3 {
            handles.open[by].len().unwrap();
            let expected = [Some(2 * round + 1), None, Some(2 * round), Some(2 * round)][round as usize % 4];
            assert_eq!(handles.get(by, 0), expected, "{what}");
            assert!((1..KEYS).all(|key| handles.get(by, key) == Some(2 * round)), "{what}");
        }
        said += handles.faults();
    }
    assert!(said > 64, "damaged positions are reported: {said}");
    assert!(handles.open[0].check(false).unwrap().problems.is_empty());
}

/// Anything anywhere: records, and several words at the front at once.
#[test]
fn whatever_is_written_into_an_open_journal_costs_no_more_than_what_was_pending() {
    let temp = temp();
    let handles = Handles::new(temp.path());
    let mut dice = Dice::new(8);
    for round in 1..400_u64 {
        handles.begin();
        let floor: Vec<_> = (0..KEYS).map(|key| handles.get(2, key)).collect();
        let keeper = (round % 3 != 0).then(|| keep_database(temp.path()));
        for version in 4 * round..4 * round + 3 {
            for key in 0..KEYS {
                handles.set((key + version) as usize % 2, key, version);
            }
        }
        match round % 5 {
            0 => {
                let noise = common::noise(round, 8 << (round % 8));
                handles.file.write_all_at(&noise, 8 * dice.below(20)).unwrap();
            }
            1 => handles.file.write_all_at(&[0; 4096], 0).unwrap(),
            2 => handles.flip(8 * dice.below(18), dice.below(64)),
            _ => {
                let mut front = [0; 256];
                handles.file.read_exact_at(&mut front, 0).unwrap();
                let tail = front[128..136].try_into().map(u64::from_le_bytes).unwrap() >> 12 << 3;
                let at = RING + tail.saturating_sub(dice.below(8_000)) % (2 << 20);
                handles
                    .file
                    .write_all_at(&dice.roll().to_le_bytes()[..1 + dice.below(8) as usize], at)
                    .unwrap();
            }
        }
        let check = |by: usize| {
            for key in 0..KEYS {
                let found = handles.get(by, key);
                let possible = found.is_none() || found == floor[key as usize] || found >= Some(4 * round);
                assert!(possible, "round {round}, key {key}: {found:?} for {:?}", floor[key as usize]);
            }
        };
        (0..3).for_each(check);
        drop(keeper);
        let by = dice.below(3) as usize;
        handles.set(by, 0, 4 * round + 3);
        assert!(!handles.open[by].delete("nothing").unwrap());
        handles.open[by].delete("1").unwrap();
        (0..3).for_each(|by| assert_eq!(handles.get(by, 1), None));
        handles.open[by].len().unwrap();
        (0..3).for_each(check);
        handles.set(by, 0, 4 * round + 3); // with nothing damaged that nobody has met
        (0..3).for_each(|by| assert_eq!(handles.get(by, 0), Some(4 * round + 3), "round {round}"));
        handles.faults();
    }
    assert!(handles.open[0].check(false).unwrap().problems.is_empty());
    drop(handles);
    assert_eq!(common::open(temp.path()).len().unwrap(), KEYS); // one of them was removed, and one was there first
}

/// Counted by those who add: also while others are at it, nobody waits for ever and nothing wrong is read.
#[test]
fn threads_on_two_handles_work_on_while_the_journal_is_damaged_again_and_again() {
    let temp = temp();
    let handles = Handles::new(temp.path());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let handles = &handles;
            scope.spawn(move || {
                for version in 0..400 {
                    let key = thread * 10 + version % 5;
                    handles.set(thread as usize % 3, key, version);
                    handles.get((thread as usize + 1) % 3, key); // panics if it is of another key, or torn
                    if version % 50 == 7 {
                        handles.open[thread as usize % 3].delete(format!("{key}")).unwrap();
                    }
                }
            });
        }
        let mut dice = Dice::new(4);
        for _ in 0..60 {
            handles.flip(WORDS[dice.below(10) as usize], dice.below(64));
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    });
    handles.faults();
    for key in (0..4).flat_map(|thread| thread * 10..thread * 10 + 5) {
        handles.set(0, key, 1_000);
    }
    handles.open[0].len().unwrap();
    for key in (0..4).flat_map(|thread| thread * 10..thread * 10 + 5) {
        assert!((0..3).all(|by| handles.get(by, key) == Some(1_000)));
    }
    assert!(handles.open[0].check(false).unwrap().problems.is_empty());
}

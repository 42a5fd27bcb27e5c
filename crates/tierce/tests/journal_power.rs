//! The journal after a power cut: any page of it may be of any moment, and the database may have lost commits. What is there
//! then is what was there at one moment, never a newer write without an older one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use common::{Dice, builder, database, encrypted, telling, temp, version_in};
use tierce::Cache;

const JOURNAL: &str = "tierce.journal";
const PAGE: usize = 4096;
/// Where the file says in which start of the machine records are added.
const BOOT_AT: usize = 32;
const KEYS: u64 = 8;

type Model = HashMap<u64, u64>;

/// All files of a directory at one moment, and what a cache on it had.
struct Moment {
    files: BTreeMap<String, Vec<u8>>,
    model: Model,
}

fn open(dir: &Path) -> Cache {
    builder().journal(true).max_size(16 << 20).open(dir).unwrap() // its journal takes 256 KiB
}

fn read(cache: &Cache) -> Model {
    let version = |key: u64| cache.get(format!("{key}")).unwrap().map(|value| (key, version_in(key, &value)));
    (0..KEYS).filter_map(version).collect()
}

fn moment(dir: &Path, model: &Model) -> Moment {
    let keeper = database(dir);
    keeper.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    keeper.execute_batch("BEGIN IMMEDIATE").unwrap(); // nothing is moved meanwhile
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let files = entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    Moment { files: files.collect(), model: model.clone() }
}

/// A directory with the database of one moment, and a journal whose pages are chosen by `page`.
fn after_power_cut(
    database: &Moment,
    last: &Moment,
    page: impl FnMut(usize) -> Option<Vec<u8>>,
) -> tempfile::TempDir {
    let dir = temp();
    for (name, bytes) in &last.files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    for name in ["tierce.db", "tierce.db-wal", "tierce.db-shm"] {
        let _ = fs::remove_file(dir.path().join(name));
        if let Some(bytes) = database.files.get(name).filter(|_| !name.ends_with("shm")) {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
    }
    let Some(journal) = last.files.get(JOURNAL) else { return dir };
    let pages = (0..journal.len() / PAGE).map(page).collect::<Option<Vec<_>>>();
    let Some(pages) = pages else { return dir };
    let mut mixed = pages.concat();
    mixed[BOOT_AT] ^= 0x5a; // the machine has started since
    fs::write(dir.path().join(JOURNAL), mixed).unwrap();
    dir
}

fn page_of(moment: &Moment, page: usize) -> Option<Vec<u8>> {
    Some(moment.files.get(JOURNAL)?[page * PAGE..][..PAGE].to_vec())
}

/// Sets, and now and then what needs the database; a moment after each step.
fn live(dir: &Path, dice: &mut Dice, mut model: Model, from: u64, steps: u64) -> Vec<Moment> {
    let cache = open(dir);
    assert_eq!(read(&cache), model);
    let mut moments = vec![moment(dir, &model)];
    for version in from..from + steps {
        let key = dice.below(KEYS);
        let name = format!("{key}");
        match dice.below(12) {
            0 => {
                cache.delete(name).unwrap();
                model.remove(&key);
            }
            1 if cache.add(&*name, &telling(key, version, 50)).unwrap() => {
                model.insert(key, version);
            }
            2 => {
                cache.len().unwrap(); // moves all that is pending
            }
            3 => cache.flush().unwrap(),
            4 => {
                cache.set(name, &telling(key, version, 100_000)).unwrap(); // in a file
                // The file of the one before may be gone while its row is back: then the key is a miss, and there is nothing to compare.
                cache.delete(format!("{key}")).unwrap();
                model.remove(&key);
            }
            _ => {
                let length = [20, 200, 4_000, 25_000][dice.below(4) as usize];
                cache.set(name, &telling(key, version, length)).unwrap();
                model.insert(key, version);
            }
        }
        moments.push(moment(dir, &model));
    }
    moments
}

fn check(dir: &Path, moments: &[Moment], expected: Option<usize>, what: &str) -> Model {
    let cache = open(dir);
    let found = read(&cache);
    match expected {
        Some(at) => assert_eq!(found, moments[at].model, "{what}: {:?}", cache.take_faults()),
        None => assert!(moments.iter().any(|moment| moment.model == found), "{what}: {found:?} never was"),
    }
    assert_eq!(cache.len().unwrap(), found.len() as u64, "{what}");
    assert!(cache.check(false).unwrap().problems.is_empty(), "{what}");
    // It works on.
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, 1_000_000, 300)).unwrap();
    }
    drop(cache);
    let cache = open(dir);
    assert!(read(&cache).values().all(|version| *version == 1_000_000), "{what}");
    cache.close().unwrap();
    found
}

fn attack(seed: u64) {
    let mut dice = Dice::new(seed);
    let home = temp();
    let first = live(home.path(), &mut dice, Model::new(), 1, 40);
    // A machine that is shut down with nobody closing anything loses nothing.
    for at in 1..first.len() {
        let all = |page| page_of(&first[at], page);
        let dir = after_power_cut(&first[at], &first[at], all);
        check(dir.path(), &first, Some(at), &format!("seed {seed}, shut down at {at}"));
    }
    for round in 0..60 {
        let last = 1 + dice.below(first.len() as u64 - 1) as usize;
        let database = dice.below(last as u64 + 1) as usize;
        let since = [last, database, 0][dice.below(3) as usize];
        let page = |page| page_of(&first[since + dice.below((last - since) as u64 + 1) as usize], page);
        let dir = after_power_cut(&first[database], &first[last], page);
        check(
            dir.path(),
            &first[..=last],
            None,
            &format!("seed {seed}, cut {round}: {database}, {since}..={last}"),
        );
    }
    // And once more on what the first one left: a record that was lost then must not come back.
    for round in 0..10 {
        let last = first.len() - 1 - dice.below(10) as usize;
        let database = dice.below(last as u64 + 1) as usize;
        let page = |page| page_of(&first[database + dice.below((last - database) as u64 + 1) as usize], page);
        let dir = after_power_cut(&first[database], &first[last], page);
        let lost = fs::read(dir.path().join(JOURNAL)).unwrap_or_default();
        let model = {
            let cache = open(dir.path());
            cache.set("0", &telling(0, 2_000, 10)).unwrap(); // begins the next life
            read(&cache)
        };
        let second = live(dir.path(), &mut dice, model, 2_001, 30);
        for cut in 0..20 {
            let last = dice.below(second.len() as u64) as usize;
            let database = dice.below(last as u64 + 1) as usize;
            let page = |page: usize| match dice.below(3) {
                0 if page > 0 && lost.len() > page * PAGE => Some(lost[page * PAGE..][..PAGE].to_vec()),
                _ => page_of(&second[database + dice.below((last - database) as u64 + 1) as usize], page),
            };
            let dir = after_power_cut(&second[database], &second[last], page);
            check(
                dir.path(),
                &second[..=last],
                None,
                &format!("seed {seed}, second cut {round}/{cut}: {database}..={last}"),
            );
        }
    }
}

#[test]
fn what_a_power_cut_leaves_is_what_was_there_at_one_moment() {
    for seed in 1..4 {
        attack(seed);
    }
}

#[test]
fn what_a_power_cut_leaves_of_an_encrypted_cache_is_what_was_there_at_one_moment() {
    encrypted(|| attack(9));
}

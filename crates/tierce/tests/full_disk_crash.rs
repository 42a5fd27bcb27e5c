//! A process that is killed on a full disk, also while it removes: on the disk as it is then, all that was acknowledged is there, what
//! removes works at once, and with room it goes on.
//!
//! The writer is this test binary, started again with the directory in an environment variable. It prints a line before and after each
//! removal, and after each set.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;
#[path = "common/mount.rs"]
mod mount;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Dice, assert_no_orphans, telling, uncoded, version_in};
use mount::Mount;
use tierce::{Cache, Code};

const DIR: &str = "TIERCE_FULL_DIR";
const SEED: &str = "TIERCE_FULL_SEED";
const ONLY_SETS: &str = "TIERCE_FULL_ONLY_SETS";
const KEYS: u64 = 400;

fn open(dir: &Path) -> Cache {
    Cache::builder().codec(uncoded("none")).open(dir).unwrap()
}

/// Sets and deletes until it is killed, or nobody hears it. Not a test of its own.
#[test]
fn writer_on_a_full_disk() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let only_sets = std::env::var_os(ONLY_SETS).is_some();
    let cache = open(Path::new(&dir));
    let mut dice = Dice::new(seed);
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| out.write_all(line.as_bytes()).unwrap(); // one write, whole or not at all
    for version in seed << 32.. {
        let key = dice.below(KEYS);
        match if only_sets { 999 } else { dice.below(1_000) } {
            0 => {
                say("ack clearing\n".to_owned());
                cache.clear().unwrap();
                say("ack cleared\n".to_owned());
            }
            1..200 => {
                say(format!("ack deleting {key}\n"));
                cache.delete(format!("{key}")).unwrap();
                say(format!("ack deleted {key}\n"));
            }
            _ => {
                let size = [20, 300, 3_000, 12_000, 40_000][dice.below(5) as usize];
                match cache.set(format!("{key}"), &telling(key, version, size)) {
                    Ok(()) => say(format!("ack set {key} {version}\n")),
                    Err(why) => {
                        assert_eq!(why.code(), Code::StorageFull, "{why:?}");
                        say(format!("ack refused {key} {version}\n"));
                    }
                }
            }
        }
    }
}

/// What a writer said.
#[derive(Default)]
struct Heard {
    held: HashMap<u64, u64>,
    refused: HashSet<(u64, u64)>,
    /// Removals that are under way; none of these need be there.
    leaving: HashSet<u64>,
}

impl Heard {
    /// Gives whether a set was refused.
    fn hear(&mut self, line: &str) -> bool {
        let Some((_, said)) = line.split_once("ack ") else { return false };
        let words: Vec<&str> = said.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "set" => drop(self.held.insert(number(1), number(2))),
            "refused" => return self.refused.insert((number(1), number(2))),
            "deleting" => drop(self.leaving.insert(number(1))),
            "clearing" => self.leaving.extend(0..KEYS),
            "deleted" => {
                self.held.remove(&number(1));
                self.leaving.clear();
            }
            "cleared" => {
                self.held.clear();
                self.leaving.clear();
            }
            other => panic!("{other}"),
        }
        false
    }

    /// All is as it was said, but for the one write that was under way; from here on, what was found is what it is.
    fn compare(&mut self, cache: &Cache) {
        let mut in_doubt = 0;
        for key in 0..KEYS {
            let found = cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value));
            let held = self.held.get(&key).copied();
            if found != held {
                let is_gone = found.is_none() && self.leaving.contains(&key);
                let is_newer = found.is_some_and(|found| found > held.unwrap_or(0));
                assert!(is_gone || is_newer, "key {key} has {found:?}, not {held:?}");
                in_doubt += u64::from(!is_gone);
            }
            assert!(!found.is_some_and(|found| self.refused.contains(&(key, found))), "{key} was refused");
            self.held.remove(&key);
            self.held.extend(found.map(|found| (key, found)));
        }
        assert!(in_doubt <= 1, "{in_doubt} keys hold what was never acknowledged");
        (self.refused, self.leaving) = Default::default();
    }
}

fn writer(dir: &Path, seed: u64, only_sets: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "writer_on_a_full_disk", "--nocapture"]);
    if only_sets {
        command.env(ONLY_SETS, "1");
    }
    command.env(DIR, dir).env(SEED, seed.to_string()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Kills a writer when it has said so many lines after its first set that was refused, or after any.
fn kill_after(dir: &Path, seed: u64, lines_more: u64, of_any: bool, heard: &mut Heard) {
    let mut writer = writer(dir, seed, false);
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut is_full = of_any;
    let mut left = lines_more;
    while left > 0 {
        let line = lines.next().expect("the writer ended by itself").unwrap();
        is_full |= heard.hear(&line);
        left -= u64::from(is_full);
    }
    writer.kill().unwrap(); // SIGKILL
    for line in lines {
        heard.hear(&line.unwrap());
    }
    writer.wait().unwrap();
}

/// On the disk as it was left.
fn goes_on(dir: &Path, heard: &mut Heard, dice: &mut Dice) {
    let cache = open(dir);
    heard.compare(&cache);
    assert_eq!(cache.len().unwrap(), heard.held.len() as u64);
    let mut keys: Vec<u64> = heard.held.keys().copied().collect();
    keys.sort_unstable();
    for _ in 0..dice.below(20).min(keys.len() as u64) {
        let key = keys.swap_remove(dice.below(keys.len() as u64) as usize);
        assert!(cache.delete(format!("{key}")).unwrap(), "{key}");
        heard.held.remove(&key);
    }
    heard.compare(&cache);
}

fn with_room(mount: &Mount, dir: &Path, mut heard: Heard) {
    mount.leave();
    let cache = open(dir);
    heard.compare(&cache);
    cache.set("1", &telling(1, 1, 100_000)).unwrap();
    heard.held.insert(1, 1);
    heard.compare(&cache);
    cache.close().unwrap();
    let cache = open(dir);
    heard.compare(&cache);
    drop(cache);
    assert_no_orphans(dir);
}

#[test]
fn a_process_killed_on_a_full_disk_loses_nothing_and_leaves_a_cache_that_can_be_emptied() {
    let Some(mount) = Mount::new("5m") else { return };
    mount.take(2 << 20);
    let dir = mount.path().join("cache");
    let (mut heard, mut dice) = (Heard::default(), Dice::new(5));
    for round in 1..=12 {
        kill_after(&dir, round, 1 + dice.below(150), false, &mut heard);
        goes_on(&dir, &mut heard, &mut dice);
    }
    with_room(&mount, &dir, heard);
}

#[test]
fn what_a_killed_process_left_in_the_journal_is_there_on_a_disk_that_others_have_filled_since() {
    for seed in 1..=4 {
        let Some(mount) = Mount::new("80m") else { return };
        let dir = mount.path().join("cache");
        let (mut heard, mut dice) = (Heard::default(), Dice::new(seed));
        kill_after(&dir, seed, 1 + dice.below(600), true, &mut heard);
        mount.take_all();
        goes_on(&dir, &mut heard, &mut dice);
        kill_after(&dir, seed + 100, 1 + dice.below(100), true, &mut heard);
        goes_on(&dir, &mut heard, &mut dice);
        with_room(&mount, &dir, heard);
    }
}

/// One process sets, another deletes.
#[test]
fn a_process_that_deletes_on_a_full_disk_is_kept_from_it_by_none_that_fills_it() {
    let Some(mount) = Mount::new("6m") else { return };
    let dir = mount.path().join("cache");
    let cache = open(&dir);
    let stays = |key: u64| format!("stays {key}");
    let mut count = 0;
    while cache.set(stays(count), &telling(count, 1, 2_000)).is_ok() {
        count += 1;
    }
    let mut writer = writer(&dir, 1, true);
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut refused = 0;
    for key in 0..count {
        for _ in 0..2 {
            let line = lines.next().expect("the writer ended by itself").unwrap();
            refused += u64::from(line.contains("refused"));
        }
        let gone = cache.delete(stays(key));
        assert!(gone.as_ref().is_ok_and(|gone| *gone), "{key} of {count}: {gone:?}");
    }
    writer.kill().unwrap();
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    writer.wait().unwrap();
    println!(
        "{refused} and {} of {} sets were refused",
        said.iter().filter(|line| line.contains("refused")).count(),
        said.len()
    );
    assert!(refused > 0, "the disk was never full");
    cache.clear().unwrap();
    cache.set("k", b"v").unwrap();
}

//! A writer that is killed at any moment: what it acknowledged is there, whole, and nothing else is left behind.
//!
//! The writer is this test binary, started again with the directory in an environment variable. It prints a line after
//! each acknowledged write; a pipe keeps what a killed process wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{
    Dice, assert_settled, encrypted, is_encrypted, open, telling, temp, uncoded, version_in, with_key,
};
use tierce::{Cache, Durability, Wait, Write};

const DIR: &str = "TIERCE_CRASH_DIR";
const SEED: &str = "TIERCE_CRASH_SEED";
const BOUND: &str = "TIERCE_CRASH_BOUND";
const POWER: &str = "TIERCE_CRASH_POWER";
const ENCRYPTED: &str = "TIERCE_CRASH_ENCRYPTED";
const KEYS: u64 = 300;

fn size_of(dice: &mut Dice) -> usize {
    [20, 300, 3_000, 12_000, 34_000, 60_000][dice.below(6) as usize]
}

/// Writes until it is killed. Not a test of its own.
#[test]
fn writer_that_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let mut builder = Cache::builder().codec(uncoded("none"));
    if let Some(bound) = number(BOUND) {
        builder = builder.max_size(bound);
    }
    if std::env::var_os(POWER).is_some() {
        builder = builder.durability(Durability::Power);
    }
    if std::env::var_os(ENCRYPTED).is_some() {
        builder = with_key(builder);
    }
    let cache = builder.open(dir).unwrap();
    let mut dice = Dice::new(number(SEED).unwrap());
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| out.write_all(line.as_bytes()).unwrap(); // one write, whole or not at all
    let mut version = number(SEED).unwrap() << 32;
    loop {
        version += 1;
        match dice.below(500) {
            0 => {
                say(format!("ack clearing {version}\n"));
                cache.clear().unwrap();
                say(format!("ack cleared {version}\n"));
            }
            1..50 => {
                let key = dice.below(KEYS);
                say(format!("ack deleting {key} {version}\n"));
                cache.delete(format!("{key}")).unwrap();
                say(format!("ack deleted {key} {version}\n"));
            }
            50..100 => {
                let batch: Vec<_> = (0..5)
                    .map(|_| {
                        let key = dice.below(KEYS);
                        (key, format!("{key}"), telling(key, version, size_of(&mut dice)))
                    })
                    .collect();
                let writes: Vec<_> =
                    batch.iter().map(|(_, key, value)| Write::set(key.as_str(), value)).collect();
                cache.apply(&writes, Wait::Yes).unwrap();
                let keys: Vec<_> =
                    batch.iter().map(|(key, ..)| format!("ack set {key} {version}\n")).collect();
                say(keys.concat());
            }
            _ => {
                let key = dice.below(KEYS);
                cache.set(format!("{key}"), &telling(key, version, size_of(&mut dice))).unwrap();
                say(format!("ack set {key} {version}\n"));
            }
        }
    }
}

/// What must be there: the newest acknowledged version of each key, and the versions up to which it may be gone.
#[derive(Default)]
struct Model {
    acknowledged: HashMap<u64, u64>,
    /// The newest removal that was begun.
    removed: HashMap<u64, u64>,
}

impl Model {
    fn hear(&mut self, line: &str) {
        let Some((_, said)) = line.split_once("ack ") else { return };
        let words: Vec<&str> = said.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "set" => self.acknowledged.extend([(number(1), number(2))]),
            "deleting" => self.removed.extend([(number(1), number(2))]),
            "clearing" => self.removed.extend((0..KEYS).map(|key| (key, number(1)))),
            "deleted" => self.acknowledged.retain(|key, _| *key != number(1)),
            "cleared" => self.acknowledged.clear(),
            other => panic!("{other}"),
        }
    }

    /// `found` is right when it is what was acknowledged, or newer: written, but killed before it was said.
    fn check(&mut self, key: u64, found: Option<u64>, may_be_evicted: bool) {
        let acknowledged = self.acknowledged.get(&key).copied();
        let removed = self.removed.get(&key).copied().unwrap_or(0);
        match (acknowledged, found) {
            (Some(expected), Some(found)) => assert!(found >= expected, "key {key}: {found}, not {expected}"),
            (Some(expected), None) => assert!(
                may_be_evicted || removed > expected,
                "key {key}: version {expected} was acknowledged and is lost"
            ),
            // A write that was not said, or an older version that a removal was acknowledged for?
            (None, Some(found)) => assert!(found > removed, "key {key}: version {found} came back"),
            (None, None) => {}
        }
        self.acknowledged.retain(|known, _| *known != key);
        self.acknowledged.extend(found.map(|found| (key, found)));
    }
}

fn rounds() -> u64 {
    std::env::var("TIERCE_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn kill_in_a_loop(dir: &Path, bound: Option<u64>, durability: Durability) {
    let mut dice = Dice::new(11);
    let mut model = Model::default();
    let mut heard = 0;
    for round in 1..=rounds() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "writer_that_is_killed", "--nocapture"]);
        command.env(DIR, dir).env(SEED, round.to_string());
        if let Some(bound) = bound {
            command.env(BOUND, bound.to_string());
        }
        if durability == Durability::Power {
            command.env(POWER, "1");
        }
        if is_encrypted() {
            command.env(ENCRYPTED, "1");
        }
        let mut writer = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        // The moment is a number of acknowledgements, and however far the writer is by then.
        for _ in 0..dice.below(400) {
            let Some(line) = lines.next() else { break };
            model.hear(&line.unwrap());
            heard += 1;
        }
        writer.kill().unwrap(); // SIGKILL
        lines.for_each(|line| model.hear(&line.unwrap()));
        writer.wait().unwrap();

        let cache = open(dir);
        assert_settled(dir);
        for key in 0..KEYS {
            let found = cache.get(format!("{key}")).unwrap().map(|value| version_in(key, &value));
            model.check(key, found, bound.is_some());
        }
        assert!(cache.take_faults().is_empty(), "round {round}");
        model.removed.clear();
        drop(cache);
        assert_eq!(locks(dir), 0, "locks of dead owners after round {round}");
    }
    assert!(heard > rounds() * 20, "only {heard} writes were under way");
}

/// Locks of owners; one that is killed before its lock has a name leaves a file that starts with a dot.
fn locks(dir: &Path) -> usize {
    let Ok(locks) = std::fs::read_dir(dir.join("owners")) else { return 0 };
    locks.filter(|lock| !lock.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_behind() {
    let temp = temp();
    kill_in_a_loop(temp.path(), None, Durability::Process);
}

#[test]
fn a_writer_killed_while_it_evicts_leaves_no_torn_value_and_no_orphan() {
    let temp = temp();
    kill_in_a_loop(temp.path(), Some(2 << 20), Durability::Process);
}

#[test]
fn a_killed_writer_to_an_encrypted_directory_loses_nothing_acknowledged_and_leaves_nothing_behind() {
    let temp = temp();
    encrypted(|| kill_in_a_loop(temp.path(), None, Durability::Process));
}

/// That the disk has it, which a kill cannot show, is tested in `io_faults.rs`.
#[test]
fn a_writer_killed_under_power_loses_nothing_acknowledged_and_leaves_nothing_behind() {
    let temp = temp();
    kill_in_a_loop(temp.path(), None, Durability::Power);
}

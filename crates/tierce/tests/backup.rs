//! Backups of a cache in use: of one moment, whole, and never half of one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{assert_settled, open, telling, temp, value_files, version_in};
use tierce::{Cache, Code, Wait, Write};

const KEYS: u64 = 40;
const DIR: &str = "TIERCE_BACKUP_DIR";

fn size_of(key: u64) -> usize {
    [40, 900, 6_000, 40_000][key as usize % 4]
}

fn fill(dir: &Path) -> Cache {
    let cache = open(dir);
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, 1, size_of(key))).unwrap();
    }
    cache
}

#[test]
fn a_backup_is_a_cache_directory_with_everything() {
    let (source, target) = (temp(), temp());
    let cache = fill(source.path());
    cache.set_for("expiring", b"1", Duration::from_secs(1000)).unwrap();
    let expires = cache.entry("expiring").unwrap().unwrap().meta.expires_at;
    let dir = target.path().join("backup");
    let backup = cache.backup(&dir).unwrap();
    assert_eq!((backup.entries, backup.files), (KEYS + 1, KEYS / 4));
    assert!(!dir.join("tierce.unfinished").exists());
    cache.clear().unwrap(); // what happens to the cache does not happen to its backup
    assert_settled(&dir);
    let copy = open(&dir);
    assert_eq!(copy.check(false).unwrap().found, 0);
    assert!(copy.take_faults().is_empty());
    assert_eq!(copy.len().unwrap(), KEYS + 1);
    for key in 0..KEYS {
        assert_eq!(version_in(key, &copy.get(format!("{key}")).unwrap().unwrap()), 1);
    }
    assert_eq!(copy.entry("expiring").unwrap().unwrap().meta.expires_at, expires);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("tierce.db"))), (0o700, 0o600));
        for file in value_files(&dir) {
            assert_eq!((mode(&file), fs::metadata(&file).unwrap().nlink()), (0o600, 1), "a file of its own");
        }
    }
}

#[test]
fn a_directory_with_something_in_it_is_refused_and_left_alone() {
    let (source, target) = (temp(), temp());
    let cache = fill(source.path());
    fs::write(target.path().join("mine"), b"mine").unwrap();
    let error = cache.backup(target.path()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidOption, "{error}");
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1);
    let inside = source.path().join("backup");
    assert_eq!(cache.backup(&inside).unwrap_err().code(), Code::InvalidOption);
    assert!(!inside.exists());
    let nowhere = target.path().join("a/b");
    assert_eq!(cache.backup(&nowhere).unwrap_err().code(), Code::Unavailable);
    assert_eq!(cache.check(false).unwrap().found, 0);
}

#[test]
fn a_backup_beside_writers_is_of_one_moment() {
    let (source, target) = (temp(), temp());
    let cache = fill(source.path());
    let other = open(source.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut version = 1;
            while !stop.load(Ordering::Relaxed) {
                version += 1;
                // All keys move from one version to the next at once.
                let values: Vec<_> =
                    (0..KEYS).map(|key| (format!("{key}"), telling(key, version, size_of(key)))).collect();
                let writes: Vec<_> =
                    values.iter().map(|(key, value)| Write::set(key.as_str(), value)).collect();
                other.apply(&writes, Wait::Yes).unwrap();
            }
        });
        for round in 0..10 {
            let dir = target.path().join(format!("{round}"));
            cache.backup(&dir).unwrap();
            let copy = open(&dir);
            assert_eq!(copy.check(false).unwrap().found, 0);
            let version = |key: u64| version_in(key, &copy.get(format!("{key}")).unwrap().unwrap());
            assert!((0..KEYS).all(|key| version(key) == version(0)), "round {round}");
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

/// Backs up until it is killed. Not a test of its own.
#[test]
fn process_that_is_killed_at_a_backup() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let cache = open(&Path::new(&dir).join("source"));
    for round in 0.. {
        cache.backup(Path::new(&dir).join(format!("backup-{round}"))).unwrap();
    }
}

#[test]
fn a_kill_leaves_the_source_whole_and_an_unfinished_backup_that_is_refused() {
    let mut refused = 0;
    for round in 0..200 {
        if round >= 8 && refused > 0 {
            break;
        }
        let temp = temp();
        fill(&temp.path().join("source")).close().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_that_is_killed_at_a_backup"])
            .env(DIR, temp.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let first = temp.path().join("backup-0");
        while !first.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(round % 16 * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        let source = open(&temp.path().join("source"));
        assert_eq!(source.check(false).unwrap().found, 0);
        for backup in (0..).map(|at| temp.path().join(format!("backup-{at}"))).take_while(|dir| dir.exists())
        {
            // Killed before the marker, the directory is empty: a new cache and no backup.
            if fs::read_dir(&backup).unwrap().count() == 0 {
                continue;
            }
            match Cache::builder().open(&backup) {
                Ok(copy) => {
                    assert_eq!(copy.len().unwrap(), KEYS);
                    assert_eq!(copy.check(false).unwrap().found, 0);
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.code(), Code::Format, "{error}");
                    assert_eq!(source.backup(&backup).unwrap_err().code(), Code::InvalidOption);
                }
            }
        }
    }
    assert!(refused > 0, "no kill hit a backup under way");
}

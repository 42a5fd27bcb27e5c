//! Disks that are full, read-only, missing or in the way: each has its code, says where, and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;
#[path = "common/mount.rs"]
mod mount;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{assert_no_orphans, open, telling, temp, uncoded, version_in};
use mount::{Mount, fill};
use tierce::{Cache, Code, Error, Key};

/// The error has this code, names a path under `dir`, and tells what to do.
fn assert_says(error: &Error, code: Code, dir: &Path) {
    assert_eq!(error.code(), code, "{error}");
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned()).display().to_string();
    assert!(
        error.context().iter().any(|(name, path)| *name == "path" && path.starts_with(&dir)),
        "{error:?} does not name a path in {dir}"
    );
    let advice =
        ["free some space", "make it writable", "create the parent", "another directory", "open it again"];
    assert!(advice.iter().any(|advice| error.to_string().contains(advice)), "{error} gives no advice");
}

#[test]
fn a_full_disk_is_its_own_error_loses_nothing_and_passes() {
    for size in [100, 3_000, 100_000] {
        let Some(mount) = Mount::new("18m") else { return };
        mount.take(8 << 20);
        let dir = mount.path().join("cache");
        let cache = Cache::builder().codec(uncoded("none")).open(&dir).unwrap();
        let (acknowledged, why) = fill(&cache, size);
        assert_says(&why, Code::StorageFull, &dir);
        assert!(acknowledged > 10, "{acknowledged} values of {size}");
        let check = |cache: &Cache| {
            for key in 0..acknowledged {
                let value = cache.get(format!("{key}")).unwrap();
                assert_eq!(version_in(key, &value.unwrap_or_else(|| panic!("{key} of {size} is lost"))), 1);
            }
        };
        check(&cache);
        assert_eq!(cache.get(format!("{acknowledged}")).unwrap(), None, "what failed is not there");
        mount.leave();
        cache.set("after", b"there is room again").unwrap();
        check(&cache);
        cache.close().unwrap();
        let cache = open(&dir);
        check(&cache);
        assert!(cache.has("after").unwrap());
        assert_no_orphans(&dir);
    }
}

#[test]
fn a_disk_without_room_for_an_empty_cache_says_so() {
    let Some(mount) = Mount::new("128k") else { return };
    let error = Cache::builder().open(mount.path().join("cache")).unwrap_err();
    assert_says(&error, Code::StorageFull, mount.path());
}

/// Limits the size of files for one process: works without any right to mount.
#[test]
fn a_limit_on_the_size_of_files_counts_as_a_full_disk() {
    const DIR: &str = "TIERCE_LIMITED_DIR";
    if let Ok(dir) = std::env::var(DIR) {
        let dir = Path::new(&dir);
        let cache = Cache::builder().codec(uncoded("none")).open(dir).unwrap();
        let too_long = cache.set("long", &telling(1, 1, 3 << 20)).unwrap_err();
        assert_says(&too_long, Code::StorageFull, dir);
        let (acknowledged, why) = fill(&cache, 3_000);
        assert_says(&why, Code::StorageFull, dir);
        for key in 0..acknowledged {
            assert_eq!(version_in(key, &cache.get(format!("{key}")).unwrap().unwrap()), 1);
        }
        return;
    }
    let temp = temp();
    let test = "a_limit_on_the_size_of_files_counts_as_a_full_disk";
    let script = format!("trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact {test} --nocapture"); // 1 MiB or 2 MiB
    let mut child = Command::new("sh");
    child.args(["-c", &script]).arg(std::env::current_exe().unwrap()).env(DIR, temp.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cache = open(temp.path());
    assert_eq!(version_in(0, &cache.get("0").unwrap().unwrap()), 1, "what was acknowledged is there");
    cache.set("long", &telling(1, 1, 3 << 20)).unwrap();
}

#[test]
fn a_read_only_disk_is_refused_by_name_and_an_open_cache_still_reads() {
    let Some(mount) = Mount::new("16m") else { return };
    let dir = mount.path().join("cache");
    let cache = open(&dir);
    cache.set("k", b"v").unwrap();
    cache.close().unwrap();
    mount.read_only();
    assert_says(&Cache::builder().open(&dir).unwrap_err(), Code::ReadOnly, &dir);
    let missing = mount.path().join("missing");
    assert_says(&Cache::builder().open(&missing).unwrap_err(), Code::ReadOnly, mount.path());
}

#[test]
fn a_missing_parent_is_named() {
    let temp = temp();
    let dir = temp.path().join("not/there");
    let error = Cache::builder().open(&dir).unwrap_err();
    assert_says(&error, Code::Unavailable, temp.path());
    assert!(error.to_string().contains(&temp.path().join("not").display().to_string()), "{error}");
    fs::create_dir(temp.path().join("not")).unwrap();
    Cache::builder().open(&dir).unwrap();
}

#[test]
fn a_file_in_the_way_is_an_error_of_its_own_and_is_left_alone() {
    let temp = temp();
    let file = temp.path().join("file");
    fs::write(&file, b"precious").unwrap();
    assert_says(&Cache::builder().open(&file).unwrap_err(), Code::Unavailable, &file);
    assert_says(&Cache::builder().open(file.join("below")).unwrap_err(), Code::Unavailable, &file);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    for name in ["tierce.db", "tierce.epochs", "tierce.lock"] {
        let dir = temp.path().join(format!("with {name}"));
        fs::create_dir_all(dir.join(name).join("full")).unwrap();
        assert_says(&Cache::builder().open(&dir).unwrap_err(), Code::Unavailable, &dir);
    }
    let dir = temp.path().join("values in the way");
    let cache = open(&dir);
    fs::write(dir.join("values"), b"precious").unwrap();
    let error = cache.set("k", &telling(1, 1, 100_000)).unwrap_err();
    assert_says(&error, Code::Unavailable, &dir);
    cache.set("small", b"v").unwrap();
}

#[test]
fn a_directory_deleted_while_open_is_noticed_by_the_next_write() {
    for size in [10, 100_000] {
        let temp = temp();
        let dir = temp.path().join("cache");
        let cache = open(&dir);
        cache.set("k", &telling(1, 1, size)).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        let resolved = temp.path().canonicalize().unwrap();
        let error = cache.set("k", &telling(1, 2, size)).unwrap_err();
        assert_says(&error, Code::Unavailable, &resolved);
        let found = cache.get("k");
        assert!(matches!(found, Ok(None)) || found.is_ok_and(|found| version_in(1, &found.unwrap()) == 1));
        let again = open(&dir);
        again.set("k", &telling(1, 3, size)).unwrap();
        let error = cache.set("k", &telling(1, 4, size)).unwrap_err();
        assert_says(&error, Code::Unavailable, &resolved);
        assert_eq!(version_in(1, &again.get("k").unwrap().unwrap()), 3, "the old handle writes nowhere");
        drop(cache);
        assert_eq!(version_in(1, &open(&dir).get("k").unwrap().unwrap()), 3);
    }
}

#[cfg(unix)]
#[test]
fn links_above_the_directory_are_followed_and_a_planted_database_link_is_not() {
    let temp = temp();
    fs::create_dir(temp.path().join("real")).unwrap();
    std::os::unix::fs::symlink(temp.path().join("real"), temp.path().join("link")).unwrap();
    let cache = open(&temp.path().join("link/cache"));
    cache.set("k", b"v").unwrap();
    cache.set("large", &telling(1, 1, 50_000)).unwrap();
    drop(cache);
    assert_eq!(open(&temp.path().join("real/cache")).get("k").unwrap().unwrap(), b"v");

    let planted = temp.path().join("planted");
    fs::create_dir(&planted).unwrap();
    let victim: PathBuf = temp.path().join("real/cache/tierce.db");
    std::os::unix::fs::symlink(&victim, planted.join("tierce.db")).unwrap();
    assert_eq!(Cache::builder().open(&planted).unwrap_err().code(), Code::Unavailable);
}

#[cfg(unix)]
#[test]
fn everything_in_the_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    fn assert_private(path: &Path) {
        let mode = fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| assert_private(&entry.unwrap().path()));
        }
    }
    let temp = temp();
    let dir = temp.path().join("cache");
    let cache = open(&dir);
    cache.set("k", &telling(1, 1, 50_000)).unwrap();
    assert_private(&dir);
}

#[test]
fn a_flush_of_many_accesses_keeps_the_log_short() {
    let temp = temp();
    let cache = Cache::builder().codec(uncoded("none")).open(temp.path()).unwrap();
    for key in 0..6_000 {
        cache.set(format!("{key}"), &telling(key, 1, 1_000)).unwrap();
    }
    cache.settle_down().unwrap();
    for key in 0..6_000 {
        cache.get(format!("{key}")).unwrap();
    }
    cache.flush().unwrap();
    let log = fs::metadata(temp.path().join("tierce.db-wal")).unwrap().len();
    assert!(log < 16 << 20, "{log} bytes of log for 6,000 accesses");
}

/// A host language lets go when its event loop turns, where nobody could be told.
#[test]
fn letting_go_of_a_snapshot_needs_no_other_connection_and_so_no_directory() {
    let temp = temp();
    let (dir, moved) = (temp.path().join("cache"), temp.path().join("moved"));
    let cache = open(&dir);
    let names: Vec<String> = (0..200).map(|number| format!("key {number}")).collect();
    for name in &names {
        cache.set(name.as_str(), &[7; 20_000]).unwrap();
    }
    let keys: Vec<Key<'_>> = names.iter().map(|name| Key::from(name.as_str())).collect();
    fs::rename(&dir, &moved).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                let _ = cache.get_many(&keys);
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut outcomes = Vec::new();
        while !done.load(Ordering::Relaxed) {
            outcomes.push(cache.release());
            std::thread::yield_now();
        }
        assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|one| one.is_err()));
    });
}

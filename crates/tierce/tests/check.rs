//! `check` finds every sort of damage, says nothing of what is sound, and repairs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{
    Dice, assert_no_orphans, assert_settled, copy, database, noise, open, telling, temp, value_files,
    version_in,
};
use tierce::{Cache, CheckReport, ProblemKind, SetOptions, Wait, Write};

const KEYS: u64 = 60;

fn size_of(key: u64) -> usize {
    [40, 900, 6_000, 40_000][key as usize % 4]
}

fn sample() -> tempfile::TempDir {
    let temp = temp();
    let cache = open(temp.path());
    for key in 0..KEYS {
        cache.set(format!("{key}"), &telling(key, 1, size_of(key))).unwrap();
    }
    cache.close().unwrap();
    temp
}

fn kinds(report: &CheckReport) -> Vec<ProblemKind> {
    report.problems.iter().map(|problem| problem.kind).collect()
}

/// What `check` says of a directory that something was done to: it finds it twice, repairs it, and then it is gone.
fn found_and_repaired(attack: impl FnOnce(&Path)) -> (CheckReport, Cache) {
    let temp = sample();
    let cache = open(temp.path());
    attack(temp.path());
    let seen = cache.check(false).unwrap();
    assert!(seen.found > 0, "the damage was not found");
    assert_eq!(seen.fixed, 0);
    let again = cache.check(false).unwrap();
    assert_eq!(seen, again, "a check without fix changes nothing");
    let fixed = cache.check(true).unwrap();
    assert_eq!(fixed.fixed, fixed.found, "{fixed:?}");
    let clean = cache.check(false).unwrap();
    assert_eq!(clean.found, 0, "{clean:?}");
    assert_settled_but_for_unlinked(temp.path(), &cache);
    for key in 0..KEYS {
        let live = cache.has(format!("{key}")).unwrap();
        let value = cache.get(format!("{key}")).unwrap();
        assert_eq!(live, value.is_some(), "`has` is true where `get` gives a value: {key}");
        if let Some(value) = value {
            assert_eq!(version_in(key, &value), 1);
        }
    }
    assert!(
        cache.take_faults().iter().all(|fault| fault.to_string().contains("database")),
        "nothing was left to find"
    );
    (seen, cache)
}

/// A transaction later, what was unlinked is forgotten too.
fn assert_settled_but_for_unlinked(dir: &Path, cache: &Cache) {
    cache.set("more", b"1").unwrap();
    cache.delete("more").unwrap();
    assert_settled(dir);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_cache_has_no_problems_and_everything_is_counted() {
    let temp = sample();
    let cache = open(temp.path());
    let report = cache.check(true).unwrap();
    assert_eq!((report.entries, report.files, report.found), (KEYS, KEYS / 4, 0), "{report:?}");
    let stored = cache.stats().unwrap().stored_size;
    assert_eq!(report.bytes, stored, "every stored byte was read");
}

#[test]
fn a_deleted_a_cut_and_a_damaged_value_file_are_found_and_their_entries_go() {
    type Attack = fn(&[PathBuf]);
    let attacks: [(ProblemKind, Attack); 4] = [
        (ProblemKind::MissingFile, |files| fs::remove_file(&files[3]).unwrap()),
        (ProblemKind::DamagedFile, |files| {
            fs::OpenOptions::new().write(true).open(&files[3]).unwrap().set_len(900).unwrap();
        }),
        (ProblemKind::DamagedFile, |files| flip(&files[3], 30_000)),
        (ProblemKind::DamagedFile, |files| fs::write(&files[3], noise(1, 500)).unwrap()),
    ];
    for (kind, attack) in attacks {
        let (report, cache) = found_and_repaired(|dir| attack(&value_files(dir)));
        assert_eq!(kinds(&report), [kind]);
        assert!(report.problems[0].path.is_some() && report.problems[0].key.is_some());
        assert_eq!(cache.len().unwrap(), KEYS - 1);
    }
}

#[test]
fn damaged_rows_are_found_without_being_read() {
    let (report, cache) = found_and_repaired(|dir| {
        let conn = database(dir);
        conn.execute("UPDATE entries SET frame = substr(frame, 1, 41) WHERE key = CAST('0' AS BLOB)", [])
            .unwrap();
        conn.execute("UPDATE entries SET expires = 9e15 WHERE key = CAST('1' AS BLOB)", []).unwrap();
        conn.execute("UPDATE entries SET key = CAST('zz' AS BLOB) WHERE key = CAST('2' AS BLOB)", [])
            .unwrap();
        conn.execute("UPDATE entries SET frame = x'00' WHERE key = CAST('3' AS BLOB)", []).unwrap();
    });
    let damaged = kinds(&report).into_iter().filter(|kind| *kind == ProblemKind::DamagedEntry).count();
    assert_eq!(damaged, 4, "{report:?}");
    assert_eq!(cache.len().unwrap(), KEYS - 4);
}

#[test]
fn an_account_that_differs_is_counted_anew() {
    let (report, _) = found_and_repaired(|dir| {
        let conn = database(dir);
        conn.execute("UPDATE facts SET value = 7 WHERE name = 'file_bytes'", []).unwrap();
        conn.execute("UPDATE entries SET size = 1 WHERE key IN (CAST('5' AS BLOB), CAST('3' AS BLOB))", [])
            .unwrap();
    });
    assert_eq!(kinds(&report), [ProblemKind::WrongAccount; 3]);
}

#[test]
fn orphan_and_unlisted_files_are_told_apart_from_entries_files() {
    let (report, cache) = found_and_repaired(|dir| {
        fs::create_dir_all(dir.join("values/0a")).unwrap();
        fs::write(dir.join("values/0a/0a00000000000001"), b"nobody's").unwrap();
        let conn = database(dir);
        // One entry's file is unlisted, one is taken for a dead owner's, and one file is listed that no entry has.
        conn.execute("DELETE FROM files WHERE write_id = (SELECT min(write_id) FROM files)", []).unwrap();
        conn.execute("INSERT INTO files VALUES (5, 4096, NULL)", []).unwrap();
    });
    let orphans = kinds(&report).into_iter().filter(|kind| *kind == ProblemKind::OrphanFile).count();
    let accounts = kinds(&report).into_iter().filter(|kind| *kind == ProblemKind::WrongAccount).count();
    assert!(orphans >= 2 && accounts >= 1, "{report:?}");
    assert_eq!(cache.len().unwrap(), KEYS, "no entry was lost to files");
}

#[test]
fn tags_that_are_damaged_or_nobodys_are_found() {
    let temp = temp();
    let cache = open(temp.path());
    for key in 0..4 {
        let name = format!("{key}");
        let carried = SetOptions { tags: &["all", &name], ..SetOptions::default() };
        cache.set_with(format!("{key}"), &telling(key, 1, size_of(key)), &carried).unwrap();
    }
    assert_eq!(cache.check(true).unwrap().found, 0);
    let conn = database(temp.path());
    conn.execute("DELETE FROM tags WHERE tag = '0'", []).unwrap();
    conn.execute("UPDATE extras SET body = zeroblob(5) WHERE id = (SELECT id FROM tags WHERE tag = '1')", [])
        .unwrap();
    conn.execute("INSERT INTO tags (tag, id) VALUES ('nobody', 5)", []).unwrap();
    let found = cache.check(true).unwrap();
    assert_eq!((found.found, found.fixed), (3, 3), "{found:?}");
    assert_eq!(cache.check(false).unwrap().found, 0);
    assert_eq!(cache.invalidate_tags(&["0"]).unwrap(), 1, "it is listed again");
    assert_eq!(cache.len().unwrap(), 2);
}

#[test]
fn files_of_the_users_are_reported_and_left_alone() {
    let temp = sample();
    let cache = open(temp.path());
    let mine = [temp.path().join("values/notes.txt"), temp.path().join("values/00/notes.txt")];
    fs::create_dir_all(temp.path().join("values/00")).unwrap();
    mine.iter().for_each(|path| fs::write(path, b"mine").unwrap());
    let report = cache.check(true).unwrap();
    assert_eq!(kinds(&report), [ProblemKind::ForeignFile; 2]);
    assert_eq!(report.fixed, 0);
    assert!(mine.iter().all(|path| path.exists()));
}

#[test]
fn what_a_killed_process_left_is_found() {
    let temp = sample();
    let cache = open(temp.path());
    let conn = database(temp.path());
    conn.execute("INSERT INTO files VALUES (?1, 4096, 77)", [0x0b00_0000_0000_0001_i64]).unwrap();
    fs::create_dir_all(temp.path().join("values/0b")).unwrap();
    fs::write(temp.path().join("values/0b/0b00000000000001"), b"half a value").unwrap();
    assert_eq!(kinds(&cache.check(false).unwrap()), [ProblemKind::OrphanFile]);
    assert_eq!(cache.check(true).unwrap().found, 0, "the repair begins with what an open does");
    assert_no_orphans(temp.path());
}

#[test]
fn noise_in_the_database_is_found_and_mended_while_the_cache_is_open() {
    let original = sample();
    let pages = fs::metadata(original.path().join("tierce.db")).unwrap().len() / Cache::PAGE_SIZE;
    let mut dice = Dice::new(6);
    for _ in 0..8 {
        let temp = temp();
        copy(original.path(), temp.path());
        let cache = open(temp.path());
        let path = temp.path().join("tierce.db");
        let at = (1 + dice.below(pages - 1)) as usize * Cache::PAGE_SIZE as usize;
        let mut bytes = fs::read(&path).unwrap();
        bytes[at..][..Cache::PAGE_SIZE as usize]
            .copy_from_slice(&noise(at as u64, Cache::PAGE_SIZE as usize));
        fs::write(&path, bytes).unwrap();
        let seen = cache.check(false).unwrap();
        if seen.found == 0 {
            continue; // a page that is in use by nothing
        }
        cache.check(true).unwrap();
        assert_eq!(cache.check(false).unwrap().found, 0);
        for key in 0..KEYS {
            if let Some(value) = cache.get(format!("{key}")).unwrap() {
                assert_eq!(version_in(key, &value), 1);
            }
        }
        assert_no_orphans(temp.path());
    }
}

#[test]
fn a_check_beside_writers_finds_nothing_and_takes_nothing() {
    let temp = sample();
    let (cache, other) = (open(temp.path()), open(temp.path()));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut version = 1;
            while !stop.load(Ordering::Relaxed) {
                version += 1;
                for key in 0..KEYS {
                    other.set(format!("{key}"), &telling(key, version, size_of(key + version))).unwrap();
                }
                for key in 0..KEYS {
                    let value = other.get(format!("{key}")).unwrap().expect("an entry that nobody removed");
                    assert_eq!(version_in(key, &value), version);
                }
            }
        });
        for round in 0..12 {
            let report = cache.check(round % 2 == 0).unwrap();
            assert_eq!(report.found, 0, "{report:?}");
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

/// Pages of one sort, one of each table: name, sort, number, path in its tree, cells.
fn pages(dir: &Path) -> Vec<(String, String, u64, String, u64)> {
    let conn = database(dir);
    let mut found = conn
        .prepare("SELECT name, pagetype, pageno, path, ncell FROM dbstat WHERE pageno > 1 ORDER BY pageno")
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get::<_, i64>(2)? as u64,
            row.get(3)?,
            row.get::<_, i64>(4)? as u64,
        ))
    };
    found.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Entries that are small, so that their tree has three levels, and one of each other sort of rows.
fn deep() -> (tempfile::TempDir, u64) {
    const ENTRIES: u64 = 12_000;
    let temp = temp();
    let cache = open(temp.path());
    let value = noise(3, 200);
    let names: Vec<_> = (0..ENTRIES).map(|key| format!("{key}")).collect();
    for some in names.chunks(1000) {
        let writes: Vec<_> = some.iter().map(|name| Write::set(name.as_str(), &value)).collect();
        cache.apply(&writes, Wait::Yes).unwrap();
    }
    let tagged = SetOptions { tags: &["tag"], ..SetOptions::default() };
    cache.set_with("tagged", &value, &tagged).unwrap();
    cache.set("in a file", &noise(4, 200_000)).unwrap();
    cache.close().unwrap();
    (temp, ENTRIES + 2)
}

#[test]
fn whatever_page_is_damaged_what_can_be_reached_is_counted_and_what_cannot_is_told_of() {
    let (original, entries) = deep();
    let known = pages(original.path());
    let mut sorts = std::collections::BTreeMap::new();
    for page in &known {
        let depth = page.3.matches('/').count();
        sorts.insert((page.0.clone(), page.1.clone(), depth), page); // the last of each sort
    }
    assert!(sorts.keys().filter(|(name, ..)| name == "entries").count() >= 3, "{:?}", sorts.keys());
    for (sort, (name, _, number, path, _)) in &sorts {
        let below = known.iter().filter(|page| page.1 == "leaf" && page.3.starts_with(path.as_str()));
        let lost: u64 =
            below.filter(|page| page.0 == "entries" && name == "entries").map(|page| page.4).sum();
        let temp = temp();
        copy(original.path(), &temp.path().join("cache"));
        let dir = temp.path().join("cache");
        let cache = open(&dir);
        let mut bytes = fs::read(dir.join("tierce.db")).unwrap();
        bytes[*number as usize * 4096 - 4096..*number as usize * 4096].copy_from_slice(&noise(*number, 4096));
        fs::write(dir.join("tierce.db"), bytes).unwrap();
        let seen = cache.check(false).unwrap();
        assert_eq!(kinds(&seen)[0], ProblemKind::DamagedDatabase, "{sort:?}: {seen:?}");
        let reachable = entries - lost;
        assert!(reachable - seen.entries <= 1, "{sort:?}: {seen:?} of {reachable}");
        let told = seen.unreachable;
        if lost == entries {
            assert_eq!(told, 1, "{sort:?}: how many there were, nobody knows");
        } else {
            assert!(told >= lost / 2 && told <= lost * 2, "{sort:?}: {told} for {lost}");
        }
        assert_eq!(cache.check(false).unwrap(), seen, "{sort:?}: a check without fix changes nothing");
        let fixed = cache.check(true).unwrap();
        assert_eq!((fixed.fixed, fixed.unreachable), (fixed.found, told), "{sort:?}: {fixed:?}");
        let clean = cache.check(false).unwrap();
        assert_eq!((clean.found, clean.unreachable), (0, 0), "{sort:?}: {clean:?}");
        assert!(reachable - clean.entries <= 3, "{sort:?}: {clean:?} of {reachable}");
        assert_settled_but_for_unlinked(&dir, &cache);
    }
}

//! A cache without a database, through its public API: verbs, bounds, damage, and what stands in its folders.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::{builder, encrypted, noise, temp, uncoded};
use tierce::policy::PolicyKind;
use tierce::{
    Builder, Cell, Code, Key, Listing, ManualClock, MetaRow, SetOptions, SidecarCache, State, StreamOptions,
    Wait, Write,
};

const NOW: u64 = 1_800_000_000_000;

fn open(dir: &Path) -> SidecarCache {
    builder().open_sidecar(dir).unwrap()
}

fn plain() -> Builder {
    builder().codec(uncoded("none"))
}

fn at(now: u64) -> (Arc<ManualClock>, Builder) {
    let clock = Arc::new(ManualClock::new(now));
    (Arc::clone(&clock), plain().clock(clock))
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_in(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn entry_files(dir: &Path) -> Vec<PathBuf> {
    files_in(&dir.join("entries"))
}

#[test]
fn a_file_can_be_read_by_people() {
    let dir = temp();
    let (_, builder) = at(NOW);
    let cache = builder.open_sidecar(dir.path()).unwrap();
    let row = MetaRow { table: "runs".into(), cells: vec![("n".into(), Cell::Integer(1))] };
    let options = SetOptions {
        ttl: Some(Duration::from_secs(1)),
        tags: &["users"],
        description: Some("who"),
        meta: &[row],
    };
    cache.set_with("user:1", b"Ada", &options).unwrap();
    let [path] = &entry_files(dir.path())[..] else { panic!("one entry is one file") };
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("{\"tierce\":1,\"head\":\""));
    let head = lines.next().unwrap();
    let id = Key::from("user:1").digest().id() as u64;
    assert!(path.ends_with(format!("{:02x}/{id:016x}.entry", id >> 56)));
    for part in [
        "{\"key\":\"user:1\",\"digest\":\"",
        &format!("\"createdAt\":{NOW},\"expiresAt\":{}", NOW + 1000),
        "\"size\":3,\"storedSize\":3",
        "\"tags\":[\"users\"],\"description\":\"who\",\"meta\":{\"runs\":{\"n\":1}}}",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }
    assert_eq!(lines.next(), Some("Ada"));
    assert_eq!(text.find("Ada").unwrap() % 64, 0);
    let entry = cache.entry("user:1").unwrap().unwrap();
    assert_eq!((entry.value, entry.meta.created_at, entry.meta.accessed_at), (b"Ada".to_vec(), NOW, NOW));
    assert_eq!(entry.extras.tags, ["users"]);
}

#[test]
fn all_that_follows_holds_where_entries_are_encrypted() {
    for test in [
        what_takes_a_database_is_refused,
        add_is_one_step_between_handles_and_threads,
        add_takes_the_place_of_what_has_expired_or_is_damaged,
        every_flipped_byte_and_every_cut_is_a_miss,
        a_file_under_the_name_of_another_is_a_miss,
        nonsense_never_crashes_nor_takes_memory_and_foreign_files_stay,
        the_number_of_entries_holds_after_every_call_and_the_least_used_go,
        fifo_goes_by_the_writes_alone,
        the_size_holds_with_many_writers,
        what_the_dead_left_is_removed_and_what_the_living_make_is_not,
        streams_are_checked_chunk_by_chunk,
        backups_and_snapshots_go_between_both_kinds,
        a_directory_that_is_deleted_is_empty_and_is_made_again,
    ] {
        encrypted(test);
    }
}

#[test]
fn what_takes_a_database_is_refused() {
    let dir = temp();
    let cache = open(dir.path());
    let increment =
        Write::Increment { key: Key::from("n"), by: tierce::Number::Integer(1), expires_at: None };
    let check = Write::Check { key: Key::from("n"), version: None };
    for write in [increment, check] {
        let set = Write::set("beside", b"1");
        let why = cache.apply(&[set, write], Wait::Yes).unwrap_err();
        assert_eq!(why.code(), Code::Unavailable);
        assert!(why.to_string().contains("'json'"), "{why}");
        assert!(!cache.has("beside").unwrap(), "none of a batch that cannot be written is");
    }
    assert_eq!(fs::read_dir(dir.path().join("temp")).unwrap().count(), 0, "what was staged is gone");
    for policy in [PolicyKind::Lfu, PolicyKind::Sieve, PolicyKind::S3Fifo, PolicyKind::Lifo, PolicyKind::Mru]
    {
        let why = builder().policy(policy).open_sidecar(temp().path()).unwrap_err();
        assert_eq!(why.code(), Code::InvalidOption);
        assert!(why.to_string().contains("lru, fifo"), "{why}");
    }
}

#[test]
fn add_is_one_step_between_handles_and_threads() {
    let dir = temp();
    for round in 0..20 {
        let key = format!("k{round}");
        let start = std::sync::Barrier::new(8);
        let winners: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8u8)
                .map(|thread| {
                    let (key, start, cache) = (&key, &start, open(dir.path()));
                    scope.spawn(move || {
                        start.wait();
                        usize::from(cache.add(key, &[thread]).unwrap())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
        assert!(open(dir.path()).has(&key).unwrap());
    }
}

#[test]
fn add_takes_the_place_of_what_has_expired_or_is_damaged() {
    let dir = temp();
    let (clock, builder) = at(NOW);
    let cache = builder.open_sidecar(dir.path()).unwrap();
    cache
        .set_with("k", b"old", &SetOptions { ttl: Some(Duration::from_millis(5)), ..Default::default() })
        .unwrap();
    assert!(!cache.add("k", b"early").unwrap());
    clock.advance(5);
    assert_eq!(cache.state("k").unwrap(), State::Expired);
    assert!(cache.add("k", b"new").unwrap());
    assert_eq!(cache.get("k").unwrap().unwrap(), b"new");
    let path = entry_files(dir.path()).remove(0);
    fs::write(&path, b"nonsense").unwrap();
    assert!(cache.add("k", b"newest").unwrap());
    assert_eq!(cache.get("k").unwrap().unwrap(), b"newest");
}

#[test]
fn every_flipped_byte_and_every_cut_is_a_miss() {
    let dir = temp();
    let cache = open(dir.path());
    let value = noise(1, 200);
    let options = SetOptions { tags: &["t"], description: Some("d"), ..Default::default() };
    cache.set_with("k", &value, &options).unwrap();
    let path = entry_files(dir.path()).remove(0);
    let sound = fs::read(&path).unwrap();
    let is_missed = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        assert_eq!(cache.entry("k").unwrap(), None, "{what}");
        let faults = cache.take_faults();
        assert!(!faults.is_empty(), "{what} was not reported");
        assert!(
            faults.iter().all(|fault| matches!(fault.code(), Code::Corrupt | Code::Format)),
            "{what}: {faults:?}"
        );
        let newer = faults.iter().any(|fault| fault.code() == Code::Format);
        assert_eq!(
            path.exists(),
            newer,
            "{what}: what is damaged is removed, what a newer release wrote is not"
        );
    };
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        is_missed(&bytes, &format!("byte {at}"));
    }
    for length in 0..sound.len() {
        is_missed(&sound[..length], &format!("{length} bytes"));
    }
    is_missed(&[&sound[..], b"x"].concat(), "a byte more");
    fs::write(&path, &sound).unwrap();
    assert_eq!(cache.get("k").unwrap().unwrap(), value);
}

#[test]
fn a_file_under_the_name_of_another_is_a_miss() {
    let dir = temp();
    let cache = open(dir.path());
    cache.set("a", b"of a").unwrap();
    let a = entry_files(dir.path()).remove(0);
    cache.set("b", b"of b").unwrap();
    let b = entry_files(dir.path()).into_iter().find(|path| *path != a).unwrap();
    fs::copy(&a, &b).unwrap();
    assert_eq!(cache.get("b").unwrap(), None);
    assert_eq!(cache.get("a").unwrap().unwrap(), b"of a");
    assert_eq!(cache.take_faults().len(), 1);
}

#[test]
fn nonsense_never_crashes_nor_takes_memory_and_foreign_files_stay() {
    let dir = temp();
    let cache = open(dir.path());
    for number in 0..50 {
        cache.set(format!("k{number}"), &noise(number, 100)).unwrap();
    }
    let entries = dir.path().join("entries");
    let foreign = [
        entries.join("notes.txt"),
        entries.join("ab").join("0000.entry"),
        entries.join("ab").join("ABCDEF0123456789.entry"),
        entries.join("ab").join("cd00000000000000.entry"),
        entries.join("zz").join("x"),
        dir.path().join("temp").join("mine.tmp"),
        dir.path().join("readme"),
    ];
    for path in &foreign {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"mine").unwrap();
    }
    // Sound names over bytes that announce the largest of everything.
    let huge = format!("{:<63}\n", "{\"tierce\":1,\"head\":\"03ffffff\",\"xxh3\":\"0000000000000000\"}");
    let names = ["ab00000000000001", "ab00000000000002", "ab00000000000003", "ab00000000000004"];
    let bytes: [Vec<u8>; 4] =
        [vec![], noise(1, 5000), huge.clone().into_bytes(), [huge.as_bytes(), &noise(2, 9000)].concat()];
    for (name, bytes) in names.iter().zip(&bytes) {
        fs::write(entries.join("ab").join(format!("{name}.entry")), bytes).unwrap();
    }
    let sparse = fs::File::create(entries.join("ab").join("ab00000000000005.entry")).unwrap();
    std::io::Write::write_all(&mut &sparse, huge.as_bytes()).unwrap();
    sparse.set_len(1 << 40).unwrap();
    fs::create_dir_all(entries.join("ab").join("ab00000000000006.entry")).unwrap();

    assert_eq!(cache.page(&Listing { limit: 1000, ..Listing::default() }).unwrap().entries.len(), 50);
    assert_eq!(cache.stats().unwrap().entries, 50);
    let report = cache.check(false).unwrap();
    assert!(report.found >= 11, "{report:?}");
    assert_eq!(report.fixed, 0);
    cache.check(true).unwrap();
    cache.cleanup(u64::MAX).unwrap();
    cache.invalidate_tags(&["t"]).unwrap();
    assert_eq!(cache.stats().unwrap().entries, 50);
    cache.clear().unwrap();
    assert!(
        cache.is_empty().unwrap() || cache.len().unwrap() == 1,
        "only the directory with the name of a file is left"
    );
    for path in foreign {
        assert_eq!(fs::read(&path).unwrap(), b"mine", "{path:?}");
    }
}

#[test]
fn the_number_of_entries_holds_after_every_call_and_the_least_used_go() {
    let dir = temp();
    let (clock, builder) = at(NOW);
    let cache = builder.clone().max(5).open_sidecar(dir.path()).unwrap();
    for key in ["a", "b", "c", "d", "e"] {
        cache.set(key, b"v").unwrap();
    }
    cache.get("a").unwrap();
    cache.touch("b").unwrap();
    cache.set("f", b"v").unwrap();
    assert_eq!((cache.len().unwrap(), cache.has("c").unwrap()), (5, false));
    cache.close().unwrap();
    clock.advance(1);
    let again = builder.clone().max(5).open_sidecar(dir.path()).unwrap();
    again.set("g", b"v").unwrap();
    assert_eq!((again.len().unwrap(), again.has("d").unwrap(), again.has("a").unwrap()), (5, false, true));
    // Others fill it meanwhile: the next look finds them.
    let other = builder.open_sidecar(dir.path()).unwrap();
    for number in 0..20 {
        other.set(format!("other {number}"), b"v").unwrap();
    }
    again.set("h", b"v").unwrap();
    assert_eq!((again.len().unwrap(), again.has("h").unwrap()), (5, true));
}

#[test]
fn fifo_goes_by_the_writes_alone() {
    let dir = temp();
    let (_, builder) = at(NOW);
    let cache = builder.max(3).policy(PolicyKind::Fifo).open_sidecar(dir.path()).unwrap();
    for key in ["a", "b", "c"] {
        cache.set(key, b"v").unwrap();
    }
    cache.get("a").unwrap();
    cache.set("d", b"v").unwrap();
    let left: Vec<_> = ["a", "b", "c", "d"].into_iter().filter(|key| cache.has(*key).unwrap()).collect();
    assert_eq!(left, ["b", "c", "d"]);
}

#[test]
fn the_size_holds_with_many_writers() {
    let dir = temp();
    const BOUND: u64 = 4 << 20;
    let disk_size = |dir: &Path| -> u64 {
        entry_files(dir).iter().map(|path| fs::metadata(path).unwrap().len().next_multiple_of(4096)).sum()
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = plain().max_size(BOUND).open_sidecar(dir.path()).unwrap();
            scope.spawn(move || {
                for number in 0..400u64 {
                    cache.set(format!("{thread} {number}"), &noise(number, 10_000)).unwrap();
                }
            });
        }
    });
    let size = disk_size(dir.path());
    // Each of four handles may be a 32nd beyond it, and by what it wrote since its last look.
    assert!(size <= BOUND + BOUND / 8 + 4 * 16_384, "{size} bytes");
    assert!(size >= BOUND / 2, "{size} bytes: more went than had to");
    let cache = plain().max_size(BOUND).open_sidecar(dir.path()).unwrap();
    assert_eq!(cache.set("large", &noise(1, BOUND as usize + 1)).unwrap_err().code(), Code::ValueTooLarge);
}

#[test]
fn what_the_dead_left_is_removed_and_what_the_living_make_is_not() {
    let dir = temp();
    let cache = open(dir.path());
    cache.set("k", b"v").unwrap();
    let temp_dir = dir.path().join("temp");
    let mut writer = cache.write_stream("stream", StreamOptions::default());
    writer.write(&noise(1, 600_000)).unwrap();
    let [own] = &files_in(&temp_dir)[..] else { panic!("a stream is one file on its way") };
    let name = own.file_name().unwrap().to_str().unwrap();
    let mut parts: Vec<_> = name.split('-').map(str::to_owned).collect();
    parts[2] = "0000000000000001".into(); // a process of this number that started at another time
    let left = temp_dir.join(parts.join("-"));
    fs::write(&left, b"half").unwrap();

    let other = open(dir.path());
    let report = other.check(true).unwrap();
    assert_eq!((report.found, report.fixed, report.entries), (1, 1, 1), "{report:?}");
    assert!(!left.exists() && own.exists());
    fs::write(&left, b"half").unwrap();
    other.cleanup(10).unwrap();
    assert!(!left.exists() && own.exists());
    writer.write(b"end").unwrap();
    cache.finish_stream(writer).unwrap();
    assert_eq!(other.get("stream").unwrap().unwrap().len(), 600_003);
    let dropped = cache.write_stream("gone", StreamOptions::default());
    drop(dropped);
    assert_eq!(files_in(&temp_dir), Vec::<PathBuf>::new());
}

#[test]
fn streams_are_checked_chunk_by_chunk() {
    let dir = temp();
    for codec in ["none", "lz4"] {
        let cache = builder().codec(uncoded(codec)).open_sidecar(dir.path()).unwrap();
        for length in [0, 10, 262_144, 262_145, 1_000_000] {
            let value = noise(length as u64, length);
            let mut writer = cache.write_stream("s", StreamOptions::default());
            value.chunks(70_000).for_each(|chunk| writer.write(chunk).unwrap());
            cache.finish_stream(writer).unwrap();
            assert!(cache.get("s").unwrap().unwrap() == value, "{length}");
            let mut reader = cache.read_stream("s").unwrap().unwrap();
            let mut read = Vec::new();
            while let Some(piece) = cache.next_piece(&mut reader).unwrap() {
                read.extend(piece);
            }
            assert!(read == value, "{length}");
        }
    }
    let cache = open(dir.path());
    let path = entry_files(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let mut reader = cache.read_stream("s").unwrap().unwrap();
    let outcome = std::iter::from_fn(|| cache.next_piece(&mut reader).transpose()).last().unwrap();
    assert_eq!(outcome.unwrap_err().code(), Code::Corrupt);
    assert!(!path.exists());
}

#[test]
fn backups_and_snapshots_go_between_both_kinds() {
    let (json, sqlite, copy, file) = (temp(), temp(), temp(), temp());
    let cache = open(json.path());
    for number in 0..300 {
        let options = SetOptions { tags: &["t"], ..Default::default() };
        cache.set_with(format!("k{number}"), &noise(number, 50 * number as usize), &options).unwrap();
    }
    let to = copy.path().join("copy");
    assert_eq!(cache.backup(&to).unwrap().entries, 300);
    assert_eq!(builder().open(&to).unwrap_err().code(), Code::InvalidOption);
    let restored = open(&to);
    assert_eq!(restored.stats().unwrap().size, cache.stats().unwrap().size);

    let path = file.path().join("snapshot");
    assert_eq!(restored.save(&path).unwrap().0, 300);
    let database = builder().open(sqlite.path()).unwrap();
    assert_eq!(database.load(&path, false).unwrap().entries, 300);
    assert_eq!(database.get("k299").unwrap().unwrap(), noise(299, 50 * 299));
    database.save(&path).unwrap();
    cache.set("only here", b"1").unwrap();
    assert_eq!(cache.load(&path, false).unwrap().entries, 300);
    assert!(!cache.has("only here").unwrap());
    assert_eq!(cache.invalidate_tags(&["t"]).unwrap(), 300);
    assert!(cache.is_empty().unwrap());
    fs::write(&path, b"nonsense").unwrap();
    restored.load(&path, false).unwrap_err();
    assert_eq!(restored.len().unwrap(), 300, "a file that is none changes nothing");
}

/// In a process of its own, as the limit is one of processes.
#[cfg(unix)]
#[test]
fn a_batch_may_have_more_entries_than_a_process_may_open_files() {
    const DIR: &str = "TIERCE_FEW_FILES_DIR";
    if let Ok(dir) = std::env::var(DIR) {
        let keys: Vec<_> = (0..300).map(|number| number.to_string()).collect();
        let writes: Vec<_> = keys.iter().map(|key| Write::set(key.as_str(), key.as_bytes())).collect();
        open(Path::new(&dir)).apply(&writes, Wait::Yes).unwrap();
        return;
    }
    let dir = temp();
    let test = "a_batch_may_have_more_entries_than_a_process_may_open_files";
    let script = format!("ulimit -n 100; exec \"$0\" --exact {test} --nocapture");
    let mut child = std::process::Command::new("sh");
    child.args(["-c", &script]).arg(std::env::current_exe().unwrap()).env(DIR, dir.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(open(dir.path()).len().unwrap(), 300);
}

#[test]
fn a_directory_that_is_deleted_is_empty_and_is_made_again() {
    let parent = temp();
    let dir = parent.path().join("cache");
    let cache = open(&dir);
    cache.set("k", b"v").unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(cache.get("k").unwrap(), None);
    assert_eq!(cache.stats().unwrap().entries, 0);
    assert!(!cache.delete("k").unwrap());
    cache.set("k", b"again").unwrap();
    assert_eq!(cache.get("k").unwrap().unwrap(), b"again");
    assert_eq!(open(&dir).get("k").unwrap().unwrap(), b"again", "it is what it was");
}

#[cfg(unix)]
#[test]
fn folders_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = temp();
    let dir = parent.path().join("cache");
    open(&dir).set("k", b"v").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in files_in(&dir) {
        assert_eq!(mode(&path), 0o600, "{path:?}");
        path.ancestors()
            .skip(1)
            .take_while(|up| *up != parent.path())
            .for_each(|up| assert_eq!(mode(up), 0o700, "{up:?}"));
    }
}

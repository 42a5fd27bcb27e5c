//! A directory that somebody prepared: nothing in it runs, overflows memory, or answers for another key.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use common::{database, noise, open, temp};
use rusqlite::params;
use tierce::{Cache, Key};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A row as the format document describes it, made without the library: every checksum is right.
struct Forged<'a> {
    key: &'a [u8],
    /// Whose digest the row is filed under and bound to.
    filed_under: &'a [u8],
    codec: u8,
    raw_size: u64,
    payload: &'a [u8],
}

impl Forged<'_> {
    fn insert(&self, conn: &rusqlite::Connection) {
        let digest = Key::from_text(self.filed_under.to_vec()).digest();
        let stored = self.payload.len() as u64;
        let mut frame = b"TRCE\x01\x00".to_vec();
        frame.extend([self.codec, 0]);
        for word in [self.raw_size, stored, 7] {
            frame.extend(word.to_le_bytes());
        }
        let bound = xxh3_64(&[&digest.to_bytes()[..], &frame].concat());
        let checksum = xxh3_64_with_seed(self.payload, bound).to_le_bytes();
        frame.extend(checksum);
        let created = 1_700_000_000_000u64;
        let never = u64::MAX.to_le_bytes();
        let sealed = [&digest.to_bytes()[..], &created.to_le_bytes(), &never, &never, &checksum].concat();
        frame.extend(self.payload);
        conn.execute(
            "INSERT OR REPLACE INTO entries (id, seal, accessed, hits, created, entered, earlier, mark, size, stored, key, frame) \
             VALUES (?1, ?2, 0, 1 << 40, ?3, 0, 0, 0, ?4, ?5, ?6, ?7)",
            params![
                digest.id(),
                xxh3_64(&sealed) as i64,
                created as i64,
                self.raw_size as i64,
                stored as i64,
                self.key,
                frame
            ],
        )
        .unwrap();
    }
}

fn forge(conn: &rusqlite::Connection, key: &str, codec: u8, raw_size: u64, payload: &[u8]) {
    let key = key.as_bytes();
    Forged { key, filed_under: key, codec, raw_size, payload }.insert(conn);
}

#[test]
fn a_row_made_by_the_format_document_alone_is_read() {
    let temp = temp();
    let cache = open(temp.path());
    forge(&database(temp.path()), "k", 0, 5, b"value");
    assert_eq!(cache.get("k").unwrap().unwrap(), b"value");
    assert!(cache.take_faults().is_empty());
}

/// In a process of its own, as memory is measured: what the other tests take meanwhile is not this one's.
#[test]
fn a_frame_that_announces_more_than_its_payload_can_hold_allocates_nothing() {
    const ALONE: &str = "TIERCE_HOSTILE_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "a_frame_that_announces_more_than_its_payload_can_hold_allocates_nothing";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args([name, "--exact", "--nocapture"]).env(ALONE, "1");
        assert!(child.status().unwrap().success());
        return;
    }
    let temp = temp();
    let cache = open(temp.path());
    let conn = database(temp.path());
    let zstd = [0x28, 0xb5, 0x2f, 0xfd]; // its magic
    // The size in a frame of Zstandard: a single segment, with 8 bytes for it.
    let boastful = |size: u64| [&zstd[..], &[0xe0], &size.to_le_bytes(), &[1, 0, 0]].concat();
    for size in [1 << 34, 1 << 40, 1 << 46, u64::MAX >> 1, u64::MAX] {
        for (codec, payload) in [
            (0, b"abc".to_vec()),
            (1, b"abc".to_vec()),
            (2, b"abc".to_vec()),
            (2, boastful(size)),
            (9, vec![]),
        ] {
            forge(&conn, "k", codec, size, &payload);
            let before = peak_kib();
            assert_eq!(cache.get("k").unwrap(), None, "codec {codec}, {size} bytes announced");
            assert!(peak_kib() - before < 64 << 10, "codec {codec}, {size} bytes announced");
            assert_eq!(cache.take_faults().len(), 1);
            forge(&conn, "k", codec, size, &payload);
            assert!(!matches!(
                cache.fetch_into(&Key::from("k"), &mut [0; 1024], true, false).unwrap(),
                tierce::Fetched::Filled(_)
            ));
            cache.take_faults();
            cache.set("k", b"again").unwrap();
            assert_eq!(cache.get("k").unwrap().unwrap(), b"again");
            assert_eq!(cache.len().unwrap(), 1); // moves it out of the journal, which would be read before the row
        }
    }
}

/// The most memory that this process ever had resident.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

#[test]
fn a_file_that_is_all_hole_is_a_miss() {
    let temp = temp();
    let cache = open(temp.path());
    cache.set("k", &noise(1, 50_000)).unwrap();
    let file = common::value_files(temp.path()).remove(0);
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(1 << 42).unwrap();
    assert_eq!(cache.get("k").unwrap(), None);
}

#[test]
fn triggers_and_views_in_the_schema_never_run() {
    for hostile in [
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END",
        "CREATE VIEW v AS SELECT * FROM entries",
        "CREATE INDEX other ON entries (size)",
    ] {
        let temp = temp();
        open(temp.path()).set("before", b"1").unwrap();
        database(temp.path()).execute_batch(hostile).unwrap();
        let cache = open(temp.path());
        assert_eq!(cache.get("before").unwrap().unwrap(), b"1", "what verifies is kept");
        cache.set("after", b"2").unwrap();
        assert_eq!(cache.get("after").unwrap().unwrap(), b"2");
        let foreign: i64 = database(temp.path())
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'v', 'other')", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(foreign, 0);
    }
}

#[test]
fn a_view_in_the_place_of_the_table_is_not_asked() {
    let temp = temp();
    open(temp.path()).set("k", b"1").unwrap();
    let conn = database(temp.path());
    conn.execute_batch("ALTER TABLE entries RENAME TO real; CREATE VIEW entries AS SELECT * FROM real")
        .unwrap();
    drop(conn);
    let cache = open(temp.path());
    cache.set("k", b"2").unwrap();
    assert_eq!(cache.get("k").unwrap().unwrap(), b"2");
}

#[test]
fn columns_of_any_type_and_size_cost_their_entry_at_most() {
    let columns = [
        "seal", "accessed", "hits", "created", "expires", "fresh", "cost", "entered", "earlier", "mark",
        "size", "stored", "key", "frame",
    ];
    let values = ["'text'", "x'00ff'", "1e300", "-1", "9223372036854775807", "zeroblob(3000000)", "''"];
    for column in columns {
        for value in values {
            let temp = temp();
            let cache = Cache::builder().max_size(1 << 20).open(temp.path()).unwrap();
            cache.set("k", b"value").unwrap();
            cache.set("big", &noise(1, 40_000)).unwrap();
            cache.set("bystander", b"value").unwrap();
            let sql = format!("UPDATE entries SET {column} = {value} WHERE key <> CAST('bystander' AS BLOB)");
            database(temp.path()).execute(&sql, []).unwrap();
            drop(cache);
            let cache = Cache::builder().max_size(1 << 20).open(temp.path()).unwrap();
            for (key, stored) in [("k", b"value".to_vec()), ("big", noise(1, 40_000))] {
                let found = cache.get(key).unwrap();
                assert!(found.is_none_or(|found| found == stored), "{sql}");
            }
            assert!(cache.page(&tierce::Listing::default()).unwrap().entries.len() <= 3);
            cache.stats().unwrap();
            cache.flush().unwrap();
            cache.set("k", b"again").unwrap();
            assert_eq!(cache.get("k").unwrap().unwrap(), b"again", "{sql}");
            let huge = value.starts_with("zeroblob"); // counts against the bound until it is evicted
            assert!(huge || cache.get("bystander").unwrap().is_some(), "{sql}");
        }
    }
}

#[test]
fn a_false_account_of_the_files_does_not_empty_the_cache() {
    for account in ["9223372036854775807", "-5", "'many'", "1e18"] {
        let temp = temp();
        let cache = Cache::builder().max_size(4 << 20).open(temp.path()).unwrap();
        for key in 0..50 {
            cache.set(format!("{key}"), &noise(key, 40_000)).unwrap();
        }
        let sql = format!("UPDATE facts SET value = {account} WHERE name = 'file_bytes'");
        database(temp.path()).execute(&sql, []).unwrap();
        for key in 50..60 {
            cache.set(format!("{key}"), &noise(key, 100_000)).unwrap();
        }
        let left = (0..60).filter(|key| cache.has(format!("{key}")).unwrap()).count();
        assert!(left > 50, "{sql}: {left} of 60 are left");
        let files = common::value_files(temp.path()).len() as u64;
        let stats = cache.stats().unwrap();
        let used = stats.disk_size - stats.log_size;
        // An account that is too low costs space, not entries.
        assert!(matches!(account, "-5" | "'many'") || used > files * 40_000, "{sql}: {used} bytes in use");
        assert!(used < 4 << 20, "{sql}: {used} bytes in use");
    }
}

#[test]
fn a_row_filed_under_another_keys_digest_never_answers_for_it() {
    let temp = temp();
    let cache = open(temp.path());
    let forged = Forged { key: b"theirs", filed_under: b"mine", codec: 0, raw_size: 6, payload: b"theirs" };
    forged.insert(&database(temp.path()));
    assert_eq!(cache.get("mine").unwrap(), None);
    assert_eq!(cache.get("theirs").unwrap(), None);
    assert!(!cache.has("mine").unwrap() && !cache.delete("mine").unwrap());
    cache.set("mine", b"mine").unwrap();
    assert_eq!(cache.get("mine").unwrap().unwrap(), b"mine");
}

#[test]
fn two_keys_of_one_digest_never_get_each_others_value() {
    let [a, b] = common::colliding_keys().map(Key::from_text);
    assert_ne!(a, b);
    assert_eq!(a.digest(), b.digest(), "the digests collide");
    for size in [10, 50_000] {
        let temp = temp();
        let cache = open(temp.path());
        cache.set(a.clone(), &noise(1, size)).unwrap();
        assert_eq!(cache.get(b.clone()).unwrap(), None);
        assert!(!cache.delete(b.clone()).unwrap());
        assert_eq!(cache.get(a.clone()).unwrap().unwrap(), noise(1, size));
        cache.set(b.clone(), &noise(2, size)).unwrap();
        assert_eq!(cache.get(a.clone()).unwrap(), None, "the place is taken by the other key");
        assert_eq!(cache.get(b.clone()).unwrap().unwrap(), noise(2, size));
        let loaded: Result<_, ()> = cache.get_or_set(a.clone(), || Ok(noise(3, size)));
        assert_eq!(loaded.unwrap(), noise(3, size));
        common::assert_settled_files(temp.path(), usize::from(size > 40_000));
    }
}

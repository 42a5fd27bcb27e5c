//! What the attacks share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test file uses a part of it; a failure is a panic"
)]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use tierce::policy::PolicyKind;
use tierce::{Builder, Cache, CodecChoice, EncryptionKey};

/// The policies that a directory takes.
pub const ON_DISK: [PolicyKind; 7] = [
    PolicyKind::Lru,
    PolicyKind::Lfu,
    PolicyKind::Fifo,
    PolicyKind::Lifo,
    PolicyKind::Mru,
    PolicyKind::Sieve,
    PolicyKind::S3Fifo,
];

pub fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub fn open(dir: &Path) -> Cache {
    builder().open(dir).unwrap()
}

thread_local! {
    static IS_ENCRYPTED: Cell<bool> = const { Cell::new(false) };
}

/// Options as [`encrypted`] says.
pub fn builder() -> Builder {
    if is_encrypted() { with_key(Cache::builder()) } else { Cache::builder() }
}

pub fn is_encrypted() -> bool {
    IS_ENCRYPTED.get()
}

pub fn with_key(builder: Builder) -> Builder {
    builder.encryption(EncryptionKey::from([7; 32]))
}

/// Runs a test with caches that are encrypted.
pub fn encrypted(test: impl FnOnce()) {
    IS_ENCRYPTED.set(true);
    test();
    IS_ENCRYPTED.set(false);
}

/// Values are stored as they are, so that their sizes are what they seem.
pub fn uncoded(name: &str) -> CodecChoice {
    CodecChoice::named(name, None).unwrap()
}

/// Numbers that look random and are the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.roll() >> 16) % end
    }
}

/// Bytes that do not compress.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    std::iter::repeat_with(|| (dice.roll() >> 32) as u8).take(len).collect()
}

/// A value that says which key and version it is of, and can be checked by itself.
pub fn telling(key: u64, version: u64, len: usize) -> Vec<u8> {
    let mut value = [key.to_le_bytes(), version.to_le_bytes()].concat();
    value.extend(noise(key ^ version.rotate_left(32), len));
    value
}

/// The version of a value made by [`telling`]; panics when it is not whole or of another key.
pub fn version_in(key: u64, value: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(value[at..at + 8].try_into().unwrap());
    assert_eq!(word(0), key, "the value of another key");
    let version = word(8);
    assert!(value == telling(key, version, value.len() - 16), "a torn value of key {key}, version {version}");
    version
}

pub fn value_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = walk(&dir.join("values"));
    found.sort();
    found
}

/// Two keys of one XXH3-128 digest. Of each 8 bytes, XXH3 multiplies the halves of `bytes ^ secret` and adds the bytes
/// to the neighbouring lane. Where the lower half meets its own secret the product is zero, whatever the upper one is:
/// so two such words of one block can give and take, and nothing notices.
pub fn colliding_keys() -> [Vec<u8>; 2] {
    let secret = [0xbe4b_a423_396c_feb8_u64, 0x1cad_21f7_2c81_017c]; // XXH3's, bytes 0 and 8
    [0u64, 1].map(|give| {
        let mut key = noise(3, 300);
        for (at, word) in [(0, secret[0]), (64, secret[1])] {
            let high = if at == 0 { 0x5000_0000 + give } else { 0x7000_0000 - give };
            let word = (word & 0xffff_ffff) | high << 32;
            key[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        key
    })
}

pub fn all_files(dir: &Path) -> Vec<PathBuf> {
    walk(dir)
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}

/// Copies a cache directory. Of one in use, a file that goes away just then is not in the copy.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), &target) {
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => drop(fs::remove_file(target)),
                copied => drop(copied.unwrap()),
            }
        }
    }
}

/// The database of a cache, through SQLite and not through the library.
pub fn database(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("tierce.db")).unwrap()
}

/// The background leaves the journal alone while a transaction elsewhere keeps the database: until what this gives is dropped.
pub fn keep_database(dir: &Path) -> rusqlite::Connection {
    let keeper = database(dir);
    // A machine that is busy with other tests may keep the background at it for a while.
    keeper.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    keeper.execute_batch("BEGIN IMMEDIATE").unwrap();
    keeper
}

/// No value file is there that the database does not list as an entry's.
pub fn assert_no_orphans(dir: &Path) {
    let (found, listed, _) = files(dir);
    let orphans: Vec<_> = found.iter().filter(|file| !listed.contains(file)).collect();
    assert!(orphans.is_empty(), "{orphans:?} are no entry's");
}

/// The value files are exactly those that entries point to, and none is announced or condemned.
pub fn assert_settled(dir: &Path) {
    let (found, listed, pending) = files(dir);
    assert_eq!(found, listed, "value files on the disk, and those that entries point to");
    assert_eq!(pending, 0, "files that are announced or condemned");
}

fn files(dir: &Path) -> (Vec<String>, Vec<String>, i64) {
    let conn = database(dir);
    let mut statement = conn.prepare("SELECT write_id FROM files WHERE owner IS NULL").unwrap();
    let mut listed: Vec<String> = statement
        .query_map([], |row| row.get::<_, i64>(0).map(|id| format!("{:016x}", id as u64)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    listed.sort();
    let mut found: Vec<String> = value_files(dir)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let pending =
        conn.query_row("SELECT count(*) FROM files WHERE owner IS NOT NULL", [], |row| row.get(0)).unwrap();
    (found, listed, pending)
}

/// How many value files there are.
pub fn assert_settled_files(dir: &Path, count: usize) {
    assert_eq!(value_files(dir).len(), count, "value files");
}

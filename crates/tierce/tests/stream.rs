//! Values as streams: what goes in comes out, and what does not finish leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{assert_settled, noise, open, temp, uncoded, value_files};
use tierce::{Cache, Code, Extras, StreamOptions};

const DIR: &str = "TIERCE_STREAM_DIR";

fn store(cache: &Cache, key: &str, value: &[u8], piece: usize) {
    let mut writer = cache.write_stream(key, StreamOptions::default());
    value.chunks(piece.max(1)).for_each(|piece| writer.write(piece).unwrap());
    cache.finish_stream(writer).unwrap();
}

fn fetch(cache: &Cache, key: &str) -> Option<Vec<u8>> {
    let mut reader = cache.read_stream(key).unwrap()?;
    let mut value = Vec::new();
    while let Some(piece) = cache.next_piece(&mut reader).unwrap() {
        value.extend(piece);
    }
    assert_eq!(value.len() as u64, reader.meta().size);
    Some(value)
}

#[test]
fn what_goes_in_comes_out_as_a_stream_or_whole() {
    let temp = temp();
    let cache = open(temp.path());
    let chunk = 256 * 1024;
    for (at, length) in
        [0, 1, 1000, chunk - 1, chunk, chunk + 1, 3 * chunk, 1_000_003].into_iter().enumerate()
    {
        for (piece, value) in [(7_919, noise(at as u64, length)), (500_000, vec![at as u8; length])] {
            store(&cache, "k", &value, piece);
            assert_eq!(fetch(&cache, "k").unwrap(), value, "{length}");
            assert_eq!(cache.get("k").unwrap().unwrap(), value, "{length}");
            cache.set("whole", &value).unwrap();
            assert_eq!(
                fetch(&cache, "whole").unwrap(),
                value,
                "a value that was set is a stream too: {length}"
            );
        }
    }
    assert_eq!(fetch(&cache, "nothing"), None);
    assert_eq!(cache.check(false).unwrap().found, 0);
    cache.set("last", b"").unwrap();
    cache.delete("last").unwrap(); // a transaction, which forgets what was unlinked
    assert_settled(temp.path());
}

#[test]
fn a_stream_carries_tags_and_a_time_to_live() {
    let temp = temp();
    let cache = open(temp.path());
    let extras = Extras { tags: vec!["t".into()], ..Extras::default() };
    let options =
        StreamOptions { expires_at: Some(u64::MAX), extras: Some(extras), ..StreamOptions::default() };
    let mut writer = cache.write_stream("k", options);
    writer.write(&noise(1, 600_000)).unwrap();
    cache.finish_stream(writer).unwrap();
    let entry = cache.entry("k").unwrap().unwrap();
    assert_eq!((entry.extras.tags.len(), entry.value.len()), (1, 600_000));
    assert!(entry.meta.expires_at.is_some());
    assert_eq!(cache.invalidate_tags(&["t"]).unwrap(), 1);
    assert_eq!(value_files(temp.path()).len(), 0);
}

#[test]
fn a_stream_that_does_not_finish_or_does_not_fit_leaves_nothing() {
    let temp = temp();
    let cache = Cache::builder().max_size(2 << 20).codec(uncoded("none")).open(temp.path()).unwrap();
    cache.set("k", b"old").unwrap();
    let mut writer = cache.write_stream("k", StreamOptions::default());
    writer.write(&noise(1, 700_000)).unwrap();
    assert_eq!(value_files(temp.path()).len(), 1);
    drop(writer);
    assert_eq!(value_files(temp.path()).len(), 0);
    let mut writer = cache.write_stream("k", StreamOptions::default());
    let error = (0..40).find_map(|at| writer.write(&noise(at, 100_000)).err()).unwrap();
    assert_eq!(error.code(), Code::ValueTooLarge);
    drop(writer);
    assert_eq!(cache.get("k").unwrap().unwrap(), b"old");
    cache.set("other", b"").unwrap();
    assert_settled(temp.path());
    assert_eq!(cache.check(false).unwrap().found, 0);
}

#[test]
fn a_damaged_stream_ends_with_an_error_and_its_entry_goes() {
    let temp = temp();
    let cache = open(temp.path());
    let value = noise(1, 1_000_000);
    store(&cache, "k", &value, 100_000);
    let file = &value_files(temp.path())[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[700_000] ^= 1;
    fs::write(file, bytes).unwrap();
    assert_eq!(cache.check(false).unwrap().found, 1);
    let mut reader = cache.read_stream("k").unwrap().unwrap();
    let mut read = Vec::new();
    let error = loop {
        match cache.next_piece(&mut reader) {
            Ok(piece) => read.extend(piece.expect("it does not end well")),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::Corrupt);
    assert_eq!(read, value[..read.len()], "what came before was sound");
    assert!(!cache.has("k").unwrap());
    assert_eq!(cache.take_faults().len(), 1);
}

#[test]
fn a_reader_goes_on_while_its_entry_is_replaced() {
    let temp = temp();
    let cache = open(temp.path());
    let value = noise(1, 1_000_000);
    store(&cache, "k", &value, 100_000);
    let mut reader = cache.read_stream("k").unwrap().unwrap();
    let mut read = cache.next_piece(&mut reader).unwrap().unwrap();
    store(&cache, "k", &noise(2, 1_000_000), 100_000);
    while let Some(piece) = cache.next_piece(&mut reader).unwrap() {
        read.extend(piece);
    }
    assert_eq!(read, value);
}

/// Streams until it is killed. Not a test of its own.
#[test]
fn process_that_is_killed_at_a_stream() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let cache = Cache::builder().codec(uncoded("none")).open(Path::new(&dir)).unwrap();
    for round in 0.. {
        store(&cache, "k", &noise(round, 4_000_000), 100_000);
    }
}

#[test]
fn a_kill_during_a_stream_leaves_nothing() {
    for round in 0..6 {
        let temp = temp();
        open(temp.path()).close().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_that_is_killed_at_a_stream"])
            .env(DIR, temp.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while value_files(temp.path()).is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(round * 5));
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = open(temp.path());
        assert_settled(temp.path());
        assert_eq!(cache.check(false).unwrap().found, 0);
        if let Some(value) = fetch(&cache, "k") {
            assert_eq!(value.len(), 4_000_000);
        }
    }
}

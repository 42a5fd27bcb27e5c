use std::path::Path;

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::cipher::EncryptionKey;
use crate::error::Code;

fn records() -> Vec<Record> {
    let record = |key: &str, payload: Vec<u8>| Record {
        key: key.into(),
        kind: 6,
        size: payload.len() as u64,
        created: 5,
        expires: (key == "b").then_some(7),
        freshness: Freshness { until: (key == "b").then_some(6), cost: if key == "b" { 3 } else { 0 } },
        accessed: -3,
        hits: 9,
        payload,
        extras: Extras { tags: vec![key.to_owned().into()], ..Extras::default() }.to_bytes().unwrap(),
        fields: vec![("later".into(), vec![1, 2])],
        codec: 0,
    };
    vec![record("a", vec![]), record("b", vec![7; 3 * BLOCK]), record("c", vec![1, 2, 3])]
}

fn written(records: &[Record]) -> Vec<u8> {
    written_with(records, None)
}

fn written_with(records: &[Record], key: Option<&EncryptionKey>) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(Vec::new(), Path::new("s"), 42, key).unwrap();
    records.iter().for_each(|record| writer.add(record).unwrap());
    writer.finish().unwrap().0
}

fn read(bytes: &[u8]) -> Result<Vec<Record>> {
    read_with(bytes, None)
}

fn read_with(bytes: &[u8], key: Option<&EncryptionKey>) -> Result<Vec<Record>> {
    let mut reader = SnapshotReader::new(bytes, Path::new("s"), key)?;
    std::iter::from_fn(|| reader.next().transpose()).collect()
}

#[test]
fn what_is_read_is_what_was_written_unknown_fields_too() {
    assert_eq!(read(&written(&records())).unwrap(), records());
    assert_eq!(read(&written(&[])).unwrap(), []);
}

#[test]
fn an_encrypted_file_opens_with_its_key_alone_and_shows_nothing() {
    let [key, other] = [1, 2].map(|byte| EncryptionKey::from([byte; 32]));
    let bytes = written_with(&records(), Some(&key));
    assert_eq!(read_with(&bytes, Some(&key)).unwrap(), records());
    for wrong in [None, Some(&other)] {
        assert_eq!(read_with(&bytes, wrong).unwrap_err().code(), Code::Encryption);
    }
    assert!(!bytes.windows(7).any(|part| part == b"created" || part == [7; 7]));
    assert_eq!(read_with(&written(&records()), Some(&key)).unwrap(), records(), "a plain one needs no key");
}

#[test]
fn a_file_of_something_else_and_a_newer_one_are_told_apart_from_a_damaged_one() {
    for foreign in [&b""[..], b"{}", b"SQLite format 3\0and so on, for some length"] {
        assert_eq!(read(foreign).unwrap_err().code(), Code::Format);
    }
    let mut newer = written(&records());
    newer[8] = 2;
    let seed = xxh3_64(&newer[..20]).to_le_bytes();
    newer[20..28].copy_from_slice(&seed);
    assert_eq!(read(&newer).unwrap_err().code(), Code::Format);
}

#[test]
fn blocks_that_are_swapped_repeated_cut_or_added_are_noticed() {
    let whole = written(&records());
    let block = |at: usize| HEADER + at * (BLOCK + 12)..HEADER + (at + 1) * (BLOCK + 12);
    let swapped = [&whole[..HEADER], &whole[block(1)], &whole[block(0)], &whole[block(2).start..]].concat();
    let repeated = [&whole[..block(1).end], &whole[block(1).start..]].concat();
    let cut = whole[..block(1).end].to_vec();
    let added = [&whole[..], &[0]].concat();
    for damaged in [swapped, repeated, cut, added] {
        assert_eq!(read(&damaged).unwrap_err().code(), Code::Corrupt);
    }
}

proptest! {
    #[test]
    fn any_changed_byte_is_noticed(at: prop::sample::Index, mask in 1u8..) {
        let mut bytes = written(&records()[2..]);
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn any_changed_byte_of_an_encrypted_file_is_noticed(at: prop::sample::Index, mask in 1u8..) {
        let key = EncryptionKey::from([1; 32]);
        let mut bytes = written_with(&records()[2..], Some(&key));
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        prop_assert!(read_with(&bytes, Some(&key)).is_err());
    }

    #[test]
    fn any_stream_inside_sound_blocks_ends(stream: Vec<u8>) {
        let _ = read(&mended(&stream));
    }

    #[test]
    fn any_cut_is_noticed(at: prop::sample::Index) {
        let bytes = written(&records()[2..]);
        prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
    }
}

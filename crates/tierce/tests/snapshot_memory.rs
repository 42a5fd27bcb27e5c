//! A snapshot file never makes its reader take more memory than the file is large, whatever its lengths announce.
#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "common/counting.rs"]
mod counting;

use std::path::Path;

use tierce::{Record, SnapshotReader, SnapshotWriter};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A block, its copy in an entry, and what a growing vector has beyond what is in it.
const FIXED: usize = 8 << 20;

fn written(payload: usize) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(Vec::new(), Path::new("s"), 1, None).unwrap();
    let mut record = Record::default();
    record.key = b"k".to_vec();
    record.payload = vec![7; payload];
    writer.add(&record).unwrap();
    writer.finish().unwrap().0
}

fn read(bytes: &[u8]) -> bool {
    let Ok(mut reader) = SnapshotReader::new(bytes, Path::new("s"), None) else { return false };
    loop {
        match reader.next() {
            Ok(Some(record)) => drop(record.decode()),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Sets the checksum of the first block right.
fn mend(bytes: &mut [u8]) {
    let seed = xxh3_64(&bytes[..20]);
    let length = u32::from_le_bytes(bytes[28..32].try_into().unwrap()) as usize;
    let checksum = xxh3_64_with_seed(&bytes[40..40 + length], seed);
    bytes[32..40].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn lengths_that_announce_more_than_there_is_take_no_memory() {
    let sound = written(1000);
    assert!(read(&sound));
    // Each byte of the stream in turn says that something is huge; checksums hold.
    for at in 40..sound.len().min(200) {
        for value in [0x7f, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] = value;
            mend(&mut bytes);
            let peak = counting::peak_of(|| read(&bytes));
            assert!(peak < FIXED, "byte {at}: {peak} bytes for a file of {}", bytes.len());
        }
    }
    // And each length of eight bytes at once.
    for at in 40..sound.len().min(200) - 8 {
        let mut bytes = sound.clone();
        bytes[at..at + 8].copy_from_slice(&(u64::MAX >> 8).to_le_bytes());
        mend(&mut bytes);
        let peak = counting::peak_of(|| read(&bytes));
        assert!(peak < FIXED, "bytes from {at}: {peak} bytes for a file of {}", bytes.len());
    }
    let large = written(20 << 20);
    let peak = counting::peak_of(|| read(&large));
    assert!(peak < 3 * large.len(), "{peak} bytes for a sound file of {}", large.len());
}

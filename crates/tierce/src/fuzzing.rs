//! What the fuzz targets call and nothing else: doors to decoders that are not public. Each gives the bytes that it may take.

use std::path::Path;

use crate::cipher::{Cipher, EncryptionKey, Opening, Place, SALT};
use crate::error::{Code, Error};
use crate::frame::{HEADER, Header};
use crate::key::Key;
use crate::snapshot::{Record, SnapshotReader, mended};

/// Sound values above this are not decoded: it only costs time.
const LARGEST: u64 = 1 << 20;

/// A frame is refused, or gives back its header; what verifies decodes or is refused.
pub fn frame(bytes: &[u8]) -> u64 {
    let Ok(header) = Header::parse(bytes) else { return 0 };
    assert_eq!(header.to_bytes()[..], bytes[..HEADER], "a header was read as another one");
    let payload = &bytes[HEADER..];
    let digest = Key::from("k").digest();
    let _ = header.verify(digest, payload);
    let sealed = Header { stored_size: payload.len() as u64, ..header }.sealed(digest, payload);
    assert!(sealed.verify(digest, payload).is_ok(), "what is sealed verifies");
    let plausible = sealed.is_plausible(payload);
    if plausible && header.raw_size > LARGEST {
        return 0;
    }
    let decoded = sealed.decode(payload);
    assert!(plausible || decoded.is_err(), "more came out than can be in it");
    if plausible { header.raw_size } else { 0 }
}

/// Bytes are encrypted bytes to nobody without the key, and come back when they are encrypted; any are rules, or refused.
pub fn encryption(bytes: &[u8]) -> u64 {
    let cipher = Cipher::new(&EncryptionKey::from([7; 32]), &[7; SALT]);
    let place = Place { sort: 0, of: b"fuzz" };
    assert!(cipher.open(place, bytes).is_err() && cipher.open_key(bytes).is_err(), "made without the key");
    let mut piece = [0; 4096];
    let read = Opening::new(bytes, place, bytes.len() as u64).and_then(|mut opening| {
        opening.read(&cipher, &mut piece).map_err(|why| Error::new(Code::Corrupt, why.to_string()))
    });
    assert!(read.is_err(), "made without the key");
    crate::disk::rules_of(bytes);
    let mut sealed = Vec::new();
    let outcome = cipher.seal(place, bytes, &mut sealed).and_then(|()| cipher.open(place, &sealed));
    assert!(outcome.is_ok_and(|opened| opened == bytes), "what is sealed opens");
    bytes.len() as u64
}

/// A record of the journal is refused, or gives entries that are those which are written.
pub fn journal(bytes: &[u8]) -> u64 {
    crate::disk::journal_of(bytes);
    bytes.len() as u64
}

/// The stream inside a snapshot, with sound checksums around it.
pub fn snapshot(bytes: &[u8]) -> u64 {
    let raw = read(SnapshotReader::new(bytes, Path::new("raw"), None).ok());
    let whole = mended(bytes);
    raw.max(read(SnapshotReader::new(&whole[..], Path::new("mended"), None).ok()))
}

/// Reads to the end, or to what is damaged; gives the size of the largest value.
fn read(reader: Option<SnapshotReader<&[u8]>>) -> u64 {
    let Some(mut reader) = reader else { return 0 };
    let mut largest = 0;
    while let Ok(Some(record)) = reader.next() {
        largest = largest.max(decoded(&record));
    }
    largest
}

fn decoded(record: &Record) -> u64 {
    if record.size > LARGEST {
        return 0;
    }
    let _ = record.decode();
    record.size
}

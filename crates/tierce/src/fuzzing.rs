//! What the fuzz targets call and nothing else: doors to decoders that are not public.

use std::path::Path;

use crate::frame::{HEADER, Header};
use crate::key::Key;
use crate::snapshot::{SnapshotReader, mended};

/// Values above this are not decoded: what a payload may announce is tested elsewhere, here it costs time.
const LARGEST: u64 = 1 << 20;

/// A frame is refused, or gives back its header; what verifies decodes or is refused.
pub fn frame(bytes: &[u8]) {
    let Ok(header) = Header::parse(bytes) else { return };
    assert_eq!(header.to_bytes()[..], bytes[..HEADER], "a header was read as another one");
    let payload = &bytes[HEADER..];
    let digest = Key::from("k").digest();
    let _ = header.verify(digest, payload);
    let sealed = Header { stored_size: payload.len() as u64, ..header }.sealed(digest, payload);
    assert!(sealed.verify(digest, payload).is_ok(), "what is sealed verifies");
    if header.raw_size <= LARGEST {
        let _ = sealed.decode(payload);
    }
}

/// The stream inside a snapshot, with sound checksums around it.
pub fn snapshot(bytes: &[u8]) {
    let _ = SnapshotReader::new(bytes, Path::new("raw"), None)
        .map(|mut reader| while let Ok(Some(_)) = reader.next() {});
    let whole = mended(bytes);
    let Ok(mut reader) = SnapshotReader::new(&whole[..], Path::new("mended"), None) else { return };
    while let Ok(Some(record)) = reader.next() {
        if record.size <= LARGEST {
            let _ = record.decode();
        }
    }
}

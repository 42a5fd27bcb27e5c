//! The frame around every stored value (`docs/on-disk-format.md`, "Frame").
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `TRCE` |
//! | 4 | 1 | format version, 1 |
//! | 5 | 1 | kind: what the value is; its meaning belongs to the writer |
//! | 6 | 1 | codec number |
//! | 7 | 1 | bit 0: the payload is in a file, else it follows in the row; bit 1: the side tables have more of the entry; bit 2: the payload is encrypted |
//! | 8 | 8 | raw size, little-endian |
//! | 16 | 8 | stored size of the payload |
//! | 24 | 8 | write id: names the file, new for each write |
//! | 32 | 8 | XXH3-64 of the payload, seeded with the XXH3-64 of the key's digest and bytes 0–31 |
//!
//! The checksum binds the payload to its key and its write: a frame moved under another key, or an older frame of the
//! same key, does not verify. In a file the header is padded with zeros to [`FILE_PAYLOAD`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::codec;
use crate::error::{Code, Error, Result};
use crate::key::Digest;
use crate::xxh3::{Xxh3, hash64};

/// Bytes of the header.
pub(crate) const HEADER: usize = 40;
/// Where the payload starts in a file: a multiple of 64, so that it can be mapped and scanned in place.
pub(crate) const FILE_PAYLOAD: usize = 64;
const MAGIC: [u8; 4] = *b"TRCE";
const VERSION: u8 = 1;

/// Space is handed out in blocks of this many bytes.
const BLOCK: u64 = 4096;

/// Bytes that a payload of `stored` bytes takes in a file.
pub(crate) fn size_on_disk(stored: u64) -> u64 {
    stored.saturating_add(FILE_PAYLOAD as u64).div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// The parsed header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: u8,
    pub codec: u8,
    pub in_file: bool,
    /// Tags, a description or metadata are in the side tables.
    pub has_extras: bool,
    pub encrypted: bool,
    pub raw_size: u64,
    pub stored_size: u64,
    pub write_id: u64,
    pub checksum: u64,
}

impl Header {
    /// The 40 bytes of the header.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = self.checked_part();
        bytes[32..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// Everything but the checksum, in place.
    fn checked_part(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        let flags = u8::from(self.in_file) | u8::from(self.has_extras) << 1 | u8::from(self.encrypted) << 2;
        bytes[4..8].copy_from_slice(&[VERSION, self.kind, self.codec, flags]);
        bytes[8..16].copy_from_slice(&self.raw_size.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stored_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.write_id.to_le_bytes());
        bytes
    }

    /// Sets the checksum over `payload`.
    #[must_use]
    pub fn sealed(mut self, digest: Digest, payload: &[u8]) -> Self {
        self.checksum = self.checksum_of(digest, payload);
        self
    }

    fn checksum_of(self, digest: Digest, payload: &[u8]) -> u64 {
        let plain = hash64(payload, self.payload_seed(digest));
        if self.is_stream() { self.with_sizes(plain) } else { plain }
    }

    /// Whether the payload came as a stream. Its sizes were not known when its checksum was begun: they are mixed in
    /// when it ends.
    fn is_stream(self) -> bool {
        self.codec == codec::CHUNKS
    }

    fn payload_seed(self, digest: Digest) -> u64 {
        if self.is_stream() { self.stream_seed(digest) } else { self.seed(digest) }
    }

    /// As what is known of a stream when it begins.
    pub fn stream_seed(self, digest: Digest) -> u64 {
        self.unsized_yet().seed(digest)
    }

    fn unsized_yet(self) -> Self {
        Self { raw_size: 0, stored_size: 0, ..self }
    }

    fn with_sizes(self, checksum: u64) -> u64 {
        xxh3_64_with_seed(&self.checked_part()[8..24], checksum)
    }

    /// The header of a stream that is at its end; all its payload went through the hasher.
    #[must_use]
    pub fn concluded(mut self, hasher: &Xxh3) -> Self {
        self.checksum = self.with_sizes(hasher.hash64());
        self
    }

    /// What binds a payload's checksum to its key and its write.
    fn seed(self, digest: Digest) -> u64 {
        xxh3_64(&self.bound_as_it_is(digest))
    }

    fn bound_as_it_is(self, digest: Digest) -> [u8; 48] {
        let mut bound = [0; 16 + 32];
        bound[..16].copy_from_slice(&digest.to_bytes());
        bound[16..].copy_from_slice(&self.checked_part()[..32]);
        bound
    }

    /// What an encrypted payload is bound to: key, kind, codec, flags, write id, and sizes where they are known when it begins.
    pub fn bound(self, digest: Digest) -> [u8; 48] {
        if self.is_stream() { self.unsized_yet().bound_as_it_is(digest) } else { self.bound_as_it_is(digest) }
    }

    /// Parses the first bytes of a frame.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when they are no header; [`Code::Format`] when they are a newer one.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let Some(bytes) = bytes.get(..HEADER) else { return Err(damaged("it is shorter than its header")) };
        if bytes[..4] != MAGIC {
            return Err(damaged("its magic is missing"));
        }
        if bytes[4] != VERSION {
            return Err(Error::new(
                Code::Format,
                format!("the frame has format version {}; this release reads {VERSION}", bytes[4]),
            ));
        }
        if bytes[7] > 7 {
            return Err(damaged("its flags are unknown"));
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Ok(Self {
            kind: bytes[5],
            codec: bytes[6],
            in_file: bytes[7] & 1 != 0,
            has_extras: bytes[7] & 2 != 0,
            encrypted: bytes[7] & 4 != 0,
            raw_size: word(8),
            stored_size: word(16),
            write_id: word(24),
            checksum: word(32),
        })
    }

    /// Checks the length of the payload.
    pub fn verify_length(self, payload: &[u8]) -> Result<()> {
        if payload.len() as u64 == self.stored_size {
            Ok(())
        } else {
            Err(damaged("its payload is cut or too long"))
        }
    }

    /// Checks length and checksum of the payload.
    pub fn verify(self, digest: Digest, payload: &[u8]) -> Result<()> {
        self.verify_length(payload)?;
        if self.checksum_of(digest, payload) != self.checksum {
            return Err(damaged("its checksum differs"));
        }
        Ok(())
    }

    /// As [`Header::verify`], of a payload that comes in pieces: `next` gives them, an empty one ends.
    pub fn verify_pieces(self, digest: Digest, mut next: impl FnMut(&mut Xxh3) -> Result<u64>) -> Result<()> {
        let mut hasher = Xxh3::with_seed(self.payload_seed(digest));
        let mut length = 0u64;
        loop {
            match next(&mut hasher)? {
                0 => break,
                bytes => length = length.saturating_add(bytes),
            }
        }
        if length != self.stored_size {
            return Err(damaged("its payload is cut or too long"));
        }
        let plain = hasher.hash64();
        if (if self.is_stream() { self.with_sizes(plain) } else { plain }) != self.checksum {
            return Err(damaged("its checksum differs"));
        }
        Ok(())
    }

    /// Whether a payload of this header can be decoded within what its codec allows: a checksum is no proof of good will.
    pub fn is_plausible(self, start: &[u8]) -> bool {
        codec::limit(self.codec, start).is_ok_and(|limit| self.raw_size <= limit)
    }

    /// Decodes a verified payload into `out`, which gets exactly `raw_size` bytes.
    pub fn decode_into(self, payload: &[u8], out: &mut [u8]) -> Result<()> {
        codec::decode(self.codec, payload, out)
    }

    /// Decodes a verified payload. Fails rather than aborts when memory is short, and allocates no more than the
    /// payload can hold.
    pub fn decode(self, payload: &[u8]) -> Result<Vec<u8>> {
        codec::decode_sized(self.codec, self.raw_size, payload)
    }
}

fn damaged(why: &str) -> Error {
    Error::new(Code::Corrupt, format!("a stored frame is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use proptest::prelude::*;

    fn header(payload: &[u8], digest: Digest) -> Header {
        Header {
            kind: 6,
            codec: 0,
            in_file: false,
            has_extras: false,
            encrypted: false,
            raw_size: payload.len() as u64,
            stored_size: payload.len() as u64,
            write_id: 0x0123_4567_89ab_cdef,
            checksum: 0,
        }
        .sealed(digest, payload)
    }

    #[test]
    fn bytes_are_as_documented() {
        let digest = Key::from("k").digest();
        let bytes = header(b"abc", digest).to_bytes();
        assert_eq!(&bytes[..8], b"TRCE\x01\x06\x00\x00");
        assert_eq!(
            &bytes[8..32],
            &[3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01]
        );
        assert_eq!(Header::parse(&bytes).unwrap(), header(b"abc", digest));
    }

    #[test]
    fn a_newer_frame_is_told_apart_from_a_damaged_one() {
        let mut bytes = header(b"", Key::from("k").digest()).to_bytes();
        bytes[4] = 2;
        assert_eq!(Header::parse(&bytes).unwrap_err().code(), Code::Format);
        bytes[0] = b'X';
        assert_eq!(Header::parse(&bytes).unwrap_err().code(), Code::Corrupt);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(payload: Vec<u8>, at: proptest::sample::Index, bit in 0u8..8) {
            let digest = Key::from("k").digest();
            let mut bytes = header(&payload, digest).to_bytes().to_vec();
            bytes.extend_from_slice(&payload);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let outcome = Header::parse(&bytes).and_then(|header| header.verify(digest, &bytes[HEADER..]));
            prop_assert!(outcome.is_err());
        }

        #[test]
        fn a_frame_under_another_key_does_not_verify(payload: Vec<u8>, a: String, b: String) {
            prop_assume!(a != b);
            let sealed = header(&payload, Key::from(a).digest());
            prop_assert!(sealed.verify(Key::from(b).digest(), &payload).is_err());
        }
    }
}

//! Values that came as a stream: chunks, each coded and checked by itself.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | bytes of the chunk, [`CHUNK`] at most |
//! | 4 | 4 | bytes that it is stored in |
//! | 8 | 1 | codec |
//! | 9 | 7 | 0 |
//! | 16 | 8 | XXH3-64 of the stored bytes; the seed is the stream's plus the number of the chunk |

use super::{CHUNKS, CodecChoice, damaged, decode as decode_by, limit as limit_of};
use crate::error::Result;
use crate::xxh3::hash64;

/// The most bytes of a chunk.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Bytes before a chunk.
pub(crate) const CHUNK_HEADER: usize = 24;

/// Appends bytes to the piece of a writer. A full one waits until more comes, and then `write` takes it and leaves it empty: so a
/// writer always has the last one.
pub(crate) fn fill<W>(
    writer: &mut W,
    mut bytes: &[u8],
    full: usize,
    piece: impl Fn(&mut W) -> &mut Vec<u8>,
    mut write: impl FnMut(&mut W) -> Result<()>,
) -> Result<()> {
    while !bytes.is_empty() {
        if piece(writer).len() == full {
            write(writer)?;
        }
        let piece = piece(writer);
        let (now, later) = bytes.split_at(bytes.len().min(full.saturating_sub(piece.len())));
        piece.extend_from_slice(now);
        bytes = later;
    }
    Ok(())
}

/// A chunk behind its header.
pub(crate) fn encode(raw: &[u8], codec: CodecChoice, seed: u64, number: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(CHUNK_HEADER + raw.len());
    bytes.resize(CHUNK_HEADER, 0);
    let codec = codec.encode(raw, &mut bytes)?;
    let (head, stored) = bytes.split_at_mut(CHUNK_HEADER);
    let checksum = checksum(stored, seed, number);
    let header = ChunkHeader { raw: raw.len() as u32, stored: stored.len() as u32, codec, checksum };
    head.copy_from_slice(&header.to_bytes());
    Ok(bytes)
}

/// What stands before a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    pub raw: u32,
    pub stored: u32,
    pub codec: u8,
    pub checksum: u64,
}

impl ChunkHeader {
    pub fn to_bytes(self) -> [u8; CHUNK_HEADER] {
        let mut bytes = [0; CHUNK_HEADER];
        bytes[..4].copy_from_slice(&self.raw.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.stored.to_le_bytes());
        bytes[8] = self.codec;
        bytes[16..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// No chunk is larger than [`CHUNK`], coded or not.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.first_chunk::<CHUNK_HEADER>().ok_or_else(|| damaged("stream", "a chunk is cut"))?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (raw, stored) = (word(0), word(4));
        let sizes = raw as usize <= CHUNK && stored as usize <= CHUNK;
        if !sizes || bytes[8] == CHUNKS || bytes[9..16] != [0; 7] {
            return Err(damaged("stream", "a chunk has no possible header"));
        }
        let checksum = u64::from(word(16)) | u64::from(word(20)) << 32;
        Ok(Self { raw, stored, codec: bytes[8], checksum })
    }

    /// Decodes a chunk behind its header.
    pub fn decode(self, stored: &[u8], raw: &mut [u8]) -> Result<()> {
        if raw.len() != self.raw as usize {
            return Err(damaged("stream", "a chunk is longer than the value"));
        }
        decode_by(self.codec, stored, raw)
    }
}

/// The checksum of a stored chunk.
pub(crate) fn checksum(stored: &[u8], seed: u64, number: u64) -> u64 {
    hash64(stored, seed.wrapping_add(number))
}

/// The chunks of a payload, until one is damaged.
fn chunks(mut coded: &[u8]) -> impl Iterator<Item = Result<(ChunkHeader, &[u8])>> {
    std::iter::from_fn(move || {
        if coded.is_empty() {
            return None;
        }
        let next = ChunkHeader::parse(coded).and_then(|header| {
            let (stored, rest) = coded[CHUNK_HEADER..]
                .split_at_checked(header.stored as usize)
                .ok_or_else(|| damaged("stream", "a chunk is cut"))?;
            coded = rest;
            Ok((header, stored))
        });
        if next.is_err() {
            coded = &[];
        }
        Some(next)
    })
}

/// Gives the chunks of a payload that another write brought the checksums of this one.
pub(crate) fn rebind(mut coded: &mut [u8], seed: u64) -> Result<()> {
    for number in 0.. {
        if coded.is_empty() {
            break;
        }
        let header = ChunkHeader::parse(coded)?;
        let end = CHUNK_HEADER + header.stored as usize;
        let (chunk, rest) =
            coded.split_at_mut_checked(end).ok_or_else(|| damaged("stream", "a chunk is cut"))?;
        let checksum = checksum(&chunk[CHUNK_HEADER..], seed, number);
        chunk[..CHUNK_HEADER].copy_from_slice(&ChunkHeader { checksum, ..header }.to_bytes());
        coded = rest;
    }
    Ok(())
}

/// Decodes a whole payload, whose checksum held.
pub(super) fn decode(coded: &[u8], mut raw: &mut [u8]) -> Result<()> {
    for chunk in chunks(coded) {
        let (header, stored) = chunk?;
        let (now, later) = raw
            .split_at_mut_checked(header.raw as usize)
            .ok_or_else(|| damaged("stream", "it has more than its value"))?;
        header.decode(stored, now)?;
        raw = later;
    }
    if raw.is_empty() { Ok(()) } else { Err(damaged("stream", "it has less than its value")) }
}

/// What the chunks say, where each can hold as much.
pub(super) fn limit(coded: &[u8]) -> u64 {
    let sound = |chunk: Result<(ChunkHeader, &[u8])>| {
        let (header, stored) = chunk.ok()?;
        let raw = u64::from(header.raw);
        (raw <= limit_of(header.codec, stored).ok()?).then_some(raw)
    };
    chunks(coded).map_while(sound).sum()
}

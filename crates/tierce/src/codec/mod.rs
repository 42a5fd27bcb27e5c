//! Codecs behind one table, and the choice between them.
//!
//! Adding one: a file beside this one and a row in [`TABLE`]. Numbers are on disk: never reuse one.

mod choice;
pub(crate) mod chunks;
mod decimal;
mod differences;
mod kept;
mod lz4;
mod numbers;
mod packed;
mod pco;
mod planes;
mod shuffle;
mod zstd;

pub use choice::CodecChoice;
pub use numbers::{Element, Numbers};

use crate::error::{Code, Error, Result};

/// Fills `raw` exactly, or fails: the caller takes its length from a frame whose checksum held. The last argument is what
/// the number says beyond the row: its distance from the row's first number.
type Decode = fn(coded: &[u8], raw: &mut [u8], variant: u8) -> Result<()>;

/// One row of the codec table.
#[derive(Debug)]
pub(crate) struct Codec {
    /// The first of its numbers.
    first: u8,
    /// How many numbers it has.
    count: u8,
    /// The name that users see.
    name: &'static str,
    decode: Decode,
    /// The most bytes that a payload can decode to: asked before anything is allocated.
    limit: fn(coded: &[u8]) -> u64,
}

/// Ordered by number.
static TABLE: [Codec; 6] = [
    Codec {
        first: NONE,
        count: 1,
        name: "none",
        decode: |coded, raw, _| copy_decode(coded, raw),
        limit: |coded| coded.len() as u64,
    },
    Codec {
        first: LZ4,
        count: 1,
        name: "lz4",
        decode: |coded, raw, _| lz4::decode(coded, raw),
        limit: lz4::limit,
    },
    Codec {
        first: ZSTD,
        count: 1,
        name: "zstd",
        decode: |coded, raw, _| zstd::decode(coded, raw),
        limit: zstd::limit,
    },
    // The variant is the logarithm of an element's width.
    Codec { first: SHUFFLE, count: 4, name: "shuffle", decode: shuffle_decode, limit: numbers::limit },
    // The variant is the number of the element.
    Codec {
        first: PCO,
        count: Element::ALL.len() as u8,
        name: "pco",
        decode: pco_decode,
        limit: numbers::limit,
    },
    Codec {
        first: CHUNKS,
        count: 1,
        name: "stream",
        decode: |coded, raw, _| chunks::decode(coded, raw),
        limit: chunks::limit,
    },
];

const NONE: u8 = 0;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;
const SHUFFLE: u8 = 0x10;
const PCO: u8 = 0x20;
/// Chunks that are coded one by one.
pub(crate) const CHUNKS: u8 = 0x40;

/// The names of the codecs, by number; empty where there is none.
pub fn codec_names() -> impl Iterator<Item = &'static str> {
    let end = TABLE.iter().map(|codec| codec.first + codec.count).max().unwrap_or(0);
    (0..end).map(|id| row(id).map_or("", |codec| codec.name))
}

fn row(id: u8) -> Option<&'static Codec> {
    TABLE.iter().find(|codec| (codec.first..codec.first + codec.count).contains(&id))
}

/// The most bytes that a payload of this codec can decode to.
///
/// # Errors
/// [`Code::Corrupt`] when there is no such codec.
pub(crate) fn limit(id: u8, coded: &[u8]) -> Result<u64> {
    let codec = row(id).ok_or_else(|| Error::new(Code::Corrupt, format!("unknown codec number {id}")))?;
    Ok((codec.limit)(coded))
}

/// Decodes what the codec with this number has made. Fills `raw`, or fails, and takes no more memory than its size and a
/// fixed amount, whatever the bytes are.
///
/// # Errors
/// [`Code::Corrupt`] when they are not what the codec made of a value of this size.
pub fn decode(id: u8, coded: &[u8], raw: &mut [u8]) -> Result<()> {
    let codec = row(id).ok_or_else(|| Error::new(Code::Corrupt, format!("unknown codec number {id}")))?;
    (codec.decode)(coded, raw, id - codec.first)
}

/// As [`decode`], into memory of its own: fails rather than aborts when there is none, and takes no more than the payload
/// can hold: a checksum is no proof of good will.
pub(crate) fn decode_sized(id: u8, size: u64, coded: &[u8]) -> Result<Vec<u8>> {
    if size > limit(id, coded)? {
        return Err(Error::new(Code::Corrupt, "a value announces more than its payload can hold"));
    }
    let size = usize::try_from(size)
        .map_err(|_| Error::new(Code::Corrupt, "the size of a value does not fit this machine"))?;
    let mut out = Vec::new();
    out.try_reserve_exact(size).map_err(|why| {
        Error::new(Code::ValueTooLarge, format!("no memory for a value of {size} bytes")).because(why)
    })?;
    out.resize(size, 0);
    decode(id, coded, &mut out)?;
    Ok(out)
}

fn copy_decode(coded: &[u8], raw: &mut [u8]) -> Result<()> {
    if coded.len() != raw.len() {
        return Err(damaged("none", "length differs"));
    }
    raw.copy_from_slice(coded);
    Ok(())
}

fn shuffle_decode(coded: &[u8], raw: &mut [u8], width_log: u8) -> Result<()> {
    numbers::decode(coded, raw, width_log, &|coded, raw| shuffle::decode(coded, raw, width_log))
}

fn pco_decode(coded: &[u8], raw: &mut [u8], number: u8) -> Result<()> {
    let element = *Element::ALL.get(usize::from(number)).ok_or_else(|| numbers::no_such_element(number))?;
    numbers::decode(coded, raw, element.width_log(), &|coded, raw| pco::decode(coded, raw, element))
}

/// A payload that its codec does not accept.
fn damaged(codec: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Corrupt, format!("{codec} payload is damaged: {why}"))
}

#[cfg(test)]
mod tests;

//! The layout of what crosses in buffers, little-endian. `src/tiers/wire.ts`, `batch.ts` and `pages.ts` are the other end.
//!
//! - meta, 96 bytes: size, stored size, created, expires (`Infinity`: never), accessed, hits as `f64`; row id as
//!   `i64`; kind as `u32`; codec, 1 where the entry has extras as `u16`; slot, epoch as `u32`; fresh until (`Infinity`: as
//!   long as it lives) as `f64`, cost as `u32`, 0 `u32`; version `u64`
//! - write: op `u8`, kind `u8`, flags `u8`, elements `u8` (0: no array of numbers, else their number and one), key
//!   length `u32`, value length or blob index `u32`, codec `u8` (0: the cache's, else its place in [`CODECS`] and one),
//!   level `u8` (0: the codec's, else it and one), 0 `u16`, expires `f64`, fresh until `f64`, cost `u32`, 0 `u32`, then
//!   key, extras where there are some, and value; the value of an increment is a number, that of a check a version or nothing
//! - extras: length `u32`, body as on disk (`docs/on-disk-format.md`); without flag and length in what is read
//! - tags of an invalidation, in the place of the value: length `u32` and text of each
//! - outcome, 24 bytes: row id `i64`, slot `u32`, epoch `u32`, flags `u32`, entries that were invalidated `u32`; then a
//!   number, as the flags say
//! - number: `f64`, or `i128` for a bigint

use tierce::{
    Code, CodecChoice, Element, Error, Extras, Freshness, Key, Meta, Number, Numbers, Result, SetWrite, When,
    Write, Written,
};

/// Bytes of an entry's facts.
pub const META: usize = 96;
/// Bytes of a write before its key.
const WRITE: usize = 40;
/// Bytes of an outcome.
const OUTCOME: usize = 24;

const OP_SET: u8 = 1;
const OP_DELETE: u8 = 2;
const OP_CLEAR: u8 = 3;
const OP_INCREMENT: u8 = 4;
const OP_RENEW: u8 = 5;
const OP_CHECK: u8 = 6;
const OP_INVALIDATE: u8 = 16;
/// The value is `blobs[index]` rather than in place.
const FLAG_BLOB: u8 = 1;
/// The last four bytes of the value say how many before them are no elements either.
const FLAG_TAIL: u8 = 2;
/// Extras stand before the value.
const FLAG_EXTRAS: u8 = 8;
/// Only where the key has no live entry, or only where it has one.
const FLAG_ABSENT: u8 = 16;
const FLAG_PRESENT: u8 = 32;

/// Of a renewal: a stale entry too.
const FLAG_STALE: u8 = 4;

/// What a write may name.
const CODECS: [&str; 6] = ["auto", "fast", "none", "lz4", "zstd", "pco"];

const FLAG_EXISTED: u32 = 1;
const FLAG_CACHEABLE: u32 = 2;
/// A number follows: an `f64`, or an `i128`.
const FLAG_DOUBLE: u32 = 4;
const FLAG_BIG: u32 = 8;

fn malformed(what: &str) -> Error {
    Error::new(Code::Internal, format!("a buffer from JavaScript is malformed: {what}"))
}

/// Reads from the front of a buffer.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("it is too short"))?;
        self.0 = rest;
        Ok(head)
    }

    fn word<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut word = [0; N];
        word.copy_from_slice(self.bytes(N)?);
        Ok(word)
    }

    /// The next `u32`.
    pub fn u32(&mut self) -> Result<u32> {
        self.word().map(u32::from_le_bytes)
    }

    fn f64(&mut self) -> Result<f64> {
        self.word().map(f64::from_le_bytes)
    }

    /// The next `i64`.
    pub fn i64(&mut self) -> Result<i64> {
        self.word().map(i64::from_le_bytes)
    }

    /// Keys, each behind its length.
    pub fn keys(mut self) -> Result<Vec<Key<'a>>> {
        let mut keys = Vec::new();
        while !self.0.is_empty() {
            let length = self.u32()? as usize;
            keys.push(Key::from_text(self.bytes(length)?));
        }
        Ok(keys)
    }

    fn tags(mut self) -> Result<Vec<&'a str>> {
        let mut tags = Vec::new();
        while !self.0.is_empty() {
            let length = self.u32()? as usize;
            let tag = std::str::from_utf8(self.bytes(length)?);
            tags.push(tag.map_err(|_| malformed("a tag is no text"))?);
        }
        Ok(tags)
    }

    /// Writes, with the values that are apart.
    pub fn writes(mut self, blobs: &'a [impl AsRef<[u8]>]) -> Result<Vec<Write<'a>>> {
        let mut writes = Vec::new();
        while !self.0.is_empty() {
            writes.push(self.write(blobs)?);
        }
        Ok(writes)
    }

    fn write(&mut self, blobs: &'a [impl AsRef<[u8]>]) -> Result<Write<'a>> {
        let mut head = Reader(self.bytes(WRITE)?);
        let [op, kind, flags, element] = head.word()?;
        let key_length = head.u32()? as usize;
        let value = head.u32()? as usize;
        let [codec, level, ..] = head.word::<4>()?;
        let expires_at = time(head.f64()?);
        let fresh_until = time(head.f64()?);
        let cost = head.u32()?;
        let key = Key::from_text(self.bytes(key_length)?);
        match op {
            OP_SET => {
                let extras = if flags & FLAG_EXTRAS == 0 {
                    None
                } else {
                    let length = self.u32()? as usize;
                    let body = Extras::parse(self.bytes(length)?);
                    Some(body.map_err(|_| malformed("extras are none"))?)
                };
                let value = if flags & FLAG_BLOB == 0 {
                    self.bytes(value)?
                } else {
                    blobs.get(value).ok_or_else(|| malformed("a blob is missing"))?.as_ref()
                };
                Ok(Write::Set(SetWrite {
                    key,
                    value,
                    kind,
                    expires_at,
                    freshness: Freshness { until: fresh_until, cost },
                    codec: choice(codec, level)?,
                    numbers: numbers(element, flags, value)?,
                    when: match (flags & FLAG_ABSENT, flags & FLAG_PRESENT) {
                        (0, 0) => When::Always,
                        (_, 0) => When::Absent,
                        _ => When::Present,
                    },
                    extras,
                }))
            }
            OP_RENEW => Ok(Write::Renew { key, expires_at, fresh_until, stale: flags & FLAG_STALE != 0 }),
            OP_DELETE => Ok(Write::Delete { key }),
            OP_INVALIDATE => Ok(Write::InvalidateTags { tags: Reader(self.bytes(value)?).tags()? }),
            OP_CLEAR => Ok(Write::Clear),
            OP_INCREMENT => Ok(Write::Increment { key, by: number(self.bytes(value)?)?, expires_at }),
            OP_CHECK => {
                let version = self.bytes(value)?;
                let version =
                    if version.is_empty() { None } else { Some(u64::from_le_bytes(Reader(version).word()?)) };
                Ok(Write::Check { key, version })
            }
            _ => Err(malformed("an operation is unknown")),
        }
    }
}

fn number(bytes: &[u8]) -> Result<Number> {
    let mut rest = Reader(bytes);
    Ok(if bytes.len() == 8 {
        Number::Double(rest.f64()?)
    } else {
        Number::Big(i128::from_le_bytes(rest.word()?))
    })
}

fn time(ms: f64) -> Option<u64> {
    ms.is_finite().then_some(ms as u64)
}

fn choice(codec: u8, level: u8) -> Result<Option<CodecChoice>> {
    let Some(at) = codec.checked_sub(1) else { return Ok(None) };
    let name = CODECS.get(usize::from(at)).ok_or_else(|| malformed("a codec is unknown"))?;
    CodecChoice::named(name, level.checked_sub(1).map(i32::from)).map(Some)
}

fn numbers(element: u8, flags: u8, value: &[u8]) -> Result<Option<Numbers>> {
    let Some(at) = element.checked_sub(1) else { return Ok(None) };
    let element = *Element::ALL.get(usize::from(at)).ok_or_else(|| malformed("an element is unknown"))?;
    let tail = match value.last_chunk() {
        Some(length) if flags & FLAG_TAIL != 0 => u32::from_le_bytes(*length).saturating_add(4),
        _ => 0,
    };
    Ok(Some(Numbers { element, tail }))
}

/// The facts of an entry.
pub fn meta_bytes(meta: &Meta) -> [u8; META] {
    let mut bytes = [0; META];
    let numbers = [
        meta.size as f64,
        meta.stored_size as f64,
        meta.created_at as f64,
        meta.expires_at.map_or(f64::INFINITY, |at| at as f64),
        meta.accessed_at as f64,
        meta.hits as f64,
    ];
    for (at, number) in numbers.into_iter().enumerate() {
        bytes[8 * at..8 * at + 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes[48..56].copy_from_slice(&meta.id.to_le_bytes());
    let codec = u32::from(meta.codec) | u32::from(meta.has_extras) << 16;
    for (at, word) in [u32::from(meta.kind), codec, meta.slot, meta.epoch].into_iter().enumerate() {
        bytes[56 + 4 * at..60 + 4 * at].copy_from_slice(&word.to_le_bytes());
    }
    let until = meta.freshness.until.map_or(f64::INFINITY, |at| at as f64);
    bytes[72..80].copy_from_slice(&until.to_le_bytes());
    bytes[80..84].copy_from_slice(&meta.freshness.cost.to_le_bytes());
    bytes[88..].copy_from_slice(&meta.version.to_le_bytes());
    bytes
}

/// What became of writes.
pub fn outcomes(written: &[Written]) -> Vec<u8> {
    let mut bytes = vec![0; written.iter().map(|written| OUTCOME + number_length(written)).sum()];
    put_outcomes(written, &mut bytes);
    bytes
}

/// The same, at the front of `room`: as long as the writes that they are of, at most.
pub fn put_outcomes(written: &[Written], mut room: &mut [u8]) {
    for written in written {
        let Some((own, rest)) = room.split_at_mut_checked(OUTCOME + number_length(written)) else { return };
        put_outcome(written, own);
        room = rest;
    }
}

fn number_length(written: &Written) -> usize {
    match written.number {
        Some(Number::Double(_)) => 8,
        Some(Number::Big(_)) => 16,
        _ => 0,
    }
}

fn put_outcome(written: &Written, bytes: &mut [u8]) {
    bytes[..8].copy_from_slice(&written.id.to_le_bytes());
    let flags = if written.existed { FLAG_EXISTED } else { 0 }
        | if written.epoch.is_some() { FLAG_CACHEABLE } else { 0 }
        | match written.number {
            Some(Number::Double(_)) => FLAG_DOUBLE,
            Some(Number::Big(_)) => FLAG_BIG,
            _ => 0,
        };
    let invalidated = u32::try_from(written.invalidated).unwrap_or(u32::MAX);
    for (at, word) in [written.slot, written.epoch.unwrap_or(0), flags, invalidated].into_iter().enumerate() {
        bytes[8 + 4 * at..12 + 4 * at].copy_from_slice(&word.to_le_bytes());
    }
    match written.number {
        Some(Number::Double(number)) => bytes[OUTCOME..].copy_from_slice(&number.to_le_bytes()),
        Some(Number::Big(number)) => bytes[OUTCOME..].copy_from_slice(&number.to_le_bytes()),
        _ => {}
    }
}

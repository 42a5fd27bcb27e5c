//! A whole cache in one file (`docs/on-disk-format.md`, "Snapshot file").
//!
//! Entries follow each other as one stream of named fields, and the stream is cut into blocks with a checksum each. A
//! block's checksum covers its number and the header, and the stream ends with the count of its entries: so what is
//! cut, swapped, repeated or added is noticed. A reader takes memory for what it has read, never for what a length
//! announces.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use crate::cipher::{CHECK, SALT};
use crate::codec;
use crate::disk::{Extras, Freshness};
use crate::error::Result;
use crate::xxh3::hash64;

pub use reader::SnapshotReader;
pub use writer::SnapshotWriter;
#[cfg(any(test, fuzzing))]
pub(crate) use writer::mended;

const MAGIC: [u8; 8] = *b"TRCESNAP";
const VERSION: u16 = 1;
/// Bytes of the header: magic, version, flags, time, checksum.
const HEADER: usize = 28;
/// The most bytes of a block.
const BLOCK: usize = 1 << 20;
/// The flag of an encrypted file, and what follows its header: salt, check value and their checksum.
const ENCRYPTED: u16 = 1;
const ENCRYPTION: usize = SALT + CHECK + 8;
/// The sort of encrypted bytes that a block is.
const SORT: u8 = 3;
/// Before each entry, and before the count that ends the stream.
const ENTRY: u8 = 1;
const END: u8 = 0;
/// The most bytes of a field that is not the value.
const FIELD: u64 = 16 << 20;

/// An entry as it is stored, apart from any directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The stored key.
    pub key: Vec<u8>,
    /// What the value is.
    pub kind: u8,
    /// The codec of the payload.
    pub codec: u8,
    /// Bytes of the value.
    pub size: u64,
    /// Milliseconds since the Unix epoch.
    pub created: u64,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires: Option<u64>,
    /// When it is stale, and what it cost.
    pub freshness: Freshness,
    /// Tick of the last access.
    pub accessed: i64,
    /// Reads.
    pub hits: u64,
    /// The body of what the entry carries beside its value; empty where that is nothing.
    pub extras: Vec<u8>,
    /// The coded value.
    pub payload: Vec<u8>,
    /// Fields of other names, in their order.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The value.
    ///
    /// # Errors
    /// [`Code::Corrupt`](crate::Code::Corrupt) when the payload is not what its codec made of a value of this size.
    pub fn decode(&self) -> Result<Vec<u8>> {
        codec::decode_sized(self.codec, self.size, &self.payload)
    }

    fn set(&mut self, name: &str, value: Vec<u8>) -> std::result::Result<(), &'static str> {
        let number =
            || <[u8; 8]>::try_from(&value[..]).map(u64::from_le_bytes).map_err(|_| "a number is cut");
        match name {
            "key" => self.key = value,
            "kind" => self.kind = byte(&value)?,
            "codec" => self.codec = byte(&value)?,
            "size" => self.size = number()?,
            "created" => self.created = number()?,
            "expires" => self.expires = Some(number()?),
            "accessed" => self.accessed = number()? as i64,
            "fresh" => self.freshness.until = Some(number()?),
            "cost" => self.freshness.cost = u32::try_from(number()?).unwrap_or(u32::MAX),
            "hits" => self.hits = number()?,
            "extras" => {
                Extras::parse(&value).map_err(|_| "what an entry carries does not parse")?;
                self.extras = value;
            }
            "value" => self.payload = value,
            _ => self.fields.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

fn byte(value: &[u8]) -> std::result::Result<u8, &'static str> {
    match value {
        [byte] => Ok(*byte),
        _ => Err("a byte is not one"),
    }
}

fn checksum(seed: u64, number: u64, block: &[u8]) -> u64 {
    hash64(block, seed.wrapping_add(number))
}

/// What an encrypted block is bound to.
fn place(seed: u64, number: u64) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&seed.to_le_bytes());
    place[8..].copy_from_slice(&number.to_le_bytes());
    place
}

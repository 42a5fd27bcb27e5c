//! Pco, "good compression for numerical sequences": finds what numbers are multiples of, differences of a fitting order,
//! and codes them close to their entropy. <https://github.com/pcodec/pcodec/blob/main/docs/format.md>
//!
//! A chunk is Pco's wrapped format: header, chunk metadata, one page.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pco::data_types::Number;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, FULL_BATCH_N, PagingSpec};

use super::damaged;
use super::numbers::Element;
use crate::error::{Code, Error, Result};

/// Pco's own default: higher ones gain less than one per cent.
const DEFAULT_LEVEL: i32 = 8;
const LEVELS: std::ops::RangeInclusive<i32> = 0..=12;
/// The mode that stores a table of values. It is never written, and reading its length takes memory before the table is
/// seen to be there.
const DICT_MODE: u8 = 4;
/// How far back differences may reach, beyond what the chunk's own length allows; Pco takes memory for it at once.
const SMALL_WINDOW_LOG: u32 = 12;

macro_rules! by_element {
    ($element:expr, $run:ident($($argument:expr),*)) => {
        match $element {
            Element::I8 => $run::<i8, 1>($($argument),*),
            Element::U8 => $run::<u8, 1>($($argument),*),
            Element::I16 => $run::<i16, 2>($($argument),*),
            // Pco's half floats are a type of another crate; their bits are ordered well enough.
            Element::U16 | Element::F16 => $run::<u16, 2>($($argument),*),
            Element::I32 => $run::<i32, 4>($($argument),*),
            Element::U32 => $run::<u32, 4>($($argument),*),
            Element::F32 => $run::<f32, 4>($($argument),*),
            Element::I64 => $run::<i64, 8>($($argument),*),
            Element::U64 => $run::<u64, 8>($($argument),*),
            Element::F64 => $run::<f64, 8>($($argument),*),
        }
    };
}

/// A number with its little-endian bytes.
trait Bytes<const W: usize>: Number + Copy + Default {
    fn from_bytes(bytes: [u8; W]) -> Self;
    fn to_bytes(self) -> [u8; W];
}

macro_rules! bytes_of {
    ($($type:ty, $width:literal;)*) => {$(
        impl Bytes<$width> for $type {
            fn from_bytes(bytes: [u8; $width]) -> Self {
                Self::from_le_bytes(bytes)
            }
            fn to_bytes(self) -> [u8; $width] {
                self.to_le_bytes()
            }
        }
    )*};
}
bytes_of! { i8, 1; u8, 1; i16, 2; u16, 2; i32, 4; u32, 4; f32, 4; i64, 8; u64, 8; f64, 8; }

/// Codes one chunk of elements.
pub(super) fn encode(raw: &[u8], element: Element, level: Option<i32>, out: &mut Vec<u8>) -> Result<()> {
    let level = level.unwrap_or(DEFAULT_LEVEL).clamp(*LEVELS.start(), *LEVELS.end());
    by_element!(element, encode_as(raw, level as usize, out))
}

/// Fills a chunk.
pub(super) fn decode(coded: &[u8], raw: &mut [u8], element: Element) -> Result<()> {
    // Pco means to be total. Should it not be, the value is damaged, and not the process.
    let decode = AssertUnwindSafe(|| by_element!(element, decode_as(coded, raw)));
    catch_unwind(decode).unwrap_or_else(|_| Err(damaged("pco", "decoding it panicked")))
}

fn encode_as<T: Bytes<W>, const W: usize>(raw: &[u8], level: usize, out: &mut Vec<u8>) -> Result<()> {
    let numbers: Vec<T> = raw.as_chunks::<W>().0.iter().map(|bytes| T::from_bytes(*bytes)).collect();
    let config = ChunkConfig::default()
        .with_compression_level(level)
        .with_enable_8_bit(W == 1)
        .with_paging_spec(PagingSpec::Exact(vec![numbers.len()]));
    let file = FileCompressor::default();
    let mut write = || {
        file.write_header(&mut *out)?;
        let mut chunk = file.chunk_compressor(&numbers, &config)?;
        chunk.write_meta(&mut *out)?;
        chunk.write_page(0, &mut *out).map(|_| ())
    };
    write().map_err(|why| Error::new(Code::Internal, format!("pco cannot code the value: {why}")))
}

fn decode_as<T: Bytes<W>, const W: usize>(coded: &[u8], raw: &mut [u8]) -> Result<()> {
    let failed = |why| damaged("pco", why);
    let (file, rest) = FileDecompressor::new(coded).map_err(failed)?;
    if rest.first().is_none_or(|first| first & 15 == DICT_MODE) {
        return Err(damaged("pco", "it has a table of values"));
    }
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(failed)?;
    let count = raw.len() / W;
    if let DeltaEncoding::Lookback { config, .. } = &chunk.meta().delta_encoding {
        let largest = (usize::BITS - count.leading_zeros()).max(SMALL_WINDOW_LOG);
        if config.window_n_log > largest || config.state_n_log > config.window_n_log {
            return Err(damaged("pco", "its differences reach back beyond its start"));
        }
    }
    let mut page = chunk.page_decompressor(rest, count).map_err(failed)?;
    let mut numbers = [T::default(); 4 * FULL_BATCH_N];
    for part in raw.chunks_mut(numbers.len() * W) {
        let read = page.read(&mut numbers).map_err(failed)?;
        if read.n_processed * W < part.len() {
            return Err(damaged("pco", "it ends too soon"));
        }
        for (bytes, number) in part.as_chunks_mut::<W>().0.iter_mut().zip(numbers) {
            *bytes = number.to_bytes();
        }
    }
    if page.into_src().is_empty() { Ok(()) } else { Err(damaged("pco", "bytes follow its end")) }
}

//! Byte shuffle: the first bytes of all elements, then all second bytes, and so on, each such *plane* coded by itself.
//!
//! Neighbours in a plane resemble each other where neighbouring numbers do, and planes of noise (the low bytes of
//! measurements) are stored as they are, which costs nothing in either direction.
//!
//! A chunk is one byte, `d + 2 * e` (`d`: 1 if what follows are differences; `e`: 0, or the elements are `f64` and what
//! follows are their integers at the decimal exponent `e - 1`, see `decimal.rs`), then each plane: one byte for its method,
//! and
//! - 0: its bytes
//! - 1: one byte, of which all of it consists
//! - 2 (LZ4) or 3 (Zstandard): the coded length as `u32`, and that many bytes
//!
//! A difference is that to the element before, as an integer of the same width that wraps, its sign moved to the lowest
//! bit: 0, -1, 1, -2 are 0, 1, 2, 3. The first element's is that to 0.

use std::cell::RefCell;

use super::numbers::{CHUNK, Element, no_such_element, word};
use super::planes::{join, split};
use super::{damaged, decimal, lz4, zstd};
use crate::error::Result;

const RAW: u8 = 0;
const CONSTANT: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 3;

/// Bytes that are looked at to learn what a plane is like: in a few runs, so that repetition shows.
const PROBE_RUN: usize = 1024;
const PROBE_RUNS: usize = 4;
/// Bits a byte above which a probe is noise, unless it repeats. (4096 random bytes measure 7.955.)
const NOISE: f32 = 7.9;

/// How planes are coded.
#[derive(Clone, Copy, Debug)]
pub(super) enum PlaneCoder {
    Lz4,
    Zstd(Option<i32>),
}

thread_local! {
    /// The planes of a chunk: fresh memory for each would cost more than shuffling it.
    static PLANES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends memory of this thread; what is in it is of no meaning.
fn with_planes<T>(size: usize, run: impl FnOnce(&mut [u8]) -> T) -> T {
    PLANES.with_borrow_mut(|kept| {
        if size > CHUNK {
            return run(&mut vec![0; size]); // of another writer: not to be kept
        }
        if kept.len() < size {
            kept.resize(size, 0);
        }
        run(&mut kept[..size])
    })
}

/// Codes one chunk of elements of `1 << width_log` bytes.
pub(super) fn encode(raw: &[u8], element: Element, coder: PlaneCoder, out: &mut Vec<u8>) -> Result<()> {
    let width_log = element.width_log();
    let decimals = if element == Element::F64 { decimal::to_integers(raw) } else { None };
    let (raw, exponent) = match &decimals {
        Some((integers, exponent)) => (&integers[..], exponent + 1),
        None => (raw, 0),
    };
    with_planes(raw.len(), |planes| {
        split(raw, width_log, planes)?;
        let plain = entropy(planes, width_log);
        // Differences are only made where a probe of them says that they pay.
        let is_delta =
            plain > 0.0 && entropy(&probe_of_differences(raw, width_log)?, width_log) < 0.97 * plain;
        if is_delta {
            let mut differences = raw.to_vec();
            to_differences(&mut differences, width_log)?;
            split(&differences, width_log, planes)?;
        }
        out.push(u8::from(is_delta) + 2 * exponent);
        planes
            .chunks_exact((raw.len() >> width_log).max(1))
            .try_for_each(|plane| encode_plane(plane, coder, out))
    })
}

/// Fills a chunk.
pub(super) fn decode(coded: &[u8], raw: &mut [u8], width_log: u8) -> Result<()> {
    let (&head, rest) = coded.split_first().ok_or_else(|| broken("it is empty"))?;
    let (is_delta, exponent) = (head & 1 == 1, head >> 1);
    if exponent > decimal::EXPONENTS
        || (exponent > 0 && width_log != 3)
        || width_log > 3
        || raw.is_empty()
        || !raw.len().is_multiple_of(1 << width_log)
    {
        return Err(broken("its head is unknown"));
    }
    with_planes(raw.len(), |room| {
        let (mut planes, mut rest): ([&[u8]; 8], _) = ([&[]; 8], rest);
        for (plane, room) in planes.iter_mut().zip(room.chunks_exact_mut(raw.len() >> width_log)) {
            (*plane, rest) = decode_plane(rest, room)?;
        }
        if !rest.is_empty() {
            return Err(broken("bytes follow its end"));
        }
        join(&planes, width_log, raw)
    })?;
    match exponent.checked_sub(1) {
        Some(exponent) => decimal::from_integers(raw, exponent, is_delta),
        None if is_delta => from_differences(raw, width_log)?,
        None => {}
    }
    Ok(())
}

fn encode_plane(plane: &[u8], coder: PlaneCoder, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    if plane.iter().all(|byte| *byte == plane[0]) {
        out.extend_from_slice(&[CONSTANT, plane[0]]);
        return Ok(());
    }
    if is_worth_coding(plane)? {
        out.extend_from_slice(&[0; 5]);
        out[start] = match coder {
            PlaneCoder::Lz4 => {
                lz4::encode(plane, None, out)?;
                LZ4
            }
            PlaneCoder::Zstd(level) => {
                zstd::encode(plane, level, out)?;
                ZSTD
            }
        };
        let length = out.len() - start - 5;
        if length + 4 < plane.len() {
            out[start + 1..start + 5].copy_from_slice(&(length as u32).to_le_bytes());
            return Ok(());
        }
        out.truncate(start);
    }
    out.push(RAW);
    out.extend_from_slice(plane);
    Ok(())
}

/// The plane at the front of `coded`, in place where it is stored as it is and in `room` where not, and what is behind it.
fn decode_plane<'plane, 'coded: 'plane>(
    coded: &'coded [u8],
    room: &'plane mut [u8],
) -> Result<(&'plane [u8], &'coded [u8])> {
    let cut = || broken("a plane is cut");
    let (&method, mut rest) = coded.split_first().ok_or_else(cut)?;
    let length = match method {
        RAW => room.len(),
        CONSTANT => 1,
        LZ4 | ZSTD => word(&mut rest)? as usize,
        _ => return Err(broken("a plane has an unknown method")),
    };
    let (bytes, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    match method {
        RAW => return Ok((bytes, rest)),
        CONSTANT => room.fill(bytes[0]),
        LZ4 => lz4::decode(bytes, room)?,
        _ => zstd::decode(bytes, room)?,
    }
    Ok((room, rest))
}

/// Whether a plane is anything but noise: by its distribution, or because it repeats.
fn is_worth_coding(plane: &[u8]) -> Result<bool> {
    let probe = probe(plane, PROBE_RUN);
    if bits_a_byte(&probe) < NOISE {
        return Ok(true);
    }
    let mut coded = Vec::new();
    lz4::encode(&plane[..plane.len().min(8 * PROBE_RUN)], None, &mut coded)?;
    Ok(coded.len() < plane.len().min(8 * PROBE_RUN) * 15 / 16)
}

/// A few runs of bytes from all over, or all where there are few; runs start at multiples of their length.
fn probe(bytes: &[u8], run: usize) -> Vec<u8> {
    if bytes.len() <= run * PROBE_RUNS {
        return bytes.to_vec();
    }
    let step = (bytes.len() - run) / (PROBE_RUNS - 1) / run * run;
    (0..PROBE_RUNS).flat_map(|at| &bytes[at * step..at * step + run]).copied().collect()
}

/// Planes of the differences of a few runs of elements.
fn probe_of_differences(raw: &[u8], width_log: u8) -> Result<Vec<u8>> {
    let mut elements = probe(raw, PROBE_RUN << width_log);
    to_differences(&mut elements, width_log)?;
    let mut planes = vec![0; elements.len()];
    split(&elements, width_log, &mut planes)?;
    Ok(planes)
}

/// Bits an element, over its planes, as if bytes were independent.
fn entropy(planes: &[u8], width_log: u8) -> f32 {
    planes
        .chunks_exact((planes.len() >> width_log).max(1))
        .map(|plane| bits_a_byte(&probe(plane, PROBE_RUN)).min(NOISE))
        .sum()
}

fn bits_a_byte(bytes: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total = bytes.len() as f32;
    let bits = |count: &u32| *count as f32 * (total / *count as f32).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum::<f32>() / total.max(1.0)
}

macro_rules! difference_functions {
    ($($width_log:literal $unsigned:ty, $signed:ty;)*) => {
        fn to_differences(raw: &mut [u8], width_log: u8) -> Result<()> {
            match width_log {
                $($width_log => {
                    let mut before: $unsigned = 0;
                    for bytes in raw.as_chunks_mut().0 {
                        let element = <$unsigned>::from_le_bytes(*bytes);
                        let difference = element.wrapping_sub(before) as $signed;
                        let folded = (difference << 1) ^ (difference >> (<$signed>::BITS - 1));
                        *bytes = folded.to_le_bytes();
                        before = element;
                    }
                })*
                _ => return Err(no_such_element(width_log)),
            }
            Ok(())
        }

        fn from_differences(raw: &mut [u8], width_log: u8) -> Result<()> {
            match width_log {
                $($width_log => {
                    let mut element: $unsigned = 0;
                    for bytes in raw.as_chunks_mut().0 {
                        let folded = <$unsigned>::from_le_bytes(*bytes);
                        let difference = (folded >> 1) ^ (0 as $unsigned).wrapping_sub(folded & 1);
                        element = element.wrapping_add(difference);
                        *bytes = element.to_le_bytes();
                    }
                })*
                _ => return Err(no_such_element(width_log)),
            }
            Ok(())
        }
    };
}
difference_functions! { 0 u8, i8; 1 u16, i16; 2 u32, i32; 3 u64, i64; }

fn broken(why: &str) -> crate::error::Error {
    damaged("shuffle", why)
}

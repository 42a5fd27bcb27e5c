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
//! - 2 (LZ4), 3 (Zstandard) or 4 (blocks, see `packed.rs`): the coded length as `u32`, and that many bytes
//!
//! What a difference is: see `differences.rs`.

use std::cell::RefCell;

use super::differences::{from_differences, progression, to_differences};
use super::kept::{Kept, Stash};
use super::numbers::{CHUNK, Element, word};
use super::packed::{BLOCK, Part};
use super::planes::{join, split};
use super::{damaged, decimal, lz4, packed, zstd};
use crate::error::Result;

const RAW: u8 = 0;
const CONSTANT: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 3;
const PACKED: u8 = 4;

/// Bytes that are looked at to learn what a plane is like: in a few runs, so that repetition shows.
const PROBE_RUN: usize = 1024;
const PROBE_RUNS: usize = 4;
/// Bytes that `Fast` codes in each way to learn which is worth it.
const SAMPLE: usize = 4 * BLOCK;
/// Bits a byte above which a probe is noise, unless it repeats. (4096 random bytes measure 7.955.)
const NOISE: f32 = 7.9;

/// Bytes that a block of a plane gets: more than it has, or all eight would want the same lines of the first-level cache.
const ROOM: usize = BLOCK + 64;

/// How planes are coded.
#[derive(Clone, Copy, Debug)]
pub(super) enum PlaneCoder {
    Lz4,
    Zstd(Option<i32>),
    /// What is quick to decode: blocks, and Zstandard where that saves much more.
    Fast,
}

static ROOMS: Stash<Vec<u8>> = Stash::new(Vec::new());

thread_local! {
    /// The planes of a chunk.
    static ROOM_OF_PLANES: RefCell<Kept<Vec<u8>>> = const { RefCell::new(Kept::new(&ROOMS)) };
}

/// Lends memory of this thread; what is in it is of no meaning.
fn with_planes<T>(size: usize, run: impl FnOnce(&mut [u8]) -> Result<T>) -> Result<T> {
    if size > CHUNK {
        return run(&mut vec![0; size]); // of another writer: not to be kept
    }
    ROOM_OF_PLANES.with_borrow_mut(|kept| {
        let kept = kept.get(|| Ok(Vec::new()))?;
        if kept.len() < size {
            *kept = vec![0; size]; // of which the system gives what is touched
        }
        run(&mut kept[..size])
    })
}

/// Codes one chunk of elements of `1 << width_log` bytes.
pub(super) fn encode(raw: &[u8], element: Element, coder: PlaneCoder, out: &mut Vec<u8>) -> Result<()> {
    let width_log = element.width_log();
    let mut sample = probe(raw, PROBE_RUN << width_log);
    let exponent = if element == Element::F64 { decimal::exponent(raw) } else { None };
    let exponent = exponent.filter(|exponent| decimal::to_integers(&mut sample, *exponent));
    with_planes(raw.len(), |planes| {
        // A float that is no short decimal shows when it is met.
        for exponent in [exponent, None] {
            let is_delta = is_better_as_differences(&sample, width_log)?;
            if split_in_tiles(raw, width_log, exponent, is_delta, planes)? {
                out.push(u8::from(is_delta) + 2 * exponent.map_or(0, |exponent| exponent + 1));
                return planes
                    .chunks_exact((raw.len() >> width_log).max(1))
                    .try_for_each(|plane| encode_plane(plane, coder, out));
            }
            sample = probe(raw, PROBE_RUN << width_log);
        }
        Err(broken("its elements are neither decimals nor bytes"))
    })
}

/// Elements into planes, a tile at a time (see `decode`): false where one is no short decimal with this exponent.
fn split_in_tiles(
    raw: &[u8],
    width_log: u8,
    exponent: Option<u8>,
    is_delta: bool,
    planes: &mut [u8],
) -> Result<bool> {
    let count = raw.len() >> width_log;
    let (mut room, mut before) = ([0; BLOCK << 3], 0);
    for (at, tile) in raw.chunks(BLOCK << width_log).enumerate() {
        let tile = if exponent.is_some() || is_delta {
            let room = &mut room[..tile.len()];
            room.copy_from_slice(tile);
            if exponent.is_some_and(|exponent| !decimal::to_integers(room, exponent)) {
                return Ok(false);
            }
            if is_delta {
                to_differences(room, width_log, &mut before)?;
            }
            room
        } else {
            tile
        };
        split(tile, width_log, planes, (count, at * BLOCK))?;
    }
    Ok(true)
}

/// Whether a sample of elements takes fewer bits as differences.
fn is_better_as_differences(sample: &[u8], width_log: u8) -> Result<bool> {
    let mut planes = vec![0; sample.len()];
    let count = sample.len() >> width_log;
    split(sample, width_log, &mut planes, (count, 0))?;
    let plain = entropy(&planes, count);
    let mut differences = sample.to_vec();
    to_differences(&mut differences, width_log, &mut 0)?;
    split(&differences, width_log, &mut planes, (count, 0))?;
    Ok(plain > 0.0 && entropy(&planes, count) < 0.97 * plain)
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
        let (mut planes, mut rest): ([Plane<'_>; 8], _) = ([Plane::Whole(&[]); 8], rest);
        for (plane, room) in planes.iter_mut().zip(room.chunks_exact_mut(raw.len() >> width_log)) {
            (*plane, rest) = decode_plane(rest, room)?;
        }
        if !rest.is_empty() {
            return Err(broken("bytes follow its end"));
        }
        let mut sum = is_delta.then_some(0);
        let (mut rooms, mut start) = ([[0; ROOM]; 8], 0);
        // A block of each plane at a time, so that all that is done to it is done in the first-level cache.
        for tile in raw.chunks_mut(BLOCK << width_log) {
            let end = start + (tile.len() >> width_log);
            let mut parts = [Part::Same(0); 8];
            for ((plane, room), part) in
                planes.iter_mut().zip(&mut rooms).zip(&mut parts).take(1 << width_log)
            {
                *part = match plane {
                    Plane::Constant(byte) => Part::Same(*byte),
                    Plane::Whole(bytes) => {
                        Part::InPlace(bytes.get(start..end).ok_or_else(|| broken("a plane is cut"))?)
                    }
                    Plane::Blocks(rest) => packed::decode_block(rest, &mut room[..end - start])?,
                };
            }
            put_together(parts, &mut rooms, width_log, tile, sum.as_mut())?;
            if let Some(exponent) = exponent.checked_sub(1) {
                decimal::from_integers(tile, exponent);
            }
            start = end;
        }
        if planes.iter().any(|plane| matches!(plane, Plane::Blocks(rest) if !rest.is_empty())) {
            return Err(broken("bytes follow a plane"));
        }
        Ok(())
    })
}

/// Fills a tile; with `sum` from differences, of which the first is that to it, and leaves it at the last element.
fn put_together(
    parts: [Part<'_>; 8],
    rooms: &mut [[u8; ROOM]; 8],
    width_log: u8,
    tile: &mut [u8],
    mut sum: Option<&mut u64>,
) -> Result<()> {
    let same = parts.map(|part| if let Part::Same(byte) = part { Some(byte) } else { None });
    if let (true, Some(sum)) = (same.iter().all(Option::is_some), sum.as_deref_mut()) {
        let difference = u64::from_le_bytes(same.map(Option::unwrap_or_default));
        return progression(tile, width_log, difference, sum);
    }
    let mut planes: [&[u8]; 8] = [&[]; 8];
    for (((plane, room), part), same) in
        planes.iter_mut().zip(rooms).zip(parts).zip(same).take(1 << width_log)
    {
        if let Some(byte) = same {
            room.fill(byte);
        }
        *plane = if let Part::InPlace(bytes) = part { bytes } else { &room[..tile.len() >> width_log] };
    }
    let summed = join(&planes, width_log, tile, sum.as_deref_mut())?;
    match sum {
        Some(sum) => from_differences(&mut tile[summed << width_log..], width_log, sum),
        None => Ok(()),
    }
}

fn encode_plane(plane: &[u8], coder: PlaneCoder, out: &mut Vec<u8>) -> Result<()> {
    if packed::is_constant(plane) {
        out.extend_from_slice(&[CONSTANT, plane[0]]);
        return Ok(());
    }
    let coded = match coder {
        _ if !is_worth_coding(plane)? => false,
        PlaneCoder::Lz4 => encode_as(LZ4, plane, plane.len(), out, |out| lz4::encode(plane, None, out))?,
        PlaneCoder::Zstd(level) => {
            encode_as(ZSTD, plane, plane.len(), out, |out| zstd::encode(plane, level, out))?
        }
        PlaneCoder::Fast => encode_fast(plane, out)?,
    };
    if !coded {
        out.push(RAW);
        out.extend_from_slice(plane);
    }
    Ok(())
}

fn encode_fast(plane: &[u8], out: &mut Vec<u8>) -> Result<bool> {
    let sample = &plane[plane.len() / 2 / BLOCK * BLOCK..];
    let sample = &sample[..sample.len().min(SAMPLE)];
    let (mut by_zstd, mut by_blocks) = (Vec::new(), Vec::new());
    packed::encode(sample, usize::MAX / 2, &mut by_blocks);
    // Zstandard takes time to decode by the bytes that it makes: only few, in the place of many, are worth it.
    if by_blocks.len() > sample.len() / 4 {
        zstd::encode(sample, None, &mut by_zstd)?;
        if by_zstd.len() < sample.len() / 4 && by_zstd.len() + sample.len() / 4 < by_blocks.len() {
            return encode_as(ZSTD, plane, plane.len() / 4, out, |out| zstd::encode(plane, None, out));
        }
    }
    let most = plane.len() * 9 / 10;
    encode_as(PACKED, plane, most, out, |out| {
        packed::encode(plane, most, out);
        Ok(())
    })
}

/// Whether a plane takes less than `most` bytes by a method. If not, nothing is written.
fn encode_as(
    method: u8,
    plane: &[u8],
    most: usize,
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<bool> {
    let start = out.len();
    out.extend_from_slice(&[method, 0, 0, 0, 0]);
    encode(out)?;
    let length = out.len() - start - 5;
    if length + 4 >= most.min(plane.len()) {
        out.truncate(start);
        return Ok(false);
    }
    out[start + 1..start + 5].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(true)
}

/// A plane that is to be joined with others.
#[derive(Clone, Copy, Debug)]
enum Plane<'a> {
    Whole(&'a [u8]),
    Constant(u8),
    /// Blocks that are still coded.
    Blocks(&'a [u8]),
}

/// The plane at the front of `coded`, decoded into `room` where that is done as a whole, and what is behind it.
fn decode_plane<'plane, 'coded: 'plane>(
    coded: &'coded [u8],
    room: &'plane mut [u8],
) -> Result<(Plane<'plane>, &'coded [u8])> {
    let cut = || broken("a plane is cut");
    let (&method, mut rest) = coded.split_first().ok_or_else(cut)?;
    let length = match method {
        RAW => room.len(),
        CONSTANT => 1,
        LZ4 | ZSTD | PACKED => word(&mut rest)? as usize,
        _ => return Err(broken("a plane has an unknown method")),
    };
    let (bytes, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    match method {
        RAW => return Ok((Plane::Whole(bytes), rest)),
        CONSTANT => return Ok((Plane::Constant(bytes[0]), rest)),
        PACKED => return Ok((Plane::Blocks(bytes), rest)),
        LZ4 => lz4::decode(bytes, room)?,
        _ => zstd::decode(bytes, room)?,
    }
    Ok((Plane::Whole(room), rest))
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
    (0..PROBE_RUNS).map(|at| &bytes[at * step..at * step + run]).collect::<Vec<_>>().concat()
}

/// Bits an element, over its planes, as if bytes were independent.
fn entropy(planes: &[u8], count: usize) -> f32 {
    planes.chunks_exact(count.max(1)).map(|plane| bits_a_byte(plane).min(NOISE)).sum()
}

fn bits_a_byte(bytes: &[u8]) -> f32 {
    let counts = packed::counts(bytes);
    let total = bytes.len() as f32;
    let bits = |count: &u32| *count as f32 * (total / *count as f32).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum::<f32>() / total.max(1.0)
}

fn broken(why: &str) -> crate::error::Error {
    damaged("shuffle", why)
}

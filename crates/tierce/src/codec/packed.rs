//! A plane in blocks, each with only as many bits a byte as it has different bytes: as quick to read as to copy, where few
//! bytes occur, or one and now and then another.
//!
//! A block stands for [`BLOCK`] bytes, the last for what is left, and is one byte for the bits of an index: 8 (the bytes
//! follow as they are), or 0, 1, 2 or 4, and then
//!
//! | bytes | field |
//! |---|---|
//! | 1 | patches |
//! | `1 << bits` | the bytes that the indices stand for |
//! | `s`: length x bits / 8, rounded up | indices: those of bytes 0 to `s` in the lowest bits, of the next `s` in the bits above, and so on |
//! | 3 a patch | where in the block (`u16`), and which byte is there |

use super::damaged;
use super::planes::{looked_up, widest};
use crate::error::{Error, Result};

/// Bytes that a block stands for.
pub(super) const BLOCK: usize = 4096;
const AS_IT_IS: u8 = 8;
const PATCH: usize = 3;

/// Codes a plane, if that takes no more than `most` bytes; what it wrote otherwise is of no meaning.
pub(super) fn encode(plane: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
    let most = out.len() + most;
    plane.chunks(BLOCK).all(|block| {
        encode_block(block, out);
        out.len() <= most
    })
}

fn encode_block(block: &[u8], out: &mut Vec<u8>) {
    if is_constant(block) {
        return out.extend_from_slice(&[0, 0, block[0]]);
    }
    let (bytes, often) = most_frequent(block);
    let mut left = block.len();
    let (mut best, mut smallest) = (AS_IT_IS, 1 + block.len());
    for (bits, range) in [(0, 0..1), (1, 1..2), (2, 2..4), (4, 4..16)] {
        let known = range.end;
        left -= often[range].iter().sum::<usize>();
        let size = 2 + known + (block.len() * bits).div_ceil(8) + PATCH * left;
        if left <= usize::from(u8::MAX) && size < smallest {
            (best, smallest) = (bits as u8, size);
        }
    }
    out.push(best);
    if best == AS_IT_IS {
        return out.extend_from_slice(block);
    }
    let bytes = &bytes[..1 << best];
    let mut index = [u8::MAX; 256];
    for (at, byte) in bytes.iter().enumerate().rev() {
        index[usize::from(*byte)] = at as u8;
    }
    let at_patches = out.len();
    out.push(0);
    out.extend_from_slice(bytes);
    if best > 0 {
        let start = out.len();
        let stride = (block.len() * usize::from(best)).div_ceil(8);
        out.resize(start + stride, 0);
        for (part, place) in block.chunks(stride).zip((0..8).step_by(best.into())) {
            for (to, byte) in out[start..].iter_mut().zip(part) {
                let index = index[usize::from(*byte)];
                *to |= if index == u8::MAX { 0 } else { index << place };
            }
        }
    }
    for (at, byte) in block.iter().enumerate() {
        if index[usize::from(*byte)] == u8::MAX {
            let [low, high] = (at as u16).to_le_bytes();
            out.extend_from_slice(&[low, high, *byte]);
            out[at_patches] += 1;
        }
    }
}

/// The sixteen bytes that occur most, and how often; where there are fewer, the others occur 0 times.
fn most_frequent(block: &[u8]) -> ([u8; 16], [usize; 16]) {
    let mut found: [(u32, u8); 256] = [(0, 0); 256];
    let mut different = 0;
    for (byte, count) in counts(block).into_iter().enumerate() {
        found[different] = (count, byte as u8);
        different += usize::from(count > 0);
    }
    let found = &mut found[..different.max(16)];
    if let (most, _, [_, ..]) = found.select_nth_unstable_by(15, |a, b| b.cmp(a)) {
        most.sort_unstable_by(|a, b| b.cmp(a));
    } else {
        found.sort_unstable_by(|a, b| b.cmp(a));
    }
    (std::array::from_fn(|at| found[at].1), std::array::from_fn(|at| found[at].0 as usize))
}

/// Whether all bytes are the same.
pub(super) fn is_constant(bytes: &[u8]) -> bool {
    bytes.split_last().is_none_or(|(_, before)| before == &bytes[1..])
}

/// How often each byte occurs. In four tables, so that one count does not wait for the one before.
pub(super) fn counts(bytes: &[u8]) -> [u32; 256] {
    let mut tables = [[0u32; 256]; 4];
    let (groups, rest) = bytes.as_chunks::<4>();
    for group in groups {
        for (table, byte) in tables.iter_mut().zip(group) {
            table[usize::from(*byte)] += 1;
        }
    }
    for byte in rest {
        tables[0][usize::from(*byte)] += 1;
    }
    std::array::from_fn(|byte| tables.iter().map(|table| table[byte]).sum())
}

/// The bytes that a block stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'coded> {
    /// One byte, again and again.
    Same(u8),
    InPlace(&'coded [u8]),
    /// They are where they were asked for.
    Decoded,
}

/// The next block: decoded into `room`, which has its length, if it has to be.
pub(super) fn decode_block<'coded>(rest: &mut &'coded [u8], room: &mut [u8]) -> Result<Part<'coded>> {
    let bits = take(rest, 1)?[0];
    if bits == AS_IT_IS {
        return Ok(Part::InPlace(take(rest, room.len())?));
    }
    if !matches!(bits, 0 | 1 | 2 | 4) {
        return Err(broken("a block has an unknown width"));
    }
    let patches = usize::from(take(rest, 1)?[0]);
    let mut bytes = [0; 16];
    bytes[..1 << bits].copy_from_slice(take(rest, 1 << bits)?);
    if (bits, patches) == (0, 0) {
        return Ok(Part::Same(bytes[0]));
    }
    let indices = take(rest, (room.len() * usize::from(bits)).div_ceil(8))?;
    match bits {
        0 => room.fill(bytes[0]),
        1 => widest(
            #[inline(always)]
            || of_two(bytes[0], bytes[1], indices, room),
        ),
        2 => widest(
            #[inline(always)]
            || of_four([bytes[0], bytes[1], bytes[2], bytes[3]], indices, room),
        ),
        _ => {
            let (low, high) = room.split_at_mut(indices.len().min(room.len()));
            looked_up(&bytes, indices, low, high);
        }
    }
    for patch in take(rest, PATCH * patches)?.as_chunks::<PATCH>().0 {
        let at = usize::from(u16::from_le_bytes([patch[0], patch[1]]));
        *room.get_mut(at).ok_or_else(|| broken("a patch is behind its block"))? = patch[2];
    }
    Ok(Part::Decoded)
}

#[inline(always)]
fn of_two(zero: u8, one: u8, indices: &[u8], room: &mut [u8]) {
    for (part, place) in room.chunks_mut(indices.len().max(1)).zip(0..8) {
        for (to, packed) in part.iter_mut().zip(indices) {
            let is_one = 0u8.wrapping_sub(packed >> place & 1);
            *to = zero ^ (is_one & (zero ^ one));
        }
    }
}

#[inline(always)]
fn of_four(bytes: [u8; 4], indices: &[u8], room: &mut [u8]) {
    let [a, b, c, d] = bytes;
    for (part, place) in room.chunks_mut(indices.len().max(1)).zip([0, 2, 4, 6]) {
        for (to, packed) in part.iter_mut().zip(indices) {
            let (low, high) =
                (0u8.wrapping_sub(packed >> place & 1), 0u8.wrapping_sub(packed >> (place + 1) & 1));
            *to = a ^ (low & (a ^ b)) ^ (high & (a ^ c)) ^ (low & high & (a ^ b ^ c ^ d));
        }
    }
}

fn take<'coded>(rest: &mut &'coded [u8], length: usize) -> Result<&'coded [u8]> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(|| broken("a block is cut"))?;
    *rest = after;
    Ok(taken)
}

fn broken(why: &str) -> Error {
    damaged("shuffle", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(part: Part<'_>, room: &[u8]) -> Vec<u8> {
        match part {
            Part::Same(byte) => vec![byte; room.len()],
            Part::InPlace(bytes) => bytes.to_vec(),
            Part::Decoded => room.to_vec(),
        }
    }

    fn round_trip(plane: &[u8]) -> usize {
        let mut coded = Vec::new();
        assert!(encode(plane, usize::MAX / 2, &mut coded));
        let (mut rest, mut back) = (&coded[..], Vec::new());
        for block in plane.chunks(BLOCK) {
            let mut room = vec![0xa5; block.len()];
            back.extend_from_slice(&shown(decode_block(&mut rest, &mut room).unwrap(), &room));
        }
        assert!(rest.is_empty() && back == plane);
        coded.len()
    }

    #[test]
    fn blocks_of_any_number_of_bytes_and_any_length_come_back_and_take_their_bits() {
        let random = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        for length in [1, 2, 3, 7, 8, 9, 15, 100, 4095, 4096, 4097, 5000, 3 * BLOCK + 1] {
            for different in [1, 2, 3, 4, 5, 16, 17, 256] {
                let plane: Vec<u8> = (0..length).map(|at| (random(at) % different * 37 + 11) as u8).collect();
                let size = round_trip(&plane);
                assert!(size <= length + length.div_ceil(BLOCK) * 3, "{length} {different} {size}");
                let bits = [1, 2, 4].into_iter().find(|bits| different <= 1 << bits);
                if let (4096, Some(bits)) = (length, bits) {
                    assert!(size <= 2 + (1 << bits) + length * bits / 8, "{different} {size}");
                }
            }
        }
    }

    #[test]
    fn a_few_other_bytes_are_patched() {
        for others in [1, 100, 255, 256, 1000] {
            let mut plane = vec![7; BLOCK];
            for other in 0..others {
                plane[other * 4 + 3] = 100 + (other % 100) as u8;
            }
            let size = round_trip(&plane);
            assert!(
                if others <= 255 { size <= 3 + PATCH * others } else { size <= BLOCK + 1 },
                "{others} {size}"
            );
        }
    }

    #[test]
    fn a_block_that_is_cut_or_names_what_is_not_there_is_refused() {
        let mut plane: Vec<u8> = (0..1000).map(|at| [3, 9, 27, 81][at % 4]).collect();
        plane[999] = 5;
        let mut coded = Vec::new();
        assert!(encode(&plane, usize::MAX / 2, &mut coded));
        let decode = |mut coded: &[u8]| {
            let mut room = [0; 1000];
            decode_block(&mut coded, &mut room).map(|part| shown(part, &room))
        };
        assert_eq!(decode(&coded).unwrap(), plane);
        for length in 0..coded.len() {
            decode(&coded[..length]).unwrap_err();
        }
        for bits in (0..=255).filter(|bits| ![0, 1, 2, 4, 8].contains(bits)) {
            coded[0] = bits;
            decode(&coded).unwrap_err();
        }
        coded[0] = 2;
        let at = coded.len() - 3;
        coded[at..at + 2].copy_from_slice(&1000u16.to_le_bytes());
        decode(&coded).unwrap_err();
    }
}

//! Elements into planes of their first bytes, their second bytes and so on, and back.

use super::numbers::no_such_element;
use crate::error::Result;

/// Elements into planes.
pub(super) fn split(raw: &[u8], width_log: u8, planes: &mut [u8]) -> Result<()> {
    match width_log {
        0 => planes.copy_from_slice(raw),
        1 => split_simply::<2>(raw, planes),
        2 => split_simply::<4>(raw, planes),
        3 => split_eight(raw, planes),
        _ => return Err(no_such_element(width_log)),
    }
    Ok(())
}

/// Planes into elements. As many planes as an element has bytes, each of as many bytes as there are elements.
pub(super) fn join(planes: &[&[u8]; 8], width_log: u8, raw: &mut [u8]) -> Result<()> {
    match width_log {
        0 => raw.copy_from_slice(planes[0]),
        1 => join_simply::<2>(planes, raw),
        2 => join_simply::<4>(planes, raw),
        3 => join_eight(planes, raw),
        _ => return Err(no_such_element(width_log)),
    }
    Ok(())
}

fn split_simply<const W: usize>(raw: &[u8], planes: &mut [u8]) {
    let count = raw.len() / W;
    if count == 0 {
        return;
    }
    for (at, plane) in planes.chunks_exact_mut(count).enumerate() {
        for (byte, element) in plane.iter_mut().zip(raw.as_chunks::<W>().0) {
            *byte = element[at];
        }
    }
}

fn join_simply<const W: usize>(planes: &[&[u8]; 8], raw: &mut [u8]) {
    let count = raw.len() / W;
    let planes: [&[u8]; W] = std::array::from_fn(|at| &planes[at][..count]);
    for (at, element) in raw.as_chunks_mut::<W>().0.iter_mut().enumerate() {
        *element = std::array::from_fn(|plane| planes[plane][at]);
    }
}

fn split_eight(raw: &[u8], planes: &mut [u8]) {
    let count = raw.len() / 8;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    #[allow(unsafe_code, reason = "the functions of an instruction set may only be called where it is")]
    let done = unsafe { sse2::split(raw, planes) };
    #[cfg(not(target_arch = "x86_64"))]
    let done = words::split(raw, planes);
    for element in done..count {
        for plane in 0..8 {
            planes[plane * count + element] = raw[8 * element + plane];
        }
    }
}

fn join_eight(planes: &[&[u8]; 8], raw: &mut [u8]) {
    let count = raw.len() / 8;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    #[allow(unsafe_code, reason = "the functions of an instruction set may only be called where it is")]
    let done = unsafe { sse2::join(planes, raw) };
    #[cfg(not(target_arch = "x86_64"))]
    let done = words::join(planes, raw);
    for element in done..count {
        for plane in 0..8 {
            raw[8 * element + plane] = planes[plane][element];
        }
    }
}

/// Sixteen elements at a time: bytes of two registers are dealt into two others. Each function gives how many elements it did.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::*;

    #[allow(unsafe_code, reason = "sixteen bytes are a register of sixteen bytes")]
    const fn register(bytes: [u8; 16]) -> __m128i {
        // SAFETY: of one size, and any bits are a value of either.
        unsafe { std::mem::transmute(bytes) }
    }

    #[allow(unsafe_code, reason = "a register of sixteen bytes is sixteen bytes")]
    const fn bytes(register: __m128i) -> [u8; 16] {
        // SAFETY: as above.
        unsafe { std::mem::transmute(register) }
    }

    #[target_feature(enable = "sse2")]
    pub(super) fn join(planes: &[&[u8]; 8], raw: &mut [u8]) -> usize {
        let groups = raw.as_chunks_mut::<128>().0;
        let count = groups.len();
        let planes: [&[[u8; 16]]; 8] =
            std::array::from_fn(|plane| &planes[plane].as_chunks::<16>().0[..count]);
        let deal1 = |a, b| (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
        let deal2 = |a, b| (_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b));
        let deal4 = |a, b| (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
        for (at, group) in groups.iter_mut().enumerate() {
            let [a, b, c, d, e, f, g, h] = std::array::from_fn(|plane| register(planes[plane][at]));
            let ((a, b), (c, d), (e, f), (g, h)) = (deal1(a, b), deal1(c, d), deal1(e, f), deal1(g, h));
            let ((a, c), (b, d), (e, g), (f, h)) = (deal2(a, c), deal2(b, d), deal2(e, g), deal2(f, h));
            let ((a, e), (c, g), (b, f), (d, h)) = (deal4(a, e), deal4(c, g), deal4(b, f), deal4(d, h));
            for (to, from) in group.as_chunks_mut::<16>().0.iter_mut().zip([a, e, c, g, b, f, d, h]) {
                *to = bytes(from);
            }
        }
        16 * count
    }

    #[target_feature(enable = "sse2")]
    pub(super) fn split(raw: &[u8], planes: &mut [u8]) -> usize {
        let length = raw.len() / 8;
        let groups = raw.as_chunks::<128>().0;
        let deal = |a, b| (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
        // The first half of all bytes and the second, dealt four times, are sorted by plane.
        let shuffled = |[a, b, c, d, e, f, g, h]: [__m128i; 8]| {
            let ((a, b), (c, d), (e, f), (g, h)) = (deal(a, e), deal(b, f), deal(c, g), deal(d, h));
            [a, b, c, d, e, f, g, h]
        };
        for (at, group) in groups.iter().enumerate() {
            let elements = group.as_chunks::<16>().0;
            let rows: [__m128i; 8] = std::array::from_fn(|row| register(elements[row]));
            let rows = shuffled(shuffled(shuffled(shuffled(rows))));
            for (plane, row) in rows.into_iter().enumerate() {
                let start = plane * length + 16 * at;
                planes[start..start + 16].copy_from_slice(&bytes(row));
            }
        }
        16 * groups.len()
    }
}

/// Eight elements at a time, as a matrix of 8 x 8 bytes that is turned. Each function gives how many elements it did.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    pub(super) fn split(raw: &[u8], planes: &mut [u8]) -> usize {
        let count = raw.len() / 8;
        let (groups, _) = raw.as_chunks::<64>();
        for (group, bytes) in groups.iter().enumerate() {
            let rows = turned(std::array::from_fn(|row| load(&bytes[8 * row..8 * row + 8])));
            for (plane, row) in rows.iter().enumerate() {
                let at = plane * count + 8 * group;
                planes[at..at + 8].copy_from_slice(&row.to_le_bytes());
            }
        }
        8 * groups.len()
    }

    pub(super) fn join(planes: &[&[u8]; 8], raw: &mut [u8]) -> usize {
        let (groups, _) = raw.as_chunks_mut::<64>();
        for (group, bytes) in groups.iter_mut().enumerate() {
            let rows = turned(std::array::from_fn(|plane| load(&planes[plane][8 * group..8 * group + 8])));
            for (row, element) in rows.iter().zip(bytes.as_chunks_mut::<8>().0) {
                *element = row.to_le_bytes();
            }
        }
        8 * groups.len()
    }

    fn load(bytes: &[u8]) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(bytes);
        u64::from_le_bytes(word)
    }

    /// Turns a matrix of 8 x 8 bytes: swaps of blocks of 4, 2 and 1 (Hacker's Delight, 7-3), spelt out for the compiler.
    #[inline(always)]
    fn turned(rows: [u64; 8]) -> [u64; 8] {
        let [a, b, c, d, e, f, g, h] = rows;
        let ((a, e), (b, f), (c, g), (d, h)) = (blocks4(a, e), blocks4(b, f), blocks4(c, g), blocks4(d, h));
        let ((a, c), (b, d), (e, g), (f, h)) = (blocks2(a, c), blocks2(b, d), blocks2(e, g), blocks2(f, h));
        let ((a, b), (c, d), (e, f), (g, h)) = (blocks1(a, b), blocks1(c, d), blocks1(e, f), blocks1(g, h));
        [a, b, c, d, e, f, g, h]
    }

    #[inline(always)]
    fn blocks4(low: u64, high: u64) -> (u64, u64) {
        ((low & 0xffff_ffff) | (high << 32), (low >> 32) | (high & !0xffff_ffff))
    }

    #[inline(always)]
    fn blocks2(low: u64, high: u64) -> (u64, u64) {
        const MASK: u64 = 0x0000_ffff_0000_ffff;
        ((low & MASK) | ((high & MASK) << 16), ((low >> 16) & MASK) | (high & !MASK))
    }

    #[inline(always)]
    fn blocks1(low: u64, high: u64) -> (u64, u64) {
        const MASK: u64 = 0x00ff_00ff_00ff_00ff;
        ((low & MASK) | ((high & MASK) << 8), ((low >> 8) & MASK) | (high & !MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_the_bytes_of_elements_by_place_in_each_way_and_back() {
        for (width_log, count) in
            (0..4).flat_map(|log| [0, 1, 7, 15, 16, 17, 100, 1000].map(|count| (log, count)))
        {
            let width = 1 << width_log;
            let raw: Vec<u8> =
                (0..count * width).map(|at: usize| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
            let mut planes = vec![0; raw.len()];
            split(&raw, width_log, &mut planes).unwrap();
            for (at, byte) in raw.iter().enumerate() {
                assert_eq!(planes[at % width * count + at / width], *byte, "{width_log} {count} {at}");
            }
            let cut: [&[u8]; 8] =
                std::array::from_fn(|at| planes.get(at * count..(at + 1) * count).unwrap_or_default());
            let mut back = vec![0; raw.len()];
            join(&cut, width_log, &mut back).unwrap();
            assert_eq!(back, raw);
            if width_log == 3 {
                let (mut by_words, mut back) = (planes.clone(), raw.clone());
                let done = words::split(&raw, &mut by_words);
                assert_eq!((by_words == planes, words::join(&cut, &mut back)), (true, done));
                assert_eq!(back, raw);
            }
        }
    }
}

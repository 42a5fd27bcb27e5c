//! Elements into planes of their first bytes, their second bytes and so on, and back. What is written for one set of
//! instructions is here and nowhere else.

use super::numbers::no_such_element;
use crate::error::Result;

/// Where elements go in their planes: how many each plane has room for, and the place of the first.
type Place = (usize, usize);

/// Elements into planes.
pub(super) fn split(raw: &[u8], width_log: u8, planes: &mut [u8], place: Place) -> Result<()> {
    match width_log {
        0 => planes[place.1..place.1 + raw.len()].copy_from_slice(raw),
        1 => split_simply::<2>(raw, planes, place),
        2 => split_simply::<4>(raw, planes, place),
        3 => split_eight(raw, planes, place),
        _ => return Err(no_such_element(width_log)),
    }
    Ok(())
}

/// Planes into elements. As many planes as an element has bytes, each of as many bytes as there are elements. With `sum` they
/// may be taken for differences on the way (`differences.rs`): gives how many elements have been.
pub(super) fn join(
    planes: &[&[u8]; 8],
    width_log: u8,
    raw: &mut [u8],
    sum: Option<&mut u64>,
) -> Result<usize> {
    match width_log {
        0 => raw.copy_from_slice(planes[0]),
        1 => join_simply::<2>(planes, raw),
        2 => join_simply::<4>(planes, raw),
        3 => return Ok(join_eight(planes, raw, sum)),
        _ => return Err(no_such_element(width_log)),
    }
    Ok(0)
}

fn split_simply<const W: usize>(raw: &[u8], planes: &mut [u8], (count, start): Place) {
    for (at, plane) in planes.chunks_exact_mut(count.max(1)).enumerate() {
        for (byte, element) in plane[start..].iter_mut().zip(raw.as_chunks::<W>().0) {
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

fn split_eight(raw: &[u8], planes: &mut [u8], place: Place) {
    let (count, start) = place;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    #[allow(unsafe_code, reason = "the functions of an instruction set may only be called where it is")]
    let done = unsafe { sse2::split(raw, planes, place) };
    #[cfg(not(target_arch = "x86_64"))]
    let done = words::split(raw, planes, place);
    for element in done..raw.len() / 8 {
        for plane in 0..8 {
            planes[plane * count + start + element] = raw[8 * element + plane];
        }
    }
}

fn join_eight(planes: &[&[u8]; 8], raw: &mut [u8], sum: Option<&mut u64>) -> usize {
    let count = raw.len() / 8;
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the functions of an instruction set may only be called where it is")]
    // SAFETY: it was asked for AVX2; every x86-64 has SSE2.
    let (done, summed) = match sum {
        Some(sum) if has_avx2() => {
            let done = unsafe { avx2::join::<true>(planes, raw, sum) };
            (done, done)
        }
        None if has_avx2() => (unsafe { avx2::join::<false>(planes, raw, &mut 0) }, 0),
        _ => (unsafe { sse2::join(planes, raw) }, 0),
    };
    #[cfg(not(target_arch = "x86_64"))]
    let (done, summed) = (words::join(planes, raw), sum.map_or(0, |_| 0)); // it is the caller's to sum
    for element in done..count {
        for plane in 0..8 {
            raw[8 * element + plane] = planes[plane][element];
        }
    }
    summed
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") // once; then it is remembered
}

/// Runs a loop with the widest registers that there are. It has to be inlined to have them.
#[inline]
pub(super) fn widest<T>(run: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        #[allow(unsafe_code, reason = "as above")]
        // SAFETY: it was asked for.
        return unsafe { avx2::run(run) };
    }
    run()
}

/// The bytes that indices of four bits stand for: those of the lower bits, and those of the higher ones.
pub(super) fn looked_up(bytes: &[u8; 16], indices: &[u8], low: &mut [u8], high: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "as above")]
    // SAFETY: it was asked for.
    let done = if has_avx2() { unsafe { avx2::looked_up(bytes, indices, low, high) } } else { 0 };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    for (to, packed) in low.iter_mut().zip(indices).skip(done) {
        *to = bytes[usize::from(packed & 15)];
    }
    for (to, packed) in high.iter_mut().zip(indices).skip(done) {
        *to = bytes[usize::from(packed >> 4)];
    }
}

/// Thirty-two bytes at a time.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    #[allow(unsafe_code, reason = "32 bytes are a register of 32 bytes")]
    const fn register(bytes: [u8; 32]) -> __m256i {
        // SAFETY: of one size, and any bits are a value of either.
        unsafe { std::mem::transmute(bytes) }
    }

    #[allow(unsafe_code, reason = "a register of 32 bytes is 32 bytes")]
    const fn bytes(register: __m256i) -> [u8; 32] {
        // SAFETY: as above.
        unsafe { std::mem::transmute(register) }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn run<T>(run: impl FnOnce() -> T) -> T {
        run()
    }

    /// Gives how many of each it did.
    #[target_feature(enable = "avx2")]
    pub(super) fn looked_up(table: &[u8; 16], indices: &[u8], low: &mut [u8], high: &mut [u8]) -> usize {
        let table = register(std::array::from_fn(|at| table[at % 16]));
        let fifteen = _mm256_set1_epi8(15);
        let (low, high) = (low.as_chunks_mut().0, high.as_chunks_mut().0);
        let count = low.len().min(high.len());
        for ((low, high), packed) in low.iter_mut().zip(high).zip(indices.as_chunks().0) {
            let packed = register(*packed);
            *low = bytes(_mm256_shuffle_epi8(table, _mm256_and_si256(packed, fifteen)));
            let above = _mm256_and_si256(_mm256_srli_epi16(packed, 4), fifteen);
            *high = bytes(_mm256_shuffle_epi8(table, above));
        }
        32 * count
    }

    /// As that of `sse2`, in both halves of the registers: elements 0 to 15 and 16 to 31, which come together at the end.
    #[target_feature(enable = "avx2")]
    pub(super) fn join<const DIFFERENCES: bool>(planes: &[&[u8]; 8], raw: &mut [u8], sum: &mut u64) -> usize {
        let groups = raw.as_chunks_mut::<256>().0;
        let count = groups.len();
        let planes: [&[[u8; 32]]; 8] =
            std::array::from_fn(|plane| &planes[plane].as_chunks::<32>().0[..count]);
        let deal1 = |a, b| (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        let deal2 = |a, b| (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
        let deal4 = |a, b| (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let mut before = _mm256_set1_epi64x(*sum as i64);
        for (at, group) in groups.iter_mut().enumerate() {
            let [a, b, c, d, e, f, g, h] = std::array::from_fn(|plane| register(planes[plane][at]));
            let ((a, b), (c, d), (e, f), (g, h)) = (deal1(a, b), deal1(c, d), deal1(e, f), deal1(g, h));
            let ((a, c), (b, d), (e, g), (f, h)) = (deal2(a, c), deal2(b, d), deal2(e, g), deal2(f, h));
            let ((a, e), (c, g), (b, f), (d, h)) = (deal4(a, e), deal4(c, g), deal4(b, f), deal4(d, h));
            let first = |a, b| _mm256_permute2x128_si256::<0x20>(a, b);
            let second = |a, b| _mm256_permute2x128_si256::<0x31>(a, b);
            let mut elements = [
                first(a, e),
                first(c, g),
                first(b, f),
                first(d, h),
                second(a, e),
                second(c, g),
                second(b, f),
                second(d, h),
            ];
            if DIFFERENCES {
                for four in &mut elements {
                    let sums = running_sums(*four);
                    *four = _mm256_add_epi64(sums, before);
                    before = _mm256_add_epi64(before, _mm256_permute4x64_epi64::<0b11_11_11_11>(sums));
                }
            }
            for (to, four) in group.as_chunks_mut::<32>().0.iter_mut().zip(elements) {
                *to = bytes(four);
            }
        }
        *sum = _mm256_extract_epi64::<0>(before) as u64;
        32 * count
    }

    /// Four differences, their signs in the lowest bits, into the sums of the first one, two, three and four.
    #[target_feature(enable = "avx2")]
    fn running_sums(folded: __m256i) -> __m256i {
        let zero = _mm256_setzero_si256();
        let sign = _mm256_sub_epi64(zero, _mm256_and_si256(folded, _mm256_set1_epi64x(1)));
        let each = _mm256_xor_si256(_mm256_srli_epi64::<1>(folded), sign);
        let pairs = _mm256_add_epi64(each, _mm256_slli_si256::<8>(each));
        // The sum of the first pair, for both of the second.
        let first = _mm256_permute4x64_epi64::<0b01_01_01_01>(pairs);
        _mm256_add_epi64(pairs, _mm256_blend_epi32::<0b1111_0000>(zero, first))
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
    pub(super) fn split(raw: &[u8], planes: &mut [u8], (count, start): super::Place) -> usize {
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
                let start = plane * count + start + 16 * at;
                planes[start..start + 16].copy_from_slice(&bytes(row));
            }
        }
        16 * groups.len()
    }
}

/// Eight elements at a time, as a matrix of 8 x 8 bytes that is turned. Each function gives how many elements it did.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    pub(super) fn split(raw: &[u8], planes: &mut [u8], (count, start): super::Place) -> usize {
        let (groups, _) = raw.as_chunks::<64>();
        for (group, bytes) in groups.iter().enumerate() {
            let rows = turned(std::array::from_fn(|row| load(&bytes[8 * row..8 * row + 8])));
            for (plane, row) in rows.iter().enumerate() {
                let at = plane * count + start + 8 * group;
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
    use super::super::differences::from_differences;
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
            split(&raw, width_log, &mut planes, (count, 0)).unwrap();
            for (at, byte) in raw.iter().enumerate() {
                assert_eq!(planes[at % width * count + at / width], *byte, "{width_log} {count} {at}");
            }
            let cut: [&[u8]; 8] =
                std::array::from_fn(|at| planes.get(at * count..(at + 1) * count).unwrap_or_default());
            let mut back = vec![0; raw.len()];
            join(&cut, width_log, &mut back, None).unwrap();
            assert_eq!(back, raw);
            #[cfg(target_arch = "x86_64")]
            if width_log == 3 {
                let mut by_sse2 = vec![0; raw.len()];
                #[allow(unsafe_code, reason = "as above")]
                // SAFETY: every x86-64 has SSE2.
                let done = unsafe { sse2::join(&cut, &mut by_sse2) };
                assert!(by_sse2[..8 * done] == raw[..8 * done] && count - done < 16);
            }
            let (mut summed, mut sum) = (vec![0; raw.len()], 7);
            let done = join(&cut, width_log, &mut summed, Some(&mut sum)).unwrap() << width_log;
            from_differences(&mut summed[done..], width_log, &mut sum).unwrap();
            let (mut one_by_one, mut last) = (raw.clone(), 7);
            from_differences(&mut one_by_one, width_log, &mut last).unwrap();
            assert_eq!((summed, sum), (one_by_one, last));
            if width_log == 3 {
                let (mut by_words, mut back) = (planes.clone(), raw.clone());
                let done = words::split(&raw, &mut by_words, (count, 0));
                assert_eq!((by_words == planes, words::join(&cut, &mut back)), (true, done));
                assert_eq!(back, raw);
            }
        }
    }
}

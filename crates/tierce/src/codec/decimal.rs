//! Floats that are short decimals (prices, percentages, counts) as the integers that they are multiples of: their bits look
//! like noise, the integers do not.
//!
//! A float `x` is the integer `k` at exponent `e` where `k / 10^e` is `x` to the last bit. All arithmetic is IEEE 754's, so
//! every machine gives the same bits back.

/// Exponents from 0 to one less than this.
pub(super) const EXPONENTS: u8 = 7;
const POWERS: [f64; EXPONENTS as usize] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// Added to a float below 2^51, it leaves its nearest integer in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
const LIMIT: f64 = 2_251_799_813_685_248.0; // 2^51
/// Elements that are looked at to find the exponent.
const PROBES: usize = 64;

/// The integer of a float, and whether it gives the float back.
#[inline(always)]
fn integer_of(number: f64, power: f64) -> (i64, bool) {
    let scaled = number * power;
    let rounded = scaled + ROUNDER;
    let back = (rounded - ROUNDER) / power;
    let integer = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()) as i64;
    (integer, (scaled.abs() < LIMIT) & (back.to_bits() == number.to_bits()))
}

/// The integers of a chunk of `f64`, and their exponent; `None` where there is a number that is none of a few decimals.
pub(super) fn to_integers(raw: &[u8]) -> Option<(Vec<u8>, u8)> {
    let elements = raw.as_chunks::<8>().0;
    let step = (elements.len() / PROBES).max(1);
    let fits = |exponent: &u8| {
        let power = POWERS[usize::from(*exponent)];
        elements.iter().step_by(step).all(|bytes| integer_of(f64::from_le_bytes(*bytes), power).1)
    };
    let exponent = (0..EXPONENTS).find(fits)?;
    let power = POWERS[usize::from(exponent)];
    let mut integers = vec![0; raw.len()];
    let mut all_fit = true;
    for (from, to) in elements.iter().zip(integers.as_chunks_mut::<8>().0) {
        let (integer, fits) = integer_of(f64::from_le_bytes(*from), power);
        *to = integer.to_le_bytes();
        all_fit &= fits;
    }
    all_fit.then_some((integers, exponent))
}

/// Integers into floats, in place. With `is_delta` they come as differences (see `shuffle.rs`).
pub(super) fn from_integers(raw: &mut [u8], exponent: u8, is_delta: bool) {
    let power = POWERS[usize::from(exponent.min(EXPONENTS - 1))];
    match (is_delta, exponent > 0) {
        (false, false) => into_floats::<false, false>(raw, power),
        (false, true) => into_floats::<false, true>(raw, power),
        (true, false) => into_floats::<true, false>(raw, power),
        (true, true) => into_floats::<true, true>(raw, power),
    }
}

// By eights, so that the compiler takes several at once; together, since the sum costs nothing while the division is made.
fn into_floats<const DELTA: bool, const DIVIDED: bool>(raw: &mut [u8], power: f64) {
    let mut sum = 0;
    let (groups, rest) = raw.as_chunks_mut::<64>();
    for group in groups {
        floats_of::<DELTA, DIVIDED, 8>(group.as_chunks_mut().0, &mut sum, power);
    }
    for one in rest.as_chunks_mut::<8>().0 {
        floats_of::<DELTA, DIVIDED, 1>(std::slice::from_mut(one), &mut sum, power);
    }
}

#[inline(always)]
fn floats_of<const DELTA: bool, const DIVIDED: bool, const N: usize>(
    elements: &mut [[u8; 8]],
    sum: &mut u64,
    power: f64,
) {
    let mut integers: [u64; N] = std::array::from_fn(|at| u64::from_le_bytes(elements[at]));
    if DELTA {
        integers = integers.map(|folded| (folded >> 1) ^ 0u64.wrapping_sub(folded & 1));
        for integer in &mut integers {
            *sum = sum.wrapping_add(*integer);
            *integer = *sum;
        }
    }
    // What `integer_of` did, backwards.
    let floats = integers.map(|integer| f64::from_bits(integer.wrapping_add(ROUNDER.to_bits())) - ROUNDER);
    for (to, float) in elements.iter_mut().zip(floats) {
        *to = (if DIVIDED { float / power } else { float }).to_le_bytes();
    }
}

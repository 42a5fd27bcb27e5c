//! Floats that are short decimals (prices, percentages, counts) as the integers that they are multiples of: their bits look
//! like noise, the integers do not.
//!
//! A float `x` is the integer `k` at exponent `e` where `k / 10^e` is `x` to the last bit. All arithmetic is IEEE 754's, so
//! every machine gives the same bits back.

use super::planes::widest;

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
fn integer_of<const SCALED: bool>(number: f64, power: f64) -> (i64, bool) {
    let scaled = if SCALED { number * power } else { number };
    let rounded = scaled + ROUNDER;
    let whole = rounded - ROUNDER;
    let back = if SCALED { whole / power } else { whole };
    let integer = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()) as i64;
    (integer, (scaled.abs() < LIMIT) & (back.to_bits() == number.to_bits()))
}

/// The exponent at which a few of the elements are integers.
pub(super) fn exponent(raw: &[u8]) -> Option<u8> {
    let elements = raw.as_chunks::<8>().0;
    let step = (elements.len() / PROBES).max(1);
    let fits = |exponent: &u8| {
        let power = POWERS[usize::from(*exponent)];
        elements.iter().step_by(step).all(|bytes| integer_of::<true>(f64::from_le_bytes(*bytes), power).1)
    };
    (0..EXPONENTS).find(fits)
}

/// Floats into integers, in place. False where one is none; they are of no meaning then.
pub(super) fn to_integers(raw: &mut [u8], exponent: u8) -> bool {
    let power = POWERS[usize::from(exponent)];
    if exponent == 0 {
        return each(raw, |float| integer_of::<false>(float, power));
    }
    each(raw, move |float| integer_of::<true>(float, power))
}

/// Integers into floats, in place.
pub(super) fn from_integers(raw: &mut [u8], exponent: u8) {
    let power = POWERS[usize::from(exponent.min(EXPONENTS - 1))];
    // What `integer_of` did, backwards.
    let float = |integer: f64| f64::from_bits(integer.to_bits().wrapping_add(ROUNDER.to_bits())) - ROUNDER;
    if exponent == 0 {
        each(raw, |integer| (float(integer).to_bits() as i64, true));
    } else {
        each(raw, move |integer| ((float(integer) / power).to_bits() as i64, true));
    }
}

/// Puts other bits in the place of each number, and says whether all went well. What `change` needs is its own: what it
/// borrows might be a part of `raw`, as far as the compiler sees.
fn each(raw: &mut [u8], change: impl Fn(f64) -> (i64, bool)) -> bool {
    widest(
        #[inline(always)]
        || {
            let mut all = true;
            for bytes in raw.as_chunks_mut().0 {
                let (changed, is_well) = change(f64::from_le_bytes(*bytes));
                *bytes = changed.to_le_bytes();
                all &= is_well;
            }
            all
        },
    )
}

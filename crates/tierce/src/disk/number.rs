//! Numbers that the cache itself adds to: each sort has one stored form, which its writers share.

use crate::error::{Code, Error, Result};

/// A number in a cache, or what to add to it. Different sorts are not added to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Number {
    /// Kind 0: decimal text, as `cache.set("n", b"42")` stores it.
    Integer(i64),
    /// Kind 6: a number of JavaScript's, as JSON; `-0` is kind 7.
    Double(f64),
    /// Kind 7: a bigint of JavaScript's (`docs/structured-format.md`), up to 128 bits.
    Big(i128),
}

const PLAIN: u8 = 0;
const JSON: u8 = 6;
const STRUCTURED: u8 = 7;
/// The version of the structured format that is written here: it has the shorter head.
const VERSION: u8 = 1;
const DOUBLE: u8 = 0xc5;
const BIG: [u8; 2] = [0xc6, 0xc7];
/// No stored number is longer: nothing else needs to be decoded to know that it is none.
pub(super) const LONGEST: u64 = 400;

impl Number {
    /// The kind that it is stored as.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Integer(_) => PLAIN,
            Self::Double(_) => JSON,
            Self::Big(_) => STRUCTURED,
        }
    }

    fn sort(self) -> &'static str {
        match self {
            Self::Integer(_) => "an integer in decimal text",
            Self::Double(_) => "a number",
            Self::Big(_) => "a bigint",
        }
    }

    /// The number that a stored value is, if it is one.
    pub(super) fn read(kind: u8, bytes: &[u8]) -> Option<Self> {
        let text = || std::str::from_utf8(bytes).ok();
        let bytes = if kind == STRUCTURED { headless(bytes)? } else { bytes };
        match (kind, bytes) {
            (PLAIN, _) => text()?.parse().ok().map(Self::Integer),
            // Everything else that parses here, such as `inf`, is no JSON.
            (JSON, _) => text()?.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Double),
            (STRUCTURED, [DOUBLE, rest @ ..]) => {
                Some(Self::Double(f64::from_le_bytes(rest.try_into().ok()?)))
            }
            (STRUCTURED, [sign, length, magnitude @ ..]) if BIG.contains(sign) => {
                let mut word = [0; 16];
                word.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
                let magnitude =
                    (usize::from(*length) == magnitude.len()).then(|| u128::from_le_bytes(word))?;
                let number = i128::try_from(magnitude).ok();
                if *sign == BIG[0] {
                    number.map(Self::Big)
                } else {
                    0i128.checked_sub_unsigned(magnitude).map(Self::Big)
                }
            }
            _ => None,
        }
    }

    /// The bytes that are stored.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Integer(number) => number.to_string().into_bytes(),
            Self::Double(number) if (1e-6..1e21).contains(&number.abs()) => number.to_string().into_bytes(),
            Self::Double(0.0) => b"0".to_vec(),
            Self::Double(number) => format!("{number:e}").into_bytes(),
            Self::Big(number) => {
                let magnitude = number.unsigned_abs().to_le_bytes();
                let length = magnitude.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                let mut bytes = vec![VERSION, BIG[usize::from(number < 0)], length as u8];
                bytes.extend_from_slice(&magnitude[..length]);
                bytes
            }
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] where the sorts differ or the sum is out of range.
    pub(super) fn plus(self, by: Self) -> Result<Self> {
        let sum = match (self, by) {
            (Self::Integer(a), Self::Integer(b)) => a.checked_add(b).map(Self::Integer),
            (Self::Double(a), Self::Double(b)) => Some(Self::Double(a + b)).filter(|_| (a + b).is_finite()),
            (Self::Big(a), Self::Big(b)) => a.checked_add(b).map(Self::Big),
            _ => {
                let (holds, given) = (self.sort(), by.sort());
                let why =
                    format!("the key holds {holds}, and {given} was given: add {holds}, or set it anew");
                return Err(Error::new(Code::InvalidOption, why));
            }
        };
        sum.ok_or_else(|| {
            let why = format!("the sum is out of the range of {}: nothing was changed", self.sort());
            Error::new(Code::InvalidOption, why)
        })
    }

    /// Zero of the same sort.
    pub(super) fn zero(self) -> Self {
        match self {
            Self::Integer(_) => Self::Integer(0),
            Self::Double(_) => Self::Double(0.0),
            Self::Big(_) => Self::Big(0),
        }
    }

    pub(super) fn none(self) -> Error {
        let message = format!("the key holds no number; increment adds {} to one: set it first", self.sort());
        Error::new(Code::InvalidOption, message)
    }
}

/// A structured value behind the head of each version, where it has no text.
fn headless(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [VERSION, value @ ..] | [2..=5, 0..=2, 0, 0, value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(number: Number) -> Option<Number> {
        Number::read(number.kind(), &number.to_bytes())
    }

    proptest! {
        #[test]
        fn every_number_is_read_as_it_was_stored(integer: i64, double: f64, big: i128) {
            prop_assert_eq!(back(Number::Integer(integer)), Some(Number::Integer(integer)));
            prop_assert_eq!(back(Number::Big(big)), Some(Number::Big(big)));
            if double.is_finite() {
                prop_assert_eq!(back(Number::Double(double)), Some(Number::Double(double)));
                let length = Number::Double(double).to_bytes().len() as u64;
                prop_assert!(length < LONGEST);
            }
        }

        #[test]
        fn any_bytes_are_a_number_or_none(kind in 0u8..9, bytes: Vec<u8>) {
            let _ = Number::read(kind, &bytes);
        }
    }

    #[test]
    fn ends_of_the_ranges() {
        for big in [0, 1, -1, i128::MAX, i128::MIN] {
            assert_eq!(back(Number::Big(big)), Some(Number::Big(big)));
        }
        for double in [0.0, 5e-324, f64::MAX, 1e21, 123_456_789_012_345_680_000.0, 1e-7] {
            assert_eq!(back(Number::Double(double)), Some(Number::Double(double)));
        }
        assert!(Number::Big(i128::MAX).plus(Number::Big(1)).is_err());
        assert!(Number::Double(f64::MAX).plus(Number::Double(f64::MAX)).is_err());
        assert!(Number::Double(1.0).plus(Number::Big(1)).is_err());
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["null", "true", "\"5\"", "[5]", "", "inf", "NaN", "{}"] {
            assert_eq!(Number::read(6, text.as_bytes()), None, "{text}");
        }
        assert_eq!(Number::read(7, &[1, 0xc6, 3, 1]), None);
        assert_eq!(Number::read(7, &[3, 0xc6, 1, 1]), None);
        assert_eq!(Number::read(7, &[2, 0, 1, 0, 0xc6, 1, 1]), None);
    }

    #[test]
    fn each_version_of_a_structured_number_is_read() {
        for head in [&[1][..], &[2, 0, 0, 0], &[3, 0, 0, 0], &[4, 0, 0, 0], &[5, 0, 0, 0]] {
            let stored = [head, &[0xc7, 1, 5]].concat();
            assert_eq!(Number::read(7, &stored), Some(Number::Big(-5)));
        }
    }
}

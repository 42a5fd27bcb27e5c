//! Elements as the differences between them, and back: as integers that wrap, the sign moved to the lowest bit, so that 0, -1, 1
//! and -2 are 0, 1, 2 and 3. The first element's is that to 0.

use super::numbers::no_such_element;
use super::planes::widest;
use crate::error::Result;

macro_rules! difference_functions {
    ($($width_log:literal $unsigned:ty, $signed:ty;)*) => {
        /// Elements into differences, in place. The first is that to `last`, which is left at the last element.
        pub(super) fn to_differences(raw: &mut [u8], width_log: u8, last: &mut u64) -> Result<()> {
            match width_log {
                $($width_log => {
                    let mut before = *last as $unsigned;
                    for bytes in raw.as_chunks_mut().0 {
                        let element = <$unsigned>::from_le_bytes(*bytes);
                        let difference = element.wrapping_sub(before) as $signed;
                        let folded = (difference << 1) ^ (difference >> (<$signed>::BITS - 1));
                        *bytes = folded.to_le_bytes();
                        before = element;
                    }
                    *last = before as u64;
                })*
                _ => return Err(no_such_element(width_log)),
            }
            Ok(())
        }

        /// Differences into elements, in place. Begins at `sum`, and leaves it at the last element.
        pub(super) fn from_differences(raw: &mut [u8], width_log: u8, sum: &mut u64) -> Result<()> {
            match width_log {
                $($width_log => {
                    let mut element = *sum as $unsigned;
                    for bytes in raw.as_chunks_mut().0 {
                        let folded = <$unsigned>::from_le_bytes(*bytes);
                        let difference = (folded >> 1) ^ (0 as $unsigned).wrapping_sub(folded & 1);
                        element = element.wrapping_add(difference);
                        *bytes = element.to_le_bytes();
                    }
                    *sum = element as u64;
                })*
                _ => return Err(no_such_element(width_log)),
            }
            Ok(())
        }

        /// Elements that all differ by as much from the one before: by the bytes of `folded`.
        pub(super) fn progression(raw: &mut [u8], width_log: u8, folded: u64, sum: &mut u64) -> Result<()> {
            let difference = (folded >> 1) ^ 0u64.wrapping_sub(folded & 1);
            match width_log {
                $($width_log => widest(
                    #[inline(always)]
                    || {
                        let start = *sum as $unsigned;
                        let mut element = start;
                        for bytes in raw.as_chunks_mut().0 {
                            element = element.wrapping_add(difference as $unsigned);
                            *bytes = element.to_le_bytes();
                        }
                        *sum = element as u64;
                    }
                ),)*
                _ => return Err(no_such_element(width_log)),
            }
            Ok(())
        }
    };
}
difference_functions! { 0 u8, i8; 1 u16, i16; 2 u32, i32; 3 u64, i64; }

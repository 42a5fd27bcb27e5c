//! Zstandard (RFC 8878), one frame a value.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::damaged;
use super::kept::{Kept, Stash};
use crate::error::{Code, Error, Result};

/// Level 1 is within a few per cent of the default's size at several times its speed.
const DEFAULT_LEVEL: i32 = 1;
/// Above 19 a decoder needs windows of many megabytes.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

// A context costs tens of microseconds and a megabyte to make: more than coding a small value.
static COMPRESSORS: Stash<Compressor<'static>> = Stash::new(Vec::new());
static DECOMPRESSORS: Stash<Decompressor<'static>> = Stash::new(Vec::new());

thread_local! {
    static COMPRESSOR: RefCell<Kept<Compressor<'static>>> = const { RefCell::new(Kept::new(&COMPRESSORS)) };
    static DECOMPRESSOR: RefCell<Kept<Decompressor<'static>>> = const { RefCell::new(Kept::new(&DECOMPRESSORS)) };
}

pub(super) fn encode(raw: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<()> {
    let level = level.unwrap_or(DEFAULT_LEVEL).clamp(*LEVELS.start(), *LEVELS.end());
    let start = out.len();
    out.resize(start + zstd::zstd_safe::compress_bound(raw.len()), 0);
    let written = COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = kept.get(|| Compressor::new(level))?;
        compressor.set_compression_level(level)?;
        compressor.compress_to_buffer(raw, &mut out[start..])
    });
    let written =
        written.map_err(|why| Error::new(Code::Internal, format!("zstd cannot code the value: {why}")))?;
    out.truncate(start + written);
    Ok(())
}

/// A block takes 3 bytes or more and stands for 128 KiB or less; the frame says how much there is in all.
pub(super) fn limit(coded: &[u8]) -> u64 {
    let blocks = (coded.len() as u64 / 3 + 1) << 17;
    let announced = zstd::zstd_safe::get_frame_content_size(coded).ok().flatten();
    announced.unwrap_or(0).min(blocks)
}

pub(super) fn decode(coded: &[u8], raw: &mut [u8]) -> Result<()> {
    let expected = raw.len();
    let written =
        DECOMPRESSOR.with_borrow_mut(|kept| kept.get(Decompressor::new)?.decompress_to_buffer(coded, raw));
    match written {
        Ok(written) if written == expected => Ok(()),
        Ok(written) => Err(damaged("zstd", format_args!("{written} bytes where {expected} were announced"))),
        Err(why) => Err(damaged("zstd", why)),
    }
}

//! LZ4 block format: fast both ways, modest gain. <https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md>

use super::damaged;
use crate::error::Result;

pub(super) fn encode(raw: &[u8], _level: Option<i32>, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.resize(start + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
    let written =
        lz4_flex::block::compress_into(raw, &mut out[start..]).map_err(|why| damaged("lz4", why))?;
    out.truncate(start + written);
    Ok(())
}

/// A byte of a length stands for 255 at most.
pub(super) fn limit(coded: &[u8]) -> u64 {
    (coded.len() as u64).saturating_mul(255)
}

pub(super) fn decode(coded: &[u8], raw: &mut [u8]) -> Result<()> {
    let expected = raw.len();
    match lz4_flex::block::decompress_into(coded, raw) {
        Ok(written) if written == expected => Ok(()),
        Ok(written) => Err(damaged("lz4", format_args!("{written} bytes where {expected} were announced"))),
        Err(why) => Err(damaged("lz4", why)),
    }
}

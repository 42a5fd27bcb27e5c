//! Codecs behind one table, and the choice between them.
//!
//! Adding one: a file beside this one and a row in [`TABLE`]. Numbers are on disk: never reuse one.

mod lz4;
mod zstd;

use crate::error::{Code, Error, Result};

/// Appends the coded form to the buffer. The level is clamped to what the codec has; `None` is its default.
type Encode = fn(raw: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<()>;
/// Fills `raw` exactly, or fails: the caller takes its length from a frame whose checksum held.
type Decode = fn(coded: &[u8], raw: &mut [u8]) -> Result<()>;

/// One row of the codec table.
#[derive(Debug)]
pub(crate) struct Codec {
    /// The number in the frame.
    pub id: u8,
    /// The name that users give and see.
    pub name: &'static str,
    pub encode: Encode,
    pub decode: Decode,
    /// The most bytes that a payload can decode to: asked before anything is allocated.
    pub limit: fn(coded: &[u8]) -> u64,
}

static TABLE: [Codec; 3] = [
    Codec {
        id: 0,
        name: "none",
        encode: copy_encode,
        decode: copy_decode,
        limit: |coded| coded.len() as u64,
    },
    Codec { id: 1, name: "lz4", encode: lz4::encode, decode: lz4::decode, limit: lz4::limit },
    Codec { id: 2, name: "zstd", encode: zstd::encode, decode: zstd::decode, limit: zstd::limit },
];

const NONE: &Codec = &TABLE[0];
const ZSTD: &Codec = &TABLE[2];

/// Values below this are stored as they are by `auto`: the frame outweighs what coding would save.
const AUTO_MIN: usize = 256;
/// `auto` codes a value when a sample shrinks to at most 9/10.
const AUTO_GAIN: (usize, usize) = (9, 10);
/// Bytes of each of the three slices that `auto` looks at.
const SAMPLE_SLICE: usize = 1024;

/// How values are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecChoice {
    /// `None` looks at each value.
    fixed: Option<u8>,
    level: Option<i32>,
}

impl CodecChoice {
    /// Look at each value: zstd where a sample shrinks, none elsewhere. Never makes a value larger.
    pub const AUTO: Self = Self { fixed: None, level: None };

    /// The choice with this name: `auto`, `none`, `lz4` or `zstd`; `level` is for codecs that have one
    /// (zstd: 1 to 19, default 1).
    ///
    /// # Errors
    /// [`Code::InvalidOption`] names what is accepted.
    pub fn named(name: &str, level: Option<i32>) -> Result<Self> {
        if name == "auto" {
            return Ok(Self { fixed: None, level });
        }
        match TABLE.iter().find(|codec| codec.name == name) {
            Some(codec) => Ok(Self { fixed: Some(codec.id), level }),
            None => {
                let accepted: Vec<_> = std::iter::once("auto").chain(codec_names()).collect();
                let accepted = accepted.join(", ");
                Err(Error::new(Code::InvalidOption, format!("codec is '{name}'; accepted are {accepted}"))
                    .with("option", "codec"))
            }
        }
    }

    /// Codes `raw` at the end of `out` and says which codec it used. What does not shrink is stored as it is.
    pub(crate) fn encode(self, raw: &[u8], out: &mut Vec<u8>) -> Result<u8> {
        let codec = match self.fixed {
            Some(id) => by_id(id)?,
            None if worth_coding(raw)? => ZSTD,
            None => NONE,
        };
        let start = out.len();
        (codec.encode)(raw, self.level, out)?;
        if codec.id != NONE.id && out.len() - start >= raw.len() {
            out.truncate(start);
            out.extend_from_slice(raw);
            return Ok(NONE.id);
        }
        Ok(codec.id)
    }
}

impl Default for CodecChoice {
    fn default() -> Self {
        Self::AUTO
    }
}

/// The names of the codecs, by number.
pub fn codec_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|codec| codec.name)
}

/// The table row of a codec number from a frame.
pub(crate) fn by_id(id: u8) -> Result<&'static Codec> {
    TABLE.get(usize::from(id)).ok_or_else(|| Error::new(Code::Corrupt, format!("unknown codec number {id}")))
}

/// Codes a sample: all of a short value, three slices of a long one.
fn worth_coding(raw: &[u8]) -> Result<bool> {
    if raw.len() < AUTO_MIN {
        return Ok(false);
    }
    if raw.len() <= 8 * SAMPLE_SLICE {
        return Ok(true); // coding it whole costs less than sampling it first
    }
    let mut sample = Vec::with_capacity(3 * SAMPLE_SLICE);
    for start in [0, raw.len() / 2, raw.len() - SAMPLE_SLICE] {
        sample.extend_from_slice(&raw[start..start + SAMPLE_SLICE]);
    }
    let mut coded = Vec::with_capacity(2 * sample.len());
    (ZSTD.encode)(&sample, None, &mut coded)?;
    Ok(coded.len() * AUTO_GAIN.1 <= sample.len() * AUTO_GAIN.0)
}

fn copy_encode(raw: &[u8], _level: Option<i32>, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(raw);
    Ok(())
}

fn copy_decode(coded: &[u8], raw: &mut [u8]) -> Result<()> {
    if coded.len() != raw.len() {
        return Err(damaged("none", "length differs"));
    }
    raw.copy_from_slice(coded);
    Ok(())
}

/// A payload that its codec does not accept.
fn damaged(codec: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Corrupt, format!("{codec} payload is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(choice: CodecChoice, raw: &[u8]) -> (u8, usize) {
        let mut out = b"before".to_vec();
        let id = choice.encode(raw, &mut out).unwrap();
        assert!((by_id(id).unwrap().limit)(&out[6..]) >= raw.len() as u64);
        let mut back = vec![0; raw.len()];
        (by_id(id).unwrap().decode)(&out[6..], &mut back).unwrap();
        assert_eq!(back, raw);
        (id, out.len() - 6)
    }

    #[test]
    fn table_is_indexed_by_number() {
        for (index, codec) in TABLE.iter().enumerate() {
            assert_eq!(index, usize::from(codec.id));
        }
    }

    #[test]
    fn auto_codes_text_and_leaves_noise_alone() {
        let text = "{\"name\":\"tierce\",\"tier\":3},".repeat(400);
        assert!(round_trip(CodecChoice::AUTO, text.as_bytes()).1 < text.len() / 10);
        let mut x = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 56) as u8
        })
        .take(50_000)
        .collect();
        assert_eq!(round_trip(CodecChoice::AUTO, &noise), (0, noise.len()));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_accepted_ones() {
        let error = CodecChoice::named("gzip", None).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption);
        assert!(error.to_string().contains("'gzip'") && error.to_string().contains("auto, none, lz4, zstd"));
    }

    proptest! {
        #[test]
        fn every_codec_gives_back_what_it_got_and_never_grows(raw: Vec<u8>, repeat in 1usize..40) {
            let raw = raw.repeat(repeat);
            for name in ["auto", "none", "lz4", "zstd"] {
                prop_assert!(round_trip(CodecChoice::named(name, None).unwrap(), &raw).1 <= raw.len());
            }
        }

        #[test]
        fn a_decoder_given_noise_fails_or_fills_exactly(coded: Vec<u8>, size in 0usize..4096) {
            for codec in &TABLE {
                let mut raw = vec![0; size];
                let _ = (codec.decode)(&coded, &mut raw);
            }
        }
    }
}

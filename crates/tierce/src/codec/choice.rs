//! Which codec a value gets.

use super::numbers::{self, Element, EncodeChunk, Numbers};
use super::shuffle::{self, PlaneCoder};
use super::{LZ4, NONE, PCO, SHUFFLE, ZSTD, lz4, pco, zstd};
use crate::error::{Code, Error, Result};

/// Values below this are stored as they are by `auto`: the frame outweighs what coding would save.
const AUTO_MIN: usize = 256;
/// `auto` codes a value when a sample shrinks to at most 9/10.
const AUTO_GAIN: (usize, usize) = (9, 10);
/// Pco, and Zstandard of elements that are not shuffled, have to make a sample of numbers smaller than 97/100 of the shuffled,
/// and by more than 1/512 of the numbers themselves.
const OTHERS_GAIN: (usize, usize) = (97, 100);
/// Bytes of each of the three slices that `auto` looks at.
const SAMPLE_SLICE: usize = 1024;
/// Arrays below this are only shuffled by `auto`: looking further costs more than a write of them.
const NUMERIC_MIN: usize = 1024;
/// Bytes of each of the two slices of numbers that `auto` codes in each way. Long, as a codec's tables count in a short one.
const NUMBERS_SLICE: usize = 128 * 1024;

/// What users name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Auto,
    Fast,
    None,
    Lz4,
    Zstd,
    Pco,
}

const METHODS: [(&str, Method); 6] = [
    ("auto", Method::Auto),
    ("fast", Method::Fast),
    ("none", Method::None),
    ("lz4", Method::Lz4),
    ("zstd", Method::Zstd),
    ("pco", Method::Pco),
];

/// How values are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecChoice {
    method: Method,
    level: Option<i32>,
    numbers: Option<Numbers>,
}

impl CodecChoice {
    /// Look at each value: the smallest of the codecs that fit it, none where a sample does not shrink. Never makes a
    /// value larger.
    pub const AUTO: Self = Self { method: Method::Auto, level: None, numbers: None };

    /// The choice with this name: `auto`, `fast`, `none`, `lz4`, `zstd` or `pco`.
    ///
    /// Arrays of numbers (see [`CodecChoice::numbers`]) are shuffled before `lz4` and `zstd`, and `fast` leaves out
    /// what gains little. For other values `fast` is `lz4` and `pco` is `auto`. `level` is for codecs that have one:
    /// zstd 1 to 19, default 1; pco 0 to 12, default 8.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] names what is accepted.
    pub fn named(name: &str, level: Option<i32>) -> Result<Self> {
        match METHODS.iter().find(|(known, _)| *known == name) {
            Some((_, method)) => Ok(Self { method: *method, level, numbers: None }),
            None => {
                let accepted: Vec<_> = METHODS.iter().map(|(name, _)| *name).collect();
                let accepted = accepted.join(", ");
                Err(Error::new(Code::InvalidOption, format!("codec is '{name}'; accepted are {accepted}"))
                    .with("name", "codec"))
            }
        }
    }

    /// The same for a value that is an array of numbers.
    #[must_use]
    pub fn numbers(self, numbers: Numbers) -> Self {
        Self { numbers: Some(numbers), ..self }
    }

    /// Codes `raw` at the end of `out` and gives the number of the codec it used. What does not shrink is stored as it is,
    /// with number 0. [`decode`](crate::decode) is the way back.
    ///
    /// # Errors
    /// [`Code::Internal`] when a codec fails.
    pub fn encode(self, raw: &[u8], out: &mut Vec<u8>) -> Result<u8> {
        let start = out.len();
        let split = self.numbers.and_then(|numbers| Some((numbers.element, numbers.split(raw)?)));
        let id = match split {
            Some((element, (body, tail))) => self.encode_numbers(raw, body, tail, element, out)?,
            None => self.encode_bytes(raw, out)?,
        };
        if id != NONE && out.len() - start < raw.len() {
            return Ok(id);
        }
        out.truncate(start);
        out.extend_from_slice(raw);
        Ok(NONE)
    }

    /// Codes at the end of `out`, or gives `NONE` and writes nothing.
    fn encode_bytes(self, raw: &[u8], out: &mut Vec<u8>) -> Result<u8> {
        match self.method {
            Method::None => Ok(NONE),
            Method::Fast | Method::Lz4 => lz4::encode(raw, self.level, out).map(|()| LZ4),
            Method::Auto | Method::Pco if !worth_coding(raw)? => Ok(NONE),
            Method::Auto | Method::Pco | Method::Zstd => zstd::encode(raw, self.level, out).map(|()| ZSTD),
        }
    }

    fn encode_numbers(
        self,
        raw: &[u8],
        body: &[u8],
        tail: &[u8],
        element: Element,
        out: &mut Vec<u8>,
    ) -> Result<u8> {
        let with = |id: u8, out: &mut Vec<u8>| self.encode_with(id, raw, (body, tail), element, out);
        match self.method {
            Method::None => Ok(NONE),
            Method::Auto if raw.len() < AUTO_MIN => Ok(NONE),
            Method::Lz4 | Method::Fast | Method::Zstd => with(SHUFFLE, out),
            Method::Pco => with(PCO, out),
            Method::Auto if body.len() < NUMERIC_MIN => with(SHUFFLE, out),
            // Coding it in each way costs no more than coding it as a sample first.
            Method::Auto if body.len() <= 2 * NUMBERS_SLICE => {
                let mut best = (NONE, raw.to_vec());
                for id in [SHUFFLE, PCO, ZSTD] {
                    let mut coded = Vec::new();
                    let id = with(id, &mut coded)?;
                    if coded.len() < enough(best.0, best.1.len(), raw.len()) {
                        best = (id, coded);
                    }
                }
                out.extend_from_slice(&best.1);
                Ok(best.0)
            }
            Method::Auto => match best_of(body, element, self.level)? {
                NONE => Ok(NONE),
                id => with(id, out),
            },
        }
    }

    /// Codes an array with a codec, given its first number.
    fn encode_with(
        self,
        id: u8,
        raw: &[u8],
        (body, tail): (&[u8], &[u8]),
        element: Element,
        out: &mut Vec<u8>,
    ) -> Result<u8> {
        let level = self.level;
        match id {
            SHUFFLE => {
                let coder = match self.method {
                    Method::Lz4 => PlaneCoder::Lz4,
                    Method::Fast => PlaneCoder::Fast,
                    _ => PlaneCoder::Zstd(level),
                };
                numbers::encode(body, tail, &|raw, out| shuffle::encode(raw, element, coder, out), out)?;
                Ok(SHUFFLE + element.width_log())
            }
            PCO => {
                numbers::encode(body, tail, &|raw, out| pco::encode(raw, element, level, out), out)?;
                Ok(PCO + element as u8)
            }
            _ => zstd::encode(raw, level, out).map(|()| ZSTD),
        }
    }
}

/// Below how many bytes a codec has to come to be taken in the place of the best so far.
fn enough(best: u8, size: usize, raw: usize) -> usize {
    if best == NONE {
        return raw * AUTO_GAIN.0 / AUTO_GAIN.1;
    }
    (size * OTHERS_GAIN.0 / OTHERS_GAIN.1).min(size.saturating_sub(raw / 512))
}

impl Default for CodecChoice {
    fn default() -> Self {
        Self::AUTO
    }
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
    zstd::encode(&sample, None, &mut coded)?;
    Ok(coded.len() * AUTO_GAIN.1 <= sample.len() * AUTO_GAIN.0)
}

/// The codec that makes a sample of a long array smallest: `NONE`, `ZSTD`, `SHUFFLE` or `PCO`.
fn best_of(body: &[u8], element: Element, level: Option<i32>) -> Result<u8> {
    let room = body.len() - NUMBERS_SLICE;
    // At multiples of the widest element.
    let slices = [room / 4, room / 4 * 3].map(|at| &body[at / 8 * 8..][..NUMBERS_SLICE]);
    let mut coded = Vec::new();
    let mut size = |encode: EncodeChunk<'_>| -> Result<usize> {
        coded.clear();
        slices.iter().try_for_each(|slice| encode(slice, &mut coded))?;
        Ok(coded.len())
    };
    let coder = PlaneCoder::Zstd(level);
    // The first is several times as fast as the second: the others have to be worth it.
    let sizes = [
        (SHUFFLE, size(&|raw, out| shuffle::encode(raw, element, coder, out))?),
        (PCO, size(&|raw, out| pco::encode(raw, element, level, out))?),
        (ZSTD, size(&|raw, out| zstd::encode(raw, level, out))?),
    ];
    let raw = slices.len() * NUMBERS_SLICE;
    let better = |best: (u8, usize), next: (u8, usize)| {
        if next.1 < enough(best.0, best.1, raw) { next } else { best }
    };
    Ok(sizes.into_iter().fold((NONE, raw), better).0)
}

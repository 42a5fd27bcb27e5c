//! XXH3 of what is large, with the vectors that the machine has. The hashes are those of `xxhash-rust`, which hashes what is short,
//! and everything where there are none of these vectors: it knows no others than it was compiled for.
//!
//! The loops are functions of their own for each instruction set, with nothing in them that has to be inlined: what is not becomes
//! code without vectors, and whether it is depends on the level of optimisation.

use std::fmt;

use xxhash_rust::const_xxh3::const_custom_default_secret as secret_of;
use xxhash_rust::xxh3::{Xxh3 as Plain, xxh3_64_with_seed, xxh3_128_with_seed};

#[cfg(target_arch = "x86_64")]
mod x86;

const STRIPE: usize = 64;
/// As many stripes as the secret has room for, each 8 bytes further in it.
const BLOCK: usize = 1024;
/// What is shorter is hashed in other ways.
const MIDDLE: usize = 240;
/// What is shorter is hashed as fast by the crate.
const LARGE: usize = 4 * BLOCK;

type Lanes = [u64; 8];
type Secret = [u8; 192];
/// Takes blocks into the lanes.
type Kernel = fn(&mut Lanes, &[[u8; BLOCK]], &Secret);

const PRIME32: [u64; 3] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D];
const PRIME64: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];
const START: Lanes =
    [PRIME32[2], PRIME64[0], PRIME64[1], PRIME64[2], PRIME64[3], PRIME32[1], PRIME64[4], PRIME32[0]];

/// The quickest that this machine has.
fn kernel() -> Option<Kernel> {
    #[cfg(target_arch = "x86_64")]
    return x86::kernels().into_iter().flatten().next();
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The hash of 64 bits.
pub(crate) fn hash64(bytes: &[u8], seed: u64) -> u64 {
    match kernel() {
        Some(kernel) if bytes.len() >= LARGE => whole64(kernel, bytes, seed),
        _ => xxh3_64_with_seed(bytes, seed),
    }
}

fn whole64(kernel: Kernel, bytes: &[u8], seed: u64) -> u64 {
    let secret = secret_of(seed);
    let mut lanes = START;
    let (blocks, rest) = split(bytes);
    kernel(&mut lanes, blocks, &secret);
    let last = bytes.last_chunk().unwrap_or(&[0; STRIPE]);
    Ending { lanes, secret: &secret, length: bytes.len() as u64 }.after(rest, last).hash64()
}

/// Whole blocks, and behind them at least a byte: the last block is never taken as one.
fn split(bytes: &[u8]) -> (&[[u8; BLOCK]], &[u8]) {
    let whole = bytes.len().saturating_sub(1) / BLOCK * BLOCK;
    (bytes[..whole].as_chunks().0, &bytes[whole..])
}

/// A hash of bytes that come piece by piece.
#[derive(Clone)]
pub(crate) enum Xxh3 {
    Vectors(Box<Stream>),
    Plain(Box<Plain>),
}

impl Xxh3 {
    pub fn with_seed(seed: u64) -> Self {
        match kernel() {
            Some(kernel) => Self::Vectors(Box::new(Stream::new(kernel, seed))),
            None => Self::Plain(Box::new(Plain::with_seed(seed))),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Vectors(stream) => stream.update(bytes),
            Self::Plain(plain) => plain.update(bytes),
        }
    }

    pub fn hash64(&self) -> u64 {
        match self {
            Self::Vectors(stream) => stream.hash64(),
            Self::Plain(plain) => plain.digest(),
        }
    }

    pub fn hash128(&self) -> u128 {
        match self {
            Self::Vectors(stream) => stream.hash128(),
            Self::Plain(plain) => plain.digest128(),
        }
    }
}

impl fmt::Debug for Xxh3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Xxh3").finish_non_exhaustive()
    }
}

/// What came so far: the lanes have all of it but the last block or a part of one.
#[derive(Clone)]
pub(crate) struct Stream {
    lanes: Lanes,
    secret: Secret,
    seed: u64,
    length: u64,
    kernel: Kernel,
    /// A stripe that went before, which the last stripe may reach into, and what the lanes do not have yet.
    held: [u8; STRIPE + BLOCK],
    holds: usize,
}

impl Stream {
    fn new(kernel: Kernel, seed: u64) -> Self {
        let held = [0; STRIPE + BLOCK];
        Self { lanes: START, secret: secret_of(seed), seed, length: 0, kernel, held, holds: 0 }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        let room = BLOCK - self.holds;
        if bytes.len() > room {
            let before = if self.holds == 0 {
                &[]
            } else {
                let (now, later) = bytes.split_at(room);
                bytes = later;
                self.hold(now);
                self.held[STRIPE..].as_chunks().0
            };
            (self.kernel)(&mut self.lanes, before, &self.secret);
            let (blocks, rest) = split(bytes);
            (self.kernel)(&mut self.lanes, blocks, &self.secret);
            let stripe = match blocks.last() {
                Some(block) => block.last_chunk(),
                None => self.held.last_chunk(),
            };
            let stripe: [u8; STRIPE] = stripe.copied().unwrap_or([0; STRIPE]);
            self.held[..STRIPE].copy_from_slice(&stripe);
            self.holds = 0;
            bytes = rest;
        }
        self.hold(bytes);
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.held[STRIPE + self.holds..][..bytes.len()].copy_from_slice(bytes);
        self.holds += bytes.len();
    }

    fn rest(&self) -> &[u8] {
        &self.held[STRIPE..][..self.holds]
    }

    fn ending(&self) -> Ending<'_> {
        let last = self.held[..STRIPE + self.holds].last_chunk().unwrap_or(&[0; STRIPE]);
        Ending { lanes: self.lanes, secret: &self.secret, length: self.length }.after(self.rest(), last)
    }

    fn hash64(&self) -> u64 {
        if self.length <= MIDDLE as u64 {
            xxh3_64_with_seed(self.rest(), self.seed)
        } else {
            self.ending().hash64()
        }
    }

    fn hash128(&self) -> u128 {
        if self.length <= MIDDLE as u64 {
            xxh3_128_with_seed(self.rest(), self.seed)
        } else {
            self.ending().hash128()
        }
    }
}

/// The lanes on their way to a hash.
struct Ending<'a> {
    lanes: Lanes,
    secret: &'a Secret,
    length: u64,
}

impl Ending<'_> {
    /// Takes the block that is left, and the last stripe of all, which overlaps what was before.
    fn after(mut self, rest: &[u8], last: &[u8; STRIPE]) -> Self {
        let whole = rest.len().saturating_sub(1) / STRIPE * STRIPE;
        for (at, stripe) in rest[..whole].as_chunks().0.iter().enumerate() {
            self.take(stripe, 8 * at);
        }
        self.take(last, 192 - STRIPE - 7);
        self
    }

    fn take(&mut self, stripe: &[u8; STRIPE], at: usize) {
        let secret = words(&self.secret[at..]);
        for (lane, (data, secret)) in words(stripe).into_iter().zip(secret).enumerate() {
            let key = data ^ secret;
            self.lanes[lane ^ 1] = self.lanes[lane ^ 1].wrapping_add(data);
            self.lanes[lane] = self.lanes[lane].wrapping_add((key & 0xFFFF_FFFF) * (key >> 32));
        }
    }

    fn hash64(&self) -> u64 {
        self.merged(self.length.wrapping_mul(PRIME64[0]), 11)
    }

    fn hash128(&self) -> u128 {
        let high = self.merged(!self.length.wrapping_mul(PRIME64[1]), 192 - STRIPE - 11);
        u128::from(self.hash64()) | u128::from(high) << 64
    }

    fn merged(&self, start: u64, at: usize) -> u64 {
        let secret = words(&self.secret[at..]);
        let mixed =
            self.lanes.as_chunks::<2>().0.iter().zip(secret.as_chunks::<2>().0).map(|(lane, secret)| {
                let product = u128::from(lane[0] ^ secret[0]) * u128::from(lane[1] ^ secret[1]);
                product as u64 ^ (product >> 64) as u64
            });
        let sum = mixed.fold(start, u64::wrapping_add);
        let sum = (sum ^ (sum >> 37)).wrapping_mul(0x1656_6791_9E37_79F9);
        sum ^ (sum >> 32)
    }
}

/// The first 64 bytes as lanes.
fn words(bytes: &[u8]) -> Lanes {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|lane| u64::from_le_bytes(words[lane]))
}

#[cfg(test)]
mod tests;

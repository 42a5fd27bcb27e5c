//! The loops over blocks, for AVX-512 and AVX2. Products, swapped data, and odd stripes have sums of their own until the block's end: in one
//! sum each addition waits for the one before, which takes twice as long.

use std::arch::x86_64::*;

use super::{BLOCK, Kernel, Lanes, PRIME32, STRIPE, Secret};

/// Those that this machine has, the quickest first.
#[allow(unsafe_code, reason = "a function of an instruction set is safe to call where the machine has it")]
pub(super) fn kernels() -> [Option<Kernel>; 2] {
    // SAFETY: asked of the machine just now.
    let wide: Kernel = |lanes, blocks, secret| unsafe { avx512(lanes, blocks, secret) };
    // SAFETY: as above.
    let narrow: Kernel = |lanes, blocks, secret| unsafe { avx2(lanes, blocks, secret) };
    [is_x86_feature_detected!("avx512f").then_some(wide), is_x86_feature_detected!("avx2").then_some(narrow)]
}

#[allow(unsafe_code, reason = "reads 64 bytes that a reference has")]
#[target_feature(enable = "avx512f")]
fn avx512(lanes: &mut Lanes, blocks: &[[u8; BLOCK]], secret: &Secret) {
    const STRIPES: usize = BLOCK / STRIPE;
    // SAFETY: a stripe more than the block's, each 8 bytes further, is just what the secret has; loads and stores need no alignment.
    unsafe {
        let (prime, zero) = (_mm512_set1_epi64(PRIME32[0] as i64), _mm512_setzero_si512());
        let mut lane = _mm512_loadu_si512(lanes.as_ptr().cast());
        for block in blocks {
            let mut sums = [lane, zero, zero, zero];
            for at in 0..STRIPES / 2 {
                for odd in 0..2 {
                    let data = _mm512_loadu_si512(block.as_ptr().add(STRIPE * (2 * at + odd)).cast());
                    let secret = _mm512_loadu_si512(secret.as_ptr().add(8 * (2 * at + odd)).cast());
                    let key = _mm512_xor_si512(data, secret);
                    let product = _mm512_mul_epu32(key, _mm512_srli_epi64::<32>(key));
                    let swapped = _mm512_shuffle_epi32::<0b01_00_11_10>(data);
                    sums[odd] = _mm512_add_epi64(sums[odd], product);
                    sums[2 + odd] = _mm512_add_epi64(sums[2 + odd], swapped);
                }
            }
            let sum =
                _mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3]));
            let mixed = _mm512_xor_si512(sum, _mm512_srli_epi64::<47>(sum));
            let mixed = _mm512_xor_si512(mixed, _mm512_loadu_si512(secret.as_ptr().add(8 * STRIPES).cast()));
            let high = _mm512_mul_epu32(_mm512_srli_epi64::<32>(mixed), prime);
            lane = _mm512_add_epi64(_mm512_mul_epu32(mixed, prime), _mm512_slli_epi64::<32>(high));
        }
        _mm512_storeu_si512(lanes.as_mut_ptr().cast(), lane);
    }
}

#[allow(unsafe_code, reason = "reads 32 bytes that a reference has")]
#[target_feature(enable = "avx2")]
fn avx2(lanes: &mut Lanes, blocks: &[[u8; BLOCK]], secret: &Secret) {
    const STRIPES: usize = BLOCK / STRIPE;
    // SAFETY: as above, in halves.
    unsafe {
        let (prime, zero) = (_mm256_set1_epi64x(PRIME32[0] as i64), _mm256_setzero_si256());
        let mut lane =
            [_mm256_loadu_si256(lanes.as_ptr().cast()), _mm256_loadu_si256(lanes.as_ptr().add(4).cast())];
        for block in blocks {
            let mut sums = [lane[0], lane[1], zero, zero];
            for at in 0..STRIPES {
                for half in 0..2 {
                    let data = _mm256_loadu_si256(block.as_ptr().add(STRIPE * at + 32 * half).cast());
                    let secret = _mm256_loadu_si256(secret.as_ptr().add(8 * at + 32 * half).cast());
                    let key = _mm256_xor_si256(data, secret);
                    let product = _mm256_mul_epu32(key, _mm256_srli_epi64::<32>(key));
                    let swapped = _mm256_shuffle_epi32::<0b01_00_11_10>(data);
                    sums[half] = _mm256_add_epi64(sums[half], product);
                    sums[2 + half] = _mm256_add_epi64(sums[2 + half], swapped);
                }
            }
            for half in 0..2 {
                let sum = _mm256_add_epi64(sums[half], sums[2 + half]);
                let secret = _mm256_loadu_si256(secret.as_ptr().add(8 * STRIPES + 32 * half).cast());
                let mixed = _mm256_xor_si256(sum, _mm256_srli_epi64::<47>(sum));
                let mixed = _mm256_xor_si256(mixed, secret);
                let high = _mm256_mul_epu32(_mm256_srli_epi64::<32>(mixed), prime);
                lane[half] = _mm256_add_epi64(_mm256_mul_epu32(mixed, prime), _mm256_slli_epi64::<32>(high));
            }
        }
        _mm256_storeu_si256(lanes.as_mut_ptr().cast(), lane[0]);
        _mm256_storeu_si256(lanes.as_mut_ptr().add(4).cast(), lane[1]);
    }
}

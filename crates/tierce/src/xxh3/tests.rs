use super::*;

/// Those of this machine, and one for any, so that all around the loops is tested everywhere.
fn all_kernels() -> Vec<Kernel> {
    #[cfg(target_arch = "x86_64")]
    let own = x86::kernels();
    #[cfg(not(target_arch = "x86_64"))]
    let own: [Option<Kernel>; 0] = [];
    own.into_iter().flatten().chain([portable as Kernel]).collect()
}

fn portable(lanes: &mut Lanes, blocks: &[[u8; BLOCK]], secret: &Secret) {
    for block in blocks {
        let mut ending = Ending { lanes: *lanes, secret, length: 0 };
        for (at, stripe) in block.as_chunks().0.iter().enumerate() {
            ending.take(stripe, 8 * at);
        }
        for ((lane, sum), secret) in lanes.iter_mut().zip(ending.lanes).zip(words(&secret[192 - STRIPE..])) {
            *lane = (sum ^ (sum >> 47) ^ secret).wrapping_mul(PRIME32[0]);
        }
    }
}

/// Bytes and numbers that are the same in each run.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8
    }
}

fn bytes(length: usize) -> Vec<u8> {
    let mut next = noise(length as u64);
    (0..length).map(|_| next() as u8).collect()
}

const SEEDS: [u64; 3] = [0, 1, 0xFEDC_BA98_7654_3210];

fn assert_streamed(mut stream: Stream, bytes: &[u8], seed: u64, mut piece: impl FnMut() -> usize) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece().min(rest.len()));
        stream.update(now);
        rest = later;
    }
    let length = bytes.len();
    assert_eq!(stream.hash128(), xxh3_128_with_seed(bytes, seed), "{length} bytes");
    assert_eq!(stream.hash64(), xxh3_64_with_seed(bytes, seed), "{length} bytes");
}

#[test]
fn all_lengths_up_to_a_few_blocks_have_the_hashes_of_the_crate() {
    let all = bytes(5000);
    for kernel in all_kernels() {
        for length in 0..=all.len() {
            let (bytes, seed) = (&all[..length], SEEDS[length % 3]);
            assert_streamed(Stream::new(kernel, seed), bytes, seed, || usize::MAX);
            if length > MIDDLE {
                assert_eq!(whole64(kernel, bytes, seed), xxh3_64_with_seed(bytes, seed), "{length} bytes");
            }
        }
    }
}

#[test]
fn pieces_have_the_hash_of_the_whole_wherever_they_are_cut() {
    let mut next = noise(7);
    for kernel in all_kernels() {
        for round in 0..400 {
            let all = bytes(next() as usize % [300, 3000, 30_000][round % 3]);
            // Also pieces of nothing, of a byte, and whole blocks with a byte more or less.
            let most = [3, 70, 2100, 9000][round % 4];
            let mut cut = noise(round as u64);
            let piece = || match cut() % 4 {
                0 => BLOCK * (cut() as usize % 4) + cut() as usize % 3,
                _ => cut() as usize % most,
            };
            let seed = SEEDS[round % 3];
            assert_streamed(Stream::new(kernel, seed), &all, seed, piece);
        }
    }
}

#[test]
fn what_is_large_or_not_aligned_has_the_hashes_of_the_crate() {
    let all = bytes((1 << 20) + 100);
    for kernel in all_kernels() {
        for start in [0, 1, 15, 33] {
            let bytes = &all[start..];
            assert_eq!(whole64(kernel, bytes, 5), xxh3_64_with_seed(bytes, 5));
            assert_streamed(Stream::new(kernel, 5), bytes, 5, || 1 << 18);
        }
    }
}

#[test]
fn machines_without_these_vectors_have_the_same_hashes() {
    for length in [0, 240, 241, BLOCK, LARGE - 1, LARGE, LARGE + 1, 100_000] {
        let bytes = bytes(length);
        let mut plain = Xxh3::Plain(Box::new(Plain::with_seed(9)));
        let mut here = Xxh3::with_seed(9);
        for hash in [&mut plain, &mut here] {
            bytes.chunks(700).for_each(|piece| hash.update(piece));
        }
        assert_eq!((plain.hash64(), plain.hash128()), (here.hash64(), here.hash128()));
        assert_eq!(hash64(&bytes, 9), plain.hash64(), "{length} bytes");
    }
}

#[test]
fn a_hash_can_be_asked_for_before_the_end() {
    let bytes = bytes(10_000);
    for kernel in all_kernels() {
        let mut stream = Stream::new(kernel, 0);
        for (at, piece) in bytes.chunks(97).enumerate() {
            stream.update(piece);
            let so_far = &bytes[..(97 * (at + 1)).min(bytes.len())];
            assert_eq!(stream.hash64(), xxh3_64_with_seed(so_far, 0));
        }
    }
}

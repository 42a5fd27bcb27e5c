//! Every decoder on noise and on changed bytes: it ends, with an error or with the value filled, and takes no more memory
//! than the value's size and a fixed amount. One test, so that nothing else allocates meanwhile.
#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "common/counting.rs"]
mod counting;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tierce::{CodecChoice, Element, Numbers, codec_names, decode};

/// Tables and buffers of a thread, for as many threads as there are chunks here.
const FIXED: usize = 4 << 20;

/// Bytes at the peak of a decoding, beyond those before it.
fn memory_of(id: u8, coded: &[u8], size: usize) -> usize {
    let mut raw = vec![0; size];
    counting::peak_of(|| decode(id, coded, &mut raw))
}

/// A coded array: regular, rounded, repeating or noise.
fn coded() -> impl Strategy<Value = (u8, Vec<u8>, usize)> {
    const NAMES: [&str; 5] = ["fast", "lz4", "zstd", "pco", "auto"];
    (0usize..11, prop::sample::select(&NAMES[..]), 0u8..4, 1usize..3000, any::<u64>()).prop_map(
        |(element, name, kind, count, seed)| {
            let number = |at: usize| match kind {
                0 => (at as f64 / 50.0).sin().to_bits(),
                1 => (((at as u64 ^ seed) % 977) as f64 / 100.0).to_bits(),
                2 => (at as u64 % 7).wrapping_mul(seed),
                _ => (at as u64 + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            };
            let raw: Vec<u8> = (0..count).flat_map(|at| number(at).to_le_bytes()).collect();
            let numbers = Numbers { element: Element::ALL[element], tail: 0 };
            let mut out = Vec::new();
            let choice = CodecChoice::named(name, None).unwrap().numbers(numbers);
            let id = choice.encode(&raw, &mut out).unwrap();
            (id, out, raw.len())
        },
    )
}

#[test]
fn decoders_end_and_take_no_more_memory_than_the_value_has_bytes_and_a_fixed_amount() {
    // One runner a property: a runner counts its cases over all its runs.
    let runner = || TestRunner::new(ProptestConfig::with_cases(3000));
    let ids: Vec<u8> =
        (0u8..).zip(codec_names()).filter(|(_, name)| !name.is_empty()).map(|(id, _)| id).collect();
    let noise = (prop::sample::select(ids), prop::collection::vec(any::<u8>(), 0..400), 0usize..20_000);
    runner()
        .run(&noise, |(id, coded, size)| {
            prop_assert!(memory_of(id, &coded, size) <= size + FIXED);
            // One chunk, as the frame of chunks has it, so that the noise reaches the codec itself.
            let mut framed = (size as u32).to_le_bytes().to_vec();
            framed.extend_from_slice(&[0; 4]);
            framed.extend_from_slice(&(coded.len() as u32).to_le_bytes());
            framed.extend_from_slice(&coded);
            prop_assert!(memory_of(id, &framed, size) <= size + FIXED);
            // As Pco begins: its version, then a mode, and differences of any kind.
            framed.insert(12, 4);
            framed[8..12].copy_from_slice(&(coded.len() as u32 + 1).to_le_bytes());
            prop_assert!(memory_of(id, &framed, size) <= size + FIXED);
            Ok(())
        })
        .unwrap();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    runner()
        .run(&(coded(), changes, any::<bool>()), |((id, mut coded, size), changes, near_the_start)| {
            for (at, byte) in changes {
                let reach = if near_the_start { coded.len().min(40) } else { coded.len() };
                let at = at.index(reach);
                coded[at] = byte;
            }
            prop_assert!(memory_of(id, &coded, size) <= size + FIXED);
            Ok(())
        })
        .unwrap();
}

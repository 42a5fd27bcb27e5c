//! What the targets share: an allocator that counts, and the bound on memory that it watches.

#[path = "../../crates/tierce/tests/common/counting.rs"]
mod counting;

/// Tables and buffers that a thread of the codecs keeps, whatever it decodes.
const FIXED: usize = 4 << 20;

/// Runs a decoder, which says how many bytes it may take beside a fixed amount and a multiple of its input.
///
/// # Panics
/// Where it took more.
pub fn bounded(input: &[u8], decode: impl FnOnce() -> u64) {
    let mut allowed = 0;
    let peak = counting::peak_of(|| allowed = decode());
    let most = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_add(FIXED + 64 * input.len());
    assert!(peak <= most, "{peak} bytes were taken where {most} are allowed");
}

/// The next bytes of an input, as an array; zeros where it is at its end.
pub fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    let length = input.len().min(N);
    taken[..length].copy_from_slice(&input[..length]);
    *input = &input[length..];
    taken
}

//! The buffers that JavaScript hands over, of any bytes: writes, with a value apart, and keys.
#![no_main]

#[allow(dead_code, reason = "outcomes are written and not read")]
#[path = "../../../crates/tierce-node/src/wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::bounded(bytes, || {
    let blobs = [[1u8; 9]];
    let _ = wire::Reader(bytes).writes(&blobs);
    let _ = wire::Reader(bytes).keys();
    0
}));

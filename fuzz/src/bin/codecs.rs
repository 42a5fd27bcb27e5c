//! Any payload of any codec: its value is filled, or it is refused. The first byte is the codec, the next two the size.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let [codec, low, high, coded @ ..] = bytes {
        let mut raw = vec![0; usize::from(u16::from_le_bytes([*low, *high]))];
        tierce_fuzz::bounded(bytes, || {
            let _ = tierce::decode(*codec, coded, &mut raw);
            0
        });
    }
});

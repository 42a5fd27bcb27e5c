//! Any array of numbers, and any bytes, by each way of coding: they come back, and damage to what was coded is refused or
//! decodes to something. So that input reaches what is behind the frame of chunks: planes, differences, decimals, Pco.
#![no_main]

use tierce::{CodecChoice, Element, Numbers, decode};
use tierce_fuzz::{bounded, take};

const NAMES: [&str; 5] = ["auto", "fast", "lz4", "zstd", "pco"];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let [element, name, tail, repeat, changes] = take(&mut rest);
    let changes: Vec<[u8; 3]> = (0..changes % 4).map(|_| take(&mut rest)).collect();
    let value = rest.repeat(1 + usize::from(repeat % 16));
    let choice = CodecChoice::named(NAMES[usize::from(name) % NAMES.len()], None).expect("a known name");
    let choice = match Element::ALL.get(usize::from(element) % (Element::ALL.len() + 1)) {
        Some(element) => choice.numbers(Numbers { element: *element, tail: u32::from(tail) }),
        None => choice,
    };
    let mut coded = Vec::new();
    let codec = choice.encode(&value, &mut coded).expect("anything can be coded");
    assert!(coded.len() <= value.len(), "coding never makes a value larger");
    let mut back = vec![0; value.len()];
    bounded(bytes, || {
        decode(codec, &coded, &mut back).expect("what was coded decodes");
        value.len() as u64
    });
    assert_eq!(back, value);
    if coded.is_empty() || changes.is_empty() {
        return;
    }
    for [low, high, byte] in changes {
        let at = usize::from(u16::from_le_bytes([low, high])) % coded.len();
        coded[at] ^= byte;
    }
    bounded(bytes, || {
        let _ = decode(codec, &coded, &mut back);
        value.len() as u64
    });
});

//! Any bytes in the place of encrypted ones, and of the rules of a directory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::bounded(bytes, || tierce::fuzzing::encryption(
    bytes
)));

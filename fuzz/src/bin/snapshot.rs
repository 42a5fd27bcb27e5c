//! A snapshot file of any bytes. Checksums are set right, or no input would ever come behind one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::bounded(bytes, || tierce::fuzzing::snapshot(bytes)));

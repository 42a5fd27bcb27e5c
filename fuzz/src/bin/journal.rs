//! A record of the journal of any bytes: it is refused, or it is what it says it is.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::bounded(bytes, || tierce::fuzzing::journal(bytes)));

//! What an entry carries, of any bytes: what is read can be written, and is the same then.
#![no_main]

use tierce::Extras;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(extras) = Extras::parse(bytes) {
        let body = extras.to_bytes().expect("what was read can be written");
        // Not the extras themselves: a NaN is not itself.
        assert_eq!(Extras::parse(&body).map(|again| again.to_bytes().ok()).ok().flatten(), Some(body.clone()));
    }
});

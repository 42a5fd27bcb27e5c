//! What an entry carries, of any bytes, and cells of a query: what is read can be written, and is the same then.
#![no_main]

use tierce::{Cell, Extras};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::bounded(bytes, || {
    let _ = Cell::parse_all(bytes);
    if let Ok(extras) = Extras::parse(bytes) {
        let body = extras.to_bytes().expect("what was read can be written");
        // Not the extras themselves: a NaN is not itself.
        assert_eq!(
            Extras::parse(&body).map(|again| again.to_bytes().ok()).ok().flatten(),
            Some(body.clone())
        );
    }
    0
}));

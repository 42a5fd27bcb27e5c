//! The Node addon of `tierce`: conversions only. `src/native.ts` is its one user and gives it its meaning.
#![allow(unsafe_code, reason = "the code that napi's macros generate; ours is in scratch.rs")]
#![allow(clippy::needless_pass_by_value, reason = "napi hands arguments over by value")]

pub mod clock;
pub mod coverage;
mod disk;
mod gate;
pub mod hash;
pub mod ledger;
mod scratch;
pub mod shared;
pub mod snapshot;
pub mod sql;
mod tier;
mod turns;
mod wire;

use napi::Env;
use napi_derive::napi;

/// The names of the codecs, by the number in an entry's facts.
#[napi]
pub fn codec_names(env: &Env) -> napi::Result<Vec<&'static str>> {
    tierce_napi::guard(env, || Ok(tierce::codec_names().collect()))
}

/// Makes the next call into the addon panic, so that tests can see it become an `Error`.
#[napi]
pub fn force_panic(env: &Env) -> napi::Result<()> {
    tierce_napi::guard(env, || {
        tierce_napi::force_panic();
        Ok(())
    })
}

//! The Node addon of `@tierce/columnar`: conversions only. `tierce` is its one user and gives it its meaning.
#![allow(unsafe_code, reason = "the code that napi's macros generate; ours is in wire.rs")]
#![allow(
    dead_code,
    reason = "exports are used by what napi's macros generate, which a build of tests leaves out"
)]
#![allow(clippy::needless_pass_by_value, reason = "napi hands arguments over by value")]

mod duck;
mod errors;
mod frames;
mod tables;
mod wire;

use napi::Env;
use napi_derive::napi;

/// The release of this addon: that of the `tierce` that it belongs to.
#[napi]
pub fn version(env: &Env) -> napi::Result<String> {
    errors::guard(env, || Ok(env!("CARGO_PKG_VERSION").to_owned()))
}

/// The release of DuckDB inside.
#[napi]
pub fn duckdb_version(env: &Env) -> napi::Result<String> {
    errors::guard(env, || Ok(tierce_columnar::duck::version()))
}

/// Makes the next call into the addon panic, so that tests can see it become an `Error`.
#[napi]
pub fn force_panic(env: &Env) -> napi::Result<()> {
    errors::guard(env, || {
        tierce_napi::force_panic();
        Ok(())
    })
}

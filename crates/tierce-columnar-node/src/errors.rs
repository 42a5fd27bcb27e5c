//! Errors of `tierce-columnar` as those that every addon of tierce throws.

use napi::Env;
use napi::bindgen_prelude::{ToNapiValue, TypeName};
use tierce::Code;
use tierce_columnar::{Error, Kind, Result};
use tierce_napi::Work;

/// What a failure is called in JavaScript.
fn code(kind: Kind) -> Code {
    match kind {
        Kind::Invalid => Code::InvalidOption,
        Kind::Query | Kind::Interrupted => Code::Query,
        Kind::TableNotFound => Code::KeyNotFound,
        Kind::TableExpired => Code::KeyExpired,
        Kind::TooLarge => Code::ValueTooLarge,
        Kind::Transaction => Code::Transaction,
        Kind::Corrupt => Code::Corrupt,
        Kind::Format => Code::Format,
        Kind::Locked => Code::LockTimeout,
        Kind::ReadOnly => Code::ReadOnly,
        Kind::StorageFull | Kind::OutOfMemory => Code::StorageFull,
        Kind::Unavailable => Code::Unavailable,
        Kind::Closed => Code::Closed,
        _ => Code::Internal,
    }
}

fn coded(error: Error) -> tierce::Error {
    let kind = error.kind();
    let mut coded = tierce::Error::new(code(kind), error.to_string());
    for (name, value) in error.context() {
        coded = coded.with(name, value);
    }
    if kind == Kind::Interrupted { coded.with("interrupted", "true") } else { coded }
}

/// Runs the body of an export.
pub fn guard<T>(env: &Env, run: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    tierce_napi::guard(env, || run().map_err(coded))
}

/// Runs `run` on the thread pool.
pub fn job<T, J>(
    run: impl FnOnce() -> Result<T> + Send + 'static,
    convert: fn(&Env, T) -> napi::Result<J>,
) -> Work<T, J>
where
    T: Send + 'static,
    J: ToNapiValue + TypeName + 'static,
{
    tierce_napi::job(move || run().map_err(coded), convert)
}
